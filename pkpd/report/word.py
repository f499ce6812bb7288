"""The report as a DOCX file: the blocks of the page, as real headings, captions, tables and equations."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pkpd.report.blocks import Block, Code, Equations, Figure, Heading, Points, Section, Terms, Text
from pkpd.report.omml import office_math
from pkpd.report.tables import Table
from pkpd.report.word_tables import (
    ACCENT,
    INK,
    PAGE_WIDTH,
    SOFT,
    element,
    fill_table,
    rule_table,
    runs,
    set_widths,
)

if TYPE_CHECKING:
    from docx.document import Document

__all__ = ["report_docx"]

_LATIN, _MONO = "Arial", "Courier New"
_EAST_ASIAN = {"zh": "Microsoft YaHei", "en": "Arial"}
_LANGUAGE = {"zh": "zh-CN", "en": "en-GB"}


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
        self._paragraph(words["kind_of_document"], colour=ACCENT, bold=True, size=9)
        self.document.add_heading(title, 0)
        self._paragraph(stamp, colour=SOFT, size=8)
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
            ("Normal", 9.5, INK, False), ("Title", 20, INK, True), ("Heading 1", 14, ACCENT, True),
            ("Heading 2", 11, INK, True), ("Caption", 9, INK, False), ("Code", 7, INK, False),
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
        tongue.append(element("w:lang", val=_LANGUAGE["en"], eastAsia=_LANGUAGE[language]))
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
        head = self._paragraph(self.w["contents"], bold=True, colour=ACCENT, size=11)
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
        run.append(element("w:fldChar", fldCharType="begin"))
        text = element("w:instrText")
        text.text = f" {instruction} "
        run.append(text)
        run.append(element("w:fldChar", fldCharType="separate"))

    def _end_field(self, paragraph: Any) -> None:
        paragraph.add_run()._r.append(element("w:fldChar", fldCharType="end"))

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
        runs(paragraph, text, size=size, colour=colour, bold=bold)
        return paragraph

    def _text(self, block: Text) -> None:
        looks: dict[str, dict[str, Any]] = {
            "absent": {"colour": SOFT},
            "warning": {"colour": "9a5b00"},
            "global": {"size": 10.5},
        }
        paragraph = self._paragraph(block.text, **looks.get(block.look, {}))
        paragraph.paragraph_format.keep_with_next = block.look == "lead"

    def _points(self, block: Points) -> None:
        for entry in block.entries:
            runs(self.document.add_paragraph(style="List Bullet"), entry)

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
                runs(cell.paragraphs[0], text, bold=bold)
        set_widths(made, [1.6, PAGE_WIDTH - 1.6])
        rule_table(made, inside=True)
        self.document.add_paragraph()

    def _caption(self, kind: str, caption: str, keep: bool) -> None:
        self.counts[kind] += 1
        paragraph = self.document.add_paragraph(style="Caption")
        paragraph.paragraph_format.keep_with_next = keep
        paragraph.add_run(f"{self.w[kind]} ").bold = True
        self._field(paragraph, f"SEQ {kind.capitalize()} \\* ARABIC", str(self.counts[kind]))
        runs(paragraph, f"{self.w['numbered']} {caption}")

    def _figure(self, block: Figure) -> None:
        from docx.shared import Inches

        width = min(float(block.drawing.get_size_inches()[0]), PAGE_WIDTH)
        paragraph = self.document.add_paragraph()
        paragraph.paragraph_format.keep_with_next = True
        picture = paragraph.add_run().add_picture(io.BytesIO(block.png), width=Inches(width))
        about = picture._inline.docPr
        about.set("title", block.caption)
        about.set("descr", block.description)
        note = f"{self.w['stop']} {block.note}".rstrip()
        self._caption("figure", block.caption + note, keep=False)

    def _table(self, block: Table) -> None:
        self._caption("table", block.caption, keep=True)
        fill_table(self.document.add_table(0, len(block.columns)), block)
        if block.note:
            self._paragraph(block.note, size=7.5, colour=SOFT)
        else:
            self.document.add_paragraph()
