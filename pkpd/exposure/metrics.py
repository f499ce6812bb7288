"""AUC, Cmax, Ctrough and Cavg over the first dosing interval and at steady state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Problem, bind
from pkpd.language.scales import Scales, Values
from pkpd.population import PopulationFit
from pkpd.simulation import Regimen
from pkpd.simulation.design import doses_for, records_at
from pkpd.simulation.prediction import predictions

__all__ = ["METRICS", "ExposureProblem", "exposure_metrics"]

METRICS = ("AUC1", "CMAX1", "CTROUGH1", "CAVG1", "AUCSS", "CMAXSS", "CTROUGHSS", "CAVGSS")

_GRID = (
    121  # points over an interval in the search for Cmax; the neighbourhood of the largest is searched again
)
_STEADY = 1e-8  # relative change of AUC between one interval and the next that counts as steady
_MOST_INTERVALS = 4096


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
        self.data: Dataset = fit.data
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
        if isinstance(regimen, Regimen):
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
            doses = doses_for(self.problem, self.data, [repeated[id(r)] for r in self.regimens])
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
        """Number of the first dosing interval (8, 16, 32 …) after which the AUC of the next no longer changes."""
        interval = 8
        while interval < _MOST_INTERVALS:
            edges = self.interval * np.array([interval - 1.0, interval, interval + 1.0])
            area = self.at(interval + 1, edges, np.full(3, self.area), values, etas)
            before, after = area[:, 1] - area[:, 0], area[:, 2] - area[:, 1]
            change = np.abs(after - before) / np.maximum(np.abs(after), 1e-300)
            if np.all((change < _STEADY) | (after == 0)):
                return interval
            interval *= 2
        who = self.problem.subjects[np.flatnonzero(change >= _STEADY)[:8]]
        raise FitError(
            "E_NO_STEADY_STATE",
            f"exposure still changes after {interval} intervals of {self.interval:g} for ID {', '.join(map(str, who))}.",
            "Check that the drug is eliminated, and the interval; or ask for first-interval metrics only.",
        )

    def peak(self, interval: int, values: Values, etas: np.ndarray) -> np.ndarray:
        """Largest concentration (N,) within dosing interval number ``interval``."""
        tau, start = self.interval, interval * self.interval
        low = np.full(self.problem.n_subjects, start)
        high = low + tau
        best = np.zeros(len(low))
        for _ in range(3):
            grid = low[:, None] + (high - low)[:, None] * np.linspace(0.0, 1.0, _GRID)
            # the instant after a bolus is the peak of an intravenous dose: look just inside the interval
            grid[:, 0] += 1e-9 * tau
            c = self.at(interval + 1, grid, np.full(_GRID, self.output), values, etas)
            top = c.argmax(axis=1)
            best = np.maximum(best, c[np.arange(len(low)), top])
            rows = np.arange(len(low))
            low, high = grid[rows, np.maximum(top - 1, 0)], grid[rows, np.minimum(top + 1, _GRID - 1)]
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
