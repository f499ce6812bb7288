"""The twins are checked against each other and against published optima before anything is checked against
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import naive

ROOT = Path(__file__).parents[1]
TIMES = np.array([0.0, 0.25, 1.0, 3.0, 11.9, 24.0, 25.5, 40.0])
DOSES = [(0.0, 100.0), (24.0, 50.0)]
SHAPES = [((10.0,), ()), ((10.0, 25.0), (4.0,)), ((10.0, 25.0, 80.0), (4.0, 1.5))]


def mammillary(cl, volumes, flows, ka=0.0):
    """Amounts: depot, central, peripherals."""

    def rhs(t, x):
        dx = np.zeros(len(volumes) + 1)
        dx[0] = -ka * x[0]
        dx[1] = ka * x[0] - cl / volumes[0] * x[1]
        for j, (q, v) in enumerate(zip(flows, volumes[1:], strict=True)):
            net = q * (x[1] / volumes[0] - x[2 + j] / v)
            dx[1] -= net
            dx[2 + j] += net
        return dx

    return rhs


@pytest.mark.parametrize(("volumes", "flows"), SHAPES)
@pytest.mark.parametrize("route", ["bolus", "infusion", "oral", "lagged"])
def test_closed_forms_equal_the_differential_equations(volumes, flows, route):
    cl, ka = 2.0, 0.9
    oral = route in ("oral", "lagged")
    lag, fraction = (0.4, 0.7) if route == "lagged" else (0.0, 1.0)
    rhs = mammillary(cl, volumes, flows, ka)
    n = len(volumes) + 1
    events = [
        naive.Dose(t, a, 0 if oral else 1, rate=a / 2.0 if route == "infusion" else 0.0) for t, a in DOSES
    ]
    states = naive.simulate_ode(
        rhs, np.zeros(n), events, TIMES, lag=[lag] + [0] * (n - 1), bioavailability=[fraction] + [1] * (n - 1)
    )
    closed = naive.concentration(
        TIMES,
        DOSES,
        cl,
        volumes,
        flows,
        ka=ka if oral else None,
        duration=2.0 if route == "infusion" else None,
        lag=lag,
        bioavailability=fraction,
    )
    # rtol 1e-12 per step; a few hundred steps
    np.testing.assert_allclose(states[:, 1] / volumes[0], closed, rtol=1e-9, atol=1e-11)


def test_bioavailability_scales_the_duration_of_an_infusion():
    states = naive.simulate_ode(
        mammillary(2.0, (10.0,), ()),
        [0, 0],
        [naive.Dose(0, 100, 1, rate=50)],
        TIMES,
        bioavailability=[1, 0.5],
    )
    closed = naive.concentration(TIMES, [(0, 50)], 2.0, (10.0,), duration=1.0)
    np.testing.assert_allclose(states[:, 1] / 10, closed, rtol=1e-9, atol=1e-11)


def test_sample_at_a_dose_shows_the_side_that_was_asked_for():
    arguments = (mammillary(2.0, (10.0,), ()), [0, 0], [naive.Dose(24, 100, 1)], [24.0])
    assert naive.simulate_ode(*arguments)[0, 1] == pytest.approx(100)
    assert naive.simulate_ode(*arguments, sample="before")[0, 1] == 0


@pytest.mark.parametrize(("volumes", "flows"), SHAPES)
@pytest.mark.parametrize("route", [{}, {"ka": 0.9}, {"duration": 2.0}])
def test_steady_state_is_what_many_doses_come_to(volumes, flows, route):
    cl, every = 4.0, 12.0
    inside = np.array([0.0, 0.5, 2.0, 7.0, 12.0])
    many = [(every * k, 100.0) for k in range(-150, 1)]
    after_many = naive.concentration(inside, many, cl, volumes, flows, **route)
    if not route:  # the sample at t = 12 is just before the next dose in both
        assert after_many[0] > after_many[-1]
    steady = naive.concentration_steady_state(inside, 100.0, every, cl, volumes, flows, **route)
    np.testing.assert_allclose(steady, after_many, rtol=1e-9)
    # Area under one interval = dose / CL, whatever the model.
    fine = np.linspace(0, every, 2001)
    if "ka" in route:
        values = naive.concentration_steady_state(fine, 100.0, every, cl, volumes, flows, **route)
        assert np.trapezoid(values, fine) == pytest.approx(100 / cl, rel=1e-5)


def test_absorption_rate_that_equals_an_exponent():
    """At ka = k the formula has a pole; its limit is D/V · k t exp(−kt), and the ODE knows nothing of
    poles.
    """
    t = np.array([0.5, 2.0, 10.0])
    k = 0.25  # 2.5 / 10, exact in binary
    limit = 100 / 10 * k * t * np.exp(-k * t)
    np.testing.assert_allclose(naive.concentration(t, [(0, 100)], 2.5, (10.0,), ka=k), limit, rtol=1e-14)
    np.testing.assert_allclose(naive.concentration_oral_1cmt(t, 100, k, 2.5, 10.0), limit, rtol=1e-14)
    lam, _ = naive.disposition(2.0, (10.0, 25.0), (4.0,))
    ka = float(max(lam))
    states = naive.simulate_ode(mammillary(2.0, (10.0, 25.0), (4.0,), ka), [100, 0, 0], [], t)
    twin = naive.concentration(t, [(0, 100)], 2.0, (10.0, 25.0), (4.0,), ka=ka)
    np.testing.assert_allclose(states[:, 1] / 10, twin, rtol=1e-9)


def test_double_precision_forms_equal_the_long_ones():
    t = np.array([0.0, 0.3, 1, 5, 30, 100])
    np.testing.assert_allclose(
        naive.concentration_oral_1cmt(t, 320, 1.5, 2.8, 32),
        naive.concentration(t, [(0, 320)], 2.8, (32.0,), ka=1.5),
        rtol=1e-12,
    )
    np.testing.assert_allclose(
        naive.concentration_oral_2cmt(t, 2, 0.913, 5.83, 61.9, 64.9, 417),
        naive.concentration(t, [(0, 2)], 5.83, (61.9, 417.0), (64.9,), ka=0.913),
        rtol=1e-11,
        atol=1e-16,
    )


def test_focei_of_a_linear_model_is_the_exact_marginal_likelihood():
    """For f linear in eta and additive error, FOCEI is exact: y ~ N(m, σ²I + ZΩZᵀ)."""
    rng = np.random.default_rng(1)
    design, base, omega = rng.normal(size=(6, 2)), rng.normal(size=6), np.array([[0.5, 0.2], [0.2, 0.3]])
    y = base + rng.normal(size=6)
    sd = 0.7
    marginal = sd**2 * np.eye(6) + design @ omega @ design.T
    exact = np.linalg.slogdet(marginal)[1] + (y - base) @ np.linalg.solve(marginal, y - base)
    value, _ = naive.focei_subject(lambda e: base + design @ e, lambda f, e: np.full(6, sd**2), y, omega)
    assert value == pytest.approx(exact, abs=1e-7)


def test_focei_interaction_term_is_half_the_squared_log_variance_slope():
    """One proportional observation, by hand: V = s²f², log V has slope 2 f'/f, so H = a²/V + 2(a/f)² +
    1/ω.
    """
    f, y, s, omega, eta = 3.0, 3.4, 0.2, 0.3, 0.1  # f = c·exp(eta): a = f
    V = s**2 * f**2
    by_hand = (y - f) ** 2 / V + np.log(V) + eta**2 / omega + np.log(omega) + np.log(1 / s**2 + 2 + 1 / omega)
    value = naive.focei_objective([f], [[f]], [y], [V], [[2.0]], [eta], [[omega]])
    assert value == pytest.approx(by_hand, abs=1e-12)


def test_focei_at_the_published_optimum_of_theophylline():
    """116.80341 at the optimum where two independent programs agree (values rounded to five figures)."""
    file = ROOT / "datasets/theophylline/theophylline.csv"
    if not file.exists():
        pytest.skip("theophylline is not here yet")
    data = pd.read_csv(file, na_values=".")
    log_ka, log_cl, log_v, sd = 0.46388, 1.01216, 3.45975, 0.69441
    omega = np.diag([0.40236, 0.069095, 0.019160])
    subjects = []
    for _, rows in data.groupby("ID"):
        dose = rows.loc[rows.EVID == 1, "AMT"].iloc[0]
        seen = rows[(rows.EVID == 0) & (rows.MDV == 0)]
        t = seen.TIME.to_numpy(float)

        def prediction(eta, dose=dose, t=t):
            ka, cl, v = np.exp(np.array([log_ka, log_cl, log_v]) + eta)
            return naive.concentration_oral_1cmt(t, dose, ka, cl, v)

        subjects.append((prediction, lambda f, eta: np.full(len(f), sd**2), seen.DV.to_numpy(float)))
    # The optimum is flat: rounding its arguments to five figures moves it by about 1e-6.
    assert naive.focei(subjects, omega) == pytest.approx(116.80341, abs=2e-5)


def test_gradient_of_a_cubic():
    slope = naive.gradient(lambda x: x[0] ** 3 + 2 * x[0] * x[1], [1.5, -0.5])
    np.testing.assert_allclose(slope, [3 * 1.5**2 - 1, 3.0], rtol=1e-8)
