"""Which column is what: names of the NONMEM convention, the user's aliases, covariates and the histology column."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import parse
from pkpd.data.table import Table

__all__ = ["ROLES", "Layout", "arrange"]

# Columns that have a meaning of their own. They are found in any case (time, Time, TIME); covariates keep their spelling.
ROLES = (
    "ID", "TIME", "AMT", "EVID", "MDV", "DV", "CMT", "RATE", "II", "ADDL", "SS", "DVID", "CENS", "BLQ", "LIMIT", "LLOQ",
)  # fmt: skip
_REQUIRED = ("ID", "TIME", "DV")

# Event columns of other programs that would change what a record means, and how to say the same here.
_UNSUPPORTED = {
    "DUR": "Give RATE = AMT / DUR instead.",
    "PCMT": "Predictions are made by DVID; remove the column.",
    "CALL": "Remove the column.",
    "CONT": "Write each record on one line and remove the column.",
    "DATE": "Give TIME as hours (or days) since the first record and remove the column.",
    "DAT1": "Give TIME as hours (or days) since the first record and remove the column.",
    "DAT2": "Give TIME as hours (or days) since the first record and remove the column.",
    "DAT3": "Give TIME as hours (or days) since the first record and remove the column.",
}

_SYNONYMS = {
    "ID": ("SUBJECT", "SUBJ", "SUBJID", "USUBJID", "PATIENT", "CID"),
    "TIME": ("TAFD", "ATIME", "HOURS", "DAY", "T"),
    "DV": ("CONC", "CP", "OBS", "AVAL", "Y", "VALUE"),
    "AMT": ("DOSE", "AMOUNT"),
}


@dataclass(frozen=True)
class Layout:
    """A table whose columns are known.

    Attributes
    ----------
    table : Table
        Columns that have a role, under the name of the role, then covariates and histology.
    covariates : tuple of str
        In file order, without the histology column.
    histology : str or None
    excluded : int
        Records left out because their C column says so.
    """

    table: Table
    covariates: tuple[str, ...]
    histology: str | None
    excluded: int = 0


def arrange(
    table: Table,
    ledger: Ledger,
    *,
    covariates: Sequence[str] | None = None,
    histology: str | None = "TUMOR",
    columns: Mapping[str, str] | None = None,
) -> Layout | None:
    """Find the columns of a raw table.

    Parameters
    ----------
    table : Table
    ledger : Ledger
        Receives ``E_MISSING_COLUMN``, ``E_DUPLICATE_COLUMN``, ``E_COLUMN_NOT_SUPPORTED``, ``E_COLUMN_C``,
        ``W_COLUMN_REPLACED``, ``W_RECORDS_EXCLUDED``.
    covariates : sequence of str, optional
        The covariates to keep; by default every column without a role.
    histology : str or None
        Column that holds the histology; ``"TUMOR"`` need not exist, any other name must.
    columns : mapping of str to str, optional
        Name to use -> column of the file, e.g. ``{"DV": "CONC"}``.

    Returns
    -------
    Layout or None
        None if a column is missing or doubled.
    """
    named = _alias(dict(table.columns), columns or {}, ledger)
    found = _roles(named, ledger)
    if "ROW" in found:
        del found["ROW"]
        ledger.add(
            "W_COLUMN_REPLACED",
            "ROW is the line in the file; the column of that name is left out.",
            column="ROW",
        )
    for role in _REQUIRED:
        if role not in found:
            _missing(role, found, ledger)
    label = _histology(histology, found, ledger)
    wanted = [c for c in found if c not in ROLES and c != label and c not in _UNSUPPORTED and c != "C"]
    if covariates is not None:
        for name in covariates:
            if name in ROLES:
                ledger.add(
                    "E_COVARIATE_ROLE",
                    f"{name} is a column of the NONMEM convention, not a covariate.",
                    f"Leave it out of covariates, or copy it: frame['{name}_COV'] = frame['{name}'].",
                    column=name,
                )
            elif name not in found:
                _missing(name, found, ledger)
        wanted = [c for c in wanted if c in covariates]
    kept = _excluded(found, table, ledger)
    for name in [c for c in found if c in _UNSUPPORTED]:
        _refuse(name, found[name], table, ledger)
    if ledger.has_errors:
        return None
    chosen = [c for c in found if c in ROLES] + wanted + ([label] if label else [])
    arranged = replace(table, columns={c: found[c] for c in chosen})
    dropped = int((~kept).sum())
    return Layout(arranged.keep(kept) if dropped else arranged, tuple(wanted), label, dropped)


def _alias(found: dict[str, np.ndarray], aliases: Mapping[str, str], ledger: Ledger) -> dict[str, np.ndarray]:
    """Rename the file's columns as the user says; what carried the new name before is left out, and said so."""
    for name, column in aliases.items():
        if column not in found:
            _missing(column, found, ledger)
    renamed = {column: name for name, column in aliases.items()}
    if len(renamed) < len(aliases):
        twice = [c for c in renamed if list(aliases.values()).count(c) > 1]
        ledger.add(
            "E_COLUMN_TWICE",
            f"columns= uses {names(twice)} for more than one name.",
            "Name each column of the file once; copy it if it has two meanings.",
            column=twice[0],
        )
    out: dict[str, np.ndarray] = {}
    for column, values in found.items():
        if column in renamed:
            out[renamed[column]] = values
        elif column in aliases or column.upper() in aliases:
            ledger.add(
                "W_COLUMN_REPLACED",
                f"{aliases.get(column, aliases.get(column.upper()))} is used in its place, as columns= says.",
                column=column,
            )
        else:
            out[column] = values
    return out


def _roles(named: dict[str, np.ndarray], ledger: Ledger) -> dict[str, np.ndarray]:
    special = {*ROLES, *_UNSUPPORTED, "ROW"}
    out: dict[str, np.ndarray] = {}
    spelled: dict[str, str] = {}
    for column, values in named.items():
        role = column.upper() if column.upper() in special else column
        if role in out:
            ledger.add(
                "E_DUPLICATE_COLUMN",
                f"columns {spelled[role]} and {column} both are {role}.",
                "Rename or remove one; case does not tell them apart.",
                row=1,
                column=column,
            )
            continue
        out[role], spelled[role] = values, column
    return out


def _missing(name: str, found: Mapping[str, object], ledger: Ledger) -> None:
    upper = {c.upper(): c for c in found}
    near = [upper[s] for s in _SYNONYMS.get(name, ()) if s in upper]
    near = near or difflib.get_close_matches(name, list(found), n=1, cutoff=0.7)
    if near and name in _SYNONYMS:
        remedy = f'If {near[0]} is meant, say columns={{"{name}": "{near[0]}"}}.'
    elif near:
        remedy = f"If {near[0]} is meant, use that name."
    else:
        remedy = f"Add a column {name}, or name the one that holds it with columns={{...}}."
    ledger.add(
        "E_MISSING_COLUMN",
        f"there is no column {name}; the table has {names(list(found), 12)}.",
        remedy,
        row=1,
        column=name,
    )


def _histology(name: str | None, found: Mapping[str, object], ledger: Ledger) -> str | None:
    if name is None or name in found:
        return name
    same = [c for c in found if c.upper() == name.upper()]
    if len(same) == 1:
        return same[0]
    if name != "TUMOR":
        _missing(name, found, ledger)
    return None


def _excluded(found: dict[str, np.ndarray], table: Table, ledger: Ledger) -> np.ndarray:
    """Records to keep: a column C with the letter C marks records to leave out, as IGNORE=C does in NONMEM."""
    kept = np.ones(len(table.lines), dtype=bool)
    if "C" not in found:
        return kept
    flags = found["C"]
    given = ~pd.isna(flags)
    other = given & np.array([v != "C" for v in flags], dtype=bool)
    if other.any():
        at = int(np.flatnonzero(other)[0])
        ledger.add(
            "E_COLUMN_C",
            "a column C marks records to leave out by the letter C; other values have no meaning.",
            "Write C or nothing in it, or rename the column if it is a covariate.",
            row=int(table.lines[at]),
            column="C",
            value=flags[at],
        )
    elif given.any():
        ledger.add(
            "W_RECORDS_EXCLUDED",
            f"{int(given.sum())} record(s) are marked C and left out.",
            row=int(table.lines[np.flatnonzero(given)[0]]),
            column="C",
        )
        kept = ~given
    if not kept.any():
        ledger.add("E_NO_RECORDS", "every record is marked C.", "Clear the column C.", column="C")
    return kept


def _refuse(name: str, values: np.ndarray, table: Table, ledger: Ledger) -> None:
    numbers = parse(values)
    used = ~numbers.missing & (numbers.values != 0)
    if used.any():
        at = int(np.flatnonzero(used)[0])
        ledger.add(
            "E_COLUMN_NOT_SUPPORTED",
            f"{name} changes what a record means and is not supported.",
            _UNSUPPORTED[name],
            row=int(table.lines[at]),
            column=name,
            value=values[at],
        )
