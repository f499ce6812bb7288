"""The door for data: a file or a DataFrame goes in, a data set or the list of its problems comes out."""

from __future__ import annotations

import os
import tomllib
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.adam import ADAM, from_adam
from pkpd.data.after_dose import check_time_after_dose
from pkpd.data.clock import elapsed_times
from pkpd.data.columns import arrange
from pkpd.data.covariates import read_covariate, read_histology
from pkpd.data.dataset import RECORD_COLUMNS, Dataset
from pkpd.data.decimals import without_decimal_commas
from pkpd.data.formats import BINARY, table_from_binary
from pkpd.data.ledger import Ledger
from pkpd.data.linter import read_labels, read_records
from pkpd.data.numerals import has_text
from pkpd.data.reader import table_from_file
from pkpd.data.subjects import ALLOWABLE, check_subjects
from pkpd.data.table import Table, table_from_frame
from pkpd.errors import DataError, Finding, InputError, PkpdWarning
from pkpd.shipped import dataset_path

__all__ = ["check", "examine", "load_dataset", "read_dataset"]


def read_dataset(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    covariates: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    histology: str | None = "TUMOR",
    columns: Mapping[str, str] | str | None = None,
    *,
    allow: Collection[str] = (),
) -> Dataset:
    """Read and validate a table in the NONMEM convention.

    Columns ID, TIME, DV are needed; AMT, EVID, MDV, CMT, RATE, II, ADDL, SS, DVID, CENS (or BLQ), LIMIT, LLOQ
    are used where present (in upper or lower case); every other column is a covariate. A missing value is an
    empty cell, ``.`` or ``NA``. Without EVID, records with an amount are doses; without MDV, DV is missing on
    doses and where its cell is empty. Empty cells of AMT, RATE, II, ADDL, SS, EVID, CENS are 0. Records with
    EVID 0 and MDV 1 are kept: predictions are made there. Clock times, points in time and NONMEM's date columns
    become time since the first record of the subject, in the unit declared for TIME or else in hours. CMT says where a
    dose goes; which endpoint an observation belongs to is said by DVID alone, a number or the name that the model gives
    the endpoint. A column TAD is compared with the doses.

    EVID 2 changes nothing (but turns compartments on), 3 resets the system, 4 resets it and gives a dose; a negative CMT
    turns a compartment off.

    Parameters
    ----------
    path_or_frame : path or DataFrame
        Delimited text (comma, semicolon, tab, bar or blanks) with a header; by their endings also Parquet
        (``.parquet``, ``.pq``) and SAS (``.xpt``, ``.sas7bdat``); or a table in memory.
    covariates : sequence of str, optional
        The covariates to keep; by default every column without a meaning of its own. Text columns are
        categories.
    units : mapping of str to str, optional
        Unit by column, e.g. ``{"TIME": "h", "AMT": "mg", "DV": "mg/L"}``.
    histology : str or None
        Column that holds the histology of each subject; the default need not exist, any other name must.
    columns : mapping of str to str, or str, optional
        Name to use -> column of the table, e.g. ``{"DV": "CONC"}``; or the CDISC standard that the table follows,
        ``"ADPPK"`` or ``"ADPC"``.
    allow : collection of str
        Findings that are meant: ``"E_NO_DOSES"`` (subjects observed but never dosed, as under placebo) and
        ``"E_NO_OBSERVATIONS"`` (subjects dosed but never observed) become warnings.

    Returns
    -------
    Dataset

    Raises
    ------
    DataError
        With every error found, each naming row, ID, column, value and remedy.

    Warns
    -----
    PkpdWarning
        Once for each kind of ``W_`` finding.
    """
    dataset, findings = examine(path_or_frame, covariates, units, histology, columns, allow)
    errors = [f for f in findings if f.is_error]
    if errors or dataset is None:
        raise DataError(errors)
    kinds: dict[str, list[Finding]] = {}
    for finding in findings:
        kinds.setdefault(finding.code, []).append(finding)
    for same in kinds.values():
        more = f" ({len(same) - 1} more of these; pkpd.check(...) lists them.)" if len(same) > 1 else ""
        warnings.warn(f"{same[0]}{more}", PkpdWarning, stacklevel=2)
    return dataset


def check(
    path_or_frame: str | os.PathLike[str] | pd.DataFrame,
    covariates: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    histology: str | None = "TUMOR",
    columns: Mapping[str, str] | str | None = None,
    *,
    allow: Collection[str] = (),
) -> list[Finding]:
    """List all problems of a table at once.

    Parameters
    ----------
    path_or_frame, covariates, units, histology, columns, allow
        As for :func:`read_dataset`.

    Returns
    -------
    list of Finding
        Errors (``E_``) and warnings (``W_``): those of the whole table first, then in file order. Empty if
        all is well. More than 1000 of one kind are counted rather than listed.
    """
    return examine(path_or_frame, covariates, units, histology, columns, allow)[1]


def load_dataset(name: str, **options: Any) -> Dataset:
    """Read a data set that comes with pkpd, with the units that its provenance states.

    Parameters
    ----------
    name : str
        E.g. ``"theophylline"``.
    **options
        As for :func:`read_dataset`.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        ``E_UNKNOWN_DATASET``, naming those that exist.
    """
    path = dataset_path(name)
    return read_dataset(path, **{"units": stated_units(path), **options})


def stated_units(path: Path) -> dict[str, str]:
    """Unit by column as the ``provenance.toml`` of a shipped data set states them."""
    provenance = path.with_name("provenance.toml")
    if not provenance.is_file():
        return {}
    described = tomllib.loads(provenance.read_text(encoding="utf-8")).get("columns", {})
    return {column: about["unit"] for column, about in described.items() if "unit" in about}


def examine(
    path_or_frame: Any,
    covariates: Sequence[str] | None = None,
    units: Mapping[str, str] | None = None,
    histology: str | None = "TUMOR",
    columns: Mapping[str, str] | str | None = None,
    allow: Collection[str] = (),
) -> tuple[Dataset | None, list[Finding]]:
    """Read a table and list its problems, as :func:`read_dataset` and :func:`check` do.

    Returns
    -------
    (Dataset or None, list of Finding)
        None if there are errors.
    """
    _check_options(covariates, units, histology, columns, allow)
    ledger = Ledger()
    table = _table(path_or_frame, ledger)
    if table is None:
        return None, ledger.findings()
    table = without_decimal_commas(table, ledger)
    if isinstance(columns, str):
        table, columns = from_adam(table, columns, ledger), None
        if table is None:
            return None, ledger.findings()
    layout = arrange(table, ledger, covariates=covariates, histology=histology, columns=columns)
    if layout is None:
        return None, ledger.findings()
    for column in units or {}:
        if column not in {*RECORD_COLUMNS, *table.columns, *layout.table.columns}:
            shown = ", ".join(layout.table.columns)
            ledger.add("E_UNIT_COLUMN", column=column, name=column, columns=shown)
    table = layout.table
    raw = table.columns
    ledger.lines = table.lines
    labels = read_labels(raw["ID"], ledger)
    raw = elapsed_times(raw, labels, (units or {}).get("TIME", ""), ledger)
    records = read_records(raw, ledger)
    check_subjects(labels, records, allow, ledger)
    codes, uniques = pd.factorize(labels, use_na_sentinel=True)
    extra = {c: read_covariate(c, raw[c], codes, ledger) for c in layout.covariates}
    if layout.histology:
        extra[layout.histology] = read_histology(layout.histology, raw[layout.histology], codes, ledger)
    if ledger.has_errors:
        return None, ledger.findings()
    arrays: dict[str, Any] = {"ROW": table.lines, "ID": labels, **records.columns}
    for name in ("CMT", "DVID"):
        if has_text(arrays[name]):
            # names and None, whatever pandas makes of text
            arrays[name] = pd.Series(arrays[name], dtype=object)
    frame = pd.DataFrame({c: arrays[c] for c in RECORD_COLUMNS} | extra)
    offsets = np.concatenate([[0], np.flatnonzero(codes[1:] != codes[:-1]) + 1, [len(codes)]]).astype(
        np.int64
    )
    subjects = np.asarray(uniques, dtype=labels.dtype)
    dataset = Dataset(
        frame=frame,
        subjects=subjects,
        offsets=offsets,
        covariates=layout.covariates,
        histology=layout.histology,
        units={c: u for c, u in (units or {}).items() if c in frame},
        source=table.source,
        sha256=table.sha256,
    )
    check_time_after_dose(dataset, ledger)
    return dataset, ledger.findings()


def _table(path_or_frame: Any, ledger: Ledger) -> Table | None:
    if isinstance(path_or_frame, pd.DataFrame):
        return table_from_frame(path_or_frame, ledger)
    if isinstance(path_or_frame, (str, os.PathLike)):
        path = Path(path_or_frame)
        return (table_from_binary if path.suffix.lower() in BINARY else table_from_file)(path, ledger)
    raise InputError(
        "E_INPUT_TYPE",
        f"data are read from a path or a DataFrame, not from {type(path_or_frame).__name__}.",
        "Give the path of a CSV file, or pandas.DataFrame(...).",
    )


def _check_options(covariates: Any, units: Any, histology: Any, columns: Any, allow: Any) -> None:
    if isinstance(covariates, str) or isinstance(allow, str):
        raise InputError("E_OPTION", "covariates and allow are lists.", 'Write ["WT"], not "WT".')
    if histology is not None and not isinstance(histology, str):
        raise InputError(
            "E_OPTION", f"histology is the name of a column, not {histology!r}.", 'E.g. "TUMOR".'
        )
    if isinstance(columns, str):
        if columns not in ADAM:
            remedy = f"Give one of {', '.join(ADAM)}, or {{name: column}}."
            raise InputError("E_OPTION", f"columns={columns!r} is not a standard that pkpd knows.", remedy)
        columns = None
    for option, given in (("units", units), ("columns", columns)):
        wrong = given is not None and not isinstance(given, Mapping)
        if wrong or any(not isinstance(x, str) for pair in (given or {}).items() for x in pair):
            raise InputError("E_OPTION", f"{option} maps names to names.", '{"DV": "mg/L"}, for instance.')
    unknown = [c for c in allow if c not in ALLOWABLE]
    if unknown:
        raise InputError(
            "E_OPTION",
            f"allow cannot hold {', '.join(map(str, unknown))}.",
            f"Only {' and '.join(ALLOWABLE)} can be declared as meant.",
        )
