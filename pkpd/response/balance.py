"""Are two groups of patients alike? Standardised mean differences of their covariates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import column_of, histologies_of, label_of, subjects_of

__all__ = ["covariate_balance"]

BALANCED = 0.1  # Austin PC. Stat Med 2009;28:3083-3107


def covariate_balance(
    frame: pd.DataFrame,
    group: str,
    covariates: Sequence[str],
    reference: str | float | None = None,
    weights: Sequence[float] | np.ndarray | pd.Series | None = None,
) -> pd.DataFrame:
    """Standardised mean difference of each covariate, each group against the reference group.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    group : str
        Column: treatment, exposure class or histology.
    covariates : sequence of str
        Numeric columns, or text columns (one row per level). Missing values are left out and counted.
    reference : optional
        Group to compare with; the largest by default.
    weights : array_like, shape (n,), optional
        Of :func:`inverse_probability_weights`; adds the weighted columns.

    Returns
    -------
    DataFrame
        group, covariate, level, missing, mean, mean_reference, smd, balanced (smd within ±0.1) and, with weights,
        smd_weighted, balanced_weighted. smd is the difference of means over √((s₁² + s₂²)/2), for a level
        over that of its two proportions; the weighted one keeps the same denominator, so that weighting
        cannot look good by widening the spread.

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_REFERENCE_ABSENT``, ``E_WEIGHT``.
    """
    ids = subjects_of(frame)
    labels, levels = histologies_of(frame, group, ids)
    home = max(levels, key=lambda k: (labels == k).sum()) if reference is None else label_of(reference)
    if home not in levels:
        raise InputError(
            "E_REFERENCE_ABSENT",
            f"group {home!r} has no subject; present are {list(levels)!r}.",
            "Name one of these as the reference.",
        )
    w = None if weights is None else weights_of(weights, len(frame))
    rows = []
    for level in levels:
        if level == home:
            continue
        for name in covariates:
            for sub, values, binary in _columns(frame, name):
                a, b = labels == level, labels == home
                known = np.isfinite(values)
                row: dict[str, Any] = {
                    "group": level,
                    "covariate": name,
                    "level": sub,
                    "missing": int(((a | b) & ~known).sum()),
                }
                a, b = a & known, b & known
                spread = _spread(values, a, b, binary)
                row["mean"], row["mean_reference"] = _mean(values, a, None), _mean(values, b, None)
                row["smd"] = _over(row["mean"] - row["mean_reference"], spread)
                row["balanced"] = bool(abs(row["smd"]) < BALANCED)
                if w is not None:
                    row["smd_weighted"] = _over(_mean(values, a, w) - _mean(values, b, w), spread)
                    row["balanced_weighted"] = bool(abs(row["smd_weighted"]) < BALANCED)
                rows.append(row)
    return pd.DataFrame(rows)


def weights_of(weights, n: int) -> np.ndarray:
    """Weights as floats: one per row, finite, none negative, not all 0."""
    w = np.asarray(weights, float).ravel()
    if w.size != n or not np.isfinite(w).all() or (w < 0).any() or w.sum() == 0:
        raise InputError(
            "E_WEIGHT",
            f"{w.size} weights for {n} subjects, or one that is negative or not finite.",
            "Give one weight of 0 or more per row.",
        )
    return w


def _columns(frame: pd.DataFrame, name: str) -> list[tuple[str, np.ndarray, bool]]:
    column = column_of(frame, name).infer_objects()
    if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column):
        values = column.to_numpy(float, na_value=np.nan)
        return [("", values, bool(np.isin(values[np.isfinite(values)], (0.0, 1.0)).all()))]
    absent = column.isna().to_numpy()
    labels = np.array([label_of(v) for v in column], dtype=object)
    return [
        (v, np.where(absent, np.nan, (labels == v).astype(float)), True) for v in sorted(set(labels[~absent]))
    ]


def _mean(values: np.ndarray, where: np.ndarray, w: np.ndarray | None) -> float:
    if not where.any():
        return float("nan")
    return float(np.average(values[where], weights=None if w is None else w[where]))


def _spread(values: np.ndarray, a: np.ndarray, b: np.ndarray, binary: bool) -> float:
    def variance(where: np.ndarray) -> float:
        own = values[where]
        if binary and own.size:
            return float(own.mean() * (1 - own.mean()))
        return float(own.var(ddof=1)) if own.size > 1 else float("nan")

    return float(np.sqrt((variance(a) + variance(b)) / 2))


def _over(difference: float, spread: float) -> float:
    if difference == 0:
        return 0.0
    return difference / spread if spread > 0 else float(np.copysign(np.inf, difference))
