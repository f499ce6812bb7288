"""Starting values from the data: non-compartmental analysis and drawn points, naive pooling, individual fits.

The thetas begin from many points (the model's, what non-compartmental analysis says, and points drawn about both), of which the
best by a naive pooled likelihood on some of the subjects are searched from, still pooled. The residual errors and OMEGA then come
from individual fits, or from plain guesses where the data are too sparse; among these the objective itself decides.
"""

from __future__ import annotations

import math
import warnings as python_warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError, PkpdError, PkpdWarning
from pkpd.language import Model, Problem, bind
from pkpd.language.scales import Scales, Values, parameter_values
from pkpd.language.solver import Solver
from pkpd.parallel import stream
from pkpd.population.complete_data import complete_data
from pkpd.population.individual_fits import fit_individuals
from pkpd.population.methods import NaivePooled, mode_method
from pkpd.population.objective import Objective
from pkpd.population.observed import observed
from pkpd.population.search import find_optimum
from pkpd.population.two_stage import second_stage
from pkpd.simulation.prediction import predictions, residual_sd

__all__ = ["starting_values"]

_PURPOSE = 0x5356
_SUBJECTS = 30  # that the drawn points are judged by
_POINTS = (40, 20)  # drawn, and further ones per theta
_SPREADS = (0.7, 2.3)  # SDs of the logarithms: within a factor of four, and of a hundred
_SEARCHED = 3  # of the points, those from which a pooled search starts
_MULTIPLES = np.logspace(-2, 3, 16)  # of the residual SDs that a point is judged at
_VARIANCES = (0.03, 0.1, 0.5)  # of OMEGA, where individual fits give none


def starting_values(
    model: Model, data: Dataset, *, seed: int = 0, blq: str = "M3", solver: Solver | None = None
) -> pd.Series:
    """Find values from which a fit may start, for ``pkpd.fit(…, start=…)``; ``start="auto"`` asks for the same.

    Parameters
    ----------
    model : Model
        Its initial values are one of the points looked at; fixed parameters keep theirs.
    data : Dataset
    seed : int
        Of the points that are drawn.
    blq : {"M3", "M4", "M1"}
        How censored records enter.
    solver : Solver, optional

    Returns
    -------
    Series
        Natural parameters by name. Their FOCEI objective (Laplace's, with endpoints that are likelihoods of their own) is no
        higher than that of the model's own initial values.

    Raises
    ------
    FitError
        ``E_STARTING_VALUES`` if there is no point at which the objective can be computed.
    """
    problem = bind(model, data, solver)
    scales = Scales(problem)
    own = parameter_values(scales, problem, None)
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore", PkpdWarning)
        pooled = _pooled(model, data, problem, scales, own, seed, blq, solver)
        objective = Objective(problem, scales, mode_method(problem, blq))
        best, lowest = None, math.inf
        for values in (own, *_with_random_effects(problem, scales, own, pooled)):
            ofv = objective.at(values, gradient=False).ofv
            if ofv < lowest:
                best, lowest = values, ofv
    if best is None:
        raise FitError(
            "E_STARTING_VALUES",
            f"the objective of {model.name} cannot be computed at the model's initial values, nor at any other that was tried.",
            "Check doses, units and bounds; pkpd.evaluate(model, data) says which subject fails.",
        )
    return pd.Series(scales.natural(best), index=scales.names)


def _pooled(
    model: Model,
    data: Dataset,
    problem: Problem,
    scales: Scales,
    own: Values,
    seed: int,
    blq: str,
    solver: Solver | None,
) -> Values | None:
    """Best naive pooled fit, on the scales of the whole problem; None where no search ends at a finite objective."""
    typical = bind(model.without_random_effects(), data, solver)
    reduced = Scales(typical)
    begin = reduced.initial(typical)
    some = np.unique(np.linspace(0, data.n_subjects - 1, min(data.n_subjects, _SUBJECTS)).round().astype(int))
    judged = bind(model.without_random_effects(), data.select(data.subjects[some]), solver)
    common = [reduced.names.index(n) for n in Scales(judged).names]  # some factor levels may be absent
    score = _Score(judged, Scales(judged), blq)
    points: list[tuple[float, int, Values]] = []
    for values in _points(reduced, typical, begin, data, seed):
        found = score(reduced.natural(values)[common])
        if found is not None:
            points.append((found[0], len(points), replace(values, sigma=found[1])))
    points.sort(key=lambda p: p[:2])
    objective = Objective(typical, reduced, NaivePooled(covariance=None, blq=blq, max_iterations=100))
    ends: list[tuple[float, int, Values]] = []
    for _, _, values in points[:_SEARCHED]:
        try:
            search, _ = find_optimum(objective, values, seed)
        except FitError:
            continue
        if math.isfinite(search.point.ofv):
            ends.append((search.point.ofv, len(ends), search.point.values))
    if not ends:
        return None
    end = min(ends, key=lambda e: e[:2])[2]
    return replace(own, theta=end.theta, sigma=end.sigma)


class _Score:
    """-2 log-likelihood of pooled records, residual SDs at the best of a few multiples; censored ones are left out."""

    def __init__(self, problem: Problem, scales: Scales, blq: str) -> None:
        from pkpd.kernels.likelihood import DIRECT, MEASURED, MEASURED_POSITIVE

        self.problem, self.scales = problem, scales
        records = observed(problem, blq)
        self.y = records.value
        self.gaussian = np.isin(records.kind, (MEASURED, MEASURED_POSITIVE))
        self.direct = records.kind == DIRECT
        self.log_normal = problem.residual[problem.records.endpoint, 4] == 1
        self.moved = np.array([s.kind == "SD" and not s.fixed for s in scales.sigmas], dtype=bool)

    def __call__(self, natural: np.ndarray) -> tuple[float, np.ndarray] | None:
        values = self.scales.values(natural)
        f, _, status = predictions(self.problem, values, np.zeros((self.problem.n_subjects, 0)))
        if np.any(status > 0) or not np.all(np.isfinite(f)):
            return None
        base = float(f[self.direct].sum())
        if not self.gaussian.any():
            return (base, values.sigma) if math.isfinite(base) else None
        best: tuple[float, np.ndarray] | None = None
        with np.errstate(all="ignore"):
            off = (self.y - np.where(self.log_normal, np.log(f), f))[self.gaussian]
            for multiple in _MULTIPLES:
                sigma = np.where(self.moved, multiple * values.sigma, values.sigma)
                sd = residual_sd(self.problem, replace(values, sigma=sigma), f)[self.gaussian]
                total = base + float(np.sum((off / sd) ** 2 + 2 * np.log(sd)))
                if math.isfinite(total) and (best is None or total < best[0]):
                    best = total, sigma
        return best


def _points(scales: Scales, problem: Problem, begin: Values, data: Dataset, seed: int) -> Iterator[Values]:
    """The model's own thetas, those of non-compartmental analysis, and points about both."""
    centres = [begin]
    seen = _noncompartmental(scales, data)
    if seen:
        theta = begin.theta.copy()
        for k, value in seen.items():
            theta[k] = value
        centres.append(replace(begin, theta=theta))
    yield from centres
    x = [scales.free_values(c) for c in centres]
    nt = len(scales.thetas)
    thetas = scales.free[scales.free < nt]
    # where a step of one on the unconstrained scale is a factor; effects and exponents of covariates hardly move
    wide = np.array(
        [math.isfinite(scales.thetas[t].lower) != math.isfinite(scales.thetas[t].upper) for t in thetas]
    )
    random = stream(seed, _PURPOSE)
    for number in range(_POINTS[0] + _POINTS[1] * len(thetas)):
        spread = np.where(wide, _SPREADS[number // len(centres) % 2], 0.5)
        moved = x[number % len(centres)].copy()
        moved[: len(thetas)] += spread * random.standard_normal(len(thetas))
        yield scales.from_free(moved, begin)


def _noncompartmental(scales: Scales, data: Dataset) -> dict[int, float]:
    """Medians of clearance, volume and absorption rate, for thetas that bear their usual names; empty for sparse data."""
    from pkpd.noncompartmental import nca

    places = {n: k for k, n in enumerate(t.name.upper().removeprefix("TV") for t in scales.thetas)}
    oral = next((places[n] for n in ("KA", "KABS") if n in places), None)
    try:
        found = nca(data, route="bolus" if oral is None else "extravascular").wide()
    except PkpdError:
        return {}

    def median(*codes: str) -> float:
        for code in codes:
            if code in found and np.isfinite(found[code]).any():
                return float(np.nanmedian(found[code]))
        return math.nan

    clearance, volume = median("CLFO", "CLO"), median("VZFO", "VZO")
    peak, slope = median("TMAX"), median("LAMZ")
    guesses: dict[int | None, float] = {
        places.get("CL"): clearance,
        next((places[n] for n in ("V", "V1", "V2", "VC") if n in places), None): volume,
        # at a peak the rates differ by log(ka/k)/tmax; three times over 1/tmax is within a factor of two for usual ratios
        oral: max(3.0 / peak, 2.0 * slope) if peak > 0 else math.nan,
    }
    out = {}
    for k, value in guesses.items():
        if k is not None and not scales.thetas[k].fixed and math.isfinite(value):
            theta = scales.thetas[k]
            if theta.lower >= 0 and theta.lower < value < theta.upper:
                out[k] = value
    return out


def _with_random_effects(
    problem: Problem, scales: Scales, own: Values, pooled: Values | None
) -> Iterator[Values]:
    """Give pooled thetas an OMEGA: guesses, and what individual fits say, their medians and their spread."""
    if pooled is None:
        return
    if problem.n_eta == 0:
        yield pooled
        return
    for variance in _VARIANCES:
        omega = _blocks(scales, own.omega, np.full(problem.n_eta, variance))
        for share in (1.0, 0.5):  # what varies between subjects is in the pooled residual error, too
            free = np.array([s.kind == "SD" and not s.fixed for s in scales.sigmas], dtype=bool)
            yield replace(pooled, omega=omega, sigma=np.where(free, share * pooled.sigma, pooled.sigma))
    if problem.correlated or any(o.likelihood for o in problem.model.observations):
        return
    individuals = fit_individuals(problem, scales, pooled)
    good = individuals.succeeded
    if good.sum() < 3 + problem.n_eta:
        return
    # medians and median deviations in place of means: one subject that ran away is no matter
    seen = individuals.etas[good]
    middle = np.median(seen, axis=0)
    spread = 1.4826 * np.median(np.abs(seen - middle), axis=0)
    held = middle + np.clip(seen - middle, -3 * spread, 3 * spread)
    etas = individuals.etas.copy()
    etas[good] = held
    try:
        complete = complete_data(problem, scales, pooled, "starting_values")
        values, _, _ = second_stage(problem, scales, complete, replace(individuals, etas=etas))
    except (FitError, InputError):
        return
    variances = np.clip(np.diag(values.omega), 0.005, 1.0)
    yield replace(values, omega=_blocks(scales, own.omega, variances))


def _blocks(scales: Scales, own: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """OMEGA without covariances, but fixed blocks as they are."""
    omega = np.diag(variances)
    for first, size, copies, fixed in scales.blocks:
        whole = slice(first, first + size * copies)
        if fixed:
            omega[whole, whole] = own[whole, whole]
        elif copies > 1:  # occasions share a variance
            omega[whole, whole] = np.diag(np.tile(variances[first : first + size], copies))
    return omega


def resolved_start(start: Any, model: Model, data: Dataset, method: Any, seed: int) -> Any:
    """What ``start=`` of a fit means: ``"auto"`` is found, anything else as it is.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for another word.
    """
    if not isinstance(start, str):
        return start
    if start != "auto":
        raise InputError("E_ARGUMENT", f"start={start!r} is unknown.", 'Use start="auto", or values by name.')
    return starting_values(model, data, seed=seed, blq=method.blq, solver=method.solver)
