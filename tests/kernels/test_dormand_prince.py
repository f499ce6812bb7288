"""The explicit method itself: orders of the step, of its error estimate and of the interpolant."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import DOP853

from pkpd.kernels.dormand_prince import (
    ALL,
    LAST,
    STABILITY,
    combine,
    error_norm,
    interpolant,
    interpolate,
    node,
)


def exact(t):
    return math.exp(math.sin(t))


def step(t, y, h):
    """One step of y' = y cos t; the new state and all stages."""
    k, new, point = np.zeros((ALL, 1)), np.zeros(1), np.zeros(1)
    k[0] = y * math.cos(t)
    for stage in range(1, ALL):
        combine(1, y, h, k, stage, point)
        if stage == LAST:
            new[:] = point
        k[stage] = point * math.cos(t + node(stage) * h)
    return new, k


def observed_order(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def test_the_solution_converges_with_order_eight():
    errors = []
    for count in (4, 8, 16):
        y, h, worst = np.array([exact(0.3)]), 4.0 / count, 0.0
        for i in range(count):
            y, _ = step(0.3 + i * h, y, h)
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
    k, new, point, w = np.zeros((ALL, 4)), np.zeros(4), np.zeros(4), np.zeros((7, 4))
    k[0] = rhs(0.0, y)
    for stage in range(1, ALL):
        combine(4, y, h, k, stage, point)
        if stage == LAST:
            new[:] = point
        k[stage] = rhs(node(stage) * h, point)
    np.testing.assert_allclose(new, theirs.y, rtol=1e-14)
    scale = atol + rtol * np.maximum(np.abs(y), np.abs(new))
    assert error_norm(4, y, new, h, k, rtol, atol) == pytest.approx(
        theirs._estimate_error_norm(k[: LAST + 1], h, scale),
        rel=1e-6,  # a difference of numbers 1e6 times as large
    )
    interpolant(4, y, new, h, k, w)
    dense = theirs.dense_output()
    for s in (0.15, 0.5, 0.85):
        interpolate(4, y, w, s, point)
        np.testing.assert_allclose(point, dense(s * h), rtol=1e-13)


def test_the_interpolant_meets_both_ends_and_is_of_order_seven_between():
    fractions, errors = (0.1, 0.35, 0.5, 0.8, 0.95), []
    for h in (0.8, 0.4, 0.2):
        y, seen, w = np.array([exact(0.3)]), np.zeros(1), np.zeros((7, 1))
        new, k = step(0.3, y, h)
        interpolant(1, y, new, h, k, w)
        interpolate(1, y, w, 0.0, seen)
        assert seen[0] == y[0]
        interpolate(1, y, w, 1.0, seen)
        assert seen[0] == pytest.approx(new[0], rel=1e-14)
        worst = 0.0
        for s in fractions:
            interpolate(1, y, w, s, seen)
            worst = max(worst, abs(seen[0] - exact(0.3 + s * h)))
        errors.append(worst)
    assert np.all(observed_order(errors) > 7.4)  # local error of a method of order 7


def test_the_limit_of_stability():
    """Growth of y' = λy in one step: below 1 up to the limit that the switch to implicit steps goes by, above 1 beyond it."""

    def growth(z):
        k, point = np.zeros((ALL, 1)), np.zeros(1)
        k[0] = -z
        for stage in range(1, LAST + 1):
            combine(1, np.ones(1), 1.0, k, stage, point)
            k[stage] = -z * point
        return abs(point[0])

    assert max(growth(z) for z in np.linspace(0.1, STABILITY, 60)) < 1.0
    assert growth(STABILITY + 0.3) > 1.0
