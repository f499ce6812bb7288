"""Population PK of an assessment: the fit with histology effects, and the one without that tests them."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import InputError, ModelError, PkpdWarning
from pkpd.histology import likelihood_ratio
from pkpd.study.assessment import PkResult
from pkpd.study.plan import Plan
from pkpd.study.stages import finished

__all__ = ["load_planned_model", "model_source", "pk_result", "shrinkage_per_histology"]

SIMULATIONS = 200  # of the data, for the visual predictive check


def load_planned_model(plan: Plan) -> Any:
    """Load the model of a plan, with histology effects on exactly the parameters that the plan tests.

    A model without any effect of the histology column gets them here; one that has some must agree.

    Returns
    -------
    Model

    Raises
    ------
    PlanError
        ``E_PLAN_TESTED`` if the model's effects are on other parameters than the plan says,
        ``E_PLAN_REFERENCE`` if its reference level is another, ``E_PLAN_OUTPUT`` if it does not observe the plan's analyte,
        ``E_PLAN_COMPARTMENT`` if it does not have the compartment that the plan doses.
    """
    from pkpd.language import load_model, model_from_file

    section, column = plan.model, plan.data.histology
    model = load_model(section.name) if section.name else model_from_file(plan.resolve(str(section.file)))
    observed = [o.name for o in model.observations]
    if plan.exposure.output is not None and plan.exposure.output not in observed:
        raise plan.error(
            "E_PLAN_OUTPUT",
            ("exposure", "output"),
            f"model {model.name} observes no {plan.exposure.output!r}.",
            f"It observes {', '.join(observed)}.",
        )
    compartments = [c.name for c in model.compartments]
    if plan.dosing.compartment not in (None, *compartments):
        raise plan.error(
            "E_PLAN_COMPARTMENT",
            ("dosing", "compartment"),
            f"model {model.name} has no compartment {plan.dosing.compartment!r}.",
            f"It has {', '.join(compartments)}.",
        )
    references = [str(f.reference) for f in model.factors if f.name == column]
    if not references:
        for parameter in section.tested:
            model = model.with_effect(parameter, column, reference=plan.data.reference)
        return model
    carried = [e.parameter for e in model.effects if e.factor == column]
    if set(carried) != set(section.tested):
        raise plan.error(
            "E_PLAN_TESTED",
            ("model", "tested"),
            f"the plan tests {', '.join(section.tested)}, but model {model.name} has effects of {column} on "
            f"{', '.join(carried)}.",
            "Name the same parameters in both, or leave the factor out of the model: the plan then adds it.",
        )
    if references[0] != plan.data.reference:
        raise plan.error(
            "E_PLAN_REFERENCE",
            ("data", "reference"),
            f"the plan compares with {plan.data.reference!r}, the model with {references[0]!r}.",
            "Use one reference histology in both.",
        )
    return model


def shrinkage_per_histology(plan: Plan, fit: Any, subjects: pd.DataFrame) -> dict[str, float]:
    """Largest shrinkage 1 − SD(η̂)/ω, per histology, of the random effects on the tested parameters.

    A histology of one subject has no SD and gets NaN.
    """
    expressions = {p.name: p.expression for p in fit.model.parameters}
    symbols = set().union(*(expressions[name].free_symbols for name in plan.model.tested))
    etas = [e.name for e in fit.model.etas if e.symbol in symbols]
    by_subject = fit.individual_estimates[etas].to_numpy(float)
    omega = np.sqrt(np.diag(fit.omega.loc[etas, etas].to_numpy(float)))
    out = {}
    for histology, rows in subjects.groupby("histology").indices.items():
        if len(rows) < 2 or not etas:
            out[str(histology)] = float("nan")
        else:
            out[str(histology)] = float(np.max(1 - by_subject[rows].std(axis=0, ddof=1) / omega))
    return out


def pk_result(plan: Plan, data: Dataset, fit: Any, reduced: Any, subjects: pd.DataFrame) -> PkResult:
    """Everything that the report says about the population PK."""
    test = likelihood_ratio(fit, reduced)
    warnings = [*fit.warnings, *(f"without histology effects: {w}" for w in reduced.warnings)]
    return PkResult(
        model=fit.model.name,
        method=", ".join(plan.model.methods),
        ofv=float(fit.ofv),
        minus2ll=float(fit.minus2ll),
        ofv_reduced=float(reduced.ofv),
        n_subjects=int(fit.n_subjects),
        n_observations=int(fit.n_observations),
        parameters=_parameters(fit),
        likelihood_ratio={"statistic": test.statistic, "df": test.df, "p_value": test.p_value},
        diagnostics=_diagnostics(data, fit, subjects),
        equations=tuple(fit.model.equations()),
        successful=bool(fit.minimization_successful and reduced.minimization_successful),
        termination=f"{fit.termination_cause}; covariance step: {fit.covariance_status}",
        warnings=tuple(warnings),
        random_effects=_random_effects(plan, fit, subjects),
        shrinkage=fit.shrinkage(),
        code=_code(data, fit),
        predictive_check=_predictive_check(plan, fit),
    )


def _predictive_check(plan: Plan, fit: Any) -> Any:
    """Prediction-corrected visual predictive check by histology; None where the fit cannot be checked so."""
    from pkpd.population import vpc

    def work() -> Any:
        with warnings.catch_warnings():
            # records that are left out are counted in the result
            warnings.simplefilter("ignore", PkpdWarning)
            try:
                return vpc(fit, SIMULATIONS, plan.seed, x="TAD", prediction_corrected=True)
            except InputError:
                return None

    parts = fit.model, fit.data, fit.parameter_estimates, SIMULATIONS, plan.seed
    return finished("predictive check", work, *parts)


def _random_effects(plan: Plan, fit: Any, subjects: pd.DataFrame) -> pd.DataFrame:
    etas = fit.individual_estimates[[e.name for e in fit.model.etas]]
    known = fit.data.subject_table()
    table = etas.rename(columns={name: f"ETA({name})" for name in etas}).rename_axis("ID").reset_index()
    histology = dict(zip(subjects["ID"], subjects["histology"], strict=True))
    table.insert(1, "histology", [histology[i] for i in table["ID"]])
    for name in dict.fromkeys([*(c.name for c in fit.model.covariates), *(plan.data.drivers or ())]):
        if name in known:
            table[name] = known[name].reindex(table["ID"]).to_numpy()
    return table


def _code(data: Dataset, fit: Any) -> dict[str, str]:
    """The final model at its estimates for other programs; one that cannot say it is left out."""
    at, model = fit.parameter_estimates, fit.model
    levels = {f.name: tuple(dict.fromkeys(data.frame[f.name].dropna().astype(str))) for f in model.factors}
    blocks = [
        tuple(
            tuple(float(fit.omega.loc[a, b]) for b in block.names[: i + 1]) for i, a in enumerate(block.names)
        )
        for block in model.omega
    ]
    model = dataclasses.replace(
        model.replace(
            theta={t.name: float(at[t.name]) for t in model.thetas if not t.fixed},
            sigma={s.name: float(at[f"SD({s.name})"]) for s in model.sigmas if not s.fixed},
        ),
        factors=tuple(
            dataclasses.replace(f, levels=tuple(v for v in levels[f.name] if v != f.reference))
            for f in model.factors
        ),
        omega=tuple(
            dataclasses.replace(b, lower_triangle=t) for b, t in zip(model.omega, blocks, strict=True)
        ),
    )
    effects = {str(name): float(at[name]) for name in at.index}
    made = {}
    for program, write in (
        ("NONMEM", lambda: model.to_nonmem(list(data.frame.columns), effects=effects)),
        ("nlmixr2", lambda: model.to_nlmixr2(effects=effects)),
    ):
        try:
            made[program] = write()
        except ModelError:
            continue
    return made


def _parameters(fit: Any) -> pd.DataFrame:
    table = fit.parameters.copy()
    shrinkage = {f"OMEGA({name},{name})": float(value) for name, value in fit.eta_shrinkage.items()}
    table["shrinkage_percent"] = [100 * shrinkage.get(str(name), float("nan")) for name in table.index]
    return table


def _diagnostics(data: Dataset, fit: Any, subjects: pd.DataFrame) -> pd.DataFrame:
    table = fit.residuals[["ID", "TIME", "DV", "CWRES"]].reset_index(drop=True)
    predictions = fit.predictions.reset_index(drop=True)
    table["PRED"], table["IPRED"] = predictions["PRED"], predictions["IPRED"]
    histology = dict(zip(subjects["ID"], subjects["histology"], strict=True))
    table["histology"] = [histology[i] for i in table["ID"]]
    return table[["ID", "histology", "TIME", "DV", "PRED", "IPRED", "CWRES"]]


def model_source(plan: Plan) -> bytes:
    """Source of the model, for its SHA-256."""
    if plan.model.file:
        return plan.resolve(plan.model.file).read_bytes()
    from pkpd.shipped import models_folder

    return (Path(models_folder()) / f"{plan.model.name}.py").read_bytes()
