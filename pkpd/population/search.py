"""From starting values to an optimum with its covariance: several starts, better modes, saddles, honest endings."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from pkpd.language.scales import Scales, Values
from pkpd.parallel import stream
from pkpd.population.covariance import CovarianceStep, covariance_step
from pkpd.population.methods import GradientMethod
from pkpd.population.objective import Objective, Point
from pkpd.population.quasi_newton import Search, jumped, minimise, scoring_step

__all__ = ["find_optimum"]

_ROUNDS = 3  # how often a search may go on from lower modes than those it ended with
_SADDLES = 3  # how often a search may be continued from where R shows that it is no minimum
_IMMATERIAL = 1e-6  # of the OFV, relative, by which modes searched anew may change it
_SHORT = (1e-3, 1e-2, 0.1)  # of a scoring step, where jumps are looked for
_PURPOSE = 0x5354  # keeps these random numbers apart from those of other tasks with the same seed
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
    return _with_jumps(at, search), step


def _with_jumps(at: _Landscape, search: Search) -> Search:
    """Name the subjects at whose modes the objective jumps just below where a search ended without success."""
    point, objective = search.point, at.objective
    if (
        search.converged
        or not search.history
        or point.gradients is None
        or objective.method.max_iterations == 0
    ):
        return search
    whole = scoring_step(point)
    for length in _SHORT:
        step = length * whole
        trial = objective.at(objective.scales.from_free(search.x + step, at.begin), gradient=False)
        who = np.flatnonzero(jumped(point, trial, step)) if math.isfinite(trial.ofv) else ()
        if len(who):
            size = float(np.abs(trial.individual - point.individual)[who].max())
            names = ", ".join(str(objective.problem.subjects[i]) for i in who)
            why = (
                f"the objective jumps by {size:.2g} nearby, where the conditional mode of ID {names} changes: "
                "an approximation about the mode cannot tell the minimum any nearer, so take SAEM() or IMP()"
            )
            return replace(search, cause=f"{search.cause}; {why}")
    return search


class _Landscape:
    """The objective over the unconstrained parameters: it follows each subject's mode until it is seen to jump, and then
    takes the lowest of two (``care`` 1), or of all that :func:`pkpd.evaluate` would look for (2).
    """

    def __init__(self, objective: Objective, begin: Values) -> None:
        self.objective, self.begin, self.care = objective, begin, 0

    def __call__(self, x: np.ndarray, begin: Point | np.ndarray | None, *, gradient: bool = True) -> Point:
        values = self.objective.scales.from_free(x, self.begin)
        if self.care == 2:
            return self.objective.at(values, gradient=gradient)
        if self.care == 1:
            return self.objective.at_lowest_modes(values, begin.etas if isinstance(begin, Point) else begin)
        return self.objective.at(values, begin, gradient=gradient)

    def on_jump(self) -> bool:
        changed, self.care = self.care == 0, max(self.care, 1)
        return changed


def _starts(scales: Scales, begin: Values, count: int, seed: int) -> list[Values]:
    """The given start, and others about it."""
    x = scales.free_values(begin)
    out = [begin]
    for number in range(1, count):
        away = stream(seed, _PURPOSE, number).standard_normal(len(x))
        out.append(scales.from_free(x + _SPREAD * away, begin))
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
        if abs(anew.ofv - search.point.ofv) < _IMMATERIAL * (1.0 + abs(anew.ofv)):
            return replace(search, point=anew)
        etas = objective.lower_modes(search.point)
        if etas is None or number == _ROUNDS - 1:
            at.care = 2
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
