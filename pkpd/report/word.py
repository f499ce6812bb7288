"""The report as a DOCX file: the blocks of the page, as real headings, captions, tables and equations."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING, Any

from pkpd.report.blocks import Block, Code, Equations, Figure, Heading, Points, Section, Terms, Text
from pkpd.report.omml import office_math
from pkpd.report.tables import Badge, Cell, Number, Part, Row, Table

if TYPE_CHECKING:
    from docx.document import Document

__all__ = ["report_docx"]

_INK, _SOFT, _ACCENT = "1d2329", "5b646d", "1f4e79"
_BADGES = {"same": "0b5d3b", "adjust": "7a4700", "exclude": "8c1c13", "open": "434c55", "mark": _SOFT}
_WIDE = 8  # columns, from which on the text of a table is set smaller
_SHORT = 20  # rows, up to which a table is not broken
_LATIN, _MONO = "Arial", "Courier New"
_EAST_ASIAN = {"zh": "Microsoft YaHei", "en": "Arial"}
_LANGUAGE = {"zh": "zh-CN", "en": "en-GB"}
_PAGE_WIDTH = 6.9  # inches between the margins of A4


def report_docx(title: str, stamp: str, sections: Iterable[Section], words: dict, language: str) -> bytes:
    """Write the sections of a report as a DOCX file.

    Parameters
    ----------
    title, stamp : str
        Heading of the document, and the line below it.
    sections : iterable of Section
    words : dict
        Words of the report.
    language : str

    Returns
    -------
    bytes
    """
    return _Writer(title, stamp, list(sections), words, language).made()


class _Writer:
    def __init__(self, title: str, stamp: str, sections: list[Section], words: dict, language: str) -> None:
        import docx

        self.w, self.sections = words, sections
        self.document: Document = docx.Document()
        self.counts = {"table": 0, "figure": 0}
        self._styles(language)
        self.document.core_properties.title = title
        self.document.core_properties.author = "pkpd"
        self.document.core_properties.language = _LANGUAGE[language]
        self._paragraph(words["kind_of_document"], colour=_ACCENT, bold=True, size=9)
        self.document.add_heading(title, 0)
        self._paragraph(stamp, colour=_SOFT, size=8)
        self._page_number()

    def made(self) -> bytes:
        """All sections, the table of contents after the first one."""
        for number, section in enumerate(self.sections, start=1):
            self.document.add_heading(f"{number}  {section.title}", 1)
            inner = 0
            for block in section.blocks:
                if isinstance(block, Heading):
                    inner += 1
                    self.document.add_heading(f"{number}.{inner}  {block.text}", 2)
                else:
                    self._block(block)
            if number == 1:
                self._contents()
        stream = io.BytesIO()
        self.document.save(stream)
        return stream.getvalue()

    # document -------------------------------------------------------------------------------------------------

    def _styles(self, language: str) -> None:
        from docx.enum.style import WD_STYLE_TYPE
        from docx.oxml.ns import qn
        from docx.shared import Mm, Pt, RGBColor

        styles = self.document.styles
        code = styles.add_style("Code", WD_STYLE_TYPE.PARAGRAPH)
        for name, size, colour, bold in (
            ("Normal", 9.5, _INK, False), ("Title", 20, _INK, True), ("Heading 1", 14, _ACCENT, True),
            ("Heading 2", 11, _INK, True), ("Caption", 9, _INK, False), ("Code", 7, _INK, False),
        ):  # fmt: skip
            style: Any = styles[name]
            latin = _MONO if name == "Code" else _LATIN
            style.font.name, style.font.size, style.font.bold = latin, Pt(size), bold
            style.font.color.rgb = RGBColor.from_string(colour)
            fonts = style.element.get_or_add_rPr().get_or_add_rFonts()
            # the template names fonts of its theme, which would win
            for key in list(fonts.attrib):
                if key.endswith("Theme"):
                    del fonts.attrib[key]
            fonts.set(qn("w:hAnsi"), latin)
            fonts.set(qn("w:eastAsia"), _EAST_ASIAN[language])
        styles["Normal"].paragraph_format.space_after = Pt(6)
        styles["Caption"].paragraph_format.keep_with_next = True
        styles["Caption"].paragraph_format.space_before = Pt(8)
        code.paragraph_format.space_after = Pt(0)
        tongue = styles["Normal"].element.get_or_add_rPr()
        # Latin words break as words, whatever the language around them
        tongue.append(_element("w:lang", val=_LANGUAGE["en"], eastAsia=_LANGUAGE[language]))
        page = self.document.sections[0]
        page.page_width, page.page_height = Mm(210), Mm(297)
        page.left_margin = page.right_margin = Mm(17)
        page.top_margin = page.bottom_margin = Mm(18)

    def _page_number(self) -> None:
        paragraph = self.document.sections[0].footer.paragraphs[0]
        paragraph.alignment = 2
        self._field(paragraph, "PAGE", "1")

    def _contents(self) -> None:
        """A field that word processors bring up to date; until then it shows titles without page numbers."""
        head = self._paragraph(self.w["contents"], bold=True, colour=_ACCENT, size=11)
        head.paragraph_format.keep_with_next = True
        titles = []
        for number, section in enumerate(self.sections, start=1):
            titles.append((1, f"{number}  {section.title}"))
            titles += [(2, f"{number}.{k}  {h.text}") for k, h in enumerate(section.headings, start=1)]
        paragraphs = [self.document.add_paragraph() for _ in titles]
        self._begin_field(paragraphs[0], 'TOC \\o "1-2" \\h \\z \\u')
        from docx.shared import Mm, Pt

        for paragraph, (level, title) in zip(paragraphs, titles, strict=True):
            paragraph.paragraph_format.left_indent = Mm(6 * (level - 1))
            paragraph.paragraph_format.space_after = Pt(1)
            paragraph.add_run(title)
        self._end_field(paragraphs[-1])

    # fields ---------------------------------------------------------------------------------------------------

    def _begin_field(self, paragraph: Any, instruction: str) -> None:
        run = paragraph.add_run()._r
        run.append(_element("w:fldChar", fldCharType="begin"))
        text = _element("w:instrText")
        text.text = f" {instruction} "
        run.append(text)
        run.append(_element("w:fldChar", fldCharType="separate"))

    def _end_field(self, paragraph: Any) -> None:
        paragraph.add_run()._r.append(_element("w:fldChar", fldCharType="end"))

    def _field(self, paragraph: Any, instruction: str, shown: str) -> None:
        self._begin_field(paragraph, instruction)
        paragraph.add_run(shown)
        self._end_field(paragraph)

    # blocks ---------------------------------------------------------------------------------------------------

    def _block(self, block: Block) -> None:
        write: dict[type, Callable[[Any], None]] = {
            Text: self._text, Terms: self._terms, Points: self._points, Figure: self._figure,
            Equations: self._equations, Code: self._code, Table: self._table,
        }  # fmt: skip
        write[type(block)](block)

    def _paragraph(
        self,
        text: str,
        *,
        size: float | None = None,
        colour: str = "",
        bold: bool = False,
        style: str = "Normal",
    ) -> Any:
        paragraph = self.document.add_paragraph(style=style)
        _runs(paragraph, text, size=size, colour=colour, bold=bold)
        return paragraph

    def _text(self, block: Text) -> None:
        looks: dict[str, dict[str, Any]] = {
            "absent": {"colour": _SOFT},
            "warning": {"colour": "9a5b00"},
            "global": {"size": 10.5},
        }
        paragraph = self._paragraph(block.text, **looks.get(block.look, {}))
        paragraph.paragraph_format.keep_with_next = block.look == "lead"

    def _points(self, block: Points) -> None:
        for entry in block.entries:
            _runs(self.document.add_paragraph(style="List Bullet"), entry)

    def _code(self, block: Code) -> None:
        for line in block.text.splitlines():
            self.document.add_paragraph(line, style="Code")

    def _equations(self, block: Equations) -> None:
        from docx.oxml import parse_xml

        for mathml, latex in block.entries:
            math = office_math(mathml) if mathml else None
            if math is None:
                self.document.add_paragraph(latex, style="Code")
            else:
                self.document.add_paragraph()._p.append(parse_xml(math))

    def _terms(self, block: Terms) -> None:
        made = self.document.add_table(0, 2)
        for term, said in block.pairs:
            cells = made.add_row().cells
            for cell, text, bold in ((cells[0], term, True), (cells[1], said, False)):
                _runs(cell.paragraphs[0], text, bold=bold)
        _widths(made, [1.6, _PAGE_WIDTH - 1.6])
        self._rules(made, inside=True)
        self.document.add_paragraph()

    def _caption(self, kind: str, caption: str, keep: bool) -> None:
        self.counts[kind] += 1
        paragraph = self.document.add_paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = keep
        paragraph.add_run(f"{self.w[kind]} ").bold = True
        self._field(paragraph, f"SEQ {kind.capitalize()} \\* ARABIC", str(self.counts[kind]))
        _runs(paragraph, f"{self.w['numbered']} {caption}")

    def _figure(self, block: Figure) -> None:
        from docx.shared import Inches

        from pkpd.report.canvas import png

        width = min(float(block.drawing.get_size_inches()[0]), _PAGE_WIDTH)
        paragraph = self.document.add_paragraph()
        paragraph.paragraph_format.keep_with_next = True
        picture = paragraph.add_run().add_picture(io.BytesIO(png(block.drawing)), width=Inches(width))
        about = picture._inline.docPr
        about.set("title", block.caption)
        about.set("descr", block.description)
        note = f"{self.w['stop']} {block.note}".rstrip()
        self._caption("figure", block.caption + note, keep=False)

    # tables ---------------------------------------------------------------------------------------------------

    def _table(self, block: Table) -> None:
        self._caption("table", block.caption, keep=True)
        size = 7.0 if len(block.columns) >= _WIDE else 8.0
        made = self.document.add_table(0, len(block.columns))
        if block.groups:
            row, at = made.add_row(), 0
            for name, span in block.groups:
                cell = row.cells[at].merge(row.cells[at + span - 1])
                _runs(cell.paragraphs[0], name, size=size, bold=True)
                cell.paragraphs[0].alignment = 1
                at += span
            _repeated(row)
        row = made.add_row()
        for cell, column in zip(row.cells, block.columns, strict=True):
            _runs(cell.paragraphs[0], column.label, size=size, bold=True)
            cell.paragraphs[0].alignment = _ALIGNED.get(column.kind, 0)
        _repeated(row)
        at = heads = len(made.rows)
        together: set[int] = set()
        for body in block.bodies:
            for line in body:
                self._row(made, line, size)
            if len(body) <= _SHORT:
                together |= set(range(at, at + len(body) - 1))
            at += len(body)
        _widths(made, _shares(block, size))
        self._rules(made, heads=heads, together=together)
        if block.note:
            self._paragraph(block.note, size=7.5, colour=_SOFT)
        else:
            self.document.add_paragraph()

    def _row(self, made: Any, line: Row, size: float) -> None:
        row, at = made.add_row(), 0
        row._tr.get_or_add_trPr().append(_element("w:cantSplit"))
        for cell in line.cells:
            target = row.cells[at] if cell.span == 1 else row.cells[at].merge(row.cells[at + cell.span - 1])
            _cell(target, cell, size, group=line.look == "group", again=line.look == "again")
            at += cell.span

    def _rules(self, made: Any, heads: int = 0, inside: bool = False, together: Collection[int] = ()) -> None:
        """Lines above and below, and below the headings; cells close to one another."""
        properties = made._tbl.tblPr
        borders = _element("w:tblBorders")
        for side, size in (("top", 8), ("bottom", 8), ("insideH", 2)):
            if side != "insideH" or inside or heads:
                colour = _INK if side != "insideH" else "d5dae0"
                borders.append(_element(f"w:{side}", val="single", sz=str(size), space="0", color=colour))
        properties.append(borders)
        margins = _element("w:tblCellMar")
        for side, width in (("top", 20), ("left", 50), ("bottom", 20), ("right", 50)):
            margins.append(_element(f"w:{side}", w=str(width), type="dxa"))
        properties.append(margins)
        for row in made.rows[:heads]:
            for cell in row.cells:
                found = cell._tc.get_or_add_tcPr()
                line = _element("w:tcBorders")
                line.append(_element("w:bottom", val="single", sz="6", space="0", color=_INK))
                found.append(line)
        rows = list(made.rows)
        for at, row in enumerate(rows):
            # a short table stays on one page, and so do the rows of one histology
            kept = at in together or (len(rows) <= _SHORT and at < len(rows) - 1)
            for paragraph in (p for cell in row.cells for p in cell.paragraphs):
                paragraph.paragraph_format.space_after = 0
                paragraph.paragraph_format.keep_with_next = kept


_ALIGNED = {"number": 2, "interval": 1}


def _element(name: str, **attributes: str) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(name)
    for key, value in attributes.items():
        made.set(qn(f"w:{key}"), value)
    return made


def _widths(made: Any, inches: list[float]) -> None:
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
    spare = _PAGE_WIDTH - sum(needed)
    if spare < 0:
        return [n * _PAGE_WIDTH / sum(needed) for n in needed]
    more = [w - n for n, w in zip(needed, wanted, strict=True)]
    part = min(1.0, spare / sum(more)) if sum(more) else 0.0
    return [n + part * m for n, m in zip(needed, more, strict=True)]


def _long(text: str) -> float:
    """Letters of a text; a Chinese one is as wide as two others."""
    return sum(1.8 if ord(c) > 0x2E80 else 1.0 for c in text)


def _repeated(row: Any) -> None:
    """Show the row again at the top of each page that the table reaches."""
    row._tr.get_or_add_trPr().append(_element("w:tblHeader"))


def _runs(
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
        _parts(first, cell.parts, size, bold=group or None, colour=_ACCENT if group else "")
    if cell.detail:
        _parts(target.add_paragraph(), cell.detail, size - 1, colour=_SOFT)


def _parts(
    paragraph: Any, parts: Iterable[Part], size: float, *, bold: bool | None = None, colour: str = ""
) -> None:
    for part in parts:
        if isinstance(part, Badge):
            _runs(
                paragraph, part.text, size=size, bold=part.look != "mark", colour=_BADGES.get(part.look, _INK)
            )
        else:
            _runs(
                paragraph,
                part.text if isinstance(part, Number) else part,
                size=size,
                bold=bold,
                colour=colour,
            )
