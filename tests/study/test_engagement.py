"""Engagement of the target over exposure: the curve, the difference at equal exposure, what cannot be analysed, the report."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit
from scipy.stats import t as student

from pkpd.errors import PlanError
from pkpd.report import field_value
from pkpd.report.context import Context
from pkpd.report.engagement_figures import engagement
from pkpd.report.evidence_sections import biomarkers
from pkpd.report.tables import Number
from pkpd.study.engagement import engagement_result
from pkpd.study.plan import check_plan, read_plan
from pkpd.study.subjects import read_data, subject_table
from tests.report.synthetic import assessment

FOLDER = Path(__file__).parents[2] / "datasets" / "pantumor_small"
ENTRY = """
[[endpoint]]
name = "RO"
kind = "engagement"
column = "RO"
label = "Receptor occupancy"
unit = "%"

[margins]"""


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engagement")
    data = pd.read_csv(FOLDER / "pantumor_small.csv", dtype=str, keep_default_na=False)
    data["RO"] = np.where(data["ID"] == data["ID"].iloc[0], ".", "50")
    data.assign(WORD="high").to_csv(folder / "pantumor_small.csv", index=False)
    (folder / "plan.toml").write_text((FOLDER / "plan.toml").read_text().replace("\n[margins]", ENTRY))
    return read_plan(folder / "plan.toml")


@pytest.fixture(scope="module")
def frame():
    """A lower Emax in gastric; one patient was not measured."""
    rng = np.random.default_rng(5)
    histology = np.repeat(["lung", "gastric", "breast"], 30)
    x = 300 * np.exp(0.6 * rng.standard_normal(90))
    value = np.where(histology == "gastric", 60, 90) * x / (200 + x) + 4 * rng.standard_normal(90)
    value[-1] = np.nan
    return pd.DataFrame({"ID": range(90), "histology": histology, "AUCSS": x, "RO": value})


@pytest.fixture(scope="module")
def found(plan, frame):
    (entry,) = plan.engagement
    return engagement_result(plan, frame, entry, 250.0)


def test_curve_and_difference_are_those_of_a_general_least_squares_program(found, frame):
    known = frame.dropna()
    levels = ["lung", "gastric", "breast"]
    member = (known["histology"].to_numpy() == np.array(levels)[:, None]).astype(float)

    def model(x, e0, lung, gastric, breast, log_ec50):
        return e0 + (np.array([lung, gastric, breast]) @ member) * x / (np.exp(log_ec50) + x)

    b, v = curve_fit(model, known["AUCSS"], known["RO"], p0=[1, 80, 70, 80, 5], xtol=1e-14, ftol=1e-14)
    ec50, x = np.exp(b[4]), 250.0
    effect = x / (ec50 + x)
    table = found.table.set_index("histology")
    quantile = student.ppf(0.95, len(known) - 5)
    for k, name in enumerate(levels, 1):
        own = np.array([1, 0, 0, 0, -b[k] * effect * ec50 / (ec50 + x)])
        own[k] = effect
        se = np.sqrt(own @ v @ own)
        row = table.loc[name]
        # the two programs stop at slightly different points of a flat minimum, and difference their Jacobians differently
        assert row["response"] == pytest.approx(b[0] + b[k] * effect, rel=1e-6)
        assert row["upper"] - row["response"] == pytest.approx(quantile * se, rel=1e-3)
        if name == "lung":
            continue
        apart = np.array([0, -effect, 0, 0, -(b[k] - b[1]) * effect * ec50 / (ec50 + x)])
        apart[k] = effect
        assert row["difference"] == pytest.approx((b[k] - b[1]) * effect, rel=1e-5)
        half = quantile * np.sqrt(apart @ v @ apart)
        assert row["difference"] - row["difference_lower"] == pytest.approx(half, rel=1e-3)
    assert table.loc["gastric", "difference_upper"] < 0 < table.loc["breast", "difference_upper"]
    assert np.isnan(table.loc["lung", "difference"])
    assert table["n"].tolist() == [30, 30, 29]
    assert table.loc["gastric", "mean"] == pytest.approx(
        known.loc[known["histology"] == "gastric", "RO"].mean()
    )
    assert found.test["df"] == 2 and found.test["p_chi2"] < 1e-6
    assert found.statement.endswith("1 of 90 patients have no value and are left out.")


def test_what_cannot_be_fitted_is_said_and_what_was_observed_is_shown(plan, frame):
    flat = engagement_result(plan, frame.assign(RO=50.0), plan.engagement[0], 250.0)
    assert flat.statement.startswith("Not analysed: response RO is 50 in every subject")
    assert flat.table["mean"].tolist() == [50.0] * 3 and flat.table["response"].isna().all()
    assert len(flat.curves) == 0


def test_the_plan_reads_it_and_refuses_a_column_of_words(plan):
    table = subject_table(plan, read_data(plan))
    assert np.isnan(table["RO"].iloc[0]) and (table["RO"].iloc[1:] == 50).all()
    path = Path(plan.path)
    path.with_name("words.toml").write_text(path.read_text().replace('column = "RO"', 'column = "WORD"'))
    words = read_plan(path.with_name("words.toml"))
    with pytest.raises(PlanError, match="column WORD of RO holds text") as caught:
        subject_table(words, read_data(words))
    assert caught.value.code == "E_PLAN_OUTCOME"
    path.with_name("kind.toml").write_text(path.read_text().replace('"engagement"', '"occupancy"'))
    (finding,) = check_plan(path.with_name("kind.toml"))[:1]
    assert '"efficacy", "safety", "tumour_size", "engagement"' in finding.message


@pytest.mark.parametrize(("language", "title"), [("en", "Observed"), ("zh", "观测")])
def test_the_report_shows_it_in_its_section(found, language, title, monkeypatch):
    monkeypatch.setattr("pkpd.report.context.require_font", lambda language: None)
    made = dataclasses.replace(assessment(), engagement=(found,))
    heading, drawn, shown = biomarkers(Context(made, language))[:3]
    assert heading.text == "Receptor occupancy" and "Receptor occupancy" in drawn.caption
    assert shown.groups[1][0] == title
    places = [
        p.field
        for row in shown.bodies[0]
        for c in row.cells
        for p in c.parts
        if isinstance(p, Number) and p.field
    ]
    assert field_value(made, places[0]) == found.table["n"].iloc[0]
    assert "engagement[0].test.p_chi2" in places and len(places) > 20


def test_its_figure_has_a_panel_for_each_histology_that_was_measured(found):
    made = dataclasses.replace(assessment(), engagement=(found,))
    drawn = [ax for ax in engagement(made).flat if ax.axison]
    assert drawn[0].figure.get_supylabel() == "Receptor occupancy (%)"
    known = set(made.exposure.ratios["histology"]) & {"lung", "gastric", "breast"}
    assert {ax.get_title(loc="left") for ax in drawn} == known
