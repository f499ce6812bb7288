"""The records that count, beside simulations of them under the fitted model: what NPDE and VPC compare."""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.language.scales import Scales
from pkpd.parallel import checked_seed, run
from pkpd.population.arguments import fitted
from pkpd.simulation.trial import Task, Trial, simulate_task

if TYPE_CHECKING:
    from pkpd.population.result import PopulationFit

__all__ = ["SimulatedRecords", "simulated_records"]


@dataclass(frozen=True)
class SimulatedRecords:
    """Observed and simulated values of the records that count.

    Attributes
    ----------
    table : DataFrame
        ID, TIME, DVID, DV, PRED, TAD (time after dose), and ``histology`` where the data have one; one row per record.
    subject : (R,) int array
        Place of the record's subject.
    below : (R,) bool array
        Whether the value is known only to lie below ``limit``.
    limit : (R,) array
        Lower limit of quantification of the record; NaN where unknown.
    simulated : (K, R) array
        Values under the model at the estimates, as they would be without a limit.
    """

    table: pd.DataFrame
    subject: np.ndarray
    below: np.ndarray
    limit: np.ndarray
    simulated: np.ndarray

    def where(self, rows: np.ndarray) -> SimulatedRecords:
        """Take some of the records (bool array)."""
        return SimulatedRecords(
            self.table[rows].reset_index(drop=True),
            self.subject[rows],
            self.below[rows],
            self.limit[rows],
            self.simulated[:, rows],
        )


def simulated_records(
    fit: PopulationFit,
    n: int,
    seed: int,
    executor: Executor | Callable[[], Executor] | None,
    categories: tuple[np.ndarray | None, ...] = (),
) -> SimulatedRecords:
    """Simulate a fit's data ``n`` times at its estimates.

    Records of likelihood endpoints are left aside unless ``categories`` says which values the endpoint can take.

    The limit of a record that is not censored is its LLOQ, else the lowest limit among the censored records of its endpoint.

    Raises
    ------
    InputError
        ``E_RIGHT_CENSORED`` if a value is censored from above; ``E_SIMULATED_ENDPOINT`` if every endpoint is a likelihood.
    FitError
        ``E_SIMULATION`` if a replicate could not be computed.
    """
    seed, problem = checked_seed(seed), fitted(fit).problem
    able = [not o.likelihood for o in problem.model.observations]
    for k, support in enumerate(categories):
        able[k] = able[k] or support is not None
    drawn = np.array(able)[problem.records.endpoint]
    if not drawn.any():
        raise InputError(
            "E_SIMULATED_ENDPOINT",
            "every endpoint is a likelihood of its own, from which nothing can be drawn.",
            "NPDE and VPC compare measured values; use pkpd.category_vpc or pkpd.event_vpc for the others.",
        )
    scales = Scales(problem)
    values = scales.values(fit.parameter_estimates.to_numpy(float))
    trial = Trial(replace(problem), (values,) * n, seed, True, True, categories=categories)
    tasks = trial.tasks()
    out = run(functools.partial(_values, trial), tasks, executor=executor, label="simulating")
    if out.interrupted:
        raise KeyboardInterrupt
    if out.failures:
        first = out.failures[0]
        raise FitError(
            "E_SIMULATION",
            f"{len(out.failures)} of {n} replicates could not be simulated: {first.reason}",
            "Check the estimates: the model cannot be computed at random effects that they make likely.",
        )
    records = problem.records
    used = (records.used == 1) & drawn
    censored = records.censored
    if np.any(censored[used] < 0):
        raise InputError(
            "E_RIGHT_CENSORED",
            f"{int(np.sum(censored[used] < 0))} values are censored from above.",
            "NPDE and VPC take censoring from below alone: set MDV=1 on those records.",
        )
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(records.offsets))
    frame = fit.data.frame
    observation = frame["EVID"].to_numpy() == 0
    table = pd.DataFrame(
        {
            "ID": problem.subjects[owner],
            "TIME": records.time,
            "DVID": records.endpoint + 1,
            "DV": records.value,
            "PRED": fit.predictions["PRED"].to_numpy(float),
            "TAD": fit.data.time_after_dose()[observation],
        }
    )
    if fit.data.histology is not None:
        table["histology"] = frame[fit.data.histology].to_numpy()[observation]
    below = censored > 0
    limit = np.where(below, records.value, frame["LLOQ"].to_numpy(float)[observation])
    for endpoint in np.unique(records.endpoint):
        here = records.endpoint == endpoint
        if np.any(here & below & used):
            limit[here & np.isnan(limit)] = limit[here & below & used].min()
    simulated = np.array(out.values).reshape(n, len(used))
    return SimulatedRecords(table, owner, below, limit, simulated).where(used)


def _values(trial: Trial, task: Task) -> np.ndarray:
    table, who, _ = simulate_task(trial, task)
    if len(who):
        shown = ", ".join(str(i) for i in who[:5])
        raise FitError("E_PREDICTION", f"replicate {task.replicate + 1}: no prediction for ID {shown}.", "")
    return table["DV"].to_numpy()
