"""AUC, Cmax, Ctrough and Cavg over the first dosing interval and at steady state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.language import Problem, bind
from pkpd.language.scales import Scales, Values
from pkpd.population import PopulationFit
from pkpd.simulation import Regimen
from pkpd.simulation.design import doses_for, records_at
from pkpd.simulation.prediction import predictions

__all__ = ["METRICS", "ExposureProblem", "exposure_metrics"]

METRICS = ("AUC1", "CMAX1", "CTROUGH1", "CAVG1", "AUCSS", "CMAXSS", "CTROUGHSS", "CAVGSS")

_GRID = 121  # points over an interval in the search for Cmax, besides those around each dose
_FINER = 61  # points in each finer search around the largest
_SEARCHES = 6
_STEADY = 1e-10  # relative change of AUC between one interval and one twice as late that counts as steady
_MOST_INTERVALS = {True: 16384, False: 4096}  # of a linear system, of one that is stepped through


class ExposureProblem:
    """A fitted model with an area compartment, bound to the fit's subjects, under given regimens.

    Parameters
    ----------
    fit : PopulationFit
    regimen : Regimen or mapping
        One for all, or one by ID.
    interval : float
        Length of the dosing interval (cycle) that AUC, Cmax and Cavg refer to.
    output : str, optional
        Observation whose exposure is wanted; the first by default.
    """

    def __init__(
        self,
        fit: PopulationFit,
        regimen: Regimen | Mapping[Any, Regimen],
        interval: float,
        output: str | None,
    ) -> None:
        if not (np.isfinite(interval) and interval > 0):
            raise InputError(
                "E_INTERVAL", f"interval {interval!r} is not a positive time.", "Give the dosing interval."
            )
        self.interval = float(interval)
        self.table = fit.data.frame.iloc[fit.data.offsets[:-1]]
        names = [o.name for o in fit.model.observations]
        if output is not None and output not in names:
            raise InputError(
                "E_OUTPUT",
                f"model {fit.model.name} observes no {output!r}.",
                f"It observes {', '.join(names)}.",
            )
        self.output = names.index(output or names[0])
        model = fit.model.with_area(names[self.output])
        self.problem: Problem = bind(model, fit.data, fit.method.solver)
        self.area = len(names)
        self.estimates = fit.parameter_estimates
        if not isinstance(regimen, Mapping):
            self.regimens = [regimen] * self.problem.n_subjects
        else:
            absent = [s for s in self.problem.subjects if s not in regimen]
            if absent:
                raise InputError(
                    "E_REGIMEN_ID",
                    f"no regimen for ID {', '.join(map(str, absent[:8]))}.",
                    "Give one for every subject.",
                )
            self.regimens = [regimen[s] for s in self.problem.subjects]
        for regimen in {id(r): r for r in self.regimens}.values():
            if not isinstance(regimen, Regimen):
                raise InputError(
                    "E_REGIMEN",
                    f"{type(regimen).__name__} is not a regimen.",
                    "Use pkpd.dose(…), or a mapping of ID to it.",
                )
        self._repeated: dict[int, Problem] = {}
        self.steady_intervals: int | None = None

    def values(self, estimates: pd.Series | None = None) -> Values:
        """Population parameters of the problem with its area compartment."""
        scales = Scales(self.problem)
        return scales.values(
            (self.estimates if estimates is None else estimates).reindex(scales.names).to_numpy(float)
        )

    def _dosed(self, intervals: int) -> Problem:
        if intervals not in self._repeated:
            repeated = {id(r): r.repeated(self.interval, intervals) for r in self.regimens}
            doses = doses_for(self.problem, self.table, [repeated[id(r)] for r in self.regimens])
            self._repeated[intervals] = self.problem.with_records(doses, self.problem.records)
        return self._repeated[intervals]

    def at(
        self, intervals: int, times: np.ndarray, endpoints: np.ndarray, values: Values, etas: np.ndarray
    ) -> np.ndarray:
        """Outputs (N, M) at ``times`` (N, M) or (M,) after ``intervals`` repeats of the regimen's first interval."""
        problem = self._dosed(intervals)
        grid = np.broadcast_to(times, (problem.n_subjects, np.shape(times)[-1]))
        problem = problem.with_records(problem.doses, records_at(grid, endpoints))
        f, _, status = predictions(problem, values, etas)
        if status.any():
            bad = problem.subjects[np.flatnonzero(status)[:8]]
            raise FitError(
                "E_PREDICTION",
                f"no exposure for ID {', '.join(map(str, bad))}.",
                "Check the parameters of those subjects.",
            )
        return f.reshape(grid.shape)

    def area_over(
        self, interval: int, values: Values, etas: np.ndarray, intervals: int | None = None
    ) -> np.ndarray:
        """AUC (N,) over dosing interval number ``interval`` (from 0)."""
        tau = self.interval
        edges = np.array([interval * tau, (interval + 1) * tau])
        area = self.at(intervals or interval + 1, edges, np.array([self.area, self.area]), values, etas)
        return area[:, 1] - area[:, 0]

    def steady(self, values: Values, etas: np.ndarray) -> int:
        """Number of a dosing interval (8, 16, 32 …) whose AUC no longer differs from that of one half as late.

        Two neighbouring intervals would not do: a drug with a half-life of 50 intervals changes by 1 % from one to the next
        of what is still missing.
        """
        # the stepper's own error, not the drug, decides below this
        tolerance = _STEADY if self.problem.structure.linear else max(_STEADY, 100 * self.problem.solver.rtol)
        interval = 8
        before = self.area_over(interval // 2, values, etas)
        while True:
            after = self.area_over(interval, values, etas)
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

    def _instants(self) -> np.ndarray:
        """Fractions (N, M) of the interval at which to look for a peak first: a grid, and around each dose.

        Concentrations jump at a bolus and turn at the end of an infusion; between doses they may peak early, so points
        lie closer and closer towards each of those instants from above.
        """
        close = np.concatenate([[1e-9], 2.0 ** -np.arange(1, 17)])
        even = np.linspace(0.0, 1.0, _GRID)
        rows: dict[int, np.ndarray] = {}
        for regimen in {id(r): r for r in self.regimens}.values():
            turns = {
                (t + length) / self.interval % 1.0
                for d in regimen.doses
                for t in d.times
                if t < self.interval
                for length in (0.0, d.infusion or 0.0)
            }
            near = [turn + close * (1.0 - turn) for turn in sorted(turns)]
            rows[id(regimen)] = np.unique(np.concatenate([even, sorted(turns), *near]))
        width = max(len(r) for r in rows.values())
        padded = {k: np.pad(r, (0, width - len(r)), constant_values=1.0) for k, r in rows.items()}
        return np.array([padded[id(r)] for r in self.regimens])

    def peak(self, interval: int, values: Values, etas: np.ndarray) -> np.ndarray:
        """Largest concentration (N,) within dosing interval number ``interval``."""
        tau, start = self.interval, interval * self.interval
        rows = np.arange(self.problem.n_subjects)
        grid = start + tau * self._instants()
        # the instant after a bolus is the peak of an intravenous dose: look just inside the interval
        grid[:, 0] += 1e-9 * tau
        best = np.zeros(len(rows))
        for _ in range(_SEARCHES):
            width = grid.shape[1]
            c = self.at(interval + 1, grid, np.full(width, self.output), values, etas)
            top = c.argmax(axis=1)
            best = np.maximum(best, c[rows, top])
            # two points away: the next one may be so close that rounding alone decides which of them is larger
            low, high = grid[rows, np.maximum(top - 2, 0)], grid[rows, np.minimum(top + 2, width - 1)]
            grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, _FINER)
        return best

    def trough(self, interval: int, values: Values, etas: np.ndarray) -> np.ndarray:
        """Concentration (N,) at the end of dosing interval number ``interval``, before the next dose."""
        end = np.array([(interval + 1) * self.interval])
        return self.at(interval + 1, end, np.array([self.output]), values, etas)[:, 0]


def exposure_metrics(
    fit: PopulationFit,
    metrics: Sequence[str] = METRICS,
    *,
    regimen: Regimen | Mapping[Any, Regimen],
    interval: float,
    output: str | None = None,
) -> pd.DataFrame:
    """Exposure of each subject at its empirical Bayes estimates under a planned regimen.

    Parameters
    ----------
    fit : PopulationFit
        A fit that contains the histology effect, if the metrics are to be regressors.
    metrics : sequence of str
        Among ``AUC1 CMAX1 CTROUGH1 CAVG1`` (first dosing interval) and ``AUCSS CMAXSS CTROUGHSS CAVGSS`` (steady state).
    regimen : Regimen or mapping of ID to Regimen
        The planned doses; those of the first interval are repeated, whatever their number.
    interval : float
        Length of the dosing interval (cycle), in the time unit of the data.
    output : str, optional
        The observation; the first by default.

    Returns
    -------
    DataFrame
        One row per ID; concentrations in the unit of the observation, AUC in that unit × time.

    Raises
    ------
    InputError
        ``E_METRIC``, ``E_INTERVAL``, ``E_OUTPUT``, ``E_REGIMEN_ID``, ``E_REGIMEN_PERIOD``.
    FitError
        ``E_NO_STEADY_STATE`` if exposure keeps changing.
    """
    unknown = [m for m in metrics if m not in METRICS]
    if unknown or not len(metrics):
        raise InputError(
            "E_METRIC",
            f"exposure metric {unknown[0] if unknown else 'list is empty'!r}.",
            f"Known: {', '.join(METRICS)}.",
        )
    exposure = ExposureProblem(fit, regimen, interval, output)
    values, etas = exposure.values(), fit.individual_estimates.to_numpy()
    out: dict[str, np.ndarray] = {}
    first = {m for m in metrics if m.endswith("1")}
    for suffix, wanted in (("1", first), ("SS", set(metrics) - first)):
        if not wanted:
            continue
        k = 0 if suffix == "1" else exposure.steady(values, etas)
        if wanted & {f"AUC{suffix}", f"CAVG{suffix}"}:
            out[f"AUC{suffix}"] = exposure.area_over(k, values, etas)
            out[f"CAVG{suffix}"] = out[f"AUC{suffix}"] / interval
        if f"CMAX{suffix}" in wanted:
            out[f"CMAX{suffix}"] = exposure.peak(k, values, etas)
        if f"CTROUGH{suffix}" in wanted:
            out[f"CTROUGH{suffix}"] = exposure.trough(k, values, etas)
    return pd.DataFrame({m: out[m] for m in metrics}, index=pd.Index(exposure.problem.subjects, name="ID"))
