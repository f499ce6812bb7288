"""Cox regression on exposure, also one that changes with time: counting process, Efron's or Breslow's ties, strata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response.columns import subjects_of
from pkpd.response.estimates import Estimates, delta_interval, labelled
from pkpd.response.follow_up import read_follow_up, survival_counts
from pkpd.response.newton import climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result

__all__ = ["CoxFit", "fit_cox"]


@result
@dataclass(frozen=True)
class CoxFit(Estimates):
    """A fitted Cox model.

    Attributes
    ----------
    time, event, start : str or None
        Columns.
    ties : str
        ``"efron"`` or ``"breslow"``.
    strata : bool
        Whether each histology has a baseline hazard of its own.
    regressors : Regressors
        Columns of the log hazard ratio.
    coefficients : Series
        ``histology[k]`` (log hazard ratio against the first histology, where not stratified), ``slope[k]``,
        covariates.
    covariance : DataFrame
        Inverse of the observed information.
    log_likelihood, null_log_likelihood : float
        Partial likelihoods at the estimates and at zero.
    counts : DataFrame
        histology, n (subjects), events.
    records : DataFrame
        Rows as used.
    converged : bool
    """

    time: str
    event: str
    start: str | None
    ties: str
    strata: bool
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    null_log_likelihood: float
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool

    @property
    def histologies(self) -> tuple[str, ...]:
        """Levels, in order; ``("all",)`` without histology."""
        return self.regressors.histologies

    def _scale_of(self, name: str) -> str:
        return "log hazard ratio"

    def hazard_ratio(
        self, histology: Any, exposures: Any, reference: float, level: float = 0.90
    ) -> pd.DataFrame:
        """Hazard at exposures against the hazard at a reference exposure in the same histology.

        Parameters
        ----------
        histology : str or None
        exposures : float or sequence of float
        reference : float
            Exposure of the denominator.
        level : float
            Coverage, by the delta method on the log scale.

        Returns
        -------
        DataFrame
            histology, exposure, hazard_ratio, lower, upper.
        """
        if self.regressors.exposure is None:
            raise InputError("E_OPTION", "the model has no exposure.", "Fit one with an exposure column.")
        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.regressors.matrix(histology, x) - self.regressors.matrix(histology, [float(reference)])
        eta = np.einsum("j,ij->i", self.coefficients.to_numpy(), rows)
        middle, lower, upper = delta_interval(eta, rows, self.covariance.to_numpy(), level, np.exp)
        name = self.histologies[0] if histology is None else histology
        return pd.DataFrame(
            {"histology": name, "exposure": x, "hazard_ratio": middle, "lower": lower, "upper": upper}
        )


def fit_cox(
    frame: pd.DataFrame,
    time: str,
    event: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    start: str | None = None,
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "strata",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    ties: str = "efron",
) -> CoxFit:
    """Fit a Cox proportional-hazards model by partial likelihood.

    Parameters
    ----------
    frame : DataFrame
        One row per subject; with `start` one row per interval (start, stop] of constant exposure. An exposure
        that accrues with time must come in intervals: its average until the event depends on when the event
        was (immortal-time bias).
    time, event : str
        Columns: end of follow-up or of the interval; 0/1.
    exposure, histology, shape, slopes, covariates, reference_exposure
        As in :func:`pkpd.response.fit_logistic`.
    start : str, optional
        Column: beginning of the interval.
    intercepts : {"strata", "separate", "common"}
        Each histology has a baseline hazard of its own; or one that is proportional to that of the first
        histology; or no difference.
    ties : {"efron", "breslow"}

    Returns
    -------
    CoxFit

    Raises
    ------
    InputError
        ``E_TIME_*``, ``E_INTERVAL*``, ``E_EVENT_NOT_LAST``, ``E_NO_EVENTS`` and those of
        :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MAXIMUM``, naming the coefficients that are infinite.

    References
    ----------
    Efron B. J Am Stat Assoc 1977;72:557-565, eq. 6.10 (ties). Andersen PK, Gill RD. Ann Stat
    1982;10:1100-1120.
    """
    for name, value, allowed in (
        ("intercepts", intercepts, ("strata", "separate", "common")),
        ("ties", ties, ("efron", "breslow")),
    ):
        if value not in allowed:
            raise InputError(
                "E_OPTION", f"{name}={value!r} is not supported.", f"Choose among {', '.join(allowed)}."
            )
    regressors, records = read_regressors(
        frame,
        exposure,
        histology,
        shape=shape,
        slopes=slopes,
        intercepts="contrast" if intercepts == "separate" and histology is not None else "none",
        covariates=covariates,
        reference_exposure=reference_exposure,
        unique_subjects=start is None,
    )
    ids = subjects_of(frame, unique=False)
    begin, stop, died = read_follow_up(frame, time, event, start, ids, positive=False)
    records.insert(1, "start", begin)
    records.insert(2, "stop", stop)
    records.insert(3, "event", died)
    x = design_of(regressors, records)
    if x.shape[1] == 0:
        raise InputError(
            "E_OPTION", "the model has no coefficient.", "Add an exposure, histology or covariate."
        )
    level = regressors.index_of(
        records["histology"].to_numpy() if histology is not None else ["all"] * len(x)
    )
    strata = level if intercepts == "strata" else np.zeros(len(x), dtype=np.int64)
    centred = x - x.mean(axis=0)
    plan = [
        _RiskSets.of(begin[strata == s], stop[strata == s], died[strata == s], ties)
        for s in np.unique(strata)
        if died[strata == s].any()
    ]
    columns = [centred[strata == s] for s in np.unique(strata) if died[strata == s].any()]
    optimum = climb(lambda b: _objective(b, columns, plan), np.zeros(x.shape[1]))
    infinite = optimum.unbounded(np.ptp(x, axis=0))
    if infinite.any() or not optimum.converged:
        names = [n for n, bad in zip(regressors.names, infinite, strict=True) if bad] or list(
            regressors.names
        )
        raise FitError(
            "E_NO_MAXIMUM",
            f"no finite maximum of the partial likelihood in {', '.join(names)}: a group without events, or a"
            " column that orders the events perfectly.",
            "Pool histologies, use slopes='common', or intercepts='strata'.",
        )
    null, _, _ = _objective(np.zeros(x.shape[1]), columns, plan)
    coefficients, covariance = labelled(regressors.names, optimum.point, optimum.covariance)
    return CoxFit(
        time=str(time),
        event=str(event),
        start=start,
        ties=ties,
        strata=intercepts == "strata",
        regressors=regressors,
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=optimum.value,
        null_log_likelihood=null,
        counts=survival_counts(records, regressors.histologies),
        records=records,
        converged=optimum.converged,
    )


@dataclass(frozen=True)
class _RiskSets:
    """Who is at risk at each death of a stratum, as positions into cumulative sums.

    ``by_stop`` and ``by_start`` sort rows downwards; the risk set of a time t is the first ``left`` rows of
    the former (stop >= t) less the first ``entered`` rows of the latter (start >= t).
    """

    by_stop: np.ndarray
    by_start: np.ndarray
    left: np.ndarray
    entered: np.ndarray
    deaths: np.ndarray  # rows, sorted by time
    first: np.ndarray  # where each distinct time begins among deaths
    at: np.ndarray  # distinct time of each death
    share: np.ndarray  # l/d of Efron, 0 for Breslow

    @staticmethod
    def of(start: np.ndarray, stop: np.ndarray, died: np.ndarray, ties: str) -> _RiskSets:
        deaths = np.flatnonzero(died == 1)
        deaths = deaths[np.argsort(stop[deaths], kind="stable")]
        times, first, at, d = np.unique(
            stop[deaths], return_index=True, return_inverse=True, return_counts=True
        )
        rank = np.arange(len(deaths)) - first[at]
        share = rank / d[at] if ties == "efron" else np.zeros(len(deaths))
        by_stop, by_start = np.argsort(-stop, kind="stable"), np.argsort(-start, kind="stable")
        left = np.searchsorted(-stop[by_stop], -times, side="right")
        entered = np.searchsorted(-start[by_start], -times, side="right")
        return _RiskSets(by_stop, by_start, left, entered, deaths, first, at, share)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of `values` over the risk set, less Efron's share of the deaths, one entry per death."""
        flat = np.zeros((1, *values.shape[1:]))
        leaving = np.concatenate([flat, np.cumsum(values[self.by_stop], axis=0)])
        entering = np.concatenate([flat, np.cumsum(values[self.by_start], axis=0)])
        at_risk = leaving[self.left] - entering[self.entered]
        dying = np.add.reduceat(values[self.deaths], self.first, axis=0)
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        return at_risk[self.at] - share * dying[self.at]


def _objective(b, columns, plan):
    p = len(b)
    value, gradient, hessian = 0.0, np.zeros(p), np.zeros((p, p))
    for x, sets in zip(columns, plan, strict=True):
        eta = np.einsum("ij,j->i", x, b)
        top = eta.max()
        risk = np.exp(eta - top)
        s0 = sets.sums(risk)
        if not np.all(s0 > 0):
            return -np.inf, gradient, hessian
        rx = risk[:, None] * x
        mean = sets.sums(rx) / s0[:, None]
        second = sets.sums(rx[:, :, None] * x[:, None, :]) / s0[:, None, None]
        value += float(np.sum(eta[sets.deaths] - top - np.log(s0)))
        gradient = gradient + np.sum(x[sets.deaths] - mean, axis=0)
        hessian = hessian - np.sum(second - mean[:, :, None] * mean[:, None, :], axis=0)
    return value, gradient, hessian
