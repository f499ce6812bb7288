"""Rates that switch at a time which is a parameter: the state is continuous there, its derivatives jump."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pkpd
from pkpd.kernels import status
from tests.kernels.cases import Case

TIMES = [0.0, 1.0, 2.9, 3.1, 4.0, 7.0, 12.0]
P = np.array([0.3, 8.0, 3.0, 0.7])


def switched(condition, kind="ode"):
    """Zero-order input R until a time that depends on AT and WIDTH, first-order loss K; observed x."""

    def define(m):
        k, r, at, width = (m.parameter(n, m.eta(n, variance=1)) for n in ("K", "R", "AT", "WIDTH"))
        x, empty = m.compartment("x"), m.compartment("empty")
        m.ode(x, pkpd.where(condition(m.time, at, width), r, 0.0) - k * x)
        m.ode(empty, -at * width * empty)  # each parameter must be used
        m.observe("y", x, additive=m.sigma("SD", 1.0))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Case(pkpd.model(define), kind, rtol=1e-11, atol=1e-13)


def infused(begin, end):
    """x of an input R between two times, as a function of (K, R, AT, WIDTH)."""

    def solution(p):
        k, r = p[0], p[1]
        a, b = begin(p), end(p)
        return [
            r / k * (np.exp(-k * max(t - b.real, 0)) * np.exp(k * (b - b.real) * (t > b.real)))
            * (1 - np.exp(-k * ((b if t > b.real else t) - a))) if t > a.real else 0 * k
            for t in TIMES
        ]  # fmt: skip

    return solution


def derivatives(solution):
    """Gradient and second derivatives by complex steps and differences of them."""
    n, step = len(P), 1e-5
    gradient = np.zeros((len(TIMES), n))
    hessian = np.zeros((len(TIMES), n, n))

    def first(p, c):
        moved = p.astype(complex)
        moved[c] += 1e-30j
        return np.array([complex(v).imag for v in solution(moved)]) / 1e-30

    for c in range(n):
        gradient[:, c] = first(P, c)
        for d in range(n):
            up, down = P.copy(), P.copy()
            up[d] += step
            down[d] -= step
            hessian[:, c, d] = (first(up, c) - first(down, c)) / (2 * step)
    return gradient, hessian


CASES = {
    "until": (lambda t, at, width: t < at, lambda p: 0 * p[2], lambda p: p[2]),
    "until, the other way round": (lambda t, at, width: at > t, lambda p: 0 * p[2], lambda p: p[2]),
    "until, of a difference": (lambda t, at, width: 2 * t - at <= at, lambda p: 0 * p[2], lambda p: p[2]),
    "between": (
        lambda t, at, width: (t > at) & (t < at + 2 * width),
        lambda p: p[2],
        lambda p: p[2] + 2 * p[3],
    ),
    "short": (
        lambda t, at, width: (t >= 1.5 * at) & (t < 1.5 * at + width / 50),
        lambda p: 1.5 * p[2],
        lambda p: 1.5 * p[2] + p[3] / 50,
    ),
}


@pytest.mark.parametrize("kind", ["ode", "stiff"])
@pytest.mark.parametrize("name", CASES)
def test_both_orders_of_derivatives_cross_a_switch(name, kind):
    condition, begin, end = CASES[name]
    solution = infused(begin, end)
    code, f, gradient, hessian = switched(condition, kind).solve(P, [], TIMES, 2)
    assert code == status.OK
    exact = np.array([complex(v).real for v in solution(P.astype(complex))])
    first, second = derivatives(solution)
    np.testing.assert_allclose(f, exact, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(gradient, first, rtol=1e-7, atol=1e-9 * np.abs(first).max())
    # the differences are good to some 1e-9
    np.testing.assert_allclose(hessian, second, rtol=1e-6, atol=1e-7 * np.abs(second).max())
