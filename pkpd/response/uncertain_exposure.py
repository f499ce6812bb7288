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
from pkpd.response.integrated_logistic import NODES, maximise_integrated
from pkpd.response.logistic import LogisticFit
from pkpd.response.regressors import design_of
from pkpd.results import result
from pkpd.statements import joined, say

__all__ = ["JointLogisticFit", "with_uncertain_exposure"]


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
    z, weights = np.polynomial.hermite_e.hermegauss(NODES)
    weights = weights / weights.sum()
    x = np.stack(
        [
            design_of(fit.regressors, records.assign(exposure=records["exposure"] * np.exp(sd * node)))
            for node in z
        ]
    )
    found = maximise_integrated(
        x,
        weights,
        records["response"].to_numpy(float),
        start=fit.coefficients.to_numpy(float),
        scale=fit.standard_errors.to_numpy(float),
        penalty=fit.penalty if fit.firth else 0.0,
    )
    coefficients, covariance = labelled(
        fit.regressors.names, found.coefficients, np.linalg.inv(found.information)
    )
    fields = {f.name: getattr(fit, f.name) for f in dataclasses.fields(LogisticFit)}
    reason = say("joint", "exposures uncertain by up to {percent} %", percent=f"{100 * np.max(sd):.0f}")
    return JointLogisticFit(
        **{
            **fields,
            "coefficients": coefficients,
            "covariance": covariance,
            "log_likelihood": found.log_likelihood,
            "penalised_log_likelihood": found.log_likelihood
            + (fit.penalty if fit.firth else 1.0) * found.jeffreys,
            "converged": found.converged,
            "firth_reason": joined([fit.firth_reason, reason], "; "),
        },
        log_sd=sd,
    )
