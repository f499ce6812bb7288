from __future__ import annotations

import pandas as pd
import pytest

from pkpd.errors import DataError, PlanError
from pkpd.study.plan import read_plan
from pkpd.study.subjects import counts_per_dose, read_data, response_rates, subject_table
from tests.study.test_plan import PLAN

RECORDS = [
    # ID TIME AMT EVID DV MDV CMT DOSE TUMOR STUDY ORR AE
    (1, 0, 100, 1, ".", 1, 1, 2, "lung", "A", 1, 0),
    (1, 1, ".", 0, 5.0, 0, 2, 2, "lung", "A", 1, 0),
    (1, 2, ".", 0, 4.0, 0, 2, 2, "lung", "A", 1, 0),
    (2, 0, 50, 1, ".", 1, 1, 1, "rare", "B", 0, "."),
    (2, 1, ".", 0, 3.0, 0, 2, 1, "rare", "B", 0, "."),
]
COLUMNS = ["ID", "TIME", "AMT", "EVID", "DV", "MDV", "CMT", "DOSE", "TUMOR", "STUDY", "ORR", "AE"]


@pytest.fixture
def make(tmp_path):
    def plan(frame=None, old="", new=""):
        frame = pd.DataFrame(RECORDS, columns=COLUMNS) if frame is None else frame
        frame.to_csv(tmp_path / "data.csv", index=False)
        (tmp_path / "model.py").write_text("")
        assert old in PLAN
        (tmp_path / "plan.toml").write_text(PLAN.replace(old, new) if old else PLAN)
        return read_plan(tmp_path / "plan.toml")

    return plan


def frame_with(column, values):
    frame = pd.DataFrame(RECORDS, columns=COLUMNS)
    frame[column] = values
    return frame


@pytest.mark.filterwarnings("error")
def test_one_row_per_subject_with_dose_endpoints_and_counts(make):
    plan = make(old="randomised = true", new='randomised = true\ncolumn = "DOSE"')
    table = subject_table(plan, read_data(plan))
    assert table["ID"].tolist() == [1, 2]
    assert table["histology"].tolist() == ["lung", "rare"]
    assert table["dose"].tolist() == [2.0, 1.0]
    assert table["ORR"].tolist() == [1, 0]
    assert table["AE"].isna().tolist() == [False, True]
    assert table["observations"].tolist() == [2, 1]
    assert counts_per_dose(table).to_dict("list") == {
        "histology": ["lung", "rare"],
        "dose": [2.0, 1.0],
        "subjects": [1, 1],
        "observations": [2, 1],
    }


def test_without_a_dose_column_the_first_amount_counts(make):
    plan = make()
    assert subject_table(plan, read_data(plan))["dose"].tolist() == [100.0, 50.0]


def test_alias_columns_and_restricted_covariates_are_kept(make):
    plan = make(
        old='reference = "lung"', new='reference = "lung"\naliases = ["STUDY"]\ncovariates = ["DOSE"]'
    )
    data = read_data(plan)
    assert subject_table(plan, data)["STUDY"].tolist() == ["A", "B"]
    assert set(data.covariates) == {"DOSE", "STUDY", "ORR", "AE"}


def test_histology_and_standard_columns_may_have_names_of_their_own(make):
    frame = pd.DataFrame(RECORDS, columns=COLUMNS)
    expected = subject_table(plan := make(frame), read_data(plan))
    named = 'reference = "lung"\nhistology = "SITE"\ncolumns = { DV = "CONC" }'
    plan = make(frame.rename(columns={"TUMOR": "SITE", "DV": "CONC"}), 'reference = "lung"', named)
    data = read_data(plan)
    assert data.frame.loc[data.frame["EVID"] == 0, "DV"].tolist() == [5.0, 4.0, 3.0]
    pd.testing.assert_frame_equal(subject_table(plan, data), expected)


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('reference = "lung"', 'reference = "Lung"', 7),
        ("{ rare = 0.1 }", "{ raer = 0.1 }", 45),
        (
            'source = "protocol"\n\n[p0]',
            'source = "protocol"\nsafety_by_histology = { raer = 0.1 }\n\n[p0]',
            42,
        ),
        ("randomised = true", "randomised = true\ntolerated = { raer = 1 }", 19),
    ],
)
def test_an_unknown_histology_is_named_with_its_line_and_those_that_exist(make, old, new, line):
    plan = make(old=old, new=new)
    with pytest.raises(PlanError, match=rf"E_HISTOLOGY_UNKNOWN: .*line {line}: histology '\w+'") as caught:
        read_data(plan)
    assert "The data have lung, rare." in str(caught.value)


@pytest.mark.parametrize(
    ("frame", "old", "new", "message"),
    [
        (None, 'column = "ORR"', 'column = "OR"', r"E_PLAN_COLUMN: .*line 28: the data have no column 'OR'"),
        (
            None,
            "randomised = true",
            'randomised = true\ncolumn = "DOSES"',
            r"E_PLAN_COLUMN: .*line 19: .*'DOSES'",
        ),
        (frame_with("ORR", [1, 1, 0, 0, 0]), "", "", r"E_SUBJECT_VARIES: .*'ORR' changes within ID 1"),
        (
            frame_with("ORR", [None] * 5),
            "",
            "",
            r"E_PLAN_OUTCOME: .*line 28: no patient at all has an outcome of ORR",
        ),
        (
            frame_with("ORR", [None, None, None, 0, 0]),
            "",
            "",
            r"E_PLAN_OUTCOME: .*line 28: no patient in the reference histology 'lung'",
        ),
        (
            frame_with("ORR", [2, 2, 2, 0, 0]),
            "",
            "",
            r"E_ENDPOINT_NOT_BINARY: .*line 28: column ORR: .*neither 0 nor 1 for ID 1 \(first value: 2",
        ),
        (None, 'column = "AE"', 'column = "STUDY"', r"E_ENDPOINT_NOT_BINARY: .*line 34: column STUDY: .*'A'"),
        (frame_with("TUMOR", ["lung"] * 5), "", "", r"E_PLAN_HISTOLOGIES: .*a single histology, lung"),
        (
            frame_with("DOSE", [0, 0, 0, 1, 1]),
            "randomised = true",
            'randomised = true\ncolumn = "DOSE"',
            r"E_DOSE_MISSING: .*no dose above 0 for ID 1\.",
        ),
    ],
)
def test_what_the_plan_says_of_the_columns_must_hold(make, frame, old, new, message):
    plan = make(frame, old, new)
    with pytest.raises(PlanError, match=message):
        subject_table(plan, read_data(plan))


def test_errors_of_the_file_itself_come_through(make):
    with pytest.raises(DataError, match="TIME"):
        read_data(make(frame_with("TIME", [0, 2, 1, 0, 1])))


def test_every_histology_but_the_reference_needs_a_declared_response_rate(make):
    assert response_rates(make(), ["lung", "rare", "breast"]) == {"rare": 0.1, "breast": 0.2}
    plan = make(old="default = 0.2\n", new="")
    assert response_rates(plan, ["lung", "rare"]) == {"rare": 0.1}
    with pytest.raises(PlanError, match=r"E_PLAN_P0: .*line 43: histology 'breast'"):
        response_rates(plan, ["lung", "breast"])
