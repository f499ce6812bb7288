"""Standardised dose-response shapes of MCP-Mod, and the grids over which their parameters are sought."""

from __future__ import annotations

import numpy as np

__all__ = ["SHAPES", "profile_grid", "standard_shape"]

#: shapes and the names of their parameters
SHAPES: dict[str, tuple[str, ...]] = {
    "linear": (),
    "loglinear": (),
    "quadratic": ("curvature",),
    "emax": ("ed50",),
    "sigmoid_emax": ("ed50", "hill"),
    "exponential": ("delta",),
    "logistic": ("ed50", "delta"),
}


def standard_shape(model: str, doses: np.ndarray, parameters: np.ndarray, largest: float) -> np.ndarray:
    """Shape with e0 = 0 and e1 = 1 (Bornkamp B, et al. J Stat Softw 2009;29(7), table 1).

    Parameters
    ----------
    model : str
        A key of :data:`SHAPES`.
    doses : ndarray, shape (k,)
    parameters : ndarray, shape (g, q)
        One row per parameter set; ED50 and δ in the unit of dose, the curvature c of d + c d² in its inverse.
    largest : float
        Largest dose studied: the log-linear shape is ln(dose + largest/100).

    Returns
    -------
    ndarray, shape (g, k)
    """
    d = np.asarray(doses, dtype=float)[None, :]
    if model == "linear":
        return np.repeat(d, len(parameters), axis=0)
    if model == "loglinear":
        return np.repeat(np.log(d + 0.01 * largest), len(parameters), axis=0)
    first = parameters[:, [0]]
    if model == "quadratic":
        return d + first * d**2
    if model == "emax":
        return d / (first + d)
    if model == "exponential":
        return np.expm1(d / first)
    second = parameters[:, [1]]
    if model == "sigmoid_emax":
        ratio = np.where(d > 0, d, 1.0) / first
        return np.where(d > 0, 1 / (1 + ratio**-second), 0.0)
    return 1 / (1 + np.exp((first - d) / second))


def profile_grid(model: str, largest: float) -> np.ndarray:
    """Parameter sets over the bounds that Bornkamp et al. recommend, dense enough that their spacing does not show.

    Returns
    -------
    ndarray, shape (g, q)
        In the unit of dose.
    """
    if not SHAPES[model]:
        return np.zeros((1, 0))
    if model == "quadratic":
        # either way, from nearly straight to nearly d² alone
        curvature = np.geomspace(0.01, 100, 400) / largest
        return np.concatenate([-curvature[::-1], curvature])[:, None]
    ed50 = largest * np.geomspace(0.001, 1.5, 400)
    if model == "emax":
        return ed50[:, None]
    if model == "exponential":
        return largest * np.linspace(0.1, 2, 400)[:, None]
    coarse = largest * np.geomspace(0.001, 1.5, 60)
    second = np.geomspace(0.5, 10, 40) if model == "sigmoid_emax" else largest * np.geomspace(0.01, 0.5, 40)
    return np.array([(a, b) for a in coarse for b in second])
