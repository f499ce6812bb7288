"""Columns of a table of subjects, read once and refused by name where they cannot be used."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError

__all__ = [
    "binary_of",
    "column_of",
    "exposures_of",
    "histologies_of",
    "label_of",
    "named_subjects",
    "subjects_of",
]


def label_of(value: Any) -> str:
    """Text of a level: whole numbers without a decimal point, so that 1, 1.0 and "1" are one histology."""
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def named_subjects(ids: np.ndarray, where: np.ndarray) -> str:
    """Words that name the subjects at `where`, the first ten of them."""
    chosen = [label_of(v) for v in np.asarray(ids, dtype=object)[np.asarray(where)]]
    hidden = len(chosen) - 10
    return "ID " + ", ".join(chosen[:10]) + (f" and {hidden} more" if hidden > 0 else "")


def subjects_of(frame: pd.DataFrame, *, unique: bool = True) -> np.ndarray:
    """ID of each row: the column ID, else the index.

    Raises
    ------
    InputError
        ``E_FRAME_TYPE``, ``E_FRAME_EMPTY``; ``E_SUBJECT_DUPLICATE`` where `unique` and an ID comes twice.
    """
    if not isinstance(frame, pd.DataFrame):
        raise InputError(
            "E_FRAME_TYPE",
            f"a pandas DataFrame is needed, not {type(frame).__name__}.",
            "Pass one row per subject as a DataFrame.",
        )
    if frame.empty:
        raise InputError(
            "E_FRAME_EMPTY",
            "the table has no rows or no columns.",
            "Pass one row per subject as a DataFrame.",
        )
    if "ID" not in frame.columns:
        return frame.index.to_numpy(dtype=object)
    ids = frame["ID"].to_numpy(dtype=object)
    repeated = (frame["ID"].duplicated(keep=False) & ~frame["ID"].duplicated()).to_numpy()
    if unique and repeated.any():
        raise InputError(
            "E_SUBJECT_DUPLICATE",
            f"{named_subjects(ids, repeated)} have more than one row.",
            "Keep one row per subject; resampled subjects need IDs of their own.",
        )
    return ids


def column_of(frame: pd.DataFrame, name: Any) -> pd.Series:
    """Take the column called `name`, or raise the error that says which columns there are."""
    if name not in frame.columns:
        raise InputError(
            "E_COLUMN_MISSING",
            f"there is no column {name!r}.",
            f"The table has {', '.join(str(c) for c in frame.columns)}.",
        )
    column = frame[name]
    if isinstance(column, pd.DataFrame):
        raise InputError("E_COLUMN_TWICE", f"column {name!r} occurs twice.", "Rename or drop one of them.")
    return column


def numbers_of(frame: pd.DataFrame, name: str, ids: np.ndarray, code: str, what: str) -> np.ndarray:
    """Numeric column without missing values; errors begin with `code` and call the column `what`."""
    column = column_of(frame, name)
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    text = np.isnan(values) & column.notna().to_numpy()
    if text.any():
        first = column.to_numpy(dtype=object)[np.argmax(text)]
        raise InputError(
            f"{code}_NOT_NUMERIC",
            f"{what} {name} is not a number for {named_subjects(ids, text)} (first value: {first!r}).",
            "Correct these values.",
        )
    absent = ~np.isfinite(values)
    if absent.any():
        raise InputError(
            f"{code}_MISSING",
            f"{what} {name} is missing for {named_subjects(ids, absent)}.",
            "Complete it, or leave these subjects out of the table and say so in the report.",
        )
    return values


def exposures_of(frame: pd.DataFrame, name: str, ids: np.ndarray, *, positive: bool) -> np.ndarray:
    """Exposure per subject, finite; positive where its logarithm is wanted.

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_EXPOSURE_NOT_NUMERIC``, ``E_EXPOSURE_MISSING``, ``E_EXPOSURE_NOT_POSITIVE``.
    """
    values = numbers_of(frame, name, ids, "E_EXPOSURE", "exposure")
    if positive and (values <= 0).any():
        raise InputError(
            "E_EXPOSURE_NOT_POSITIVE",
            f"exposure {name} is zero or negative for {named_subjects(ids, values <= 0)};"
            " its logarithm is needed.",
            "Leave subjects without drug (placebo) out, or fit a shape that takes no logarithm, e.g. shape='linear'.",
        )
    return values


def histologies_of(frame: pd.DataFrame, name: str, ids: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
    """Label per subject, and the levels: in their own order if categorical, otherwise sorted."""
    column = column_of(frame, name)
    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_HISTOLOGY_MISSING",
            f"histology {name} is missing for {named_subjects(ids, absent)}.",
            "Complete it, or give these subjects a level of their own.",
        )
    labels = np.array([label_of(v) for v in column], dtype=object)
    present = set(labels)
    if isinstance(column.dtype, pd.CategoricalDtype):
        levels = [label_of(c) for c in column.cat.categories if label_of(c) in present]
    else:
        levels = sorted(present)
    return labels, tuple(levels)


def binary_of(frame: pd.DataFrame, name: str, ids: np.ndarray) -> np.ndarray:
    """0/1 endpoint as floats; booleans are taken as they are.

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_ENDPOINT_MISSING``, ``E_ENDPOINT_NOT_BINARY``.
    """
    column = column_of(frame, name)
    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_ENDPOINT_MISSING",
            f"endpoint {name} is missing for {named_subjects(ids, absent)}.",
            "Code subjects who could not be evaluated as the protocol says (usually 0), or leave them out.",
        )
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    strange = ~((values == 0) | (values == 1))
    if strange.any():
        first = column.to_numpy(dtype=object)[np.argmax(strange)]
        raise InputError(
            "E_ENDPOINT_NOT_BINARY",
            f"endpoint {name} is neither 0 nor 1 for {named_subjects(ids, strange)}"
            f" (first value: {first!r}).",
            "Code it as 0/1 or False/True.",
        )
    return values
