"""Laplace's approximation and adaptive quadrature: their formulas, brute-force integrals, gradients, published optima."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import logsumexp

import pkpd
from pkpd import exp
from tests import naive
from tests.population.test_methods import AWAY, CENSORED, ERRORS, OMEGA, frame, likelihood, made, subjects
from tests.population.test_objective import TIGHT, check_gradient

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.mark.parametrize("error", ERRORS)
def test_laplace_is_its_formula(error):
    table = frame(censored=False)
    found = pkpd.evaluate(made(error), pkpd.read_dataset(table), method=pkpd.Laplace())
    for identity, seen, prediction in list(subjects(table))[:2]:
        start = found.individual_estimates.loc[identity].to_numpy()
        value, eta = naive.laplace_subject(likelihood(seen, prediction, error), OMEGA, start)
        assert found.individual_ofv[identity] == pytest.approx(value, abs=2e-5)
        np.testing.assert_allclose(start, eta, atol=1e-5)


@pytest.mark.parametrize("blq", ["M3", "M4"])
@pytest.mark.parametrize("error", CENSORED)
def test_laplace_with_censored_records(error, blq):
    table = frame(censored=True)
    found = pkpd.evaluate(made(error), pkpd.read_dataset(table), method=pkpd.Laplace(blq=blq))
    identity, seen, prediction = next(subjects(table))
    start = found.individual_estimates.loc[identity].to_numpy()
    value, eta = naive.laplace_subject(likelihood(seen, prediction, error, blq), OMEGA, start)
    assert found.individual_ofv[identity] == pytest.approx(value, abs=2e-5)
    np.testing.assert_allclose(start, eta, atol=1e-5)


def brute_force(phi, omega, width=7.0, points=61):
    """-2 log of the integral over etas of exp(-phi/2) times their density: the trapezoidal rule on a fixed grid.

    The rule converges faster than any power for smooth integrands that vanish at the edges.
    """
    lower = np.linalg.cholesky(omega)
    axis = np.linspace(-width, width, points)
    grid = np.stack(np.meshgrid(*[axis] * len(omega), indexing="ij"), -1).reshape(-1, len(omega))
    step = axis[1] - axis[0]
    logs = [-0.5 * phi(lower @ z) - 0.5 * z @ z for z in grid]
    return -2 * (logsumexp(logs) + len(omega) * np.log(step / np.sqrt(2 * np.pi)))


def small(m):
    """Two random effects, a combined error."""
    cl, v = m.theta("CL", 3.0, lower=0), m.theta("V", 30.0, lower=0)
    eta = m.etas("CL", "V", variance=[[0.2], [0.05, 0.1]])
    cl, v = m.parameter("CL", cl * exp(eta[0])), m.parameter("V", v * exp(eta[1]))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, additive=m.sigma("ADD", 0.4), proportional=m.sigma("PROP", 0.2))


def bolus():
    rows = []
    for identity, values in ((1, [3.6, 1.2, 0.9]), (2, [2.0, 2.4, 0.5])):
        rows.append({"ID": identity, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "DV": np.nan, "CENS": 0})
        for t, y in zip((1.0, 8.0, 20.0), values, strict=True):
            rows.append({"ID": identity, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": y, "CENS": int(t == 20.0)})
    return pd.DataFrame(rows)


@pytest.mark.parametrize("censored", [False, True])
def test_quadrature_is_the_integral(censored):
    table = bolus()
    if not censored:
        table["CENS"] = 0
    found = pkpd.evaluate(pkpd.model(small), pkpd.read_dataset(table), method=pkpd.AGQ(nodes=40))
    omega = np.array([[0.2, 0.05], [0.05, 0.1]])
    for identity, own in table.groupby("ID"):
        seen = own[own.EVID == 0]

        def phi(e, seen=seen):
            cl, v = 3 * np.exp(e[0]), 30 * np.exp(e[1])
            f = 100 / v * np.exp(-cl / v * seen.TIME.to_numpy())
            return sum(
                naive.record_minus2ll(g, y, np.nan, c, 0.16 + 0.04 * g**2)
                for g, y, c in zip(f, seen.DV, seen.CENS, strict=True)
            )

        assert found.individual_ofv[identity] == pytest.approx(brute_force(phi, omega, points=121), abs=1e-6)


@pytest.mark.parametrize("error", ["additive", "combined SDs", "power, variances", "log-normal"])
@pytest.mark.parametrize(
    "method", [pkpd.Laplace(), pkpd.AGQ(nodes=3), pkpd.AGQ(nodes=4)], ids=["Laplace", "3", "4"]
)
def test_gradient(method, error):
    check_gradient(made(error), pkpd.read_dataset(frame(censored=False)), AWAY, method=method)


@pytest.mark.parametrize("error", CENSORED)
@pytest.mark.parametrize(
    "method", [pkpd.Laplace(), pkpd.Laplace(blq="M4"), pkpd.AGQ(nodes=3)], ids=["M3", "M4", "AGQ"]
)
def test_gradient_with_censored_records(method, error):
    check_gradient(made(error), pkpd.read_dataset(frame(censored=True)), AWAY, method=method)


def test_gradient_ode():
    # at the default tolerance the gradient has eight digits, of which differences of the objective show only five
    data = pkpd.read_dataset(frame(censored=False))
    check_gradient(made("additive"), data, AWAY, TIGHT, step=1e-2, noise=1e-6, method=pkpd.Laplace())


def test_one_node_is_laplace():
    data = pkpd.load_dataset("theophylline")
    model = pkpd.load_model("theophylline")
    one, other = (pkpd.evaluate(model, data, method=m) for m in (pkpd.AGQ(nodes=1), pkpd.Laplace()))
    assert one.ofv == other.ofv


def test_theophylline_by_quadrature():
    peer = json.loads((REFERENCE / "theophylline.json").read_text())["agq"]
    fit = pkpd.fit(pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"), pkpd.AGQ(nodes=7))
    est = fit.parameter_estimates
    assert fit.minimization_successful
    assert fit.ofv == pytest.approx(peer["ofv"], abs=0.01)
    for name in ("KA", "CL", "V"):
        assert np.log(est[name]) == pytest.approx(peer[f"log {name}"], rel=0.005)
        assert est[f"OMEGA({name},{name})"] == pytest.approx(peer[f"OMEGA({name},{name})"], rel=0.01)
    assert est["SD(ADD)"] == pytest.approx(peer["SD(ADD)"], rel=0.005)
    # the other program's S comes from differences
    assert fit.standard_errors["KA"] / est["KA"] == pytest.approx(peer["standard errors"]["log KA"], rel=0.05)


def test_phenobarbital_at_one_point():
    """Where another program's FOCEI ended: its own objective, and what Laplace's approximation makes of that point."""
    expected = json.loads((REFERENCE / "phenobarbital.json").read_text())["nlmixr2"]
    point = {
        "CL": np.exp(expected["log CL"]),
        "V": np.exp(expected["log V"]),
        **{n: expected[n] for n in ("WT_CL", "WT_V", "SD(PROP)", "OMEGA(CL,CL)", "OMEGA(V,V)")},
    }
    model, data = pkpd.load_model("phenobarbital"), pkpd.load_dataset("phenobarbital")
    assert pkpd.evaluate(model, data, point).ofv == pytest.approx(589.613, abs=5e-4)
    assert pkpd.evaluate(model, data, point, pkpd.Laplace()).ofv == pytest.approx(589.718, abs=5e-4)


def test_too_many_nodes_are_refused():
    data = pkpd.read_dataset(frame(censored=False))
    with pytest.raises(pkpd.InputError, match="E_METHOD_NODES"):
        pkpd.evaluate(made("additive"), data, method=pkpd.AGQ(nodes=60))
    for wrong in (0, 2.5, True):
        with pytest.raises(pkpd.InputError, match="E_METHOD"):
            pkpd.AGQ(nodes=wrong)


def test_m4_takes_of_an_interval_what_is_positive():
    """A value known to lie between -1 and 3 that is positive lies between 0 and 3."""

    @pkpd.model
    def level(m):
        m.observe("y", m.theta("MU", 1.5), additive=m.sigma("ADD", 1.2))

    rows = [(1, 0, 2.0, 0, np.nan), (1, 1, 0.5, 1, np.nan), (2, 0, -1.0, -1, 3.0), (3, 0, 2.5, -1, np.nan)]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "CENS", "LIMIT"]).assign(EVID=0)
    found = pkpd.evaluate(level, pkpd.read_dataset(table), method=pkpd.Laplace(blq="M4")).individual_ofv
    y = stats.norm(1.5, 1.2)
    positive = y.sf(0)
    first = y.pdf(2.0) * np.sqrt(2 * np.pi) * (y.cdf(0.5) - y.cdf(0)) / positive**2
    expected = [first, (y.cdf(3.0) - y.cdf(0)) / positive, y.sf(2.5) / positive]
    np.testing.assert_allclose(found, -2 * np.log(expected), rtol=1e-10)


def test_an_interval_from_below_zero_is_one_sided_for_a_log_normal_error():
    @pkpd.model
    def level(m):
        m.observe("y", pkpd.exp(m.theta("MU", 0.4)), additive=m.sigma("LOG", 0.9), transform="log")

    rows = [(1, 0, 2.0, 0, np.nan), (2, 0, -1.0, -1, 3.0), (3, 0, 3.0, 1, -1.0)]
    table = pd.DataFrame(rows, columns=["ID", "TIME", "DV", "CENS", "LIMIT"]).assign(EVID=0)
    found = pkpd.evaluate(level, pkpd.read_dataset(table), method=pkpd.Laplace()).individual_ofv
    below = -2 * stats.norm(0.4, 0.9).logcdf(np.log(3.0))
    np.testing.assert_allclose(found[[2, 3]], [below, below], rtol=1e-10)
