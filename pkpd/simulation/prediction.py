"""Predictions and individual parameters of a bound problem at given etas."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from pkpd.language import Problem
from pkpd.language.scales import Values
from pkpd.simulation.retries import LOOSER, looser

__all__ = ["individual_parameters", "predictions", "residual_correlation", "residual_sd", "with_error"]


def predictions(
    problem: Problem, values: Values, etas: np.ndarray, *, order: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Outputs at every record.

    Parameters
    ----------
    etas : (N, E) array
    order : int
        1 to get derivatives to the etas too.

    Returns
    -------
    f (O,), f_eta (O, E) or with order 0 (0, E), status (N,)
        A positive status is a failure; with order 0 a negative one says that the equations were solved at a second attempt
        (:func:`pkpd.simulation.retries.retries`).
    """
    from pkpd.kernels.status import STEP_TOO_SMALL, TOO_MANY_STEPS

    f, f_eta, status = _predicted(problem, values, etas, order)
    stuck = np.isin(status, (STEP_TOO_SMALL, TOO_MANY_STEPS))
    if order == 0 and stuck.any():
        found, _, second = _predicted(looser(problem), values, etas, 0)
        saved = stuck & (second == 0)
        status[saved] = LOOSER
        rows = np.repeat(saved, np.diff(problem.records.offsets))
        f[rows] = found[rows]
    return f, f_eta, status


def _predicted(
    problem: Problem, values: Values, etas: np.ndarray, order: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from pkpd.kernels.prediction import predict_all

    count = len(problem.records.time)
    f, f_eta = np.full(count, np.nan), np.zeros((count if order else 0, problem.n_eta))
    status = np.zeros(problem.n_subjects, dtype=np.int64)
    *functions, system = problem.compiled
    if order == 0 and system.settings[3] == 0.0:
        system.settings[3] = 2.0  # tell who needed the second method
    predict_all(
        order,
        np.array(etas, dtype=float, order="C"),  # a copy: pandas hands out read-only arrays
        values.theta,
        *functions,
        system,
        problem.subject_data,
        f,
        f_eta,
        status,
    )
    return f, f_eta, status


def individual_parameters(problem: Problem, values: Values, etas: np.ndarray) -> pd.DataFrame:
    """Individual parameters (and derived quantities) by ID."""
    from pkpd.kernels.prediction import individual_parameters as fill

    names = [p.name for p in (*problem.model.parameters, *problem.model.derived)]
    out = np.zeros((problem.n_subjects, len(names)))
    fill(
        np.array(etas, dtype=float, order="C"),
        values.theta,
        problem.covariates,
        problem.functions["individual"],
        out,
    )
    return pd.DataFrame(out, columns=names, index=pd.Index(problem.subjects, name="ID"))


def residual_sd(problem: Problem, values: Values, f: np.ndarray) -> np.ndarray:
    """Residual standard deviation of each record at prediction ``f`` (O,): of the logarithm where the error is log-normal."""
    sd = np.append(values.sigma, 0.0)  # position -1 reads the zero
    parts = problem.residual[problem.records.endpoint]
    exponent = np.append(values.sigma, 1.0)[parts[:, 2]]
    additive, proportional = sd[parts[:, 0]], sd[parts[:, 1]] * np.abs(f) ** exponent
    return np.where(parts[:, 3] == 1, additive + proportional, np.hypot(additive, proportional))


def residual_correlation(problem: Problem, values: Values, rows: np.ndarray) -> np.ndarray:
    """Correlation (n, n) of the residual errors of the records ``rows``, which belong to one subject."""
    out = np.eye(len(rows))
    if problem.correlated:
        from pkpd.kernels.correlation import fill_correlation

        r = problem.records
        fill_correlation(
            np.arange(len(rows)), r.time[rows], r.endpoint[rows], problem.residual, values.sigma, out
        )
    return out


def with_error(problem: Problem, values: Values, f: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Observations at prediction ``f`` (O,) whose residual errors are made of ``noise`` (O,), independent standard normal.

    NaN for endpoints that are likelihoods of their own: an expression of a likelihood draws nothing.
    """
    error = residual_sd(problem, values, f) * _correlated(problem, values, noise)
    log_normal = problem.residual[problem.records.endpoint, 4] == 1
    y = np.where(log_normal, f * np.exp(np.where(log_normal, error, 0.0)), f + error)
    direct = np.array([o.likelihood for o in problem.model.observations])[problem.records.endpoint]
    return np.where(direct, np.nan, y)


def _correlated(problem: Problem, values: Values, noise: np.ndarray) -> np.ndarray:
    if not problem.correlated:
        return noise
    out = noise.copy()
    for a, b in pairwise(problem.records.offsets):
        factor = np.linalg.cholesky(residual_correlation(problem, values, np.arange(a, b)))
        out[a:b] = factor @ noise[a:b]
    return out
