"""Visual predictive check of a time to event: the Kaplan-Meier curve of the data beside those of simulations.

Holford N, Lavielle M. PAGE 20 (2011) Abstr 2281, section on evaluation of time-to-event models.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.parallel import checked_seed, run
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.resampling import named_strata
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.simulation.event_times import event_times, follow_up_start, hazard_endpoint

__all__ = ["EventVPC", "event_vpc", "survival_at"]

_POINTS = 101


@result
@dataclass(frozen=True, repr=False)
class EventVPC:
    """Outcome of :func:`pkpd.event_vpc`.

    Attributes
    ----------
    bands : DataFrame
        stratum, time, observed, lower, median, upper: survival (of the first event) in the data, and over the simulations.
    subjects : DataFrame
        stratum, ID, time, event: follow-up of each subject as observed, from its first record on.
    endpoint : str
    stratified_by : str or None
    replicates, seed : int
    level : float
        Coverage of the bands.
    """

    bands: pd.DataFrame
    subjects: pd.DataFrame
    endpoint: str
    stratified_by: str | None
    replicates: int
    seed: int
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return the bands."""
        return self.bands.copy()

    @property
    def outside(self) -> float:
        """Share of the points of the observed curves that lie outside their bands."""
        b = self.bands
        return float(((b["observed"] < b["lower"]) | (b["observed"] > b["upper"])).mean())

    def __repr__(self) -> str:
        by = f", stratified by {self.stratified_by}" if self.stratified_by else ""
        sizes = self.subjects.groupby("stratum", sort=False)["event"].agg(["size", "sum"])
        sizes.columns = ["subjects", "events"]
        head = (
            f"Kaplan-Meier VPC of {self.endpoint}{by}: {self.replicates} simulations, seed {self.seed}; "
            f"{100 * self.level:g} % bands; {100 * self.outside:.0f} % of the observed curve lies outside"
        )
        return "\n".join([head, sizes.to_string()])


def event_vpc(
    fit: PopulationFit,
    n: int = 500,
    seed: int = 0,
    *,
    endpoint: str | int | None = None,
    stratify: str | None = "histology",
    level: float = 0.95,
    executor: Executor | Callable[[], Executor] | None = None,
) -> EventVPC:
    """Compare the Kaplan-Meier curve of a time to event with curves simulated at the estimates.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Number of simulations of the data.
    seed : int
    endpoint : str or int, optional
        Name or DVID of the hazard; may be left out where the model has one.
    stratify : str or None
        Column whose groups are compared each by itself; the data's histology by default, where they have one.
    level : float
        Coverage of the bands.
    executor : optional
        See :func:`pkpd.bootstrap`.

    Returns
    -------
    EventVPC

    Raises
    ------
    InputError
        ``E_ARGUMENT``; ``E_STRATIFY``; ``E_EVENT_ENDPOINT`` for an endpoint that is no hazard, or one whose events are
        interval-censored (a Kaplan-Meier curve takes exact times).
    FitError
        ``E_SIMULATION`` if a replicate could not be computed.

    Notes
    -----
    A simulated subject is followed as long as the observed one where that had no event, and as long as the longest follow-up in
    its stratum where it had: when it would have been censored is not known. Doses and covariates are those on record; a subject
    that would have lived longer gets none after its own last record, so that a hazard that depends on exposure is simulated
    too high or too low there. Of recurrent events the first counts.
    """
    n, seed, level = whole("n", n, 2), checked_seed(seed), probability("level", level)
    problem = fitted(fit).problem
    place = hazard_endpoint(problem.model, endpoint)
    o = problem.model.observations[place]
    if o.last is None:
        raise InputError(
            "E_EVENT_ENDPOINT",
            f"events of {o.name} are interval-censored, and a Kaplan-Meier curve takes exact times.",
            "Compare pkpd.simulate_events with the visits yourself.",
        )
    column, groups, names = named_strata(fit.data, stratify)
    start = follow_up_start(problem)
    stop, event = _observed(problem, place)
    who = np.flatnonzero(np.isfinite(stop))
    end = stop.copy()
    for group in np.unique(groups[who]):
        mine = who[groups[who] == group]
        end[mine] = np.where(event[mine], stop[mine].max(), stop[mine])
    end = np.where(np.isfinite(end), end, start)
    scales = Scales(problem)
    values = scales.values(fit.parameter_estimates.to_numpy(float))
    out = run(
        functools.partial(_replicate, replace(problem), values, seed, place, start, end),
        list(range(n)),
        executor=executor,
        label="simulating events",
    )
    if out.interrupted:
        raise KeyboardInterrupt
    if out.failures:
        raise FitError(
            "E_SIMULATION",
            f"{len(out.failures)} of {n} replicates could not be simulated: {out.failures[0].reason}",
            "Check the estimates: the model cannot be computed at random effects that they make likely.",
        )
    simulated = np.array(out.values)
    bands, subjects = [], []
    for group in np.unique(groups[who]):
        mine = who[groups[who] == group]
        since = stop[mine] - start[mine]
        grid = np.linspace(0.0, since.max(), _POINTS)
        drawn = simulated[:, mine]
        seen = np.isfinite(drawn)
        curves = survival_at(np.where(seen, drawn, end[mine]) - start[mine], seen, grid)
        lower, median, upper = np.quantile(curves, [0.5 - level / 2, 0.5, 0.5 + level / 2], axis=0)
        bands.append(
            pd.DataFrame(
                {
                    "stratum": names[group],
                    "time": grid,
                    "observed": survival_at(since[None, :], event[None, mine], grid)[0],
                    "lower": lower,
                    "median": median,
                    "upper": upper,
                }
            )
        )
        subjects.append(
            pd.DataFrame(
                {
                    "stratum": names[group],
                    "ID": problem.subjects[mine],
                    "time": since,
                    "event": event[mine].astype(np.int64),
                }
            )
        )
    return EventVPC(
        bands=pd.concat(bands, ignore_index=True),
        subjects=pd.concat(subjects, ignore_index=True),
        endpoint=o.name,
        stratified_by=column,
        replicates=n,
        seed=seed,
        level=level,
    )


def _replicate(
    problem: Problem,
    values: Values,
    seed: int,
    place: int,
    start: np.ndarray,
    end: np.ndarray,
    replicate: int,
) -> np.ndarray:
    return event_times(problem, values, seed, replicate, place, start, end)


def _observed(problem: Problem, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Time of each subject's first event or end of follow-up (NaN without a record), and whether it is an event."""
    r = problem.records
    stop, event = np.full(problem.n_subjects, np.nan), np.zeros(problem.n_subjects, dtype=bool)
    for i in range(problem.n_subjects):
        rows = np.arange(r.offsets[i], r.offsets[i + 1])
        rows = rows[(r.endpoint[rows] == place) & (r.used[rows] == 1)]
        if len(rows):
            died = rows[r.value[rows] == 1]
            event[i] = len(died) > 0
            stop[i] = r.time[died[0] if event[i] else rows[-1]]
    return stop, event


def survival_at(time: np.ndarray, event: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Kaplan-Meier estimates (K, G) of K sets of subjects, ``time`` and ``event`` (K, N), at the times ``grid`` (G,)."""
    order = np.lexsort((~event, time), axis=-1)  # at one time, events come before the ends of follow-up
    time, event = (np.take_along_axis(x, order, axis=1) for x in (time, event))
    at_risk = time.shape[1] - np.arange(time.shape[1])
    survival = np.cumprod(1.0 - event / at_risk, axis=1)
    survival = np.column_stack([np.ones(len(survival)), survival])
    return np.array([s[np.searchsorted(t, grid, side="right")] for t, s in zip(time, survival, strict=True)])
