"""Methods × options: what a method does not support is refused by name when it is written, or before anything is fitted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests.population.intercept import dataset, intercept, measurements

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")

GRADIENT = (pkpd.FO, pkpd.FOCE, pkpd.FOCEI, pkpd.Laplace, pkpd.AGQ, pkpd.NaivePooled)
PRIORS = {"BASE": pkpd.Normal(6, 1)}


def priors(**options):
    return pkpd.MAP(priors=PRIORS, **options)


ALL = {m.__name__: m for m in (*GRADIENT, pkpd.SAEM, pkpd.IMP, pkpd.TwoStage)} | {"MAP": priors}
COVARIANCES = ("sandwich", "R", "S", "louis", "linearisation", "moments", None, "guess")
SUPPORTED = (
    {m.__name__: {"sandwich", "R", "S", None} for m in GRADIENT}
    | {"MAP": {"R", None}, "TwoStage": {"moments", None}}
    | {name: {"louis", "linearisation", None} for name in ("SAEM", "IMP")}
)
BLQ = {name: {"M1", "M3", "M4"} for name in ALL} | {"TwoStage": {"M1"}}


@pytest.mark.parametrize("kind", COVARIANCES)
@pytest.mark.parametrize("name", ALL)
def test_covariance(name, kind):
    if kind in SUPPORTED[name]:
        assert ALL[name](covariance=kind).covariance == kind
    else:
        with pytest.raises(pkpd.InputError, match=f"E_METHOD.*'{kind}'"):
            ALL[name](covariance=kind)


@pytest.mark.parametrize("blq", ["M1", "M3", "M4", "M2"])
@pytest.mark.parametrize("name", ALL)
def test_blq(name, blq):
    if blq in BLQ[name]:
        assert ALL[name](blq=blq).blq == blq
    else:
        with pytest.raises(pkpd.InputError, match=f"E_METHOD.*'{blq}'"):
            ALL[name](blq=blq)


@pytest.mark.parametrize("name", ALL)
def test_solver(name):
    assert ALL[name](solver=pkpd.Solver("ode")).solver.kind == "ode"
    with pytest.raises(pkpd.InputError, match=r"E_METHOD.*'ode'"):
        ALL[name](solver="ode")


OWN = {
    "max_iterations": {*(m.__name__ for m in GRADIENT), "MAP", "IMP"},
    "tolerance": {*(m.__name__ for m in GRADIENT), "MAP", "IMP"},
    "starts": {*(m.__name__ for m in GRADIENT), "MAP"},
    "nodes": {"AGQ"},
    "approximation": {"MAP"},
    "iterations": {"SAEM"},
    "chains": {"SAEM"},
    "proposals": {"SAEM"},
    "annealing": {"SAEM"},
    "likelihood": {"SAEM"},
    "samples": {"SAEM", "IMP"},
}
UNREADABLE = {
    "max_iterations": 1.5, "tolerance": "small", "starts": True, "nodes": 2.5, "approximation": 1, "iterations": 300,
    "chains": "3", "proposals": (1, 1, 1, 0.5), "annealing": "0.9", "likelihood": None, "samples": 100.5,
}  # fmt: skip
IMPOSSIBLE = {
    "max_iterations": -1, "tolerance": 0.0, "starts": 0, "nodes": 0, "approximation": "SAEM", "iterations": (0, 1), "chains": 0,
    "proposals": (0, 0, 0, 1), "annealing": 1.0, "likelihood": "guess", "samples": 1,
}  # fmt: skip


@pytest.mark.parametrize("option", OWN)
@pytest.mark.parametrize("name", ALL)
def test_an_option_is_checked_or_unknown(name, option):
    if name in OWN[option]:
        for wrong in (IMPOSSIBLE[option], UNREADABLE[option]):
            with pytest.raises(pkpd.InputError, match="E_METHOD"):
                ALL[name](**{option: wrong})
    else:
        with pytest.raises(TypeError, match=f"'{option}'"):
            ALL[name](**{option: IMPOSSIBLE[option]})


@pytest.fixture(scope="module")
def data():
    return dataset(measurements())


SAMPLING = {
    "SAEM": pkpd.SAEM(iterations=(20, 20), samples=100),
    "IMP": pkpd.IMP(max_iterations=5, samples=100),
}


@pytest.fixture(scope="module", params=["SAEM", "IMP", "TwoStage"])
def inexact(request, data):
    return pkpd.fit(intercept, data, SAMPLING.get(request.param) or pkpd.TwoStage())


@pytest.mark.parametrize(
    "use",
    [
        pkpd.profile,
        lambda fit: pkpd.sir(fit, 100, resamples=50),
        lambda fit: pkpd.stepwise(fit, {"BASE": ["TUMOR"]}),
        lambda fit: pkpd.randomisation_test(fit, "TUMOR"),
    ],
    ids=["profile", "sir", "stepwise", "randomisation_test"],
)
def test_what_compares_minima_takes_methods_that_find_them(inexact, use):
    with pytest.raises(pkpd.InputError, match=f"E_METHOD_NOISY.*{inexact.method.kind}"):
        use(inexact)


def test_evaluate_takes_methods_with_an_objective(inexact, data):
    with pytest.raises(pkpd.InputError, match=f"E_METHOD.*{inexact.method.kind} has no objective"):
        pkpd.evaluate(intercept, data, method=inexact.method)


@pytest.mark.parametrize("name", ["FO", "FOCE", "FOCEI", "TwoStage"])
def test_likelihoods_of_their_own(name, data):
    @pkpd.model
    def direct(m):
        z = m.theta("Z", 5.0) + m.eta("Z", variance=0.5)
        m.likelihood("y", (m.dv - z) ** 2)

    with pytest.raises(pkpd.InputError, match=f"E_METHOD_LIKELIHOOD: {name}"):
        pkpd.fit(direct, data, ALL[name]())


@pytest.mark.parametrize("name", ["FO", "TwoStage"])
def test_censored_records(name):
    censored = dataset(measurements(), limit=5.0)
    if name == "FO":
        with pytest.raises(pkpd.InputError, match="E_METHOD_CENSORED"):
            pkpd.fit(intercept, censored, pkpd.FO())
    fit = pkpd.fit(intercept, censored, ALL[name](blq="M1", covariance=None))
    assert any("W_CENSORED_LEFT_OUT" in w for w in fit.warnings)


@pytest.mark.parametrize("name", ["SAEM", "IMP", "TwoStage"])
def test_methods_that_need_a_random_effect(name, data):
    with pytest.raises(pkpd.InputError, match=f"E_METHOD_NO_ETA.*{name}"):
        pkpd.fit(intercept.without_random_effects(), data, ALL[name]())


# ------------------------------------------------------------------------------------------------------------- chains


@pytest.mark.parametrize(
    "chain",
    [[SAMPLING["SAEM"], pkpd.FOCEI()], [SAMPLING["IMP"], pkpd.Laplace()], [pkpd.TwoStage(), pkpd.FO()]],
)
def test_a_chain_that_ends_with_an_exact_method_ends_at_its_optimum(data, chain):
    """The random intercept is linear: every approximation is exact."""
    fit = pkpd.fit(intercept, data, chain)
    assert fit.ofv == pytest.approx(pkpd.fit(intercept, data).ofv, abs=1e-6)
    assert fit.method == chain[-1]
    assert fit.conditional_means is None  # nothing of the method before


def test_importance_sampling_after_saem_stays_at_the_maximum(data):
    exact = pkpd.fit(intercept, data)
    both = pkpd.fit(intercept, data, [pkpd.SAEM(), pkpd.IMP(samples=1000)])
    off = (both.parameter_estimates - exact.parameter_estimates) / exact.standard_errors
    assert off.abs().max() < 0.1
    assert both.iterations.iloc[0][exact.parameter_estimates.index].to_numpy(float) == pytest.approx(
        both.parameter_estimates.to_numpy(), rel=0.1
    )  # it began there


def test_saem_keeps_a_fixed_block_and_estimates_the_others():
    """Two blocks with correlations, one of them fixed; FOCEI is exact for the linear model."""
    random = np.random.default_rng(6)
    n = 60
    blocks = [[1.0, 0.5], [0.5, 0.6]], [[0.3, 0.1], [0.1, 0.2]]
    eta = np.hstack([random.multivariate_normal([0, 0], block, n) for block in blocks])
    x = np.array([[1, *bits] for bits in np.ndindex(2, 2, 2)], dtype=float)
    y = (eta + np.array([5, 2, 1, 1])) @ x.T + 0.3 * random.standard_normal((n, len(x)))
    frame = pd.DataFrame(
        {"ID": np.repeat(np.arange(n) + 1, len(x)), "TIME": np.tile(np.arange(8.0), n), "EVID": 0}
    )
    frame["DV"] = y.ravel()
    for k in range(1, 4):
        frame[f"X{k}"] = np.tile(x[:, k], n)

    @pkpd.model
    def made(m):
        first = m.etas("A", "B", variance=[[1.0], [0.5, 0.6]], fixed=True)
        second = m.etas("C", "D", variance=[[1.0], [0.0, 1.0]])
        a, b, c, d = (m.theta(k, 1.0) + e for k, e in zip("ABCD", (*first, *second), strict=True))
        m.observe(
            "y",
            a + b * m.covariate("X1") + c * m.covariate("X2") + d * m.covariate("X3"),
            additive=m.sigma("SD", 0.5),
        )

    data = pkpd.read_dataset(frame)
    exact, fit = pkpd.fit(made, data), pkpd.fit(made, data, pkpd.SAEM())
    fixed = [n for n in fit.parameter_estimates.index if n.startswith("OMEGA(A") or n.startswith("OMEGA(B")]
    assert fit.parameter_estimates[fixed].to_list() == [1.0, 0.5, 0.6]
    off = ((fit.parameter_estimates - exact.parameter_estimates) / exact.standard_errors).drop(fixed)
    assert off.abs().max() < 0.3  # Monte-Carlo error of 500 iterations
    assert fit.standard_errors[fixed].isna().all()


# ----------------------------------------------------------------------------- thetas that enter mu as no closed form does


def test_saem_where_a_theta_enters_mu_nonlinearly():
    """Emax of a covariate in mu, a bounded theta, and one without a random effect; FOCEI is exact for it."""
    random = np.random.default_rng(11)
    n, t = 80, np.array([0.0, 1, 2, 3])
    dose = random.uniform(0, 10, n)
    level = 2 + 3 * dose / (2 + dose) + random.normal(0, 0.4, n)
    y = level[:, None] + 0.5 * t + 0.3 * random.standard_normal((n, 4))
    frame = pd.DataFrame(
        {"ID": np.repeat(np.arange(n) + 1, 4), "TIME": np.tile(t, n), "EVID": 0, "DV": y.ravel()}
    )
    frame["DOSE"] = np.repeat(dose, 4)

    @pkpd.model
    def made(m):
        x = m.covariate("DOSE")
        half = exp(m.theta("LEC50", 0.0, lower=-3, upper=3))
        a = m.theta("E0", 1.0) + m.theta("EMAX", 1.0, lower=0) * x / (half + x) + m.eta("E0", variance=1.0)
        m.observe("y", a + m.theta("B", 0.1, lower=0) * m.time, additive=m.sigma("SD", 1.0))

    data = pkpd.read_dataset(frame)
    exact, fit = pkpd.fit(made, data), pkpd.fit(made, data, pkpd.SAEM())
    assert "by Fisher scoring" in fit.termination_cause and "LEC50" in fit.termination_cause
    off = (fit.parameter_estimates - exact.parameter_estimates) / exact.standard_errors
    # LEC50 and E0 are strongly correlated and creep along their ridge: over 25 seeds E0, which spreads most, is 0.04 ± 0.09 off
    # (mean ± SD) and no parameter more than 0.21
    assert off.abs().max() < 0.35, off
