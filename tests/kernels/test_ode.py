"""The steppers against the closed form, and nonlinear systems against SciPy at tight tolerance with complex steps."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import pkpd
from pkpd import exp, where
from pkpd.kernels import status
from tests import naive
from tests.kernels import twins
from tests.kernels.cases import VALUES, Case, mammillary_case

TIMES = [0.2, 1.0, 3.0, 7.0, 11.9, 13.0, 25.0]


# Error per step is at most 1e-9 of the state; what accumulates, and the interpolant, stay within ten times that. The
# sensitivities are not controlled by the step size: they follow with about 1e-7 of their maximum.
@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_linear_systems_agree_with_the_closed_form(compartments):
    values = VALUES | {"LAG": 0.35, "F": 0.7, "A0": 20.0, "R0": 1.5}
    doses = [(0.0, 100.0, 1, 40.0), (1.0, 50.0, 1, 9.0), (12.0, 50.0, 0, 5.0), (12.0, 20.0, 1, 0.0)]
    code, *ode = mammillary_case(compartments, True, "ode").solve(values, doses, TIMES, 2)
    assert code == status.OK
    scale = np.array(list(values[n] for n in mammillary_case(compartments, True).names))
    for order, (ours, exact) in enumerate(
        zip(
            ode, mammillary_case(compartments, True, "linear").solve(values, doses, TIMES, 2)[1:], strict=True
        )
    ):
        for axis in range(order):  # relative changes of the parameters, so that entries are comparable
            ours, exact = (
                np.moveaxis(np.moveaxis(x, axis + 1, -1) * scale, -1, axis + 1) for x in (ours, exact)
            )
        np.testing.assert_allclose(ours, exact, rtol=0, atol=(1e-8, 1e-7, 1e-6)[order] * np.abs(exact).max())


def etas(m, *names):
    return [m.parameter(n, m.eta(n, variance=1)) for n in names]


@pkpd.model
def saturable(m):
    """Absorption with lag and bioavailability, Michaelis-Menten beside linear elimination, an initial amount."""
    ka, vmax, km, k, lag, fraction, a0 = etas(m, "KA", "VMAX", "KM", "K", "LAG", "F", "A0")
    depot = m.compartment("depot", lag=lag, bioavailability=fraction)
    central = m.compartment("central", lag=lag, bioavailability=fraction, initial=a0)
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - vmax * central / (km + central) - k * central)
    m.observe("y", central, additive=m.sigma("SD", 1.0))


def saturable_rates(t, x, p):
    ka, vmax, km, k = p[:4]
    return [-ka * x[0], ka * x[0] - vmax * x[1] / (km + x[1]) - k * x[1]]


@pkpd.model
def target(m):
    """Target-mediated disposition: drug, target, complex."""
    kel, kon, koff, ksyn, kdeg, kint, fraction = etas(m, "KEL", "KON", "KOFF", "KSYN", "KDEG", "KINT", "F")
    drug = m.compartment("drug", bioavailability=fraction)
    free = m.compartment("free", initial=ksyn / kdeg)
    bound = m.compartment("bound")
    binding = kon * drug * free - koff * bound
    m.ode(drug, -kel * drug - binding)
    m.ode(free, ksyn - kdeg * free - binding)
    m.ode(bound, binding - kint * bound)
    m.observe("y", drug, additive=m.sigma("SD", 1.0))


def target_rates(t, x, p):
    kel, kon, koff, ksyn, kdeg, kint = p[:6]
    binding = kon * x[0] * x[1] - koff * x[2]
    return [-kel * x[0] - binding, ksyn - kdeg * x[1] - binding, binding - kint * x[2]]


@pkpd.model
def turnover(m):
    """A response whose production follows the time of day and is inhibited by the drug, dosed after a lag."""
    k, kin, kout, amplitude, ic50, lag = etas(m, "K", "KIN", "KOUT", "AMP", "IC50", "LAG")
    drug = m.compartment("drug", lag=lag)
    response = m.compartment("response", initial=kin / kout)
    m.ode(drug, -k * drug)
    m.ode(
        response,
        kin * (1 + amplitude * exp(-0.5 * (m.time - 6) ** 2)) * (1 - drug / (ic50 + drug)) - kout * response,
    )
    m.observe("y", response, additive=m.sigma("SD", 1.0))


def turnover_rates(t, x, p):
    k, kin, kout, amplitude, ic50 = p[:5]
    wave = 1 + amplitude * np.exp(-0.5 * (t - 6) ** 2)
    return [-k * x[0], kin * wave * (1 - x[0] / (ic50 + x[0])) - kout * x[1]]


NONLINEAR = {
    "Michaelis-Menten, oral": (
        saturable, saturable_rates, lambda p: ([0, p[6]], [p[4]] * 2, [p[5]] * 2), 1,
        [1.1, 9.0, 20.0, 0.05, 0.4, 0.8, 15.0], [(0.0, 100.0, 0, 0.0), (12.0, 60.0, 1, 0.0)],
    ),
    "Michaelis-Menten, overlapping infusions": (
        saturable, saturable_rates, lambda p: ([0, p[6]], [p[4]] * 2, [p[5]] * 2), 1,
        [1.1, 9.0, 20.0, 0.05, 0.4, 0.8, 15.0], [(0.0, 100.0, 1, 20.0), (2.0, 60.0, 1, 30.0), (2.5, 30.0, 0, 10.0)],
    ),
    "target-mediated": (
        target, target_rates, lambda p: ([0, p[3] / p[4], 0], [0, 0, 0], [p[6], 1, 1]), 0,
        [0.1, 0.4, 0.05, 1.0, 0.2, 0.3, 0.9], [(0.0, 30.0, 0, 0.0), (4.0, 30.0, 0, 12.0)],
    ),
    "turnover with a time of day": (
        turnover, turnover_rates, lambda p: ([0, p[1] / p[2]], [p[5], 0], [1, 1]), 1,
        [0.3, 8.0, 0.4, 0.7, 5.0, 0.6], [(0.0, 40.0, 0, 0.0), (8.0, 40.0, 0, 0.0)],
    ),
}  # fmt: skip


@cache
def tight(name):
    return Case(NONLINEAR[name][0], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", NONLINEAR)
def test_nonlinear_systems_with_both_orders_of_derivatives(name):
    _, rates, event, seen, p, doses = NONLINEAR[name]
    p, case = np.array(p), tight(name)
    times = [0.2, 1.5, 6.0, 13.0, 25.0]
    code, f, gradient, hessian = case.solve(p, doses, times, 2)
    assert code == status.OK
    v = np.random.default_rng(8).uniform(0.2, 1, len(p)) * p
    exact = twins.complex_directional(
        lambda q: twins.stepped(rates, event, doses, times)(q)[:, seen], p, v / np.linalg.norm(v)
    )
    scale = np.linalg.norm(v)
    ours = (f, gradient @ v / scale, np.einsum("a,oab,b->o", v, hessian, v) / scale**2)
    # the twin: 1e-12 per step, its second derivative about 1e-12/1e-3 from the differences
    for mine, theirs, tolerance in zip(ours, exact, (1e-9, 1e-8, 1e-7), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=tolerance * np.abs(theirs).max())


@pytest.mark.parametrize("name", NONLINEAR)
def test_default_tolerances_keep_seven_digits_and_do_not_depend_on_derivatives(name):
    model, *_, p, doses = NONLINEAR[name]
    case = Case(model)
    exact = tight(name).solve(p, doses, TIMES, 0)[1]
    results = [case.solve(p, doses, TIMES, order) for order in range(3)]
    np.testing.assert_allclose(results[0][1], exact, rtol=1e-7, atol=1e-8 * np.abs(exact).max())
    assert np.array_equal(results[0][1], results[1][1]) and np.array_equal(results[1][1], results[2][1])
    assert np.array_equal(results[1][2], results[2][2])


def test_a_lag_is_a_shift_in_time_for_a_nonlinear_system_without_initial_amount():
    # d/dlag of y(t - lag) is -y'(t - lag), d²/dlag² is y'': exact, whatever the system
    p = np.array([1.1, 9.0, 20.0, 0.05, 0.0, 0.8, 0.0])
    case, name = tight("Michaelis-Menten, oral"), "LAG"
    at = case.names.index(name)
    _, _, gradient, hessian = case.solve(p, [(0.0, 100.0, 0, 0.0)], [3.0], 2)
    h = 1e-3
    f = {k: case.solve(p, [(0.0, 100.0, 0, 0.0)], [3.0 + k * h])[1][0] for k in (-2, -1, 0, 1, 2)}
    first = (f[-2] - 8 * f[-1] + 8 * f[1] - f[2]) / (12 * h)
    second = (-f[-2] + 16 * f[-1] - 30 * f[0] + 16 * f[1] - f[2]) / (12 * h * h)
    assert gradient[0, at] == pytest.approx(-first, rel=1e-8)
    assert hessian[0, at, at] == pytest.approx(second, rel=1e-4)  # 1e-11 / h² of noise


def test_stiff_reference_agrees_where_the_explicit_stepper_is_slow():
    p = [0.1, 200.0, 0.05, 1.0, 0.2, 0.3, 0.9]  # binding 2000 times faster than anything else
    f = Case(target).solve(p, [(0.0, 30.0, 0, 0.0)], [0.1, 1.0, 10.0])[1]
    exact = solve_ivp(
        lambda t, x: target_rates(t, x, p), (0, 10), [27.0, 5.0, 0.0], method="Radau", rtol=1e-11, atol=1e-13,
        t_eval=[0.1, 1.0, 10.0],
    ).y[0]  # fmt: skip
    np.testing.assert_allclose(f, exact, rtol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "ode"])
def test_observations_before_the_first_dose_and_doses_after_the_last_observation(kind):
    case = mammillary_case(1, True, kind)
    doses = [(5.0, 100.0, 1, 0.0), (6.0, 70.0, 1, 35.0), (50.0, 100.0, 1, 0.0)]
    times = [0.0, 1.0, 4.9, 5.5, 7.0, 20.0]
    code, f, *_ = case.solve(VALUES, doses, times, 2)
    assert code == status.OK
    expected = naive.concentration(times, [(5.0, 100.0)], 2.0, (10.0,))
    expected += naive.concentration(times, [(6.0, 70.0)], 2.0, (10.0,), duration=2.0)
    np.testing.assert_allclose(f, expected, rtol=1e-8, atol=1e-9)
    # an initial amount is there from the first record on
    f = case.solve(VALUES | {"A0": 30.0}, doses[:1], times)[1]
    expected = naive.concentration(times, [(0.0, 30.0)], 2.0, (10.0,)) + naive.concentration(
        times, [(5.0, 100.0)], 2.0, (10.0,)
    )
    np.testing.assert_allclose(f, expected, rtol=1e-8)
    assert case.solve(VALUES, doses, [], 2)[0] == status.OK
    assert np.array_equal(case.solve(VALUES, [], times)[1], np.zeros(6))


@pytest.mark.parametrize("kind", ["linear", "ode"])
def test_record_order_decides_at_equal_times(kind):
    case = mammillary_case(1, False, kind)
    doses = [(0.0, 100.0, 1, 0.0), (12.0, 50.0, 1, 0.0)]
    trough = 10 * np.exp(-0.2 * 12)
    f = case.solve(VALUES, doses, [0.0, 0.0, 12.0, 12.0], dose_row=[1, 4], obs_row=[0, 2, 3, 5])[1]
    np.testing.assert_allclose(f, [0.0, 10.0, trough, trough + 5.0], rtol=1e-8)
    # of two doses at one time the order does not matter; both precede a later record
    f = case.solve(
        VALUES, [(0.0, 60.0, 1, 0.0), (0.0, 40.0, 1, 0.0)], [0.0, 12.0], dose_row=[0, 1], obs_row=[2, 3]
    )[1]
    np.testing.assert_allclose(f, [10.0, trough], rtol=1e-8)
    # an infusion that starts where another ends, and a sample there
    f = case.solve(
        VALUES, [(0.0, 100.0, 1, 50.0), (2.0, 100.0, 1, 50.0)], [2.0, 4.0], dose_row=[0, 2], obs_row=[1, 3]
    )[1]
    np.testing.assert_allclose(f, 5.0 / 0.2 * (1 - np.exp(-0.2 * np.array([2.0, 4.0]))), rtol=1e-8)


@pkpd.model
def explosive(m):
    (a,) = etas(m, "A")
    x = m.compartment("x")
    m.ode(x, a * x**2)
    m.observe("y", x, additive=m.sigma("SD", 1.0))


def test_what_cannot_be_solved_ends_with_a_status():
    case = Case(explosive)
    assert case.solve([1.0], [(0.0, 1.0, 0, 0.0)], [0.5])[1][0] == pytest.approx(2.0, rel=1e-7)
    # x = 1/(1 - t) leaves every bound at t = 1
    assert case.solve([1.0], [(0.0, 1.0, 0, 0.0)], [2.0])[0] in (status.STEP_TOO_SMALL, status.NOT_FINITE)
    assert case.solve([np.nan], [(0.0, 1.0, 0, 0.0)], [2.0])[0] == status.NOT_FINITE
    assert case.solve([np.inf], [(0.0, 1.0, 0, 0.0)], [2.0])[0] == status.NOT_FINITE
    assert case.solve([1.0], [(0.0, np.nan, 0, 0.0)], [2.0])[0] == status.NOT_FINITE
    few = Case(target, max_steps=5)
    assert (
        few.solve([0.1, 200.0, 0.05, 1.0, 0.2, 0.3, 0.9], [(0.0, 30.0, 0, 0.0)], [10.0])[0]
        == status.TOO_MANY_STEPS
    )
    lagged = mammillary_case(1, True, "ode")
    assert (
        lagged.solve(VALUES | {"LAG": -0.1}, [(0.0, 100.0, 1, 0.0)], TIMES)[0] == status.EVENT_TIME_NEGATIVE
    )


@pkpd.model
def pulsed(m):
    """An input that a branch switches on for half an hour, and one that a dose record gives."""
    k, speed = etas(m, "K", "SPEED")
    x = m.compartment("x")
    m.ode(x, where((m.time >= 100) & (m.time < 100.5), speed, 0) - k * x)
    m.observe("y", x, additive=m.sigma("SD", 1.0))


def test_a_step_ends_where_the_rates_switch_in_time():
    """A stepper at rest takes ever longer steps: it would leap over the pulse and never know."""
    case, times = Case(pulsed), [50.0, 100.0, 100.2, 100.5, 130.0, 400.0]
    assert case.problem.structure.switches == (100.0, 100.5)
    code, f, gradient, hessian = case.solve([0.1, 20.0], [], [0.0, *times], 2)
    assert code == status.OK
    expected = naive.concentration(times, [(100.0, 10.0)], 0.1, (1.0,), duration=0.5)
    np.testing.assert_allclose(f[1:], expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(gradient[1:, 1], expected / 20, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(hessian[:, 1, 1], 0, atol=1e-12)
    # as many steps as for an infusion by a dose record: no search for the switch in the dark
    assert Case(pulsed, max_steps=150).solve([0.1, 20.0], [], [0.0, *times])[0] == status.OK
