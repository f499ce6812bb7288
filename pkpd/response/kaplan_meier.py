"""Kaplan-Meier estimate of survival."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import histologies_of, subjects_of
from pkpd.response.follow_up import read_follow_up

__all__ = ["kaplan_meier", "median_survival"]


def kaplan_meier(
    frame: pd.DataFrame, time: str, event: str, histology: str | None = None, level: float = 0.95
) -> pd.DataFrame:
    """Product-limit estimate of survival per histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    time, event : str
        Columns: end of follow-up; 1 where the event was seen, 0 where it was censored.
    histology : str, optional
    level : float
        Coverage of the pointwise intervals, on the scale of log survival (Greenwood's variance), as R's survfit draws
        them by default.

    Returns
    -------
    DataFrame
        histology, time (of events), at_risk, events, survival, lower, upper.

    Raises
    ------
    InputError
        ``E_TIME_*``, ``E_EVENT_*``, ``E_LEVEL``.
    """
    if not 0 < level < 1:
        raise InputError("E_LEVEL", f"level={level!r} is not between 0 and 1.", "Give e.g. 0.95.")
    ids = subjects_of(frame)
    labels = (
        np.full(len(ids), "all", dtype=object)
        if histology is None
        else histologies_of(frame, histology, ids)[0]
    )
    _, stop, died = read_follow_up(frame, time, event, None, ids, positive=False)
    z = NormalDist().inv_cdf(0.5 + level / 2)
    pieces = []
    for name in sorted(set(labels)):
        t, d = stop[labels == name], died[labels == name] > 0
        at = np.unique(t[d])
        at_risk = np.array([(t >= u).sum() for u in at], dtype=int)
        events = np.array([(t[d] == u).sum() for u in at], dtype=int)
        survival = np.cumprod(1 - events / at_risk) if len(at) else np.zeros(0)
        with np.errstate(divide="ignore", invalid="ignore"):
            se = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events))))
            lower, upper = survival * np.exp(-z * se), np.minimum(survival * np.exp(z * se), 1.0)
        empty = survival <= 0  # nobody is left: the variance on the log scale is not defined
        lower, upper = np.where(empty, np.nan, lower), np.where(empty, np.nan, upper)
        columns = {
            "time": at, "at_risk": at_risk, "events": events, "survival": survival, "lower": lower, "upper": upper,
        }  # fmt: skip
        pieces.append(pd.DataFrame({"histology": name, **columns}))
    return pd.concat(pieces, ignore_index=True)


def median_survival(curve: pd.DataFrame) -> float:
    """First time at which survival is at most one half (midway to the next event where it is exactly so); NaN if never."""
    survival, time = curve["survival"].to_numpy(float), curve["time"].to_numpy(float)
    at = np.flatnonzero(survival <= 0.5 + 1e-12)
    if not at.size:
        return float("nan")
    i = int(at[0])
    if abs(survival[i] - 0.5) < 1e-12 and i + 1 < len(time):
        return float((time[i] + time[i + 1]) / 2)
    return float(time[i])
