"""Objectives of the methods, over error models and kinds of censoring, against their own formulas by differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests import naive
from tests.population.test_objective import check_gradient, five_points

OMEGA = np.array([[0.3, 0.03, -0.02], [0.03, 0.08, 0.02], [-0.02, 0.02, 0.05]])
THETA = np.array([1.4, 2.8, 30.0])
SIGMA = {"ADD": 0.5, "PROP": 0.15, "POW": 0.8}

# name: (arguments of observe, variance at a prediction, log-normal)
ERRORS = {
    "additive": ({"additive": "ADD"}, lambda f: 0.25 + 0 * f, False),
    "proportional": ({"proportional": "PROP"}, lambda f: (0.15 * f) ** 2, False),
    "combined variances": (
        {"additive": "ADD", "proportional": "PROP"},
        lambda f: 0.25 + (0.15 * f) ** 2,
        False,
    ),
    "combined SDs": (
        {"additive": "ADD", "proportional": "PROP", "combined": "sd"},
        lambda f: (0.5 + 0.15 * f) ** 2,
        False,
    ),
    "power": ({"proportional": "PROP", "power": "POW"}, lambda f: (0.15 * f**0.8) ** 2, False),
    "power, variances": (
        {"additive": "ADD", "proportional": "PROP", "power": "POW"},
        lambda f: 0.25 + (0.15 * f**0.8) ** 2,
        False,
    ),
    "power, SDs": (
        {"additive": "ADD", "proportional": "PROP", "power": "POW", "combined": "sd"},
        lambda f: (0.5 + 0.15 * f**0.8) ** 2,
        False,
    ),
    "log-normal": ({"additive": "ADD", "transform": "log"}, lambda f: 0.25 + 0 * f, True),
}
CENSORED = ["additive", "combined variances", "log-normal"]


def made(error):
    arguments = ERRORS[error][0]

    @pkpd.model
    def oral(m):
        """One compartment, oral."""
        tv = [m.theta(n, v, lower=0) for n, v in zip(("KA", "CL", "V"), THETA, strict=True)]
        eta = m.etas("KA", "CL", "V", variance=[list(OMEGA[i, : i + 1]) for i in range(3)])
        ka, cl, v = (m.parameter(n, t * exp(e)) for n, t, e in zip(("KA", "CL", "V"), tv, eta, strict=True))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        given = dict(arguments)
        for what in ("additive", "proportional"):
            if what in given:
                given[what] = m.sigma(given[what], SIGMA[given[what]])
        if "power" in given:
            given["power"] = m.exponent("POW", SIGMA["POW"])
        m.observe("cp", central / v, **given)

    return oral


def frame(*, censored):
    """Four subjects of theophylline after absorption began; below 3, above 9.5 and between 4 and 5 censored on request."""
    table = pd.read_csv("datasets/theophylline/theophylline.csv", na_values=".")
    table = table[(table.EVID == 1) | (table.TIME > 0)]
    table = table[table.ID.isin(table.ID.unique()[:4])].reset_index(drop=True)
    table["CENS"], table["LIMIT"] = 0, np.nan
    if censored:
        seen = table.EVID == 0
        below, above = seen & (table.DV < 3), seen & (table.DV > 9.5)
        between = seen & table.DV.between(4, 5)
        table.loc[below, ["DV", "CENS"]] = [3.0, 1]
        table.loc[above, ["DV", "CENS"]] = [9.5, -1]
        table.loc[between, ["DV", "CENS", "LIMIT"]] = [5.0, 1, 4.0]
    return table


def subjects(table):
    for identity, own in table.groupby("ID", sort=False):
        seen = own[own.EVID == 0]

        dose = own.AMT.max()

        def prediction(e, seen=seen, dose=dose):
            ka, cl, v = THETA * np.exp(e)
            return naive.concentration_oral_1cmt(seen.TIME.to_numpy(), dose, ka, cl, v)

        yield identity, seen, prediction


def slopes(function, eta):
    return np.column_stack([five_points(lambda s, u=u: function(eta + s * u), 0.0, 1e-3) for u in np.eye(3)])


def by_formula(method, seen, prediction, eta, error, blq):
    """Objective of a subject at ``eta`` by the formulas of the method, and the slope of its inner objective there."""
    variance, log = ERRORS[error][1:]
    y, censored, limit = (seen[c].to_numpy() for c in ("DV", "CENS", "LIMIT"))
    typical = prediction(np.zeros(3))
    inverse = np.linalg.inv(OMEGA)

    def shares(f, at):
        v = variance(at)
        return np.array(
            [
                naive.record_minus2ll(
                    f[j], y[j], limit[j], censored[j], v[j], log=log, positive=blq == "M4" and not log
                )
                for j in range(len(y))
            ]
        )

    def inner(e):
        f = prediction(e)
        return shares(f, typical if method is pkpd.FOCE else f).sum() + e @ inverse @ e

    slope = slopes(lambda e: np.array([inner(e)]), eta)[0]
    f = prediction(eta)
    at = typical if method is pkpd.FOCE else f
    v = variance(at)
    a = slopes(lambda e: np.log(prediction(e)) if log else prediction(e), eta)
    c = np.zeros_like(a) if method is pkpd.FOCE else slopes(lambda e: np.log(variance(prediction(e))), eta)
    h = inverse.copy()
    for j in range(len(y)):
        if censored[j] == 0 and blq != "M4":
            weight = 1 / v[j]
        else:  # half of the second derivative to the mean at constant variance

            def share(m, j=j):
                g = np.array(f)
                g[j] = np.exp(m) if log else m
                return shares(g, at)[j]

            mean = np.log(f[j]) if log else f[j]
            step = 0.02 * np.sqrt(v[j])
            weight = 0.5 * naive.second_differences(lambda m: share(m[0]), np.array([mean]), step)[0, 0]
        h += weight * np.outer(a[j], a[j])
        if censored[j] == 0:
            h += 0.5 * np.outer(c[j], c[j])
    return inner(eta) + np.linalg.slogdet(OMEGA)[1] + np.linalg.slogdet(h)[1], slope


def likelihood(seen, prediction, error, blq="M3"):
    """-2 log-likelihood of a subject's records as a function of its etas."""
    variance, log = ERRORS[error][1:]
    y, censored, limit = (seen[c].to_numpy() for c in ("DV", "CENS", "LIMIT"))

    def phi(e):
        f = prediction(e)
        v = variance(f)
        return sum(
            naive.record_minus2ll(
                f[j], y[j], limit[j], censored[j], v[j], log=log, positive=blq == "M4" and not log
            )
            for j in range(len(y))
        )

    return phi


def marginal(seen, prediction, error):
    """FO: -2 log density of a normal vector, linearised at eta zero."""
    variance, log = ERRORS[error][1:]
    zero = np.zeros(3)
    f = prediction(zero)
    scale = np.log if log else np.asarray
    a = slopes(lambda e: scale(prediction(e)), zero)
    covariance = a @ OMEGA @ a.T + np.diag(variance(f))
    r = scale(seen.DV.to_numpy()) - scale(f)
    return r @ np.linalg.solve(covariance, r) + np.linalg.slogdet(covariance)[1]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", [pkpd.FOCE, pkpd.FOCEI])
def test_objective(method, error):
    table = frame(censored=False)
    found = pkpd.evaluate(made(error), pkpd.read_dataset(table), method=method())
    for identity, seen, prediction in subjects(table):
        eta = found.individual_estimates.loc[identity].to_numpy()
        value, slope = by_formula(method, seen, prediction, eta, error, "M3")
        assert found.individual_ofv[identity] == pytest.approx(value, abs=1e-7)
        np.testing.assert_allclose(slope, 0, atol=1e-6)


@pytest.mark.parametrize("error", ERRORS)
def test_objective_fo(error):
    table = frame(censored=False)
    found = pkpd.evaluate(made(error), pkpd.read_dataset(table), method=pkpd.FO())
    for identity, seen, prediction in subjects(table):
        assert found.individual_ofv[identity] == pytest.approx(marginal(seen, prediction, error), abs=1e-7)


@pytest.mark.parametrize("blq", ["M3", "M4"])
@pytest.mark.parametrize("error", CENSORED)
@pytest.mark.parametrize("method", [pkpd.FOCE, pkpd.FOCEI])
def test_objective_with_censored_records(method, error, blq):
    table = frame(censored=True)
    found = pkpd.evaluate(made(error), pkpd.read_dataset(table), method=method(blq=blq))
    for identity, seen, prediction in subjects(table):
        eta = found.individual_estimates.loc[identity].to_numpy()
        value, slope = by_formula(method, seen, prediction, eta, error, blq)
        # differences of differences of a log-probability
        assert found.individual_ofv[identity] == pytest.approx(value, abs=1e-5)
        np.testing.assert_allclose(slope, 0, atol=1e-6)


AWAY = [{"KA": 1.0, "CL": 3.5, "V": 25.0, "OMEGA(CL,CL)": 0.2}]


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("method", [pkpd.FO, pkpd.FOCE, pkpd.FOCEI])
def test_gradient(method, error):
    check_gradient(made(error), pkpd.read_dataset(frame(censored=False)), AWAY, method=method())


@pytest.mark.parametrize("blq", ["M3", "M4"])
@pytest.mark.parametrize("error", CENSORED)
@pytest.mark.parametrize("method", [pkpd.FOCE, pkpd.FOCEI])
def test_gradient_with_censored_records(method, error, blq):
    check_gradient(made(error), pkpd.read_dataset(frame(censored=True)), AWAY, method=method(blq=blq))


def test_m1_is_the_data_without_the_censored_records():
    table = frame(censored=True)
    some = pkpd.evaluate(made("additive"), pkpd.read_dataset(table), method=pkpd.FOCEI(blq="M1"))
    left = pkpd.evaluate(made("additive"), pkpd.read_dataset(table[table.CENS == 0]))
    assert some.ofv == left.ofv and some.minus2ll == left.minus2ll
    with pytest.warns(pkpd.PkpdWarning, match=f"M1 leaves out {(table.CENS != 0).sum()} censored"):
        pkpd.fit(
            made("additive"),
            pkpd.read_dataset(table),
            pkpd.FOCEI(blq="M1", max_iterations=0, covariance=None),
        )


def test_minus2ll_counts_the_measured_records_and_the_jacobian():
    table = frame(censored=True)
    found = pkpd.evaluate(made("log-normal"), pkpd.read_dataset(table))
    seen = table[(table.EVID == 0) & (table.CENS == 0)]
    expected = len(seen) * np.log(2 * np.pi) + 2 * np.log(seen.DV).sum()
    assert found.minus2ll - found.ofv == pytest.approx(expected, rel=1e-13)


def test_censored_records_and_fo():
    data = pkpd.read_dataset(frame(censored=True))
    with pytest.raises(pkpd.InputError, match="E_METHOD_CENSORED"):
        pkpd.fit(made("additive"), data, pkpd.FO())
    with pytest.warns(pkpd.PkpdWarning, match="W_CENSORED_FIRST_ORDER"):
        pkpd.fit(made("additive"), data, pkpd.FOCEI(max_iterations=0, covariance=None))


def test_an_observation_without_a_logarithm_is_named():
    table = frame(censored=False)
    table.loc[table.index[3], "DV"] = 0.0
    with pytest.raises(pkpd.InputError, match=r"E_DV_NOT_POSITIVE.*column DV, value 0"):
        pkpd.evaluate(made("log-normal"), pkpd.read_dataset(table))


@pytest.mark.parametrize(
    "wrong",
    [
        {"additive": "ADD", "combined": "sd"},
        {"additive": "ADD", "combined": "both"},
        {"additive": "ADD", "power": "POW"},
        {"proportional": "POW"},
        {"proportional": "PROP", "power": "ADD"},
        {"proportional": "PROP", "transform": "log"},
        {"additive": "ADD", "transform": "logit"},
    ],
)
def test_impossible_error_models_are_refused(wrong):
    def define(m):
        m.sigma("ADD", 0.5)
        m.sigma("PROP", 0.1)
        m.exponent("POW", 0.8)
        m.observe("cp", m.theta("BASE", 1.0), **wrong)

    with pytest.raises(pkpd.ModelError, match="E_MODEL_RESIDUAL"):
        pkpd.model(define)
