"""CDISC analysis data sets: the columns of ADPPK and ADPC under the names of the NONMEM convention."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import has_text, parse
from pkpd.data.table import Table

__all__ = ["ADAM", "from_adam"]

ADAM = ("ADPPK", "ADPC")

# role -> ADaM variables that can serve, the first that is there
_VARIABLES = {
    "ID": ("USUBJID", "SUBJID"),
    "TIME": ("AFRLT",),
    "DV": ("AVAL",),
    "LLOQ": ("ALLOQ", "PCLLOQ"),
    "BLQ": ("BLQFN",),
    "DVID": ("DVIDN",),
}
_RESULT_TEXT = ("AVALC", "PCSTRESC")


def from_adam(table: Table, standard: str, ledger: Ledger) -> Table | None:
    """Rename and complete the columns of an ADaM data set.

    ADPPK (population PK) already has events; USUBJID, AFRLT, ALLOQ, BLQFN, DVIDN become ID, TIME, LLOQ, BLQ, DVID.
    Of ADPC (concentrations, also ADNCA), AVAL becomes DV, or on records with PARAMCD ``DOSE`` (or EVID 1) DOSEA
    becomes AMT; records that repeat another one for a second reference dose (DTYPE ``COPY``) are left out, and
    results reported as ``<...`` in AVALC or PCSTRESC are flagged BLQ whatever AVAL was imputed. Columns that have
    the name of the convention already are used as they are.

    Parameters
    ----------
    table : Table
    standard : str
        ``"ADPPK"`` or ``"ADPC"``.
    ledger : Ledger
        Receives ``E_ADAM_ANALYTES``, ``E_ADAM_DOSE``, ``W_RECORDS_EXCLUDED``.

    Returns
    -------
    Table or None
    """
    if standard == "ADPC":
        table = _without_copies(table, ledger)
    columns = dict(table.columns)
    for role, variables in _VARIABLES.items():
        found = next((v for v in variables if v in columns), None)
        numbered = role == "DVID" and found is not None  # in ADaM, DVID is the text that goes with DVIDN
        if found and (role not in columns or numbered) and not (role == "BLQ" and "CENS" in columns):
            columns[role] = columns.pop(found)
    if standard == "ADPC" and not _events(columns, table, ledger):
        return None
    return replace(table, columns=columns)


def _without_copies(table: Table, ledger: Ledger) -> Table:
    kind = table.columns.get("DTYPE")
    copies = (
        np.array([v == "COPY" for v in kind]) if kind is not None else np.zeros(len(table.lines), dtype=bool)
    )
    if not copies.any():
        return table
    row = int(table.lines[copies][0])
    ledger.add("W_RECORDS_EXCLUDED", row=row, column="DTYPE", count=int(copies.sum()), mark="COPY")
    return table.keep(~copies)


def _events(columns: dict[str, np.ndarray], table: Table, ledger: Ledger) -> bool:
    """Give ADPC its EVID, AMT, DV and BLQ; False if it cannot be done."""
    n = len(table.lines)
    code = columns.get("PARAMCD", np.full(n, None, dtype=object))
    if "EVID" in columns:
        dose = parse(columns["EVID"]).values == 1
    else:
        dose = np.array([v == "DOSE" for v in code], dtype=bool)
        columns["EVID"] = dose.astype(np.float64)
    analytes = sorted({str(v) for v in code[~dose] if v is not None})
    if len(analytes) > 1 and "DVID" not in columns:
        ledger.add("E_ADAM_ANALYTES", column="PARAMCD", analytes=names(analytes))
        return False
    if "DV" not in columns:
        return True  # reported as a missing column with all others
    if dose.any() and "AMT" not in columns:
        if "DOSEA" not in columns:
            ledger.add("E_ADAM_DOSE", row=int(table.lines[dose][0]), column="DOSEA")
            return False
        columns["AMT"] = _where(dose, columns.pop("DOSEA"))
    below = np.zeros(n, dtype=bool)
    for name in _RESULT_TEXT:
        if name in columns and has_text(columns[name]):
            below |= np.array([v is not None and v.startswith("<") for v in columns[name]])
    if (below & ~dose).any() and not {"CENS", "BLQ"} & set(columns):
        columns["BLQ"] = (below & ~dose).astype(np.float64)
    columns["DV"] = _where(~dose, columns["DV"])
    columns.setdefault("MDV", np.where(dose, 1.0, np.nan))
    return True


def _where(kept: np.ndarray, column: np.ndarray) -> np.ndarray:
    """The column with other cells emptied."""
    return (
        pd.Series(column, dtype=column.dtype if has_text(column) else float).where(kept).to_numpy(copy=True)
    )
