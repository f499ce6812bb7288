"""The sentence that a clinician reads: what was found for one histology, and what follows from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pkpd.histology.evidence import Evidence
from pkpd.histology.margins import Margins
from pkpd.statements import Statement, joined, say

if TYPE_CHECKING:
    from pkpd.histology.verdict import Verdict

__all__ = ["dose_text", "percent", "sentence_for"]


def sentence_for(verdict: Verdict, evidence: Evidence, margins: Margins) -> Statement:
    """Plain English for a verdict; probabilities in percent, differences in percentage points."""
    body = {
        "0": _too_few,
        "1": _exclude,
        "2a": _exposure_match,
        "2b": _safety_limit,
        "2c": _effect_match,
        "3": _same,
        "3'": _same_lower,
        "4": _undecided,
    }[verdict.rule]
    return joined([body(verdict, evidence, margins), *_notes(verdict, evidence)])


def percent(p: float) -> str:
    """A probability in words of the report: whole percent, never exactly 0 or 100."""
    if math.isnan(p):
        return say("unknown", "unknown")
    # a probability from draws is never exactly 0 or 1
    if p > 0.995:
        return "> 99 %"
    if p < 0.005:
        return "< 1 %"
    return f"{100 * p:.0f} %"


def _points(value: float) -> str:
    return f"{100 * value:.0f}"


def dose_text(dose: float, unit: str) -> str:
    """A dose with its unit."""
    return f"{dose:g} {unit}" if unit else say("dose", "dose {dose}", dose=f"{dose:g}")


def _exposure(v: Verdict) -> Statement:
    return say(
        "exposure_ratio",
        "its exposure is {ratio} times that of {reference} (90 % interval {lower} to {upper})",
        ratio=f"{v.ratio:.2f}",
        reference=v.reference,
        lower=f"{v.ratio_lower:.2f}",
        upper=f"{v.ratio_upper:.2f}",
    )


def _dose(dose: float, m: Margins) -> str:
    return dose_text(dose, m.dose_unit)


def _at_dose(v: Verdict, m: Margins) -> Statement:
    return say(
        "at_dose",
        "At {dose} a response of {response} and adverse events in {ae} are predicted.",
        dose=_dose(v.dose, m),
        response=percent(v.response_at_dose),
        ae=percent(v.ae_at_dose),
    )


def _too_few(v: Verdict, e: Evidence, m: Margins) -> Statement:
    counts = say(
        "evaluable",
        "{n_pk} evaluable for exposure, {n_response} for response, {n_ae} for adverse events",
        n_pk=f"{e.n_pk}",
        n_response=f"{e.n_response}",
        n_ae=f"{e.n_ae}",
    )
    if "identifiable" in v.failed:
        found = say(
            "not_identifiable",
            "{histology}: no conclusion is possible, because the histology cannot be told apart from "
            "{aliases} and no external knowledge resolves it ({counts}). This is not an exclusion.",
            histology=v.histology,
            aliases=e.aliased_with,
            counts=counts,
        )
    else:
        found = say(
            "too_few",
            "{histology}: the data do not suffice for a conclusion ({counts}; at least {minimum} are needed). "
            "This is not an exclusion.",
            histology=v.histology,
            counts=counts,
            minimum=f"{m.minimum_n}",
        )
    return joined([found, _until_then(v, e, m)])


def _exclude(v: Verdict, e: Evidence, m: Margins) -> Statement:
    own, source = e.own_data(), m.p0_source.get(e.histology, "")
    return say(
        "exclude",
        "{histology}: leave it out, or develop it separately. {responders} of {n} patients responded at "
        "{dose}; the probability that the response rate lies below the {p0} that would make the drug worth "
        "giving{source} is {probability}. {low_exposure}: {exposure}.",
        histology=v.histology,
        responders=f"{own.responders:g}",
        n=f"{own.n:g}",
        dose=_dose(own.dose, m),
        p0=percent(m.p0_of(e.histology)),
        source=say("in_brackets", " ({text})", text=source) if source else "",
        probability=percent(v.p_response_below_p0),
        low_exposure=_low_exposure(v, m),
        exposure=_exposure(v),
    )


def _low_exposure(v: Verdict, m: Margins) -> Statement:
    if v.p_exposure_below <= 1 - m.threshold_conclude:
        return say("exposure_not_low", "Low exposure does not explain it")
    return say(
        "exposure_perhaps_low",
        "That exposure is too low is neither shown nor ruled out (probability below {low}: {probability})",
        low=f"{m.bounds[0]:g}",
        probability=percent(v.p_exposure_below),
    )


def _exposure_match(v: Verdict, e: Evidence, m: Margins) -> Statement:
    found = say(
        "exposure_match",
        "{histology}: give {dose} instead of {reference_dose} to match the exposure of {reference}; at the "
        "same dose {exposure}, outside {low} to {high} with a probability of {probability}.",
        histology=v.histology,
        dose=_dose(v.dose, m),
        reference_dose=_dose(m.reference_dose, m),
        reference=v.reference,
        exposure=_exposure(v),
        low=f"{m.bounds[0]:g}",
        high=f"{m.bounds[1]:g}",
        probability=percent(max(v.p_exposure_below, v.p_exposure_above)),
    )
    return joined([found, _at_dose(v, m)])


def _more_adverse_events(v: Verdict, e: Evidence, m: Margins) -> Statement:
    return say(
        "more_adverse_events",
        "at equal exposure adverse events are {points} percentage points more frequent than in {reference} "
        "(more than the acceptable {margin} with a probability of {probability})",
        points=_points(e.safety.estimate),
        reference=v.reference,
        margin=_points(m.delta_safety_of(e.histology)),
        probability=percent(v.p_safety_lost),
    )


def _safety_limit(v: Verdict, e: Evidence, m: Margins) -> Statement:
    found = _more_adverse_events(v, e, m)
    if math.isnan(v.dose):
        return say(
            "no_safe_dose",
            "{histology}: no studied dose is acceptable and no dose can be named: {found}, and no candidate "
            "dose keeps them within {margin} points of the reference.",
            histology=v.histology,
            found=found,
            margin=_points(m.delta_safety_of(e.histology)),
        )
    cost = e.forecast(m.reference_dose).response - v.response_at_dose
    limit = say(
        "safety_limit",
        "{histology}: give at most {dose} instead of {reference_dose}, for safety: {found}.",
        histology=v.histology,
        dose=_dose(v.dose, m),
        reference_dose=_dose(m.reference_dose, m),
        found=found,
    )
    price = say(
        "price",
        "The price is {points} points of response against {reference_dose}.",
        points=_points(cost),
        reference_dose=_dose(m.reference_dose, m),
    )
    parts = [limit, _at_dose(v, m), price]
    if v.response_at_dose < m.p0_of(e.histology):
        parts.append(
            say(
                "below_p0",
                "That response lies below the {p0} that would make the drug worth giving: weigh whether to "
                "treat this histology at all.",
                p0=percent(m.p0_of(e.histology)),
            )
        )
    return joined(parts)


def _effect_match(v: Verdict, e: Evidence, m: Margins) -> Statement:
    found = say(
        "effect_match",
        "{histology}: give {dose} instead of {reference_dose} to restore the response: {found}.",
        histology=v.histology,
        dose=_dose(v.dose, m),
        reference_dose=_dose(m.reference_dose, m),
        found=say(
            "it_responds_less",
            "at equal exposure it is {points} percentage points lower than in {reference} (more than the "
            "acceptable {margin} with a probability of {probability})",
            **_lost(v, e, m),
        ),
    )
    return joined([found, _at_dose(v, m)])


def _lost(v: Verdict, e: Evidence, m: Margins) -> dict[str, str]:
    return {
        "points": _points(-e.effect.estimate),
        "reference": v.reference,
        "margin": _points(m.delta_efficacy),
        "probability": percent(v.p_effect_lost),
    }


def _same(v: Verdict, e: Evidence, m: Margins) -> Statement:
    found = say(
        "same_dose",
        "{histology}: the same dose as {reference} ({dose}): {exposure}, within {low} to {high} with a "
        "probability of {within}; response is not lower by {efficacy} percentage points or more ({kept}) and "
        "adverse events are not higher by {safety} or more ({safe}).",
        histology=v.histology,
        reference=v.reference,
        dose=_dose(v.dose, m),
        exposure=_exposure(v),
        low=f"{m.bounds[0]:g}",
        high=f"{m.bounds[1]:g}",
        within=percent(v.p_exposure_within),
        efficacy=_points(m.delta_efficacy),
        kept=percent(min(v.p_effect_kept, v.p_total_kept)),
        safety=_points(m.delta_safety_of(e.histology)),
        safe=percent(v.p_safety_kept),
    )
    return joined([found, _at_dose(v, m)])


def _same_lower(v: Verdict, e: Evidence, m: Margins) -> Statement:
    lower, upper = e.total.interval(0.90)
    shown = v.p_effect_lost >= m.threshold_conclude
    found = say(
        "same_dose_lower",
        "{histology}: the same dose as {reference} ({dose}). The response {shown} (difference {points} "
        "percentage points, 90 % interval {lower} to {upper}), but no dose is predicted to mend that, and it "
        "lies above the {p0} that makes the drug worth giving with a probability of {probability}. Exposure "
        "and adverse events agree with {reference}: {exposure}.",
        histology=v.histology,
        reference=v.reference,
        dose=_dose(v.dose, m),
        shown=say("is_lower", "is lower") if shown else say("may_be_lower", "may be lower"),
        points=_points(e.total.estimate),
        lower=_points(lower),
        upper=_points(upper),
        p0=percent(m.p0_of(e.histology)),
        probability=percent(1 - v.p_response_below_p0),
        exposure=_exposure(v),
    )
    return joined([found, _at_dose(v, m)])


def _condition(name: str, v: Verdict) -> Statement:
    if name == "exposure_within":
        return say("lacks_exposure", "exposure within the bounds ({p})", p=percent(v.p_exposure_within))
    if name == "effect_kept":
        return say("lacks_effect", "response kept at equal exposure ({p})", p=percent(v.p_effect_kept))
    if name == "safety_kept":
        return say("lacks_safety", "adverse events kept at equal exposure ({p})", p=percent(v.p_safety_kept))
    return say("lacks_total", "response kept at the reference dose ({p})", p=percent(v.p_total_kept))


def _undecided(v: Verdict, e: Evidence, m: Margins) -> Statement:
    missing = joined([_condition(name, v) for name in v.failed], ", ")
    p0 = percent(m.p0_of(e.histology))
    if v.p_effect_lost >= m.threshold_conclude:
        found = say(
            "responds_less",
            "at equal exposure the response is {points} percentage points lower than in {reference} (more "
            "than the acceptable {margin} with a probability of {probability}), but neither an exclusion "
            "follows (response below {p0}: {below}) nor a dose",
            **_lost(v, e, m),
            p0=p0,
            below=percent(v.p_response_below_p0),
        )
    elif max(v.p_exposure_below, v.p_exposure_above) >= m.threshold_conclude:
        found = say("no_dose_follows", "{found}, but no dose follows from it", found=_exposure(v))
    elif v.p_safety_lost >= m.threshold_conclude:
        found = say(
            "unsafe_without_dose",
            "at equal exposure adverse events are {points} percentage points more frequent than in "
            "{reference}, but no dose follows from it",
            points=_points(e.safety.estimate),
            reference=v.reference,
        )
    else:
        found = say("nothing_shown", "neither sameness nor a meaningful difference is shown")
    undecided = say(
        "undecided",
        "{histology}: {found}{missing}. The same dose needs {conclude} for exposure and {keep} for response "
        "and adverse events.",
        histology=v.histology,
        found=found,
        missing=say("not_shown", " (not shown: {conditions})", conditions=missing) if missing else "",
        conclude=percent(m.threshold_conclude),
        keep=percent(m.threshold_keep),
    )
    return joined([undecided, _until_then(v, e, m)])


def _until_then(v: Verdict, e: Evidence, m: Margins) -> Statement:
    if v.n_needed is not None:
        needed = say(
            "n_decides",
            "If the estimates held, {n} evaluable patients in this histology would decide (standard errors "
            "shrinking as 1/√n).",
            n=f"{v.n_needed}",
        )
    elif "identifiable" in v.failed:
        needed = say(
            "design_decides",
            "More patients alone would not decide; the design must separate the two.",
        )
    elif e.n == 0:
        needed = say(
            "n_unknown",
            "Without a single evaluable patient it cannot be said how many would decide.",
        )
    else:
        needed = say(
            "no_n_decides",
            "If the estimates held, no number of patients in this histology would decide.",
        )
    until = say(
        "until_then",
        "Until then keep the reference dose ({dose}) and monitor.",
        dose=_dose(m.reference_dose, m),
    )
    return joined([needed, until])


def _notes(v: Verdict, e: Evidence) -> list[str]:
    told = ("efficacy_cost", "nothing_acceptable")  # by the sentences of row 2b
    notes: list[str] = [
        say("reason", "{reason:capital}.", reason=reason)
        for reason in v.reasons
        if getattr(reason, "key", "") not in told
    ]
    if v.rule == "2b" and math.isnan(v.dose) and v.n_needed is not None:
        notes.append(
            say(
                "n_would_decide",
                "If the estimates held, {n} evaluable patients would decide.",
                n=f"{v.n_needed}",
            )
        )
    if v.verdict == "same dose" and v.evidence_class == "EC3":
        notes.append(
            say("rests_on_rates", "This rests on response rates, not on an exposure-response slope.")
        )
    if "CONFOUNDED" in v.qualifiers and e.anchor:
        notes.append(
            say(
                "anchored",
                "The histology is confounded with {aliases}; the conclusion rests on {anchor}.",
                aliases=e.aliased_with,
                anchor=e.anchor,
            )
        )
    if "EXTRAPOLATED" in v.qualifiers:
        notes.append(say("extrapolated", "The exposure at this dose lies outside what was studied."))
    if "HIGH-SHRINKAGE" in v.qualifiers:
        notes.append(
            say(
                "blurred",
                "Shrinkage of {shrinkage} blurs the individual exposures.",
                shrinkage=percent(e.shrinkage),
            )
        )
    if e.prior_sensitive:
        notes.append(
            say("rests_on_prior", "The verdict rests on the prior: {changes}.", changes=e.prior_sensitive)
        )
    if e.dominated_by:
        notes.append(
            say(
                "rests_on_another",
                "The verdict rests on another histology: {changes}.",
                changes=e.dominated_by,
            )
        )
    if len(e.assays) > 1:
        notes.append(
            say(
                "assays_differ",
                "Patients were selected by different assays ({assays}).",
                assays=joined(e.assays, ", "),
            )
        )
    return notes
