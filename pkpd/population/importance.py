"""Likelihood by importance sampling, and estimation with it: Monte-Carlo EM."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pkpd.errors import FitError
from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.language.solver import Solver
from pkpd.population.arguments import whole
from pkpd.population.checkpoint import Checkpoint
from pkpd.population.complete_data import complete_data
from pkpd.population.methods import check_positive
from pkpd.population.observed import observed
from pkpd.population.pareto import pareto_k
from pkpd.population.saem import Sampled, check_sampling, not_finite
from pkpd.results import result

__all__ = ["IMP", "Weighted", "fit_importance", "unreliable", "weighted_draws"]

_PILOT = 200  # draws that centre the proposals
_WINDOW = 10  # iterations over which IMP looks for a drift, and averages
MISSED = 1e-3  # weight of a subject's draws that may have no finite score


@dataclass(frozen=True)
class Weighted:
    """Weighted draws of every subject's random effects.

    Attributes
    ----------
    centres (N, E), covers (N, E, E), replicate
        Of the proposals, and the key of the draws.
    log_weights : (N, n) array
        Normalised.
    individual : (N,) array
        -2 log-likelihood of each subject, log 2π per measured record dropped.
    means (N, E), covariances (N, E, E)
        Posterior moments of η.
    """

    centres: np.ndarray
    covers: np.ndarray
    replicate: int
    log_weights: np.ndarray
    individual: np.ndarray
    means: np.ndarray
    covariances: np.ndarray

    @property
    def minus2ll(self) -> float:
        """Sum in subject order."""
        return float(math.fsum(self.individual))

    @property
    def standard_errors(self) -> np.ndarray:
        """Monte-Carlo standard error of each subject's -2 log-likelihood (delta method)."""
        n = self.log_weights.shape[1]
        return 2.0 * np.sqrt(np.maximum(np.exp(2.0 * self.log_weights).sum(axis=1) - 1.0 / n, 0.0))

    @property
    def effective(self) -> np.ndarray:
        """Effective number of draws of each subject, 1/Σw²."""
        return 1.0 / np.exp(2.0 * self.log_weights).sum(axis=1)

    @property
    def pareto(self) -> np.ndarray:
        """Pareto's k of each subject's weights: above 0.7 the estimate is not to be trusted."""
        return pareto_k(self.log_weights)


def weighted_draws(
    problem: Problem,
    records,
    values: Values,
    centres: np.ndarray,
    covers: np.ndarray,
    n: int,
    seed: int,
    *,
    replicate: int = 0,
    pilot: bool = True,
) -> Weighted:
    """Draw and weigh.

    Parameters
    ----------
    problem : Problem
    records : Observed
    values : Values
    centres (N, E), covers (N, E, E)
        Where the posteriors are, about.
    n : int
        Draws per subject.
    seed, replicate : int
    pilot : bool
        Whether a first small sample moves the proposals to where it finds the posteriors' mean and covariance.

    Raises
    ------
    FitError
        ``E_FIT_SUBJECT`` for subjects whose records have no likelihood at any draw.
    """
    from pkpd.kernels.importance import weigh

    factor = np.linalg.cholesky(values.omega)
    inverse = np.linalg.inv(factor)
    precision, log_det = inverse.T @ inverse, 2.0 * float(np.log(np.diag(factor)).sum())
    subjects, ne = centres.shape

    def sample(centres: np.ndarray, covers: np.ndarray, count: int, key: int) -> Weighted:
        log_weights = np.full((subjects, count), -math.inf)
        individual, status = np.zeros(subjects), np.zeros(subjects, dtype=np.int64)
        means, covariances = np.zeros((subjects, ne)), np.zeros((subjects, ne, ne))
        weigh(
            seed, key, count, centres, covers, values.theta, precision, log_det, values.sigma,
            *problem.compiled, problem.subject_data, records,
            log_weights, individual, means, covariances, status,
        )  # fmt: skip
        if not np.all(np.isfinite(individual)):
            raise not_finite(problem, ~np.isfinite(individual), status)
        return Weighted(centres, covers, key, log_weights, individual, means, covariances)

    centres, covers = np.ascontiguousarray(centres), np.ascontiguousarray(covers)
    if pilot:
        centres, covers = moved(sample(centres, covers, _PILOT, 2 * replicate + 1))
    return sample(centres, covers, n, 2 * replicate)


def moved(weighted: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Centres and covariances for the next proposals: the posterior moments, where enough draws carry them."""
    trusted = weighted.effective > 10.0 * weighted.centres.shape[1]
    spectrum = np.linalg.eigvalsh(weighted.covariances)
    trusted &= (spectrum[:, 0] > 1e-10 * spectrum[:, -1]) & (spectrum[:, -1] > 0)
    centres = np.where(trusted[:, None], weighted.means, weighted.centres)
    covers = np.where(trusted[:, None, None], weighted.covariances, weighted.covers)
    return np.ascontiguousarray(centres), np.ascontiguousarray(covers)


@result
@dataclass(frozen=True)
class IMP:
    """Monte-Carlo EM whose expectations are taken by importance sampling.

    Parameters
    ----------
    max_iterations : int
    samples : int
        Draws per subject and iteration; ten times as many at the end, for the likelihood and the covariance.
    tolerance : float
        Converged when no parameter, averaged over ten iterations, moves by more than this fraction of its standard error
        from one such window to the next.
    covariance : {"louis", "linearisation", None}
        As in :class:`pkpd.SAEM`.
    blq : {"M3", "M4", "M1"}
        How censored records enter.
    solver : Solver
        How the differential equations are solved.
    """

    max_iterations: int = 200
    samples: int = 300
    tolerance: float = 0.05
    covariance: str | None = "louis"
    blq: str = "M3"
    solver: Solver = field(default_factory=Solver)

    @property
    def kind(self) -> str:
        """Name of the method."""
        return "IMP"

    def __post_init__(self) -> None:
        whole("max_iterations", self.max_iterations, 1, "E_METHOD")
        check_positive("tolerance", self.tolerance)
        check_sampling(self)


def fit_importance(
    problem: Problem,
    scales: Scales,
    method: IMP,
    start: Values,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
    *,
    centres: np.ndarray,
    covers: np.ndarray,
    checkpoint: Checkpoint | None = None,
) -> Sampled:
    """Estimate by Monte-Carlo EM.

    Parameters
    ----------
    problem : Problem
    scales : Scales
    method : IMP
    start : Values
    seed : int
    progress : callable, optional
        Called with (iteration, ofv).
    centres (N, E), covers (N, E, E)
        Where the posteriors are at the start, about.
    checkpoint : Checkpoint, optional
        From where the iterations go on, and where their state is kept.

    Returns
    -------
    Sampled
        Also after Ctrl-C, once there has been an iteration.

    Raises
    ------
    FitError
        ``E_FIT_SUBJECT`` where a subject's records have no likelihood.
    """
    from pkpd.kernels.importance import improve, weighted_scores

    complete = complete_data(problem, scales, start, "IMP")
    records = observed(problem, method.blq)
    checkpoint = checkpoint or Checkpoint()
    n, ne, columns = problem.n_subjects, problem.n_eta, len(complete.moving) + len(start.sigma)
    g_rows, h_rows = np.zeros((n, columns)), np.zeros((n, columns, columns))
    none, no_curves = (np.zeros((n, 0)), np.zeros((n, 0, 0))), np.zeros((n, 0, 0))
    state = checkpoint.load() or {
        "theta": start.theta,
        "omega": start.omega,
        "sigma": start.sigma,
        "centres": np.ascontiguousarray(centres),
        "covers": np.ascontiguousarray(covers),
        "history": np.zeros((0, len(scales.names))),
        "missed": np.zeros(n),
        "curvature": np.zeros((columns, columns)),
    }

    def step(k: int) -> tuple[dict[str, np.ndarray], float]:
        theta, omega, sigma, missed = (state[name].copy() for name in ("theta", "omega", "sigma", "missed"))
        weighted = weighted_draws(
            problem, records, Values(state["theta"], state["omega"], state["sigma"]), state["centres"], state["covers"],
            method.samples, seed, replicate=k + 1, pilot=k == 0,
        )  # fmt: skip
        weighted_scores(
            seed, weighted.replicate, 0, weighted.log_weights, weighted.centres, weighted.covers, complete.moving,
            complete.carriers, complete.slopes(theta), theta, np.linalg.inv(omega), sigma,
            *problem.compiled, problem.subject_data, records, g_rows, h_rows, *none, no_curves, missed,
        )  # fmt: skip
        before = complete.means(theta, ne)
        improve(
            weighted.means, weighted.covariances, g_rows, h_rows, *complete.maximisation, theta, omega, sigma
        )
        centres, covers = moved(weighted)
        centres = np.ascontiguousarray(centres + before - complete.means(theta, ne))
        row = scales.natural(Values(theta, omega, sigma))
        if not np.all(np.isfinite(row)):
            raise FitError(
                "E_FIT_DIVERGED", f"iteration {k} left the range of numbers.", "Start elsewhere, or use SAEM."
            )
        history = np.vstack([state["history"], row])
        after = {"theta": theta, "omega": omega, "sigma": sigma, "centres": centres, "covers": covers}
        return {
            **after,
            "history": history,
            "missed": missed,
            "curvature": h_rows.sum(axis=0),
        }, weighted.minus2ll

    converged = interrupted = False
    try:
        while (
            not (converged := _converged(state["history"][:, scales.free], method.tolerance, n))
            and len(state["history"]) < method.max_iterations
        ):
            state, minus2ll = step(len(state["history"]))
            checkpoint.save(state)
            if progress is not None:
                progress(len(state["history"]), minus2ll)
        checkpoint.save(state, now=True)
    except KeyboardInterrupt:
        if not len(state["history"]):
            raise
        checkpoint.save(state, now=True)
        interrupted = True
    history = state["history"]
    # an average of positive definite matrices is one
    values = scales.values(np.mean(history[-_WINDOW:], axis=0))
    shift = complete.means(state["theta"], ne) - complete.means(values.theta, ne)
    if interrupted:
        cause = f"interrupted after {len(history)} iteration{'s' if len(history) != 1 else ''}"
    elif not len(scales.free):
        cause = "nothing to estimate"
    elif np.any(unseen := state["missed"] > MISSED):
        converged, cause = False, complete.without_scores(problem.subjects, unseen, scales)
    elif standing := complete.standing(state["curvature"], scales):
        converged, cause = False, standing
    elif converged:
        cause = f"converged after {len(history)} iterations"
    else:
        cause = f"no convergence within {method.max_iterations} iterations"
    return Sampled(
        values, complete, np.ascontiguousarray(state["centres"] + shift), state["covers"], converged and not interrupted,
        cause, history, interrupted,
    )  # fmt: skip


def _converged(history: np.ndarray, tolerance: float, subjects: int) -> bool:
    """Whether window means have stopped moving, against the noise of an estimate from so many subjects."""
    if history.shape[1] == 0:
        return len(history) > 0
    if len(history) < 3 * _WINDOW:
        return False
    first, second, third = (
        history[-(k + 1) * _WINDOW : len(history) - k * _WINDOW].mean(axis=0) for k in (2, 1, 0)
    )
    # an estimate's standard error is at least about its size over the square root of the number of subjects, times 0.3
    size = 0.3 * np.maximum(np.abs(third), 1e-3) / math.sqrt(subjects)
    return bool(
        np.all(np.abs(third - second) < tolerance * size + 2.0 * _noise(history))
        and np.all(np.abs(second - first) < 2.0 * (tolerance * size + 2.0 * _noise(history)))
    )


def _noise(history: np.ndarray) -> np.ndarray:
    """Standard error of a window mean, from differences of neighbours (a drift hardly enters)."""
    steps = np.diff(history[-2 * _WINDOW :], axis=0)
    return np.sqrt(0.5 * (steps**2).mean(axis=0) / _WINDOW)


def unreliable(problem: Problem, weighted: Weighted) -> list[str]:
    """Warn of subjects whose likelihood the weights do not carry."""
    k = weighted.pareto
    bad = np.flatnonzero(k > 0.7)
    if not len(bad):
        return []
    worst = ", ".join(str(problem.subjects[i]) for i in bad[np.argsort(-k[bad])][:8])
    return [
        f"W_PARETO_K: the importance weights of {len(bad)} subjects have Pareto k above 0.7 (ID {worst}, k up to {k.max():.2f}): "
        "their likelihood is unreliable; take more samples."
    ]
