"""The pages of docs/ build without a warning, and their code runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl

DOCS = Path(__file__).parents[1] / "docs"


def test_the_code_of_the_tutorial_runs(monkeypatch, capsys):
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict = {"__name__": "tutorial"}
    for block in blocks:
        exec(compile(block, "tutorial.md", "exec"), namespace)
    assert len(blocks) >= 7 and "verdict" in capsys.readouterr().out


def test_the_pages_build_without_a_warning(tmp_path):
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "--keep-going",
        "-q",
        "-b",
        "html",
        "-d",
        str(tmp_path / "tree"),
    ]
    # a copy: the API pages are generated beside the sources
    source = tmp_path / "docs"
    source.mkdir()
    for page in [*DOCS.glob("*.md"), DOCS / "conf.py"]:
        (source / page.name).write_bytes(page.read_bytes())
    done = subprocess.run(
        [*command, str(source), str(tmp_path / "html")],
        cwd=DOCS.parent, env={**os.environ, "PYTHONPATH": str(DOCS.parent)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import pkpd

    for name in pkpd._WHERE:
        assert (tmp_path / f"html/api/pkpd.{name}.html").exists(), name
