"""A plan from the template to the signature: `pkpd plan new`, `check`, `sign`, and what a later run says of it."""

from __future__ import annotations

import contextlib
import json
import re
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from pkpd import cli
from pkpd.errors import InputError, PlanError
from pkpd.report import report_html
from pkpd.study import plan_template, rehearse, sign_plan
from pkpd.study.analysis import assess
from pkpd.study.plan import SECTIONS, check_plan, read_plan
from pkpd.study.signature import deviations

DATASETS = Path(__file__).parents[2] / "datasets"
FILLED = {
    "model.tested": '["CL"]',
    "model.file": '"model.py"',
    "dosing.reference": "2.0",
    "dosing.candidates": "[1.0, 2.0, 3.0]",
    "dosing.randomised": "true",
    "exposure.metric": '"AUCSS"',
    "exposure.bounds": "[0.80, 1.25]",
    "exposure.source": '"protocol"',
    "endpoint[1].kind": '"efficacy"',
    "endpoint[2].kind": '"safety"',
    "margins.efficacy": "0.15",
    "margins.safety": "0.10",
    "margins.source": '"protocol"',
    "p0.source": '"protocol"',
    "p0.default": "0.2",
}


def filled(text: str) -> str:
    """The template with every open key entered, as a person would: in its place."""
    section, seen = "", 0
    lines = []
    for line in text.splitlines():
        if header := re.match(r"(\[+)(\w+)\]", line):
            seen += header[1] == "[["
            section = f"endpoint[{seen}]" if header[1] == "[[" else header[2]
        if open_key := re.match(r"# (\w+) = .*# FILL IN", line):
            line = f"{open_key[1]} = {FILLED.pop(f'{section}.{open_key[1]}')}"
        lines.append(line)
    return "\n".join(lines) + "\n"


@pytest.fixture
def study(tmp_path):
    """A folder with the small trial, its model as a file, and the filled template."""
    for source in (DATASETS / "pantumor_small/pantumor_small.csv", DATASETS.parent / "models/pantumor.py"):
        target = "model.py" if source.suffix == ".py" else source.name
        (tmp_path / target).write_bytes(source.read_bytes())
    before = dict(FILLED)
    text = filled(plan_template(tmp_path / "pantumor_small.csv"))
    # all groups are of one size; the model compares with lung
    (tmp_path / "plan.toml").write_text(re.sub(r'^reference = ".*"$', 'reference = "lung"', text, flags=re.M))
    assert not FILLED  # each open key was one that is known, and all of them came
    FILLED.update(before)
    return tmp_path


def test_every_key_that_a_plan_knows_is_in_the_template():
    text = plan_template(DATASETS / "pantumor_small/pantumor_small.csv")
    values = tomllib.loads(text)
    import dataclasses

    for name, section in SECTIONS.items():
        assert re.search(rf"^(# )?\[{name}\]", text, flags=re.M)
        for key in dataclasses.fields(section):
            if "check" in key.metadata:
                assert re.search(rf"^(# )?{key.name} = ", text, flags=re.M), key.name
    assert (
        values["data"]
        == {"file": "pantumor_small.csv", "histology": "TUMOR", "reference": "lung"} | values["data"]
    )
    assert [e["column"] for e in values["endpoint"]] == ["ORR", "AE"]
    # units are those of the provenance beside the table
    assert values["data"]["units"]["DV"] == "ng/mL"
    assert values["dosing"] == {"interval": 24.0, "column": "DOSE", "unit": "mg"}
    assert max(map(len, text.splitlines())) <= 130
    assert "``" not in text and ":func:" not in text
    # what is said of several keys together is said once
    assert text.count("fraction with the molecular alteration") == 1


def test_a_plan_of_exposure_alone_has_units_and_nothing_of_responses(tmp_path):
    (tmp_path / "d.csv").write_bytes((DATASETS / "pantumor_small/pantumor_small.csv").read_bytes())
    text = plan_template(tmp_path / "d.csv", exposure_only=True, units={"TIME": "h", "AMT": "mg"})
    values = tomllib.loads(text)
    assert values["exposure_only"] is True
    assert values["data"]["units"] == {"TIME": "h", "AMT": "mg"} and values["dosing"]["unit"] == "mg"
    assert not {"margins", "p0", "bootstrap", "endpoint", "representativeness", "sensitivity"} & set(values)
    assert "# conclude = " in text and "# keep = " not in text
    more = "\n[margins]\n[sensitivity]\nprior = false\n"
    (tmp_path / "plan.toml").write_text(text.replace("[thresholds]", "[thresholds]\nkeep = 0.7") + more)
    found = [f for f in check_plan(tmp_path / "plan.toml") if f.code == "E_PLAN_ENDPOINTS"]
    # not what [margins] lacks, too
    assert [f.message.split()[-1] for f in found] == ["thresholds.keep.", "[margins].", "[sensitivity]."]


def test_what_is_open_is_what_check_lists(tmp_path):
    (tmp_path / "d.csv").write_bytes((DATASETS / "pantumor_small/pantumor_small.csv").read_bytes())
    (tmp_path / "plan.toml").write_text(plan_template(tmp_path / "d.csv"))
    findings = check_plan(tmp_path / "plan.toml")
    missing = {f.message.split(" is missing")[0] for f in findings if f.code == "E_PLAN_MISSING"}
    assert missing == set(FILLED) - {"model.file", "p0.default"}
    assert {f.code for f in findings} - {"E_PLAN_MISSING"} == {
        "E_PLAN_MODEL",
        "E_PLAN_P0",
    }  # one of two keys each
    assert all(f.row for f in findings)


def test_the_filled_template_is_a_plan_that_runs(study):
    assert rehearse(study / "plan.toml") == []
    assert read_plan(study / "plan.toml").sensitivity.leave_one_out


def test_a_column_of_text_groups_and_a_file_elsewhere(tmp_path):
    text = plan_template(DATASETS / "quinidine/quinidine.csv", histology="HEART", folder=tmp_path)
    values = tomllib.loads(text)
    assert values["data"]["histology"] == "HEART"
    assert Path(values["data"]["file"]) == DATASETS / "quinidine/quinidine.csv"
    assert "no column of zeros and ones" in text
    assert "endpoint" not in values


@pytest.mark.parametrize("column", ["TUMOR", "SS"])
def test_groups_that_are_none_are_refused(column):
    with pytest.raises(InputError) as caught:
        plan_template(DATASETS / "theophylline/theophylline.csv", histology=column)
    assert caught.value.code == "E_PLAN_GROUPS"
    assert "--histology" in caught.value.remedy


def test_mistakes_that_only_data_and_model_show_are_found_together(study):
    plan = study / "plan.toml"
    text = plan.read_text()
    line = next(i for i, t in enumerate(text.splitlines(), 1) if t.startswith('reference = "lung"'))
    text = text.replace('reference = "lung"', 'reference = "Lung"').replace(
        'tested = ["CL"]', 'tested = ["CLX"]'
    )
    plan.write_text(text)
    findings = rehearse(plan)
    assert {f.code for f in findings} == {"E_HISTOLOGY_UNKNOWN", "E_PLAN_TESTED"}
    assert line in [f.row for f in findings]
    assert any("'Lung'" in f.message for f in findings)
    assert any("CLX" in f.message for f in findings)
    assert all(f.remedy for f in findings)
    (study / "pantumor_small.csv").write_text("ID,TIME,DV\n1,0,five\n")
    assert any(f.message.startswith("pantumor_small.csv: row 2") for f in rehearse(plan))


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        (
            "interval = 24.0",
            'interval = 24.0\ncompartment = "blood"',
            "E_PLAN_COMPARTMENT",
            "compartment 'blood'",
        ),
        (
            'metric = "AUCSS"',
            'metric = "AUCSS"\nmediators = ["ALB"]',
            "E_PLAN_MEDIATORS",
            "no covariate 'ALB'",
        ),
        ('metric = "AUCSS"', 'metric = "AUCSS"\nmediators = ["WT"]', "E_PLAN_MEDIATORS", "WT is in model"),
        ('column = "ORR"', 'column = "WT"', "E_ENDPOINT_NOT_BINARY", "column WT: endpoint ORR is neither"),
    ],
)
def test_what_would_end_a_run_after_its_fits_is_found_before_them(study, old, new, code, message):
    plan, said = study / "plan.toml", []
    text = plan.read_text()
    assert text.count(old) == 1
    plan.write_text(text.replace(old, new))
    (finding,) = rehearse(plan)
    assert finding.code == code and message in finding.message and finding.row and finding.remedy
    with pytest.raises(PlanError, match=code):
        assess(plan, progress=lambda stage, detail: said.append(stage))
    assert said == ["reading the data"]


def test_a_signed_plan_knows_where_a_run_departs_from_it(study):
    plan = study / "plan.toml"
    assert deviations(read_plan(plan)) == {"signed": False}
    target, digest = sign_plan(plan, "A. Person, statistician")
    found = deviations(read_plan(plan))
    assert found["deviations"].empty
    assert (found["signed"], found["same_text"], found["by"], found["sha256"]) == (
        True,
        True,
        "A. Person, statistician",
        digest,
    )
    plan.write_text(plan.read_text() + "# a remark\n")
    found = deviations(read_plan(plan))
    assert found["deviations"].empty
    assert not found["same_text"]
    plan.write_text(
        plan.read_text().replace("efficacy = 0.15", "efficacy = 0.2").replace('shape = "log"', "")
    )
    (study / "model.py").write_text((study / "model.py").read_text() + "\n# edited\n")
    table = deviations(read_plan(plan))["deviations"].set_index("key")
    assert table.loc["margins.efficacy"].tolist() == ["0.15", "0.2"]
    assert len(table) == 2  # the default that was spelled out is no deviation; the model is one
    assert table.index[1].startswith("model (SHA-256")
    with pytest.raises(InputError) as caught:
        sign_plan(plan, "A. Person")
    assert caught.value.code == "E_PLAN_SIGNED"
    target.write_text("{}")
    with pytest.raises(PlanError) as caught:
        deviations(read_plan(plan))
    assert caught.value.code == "E_PLAN_SIGNATURE"
    target.unlink()
    with pytest.raises(InputError) as caught:
        sign_plan(plan, " ")
    assert caught.value.code == "E_PLAN_SIGNER"


def test_the_commands(study, capsys):
    data = str(study / "pantumor_small.csv")
    assert cli.main(["plan", "new", data, "--output", "-"]) == 0
    assert capsys.readouterr().out == plan_template(data)
    assert cli.main(["plan", "new", data, "--output", "-", "--units", "DV=mg/L", "AMT=mg"]) == 0
    assert tomllib.loads(capsys.readouterr().out)["data"]["units"] == {"DV": "mg/L", "AMT": "mg"}
    assert cli.main(["plan", "new", data, "--output", "-", "--exposure-only", "--histology", "DOSE"]) == 0
    values = tomllib.loads(capsys.readouterr().out)
    assert values["exposure_only"] is True and values["data"]["histology"] == "DOSE"
    assert cli.main(["plan", "new", data, "--output", "-", "--json"]) == 2
    assert "--output - takes no --json" in capsys.readouterr().err
    assert cli.main(["plan", "new", data]) == 2  # plan.toml is there: nothing is overwritten
    assert "E_OUTPUT" in capsys.readouterr().err
    other = str(study / "other.toml")
    assert cli.main(["plan", "new", data, "--output", other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"plan": other, "to_fill_in": len(FILLED)}
    assert cli.main(["plan", "check", other]) == 2
    assert "E_PLAN_MISSING: line " in capsys.readouterr().out
    assert cli.main(["plan", "check", str(study / "plan.toml")]) == 0
    capsys.readouterr()
    assert cli.main(["plan", "sign", str(study / "plan.toml"), "--by", "A. Person", "--json"]) == 0
    assert (
        json.loads(capsys.readouterr().out)["sha256"] == deviations(read_plan(study / "plan.toml"))["sha256"]
    )
    assert cli.main(["plan", "sign", str(study / "plan.toml"), "--by", "A. Person"]) == 2
    text = (study / "plan.toml").read_text().replace("format = 1", "format = 2")
    (study / "newer.toml").write_text(text)
    capsys.readouterr()
    assert cli.main(["plan", "check", str(study / "newer.toml")]) == 2
    assert "E_PLAN_FORMAT: line 4" in capsys.readouterr().out


def test_the_frame_of_deviations_is_a_table_of_the_assessment(study):
    sign_plan(study / "plan.toml", "A. Person")
    found = deviations(read_plan(study / "plan.toml"))
    assert isinstance(found["deviations"], pd.DataFrame)
    assert list(found["deviations"].columns) == ["key", "signed", "run"]


def test_a_plan_of_exposure_alone_takes_no_endpoint_and_decides_no_dose(study):
    plan = study / "plan.toml"
    kept = re.sub(r"\n# One \[\[endpoint\]\].*?(?=\n\[thresholds\])", "\n", plan.read_text(), flags=re.S)
    text = kept.replace("# exposure_only = true", "exposure_only = true").replace("seed = 1 ", "seed = 2 ")
    (study / "alone.toml").write_text(text)
    assert rehearse(study / "alone.toml") == []
    whole = plan.read_text().replace("# exposure_only = true", "exposure_only = true")
    (study / "both.toml").write_text(whole)
    assert {(f.code, f.message.split("[")[1].rstrip("].")) for f in check_plan(study / "both.toml")} == {
        ("E_PLAN_ENDPOINTS", name) for name in ("endpoint", "margins", "p0")
    }
    found = assess(study / "alone.toml")
    assert set(found.verdicts["verdict"]) == {"insufficient data"}
    assert found.verdicts["p_exposure_within"].between(0, 1).all()
    assert found.verdicts["p_effect_kept"].isna().all()
    assert all("exposure alone decides no dose" in s for s in found.verdicts["sentence"])
    assert found.endpoints == ()
    assert type(found).from_json(found.to_json()).to_json() == found.to_json()
    for language in ("en", "zh"):
        with contextlib.suppress(InputError):  # E_FONT where no font has the letters
            page = report_html(found, language)
            assert "0.8" in page
            # nothing is asked, promised or tabulated about responses
            assert "δ" not in page and "table-rules" not in page and "response kept" not in page
            assert "thresholds.conclude" in page and "thresholds.keep" not in page and "bootstrap" not in page
