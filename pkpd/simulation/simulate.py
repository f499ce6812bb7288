"""Predict typical profiles at the records of a data set, or simulate subjects under a regimen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model, Problem, Solver, bind
from pkpd.language.scales import Scales, Values, named_values, parameter_values
from pkpd.parallel import Progress, checked_seed, run
from pkpd.simulation.categories import checked_categories
from pkpd.simulation.parquet import write_parquet
from pkpd.simulation.prediction import predictions
from pkpd.simulation.regimen import Regimen
from pkpd.simulation.retries import warn_of_retries
from pkpd.simulation.subjects import carriers, subject_count
from pkpd.simulation.trial import Trial, simulate_task

__all__ = ["predict", "simulate"]

_WAVE = 16  # tasks that may be under way at once, so that their rows never fill the memory


def predict(
    model: Model,
    data: Dataset,
    parameters: Mapping[str, float] | None = None,
    etas: pd.DataFrame | None = None,
    *,
    solver: Solver | None = None,
) -> pd.DataFrame:
    """Predictions at the observation records of a data set.

    Parameters
    ----------
    model : Model
    data : Dataset
    parameters : mapping, optional
        Population parameters by name; the model's initial values where not given. Effects of levels that no subject has are
        left aside.
    etas : DataFrame, optional
        Etas by ID; zero (the typical subject) by default.
    solver : Solver, optional

    Returns
    -------
    DataFrame
        ID, TIME, DVID, PRED.
    """
    problem = bind(model, data, solver, partial=True)
    values = parameter_values(Scales(problem), problem, parameters, partial=True)
    at = np.zeros((problem.n_subjects, problem.n_eta))
    if etas is not None and not isinstance(etas, pd.DataFrame):
        raise InputError(
            "E_ETAS", f"etas are {type(etas).__name__}, not a DataFrame.", "Give one column per eta, by ID."
        )
    if etas is not None:
        names = [e.name for e in problem.etas]
        missing = [n for n in names if n not in etas.columns]
        unknown = [s for s in problem.subjects if s not in etas.index]
        foreign = [c for c in etas.columns if c not in names]
        if missing or unknown or foreign or not etas.index.is_unique:
            wrong = (
                f"lack {', '.join(map(str, (missing + unknown)[:5]))}"
                if missing or unknown
                else "repeat an ID"
            )
            if foreign:
                wrong = f"have a column {foreign[0]!r}, which is no eta of {model.name}"
            raise InputError("E_ETAS", f"etas {wrong}.", "Give one column per eta and one row per ID.")
        at = etas.loc[problem.subjects, names].to_numpy(float)
        if not np.all(np.isfinite(at)):
            who = problem.subjects[np.flatnonzero(~np.isfinite(at).all(axis=1))[0]]
            raise InputError("E_ETAS", f"an eta of ID {who} is not a finite number.", "Give numbers.")
    f, _, status = predictions(problem, values, at)
    _check(problem.subjects, status)
    warn_of_retries(problem.subjects, status)
    owner = np.repeat(problem.subjects, np.diff(problem.records.offsets))
    return pd.DataFrame(
        {"ID": owner, "TIME": problem.records.time, "DVID": problem.records.endpoint + 1, "PRED": f}
    )


def simulate(
    model: Model,
    regimen_or_data: Regimen | Mapping[str, Regimen] | Dataset,
    times: Sequence[float] | None = None,
    n: int | None = None,
    seed: int = 0,
    parameters: Mapping[str, float] | None = None,
    uncertainty: Any = None,
    *,
    replicates: int | None = None,
    residual_error: bool = True,
    covariates: pd.DataFrame | None = None,
    categories: Mapping[str, Sequence[float]] | None = None,
    solver: Solver | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    path: str | os.PathLike[str] | None = None,
) -> pd.DataFrame | Path:
    """Simulate subjects with variability between them, residual error, and the uncertainty of the parameters.

    Parameters
    ----------
    model : Model
    regimen_or_data : Regimen, mapping of str to Regimen, or Dataset
        A regimen for ``n`` new subjects sampled at ``times``; one by arm, each for ``n`` subjects of its own (column ARM);
        or a data set, whose records are simulated.
    times : sequence of float
        Sampling times (with a regimen). A sample at the time of a dose is taken before it.
    n : int
        Number of subjects (of each arm); by default one per row of ``covariates``, else 1.
    seed : int
        Random numbers are keyed by seed, purpose, replicate and subject (counter-based, Salmon et al., SC11 2011): a
        subject's draws do not depend on how many others there are, nor on where and in which order they are computed.
    parameters : mapping, optional
        Population parameters by name; the model's initial values where not given. Effects of levels that no subject has are
        left aside: the estimates of a fit serve for one tumour type as well.
    uncertainty : optional
        What offers ``draw(n, seed)``, a DataFrame with one row per draw and columns named as parameters: each replicate takes
        its own set; parameters that are not among the columns stay as they are.
    replicates : int, optional
        How often the whole is simulated (column REP); once without it.
    residual_error : bool
        Whether observations (column DV) are drawn.
    covariates : DataFrame, optional
        One row per subject; rows are drawn with replacement where ``n`` differs from their number.
    categories : mapping of str to sequence of float, optional
        The values that an endpoint with a likelihood of its own can take (``{"response": [0, 1]}``, of a count
        ``range(200)``): its probabilities over them must add up to 1.
    solver : Solver, optional
    executor : Executor, or callable that makes one, optional
        Where tasks run: see :func:`pkpd.parallel.run`.
    path : path, optional
        Write a Parquet file there, task by task, instead of returning a table: a million subjects need no more memory than
        a few tasks.

    Returns
    -------
    DataFrame
        [REP,] ID, [ARM,] TIME, DVID, IPRED (NaN for likelihoods), [DV,] and the covariates that were given; or ``path``.

    Raises
    ------
    InputError
        ``E_SIMULATE`` for arguments that contradict each other, ``E_ARGUMENT`` for a seed that is none, ``E_UNCERTAINTY`` for
        draws that are no parameters, ``E_SIMULATE_LIKELIHOOD`` for endpoints with a likelihood of their own whose values are not
        known, and hazards.
    FitError
        ``E_PREDICTION`` if a subject cannot be computed, ``E_TASKS_FAILED`` if a worker was lost.
    """
    seed = checked_seed(seed)
    count = _replicates(replicates, uncertainty)
    if isinstance(regimen_or_data, Dataset):
        if times is not None or n is not None or covariates is not None:
            raise InputError(
                "E_SIMULATE",
                "times, n and covariates belong to a regimen; a data set brings its own.",
                "Leave them out; for several copies of the data set give replicates=.",
            )
        problem = bind(model, regimen_or_data, solver, partial=True)
        about: dict[str, Any] = {}
    else:
        arms = _arms(regimen_or_data)
        try:
            grid = np.sort(np.atleast_1d(np.asarray([] if times is None else times, dtype=float)).ravel())
        except (TypeError, ValueError):
            grid = np.array([np.nan])
        if not len(grid):
            raise InputError("E_SIMULATE", "no sampling times were given.", "Give times=[…].")
        if not np.all(np.isfinite(grid)) or grid[0] < 0:
            raise InputError("E_SIMULATE", "sampling times must be numbers, not negative.", "Check times=.")
        if covariates is not None and not isinstance(covariates, pd.DataFrame):
            raise InputError(
                "E_SIMULATE",
                f"covariates are {type(covariates).__name__}, not a DataFrame.",
                "Give a table with one row per subject.",
            )
        size = subject_count(n, covariates)
        # levels of factors are those of the whole table, whoever is drawn from it
        problem = bind(model, carriers(covariates), solver, partial=True)
        about = {"covariates": covariates, "arms": arms, "n": size, "grid": grid}
    if residual_error:
        about["categories"] = checked_categories(problem, categories)
    elif categories is not None:
        raise InputError("E_SIMULATE", "categories= have no effect without observations.", "Leave them out.")
    values = _values(problem, parameters, uncertainty, count, seed)
    trial = Trial(problem, values, seed, replicates is not None, residual_error, **about)
    chunks = _computed(trial, executor)
    if path is not None:
        return write_parquet(chunks, path)
    tables = list(chunks)
    return tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True)


def _replicates(replicates: Any, uncertainty: Any) -> int:
    if replicates is None:
        if uncertainty is not None:
            raise InputError(
                "E_SIMULATE",
                "uncertainty draws one set of parameters per replicate, but no number of replicates is given.",
                "Give replicates=200, for instance.",
            )
        return 1
    if isinstance(replicates, bool) or not isinstance(replicates, (int, np.integer)) or replicates < 1:
        raise InputError(
            "E_SIMULATE",
            f"replicates={replicates!r} is not a positive whole number.",
            "Give e.g. replicates=200.",
        )
    return int(replicates)


def _arms(given: Any) -> tuple[tuple[str | None, Regimen], ...]:
    arms = tuple(given.items()) if isinstance(given, Mapping) else ((None, given),)
    for name, regimen in arms:
        if not isinstance(regimen, Regimen):
            raise InputError(
                "E_SIMULATE",
                f"cannot simulate {type(regimen).__name__}{'' if name is None else f' (arm {name})'}.",
                "Give a pkpd.dose(…) regimen, a mapping of arms to regimens, or a Dataset.",
            )
    if not arms:
        raise InputError("E_SIMULATE", "there is no arm.", 'Give {"2 mg": pkpd.dose(2), …}.')
    return tuple((None if name is None else str(name), regimen) for name, regimen in arms)


def _values(
    problem: Problem, parameters: Mapping[str, float] | None, uncertainty: Any, count: int, seed: int
) -> tuple[Values, ...]:
    """Population parameters of each replicate."""
    scales = Scales(problem)
    if uncertainty is None:
        return (parameter_values(scales, problem, parameters, partial=True),) * count
    if not callable(getattr(uncertainty, "draw", None)):
        raise InputError(
            "E_UNCERTAINTY",
            f"{type(uncertainty).__name__} draws no parameters.",
            "Give what has draw(n, seed), such as a fit with a covariance or a bootstrap.",
        )
    draws = uncertainty.draw(count, seed)
    if not isinstance(draws, pd.DataFrame) or len(draws) != count:
        raise InputError(
            "E_UNCERTAINTY",
            f"draw({count}, seed) did not return a DataFrame of {count} rows.",
            "One row per draw, one column per parameter.",
        )
    base = named_values(parameters)
    twice = [name for name in draws.columns if name in base]
    if twice:
        raise InputError(
            "E_UNCERTAINTY",
            f"{', '.join(map(str, twice))} are given by parameters= and drawn by uncertainty=.",
            "Leave one of them out.",
        )
    rows = [{str(name): value for name, value in row.items()} for row in draws.to_dict(orient="records")]
    return tuple(parameter_values(scales, problem, base | row, partial=True) for row in rows)


def _computed(trial: Trial, executor: Any) -> Iterator[pd.DataFrame]:
    """Tables of all tasks in order, a few at a time."""
    tasks = trial.tasks()
    # compiled functions stay here; each worker loads its own
    work = partial(simulate_task, replace(trial, problem=replace(trial.problem)) if executor else trial)
    wave, notable = _WAVE if executor else 1, []
    with Progress("simulating" if len(tasks) > 1 else "", len(tasks)) as line:
        for begin in range(0, len(tasks), wave):
            if executor is None:
                results = [work(tasks[begin])]
            else:
                outcomes = run(work, tasks[begin : begin + wave], executor=executor)
                if outcomes.interrupted:
                    raise KeyboardInterrupt
                if outcomes.failures:
                    lost = outcomes.failures[0]
                    raise FitError(
                        "E_TASKS_FAILED",
                        f"{len(outcomes.failures)} task(s) have no result: {lost.reason}",
                        "Run again, with fewer workers if memory was short.",
                    )
                results = list(outcomes.values)
            for table, who, status in results:
                _check(who, status)
                notable.append((who, status))
                line.advance()
                yield table
    who, status = (np.concatenate(parts) for parts in zip(*notable, strict=True))
    warn_of_retries(who, status, stacklevel=4)


def _check(subjects: np.ndarray, status: np.ndarray) -> None:
    from pkpd.kernels.status import MESSAGES

    who, status = subjects[status > 0], status[status > 0]
    if len(who):
        shown = ", ".join(str(i) for i in who[:8])
        raise FitError(
            "E_PREDICTION",
            f"no prediction for {len(who)} subject(s) (ID {shown}): {MESSAGES[int(status[0])]}.",
            "Check parameters and doses.",
        )
