"""Covariates and histology: number or category, and what is missing for whom."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import has_text, parse

__all__ = ["read_covariate", "read_histology"]


def read_covariate(name: str, column: np.ndarray, codes: np.ndarray, ledger: Ledger) -> np.ndarray:
    """Read one covariate.

    Parameters
    ----------
    name : str
    column : ndarray, shape (n,)
        Raw cells.
    codes : ndarray of int, shape (n,)
        Subject of each record, -1 where unknown.
    ledger : Ledger
        Receives ``W_COVARIATE_MISSING``, ``W_COVARIATE_MIXED``, ``E_NOT_FINITE``.

    Returns
    -------
    ndarray, shape (n,)
        Float where every cell is a number (NaN = missing), otherwise text (None = missing).
    """
    numbers = parse(column)
    is_text = bool(numbers.wrong.any())
    if not is_text:
        ledger.add_rows(
            "E_NOT_FINITE",
            numbers.infinite,
            "{value} is not a finite number.",
            "Write the number, or leave the cell empty if it is missing.",
            column=name,
            values=column,
        )
    elif numbers.given.any():
        at = int(np.flatnonzero(numbers.wrong)[0])
        ledger.add(
            "W_COVARIATE_MIXED",
            f"most cells might be numbers but {column[at]!r} is not; the column is read as categories."
            if numbers.given.mean() > 0.5
            else f"numbers and text ({column[at]!r}) are mixed; the column is read as categories.",
            "Correct the text if the covariate is a number.",
            row=int(ledger.lines[at]),
            subject=ledger.label(at),
            column=name,
            value=column[at],
        )
    _report_missing(name, numbers.missing, codes, ledger)
    return column if is_text else numbers.values


def _report_missing(name: str, missing: np.ndarray, codes: np.ndarray, ledger: Ledger) -> None:
    if not missing.any():
        return
    at = np.flatnonzero(missing)
    subjects = list(dict.fromkeys(ledger.label(i) for i in at[np.unique(codes[at], return_index=True)[1]]))
    total = len(np.unique(codes[codes >= 0]))
    ledger.add(
        "W_COVARIATE_MISSING",
        f"missing for {len(subjects)} of {total} subjects (ID {names(subjects, 10)}).",
        "A model that uses it will refuse these subjects: impute it by a stated rule, or leave them out.",
        row=int(ledger.lines[at[0]]),
        subject=ledger.label(at[0]),
        column=name,
    )


def read_histology(name: str, column: np.ndarray, codes: np.ndarray, ledger: Ledger) -> np.ndarray:
    """Read the histology: one label per subject, always text.

    A label that stands on some records of a subject only is carried to its others.

    Parameters
    ----------
    name : str
    column : ndarray, shape (n,)
        Raw cells; whole numbers become the text without a decimal point.
    codes : ndarray of int, shape (n,)
        Subject of each record, -1 where unknown.
    ledger : Ledger
        Receives ``E_HISTOLOGY_MISSING``, ``E_HISTOLOGY_VARIES``, ``W_HISTOLOGY_FILLED``, ``W_HISTOLOGY_SPELLING``.

    Returns
    -------
    ndarray of object, shape (n,)
    """
    labels = column if has_text(column) else _as_text(column)
    known = codes >= 0
    given = ~pd.isna(labels) & known
    n = int(codes.max(initial=-1)) + 1
    own = np.full(n, None, dtype=object)  # label of the first record of each subject that has one
    own[codes[given][::-1]] = labels[given][::-1]
    expected = np.where(known, own[codes], None)
    varies = given & (labels != expected)
    changed = np.unique(codes[varies], return_index=True)[1]
    ledger.add_rows(
        "E_HISTOLOGY_VARIES",
        np.sort(np.flatnonzero(varies)[changed]),
        "the histology changes to {value}, from {before} before, within the subject.",
        "Give each subject one histology.",
        column=name,
        values=labels,
        before=expected[np.sort(np.flatnonzero(varies)[changed])],
    )
    absent = known & _absent(expected)
    first = np.sort(np.flatnonzero(absent)[np.unique(codes[absent], return_index=True)[1]])
    ledger.add_rows(
        "E_HISTOLOGY_MISSING",
        first,
        "the subject has no histology.",
        'Give it one (e.g. "unknown" as a label of its own), or leave the subject out.',
        column=name,
    )
    filled = np.flatnonzero(known & pd.isna(labels) & ~_absent(expected))
    if len(filled):
        ledger.add(
            "W_HISTOLOGY_FILLED",
            f"{len(filled)} record(s) without a label take that of their subject.",
            "Write it on every record.",
            row=int(ledger.lines[filled[0]]),
            subject=ledger.label(filled[0]),
            column=name,
        )
    _report_spelling(name, [x for x in dict.fromkeys(own.tolist()) if x is not None], ledger)
    return np.where(pd.isna(labels), expected, labels)


def _as_text(column: np.ndarray) -> np.ndarray:
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = np.empty(len(uniques) + 1, dtype=object)
    for i, value in enumerate(uniques):
        texts[i] = str(int(value)) if float(value).is_integer() else str(value)
    return texts[codes]


def _report_spelling(name: str, labels: list[str], ledger: Ledger) -> None:
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(re.sub(r"[\W_]+", "", label).casefold(), []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            ledger.add(
                "W_HISTOLOGY_SPELLING",
                f"{' and '.join(repr(s) for s in same)} are taken for different histologies.",
                "Write one histology one way.",
                column=name,
                value=same[1],
            )
