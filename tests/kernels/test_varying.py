"""Inputs that change within a subject, and compartments turned off and on, in the steppers: values and derivatives."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.kernels import status
from pkpd.language import Solver, bind
from tests import naive
from tests.kernels.cases import solve_first

NAMES = ("VM", "KM", "V", "KA", "LAG", "F")
VALUES = {"VM": 9.0, "KM": 2.0, "V": 10.0, "KA": 0.7, "LAG": 0.6, "F": 0.8}
INTERPOLATIONS = ("nocb", "locf", "linear", "midpoint")


@cache
def saturable(interpolation):
    """Saturable elimination that grows with weight; lag and bioavailability do not."""

    def define(m):
        wt = m.covariate("WT", interpolation=interpolation)
        p = {n: m.parameter(n, m.eta(n, variance=1)) for n in NAMES}
        depot = m.compartment("depot", lag=p["LAG"], bioavailability=p["F"])
        central = m.compartment("central", lag=p["LAG"], bioavailability=p["F"])
        m.ode(depot, -p["KA"] * depot)
        m.ode(central, p["KA"] * depot - p["VM"] * (wt / 70) ** 2 * central / (p["KM"] * p["V"] + central))
        m.observe("cp", central / p["V"] * (70 / wt), additive=m.sigma("ADD", 1.0))

    return pkpd.model(define)


def table(*records):
    rows = [
        {"ID": 1, "TIME": t, "EVID": e, "AMT": 0.0, "RATE": 0.0, "CMT": 1, "DV": 1.0 if e == 0 else np.nan}
        | more
        for t, e, more in records
    ]
    return pd.DataFrame(rows)


def bound(model, frame, **solver):
    return bind(model, pkpd.read_dataset(frame), Solver(**({"kind": "ode"} | solver)))


def solve(problem, values, order=0):
    """Status, f, gradient and Hessian of the only subject to the etas, which are the parameters."""
    eta = np.array([values[e.name] for e in problem.model.etas])
    n, slots, count = len(eta), problem.n_slots, len(problem.records.time)
    p = np.zeros(slots + len(problem.inputs.names))
    dp, d2p = np.zeros((slots, n)), np.zeros((slots, n, n))
    problem.functions["parameters"](order, np.zeros(0), eta, problem.covariates[0], p, dp, d2p)
    f, f_p = np.zeros(count), np.zeros((count if order else 0, slots))
    f_pp = np.zeros((count if order > 1 else 0, slots, slots))
    code = solve_first(problem, order, p, f, f_p, f_pp)
    gradient = f_p @ dp if order else None
    hessian = None
    if order > 1:
        hessian = np.einsum("sa,ost,tb->oab", dp, f_pp, dp) + np.einsum("os,sab->oab", f_p, d2p)
    return code, f, gradient, hessian


RECORDS = [
    (0.0, 1, {"AMT": 60.0, "WT": 70.0}),
    (0.9, 0, {"WT": 74.0}),
    (3.0, 1, {"AMT": 50.0, "RATE": 20.0, "CMT": 2, "WT": 90.0}),
    (4.0, 0, {"WT": 60.0}),
    (5.2, 0, {"WT": 55.0}),
    (7.0, 1, {"AMT": 40.0, "WT": 80.0}),
    (9.0, 0, {"WT": 95.0}),
    (14.0, 0, {"WT": 65.0}),
    (20.0, 0, {"WT": 65.0}),
]


def right_hand_side(t, x, wt):
    v = VALUES
    out = v["VM"] * (wt / 70) ** 2 * x[1] / (v["KM"] * v["V"] + x[1])
    infused = 20.0 if 3.6 < t < 3.6 + 0.8 * 50 / 20 else 0.0
    return [-v["KA"] * x[0], v["KA"] * x[0] - out + infused]


@pytest.mark.parametrize("kind", ["ode", "stiff"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_states_under_a_weight_that_changes(interpolation, kind):
    problem = bound(saturable(interpolation), table(*RECORDS), kind=kind)
    code, f, *_ = solve(problem, VALUES)
    assert code == status.OK
    knots, weights = [r[0] for r in RECORDS], [r[2]["WT"] for r in RECORDS]
    observed = [r[0] for r in RECORDS if r[1] == 0]
    # the doses of the depot arrive after their lag; that by infusion is in the right-hand side, whose edges are stops
    doses = [
        naive.Dose(0.6, 0.8 * 60.0),
        naive.Dose(7.6, 0.8 * 40.0),
        naive.Dose(3.6, 0.0),
        naive.Dose(5.6, 0.0),
    ]
    x = naive.simulate_varying(right_hand_side, [0.0, 0.0], doses, observed, knots, weights, interpolation)
    expected = x[:, 1] / VALUES["V"] * 70 / np.array([r[2]["WT"] for r in RECORDS if r[1] == 0])
    np.testing.assert_allclose(f, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["ode", "stiff"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_derivatives_under_a_weight_that_changes(interpolation, kind):
    """Against differences: of second order those across a lag need how the rates move with the input itself."""
    problem = bound(saturable(interpolation), table(*RECORDS), kind=kind, rtol=1e-11, atol=1e-13)
    code, _, gradient, hessian = solve(problem, VALUES, 2)
    assert code == status.OK
    for column, name in enumerate(NAMES):
        h = 1e-4 * VALUES[name]
        above, below = (solve(problem, VALUES | {name: VALUES[name] + s * h}, 1) for s in (1, -1))
        slope, curve = ((a - b) / (2 * h) for a, b in zip(above[1:3], below[1:3], strict=True))
        # truncation of the differences: (1e-4)²/6 of the third derivative, plus 1e-11/1e-4
        np.testing.assert_allclose(gradient[:, column], slope, rtol=0, atol=1e-6 * np.abs(slope).max())
        np.testing.assert_allclose(hessian[:, column], curve, rtol=0, atol=1e-5 * np.abs(curve).max())


def test_an_output_reads_the_inputs_of_its_record():
    """The weight of the last record enters its own prediction; under locf nothing else."""
    other = [*RECORDS[:-1], (20.0, 0, {"WT": 130.0})]
    f, g = (solve(bound(saturable("locf"), table(*records)), VALUES)[1] for records in (RECORDS, other))
    assert g[-1] == pytest.approx(f[-1] * 65 / 130, rel=1e-12)
    assert np.array_equal(f[:-1], g[:-1])


# ------------------------------------------------------------------------------------------------ turned off and on


@pkpd.model
def collected(m):
    """Plasma and what is collected of it in urine."""
    k, r, v = (m.parameter(n, m.eta(n, variance=1)) for n in ("K", "R", "V"))
    plasma = m.compartment("plasma", initial=r)
    urine = m.compartment("urine")
    m.ode(plasma, -k * plasma + 0.1 * urine * plasma / (1 + plasma))
    m.ode(urine, k * plasma - 0.1 * urine * plasma / (1 + plasma))
    m.observe("cp", plasma / v, additive=m.sigma("ADD", 1.0))
    m.observe("ue", urine, additive="ADD")


OFF = [
    (0.0, 1, {"AMT": 50.0}),
    (1.0, 1, {"AMT": 40.0, "RATE": 5.0, "CMT": 2}),  # runs to 9 h, but for the compartment being turned off
    (2.0, 0, {"DVID": 2}),
    (3.0, 0, {"DVID": 2}),
    (3.0, 2, {"CMT": -2}),
    (4.0, 0, {"DVID": 2}),
    (5.0, 0, {"DVID": 1}),
    (6.0, 2, {"CMT": 2}),
    (8.0, 0, {"DVID": 2}),
    (9.5, 0, {"DVID": 2}),
    (10.0, 2, {"CMT": -1}),
    (10.0, 2, {"CMT": -2}),
    (11.0, 1, {"AMT": 20.0}),
    (12.0, 0, {"DVID": 1}),
    (13.0, 0, {"DVID": 2}),
]
LIVE = {"K": 0.3, "R": 6.0, "V": 4.0}


def collected_states():
    """Both compartments by DOP853 in the pieces that the records make."""

    def rates(on, infused):
        def rhs(t, x):
            back = 0.1 * x[1] * x[0] / (1 + x[0])
            full = np.array([-0.3 * x[0] + back, 0.3 * x[0] - back + infused])
            return full * on

        return rhs

    def go(x, rhs, start, times):
        return naive.simulate_ode(rhs, x, [], times, start=start)

    out = {}
    x = go([56.0, 0.0], rates([1, 1], 0.0), 0.0, [1.0])[-1]
    out[2.0], out[3.0] = go(x, rates([1, 1], 5.0), 1.0, [2.0, 3.0])
    out[4.0], out[5.0], x = go([out[3.0][0], 0.0], rates([1, 0], 0.0), 3.0, [4.0, 5.0, 6.0])
    out[8.0], out[9.5], x = go(x, rates([1, 1], 0.0), 6.0, [8.0, 9.5, 10.0])
    out[12.0], out[13.0] = go([20.0, 0.0], rates([1, 0], 0.0), 11.0, [12.0, 13.0])
    return out


@pytest.mark.parametrize("kind", ["ode", "stiff"])
def test_a_compartment_that_is_off_holds_nothing_and_takes_nothing(kind):
    frame = table(*OFF)
    frame["DVID"] = frame["DVID"].fillna(1).astype(int)
    code, f, *_ = solve(bound(collected, frame, kind=kind), LIVE)
    assert code == status.OK
    states = collected_states()
    expected = [
        states[t][1] if more["DVID"] == 2 else states[t][0] / 4.0 for t, event, more in OFF if event == 0
    ]
    assert expected[2] == f[2] == 0.0
    np.testing.assert_allclose(f, expected, rtol=1e-7, atol=1e-9)


def test_derivatives_across_a_compartment_turned_off():
    frame = table(*OFF)
    frame["DVID"] = frame["DVID"].fillna(1).astype(int)
    # a difference divides what the stepper leaves by 2e-4
    problem = bound(collected, frame, rtol=1e-12, atol=1e-14)
    gradient, hessian = solve(problem, LIVE, 2)[2:]
    for column, name in enumerate(LIVE):
        h = 1e-4 * LIVE[name]
        above, below = (solve(problem, LIVE | {name: LIVE[name] + s * h}, 1) for s in (1, -1))
        np.testing.assert_allclose(gradient[:, column], (above[1] - below[1]) / (2 * h), rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(hessian[:, column], (above[2] - below[2]) / (2 * h), rtol=1e-5, atol=1e-6)
