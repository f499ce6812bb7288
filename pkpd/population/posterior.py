"""What a fit says about each subject's random effects and likelihood, by sampling: public functions on a fit."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.language.scales import Values
from pkpd.parallel import checked_seed
from pkpd.population.arguments import fitted, whole
from pkpd.population.estimation_scale import estimates
from pkpd.population.importance import Weighted, moved, unreliable, weighted_draws
from pkpd.population.methods import mode_method
from pkpd.population.objective import Objective
from pkpd.population.result import PopulationFit
from pkpd.results import result

__all__ = ["ImportanceSampling", "conditional_draws", "importance_sampling"]

_PROPOSALS = np.array([1, 1, 1, 2], dtype=np.int64)
_WARM_UP, _THINNING = 50, 5  # sweeps


@result
@dataclass(frozen=True)
class ImportanceSampling:
    """Likelihood of a fit by importance sampling.

    Attributes
    ----------
    ofv, minus2ll : float
        In the conventions of :class:`pkpd.PopulationFit`.
    standard_error : float
        Monte-Carlo standard error of both.
    individual : DataFrame
        By ID: OFV, SE, PARETO_K (above 0.7 the subject's likelihood is unreliable; Vehtari et al. 2024), ESS.
    conditional_means, conditional_sds : DataFrame
        Of the random effects given the records, by ID.
    samples, seed : int
    warnings : tuple of str
    """

    ofv: float
    minus2ll: float
    standard_error: float
    individual: pd.DataFrame
    conditional_means: pd.DataFrame
    conditional_sds: pd.DataFrame
    samples: int
    seed: int
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(
            [
                f"Importance sampling, {self.samples} draws per subject: OFV {self.ofv:.3f} (Monte-Carlo SE "
                f"{self.standard_error:.3f}), -2LL {self.minus2ll:.3f}; largest Pareto k {self.individual['PARETO_K'].max():.2f}",
                *self.warnings,
            ]
        )

    def to_frame(self) -> pd.DataFrame:
        """Return the table of the subjects."""
        return self.individual.copy()


def importance_sampling(fit: PopulationFit, n: int = 1000, *, seed: int = 0) -> ImportanceSampling:
    """Likelihood of a fit's estimates by importance sampling, whatever method gave them.

    The proposals are t distributions with 4 degrees of freedom about each subject's posterior mean and covariance, found by a
    pilot sample that starts from the conditional mode.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Draws per subject, 100 or more.
    seed : int

    Raises
    ------
    InputError
        ``E_ARGUMENT``.
    FitError
        ``E_FIT_SUBJECT`` for subjects whose records have no likelihood.
    """
    seed = checked_seed(seed)
    whole("n", n, 100)
    objective, values, centres, covers = _start(fit)
    problem = fit.problem
    weighted = weighted_draws(problem, objective.observed, values, centres, covers, n, seed)
    ids, etas = pd.Index(problem.subjects, name="ID"), [e.name for e in problem.etas]
    sds = np.sqrt(np.einsum("iaa->ia", weighted.covariances))
    return ImportanceSampling(
        ofv=weighted.minus2ll,
        minus2ll=weighted.minus2ll + objective.constant,
        standard_error=float(math.sqrt(math.fsum(weighted.standard_errors**2))),
        individual=_table(weighted, ids),
        conditional_means=pd.DataFrame(weighted.means, index=ids, columns=etas),
        conditional_sds=pd.DataFrame(sds, index=ids, columns=etas),
        samples=n,
        seed=seed,
        warnings=tuple(unreliable(problem, weighted)),
    )


def conditional_draws(fit: PopulationFit, n: int = 100, *, seed: int = 0) -> pd.DataFrame:
    """Draws of each subject's random effects from their distribution given the subject's records and the estimates.

    By the Markov chains of SAEM (see :mod:`pkpd.kernels.mcmc`), 50 sweeps of warm-up and one draw every 5 sweeps. They are for
    diagnostics and distributions: as regressors of a response they attenuate its slope.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Draws per subject.
    seed : int
        A subject's draws depend on the seed and its own records alone.

    Returns
    -------
    DataFrame
        One column per random effect, indexed by ID and DRAW (from 1).

    Raises
    ------
    InputError
        ``E_ARGUMENT``.
    FitError
        ``E_FIT_SUBJECT`` for subjects whose records have no likelihood.
    """
    from pkpd.kernels.mcmc import draw_conditional

    seed = checked_seed(seed)
    whole("n", n)
    objective, values, centres, covers = _start(fit)
    problem = fit.problem
    centres, covers = moved(
        weighted_draws(problem, objective.observed, values, centres, covers, 200, seed, pilot=False)
    )
    factor = np.linalg.cholesky(values.omega)
    draws = np.zeros((problem.n_subjects, n, problem.n_eta))
    status = np.zeros(problem.n_subjects, dtype=np.int64)
    draw_conditional(
        seed, _PROPOSALS, _WARM_UP, _THINNING, n, centres, covers, values.theta, values.sigma, factor,
        np.linalg.inv(values.omega), *problem.compiled, problem.subject_data, objective.observed, draws, status,
    )  # fmt: skip
    index = pd.MultiIndex.from_product([problem.subjects, range(1, n + 1)], names=["ID", "DRAW"])
    return pd.DataFrame(draws.reshape(-1, problem.n_eta), index=index, columns=[e.name for e in problem.etas])


def _start(fit: PopulationFit) -> tuple[Objective, Values, np.ndarray, np.ndarray]:
    """Objective, estimates, and where the posteriors are, about: modes and inverse curvatures."""
    if fitted(fit).problem.n_eta == 0:
        raise InputError(
            "E_ARGUMENT",
            f"model {fit.model.name} has no random effects to draw.",
            "Its likelihood is its OFV, exactly.",
        )
    scales, values = estimates(fit)
    objective = Objective(fit.problem, scales, mode_method(fit.problem, fit.method.blq))
    point = objective.at(values, fit.individual_estimates.to_numpy(float), gradient=False)
    lost = point.status != 0
    if lost.any() and not np.all(np.isfinite(fit.individual_ofv.to_numpy(float))):
        raise objective.explain(point)
    # where no mode was found, start from the prior: the pilot sample or the chains do the rest
    precision = np.where(lost[:, None, None], np.linalg.inv(values.omega), point.precision)
    centres = np.where(lost[:, None], fit.individual_estimates.to_numpy(float), point.etas)
    return objective, values, np.ascontiguousarray(centres), np.ascontiguousarray(np.linalg.inv(precision))


def _table(weighted: Weighted, ids: pd.Index) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "OFV": weighted.individual,
            "SE": weighted.standard_errors,
            "PARETO_K": weighted.pareto,
            "ESS": weighted.effective,
        },
        index=ids,
    )
