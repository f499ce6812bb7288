"""Contributions of records against mpmath's normal distribution, their derivatives against its differentiation."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from pkpd.kernels import likelihood
from pkpd.kernels.likelihood import contribution, normal_tail
from pkpd.kernels.variance import error_variance

ORDERS = [(0, 0), (1, 0), (0, 1), (2, 0), (1, 1), (0, 2)]


def minus2ll(m, v, value, limit, kind):
    """The definition, in as many digits as it takes."""
    s = mpmath.sqrt(v)

    def below(bound):
        return mpmath.ncdf((bound - m) / s)

    p = {
        likelihood.MEASURED: lambda: mpmath.npdf(value, m, s) * mpmath.sqrt(2 * mpmath.pi),
        likelihood.BELOW: lambda: below(value),
        likelihood.ABOVE: lambda: mpmath.ncdf((m - value) / s),
        likelihood.BETWEEN: lambda: below(max(value, limit)) - below(min(value, limit)),
    }
    plain = {5: 1, 6: 4, 7: 3}.get(kind, kind)
    total = -2 * mpmath.log(p[plain]())
    return total + 2 * mpmath.log(mpmath.ncdf(m / s)) if kind >= 5 else total


CASES = [
    (1, 0.7, 0.3, 1.1, 0.0),
    (2, 0.7, 0.3, 1.1, 0.0),
    (2, 9.0, 0.01, 1.0, 0.0),  # eighty SDs below: the continued fraction
    (2, -3.0, 0.2, 1.0, 0.0),
    (3, 0.7, 0.3, 1.1, 0.0),
    (3, -4.0, 0.02, 1.0, 0.0),
    (4, 0.7, 0.3, 1.1, 0.2),
    (4, 6.0, 0.3, 0.9, 1.0),
    (4, -6.0, 0.3, 0.9, 1.0),
    (5, 0.4, 0.3, 0.5, 0.0),
    (6, 0.4, 0.3, 0.2, 0.0),
    (6, -0.9, 0.3, 0.2, 0.0),
    (7, 0.4, 0.3, 0.2, 0.0),
]


@pytest.mark.parametrize(("kind", "m", "v", "value", "limit"), CASES)
def test_value_and_derivatives(kind, m, v, value, limit):
    found = contribution(m, v, value, limit, kind)
    with mpmath.workdps(60):
        big = [mpmath.mpf(x) for x in (m, v, value, limit)]

        def of(a, b):
            return minus2ll(a, b, big[2], big[3], kind)

        exact = [of(*big[:2]), *(mpmath.diff(of, tuple(big[:2]), n) for n in ORDERS[1:])]
        # the curvature of a censored value: half of the second derivative; of a measured one 1/V
        curve = [mpmath.diff(of, tuple(big[:2]), n) / 2 for n in ((2, 0), (3, 0), (2, 1))]
        if kind in (1, 5):
            given = [mpmath.diff(lambda a, b: 2 * mpmath.log(mpmath.ncdf(a / mpmath.sqrt(b))), tuple(big[:2]), n) / 2
                     for n in ((2, 0), (3, 0), (2, 1))]  # fmt: skip
            curve = [1 / big[1], mpmath.mpf(0), -1 / big[1] ** 2]
            if kind == 5:
                curve = [a + b for a, b in zip(curve, given, strict=True)]
        expected = [float(x) for x in [*exact, *curve]]
    scale = max(map(abs, expected))
    # terms of the size of the largest cancel in the others
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-13 * scale)
    assert found[6] > 0


@pytest.mark.parametrize("z", [-400.0, -38.0, -8.0, -6.0, -5.99, -3.0, -0.3, 0.0, 2.0, 9.0, 40.0])
def test_normal_tail(z):
    with mpmath.workdps(400):
        p = mpmath.ncdf(mpmath.mpf(z))
        ratio = mpmath.npdf(mpmath.mpf(z)) / p
        expected = [float(x) for x in (mpmath.log(p), ratio, z + ratio)]
    # at -6 the sum is a fifth of a hundredth of its terms
    np.testing.assert_allclose(normal_tail(z), expected, rtol=1e-12)


SIGMA = np.array([0.4, 0.15, 0.7])
ROWS = {
    "additive": (0, -1, -1, 0, 0),
    "proportional": (-1, 1, -1, 0, 0),
    "variances add": (0, 1, -1, 0, 0),
    "SDs add": (0, 1, -1, 1, 0),
    "power": (-1, 1, 2, 0, 0),
    "power, variances add": (0, 1, 2, 0, 0),
    "power, SDs add": (0, 1, 2, 1, 0),
}


@pytest.mark.parametrize("f", [2.3, -1.7, 0.02])
@pytest.mark.parametrize("row", ROWS)
def test_error_variance(row, f):
    places = ROWS[row]

    def variance(f, a, b, c):
        a, b = (a if places[0] >= 0 else 0), (b if places[1] >= 0 else 0)
        g = abs(f) ** (c if places[2] >= 0 else 1)
        return (a + b * g) ** 2 if places[3] else a**2 + (b * g) ** 2

    with mpmath.workdps(40):
        at = tuple(mpmath.mpf(x) for x in (f, *SIGMA))
        orders = [(1, 0, 0, 0), (2, 0, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1)]
        orders += [(1, 1, 0, 0), (1, 0, 1, 0), (1, 0, 0, 1)]
        expected = [float(variance(*at))] + [float(mpmath.diff(variance, at, n)) for n in orders]
    found = np.array(error_variance(f, np.array(places), SIGMA))
    # what an endpoint does not have is not read
    if places[0] < 0:
        found[[3, 6]], expected[3], expected[6] = 0, 0, 0
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)
