"""Times to event under a hazard of the model: where the cumulative hazard reaches a standard exponential number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model, Problem, Solver, bind
from pkpd.language.records import OFF, ON
from pkpd.language.scales import Scales, Values, parameter_values
from pkpd.parallel import checked_seed
from pkpd.simulation.design import records_at
from pkpd.simulation.prediction import predictions
from pkpd.simulation.retries import warn_of_retries
from pkpd.simulation.trial import drawn_etas

__all__ = ["event_times", "follow_up_start", "hazard_endpoint", "simulate_events"]

# of the grid, and of each finer one between two points of the one before: the last bracket is 1/32768 of the follow-up
_POINTS, _GRIDS = 33, 3


def simulate_events(
    model: Model,
    data: Dataset,
    until: float,
    seed: int = 0,
    parameters: Mapping[str, float] | None = None,
    *,
    endpoint: str | int | None = None,
    replicates: int = 1,
    solver: Solver | None = None,
) -> pd.DataFrame:
    """Draw the time to the first event of each subject of a data set, under the doses and covariates that it has there.

    Parameters
    ----------
    model : Model
    data : Dataset
        Its observations are not looked at. A subject's follow-up begins with its first record.
    until : float
        Time at which follow-up ends.
    seed : int
    parameters : mapping, optional
        Population parameters by name; the model's initial values where not given.
    endpoint : str or int, optional
        Name or DVID of the hazard; may be left out where the model has one.
    replicates : int
    solver : Solver, optional

    Returns
    -------
    DataFrame
        REP, ID, TIME, EVENT: 1 at an event, 0 where follow-up ended without one. A table for :func:`pkpd.read_dataset` needs the
        dose records beside these.

    Raises
    ------
    InputError
        ``E_EVENT_ENDPOINT`` for an endpoint that is no hazard, ``E_ARGUMENT``.
    FitError
        ``E_PREDICTION`` if a subject's cumulative hazard cannot be computed.

    Notes
    -----
    The cumulative hazard is solved on a grid, then on finer ones about the event, and is linear between the last one's points:
    times are right to about 1e-5 of the follow-up. Of one seed,
    the endpoints share each subject's random effects, which are those that :func:`pkpd.simulate` draws; given these their times
    are independent of each other and of residual errors: of competing ones the earliest counts.
    """
    seed, problem = checked_seed(seed), bind(model, data, solver, partial=True)
    place = hazard_endpoint(model, endpoint)
    start = follow_up_start(problem)
    counted = isinstance(replicates, (int, np.integer)) and replicates >= 1
    if not counted or not np.isfinite(until) or not until > start.max(initial=-np.inf):
        raise InputError(
            "E_ARGUMENT",
            f"until={until!r}, replicates={replicates!r}.",
            "Give a time after every subject's first record, and a positive number of replicates.",
        )
    values = parameter_values(Scales(problem), problem, parameters, partial=True)
    end = np.full(problem.n_subjects, float(until))
    tables = []
    for k in range(replicates):
        time = event_times(problem, values, seed, k, place, start, end)
        seen = np.isfinite(time)
        tables.append(
            pd.DataFrame(
                {
                    "REP": k + 1,
                    "ID": problem.subjects,
                    "TIME": np.where(seen, time, until),
                    "EVENT": seen.astype(np.int64),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def hazard_endpoint(model: Model, endpoint: str | int | None) -> int:
    """Place (from 0) of a hazard among the model's endpoints, by name or DVID."""
    hazards = [k for k, o in enumerate(model.observations) if o.cumulative is not None]
    shown = ", ".join(f"{model.observations[k].name} (DVID {k + 1})" for k in hazards) or "none"
    if endpoint is None and len(hazards) == 1:
        return hazards[0]
    found = [k for k in hazards if endpoint in (k + 1, model.observations[k].name)]
    if not found:
        raise InputError(
            "E_EVENT_ENDPOINT",
            f"endpoint={endpoint!r} is no time to event of {model.name}.",
            f"Its hazards: {shown}.",
        )
    return found[0]


def follow_up_start(problem: Problem) -> np.ndarray:
    """Time of each subject's first record, (N,)."""
    out = np.full(problem.n_subjects, np.inf)
    for offsets, time in (
        (problem.records.offsets, problem.records.time),
        (problem.doses.offsets, problem.doses.time),
        (problem.inputs.offsets, problem.inputs.time),
    ):
        owner = np.repeat(np.arange(problem.n_subjects), np.diff(offsets))
        np.minimum.at(out, owner, time)
    return out


def event_times(
    problem: Problem,
    values: Values,
    seed: int,
    replicate: int,
    endpoint: int,
    start: np.ndarray,
    end: np.ndarray,
) -> np.ndarray:
    """Draw a time for each subject, (N,): inf where it has no event between ``start`` and ``end`` (N,).

    Random effects are those that :func:`pkpd.simulate` draws with the same seed and replicate.
    """
    from pkpd.kernels.draws import draw_hazards

    n = problem.n_subjects
    etas = drawn_etas(problem, values, seed, replicate, 0)
    wanted = np.zeros(n)
    draw_hazards(seed, replicate, endpoint, wanted)
    steps = np.linspace(0.0, 1.0, _POINTS)
    low, high = start, np.maximum(end, start)
    for _ in range(_GRIDS):
        grid = low[:, None] + (high - low)[:, None] * steps
        hazard = _cumulative(problem, values, etas, endpoint, grid, start)
        reached = (hazard < wanted[:, None]).sum(axis=1)  # the first point at or beyond the event
        after = np.clip(reached, 1, _POINTS - 1)
        rows = np.arange(n)
        low, high = grid[rows, after - 1], grid[rows, after]
    below, above = hazard[rows, after - 1], hazard[rows, after]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(above > below, (wanted - below) / (above - below), 0.0)
    time = low + np.clip(share, 0.0, 1.0) * (high - low)
    return np.where((reached < _POINTS) & (time <= end), time, np.inf)


def _cumulative(
    problem: Problem, values: Values, etas: np.ndarray, endpoint: int, grid: np.ndarray, start: np.ndarray
) -> np.ndarray:
    """Cumulative hazard (N, M) at the times ``grid`` (N, M), in order within each row.

    It is read off the endpoint: -2 log-likelihood of a last record without an event is twice it.
    """
    from pkpd.kernels.status import MESSAGES

    o = problem.model.observations[endpoint]
    times = np.column_stack([start, grid])  # the solver begins with the first record
    records = records_at(times, np.full(times.shape[1], endpoint))
    at = problem.with_records(_uninterrupted(problem), records)
    inputs: Any = at.inputs.at_records.copy()
    inputs[:, -1] = 0.0
    if o.last is not None:
        inputs[:, at.inputs.names.index(f"LAST({o.name})")] = 1.0
    at = replace(at, inputs=replace(at.inputs, at_records=inputs))
    f, _, status = predictions(at, values, etas)
    bad = np.flatnonzero(status > 0)
    if len(bad):
        raise FitError(
            "E_PREDICTION",
            f"no cumulative hazard for ID {problem.subjects[bad[0]]} ({len(bad)} subject(s)): {MESSAGES[int(status[bad[0]])]}.",
            "Check parameters and doses.",
        )
    warn_of_retries(problem.subjects, status)
    return 0.5 * f.reshape(times.shape)[:, 1:]


def _uninterrupted(problem: Problem) -> Any:
    """Dose records less those that empty the cumulative hazards of interval-censored events."""
    doses, names = problem.doses, [c.name for c in problem.model.compartments]
    hazards = [names.index(o.cumulative) for o in problem.model.observations if o.cumulative is not None]
    gone = np.isin(doses.kind, (OFF, ON)) & np.isin(doses.compartment, hazards)
    if not gone.any():
        return doses
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(doses.offsets))
    kept = {k: v[~gone] for k, v in vars(doses).items() if k != "offsets"}
    counts = np.bincount(owner[~gone], minlength=problem.n_subjects)
    return replace(doses, **kept, offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
