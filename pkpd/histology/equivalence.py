"""Equivalence and minimum-effect statement about one ratio, in three states."""

from __future__ import annotations

import math
from dataclasses import dataclass

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["Equivalence", "equivalence"]


@result
@dataclass(frozen=True)
class Equivalence:
    """What a (1 − 2α) interval says about a margin.

    Attributes
    ----------
    state : str
        ``equivalent``: the interval lies inside the margin (two one-sided tests reject at α). ``different``:
        it lies wholly outside. ``inconclusive``: neither. A difference that is not significant is *not*
        equivalence.
    ratio, lower, upper : float
        Estimate and (1 − 2α) interval on the ratio scale.
    p_value : float
        Of the two one-sided tests: the larger of the two.
    p_different : float
        One-sided p-value that the ratio lies outside the margin, on the side of the estimate.
    margin : tuple of float
        On the ratio scale.
    alpha : float
        One-sided level.
    """

    state: str
    ratio: float
    lower: float
    upper: float
    p_value: float
    p_different: float
    margin: tuple[float, float]
    alpha: float


def equivalence(
    log_estimate: float,
    log_standard_error: float,
    margin: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
    df: float | None = None,
) -> Equivalence:
    """Two one-sided tests of a log ratio against a margin.

    Use an unshrunk contrast: shrinkage makes equivalence too easy.

    Parameters
    ----------
    log_estimate, log_standard_error : float
        Estimate of the log ratio and its standard error.
    margin : tuple of float
        (L, U) on the ratio scale, 0 < L < 1 < U.
    alpha : float
        Level of each one-sided test; 0.05 goes with a 90 % interval.
    df : float, optional
        Degrees of freedom of Student's t; without it the normal distribution.

    Returns
    -------
    Equivalence

    Raises
    ------
    InputError
        ``E_MARGIN_BOUNDS``, ``E_STANDARD_ERRORS``, ``E_ESTIMATES``, ``E_OPTION``.

    References
    ----------
    Schuirmann DJ. J Pharmacokinet Biopharm 1987;15:657-680.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    low, high = float(margin[0]), float(margin[1])
    if not 0 < low < 1 < high:
        raise InputError(
            "E_MARGIN_BOUNDS", f"margin {margin!r} must be (L, U) with 0 < L < 1 < U.", "Use (0.80, 1.25)."
        )
    if not math.isfinite(log_estimate):
        raise InputError("E_ESTIMATES", f"log estimate is {log_estimate!r}.", "Give a finite log ratio.")
    if not (math.isfinite(log_standard_error) and log_standard_error > 0):
        raise InputError(
            "E_STANDARD_ERRORS",
            f"standard error is {log_standard_error!r}.",
            "Give the standard error of the log ratio; the reference itself has none to test.",
        )
    if not 0 < alpha < 0.5 or (df is not None and not df > 0):
        raise InputError("E_OPTION", f"alpha={alpha!r}, df={df!r}.", "Give 0 < alpha < 0.5 and df > 0.")
    quantile = float(ndtri(1 - alpha) if df is None else stdtrit(df, 1 - alpha))

    def cdf(z: float) -> float:
        return float(ndtr(z) if df is None else stdtr(df, z))

    above_low = (log_estimate - math.log(low)) / log_standard_error
    below_high = (math.log(high) - log_estimate) / log_standard_error
    lower = log_estimate - quantile * log_standard_error
    upper = log_estimate + quantile * log_standard_error
    if math.log(low) < lower and upper < math.log(high):
        state = "equivalent"
    elif upper < math.log(low) or math.log(high) < lower:
        state = "different"
    else:
        state = "inconclusive"
    return Equivalence(
        state=state,
        ratio=math.exp(log_estimate),
        lower=math.exp(lower),
        upper=math.exp(upper),
        p_value=max(cdf(-above_low), cdf(-below_high)),
        p_different=min(cdf(above_low), cdf(below_high)),
        margin=(low, high),
        alpha=alpha,
    )
