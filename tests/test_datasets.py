"""The simulated trials are what their README and truth.json say, and are made again to the byte."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
import re
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import naive

FOLDER = Path(__file__).parents[1] / "datasets"
NAMES = ["pantumor", "pantumor_small"]


@pytest.fixture(scope="module")
def simulate():
    """The committed script as a module."""
    spec = importlib.util.spec_from_file_location("pantumor_simulate", FOLDER / "pantumor/simulate.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", params=NAMES)
def trial(request):
    """Name, truth, records and one row per patient."""
    folder = FOLDER / request.param
    records = pd.read_csv(folder / f"{request.param}.csv", na_values=".")
    truth = json.loads((folder / "truth.json").read_text())
    return request.param, truth, records, records.groupby("ID").first().reset_index()


@pytest.mark.parametrize(("name", "options"), [("pantumor", []), ("pantumor_small", ["--small"])])
def test_script_makes_the_committed_files_again(simulate, name, options, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["simulate.py", *options, "--output", str(tmp_path)])
    simulate.main()
    for file in (f"{name}.csv", "truth.json"):
        assert (tmp_path / file).read_bytes() == (FOLDER / name / file).read_bytes()
    digest = hashlib.sha256((tmp_path / f"{name}.csv").read_bytes()).hexdigest()
    assert digest in capsys.readouterr().out
    assert digest in (FOLDER / name / "README.md").read_text()
    provenance = tomllib.loads((FOLDER / name / "provenance.toml").read_text())
    assert digest == provenance["sha256"]


def test_script_does_without_pkpd(simulate):
    tree = ast.parse(Path(simulate.__file__).read_text())
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) == {"numpy", "pandas"}


def test_files_are_small_and_complete(trial):
    name, truth, records, patients = trial
    assert (FOLDER / name / f"{name}.csv").stat().st_size < 1_000_000
    provenance = tomllib.loads((FOLDER / name / "provenance.toml").read_text())
    assert provenance["subjects"] == provenance["doses"] == len(patients) == (records.EVID == 1).sum()
    assert provenance["records"] == len(records)
    assert provenance["observations"] == (records.MDV == 0).sum()
    assert list(provenance["columns"]) == list(records.columns)
    numbers = [f"{len(records)} records", f"{len(patients)} doses", f"{(records.EVID == 0).sum()} samples"]
    readme = (FOLDER / name / "README.md").read_text()
    assert all(number in readme for number in numbers)
    for histology, expected in truth["histologies"].items():
        own = patients[patients["TUMOR"].eq(histology)]
        assert len(own) == expected["n"]
        assert own["DOSE"].eq(truth["trial"]["reference_dose"]).sum() == expected["n"] / 2  # 1:1 exactly


def test_records_follow_the_convention(trial):
    _, truth, records, _ = trial
    dose, sample = records[records.EVID == 1], records[records.EVID == 0]
    assert (dose.AMT == dose.DOSE).all()
    assert dose.DV.isna().all()
    assert sample.AMT.isna().all()
    assert (sample.DV > 0).all()
    design = truth["trial"]
    assert dose["ADDL"].eq(design["doses_given"] - 1).all() and dose["II"].eq(design["interval"]).all()
    assert (sample.groupby("ID").TIME.apply(list).map(tuple) == tuple(design["sampling_times"])).all()
    assert not np.isin(design["sampling_times"], 24.0 * np.arange(15)).any()  # no sample at a dose
    constant = records.groupby("ID")[["DOSE", "TUMOR", "WT", "ORR", "AE"]].nunique()
    assert (constant == 1).all(axis=None)


def test_truth_table_of_the_readme_is_the_truth(trial):
    name, truth, _, _ = trial
    cells = [r"(\w+)", r"(\d+)", "(.*?)", r"([\d.]+)", r"([\d.]+)", r"(\d+) %(.*?)", r"(\d+) %", "(.*?)"]
    row = r"^\| " + r" \| ".join(cells) + r" \|$"
    rows = re.findall(row, (FOLDER / name / "README.md").read_text(), re.M)
    assert [row[0] for row in rows] == list(truth["histologies"])
    for histology, n, _, clearance, ratio, orr, remark, ae, verdict in rows:
        expected = truth["histologies"][histology]
        assert (int(n), float(clearance)) == (expected["n"], expected["clearance"])
        assert float(ratio) == pytest.approx(expected["exposure_ratio"], abs=5e-4)
        assert (int(orr) / 100, int(ae) / 100) == (expected["orr"], expected["ae"])
        assert ("any exposure" in remark) == (expected["orr_slope"] == 0)
        assert expected["verdict"] in verdict


def expected_probability(p, slope, exposures):
    return 1 / (1 + np.exp(-(np.log(p / (1 - p)) + slope * np.log(exposures))))


def test_responses_agree_with_the_truth(trial, simulate):
    """Observed against expected events, per tumour type and dose.

    The expectation is the average over the exposure distribution by Gauss-Hermite; the bound is 3.5 binomial
    standard errors: 24 comparisons of a right simulation exceed it with probability 1 %.
    """
    _, truth, _, patients = trial
    pk = truth["pharmacokinetics"]
    sd = np.sqrt(pk["OMEGA(CL,CL)"] + (pk["allometry"]["CL"] * pk["weight_sd_log"]) ** 2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    weights = weights / weights.sum()
    for (histology, dose), own in patients.groupby(["TUMOR", "DOSE"]):
        expected = truth["histologies"][histology]
        exposures = dose / truth["trial"]["reference_dose"] / expected["clearance"] * np.exp(sd * nodes)
        for column, key in (("ORR", "orr"), ("AE", "ae")):
            p = weights @ expected_probability(expected[key], expected[f"{key}_slope"], exposures)
            bound = 3.5 * np.sqrt(p * (1 - p) * len(own)) + 0.5
            assert abs(own[column].sum() - p * len(own)) < bound, (histology, dose, column)


def test_exposures_agree_with_the_truth(trial, simulate):
    """Geometric mean, CV and ratio of the true AUC, within 4 standard errors."""
    _, truth, _, patients = trial
    n_each = None if len(patients) > 1000 else 30
    _, subjects = simulate.simulate(n_each=n_each)
    pd.testing.assert_frame_equal(
        subjects[["ID", "DOSE", "TUMOR", "WT", "ORR", "AE"]],
        patients[["ID", "DOSE", "TUMOR", "WT", "ORR", "AE"]].astype({"DOSE": float}),
        check_dtype=False,
    )
    log_auc = np.log(subjects.AUCSS / subjects.DOSE * truth["trial"]["reference_dose"])
    sd = np.sqrt(truth["pharmacokinetics"]["OMEGA(CL,CL)"] + (0.75 * 0.18) ** 2)
    assert np.sqrt(np.exp(sd**2) - 1) == pytest.approx(0.33, abs=0.01)  # the README's 33 %
    for histology, own in log_auc.groupby(subjects.TUMOR):
        mean = np.log(truth["reference_auc"] * truth["histologies"][histology]["exposure_ratio"])
        assert abs(own.mean() - mean) < 4 * sd / np.sqrt(len(own))
        if len(own) > 10:
            assert abs(own.std() / sd - 1) < 4 / np.sqrt(2 * len(own))
    # Weight is centred in each tumour type (to the 0.1 kg to which it is written).
    log_weight = np.log(subjects.WT / truth["pharmacokinetics"]["reference_weight"])
    assert log_weight.groupby(subjects.TUMOR).mean().abs().max() < 1e-3


def test_concentrations_agree_with_an_independent_solution(trial, simulate):
    """Residuals against the twin's closed form: standard normal after division by 20 % of the prediction."""
    _, truth, records, patients = trial
    n_each = None if len(patients) > 1000 else 30
    _, subjects = simulate.simulate(n_each=n_each)
    pk = truth["pharmacokinetics"]
    chosen = subjects.iloc[:: max(1, len(subjects) // 20)]
    for s in chosen.itertuples():
        size = s.WT / pk["reference_weight"]
        own = records[(records.ID == s.ID) & (records.EVID == 0)]
        twin = 1000 * naive.concentration(
            own.TIME,
            [(24.0 * k, s.DOSE) for k in range(15)],
            s.CL,
            (pk["V2"] * size, pk["V3"] * size),
            (s.Q,),
            ka=pk["KA"],
            lag=pk["TLAG"],
        )
        scripted = simulate.concentrations(
            pk["KA"], pk["TLAG"], s.CL, pk["V2"] * size, s.Q, pk["V3"] * size, s.DOSE
        )
        np.testing.assert_allclose(scripted, twin, rtol=1e-9)
        residual = (own.DV / twin - 1) / pk["SD(PROP)"]
        assert residual.abs().max() < 4.001  # rounding to 4 digits adds up to 5e-4 / 0.2


def test_the_residual_error_has_the_stated_size(trial, simulate):
    _, truth, records, patients = trial
    _, subjects = simulate.simulate(n_each=None if len(patients) > 1000 else 30)
    pk = truth["pharmacokinetics"]
    predicted = []
    for s in subjects.itertuples():
        size = s.WT / pk["reference_weight"]
        v2, v3 = pk["V2"] * size, pk["V3"] * size
        predicted.append(simulate.concentrations(pk["KA"], pk["TLAG"], s.CL, v2, s.Q, v3, s.DOSE))
    residual = records.loc[records.EVID == 0, "DV"].to_numpy() / np.concatenate(predicted) - 1
    n = len(residual)
    assert abs(residual.mean()) < 4 * 0.2 / np.sqrt(n)
    assert abs(residual.std() / pk["SD(PROP)"] - 1) < 4 / np.sqrt(2 * n)


def test_averages_in_the_readme_are_those_of_the_truth(simulate):
    """Population averages at each dose, by Gauss-Hermite over the exposure distribution."""
    truth = simulate.truth()
    sd = np.sqrt(truth["pharmacokinetics"]["OMEGA(CL,CL)"] + (0.75 * 0.18) ** 2)
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)

    def average(histology, column, ratio):
        h = truth["histologies"][histology]
        p = expected_probability(
            h[column], h[f"{column}_slope"], ratio * h["exposure_ratio"] * np.exp(sd * nodes)
        )
        return weights @ p / weights.sum()

    found = [average("lung", "orr", 1), average("lung", "ae", 1)]
    found += [average("liver", "ae", ratio) for ratio in (1, 0.75, 0.5)]
    text = " ".join((FOLDER / "pantumor/README.md").read_text().split())
    stated = re.search(
        r"response (\d+) % and AE (\d+) %.*AE (\d+) % at 2 mg, (\d+) % at 1.5 mg .* and (\d+) % at 1 mg", text
    )
    assert [int(x) for x in stated.groups()] == [round(100 * x) for x in found]
