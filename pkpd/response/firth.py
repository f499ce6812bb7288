"""Logistic likelihood with Firth's penalty: maximisation, constrained maximisation, separation.

Firth's penalised log-likelihood is l*(b) = l(b) + ½ log|X'WX|; its score is Σ (y − π + h(½ − π)) x with h the
diagonal of W^½ X (X'WX)⁻¹ X' W^½ (Firth D. Biometrika 1993;80:27-38, eq. for exponential families; Heinze G,
Schemper M. Stat Med 2002;21:2409-2419, section 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["BinaryOptimum", "maximise", "recession_direction"]

MAX_STEP = 5.0  # of any coefficient on columns scaled to 1; logistf's own bound
TOLERANCE = 1e-11


@dataclass(frozen=True)
class BinaryOptimum:
    """Where a (penalised) logistic likelihood is largest.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    information : ndarray, shape (p, p)
        X'WX, Fisher's information of the unpenalised likelihood, at the coefficients.
    log_likelihood, penalised_log_likelihood : float
        l and l + ½ log|X'WX|.
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
    firth: bool,
    free: np.ndarray | None = None,
    start: np.ndarray | None = None,
    max_iterations: int = 1000,
) -> BinaryOptimum:
    """Maximise the logistic likelihood by Fisher scoring with step-halving on the objective itself.

    Parameters
    ----------
    x : ndarray, shape (n, p)
        Design of full column rank.
    y : ndarray, shape (n,)
        0 or 1.
    firth : bool
        Whether the objective carries ½ log|X'WX|. Its design is always the whole `x`, also where some
        coefficients are held: the penalised likelihood ratio compares values of one function.
    free : ndarray of bool, shape (p,), optional
        Coefficients to move; the others stay at `start`.
    start : ndarray, shape (p,), optional
        Starting values, 0 by default.
    """
    groups = _components(x) if free is None and start is None else []
    if len(groups) > 1:
        return _by_component(x, y, groups, firth, max_iterations)
    n, p = x.shape
    scale = np.abs(x).max(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    xs = np.ascontiguousarray(x / scale)
    b = np.zeros(p) if start is None else np.asarray(start, dtype=float) * scale
    move = np.arange(p) if free is None else np.flatnonzero(free)
    value, eta, info, logdet = _objective(xs, y, b, firth)
    converged = move.size == 0
    for _ in range(max_iterations):
        if converged:
            break
        prob = _expit(eta)
        residual = y - prob
        if firth:
            inverse = np.linalg.inv(info)
            hat = prob * (1 - prob) * np.einsum("ij,ij->i", np.einsum("ij,jk->ik", xs, inverse), xs)
            residual = residual + hat * (0.5 - prob)
        score = np.einsum("ij,i->j", xs, residual)[move]
        try:
            step = np.linalg.solve(info[np.ix_(move, move)], score)
        except np.linalg.LinAlgError:
            break
        largest = np.abs(step).max()
        if not np.isfinite(largest):
            break
        if largest > MAX_STEP:
            step *= MAX_STEP / largest
        converged = bool(largest <= TOLERANCE * (1 + np.abs(b).max()))
        for _ in range(40):
            trial = b.copy()
            trial[move] += step
            new, eta_new, info_new, logdet_new = _objective(xs, y, trial, firth)
            # rounding of the sum of n terms must not stop a step at the optimum
            if new >= value - 1e-14 * n:
                b, value, eta, info, logdet = trial, new, eta_new, info_new, logdet_new
                break
            step = step / 2
        else:
            converged = bool(np.abs(score).max() < 1e-6)
            break
    log_likelihood = _log_likelihood(y, eta)
    _, _, info, logdet = _objective(xs, y, b, True)
    return BinaryOptimum(
        coefficients=b / scale,
        information=info * np.outer(scale, scale),
        log_likelihood=log_likelihood,
        penalised_log_likelihood=log_likelihood + logdet + float(np.log(scale).sum()),
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


def _objective(x, y, b, firth) -> tuple[float, np.ndarray, np.ndarray, float]:
    eta = np.einsum("ij,j->i", x, b)
    prob = _expit(eta)
    # einsum, not BLAS: the sums have one order whatever the number of threads
    info = np.einsum("ij,ik->jk", x, (prob * (1 - prob))[:, None] * x)
    value = _log_likelihood(y, eta)
    logdet = 0.0
    if firth:
        sign, logabs = np.linalg.slogdet(info)
        logdet = 0.5 * float(logabs) if sign > 0 else -np.inf
    return value + logdet, eta, info, logdet


def _log_likelihood(y: np.ndarray, eta: np.ndarray) -> float:
    return float(np.sum(y * eta - np.logaddexp(0.0, eta)))


def _expit(eta: np.ndarray) -> np.ndarray:
    e = np.exp(-np.abs(eta))
    return np.where(eta >= 0, 1.0, e) / (1.0 + e)
