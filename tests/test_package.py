"""What a user gets who installs the wheel and works in another folder."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(out)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(out.glob("pkpd-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel unpacked, and a runner that sees this copy from an empty folder."""
    where, elsewhere = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(where)

    def run(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(where)}
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=elsewhere, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert run("-c", "import pkpd; print(pkpd.__file__)").startswith(str(where))
    return run


def shipped(folder: str, pattern: str) -> set[str]:
    return {p.relative_to(ROOT / folder).as_posix() for p in (ROOT / folder).glob(pattern)}


def test_the_wheel_holds_every_module_model_and_data_set(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for folder, inside, pattern in [
        ("pkpd", "pkpd", "**/*.py"),
        ("models", "pkpd/_models", "*.py"),
        ("datasets", "pkpd/_datasets", "*/*.csv"),
        ("datasets", "pkpd/_datasets", "*/*.toml"),
    ]:
        expected = shipped(folder, pattern)
        assert expected
        assert {f"{inside}/{name}" for name in expected} <= names
    assert not [n for n in names if n.endswith(".pyc") or n.startswith(("tests", "benchmarks"))]


def test_the_wheel_makes_the_command_and_carries_the_licence(wheel):
    with zipfile.ZipFile(wheel) as archive:
        entry = next(n for n in archive.namelist() if n.endswith("entry_points.txt"))
        assert "pkpd = pkpd.cli:main" in archive.read(entry).decode()
        assert any(n.endswith("licenses/LICENSE") for n in archive.namelist())


def test_the_command_runs_from_another_folder(installed):
    import pkpd

    assert installed("-m", "pkpd.cli", "--version") == f"pkpd {pkpd.__version__}"
    models = {line.split()[0] for line in installed("-m", "pkpd.cli", "models").splitlines()}
    assert models == {Path(name).stem for name in shipped("models", "*.py")}
    datasets = {line.split()[0] for line in installed("-m", "pkpd.cli", "datasets").splitlines()}
    assert datasets == {Path(name).parent.name for name in shipped("datasets", "*/*.csv")}


def test_models_and_data_sets_load_from_another_folder(installed):
    code = (
        "import pkpd; data = pkpd.load_dataset('theophylline'); model = pkpd.load_model('theophylline');"
        "print(data.n_subjects, data.n_observations, model.name)"
    )
    assert installed("-c", code) == "12 132 theophylline"


def test_importing_pkpd_loads_nothing_heavy():
    heavy = ("sympy", "scipy.stats", "matplotlib", "numba")
    code = f"import pkpd, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_reading_a_plan_or_an_assessment_loads_nothing_heavy():
    heavy = ("sympy", "scipy.stats", "matplotlib", "numba")
    code = f"import pkpd.cli, pkpd.study, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_public_name_can_be_loaded():
    import pkpd

    missing = []
    for name in pkpd.__all__:
        try:
            getattr(pkpd, name)
        except (ImportError, AttributeError) as error:
            missing.append(f"{name}: {error}")
    assert not missing
