"""Covariates and histology: number or category, and what is missing for whom."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.missing_codes import report_missing_codes
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
        Receives ``W_COVARIATE_MISSING``, ``W_COVARIATE_MIXED``, ``W_MISSING_CODE``, ``E_NOT_FINITE``.

    Returns
    -------
    ndarray, shape (n,)
        Float where every cell is a number (NaN = missing), otherwise text (None = missing).
    """
    numbers = parse(column)
    is_text = bool(numbers.wrong.any())
    if not is_text:
        ledger.add_rows("E_NOT_FINITE", numbers.infinite, name, column)
        report_missing_codes(name, numbers.values, ledger)
    elif numbers.given.any():
        i = int(np.flatnonzero(numbers.wrong)[0])
        ledger.add_at("W_COVARIATE_MIXED", i, name, column[i])
    _report_missing(name, numbers.missing, codes, ledger)
    return column if is_text else numbers.values


def _report_missing(name: str, missing: np.ndarray, codes: np.ndarray, ledger: Ledger) -> None:
    at = np.flatnonzero(missing)
    if len(at) == 0:
        return
    first = np.sort(at[np.unique(codes[at], return_index=True)[1]])
    subjects = [ledger.label(i) for i in first]
    total = len(np.unique(codes[codes >= 0]))
    ledger.add_at(
        "W_COVARIATE_MISSING", at[0], name, count=len(subjects), total=total, subjects=names(subjects, 10)
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
        Receives ``E_HISTOLOGY_MISSING``, ``E_HISTOLOGY_VARIES``, ``W_HISTOLOGY_FILLED``,
        ``W_HISTOLOGY_SPELLING``.

    Returns
    -------
    ndarray of object, shape (n,)
    """
    labels = column if has_text(column) else _as_text(column)
    known = codes >= 0
    given = ~_absent(labels) & known
    own = np.full(int(codes.max(initial=-1)) + 2, None, dtype=object)  # the last entry serves code -1
    own[codes[given][::-1]] = labels[given][::-1]  # backwards, so that the first label of a subject stays
    expected = own[codes]
    varies = np.flatnonzero(given & (labels != expected))
    varies = np.sort(varies[np.unique(codes[varies], return_index=True)[1]])
    ledger.add_rows("E_HISTOLOGY_VARIES", varies, name, labels, before=expected[varies])
    nowhere = np.flatnonzero(known & _absent(expected))
    nowhere = np.sort(nowhere[np.unique(codes[nowhere], return_index=True)[1]])
    ledger.add_rows("E_HISTOLOGY_MISSING", nowhere, name)
    filled = np.flatnonzero(known & _absent(labels) & ~_absent(expected))
    if len(filled):
        ledger.add_at("W_HISTOLOGY_FILLED", filled[0], name, expected[filled[0]], count=len(filled))
    _report_spelling(name, [x for x in dict.fromkeys(own.tolist()) if x is not None], ledger)
    return np.where(_absent(labels), expected, labels)


def _absent(labels: np.ndarray) -> np.ndarray:
    return np.asarray(pd.isna(pd.Series(labels, dtype=object)))


def _as_text(column: np.ndarray) -> np.ndarray:
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    texts = np.empty(len(uniques) + 1, dtype=object)  # the last stays None, for missing
    for i, value in enumerate(uniques):
        texts[i] = str(int(value)) if float(value).is_integer() else str(value)
    return texts[codes]


def _report_spelling(name: str, labels: list[str], ledger: Ledger) -> None:
    spellings: dict[str, list[str]] = {}
    for label in labels:
        spellings.setdefault(re.sub(r"[\W_]+", "", label).casefold() or label, []).append(label)
    for same in spellings.values():
        if len(same) > 1:
            quoted = " and ".join(repr(s) for s in same)
            ledger.add("W_HISTOLOGY_SPELLING", column=name, value=same[1], labels=quoted)
