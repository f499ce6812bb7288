"""What was simulated is recovered from categories, counts, times to event and joint models."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize

import pkpd
from pkpd import exp, expit, lgamma, log
from tests.population.test_recovery import check

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
METHODS = {
    "Laplace": pkpd.Laplace(covariance="R"),
    "AGQ": pkpd.AGQ(nodes=7, covariance="R"),
    "SAEM": pkpd.SAEM(),
}


def each(*names, nightly=()):
    """The methods of these names; those of ``nightly`` take most of a minute."""
    slow = [pytest.param(METHODS[n], id=n, marks=pytest.mark.nightly) for n in nightly]
    return pytest.mark.parametrize("method", [*(pytest.param(METHODS[n], id=n) for n in names), *slow])


def longitudinal(n, times, seed, draw):
    """Records of ``n`` subjects, arms 0 and 1 in turn; ``draw(rng, arm, times)`` gives a subject's values."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        for t, y in zip(times, draw(rng, i % 2, times), strict=True):
            rows.append((i + 1, t, float(y), i % 2))
    return pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "ARM"]))


@pkpd.model
def ordinal(m):
    """Proportional odds of grades 0 to 2: they rise with time, the arm lowers them."""
    x = m.parameter(
        "X", m.theta("X", 0.0) + m.theta("ARM", 0.0) * m.covariate("ARM") + m.eta("X", variance=0.5)
    )
    x = x + m.theta("SLOPE", 0.0) * m.time
    above = expit(x), expit(x - m.theta("STEP", 1.0, lower=0))
    p = pkpd.where(m.dv == 0, 1 - above[0], pkpd.where(m.dv == 1, above[0] - above[1], above[1]))
    m.likelihood("grade", -2 * log(p))


@each("AGQ", "SAEM")
def test_ordinal(method):
    """Laplace is left out: of a few grades per subject it underestimates the variance, as it is known to."""

    def draw(rng, arm, times):
        x = -0.5 - arm + rng.standard_normal() + 0.15 * times
        above = 1 / (1 + np.exp(-np.array([x, x - 1.5])))
        return (rng.uniform(size=len(times)) < above).sum(axis=0)

    data = longitudinal(200, np.arange(8.0), 6, draw)
    fit = pkpd.fit(ordinal, data, method)
    check(fit, {"X": -0.5, "ARM": -1.0, "SLOPE": 0.15, "STEP": 1.5, "OMEGA(X,X)": 1.0})
    if isinstance(method, pkpd.AGQ):
        y, arm = (data.frame[c].to_numpy().reshape(200, 8) for c in ("DV", "ARM"))
        z, w = np.polynomial.hermite_e.hermegauss(40)

        def minus2ll(p):
            x = p[0] + p[1] * arm[..., None] + p[2] * np.arange(8.0)[:, None] + np.exp(p[4] / 2) * z
            above = 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(np.exp(p[3]) - x))
            terms = (1 - above[0], above[0] - above[1], above[1])
            return -2 * np.log(np.choose(y.astype(int)[..., None], terms).prod(axis=1) @ w / w.sum()).sum()

        best = minimize(minus2ll, [-0.5, -1, 0.15, 0.4, 0], method="BFGS")
        assert fit.ofv == pytest.approx(best.fun, abs=0.01)  # seven nodes
        found = fit.parameter_estimates[["X", "ARM", "SLOPE", "STEP", "OMEGA(X,X)"]]
        np.testing.assert_allclose(found, [*best.x[:3], *np.exp(best.x[3:])], rtol=2e-3)


@pkpd.model
def poisson(m):
    """Counts whose mean falls with time and in the treated arm."""
    mean = m.parameter("MEAN", m.theta("MEAN", 2.0, lower=0) * exp(m.eta("MEAN", variance=0.1)))
    mean = mean * exp(m.theta("ARM", 0.0) * m.covariate("ARM") + m.theta("SLOPE", 0.0) * m.time)
    m.likelihood("count", 2 * mean - 2 * m.dv * log(mean) + 2 * lgamma(m.dv + 1))


@each("Laplace", "AGQ", "SAEM")
def test_poisson(method):
    def draw(rng, arm, times):
        return rng.poisson(4 * np.exp(0.5 * rng.standard_normal() - 0.6 * arm - 0.08 * times))

    data = longitudinal(100, np.arange(6.0), 6, draw)
    truth = {"MEAN": 4.0, "ARM": -0.6, "SLOPE": -0.08, "OMEGA(MEAN,MEAN)": 0.25}
    check(pkpd.fit(poisson, data, method), truth)


@pkpd.model
def negative_binomial(m):
    """Counts with variance mean + mean²/SIZE."""
    mean = m.parameter("MEAN", m.theta("MEAN", 2.0, lower=0) * exp(m.eta("MEAN", variance=0.1)))
    mean = mean * exp(m.theta("ARM", 0.0) * m.covariate("ARM"))
    size = m.theta("SIZE", 1.0, lower=0)
    part = lgamma(m.dv + size) - lgamma(size) - lgamma(m.dv + 1)
    m.likelihood("count", -2 * (part + size * log(size / (size + mean)) + m.dv * log(mean / (size + mean))))


@each("Laplace", "AGQ", "SAEM")
def test_negative_binomial(method):
    def draw(rng, arm, times):
        mean = 5 * np.exp(0.5 * rng.standard_normal() - 0.6 * arm)
        return rng.poisson(mean * rng.gamma(2.0, 0.5, size=len(times)))

    data = longitudinal(120, np.arange(8.0), 7, draw)
    check(
        pkpd.fit(negative_binomial, data, method),
        {"MEAN": 5.0, "ARM": -0.6, "SIZE": 2.0, "OMEGA(MEAN,MEAN)": 0.25},
    )


@pkpd.model
def frailty(m):
    """Recurrent events at a rate of the subject's own, lower in the treated arm."""
    rate = m.theta("RATE", 0.1, lower=0) * exp(m.theta("ARM", 0.0) * m.covariate("ARM"))
    m.hazard("relapse", m.parameter("RATE", rate * exp(m.eta("RATE", variance=0.1))))


@each("Laplace", "AGQ", "SAEM")
def test_frailty_of_recurrent_events(method):
    rng = np.random.default_rng(8)
    rows = []
    for i in range(150):
        rate, end = 0.3 * np.exp(0.6 * rng.standard_normal() - 0.7 * (i % 2)), rng.uniform(8, 16)
        rows.append((i + 1, 0.0, np.nan, 1, i % 2))
        times = np.cumsum(rng.exponential(1 / rate, size=60))
        rows += [(i + 1, t, 1.0, 0, i % 2) for t in times[times < end]]
        rows.append((i + 1, end, 0.0, 0, i % 2))
    data = pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "MDV", "ARM"]))
    truth = {"RATE": 0.3, "ARM": -0.7, "OMEGA(RATE,RATE)": 0.36}
    check(pkpd.fit(frailty, data, method), truth)


@pkpd.model
def exposed(m):
    """Repeated doses, sparse samples, and a hazard that the concentration of the moment lowers."""
    cl = m.parameter("CL", m.theta("CL", 1.0, lower=0) * exp(m.eta("CL", variance=0.1)))
    v = m.parameter("V", m.theta("V", 10.0, lower=0) * exp(m.eta("V", variance=0.1)))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.3))
    m.hazard("death", m.theta("BASE", 0.05, lower=0) * exp(-m.theta("EFFECT", 0.1) * central / v))


@each("Laplace", nightly=["SAEM"])
def test_joint_pk_and_time_to_event(method):
    rng = np.random.default_rng(9)
    rows = []
    for i in range(120):
        dose = (20.0, 60.0, 180.0)[i % 3]
        cl, v = 1.5 * np.exp(0.3 * rng.standard_normal()), 15 * np.exp(0.2 * rng.standard_normal())
        given = np.arange(0.0, 30.0, 6.0)

        def c(t, given=given, dose=dose, cl=cl, v=v):
            past = np.asarray(t)[..., None] - given
            return dose / v * np.sum(np.where(past >= 0, np.exp(-cl / v * np.maximum(past, 0)), 0), axis=-1)

        fine = np.linspace(0, 30, 3001)
        hazard = 0.12 * np.exp(-0.25 * c(fine))
        reached = np.concatenate([[0], np.cumsum((hazard[1:] + hazard[:-1]) / 2 * 0.01)])
        event = float(np.interp(rng.exponential(), reached, fine, right=np.inf))
        end = min(event, 30.0)
        rows += [(i + 1, t, 1, dose, np.nan, 1, 1) for t in given[given < end]]
        for t in np.array([1.0, 5.0, 13.0, 23.0]):
            if t < end:
                rows.append((i + 1, t, 0, 0.0, c(t) * (1 + 0.15 * rng.standard_normal()), 0, 1))
        rows.append((i + 1, end, 0, 0.0, float(event < 30), 0, 2))
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "MDV", "DVID"])
    data = pkpd.read_dataset(frame.sort_values(["ID", "TIME"], kind="stable"))
    truth = {"CL": 1.5, "V": 15.0, "BASE": 0.12, "EFFECT": 0.25, "OMEGA(CL,CL)": 0.09, "SD(PROP)": 0.15}
    check(pkpd.fit(exposed, data, method), truth)


@pkpd.model
def tumour(m):
    """Tumour size that shrinks and grows again (Stein); the larger it is, the sooner the patient drops out."""
    base = m.parameter("BASE", m.theta("BASE", 50.0, lower=0) * exp(m.eta("BASE", variance=0.1)))
    kg = m.parameter("KG", m.theta("KG", 0.01, lower=0) * exp(m.eta("KG", variance=0.1)))
    ks = m.parameter("KS", m.theta("KS", 0.05, lower=0) * exp(m.eta("KS", variance=0.1)))
    size = base * (exp(kg * m.time) + exp(-ks * m.time) - 1)
    m.observe("size", size, proportional=m.sigma("PROP", 0.2))
    m.hazard("dropout", m.theta("H0", 0.005, lower=0) * exp(m.theta("LINK", 0.005) * size))


@each("Laplace", nightly=["SAEM"])
def test_tumour_size_with_dropout(method):
    rng = np.random.default_rng(10)
    rows = []
    for i in range(120):
        base, kg, ks = np.array([60, 0.02, 0.04]) * np.exp(np.sqrt([0.15, 0.2, 0.2]) * rng.standard_normal(3))

        def size(t, base=base, kg=kg, ks=ks):
            return base * (np.exp(kg * t) + np.exp(-ks * t) - 1)

        fine = np.linspace(0, 60, 6001)
        hazard = 0.004 * np.exp(0.02 * size(fine))
        reached = np.concatenate([[0], np.cumsum((hazard[1:] + hazard[:-1]) / 2 * 0.01)])
        event = float(np.interp(rng.exponential(), reached, fine, right=np.inf))
        end = min(event, 60.0)
        for t in np.arange(0.0, 60.0, 8.0):
            if t < end:
                rows.append((i + 1, t, size(t) * (1 + 0.1 * rng.standard_normal()), 1))
        rows.append((i + 1, end, float(event < 60), 2))
    data = pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "DVID"]))
    truth = {"BASE": 60.0, "KG": 0.02, "KS": 0.04, "H0": 0.004, "LINK": 0.02, "OMEGA(KG,KG)": 0.2}
    check(pkpd.fit(tumour, data, method), truth | {"SD(PROP)": 0.1})
