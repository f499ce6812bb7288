"""Observed proportions with exact intervals: what a fitted exposure-response is drawn against."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import (
    binary_of,
    column_of,
    exposures_of,
    histologies_of,
    label_of,
    named_subjects,
    subjects_of,
)

__all__ = ["clopper_pearson", "counts", "events_per_histology", "observed_proportions"]


def clopper_pearson(events: np.ndarray, n: np.ndarray, level: float = 0.95) -> tuple[np.ndarray, np.ndarray]:
    """Exact binomial interval (Clopper CJ, Pearson ES. Biometrika 1934;26:404-413).

    Parameters
    ----------
    events, n : array_like of int
        0 <= events <= n, n >= 1.
    level : float
        Coverage, at least.

    Returns
    -------
    (lower, upper) : tuple of ndarray
    """
    from scipy.special import betaincinv

    s, n = np.atleast_1d(np.asarray(events, dtype=float)), np.atleast_1d(np.asarray(n, dtype=float))
    tail = (1 - level) / 2
    lower = np.where(s > 0, betaincinv(np.maximum(s, 1), n - s + 1, tail), 0.0)
    upper = np.where(s < n, betaincinv(s + 1, np.maximum(n - s, 1), 1 - tail), 1.0)
    return lower, upper


def observed_proportions(
    frame: pd.DataFrame,
    response: str,
    exposure: str,
    histology: str | None = None,
    groups: int = 4,
    *,
    minimum_size: int = 5,
    level: float = 0.95,
) -> pd.DataFrame:
    """Proportion of events in exposure groups of equal size, per histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    response, exposure : str
        Columns: 0/1 endpoint, exposure.
    histology : str, optional
        Column; without it all subjects are histology "all".
    groups : int
        Groups per histology; fewer where a group would have less than `minimum_size` subjects. Subjects of
        equal exposure stay together.
    minimum_size : int
        Smallest intended size of a group.
    level : float
        Coverage of the Clopper-Pearson interval.

    Returns
    -------
    DataFrame
        histology, exposure (mean of the group), n, events, proportion, lower, upper; by histology and
        exposure.
    """
    if groups < 1 or minimum_size < 1:
        raise InputError("E_OPTION", f"groups={groups!r}, minimum_size={minimum_size!r}.", "Give 1 or more.")
    ids = subjects_of(frame)
    y = binary_of(frame, response, ids)
    x = exposures_of(frame, exposure, ids, positive=False)
    labels, levels = _histology(frame, histology, ids)
    rows = []
    for k in levels:
        at = labels == k
        xk, yk = x[at], y[at]
        n_groups = min(groups, max(1, len(xk) // minimum_size))
        below = np.searchsorted(np.sort(xk), xk, side="left")
        group = below * n_groups // len(xk)
        for g in np.unique(group):
            inside = group == g
            rows.append((k, float(np.sort(xk[inside]).mean()), int(inside.sum()), int(yk[inside].sum())))
    return _with_interval(pd.DataFrame(rows, columns=["histology", "exposure", "n", "events"]), level)


def counts(
    frame: pd.DataFrame,
    response: str,
    histology: str | None = None,
    dose: str | None = None,
    *,
    level: float = 0.95,
) -> pd.DataFrame:
    """Events per histology and dose level, with Clopper-Pearson intervals.

    Returns
    -------
    DataFrame
        histology, dose (if named), n, events, proportion, lower, upper; by histology and dose.
    """
    ids = subjects_of(frame)
    table = pd.DataFrame({"y": binary_of(frame, response, ids)})
    labels, levels = _histology(frame, histology, ids)
    table["histology"] = pd.Categorical(labels, categories=list(levels))
    keys = ["histology"]
    if dose is not None:
        column = column_of(frame, dose)
        absent = column.isna().to_numpy()
        if absent.any():
            raise InputError(
                "E_DOSE_MISSING",
                f"dose {dose} is missing for {named_subjects(ids, absent)}.",
                "Complete it, or leave these subjects out.",
            )
        table["dose"] = column.to_numpy()
        keys.append("dose")
    grouped = table.groupby(keys, observed=True, sort=True)["y"].agg(["size", "sum"]).reset_index()
    grouped["histology"] = [label_of(v) for v in grouped["histology"]]
    grouped = grouped.rename(columns={"size": "n", "sum": "events"})
    grouped["events"] = grouped["events"].astype(np.int64)
    return _with_interval(grouped, level)


def events_per_histology(records: pd.DataFrame, histologies: tuple[str, ...]) -> pd.DataFrame:
    """Count subjects and events of records that were read: columns histology, n, events, in the order given."""
    grouped = records.groupby("histology")["response"].agg(["size", "sum"]).reindex(list(histologies))
    return pd.DataFrame(
        {
            "histology": list(histologies),
            "n": grouped["size"].to_numpy(dtype=np.int64),
            "events": grouped["sum"].to_numpy(dtype=np.int64),
        }
    )


def _histology(frame, histology, ids) -> tuple[np.ndarray, tuple[str, ...]]:
    if histology is None:
        return np.full(len(ids), "all", dtype=object), ("all",)
    return histologies_of(frame, histology, ids)


def _with_interval(table: pd.DataFrame, level: float) -> pd.DataFrame:
    table["proportion"] = table["events"] / table["n"]
    table["lower"], table["upper"] = clopper_pearson(table["events"].to_numpy(), table["n"].to_numpy(), level)
    return table
