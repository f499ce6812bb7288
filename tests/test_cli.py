from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import pkpd
import pkpd.study.analysis
from pkpd import cli
from pkpd.errors import FitError
from pkpd.shipped import datasets_folder
from pkpd.store import Store
from pkpd.study.assessment import Assessment
from pkpd.study.files import STAGES
from tests.study.example import assessment
from tests.study.test_plan import PLAN


def run(*arguments: str) -> int:
    try:
        return cli.main(arguments)
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "data.csv").write_text("ID\n")
    (tmp_path / "model.py").write_text("")
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture
def finished(monkeypatch):
    """The road itself replaced by a finished assessment: what the command does around it is tested."""
    calls = []

    def assess(plan, *, progress=None, store=None):
        calls.append(plan)
        progress("reading the data", "")
        return assessment()

    def write_pages(result, folder, language="en"):
        (folder / "figures").mkdir(exist_ok=True)
        (folder / "figures" / "forest.svg").write_text("<svg/>")
        for name in ("report.html", "report.docx"):
            (folder / name).write_text(f"<html lang={language}>{result.title}</html>")

    monkeypatch.setattr(pkpd.study.analysis, "assess", assess)
    monkeypatch.setattr("pkpd.report.write_pages", write_pages)
    return calls


def one_error(capsys, code: str) -> str:
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {code}: "), err
    assert err.count("error:") == 1
    assert "Traceback" not in err
    assert out == ""
    return err


def test_assess_writes_every_file_and_prints_the_verdicts_and_the_report(plan, finished, tmp_path, capsys):
    out = tmp_path / "new" / "out"
    assert run("assess", str(plan), "--output", str(out)) == 0
    shown = sorted(f.name for f in out.iterdir() if not f.name.startswith("."))
    assert shown == ["assessment.json", "figures", "report.docx", "report.html", "tables"]
    restored = Assessment.from_json((out / "assessment.json").read_text(encoding="utf-8"))
    assert restored.verdicts.equals(assessment().verdicts)
    assert (
        (out / "tables/verdicts.csv")
        .read_text()
        .splitlines()[0]
        .startswith("histology,n,n_response,verdict,dose")
    )
    parquet = pd.read_parquet(out / "tables/verdicts.parquet")
    assert parquet["verdict"].tolist() == assessment().verdicts["verdict"].tolist()
    assert "CL,5.8" in (out / "tables/pk.parameters.csv").read_text()
    printed, err = capsys.readouterr()
    assert "adjust dose" in printed
    assert printed.rstrip().endswith(str(out / "report.html"))
    assert err == ""  # not a terminal: no progress
    assert finished[0].seed == 7


def test_assess_and_report_in_another_language_and_for_scripts(plan, finished, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("pkpd.report.canvas.require_font", lambda language: None)
    for words in (("assess", str(plan)), ("report", str(tmp_path / "assess"))):
        out = tmp_path / words[0]
        assert run(*words, "--output", str(out), "--language", "zh", "--json") == 0
        said = json.loads(capsys.readouterr().out)
        assert [v["verdict"] for v in said["verdicts"]] == assessment().verdicts["verdict"].tolist()
        assert said["report"] == str(out / "report.html")
        assert "lang=zh" in (out / "report.html").read_text()


def test_without_resume_nothing_is_taken_from_an_earlier_run(plan, finished, tmp_path):
    kept = Store(tmp_path / "out" / STAGES)
    kept.put("a" * 64, 1.0)
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 0
    assert kept.keys() == ["a" * 64]
    assert run("assess", str(plan), "--output", str(tmp_path / "out"), "--no-resume") == 0
    assert kept.keys() == []


def test_a_plan_with_a_typo_is_refused_before_anything_runs(plan, finished, tmp_path, capsys):
    plan.write_text(PLAN.replace("interval", "intervall"))
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 2
    err = capsys.readouterr().err
    assert "line 17: unknown key 'dosing.intervall'. Remedy: Did you mean 'interval'?" in err
    assert "Traceback" not in err
    assert not finished
    assert not (tmp_path / "out").exists()


def test_a_missing_plan(capsys, tmp_path):
    assert run("assess", "nowhere.toml", "--output", str(tmp_path)) == 2
    assert "nowhere.toml" in one_error(capsys, "E_PLAN_FILE")


def test_an_output_folder_that_cannot_be_made(plan, finished, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run("assess", str(plan), "--output", str(tmp_path / "file" / "out")) == 2
    assert "Give --output a folder" in one_error(capsys, "E_OUTPUT")
    assert not finished


def test_a_full_disk_leaves_no_half_written_file(plan, finished, tmp_path, capsys, monkeypatch):
    def full(self, *args, **kwargs):
        self.touch()
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_bytes", full)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 1
    err = one_error(capsys, "E_OUTPUT_WRITE")
    assert "No space left on device" in err
    left = [p for p in (tmp_path / "out").rglob("*") if p.is_file()]
    assert left == []
    (kept,) = tmp_path.glob("pkpd-assessment-*.json")
    assert f"All numbers are safe in {kept}" in err
    assert kept.read_text(encoding="utf-8") == assessment().to_json()
    assert f"pkpd report {kept}" in err


def test_a_failed_fit_exits_with_1(plan, finished, monkeypatch, tmp_path, capsys):
    def assess(plan, *, progress=None, store=None):
        raise FitError("E_FIT", "no subject could be integrated.", "Check the doses.")

    monkeypatch.setattr(pkpd.study.analysis, "assess", assess)
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 1
    assert "Remedy: Check the doses." in one_error(capsys, "E_FIT")


def test_a_fault_of_the_program_is_one_line_too(plan, finished, monkeypatch, tmp_path, capsys):
    def assess(plan, *, progress=None, store=None):
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(pkpd.study.analysis, "assess", assess)
    monkeypatch.delenv("PKPD_TRACEBACK", raising=False)
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 1
    assert "PKPD_TRACEBACK=1" in one_error(capsys, "E_INTERNAL")


def test_warnings_are_one_line_each(plan, finished, monkeypatch, tmp_path, capsys):
    import warnings

    from pkpd.errors import PkpdWarning

    def assess(plan, *, progress=None, store=None):
        warnings.warn("W_SHRINKAGE_HIGH: 40 %", PkpdWarning, stacklevel=1)
        return assessment()

    monkeypatch.setattr(pkpd.study.analysis, "assess", assess)
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 0
    assert capsys.readouterr().err == "warning: W_SHRINKAGE_HIGH: 40 %\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("assess", "p.toml"), "--output"),
        (("assess", "p.toml", "--output", "x", "--threads", "0"), "a whole number from 1 upwards"),
        (("assess", "p.toml", "--output", "x", "--language", "fr"), "invalid choice: 'fr'"),
        (("asess",), "invalid choice: 'asess'"),
        ((), "VERB"),
    ],
)
def test_wrong_usage_exits_with_2(arguments, message, capsys):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_threads_reach_numba_before_it_is_imported(plan, tmp_path):
    code = (
        "import sys; from pkpd import cli\n"
        f"nowhere = {str(tmp_path / 'no.file' / 'o')!r}\n"
        f"arguments = ['assess', {str(plan)!r}, '--output', nowhere, '--threads', '1']\n"
        "assert cli.main(arguments) == 2\n"
        "assert 'numba' not in sys.modules\n"
        "import numba; print(numba.config.NUMBA_NUM_THREADS)"
    )
    (tmp_path / "no.file").write_text("")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_interrupting_says_so_and_exits_with_130(plan, tmp_path):
    code = (
        # a shell lets what it starts in the background ignore Ctrl-C
        "import signal, time, sys, pkpd.study.analysis as a\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "def assess(plan, *, progress=None, store=None):\n    print('running', flush=True); time.sleep(60)\n"
        "a.assess = assess\n"
        "from pkpd import cli\n"
        f"sys.exit(cli.main(['assess', {str(plan)!r}, '--output', {str(tmp_path / 'out')!r}]))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "running\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.startswith("interrupted; the same command goes on")
    assert err.count("\n") == 1


def test_output_into_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m pkpd.cli datasets | true"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env={**os.environ}, check=False
    )
    assert done.stderr == ""


GOOD = """\
ID,TIME,AMT,EVID,DV,MDV,CMT,TUMOR,ORR,AE
1,0,100,1,.,1,1,lung,1,0
1,1,.,0,5.0,0,2,lung,1,0
1,2,.,0,4.0,0,2,lung,1,0
2,0,100,1,.,1,1,rare,0,0
2,1,.,0,3.0,0,2,rare,0,0
"""
BROKEN = {
    "missing column": (GOOD.replace("TIME", "CLOCK"), "there is no column TIME"),
    "not numeric": (GOOD.replace("5.0", "five"), "row 3, ID 1, column DV, value five"),
    "unsorted times": (GOOD.replace("1,2,.,0,4.0", "1,0.5,.,0,4.0"), "E_TIME_NOT_INCREASING: row 4, ID 1"),
    "no observations": (GOOD.replace("2,1,.,0,3.0,0,2,rare,0,0\n", ""), "E_NO_OBSERVATIONS: row 5, ID 2"),
    "no doses": (GOOD.replace("2,0,100,1,.,1,1,rare,0,0\n", ""), "E_NO_DOSES: row 5, ID 2"),
}


@pytest.mark.parametrize(("broken", "words"), BROKEN.values(), ids=BROKEN)
def test_a_data_set_that_cannot_be_used_is_one_clear_error(tmp_path, plan, capsys, broken, words):
    (tmp_path / "data.csv").write_text(broken)
    assert run("check", str(tmp_path / "data.csv")) == 2
    assert words in capsys.readouterr().out
    assert run("check", str(tmp_path / "data.csv"), "--json") == 2
    findings = json.loads(capsys.readouterr().out)
    assert any(f["code"].startswith("E_") for f in findings)
    # the same through the whole road
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Remedy: " in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("data", "old", "new", "words"),
    [
        (GOOD, 'reference = "lung"', 'reference = "Lung"', "line 7: histology 'Lung' is not in column TUMOR"),
        (GOOD, 'column = "ORR"', 'column = "RESP"', "line 28: the data have no column 'RESP'"),
        (GOOD, 'reference = "lung"', 'reference = "lung"\nhistology = "SITE"', "SITE"),
        (GOOD, "data.csv", "none.csv", "there is no such file"),
        (GOOD, 'file = "model.py"', 'name = "no_model"', "there is no shipped model 'no_model'"),
        (GOOD.splitlines()[0] + "\n1,0,100,1,.,1,1,lung,1,0\n", "", "", "has a single observation"),
    ],
    ids=["histology", "endpoint", "histology column", "data file", "model", "nothing observed"],
)
def test_what_plan_and_data_disagree_on_is_one_clear_error(tmp_path, plan, capsys, data, old, new, words):
    (tmp_path / "data.csv").write_text(data)
    plan.write_text(PLAN.replace(old, new, 1) if old else PLAN)
    assert run("assess", str(plan), "--output", str(tmp_path / "out")) == 2
    err = capsys.readouterr().err
    assert words in err
    assert "Traceback" not in err


def test_check_passes_a_good_data_set(tmp_path, capsys):
    path = tmp_path / "data.csv"
    path.write_text(GOOD)
    assert run("check", str(path)) == 0
    assert "0 errors" in capsys.readouterr().out


def test_check_shows_what_the_data_hold(capsys):
    from pkpd.shipped import dataset_path

    assert run("check", str(dataset_path("pantumor_small"))) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(i for i, line in enumerate(lines) if "subjects" in line)
    assert lines[head].split() == ["subjects", "observations", "blq", "doses", "rows"]
    sizes = {line.split()[0]: line.split()[1:] for line in lines[head + 2 : -1]}
    expected = pkpd.load_dataset("pantumor_small").summary()
    assert sizes == {
        str(h): [str(x) for x in row] for h, row in zip(expected.index, expected.to_numpy(), strict=True)
    }


def test_check_of_a_plan(tmp_path, capsys):
    shipped = datasets_folder() / "pantumor_small"
    assert run("check", str(shipped / "plan.toml")) == 0
    plan = tmp_path / "plan.toml"
    plan.write_text((shipped / "plan.toml").read_text().replace("seed = 20251229", "seed = -1"))
    assert run("check", str(plan)) == 2
    assert "E_PLAN_VALUE" in capsys.readouterr().out


def test_models_and_datasets_are_listed(capsys):
    assert run("datasets") == 0
    assert "Theophylline" in capsys.readouterr().out
    assert run("models") == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert "theophylline" in names


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("pkpd ")
