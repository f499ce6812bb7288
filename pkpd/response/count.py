"""Exposure-response of counts: Poisson and negative binomial (NB2, Var = μ + μ²/θ) regression with follow-up time."""

from __future__ import annotations

import warnings as _warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import named_subjects, numbers_of
from pkpd.response.curves import Curves
from pkpd.response.estimates import labelled
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.likelihood_ratio import LikelihoodRatio, chi2_p_value
from pkpd.response.newton import climb
from pkpd.response.regressors import Regressors, design_of, read_regressors
from pkpd.results import result

__all__ = ["CountFit", "fit_count"]

LARGEST = 20.0  # of ln θ: a variance within 1e-8 of Poisson's


@result
@dataclass(frozen=True)
class CountFit(Curves):
    """A fitted count regression: ln(rate) = intercept[k] + slope[k]·f(exposure) + covariates.

    Attributes
    ----------
    response : str
        Column of the count.
    family : str
        ``"poisson"`` or ``"negative_binomial"``.
    regressors : Regressors
        Columns of the linear predictor.
    coefficients : Series
        ln rate (per unit of follow-up), and ``log_theta`` for the negative binomial.
    covariance : DataFrame
        Inverse of Fisher's information: for the negative binomial the expected one of the coefficients, in which θ is
        uncorrelated with them, and the observed one of θ, as MASS::glm.nb gives.
    log_likelihood : float
        With all constants (log y! included).
    overdispersion : LikelihoodRatio
        Poisson against negative binomial: ½χ²₀ + ½χ²₁, since 1/θ = 0 is on the boundary.
    counts : DataFrame
        histology, n, events (sum of counts), follow_up (sum).
    records : DataFrame
        The subjects as used.
    converged : bool
    warnings : tuple of str
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    response: str
    family: str
    regressors: Regressors
    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float
    overdispersion: LikelihoodRatio
    counts: pd.DataFrame
    records: pd.DataFrame
    converged: bool
    warnings: tuple[str, ...] = ()
    evidence: str = UNSTATED

    @property
    def theta(self) -> float:
        """Size of the negative binomial; infinite for Poisson."""
        return float(np.exp(self.coefficients["log_theta"])) if self.family != "poisson" else float("inf")

    def _scale_of(self, name: str) -> str:
        return "log"

    def rate(
        self, histology: Any, exposure: Any, coefficients: Any = None, *, covariates: Any = None
    ) -> np.ndarray:
        """Expected count per unit of follow-up, shape (n,) or, for coefficients of shape (d, p), (d, n)."""
        rows = self.regressors.matrix(histology, exposure, covariates)
        beta = self._matrix_for(coefficients, len(self.coefficients))
        return np.exp(np.einsum("...j,ij->...i", beta[..., : rows.shape[1]], rows))

    def curve(
        self, histology: Any, exposures: Any, level: float = 0.90, *, covariates: Any = None
    ) -> pd.DataFrame:
        """Rate along exposures, intervals by the delta method on the log scale.

        Returns
        -------
        DataFrame
            histology, exposure, rate, lower, upper.
        """
        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.regressors.matrix(histology, x, covariates)
        return self._linear(histology, x, "rate", rows, level, np.exp)


def fit_count(
    frame: pd.DataFrame,
    response: str,
    exposure: str | None,
    histology: str | None = None,
    *,
    family: str = "negative_binomial",
    follow_up: str | None = None,
    shape: str = "linear",
    slopes: str = "separate",
    intercepts: str = "separate",
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    dose: str | None = None,
    randomised: bool = False,
) -> CountFit:
    """Fit a Poisson or negative binomial regression by maximum likelihood.

    Parameters
    ----------
    frame, exposure, histology, shape, slopes, intercepts, covariates, reference_exposure, dose, randomised
        As in :func:`pkpd.response.fit_logistic`.
    response : str
        Column of counts, 0, 1, 2 …
    family : {"negative_binomial", "poisson"}
    follow_up : str, optional
        Column with the time at risk; the rate is per unit of it. 1 for all without it.

    Returns
    -------
    CountFit

    Raises
    ------
    InputError
        ``E_COUNT_*``, ``E_FOLLOW_UP_*`` and those of :func:`pkpd.response.fit_logistic`.
    FitError
        ``E_NO_MAXIMUM``, naming histologies without any event.

    References
    ----------
    Lawless JF. Can J Stat 1987;15:209-225, eq. 2.2 (likelihood of NB2).
    """
    if family not in ("negative_binomial", "poisson"):
        raise InputError(
            "E_OPTION", f"family={family!r} is not supported.", "Choose negative_binomial or poisson."
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
    ids = records["ID"].to_numpy()
    y = numbers_of(frame, response, ids, "E_COUNT", "count")
    strange = (y < 0) | (y != np.floor(y))
    if strange.any():
        raise InputError(
            "E_COUNT_NOT_WHOLE",
            f"count {response} is negative or not whole for {named_subjects(ids, strange)}.",
            "Correct it; rates belong into counts with follow_up=.",
        )
    time = np.ones(len(y))
    if follow_up is not None:
        time = numbers_of(frame, follow_up, ids, "E_FOLLOW_UP", "follow-up")
        if (time <= 0).any():
            raise InputError(
                "E_FOLLOW_UP_NOT_POSITIVE",
                f"follow-up {follow_up} is zero or negative for {named_subjects(ids, time <= 0)}.",
                "Leave subjects without time at risk out.",
            )
    records.insert(1, "response", y)
    records.insert(2, "follow_up", time)
    x = design_of(regressors, records)
    counts = _counts(records, regressors)
    empty = counts.loc[counts["events"] == 0, "histology"].tolist()
    separate = regressors.intercepts == "separate" or regressors.slopes == "separate"
    if (empty and separate) or y.max() == 0:
        raise FitError(
            "E_NO_MAXIMUM",
            f"no event at all in histology {', '.join(empty)}: its rate has no finite estimate.",
            "Share intercept and slope (intercepts='common', slopes='common'), pool it, or fit any event with"
            " fit_logistic.",
        )
    offset = np.log(time)
    # the linear predictor that is flat at the mean rate, by least squares
    flat = np.full(len(y), np.log(y.sum() / time.sum()))
    start = np.linalg.lstsq(x, flat, rcond=None)[0]
    poisson = climb(lambda b: _poisson(b, y, x, offset), start)
    optimum = poisson
    names = list(regressors.names)
    notes: list[str] = []
    nan = float("nan")
    test = LikelihoodRatio(nan, 1, nan, nan, nan, 0, "overdispersion")
    if family == "negative_binomial":
        optimum, test = _negative_binomial(y, x, offset, poisson)
        names.append("log_theta")
        if test.statistic < 1e-6 or optimum.point[-1] >= LARGEST - 1:
            raise FitError(
                "E_NO_OVERDISPERSION",
                f"counts {response} vary no more than Poisson's: θ is infinite.",
                "Fit family='poisson'.",
            )
    if not optimum.converged:
        notes.append("W_NOT_CONVERGED: the likelihood could not be maximised to full accuracy.")
    pearson = float(
        np.sum((y - np.exp(x @ poisson.point + offset)) ** 2 / np.exp(x @ poisson.point + offset))
    )
    df = len(y) - x.shape[1]
    if family == "poisson" and df > 0 and pearson / df > 1.5:
        notes.append(
            f"W_OVERDISPERSION: Pearson's χ² is {pearson:.1f} at {df} degrees of freedom; standard errors of a"
            " Poisson model are too small here. Fit family='negative_binomial'."
        )
    for note in notes:
        _warnings.warn(note, PkpdWarning, stacklevel=2)
    inverse = optimum.covariance if family == "poisson" else _nb2_covariance(optimum.point, y, x, offset)
    coefficients, covariance = labelled(names, optimum.point, inverse)
    return CountFit(
        response=str(response),
        family=family,
        regressors=regressors,
        coefficients=coefficients,
        covariance=covariance,
        log_likelihood=optimum.value,
        overdispersion=test,
        counts=counts,
        records=records,
        converged=optimum.converged,
        warnings=tuple(notes),
        evidence=stated_evidence(frame, dose, randomised, histology),
    )


def _counts(records: pd.DataFrame, regressors: Regressors) -> pd.DataFrame:
    grouped = records.groupby("histology")
    sums = grouped[["response", "follow_up"]].sum().reindex(list(regressors.histologies))
    return pd.DataFrame(
        {
            "histology": list(regressors.histologies),
            "n": grouped.size().reindex(list(regressors.histologies)).to_numpy(),
            "events": sums["response"].to_numpy().astype(np.int64),
            "follow_up": sums["follow_up"].to_numpy(),
        }
    )


def _poisson(b, y, x, offset):
    from scipy.special import gammaln

    eta = x @ b + offset
    if eta.max() > 500:
        return -np.inf, np.zeros_like(b), np.zeros((len(b), len(b)))
    mu = np.exp(eta)
    value = float(np.sum(y * eta - mu - gammaln(y + 1)))
    return value, np.einsum("ij,i->j", x, y - mu), -np.einsum("ij,ik->jk", x, mu[:, None] * x)


def _negative_binomial(y, x, offset, poisson):
    mu = np.exp(x @ poisson.point + offset)
    spread = np.sum((y - mu) ** 2 - mu) / np.sum(mu**2)  # moment estimate of 1/θ
    begin = np.log(1 / spread) if spread > 1e-3 else 5.0
    found = climb(lambda b: _nb2(b, y, x, offset), np.r_[poisson.point, min(begin, 8.0)])
    statistic = max(2 * (found.value - poisson.value), 0.0)
    p_value = 0.5 * chi2_p_value(statistic, 1) if statistic > 0 else 1.0
    return found, LikelihoodRatio(statistic, 1, p_value, p_value, float("nan"), 0, "overdispersion")


def _nb2(b, y, x, offset):
    """L = Σ lnΓ(y+θ) − lnΓ(θ) − ln y! + θ ln θ + y ln μ − (y+θ) ln(μ+θ), in β and ln θ."""
    from scipy.special import digamma, gammaln, polygamma

    p = len(b)
    eta = x @ b[:-1] + offset
    if eta.max() > 500 or abs(b[-1]) > LARGEST:
        return -np.inf, np.zeros(p), np.zeros((p, p))
    mu, theta = np.exp(eta), float(np.exp(b[-1]))
    both = mu + theta
    value = float(
        np.sum(
            gammaln(y + theta) - gammaln(theta) - gammaln(y + 1)
            + y * (eta - np.log(both)) - theta * np.log1p(mu / theta)
        )
    )  # fmt: skip
    d_eta = theta * (y - mu) / both
    d2_eta = -theta * mu * (y + theta) / both**2
    d_theta = np.sum(digamma(y + theta) - digamma(theta) - np.log1p(mu / theta) + (mu - y) / both)
    d2_theta = np.sum(
        polygamma(1, y + theta) - polygamma(1, theta) + mu / (theta * both) + (y - mu) / both**2
    )
    cross = (y - mu) * mu / both**2
    gradient = np.r_[np.einsum("ij,i->j", x, d_eta), theta * d_theta]
    hessian = np.empty((p, p))
    hessian[:-1, :-1] = np.einsum("ij,ik->jk", x, d2_eta[:, None] * x)
    hessian[-1, :-1] = hessian[:-1, -1] = theta * np.einsum("ij,i->j", x, cross)
    hessian[-1, -1] = theta * d_theta + theta**2 * d2_theta
    return value, gradient, hessian


def _nb2_covariance(b, y, x, offset) -> np.ndarray:
    """Inverse of E[−∂²L/∂β²] and −∂²L/∂θ² (the mixed derivative is 0 in expectation), in β and ln θ."""
    mu, theta = np.exp(x @ b[:-1] + offset), float(np.exp(b[-1]))
    hessian = _nb2(b, y, x, offset)[2]
    out = np.zeros_like(hessian)
    out[:-1, :-1] = np.linalg.inv(np.einsum("ij,ik->jk", x, (mu * theta / (mu + theta))[:, None] * x))
    out[-1, -1] = -1 / hessian[-1, -1]
    return out
