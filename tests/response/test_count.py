from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize
from scipy.stats import nbinom, poisson

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_count
from pkpd.response.count import _nb2, _poisson
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives

# Dobson AJ. An Introduction to Generalized Linear Models. 1990, p. 93; values as printed by R's example(glm)
DOBSON = pd.DataFrame(
    {"y": [18, 17, 15, 20, 10, 20, 25, 13, 12], "outcome": list("123123123"), "treatment": list("111222333")}
)


def events(seed=0, n=400, theta=1.7):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = rng.lognormal(0, 0.5, n)
    time = rng.uniform(0.3, 2, n)
    mu = time * np.exp(np.where(tumour == "a", 0.4, 0.9) + 0.8 * np.log(x))
    return pd.DataFrame(
        {"TUMOR": tumour, "AUC": x, "T": time, "N": rng.negative_binomial(theta, theta / (theta + mu))}
    )


def test_poisson_is_that_of_dobson():
    fit = fit_count(
        DOBSON, "y", None, slopes="none", family="poisson", covariates={"outcome": "1", "treatment": "1"}
    )
    ours = fit.parameters
    expected = {
        "intercept": (3.045, 0.1709),
        "outcome[2]": (-0.4543, 0.2022),
        "outcome[3]": (-0.2930, 0.1927),
    }
    for name, (estimate, se) in expected.items():
        assert ours.loc[name, "estimate"] == pytest.approx(estimate, abs=5e-4)
        assert ours.loc[name, "se"] == pytest.approx(se, abs=5e-5)
    assert abs(ours.loc["treatment[2]", "estimate"]) < 1e-12
    assert ours.loc["treatment[2]", "se"] == pytest.approx(0.2, abs=1e-9)
    y = DOBSON["y"]
    saturated = np.sum(poisson.logpmf(y, y))
    assert 2 * (saturated - fit.log_likelihood) == pytest.approx(5.1291, abs=5e-5)


def test_rates_without_regressor_are_events_over_follow_up():
    frame = events()
    with pytest.warns(PkpdWarning, match="W_OVERDISPERSION"):
        fit = fit_count(frame, "N", None, "TUMOR", follow_up="T", slopes="none", family="poisson")
    plain = frame.groupby("TUMOR")[["N", "T"]].sum()
    for k in ("a", "b"):
        assert fit.rate(k, None)[0] == pytest.approx(plain.loc[k, "N"] / plain.loc[k, "T"], rel=1e-10)
        assert fit.standard_errors[f"intercept[{k}]"] == pytest.approx(
            1 / np.sqrt(plain.loc[k, "N"]), rel=1e-9
        )


def test_derivatives_are_exact():
    frame = events(n=60)
    x = np.column_stack([np.ones(60), np.log(frame["AUC"])])
    y, offset = frame["N"].to_numpy(dtype=float), np.log(frame["T"].to_numpy())
    assert_exact_derivatives(lambda b: _nb2(b, y, x, offset), np.array([0.3, 0.5, 0.4]))
    assert_exact_derivatives(lambda b: _poisson(b, y, x, offset), np.array([0.3, 0.5]))


def test_negative_binomial_is_where_a_general_optimiser_finds_the_maximum():
    frame = events(seed=2)
    fit = fit_count(frame, "N", "AUC", "TUMOR", follow_up="T", shape="log", reference_exposure=1)
    level, x = (frame["TUMOR"] == "b").to_numpy(), np.log(frame["AUC"])

    def negative(b):
        mu = frame["T"] * np.exp(np.where(level, b[1] + b[3] * x, b[0] + b[2] * x))
        theta = np.exp(b[4])
        return -np.sum(nbinom.logpmf(frame["N"], theta, theta / (theta + mu)))

    twin = minimize(negative, np.zeros(5), method="BFGS", options={"gtol": 1e-7})
    assert fit.log_likelihood == pytest.approx(-twin.fun, abs=1e-7)
    np.testing.assert_allclose(fit.coefficients, twin.x, atol=1e-4)
    truth = [0.4, 0.9, 0.8, 0.8, np.log(1.7)]
    assert np.all(np.abs(fit.coefficients - truth) < 4 * fit.standard_errors)
    assert fit.overdispersion.p_value < 1e-6
    plain = fit_count(frame.assign(N=np.minimum(frame["N"], 9)), "N", "AUC", follow_up="T")
    assert plain.curve(None, [0.5, 2.0])["rate"].is_monotonic_increasing


def test_negative_binomial_is_that_of_glm_nb():
    i = np.arange(1, 61)
    frame = pd.DataFrame(
        {
            "X": (i * 37) % 60 / 10,
            "G": np.array(["a", "b", "c"])[i % 3],
            "N": (i * i * 7) % 11 * (1 + (i % 4 == 0)),
        }
    )
    fit = fit_count(frame, "N", "X", "G", slopes="common")
    # MASS 7.3: glm.nb(N ~ x + g - 1); its SE of theta is moved to the logarithm
    theirs = [2.1006782349, 2.0420413320, 2.0688995679, -0.0145842575, np.log(2.5978857517)]
    np.testing.assert_allclose(fit.coefficients, theirs, atol=1e-7)
    se = [0.22095482918, 0.22554475197, 0.22896346437, 0.05364302009, 0.6997488508 / 2.5978857517]
    np.testing.assert_allclose(fit.standard_errors, se, rtol=1e-6)
    assert fit.log_likelihood == pytest.approx(-178.8056743469, abs=1e-8)


def test_poisson_with_too_much_spread_is_noted():
    with pytest.warns(PkpdWarning, match="W_OVERDISPERSION"):
        fit = fit_count(events(), "N", "AUC", follow_up="T", family="poisson")
    assert fit.theta == np.inf


def test_json_brings_back_the_fit():
    fit = fit_count(events(), "N", "AUC", "TUMOR", follow_up="T")
    again = from_json(to_json(fit))
    pd.testing.assert_frame_equal(again.curve("a", [1.0]), fit.curve("a", [1.0]), rtol=0, atol=0)
    assert again.rate("b", [1.0, 2.0], again.draws(3)).shape == (3, 2)


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        ({"N": 1.5}, {}, InputError, "E_COUNT_NOT_WHOLE"),
        ({"N": -1}, {}, InputError, "E_COUNT_NOT_WHOLE"),
        ({"N": np.nan}, {}, InputError, "E_COUNT_MISSING"),
        ({"T": 0.0}, {"follow_up": "T"}, InputError, "E_FOLLOW_UP_NOT_POSITIVE"),
        ({}, {"family": "binomial"}, InputError, "E_OPTION"),
        ({"N": lambda d: d["N"] * (d["TUMOR"] == "a")}, {}, FitError, "E_NO_MAXIMUM.*histology b"),
        ({"N": lambda d: np.tile([1, 2], len(d) // 2)}, {}, FitError, "E_NO_OVERDISPERSION"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(change, arguments, error, message):
    with pytest.raises(error, match=message):
        fit_count(events().assign(**change), "N", "AUC", "TUMOR", **arguments)
