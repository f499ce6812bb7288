"""Each subject by itself: its random effects by weighted least squares (lmfit), as free parameters without a prior.

Generalised least squares with a pooled residual error, Davidian & Giltinan, Nonlinear Models for Repeated Measurement Data, 1995,
section 5.2: fits with weights from the predictions before, then residual SDs by pseudo-likelihood from all subjects, until
these settle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.population.observed import observed
from pkpd.simulation.prediction import residual_sd

__all__ = ["IndividualFits", "fit_individuals"]

_CYCLES = 20
_SETTLED = 1e-4  # relative change of the residual SDs
_LEAST_SD = 1e-6  # of the largest SD: a proportional error at a prediction of zero would weigh without bound
_CONDITION = 1e-10  # of the scaled information: below it the records do not tell the random effects apart


@dataclass(frozen=True)
class IndividualFits:
    """What each subject says alone.

    Attributes
    ----------
    etas : (N, E) array
        Zero where the fit failed, and for effects of the occasion.
    reasons : tuple of str
        Why a subject's fit failed; empty where it did not.
    information : (N, E, E) array
        JᵀWJ at the etas.
    values : Values
        Population parameters with the pooled residual SDs.
    sigma_covariance : (S, S) array
        Of the pooled residual SDs, from the expected curvature of the pseudo-likelihood; zero for fixed ones.
    """

    etas: np.ndarray
    reasons: tuple[str, ...]
    information: np.ndarray
    values: Values
    sigma_covariance: np.ndarray

    @property
    def succeeded(self) -> np.ndarray:
        """Mask (N,) of the subjects whose fit did not fail."""
        return np.array([not r for r in self.reasons], dtype=bool)


def fit_individuals(problem: Problem, scales: Scales, values: Values) -> IndividualFits:
    """Fit every subject.

    Parameters
    ----------
    problem : Problem
        With Gaussian endpoints; censored records are left out.
    scales : Scales
        Says which residual SDs are estimated.
    values : Values
        Thetas about which the random effects are counted, and where the residual SDs start.
    """
    from pkpd.kernels.likelihood import MEASURED

    records = observed(problem, "M1")
    used = records.kind == MEASURED
    n, ne = problem.n_subjects, problem.n_eta
    own = np.arange(len(problem.model.etas))  # not those of the occasions
    rows = [np.flatnonzero(used[a:b]) + a for a, b in zip(*_ends(problem), strict=True)]
    etas, information = np.zeros((n, ne)), np.zeros((n, ne, ne))
    model = _Predictor(problem, values.theta)
    typical, _ = model.at(etas, 0)
    sd = _weights(problem, values, _natural(problem, typical), used)
    settled, sigma_covariance = values, np.zeros((len(values.sigma), len(values.sigma)))
    for _ in range(_CYCLES):
        reasons, fitted = [], typical.copy()
        for i in range(n):
            found = _fit_one(model, ne, i, rows[i], records.value, sd, own)
            etas[i, own], information[i][np.ix_(own, own)] = found[0], found[1]
            reasons.append(found[2])
            if not found[2]:
                fitted[rows[i]] = found[3]
        good = [i for i in range(n) if not reasons[i]]
        mine = np.concatenate([rows[i] for i in good]) if good else np.zeros(0, dtype=int)
        free = len(mine) - len(good) * len(own)
        if free <= 0:
            break
        before, settled = settled, _pooled_sigma(problem, scales, settled, records.value, fitted, mine, free)
        natural = _natural(problem, fitted)
        sd = _weights(problem, settled, natural, used)
        sigma_covariance = _sigma_covariance(problem, scales, settled, natural, mine, free)
        if np.all(np.abs(settled.sigma - before.sigma) <= _SETTLED * before.sigma):
            break
    return IndividualFits(etas, tuple(reasons), information, settled, sigma_covariance)


def _ends(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    offsets = problem.records.offsets
    return offsets[:-1], offsets[1:]


class _Predictor:
    """Predictions, and derivatives to etas, on the scale of the error: of all subjects, or of one."""

    def __init__(self, problem: Problem, theta: np.ndarray) -> None:
        self._compiled, self._data, self._theta = problem.compiled, problem.subject_data, theta
        self._records, self.log_normal = len(problem.records.time), _log_normal(problem)

    def at(self, etas: np.ndarray, order: int, subject: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """F (O,) and with order 1 its derivatives (O, E); records of other subjects than ``subject`` are NaN."""
        from pkpd._jit import set_threads, threads
        from pkpd.kernels.prediction import predict_all

        d = self._data
        if subject is not None:  # offsets stay those of the whole, so that no record moves
            d = d._replace(
                covariates=d.covariates[subject : subject + 1],
                dose_offsets=d.dose_offsets[subject : subject + 2],
                obs_offsets=d.obs_offsets[subject : subject + 2],
                change_offsets=d.change_offsets[subject : subject + 2],
            )
        f, f_eta = np.full(self._records, np.nan), np.full((self._records * order, etas.shape[1]), np.nan)
        status = np.zeros(len(etas), dtype=np.int64)
        before = threads()
        try:
            # for one subject, waking the others would take longer than the work
            set_threads(before if subject is None else 1)
            predict_all(order, np.ascontiguousarray(etas), self._theta, *self._compiled, d, f, f_eta, status)
        finally:
            set_threads(before)
        with np.errstate(divide="ignore", invalid="ignore"):
            if order:
                f_eta = np.where(self.log_normal[:, None], f_eta / f[:, None], f_eta)
            return np.where(self.log_normal, np.log(f), f), f_eta


def _log_normal(problem: Problem) -> np.ndarray:
    return problem.residual[problem.records.endpoint, 4] == 1


def _natural(problem: Problem, fitted: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.where(_log_normal(problem), np.exp(fitted), fitted)


def _weights(problem: Problem, values: Values, f: np.ndarray, used: np.ndarray) -> np.ndarray:
    sd = residual_sd(problem, values, f)
    largest = np.max(sd[used & np.isfinite(sd)], initial=0.0)
    return np.where(np.isfinite(sd), np.maximum(sd, _LEAST_SD * largest), largest)


def _fit_one(
    model: _Predictor, ne: int, i: int, rows: np.ndarray, y: np.ndarray, sd: np.ndarray, own: np.ndarray
) -> tuple[np.ndarray, np.ndarray, str, np.ndarray]:
    """Etas, information, why it failed, and predictions of one subject."""
    import lmfit

    nothing = np.zeros(len(own)), np.zeros((len(own), len(own)))
    if len(rows) < len(own):
        return *nothing, f"{len(rows)} records for {len(own)} random effects", np.zeros(0)
    names = [f"eta{k}" for k in own]

    def at(given, order: int) -> tuple[np.ndarray, np.ndarray]:
        etas = np.zeros((1, ne))
        etas[0, own] = [given[name].value for name in names]
        f, f_eta = model.at(etas, order, i)
        return f[rows], (f_eta[np.ix_(rows, own)] if order else f_eta)

    def residual(given) -> np.ndarray:
        r = (y[rows] - at(given, 0)[0]) / sd[rows]
        return np.where(np.isfinite(r), r, 1e6)  # a step too far: the search shortens it

    def slopes(given) -> np.ndarray:
        j = -at(given, 1)[1] / sd[rows, None]
        return np.where(np.isfinite(j), j, 0.0)

    parameters = lmfit.Parameters()
    for name in names:
        parameters.add(name, value=0.0)
    tight = dict.fromkeys(("ftol", "xtol", "gtol"), 1e-12)
    # lmfit works out a covariance, singular where records say too little
    with np.errstate(all="ignore"):
        found = lmfit.minimize(
            residual, parameters, method="least_squares", jac=slopes, x_scale="jac", **tight
        )
    j = slopes(found.params)
    information = j.T @ j
    f = at(found.params, 0)[0]
    scale = np.sqrt(np.diag(information))
    if not (found.success and np.all(np.isfinite(f))):
        return *nothing, "the least-squares search did not converge", f
    if not np.all(scale > 0) or np.linalg.eigvalsh(information / np.outer(scale, scale))[0] < _CONDITION:
        return *nothing, "its records do not determine its random effects", f
    return np.array([found.params[name].value for name in names]), information, "", f


def _pooled_sigma(
    problem: Problem,
    scales: Scales,
    values: Values,
    y: np.ndarray,
    fitted: np.ndarray,
    rows: np.ndarray,
    free: int,
) -> Values:
    """Residual SDs by pseudo-likelihood, squared residuals scaled up for the degrees of freedom that the etas took."""
    from scipy.optimize import minimize

    estimated = np.array([not s.fixed for s in scales.sigmas], dtype=bool)
    if not estimated.any():
        return values
    squared = (y[rows] - fitted[rows]) ** 2 * (len(rows) / free)
    natural = _natural(problem, fitted)

    def sigma(logs: np.ndarray) -> np.ndarray:
        out = values.sigma.copy()
        out[estimated] = np.exp(logs)
        return out

    def minus2(logs: np.ndarray) -> float:
        with np.errstate(all="ignore"):
            sd = residual_sd(problem, replace(values, sigma=sigma(logs)), natural)[rows]
            total = float(np.sum(2.0 * np.log(sd) + squared / sd**2))
        return total if math.isfinite(total) else 1e300

    begin = np.log(values.sigma[estimated])
    found = minimize(
        minus2, begin, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}
    )
    return replace(values, sigma=sigma(found.x))


def _sigma_covariance(
    problem: Problem, scales: Scales, values: Values, natural: np.ndarray, rows: np.ndarray, free: int
) -> np.ndarray:
    """Inverse of Σ 2 (∂log sd/∂σ)(∂log sd/∂σ)ᵀ, over as many records as there are degrees of freedom."""
    estimated = np.flatnonzero([not s.fixed for s in scales.sigmas])
    slopes = np.zeros((len(rows), len(estimated)))
    for column, s in enumerate(estimated):
        logs = []
        for sign in (1.0, -1.0):
            sigma = values.sigma.copy()
            sigma[s] *= 1.0 + sign * 1e-5
            logs.append(np.log(residual_sd(problem, replace(values, sigma=sigma), natural)[rows]))
        slopes[:, column] = (logs[0] - logs[1]) / (2e-5 * values.sigma[s])
    information = 2.0 * slopes.T @ slopes * (free / len(rows))
    out = np.zeros((len(values.sigma), len(values.sigma)))
    out[np.ix_(estimated, estimated)] = np.linalg.pinv(information)
    return out
