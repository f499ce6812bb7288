"""Covariates that change within a subject: pieces between records, inputs at records and doses, places, predictions."""

from __future__ import annotations

import itertools
import math
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pkpd
from pkpd.errors import InputError, PkpdWarning
from pkpd.language import Solver, bind
from tests import naive

TIME = [0.0, 2.0, 5.0, 5.0, 9.0]
WT = [70.0, 80.0, 60.0, 65.0, 90.0]


def data(**columns):
    """One subject: a dose at 0 and at 5, samples at 2, 5 (before the dose) and 9."""
    frame = pd.DataFrame(
        {
            "ID": 1, "TIME": TIME, "AMT": [100.0, 0, 0, 100, 0], "EVID": [1, 0, 0, 1, 0], "MDV": [1, 0, 0, 1, 0],
            "DV": [np.nan, 3.0, 2.0, np.nan, 1.0], "WT": WT,
        }
    )  # fmt: skip
    for name, values in columns.items():
        frame[name] = values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        return pkpd.read_dataset(frame)


def oral(interpolation="nocb", **options):
    def define(m):
        wt = m.covariate("WT", interpolation=interpolation)
        cl = m.parameter("CL", m.theta("CL", 2.0) * pkpd.exp(m.eta("CL", variance=0.1)) * (wt / 70) ** 0.75)
        v = m.parameter("V", m.theta("V", 10.0) * wt / 70)
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -0.9 * depot)
        m.ode(central, 0.9 * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("SD", 1.0))

    return pkpd.model(define)


def pieces(problem):
    w = problem.inputs
    return w.time.tolist(), w.value[:, 0].tolist(), w.slope[:, 0].tolist()


@pytest.mark.parametrize(
    ("interpolation", "expected"),
    [
        # up to a record everything has its value; of two records at one time the first ends the way to it
        ("nocb", ([0.0, 2.0, 5.0], [80.0, 60.0, 90.0], [0.0] * 3)),
        ("locf", ([0.0, 2.0, 5.0, 9.0], [70.0, 80.0, 65.0, 90.0], [0.0] * 4)),
        ("midpoint", ([0.0, 1.0, 3.5, 5.0, 7.0], [70.0, 80.0, 60.0, 65.0, 90.0], [0.0] * 5)),
        ("linear", ([0.0, 2.0, 5.0, 9.0], [70.0, 80.0, 65.0, 90.0], [5.0, -20 / 3, 25 / 4, 0.0])),
    ],
)
def test_pieces_between_records(interpolation, expected):
    for got, wanted in zip(pieces(bind(oral(interpolation), data())), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-15)


@given(
    gaps=st.lists(st.sampled_from([0.0, 0.5, 1.0, 3.0]), min_size=1, max_size=6),
    numbers=st.lists(st.sampled_from([50.0, 60.0, 75.0]), min_size=7, max_size=7),
    interpolation=st.sampled_from(["nocb", "locf", "midpoint", "linear"]),
)
@settings(max_examples=60, deadline=None)
def test_pieces_are_the_covariate_between_any_records(gaps, numbers, interpolation):
    time = np.cumsum([0.0, *gaps])
    values = numbers[: len(time)]
    frame = pd.DataFrame(
        {"ID": 1, "TIME": time, "AMT": [1.0] + [0.0] * len(gaps), "EVID": [1] + [0] * len(gaps), "DV": 1.0, "WT": values}
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        problem = bind(oral(interpolation), pkpd.read_dataset(frame))
    if len(set(values)) == 1:
        assert problem.inputs.names == () and problem.structure.linear
        return
    # where the value jumps within one time, the way to it ends at the first and starts at the last record
    known = {t: [v for u, v in zip(time, values, strict=True) if u == t] for t in time}
    knots = sorted(known)
    for a, b in itertools.pairwise(knots):
        for share in (0.1, 0.49, 0.51, 0.9):
            t = a + share * (b - a)
            expected = naive.input_between(t, [a, b], [known[a][-1], known[b][0]], interpolation)
            np.testing.assert_allclose(
                problem.inputs.at(np.array([0, 1]), np.array([t]))[0, 0], expected, rtol=1e-14
            )
    assert problem.inputs.at(np.array([0, 1]), np.array([knots[-1] + 5.0]))[0, 0] == known[knots[-1]][-1]


def test_records_and_doses_have_their_own_values_whatever_the_interpolation():
    for interpolation in ("nocb", "locf", "midpoint", "linear"):
        problem = bind(oral(interpolation), data())
        assert problem.inputs.at_records[:, 0].tolist() == [80.0, 60.0, 90.0]
        assert problem.inputs.at_doses[:, 0].tolist() == [70.0, 65.0]
    additional = bind(oral(), data(ADDL=[3, 0, 0, 0, 0], II=[1.0, 0, 0, 0, 0]))
    assert additional.inputs.at_doses[:, 0].tolist() == [70.0] * 4 + [65.0]


def test_only_columns_that_vary_become_inputs():
    constant = bind(oral(), data(WT=[70.0] * 5))
    assert constant.inputs.names == () and constant.structure.linear and constant.n_slots == 2
    problem = bind(oral(), data())
    assert problem.inputs.describe() == "WT (nocb)"
    assert problem.structure.linear and not bind(oral("linear"), data()).structure.linear  # steps, lines
    assert problem.n_slots == 2  # CL/V at the weight 1, and 1/V of it


def test_generated_functions_read_the_inputs_behind_the_slots():
    problem = bind(oral(), data())
    functions, eta, wt = problem.functions, np.array([0.3]), 83.0
    p = np.zeros(problem.n_slots + 1)
    functions["parameters"](
        0, np.array([2.0, 10.0]), eta, problem.covariates[0], p, np.zeros((0, 0)), np.zeros((0, 0, 0))
    )
    p[-1] = wt
    x, dx, j = np.array([5.0, 7.0]), np.zeros(2), np.zeros((2, 2 + problem.n_slots + 1 + 1))
    functions["rates"](0.0, x, p, dx)
    k = 2.0 * math.exp(0.3) * (wt / 70) ** 0.75 / (10.0 * wt / 70)
    np.testing.assert_allclose(dx, [-4.5, 4.5 - k * 7.0], rtol=1e-14)
    functions["jacobian"](0.0, x, p, j)
    np.testing.assert_allclose(j[:, :2], [[-0.9, 0.0], [0.9, -k]], rtol=1e-14)
    np.testing.assert_allclose(j[1, 2:-2] @ p[: problem.n_slots], -k * 7.0, rtol=1e-14)
    np.testing.assert_allclose(j[1, -1], -k * 7.0 * -0.25 / wt, rtol=1e-13)  # k is as WT to the power -0.25
    g = np.zeros(1)
    functions["output"](0, 0, 0.0, x, p, g, np.zeros(0), np.zeros((0, 0)))
    np.testing.assert_allclose(g, 7.0 / (10.0 * wt / 70), rtol=1e-14)


def test_a_missing_value_is_carried_and_said():
    holes = data(WT=[np.nan, 80.0, np.nan, 65.0, np.nan])
    with pytest.warns(PkpdWarning, match="W_COVARIATE_CARRIED.*3 records of 1 subjects"):
        problem = bind(oral(), holes)
    assert problem.inputs.first.tolist() == [[80.0]]
    assert problem.inputs.at_records[:, 0].tolist() == [80.0, 80.0, 65.0]
    with pytest.raises(InputError, match=r"E_COVARIATE_MISSING.*ID 1"):
        bind(oral(), data(WT=[np.nan] * 5))
    # one hole in a column that is constant otherwise leaves it constant
    with pytest.warns(PkpdWarning, match="W_COVARIATE_CARRIED"):
        assert bind(oral(), data(WT=[70.0, np.nan, 70, 70, 70])).inputs.names == ()


def test_levels_of_a_factor_may_vary():
    def define(m):
        state = m.factor("STATE", reference="well")
        cl = m.parameter("CL", m.theta("CL", 2.0) * pkpd.exp(m.eta("CL", variance=0.1) + state.effect("CL")))
        central = m.compartment("central")
        m.ode(central, -cl / 10 * central)
        m.observe("cp", central / 10, additive=m.sigma("SD", 1.0))

    problem = bind(pkpd.model(define), data(STATE=["well", "ill", "ill", "well", "well"]))
    assert problem.inputs.names == ("STATE=ill",)
    assert problem.level_sizes == (1,)
    assert problem.inputs.at_records[:, 0].tolist() == [1.0, 1.0, 0.0]
    p, dx = np.zeros(problem.n_slots + 1), np.zeros(1)
    nothing = np.zeros((0, 0)), np.zeros((0, 0, 0))
    problem.functions["parameters"](
        0, np.array([2.0, 0.4]), np.array([0.1]), problem.covariates[0], p, *nothing
    )
    for ill in (0.0, 1.0):
        p[-1] = ill
        problem.functions["rates"](0.0, np.array([1.0]), p, dx)
        np.testing.assert_allclose(dx, -0.2 * math.exp(0.1 + 0.4 * ill), rtol=1e-14)


# ------------------------------------------------------------------------------ what the closed form can do with inputs


def with_events(m, wt):
    lag = m.parameter("LAG", m.theta("LAG", 0.5) * wt / 70)
    share = m.parameter("F", 1 / (1 + m.theta("F", 0.2) * wt / 70))
    return {"lag": lag, "bioavailability": share, "initial": m.theta("A0", 3.0) * wt / 70}


def model_of(events=with_events, output=lambda central, wt: central / 10):
    def define(m):
        wt = m.covariate("WT")
        central = m.compartment("central", **events(m, wt))
        m.ode(central, -0.3 * m.theta("K", 1.0) * central)
        m.observe("cp", output(central, wt), additive=m.sigma("SD", 1.0))

    return pkpd.model(define)


def predicted(events, t):
    """3·0.7 at the start would be 3·WT/70 at the first record; then each dose under the weight of its own record."""
    total = 3.0 * 70 / 70 * math.exp(-0.3 * t)
    for at, amount, wt in events:
        lag, share = 0.5 * wt / 70, 1 / (1 + 0.2 * wt / 70)
        total += share * amount * math.exp(-0.3 * (t - at - lag)) if t >= at + lag else 0.0
    return total / 10


def test_each_dose_has_the_lag_and_bioavailability_of_its_own_record():
    frame = data(ADDL=[2, 0, 0, 0, 0], II=[1.0, 0, 0, 0, 0])
    problem = bind(model_of(), frame)
    assert problem.structure.linear
    assert problem.places.of_doses.tolist() == [1, 1, 1, 2]  # one compartment, two further places
    assert problem.structure.event_slots.shape == (7, 3)
    f = pkpd.predict(model_of(), frame)["PRED"].to_numpy()
    events = [(0.0, 100, 70.0), (1.0, 100, 70.0), (2.0, 100, 70.0), (5.0, 100, 65.0)]
    np.testing.assert_allclose(f, [predicted(events, t) for t in (2.0, 5.0, 9.0)], rtol=1e-9)
    stepped = pkpd.predict(model_of(), frame, solver=Solver(kind="ode"))["PRED"]
    np.testing.assert_allclose(f, stepped, rtol=1e-7)


def test_other_doses_find_the_place_of_their_inputs_or_are_refused():
    problem = bind(model_of(), data())
    again = problem.with_records(problem.doses, problem.records)
    assert again.places.of_doses.tolist() == problem.places.of_doses.tolist()
    np.testing.assert_array_equal(again.inputs.at_records, problem.inputs.at_records)
    from dataclasses import replace

    with pytest.raises(InputError, match="E_DOSE_INPUTS"):
        problem.with_records(replace(problem.doses, time=np.array([0.0, 9.0])), problem.records)


def test_individual_parameters_are_those_of_the_first_record():
    from pkpd.language.scales import Scales
    from pkpd.simulation.prediction import individual_parameters

    problem = bind(oral(), data())
    values = Scales(problem).initial(problem)
    table = individual_parameters(problem, values, np.zeros((1, 1)))
    np.testing.assert_allclose(table.loc[1], [2.0, 10.0], rtol=1e-15)
    other = bind(oral(), data(WT=[35.0, *WT[1:]]))
    np.testing.assert_allclose(
        individual_parameters(other, values, np.zeros((1, 1))).loc[1], [2.0 * 0.5**0.75, 5.0], rtol=1e-14
    )
