"""What a histology cannot be told apart from: rank, estimability and variance inflation of the design."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import column_of, histologies_of, label_of, named_subjects, subjects_of
from pkpd.results import result

__all__ = ["AliasingMap", "aliasing_map"]

INFLATED = 5.0  # a variance five times that of a balanced design: customary limit (Kutner, Neter: 5-10)


@result
@dataclass(frozen=True)
class AliasingMap:
    """How far histology is separable from dose, formulation, study, line of therapy ….

    Attributes
    ----------
    table : DataFrame
        One row per histology but the reference: histology, estimable (whether its contrast to the reference
        can be estimated with all columns in the model), vif (variance inflation of that contrast by the
        columns; infinite where it is not estimable), shares_nothing (columns of which it shares no level with
        the reference), aliased_with (the columns whose removal, one at a time, makes it estimable; all of
        them where no single one does).
    columns : DataFrame
        One row per column: column, levels, vif (generalised, GVIF^(1/df) of histology against it alone),
        cramer_v (association with histology; 1: one determines the other).
    cells : DataFrame
        Patients per combination of histology and columns.
    rank, width : int
        Of the design matrix; a rank below the width is a design that cannot separate its parts.
    reference : str
    """

    table: pd.DataFrame
    columns: pd.DataFrame
    cells: pd.DataFrame
    rank: int
    width: int
    reference: str


def aliasing_map(
    frame: pd.DataFrame, histology: str, columns: Sequence[str], reference: str | None = None
) -> AliasingMap:
    """Cross histology with the columns that it may be confounded with.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    histology : str
        Column.
    columns : sequence of str
        Text columns become levels; numeric ones too where they take at most ten values (dose), else they
        enter as they are.
    reference : str, optional
        Histology to compare with; the largest by default.

    Returns
    -------
    AliasingMap

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_HISTOLOGY_MISSING``, ``E_REFERENCE_ABSENT``, ``E_COVARIATE_MISSING``,
        ``E_OPTION`` without columns or with one histology.

    References
    ----------
    Fox J, Monette G. J Am Stat Assoc 1992;87:178-183 (generalised variance inflation).
    """
    ids = subjects_of(frame)
    labels, levels = histologies_of(frame, histology, ids)
    if len(levels) < 2 or not columns:
        raise InputError(
            "E_OPTION",
            f"{len(levels)} histologies and {len(columns)} columns leave nothing to tell apart.",
            "Give two histologies or more, and the columns that may be confounded with them.",
        )
    reference = max(levels, key=lambda k: (labels == k).sum()) if reference is None else label_of(reference)
    if reference not in levels:
        raise InputError(
            "E_REFERENCE_ABSENT",
            f"the reference histology {reference!r} has no subject; present are {list(levels)!r}.",
            "Name one of these as the reference.",
        )
    others = [k for k in levels if k != reference]
    own = np.column_stack([labels == k for k in others]).astype(float)
    blocks = {name: _block(frame, name, ids) for name in columns}
    rest = [np.ones((len(labels), 1)), *(b for b, _ in blocks.values())]
    x = np.hstack([own, *rest])
    rows = []
    for j, level in enumerate(others):
        estimable = _estimable(x, j)
        apart = [
            name
            for name, (_, values) in blocks.items()
            if values is not None and not set(values[labels == level]) & set(values[labels == reference])
        ]
        rows.append(
            {
                "histology": level,
                "estimable": estimable,
                "vif": _inflation(own, j, rest) if estimable else np.inf,
                "shares_nothing": ", ".join(apart),
                "aliased_with": "" if estimable else _culprits(own, j, blocks),
            }
        )
    return AliasingMap(
        table=pd.DataFrame(rows),
        columns=pd.DataFrame([_column(name, own, labels, *blocks[name]) for name in columns]),
        cells=_cells(frame, labels, columns, blocks),
        rank=_rank(x),
        width=x.shape[1],
        reference=reference,
    )


def _block(frame: pd.DataFrame, name: str, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Columns of the design, and the level of each subject (None for a continuous column)."""
    column = column_of(frame, name).infer_objects()
    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_COVARIATE_MISSING",
            f"{name} is missing for {named_subjects(ids, absent)}.",
            "Complete it, or leave these subjects out.",
        )
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and column.nunique() > 10:
        values = column.to_numpy(float)
        return (values - values.mean())[:, None] / max(float(values.std()), 1e-300), None
    labels = np.array([label_of(v) for v in column], dtype=object)
    levels = sorted(set(labels))
    return np.column_stack([np.zeros(len(labels)), *(labels == v for v in levels[1:])])[:, 1:].astype(
        float
    ), labels


def _rank(x: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(x, tol=1e-9 * len(x))) if x.shape[1] else 0


def _estimable(x: np.ndarray, j: int) -> bool:
    """Whether coefficient `j` is a linear function of the expected values: its unit vector is in the row space."""
    unit = np.zeros((1, x.shape[1]))
    unit[0, j] = 1.0
    return _rank(np.vstack([x, unit])) == _rank(x)


def _residual(y: np.ndarray, x: np.ndarray) -> float:
    return float(((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2).sum())


def _inflation(own: np.ndarray, j: int, rest: list[np.ndarray]) -> float:
    """Variance of a histology's contrast with the columns in the model, over that without them."""
    others = np.delete(own, j, axis=1)
    without = _residual(own[:, j], np.hstack([others, rest[0]]))
    return without / _residual(own[:, j], np.hstack([others, *rest]))


def _culprits(own: np.ndarray, j: int, blocks: dict[str, tuple[np.ndarray, np.ndarray | None]]) -> str:
    alone = []
    for name in blocks:
        kept = [b for other, (b, _) in blocks.items() if other != name]
        if _estimable(np.hstack([own, np.ones((len(own), 1)), *kept]), j):
            alone.append(name)
    if alone:
        return ", ".join(alone)
    # several columns say the same: each is aliased by itself
    each = [
        n for n, (b, _) in blocks.items() if not _estimable(np.hstack([own, np.ones((len(own), 1)), b]), j)
    ]
    return ", ".join(each or blocks)


def _column(
    name: str, own: np.ndarray, labels: np.ndarray, block: np.ndarray, values: np.ndarray | None
) -> dict[str, object]:
    v = float("nan")
    if values is not None and len(set(values)) > 1:
        counts = pd.crosstab(pd.Series(labels), pd.Series(values)).to_numpy(float)
        expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
        chi2 = float(((counts - expected) ** 2 / expected).sum())
        v = float(np.sqrt(chi2 / (counts.sum() * (min(counts.shape) - 1))))
    return {
        "column": name,
        "levels": 0 if values is None else len(set(values)),
        "vif": _generalised(own, block),
        "cramer_v": v,
    }


def _generalised(a: np.ndarray, b: np.ndarray) -> float:
    """GVIF^(1/df) of the columns `a` given `b`: det(S_aa) det(S_bb) / det(S), on centred columns."""
    if b.shape[1] == 0 or _rank(np.hstack([np.ones((len(a), 1)), a, b])) < 1 + a.shape[1] + b.shape[1]:
        return 1.0 if b.shape[1] == 0 else float("inf")
    both = np.hstack([a, b])
    s = np.corrcoef(both, rowvar=False).reshape(both.shape[1], both.shape[1])
    k = a.shape[1]
    log = np.linalg.slogdet(s[:k, :k])[1] + np.linalg.slogdet(s[k:, k:])[1] - np.linalg.slogdet(s)[1]
    return float(np.exp(log / k))


def _cells(frame, labels, columns, blocks) -> pd.DataFrame:
    table = pd.DataFrame({"histology": labels})
    for name in columns:
        if blocks[name][1] is not None:
            table[name] = blocks[name][1]
    sizes = table.groupby(list(table.columns)).size().rename("n").reset_index()
    return sizes.sort_values(list(table.columns), key=in_order, ignore_index=True)


def in_order(column: Any) -> Any:
    """Keys to sort a Series or an Index of levels by: a dose of 50 comes before one of 100, though levels are text."""
    numbers = pd.to_numeric(column, errors="coerce")
    return column if pd.isna(numbers).any() else numbers
