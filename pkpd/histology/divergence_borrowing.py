"""Response rates that borrow from histologies whose own posterior looks alike: no model of exchangeability.

Each histology's beta posterior takes over the others' responders and patients with weights that fall with the
Jensen-Shannon divergence between their own posteriors (Fujikawa K, Teramukai S, Yokota I, Daimon T. Biom J
2020;62:330-338). A quick look beside :func:`pkpd.histology.exnex`; with few histologies its errors can be
enumerated exactly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology.permutation import read_responses
from pkpd.results import result

__all__ = ["DivergenceBorrowing", "divergence_borrowing", "divergence_operating_characteristics"]

LARGEST_OUTCOMES = 3_000_000
# trapezoids on the logit scale, where densities of beta variables fall exponentially
STEP, REACH = 0.05, 60.0


@result
@dataclass(frozen=True)
class DivergenceBorrowing:
    """Posterior of each histology's response rate, Beta(a_k, b_k).

    Attributes
    ----------
    weights : ndarray, shape (K, K)
        Row k: what one patient of each histology counts in the posterior of histology k; 1 on the diagonal.
    a, b : ndarray, shape (K,)
    mean : ndarray, shape (K,)
    """

    weights: np.ndarray
    a: np.ndarray
    b: np.ndarray
    mean: np.ndarray

    def probability_above(self, rate: float) -> np.ndarray:
        """P(response rate > `rate`) per histology, shape (K,)."""
        from scipy.special import betaincc

        return betaincc(self.a, self.b, _fraction("E_RATE", "rate", rate))


def divergence_borrowing(
    responders: Sequence[int] | np.ndarray | pd.Series,
    patients: Sequence[int] | np.ndarray | pd.Series,
    *,
    beta: tuple[float, float] = (1.0, 1.0),
    power: float = 2.0,
    threshold: float = 0.0,
) -> DivergenceBorrowing:
    """Borrow between histologies by the similarity of their posteriors.

    Parameters
    ----------
    responders, patients : sequence of int, shape (K,)
    beta : tuple of float
        Prior of every response rate.
    power : float
        ε ≥ 0 of the weight (1 − JSD)^ε; 0 pools whatever exceeds the threshold.
    threshold : float
        τ: weights of τ or less count as 0 (0 ≤ τ ≤ 1; 1 borrows nothing).

    Returns
    -------
    DivergenceBorrowing

    Raises
    ------
    InputError
        ``E_RESPONDERS``, ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_PRIOR``, ``E_OPTION``.
    """
    r, n = read_responses(responders, patients)
    a, b = _checked(beta, power, threshold)
    similar = _similarity(a + r, b + n - r, a + r, b + n - r)
    weights = _weights(similar, power, threshold)
    np.fill_diagonal(weights, 1.0)
    shapes = weights @ (a + r), weights @ (b + n - r)
    return DivergenceBorrowing(weights, *shapes, shapes[0] / (shapes[0] + shapes[1]))


def divergence_operating_characteristics(
    patients: Sequence[int],
    rates: Sequence[float] | Sequence[Sequence[float]],
    *,
    rate: float,
    probability: float,
    beta: tuple[float, float] = (1.0, 1.0),
    power: float = 2.0,
    threshold: float = 0.0,
) -> pd.DataFrame:
    """Exact probability that each histology is declared active: P(response rate > `rate` | data) ≥ `probability`.

    Parameters
    ----------
    patients : sequence of int, shape (K,)
        The product of (n + 1) may be 3 000 000 at most.
    rates : sequence of float, shape (K,) or (scenarios, K)
        True response rates.
    rate, probability : float
        Rate to be exceeded, and how surely.
    beta, power, threshold
        As in :func:`divergence_borrowing`.

    Returns
    -------
    DataFrame
        One row per scenario and histology: scenario, histology (both counted from 1), true_rate, go, go_any
        (any histology), go_false (any histology whose true rate does not exceed `rate`: the family-wise error).

    Raises
    ------
    InputError
        As :func:`divergence_borrowing`; ``E_RATE``.
    """
    from scipy.special import betaincc, gammaln, xlog1py, xlogy

    _, n = read_responses(np.zeros(np.size(patients)), patients)
    a, b = _checked(beta, power, threshold)
    truths = np.atleast_2d(np.asarray(rates, float))
    k = n.size
    if truths.shape[1] != k or not ((truths >= 0) & (truths <= 1)).all():
        raise InputError("E_RATE", f"rates {truths.tolist()!r}.", f"Give {k} fractions per scenario.")
    _fraction("E_RATE", "rate", rate)
    _fraction("E_OPTION", "probability", probability)
    if np.prod(n + 1.0) > LARGEST_OUTCOMES:
        raise InputError(
            "E_PATIENTS",
            f"{np.prod(n + 1.0):g} outcomes are too many to enumerate.",
            f"At most {LARGEST_OUTCOMES}.",
        )
    counts = [np.arange(size + 1.0) for size in n]

    def along(values: np.ndarray, *axes: int) -> np.ndarray:
        return values.reshape([n[i] + 1 if i in axes else 1 for i in range(k)])

    go = []
    for i in range(k):
        hits, misses = along(a + counts[i], i), along(b + n[i] - counts[i], i)
        for j in set(range(k)) - {i}:
            own, other = (a + counts[i], b + n[i] - counts[i]), (a + counts[j], b + n[j] - counts[j])
            similar = _similarity(*own, *other)
            w = along(_weights(similar if i < j else similar.T, power, threshold), i, j)
            hits, misses = hits + w * along(other[0], j), misses + w * along(other[1], j)
        go.append(betaincc(hits, misses, rate) >= probability)
    go_any = np.logical_or.reduce(go)
    rows = []
    for number, truth in enumerate(truths, start=1):
        masses = [
            np.exp(
                gammaln(size + 1)
                - gammaln(c + 1)
                - gammaln(size - c + 1)
                + xlogy(c, p)
                + xlog1py(size - c, -p)
            )
            for size, c, p in zip(n, counts, truth, strict=True)
        ]
        mass = reduce(np.multiply.outer, masses)
        false = [g for g, p in zip(go, truth, strict=True) if p <= rate]
        go_false = float((mass * np.logical_or.reduce(false)).sum()) if false else 0.0
        for i in range(k):
            rows.append(
                {
                    "scenario": number,
                    "histology": i + 1,
                    "true_rate": truth[i],
                    "go": float((mass * go[i]).sum()),
                    "go_any": float((mass * go_any).sum()),
                    "go_false": go_false,
                }
            )
    return pd.DataFrame(rows)


def _weights(similar: np.ndarray, power: float, threshold: float) -> np.ndarray:
    weights = similar**power
    return np.where(weights > threshold, weights, 0.0)


def _similarity(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    """1 − JSD in nats between Beta(a_i, b_i) and Beta(c_j, d_j), shape (len(a), len(c))."""
    from scipy.special import betaln

    theta = np.arange(-REACH, REACH + STEP / 2, STEP)
    log_p, log_q = -np.logaddexp(0.0, -theta), -np.logaddexp(0.0, theta)

    def densities(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return x[:, None] * log_p + y[:, None] * log_q - betaln(x, y)[:, None]

    first, second = densities(a, b), densities(c, d)
    out = np.empty((first.shape[0], second.shape[0]))
    for i, log_f in enumerate(first):
        middle = np.logaddexp(log_f, second) - math.log(2)
        divergence = np.exp(log_f) * (log_f - middle) + np.exp(second) * (second - middle)
        out[i] = 1 - 0.5 * STEP * divergence.sum(axis=1)
    return np.clip(out, 0.0, 1.0)


def _checked(beta: tuple[float, float], power: float, threshold: float) -> tuple[float, float]:
    a, b = (float(value) for value in beta)
    # below 0.5 a prior has mass beyond the reach of the quadrature
    if not (a >= 0.5 and b >= 0.5 and math.isfinite(a + b)):
        raise InputError("E_PRIOR", f"beta {beta!r}.", "Give two numbers of 0.5 or more, e.g. (1, 1).")
    if not (power >= 0 and math.isfinite(power) and 0 <= threshold <= 1):
        raise InputError(
            "E_OPTION", f"power={power!r}, threshold={threshold!r}.", "Give 0 or more, and a fraction."
        )
    return a, b


def _fraction(code: str, name: str, value: float) -> float:
    if not 0 < value < 1:
        raise InputError(code, f"{name} {value!r} must lie between 0 and 1.", "Give a fraction.")
    return value
