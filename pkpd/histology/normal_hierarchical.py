"""Normal hierarchical model of K histology estimates, by quadrature over the between-histology SD.

y | θ ~ N(θ, C),  θ_k ~ N(μ, τ²),  μ ~ N(m₀, σ₀²),  τ ~ prior.  Given τ everything is conjugate, so one
integral over τ remains (Röver C. J Stat Softw 2020;93(6), for diagonal C; here C may be full, as
it is for histology means that share parameters of one population fit).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.distributions import HalfCauchy, HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["NormalHierarchical", "normal_hierarchical", "read_estimates"]

NODES_PER_PANEL = 16  # Gauss-Legendre on panels that double in width: the integrand is smooth on each


@result
@dataclass(frozen=True)
class NormalHierarchical:
    """Posterior of the normal hierarchical model.

    Attributes
    ----------
    table : DataFrame
        One row per histology: histology, estimate, se (as given), shrunken_mean, shrunken_sd, lower, upper
        (central 90 % interval of the shrunken effect).
    tau_mean, tau_sd, tau_median : float
        Between-histology SD.
    mu_mean, mu_sd : float
        Mean over histologies.
    predictive_mean, predictive_sd, predictive_lower, predictive_upper : float
        Effect in a histology that was not studied, with its central 90 % interval.
    bayes_factor_homogeneous : float
        p(y | τ = 0) / p(y | τ ~ prior); above 1 the data speak for one common effect.
    log_evidence : float
        log p(y).
    estimates, covariance : ndarray
        As given, (K,) and (K, K).
    tau, mu : HalfNormal or HalfCauchy, Normal
        Priors.
    """

    table: pd.DataFrame
    tau_mean: float
    tau_sd: float
    tau_median: float
    mu_mean: float
    mu_sd: float
    predictive_mean: float
    predictive_sd: float
    predictive_lower: float
    predictive_upper: float
    bayes_factor_homogeneous: float
    log_evidence: float
    estimates: np.ndarray
    covariance: np.ndarray
    tau: Any
    mu: Any

    def tau_probability_above(self, tau0: float) -> float:
        """P(τ > `tau0`) given the data."""
        if not tau0 >= 0:
            raise InputError(
                "E_TAU", f"tau0 is {tau0!r}; it must be 0 or more.", "Give a standard deviation."
            )
        posterior = _Posterior(self.estimates, self.covariance, self.tau, self.mu, split=tau0)
        return float(posterior.weights[posterior.nodes > tau0].sum())

    def mu_probability_above(self, value: float) -> float:
        """P(μ > `value`) given the data."""
        from scipy.special import ndtr

        posterior = _Posterior(self.estimates, self.covariance, self.tau, self.mu)
        return float(posterior.weights @ ndtr((posterior.mu_mean - value) / np.sqrt(posterior.mu_variance)))


class _Posterior:
    """Nodes and posterior weights of τ, with the conditional moments at each node."""

    def __init__(self, y: np.ndarray, covariance: np.ndarray, tau: Any, mu: Normal, split: float = 0.0):
        self.y, self.mu = y, mu
        eigenvalues, self.axes = np.linalg.eigh(covariance)
        self.eigenvalues = np.clip(eigenvalues, 0.0, None)
        scale = min(tau.scale, math.sqrt(max(self.eigenvalues.min(), 1e-12 * self.eigenvalues.max())))
        self.nodes, self.spacing = _panels(scale / 64, tau.upper(), split)
        with np.errstate(over="ignore"):
            log_density = self.log_likelihood(self.nodes) + tau.logpdf(self.nodes) + np.log(self.spacing)
        peak = log_density.max()
        mass = np.exp(log_density - peak)
        self.log_evidence = float(peak + math.log(mass.sum()))
        self.weights = mass / mass.sum()
        self.mu_mean, self.mu_variance = self.conditional_mu(self.nodes)

    def _projections(self, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inverse = 1.0 / (self.eigenvalues + np.square(tau)[:, None])  # of V = C + τ² I on the axes of C
        return inverse, self.axes.T @ np.ones_like(self.y), self.axes.T @ self.y

    def conditional_mu(self, tau: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of μ given τ and the data."""
        inverse, one, y = self._projections(tau)
        prior = 1.0 / self.mu.sd**2
        precision = inverse @ (one * one) + prior
        return (inverse @ (one * y) + prior * self.mu.mean) / precision, 1.0 / precision

    def log_likelihood(self, tau: np.ndarray) -> np.ndarray:
        """Log p(y | τ), μ integrated out: y ~ N(m₀ 1, V + σ₀² 1 1')."""
        inverse, one, y = self._projections(tau)
        centred = y - self.mu.mean * one
        s11, s1y, syy = inverse @ (one * one), inverse @ (one * centred), inverse @ (centred * centred)
        # determinant lemma and Woodbury for the rank-one term
        growth = 1.0 + self.mu.sd**2 * s11
        log_determinant = -np.log(inverse).sum(axis=1) + np.log(growth)
        quadratic = syy - self.mu.sd**2 * s1y**2 / growth
        return -0.5 * (len(self.y) * math.log(2 * math.pi) + log_determinant + quadratic)

    def conditional_effects(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each θ_k given τ and the data, shape (nodes, K)."""
        inverse, one, y = self._projections(self.nodes)
        tau2 = np.square(self.nodes)[:, None]
        # I − τ² V⁻¹ = C V⁻¹: written with the eigenvalues of C it does not cancel where τ is large
        pull = (self.eigenvalues * inverse * one) @ self.axes.T
        mean = (tau2 * inverse * y) @ self.axes.T + pull * self.mu_mean[:, None]
        within = (tau2 * self.eigenvalues * inverse) @ np.square(self.axes).T
        return mean, within + pull**2 * self.mu_variance[:, None]


def normal_hierarchical(
    estimates: Sequence[float] | np.ndarray | pd.Series,
    standard_errors: Sequence[float] | np.ndarray | pd.Series | None = None,
    covariance: np.ndarray | pd.DataFrame | None = None,
    tau: HalfNormal | HalfCauchy = HalfNormal(0.5),  # noqa: B008 (frozen value)
    mu: Normal = Normal(0.0, 2.0),  # noqa: B008 (frozen value)
) -> NormalHierarchical:
    """Shrink K histology estimates towards each other, as far as the data say that they are alike.

    Parameters
    ----------
    estimates : sequence of float, shape (K,)
        On a scale on which they are about normal: log exposure, log hazard ratio, logit slope. The index of a
        Series names the histologies.
    standard_errors : sequence of float, shape (K,), optional
        Of independent estimates.
    covariance : ndarray, shape (K, K), optional
        Instead of standard errors: estimates of one fit are correlated. Contrasts against one reference are
        correlated too: give all K means with their covariance rather than K − 1 contrasts.
    tau : HalfNormal or HalfCauchy
        Prior of the between-histology SD.
    mu : Normal
        Prior of the mean over histologies.

    Returns
    -------
    NormalHierarchical

    Raises
    ------
    InputError
        ``E_ESTIMATES``, ``E_STANDARD_ERRORS``, ``E_COVARIANCE``, ``E_PRIOR``.
    """
    y, cov, names = read_estimates(estimates, standard_errors, covariance)
    if not isinstance(tau, HalfNormal | HalfCauchy):
        raise InputError("E_PRIOR", f"tau prior {tau!r}.", "Use HalfNormal(scale) or HalfCauchy(scale).")
    if not isinstance(mu, Normal):
        raise InputError("E_PRIOR", f"mu prior {mu!r}.", "Use Normal(mean, sd).")
    posterior = _Posterior(y, cov, tau, mu)
    weights, nodes = posterior.weights, posterior.nodes
    tau_mean = float(weights @ nodes)
    mu_mean = float(weights @ posterior.mu_mean)
    mu_var = float(weights @ (posterior.mu_variance + (posterior.mu_mean - mu_mean) ** 2))
    means, variances = posterior.conditional_effects()
    mean = weights @ means
    sd = np.sqrt(weights @ (variances + (means - mean) ** 2))
    limits = np.array([_interval(weights, means[:, k], variances[:, k]) for k in range(len(y))])
    predictive_var = posterior.mu_variance + nodes**2
    predictive = _interval(weights, posterior.mu_mean, predictive_var)
    homogeneous = _homogeneous(posterior)
    return NormalHierarchical(
        table=pd.DataFrame(
            {
                "histology": names,
                "estimate": y,
                "se": np.sqrt(np.diag(cov)),
                "shrunken_mean": mean,
                "shrunken_sd": sd,
                "lower": limits[:, 0],
                "upper": limits[:, 1],
            }
        ),
        tau_mean=tau_mean,
        tau_sd=float(math.sqrt(weights @ (nodes - tau_mean) ** 2)),
        tau_median=_tau_quantile(y, cov, tau, mu, 0.5),
        mu_mean=mu_mean,
        mu_sd=math.sqrt(mu_var),
        predictive_mean=mu_mean,
        predictive_sd=float(math.sqrt(weights @ (predictive_var + (posterior.mu_mean - mu_mean) ** 2))),
        predictive_lower=predictive[0],
        predictive_upper=predictive[1],
        bayes_factor_homogeneous=homogeneous,
        log_evidence=posterior.log_evidence,
        estimates=y,
        covariance=cov,
        tau=tau,
        mu=mu,
    )


def _homogeneous(posterior: _Posterior) -> float:
    # with a singular covariance the likelihood at τ = 0 has no density to compare
    if posterior.eigenvalues.min() <= 1e-12 * posterior.eigenvalues.max():
        return math.nan
    at_zero = float(posterior.log_likelihood(np.zeros(1))[0])
    return math.exp(at_zero - posterior.log_evidence)


def _panels(first: float, last: float, split: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes and weights on [0, last]: panels double from `first`; `split` is an edge."""
    doublings = max(1, math.ceil(math.log2(last / first)))
    edges = np.concatenate([[0.0], first * 2.0 ** np.arange(doublings), [last]])
    if 0 < split < last:
        edges = np.append(edges, split)
    edges = np.unique(edges)
    x, w = np.polynomial.legendre.leggauss(NODES_PER_PANEL)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (x + 1)).ravel(), (half * w).ravel()


def _interval(weights: np.ndarray, means: np.ndarray, variances: np.ndarray) -> tuple[float, float]:
    """Central 90 % interval of a mixture of normals."""
    from scipy.optimize import brentq
    from scipy.special import ndtr

    keep = weights > 1e-16
    weights, means, sds = weights[keep], means[keep], np.sqrt(variances[keep])
    reach = 8 * float(sds.max())
    low, high = float(means.min()) - reach, float(means.max()) + reach

    def excess(x: float, probability: float) -> float:
        return float(weights @ ndtr((x - means) / sds)) - probability

    lower, upper = (brentq(excess, low, high, args=(p,), xtol=1e-12) for p in (0.05, 0.95))
    return float(lower), float(upper)


def _tau_quantile(y: np.ndarray, covariance: np.ndarray, tau: Any, mu: Normal, p: float) -> float:
    from scipy.optimize import brentq

    def excess(at: float) -> float:
        posterior = _Posterior(y, covariance, tau, mu, split=at)
        return float(posterior.weights[posterior.nodes < at].sum()) - p

    coarse = _Posterior(y, covariance, tau, mu)
    # the true quantile lies between the nodes around the coarse one; two nodes further is safe
    position = int(np.searchsorted(np.cumsum(coarse.weights), p))
    low = coarse.nodes[position - 3] if position > 2 else 1e-12 * coarse.nodes[0]
    high = coarse.nodes[min(position + 3, len(coarse.nodes) - 1)]
    return float(brentq(excess, low, high, xtol=1e-12 * high))


def read_estimates(estimates, standard_errors, covariance) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Estimates, covariance and names of histologies, or the error that says what is wrong with them."""
    names = [str(name) for name in estimates.index] if isinstance(estimates, pd.Series) else None
    y = np.asarray(estimates, float)
    if y.ndim != 1 or y.size < 2 or not np.isfinite(y).all():
        raise InputError(
            "E_ESTIMATES",
            f"estimates of shape {y.shape} must be two or more finite numbers: {y.tolist()!r}.",
            "Leave out histologies without a finite estimate, and say so.",
        )
    names = names or [str(k + 1) for k in range(y.size)]
    if (standard_errors is None) == (covariance is None):
        raise InputError(
            "E_STANDARD_ERRORS",
            "exactly one of standard_errors and covariance is needed.",
            "Give the covariance of estimates from one fit, standard errors of independent ones.",
        )
    if standard_errors is not None:
        se = np.asarray(standard_errors, float)
        if se.shape != y.shape or not (np.isfinite(se) & (se > 0)).all():
            raise InputError(
                "E_STANDARD_ERRORS",
                f"standard errors {se.tolist()!r} must be {y.size} finite numbers above 0.",
                "Leave out histologies without a standard error, and say so.",
            )
        return y, np.diag(se**2), names
    cov = np.asarray(covariance, float)
    if cov.shape != (y.size, y.size) or not np.isfinite(cov).all():
        raise InputError(
            "E_COVARIANCE",
            f"covariance of shape {cov.shape} for {y.size} estimates.",
            "Give a (K, K) matrix.",
        )
    largest = float(np.abs(cov).max())
    if not np.allclose(cov, cov.T, atol=1e-10 * largest) or np.linalg.eigvalsh(cov).min() < -1e-10 * largest:
        raise InputError(
            "E_COVARIANCE",
            "the covariance is not symmetric and positive semidefinite.",
            "Give the covariance matrix of the estimates, not correlations or standard errors.",
        )
    return y, (cov + cov.T) / 2, names
