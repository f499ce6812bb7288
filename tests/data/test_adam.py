"""ADPPK and ADPC tables with the variables of the CDISC guides become the records that they stand for."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd

NAN = np.nan


@pytest.fixture
def adpc() -> pd.DataFrame:
    """One patient: a dose, samples before the second dose, a copy of the last for the second dose."""
    return pd.DataFrame(
        {
            "STUDYID": "S1",
            "USUBJID": "S1-001",
            "PARAMCD": ["DOSE", "XAN", "XAN", "XAN", "DOSE", "XAN"],
            "DTYPE": [None, None, None, "COPY", None, None],
            "AFRLT": [0.0, 1.5, 23.5, 23.5, 24.0, 26.0],
            "AVAL": [54.0, 1.2, 0.3, 0.3, 54.0, 1.9],
            "AVALC": [None, "1.2", "0.3", "0.3", None, "1.9"],
            "DOSEA": [54.0, 54.0, 54.0, 54.0, 54.0, 54.0],
            "ALLOQ": [NAN, 0.01, 0.01, 0.01, NAN, 0.01],
        }
    )


def read(frame: pd.DataFrame, standard: str, **options: object) -> pkpd.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.read_dataset(frame, columns=standard, covariates=[], **options)  # type: ignore[arg-type]


def test_adpc(adpc: pd.DataFrame) -> None:
    before = adpc.copy(deep=True)
    data = read(adpc, "ADPC")
    expected = pd.DataFrame(
        {
            "ROW": [2, 3, 4, 6, 7],
            "TIME": [0.0, 1.5, 23.5, 24.0, 26.0],
            "EVID": [1, 0, 0, 1, 0],
            "MDV": [1, 0, 0, 1, 0],
            "AMT": [54.0, 0.0, 0.0, 54.0, 0.0],
            "DV": [NAN, 1.2, 0.3, NAN, 1.9],
            "LLOQ": [NAN, 0.01, 0.01, NAN, 0.01],
        }
    )
    pd.testing.assert_frame_equal(data.frame[list(expected.columns)], expected)
    assert data.subjects.tolist() == ["S1-001"]
    pd.testing.assert_frame_equal(adpc, before)
    found = {f.code: f.row for f in pkpd.check(adpc, columns="ADPC", covariates=[])}
    assert found == {"W_RECORDS_EXCLUDED": 5}


def test_adpc_with_events_of_its_own(adpc: pd.DataFrame) -> None:
    numbered = adpc.assign(EVID=[1, 0, 0, 0, 1, 0]).drop(columns="PARAMCD")
    pd.testing.assert_frame_equal(read(numbered, "ADPC").frame, read(adpc, "ADPC").frame)


def test_imputed_results_are_not_taken_for_measurements(adpc: pd.DataFrame) -> None:
    adpc.loc[2, ["AVAL", "AVALC"]] = [0.005, "<BLQ"]
    frame = read(adpc, "ADPC").frame
    assert frame.loc[frame.CENS != 0, ["ROW", "ID"]].to_numpy().tolist() == [[4, "S1-001"]]


def test_adpc_that_leaves_a_question_open(adpc: pd.DataFrame) -> None:
    two = adpc.assign(PARAMCD=["DOSE", "XAN", "M1", "M1", "DOSE", "XAN"])
    (finding,) = [f for f in pkpd.check(two, columns="ADPC") if f.is_error]
    assert finding.code == "E_ADAM_ANALYTES" and "M1, XAN" in finding.message
    numbered = two.assign(DVIDN=[1, 1, 2, 2, 1, 1])
    assert read(numbered, "ADPC").frame["DVID"].tolist() == [1, 1, 2, 1, 1]
    (finding,) = [f for f in pkpd.check(adpc.drop(columns="DOSEA"), columns="ADPC") if f.is_error]
    assert (finding.code, finding.row, finding.column) == ("E_ADAM_DOSE", 2, "DOSEA")
    missing = pkpd.check(adpc.drop(columns=["AVAL", "AFRLT"]), columns="ADPC", covariates=[])
    assert [f.column for f in missing if f.code == "E_MISSING_COLUMN"] == ["TIME", "DV"]


def test_adppk() -> None:
    frame = pd.DataFrame(
        {
            "USUBJID": ["S1-001"] * 3,
            "AFRLT": [0.0, 1.0, 2.0],
            "EVID": [1, 0, 0],
            "MDV": [1, 0, 1],
            "AMT": [100.0, NAN, NAN],
            "DV": [NAN, 5.0, NAN],
            "DVID": ["DOSE", "CONC", "CONC"],
            "DVIDN": [0, 1, 1],
            "CMT": [1, 2, 2],
            "BLQFN": [0, 0, 1],
            "ALLOQ": [NAN, 0.1, 0.1],
            "AGE": [50, 50, 50],
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is inferred, replaced or lost without need
        data = pkpd.read_dataset(frame, columns="ADPPK")
    assert data.frame["TIME"].tolist() == [0, 1, 2] and data.covariates == ("AGE",)
    assert data.frame["DVID"].tolist() == [1, 1, 1] and data.frame["CENS"].tolist() == [0, 0, 0]
    assert data.n_observations == 1 and data.frame["LLOQ"].tolist()[1:] == [0.1, 0.1]
    flagged = frame.assign(MDV=[1, 0, 0])
    frame = pkpd.read_dataset(flagged, columns="ADPPK").frame
    assert frame["CENS"].tolist() == [0, 0, 1] and frame["DV"].iloc[2] == 0.1
