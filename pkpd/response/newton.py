"""Newton's method with step-halving for a smooth log-likelihood with exact derivatives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["SmoothOptimum", "climb"]

Objective = Callable[[np.ndarray], tuple[float, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class SmoothOptimum:
    """Where a smooth function is largest.

    Attributes
    ----------
    point : ndarray, shape (p,)
    value : float
    hessian : ndarray, shape (p, p)
        Second derivatives at the point.
    converged : bool
        The last Newton step could raise the value by less than 1e-9 of it, and the Hessian is negative
        definite.
    """

    point: np.ndarray
    value: float
    hessian: np.ndarray
    converged: bool

    @property
    def covariance(self) -> np.ndarray:
        """Inverse of the observed information; NaN where that is singular."""
        try:
            np.linalg.cholesky(-_balanced(self.hessian)[0])
            inner, scale = _balanced(self.hessian)
            return np.linalg.inv(-inner) / np.outer(scale, scale)
        except np.linalg.LinAlgError:
            return np.full_like(self.hessian, np.nan)

    def unbounded(self, scale: np.ndarray) -> np.ndarray:
        """Which parameters run away to infinity, `scale` being the range of what each multiplies.

        The likelihood flattens exponentially on the way there, so where Newton's method stops the standard
        error is in the thousands; no estimate of use has one of 50 on the scale of a linear predictor.
        """
        with np.errstate(invalid="ignore"):
            error = np.sqrt(np.diag(self.covariance)) * np.asarray(scale, dtype=float)
        return ~(error < 50)


def climb(objective: Objective, start: np.ndarray, *, max_iterations: int = 200) -> SmoothOptimum:
    """Maximise from `start`.

    Parameters
    ----------
    objective : callable
        Point to value, gradient, Hessian; the value may be −inf outside the parameter space.
    start : ndarray, shape (p,)
        Where the value is finite.

    Notes
    -----
    Where the Hessian is not negative definite a multiple of its diagonal is added (Levenberg), so that every
    step goes uphill; near the maximum the steps are plain Newton steps and convergence is quadratic.
    """
    point = np.asarray(start, dtype=float).copy()
    value, gradient, hessian = objective(point)
    settled = 0
    for _ in range(max_iterations):
        step = _uphill(gradient, hessian)
        if step is None:
            break
        decrement = float(step @ gradient)
        # two more steps after the criterion holds: convergence is quadratic, so the second reaches rounding
        settled = settled + 1 if decrement < 1e-9 * (1 + abs(value)) else 0
        moved = False
        for _ in range(50):
            trial = objective(point + step)
            if np.isfinite(trial[0]) and trial[0] >= value - 1e-13 * (1 + abs(value)):
                point, (value, gradient, hessian), moved = point + step, trial, True
                break
            step = step / 2
        if not moved or settled >= 3:
            break
    negative_definite = _uphill(gradient, hessian, ridge=False) is not None
    return SmoothOptimum(point, float(value), hessian, bool(settled > 0 and negative_definite))


def _balanced(hessian: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scale = np.sqrt(np.abs(np.diag(hessian)))
    scale = np.where(scale > 0, scale, 1.0)
    return hessian / np.outer(scale, scale), scale


def _uphill(gradient: np.ndarray, hessian: np.ndarray, *, ridge: bool = True) -> np.ndarray | None:
    if not (np.all(np.isfinite(gradient)) and np.all(np.isfinite(hessian))):
        return None
    inner, scale = _balanced(-hessian)
    added = 0.0
    for _ in range(30):
        try:
            factor = np.linalg.cholesky(inner + added * np.eye(len(inner)))
        except np.linalg.LinAlgError:
            if not ridge:
                return None
            added = max(10 * added, 1e-4)
            continue
        return np.linalg.solve(factor.T, np.linalg.solve(factor, gradient / scale)) / scale
    return None
