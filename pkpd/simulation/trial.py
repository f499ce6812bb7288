"""One simulated trial as a value, cut into tasks that can run anywhere and give the same rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pkpd.data.dataset import nearest_of
from pkpd.language import Problem
from pkpd.language.scales import Values
from pkpd.simulation.categories import draw_categories
from pkpd.simulation.design import doses_for, records_at
from pkpd.simulation.prediction import predictions, with_error
from pkpd.simulation.regimen import Regimen

__all__ = ["Task", "Trial", "drawn_etas", "simulate_task"]

_ROWS = 200_000  # of a task: large enough to keep all threads busy, small enough that several fit any memory


@dataclass(frozen=True)
class Task:
    """Subjects ``first`` to ``last`` (excluded) of an arm, in one replicate."""

    replicate: int
    arm: int
    first: int
    last: int


@dataclass(frozen=True)
class Trial:
    """Everything that a simulation needs.

    Attributes
    ----------
    problem : Problem
        Bound to the data set, or to the rows of the covariate table (then without records).
    values : tuple of Values
        Population parameters of each replicate.
    seed : int
    labelled : bool
        Whether replicates are numbered in a column REP.
    residual_error : bool
        Whether observations (DV) are drawn.
    covariates : DataFrame or None
        One row per subject of ``problem``: what is added to the rows.
    arms : tuple of (str or None, Regimen)
        Empty for a data set.
    n : int
        Subjects of each arm.
    grid : (M,) array
        Sampling times.
    categories : tuple of array or None
        Values of endpoints that are likelihoods of their own.
    """

    problem: Problem
    values: tuple[Values, ...]
    seed: int
    labelled: bool
    residual_error: bool
    covariates: pd.DataFrame | None = None
    arms: tuple[tuple[str | None, Regimen], ...] = ()
    n: int = 0
    grid: np.ndarray = field(default_factory=lambda: np.zeros(0))
    categories: tuple[np.ndarray | None, ...] = ()

    def tasks(self) -> list[Task]:
        """The tasks in the order of their rows."""
        replicates = range(len(self.values))
        if not self.arms:  # a data set is in memory anyway
            return [Task(r, 0, 0, self.problem.n_subjects) for r in replicates]
        size = max(1, _ROWS // (len(self.grid) * len(self.problem.model.observations)))
        return [
            Task(r, a, first, min(first + size, self.n))
            for r in replicates
            for a in range(len(self.arms))
            for first in range(0, self.n, size)
        ]


def simulate_task(trial: Trial, task: Task) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Rows of a task, and the IDs and statuses of subjects that could not be computed, or not at the first attempt."""
    from pkpd.kernels.draws import draw_residuals

    problem, rows = _subjects(trial, task)
    values = trial.values[task.replicate]
    # a subject's place in the whole trial keys its streams
    place = task.arm * trial.n + task.first
    etas = drawn_etas(problem, values, trial.seed, task.replicate, place)
    f, _, status = predictions(problem, values, etas)
    offsets = problem.records.offsets
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(offsets))
    columns: dict[str, object] = {}
    if trial.labelled:
        columns["REP"] = task.replicate + 1
    columns["ID"] = problem.subjects[owner]
    if trial.arms and trial.arms[task.arm][0] is not None:
        columns["ARM"] = trial.arms[task.arm][0]
    # a likelihood is no prediction
    direct = np.array([o.likelihood for o in problem.model.observations])[problem.records.endpoint]
    ipred = np.where(direct, np.nan, f)
    columns |= {"TIME": problem.records.time, "DVID": problem.records.endpoint + 1, "IPRED": ipred}
    if trial.residual_error:
        noise = np.zeros(len(f))
        draw_residuals(trial.seed, task.replicate, place, offsets, noise)
        observed = with_error(problem, values, f, noise)
        if any(c is not None for c in trial.categories):
            drawn = draw_categories(problem, values, etas, trial.categories, noise)
            observed = np.where(np.isnan(drawn), observed, drawn)
        columns["DV"] = observed
    if trial.covariates is not None:
        for name in trial.covariates.columns:
            columns[name] = trial.covariates[name].to_numpy()[rows[owner]]
    bad = np.flatnonzero(status)
    return pd.DataFrame(columns), problem.subjects[bad], status[bad]


def drawn_etas(problem: Problem, values: Values, seed: int, replicate: int, first: int) -> np.ndarray:
    """Random effects (N, E) of the subjects from place ``first`` of the trial on."""
    from pkpd.kernels.draws import draw_etas

    etas = np.zeros((problem.n_subjects, problem.n_eta))
    draw_etas(seed, replicate, first, etas)
    return _correlated(etas, np.linalg.cholesky(values.omega)) if problem.n_eta else etas


def _correlated(normals: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Rows times the transposed factor, summed in one order: a product of matrices depends on how many rows there are."""
    out = np.zeros_like(normals)
    for k in range(factor.shape[0]):
        for j in range(k + 1):
            out[:, k] += factor[k, j] * normals[:, j]
    return out


def _subjects(trial: Trial, task: Task) -> tuple[Problem, np.ndarray]:
    """The problem of a task's subjects, and their rows in the covariate table."""
    from pkpd.kernels.draws import draw_rows

    if not trial.arms:
        return trial.problem, np.arange(trial.problem.n_subjects)
    everyone, count = trial.problem, task.last - task.first
    place = task.arm * trial.n + task.first
    rows = np.arange(task.first, task.last)
    if everyone.n_subjects != trial.n:
        draw_rows(trial.seed, task.replicate, place, float(everyone.n_subjects), rows)
    problem = everyone.with_subjects(rows, np.arange(place + 1, place + 1 + count))
    table = None if trial.covariates is None else trial.covariates.iloc[rows]
    endpoints = np.arange(len(problem.model.observations))
    times = np.repeat(trial.grid, len(endpoints))
    records = records_at(np.broadcast_to(times, (count, len(times))), np.tile(endpoints, len(trial.grid)))
    doses = doses_for(problem, table, [trial.arms[task.arm][1]] * count)
    # three times 8.1 is less than 24.3: a sample there is to be taken before that dose all the same
    doses = replace(doses, time=nearest_of(doses.time, trial.grid))
    return problem.with_records(doses, records), rows
