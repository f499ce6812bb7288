"""Random-effects summary of histology estimates: heterogeneity, mean, prediction."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.histology.normal_hierarchical import read_estimates
from pkpd.results import result

__all__ = ["MetaAnalysis", "estimator", "meta_analysis"]

FEW = 5  # below this many histologies τ² and I² are hardly estimated


@result
@dataclass(frozen=True)
class MetaAnalysis:
    """Random-effects meta-analysis of K estimates.

    Attributes
    ----------
    method, interval : str
        As asked for.
    tau2, tau2_se, tau2_lower, tau2_upper : float
        Between-histology variance, its asymptotic standard error (NaN for FE), and its 95 % Q-profile
        interval, which is the one to read.
    mu, se, lower, upper : float
        Mean over histologies, its standard error and 95 % interval.
    prediction_lower, prediction_upper : float
        95 % interval for the true effect in a histology not studied: mu ± c √(se² + τ²), c the quantile that
        goes with `interval` (normal, or t with K − 1 degrees of freedom).
    q, q_p_value : float
        Cochran's Q and its p-value on K − 1 degrees of freedom.
    i2, h2 : float
        Share of variation due to heterogeneity in percent, and total over sampling variability.
    table : DataFrame
        One row per histology: histology, estimate, se, weight (share, sums to 1), shrunken (empirical Bayes).
    effective_number : float
        1 / Σ weight²: how many equally weighted histologies the mean rests on.
    """

    method: str
    interval: str
    tau2: float
    tau2_se: float
    tau2_lower: float
    tau2_upper: float
    mu: float
    se: float
    lower: float
    upper: float
    prediction_lower: float
    prediction_upper: float
    q: float
    q_p_value: float
    i2: float
    h2: float
    table: pd.DataFrame
    effective_number: float


def meta_analysis(
    estimates: Sequence[float] | np.ndarray | pd.Series,
    standard_errors: Sequence[float] | np.ndarray | pd.Series,
    method: str = "PM",
    interval: str = "HK",
) -> MetaAnalysis:
    """Summarise independent histology estimates with a between-histology variance.

    For slopes and log ratios with usable standard errors; for tables of responders use
    :func:`pkpd.histology.permutation`, as Q is nearly blind where cells are zero.

    Parameters
    ----------
    estimates, standard_errors : sequence of float, shape (K,)
        The index of a Series names the histologies.
    method : {"PM", "DL", "REML", "FE"}
        Estimator of τ²: Paule-Mandel, DerSimonian-Laird, restricted maximum likelihood; FE sets it to 0.
    interval : {"HK", "HK-untruncated", "z"}
        Hartung-Knapp with the variance factor truncated at 1 (so that it never makes the interval shorter
        than the sampling errors allow), the original, or normal quantiles.

    Returns
    -------
    MetaAnalysis

    Raises
    ------
    InputError
        ``E_ESTIMATES``, ``E_STANDARD_ERRORS``, ``E_OPTION``.

    Warns
    -----
    PkpdWarning
        ``W_FEW_HISTOLOGIES`` below five: read the single intervals and that of τ², not I².

    References
    ----------
    Paule RC, Mandel J. J Res Natl Bur Stand 1982;87:377-385. DerSimonian R, Laird N. Control Clin Trials
    1986;7:177-188. Viechtbauer W. J Educ Behav Stat 2005;30:261-293 (REML, standard errors); Stat Med
    2007;26:37-52 (Q-profile). Hartung J, Knapp G. Stat Med 2001;20:3875-3889. Higgins JPT, Thompson
    SG. Stat Med 2002;21:1539-1558 (I², H²).
    """
    from scipy.special import gammaincc, ndtri, stdtrit

    y, covariance, names = read_estimates(estimates, standard_errors, None)
    v = np.diag(covariance)
    k = y.size
    tau2_of = estimator(method)
    if interval not in ("HK", "HK-untruncated", "z"):
        raise InputError(
            "E_OPTION", f"interval={interval!r} is not supported.", "Choose HK, HK-untruncated or z."
        )
    if k < FEW:
        warnings.warn(
            f"W_FEW_HISTOLOGIES: with {k} histologies between-histology variance and I² are hardly "
            "estimated; "
            "read the interval of τ².",
            PkpdWarning,
            stacklevel=2,
        )
    tau2 = tau2_of(y, v)
    w = 1 / (v + tau2)
    mu, se = float(w @ y / w.sum()), float(w.sum() ** -0.5)
    q = _q(y, v, 0.0)
    s1, s2 = float((1 / v).sum()), float((1 / v**2).sum())
    typical = (k - 1) * s1 / (s1**2 - s2)
    quantile = float(ndtri(0.975))
    if interval != "z":
        factor = float(w @ (y - mu) ** 2) / (k - 1)
        se *= math.sqrt(max(1.0, factor) if interval == "HK" else factor)
        quantile = float(stdtrit(k - 1, 0.975))
    spread = quantile * math.sqrt(se**2 + tau2)
    lower, upper = _q_profile(y, v)
    share = w / w.sum()
    return MetaAnalysis(
        method=method,
        interval=interval,
        tau2=tau2,
        tau2_se=_standard_error(method, v, tau2),
        tau2_lower=lower,
        tau2_upper=upper,
        mu=mu,
        se=se,
        lower=mu - quantile * se,
        upper=mu + quantile * se,
        prediction_lower=mu - spread,
        prediction_upper=mu + spread,
        q=q,
        q_p_value=float(gammaincc((k - 1) / 2, q / 2)),
        i2=100 * tau2 / (tau2 + typical) if method != "FE" else 100 * max(0.0, (q - (k - 1)) / q),
        h2=tau2 / typical + 1 if method != "FE" else q / (k - 1),
        table=pd.DataFrame(
            {
                "histology": names,
                "estimate": y,
                "se": np.sqrt(v),
                "weight": share,
                "shrunken": (tau2 * y + v * mu) / (tau2 + v),
            }
        ),
        effective_number=float(1 / (share @ share)),
    )


def estimator(method: str) -> Callable[[np.ndarray, np.ndarray], float]:
    """τ² as a function of estimates and their variances, by the name of the method."""
    if method not in _ESTIMATORS:
        raise InputError(
            "E_OPTION", f"method={method!r} is not supported.", f"Choose {', '.join(_ESTIMATORS)}."
        )
    return _ESTIMATORS[method]


def _q(y: np.ndarray, v: np.ndarray, tau2: float) -> float:
    w = 1 / (v + tau2)
    return float(w @ (y - w @ y / w.sum()) ** 2)


def _solve_q(y: np.ndarray, v: np.ndarray, target: float) -> float:
    """τ² at which the generalised Q equals `target`; 0 where Q is below it already at τ² = 0."""
    from scipy.optimize import brentq

    if _q(y, v, 0.0) <= target:
        return 0.0
    high = float(v.max() + np.var(y))
    while _q(y, v, high) > target:
        high *= 4
    return float(brentq(lambda t: _q(y, v, t) - target, 0.0, high, xtol=1e-300, rtol=1e-14, maxiter=500))


def _paule_mandel(y: np.ndarray, v: np.ndarray) -> float:
    return _solve_q(y, v, y.size - 1.0)


def _dersimonian_laird(y: np.ndarray, v: np.ndarray) -> float:
    s1, s2 = float((1 / v).sum()), float((1 / v**2).sum())
    return max(0.0, (_q(y, v, 0.0) - (y.size - 1)) / (s1 - s2 / s1))


def _reml(y: np.ndarray, v: np.ndarray) -> float:
    from scipy.optimize import brentq

    def log_likelihood(tau2: float) -> float:
        w = 1 / (v + tau2)
        return 0.5 * float(np.log(w).sum() - math.log(w.sum()) - w @ (y - w @ y / w.sum()) ** 2)

    def score(tau2: float) -> float:
        w = 1 / (v + tau2)
        mu = w @ y / w.sum()
        return float(-w.sum() + (w @ w) / w.sum() + (w * w) @ (y - mu) ** 2)

    # the score may have several roots: take the best of all that a fine grid brackets, and the boundary
    top = 10 * float(v.max() + np.var(y))
    grid = np.concatenate([[0.0], np.geomspace(1e-10 * top, top, 200)])
    w = 1 / (v + grid[:, None])
    total = w.sum(axis=1)
    squares = (y - ((w @ y) / total)[:, None]) ** 2
    values = -total + (w**2).sum(axis=1) / total + (w**2 * squares).sum(axis=1)
    candidates = [0.0]
    for i in np.flatnonzero((values[:-1] > 0) & (values[1:] <= 0)):
        candidates.append(float(brentq(score, grid[i], grid[i + 1], xtol=1e-300, rtol=1e-14, maxiter=500)))
    return max(candidates, key=log_likelihood)


def _standard_error(method: str, v: np.ndarray, tau2: float) -> float:
    """Asymptotic standard error of τ² (Viechtbauer 2005), P = W − W11'W / Σw."""
    k = v.size
    w = 1 / (v if method == "DL" else v + tau2)
    trace_p = float(w.sum() - w @ w / w.sum())
    trace_pp = float(w @ w - 2 * (w**3).sum() / w.sum() + (w @ w / w.sum()) ** 2)
    if method == "DL":
        return math.sqrt(2 * (k - 1) + 4 * tau2 * trace_p + 2 * tau2**2 * trace_pp) / trace_p
    if method == "REML":
        return math.sqrt(2 / trace_pp)
    if method == "PM":
        return math.sqrt(2 * k**2 / (k - 1)) / float(w.sum())
    return math.nan


def _fixed_effect(y: np.ndarray, v: np.ndarray) -> float:
    return 0.0


_ESTIMATORS: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "PM": _paule_mandel,
    "DL": _dersimonian_laird,
    "REML": _reml,
    "FE": _fixed_effect,
}


def _q_profile(y: np.ndarray, v: np.ndarray) -> tuple[float, float]:
    from scipy.special import gammainccinv

    half = (y.size - 1) / 2
    return _solve_q(y, v, 2 * float(gammainccinv(half, 0.025))), _solve_q(
        y, v, 2 * float(gammainccinv(half, 0.975))
    )
