"""A table as it was written: columns of numbers or of text, and the line of each record."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import has_text, tokens

__all__ = ["Table", "column_of", "content_hash", "duplicated_names", "table_from_frame"]


@dataclass(frozen=True)
class Table:
    """Raw records.

    Attributes
    ----------
    columns : dict of str to ndarray, shape (n,)
        Numbers (int64 or float64, NaN = missing) or text cells (object: str or None), in file order.
    lines : ndarray of int, shape (n,)
        Line in the file, the header being line 1; for a DataFrame position plus 2.
    source : str
        File name, or ``"DataFrame"``.
    sha256 : str
        Of the bytes of the file, or of the content of the DataFrame.
    decimal_comma : bool
        Whether the layout leaves commas free to be decimal marks (fields are not separated by commas).
    """

    columns: dict[str, np.ndarray]
    lines: np.ndarray
    source: str
    sha256: str
    decimal_comma: bool = False

    def keep(self, kept: np.ndarray) -> Table:
        """Only the records where ``kept`` holds."""
        return replace(self, columns={c: v[kept] for c, v in self.columns.items()}, lines=self.lines[kept])


def table_from_frame(frame: pd.DataFrame, ledger: Ledger) -> Table | None:
    """Take a DataFrame as it is; its index is not part of the data.

    Parameters
    ----------
    frame : DataFrame
        Columns named by text.
    ledger : Ledger
        Receives ``E_HEADER``, ``E_DUPLICATE_COLUMN``, ``E_NO_RECORDS``.

    Returns
    -------
    Table or None
        None if the names or the size forbid going on.
    """
    wrong = [c for c in frame.columns if not isinstance(c, str) or not c.strip()]
    if wrong:
        problem = f"column names must be text; the DataFrame has {names(wrong)}."
        ledger.add("E_HEADER", problem=problem, hint='Name them, e.g. frame.columns = ["ID", "TIME", "DV"].')
        return None
    headers = [c.strip() for c in frame.columns]
    if duplicated_names(headers, ledger):
        return None
    if len(frame) == 0:
        ledger.add("E_NO_RECORDS", source="the DataFrame")
        return None
    columns = {name: column_of(frame.iloc[:, i]) for i, name in enumerate(headers)}
    lines = np.arange(2, len(frame) + 2)
    return Table(columns, lines, "DataFrame", content_hash(columns))


def duplicated_names(headers: list[str], ledger: Ledger) -> bool:
    """Record each column name that occurs twice; True if there is one."""
    twice = [h for i, h in enumerate(headers) if h in headers[:i]]
    for name in dict.fromkeys(twice):
        places = [str(i + 1) for i, h in enumerate(headers) if h == name]
        problem = f"the name {name} stands on {len(places)} columns ({', '.join(places)})."
        ledger.add("E_DUPLICATE_COLUMN", row=1, column=name, problem=problem)
    return bool(twice)


def column_of(series: pd.Series) -> np.ndarray:
    """One column as numbers (int64, float64) or as text cells."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        series = series.astype(object)
    elif pd.api.types.is_bool_dtype(dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    elif pd.api.types.is_integer_dtype(dtype) and not series.hasnans:
        values = series.to_numpy()
        if values.dtype != np.uint64 or values.max(initial=0) <= np.iinfo(np.int64).max:
            return values.astype(np.int64)
    elif pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_complex_dtype(dtype):
        return series.to_numpy(dtype=np.float64, na_value=np.nan)
    return tokens(series)


def content_hash(columns: dict[str, np.ndarray]) -> str:
    """SHA-256 of names and values, column by column."""
    digest = hashlib.sha256()
    for name, values in columns.items():
        digest.update(f"{name}\x1e".encode())
        if has_text(values):
            cells = "\x1f".join("\x00" if v is None else str(v) for v in values)
            digest.update(cells.encode("utf-8", "surrogatepass"))
        else:
            digest.update(np.ascontiguousarray(values, dtype=np.float64).tobytes())
    return digest.hexdigest()
