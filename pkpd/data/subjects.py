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

    A subject with neither doses nor observations is always an error. In data with doses, a subject that is
    observed but never dosed is one too, because lost dose records look like that (``E_NO_DOSES``); likewise,
    in data with observations, a subject that is dosed but has neither an observation nor a prediction point
    (``E_NO_OBSERVATIONS``). Either can be declared as meant with ``allow`` (placebo; subjects kept for their
    doses) and is then a warning. Data without any dose, or without any observation, get one warning.

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

    known, n = codes >= 0, len(uniques)
    observed = np.bincount(codes[known & records.observed], minlength=n) > 0
    dosed = np.bincount(codes[known & records.dosed], minlength=n) > 0
    points = np.bincount(codes[known & (records.columns["EVID"] == 0)], minlength=n) > 0
    first = np.full(n, -1)
    first[codes[known][::-1]] = np.flatnonzero(known)[::-1]

    if not dosed.any():
        ledger.add("W_NO_DOSES")
    if not observed.any():
        ledger.add("W_NO_OBSERVATIONS")
    empty = ~observed & ~dosed & (~points | dosed.any())
    ledger.add_rows("E_SUBJECT_EMPTY", first[empty], "EVID")
    if dosed.any():
        ledger.add_rows(_declared("E_NO_DOSES", allow), first[observed & ~dosed], "AMT")
    if observed.any():
        ledger.add_rows(_declared("E_NO_OBSERVATIONS", allow), first[dosed & ~observed & ~points], "DV")


def _declared(code: str, allow: Collection[str]) -> str:
    return f"W{code[1:]}_ALLOWED" if code in allow else code


def _check_blocks(codes: np.ndarray, ledger: Ledger) -> None:
    starts = np.flatnonzero(np.concatenate([[True], codes[1:] != codes[:-1]]))
    starts = starts[codes[starts] >= 0]
    again = pd.Series(codes[starts]).duplicated().to_numpy()
    ledger.add_rows("E_ID_SPLIT", starts[again], "ID")


def _check_times(codes: np.ndarray, time: np.ndarray, ledger: Ledger) -> None:
    back = np.flatnonzero((codes[1:] == codes[:-1]) & (time[1:] < time[:-1])) + 1
    ledger.add_rows("E_TIME_NOT_INCREASING", back, "TIME", time, before=time[back - 1])


def _check_duplicates(codes: np.ndarray, records: Records, ledger: Ledger) -> None:
    c = records.columns
    at = np.flatnonzero(records.observed & (codes >= 0) & ~np.isnan(c["TIME"]) & ~np.isnan(c["DV"]))
    key = {"code": codes[at], "time": c["TIME"][at], "endpoint": c["DVID"][at], "compartment": c["CMT"][at]}
    repeated = at[pd.DataFrame(key).duplicated().to_numpy()]
    if len(repeated):
        i = int(repeated[0])
        subjects = list(dict.fromkeys(ledger.label(k) for k in repeated))
        words = {"count": len(repeated), "subjects": names(subjects)}
        ledger.add_at("W_DUPLICATE_OBSERVATION", i, "TIME", c["TIME"][i], **words)
