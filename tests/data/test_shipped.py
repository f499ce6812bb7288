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

import numpy as np
import pytest

import pkpd
from pkpd import shipped
from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.simulation.prediction import predictions
from tests import naive


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


@pytest.mark.parametrize("name", ("indometh", "phenobarbital", "quinidine", "theophylline"))
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


def one_compartment(m):
    cl = m.parameter("CL", m.theta("CL", 12.0, lower=0) * pkpd.exp(m.eta("CL", variance=0.1)))
    v = m.parameter("V", m.theta("V", 250.0, lower=0))
    ka = m.parameter("KA", m.theta("KA", 0.8, lower=0))
    depot, central = m.compartment("depot"), m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.3))


def test_quinidine_is_read_and_predicted_with_its_steady_states() -> None:
    about, data = provenance("quinidine"), pkpd.load_dataset("quinidine")
    sizes = (data.n_subjects, data.n_observations, len(data.frame))
    assert sizes == tuple(about[k] for k in ("subjects", "observations", "records"))
    assert (data.frame["SS"] == 1).sum() == 249 and (data.frame["EVID"] == 2).sum() == 82
    problem = bind(pkpd.model(one_compartment), data)
    assert len(problem.records.time) == (data.frame["EVID"] == 0).sum()  # EVID 2 has no row
    values = Scales(problem).initial(problem)
    predicted, _, status = predictions(problem, values, np.zeros((data.n_subjects, 1)))
    assert not status.any()
    assert np.isfinite(predicted).all() and (predicted > 0).all()
    # ID 1: 201 mg every 6 h to steady state at 138 h, 201 mg at 145.5 and 150 h, 402 mg every 8 h from 160 h, 193.33 h
    doses = [(138.0 - 6 * k, 201.0) for k in range(200)] + [(145.5, 201.0), (150.0, 201.0)]
    doses += [(160.0 + 8 * k, 402.0) for k in range(4)]
    expected = sum(naive.concentration_oral_1cmt(193.33 - t, d, 0.8, 12.0, 250.0) for t, d in doses)
    assert predicted[1] == pytest.approx(expected, rel=1e-10)


def test_covariates_of_quinidine_change_within_patients() -> None:
    def model(m):
        heart = m.factor("HEART", reference="No/Mild").effect("CL")
        cl = m.theta("CL", 12.0, lower=0) * pkpd.exp(m.eta("CL", variance=0.1) + heart) * m.covariate("GLYCO")
        central = m.compartment("central")
        m.ode(central, -m.parameter("CL", cl) * central / m.covariate("HEIGHT"))
        m.observe("cp", central, proportional=m.sigma("PROP", 0.3))

    data = pkpd.load_dataset("quinidine")
    inputs = bind(pkpd.model(model), data).inputs
    assert set(inputs.names) == {"GLYCO", "HEART=Moderate", "HEART=Severe"}  # the height does not
    seen = data.frame[data.frame["EVID"] == 0]
    np.testing.assert_array_equal(inputs.at_records[:, inputs.names.index("GLYCO")], seen["GLYCO"])
    severe = inputs.at_records[:, inputs.names.index("HEART=Severe")]
    np.testing.assert_array_equal(severe, seen["HEART"] == "Severe")


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
