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
    # a function of Ω whose gradient is known: Σ weight·variance
    weights = np.array([1.0, 2.0, 3.0, 5.0, 7.0])
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
    """60 subjects, 3 occasions: the standard error of a variance is about 0.3·sqrt(2/120) = 13 % of it.

    The lag is fixed: all samples come after it, so that data of a bolus tell V·exp(-K·LAG) alone.
    """
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
    fixed = model.replace(omega={"IOV(LAG)": 0.1}).fix("OMEGA(IOV(LAG),IOV(LAG))", "LAG")
    simulated = pkpd.simulate(fixed, quietly(frame), parameters=truth, seed=5)
    frame.loc[frame["EVID"] == 0, "DV"] = simulated["DV"].to_numpy()
    fit = pkpd.fit(fixed, quietly(frame), method=pkpd.FOCEI(covariance="R"))
    assert fit.minimization_successful
    estimates = fit.parameter_estimates
    assert estimates["OMEGA(IOV(LAG),IOV(LAG))"] == 0.1
    for name in ("OMEGA(IOV(F),IOV(F))", "OMEGA(V,V)", "K", "V", "SD(SD)"):
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


# ---------------------------------------------------------------------------------- correlated effects of the occasion

JOINT = [[0.5], [0.1, 0.05]]


@pytest.fixture(scope="module")
def joint():
    """A straight line whose level and slope vary between occasions, together: FOCEI is exact for it."""

    def define(m):
        level, slope = m.iovs("A", "B", variance=JOINT)
        a = m.theta("A", 5.0) + m.eta("A", variance=1.0) + level
        b = m.theta("B", 0.3) + slope
        m.observe("y", a + b * m.covariate("T"), additive=m.sigma("SD", 0.4))

    return pkpd.model(define)


def lines(subjects=30, seed=2):
    """Four records at each of three occasions; the last subject has two."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(subjects):
        level = 5 + random.normal(0, 1)
        for occasion in (1, 2, 3)[: 2 if i == subjects - 1 else 3]:
            a, b = random.multivariate_normal([0, 0], [[0.5, 0.1], [0.1, 0.05]])
            # about the middle of the occasion: level and slope are told apart well
            for t in (-1.5, -0.5, 0.5, 1.5):
                y = level + a + (0.3 + b) * t + random.normal(0, 0.4)
                rows.append(dict(ID=i + 1, TIME=10 * occasion + t, EVID=0, AMT=0.0, DV=y, OCC=occasion, T=t))
    return quietly(pd.DataFrame(rows))


def exact(data, theta_a, theta_b, between, block, sd):
    """-2 log-likelihood without n·log 2π, by the normal density of each subject's records."""
    total = 0.0
    frame = data.frame[["T", "OCC", "DV"]].to_numpy(float)
    for own in np.split(frame, data.offsets[1:-1]):
        t, occasion, y = own.T
        z = np.column_stack([np.ones_like(t), t])
        v = between + sd**2 * np.eye(len(t))
        v = v + np.where(occasion[:, None] == occasion, z @ block @ z.T, 0.0)
        r = y - theta_a - theta_b * t
        total += r @ np.linalg.solve(v, r) + np.linalg.slogdet(v)[1]
    return total


def test_a_block_of_occasions_has_copies(joint):
    problem = bind(joint, lines())
    assert [e.name for e in problem.etas] == [
        "A", "IOV(A)[1]", "IOV(B)[1]", "IOV(A)[2]", "IOV(B)[2]", "IOV(A)[3]", "IOV(B)[3]",
    ]  # fmt: skip
    assert problem.occasions[-1].tolist() == [True] * 5 + [False] * 2
    scales = Scales(problem)
    names = ["OMEGA(A,A)", "OMEGA(IOV(A),IOV(A))", "OMEGA(IOV(B),IOV(A))", "OMEGA(IOV(B),IOV(B))"]
    assert [n for n in scales.names if "OMEGA" in n] == names
    values = scales.initial(problem)
    expected = np.zeros((7, 7))
    expected[0, 0] = 1.0
    for k in (1, 3, 5):
        expected[k : k + 2, k : k + 2] = [[0.5, 0.1], [0.1, 0.05]]
    np.testing.assert_array_equal(values.omega, expected)
    again = scales.from_free(scales.free_values(values), values).omega
    np.testing.assert_allclose(again, expected, rtol=1e-13, atol=1e-15)


def test_the_likelihood_and_gradient_of_a_block_of_occasions(joint):
    data = lines()
    at = {"A": 4.8, "B": 0.25, "OMEGA(A,A)": 0.8, "OMEGA(IOV(A),IOV(A))": 0.4, "OMEGA(IOV(B),IOV(A))": 0.05,
          "OMEGA(IOV(B),IOV(B))": 0.06, "SD(SD)": 0.5}  # fmt: skip

    def twin(x):
        return exact(data, x[0], x[1], x[2], np.array([[x[3], x[4]], [x[4], x[5]]]), x[6])

    found = pkpd.evaluate(joint, data, at)
    x = np.array(list(at.values()))
    assert found.ofv == pytest.approx(twin(x), abs=1e-8)
    for k in range(len(x)):
        step = np.zeros(len(x))
        step[k] = 1e-5
        assert found.gradient.iloc[k] == pytest.approx((twin(x + step) - twin(x - step)) / 2e-5, rel=1e-5)


@pytest.fixture(scope="module")
def maximum():
    """Of the exact likelihood, by SciPy."""
    from scipy.optimize import minimize

    data = lines(60)

    def natural(z):
        lower = np.array([[np.exp(z[3]), 0], [z[4], np.exp(z[5])]])
        block = lower @ lower.T
        return np.array([*z[:2], np.exp(2 * z[2]), block[0, 0], block[1, 0], block[1, 1], np.exp(z[6])])

    def minus2(z):
        x = natural(z)
        return exact(data, x[0], x[1], x[2], np.array([[x[3], x[4]], [x[4], x[5]]]), x[6])

    start = [5, 0.3, 0, -0.35, 0.14, -1.9, -0.9]
    return data, natural(minimize(minus2, start, method="BFGS", options={"gtol": 1e-4}).x)


@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
@pytest.mark.parametrize(
    "method",
    [pkpd.FOCEI(), pkpd.SAEM(), pytest.param(pkpd.IMP(), marks=pytest.mark.nightly)],
    ids=["FOCEI", "SAEM", "IMP"],
)
def test_a_block_of_occasions_is_recovered(joint, maximum, method):
    data, best = maximum
    fit = pkpd.fit(joint, data, method)
    se = fit.standard_errors.to_numpy()
    # FOCEI is exact; the draws of SAEM leave a quarter of a standard error (0.23 was seen): 0.06 of the objective
    share = {"FOCEI": 1e-3, "SAEM": 0.4, "IMP": 0.1}[type(method).__name__]  # IMP: 0.02 was seen
    assert np.all(np.abs(fit.parameter_estimates.to_numpy() - best) < share * se)
    truth = np.array([5, 0.3, 1, 0.5, 0.1, 0.05, 0.4])
    assert np.all(np.abs(best - truth) < 3 * se)
    assert list(fit.eta_shrinkage.index) == ["A", "IOV(A)", "IOV(B)"]


def test_a_block_of_occasions_is_fixed_scaled_and_written_as_a_whole(joint):
    assert all(v.fixed for v in joint.fix("OMEGA(IOV(B),IOV(B))").iovs)
    scaled = joint.replace(omega={"IOV(A)": 2.0})
    assert scaled.iovs[0].variance == 2.0
    assert scaled.iovs[1].covariances[0] == pytest.approx(0.2)
    assert "$OMEGA BLOCK(2)\n  0.5  ; IOV(A)\n  0.1 0.05  ; IOV(B)\n$OMEGA BLOCK(2) SAME" in joint.to_nonmem(
        ["ID", "TIME", "DV", "OCC", "T"], occasions=[1, 2]
    )
    with pytest.raises(ModelError, match=r"E_EXPORT.*correlated"):
        joint.to_nlmixr2()
    for wrong in ([[0.1], [0.5, 0.1]], [[0.1], [0.1]]):
        with pytest.raises(ModelError, match="E_MODEL_OMEGA"):
            pkpd.model(lambda m, wrong=wrong: m.iovs("A", "B", variance=wrong))
