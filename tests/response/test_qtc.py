from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal

from pkpd.errors import InputError
from pkpd.response import fit_qtc
from pkpd.response.linear_mixed import fit_linear_mixed
from pkpd.results import from_json, to_json

REFERENCE = Path(__file__).parents[1] / "reference"


def ecgs(seed=0, n=40, slope=0.05, sd=(5.0, 0.02, 6.0)):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        active = i % 2
        b0, b1, base = rng.normal(0, sd[0]), rng.normal(0, sd[1]), rng.normal(400, 15)
        for t in (1, 2, 4, 8):
            c = active * 100 * np.exp(-t / 6) * rng.lognormal(0, 0.3)
            dqt = (
                -2
                + b0
                + 1.0 * active
                + (slope + b1) * c
                + 0.3 * t
                - 0.1 * (base - 400)
                + rng.normal(0, sd[2])
            )
            rows.append((i, t, active, c, base, dqt))
    return pd.DataFrame(rows, columns=["ID", "TIME", "TRT", "CONC", "BASE", "DQTC"])


def fit(frame, **options):
    options = {"treatment": "TRT"} | options
    return fit_qtc(frame, "DQTC", "CONC", time="TIME", baseline="BASE", **options)


def test_orthodont_is_that_of_nlme_and_lme4():
    values = json.loads((REFERENCE / "orthodont.json").read_text())
    frame = pd.DataFrame(values["Orthodont"])
    age, female = frame["age"].to_numpy() - 11.0, (frame["Sex"] == "Female").to_numpy(dtype=float)
    x = np.column_stack([np.ones(len(frame)), age, female, age * female])
    group = np.unique(frame["Subject"], return_inverse=True)[1]
    y, one = frame["distance"].to_numpy(dtype=float), np.ones((len(frame), 1))
    # nlme and lme4 stop at about 1e-7 in the variances
    reml = fit_linear_mixed(y, x, one, group)
    theirs = values["ri_reml"]
    np.testing.assert_allclose(reml.coefficients, list(theirs["fixef"].values()), rtol=1e-9)
    np.testing.assert_allclose(np.sqrt(np.diag(reml.covariance)), theirs["se"], rtol=1e-6)
    assert reml.residual_sd == pytest.approx(theirs["sigma"], rel=1e-6)
    assert np.sqrt(reml.random_covariance[0, 0]) == pytest.approx(theirs["sd_int"], abs=2e-6)
    assert reml.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-8)
    full = fit_linear_mixed(y, x, one, group, reml=False)
    assert full.log_likelihood == pytest.approx(values["ri_ml"]["loglik"], abs=1e-8)
    without = fit_linear_mixed(y, x[:, :3], one, group, reml=False)
    assert 2 * (full.log_likelihood - without.log_likelihood) == pytest.approx(
        values["LRT_interaction"], abs=1e-8
    )
    slopes = fit_linear_mixed(y, x, np.column_stack([one, age]), group, correlated=True)
    theirs = values["rs_reml"]
    assert slopes.log_likelihood == pytest.approx(theirs["loglik"], abs=1e-7)
    variances = [slopes.random_covariance[i, j] for i, j in ((0, 0), (1, 1), (0, 1))]
    np.testing.assert_allclose(variances, [v["vcov"] for v in theirs["vc"][:3]], rtol=2e-4)
    np.testing.assert_allclose(np.sqrt(np.diag(slopes.covariance)), theirs["se"], rtol=1e-5)


def test_likelihood_is_the_density_of_the_whole_vector():
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(6), 4)
    z = np.column_stack([np.ones(24), rng.normal(size=24)])
    x = np.column_stack([np.ones(24), rng.normal(size=24)])
    y = x @ [1.0, 2.0] + (z * rng.normal(size=(6, 2))[group]).sum(axis=1) + rng.normal(size=24)
    for correlated in (False, True):
        found = fit_linear_mixed(y, x, z, group, correlated=correlated, reml=False)
        same = group[:, None] == group
        v = same * (z @ found.random_covariance @ z.T) + found.residual_sd**2 * np.eye(24)
        assert found.log_likelihood == pytest.approx(
            multivariate_normal(x @ found.coefficients, v).logpdf(y), abs=1e-9
        )
        inverse = np.linalg.inv(v)
        np.testing.assert_allclose(found.covariance, np.linalg.inv(x.T @ inverse @ x), rtol=1e-8)
        # best linear unbiased predictions by their definition: D Z' V⁻¹ (y − Xβ)
        residual = inverse @ (y - x @ found.coefficients)
        blup = [found.random_covariance @ z[group == g].T @ residual[group == g] for g in range(6)]
        np.testing.assert_allclose(found.random_effects, blup, atol=1e-8)


def test_a_variance_of_zero_is_found():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(30), 5)
    # subjects who differ less than chance: the estimate is on the boundary
    noise = rng.normal(size=(30, 5))
    y = (noise - noise.mean(axis=1, keepdims=True)).ravel()
    found = fit_linear_mixed(y, np.ones((150, 1)), np.ones((150, 1)), group)
    assert np.sqrt(found.random_covariance[0, 0]) < 1e-4
    assert found.residual_sd == pytest.approx(np.std(y, ddof=1), rel=1e-6)


def test_truth_lies_in_its_intervals_and_the_decision_is_the_upper_end():
    found = fit(ecgs(seed=5, n=200))
    assert list(found.coefficients.index) == [
        "intercept",
        "treatment",
        "slope",
        "baseline",
        "time[2]",
        "time[4]",
        "time[8]",
    ]
    truth = {"treatment": 1.0, "slope": 0.05, "baseline": -0.1, "time[8]": 2.1}
    for name, value in truth.items():
        assert abs(found.coefficients[name] - value) < 4 * found.standard_errors[name]
    assert found.random_sd["residual"] == pytest.approx(6, rel=0.1)
    table = found.prolongation([0.0, 100.0])
    at = found.coefficients["treatment"] + 100 * found.coefficients["slope"]
    assert table.loc[1, "estimate"] == pytest.approx(at)
    c = found.covariance
    se = np.sqrt(
        c.loc["treatment", "treatment"] + 1e4 * c.loc["slope", "slope"] + 200 * c.loc["treatment", "slope"]
    )
    assert table.loc[1, "upper"] == pytest.approx(at + 1.6448536269514722 * se, rel=1e-9)


def test_units_rows_and_arms():
    frame = ecgs()
    one = fit(frame)
    two = fit(frame.assign(CONC=frame["CONC"] * 1000).sample(frac=1, random_state=1))
    assert two.coefficients["slope"] * 1000 == pytest.approx(one.coefficients["slope"], rel=1e-5)
    assert two.log_likelihood + np.log(1000) == pytest.approx(one.log_likelihood, abs=1e-6)
    arm = fit(frame, centre="arm")
    assert arm.coefficients["slope"] == pytest.approx(one.coefficients["slope"], rel=1e-5)
    assert arm.coefficients["treatment"] != pytest.approx(one.coefficients["treatment"], rel=1e-5)
    single = fit(frame[frame["TRT"] == 1], treatment=None)
    assert "treatment" not in single.coefficients.index
    assert single.prolongation(0.0).loc[0, ["estimate", "lower", "upper"]].tolist() == [0, 0, 0]
    again = from_json(to_json(one))
    pd.testing.assert_frame_equal(again.prolongation([50.0]), one.prolongation([50.0]), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"DQTC": np.nan}, {}, "E_QTC_MISSING"),
        ({"DQTC": 1.5}, {}, "E_ENDPOINT_CONSTANT"),
        ({"CONC": -1.0}, {}, "E_CONCENTRATION_NEGATIVE"),
        ({"BASE": "high"}, {}, "E_BASELINE_NOT_NUMERIC"),
        ({"TIME": np.nan}, {}, "E_TIME_MISSING"),
        ({"TRT": 2}, {}, "E_ENDPOINT_NOT_BINARY"),
        ({"CONC": lambda d: d["TRT"] * 5.0}, {}, "E_ALIASED"),
        ({"ID": 1}, {}, "E_TOO_FEW"),
        ({}, {"centre": "median"}, "E_OPTION"),
        ({}, {"centre": "arm", "treatment": None}, "E_OPTION"),
        ({}, {"treatment": "ARM"}, "E_COLUMN_MISSING"),
    ],
)
def test_bad_input_is_refused(change, options, message):
    with pytest.raises(InputError, match=message):
        fit(ecgs().assign(**change), **options)
