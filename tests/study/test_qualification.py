"""Qualification: what moved is found, what is close passes, and every mistake of a folder is named."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

import pkpd
from pkpd import cli
from pkpd.report.qualification_page import junit_xml, qualification_html, write_qualification
from pkpd.results import from_json, to_json
from pkpd.shipped import datasets_folder
from pkpd.study.qualification import qualify, record

CHECK = """
format = 1
[[check]]
name = "theophylline"
data = "theophylline"
model = "theophylline"
tolerance = { ofv = 0.001, estimate = 0.005 }
"""
SHIPPED = json.loads((datasets_folder() / "qualification/references.json").read_text())
OPTIMUM = SHIPPED["references"]["theophylline, FOCEI"]


def written(folder, references=None, plan=CHECK):
    (folder / "qualify.toml").write_text(plan)
    content = {"format": 1, "references": {"theophylline": references or OPTIMUM}}
    (folder / "references.json").write_text(json.dumps(content))
    return folder


def test_the_installation_reproduces_what_trusted_programs_found(tmp_path):
    # the fits of the shipped folder; its trial is run by `make nightly` and by `pkpd qualify`
    found = qualify(written(tmp_path))
    assert found.passed and len(found.checks) == len(OPTIMUM)
    assert from_json(to_json(found)).checks.equals(found.checks)
    assert repr(found).splitlines()[-1] == f"{len(OPTIMUM)} passed, 0 failed"


@pytest.mark.parametrize(
    ("quantity", "moved"),
    [
        ("ofv", OPTIMUM["ofv"] - 0.01),
        ("ofv", OPTIMUM["ofv"] + 0.01),
        ("CL", 1.01 * OPTIMUM["CL"]),
        ("se X", 1.0),
    ],
)
def test_a_number_that_moved_is_found(tmp_path, quantity, moved, capsys):
    folder = written(tmp_path, OPTIMUM | {quantity: moved})
    assert cli.main(["qualify", str(folder), "--output", str(tmp_path / "out")]) == 3  # a number moved
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert len(lines) == 1 and f"theophylline: {quantity} " in lines[0]
    cases = ElementTree.parse(tmp_path / "out/junit.xml").getroot().findall(".//testcase")
    assert [c.get("name") for c in cases if c.find("failure") is not None] == [quantity]
    page = (tmp_path / "out/qualification.html").read_text()
    assert page.count("FAIL") == 1 and "failed: 1 of" in page


def test_what_is_recorded_is_found_again(tmp_path, capsys):
    folder = written(tmp_path, {"ofv": 0.0})
    assert cli.main(["qualify", str(folder), "--record"]) == cli.OK
    assert cli.main(["qualify", str(folder), "--json"]) == cli.OK
    assert '"passed"' in capsys.readouterr().out
    assert cli.main(["qualify", str(folder), "--record", "--output", str(folder / "out")]) == 2
    assert "--record takes no --output" in capsys.readouterr().err
    content = json.loads((folder / "references.json").read_text())
    assert content["references"]["theophylline"]["ofv"] == pytest.approx(OPTIMUM["ofv"], abs=1e-4)
    assert "numba" in content["recorded_with"]


def test_a_check_that_cannot_run_fails_and_the_others_run(tmp_path):
    plan = CHECK + '\n[[check]]\nname = "no such"\ndata = "theophylline"\nmodel = "nothing"\n'
    folder = written(tmp_path, plan=plan)
    content = json.loads((folder / "references.json").read_text())
    content["references"]["no such"] = {"ofv": 1.0}
    (folder / "references.json").write_text(json.dumps(content))
    found = qualify(folder)
    assert found.checks["passed"].tolist() == [True] * len(OPTIMUM) + [False]
    assert "E_MODEL_UNKNOWN" in found.checks["value"].iloc[-1]
    with pytest.raises(pkpd.InputError, match="E_MODEL_UNKNOWN"):
        record(folder)


def test_verdicts_are_compared_word_by_word():
    from pkpd.study.qualification import _compare

    for value, passed in (("same dose", True), ("exclude", False), (None, False)):
        row = _compare("trial", "verdict lung", "same dose", value, {})
        assert row["passed"] is passed


@pytest.mark.parametrize(
    ("change", "code", "named"),
    [
        ("format = 1", "E_QUALIFY_FILE", "format is None"),
        ('name = "theophylline"', "E_QUALIFY_FILE", "needs a name"),
        ('data = "theophylline"', "E_QUALIFY_FILE", "either data and model, or plan"),
        ("tolerance = { ofv", "E_QUALIFY_FILE", "unknown key"),
        ("estimate = 0.005", "E_QUALIFY_FILE", "tolerance"),
    ],
)
def test_mistakes_of_the_folder_are_named(tmp_path, change, code, named):
    other = {"tolerance = { ofv": "tolerances = { ofv", "estimate = 0.005": "estimates = 0.005"}.get(
        change, ""
    )
    folder = written(tmp_path, plan=CHECK.replace(change, other, 1))
    with pytest.raises(pkpd.InputError, match=code) as error:
        qualify(folder)
    assert named in str(error.value)


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(pkpd.InputError, match="E_QUALIFY_FOLDER"):
        qualify(tmp_path)
    folder = written(tmp_path)
    (folder / "references.json").write_text("{")
    with pytest.raises(pkpd.InputError, match="E_QUALIFY_FILE"):
        qualify(folder)
    (folder / "references.json").unlink()
    with pytest.raises(pkpd.InputError, match="--record"):
        qualify(folder)
    with pytest.raises(pkpd.InputError, match="E_OUTPUT"):
        write_qualification(qualify(written(tmp_path)), tmp_path / "no such folder")


def test_names_are_escaped_in_the_pages(tmp_path):
    folder = written(tmp_path, {"ofv": OPTIMUM["ofv"]}, CHECK)
    found = qualify(folder)
    odd = type(found)("<b>", found.checks.assign(check="<i> & co"), found.environment)
    assert "<b>" not in qualification_html(odd) and "<i>" not in qualification_html(odd)
    assert ElementTree.fromstring(junit_xml(odd).split("\n", 1)[1])[0].get("name") == "<i> & co"
