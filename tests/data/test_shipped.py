"""What comes with pkpd: found in a checkout and in a wheel; data sets are what their provenance says."""

from __future__ import annotations

import csv
import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pkpd
from pkpd import shipped


def provenance(name: str) -> dict:
    return tomllib.loads(shipped.dataset_path(name).with_name("provenance.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", shipped.dataset_names())
def test_data_sets_are_what_their_provenance_says(name: str) -> None:
    about, path = provenance(name), shipped.dataset_path(name)
    assert about["name"] == name and about["file"] == path.name
    assert hashlib.sha256(path.read_bytes()).hexdigest() == about["sha256"]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(about["columns"])
    assert len(rows) == about["records"]
    assert len({r["ID"] for r in rows}) == about["subjects"]
    assert sum(r["EVID"] == "0" and r["MDV"] == "0" for r in rows) == about["observations"]
    assert sum(r["EVID"] == "1" for r in rows) == about["doses"]
    assert about["sources"] and about["licence"] and about["changes"]
    assert all(c["description"] for c in about["columns"].values())


@pytest.mark.parametrize("name", ("indometh", "phenobarbital", "theophylline"))
def test_data_sets_are_read_without_a_finding(name: str) -> None:
    about, data = provenance(name), pkpd.load_dataset(name)
    assert pkpd.check(shipped.dataset_path(name)) == []
    sizes = (data.n_subjects, data.n_observations, data.n_doses, len(data.frame))
    assert sizes == tuple(about[k] for k in ("subjects", "observations", "doses", "records"))
    assert data.sha256 == about["sha256"] and data.source == f"{name}.csv"
    assert data.units == {c: v["unit"] for c, v in about["columns"].items() if "unit" in v}


def test_theophylline_values() -> None:
    """Subject 1 as R's datasets::Theoph prints it: 79.6 kg, 4.02 mg/kg, peak 10.50 at 1.12 h."""
    frame = pkpd.load_dataset("theophylline").frame
    one = frame[frame["ID"] == 1]
    assert one["AMT"].iloc[0] == pytest.approx(4.02 * 79.6, abs=1e-9)
    assert one["WT"].iloc[0] == 79.6
    assert one.loc[one["DV"].idxmax(), ["TIME", "DV"]].tolist() == [1.12, 10.5]


def test_quinidine_is_refused_by_name_until_steady_state_is_supported() -> None:
    found = pkpd.check(shipped.dataset_path("quinidine"))
    counts = {code: sum(f.code == code for f in found) for code in {f.code for f in found}}
    assert counts == {"E_SS_NOT_SUPPORTED": 249, "E_EVID_NOT_SUPPORTED": 82}
    with pytest.raises(pkpd.DataError, match="E_SS_NOT_SUPPORTED: row 10, ID 1, column SS, value 1"):
        pkpd.load_dataset("quinidine")


REFERENCE = Path(os.environ.get("PKPD_REFERENCE", "")) / "data"


@pytest.mark.skipif(not os.environ.get("PKPD_REFERENCE"), reason="PKPD_REFERENCE is not set")
def test_quinidine_is_the_published_layout_record_by_record() -> None:
    with (REFERENCE / "quinidine_nlme.csv").open(newline="") as file:
        original = list(csv.DictReader(file))
    with shipped.dataset_path("quinidine").open(newline="") as file:
        ours = list(csv.DictReader(file))
    for a, b in zip(original, ours, strict=True):
        assert (b["ID"], b["TIME"], b["AMT"], b["DV"]) == (a["Subject"], a["time"], a["dose"], a["conc"])
        assert (b["SS"], b["II"]) == (("1", a["interval"]) if a["interval"] != "." else ("0", "."))
        kind = "1" if a["dose"] != "." else "0" if a["conc"] != "." else "2"
        assert (b["EVID"], b["MDV"]) == (kind, "0" if kind == "0" else "1")
        names = ("Age", "Height", "Weight", "Race", "Smoke", "Ethanol", "Heart", "Creatinine", "glyco")
        assert list(b.values())[8:] == [a[n] for n in names]


def test_an_unknown_data_set_names_those_that_exist() -> None:
    with pytest.raises(pkpd.InputError, match=r"E_UNKNOWN_DATASET.*theophylline"):
        pkpd.load_dataset("theophyline")
    with pytest.raises(pkpd.InputError, match="E_UNKNOWN_DATASET"):
        shipped.dataset_path("../theophylline")


def test_folders_in_a_checkout() -> None:
    root = Path(pkpd.__file__).resolve().parent.parent
    if not (root / "pyproject.toml").is_file():
        pytest.skip("pkpd is installed from a wheel")
    assert shipped.datasets_folder() == root / "datasets"
    assert shipped.models_folder() == root / "models"


def test_folders_in_a_wheel(tmp_path: Path) -> None:
    """The layout that pyproject.toml gives to the wheel, in another place and run from elsewhere."""
    package = tmp_path / "site" / "pkpd"
    package.mkdir(parents=True)
    source = Path(pkpd.__file__).resolve().parent
    for name in ("errors.py", "shipped.py"):
        shutil.copy(source / name, package / name)
    (package / "__init__.py").touch()
    (tmp_path / "site" / "datasets").mkdir()  # another package's folder must not be taken for ours
    for kind in ("_models", "_datasets/tiny"):
        (package / kind).mkdir(parents=True)
    (package / "_datasets" / "tiny" / "tiny.csv").write_text("ID,TIME,DV\n")
    code = (
        "from pkpd import shipped; print(shipped.models_folder()); print(shipped.dataset_path('tiny'));"
        "print(shipped.dataset_names())"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    printed = run.stdout.splitlines()
    assert printed == [str(package / "_models"), str(package / "_datasets/tiny/tiny.csv"), "('tiny',)"]


def test_a_broken_installation_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "nowhere" / "pkpd")
    with pytest.raises(pkpd.InputError, match="E_SHIPPED_FOLDER"):
        shipped.models_folder()
