"""Evidence class of an exposure-response: how the doses behind its exposures came about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import histologies_of, numbers_of, subjects_of
from pkpd.statements import say

__all__ = ["EVIDENCE", "UNSTATED", "best_evidence_class", "evidence_class", "stated_evidence"]

EVIDENCE = {
    "EC1": say("randomised_doses", "randomised doses"),
    "EC2": say("several_doses", "several doses, not randomised"),
    "EC3": say("one_dose", "one dose"),
}
UNSTATED = "unknown: no column of the dose was named (dose=)"


def evidence_class(doses: Sequence[float] | np.ndarray | pd.Series, randomised: bool) -> str:
    """Evidence class of the doses of one histology.

    Parameters
    ----------
    doses : array_like, shape (n,)
        Dose that each subject was assigned, in one unit.
    randomised : bool
        Whether subjects were randomised to them.

    Returns
    -------
    str
        ``"EC1"`` randomised doses, ``"EC2"`` several doses that were not randomised, ``"EC3"`` one dose.
    """
    several = len(set(np.asarray(doses, float).tolist())) > 1
    return "EC3" if not several else "EC1" if randomised else "EC2"


def best_evidence_class(doses: np.ndarray, labels: np.ndarray, randomised: bool) -> str:
    """Class of the best histology: doses that differ between histologies alone tell nothing of dose."""
    return min(evidence_class(doses[labels == level], randomised) for level in set(labels))


def stated_evidence(
    frame: pd.DataFrame, dose: str | None, randomised: bool, histology: str | None = None
) -> str:
    """Evidence class of a table of subjects, in words, and the histologies that have one dose only.

    See :func:`best_evidence_class`.

    Raises
    ------
    InputError
        ``E_OPTION`` for randomised doses without their column, or neither True nor False; ``E_DOSE_NOT_NUMERIC``,
        ``E_DOSE_MISSING``.
    """
    if not isinstance(randomised, bool):
        raise InputError("E_OPTION", f"randomised={randomised!r}.", "Give True or False.")
    if dose is None:
        if randomised:
            raise InputError(
                "E_OPTION", "randomised=True without a column of the dose.", "Name it with dose=."
            )
        return UNSTATED
    ids = subjects_of(frame, unique=False)
    doses = numbers_of(frame, dose, ids, "E_DOSE", "dose")
    labels, levels = (
        (np.full(len(ids), "all"), ("all",)) if histology is None else histologies_of(frame, histology, ids)
    )
    best = best_evidence_class(doses, labels, randomised)
    alone = [level for level in levels if evidence_class(doses[labels == level], randomised) == "EC3"]
    part = f"; one dose in {', '.join(alone)}" if alone and best != "EC3" else ""
    return f"{best}: {EVIDENCE[best]}{part}"
