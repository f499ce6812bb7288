"""Enrolled mix against the target, cells, cut-offs, and what a number of patients can decide."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError, PkpdWarning
from pkpd.histology import (
    age_bands,
    binomial_hierarchical,
    biomarker_cells,
    common_cutoff,
    detectable_differences,
    minimum_detectable_loss,
    n_for_equivalence,
    power_equivalent,
    representativeness,
)
from pkpd.results import from_json, to_json

RBEST = json.loads((Path(__file__).parents[1] / "reference" / "baskets.json").read_text())["rbest_as"]
R, N = {"lung": 12, "skin": 10, "liver": 0}, {"lung": 40, "skin": 20, "liver": 10}


def test_post_stratification_by_hand():
    found = representativeness(
        R,
        N,
        incidence={"lung": 1000, "skin": 500, "liver": 500},
        alteration={"lung": 0.1, "skin": 0.4, "liver": 0.2},
    )
    # 100, 200 and 100 patients with the alteration
    np.testing.assert_allclose(found.table["target"], [0.25, 0.5, 0.25])
    assert found.response == pytest.approx(0.25 * 0.3 + 0.5 * 0.5)
    assert found.pooled == pytest.approx(22 / 70)
    assert found.total_variation == pytest.approx(
        0.5 * (abs(4 / 7 - 1 / 4) + abs(2 / 7 - 1 / 2) + abs(1 / 7 - 1 / 4))
    )
    # per patient: weights 0.25/40, 0.5/20, 0.25/10
    u = np.repeat([0.25 / 40, 0.5 / 20, 0.25 / 10], [40, 20, 10])
    assert found.effective_n == pytest.approx(u.sum() ** 2 / (u @ u))
    variance = sum(
        w**2 * stats.beta(r + 0.5, n - r + 0.5).var()
        for w, r, n in zip([0.25, 0.5, 0.25], R.values(), N.values(), strict=True)
    )
    assert found.se == pytest.approx(math.sqrt(variance))
    assert 0 < found.lower < found.response < found.upper < 1
    without_skin = found.table.set_index("histology").loc["skin", "without"]
    assert without_skin == pytest.approx((0.25 * 0.3 + 0.25 * 0) / 0.5)
    assert found.table["dominant"].tolist() == [True, True, True]


def test_the_target_as_enrolled_changes_nothing():
    shares = {k: n / 70 for k, n in N.items()}
    found = representativeness(R, N, shares=shares)
    assert found.total_variation == pytest.approx(0, abs=1e-12)
    assert found.response == pytest.approx(found.pooled) and found.effective_n == pytest.approx(70)
    np.testing.assert_allclose(found.table["weight"], 1)


def test_the_interval_covers():
    rng = np.random.default_rng(0)
    p, n, w = np.array([0.1, 0.5, 0.3]), np.array([15, 30, 60]), np.array([0.6, 0.3, 0.1])
    truth, hits = p @ w, 0
    for _ in range(400):
        r = dict(zip("abc", rng.binomial(n, p), strict=True))
        found = representativeness(
            r, dict(zip("abc", n, strict=True)), shares=dict(zip("abc", w, strict=True))
        )
        hits += found.lower <= truth <= found.upper
    # 95 %: four standard errors of 400 trials are 4.4 points
    assert hits / 400 > 0.905


def test_a_part_of_the_target_that_nobody_represents_is_named():
    found = representativeness(R, N, shares={"lung": 0.3, "skin": 0.3, "liver": 0.2, "brain": 0.2})
    assert found.missing == ("brain",) and found.uncovered == pytest.approx(0.2)
    assert found.response == pytest.approx((0.3 * 0.3 + 0.3 * 0.5) / 0.8)
    back = from_json(to_json(found))
    assert back.missing == found.missing and back.response == found.response


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"shares": {"lung": 0.5, "skin": 0.5, "liver": 0.5}},
        {"shares": {"lung": 0.5, "skin": 0.5}},
        {"shares": {"lung": 1.5, "skin": -0.5, "liver": 0.0}},
        {"shares": [0.2, 0.3, 0.5]},
        {"shares": {"lung": 0.5, "skin": 0.25, "liver": 0.25}, "alteration": {"lung": 0.1}},
        {"incidence": {"lung": 1, "skin": 1, "liver": 1}},
        {
            "incidence": {"lung": 1, "skin": 1, "liver": 1},
            "alteration": {"lung": 10, "skin": 0.1, "liver": 0.1},
        },
        {
            "incidence": {"lung": 0, "skin": 0, "liver": 0},
            "alteration": {"lung": 0.1, "skin": 0.1, "liver": 0.1},
        },
    ],
)
def test_weights_that_make_no_population_are_refused(options):
    with pytest.raises(InputError) as caught:
        representativeness(R, N, **options)
    assert caught.value.code == "E_WEIGHTS"


def people():
    return pd.DataFrame(
        {
            "TUMOR": ["lung"] * 6 + ["skin"] * 4,
            "FUSION": ["A", "A", "B", "B", "B", None, "A", "A", "A", "A"],
            "AGE": [1, 5, 11, 17, 40, 70, 64.9, 65, 30, 8],
            "ORR": [1, 0, 1, 1, 0, 0, 1, 1, 0, 0],
        }
    )


def test_empty_combinations_are_shown_and_warned_of():
    with pytest.warns(PkpdWarning, match="W_CELLS_EMPTY: 2 of 6"):
        found = biomarker_cells(people(), "TUMOR", ["FUSION"], "ORR", minimum=3)
    table = found.set_index(["histology", "FUSION"])
    assert table["n"].to_dict() == {
        ("lung", "A"): 2, ("lung", "B"): 3, ("lung", "unknown"): 1,
        ("skin", "A"): 4, ("skin", "B"): 0, ("skin", "unknown"): 0,
    }  # fmt: skip
    assert table.loc[("lung", "B"), "proportion"] == pytest.approx(2 / 3)
    assert table.loc[("skin", "A"), "upper"] == pytest.approx(stats.beta(3, 2).ppf(0.975))
    assert np.isnan(table.loc[("skin", "B"), "lower"]) and table.loc[("skin", "B"), "few"]
    assert not table.loc[("lung", "B"), "few"]


def test_age_bands_have_their_limits_and_shares():
    with pytest.warns(PkpdWarning, match="W_CELLS_EMPTY"):
        found = age_bands(people(), "AGE", "TUMOR", "ORR")
    table = found.set_index(["histology", "band"])["n"]
    assert table["lung"].tolist() == [1, 1, 1, 1, 1, 1] and table["skin"].tolist() == [0, 0, 1, 0, 2, 1]
    share = found.set_index(["histology", "band"])["share_of_band"]
    assert share["lung", "18 to < 65"] == pytest.approx(1 / 3) and share["skin", "65 and older"] == 0.5
    for bands, code in (((18, 12), "E_OPTION"), ((10, 20), "E_AGE_RANGE")):
        with pytest.raises(InputError) as caught:
            age_bands(people(), "AGE", "TUMOR", bands=bands)
        assert caught.value.code == code


def marked(n=200, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(50, 15, n)
    skin = np.arange(n) % 2 == 1
    turn = np.where(skin, 60.0, 40.0)  # responders lie above 40 in lung, above 60 in skin
    y = rng.random(n) < 1 / (1 + np.exp(-(x - turn) / 3))
    return pd.DataFrame({"TUMOR": np.where(skin, "skin", "lung"), "PDL1": x, "ORR": y.astype(int)})


def test_the_best_cutoff_is_found_by_trying_all_of_them():
    frame = marked()
    found = common_cutoff(frame, "ORR", "PDL1", "TUMOR", 40.0, n_bootstrap=99)
    table = found.table.set_index("histology")
    for level, own in frame.groupby("TUMOR"):
        tried = [
            ((c <= own.PDL1) & (own.ORR == 1)).sum() / own.ORR.sum()
            + ((c > own.PDL1) & (own.ORR == 0)).sum() / (1 - own.ORR).sum()
            - 1
            for c in own.PDL1
        ]
        assert table.loc[level, "youden"] == pytest.approx(max(tried))
    # the common cut-off is right for lung, and the optimum of a finite sample is a little better than it looks
    assert table.loc["lung", "loss"] < 0.25 < table.loc["skin", "loss"]
    assert table.loc["skin", "best_lower"] > 50 and table.loc["lung", "best_upper"] < 50
    assert table.loc["lung", "sensitivity"] == pytest.approx(
        ((frame.TUMOR == "lung") & (frame.PDL1 >= 40) & (frame.ORR == 1)).sum()
        / ((frame.TUMOR == "lung") & (frame.ORR == 1)).sum()
    )
    again = common_cutoff(frame, "ORR", "PDL1", "TUMOR", 40.0, n_bootstrap=99)
    pd.testing.assert_frame_equal(found.table, again.table)
    assert 0 < found.interaction["p_bootstrap"] <= 1


def test_a_cutoff_outside_the_data_and_a_constant_response():
    with pytest.raises(InputError, match="E_CUTOFF"):
        common_cutoff(marked(), "ORR", "PDL1", "TUMOR", 1000.0)
    frame = marked()
    frame.loc[frame.TUMOR == "skin", "ORR"] = 0
    table = common_cutoff(frame, "ORR", "PDL1", "TUMOR", 45.0, n_bootstrap=19).table.set_index("histology")
    assert np.isnan(table.loc["skin", "best"]) and table.loc["skin", "events"] == 0


def test_each_histology_is_told_what_its_number_can_decide():
    sizes = {"lung": 200, "skin": 17, "rare": 5}
    found = detectable_differences(sizes, "lung", cv=0.3, reference_rate=0.5, margin=0.15).set_index(
        "histology"
    )
    # the published table: 17 patients give 80 % at a CV of 30 % with 200 in the reference
    assert found.loc["skin", "n_equivalent"] == 17 == n_for_equivalence(200, 0.3)
    assert found.loc["rare", "power_equivalent"] == power_equivalent(5, 200, 0.3)
    assert found.loc["skin", "loss"] == minimum_detectable_loss(17, 200, 0.5, 0.15)
    assert found.loc["rare", "ratio_high"] > found.loc["skin", "ratio_high"] > 1.25
    with pytest.raises(InputError, match="E_REFERENCE_ABSENT"):
        detectable_differences(sizes, "brain", cv=0.3, reference_rate=0.5, margin=0.15)


def test_prediction_for_a_histology_not_studied_is_that_of_an_independent_quadrature():
    r, n = ([study[key] for study in RBEST["data"]] for key in ("r", "n"))
    fit = binomial_hierarchical(r, n, mu=Normal(0, 2), tau=HalfNormal(1))
    assert fit.predictive_mean == pytest.approx(RBEST["theta_pred"]["mean"], abs=1e-5)
    for probability, key in ((0.025, "q025"), (0.5, "q50"), (0.975, "q975")):
        # quadrature of 24 × 13 × 17 nodes: rates to 5e-6, tails of the predictive to a few 1e-5
        assert fit.predictive_quantile(probability) == pytest.approx(RBEST["theta_pred"][key], abs=5e-5)
    with pytest.raises(InputError, match="E_RATE"):
        fit.predictive_quantile(1.5)
