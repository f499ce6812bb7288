"""Aalen-Johansen cumulative incidence of competing events, per histology."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import histologies_of, named_subjects, numbers_of, subjects_of
from pkpd.response.estimates import normal_quantile

__all__ = ["aalen_johansen", "causes_of", "cumulative_incidence"]


def causes_of(frame: pd.DataFrame, cause: str, ids: np.ndarray, of: int) -> np.ndarray:
    """Code of the event per subject: 0 censored, 1, 2 … the causes, `of` among them.

    Raises
    ------
    InputError
        ``E_CAUSE_MISSING``, ``E_CAUSE_NOT_NUMERIC``, ``E_CAUSE_NOT_CODE``, ``E_NO_EVENTS``.
    """
    values = numbers_of(frame, cause, ids, "E_CAUSE", "cause")
    strange = (values < 0) | (values != np.floor(values))
    if strange.any():
        raise InputError(
            "E_CAUSE_NOT_CODE",
            f"cause {cause} is negative or not whole for {named_subjects(ids, strange)}.",
            "Code 0 for censored, 1, 2 … for the causes.",
        )
    codes = values.astype(np.int64)
    present = sorted(set(codes.tolist()) - {0})
    if not present:
        raise InputError("E_NO_EVENTS", f"column {cause} has no event.", "Bring data with events.")
    if of not in present:  # 0 stands for censored subjects, who are no cause
        raise InputError(
            "E_NO_EVENTS",
            f"no subject has cause {of!r} in column {cause}.",
            f"Causes in the data: {', '.join(map(str, present))}; give one of them with of=.",
        )
    return codes


def aalen_johansen(time: np.ndarray, cause: np.ndarray, of: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cumulative incidence of cause `of` at each distinct event time, with its variance.

    Parameters
    ----------
    time, cause : ndarray, shape (n,)
        End of follow-up; 0 censored, else the cause.
    of : int
        The cause of interest.

    Returns
    -------
    (times, incidence, variance) : tuple of ndarray
        Step functions, constant after each time.

    References
    ----------
    Aalen O, Johansen S. Scand J Stat 1978;5:141-150. The variance, with its correction for ties, is the one of Gray's
    cuminc (R package cmprsk).
    """
    times = np.unique(time[cause > 0])
    ordered = np.sort(time)
    at_risk = (len(time) - np.searchsorted(ordered, times, side="left")).astype(float)
    any_event = _events_at(time[cause > 0], times)
    this = _events_at(time[cause == of], times)
    survival = np.cumprod(1 - any_event / at_risk)
    before = np.r_[1.0, survival[:-1]]
    incidence = np.cumsum(before * this / at_risk)
    # where nobody is left without an event, the share of what is still to come is 0
    inverse = np.where(survival > 0, 1 / np.where(survival > 0, survival, 1.0), 0.0)
    other = any_event - this
    v1, v2, v3 = np.zeros(len(times)), np.zeros(len(times)), np.zeros(len(times))
    for events, weight in ((other, incidence * inverse), (this, 1 + incidence * inverse)):
        ties = 1 - np.maximum(events - 1, 0) / np.maximum(at_risk - 1, 1)
        term = before**2 * ties * events / at_risk**2
        v1, v2, v3 = v1 + weight**2 * term, v2 + inverse * weight * term, v3 + inverse**2 * term
    variance = np.cumsum(v1) + incidence**2 * np.cumsum(v3) - 2 * incidence * np.cumsum(v2)
    return times, incidence, np.maximum(variance, 0.0)


def cumulative_incidence(
    frame: pd.DataFrame,
    time: str,
    cause: str,
    histology: str | None = None,
    *,
    of: int = 1,
    level: float = 0.95,
) -> pd.DataFrame:
    """Cumulative incidence of one of several competing events, per histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    time, cause : str
        Columns: follow-up; 0 censored, 1, 2 … the cause.
    histology : str, optional
        Column.
    of : int
        The cause of interest.
    level : float
        Coverage of the interval, on the complementary log-log scale.

    Returns
    -------
    DataFrame
        histology, time, incidence, se, lower, upper: one row per histology and distinct event time.

    Raises
    ------
    InputError
        ``E_TIME_MISSING``, ``E_TIME_NOT_NUMERIC``, ``E_CAUSE_*``, ``E_NO_EVENTS``, ``E_HISTOLOGY_MISSING``, ``E_LEVEL``.
    """
    ids = subjects_of(frame)
    t = numbers_of(frame, time, ids, "E_TIME", "time")
    codes = causes_of(frame, cause, ids, of)
    if histology is None:
        frame, histology = frame.assign(histology="all"), "histology"
    labels, levels = histologies_of(frame, histology, ids)
    z = normal_quantile(level)
    tables = []
    for k in levels:
        at = labels == k
        times, incidence, variance = aalen_johansen(t[at], codes[at], of)
        se = np.sqrt(variance)
        inside = (incidence > 0) & (incidence < 1)
        f = np.where(inside, incidence, 0.5)
        # ln(−ln(1 − F)) has standard error se / ((1 − F) |ln(1 − F)|)
        turn = np.log(-np.log1p(-f))
        width = z * se / ((1 - f) * -np.log1p(-f))
        lower = np.where(inside, -np.expm1(-np.exp(turn - width)), incidence)
        upper = np.where(inside, -np.expm1(-np.exp(np.minimum(turn + width, 700.0))), incidence)
        tables.append(
            pd.DataFrame(
                {
                    "histology": k,
                    "time": times,
                    "incidence": incidence,
                    "se": se,
                    "lower": lower,
                    "upper": upper,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def _events_at(event_times: np.ndarray, times: np.ndarray) -> np.ndarray:
    ordered = np.sort(event_times)
    return (
        np.searchsorted(ordered, times, side="right") - np.searchsorted(ordered, times, side="left")
    ).astype(float)
