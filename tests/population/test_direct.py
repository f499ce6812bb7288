"""Endpoints by their own likelihood: a published logistic mixed model, counts, ordinal categories, hazards, joint models."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, expit, log
from tests import naive
from tests.population.test_laplace import brute_force
from tests.population.test_objective import check_gradient

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def herds():
    """Contagious bovine pleuropneumonia: one record per animal, 1 where it fell ill."""
    table = json.loads((REFERENCE / "glmm.json").read_text())["cbpp"]
    rows = []
    for cell in table:
        for k in range(cell["size"]):
            ill = int(k < cell["incidence"])
            rows.append((int(cell["herd"]), 0.0, ill, *(int(cell["period"] == p) for p in "234")))
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "P2", "P3", "P4"])
    return pkpd.read_dataset(frame.sort_values("ID", kind="stable"))


@pkpd.model
def logistic(m):
    """Logistic regression with a random intercept."""
    x = m.theta("INTERCEPT", -1.0) + m.eta("HERD", variance=0.5)
    for p in ("P2", "P3", "P4"):
        x = x + m.theta(f"PERIOD{p[1]}", -0.5) * m.covariate(p)
    p = expit(x)
    m.likelihood("ill", -2 * pkpd.where(m.dv == 1, log(p), log(1 - p)))


@pytest.mark.parametrize(
    ("method", "run"), [(pkpd.Laplace(), "cbpp_nAGQ1"), (pkpd.AGQ(nodes=25), "cbpp_nAGQ25")]
)
def test_logistic_mixed_model(herds, method, run):
    peer = json.loads((REFERENCE / "glmm.json").read_text())[run]
    fit = pkpd.fit(logistic, herds, method)
    assert fit.minimization_successful
    est = fit.parameter_estimates
    names = ["INTERCEPT", "PERIOD2", "PERIOD3", "PERIOD4"]
    np.testing.assert_allclose(est[names], list(peer["fixef"].values()), rtol=2e-4)
    assert math.sqrt(est["OMEGA(HERD,HERD)"]) == pytest.approx(peer["sd"], rel=2e-4)
    np.testing.assert_allclose(fit.individual_estimates["HERD"], peer["ranef"], atol=5e-4)
    if run == "cbpp_nAGQ1":  # the other likelihoods of the peer omit constants
        # the peer's is of counts: it has the binomial coefficients
        table = json.loads((REFERENCE / "glmm.json").read_text())["cbpp"]
        ways = sum(math.log(math.comb(c["size"], c["incidence"])) for c in table)
        assert -fit.ofv / 2 + ways == pytest.approx(peer["loglik"], abs=1e-4)
    assert fit.minus2ll == fit.ofv
    assert fit.residuals[["IWRES", "CWRES"]].isna().all(axis=None) and fit.predictions["IPRED"].isna().all()


@pytest.mark.parametrize("method", [pkpd.SAEM(), pkpd.IMP(samples=500)], ids=["SAEM", "IMP"])
def test_logistic_mixed_model_by_sampling(herds, method):
    """The periods change within herds, so only the intercept has a closed form; a tenth of a standard error is 0.03."""
    peer = json.loads((REFERENCE / "glmm.json").read_text())["cbpp_nAGQ25"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        fit = pkpd.fit(logistic, herds, method)
        quadrature = pkpd.fit(logistic, herds, pkpd.AGQ(nodes=25, covariance="R"))
    est = fit.parameter_estimates
    names = ["INTERCEPT", "PERIOD2", "PERIOD3", "PERIOD4"]
    np.testing.assert_allclose(est[names], list(peer["fixef"].values()), atol=0.03)
    assert math.sqrt(est["OMEGA(HERD,HERD)"]) == pytest.approx(peer["sd"], rel=0.04)
    assert "mu-referenced thetas: INTERCEPT;" in fit.termination_cause
    np.testing.assert_allclose(fit.standard_errors, quadrature.standard_errors, rtol=0.06)
    found = pkpd.importance_sampling(fit, 3000)
    assert abs(found.ofv - quadrature.ofv) < 4 * found.standard_error + 0.05


def test_first_order_methods_refuse(herds):
    for method in (pkpd.FO(), pkpd.FOCE(), pkpd.FOCEI(), pkpd.MAP(priors={"INTERCEPT": pkpd.Normal(0, 1)})):
        with pytest.raises(pkpd.InputError, match=r"E_METHOD_LIKELIHOOD.*ill"):
            pkpd.fit(logistic, herds, method)


@pkpd.model
def event(m):
    """Weibull hazard with a frailty."""
    scale = m.parameter("SCALE", m.theta("SCALE", 20.0, lower=0) * exp(m.eta("SCALE", variance=0.3)))
    shape = m.theta("SHAPE", 1.4, lower=0)
    m.hazard("death", shape / scale * ((m.time + 1e-9) / scale) ** (shape - 1))


def followed(n=60, seed=4, scale=20.0, shape=1.4, variance=0.3, end=30.0):
    rng = np.random.default_rng(seed)
    own = scale * np.exp(math.sqrt(variance) * rng.standard_normal(n))
    times = own * rng.exponential(size=n) ** (1 / shape)
    rows = []
    for i, t in enumerate(times):
        rows.append((i + 1, 0.0, np.nan, 1))
        rows.append((i + 1, min(t, end), float(t < end), 0))
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV", "MDV"])


def test_time_to_event_is_the_integral():
    table = followed(n=4)
    found = pkpd.evaluate(event, pkpd.read_dataset(table), method=pkpd.AGQ(nodes=60))
    for identity, own in table[table.MDV == 0].groupby("ID"):
        t, d = own.TIME.iloc[0], own.DV.iloc[0]

        def phi(e, t=t, d=d):
            scale = 20 * np.exp(e[0])
            return 2 * (t / scale) ** 1.4 - 2 * d * np.log(1.4 / scale * (t / scale) ** 0.4)

        exact = brute_force(phi, np.array([[0.3]]), points=801)
        # the stepper's tolerance
        assert found.individual_ofv[identity] == pytest.approx(exact, abs=1e-6)


def test_repeated_events_count_the_hazard_once():
    @pkpd.model
    def constant(m):
        """Constant hazard: the closed form."""
        m.hazard("fit", m.theta("RATE", 0.2, lower=0) * exp(m.eta("RATE", variance=0.2)))

    rows = [(1, 0.0, np.nan, 1), (1, 3.0, 1.0, 0), (1, 7.0, 1.0, 0), (1, 12.0, 0.0, 0)]
    data = pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "MDV"]))
    assert pkpd.bind(constant, data).structure.linear
    found = pkpd.evaluate(constant, data, method=pkpd.AGQ(nodes=50))

    def phi(e):
        return 2 * 12 * 0.2 * np.exp(e[0]) - 4 * (np.log(0.2) + e[0])

    assert found.ofv == pytest.approx(brute_force(phi, np.array([[0.2]]), points=801), abs=1e-8)


@pkpd.model
def joint(m):
    """A drug whose concentration lowers the hazard."""
    cl = m.parameter("CL", m.theta("CL", 1.0, lower=0) * exp(m.eta("CL", variance=0.2)))
    central = m.compartment("central")
    m.ode(central, -cl / 10 * central)
    m.observe("cp", central / 10, proportional=m.sigma("PROP", 0.2))
    m.hazard("relapse", m.theta("BASE", 0.1, lower=0) * exp(-m.theta("EFFECT", 0.3) * central / 10))


def test_joint_model_is_its_formula():
    rows = [(1, 0.0, 1, 100.0, np.nan, 1), (1, 4.0, 0, 0.0, 7.5, 1), (1, 9.0, 0, 0.0, 1.0, 2)]
    rows += [(2, 0.0, 1, 50.0, np.nan, 1), (2, 6.0, 0, 0.0, 2.0, 1), (2, 20.0, 0, 0.0, 0.0, 2)]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "DVID"])
    data = pkpd.read_dataset(table)
    found = pkpd.evaluate(joint, data, method=pkpd.Laplace())
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for identity, dose, t, y, end, died in ((1, 100.0, 4.0, 7.5, 9.0, 1), (2, 50.0, 6.0, 2.0, 20.0, 0)):

        def phi(e, dose=dose, t=t, y=y, end=end, died=died):
            k = np.exp(e[0]) / 10
            c = dose / 10 * np.exp(-k * t)
            s = (nodes + 1) / 2 * end
            area = np.sum(weights * 0.1 * np.exp(-0.3 * dose / 10 * np.exp(-k * s))) * end / 2
            total = (y - c) ** 2 / (0.2 * c) ** 2 + np.log((0.2 * c) ** 2) + 2 * area
            return total - 2 * died * (np.log(0.1) - 0.3 * dose / 10 * np.exp(-k * end))

        value, _ = naive.laplace_subject(phi, np.array([[0.2]]))
        assert found.individual_ofv[identity] == pytest.approx(value, abs=1e-5)
    check_gradient(joint, data, [{"CL": 1.4, "EFFECT": 0.1}], step=1e-2, noise=1e-5, method=pkpd.Laplace())


def test_a_weibull_hazard_is_recovered():
    data = pkpd.read_dataset(followed(n=400, seed=11, variance=0.0001))
    fit = pkpd.fit(
        event.fix("OMEGA(SCALE,SCALE)").replace(omega={"SCALE": 1e-4}), data, pkpd.Laplace(covariance="R")
    )
    error = (fit.parameter_estimates - [20, 1.4, 1e-4]) / fit.standard_errors
    assert fit.minimization_successful
    assert error.iloc[:2].abs().max() < 3


@pytest.mark.parametrize(
    ("change", "code"),
    [({"DV": 2.0}, "E_HAZARD_DV"), ({"CENS": 1}, "E_DIRECT_CENSORED")],
)
def test_records_that_no_hazard_has_are_refused(change, code):
    table = followed(n=2).assign(CENS=0)
    for column, value in change.items():
        table.loc[1, column] = value
    with pytest.raises(pkpd.ModelError, match=rf"{code}.*row 3, ID 1"):
        pkpd.bind(event, pkpd.read_dataset(table))


def test_dv_belongs_to_its_likelihood():
    with pytest.raises(pkpd.ModelError, match="E_MODEL_DV"):

        @pkpd.model
        def wrong(m):
            m.observe("y", m.theta("MU", 1.0) + m.dv, additive=m.sigma("ADD", 1.0))
