"""What a number of patients can decide: power of the statements that the decision table is made of."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.results import result

__all__ = [
    "ResponsePower",
    "detectable_differences",
    "minimum_detectable_loss",
    "minimum_detectable_ratio",
    "n_for_equivalence",
    "power_different",
    "power_equivalent",
    "power_response",
]

LARGEST_N = 100_000
QUANTILES = 100  # of the reference's posterior: the mean over them is exact to 1e-4


def power_equivalent(
    n: float,
    n_reference: float,
    cv: float,
    ratio: float = 1.0,
    bounds: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
) -> float:
    """Probability that the (1 − 2α) interval of an exposure ratio falls inside the bounds.

    Parameters
    ----------
    n, n_reference : int
        Patients with exposure in the histology and in the reference.
    cv : float
        Unexplained coefficient of variation of exposure, as a fraction; exposure is taken as log-normal with
        known variance ln(1 + cv²).
    ratio : float
        True ratio of geometric means.
    bounds : tuple of float
        (L, U), L < 1 < U.
    alpha : float
        Of each one-sided test.

    Raises
    ------
    InputError
        ``E_OPTION``, ``E_MARGIN_BOUNDS``.
    """
    from scipy.special import ndtr

    low, high, se, z = _exposure(n, n_reference, cv, ratio, bounds, alpha)
    at = math.log(ratio)
    return float(max(0.0, ndtr((high - at) / se - z) - ndtr((low - at) / se + z)))


def power_different(
    n: float,
    n_reference: float,
    cv: float,
    ratio: float,
    bounds: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
) -> float:
    """Probability that the (1 − 2α) interval of an exposure ratio falls wholly outside the bounds.

    Parameters and errors as in :func:`power_equivalent`.
    """
    from scipy.special import ndtr

    low, high, se, z = _exposure(n, n_reference, cv, ratio, bounds, alpha)
    at = math.log(ratio)
    return float(ndtr((at - high) / se - z) + ndtr((low - at) / se - z))


def n_for_equivalence(
    n_reference: float,
    cv: float,
    ratio: float = 1.0,
    bounds: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
    power: float = 0.80,
) -> int | None:
    """Fewest patients in the histology for :func:`power_equivalent` to reach `power`; None if none does."""
    _probability("power", power)

    def reached(n: int) -> bool:
        return power_equivalent(n, n_reference, cv, ratio, bounds, alpha) >= power

    if not reached(LARGEST_N):
        return None
    low, high = 0, LARGEST_N  # the power grows with n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def minimum_detectable_ratio(
    n: float,
    n_reference: float,
    cv: float,
    bounds: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
    power: float = 0.80,
) -> tuple[float, float]:
    """Exposure ratios, below L and above U, from which a difference is shown with `power`.

    Parameters and errors as in :func:`power_equivalent`.
    """
    from scipy.special import ndtri

    _probability("power", power)
    low, high, se, z = _exposure(n, n_reference, cv, 1.0, bounds, alpha)
    distance = (z + float(ndtri(power))) * se
    return math.exp(low - distance), math.exp(high + distance)


@result
@dataclass(frozen=True)
class ResponsePower:
    """Probabilities of the two statements about a difference in response rate.

    Attributes
    ----------
    lost : float
        That P(p_k < p_ref − margin | data) reaches `conclude`: a meaningful loss is shown.
    kept : float
        That P(p_k > p_ref − margin | data) reaches `keep`: the response counts as kept.
    """

    lost: float
    kept: float


def power_response(
    n: int,
    n_reference: int,
    rate: float,
    reference_rate: float,
    margin: float,
    conclude: float = 0.90,
    keep: float = 0.80,
) -> ResponsePower:
    """Exact probability of showing a loss of response, or that there is none, under Jeffreys priors.

    Parameters
    ----------
    n, n_reference : int
        Patients in the histology and in the reference.
    rate, reference_rate : float
        True response rates.
    margin : float
        Largest acceptable loss, as a fraction.
    conclude, keep : float
        Posterior probabilities that the two statements ask for.

    Raises
    ------
    InputError
        ``E_OPTION``, ``E_MARGIN_DELTA``.
    """
    from scipy.special import betainc

    _response(n, n_reference, reference_rate, margin)
    if not 0 <= rate <= 1:
        raise InputError("E_OPTION", f"rate={rate!r} is no probability.", "Give a fraction.")
    lost = _posterior_loss(n, n_reference, margin)
    weight = np.outer(_binomial(n, rate, betainc), _binomial(n_reference, reference_rate, betainc))
    return ResponsePower(float(weight[lost >= conclude].sum()), float(weight[1 - lost >= keep].sum()))


def minimum_detectable_loss(
    n: int,
    n_reference: int,
    reference_rate: float,
    margin: float,
    conclude: float = 0.90,
    power: float = 0.80,
) -> float:
    """Smallest true loss of response from which on a meaningful loss is shown with `power`.

    Returns
    -------
    float
        As a fraction, to 0.001; NaN if not even a rate of 0 would be shown to be lower.

    Notes
    -----
    Parameters and errors as in :func:`power_response`. Counts are discrete, so that the power is not
    monotone: the loss returned is the smallest above which no loss has less power.
    """
    from scipy.special import betainc

    _response(n, n_reference, reference_rate, margin)
    _probability("power", power)
    shown = _posterior_loss(n, n_reference, margin) >= conclude
    by_count = shown @ _binomial(n_reference, reference_rate, betainc)
    losses = np.append(np.arange(margin, reference_rate, 0.001), reference_rate)
    reached = np.array([_binomial(n, reference_rate - loss, betainc) @ by_count for loss in losses]) >= power
    if not reached[-1]:
        return math.nan
    failures = np.flatnonzero(~reached)
    return float(losses[failures[-1] + 1] if failures.size else losses[0])


def _posterior_loss(n: int, n_reference: int, margin: float) -> np.ndarray:
    """P(p_k < p_ref − margin | r, r_ref), shape (n + 1, n_reference + 1)."""
    from scipy.special import betainc, betaincinv

    quantile = (np.arange(QUANTILES) + 0.5) / QUANTILES
    r_ref = np.arange(n_reference + 1)[:, None]
    limit = np.clip(betaincinv(r_ref + 0.5, n_reference - r_ref + 0.5, quantile) - margin, 0.0, 1.0)
    return np.stack([betainc(r + 0.5, n - r + 0.5, limit).mean(axis=1) for r in range(n + 1)])


def _binomial(n: int, p: float, betainc) -> np.ndarray:
    """Probability of 0 … n events."""
    r = np.arange(n)
    # P(R ≤ r) = I_{1-p}(n − r, r + 1)
    cumulative = np.append(betainc(n - r, r + 1, 1 - min(max(p, 0.0), 1.0)), 1.0)
    return np.diff(cumulative, prepend=0.0)


def _exposure(n, n_reference, cv, ratio, bounds, alpha) -> tuple[float, float, float, float]:
    from scipy.special import ndtri

    if not (n > 0 and n_reference > 0 and cv > 0 and ratio > 0 and 0 < alpha < 0.5):
        raise InputError(
            "E_OPTION",
            f"n={n!r}, n_reference={n_reference!r}, cv={cv!r}, ratio={ratio!r}, alpha={alpha!r}.",
            "Give positive numbers, the CV as a fraction, and alpha below 0.5.",
        )
    if not 0 < bounds[0] < 1 < bounds[1]:
        raise InputError("E_MARGIN_BOUNDS", f"bounds {bounds!r} must be L < 1 < U.", "Use (0.80, 1.25).")
    se = math.sqrt(math.log1p(cv**2) * (1 / n + 1 / n_reference))
    return math.log(bounds[0]), math.log(bounds[1]), se, float(ndtri(1 - alpha))


def _response(n, n_reference, reference_rate, margin) -> None:
    if not (n >= 1 and n_reference >= 1 and int(n) == n and int(n_reference) == n_reference):
        raise InputError(
            "E_OPTION", f"n={n!r}, n_reference={n_reference!r}.", "Give whole numbers of patients."
        )
    if not 0 < reference_rate < 1:
        raise InputError(
            "E_OPTION", f"reference_rate={reference_rate!r}.", "Give a fraction between 0 and 1."
        )
    if not 0 < margin < reference_rate:
        raise InputError(
            "E_MARGIN_DELTA",
            f"margin={margin!r} must lie between 0 and the reference rate {reference_rate:g}.",
            "Give a fraction: 15 percentage points are 0.15.",
        )


def _probability(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise InputError("E_OPTION", f"{name}={value!r} must lie between 0 and 1.", "Use 0.80.")


def detectable_differences(
    patients: Mapping[str, int],
    reference: str,
    *,
    cv: float,
    reference_rate: float,
    margin: float,
    bounds: tuple[float, float] = (0.80, 1.25),
    alpha: float = 0.05,
    conclude: float = 0.90,
    power: float = 0.80,
) -> pd.DataFrame:
    """What each histology's number of patients can decide, and the number that would decide it.

    Parameters
    ----------
    patients : mapping of histology to number of patients
    reference : str
        One of them.
    cv, bounds, alpha
        As in :func:`power_equivalent`.
    reference_rate, margin, conclude
        As in :func:`power_response`.
    power : float
        Wanted.

    Returns
    -------
    DataFrame
        One row per histology but the reference: histology, n, power_equivalent (exposure truly equal),
        n_equivalent (fewest patients for `power`; NaN if none suffice at this reference),
        ratio_low, ratio_high (exposure ratios that would be found different with `power`), loss (smallest
        true loss of response that would be shown; NaN if none).

    Raises
    ------
    InputError
        ``E_REFERENCE_ABSENT``, ``E_OPTION``, ``E_MARGIN_BOUNDS``, ``E_MARGIN_DELTA``.
    """
    if reference not in patients:
        raise InputError(
            "E_REFERENCE_ABSENT",
            f"the reference histology {reference!r} is not among {sorted(patients)!r}.",
            "Name one of these as the reference.",
        )
    home = patients[reference]
    rows = []
    for histology, n in patients.items():
        if histology == reference:
            continue
        needed = n_for_equivalence(home, cv, 1.0, bounds, alpha, power)
        low, high = minimum_detectable_ratio(n, home, cv, bounds, alpha, power)
        rows.append(
            {
                "histology": histology,
                "n": n,
                "power_equivalent": power_equivalent(n, home, cv, 1.0, bounds, alpha),
                "n_equivalent": math.nan if needed is None else float(needed),
                "ratio_low": low,
                "ratio_high": high,
                "loss": minimum_detectable_loss(n, home, reference_rate, margin, conclude, power),
            }
        )
    return pd.DataFrame(rows)
