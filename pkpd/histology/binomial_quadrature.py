"""Integrals of a binomial likelihood over θ ~ N(μ, τ²), and the nodes in μ and τ at which they are needed.

Adaptive Gauss-Hermite: nodes are centred at the mode of each integrand, so that neither 100 patients nor a
wide prior costs accuracy. All sums are in logs relative to the maximum of the binomial likelihood.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np

from pkpd.distributions import HalfNormal, Normal

__all__ = ["Moments", "hermite", "legendre", "moments", "mu_nodes", "tail", "tau_nodes"]

NEWTON_STEPS = 60


@dataclass(frozen=True)
class Moments:
    """Per node (…, K): log ∫ Bin·N dθ, and mean and second moment of the response probability."""

    log_mass: np.ndarray
    mean: np.ndarray
    second: np.ndarray


@cache
def hermite(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and weights such that ∫ f(x) dx ≈ Σ w f(x), f close to a standard normal density."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    return x, w * np.exp(0.5 * x**2)


@cache
def legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, 1]."""
    x, w = np.polynomial.legendre.leggauss(n)
    return (x + 1) / 2, w / 2


def tau_nodes(prior: HalfNormal, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of τ and log weights that include the prior: τ = τ_max u² crowds them near 0."""
    u, w = legendre(n)
    top = 6.5 * prior.scale  # P(τ > top) = 8e-11
    tau = top * u**2
    return tau, np.log(w * 2 * top * u) + prior.logpdf(tau)


def _expit(x: np.ndarray) -> np.ndarray:
    return 0.5 * (1.0 + np.tanh(0.5 * x))


def log_likelihood(theta: np.ndarray, r: np.ndarray, n: np.ndarray) -> np.ndarray:
    """Binomial log likelihood without its constant, r θ − n log(1 + e^θ)."""
    return r * theta - n * (np.maximum(theta, 0.0) + np.log1p(np.exp(-np.abs(theta))))


def mode(mu: np.ndarray, tau: np.ndarray, r: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mode of Bin(r, n; θ) N(θ; μ, τ²) and the SD of its Laplace approximation; arguments broadcast.

    Newton steps are written so that they stay well scaled as τ → 0. The integrand is log-concave, so that
    capped steps converge from anywhere; nodes need their centre to 1e-4 only.
    """
    variance = np.square(tau)
    own, information = np.log((r + 0.5) / (n - r + 0.5)), (r + 0.5) * (n - r + 0.5) / (n + 1)
    theta = mu + (own - mu) * (variance * information / (1 + variance * information))
    for _ in range(NEWTON_STEPS):
        p = _expit(theta)
        step = (mu - theta + variance * (r - n * p)) / (1 + variance * n * p * (1 - p))
        theta = theta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-2:  # quadratic convergence: the step taken leaves an error of about 1e-4
            break
    p = _expit(theta)
    return theta, np.sqrt(variance / (1 + variance * n * p * (1 - p)))


def moments(
    mu: np.ndarray, tau: np.ndarray, r: np.ndarray, n: np.ndarray, nodes: int, *, second: bool = True
) -> Moments:
    """Integrals over θ at each (μ, τ) and histology; `mu` and `tau` must broadcast with (…, K)."""
    theta, sd = mode(mu, tau, r, n)
    x, w = hermite(nodes)
    at = theta[..., None] + sd[..., None] * x
    small = np.exp(-np.abs(at))
    p = np.where(at >= 0, 1.0, small) / (1.0 + small)
    log_value = r[:, None] * at - n[:, None] * (np.maximum(at, 0.0) + np.log1p(small))
    log_value -= 0.5 * np.square((at - mu[..., None]) / tau[..., None])
    peak = log_value[..., nodes // 2]  # the node next to the mode
    value = np.exp(log_value - peak[..., None])
    mass = value @ w
    value *= p
    first = value @ w / mass
    return Moments(
        peak + np.log(mass * sd / tau) - 0.5 * np.log(2 * np.pi),
        first,
        (value * p) @ w / mass if second else first,
    )


def mu_nodes(
    prior: Normal, tau: np.ndarray, r: np.ndarray, n: np.ndarray, nodes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes of μ per τ, shape (T, nodes), with log weights that include the prior.

    Centre and scale come from Laplace's approximation of the posterior of μ given τ.
    """
    variance = np.square(tau)[:, None]
    weight = (r + 0.5) * (n - r + 0.5) / (n + 1)
    mu = np.full((tau.size, 1), np.average(np.log((r + 0.5) / (n - r + 0.5)), weights=weight))
    for _ in range(NEWTON_STEPS):
        theta, _sd = mode(mu, tau[:, None], r, n)
        p = _expit(theta)
        w = n * p * (1 - p)
        gradient = (r - n * p).sum(axis=1, keepdims=True) - (mu - prior.mean) / prior.sd**2
        curvature = (w / (1 + w * variance)).sum(axis=1, keepdims=True) + 1 / prior.sd**2
        step = np.clip(gradient / curvature, -1.0, 1.0)
        mu = mu + step
        if np.abs(step).max() < 1e-2:
            break
    sd = 1 / np.sqrt(curvature)
    x, w = hermite(nodes)
    at = mu + sd * x
    return at, np.log(sd * w) + prior.logpdf(at)


def tail(mu: np.ndarray, tau: np.ndarray, r: np.ndarray, n: np.ndarray, cut: float, nodes: int) -> np.ndarray:
    """P(θ > cut | μ, τ, y) per node, by Gauss-Legendre on each side of the cut."""
    theta, sd = mode(mu, tau, r, n)
    x, w = legendre(nodes)
    # the integrand is below 1e-20 of its peak ten Laplace SDs above the mode, and ten prior SDs below or
    # above
    low = np.minimum(theta - 10 * sd, np.maximum(theta - 10 * tau, theta - 40.0))
    high = np.maximum(theta + 10 * sd, np.minimum(theta + 10 * tau, theta + 40.0))
    inner = np.clip(cut, low, high)
    peak = log_likelihood(theta, r, n) - 0.5 * ((theta - mu) / tau) ** 2

    def integral(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        at = a[..., None] + (b - a)[..., None] * x
        log_value = (
            log_likelihood(at, r[:, None], n[:, None])
            - 0.5 * ((at - mu[..., None]) / tau[..., None]) ** 2
            - peak[..., None]
        )
        return (np.exp(log_value) @ w) * (b - a)

    def total(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        # the bulk within four Laplace SDs of the mode gets nodes of its own
        edges = [a, np.clip(theta - 4 * sd, a, b), np.clip(theta, a, b), np.clip(theta + 4 * sd, a, b), b]
        return np.add.reduce([integral(e, f) for e, f in pairwise(edges)])

    above, below = total(inner, high), total(low, inner)
    return above / (above + below)
