"""Derivatives of the logarithm of the gamma function against mpmath."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from pkpd.kernels.gamma import polygamma


@pytest.mark.parametrize("m", [0, 1, 2, 3])
def test_polygamma(m):
    for x in (1e-3, 0.1, 0.5, 1.0, 1.4616321449683622, 2.5, 7.0, 14.999, 15.0, 60.0, 1e6):
        expected = float(mpmath.psi(m, x))
        # near its root digamma is a difference of numbers of order one
        np.testing.assert_allclose(polygamma(m, x), expected, rtol=2e-14, atol=2e-15)
    assert math.isnan(polygamma(m, 0.0)) and math.isnan(polygamma(m, -1.5))
