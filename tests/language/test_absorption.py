"""Input functions against the distributions that they are, delays, rhythms, and what they refuse."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.integrate import solve_ivp

import pkpd
from pkpd.errors import InputError, ModelError, PkpdWarning
from pkpd.language import Solver, bind
from pkpd.language.scales import Scales
from pkpd.simulation.prediction import predictions

CLOSE = {"rtol": 1e-6, "atol": 1e-7}


def table(times, doses, **columns):
    """Samples at ``times`` and doses (time, amount); a sample at a dose comes before it."""
    rows = [(t, 0, 0.0) for t in times] + [(t, 1, a) for t, a in doses]
    frame = pd.DataFrame(sorted(rows, key=lambda r: (r[0], r[1])), columns=["TIME", "EVID", "AMT"])
    frame = frame.assign(ID=1, DV=1.0, **columns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        return pkpd.read_dataset(frame, allow=["E_NO_DOSES"])


def collector(function, share=None):
    """A compartment that keeps what enters it: what it holds is the dose times the distribution function."""

    def define(m):
        gut = m.compartment("gut", input=function(m), bioavailability=None if share is None else share(m))
        m.ode(gut, 0)
        m.observe("amount", gut, additive=m.sigma("SD", 1.0))

    return pkpd.model(define)


FUNCTIONS = {
    "transit": (
        lambda m: pkpd.transit(m.theta("N", 3.7), mtt=m.theta("MTT", 2.5), doses=3),
        stats.gamma(4.7, scale=2.5 / 4.7).cdf,
    ),
    "transit by ktr": (lambda m: pkpd.transit(m.theta("N", 0.6), ktr=m.theta("KTR", 1.5)), stats.gamma(1.6, scale=1 / 1.5).cdf),
    "weibull": (lambda m: pkpd.weibull(m.theta("A", 3.0), m.theta("B", 1.8)), stats.weibull_min(1.8, scale=3.0).cdf),
    # SciPy's invgauss(mu, scale): mean mu·scale, shape parameter scale = mean/CV²
    "inverse Gaussian": (
        lambda m: pkpd.inverse_gaussian(m.theta("M", 4.0), m.theta("CV2", 0.5)),
        stats.invgauss(0.5, scale=8.0).cdf,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_has_entered_is_the_distribution_function(name):
    function, distribution = FUNCTIONS[name]
    times, doses = [0.5, 1.0, 3.0, 5.5, 6.0, 9.0, 12.0, 20.0], [(0.0, 100.0), (6.0, 50.0), (9.0, 80.0)]
    f = pkpd.predict(collector(function), table(times, doses))["PRED"].to_numpy()
    expected = [sum(a * distribution(t - at) for at, a in doses if t > at) for t in times]
    np.testing.assert_allclose(f, expected, **CLOSE)


def test_bioavailability_scales_what_enters():
    function, distribution = FUNCTIONS["transit"]
    f = pkpd.predict(collector(function, lambda m: m.theta("F", 0.6)), table([4.0], [(0.0, 100.0)]))["PRED"]
    np.testing.assert_allclose(f, 60 * distribution(4.0), **CLOSE)


def test_absorption_after_transit_and_its_derivatives():
    def define(m):
        n = m.parameter("N", m.theta("N", 4.0, lower=0) * pkpd.exp(m.eta("N", variance=0.1)))
        mtt = m.parameter("MTT", m.theta("MTT", 1.5, lower=0) * pkpd.exp(m.eta("MTT", variance=0.1)))
        depot = m.compartment("depot", input=pkpd.transit(n, mtt=mtt))
        central = m.compartment("central")
        m.ode(depot, -0.9 * depot)
        m.ode(central, 0.9 * depot - 0.2 * central)
        m.observe("cp", central / 10, additive=m.sigma("SD", 1.0))

    times = [0.3, 1.0, 2.0, 5.0, 12.5, 14.0, 20.0]
    model, data = pkpd.model(define), table(times, [(0.0, 100.0), (12.0, 100.0)])
    problem = bind(model, data)
    # what a solver adds to differences is 1e4 times its error
    tight = bind(model, data, Solver(rtol=1e-13, atol=1e-15))
    values = Scales(problem).initial(problem)
    at = np.array([[0.2, -0.1]])
    f, f_eta, status = predictions(problem, values, at, order=1)
    assert not status.any()
    density = stats.gamma(4.0 * math.exp(0.2) + 1, scale=1.5 * math.exp(-0.1) / (4.0 * math.exp(0.2) + 1)).pdf

    def rhs(t, x):
        enters = 100 * density(t) + (100 * density(t - 12) if t > 12 else 0.0)
        return enters - 0.9 * x[0], 0.9 * x[0] - 0.2 * x[1]

    solved = solve_ivp(
        rhs, (0, 20), [0, 0], method="DOP853", rtol=1e-11, atol=1e-11, max_step=0.1, t_eval=times
    )
    np.testing.assert_allclose(f, solved.y[1] / 10, **CLOSE)
    for k in range(2):
        h = np.zeros((1, 2))
        h[0, k] = 1e-4
        up, down = (predictions(tight, values, at + s * h)[0] for s in (1, -1))
        np.testing.assert_allclose(f_eta[:, k], (up - down) / 2e-4, rtol=1e-6, atol=1e-7)


def test_only_the_latest_doses_are_superposed():
    """With doses=1 what is left of a dose is lost at the next, as in scripts that keep the last dose and its time."""
    last = collector(lambda m: pkpd.transit(m.theta("N", 3.7), mtt=m.theta("MTT", 2.5), doses=1))
    distribution = FUNCTIONS["transit"][1]
    f = pkpd.predict(last, table([1.0, 4.0], [(0.0, 100.0), (2.0, 50.0)]))["PRED"].to_numpy()
    np.testing.assert_allclose(
        f, [100 * distribution(1.0), 100 * distribution(2.0) + 50 * distribution(2.0)], **CLOSE
    )


def test_a_reset_ends_what_is_entering_and_additional_doses_enter_too():
    function, distribution = FUNCTIONS["transit"]
    doses = table([1.0, 3.0, 30.0], [(0.0, 100.0)], ADDL=[2, 0, 0, 0], II=[2.0, 0, 0, 0])
    f = pkpd.predict(collector(function), doses)["PRED"].to_numpy()
    expected = [100 * sum(distribution(t - at) for at in (0.0, 2.0, 4.0) if t > at) for t in (1.0, 3.0, 30.0)]
    np.testing.assert_allclose(f, expected, **CLOSE)
    # the reset of record 3 ends the first dose and cancels those that its record announced for 4
    frame = doses.frame.drop(columns="ROW")
    frame = pd.concat(
        [frame.iloc[:3], frame.iloc[[3]].assign(TIME=3.0, EVID=3, MDV=1, DV=np.nan), frame.iloc[3:]]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        f = pkpd.predict(collector(function), pkpd.read_dataset(frame))["PRED"].to_numpy()
    np.testing.assert_allclose(f, [*expected[:2], 0.0], **CLOSE)


def test_other_doses_enter_through_the_same_function():
    from pkpd.simulation.design import doses_for, records_at

    function, distribution = FUNCTIONS["weibull"]
    model = collector(function)
    f = pkpd.simulate(model, pkpd.dose(100, every=3, until=6), times=[2.0, 8.0], parameters={"SD(SD)": 1e-9})[
        "IPRED"
    ]
    expected = [100 * distribution(2.0), 100 * (distribution(8.0) + distribution(5.0))]
    np.testing.assert_allclose(f, expected, **CLOSE)
    problem = bind(model, table([1.0], [(0.0, 7.0)]))
    problem = problem.with_records(
        doses_for(problem, None, [pkpd.dose(100, every=3, until=6)]),
        records_at(np.array([[2.0, 8.0]]), np.zeros(2, int)),
    )
    f, _, _ = predictions(problem, Scales(problem).initial(problem), np.zeros((1, 0)))
    np.testing.assert_allclose(f, expected, **CLOSE)


def test_what_an_input_function_cannot_take_is_refused():
    model = collector(FUNCTIONS["transit"][0])
    with pytest.raises(InputError, match=r"E_INPUT_DOSE.*infusion"):
        bind(model, table([4.0], [(0.0, 100.0)], RATE=[10.0, 0.0]))
    with pytest.raises(InputError, match=r"E_INPUT_DOSE.*steady"):
        bind(model, table([4.0], [(0.0, 100.0)], SS=[1, 0], II=[12.0, 0.0]))
    for wrong in (
        lambda m: m.compartment("gut", input=pkpd.transit(3, mtt=1.0), lag=m.theta("LAG", 1.0)),
        lambda m: m.compartment("gut", input=pkpd.exp(-m.time)),
        lambda m: pkpd.transit(3),
        lambda m: pkpd.transit(3, mtt=1.0, ktr=2.0),
        lambda m: pkpd.weibull(1.0, 2.0, doses=0),
    ):
        with pytest.raises(ModelError, match="E_MODEL_INPUT"):
            pkpd.model(wrong)


def test_the_equations_name_the_input():
    shown = collector(FUNCTIONS["inverse Gaussian"][0]).equations()
    assert any(r"\mathrm{In}_{gut}(\tau) =" in e for e in shown)
    assert any(r"\sum_{d} F D_{d}" in e for e in shown)


def test_a_delay_has_a_gamma_distribution():
    def define(m):
        source = m.compartment("source")
        m.ode(source, -1e4 * source)
        arrived = m.compartment("arrived")
        m.ode(arrived, m.delay("transit", 1e4 * source, compartments=5, time=m.theta("MTT", 4.0)))
        m.observe("amount", arrived, additive=m.sigma("SD", 1.0))

    model = pkpd.model(define)
    assert [c.name for c in model.compartments][2:] == [f"transit{k}" for k in range(1, 6)]
    times = [1.0, 3.0, 4.0, 8.0]
    f = pkpd.predict(model, table(times, [(0.0, 100.0)]))["PRED"]
    # the source itself delays by 1e-4
    np.testing.assert_allclose(f, 100 * stats.gamma(5, scale=4.0 / 5).cdf(times), rtol=1e-3)
    with pytest.raises(ModelError, match="E_MODEL_VALUE"):
        pkpd.model(lambda m: m.delay("d", 1.0, compartments=0, time=1.0))


def test_a_rhythm_in_time():
    """x' = 2·(1 + sin(2πt/24)) - 0.3·x from 0, by hand."""

    def define(m):
        x = m.compartment("x", initial=0.0)
        m.ode(x, m.theta("K", 2.0) * (1 + pkpd.sin(2 * pkpd.pi * m.time / 24)) - 0.3 * x)
        m.observe("y", x + pkpd.cos(0 * m.time) - 1, additive=m.sigma("SD", 1.0))

    times = np.array([1.0, 6.0, 17.0, 30.0])
    f = pkpd.predict(pkpd.model(define), table(times, [(0.0, 1e-300)]))["PRED"]
    k, w = 0.3, 2 * math.pi / 24
    rhythm = 2 * (k * np.sin(w * times) - w * np.cos(w * times) + w * np.exp(-k * times)) / (k**2 + w**2)
    np.testing.assert_allclose(f, 2 / k * (1 - np.exp(-k * times)) + rhythm, **CLOSE)


def test_small_functions_take_numbers_and_quantities():
    def define(m):
        a = m.parameter("A", pkpd.lgamma(m.theta("TA", 3.7) + m.eta("A", variance=1.0)))
        b = m.parameter("B", pkpd.minimum(m.theta("TB", 2.0), 1.5) + pkpd.maximum(m.theta("TC", 2.0), 5))
        m.observe("y", a + b + 0 * m.time, additive=m.sigma("SD", 1.0))

    problem = bind(pkpd.model(define), table([1.0], []))
    values = Scales(problem).initial(problem)
    f, f_eta, _ = predictions(problem, values, np.array([[0.3]]), order=1)
    assert f[0] == pytest.approx(math.lgamma(4.0) + 1.5 + 5, rel=1e-14)
    assert f_eta[0, 0] == pytest.approx(1.2561176684318005, rel=1e-13)  # ψ(4)
