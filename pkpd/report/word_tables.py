"""Tables of the DOCX file: text with subscripts, widths, lines, and rows that stay on one page."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from pkpd.report.tables import Badge, Cell, Number, Part, Row, Table

__all__ = ["ACCENT", "INK", "PAGE_WIDTH", "SOFT", "element", "fill_table", "rule_table", "runs", "set_widths"]

INK, SOFT, ACCENT = "1d2329", "5b646d", "1f4e79"
PAGE_WIDTH = 6.9  # inches between the margins of A4
_BADGES = {"same": "0b5d3b", "adjust": "7a4700", "exclude": "8c1c13", "open": "434c55", "mark": SOFT}
_WIDE = 8  # columns, from which on the text of a table is set smaller
_SHORT = 20  # rows, up to which a table is not broken
_ALIGNED = {"number": 2, "interval": 1}


def fill_table(made: Any, block: Table) -> None:
    """Put headings, rows and lines of a table into an empty one of the document."""
    size = 7.0 if len(block.columns) >= _WIDE else 8.0
    if block.groups:
        row, at = made.add_row(), 0
        for name, span in block.groups:
            cell = row.cells[at].merge(row.cells[at + span - 1])
            runs(cell.paragraphs[0], name, size=size, bold=True)
            cell.paragraphs[0].alignment = 1
            at += span
        _repeated(row)
    row = made.add_row()
    for cell, column in zip(row.cells, block.columns, strict=True):
        runs(cell.paragraphs[0], column.label, size=size, bold=True)
        cell.paragraphs[0].alignment = _ALIGNED.get(column.kind, 0)
    _repeated(row)
    at = heads = len(made.rows)
    together: set[int] = set()
    for body in block.bodies:
        for line in body:
            _row(made, line, size)
        if len(body) <= _SHORT:
            together |= set(range(at, at + len(body) - 1))
        at += len(body)
    set_widths(made, _shares(block, size))
    rule_table(made, heads=heads, together=together)


def _row(made: Any, line: Row, size: float) -> None:
    row, at = made.add_row(), 0
    row._tr.get_or_add_trPr().append(element("w:cantSplit"))
    for cell in line.cells:
        target = row.cells[at] if cell.span == 1 else row.cells[at].merge(row.cells[at + cell.span - 1])
        _cell(target, cell, size, group=line.look == "group", again=line.look == "again")
        at += cell.span


def rule_table(made: Any, heads: int = 0, inside: bool = False, together: Collection[int] = ()) -> None:
    """Lines above and below, and below the headings; cells close to one another."""
    properties = made._tbl.tblPr
    borders = element("w:tblBorders")
    for side, size in (("top", 8), ("bottom", 8), ("insideH", 2)):
        if side != "insideH" or inside or heads:
            colour = INK if side != "insideH" else "d5dae0"
            borders.append(element(f"w:{side}", val="single", sz=str(size), space="0", color=colour))
    properties.append(borders)
    margins = element("w:tblCellMar")
    for side, width in (("top", 20), ("left", 50), ("bottom", 20), ("right", 50)):
        margins.append(element(f"w:{side}", w=str(width), type="dxa"))
    properties.append(margins)
    for row in made.rows[:heads]:
        for cell in row.cells:
            found = cell._tc.get_or_add_tcPr()
            line = element("w:tcBorders")
            line.append(element("w:bottom", val="single", sz="6", space="0", color=INK))
            found.append(line)
    rows = list(made.rows)
    for at, row in enumerate(rows):
        # a short table stays on one page, and so do the rows of one histology
        kept = at in together or (len(rows) <= _SHORT and at < len(rows) - 1)
        for paragraph in (p for cell in row.cells for p in cell.paragraphs):
            paragraph.paragraph_format.space_after = 0
            paragraph.paragraph_format.keep_with_next = kept


def element(name: str, **attributes: str) -> Any:
    """Make an element of WordprocessingML."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(name)
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), value)
    return made


def set_widths(made: Any, inches: list[float]) -> None:
    """Give each column its width, merged cells the sum of theirs."""
    from docx.shared import Inches

    made.autofit = False
    for column, width in zip(made.columns, inches, strict=True):
        column.width = Inches(width)
    for row in made.rows:
        for cell, width in zip(row._tr.tc_lst, _spanned(row._tr.tc_lst, inches), strict=True):
            cell.width = Inches(width)


def _spanned(cells: list[Any], inches: list[float]) -> list[float]:
    out, at = [], 0
    for cell in cells:
        out.append(sum(inches[at : at + cell.grid_span]))
        at += cell.grid_span
    return out


def _shares(block: Table, size: float) -> list[float]:
    """Width of each column in inches, from its longest word and its longest text, at most the page."""
    letter = size / 72 * 0.6
    needed, wanted = [], []
    for k, column in enumerate(block.columns):
        texts = [
            row.cells[k] for body in block.bodies for row in body if len(row.cells) == len(block.columns)
        ]
        whole = [_long(cell.text) for cell in texts] or [0]
        kept = (
            whole if column.kind != "text" else [_long(word) for c in texts for word in c.text.split()] or [0]
        )
        heads = [_long(word) for word in column.label.split()]
        needed.append((max([*kept, *heads]) + 2) * letter)
        wanted.append((max([*whole, _long(column.label)]) + 2) * letter)
    spare = PAGE_WIDTH - sum(needed)
    if spare < 0:
        return [n * PAGE_WIDTH / sum(needed) for n in needed]
    more = [w - n for n, w in zip(needed, wanted, strict=True)]
    part = min(1.0, spare / sum(more)) if sum(more) else 0.0
    return [n + part * m for n, m in zip(needed, more, strict=True)]


def _long(text: str) -> float:
    """Letters of a text; a Chinese one is as wide as two others."""
    return sum(1.8 if ord(c) > 0x2E80 else 1.0 for c in text)


def _repeated(row: Any) -> None:
    """Show the row again at the top of each page that the table reaches."""
    row._tr.get_or_add_trPr().append(element("w:tblHeader"))


def runs(
    paragraph: Any, text: str, *, size: float | None = None, colour: str = "", bold: bool | None = None
) -> None:
    """Add text; δ_E and the like get their subscripts."""
    from docx.shared import Pt, RGBColor

    for k, piece in enumerate(re.split(r"(?<=[δpτ])_([ES0])\b", text)):
        if not piece:
            continue
        run = paragraph.add_run(piece)
        run.font.subscript = True if k % 2 else None
        run.bold = bold
        if size:
            run.font.size = Pt(size)
        if colour:
            run.font.color.rgb = RGBColor.from_string(colour)


def _cell(target: Any, cell: Cell, size: float, *, group: bool, again: bool) -> None:
    first = target.paragraphs[0]
    first.alignment = _ALIGNED.get(cell.kind, 0)
    if not (again and cell.kind == "head"):
        _parts(first, cell.parts, size, bold=group or None, colour=ACCENT if group else "")
    if cell.detail:
        _parts(target.add_paragraph(), cell.detail, size - 1, colour=SOFT)


def _parts(
    paragraph: Any, parts: Iterable[Part], size: float, *, bold: bool | None = None, colour: str = ""
) -> None:
    for part in parts:
        if isinstance(part, Badge):
            runs(
                paragraph, part.text, size=size, bold=part.look != "mark", colour=_BADGES.get(part.look, INK)
            )
        else:
            runs(
                paragraph,
                part.text if isinstance(part, Number) else part,
                size=size,
                bold=bold,
                colour=colour,
            )
