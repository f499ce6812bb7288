"""Which thetas are mu-referenced: found by derivatives, checked by shifting an eta in the compiled model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, expit, log, logit
from pkpd.language import bind
from pkpd.language.mu import mu_referencing
from tests.language.test_binding import quietly


def data(**columns):
    frame = pd.DataFrame(
        {
            "ID": np.repeat([1, 2, 3], 3), "TIME": [0.0, 1, 2] * 3, "AMT": [100.0, 0, 0] * 3, "EVID": [1, 0, 0] * 3,
            "MDV": [1, 0, 0] * 3, "DV": [np.nan, 3.0, 2.0] * 3, "WT": np.repeat([50.0, 70, 90], 3),
            "SEX": np.repeat(["M", "F", "F"], 3), "CRCL": np.arange(9.0) + 80, "OCC": [1, 1, 2] * 3,
        }
    )  # fmt: skip
    for name, values in columns.items():
        frame[name] = values
    return quietly(frame)


def bound(clearance, frame=None):
    def define(m):
        cl, eta_v = clearance(m), m.eta("V", variance=0.1)
        v = m.parameter("V", m.theta("V", 10.0, lower=0) * exp(eta_v))
        central = m.compartment("central")
        m.ode(central, -cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))

    return bind(pkpd.model(define), data() if frame is None else frame)


def tv(m, **k):
    return m.theta("CL", 2.0, **k)


def eta(m):
    return m.eta("CL", variance=0.1)


CASES = {
    "exp": (lambda m: m.parameter("CL", tv(m, lower=0) * exp(eta(m))), {"CL": "log"}),
    "exp of a sum": (lambda m: m.parameter("CL", exp(tv(m) + eta(m))), {"CL": "identity"}),
    "exp of a log": (lambda m: m.parameter("CL", exp(log(tv(m)) + eta(m))), {"CL": "log"}),
    "plain expression": (lambda m: tv(m) * exp(eta(m)), {"CL": "log"}),
    "additive": (lambda m: m.parameter("CL", tv(m) + eta(m)), {"CL": "identity"}),
    "logit of a theta": (
        lambda m: m.parameter("CL", 3 * expit(logit(m.theta("CL", 0.4, lower=0, upper=1)) + eta(m))),
        {"CL": "logit"},
    ),
    "expit of a sum": (lambda m: m.parameter("CL", expit(tv(m) + eta(m))), {"CL": "identity"}),
    "covariates": (
        lambda m: m.parameter(
            "CL",
            tv(m) * exp(eta(m) + m.factor("SEX", reference="M").effect("CL"))
            * (m.covariate("WT") / 70) ** m.theta("WT_CL", 0.75),
        ),
        {"CL": "log", "WT_CL": "identity", "CL(SEX=F)": "identity"},
    ),
    "through a parameter without an eta": (
        lambda m: m.parameter("CL", m.parameter("TVCL", tv(m) * m.covariate("WT") ** 0.75) * exp(eta(m))),
        {"CL": "log"},
    ),
    "scaled eta": (lambda m: m.parameter("CL", tv(m) * exp(0.5 * eta(m))), {"CL": "log"}),
    "branches": (
        lambda m: m.parameter("CL", pkpd.where(m.covariate("WT") > 60, 2, 1) * tv(m) * exp(eta(m))),
        {"CL": "log"},
    ),
    "a branch that a theta decides": (
        lambda m: m.parameter("CL", pkpd.where(m.theta("CUT", 60.0) > m.covariate("WT"), 2, 1) * tv(m) * exp(eta(m))),
        {"CL": "no random effect moves", "CUT": "no random effect moves"},
    ),
    "no eta": (lambda m: tv(m), {"CL": "no random effect"}),
    "two thetas that do not separate": (
        lambda m: m.parameter("CL", (tv(m) + m.theta("SLOPE", 0.1) * m.covariate("WT")) * exp(eta(m))),
        {"CL": "no random effect moves", "SLOPE": "no random effect moves"},
    ),
    "time-varying covariate": (
        lambda m: m.parameter("CL", tv(m) * exp(eta(m)) * (m.covariate("CRCL") / 90) ** m.theta("B", 0.5)),
        {"CL": "log", "B": "no random effect moves"},
    ),
    "occasions": (
        lambda m: m.parameter("CL", tv(m) * exp(eta(m) + m.iov("CL", variance=0.1))),
        {"CL": "log"},
    ),
    "eta of another shape": (
        lambda m: m.parameter("CL", tv(m) * exp((exp(0.3 * eta(m)) - 1) / 0.3)),
        {"CL": "no random effect moves"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_found(case):
    clearance, expected = CASES[case]
    problem = bound(clearance)
    found = mu_referencing(problem)
    said = {problem.thetas[r.theta].name: r.form for r in found.references}
    said |= {problem.thetas[t].name: why for t, why in found.others.items()}
    assert said.pop("V") == "log"
    assert said.keys() == expected.keys()
    for name, what in expected.items():
        assert said[name].startswith(what)


@pytest.mark.parametrize(
    "case", [c for c, (_, e) in CASES.items() if set(e.values()) <= {"log", "logit", "identity"}]
)
def test_a_theta_moves_the_model_as_its_eta_does(case):
    """The compiled slots are the same after a step in the theta and the opposite step x·(h(new) - h(old)) in the eta."""
    problem = bound(CASES[case][0])
    ne, nt = problem.n_eta, len(problem.thetas)
    theta = np.array([t.initial for t in problem.thetas])

    def slots(theta, etas):
        p, rest = np.zeros((problem.n_subjects, problem.n_slots)), (np.zeros((0, 0)), np.zeros((0, 0, 0)))
        for i in range(problem.n_subjects):
            problem.functions["parameters"](0, theta, etas[i], problem.covariates[i], p[i], *rest)
        return p

    etas = np.linspace(-0.3, 0.4, problem.n_subjects * ne).reshape(-1, ne)
    before = slots(theta, etas)
    for r in mu_referencing(problem).references:
        moved, shifted = theta.copy(), etas.copy()
        moved[r.theta] *= 1.2
        if moved[r.theta] == 0:
            moved[r.theta] = 0.3
        assert not np.allclose(slots(moved, etas), before)
        shifted[:, r.eta] -= r.x * (r.transformed(moved[r.theta]) - r.transformed(theta[r.theta]))
        np.testing.assert_allclose(slots(moved, shifted), before, rtol=1e-12)
        step = 1e-6 * max(1, abs(theta[r.theta]))
        slope = (r.transformed(theta[r.theta] + step) - r.transformed(theta[r.theta] - step)) / (2 * step)
        assert r.slope(theta[r.theta]) == pytest.approx(slope, rel=1e-7)
    assert nt == len(theta)


def test_a_shared_random_effect_is_no_reference():
    def define(m):
        shared = m.eta("SIZE", variance=0.1)
        cl = m.parameter("CL", m.theta("CL", 2.0) * exp(shared))
        v = m.parameter("V", m.theta("V", 10.0) * exp(shared))
        central = m.compartment("central")
        m.ode(central, -cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))

    found = mu_referencing(bind(pkpd.model(define), data()))
    assert not found.references
    assert len(found.others) == 2


def test_fixed_thetas_are_left_alone():
    found = mu_referencing(bound(lambda m: m.parameter("CL", tv(m, fixed=True) * exp(eta(m)))))
    assert [r.form for r in found.references] == ["log"]  # V alone
    assert not found.others
