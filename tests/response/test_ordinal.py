from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_logistic, fit_ordinal
from pkpd.response.ordinal import _bounds, _objective
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives

REFERENCE = Path(__file__).parents[1] / "reference"

WINE = {
    "coef": [2.50310200789893, 1.52779765809506],
    "se": [0.528680100824846, 0.476622629648298],
    "log_likelihood": -86.4919233656491,
}


def graded(seed=0, n=400):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = rng.lognormal(0, 0.5, n)
    eta = (tumour == "b") * 0.7 + 1.5 * np.log(x) + rng.logistic(size=n)
    return pd.DataFrame({"TUMOR": tumour, "AUC": x, "GRADE": np.searchsorted([0.0, 1.2, 2.5], eta)})


def test_housing_is_that_of_polr():
    values = json.loads((REFERENCE / "ordinal.json").read_text())
    theirs = values["housing_polr"]
    fit = fit_ordinal(
        pd.DataFrame(values["housing"]), "Sat", None, slopes="none", weights="Freq",
        covariates={"Infl": "Low", "Type": "Tower", "Cont": "Low"}, grades=["Low", "Medium", "High"],
    )  # fmt: skip
    names = {f"{c}[{v}]": f"{c}{v}" for c, v in
             [("Infl", "Medium"), ("Infl", "High"), ("Type", "Apartment"), ("Type", "Atrium"), ("Type",
             "Terrace"), ("Cont", "High")]}  # fmt: skip
    ours, se = fit.coefficients.rename(names), fit.standard_errors.rename(names)
    for name, value in (theirs["coef"] | theirs["zeta"]).items():
        # polr maximises by BFGS and stops at 1e-8 of the likelihood: 1e-5 in coefficients
        assert ours[name] == pytest.approx(value, abs=1e-5)
        assert se[name] == pytest.approx(theirs["se"][name], rel=1e-4)
    assert -2 * fit.log_likelihood == pytest.approx(theirs["deviance"], abs=1e-7)
    assert fit.aic == pytest.approx(theirs["AIC"], abs=1e-7)


def test_wine_and_the_test_of_each_term_are_those_of_ordinal():
    # Randall JH. J Agric Sci 1989: bitterness 1-5 by temperature and contact, 18 ratings each; R package ordinal 2022.11
    counts = {
        (0, 0): [4, 9, 5, 0, 0],
        (0, 1): [1, 7, 8, 2, 0],
        (1, 0): [0, 5, 8, 3, 2],
        (1, 1): [0, 1, 5, 7, 5],
    }
    rows = [(t, c, g + 1, n) for (t, c), own in counts.items() for g, n in enumerate(own) if n]
    frame = pd.DataFrame(rows, columns=["WARM", "CONTACT", "GRADE", "N"])
    with pytest.warns(PkpdWarning, match="W_PROPORTIONAL_ODDS_EDGE"):
        fit = fit_ordinal(frame, "GRADE", "WARM", covariates=["CONTACT"], weights="N")
    np.testing.assert_allclose(fit.coefficients[["slope", "CONTACT"]], WINE["coef"], atol=1e-7)
    np.testing.assert_allclose(fit.standard_errors[["slope", "CONTACT"]], WINE["se"], rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(WINE["log_likelihood"], abs=1e-8)
    # nominal_test of each, and twice the gain of clm(nominal = ~ temp + contact), whose maximum is at infinity
    np.testing.assert_allclose(fit.nominal["statistic"], [3.17497709974728, 0.566740268381835], atol=1e-6)
    np.testing.assert_allclose(fit.nominal["p_value"], [0.365425943577536, 0.904002389824219], atol=1e-6)
    assert fit.proportional_odds.statistic == pytest.approx(3.76199022, abs=1e-6)


@pytest.mark.parametrize("own", [False, True])
def test_derivatives_are_exact(own):
    frame = graded(n=60)
    x = np.column_stack([np.log(frame["AUC"]), frame["TUMOR"] == "b"]).astype(float)
    code = frame["GRADE"].to_numpy()
    weight = np.linspace(0.5, 2, 60)
    slopes = np.array([1.0, 0.5])
    point = np.r_[np.repeat(slopes, 3) if own else slopes, -0.2, 1.0, 2.2]
    bounds = _bounds(x[:, :0], code, 3, own=x) if own else _bounds(x, code, 3)
    assert_exact_derivatives(lambda b: _objective(b, code, weight, *bounds), point)


def test_two_grades_are_a_logistic_regression():
    frame = graded().assign(GRADE=lambda d: (d["GRADE"] >= 2) * 1)
    fit = fit_ordinal(frame, "GRADE", "AUC", "TUMOR", shape="log")
    logistic = fit_logistic(frame, "GRADE", "AUC", "TUMOR", shape="log", firth=False)
    assert fit.log_likelihood == pytest.approx(logistic.log_likelihood, abs=1e-9)
    for k in ("a", "b"):
        assert fit.coefficients[f"slope[{k}]"] == pytest.approx(
            logistic.coefficients[f"slope[{k}]"], abs=1e-7
        )
        ours, theirs = fit.curve(k, [0.5, 1, 2], 1), logistic.curve(k, [0.5, 1, 2])
        np.testing.assert_allclose(
            ours.drop(columns="histology"), theirs.drop(columns="histology"), rtol=1e-6
        )
    assert fit.coefficients["0|1"] == pytest.approx(-logistic.coefficients["intercept[a]"], abs=1e-7)
    assert fit.proportional_odds.df == 0


def test_truth_lies_in_its_intervals_and_probabilities_fall_with_the_grade():
    fit = fit_ordinal(
        graded(seed=4, n=2000), "GRADE", "AUC", "TUMOR", shape="log", slopes="common", reference_exposure=1
    )
    truth = {"histology[b]": 0.7, "slope": 1.5, "0|1": 0.0, "1|2": 1.2, "2|3": 2.5}
    for name, value in truth.items():
        assert abs(fit.coefficients[name] - value) < 4 * fit.standard_errors[name]
    assert fit.proportional_odds.p_value > 0.01  # the truth is proportional
    one, three = fit.probability("a", [1.0, 2.0], 1), fit.probability("a", [1.0, 2.0], 3)
    assert np.all(one > three)
    assert fit.probability("b", [1.0, 2.0], 2, fit.draws(5)).shape == (5, 2)
    assert fit.counts.iloc[:, 1:].to_numpy().sum() == 2000


def test_odds_that_are_not_proportional_are_noted():
    rng = np.random.default_rng(1)
    x = rng.normal(size=1500)
    any_event = rng.random(1500) < 1 / (1 + np.exp(-x))
    severe = rng.random(1500) < 0.4  # whether an event is severe does not depend on exposure
    frame = pd.DataFrame({"AUC": x, "GRADE": any_event * (1 + severe)})
    with pytest.warns(PkpdWarning, match="W_PROPORTIONAL_ODDS: "):
        fit = fit_ordinal(frame, "GRADE", "AUC")
    assert fit.proportional_odds.df == 1 and fit.proportional_odds.p_value < 1e-4


def test_units_and_json():
    frame = graded()
    one = fit_ordinal(frame, "GRADE", "AUC", "TUMOR")
    two = fit_ordinal(frame.assign(AUC=frame["AUC"] * 5000), "GRADE", "AUC", "TUMOR")
    assert one.log_likelihood == pytest.approx(two.log_likelihood, abs=1e-8)
    again = from_json(to_json(one))
    pd.testing.assert_frame_equal(again.curve("a", [1.0], 2), one.curve("a", [1.0], 2), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({"GRADE": 1}, {}, InputError, "E_GRADE_CONSTANT"),
        ({"GRADE": "mild"}, {}, InputError, "E_GRADE_ORDER"),
        ({"GRADE": np.nan}, {}, InputError, "E_GRADE_MISSING"),
        ({}, {"grades": [0, 1, 2]}, InputError, "E_GRADE_UNKNOWN.*'3'"),
        ({"W": 0}, {"weights": "W"}, InputError, "E_WEIGHT"),
        ({}, {"intercepts": "contrast"}, InputError, "E_OPTION"),
        ({"GRADE": lambda d: np.searchsorted([0.7, 1.5], d["AUC"])}, {}, FitError, "E_NO_MAXIMUM"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, arguments, error, message):
    with pytest.raises(error, match=message):
        fit_ordinal(graded().assign(**change), "GRADE", "AUC", **arguments)


def test_a_grade_without_probability_is_refused():
    with pytest.raises(InputError, match="E_GRADE_UNKNOWN"):
        fit_ordinal(graded(), "GRADE", "AUC").probability(None, 1.0, 0)
