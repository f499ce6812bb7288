"""Areas under a profile and under its first moment, by trapezoids.

Formulas of Gabrielsson J, Weiner D. Pharmacokinetic and Pharmacodynamic Data Analysis, 5th ed. (2016), section 2.8.
"""

from __future__ import annotations

import math

import numpy as np

__all__ = ["RULES", "partial_area", "segment_areas"]

RULES = ("linear-up log-down", "linear")


def segment_areas(time: np.ndarray, conc: np.ndarray, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Area (n-1,) and area of the first moment (n-1,) between neighbouring points.

    Parameters
    ----------
    time, conc : (n,) arrays
    rule : str
        ``"linear"``; or ``"linear-up log-down"``: logarithmic where the concentration falls and is not zero.
    """
    t1, t2, c1, c2 = time[:-1], time[1:], conc[:-1], conc[1:]
    step = t2 - t1
    area = step * (c1 + c2) / 2
    moment = step * (t1 * c1 + t2 * c2) / 2
    falls = _logarithmic(c1, c2, rule) & (step > 0)
    t1, step, c1, c2 = t1[falls], step[falls], c1[falls], c2[falls]
    fall = np.log1p((c1 - c2) / c2)
    area[falls] = step * (c1 - c2) / fall
    moment[falls] = t1 * area[falls] + c1 * step**2 * _moment_share(fall)
    return area, moment


def _moment_share(x: np.ndarray) -> np.ndarray:
    """First moment of exp(-x·s) over s from 0 to 1, (1 - (1 + x)·exp(-x))/x²: of a small fall by its series, where the
    difference would lose all digits.
    """
    series = sum((-x) ** n / (math.factorial(n) * (n + 2)) for n in range(8))
    return np.where(x < 0.01, series, (1.0 - (1.0 + x) * np.exp(-x)) / x**2)


def partial_area(
    time: np.ndarray, conc: np.ndarray, start: float, end: float, slope: float, rule: str
) -> float:
    """Area between two times, interpolated as the rule goes and extrapolated by the terminal slope.

    Parameters
    ----------
    time, conc : (n,) arrays
        Up to the last quantifiable concentration.
    start, end : float
        From ``time[0]`` on.
    slope : float
        λz; NaN if there is none.

    Returns
    -------
    float
        NaN where it would have to be extrapolated without a slope.
    """
    inside = time[(time > start) & (time < end)]
    points = np.concatenate([[start], inside, [end]])
    values = np.array([_at(t, time, conc, slope, rule) for t in points])
    # beyond the last point the profile is exponential whatever the rule
    log = np.where(points[1:] > time[-1], "linear-up log-down", rule)
    total = 0.0
    for i in range(len(points) - 1):
        total += float(segment_areas(points[i : i + 2], values[i : i + 2], str(log[i]))[0][0])
    return total


def _logarithmic(c1: np.ndarray, c2: np.ndarray, rule: str) -> np.ndarray:
    return (c2 < c1) & (c2 > 0) & (rule != "linear")


def _at(t: float, time: np.ndarray, conc: np.ndarray, slope: float, rule: str) -> float:
    if t > time[-1]:
        return float(conc[-1] * np.exp(-slope * (t - time[-1])))
    k = int(np.searchsorted(time, t))
    if time[k] == t:
        return float(conc[k])
    share = (t - time[k - 1]) / (time[k] - time[k - 1])
    if _logarithmic(conc[k - 1 : k], conc[k : k + 1], rule)[0]:
        return float(conc[k - 1] * (conc[k] / conc[k - 1]) ** share)
    return float(conc[k - 1] + share * (conc[k] - conc[k - 1]))
