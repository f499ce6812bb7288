"""Simulated rows into one Parquet file, chunk by chunk; the file appears when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from pkpd.errors import InputError

__all__ = ["write_parquet"]


def write_parquet(chunks: Iterable[pd.DataFrame], path: str | os.PathLike[str]) -> Path:
    """Write tables of the same columns under each other.

    Parameters
    ----------
    chunks : iterable of DataFrame
        Written as they come, each as a row group.
    path : path
        A file that is there already is replaced at the end.

    Raises
    ------
    InputError
        ``E_NEEDS_PACKAGE`` without pyarrow, ``E_FILE_UNWRITABLE`` where the file cannot be made.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            "E_NEEDS_PACKAGE", "to write Parquet, pyarrow must be installed.", "pip install 'pkpd[parquet]'"
        ) from None
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as out:
            writer = None
            for chunk in chunks:
                table = pa.Table.from_pandas(chunk, preserve_index=False)
                if writer is None:
                    writer = pq.ParquetWriter(out, table.schema)
                writer.write_table(table.cast(writer.schema))
            if writer is not None:
                writer.close()
        os.replace(partial, target)
    except OSError as error:
        raise InputError(
            "E_FILE_UNWRITABLE",
            f"{target} cannot be written: {error.strerror or error}.",
            "Check the folder, its permissions and the free space.",
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return target
