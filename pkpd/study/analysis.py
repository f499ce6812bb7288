"""The road from an analysis plan to its assessment, one stage after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.data import Dataset
from pkpd.store import Store
from pkpd.study.assessment import Assessment, ExposureResult
from pkpd.study.assumptions import assumptions
from pkpd.study.characteristics import check_scenarios, operating_characteristics
from pkpd.study.confounding import confounding, sources_of_exposure
from pkpd.study.engagement import engagement_result
from pkpd.study.enrolment import check_weights, enrolment
from pkpd.study.environment import versions
from pkpd.study.estimation import planned_method
from pkpd.study.exposure_only import exposure_verdicts
from pkpd.study.exposures import (
    exposure_log_sd,
    exposure_result,
    histology_means,
    mediation_models,
    mediation_table,
    subject_exposures,
)
from pkpd.study.pharmacokinetics import (
    load_planned_model,
    model_source,
    pk_result,
    shrinkage_per_histology,
)
from pkpd.study.plan import Plan, read_plan
from pkpd.study.responses import LOG_SD, endpoint_result, fit_endpoint, histology_test
from pkpd.study.sensitivity import influence_tables, pooled_response, refit_verdicts, with_findings
from pkpd.study.signature import deviations
from pkpd.study.stages import fitted, keeping, kept_in
from pkpd.study.subjects import counts_per_dose, read_data, subject_table
from pkpd.study.survival import survival_result
from pkpd.study.tumour_sizes import read_sizes, tumour_size_result
from pkpd.study.verdicts import (
    exchangeability,
    forecast_frame,
    global_statement,
    margins_of,
    planned_evidence,
    verdict_frame,
)

__all__ = ["assess"]

Progress = Callable[[str, str], None]
CHARACTERISTICS = "operating characteristics"


def assess(
    plan: Plan | str | Path, *, progress: Progress | None = None, store: Store | str | Path | None = None
) -> Assessment:
    """Run an analysis plan: population PK, exposure, exposure-response, and a verdict per histology.

    Parameters
    ----------
    plan : Plan, str or Path
        The plan, or its file.
    progress : callable, optional
        Called with the name of each stage as it begins and an empty text, then with the same name and how far
        it is.
    store : Store or path, optional
        Where finished stages are kept, and taken from: after an interruption, or an edit of the plan, a run with the same
        store does only what is not there, to the same bits.

    Returns
    -------
    Assessment

    Raises
    ------
    PlanError, DataError, ModelError
        What the plan, the data or the model must change.
    FitError
        A fit that could not be carried out.
    """
    plan = plan if isinstance(plan, Plan) else read_plan(plan)
    with keeping(store):
        return _assessment(plan, progress if progress is not None else _silent)


def _assessment(plan: Plan, say: Progress) -> Assessment:
    say("reading the data", "")
    data = read_data(plan)
    subjects = subject_table(plan, data)
    histologies = tuple(dict.fromkeys(subjects["histology"]))
    margins = None if plan.exposure_only else margins_of(plan, histologies)
    check_weights(plan, histologies)
    check_scenarios(plan, histologies)
    # what is wrong with a file is said before the long fits
    sizes = {entry.name: read_sizes(plan, entry, subjects) for entry in plan.tumour_sizes}
    model = load_planned_model(plan)
    mediated = mediation_models(plan, model, data)
    fit, reduced = _fit_both(plan, model, data, say)
    pk = pk_result(plan, data, fit, reduced, subjects)
    exposure, between = _exposure(plan, mediated, data, fit, subjects, say)
    frame = exposure.subjects.merge(subjects.drop(columns=["histology", "dose"]), on="ID", validate="1:1")
    binary = [e for e in plan.endpoints if e.binary]
    shrinkage = shrinkage_per_histology(plan, fit, subjects)
    patients = subjects.groupby("histology").size()
    # of a handful of patients the SD says nothing of shrinkage
    shrunken = [h for h in shrinkage if patients[h] >= plan.thresholds.minimum_n]
    if binary and any(shrinkage[h] > plan.thresholds.shrinkage for h in shrunken):
        frame[LOG_SD] = exposure_log_sd(plan, fit, frame["ID"])
    fits = {}
    for endpoint in binary:
        say(f"exposure-response of {endpoint.name}", "")
        fits[endpoint.name] = fit_endpoint(plan, frame, endpoint, exposure.reference_exposure)
    say("verdicts", "")
    if margins is None:
        evidence: dict[str, Any] = {}
        refits, verdicts = pd.DataFrame(), exposure_verdicts(plan, exposure.ratios, shrinkage)
    else:
        evidence = planned_evidence(plan, frame, fits, exposure.ratios, margins, shrinkage)
        refits = refit_verdicts(
            plan, model, data, fit, frame, fits, exposure, margins, shrinkage, evidence, say
        )
        evidence = with_findings(evidence, refits)
        verdicts = verdict_frame(evidence, margins)
    endpoints = []
    for endpoint in binary:
        say(f"tests of {endpoint.name}", f"{plan.bootstrap.n} bootstrap replicates each")
        tests = {term: histology_test(plan, frame, endpoint, term) for term in ("interaction", "intercepts")}
        known = evidence
        if margins is not None and not plan.is_primary(endpoint):
            known = planned_evidence(
                plan,
                frame,
                fits,
                exposure.ratios,
                margins,
                shrinkage,
                efficacy=endpoint.name if endpoint.kind == "efficacy" else None,
                safety=endpoint.name if endpoint.kind == "safety" else None,
            )
        sources = sources_of_exposure(plan, frame, endpoint)
        endpoints.append(endpoint_result(plan, frame, endpoint, fits[endpoint.name], known, tests, sources))
    tumour_sizes = []
    for entry in plan.tumour_sizes:
        say(f"tumour size: {entry.name}", "")
        tumour_sizes.append(tumour_size_result(plan, entry, frame, sizes[entry.name]))
    survival = [survival_result(plan, frame, e) for e in plan.endpoints if not e.binary]
    characteristics = None
    if plan.scenarios:
        say(CHARACTERISTICS, "")
        characteristics = operating_characteristics(
            plan,
            store=kept_in(),
            progress=lambda done, trials: say(CHARACTERISTICS, f"{done} of {trials} trials"),
        )
    say("exchangeability of the histologies", "")
    exchangeable = exchangeability(plan, between, exposure)
    return Assessment(
        title=plan.title,
        verdicts=verdicts,
        global_statement=global_statement(plan, pk, tuple(endpoints), exchangeable),
        plan=plan.as_dict(),
        data=counts_per_dose(subjects),
        pk=pk,
        exposure=exposure,
        endpoints=tuple(endpoints),
        exchangeability=exchangeable,
        assumptions=assumptions(plan, frame, fits, exchangeable),
        provenance=_provenance(plan, data),
        survival=tuple(survival),
        confounding=confounding(plan, frame),
        forecasts=forecast_frame(evidence),
        sensitivity={
            "refits": refits,
            "pooled": pooled_response(plan, frame),
            "influence": influence_tables(plan, between, exposure, fits),
        },
        signature=deviations(plan),
        enrolment=enrolment(plan, frame),
        tumour_sizes=tuple(tumour_sizes),
        characteristics=characteristics,
        engagement=tuple(
            engagement_result(plan, frame, e, exposure.reference_exposure) for e in plan.engagement
        ),
    )


def _silent(stage: str, detail: str) -> None:
    """Show nothing."""


def _fit_both(plan: Plan, model: Any, data: Dataset, say: Progress) -> tuple[Any, Any]:
    """Fit with and without histology effects."""
    column = plan.data.histology
    stage = f"population PK with {column} on {', '.join(plan.model.tested)}"
    full = _fit(plan, model, data, stage, say, planned_method(plan, covariance=True))
    # of the smaller model the test needs the objective alone
    smaller = model.without_factor(column)
    method = planned_method(plan, covariance=False, refit=True)
    at = full.parameter_estimates
    start = at[[name for name in at.index if f"({column}=" not in name]]
    reduced = _fit(plan, smaller, data, f"population PK without {column}", say, method, start)
    return full, reduced


def _fit(
    plan: Plan,
    model: Any,
    data: Dataset,
    stage: str,
    say: Progress,
    method: Any,
    start: pd.Series | None = None,
) -> Any:
    def show(iteration: int, ofv: float) -> None:
        say(stage, f"iteration {iteration}, OFV {ofv:.2f}")

    say(stage, f"{data.n_subjects} subjects")
    return fitted(model, data, method, seed=plan.seed, start=start, progress=show)


def _exposure(
    plan: Plan, mediated: dict[str, Any], data: Dataset, fit: Any, subjects: pd.DataFrame, say: Progress
) -> tuple[ExposureResult, Any]:
    say("exposure per subject and per histology", "")
    between = histology_means(plan, fit)
    conditional = histology_means(plan, fit, adjusted=True)
    exposures = subject_exposures(plan, fit, subjects)
    explained = mediation_table(plan, mediated, data, fit, say) if mediated else pd.DataFrame()
    return exposure_result(plan, data, between, exposures, conditional, explained), between


def _provenance(plan: Plan, data: Dataset) -> dict[str, Any]:
    model = hashlib.sha256(model_source(plan)).hexdigest()
    sha256 = {"data": data.sha256, "plan": plan.sha256, "model": model}
    for entry in plan.tumour_sizes:
        sha256[entry.file] = hashlib.sha256(plan.resolve(entry.file).read_bytes()).hexdigest()
    return {"versions": versions(), "seed": plan.seed, "sha256": sha256}
