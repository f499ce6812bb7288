"""The files that an assessment leaves in its output folder."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.results import to_json
from pkpd.study.assessment import Assessment

__all__ = ["STAGES", "prepare_folder", "tables_of", "write_all", "write_tables"]

STAGES = ".stages"
"""Folder of the finished stages within the output folder: what a further run need not do again."""


def prepare_folder(folder: str | Path) -> Path:
    """Make the output folder, and make sure that it takes files, before anything runs.

    Raises
    ------
    InputError
        ``E_OUTPUT`` if the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        message = f"cannot write to the output folder {folder}: {error.strerror or error}."
        raise InputError("E_OUTPUT", message, "Give --output a folder that you may write to.") from error
    return folder


def write_all(
    assessment: Assessment, folder: Path, *writers: Callable[[Assessment, Path], Any]
) -> list[Path]:
    """Write the tables, then what further functions of (assessment, folder) write.

    Returns
    -------
    list of Path
        The tables and ``assessment.json``.

    Raises
    ------
    FitError
        ``E_OUTPUT_WRITE`` if the folder no longer takes files (a full disk): the message says where all numbers are.
    """
    try:
        written = write_tables(assessment, folder)
        for write in writers:
            write(assessment, folder)
    except (OSError, InputError) as error:
        if isinstance(error, InputError) and not isinstance(error.__cause__, OSError):
            raise  # nothing to do with the disk
        kept = _rescued(assessment, folder)
        why = (
            f"cannot write {error.filename or folder}: {error.strerror or error}."
            if isinstance(error, OSError)
            else error.message
        )
        raise FitError(
            "E_OUTPUT_WRITE",
            why + (f" All numbers are safe in {kept}." if kept else ""),
            "Make room, then run the same command again: what was computed is taken from what was kept."
            + (f" Or write the report elsewhere: pkpd report {kept} --output OTHER." if kept else ""),
        ) from error
    return written


def _rescued(assessment: Assessment, folder: Path) -> Path | None:
    """``assessment.json`` where it was written already, else in the folder for temporary files."""
    kept = folder / "assessment.json"
    if kept.is_file() and kept.stat().st_size and kept.read_text(encoding="utf-8") == _whole(assessment):
        return kept
    try:
        handle, name = tempfile.mkstemp(prefix="pkpd-assessment-", suffix=".json")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_whole(assessment))
    except OSError:
        return None
    return Path(name)


def _whole(assessment: Assessment) -> str:
    return to_json(assessment, indent=1)


def write_tables(assessment: Assessment, folder: Path) -> list[Path]:
    """Write assessment.json, and every table of it as CSV (and Parquet, where pyarrow is installed) into ``tables/``.

    Parameters
    ----------
    assessment : Assessment
    folder : Path
        An existing folder.

    Returns
    -------
    list of Path
        The files written; each appears whole or not at all.
    """
    target = folder / "tables"
    target.mkdir(exist_ok=True)
    written = [_written(folder / "assessment.json", _whole(assessment).encode())]
    for name, table in tables_of(assessment):
        labelled = table.index.name is not None
        written.append(_written(target / f"{name}.csv", table.to_csv(index=labelled).encode()))
        if find_spec("pyarrow") is not None:
            flat = table.reset_index() if labelled else table
            for column in [c for c in flat if flat[c].dtype.kind == "O"]:
                flat = flat.assign(**{str(column): flat[column].map(str, na_action="ignore")})
            written.append(_written(target / f"{name}.parquet", flat.to_parquet(index=False)))
    return written


def tables_of(value: Any, name: str = "") -> Iterator[tuple[str, pd.DataFrame]]:
    """Every table inside a result, named after the fields that lead to it: ``pk.parameters``, ``endpoints.ORR.curves``."""
    if isinstance(value, pd.DataFrame):
        if len(value.columns):
            yield name, value
        return
    parts: Mapping[str, Any] = {}
    if isinstance(value, Mapping):
        parts = {str(k): v for k, v in value.items()}
    elif isinstance(value, (list, tuple)):
        parts = {str(getattr(v, "name", i)): v for i, v in enumerate(value)}
    elif dataclasses.is_dataclass(value):
        parts = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    for key, part in parts.items():
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in key)
        yield from tables_of(part, f"{name}.{safe}".lstrip("."))


def _written(path: Path, content: bytes) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
