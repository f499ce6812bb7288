"""The decision table: same dose, a dose of its own, exclusion, or insufficient data.

Rows 0-4 are judged in order; each is a function that returns a ruling or None. Every row asks for evidence
that something *is* so: a test that is not significant never gives "same dose", and few patients never give
"exclude".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from pkpd.histology.evidence import Evidence
from pkpd.histology.margins import Margins
from pkpd.histology.sentence import percent
from pkpd.statements import say

__all__ = ["Judgement", "Probabilities", "Ruling", "rule_on"]


@dataclass(frozen=True)
class Ruling:
    """What one row of the table says."""

    verdict: str
    rule: str
    dose: float = math.nan
    dose_matches: str = ""
    failed: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Probabilities:
    """The probabilities that the rows compare with the thresholds."""

    exposure_below: float
    exposure_within: float
    exposure_above: float
    response_below_p0: float
    effect_kept: float
    effect_lost: float
    safety_kept: float
    safety_lost: float
    total_kept: float

    @staticmethod
    def of(evidence: Evidence, margins: Margins) -> Probabilities:
        """All probabilities of the table."""
        delta_e, delta_s = margins.delta_efficacy, margins.delta_safety_of(evidence.histology)
        return Probabilities(
            *evidence.exposure_probabilities(*margins.bounds),
            evidence.p_response_below(margins.p0_of(evidence.histology)),
            evidence.effect.above(-delta_e),
            evidence.effect.below(-delta_e),
            evidence.safety.below(delta_s),
            evidence.safety.above(delta_s),
            evidence.total.above(-delta_e),
        )


@dataclass
class Judgement:
    """Evidence and margins side by side, with the reasons that the rows leave on their way."""

    evidence: Evidence
    margins: Margins
    p: Probabilities
    reasons: list[str] = field(default_factory=list)

    @staticmethod
    def of(evidence: Evidence, margins: Margins) -> Judgement:
        """Evidence and margins with the probabilities that follow from them."""
        return Judgement(evidence, margins, Probabilities.of(evidence, margins))

    def shown(self, probability: float) -> bool:
        """Whether a probability suffices for a difference, or for equivalent exposure."""
        return probability >= self.margins.threshold_conclude

    def kept(self, probability: float) -> bool:
        """Whether a probability suffices for effect or safety to count as kept."""
        return probability >= self.margins.threshold_keep

    def doses(self) -> list[float]:
        """Candidate doses below the hard stop on extrapolation."""
        limit = self.margins.extrapolation_limit * self.evidence.highest_studied_dose * (1 + 1e-9)
        return [d for d in self.margins.candidate_doses if d <= limit]

    def acceptable_doses(self) -> list[float]:
        """Doses at which the adverse event stays within δ_S of the reference."""
        delta = self.margins.delta_safety_of(self.evidence.histology)
        return [
            d for d in self.doses() if self.kept(1 - self.evidence.forecast(d).ae_difference.above(delta))
        ]

    def restores(self, dose: float) -> bool:
        """Whether the response at `dose` is kept within δ_E of the reference at the reference dose."""
        difference = self.evidence.forecast(dose).response_difference
        return self.kept(1 - difference.below(-self.margins.delta_efficacy))

    def effect_doses(self) -> list[float]:
        """Safe doses above the reference dose that restore a response which it loses."""
        reference = self.margins.reference_dose
        if self.restores(reference):
            return []
        return [d for d in self.acceptable_doses() if d > reference and self.restores(d)]


def rule_on(judgement: Judgement) -> Ruling:
    """The first row of the table that applies."""
    rows: tuple[Callable[[Judgement], Ruling | None], ...] = (_row_0, _row_1, _row_2, _row_3)
    for row in rows:
        ruling = row(judgement)
        if ruling is not None:
            return ruling
    return _row_4(judgement)


def _row_0(j: Judgement) -> Ruling | None:
    counts = {"PK": j.evidence.n_pk, "response": j.evidence.n_response, "adverse event": j.evidence.n_ae}
    few = tuple(f"n_{name}" for name, n in counts.items() if n < j.margins.minimum_n)
    aliased = bool(j.evidence.aliased_with) and not j.evidence.anchor
    if not few and not aliased:
        return None
    failed = (*few, "identifiable") if aliased else few
    return Ruling("insufficient data", "0", j.margins.reference_dose, "reference dose", failed)


def _row_1(j: Judgement) -> Ruling | None:
    # low response under low exposure is an exposure problem: row 2 raises the dose instead
    if j.shown(j.p.response_below_p0) and not j.shown(j.p.exposure_below):
        return Ruling("exclude", "1")
    return None


def _row_2(j: Judgement) -> Ruling | None:
    reference = j.margins.reference_dose
    options: list[tuple[float, str, str]] = []
    matched = _exposure_match(j)
    if matched is not None:
        options.append((matched, "2a", "exposure"))
    if j.evidence.evidence_class == "EC1" and j.shown(j.p.effect_lost):
        restoring = j.effect_doses()
        if restoring:
            options.append((restoring[0], "2c", "effect"))
    if j.shown(j.p.safety_lost):
        acceptable = j.acceptable_doses()
        if not acceptable:
            return Ruling(
                "insufficient data",
                "2b",
                failed=("ae_acceptable",),
                reasons=(say("nothing_acceptable", "no studied dose is acceptable"),),
            )
        limit = acceptable[-1]
        if limit < reference or (options and limit < min(options)[0]):
            options.append((limit, "2b", "safety"))
        elif not options:
            j.reasons.append(
                say(
                    "own_exposure_safe",
                    "its own exposure at the reference dose keeps adverse events within the margin",
                )
            )
    if not options:
        return None
    dose, rule, matches = min(options)
    if dose == reference:
        j.reasons.append(say("safety_caps", "the safety limit leaves no dose above the reference dose"))
        return None
    reasons: tuple[str, ...] = ()
    if rule == "2b":
        cost = j.evidence.forecast(reference).response - j.evidence.forecast(dose).response
        reasons = (
            say(
                "efficacy_cost",
                "efficacy cost {points} percentage points of response",
                points=f"{100 * cost:.0f}",
            ),
        )
    return Ruling("adjust dose", rule, dose, matches, reasons=reasons)


def _exposure_match(j: Judgement) -> float | None:
    """Row 2a: the candidate dose that gives the histology the exposure of the reference, or None."""
    if not (j.shown(j.p.exposure_below) or j.shown(j.p.exposure_above)):
        return None
    reference, ratio = j.margins.reference_dose, math.exp(j.evidence.log_ratio)
    doses = j.doses()
    if not doses:
        j.reasons.append(say("all_beyond", "every candidate dose lies beyond the limit of extrapolation"))
        return None
    dose = min(doses, key=lambda d: abs(math.log(d * ratio / reference)))
    low, high = j.margins.bounds
    if not low <= ratio * dose / reference <= high:
        j.reasons.append(say("none_matches", "no candidate dose brings the exposure within the bounds"))
        return None
    delta = j.margins.delta_safety_of(j.evidence.histology)
    p_excess = j.evidence.forecast(dose).ae_difference.above(delta)
    if dose > reference and j.shown(p_excess):
        j.reasons.append(
            say(
                "match_refused",
                "the exposure-matched dose {dose} is refused: the probability that adverse events at it exceed the "
                "reference by more than {margin} percentage points is {probability}",
                dose=f"{dose:g}",
                margin=f"{100 * delta:.0f}",
                probability=percent(p_excess),
            )
        )
        return None
    if dose > reference and not j.kept(1 - p_excess):
        j.reasons.append(
            say(
                "safety_not_shown",
                "the safety of dose {dose} is not shown: the probability that adverse events stay within "
                "{margin} percentage points of the reference is {probability} %, so monitor them",
                dose=f"{dose:g}",
                margin=f"{100 * delta:.0f}",
                probability=f"{100 * (1 - p_excess):.0f}",
            )
        )
    return dose


def _row_3(j: Judgement) -> Ruling | None:
    p, reference = j.p, j.margins.reference_dose
    if not (j.shown(p.exposure_within) and j.kept(p.safety_kept)):
        return None
    if j.kept(p.effect_kept) and j.kept(p.total_kept):
        return Ruling("same dose", "3", reference, "reference dose")
    if j.shown(1 - p.response_below_p0) and not j.effect_doses():
        return Ruling("same dose", "3'", reference, "reference dose")
    return None


def _row_4(j: Judgement) -> Ruling:
    p = j.p
    conditions = {
        "exposure_within": j.shown(p.exposure_within),
        "effect_kept": j.kept(p.effect_kept),
        "safety_kept": j.kept(p.safety_kept),
        "total_kept": j.kept(p.total_kept),
    }
    failed = tuple(name for name, passed in conditions.items() if not passed)
    if j.shown(1 - p.response_below_p0) and j.effect_doses() and j.evidence.evidence_class != "EC1":
        j.reasons.append(
            say(
                "higher_not_randomised",
                "a higher dose may restore the response, but doses were not randomised",
            )
        )
    return Ruling("insufficient data", "4", j.margins.reference_dose, "reference dose", failed)
