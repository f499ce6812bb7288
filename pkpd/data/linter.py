"""Rules for single records: every cell is checked against what its event needs, all records at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger
from pkpd.data.numerals import Numbers, has_text, parse

__all__ = ["Records", "read_labels", "read_records"]

_WHOLE = ("EVID", "MDV", "ADDL", "SS", "DVID", "CENS", "BLQ")
_NUMERIC = ("TIME", "DV", "AMT", "RATE", "II", *_WHOLE, "LIMIT", "LLOQ")
_LARGEST = 2**31  # no flag, count or endpoint is larger; beyond 2^63 it would not even fit an integer
_FEW = "For now pkpd reads doses (EVID 1) and observations (EVID 0)."


@dataclass(frozen=True)
class Records:
    """Columns of the records after the rules, each of length n.

    ``dosed`` and ``observed`` are what the record counts as, also where one of its cells is wrong, so that one mistake
    does not bring a second complaint.
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
        ledger.add_rows(
            "E_ID_MISSING",
            pd.isna(labels),
            "the record has no subject.",
            "Give each record the ID of its subject.",
            column="ID",
        )
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
    if (codes >= 0).all():
        numbers = [_whole(u) for u in uniques]
        if None not in numbers:
            return np.array(numbers, dtype=np.int64)[codes]
    return column


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
    cells = {c: _numbers(c, columns[c], ledger) for c in _NUMERIC if c in columns}
    time, dv = cells["TIME"], cells["DV"]
    ledger.add_rows(
        "E_TIME_MISSING", time.missing, "the record has no time.", "Give the time of the event.", "TIME"
    )
    _rows(ledger, "E_TIME_NEGATIVE", time.values < 0, "time {value} is negative.",
          "Shift the times of the subject so that its first record is at 0 or later.", "TIME", time)  # fmt: skip
    amount, rate = _filled(cells.get("AMT"), n), _filled(cells.get("RATE"), n)
    interval, additional = _filled(cells.get("II"), n), _filled(cells.get("ADDL"), n)
    unknown = cells["AMT"].wrong | cells["AMT"].infinite if "AMT" in cells else np.zeros(n, dtype=bool)
    event = _events(cells, amount, unknown, ledger)
    _refused(cells, ledger)
    dosed = np.isin(event, (1, 4)) | unknown & (event != 0)
    _doses(cells, columns, event, amount, rate, interval, additional, unknown, ledger)
    missing_value = _missing_value(cells, event, amount, dv, ledger)
    observed = (event == 0) & (missing_value == 0)
    return Records(
        columns={
            "TIME": time.values,
            "EVID": event,
            "MDV": missing_value,
            "AMT": amount,
            "RATE": rate,
            "II": interval,
            "ADDL": additional.astype(np.int64),
            "CMT": _compartments(columns.get("CMT"), n, ledger),
            "DVID": _endpoints(cells.get("DVID"), event, n, ledger),
            "DV": dv.values,
        },
        dosed=dosed,
        observed=observed,
    )


def _numbers(name: str, column: np.ndarray, ledger: Ledger) -> Numbers:
    numbers = parse(column)
    ledger.add_rows(
        "E_NOT_NUMERIC",
        numbers.wrong,
        "{value} is not a number.",
        "Write a number with a decimal point; a missing value is an empty cell, . or NA.",
        column=name,
        values=column,
    )
    ledger.add_rows(
        "E_NOT_FINITE",
        numbers.infinite,
        "{value} is not a finite number.",
        "Write the number, or leave the cell empty if it is missing.",
        column=name,
        values=column,
    )
    if name in _WHOLE:
        with np.errstate(invalid="ignore"):
            broken = numbers.given & (
                (numbers.values != np.round(numbers.values)) | (np.abs(numbers.values) > _LARGEST)
            )
        _rows(
            ledger,
            "E_NOT_INTEGER",
            broken,
            "{value} is not a whole number.",
            "Write a whole number.",
            name,
            numbers,
        )
        if broken.any():  # reported once; the rules below must not speak of it again
            numbers.values[broken] = np.nan
            numbers.wrong[broken] = True
    return numbers


def _filled(numbers: Numbers | None, n: int) -> np.ndarray:
    return np.zeros(n) if numbers is None else np.where(numbers.given, numbers.values, 0.0)


def _rows(
    ledger: Ledger, code: str, at: np.ndarray, message: str, remedy: str, column: str, cells: Numbers
) -> None:
    ledger.add_rows(code, at, message, remedy, column, cells.values)


def _events(cells: dict[str, Numbers], amount: np.ndarray, unknown: np.ndarray, ledger: Ledger) -> np.ndarray:
    """EVID as int64; a missing cell is 0, as in NONMEM; without the column a record with an amount is a dose."""
    if "EVID" not in cells:
        event = ((amount != 0) | unknown).astype(np.int64)
        ledger.add(
            "W_EVID_INFERRED",
            f"there is no column EVID: the {int(event.sum())} records with AMT are taken as doses, the others as "
            "observations.",
            "Add EVID (1 dose, 0 observation) to say it yourself.",
            column="EVID",
        )
        return event
    evid = cells["EVID"]
    event = np.where(evid.given, evid.values, 0).astype(np.int64)
    _rows(ledger, "E_EVID_NOT_SUPPORTED", np.isin(event, (2, 3, 4)), "EVID {value} is not supported yet.",
          f"{_FEW} Leave the record out, or write it as one of these.", "EVID", evid)  # fmt: skip
    _rows(ledger, "E_EVID_VALUE", (event < 0) | (event > 4), "there is no event {value}.", _FEW, "EVID", evid)
    return event


def _refused(cells: dict[str, Numbers], ledger: Ledger) -> None:
    refusals = {
        "SS": ("E_SS_NOT_SUPPORTED", "steady-state doses (SS = {value}) are not supported yet.",
               "Write the doses that led to the steady state, e.g. with ADDL and II, and set SS to 0."),
        "CENS": ("E_CENS_NOT_SUPPORTED", "censored values (CENS = {value}) are not supported yet.",
                 "Leave the record out, and say so in the analysis."),
        "BLQ": ("E_CENS_NOT_SUPPORTED", "values below quantification (BLQ = {value}) are not supported yet.",
                "Leave the record out, and say so in the analysis."),
    }  # fmt: skip
    for name, (code, message, remedy) in refusals.items():
        if name in cells:
            _rows(
                ledger,
                code,
                cells[name].given & (cells[name].values != 0),
                message,
                remedy,
                name,
                cells[name],
            )


def _doses(
    cells: dict[str, Numbers],
    columns: dict[str, np.ndarray],
    event: np.ndarray,
    amount: np.ndarray,
    rate: np.ndarray,
    interval: np.ndarray,
    additional: np.ndarray,
    unknown: np.ndarray,
    ledger: Ledger,
) -> None:
    def at(code: str, where: np.ndarray, message: str, remedy: str, column: str, values: np.ndarray) -> None:
        ledger.add_rows(code, where, message, remedy, column, values)

    dose = event == 1
    if "AMT" not in columns and dose.any():
        first = int(np.flatnonzero(dose)[0])
        ledger.add("E_MISSING_COLUMN", "there are doses (EVID 1) but no column AMT.", "Add the amounts.",
                   row=int(ledger.lines[first]), subject=ledger.label(first), column="AMT")  # fmt: skip
    else:
        empty = dose & (amount == 0) & ~unknown
        at("E_DOSE_ZERO", empty & (rate == 0), "a dose (EVID 1) has no amount.",
           "Give AMT, or leave the record out.", "AMT", amount)  # fmt: skip
        at("E_RATE_WITHOUT_AMT", empty & (rate != 0), "an infusion (RATE {value}) has no amount.",
           "Give AMT; it ends after AMT/RATE.", "RATE", rate)  # fmt: skip
    at(
        "E_AMT_NEGATIVE",
        amount < 0,
        "the amount {value} is negative.",
        "Give an amount above 0.",
        "AMT",
        amount,
    )
    at("E_AMT_ON_OBSERVATION", (event == 0) & (amount != 0), "an observation (EVID 0) has an amount ({value}).",
       "Make it two records: the dose with EVID 1, the observation with AMT 0.", "AMT", amount)  # fmt: skip
    at("E_RATE_WITHOUT_AMT", (event == 0) & (rate != 0), "an observation (EVID 0) has a rate ({value}).",
       "Set RATE to 0 on observations.", "RATE", rate)  # fmt: skip
    modelled = np.isin(rate, (-1, -2))
    at("E_RATE_NOT_SUPPORTED", dose & modelled, "a modelled rate or duration (RATE {value}) is not supported yet.",
       "Give the rate of the infusion, or 0 for a bolus.", "RATE", rate)  # fmt: skip
    at("E_RATE_NEGATIVE", dose & (rate < 0) & ~modelled, "the rate {value} is negative.",
       "Give the rate of the infusion, or 0 for a bolus.", "RATE", rate)  # fmt: skip
    at("E_II_NEGATIVE", interval < 0, "the dosing interval {value} is negative.", "Give an interval above 0.",
       "II", interval)  # fmt: skip
    at("E_ADDL_NEGATIVE", additional < 0, "{value} additional doses make no sense.", "Give 0 or more.",
       "ADDL", additional)  # fmt: skip
    more = additional > 0
    known = (
        np.ones(len(event), dtype=bool) if "II" not in cells else ~(cells["II"].wrong | cells["II"].infinite)
    )
    at("E_ADDL_WITHOUT_II", dose & more & (interval == 0) & known, "{value} additional doses have no interval.",
       "Give II, the time between the doses.", "ADDL", additional)  # fmt: skip
    at("E_ADDL_WITHOUT_DOSE", (event == 0) & more, "an observation (EVID 0) has additional doses ({value}).",
       "Set ADDL to 0 on observations.", "ADDL", additional)  # fmt: skip
    steady = (
        cells["SS"].given & (cells["SS"].values != 0) if "SS" in cells else np.zeros(len(event), dtype=bool)
    )
    broken = (
        cells["ADDL"].wrong | cells["ADDL"].infinite if "ADDL" in cells else np.zeros(len(event), dtype=bool)
    )
    unused = np.flatnonzero((interval > 0) & ~more & ~steady & ~broken & (additional == 0))
    if len(unused):
        ledger.add("W_II_UNUSED", f"II has no effect without ADDL ({len(unused)} records).", "Give ADDL, or set II to 0.",
                   row=int(ledger.lines[unused[0]]), subject=ledger.label(unused[0]), column="II",
                   value=float(interval[unused[0]]))  # fmt: skip


def _missing_value(
    cells: dict[str, Numbers], event: np.ndarray, amount: np.ndarray, dv: Numbers, ledger: Ledger
) -> np.ndarray:
    """MDV as int64: given, or 1 on events other than observations and where DV is missing."""
    inferred = ((event != 0) | dv.missing).astype(np.int64)
    mdv = cells.get("MDV")
    given = mdv.given if mdv is not None else np.zeros(len(event), dtype=bool)
    values = np.where(given, mdv.values, inferred).astype(np.int64) if mdv is not None else inferred
    if mdv is not None:
        _rows(ledger, "E_MDV_VALUE", (values < 0) | (values > 1), "MDV is 0 or 1, not {value}.",
              "Write 1 where DV is missing or to be left out, else 0.", "MDV", mdv)  # fmt: skip
        _rows(ledger, "E_MDV_ON_DOSE", given & (values == 0) & (event != 0), "a record with EVID other than 0 has MDV 0.",
              "Set MDV to 1; if DV was measured there, add an observation record.", "MDV", mdv)  # fmt: skip
        _rows(ledger, "E_DV_MISSING", given & (values == 0) & (event == 0) & dv.missing, "MDV is 0 but DV is missing.",
              "Give DV, or set MDV to 1.", "DV", dv)  # fmt: skip
    silent = np.flatnonzero(~given & (event == 0) & dv.missing)
    if len(silent):
        ledger.add("W_DV_MISSING", f"{len(silent)} observation(s) without DV are kept as prediction points (MDV 1).",
                   "Set MDV to 1 to say it yourself, or leave the records out.",
                   row=int(ledger.lines[silent[0]]), subject=ledger.label(silent[0]), column="DV")  # fmt: skip
    with np.errstate(invalid="ignore"):
        lost = (event == 1) & dv.given & (dv.values != 0)
    # without EVID and MDV a record that holds a dose and a value could mean either
    both = lost & ("EVID" not in cells) & ~given
    ledger.add_rows("E_AMT_ON_OBSERVATION", both, "the record holds an amount ({value}) and a DV.",
                    "Make it two records: the dose (DV empty) and the observation (AMT 0).", "AMT", amount)  # fmt: skip
    ignored = np.flatnonzero(lost & ~both)
    if len(ignored):
        ledger.add("W_DV_ON_DOSE", f"DV is not used on dose records ({len(ignored)} have one).",
                   "Add an observation record if it was measured.", row=int(ledger.lines[ignored[0]]),
                   subject=ledger.label(ignored[0]), column="DV", value=float(dv.values[ignored[0]]))  # fmt: skip
    return values


def _compartments(column: np.ndarray | None, n: int, ledger: Ledger) -> np.ndarray:
    """Compartments as numbers (NaN = the default one), or as names where the column holds names."""
    if column is None:
        return np.full(n, np.nan)
    numbers = parse(column)
    if numbers.wrong.any() and not numbers.given.any():
        return column
    ledger.add_rows("E_CMT_MIXED", numbers.wrong, "{value} is a name, other records have numbers.",
                    "Name all compartments, or number all.", "CMT", column)  # fmt: skip
    ledger.add_rows("E_NOT_FINITE", numbers.infinite, "{value} is not a compartment.",
                    "Give the number or the name of one.", "CMT", column)  # fmt: skip
    values: Any = numbers.values
    with np.errstate(invalid="ignore"):
        _rows(ledger, "E_NOT_INTEGER", numbers.given & (values != np.round(values)), "{value} is not a whole number.",
              "Give the number or the name of a compartment.", "CMT", numbers)  # fmt: skip
        _rows(ledger, "E_CMT_NEGATIVE", values < 0, "CMT {value} turns a compartment off, which is not supported yet.",
              "Give the number or the name of a compartment.", "CMT", numbers)  # fmt: skip
    return np.where(values == 0, np.nan, values)


def _endpoints(numbers: Numbers | None, event: np.ndarray, n: int, ledger: Ledger) -> np.ndarray:
    if numbers is None:
        return np.ones(n, dtype=np.int64)
    observation = event == 0
    ledger.add_rows("E_DVID_MISSING", observation & numbers.missing, "the observation does not say which endpoint it is.",
                    "Give DVID (1, 2, ...) on every observation.", "DVID")  # fmt: skip
    _rows(ledger, "E_DVID_VALUE", observation & (numbers.values < 1), "there is no endpoint {value}.",
          "Endpoints are numbered 1, 2, ...", "DVID", numbers)  # fmt: skip
    usable = numbers.given & (numbers.values >= 1)
    return np.where(usable, numbers.values, 1).astype(np.int64)
