"""Columns of the data as a model reads them: one value per record, missing ones carried within the subject."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import ModelError, PkpdWarning
from pkpd.language.declarations import Factor

__all__ = [
    "Column",
    "endpoint_numbers",
    "label_column",
    "levels",
    "number_column",
    "occasion_levels",
    "record_owner",
]


@dataclass(frozen=True)
class Column:
    """Values of a column.

    ``values`` (R,) one per record: numbers, or labels as text; ``varies`` says whether they change within a subject.
    """

    name: str
    values: np.ndarray
    varies: bool


def record_owner(data: Dataset) -> np.ndarray:
    """Subject (from 0) of each record, (R,)."""
    return np.repeat(np.arange(data.n_subjects), np.diff(data.offsets))


def endpoint_numbers(data: Dataset, names: Sequence[str]) -> np.ndarray:
    """Endpoint (from 0) of each record (R,) among ``names``, by DVID: its number or its name; -1 for none of them."""
    column = data.frame["DVID"]
    if pd.api.types.is_numeric_dtype(column):
        numbers = column.to_numpy(np.int64) - 1
        return np.where(numbers < len(names), numbers, -1)
    return pd.Index(names).get_indexer(pd.Index(column, dtype=object))


def number_column(name: str, data: Dataset) -> Column:
    """Read a numeric column.

    Raises
    ------
    ModelError
        ``E_MODEL_COLUMN`` if there is no such column or it is text, ``E_COVARIATE_MISSING`` for subjects without a value.
    """
    values = _carried(name, data)
    if values.dtype == object:
        raise ModelError(
            "E_MODEL_COLUMN",
            f"column {name} is text ({values[0]!r} …), but the model uses it as a number.",
            "Use m.factor(…) for categories.",
        )
    return Column(name, values, _varies(values, data))


def label_column(name: str, data: Dataset) -> Column:
    """Read a categorical column; errors as in :func:`number_column`."""
    codes, found = pd.factorize(_carried(name, data), use_na_sentinel=False)
    labels = np.array([_label(v) for v in found], dtype=object)
    return Column(name, labels[codes], _varies(codes, data))


def _carried(name: str, data: Dataset) -> np.ndarray:
    """Values of all records; a missing one is the last before it in the subject, or else the first after it."""
    if name not in data.frame.columns:
        raise ModelError(
            "E_MODEL_COLUMN",
            f"the model needs column {name!r}, which {data.source} does not have.",
            f"It has: {', '.join(data.covariates)}.",
        )
    column = data.frame[name]
    values = column.to_numpy(float if pd.api.types.is_numeric_dtype(column) else object)
    lacking = column.isna().to_numpy()
    if not lacking.any():
        return values
    owner, at = record_owner(data), np.arange(len(values))
    before = np.maximum.accumulate(np.where(lacking, -1, at))
    after = np.minimum.accumulate(np.where(lacking, len(values), at)[::-1])[::-1]
    source = np.where(before >= data.offsets[owner], before, after)
    nowhere = np.unique(owner[source >= data.offsets[owner + 1]])
    if len(nowhere):
        shown = ", ".join(str(data.subjects[i]) for i in nowhere[:10])
        raise ModelError(
            "E_COVARIATE_MISSING",
            f"column {name} is missing for {len(nowhere)} of {data.n_subjects} subjects: ID {shown}"
            f"{' …' if len(nowhere) > 10 else ''}.",
            f'Impute it by a stated rule (data.imputed({name}="median") or "mode"), or leave those subjects out.',
        )
    who = np.unique(owner[lacking])
    warnings.warn(
        f"W_COVARIATE_CARRIED: column {name} is missing on {lacking.sum()} records of {len(who)} subjects (ID "
        f"{', '.join(str(data.subjects[i]) for i in who[:10])}{' …' if len(who) > 10 else ''}): the value before is carried "
        "forward, and the first one back to the records before it.",
        PkpdWarning,
        stacklevel=2,
    )
    return values[source]


def _varies(values: np.ndarray, data: Dataset) -> bool:
    changes = values[1:] != values[:-1]
    changes[data.offsets[1:-1] - 1] = False
    return bool(changes.any())


def _label(value: object) -> str:
    # a category written 1 in the file is "1", not "1.0"
    whole = isinstance(value, (float, np.floating)) and float(value).is_integer()
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def levels(factor: Factor, labels: np.ndarray, *, partial: bool = False) -> list[str]:
    """Non-reference levels in the data in order of appearance.

    Parameters
    ----------
    factor : Factor
    labels : (R,) array
    partial : bool
        Whether levels may be absent, the reference too: nothing is estimated from these data.

    Raises
    ------
    ModelError
        ``E_MODEL_REFERENCE`` if nobody has the reference level, ``E_MODEL_LEVEL`` if declared and present levels differ.
    """
    present = list(dict.fromkeys(labels.tolist()))
    if factor.reference not in present and not partial:
        raise ModelError(
            "E_MODEL_REFERENCE",
            f"factor {factor.name}: the reference level {factor.reference!r} has no subject.",
            f"Levels present: {', '.join(present)}.",
        )
    if factor.levels is not None:
        unknown = [x for x in present if x not in factor.levels]
        if unknown:
            raise ModelError(
                "E_MODEL_LEVEL",
                f"factor {factor.name}: level {unknown[0]!r} of the data is not declared.",
                f"Declared: {', '.join(factor.levels)}.",
            )
        absent = [x for x in factor.levels if x not in present]
        if absent and not partial:
            raise ModelError(
                "E_MODEL_LEVEL",
                f"factor {factor.name}: no subject has level {absent[0]!r}.",
                "Remove it from levels.",
            )
    return [x for x in present if x != factor.reference]


def occasion_levels(labels: np.ndarray) -> list[str]:
    """Occasions of the data: in order of number where all are numbers, else in order of appearance."""
    present = list(dict.fromkeys(labels.tolist()))
    try:
        return sorted(present, key=float)
    except ValueError:
        return present
