"""The section of a plan that numbers cannot fill: what the drug is, and what rests on the models."""

from __future__ import annotations

from dataclasses import dataclass

from pkpd.results import result
from pkpd.study.schema import key, text

__all__ = ["ContextPlan"]


@result
@dataclass(frozen=True)
class ContextPlan:
    """``[context]``: what the report says in the words of the sponsor.

    Background of the drug, and the assessment table of ICH M15; no number depends on it.

    Attributes
    ----------
    mechanism : str or None
        How the drug acts.
    alteration : str or None
        The molecular alteration by which patients are selected, and how it is found.
    indications : str or None
        What it is, or is to be, indicated for.
    earlier_doses : str or None
        How the dose that all would share was chosen.
    use : str or None
        What the result is to be used for, beside other evidence.
    influence : str or None
        Weight of the models against other evidence: low, medium or high, and why.
    consequence : str or None
        What a wrong decision would do to patients: low, medium or high, and why.
    risk : str or None
        Model risk, from influence and consequence: low, medium or high.
    impact : str or None
        Model impact: what would be done without these models, such as another trial.
    """

    mechanism: str | None = key(text, None)
    alteration: str | None = key(text, None)
    indications: str | None = key(text, None)
    earlier_doses: str | None = key(text, None)
    use: str | None = key(text, None)
    influence: str | None = key(text, None)
    consequence: str | None = key(text, None)
    risk: str | None = key(text, None)
    impact: str | None = key(text, None)
