"""The sentence that a clinician reads: what was found for one histology, and what follows from it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pkpd.histology.evidence import Evidence
from pkpd.histology.margins import Margins

if TYPE_CHECKING:
    from pkpd.histology.verdict import Verdict

__all__ = ["percent", "sentence_for"]


def sentence_for(verdict: Verdict, evidence: Evidence, margins: Margins) -> str:
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
    parts = [body(verdict, evidence, margins), *_notes(verdict, evidence)]
    return " ".join(parts)


def percent(p: float) -> str:
    """A probability in words of the report: whole percent, never exactly 0 or 100."""
    if math.isnan(p):
        return "unknown"
    # a probability from draws is never exactly 0 or 1
    if p > 0.995:
        return "> 99 %"
    if p < 0.005:
        return "< 1 %"
    return f"{100 * p:.0f} %"


def _points(value: float) -> str:
    return f"{100 * value:.0f}"


def _exposure(v: Verdict) -> str:
    return (
        f"its exposure is {v.ratio:.2f} times that of {v.reference} "
        f"(90 % interval {v.ratio_lower:.2f} to {v.ratio_upper:.2f})"
    )


def _dose(dose: float, m: Margins) -> str:
    return f"{dose:g} {m.dose_unit}" if m.dose_unit else f"dose {dose:g}"


def _at_dose(v: Verdict, m: Margins) -> str:
    return (
        f"At {_dose(v.dose, m)} a response of {percent(v.response_at_dose)} and adverse events in "
        f"{percent(v.ae_at_dose)} are predicted."
    )


def _too_few(v: Verdict, e: Evidence, m: Margins) -> str:
    counts = f"{e.n_pk} evaluable for exposure, {e.n_response} for response, {e.n_ae} for adverse events"
    text = (
        f"{v.histology}: the data do not suffice for a conclusion ({counts}; at least {m.minimum_n} are "
        "needed)"
    )
    if "identifiable" in v.failed:
        text = (
            f"{v.histology}: no conclusion is possible, because the histology cannot be told apart from "
            f"{e.aliased_with} and no external knowledge resolves it ({counts})"
        )
    return f"{text}. This is not an exclusion. {_until_then(v, e, m)}"


def _exclude(v: Verdict, e: Evidence, m: Margins) -> str:
    own, p0 = e.own_data(), m.p0_of(e.histology)
    source = m.p0_source.get(e.histology, "")
    return (
        f"{v.histology}: leave it out, or develop it separately. {own.responders:g} of {own.n:g} patients "
        "responded at "
        f"{_dose(own.dose, m)}; the probability that the response rate lies below the {percent(p0)} that "
        "would make "
        f"the drug worth giving{f' ({source})' if source else ''} is {percent(v.p_response_below_p0)}. "
        f"Low exposure does not explain it: {_exposure(v)}."
    )


def _exposure_match(v: Verdict, e: Evidence, m: Margins) -> str:
    return (
        f"{v.histology}: give {_dose(v.dose, m)} instead of {_dose(m.reference_dose, m)} to match the "
        "exposure of "
        f"{v.reference}; at "
        f"the same dose {_exposure(v)}, outside {m.bounds[0]:g} to {m.bounds[1]:g} with a probability of "
        f"{percent(max(v.p_exposure_below, v.p_exposure_above))}. {_at_dose(v, m)}"
    )


def _safety_limit(v: Verdict, e: Evidence, m: Margins) -> str:
    delta = m.delta_safety_of(e.histology)
    found = (
        f"at equal exposure adverse events are {_points(e.safety.estimate)} percentage points more "
        "frequent than in "
        f"{v.reference} (more than the acceptable {_points(delta)} with a probability of "
        f"{percent(v.p_safety_lost)})"
    )
    if math.isnan(v.dose):
        return (
            f"{v.histology}: no studied dose is acceptable and no dose can be named: {found}, and no "
            "candidate dose "
            f"keeps them within {_points(delta)} points of the reference."
        )
    cost = e.forecast(m.reference_dose).response - v.response_at_dose
    text = (
        f"{v.histology}: give at most {_dose(v.dose, m)} instead of {_dose(m.reference_dose, m)}, for "
        f"safety: {found}. "
        f"{_at_dose(v, m)} The price is {_points(cost)} points of response against "
        f"{_dose(m.reference_dose, m)}."
    )
    if v.response_at_dose < m.p0_of(e.histology):
        text += (
            f" That response lies below the {percent(m.p0_of(e.histology))} that would make the drug "
            "worth giving: "
            "weigh whether to treat this histology at all."
        )
    return text


def _effect_match(v: Verdict, e: Evidence, m: Margins) -> str:
    return (
        f"{v.histology}: give {_dose(v.dose, m)} instead of {_dose(m.reference_dose, m)} to restore the "
        "response: at equal "
        "exposure it "
        f"is {_points(-e.effect.estimate)} percentage points lower than in {v.reference} (more than the "
        "acceptable "
        f"{_points(m.delta_efficacy)} with a probability of {percent(v.p_effect_lost)}). {_at_dose(v, m)}"
    )


def _same(v: Verdict, e: Evidence, m: Margins) -> str:
    text = (
        f"{v.histology}: the same dose as {v.reference} ({_dose(v.dose, m)}): {_exposure(v)}, within "
        f"{m.bounds[0]:g} to "
        f"{m.bounds[1]:g} with a probability of {percent(v.p_exposure_within)}; response is not lower by "
        f"{_points(m.delta_efficacy)} percentage points or more "
        f"({percent(min(v.p_effect_kept, v.p_total_kept))}) and "
        f"adverse events are not higher by {_points(m.delta_safety_of(e.histology))} or more "
        f"({percent(v.p_safety_kept)}). {_at_dose(v, m)}"
    )
    return text


def _same_lower(v: Verdict, e: Evidence, m: Margins) -> str:
    lower, upper = e.total.interval(0.90)
    shown = "is lower" if v.p_effect_lost >= m.threshold_conclude else "may be lower"
    return (
        f"{v.histology}: the same dose as {v.reference} ({_dose(v.dose, m)}). The response {shown} "
        "(difference "
        f"{_points(e.total.estimate)} percentage points, 90 % interval {_points(lower)} to "
        f"{_points(upper)}), but no dose "
        f"is predicted to mend that, and it lies above the {percent(m.p0_of(e.histology))} that makes the "
        "drug worth "
        f"giving with a probability of {percent(1 - v.p_response_below_p0)}. Exposure and adverse events "
        "agree with "
        f"{v.reference}: {_exposure(v)}. {_at_dose(v, m)}"
    )


_CONDITIONS = {
    "exposure_within": "exposure within the bounds ({p_exposure_within})",
    "effect_kept": "response kept at equal exposure ({p_effect_kept})",
    "safety_kept": "adverse events kept at equal exposure ({p_safety_kept})",
    "total_kept": "response kept at the reference dose ({p_total_kept})",
}


def _undecided(v: Verdict, e: Evidence, m: Margins) -> str:
    probabilities = {name: percent(getattr(v, name)) for name in vars(v) if name.startswith("p_")}
    missing = ", ".join(_CONDITIONS[name].format(**probabilities) for name in v.failed)
    because = f" (not shown: {missing})" if missing else ""
    if v.p_effect_lost >= m.threshold_conclude:
        found = (
            f"at equal exposure the response is {_points(-e.effect.estimate)} percentage points lower than "
            "in "
            f"{v.reference} (more than the acceptable {_points(m.delta_efficacy)} with a probability of "
            f"{percent(v.p_effect_lost)}), but neither an exclusion follows (response below "
            f"{percent(m.p0_of(e.histology))}: {percent(v.p_response_below_p0)}) nor a dose"
        )
    elif max(v.p_exposure_below, v.p_exposure_above) >= m.threshold_conclude:
        found = f"{_exposure(v)}, but no dose follows from it"
    elif v.p_safety_lost >= m.threshold_conclude:
        found = (
            f"at equal exposure adverse events are {_points(e.safety.estimate)} percentage points more "
            "frequent than "
            f"in {v.reference}, but no dose follows from it"
        )
    else:
        found = "neither sameness nor a meaningful difference is shown"
    return (
        f"{v.histology}: {found}{because}. The same dose needs {percent(m.threshold_conclude)} for "
        "exposure and "
        f"{percent(m.threshold_keep)} for response and adverse events. {_until_then(v, e, m)}"
    )


def _until_then(v: Verdict, e: Evidence, m: Margins) -> str:
    if v.n_needed is not None:
        needed = (
            f"If the estimates held, {v.n_needed} evaluable patients in this histology would decide "
            "(standard errors shrinking as 1/√n)."
        )
    elif "identifiable" in v.failed:
        needed = "More patients alone would not decide; the design must separate the two."
    elif e.n == 0:
        needed = "Without a single evaluable patient it cannot be said how many would decide."
    else:
        needed = "If the estimates held, no number of patients in this histology would decide."
    return f"{needed} Until then keep the reference dose ({_dose(m.reference_dose, m)}) and monitor."


def _notes(v: Verdict, e: Evidence) -> list[str]:
    told = ("efficacy cost", "no studied dose")  # by the sentences of row 2b
    notes = [f"{reason[0].upper()}{reason[1:]}." for reason in v.reasons if not reason.startswith(told)]
    if v.rule == "2b" and math.isnan(v.dose) and v.n_needed is not None:
        notes.append(f"If the estimates held, {v.n_needed} evaluable patients would decide.")
    if v.verdict == "same dose" and v.evidence_class == "EC3":
        notes.append("This rests on response rates, not on an exposure-response slope.")
    if "CONFOUNDED" in v.qualifiers and e.anchor:
        notes.append(
            f"The histology is confounded with {e.aliased_with}; the conclusion rests on {e.anchor}."
        )
    if "EXTRAPOLATED" in v.qualifiers:
        notes.append("The exposure at this dose lies outside what was studied.")
    if "HIGH-SHRINKAGE" in v.qualifiers:
        notes.append(f"Shrinkage of {percent(e.shrinkage)} blurs the individual exposures.")
    if e.prior_sensitive:
        notes.append(f"The verdict rests on the prior: {e.prior_sensitive}.")
    if e.dominated_by:
        notes.append(f"The verdict rests on another histology: {e.dominated_by}.")
    if len(e.assays) > 1:
        notes.append(f"Patients were selected by different assays ({', '.join(e.assays)}).")
    return notes
