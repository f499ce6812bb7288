"""Decimal commas: read where the layout leaves no doubt, refused where it does."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import has_text, parse
from pkpd.data.table import Table

__all__ = ["without_decimal_commas"]

_COMMA = re.compile(r"[+-]?[0-9]+,[0-9]+([eE][+-]?[0-9]+)?\Z")
_THOUSANDS = re.compile(r"[+-]?[0-9]{1,3},[0-9]{3}\Z")


def without_decimal_commas(table: Table, ledger: Ledger) -> Table:
    """Turn 1,5 into 1.5 where it can mean nothing else.

    Only columns are looked at in which every cell is a number but for the commas. The commas are decimal
    marks if fields are not separated by commas, no number of the table has a decimal point, and not every one
    of them could be a thousands mark (1,234).

    Parameters
    ----------
    table : Table
    ledger : Ledger
        Receives ``W_DECIMAL_COMMA`` where they were read, ``E_DECIMAL_COMMA`` where they are in doubt.

    Returns
    -------
    Table
    """
    found: dict[str, np.ndarray] = {}
    points, doubtful = False, True
    for name, column in table.columns.items():
        if not has_text(column):
            points = points or _has_fractions(column)
            continue
        texts = pd.unique(column[[v is not None for v in column]])
        commas = [t for t in texts if _COMMA.match(t)]
        others = np.array([t for t in texts if not _COMMA.match(t)], dtype=object)
        wrong = parse(others).wrong
        points = points or any("." in t for t in others[~wrong])
        if commas and not wrong.any():
            found[name] = column
            doubtful = doubtful and all(_THOUSANDS.match(t) for t in commas)
    if not found:
        return table
    if table.decimal_comma and not points and not doubtful:
        ledger.add("W_DECIMAL_COMMA", column=next(iter(found)), columns=names(list(found)))
        changed = {
            name: np.array([None if v is None else v.replace(",", ".") for v in column], dtype=object)
            for name, column in found.items()
        }
        return replace(table, columns={**table.columns, **changed})
    for name, column in found.items():
        i = next(k for k, v in enumerate(column) if v is not None and _COMMA.match(v))
        ledger.add("E_DECIMAL_COMMA", row=int(table.lines[i]), column=name, value=column[i])
    return table


def _has_fractions(column: np.ndarray) -> bool:
    finite = column[np.isfinite(column)]
    return bool((finite != np.round(finite)).any())
