"""A fitted model with an area compartment, under planned or actual doses: what exposure is read off."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.data.dataset import nearest_of
from pkpd.errors import FitError, InputError
from pkpd.language import Problem, bind
from pkpd.language.records import RESET
from pkpd.language.scales import Scales, Values
from pkpd.population import PopulationFit
from pkpd.population.arguments import fitted
from pkpd.simulation import Regimen
from pkpd.simulation.design import doses_for, records_at
from pkpd.simulation.prediction import predictions
from pkpd.simulation.retries import warn_of_retries

__all__ = ["ACTUAL", "ExposureProblem"]

ACTUAL = "actual"
"""In place of a regimen: the doses of the data, as they were given."""

_GRID = 121  # points over an interval in the search for extremes, besides those around each dose
_FINER = 61  # points in each finer search around the best
_SEARCHES = 6
_STEADY = 1e-10  # relative change of AUC between one interval and one twice as late that counts as steady
_MOST_INTERVALS = {True: 16384, False: 4096}  # of a linear system, of one that is stepped through


class ExposureProblem:
    """A fitted model with an area compartment, bound to subjects, under given doses.

    Parameters
    ----------
    fit : PopulationFit
    regimen : Regimen, mapping of ID to Regimen, or ``"actual"``
        Planned doses (one for all, or one by ID), or those of the data.
    interval : float or None
        Length of the dosing interval (cycle) that metrics refer to, and over which a planned regimen is repeated. None: a
        planned regimen is given as it is written.
    output : str, optional
        Observation whose exposure is wanted; the first by default.
    data : Dataset, optional
        Other subjects than those of the fit.

    Attributes
    ----------
    origin : (N,) array
        When the first interval begins: at time 0 of a planned regimen, at the first dose of actual ones.
    """

    def __init__(
        self,
        fit: PopulationFit,
        regimen: Regimen | Mapping[Any, Regimen] | str,
        interval: float | None,
        output: str | None,
        data: Dataset | None = None,
    ) -> None:
        fit = fitted(fit)
        if interval is not None and not (isinstance(interval, Real) and 0 < float(interval) < np.inf):
            raise InputError(
                "E_INTERVAL", f"interval {interval!r} is not a positive time.", "Give the dosing interval."
            )
        self.interval = float("nan") if interval is None else float(interval)
        data = fit.data if data is None else data
        self.table = data.frame.iloc[data.offsets[:-1]]
        names = [o.name for o in fit.model.observations]
        if output is not None and output not in names:
            raise InputError(
                "E_OUTPUT",
                f"model {fit.model.name} observes no {output!r}.",
                f"It observes {', '.join(names)}.",
            )
        self.output = names.index(output or names[0])
        model = fit.model.with_area(names[self.output])
        self.actual = isinstance(regimen, str) and regimen == ACTUAL
        self.problem: Problem = bind(model, data, fit.method.solver)
        self.area = len(names)
        self.estimates = fit.parameter_estimates
        self.origin = np.zeros(self.problem.n_subjects)
        self.regimens = [] if self.actual else self._planned(regimen)
        if self.actual:
            self.origin = self._first_doses()
        self._given: dict[int, Problem] = {}
        # the occasions of the data are none of a planned regimen: it gets the subject's mean over occasions
        self._between_occasions = np.arange(self.problem.n_eta) >= len(self.problem.model.etas)

    def _planned(self, regimen: Any) -> list[Regimen]:
        if not isinstance(regimen, Mapping):
            regimens = [regimen] * self.problem.n_subjects
        else:
            absent = [s for s in self.problem.subjects if s not in regimen]
            if absent:
                raise InputError(
                    "E_REGIMEN_ID",
                    f"no regimen for ID {', '.join(map(str, absent[:8]))}.",
                    "Give one for every subject.",
                )
            regimens = [regimen[s] for s in self.problem.subjects]
        for own in {id(r): r for r in regimens}.values():
            if not isinstance(own, Regimen):
                raise InputError(
                    "E_REGIMEN",
                    f"{own!r} is not a regimen."
                    if isinstance(own, str)
                    else f"{type(own).__name__} is not a regimen.",
                    f'Use pkpd.dose(…), a mapping of ID to it, or "{ACTUAL}" for the doses of the data.',
                )
        return regimens

    def _first_doses(self) -> np.ndarray:
        doses = self.problem.doses
        undosed = np.flatnonzero(np.diff(doses.offsets) == 0)
        if len(undosed):
            raise InputError(
                "E_EXPOSURE_ACTUAL",
                f"ID {', '.join(map(str, self.problem.subjects[undosed[:8]]))} has no dose in the data.",
                "Leave these subjects out, or give a regimen.",
            )
        if np.any(np.isin(doses.kind, (1, 2, RESET))):
            raise InputError(
                "E_EXPOSURE_ACTUAL",
                "the data have steady-state doses or resets, which an area that accumulates over time cannot follow.",
                "Write the doses out (ADDL, II), or give a regimen.",
            )
        return doses.time[doses.offsets[:-1]]

    def values(self, estimates: pd.Series | None = None) -> Values:
        """Population parameters of the problem with its area compartment."""
        scales = Scales(self.problem)
        return scales.values(
            (self.estimates if estimates is None else estimates).reindex(scales.names).to_numpy(float)
        )

    def dosed(self, intervals: int) -> Problem:
        """The problem with planned doses repeated over a number of intervals, or with the actual ones."""
        if self.actual:
            return self.problem
        if intervals not in self._given:
            own = {id(r): r for r in self.regimens}
            if self.interval == self.interval:
                own = {key: r.repeated(self.interval, intervals) for key, r in own.items()}
            doses = doses_for(self.problem, self.table, [own[id(r)] for r in self.regimens])
            self._given[intervals] = self.problem.with_records(doses, self.problem.records)
        return self._given[intervals]

    def at(
        self, intervals: int, times: np.ndarray, endpoints: np.ndarray, values: Values, etas: np.ndarray
    ) -> np.ndarray:
        """Outputs (N, M) at ``times`` (N, M) or (M,) after ``intervals`` repeats of the regimen's first interval."""
        problem = self.dosed(intervals)
        grid = np.broadcast_to(times, (problem.n_subjects, np.shape(times)[-1]))
        problem = problem.with_records(problem.doses, records_at(grid, endpoints))
        if not self.actual:
            etas = np.where(self._between_occasions, 0.0, etas)
        f, _, status = predictions(problem, values, etas)
        if np.any(status > 0):
            bad = problem.subjects[np.flatnonzero(status > 0)[:8]]
            raise FitError(
                "E_PREDICTION",
                f"no exposure for ID {', '.join(map(str, bad))}.",
                "Check the parameters of those subjects.",
            )
        warn_of_retries(problem.subjects, status)
        return f.reshape(grid.shape)

    def _window(self, interval: int) -> np.ndarray:
        """Start (N,) of dosing interval number ``interval`` (from 0)."""
        start = self.origin + interval * self.interval
        return self.on_doses(start[:, None])[:, 0] if self.actual else start

    def on_doses(self, times: np.ndarray) -> np.ndarray:
        """Times (N, M), those that a dose's time equals but for rounding being that time: 2.24 + 24 is more than 26.24.

        A concentration before the dose would else be the one after it.
        """
        doses, out = self.dosed(1).doses, np.array(times, dtype=float)
        for i in range(len(out)):
            given = np.sort(doses.time[doses.offsets[i] : doses.offsets[i + 1]])
            out[i] = nearest_of(out[i], given)
        return out

    def area_over(self, first: int, last: int, values: Values, etas: np.ndarray) -> np.ndarray:
        """AUC (N,) over the dosing intervals from number ``first`` to ``last`` (from 0, included)."""
        edges = np.stack([self._window(first), self._window(last + 1)], axis=1)
        area = self.at(last + 1, edges, np.array([self.area, self.area]), values, etas)
        return area[:, 1] - area[:, 0]

    def steady(self, values: Values, etas: np.ndarray) -> int:
        """Number of a dosing interval (8, 16, 32 …) whose AUC no longer differs from that of one half as late.

        Two neighbouring intervals would not do: a drug with a half-life of 50 intervals changes by 1 % from one to the next
        of what is still missing.
        """
        # the stepper's own error, not the drug, decides below this
        tolerance = _STEADY if self.problem.structure.linear else max(_STEADY, 100 * self.problem.solver.rtol)
        interval = 8
        before = self.area_over(interval // 2, interval // 2, values, etas)
        while True:
            after = self.area_over(interval, interval, values, etas)
            moving = np.abs(after - before) > tolerance * np.abs(after)
            if not moving.any():
                return interval
            if 2 * interval > _MOST_INTERVALS[self.problem.structure.linear]:
                break
            interval, before = 2 * interval, after
        who = self.problem.subjects[np.flatnonzero(moving)[:8]]
        raise FitError(
            "E_NO_STEADY_STATE",
            f"exposure still changes after {interval} intervals of {self.interval:g} for ID {', '.join(map(str, who))}.",
            "Check that the drug is eliminated, and the interval; or ask for first-interval metrics only.",
        )

    def _instants(self, interval: int) -> np.ndarray:
        """Times (N, M) within a dosing interval at which to look first: a grid, and around each dose.

        Concentrations jump at a bolus and turn at the end of an infusion; between doses they may peak early, so points
        lie closer and closer towards each of those instants from above.
        """
        close = np.concatenate([[1e-9], 2.0 ** -np.arange(1, 17)])
        even = np.linspace(0.0, 1.0, _GRID)
        doses, start = self.dosed(interval + 1).doses, self._window(interval)
        with np.errstate(divide="ignore", invalid="ignore"):
            ends = doses.time + np.where(doses.rate > 0, doses.amount / doses.rate, 0.0)
        rows: dict[bytes, np.ndarray] = {}
        keys = []
        for i in range(self.problem.n_subjects):
            own = slice(doses.offsets[i], doses.offsets[i + 1])
            turns = (np.concatenate([doses.time[own], ends[own]]) - start[i]) / self.interval
            # what rounding leaves of one instant is one instant
            turns = np.unique(np.round(turns[(turns > -1e-12) & (turns < 1.0)], 12).clip(0.0))
            keys.append(turns.tobytes())
            if keys[-1] not in rows:
                near = [turn + close * (1.0 - turn) for turn in turns]
                rows[keys[-1]] = np.unique(np.concatenate([even, turns, *near]))
        width = max(len(r) for r in rows.values())
        padded = {k: np.pad(r, (0, width - len(r)), constant_values=1.0) for k, r in rows.items()}
        return start[:, None] + self.interval * np.array([padded[k] for k in keys])

    def _search(self, interval: int) -> np.ndarray:
        """Where a search begins: just inside the interval, for the instant after a bolus is the peak of it."""
        grid = self._instants(interval)
        grid[:, 0] += 1e-9 * self.interval
        return grid

    def extreme(self, interval: int, values: Values, etas: np.ndarray, sign: float) -> np.ndarray:
        """Largest (sign 1) or smallest (-1) concentration (N,) within dosing interval number ``interval``."""
        rows = np.arange(self.problem.n_subjects)
        grid = self._search(interval)
        best = np.full(len(rows), -np.inf)
        for _ in range(_SEARCHES):
            width = grid.shape[1]
            c = sign * self.at(interval + 1, grid, np.full(width, self.output), values, etas)
            top = c.argmax(axis=1)
            best = np.maximum(best, c[rows, top])
            # two points away: the next one may be so close that rounding alone decides which of them is larger
            low, high = grid[rows, np.maximum(top - 2, 0)], grid[rows, np.minimum(top + 2, width - 1)]
            grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, _FINER)
        return sign * best

    def trough(self, interval: int, values: Values, etas: np.ndarray) -> np.ndarray:
        """Concentration (N,) at the end of dosing interval number ``interval``, before the next dose."""
        end = self._window(interval + 1)[:, None]
        return self.at(interval + 1, end, np.array([self.output]), values, etas)[:, 0]

    def time_above(self, interval: int, threshold: float, values: Values, etas: np.ndarray) -> np.ndarray:
        """Time (N,) within dosing interval number ``interval`` during which the concentration exceeds a threshold.

        Crossings are bracketed on the grid of the search for extremes and then found on a grid 60 times as fine.
        """
        grid = self._search(interval)
        over = self.at(interval + 1, grid, np.full(grid.shape[1], self.output), values, etas) - threshold
        step = np.diff(grid, axis=1)
        above = over > 0
        total = (step * (above[:, :-1] & above[:, 1:])).sum(axis=1)
        crossed = above[:, :-1] != above[:, 1:]
        most = int(crossed.sum(axis=1).max())
        if not most:
            return total
        # brackets of each subject, filled up with empty ones
        order = np.argsort(~crossed, axis=1, kind="stable")[:, :most]
        real = np.take_along_axis(crossed, order, axis=1)
        low = np.take_along_axis(grid[:, :-1], order, axis=1)
        length = np.where(real, np.take_along_axis(step, order, axis=1), 0.0)
        fine = low[:, :, None] + length[:, :, None] * np.linspace(0.0, 1.0, _FINER)
        # predictions are made in order of time
        flat = fine.reshape(len(grid), -1)
        place = np.argsort(flat, axis=1, kind="stable")
        sorted_c = self.at(
            interval + 1,
            np.take_along_axis(flat, place, axis=1),
            np.full(flat.shape[1], self.output),
            values,
            etas,
        )
        c = np.empty_like(sorted_c)
        np.put_along_axis(c, place, sorted_c - threshold, axis=1)
        c = c.reshape(fine.shape)
        before, after, width = c[..., :-1], c[..., 1:], np.diff(fine, axis=2)
        # of a small step that crosses, the share above by a straight line
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(
                (before > 0) & (after > 0),
                1.0,
                np.where((before > 0) | (after > 0), np.maximum(before, after) / np.abs(after - before), 0.0),
            )
        return total + (width * share).sum(axis=(1, 2))
