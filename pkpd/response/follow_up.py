"""Times and event indicators of survival data, read once and refused by name where they cannot be used."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response.columns import binary_of, named_subjects, numbers_of
from pkpd.response.regressors import Regressors

__all__ = ["fixed_exposure", "read_follow_up", "refuse_without_events", "survival_counts"]


def read_follow_up(
    frame: pd.DataFrame, time: str, event: str, start: str | None, ids: np.ndarray, *, positive: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Intervals (start, stop] and whether each ends with the event.

    Parameters
    ----------
    frame : DataFrame
        One row per subject, or with `start` one row per interval of constant exposure.
    time, event : str
        Columns: end of follow-up (or of the interval), 0/1.
    start : str or None
        Column: beginning of the interval.
    ids : ndarray
        ID per row.
    positive : bool
        Whether a time of zero is refused.

    Returns
    -------
    (start, stop, event) : tuple of ndarray, shape (n,)
        Without `start` column, start is −inf: at risk from the beginning.

    Raises
    ------
    InputError
        ``E_TIME_*``, ``E_INTERVAL_EMPTY``, ``E_INTERVALS_OVERLAP``, ``E_EVENT_NOT_LAST``, ``E_NO_EVENTS``.
    """
    stop = numbers_of(frame, time, ids, "E_TIME", "time")
    died = binary_of(frame, event, ids)
    wrong = (stop <= 0) if positive else (stop < 0)
    if wrong.any():
        raise InputError(
            "E_TIME_NOT_POSITIVE",
            f"time {time} is {'zero or ' if positive else ''}negative for {named_subjects(ids, wrong)}.",
            "Correct it, or leave these subjects out.",
        )
    if died.max() == 0:
        raise InputError("E_NO_EVENTS", f"no subject has the event {event}.", "Bring data with events.")
    if start is None:
        return np.full(len(stop), -np.inf), stop, died
    begin = numbers_of(frame, start, ids, "E_TIME", "time")
    if (begin >= stop).any():
        raise InputError(
            "E_INTERVAL_EMPTY",
            f"{start} is not before {time} for {named_subjects(ids, begin >= stop)}.",
            "Each row must be an interval (start, stop] of positive length.",
        )
    order = pd.DataFrame({"ID": ids, "start": begin, "stop": stop, "event": died}).sort_values(
        ["ID", "start"], key=lambda c: c.astype(str) if c.name == "ID" else c, kind="stable"
    )
    same = order["ID"].to_numpy()[1:] == order["ID"].to_numpy()[:-1]
    overlap = same & (order["start"].to_numpy()[1:] < order["stop"].to_numpy()[:-1])
    if overlap.any():
        raise InputError(
            "E_INTERVALS_OVERLAP",
            f"intervals overlap for {named_subjects(order['ID'].to_numpy()[1:], overlap)}.",
            "Each moment of a subject's follow-up belongs to one row.",
        )
    early = same & (order["event"].to_numpy()[:-1] == 1)
    if early.any():
        raise InputError(
            "E_EVENT_NOT_LAST",
            f"follow-up goes on after the event for {named_subjects(order['ID'].to_numpy()[1:], early)}.",
            "End follow-up at the first event; recurrent events are not supported.",
        )
    return begin, stop, died


def fixed_exposure(exposure: str | None, known_at_start: bool, start: str | None = None) -> tuple[str, ...]:
    """Warn of an exposure with one value for the whole follow-up, unless it is said to have been known when that began.

    Raises
    ------
    InputError
        ``E_OPTION`` where `known_at_start` is said of no exposure, or of one that comes in intervals.

    Warns
    -----
    PkpdWarning
        ``W_EXPOSURE_FIXED``, which is also returned.
    """
    fixed = exposure is not None and start is None
    if known_at_start and not fixed:
        raise InputError(
            "E_OPTION",
            "known_at_start=True is said of an exposure with one value per subject; here "
            + ("there is no exposure." if exposure is None else f"{exposure} comes in intervals (start=)."),
            "Leave known_at_start out.",
        )
    if known_at_start or not fixed:
        return ()
    note = (
        f"W_EXPOSURE_FIXED: {exposure} has one value for the whole follow-up. An average or a sum up to the event depends"
        " on when the event was, and biases the slope (immortal time). Remedy: exposure in intervals (fit_cox with start=),"
        " or known_at_start=True for one that was known when follow-up began, as that of the planned dose or the first cycle."
    )
    warnings.warn(note, PkpdWarning, stacklevel=3)
    return (note,)


def survival_counts(records: pd.DataFrame, histologies: tuple[str, ...]) -> pd.DataFrame:
    """Count subjects and events per histology: columns histology, n, events."""
    grouped = records.groupby("histology")
    return pd.DataFrame(
        {
            "histology": list(histologies),
            "n": grouped["ID"].nunique().reindex(list(histologies)).to_numpy(),
            "events": grouped["event"].sum().reindex(list(histologies)).to_numpy().astype(np.int64),
        }
    )


def refuse_without_events(counts: pd.DataFrame, regressors: Regressors) -> None:
    """Refuse histologies without an event where they have a coefficient of their own.

    Raises
    ------
    FitError
        ``E_NO_MAXIMUM``, naming them.
    """
    empty = counts.loc[counts["events"] == 0, "histology"].tolist()
    own = {
        "intercepts='common'": regressors.intercepts in ("separate", "contrast"),
        "slopes='common'": regressors.slopes == "separate",
    }
    if empty and any(own.values()):
        shared = " with ".join(option for option, separate in own.items() if separate)
        raise FitError(
            "E_NO_MAXIMUM",
            f"no event in histology {', '.join(empty)}: its coefficients have no finite estimate.",
            f"Pool it, leave it out, or let it share them with the others: {shared}.",
        )
