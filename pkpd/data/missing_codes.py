"""Numbers that stand for "no value" in many tables: named, because they would be used as they are."""

from __future__ import annotations

import numpy as np

from pkpd.data.ledger import Ledger

__all__ = ["report_missing_codes"]

_CODES = (-9.0, -99.0, -999.0, -9999.0, -99999.0)


def report_missing_codes(name: str, values: np.ndarray, ledger: Ledger) -> None:
    """Warn of -99 and the like where every other value of the column is zero or positive.

    Parameters
    ----------
    name : str
    values : ndarray of float, shape (n,)
        NaN where nothing is given.
    ledger : Ledger
        Receives ``W_MISSING_CODE``, once for the column.
    """
    coded = np.isin(values, _CODES)
    at = np.flatnonzero(coded)
    if len(at) and not (values[~coded] < 0).any():
        ledger.add_at("W_MISSING_CODE", at[0], name, values[at[0]], count=len(at))
