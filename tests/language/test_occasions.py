"""Variability between occasions: one eta per occasion, one variance, and the likelihood that follows from it."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import InputError, ModelError, PkpdWarning
from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.population.residuals import shrinkage
from tests import naive

THETA = {"K": 0.2, "V": 10.0, "LAG": 0.4}


@pytest.fixture(scope="module")
def model():
    """A bolus with a lag: relative bioavailability and lag vary between occasions, volume between subjects."""

    def define(m):
        v = m.parameter("V", m.theta("V", THETA["V"], lower=0) * pkpd.exp(m.eta("V", variance=0.1)))
        k = m.theta("K", THETA["K"], lower=0)
        lag = m.parameter("LAG", m.theta("LAG", THETA["LAG"], lower=0) * pkpd.exp(m.iov("LAG", variance=0.3)))
        central = m.compartment(
            "central", lag=lag, bioavailability=m.parameter("F", pkpd.exp(m.iov("F", variance=0.05)))
        )
        m.ode(central, -k * central)
        m.observe("cp", central / v, additive=m.sigma("SD", 0.3))

    return pkpd.model(define)


def two_occasions(subjects=3, single=True):
    """Doses at 0 and 48, samples after each; the last subject comes once."""
    rows = []
    rng = np.random.default_rng(1)
    for i in range(1, subjects + 1):
        for occasion in (1, 2):
            if occasion == 2 and single and i == subjects:
                continue
            start = 48.0 * (occasion - 1)
            rows.append(dict(ID=i, TIME=start, AMT=100.0, EVID=1, DV=np.nan, OCC=occasion))
            for after in (1.0, 4.0, 12.0):
                y = 10 * math.exp(-0.2 * (after - 0.4)) + 0.3 * rng.standard_normal()
                rows.append(dict(ID=i, TIME=start + after, AMT=0.0, EVID=0, DV=y, OCC=occasion))
    return quietly(pd.DataFrame(rows))


def quietly(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        return pkpd.read_dataset(frame)


def test_each_occasion_has_an_eta_and_all_share_a_variance(model):
    problem = bind(model, two_occasions())
    assert [e.name for e in problem.etas] == ["V", "IOV(LAG)[1]", "IOV(LAG)[2]", "IOV(F)[1]", "IOV(F)[2]"]
    assert problem.occasions.tolist() == [[True] * 5, [True] * 5, [True, True, False, True, False]]
    scales = Scales(problem)
    assert [n for n in scales.names if "OMEGA" in n] == [
        "OMEGA(V,V)", "OMEGA(IOV(LAG),IOV(LAG))", "OMEGA(IOV(F),IOV(F))",
    ]  # fmt: skip
    values = scales.initial(problem)
    np.testing.assert_array_equal(values.omega, np.diag([0.1, 0.3, 0.3, 0.05, 0.05]))
    np.testing.assert_allclose(
        scales.from_free(scales.free_values(values), values).omega, values.omega, rtol=1e-14
    )
    np.testing.assert_array_equal(scales.values(scales.natural(values)).omega, values.omega)


def test_gradients_are_summed_over_occasions(model):
    problem = bind(model, two_occasions())
    scales = Scales(problem)
    values = scales.initial(problem)
    weights = np.array(
        [1.0, 2.0, 3.0, 5.0, 7.0]
    )  # a function of Ω whose gradient is known: Σ weight·variance
    g_theta, g_sigma = np.zeros(len(values.theta)), np.zeros(1)
    natural = dict(
        zip(scales.names, scales.natural_gradient(g_theta, np.diag(weights), g_sigma), strict=True)
    )
    assert natural["OMEGA(IOV(LAG),IOV(LAG))"] == 5.0
    assert natural["OMEGA(IOV(F),IOV(F))"] == 12.0
    free = scales.free_gradient(values, g_theta, np.diag(weights), g_sigma)

    def total(x):
        return float(weights @ np.diag(scales.from_free(x, values).omega))

    x = scales.free_values(values)
    np.testing.assert_allclose(free, naive.gradient(total, x), rtol=1e-7, atol=1e-9)
    jacobian = scales.jacobian(values)
    numeric = [
        naive.gradient(lambda x, k=k: scales.natural(scales.from_free(x, values))[k], x)
        for k in range(len(jacobian))
    ]
    np.testing.assert_allclose(jacobian, numeric, rtol=1e-6, atol=1e-8)


def test_objective_is_that_of_a_twin(model):
    data = two_occasions()
    estimates = {"OMEGA(IOV(LAG),IOV(LAG))": 0.2, "OMEGA(IOV(F),IOV(F))": 0.08}
    at = pkpd.evaluate(model, data, estimates)

    def concentration(eta, times):
        """``eta``: V, then lag and bioavailability of each occasion."""
        occasions = (len(eta) - 1) // 2
        out = []
        for t in times:
            total = 0.0
            for k in range(occasions):
                start = 48.0 * k + THETA["LAG"] * math.exp(eta[1 + k])
                share = math.exp(eta[1 + occasions + k])
                total += 100.0 * share * math.exp(-THETA["K"] * (t - start)) if t >= start else 0.0
            out.append(total / (THETA["V"] * math.exp(eta[0])))
        return np.array(out)

    total = 0.0
    for _, records in data.frame.groupby("ID"):
        seen = records[records["EVID"] == 0]
        count = seen["OCC"].nunique()  # an occasion that the subject does not have adds nothing
        omega = np.diag([0.1, *[0.2] * count, *[0.08] * count])
        times, y = seen["TIME"].to_numpy(), seen["DV"].to_numpy()
        value, _ = naive.focei_subject(
            lambda eta, times=times: concentration(eta, times), lambda f, eta: np.full(len(f), 0.09), y, omega
        )
        total += value
    # the twin's derivatives are differences: good to 1e-8 of the objective
    assert at.ofv == pytest.approx(total, abs=1e-5)
    for name in estimates:
        step = 1e-4 * estimates[name]
        up, down = (
            pkpd.evaluate(model, data, estimates | {name: estimates[name] + s}).ofv for s in (step, -step)
        )
        assert at.gradient[name] == pytest.approx((up - down) / (2 * step), rel=1e-5, abs=1e-6)


def test_shrinkage_is_over_the_occasions_that_subjects_have(model):
    problem = bind(model, two_occasions())
    values = Scales(problem).initial(problem)
    etas = np.array([[0.1, 0.2, 0.4, 0.1, 0.0], [0.3, -0.2, 0.3, 0.2, 0.1], [-0.1, 0.1, 9.0, 0.3, 9.0]])
    eta, _ = shrinkage(problem, values, etas, np.array([0.5, -0.5]))
    assert eta.index.tolist() == ["V", "IOV(LAG)", "IOV(F)"]
    seen = [0.2, 0.4, -0.2, 0.3, 0.1]
    assert eta["IOV(LAG)"] == pytest.approx(1 - np.std(seen, ddof=1) / math.sqrt(0.3))


def test_simulated_variability_between_occasions_is_recovered(model):
    """60 subjects, 3 occasions: the standard error of a variance is about 0.3·sqrt(2/120) = 13 % of it."""
    rows = []
    for i in range(1, 61):
        for occasion in (1, 2, 3):
            start = 48.0 * (occasion - 1)
            rows.append(dict(ID=i, TIME=start, AMT=100.0, EVID=1, DV=np.nan, OCC=occasion))
            rows += [
                dict(ID=i, TIME=start + after, AMT=0.0, EVID=0, DV=0.0, OCC=occasion)
                for after in (1.0, 2, 4, 8, 14)
            ]
    frame = pd.DataFrame(rows)
    truth = {"OMEGA(IOV(F),IOV(F))": 0.09, "OMEGA(V,V)": 0.06, "OMEGA(IOV(LAG),IOV(LAG))": 0.1, "SD(SD)": 0.1}
    fixed = model.replace(omega={"IOV(LAG)": 0.1}).fix("OMEGA(IOV(LAG),IOV(LAG))")
    simulated = pkpd.simulate(fixed, quietly(frame), parameters=truth, seed=5)
    frame.loc[frame["EVID"] == 0, "DV"] = simulated["DV"].to_numpy()
    fit = pkpd.fit(fixed, quietly(frame), method=pkpd.FOCEI(covariance="R"))
    assert fit.minimization_successful
    estimates = fit.parameter_estimates
    assert estimates["OMEGA(IOV(LAG),IOV(LAG))"] == 0.1
    for name in ("OMEGA(IOV(F),IOV(F))", "OMEGA(V,V)", "K", "V", "LAG", "SD(SD)"):
        expected = truth.get(name, THETA.get(name))
        assert abs(estimates[name] - expected) < 3 * fit.standard_errors[name], name
    assert fit.standard_errors["OMEGA(IOV(F),IOV(F))"] < 0.25 * 0.09
    assert fit.individual_estimates.shape == (60, 7)


def test_what_does_not_fit_is_named(model):
    with pytest.raises(ModelError, match=r"E_MODEL_COLUMN.*'OCC'"):
        bind(model, quietly(two_occasions().frame.drop(columns=["OCC", "ROW"])))
    with pytest.raises(ModelError, match="E_MODEL_NAME"):
        model.fix("OMEGA(IOV(V),IOV(V))")
    with pytest.raises(InputError, match="E_PARAMETER_NAME"):
        pkpd.evaluate(model, two_occasions(), {"OMEGA(IOV(F)[1],IOV(F)[1])": 1.0})

    def negative(m):
        m.iov("CL", variance=-1.0)

    with pytest.raises(ModelError, match="E_MODEL_OMEGA"):
        pkpd.model(negative)

    def unused(m):
        m.iov("CL", variance=1.0)
        m.observe("y", m.time, additive=m.sigma("SD", 1.0))

    with pytest.raises(ModelError, match=r"E_MODEL_UNUSED.*iov CL"):
        pkpd.model(unused)


def test_edits_reach_the_variance(model):
    edited = model.replace(omega={"IOV(F)": 0.5}).fix("OMEGA(IOV(F),IOV(F))")
    scales = Scales(bind(edited, two_occasions()))
    at = scales.names.index("OMEGA(IOV(F),IOV(F))")
    assert scales.fixed[at]
    assert scales.natural(scales.initial(bind(edited, two_occasions())))[at] == 0.5
    assert model.fingerprint() != edited.fingerprint()
    assert any(r"\kappa_{F}" in e for e in model.equations())
