"""SAEM, IMP, importance sampling and conditional draws: against exact answers, published ones, and each other.

Monte-Carlo results are judged by their own standard error, or by the spread that was seen over ten seeds, times four.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pkpd
from pkpd import exp
from pkpd._jit import set_threads, threads
from pkpd.population.pareto import generalised_pareto_shape, pareto_k
from tests.population import mixed


def fitted(*arguments, **named):
    return mixed.quietly(pkpd.fit, *arguments, **named)


@pytest.fixture(scope="module")
def exact():
    data = mixed.data()
    judge = mixed.Exact(data)
    best = judge.maximum()
    return data, judge, best, judge.standard_errors(best)


@pytest.fixture(scope="module", params=[pkpd.SAEM(), pkpd.IMP()], ids=["SAEM", "IMP"])
def line(request, exact):
    return fitted(mixed.line, exact[0], request.param)


# ------------------------------------------------------------------------------------------- exact: a linear mixed model


def test_maximum(line, exact):
    """Estimates lie within a fifth of a standard error of the maximum: 0.04 is the objective that this costs."""
    _, judge, best, se = exact
    own = line.parameter_estimates[mixed.NAMES].to_numpy()
    assert np.all(np.abs(own - best) < 0.2 * se)
    assert judge(own) < judge(best) + 0.04
    assert line.minimization_successful
    assert "B (no random effect goes with it)" in line.termination_cause


def test_a_theta_that_the_random_effects_hold():
    """Records long after time 0: given the intercepts the slope has 0.4 % of its freedom, by which plain EM would move it."""
    data = mixed.data(first=20.0)
    judge = mixed.Exact(data)
    best = judge.maximum()
    fit = fitted(mixed.line, data, pkpd.SAEM(covariance=None))
    own = fit.parameter_estimates[mixed.NAMES].to_numpy()
    assert np.all(np.abs(own - best) < 0.2 * judge.standard_errors(best))
    assert judge(own) < judge(best) + 0.04


def test_information(line, exact):
    np.testing.assert_allclose(line.standard_errors[mixed.NAMES], exact[3], rtol=0.03)
    assert line.covariance_status == "observed information (Louis)"


def test_likelihood(line, exact):
    judge = exact[1]
    found = pkpd.importance_sampling(line, 2000, seed=3)
    own = line.parameter_estimates[mixed.NAMES].to_numpy()
    assert abs(found.ofv - judge(own)) < 4 * found.standard_error < 0.5
    off = (found.individual["OFV"] - judge.each(own)) / found.individual["SE"]
    assert np.abs(off).max() < 4.5  # of 40 normal numbers
    assert 0.7 < off.std() < 1.3  # the standard error is what it says
    assert found.minus2ll - found.ofv == pytest.approx(line.n_observations * np.log(2 * np.pi))
    assert abs(line.ofv - judge(own)) < 4 * found.standard_error * np.sqrt(2)
    assert found.individual["PARETO_K"].max() < 0.5


def test_posterior_moments(line, exact):
    mean, sd = exact[1].posterior(line.parameter_estimates[mixed.NAMES].to_numpy())
    error = sd[0] / np.sqrt(500)  # 1000 draws of which t proposals waste fewer than half
    assert np.abs(line.conditional_means["A"] - mean).max() < 4 * error
    assert np.abs(line.conditional_sds["A"] - sd).max() < 4 * error
    # the posterior is normal: its mean is its mode
    np.testing.assert_allclose(line.individual_estimates["A"], mean, atol=1e-6)


def test_conditional_draws(line, exact):
    mean, sd = exact[1].posterior(line.parameter_estimates[mixed.NAMES].to_numpy())
    draws = pkpd.conditional_draws(line, 1000, seed=5)["A"]
    assert draws.shape == (40 * 1000,)
    z = (draws.to_numpy().reshape(40, 1000) - mean[:, None]) / sd[:, None]
    # five sweeps apart draws are nearly independent: 700 effective of 1000
    assert np.abs(z.mean(axis=1)).max() < 4 / np.sqrt(700)
    assert np.abs(z.std(axis=1) - 1).max() < 4 / np.sqrt(2 * 700)
    assert np.abs(stats.kurtosis(z, axis=None)) < 0.1


def test_a_bound_that_binds(exact):
    """The constrained maximum, as SciPy finds it."""
    from scipy import optimize

    data, judge, _, _ = exact

    def define(m):
        wt = m.covariate("WT")
        low, slope = m.theta("A", 4.0, upper=4.6), m.theta("WT_A", 0.1)
        a = m.parameter("A", low + slope * (wt - 70) / 10 + m.eta("A", variance=0.5))
        m.observe("y", a + m.theta("B", 0.1, upper=0.2) * m.time, additive=m.sigma("ADD", 1.0))

    best = optimize.minimize(
        judge, [4.5, 0.2, 0.15, 0.5, 0.5], method="L-BFGS-B",
        bounds=[(None, 4.6), (None, None), (None, 0.2), (0.01, None), (0.01, None)],
    )  # fmt: skip
    fit = fitted(pkpd.model(define), data, pkpd.SAEM(covariance=None))
    own = fit.parameter_estimates[mixed.NAMES].to_numpy()
    assert own[0] == pytest.approx(4.6, abs=1e-4)
    assert own[2] == pytest.approx(0.2, abs=2e-3)
    np.testing.assert_allclose(own[[1, 3, 4]], best.x[[1, 3, 4]], rtol=0.03)
    assert any("W_BOUND: theta A" in w for w in fit.warnings)


def test_fixed_parameters_stay(exact):
    model = mixed.line.replace(omega={"A": 0.47}, theta={"WT_A": 0.3}, sigma={"ADD": 0.5})
    fit = fitted(model.fix("OMEGA(A,A)", "WT_A"), exact[0], pkpd.SAEM(iterations=(60, 60)))
    est = fit.parameter_estimates
    assert est["OMEGA(A,A)"] == pytest.approx(0.47, rel=1e-12)
    assert est["WT_A"] == 0.3
    assert np.isnan(fit.standard_errors["WT_A"])
    assert est["SD(ADD)"] == pytest.approx(exact[2][4], rel=0.02)


# ----------------------------------------------------------------------------------------------- what must not matter


def test_same_bits_at_any_number_of_threads_and_other_draws_with_another_seed():
    model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")
    method = pkpd.SAEM(iterations=(30, 20), samples=100)
    before = threads()
    results = []
    try:
        for n, seed in ((1, 7), (2, 7), (1, 8)):
            set_threads(n)
            fit = fitted(model, data, method, seed=seed)
            results.append([fit.parameter_estimates, fit.iterations, fit.individual_ofv, fit.standard_errors])
    finally:
        set_threads(before)
    for a, b, c in zip(*results, strict=True):
        assert a.equals(b)
        assert not a.equals(c)


def test_a_subject_keeps_its_draws_without_the_others():
    fit = fitted(mixed.line, mixed.data(subjects=6), pkpd.FOCEI(max_iterations=0))
    few = fitted(
        mixed.line,
        mixed.quietly(pkpd.read_dataset, fit.data.frame[fit.data.frame["ID"].astype(str).isin(["1", "2"])]),
        pkpd.FOCEI(max_iterations=0),
        start=fit.parameter_estimates,
    )
    every, own = (pkpd.conditional_draws(f, 20, seed=2)["A"].to_numpy().reshape(-1, 20) for f in (fit, few))
    np.testing.assert_array_equal(every[:2], own)


# ------------------------------------------------------------------------------------------------------ published answers


@pytest.fixture(scope="module")
def theophylline():
    return pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")


# nlmixr2's adaptive quadrature of 7 nodes; relative standard deviations of our estimates over 30 seeds, by SAEM and by IMP.
OPTIMUM = {
    "KA": (np.exp(0.45876), 0.0041, 0.0006),
    "CL": (np.exp(1.01164), 0.0026, 0.0003),
    "V": (np.exp(3.45379), 0.0015, 0.0003),
    "OMEGA(KA,KA)": (0.40550, 0.0155, 0.0032),
    "OMEGA(CL,CL)": (0.070321, 0.0266, 0.0038),
    "OMEGA(V,V)": (0.018523, 0.0348, 0.0057),
    "SD(ADD)": (0.69604, 0.0020, 0.0003),
}


@pytest.mark.parametrize("method", [pkpd.SAEM(), pkpd.IMP(samples=1000)], ids=["SAEM", "IMP"])
def test_theophylline(theophylline, method):
    """Estimates lie within 3.5 standard deviations of nlmixr2's: one of seven would miss that with one seed in 300."""
    fit = fitted(*theophylline, method, seed=1)
    for name, (value, by_saem, by_imp) in OPTIMUM.items():
        spread = by_saem if method.kind == "SAEM" else by_imp
        assert fit.parameter_estimates[name] == pytest.approx(value, rel=3.5 * spread), name
    found = pkpd.importance_sampling(fit, 3000)
    # nlmixr2's quadrature: 118.1021
    assert abs(found.ofv - 118.102) < 4 * found.standard_error + 0.1
    assert found.standard_error < 0.3


def test_likelihood_of_theophylline_at_the_optimum_of_quadrature(theophylline):
    model, data = theophylline
    at = model.replace(
        theta={"KA": np.exp(0.45875191914), "CL": np.exp(1.0116372588), "V": np.exp(3.4537950612)},
        omega={"KA": 0.4054970608, "CL": 0.070320902283, "V": 0.018523288048},
        sigma={"ADD": 0.69603627017},
    )
    fit = fitted(at, data, pkpd.FOCEI(max_iterations=0, covariance=None))
    found = pkpd.importance_sampling(fit, 20_000)
    assert abs(found.ofv - 118.1021) < 3 * found.standard_error < 0.15


def test_phenobarbital():
    """nlmixr2's FOCEI: the approximations differ, so only within a few per cent; the likelihood is no worse than FOCEI's."""
    model, data = pkpd.load_model("phenobarbital"), pkpd.load_dataset("phenobarbital")
    fit, linear = (fitted(model, data, m, seed=1) for m in (pkpd.SAEM(), pkpd.FOCEI()))
    est = fit.parameter_estimates
    assert np.log(est["CL"]) == pytest.approx(-4.9484, rel=0.01)
    assert np.log(est["V"]) == pytest.approx(0.41013, abs=0.02)
    assert est["WT_CL"] == pytest.approx(1.1154, abs=0.06)
    assert est["WT_V"] == pytest.approx(0.93468, abs=0.03)
    assert est["SD(PROP)"] == pytest.approx(0.11299, rel=0.06)
    own, other = (pkpd.importance_sampling(f, 3000) for f in (fit, linear))
    assert own.ofv < other.ofv + 3 * np.hypot(own.standard_error, other.standard_error)
    # exact information against the sandwich of an approximation: the same size
    np.testing.assert_allclose(
        fit.standard_errors[["CL", "V"]], linear.standard_errors[["CL", "V"]], rtol=0.3
    )


# ------------------------------------------------------------------------------------------------ features, by recovery


def simulated(n=80, seed=4):
    """Times and owners of six records for each of n subjects."""
    random = np.random.default_rng(seed)
    time = np.tile([0.5, 1, 2, 4, 6, 8.0], n)
    who = np.repeat(np.arange(n), 6)
    return random, time, who


def test_censored_records():
    """Values below 3 censored (a third): SAEM by M3 recovers what all records give; leaving them out does not."""
    random, time, who = simulated()
    eta = random.multivariate_normal([0, 0], [[0.09, 0.03], [0.03, 0.06]], 80)
    y = 10 * np.exp(eta[who, 0]) * np.exp(-0.2 * np.exp(eta[who, 1]) * time) + random.normal(0, 0.5, len(who))
    frame = pd.DataFrame({"ID": who + 1, "TIME": time, "EVID": 0, "MDV": 0, "AMT": 0.0, "DV": y})
    low = y < 3
    cut = frame.assign(DV=np.where(low, 3.0, y), CENS=low.astype(int))
    assert 0.2 < low.mean() < 0.5

    @pkpd.model
    def decline(m):
        eta_a, eta_k = m.etas("A", "K", variance=[[0.2], [0.01, 0.2]])
        a = m.parameter("A", m.theta("A", 8.0, lower=0) * exp(eta_a))
        k = m.parameter("K", m.theta("K", 0.3, lower=0) * exp(eta_k))
        m.observe("y", a * exp(-k * m.time), additive=m.sigma("ADD", 1.0))

    whole, part = (mixed.quietly(pkpd.read_dataset, f) for f in (frame, cut))
    all_records = fitted(decline, whole, pkpd.SAEM())
    m3 = fitted(decline, part, pkpd.SAEM())
    m1 = fitted(decline, part, pkpd.SAEM(blq="M1", covariance=None))
    names = ["A", "K", "OMEGA(A,A)", "OMEGA(K,A)", "OMEGA(K,K)", "SD(ADD)"]
    truth = np.array([10, 0.2, 0.09, 0.03, 0.06, 0.5])
    off = (m3.parameter_estimates[names].to_numpy() - truth) / m3.standard_errors[names].to_numpy()
    assert np.abs(off).max() < 3.3  # of six
    assert m3.parameter_estimates["K"] == pytest.approx(all_records.parameter_estimates["K"], rel=0.04)
    print([f.parameter_estimates["K"] for f in (all_records, m3, m1)])
    off_m3, off_m1 = (
        abs(f.parameter_estimates["K"] - all_records.parameter_estimates["K"]) for f in (m3, m1)
    )
    assert off_m1 > 2 * off_m3
    assert np.all(m3.standard_errors[["K", "SD(ADD)"]] > all_records.standard_errors[["K", "SD(ADD)"]])
    by_focei = fitted(decline, part, pkpd.FOCEI(covariance=None))
    np.testing.assert_allclose(
        m3.parameter_estimates[["A", "K"]], by_focei.parameter_estimates[["A", "K"]], rtol=0.03
    )


def test_occasions_and_a_combined_error():
    """Variability between three occasions, block OMEGA off, combined error: truth within sampling error."""
    random = np.random.default_rng(9)
    n = 120
    who, occasion = np.repeat(np.arange(n), 9), np.tile(np.repeat([1, 2, 3], 3), n)
    time = np.tile(np.arange(9.0), n)
    level = 8 * np.exp(random.normal(0, 0.3, n)[who] + random.normal(0, 0.2, (n, 3))[who, occasion - 1])
    y = level + np.hypot(0.3, 0.05 * level) * random.standard_normal(len(who))
    frame = pd.DataFrame(
        {"ID": who + 1, "TIME": time, "EVID": 0, "MDV": 0, "AMT": 0.0, "DV": y, "OCC": occasion}
    )

    @pkpd.model
    def levels(m):
        a = m.theta("A", 5.0, lower=0) * exp(m.eta("A", variance=0.2) + m.iov("A", variance=0.1))
        m.observe("y", a, additive=m.sigma("ADD", 0.5), proportional=m.sigma("PROP", 0.1))

    data = mixed.quietly(pkpd.read_dataset, frame)
    fit = fitted(levels, data, pkpd.SAEM())
    est, se = fit.parameter_estimates, fit.standard_errors
    truth = {"A": 8, "OMEGA(A,A)": 0.09, "OMEGA(IOV(A),IOV(A))": 0.04}
    for name, value in truth.items():
        assert abs(est[name] - value) < 3 * se[name]
        assert se[name] < 0.35 * value
    by_focei = fitted(levels, data, pkpd.FOCEI())
    np.testing.assert_allclose(est[list(truth)], by_focei.parameter_estimates[list(truth)], rtol=0.04)
    np.testing.assert_allclose(se[list(truth)], by_focei.standard_errors[list(truth)], rtol=0.3)
    assert np.hypot(est["SD(ADD)"], 8 * est["SD(PROP)"]) == pytest.approx(np.hypot(0.3, 0.4), rel=0.06)


# ------------------------------------------------------------------------------------------------------------ Pareto's k


def test_shape_of_a_generalised_pareto_distribution():
    """Against the shape that the excesses were drawn with; its standard error is (1 + k)/√n."""
    n = 5000
    for k in (-0.3, 0.2, 0.7, 1.2):
        x = np.sort(stats.genpareto.rvs(k, scale=2.0, size=(4, n), random_state=3), axis=1)
        assert np.abs(generalised_pareto_shape(x) - k).max() < 4 * (1 + abs(k)) / np.sqrt(n)


def test_pareto_k_tells_light_tails_from_heavy():
    """Normal proposals of SD s for a standard normal target: the weights' tail shape tends to 1 - s² (0 for s > 1)."""
    random = np.random.default_rng(2)
    found = []
    for s in (1.3, 0.8, 0.4):
        x = random.normal(0, s, (20, 20_000))
        found.append(np.median(pareto_k(-0.5 * x**2 + 0.5 * (x / s) ** 2)))
    assert found[0] < 0.1 < found[1] < 0.5 < 0.7 < found[2]
    assert found[2] == pytest.approx(1 - 0.4**2, abs=0.2)


# --------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "settings",
    [
        {"iterations": (0, 10)}, {"chains": 0}, {"proposals": (0, 0, 0, 2)}, {"annealing": 1.0}, {"likelihood": "guess"},
        {"covariance": "sandwich"}, {"samples": 10}, {"blq": "M9"}, {"solver": "ode"},
    ],
)  # fmt: skip
def test_settings_are_checked(settings):
    with pytest.raises(pkpd.InputError):
        pkpd.SAEM(**settings)


def test_what_cannot_be_done_is_named(exact, theophylline):
    data = exact[0]

    @pkpd.model
    def no_etas(m):
        m.observe("y", m.theta("A", 3.0), additive=m.sigma("ADD", 1.0))

    with pytest.raises(pkpd.InputError, match="no random effect"):
        fitted(no_etas, data, pkpd.SAEM())

    @pkpd.model
    def collinear(m):
        a = m.theta("A", 3.0) + m.theta("C", 1.0) + m.eta("A", variance=0.5)
        m.observe("y", a, additive=m.sigma("ADD", 1.0))

    with pytest.raises(pkpd.FitError, match="cannot tell A, C apart"):
        fitted(collinear, data, pkpd.SAEM())
    with pytest.raises(pkpd.InputError, match="has no objective"):
        pkpd.evaluate(*theophylline, method=pkpd.SAEM())
    fit = fitted(*theophylline, pkpd.FOCEI(max_iterations=0, covariance=None))
    with pytest.raises(pkpd.InputError):
        pkpd.importance_sampling(fit, 10)
    with pytest.raises(pkpd.InputError):
        pkpd.conditional_draws(fit, 0)


def test_one_subject_and_linearisation(theophylline):
    """One subject: a result whose covariance says what is wrong; the cheap likelihood is FOCEI's objective."""
    model, data = theophylline
    one = mixed.quietly(pkpd.read_dataset, data.frame[data.frame["ID"].astype(str) == "1"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = pkpd.fit(
            model.fix("OMEGA(KA,KA)", "OMEGA(CL,CL)", "OMEGA(V,V)"), one,
            pkpd.SAEM(iterations=(20, 20), likelihood="linearisation", covariance="linearisation"),
        )  # fmt: skip
    assert np.isfinite(fit.ofv)
    at = pkpd.evaluate(fit.model, one, fit.parameter_estimates.to_dict())
    assert fit.ofv == pytest.approx(at.ofv, abs=1e-6)
