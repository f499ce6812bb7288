"""What an assessment assumes, in sentences."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pkpd.histology.sentence import dose_text
from pkpd.statements import joined, say
from pkpd.study.plan import Plan
from pkpd.study.responses import LOG_SD, evaluable, flat_histologies

__all__ = ["assumptions"]


def assumptions(
    plan: Plan, frame: pd.DataFrame, fits: dict[str, Any], exchangeable: dict[str, Any]
) -> tuple[str, ...]:
    """Say what the assessment assumes, one sentence each.

    Parameters
    ----------
    frame : DataFrame
        One row per subject with the endpoints.
    fits : dict
        Exposure-response fit by name of the binary endpoint.
    exchangeable : dict
        Of :func:`pkpd.study.verdicts.exchangeability`.
    """
    low, high = plan.exposure.bounds
    lines = [
        say(
            "typical_subjects",
            "Histologies are compared under {dose} every {interval}; the ratio of exposures is that of typical "
            "subjects (random effects zero), averaged over each histology's own covariates (marginal); that at equal "
            "covariates (conditional) stands beside it.",
            dose=dose_text(plan.dosing.reference, plan.dosing.unit),
            interval=f"{plan.dosing.interval:g} {(plan.data.units or {}).get('TIME', '')}".strip(),
        ),
        say(
            "dose_proportional",
            "Exposure at another dose is exposure at the reference dose in proportion to the dose.",
        ),
        say(
            "standard_errors_by_louis",
            "Standard errors of the population PK fit are those of Louis's formula.",
        )
        if plan.model.methods[-1] in ("SAEM", "IMP")
        else say(
            "standard_errors_of_r",
            "Standard errors of the population PK fit are those of the R matrix: the sandwich estimate is too small "
            "for histologies with few subjects.",
        ),
        say(
            "bounds_source",
            "No-effect bounds {low}-{high}: {source}.",
            low=f"{low:g}",
            high=f"{high:g}",
            source=_ended(plan.exposure.source),
        ),
        say(
            "exchangeability",
            "Exchangeability between histologies: {prior}.",
            prior=exchangeable["prior"],
        ),
    ]
    if not plan.exposure_only:
        lines.insert(
            3,
            say(
                "doses_randomised",
                "Doses were randomised within histologies, so exposure-response may be read as an effect of the dose.",
            )
            if plan.dosing.randomised
            else say(
                "doses_not_randomised",
                "Doses were not randomised, so exposure-response may carry confounding.",
            ),
        )
        lines[1:1] = [
            say(
                "empirical_bayes",
                "{metric} enters the exposure-response as each subject's empirical Bayes estimate, from the fit that "
                "contains the histology effect.",
                metric=plan.exposure.metric,
            ),
        ]
        if LOG_SD in frame.columns:
            lines.insert(
                2,
                say(
                    "exposure_joint",
                    "Shrinkage is above {percent} %: the uncertainty of each subject's exposure is part of the likelihood of "
                    "the exposure-response, given the estimates of the population PK fit; the tests of a difference between "
                    "histologies take the empirical Bayes estimates as they are.",
                    percent=f"{100 * plan.thresholds.shrinkage:g}",
                ),
            )
        lines[-1:-1] = [
            say(
                "margins_source",
                "Margins of {efficacy} (efficacy) and {safety} (safety) percentage points: {source}.",
                efficacy=f"{100 * plan.margins.efficacy:g}",
                safety=f"{100 * plan.margins.safety:g}",
                source=_ended(plan.margins.source),
            ),
            say(
                "p0_source",
                "Response rate below which the drug is not worth giving: {source}.",
                source=_ended(plan.p0.source),
            ),
        ]
    if plan.model.methods[-1] in ("SAEM", "IMP"):
        lines.append(
            say(
                "likelihood_sampled",
                "The likelihoods that test histology on the population PK are computed by importance sampling and carry "
                "its error.",
            )
        )
    for endpoint in plan.endpoints:
        missing = int(frame[endpoint.name].isna().sum())
        if missing:
            lines.append(
                say(
                    "outcome_missing",
                    "{label}: {n} subjects without an outcome are left out.",
                    label=endpoint.label,
                    n=f"{missing}",
                )
            )
        if not endpoint.binary:
            continue
        fit = fits[endpoint.name]
        lines.append(
            say(
                "penalised" if fit.firth else "not_penalised",
                "{label}: Firth's penalised likelihood ({reason})."
                if fit.firth
                else "{label}: maximum likelihood ({reason}).",
                label=endpoint.label,
                reason=fit.firth_reason,
            )
        )
        flat = flat_histologies(plan, evaluable(frame, endpoint))
        if flat:
            lines.append(
                say(
                    "exposures_equal",
                    "{label}: no exposure-response in {histologies}, where all exposures are equal.",
                    label=endpoint.label,
                    histologies=joined(flat, ", "),
                )
            )
    return tuple(lines)


def _ended(source: str) -> str:
    """The source of a margin as the end of a sentence that has its own point."""
    return source.rstrip(". ")
