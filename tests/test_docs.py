"""The pages of docs/ build without a warning, and their code runs."""

from __future__ import annotations

import contextlib
import inspect
import io
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import pytest

import pkpd
from pkpd.cli import _parser

DOCS = Path(__file__).parents[1] / "docs"


def test_the_code_of_the_tutorial_runs(monkeypatch, capsys):
    monkeypatch.setitem(mpl.rcParams, "backend", "agg")
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "tutorial.md").read_text(encoding="utf-8"), re.DOTALL)
    namespace: dict = {"__name__": "tutorial"}
    for block in blocks:
        exec(compile(block, "tutorial.md", "exec"), namespace)
    assert len(blocks) >= 7 and "verdict" in capsys.readouterr().out


def test_the_truth_on_the_page_of_verdicts_is_the_same_in_python_and_in_a_plan():
    from pkpd.study.truths import ScenarioPlan

    text = (DOCS / "verdicts.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (plan,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    asked = []

    def characteristics(*given, **named):  # 500 trials take minutes: the call is looked at
        bound = inspect.signature(pkpd.operating_characteristics).bind(*given, **named)
        asked.append((bound.arguments["n"], given[1]))

    stand_in = SimpleNamespace(
        Scenario=pkpd.Scenario, processes=pkpd.processes, operating_characteristics=characteristics
    )
    exec(compile(script, "verdicts.md", "exec"), {"pkpd": stand_in})
    read = tomllib.loads(plan)
    (entry,) = read["scenario"]
    assert asked == [(read["characteristics"]["n"], ScenarioPlan(**entry).truth())]


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
    for name in pkpd._WHERE:
        assert (tmp_path / f"html/api/pkpd.{name}.html").exists(), name


def test_every_warning_has_its_line():
    from pkpd.data.rules import RULES

    package = Path(pkpd.__file__).parent
    given = {
        code
        for path in package.rglob("*.py")
        for code in re.findall(r'[" ](W_[A-Z0-9_]+)(?=: )', path.read_text(encoding="utf-8"))
    }
    told = set(re.findall(r"`(W_[A-Z0-9_]+)`", (DOCS / "warnings.md").read_text(encoding="utf-8")))
    assert len(given) > 30
    assert given - set(RULES) == told  # none is missing, and none is told of that no longer exists


def test_what_the_pages_name_exists():
    from pkpd.language.trace import Builder
    from pkpd.population import PopulationFit

    text = "".join(
        (DOCS / name).read_text(encoding="utf-8")
        for name in ("from_other_programs.md", "command_line.md", "warnings.md")
    )
    for name in set(re.findall(r"pkpd\.(\w+)", text)):
        assert hasattr(pkpd, name), name
    for name in set(re.findall(r"`m\.(\w+)", text)):
        assert name == "dv" or hasattr(Builder, name), name
    attributes = {*PopulationFit.__dataclass_fields__, *dir(PopulationFit)}
    for name in set(re.findall(r"`fit\.(\w+)", text)) - {"json"}:
        assert name in attributes, name
    for name in set(re.findall(r"`model\.(\w+)", text)):
        assert hasattr(pkpd.Model, name), name


@pytest.mark.parametrize("page", ["docs/command_line.md", "README.md"])
def test_the_commands_of_a_page_are_understood(page):
    text = (DOCS.parent / page).read_text(encoding="utf-8")
    commands = re.findall(r"(?:^|`)(pkpd (?!VERB)[a-z][^`\n#]*)", text, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        words = [w for w in shlex.split(command)[1:] if w not in ("[DIR]", "...", "…")]
        try:
            _parser().parse_args(words)
        except SystemExit as stop:
            # verbs that are named without what they need are fine; an unknown verb or option is not
            assert stop.code == 2
            with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
                _parser().parse_args(words)
            assert "the following arguments are required" in said.getvalue(), (command, said.getvalue())
