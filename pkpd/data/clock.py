"""Dates and clock times: turned into time since the first record of each subject, as NONMEM does."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger
from pkpd.data.numerals import has_text, parse
from pkpd.data.units import Unit, parse_unit

__all__ = ["DATES", "elapsed_times"]

# NONMEM's names, each with the order of its parts; 2025-03-01 can only mean one thing under all but the last
DATES = {"DATE": "mdy", "DAT1": "dmy", "DAT2": "ymd", "DAT3": "ydm"}

_CLOCK = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}(?:\.[0-9]+)?))?\Z")
_STAMP = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:[T ](.+))?\Z")
_DAY = re.compile(r"([0-9]+)[-/.]([0-9]+)[-/.]([0-9]+)\Z")
_DAY_SECONDS = 86400.0


def elapsed_times(
    columns: dict[str, np.ndarray], labels: np.ndarray, unit: str, ledger: Ledger
) -> dict[str, np.ndarray]:
    """Turn dates and clock times into numbers.

    TIME may hold clock times (``8:30``, ``08:30:15``) or points in time (``2025-03-01T08:30``,
    ``2025-03-01 08:30``). With a column DATE (month/day/year), DAT1 (day/month/year), DAT2 (year/month/day) or
    DAT3 (year/day/month), or one of these with whole day numbers, TIME holds the clock time or the hour of that
    day. Years have four digits. Clocks are not corrected for summer time.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Raw columns by role.
    labels : ndarray, shape (n,)
        Subject of each record.
    unit : str
        Unit that TIME is to have; hours if empty.
    ledger : Ledger
        Receives ``E_CLOCK``, ``E_DATE``, ``E_TIME_UNIT``, ``W_TIME_CLOCK``.

    Returns
    -------
    dict of str to ndarray
        Without the date column; TIME as numbers, NaN where missing.
    """
    dated = [name for name in DATES if name in columns]
    time = columns["TIME"]
    if not dated and not (has_text(time) and _has_clocks(time)):
        return columns
    size = _unit_seconds(unit or "h", ledger)
    seconds, missing, unread = _times(time, hours=bool(dated))
    undated = np.zeros(len(seconds), dtype=bool)
    if dated:
        days = _days(dated[0], columns[dated[0]])
        undated = np.isnan(days)
        ledger.add_rows("E_DATE", undated, dated[0], columns[dated[0]], order=DATES[dated[0]])
        seconds = seconds + days * _DAY_SECONDS
    ledger.add_rows("E_CLOCK", unread, "TIME", time)
    # the earliest record is the first one, or else the order of the records is at fault and is reported as that
    codes = pd.factorize(labels, use_na_sentinel=True)[0]
    since = (seconds - pd.Series(seconds).groupby(codes).transform("min").to_numpy()) / size
    if undated.any() or unread.any():
        # dates and clocks must be mended first; until then the order of times says nothing
        since[~missing] = 0.0
    ledger.add("W_TIME_CLOCK", column="TIME", unit=unit or "h")
    return {name: values for name, values in columns.items() if name not in dated} | {"TIME": since}


def _has_clocks(time: np.ndarray) -> bool:
    texts = pd.unique(time[[v is not None for v in time]])
    return any(_CLOCK.match(t) or _STAMP.match(t) for t in texts)


def _unit_seconds(unit: str, ledger: Ledger) -> float:
    found = parse_unit(unit)
    if found is None or found.powers != Unit(1.0, (("s", 1),)).powers:
        ledger.add("E_TIME_UNIT", column="TIME", value=unit)
        return 3600.0
    return found.size


def _times(time: np.ndarray, hours: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seconds of each cell, which cells are missing, and which are neither."""
    if not has_text(time):
        numbers = parse(time)
        return numbers.values * 3600.0, numbers.missing, numbers.infinite
    codes, uniques = pd.factorize(time, use_na_sentinel=True)
    values = np.array([_seconds(t, hours) for t in uniques] + [np.nan])
    seconds = values[codes]
    return seconds, codes == -1, np.isnan(seconds) & (codes >= 0)


def _seconds(text: str, hours: bool) -> float:
    stamp = _STAMP.match(text)
    if stamp and not hours:
        day = _day(stamp[1], "ymd")
        clock = _seconds(stamp[2], hours=False) if stamp[2] else 0.0
        return day * _DAY_SECONDS + clock
    clock_match = _CLOCK.match(text)
    if clock_match:
        hour, minute, second = int(clock_match[1]), int(clock_match[2]), float(clock_match[3] or 0)
        valid = hour < 24 and minute < 60 and second < 60
        return hour * 3600.0 + minute * 60.0 + second if valid else np.nan
    number = parse(np.array([text], dtype=object)).values[0] if hours else np.nan
    return number * 3600.0


def _days(name: str, column: np.ndarray) -> np.ndarray:
    """Day of each record, of the calendar or as numbered; NaN where it cannot be read."""
    if has_text(column):
        codes, uniques = pd.factorize(column, use_na_sentinel=True)
        return np.array([_day(t, DATES[name]) for t in uniques] + [np.nan])[codes]
    values = parse(column).values
    return np.where(values == np.round(values), values, np.nan)


def _day(text: str, order: str) -> float:
    stamp = _STAMP.match(text)
    if stamp and order != "ydm":
        text, order = stamp[1], "ymd"
    match = _DAY.match(text)
    if match is None:
        return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else np.nan
    parts = dict(zip(order, match.groups(), strict=True))
    if len(parts["y"]) != 4:
        return np.nan
    try:
        return float(date(int(parts["y"]), int(parts["m"]), int(parts["d"])).toordinal())
    except ValueError:
        return np.nan
