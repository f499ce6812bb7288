"""Terminal slope λz: regression of log concentration on time over the last points, chosen by adjusted R²."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

__all__ = ["Slope", "terminal_slope"]

_TIE = 1e-4  # adjusted R² within this of the best counts as equal: the regression of more points is taken (Phoenix's rule)


@dataclass(frozen=True)
class Slope:
    """A terminal phase.

    Attributes
    ----------
    rate : float
        λz; NaN if there is none, and ``reason`` says why.
    intercept : float
        Log concentration at time 0.
    points : int
    lower, upper : float
        First and last time of the regression.
    r2_adjusted : float
    reason : str
    """

    rate: float
    intercept: float
    points: int
    lower: float
    upper: float
    r2_adjusted: float
    reason: str = ""


def terminal_slope(time: np.ndarray, conc: np.ndarray, *, with_peak: bool, after: float = 0.0) -> Slope:
    """Find λz.

    Parameters
    ----------
    time, conc : (n,) arrays
        Measured, quantifiable concentrations.
    with_peak : bool
        Whether Cmax itself may belong to the terminal phase.
    after : float
        Points before this time (the end of an infusion) are left aside.

    Returns
    -------
    Slope
        Of all regressions over the last 3, 4 … points from Cmax on, that of the largest adjusted R²,
        1 - (1 - R²)(n - 1)/(n - 2), the one of most points among those within 1e-4 of it, rising ones left aside.
    """
    peak = int(np.argmax(conc)) if len(conc) else 0
    first = peak if with_peak else peak + 1
    while first < len(time) and time[first] < after:
        first += 1
    if len(time) - first < 3:
        return _none(
            f"only {max(len(time) - first, 0)} quantifiable concentrations {'from' if with_peak else 'after'} Cmax on"
        )
    log = np.log(conc)
    found = []
    for start in range(len(time) - 3, first - 1, -1):
        t, y = time[start:], log[start:]
        centred = t - t.mean()
        rate = float(-(centred @ y) / (centred @ centred))
        total = float(((y - y.mean()) ** 2).sum())
        if not (rate > 0 and total > 0):
            continue
        n = len(t)
        r2 = rate**2 * float(centred @ centred) / total
        adjusted = 1 - (1 - r2) * (n - 1) / (n - 2)
        found.append(Slope(rate, float(y.mean() + rate * t.mean()), n, float(t[0]), float(t[-1]), adjusted))
    if not found:
        return _none("concentrations do not fall at the end")
    best = max(s.r2_adjusted for s in found)
    return max((s for s in found if s.r2_adjusted >= best - _TIE), key=lambda s: s.points)


def _none(reason: str) -> Slope:
    return Slope(math.nan, math.nan, 0, math.nan, math.nan, math.nan, reason)
