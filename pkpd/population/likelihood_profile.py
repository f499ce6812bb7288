"""Profile-likelihood intervals: where the OFV, minimised over the other parameters, has risen by the χ² quantile.

Venzon DJ, Moolgavkar SH. Appl Stat 1988;37:87-94.
"""

from __future__ import annotations

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model, bind
from pkpd.language.scales import Scales, parameter_values
from pkpd.parallel import run
from pkpd.population.arguments import fitted, probability
from pkpd.population.methods import require_gradient
from pkpd.population.objective import Objective, Point
from pkpd.population.quasi_newton import minimise
from pkpd.population.resampling import warn_failures
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["LikelihoodProfile", "profile"]

# of the OFV's rise to its target: moves a limit by less than 0.02 % of the interval's half-width
_CLOSE = 1e-3
_STEPS = 40  # evaluations of the profile per limit
_FARTHEST = (
    30.0  # on the unconstrained scale: a factor e³⁰ of a positive parameter; of a plain one, first steps
)


@result
@dataclass(frozen=True, repr=False)
class LikelihoodProfile:
    """Outcome of :func:`pkpd.profile`.

    Attributes
    ----------
    table : DataFrame
        In the one schema, for the parameters profiled: estimate and standard error of the fit, limits of the profile. A limit
        that the data do not set is the bound of the parameter (or infinite); ``notes`` says so.
    points : DataFrame
        parameter, value, ofv_difference: where the profile was evaluated, in order of value.
    notes : tuple of str
    level : float
    """

    table: pd.DataFrame
    points: pd.DataFrame
    notes: tuple[str, ...]
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def __repr__(self) -> str:
        head = f"Profile likelihood, {100 * self.level:g} % intervals"
        return "\n".join([head, self.table.to_string(float_format=lambda v: f"{v:.4g}"), *self.notes])


def profile(
    fit: PopulationFit,
    parameters: Sequence[str] | str | None = None,
    *,
    level: float = 0.95,
    executor: Executor | Callable[[], Executor] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> LikelihoodProfile:
    """Confidence intervals from the profile of the likelihood.

    Parameters
    ----------
    fit : PopulationFit
        By a method with an exact gradient.
    parameters : str or sequence of str, optional
        By default every free theta and residual standard deviation, and the first variance of each OMEGA block.
    level : float
        Coverage: the limits are where the OFV has risen by the χ² quantile, 3.84 for 0.95.
    executor, store : optional
        See :func:`pkpd.bootstrap`; a task is one limit.

    Returns
    -------
    LikelihoodProfile

    Raises
    ------
    InputError
        ``E_PARAMETER_NAME`` for an unknown or fixed parameter; ``E_PROFILE_PARAMETER`` for an element of OMEGA that is no
        coordinate of the search (a covariance, or a variance that is not the first of its block); ``E_METHOD_NOISY`` if the
        method draws random numbers.
    """
    from scipy.special import chdtri

    fit, level = fitted(fit), probability("level", level)
    require_gradient(fit.method, "a profile")
    scales = Scales(fit.problem)
    names = _profiled(scales, parameters)
    target = float(chdtri(1, 1 - level))
    task = functools.partial(
        _limit,
        model=fit.model,
        data=fit.data,
        method=fit.method,
        start=fit.parameter_estimates,
        target=target,
    )
    # a guess of how far the limit is, on the unconstrained scale
    sides = [(name, side, _first_step(fit, scales, name, target)) for name in names for side in (-1, 1)]
    kept = open_store(store)
    settings = ("profile", fit.model, fit.data, fit.method, fit.parameter_estimates, target)
    known, keep = remembered(kept, [fingerprint(*settings, s) for s in sides] if kept is not None else [])
    out = run(task, sides, executor=executor, label="profile", known=known, keep=keep)
    warn_failures("profile", out.failures, len(sides), interrupted=out.interrupted)
    notes = [f"{sides[f.task][0]}: no {_word(sides[f.task][1])} limit: {f.reason}" for f in out.failures]
    limits: dict[tuple[str, int], float] = {}
    points: list[pd.DataFrame] = []
    for (name, side, _), value in zip(sides, out.values, strict=True):
        if value is None:
            continue
        limits[name, side] = value["limit"]
        if value["note"]:
            notes.append(value["note"])
        points.append(pd.DataFrame({"parameter": name, **value["points"]}))
    table = fit.parameters.loc[names].copy()
    for side, column in ((-1, "lower"), (1, "upper")):
        table[column] = [limits.get((name, side), math.nan) for name in names]
    walked = pd.concat(points, ignore_index=True) if points else pd.DataFrame(columns=["parameter", "value"])
    order = pd.CategoricalDtype(names, ordered=True)
    walked = walked.astype({"parameter": order}).drop_duplicates(["parameter", "value"])
    walked = walked.sort_values(["parameter", "value"], ignore_index=True).astype({"parameter": str})
    return LikelihoodProfile(table=table, points=walked, notes=tuple(notes), level=level)


def _word(side: int) -> str:
    return "lower" if side < 0 else "upper"


def _profiled(scales: Scales, parameters: Sequence[str] | str | None) -> list[str]:
    n_theta, n_omega = len(scales.thetas), len(scales.omega_index)
    firsts = {block[0] for block in scales.blocks}
    coordinates = [
        scales.names[k]
        for k in scales.free
        if not n_theta <= k < n_theta + n_omega
        or (
            scales.omega_index[k - n_theta][0] == scales.omega_index[k - n_theta][1]
            and scales.omega_index[k - n_theta][0] in firsts
        )
    ]
    if parameters is None:
        return coordinates
    wanted = list(parameters) if np.iterable(parameters) and not isinstance(parameters, str) else [parameters]
    free = [scales.names[k] for k in scales.free]
    for name in wanted:
        if name not in free:
            what = "is fixed" if name in scales.names else "is no parameter"
            raise InputError("E_PARAMETER_NAME", f"{name!r} {what}.", f"Free are: {', '.join(free)}.")
        if name not in coordinates:
            raise InputError(
                "E_PROFILE_PARAMETER",
                f"{name} cannot be held fixed by itself: OMEGA is searched through its Cholesky factor.",
                "Declare its eta first in the block, or use pkpd.bootstrap or pkpd.sir.",
            )
    return wanted


def _first_step(fit: PopulationFit, scales: Scales, name: str, target: float) -> float:
    k = scales.names.index(name)
    values = scales.values(fit.parameter_estimates.to_numpy(float))
    column = int(np.flatnonzero(scales.free == k)[0])
    slope = float(scales.jacobian(values)[k, column])
    step = math.sqrt(target) * float(fit.standard_errors[name]) / abs(slope)
    if not (math.isfinite(step) and step > 0):
        return 0.2
    return step if scales.plain[column] else min(step, 2.0)


def _limit(
    side: tuple[str, int, float], *, model: Model, data: Dataset, method: Any, start: pd.Series, target: float
) -> dict[str, Any]:
    """Walk from the estimate until the profile has risen by the target, then close in on it."""
    name, sign, step = side
    problem = bind(model, data, method.solver)
    scales = Scales(problem)
    base = parameter_values(scales, problem, dict(start))
    objective = Objective(problem, scales, method)
    k = scales.names.index(name)
    column = int(np.flatnonzero(scales.free == k)[0])
    x = scales.free_values(base)
    best = objective.at(base)
    others = np.delete(x, column)
    etas = best.etas
    farthest = max(_FARTHEST, _FARTHEST * step) if scales.plain[column] else _FARTHEST
    plain = np.delete(scales.plain, column)
    points = {"value": [float(scales.natural(base)[k])], "ofv_difference": [0.0]}

    def natural(distance: float) -> float:
        return float(scales.natural(scales.from_free(_with(x, column, x[column] + sign * distance), base))[k])

    def rise(distance: float) -> float:
        nonlocal others, etas

        def at(y: np.ndarray, modes: Point | np.ndarray | None) -> Point:
            full = np.insert(y, column, x[column] + sign * distance)
            point = objective.at(scales.from_free(full, base), modes)
            if point.gradients is None:
                return point
            prior = point.prior_gradient
            return replace(
                point,
                gradients=np.delete(point.gradients, column, axis=1),
                prior_gradient=None if prior is None else np.delete(prior, column),
            )

        search = minimise(
            at,
            others,
            etas=etas,
            max_iterations=method.max_iterations,
            tolerance=method.tolerance,
            plain=plain,
        )
        if not math.isfinite(search.point.ofv):
            return math.inf
        others, etas = search.x, search.point.etas
        change = search.point.ofv - best.ofv
        points["value"].append(natural(distance))
        points["ofv_difference"].append(change)
        return change

    note, limit = "", math.nan
    inside, inside_rise, outside, outside_rise = 0.0, 0.0, math.nan, math.nan
    at_inside = others, etas
    distance = step
    for _ in range(_STEPS):
        change = rise(distance)
        if abs(change - target) < _CLOSE:
            limit = natural(distance)
            break
        if change < target:
            inside, inside_rise, at_inside = distance, change, (others, etas)
            if math.isnan(outside):
                if distance >= farthest:
                    break
                # the signed root of the rise is about linear in the distance
                ratio = math.sqrt(target / change) if change > 0 else 4.0
                distance = min(distance * min(max(1.05 * ratio, 1.2), 4.0), farthest)
                continue
        else:
            outside, outside_rise = distance, change
            others, etas = at_inside  # a failed or far search is no start
        root = [math.sqrt(max(v, 0.0)) if math.isfinite(v) else math.inf for v in (inside_rise, outside_rise)]
        part = (math.sqrt(target) - root[0]) / (root[1] - root[0]) if math.isfinite(root[1]) else 0.5
        # stay off the ends, so that the bracket shrinks from both sides
        distance = inside + min(max(part, 0.02), 0.98) * (outside - inside)
        if outside - inside < 1e-9 * max(1.0, outside):
            limit = natural(inside)
            note = f"{name}: the OFV jumps at the {_word(sign)} limit."
            break
    lowest = min(points["ofv_difference"])
    if math.isnan(limit):
        if not math.isnan(outside):
            raise FitError("E_PROFILE", f"the profile of {name} did not settle in {_STEPS} steps.", "")
        bound = _bound(scales, k, sign)
        highest = max(points["ofv_difference"])
        note = (
            f"{name}: the data set no {_word(sign)} limit: the OFV rises by {highest:.3g} at most as far as "
            f"{points['value'][-1]:.3g}."
        )
        limit = bound
    if lowest < -0.01:
        lower = f"the OFV falls by {-lowest:.3g} below that of the fit: fit again from there."
        note += f"{' ' if note else ''}{name}: W_PROFILE_LOWER: {lower}"
    return {"limit": limit, "note": note, "points": points}


def _with(x: np.ndarray, place: int, value: float) -> np.ndarray:
    changed = x.copy()
    changed[place] = value
    return changed


def _bound(scales: Scales, k: int, sign: int) -> float:
    if k < len(scales.thetas):
        theta = scales.thetas[k]
        return theta.lower if sign < 0 else theta.upper
    return 0.0 if sign < 0 else math.inf
