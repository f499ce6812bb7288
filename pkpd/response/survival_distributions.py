"""Log-likelihoods of right-censored times with exact derivatives: accelerated failure time families and Gompertz.

Accelerated failure time: ln T = η + σ W, z = (ln t − η)/σ; W is the smallest extreme value (Weibull;
exponential with σ = 1), normal or logistic (Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure
Time Data. 2nd ed. 2002, section 3.6). Gompertz: hazard e^η e^{at}.
"""

from __future__ import annotations

import numpy as np

__all__ = ["DISTRIBUTIONS", "accelerated", "gompertz", "gompertz_shape", "standard_quantile", "survival_of"]

DISTRIBUTIONS = ("weibull", "exponential", "lognormal", "loglogistic", "gompertz")


def _standard(distribution: str, z: np.ndarray):
    """Ln f(z), ln S(z) and their first and second derivatives."""
    if distribution in ("weibull", "exponential"):
        e = np.exp(z)
        return (z - e, 1 - e, -e), (-e, -e, -e)
    if distribution == "lognormal":
        from scipy.special import log_ndtr

        log_f = -0.5 * z * z - 0.5 * np.log(2 * np.pi)
        log_s = log_ndtr(-z)
        mills = np.exp(log_f - log_s)
        return (log_f, -z, -np.ones_like(z)), (log_s, -mills, -mills * (mills - z))
    e = np.exp(-np.abs(z))
    p = np.where(z >= 0, 1.0, e) / (1 + e)
    log_s = -np.maximum(z, 0) - np.log1p(e)
    return (z + 2 * log_s, 1 - 2 * p, -2 * p * (1 - p)), (log_s, -p, -p * (1 - p))


def survival_of(distribution: str, z: np.ndarray) -> np.ndarray:
    """S(z) of the standardised log time."""
    return np.exp(_standard(distribution, np.clip(z, -700.0, 700.0))[1][0])


def standard_quantile(distribution: str, probability: float) -> float:
    """Z at which 1 − S(z) is `probability`."""
    if distribution in ("weibull", "exponential"):
        return float(np.log(-np.log1p(-probability)))
    if distribution == "lognormal":
        from scipy.special import ndtri

        return float(ndtri(probability))
    return float(np.log(probability / (1 - probability)))


def accelerated(b: np.ndarray, distribution: str, x: np.ndarray, log_time: np.ndarray, died: np.ndarray):
    """Log-likelihood of the times, gradient and Hessian in the coefficients and, last, ln σ (not for exponential)."""
    free = distribution != "exponential"
    p = x.shape[1]
    sigma = float(np.exp(b[-1])) if free else 1.0
    eta = np.einsum("ij,j->i", x, b[:p])
    z = (log_time - eta) / sigma
    if not np.all(np.isfinite(z)) or z.max() > 600:
        return -np.inf, np.zeros(len(b)), np.zeros((len(b), len(b)))
    (f0, f1, f2), (s0, s1, s2) = _standard(distribution, z)
    value = float(np.sum(np.where(died == 1, f0 - np.log(sigma) - log_time, s0)))
    first, second = np.where(died == 1, f1, s1), np.where(died == 1, f2, s2)
    gradient = np.einsum("ij,i->j", x, -first / sigma)
    hessian = np.einsum("ij,ik->jk", x, (second / sigma**2)[:, None] * x)
    if free:
        cross = np.einsum("ij,i->j", x, (second * z + first) / sigma)
        corner = np.sum(second * z * z + first * z)
        hessian = np.block([[hessian, cross[:, None]], [cross[None, :], np.array([[corner]])]])
        gradient = np.r_[gradient, np.sum(-first * z - died)]
    return value, gradient, hessian


def gompertz_shape(u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """φ(u) = (e^u − 1)/u, φ'(u), φ''(u); by their series near 0, where the formulas cancel."""
    u = np.asarray(u, dtype=float)
    small = np.abs(u) < 0.5
    v = np.where(small, 1.0, u)
    e = np.exp(v)
    zero, one, two = np.expm1(v) / v, (e * (v - 1) + 1) / v**2, (e * (v * v - 2 * v + 2) - 2) / v**3
    w = np.where(small, u, 0.0)
    # the m-th derivative is the integral of s^m e^{us} over 0..1: the sum of u^k / (k! (k + m + 1))
    term, s0, s1, s2 = np.ones_like(w), np.zeros_like(w), np.zeros_like(w), np.zeros_like(w)
    for k in range(20):  # 0.5^20/20! is far below rounding
        s0, s1, s2 = s0 + term / (k + 1), s1 + term / (k + 2), s2 + term / (k + 3)
        term = term * w / (k + 1)
    return np.where(small, s0, zero), np.where(small, s1, one), np.where(small, s2, two)


def gompertz(b: np.ndarray, x: np.ndarray, time: np.ndarray, died: np.ndarray):
    """Log-likelihood of the times, gradient and Hessian in the coefficients and, last, the shape a."""
    p = x.shape[1]
    eta = np.einsum("ij,j->i", x, b[:p])
    u = b[-1] * time
    if np.abs(u).max() > 100 or eta.max() > 300:
        return -np.inf, np.zeros(len(b)), np.zeros((len(b), len(b)))
    zero, one, two = gompertz_shape(u)
    rate = np.exp(eta)
    hazard = rate * time * zero
    first, second = rate * time**2 * one, rate * time**3 * two
    value = float(np.sum(died * (eta + u) - hazard))
    gradient = np.r_[np.einsum("ij,i->j", x, died - hazard), np.sum(died * time - first)]
    cross = np.einsum("ij,i->j", x, -first)
    inner = -np.einsum("ij,ik->jk", x, hazard[:, None] * x)
    corner = np.array([[-np.sum(second)]])
    return value, gradient, np.block([[inner, cross[:, None]], [cross[None, :], corner]])
