"""Evidence beside the verdicts: conditional ratios and mediators, the target population, tumour sizes, other methods."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import PlanError
from pkpd.population import FO, FOCEI
from pkpd.response import size_ratio, time_to_growth
from pkpd.study.analysis import assess
from pkpd.study.assessment import Assessment
from pkpd.study.estimation import planned_method
from pkpd.study.plan import check_plan, read_plan
from pkpd.study.rehearsal import rehearse
from pkpd.study.sections import RepresentativenessPlan
from pkpd.study.tumour_sizes import read_sizes, tumour_size_result

DATASETS = Path(__file__).parents[2] / "datasets"
HISTOLOGIES = ("colorectal", "liver", "breast", "gastric", "salivary", "lung")
SHARES = dict(zip(HISTOLOGIES, (0.3, 0.05, 0.1, 0.25, 0.0, 0.2), strict=True)) | {"thyroid": 0.1}
MORE = """
[[endpoint]]
name = "SLD"
kind = "tumour_size"
file = "sizes.csv"
column = "SLD"
time = "WEEK"
label = "Sum of lesions"
model = "stein"
landmark = 8
effects = ["KG"]
survival = "PFS"
offset = 5

[[endpoint]]
name = "PFS"
kind = "efficacy"
column = "PFS"
event = "PROGRESSED"
label = "Progression-free survival"

[sensitivity]
leave_one_out = false
prior = false

[representativeness]
source = "registry"
shares = { colorectal = 0.3, liver = 0.05, breast = 0.1, gastric = 0.25, salivary = 0, lung = 0.2, thyroid = 0.1 }
age = "AGE"
age_bands = [18, 65]
biomarkers = ["PARTNER"]
cutoff_column = "SCORE"
cutoff = 50

[margins]"""


@pytest.fixture(scope="module")
def text() -> str:
    plan = (DATASETS / "pantumor_small/plan.toml").read_text(encoding="utf-8").replace("n = 999", "n = 19")
    plan = plan.replace("[margins]", MORE).replace(
        'metric = "AUCSS"', 'metric = "AUCSS"\nmediators = ["ALB"]'
    )
    chain = 'method = ["FO", "FOCEI"]\noptions = { FOCEI = { max_iterations = 250 } }'
    return plan.replace('method = "FOCEI"', chain)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("further")
    data = pd.read_csv(DATASETS / "pantumor_small/pantumor_small.csv", na_values=".")
    rng = np.random.default_rng(11)
    first = data.groupby("ID").first()
    n = len(first)
    columns = pd.DataFrame(
        {
            # gastric patients have less albumin; it varies within histologies, too
            "ALB": np.round(
                40 * np.exp(0.1 * rng.standard_normal(n) - 0.15 * (first["TUMOR"] == "gastric")), 2
            ),
            "AGE": rng.integers(30, 85, n),
            "PARTNER": rng.choice(["A", "B"], n),
            "SCORE": np.round(rng.uniform(0, 100, n), 1),
            "PROGRESSED": 1,
        },
        index=first.index,
    )
    base, kg, ks = (
        80 * np.exp(0.3 * rng.standard_normal(n)),
        0.008 * np.exp(0.2 * rng.standard_normal(n)),
        0.03,
    )
    kg = kg * np.where(first["TUMOR"] == "gastric", 2.0, 1.0)
    ttg = np.array([float(time_to_growth("stein", {"KG": g, "KS": ks})) for g in kg])
    columns["PFS"] = np.round(np.exp(np.log(ttg + 5) + 0.3 * rng.standard_normal(n)), 3)
    data.loc[data["TUMOR"] == "gastric", "WT"] *= 0.8
    data.join(columns, on="ID").to_csv(folder / "pantumor_small.csv", index=False, na_rep=".")
    rows = [
        {
            "ID": i,
            "WEEK": w,
            "SLD": round(b * (math.exp(-ks * w) + math.exp(g * w) - 1) * math.exp(0.05 * e), 2),
        }
        for i, b, g in zip(first.index, base, kg, strict=True)
        for w, e in zip((0, 6, 12, 18, 24, 36), rng.standard_normal(6), strict=True)
        if i != first.index[0]
    ]
    sizes = pd.DataFrame(rows)
    sizes.loc[3, "SLD"] = np.nan
    sizes.to_csv(folder / "sizes.csv", index=False, na_rep=".")
    return folder


def write(folder, text, name="plan"):
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def made(folder, text) -> Assessment:
    return assess(write(folder, text))


def test_the_conditional_ratio_is_the_effect_of_histology_on_clearance(made):
    # one linear model: AUC at steady state is dose over clearance, so at equal covariates the ratio is exp(-effect)
    table, parameters = made.exposure.conditional.set_index("histology"), made.pk.parameters
    z = 1.6448536269514722
    for histology in set(HISTOLOGIES) - {"lung"}:
        effect = parameters.loc[f"CL(TUMOR={histology})"]
        # areas are differences of an integral over 8 or more intervals: 1e-6 of them
        assert table.loc[histology, "ratio"] == pytest.approx(math.exp(-effect["estimate"]), rel=1e-5)
        assert table.loc[histology, "lower"] == pytest.approx(
            math.exp(-effect["estimate"] - z * effect["se"]), rel=1e-4
        )
    marginal = made.exposure.ratios.set_index("histology")
    # gastric patients weigh less, and clearance goes with weight to 0.75
    light = marginal["ratio"] / table["ratio"]
    assert light["gastric"] == pytest.approx(0.8**-0.75, rel=0.01)
    assert light["breast"] == pytest.approx(1, abs=0.01)


def test_mediators_join_the_model_one_by_one(made):
    table = made.exposure.mediation
    assert table["model"].unique().tolist() == ["TUMOR as planned", "+ ALB"] and len(table) == 12
    first = table[table["model"] == "TUMOR as planned"].set_index("histology")
    np.testing.assert_allclose(
        first["ratio"], made.exposure.conditional.set_index("histology")["ratio"][first.index], rtol=1e-12
    )
    added = table[table["model"] == "+ ALB"]
    assert (added["ofv_change"] <= 1e-6).all() and not np.allclose(added["ratio"], first["ratio"])


def test_the_target_population_weights_the_response(made):
    mix, counts = made.enrolment["mix"], made.endpoints[0].counts.groupby("histology")[["n", "events"]].sum()
    rate = counts["events"] / counts["n"]
    covered = sum(SHARES[h] for h in HISTOLOGIES)
    assert mix.response == pytest.approx(sum(SHARES[h] * rate[h] for h in HISTOLOGIES) / covered)
    assert mix.uncovered == pytest.approx(0.1) and mix.missing == ("thyroid",)
    assert mix.table.set_index("histology")["dominant"].dtype == bool
    ages = made.enrolment["age_bands"]
    assert set(ages["band"]) == {"18 to < 65", "65 and older"} and ages["n"].sum() == counts["n"].sum()
    cells = made.enrolment["biomarkers"]
    assert len(cells) == 12 and cells["events"].sum() == counts["events"].sum()
    assert made.enrolment["cutoff"].cutoff == 50
    assert made.enrolment["source"] == "registry" and made.enrolment["refused"] == {}


def test_the_target_is_incidence_by_who_can_be_treated():
    section = RepresentativenessPlan(
        source="registry",
        incidence={"lung": 10, "breast": 20},
        alteration={"lung": 0.1, "breast": 0.02},
        treatable={"lung": 0.5, "breast": 1.0},
    )
    # 10·0.1·0.5 and 20·0.02·1 patients
    assert section.target() == pytest.approx({"lung": 0.5 / 0.9, "breast": 0.4 / 0.9}, rel=1e-14)


def test_starting_values_of_a_tumour_size_reach_its_model(folder, text, made):
    plan = read_plan(write(folder, text.replace("offset = 5", "offset = 5\ninitial = { KX = 1 }"), "initial"))
    (entry,) = plan.tumour_sizes
    frame = made.exposure.subjects
    with pytest.raises(PlanError, match=r"line 51: model tumour_stein has no theta 'KX'.*BASE, KG, KS"):
        tumour_size_result(plan, entry, frame, read_sizes(plan, entry, frame))


def test_tumour_size_finds_the_histology_that_grows_faster(made):
    (found,) = made.tumour_sizes
    effects = found.effects.set_index("histology")
    assert effects.loc["gastric", "lower"] < 2 < effects.loc["gastric", "upper"]
    assert effects.loc["gastric", "lower"] > 1 and (effects.drop(index="gastric")["lower"] < 1).all()
    assert found.likelihood_ratio["df"] == 5 and found.likelihood_ratio["p_chi2"] < 1e-6
    table = found.table.set_index("histology")
    assert table["measurements"].sum() == 6 * 179 - 1  # one patient has none, one value is missing
    assert "1 of 180 patients have no measurement" in found.statement
    for histology, row in table.iterrows():
        assert row["TTG"] == pytest.approx(float(time_to_growth("stein", row)), rel=1e-12), histology
        assert row["RATIO"] == pytest.approx(float(size_ratio("stein", row, 8.0)), rel=1e-12)
        assert row["TTG_LOWER"] < row["TTG"] < row["TTG_UPPER"]
        assert row["RATIO_LOWER"] < row["RATIO"] < row["RATIO_UPPER"]
    truth = float(time_to_growth("stein", {"KG": 0.016, "KS": 0.03}))
    assert table.loc["gastric", "TTG_LOWER"] < truth < table.loc["gastric", "TTG_UPPER"]
    link = found.survival["coefficients"].set_index("name")
    assert link.loc["slope", "lower"] < 1 < link.loc["slope", "upper"] and found.survival["n"] == 179


def test_a_chain_ends_at_the_optimum_of_its_last_method(made, folder, text):
    assert made.pk.method == "FO, FOCEI"
    plain = text.replace('["FO", "FOCEI"]', '"FOCEI"').replace('mediators = ["ALB"]\n', "")
    plain = plain[: plain.index('[[endpoint]]\nname = "SLD"')] + plain[plain.index("[sensitivity]") :]
    plain = plain[: plain.index("[representativeness]")] + plain[plain.index("[margins]") :]
    alone = assess(write(folder, plain, "plain"))
    assert made.pk.ofv == pytest.approx(alone.pk.ofv, abs=1e-4)
    assert made.verdicts["verdict"].tolist() == alone.verdicts["verdict"].tolist()
    assert alone.enrolment == {} and alone.tumour_sizes == () and len(alone.exposure.mediation) == 0
    saem = plain.replace('"FOCEI"', '"SAEM"')
    saem = saem.replace(
        "FOCEI = { max_iterations = 250 }", "SAEM = { iterations = [150, 60], chains = 1, samples = 300 }"
    )
    drawn = assess(write(folder, saem, "saem"))
    assert drawn.pk.method == "SAEM"
    np.testing.assert_allclose(drawn.exposure.ratios["ratio"], alone.exposure.ratios["ratio"], rtol=0.03)
    assert any("importance sampling" in line for line in drawn.assumptions)


def test_json_brings_it_all_back(made):
    again = Assessment.from_json(made.to_json())
    assert again.to_json() == made.to_json()
    assert again.enrolment["mix"].response == made.enrolment["mix"].response
    pd.testing.assert_frame_equal(again.tumour_sizes[0].table, made.tumour_sizes[0].table, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("lung = 0.2, thyroid = 0.1", "lung = 0.2", "E_PLAN_WEIGHTS", "add up to 0.9, not 1"),
        ("shares = {", "incidence = {", "E_PLAN_WEIGHTS", "alteration frequencies are missing"),
        ("salivary = 0,", "salivary = -0.1,", "E_PLAN_VALUE", "entry salivary must be a number from 0 to 1"),
        ('age = "AGE"\n', "", "E_PLAN_MISSING", "no column with the age"),
        ("cutoff = 50\n", "", "E_PLAN_MISSING", "belong together"),
        ('file = "sizes.csv"', 'file = "none.csv"', "E_PLAN_FILE", "no such file"),
        ('model = "stein"', 'model = "gompertz"', "E_PLAN_VALUE", '"stein", "claret", "wang", "simeoni"'),
        ('model = "stein"', 'model = "simeoni"', "E_PLAN_TUMOUR_MODEL", "driven by a concentration"),
        ("offset = 5", "offset = 5\ninitial = { KG = -1 }", "E_PLAN_VALUE", "KG must be a number above 0"),
        ('survival = "PFS"', 'survival = "ORR"', "E_PLAN_ENDPOINTS", "no time to an event"),
        ('survival = "PFS"\n', "", "E_PLAN_ENDPOINTS", "has an offset, but no survival"),
        ('["FO", "FOCEI"]', '["FOCEI", "FO"]', "E_PLAN_METHOD", "too rough"),
        ('["FO", "FOCEI"]', '"MAP"', "E_PLAN_VALUE", '"SAEM"'),
        ('["FO", "FOCEI"]', '"SAEM"', "E_PLAN_METHOD", "FOCEI, which is not among the methods SAEM"),
        ("max_iterations = 250", "chains = 2", "E_PLAN_VALUE", "FOCEI has no option chains"),
        ("max_iterations = 250", "tolerance = 0", "E_PLAN_VALUE", "FOCEI.tolerance must be a number above 0"),
    ],
)
def test_mistakes_of_the_plan_are_found_when_it_is_read(folder, text, old, new, code, message):
    assert old in text
    findings = check_plan(write(folder, text.replace(old, new), "wrong"))
    assert any(f.code == code and message in f.message and f.row for f in findings), findings


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("salivary = 0, ", "", "E_PLAN_WEIGHTS", "salivary were enrolled"),
        ('column = "SLD"', 'column = "SIZE"', "E_PLAN_COLUMN", "no column 'SIZE'"),
        ('file = "sizes.csv"', 'file = "strange.csv"', "E_TUMOUR_ID", "ID 9001"),
        ('file = "sizes.csv"', 'file = "words.csv"', "E_TUMOUR_VALUE", "row 3: 'big' in SLD"),
        ('biomarkers = ["PARTNER"]', 'biomarkers = ["FUSION"]', "E_PLAN_COLUMN", "no column 'FUSION'"),
    ],
)
def test_mistakes_that_the_data_show_are_found_before_the_fits(folder, text, old, new, code, message):
    (folder / "strange.csv").write_text("ID,WEEK,SLD\n9001,0,50\n")
    (folder / "words.csv").write_text("ID,WEEK,SLD\n1,0,50\n1,6,big\n")
    plan = write(folder, text.replace(old, new), "wrong")
    with pytest.raises(PlanError, match=rf"{code}.*line \d+.*{message}") as caught:
        assess(plan)
    assert caught.value.code == code
    assert any(f.code == code and f.row and message in f.message for f in rehearse(plan))


def test_every_option_of_a_method_is_one_of_its_settings():
    from pkpd import population
    from pkpd.study.sections import METHODS

    samples = {
        "max_iterations": 7,
        "tolerance": 0.5,
        "starts": 2,
        "blq": "M1",
        "nodes": 3,
        "iterations": (5, 6),
        "chains": 2,
        "likelihood": "linearisation",
        "samples": 123,
    }
    for name, options in METHODS.items():
        method = getattr(population, name)(**{o: samples[o] for o in options})
        assert all(getattr(method, o) == samples[o] for o in options)


def test_the_options_of_a_plan_reach_its_methods(folder, text):
    plan = read_plan(write(folder, text, "methods"))
    assert planned_method(plan, covariance=True) == [
        FO(covariance=None),
        FOCEI(max_iterations=250, covariance="R"),
    ]
    assert planned_method(plan, covariance=False, refit=True) == FOCEI(max_iterations=250, covariance=None)


@pytest.mark.parametrize(("model", "metric"), [("claret", "AUCSS"), ("simeoni", "CAVGSS")])
def test_exposure_drives_a_tumour_size(folder, text, monkeypatch, model, metric):
    lines = text.replace('model = "stein"\nlandmark = 8', f'model = "{model}"').replace(
        'survival = "PFS"\noffset = 5', ""
    )
    plan = read_plan(write(folder, lines.replace('"AUCSS"', f'"{metric}"'), "driven"))
    (entry,) = plan.tumour_sizes
    frame = pd.DataFrame({"ID": [1, 2, 3], "histology": ["lung", "lung", "skin"], metric: [10.0, 40.0, 5.0]})
    sizes = pd.DataFrame({"ID": [1, 1, 2, 3], "histology": "lung", "TIME": 0.0, "SIZE": 1.0})
    seen = []
    monkeypatch.setattr(
        "pkpd.study.tumour_sizes.fit_tumour_size", lambda table, *a, **k: seen.append((table, k)) or 1 / 0
    )
    with pytest.raises(ZeroDivisionError):
        tumour_size_result(plan, entry, frame.assign(reference=[4.0, 16.0, 9.0]), sizes)
    ((table, settings),) = seen
    # claret: relative to the geometric mean of the reference histology at the reference dose, 8; simeoni: as it is
    expected = np.array([10.0, 10.0, 40.0, 5.0]) / (8.0 if model == "claret" else 1.0)
    np.testing.assert_allclose(table[settings["exposure"]], expected, rtol=1e-14)
    assert settings["model"] == model


def test_incidence_and_alteration_make_the_target(folder, text):
    shares = text[text.index("shares = {") : text.index('age = "AGE"')]
    incidence = "incidence = { lung = 200, gastric = 100 }\nalteration = { lung = 0.01, gastric = 0.04 }\n"
    plan = read_plan(write(folder, text.replace(shares, incidence), "incidence"))
    assert plan.representativeness.target() == pytest.approx({"lung": 1 / 3, "gastric": 2 / 3})
    assert [e["name"] for e in plan.as_dict()["endpoint"]] == ["ORR", "AE", "SLD", "PFS"]
