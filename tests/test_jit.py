"""Where compiled code lives: found again by the next process, never by another version, and never in the way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pkpd import _jit

ROOT = Path(__file__).parents[1]
PROBE = "import pkpd._jit as j; print(j.cache_folder('linear'))"


def run(code, cache, package=ROOT, **more):
    """Output of ``code`` in a fresh process that keeps compiled code in ``cache``."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_")}
    environment |= {"PKPD_CACHE_DIR": str(cache), "PYTHONPATH": str(package)} | more
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=package, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# divided.py holds the smallest kernels: seconds instead of a minute to compile
KERNEL = """
import warnings
warnings.simplefilter("error")
import math
from pkpd.kernels.divided import divided1
value = divided1(-1.0, -2.0, math.exp(-1.0), math.exp(-2.0), 1.0)
print(value, sum(divided1.stats.cache_hits.values()), sum(divided1.stats.cache_misses.values()))
"""


def test_a_second_process_compiles_nothing(tmp_path):
    first, second = run(KERNEL, tmp_path).split(), run(KERNEL, tmp_path).split()
    assert float(first[0]) == float(second[0]) == pytest.approx(0.23254415793482963)
    assert (first[1:], second[1:]) == (["0", "1"], ["1", "0"])


@pytest.fixture
def package(tmp_path):
    """A copy of the sources that can be edited."""
    copy = tmp_path / "source"
    shutil.copytree(
        ROOT / "pkpd", copy / "pkpd", ignore=shutil.ignore_patterns("__pycache__", "_models", "_datasets")
    )
    return copy


def test_an_edited_kernel_source_changes_the_folder_and_other_edits_do_not(package, tmp_path):
    cache = tmp_path / "cache"
    before = run(PROBE, cache, package)
    assert Path(before).parent == cache
    for edited, changes in (("report/wording.py", False), ("kernels/divided.py", True), ("_jit.py", True)):
        source = package / "pkpd" / edited
        source.write_text(source.read_text() + "\n# edited\n")
        after = run(PROBE, cache, package)
        assert (after != before) is changes, edited
        before = after


@pytest.mark.parametrize("blocked", ["file", "below a file"])
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, blocked):
    file = tmp_path / "taken"
    file.write_text("not a folder")
    cache = file if blocked == "file" else file / "below"
    assert run(PROBE, cache) == "None"
    assert float(run(KERNEL, cache).split()[0]) == pytest.approx(0.23254415793482963)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_cache_is_done_without(tmp_path):
    tmp_path.chmod(0o500)
    assert run(PROBE, tmp_path) == "None"


def test_old_versions_are_removed_and_recent_ones_kept(tmp_path):
    for name, days in (("kernels-old", 40), ("kernels-recent", 3), ("kernels-mine", 90), ("other", 90)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - days * 86400,) * 2)
    _jit._prune(tmp_path, keep=tmp_path / "kernels-mine")
    assert {p.name for p in tmp_path.iterdir()} == {"kernels-recent", "kernels-mine", "other"}


def test_importing_the_package_compiles_nothing_and_loads_no_kernel():
    loaded = run(
        "import sys, pkpd; print('numba' in sys.modules, 'sympy' in sys.modules)", ROOT / ".unused"
    ).split()
    assert loaded == ["False", "False"]


def test_threads_are_kept_within_what_there_is():
    before = _jit.threads()
    try:
        _jit.set_threads(0)
        assert _jit.threads() == 1
        _jit.set_threads(10**6)
        assert _jit.threads() >= before
    finally:
        _jit.set_threads(before)
