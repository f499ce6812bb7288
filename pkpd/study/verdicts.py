"""From the fits of an assessment to its verdicts: margins, evidence, decision table, global statement."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.distributions import HalfNormal, Normal
from pkpd.histology import VERDICT_COLUMNS, Evidence, Margins, decide, gather, normal_hierarchical
from pkpd.statements import Statement, joined, say
from pkpd.study.assessment import EndpointResult, ExposureResult, PkResult
from pkpd.study.plan import Plan
from pkpd.study.subjects import response_rates

__all__ = [
    "exchangeability",
    "forecast_frame",
    "global_statement",
    "margins_of",
    "planned_evidence",
    "verdict_frame",
]


def margins_of(plan: Plan, histologies: tuple[str, ...]) -> Margins:
    """Margins of the decision table as the plan declares them."""
    rates = response_rates(plan, histologies)
    return Margins(
        bounds=plan.exposure.bounds,
        bounds_source=plan.exposure.source,
        delta_efficacy=plan.margins.efficacy,
        delta_safety=plan.margins.safety,
        delta_safety_overrides=dict(plan.margins.safety_by_histology or {}),
        p0=rates,
        p0_source=dict.fromkeys(rates, plan.p0.source),
        candidate_doses=plan.dosing.candidates,
        reference_dose=plan.dosing.reference,
        dose_unit=plan.dosing.unit,
        threshold_conclude=plan.thresholds.conclude,
        threshold_keep=plan.thresholds.keep,
        minimum_n=plan.thresholds.minimum_n,
        small_n=plan.thresholds.small_n,
        shrinkage_limit=plan.thresholds.shrinkage,
        extrapolation_limit=plan.thresholds.extrapolation,
    )


def planned_evidence(
    plan: Plan,
    frame: pd.DataFrame,
    fits: Mapping[str, Any],
    ratios: pd.DataFrame,
    margins: Margins,
    shrinkage: Mapping[str, float],
    *,
    efficacy: str | None = None,
    safety: str | None = None,
    jeffreys: float = 0.5,
) -> dict[str, Evidence]:
    """Evidence on every histology but the reference.

    Parameters
    ----------
    frame : DataFrame
        One row per subject with exposures, endpoints and alias columns.
    fits : dict
        Exposure-response fit by name of the endpoint.
    ratios : DataFrame
        Of :class:`ExposureResult`.
    shrinkage : dict
        Per histology.
    efficacy, safety : str, optional
        Endpoints other than the primary ones.
    jeffreys : float
        Both parameters of the beta prior of the own response rate.
    """
    response = efficacy or plan.endpoint("efficacy").name
    ae = safety or plan.endpoint("safety").name
    return gather(
        frame,
        fits[response],
        fits[ae],
        ratios,
        margins,
        histology="histology",
        reference=plan.data.reference,
        dose="dose",
        response=response,
        ae=ae,
        exposure=plan.exposure.metric,
        reference_exposure="reference",
        seed=plan.seed,
        randomised=plan.dosing.randomised,
        aliases=tuple(plan.data.aliases or ()),
        anchors=plan.data.anchors,
        shrinkage=shrinkage,
        tolerated_doses=plan.dosing.tolerated,
        assay=plan.data.assay,
        jeffreys=jeffreys,
    )


def verdict_frame(evidence: Mapping[str, Evidence], margins: Margins) -> pd.DataFrame:
    """One row per histology, columns of the decision table."""
    rows = [decide(known, margins).row() for known in evidence.values()]
    frame = pd.DataFrame(rows, columns=list(VERDICT_COLUMNS))
    # pandas' own column of text would forget what the sentences were made of
    frame["sentence"] = pd.Series([row["sentence"] for row in rows], index=frame.index, dtype=object)
    return frame


def forecast_frame(evidence: Mapping[str, Evidence]) -> pd.DataFrame:
    """Predictions at the reference dose and every candidate, columns of :attr:`pkpd.study.Assessment.forecasts`."""
    rows = []
    for histology, known in evidence.items():
        for at in known.forecasts:
            row = {
                "histology": histology,
                "dose": at.dose,
                "exposure": at.exposure,
                "response": at.response,
                "ae": at.ae,
            }
            for name, found in (("response", at.response_difference), ("ae", at.ae_difference)):
                lower, upper = found.interval(0.90)
                row |= {f"{name}_difference": found.estimate, f"{name}_lower": lower, f"{name}_upper": upper}
            rows.append(row)
    return pd.DataFrame(rows)


def exchangeability(plan: Plan, between: Any, exposure: ExposureResult) -> dict[str, Any]:
    """Normal hierarchical model on the histology means of log exposure, relative to the reference exposure.

    ``tau`` holds mean, sd, ``threshold`` (τ₀, at which 90 % of histologies lie within the no-effect bounds)
    and ``p_above`` = P(τ > τ₀).
    """
    tau, mu = HalfNormal(plan.exchangeability.tau), Normal(*plan.exchangeability.mu)
    estimates = pd.Series(np.asarray(between.log_mean, float), index=list(between.levels))
    estimates = estimates - math.log(exposure.reference_exposure)
    fit = normal_hierarchical(estimates, covariance=np.asarray(between.covariance, float), tau=tau, mu=mu)
    low, high = plan.exposure.bounds
    threshold = min(-math.log(low), math.log(high)) / 1.6448536269514722
    return {
        "tau": {
            "mean": float(fit.tau_mean),
            "sd": float(fit.tau_sd),
            "threshold": threshold,
            "p_above": float(fit.tau_probability_above(threshold)),
        },
        "table": fit.table,
        "prior": say(
            "exchangeability_prior",
            "tau ~ {tau}, mu ~ {mu}, log exposure relative to the reference histology",
            tau=f"{tau}",
            mu=f"{mu}",
        ),
    }


def global_statement(
    plan: Plan, pk: PkResult, endpoints: tuple[EndpointResult, ...], exchangeable: Mapping[str, Any]
) -> Statement:
    """Say in one sentence each what the global tests and P(τ > τ₀) say about heterogeneity."""
    test, tau = pk.likelihood_ratio, exchangeable["tau"]
    parts = [
        say(
            "exposure_differs" if test["p_value"] < 0.05 else "exposure_not_shown",
            "{tested} differs between histologies (likelihood ratio {statistic} on {df} df, {p});"
            if test["p_value"] < 0.05
            else "{tested} was not shown to differ between histologies (likelihood ratio {statistic} on {df} df, {p});",
            tested=joined(plan.model.tested, ", "),
            statistic=f"{test['statistic']:.1f}",
            df=f"{test['df']}",
            p=_p(test["p_value"]),
        ),
        say(
            "heterogeneity",
            "the between-histology SD of log {metric} is {sd}, P(SD > {threshold}) = {p}.",
            metric=plan.exposure.metric,
            sd=f"{tau['mean']:.2f}",
            threshold=f"{tau['threshold']:.2f}",
            p=f"{tau['p_above']:.2f}",
        ),
    ]
    for endpoint in endpoints:
        slope, level = endpoint.interaction, endpoint.intercepts
        parts.append(
            say(
                "response_differs",
                "{label}, tests of a difference between histologies: slopes {slopes}, level at equal exposure {level}.",
                label=endpoint.label,
                slopes=_p(slope["p_bootstrap"]),
                level=_p(level["p_bootstrap"]),
            )
        )
    return joined(parts)


def _p(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"
