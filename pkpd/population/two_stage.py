"""Standard two-stage estimation: every subject by itself, then means and covariances of what the subjects gave.

Steimer, Mallet, Golmard & Boisvieux, Drug Metab Rev 1984;15:265-292. OMEGA holds the errors of the individual fits
too, and is too large where these are not small: the method is for rich data, and for starting values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from pkpd.errors import FitError, InputError
from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.language.solver import Solver
from pkpd.population.complete_data import CompleteData, complete_data
from pkpd.population.covariance import CovarianceStep
from pkpd.population.individual_fits import IndividualFits, fit_individuals
from pkpd.population.methods import mode_method
from pkpd.population.objective import Objective, Point
from pkpd.population.observed import BLQ
from pkpd.population.quasi_newton import Search

__all__ = ["TwoStage", "TwoStageFit", "fit_two_stage", "second_stage"]


@dataclass(frozen=True)
class TwoStage:
    """Standard two-stage: individual fits by least squares (lmfit), then mean and covariance of the individual parameters.

    Thetas that no random effect carries, and where the individual fits start, come from a naive pooled fit. The objective is that
    of FOCEI at the estimates, which the method does not minimise.

    Parameters
    ----------
    covariance : {"moments", None}
        Covariance of the estimates: of means and covariances of a normal sample, and of pooled residual SDs; or none. Thetas
        that no random effect carries have no standard error, and zeros in the covariance.
    blq : {"M1"}
        Censored records are left out; least squares has no likelihood for them.
    solver : Solver
        How the differential equations are solved.
    """

    covariance: str | None = "moments"
    blq: str = "M1"
    solver: Solver = field(default_factory=Solver)

    @property
    def kind(self) -> str:
        """Name of the method."""
        return "TwoStage"

    def __post_init__(self) -> None:
        if self.covariance not in ("moments", None):
            raise InputError(
                "E_METHOD", f"TwoStage has no covariance {self.covariance!r}.", 'Use "moments" or None.'
            )
        if self.blq != "M1":
            known = "is for likelihoods" if self.blq in BLQ else "is unknown"
            raise InputError("E_METHOD", f"blq={self.blq!r} {known}.", 'Use "M1", or FOCEI() or SAEM().')
        if not isinstance(self.solver, Solver):
            raise InputError("E_METHOD", f"solver={self.solver!r} is not a solver.", "Use pkpd.Solver(…).")


@dataclass(frozen=True)
class TwoStageFit:
    """What a fit reports of both stages: as of a search, with the covariance and what to warn of."""

    objective: Objective
    search: Search
    step: CovarianceStep
    notes: tuple[str, ...]


def fit_two_stage(
    problem: Problem, scales: Scales, method: TwoStage, pooled: Values, unsettled: str = ""
) -> TwoStageFit:
    """Both stages.

    Parameters
    ----------
    problem : Problem
    scales : Scales
    method : TwoStage
    pooled : Values
        Of a naive pooled fit.
    unsettled : str
        Why that did not converge; empty where it did.

    Raises
    ------
    InputError
        ``E_METHOD_OCCASIONS`` for a model with variability between occasions, ``E_METHOD_CORRELATED`` for one whose residual
        errors are correlated, ``E_METHOD_NO_ETA`` without random effects.
    FitError
        ``E_TWO_STAGE`` if too few individual fits succeed.
    """
    if problem.model.iovs:
        raise InputError(
            "E_METHOD_OCCASIONS",
            "individual fits cannot tell variability between occasions from that between subjects.",
            "Use pkpd.FOCEI() or pkpd.SAEM().",
        )
    if problem.correlated:
        raise InputError(
            "E_METHOD_CORRELATED",
            "individual fits by least squares take residual errors as independent, and this model correlates them.",
            "Use pkpd.FOCEI() or pkpd.SAEM(), or leave ar1= and m.correlate out.",
        )
    complete = complete_data(problem, scales, pooled, "TwoStage")
    individuals = fit_individuals(problem, scales, pooled)
    good = individuals.succeeded
    largest = int(np.bincount(complete.terms[:, 1], minlength=problem.n_eta).max(initial=0))
    if good.sum() < largest + problem.n_eta + 1:
        raise FitError(
            "E_TWO_STAGE",
            f"{good.sum()} of {len(good)} individual fits succeeded, too few for {problem.n_eta} random effects"
            + (f" ({_listed(problem, individuals)})." if not good.all() else "."),
            "Two-stage needs rich data of each subject; use pkpd.FOCEI() or pkpd.SAEM().",
        )
    values, etas, design = second_stage(problem, scales, complete, individuals)
    objective = Objective(problem, scales, mode_method(problem, method.blq))
    at = objective.at(values, etas, gradient=False)
    point = Point(values, etas, at.individual, None, None, individuals.information, at.status, at.edges)
    others = ", ".join(scales.thetas[t].name for t in complete.moving)
    cause = f"{good.sum()} of {len(good)} individual fits" + (
        f"; {others} by naive pooling" if others else ""
    )
    notes = () if good.all() else (
        f"W_TWO_STAGE_SUBJECT: the individual fits of {(~good).sum()} of {len(good)} subjects failed "
        f"({_listed(problem, individuals)}); they are not in the means, and typical values stand in for them.",
    )  # fmt: skip
    step = CovarianceStep(None, "not asked for", math.nan, ())
    if method.covariance is not None:
        step = _moments(scales, complete, values, int(good.sum()), design, individuals.sigma_covariance)
    converged = not (others and unsettled)
    if not converged:
        cause = f"the naive pooled fit of {others} did not converge: {unsettled}"
    search = Search(scales.free_values(values), point, converged, cause, ())
    return TwoStageFit(objective, search, step, notes)


def _listed(problem: Problem, individuals: IndividualFits) -> str:
    failed = [f"ID {s}: {r}" for s, r in zip(problem.subjects, individuals.reasons, strict=True) if r]
    return "; ".join(failed[:8]) + ("; …" if len(failed) > 8 else "")


def second_stage(
    problem: Problem, scales: Scales, complete: CompleteData, individuals: IndividualFits
) -> tuple[Values, np.ndarray, dict[int, tuple[np.ndarray, np.ndarray]]]:
    """Means and covariances of the individual parameters.

    Returns
    -------
    values : Values
        Thetas by least squares on their covariates, OMEGA from the deviations (over subjects less regressors), within its blocks.
    etas : (N, E) array
        Deviations from the new means; zero where the fit failed.
    design : dict
        By eta: places of its thetas among the references, and their design (subjects that count, thetas).
    """
    before, good = individuals.values, individuals.succeeded
    ne = problem.n_eta
    theta, omega = before.theta.copy(), before.omega.copy()
    phi = complete.means(before.theta, ne) + individuals.etas
    references = complete.referencing.references
    design = {}
    for eta in sorted({r.eta for r in references}):
        places = np.array([m for m, r in enumerate(references) if r.eta == eta])
        x = complete.design[np.ix_(good, places)]
        coefficients = np.linalg.lstsq(x, phi[good, eta], rcond=None)[0]
        design[eta] = places, x
        for m, c in zip(places, coefficients, strict=True):
            r = references[m]
            theta[r.theta] = r.restored(float(np.clip(c, *complete.shape[m, 2:])))
    etas = np.where(good[:, None], phi - complete.means(theta, ne), 0.0)
    scatter = etas[good].T @ etas[good] / (good.sum() - _regressors(design))
    for first, size, _, fixed in scales.blocks[: len(problem.model.omega)]:
        block = slice(first, first + size)
        if not fixed:
            tiny = 1e-12 + 1e-10 * np.diag(scatter[block, block])
            omega[block, block] = scatter[block, block] + np.diag(tiny)
    return Values(theta, omega, before.sigma), etas, design


def _regressors(design: dict[int, tuple[np.ndarray, np.ndarray]]) -> int:
    """Degrees of freedom that the means took: the most of any random effect."""
    return max((len(places) for places, _ in design.values()), default=0)


def _moments(
    scales: Scales,
    complete: CompleteData,
    values: Values,
    subjects: int,
    design: dict[int, tuple[np.ndarray, np.ndarray]],
    sigma_covariance: np.ndarray,
) -> CovarianceStep:
    """Covariance of the estimates, as of a normal sample."""
    names, nt = scales.names, len(scales.thetas)
    matrix = np.zeros((len(names), len(names)))
    references, omega = complete.referencing.references, values.omega
    inverse = {eta: np.linalg.solve(x.T @ x, x.T) for eta, (_, x) in design.items()}
    for a, (rows, _) in design.items():
        for b, (columns, _) in design.items():
            part = omega[a, b] * inverse[a] @ inverse[b].T
            for i, m in enumerate(rows):
                for j, k in enumerate(columns):
                    t, u = references[m], references[k]
                    slope = t.slope(values.theta[t.theta]) * u.slope(values.theta[u.theta])
                    matrix[t.theta, u.theta] = part[i, j] / slope
    count = subjects - _regressors(design)
    for v, (i, j) in enumerate(scales.omega_index):
        for w, (k, m) in enumerate(scales.omega_index):
            matrix[nt + v, nt + w] = (omega[i, k] * omega[j, m] + omega[i, m] * omega[j, k]) / count
    at = nt + len(scales.omega_index)
    matrix[at:, at:] = sigma_covariance
    matrix[scales.fixed] = 0.0
    matrix[:, scales.fixed] = 0.0
    return CovarianceStep(matrix, "moments of the individual fits", math.nan, ())
