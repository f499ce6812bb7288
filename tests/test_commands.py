"""Each verb on shipped data: it says what the Python function returns, as text and as JSON, and ends with the right code."""

from __future__ import annotations

import inspect
import json
import os
import re
import shutil

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import cli
from pkpd.commands.answers import plain
from pkpd.commands.responding import FAMILIES
from pkpd.commands.words import numbers, spoken
from pkpd.errors import InputError


def run(*arguments: object) -> int:
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("verbs")


@pytest.fixture(scope="module")
def fitted(folder):
    path = folder / "fit.json"
    assert run("fit", "theophylline", "theophylline", "--output", path) == 0
    return path


@pytest.fixture(scope="module")
def fit(fitted):
    return pkpd.PopulationFit.from_json(fitted.read_text(encoding="utf-8"))


def test_fit_is_the_fit_of_the_api(fit, capsys):
    own = pkpd.fit(pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"))
    assert fit.to_json() == own.to_json()
    assert (
        run("fit", "theophylline", "theophylline", "--method", "FO()", 'FOCEI(covariance="R")', "--json") == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert said["ofv"] == pytest.approx(own.ofv, abs=1e-4)
    assert [row["parameter"] for row in said["parameters"]] == list(own.parameters.index)
    assert said["covariance_status"].startswith("R")


def test_every_option_of_fit_reaches_the_fit(monkeypatch, tmp_path):
    seen = {}

    def fit(model, data, **settings):
        seen.update(settings, model=model, data=data)
        raise InputError("E_SEEN", "seen.", "")

    monkeypatch.setattr("pkpd.population.fit", fit)
    monkeypatch.setenv("NUMBA_NUM_THREADS", "1")
    words = ("--method", "SAEM", "--seed", 5, "--start", "CL=4", "V=30", "--store", tmp_path, "--threads", 2)
    data = ("quinidine", "--histology", "RACE", "--units", "DV=mg/L")
    assert run("fit", "theophylline", *data, *words) == 2
    assert (seen["method"], seen["seed"], seen["store"]) == (pkpd.SAEM(), 5, str(tmp_path))
    assert seen["start"] == {"CL": 4, "V": 30}
    assert seen["data"].histology == "RACE" and seen["data"].units["DV"] == "mg/L"
    assert os.environ["NUMBA_NUM_THREADS"] == "2"


def test_vpc_of_a_fit(fitted, fit, folder, capsys):
    arguments = ("vpc", fitted, "--n", 20, "--seed", 3, "--set", "quantiles=[0.1, 0.9]")
    assert run(*arguments, "--output", folder / "vpc.json", "--figure", folder / "vpc.png") == 0
    own = pkpd.vpc(fit, n=20, seed=3, quantiles=[0.1, 0.9])
    assert capsys.readouterr().out.startswith(repr(own))
    assert (folder / "vpc.json").read_text(encoding="utf-8") == own.to_json()
    assert (folder / "vpc.png").read_bytes().startswith(b"\x89PNG")
    assert run("vpc", fitted, "--n", 5, "--prediction-corrected", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["prediction_corrected"] is True and said["replicates"] == 5


def test_simulate_a_regimen_and_a_data_set(fitted, fit, folder, capsys):
    assert (
        run(
            "simulate",
            "theophylline",
            "--dose",
            "dose(320, every=24, until=48)",
            "--times",
            "0:48:6",
            "--n",
            3,
        )
        == 0
    )
    regimen = pkpd.dose(320, every=24, until=48)
    own = pkpd.simulate(pkpd.load_model("theophylline"), regimen, times=np.arange(0, 49, 6), n=3)
    assert capsys.readouterr().out == own.to_csv(index=False)
    words = ("simulate", "theophylline", "--dose", "dose(320)", "--times", "0,1,2")
    drawn = []
    for seed in (0, 1):
        assert run(*words, "--seed", seed) == 0
        drawn.append(capsys.readouterr().out)
    assert drawn[0] != drawn[1]
    out = folder / "records.parquet"
    assert (
        run("simulate", fitted, "--data", "theophylline", "--output", out, "--set", "residual_error=False")
        == 0
    )
    own = pkpd.simulate(fit.model, fit.data, parameters=fit.parameter_estimates, residual_error=False)
    pd.testing.assert_frame_equal(pd.read_parquet(out), own, check_dtype=False)
    capsys.readouterr()
    assert (
        run(
            "simulate",
            fitted,
            "--dose",
            "dose(320)",
            "--times",
            "1,2",
            "--uncertainty",
            "--set",
            "replicates=2",
            "--json",
        )
        == 0
    )
    assert {row["REP"] for row in json.loads(capsys.readouterr().out)} == {1, 2}


def test_nca_and_exposure(fitted, fit, folder, capsys):
    assert run("nca", "theophylline", "--route", "extravascular", "--output", folder / "nca.json") == 0
    own = pkpd.nca(pkpd.load_dataset("theophylline"), route="extravascular")
    assert (folder / "nca.json").read_text(encoding="utf-8") == own.to_json()
    capsys.readouterr()
    assert run("nca", "theophylline", "--route", "extravascular", "--set", "tau=12", "--json") == 0
    own = pkpd.nca(pkpd.load_dataset("theophylline"), route="extravascular", tau=12)
    assert json.loads(capsys.readouterr().out) == plain(own)
    out = folder / "exposure.csv"
    chosen = ("--metrics", "AUC1", "CMAX1", "--dose", "dose(320)", "--interval", 24)
    assert run("exposure", fitted, *chosen, "--output", out) == 0
    own = pkpd.exposure_metrics(fit, ["AUC1", "CMAX1"], regimen=pkpd.dose(320), interval=24)
    np.testing.assert_array_equal(pd.read_csv(out, index_col="ID").to_numpy(), own.to_numpy())
    words = (
        "exposure",
        fitted,
        "--metrics",
        "AUC1",
        "--dose",
        "actual",
        "--interval",
        24,
        "--set",
        "level=0.9",
    )
    capsys.readouterr()
    assert run(*words, "--json") == 0
    own = pkpd.exposure_metrics(fit, ["AUC1"], regimen="actual", interval=24, level=0.9)
    assert json.loads(capsys.readouterr().out) == plain(own)


@pytest.fixture(scope="module")
def subjects(folder):
    data = pkpd.load_dataset("pantumor_small")
    table = data.subject_table().reset_index()
    table["TIME"] = 1.0 + table["WT"] / 10
    table["GRADE"] = table["AE"] + table["ORR"]
    table.to_csv(folder / "subjects.csv", index=False)
    return folder / "subjects.csv"


@pytest.mark.parametrize(
    ("family", "columns", "function", "own"),
    [
        ("logistic", ("--response", "ORR", "--exposure", "DOSE"), "fit_logistic", ("ORR", "DOSE")),
        ("ordinal", ("--response", "GRADE", "--exposure", "DOSE"), "fit_ordinal", ("GRADE", "DOSE")),
        (
            "count",
            ("--response", "GRADE", "--exposure", "DOSE", "--set", "family=poisson"),
            "fit_count",
            ("GRADE", "DOSE"),
        ),
        (
            "cox",
            ("--response", "TIME", "--event", "AE", "--exposure", "DOSE", "--set", "slopes=common"),
            "fit_cox",
            ("TIME", "AE", "DOSE"),
        ),
        (
            "survival",
            ("--response", "TIME", "--event", "AE", "--exposure", "DOSE", "--set", "slopes=common"),
            "fit_parametric_survival",
            ("TIME", "AE", "DOSE"),
        ),
        (
            "competing",
            ("--response", "TIME", "--event", "GRADE", "--exposure", "DOSE", "--set", "slopes=common"),
            "fit_competing_risks",
            ("TIME", "GRADE", "DOSE"),
        ),
    ],
)
def test_respond(family, columns, function, own, subjects, folder, capsys):
    out = folder / f"{family}.json"
    assert (
        run("respond", subjects, "--family", family, *columns, "--histology", "TUMOR", "--output", out) == 0
    )
    more = {
        "count": {"family": "poisson"},
        "survival": {"slopes": "common"},
        "cox": {"slopes": "common"},
        "competing": {"slopes": "common"},
    }.get(family, {})
    expected = getattr(pkpd.response, function)(pd.read_csv(subjects), *own, "TUMOR", **more)
    assert out.read_text(encoding="utf-8") == expected.to_json()
    said = capsys.readouterr().out
    assert said.startswith(f"{type(expected).__name__}\n")
    assert all(re.search(rf"^{re.escape(n)} .*", said, re.MULTILINE) for n in expected.parameters.index)
    assert "covariance" not in said  # estimates for the eye; the rest is in the file


@pytest.mark.parametrize("family", FAMILIES)
def test_each_column_of_a_family_is_an_argument_of_its_function(family):
    function, columns = FAMILIES[family]
    assert set(columns) <= set(inspect.signature(getattr(pkpd.response, function)).parameters)


def test_respond_to_doses_and_in_ecgs(folder, capsys):
    doses = [0.0, 1.0, 2.0, 4.0] * 6
    trial = pd.DataFrame({"DOSE": doses, "Y": [d / (1 + d) + 0.1 * (i % 5) for i, d in enumerate(doses)]})
    trial.to_csv(folder / "trial.csv", index=False)
    words = ("respond", folder / "trial.csv", "--family", "mcp_mod", "--response", "Y", "--dose", "DOSE")
    assert run(*words, "--set", "models={'emax': [1], 'linear': None}") == 0
    expected = pkpd.response.mcp_mod(trial, "Y", "DOSE", models={"emax": [1], "linear": None})
    assert capsys.readouterr().out.startswith(repr(expected))
    assert run(*words, "--set", "models={'linear': None}", "randomised=true") == 0
    assert "EC1: randomised doses" in capsys.readouterr().out
    assert run(*words, "--set", "models={'linear': None}", "randomised=false") == 0
    assert "EC2: several doses" in capsys.readouterr().out
    assert run(*words, "--set", "models={'linear': None}", "randomised=no") == 2
    assert "randomised='no'" in capsys.readouterr().err
    assert run(*words) == 2
    assert "mcp_mod needs --set models=" in capsys.readouterr().err
    assert run(*words, "--histology", "TUMOR") == 2
    assert "mcp_mod takes no --histology" in capsys.readouterr().err
    ecg = pd.DataFrame(
        [
            {
                "ID": i,
                "TIME": t,
                "CONC": c * (i + 1) / 4,
                "QTC0": 400 + i * i % 7,
                "DQTC": c * 2 + (i * t) % 3 + i % 2,
            }
            for i in range(8)
            for t, c in ((1, 3.0), (2, 2.0), (4, 1.0))
        ]
    )
    ecg.to_csv(folder / "ecg.csv", index=False)
    words = (
        "respond",
        folder / "ecg.csv",
        "--family",
        "qtc",
        "--response",
        "DQTC",
        "--exposure",
        "CONC",
        "--time",
        "TIME",
    )
    assert run(*words, "--baseline", "QTC0") == 0
    expected = pkpd.response.fit_qtc(ecg, "DQTC", "CONC", time="TIME", baseline="QTC0")
    said = capsys.readouterr().out
    assert said.startswith("QtcFit\n") and f"intercept {expected.coefficients['intercept']:.4g}" in " ".join(
        said.split()
    )
    assert run(*words) == 2
    assert "qtc needs --baseline" in capsys.readouterr().err


def test_compare_fits(fitted, fit, folder, capsys):
    reduced = folder / "reduced.json"
    assert run("fit", "theophylline", "theophylline", "--start", "KA=1.4", "--output", reduced) == 0
    capsys.readouterr()
    assert run("compare", fitted, reduced, "--json") == 0
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["ofv"] == fit.ofv
    assert rows[0]["aic"] == pytest.approx(fit.minus2ll + 14)  # three thetas, three variances, one error
    assert rows[1]["difference"] == pytest.approx(0, abs=1e-4)
    assert rows[1]["p"] is None  # not nested: the same model
    assert run("compare", fitted, reduced, "--tolerance", 0) == 2
    assert "a fit takes no --tolerance" in capsys.readouterr().err


def test_compare_rates_of_histologies(folder, capsys):
    table = pd.DataFrame({"TUMOR": ["a", "b", "c"], "responders": [2, 10, 1], "patients": [20, 20, 20]})
    table.to_csv(folder / "rates.csv", index=False)
    assert (
        run("compare", folder / "rates.csv", "--responders", "responders", "--patients", "patients", "--json")
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    own = pkpd.histology.permutation(table["responders"], table["patients"])
    assert said["permutation"]["p_value"] == own.p_value
    table.rename(columns={"TUMOR": "SITE"}).to_csv(folder / "sites.csv", index=False)
    words = ("compare", folder / "sites.csv", "--responders", "responders", "--patients", "patients")
    assert run(*words) == 2 and "no column 'TUMOR'" in capsys.readouterr().err
    assert run(*words, "--tolerance", 0.1) == 2 and "a table takes no --tolerance" in capsys.readouterr().err
    assert run(*words, "--histology", "SITE", "--json") == 0
    assert json.loads(capsys.readouterr().out) == said


def test_compare_assessments_finds_what_moved(folder, capsys):
    import dataclasses

    from tests.study.example import assessment

    before = assessment()
    moved = before.verdicts.assign(
        verdict=before.verdicts["verdict"].where(before.verdicts["histology"] != "breast", "exclude")
    )
    likely, likelier = (
        dataclasses.replace(before, verdicts=before.verdicts.assign(p_kept=p)) for p in (0.8, 0.81)
    )
    results = {"before": before, "after": dataclasses.replace(before, verdicts=moved)}
    for name, value in (results | {"likely": likely, "likelier": likelier}).items():
        (folder / f"{name}.json").write_text(value.to_json(), encoding="utf-8")
    assert run("compare", folder / "before.json", folder / "before.json") == 0
    assert "no verdict" in capsys.readouterr().out
    assert run("compare", folder / "before.json", folder / "after.json") == 3
    assert capsys.readouterr().out.split()[-5:] == ["breast", "verdict", "same", "dose", "exclude"]
    # a folder stands for the assessment in it
    (folder / "run").mkdir()
    shutil.copy(folder / "before.json", folder / "run/assessment.json")
    assert run("compare", folder / "run", folder / "before.json") == 0
    assert run("compare", folder / "before.json", folder / "fit.json") == 2
    pair = ("compare", folder / "likely.json", folder / "likelier.json")
    assert run(*pair) == 3 and run(*pair, "--tolerance", 0.02) == 0
    capsys.readouterr()
    assert run(*pair, "--patients", "n") == 2 and "a result takes no --patients" in capsys.readouterr().err


def test_lists_as_json(capsys):
    for verb, known in (("models", "theophylline"), ("datasets", "pantumor"), ("doctor", "numba")):
        assert run(verb, "--json") == 0
        assert known in json.loads(capsys.readouterr().out)


def test_models_and_datasets_tell_of_one(capsys):
    assert run("models", "pantumor") == 0
    said = capsys.readouterr().out
    assert (
        "Balakirouchenane" in said
        and "columns of the data: WT (kg), TUMOR (groups, compared with lung)" in said
    )
    assert run("datasets", "quinidine") == 0
    assert "HEART       Congestive heart failure: No/Mild, Moderate, Severe" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("fit", "no_model", "theophylline"), "E_MODEL_UNKNOWN"),
        (("models", "no_model"), "E_MODEL_UNKNOWN"),
        (("datasets", "no_data"), "E_UNKNOWN_DATASET"),
        (("fit", "theophylline", "nowhere.csv"), "E_FILE_NOT_FOUND"),
        (("fit", "theophylline", "theophylline", "--method", "FOCEI(covarianc=1)"), "E_WORDS"),
        (("fit", "theophylline", "theophylline", "--method", "__import__('os')"), "E_WORDS"),
        (("fit", "theophylline", "theophylline", "--method", "nothing"), "E_METHOD"),
        (("fit", "theophylline", "theophylline", "--start", "CL"), "E_WORDS"),
        (("fit", "theophylline", "theophylline", "--start", "XX=3"), "E_PARAMETER_NAME"),
        (("fit", "theophylline", "theophylline", "--output", "fit.csv"), "E_OUTPUT"),
        (("simulate", "theophylline", "--dose", "dose(1)", "--output", "nowhere/table.csv"), "E_OUTPUT"),
        (("simulate", "theophylline", "--times", "0,1"), "E_OPTION"),
        (("simulate", "theophylline", "--dose", "dose(1)", "--times", "soon"), "E_WORDS"),
        (("simulate", "theophylline", "--dose", "dose(1", "--times", "0,1"), "E_WORDS"),
        (("vpc", "nowhere.json"), "E_FILE_NOT_FOUND"),
        (("vpc", "nowhere.json", "--figure", "vpc.doc"), "E_OUTPUT"),
        (("nca", "theophylline", "--route", "extravascular", "--set", "tua=3"), "E_OPTION"),
        (("respond", "nowhere.csv", "--response", "ORR"), "E_FILE_NOT_FOUND"),
        (("compare", "nowhere.json", "nowhere.json"), "E_FILE_NOT_FOUND"),
        (("report", "nowhere.json", "--output", "x"), "E_FILE_NOT_FOUND"),
    ],
)
def test_wrong_input_is_one_clear_error_and_2(arguments, code, capsys):
    assert run(*arguments) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {code}: "), err
    assert "Remedy: " in err
    assert not out


def test_words_are_read_and_never_run():
    assert spoken("24") == 24
    assert spoken("linear-up log-down") == "linear-up log-down"
    assert spoken("[1, 2.5]") == [1, 2.5]
    assert spoken("-3") == -3
    assert spoken("false") is False and spoken("true") is True
    assert spoken("AGQ(nodes=3)") == pkpd.AGQ(nodes=3)
    assert spoken("SAEM") == pkpd.SAEM()
    assert spoken('{"CL": LogNormal(3, 0.2)}') == {"CL": pkpd.LogNormal(3, 0.2)}
    assert spoken("dose(1) + dose(2, times=[3])") == pkpd.dose(1) + pkpd.dose(2, times=[3])
    with pytest.raises(InputError):
        spoken("open('x')")
    assert numbers("0:1:0.25") == [0, 0.25, 0.5, 0.75, 1.0]
    assert numbers("0:0.3:0.1") == pytest.approx([0, 0.1, 0.2, 0.3])


def test_plain_json_holds_no_nan():
    table = pd.DataFrame({"a": [1.0, np.nan]}, index=pd.Index(["x", "y"], name="name"))
    assert plain({"t": table, "n": np.int64(3), "b": np.bool_(True), "inf": np.inf}) == {
        "t": [{"name": "x", "a": 1.0}, {"name": "y", "a": None}],
        "n": 3,
        "b": True,
        "inf": None,
    }


def test_every_verb_has_help_and_json(capsys):
    verbs = [
        "assess",
        "report",
        "qualify",
        "check",
        "fit",
        "simulate",
        "vpc",
        "nca",
        "exposure",
        "respond",
        "compare",
    ]
    for verb in [*verbs, "models", "datasets", "doctor"]:
        assert run(verb, "--help") == 0
        said = capsys.readouterr().out
        assert "--json" in said, verb
    assert run("--help") == 0
    said = capsys.readouterr().out
    assert all(f"\n    {verb} " in said for verb in verbs)
