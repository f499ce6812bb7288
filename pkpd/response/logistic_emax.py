"""Logistic exposure-response that saturates: logit P = intercept[k] + emax[k] · x^h / (EC50[k]^h + x^h)."""

from __future__ import annotations

import warnings as _warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import binary_of, named_subjects
from pkpd.response.curves import Curves
from pkpd.response.emax_curve import EmaxLayout, ec50_notes, emax_curve, linear_part
from pkpd.response.estimates import labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.firth import maximise
from pkpd.response.newton import climb
from pkpd.response.observed import events_per_histology
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result

__all__ = ["LogisticEmaxFit", "fit_logistic_emax"]


@result
@dataclass(frozen=True)
class LogisticEmaxFit(Curves):
    """A fitted logistic (sigmoid) Emax model.

    Attributes
    ----------
    response : str
        Name of the endpoint.
    shape : str
        ``"emax"`` (h = 1) or ``"sigmoid_emax"``.
    exposure : str
        Column of the exposure.
    linear : Regressors
        The part that is linear: intercepts and covariates.
    emax, ec50 : str
        ``"common"`` or ``"separate"`` between histologies.
    coefficients : Series
        ``intercept[k]`` (logit at exposure 0, at the mean of numeric covariates), covariates, ``emax[k]``
        (logit), ``log_ec50[k]`` (ln of the unit of exposure), ``log_hill``.
    covariance : DataFrame
        Inverse of the observed information.
    log_likelihood : float
        Unpenalised.
    counts, records : DataFrame
        histology, n, events; the subjects as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    response: str
    shape: str
    exposure: str
    linear: Regressors
    emax: str
    ec50: str
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    @property
    def histologies(self) -> tuple[str, ...]:
        """Levels, in order; ``("all",)`` without histology."""
        return self.linear.histologies

    def _scale_of(self, name: str) -> str:
        return "log" if name.startswith("log_") else "logit"

    def logit(
        self, histology: Any, exposure: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Linear predictor; arguments and shape as :meth:`probability`."""
        beta = self._matrix_for(coefficients, len(self.coefficients))
        x, rows, level = self._inputs(histology, exposure, covariates)
        return np.apply_along_axis(lambda b: emax_curve(b, rows, x, level, self._layout)[0], -1, beta)

    def probability(
        self, histology: Any, exposure: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Probability of the endpoint.

        Parameters
        ----------
        histology : str or sequence of str
        exposure : float or sequence of float
            n values, not negative.
        coefficients : array_like, shape (p,) or (d, p), optional
            Instead of the estimates, e.g. from :meth:`draws`.
        covariates : mapping or DataFrame, optional
            Default: mean and reference level.

        Returns
        -------
        ndarray, shape (n,) or (d, n)
        """
        from scipy.special import expit

        return expit(self.logit(histology, exposure, coefficients, covariates=covariates))

    def curve(
        self, histology: Any, exposures: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Probability along exposures, with pointwise intervals by the delta method on the logit scale.

        Returns
        -------
        DataFrame
            histology, exposure, probability, lower, upper.
        """
        from scipy.special import expit

        x, rows, index = self._inputs(histology, exposures, covariates)
        eta, gradient, _ = emax_curve(self.coefficients.to_numpy(), rows, x, index, self._layout)
        return self._along(histology, x, "probability", eta, gradient, level, expit)

    @property
    def _layout(self) -> EmaxLayout:
        k = len(self.histologies)
        return EmaxLayout(
            len(self.linear.names), k, self.emax == "separate", self.ec50 == "separate", self.shape != "emax"
        )

    def _inputs(self, histology, exposure, covariates) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = np.atleast_1d(np.asarray(exposure, dtype=float))
        if np.any(~(x >= 0)):
            raise InputError(
                "E_EXPOSURE_NEGATIVE", "an exposure is negative or missing.", "Give exposures of 0 or more."
            )
        level = self.linear.index_of(histology)
        rows = self.linear.matrix(histology, None, covariates)
        n = max(len(x), len(rows))
        return np.broadcast_to(x, n), np.broadcast_to(rows, (n, rows.shape[1])), np.broadcast_to(level, n)


def fit_logistic_emax(
    frame: pd.DataFrame,
    response: str,
    exposure: str,
    histology: str | None = None,
    *,
    shape: str = "emax",
    slopes: str = "separate",
    ec50: str = "common",
    intercepts: str = "separate",
    covariates=(),
    dose: str | None = None,
    randomised: bool = False,
) -> LogisticEmaxFit:
    """Fit a logistic Emax model by maximum likelihood.

    Parameters
    ----------
    frame, response, exposure, histology, intercepts, covariates, dose, randomised
        As in :func:`pkpd.response.fit_logistic`; exposures of 0 are allowed.
    shape : {"emax", "sigmoid_emax"}
    slopes : {"separate", "common"}
        Whether each histology has an emax of its own.
    ec50 : {"common", "separate"}

    Returns
    -------
    LogisticEmaxFit

    Raises
    ------
    InputError
        As in :func:`pkpd.response.fit_logistic`; ``E_EXPOSURE_NEGATIVE``.
    FitError
        ``E_NO_MAXIMUM`` where no finite maximum was found, e.g. because responses separate.

    Notes
    -----
    At fixed EC50 and h the model is an ordinary logistic one; a grid over both gives the start of Newton's
    method on all parameters with exact derivatives, so no starting values are asked for.
    """
    for name, value, allowed in (
        ("shape", shape, ("emax", "sigmoid_emax")),
        ("slopes", slopes, ("separate", "common")),
        ("ec50", ec50, ("common", "separate")),
        ("intercepts", intercepts, ("separate", "common")),
    ):
        if value not in allowed:
            raise InputError(
                "E_OPTION",
                f"{name}={value!r} is not supported with an Emax shape.",
                f"Choose among {', '.join(allowed)}.",
            )
    full, records = read_regressors(
        frame,
        exposure,
        histology,
        shape="linear",
        slopes=slopes,
        intercepts=intercepts,
        covariates=covariates,
        reference_exposure=0.0,
    )
    y = binary_of(frame, response, records["ID"].to_numpy())
    records.insert(1, "response", y)
    x = records["exposure"].to_numpy()
    if (x < 0).any():
        raise InputError(
            "E_EXPOSURE_NEGATIVE",
            f"exposure {exposure} is negative for {named_subjects(records['ID'].to_numpy(), x < 0)}.",
            "Correct it.",
        )
    design_of(full, records)  # refuses aliased columns
    linear = linear_part(full)
    rows = design_of(linear, records)
    level = linear.index_of(records["histology"].to_numpy())
    layout = EmaxLayout.of(linear, slopes, ec50, shape == "sigmoid_emax")
    start = _start(y, rows, x, level, layout)
    optimum = climb(lambda b: _objective(b, y, rows, x, level, layout), start)
    if not optimum.converged or np.abs(optimum.point).max() > 1e3:
        raise FitError(
            "E_NO_MAXIMUM",
            f"the {shape} model of {response} has no finite maximum: the responses separate, or exposures do not"
            " show where the curve bends.",
            "Fit shape='log' or 'linear' with firth='auto', or share emax and EC50 between histologies.",
        )
    notes = ec50_notes(optimum.point, x, layout)
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    coefficients, covariance = labelled(layout.names(linear), optimum.point, optimum.covariance)
    return LogisticEmaxFit(
        response=str(response),
        shape=shape,
        exposure=str(exposure),
        linear=linear,
        emax="separate" if layout.many_emax else "common",
        ec50="separate" if layout.many_ec50 else "common",
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=optimum.value,
        counts=events_per_histology(records, full.histologies),
        records=records,
        converged=optimum.converged,
        warnings=tuple(notes),
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


def _start(y, rows, x, level, layout) -> np.ndarray:
    """Best of a grid over EC50 and h, the rest by Firth's penalised likelihood (always finite)."""
    positive = x[x > 0]
    if positive.size == 0:
        raise InputError("E_EXPOSURE_CONSTANT", "all exposures are zero.", "Fit without exposure.")
    grid = np.geomspace(positive.min() / 3, positive.max() * 3, 25)
    columns = level[:, None] == np.arange(layout.histologies) if layout.many_emax else np.ones((len(x), 1))
    best, found = -np.inf, None
    for hill in (0.7, 1.5, 3.0) if layout.hill else (1.0,):
        for middle in grid:
            effect = x**hill / (middle**hill + x**hill)
            part = maximise(np.hstack([rows, columns * effect[:, None]]), y, firth=True, max_iterations=50)
            if part.log_likelihood > best:
                best = part.log_likelihood
                tail = [np.log(middle)] * (layout.histologies if layout.many_ec50 else 1)
                found = np.r_[part.coefficients, tail, [np.log(hill)] * int(layout.hill)]
    if found is None:
        raise FitError("E_NO_MAXIMUM", "no starting values could be found.", "Check exposures and responses.")
    return found


def _objective(b, y, rows, x, level, layout):
    p = layout.size
    if np.abs(b[layout.ec50 :]).max() > 50:
        return -np.inf, np.zeros(p), np.zeros((p, p))
    eta, gradient, second = emax_curve(b, rows, x, level, layout)
    e = np.exp(-np.abs(eta))
    prob = np.where(eta >= 0, 1.0, e) / (1 + e)
    value = float(np.sum(y * eta - np.maximum(eta, 0) - np.log1p(e)))
    residual = y - prob
    hessian = -np.einsum("ij,ik->jk", gradient, (prob * (1 - prob))[:, None] * gradient)
    for i, j, term in second:
        np.add.at(hessian, (i, j), residual * term)
        off = i != j
        np.add.at(hessian, (j[off], i[off]), (residual * term)[off])
    return value, np.einsum("ij,i->j", gradient, residual), hessian
