"""What the README says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_its_script_finds_the_optimum_that_it_states(capsys):
    (script,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len([line for line in script.splitlines() if line.strip()]) <= 15
    namespace: dict = {}
    exec(script, namespace)
    stated = float(re.search(r"gives OFV ([\d.]+)", README).group(1))
    # four printed decimals; the value itself is checked against two other programs in tests/population
    assert round(namespace["fit"].ofv, 4) == stated
    assert f"OFV {stated}" in capsys.readouterr().out


def test_its_commands_exist():
    makefile = (Path(__file__).parent.parent / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make (\w+)", README)):
        assert f"\n{target}:" in makefile, target


def test_its_picture_and_files_exist():
    for path in re.findall(r"\]\((docs/[^)]+)\)|`(datasets/[^`]+)`", README):
        assert (Path(__file__).parent.parent / "".join(path)).exists(), path
