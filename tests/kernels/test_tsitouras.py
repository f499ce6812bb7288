"""The Runge-Kutta pair itself: orders of the step, of its error estimate and of the interpolant."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pkpd.kernels.tsitouras import C2, C3, C4, C5, combine, error_norm, interpolate

NODES = (0.0, C2, C3, C4, C5, 1.0, 1.0)


def exact(t):
    return math.exp(math.sin(t))


def step(t, y, h):
    """One step of y' = y cos t; the new state and the stages."""
    k, new = np.zeros((7, 1, 1)), np.zeros((1, 1))
    k[0] = y * math.cos(t)
    for stage in range(2, 8):
        combine(1, 1, y, h, k, stage, new)
        k[stage - 1] = new * math.cos(t + NODES[stage - 1] * h)
    return new, k


def observed_order(errors, halvings=1):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:])) / halvings


def test_the_solution_converges_with_order_five():
    errors = []
    for count in (16, 32, 64, 128):
        y, h, worst = np.array([[exact(0.3)]]), 4.0 / count, 0.0
        for i in range(count):
            y, _ = step(0.3 + i * h, y, h)
            worst = max(worst, abs(y[0, 0] - exact(0.3 + (i + 1) * h)))
        errors.append(worst)
    assert observed_order(errors)[-1] == pytest.approx(5.0, abs=0.35)


def test_the_error_estimate_is_that_of_an_order_four_solution():
    estimates = []
    for h in (0.2, 0.1, 0.05):
        y = np.array([[exact(0.3)]])
        new, k = step(0.3, y, h)
        estimates.append(error_norm(1, y, new, h, k, 0.0, 1.0))
        assert estimates[-1] > abs(
            new[0, 0] - exact(0.3 + h)
        )  # an overestimate: the solution is of higher order
    assert observed_order(estimates)[-1] == pytest.approx(5.0, abs=0.35)


def test_the_interpolant_meets_both_ends_and_is_of_order_four_between():
    fractions, errors = (0.1, 0.35, 0.5, 0.8, 0.95), []
    for h in (0.2, 0.1, 0.05):
        y, seen = np.array([[exact(0.3)]]), np.zeros((1, 1))
        new, k = step(0.3, y, h)
        interpolate(1, 1, y, h, k, 0.0, seen)
        assert seen[0, 0] == y[0, 0]
        interpolate(1, 1, y, h, k, 1.0, seen)
        assert seen[0, 0] == pytest.approx(new[0, 0], rel=1e-14)
        worst = 0.0
        for s in fractions:
            interpolate(1, 1, y, h, k, s, seen)
            worst = max(worst, abs(seen[0, 0] - exact(0.3 + s * h)))
        errors.append(worst)
    assert np.all(observed_order(errors) > 4.6)  # local error of a method of order 4
