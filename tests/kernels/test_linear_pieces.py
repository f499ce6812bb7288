"""The closed form with inputs that change within a subject, against mpmath's matrix exponential from change to change."""

from __future__ import annotations

import mpmath
import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.kernels import status
from pkpd.language import Solver, bind
from tests.kernels import twins
from tests.kernels.cases import solve_first

# records of the weight: NOCB, so that a value holds from the record before it
WEIGHTS = {0.0: 70.0, 6.0: 60.0, 13.0: 95.0, 20.0: 80.0, 31.0: 80.0}
DOSES = [(0.0, 100.0, 0, 0.0), (4.0, 60.0, 1, 12.0), (12.0, 50.0, 0, 0.0), (18.0, 40.0, 1, 10.0)]
TIMES = [0.0, 0.4, 3.0, 6.0, 7.7, 12.0, 14.0, 19.0, 25.0, 31.0]
CHANGES = (6.0, 13.0, 20.0)
VALUES = {"CL": 2.0, "V": 10.0, "KA": 0.9, "Q": 3.0, "LAG": 0.3, "F": 0.8, "R0": 1.5}


def covariates(m):
    """Weight enters clearance, volume and the constant input: K is not linear in the slots."""
    p = {n: m.parameter(n, m.eta(n, variance=1)) for n in VALUES}
    wt = m.covariate("WT")
    cl, v = p["CL"] * (wt / 70) ** 0.75, p["V"] * (wt / 70) + 1.0
    depot = m.compartment("depot", lag=p["LAG"], bioavailability=p["F"])
    central, peripheral = m.compartment("central", lag=p["LAG"]), m.compartment("peripheral")
    m.ode(depot, -p["KA"] * depot)
    m.ode(
        central, p["KA"] * depot - (cl + p["Q"]) / v * central + p["Q"] / 25 * peripheral + p["R0"] * wt / 70
    )
    m.ode(peripheral, p["Q"] / v * central - p["Q"] / 25 * peripheral)
    m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))


def frame():
    rows = [dict(TIME=t, EVID=1, AMT=a, RATE=r, CMT=c + 1, DV=np.nan) for t, a, c, r in DOSES] + [
        dict(TIME=t, EVID=0, AMT=0.0, RATE=0.0, CMT=2, DV=1.0) for t in TIMES
    ]
    rows += [dict(TIME=t, EVID=2, AMT=0.0, RATE=0.0, CMT=2, DV=np.nan) for t in WEIGHTS]
    rows.sort(key=lambda r: (r["TIME"], r["EVID"] != 1))
    table = pd.DataFrame(rows)
    table.insert(0, "ID", 1)
    # between the records of the weight each row carries the value that holds there
    known = np.array(list(WEIGHTS))
    table["WT"] = [WEIGHTS[known[np.searchsorted(known, t)]] for t in table["TIME"]]
    return table


def weight(t):
    known = sorted(WEIGHTS)
    return mpmath.mpf(next((WEIGHTS[k] for k in known if k >= t), WEIGHTS[known[-1]]))


def system(p, t):
    cl, v, ka, q, lag, f, r0 = p
    wt = weight(max(t, mpmath.mpf("1e-9"))) / 70
    cl, v = cl * wt ** mpmath.mpf("0.75"), v * wt + 1
    k = [[-ka, 0, 0], [ka, -(cl + q) / v, q / 25], [0, q / v, -q / 25]]
    return k, [0, r0 * wt, 0], [0, 0, 0], [lag, lag, 0], [f, 1, 1]


def output(p, x, t):
    return x[1] / (p[1] * weight(t) / 70 + 1)


def solve(problem, values, order=0):
    """Status, f, gradient and Hessian of the only subject to the etas, which are the parameters."""
    functions, count = problem.functions, len(problem.records.time)
    eta = np.array([values[e.name] for e in problem.model.etas])
    n, slots = len(eta), problem.n_slots
    p, dp, d2p = np.zeros(slots + len(problem.inputs.names)), np.zeros((slots, n)), np.zeros((slots, n, n))
    functions["parameters"](order, np.zeros(0), eta, problem.covariates[0], p, dp, d2p)
    f, f_p = np.zeros(count), np.zeros((count if order else 0, slots))
    f_pp = np.zeros((count if order > 1 else 0, slots, slots))
    code = solve_first(problem, order, p, f, f_p, f_pp)
    hessian = np.einsum("sa,ost,tb->oab", dp, f_pp, dp) if order > 1 else None
    return (
        code, f, f_p @ dp if order else None,
        hessian + np.einsum("os,sab->oab", f_p, d2p) if order > 1 else None,
    )  # fmt: skip


@pytest.fixture(scope="module")
def problem():
    return bind(pkpd.model(covariates), pkpd.read_dataset(frame()))


def test_a_system_whose_covariates_are_steps_goes_to_the_closed_form(problem):
    assert problem.structure.linear and problem.structure.inputs


def test_value_and_both_orders_of_derivatives_are_those_of_mpmath(problem):
    values = np.array(list(VALUES.values()))
    code, f, gradient, hessian = solve(problem, VALUES, 2)
    assert code == status.OK
    v = np.random.default_rng(4).uniform(0.3, 1, len(values)) * values
    exact = twins.directional(twins.linear(system, output, DOSES, TIMES, CHANGES), values, v)
    for ours, theirs in zip((f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * np.abs(theirs).max())


def test_the_stepper_finds_the_same(problem):
    """Both solvers read the same pieces, doses and records; the stepper's tolerance is 1e-9."""
    other = bind(pkpd.model(covariates), pkpd.read_dataset(frame()), Solver(kind="ode"))
    for ours, theirs in zip(solve(problem, VALUES, 2), solve(other, VALUES, 2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8 * np.abs(theirs).max())


def test_orders_agree_bit_by_bit(problem):
    results = [solve(problem, VALUES, order)[1] for order in range(3)]
    assert np.array_equal(results[0], results[1]) and np.array_equal(results[1], results[2])


def test_where_eigenvectors_are_no_use_the_matrix_exponential_sees_the_pieces():
    """KA equals CL/V in the second piece; without a peripheral compartment that is a Jordan block."""

    def model(m):
        p = {n: m.parameter(n, m.eta(n, variance=1)) for n in ("CL", "V", "KA")}
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -p["KA"] * depot)
        m.ode(central, p["KA"] * depot - p["CL"] / (p["V"] * m.covariate("WT")) * central)
        m.observe("cp", central / p["V"], additive=m.sigma("ADD", 1.0))

    table = frame()
    table["WT"] = np.where(table["TIME"] <= 6.0, 1.0, 2.0)
    values = {"CL": 4.0, "V": 10.0, "KA": 0.2}

    def jordan(p, t):
        cl, v, ka = p
        return [[-ka, 0], [ka, -cl / (v * (1 if t < 6 else 2))]], [0, 0], [0, 0], [0, 0], [1, 1]

    p = np.array(list(values.values()))
    code, f, gradient, hessian = solve(bind(pkpd.model(model), pkpd.read_dataset(table)), values, 2)
    assert code == status.OK
    v = np.array([1.0, -2.0, 0.1])
    twin = twins.linear(jordan, lambda p, x, t: x[1] / p[1], DOSES, TIMES, (6.0,))
    for ours, theirs in zip(
        (f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), twins.directional(twin, p, v), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * np.abs(theirs).max())


def test_a_covariate_on_lines_is_no_system_of_pieces():
    def model(m):
        central = m.compartment("central")
        wt = m.covariate("WT", interpolation="linear")
        m.ode(central, -m.parameter("K", m.eta("K", variance=1)) * wt * central)
        m.observe("cp", central, additive=m.sigma("ADD", 1.0))

    data = pkpd.read_dataset(frame().drop(columns="CMT"))
    assert not bind(pkpd.model(model), data).structure.linear
    with pytest.raises(pkpd.ModelError, match=r"E_MODEL_NOT_LINEAR.*vary on lines"):
        bind(pkpd.model(model), data, Solver("linear"))
