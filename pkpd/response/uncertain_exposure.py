"""Exposure-response where each patient's exposure is known with an error: response and concentrations in one likelihood.

Given the estimates of the population fit, what a patient's concentrations say of the logarithm of its exposure is close to
N(ln EBE, s²). The probability of its response is then the mean of the logistic curve over that distribution,

    P(y = 1) = ∫ expit(a + b f(x)) dN(ln x; ln EBE, s²),

the factor of the joint likelihood that holds a and b (the population parameters stay at their estimates). The curve at the
empirical Bayes estimate itself would be too flat where s is large.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.errors import InputError
from pkpd.response.estimates import labelled
from pkpd.response.logistic import LogisticFit
from pkpd.response.regressors import design_of
from pkpd.results import result
from pkpd.statements import joined, say

__all__ = ["JointLogisticFit", "with_uncertain_exposure"]

NODES = 31  # Gauss-Hermite: probabilities within 1e-6 at s = 0.6 and a slope of 3


@result
@dataclass(frozen=True)
class JointLogisticFit(LogisticFit):
    """A logistic fit whose likelihood is integrated over each patient's uncertain exposure.

    Attributes
    ----------
    log_sd : ndarray, shape (N,)
        Standard deviation of the logarithm of each patient's exposure, in the order of ``records``.

    Notes
    -----
    ``covariance`` is the inverse of Fisher's information of the integrated likelihood. Profiles and likelihood ratios
    are those of the fit without uncertainty only.
    """

    log_sd: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0))

    @property
    def _data(self) -> Any:  # type: ignore[override]
        raise InputError(
            "E_OPTION",
            "profiles of a likelihood that is integrated over uncertain exposures are not available.",
            "Use the Wald intervals, or the fit without the uncertainty.",
        )


def with_uncertain_exposure(fit: LogisticFit, log_sd: Any) -> JointLogisticFit:
    """Fit again, with the uncertainty of each patient's exposure in the likelihood.

    Parameters
    ----------
    fit : LogisticFit
        With exposures at empirical Bayes estimates; its penalty is kept (Jeffreys' prior of the integrated likelihood).
    log_sd : sequence of float, shape (N,)
        Standard deviation of the logarithm of each exposure given the patient's own data, as
        :func:`pkpd.exposure_metrics` gives with ``level=`` (half the length of the interval of the logarithm over the normal
        quantile), in the order of ``fit.records``.

    Returns
    -------
    JointLogisticFit

    Raises
    ------
    InputError
        ``E_OPTION`` for a fit that is not logistic in an exposure; ``E_LOG_SD`` for values that are negative, missing or of
        another number.

    References
    ----------
    Carroll RJ, Ruppert D, Stefanski LA, Crainiceanu CM. Measurement Error in Nonlinear Models, 2nd ed., 2006, chapter 8.
    """
    from scipy.optimize import minimize

    if not isinstance(fit, LogisticFit) or fit.regressors.exposure is None:
        raise InputError(
            "E_OPTION",
            "uncertain exposures belong to a logistic fit on an exposure of shape 'linear' or 'log'.",
            "Give a result of fit_logistic.",
        )
    sd = np.asarray(log_sd, float)
    records = fit.records
    if sd.shape != (len(records),) or not (np.isfinite(sd) & (sd >= 0)).all():
        raise InputError(
            "E_LOG_SD",
            f"standard deviations of shape {sd.shape} for {len(records)} patients, or negative or missing ones.",
            "Give one number of 0 or more per patient of fit.records.",
        )
    nodes, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    x = np.stack(
        [
            design_of(fit.regressors, records.assign(exposure=records["exposure"] * np.exp(sd * z)))
            for z in nodes
        ]
    )
    y = records["response"].to_numpy(float)
    weight = fit.penalty if fit.firth else 0.0

    def means(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Probability (N,) and its gradient (N, p)."""
        from scipy.special import expit

        p = expit(np.einsum("qij,j->qi", x, beta))
        return weights @ p, np.einsum("q,qi,qij->ij", weights, p * (1 - p), x)

    def information(beta: np.ndarray) -> np.ndarray:
        m, gradient = means(beta)
        return np.einsum("ij,i,ik->jk", gradient, 1 / np.maximum(m * (1 - m), 1e-300), gradient)

    def penalty(beta: np.ndarray) -> float:
        return 0.5 * float(np.linalg.slogdet(information(beta))[1])

    def log_likelihood(m: np.ndarray) -> float:
        return float(np.log(np.where(y == 1, m, 1 - m)).sum())

    def objective(beta: np.ndarray) -> tuple[float, np.ndarray]:
        m, gradient = means(beta)
        value = -log_likelihood(m)
        slope = -np.einsum("i,ij->j", (y - m) / (m * (1 - m)), gradient)
        if weight:
            h = 1e-5
            steps = h * np.eye(beta.size)
            value -= weight * penalty(beta)
            slope -= weight * np.array([(penalty(beta + e) - penalty(beta - e)) / (2 * h) for e in steps])
        return value, slope

    start = fit.coefficients.to_numpy(float)
    # scaled by the standard errors of the start, so that a step of 1 is a step of 1 in each direction
    scale = fit.standard_errors.to_numpy(float)

    def scaled(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = objective(start + scale * u)
        return value, slope * scale

    options: Any = {"gtol": 1e-6}
    found = minimize(scaled, np.zeros(start.size), jac=True, method="BFGS", options=options)
    beta = start + scale * found.x
    m, _ = means(beta)
    coefficients, covariance = labelled(fit.regressors.names, beta, np.linalg.inv(information(beta)))
    fields = {f.name: getattr(fit, f.name) for f in dataclasses.fields(LogisticFit)}
    reason = say("joint", "exposures uncertain by up to {percent} %", percent=f"{100 * np.max(sd):.0f}")
    return JointLogisticFit(
        **{
            **fields,
            "coefficients": coefficients,
            "covariance": covariance,
            "log_likelihood": log_likelihood(m),
            "penalised_log_likelihood": log_likelihood(m) + (weight or 1.0) * penalty(beta),
            # a line search that stops at rounding has arrived, too
            "converged": bool(np.abs(found.jac).max() < 1e-4),
            "firth_reason": joined([fit.firth_reason, reason], "; "),
        },
        log_sd=sd,
    )
