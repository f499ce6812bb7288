"""What verdicts rest on: repeated analyses of the small trial, and endpoints beside the primary ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import PlanError
from pkpd.study.analysis import assess
from pkpd.study.assessment import Assessment

DATASETS = Path(__file__).parents[2] / "datasets"
MORE = """
[[endpoint]]
name = "HEP"
kind = "safety"
column = "HEP"
label = "Hepatic event"
[[endpoint]]
name = "PFS"
kind = "efficacy"
column = "PFS"
event = "PROGRESSED"
label = "Progression-free survival"
[[endpoint]]
name = "OS"
kind = "efficacy"
column = "PFS"
event = "DIED"
label = "Overall survival"
[sensitivity]
leave_one_out = LEAVE
[margins]"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sensitivity")


def run(folder, name, leave, keep=None) -> Assessment:
    data = pd.read_csv(DATASETS / "pantumor_small/pantumor_small.csv", na_values=".")
    rng = np.random.default_rng(7)
    ids = data["ID"].unique()
    columns = pd.DataFrame(
        {
            "ASSAY": np.where(rng.random(len(ids)) < 0.5, "central", "local"),
            "HEP": (rng.random(len(ids)) < 0.3).astype(int),
            "PROGRESSED": (rng.random(len(ids)) < 0.8).astype(int),
            "DIED": 0,
        },
        index=ids,
    )
    first = data.groupby("ID").first()
    # a higher dose delays progression by one half
    columns["PFS"] = np.round(rng.exponential(8 * 1.5 ** (first["DOSE"] - 1)) + 0.01, 3)
    data = data.join(columns, on="ID")
    if keep is not None:
        data = data[keep(data)]
    data.to_csv(folder / f"{name}.csv", index=False, na_rep=".")
    text = (DATASETS / "pantumor_small/plan.toml").read_text(encoding="utf-8").replace("n = 999", "n = 19")
    text = text.replace("pantumor_small.csv", f"{name}.csv").replace(
        "[margins]", MORE.replace("LEAVE", leave)
    )
    text = text.replace('column = "AE"\n', 'column = "AE"\nprimary = true\n')
    text = text.replace("units = {", 'assay = "ASSAY"\ndrivers = ["WT"]\nunits = {')
    (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return assess(folder / f"{name}.toml")


@pytest.fixture(scope="module")
def whole(folder):
    return run(folder, "whole", "true")


def test_verdicts_that_change_carry_the_qualifier_and_say_how(whole):
    refits = whole.sensitivity["refits"]
    assert set(refits["analysis"]) == {"prior", "left out", "assay"}
    main = whole.verdicts.set_index("histology")
    for row in refits.to_dict("records"):
        assert row["changed"] == (row["verdict"] != main.loc[row["histology"], "verdict"])
    for analysis, qualifier in (("prior", "PRIOR-SENSITIVE"), ("left out", "DOMINATED")):
        changed = set(refits.loc[refits["changed"] & (refits["analysis"] == analysis), "histology"])
        assert changed == {h for h, q in main["qualifiers"].items() if qualifier in q}
    # 1 of 15 colorectal patients responded: 91 % below p0 under Jeffreys' prior, 88 % under twice of it
    assert "PRIOR-SENSITIVE" in main.loc["colorectal", "qualifiers"]
    assert "with 2 times its scale it would be insufficient data" in main.loc["colorectal", "sentence"]
    assert main["qualifiers"].str.contains("ASSAY-MIXED").all()
    # no histology is left out of the analysis of another histology only
    left = refits[refits["analysis"] == "left out"]
    assert (left["change"] != left["histology"]).all() and len(left) == 5 * 4


def test_a_histology_left_out_is_as_if_it_had_never_been_there(whole, folder):
    without = run(folder, "without", "false", keep=lambda d: d["TUMOR"] != "breast")
    refits = whole.sensitivity["refits"]
    left = refits[(refits["analysis"] == "left out") & (refits["change"] == "breast")].set_index("histology")
    alone = without.verdicts.set_index("histology")
    # two optimisers stop within a few thousandths of a standard error of one optimum
    np.testing.assert_allclose(left["ratio"], alone["ratio"].reindex(left.index), rtol=2e-3)
    assert (left["verdict"] == alone["verdict"].reindex(left.index)).all()
    assert "left out" not in set(without.sensitivity["refits"]["analysis"])


def test_pooled_response_without_each_histology(whole):
    table = whole.sensitivity["pooled"]
    orr = table[table["endpoint"] == "ORR"]
    assert orr["share_n"].sum() == pytest.approx(1) and orr["share_events"].sum() == pytest.approx(1)
    first = orr.iloc[0]
    rest = orr.iloc[1:]
    assert first["without"] == pytest.approx(rest["events"].sum() / rest["n"].sum())
    assert not orr["dominant"].any()
    influence = whole.sensitivity["influence"]
    assert set(influence) == {"AUCSS", "slope of ORR", "slope of AE"}
    share = influence["slope of ORR"]["table"]["weight"]
    assert influence["slope of ORR"]["effective_number"] == pytest.approx(1 / (share**2).sum())


def test_further_endpoints_are_reported_and_verdicts_rest_on_the_primary_ones(whole):
    names = {e.name: e for e in whole.endpoints}
    assert list(names) == ["ORR", "AE", "HEP"] and [e.primary for e in whole.endpoints] == [True, True, False]
    assert np.isfinite(names["HEP"].contrasts["difference"]).all()
    assert not np.allclose(names["HEP"].contrasts["difference"], names["AE"].contrasts["difference"])
    for endpoint in whole.endpoints:
        assert endpoint.sources["statement"].startswith("Evidence class EC1 (randomised doses)")
        assert endpoint.sources["adjusted"] == ("WT",)
        assert "dose" in set(endpoint.sources["table"]["source"])


def test_a_time_to_an_event_is_analysed_within_histologies_only(whole):
    pfs, death = whole.survival
    assert pfs.table["n"].tolist() == [30] * 6 and (pfs.table["events"] > 10).all()
    assert np.isfinite(pfs.table["hazard_ratio"]).all() and pfs.slopes["df"] == 5
    # five estimates of 0.67 per doubling: their mean logarithm within 4 standard errors
    weight = 1 / pfs.table["se"] ** 2
    pooled = (np.log(pfs.table["hazard_ratio"]) * weight).sum() / weight.sum()
    assert abs(pooled - np.log(1 / 1.5)) < 4 / np.sqrt(weight.sum())
    assert pfs.table["p_proportional"].between(0, 1).all()
    assert "measures prognosis" in pfs.statement
    assert not hasattr(pfs, "contrasts")
    assert death.statement.startswith("Not analysed: no subject has the event")


def test_confounding_and_balance_are_shown(whole):
    found = whole.confounding
    assert found["aliasing"]["estimable"].all() and found["rank"] == found["width"]
    assert set(found["balance"]["covariate"]) == {"WT"}


def test_json_brings_it_all_back(whole):
    back = Assessment.from_json(whole.to_json())
    pd.testing.assert_frame_equal(back.sensitivity["refits"], whole.sensitivity["refits"])
    pd.testing.assert_frame_equal(back.survival[0].table, whole.survival[0].table)
    assert back.endpoints[2].primary is False


def test_a_column_that_is_not_there_is_refused_with_its_line(folder, whole):
    text = (folder / "whole.toml").read_text(encoding="utf-8").replace('event = "DIED"', 'event = "NONE"')
    (folder / "bad.toml").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=r"E_PLAN_COLUMN.*line \d+.*'NONE'"):
        assess(folder / "bad.toml")
