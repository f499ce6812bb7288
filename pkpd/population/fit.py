"""Fit a population model, or evaluate its objective at given parameters."""

from __future__ import annotations

import math
import warnings as python_warnings
from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.language import Model, Problem, bind
from pkpd.language.scales import Scales, Values, parameter_values
from pkpd.population.covariance import covariance_step
from pkpd.population.methods import FOCEI
from pkpd.population.objective import Evaluation, Objective, Point
from pkpd.population.quasi_newton import Search, minimise
from pkpd.population.residuals import residuals, shrinkage
from pkpd.population.result import PopulationFit
from pkpd.results import estimates_table
from pkpd.simulation.prediction import individual_parameters

__all__ = ["evaluate", "fit"]

_LOG_2PI = math.log(2 * math.pi)


def fit(
    model: Model,
    data: Dataset,
    method: FOCEI | None = None,
    *,
    seed: int = 0,
    progress: Callable[[int, float], None] | None = None,
) -> PopulationFit:
    """Fit a population model.

    Parameters
    ----------
    model : Model
        From :func:`pkpd.load_model` or :func:`pkpd.model`; its initial values are where the search starts.
    data : Dataset
        From :func:`pkpd.read_dataset`.
    method : FOCEI, optional
        Settings of the method; FOCEI by default.
    seed : int
        Recorded with the result; FOCEI itself draws no random numbers.
    progress : callable, optional
        Called with (iteration, ofv).

    Returns
    -------
    PopulationFit
        Also when minimisation or covariance step did not succeed: the result says so, and why.

    Raises
    ------
    ModelError
        If the model and the data do not fit together.
    FitError
        ``E_FIT_SUBJECT`` if the objective cannot be computed at the starting values; names the subjects.
    """
    method = method or FOCEI()
    if not isinstance(method, FOCEI):
        raise InputError("E_METHOD", f"method {method!r} is not an estimation method.", "Use pkpd.FOCEI(…).")
    problem = bind(model, data, method.solver)
    if not problem.records.used.any():
        raise FitError(
            "E_NO_OBSERVATIONS", f"{data.source} has no observation that counts.", "Check EVID, MDV and DV."
        )
    scales = Scales(problem)
    objective = Objective(problem, scales)
    start = scales.initial(problem)

    def at(x: np.ndarray, etas: np.ndarray | None) -> Point:
        return objective.at(scales.from_free(x, start), etas)

    x = scales.free_values(start)
    first = objective.at(start)
    if not math.isfinite(first.ofv):
        raise objective.explain(first)
    search = minimise(
        at,
        x,
        etas=first.etas,
        max_iterations=method.max_iterations,
        tolerance=method.tolerance,
        progress=progress,
    )
    search = _from_better_modes(at, search, method, progress)
    step = covariance_step(method.covariance, at, search.x, search.point, scales)
    return _result(problem, scales, method, seed, search, step, data)


def _from_better_modes(
    at: Callable[[np.ndarray, np.ndarray | None], Point],
    search: Search,
    method: FOCEI,
    progress: Callable[[int, float], None] | None,
) -> Search:
    """Search once more if some subject has a better mode than the one followed from iteration to iteration."""
    if not math.isfinite(search.point.ofv):
        return search
    anew = at(search.x, None)
    if not math.isfinite(anew.ofv) or search.point.ofv - anew.ofv < 1e-6 or method.max_iterations == 0:
        return search
    again = minimise(
        at,
        search.x,
        etas=anew.etas,
        max_iterations=method.max_iterations,
        tolerance=method.tolerance,
        progress=progress,
    )
    return again if again.point.ofv < search.point.ofv else search


def _result(
    problem: Problem, scales: Scales, method: FOCEI, seed: int, search: Search, step, data: Dataset
) -> PopulationFit:
    point, model = search.point, problem.model
    values, names = point.values, scales.names
    ids = pd.Index(problem.subjects, name="ID")
    etas = [e.name for e in model.etas]
    estimates = pd.Series(scales.natural(values), index=names)
    covariance = np.full((len(names), len(names)), np.nan) if step.matrix is None else step.matrix
    se = pd.Series(np.where(scales.fixed, np.nan, np.sqrt(np.maximum(np.diag(covariance), 0))), index=names)
    table = estimates_table(
        estimates,
        se,
        units=dict(zip(names, scales.units, strict=True)),
        scales=dict(zip(names, scales.scales, strict=True)),
        fixed=dict(zip(names, scales.fixed, strict=True)),
    )
    predicted, residual = residuals(problem, values, point.etas)
    eta_shrinkage, eps_shrinkage = shrinkage(values, point.etas, residual["IWRES"].to_numpy(), etas)
    notes = [*step.warnings, *_notes(scales, values, eta_shrinkage)]
    if not search.converged:
        notes.insert(0, f"W_NOT_CONVERGED: {search.cause}.")
    for note in notes:
        python_warnings.warn(note, PkpdWarning, stacklevel=3)
    n = int(problem.records.used.sum())
    return PopulationFit(
        model=model,
        data=data,
        method=method,
        seed=seed,
        ofv=point.ofv,
        minus2ll=point.ofv + n * _LOG_2PI,
        n_subjects=problem.n_subjects,
        n_observations=n,
        parameters=table,
        covariance_matrix=pd.DataFrame(covariance, index=names, columns=names),
        omega=pd.DataFrame(values.omega, index=etas, columns=etas),
        individual_estimates=pd.DataFrame(point.etas, index=ids, columns=etas),
        individual_parameters=individual_parameters(problem, values, point.etas),
        individual_ofv=pd.Series(point.individual, index=ids, name="OFV"),
        predictions=predicted,
        residuals=residual,
        eta_shrinkage=eta_shrinkage,
        eps_shrinkage=eps_shrinkage,
        condition_number=step.condition_number,
        minimization_successful=search.converged,
        covariance_status=step.status,
        termination_cause=search.cause,
        iterations=pd.DataFrame(list(search.history), columns=["iteration", "ofv", "gradient"]),
        warnings=tuple(notes),
        problem=problem,
    )


def _notes(scales: Scales, values: Values, eta_shrinkage: pd.Series) -> list[str]:
    notes = []
    for name, value in eta_shrinkage.items():
        if value > 0.25:
            notes.append(
                f"W_SHRINKAGE_HIGH: eta {name} has {100 * value:.0f} % shrinkage; plots and regressions on its individual "
                "estimates are unreliable."
            )
    for theta, value in zip(scales.thetas, values.theta, strict=True):
        span = theta.upper - theta.lower
        for bound in (theta.lower, theta.upper):
            near = 1e-4 * span if math.isfinite(span) else 1e-6 * max(abs(theta.initial - bound), 1e-300)
            if not theta.fixed and math.isfinite(bound) and abs(value - bound) < near:
                notes.append(f"W_BOUND: theta {theta.name} = {value:.4g} lies at its bound {bound:g}.")
    for i, row in enumerate(values.omega):
        if values.omega[i, i] < 1e-6:
            notes.append(
                f"W_OMEGA_ZERO: the variance of eta {i + 1} is practically zero ({row[i]:.1e}); consider leaving it out."
            )
    return notes


def evaluate(
    model: Model, data: Dataset, parameters: Mapping[str, float] | None = None, method: FOCEI | None = None
) -> Evaluation:
    """Objective, gradient and empirical Bayes estimates at fixed population parameters.

    Parameters
    ----------
    model : Model
    data : Dataset
    parameters : mapping, optional
        Natural parameters by name (``CL``, ``OMEGA(CL,CL)``, ``SD(ADD)``); the model's initial values where not given.
    method : FOCEI, optional

    Raises
    ------
    InputError
        ``E_PARAMETER_NAME`` for an unknown name, ``E_PARAMETER_VALUE`` for an impossible value.
    FitError
        ``E_FIT_SUBJECT`` if the objective cannot be computed.
    """
    method = method or FOCEI()
    problem = bind(model, data, method.solver)
    scales = Scales(problem)
    values = parameter_values(scales, problem, parameters)
    objective = Objective(problem, scales)
    point = objective.at(values)
    if not math.isfinite(point.ofv) or point.natural is None:
        raise objective.explain(point)
    ids = pd.Index(problem.subjects, name="ID")
    return Evaluation(
        ofv=point.ofv,
        minus2ll=point.ofv + objective.n_observations * _LOG_2PI,
        gradient=pd.Series(point.natural, index=scales.names),
        individual_ofv=pd.Series(point.individual, index=ids, name="OFV"),
        individual_estimates=pd.DataFrame(
            point.etas, index=ids, columns=[e.name for e in problem.model.etas]
        ),
    )
