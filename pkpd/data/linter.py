"""Rules for single records: every cell is checked against what its event needs, all records at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.data.doses import Event, check_doses
from pkpd.data.ledger import Ledger
from pkpd.data.measurements import read_measurements
from pkpd.data.numerals import Numbers, has_text, parse

__all__ = ["Records", "read_labels", "read_records"]

_WHOLE = ("EVID", "MDV", "ADDL", "SS", "CENS", "BLQ")
_NUMERIC = ("TIME", "DV", "AMT", "RATE", "II", *_WHOLE, "LIMIT", "LLOQ")
_LARGEST = 2**31  # no flag, count or endpoint is larger; beyond 2^63 it would not even fit an integer


@dataclass(frozen=True)
class Records:
    """Columns of the records after the rules, each of length n.

    ``dosed`` and ``observed`` are what the record counts as, also where one of its cells is wrong, so that
    one mistake does not bring a second complaint.
    """

    columns: dict[str, np.ndarray]
    dosed: np.ndarray
    observed: np.ndarray


def read_labels(column: np.ndarray, ledger: Ledger) -> np.ndarray:
    """Subject labels: int64 where all are whole numbers, else text; a missing one is ``E_ID_MISSING``.

    Parameters
    ----------
    column : ndarray, shape (n,)
    ledger : Ledger
        Its ``labels`` are set, for the findings that follow.

    Returns
    -------
    ndarray, shape (n,)
        int64, or object (text, None where missing).
    """
    labels = _labels(column)
    ledger.labels = labels
    if labels.dtype == object:
        ledger.add_rows("E_ID_MISSING", np.asarray(pd.isna(pd.Series(labels))), "ID")
    return labels


def _labels(column: np.ndarray) -> np.ndarray:
    if not has_text(column):
        if column.dtype != np.float64:
            return column
        if (
            np.isfinite(column).all()
            and (column == np.round(column)).all()
            and (np.abs(column) < 2**53).all()
        ):
            return column.astype(np.int64)
        codes, uniques = pd.factorize(column)
        texts = np.array(
            [str(int(u)) if float(u).is_integer() else str(u) for u in uniques] + [None], dtype=object
        )
        return texts[codes]
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    # "nan" is how programs write what is missing, nobody's name
    texts = np.array([None if str(u).lower() == "nan" else u for u in uniques] + [None], dtype=object)
    labels = texts[codes]
    if not pd.isna(labels).any():
        numbers = [_whole(u) for u in uniques]
        # "01" and "1" in one table are two subjects
        if None not in numbers and len(set(numbers)) == len(numbers):
            return np.array(numbers, dtype=np.int64)[codes]
    return labels


def _whole(text: str) -> int | None:
    digits = text.lstrip("+-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        return None
    return int(text) if text.count("-") + text.count("+") <= 1 else None


def read_records(columns: dict[str, np.ndarray], ledger: Ledger) -> Records:
    """Apply the rules for single records.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Raw columns by role.
    ledger : Ledger
        With ``lines`` and ``labels`` set.

    Returns
    -------
    Records
    """
    n = len(columns["TIME"])
    cells = {c: _numbers(c, columns[c], c in _WHOLE, ledger) for c in _NUMERIC if c in columns}
    time = cells["TIME"]
    ledger.add_rows("E_TIME_MISSING", time.missing, "TIME")
    ledger.add_rows("E_TIME_NEGATIVE", time.values < 0, "TIME", time.values)
    amount = _filled(cells, "AMT", n)
    unread = {c: cells[c].unread if c in cells else np.zeros(n, dtype=bool) for c in ("AMT", "II", "ADDL")}
    event = Event(
        kind=_kinds(cells, amount, unread["AMT"], ledger),
        amount=amount,
        rate=_filled(cells, "RATE", n),
        interval=_filled(cells, "II", n),
        additional=_filled(cells, "ADDL", n),
        steady=_filled(cells, "SS", n),
        unread=unread,
    )
    check_doses(event, ledger)
    measured = read_measurements(event.kind, cells, ledger)
    compartment = _compartments(columns.get("CMT"), event.kind, n, ledger)
    observed = (event.kind == 0) & (measured.missing == 0)
    if "DVID" not in columns:
        _check_endpoints(compartment, observed, ledger)
    return Records(
        columns={
            "TIME": time.values,
            "EVID": event.kind,
            "MDV": measured.missing,
            "AMT": event.amount,
            "RATE": event.rate,
            "II": event.interval,
            "ADDL": event.additional.astype(np.int64),
            "CMT": compartment,
            "DVID": _endpoints(columns.get("DVID"), event.kind, n, ledger),
            "DV": measured.value,
            "SS": event.steady.astype(np.int64),
            "CENS": measured.censored,
            "LIMIT": measured.limit,
            "LLOQ": measured.quantifiable,
        },
        dosed=event.dose | unread["AMT"],
        observed=observed,
    )


def _numbers(name: str, column: np.ndarray, whole: bool, ledger: Ledger) -> Numbers:
    numbers = parse(column)
    ledger.add_rows("E_NOT_NUMERIC", numbers.wrong, name, column)
    ledger.add_rows("E_NOT_FINITE", numbers.infinite, name, column)
    if whole:
        large = np.abs(numbers.values) > _LARGEST
        broken = numbers.given & ((numbers.values != np.round(numbers.values)) | large)
        ledger.add_rows("E_NOT_INTEGER", broken, name, numbers.values)
        numbers.values[broken] = np.nan  # reported once; the rules below must not speak of it again
        numbers.wrong[broken] = True
    return numbers


def _filled(cells: dict[str, Numbers], name: str, n: int) -> np.ndarray:
    return np.where(cells[name].given, cells[name].values, 0.0) if name in cells else np.zeros(n)


def _kinds(cells: dict[str, Numbers], amount: np.ndarray, unread: np.ndarray, ledger: Ledger) -> np.ndarray:
    """EVID as int64: an empty cell is 0, as in NONMEM; without the column, an amount makes a dose."""
    if "EVID" not in cells:
        inferred = ((amount != 0) | unread).astype(np.int64)
        ledger.add("W_EVID_INFERRED", column="EVID", count=int(inferred.sum()))
        return inferred
    evid = cells["EVID"]
    kinds = np.where(evid.given, evid.values, 0).astype(np.int64)
    ledger.add_rows("E_EVID_VALUE", (kinds < 0) | (kinds > 4), "EVID", kinds)
    return kinds


def _compartments(column: np.ndarray | None, kinds: np.ndarray, n: int, ledger: Ledger) -> np.ndarray:
    """Compartments as numbers (NaN = the default one), or as names where the column holds names.

    A negative one (a name with a minus sign) is turned off; a dose cannot do that.
    """
    if column is None:
        return np.full(n, np.nan)
    numbers = parse(column)
    if numbers.wrong.any() and not numbers.given.any():
        return column
    values = numbers.values
    ledger.add_rows("E_CMT_MIXED", numbers.wrong, "CMT", column)
    ledger.add_rows("E_NOT_FINITE", numbers.infinite, "CMT", column)
    ledger.add_rows("E_NOT_INTEGER", numbers.given & (values != np.round(values)), "CMT", values)
    ledger.add_rows("E_CMT_NEGATIVE", (values < 0) & np.isin(kinds, (1, 4)), "CMT", values)
    return np.where(values == 0, np.nan, values)


def _check_endpoints(compartment: np.ndarray, observed: np.ndarray, ledger: Ledger) -> None:
    """Observations in several compartments are several endpoints for NONMEM: here only DVID can say so."""
    at = np.flatnonzero(observed & ~np.asarray(pd.isna(pd.Series(compartment))))
    if compartment.dtype == object:
        spoken = np.array([str(c).removeprefix("-") for c in compartment[at]], dtype=object)
    else:
        spoken = np.abs(compartment[at])
    other = at[spoken != spoken[0]] if len(at) else at
    if len(other):
        i = int(other[0])
        ledger.add_at("E_CMT_ENDPOINT", i, "CMT", compartment[i], before=compartment[at[0]])


def _endpoints(column: np.ndarray | None, kinds: np.ndarray, n: int, ledger: Ledger) -> np.ndarray:
    """Endpoints as numbers, or as names (None: no observation) where the observations have names."""
    if column is None:
        return np.ones(n, dtype=np.int64)
    observation, numbers = kinds == 0, parse(column)
    ledger.add_rows("E_DVID_MISSING", observation & numbers.missing, "DVID")
    if (observation & numbers.wrong).any() and not (observation & numbers.given).any():
        return pd.Series(column, dtype=object).where(observation & numbers.wrong, None).to_numpy()
    numbers = _numbers("DVID", column, True, ledger)
    ledger.add_rows("E_DVID_VALUE", observation & (numbers.values < 1), "DVID", numbers.values)
    return np.where(numbers.values >= 1, numbers.values, 1).astype(np.int64)
