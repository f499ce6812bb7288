"""Tables of the report: cells know the field of the assessment they show; decimals stand in line."""

from __future__ import annotations

import dataclasses
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from pkpd.report.numbers import MISSING, significant

__all__ = [
    "Badge",
    "Cell",
    "Column",
    "Filled",
    "Number",
    "Reader",
    "Row",
    "Table",
    "by_head",
    "cell",
    "heading",
    "table",
    "traced",
]


@dataclass(frozen=True)
class Number:
    """A value of the assessment as it is shown.

    Attributes
    ----------
    text : str
        Rounded.
    field : str
        Where it stands, see :func:`pkpd.report.fields.field_value`.
    scale : int
        The value was multiplied by this before rounding (100 for percent).
    """

    text: str
    field: str
    scale: int = 1


@dataclass(frozen=True)
class Badge:
    """A word that stands out; ``look`` is a class of the style sheet, ``title`` explains the word."""

    text: str
    look: str
    title: str = ""
    field: str = ""


Part = str | Number | Badge


@dataclass(frozen=True)
class Column:
    """Heading of a column; ``kind`` is text, number or interval; columns of one ``group`` share one above."""

    label: str
    kind: str = "text"
    group: str = ""


@dataclass(frozen=True)
class Cell:
    """What stands in a cell; ``detail`` is a second, smaller line."""

    parts: tuple[Part, ...]
    kind: str = "text"
    detail: tuple[Part, ...] = ()
    span: int = 1
    pad_digits: int = 0
    pad_point: int = 0

    @property
    def text(self) -> str:
        """The cell without markup."""
        return "".join(p if isinstance(p, str) else p.text for p in self.parts)


@dataclass(frozen=True)
class Filled(Column):
    """A column that knows what stands in it: ``make`` gives its cell of the row of a frame with that number."""

    make: Callable[[int], Cell] = field(kw_only=True, compare=False)


@dataclass(frozen=True)
class Row:
    """Cells of a row; ``look`` is "" or "group" (a heading across the table), "said" (words below a row),
    "again" (it repeats the heading of the row above).
    """

    cells: tuple[Cell, ...]
    look: str = ""


@dataclass(frozen=True)
class Table:
    """A table with its caption; rows of one body stay on one page."""

    key: str
    caption: str
    columns: tuple[Column, ...]
    bodies: tuple[tuple[Row, ...], ...]
    note: str = ""
    look: str = ""
    groups: tuple[tuple[str, int], ...] = field(default=())


def cell(*parts: Part, kind: str = "text", detail: Iterable[Part] = (), span: int = 1) -> Cell:
    """Make a cell."""
    return Cell(tuple(parts), kind, tuple(detail), span)


def traced(template: str, values: Mapping[str, Part]) -> list[Part]:
    """A sentence with its values as parts, so that its numbers keep their place in the assessment."""
    parts: list[Part] = []
    for text, name, _, _ in string.Formatter().parse(template):
        if text:
            parts.append(text)
        if name is not None:
            parts.append(values[name])
    return parts


def heading(*parts: Part, detail: Iterable[Part] = (), span: int = 1) -> Cell:
    """Make the cell that names its row."""
    return cell(*parts, kind="head", detail=detail, span=span)


def table(
    key: str,
    caption: str,
    columns: Iterable[Column],
    rows: Iterable[Row] | None = None,
    *,
    bodies: Iterable[Iterable[Row]] | None = None,
    note: str = "",
    look: str = "",
    align_bodies: bool = False,
) -> Table:
    """Make a table whose numbers are in line, over all rows or within each body."""
    columns = tuple(columns)
    grouped = [tuple(b) for b in bodies] if bodies is not None else [tuple(rows or ())]
    for at, column in enumerate(columns):
        if column.kind == "number":
            if align_bodies:
                grouped = [_aligned([body], at, len(columns))[0] for body in grouped]
            else:
                grouped = _aligned(grouped, at, len(columns))
    groups: list[tuple[str, int]] = []
    for column in columns:
        if groups and groups[-1][0] == column.group:
            groups[-1] = (column.group, groups[-1][1] + 1)
        else:
            groups.append((column.group, 1))
    shown = tuple(groups) if any(name for name, _ in groups) else ()
    return Table(key, caption, columns, tuple(grouped), note, look, shown)


def by_head(rows: Iterable[Row]) -> list[list[Row]]:
    """Bodies of a table: rows in sequence that share their first cell, which only the first of them shows."""
    bodies: list[list[Row]] = []
    for row in rows:
        if bodies and bodies[-1][0].cells[0].text == row.cells[0].text:
            bodies[-1].append(dataclasses.replace(row, look="again"))
        else:
            bodies.append([row])
    return bodies


def _aligned(bodies: list[tuple[Row, ...]], at: int, width: int) -> list[tuple[Row, ...]]:
    """Tell each number of a column how many digits, and whether a point, it lacks to the right."""

    def decimals(row: Row) -> int | None:
        if len(row.cells) != width or row.cells[at].kind != "number":
            return None
        shown = re.fullmatch(r"[<>]?−?[\d\u202f]+(?:\.(\d+))?", row.cells[at].text)
        return None if shown is None else len(shown.group(1) or "")

    found = [d for body in bodies for row in body if (d := decimals(row)) is not None]
    most = max(found, default=0)

    def padded(row: Row) -> Row:
        own = decimals(row)
        if own is None or own == most:
            return row
        new = dataclasses.replace(row.cells[at], pad_digits=most - own, pad_point=int(own == 0))
        return dataclasses.replace(row, cells=(*row.cells[:at], new, *row.cells[at + 1 :]))

    return [tuple(padded(row) for row in body) for body in bodies]


class Reader:
    """Reads a table of the assessment and makes cells that remember their place.

    Parameters
    ----------
    frame : DataFrame
    path : str
        Where the frame stands in the assessment, e.g. ``"exposure.ratios"``.
    words : mapping
        Words of the report.
    """

    def __init__(self, frame: pd.DataFrame, path: str, words: Mapping) -> None:
        self.frame, self.path, self.words = frame, path, words

    def __len__(self) -> int:
        return len(self.frame)

    def positions(self, order: list[str]) -> list[int]:
        """Row numbers, histologies in the given order and rows of one histology as they stand."""
        rank = {name: i for i, name in enumerate(order)}
        return sorted(range(len(self.frame)), key=lambda i: rank.get(self.word("histology", i), len(order)))

    def has(self, *names: str) -> bool:
        """Whether all columns are there."""
        return all(name in self.frame for name in names)

    def value(self, name: str, row: int) -> Any:
        """The value itself; None where there is no such column."""
        return self.frame[name].iloc[row] if name in self.frame else None

    def word(self, name: str, row: int) -> str:
        """A text; empty where missing."""
        value = self.value(name, row)
        return "" if value is None or value != value else str(value)

    def number(
        self, name: str, row: int, form: Callable[[float], str] = significant, scale: int = 1
    ) -> Number:
        """A number in the given form; ``scale`` is what the form multiplies with."""
        value = self.value(name, row)
        missing = value is None or value != value
        return Number(
            MISSING if missing else form(value),
            f"{self.path}.{name}[{row}]" if name in self.frame else "",
            scale,
        )

    def column(
        self, label: str, make: Callable[[int], Cell], kind: str = "text", *, group: str = ""
    ) -> Filled:
        """A column of cells of any kind."""
        return Filled(label, kind, group, make=make)

    def heads(self, label: str, name: str = "histology") -> Filled:
        """The column that names the rows."""
        return self.column(label, lambda i: heading(self.word(name, i)))

    def texts(self, label: str, name: str, said: Callable[[str], str] = str) -> Filled:
        """A column of words."""
        return self.column(label, lambda i: cell(said(self.word(name, i))))

    def numbers(
        self,
        label: str,
        name: str,
        form: Callable[[float], str] = significant,
        scale: int = 1,
        *,
        group: str = "",
    ) -> Filled:
        """A column of numbers; ``form`` and ``scale`` as in :meth:`number`."""

        def make(i: int) -> Cell:
            return cell(self.number(name, i, form, scale), kind="number")

        return self.column(label, make, "number", group=group)

    def intervals(
        self,
        label: str,
        low: str,
        high: str,
        form: Callable[[float], str] = significant,
        scale: int = 1,
        *,
        group: str = "",
    ) -> Filled:
        """A column of intervals; a dash where either end is missing."""

        def make(i: int) -> Cell:
            ends = self.number(low, i, form, scale), self.number(high, i, form, scale)
            if MISSING in (ends[0].text, ends[1].text):
                return cell(MISSING, kind="interval")
            return cell(ends[0], self.words["to"], ends[1], kind="interval")

        return self.column(label, make, "interval", group=group)

    @staticmethod
    def rows(columns: Iterable[Filled], positions: Iterable[int]) -> list[Row]:
        """One row of the table for each of these rows of the frame."""
        columns = tuple(columns)
        return [Row(tuple(c.make(i) for c in columns)) for i in positions]
