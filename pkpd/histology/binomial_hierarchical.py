"""Binomial hierarchical model of response rates, by quadrature.

r_k ~ Bin(n_k, expit θ_k), θ_k ~ N(μ, τ²), μ ~ N(m, s²), τ ~ HalfNormal (Berry SM et al. Clin Trials
2013;10:720-734).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology.binomial_quadrature import hermite, legendre, moments, mu_nodes, tail, tau_nodes
from pkpd.histology.permutation import read_responses
from pkpd.results import result

__all__ = ["BinomialHierarchical", "binomial_hierarchical"]

# response rates to 5e-6 against four times as many nodes, over published baskets with empty and full cells
TAU_NODES, MU_NODES, THETA_NODES = 24, 13, 17


@result
@dataclass(frozen=True)
class BinomialHierarchical:
    """Posterior of the binomial hierarchical model.

    Attributes
    ----------
    mean, sd : ndarray, shape (K,)
        Of each histology's response rate.
    mu_mean, mu_sd, tau_mean, tau_sd : float
        Mean and SD over histologies, on the logit scale.
    predictive_mean, predictive_sd : float
        Response rate of a histology that was not studied.
    log_evidence : float
        log p(responders), binomial coefficients included.
    responders, patients : ndarray, shape (K,)
    mu, tau : Normal, HalfNormal
        Priors.
    """

    mean: np.ndarray
    sd: np.ndarray
    mu_mean: float
    mu_sd: float
    tau_mean: float
    tau_sd: float
    predictive_mean: float
    predictive_sd: float
    log_evidence: float
    responders: np.ndarray
    patients: np.ndarray
    mu: Normal
    tau: HalfNormal

    def probability_above(self, rate: float) -> np.ndarray:
        """P(response rate > `rate`) per histology, shape (K,)."""
        if not 0 < rate < 1:
            raise InputError("E_RATE", f"rate {rate!r} must lie between 0 and 1.", "Give a fraction.")
        cut = math.log(rate / (1 - rate))
        r, n = self.responders, self.patients
        taus, log_tau = tau_nodes(self.tau, TAU_NODES)
        # as τ → 0 the probability becomes a step in μ: panels of μ end at the cut
        mus, log_mu = _panels(self.mu, taus, r, n, cut)
        at, spread = mus[:, :, None], np.broadcast_to(taus[:, None, None], (*mus.shape, 1))
        mass = moments(at, spread, r, n, THETA_NODES, second=False).log_mass.sum(axis=2)
        log_weight = mass + log_mu + log_tau[:, None]
        weight = np.exp(log_weight - log_weight.max())
        above = tail(at, spread, r, n, cut, 12)
        return np.einsum("tm,tmk->k", weight, above) / weight.sum()

    def predictive_quantile(self, probability: float) -> float:
        """Quantile of the response rate in a histology that was not studied.

        Raises
        ------
        InputError
            ``E_RATE`` for a probability outside (0, 1).
        """
        from scipy.optimize import brentq
        from scipy.special import expit, ndtr

        if not 0 < probability < 1:
            raise InputError(
                "E_RATE", f"probability {probability!r} must lie between 0 and 1.", "Give e.g. 0.975."
            )
        r, n = self.responders, self.patients
        # a distribution function is a step in μ as τ → 0: it needs more nodes than a mean
        taus, log_tau = tau_nodes(self.tau, 2 * TAU_NODES)
        mus, log_mu = mu_nodes(self.mu, taus, r, n, 2 * MU_NODES + 1)
        found = moments(mus[:, :, None], taus[:, None, None], r, n, THETA_NODES, second=False)
        mass = found.log_mass.sum(axis=2)
        log_weight = mass + log_mu + log_tau[:, None]
        weight = np.exp(log_weight - log_weight.max())
        weight /= weight.sum()

        def below(cut: float) -> float:
            return float((weight * ndtr((cut - mus) / taus[:, None])).sum()) - probability

        return float(expit(brentq(below, -40.0, 40.0, xtol=1e-10)))


def binomial_hierarchical(
    responders: Sequence[int] | np.ndarray | pd.Series,
    patients: Sequence[int] | np.ndarray | pd.Series,
    mu: Normal = Normal(0.0, 2.0),  # noqa: B008 (frozen value)
    tau: HalfNormal = HalfNormal(1.0),  # noqa: B008
) -> BinomialHierarchical:
    """Shrink response rates of histologies towards each other, as far as the data say that they are alike.

    Parameters
    ----------
    responders, patients : sequence of int, shape (K,)
        Per histology; none or all may have responded.
    mu : Normal
        Prior of the mean logit. The default says next to nothing: rates from 2 to 98 %; the rate p0 that is not worth giving
        may be its centre, ``Normal(logit(p0), 2)``. The result holds it.
    tau : HalfNormal
        Prior of the between-histology SD on the logit scale.

    Returns
    -------
    BinomialHierarchical

    Raises
    ------
    InputError
        ``E_RESPONDERS``, ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_PRIOR``.
    """
    from scipy.special import gammaln

    r, n = (values.astype(float) for values in read_responses(responders, patients))
    if not isinstance(mu, Normal):
        raise InputError("E_PRIOR", f"mu prior {mu!r}.", "Give Normal(mean, sd) on the logit scale.")
    if not isinstance(tau, HalfNormal):
        raise InputError("E_PRIOR", f"tau prior {tau!r}.", "Use HalfNormal(scale).")
    taus, log_tau = tau_nodes(tau, TAU_NODES)
    mus, log_mu = mu_nodes(mu, taus, r, n, MU_NODES)
    found = moments(mus[:, :, None], taus[:, None, None], r, n, THETA_NODES)
    log_weight = found.log_mass.sum(axis=2) + log_mu + log_tau[:, None]
    peak = log_weight.max()
    weight = np.exp(log_weight - peak)
    constant = (gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)).sum()
    log_evidence = float(peak + math.log(weight.sum()) + constant)
    weight /= weight.sum()
    mean = np.einsum("tm,tmk->k", weight, found.mean)
    second = np.einsum("tm,tmk->k", weight, found.second)
    mu_mean, tau_mean = float((weight * mus).sum()), float(weight.sum(axis=1) @ taus)
    new_mean, new_second = _new_histology(weight, mus, taus)
    return BinomialHierarchical(
        mean=mean,
        sd=np.sqrt(second - mean**2),
        mu_mean=mu_mean,
        mu_sd=float(math.sqrt((weight * (mus - mu_mean) ** 2).sum())),
        tau_mean=tau_mean,
        tau_sd=float(math.sqrt(weight.sum(axis=1) @ (taus - tau_mean) ** 2)),
        predictive_mean=new_mean,
        predictive_sd=math.sqrt(new_second - new_mean**2),
        log_evidence=log_evidence,
        responders=r,
        patients=n,
        mu=mu,
        tau=tau,
    )


def _new_histology(weight: np.ndarray, mus: np.ndarray, taus: np.ndarray) -> tuple[float, float]:
    """First and second moment of the rate where there are no data: θ ~ N(μ, τ²)."""
    x, w = hermite(41)
    density = w * np.exp(-0.5 * x**2) / math.sqrt(2 * math.pi)
    p = 0.5 * (1 + np.tanh(0.5 * (mus[..., None] + taus[:, None, None] * x)))
    return (
        float(np.einsum("tm,tmx,x->", weight, p, density)),
        float(np.einsum("tm,tmx,x->", weight, p * p, density)),
    )


def _panels(
    prior: Normal, taus: np.ndarray, r: np.ndarray, n: np.ndarray, cut: float
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes of μ per τ on panels that end at `cut`."""
    ends, _ = mu_nodes(prior, taus, r, n, 2)  # centre ± one posterior SD
    centre, sd = ends.mean(axis=1), (ends[:, 1] - ends[:, 0]) / 2
    x, w = legendre(10)
    low, high = centre - 7.5 * sd, centre + 7.5 * sd
    inner = np.clip(cut, low, high)
    width = np.maximum(taus, 1e-3 * sd)
    edges = np.sort(
        np.stack(
            [
                low,
                np.clip(centre - 2.5 * sd, low, high),
                np.clip(centre, low, high),
                np.clip(centre + 2.5 * sd, low, high),
                high,
                inner,
                # the step has the width of τ
                np.clip(inner - 3 * width, low, high),
                np.clip(inner + 3 * width, low, high),
            ],
            axis=1,
        ),
        axis=1,
    )
    start, length = edges[:, :-1, None], np.diff(edges, axis=1)[:, :, None]
    at = (start + length * x).reshape(taus.size, -1)
    weights = (length * w).reshape(taus.size, -1)
    with np.errstate(divide="ignore"):
        return at, np.log(weights) + prior.logpdf(at)
