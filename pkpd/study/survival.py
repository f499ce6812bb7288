"""Time-to-event endpoints of an assessment: exposure-response within each histology, and no contrast between them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response import fit_cox, kaplan_meier, median_survival
from pkpd.response.estimates import normal_quantile
from pkpd.response.likelihood_ratio import chi2_p_value
from pkpd.statements import joined, say
from pkpd.study.assessment import SurvivalResult
from pkpd.study.endpoint_kinds import EndpointPlan
from pkpd.study.plan import Plan

__all__ = ["survival_result"]

REFUSED = say(
    "times_not_compared",
    "Histologies are not compared: without a control arm or natural-history data a difference in the time to an event "
    "between tumour types measures prognosis, not the drug.",
)
STEADY_STATE = say(
    "times_at_steady_state",
    "Exposure at steady state may follow from response where clearance changes with it; the sources of exposure of "
    "the binary endpoints show whether.",
)


def survival_result(plan: Plan, frame: pd.DataFrame, endpoint: EndpointPlan) -> SurvivalResult:
    """Kaplan-Meier curves, and the hazard ratio per doubling of exposure in each histology by Cox's model.

    Exposure is the plan's metric under the planned regimen, fixed in time: an average until the event would
    depend on when the event was.
    """
    event = f"{endpoint.name}:event"
    known = frame[frame[endpoint.name].notna() & frame[event].notna()].reset_index(drop=True)
    metric = plan.exposure.metric
    try:
        curves = kaplan_meier(known, endpoint.name, event, "histology")
    except InputError as error:
        return SurvivalResult(
            endpoint.name, endpoint.label, endpoint.kind, endpoint.shape, metric, pd.DataFrame(), pd.DataFrame(), {},
            say("not_analysed", "Not analysed: {message}", message=error.message),
        )  # fmt: skip
    rows = [
        _within(str(h), own.reset_index(drop=True), endpoint, event, metric, curves)
        for h, own in known.groupby("histology", sort=False)
    ]
    table = pd.DataFrame(rows)
    test = _slopes(
        known[known["histology"].isin(table.loc[table["se"].notna(), "histology"])], endpoint, event, metric
    )
    note = joined([REFUSED, STEADY_STATE]) if metric.endswith("SS") else REFUSED
    return SurvivalResult(
        endpoint.name, endpoint.label, endpoint.kind, endpoint.shape, metric, table, curves, test, note,
        _by_quartile(known, endpoint.name, event, metric),
    )  # fmt: skip


def _by_quartile(known: pd.DataFrame, time: str, event: str, metric: str) -> pd.DataFrame:
    """Kaplan-Meier curves of the quarters of patients by exposure."""
    cuts = np.quantile(known[metric].to_numpy(float), [0.25, 0.5, 0.75])
    if len(known) < 8 or len(set(cuts)) < 3:
        return pd.DataFrame()
    quarter = 1 + np.searchsorted(cuts, known[metric].to_numpy(float), side="left")
    grouped = known.assign(quartile=[str(q) for q in quarter])
    return kaplan_meier(grouped, time, event, "quartile").rename(columns={"histology": "quartile"})


def _within(
    histology: str, own: pd.DataFrame, endpoint: EndpointPlan, event: str, metric: str, curves: pd.DataFrame
) -> dict[str, Any]:
    row: dict[str, Any] = {
        "histology": histology,
        "n": len(own),
        "events": int(own[event].sum()),
        "median": median_survival(curves[curves["histology"] == histology]),
        "hazard_ratio": math.nan,
        "lower": math.nan,
        "upper": math.nan,
        "se": math.nan,
        "p_proportional": math.nan,
    }
    try:
        fit = fit_cox(
            own, endpoint.name, event, metric, shape=endpoint.shape, slopes="common", known_at_start=True
        )
    except (FitError, InputError):
        return row
    # a doubling: of any exposure on the log scale, of the histology's median on the linear one
    step = math.log(2) if endpoint.shape == "log" else float(np.median(own[metric]))
    log_ratio, se = step * float(fit.coefficients["slope"]), step * float(fit.standard_errors["slope"])
    z = normal_quantile(0.90)
    row |= {
        "hazard_ratio": math.exp(log_ratio),
        "lower": math.exp(log_ratio - z * se),
        "upper": math.exp(log_ratio + z * se),
        "se": se,
        "p_proportional": float(fit.proportional_hazards["p_value"].iloc[-1]),
    }
    return row


def _slopes(known: pd.DataFrame, endpoint: EndpointPlan, event: str, metric: str) -> dict[str, Any]:
    """Likelihood-ratio test that the slope is the same in every histology, each with its own baseline hazard."""
    if known["histology"].nunique() < 2:
        return {}
    known = known.reset_index(drop=True)
    try:
        full, reduced = (
            fit_cox(
                known,
                endpoint.name,
                event,
                metric,
                "histology",
                shape=endpoint.shape,
                slopes=slopes,
                known_at_start=True,
            )
            for slopes in ("separate", "common")
        )
    except (FitError, InputError):
        return {}
    statistic = max(2 * (full.log_likelihood - reduced.log_likelihood), 0.0)
    df = len(full.coefficients) - len(reduced.coefficients)
    return {"statistic": statistic, "df": df, "p_chi2": chi2_p_value(statistic, df)}
