"""Every column with a meaning of its own changes a prediction or the likelihood, or is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from pkpd.data.columns import ROLES


@pkpd.model
def oral(m):
    """One compartment by mouth, two endpoints."""
    cl = m.parameter("CL", m.theta("CL", 2.0, lower=0) * exp(m.eta("CL", variance=0.1)))
    v, ka = m.theta("V", 20.0, lower=0), m.theta("KA", 1.0, lower=0)
    depot, central = m.compartment("depot"), m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, additive=m.sigma("ADD", 0.5))
    m.observe("amount", central, additive=m.sigma("ADD2", 5.0))


PLAIN = pd.DataFrame(
    {
        "ID": [1, 1, 1, 2, 2, 2],
        "TIME": [0.0, 1.0, 9.0, 0.0, 1.0, 9.0],
        "AMT": [100.0, 0, 0, 100, 0, 0],
        "EVID": [1, 0, 0, 1, 0, 0],
        "MDV": [1, 0, 0, 1, 0, 0],
        "DV": [np.nan, 2.0, 2.0, np.nan, 2.5, 1.8],
    }
)


def at(row: int, **values: object) -> pd.DataFrame:
    """The plain table with other values in one record; columns that it lacks begin as zeros."""
    frame = PLAIN.copy()
    for column, value in values.items():
        if column not in frame:
            frame[column] = 0
        frame[column] = frame[column].astype(object if isinstance(value, str) else float)
        frame.loc[row, column] = value
    return frame


def limited(**values: object) -> pd.DataFrame:
    return at(2, DV=0.5, **values)


# column -> tables of which the second differs by that column alone
CHANGES = {
    "ID": (PLAIN, PLAIN.assign(ID=[1, 1, 1, 1, 1, 1], TIME=[0, 1, 9, 9, 10, 18.0])),
    "TIME": (PLAIN, at(2, TIME=8.0)),
    "AMT": (PLAIN, at(0, AMT=50)),
    "EVID": (PLAIN, at(2, EVID=3, MDV=1, DV=np.nan)),
    "MDV": (PLAIN, at(2, MDV=1)),
    "DV": (PLAIN, at(2, DV=7.0)),
    "CMT": (PLAIN, at(0, CMT=2)),
    "RATE": (PLAIN, at(0, RATE=20)),
    "II": (at(0, ADDL=1, II=4), at(0, ADDL=1, II=5)),
    "ADDL": (PLAIN, at(0, ADDL=1, II=4)),
    "SS": (PLAIN, at(0, SS=1, II=12)),
    "DVID": (PLAIN.assign(DVID=1), PLAIN.assign(DVID=[1, 1, 2, 1, 1, 1])),
    "CENS": (limited(CENS=0), limited(CENS=1)),
    "BLQ": (limited(LLOQ=0.5, BLQ=0), limited(LLOQ=0.5, BLQ=1)),
    "LIMIT": (limited(CENS=1), limited(CENS=1).assign(LIMIT=[np.nan, np.nan, 0.1, np.nan, np.nan, np.nan])),
    "LLOQ": (limited(BLQ=1).assign(LLOQ=0.5), limited(BLQ=1).assign(LLOQ=1.0)),
    "DATE": (PLAIN.assign(DATE=1), PLAIN.assign(DATE=[1, 1, 2, 1, 1, 1])),
    "DAT1": (PLAIN.assign(DAT1="3/1/2025"), PLAIN.assign(DAT1=["3/1/2025"] * 2 + ["4/1/2025"] * 4)),
    "DAT2": (PLAIN.assign(DAT2="2025/1/3"), PLAIN.assign(DAT2=["2025/1/3"] * 2 + ["2025/1/4"] * 4)),
    "DAT3": (PLAIN.assign(DAT3="2025/3/1"), PLAIN.assign(DAT3=["2025/3/1"] * 2 + ["2025/4/1"] * 4)),
}


def outcome(frame: pd.DataFrame) -> tuple[np.ndarray, float] | None:
    """Predictions and objective function, or None if the table or the method refuses it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        try:
            data = pkpd.read_dataset(frame)
            return pkpd.predict(oral, data).PRED.to_numpy(), pkpd.evaluate(oral, data).ofv
        except pkpd.InputError:
            return None


def test_every_role_has_a_case() -> None:
    assert set(CHANGES) == set(ROLES)


@pytest.mark.parametrize("column", CHANGES)
def test_column_changes_something_or_is_refused(column: str) -> None:
    before, after = (outcome(frame) for frame in CHANGES[column])
    if after is None:
        # what was not supported when this was written; every other column must do something
        assert column in ("CENS", "BLQ", "LIMIT", "LLOQ")
        return
    assert before is not None
    same = len(before[0]) == len(after[0]) and np.array_equal(before[0], after[0])
    assert not same or before[1] != after[1]
