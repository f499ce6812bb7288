import math
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from pkpd.errors import InputError
from pkpd.histology import decide, gather
from pkpd.results import from_json, to_json

from .pantumor import COLUMNS, EXPECTED, MARGINS, evidence_of, exposure_ratios, fits, simulate


@cache
def trial():
    frame = simulate(1)
    return frame, *fits(frame)


@cache
def gathered():
    return evidence_of(trial()[0], seed=5, n_draws=4000)


def logit_at(fit, histology, exposure, coefficients=None):
    """Intercept + slope × ln(exposure / reference), written out from the names of the coefficients."""
    names = list(fit.coefficients.index)
    c = fit.coefficients.to_numpy() if coefficients is None else coefficients
    a, b = names.index(f"intercept[{histology}]"), names.index(f"slope[{histology}]")
    return c[..., a] + c[..., b] * math.log(exposure / fit.reference_exposure)


def reference_exposure(frame):
    return math.exp(np.log(frame.loc[frame["TUMOR"] == "reference", "AUCREF"]).mean())


def test_one_evidence_per_histology_but_the_reference():
    assert set(gathered()) == set(EXPECTED)


@pytest.mark.parametrize("histology", ["toxic", "resistant", "clearance"])
def test_equal_exposure_contrasts_written_out(histology):
    frame, efficacy, safety = trial()
    at = reference_exposure(frame)
    for contrast, fit in ((gathered()[histology].effect, efficacy), (gathered()[histology].safety, safety)):
        own, home = (expit(logit_at(fit, h, at)) for h in (histology, "reference"))
        assert contrast.estimate == pytest.approx(own - home, abs=1e-12)
        # delta method for the standard error; the draws are not linear in the coefficients
        names = list(fit.coefficients.index)
        gradient = np.zeros(len(names))
        gradient[names.index(f"intercept[{histology}]")] = own * (1 - own)
        gradient[names.index("intercept[reference]")] = -home * (1 - home)
        se = math.sqrt(gradient @ fit.covariance.to_numpy() @ gradient)
        assert contrast.values.std() == pytest.approx(se, rel=0.25)
        assert contrast.sd_own**2 + contrast.sd_reference**2 == pytest.approx(contrast.values.var(), rel=1e-9)


def test_forecasts_average_over_the_histology_s_own_subjects():
    frame, efficacy, safety = trial()
    own = frame.loc[frame["TUMOR"] == "clearance", "AUCREF"]
    home = frame.loc[frame["TUMOR"] == "reference", "AUCREF"]
    evidence = gathered()["clearance"]
    for forecast in evidence.forecasts:
        exposures = own * forecast.dose  # the reference dose is 1
        response = np.mean([expit(logit_at(efficacy, "clearance", e)) for e in exposures])
        ae = np.mean([expit(logit_at(safety, "clearance", e)) for e in exposures])
        baseline = np.mean([expit(logit_at(efficacy, "reference", e)) for e in home])
        assert forecast.response == pytest.approx(response, abs=1e-12)
        assert forecast.ae == pytest.approx(ae, abs=1e-12)
        assert forecast.response_difference.estimate == pytest.approx(response - baseline, abs=1e-12)
        assert forecast.exposure == pytest.approx(math.exp(np.log(exposures).mean()))
    assert evidence.total == evidence.forecast(1.0).response_difference


def test_draws_of_a_forecast_written_out():
    frame, efficacy, _ = trial()
    seed = int(np.random.SeedSequence(5).generate_state(2)[0])
    draws = efficacy.draws(4000, seed)
    own = frame.loc[frame["TUMOR"] == "rare", "AUCREF"]
    home = frame.loc[frame["TUMOR"] == "reference", "AUCREF"]

    def mean(histology, exposures):
        return np.mean([expit(logit_at(efficacy, histology, e, draws)) for e in exposures], axis=0)

    np.testing.assert_allclose(
        gathered()["rare"].forecast(0.75).response_difference.values,
        np.sort(mean("rare", own * 0.75) - mean("reference", home)),
        atol=1e-12,
    )


def test_own_data_counts_and_classes():
    frame, *_ = trial()
    for histology, evidence in gathered().items():
        own = frame[frame["TUMOR"] == histology]
        assert [o.dose for o in evidence.observed] == [0.5, 1.0]
        top = own[own["DOSE"] == 1.0]
        assert (evidence.own_data().n, evidence.own_data().responders) == (len(top), top["ORR"].sum())
        assert (evidence.own_data().n_ae, evidence.own_data().events) == (len(top), top["AE"].sum())
        assert (evidence.n_pk, evidence.n_response, evidence.n_ae) == (len(own),) * 3
        assert evidence.evidence_class == "EC1"
        assert evidence.highest_studied_dose == 1.0
    low, high = gathered()["same"].studied_exposure
    assert (frame["AUC"] < low).mean() == pytest.approx(0.05, abs=1e-3)
    assert (frame["AUC"] > high).mean() == pytest.approx(0.05, abs=1e-3)


def test_the_exposure_ratio_and_the_part_of_the_reference():
    ratios = exposure_ratios(trial()[0]).set_index("histology")
    evidence = gathered()["clearance"]
    assert evidence.log_ratio == ratios.loc["clearance", "log_ratio"]
    # the standard error was made from one CV: the split by 1/n is exact
    omega2 = ratios.loc["clearance", "log_ratio_se"] ** 2 / (1 / 130 + 1 / 400)
    assert evidence.log_ratio_se_reference == pytest.approx(math.sqrt(omega2 / 400))


def call(frame=None, ratios=None, **options):
    original, efficacy, safety = trial()
    frame = original if frame is None else frame
    ratios = exposure_ratios(original) if ratios is None else ratios
    settings = {**COLUMNS, "n_draws": 200, **options}
    return gather(frame, efficacy, safety, ratios, MARGINS, **settings)


def test_same_seed_same_evidence_other_seed_other_draws():
    assert call(seed=3)["same"].effect == call(seed=3)["same"].effect
    assert call(seed=3)["same"].effect != call(seed=4)["same"].effect


def test_row_order_changes_nothing_that_matters():
    frame, *_ = trial()
    a, b = call(), call(frame.sample(frac=1, random_state=0))
    for histology in EXPECTED:
        assert a[histology].effect == b[histology].effect
        assert a[histology].observed == b[histology].observed
        # sums over subjects in another order differ by rounding
        np.testing.assert_allclose(a[histology].total.values, b[histology].total.values, rtol=0, atol=1e-12)


def test_doses_that_were_not_randomised_and_single_doses():
    assert call()["same"].evidence_class == "EC2"
    frame, *_ = trial()
    one_dose = frame[(frame["TUMOR"] != "toxic") | (frame["DOSE"] == 1.0)]
    assert call(one_dose, randomised=True)["toxic"].evidence_class == "EC3"
    assert call(one_dose, randomised=True)["same"].evidence_class == "EC1"


def test_aliasing_is_found_in_doses_and_named_columns():
    frame = trial()[0].assign(FORM=lambda f: np.where(f["TUMOR"] == "toxic", "capsule", "tablet"))
    frame.loc[frame["TUMOR"] == "rare", "DOSE"] = 2.0
    found = call(frame, aliases=["FORM"], anchors={"toxic": "relative bioavailability"})
    assert (found["toxic"].aliased_with, found["toxic"].anchor) == ("FORM", "relative bioavailability")
    assert (found["rare"].aliased_with, found["rare"].anchor) == ("dose", "")
    assert found["same"].aliased_with == ""


def test_endpoints_may_be_missing_and_shrinkage_may_be_per_histology():
    frame = trial()[0].astype({"ORR": float})
    toxic = frame.index[frame["TUMOR"] == "toxic"]
    frame.loc[toxic[:40], "ORR"] = math.nan
    found = call(frame, shrinkage={"toxic": 0.3}, tolerated_doses={"toxic": 0.5})
    assert (found["toxic"].n_pk, found["toxic"].n_response, found["toxic"].n_ae) == (180, 140, 180)
    assert found["toxic"].shrinkage == 0.3 and math.isnan(found["same"].shrinkage)
    assert found["toxic"].own_data().dose == 0.5
    assert call(shrinkage=0.1)["same"].shrinkage == 0.1


def test_histology_without_any_response_is_row_0():
    frame = trial()[0].astype({"ORR": float})
    frame.loc[frame["TUMOR"] == "toxic", "ORR"] = math.nan
    efficacy = fits(frame.dropna(subset="ORR"))[0]
    found = gather(frame, efficacy, trial()[2], exposure_ratios(frame), MARGINS, **COLUMNS, n_draws=200)[
        "toxic"
    ]
    assert found.n_response == 0 and math.isnan(found.effect.above(0.0))
    assert found.safety.above(0.10) > 0.9
    verdict = decide(found, MARGINS)
    assert (verdict.verdict, verdict.rule, verdict.n_needed) == ("insufficient data", "0", None)
    assert math.isnan(verdict.p_effect_kept) and math.isnan(verdict.response_at_dose)


def test_json_round_trip():
    evidence = call(shrinkage=0.1, tolerated_doses={"rare": 1.0})["rare"]
    assert from_json(to_json(evidence)) == evidence


def changed(column, value, row=3):
    frame = trial()[0].astype({"TUMOR": object, column: object})
    frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda: call(trial()[0].drop(columns="AUC")), "E_COLUMN_MISSING"),
        (lambda: call(changed("AUC", None)), "E_EXPOSURE_MISSING"),
        (lambda: call(changed("AUCREF", -1.0)), "E_EXPOSURE_NOT_POSITIVE"),
        (lambda: call(changed("DOSE", 0.0)), "E_DOSE_MISSING"),
        (lambda: call(changed("ORR", 2)), "E_ENDPOINT_NOT_BINARY"),
        (lambda: call(changed("AE", "yes")), "E_ENDPOINT_NOT_BINARY"),
        (lambda: call(changed("TUMOR", None)), "E_HISTOLOGY_MISSING"),
        (lambda: call(changed("ID", 1)), "E_SUBJECT_DUPLICATE"),
        (lambda: call(reference="breast"), "E_REFERENCE_ABSENT"),
        (lambda: call(ratios=exposure_ratios(trial()[0]).query("histology != 'rare'")), "E_RATIO_MISSING"),
        (lambda: call(ratios=pd.DataFrame({"histology": ["rare"]})), "E_COLUMN_MISSING"),
        (lambda: call(anchors={"breast": "x"}), "E_HISTOLOGY_UNKNOWN"),
        (lambda: call(n_draws=10), "E_DRAWS"),
    ],
)
def test_unusable_input_is_refused(make, code):
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.code == code
    assert caught.value.remedy
