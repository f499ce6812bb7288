"""Engagement of the target: a pharmacodynamic measure of each patient over exposure, compared between histologies."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import EmaxFit, fit_emax
from pkpd.response.likelihood_ratio import chi2_p_value
from pkpd.statements import joined, say
from pkpd.study.assessment import EngagementResult
from pkpd.study.endpoint_kinds import EngagementPlan
from pkpd.study.plan import Plan

__all__ = ["engagement_result"]

POINTS = 60  # of each curve
MEANING = say(
    "engagement_meaning",
    "Emax model by least squares: the value without drug and EC50 are shared, each histology has its own Emax. "
    "Verdicts do not rest on it.",
)


def engagement_result(
    plan: Plan, frame: pd.DataFrame, entry: EngagementPlan, reference_exposure: float
) -> EngagementResult:
    """Observed values and Emax curves per histology, and what they predict at equal exposure.

    Parameters
    ----------
    plan : Plan
    frame : DataFrame
        One row per subject: histology, the metric under the planned regimen, the measure under the name of its endpoint.
    entry : EngagementPlan
    reference_exposure : float
        At which histologies are compared.
    """
    metric = plan.exposure.metric
    known = frame[frame[entry.name].notna()].reset_index(drop=True)
    observed = known[["histology", metric, entry.name]].set_axis(["histology", "exposure", "value"], axis=1)
    table = (
        observed.groupby("histology", sort=False)["value"].agg(n="size", mean="mean", sd="std").reset_index()
    )
    empty = pd.DataFrame()
    try:
        # EC50 outside the exposures is a note of the fit, which the statement repeats
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PkpdWarning)
            full, shared = (
                fit_emax(known, entry.name, metric, "histology", slopes=slopes, intercepts="common")
                for slopes in ("separate", "common")
            )
    except (InputError, FitError) as error:
        names = ("response", "lower", "upper", "difference", "difference_lower", "difference_upper")
        nothing = say("not_analysed", "Not analysed: {message}", message=error.message)
        table = table.assign(**dict.fromkeys(names, math.nan))
        return EngagementResult(
            entry.name, entry.label, entry.unit, metric, table, empty, empty, observed, {}, nothing
        )
    curves = pd.concat(
        [
            _curve(full, str(h), own["exposure"].to_numpy(float))
            for h, own in observed.groupby("histology", sort=False)
        ],
        ignore_index=True,
    )
    notes = [MEANING, *full.warnings]
    if len(known) < len(frame):
        left = {"n": str(len(frame) - len(known)), "all": str(len(frame))}
        notes.append(
            say("engagement_missing", "{n} of {all} patients have no value and are left out.", **left)
        )
    return EngagementResult(
        entry.name,
        entry.label,
        entry.unit,
        metric,
        table.join(_at(full, table["histology"], plan.data.reference, reference_exposure)),
        full.parameters,
        curves,
        observed,
        _test(full, shared),
        joined(notes),
    )


def _curve(fit: EmaxFit, histology: str, exposures: np.ndarray) -> pd.DataFrame:
    low, high = float(exposures.min()), float(exposures.max())
    along = np.geomspace(low, high, POINTS) if low > 0 else np.linspace(low, high, POINTS)
    return fit.curve(histology, along, level=0.90)


def _at(fit: EmaxFit, histologies: pd.Series, reference: str, exposure: float) -> pd.DataFrame:
    rows = []
    for name in histologies:
        row = (
            fit.curve(name, [exposure], level=0.90)
            .iloc[0][["response", "lower", "upper"]]
            .astype(float)
            .to_dict()
        )
        apart = (math.nan,) * 3
        if name != reference and reference in fit.histologies:
            apart = fit.difference(name, reference, exposure, level=0.90)
        row |= dict(zip(("difference", "difference_lower", "difference_upper"), apart, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def _test(full: EmaxFit, shared: EmaxFit) -> dict[str, float]:
    df = len(full.coefficients) - len(shared.coefficients)
    if df == 0:
        return {}
    statistic = max(2 * (full.log_likelihood - shared.log_likelihood), 0.0)
    return {"statistic": statistic, "df": df, "p_chi2": chi2_p_value(statistic, df)}
