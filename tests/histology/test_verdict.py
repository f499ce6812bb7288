"""Every row of the decision table, every qualifier, and what must hold whatever the evidence."""

import copy
import math
from dataclasses import replace

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pkpd.errors import InputError
from pkpd.histology import VERDICT_COLUMNS, Contrast, ObservedDose, decide
from pkpd.results import from_json, to_json

from .made_evidence import DOSES, MARGINS, evidence


def verdict(**options):
    return decide(evidence(**options), MARGINS)


def outcome(**options):
    v = verdict(**options)
    return v.verdict, v.rule, v.dose


# --- row 0


@pytest.mark.parametrize("short", [{"n": 9, "responders": 4}, {"n_response": 9}, {"n_ae": 9}])
def test_row_0_too_few_patients(short):
    v = verdict(**short)
    assert (v.verdict, v.rule) == ("insufficient data", "0")
    assert "not an exclusion" in v.sentence
    assert v.n_needed == 10  # the estimates are those of the reference: the smallest n allowed suffices


def test_row_0_comes_before_exclusion():
    small = verdict(n=9, observed=(ObservedDose(1.0, 9, 0),), ratio_se=0.1)
    assert small.p_response_below_p0 > 0.90
    assert (small.verdict, small.rule) == ("insufficient data", "0")


def test_row_0_aliased_histology_needs_an_anchor():
    v = verdict(aliased_with="formulation")
    assert (v.verdict, v.rule, v.failed) == ("insufficient data", "0", ("identifiable",))
    assert v.n_needed is None
    assert "formulation" in v.sentence
    assert "CONFOUNDED" in v.qualifiers


def test_an_anchor_lets_the_table_speak_and_the_qualifier_stays():
    v = verdict(aliased_with="formulation", anchor="a crossover study", ratio=0.7)
    assert (v.verdict, v.rule) == ("adjust dose", "2a")
    assert v.qualifiers == ("CONFOUNDED",)
    assert "a crossover study" in v.sentence


# --- row 1


def test_row_1_excludes_on_own_data_below_p0():
    v = verdict(responders=2, effect=-0.45)
    assert (v.verdict, v.rule) == ("exclude", "1")
    assert math.isnan(v.dose) and math.isnan(v.response_at_dose)
    assert "2 of 100" in v.sentence
    assert v.n_needed is None


def test_row_1_probability_is_jeffreys_at_the_highest_dose():
    v = verdict(observed=(ObservedDose(0.5, 40, 0), ObservedDose(1.0, 30, 5)))
    assert v.p_response_below_p0 == pytest.approx(stats.beta.cdf(0.20, 5.5, 25.5), abs=1e-12)


def test_row_1_uses_the_highest_tolerated_dose_where_declared():
    v = verdict(observed=(ObservedDose(0.5, 40, 1), ObservedDose(1.0, 30, 20)), tolerated_dose=0.5)
    assert v.p_response_below_p0 == pytest.approx(stats.beta.cdf(0.20, 1.5, 39.5), abs=1e-12)
    assert v.rule == "1"


def test_an_exclusion_does_not_say_that_exposure_is_enough_where_that_is_open():
    enough = decide(evidence(responders=8), MARGINS).sentence
    assert "Low exposure does not explain it" in enough
    undecided = decide(evidence(responders=8, ratio=0.79), MARGINS)
    assert undecided.verdict == "exclude" and 0.1 < undecided.p_exposure_below < 0.9
    assert "does not explain" not in undecided.sentence
    assert f"neither shown nor ruled out (probability below 0.8: {undecided.p_exposure_below:.0%}" in (
        undecided.sentence.replace(" %", "%")
    )


def test_low_response_under_low_exposure_is_not_excluded():
    assert outcome(responders=2, ratio=0.7, effect=-0.4) == ("adjust dose", "2a", 1.5)


# --- row 2a


@pytest.mark.parametrize(("ratio", "dose"), [(0.69, 1.5), (0.76, 1.25), (1.36, 0.75), (1.9, 0.5)])
def test_row_2a_matches_exposure_at_the_nearest_strength(ratio, dose):
    v = verdict(ratio=ratio, ratio_se=0.02)
    assert (v.verdict, v.rule, v.dose, v.dose_matches) == ("adjust dose", "2a", dose, "exposure")


def test_row_2a_refused_upward_when_adverse_events_exceed_the_margin():
    v = verdict(ratio=0.69, ae_slope=0.5)  # +20 points at 1.5
    assert (v.verdict, v.rule) == ("insufficient data", "4")
    assert "refused" in v.sentence


def test_row_2a_stands_when_the_excess_is_possible_but_not_shown():
    v = verdict(ratio=0.69, ae_slope=0.3, forecast_sd=0.10)  # +12 points at 1.5, P(> 10) = 0.59
    assert (v.verdict, v.rule, v.dose) == ("adjust dose", "2a", 1.5)
    assert "safety of dose 1.5 is not shown" in v.sentence


def test_row_2a_is_not_refused_downward():
    assert outcome(ratio=1.36, safety=0.05, ae_at_reference=0.3) == ("adjust dose", "2a", 0.75)


def test_row_2a_needs_a_candidate_that_matches():
    v = verdict(ratio=0.4)  # even 1.5 leaves 0.6
    assert (v.verdict, v.rule) == ("insufficient data", "4")
    assert "no candidate dose brings the exposure within the bounds" in v.sentence.lower()


def test_no_dose_beyond_one_and_a_half_times_the_highest_studied():
    assert outcome(ratio=0.69, highest=0.9) == ("adjust dose", "2a", 1.25)
    assert outcome(ratio=0.69, highest=1.0) == ("adjust dose", "2a", 1.5)


# --- row 2b


def test_row_2b_takes_the_largest_acceptable_dose():
    v = verdict(safety=0.27, ae_slope=0.45)  # +27, +14, −4 points at 1, 0.75, 0.5
    assert (v.verdict, v.rule, v.dose, v.dose_matches) == ("adjust dose", "2b", 0.5, "safety")
    assert v.ae_at_dose == pytest.approx(0.37 + 0.45 * math.log(0.5))
    assert outcome(safety=0.20, ae_slope=0.45) == ("adjust dose", "2b", 0.75)


def test_row_2b_names_the_efficacy_cost_and_a_response_below_p0():
    v = verdict(safety=0.27, ae_slope=0.45, response_slope=0.5)
    assert "35 points of response" in v.sentence
    assert v.response_at_dose == pytest.approx(0.5 + 0.5 * math.log(0.5))
    assert "below the 20 %" in v.sentence


def test_row_2b_without_an_acceptable_dose_is_insufficient():
    v = verdict(safety=0.30, ae_slope=0.05)
    assert (v.verdict, v.rule) == ("insufficient data", "2b")
    assert math.isnan(v.dose)
    assert "no studied dose is acceptable" in v.sentence
    assert v.failed == ("ae_acceptable",)


def test_row_2b_at_or_above_the_reference_dose_is_no_adjustment():
    # more events at equal exposure, yet the histology's own lower exposure keeps them acceptable
    v = verdict(safety=0.15, ae_at_reference=0.0, ratio=0.9)
    assert (v.verdict, v.rule) == ("insufficient data", "4")
    assert v.failed == ("safety_kept",)


def test_row_2_takes_the_smallest_dose_of_those_that_apply():
    v = verdict(ratio=0.69, safety=0.20, ae_at_reference=0.0, ae_slope=0.30, forecast_sd=0.03)
    assert v.rule == "2b" and v.dose == 1.25  # exposure asks for 1.5, safety allows 1.25
    assert outcome(ratio=1.36, safety=0.27, ae_slope=0.45) == ("adjust dose", "2b", 0.5)


# --- row 2c


def test_row_2c_matches_effect_at_the_smallest_restoring_dose():
    v = verdict(effect=-0.25, response_slope=0.6)  # −25, −12 points at 1, 1.25
    assert (v.verdict, v.rule, v.dose, v.dose_matches) == ("adjust dose", "2c", 1.25, "effect")


@pytest.mark.parametrize("evidence_class", ["EC2", "EC3"])
def test_row_2c_needs_randomised_doses(evidence_class):
    v = verdict(effect=-0.25, response_slope=0.6, evidence_class=evidence_class)
    assert (v.verdict, v.rule) == ("insufficient data", "4")
    assert "not randomised" in v.sentence


def test_row_2c_stays_within_the_safety_limit():
    assert outcome(effect=-0.25, response_slope=0.6, ae_slope=0.8) == ("same dose", "3'", 1.0)


# --- rows 3, 3', 4


def test_row_3_same_dose():
    v = verdict()
    assert (v.verdict, v.rule, v.dose, v.dose_matches) == ("same dose", "3", 1.0, "reference dose")
    assert v.qualifiers == ()
    assert v.n_needed is None
    assert min(v.p_exposure_within, v.p_effect_kept, v.p_safety_kept, v.p_total_kept) > 0.99


def test_row_3_says_what_one_dose_rests_on():
    sentence = verdict(evidence_class="EC3", observed=(ObservedDose(1.0, 100, 45),)).sentence
    assert "rests on response rates, not on an exposure-response slope" in sentence


@pytest.mark.parametrize("evidence_class", ["EC1", "EC2", "EC3"])
def test_row_3_prime_keeps_a_histology_that_responds_less(evidence_class):
    v = verdict(effect=-0.20, responders=30, evidence_class=evidence_class)
    assert (v.verdict, v.rule, v.dose) == ("same dose", "3'", 1.0)
    assert "LOWER-EFFECT" in v.qualifiers


def test_row_3_prime_needs_a_response_above_p0():
    assert outcome(effect=-0.20, responders=22)[:2] == ("insufficient data", "4")


@pytest.mark.parametrize(
    ("options", "failed"),
    [
        ({"ratio_se": 0.2}, "exposure_within"),
        ({"safety": 0.09}, "safety_kept"),
        ({"effect": -0.13, "total": 0.0, "responders": 22}, "effect_kept"),
        ({"effect": 0.0, "total": -0.14, "responders": 22}, "total_kept"),
    ],
)
def test_row_4_names_what_failed(options, failed):
    v = verdict(**options)
    assert (v.verdict, v.rule, v.failed) == ("insufficient data", "4", (failed,))
    assert v.dose == 1.0 and "keep the reference dose" in v.sentence


def test_unresolved_difference_is_never_same_dose():
    v = verdict(ratio=1.3, ratio_se=0.2, effect=-0.2, effect_sd=0.3, safety=0.2, safety_sd=0.3)
    assert v.verdict == "insufficient data"


# --- n that would decide


def test_n_needed_agrees_with_the_closed_form():
    # only exposure fails: 1 − 2Φ(−ln 1.25 / se) ≥ 0.90 first holds at se = ln 1.25 / 1.6449
    v = verdict(n=20, ratio_se=0.25, observed=(ObservedDose(1.0, 20, 10),))
    assert v.n_needed == math.ceil(20 * (0.25 / (math.log(1.25) / stats.norm.ppf(0.95))) ** 2)


def test_the_reference_s_own_uncertainty_does_not_shrink():
    few = verdict(n=20, ratio_se=0.25, log_ratio_se_reference=0.10, observed=(ObservedDose(1.0, 20, 10),))
    own = 0.25**2 - 0.10**2
    allowed = (math.log(1.25) / stats.norm.ppf(0.95)) ** 2 - 0.10**2
    assert few.n_needed == math.ceil(20 * own / allowed)
    never = verdict(n=20, ratio_se=0.25, log_ratio_se_reference=0.2, observed=(ObservedDose(1.0, 20, 10),))
    assert never.n_needed is None
    assert "no number of patients" in never.sentence


def test_no_n_decides_when_the_estimate_sits_on_the_bound():
    assert verdict(ratio=0.80, ratio_se=0.05).n_needed is None


def test_n_needed_is_the_first_that_decides():
    made = evidence(n=15, safety=0.05, safety_sd=0.12, observed=(ObservedDose(1.0, 15, 8),), ratio_se=0.15)
    n = decide(made, MARGINS).n_needed
    assert n is not None and n > 15
    assert decide(made.at_size(n), MARGINS).verdict != "insufficient data"
    assert decide(made.at_size(n - 1), MARGINS).verdict == "insufficient data"


# --- qualifiers


@pytest.mark.parametrize(
    ("options", "qualifier"),
    [
        ({"observed": (ObservedDose(1.0, 100, 45),)}, "SINGLE-DOSE"),
        ({"shrinkage": 0.26}, "HIGH-SHRINKAGE"),
        ({"n": 29, "responders": 13}, "SMALL-N"),
        ({"aliased_with": "study", "anchor": "a bridging cohort"}, "CONFOUNDED"),
        ({"studied": (0.3, 0.9)}, "EXTRAPOLATED"),
        ({"ratio": 1.0, "studied": (1.1, 1.9)}, "EXTRAPOLATED"),
        ({"effect": -0.20, "responders": 30}, "LOWER-EFFECT"),
        ({"prior_sensitive": "with 2 times its scale it would be exclude"}, "PRIOR-SENSITIVE"),
        ({"dominated_by": "without breast it would be insufficient data"}, "DOMINATED"),
        ({"assays": ("central", "local")}, "ASSAY-MIXED"),
    ],
)
def test_each_qualifier_alone(options, qualifier):
    assert verdict(**options).qualifiers == (qualifier,)


def test_what_repeated_analyses_found_is_said():
    v = verdict(
        prior_sensitive="with 2 times its scale it would be exclude",
        dominated_by="without breast it would be insufficient data",
        assays=("central", "local"),
    )
    assert "rests on the prior: with 2 times its scale it would be exclude." in v.sentence
    assert "rests on another histology: without breast it would be insufficient data." in v.sentence
    assert "different assays (central, local)" in v.sentence
    assert verdict(assays=("central",)).qualifiers == ()


def test_the_prior_of_the_own_rate_is_a_beta():
    made = evidence(observed=(ObservedDose(1.0, 10, 1),), jeffreys=1.0)
    assert made.p_response_below(0.2) == pytest.approx(stats.beta(2.0, 10.0).cdf(0.2))
    assert evidence(observed=(ObservedDose(1.0, 10, 1),)).p_response_below(0.2) == pytest.approx(
        stats.beta(1.5, 9.5).cdf(0.2)
    )


def test_extrapolation_is_judged_on_exposure_not_dose():
    v = verdict(ratio=0.69, studied=(0.3, 1.2))
    assert v.dose == 1.5 and v.qualifiers == ()  # 1.5 × 0.69 = 1.03 was studied


def test_limits_themselves_carry_no_qualifier():
    assert verdict(n=30, responders=14, shrinkage=0.25).qualifiers == ()


# --- the sentence


def test_sentences_name_doses_with_their_unit():
    declared = replace(MARGINS, dose_unit="mg")
    assert "give 1.5 mg instead of 1 mg" in decide(evidence(ratio=0.69), declared).sentence
    assert "give dose 1.5 instead of dose 1" in decide(evidence(ratio=0.69), MARGINS).sentence


def test_an_undecided_sentence_names_the_difference_that_was_found():
    assert "0.40 times that of lung" in verdict(ratio=0.4).sentence
    assert (
        "15 percentage points more frequent" in verdict(safety=0.15, ae_at_reference=0.0, ratio=0.9).sentence
    )
    assert "25 percentage points lower" in verdict(effect=-0.25, responders=22, evidence_class="EC2").sentence
    assert "neither sameness nor a meaningful difference" in verdict(safety=0.09).sentence


def test_exclusion_prints_where_p0_comes_from():
    declared = replace(MARGINS, p0_source={"gastric": "second-line chemotherapy"})
    assert "second-line chemotherapy" in decide(evidence(responders=2), declared).sentence


# --- the value


def test_row_fills_the_verdict_table():
    row = verdict(n=29, responders=13).row()
    assert tuple(row) == VERDICT_COLUMNS
    assert row["qualifiers"] == "SMALL-N"
    assert math.isnan(row["n_needed"])
    assert pd.DataFrame([row]).loc[0, "verdict"] == "same dose"


def test_json_round_trip():
    made = evidence(n=12, responders=5, ratio_se=0.3, shrinkage=0.1, tolerated_dose=1.0)
    assert from_json(to_json(decide(made, MARGINS))) == decide(made, MARGINS)
    assert from_json(to_json(made)) == made
    assert decide(from_json(to_json(made)), from_json(to_json(MARGINS))) == decide(made, MARGINS)


def test_missing_p0_and_missing_forecast_are_refused():
    with pytest.raises(InputError, match=r"E_MARGIN_P0.*breast"):
        decide(replace(evidence(), histology="breast"), MARGINS)
    with pytest.raises(InputError, match="E_EVIDENCE_DOSE"):
        decide(replace(evidence(), forecasts=()), MARGINS)


def test_impossible_evidence_is_refused():
    for change, code in [
        ({"evidence_class": "EC4"}, "E_EVIDENCE_CLASS"),
        ({"log_ratio": math.nan}, "E_EVIDENCE_RATIO"),
        ({"log_ratio_se": math.nan}, "E_EVIDENCE_RATIO"),
        ({"observed": ()}, "E_EVIDENCE_OBSERVED"),
        ({"observed": (ObservedDose(1.0, 5, 6),)}, "E_EVIDENCE_OBSERVED"),
    ]:
        with pytest.raises(InputError) as caught:
            replace(evidence(), **change)
        assert caught.value.code == code


def test_contrast_counts_and_shrinks():
    c = Contrast.normal(0.1, 0.2, sd_reference=0.12)
    assert c.below(0.1) == pytest.approx(0.5, abs=1e-3)
    assert c.above(0.1 + 0.2 * 1.6449) == pytest.approx(0.05, abs=1e-3)
    assert c.interval(0.90) == pytest.approx((0.1 - 0.329, 0.1 + 0.329), abs=2e-3)
    bigger = c.at_ratio(4.0)
    smaller_sd = math.hypot(0.16 / 2, 0.12)
    assert bigger.above(0.1 + smaller_sd * 1.6449) == pytest.approx(0.05, abs=1e-3)
    half = 1.6449 * smaller_sd
    assert bigger.interval(0.90) == pytest.approx((0.1 - half, 0.1 + half), abs=2e-3)
    assert bigger.estimate == 0.1


# --- whatever the evidence

unit = st.floats(-0.4, 0.4)
made_to_order = st.fixed_dictionaries(
    {
        "n": st.integers(4, 300),
        "ratio": st.floats(0.4, 2.5),
        "ratio_se": st.floats(0.01, 0.5),
        "effect": unit,
        "effect_sd": st.floats(0.005, 0.3),
        "safety": unit,
        "safety_sd": st.floats(0.005, 0.3),
        "response_slope": st.floats(-0.2, 0.8),
        "ae_slope": st.floats(-0.2, 0.8),
        "forecast_sd": st.floats(0.005, 0.3),
        "evidence_class": st.sampled_from(["EC1", "EC2", "EC3"]),
    }
)


def with_responders(options, share):
    n = options["n"]
    return {**options, "responders": round(share * n)}


@settings(deadline=None, max_examples=150)
@given(made_to_order, st.floats(0, 1))
def test_decide_is_a_pure_function(options, share):
    made = evidence(**with_responders(options, share))
    before = copy.deepcopy(made)
    first, second = decide(made, MARGINS), decide(made, MARGINS)
    assert first == second
    assert made == before


@settings(deadline=None, max_examples=200)
@given(made_to_order, st.floats(0, 1))
def test_same_dose_is_always_shown_never_defaulted(options, share):
    v = verdict(**with_responders(options, share))
    if v.verdict == "same dose":
        assert v.p_exposure_within >= 0.90
        assert v.p_safety_kept >= 0.80
        assert (v.p_effect_kept >= 0.80 and v.p_total_kept >= 0.80) or 1 - v.p_response_below_p0 >= 0.90
    if v.verdict == "exclude":
        assert v.n >= 10 and v.p_response_below_p0 >= 0.90
    if v.verdict == "adjust dose":
        assert v.dose in DOSES and v.dose != 1.0
        assert max(v.p_exposure_below, v.p_exposure_above, v.p_safety_lost, v.p_effect_lost) >= 0.90


@settings(deadline=None, max_examples=200)
@given(made_to_order, st.floats(0, 1), st.floats(0, 0.3))
def test_more_adverse_events_never_turn_safety_limited_into_same(options, share, more):
    options = with_responders(options, share)
    options["safety"] = abs(options["safety"]) + 0.12
    before, after = verdict(**options), verdict(**{**options, "safety": options["safety"] + more})
    if before.rule == "2b":
        assert after.verdict != "same dose"
        if after.rule == "2b" and not math.isnan(after.dose):
            assert math.isnan(before.dose) or after.dose <= before.dose


@settings(deadline=None, max_examples=200)
@given(made_to_order, st.floats(0, 1), st.integers(2, 40))
def test_being_small_never_excludes(options, share, times):
    """What is excluded when small is excluded with more patients of the same kind; below 10 nothing is."""
    options = with_responders({**options, "ratio": 1.0, "ratio_se": 0.05}, share)
    small = verdict(**options)
    if small.verdict == "exclude":
        assert options["n"] >= 10
        large = verdict(**{**options, "n": options["n"] * times, "responders": options["responders"] * times})
        assert large.verdict == "exclude"
