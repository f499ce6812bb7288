"""A model meets its data: levels, columns, compartments, endpoints and doses are resolved, or named in an error."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import ModelError
from pkpd.language import Solver, bind


def records(**columns):
    """Two subjects: a dose, two samples each; ``columns`` replace or add whole columns of six."""
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 2, 2, 2], "TIME": [0.0, 1, 2] * 2, "AMT": [100.0, 0, 0, 50, 0, 0], "EVID": [1, 0, 0] * 2,
            "MDV": [1, 0, 0] * 2, "DV": [np.nan, 3.0, 2.0] * 2,
        }
    )  # fmt: skip
    for name, values in columns.items():
        frame[name] = values
    return quietly(frame)


def quietly(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.errors.PkpdWarning)  # the reader's own tests are about these
        return pkpd.read_dataset(frame)


def oral(change=lambda m, cl: cl, endpoints=1):
    def define(m):
        cl = m.parameter("CL", change(m, m.theta("CL", 2.0) * pkpd.exp(m.eta("CL", variance=0.1))))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -0.9 * depot)
        m.ode(central, 0.9 * depot - cl / 10 * central)
        sd = m.sigma("SD", 1.0)
        for k in range(endpoints):
            m.observe(f"y{k}", central * (k + 1), **({"additive": sd} if k == 0 else {"proportional": sd}))

    return pkpd.model(define)


def with_factor(m, cl, **options):
    return cl * pkpd.exp(m.factor("GROUP", **({"reference": "a"} | options)).effect("CL"))


def test_factor_levels_become_thetas_and_indicators():
    problem = bind(oral(with_factor), records(GROUP=["b"] * 3 + ["a"] * 3))
    assert [t.name for t in problem.thetas] == ["CL", "CL(GROUP=b)"]
    assert (problem.thetas[1].initial, problem.thetas[1].unit) == (0.0, "log ratio")
    assert problem.covariates.tolist() == [[1.0], [0.0]]
    f = pkpd.predict(oral(with_factor), records(GROUP=["b"] * 3 + ["a"] * 3), {"CL(GROUP=b)": np.log(2)})
    expected = [pkpd.predict(oral(), records(), {"CL": cl})["PRED"] for cl in (4.0, 2.0)]
    np.testing.assert_allclose(f["PRED"], [*expected[0][:2], *expected[1][2:]], rtol=1e-12)


def test_numbers_are_levels_as_they_are_written():
    for column in ([1.0] * 3 + [2.0] * 3, [1] * 3 + [2] * 3):
        problem = bind(oral(lambda m, cl: with_factor(m, cl, reference="1")), records(GROUP=column))
        assert problem.thetas[1].name == "CL(GROUP=2)"


def test_two_effects_of_a_factor_share_it():
    model = oral(lambda m, cl: with_factor(m, cl)).with_effect("CL", "SEX", reference="0")
    problem = bind(model, records(GROUP=["b"] * 3 + ["a"] * 3, SEX=[0] * 3 + [1] * 3))
    assert [t.name for t in problem.thetas] == ["CL", "CL(GROUP=b)", "CL(SEX=1)"]
    assert problem.covariates.tolist() == [[1.0, 0.0], [0.0, 1.0]]


@pytest.mark.parametrize(
    ("code", "words", "change", "columns"),
    [
        ("E_MODEL_REFERENCE", "'a' has no subject", with_factor, {"GROUP": ["b"] * 3 + ["c"] * 3}),
        (
            "E_MODEL_LEVEL",
            "'c' of the data",
            lambda m, cl: with_factor(m, cl, levels=["a", "b"]),
            {"GROUP": ["a"] * 3 + ["c"] * 3},
        ),
        (
            "E_MODEL_LEVEL",
            "no subject has level 'b'",
            lambda m, cl: with_factor(m, cl, levels=["a", "b"]),
            {"GROUP": ["a"] * 6},
        ),
        ("E_MODEL_COLUMN", "'GROUP'", with_factor, {}),
        ("E_COVARIATE_MISSING", "ID 2", with_factor, {"GROUP": ["a"] * 3 + [None] * 3}),
        ("E_MODEL_COLUMN", "'BODY_WT'", lambda m, cl: cl * m.covariate("BODY_WT"), {}),
        ("E_MODEL_COLUMN", "is text", lambda m, cl: cl * m.covariate("BODY_WT"), {"BODY_WT": ["x"] * 6}),
        (
            "E_COVARIATE_MISSING",
            "ID 1",
            lambda m, cl: cl * m.covariate("BODY_WT"),
            {"BODY_WT": [np.nan] * 3 + [70.0] * 3},
        ),
        (
            "E_MODEL_INTERPOLATION",
            "'spline'",
            lambda m, cl: cl * m.covariate("BODY_WT", interpolation="spline"),
            {"BODY_WT": [70.0] * 6},
        ),
        ("E_MODEL_CMT", "value 3", lambda m, cl: cl, {"CMT": [3, 2, 2] * 2}),
        ("E_MODEL_CMT", "value gut", lambda m, cl: cl, {"CMT": ["gut", "central", "central"] * 2}),
        ("E_MODEL_CMT", "row 3, ID 1, column CMT, value 3:", lambda m, cl: cl, {"CMT": [1, 3, 3] * 2}),
        (
            "E_MODEL_CMT",
            "row 3, ID 1, column CMT, value 5:",
            lambda m, cl: cl,
            {"CMT": [1, 5, 2] * 2, "EVID": [1, 2, 0] * 2, "MDV": [1, 1, 0] * 2},
        ),
        ("E_MODEL_DVID", "value 2", lambda m, cl: cl, {"DVID": [1, 1, 2] * 2}),
        (
            "E_MODEL_DVID",
            "row 4, ID 1, column DVID, value pca",
            lambda m, cl: cl,
            {"DVID": ["y0", "y0", "pca"] * 2},
        ),
    ],
)
def test_what_does_not_fit_is_named(code, words, change, columns):
    with pytest.raises(ModelError) as caught:
        bind(oral(change), records(**columns))
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.remedy


def test_observations_find_their_endpoint_by_number_and_by_name():
    named, numbered = records(DVID=[None, "y1", "y0"] * 2), records(DVID=[0, 2, 1] * 2)
    for data in (named, numbered):
        assert bind(oral(endpoints=2), data).records.endpoint.tolist() == [1, 0] * 2


def test_doses_find_their_compartment_by_number_and_by_name():
    first = bind(oral(), records()).doses.compartment
    assert first.tolist() == [0, 0]
    for column in ([2, 2, 2] * 2, ["central", "central", "central"] * 2):
        assert bind(oral(), records(CMT=column)).doses.compartment.tolist() == [1, 1]
    assert bind(oral(), records(CMT=[1, 2, 2, 0, 2, 2])).doses.compartment.tolist() == [0, 0]


def test_a_model_without_compartments_takes_no_doses_but_predicts():
    def define(m):
        e0 = m.parameter("E0", m.theta("E0", 3.0) + m.eta("E0", variance=1))
        m.observe("y", e0 - 0.5 * m.time, additive=m.sigma("SD", 1.0))

    model = pkpd.model(define)
    with pytest.raises(ModelError, match="E_MODEL_CMT"):
        bind(model, records())
    frame = pd.DataFrame(
        {"ID": [1, 1], "TIME": [0.0, 2.0], "DV": [3.0, 2.0], "EVID": [0, 0], "AMT": [0.0, 0.0]}
    )
    assert pkpd.predict(model, quietly(frame))["PRED"].tolist() == [3.0, 2.0]


def test_additional_doses_are_written_out():
    data = records(ADDL=[2, 0, 0, 0, 0, 0], II=[12.0, 0, 0, 0, 0, 0])
    doses = bind(oral(), data).doses
    assert doses.time.tolist() == [0.0, 12.0, 24.0, 0.0]
    assert doses.amount.tolist() == [100.0, 100.0, 100.0, 50.0]
    assert doses.row.tolist() == [0, 0, 0, 0]
    assert doses.offsets.tolist() == [0, 3, 4]
    single = pd.DataFrame(
        {
            "ID": 1, "TIME": [0.0, 12.0, 24.0, 30.0], "AMT": [100.0, 100, 100, 0], "EVID": [1, 1, 1, 0],
            "DV": [np.nan, np.nan, np.nan, 1.0],
        }
    )  # fmt: skip
    repeated = single.iloc[[0, 3]].assign(ADDL=[2, 0], II=[12.0, 0.0])
    a, b = (pkpd.predict(oral(), pkpd.read_dataset(x))["PRED"].to_numpy() for x in (single, repeated))
    assert np.array_equal(a, b)


def test_several_endpoints_are_read_by_dvid_with_their_own_errors():
    problem = bind(oral(endpoints=2), records(DVID=[1, 1, 2] * 2))
    assert problem.records.endpoint.tolist() == [0, 1, 0, 1]
    assert problem.residual.tolist() == [[0, -1, -1, 0, 0], [-1, 0, -1, 0, 0]]
    two = pkpd.predict(oral(endpoints=2), records(DVID=[1, 1, 2] * 2))["PRED"].to_numpy()
    one = pkpd.predict(oral(), records())["PRED"].to_numpy()
    np.testing.assert_allclose(two, one * [1, 2, 1, 2], rtol=1e-15)


def test_records_that_do_not_count_are_predicted_all_the_same():
    problem = bind(oral(), records(MDV=[1, 0, 1] * 2))
    assert problem.records.used.tolist() == [1, 0, 1, 0]
    assert np.all(np.isfinite(problem.records.value))


def test_the_solver_can_be_forced():
    data = records()
    assert bind(oral(), data).structure.linear
    assert not bind(oral(), data, Solver(kind="ode")).structure.linear
    closed, stepped = (pkpd.predict(oral(), data, solver=Solver(kind=k))["PRED"] for k in ("linear", "ode"))
    np.testing.assert_allclose(stepped, closed, rtol=1e-7)
    loose = pkpd.predict(oral(), data, solver=Solver(kind="ode", rtol=1e-3, atol=1e-3))["PRED"]
    assert 1e-9 < np.abs(loose / closed - 1).max() < 1e-2  # the tolerance is not ignored


def test_the_generated_text_is_the_same_for_the_same_model():
    """Compiled code is kept by the content of its text: a model that is traced again must find it."""
    data = records(GROUP=["b"] * 3 + ["a"] * 3)
    assert bind(oral(with_factor), data).source == bind(oral(with_factor), data).source


# ------------------------------------------------------------------------------------------ compartments off and on


def collected(**columns):
    """A dose, then a compartment (the second) emptied by a sample of it and another way, and turned on again."""
    frame = pd.DataFrame(
        {
            "ID": 1, "TIME": [0.0, 2, 4, 4, 6, 8, 9], "EVID": [1, 0, 0, 2, 2, 2, 0], "AMT": [100.0, 0, 0, 0, 0, 0, 0],
            "CMT": [1, 2, -2, 2, -2, 2, 2], "DV": 1.0, "MDV": [1, 0, 0, 1, 1, 1, 0],
        }
    )  # fmt: skip
    for name, values in columns.items():
        frame[name] = values
    return quietly(frame)


@pytest.mark.parametrize("named", [False, True])
def test_a_negative_compartment_is_turned_off_and_evid_2_turns_it_on(named):
    names = {1: "depot", 2: "central", -2: "-central"}
    columns = {"CMT": [names[c] for c in (1, 2, -2, 2, -2, 2, 2)]} if named else {}
    problem = bind(oral(), collected(**columns))
    doses = problem.doses
    assert doses.kind.tolist() == [0, 4, 5, 4, 5]
    assert doses.compartment.tolist() == [0, 1, 1, 1, 1]
    assert doses.time.tolist() == [0.0, 4.0, 4.0, 6.0, 8.0]
    # what is turned off by a sample is still seen by it, and by nothing that follows
    assert doses.row.tolist() == [0, 3, 3, 4, 5]
    assert problem.records.row.tolist() == [1, 2, 6]
    assert not problem.structure.linear
    with pytest.raises(ModelError, match="E_OFF_LINEAR"):
        bind(oral(), collected(**columns), Solver(kind="linear"))


def test_evid_2_says_nothing_of_a_compartment_that_is_never_off():
    problem = bind(oral(), collected(CMT=[1, 2, 2, 2, 2, 1, 2]))
    assert problem.doses.kind.tolist() == [0] and problem.structure.linear
    only_first = bind(oral(), collected(CMT=[1, 2, 2, 2, -1, 2, 2]))
    assert only_first.doses.kind.tolist() == [0, 4]


def test_what_is_not_known_while_a_compartment_is_off_is_refused():
    frame = collected().frame
    later = frame.iloc[[0]].assign(TIME=7.0, SS=1, II=2.0)
    with pytest.raises(ModelError, match=r"E_OFF_STEADY.*ID 1"):
        bind(oral(), quietly(pd.concat([frame.iloc[:5], later, frame.iloc[5:]]).drop(columns="ROW")))
    bind(
        oral(),
        quietly(pd.concat([frame.iloc[:6], later.assign(TIME=8.5), frame.iloc[6:]]).drop(columns="ROW")),
    )
    with pytest.raises(ModelError, match=r"E_MODEL_CMT.*-7"):
        bind(oral(), collected(CMT=[1, 2, 2, 2, -7, 2, 2]))
    with pytest.raises(pkpd.errors.DataError, match="E_CMT_NEGATIVE"):
        collected(CMT=[-1, 2, 2, 2, 2, 2, 2])


def test_a_switch_whose_time_changes_within_subjects_is_said_to_spoil_derivatives():
    def change(m, cl):
        return cl * pkpd.where(m.time < m.covariate("UNTIL"), 2.0, 1.0)

    def define(m):
        cl, c = (
            m.parameter("CL", m.theta("CL", 2.0) * pkpd.exp(m.eta("CL", variance=0.1))),
            m.compartment("c"),
        )
        m.ode(c, -change(m, cl) / 10 * c)
        m.observe("y", c, additive=m.sigma("SD", 1.0))

    model = pkpd.model(define)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(bind(model, records(UNTIL=[1.5] * 6)).structure.switches) == 1
    with pytest.warns(pkpd.errors.PkpdWarning, match="W_MODEL_SWITCH.*rate of c.*columns"):
        moving = bind(model, records(UNTIL=[1.5, 1.5, 2.5] * 2))
    assert not moving.structure.switches
