"""From where a sampling method ended to what a fit reports: likelihood, covariance, modes, posterior means."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.population.checkpoint import Checkpoint
from pkpd.population.covariance import CovarianceStep, covariance_step
from pkpd.population.importance import IMP, Weighted, fit_importance, unreliable, weighted_draws
from pkpd.population.information import louis
from pkpd.population.methods import mode_method
from pkpd.population.objective import Objective, Point
from pkpd.population.quasi_newton import Search
from pkpd.population.saem import SAEM, Sampled, fit_saem

__all__ = ["SampledFit", "sampled_fit"]


@dataclass(frozen=True)
class SampledFit:
    """What :func:`pkpd.fit` needs of a sampling method.

    Attributes
    ----------
    method : SAEM or IMP
    objective : Objective
        Of the approximation that gives modes, and the likelihood by linearisation.
    search : Search
        ``search.point`` has the likelihood and the modes.
    step : CovarianceStep
    iterations : DataFrame
        Natural parameters after each iteration.
    notes : tuple of str
    means, sds : DataFrame
        Posterior means and standard deviations of the random effects by ID.
    interrupted : bool
        Whether Ctrl-C ended it: parameters are the last ones, the likelihood is by linearisation, and there is no covariance.
    """

    method: SAEM | IMP
    objective: Objective
    search: Search
    step: CovarianceStep
    iterations: pd.DataFrame
    notes: tuple[str, ...]
    means: pd.DataFrame
    sds: pd.DataFrame
    interrupted: bool = False


def sampled_fit(
    problem: Problem,
    scales: Scales,
    method: SAEM | IMP,
    start: Values,
    seed: int,
    progress: Callable[[int, float], None] | None,
    checkpoint: Checkpoint,
) -> SampledFit:
    """Estimate by SAEM or IMP and work out what is reported; Ctrl-C gives what there is so far.

    Raises
    ------
    InputError
        ``E_METHOD_NO_ETA`` for a model without random effects.
    FitError
        ``E_FIT_SUBJECT``, ``E_MU_COLLINEAR``, ``E_FIT_DIVERGED``.
    """
    objective = Objective(problem, scales, mode_method(problem, method.blq))
    if isinstance(method, SAEM):
        ended = fit_saem(problem, scales, method, start, seed, progress, checkpoint)
        samples = method.samples
    else:
        first = objective.at(start, gradient=False)
        if not np.all(np.isfinite(first.individual)):
            raise objective.explain(first)
        ended = fit_importance(
            problem, scales, method, start, seed, progress, centres=first.etas, covers=np.linalg.inv(first.precision),
            checkpoint=checkpoint,
        )  # fmt: skip
        samples = 10 * method.samples
    if ended.interrupted:
        return _stopped(method, objective, ended)
    try:
        return _reported(method, objective, ended, samples, seed)
    except KeyboardInterrupt:
        cause = f"{ended.cause}; interrupted before the covariance step"
        return _stopped(method, objective, replace(ended, cause=cause, converged=False))


def _stopped(method: SAEM | IMP, objective: Objective, ended: Sampled) -> SampledFit:
    """Report what an interrupted run has."""
    point = objective.at(ended.values, ended.centres, gradient=False)
    step = CovarianceStep(None, "not reached: interrupted", math.nan, ())
    variances = np.einsum("iaa->ia", ended.covers)
    return _table(method, objective, ended, point, step, (), ended.centres, variances, interrupted=True)


def _reported(
    method: SAEM | IMP, objective: Objective, ended: Sampled, samples: int, seed: int
) -> SampledFit:
    """Likelihood by importance sampling, covariance and modes at the estimates."""
    problem, values = objective.problem, ended.values
    weighted = weighted_draws(problem, objective.observed, values, ended.centres, ended.covers, samples, seed)
    mode = objective.at(values, weighted.means, gradient=False)
    step = _covariance(method, objective, ended, weighted, mode, seed)
    linear = getattr(method, "likelihood", "importance") == "linearisation"
    individual = mode.individual if linear else weighted.individual
    notes = [] if linear else unreliable(problem, weighted)
    failed = np.flatnonzero(mode.status != 0)
    if len(failed):
        who = ", ".join(str(problem.subjects[i]) for i in failed[:8])
        notes.append(f"W_MODE: no conditional mode was found for ID {who}; their posterior mean stands in.")
    etas = np.where((mode.status == 0)[:, None], mode.etas, weighted.means)
    point = Point(values, etas, individual, None, None, mode.precision, mode.status, mode.edges)
    variances = np.einsum("iaa->ia", weighted.covariances)
    return _table(method, objective, ended, point, step, tuple(notes), weighted.means, variances)


def _table(
    method: SAEM | IMP,
    objective: Objective,
    ended: Sampled,
    point: Point,
    step: CovarianceStep,
    notes: tuple[str, ...],
    means: np.ndarray,
    variances: np.ndarray,
    *,
    interrupted: bool = False,
) -> SampledFit:
    problem, scales = objective.problem, objective.scales
    ids = pd.Index(problem.subjects, name="ID")
    names = [e.name for e in problem.etas]
    iterations = pd.DataFrame(ended.history, columns=scales.names)
    iterations.insert(0, "iteration", np.arange(1, len(iterations) + 1))
    return SampledFit(
        method=method,
        objective=objective,
        search=Search(
            scales.free_values(ended.values),
            point,
            ended.converged,
            f"{ended.cause}; {ended.complete.describe(scales)}",
            (),
        ),
        step=step,
        iterations=iterations,
        notes=notes,
        means=pd.DataFrame(means, index=ids, columns=names),
        sds=pd.DataFrame(np.sqrt(variances), index=ids, columns=names),
        interrupted=interrupted,
    )


def _covariance(
    method: SAEM | IMP, objective: Objective, ended: Sampled, weighted: Weighted, mode: Point, seed: int
) -> CovarianceStep:
    problem, scales, values = objective.problem, objective.scales, ended.values
    status = None
    if method.covariance == "louis":
        step = louis(
            problem, scales, objective.observed, ended.complete, values, weighted, seed, method.samples
        )
        if isinstance(step, CovarianceStep):
            return step
        status = f"R⁻¹ of {objective.method.kind}'s approximation ({step})"
    x = scales.free_values(values)
    if method.covariance is None or not len(x):
        return covariance_step(None if len(x) else "R", _unused, x, mode, scales)

    def at(y: np.ndarray, etas: Point | np.ndarray | None) -> Point:
        return objective.at(scales.from_free(y, values), etas)

    step = covariance_step("R", at, x, at(x, mode.etas), scales)
    return replace(step, status=status) if status and step.status == "R⁻¹" else step


def _unused(x: np.ndarray, etas: Point | np.ndarray | None) -> Point:
    raise AssertionError("no covariance was asked for")
