"""Likelihood-ratio tests for histology in a binary exposure-response, with parametric-bootstrap p-values.

Nested models: {no histology: a + b x} within {intercepts: a_k + b x} within {intercepts and slopes: a_k + b_k
x}.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.response.batched_logistic import (
    maximum_common_slope,
    maximum_intercepts,
    maximum_separate_slopes,
)
from pkpd.response.columns import (
    binary_of,
    column_of,
    exposures_of,
    histologies_of,
    named_subjects,
    subjects_of,
)
from pkpd.response.firth import maximise
from pkpd.response.integrated_logistic import (
    exposure_nodes,
    integrated_common_slope,
    maximise_integrated,
)
from pkpd.results import result

__all__ = ["LikelihoodRatio", "bootstrap_likelihood_ratio", "chi2_p_value"]

TERMS = {
    "intercepts": ("none", "intercepts"),
    "interaction": ("intercepts", "slopes"),
    "histology": ("none", "slopes"),
}
PURPOSE = 0x4C52  # keeps these random numbers apart from those of other tasks with the same seed


@result
@dataclass(frozen=True)
class LikelihoodRatio:
    """Outcome of a likelihood-ratio test.

    Attributes
    ----------
    statistic : float
        LR = 2 (l_full − l_reduced), from maximised unpenalised likelihoods unless `term` says otherwise.
    df : int
        Difference in the number of estimable parameters.
    p_value : float
        The bootstrap p-value where there is one, else that of χ².
    p_chi2 : float
        P(χ²_df ≥ statistic). Anti-conservative at basket sizes: a quick look.
    p_bootstrap : float
        (1 + #{LR* ≥ LR}) / (B + 1); NaN without bootstrap.
    n_bootstrap : int
        B.
    term : str
        What was tested.
    """

    statistic: float
    df: int
    p_value: float
    p_chi2: float
    p_bootstrap: float
    n_bootstrap: int
    term: str


def bootstrap_likelihood_ratio(
    frame: pd.DataFrame,
    response: str,
    exposure: str | None,
    histology: str,
    term: str = "interaction",
    shape: str = "linear",
    n_bootstrap: int = 999,
    seed: int = 0,
    log_sd: str | None = None,
) -> LikelihoodRatio:
    """Test histology in a logistic exposure-response by likelihood ratio.

    The statistic uses unpenalised likelihoods; where the data separate, their supremum, which is finite. The
    bootstrap simulates responses at the observed exposures from the reduced model fitted by Firth's penalised
    likelihood (whose probabilities are never 0 or 1), with one random stream per (seed, replicate). Subjects
    are put into an order of their own first, so neither the order of rows nor the names of histologies change
    any digit.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    response, histology : str
        Columns: 0/1 endpoint, histology.
    exposure : str or None
        Column; None compares proportions only (``term="intercepts"``).
    term : str
        ``"interaction"``: slopes differ, given intercepts; ``"intercepts"``: intercepts differ, one slope;
        ``"histology"``: both at once.
    shape : str
        ``"linear"`` or ``"log"`` exposure.
    n_bootstrap : int
        B; 0 gives the χ² p-value alone.
    seed : int
        Not negative.
    log_sd : str, optional
        Column with the standard deviation of the logarithm of each exposure, where it is uncertain: all likelihoods are then
        integrated over it, as :func:`pkpd.response.with_uncertain_exposure` does, and responses are simulated from such a fit.

    Returns
    -------
    LikelihoodRatio
        A histology whose subjects all have one exposure has no slope to estimate; it takes no degree of
        freedom.

    Raises
    ------
    InputError
        ``E_OPTION``; ``E_TERM_NOT_TESTABLE`` where the term has no degree of freedom (one histology, no
        spread of exposure); column errors as in :func:`pkpd.response.fit_logistic`; ``E_LOG_SD`` for standard
        deviations that are negative or missing.

    References
    ----------
    Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge 1997, eq. 4.11 (the p-value).
    """
    if term not in TERMS or (exposure is None and term != "intercepts"):
        allowed = ", ".join(TERMS) if exposure is not None else "intercepts (there is no exposure)"
        raise InputError("E_OPTION", f"term={term!r} is not supported here.", f"Choose {allowed}.")
    if shape not in ("linear", "log"):
        raise InputError("E_OPTION", f"shape={shape!r} is not supported.", "Choose among linear, log.")
    if isinstance(n_bootstrap, bool) or int(n_bootstrap) != n_bootstrap or n_bootstrap < 0:
        raise InputError(
            "E_OPTION", f"n_bootstrap={n_bootstrap!r} is not a count.", "Give 0 or more, e.g. 999."
        )
    if isinstance(seed, bool) or int(seed) != seed or seed < 0:
        raise InputError("E_SEED", f"seed={seed!r} is not a whole number >= 0.", "Give one, e.g. 0.")
    if exposure is None and log_sd is not None:
        raise InputError("E_OPTION", "log_sd belongs to an exposure.", "Name the exposure, or leave it out.")
    y, x, sd, starts = _in_own_order(frame, response, exposure, histology, shape, log_sd)
    nodes = None
    if sd is not None:
        nodes = exposure_nodes(np.exp(x) if shape == "log" else x, sd, shape)
    reduced, full = TERMS[term]
    df = _rank(full, x, starts) - _rank(reduced, x, starts)
    if df == 0:
        why = (
            "there is one histology"
            if len(starts) == 1
            else "exposure does not vary enough within histologies"
        )
        raise InputError(
            "E_TERM_NOT_TESTABLE",
            f"term {term!r} has no degree of freedom: {why}.",
            "Bring at least two histologies, and for slopes at least two exposures in each of two.",
        )
    statistic = float(_statistics(y[:, None], x, starts, reduced, full, nodes)[0])
    p_chi2 = chi2_p_value(statistic, df)
    p_bootstrap = float("nan")
    if n_bootstrap:
        probability = _null_probability(y, x, starts, reduced, nodes)
        simulated = np.empty((len(y), n_bootstrap))
        for replicate in range(n_bootstrap):
            sequence = np.random.SeedSequence(int(seed), spawn_key=(PURPOSE, replicate))
            uniform = np.random.Generator(np.random.Philox(sequence)).random(len(y))
            simulated[:, replicate] = uniform < probability
        drawn = _statistics(simulated, x, starts, reduced, full, nodes)
        # the data are discrete: a simulated set equal to the observed one must count as LR* = LR in spite of
        # rounding
        at_least = int(np.count_nonzero(drawn >= statistic - 1e-7))
        p_bootstrap = (1 + at_least) / (n_bootstrap + 1)
    return LikelihoodRatio(
        statistic=statistic,
        df=df,
        p_value=p_bootstrap if n_bootstrap else p_chi2,
        p_chi2=p_chi2,
        p_bootstrap=p_bootstrap,
        n_bootstrap=int(n_bootstrap),
        term=term,
    )


def chi2_p_value(statistic: float, df: int) -> float:
    """Upper tail of χ² with `df` degrees of freedom."""
    from scipy.special import gammaincc

    return float(gammaincc(df / 2, max(statistic, 0.0) / 2))


def _in_own_order(
    frame, response, exposure, histology, shape, log_sd
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
    """Responses, regressor, its uncertainty and block starts in an order that neither labels nor rows change."""
    ids = subjects_of(frame)
    y = binary_of(frame, response, ids)
    labels, levels = histologies_of(frame, histology, ids)
    if exposure is None:
        x = np.zeros(len(y))
    else:
        x = exposures_of(frame, exposure, ids, positive=shape == "log" or log_sd is not None)
        x = np.log(x) if shape == "log" else x
    sd = np.zeros(len(y))
    if log_sd is not None:
        sd = pd.to_numeric(column_of(frame, log_sd), errors="coerce").to_numpy(float)
        bad = ~(np.isfinite(sd) & (sd >= 0))
        if bad.any():
            raise InputError(
                "E_LOG_SD",
                f"{log_sd} is negative, missing or not a number for {named_subjects(ids, bad)}.",
                "Give the standard deviation of the logarithm of each exposure, 0 or more.",
            )
    blocks = []
    for level in levels:
        at = np.flatnonzero(labels == level)
        at = at[np.lexsort((y[at], sd[at], x[at]))]
        blocks.append((len(at), tuple(x[at]), tuple(sd[at]), tuple(y[at])))
    blocks.sort()
    starts = np.cumsum([0, *(b[0] for b in blocks[:-1])])
    x, sd, y = (np.concatenate([b[i] for b in blocks]) for i in (1, 2, 3))
    return y, x, sd if log_sd is not None else None, starts


def _varies(x: np.ndarray, starts: np.ndarray) -> np.ndarray:
    return np.maximum.reduceat(x, starts) > np.minimum.reduceat(x, starts)


def _rank(model: str, x: np.ndarray, starts: np.ndarray) -> int:
    within = _varies(x, starts)
    if model == "none":
        return 1 + int(x.max() > x.min())
    return len(starts) + (int(within.sum()) if model == "slopes" else int(within.any()))


def _maximum(y: np.ndarray, x: np.ndarray, starts: np.ndarray, model: str, nodes: Any) -> np.ndarray:
    if nodes is not None and model == "slopes" and len(starts) > 1:
        # block by block: one without spread of exposure has an intercept alone
        ends, zero = [*starts[1:], len(x)], np.zeros(1, dtype=np.int64)
        own = [
            _maximum(y[lo:hi], x[lo:hi], zero, "slopes", (nodes[0][lo:hi], nodes[1]))
            for lo, hi in zip(starts, ends, strict=True)
        ]
        return np.sum(own, axis=0)
    if nodes is None and model == "slopes":
        return maximum_separate_slopes(y, x, starts)
    if model == "none":
        starts = np.zeros(1, dtype=np.int64)
    if not _varies(x, starts).any():
        return maximum_intercepts(y, starts)
    return (
        maximum_common_slope(y, x, starts)
        if nodes is None
        else integrated_common_slope(y, nodes[0], nodes[1], starts)
    )


def _statistics(y, x, starts, reduced, full, nodes) -> np.ndarray:
    difference = _maximum(y, x, starts, full, nodes) - _maximum(y, x, starts, reduced, nodes)
    return np.maximum(2 * difference, 0.0)  # rounding can leave −1e-15 where the models fit alike


def _null_probability(
    y: np.ndarray, x: np.ndarray, starts: np.ndarray, reduced: str, nodes: Any
) -> np.ndarray:
    """Fitted probabilities of the reduced model under Firth's penalty."""
    if reduced == "none":
        starts = np.zeros(1, dtype=np.int64)
    sizes = np.diff(starts, append=len(x))
    block = np.repeat(np.arange(len(starts)), sizes)
    design = (block[:, None] == np.arange(len(starts))).astype(float)
    sloped = _varies(x, starts).any()
    means = np.repeat(np.add.reduceat(x, starts) / sizes, sizes)
    if sloped:
        design = np.column_stack([design, x - means])
    optimum = maximise(design, y, firth=True)
    eta = np.einsum("ij,j->i", design, optimum.coefficients)
    e = np.exp(-np.abs(eta))
    probability, converged = np.where(eta >= 0, 1.0, e) / (1.0 + e), optimum.converged
    if nodes is not None and sloped:
        at = np.stack([np.column_stack([design[:, :-1], node - means]) for node in nodes[0].T])
        scale = np.sqrt(np.diag(np.linalg.inv(optimum.information)))
        joint = maximise_integrated(at, nodes[1], y, start=optimum.coefficients, scale=scale, penalty=1.0)
        probability, converged = joint.probabilities, joint.converged
    if not converged:
        warnings.warn(
            "W_NOT_CONVERGED: the reduced model, from which responses are simulated, is not fitted to full"
            " accuracy.",
            PkpdWarning,
            stacklevel=3,
        )
    return probability
