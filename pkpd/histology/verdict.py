"""The verdict on one histology: what the decision table says, with its numbers, qualifiers and sentence."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pkpd.histology.decision_table import Judgement, Ruling, rule_on
from pkpd.histology.evidence import Evidence
from pkpd.histology.margins import Margins
from pkpd.histology.sentence import sentence_for
from pkpd.results import result

__all__ = ["VERDICT_COLUMNS", "Verdict", "decide"]

LARGEST_N = 100_000  # a number of patients that no trial reaches counts as "no n decides"

VERDICT_COLUMNS = (
    "histology",
    "n",
    "n_response",
    "verdict",
    "dose",
    "dose_matches",
    "rule",
    "ratio",
    "ratio_lower",
    "ratio_upper",
    "p_exposure_below",
    "p_exposure_within",
    "p_exposure_above",
    "p_response_below_p0",
    "p_effect_kept",
    "p_effect_lost",
    "p_safety_kept",
    "p_safety_lost",
    "p_total_kept",
    "response_at_dose",
    "ae_at_dose",
    "n_needed",
    "evidence_class",
    "qualifiers",
    "sentence",
)


@result
@dataclass(frozen=True)
class Verdict:
    """The answer for one histology.

    Attributes
    ----------
    histology, reference : str
        Whom it is about, and with whom it was compared.
    n, n_response : int
        Patients evaluable for exposure, and for response.
    verdict : str
        ``same dose``, ``adjust dose``, ``exclude`` or ``insufficient data``.
    rule : str
        Row of the decision table: ``0 1 2a 2b 2c 3 3' 4``.
    dose : float
        Dose to give; the reference dose where the advice is to keep it, NaN where none can be named.
    dose_matches : str
        ``exposure``, ``safety``, ``effect`` or ``reference dose``; empty where no dose is named.
    ratio, ratio_lower, ratio_upper : float
        Marginal exposure ratio and its 90 % interval.
    p_exposure_below, p_exposure_within, p_exposure_above : float
        Of the exposure ratio against the bounds.
    p_response_below_p0 : float
        P(ORR < p0), own data, Jeffreys.
    p_effect_kept, p_effect_lost : float
        P(A > −δ_E) and P(A < −δ_E).
    p_safety_kept, p_safety_lost : float
        P(S < δ_S) and P(S > δ_S).
    p_total_kept : float
        P(T > −δ_E).
    response_at_dose, ae_at_dose : float
        Predicted probabilities at `dose`.
    n_needed : int or None
        Fewest evaluable patients in the histology at which a verdict other than ``insufficient data`` would
        be reached if every point estimate held and the histology's standard errors shrank as 1/√n (those of
        the reference stay); None where the data decide already, no n would, or an endpoint has no estimate to
        hold.
    evidence_class : str
        EC1 randomised doses, EC2 several doses, EC3 one dose.
    qualifiers : tuple of str
        CONFOUNDED, SINGLE-DOSE, HIGH-SHRINKAGE, PRIOR-SENSITIVE, DOMINATED, SMALL-N, ASSAY-MIXED, LOWER-EFFECT,
        EXTRAPOLATED where they apply.
    failed : tuple of str
        Names of the conditions that kept the histology from a verdict (rows 0 and 4).
    reasons : tuple of str
        What else was weighed, in words (a refused dose, an efficacy cost).
    sentence : str
        All of it in plain words.
    """

    histology: str
    reference: str
    n: int
    n_response: int
    verdict: str
    rule: str
    dose: float
    dose_matches: str
    ratio: float
    ratio_lower: float
    ratio_upper: float
    p_exposure_below: float
    p_exposure_within: float
    p_exposure_above: float
    p_response_below_p0: float
    p_effect_kept: float
    p_effect_lost: float
    p_safety_kept: float
    p_safety_lost: float
    p_total_kept: float
    response_at_dose: float
    ae_at_dose: float
    n_needed: int | None
    evidence_class: str
    qualifiers: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    sentence: str = ""

    def row(self) -> dict:
        """One row of the verdict table, columns :data:`VERDICT_COLUMNS`; a missing n is NaN."""
        values = {name: getattr(self, name) for name in VERDICT_COLUMNS}
        values["qualifiers"] = "; ".join(self.qualifiers)
        values["n_needed"] = math.nan if self.n_needed is None else float(self.n_needed)
        return values


def decide(evidence: Evidence, margins: Margins) -> Verdict:
    """Verdict on one histology: a pure function of the evidence and the declared margins.

    Parameters
    ----------
    evidence : Evidence
        From :func:`pkpd.histology.gather`.
    margins : Margins
        Declared in the plan.

    Returns
    -------
    Verdict

    Raises
    ------
    InputError
        ``E_MARGIN_P0`` if no p0 is declared for the histology, ``E_EVIDENCE_DOSE`` if the evidence lacks a
        candidate dose.

    Notes
    -----
    Where the table leaves room, it is read so:

    - *Highest tolerated studied dose* (row 1): the highest dose studied in the histology, unless a lower one
      is declared (``Evidence.tolerated_dose``); tolerance is a clinical judgement, not computed.
    - *Exposure match* (2a): d_ref / R goes to the nearest candidate on the log scale, and that dose must
      bring the exposure ratio inside the bounds. It is *refused upward* where P(AE > reference + δ_S) at it
      reaches the threshold at which everything else in the table counts as shown (0.90); below that it
      stands, with a note where its safety is not shown either.
    - *Safety limit* (2b): a limit at or above the reference dose is no adjustment by itself; it only caps 2a
      and 2c.
    - *No dose would help* (3'): no candidate above the reference dose, within the safety limit, is predicted
      to restore the response with the probability that 2c asks for. Without randomised doses such a dose,
      where there is one, gives row 4, as the table says.
    """
    judgement = Judgement.of(evidence, margins)
    ruling = rule_on(judgement)
    p = judgement.p
    dose_known = not math.isnan(ruling.dose)
    forecast = evidence.forecast(ruling.dose) if dose_known else None
    undecided = ruling.verdict == "insufficient data"
    half_width = 1.6448536269514722 * evidence.log_ratio_se
    verdict = Verdict(
        histology=evidence.histology,
        reference=evidence.reference,
        n=evidence.n_pk,
        n_response=evidence.n_response,
        verdict=ruling.verdict,
        rule=ruling.rule,
        dose=ruling.dose,
        dose_matches=ruling.dose_matches,
        ratio=math.exp(evidence.log_ratio),
        ratio_lower=math.exp(evidence.log_ratio - half_width),
        ratio_upper=math.exp(evidence.log_ratio + half_width),
        p_exposure_below=p.exposure_below,
        p_exposure_within=p.exposure_within,
        p_exposure_above=p.exposure_above,
        p_response_below_p0=p.response_below_p0,
        p_effect_kept=p.effect_kept,
        p_effect_lost=p.effect_lost,
        p_safety_kept=p.safety_kept,
        p_safety_lost=p.safety_lost,
        p_total_kept=p.total_kept,
        response_at_dose=forecast.response if forecast else math.nan,
        ae_at_dose=forecast.ae if forecast else math.nan,
        n_needed=_n_that_decides(evidence, margins) if undecided else None,
        evidence_class=evidence.evidence_class,
        qualifiers=_qualifiers(evidence, margins, ruling),
        failed=ruling.failed,
        reasons=(*judgement.reasons, *ruling.reasons),
    )
    object.__setattr__(verdict, "sentence", sentence_for(verdict, evidence, margins))
    return verdict


def _qualifiers(evidence: Evidence, margins: Margins, ruling: Ruling) -> tuple[str, ...]:
    studied = sum(o.n > 0 or o.n_ae > 0 for o in evidence.observed)
    low, high = evidence.studied_exposure
    at_dose = math.nan if math.isnan(ruling.dose) else evidence.forecast(ruling.dose).exposure
    applies = {
        "CONFOUNDED": bool(evidence.aliased_with),
        "SINGLE-DOSE": studied == 1,
        "HIGH-SHRINKAGE": evidence.shrinkage > margins.shrinkage_limit,
        "PRIOR-SENSITIVE": bool(evidence.prior_sensitive),
        "DOMINATED": bool(evidence.dominated_by),
        "ASSAY-MIXED": len(evidence.assays) > 1,
        "SMALL-N": evidence.n < margins.small_n,
        "LOWER-EFFECT": ruling.rule == "3'",
        # judged on exposure: a higher dose in a histology that clears faster may be well within what was
        # studied
        "EXTRAPOLATED": at_dose < low or at_dose > high,
    }
    return tuple(name for name, flag in applies.items() if flag)


def _n_that_decides(evidence: Evidence, margins: Margins) -> int | None:
    """Fewest patients at which the table would rule, with estimates held; None if none up to LARGEST_N."""
    if (evidence.aliased_with and not evidence.anchor) or evidence.n == 0:
        return None

    def decides(n: int) -> bool:
        return rule_on(Judgement.of(evidence.at_size(n), margins)).verdict != "insufficient data"

    last, n = max(evidence.n, margins.minimum_n - 1), max(evidence.n + 1, margins.minimum_n)
    while not decides(n):
        if n >= LARGEST_N:
            return None
        last, n = n, max(n + 1, int(n * 1.15))
    while n - last > 1:
        middle = (last + n) // 2
        last, n = (last, middle) if decides(middle) else (middle, n)
    return n
