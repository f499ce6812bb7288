"""What verbs read and write: models, data sets, fits, tables; by name where they are shipped, else by file."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pkpd.commands.words import pairs
from pkpd.errors import InputError

__all__ = [
    "TABLES",
    "assessment_file",
    "check_output",
    "data_options",
    "dataset_of",
    "model_of",
    "result_of",
    "save_result",
    "save_table",
    "table_of",
    "threads_option",
    "units_of",
    "units_option",
]

if TYPE_CHECKING:  # a verb that reads no table does not wait for pandas
    import pandas as pd

T = TypeVar("T")
PARQUET = (".parquet", ".pq")
TABLES = (".csv", *PARQUET)


def threads_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--threads``."""
    parser.add_argument(
        "--threads", metavar="N", type=_threads, help="threads to use (the numbers do not depend on it)"
    )


def _threads(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value!r}: a whole number from 1 upwards")
    return number


def units_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--units COLUMN=UNIT``."""
    parser.add_argument(
        "--units", metavar="COLUMN=UNIT", nargs="+", action="extend", help="units: TIME=h AMT=mg DV=mg/L"
    )


def units_of(options: argparse.Namespace) -> dict[str, str]:
    """Unit by column, as given to :func:`units_option`: text as it stands, since mg/L is no expression."""
    return pairs(options.units, "--units", read=str)


def data_options(parser: argparse.ArgumentParser) -> None:
    """Add DATA and what is said about it."""
    parser.add_argument(
        "data", metavar="DATA", help="CSV in NONMEM convention, or the name of a shipped data set"
    )
    units_option(parser)
    parser.add_argument("--histology", metavar="COLUMN", default="TUMOR", help="column of the groups (TUMOR)")


def dataset_of(options: argparse.Namespace) -> Any:
    """Data set that the options of :func:`data_options` name."""
    from pkpd.data import load_dataset, read_dataset
    from pkpd.shipped import dataset_names

    more: dict[str, Any] = {"histology": options.histology}
    if options.units:
        more["units"] = units_of(options)
    if options.data in dataset_names() and not Path(options.data).is_file():
        return load_dataset(options.data, **more)
    return read_dataset(options.data, **more)


def model_of(name: str) -> Any:
    """Model of a Python file, of a fit's JSON, or the shipped one of that name."""
    from pkpd.language import load_model, model_from_file

    if name.endswith(".py"):
        return model_from_file(name)
    return load_model(name)


def assessment_file(path: str) -> str:
    """The file itself, or the ``assessment.json`` in a folder that `pkpd assess` wrote."""
    return str(Path(path) / "assessment.json") if Path(path).is_dir() else path


def result_of(path: str, kind: type[T]) -> T:
    """Result of a class that a verb wrote as JSON.

    Raises
    ------
    InputError
        ``E_FILE_NOT_FOUND``; ``E_JSON``, ``E_JSON_CLASS``.
    """
    from pkpd.results import restored

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise InputError(
            "E_FILE_NOT_FOUND", f"cannot read {path}: {why}.", "Give a file that pkpd wrote."
        ) from error
    return restored(kind, text)


def table_of(path: str) -> pd.DataFrame:
    """Table of a CSV or Parquet file.

    Raises
    ------
    InputError
        ``E_FILE_NOT_FOUND``, ``E_NEEDS_PACKAGE``.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path) if Path(path).suffix.lower() in PARQUET else pd.read_csv(path)
    except ImportError:
        raise _without_pyarrow() from None
    except (OSError, ValueError) as error:
        raise InputError(
            "E_FILE_NOT_FOUND", f"cannot read {path}: {error}.", "Give a CSV or Parquet file."
        ) from error


def check_output(path: str | None, *endings: str) -> None:
    """Refuse a file that could not be written, before the work whose result it is to hold.

    Parameters
    ----------
    path : str or None
        As given to ``--output`` or ``--figure``; None where it is not.
    *endings : str
        What it may end in.

    Raises
    ------
    InputError
        ``E_OUTPUT`` for another ending, or a folder that is not there; ``E_NEEDS_PACKAGE`` for Parquet without pyarrow.
    """
    if path is None:
        return
    target = Path(path)
    if target.suffix.lower() not in endings:
        raise InputError(
            "E_OUTPUT", f"{path}: this is written as {', '.join(endings)}.", "Change the ending of its name."
        )
    if not target.absolute().parent.is_dir():
        raise InputError("E_OUTPUT", f"{path}: there is no folder {target.parent}.", "Make it first.")
    if target.suffix.lower() in PARQUET and find_spec("pyarrow") is None:
        raise _without_pyarrow()


def _without_pyarrow() -> InputError:
    return InputError(
        "E_NEEDS_PACKAGE",
        "Parquet files need pyarrow, which is not installed.",
        "pip install 'pkpd[parquet]', or use .csv.",
    )


def save_result(value: Any, path: str | None) -> list[str]:
    """Write a result as JSON where a path is given; returns the lines that say so."""
    if path is None:
        return []
    Path(path).write_text(value.to_json(), encoding="utf-8")
    return [f"wrote {path}"]


def save_table(table: pd.DataFrame, path: str | None) -> list[str]:
    """Write a table as CSV or Parquet where a path is given; returns the lines that say so."""
    if path is None:
        return []
    if Path(path).suffix.lower() in PARQUET:
        (table.reset_index() if table.index.name is not None else table).to_parquet(path, index=False)
    else:
        table.to_csv(path, index=table.index.name is not None)
    return [f"wrote {path}"]
