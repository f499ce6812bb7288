"""From where a search ended to a :class:`PopulationFit`: tables, residuals, and what a reader must be warned of."""

from __future__ import annotations

import contextlib
import math
import warnings as python_warnings
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import PkpdWarning
from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.population.covariance import CovarianceStep
from pkpd.population.methods import FOCEI
from pkpd.population.objective import Objective, Point
from pkpd.population.quasi_newton import Search
from pkpd.population.residuals import residuals, shrinkage
from pkpd.population.result import PopulationFit
from pkpd.population.sampled import SampledFit
from pkpd.results import estimates_table
from pkpd.simulation.prediction import individual_parameters, predictions
from pkpd.simulation.retries import retries

__all__ = ["outcome"]


def outcome(
    objective: Objective,
    seed: int,
    search: Search,
    step: CovarianceStep,
    data: Dataset,
    sampled: SampledFit | None = None,
    *,
    method: Any = None,
    notes: tuple[str, ...] = (),
) -> PopulationFit:
    """Put together what a fit reports, and warn.

    Parameters
    ----------
    objective : Objective
        That gave the modes.
    seed : int
    search : Search
        Where it ended; ``search.point`` has the likelihood of each subject and the modes.
    step : CovarianceStep
    data : Dataset
    sampled : SampledFit, optional
        Of a method that samples.
    method : optional
        Where it is not that of the objective.
    notes : tuple of str
        Further warnings.
    """
    problem, scales = objective.problem, objective.scales
    method = method or (objective.method if sampled is None else sampled.method)
    point, model = search.point, problem.model
    values, names = point.values, scales.names
    ids = pd.Index(problem.subjects, name="ID")
    etas = [e.name for e in problem.etas]
    estimates = pd.Series(scales.natural(values), index=names)
    covariance = np.full((len(names), len(names)), np.nan) if step.matrix is None else step.matrix
    variance = np.diag(covariance)
    # an estimate without any variance is one whose error is not known, not one without error
    known = ~scales.fixed & (variance > 0)
    se = pd.Series(np.sqrt(np.where(known, variance, np.nan)), index=names)
    table = estimates_table(
        estimates,
        se,
        units=dict(zip(names, scales.units, strict=True)),
        scales=dict(zip(names, scales.scales, strict=True)),
        fixed=dict(zip(names, scales.fixed, strict=True)),
    )
    modes = _modes(objective, point)
    predicted, residual = residuals(problem, values, modes)
    eta_shrinkage, eps_shrinkage = shrinkage(problem, values, modes, residual["IWRES"].to_numpy())
    told = [
        *_censoring(problem, method),
        *(() if method is not objective.method else _edges(problem, point)),
        *step.warnings,
        *(() if sampled is None else sampled.notes),
        *notes,
        *_notes(scales, values, eta_shrinkage),
        *_small_groups(problem, step),
        *_retried(problem, values, modes),
    ]
    if not search.converged:
        told.insert(0, f"W_NOT_CONVERGED: {search.cause}.")
    for note in told:
        python_warnings.warn(note, PkpdWarning, stacklevel=3)
    return PopulationFit(
        model=model,
        data=data,
        method=method,
        seed=seed,
        ofv=point.ofv,
        minus2ll=point.ofv - point.prior + objective.constant,
        n_subjects=problem.n_subjects,
        n_observations=int((objective.observed.kind > 0).sum()),
        parameters=table,
        covariance_matrix=pd.DataFrame(covariance, index=names, columns=names),
        omega=pd.DataFrame(values.omega, index=etas, columns=etas),
        individual_estimates=pd.DataFrame(modes, index=ids, columns=etas),
        individual_parameters=individual_parameters(problem, values, modes),
        individual_ofv=pd.Series(point.individual, index=ids, name="OFV"),
        predictions=predicted,
        residuals=residual,
        eta_shrinkage=eta_shrinkage,
        eps_shrinkage=eps_shrinkage,
        condition_number=step.condition_number,
        minimization_successful=search.converged,
        covariance_status=step.status,
        termination_cause=search.cause,
        iterations=pd.DataFrame(list(search.history), columns=["iteration", "ofv", "gradient"])
        if sampled is None
        else sampled.iterations,
        warnings=tuple(told),
        problem=problem,
        individual_estimates_covariance=_posterior(point.precision, ids, etas),
        conditional_means=None if sampled is None else sampled.means,
        conditional_sds=None if sampled is None else sampled.sds,
    )


def _retried(problem: Problem, values: Values, modes: np.ndarray) -> list[str]:
    """Whose equations the explicit method could not solve at the estimates."""
    if problem.structure.linear:
        return []
    text = retries(problem.subjects, predictions(problem, values, modes)[2])
    return [] if text is None else [text]


def _posterior(precision: np.ndarray, ids: pd.Index, etas: list[str]) -> pd.DataFrame:
    """Covariance of each subject's etas from its precision (N, E, E); NaN where that is singular."""
    try:
        covariance = np.linalg.inv(precision)
    except np.linalg.LinAlgError:
        covariance = np.full(precision.shape, np.nan)
        for i, h in enumerate(precision):
            with contextlib.suppress(np.linalg.LinAlgError):
                covariance[i] = np.linalg.inv(h)
    # the product of both, without the search for repeated values, which takes longer than everything else here
    codes = np.repeat(np.arange(len(ids)), len(etas)), np.tile(np.arange(len(etas)), len(ids))
    index = pd.MultiIndex(levels=[list(ids), etas], codes=[list(c) for c in codes], names=["ID", "eta"])
    return pd.DataFrame(covariance.reshape(len(index), len(etas)), index=index, columns=etas)


def _modes(objective: Objective, point: Point) -> np.ndarray:
    """Conditional modes; those of FO's fit are found once at the end, as NONMEM's POSTHOC does, with interaction."""
    if objective.method.kind != "FO":
        return point.etas
    problem, scales = objective.problem, objective.scales
    posthoc = Objective(problem, scales, FOCEI(blq=objective.method.blq))
    return posthoc.at(point.values, None, gradient=False).etas


def _censoring(problem: Problem, method: Any) -> list[str]:
    """Say how censored records entered."""
    count = int((problem.records.censored != 0).sum())
    if not count:
        return []
    if method.blq == "M1":
        return [f"W_CENSORED_LEFT_OUT: M1 leaves out {count} censored records."]
    if method.kind not in ("FO", "FOCE", "FOCEI"):
        return []
    return [
        f"W_CENSORED_FIRST_ORDER: {count} censored records enter by {method.blq}; {method.kind} takes their "
        "curvature at constant residual variance, without the second derivatives of the prediction."
    ]


def _edges(problem: Problem, point: Point) -> list[str]:
    """Name the subjects whose mode lies where the likelihood has an edge."""
    who = [str(problem.subjects[i]) for i in np.flatnonzero(point.edges)]
    if not who:
        return []
    return [
        f"W_MODE_EDGE: for {len(who)} of {problem.n_subjects} subjects (ID {', '.join(who[:8])}{' …' if len(who) > 8 else ''}) "
        "the conditional mode lies where a dose begins or ends at the very time of a record, as a lag or a duration decides. "
        "Their likelihood has an edge there, which an approximation about the mode describes less well: compare the estimates "
        "with SAEM or IMP."
    ]


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
            near = 1e-4 * (span if math.isfinite(span) else abs(theta.initial - bound))
            if not theta.fixed and math.isfinite(bound) and abs(value - bound) < near:
                notes.append(f"W_BOUND: theta {theta.name} = {value:.4g} lies at its bound {bound:g}.")
    variances = [values.omega[first + i, first + i] for first, size, *_ in scales.blocks for i in range(size)]
    for name, variance in zip(eta_shrinkage.index, variances, strict=True):
        if variance < 1e-6:
            notes.append(
                f"W_OMEGA_ZERO: the variance of eta {name} is practically zero ({variance:.1e}); consider leaving it out."
            )
    return notes


def _small_groups(problem: Problem, step: CovarianceStep) -> list[str]:
    """Name the factor effects whose sandwich standard error is too small because few subjects carry them.

    S estimates the variance of a group's mean score from the group itself: one subject, whose score is zero at the
    optimum, would get a standard error of zero (MacKinnon & White, J Econom 1985;29:305-325).
    """
    if step.matrix is None or "S" not in step.status:
        return []
    effects = [t.name for t in problem.thetas[len(problem.model.thetas) :]]
    few = [f"{name} ({n})" for name, n in zip(effects, problem.level_sizes, strict=True) if n < 10]
    if not few:
        return []
    return [
        f"W_COVARIANCE_SMALL_GROUP: the standard errors of {', '.join(few)} rest on fewer than 10 subjects and are too small "
        'by the sandwich; use covariance="R" for them.'
    ]
