"""Which column is what: names of the NONMEM convention, the user's aliases, covariates and the histology."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pkpd.data.clock import DATES
from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import parse
from pkpd.data.table import Table

__all__ = ["ROLES", "Layout", "arrange"]

# Columns that have a meaning of their own, found in any case (time, Time, TIME); covariates keep their
# spelling.
ROLES = (
    *("ID", "TIME", "AMT", "EVID", "MDV", "DV", "CMT", "RATE", "II", "ADDL", "SS", "DVID"),
    *("CENS", "BLQ", "LIMIT", "LLOQ", *DATES),
)
_REQUIRED = ("ID", "TIME", "DV")

# Event columns of other programs that would change what a record means, and how to say the same here.
_UNSUPPORTED = {
    "DUR": "Give RATE = AMT / DUR instead.",
    "PCMT": "Predictions are made by DVID; remove the column.",
    "CALL": "Remove the column.",
    "CONT": "Write each record on one line and remove the column.",
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
    """

    table: Table
    covariates: tuple[str, ...]
    histology: str | None


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
        ledger.add("W_COLUMN_REPLACED", column="ROW", instead="the line in the file")
    for same, meaning in ((("CENS", "BLQ"), "say what is censored"), (tuple(DATES), "give the date")):
        present = [c for c in same if c in found]
        if len(present) > 1:
            problem = f"columns {' and '.join(present)} both {meaning}."
            ledger.add("E_DUPLICATE_COLUMN", row=1, column=present[1], problem=problem)
    for role in _REQUIRED:
        if role not in found:
            _report_missing(role, found, ledger)
    label = _histology(histology, found, ledger)
    wanted = [c for c in found if c not in ROLES and c != label and c not in _UNSUPPORTED and c != "C"]
    if covariates is not None:
        for name in covariates:
            if name in ROLES:
                ledger.add("E_COVARIATE_ROLE", column=name, name=name)
            elif name not in found:
                _report_missing(name, found, ledger)
        wanted = [c for c in wanted if c in covariates]
    kept = _kept(found, table, ledger)
    for name in [c for c in found if c in _UNSUPPORTED]:
        _refuse(name, found[name], table, ledger)
    if ledger.has_errors:
        return None
    chosen = [c for c in found if c in ROLES] + wanted + ([label] if label else [])
    arranged = replace(table, columns={c: found[c] for c in chosen})
    return Layout(arranged if kept.all() else arranged.keep(kept), tuple(wanted), label)


def _alias(found: dict[str, np.ndarray], aliases: Mapping[str, str], ledger: Ledger) -> dict[str, np.ndarray]:
    """Rename columns as the user says; what carried the new name before is left out, and said so."""
    given = list(aliases.values())
    for column in given:
        if column not in found:
            _report_missing(column, found, ledger)
    for column in sorted({c for c in given if given.count(c) > 1}):
        ledger.add("E_COLUMN_TWICE", column=column, name=column)
    renamed = {column: name for name, column in aliases.items()}
    upper = {name.upper(): column for name, column in aliases.items() if name.upper() in ROLES}
    out: dict[str, np.ndarray] = {}
    for column, values in found.items():
        instead = aliases.get(column) or upper.get(column.upper())
        if column in renamed:
            out[renamed[column]] = values
        elif instead is not None:
            ledger.add("W_COLUMN_REPLACED", column=column, instead=instead)
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
            problem = f"columns {spelled[role]} and {column} both are {role}."
            ledger.add("E_DUPLICATE_COLUMN", row=1, column=column, problem=problem)
            continue
        out[role], spelled[role] = values, column
    return out


def _report_missing(name: str, found: Mapping[str, object], ledger: Ledger) -> None:
    upper = {c.upper(): c for c in found}
    near = [upper[s] for s in _SYNONYMS.get(name, ()) if s in upper]
    near = near or difflib.get_close_matches(name, list(found), n=1, cutoff=0.7)
    if near and name in _SYNONYMS:
        hint = f'If {near[0]} is meant, say columns={{"{name}": "{near[0]}"}}.'
    elif near:
        hint = f"If {near[0]} is meant, use that name."
    else:
        hint = f"Add a column {name}, or name the one that holds it with columns={{...}}."
    shown = names(list(found), 12)
    ledger.add("E_MISSING_COLUMN", row=1, column=name, name=name, columns=shown, hint=hint)


def _histology(name: str | None, found: Mapping[str, object], ledger: Ledger) -> str | None:
    if name is None or name in found:
        return name
    same = [c for c in found if c.upper() == name.upper()]
    if len(same) == 1:
        return same[0]
    if name != "TUMOR":
        _report_missing(name, found, ledger)
    return None


def _kept(found: dict[str, np.ndarray], table: Table, ledger: Ledger) -> np.ndarray:
    """Records to keep: the letter C in a column C marks those to leave out, as IGNORE=C does in NONMEM."""
    kept = np.ones(len(table.lines), dtype=bool)
    if "C" not in found:
        return kept
    flags = pd.Series(found["C"], dtype=object)
    marked = (flags == "C").to_numpy()
    other = np.flatnonzero(flags.notna().to_numpy() & ~marked)
    if len(other):
        i = int(other[0])
        ledger.add("E_COLUMN_C", row=int(table.lines[i]), column="C", value=flags[i])
        return kept
    if marked.any():
        row = int(table.lines[marked][0])
        ledger.add("W_RECORDS_EXCLUDED", row=row, column="C", count=int(marked.sum()), mark="C")
    if marked.all():
        ledger.add("E_NO_RECORDS", column="C", source=f"without those marked C, {table.source}")
    return ~marked


def _refuse(name: str, values: np.ndarray, table: Table, ledger: Ledger) -> None:
    numbers = parse(values)
    used = np.flatnonzero(~numbers.missing & (numbers.values != 0))
    if len(used):
        i = int(used[0])
        row, hint = int(table.lines[i]), _UNSUPPORTED[name]
        value = values[i] if numbers.wrong[i] else float(values[i])
        ledger.add("E_COLUMN_NOT_SUPPORTED", row=row, column=name, value=value, name=name, hint=hint)
