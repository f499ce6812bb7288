from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections import Counter
from xml.etree import ElementTree

import docx
import pytest
from docx.oxml.ns import qn

from pkpd.report import report_html, tables, write_report
from pkpd.report.blocks import Section
from pkpd.report.english import WORDS
from pkpd.report.equations import mathml
from pkpd.report.omml import office_math
from pkpd.report.word import report_docx
from tests.report.page import Page
from tests.report.synthetic import degenerate

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
# few histologies: drawing takes the time
MADE = degenerate()


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_report(MADE, tmp_path_factory.mktemp("word") / "report.docx")


@pytest.fixture(scope="module")
def document(path):
    return docx.Document(str(path))


@pytest.fixture(scope="module")
def page():
    return Page(report_html(MADE))


def _field_codes(element) -> list[str]:
    return [node.text.strip() for node in element.iter(qn("w:instrText"))]


def test_headings_are_real_and_those_of_the_page(document, page):
    shown = [
        (p.style.name, " ".join(p.text.split()))
        for p in document.paragraphs
        if p.style.name.startswith("Heading")
    ]
    expected = []
    for section in page.root.find("section"):
        expected += [
            ("Heading 1", " ".join(re.sub(r"^(\d+)", r"\1 ", n.text).split())) for n in section.find("h2")
        ]
        expected += [
            ("Heading 2", " ".join(re.sub(r"^([\d.]+)", r"\1 ", n.text).split())) for n in section.find("h3")
        ]
    assert shown == expected


def test_tables_are_real_with_captions_and_repeated_headings(document, page):
    captions = [p for p in document.paragraphs if p.style.name == "Caption"]
    codes = Counter(code.split()[1] for p in captions for code in _field_codes(p._p))
    assert codes == {"Table": len(page.root.find("table")), "Figure": len(page.root.find("figure"))}
    texts = [" ".join(p.text.split()) for p in captions if p.text.startswith("Table")]
    assert texts == [" ".join(c.text.split()) for c in page.root.find("caption")]
    made = [
        t for t in document.tables if t._tbl.iter(qn("w:tblHeader")) and list(t._tbl.iter(qn("w:tblHeader")))
    ]
    assert len(made) == len(page.root.find("table"))
    for table, twin in zip(made, page.root.find("table"), strict=True):
        written = [
            "".join(t.text or "" for t in cell.iter(qn("w:t"))) for cell in table._tbl.iter(qn("w:tc"))
        ]
        shown = [node.text for node in twin.find("th") + twin.find("td")]
        assert _numbers(written) == _numbers(shown)


def _numbers(texts: list[str]) -> Counter:
    return Counter(n for text in texts for n in re.findall(r"\d[\d.\u202f]*", text))


def test_pictures_have_alternative_text(document, page):
    about = [node for node in document.element.body.iter(qn("wp:docPr"))]
    figures = page.root.find("figure")
    assert [n.get("descr") for n in about] == [f.find("desc")[0].text for f in figures]
    assert all(n.get("title") for n in about)


def test_contents_are_a_field_and_pages_are_numbered(document):
    assert 'TOC \\o "1-2" \\h \\z \\u' in _field_codes(document.element.body)
    assert _field_codes(document.sections[0].footer._element) == ["PAGE"]
    page = document.sections[0]
    assert (round(page.page_width.mm), round(page.page_height.mm)) == (210, 297)


def test_equations_are_equations(document):
    assert len(list(document.element.body.iter(f"{M}oMath"))) == len(MADE.pk.equations)
    found = office_math(mathml(r"\frac{d\,depot}{dt} = - KA \cdot depot^{2}_{i}"))
    root = ElementTree.fromstring(found)
    assert root.find(f".//{M}f/{M}num") is not None and root.find(f".//{M}sSubSup") is not None
    # what has no counterpart is told apart from what has
    assert office_math("<math><mtable><mtr/></mtable></math>") is None


def test_subscripts_and_missing_values(document):
    runs = [r for t in document.tables for c in t._cells for p in c.paragraphs for r in p.runs]
    assert any(r.font.subscript and r.text in "ES0" for r in runs)
    text = "".join(r.text for r in runs)
    assert "–" in text and not re.search(r"\bnan\b|None|δ_E|p_0", text)


def test_the_rows_of_one_histology_stay_on_one_page():
    bodies = [
        [tables.Row((tables.heading(name), tables.cell(str(i)))) for i in range(3)] for name in "abcdefgh"
    ]
    made = tables.table("long", "Long", (tables.Column("Histology"), tables.Column("n")), bodies=bodies)
    content = report_docx("Title", "", [Section("s", "Section", (made,))], WORDS, "en")
    (shown,) = docx.Document(io.BytesIO(content)).tables
    kept = [bool(row.cells[0].paragraphs[0].paragraph_format.keep_with_next) for row in shown.rows]
    assert kept == [False, *([True, True, False] * 8)]


def test_the_package_holds_nothing_that_points_outside(path):
    with zipfile.ZipFile(path) as package:
        for name in package.namelist():
            if name.endswith(".rels"):
                assert b'TargetMode="External"' not in package.read(name)


@pytest.mark.skipif(shutil.which("soffice") is None, reason="LibreOffice is not installed")
def test_libreoffice_opens_it(path, tmp_path):
    profile = f"-env:UserInstallation=file://{tmp_path}/profile"
    subprocess.run(
        ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", str(tmp_path), str(path)],
        check=True, capture_output=True, timeout=240,
    )  # fmt: skip
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
