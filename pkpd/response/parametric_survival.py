"""Parametric survival on exposure: Weibull, exponential, log-normal, log-logistic, Gompertz."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response.curves import Curves
from pkpd.response.estimates import delta_interval, labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.follow_up import (
    fixed_exposure,
    read_follow_up,
    refuse_without_events,
    survival_counts,
)
from pkpd.response.newton import climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.response.survival_distributions import (
    DISTRIBUTIONS,
    accelerated,
    gompertz,
    gompertz_shape,
    standard_quantile,
    survival_of,
)
from pkpd.results import result

__all__ = ["ParametricSurvivalFit", "fit_parametric_survival"]


@result
@dataclass(frozen=True)
class ParametricSurvivalFit(Curves):
    """A fitted parametric survival model.

    Attributes
    ----------
    time, event : str
        Columns.
    distribution : str
        ``"weibull"``, ``"exponential"``, ``"lognormal"``, ``"loglogistic"``: ln T = η + σ W, a positive
        coefficient means longer survival. ``"gompertz"``: hazard = e^η e^{shape·t}, a positive coefficient
        means shorter survival.
    regressors : Regressors
        Columns of η: ``intercept[k]`` at the reference exposure and mean covariates, ``slope[k]``,
        covariates.
    coefficients : Series
        Columns of η, then ``log_scale`` (ln σ; not for the exponential) or ``shape`` (Gompertz, per unit of
        time).
    covariance : DataFrame
        Inverse of the observed information.
    log_likelihood : float
        Of the times (not of their logarithms).
    counts : DataFrame
        histology, n, events.
    records : DataFrame
        The subjects as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    time: str
    event: str
    distribution: str
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    def _scale_of(self, name: str) -> str:
        if name == "shape":
            return "per time"
        return "log hazard" if self.distribution == "gompertz" else "log"

    def _split(self) -> tuple[np.ndarray, float]:
        """Coefficients of η, and σ (or the Gompertz shape)."""
        b = self.coefficients.to_numpy()
        p = len(self.regressors.names)
        if self.distribution == "exponential":
            return b, 1.0
        return b[:p], float(b[p] if self.distribution == "gompertz" else np.exp(b[p]))

    def survival(
        self, histology: Any, exposure: float, times: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Survival probability at `times` for one histology and exposure.

        Intervals by the delta method: on the standardised log time (accelerated families) or the log
        cumulative hazard.

        Returns
        -------
        DataFrame
            histology, exposure, time, survival, lower, upper.
        """
        t = np.atleast_1d(np.asarray(times, dtype=float))
        if np.any(~(t > 0)):
            raise InputError("E_TIME_NOT_POSITIVE", "times must be positive.", "At 0 everyone is event-free.")
        row = self.regressors.matrix(histology, exposure, covariates)[:1]
        x = np.repeat(row, len(t), axis=0)
        beta, other = self._split()
        eta = x @ beta
        if self.distribution == "gompertz":
            zero, one, _ = gompertz_shape(other * t)
            values = eta + np.log(t * zero)
            gradients = np.column_stack([x, t * one / zero])

            def inverse(v: np.ndarray) -> np.ndarray:
                return np.exp(-np.exp(v))
        else:
            values = (np.log(t) - eta) / other
            gradients = -x / other
            if self.distribution != "exponential":
                gradients = np.column_stack([gradients, -values])

            def inverse(v: np.ndarray) -> np.ndarray:
                return survival_of(self.distribution, v)

        # survival falls as either scale rises, so the ends change places
        middle, upper, lower = delta_interval(values, gradients, self.covariance.to_numpy(), level, inverse)
        name = self.histologies[0] if histology is None else histology
        return pd.DataFrame(
            {
                "histology": name,
                "exposure": exposure,
                "time": t,
                "survival": middle,
                "lower": lower,
                "upper": upper,
            }
        )

    def quantile(
        self,
        histology: Any,
        exposures: Any,
        probability: float = 0.5,
        level: float = 0.90,
        *,
        covariates: Any = None,
    ) -> pd.DataFrame:
        """Time by which a share `probability` has had the event (0.5: the median), along exposures.

        Intervals by the delta method on log time. Infinite where a Gompertz hazard dies out before.

        Returns
        -------
        DataFrame
            histology, exposure, time, lower, upper.
        """
        if not 0 < probability < 1:
            raise InputError("E_OPTION", f"probability={probability!r}.", "Give one between 0 and 1.")
        e = np.atleast_1d(np.asarray(exposures, dtype=float))
        x = self.regressors.matrix(histology, e, covariates)
        beta, other = self._split()
        eta = x @ beta
        if self.distribution == "gompertz":
            values, gradients = _gompertz_quantile(eta, other, x, -np.log1p(-probability))
        else:
            w = standard_quantile(self.distribution, probability)
            values, gradients = eta + other * w, x
            if self.distribution != "exponential":
                gradients = np.column_stack([x, np.full(len(x), other * w)])
        return self._along(histology, e, "time", values, gradients, level, np.exp)


def _gompertz_quantile(eta, a, x, hazard) -> tuple[np.ndarray, np.ndarray]:
    m = hazard * np.exp(-eta)
    inside = np.maximum(a * m, -1.0)
    reached = inside > -1
    safe = np.where(reached, inside, 0.0)
    # t = ln(1 + a m)/a, written so that a = 0 needs no case of its own: ln(1+v)/v and its derivative
    near = np.abs(safe) < 1e-4
    v = np.where(near, 1.0, safe)
    ratio = np.where(near, 1 - safe / 2 + safe**2 / 3, np.log1p(v) / v)
    slope = np.where(near, -0.5 + 2 * safe / 3, (v / (1 + v) - np.log1p(v)) / v**2)
    values = np.where(reached, np.log(m * ratio), np.inf)
    d_eta = -(1 + safe * slope / ratio)
    d_shape = m * slope / ratio
    return values, np.column_stack([x * d_eta[:, None], d_shape])


def fit_parametric_survival(
    frame: pd.DataFrame,
    time: str,
    event: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    distribution: str = "weibull",
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    known_at_start: bool = False,
    dose: str | None = None,
    randomised: bool = False,
) -> ParametricSurvivalFit:
    """Fit right-censored times by maximum likelihood.

    Parameters
    ----------
    frame, exposure, histology, shape, slopes, intercepts, covariates, reference_exposure, dose, randomised
        As in :func:`pkpd.response.fit_logistic`. The scale σ (or Gompertz shape) is common to all
        histologies.
    time, event : str
        Columns: follow-up, positive; 1 for the event, 0 for censoring.
    distribution : {"weibull", "exponential", "lognormal", "loglogistic", "gompertz"}
    known_at_start : bool
        As in :func:`pkpd.response.fit_cox`.

    Returns
    -------
    ParametricSurvivalFit

    Raises
    ------
    InputError
        ``E_TIME_*``, ``E_NO_EVENTS`` and those of :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MAXIMUM``, naming histologies without events.
    """
    if distribution not in DISTRIBUTIONS:
        raise InputError(
            "E_OPTION",
            f"distribution={distribution!r} is not supported.",
            f"Choose among {', '.join(DISTRIBUTIONS)}.",
        )
    if intercepts not in ("separate", "common"):
        raise InputError("E_OPTION", f"intercepts={intercepts!r}.", "Choose among separate, common.")
    regressors, records = read_regressors(
        frame,
        exposure,
        histology,
        shape=shape,
        slopes=slopes,
        intercepts=intercepts,
        covariates=covariates,
        reference_exposure=reference_exposure,
    )
    notes = fixed_exposure(exposure, known_at_start)
    _, stop, died = read_follow_up(frame, time, event, None, records["ID"].to_numpy(), positive=True)
    records.insert(1, "time", stop)
    records.insert(2, "event", died)
    x = design_of(regressors, records)
    counts = survival_counts(records, regressors.histologies)
    refuse_without_events(counts, regressors)
    log_time = np.log(stop)
    if distribution == "gompertz":
        # times in units of the longest one keep the shape near 1
        unit = float(stop.max())
        flat = np.full(len(stop), np.log(died.sum() / (stop.sum() / unit)))
        start = np.r_[np.linalg.lstsq(x, flat, rcond=None)[0], 0.0]
        optimum = climb(lambda b: gompertz(b, x, stop / unit, died), start)
        per = np.r_[np.ones(x.shape[1]), 1 / unit]
        shift = np.linalg.lstsq(x, np.full(len(stop), -np.log(unit)), rcond=None)[0]
        point = np.r_[optimum.point[:-1] + shift, optimum.point[-1] / unit]
        covariance = optimum.covariance * np.outer(per, per)
        value = optimum.value - float(died.sum()) * np.log(unit)
    else:
        # a start is all that is needed: censored times count double
        late = log_time + (1 - died) * np.log(2.0)
        beta = np.linalg.lstsq(x, late, rcond=None)[0]
        spread = max(float(np.std(late - x @ beta)), 0.1)
        start = beta if distribution == "exponential" else np.r_[beta, np.log(spread)]
        optimum = climb(lambda b: accelerated(b, distribution, x, log_time, died), start)
        point, covariance, value = optimum.point, optimum.covariance, optimum.value
    if not optimum.converged:
        raise FitError(
            "E_NO_MAXIMUM",
            f"the {distribution} model has no finite maximum in these data.",
            "Use another distribution, pool histologies, or share slopes.",
        )
    names = list(regressors.names)
    if distribution == "gompertz":
        names.append("shape")
    elif distribution != "exponential":
        names.append("log_scale")
    coefficients, table = labelled(names, point, covariance)
    return ParametricSurvivalFit(
        time=str(time),
        event=str(event),
        distribution=distribution,
        regressors=regressors,
        coefficients=coefficients,
        covariance=table,
        log_likelihood=float(value),
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=notes,
        evidence=stated_evidence(frame, dose, randomised, histology),
    )
