"""Divided differences of the exponential against their definition in 80 digits."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest

from pkpd.kernels.divided import divided2, divided3, divided4

FUNCTIONS = {2: divided2, 3: divided3, 4: divided4}


def exact(points):
    """exp[x0, …]: the definition, in 400 digits, with equal points moved apart by 1e-60 relative to each other."""
    with mpmath.workdps(400):
        apart = [mpmath.mpf(float(x)) + k * mpmath.mpf(10) ** -60 for k, x in enumerate(points)]
        table = [mpmath.exp(x) for x in apart]
        for level in range(1, len(apart)):
            table = [(table[i + 1] - table[i]) / (apart[i + level] - apart[i]) for i in range(len(table) - 1)]
        return float(table[0])


SPREADS = [0.0, 1e-300, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.1, 0.4999, 0.5, 0.5001, 0.6, 1.0, 3.0, 30.0, 700.0]


@pytest.mark.parametrize("points", [2, 3, 4])
@pytest.mark.parametrize("centre", [0.0, 1.0, -0.3, -40.0, -650.0])
def test_far_close_and_confluent_points_keep_thirteen_digits(points, centre):
    rng = np.random.default_rng(7)
    for spread in SPREADS:
        for pattern in (
            [0.0, -1.0, -0.5, -0.25],
            [0.0, -1.0, -1.0, 0.0],
            [0.0, 0.0, 0.0, -1.0],
            rng.uniform(-1, 0, 4),
        ):
            x = centre + spread * np.array(pattern[:points])
            for order in itertools.permutations(x):
                # each of at most two levels of the recursion may lose a factor 1/0.5 and the rounding of e^x itself
                assert FUNCTIONS[points](*order) == pytest.approx(
                    exact(order), rel=2e-13 if abs(centre) < 100 else 1e-12, abs=1e-320
                )


@pytest.mark.parametrize("points", [2, 3, 4])
def test_mixed_scales_near_zero_and_hugely_negative_stay_finite(points):
    for x in (
        [-1e8, -3.0, 0.0, -3.0 - 1e-9],
        [0.0, -1e5, -1e5, -2e5],
        [-800.0, -801.0, -0.1, -0.1 - 1e-13],
        [-2000.0] * 4,
    ):
        for order in itertools.permutations(x[:points]):
            value = FUNCTIONS[points](*order)
            assert value == pytest.approx(exact(order), rel=2e-13, abs=1e-300)
            assert value >= 0.0


def test_they_are_symmetric_to_the_last_digits():
    for x in itertools.permutations([-0.2, -0.5, -1.7, -4.0]):
        assert divided4(*x) == pytest.approx(divided4(-0.2, -0.5, -1.7, -4.0), rel=4e-15)
        assert divided3(*x[:3]) == pytest.approx(divided3(*sorted(x[:3])), rel=4e-15)
