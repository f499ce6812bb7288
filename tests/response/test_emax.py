from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_emax, fit_logistic
from pkpd.response.emax_curve import EmaxLayout, emax_curve
from pkpd.response.logistic_emax import _objective
from pkpd.results import from_json, to_json
from tests.response.differences import assert_exact_derivatives

REFERENCE = os.environ.get("PKPD_REFERENCE")
needs_reference = pytest.mark.skipif(REFERENCE is None, reason="PKPD_REFERENCE is not set")


def expected():
    return json.loads((Path(REFERENCE) / "expected" / "emax_logit.json").read_text())


def continuous(seed=0, n=120):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = np.where(np.arange(n) % 6 == 0, 0.0, rng.lognormal(3, 1, n))
    top = np.where(tumour == "a", 40.0, 70.0)
    y = 5 + top * x**1.5 / (20**1.5 + x**1.5) + rng.normal(0, 4, n)
    return pd.DataFrame({"ID": np.arange(n), "TUMOR": tumour, "CONC": x, "Y": y})


def binary(seed=1, n=600):
    rng = np.random.default_rng(seed)
    tumour = np.repeat(["a", "b"], n // 2)
    x = np.where(np.arange(n) % 5 == 0, 0.0, rng.lognormal(3, 1, n))
    logit = np.where(tumour == "a", -2.0, -1.0) + np.where(tumour == "a", 3.0, 4.0) * x / (20 + x)
    return pd.DataFrame(
        {"TUMOR": tumour, "CONC": x, "Y": (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(int)}
    )


@needs_reference
@pytest.mark.parametrize(("shape", "key"), [("emax", "nls_emax"), ("sigmoid_emax", "nls_sigemax")])
def test_continuous_emax_is_that_of_nls(shape, key):
    values = expected()
    fit = fit_emax(pd.DataFrame(values["exposure.response.sample"]), "response", "exposure", shape=shape)
    theirs = values[key]
    natural = fit.coefficients.copy()
    logs = [n for n in natural.index if n.startswith("log_")]
    natural[logs] = np.exp(natural[logs])
    # nlsLM stops when the sum of squares changes by 1e-8 of itself, so its estimates carry about 1e-8
    np.testing.assert_allclose(natural, list(theirs["coef"].values()), rtol=2e-7)
    se = fit.standard_errors.copy()
    se[logs] *= natural[logs]
    np.testing.assert_allclose(se, list(theirs["se"].values()), rtol=1e-6)
    assert fit.residual_sum_of_squares == pytest.approx(theirs["RSS"], rel=1e-10)
    assert fit.residual_sd == pytest.approx(theirs["sigma"], rel=1e-10)
    assert fit.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-8)
    assert fit.aic == pytest.approx(theirs["AIC"], abs=1e-8)


@needs_reference
def test_logistic_emax_has_the_published_likelihood_and_beats_the_straight_line():
    values = expected()
    frame = pd.DataFrame(values["binary"])
    fit = fit_logistic(frame, "y", "conc", shape="emax")
    theirs = values["binary_logit_emax"]
    assert fit.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-8)
    ours = [*fit.coefficients[["intercept", "emax"]], np.exp(fit.coefficients["log_ec50"])]
    # optim's estimates: flat in EC50, so its stopping rule leaves 1e-7
    np.testing.assert_allclose(ours, [theirs["e0"], theirs["emax"], theirs["ec50"]], rtol=1e-6)
    line = fit_logistic(frame, "y", "conc", firth=False)
    assert fit.aic < line.aic


@pytest.mark.parametrize("hill", [True, False])
def test_derivatives_are_exact(hill):
    frame = binary(n=60)
    level = (frame["TUMOR"] == "b").to_numpy().astype(int)
    rows = (level[:, None] == np.arange(2)).astype(float)
    layout = EmaxLayout(2, 2, True, True, hill)
    point = np.r_[-1.0, -0.5, 2.0, 3.0, 2.5, 3.2, [0.3] * hill]
    y, x = frame["Y"].to_numpy(dtype=float), frame["CONC"].to_numpy()
    assert_exact_derivatives(lambda b: _objective(b, y, rows, x, level, layout), point)
    value, _, _ = emax_curve(point, rows, np.zeros(60), level, layout)
    np.testing.assert_array_equal(value, rows @ point[:2])  # no effect at exposure 0


def test_two_histologies_with_nothing_in_common_are_two_fits():
    frame = continuous()
    both = fit_emax(frame, "Y", "CONC", "TUMOR", ec50="separate")
    rss = 0.0
    for k in ("a", "b"):
        alone = fit_emax(frame[frame["TUMOR"] == k], "Y", "CONC")
        rss += alone.residual_sum_of_squares
        np.testing.assert_allclose(
            both.coefficients[[f"intercept[{k}]", f"emax[{k}]", f"log_ec50[{k}]"]],
            alone.coefficients,
            rtol=1e-6,
        )
    assert both.residual_sum_of_squares == pytest.approx(rss, rel=1e-10)
    data = binary()
    pair = fit_logistic(data, "Y", "CONC", "TUMOR", shape="emax", ec50="separate")
    single = [fit_logistic(data[data["TUMOR"] == k], "Y", "CONC", shape="emax") for k in ("a", "b")]
    assert pair.log_likelihood == pytest.approx(sum(s.log_likelihood for s in single), abs=1e-8)
    np.testing.assert_allclose(
        pair.curve("b", [0.0, 9.0])["lower"], single[1].curve(None, [0.0, 9.0])["lower"], rtol=1e-5
    )


def test_a_difference_of_two_curves_has_both_of_their_variances():
    # nothing in common but the residual variance: the estimates of two histologies are independent
    fit = fit_emax(continuous(), "Y", "CONC", "TUMOR", ec50="separate")
    one, two = (fit.curve(k, [9.0], level=0.9).iloc[0] for k in ("b", "a"))
    apart, lower, upper = fit.difference("b", "a", 9.0, level=0.9)
    assert apart == pytest.approx(one["response"] - two["response"], rel=1e-12)
    half = np.hypot(one["upper"] - one["response"], two["upper"] - two["response"])
    assert [lower, upper] == pytest.approx([apart - half, apart + half], rel=1e-9)


def test_units_of_exposure_move_ec50_only():
    frame = continuous()
    one = fit_emax(frame, "Y", "CONC", "TUMOR", shape="sigmoid_emax")
    two = fit_emax(frame.assign(CONC=frame["CONC"] * 1000), "Y", "CONC", "TUMOR", shape="sigmoid_emax")
    shift = two.coefficients - one.coefficients
    assert shift["log_ec50"] == pytest.approx(np.log(1000), abs=1e-6)
    np.testing.assert_allclose(shift.drop("log_ec50"), 0, atol=1e-4)
    pd.testing.assert_frame_equal(
        one.curve("a", [5.0])[["response", "lower", "upper"]],
        two.curve("a", [5000.0])[["response", "lower", "upper"]],
        rtol=1e-6,
    )


def test_truth_lies_in_its_intervals():
    fit = fit_emax(continuous(seed=3, n=600), "Y", "CONC", "TUMOR", shape="sigmoid_emax")
    truth = {"intercept[a]": 5, "emax[a]": 40, "emax[b]": 70, "log_ec50": np.log(20), "log_hill": np.log(1.5)}
    for name, value in truth.items():
        # one seeded sample: within 4 standard errors
        assert abs(fit.coefficients[name] - value) < 4 * fit.standard_errors[name]
    assert fit.residual_sd == pytest.approx(4, rel=0.15)


def test_json_brings_back_both_fits():
    first = fit_emax(continuous(), "Y", "CONC", "TUMOR")
    again = from_json(to_json(first))
    pd.testing.assert_frame_equal(again.curve("a", [1.0, 9.0]), first.curve("a", [1.0, 9.0]), rtol=0, atol=0)
    second = fit_logistic(binary(), "Y", "CONC", "TUMOR", shape="emax")
    again = from_json(to_json(second))
    np.testing.assert_array_equal(
        again.probability("a", [1.0], again.draws(3)), second.probability("a", [1.0], second.draws(3))
    )


def test_ec50_beyond_the_data_is_noted():
    frame = continuous()
    low = frame[frame["CONC"] < 12]
    with pytest.warns(PkpdWarning, match="W_EC50_OUTSIDE"):
        fit = fit_emax(low, "Y", "CONC", slopes="common", intercepts="common")
    assert fit.warnings


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: fit_emax(continuous().assign(CONC=-1.0), "Y", "CONC", slopes="common"), InputError,
        "E_SLOPE"), (lambda: fit_emax(continuous().assign(CONC=lambda d: d["CONC"] - 1), "Y", "CONC"),
        InputError, "E_EXPOSURE_NEG"), (lambda: fit_emax(continuous().iloc[:4], "Y", "CONC",
        shape="sigmoid_emax"), InputError, "E_TOO_FEW"), (lambda: fit_emax(continuous(), "Y", "CONC",
        shape="log"), InputError, "E_OPTION"), (lambda: fit_emax(continuous().assign(Y="x"), "Y", "CONC"),
        InputError, "E_RESPONSE_NOT_NUMERIC"), (lambda: fit_emax(continuous().assign(Y=1.0), "Y", "CONC"),
        InputError, "E_ENDPOINT_CONSTANT"), (lambda: fit_logistic(binary(), "Y", "CONC", shape="emax",
        firth=True), InputError, "E_OPTION"), (lambda: fit_logistic(binary(), "Y", "CONC", shape="emax",
        slopes="none"), InputError, "E_OPTION"), (lambda: fit_logistic(binary(), "Y", "CONC",
        ec50="separate"), InputError, "E_OPTION"), (lambda: fit_logistic(binary().assign(Y=lambda d:
        (d["CONC"] > 20) * 1), "Y", "CONC", shape="emax"), FitError, "E_NO_MAXIMUM"), (lambda:
        fit_logistic(binary(), "Y", "CONC", shape="emax").curve(None, [-1.0]), InputError, "E_EXPOSURE_NEG"),
        (lambda: fit_logistic(binary().assign(CONC=lambda d: d["CONC"] - 0.1), "Y", "CONC", shape="emax"),
        InputError, "E_EXPOSURE_NEG.*ID 0, 5, 10"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, error, message):
    with pytest.raises(error, match=message):
        call()
