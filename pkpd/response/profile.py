"""Profile-likelihood intervals of logistic coefficients, also under Firth's penalty."""

from __future__ import annotations

import numpy as np

from pkpd.response.firth import BinaryOptimum, connected, maximise

__all__ = ["profile_interval"]


def profile_interval(
    x: np.ndarray, y: np.ndarray, coefficients: np.ndarray, j: int, *, firth: float, level: float
) -> tuple[float, float]:
    """Values of coefficient `j` where twice the fall of the profile reaches the χ²₁ quantile.

    Parameters
    ----------
    x, y : ndarray
        Design (n, p) and responses of the fit.
    coefficients : ndarray, shape (p,)
        The maximum.
    j : int
        Position of the coefficient.
    firth : float
        Weight w of the penalty: profile of l + w · ½ log|X'WX| (X in full) instead of l; 0 for none.
    level : float
        Coverage.
    """
    from scipy.optimize import brentq
    from scipy.special import ndtri

    columns, rows = connected(x, j)
    x, y = x[np.ix_(rows, columns)], y[rows]
    best, j = coefficients[columns], int(np.flatnonzero(columns == j)[0])
    top = maximise(x, y, firth=firth, start=best)
    best = top.coefficients
    drop = float(ndtri(0.5 + level / 2)) ** 2 / 2
    se = float(np.sqrt(np.linalg.inv(top.information)[j, j]))
    moving = np.arange(len(best)) != j
    free = np.flatnonzero(np.arange(len(best)) != j)

    def height(optimum: BinaryOptimum) -> float:
        return optimum.penalised_log_likelihood if firth else optimum.log_likelihood

    # the last constrained optimum, moved along the profile's tangent, is close to the next one
    last = {"optimum": top}

    def excess(value: float) -> float:
        known = last["optimum"]
        start = known.coefficients.copy()
        tangent = -np.linalg.solve(known.information[np.ix_(free, free)], known.information[free, j])
        start[free] += (value - start[j]) * tangent
        start[j] = value
        found = maximise(x, y, firth=firth, free=moving, start=start)
        if not found.converged:
            # the tangent has left the hill for a plain: climb from beside the last optimum, and from the middle
            beside, middle = known.coefficients.copy(), np.zeros(len(best))
            beside[j] = middle[j] = value
            others = [maximise(x, y, firth=firth, free=moving, start=s) for s in (beside, middle)]
            found = max([found, *others], key=height)
        if found.converged:
            last["optimum"] = found
        # where the information underflows the profile is −inf, which a root finder cannot use
        return max(height(found) - height(top) + drop, -1e6)

    def end(sign: float) -> float:
        last["optimum"] = top
        inside, width = best[j], se
        for _ in range(40):
            outside, before = inside + sign * width, last["optimum"]
            if excess(outside) < 0:
                last["optimum"] = before
                return float(brentq(excess, inside, outside, xtol=1e-10 * se, rtol=1e-12))
            inside, width = outside, 1.5 * width
        return sign * np.inf

    return end(-1.0), end(1.0)
