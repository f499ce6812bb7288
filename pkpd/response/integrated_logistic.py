"""Largest log-likelihood of logistic models whose regressor is uncertain; of block models for many response vectors at once.

The block model is P(y=1) = ∫ expit(a_k + b x) dF_i(x) with one intercept per block and one slope, F_i what is known of the
regressor of patient i, given at nodes of a quadrature; one block alone is the two-parameter model, as in ``batched_logistic``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

__all__ = ["NODES", "exposure_nodes", "integrated_common_slope", "maximise_integrated"]

# Gauss-Hermite: probabilities within 1e-6 at s = 0.6 and a slope of 3; with 15 a steep slope finds maxima that are not there
NODES = 31
# columns per pass: keeps the working set in cache; a constant, so that results never depend on the machine
CHUNK = 16
GAIN = 1e-9  # stop when a step can raise the log-likelihood by no more than about this
STEPS = 60  # with separated data the slope has no end; what it gains falls quickly


def exposure_nodes(exposure: np.ndarray, log_sd: np.ndarray, shape: str) -> tuple[np.ndarray, np.ndarray]:
    """Regressor at the nodes of a log-normal exposure.

    Parameters
    ----------
    exposure : ndarray, shape (N,)
        Medians.
    log_sd : ndarray, shape (N,)
        Standard deviations of the logarithm.
    shape : {"linear", "log"}
        Of the exposure in the linear predictor.

    Returns
    -------
    nodes : ndarray, shape (N, Q)
    weights : ndarray, shape (Q,)
        They sum to 1.
    """
    z, weights = np.polynomial.hermite_e.hermegauss(NODES)
    logs = np.log(exposure)[:, None] + np.asarray(log_sd)[:, None] * z
    return (logs if shape == "log" else np.exp(logs)), weights / weights.sum()


def integrated_common_slope(
    y: np.ndarray, nodes: np.ndarray, weights: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Largest log-likelihood with intercepts a_k and one slope, by Fisher scoring with step-halving.

    Parameters
    ----------
    y : ndarray, shape (N, B)
        B response vectors of 0/1, rows sorted by block.
    nodes, weights : ndarray, shape (N, Q), (Q,)
        Of :func:`exposure_nodes`.
    starts : ndarray of int, shape (K,)
        First row of each block.

    Returns
    -------
    ndarray, shape (B,)
    """
    sizes = np.diff(starts, append=len(y))
    middle = nodes @ weights
    z = nodes - np.repeat(np.add.reduceat(middle, starts) / sizes, sizes)[:, None]
    z = z / np.sqrt(np.mean((z @ weights) ** 2))
    out = np.empty(y.shape[1])
    for lo in range(0, y.shape[1], CHUNK):
        out[lo : lo + CHUNK] = _scoring(y[:, lo : lo + CHUNK], z, weights, starts, sizes)
    return out


def _scoring(y, z, weights, starts, sizes) -> np.ndarray:
    events = np.add.reduceat(y, starts, axis=0)
    # a block of equal responses sends its own intercept to infinity and adds 0
    mask = ((events > 0) & (events < sizes[:, None])).astype(float)
    a = np.where(mask > 0, np.log((events + 0.5) / (sizes[:, None] - events + 0.5)), 0.0)
    b = np.zeros(y.shape[1])
    out = np.empty(y.shape[1])
    columns = np.arange(y.shape[1])
    state = _evaluate(a, b, y, z, weights, sizes, mask)
    for iteration in range(STEPS):
        value, score, slope_a, slope_b, weight = state
        info_a = np.where(mask > 0, np.add.reduceat(weight * slope_a**2, starts, axis=0), 1.0)
        cross = mask * np.add.reduceat(weight * slope_a * slope_b, starts, axis=0)
        masked = np.repeat(mask, sizes, axis=0)
        info_b = np.sum(masked * weight * slope_b**2, axis=0)
        score_a = mask * np.add.reduceat(score * slope_a, starts, axis=0)
        score_b = np.sum(masked * score * slope_b, axis=0)
        ratio = cross / np.maximum(info_a, 1e-300)
        schur = np.maximum(info_b - np.sum(ratio * cross, axis=0), 1e-300)
        step_b = (score_b - np.sum(ratio * score_a, axis=0)) / schur
        step_a = score_a / np.maximum(info_a, 1e-300) - ratio * step_b
        gain = np.sum(step_a * score_a, axis=0) + step_b * score_b
        done = (gain <= GAIN) | (iteration == STEPS - 1)
        if done.any():
            out[columns[done]] = value[done]
            keep = ~done
            if not keep.any():
                break
            columns, y, a, b, mask = columns[keep], y[:, keep], a[:, keep], b[keep], mask[:, keep]
            step_a, step_b, value = step_a[:, keep], step_b[keep], value[keep]
        length = np.ones_like(b)
        for _ in range(40):
            state = _evaluate(a + length * step_a, b + length * step_b, y, z, weights, sizes, mask)
            worse = ~(state[0] >= value - 1e-12 * (1 + np.abs(value)))
            if not worse.any():
                break
            length = np.where(worse, length / 2, length)
        a, b = a + length * step_a, b + length * step_b
    return out


def _evaluate(a, b, y, z, weights, sizes, mask) -> tuple[np.ndarray, ...]:
    """Log-likelihood (B,), its derivative by each probability, those of the probability by a and b, and 1/variance (N, B)."""
    eta = np.repeat(a, sizes, axis=0)[:, None, :] + z[:, :, None] * b
    e = np.exp(-np.abs(eta))
    inverse = 1.0 / (1.0 + e)
    larger, smaller = inverse, e * inverse
    one = np.maximum(np.einsum("q,nqb->nb", weights, np.where(eta >= 0, larger, smaller)), 1e-300)
    zero = np.maximum(np.einsum("q,nqb->nb", weights, np.where(eta >= 0, smaller, larger)), 1e-300)
    slope = larger * smaller
    slope_a = np.einsum("q,nqb->nb", weights, slope)
    slope_b = np.einsum("q,nq,nqb->nb", weights, z, slope)
    value = np.sum(np.repeat(mask, sizes, axis=0) * np.log(np.where(y > 0, one, zero)), axis=0)
    return value, np.where(y > 0, 1 / one, -1 / zero), slope_a, slope_b, 1 / (one * zero)


class IntegratedOptimum(NamedTuple):
    """Where the integrated likelihood is largest."""

    coefficients: np.ndarray
    probabilities: np.ndarray
    information: np.ndarray
    log_likelihood: float
    jeffreys: float
    converged: bool


def maximise_integrated(
    x: np.ndarray,
    weights: np.ndarray,
    y: np.ndarray,
    *,
    start: np.ndarray,
    scale: np.ndarray,
    penalty: float,
) -> IntegratedOptimum:
    """Maximise the likelihood of responses whose regressors are known at the nodes of a quadrature.

    Parameters
    ----------
    x : ndarray, shape (Q, N, p)
        Design at each node.
    weights : ndarray, shape (Q,)
        They sum to 1.
    y : ndarray, shape (N,)
        0 and 1.
    start, scale : ndarray, shape (p,)
        Coefficients to begin with; a step of 1 in each direction (their standard errors).
    penalty : float
        Weight of Jeffreys' prior, the logarithm of which is half the log determinant of Fisher's information; 0 for none.
    """
    from scipy.optimize import minimize

    def means(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability (N,) and its gradient (N, p)."""
        from scipy.special import expit

        p = expit(np.einsum("qij,j->qi", x, beta))
        return weights @ p, np.einsum("q,qi,qij->ij", weights, p * (1 - p), x)

    def information(beta: np.ndarray) -> np.ndarray:
        m, gradient = means(beta)
        return np.einsum("ij,i,ik->jk", gradient, 1 / np.maximum(m * (1 - m), 1e-300), gradient)

    def jeffreys(beta: np.ndarray) -> float:
        return 0.5 * float(np.linalg.slogdet(information(beta))[1])

    def log_likelihood(m: np.ndarray) -> float:
        return float(np.log(np.where(y == 1, m, 1 - m)).sum())

    def objective(beta: np.ndarray) -> tuple[float, np.ndarray]:
        m, gradient = means(beta)
        value = -log_likelihood(m)
        slope = -np.einsum("i,ij->j", (y - m) / (m * (1 - m)), gradient)
        if penalty:
            h = 1e-5
            steps = h * np.eye(beta.size)
            value -= penalty * jeffreys(beta)
            slope -= penalty * np.array([(jeffreys(beta + e) - jeffreys(beta - e)) / (2 * h) for e in steps])
        return value, slope

    def scaled(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = objective(start + scale * u)
        return value, slope * scale

    options: Any = {"gtol": 1e-6}
    found = minimize(scaled, np.zeros(start.size), jac=True, method="BFGS", options=options)
    beta = start + scale * found.x
    m, _ = means(beta)
    # a line search that stops at rounding has arrived, too
    converged = bool(np.abs(found.jac).max() < 1e-4)
    return IntegratedOptimum(beta, m, information(beta), log_likelihood(m), jeffreys(beta), converged)
