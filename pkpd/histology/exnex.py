"""Exchangeability-nonexchangeability model of response rates, by quadrature.

θ_k = logit of histology k's rate comes from one of the exchangeable components N(μ_c, τ_c²), weight w_c, or
stands on its own, N(m_k, s_k²), weight w_0 (Neuenschwander B, Wandel S, Roychoudhury S, Bailey S. Pharm Stat
2016;15:123-134). One component leaves a two-dimensional integral of a product over histologies; with two, the
sum runs over all assignments of histologies to components, each a product of integrals over subsets: exact,
and no labels can switch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology.binomial_quadrature import legendre, moments, tail, tau_nodes
from pkpd.histology.permutation import read_responses
from pkpd.results import result

__all__ = ["Exnex", "exnex", "read_priors"]

TAU_NODES, THETA_NODES, ALONE_NODES, TAIL_NODES = 24, 17, 61, 12
MOST_HISTOLOGIES_TWO = 12


@result
@dataclass(frozen=True)
class Exnex:
    """Posterior of the EXNEX model.

    Attributes
    ----------
    mean, sd : ndarray, shape (K,)
        Of each histology's response rate.
    probability_exchangeable : ndarray, shape (K,)
        That it shares in an exchangeable component: low values say which histology stands apart.
    component_probability : ndarray, shape (K, C + 1)
        Per exchangeable component in the order given; last the nonexchangeable one.
    log_evidence : float
        log p(responders), binomial coefficients included.
    responders, patients : ndarray, shape (K,)
    exchangeable : tuple
        (weight, mu prior, tau prior) of each component.
    nonexchangeable : tuple
        Weight, and one prior per histology.
    """

    mean: np.ndarray
    sd: np.ndarray
    probability_exchangeable: np.ndarray
    component_probability: np.ndarray
    log_evidence: float
    responders: np.ndarray
    patients: np.ndarray
    exchangeable: tuple
    nonexchangeable: tuple

    def probability_above(self, rate: float) -> np.ndarray:
        """P(response rate > `rate`) per histology, shape (K,)."""
        if not 0 < rate < 1:
            raise InputError("E_RATE", f"rate {rate!r} must lie between 0 and 1.", "Give a fraction.")
        cut = math.log(rate / (1 - rate))
        found = _posterior(self.responders, self.patients, self.exchangeable, self.nonexchangeable, cut)
        return found.values[0]


@dataclass(frozen=True)
class _Component:
    """Nodes of one component: prior weight (J,), L (J, K) relative to `scale`, E[f | node] per quantity."""

    weight: np.ndarray
    likelihood: np.ndarray
    values: tuple[np.ndarray, ...]


@dataclass(frozen=True)
class _Found:
    values: tuple[np.ndarray, ...]
    component: np.ndarray
    log_evidence: float


def exnex(
    responders: Sequence[int] | np.ndarray | pd.Series,
    patients: Sequence[int] | np.ndarray | pd.Series,
    exchangeable: Sequence[tuple[float, Normal, HalfNormal]],
    nonexchangeable: tuple[float, Normal | Sequence[Normal]],
) -> Exnex:
    """Borrow between histologies that are alike, and let the others stand alone.

    Parameters
    ----------
    responders, patients : sequence of int, shape (K,)
        Per histology.
    exchangeable : sequence of (weight, mu prior, tau prior)
        One or two components with a weight above 0.
    nonexchangeable : (weight, Normal) or (weight, K Normals)
        Prior of the logit of a histology on its own.

    Returns
    -------
    Exnex

    Raises
    ------
    InputError
        ``E_RESPONDERS``, ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_PRIOR``, ``E_WEIGHTS``.
    """
    r, n = (values.astype(float) for values in read_responses(responders, patients))
    shared, alone = read_priors(exchangeable, nonexchangeable, r.size)
    found = _posterior(r, n, shared, alone, None)
    mean, second = found.values
    return Exnex(
        mean=mean,
        sd=np.sqrt(second - mean**2),
        probability_exchangeable=found.component[:, :-1].sum(axis=1),
        component_probability=found.component,
        log_evidence=found.log_evidence,
        responders=r,
        patients=n,
        exchangeable=shared,
        nonexchangeable=alone,
    )


def _posterior(r: np.ndarray, n: np.ndarray, shared: tuple, alone: tuple, cut: float | None) -> _Found:
    """Posterior expectation of p and p², or of 1(θ > cut) where a cut is given."""
    from scipy.special import gammaln

    weight_alone, priors = alone
    m = np.array([prior.mean for prior in priors])
    s = np.array([prior.sd for prior in priors])
    own = moments(m, s, r, n, ALONE_NODES)
    # likelihoods relative to the largest that each histology can have, so that products do not underflow
    rate = np.clip(r / n, 1e-300, 1.0)
    top = r * np.log(rate) + (n - r) * np.log1p(-np.minimum(rate, 1 - 1e-16))
    own_values = (own.mean, own.second) if cut is None else (tail(m, s, r, n, cut, TAIL_NODES),)
    own_part = weight_alone * np.exp(own.log_mass - top)
    active = [c for c, component in enumerate(shared) if component[0] > 0]
    components = [
        _component(shared[c], r, n, top, cut, own_part if len(active) == 1 else None) for c in active
    ]
    if len(components) == 1:
        values, inside, log_z = _one(components[0], own_part, own_values)
    else:
        values, inside, log_z = _two(components, own_part, own_values)
    component = np.zeros((r.size, len(shared) + 1))
    component[:, active] = inside
    component[:, -1] = 1 - inside.sum(axis=1)
    constant = (gammaln(n + 1) - gammaln(r + 1) - gammaln(n - r + 1)).sum() + top.sum()
    return _Found(values, component, float(log_z + constant))


def _component(
    component: tuple[float, Normal, HalfNormal],
    r: np.ndarray,
    n: np.ndarray,
    top: np.ndarray,
    cut: float | None,
    own: np.ndarray | None,
) -> _Component:
    weight, mu, tau = component
    taus, log_tau = tau_nodes(tau, TAU_NODES)
    mus, mu_weights = _mu_panels(mu, taus, r, n, cut)
    at = np.tile(mus, taus.size)[:, None]
    spread = np.repeat(taus, mus.size)[:, None]
    prior = (np.exp(log_tau)[:, None] * (mu_weights * np.exp(mu.logpdf(mus)))).ravel()
    spread = np.broadcast_to(spread, at.shape)
    found = moments(at, spread, r, n, THETA_NODES, second=cut is None)
    likelihood = weight * np.exp(found.log_mass - top)
    if cut is None:
        return _Component(prior, likelihood, (found.mean, found.second))
    above = np.zeros_like(likelihood)
    matters = np.ones(prior.size, dtype=bool)
    if own is not None:
        # tails are costly: take them only at nodes that carry weight
        mass = prior * (likelihood + own).prod(axis=1)
        matters = mass > 1e-12 * mass.max()
    above[matters] = tail(at[matters], spread[matters], r, n, cut, TAIL_NODES)
    return _Component(prior, likelihood, (above,))


def _mu_panels(
    prior: Normal, taus: np.ndarray, r: np.ndarray, n: np.ndarray, cut: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre nodes of μ on panels that follow each histology's own likelihood and the pooled one."""
    x, w = legendre(8)
    own, sd = np.log((r + 0.5) / (n - r + 0.5)), np.sqrt((n + 1) / ((r + 0.5) * (n - r + 0.5)))
    pooled = math.log((r.sum() + 0.5) / (n.sum() - r.sum() + 0.5))
    pooled_sd = math.sqrt((n.sum() + 1) / ((r.sum() + 0.5) * (n.sum() - r.sum() + 0.5)))
    low, high = prior.mean - 7 * prior.sd, prior.mean + 7 * prior.sd
    edges = [
        np.linspace(low, high, 15),
        np.arange(own.min() - 4, own.max() + 4, 0.75),
        pooled + pooled_sd * np.array([-6.0, -3.0, -1.0, 1.0, 3.0, 6.0]),
        (own[:, None] + sd[:, None] * np.array([-2.0, 2.0])).ravel(),
    ]
    if cut is not None:
        # as τ → 0 the probability becomes a step in μ at the cut, of the width of τ
        width = np.unique(np.clip(taus[::3], 1e-3, 1.0))
        edges += [np.array([cut]), cut + width, cut - width]
    ends = np.unique(np.clip(np.concatenate(edges), low, high))
    ends = ends[np.concatenate([[True], np.diff(ends) > 1e-4])]
    length = np.diff(ends)[:, None]
    return (ends[:-1, None] + length * x).ravel(), (length * w).ravel()


def _one(
    component: _Component, own: np.ndarray, own_values: tuple[np.ndarray, ...]
) -> tuple[tuple[np.ndarray, ...], np.ndarray, float]:
    """Σ_j ω_j Π_k (w L_jk + w_0 N_k)."""
    mixture = component.likelihood + own
    log_weight = np.log(mixture).sum(axis=1)
    peak = log_weight.max()
    weight = component.weight * np.exp(log_weight - peak)
    total = weight.sum()
    weight = weight / total
    share = component.likelihood / mixture
    values = tuple(
        weight @ (share * inside + (1 - share) * outside)
        for inside, outside in zip(component.values, own_values, strict=True)
    )
    return values, (weight @ share)[:, None], float(peak + math.log(total))


def _two(
    components: list[_Component], own: np.ndarray, own_values: tuple[np.ndarray, ...]
) -> tuple[tuple[np.ndarray, ...], np.ndarray, float]:
    """Σ over assignments (S_1, S_2, rest): I_1(S_1) I_2(S_2) Π_rest w_0 N_k."""
    k = own.size
    tables = [_subset_integrals(component) for component in components]
    rest = np.ones(1)
    for value in own:
        rest = np.concatenate([rest, rest * value])
    everything = (1 << k) - 1
    posterior = [np.zeros(1 << k), np.zeros(1 << k)]  # P(S_c is the set of component c)
    outside = np.zeros(1 << k)
    for first in range(1 << k):
        second = _subsets(everything ^ first)
        joint = tables[0][0][first] * tables[1][0][second] * rest[everything ^ first ^ second]
        posterior[0][first] = joint.sum()
        np.add.at(posterior[1], second, joint)
        np.add.at(outside, everything ^ first ^ second, joint)
    total = outside.sum()
    member = (np.arange(1 << k)[None, :] >> np.arange(k)[:, None] & 1).astype(float)
    inside = np.stack([member @ (p / total) for p in posterior], axis=1)
    values = []
    for q, alone in enumerate(own_values):
        value = (member @ (outside / total)) * alone
        for p, (mass, sums) in zip(posterior, tables, strict=True):
            with np.errstate(invalid="ignore", divide="ignore"):
                conditional = np.where(mass[:, None] > 0, sums[q] / mass[:, None], 0.0)
            value = value + np.einsum("s,ks,sk->k", p / total, member, conditional)
        values.append(value)
    return tuple(values), inside, float(math.log(total))


def _subset_integrals(component: _Component) -> tuple[np.ndarray, list[np.ndarray]]:
    """Integrals of the product over each subset S, alone and times E[f_k], shapes (2^K,) and (2^K, K)."""
    nodes, k = component.likelihood.shape
    mass = np.zeros(1 << k)
    sums = [np.zeros((1 << k, k)) for _ in component.values]
    step = max(1, (1 << 22) >> k)
    for i in range(0, nodes, step):
        rows = slice(i, i + step)
        product = component.weight[rows, None]
        for column in component.likelihood[rows].T:
            product = np.concatenate([product, product * column[:, None]], axis=1)
        mass += product.sum(axis=0)
        for total, value in zip(sums, component.values, strict=True):
            total += product.T @ value[rows]
    return mass, sums


def _subsets(mask: int) -> np.ndarray:
    found = np.zeros(1, dtype=np.int64)
    while mask:
        low = mask & -mask
        found = np.concatenate([found, found | low])
        mask ^= low
    return found


def read_priors(exchangeable, nonexchangeable, k: int) -> tuple[tuple, tuple]:
    """Components and priors as tuples, or the error that says what is wrong with them."""
    try:
        shared = tuple((float(w), mu, tau) for w, mu, tau in exchangeable)
        weight, prior = float(nonexchangeable[0]), nonexchangeable[1]
    except (TypeError, ValueError, IndexError) as error:
        raise InputError(
            "E_PRIOR",
            f"exchangeable={exchangeable!r}, nonexchangeable={nonexchangeable!r}.",
            "Give [(weight, Normal, HalfNormal), ...] and (weight, Normal).",
        ) from error
    priors = (prior,) * k if isinstance(prior, Normal) else tuple(prior)
    good = all(isinstance(mu, Normal) and isinstance(tau, HalfNormal) for _, mu, tau in shared)
    if not good or len(priors) != k or not all(isinstance(p, Normal) for p in priors):
        raise InputError(
            "E_PRIOR",
            "mu and the nonexchangeable priors must be Normal (one, or one per histology), tau HalfNormal.",
            "Give [(weight, Normal, HalfNormal), ...] and (weight, Normal).",
        )
    weights = [w for w, _, _ in shared] + [weight]
    if min(weights) < 0 or abs(sum(weights) - 1) > 1e-9:
        raise InputError("E_WEIGHTS", f"weights {weights!r} must be ≥ 0 and sum to 1.", "Use 0.5 and 0.5.")
    active = sum(w > 0 for w, _, _ in shared)
    if not 1 <= active <= 2 or weight == 0:
        raise InputError(
            "E_WEIGHTS",
            f"{active} exchangeable components with a weight, and {weight:g} nonexchangeable.",
            "Give one or two exchangeable components and a nonexchangeable one (else binomial_hierarchical).",
        )
    if active == 2 and k > MOST_HISTOLOGIES_TWO:
        raise InputError(
            "E_HISTOLOGIES",
            f"{k} histologies have too many assignments to two components.",
            f"Use one component, or at most {MOST_HISTOLOGIES_TWO} histologies.",
        )
    return shared, (weight, priors)
