"""The page in a real browser, where one is installed: nothing runs over, and paper is A4."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from pkpd.report import report_html
from tests.report.synthetic import many

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no headless browser is installed")

# what is wider than its place, seen from the page itself
MEASURE = """<script>window.addEventListener("load", () => {
  const wide = [...document.querySelectorAll("main *, header *")].filter(e => !e.closest("svg") && !e.closest("math"))
    .filter(e => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1 && !e.closest(".table"))
    .map(e => e.tagName + "." + e.className);
  const tables = [...document.querySelectorAll(".table")].filter(e => e.scrollWidth > e.clientWidth + 1)
    .map(e => e.querySelector("table").id);
  const figures = [...document.querySelectorAll("figure svg")].filter(e => e.getBoundingClientRect().width < 100).length;
  const body = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.body.setAttribute("data-measured", JSON.stringify({wide, tables, figures, body}));
})</script></body>"""


def _run(*arguments: str) -> bytes:
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", *arguments]
    return subprocess.run(command, check=True, capture_output=True, timeout=240).stdout


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("browser") / "report.html"
    path.write_text(report_html(many()), encoding="utf-8")
    return path


@pytest.mark.parametrize("width", [1200, 800])
def test_nothing_runs_over_the_page(file, tmp_path, width):
    measured = tmp_path / "measured.html"
    measured.write_text(file.read_text(encoding="utf-8").replace("</body>", MEASURE), encoding="utf-8")
    page = _run(
        f"--window-size={width},1000", "--virtual-time-budget=10000", "--dump-dom", measured.as_uri()
    ).decode()
    text = re.search(r'data-measured="([^"]+)"', page).group(1).replace("&quot;", '"')
    found = json.loads(text)
    assert found["wide"] == [] and found["body"] <= 0 and found["figures"] == 0
    # on a desk no table needs its scroll bar
    assert width < 1200 or found["tables"] == []


def test_paper_is_a4_and_nothing_is_shrunken_to_fit(file, tmp_path):
    target = tmp_path / "report.pdf"
    _run("--no-pdf-header-footer", f"--print-to-pdf={target}", file.as_uri())
    pdf = target.read_bytes()
    boxes = {tuple(map(float, b.split())) for b in re.findall(rb"/MediaBox ?\[([^\]]+)\]", pdf)}
    assert all(abs(b[2] - 595.3) < 1.5 and abs(b[3] - 841.9) < 1.5 for b in boxes) and boxes
    assert 15 < pdf.count(b"/Type /Page\n") + len(re.findall(rb"/Type ?/Page[^s]", pdf)) < 90
