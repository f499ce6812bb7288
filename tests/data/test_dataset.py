"""The data set as a value: subjects as slices, selection, added columns, tables about it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.results import from_json, to_json


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "ID": ["b", "b", "b", "a", "a", "c", "c"],
            "TIME": [0.0, 1, 2, 0, 3, 0, 4],
            "AMT": [100.0, 0, 0, 50, 0, 25, 0],
            "EVID": [1, 0, 0, 1, 0, 1, 0],
            "MDV": [1, 0, 1, 1, 0, 1, 0],
            "ADDL": [2, 0, 0, 0, 0, 0, 0],
            "II": [12.0, 0, 0, 0, 0, 0, 0],
            "DV": [np.nan, 5.0, np.nan, np.nan, 3.0, np.nan, 2.0],
            "TUMOR": ["lung", "lung", "lung", "skin", "skin", "lung", "lung"],
            "WT": [70.0, 70, 71, 60, 60, np.nan, np.nan],
            "SEX": ["F", "F", "F", "M", "M", None, None],
        }
    )


@pytest.fixture
def data(frame: pd.DataFrame) -> pkpd.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.read_dataset(frame, units={"TIME": "h", "DV": "mg/L", "WT": "kg"})


def test_fields(data: pkpd.Dataset) -> None:
    names = "ROW ID TIME EVID MDV AMT RATE II ADDL CMT DVID DV SS CENS LIMIT LLOQ WT SEX TUMOR"
    assert list(data.frame.columns) == names.split()
    assert data.subjects.tolist() == ["b", "a", "c"]
    assert data.offsets.tolist() == [0, 3, 5, 7] and data.offsets.dtype == np.int64
    assert data.covariates == ("WT", "SEX") and data.histology == "TUMOR"
    assert (data.n_subjects, data.n_observations, data.n_doses) == (3, 3, 5)
    for i, label in enumerate(data.subjects):
        assert set(data.frame["ID"].iloc[data.offsets[i] : data.offsets[i + 1]]) == {label}
    for name in ("TIME", "AMT", "RATE", "II", "DV", "WT", "CMT"):
        assert data.frame[name].dtype == np.float64
    for name in ("ROW", "EVID", "MDV", "ADDL", "DVID"):
        assert data.frame[name].dtype == np.int64
    with pytest.raises(AttributeError):
        data.source = "other"  # type: ignore[misc]


def test_tables(data: pkpd.Dataset) -> None:
    expected = pd.DataFrame(
        {"subjects": [2, 1], "observations": [2, 1], "blq": [0, 0], "doses": [4, 1], "rows": [5, 2]},
        index=pd.Index(["lung", "skin"], name="histology"),
    )
    pd.testing.assert_frame_equal(data.summary(), expected, check_index_type=False)
    table = data.subject_table()
    assert table.index.tolist() == ["b", "a", "c"] and table.index.name == "ID"
    assert list(table.columns) == ["WT", "SEX", "TUMOR"]
    assert table.loc["b", "WT"] == 70 and table.loc["a", "SEX"] == "M" and np.isnan(table.loc["c", "WT"])
    text = repr(data)
    for part in ("3 subjects", "3 observations", "5 doses", "DV in mg/L", "WT (kg)", "lung 2, skin 1"):
        assert part in text


def test_summary_without_histology(frame: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        data = pkpd.read_dataset(frame.drop(columns="TUMOR"))
    assert data.histology is None
    assert data.summary().to_dict("index") == {
        "all": {"subjects": 3, "observations": 3, "blq": 0, "doses": 5, "rows": 7}
    }


def test_histology_is_text_and_may_have_any_name(frame: pd.DataFrame) -> None:
    frame = frame.rename(columns={"TUMOR": "Site"}).assign(Site=[1, 1, 1, 2, 2, 1, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        data = pkpd.read_dataset(frame, histology="Site")
        assert pkpd.read_dataset(frame.rename(columns={"Site": "Tumor"})).histology == "Tumor"
        assert pkpd.read_dataset(frame, histology=None).covariates == ("Site", "WT", "SEX")
    assert data.histology == "Site" and data.frame["Site"].tolist() == ["1", "1", "1", "2", "2", "1", "1"]


def test_covariates_can_be_restricted(frame: pd.DataFrame) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # SEX and WT, which have gaps, are not read
        data = pkpd.read_dataset(frame, covariates=[])
        some = pkpd.load_dataset("pantumor", covariates=["WT"])
    assert data.covariates == () and "WT" not in data.frame and data.histology == "TUMOR"
    assert some.units == {"TIME": "h", "AMT": "mg", "DV": "ng/mL", "II": "h", "WT": "kg"}


def test_select_keeps_order_and_records(data: pkpd.Dataset) -> None:
    some = data.select(["c", "b"])
    assert some.subjects.tolist() == ["c", "b"] and some.offsets.tolist() == [0, 2, 5]
    assert some.frame["ROW"].tolist() == [7, 8, 2, 3, 4]
    assert some.frame.index.tolist() == [0, 1, 2, 3, 4]
    pd.testing.assert_frame_equal(data.select(list(data.subjects)).frame, data.frame)
    assert some.sha256 != data.sha256 and some.units == data.units


def test_select_may_repeat_subjects(data: pkpd.Dataset) -> None:
    twice = data.select(["a", "b", "a", "a"])
    assert twice.subjects.tolist() == ["a", "b", "a#2", "a#3"]
    assert twice.frame["ID"].tolist() == ["a", "a", "b", "b", "b", "a#2", "a#2", "a#3", "a#3"]
    assert twice.n_observations == 4
    named = data.select(["a", "a"], ids=[1, 2])
    assert named.subjects.tolist() == [1, 2] and named.frame["ID"].dtype == np.int64
    whole = pkpd.load_dataset("theophylline").select([3, 12, 3, 3])
    assert whole.subjects.tolist() == [3, 12, 13, 14] and whole.n_observations == 44


@pytest.mark.parametrize(
    ("subjects", "ids", "code"),
    [
        (["z"], None, "E_UNKNOWN_ID"),
        ([], None, "E_UNKNOWN_ID"),
        (["a", "a"], [1, 1], "E_IDS"),
        (["a"], [1, 2], "E_IDS"),
    ],
)
def test_select_refuses(data: pkpd.Dataset, subjects: list, ids: list | None, code: str) -> None:
    with pytest.raises(pkpd.InputError, match=code):
        data.select(subjects, ids=ids)


def test_with_columns(data: pkpd.Dataset) -> None:
    table = pd.DataFrame({"AUC": [1, 2, 3, 9], "ARM": ["x", "y", None, "q"]}, index=["a", "b", "c", "unused"])
    more = data.with_columns(table)
    assert more.covariates == ("WT", "SEX", "AUC", "ARM")
    assert more.frame["AUC"].tolist() == [2, 2, 2, 1, 1, 3, 3] and more.frame["AUC"].dtype == np.float64
    assert more.subject_table().loc["b", "ARM"] == "y" and pd.isna(more.subject_table().loc["c", "ARM"])
    assert "AUC" not in data.frame and more.sha256 != data.sha256


@pytest.mark.parametrize(
    ("table", "code"),
    [
        (pd.DataFrame({"AUC": [1.0, 2.0]}, index=["a", "b"]), "E_TABLE_IDS"),
        (pd.DataFrame({"AUC": [1.0, 2, 3, 4]}, index=["a", "b", "c", "a"]), "E_TABLE_IDS"),
        (pd.DataFrame({"WT": [1.0, 2, 3]}, index=["a", "b", "c"]), "E_COLUMN_EXISTS"),
        (pd.DataFrame({"AUC": [1.0, np.inf, 3]}, index=["a", "b", "c"]), "E_NOT_FINITE"),
    ],
)
def test_with_columns_refuses(data: pkpd.Dataset, table: pd.DataFrame, code: str) -> None:
    with pytest.raises(pkpd.InputError, match=code):
        data.with_columns(table)


def test_json_round_trip(data: pkpd.Dataset) -> None:
    for original in (data, pkpd.load_dataset("theophylline")):
        back = from_json(to_json(original))
        pd.testing.assert_frame_equal(back.frame, original.frame)
        np.testing.assert_array_equal(back.subjects, original.subjects)
        np.testing.assert_array_equal(back.offsets, original.offsets)
        assert back.subjects.dtype == original.subjects.dtype
        for name in ("covariates", "histology", "units", "source", "sha256"):
            assert getattr(back, name) == getattr(original, name)


def test_the_frame_of_a_data_set_can_be_read_again(data: pkpd.Dataset) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        again = pkpd.read_dataset(data.frame)
    columns = [c for c in data.frame.columns if c != "ROW"]
    pd.testing.assert_frame_equal(again.frame[columns], data.frame[columns])


def test_select_takes_labels_as_they_are_written() -> None:
    theophylline = pkpd.load_dataset("theophylline")
    for same in ([2, 3], [2.0, 3.0], ["2", "3"], np.array([2, 3])):
        assert theophylline.select(same).subjects.tolist() == [2, 3]
    for other in ([2.5], ["abc"], ["2", "abc"], [None]):
        with pytest.raises(pkpd.InputError, match="E_UNKNOWN_ID"):
            theophylline.select(other)


def test_labels_that_differ_in_text_are_two_subjects() -> None:
    frame = pd.DataFrame({"ID": ["01", "01", "1", "1"], "TIME": [0, 1, 2, 3], "EVID": 0, "DV": 1.0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        assert pkpd.read_dataset(frame).subjects.tolist() == ["01", "1"]
