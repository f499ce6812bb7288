"""Sampling importance resampling (SIR) of population parameters: their uncertainty without assuming its shape.

Dosne AG, Bergstrand M, Harling K, Karlsson MO. J Pharmacokinet Pharmacodyn 2016;43:583-596, and 2017;44:509-520 (iterations).
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model, bind
from pkpd.language.scales import Scales, parameter_values
from pkpd.parallel import run, stream
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.estimation_scale import EstimationScale, natural_table, normal
from pkpd.population.methods import require_gradient
from pkpd.population.objective import Objective
from pkpd.population.resampling import percentile_table, warn_failures
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["SIR", "sir"]

# keep these random numbers apart from those of other tasks
_DRAWS, _RESAMPLES, _ROWS = 0x5349, 0x5352, 0x5353
_BLOCK = 50  # vectors per task


@result
@dataclass(frozen=True, repr=False)
class SIR:
    """Outcome of :func:`pkpd.sir`.

    Attributes
    ----------
    table : DataFrame
        In the one schema: the original estimates, standard deviation and percentile interval of the resamples.
    resamples : DataFrame
        Parameter vectors of the last iteration, natural scale.
    ofv_differences : Series
        OFV of each resample less that of the estimates; about χ² where the estimates are about normal.
    iterations : DataFrame
        Per iteration: samples, resamples, failed, ess (effective sample size of the importance weights, of ``samples``),
        largest_weight (share of the total), ofv_difference (mean of the resamples; compare with ``df``), df (free parameters).
    warnings : tuple of str
    seed : int
    level : float
        Coverage of the interval.
    """

    table: pd.DataFrame
    resamples: pd.DataFrame
    ofv_differences: pd.Series
    iterations: pd.DataFrame
    warnings: tuple[str, ...]
    seed: int
    level: float

    @property
    def covariance_matrix(self) -> pd.DataFrame:
        """Covariance of the resamples."""
        return self.resamples.cov()

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        """Draw resamples with replacement; see :class:`pkpd.distributions.ParameterDistribution`."""
        rows = stream(seed, _ROWS).integers(len(self.resamples), size=whole("n", n))
        return self.resamples.iloc[rows].reset_index(drop=True).rename_axis("draw")

    def __repr__(self) -> str:
        return "\n".join(
            [
                f"SIR: {len(self.resamples)} parameter vectors, seed {self.seed}",
                self.iterations.to_string(float_format=lambda v: f"{v:.4g}"),
                "",
                self.table.to_string(float_format=lambda v: f"{v:.4g}"),
                *self.warnings,
            ]
        )


def sir(
    fit: PopulationFit,
    samples: Sequence[int] = (1000, 1000, 1000, 2000, 2000),
    resamples: Sequence[int] = (200, 400, 500, 1000, 1000),
    seed: int = 0,
    *,
    inflation: float = 1.0,
    level: float = 0.95,
    executor: Executor | Callable[[], Executor] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> SIR:
    """Sample parameter vectors in proportion to their likelihood.

    Parameters
    ----------
    fit : PopulationFit
        With a covariance of its estimates: the first proposal. Its method computes the OFV of each vector.
    samples, resamples : sequence of int
        Vectors proposed, and kept without replacement, in each iteration.
    seed : int
    inflation : float
        Factor on the covariance of the first proposal; above 1 where that is thought too small.
    level : float
        Coverage of the percentile interval.
    executor, store : optional
        See :func:`pkpd.bootstrap`.

    Returns
    -------
    SIR

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for numbers of samples that do not fit together; ``E_METHOD_NOISY`` if the method draws random numbers.
    FitError
        ``E_NO_COVARIANCE`` without a first proposal, ``E_SIR`` if hardly any proposed vector can be evaluated.

    Notes
    -----
    Proposals are normal on the unconstrained scale of the estimation, centred at the estimates, so that a variance stays
    positive. The target is the likelihood with a flat measure on the *natural* scale, as published: the importance ratio is
    exp(-ΔOFV/2)·det(∂natural/∂x) over the proposal's density (2016, equation 1). From the second iteration on, the proposal's
    covariance is that of the last resamples, about the estimates.
    """
    fit, level = fitted(fit), probability("level", level)
    require_gradient(fit.method, "SIR")
    sizes = _sizes(samples, resamples)
    if not (isinstance(inflation, (int, float)) and math.isfinite(inflation) and inflation > 0):
        raise InputError("E_ARGUMENT", f"inflation={inflation!r}.", "Give a positive number.")
    centre = EstimationScale.of(fit)
    covariance = centre.covariance * inflation
    if any(kept <= len(centre.x) for _, kept in sizes[:-1]):
        raise InputError(
            "E_ARGUMENT",
            f"resamples={resamples!r}: the next proposal takes its covariance from them, for which {len(centre.x)} free "
            "parameters need more vectors than that.",
            f"Keep {10 * len(centre.x)} or more.",
        )
    kept = open_store(store)
    settings = (fit.model, fit.data, fit.method, fit.parameter_estimates)
    task = functools.partial(
        _evaluate_block, model=fit.model, data=fit.data, method=fit.method, start=fit.parameter_estimates
    )
    rows: list[dict[str, Any]] = []
    notes: list[str] = []
    chosen, differences = np.zeros((0, len(centre.x))), np.zeros(0)
    for k, (proposed, wanted) in enumerate(sizes):
        x = normal(centre.x, covariance, stream(seed, _DRAWS, k), proposed)
        blocks = [x[i : i + _BLOCK] for i in range(0, proposed, _BLOCK)]
        keys = [fingerprint("sir", *settings, b) for b in blocks] if kept is not None else []
        known, keep = remembered(kept, keys)
        label = f"SIR iteration {k + 1} of {len(sizes)}"
        out = run(task, blocks, executor=executor, label=label, known=known, keep=keep)
        if out.interrupted:
            raise KeyboardInterrupt  # an unfinished iteration is no result; with a store its blocks are kept
        warn_failures("SIR", out.failures, len(blocks), interrupted=False)
        parts = [
            np.full((len(b), 2), [math.inf, 0.0]) if v is None else np.asarray(v)
            for v, b in zip(out.values, blocks, strict=True)
        ]
        change, log_measure = np.concatenate(parts).T
        weights = _weights(x - centre.x, covariance, change, log_measure)
        if np.count_nonzero(weights) < wanted:
            raise FitError(
                "E_SIR",
                f"iteration {k + 1}: only {np.count_nonzero(weights)} of {proposed} proposed vectors have a weight, "
                f"{wanted} are to be kept.",
                "Propose more, keep fewer, raise inflation=, or use pkpd.bootstrap.",
            )
        picked = _without_replacement(weights, wanted, stream(seed, _RESAMPLES, k))
        chosen, differences = x[picked], change[picked]
        share = weights / weights.sum()
        rows.append(
            {
                "samples": proposed,
                "resamples": wanted,
                "failed": int(np.sum(~np.isfinite(change))),
                "ess": float(1.0 / np.sum(share**2)),
                "largest_weight": float(share.max()),
                "ofv_difference": float(differences.mean()),
                "df": len(centre.x),
            }
        )
        lowest = float(np.min(change))
        if lowest < -0.01:
            notes.append(
                f"W_SIR_LOWER: iteration {k + 1} met a vector whose OFV is lower than that of the estimates by {-lowest:.3g}; "
                "the fit is not at its minimum: fit again from there."
            )
        deviation = chosen - centre.x
        covariance = deviation.T @ deviation / len(deviation)
    last = rows[-1]
    if last["ess"] < last["resamples"]:
        notes.append(
            f"W_SIR_ESS: the last iteration keeps {last['resamples']} vectors without replacement, more than its effective "
            f"sample size of {last['ess']:.0f}: they lie between proposal and target. Propose more, keep fewer, or add "
            "iterations."
        )
    vectors = natural_table(centre.scales, centre.values, chosen)
    return SIR(
        table=percentile_table(fit, vectors, level),
        resamples=vectors,
        ofv_differences=pd.Series(differences, index=vectors.index, name="ofv_difference"),
        iterations=pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="iteration")),
        warnings=tuple(notes),
        seed=seed,
        level=level,
    )


def _sizes(samples: Sequence[int], resamples: Sequence[int]) -> list[tuple[int, int]]:
    many, few = (
        [whole(name, m, 2) for m in (given if np.iterable(given) else [given])]
        for name, given in (("samples", samples), ("resamples", resamples))
    )
    if not many or len(many) != len(few) or any(m > n for n, m in zip(many, few, strict=True)):
        raise InputError(
            "E_ARGUMENT",
            f"samples={samples!r} and resamples={resamples!r} do not fit together.",
            "Give as many of each, and never keep more than are proposed.",
        )
    return list(zip(many, few, strict=True))


def _evaluate_block(
    block: np.ndarray, *, model: Model, data: Dataset, method: Any, start: pd.Series
) -> list[list[float]]:
    """Rise of the OFV from that of the estimates, and log det(∂natural/∂x), of each unconstrained vector."""
    problem = bind(model, data, method.solver)
    scales = Scales(problem)
    base = parameter_values(scales, problem, dict(start))
    objective = Objective(problem, scales, method)
    best = objective.at(base, gradient=False)
    rows = []
    for x in block:
        values = scales.from_free(x, base)
        ofv = objective.at(values, best.etas, gradient=False).ofv
        if math.isfinite(ofv):
            rows.append([ofv - best.ofv, _log_measure(scales, values)])
        else:
            rows.append([math.inf, 0.0])
    return rows


def _log_measure(scales: Scales, values: Any) -> float:
    return float(np.linalg.slogdet(scales.jacobian(values)[scales.free])[1])


def _weights(
    deviation: np.ndarray, covariance: np.ndarray, change: np.ndarray, log_measure: np.ndarray
) -> np.ndarray:
    """Importance ratios, the largest 1; 0 for vectors that could not be evaluated."""
    if not np.isfinite(change).any():
        return np.zeros(len(change))
    factor = np.linalg.cholesky(covariance)
    from scipy.linalg import solve_triangular

    scaled = solve_triangular(factor, deviation.T, lower=True)
    log_ratio = -0.5 * change + log_measure + 0.5 * np.sum(scaled**2, axis=0)
    return np.exp(log_ratio - np.max(log_ratio[np.isfinite(change)], initial=-math.inf))


def _without_replacement(weights: np.ndarray, n: int, random: np.random.Generator) -> np.ndarray:
    """Places of ``n`` items drawn one after the other in proportion to the weights that remain.

    By exponential keys: the n smallest of Exp(1)/w (Efraimidis & Spirakis, Inf Process Lett 2006;97:181-185).
    """
    with np.errstate(divide="ignore"):
        keys = random.standard_exponential(len(weights)) / weights
    return np.argsort(keys, kind="stable")[:n]
