from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_logistic
from pkpd.response.firth import _expit, _penalised
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives

REFERENCE = os.environ.get("PKPD_REFERENCE")
needs_reference = pytest.mark.skipif(REFERENCE is None, reason="PKPD_REFERENCE is not set")

SEPARATED = pd.DataFrame({"auc": range(1, 9), "y": [0, 0, 0, 0, 1, 1, 1, 1]})
# logistf 1.26.1 on SEPARATED
SEPARATED_COEF = [-4.647349769978, 1.032744393329]
SEPARATED_LOWER = [-26.094247310584, 0.1341405625628]
SEPARATED_UPPER = [-0.330222913805, 5.746496142259]
SEPARATED_P = [0.02990993814818, 0.0166236112039]


def expected(name):
    return json.loads((Path(REFERENCE) / "expected" / name).read_text())


def trial(seed=3, sizes=(60, 45, 50), levels=("lung", "gastric", "breast")):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(levels[: len(sizes)], sizes)
    auc = rng.lognormal(np.log(100), 0.4, len(tumour))
    shift = np.repeat(np.linspace(-0.4, 0.6, len(sizes)), sizes)
    logit = shift + 1.8 * np.log(auc / 100)
    frame = pd.DataFrame({"ID": np.arange(len(tumour)) + 1, "TUMOR": tumour, "AUC": auc})
    frame["ORR"] = (rng.random(len(tumour)) < 1 / (1 + np.exp(-logit))).astype(int)
    frame["AGE"] = rng.normal(60, 10, len(tumour))
    frame["SEX"] = rng.choice(["F", "M"], len(tumour), p=[0.3, 0.7])
    return frame


def twin(x, y, penalised):
    """Maximum by a general optimiser on the objective written out: the obvious twin of the scoring."""

    def negative(b):
        eta = x @ b
        p = 1 / (1 + np.exp(-eta))
        value = np.sum(y * np.log(p) + (1 - y) * np.log1p(-p))
        if penalised:
            value += 0.5 * np.linalg.slogdet(x.T @ (x * (p * (1 - p))[:, None]))[1]
        return -value

    found = minimize(negative, np.zeros(x.shape[1]), method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    return found.x, -found.fun


def test_separated_data_have_the_estimates_intervals_and_tests_of_logistf():
    fit = fit_logistic(SEPARATED, "y", "auc")
    assert fit.firth and fit.converged
    # logistf printed 13 digits of an iteration stopped at 1e-8 in the likelihood's gradient
    np.testing.assert_allclose(fit.coefficients, SEPARATED_COEF, rtol=1e-9)
    assert fit.penalised_log_likelihood == pytest.approx(-1.155075209365, abs=1e-10)
    intervals = fit.profile_intervals()
    np.testing.assert_allclose(intervals["lower"], SEPARATED_LOWER, rtol=1e-8)
    np.testing.assert_allclose(intervals["upper"], SEPARATED_UPPER, rtol=1e-8)
    p = [fit.likelihood_ratio(name).p_value for name in fit.coefficients.index]
    np.testing.assert_allclose(p, SEPARATED_P, rtol=1e-9)


@needs_reference
def test_sex2_has_the_estimates_of_logistf_and_the_standard_errors_of_brglm2():
    values = expected("firth_sex2.json")
    names = ["age", "oc", "vic", "vicl", "vis", "dia"]
    fit = fit_logistic(
        pd.DataFrame(values["data"]), "case", None, slopes="none", covariates=names, firth=True
    )
    np.testing.assert_allclose(fit.coefficients[names], values["coef"][1:], rtol=1e-10)
    # our intercept is at the mean covariates
    means = np.array([fit.regressors.covariate_means[n] for n in names])
    at_zero = np.r_[1.0, -means]
    np.testing.assert_allclose(at_zero @ fit.coefficients, values["coef"][0], rtol=1e-9)
    se_at_zero = np.sqrt(at_zero @ fit.covariance.to_numpy() @ at_zero)
    np.testing.assert_allclose([se_at_zero, *fit.standard_errors[names]], values["brglm2_se"], rtol=1e-9)
    assert fit.penalised_log_likelihood == pytest.approx(values["loglik"][0], abs=1e-9)
    for i, name in enumerate(names, start=1):
        assert fit.likelihood_ratio(name).p_value == pytest.approx(values["p_plr"][i], rel=1e-8)
    lower, upper = fit.profile_interval("dia")
    # logistf stops its profile when the likelihood is within 1e-5
    assert (lower, upper) == pytest.approx((values["ci_lower"][6], values["ci_upper"][6]), rel=1e-6)
    nested = fit.likelihood_ratio(["oc", "vic"])
    assert nested.statistic == pytest.approx(28.457557121171, abs=1e-8)
    assert nested.df == 2


@needs_reference
def test_exposure_response_of_published_samples_is_that_of_glm():
    values = expected("emax_logit.json")
    binary = pd.DataFrame(values["binary"])
    fit = fit_logistic(binary, "y", "conc", firth=False)
    # glm stops when the deviance changes by less than 1e-8 of itself: about 1e-8 in coefficients
    np.testing.assert_allclose(
        fit.coefficients, list(values["binary_logit_linear"]["coef"].values()), rtol=1e-7
    )
    assert fit.log_likelihood == pytest.approx(values["binary_logit_linear"]["loglik"], abs=1e-9)
    events = pd.DataFrame(values["bayesertools_d_sim_binom_cov"])
    reference = {"BAGE_10": None, "RACE": "Asian", "VISC": "No", "BHBA1C_5": None}
    for kind, glm in values["bayesertools_glm"].items():
        frame = events[events["AETYPE"] == kind]
        alone = fit_logistic(frame, "AEFLAG", "AUCss_1000")
        assert not alone.firth
        np.testing.assert_allclose(alone.coefficients, list(glm["auc"]["coef"].values()), rtol=1e-7)
        # glm's standard errors are those of the iteration before the last: 1e-8 in deviance is 1e-4 here
        np.testing.assert_allclose(alone.standard_errors, list(glm["auc"]["se"].values()), rtol=2e-4)
        full = fit_logistic(frame, "AEFLAG", "AUCss_1000", covariates=reference)
        ours = full.coefficients.rename(
            {"slope": "AUCss_1000", "RACE[Black]": "RACEBlack", "RACE[White]": "RACEWhite"}
        )
        ours = ours.rename({"VISC[Yes]": "VISCYes"}).drop("intercept")
        theirs = pd.Series(glm["full"]["coef"]).drop("(Intercept)")
        np.testing.assert_allclose(ours[theirs.index], theirs, rtol=1e-6)
        assert full.log_likelihood == pytest.approx(glm["full"]["loglik"], abs=1e-8)


@pytest.mark.parametrize("firth", [True, False])
@pytest.mark.parametrize("shape", ["linear", "log"])
@pytest.mark.parametrize("slopes", ["separate", "common"])
def test_estimates_are_where_a_general_optimiser_finds_the_maximum(firth, shape, slopes):
    frame = trial()
    frame["AUC"] /= 100  # columns near 1, for the twin's sake
    fit = fit_logistic(
        frame, "ORR", "AUC", "TUMOR", shape=shape, slopes=slopes, covariates=["SEX"], firth=firth
    )
    rows = fit.design(frame["TUMOR"], frame["AUC"], frame[["SEX"]])
    best, value = twin(rows, frame["ORR"].to_numpy(), firth)
    # BFGS with differences of the objective: about the square root of rounding
    np.testing.assert_allclose(fit.coefficients, best, atol=2e-5)
    ours = fit.penalised_log_likelihood if firth else fit.log_likelihood
    assert ours == pytest.approx(value, abs=1e-8)
    assert ours >= value - 1e-10


def test_names_and_meaning_of_the_parameters():
    frame = trial()
    fit = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log", covariates=["AGE", "SEX"])
    assert list(fit.coefficients.index) == [
        "intercept[breast]", "intercept[gastric]", "intercept[lung]",
        "slope[breast]", "slope[gastric]", "slope[lung]", "AGE", "SEX[F]",
    ]  # fmt: skip
    assert fit.regressors.covariate_levels["SEX"][0] == "M"  # the most frequent level is the reference
    assert fit.reference_exposure == pytest.approx(np.exp(np.log(frame["AUC"]).mean()), rel=1e-12)
    at_reference = fit.probability("lung", fit.reference_exposure)
    assert np.log(at_reference / (1 - at_reference))[0] == pytest.approx(
        fit.coefficients["intercept[lung]"], abs=1e-12
    )
    one_log_up = fit.logit("lung", fit.reference_exposure * np.e)[0]
    assert one_log_up - fit.coefficients["intercept[lung]"] == pytest.approx(
        fit.coefficients["slope[lung]"], abs=1e-12
    )
    older = (
        fit.logit("lung", 100, covariates={"AGE": 70})[0] - fit.logit("lung", 100, covariates={"AGE": 69})[0]
    )
    assert older == pytest.approx(fit.coefficients["AGE"], abs=1e-12)
    common = fit_logistic(frame, "ORR", "AUC", "TUMOR", slopes="common", intercepts="common")
    assert list(common.coefficients.index) == ["intercept", "slope"]
    none = fit_logistic(frame, "ORR", None, "TUMOR", slopes="none", firth=False)
    rate = frame.groupby("TUMOR")["ORR"].mean()
    np.testing.assert_allclose(none.coefficients, np.log(rate / (1 - rate)), rtol=1e-9)


def test_reference_exposure_moves_intercepts_only():
    frame = trial()
    low = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log", reference_exposure=50)
    high = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log", reference_exposure=150)
    slopes = [n for n in low.coefficients.index if n.startswith("slope")]
    np.testing.assert_allclose(low.coefficients[slopes], high.coefficients[slopes], rtol=1e-8)
    np.testing.assert_allclose(
        low.probability("lung", [40, 300]), high.probability("lung", [40, 300]), rtol=1e-8
    )


def test_draws_are_keyed_and_have_the_estimated_moments():
    fit = fit_logistic(trial(), "ORR", "AUC", "TUMOR", shape="log")
    many = fit.draws(20_000, seed=7)
    np.testing.assert_array_equal(many, fit.draws(20_000, seed=7))
    assert not np.array_equal(many[:5], fit.draws(5, seed=8))
    se = fit.standard_errors.to_numpy()
    # 5 standard errors of a mean of 20 000
    np.testing.assert_array_less(np.abs(many.mean(axis=0) - fit.coefficients) / se, 5 / np.sqrt(20_000))
    np.testing.assert_allclose(
        np.cov(many.T) / np.outer(se, se), fit.covariance / np.outer(se, se), atol=0.04
    )
    assert fit.probability("lung", [80.0, 100.0, 120.0], many[:11]).shape == (11, 3)
    with pytest.raises(InputError, match="E_COEFFICIENTS_SHAPE"):
        fit.probability("lung", 80.0, many[:, :2])


def test_curve_interval_is_the_delta_method_and_narrows_with_level():
    fit = fit_logistic(trial(), "ORR", "AUC", "TUMOR", shape="log")
    curve = fit.curve("gastric", [60.0, 100.0, 150.0])
    assert list(curve.columns) == ["histology", "exposure", "probability", "lower", "upper"]
    logits = fit.logit("gastric", [60.0, 100.0, 150.0], fit.draws(40_000, seed=1))
    quantiles = np.quantile(logits, [0.05, 0.95], axis=0)
    to_logit = lambda p: np.log(p / (1 - p))  # noqa: E731
    # the linear predictor is normal, so simulated quantiles agree to Monte-Carlo error (4 of their SEs)
    spread = np.std(logits, axis=0)
    assert np.all(np.abs(to_logit(curve["lower"]) - quantiles[0]) < 4 * spread * 2.1 / np.sqrt(40_000))
    assert np.all(np.abs(to_logit(curve["upper"]) - quantiles[1]) < 4 * spread * 2.1 / np.sqrt(40_000))
    narrow = fit.curve("gastric", [60.0, 100.0, 150.0], level=0.5)
    assert np.all(narrow["upper"] < curve["upper"]) and np.all(narrow["lower"] > curve["lower"])


def test_profile_interval_ends_where_the_likelihood_has_fallen_by_the_quantile():
    frame = trial(sizes=(14, 40, 50))
    fit = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log", slopes="common")
    for name in ("slope", "intercept[lung]"):
        for end in fit.profile_interval(name, 0.90):
            test = fit.likelihood_ratio(name, value=end)
            assert test.p_value == pytest.approx(0.10, abs=1e-7)


@pytest.mark.parametrize("weight", [0.5, 1.0, 2.0])
def test_the_weight_of_the_penalty_is_that_of_a_beta_prior(weight):
    # one proportion: ½ log n p (1 − p), times w, is the logarithm of Beta(w/2, w/2) up to the Jacobian of the logit
    frame = pd.DataFrame({"Y": [1] * 3 + [0] * 17})
    fit = fit_logistic(frame, "Y", None, slopes="none", firth=True, penalty=weight)
    assert _expit(fit.coefficients["intercept"]) == pytest.approx((3 + weight / 2) / (20 + weight), rel=1e-9)
    p = _expit(fit.coefficients["intercept"])
    expected = 3 * np.log(p) + 17 * np.log(1 - p) + weight * 0.5 * np.log(20 * p * (1 - p))
    assert fit.penalised_log_likelihood == pytest.approx(expected)
    low, high = fit.profile_interval("intercept", 0.90)
    for end in (low, high):
        assert fit.likelihood_ratio("intercept", value=end).p_value == pytest.approx(0.10, abs=1e-7)


def test_auto_takes_firth_only_where_it_is_needed():
    plenty = trial(sizes=(80, 80, 80))
    assert not fit_logistic(plenty, "ORR", "AUC", "TUMOR", shape="log").firth
    rare = pd.concat(
        [plenty, trial(seed=5, sizes=(6,), levels=("rare",)).assign(ID=lambda d: d["ID"] + 1000)]
    )
    fit = fit_logistic(rare, "ORR", "AUC", "TUMOR", shape="log")
    assert fit.firth and "rare" in fit.firth_reason
    assert "rare" in fit.summary()
    # 12 + 12 subjects with a clean cut: enough events, yet separated
    cut = pd.DataFrame({"AUC": np.arange(1.0, 25.0), "ORR": np.repeat([0, 1], 12)})
    fit = fit_logistic(cut, "ORR", "AUC")
    assert fit.firth and "separate" in fit.firth_reason
    assert np.isfinite(fit.coefficients).all()


def test_separation_is_an_error_that_names_the_histologies_when_firth_is_refused():
    frame = trial(sizes=(40, 40, 40))
    gastric = frame["TUMOR"] == "gastric"
    frame.loc[gastric, "ORR"] = (frame.loc[gastric, "AUC"] > frame.loc[gastric, "AUC"].median()).astype(int)
    with pytest.raises(
        FitError, match=r"E_SEPARATION.*histology gastric: intercept\[gastric\], slope\[gastric\]"
    ):
        fit_logistic(frame, "ORR", "AUC", "TUMOR", firth=False)
    frame.loc[gastric, "ORR"] = 0
    with pytest.raises(FitError, match=r"E_SEPARATION.*histology gastric: intercept\[gastric\] have"):
        fit_logistic(frame, "ORR", "AUC", "TUMOR", slopes="common", firth=False)


def test_a_constant_endpoint_is_fitted_with_a_note():
    frame = trial().assign(ORR=0)
    with pytest.warns(PkpdWarning, match="W_ENDPOINT_CONSTANT"):
        fit = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log")
    assert fit.firth and fit.converged and fit.warnings[0].startswith("W_ENDPOINT_CONSTANT")
    # without exposure Firth's estimate is (s + 1/2) / (n + 1)
    with pytest.warns(PkpdWarning, match="W_ENDPOINT_CONSTANT"):
        alone = fit_logistic(frame, "ORR", None, "TUMOR", slopes="none")
    np.testing.assert_allclose(
        [alone.probability(k, None)[0] for k in alone.histologies], 0.5 / (alone.counts["n"] + 1), rtol=1e-9
    )


def bad(**change):
    frame = trial()
    for column, (row, value) in change.items():
        frame[column] = frame[column].astype(object)
        frame.loc[row, column] = value
    return frame


@pytest.mark.parametrize(
    ("frame", "arguments", "message"),
    [
        (trial().iloc[:0], {}, "E_FRAME_EMPTY"),
        ([1, 2], {}, "E_FRAME_TYPE"),
        (trial().drop(columns="ORR"), {}, "E_COLUMN_MISSING.*'ORR'.*AUC"),
        (trial().drop(columns="AUC"), {}, "E_COLUMN_MISSING.*'AUC'"),
        (trial().drop(columns="TUMOR"), {}, "E_COLUMN_MISSING.*'TUMOR'"),
        (bad(ORR=(4, 2)), {}, r"E_ENDPOINT_NOT_BINARY.*ID 5 \(first value: 2\)"),
        (bad(ORR=(4, "yes")), {}, r"E_ENDPOINT_NOT_BINARY.*ID 5 \(first value: 'yes'\)"),
        (bad(ORR=(4, None)), {}, "E_ENDPOINT_MISSING.*ID 5"),
        (bad(AUC=(6, np.nan)), {}, "E_EXPOSURE_MISSING.*AUC.*ID 7"),
        (bad(AUC=(6, "high")), {}, "E_EXPOSURE_NOT_NUMERIC.*ID 7.*'high'"),
        (bad(AUC=(6, 0.0)), {"shape": "log"}, "E_EXPOSURE_NOT_POSITIVE.*ID 7"),
        (bad(TUMOR=(2, None)), {}, "E_HISTOLOGY_MISSING.*ID 3"),
        (bad(AGE=(2, None)), {"covariates": ["AGE"]}, "E_COVARIATE_MISSING.*AGE.*ID 3"),
        (trial().assign(SEX="F"), {"covariates": ["SEX"]}, "E_COVARIATE_CONSTANT.*SEX"),
        (trial(), {"covariates": {"SEX": "X"}}, "E_COVARIATE_LEVEL.*SEX"),
        (trial(), {"covariates": ["TUMOR"]}, "E_COVARIATE_REPEATED"),
        (trial().assign(AGE2=lambda d: 2 * d["AGE"]), {"covariates": ["AGE", "AGE2"]}, "E_ALIASED"),
        (trial(sizes=(30, 30, 1)), {}, "E_SLOPE_NOT_ESTIMABLE.*histology breast"),
        (trial().assign(AUC=5.0), {}, "E_SLOPE_NOT_ESTIMABLE"),
        (trial().assign(AUC=5.0), {"slopes": "common"}, "E_SLOPE_NOT_ESTIMABLE"),
        (trial().iloc[:1].drop(columns="TUMOR"), {"histology": None, "slopes": "none"}, "E_ONE_SUBJECT"),
        (pd.concat([trial(), trial().iloc[:2]]), {}, "E_SUBJECT_DUPLICATE.*ID 1, 2"),
        (trial(), {"shape": "cubic"}, "E_OPTION.*cubic"),
        (trial(), {"slopes": "random"}, "E_OPTION.*random"),
        (trial(), {"intercepts": "contrast"}, "E_OPTION.*contrast"),
        (trial(), {"firth": "maybe"}, "E_OPTION.*maybe"),
        (trial(), {"shape": "log", "reference_exposure": -1}, "E_REFERENCE_EXPOSURE"),
        (trial(), {"exposure": None}, "E_OPTION.*needs an exposure"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_by_code_and_subject(frame, arguments, message):
    with pytest.raises(InputError, match=message):
        fit_logistic(frame, **({"response": "ORR", "exposure": "AUC", "histology": "TUMOR"} | arguments))


def test_unknown_names_are_refused_by_the_fit():
    fit = fit_logistic(trial(), "ORR", "AUC", "TUMOR", covariates=["SEX"])
    for call, code in [
        (lambda: fit.probability("thyroid", 100), "E_HISTOLOGY_UNKNOWN.*thyroid"),
        (lambda: fit.probability("lung", 100, covariates={"WT": 70}), "E_COVARIATE_UNKNOWN.*WT"),
        (lambda: fit.probability("lung", 100, covariates={"SEX": "X"}), "E_COVARIATE_LEVEL"),
        (lambda: fit.profile_interval("slope"), "E_PARAMETER_UNKNOWN"),
        (lambda: fit.curve("lung", [1.0], level=90), "E_LEVEL"),
        (lambda: fit.draws(0), "E_OPTION"),
    ]:
        with pytest.raises(InputError, match=code):
            call()


def test_booleans_index_labels_and_categories_are_understood():
    frame = trial()
    plain = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log")
    other = frame.assign(
        ORR=frame["ORR"].astype(bool),
        TUMOR=pd.Categorical(frame["TUMOR"], categories=["lung", "gastric", "breast", "unused"]),
    ).set_index("ID")
    fit = fit_logistic(other, "ORR", "AUC", "TUMOR", shape="log")
    assert fit.histologies == ("lung", "gastric", "breast")
    np.testing.assert_allclose(fit.coefficients[plain.coefficients.index], plain.coefficients, rtol=1e-9)
    other.loc[2, "AUC"] = np.nan
    with pytest.raises(InputError, match=r"E_EXPOSURE_MISSING.*ID 2"):
        fit_logistic(other, "ORR", "AUC", "TUMOR")


def test_json_brings_back_the_fit_to_the_last_bit():
    fit = fit_logistic(trial(), "ORR", "AUC", "TUMOR", shape="log", covariates=["AGE", "SEX"])
    again = from_json(to_json(fit))
    pd.testing.assert_series_equal(again.coefficients, fit.coefficients, rtol=0, atol=0)
    pd.testing.assert_frame_equal(again.covariance, fit.covariance, rtol=0, atol=0)
    pd.testing.assert_frame_equal(again.records, fit.records, rtol=0, atol=0)
    assert again.regressors == fit.regressors
    assert again.profile_interval("slope[lung]") == fit.profile_interval("slope[lung]")
    np.testing.assert_array_equal(again.draws(3, seed=2), fit.draws(3, seed=2))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.permutations(["a", "b", "c"]))
def test_names_of_histologies_and_order_of_rows_do_not_matter(seed, names):
    frame = trial(seed=seed, sizes=(15, 12, 9), levels=("x", "y", "z"))
    rename = dict(zip(("x", "y", "z"), names, strict=True))
    shuffled = frame.sample(frac=1, random_state=seed).assign(TUMOR=lambda d: d["TUMOR"].map(rename))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)  # an endpoint may be constant by chance
        one = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape="log", slopes="common", firth=True)
        two = fit_logistic(shuffled, "ORR", "AUC", "TUMOR", shape="log", slopes="common", firth=True)
    assert one.penalised_log_likelihood == pytest.approx(two.penalised_log_likelihood, abs=1e-9)
    assert one.coefficients["slope"] == pytest.approx(two.coefficients["slope"], abs=1e-7)
    for old, new in rename.items():
        same = two.coefficients[f"intercept[{new}]"]
        assert one.coefficients[f"intercept[{old}]"] == pytest.approx(same, abs=1e-7)


def test_as_many_parameters_as_patients_have_the_closed_form():
    # two patients, two parameters: every leverage is 1 and Firth's score gives π = (y + 1/2) / 2
    frame = pd.DataFrame({"AUC": [1.0, 2.0], "ORR": [1, 0]})
    fit = fit_logistic(frame, "ORR", "AUC", shape="log")
    assert fit.converged
    np.testing.assert_allclose(fit.probability(None, [1.0, 2.0]), [0.75, 0.25], rtol=1e-12)


def test_penalised_likelihood_has_exact_derivatives():
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(30), rng.normal(size=(30, 2))])
    y = (rng.random(30) < 0.4).astype(float)
    for weight in (1.0, 0.5, 2.0):
        assert_exact_derivatives(lambda b, w=weight: _penalised(x, y, b, w), np.array([0.3, -0.7, 1.1]))


@settings(max_examples=25, deadline=None)
@example(6009)  # a profile that meets a plain
@given(st.integers(0, 10**6))
def test_any_small_trial_is_fitted_with_an_interval_around_each_slope(seed):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(2, 25, rng.integers(1, 5))
    tumour = np.repeat([f"h{k}" for k in range(len(sizes))], sizes)
    auc = rng.lognormal(rng.normal(0, 3), rng.uniform(0.05, 1), len(tumour))
    rate = np.repeat(rng.choice([0, 0.03, 0.3, 0.97, 1], len(sizes)), sizes)
    frame = pd.DataFrame({"TUMOR": tumour, "AUC": auc, "ORR": (rng.random(len(tumour)) < rate).astype(int)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        fit = fit_logistic(frame, "ORR", "AUC", "TUMOR", shape=rng.choice(["log", "linear"]))
    assert fit.converged
    lower, upper = fit.profile_interval("slope[h0]")
    assert lower < fit.coefficients["slope[h0]"] < upper
