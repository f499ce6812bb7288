"""Derivatives by central differences: what exact gradients and Hessians are checked against."""

from __future__ import annotations

import numpy as np


def assert_exact_derivatives(objective, point, step=1e-5, tolerance=2e-8):
    """Gradient against differences of the value, Hessian against differences of the gradient.

    Central differences with step 1e-5 have an error of about 1e-10 from truncation and 1e-11 from rounding,
    relative to the size of the function; 2e-8 leaves room for its higher derivatives.
    """
    _, gradient, hessian = objective(point)
    numeric_gradient, numeric_hessian = np.zeros_like(gradient), np.zeros_like(hessian)
    for i in range(len(point)):
        e = np.zeros(len(point))
        e[i] = step
        up, down = objective(point + e), objective(point - e)
        numeric_gradient[i] = (up[0] - down[0]) / (2 * step)
        numeric_hessian[i] = (up[1] - down[1]) / (2 * step)
    np.testing.assert_allclose(gradient, numeric_gradient, rtol=0, atol=tolerance * np.abs(gradient).max())
    np.testing.assert_allclose(hessian, numeric_hessian, rtol=0, atol=tolerance * np.abs(hessian).max())
