"""Problems of the DETEST collection on [0, 20]: errors follow the tolerance, as those of SciPy's program of the same method do.

Hull TE, Enright WH, Fellen BM, Sedgwick AE. Comparing numerical methods for ordinary differential equations. SIAM J Numer Anal
1972;9:603-637. The letters and numbers are theirs.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import pkpd
from pkpd.kernels import status
from tests.kernels.cases import Case

TIMES = np.linspace(0.0, 20.0, 21)
TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)


def bernoulli(t, x):
    return [-(x[0] ** 3) / 2]


def oscillating(t, x):
    # NumPy's for numbers, ours for symbols
    return [x[0] * (np.cos(t) if isinstance(t, float) else pkpd.cos(t))]


def reaction(t, x):
    return [x[1] - x[0], x[0] - 2 * x[1] + x[2], x[1] - x[2]]


def on_a_torus(t, x):
    r = (x[0] ** 2 + x[1] ** 2) ** 0.5
    return [-x[1] - x[0] * x[2] / r, x[0] - x[1] * x[2] / r, x[0] / r]


def in_orbit(t, x):
    cube = (x[0] ** 2 + x[1] ** 2) ** 1.5
    return [x[2], x[3], -x[0] / cube, -x[1] / cube]


def van_der_pol(t, x):
    return [x[1], (1 - x[0] ** 2) * x[1] - x[0]]


def orbit(e):
    """Position and velocity by Kepler's equation, E - e·sin E = t."""

    def at(t):
        anomaly = np.array(
            [brentq(lambda x, now=now: x - e * np.sin(x) - now, now - 1, now + 1, xtol=1e-15) for now in t]
        )
        cos, sin, narrow = np.cos(anomaly), np.sin(anomaly), np.sqrt(1 - e * e)
        return [cos - e, narrow * sin, -sin / (1 - e * cos), narrow * cos / (1 - e * cos)]

    return at


# right-hand side and exact solution
PROBLEMS = {
    "A2, a Bernoulli equation": (bernoulli, lambda t: [1 / np.sqrt(1 + t)]),
    "A3, oscillating": (oscillating, lambda t: [np.exp(np.sin(t))]),
    "B2, a linear reaction": (
        reaction,
        lambda t: [1 + (np.exp(-t) + np.exp(-3 * t)) / 2, 1 - np.exp(-3 * t), 1 + (np.exp(-3 * t) - np.exp(-t)) / 2],
    ),
    "B4, on a torus": (
        on_a_torus, lambda t: [(2 + np.cos(t)) * np.cos(t), (2 + np.cos(t)) * np.sin(t), np.sin(t)],
    ),
    "D1, an orbit": (in_orbit, orbit(0.1)),
    "D2, an orbit": (in_orbit, orbit(0.3)),
    "D3, an orbit": (in_orbit, orbit(0.5)),
    "E2, van der Pol": (
        van_der_pol,
        lambda t: solve_ivp(van_der_pol, (0.0, 20.0), [2.0, 0.0], "DOP853", rtol=1e-13, atol=1e-15, t_eval=t).y,
    ),
}  # fmt: skip


@cache
def exact(name):
    return np.array(PROBLEMS[name][1](TIMES))


@cache
def model(rates, states):
    """x' = rates(t, x); the states at the beginning are parameters."""

    def define(m):
        starts = [m.parameter(f"X{i}", m.eta(f"X{i}", variance=1)) for i in range(states)]
        x = [m.compartment(f"x{i}", initial=start) for i, start in enumerate(starts)]
        for state, rate in zip(x, rates(m.time, x), strict=True):
            m.ode(state, rate)
        sd = m.sigma("SD", 1.0)
        for i, state in enumerate(x):
            m.observe(f"y{i}", state, additive=sd)

    return pkpd.model(define)


def worst(found, name):
    """Largest error of any state at any time, in units of that state's maximum."""
    return (np.abs(found - exact(name)).max(1) / np.abs(exact(name)).max(1)).max()


def ours(name, kind, tolerance):
    states = len(exact(name))
    code, f, *_ = Case(model(PROBLEMS[name][0], states), kind, rtol=tolerance, atol=0.01 * tolerance).solve(
        exact(name)[:, 0], [], np.repeat(TIMES, states), endpoint=np.tile(np.arange(states), len(TIMES))
    )
    assert code == status.OK
    return worst(f.reshape(-1, states).T, name)


@cache
def scipys(name, tolerance):
    return worst(
        solve_ivp(
            PROBLEMS[name][0], (0.0, 20.0), exact(name)[:, 0], "DOP853", rtol=tolerance, atol=0.01 * tolerance, t_eval=TIMES
        ).y,
        name,
    )  # fmt: skip


# Measured: at most 7 times what SciPy's program of the explicit method errs, or the tolerance (where their steps happen to end
# moves an error by that much). The implicit method's order is higher than its error estimate's, and it errs less than both,
# but in orbits: its equations are solved to 1e-2 of the tolerance in each step, and an orbit damps nothing and adds that up, to
# 14 times. With tolerances ten times as large three to five of the eight problems break these bounds, with thirty times seven.
@pytest.mark.parametrize("kind", ["ode", "stiff"])
@pytest.mark.parametrize("name", PROBLEMS)
def test_errors_follow_the_tolerance(name, kind):
    errors, theirs = (
        np.array([error(tolerance) for tolerance in TOLERANCES])
        for error in (
            lambda tolerance: ours(name, kind, tolerance),
            lambda tolerance: scipys(name, tolerance),
        )
    )
    multiple = 10 if kind == "ode" else 20 if name.startswith("D") else 1
    assert np.all(errors < multiple * np.maximum(theirs, TOLERANCES))
    # six decades bring at least 3.5, and four of them always one
    assert errors[-1] < 3e-4 * errors[0]
    assert np.all(errors[2:] < 0.1 * errors[:-2])
