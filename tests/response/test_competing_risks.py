from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import FitError, InputError
from pkpd.response import cumulative_incidence, fit_competing_risks, fit_cox
from pkpd.response.competing_incidence import aalen_johansen
from pkpd.response.competing_risks import _WeightedRisk
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives
from tests.response.test_survival import by_formula

REFERENCE = Path(__file__).parents[1] / "reference"


def mgus2():
    values = json.loads((REFERENCE / "survival.json").read_text())
    return values, pd.DataFrame(values["mgus2"])


def risks(seed=0, n=300):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = rng.lognormal(0, 0.5, n)
    first = rng.exponential(8 / (np.where(tumour == "a", 1.0, 1.6) * x**0.7))
    second, censor = rng.exponential(12, n), rng.uniform(1, 20, n)
    time = np.minimum(np.minimum(first, second), censor)
    cause = np.where(time == first, 1, np.where(time == second, 2, 0))
    return pd.DataFrame({"TUMOR": tumour, "AUC": x, "T": np.ceil(time * 10) / 10, "C": cause})


def test_fine_gray_of_mgus2_is_that_of_cmprsk():
    values, frame = mgus2()
    theirs = values["finegray_mgus2"]
    fit = fit_competing_risks(frame, "etime", "ev", None, slopes="none", covariates={"age": None, "sex": "F"})
    # crr stops at 1e-6
    np.testing.assert_allclose(fit.coefficients, list(theirs["coef"].values()), rtol=1e-6)
    np.testing.assert_allclose(fit.standard_errors, theirs["se"], rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-8)


def test_cumulative_incidence_of_mgus2_is_that_of_cmprsk():
    values, frame = mgus2()
    theirs = values["cuminc_mgus2"]
    for row, cause in enumerate((1, 2)):
        table = cumulative_incidence(frame, "etime", "ev", of=cause)
        at = np.searchsorted(table["time"], theirs["times"], side="right") - 1
        np.testing.assert_allclose(table["incidence"].to_numpy()[at], theirs["est"][row], rtol=1e-10)
        np.testing.assert_allclose(table["se"].to_numpy()[at] ** 2, theirs["var"][row], rtol=1e-10)


def test_without_censoring_incidence_is_the_observed_share():
    rng = np.random.default_rng(1)
    time, cause = rng.exponential(1, 1000), rng.integers(1, 3, 1000)
    times, incidence, variance = aalen_johansen(time, cause, 1)
    share = np.array([np.mean((time <= t) & (cause == 1)) for t in times])
    np.testing.assert_allclose(incidence, share, rtol=1e-12)
    # the binomial variance, up to n/(n-1) of those at risk: 1 in 200 while at least 200 of the 1000 are left
    early = np.array([np.mean(time >= t) for t in times]) > 0.2
    np.testing.assert_allclose(variance[early], (share * (1 - share) / 1000)[early], rtol=5e-3)


def test_censoring_is_no_cause():
    with pytest.raises(InputError, match=r"E_NO_EVENTS.*cause 0"):
        cumulative_incidence(risks(), "T", "C", "TUMOR", of=0)


def test_causes_add_up_to_all_that_happened():
    frame = risks()
    one, two = (aalen_johansen(frame["T"].to_numpy(), frame["C"].to_numpy(), of)[1] for of in (1, 2))
    anything = aalen_johansen(frame["T"].to_numpy(), (frame["C"] > 0).to_numpy().astype(int), 1)[1]
    np.testing.assert_allclose(one + two, anything, atol=1e-12)


def test_without_competing_events_fine_gray_is_cox():
    frame = risks().assign(C=lambda d: (d["C"] == 1) * 1)
    fit = fit_competing_risks(frame, "T", "C", "AUC", "TUMOR", shape="log")
    cox = fit_cox(frame, "T", "C", "AUC", "TUMOR", shape="log", intercepts="separate", ties="breslow")
    np.testing.assert_allclose(fit.coefficients, cox.coefficients, atol=1e-9)
    assert fit.log_likelihood == pytest.approx(cox.log_likelihood, abs=1e-9)
    # robust against model-based standard errors: alike where the model holds
    np.testing.assert_allclose(fit.standard_errors, cox.standard_errors, rtol=0.25)


def test_derivatives_are_exact():
    frame = risks(n=80)
    x = np.column_stack([np.log(frame["AUC"]), frame["TUMOR"] == "b"]).astype(float)
    risk = _WeightedRisk.build(frame["T"].to_numpy(), frame["C"].to_numpy(), 1)
    assert_exact_derivatives(lambda b: risk.likelihood(b, x), np.array([0.4, -0.2]))


def test_prediction_agrees_with_the_observed_incidence():
    frame = risks(n=600)
    fit = fit_competing_risks(frame, "T", "C", None, "TUMOR", slopes="none")
    for k in ("a", "b"):
        observed = fit.incidence[(fit.incidence["histology"] == k) & (fit.incidence["time"] <= 8)].iloc[-1]
        # the model forces proportional subdistribution hazards: within its 95 % interval
        assert observed["lower"] < fit.probability(k, None, 8.0)[0] < observed["upper"]
    again = from_json(to_json(fit))
    predicted = [f.probability("b", None, 5.0, f.draws(4)) for f in (fit, again)]
    np.testing.assert_array_equal(*predicted)
    assert fit.probability("a", None, 0.0)[0] == 0
    slope = fit_competing_risks(frame, "T", "C", "AUC", "TUMOR", shape="log", slopes="common")
    ratio = slope.hazard_ratio("a", [1.0, 2.0], reference=1.0)
    assert ratio["hazard_ratio"].tolist() == pytest.approx([1, 2 ** slope.coefficients["slope"]])


def test_intervals_of_the_incidence_are_those_of_the_jackknife_and_of_survfit():
    frame = by_formula()

    def fit(part):
        return fit_competing_risks(part, "T", "C", "X", covariates=["Z"], known_at_start=True)

    def turned(p):
        return np.log(-np.log1p(-np.asarray(p)))

    whole = fit(frame)
    at, z = {"covariates": {"Z": 3}}, 1.6448536269514722
    left_out = np.array(
        [turned(fit(frame.drop(i)).probability(None, [1.0, 4.0], 12, **at)) for i in range(60)]
    )
    jackknife = np.sqrt(59 / 60 * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    curve = whole.curve(None, [1.0, 4.0], 12, **at)
    se = (turned(curve["upper"]) - turned(curve["lower"])) / 2 / z
    np.testing.assert_allclose(se, jackknife, rtol=0.1)  # leave-one-out is larger by terms of order p/n
    # cmprsk 2.2.11: predict; survival 3.5.3: survfit of coxph(cluster = ID) on finegray data, whose interval is longer
    # because it takes the weights as known
    theirs = np.array([0.13659197964, 0.07747120283, 0.23488075628])
    ours = whole.curve(None, 2.0, 12, **at)[["probability", "lower", "upper"]].to_numpy()[0]
    assert ours[0] == pytest.approx(theirs[0], abs=1e-9)
    assert theirs[1] < ours[1] < 1.1 * theirs[1] and 0.9 * theirs[2] < ours[2] < theirs[2]
    nothing = whole.curve(None, [2.0], 0.5, **at)[["probability", "lower", "upper"]]
    assert nothing.to_numpy().ravel().tolist() == [0, 0, 0]
    last = frame["T"].max()
    assert np.isfinite(whole.probability(None, 2.0, last)).all()
    beyond = whole.curve(None, [1.0, 2.0], last + 1)[["probability", "lower", "upper"]]
    assert np.isnan(whole.probability(None, 2.0, last + 1)).all() and beyond.isna().all(axis=None)
    for no_time in (-1.0, np.nan):
        with pytest.raises(InputError, match="E_TIME_NOT_POSITIVE"):
            whole.curve(None, 2.0, no_time)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({"C": 0}, {}, InputError, "E_NO_EVENTS"),
        ({"C": 0.5}, {}, InputError, "E_CAUSE_NOT_CODE"),
        ({"C": np.nan}, {}, InputError, "E_CAUSE_MISSING"),
        ({"T": 0.0}, {}, InputError, "E_TIME_NOT_POSITIVE"),
        ({}, {"of": 3}, InputError, "E_NO_EVENTS.*cause 3.*Causes in the data: 1, 2"),
        ({}, {"of": 0}, InputError, "E_NO_EVENTS.*cause 0"),
        ({}, {"exposure": None, "slopes": "none", "known_at_start": True}, InputError, "E_OPTION.*no exposure"),
        ({}, {"exposure": None, "slopes": "none"}, InputError, "E_OPTION.*no coefficient"),
        ({"C": lambda d: d["C"].where(d["TUMOR"] == "a", 2)}, {"histology": "TUMOR"}, FitError, r"E_NO_MAXIMUM"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, arguments, error, message):
    with pytest.raises(error, match=message):
        fit_competing_risks(risks().assign(**change), "T", "C", **({"exposure": "AUC"} | arguments))
