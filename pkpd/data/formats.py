"""Tables that are not text: Parquet and SAS, read through the libraries that know them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pandas as pd

from pkpd.data.ledger import Ledger
from pkpd.data.table import Table, table_from_frame

__all__ = ["BINARY", "table_from_binary"]

# how each ending is called
BINARY = {
    ".parquet": "Parquet file",
    ".pq": "Parquet file",
    ".xpt": "SAS transport file",
    ".sas7bdat": "SAS data set",
}


def table_from_binary(path: Path, ledger: Ledger) -> Table | None:
    """Read a Parquet file, a SAS transport file (version 5) or a SAS data set.

    Parameters
    ----------
    path : Path
        Its ending says what it is.
    ledger : Ledger
        Receives ``E_FILE_NOT_FOUND``, ``E_FILE_UNREADABLE``, ``E_FILE_FORMAT``, ``E_NEEDS_PACKAGE``.

    Returns
    -------
    Table or None
        Lines count as for a DataFrame: the first record is line 2.
    """
    kind = BINARY[path.suffix.lower()]
    try:
        raw = path.read_bytes()
        frame = _frame(path)
    except FileNotFoundError:
        ledger.add("E_FILE_NOT_FOUND", path=path, hint="Check the name and the folder.")
        return None
    except ImportError:
        ledger.add("E_NEEDS_PACKAGE", kind=kind, package="pyarrow")
        return None
    except PermissionError as error:
        ledger.add("E_FILE_UNREADABLE", path=path, reason=error.strerror)
        return None
    # whatever a library raises on a damaged file: its kinds of error are not documented
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        ledger.add("E_FILE_FORMAT", kind=f"no {kind} that can be read ({reason})")
        return None
    table = table_from_frame(frame, ledger)
    return None if table is None else replace(table, source=path.name, sha256=hashlib.sha256(raw).hexdigest())


def _frame(path: Path) -> pd.DataFrame:
    ending = path.suffix.lower()
    if ending == ".xpt":
        frame = pd.read_sas(path, format="xport", encoding="utf-8")
        numbers = frame.select_dtypes("number").columns
        # pandas reads the format's zero as its smallest number, 16^-65
        frame[numbers] = frame[numbers].replace(16.0**-65, 0.0)
        return frame
    if ending == ".sas7bdat":
        return pd.read_sas(path, format="sas7bdat", encoding="infer")
    return pd.read_parquet(path)
