"""Dates, clock times and time after dose, against values worked out by hand."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd


def times(unit: str | None = None, **columns: list) -> list[float]:
    n = len(columns["TIME"])
    frame = pd.DataFrame({"ID": [1] * (n - 1) + [2], **columns, "DV": 1.0, "EVID": 0})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = pkpd.read_dataset(frame, units={"TIME": unit} if unit else None)
    assert any("W_TIME_CLOCK" in str(w.message) for w in caught)
    assert "DATE" not in data.frame and data.covariates == ()
    return data.frame["TIME"].tolist()


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"TIME": ["8:30", "09:00", "23:59:30", "7:00"]}, [0, 0.5, 15.4917 - 1 / 3e4, 0]),
        ({"TIME": ["2025-02-28T22:00", "2025-03-01 01:30", "2025-03-02", "2024-01-01T00:00"]}, [0, 3.5, 26, 0]),
        ({"TIME": ["8:00", "8:00", "20:00", "1:00"], "DATE": ["2/28/2024", "2/29/2024", "03/01/2024", "1/1/2025"]},
         [0, 24, 60, 0]),
        ({"TIME": ["8:00", "8:00", "20:00", "1:00"], "DAT1": ["28/2/2025", "1/3/2025", "02-03-2025", "1.1.2025"]},
         [0, 24, 60, 0]),
        ({"TIME": [8.5, 8.5, 20.5, 1], "DAT2": ["2025/02/28", "2025-03-01", "2025-03-02", "2025-01-01"]},
         [0, 24, 60, 0]),
        ({"TIME": ["8", "8:00", "20", "1"], "DAT3": ["2025-28-02", "2025-01-03", "2025/02/03", "2025-01-01"]},
         [0, 24, 60, 0]),
        ({"TIME": [8.5, 8.5, 20.5, 1], "DATE": [1, 2, 3, 9]}, [0, 24, 60, 0]),
    ],
)  # fmt: skip
def test_times_since_the_first_record(columns: dict, expected: list[float]) -> None:
    assert times(**columns) == pytest.approx(expected, abs=1e-4)


def test_unit_of_time() -> None:
    stamps = ["2025-02-28T06:00", "2025-03-01T18:00", "2025-03-14T06:00", "2025-01-01"]
    assert times("day", TIME=stamps) == [0, 1.5, 14, 0]
    assert times("min", TIME=stamps)[:2] == [0, 36 * 60]
    assert times(TIME=list(pd.to_datetime(stamps, format="ISO8601")))[:2] == [0, 36]


@pytest.mark.parametrize(
    ("columns", "options", "code", "row", "value"),
    [
        ({"TIME": ["8:30", "9:75"]}, {}, "E_CLOCK", 3, "9:75"),
        ({"TIME": ["8:30", "9.5"]}, {}, "E_CLOCK", 3, "9.5"),
        ({"TIME": ["8:30", "."]}, {}, "E_TIME_MISSING", 3, None),
        ({"TIME": ["8:30", "7:30"]}, {}, "E_TIME_NOT_INCREASING", 3, 0),
        ({"TIME": ["8:30", "7:30"], "DATE": ["13/1/2025", "1/2/2025"]}, {}, "E_DATE", 2, "13/1/2025"),
        ({"TIME": ["8:30", "7:30"], "DATE": ["1/13/25", "1/14/25"]}, {}, "E_DATE", 2, "1/13/25"),
        ({"TIME": ["8:30", "7:30"], "DATE": ["2025-02-28", None]}, {}, "E_DATE", 3, None),
        ({"TIME": ["8:30", "9:30"]}, {"units": {"TIME": "mg"}}, "E_TIME_UNIT", None, "mg"),
        ({"TIME": [1, 2], "DATE": [1, 2], "DAT1": [1, 2]}, {}, "E_DUPLICATE_COLUMN", 1, None),
    ],
)
def test_what_cannot_be_read(columns: dict, options: dict, code: str, row: int | None, value: object) -> None:
    found = [f for f in pkpd.check(pd.DataFrame({"ID": 1, **columns, "DV": 1.0}), **options) if f.is_error]
    assert (found[0].code, found[0].row) == (code, row)
    assert found[0].value == value


def test_time_after_dose() -> None:
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 1, 1, 1, 1, 2, 2],
            "TIME": [0, 1, 1, 12, 30, 30, 37, 5, 6],
            "AMT": [0, 9, 0, 0, 0, 9, 0, 9, 0],
            "II": [0, 12, 0, 0, 0, 0, 0, 0, 0],
            "ADDL": [0, 2, 0, 0, 0, 0, 0, 0, 0],
            "EVID": [0, 1, 0, 0, 0, 1, 0, 1, 0],
            "DV": [1, np.nan, 1, 1, 1, np.nan, 1, np.nan, 1],
        }
    )
    data = pkpd.read_dataset(frame)
    # doses of subject 1 at 1, 13, 25 and 30
    np.testing.assert_array_equal(data.time_after_dose(), [np.nan, 0, 0, 11, 5, 0, 7, 0, 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        none = pkpd.read_dataset(frame[frame["EVID"] == 0])
    assert np.isnan(none.time_after_dose()).all()
    theophylline = pkpd.load_dataset("theophylline")
    np.testing.assert_array_equal(theophylline.time_after_dose(), theophylline.frame["TIME"])


def test_a_reset_cancels_the_additional_doses_before_it() -> None:
    frame = pd.DataFrame(
        [(1, 0, 1, 9, 24, 9, np.nan), (1, 20, 0, 0, 0, 0, 5.0), (1, 30, 3, 0, 0, 0, np.nan), (1, 50, 0, 0, 0, 0, 1.0),
         (2, 0, 1, 9, 24, 2, np.nan), (2, 50, 0, 0, 0, 0, 1.0)],
        columns=["ID", "TIME", "EVID", "AMT", "II", "ADDL", "DV"],
    )  # fmt: skip
    data = pkpd.read_dataset(frame)
    # doses of subject 1 at 0 and 24, of subject 2 at 0, 24 and 48
    np.testing.assert_array_equal(data.time_after_dose(), [0, 20, 6, 26, 0, 2])
    assert data.n_doses == 5 and data.summary().loc["all", "doses"] == 5


def test_an_additional_dose_falls_on_the_record_that_it_means() -> None:
    """2.24 + 24 is more than 26.24: whether a sample saw the dose had been a matter of the last bit."""

    @pkpd.model
    def central(m):
        amount = m.compartment("central")
        m.ode(amount, -0.1 * amount)
        m.observe("y", amount, additive=m.sigma("ADD", 1.0))

    found = []
    for start in (2.0, 2.24, 2.25, 2.49):
        rows = [(1, start, 1, 9, 24, 2, np.nan), (1, float(f"{start + 24:.2f}"), 0, 0, 0, 0, 1.0)]
        data = pkpd.read_dataset(
            pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "II", "ADDL", "DV"])
        )
        assert data.time_after_dose().tolist() == [0, 0]
        found.append(pkpd.predict(central, data)["PRED"].item())
    np.testing.assert_allclose(found, 9 * (1 + np.exp(-2.4)), rtol=1e-12)
