"""Individual fits by themselves, their means and covariances, and starting values that are found from the data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit, minimize

import pkpd
from pkpd import exp, log
from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.population.two_stage import fit_two_stage
from tests import naive
from tests.population import mixed
from tests.population.test_fit import newborns

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
NAMES = ["KA", "CL", "V"]


@pytest.fixture(scope="module")
def theophylline():
    return pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")


@pytest.fixture(scope="module")
def two_stage(theophylline):
    return pkpd.fit(*theophylline, pkpd.TwoStage())


def subjects(data):
    """Time, concentration and dose of each subject."""
    for _, own in data.frame.groupby("ID"):
        seen = own[own.EVID == 0]
        yield seen.TIME.to_numpy(), seen.DV.to_numpy(), own.AMT.max()


def test_every_subject_by_itself(theophylline, two_stage):
    """Nonlinear regression of each subject by SciPy; the pooled SD has 132 records less 3 parameters of 12 subjects."""
    logs, total = [], 0.0
    for t, y, dose in subjects(theophylline[1]):

        def oral(t, *x, dose=dose):
            return naive.concentration_oral_1cmt(t, dose, *np.exp(x))

        x, _ = curve_fit(oral, t, y, p0=np.log([1.5, 2.7, 31.0]), xtol=1e-12, ftol=1e-12)
        logs.append(x)
        total += np.sum((y - oral(t, *x)) ** 2)
    logs = np.array(logs)
    est, se = two_stage.parameter_estimates, two_stage.standard_errors
    np.testing.assert_allclose(np.log(two_stage.individual_parameters[NAMES]), logs, atol=1e-6)
    np.testing.assert_allclose(np.log(est[NAMES].to_numpy(float)), logs.mean(axis=0), atol=1e-7)
    np.testing.assert_allclose(np.diag(two_stage.omega), logs.var(axis=0, ddof=1), rtol=1e-6)
    assert est["SD(ADD)"] == pytest.approx(np.sqrt(total / (132 - 36)), rel=1e-6)
    # of a mean, on the natural scale; of a variance; of an SD
    np.testing.assert_allclose(se[NAMES], est[NAMES] * logs.std(axis=0, ddof=1) / np.sqrt(12), rtol=1e-6)
    assert se["OMEGA(V,V)"] == pytest.approx(est["OMEGA(V,V)"] * np.sqrt(2 / 11), rel=1e-6)
    assert se["SD(ADD)"] == pytest.approx(est["SD(ADD)"] / np.sqrt(2 * 96), rel=1e-6)
    assert two_stage.ofv == pytest.approx(pkpd.evaluate(*theophylline, est).ofv, abs=1e-6)
    assert "12 of 12 individual fits" in two_stage.termination_cause


def test_covariates_and_thetas_without_a_random_effect():
    """A regression of the individual means on weight; the slope, which no eta carries, is the pooled one."""
    data = mixed.data()
    fit = pkpd.fit(mixed.line, data, pkpd.TwoStage())
    f = data.frame
    y, t = f["DV"].to_numpy(float), f["TIME"].to_numpy(float)
    x = (f["WT"].to_numpy(float) - 70) / 10
    pooled = np.linalg.lstsq(np.column_stack([np.ones_like(x), x, t]), y, rcond=None)[0]
    est = fit.parameter_estimates
    assert est["B"] == pytest.approx(pooled[2], rel=1e-5)
    means = (y - est["B"] * t).reshape(40, -1).mean(axis=1)
    design = np.column_stack([np.ones(40), x.reshape(40, -1)[:, 0]])
    coefficients, rss = np.linalg.lstsq(design, means, rcond=None)[:2]
    np.testing.assert_allclose(est[["A", "WT_A"]], coefficients, rtol=1e-6)
    assert est["OMEGA(A,A)"] == pytest.approx(rss[0] / 38, rel=1e-6)
    se = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * rss[0] / 38)
    np.testing.assert_allclose(fit.standard_errors[["A", "WT_A"]], se, rtol=1e-6)
    assert "B by naive pooling" in fit.termination_cause
    assert np.isnan(fit.standard_errors["B"]) and np.isnan(fit.parameters.loc["B", "upper"])


def test_standard_errors_of_variances_where_no_theta_goes_with_an_eta(theophylline):
    """Moments of a normal sample of 12 with a known mean: 2ω⁴/12; they had been those of one subject."""

    @pkpd.model
    def relative(m):
        ka = m.parameter("KA", m.theta("KA", 1.5, lower=0) * (1 + m.eta("KA", variance=0.1)))
        cl = m.parameter("CL", m.theta("CL", 2.8, lower=0) * (1 + m.eta("CL", variance=0.1)))
        v = m.theta("V", 31.0, lower=0)
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.7))

    fit = pkpd.fit(relative, theophylline[1], pkpd.TwoStage())
    variances = ["OMEGA(KA,KA)", "OMEGA(CL,CL)"]
    np.testing.assert_allclose(
        fit.standard_errors[variances], np.sqrt(2 / 12) * fit.parameter_estimates[variances], rtol=1e-9
    )


def test_a_proportional_error_and_correlated_random_effects():
    """Simulated: within sampling error of the truth, and the residual SD is the maximum of the pseudo-likelihood."""

    @pkpd.model
    def decline(m):
        eta_a, eta_k = m.etas("A", "K", variance=[[0.2], [0.01, 0.2]])
        a = m.parameter("A", m.theta("A", 8.0, lower=0) * exp(eta_a))
        k = m.parameter("K", m.theta("K", 0.3, lower=0) * exp(eta_k))
        m.observe("y", a * exp(-k * m.time), proportional=m.sigma("PROP", 0.3))

    random = np.random.default_rng(8)
    n, t = 100, np.array([0.5, 1, 2, 4, 6, 8.0])
    eta = random.multivariate_normal([0, 0], [[0.09, 0.04], [0.04, 0.06]], n)
    f = 10 * np.exp(eta[:, :1] - 0.2 * np.exp(eta[:, 1:]) * t)
    frame = pd.DataFrame(
        {"ID": np.repeat(np.arange(n) + 1, 6), "TIME": np.tile(t, n), "EVID": 0, "MDV": 0, "AMT": 0.0}
    )
    frame["DV"] = (f * (1 + 0.1 * random.standard_normal(f.shape))).ravel()
    fit = pkpd.fit(decline, pkpd.read_dataset(frame), pkpd.TwoStage())
    truth = {"A": 10, "K": 0.2, "OMEGA(A,A)": 0.09, "OMEGA(K,A)": 0.04, "OMEGA(K,K)": 0.06, "SD(PROP)": 0.1}
    off = (fit.parameter_estimates[list(truth)] - pd.Series(truth)) / fit.standard_errors[list(truth)]
    assert np.abs(off).max() < 3.3  # of six
    relative = (frame["DV"].to_numpy() / fit.predictions["IPRED"].to_numpy() - 1) ** 2
    free = 6 * n - 2 * n
    best = minimize(
        lambda s: np.sum(2 * np.log(s[0]) + relative * (6 * n / free) / s[0] ** 2), [0.2], method="Nelder-Mead",
        options={"xatol": 1e-10},
    )  # fmt: skip
    assert fit.parameter_estimates["SD(PROP)"] == pytest.approx(best.x[0], rel=2e-4)


def test_subjects_whose_fit_fails_are_listed(theophylline):
    model, data = theophylline
    frame = data.frame.drop(columns="ROW").copy()
    first, second = data.subjects[:2]
    few = frame[
        frame.ID.ne(first) | frame.EVID.eq(1) | frame.TIME.lt(0.5)
    ]  # two records for three random effects
    late = few[few.ID.ne(second) | few.EVID.eq(1) | few.TIME.gt(4)]  # nothing of the absorption
    with pytest.warns(pkpd.PkpdWarning, match="W_TWO_STAGE_SUBJECT") as heard:
        fit = pkpd.fit(model, pkpd.read_dataset(late), pkpd.TwoStage())
    words = next(str(w.message) for w in heard if "W_TWO_STAGE" in str(w.message))
    assert f"ID {first}: 2 records for 3 random effects" in words
    assert (fit.individual_estimates.loc[first] == 0).all()
    assert fit.n_subjects == 12
    with pytest.raises(pkpd.FitError, match=r"E_TWO_STAGE.*0 of 12 individual fits.*1 records for 3"):
        sparse = frame[frame.EVID.eq(1) | frame.TIME.between(3, 4)]
        pkpd.fit(model, pkpd.read_dataset(sparse), pkpd.TwoStage())


def test_what_two_stage_does_not_do_is_refused(theophylline):
    for wrong in ({"covariance": "sandwich"}, {"blq": "M3"}, {"blq": "M9"}, {"solver": "ode"}):
        with pytest.raises(pkpd.InputError, match="E_METHOD"):
            pkpd.TwoStage(**wrong)
    with pytest.raises(pkpd.InputError, match="TwoStage has no objective"):
        pkpd.evaluate(*theophylline, method=pkpd.TwoStage())
    with pytest.raises(pkpd.InputError, match="E_METHOD_NO_ETA"):
        pkpd.fit(theophylline[0].without_random_effects(), theophylline[1], pkpd.TwoStage())


def test_a_chain_from_two_stages(theophylline):
    fit = pkpd.fit(*theophylline, [pkpd.TwoStage(), pkpd.FOCEI()])
    assert fit.ofv == pytest.approx(116.8034, abs=0.001)


# ------------------------------------------------------------------------------------------------- starting values


def bad_starts():
    """The one that another program ends in a false optimum from, and four that FOCEI alone does not come back from."""
    random = np.random.default_rng(5)
    drawn = [np.array([0.007, 1.4, 0.1, 2.0]) * np.exp(random.normal(0, 2.3, 4)) for _ in range(10)]
    return [(0.008, 0.6, 1.0, 0.1), *(tuple(drawn[k]) for k in (0, 2, 3, 6))]


@pytest.mark.parametrize("start", bad_starts())
def test_starting_values_rescue_a_bad_start(start):
    data = pkpd.load_dataset("phenobarbital")
    found = pkpd.fit(newborns(*start), data, pkpd.FOCEI(covariance=None), start="auto")
    assert found.ofv == pytest.approx(688.522, abs=0.001)


def test_starting_values_for_saem():
    data = pkpd.load_dataset("phenobarbital")
    fit = pkpd.fit(newborns(0.1, 60.0, 0.02, 0.1), data, pkpd.SAEM(covariance=None), start="auto")
    good = pkpd.fit(newborns(0.007, 1.4, 0.1, 2.0), data, pkpd.SAEM(covariance=None))
    names = ["CL", "V", "SD(ADD)"]
    np.testing.assert_allclose(fit.parameter_estimates[names], good.parameter_estimates[names], rtol=0.03)


def test_starting_values_are_no_worse_than_the_models_own(theophylline):
    model, data = theophylline
    found = pkpd.starting_values(model, data)
    assert list(found.index) == list(pkpd.evaluate(model, data).gradient.index)
    assert pkpd.evaluate(model, data, found).ofv < pkpd.evaluate(model, data).ofv
    assert pkpd.starting_values(model, data).equals(found)
    fixed = pkpd.starting_values(model.fix("V", "OMEGA(KA,KA)", "SD(ADD)"), data)
    assert (fixed["V"], fixed["OMEGA(KA,KA)"], fixed["SD(ADD)"]) == (31.0, 0.5, 0.8)
    with pytest.raises(pkpd.InputError, match="E_ARGUMENT"):
        pkpd.fit(model, data, start="guess")


def test_starting_values_of_occasions_and_of_direct_likelihoods():
    random = np.random.default_rng(3)
    who, occasion = np.repeat(np.arange(40), 6), np.tile([1, 1, 1, 2, 2, 2], 40)
    level = 8 * np.exp(random.normal(0, 0.3, 40)[who] + random.normal(0, 0.2, (40, 2))[who, occasion - 1])
    frame = pd.DataFrame(
        {"ID": who + 1, "TIME": np.tile(np.arange(6.0), 40), "EVID": 0, "MDV": 0, "AMT": 0.0}
    )
    frame["OCC"], frame["DV"] = occasion, level + 0.4 * random.standard_normal(len(who))

    @pkpd.model
    def levels(m):
        a = m.theta("A", 500.0, lower=0) * exp(m.eta("A", variance=2.0) + m.iov("A", variance=1.0))
        m.observe("y", a, additive=m.sigma("ADD", 0.01))

    data = pkpd.read_dataset(frame)
    found = pkpd.starting_values(levels, data)
    assert found["A"] == pytest.approx(8, rel=0.2)
    with pytest.raises(pkpd.InputError, match="E_METHOD_OCCASIONS"):
        pkpd.fit(levels, data, pkpd.TwoStage())

    @pkpd.model
    def coin(m):
        z = m.theta("Z", 6.0) + m.eta("Z", variance=0.5)
        p = 1 / (1 + exp(-z))
        m.likelihood("event", -2 * log(pkpd.where(m.dv > 0.5, p, 1 - p)))

    events = frame.assign(DV=(random.random(len(frame)) < 0.3).astype(float))
    direct = pkpd.starting_values(coin, pkpd.read_dataset(events))
    assert direct["Z"] == pytest.approx(np.log(events.DV.mean() / (1 - events.DV.mean())), abs=0.3)
    with pytest.raises(pkpd.InputError, match="E_METHOD_LIKELIHOOD"):
        pkpd.fit(coin, pkpd.read_dataset(events), pkpd.TwoStage())


def test_starting_values_by_noncompartmental_analysis(theophylline):
    """A factor of 10⁵ off, further than points are drawn; thetas may be named as NONMEM users do."""
    data = theophylline[1]

    @pkpd.model
    def oral(m):
        ka = m.theta("TVKA", 1.5e5, lower=0) * exp(m.eta("KA", variance=0.5))
        cl = m.theta("TVCL", 2.7e5, lower=0) * exp(m.eta("CL", variance=0.1))
        v = m.theta("TVV", 31e5, lower=0) * exp(m.eta("V", variance=0.05))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.8))

    fit = pkpd.fit(oral, data, pkpd.FOCEI(covariance=None), start="auto")
    assert fit.ofv == pytest.approx(116.8034, abs=0.001)


def test_nothing_to_start_from_is_said(theophylline):
    model, data = theophylline
    frame = data.frame.drop(columns="ROW").copy()
    frame.loc[frame.EVID == 1, "AMT"] = 1e300
    broken = model.replace(theta={"V": 1e-200})
    with pytest.raises(pkpd.FitError, match="E_STARTING_VALUES"):
        pkpd.starting_values(broken.fix("V"), pkpd.read_dataset(frame))


def test_a_theta_of_a_pooled_fit_that_did_not_converge_is_said():
    problem = bind(mixed.line, mixed.data())
    scales = Scales(problem)
    ended = fit_two_stage(problem, scales, pkpd.TwoStage(), scales.initial(problem), "stopped")
    assert not ended.search.converged
    assert ended.search.cause == "the naive pooled fit of B did not converge: stopped"
