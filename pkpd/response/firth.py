"""Logistic likelihood with Firth's penalty: maximisation, constrained maximisation, separation.

Firth's penalised log-likelihood is l*(b) = l(b) + ½ log|X'WX|; its score is Σ (y − π + h(½ − π)) x with h the
diagonal of W^½ X (X'WX)⁻¹ X' W^½ (Firth D. Biometrika 1993;80:27-38, eq. for exponential families; Heinze G,
Schemper M. Stat Med 2002;21:2409-2419, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.response.newton import climb

__all__ = ["BinaryOptimum", "connected", "maximise", "recession_direction"]


@dataclass(frozen=True)
class BinaryOptimum:
    """Where a (penalised) logistic likelihood is largest.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    information : ndarray, shape (p, p)
        X'WX, Fisher's information of the unpenalised likelihood, at the coefficients.
    log_likelihood, penalised_log_likelihood : float
        l and l + w · ½ log|X'WX| (w the weight of the penalty, 1 without one).
    converged : bool
    """

    coefficients: np.ndarray
    information: np.ndarray
    log_likelihood: float
    penalised_log_likelihood: float
    converged: bool


def maximise(
    x: np.ndarray,
    y: np.ndarray,
    *,
    firth: float,
    free: np.ndarray | None = None,
    start: np.ndarray | None = None,
    max_iterations: int = 200,
) -> BinaryOptimum:
    """Maximise the logistic likelihood by Newton's method with step-halving on the objective itself.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Design of full column rank.
    y : ndarray, shape (n,)
        0 or 1.
    firth : float
        Weight of the penalty ½ log|X'WX| in the objective: 1 (True) is Firth's, 0 (False) none. Its design is always
        the whole `x`, also where some coefficients are held: the penalised likelihood ratio compares values of one
        function.
    free : ndarray of bool, shape (p,), optional
        Coefficients to move; the others stay at `start`.
    start : ndarray, shape (p,), optional
        Starting values, 0 by default.
    """
    groups = _components(x) if free is None and start is None else []
    if len(groups) > 1:
        return _by_component(x, y, groups, firth, max_iterations)
    p = x.shape[1]
    scale = np.abs(x).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    xs = np.ascontiguousarray(x / scale)
    held = np.zeros(p) if start is None else np.asarray(start, dtype=float) * scale
    move = np.arange(p) if free is None else np.flatnonzero(free)
    square = np.ix_(move, move)

    def objective(point: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        b = held.copy()
        b[move] = point
        if not np.max(np.abs(b), initial=0.0) < 1e100:  # a step over a plain: no point to stand on
            return -np.inf, np.zeros(move.size), np.zeros((move.size, move.size))
        value, gradient, hessian = _penalised(xs, y, b, float(firth)) if firth else _plain(xs, y, b)
        return value, gradient[move], hessian[square]

    begin = held[move]
    if not np.isfinite(objective(begin)[0]):
        begin = np.zeros(move.size)
    if move.size and np.isfinite(objective(begin)[0]):
        found = climb(objective, begin, max_iterations=max_iterations)
        held[move] = found.point
        converged = found.converged
    else:
        held[move] = begin
        converged = move.size == 0
    eta = np.einsum("ij,j->i", xs, held)
    info, _ = _information(xs, eta)
    log_likelihood = _log_likelihood(y, eta)
    return BinaryOptimum(
        coefficients=held / scale,
        information=info * np.outer(scale, scale),
        log_likelihood=log_likelihood,
        penalised_log_likelihood=log_likelihood
        + (float(firth) or 1.0) * (_half_log_determinant(info) + float(np.log(scale).sum())),
        converged=converged,
    )


def recession_direction(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Direction along which the likelihood rises for ever, or None where the maximum exists.

    Maximises Σ s_i x_i'd subject to s_i x_i'd ≥ 0 and −1 ≤ d ≤ 1, s = 2y − 1: the data are (quasi-completely)
    separated if and only if the maximum is positive (Konis K. DPhil thesis, Oxford 2007, section 4).
    """
    from scipy.optimize import linprog

    scale = np.abs(x).max(axis=0)
    signed = (2 * y - 1)[:, None] * (x / np.where(scale > 0, scale, 1.0))
    p = x.shape[1]
    found = linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(y)), bounds=[(-1, 1)] * p, method="highs"
    )
    if found.status != 0 or found.fun is None or -float(found.fun) < 1e-7:
        return None
    return np.asarray(found.x)


def connected(x: np.ndarray, j: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows that coefficient `j` can move.

    The likelihood, and the penalty, are a product of such groups: separate histologies are separate fits.
    """
    used = x != 0
    columns = np.zeros(x.shape[1], dtype=bool)
    columns[j] = True
    while True:
        rows = used[:, columns].any(axis=1)
        grown = used[rows].any(axis=0)
        if np.array_equal(grown | columns, columns):
            return np.flatnonzero(columns), np.flatnonzero(rows)
        columns |= grown


def _components(x: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    groups: list[tuple[np.ndarray, np.ndarray]] = []
    seen: set[int] = set()
    for j in range(x.shape[1]):
        if j not in seen:
            groups.append(connected(x, j))
            seen.update(groups[-1][0].tolist())
    return groups


def _by_component(x, y, groups, firth, max_iterations) -> BinaryOptimum:
    p = x.shape[1]
    coefficients, information = np.zeros(p), np.zeros((p, p))
    # rows without any column have probability 1/2 whatever the coefficients are
    plain = penalised = -np.log(2.0) * float(np.count_nonzero(~(x != 0).any(axis=1)))
    converged = True
    for columns, rows in groups:
        part = maximise(x[np.ix_(rows, columns)], y[rows], firth=firth, max_iterations=max_iterations)
        coefficients[columns] = part.coefficients
        information[np.ix_(columns, columns)] = part.information
        plain += part.log_likelihood
        penalised += part.penalised_log_likelihood
        converged &= part.converged
    return BinaryOptimum(coefficients, information, plain, penalised, converged)


def _information(x: np.ndarray, eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """X'WX and the fitted probabilities; einsum, not BLAS, so that the sums have one order at any thread count."""
    prob = _expit(eta)
    return np.einsum("ij,ik->jk", x, (prob * (1 - prob))[:, None] * x), prob


def _half_log_determinant(info: np.ndarray) -> float:
    sign, value = np.linalg.slogdet(info)
    return 0.5 * float(value) if sign > 0 else -np.inf


def _plain(x, y, b) -> tuple[float, np.ndarray, np.ndarray]:
    eta = np.einsum("ij,j->i", x, b)
    info, prob = _information(x, eta)
    return _log_likelihood(y, eta), np.einsum("ij,i->j", x, y - prob), -info


def _penalised(x, y, b, weight_of_penalty: float) -> tuple[float, np.ndarray, np.ndarray]:
    """Firth's objective with its own Hessian.

    Fisher scoring with X'WX alone overshoots by the factor 1 + h: it swings for ever between two points where a histology
    has as many parameters as patients (h = 1). The second derivatives of ½ log|I| are ½ tr(I⁻¹ I_jk) − ½ tr(I⁻¹ I_j I⁻¹ I_k),
    with dw/dη = w (1 − 2π) and d²w/dη² = w (1 − 6w).
    """
    p = len(b)
    eta = np.einsum("ij,j->i", x, b)
    info, prob = _information(x, eta)
    half = _half_log_determinant(info)
    # beyond this the inverse is noise, and so would be the score
    if not np.isfinite(half) or np.linalg.cond(info) > 1e14:
        return -np.inf, np.zeros(p), np.zeros((p, p))
    weight = prob * (1 - prob)
    inverse = np.linalg.inv(info)
    # an information near the smallest number there is has an inverse beyond the largest
    if not np.all(np.abs(inverse) < 1e290):
        return -np.inf, np.zeros(p), np.zeros((p, p))
    leverage = np.einsum("ij,ij->i", np.einsum("ij,jk->ik", x, inverse), x)  # x'I⁻¹x; h = w times this
    gradient = np.einsum("ij,i->j", x, y - prob + weight_of_penalty * weight * leverage * (0.5 - prob))
    curvature = 0.5 * weight_of_penalty * leverage * weight * (1 - 6 * weight) - weight
    hessian = np.einsum("ij,ik->jk", x, curvature[:, None] * x)
    change = weight * (1 - 2 * prob)
    turns = [
        np.einsum("jk,kl->jl", inverse, np.einsum("ij,ik->jk", x, (change * x[:, j])[:, None] * x))
        for j in range(p)
    ]
    for j in range(p):
        for k in range(j, p):
            term = 0.5 * weight_of_penalty * float(np.einsum("ab,ba->", turns[j], turns[k]))
            hessian[j, k] -= term
            if k != j:
                hessian[k, j] -= term
    return _log_likelihood(y, eta) + weight_of_penalty * half, gradient, hessian


def _log_likelihood(y: np.ndarray, eta: np.ndarray) -> float:
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)))


def _expit(eta: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(eta))
    return np.where(eta >= 0, 1.0, e) / (1.0 + e)
