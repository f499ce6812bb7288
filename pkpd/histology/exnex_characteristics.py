"""Operating characteristics of an EXNEX design by enumerating every outcome: no simulation error.

The likelihood of a histology at a node depends on its own count alone, so that the posterior of all outcomes
is a sum of products of small tables: matrix products over nodes for each subset of histologies.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology.binomial_quadrature import legendre, moments, tail, tau_nodes
from pkpd.histology.exnex import read_priors

__all__ = ["exnex_operating_characteristics"]

TAU_NODES, THETA_NODES, ALONE_NODES, TAIL_NODES = 20, 13, 61, 8
LARGEST_OUTCOMES = 300_000
MOST_HISTOLOGIES = 6


def exnex_operating_characteristics(
    patients: Sequence[int],
    rates: Sequence[float] | Sequence[Sequence[float]],
    exchangeable: Sequence[tuple[float, Normal, HalfNormal]],
    nonexchangeable: tuple[float, Normal | Sequence[Normal]],
    *,
    rate: float,
    probability: float | Sequence[float],
    mean_above: float | Sequence[float] | None = None,
) -> pd.DataFrame:
    """Exact probability that each histology is declared active, and bias and error of its estimate.

    A histology is *go* when P(response rate > `rate` | data) > `probability`, and its posterior mean exceeds
    `mean_above` where that is given.

    Parameters
    ----------
    patients : sequence of int, shape (K,), K ≤ 6
        Planned per histology; the product of (n + 1) may be 300 000 at most.
    rates : sequence of float, shape (K,) or (scenarios, K)
        True response rates.
    exchangeable, nonexchangeable
        As in :func:`pkpd.histology.exnex`.
    rate : float
        Response rate to be exceeded.
    probability, mean_above : float or sequence of float, shape (K,)
        Thresholds.

    Returns
    -------
    DataFrame
        One row per scenario and histology: scenario, histology (both counted from 1), true_rate, go, go_any
        (any histology of the scenario), mean, bias, mse.

    Raises
    ------
    InputError
        ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_RATE``, ``E_OPTION``, ``E_PRIOR``, ``E_WEIGHTS``.
    """
    n = np.asarray(patients, float)
    scenarios = np.atleast_2d(np.asarray(rates, float))
    _check(n, scenarios, rate)
    k = n.size
    thresholds = _per_histology("probability", probability, k)
    shared, alone = read_priors(exchangeable, nonexchangeable, k)
    mean, above = _every_outcome(n.astype(int), shared, alone, math.log(rate / (1 - rate)))
    go = [a > threshold for a, threshold in zip(above, thresholds, strict=True)]
    if mean_above is not None:
        floors = _per_histology("mean_above", mean_above, k)
        go = [g & (m > floor) for g, m, floor in zip(go, mean, floors, strict=True)]
    go_any = np.logical_or.reduce(go)
    rows = []
    for number, truth in enumerate(scenarios, start=1):
        weight = _outcome_probability(n.astype(int), truth)
        any_go = float((weight * go_any).sum())
        for i in range(k):
            expected = float((weight * mean[i]).sum())
            rows.append(
                {
                    "scenario": number,
                    "histology": i + 1,
                    "true_rate": truth[i],
                    "go": float((weight * go[i]).sum()),
                    "go_any": any_go,
                    "mean": expected,
                    "bias": expected - truth[i],
                    "mse": float((weight * (mean[i] - truth[i]) ** 2).sum()),
                }
            )
    return pd.DataFrame(rows)


@dataclass(frozen=True)
class _Tables:
    """Per histology, shape (J, n_k + 1): weighted likelihood, and its products with E[p] and P(θ > cut)."""

    omega: np.ndarray
    plain: list[np.ndarray]
    mean: list[np.ndarray]
    above: list[np.ndarray]


def _every_outcome(n: np.ndarray, shared: tuple, alone: tuple, cut: float) -> tuple[list, list]:
    """Posterior mean and P(θ > cut) of each histology at every outcome, arrays of shape (n_1 + 1, …)."""
    k = n.size
    components = [_shared_tables(c, n, cut) for c in shared if c[0] > 0]
    own = _own_tables(alone, n, cut)
    cache: dict[tuple, np.ndarray] = {}

    def integral(c: int, members: tuple[int, ...], special: int | None, kind: str) -> np.ndarray:
        key = (c, members, special, kind)
        if key not in cache:
            cache[key] = _integral(components[c], members, special, kind, k)
        return cache[key]

    total: Any = 0.0
    sums: dict[tuple[str, int], Any] = {(kind, i): 0.0 for kind in ("mean", "above") for i in range(k)}
    for labels in product(range(len(components) + 1), repeat=k):
        groups = [tuple(i for i in range(k) if labels[i] == c) for c in range(len(components))]
        apart = [i for i in range(k) if labels[i] == len(components)]
        factors = [integral(c, group, None, "plain") for c, group in enumerate(groups)]
        factors += [_along(own.plain[i][0], i, k) for i in apart]
        total = total + _times(factors)
        for kind, i in sums:
            if labels[i] == len(components):
                changed = list(factors)
                changed[len(components) + apart.index(i)] = _along(getattr(own, kind)[i][0], i, k)
            else:
                changed = list(factors)
                changed[labels[i]] = integral(labels[i], groups[labels[i]], i, kind)
            sums[kind, i] = sums[kind, i] + _times(changed)
    return [sums["mean", i] / total for i in range(k)], [sums["above", i] / total for i in range(k)]


def _times(factors: list[np.ndarray]) -> np.ndarray:
    # small arrays first, so that few products are of full size
    ordered = sorted(factors, key=lambda f: f.size)
    value = ordered[0]
    for factor in ordered[1:]:
        value = value * factor
    return value


def _along(values: np.ndarray, axis: int, k: int) -> np.ndarray:
    return values.reshape([-1 if i == axis else 1 for i in range(k)])


def _integral(
    tables: _Tables, members: tuple[int, ...], special: int | None, kind: str, k: int
) -> np.ndarray:
    """Σ_j ω_j Π_{i∈members} table_i[j, r_i], one axis per histology (length 1 where it is no member)."""
    halves = [[i for i in members if i < (k + 1) // 2], [i for i in members if i >= (k + 1) // 2]]
    sides = []
    for half in halves:
        side = np.ones((tables.omega.size, 1))
        for i in half:
            table = getattr(tables, kind)[i] if i == special else tables.plain[i]
            side = (side[:, :, None] * table[:, None, :]).reshape(tables.omega.size, -1)
        sides.append(side)
    value = (sides[0] * tables.omega[:, None]).T @ sides[1]
    shape = [tables.plain[i].shape[1] if i in members else 1 for i in range(k)]
    return value.reshape(shape)


def _shared_tables(component: tuple[float, Normal, HalfNormal], n: np.ndarray, cut: float) -> _Tables:
    weight, mu, tau = component
    taus, log_tau = tau_nodes(tau, TAU_NODES)
    mus, mu_weights = _mu_nodes(mu, cut)
    at, spread = np.tile(mus, taus.size)[:, None], np.repeat(taus, mus.size)[:, None]
    omega = (np.exp(log_tau)[:, None] * (mu_weights * np.exp(mu.logpdf(mus)))).ravel()
    keep = omega > 1e-12 * omega.max()
    return _tables(weight, omega[keep], [(at[keep], spread[keep])] * n.size, n, cut, THETA_NODES)


def _own_tables(alone: tuple, n: np.ndarray, cut: float) -> _Tables:
    weight, priors = alone
    nodes = [(np.array([[p.mean]]), np.array([[p.sd]])) for p in priors]
    return _tables(weight, np.ones(1), nodes, n, cut, ALONE_NODES)


def _tables(weight: float, omega: np.ndarray, nodes: list, n: np.ndarray, cut: float, size: int) -> _Tables:
    plain: list[np.ndarray] = []
    mean: list[np.ndarray] = []
    above: list[np.ndarray] = []
    done: dict[tuple, tuple] = {}
    for i, patients in enumerate(n):
        at, spread = nodes[i]
        key = (int(patients), float(at.flat[0]), float(spread.flat[0]))
        if key not in done:
            r = np.arange(patients + 1.0)
            total = np.full(r.size, float(patients))
            found = moments(at, spread, r, total, size, second=False)
            p = np.clip(r / total, 1e-300, 1.0)
            top = r * np.log(p) + (total - r) * np.log1p(-np.minimum(p, 1 - 1e-16))
            likelihood = weight * np.exp(found.log_mass - top)
            done[key] = (
                likelihood,
                likelihood * found.mean,
                likelihood * tail(at, spread, r, total, cut, TAIL_NODES),
            )
        for target, table in zip((plain, mean, above), done[key], strict=True):
            target.append(table)
    return _Tables(omega, plain, mean, above)


def _mu_nodes(prior: Normal, cut: float) -> tuple[np.ndarray, np.ndarray]:
    x, w = legendre(6)
    low, high = prior.mean - 6 * prior.sd, prior.mean + 6 * prior.sd
    ends = np.concatenate(
        [
            np.linspace(low, high, 13),
            np.arange(-7.0, 8.0),
            cut + np.array([-0.2, -0.05, -0.01, 0, 0.01, 0.05, 0.2]),
        ]
    )
    ends = np.unique(np.clip(ends, low, high))
    ends = ends[np.concatenate([[True], np.diff(ends) > 1e-4])]
    length = np.diff(ends)[:, None]
    return (ends[:-1, None] + length * x).ravel(), (length * w).ravel()


def _outcome_probability(n: np.ndarray, truth: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln, xlog1py, xlogy

    weight = np.ones([1] * n.size)
    for i, (patients, p) in enumerate(zip(n, truth, strict=True)):
        r = np.arange(patients + 1)
        log_choose = gammaln(patients + 1) - gammaln(r + 1) - gammaln(patients - r + 1)
        weight = weight * _along(np.exp(log_choose + xlogy(r, p) + xlog1py(patients - r, -p)), i, n.size)
    return weight


def _check(n: np.ndarray, scenarios: np.ndarray, rate: float) -> None:
    if n.ndim != 1 or not 2 <= n.size <= MOST_HISTOLOGIES:
        raise InputError(
            "E_HISTOLOGIES", f"{n.size} histologies.", f"Enumeration takes 2 to {MOST_HISTOLOGIES}."
        )
    if not (np.isfinite(n) & (n >= 1) & (n == np.floor(n))).all():
        raise InputError("E_PATIENTS", f"patients {n.tolist()!r}.", "Give whole numbers of 1 or more.")
    outcomes = float(np.prod(n + 1))
    if outcomes > LARGEST_OUTCOMES:
        raise InputError(
            "E_PATIENTS", f"{outcomes:g} outcomes are too many to enumerate.", f"At most {LARGEST_OUTCOMES}."
        )
    if scenarios.ndim != 2 or scenarios.shape[1] != n.size or not ((scenarios >= 0) & (scenarios <= 1)).all():
        raise InputError("E_RATE", f"rates {scenarios.tolist()!r}.", f"Give {n.size} fractions per scenario.")
    if not 0 < rate < 1:
        raise InputError("E_RATE", f"rate {rate!r} must lie between 0 and 1.", "Give a fraction.")


def _per_histology(name: str, value: Any, k: int) -> np.ndarray:
    values = (
        np.broadcast_to(np.asarray(value, float), (k,)) if np.ndim(value) == 0 else np.asarray(value, float)
    )
    if values.shape != (k,) or not ((values >= 0) & (values <= 1)).all():
        raise InputError("E_OPTION", f"{name}={value!r}.", f"Give one fraction, or {k}.")
    return values
