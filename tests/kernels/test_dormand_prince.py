"""The explicit method itself: orders of the step, of its error estimate and of the interpolant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import DOP853

from pkpd.kernels.dormand_prince import (
    ALL,
    CURVE,
    LAST,
    LINE,
    NEW,
    POINT,
    ROWS,
    STABILITY,
    Y,
    combine,
    error_norm,
    interpolant,
    interpolate,
    node,
    shrink,
)


def exact(t):
    return math.exp(math.sin(t))


def step(t, y, h):
    """One step of y' = y cos t: the rows of all stages."""
    k = np.zeros((ROWS, 1))
    k[Y], k[0] = y, y * math.cos(t)
    for stage in range(1, ALL):
        combine(1, h, k, stage)
        k[stage] = k[NEW if stage == LAST else POINT] * math.cos(t + node(stage) * h)
    return k


def observed_order(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def test_the_solution_converges_with_order_eight():
    errors = []
    for count in (4, 8, 16):
        y, h, worst = np.array([exact(0.3)]), 4.0 / count, 0.0
        for i in range(count):
            y = step(0.3 + i * h, y, h)[NEW]
            worst = max(worst, abs(y[0] - exact(0.3 + (i + 1) * h)))
        errors.append(worst)
    assert observed_order(errors)[-1] == pytest.approx(8.0, abs=0.6)


def test_step_error_estimate_and_interpolant_are_those_of_scipy():
    """The Arenstorf orbit's right-hand side at an arbitrary place: nonlinear, four states."""

    def rhs(t, y):
        mu = 0.012277471
        d1 = ((y[0] + mu) ** 2 + y[1] ** 2) ** 1.5
        d2 = ((y[0] - 1 + mu) ** 2 + y[1] ** 2) ** 1.5
        return np.array(
            [
                y[2],
                y[3],
                y[0] + 2 * y[3] - (1 - mu) * (y[0] + mu) / d1 - mu * (y[0] - 1 + mu) / d2,
                y[1] - 2 * y[2] - (1 - mu) * y[1] / d1 - mu * y[1] / d2,
            ]
        )

    y, h, rtol, atol = np.array([0.7, 0.3, -0.4, 0.9]), 0.1, 1e-5, 1e-7
    theirs = DOP853(rhs, 0.0, y, 1.0, first_step=h, rtol=rtol, atol=atol)
    theirs.step()
    assert theirs.t == h
    k = np.zeros((ROWS, 4))
    k[Y], k[0] = y, rhs(0.0, y)
    for stage in range(1, ALL):
        combine(4, h, k, stage)
        k[stage] = rhs(node(stage) * h, k[NEW if stage == LAST else POINT])
    new = k[NEW]
    np.testing.assert_allclose(new, theirs.y, rtol=1e-14)
    scale = atol + rtol * np.maximum(np.abs(y), np.abs(new))
    assert math.sqrt(error_norm(4, h, k, rtol, atol)) == pytest.approx(
        theirs._estimate_error_norm(k[: LAST + 1], h, scale),
        rel=1e-6,  # a difference of numbers 1e6 times as large
    )
    interpolant(4, h, k)
    dense = theirs.dense_output()
    for s in (0.15, 0.5, 0.85):
        interpolate(4, s, k)
        np.testing.assert_allclose(k[POINT], dense(s * h), rtol=1e-13)


@pytest.mark.parametrize("size", [1, 3, 4, 11, LINE])
def test_rows_in_a_line_give_the_same_bits(size):
    h, k = 0.3, np.random.default_rng(size).normal(size=(ROWS, size))
    line = np.zeros((ROWS, LINE))
    line[:, :size] = k
    flat = line.reshape(-1)
    for stage in range(1, ALL):
        combine(size, h, k, stage)
        combine(size, h, flat, stage)
    interpolant(size, h, k)
    interpolant(size, h, flat)
    np.testing.assert_array_equal(line[:, :size], k)
    assert error_norm(size, h, k, 1e-6, 1e-8) == error_norm(size, h, flat, 1e-6, 1e-8)
    interpolate(size, 0.4, k)
    interpolate(size, 0.4, flat)
    np.testing.assert_array_equal(line[:, :size], k)
    assert not line[:, size:].any() and k[CURVE:].all()


def test_the_interpolant_meets_both_ends_and_is_of_order_seven_between():
    fractions, errors = (0.1, 0.35, 0.5, 0.8, 0.95), []
    for h in (0.8, 0.4, 0.2):
        y = exact(0.3)
        k = step(0.3, y, h)
        interpolant(1, h, k)
        interpolate(1, 0.0, k)
        assert k[POINT] == y
        interpolate(1, 1.0, k)
        assert k[POINT] == pytest.approx(k[NEW], rel=1e-14)
        worst = 0.0
        for s in fractions:
            interpolate(1, s, k)
            worst = max(worst, abs(k[POINT, 0] - exact(0.3 + s * h)))
        errors.append(worst)
    assert np.all(observed_order(errors) > 7.4)  # local error of a method of order 7


def test_the_factor_of_the_next_step_is_an_eighth_root_to_six_per_cent():
    squares = 10.0 ** np.random.default_rng(1).uniform(-20, 30, 1000)
    ratio = np.array([shrink(s) for s in squares]) / squares ** (1 / 16)
    # the mantissa's logarithm taken as linear, of the number and of its root: at most 1.0615
    assert ratio.min() >= 1.0 and ratio.max() < 1.0625


def test_the_limit_of_stability():
    """Growth of y' = λy in one step: below 1 up to the limit that the switch to implicit steps goes by, above 1 beyond it."""

    def growth(z):
        k = np.zeros((ROWS, 1))
        k[Y], k[0] = 1.0, -z
        for stage in range(1, LAST + 1):
            combine(1, 1.0, k, stage)
            k[stage] = -z * k[NEW if stage == LAST else POINT]
        return abs(k[NEW, 0])

    assert max(growth(z) for z in np.linspace(0.1, STABILITY, 60)) < 1.0
    assert growth(STABILITY + 0.3) > 1.0
