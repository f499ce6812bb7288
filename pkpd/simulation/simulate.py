"""Predict typical profiles at the records of a data set, or simulate subjects under a regimen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model, Problem, Solver, bind
from pkpd.language.scales import Scales, Values, parameter_values
from pkpd.simulation.design import doses_for, records_at
from pkpd.simulation.prediction import predictions, residual_sd
from pkpd.simulation.regimen import Regimen

__all__ = ["predict", "simulate"]

_ETAS, _RESIDUALS, _COVARIATES = 1, 2, 3  # purposes that random streams are keyed by


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
        Population parameters by name; the model's initial values where not given.
    etas : DataFrame, optional
        Etas by ID; zero (the typical subject) by default.
    solver : Solver, optional

    Returns
    -------
    DataFrame
        ID, TIME, DVID, PRED.
    """
    problem = bind(model, data, solver)
    values = parameter_values(Scales(problem), problem, parameters)
    at = np.zeros((problem.n_subjects, problem.n_eta))
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
    _check(problem, status)
    owner = np.repeat(problem.subjects, np.diff(problem.records.offsets))
    return pd.DataFrame(
        {"ID": owner, "TIME": problem.records.time, "DVID": problem.records.endpoint + 1, "PRED": f}
    )


def simulate(
    model: Model,
    regimen_or_data: Regimen | Dataset,
    times: Sequence[float] | None = None,
    n: int | None = None,
    seed: int = 0,
    parameters: Mapping[str, float] | None = None,
    *,
    covariates: pd.DataFrame | None = None,
    solver: Solver | None = None,
) -> pd.DataFrame:
    """Simulate subjects with variability between them and residual error.

    Parameters
    ----------
    model : Model
    regimen_or_data : Regimen or Dataset
        A regimen for ``n`` new subjects sampled at ``times``; or a data set, whose records are simulated once for each subject.
    times : sequence of float
        Sampling times (with a regimen).
    n : int
        Number of subjects (with a regimen); by default one per row of ``covariates``, else 1.
    seed : int
        Random streams are keyed by seed, purpose and subject: a subject's draws do not depend on how many others there are.
    parameters : mapping, optional
        Population parameters by name; the model's initial values where not given.
    covariates : DataFrame, optional
        One row per subject; rows are drawn with replacement where ``n`` differs from their number.
    solver : Solver, optional

    Returns
    -------
    DataFrame
        ID, TIME, DVID, IPRED, DV; the covariates that were given.

    Raises
    ------
    InputError
        ``E_SIMULATE`` for arguments that contradict each other.
    """
    if isinstance(regimen_or_data, Dataset):
        if times is not None or n is not None or covariates is not None:
            raise InputError(
                "E_SIMULATE",
                "times, n and covariates belong to a regimen; a data set brings its own.",
                "Leave them out.",
            )
        data = regimen_or_data
        problem = bind(model, data, solver)
    elif isinstance(regimen_or_data, Regimen):
        if times is None or not len(times):
            raise InputError("E_SIMULATE", "no sampling times were given.", "Give times=[…].")
        pick = _drawn_rows(n, covariates, seed)
        everyone, data = _subjects(None, covariates), _subjects(pick, covariates)
        grid = np.sort(np.asarray(times, dtype=float))
        if not np.all(np.isfinite(grid)) or grid[0] < 0:
            raise InputError("E_SIMULATE", "sampling times must be numbers, not negative.", "Check times=.")
        # levels of factors are those of the whole table, whoever is drawn from it
        problem = bind(model, everyone, solver)
        problem = problem.with_subjects(pick, data.subjects)
        endpoints = np.arange(len(model.observations))
        all_times = np.repeat(grid, len(endpoints))
        problem = problem.with_records(
            doses_for(problem, data, [regimen_or_data] * data.n_subjects),
            records_at(np.tile(all_times, (data.n_subjects, 1)), np.tile(endpoints, len(grid))),
        )
    else:
        raise InputError(
            "E_SIMULATE",
            f"cannot simulate {type(regimen_or_data).__name__}.",
            "Give a pkpd.dose(…) regimen or a Dataset.",
        )
    values = parameter_values(Scales(problem), problem, parameters)
    etas = _draw_etas(problem, values, seed)
    f, _, status = predictions(problem, values, etas)
    _check(problem, status)
    sd = residual_sd(problem, values, f)
    offsets = problem.records.offsets
    noise = np.concatenate(
        [
            _stream(seed, _RESIDUALS, i).standard_normal(offsets[i + 1] - offsets[i])
            for i in range(problem.n_subjects)
        ]
        or [np.zeros(0)]
    )
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(offsets))
    out = pd.DataFrame(
        {
            "ID": problem.subjects[owner],
            "TIME": problem.records.time,
            "DVID": problem.records.endpoint + 1,
            "IPRED": f,
            "DV": f + sd * noise,
        }
    )
    if covariates is not None:
        table = data.frame.iloc[data.offsets[:-1]]
        for column in covariates.columns:
            out[column] = table[column].to_numpy()[owner]
    return out


def _stream(seed: int, purpose: int, subject: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, subject])))


def _draw_etas(problem: Problem, values: Values, seed: int) -> np.ndarray:
    factor = np.linalg.cholesky(values.omega) if problem.n_eta else np.zeros((0, 0))
    draws = [_stream(seed, _ETAS, i).standard_normal(problem.n_eta) for i in range(problem.n_subjects)]
    return np.array(draws).reshape(problem.n_subjects, problem.n_eta) @ factor.T


def _drawn_rows(n: int | None, covariates: pd.DataFrame | None, seed: int) -> np.ndarray:
    """Row of the covariate table (which may be absent) that each simulated subject takes."""
    available = 1 if covariates is None else len(covariates)
    whole = n is None or (not isinstance(n, bool) and isinstance(n, (int, np.integer)))
    count = available if n is None else int(n) if whole else 0
    if count < 1 or available < 1:
        raise InputError(
            "E_SIMULATE",
            f"n={n!r} subjects cannot be simulated from {available} row(s) of covariates.",
            "Give a positive whole number, and at least one row.",
        )
    if count == available:
        return np.arange(count)
    return _stream(seed, _COVARIATES, 0).integers(available, size=count)


def _subjects(rows: np.ndarray | None, covariates: pd.DataFrame | None) -> Dataset:
    """A data set of subjects that only carry covariates: the given rows of the table, all of them by default."""
    if rows is None:
        rows = np.arange(1 if covariates is None else len(covariates))
    count = len(rows)
    frame = pd.DataFrame({"ID": np.arange(1, count + 1), "ROW": np.arange(1, count + 1)})
    for column, value in {
        "TIME": 0.0,
        "EVID": 0,
        "MDV": 1,
        "AMT": 0.0,
        "RATE": 0.0,
        "II": 0.0,
        "ADDL": 0,
        "SS": 0,
        "DVID": 1,
        "DV": np.nan,
    }.items():
        frame[column] = value
    frame["CMT"] = np.full(count, np.nan)
    if covariates is not None:
        taken = covariates.iloc[rows].reset_index(drop=True)
        clash = [c for c in taken.columns if c in frame.columns]
        if clash:
            raise InputError(
                "E_SIMULATE", f"covariate columns {', '.join(clash)} are reserved names.", "Rename them."
            )
        frame = pd.concat([frame, taken], axis=1)
    return Dataset(
        frame=frame,
        subjects=frame["ID"].to_numpy(),
        offsets=np.arange(count + 1, dtype=np.int64),
        covariates=() if covariates is None else tuple(covariates.columns),
        histology=None,
        units={},
        source="covariates",
        sha256="",
    )


def _check(problem: Problem, status: np.ndarray) -> None:
    from pkpd.kernels.status import MESSAGES

    bad = np.flatnonzero(status)
    if len(bad):
        who = ", ".join(str(problem.subjects[i]) for i in bad[:8])
        raise FitError(
            "E_PREDICTION",
            f"no prediction for {len(bad)} subject(s) (ID {who}): {MESSAGES[int(status[bad[0]])]}.",
            "Check parameters and doses.",
        )
