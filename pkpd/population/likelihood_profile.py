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
from pkpd.language.scales import Scales, Values, parameter_values
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
        By default every free theta, variance and residual standard deviation; covariances where they are named.
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
        ``E_PARAMETER_NAME`` for an unknown or fixed parameter; ``E_METHOD_NOISY`` if the method draws random numbers.
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
    free = [scales.names[k] for k in scales.free]
    if parameters is None:
        return [scales.names[k] for k in scales.free if scales.scales[k] != "covariance"]
    wanted = list(parameters) if np.iterable(parameters) and not isinstance(parameters, str) else [parameters]
    for name in wanted:
        if name not in free:
            what = "is fixed" if name in scales.names else "is no parameter"
            raise InputError("E_PARAMETER_NAME", f"{name!r} {what}.", f"Free are: {', '.join(free)}.")
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
    held = _Held(scales, base, k)
    best = objective.at(base)
    others = held.others
    etas = best.etas
    farthest = max(_FARTHEST, _FARTHEST * step) if scales.plain[held.column] else _FARTHEST
    plain = np.delete(scales.plain, held.column)
    points = {"value": [float(scales.natural(base)[k])], "ofv_difference": [0.0]}

    def rise(distance: float) -> float:
        nonlocal others, etas

        def at(y: np.ndarray, modes: Point | np.ndarray | None) -> Point:
            x, slopes = held.completed(y, sign * distance)
            point = objective.at(scales.from_free(x, base), modes)
            if point.gradients is None:
                return point
            rows, prior = point.gradients, point.prior_gradient
            return replace(
                point,
                gradients=held.along(rows, slopes),
                prior_gradient=None if prior is None else held.along(prior, slopes),
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
        points["value"].append(held.value(sign * distance))
        points["ofv_difference"].append(change)
        return change

    note, limit = "", math.nan
    inside, inside_rise, outside, outside_rise = 0.0, 0.0, math.nan, math.nan
    at_inside = others, etas
    distance = step
    for _ in range(_STEPS):
        change = rise(distance)
        if abs(change - target) < _CLOSE:
            limit = held.value(sign * distance)
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
            limit = held.value(sign * inside)
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


class _Held:
    """One natural parameter held fixed while the others move on the unconstrained scale.

    A theta, a residual standard deviation and the first variance of a block have a coordinate of their own. Another element of
    OMEGA, Ω = L Lᵀ, is held by its entry of L, which then moves with the others.

    Parameters
    ----------
    scales : Scales
    base : Values
        The estimates.
    k : int
        Place of the parameter among the natural ones.

    Attributes
    ----------
    column : int
        Place of its coordinate among the free ones.
    others : (free - 1,) array
        The other coordinates at the estimates.
    """

    def __init__(self, scales: Scales, base: Values, k: int) -> None:
        self._scales, self._base, self._k = scales, base, k
        self.column = int(np.flatnonzero(scales.free == k)[0])
        self._x = scales.free_values(base)
        self._start = float(scales.natural(base)[k])
        self._slope = float(scales.jacobian(base)[k, self.column])
        self._kind = scales.scales[k]
        self.others = np.delete(self._x, self.column)

    def value(self, distance: float) -> float:
        """Its value at a distance from the estimate, in units of its coordinate there; a variance stays positive."""
        if self._kind == "covariance":
            return self._start + distance * self._slope
        if self._kind == "variance":
            return self._start * math.exp(distance * self._slope / self._start)
        moved = self._x.copy()
        moved[self.column] += distance
        return float(self._scales.natural(self._scales.from_free(moved, self._base))[self._k])

    def completed(self, others: np.ndarray, distance: float) -> tuple[np.ndarray, np.ndarray]:
        """All coordinates (free,), NaN where the others leave no room, and the slopes of its own with the others."""
        x = np.insert(others, self.column, self._x[self.column] + distance)
        at = self._scales.from_free(x, self._base)
        own = self._scales.jacobian(at)[self._k, self.column]
        missing = self.value(distance) - float(self._scales.natural(at)[self._k])
        if self._kind == "covariance":
            x[self.column] += missing / own
        elif self._kind == "variance":
            # what is missing goes to the last of a sum of squares, whose coordinate is a logarithm
            more = 1.0 + 2.0 * missing / own
            if not more > 0.0:
                x[self.column] = math.nan
                return x, np.zeros(len(others))
            x[self.column] += 0.5 * math.log(more)
        slope = self._scales.jacobian(self._scales.from_free(x, self._base))[self._k]
        return x, -np.delete(slope, self.column) / slope[self.column]

    def along(self, gradient: np.ndarray, slopes: np.ndarray) -> np.ndarray:
        """Gradient (…, free) to the other coordinates (…, free - 1), the parameter held."""
        own = gradient[..., self.column, None]
        return np.delete(gradient, self.column, axis=-1) + own * slopes


def _bound(scales: Scales, k: int, sign: int) -> float:
    if k < len(scales.thetas):
        theta = scales.thetas[k]
        return theta.lower if sign < 0 else theta.upper
    if scales.scales[k] == "covariance":
        return sign * math.inf
    return 0.0 if sign < 0 else math.inf
