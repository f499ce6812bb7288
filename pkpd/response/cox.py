"""Cox regression on exposure, also one that changes with time: counting process, Efron's or Breslow's ties, strata."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response.columns import label_of, subjects_of
from pkpd.response.curves import HazardRatios
from pkpd.response.estimates import labelled, normal_quantile
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.follow_up import (
    fixed_exposure,
    read_follow_up,
    refuse_without_events,
    survival_counts,
)
from pkpd.response.newton import climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.response.risk_sets import RiskSets, baseline_hazard, partial_likelihood, proportionality
from pkpd.results import result

__all__ = ["CoxFit", "fit_cox"]


@result
@dataclass(frozen=True)
class CoxFit(HazardRatios):
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
    proportional_hazards : DataFrame
        Score test that log hazard ratios do not change with time (as 1 − the Kaplan-Meier curve just before it): term
        (``histology``, ``slope``, each covariate, and ``all`` together), statistic, df, p_value.
    baseline : DataFrame
        Where all columns are 0: histology (``all`` without strata), time (of deaths, and the last of follow-up),
        cumulative_hazard, its variance at known coefficients, and ``mean[name]``, ∫ x̄ dΛ₀ of each column.
    counts : DataFrame
        histology, n (subjects), events.
    records : DataFrame
        Rows as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
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
    proportional_hazards: pd.DataFrame
    baseline: pd.DataFrame = field(repr=False)
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    def survival(
        self, histology: Any, exposure: float, times: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Survival probability at `times` for one histology and an exposure that stays as it is.

        Intervals on the scale of ln(−ln S), with the uncertainty of the baseline and of the coefficients (Tsiatis AA.
        Ann Stat 1981;9:93-108), as survival::survfit gives with ``conf.type="log-log"``.

        Returns
        -------
        DataFrame
            histology, exposure, time, survival, lower, upper; NaN after the last follow-up of the histology (of all
            without strata).
        """
        t = np.atleast_1d(np.asarray(times, dtype=float))
        if np.any(~(t >= 0)):
            raise InputError("E_TIME_NOT_POSITIVE", "times must be 0 or more.", "Correct them.")
        row = self.regressors.matrix(histology, exposure, covariates)[0]
        name = self.histologies[0] if histology is None else label_of(histology)
        own = self.baseline[self.baseline["histology"] == (name if self.strata else "all")]
        if own.empty:
            raise InputError(
                "E_NO_EVENTS",
                f"histology {name} has no event: no baseline.",
                "Pool it, or fit intercepts='common'.",
            )
        last = np.searchsorted(own["time"].to_numpy(), t, side="right") - 1
        table = np.vstack([np.zeros(2 + len(row)), own.iloc[:, 2:].to_numpy(float)])[last + 1]
        hazard, variance, mean = table[:, 0], table[:, 1], table[:, 2:]
        risk = float(np.exp(row @ self.coefficients.to_numpy()))
        away = hazard[:, None] * row - mean
        variance = variance + np.einsum("ij,jk,ik->i", away, self.covariance.to_numpy(), away)
        some = hazard > 0
        width = np.zeros(len(t))
        width[some] = normal_quantile(level) * np.sqrt(variance[some]) / hazard[some]
        over = t > own["time"].max()
        ends = [np.where(over, np.nan, np.exp(-risk * hazard * np.exp(w))) for w in (0.0, width, -width)]
        return pd.DataFrame(
            {"histology": name, "exposure": exposure, "time": t}
            | dict(zip(("survival", "lower", "upper"), ends, strict=True))
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
    known_at_start: bool = False,
    dose: str | None = None,
    randomised: bool = False,
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
    exposure, histology, shape, slopes, covariates, reference_exposure, dose, randomised
        As in :func:`pkpd.response.fit_logistic`.
    start : str, optional
        Column: beginning of the interval.
    intercepts : {"strata", "separate", "common"}
        Each histology has a baseline hazard of its own; or one that is proportional to that of the first
        histology; or no difference.
    ties : {"efron", "breslow"}
    known_at_start : bool
        An exposure without intervals was known when follow-up began (that of the planned dose, or of the first cycle where
        follow-up begins after it); otherwise ``W_EXPOSURE_FIXED`` warns.

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
    notes = fixed_exposure(exposure, known_at_start, start)
    ids = subjects_of(frame, unique=False)
    begin, stop, died = read_follow_up(frame, time, event, start, ids, positive=False)
    records.insert(1, "start", begin)
    records.insert(2, "stop", stop)
    records.insert(3, "event", died)
    x = design_of(regressors, records)
    counts = survival_counts(records, regressors.histologies)
    refuse_without_events(counts, regressors)
    if x.shape[1] == 0:
        raise InputError(
            "E_OPTION", "the model has no coefficient.", "Add an exposure, histology or covariate."
        )
    level = regressors.index_of(
        records["histology"].to_numpy() if histology is not None else ["all"] * len(x)
    )
    strata = level if intercepts == "strata" else np.zeros(len(x), dtype=np.int64)
    centred = x - x.mean(axis=0)
    present = [s for s in np.unique(strata) if died[strata == s].any()]
    plan = [RiskSets.of(begin[strata == s], stop[strata == s], died[strata == s], ties) for s in present]
    columns = [centred[strata == s] for s in present]
    optimum = climb(lambda b: partial_likelihood(b, columns, plan), np.zeros(x.shape[1]))
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
    null, _, _ = partial_likelihood(np.zeros(x.shape[1]), columns, plan)
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
        proportional_hazards=proportionality(
            optimum.point, columns, plan, begin, stop, died, regressors.names
        ),
        baseline=baseline_hazard(
            [regressors.histologies[s] if intercepts == "strata" else "all" for s in present],
            optimum.point,
            columns,
            plan,
            x.mean(axis=0),
            [float(stop[strata == s].max()) for s in present],
            regressors.names,
        ),
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=notes,
        evidence=stated_evidence(frame, dose, randomised, histology),
    )
