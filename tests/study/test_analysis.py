"""The whole road: from the records of a simulated trial to verdicts whose truth is known."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, chi2

import pkpd.study.analysis
from pkpd.errors import FitError, PlanError
from pkpd.report import report_html
from pkpd.report.blocks import Text
from pkpd.study.analysis import assess
from pkpd.study.assessment import Assessment
from tests.report.page import Page, assert_shows, outline

DATASETS = Path(__file__).parents[2] / "datasets"
GOLDEN = Path(__file__).parent / "pantumor_outline.txt"
TRUTH = json.loads((DATASETS / "pantumor/truth.json").read_text())
CSV = pd.read_csv(DATASETS / "pantumor/pantumor.csv", na_values=".").groupby("ID").first()


@pytest.fixture(scope="module")
def pantumor() -> Assessment:
    return assess(DATASETS / "pantumor/plan.toml")


def test_every_verdict_and_dose_is_that_of_the_truth(pantumor):
    found = pantumor.verdicts.set_index("histology")
    histologies = {h: t for h, t in TRUTH["histologies"].items() if t["verdict"] != "reference"}
    assert set(found.index) == set(histologies)
    assert found["verdict"].to_dict() == {h: t["verdict"] for h, t in histologies.items()}
    for histology, truth in histologies.items():
        if truth["verdict"] == "adjust dose":
            allowed = [factor * TRUTH["trial"]["reference_dose"] for factor in truth["doses"]]
            assert found.loc[histology, "dose"] in allowed


def test_the_population_fit_recovers_the_truth(pantumor):
    table, truth = pantumor.pk.parameters, TRUTH["pharmacokinetics"]
    for name in ("CL", "V2", "Q", "V3", "OMEGA(CL,CL)", "OMEGA(Q,Q)", "SD(PROP)"):
        # 3.5 standard errors: one false alarm in 2000 per parameter
        assert abs(table.loc[name, "estimate"] - truth[name]) < 3.5 * table.loc[name, "se"], name
    for histology, known in TRUTH["histologies"].items():
        if histology != "lung":
            row = table.loc[f"CL(TUMOR={histology})"]
            assert abs(row["estimate"] - np.log(known["clearance"])) < 3.5 * row["se"], histology
    assert pantumor.pk.successful
    assert pantumor.pk.n_subjects == len(CSV)


def test_the_model_that_made_the_data_passes_its_predictive_check(pantumor):
    check = pantumor.pk.predictive_check
    assert set(check.bands["stratum"]) == set(TRUTH["histologies"]) and check.prediction_corrected
    large = check.bands[check.bands["n"] >= 60]
    outside = (large["observed"] < large["lower"]) | (large["observed"] > large["upper"])
    # 5 % are expected; of the 90 quantiles those of one histology hang together
    assert len(large) == 90 and outside.mean() < 0.15


def test_the_test_of_histology_is_the_difference_of_the_two_objectives(pantumor):
    test = pantumor.pk.likelihood_ratio
    assert test["statistic"] == pytest.approx(pantumor.pk.ofv_reduced - pantumor.pk.ofv, abs=1e-9)
    assert test["df"] == 5
    assert test["p_value"] == pytest.approx(chi2.sf(test["statistic"], 5), rel=1e-8)


def test_exposures_follow_from_dose_and_clearance(pantumor):
    subjects = pantumor.exposure.subjects.set_index("ID")
    # linear PK: exposure at the reference dose is that at the dose given, in proportion (closed form)
    np.testing.assert_allclose(subjects["AUCSS"] * 2 / subjects["dose"], subjects["reference"], rtol=1e-6)
    np.testing.assert_allclose(subjects["CAVGSS"], subjects["AUCSS"] / 24, rtol=1e-9)
    assert (subjects["CTROUGHSS"] < subjects["CAVGSS"]).all()
    assert (subjects["CAVGSS"] < subjects["CMAXSS"]).all()
    assert subjects["dose"].to_dict() == CSV["DOSE"].to_dict()
    # AUCSS of the reference histology at 2 mg: 343 ng·h/mL times the shrunken spread of CL and weight
    assert pantumor.exposure.reference_exposure == pytest.approx(TRUTH["reference_auc"], rel=0.05)
    assert pantumor.exposure.unit == "ng/mL·h"


def test_the_ratios_recover_the_truth_against_one_reference(pantumor):
    ratios = pantumor.exposure.ratios.set_index("histology")
    assert ratios.loc["lung", ["ratio", "lower", "upper"]].tolist() == [1.0, 1.0, 1.0]
    for histology, known in TRUTH["histologies"].items():
        row = ratios.loc[histology]
        assert row["n"] == known["n"]
        if histology != "lung":
            assert abs(row["log_ratio"] - np.log(known["exposure_ratio"])) < 3.5 * row["log_ratio_se"]


def test_counts_of_each_endpoint_are_those_of_the_file(pantumor):
    for endpoint in pantumor.endpoints:
        expected = CSV.groupby(["TUMOR", "DOSE"])[endpoint.name].agg(["size", "sum"])
        counts = endpoint.counts.set_index(["histology", "dose"])
        assert counts["n"].to_dict() == {k: int(v) for k, v in expected["size"].items()}
        assert counts["events"].to_dict() == {k: int(v) for k, v in expected["sum"].items()}
        k, n = counts["events"], counts["n"]
        inside = k > 0
        np.testing.assert_allclose(counts["lower"][inside], beta.ppf(0.025, k, n - k + 1)[inside], rtol=1e-9)
        assert (
            endpoint.observed.groupby("histology")["n"].sum().to_dict()
            == CSV["TUMOR"].value_counts().to_dict()
        )


def test_exposure_response_recovers_the_truth(pantumor):
    for endpoint, name in zip(pantumor.endpoints, ("orr", "ae"), strict=True):
        for histology in ("lung", "breast", "gastric"):
            known = TRUTH["histologies"][histology]
            rows = endpoint.coefficients
            slope, level = rows.loc[f"slope[{histology}]"], rows.loc[f"intercept[{histology}]"]
            logit = np.log(known[name] / (1 - known[name]))
            # at the estimated reference exposure, within 5 % of the true one: 0.15 on the logit scale
            assert abs(slope["estimate"] - known[f"{name}_slope"]) < 3.5 * slope["se"]
            assert abs(level["estimate"] - logit) < 3.5 * level["se"] + 0.15


def test_curves_span_what_was_observed(pantumor):
    subjects = pantumor.exposure.subjects.groupby("histology")["AUCSS"]
    for endpoint in pantumor.endpoints:
        spans = endpoint.curves.groupby("histology")["exposure"].agg(["min", "max"])
        np.testing.assert_allclose(spans["min"], subjects.min(), rtol=1e-12)
        np.testing.assert_allclose(spans["max"], subjects.max(), rtol=1e-12)
        inside = endpoint.curves["lower"].le(endpoint.curves["probability"])
        assert (inside & endpoint.curves["probability"].le(endpoint.curves["upper"])).all()


def test_heterogeneity_is_judged_on_all_means(pantumor):
    table = pantumor.exchangeability["table"].set_index("histology")
    logs = np.log(pantumor.exposure.ratios.set_index("histology")["ratio"])
    # relative to one constant, the estimates differ exactly as the log ratios do
    np.testing.assert_allclose(
        table["estimate"] - table.loc["lung", "estimate"], logs[table.index], atol=1e-9
    )
    assert abs(table.loc["salivary", "shrunken_mean"]) < abs(table.loc["salivary", "estimate"])
    assert 0 < pantumor.exchangeability["tau"]["p_above"] < 1
    assert "CL differs between histologies" in pantumor.global_statement


def test_json_brings_back_every_number(pantumor):
    text = pantumor.to_json()
    restored = Assessment.from_json(text)
    assert restored.to_json() == text
    pd.testing.assert_frame_equal(restored.verdicts, pantumor.verdicts)
    pd.testing.assert_frame_equal(restored.pk.diagnostics, pantumor.pk.diagnostics)
    assert str(DATASETS) not in text


def test_provenance_says_what_was_read(pantumor):
    import hashlib

    digest = hashlib.sha256((DATASETS / "pantumor/pantumor.csv").read_bytes()).hexdigest()
    assert pantumor.provenance["sha256"]["data"] == digest
    assert pantumor.provenance["seed"] == 20251229
    assert len(pantumor.provenance["sha256"]["model"]) == 64


def page(made: Assessment, language: str) -> Page:
    """The report without its drawings, which need time and, in Chinese, a font."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "pkpd.report.context.Context.figure", lambda self, k, a, c, d, n="": Text(f"figure {k}: {c}")
        )
        patch.setattr("pkpd.report.context.require_font", lambda language: None)
        return Page(report_html(made, language))


def verdict_lines(shown: Page) -> str:
    """Histology, patients, verdict, row of the decision table, dose and qualifiers, as page one says them."""
    table = next(t for t in shown.root.find("table") if t.attributes["id"] == "table-verdicts")
    lines = []
    for body in table.find("tbody"):
        row, said = body.find("tr")
        cells = [*row.find("th"), *row.find("td")[:2]]
        qualifiers = [n for n in said.find("span") if "badge" in n.classes]
        lines.append(" | ".join(" ".join(" ".join(c.texts).split()) for c in [*cells, *qualifiers]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_report_of_the_trial_is_the_golden_one(pantumor, language):
    shown = page(pantumor, language)
    golden = GOLDEN.read_text(encoding="utf-8").split("====\n")
    assert verdict_lines(shown) + outline(shown) == golden[["en", "zh"].index(language)]


def json_value(value, path: str):
    """What stands in the text of assessment.json under the path of a number of the page; none of pkpd reads it."""
    for name, position in re.findall(r"\.?([^.\[\]]+)|\[(\d+)\]", path):
        if position:
            value = value["values"] if isinstance(value, dict) else value
            value = value[int(position)]
        elif isinstance(value, dict) and value.get("__class__") == "DataFrame" and name != "index":
            value = value["values"][value["columns"].index(name)]
        else:
            value = value[name]
    return value


@pytest.mark.parametrize("language", ["en", "zh"])
def test_ten_random_numbers_of_the_page_are_those_of_the_json(pantumor, language):
    written = json.loads(pantumor.to_json())
    found = [
        (n, json_value(written, n.attributes["data-field"]))
        for n in page(pantumor, language).root.having("data-field")
    ]
    numbers = [(n, v) for n, v in found if isinstance(v, (int, float))]
    assert len(numbers) > 900
    for i in np.random.default_rng(["en", "zh"].index(language)).choice(len(numbers), 10, replace=False):
        assert_shows(*numbers[i])


# The small trial: fitted once, then read through plans that differ in one key.


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    shutil.copy(DATASETS / "pantumor_small/pantumor_small.csv", folder)
    # repeated fits and many replicates only where they are what is asked for
    text = (DATASETS / "pantumor_small/plan.toml").read_text(encoding="utf-8").replace("n = 999", "n = 19")
    text += "\n[sensitivity]\nprior = false\nleave_one_out = false\n"

    @cache
    def run(*edits: tuple[str, str]) -> Assessment:
        edited = text
        for old, new in edits:
            assert edited.count(old) >= 1, old
            edited = edited.replace(old, new)
        (folder / "plan.toml").write_text(edited, encoding="utf-8")
        # what does not depend on the edited key is there already
        return assess(folder / "plan.toml", store=folder / "kept")

    return run


@pytest.fixture(scope="module")
def base(small):
    return small()


def test_thirty_per_histology_mostly_do_not_decide_and_say_what_would(base):
    verdicts = base.verdicts.set_index("histology")
    undecided = verdicts[verdicts["verdict"] == "insufficient data"]
    assert len(undecided) >= 3
    needed = undecided["n_needed"].dropna()
    assert len(needed) >= 1
    assert (needed > 30).all()


def sources(a: Assessment) -> str:
    return " ".join(a.assumptions)


# what a person reads, all edited in one plan: old and new text, the new word, and where it is found
WORDS = {
    "title": ("A fictitious oral drug", "Another drug", "Another drug", lambda a: a.title),
    "units": ('DV = "ng/mL"', 'DV = "ug/L"', "ug/L", lambda a: a.exposure.unit),
    "dose unit": ('unit = "mg"', 'unit = "grain"', "2 grain", lambda a: a.assumptions[0]),
    "source of bounds": ("bioequivalence bounds", "other bounds", "other bounds", sources),
    "source of margins": ("15 and 10 percentage points", "elsewhere", "elsewhere", sources),
    "source of p0": ('0.20\nsource = "declared', '0.20\nsource = "rates declared', "rates declared", sources),
    "label": ('"Objective response"', '"Response seen"', "Response seen", lambda a: a.endpoints[0].label),
}


@pytest.mark.parametrize("key", WORDS)
def test_every_word_of_the_plan_stands_in_what_it_says(small, base, key):
    said = small(*((old, new) for old, new, _, _ in WORDS.values()))
    _, _, word, look = WORDS[key]
    assert word in look(said) and word not in look(base)


KEYS = {
    "seed": (("seed = 20251229", "seed = 1"), lambda a: a.verdicts["p_effect_kept"].tolist()),
    "reference dose": (("reference = 2.0", "reference = 1.0"), lambda a: a.exposure.reference_exposure),
    "interval": (("interval = 24", "interval = 12"), lambda a: a.exposure.subjects["CTROUGHSS"].tolist()),
    "infusion": (
        ("interval = 24", "interval = 24\ninfusion = 6"),
        lambda a: a.exposure.subjects["CMAX1"].tolist(),
    ),
    "compartment": (
        ("interval = 24", 'interval = 24\ncompartment = "central"'),
        lambda a: a.exposure.subjects["CMAX1"].tolist(),
    ),
    "candidates": (
        ("1.5, 2.0, 2.5, 3.0", "2.0"),
        lambda a: a.verdicts[["dose", "n_needed"]].to_numpy().tolist(),
    ),
    "randomised": (
        ("randomised = true", "randomised = false"),
        lambda a: a.verdicts["evidence_class"].tolist(),
    ),
    "tolerated": (
        ("randomised = true", "randomised = true\ntolerated = { breast = 1.0 }"),
        lambda a: a.verdicts["p_response_below_p0"].tolist(),
    ),
    "metric": (('"AUCSS"', '"CMAX1"'), lambda a: a.exposure.ratios["ratio"].tolist()),
    "bounds": (("[0.80, 1.25]", "[0.70, 1.43]"), lambda a: a.verdicts["p_exposure_within"].tolist()),
    "shape": (
        ('shape = "log"', 'shape = "linear"'),
        lambda a: a.endpoints[0].coefficients["estimate"].tolist(),
    ),
    "margin of efficacy": (
        ("efficacy = 0.15", "efficacy = 0.25"),
        lambda a: a.verdicts["p_effect_kept"].tolist(),
    ),
    "margin of safety": (("safety = 0.10", "safety = 0.05"), lambda a: a.verdicts["p_safety_kept"].tolist()),
    "margin of one histology": (
        ("safety = 0.10", "safety = 0.10\nsafety_by_histology = { liver = 0.3 }"),
        lambda a: a.verdicts["p_safety_kept"].tolist(),
    ),
    "p0": (("default = 0.20", "default = 0.45"), lambda a: a.verdicts["p_response_below_p0"].tolist()),
    "p0 of one histology": (
        ("default = 0.20", "default = 0.20\nhistologies = { breast = 0.5 }"),
        lambda a: a.verdicts["p_response_below_p0"].tolist(),
    ),
    "conclude": (("conclude = 0.90", "conclude = 0.995"), lambda a: a.verdicts["verdict"].tolist()),
    "keep": (("keep = 0.80", "keep = 0.99"), lambda a: a.verdicts["verdict"].tolist()),
    "minimum_n": (("minimum_n = 10", "minimum_n = 31"), lambda a: a.verdicts["rule"].tolist()),
    "small_n": (("small_n = 30", "small_n = 31"), lambda a: a.verdicts["qualifiers"].tolist()),
    "bootstrap": (("n = 19", "n = 39"), lambda a: a.endpoints[0].interaction["n_bootstrap"]),
    "tau": (("tau = 0.5", "tau = 0.05"), lambda a: a.exchangeability["tau"]["mean"]),
    "mu": (
        ("mu = [0.0, 2.0]", "mu = [1.0, 0.1]"),
        lambda a: a.exchangeability["table"]["shrunken_mean"].tolist(),
    ),
    "prior": (
        ("prior = false", "prior = true"),
        lambda a: set(a.sensitivity["refits"]["analysis"]),
    ),
    "leave_one_out": (
        ("leave_one_out = false", "leave_one_out = true"),
        lambda a: set(a.sensitivity["refits"]["analysis"]),
    ),
    "assay": (("units = {", 'assay = "TUMOR"\nunits = {'), lambda a: a.verdicts["qualifiers"].tolist()),
    "drivers": (
        ("units = {", 'drivers = ["WT"]\nunits = {'),
        lambda a: a.endpoints[0].sources["table"]["odds_ratio"].tolist(),
    ),
    "aliases": (("units = {", 'aliases = ["TUMOR"]\nunits = {'), lambda a: a.verdicts["qualifiers"].tolist()),
}


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_plan_changes_what_it_says(small, base, key):
    edit, look = KEYS[key]
    assert look(small(edit)) != look(base)


def test_above_the_limit_of_shrinkage_exposures_are_uncertain_in_the_likelihood(small, base):
    joint = small(("shrinkage = 0.25", "shrinkage = 0.001"))
    assert any("uncertainty of each subject's exposure" in line for line in joint.assumptions)
    assert not any("uncertainty of each subject's exposure" in line for line in base.assumptions)
    assert joint.verdicts["qualifiers"].tolist() != base.verdicts["qualifiers"].tolist()
    for one, other in zip(joint.endpoints, base.endpoints, strict=True):
        assert one.coefficients["estimate"].tolist() != other.coefficients["estimate"].tolist()
    slopes = [a.endpoints[1].coefficients["estimate"].filter(like="slope") for a in (base, joint)]
    # samples on several days: exposures are known to a few percent, and the slopes change by little
    assert not np.allclose(*slopes, rtol=1e-3) and np.allclose(*slopes, rtol=0.2)


def test_an_anchor_resolves_a_confounding(small):
    alias = ("units = {", 'aliases = ["TUMOR"]\nanchors = { breast = "crossover study" }\nunits = {')
    verdicts = small(alias).verdicts.set_index("histology")
    assert verdicts.loc["breast", "rule"] != "0"
    assert verdicts.drop(index="breast")["rule"].unique().tolist() == ["0"]


def test_extrapolation_limits_the_doses_proposed(small):
    lenient = (
        "conclude = 0.90",
        "conclude = 0.60",
    )  # gastric cancer then gets a dose above that of the trial
    wide = small(lenient)
    narrow = small(lenient, ("extrapolation = 1.5", "extrapolation = 1.01"))
    assert narrow.verdicts["dose"].max() <= 2.0 * 1.01 < wide.verdicts["dose"].max()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'tested = ["CL"]',
            'tested = ["CL", "V2"]',
            r"E_PLAN_TESTED: .*line \d+: the plan tests CL, V2, but model",
        ),
        (
            'reference = "lung"',
            'reference = "breast"',
            r"E_PLAN_REFERENCE: .*'breast', the model with 'lung'",
        ),
    ],
)
def test_plan_and_model_must_agree(small, old, new, message):
    with pytest.raises(PlanError, match=message):
        small((old, new))


def test_a_model_without_the_factor_gets_it_from_the_plan(small, base, tmp_path):
    source = (DATASETS.parent / "models/pantumor.py").read_text(encoding="utf-8")
    source = re.sub(r"    tumour = m\.factor.*\n", "", source).replace(' + tumour.effect("CL")', "")
    assert "m.factor" not in source
    assert "effect" not in source
    model = tmp_path / "plain.py"
    model.write_text(source, encoding="utf-8")
    found = small(('name = "pantumor"', f'file = "{model}"'))
    # the same model, written the other way: the optimiser sees the same function
    assert found.pk.ofv == pytest.approx(base.pk.ofv, abs=1e-6)
    assert found.verdicts["verdict"].tolist() == base.verdicts["verdict"].tolist()


def test_a_fit_without_covariance_stops_the_assessment(small, base, monkeypatch):
    fitted = pkpd.study.analysis.fitted

    def failed(*args, **settings):
        done = fitted(*args, **settings)
        return dataclasses.replace(done, covariance_matrix=done.covariance_matrix * float("nan"))

    monkeypatch.setattr(pkpd.study.analysis, "fitted", failed)
    with pytest.raises(FitError, match="E_NO_COVARIANCE"):
        small(("seed = 20251229", "seed = 20251229  # again"))


def test_one_and_two_threads_give_the_same_bytes(tmp_path):
    # its refits without each histology are fits like the others
    plan = tmp_path / "plan.toml"
    shutil.copy(DATASETS / "pantumor_small/pantumor_small.csv", tmp_path)
    whole = (DATASETS / "pantumor_small/plan.toml").read_text(encoding="utf-8").replace("n = 999", "n = 99")
    plan.write_text(f"{whole}\n[sensitivity]\nleave_one_out = false\n", encoding="utf-8")
    texts = []
    for threads in ("1", "2"):
        out = tmp_path / threads
        command = [
            sys.executable,
            "-m",
            "pkpd.cli",
            "assess",
            str(plan),
            "--output",
            str(out),
            "--threads",
            threads,
        ]
        subprocess.run(command, check=True, capture_output=True, env={**os.environ})
        texts.append((out / "assessment.json").read_bytes())
        assert (out / "report.html").stat().st_size > 10_000
    assert texts[0] == texts[1]
