"""From starting values to an optimum with its covariance: several starts, better modes, saddles, honest endings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pkpd.language.scales import Scales, Values
from pkpd.population.covariance import CovarianceStep, covariance_step
from pkpd.population.methods import GradientMethod
from pkpd.population.objective import Objective, Point
from pkpd.population.quasi_newton import Search, minimise

__all__ = ["find_optimum"]

_ROUNDS = 3  # how often a search may go on from lower modes than those it ended with
_SADDLES = 3  # how often a search may be continued from where R shows that it is no minimum
_IMMATERIAL = 1e-6  # of the OFV, relative, by which modes searched anew may change it
_SPREAD = 0.7  # SD of further starts on the unconstrained scale: mostly within a factor of four


def find_optimum(
    objective: Objective, begin: Values, seed: int, progress: Callable[[int, float], None] | None = None
) -> tuple[Search, CovarianceStep]:
    """Minimise the objective and take the covariance step at its end.

    Parameters
    ----------
    objective : Objective
    begin : Values
        The first start; fixed parameters stay there.
    seed : int
        Of further starts, ``method.starts`` in all.
    progress : callable, optional
        Called with (iteration, ofv).

    Raises
    ------
    FitError
        ``E_FIT_SUBJECT`` if the objective cannot be computed at any start.
    """
    method, scales = objective.method, objective.scales
    searches: list[tuple[_Landscape, Search | None]] = []
    failed: list[Point] = []
    for values in _starts(scales, begin, method.starts, seed):
        at, first = _Landscape(objective, begin), objective.at(values)
        if not math.isfinite(first.ofv):
            failed.append(first)
            searches.append((at, None))
            continue
        search = minimise(
            at,
            scales.free_values(values),
            etas=first.etas,
            begin=first,
            max_iterations=method.max_iterations,
            tolerance=method.tolerance,
            progress=progress,
            on_jump=at.on_jump,
            plain=scales.plain,
        )
        searches.append((at, _honest(_from_better_modes(at, search, method, progress), scales)))
    reached = [(s.point.ofv, k) for k, (_, s) in enumerate(searches) if s is not None]
    if not reached:
        raise objective.explain(failed[0])
    winner = min(reached)[1]
    at, found = searches[winner]
    assert found is not None
    search = found
    step = covariance_step(method.covariance, at, search.x, search.point, scales)
    for _ in range(_SADDLES):
        further = _past_saddle(at, search, step.downhill, method, progress)
        if further is None:
            break
        search = _honest(_from_better_modes(at, further, method, progress), scales)
        step = covariance_step(method.covariance, at, search.x, search.point, scales)
    if method.starts > 1:
        ends = ", ".join("failed" if s is None else f"{s.point.ofv:.3f}" for _, s in searches)
        search = replace(
            search, cause=f"{search.cause}; start {winner + 1} of {method.starts} won (OFVs {ends})"
        )
    return search, step


class _Landscape:
    """The objective over the unconstrained parameters: it follows each subject's mode until it is seen to jump, and then
    takes the lowest of several.
    """

    def __init__(self, objective: Objective, begin: Values) -> None:
        self.objective, self.begin, self.lowest = objective, begin, False

    def __call__(self, x: np.ndarray, begin: Point | np.ndarray | None, *, gradient: bool = True) -> Point:
        values = self.objective.scales.from_free(x, self.begin)
        if self.lowest:
            return self.objective.at_lowest_modes(values, begin.etas if isinstance(begin, Point) else begin)
        return self.objective.at(values, begin, gradient=gradient)

    def on_jump(self) -> bool:
        changed, self.lowest = not self.lowest, True
        return changed


def _starts(scales: Scales, begin: Values, count: int, seed: int) -> list[Values]:
    """The given start, and others about it."""
    x = scales.free_values(begin)
    out = [begin]
    for number in range(1, count):
        rng = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, number])))
        out.append(scales.from_free(x + _SPREAD * rng.standard_normal(len(x)), begin))
    return out


def _from_better_modes(
    at: _Landscape,
    search: Search,
    method: GradientMethod,
    progress: Callable[[int, float], None] | None,
) -> Search:
    """Search on while some subject has a lower mode than the one followed from iteration to iteration.

    What is reported is what :func:`pkpd.evaluate` gives there: with modes that are searched anew.
    """
    objective = at.objective
    if method.max_iterations == 0 or method.kind == "FO" or objective.problem.n_eta == 0:
        return search
    for number in range(_ROUNDS + 1):
        if not math.isfinite(search.point.ofv):
            break
        anew = objective.at(search.point.values)
        if not math.isfinite(anew.ofv):
            why = (
                "with modes searched from nothing the objective cannot be computed there: do not use this OFV"
            )
            cause = f"{search.cause}; but {why}"
            return replace(search, converged=False, cause=cause)
        change = anew.ofv - search.point.ofv
        if abs(change) < _IMMATERIAL * (1.0 + abs(anew.ofv)):
            return replace(search, point=anew)
        etas = objective.lower_modes(search.point)
        if etas is None or number == _ROUNDS:
            cause = (
                "subjects have several conditional modes, and which is the lowest changes all the time"
                if etas is not None
                else f"{search.cause}; but subjects have several conditional modes, and those which a search from nothing finds "
                f"give an OFV that is {abs(change):.2g} {'higher' if change > 0 else 'lower'}"
            )
            return replace(search, point=anew, converged=False, cause=cause)
        again = minimise(
            at,
            search.x,
            etas=etas,
            max_iterations=method.max_iterations,
            tolerance=method.tolerance,
            progress=progress,
            plain=at.objective.scales.plain,
        )
        if not math.isfinite(again.point.ofv):
            break
        search = _continued(search, again)
    return search


def _past_saddle(
    at: _Landscape,
    search: Search,
    downhill: np.ndarray | None,
    method: GradientMethod,
    progress: Callable[[int, float], None] | None,
) -> Search | None:
    """Search on from a point with a vanishing gradient that R shows to be no minimum; None where nothing lies lower."""
    if downhill is None or not search.converged:
        return None
    trials = [
        (length, at(search.x + length * downhill, search.point))
        for length in (-4, -2, -1, -0.5, 0.5, 1, 2, 4)
    ]
    length, point = min(trials, key=lambda t: t[1].ofv)
    if not point.ofv < search.point.ofv - 1e-6:
        return None
    again = minimise(
        at,
        search.x + length * downhill,
        etas=point.etas,
        max_iterations=method.max_iterations,
        tolerance=method.tolerance,
        progress=progress,
        plain=at.objective.scales.plain,
    )
    return _continued(search, again)


def _continued(first: Search, second: Search) -> Search:
    count = first.history[-1][0]
    later = tuple((count + 1 + k, ofv, gradient) for k, ofv, gradient in second.history)
    return replace(second, history=first.history + later)


def _honest(search: Search, scales: Scales) -> Search:
    """A search has not converged where the objective no longer moves with a parameter: it only ran onto a plain."""
    gradients = search.point.gradients
    if gradients is None or not search.converged or not len(search.x):
        return search
    flat = [
        scales.names[i] for i, g in zip(scales.free, np.abs(gradients).max(axis=0), strict=True) if g < 1e-12
    ]
    if not flat:
        return search
    cause = f"the objective does not change with {', '.join(flat)} there: start elsewhere, or fix what the data cannot tell"
    return replace(search, converged=False, cause=cause)
