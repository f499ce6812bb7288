"""Rules for what was measured: DV, whether it is missing, and whether it is censored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.data.ledger import Ledger
from pkpd.data.missing_codes import report_missing_codes
from pkpd.data.numerals import Numbers

__all__ = ["Measurements", "read_measurements"]


@dataclass(frozen=True)
class Measurements:
    """What each record measured, each of length n.

    Attributes
    ----------
    value : ndarray of float
        DV; for a censored value the bound that is known. NaN where missing.
    missing : ndarray of int64
        MDV.
    censored : ndarray of int64
        CENS: 1 the true value lies below ``value``, -1 above it, 0 measured.
    limit : ndarray of float
        LIMIT: the bound on the other side of a censored value, NaN where there is none.
    quantifiable : ndarray of float
        LLOQ, NaN where not given.
    """

    value: np.ndarray
    missing: np.ndarray
    censored: np.ndarray
    limit: np.ndarray
    quantifiable: np.ndarray


def read_measurements(kind: np.ndarray, cells: dict[str, Numbers], ledger: Ledger) -> Measurements:
    """Apply the rules for DV, MDV, CENS (or BLQ), LIMIT and LLOQ.

    Parameters
    ----------
    kind : ndarray of int64, shape (n,)
        EVID.
    cells : dict of str to Numbers
        The columns that the table has.
    ledger : Ledger

    Returns
    -------
    Measurements
    """
    n, dv, observation = len(kind), cells["DV"], kind == 0
    nothing = np.full(n, np.nan)
    limit = cells["LIMIT"].values if "LIMIT" in cells else nothing
    lowest = cells["LLOQ"].values if "LLOQ" in cells else nothing
    flag = "CENS" if "CENS" in cells else "BLQ"
    censored = np.zeros(n, dtype=np.int64)
    value, empty = dv.values, dv.missing
    if flag in cells:
        flags = cells[flag]
        censored = np.where(flags.given, flags.values, 0).astype(np.int64)
        allowed = (-1, 0, 1) if flag == "CENS" else (0, 1)
        ledger.add_rows("E_CENS_VALUE", ~np.isin(censored, allowed), flag, censored, name=flag)
        # BLQ says that LLOQ is the bound; CENS says that DV is, and LLOQ may stand in where DV is empty
        bounded = (censored == 1) & observation & (empty if flag == "CENS" else np.ones(n, dtype=bool))
        ledger.add_rows("E_CENS_WITHOUT_BOUND", bounded & np.isnan(lowest), flag, censored)
        value = np.where(bounded, lowest, value)
        empty = empty & ~bounded
    missing = _missing(kind, dv, empty, cells, ledger)
    used = observation & (missing == 0)
    censored = np.where(used, censored, 0)
    report_missing_codes("DV", np.where(used, dv.values, np.nan), ledger)
    crossed = ((censored == 1) & (limit >= value)) | ((censored == -1) & (limit <= value))
    ledger.add_rows("E_LIMIT_ORDER", crossed, "LIMIT", limit)
    idle = np.flatnonzero(used & (censored == 0) & ~np.isnan(limit))
    if len(idle):
        ledger.add_at("W_LIMIT_UNUSED", idle[0], "LIMIT", limit[idle[0]], count=len(idle))
    low = np.flatnonzero(used & (censored == 0) & (value < lowest))
    if len(low):
        ledger.add_at("W_DV_BELOW_LLOQ", low[0], "DV", value[low[0]], count=len(low))
    return Measurements(value, missing, censored, limit, lowest)


def _missing(
    kind: np.ndarray, dv: Numbers, empty: np.ndarray, cells: dict[str, Numbers], ledger: Ledger
) -> np.ndarray:
    """MDV as int64: as given, or else 1 on events other than observations and where DV is empty."""
    observation = kind == 0
    values = (~observation | empty).astype(np.int64)
    given = np.zeros(len(values), dtype=bool)
    if "MDV" in cells:
        mdv = cells["MDV"]
        given = mdv.given
        values = np.where(given, mdv.values, values).astype(np.int64)
        ledger.add_rows("E_MDV_VALUE", (values < 0) | (values > 1), "MDV", values)
        ledger.add_rows("E_MDV_ON_DOSE", given & (values == 0) & ~observation, "MDV", values)
        ledger.add_rows("E_DV_MISSING", given & (values == 0) & observation & empty, "DV")
    silent = np.flatnonzero(~given & observation & empty)
    if len(silent):
        ledger.add_at("W_DV_MISSING", silent[0], "DV", count=len(silent))
    lost = np.isin(kind, (1, 4)) & dv.given & (dv.values != 0)
    # without EVID and MDV a record that holds an amount and a value could mean either
    both = lost & ~given if "EVID" not in cells else np.zeros(len(values), dtype=bool)
    ledger.add_rows("E_DOSE_WITH_DV", both, "DV", dv.values)
    ignored = np.flatnonzero(lost & ~both)
    if len(ignored):
        ledger.add_at("W_DV_ON_DOSE", ignored[0], "DV", dv.values[ignored[0]], count=len(ignored))
    return values
