"""Delimited text to a raw table: encoding, delimiter, header and the shape of each line, without a guess."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data.ledger import Ledger, names
from pkpd.data.numerals import MISSING, tokens
from pkpd.data.table import Table, column_of, duplicated_names

__all__ = ["table_from_file"]

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_NUMERIC_NAME = re.compile(r"[+-]?[0-9.]+([eE][+-]?[0-9]+)?\Z")
_STATED = re.compile(rb"sep=([,;|\t])[ \t]*(?:\n|\Z)", re.IGNORECASE)
_ONE_LINE_EACH = (
    "Write every record on one line with one value per column; leave a cell empty or put . where none is."
)


def table_from_file(path: Path, ledger: Ledger) -> Table | None:
    """Read a delimited text file.

    Comma, semicolon, tab or bar as the header shows, otherwise blanks; UTF-8 with or without byte order mark,
    or UTF-16 with one. Empty lines are skipped; lines that begin with ``#`` are comments, as for NONMEM; a first line
    ``sep=;`` states the separator.

    Parameters
    ----------
    path : Path
    ledger : Ledger
        Receives what is wrong with the file as a file.

    Returns
    -------
    Table or None
        None if the file cannot be taken apart.
    """
    raw = _bytes(path, ledger)
    if raw is None:
        return None
    data = _utf8(raw, ledger)
    if data is None:
        return None
    start, data = _first_line(data)
    stated = _STATED.match(data)
    if stated:  # spreadsheets write their separator above the header
        start, data = _first_line(data[stated.end() :], start + 1)
    if not data.strip():
        ledger.add("E_FILE_EMPTY", path=path)
        return None
    end = data.find(b"\n")
    line, body = (data, b"") if end < 0 else (data[:end], data[end + 1 :])
    header_text = line.decode("utf-8")
    delimiter = stated[1].decode() if stated else _delimiter(header_text, start, ledger)
    if delimiter is None:
        return None
    headers = _headers(header_text, delimiter, start, ledger)
    if headers is None:
        return None
    if len(headers) > 1 and delimiter != " " and b'"' not in body:
        cells, lines = _plain_lines(body, delimiter, len(headers), start + 1, ledger)
    else:
        records = _records(body.decode("utf-8"), delimiter, start + 1, ledger)
        cells, lines = _rows(records, len(headers), delimiter, ledger)
    if len(lines) == 0:
        if not ledger.has_errors:
            ledger.add("E_NO_RECORDS", source=path)
        return None
    columns = _named(cells, headers, start, ledger)
    if columns is None:
        return None
    digest = hashlib.sha256(raw).hexdigest()
    return Table(columns, lines, path.name, digest, decimal_comma=delimiter != ",")


def _bytes(path: Path, ledger: Ledger) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, ValueError):  # ValueError: a path that no file can have
        near = sorted(p.name for p in path.parent.glob(f"*{path.suffix}")) if path.parent.is_dir() else []
        hint = f"In {path.parent} there are: {names(near, 8)}." if near else "Check the name and the folder."
        ledger.add("E_FILE_NOT_FOUND", path=path, hint=hint)
    except OSError as error:
        ledger.add("E_FILE_UNREADABLE", path=path, reason=error.strerror)
    return None


def _utf8(raw: bytes, ledger: Ledger) -> bytes | None:
    """The content as UTF-8 with plain line feeds, or a finding."""
    data = raw
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        try:
            data = data.decode("utf-16").encode("utf-8")
        except UnicodeError:
            ledger.add("E_ENCODING", value=f"{data[-1]:02x}", encoding="UTF-16")
            return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\x00" in data or data[:4] == b"PK\x03\x04":
        ledger.add("E_FILE_FORMAT", kind="a spreadsheet or an archive" if data[:2] == b"PK" else "not text")
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        row = data[: error.start].count(b"\n") + 1
        ledger.add("E_ENCODING", row=row, value=f"{data[error.start]:02x}", encoding="UTF-8")
        return None
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in data else data


def _first_line(data: bytes, start: int = 1) -> tuple[int, bytes]:
    """Line number of the header and the content from there; empty lines may stand above it."""
    while data:
        end = data.find(b"\n")
        if end < 0 or data[:end].strip():
            break
        data, start = data[end + 1 :], start + 1
    return start, data


def _delimiter(header: str, line: int, ledger: Ledger) -> str | None:
    bare = re.sub(r'"[^"]*"', "", header)
    found = [d for d in _DELIMITERS if d in bare]
    if len(found) > 1:
        kinds = " and ".join(_DELIMITERS[d] for d in found)
        ledger.add("E_DELIMITER", row=line, kinds=kinds)
        return None
    return found[0] if found else " "


def _headers(text: str, delimiter: str, line: int, ledger: Ledger) -> list[str] | None:
    try:
        cells = (
            (text.split() or [""])
            if delimiter == " "
            else next(csv.reader([text], delimiter=delimiter, strict=True))
        )
    except (csv.Error, StopIteration):
        ledger.add("E_QUOTING", row=line, reason="in the header")
        return None
    headers = [c.strip().strip('"').strip() for c in cells]
    # NONMEM files often begin their header with # so that IGNORE=# or IGNORE=@ drops it
    headers[0] = headers[0].lstrip("#").strip()
    if headers[0] == "" and len(headers) > 1 and delimiter == " ":
        headers = headers[1:]
    named = [h for h in headers if h]
    if named and all(_NUMERIC_NAME.match(h) or h in MISSING for h in named):
        ledger.add("E_NO_HEADER", row=line, shown=names(named, 4))
        return None
    return None if duplicated_names([h for h in headers if h], ledger) else headers


def _plain_lines(
    body: bytes, delimiter: str, width: int, first: int, ledger: Ledger
) -> tuple[list[np.ndarray], np.ndarray]:
    """Fast path for text without quotes: line shapes as one array, cells by pandas' parser."""
    if not body:
        return [], np.empty(0, dtype=np.int64)
    if not body.endswith(b"\n"):
        body += b"\n"
    content = np.frombuffer(body, dtype=np.uint8)
    ends = np.flatnonzero(content == ord("\n"))
    starts = np.concatenate([[0], ends[:-1] + 1])
    lines = np.arange(first, first + len(ends))
    fields = np.diff(np.searchsorted(np.flatnonzero(content == ord(delimiter)), ends), prepend=0) + 1
    # a line of blanks, or of nothing but separators, is how spreadsheets end a table
    opening = content[starts]
    blank = (opening <= ord(" ")) | (opening == ord(delimiter))
    nothing = b" \t" + delimiter.encode()
    for k in np.flatnonzero(blank):
        blank[k] = not body[starts[k] : ends[k]].strip(nothing)
    comment = opening == ord("#")
    ragged = ~blank & ~comment & (fields != width)
    _report_ragged(lines[ragged], fields[ragged], width, delimiter, ledger)
    _report_comments(lines[comment], ledger)
    kept = ~(blank | comment | ragged)
    if not kept.any():
        return [], lines[kept]
    if not kept.all():
        spans = zip(starts[kept].tolist(), (ends[kept] + 1).tolist(), strict=True)
        body = b"".join(body[a:b] for a, b in spans)
    return _parsed(body, delimiter, width), lines[kept]


def _parsed(body: bytes, delimiter: str, width: int) -> list[np.ndarray]:
    options: dict[str, Any] = {
        "sep": delimiter,
        "header": None,
        "names": range(width),
        "index_col": False,
        "quoting": csv.QUOTE_NONE,
        "na_values": sorted(MISSING),
        "keep_default_na": False,
        "skipinitialspace": True,
        "skip_blank_lines": False,
        "encoding": "utf-8",
    }
    if tuple(int(x) for x in pd.__version__.split(".")[:2]) < (3, 1):
        options["float_precision"] = "round_trip"  # newer versions always read a number to its last bit
    frame = pd.read_csv(io.BytesIO(body), low_memory=False, **options)
    # TRUE and FALSE must stay the words that were written
    words = [c for c in frame.columns if frame[c].dtype == bool]
    if words:
        frame[words] = pd.read_csv(io.BytesIO(body), usecols=words, dtype=str, **options)[words]
    return [column_of(frame[c]) for c in frame.columns]


def _records(text: str, delimiter: str, first: int, ledger: Ledger) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each record; quoted cells may span lines."""
    stream = io.StringIO(text, newline="\n")
    if delimiter == " ":
        for number, line in enumerate(stream, first):
            yield number, line.split()
        return
    reader = csv.reader(stream, delimiter=delimiter, strict=True, skipinitialspace=True)
    begin = 0
    try:
        for cells in reader:
            yield first + begin, cells
            begin = reader.line_num
    except csv.Error as error:
        ledger.add("E_QUOTING", row=first + begin, reason=error)


def _rows(
    records: Iterator[tuple[int, list[str]]], width: int, delimiter: str, ledger: Ledger
) -> tuple[list[np.ndarray], np.ndarray]:
    rows, lines, ragged, sizes, comments = [], [], [], [], []
    for number, cells in records:
        if not any(c.strip() for c in cells):
            continue
        if cells[0].startswith("#"):
            comments.append(number)
        elif len(cells) != width:
            ragged.append(number)
            sizes.append(len(cells))
        else:
            rows.append(cells)
            lines.append(number)
    _report_ragged(
        np.array(ragged, dtype=np.int64), np.array(sizes, dtype=np.int64), width, delimiter, ledger
    )
    _report_comments(np.array(comments, dtype=np.int64), ledger)
    columns = [tokens(pd.Series(c, dtype=object)) for c in zip(*rows, strict=True)]
    return columns, np.array(lines, dtype=np.int64)


def _report_ragged(lines: np.ndarray, fields: np.ndarray, width: int, delimiter: str, ledger: Ledger) -> None:
    ledger.lines, ledger.labels = lines, None
    hint = _ONE_LINE_EACH
    if delimiter == "," and (fields > width).any():
        hint += " A decimal comma splits a number in two: write 1.5, or separate columns by semicolons."
    ledger.add_rows("E_ROW_LENGTH", np.arange(len(lines)), None, fields, width=width, hint=hint)


def _report_comments(lines: np.ndarray, ledger: Ledger) -> None:
    if len(lines):
        ledger.add("W_RECORDS_EXCLUDED", row=int(lines[0]), count=len(lines), mark="#")


def _named(
    columns: list[np.ndarray], headers: list[str], line: int, ledger: Ledger
) -> dict[str, np.ndarray] | None:
    """Columns by name; one without a name must be empty, as a separator at the end of each line makes it."""
    full = [
        i
        for i, (name, c) in enumerate(zip(headers, columns, strict=True))
        if not name and not pd.isna(c).all()
    ]
    if full:
        problem = f"column {full[0] + 1} holds values but has no name."
        hint = "Name it in the header, or remove it (in R: write.csv(..., row.names = FALSE))."
        ledger.add("E_HEADER", row=line, problem=problem, hint=hint)
        return None
    return {name: c for name, c in zip(headers, columns, strict=True) if name}
