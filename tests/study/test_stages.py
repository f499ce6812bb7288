"""Interrupted and resumed: the same bytes. Edited: only what changed is done again."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import pkpd
from pkpd.study import responses, stages
from pkpd.study.analysis import assess

FOLDER = Path(__file__).parents[2] / "datasets" / "pantumor_small"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """Three histologies of the small trial."""
    folder = tmp_path_factory.mktemp("study")
    data = pd.read_csv(FOLDER / "pantumor_small.csv", dtype=str, keep_default_na=False)
    data[data["TUMOR"].isin(["lung", "breast", "gastric"])].to_csv(folder / "pantumor_small.csv", index=False)
    text = (FOLDER / "plan.toml").read_text().replace("n = 999", "n = 19")
    scenario = """
[characteristics]
n = 12
draws = 100

[[scenario]]
name = "gastric clears faster"
response = { lung = 0.4 }
ae = { lung = 0.15 }
cv = 0.4
response_slope = 1.5
ae_slope = 1.0
ratio = { gastric = 0.6 }

"""
    before, after = text.split("[[endpoint]]", 1)
    (folder / "plan.toml").write_text(before + scenario + "[[endpoint]]" + after)
    return folder / "plan.toml"


@pytest.fixture(scope="module")
def whole(plan):
    calls = []
    text = assess(plan, progress=lambda *said: calls.append(said)).to_json()
    return text, len(calls)


@pytest.fixture(scope="module")
def kept(plan, tmp_path_factory):
    """A store with all stages of the plan; a test that adds to it takes a copy."""
    store = tmp_path_factory.mktemp("kept")
    assess(plan, store=store)
    return store


def test_an_interrupted_run_goes_on_to_the_same_bytes(plan, whole, tmp_path):
    """Ctrl-C at five random moments: within fits, between stages."""
    text, calls = whole
    moments = random.Random(20251229)
    for _ in range(5):
        left = moments.randrange(1, calls)

        def cut(stage, detail):
            nonlocal left
            left -= 1
            if left == 0:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            for _ in range(20):  # a resumed run says less: begin again until the moment has come
                assess(plan, progress=cut, store=tmp_path)
    assert assess(plan, store=tmp_path).to_json() == text
    assert assess(plan, store=tmp_path).to_json() == text
    assert not list((tmp_path / "running").glob("*.*"))  # evaluations go when their fit is finished


def test_scenarios_of_a_plan_are_those_of_operating_characteristics(plan, whole):
    inside = pkpd.study.Assessment.from_json(whole[0]).characteristics
    truth = pkpd.Scenario(
        "gastric clears faster", {"lung": 0.4}, {"lung": 0.15}, 0.4, 1.5, 1.0, ratio={"gastric": 0.6}
    )
    alone = pkpd.operating_characteristics(plan, truth, n=12, n_draws=100)
    assert inside.to_json() == alone.to_json()
    assert inside.n_replicates == 12 and len(inside.table) == 2


def test_an_edit_of_one_endpoint_does_only_that_endpoint_again(plan, kept, tmp_path, monkeypatch):
    store = shutil.copytree(kept, tmp_path / "store")
    edited = plan.with_name("edited.toml")
    before, after = plan.read_text().rsplit('shape = "log"', 1)
    edited.write_text(before + 'shape = "linear"' + after)
    done = []
    for module, name in (
        (responses, "likelihood_ratio"),
        (responses, "borrowed_responses"),
        (pkpd.population, "fit"),
        (pkpd.exposure, "exposure_metrics"),
        (pkpd.exposure, "histology_exposure"),
    ):
        real = getattr(module, name)

        def counted(*args, _real=real, _name=name, **settings):
            done.append((_name, settings.get("response")))
            return _real(*args, **settings)

        monkeypatch.setattr(module, name, counted)
    resumed = assess(edited, store=store)
    assert done == [("likelihood_ratio", "AE")] * 2
    assert resumed.to_json() == assess(edited).to_json()


def test_a_stage_of_other_parts_is_another_stage(tmp_path):
    with stages.keeping(tmp_path):
        assert stages.finished("a", lambda: 1, "x", 2.0) == 1
        assert stages.finished("a", lambda: 2, "x", 2.0) == 1
        assert stages.finished("a", lambda: 3, "x", 2.5) == 3
        assert stages.finished("b", lambda: 4, "x", 2.0) == 4
    assert stages.finished("a", lambda: 5, "x", 2.0) == 5  # nothing is kept outside


def test_a_full_disk_ends_with_the_place_where_all_numbers_are(plan, whole, tmp_path):
    """The command with a limit on the size of files: what is larger cannot be written, as on a full disk."""
    out = tmp_path / "out"
    (tmp_path / "tmp").mkdir()
    code = (
        "import resource, sys, pkpd.study.analysis as a, pkpd.study.files as f\n"
        "from pkpd import cli\n"
        "write = f.write_tables\n"
        "def full(*args):\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))\n"
        "    try:\n        return write(*args)\n"
        "    finally:\n        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "f.write_tables = full\n"
        f"sys.exit(cli.main(['assess', {str(plan)!r}, '--output', {str(out)!r}]))"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "\nerror: E_OUTPUT_WRITE: cannot write " in f"\n{done.stderr}"
    assert "Traceback" not in done.stderr
    (kept,) = (tmp_path / "tmp").glob("pkpd-assessment-*.json")
    assert f"All numbers are safe in {kept}" in done.stderr
    assert kept.read_text() == whole[0]
    # room again: nothing is fitted a second time
    began = time.monotonic()
    assert [p.name for p in out.iterdir() if not p.name.startswith(".")] == ["tables"]
    again = assess(plan, store=out / ".stages")
    assert again.to_json() == whole[0]
    assert time.monotonic() - began < 60


def test_a_store_that_fills_up_is_a_warning_and_no_end(plan, whole, tmp_path):
    stages_folder = tmp_path / "stages"
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4500, limit[1]))
        with pytest.warns(pkpd.PkpdWarning, match="W_STORE_WRITE"):
            found = assess(plan, store=stages_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert found.to_json() == whole[0]


@pytest.mark.nightly
def test_a_killed_command_goes_on_to_the_same_bytes(tmp_path):
    """The command itself, ended from outside at five random moments."""
    for name in ("plan.toml", "pantumor_small.csv"):
        shutil.copy(FOLDER / name, tmp_path)
    command = [sys.executable, "-m", "pkpd.cli", "assess", str(tmp_path / "plan.toml"), "--output"]
    began = time.monotonic()
    subprocess.run([*command, str(tmp_path / "whole")], check=True, capture_output=True)
    took = time.monotonic() - began
    moments = random.Random(1)
    for ending in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        process = subprocess.Popen(
            [*command, str(tmp_path / "cut")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(moments.uniform(0.1, 0.8) * took)
        process.send_signal(ending)
        process.wait()
    subprocess.run([*command, str(tmp_path / "cut")], check=True, capture_output=True)
    cut, uncut = (tmp_path / f / "assessment.json" for f in ("cut", "whole"))
    assert cut.read_bytes() == uncut.read_bytes()
