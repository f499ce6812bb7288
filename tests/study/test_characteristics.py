"""Operating characteristics: truths have their verdicts, and rates are those of independent calculations."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from pkpd.errors import InputError
from pkpd.study import characteristics
from pkpd.study.characteristics import operating_characteristics
from pkpd.study.rehearsal import rehearse
from pkpd.study.scenarios import Scenario

PLAN = """
format = 1
title = "Sizes only"
seed = 11
[data]
file = "sizes.csv"
reference = "lung"
[model]
name = "pantumor"
tested = ["CL"]
[dosing]
reference = 2.0
interval = 24
candidates = [1.0, 1.5, 2.0, 2.5, 3.0]
column = "DOSE"
randomised = true
[exposure]
metric = "AUCSS"
bounds = [0.80, 1.25]
source = "bioequivalence bounds"
[[endpoint]]
name = "ORR"
kind = "efficacy"
column = "ORR"
label = "Response"
[[endpoint]]
name = "AE"
kind = "safety"
column = "AE"
label = "Adverse event"
[margins]
efficacy = 0.15
safety = 0.10
source = "declared"
[p0]
default = 0.20
source = "declared"
"""
SIZES = {"lung": 120, "gastric": 60, "skin": 60, "rare": 6}
BASE = {
    "response": {"lung": 0.5}, "ae": {"lung": 0.2}, "cv": 0.3, "response_slope": 1.0, "ae_slope": 1.0,
}  # fmt: skip


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    rows = []
    for histology, n in SIZES.items():
        for i in range(n):
            who = len(rows) // 2 + 1
            same = {
                "ID": who,
                "TUMOR": histology,
                "DOSE": 1 + i % 2,
                "ORR": i % 2,
                "AE": i % 3 == 0,
                "WT": 70,
            }
            rows += [
                {**same, "TIME": 0, "AMT": 1 + i % 2, "DV": ".", "EVID": 1},
                {**same, "TIME": 1, "AMT": 0, "DV": 5.0, "EVID": 0},
            ]
    frame = pd.DataFrame(rows)
    frame["AE"] = frame["AE"].astype(int)
    frame.to_csv(folder / "sizes.csv", index=False)
    (folder / "plan.toml").write_text(PLAN)
    return folder / "plan.toml"


def test_a_known_truth_has_its_verdict_and_decided_trials_find_it(plan):
    truths = [
        {"name": "alike", **BASE},
        {"name": "resistant", **BASE, "response": {"lung": 0.5, "skin": 0.03}},
        {"name": "fast", **BASE, "ratio": {"gastric": 0.6}, "response_slope": 3.0},
        {"name": "toxic", **BASE, "ae": {"lung": 0.1, "skin": 0.6}, "ae_slope": 4.0},
    ]
    found = operating_characteristics(plan, truths, n=8, n_draws=200).table.set_index(
        ["scenario", "histology"]
    )
    truth = found["truth"]
    assert (truth["alike"] == "same dose").all()
    assert truth["resistant", "skin"] == "exclude" and truth["resistant", "gastric"] == "same dose"
    assert (truth["fast", "gastric"], found.loc[("fast", "gastric"), "true_dose"]) == ("adjust dose", 3.0)
    assert (truth["toxic", "skin"], found.loc[("toxic", "skin"), "true_dose"]) == ("adjust dose", 1.0)
    shares = found[["same", "adjust", "exclude", "insufficient"]]
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    # six patients are never judged
    assert (shares.xs("rare", level="histology")["insufficient"] == 1).all()
    assert found.loc[("resistant", "skin"), "exclude"] == 1
    assert found.loc[("alike", "skin"), "false_same"] == 0


def test_scenarios_of_a_plan_are_held_against_its_data(plan):
    declared = """
[[scenario]]
name = "liver clears faster"
response = { lung = 0.5 }
ae = { lung = 0.2 }
cv = 0.3
response_slope = 1
ae_slope = 1
ratio = { liver = 0.7 }
"""
    planned = plan.with_name("scenario.toml")
    planned.write_text(PLAN + declared)
    (finding,) = [f for f in rehearse(planned) if f.code == "E_PLAN_SCENARIO"]
    assert "ratio names ['liver']" in finding.message and finding.row == PLAN.count("\n") + 2
    planned.write_text(PLAN + declared.replace("liver", "skin"))
    seen = []
    own = operating_characteristics(planned, n=12, n_draws=100, progress=lambda *done: seen.append(done))
    assert seen == [(10, 12), (12, 12)]
    assert own.table["scenario"].unique().tolist() == ["skin clears faster"]


def test_the_response_table_is_enumerated_exactly_and_simulation_agrees(plan):
    truth = Scenario("near p0", {"lung": 0.4, "skin": 0.10}, {"lung": 0.2}, 0.3, 1.0, 1.0)
    found = operating_characteristics(plan, truth, n=60, n_draws=100)
    row = found.table.set_index("histology").loc["skin"]
    # 30 patients at the highest dose, 2 mg; mean response by adaptive integration over log exposure
    sd = math.sqrt(math.log(1 + 0.3**2))
    rate = integrate.quad(
        lambda z: stats.norm.pdf(z) / (1 + math.exp(-(math.log(0.1 / 0.9) + sd * z))), -9, 9, epsabs=1e-12
    )[0]
    exact = sum(
        math.comb(30, r) * rate**r * (1 - rate) ** (30 - r)
        for r in range(31)
        if stats.beta(r + 0.5, 30 - r + 0.5).cdf(0.20) >= 0.90
    )
    assert row["shown_below_p0"] == pytest.approx(exact, rel=1e-9)
    # exposures are alike, so row 1 excludes whenever the response table says so; 4 Monte-Carlo errors
    assert abs(row["exclude"] - exact) < 4 * math.sqrt(exact * (1 - exact) / 60)
    assert found.failed == 0 and found.n_replicates == 60


def test_on_the_margin_sameness_is_rarely_claimed(plan):
    # exposure exactly at the lower bound passes with probability 0.10 (a truth that is within the bounds by
    # rounding must not count as same): 4 Monte-Carlo errors above it
    truth = Scenario("on the bound", {"lung": 0.5}, {"lung": 0.2}, 0.3, 1.0, 1.0, {"gastric": 0.7999})
    row = (
        operating_characteristics(plan, truth, n=50, n_draws=100).table.set_index("histology").loc["gastric"]
    )
    assert row["truth"] == "adjust dose"
    assert row["false_same"] == row["same"] <= 0.10 + 4 * math.sqrt(0.1 * 0.9 / 50)
    assert row["false_same_se"] > 0


def test_the_same_seed_gives_the_same_table_and_another_seed_another(plan):
    truth = {"name": "alike", **BASE}
    first, again, other = (
        operating_characteristics(plan, truth, n=12, n_draws=100, seed=seed) for seed in (3, 3, 4)
    )
    pd.testing.assert_frame_equal(first.table, again.table)
    assert not first.table.equals(other.table)


def test_threads_and_a_store_give_the_same_bits_and_nothing_is_done_twice(plan, tmp_path, monkeypatch):
    truth = {"name": "alike", **BASE}
    here = operating_characteristics(plan, truth, n=20, n_draws=100, store=tmp_path / "store")
    with ThreadPoolExecutor(2) as pool:
        there = operating_characteristics(plan, truth, n=20, n_draws=100, executor=pool)
    pd.testing.assert_frame_equal(here.table, there.table)
    monkeypatch.setattr(characteristics, "_batch", lambda task: pytest.fail("done before"))
    again = operating_characteristics(plan, truth, n=20, n_draws=100, store=tmp_path / "store")
    pd.testing.assert_frame_equal(here.table, again.table)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"response": {"lung": 1.5}}, "between 0 and 1"),
        ({"response": {"skin": 0.5}}, "lacks the reference 'lung'"),
        ({"ae": {"lung": 0.2, "brain": 0.2}}, "brain"),
        ({"ratio": {"skin": 0.0}}, "above 0"),
        ({"ratio": {"lung": 0.9}}, "reference 'lung' is not 1"),
        ({"cv": -1}, "cv"),
        ({"slope": 1}, "slope"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(plan, change, message):
    with pytest.raises(InputError, match=message) as caught:
        operating_characteristics(plan, {"name": "bad", **BASE, **change}, n=2)
    assert caught.value.code == "E_SCENARIO"


def test_no_scenario_and_no_trials_are_refused(plan):
    for scenarios, n, code in (
        ([], 10, "E_SCENARIO"),
        ({"name": "x", **BASE}, 1, "E_OPTION"),
        (3, 10, "E_SCENARIO"),
    ):
        with pytest.raises(InputError) as caught:
            operating_characteristics(plan, scenarios, n=n)
        assert caught.value.code == code
