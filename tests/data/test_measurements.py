"""Censored values and steady-state doses: read as NONMEM and Monolix mean them, and refused by name for now."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.data.ledger import Ledger
from pkpd.data.measurements import Measurements, read_measurements
from pkpd.data.numerals import parse

NAN = np.nan


def measured(evid: list[int], **columns: list[float]) -> Measurements:
    ledger = Ledger()
    ledger.lines = np.arange(2, 2 + len(evid))
    cells = {name: parse(np.array(values, dtype=float)) for name, values in columns.items()}
    result = read_measurements(np.array(evid), cells, ledger)
    assert not ledger.has_errors, ledger.findings()
    return result


def test_cens_holds_its_bound_in_dv() -> None:
    m = measured([1, 0, 0, 0], DV=[NAN, 5, 0.1, 90], CENS=[0, 0, 1, -1], LIMIT=[NAN, NAN, 0.0, 200])
    assert m.censored.tolist() == [0, 0, 1, -1] and m.missing.tolist() == [1, 0, 0, 0]
    np.testing.assert_array_equal(m.value, [NAN, 5, 0.1, 90])
    np.testing.assert_array_equal(m.limit, [NAN, NAN, 0.0, 200])


def test_lloq_stands_in_for_an_empty_dv() -> None:
    m = measured([0, 0, 0], DV=[5, NAN, 0.2], CENS=[0, 1, 1], LLOQ=[0.1, 0.1, 0.1])
    np.testing.assert_array_equal(m.value, [5, 0.1, 0.2])
    assert m.missing.tolist() == [0, 0, 0]


def test_blq_takes_its_bound_from_lloq() -> None:
    m = measured([0, 0, 0], DV=[5, NAN, 0.0], BLQ=[0, 1, 1], LLOQ=[0.1, 0.1, 0.5])
    np.testing.assert_array_equal(m.value, [5, 0.1, 0.5])
    assert m.censored.tolist() == [0, 1, 1] and m.missing.tolist() == [0, 0, 0]
    np.testing.assert_array_equal(m.quantifiable, [0.1, 0.1, 0.5])


def test_a_flag_on_a_record_that_is_left_out_says_nothing() -> None:
    m = measured([0, 0, 1], DV=[5, NAN, NAN], BLQ=[0, 1, 1], LLOQ=[0.1] * 3, MDV=[0, 1, 1])
    assert m.censored.tolist() == [0, 0, 0] and m.missing.tolist() == [0, 1, 1]


def codes(**columns: list) -> set[str]:
    frame = pd.DataFrame(columns)
    frame.insert(0, "ID", 1)
    frame.insert(1, "TIME", range(len(frame)))
    return {f.code for f in pkpd.check(frame) if f.is_error}


@pytest.mark.parametrize(
    ("dose", "expected"),
    [
        ({"AMT": 100, "SS": 1, "II": 12}, set()),
        ({"AMT": 100, "SS": 2, "II": 12, "ADDL": 3}, set()),
        ({"AMT": 100, "SS": 1, "II": 12, "RATE": 10}, set()),
        ({"AMT": 0, "SS": 1, "II": 0, "RATE": 10}, set()),  # constant infusion
        ({"AMT": 0, "SS": 1, "II": 0, "RATE": -1}, set()),
        ({"AMT": 0, "SS": 1, "II": 0, "RATE": -2}, {"E_RATE_WITHOUT_AMT", "E_SS_WITHOUT_II"}),
        ({"AMT": 0, "SS": 1, "II": 12, "RATE": 10}, {"E_RATE_WITHOUT_AMT"}),
        ({"AMT": 100, "SS": 1, "II": 0, "RATE": 10}, {"E_SS_WITHOUT_II"}),
        ({"AMT": 100, "RATE": -2}, set()),
        ({"AMT": 100, "RATE": -3}, {"E_RATE_NEGATIVE"}),
        ({"AMT": 100, "EVID": 4}, set()),
        ({"AMT": 0, "EVID": 4}, {"E_DOSE_ZERO"}),
        ({"AMT": 100, "RATE": 50, "ADDL": 4, "II": 24}, set()),
    ],
)
def test_dose_records(dose: dict, expected: set[str]) -> None:
    record = {"AMT": 0, "EVID": 1, "SS": 0, "II": 0, "ADDL": 0, "RATE": 0, "DV": NAN} | dose
    found = codes(**{name: [value, 4.0 if name == "DV" else 0] for name, value in record.items()})
    assert found == expected
