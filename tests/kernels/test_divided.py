"""Divided differences of the exponential against their definition in 400 digits."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from pkpd.kernels.divided import differences
from pkpd.kernels.linear_step import growth


def exact(points, h=1.0):
    """h^(n-1)·exp[x0 h, …]: the definition, in 400 digits, with equal points moved apart by 1e-60 relative to each other."""
    with mpmath.workdps(400):
        apart = [mpmath.mpf(float(x)) + k * mpmath.mpf(10) ** -60 for k, x in enumerate(points)]
        table = [mpmath.exp(x * h) for x in apart]
        for level in range(1, len(apart)):
            table = [(table[i + 1] - table[i]) / (apart[i + level] - apart[i]) for i in range(len(table) - 1)]
        return float(table[0])


def tables(points, h=1.0, driven=True):
    """e, phi, d, g, t, u of the points in ascending order, filled over nonsense."""
    x = np.sort(np.array(points, dtype=float))
    n = len(x)
    e, w = np.full((2, n), np.nan), np.full((n, n, 2 + 2 * n), np.nan)
    for i in range(n):
        growth(i, h, driven, x, e)
    differences(2, h, x, driven, e, w)
    return x, *e, w[:, :, 0], w[:, :, 1], w[:, :, 2 : 2 + n], w[:, :, 2 + n :]


def check(points, rel, h=1.0):
    x, e, phi, d, g, t, u = tables(points, h)
    n = len(x)
    for i in range(n):
        assert e[i] == pytest.approx(exact(x[[i]], h), rel=rel, abs=1e-320)
        assert phi[i] == pytest.approx(exact([x[i], 0.0], h), rel=rel)
    for i, j in itertools.product(range(n), repeat=2):
        assert d[i, j] == pytest.approx(exact(x[[i, j]], h), rel=rel, abs=1e-320)
        assert g[i, j] == pytest.approx(exact([x[i], x[j], 0.0], h), rel=rel)
    for i, j, k in itertools.product(range(n), repeat=3):
        assert t[i, j, k] == pytest.approx(exact(x[[i, j, k]], h), rel=rel, abs=1e-320)
        assert u[i, j, k] == pytest.approx(exact([*x[[i, j, k]], 0.0], h), rel=rel)


SPREADS = [
    0.0,
    1e-300,
    1e-15,
    1e-12,
    1e-9,
    1e-6,
    1e-3,
    0.05,
    0.1,
    0.4999,
    0.5,
    0.5001,
    0.6,
    1.0,
    3.0,
    30.0,
    700.0,
]


# each of at most two levels of the recursion may lose a factor 1/0.5 and the rounding of e^x itself, which is |x| times 1e-16
@pytest.mark.parametrize("centre", [0.0, 1.0, 0.2, -0.3, -40.0, -650.0])
def test_far_close_and_confluent_points_keep_thirteen_digits(centre):
    rng = np.random.default_rng(7)
    for spread in SPREADS:
        for pattern in ([0.0, -1.0, -0.5], [0.0, -1.0, -1.0], [0.0, 0.0, -1.0], rng.uniform(-1, 0, 3)):
            check(centre + spread * np.array(pattern), 2e-13 if abs(centre) < 100 else 1e-12)


def test_the_length_of_the_interval_scales_the_points():
    for h in (1e-6, 0.03, 24.0, 1000.0):
        check([-2.0, -0.31, -0.3], 2e-13, h)
        check([-0.02, 0.0, 0.001], 2e-13, h)


def test_mixed_scales_near_zero_and_hugely_negative_stay_finite():
    for x in (
        [-1e8, -3.0, 0.0],
        [-3.0, -3.0 - 1e-9, -1e8],
        [0.0, -1e5, -1e5],
        [-800.0, -801.0, -0.1],
        [-0.1, -0.1 - 1e-13, -801.0],
        [-2000.0] * 3,
    ):
        check(x, 2e-13)
        for table in tables(x)[1:]:
            assert np.all(table >= 0.0)


def test_without_an_input_nothing_is_written_for_it():
    _, e, phi, d, g, t, u = tables([-1.0, -0.2], driven=False)
    assert np.all(np.isfinite(e)) and np.all(np.isfinite(d)) and np.all(np.isfinite(t))
    assert np.all(np.isnan(phi)) and np.all(np.isnan(g)) and np.all(np.isnan(u))
