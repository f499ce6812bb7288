"""Exposure-response of one endpoint of an assessment: the fit, its tests, and what is drawn of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.histology import Evidence, likelihood_ratio
from pkpd.response import (
    LogisticFit,
    counts,
    fit_logistic,
    observed_proportions,
    with_uncertain_exposure,
)
from pkpd.study.assessment import EndpointResult
from pkpd.study.borrowing import borrowed_responses
from pkpd.study.endpoint_kinds import EndpointPlan
from pkpd.study.plan import Plan
from pkpd.study.stages import finished

__all__ = ["LOG_SD", "endpoint_result", "evaluable", "fit_endpoint", "histology_test"]

CURVE_POINTS = 61
LOG_SD = "log_sd"  # column with the uncertainty of exposures, where it is part of the likelihood
GROUPS = 4  # groups of equal size per histology, next to the curves


def evaluable(frame: pd.DataFrame, endpoint: EndpointPlan) -> pd.DataFrame:
    """Subjects whose outcome is known."""
    return frame[frame[endpoint.name].notna()].reset_index(drop=True)


def flat_histologies(plan: Plan, known: pd.DataFrame) -> list[str]:
    """Histologies other than the reference in which the exposure takes a single value."""
    values = known.groupby("histology", sort=False)[plan.exposure.metric].nunique()
    return [str(h) for h, n in values.items() if n < 2 and h != plan.data.reference]


def fit_endpoint(
    plan: Plan,
    frame: pd.DataFrame,
    endpoint: EndpointPlan,
    reference_exposure: float,
    *,
    firth: str | bool = "auto",
    penalty: float = 1.0,
) -> LogisticFit:
    """Fit intercept and slope of every histology; intercepts are logits at the reference exposure.

    `firth` and `penalty` as in :func:`pkpd.response.fit_logistic`.

    Where the frame has the column ``log_sd``, the uncertainty of each exposure is part of the likelihood.

    A histology whose patients share one exposure (a single patient, say) has no slope and is left out: its verdict is
    "insufficient data" whatever its outcomes.
    """
    known = evaluable(frame, endpoint)
    without = flat_histologies(plan, known)
    table = known[~known["histology"].isin(without)].reset_index(drop=True)
    fit = fit_logistic(
        table,
        response=endpoint.name,
        exposure=plan.exposure.metric,
        histology="histology",
        shape=endpoint.shape,
        reference_exposure=reference_exposure,
        firth=firth,
        penalty=penalty,
    )
    return with_uncertain_exposure(fit, table[LOG_SD]) if LOG_SD in table.columns else fit


def histology_test(plan: Plan, frame: pd.DataFrame, endpoint: EndpointPlan, term: str) -> dict[str, Any]:
    """Likelihood-ratio test of histology × exposure, or of intercepts, with its bootstrap p-value.

    Where the frame has the column ``log_sd``, the uncertainty of each exposure is part of all likelihoods.
    """
    uncertain = [LOG_SD] if LOG_SD in frame.columns else []
    known = evaluable(frame, endpoint)[[endpoint.name, plan.exposure.metric, "histology", *uncertain]]
    settings: dict[str, Any] = {
        "response": endpoint.name,
        "exposure": plan.exposure.metric,
        "histology": "histology",
        "term": term,
        "p_value": "bootstrap",
        "n_bootstrap": plan.bootstrap.n,
        "seed": plan.seed,
        "shape": endpoint.shape,
        "log_sd": LOG_SD if uncertain else None,
    }

    def work() -> dict[str, Any]:
        test = likelihood_ratio(known, **settings)
        keys = ("statistic", "df", "p_chi2", "p_bootstrap", "n_bootstrap")
        return {key: getattr(test, key) for key in keys}

    return finished("histology test", work, known, settings)


def endpoint_result(
    plan: Plan,
    frame: pd.DataFrame,
    endpoint: EndpointPlan,
    fit: LogisticFit,
    evidence: dict[str, Evidence],
    tests: dict[str, dict[str, Any]],
    sources: dict[str, Any],
) -> EndpointResult:
    """Everything that the report says about one endpoint."""
    known = evaluable(frame, endpoint)
    return EndpointResult(
        name=endpoint.name,
        label=endpoint.label,
        kind=endpoint.kind,
        shape=endpoint.shape,
        coefficients=fit.parameters,
        counts=counts(known, endpoint.name, "histology", "dose"),
        curves=_curves(plan, known, fit, endpoint),
        observed=observed_proportions(known, endpoint.name, plan.exposure.metric, "histology", groups=GROUPS),
        interaction=tests["interaction"],
        intercepts=tests["intercepts"],
        contrasts=_contrasts(evidence, endpoint),
        primary=plan.is_primary(endpoint),
        sources=sources,
        borrowing=_borrowing(known, endpoint.name),
    )


def _borrowing(known: pd.DataFrame, name: str) -> dict[str, Any]:
    return finished("borrowing", lambda: borrowed_responses(known, name), known[[name, "histology"]])


def _curves(plan: Plan, known: pd.DataFrame, fit: LogisticFit, endpoint: EndpointPlan) -> pd.DataFrame:
    pieces = []
    for histology, own in known.groupby("histology", sort=False):
        if histology not in fit.histologies:
            continue
        low, high = own[plan.exposure.metric].min(), own[plan.exposure.metric].max()
        grid = np.geomspace if endpoint.shape == "log" else np.linspace
        pieces.append(fit.curve(str(histology), grid(low, high, CURVE_POINTS), level=0.90))
    return pd.concat(pieces, ignore_index=True)


def _contrasts(evidence: dict[str, Evidence], endpoint: EndpointPlan) -> pd.DataFrame:
    rows = []
    for histology, known in evidence.items():
        contrast = known.effect if endpoint.kind == "efficacy" else known.safety
        lower, upper = contrast.interval(0.90)
        rows.append({"histology": histology, "difference": contrast.estimate, "lower": lower, "upper": upper})
    return pd.DataFrame(rows, columns=["histology", "difference", "lower", "upper"])
