"""Text to numbers without guessing: what is a number, what is missing, and what is neither."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["MISSING", "Numbers", "has_text", "parse", "tokens"]

# What stands for "no value" in a cell; everything else must be what its column says.
MISSING = frozenset({"", ".", "NA"})

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Numbers:
    """A column read as numbers.

    Attributes
    ----------
    values : ndarray of float, shape (n,)
        NaN where missing, wrong or not finite.
    missing, wrong, infinite : ndarray of bool, shape (n,)
        No value; text that is not a number; NaN written out, or infinity.
    """

    values: np.ndarray
    missing: np.ndarray
    wrong: np.ndarray
    infinite: np.ndarray

    @property
    def given(self) -> np.ndarray:
        """Where there is a usable number."""
        return ~np.isnan(self.values)

    @property
    def unread(self) -> np.ndarray:
        """Where something is written that is not a usable number."""
        return self.wrong | self.infinite


def tokens(column: pd.Series) -> np.ndarray:
    """Cells of a text column, stripped; None where missing.

    Parameters
    ----------
    column : Series
        Text, or a mixture of text and numbers; NaN and None are missing.

    Returns
    -------
    ndarray of object, shape (n,)
        ``str`` or None.
    """
    cells = column.to_numpy(dtype=object)
    try:
        codes, uniques = pd.factorize(cells, use_na_sentinel=True)
    except TypeError:  # lists and the like in the cells: their text is reported as what it is
        codes, uniques = pd.factorize(np.array([str(v) for v in cells], dtype=object))
    clean = np.empty(len(uniques) + 1, dtype=object)  # the last stays None: factorize codes missing as -1
    for i, unique in enumerate(uniques):
        # a whole float, as a spreadsheet hands it over, is the label "3", not "3.0"
        text = str(int(unique)) if isinstance(unique, float) and unique.is_integer() else str(unique)
        text = text.strip()
        clean[i] = None if text in MISSING else text
    return clean[codes]


def parse(column: np.ndarray) -> Numbers:
    """Read a column as numbers.

    Parameters
    ----------
    column : ndarray, shape (n,)
        Numbers (NaN = missing) or cells as :func:`tokens` gives them.

    Returns
    -------
    Numbers
    """
    if not has_text(column):
        values = column.astype(np.float64)  # astype copies: the caller's table stays as it is
        missing, infinite = np.isnan(values), np.isinf(values)
        values[infinite] = np.nan
        return Numbers(values, missing, np.zeros(len(values), dtype=bool), infinite)
    codes, uniques = pd.factorize(column, use_na_sentinel=True)
    size = len(uniques) + 1
    numbers = np.full(size, np.nan)
    wrong, infinite = np.zeros(size, dtype=bool), np.zeros(size, dtype=bool)
    for i, text in enumerate(uniques):
        if _NUMBER.match(text):
            numbers[i] = float(text)
            infinite[i] = not np.isfinite(numbers[i])
        elif _NOT_FINITE.match(text):
            infinite[i] = True
        else:
            wrong[i] = True
    numbers[infinite] = np.nan
    return Numbers(numbers[codes], codes == -1, wrong[codes], infinite[codes])


def has_text(column: np.ndarray) -> bool:
    """Whether a raw column holds text cells rather than numbers."""
    return column.dtype == object
