"""The implicit method: its coefficients and orders, stiff problems against SciPy, derivatives, and when it takes over."""

from __future__ import annotations

import math
from functools import cache
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pkpd
from pkpd.kernels import status
from pkpd.kernels.radau import INVERSE, LEFT, PAIRS, REAL, REAL_LEFT, REAL_RIGHT, RIGHT, C, E, S, weights
from tests.kernels import twins
from tests.kernels.cases import Case, mammillary_case


def etas(m, *names):
    return [m.parameter(n, m.eta(n, variance=1)) for n in names]


def test_coefficients_are_those_of_collocation_at_the_radau_points():
    with mpmath.workdps(40):
        # the points are the zeros of the 4th derivative of x⁴(x - 1)⁵, the last of them 1
        coefficients = [mpmath.mpf(0)] * 4 + [mpmath.binomial(5, k) * (-1) ** (5 - k) for k in range(6)]
        for _ in range(S - 1):
            coefficients = [coefficients[i + 1] * (i + 1) for i in range(len(coefficients) - 1)]
        points = sorted(
            mpmath.re(r) for r in mpmath.polyroots(coefficients[::-1], maxsteps=200, extraprec=200)
        )
        powers = mpmath.matrix(S, S)
        integrals = mpmath.matrix(S, S)
        for i, c in enumerate(points):
            for q in range(S):
                powers[i, q] = c**q
                integrals[i, q] = c ** (q + 1) / (q + 1)
        matrix = integrals * powers**-1
        inverse = matrix**-1
        eigenvalues = mpmath.eig(inverse)[0]
        real = [mpmath.re(v) for v in eigenvalues if abs(mpmath.im(v)) < 1e-20]
        # ŷ = y + γ·h·f(y) + Σ b̂·h·f: of order 5, with the slope at the beginning as a sixth point
        rhs = mpmath.matrix([mpmath.mpf(1) / (q + 1) - (1 / real[0] if q == 0 else 0) for q in range(S)])
        embedded = mpmath.lu_solve(powers.T, rhs)
        error = (embedded.T - matrix[S - 1, :]) * inverse
        np.testing.assert_allclose(C, [float(c) for c in points], rtol=1e-15)
        np.testing.assert_allclose(INVERSE, np.array(inverse.tolist(), float), rtol=1e-13)
        np.testing.assert_allclose(E, np.array(error.tolist(), float)[0], rtol=1e-12)
        assert pytest.approx(float(real[0]), rel=1e-15) == REAL
    # one of each pair, and the real part of what belongs to it: the inverse, and with 1/λ the matrix itself
    for power, whole in ((1, INVERSE), (-1, np.linalg.inv(INVERSE)), (0, np.eye(S))):
        found = REAL**power * np.outer(REAL_RIGHT, REAL_LEFT)
        for value, right, left in zip(PAIRS, RIGHT, LEFT, strict=True):
            found = found + (value**power * np.outer(right, left)).real
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-13)


def exact(t):
    return math.exp(math.sin(t))


def step(t, y, h):
    """Stages of one step of y' = y cos t, which is linear."""
    slope = h * np.cos(t + C * h)
    return np.linalg.solve(INVERSE - np.diag(slope), slope * y)


def observed_order(errors):
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def test_orders_of_the_step_of_its_error_estimate_and_between():
    ends, estimates, between, w = [], [], [], np.zeros(S)
    for h in (1.6, 0.8, 0.4):
        y = exact(0.3)
        z = step(0.3, y, h)
        ends.append(abs(y + z[-1] - exact(0.3 + h)))
        # y' = y cos t is not stiff: the filter of the estimate is close to 1
        estimates.append(abs(h * y * math.cos(0.3) / REAL + E @ z))
        worst = 0.0
        for s in (0.1, 0.4, 0.7, 0.95):
            weights(s, w)
            worst = max(worst, abs(y + w @ z - exact(0.3 + s * h)))
        between.append(worst)
        weights(1.0, w)
        np.testing.assert_allclose(w, [0, 0, 0, 0, 1], atol=1e-14)
    assert observed_order(ends)[-1] > 9.3  # local errors: one more than the order
    assert observed_order(estimates)[-1] == pytest.approx(6.0, abs=0.7)
    assert observed_order(between)[-1] == pytest.approx(6.0, abs=0.7)


# ------------------------------------------------------------------------------------------------- stiff problems


@pkpd.model
def robertson(m):
    """Robertson HH. In: Walsh J (ed.), Numerical Analysis, an Introduction. 1966:178-182."""
    k1, k2, k3 = etas(m, "K1", "K2", "K3")
    a, b, c = (
        m.compartment("a", initial=m.parameter("A0", m.eta("A0", variance=1))),
        m.compartment("b"),
        m.compartment("c"),
    )
    m.ode(a, -k1 * a + k3 * b * c)
    m.ode(b, k1 * a - k3 * b * c - k2 * b**2)
    m.ode(c, k2 * b**2)
    for i, state in enumerate((a, b, c)):
        m.observe(f"y{i}", state, additive=m.sigma(f"SD{i}", 1.0))


def robertson_rates(t, x, p):
    k1, k2, k3 = p[:3]
    a, b, c = x
    return [-k1 * a + k3 * b * c, k1 * a - k3 * b * c - k2 * b**2, k2 * b**2]


@pkpd.model
def van_der_pol(m):
    mu, x0 = etas(m, "MU", "X0")
    x, v = m.compartment("x", initial=x0), m.compartment("v")
    m.ode(x, v)
    m.ode(v, mu * ((1 - x**2) * v) - x)
    m.observe("x", x, additive=m.sigma("SD", 1.0))
    m.observe("v", v, additive="SD")


def van_der_pol_rates(t, x, p):
    return [x[1], p[0] * (1 - x[0] ** 2) * x[1] - x[0]]


@pkpd.model
def binding(m):
    """Target-mediated disposition with quick binding, as an antibody has it."""
    kel, kon, koff, ksyn, kdeg, kint = etas(m, "KEL", "KON", "KOFF", "KSYN", "KDEG", "KINT")
    drug, free, bound = (
        m.compartment("drug"),
        m.compartment("free", initial=ksyn / kdeg),
        m.compartment("bound"),
    )
    net = kon * drug * free - koff * bound
    m.ode(drug, -kel * drug - net)
    m.ode(free, ksyn - kdeg * free - net)
    m.ode(bound, net - kint * bound)
    for i, state in enumerate((drug, free, bound)):
        m.observe(f"y{i}", state, additive=m.sigma(f"SD{i}", 1.0))


def binding_rates(t, x, p):
    kel, kon, koff, ksyn, kdeg, kint = p
    net = kon * x[0] * x[1] - koff * x[2]
    return [-kel * x[0] - net, ksyn - kdeg * x[1] - net, net - kint * x[2]]


@cache
def case(model, kind="stiff", rtol=1e-9, atol=1e-14):
    return Case(model, kind, rtol=rtol, atol=atol)


def reference(rates, p, x0, times, atol=1e-16):
    done = solve_ivp(
        lambda t, x: rates(t, x, p), (0, times[-1]), x0, method="Radau", rtol=1e-12, atol=atol, t_eval=times
    )
    assert done.success
    return done.y


@pytest.mark.parametrize("kind", ["stiff", "ode"])
def test_robertson(kind):
    p, times = [0.04, 3e7, 1e4, 1.0], [0.4, 4.0, 40.0, 400.0, 4e3, 4e4, 4e5]
    expected = reference(robertson_rates, p, [1.0, 0, 0], times)
    for endpoint in range(3):
        code, f, *_ = case(robertson, kind).solve(p, [], [0.0, *times], endpoint=endpoint)
        assert code == status.OK
        np.testing.assert_allclose(f[1:], expected[endpoint], rtol=1e-6)
    # the published value at t = 40 (Hairer & Wanner II, IV.1): 0.7158, 9.185e-6, 0.2842
    assert case(robertson, kind).solve(p, [], [0.0, 40.0])[1][1] == pytest.approx(0.7158270688, rel=1e-8)


@pytest.mark.parametrize("kind", ["stiff", "ode"])
@pytest.mark.parametrize("mu", [10.0, 1e3, 1e6])
def test_van_der_pol(mu, kind):
    times = np.array([0.1, 0.3, 0.55, 0.79]) * mu
    expected = reference(van_der_pol_rates, [mu], [2.0, 0.0], times, atol=1e-14)
    code, f, *_ = case(van_der_pol, kind, 1e-9, 1e-12).solve([mu, 2.0], [], [0.0, *times])
    assert code == status.OK
    np.testing.assert_allclose(f[1:], expected[0], rtol=1e-6)


def test_over_the_cliff_of_van_der_pol():
    """Through the jumps, where steps shrink by six orders and the stepper changes: a whole period and more."""
    mu = 1000.0
    times = np.array([700.0, 807.5, 1500.0, 1615.0, 2000.0])
    expected = reference(van_der_pol_rates, [mu], [2.0, 0.0], times, atol=1e-14)
    for kind in ("stiff", "ode"):
        f = case(van_der_pol, kind, 1e-9, 1e-12).solve([mu, 2.0], [], [0.0, *times])[1]
        # near the cliff time errors are magnified by mu
        np.testing.assert_allclose(f[1:], expected[0], rtol=1e-4)


@pytest.mark.parametrize("kind", ["stiff", "ode"])
def test_quick_binding_across_doses(kind):
    p, doses = (
        [0.02, 400.0, 0.3, 1.1, 0.2, 0.05],
        [(0.0, 30.0, 0, 0.0), (24.0, 30.0, 0, 60.0), (48.0, 30.0, 0, 0.0)],
    )
    # between the doses: start, rate, times of samples and the end
    pieces = [
        (0.0, 0.0, [0.001, 0.5, 23.0, 24.0]),
        (24.0, 60.0, [24.3, 24.5]),
        (24.5, 0.0, [24.6, 47.0, 48.0]),
        (48.0, 0.0, [60.0, 120.0]),
    ]
    x, expected = np.array([30.0, 1.1 / 0.2, 0.0]), {}
    for start, rate, times in pieces:
        x = x + np.array([30.0 if start == 48.0 else 0.0, 0, 0])
        found = solve_ivp(
            lambda t, x, r=rate: np.add(binding_rates(t, x, p), [r, 0, 0]), (start, times[-1]), x,
            method="Radau", rtol=1e-11, atol=1e-14, t_eval=times,
        )  # fmt: skip
        expected |= dict(zip(times, found.y.T, strict=True))
        x = found.y[:, -1]
    times = [0.001, 0.5, 23.0, 24.3, 24.6, 47.0, 60.0, 120.0]
    exact = np.array([expected[t] for t in times])
    for endpoint in range(3):
        code, f, *_ = case(binding, kind).solve(p, doses, times, endpoint=endpoint)
        assert code == status.OK
        np.testing.assert_allclose(f, exact[:, endpoint], rtol=1e-6, atol=1e-9)


# ------------------------------------------------------------------------------------------------- derivatives


@pytest.mark.parametrize("kind", ["stiff", "ode"])
def test_both_orders_of_derivatives_of_a_stiff_system(kind):
    p, doses = np.array([0.02, 1.0, 0.3, 1.1, 0.2, 0.05]), [(0.0, 30.0, 0, 0.0), (8.0, 30.0, 0, 60.0)]
    times = [0.01, 0.5, 7.0, 8.2, 12.0, 20.0]
    v = np.random.default_rng(3).uniform(0.2, 1, len(p)) * p
    scale = np.linalg.norm(v)
    at = [0, 1, 2]  # an explicit twin: the system is as quick as that can follow
    exact = twins.complex_directional(
        lambda q: twins.stepped(binding_rates, lambda p: ([0, p[3] / p[4], 0], [0] * 3, [1] * 3), doses, times)(q)[:, at],
        p, v / scale,
    )  # fmt: skip
    for endpoint in at:
        code, f, gradient, hessian = case(binding, kind, 1e-11, 1e-13).solve(
            p, doses, times, 2, endpoint=endpoint
        )
        assert code == status.OK
        ours = (f, gradient @ v / scale, np.einsum("a,oab,b->o", v, hessian, v) / scale**2)
        for mine, theirs, tolerance in zip(ours, exact, (1e-9, 1e-7, 1e-6), strict=True):
            theirs = theirs[:, endpoint]
            np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


def test_derivatives_are_those_of_the_numerical_solution_itself():
    """Even where the tolerance is coarse: differences of the solution at steps that no choice of steps disturbs."""
    values = {
        "KA": 0.9,
        "CL": 2.0,
        "V1": 10.0,
        "Q2": 4.0,
        "V2": 25.0,
        "LAG": 0.35,
        "F": 0.7,
        "A0": 20.0,
        "R0": 1.5,
    }
    doses = [(0.0, 100.0, 1, 40.0), (12.0, 20.0, 0, 0.0)]
    times = [0.2, 3.0, 11.0, 13.0, 25.0]
    linear = mammillary_case(2, True, "linear").solve(values, doses, times, 2)
    stiff = mammillary_case(2, True, "stiff").solve(values, doses, times, 2)
    assert stiff[0] == status.OK
    for mine, theirs, tolerance in zip(stiff[1:], linear[1:], (1e-8, 1e-7, 1e-6), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("kind", ["stiff", "ode"])
def test_the_solution_does_not_depend_on_whether_derivatives_are_wanted(kind):
    p, times = [0.04, 3e7, 1e4, 1.0], [0.0, 0.4, 40.0, 4e3]
    results = [case(robertson, kind).solve(p, [], times, order) for order in range(3)]
    assert np.array_equal(results[0][1], results[1][1]) and np.array_equal(results[1][1], results[2][1])
    assert np.array_equal(results[1][2], results[2][2])


# ------------------------------------------------------------------------------------------------- who takes over


def steps(model, kind, p, doses, times, **tolerances):
    """The least number of steps allowed with which the subject is solved."""
    low, high = 1, 1 << 20
    while low < high:
        middle = (low + high) // 2
        solved = Case(model, kind, max_steps=middle, **tolerances).solve(p, doses, times)[0] == status.OK
        low, high = (low, middle) if solved else (middle + 1, high)
    return low


def test_a_stiff_system_is_handed_over_and_a_calm_one_is_not():
    p, times = [0.04, 3e7, 1e4, 1.0], [0.0, 4e5]
    # with explicit steps alone it would be 4e5 · 1e4 / 6 of them
    assert steps(robertson, "ode", p, [], times) < 1000
    assert steps(robertson, "stiff", p, [], times) < 400
    # target-mediated binding of moderate speed: explicit steps to the end give the bits of explicit steps
    calm = [0.02, 0.4, 0.3, 1.1, 0.2, 0.05]
    doses, times = [(0.0, 30.0, 0, 0.0)], [1.0, 24.0]
    explicit, implicit = (Case(binding, kind).solve(calm, doses, times)[1] for kind in ("ode", "stiff"))
    assert not np.array_equal(explicit, implicit)
    np.testing.assert_allclose(explicit, implicit, rtol=1e-7)


@pkpd.model
def suppressed(m):
    """A drug that is gone within hours suppresses cells that take weeks to come back."""
    k, slope, transit = etas(m, "K", "SLOPE", "TRANSIT")
    drug, outer = m.compartment("drug"), m.compartment("outer")
    cells = [m.compartment(f"cells{i}", initial=5.0) for i in range(5)]
    m.ode(drug, -k * drug + 0.7 * outer)
    m.ode(outer, 0.6 * drug - 0.7 * outer)
    m.ode(cells[0], transit * cells[0] * ((1 - slope * drug) * (5.0 / cells[4]) ** 0.16 - 1))
    for before, after in pairwise(cells):
        m.ode(after, transit * (before - after))
    m.observe("y", cells[4], additive=m.sigma("SD", 1.0))


@pytest.mark.parametrize("rtol", [1e-10, 3e-10, 1e-9, 3e-9, 1e-8, 1e-7])
def test_a_fast_state_that_has_died_away_still_counts(rtol, monkeypatch):
    """Nothing of it shows in the last stages of a step, whose length it limits."""
    case = Case(suppressed, "ode")
    asked = np.array([rtol, rtol, 300.0, 2.0])  # 2: tell of an explicit method that ran out of steps
    monkeypatch.setattr(type(case.problem), "settings", property(lambda self: asked))
    code, *_ = case.solve([5.0, 1.07, 0.045], [(0.5, 75.0, 0, 75.0), (504.0, 75.0, 0, 75.0)], [503.0, 1008.0])
    assert code == status.OK  # explicit steps alone: 1000 · 5 / 6


@pkpd.model
def quenched(m):
    """Nothing happens for a long time, and the rate is enormous: an explicit step that overshoots is not finite."""
    (k,) = etas(m, "K")
    x = m.compartment("x")
    m.ode(x, -k * pkpd.exp(x / 10) * x)
    m.observe("y", x, additive=m.sigma("SD", 1.0))


def test_what_the_explicit_method_cannot_do_in_the_steps_allowed_the_implicit_one_does():
    stiff = Case(quenched, "ode", max_steps=300)
    code, f, *_ = stiff.solve([50.0], [(0.0, 30.0, 0, 0.0)], [1e-3, 10.0])
    assert code == status.OK
    expected = solve_ivp(
        lambda t, x: -50.0 * np.exp(x / 10) * x,
        (0, 10),
        [30.0],
        method="Radau",
        rtol=1e-11,
        atol=1e-13,
        t_eval=[1e-3, 10.0],
    ).y[0]
    np.testing.assert_allclose(f, expected, rtol=1e-6, atol=1e-9)


def test_who_ran_out_of_explicit_steps_does_not_try_again_after_the_next_dose():
    """At 1e-12 rounding errors of quick binding alone exceed the tolerance of an explicit step."""
    p = [0.0204, 830.0, 9.94, 1.264, 0.1529, 0.04563]
    doses, times = [(168.0 * i, 30.0, 0, 0.0) for i in range(4)], [5.0, 100.0, 300.0, 500.0, 670.0]
    results = {
        kind: Case(binding, kind, rtol=1e-12, atol=1e-13, max_steps=3000).solve(p, doses, times)
        for kind in ("ode", "stiff")
    }
    assert [code for code, *_ in results.values()] == [status.OK, status.OK]
    np.testing.assert_allclose(results["ode"][1], results["stiff"][1], rtol=1e-9, atol=1e-11)
