"""Continuous Emax exposure-response by least squares (lmfit): y = e0[k] + emax[k] · x^h / (EC50[k]^h + x^h)."""

from __future__ import annotations

import warnings as _warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import named_subjects, numbers_of
from pkpd.response.emax_curve import EmaxLayout, ec50_notes, emax_curve, linear_part
from pkpd.response.estimates import Estimates, coverage, labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import estimates_table, result

__all__ = ["EmaxFit", "fit_emax"]


@result
@dataclass(frozen=True)
class EmaxFit(Estimates):
    """A fitted continuous Emax model.

    Attributes
    ----------
    response, exposure : str
        Columns.
    shape : str
        ``"emax"`` (h = 1) or ``"sigmoid_emax"``.
    linear : Regressors
        The linear part: ``intercept[k]`` is e0, the response at exposure 0 and mean covariates.
    emax, ec50 : str
        ``"common"`` or ``"separate"`` between histologies.
    coefficients : Series
        ``intercept[k]``, covariates, ``emax[k]``, ``log_ec50[k]``, ``log_hill``.
    covariance : DataFrame
        σ² (J'J)⁻¹.
    residual_sd : float
        σ, with n − p degrees of freedom.
    residual_sum_of_squares, log_likelihood : float
        The likelihood at the maximum-likelihood variance RSS/n.
    degrees_of_freedom : int
        n − p; intervals use Student's t.
    records : DataFrame
        The subjects as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    response: str
    exposure: str
    shape: str
    linear: Regressors
    emax: str
    ec50: str
    coefficients: pd.Series
    covariance: pd.DataFrame
    residual_sd: float
    residual_sum_of_squares: float
    log_likelihood: float
    degrees_of_freedom: int
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    @property
    def histologies(self) -> tuple[str, ...]:
        """Levels, in order; ``("all",)`` without histology."""
        return self.linear.histologies

    @property
    def aic(self) -> float:
        """Akaike's criterion; the residual variance counts as a parameter."""
        return -2 * self.log_likelihood + 2 * (len(self.coefficients) + 1)

    @property
    def parameters(self) -> pd.DataFrame:
        """Estimates in the schema of :mod:`pkpd.results`, with 95 % intervals of Student's t."""
        scales = {str(n): "log" for n in self.coefficients.index if str(n).startswith("log_")}
        return estimates_table(
            self.coefficients,
            self.standard_errors,
            scales=scales,
            degrees_of_freedom=float(self.degrees_of_freedom),
        )

    def curve(
        self, histology: Any, exposures: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Mean response along exposures, with pointwise t intervals by the delta method.

        Returns
        -------
        DataFrame
            histology, exposure, response, lower, upper.
        """
        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        value, gradient = self._at(histology, x, covariates)
        se, t = self._standard_error(gradient), self._quantile(level)
        name = self.histologies[0] if histology is None else histology
        return pd.DataFrame(
            {
                "histology": name,
                "exposure": x,
                "response": value,
                "lower": value - t * se,
                "upper": value + t * se,
            }
        )

    def difference(
        self, histology: Any, reference: Any, exposure: float, level: float = 0.90
    ) -> tuple[float, float, float]:
        """Difference of the mean response to that of another histology at the same exposure, with its t interval.

        Returns
        -------
        tuple of float
            Difference, lower, upper, by the delta method.
        """
        x = np.array([float(exposure)])
        (value, gradient), (other, other_gradient) = (self._at(h, x, None) for h in (histology, reference))
        half = self._quantile(level) * float(self._standard_error(gradient - other_gradient)[0])
        apart = float(value[0] - other[0])
        return apart, apart - half, apart + half

    def _at(self, histology: Any, x: np.ndarray, covariates: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean response at exposures, and its gradient by the coefficients."""
        if np.any(~(x >= 0)):
            raise InputError("E_EXPOSURE_NEGATIVE", "an exposure is negative or missing.", "Give 0 or more.")
        rows = np.broadcast_to(
            self.linear.matrix(histology, None, covariates), (len(x), len(self.linear.names))
        )
        index = np.broadcast_to(self.linear.index_of(histology), len(x))
        layout = EmaxLayout.of(self.linear, self.emax, self.ec50, self.shape == "sigmoid_emax")
        return emax_curve(self.coefficients.to_numpy(), rows, x, index, layout)[:2]

    def _standard_error(self, gradient: np.ndarray) -> np.ndarray:
        return np.sqrt(np.einsum("ij,jk,ik->i", gradient, self.covariance.to_numpy(), gradient))

    def _quantile(self, level: float) -> float:
        from scipy.special import stdtrit

        return float(stdtrit(self.degrees_of_freedom, 0.5 + coverage(level) / 2))


def fit_emax(
    frame: pd.DataFrame,
    response: str,
    exposure: str,
    histology: str | None = None,
    *,
    shape: str = "emax",
    slopes: str = "separate",
    ec50: str = "common",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    dose: str | None = None,
    randomised: bool = False,
) -> EmaxFit:
    """Fit a continuous (sigmoid) Emax model by least squares.

    Parameters
    ----------
    frame, exposure, histology, intercepts, covariates, dose, randomised
        As in :func:`pkpd.response.fit_logistic`; exposures of 0 (placebo) are allowed.
    response : str
        Column of a continuous response.
    shape : {"emax", "sigmoid_emax"}
    slopes : {"separate", "common"}
        Whether each histology has an emax of its own.
    ec50 : {"common", "separate"}

    Returns
    -------
    EmaxFit

    Raises
    ------
    InputError
        ``E_RESPONSE_*``, ``E_EXPOSURE_NEGATIVE``, ``E_TOO_FEW`` and those of
        :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MINIMUM`` where the curve cannot be located in these data.

    Notes
    -----
    At fixed EC50 and h the model is linear; the best point of a grid over both starts lmfit's
    Levenberg-Marquardt with exact derivatives.
    """
    for name, value, allowed in (
        ("shape", shape, ("emax", "sigmoid_emax")),
        ("slopes", slopes, ("separate", "common")),
        ("ec50", ec50, ("common", "separate")),
        ("intercepts", intercepts, ("separate", "common")),
    ):
        if value not in allowed:
            raise InputError(
                "E_OPTION", f"{name}={value!r} is not supported.", f"Choose among {', '.join(allowed)}."
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
    ids = records["ID"].to_numpy()
    y = numbers_of(frame, response, ids, "E_RESPONSE", "response")
    if y.max() == y.min():
        raise InputError(
            "E_ENDPOINT_CONSTANT",
            f"response {response} is {y[0]:g} in every subject: no effect of exposure can show.",
            "Bring data that vary.",
        )
    x = records["exposure"].to_numpy()
    if (x < 0).any() or x.max() == 0:
        raise InputError(
            "E_EXPOSURE_NEGATIVE",
            f"exposure {exposure} is negative for {named_subjects(ids, x < 0)}, or zero in all.",
            "Correct it.",
        )
    records.insert(1, "response", y)
    design_of(full, records)  # refuses aliased columns
    linear = linear_part(full)
    rows = design_of(linear, records)
    level = linear.index_of(records["histology"].to_numpy())
    layout = EmaxLayout.of(linear, slopes, ec50, shape == "sigmoid_emax")
    df = len(y) - layout.size
    if df < 1:
        raise InputError(
            "E_TOO_FEW",
            f"{len(y)} subjects for {layout.size} parameters.",
            "Share parameters between histologies.",
        )
    point, converged = _least_squares(y, rows, x, level, layout)
    fitted, gradient, _ = emax_curve(point, rows, x, level, layout)
    rss = float(np.sum((y - fitted) ** 2))
    scale = np.sqrt(np.sum(gradient**2, axis=0))
    inner = np.einsum(
        "ij,ik->jk", gradient / np.where(scale > 0, scale, 1), gradient / np.where(scale > 0, scale, 1)
    )
    if not converged or np.any(scale == 0) or np.linalg.cond(inner) > 1e12:
        raise FitError(
            "E_NO_MINIMUM",
            f"the {shape} curve of {response} cannot be located: exposures do not show where it bends.",
            "Use shape='emax', share emax and EC50 between histologies, or fit a straight line.",
        )
    covariance = rss / df * np.linalg.inv(inner) / np.outer(scale, scale)
    notes = ec50_notes(point, x, layout)
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    coefficients, table = labelled(layout.names(linear), point, covariance)
    return EmaxFit(
        response=str(response),
        exposure=str(exposure),
        shape=shape,
        linear=linear,
        emax="separate" if layout.many_emax else "common",
        ec50="separate" if layout.many_ec50 else "common",
        coefficients=coefficients,
        covariance=table,
        residual_sd=float(np.sqrt(rss / df)),
        residual_sum_of_squares=rss,
        log_likelihood=-0.5 * len(y) * float(np.log(2 * np.pi * rss / len(y)) + 1),
        degrees_of_freedom=df,
        records=records,
        converged=converged,
        warnings=tuple(notes),
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


def _least_squares(y, rows, x, level, layout) -> tuple[np.ndarray, bool]:
    import lmfit

    start = _start(y, rows, x, level, layout)
    parameters = lmfit.Parameters()
    for j, value in enumerate(start):
        # ln EC50 and ln h may roam over 40 orders of magnitude, no further: exp must stay finite
        bound = 50.0 if j >= layout.ec50 else np.inf
        parameters.add(f"p{j}", value=float(value), min=-bound, max=bound)

    def vector(values) -> np.ndarray:
        return np.array([values[f"p{j}"].value for j in range(layout.size)])

    def residual(values) -> np.ndarray:
        return emax_curve(vector(values), rows, x, level, layout)[0] - y

    found = lmfit.minimize(residual, parameters, method="least_squares", ftol=1e-15, xtol=1e-14, gtol=1e-14,
                           jac=lambda values: emax_curve(vector(values), rows, x, level, layout)[1],
                           x_scale="jac")  # fmt: skip
    return vector(found.params), bool(found.success)


def _start(y, rows, x, level, layout) -> np.ndarray:
    positive = x[x > 0]
    columns = level[:, None] == np.arange(layout.histologies) if layout.many_emax else np.ones((len(x), 1))
    best, start = np.inf, np.zeros(layout.size)
    for hill in (0.7, 1.5, 3.0) if layout.hill else (1.0,):
        for middle in np.geomspace(positive.min() / 3, positive.max() * 3, 40):
            effect = 1 / (1 + (middle / np.where(x > 0, x, 1.0)) ** hill) * (x > 0)
            design = np.hstack([rows, columns * effect[:, None]])
            coefficients = np.linalg.lstsq(design, y, rcond=None)[0]
            rss = float(np.sum((y - design @ coefficients) ** 2))
            if rss < best:
                tail = [np.log(middle)] * (layout.histologies if layout.many_ec50 else 1)
                best, start = rss, np.r_[coefficients, tail, [np.log(hill)] * int(layout.hill)]
    return start
