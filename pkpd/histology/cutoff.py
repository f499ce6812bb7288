"""One biomarker cut-off for every histology? Best cut-off per histology, and what the common one costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.parallel import stream
from pkpd.response import bootstrap_likelihood_ratio
from pkpd.response.columns import binary_of, histologies_of, numbers_of, subjects_of
from pkpd.results import result

__all__ = ["CommonCutoff", "common_cutoff"]

PURPOSE = 0x4355


@result
@dataclass(frozen=True)
class CommonCutoff:
    """A common cut-off against the best one of each histology.

    Attributes
    ----------
    table : DataFrame
        One row per histology: histology, n, events, best (cut-off with the largest Youden index: at or above
        it is positive), best_lower, best_upper (95 %, bootstrap within responders and non-responders),
        youden (at the best), youden_common, loss (their difference), sensitivity, specificity (at the common
        cut-off), response_above, response_below; NaN where nobody or everybody responded.
    interaction : dict
        Likelihood-ratio test that the biomarker's slope differs between histologies: statistic, df, p_chi2,
        p_bootstrap.
    cutoff : float
        The common one.
    """

    table: pd.DataFrame
    interaction: dict
    cutoff: float


def common_cutoff(
    frame: pd.DataFrame,
    response: str,
    biomarker: str,
    histology: str,
    cutoff: float,
    *,
    n_bootstrap: int = 499,
    seed: int = 0,
) -> CommonCutoff:
    """Judge one cut-off of a continuous biomarker in every histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject, treated whatever the biomarker: a trial that enrolled above the cut-off alone
        cannot validate it.
    response, biomarker, histology : str
        Columns: 0/1, a number, the histology.
    cutoff : float
        The common cut-off; at or above it a patient is positive.
    n_bootstrap, seed : int

    Raises
    ------
    InputError
        ``E_CUTOFF`` if nobody is below, or nobody at or above it; column errors.
    """
    ids = subjects_of(frame)
    y = binary_of(frame, response, ids)
    x = numbers_of(frame, biomarker, ids, "E_BIOMARKER", "biomarker")
    labels, levels = histologies_of(frame, histology, ids)
    if not (math.isfinite(cutoff) and (x < cutoff).any() and (x >= cutoff).any()):
        raise InputError(
            "E_CUTOFF",
            f"no patient is on one side of {cutoff!r}: {biomarker} goes from {x.min():g} to {x.max():g}.",
            "Give a cut-off within the data; patients below it are needed to validate it.",
        )
    if isinstance(n_bootstrap, bool) or n_bootstrap < 19:
        raise InputError("E_OPTION", f"n_bootstrap={n_bootstrap!r}.", "Give 19 or more, e.g. 499.")
    test = bootstrap_likelihood_ratio(
        frame, response, biomarker, histology, "interaction", n_bootstrap=n_bootstrap, seed=seed
    )
    rows = [
        _judge(k, level, x[labels == level], y[labels == level], cutoff, n_bootstrap, seed)
        for k, level in enumerate(levels)
    ]
    return CommonCutoff(
        table=pd.DataFrame(rows),
        interaction={
            "statistic": test.statistic,
            "df": test.df,
            "p_chi2": test.p_chi2,
            "p_bootstrap": test.p_bootstrap,
        },
        cutoff=float(cutoff),
    )


def _judge(k: int, level: str, x: np.ndarray, y: np.ndarray, cutoff: float, n: int, seed: int) -> dict:
    above = x >= cutoff
    row = {
        "histology": level,
        "n": len(x),
        "events": int(y.sum()),
        "response_above": float(y[above].mean()) if above.any() else math.nan,
        "response_below": float(y[~above].mean()) if (~above).any() else math.nan,
    }
    names = (
        "best",
        "best_lower",
        "best_upper",
        "youden",
        "youden_common",
        "loss",
        "sensitivity",
        "specificity",
    )
    if y.min() == y.max():
        return row | dict.fromkeys(names, math.nan)
    yes, no = np.sort(x[y == 1]), np.sort(x[y == 0])
    best, youden = _best(yes, no)
    sensitivity, specificity = float((yes >= cutoff).mean()), float((no < cutoff).mean())
    drawn = np.empty(n)
    for b in range(n):
        rng = stream(seed, PURPOSE, k, b)
        drawn[b] = _best(np.sort(rng.choice(yes, len(yes))), np.sort(rng.choice(no, len(no))))[0]
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    common = sensitivity + specificity - 1
    values = (best, float(lower), float(upper), youden, common, youden - common, sensitivity, specificity)
    return row | dict(zip(names, values, strict=True))


def _best(yes: np.ndarray, no: np.ndarray) -> tuple[float, float]:
    """Cut-off with the largest sensitivity + specificity − 1; the lowest of equals."""
    cuts = np.unique(np.concatenate([yes, no]))
    sensitivity = 1 - np.searchsorted(yes, cuts, side="left") / len(yes)
    specificity = np.searchsorted(no, cuts, side="left") / len(no)
    youden = sensitivity + specificity - 1
    at = int(np.argmax(youden > youden.max() - 1e-12))
    return float(cuts[at]), float(youden[at])
