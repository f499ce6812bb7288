"""The matrix exponential and its derivatives against mpmath."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from pkpd.kernels.exponential import exponential
from tests.kernels.twins import directional

MATRICES = {
    "zero": np.zeros((2, 2)),
    "nilpotent": np.array([[0.0, 1.0], [0.0, 0.0]]),
    "rotation": np.array([[0.0, -3.0], [3.0, 0.0]]),
    "Jordan block": np.array([[-0.7, 0.0, 0.0], [0.7, -0.7, 0.0], [0.0, 0.7, -0.7]]),
    "disposition over a long time": 300.0
    * np.array([[-0.9, 0.0, 0.0], [0.9, -0.6, 0.16], [0.0, 0.4, -0.16]]),
    "fast and slow": np.array([[-500.0, 0.0, 0.0], [500.0, -1.0, 0.02], [0.0, 0.8, -0.02]]),
}
NOTHING = np.zeros((0, 2, 2)), np.zeros((0, 0, 2, 2))


@pytest.mark.parametrize("name", MATRICES)
def test_value_and_both_derivatives_are_those_of_mpmath(name):
    a = MATRICES[name]
    m = len(a)
    rng = np.random.default_rng(5)
    directions = rng.uniform(-1, 1, (2, m, m)) * np.maximum(np.abs(a), 0.1)
    e, ep, epp = exponential(2, a, directions, np.zeros((0, 0, m, m)))

    def flat(numbers):
        matrix = mpmath.expm(
            mpmath.matrix(m, m) + mpmath.matrix([numbers[i * m : (i + 1) * m] for i in range(m)])
        )
        return list(matrix)

    mixed = np.zeros((m, m))
    for s in range(2):
        value, first, second = (x.reshape(m, m) for x in directional(flat, a.ravel(), directions[s].ravel()))
        # squaring k times multiplies the rounding error by at most 2^k relative to the largest entry: k is up to 10 here
        tolerance = 2e-16 * max(64.0, 4 * np.abs(a).sum())
        np.testing.assert_allclose(e, value, rtol=0, atol=tolerance * np.abs(value).max())
        np.testing.assert_allclose(ep[s], first, rtol=0, atol=tolerance * np.abs(first).max())
        np.testing.assert_allclose(epp[s, s], second, rtol=0, atol=tolerance * np.abs(second).max())
        mixed -= second
    total = directional(flat, a.ravel(), directions.sum(0).ravel())[2].reshape(m, m)
    mixed = (mixed + total) / 2
    np.testing.assert_allclose(epp[1, 0], mixed, rtol=0, atol=8 * tolerance * np.abs(total).max())


def test_lower_orders_give_the_same_numbers():
    a = MATRICES["disposition over a long time"] / 100
    directions = np.random.default_rng(1).normal(size=(2, 3, 3))
    e0, e1, e2 = (exponential(order, a, directions, np.zeros((0, 0, 3, 3))) for order in (0, 1, 2))
    assert np.array_equal(e0[0], e1[0]) and np.array_equal(e1[0], e2[0])
    assert np.array_equal(e1[1], e2[1])


def test_a_matrix_that_is_not_finite_gives_numbers_that_are_not_finite():
    for bad in (np.nan, np.inf):
        assert not np.all(np.isfinite(exponential(0, np.array([[bad, 0.0], [1.0, -1.0]]), *NOTHING)[0]))


def test_a_matrix_that_curves_brings_its_second_derivatives():
    """exp(A(u)) for A = A0 + u B + u² C / 2 along u."""
    a, b, c = np.random.default_rng(3).normal(size=(3, 3, 3))
    _, ep, epp = exponential(2, a, b[None], c[None, None])

    def curve(u):
        return list(
            mpmath.expm(mpmath.matrix(a) + u[0] * mpmath.matrix(b) + u[0] ** 2 / 2 * mpmath.matrix(c))
        )

    _, first, second = (x.reshape(3, 3) for x in directional(curve, [0.0], [1.0]))
    np.testing.assert_allclose(ep[0], first, rtol=0, atol=1e-14 * np.abs(first).max())
    np.testing.assert_allclose(epp[0, 0], second, rtol=0, atol=1e-14 * np.abs(second).max())
