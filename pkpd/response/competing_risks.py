"""Fine-Gray regression: exposure and the cumulative incidence of one of several competing events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.response.columns import named_subjects, numbers_of
from pkpd.response.competing_incidence import causes_of, cumulative_incidence
from pkpd.response.curves import HazardRatios
from pkpd.response.estimates import labelled, normal_quantile
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.follow_up import fixed_exposure, refuse_without_events
from pkpd.response.newton import climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result

__all__ = ["CompetingRisksFit", "fit_competing_risks"]


@result
@dataclass(frozen=True)
class CompetingRisksFit(HazardRatios):
    """A fitted proportional subdistribution hazards model.

    Attributes
    ----------
    time, cause : str
        Columns.
    of : int
        The cause of interest.
    regressors : Regressors
        Columns of the log subdistribution hazard ratio.
    coefficients : Series
        ``histology[k]`` (against the first histology), ``slope[k]``, covariates.
    covariance : DataFrame
        Fine and Gray's sandwich, which accounts for the estimated censoring distribution.
    log_likelihood, null_log_likelihood : float
        Weighted partial likelihoods at the estimates and at zero.
    baseline : DataFrame
        Of the subdistribution, where all columns are 0: time, cumulative_hazard, its variance at known coefficients, and
        per column ``mean[name]``, ∫ x̄ dΛ₀, and ``covariance[name]`` of the hazard with the coefficient.
    incidence : DataFrame
        Aalen-Johansen cumulative incidence per histology: histology, time, incidence, se, lower, upper (95 %).
    counts : DataFrame
        histology, n, events (cause of interest), competing.
    records : DataFrame
        The subjects as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    time: str
    cause: str
    of: int
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    null_log_likelihood: float
    baseline: pd.DataFrame = field(repr=False)
    incidence: pd.DataFrame
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    def probability(
        self, histology: Any, exposure: Any, at: float, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Cumulative incidence of the cause of interest by time `at`: 1 − exp(−Λ₀(at) e^η).

        Returns
        -------
        ndarray, shape (n,) or, for coefficients of shape (d, p), (d, n)
            The baseline is held at its estimate. NaN after the last follow-up.
        """
        rows = self.regressors.matrix(histology, exposure, covariates)
        beta = self._matrix_for(coefficients, rows.shape[1])
        hazard = self._baseline_at(at)[0]
        return -np.expm1(-hazard * np.exp(np.einsum("...j,ij->...i", beta, rows)))

    def curve(
        self, histology: Any, exposures: Any, at: float, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Cumulative incidence of the cause of interest by time `at` along exposures.

        Intervals on the scale of ln(−ln(1 − F)), with the uncertainty of the baseline, of the coefficients and of the
        censoring distribution (the influence function of Fine and Gray's section 5).

        Returns
        -------
        DataFrame
            histology, exposure, probability, lower, upper; NaN after the last follow-up.
        """
        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.regressors.matrix(histology, x, covariates)
        p = rows.shape[1]
        known = self._baseline_at(at)
        hazard = known[0]
        away = hazard * rows - known[2 : 2 + p]
        variance = known[1] + 2 * away @ known[2 + p :]
        variance = variance + np.einsum("ij,jk,ik->i", away, self.covariance.to_numpy(), away)
        width = np.zeros(len(rows)) if hazard == 0 else normal_quantile(level) * np.sqrt(variance) / hazard
        whole = hazard * np.exp(np.einsum("j,ij->i", self.coefficients.to_numpy(), rows))
        middle, lower, upper = (-np.expm1(-whole * np.exp(w)) for w in (0.0, -width, width))
        name = self.histologies[0] if histology is None else histology
        return pd.DataFrame(
            {"histology": name, "exposure": x, "probability": middle, "lower": lower, "upper": upper}
        )

    def _baseline_at(self, at: float) -> np.ndarray:
        """Row of the baseline at a time, without its time."""
        if not at >= 0:
            raise InputError("E_TIME_NOT_POSITIVE", f"at={at!r} is no time of follow-up.", "Give 0 or more.")
        table = self.baseline.iloc[:, 1:].to_numpy(float)
        if at > self.records["time"].max():
            return np.full(table.shape[1], np.nan)
        last = np.searchsorted(self.baseline["time"].to_numpy(), at, side="right")
        return np.vstack([np.zeros(table.shape[1]), table])[last]


def fit_competing_risks(
    frame: pd.DataFrame,
    time: str,
    cause: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    of: int = 1,
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    known_at_start: bool = False,
    dose: str | None = None,
    randomised: bool = False,
) -> CompetingRisksFit:
    """Fit Fine and Gray's model with inverse-probability-of-censoring weights.

    Parameters
    ----------
    frame, exposure, histology, shape, slopes, covariates, reference_exposure, dose, randomised
        As in :func:`pkpd.response.fit_logistic`.
    time, cause : str
        Columns: follow-up, positive; 0 censored, 1, 2 … the cause.
    of : int
        The cause of interest.
    intercepts : {"separate", "common"}
        Whether histologies differ by a factor on the subdistribution hazard.
    known_at_start : bool
        As in :func:`pkpd.response.fit_cox`.

    Returns
    -------
    CompetingRisksFit

    Raises
    ------
    InputError
        ``E_CAUSE_*``, ``E_TIME_*``, ``E_NO_EVENTS`` and those of :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MAXIMUM``, naming the coefficients that are infinite.

    References
    ----------
    Fine JP, Gray RJ. J Am Stat Assoc 1999;94:496-509, eqs. 6-8. Censoring is taken to be independent of the columns
    (one Kaplan-Meier curve); ties as Breslow.
    """
    if intercepts not in ("separate", "common"):
        raise InputError("E_OPTION", f"intercepts={intercepts!r}.", "Choose among separate, common.")
    regressors, records = read_regressors(
        frame,
        exposure,
        histology,
        shape=shape,
        slopes=slopes,
        intercepts="contrast" if intercepts == "separate" and histology is not None else "none",
        covariates=covariates,
        reference_exposure=reference_exposure,
    )
    notes = fixed_exposure(exposure, known_at_start)
    ids = records["ID"].to_numpy()
    t = numbers_of(frame, time, ids, "E_TIME", "time")
    if (t <= 0).any():
        raise InputError(
            "E_TIME_NOT_POSITIVE",
            f"time {time} is not positive for {named_subjects(ids, t <= 0)}.",
            "Correct it.",
        )
    codes = causes_of(frame, cause, ids, of)
    records.insert(1, "time", t)
    records.insert(2, "cause", codes)
    x = design_of(regressors, records)
    if x.shape[1] == 0:
        raise InputError(
            "E_OPTION", "the model has no coefficient.", "Add an exposure, histology or covariate."
        )
    marks = pd.DataFrame(
        {"histology": records["histology"], "this": codes == of, "other": (codes > 0) & (codes != of)}
    )
    grouped = marks.groupby("histology").agg(
        n=("this", "size"), events=("this", "sum"), competing=("other", "sum")
    )
    counts = grouped.reindex(list(regressors.histologies)).reset_index()
    refuse_without_events(counts, regressors)
    centre = x.mean(axis=0)
    risk = _WeightedRisk.build(t, codes, of)
    optimum = climb(lambda b: risk.likelihood(b, x - centre), np.zeros(x.shape[1]))
    infinite = optimum.unbounded(np.ptp(x, axis=0))
    if infinite.any() or not optimum.converged:
        names = [n for n, bad in zip(regressors.names, infinite, strict=True) if bad] or list(
            regressors.names
        )
        raise FitError(
            "E_NO_MAXIMUM",
            f"no finite maximum of the partial likelihood in {', '.join(names)}: a group without events of cause {of}.",
            "Pool histologies, or use slopes='common'.",
        )
    covariance, path = risk.sandwich(optimum.point, x - centre, optimum.covariance)
    coefficients, table = labelled(regressors.names, optimum.point, covariance)
    return CompetingRisksFit(
        time=str(time),
        cause=str(cause),
        of=int(of),
        regressors=regressors,
        coefficients=coefficients,
        covariance=table,
        log_likelihood=optimum.value,
        null_log_likelihood=risk.likelihood(np.zeros(x.shape[1]), x)[0],
        baseline=_at_zero(risk.times, path, centre, optimum.point, regressors.names),
        incidence=cumulative_incidence(frame, time, cause, histology, of=of),
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=notes,
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


@dataclass(frozen=True)
class _WeightedRisk:
    """Weights of subjects in the risk set at each distinct time of the cause of interest.

    A subject who had a competing event stays at risk with weight G(t−)/G(T−), G the Kaplan-Meier curve of censoring.
    """

    time: np.ndarray
    codes: np.ndarray
    of: int
    times: np.ndarray  # (m,)
    deaths: np.ndarray  # (m,) events of the cause of interest at each time
    weight: np.ndarray  # (m, n)

    @staticmethod
    def build(time: np.ndarray, codes: np.ndarray, of: int) -> _WeightedRisk:
        times, deaths = np.unique(time[codes == of], return_counts=True)
        before = _censoring_before(time, codes)
        competing = (codes > 0) & (codes != of)
        gone = time[None, :] < times[:, None]
        share = before(times)[:, None] / np.where(competing, before(time), 1.0)[None, :]
        weight = np.where(gone, np.where(competing[None, :], share, 0.0), 1.0)
        return _WeightedRisk(time, codes, of, times, deaths.astype(float), weight)

    def _moments(self, b: np.ndarray, x: np.ndarray):
        eta = np.einsum("ij,j->i", x, b)
        risk = np.exp(eta)
        weighted = self.weight * risk
        s0 = weighted.sum(axis=1)
        mean = np.einsum("ti,ij->tj", weighted, x) / s0[:, None]
        return eta, risk, weighted, s0, mean

    def likelihood(self, b: np.ndarray, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        """Weighted log partial likelihood, gradient, Hessian."""
        p = len(b)
        if np.abs(x @ b).max() > 300:
            return -np.inf, np.zeros(p), np.zeros((p, p))
        eta, _, weighted, s0, mean = self._moments(b, x)
        died = self.codes == self.of
        value = float(eta[died].sum() - self.deaths @ np.log(s0))
        gradient = x[died].sum(axis=0) - np.einsum("t,tj->j", self.deaths, mean)
        per_subject = np.einsum("t,ti->i", self.deaths / s0, weighted)
        second = np.einsum("ij,ik->jk", x, per_subject[:, None] * x)
        hessian = -second + np.einsum("tj,tk->jk", mean, self.deaths[:, None] * mean)
        return value, gradient, hessian

    def sandwich(self, b: np.ndarray, x: np.ndarray, inverse: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Fine and Gray's variance of the coefficients, and the path of the baseline hazard with its moments.

        Both are sums over subjects of squared influences: that of the score (their section 4) and that of Λ₀(t) at known
        coefficients (their section 5). The path has per time Λ₀, its variance, ∫ x̄ dΛ₀ and its covariance with b.
        """
        _, risk, _, s0, mean = self._moments(b, x)
        died = self.codes == self.of
        jumps = self.deaths / s0
        # η_i = ∫ (x_i − x̄(u)) w_i(u) dM_i(u), and for Λ₀: ∫ w_i(u) dM_i(u) / S₀(u)
        spread = self.weight * risk * jumps[:, None]  # (m, n): w_i e^η_i dΛ
        eta = -(spread.sum(axis=0)[:, None] * x - np.einsum("ti,tj->ij", spread, mean))
        position = np.searchsorted(self.times, self.time[died])
        eta[died] += x[died] - mean[position]
        rise = -spread / s0[:, None]
        rise[position, np.flatnonzero(died)] += 1 / s0[position]
        path = np.cumsum(rise, axis=0).T  # (n, m)
        # ψ_i = ∫ q(u)/π(u) dM^c_i(u): what estimating G adds
        censored = self.codes == 0
        moments, at = np.unique(self.time[censored], return_inverse=True)
        if moments.size:
            left = len(self.time) - np.searchsorted(np.sort(self.time), moments, side="left")
            share = np.bincount(at) / left
            competing = (self.codes > 0) & ~died
            # q(u) = −Σ_{i: T_i < u} ∫_{s ≥ u} (x_i − x̄(s)) w_i(s) dM_i(s), where only competing events have weight
            q, r = np.zeros((len(moments), x.shape[1])), np.zeros((len(moments), len(self.times)))
            for c, u in enumerate(moments):
                rows = self.times >= u
                who = competing & (self.time < u)
                part = spread[np.ix_(rows, who)]
                q[c] = part.sum(axis=0) @ x[who] - part.sum(axis=1) @ mean[rows]
                r[c, rows] = np.cumsum(part.sum(axis=1) / s0[rows])
            until = np.searchsorted(moments, self.time, side="right")
            for influence, moment in ((eta, q), (path, r)):
                ratio = moment / left[:, None]
                influence[censored] += ratio[at]
                drift = np.vstack([np.zeros(moment.shape[1]), np.cumsum(ratio * share[:, None], axis=0)])
                influence -= drift[until]
        own = np.einsum("ij,jk->ik", eta, inverse)
        return np.einsum("ij,ik->jk", own, own), np.column_stack(
            [
                np.cumsum(jumps),
                np.einsum("it,it->t", path, path),
                np.cumsum(jumps[:, None] * mean, axis=0),
                np.einsum("it,ij->tj", path, own),
            ]
        )


def _at_zero(times: np.ndarray, path: np.ndarray, centre: np.ndarray, b: np.ndarray, names) -> pd.DataFrame:
    """The path of the baseline hazard, moved from the centre of the columns to where they are 0."""
    p = len(b)
    shift = np.exp(-float(centre @ b))
    table = path * shift
    table[:, 1] *= shift
    table[:, 2 : 2 + p] += table[:, [0]] * centre
    heads = [
        "cumulative_hazard",
        "variance",
        *(f"{what}[{n}]" for what in ("mean", "covariance") for n in names),
    ]
    frame = pd.DataFrame(table, columns=heads)
    frame.insert(0, "time", times)
    return frame


def _censoring_before(time: np.ndarray, codes: np.ndarray):
    """Kaplan-Meier curve of censoring, as a function that gives its left limit."""
    moments, count = np.unique(time[codes == 0], return_counts=True)
    left = len(time) - np.searchsorted(np.sort(time), moments, side="left")
    curve = np.r_[1.0, np.cumprod(1 - count / left)]

    def before(t: np.ndarray) -> np.ndarray:
        return curve[np.searchsorted(moments, t, side="left")]

    return before
