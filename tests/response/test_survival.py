from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import expon, fisk, gompertz, lognorm, weibull_min

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_cox, fit_parametric_survival
from pkpd.response.risk_sets import RiskSets, partial_likelihood
from pkpd.response.survival_distributions import DISTRIBUTIONS, accelerated, gompertz_shape
from pkpd.response.survival_distributions import gompertz as gompertz_likelihood
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives

R = json.loads((Path(__file__).parents[1] / "reference" / "survival.json").read_text())


def lung():
    return pd.DataFrame(R["lung"])


def times(seed=0, n=240):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = rng.lognormal(0, 0.5, n)
    event = rng.weibull(1.3, n) * np.exp(np.where(tumour == "a", 1.0, 1.5) + 0.6 * np.log(x))
    censor = rng.uniform(1, 12, n)
    return pd.DataFrame(
        {"ID": np.arange(n), "TUMOR": tumour, "AUC": x, "T": np.ceil(np.minimum(event, censor) * 10) / 10,
        "D": (event <= censor) * 1}
    )  # fmt: skip


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox_of_lung_is_that_of_coxph(ties):
    theirs = R["cox"][f"lung_{ties}"]
    frame = lung().dropna(subset=["ph.ecog"])
    fit = fit_cox(frame, "time", "status01", "age", slopes="common", covariates=["sex", "ph.ecog"], ties=ties)
    np.testing.assert_allclose(fit.coefficients, theirs["coef"], atol=1e-10)
    np.testing.assert_allclose(fit.standard_errors, theirs["se"], rtol=1e-10)
    assert [fit.null_log_likelihood, fit.log_likelihood] == pytest.approx(theirs["loglik"], abs=1e-9)


def test_stratified_cox_is_that_of_coxph():
    theirs = R["cox"]["lung_strata_ecog"]
    frame = lung().dropna(subset=["ph.ecog"])
    fit = fit_cox(frame, "time", "status01", "age", "ph.ecog", slopes="common", covariates=["sex"])
    np.testing.assert_allclose(fit.coefficients, list(theirs["coef"].values()), atol=1e-10)
    np.testing.assert_allclose(fit.standard_errors, theirs["se"], rtol=1e-9)
    assert [fit.null_log_likelihood, fit.log_likelihood] == pytest.approx(theirs["loglik"], abs=1e-9)
    assert fit.histologies == ("0", "1", "2", "3")


def test_cox_with_a_regressor_that_changes_is_that_of_coxph():
    theirs = R["cox"]["heart_tv"]
    frame = pd.DataFrame(R["heart"]).rename(columns={"id": "ID"})
    covariates = {"age": None, "year": None, "surgery": None, "transplant": "0"}
    fit = fit_cox(frame, "stop", "event", None, slopes="none", start="start", covariates=covariates)
    np.testing.assert_allclose(fit.coefficients, list(theirs["coef"].values()), atol=1e-10)
    np.testing.assert_allclose(fit.standard_errors, theirs["se"], rtol=1e-9)
    assert fit.log_likelihood == pytest.approx(theirs["loglik"][1], abs=1e-9)
    assert fit.counts["n"].sum() == frame["ID"].nunique()


def slow_partial_likelihood(b, x, start, stop, died):
    """Efron's partial likelihood by its definition, one death at a time."""
    risk = np.exp(x @ b)
    total = 0.0
    for t in np.unique(stop[died == 1]):
        dying = (stop == t) & (died == 1)
        at_risk = (start < t) & (stop >= t)
        total += np.log(risk[dying]).sum()
        d = dying.sum()
        for k in range(d):
            total -= np.log(risk[at_risk].sum() - k / d * risk[dying].sum())
    return total


def test_partial_likelihood_is_its_definition_with_exact_derivatives():
    rng = np.random.default_rng(0)
    frame = times(n=60)
    start = np.where(rng.random(60) < 0.5, -np.inf, frame["T"].to_numpy() * rng.uniform(0, 0.9, 60))
    x = np.column_stack([np.log(frame["AUC"]), rng.normal(size=60)])
    stop, died = np.ceil(frame["T"].to_numpy()), frame["D"].to_numpy()
    sets = RiskSets.of(start, stop, died, "efron")
    point = np.array([0.4, -0.3])
    slow = slow_partial_likelihood(point, x, start, stop, died)
    assert partial_likelihood(point, [x], [sets])[0] == pytest.approx(slow, abs=1e-10)
    assert_exact_derivatives(lambda b: partial_likelihood(b, [x], [sets]), point)


def by_formula():
    """60 subjects whose values need no random numbers: the same in R."""
    i = np.arange(1, 61)
    code = (i * 7) % 5
    return pd.DataFrame(
        {"ID": i, "X": (i * 37) % 60 / 10, "G": np.array(["a", "b", "c"])[i % 3], "Z": (i * 11) % 7,
        "T": 1 + (i * 23) % 61 // 2, "C": np.where(code < 2, 1, np.where(code < 4, 2, 0)), "D": (code < 2) * 1}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("group", "score", "survival"),
    [
        # survival 3.5.3: cox.zph (x, z, GLOBAL), survfit(conf.type = "log-log") at x = 2, z = 3 and times 5, 12, 25
        (
            None,
            [6.6788840645, 0.1568087903, 6.8110668077],
            [
                [0.9283458111, 0.8477412506, 0.5144303829],
                [0.8427867391, 0.7413297825, 0.3496616951],
                [0.9681966442, 0.9128737745, 0.6567417210],
            ],
        ),
        (
            "G",
            [4.4214404684, 0.0987871833, 5.0312201953],
            [
                [0.9477396703, 0.8910786907, 0.4995044212],
                [0.7557274056, 0.6892986415, 0.2235107876],
                [0.9897659977, 0.9648882151, 0.7249993294],
            ],
        ),
    ],
)
def test_assumption_and_survival_are_those_of_cox_zph_and_survfit(group, score, survival):
    fit = fit_cox(by_formula(), "T", "D", "X", group, slopes="common", covariates=["Z"], known_at_start=True)
    assert fit.proportional_hazards["term"].tolist() == ["slope", "Z", "all"]
    np.testing.assert_allclose(fit.proportional_hazards["statistic"], score, rtol=1e-9)
    curve = fit.survival("b" if group else None, 2.0, [5, 12, 25, 99], covariates={"Z": 3})
    np.testing.assert_allclose(curve[["survival", "lower", "upper"]].iloc[:3].T, survival, rtol=1e-9)
    assert curve.iloc[3, 3:].isna().all() and fit.warnings == ()
    before = fit.survival("b" if group else None, 2.0, 0.0)
    assert before[["survival", "lower", "upper"]].to_numpy().ravel().tolist() == [1, 1, 1]


def test_cutting_follow_up_into_intervals_changes_nothing():
    frame = times()
    whole = fit_cox(frame, "T", "D", "AUC", "TUMOR", shape="log")
    cut = frame["T"] / 3
    first = frame.assign(BEGIN=0.0, T=cut, D=0)
    second = frame.assign(BEGIN=cut)
    pieces = pd.concat([first, second]).sample(frac=1, random_state=1)
    reference = whole.regressors.reference_exposure
    fit = fit_cox(pieces, "T", "D", "AUC", "TUMOR", start="BEGIN", shape="log", reference_exposure=reference)
    np.testing.assert_allclose(fit.coefficients, whole.coefficients, atol=1e-9)
    assert fit.log_likelihood == pytest.approx(whole.log_likelihood, abs=1e-9)
    assert fit.counts["n"].tolist() == [120, 120]


def test_exposure_that_accrues_must_come_in_intervals_to_be_unbiased():
    # no effect of exposure, which grows with time on drug: its total at the end predicts survival, intervals
    # do not
    rng = np.random.default_rng(7)
    death = np.ceil(rng.exponential(6, 400))
    static = pd.DataFrame(
        {"ID": np.arange(400), "AUC": death * rng.lognormal(0, 0.3, 400), "T": death, "D": 1}
    )
    with pytest.warns(PkpdWarning, match="W_EXPOSURE_FIXED"):
        biased = fit_cox(static, "T", "D", "AUC", shape="log")
    assert biased.coefficients["slope"] < -8 * biased.standard_errors["slope"]
    subjects = zip(static["ID"], static["AUC"], death, strict=True)
    rows = [(i, k, k + 1, int(k + 1 == t), (k + 1) * a / t) for i, a, t in subjects for k in range(int(t))]
    varying = pd.DataFrame(rows, columns=["ID", "BEGIN", "T", "D", "AUC"])
    fair = fit_cox(varying, "T", "D", "AUC", start="BEGIN", shape="log")
    assert abs(fair.coefficients["slope"]) < 3 * fair.standard_errors["slope"]


def test_what_a_histology_without_events_is_told_to_do_works():
    shared = cox(EMPTY, histology="TUMOR", slopes="common", intercepts="common", known_at_start=True)
    assert np.isfinite(shared.survival("b", 1.0, 2.0)["survival"]).all()
    pooled = parametric(EMPTY, histology="TUMOR", slopes="common", intercepts="common", known_at_start=True)
    assert pooled.converged


def test_hazard_ratio_is_one_at_the_reference():
    fit = fit_cox(times(), "T", "D", "AUC", "TUMOR", shape="log", intercepts="separate")
    assert list(fit.coefficients.index) == ["histology[b]", "slope[a]", "slope[b]"]
    ratio = fit.hazard_ratio("b", [1.0, 2.0], reference=1.0)
    assert ratio.loc[0, ["hazard_ratio", "lower", "upper"]].tolist() == [1, 1, 1]
    assert ratio.loc[1, "hazard_ratio"] == pytest.approx(2 ** fit.coefficients["slope[b]"], rel=1e-12)
    again = from_json(to_json(fit))
    pd.testing.assert_frame_equal(
        again.hazard_ratio("a", [3.0], 1.0), fit.hazard_ratio("a", [3.0], 1.0), rtol=0
    )


@pytest.mark.parametrize("distribution", ["weibull", "exponential", "lognormal", "loglogistic"])
def test_parametric_survival_of_lung_is_that_of_survreg(distribution):
    theirs = R["survreg"][f"lung_{distribution}"]
    fit = fit_parametric_survival(
        lung(), "time", "status01", "age", slopes="common", covariates=["sex"], distribution=distribution
    )
    mean = fit.regressors.covariate_means["sex"]
    at_zero = fit.coefficients["intercept"] - mean * fit.coefficients["sex"]
    assert [at_zero, *fit.coefficients[["slope", "sex"]]] == pytest.approx(theirs["coef"], rel=1e-7)
    np.testing.assert_allclose(fit.standard_errors[["slope", "sex"]], theirs["se"][1:3], rtol=1e-6)
    if distribution != "exponential":
        assert np.exp(fit.coefficients["log_scale"]) == pytest.approx(theirs["logscale_scale"], rel=1e-8)
        assert fit.standard_errors["log_scale"] == pytest.approx(theirs["se"][3], rel=1e-6)
    assert fit.log_likelihood == pytest.approx(theirs["loglik"][1], abs=1e-8)


def test_gompertz_of_lung_is_that_of_flexsurv():
    theirs = R["gompertz"]
    fit = fit_parametric_survival(
        lung(), "time", "status01", "age", slopes="common", covariates=["sex"], distribution="gompertz"
    )
    assert fit.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-8)
    # flexsurv maximises by BFGS: 1e-7 in its estimates
    rate = np.exp(
        fit.coefficients["intercept"] - fit.regressors.covariate_means["sex"] * fit.coefficients["sex"]
    )
    ours = [fit.coefficients["shape"], rate, *fit.coefficients[["slope", "sex"]]]
    np.testing.assert_allclose(ours, theirs["est"], rtol=1e-4)
    # its standard error of the shape is off (steps of 1e-3 in a parameter of 1e-3); the others are ours
    np.testing.assert_allclose(fit.standard_errors[["slope", "sex"]], theirs["se"][2:], rtol=1e-4)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_derivatives_are_exact(distribution):
    frame = times(n=60)
    x = np.column_stack([np.ones(60), np.log(frame["AUC"])])
    t, died = frame["T"].to_numpy(), frame["D"].to_numpy(dtype=float)
    if distribution == "gompertz":
        for shape in (0.3, 1e-3, -0.2):
            assert_exact_derivatives(
                lambda b: gompertz_likelihood(b, x, t, died), np.array([-1.0, 0.3, shape])
            )
    else:
        point = np.array([1.0, 0.3] if distribution == "exponential" else [1.0, 0.3, -0.2])
        assert_exact_derivatives(lambda b: accelerated(b, distribution, x, np.log(t), died), point)


@pytest.mark.parametrize("distribution", DISTRIBUTIONS)
def test_likelihood_survival_and_quantiles_are_those_of_the_named_distribution(distribution):
    frame = times()
    fit = fit_parametric_survival(frame, "T", "D", "AUC", "TUMOR", shape="log", distribution=distribution)
    p = len(fit.regressors.names)
    eta = fit.regressors.matrix(frame["TUMOR"], frame["AUC"]) @ fit.coefficients.to_numpy()[:p]
    other = fit.coefficients.iloc[-1]

    def named(e):
        scale = np.exp(e)
        if distribution == "gompertz":  # SciPy: hazard (c/s) e^{t/s}
            return gompertz(np.exp(e) / other, scale=1 / other)
        return {
            "weibull": lambda: weibull_min(np.exp(-other), scale=scale),
            "exponential": lambda: expon(scale=scale),
            "lognormal": lambda: lognorm(np.exp(other), scale=scale),
            "loglogistic": lambda: fisk(np.exp(-other), scale=scale),
        }[distribution]()

    t, died = frame["T"].to_numpy(), frame["D"].to_numpy() == 1
    value = named(eta[died]).logpdf(t[died]).sum() + named(eta[~died]).logsf(t[~died]).sum()
    assert fit.log_likelihood == pytest.approx(value, abs=1e-8)
    one = named(fit.regressors.matrix("b", [1.4])[0] @ fit.coefficients.to_numpy()[:p])
    curve = fit.survival("b", 1.4, [0.5, 2.0, 8.0])
    np.testing.assert_allclose(curve["survival"], one.sf([0.5, 2.0, 8.0]), rtol=1e-9)
    assert np.all((curve["lower"] < curve["survival"]) & (curve["survival"] < curve["upper"]))
    median = fit.quantile("b", [1.4, 2.0])
    assert median.loc[0, "time"] == pytest.approx(one.median(), rel=1e-9)
    # the interval of the median against draws of the coefficients: delta method, so a few percent
    draws = fit.draws(4000, seed=1)
    shifted = []
    for b in draws:
        e = fit.regressors.matrix("b", [1.4])[0] @ b[:p]
        if distribution == "gompertz":
            shifted.append(np.log1p(b[-1] * np.log(2) * np.exp(-e)) / b[-1])
        else:
            w = {"weibull": np.log(np.log(2)), "exponential": np.log(np.log(2))}.get(distribution, 0.0)
            shifted.append(np.exp(e + w * (1 if distribution == "exponential" else np.exp(b[-1]))))
    low, high = np.quantile(shifted, [0.05, 0.95])
    assert median.loc[0, "lower"] == pytest.approx(low, rel=0.05)
    assert median.loc[0, "upper"] == pytest.approx(high, rel=0.05)


def test_gompertz_shape_is_smooth_across_its_switch():
    u = np.array([-0.5 - 1e-12, -0.5 + 1e-12, 0.5 - 1e-12, 0.5 + 1e-12])
    for value in gompertz_shape(u):
        np.testing.assert_allclose(value[[0, 2]], value[[1, 3]], rtol=1e-11)
    np.testing.assert_allclose([v[0] for v in gompertz_shape(np.zeros(1))], [1, 1 / 2, 1 / 3], rtol=1e-15)


def test_units_of_time_move_the_intercept_only():
    frame = times()
    for distribution in DISTRIBUTIONS:
        one = fit_parametric_survival(frame, "T", "D", "AUC", "TUMOR", distribution=distribution)
        two = fit_parametric_survival(
            frame.assign(T=frame["T"] * 30), "T", "D", "AUC", "TUMOR", distribution=distribution
        )
        np.testing.assert_allclose(
            one.coefficients.filter(like="slope"), two.coefficients.filter(like="slope"), rtol=1e-6
        )
        ratio = (
            two.quantile("a", [1.0])[["time", "lower", "upper"]]
            / one.quantile("a", [1.0])[["time", "lower", "upper"]]
        )
        np.testing.assert_allclose(ratio, 30, rtol=1e-6)


def test_json_brings_back_the_fit():
    fit = fit_parametric_survival(times(), "T", "D", "AUC", "TUMOR")
    again = from_json(to_json(fit))
    pd.testing.assert_frame_equal(
        again.survival("a", 1.0, [2.0]), fit.survival("a", 1.0, [2.0]), rtol=0, atol=0
    )


def cox(frame, exposure="AUC", **options):
    return fit_cox(frame, "T", "D", exposure, **options)


def parametric(frame, **options):
    return fit_parametric_survival(frame, "T", "D", "AUC", **options)


EMPTY = times().assign(D=lambda d: d["D"] * (d["TUMOR"] == "a"))  # no event in histology b
INTERVALS = pd.DataFrame(
    {"ID": [1, 1, 2], "S": [0, 2, 0], "T": [2, 5, 4], "D": [0, 1, 1], "AUC": [1.0, 2.0, 3.0]}
)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cox(INTERVALS.assign(T=[2, 1, 4]), start="S"), InputError, "E_INTERVAL_EMPTY.*ID 1"),
        (lambda: cox(INTERVALS.assign(S=[0, 1, 0]), start="S"), InputError, "E_INTERVALS_OVERLAP.*ID 1"),
        (lambda: cox(INTERVALS.assign(D=[1, 1, 1]), start="S"), InputError, "E_EVENT_NOT_LAST.*ID 1"),
        (lambda: cox(INTERVALS), InputError, "E_SUBJECT_DUPLICATE"),
        (lambda: cox(times().assign(D=0)), InputError, "E_NO_EVENTS"),
        (lambda: cox(times().assign(T=np.nan)), InputError, "E_TIME_MISSING"),
        (lambda: cox(times(), ties="exact"), InputError, "E_OPTION"),
        (lambda: cox(times(), exposure=None, slopes="none"), InputError, "E_OPTION.*no coefficient"),
        (
            lambda: cox(EMPTY, histology="TUMOR", intercepts="separate", slopes="common"),
            FitError,
            r"E_NO_MAXIMUM.*histology b.*the others: intercepts='common'\.",
        ),
        (
            lambda: cox(EMPTY, histology="TUMOR", slopes="common").survival("b", 1.0, 2.0),
            InputError,
            "E_NO_EVENTS.*histology b.*intercepts='common'",
        ),
        (lambda: cox(INTERVALS, start="S", known_at_start=True), InputError, "E_OPTION.*AUC comes in intervals"),
        (lambda: parametric(times().assign(T=0.0)), InputError, "E_TIME_NOT_POSITIVE"),
        (lambda: parametric(times(), distribution="gamma"), InputError, "E_OPTION.*gamma"),
        (
            lambda: parametric(EMPTY, histology="TUMOR"),
            FitError,
            "E_NO_MAXIMUM.*histology b.*the others: intercepts='common' with slopes='common'",
        ),
        (lambda: parametric(times()).survival(None, 1.0, [0.0]), InputError, "E_TIME_NOT_POSITIVE"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
