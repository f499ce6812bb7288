"""Guards against confounding: aliasing, balance, weights, matching, and the sources of exposure."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pkpd.errors import FitError, InputError
from pkpd.response import (
    aliasing_map,
    covariate_balance,
    effective_sample_size,
    exposure_check,
    exposure_weights,
    fit_logistic,
    inverse_probability_weights,
    matched_pairs,
    weighted_effect,
)
from pkpd.results import from_json, to_json

REFERENCE = os.environ.get("PKPD_REFERENCE")
needs_reference = pytest.mark.skipif(REFERENCE is None, reason="PKPD_REFERENCE is not set")
LALONDE = {
    "age": None,
    "educ": None,
    "race": "black",
    "married": None,
    "nodegree": None,
    "re74": None,
    "re75": None,
}


def lalonde():
    values = json.loads((Path(REFERENCE) / "expected" / "ipw_lalonde.json").read_text())
    return values, pd.DataFrame(values["lalonde"]).rename(columns={"_row": "ID"})


@needs_reference
def test_lalonde_weights_and_effects_are_those_of_matchit_and_survey():
    values, frame = lalonde()
    for estimand, key in (("ATE", "ate"), ("ATT", "att")):
        weights = inverse_probability_weights(frame, "treat", LALONDE, estimand=estimand)
        found = weighted_effect(frame, "re78", "treat", weights)
        theirs = values[key]
        # R's glm stops at a relative change of the deviance of 1e-8, the scores agree to about 1e-7
        assert found.estimate == pytest.approx(theirs["coef"]["treat"], rel=1e-6)
        assert found.intercept == pytest.approx(theirs["coef"]["(Intercept)"], rel=1e-7)
        assert [found.intercept_se, found.se] == pytest.approx(theirs["robust_se"], rel=1e-6)
    scores = inverse_probability_weights(frame, "treat", LALONDE).coefficients
    pairs = {
        "age": "age", "educ": "educ", "race[hispan]": "racehispan", "race[white]": "racewhite",
        "married": "married", "nodegree": "nodegree", "re74": "re74", "re75": "re75",
    }  # fmt: skip
    for ours, key in pairs.items():
        assert scores[ours] == pytest.approx(values["ps_coef"][key], rel=1e-6), ours


@needs_reference
def test_lalonde_balance_and_effective_sample_sizes():
    values, frame = lalonde()
    weights = inverse_probability_weights(frame, "treat", LALONDE, stabilised=False)
    assert weights.effective_n["1"] == pytest.approx(values["ess"]["t"], rel=1e-6)
    assert weights.effective_n["0"] == pytest.approx(values["ess"]["c"], rel=1e-6)
    table = covariate_balance(
        frame, "treat", ["age", "educ", "re74", "re75"], reference=0, weights=weights.weights
    )
    table = table.set_index("covariate")
    # the five reference values: age, educ, re74, re75 and married, whose spread there is that of a number
    order = ["age", "educ", "re74", "re75"]
    np.testing.assert_allclose(table.loc[order, "smd"], values["smd_raw"][:4], rtol=1e-9)
    np.testing.assert_allclose(table.loc[order, "smd_weighted"], values["smd_ate"][:4], rtol=1e-6)


def made(n=400, seed=0):
    rng = np.random.default_rng(seed)
    albumin, old = rng.normal(40, 4, n), rng.random(n) < 0.4
    high = rng.random(n) < expit(0.15 * (albumin - 40) - 0.8 * old)
    outcome = rng.random(n) < expit(0.20 * (albumin - 40) - 0.5 * old - 0.3)
    return pd.DataFrame({"ALB": albumin, "OLD": old, "HIGH": high.astype(int), "Y": outcome.astype(int)})


def test_weights_balance_what_differed_and_remove_the_confounding():
    frame = made(4000)
    crude = weighted_effect(frame, "Y", "HIGH", np.ones(4000), family="binomial")
    weights = inverse_probability_weights(frame, "HIGH", ["ALB", "OLD"])
    weighted = weighted_effect(frame, "Y", "HIGH", weights, family="binomial")
    assert crude.lower > 0.2  # confounded: there is no effect
    assert weighted.lower < 0 < weighted.upper
    balance = weights.balance
    assert not balance["balanced"].any() and balance["balanced_weighted"].all()
    # stabilised weights have mean 1 and the same estimate
    assert weights.weights.mean() == pytest.approx(1, abs=0.02)
    plain = inverse_probability_weights(frame, "HIGH", ["ALB", "OLD"], stabilised=False)
    assert weighted_effect(frame, "Y", "HIGH", plain, family="binomial").estimate == pytest.approx(
        weighted.estimate, rel=1e-8
    )
    assert weights.effective_n["all"] == pytest.approx(
        weights.weights.sum() ** 2 / (weights.weights**2).sum()
    )


def test_unit_weights_are_no_weights():
    frame = made()
    found = weighted_effect(frame, "Y", "HIGH", np.ones(400))
    a, b = frame.loc[frame.HIGH == 1, "Y"], frame.loc[frame.HIGH == 0, "Y"]
    assert found.estimate == pytest.approx(a.mean() - b.mean())
    # HC0 with n/(n-1): the variance of each mean with divisor n
    variance = a.var(ddof=0) / len(a) + b.var(ddof=0) / len(b)
    assert found.se == pytest.approx(math.sqrt(variance * 400 / 399))
    odds = weighted_effect(frame, "Y", "HIGH", np.ones(400), family="binomial")
    assert odds.estimate == pytest.approx(math.log(a.mean() / (1 - a.mean()) * (1 - b.mean()) / b.mean()))
    assert effective_sample_size(np.full(7, 3.0)) == pytest.approx(7)


def test_weights_of_a_continuous_exposure_uncorrelate_it():
    rng = np.random.default_rng(3)
    wt = rng.normal(70, 10, 3000)
    frame = pd.DataFrame({"WT": wt, "AUC": np.exp(0.02 * (wt - 70) + rng.normal(0, 0.3, 3000))})
    weights = exposure_weights(frame, "AUC", ["WT"])
    x, w = np.log(frame["AUC"]), weights.weights.to_numpy()
    before = np.corrcoef(x, wt)[0, 1]
    mx, mw = np.average(x, weights=w), np.average(wt, weights=w)
    after = np.average((x - mx) * (wt - mw), weights=w) / np.sqrt(
        np.average((x - mx) ** 2, weights=w) * np.average((wt - mw) ** 2, weights=w)
    )
    assert before > 0.5 and abs(after) < 0.1
    assert 0 < weights.effective_n["all"] < 3000 and w.mean() == pytest.approx(1, abs=0.1)


def test_pairs_are_those_of_a_plain_loop():
    frame = made(120, seed=5)
    found = matched_pairs(frame, "Y", "HIGH", ["ALB", "OLD"], caliper=0.2)
    score = inverse_probability_weights(frame, "HIGH", ["ALB", "OLD"]).score.to_numpy()
    logit = np.log(score / (1 - score))
    used, pairs = set(), []
    for i in sorted(np.flatnonzero(frame.HIGH == 1), key=lambda i: -logit[i]):
        options = [j for j in np.flatnonzero(frame.HIGH == 0) if j not in used]
        if options:
            j = min(options, key=lambda j: abs(logit[j] - logit[i]))
            if abs(logit[j] - logit[i]) <= 0.2 * logit.std(ddof=1):
                used.add(j)
                pairs.append((i, j))
    assert list(zip(found.pairs["treated"], found.pairs["control"], strict=True)) == pairs
    d = np.array([frame.Y[i] - frame.Y[j] for i, j in pairs], float)
    assert found.difference == pytest.approx(d.mean())
    assert found.se == pytest.approx(d.std(ddof=1) / math.sqrt(len(d)))
    assert found.unmatched == int((frame.HIGH == 1).sum()) - len(pairs)
    before = covariate_balance(frame, "HIGH", ["ALB"], reference=0)["smd"].abs().iloc[0]
    assert abs(found.balance.loc[found.balance.covariate == "ALB", "smd"].iloc[0]) < before


def test_balance_of_proportions_levels_and_missing_values():
    frame = pd.DataFrame(
        {
            "TUMOR": ["lung"] * 4 + ["skin"] * 4,
            "MALE": [1, 1, 0, 0, 1, 1, 1, 0],
            "RACE": ["a", "a", "b", None, "b", "b", "b", "a"],
        }
    )
    table = covariate_balance(frame, "TUMOR", ["MALE", "RACE"], reference="lung")
    male = table.iloc[0]
    assert male["smd"] == pytest.approx((0.75 - 0.5) / math.sqrt((0.75 * 0.25 + 0.25) / 2))
    race = table[table.covariate == "RACE"].set_index("level")
    assert race.loc["b", "mean"] == 0.75 and race.loc["b", "mean_reference"] == pytest.approx(1 / 3)
    assert (race["missing"] == 1).all() and not race["balanced"].any()


def cabozantinib_like():
    """One histology is one study, one dose and one formulation."""
    rows = []
    for tumour, study, dose, form, n in [
        ("renal", "A", 60, "tablet", 30), ("renal", "B", 40, "tablet", 30), ("liver", "B", 60, "tablet", 25),
        ("liver", "A", 40, "tablet", 5), ("medullary", "C", 140, "capsule", 20),
    ]:  # fmt: skip
        rows += [{"TUMOR": tumour, "STUDY": study, "DOSE": dose, "FORM": form}] * n
    return pd.DataFrame(rows)


def test_a_histology_that_is_one_study_dose_and_formulation_is_not_estimable():
    found = aliasing_map(cabozantinib_like(), "TUMOR", ["STUDY", "DOSE", "FORM"], "renal")
    table = found.table.set_index("histology")
    assert not table.loc["medullary", "estimable"] and table.loc["medullary", "vif"] == np.inf
    assert table.loc["medullary", "shares_nothing"] == "STUDY, DOSE, FORM"
    assert table.loc["medullary", "aliased_with"] == "STUDY, DOSE, FORM"
    assert table.loc["liver", "estimable"] and table.loc["liver", "aliased_with"] == ""
    assert found.rank < found.width
    assert found.cells["n"].sum() == 110 and len(found.cells) == 5
    only = aliasing_map(cabozantinib_like(), "TUMOR", ["DOSE"], "renal").cells
    assert only["DOSE"].tolist() == ["40", "60", "140", "40", "60"]
    columns = found.columns.set_index("column")
    assert columns.loc["FORM", "cramer_v"] == pytest.approx(1.0) and columns.loc["FORM", "vif"] == np.inf


def test_inflation_is_one_over_the_unexplained_variance():
    frame = pd.DataFrame(
        {
            "TUMOR": ["lung"] * 40 + ["skin"] * 40,
            "LINE": [1] * 30 + [2] * 10 + [1] * 8 + [2] * 32,
            "AGE": np.r_[np.linspace(40, 70, 40), np.linspace(50, 80, 40)],
        }
    )
    found = aliasing_map(frame, "TUMOR", ["LINE", "AGE"], "lung")
    y = (frame.TUMOR == "skin").to_numpy(float)
    x = np.column_stack([np.ones(80), frame.LINE == 2, frame.AGE])
    residual = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    assert found.table["vif"].iloc[0] == pytest.approx(((y - y.mean()) ** 2).sum() / (residual**2).sum())
    # one histology contrast against one dummy: 1 / (1 - r²)
    r = np.corrcoef(y, frame.LINE)[0, 1]
    by = found.columns.set_index("column")
    assert by.loc["LINE", "vif"] == pytest.approx(1 / (1 - r**2))
    assert by.loc["LINE", "cramer_v"] == pytest.approx(abs(r))
    assert found.rank == found.width == 4 and found.reference == "lung"
    shuffled = aliasing_map(frame.sample(frac=1, random_state=1), "TUMOR", ["LINE", "AGE"], "lung")
    assert shuffled.table["vif"].iloc[0] == pytest.approx(found.table["vif"].iloc[0])


def confounded_trial(seed, n=400, effect=0.0, driven=True):
    """No effect of the drug: frailty raises clearance and lowers response; response lowers later clearance."""
    rng = np.random.default_rng(seed)
    frailty = rng.normal(0, 1, n)
    dose = np.where(np.arange(n) % 2 == 0, 1.0, 2.0)
    log_cl = (0.20 * frailty if driven else 0.0) + rng.normal(0, 0.2, n)
    first = dose * np.exp(-log_cl)
    p = expit(-0.4 - (0.7 * frailty if driven else 0.0) + effect * np.log(first))
    y = (rng.random(n) < p).astype(int)
    steady = first * np.exp((0.35 * y if driven else 0.0) + rng.normal(0, 0.05, n))
    return pd.DataFrame({"DOSE": dose, "AUC1": first, "AUCSS": steady, "ORR": y})


def check(frame, **options):
    settings = {"dose": "DOSE", "first": "AUC1", "steady": "AUCSS", "randomised": True, **options}
    return exposure_check(frame, "ORR", **settings)


def test_response_driven_clearance_is_not_reported_as_causal():
    steady_warned = clearance_warned = causal = 0
    for seed in range(20):
        found = check(confounded_trial(seed))
        ratio = found.table.set_index("source")["odds_ratio"]
        assert ratio["steady state"] > ratio["first cycle"]
        steady_warned += any(w.startswith("W_STEADY_STATE_CONFOUNDED") for w in found.warnings)
        clearance_warned += any(w.startswith("W_CLEARANCE_CONFOUNDED") for w in found.warnings)
        causal += found.effect_of_dose
        if not found.effect_of_dose:
            assert "not shown to be causal" in found.statement
    # the dose contrast has its level of 5 %: four or more of 20 have a probability of 0.016; the test of one slope has a
    # power of about 90 % at this size: fewer than 14 of 20 have a probability of 0.002
    assert steady_warned == 20 and clearance_warned >= 14 and causal <= 3


def test_an_effect_of_the_drug_is_found_in_dose_and_clearance_alike():
    effects, warned = 0, 0
    for seed in range(20):
        found = check(confounded_trial(seed, effect=1.5, driven=False))
        effects += found.effect_of_dose
        warned += len(found.warnings)
        by = found.table.set_index("source")
        assert by.loc["dose", "lower"] < 2**1.5 * 1.6 and by.loc["first cycle", "upper"] > 2**1.5 / 1.6
    assert effects == 20 and warned <= 3


def test_only_randomised_doses_are_called_an_effect():
    frame = confounded_trial(1, effect=1.5, driven=False)
    observed = check(frame, randomised=False)
    assert observed.evidence_class == "EC2" and not observed.effect_of_dose
    assert "association" in observed.statement and "causal" not in observed.statement
    single = check(frame[frame.DOSE == 2.0].reset_index(drop=True))
    assert single.evidence_class == "EC3" and math.isnan(single.p_discordant)
    assert set(single.table["source"]) == {"first cycle", "steady state"}
    assert "one dose" in single.statement
    # a dose per histology tells nothing of dose, though there are two of them in the trial
    apart = frame.assign(TUMOR=np.where(frame.DOSE == 2.0, "lung", "skin"))
    found = check(apart, histology="TUMOR")
    assert found.evidence_class == "EC3" and not found.effect_of_dose
    assert set(found.table["source"]) == {"first cycle", "steady state"} and "association" in found.statement
    assert fit_logistic(apart, "ORR", "AUC1", "TUMOR", dose="DOSE", randomised=True).evidence.startswith(
        "EC3"
    )


def test_the_check_adjusts_for_histology_and_covariates_and_goes_through_json():
    frame = confounded_trial(2).assign(TUMOR=np.repeat(["a", "b", "c", "d"], 100))
    frame["ALB"] = np.random.default_rng(0).normal(40, 4, 400)
    plain, adjusted = check(frame), check(frame, histology="TUMOR", covariates=["ALB"])
    assert not np.allclose(plain.table["odds_ratio"], adjusted.table["odds_ratio"], rtol=1e-6)
    back = from_json(to_json(adjusted))
    pd.testing.assert_frame_equal(back.table, adjusted.table)
    assert back.statement == adjusted.statement


@pytest.mark.parametrize(
    ("call", "error", "code"),
    [
        (lambda f: inverse_probability_weights(f, "HIGH", ["ALB"], estimand="ATC"), InputError, "E_OPTION"),
        (lambda f: inverse_probability_weights(f.assign(HIGH=1), "HIGH", ["ALB"]), InputError, "E_OPTION"),
        (
            lambda f: inverse_probability_weights(f.assign(SAME=f.HIGH * 2.0), "HIGH", ["SAME"]),
            FitError,
            "E_SEPARATION",
        ),
        (lambda f: weighted_effect(f, "Y", "HIGH", np.ones(3)), InputError, "E_WEIGHT"),
        (lambda f: weighted_effect(f, "Y", "HIGH", -np.ones(400)), InputError, "E_WEIGHT"),
        (lambda f: weighted_effect(f, "Y", "HIGH", np.ones(400), family="poisson"), InputError, "E_OPTION"),
        (
            lambda f: weighted_effect(f.assign(Y=f.HIGH), "Y", "HIGH", np.ones(400), family="binomial"),
            FitError,
            "E_NOT_CONVERGED",
        ),
        (lambda f: matched_pairs(f, "Y", "HIGH", ["ALB"], caliper=0), InputError, "E_OPTION"),
        (lambda f: matched_pairs(f, "Y", "HIGH", ["ALB"], caliper=1e-12), InputError, "E_MATCHES"),
        (lambda f: covariate_balance(f, "HIGH", ["ALB"], reference=7), InputError, "E_REFERENCE_ABSENT"),
        (lambda f: covariate_balance(f, "HIGH", ["XX"]), InputError, "E_COLUMN_MISSING"),
        (lambda f: aliasing_map(f, "HIGH", []), InputError, "E_OPTION"),
        (lambda f: aliasing_map(f, "HIGH", ["OLD"], reference="x"), InputError, "E_REFERENCE_ABSENT"),
        (
            lambda f: aliasing_map(f.assign(OLD=None), "HIGH", ["OLD"]),
            InputError,
            "E_COVARIATE_MISSING",
        ),
        (
            lambda f: exposure_weights(f.assign(E=np.exp(f.ALB)), "E", ["ALB"]),
            InputError,
            "E_OPTION",
        ),
    ],
)
def test_bad_input_is_refused(call, error, code):
    with pytest.raises(error) as caught:
        call(made())
    assert caught.value.code == code
