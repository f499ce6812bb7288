"""MAP: a conjugate closed form, the limits of a strong and a vague prior, gradients against differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import InverseWishart, LogNormal, Normal, exp
from tests.population.test_objective import check_gradient


def balanced(subjects=12, times=4, seed=5):
    rng = np.random.default_rng(seed)
    y = 5 + rng.normal(0, 1.2, (subjects, 1)) + rng.normal(0, 0.5, (subjects, times))
    rows = [(i + 1, float(t), y[i, t]) for i in range(subjects) for t in range(times)]
    return pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV"])), y


@pkpd.model
def intercept(m):
    """A mean that differs between subjects."""
    m.observe("y", m.theta("MU", 4.0) + m.eta("MU", variance=1.0), additive=m.sigma("ADD", 0.5))


def test_mean_of_a_normal_sample():
    """Subjects' means are normal with known variance: the posterior mode weighs them against the prior by precision."""
    data, y = balanced()
    model = intercept.fix("OMEGA(MU,MU)", "SD(ADD)")
    fit = pkpd.fit(model, data, pkpd.MAP(priors={"MU": Normal(3.0, 0.2)}))
    variance = (1.0 + 0.25 / y.shape[1]) / len(y)
    expected = (y.mean() / variance + 3.0 / 0.04) / (1 / variance + 1 / 0.04)
    assert fit.parameter_estimates["MU"] == pytest.approx(expected, rel=1e-6)
    assert fit.standard_errors["MU"] == pytest.approx((1 / variance + 1 / 0.04) ** -0.5, rel=1e-5)
    plain = pkpd.evaluate(model, data, {"MU": expected})
    assert fit.minus2ll == pytest.approx(plain.minus2ll, abs=1e-6)
    assert fit.ofv == pytest.approx(plain.ofv + ((expected - 3) / 0.2) ** 2, abs=1e-6)


def test_a_variance_between_data_and_prior():
    data, y = balanced()
    model = intercept.fix("MU", "SD(ADD)").replace(theta={"MU": float(y.mean())})
    by_data = pkpd.fit(model, data).parameter_estimates["OMEGA(MU,MU)"]
    for df, near in ((1e6, 0.3), (1.0, by_data)):
        fit = pkpd.fit(model, data, pkpd.MAP(priors={"OMEGA(MU,MU)": InverseWishart(0.3, df)}))
        # df more subjects of variance 0.3; the prior's mode is df M/(df + p + 1)
        assert fit.parameter_estimates["OMEGA(MU,MU)"] == pytest.approx(near, rel=1e-4 if df > 1e3 else 0.3)
    # the mode by a grid over the closed-form likelihood of the subjects' means
    fit = pkpd.fit(model, data, pkpd.MAP(priors={"OMEGA(MU,MU)": InverseWishart(0.3, 20.0)}))
    grid = np.linspace(0.2, 2.0, 180001)
    total = grid + 0.25 / y.shape[1]
    squares = ((y.mean(axis=1) - y.mean()) ** 2).sum()
    minus2 = len(y) * np.log(total) + squares / total + 22 * np.log(grid) + 20 * 0.3 / grid
    assert fit.parameter_estimates["OMEGA(MU,MU)"] == pytest.approx(grid[np.argmin(minus2)], abs=2e-5)


@pkpd.model
def oral(m):
    """One compartment, oral; a block of OMEGA."""
    eta = m.etas("KA", "CL", "V", variance=[[0.4], [0.05, 0.1], [-0.03, 0.04, 0.05]])
    ka, cl, v = (
        m.parameter(n, m.theta(n, t, lower=0) * exp(e))
        for n, t, e in zip(("KA", "CL", "V"), (1.5, 2.7, 31.0), eta, strict=True)
    )
    depot, central = m.compartment("depot"), m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, additive=m.sigma("ADD", 0.7))


PRIORS = {
    "KA": LogNormal(1.2, 0.3),
    "CL": Normal(2.5, 0.4),
    "OMEGA(CL,CL)": InverseWishart([[0.3], [0.02, 0.2], [0.0, 0.01, 0.1]], 12.0),
}


@pytest.mark.parametrize("approximation", ["FO", "FOCEI", "Laplace"])
def test_gradient(approximation):
    data = pkpd.load_dataset("theophylline")
    method = pkpd.MAP(priors=PRIORS, approximation=approximation)
    check_gradient(oral, data, [{"KA": 1.0, "CL": 3.0, "OMEGA(V,V)": 0.1}], method=method)


def test_both_gradients_agree():
    from pkpd.language.scales import Scales
    from pkpd.population.objective import Objective

    problem = pkpd.bind(oral, pkpd.load_dataset("theophylline"))
    scales = Scales(problem)
    point = Objective(problem, scales, pkpd.MAP(priors=PRIORS)).at(scales.initial(problem))
    np.testing.assert_allclose(
        point.natural @ scales.jacobian(point.values), point.gradient, rtol=1e-9, atol=1e-9
    )


@pytest.mark.parametrize(
    "priors",
    [
        {},
        {"CLX": Normal(1, 1)},
        {"CL": InverseWishart(0.1, 5)},
        {"OMEGA(CL,CL)": Normal(0.1, 1)},
        {"OMEGA(CL,CL)": InverseWishart(0.1, 5)},
        {"OMEGA(CL,CL)": InverseWishart([[0.1], [0.2, 0.1], [0, 0, 0.1]], 5)},
        {"OMEGA(CL,CL)": InverseWishart([[0.1], [0, 0.1], [0, 0, 0.1]], 2)},
        {"OMEGA(CL,CL)": PRIORS["OMEGA(CL,CL)"], "OMEGA(V,V)": PRIORS["OMEGA(CL,CL)"]},
    ],
)
def test_impossible_priors_are_refused(priors):
    with pytest.raises(pkpd.InputError, match=r"E_PRIOR|E_METHOD"):
        pkpd.evaluate(oral, pkpd.load_dataset("theophylline"), method=pkpd.MAP(priors=priors))


def test_impossible_settings_are_refused():
    for wrong in ({"covariance": "sandwich"}, {"approximation": "SAEM"}):
        with pytest.raises(pkpd.InputError, match="E_METHOD"):
            pkpd.MAP(priors=PRIORS, **wrong)
    with pytest.raises(pkpd.InputError, match="E_PRIOR"):
        LogNormal(-1, 1)


def test_a_prior_on_what_is_fixed_is_refused():
    for name, prior in (("MU", Normal(5, 1)), ("OMEGA(MU,MU)", InverseWishart(1.0, 5))):
        with pytest.raises(pkpd.InputError, match=r"E_PRIOR.*is fixed"):
            pkpd.evaluate(intercept.fix(name), balanced()[0], method=pkpd.MAP(priors={name: prior}))
