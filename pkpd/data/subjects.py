"""Rules for subjects: one block of records each, time going forward, doses and observations."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.linter import Records

__all__ = ["ALLOWABLE", "check_subjects"]

# Findings that are right for most data and wrong for some: the user may declare that they are meant.
ALLOWABLE = ("E_NO_DOSES", "E_NO_OBSERVATIONS")


def check_subjects(labels: np.ndarray, records: Records, allow: Collection[str], ledger: Ledger) -> None:
    """Apply the rules for subjects.

    A subject with neither doses nor observations is always an error. In data with doses, a subject that is observed but
    never dosed is one too, because lost dose records look like that (``E_NO_DOSES``); likewise, in data with observations,
    a subject that is dosed but has neither an observation nor a prediction point (``E_NO_OBSERVATIONS``). Either can be
    declared as meant with ``allow`` (placebo; subjects kept for their doses) and is then a warning. Data without any dose,
    or without any observation, get one warning.

    Parameters
    ----------
    labels : ndarray, shape (n,)
        Subject of each record; None where missing.
    records : Records
    allow : collection of str
        Codes among :data:`ALLOWABLE`.
    ledger : Ledger
    """
    codes, uniques = pd.factorize(labels, use_na_sentinel=True)
    _check_blocks(codes, ledger)
    _check_times(codes, records.columns["TIME"], ledger)
    _check_duplicates(codes, records, ledger)
    known = codes >= 0
    observed = np.bincount(codes[known & records.observed], minlength=len(uniques)) > 0
    dosed = np.bincount(codes[known & records.dosed], minlength=len(uniques)) > 0
    points = np.bincount(codes[known & (records.columns["EVID"] == 0)], minlength=len(uniques)) > 0
    first = np.full(len(uniques), -1)
    first[codes[known][::-1]] = np.flatnonzero(known)[::-1]

    def each(code: str, subjects: np.ndarray, message: str, remedy: str, column: str) -> None:
        ledger.add_rows(code, np.sort(first[subjects]), message, remedy, column)

    if not dosed.any():
        ledger.add(
            "W_NO_DOSES", "no subject has a dose.", "Add dose records (EVID 1, AMT) if a drug was given."
        )
    if not observed.any():
        ledger.add("W_NO_OBSERVATIONS", "no record is an observation.",
                   "Add them (EVID 0, MDV 0) to estimate anything; to predict or simulate none is needed.")  # fmt: skip
    empty = ~observed & ~dosed & (~points | dosed.any())
    each("E_SUBJECT_EMPTY", empty, "the subject has neither doses nor observations.",
         "Leave the subject out, or add its records.", "EVID")  # fmt: skip
    if dosed.any():
        each(_code("E_NO_DOSES", allow), observed & ~dosed, "the subject has observations but no dose.",
             'Add its doses; if none was given (placebo), say allow=["E_NO_DOSES"].', "AMT")  # fmt: skip
    if observed.any():
        each(_code("E_NO_OBSERVATIONS", allow), dosed & ~observed & ~points,
             "the subject has doses but no observation.",
             'Leave the subject out, add a prediction point (EVID 0, MDV 1), or say allow=["E_NO_OBSERVATIONS"].',
             "DV")  # fmt: skip


def _code(code: str, allow: Collection[str]) -> str:
    return "W" + code[1:] if code in allow else code


def _check_blocks(codes: np.ndarray, ledger: Ledger) -> None:
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    starts = starts[codes[starts] >= 0]
    again = pd.Series(codes[starts]).duplicated().to_numpy()
    ledger.add_rows(
        "E_ID_SPLIT",
        starts[again],
        "records of the subject begin again after those of another; NONMEM would take them for a new subject.",
        "Sort the table by ID, or give the second block another ID.",
        column="ID",
    )


def _check_times(codes: np.ndarray, time: np.ndarray, ledger: Ledger) -> None:
    back = np.flatnonzero((codes[1:] == codes[:-1]) & (time[1:] < time[:-1])) + 1
    ledger.add_rows(
        "E_TIME_NOT_INCREASING",
        back,
        "time goes back to {value}, from {before} on the record before.",
        "Sort the records of each subject by time (equal times are allowed).",
        column="TIME",
        values=time,
        before=time[back - 1],
    )


def _check_duplicates(codes: np.ndarray, records: Records, ledger: Ledger) -> None:
    c = records.columns
    at = np.flatnonzero(records.observed & (codes >= 0) & ~np.isnan(c["TIME"]) & ~np.isnan(c["DV"]))
    key = {"code": codes[at], "time": c["TIME"][at], "endpoint": c["DVID"][at], "compartment": c["CMT"][at]}
    repeated = at[pd.DataFrame(key).duplicated().to_numpy()]
    if len(repeated):
        subjects = list(dict.fromkeys(ledger.label(i) for i in repeated))
        ledger.add(
            "W_DUPLICATE_OBSERVATION",
            f"{len(repeated)} observation(s) repeat time and endpoint of another (ID {names(subjects)}).",
            "Remove them if they are copies; replicates may stay.",
            row=int(ledger.lines[repeated[0]]),
            subject=ledger.label(repeated[0]),
            column="TIME",
            value=float(c["TIME"][repeated[0]]),
        )
