"""Residual errors that are correlated, between endpoints and in time: against multivariate normal densities by numpy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests import naive
from tests.population.test_laplace import brute_force
from tests.population.test_methods import slopes
from tests.population.test_objective import check_gradient
from tests.population.test_recovery import check

OMEGA = np.array([[0.2, 0.05, 0.0], [0.05, 0.1, 0.0], [0.0, 0.0, 0.3]])
TIMES = np.array([1.0, 3.0, 6.0, 12.0, 20.0])
SIGMA = {"PK": 0.2, "ADD": 0.3, "PD": 1.5}
RHO, RATE = 0.6, 0.15


def made(kind, etas=3):
    """PK with a bolus, and a PD that falls with the concentration; correlated ("pair"), or each in time ("time")."""

    @pkpd.model
    def joint(m):
        """Two endpoints."""
        names = ("CL", "V", "IC50")[:etas]
        eta = m.etas(*names, variance=[list(OMEGA[i, : i + 1]) for i in range(etas)])
        eta = (*eta, *[0.0] * (3 - etas))
        cl, v, ic = (
            m.parameter(n, m.theta(n, x, lower=0) * exp(e))
            for n, x, e in zip(("CL", "V", "IC50"), (2.0, 20.0, 2.0), eta, strict=True)
        )
        central = m.compartment("central")
        m.ode(central, -cl / v * central)
        c = central / v
        in_time = [m.decay(f"R{k}", RATE * k) for k in (1, 2)] if kind == "time" else [None, None]
        log = "log" if kind == "log pair" else None
        error = {"additive": m.sigma("ADD", SIGMA["ADD"])}
        if not log:
            error["proportional"] = m.sigma("PK", SIGMA["PK"])
        m.observe("pk", c, **error, ar1=in_time[0], transform=log)
        m.observe("pd", 20 / (1 + c / ic), additive=m.sigma("PD", SIGMA["PD"]), ar1=in_time[1])
        if kind.endswith("pair"):
            m.correlate("pk", "pd", RHO)

    return joint


def predicted(e):
    cl, v, ic = np.array([2.0, 20.0, 2.0]) * np.exp(np.concatenate([e, np.zeros(3 - len(e))]))
    c = 100 / v * np.exp(-cl / v * TIMES)
    return np.concatenate([c, 20 / (1 + c / ic)])


def spread(kind, f):
    """Residual covariance at predictions (PK of all times, then PD)."""
    n = len(TIMES)
    pk = np.full(n, SIGMA["ADD"]) if kind == "log pair" else np.hypot(SIGMA["ADD"], SIGMA["PK"] * f[:n])
    sd = np.concatenate([pk, np.full(n, SIGMA["PD"])])
    c = np.eye(2 * n)
    if kind == "time":
        gap = np.abs(TIMES[:, None] - TIMES)
        c[:n, :n], c[n:, n:] = np.exp(-RATE * gap), np.exp(-2 * RATE * gap)
    else:
        c[np.arange(n), np.arange(n) + n] = c[np.arange(n) + n, np.arange(n)] = RHO
    return c * np.outer(sd, sd)


def on_scale(kind, f):
    return np.concatenate([np.log(f[: len(TIMES)]), f[len(TIMES) :]]) if kind == "log pair" else f


def table(n, seed, kind):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        f = predicted(np.linalg.cholesky(OMEGA) @ rng.standard_normal(3))
        y = on_scale(kind, f) + np.linalg.cholesky(spread(kind, f)) @ rng.standard_normal(len(f))
        y = np.concatenate([np.exp(y[: len(TIMES)]), y[len(TIMES) :]]) if kind == "log pair" else y
        rows.append((i + 1, 0.0, 1, 100.0, np.nan, 1))
        rows += [
            (i + 1, t, 0, 0.0, y[k + d * len(TIMES)], d + 1) for k, t in enumerate(TIMES) for d in (0, 1)
        ]
    return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "DVID"])


def values(own):
    seen = own[own.EVID == 0]
    return np.concatenate([seen.DV[d == seen.DVID].to_numpy() for d in (1, 2)])


def density(kind, y, f, at):
    r = spread(kind, at)
    e = on_scale(kind, y) - on_scale(kind, f)
    return e @ np.linalg.solve(r, e) + np.linalg.slogdet(r)[1]


def by_formula(kind, method, y, eta):
    """The objective at ``eta`` by the formulas of the methods, for a residual covariance R that is no diagonal."""
    inverse, zero = np.linalg.inv(OMEGA), np.zeros(3)
    if method is pkpd.FO:
        a = slopes(lambda e: on_scale(kind, predicted(e)), zero)
        r = a @ OMEGA @ a.T + spread(kind, predicted(zero))
        e = on_scale(kind, y) - on_scale(kind, predicted(zero))
        return e @ np.linalg.solve(r, e) + np.linalg.slogdet(r)[1]
    fixed = method is pkpd.FOCE

    def inner(e):
        f = predicted(e)
        return density(kind, y, f, predicted(zero) if fixed else f) + e @ inverse @ e

    assert np.all(np.abs(slopes(lambda e: np.array([inner(e)]), eta)) < 1e-6)
    if method is pkpd.Laplace:
        h = naive.second_differences(inner, eta) / 2
    else:
        f = predicted(eta)
        r = np.linalg.inv(spread(kind, predicted(zero) if fixed else f))
        a = slopes(lambda e: on_scale(kind, predicted(e)), eta)
        h = inverse + a.T @ r @ a
        if not fixed:  # ½ of ½ tr(R⁻¹ ∂R R⁻¹ ∂R): H is half of a Hessian
            d = slopes(lambda e: spread(kind, predicted(e)).ravel(), eta).reshape(len(y), len(y), 3)
            rd = np.einsum("ij,jkp->ikp", r, d)
            h = h + 0.5 * np.einsum("ijp,jiq->pq", rd, rd)
    return inner(eta) + np.linalg.slogdet(OMEGA)[1] + np.linalg.slogdet(h)[1]


KINDS = ["pair", "log pair", "time"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [pkpd.FO, pkpd.FOCE, pkpd.FOCEI, pkpd.Laplace])
def test_objective(method, kind):
    frame = table(3, 7, kind)
    found = pkpd.evaluate(made(kind), pkpd.read_dataset(frame), method=method())
    for identity, own in frame.groupby("ID"):
        eta = found.individual_estimates.loc[identity].to_numpy()
        value = by_formula(kind, method, values(own), eta)
        assert found.individual_ofv[identity] == pytest.approx(value, abs=2e-6)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "method", [pkpd.FO(), pkpd.FOCE(), pkpd.FOCEI(), pkpd.Laplace(), pkpd.AGQ(nodes=3)],
    ids=["FO", "FOCE", "FOCEI", "Laplace", "AGQ"],
)  # fmt: skip
def test_gradient(method, kind):
    point = {"CL": 2.5, "V": 18.0, "SD(PD)": 1.2, "SD(ADD)": 0.35, "OMEGA(CL,V)": 0.02}
    point |= {"AR1(R1)": 0.2, "AR1(R2)": 0.1} if kind == "time" else {"CORR(pk,pd)": -0.3}
    check_gradient(made(kind), pkpd.read_dataset(table(3, 7, kind)), [point], method=method)


@pytest.mark.parametrize("kind", KINDS)
def test_quadrature_is_the_integral(kind):
    frame = table(2, 3, kind)
    found = pkpd.evaluate(made(kind, etas=2), pkpd.read_dataset(frame), method=pkpd.AGQ(nodes=30))
    for identity, own in frame.groupby("ID"):
        y = values(own)

        def phi(e, y=y):
            f = predicted(e)
            return density(kind, y, f, f)

        exact = brute_force(phi, OMEGA[:2, :2], points=161)
        assert found.individual_ofv[identity] == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("kind", ["pair", "time"])
def test_simulated_errors_are_correlated(kind):
    data = pkpd.read_dataset(table(1, 3, kind))
    model = made(kind, etas=1).replace(omega={"CL": 1e-12})
    drawn = pkpd.simulate(model, data, replicates=4000, seed=5)
    wide = drawn.assign(E=drawn.DV - drawn.IPRED).pivot_table("E", index="REP", columns=["DVID", "TIME"])
    expected = spread(kind, predicted(np.zeros(3)))
    sd = np.sqrt(np.diag(expected))
    # the standard error of a correlation is at most 1/√4000
    np.testing.assert_allclose(
        np.cov(wide.to_numpy().T) / np.outer(sd, sd), expected / np.outer(sd, sd), atol=0.07
    )


@pytest.mark.parametrize("kind", ["pair", "time"])
def test_conditional_weighted_residuals(kind):
    frame = table(3, 7, kind)
    data = pkpd.read_dataset(frame)
    fit = pkpd.fit(made(kind), data, pkpd.FOCEI(max_iterations=0, covariance=None))
    for identity, own in frame.groupby("ID"):
        eta = fit.individual_estimates.loc[identity].to_numpy()
        a, f = slopes(predicted, eta), predicted(eta)
        w, q = np.linalg.eigh(a @ OMEGA @ a.T + spread(kind, f))
        expected = q @ np.diag(w**-0.5) @ q.T @ (values(own) - (f - a @ eta))
        found = fit.residuals[identity == fit.residuals.ID].sort_values("DVID", kind="stable").CWRES
        np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["pair", "time"])
@pytest.mark.parametrize(
    "method", [pkpd.FOCEI(), pkpd.Laplace(), pkpd.SAEM()], ids=["FOCEI", "Laplace", "SAEM"]
)
@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
def test_what_was_simulated_is_recovered(method, kind):
    start = {"CL": 2.5, "V": 17.0, "IC50": 1.5, "SD(PD)": 1.0, "OMEGA(CL,CL)": 0.3}
    start |= {"AR1(R1)": 0.4, "AR1(R2)": 0.4} if kind == "time" else {"CORR(pk,pd)": 0.0}
    fit = pkpd.fit(made(kind), pkpd.read_dataset(table(80, 21, kind)), method, start=start)
    truth = {"CL": 2.0, "V": 20.0, "IC50": 2.0, "OMEGA(V,V)": 0.1, "OMEGA(V,CL)": 0.05, "SD(PD)": 1.5}
    check(fit, truth | ({"AR1(R1)": RATE, "AR1(R2)": 2 * RATE} if kind == "time" else {"CORR(pk,pd)": RHO}))


def test_two_stage_fits_refuse():
    with pytest.raises(pkpd.InputError, match=r"E_METHOD_CORRELATED"):
        pkpd.fit(made("pair"), pkpd.read_dataset(table(6, 7, "pair")), pkpd.TwoStage())


def test_records_that_correlation_cannot_take_are_refused():
    frame = table(1, 7, "pair").assign(CENS=0)
    frame.loc[3, "CENS"] = 1
    data = pkpd.read_dataset(frame)
    with pytest.raises(pkpd.InputError, match=r"E_CORRELATED_CENSORED.*ID 1, TIME 3.*pk"):
        pkpd.evaluate(made("pair"), data)
    pkpd.evaluate(made("pair"), data, method=pkpd.FOCEI(blq="M1"))
    frame = table(1, 7, "time")
    frame.loc[3, "TIME"] = 1.0
    with pytest.raises(pkpd.InputError, match=r"E_AR1_TIMES.*ID 1, TIME 1"):
        pkpd.evaluate(made("time"), pkpd.read_dataset(frame.sort_values("TIME", kind="stable")))


@pytest.mark.parametrize(
    ("declare", "code"),
    [
        (lambda m, a, b: m.correlate(a, "nobody", 0.1), "E_MODEL_RESIDUAL.*'nobody'"),
        (lambda m, a, b: m.correlate(a, a, 0.1), "E_MODEL_RESIDUAL.*ar1="),
        (lambda m, a, b: m.correlate(a, b, 1.0), r"E_MODEL_VALUE.*\(-1, 1\)"),
        (lambda m, a, b: [m.correlate(a, b, 0.1), m.correlate(b, a, 0.1)], "E_MODEL_RESIDUAL.*twice"),
        (lambda m, a, b: m.decay("R", -1.0), "E_MODEL_VALUE"),
        (lambda m, a, b: m.decay("R", 1.0), "E_MODEL_UNUSED.*sigma R"),
    ],
)
def test_impossible_correlations_are_refused(declare, code):
    def define(m):
        for name in ("a", "b"):
            m.observe(name, m.theta(name, 1.0), additive=m.sigma(name, 0.5))
        declare(m, "a", "b")

    with pytest.raises(pkpd.ModelError, match=code):
        pkpd.model(define)


def test_three_correlations_must_make_a_matrix():
    def define(m, last):
        for name in "abc":
            m.observe(name, m.theta(name, 1.0), additive=m.sigma(name, 0.5))
        for pair, rho in (("ab", 0.9), ("bc", 0.9), ("ac", last)):
            m.correlate(*pair, rho)

    with pytest.raises(pkpd.ModelError, match="make no correlation matrix"):
        pkpd.model(lambda m: define(m, 0.1))
    model = pkpd.model(lambda m: define(m, 0.8))
    assert r"\mathrm{Cor}(\varepsilon_{\mathrm{a}}(t), \varepsilon_{\mathrm{c}}(t))" in " ".join(
        model.equations()
    )
    for write in (model.to_nlmixr2, lambda: model.to_nonmem(["ID", "TIME", "DV", "DVID"])):
        with pytest.raises(pkpd.ModelError, match=r"E_EXPORT.*correlated"):
            write()
