"""Combinations of histology with biomarkers or age bands: who is there, who is not, and how they respond."""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.response.columns import binary_of, column_of, histologies_of, label_of, numbers_of, subjects_of
from pkpd.response.observed import clopper_pearson

__all__ = ["AGES", "age_bands", "biomarker_cells"]

AGES = (0.0, 2.0, 6.0, 12.0, 18.0, 65.0)


def biomarker_cells(
    frame: pd.DataFrame,
    histology: str,
    biomarkers: Sequence[str],
    response: str | None = None,
    *,
    minimum: int = 5,
) -> pd.DataFrame:
    """Patients per combination of histology and biomarkers (fusion partners, variants, expression levels).

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    histology : str
    biomarkers : sequence of str
        Columns with levels; a missing value is a level of its own, ``unknown``.
    response : str, optional
        Column with 0/1.
    minimum : int
        Cells with fewer patients are flagged.

    Returns
    -------
    DataFrame
        One row per possible combination: histology, the biomarkers, n, share_of_histology, few (fewer than
        `minimum`), and with a response events, proportion, lower, upper (95 % Clopper-Pearson; NaN where
        empty).

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_ENDPOINT_*``, ``E_OPTION``.

    Warns
    -----
    PkpdWarning
        ``W_CELLS_EMPTY``: combinations nobody has; no statement holds for them.
    """
    ids = subjects_of(frame)
    labels, levels = histologies_of(frame, histology, ids)
    if not biomarkers:
        raise InputError("E_OPTION", "no biomarker is named.", "Name at least one column.")
    table = pd.DataFrame({"histology": labels})
    for name in biomarkers:
        column = column_of(frame, name).astype(object)
        table[name] = ["unknown" if pd.isna(v) else label_of(v) for v in column]
    return _cells(frame, ids, table, levels, list(biomarkers), response, minimum)


def age_bands(
    frame: pd.DataFrame,
    age: str,
    histology: str,
    response: str | None = None,
    *,
    bands: Sequence[float] = AGES,
    minimum: int = 5,
) -> pd.DataFrame:
    """Patients, mix of histologies and response per age band.

    Parameters
    ----------
    age : str
        Column, in years.
    bands : sequence of float
        Lower ends, increasing; the last band is open. Default: under 2, 2-5, 6-11, 12-17, 18-64, 65 and older.

    Returns
    -------
    DataFrame
        As :func:`biomarker_cells`, with the column ``band`` and ``share_of_band`` (the weight of the histology in
        its band).

    Raises
    ------
    InputError
        ``E_OPTION`` for bands that do not increase, ``E_AGE_*`` for an age that is missing or below the first
        band.
    """
    ids = subjects_of(frame)
    labels, levels = histologies_of(frame, histology, ids)
    ends = np.asarray(bands, float)
    if ends.ndim != 1 or ends.size < 1 or (np.diff(ends) <= 0).any() or not np.isfinite(ends).all():
        raise InputError("E_OPTION", f"bands={bands!r}.", "Give increasing lower ends, e.g. (0, 12, 18).")
    years = numbers_of(frame, age, ids, "E_AGE", "age")
    if (years < ends[0]).any():
        raise InputError(
            "E_AGE_RANGE",
            f"{int((years < ends[0]).sum())} ages lie below {ends[0]:g}.",
            "Begin the bands lower.",
        )
    names = [f"{a:g} to < {b:g}" for a, b in itertools.pairwise(ends)] + [f"{ends[-1]:g} and older"]
    place = np.searchsorted(ends, years, side="right") - 1
    table = pd.DataFrame({"histology": labels, "band": [names[i] for i in place]})
    found = _cells(frame, ids, table, levels, ["band"], response, minimum, order={"band": names})
    per_band = found.groupby("band")["n"].transform("sum")
    found["share_of_band"] = found["n"] / per_band.where(per_band > 0)
    return found


def _cells(frame, ids, table, levels, names, response, minimum, order=None) -> pd.DataFrame:
    y = None if response is None else binary_of(frame, response, ids)
    choices = [(order or {}).get(name) or sorted(set(table[name])) for name in names]
    rows = []
    for level in levels:
        own = (table["histology"] == level).to_numpy()
        for combination in itertools.product(*choices):
            here = own.copy()
            for name, value in zip(names, combination, strict=True):
                here &= (table[name] == value).to_numpy()
            n = int(here.sum())
            row = {
                "histology": level,
                **dict(zip(names, combination, strict=True)),
                "n": n,
                "share_of_histology": n / int(own.sum()),
                "few": n < minimum,
            }
            if y is not None:
                events = int(y[here].sum())
                lower, upper = _interval(events, n)
                row |= {
                    "events": events,
                    "proportion": events / n if n else np.nan,
                    "lower": lower,
                    "upper": upper,
                }
            rows.append(row)
    found = pd.DataFrame(rows)
    empty = int((found["n"] == 0).sum())
    if empty:
        warnings.warn(
            f"W_CELLS_EMPTY: {empty} of {len(found)} combinations have no patient; no statement holds for them.",
            PkpdWarning,
            stacklevel=3,
        )
    return found


def _interval(events: int, n: int) -> tuple[float, float]:
    if n == 0:
        return math.nan, math.nan
    lower, upper = clopper_pearson(np.array([events]), np.array([n]))
    return float(lower[0]), float(upper[0])
