"""Exposure of an assessment: per subject at the dose given and at the reference dose; ratio per histology."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import InputError
from pkpd.response.estimates import normal_quantile
from pkpd.study.assessment import ExposureResult
from pkpd.study.estimation import planned_method
from pkpd.study.plan import Plan
from pkpd.study.sections import METRICS
from pkpd.study.stages import finished, fitted

__all__ = [
    "LEVEL",
    "exposure_log_sd",
    "exposure_result",
    "histology_means",
    "mediation_models",
    "mediation_table",
    "planned_regimen",
    "subject_exposures",
]

LEVEL = 0.90
"""Coverage of the interval of every exposure ratio (the two one-sided tests of Schuirmann 1987 at 5 %)."""


def planned_regimen(plan: Plan, amount: float) -> Any:
    """Return the planned regimen with this amount, as a :func:`pkpd.dose` that repeats every interval."""
    from pkpd.simulation import dose

    section = plan.dosing
    return dose(
        amount,
        every=section.interval,
        until=section.interval,
        infusion=section.infusion,
        compartment=section.compartment,
    )


def planned(plan: Plan) -> dict[str, Any]:
    """Dosing interval and analyte, as functions of exposure take them."""
    return {"interval": plan.dosing.interval, "output": plan.exposure.output}


def _determining(plan: Plan, fit: Any) -> tuple[Any, ...]:
    """What every exposure depends on: the fitted model, the data, the regimen, and the metric."""
    section = plan.dosing
    return (
        fit.model, fit.data, fit.method, fit.parameter_estimates, plan.data.histology, plan.exposure.metric, plan.exposure.output,
        section.reference, section.interval, section.infusion, section.compartment,
    )  # fmt: skip


def subject_exposures(plan: Plan, fit: Any, subjects: pd.DataFrame) -> pd.DataFrame:
    """Exposure metrics of each subject at its own parameters.

    Returns
    -------
    DataFrame
        One row per subject: ID, histology, dose, every metric under the planned regimen at the subject's
        dose, and ``reference``, the plan's metric at the reference dose.
    """
    from pkpd.exposure import exposure_metrics

    table = subjects[["ID", "histology", "dose"]].reset_index(drop=True)
    metric = plan.exposure.metric

    def work() -> pd.DataFrame:
        # one regimen per dose level, shared by its subjects
        levels = {
            amount: planned_regimen(plan, amount) for amount in sorted(set(table["dose"].astype(float)))
        }
        own = {i: levels[float(amount)] for i, amount in zip(table["ID"], table["dose"], strict=True)}
        reference = planned_regimen(plan, plan.dosing.reference)
        at_dose = exposure_metrics(fit, metrics=list(METRICS), regimen=own, **planned(plan))
        at_reference = exposure_metrics(fit, metrics=[metric], regimen=reference, **planned(plan))
        columns = {name: at_dose[name].reindex(table["ID"]).to_numpy(float) for name in METRICS}
        columns["reference"] = at_reference[metric].reindex(table["ID"]).to_numpy(float)
        return pd.DataFrame(columns)

    found = finished("exposure per subject", work, *_determining(plan, fit), table, fit.individual_estimates)
    return table.join(found)


def exposure_log_sd(plan: Plan, fit: Any, ids: pd.Series) -> np.ndarray:
    """Standard deviation of the logarithm of each subject's exposure, given its own records (N,).

    That of the exposure at the reference dose: where exposure is in proportion to the dose, the same at any.
    """
    from pkpd.exposure import exposure_metrics

    metric = plan.exposure.metric

    def work() -> pd.DataFrame:
        regimen = planned_regimen(plan, plan.dosing.reference)
        table = exposure_metrics(fit, metrics=[metric], regimen=regimen, level=LEVEL, **planned(plan))
        return table.reindex(ids)[[f"{metric}_lower", f"{metric}_upper"]].reset_index(drop=True)

    uncertain = fit.individual_estimates, fit.individual_estimates_covariance
    own = finished("uncertainty of exposure", work, *_determining(plan, fit), ids, *uncertain)
    length = np.log(own[f"{metric}_upper"].to_numpy(float) / own[f"{metric}_lower"].to_numpy(float))
    return length / (2 * normal_quantile(LEVEL))


def histology_means(plan: Plan, fit: Any, *, adjusted: bool = False) -> Any:
    """Mean log exposure per histology under the reference regimen, as :func:`pkpd.exposure.histology_exposure`."""
    from pkpd.exposure import histology_exposure

    def work() -> Any:
        return histology_exposure(
            fit,
            planned_regimen(plan, plan.dosing.reference),
            metric=plan.exposure.metric,
            histology=plan.data.histology,
            adjusted=adjusted,
            **planned(plan),
        )

    return finished("exposure per histology", work, *_determining(plan, fit), fit.covariance_matrix, adjusted)


def mediation_models(plan: Plan, model: Any, data: Dataset) -> dict[str, Any]:
    """Models that each of the plan's mediators joins in turn, on all tested parameters, by the names of those that did.

    Raises
    ------
    PlanError
        ``E_PLAN_MEDIATORS`` for a column that cannot enter the model, or is in it already.
    """
    from pkpd.population.covariate_models import candidate_relations, with_relation

    models: dict[str, Any] = {}
    names: list[str] = []
    expressions = {p.name: p.expression for p in model.parameters}
    symbols = {c.name: c.symbol for c in model.covariates}
    for i, mediator in enumerate(plan.exposure.mediators or ()):
        path = ("exposure", "mediators", i)
        if mediator == plan.data.histology or any(
            symbols.get(mediator) in expressions[p].free_symbols for p in plan.model.tested
        ):
            raise plan.error(
                "E_PLAN_MEDIATORS",
                path,
                f"{mediator} is in model {model.name} already, on {', '.join(plan.model.tested)}.",
                "Leave it out: the conditional ratio is at equal values of it.",
            )
        try:
            for relation in candidate_relations(model, data, dict.fromkeys(plan.model.tested, mediator), {}):
                model = with_relation(model, relation)
        except InputError as error:
            raise plan.error("E_PLAN_MEDIATORS", path, error.message, error.remedy) from None
        names.append(mediator)
        models[", ".join(names)] = model
    return models


def mediation_table(
    plan: Plan, models: Mapping[str, Any], data: Dataset, fit: Any, say: Callable[[str, str], None]
) -> pd.DataFrame:
    """Conditional ratios as each of the plan's mediators joins the model.

    Parameters
    ----------
    models : dict
        From :func:`mediation_models`.
    fit : PopulationFit
        Without mediators.
    """
    from pkpd.exposure import mediation
    from pkpd.population.covariate_models import shared_estimates

    column = plan.data.histology
    fits = {f"{column} as planned": fit}
    for names, model in models.items():
        say("what covariates explain of the exposure ratios", names)
        before = next(reversed(fits.values()))
        fits[f"+ {names}"] = fitted(
            model,
            data,
            planned_method(plan, covariance=True, refit=True),
            seed=plan.seed,
            start=shared_estimates(before.parameter_estimates, model),
        )
    return mediation(
        fits,
        planned_regimen(plan, plan.dosing.reference),
        reference=plan.data.reference,
        metric=plan.exposure.metric,
        histology=column,
        level=LEVEL,
        **planned(plan),
    )


def exposure_result(
    plan: Plan,
    data: Dataset,
    between: Any,
    exposures: pd.DataFrame,
    conditional: Any,
    explained: pd.DataFrame,
) -> ExposureResult:
    """Everything that the report says about exposure.

    Parameters
    ----------
    between : HistologyExposure
        From :func:`pkpd.exposure.histology_exposure` under the reference regimen.
    exposures : DataFrame
        From :func:`subject_exposures`.
    conditional : HistologyExposure
        As `between`, at equal covariates.
    explained : DataFrame
        From :func:`mediation_table`; empty without mediators.
    """
    reference, metric = plan.data.reference, plan.exposure.metric
    ratios = between.ratio(reference, level=LEVEL, bounds=plan.exposure.bounds)
    logs = np.log(exposures["reference"]).groupby(exposures["histology"])
    mean, sd = logs.mean(), logs.std()
    ratios = ratios.copy()
    histologies = ratios["histology"].astype(str)
    ratios.insert(2, "geometric_mean", np.exp(mean.reindex(histologies).to_numpy(float)))
    ratios.insert(3, "cv_percent", 100 * np.sqrt(np.expm1(sd.reindex(histologies).to_numpy(float) ** 2)))
    return ExposureResult(
        metric=metric,
        unit=_unit(plan, data),
        reference_exposure=float(np.exp(mean[reference])),
        subjects=exposures,
        ratios=ratios,
        bounds=plan.exposure.bounds,
        conditional=conditional.ratio(reference, level=LEVEL, bounds=plan.exposure.bounds),
        mediation=explained,
    )


def _unit(plan: Plan, data: Dataset) -> str:
    """Unit of the metric from those of DV and TIME; empty where the plan does not give them."""
    units = data.units
    concentration, time = units.get("DV", ""), units.get("TIME", "")
    if not concentration or (plan.exposure.metric.startswith("AUC") and not time):
        return ""
    return f"{concentration}·{time}" if plan.exposure.metric.startswith("AUC") else concentration
