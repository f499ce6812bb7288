"""Problems at the edge end in a result or in words, whatever the method; the naive pooled fit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from scipy.optimize import minimize

import pkpd
from pkpd import exp
from tests import naive

METHODS = [pkpd.FO(), pkpd.FOCE(), pkpd.FOCEI(), pkpd.Laplace(), pkpd.AGQ(nodes=3)]
pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def data():
    return pkpd.load_dataset("theophylline")


@pytest.fixture(scope="module")
def model():
    return pkpd.load_model("theophylline")


def test_naive_pooled_fit(model, data):
    fit = pkpd.fit(model, data, pkpd.NaivePooled())
    frame = data.frame

    def minus2(x):
        ka, cl, v, sd = np.exp(x)
        total = 0.0
        for _, own in frame.groupby("ID"):
            seen = own[own.EVID == 0]
            f = naive.concentration_oral_1cmt(seen.TIME.to_numpy(), own.AMT.max(), ka, cl, v)
            total += np.sum(((seen.DV - f) / sd) ** 2 + 2 * np.log(sd))
        return total

    options = {"xatol": 1e-9, "fatol": 1e-10, "maxiter": 5000}
    slow = minimize(minus2, np.log([1.5, 3.0, 30.0, 1.0]), method="Nelder-Mead", options=options)
    assert fit.ofv == pytest.approx(slow.fun, abs=1e-6)
    np.testing.assert_allclose(
        fit.parameter_estimates[["KA", "CL", "V", "SD(ADD)"]], np.exp(slow.x), rtol=1e-4
    )
    assert fit.omega.shape == (0, 0) and len(fit.parameter_estimates) == 4
    evaluated = pkpd.evaluate(model, data, dict(fit.parameter_estimates), pkpd.NaivePooled())
    assert evaluated.ofv == pytest.approx(fit.ofv, abs=1e-9)


def test_naive_pooled_fit_finds_a_start(model, data):
    far = model.replace(theta={"KA": 0.1, "CL": 10.0, "V": 300.0})
    fit = pkpd.fit(far, data, [pkpd.NaivePooled(), pkpd.FOCEI(covariance=None)])
    assert fit.ofv == pytest.approx(116.8034, abs=0.001)


def names(method):
    return type(method).__name__


@pytest.mark.parametrize("method", METHODS, ids=names)
def test_one_subject(model, data, method):
    one = pkpd.read_dataset(data.frame[data.subjects[0] == data.frame.ID].drop(columns="ROW"))
    fit = pkpd.fit(model, one, method)
    assert np.isfinite(fit.ofv) and any(w.startswith("W_OMEGA_ZERO") for w in fit.warnings)


@pytest.mark.parametrize("method", METHODS, ids=names)
def test_no_random_effects(model, data, method):
    fit = pkpd.fit(model.without_random_effects(), data, method)
    assert fit.minimization_successful
    # without random effects every method is plain maximum likelihood
    assert fit.ofv == pytest.approx(pkpd.fit(model, data, pkpd.NaivePooled(covariance=None)).ofv, abs=1e-7)


@pytest.mark.parametrize("method", METHODS, ids=names)
def test_everything_fixed(model, data, method):
    fixed = model.fix(*pkpd.evaluate(model, data).gradient.index)
    fit = pkpd.fit(fixed, data, method)
    assert fit.minimization_successful and fit.termination_cause == "nothing to estimate"
    # the fit looks at the modes twice
    assert fit.ofv == pytest.approx(pkpd.evaluate(model, data, method=method).ofv, abs=1e-8)
    assert fit.covariance_status == "every parameter is fixed"


@pytest.mark.parametrize("method", METHODS, ids=names)
def test_a_subject_without_information(model, data, method):
    frame = data.frame.drop(columns="ROW").copy()
    frame.loc[(data.subjects[0] == frame.ID) & (frame.EVID == 0), "MDV"] = 1
    fit = pkpd.fit(model, pkpd.read_dataset(frame), method)
    assert fit.minimization_successful
    assert np.abs(fit.individual_estimates.loc[data.subjects[0]]).max() < 1e-9
    # the subject has no density: log|Omega| and log|H| cancel
    assert fit.individual_ofv[data.subjects[0]] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("method", [pkpd.FOCEI(), pkpd.Laplace()], ids=names)
def test_what_is_not_identified_is_named(data, method):
    @pkpd.model
    def product(m):
        """Clearance is a product of two thetas."""
        cl = m.parameter(
            "CL", m.theta("A", 1.0, lower=0) * m.theta("B", 2.0, lower=0) * exp(m.eta("CL", variance=0.1))
        )
        v = m.parameter("V", m.theta("V", 30.0, lower=0))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -1.5 * depot)
        m.ode(central, 1.5 * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.7))

    fit = pkpd.fit(product, data, method)
    # both weigh the same in the direction without scores
    assert re.search("the data cannot tell (A, B|B, A) apart", fit.covariance_status)
    assert fit.standard_errors.isna().all()


@pytest.mark.parametrize(
    "method",
    [pkpd.SAEM(iterations=(60, 40), samples=200), pkpd.IMP(max_iterations=40, samples=200)],
    ids=names,
)
def test_sampling_at_the_edge(model, data, method):
    frame = data.frame.drop(columns="ROW")
    first = data.subjects[0]
    # nothing to estimate: the likelihood by importance sampling, known to a tenth
    fixed = model.fix(*pkpd.evaluate(model, data).gradient.index)
    fit = pkpd.fit(fixed, data, method)
    assert "nothing to estimate" in fit.termination_cause and fit.minimization_successful
    assert fit.ofv == pytest.approx(pkpd.evaluate(model, data, method=pkpd.AGQ(nodes=5)).ofv, abs=0.5)
    # a subject without information keeps the prior
    silent = frame.assign(MDV=np.where((first == frame.ID) & (frame.EVID == 0), 1, frame.MDV))
    fit = pkpd.fit(fixed, pkpd.read_dataset(silent), method)
    assert fit.individual_ofv[first] == pytest.approx(0, abs=0.3)
    np.testing.assert_allclose(fit.conditional_sds.loc[first], np.sqrt(np.diag(fit.omega)), rtol=0.3)
    # one subject: no variance between subjects to be seen
    fit = pkpd.fit(model, pkpd.read_dataset(frame[first == frame.ID]), method)
    assert np.isfinite(fit.ofv) and not fit.minimization_successful
    assert re.search("one subject shows no variance|no convergence", fit.termination_cause)
