"""Exposure of an assessment: per subject at the dose given and at the reference dose; ratio per histology."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.study.assessment import ExposureResult
from pkpd.study.plan import Plan
from pkpd.study.sections import METRICS

__all__ = ["LEVEL", "exposure_result", "planned_regimen", "subject_exposures"]

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


def subject_exposures(plan: Plan, fit: Any, subjects: pd.DataFrame) -> pd.DataFrame:
    """Exposure metrics of each subject at its own parameters.

    Returns
    -------
    DataFrame
        One row per subject: ID, histology, dose, every metric under the planned regimen at the subject's
        dose, and ``reference``, the plan's metric at the reference dose.
    """
    from pkpd.exposure import exposure_metrics

    # one regimen per dose level, shared by its subjects
    levels = {amount: planned_regimen(plan, amount) for amount in sorted(set(subjects["dose"].astype(float)))}
    own = {i: levels[float(amount)] for i, amount in zip(subjects["ID"], subjects["dose"], strict=True)}
    reference = planned_regimen(plan, plan.dosing.reference)
    at_dose = exposure_metrics(fit, metrics=list(METRICS), regimen=own, interval=plan.dosing.interval)
    at_reference = exposure_metrics(
        fit, metrics=[plan.exposure.metric], regimen=reference, interval=plan.dosing.interval
    )
    table = subjects[["ID", "histology", "dose"]].reset_index(drop=True)
    for metric in METRICS:
        table[metric] = at_dose[metric].reindex(table["ID"]).to_numpy(float)
    table["reference"] = at_reference[plan.exposure.metric].reindex(table["ID"]).to_numpy(float)
    return table


def exposure_result(plan: Plan, data: Dataset, between: Any, exposures: pd.DataFrame) -> ExposureResult:
    """Everything that the report says about exposure.

    Parameters
    ----------
    between : HistologyExposure
        From :func:`pkpd.exposure.histology_exposure` under the reference regimen.
    exposures : DataFrame
        From :func:`subject_exposures`.
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
    )


def _unit(plan: Plan, data: Dataset) -> str:
    """Unit of the metric from those of DV and TIME; empty where the plan does not give them."""
    units = data.units
    concentration, time = units.get("DV", ""), units.get("TIME", "")
    if not concentration or (plan.exposure.metric.startswith("AUC") and not time):
        return ""
    return f"{concentration}·{time}" if plan.exposure.metric.startswith("AUC") else concentration
