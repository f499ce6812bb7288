"""Is the response rate the same in every histology? Permutation test with fixed margins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["Permutation", "permutation", "read_responses"]

PURPOSE = 0x5045  # keeps these random numbers apart from those of other tasks with the same seed
EXACT_TABLES = 200_000  # enumerated below this many; above it permutations are drawn
TIE = 1e-9  # statistics that are equal in exact arithmetic differ by rounding


@result
@dataclass(frozen=True)
class Permutation:
    """Outcome of the permutation test.

    Attributes
    ----------
    statistic : float
        Pearson's Σ (O − E)² / E, or the likelihood ratio 2 Σ O ln(O / E), of K response rates against one.
    df : int
        K − 1, of the χ² that it is usually compared with.
    p_value : float
        P(statistic* ≥ statistic) given all margins: exact, or (1 + #) / (B + 1).
    p_chi2 : float
        Of the χ² approximation, for comparison.
    n_permutations : int
        B; 0 where the p-value is exact.
    """

    statistic: float
    df: int
    p_value: float
    p_chi2: float
    n_permutations: int


def permutation(
    responders: Sequence[int] | np.ndarray | pd.Series,
    patients: Sequence[int] | np.ndarray | pd.Series,
    statistic: str = "pearson",
    n_permutations: int = 100_000,
    seed: int = 0,
) -> Permutation:
    """Test that histology is irrelevant to response: labels are exchangeable between patients.

    Parameters
    ----------
    responders, patients : sequence of int, shape (K,)
        Per histology.
    statistic : {"pearson", "likelihood_ratio"}
        What orders the tables. The p-value is exact with either; they weigh departures differently.
    n_permutations : int
        Drawn where the tables with these margins are too many to enumerate (above 200 000).
    seed : int
        Of the drawn ones.

    Returns
    -------
    Permutation

    Raises
    ------
    InputError
        ``E_RESPONDERS``, ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_OPTION``; ``E_ENDPOINT_CONSTANT`` if nobody
        or everybody responded.
    """
    from scipy.special import gammaincc

    r, n = read_responses(responders, patients)
    total, size = int(r.sum()), int(n.sum())
    if total in (0, size):
        raise InputError(
            "E_ENDPOINT_CONSTANT",
            f"{total} of {size} patients responded: no difference between histologies can show.",
            "Report the rate with its interval instead.",
        )
    if n_permutations < 1 or seed < 0:
        raise InputError(
            "E_OPTION", f"n_permutations={n_permutations!r}, seed={seed!r}.", "Give 100000 and 0."
        )
    if statistic not in _STATISTICS:
        raise InputError(
            "E_OPTION", f"statistic={statistic!r} is not supported.", f"Choose {', '.join(_STATISTICS)}."
        )
    score = _STATISTICS[statistic]
    observed = float(score(r[None, :], n)[0])
    if _tables(n, total) <= EXACT_TABLES:
        tables, probability = _enumerate(n, total)
        p, drawn = float(probability[score(tables, n) >= observed - TIE].sum()), 0
    else:
        sequence = np.random.SeedSequence(seed, spawn_key=(PURPOSE,))
        generator = np.random.Generator(np.random.Philox(sequence))
        tables = generator.multivariate_hypergeometric(n, total, size=n_permutations, method="marginals")
        at_least = int(np.count_nonzero(score(tables, n) >= observed - TIE))
        p, drawn = (1 + at_least) / (n_permutations + 1), n_permutations
    return Permutation(
        statistic=observed,
        df=r.size - 1,
        p_value=min(p, 1.0),
        p_chi2=float(gammaincc((r.size - 1) / 2, max(observed, 0.0) / 2)),
        n_permutations=drawn,
    )


def read_responses(responders, patients) -> tuple[np.ndarray, np.ndarray]:
    """Responders and patients per histology as integers, or the error that says what is wrong."""
    r, n = np.asarray(responders, float), np.asarray(patients, float)
    if r.ndim != 1 or r.shape != n.shape or r.size < 2:
        raise InputError(
            "E_HISTOLOGIES",
            f"responders of shape {r.shape} and patients of shape {n.shape}: two or more histologies are "
            "needed.",
            "Give one number of responders and one of patients per histology.",
        )
    for k in range(r.size):
        if not (np.isfinite(n[k]) and n[k] >= 1 and n[k] == np.floor(n[k])):
            raise InputError(
                "E_PATIENTS", f"histology {k + 1}: {n[k]:g} patients.", "Give whole numbers of 1 or more."
            )
        if not (np.isfinite(r[k]) and 0 <= r[k] <= n[k] and r[k] == np.floor(r[k])):
            raise InputError(
                "E_RESPONDERS",
                f"histology {k + 1}: {r[k]:g} responders of {n[k]:g} patients.",
                "Give whole numbers between 0 and the number of patients.",
            )
    return r.astype(np.int64), n.astype(np.int64)


def _likelihood_ratio(tables: np.ndarray, n: np.ndarray) -> np.ndarray:
    from scipy.special import xlogy

    rate = tables.sum(axis=1, keepdims=True) / n.sum()
    misses = n - tables
    cells = xlogy(tables, tables) + xlogy(misses, misses) - xlogy(n, n)
    pooled = xlogy(tables, rate) + xlogy(misses, 1 - rate)
    return 2 * (cells - pooled).sum(axis=1)


def _pearson(tables: np.ndarray, n: np.ndarray) -> np.ndarray:
    rate = tables.sum(axis=1, keepdims=True) / n.sum()
    return ((tables - n * rate) ** 2 / (n * rate * (1 - rate))).sum(axis=1)


_STATISTICS = {"pearson": _pearson, "likelihood_ratio": _likelihood_ratio}


def _tables(n: np.ndarray, total: int) -> float:
    """Number of tables with these margins."""
    count = np.ones(1)
    for size in n:
        count = np.convolve(count, np.ones(int(size) + 1))[: total + 1]
    return float(count[total]) if total < count.size else 0.0


def _enumerate(n: np.ndarray, total: int) -> tuple[np.ndarray, np.ndarray]:
    """Every table with these margins, and its probability."""
    from scipy.special import gammaln

    def log_choose(a: np.ndarray | int, b: np.ndarray | int) -> np.ndarray:
        return gammaln(np.add(a, 1)) - gammaln(np.add(b, 1)) - gammaln(np.subtract(a, b) + 1)

    tables = np.zeros((1, 0), dtype=np.int64)
    left = np.array([total])
    for k, size in enumerate(n):
        room = int(n[k + 1 :].sum())
        low, high = np.maximum(left - room, 0), np.minimum(left, size)
        repeats = high - low + 1
        index = np.repeat(np.arange(len(tables)), repeats)
        offset = np.arange(index.size) - np.repeat(np.cumsum(repeats) - repeats, repeats)
        chosen = low[index] + offset
        tables = np.column_stack([tables[index], chosen])
        left = left[index] - chosen
    log_probability = log_choose(n, tables).sum(axis=1) - log_choose(int(n.sum()), total)
    return tables, np.exp(log_probability)
