"""Where the mode of a subject will be at other population parameters, from its derivatives at the last ones."""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import cholesky, cholesky_solve


@kernel()
def foresee(eta, curvature, moved, precision_moved):
    """Move ``eta`` to where the mode is expected: implicit differentiation of Φ_η = 0, in which Ω⁻¹ stands as 2 Ω⁻¹η.

    Parameters
    ----------
    eta : (E,) array
        In: the mode at the last parameters. Out: where it is expected, but no further away than a posterior SD.
    curvature : (E, E+T+S) array
        ∂²Φ/∂η∂z there, z = (eta, theta, sigma); zero where it is not known.
    moved (T+S,), precision_moved (E, E) : arrays
        By how much thetas, sigmas and Ω⁻¹ have changed.

    Returns
    -------
    float
        Square of the step in posterior SDs; infinite where the parameters have moved and nothing is known.
    """
    ne = eta.shape[0]
    slope, step, lower = np.zeros(ne), np.zeros(ne), np.zeros((ne, ne))
    total = 0.0
    for a in range(ne):
        for z in range(moved.shape[0]):
            slope[a] += curvature[a, ne + z] * moved[z]
            total += abs(moved[z])
        for b in range(ne):
            slope[a] += 2.0 * precision_moved[a, b] * eta[b]
            total += abs(precision_moved[a, b])
    if total == 0.0:
        return 0.0
    if not cholesky(curvature[:, :ne].copy(), lower):
        return np.inf
    cholesky_solve(lower, slope, step)
    size = 0.0
    for a in range(ne):
        size += 0.5 * slope[a] * step[a]
    share = 1.0 / math.sqrt(max(size, 1.0))
    for a in range(ne):
        eta[a] -= share * step[a]
    return size
