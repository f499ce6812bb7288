import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.distributions import HalfCauchy, HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology import normal_hierarchical
from pkpd.results import from_json, to_json

PUBLISHED = json.loads((Path(__file__).parents[1] / "reference" / "normal_hierarchical.json").read_text())
PRIORS = {
    "crins": (HalfNormal(0.5), Normal(0, 4)),
    "eightschools": (HalfCauchy(25), Normal(0, 50)),
    "bcg": (HalfNormal(0.5), Normal(0, 4)),
}


def fitted(name):
    case = PUBLISHED[name]
    tau, mu = PRIORS[name]
    return case, normal_hierarchical(case["y"], case["sigma"], tau=tau, mu=mu)


@pytest.mark.parametrize("name", PRIORS)
def test_between_histology_sd_agrees_with_bayesmeta(name):
    case, ours = fitted(name)
    # bayesmeta integrates tau numerically to 10 printed digits
    assert ours.tau_mean == pytest.approx(case["tau"]["mean"], rel=1e-9)
    assert ours.tau_sd == pytest.approx(case["tau"]["sd"], rel=1e-9)
    assert ours.tau_median == pytest.approx(case["tau"]["median"], rel=1e-9)
    assert ours.tau_probability_above(0.5) == pytest.approx(case["p_tau_above_05"], rel=1e-8)
    assert ours.bayes_factor_homogeneous == pytest.approx(case["bayes_factor_tau0"], rel=1e-8)


@pytest.mark.parametrize("name", PRIORS)
def test_effects_agree_with_bayesmeta(name):
    case, ours = fitted(name)
    # bayesmeta replaces the continuous mixture over tau by a grid of controlled divergence (0.01) for mu and
    # theta
    scale = np.array(case["sigma"])
    assert ours.mu_mean == pytest.approx(case["mu"]["mean"], abs=2e-4 * scale.max())
    assert ours.mu_sd == pytest.approx(case["mu"]["sd"], abs=2e-4 * scale.max())
    assert ours.predictive_sd == pytest.approx(case["predictive_sd"], abs=3e-4 * scale.max())
    np.testing.assert_allclose(ours.table["shrunken_mean"], case["theta_mean"], atol=2e-4 * scale.max())
    np.testing.assert_allclose(ours.table["shrunken_sd"], case["theta_sd"], atol=2e-4 * scale.max())
    assert ours.mu_probability_above(0.0) == pytest.approx(case["p_mu_above_0"], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "mean", "sd"), [("eightschools", 7.986042, 4.995598), ("crins", -1.57642537, 0.32936815)]
)
def test_overall_mean_agrees_with_an_independent_quadrature(name, mean, sd):
    _, ours = fitted(name)
    digits = 1e-6 if name == "eightschools" else 1e-8
    assert (ours.mu_mean, ours.mu_sd) == (pytest.approx(mean, abs=digits), pytest.approx(sd, abs=digits))


def brute_force(y, covariance, tau, mu):
    """The same posterior on a fine grid of τ, with matrices written out."""
    grid = (np.arange(1500) + 0.5) * (6 * tau.scale / 1500)
    k, one = len(y), np.ones(len(y))
    weight, effects, seconds, means = [], [], [], []
    for t in grid:
        v = covariance + t * t * np.eye(k)
        weight.append(
            stats.multivariate_normal(mu.mean * one, v + mu.sd**2).logpdf(y)
            + stats.halfnorm(scale=tau.scale).logpdf(t)
        )
        # joint normal of (theta, y) with mu integrated out
        prior = t * t * np.eye(k) + mu.sd**2
        gain = prior @ np.linalg.inv(prior + covariance)
        mean = mu.mean + gain @ (y - mu.mean)
        variance = np.diag(prior - gain @ prior)
        effects.append(mean)
        seconds.append(variance + mean**2)
        c = mu.sd**2 * one
        means.append(mu.mean + c @ np.linalg.inv(v + mu.sd**2) @ (y - mu.mean))
    weight = np.exp(np.array(weight) - max(weight))
    weight /= weight.sum()
    mean = weight @ np.array(effects)
    return {
        "tau_mean": weight @ grid,
        "mu_mean": weight @ np.array(means),
        "mean": mean,
        "sd": np.sqrt(weight @ np.array(seconds) - mean**2),
    }


def correlated():
    y = np.array([0.10, -0.25, 0.45, 0.05])
    rng = np.random.default_rng(3)
    a = rng.normal(size=(4, 6))
    return y, 0.01 * (a @ a.T) + 0.01


def test_full_covariance_agrees_with_brute_force():
    y, covariance = correlated()
    tau, mu = HalfNormal(0.3), Normal(0.1, 1.0)
    ours, slow = (
        normal_hierarchical(y, covariance=covariance, tau=tau, mu=mu),
        brute_force(y, covariance, tau, mu),
    )
    # the grid of the slow twin is a midpoint rule of 1500 points
    assert ours.tau_mean == pytest.approx(slow["tau_mean"], rel=1e-3)
    assert ours.mu_mean == pytest.approx(slow["mu_mean"], rel=1e-3)
    np.testing.assert_allclose(ours.table["shrunken_mean"], slow["mean"], atol=1e-4)
    np.testing.assert_allclose(ours.table["shrunken_sd"], slow["sd"], atol=1e-4)


def test_covariance_matters_and_diagonal_equals_standard_errors():
    y, covariance = correlated()
    se = np.sqrt(np.diag(covariance))
    independent = normal_hierarchical(y, se)
    pd.testing.assert_frame_equal(independent.table, normal_hierarchical(y, covariance=np.diag(se**2)).table)
    assert abs(independent.tau_mean - normal_hierarchical(y, covariance=covariance).tau_mean) > 0.01


def test_tau_quantiles_and_intervals_hold_their_mass():
    _, ours = fitted("eightschools")
    assert ours.tau_probability_above(ours.tau_median) == pytest.approx(0.5, abs=1e-9)
    assert ours.tau_probability_above(0.0) == pytest.approx(1.0)
    assert ours.predictive_lower < ours.mu_mean < ours.predictive_upper
    assert ours.mu_probability_above(ours.mu_mean - 8 * ours.mu_sd) > 0.999


def test_shrinkage_lies_between_own_estimate_and_mean():
    _, ours = fitted("crins")
    table = ours.table
    assert (np.abs(table["shrunken_mean"] - ours.mu_mean) < np.abs(table["estimate"] - ours.mu_mean)).all()
    assert (table["shrunken_sd"] < table["se"]).all()
    assert ((table["lower"] < table["shrunken_mean"]) & (table["shrunken_mean"] < table["upper"])).all()


def test_names_come_from_the_index_and_json_returns_the_same():
    y = pd.Series([0.1, -0.2, 0.3], index=["lung", "gastric", "breast"])
    ours = normal_hierarchical(y, [0.1, 0.1, 0.2])
    assert list(ours.table["histology"]) == ["lung", "gastric", "breast"]
    back = from_json(to_json(ours))
    assert back.tau_mean == ours.tau_mean and back.tau == HalfNormal(0.5)
    assert back.tau_probability_above(0.2) == ours.tau_probability_above(0.2)


def test_precise_estimates_far_apart_are_left_alone():
    ours = normal_hierarchical([-3.0, 0.0, 3.0], [1e-4] * 3, tau=HalfNormal(0.5))
    np.testing.assert_allclose(ours.table["shrunken_mean"], [-3.0, 0.0, 3.0], atol=1e-6)
    assert ours.bayes_factor_homogeneous < 1e-300


def test_singular_covariance_gives_no_bayes_factor():
    ours = normal_hierarchical([0.1, 0.2], covariance=np.full((2, 2), 0.04))
    assert math.isnan(ours.bayes_factor_homogeneous)
    assert ours.tau_mean > 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (([0.1], [0.1]), "E_ESTIMATES"),
        (([0.1, math.nan], [0.1, 0.1]), "E_ESTIMATES"),
        (([0.1, 0.2], [0.1, 0.0]), "E_STANDARD_ERRORS"),
        (([0.1, 0.2], [0.1]), "E_STANDARD_ERRORS"),
        (([0.1, 0.2],), "E_STANDARD_ERRORS"),
        (([0.1, 0.2], None, np.eye(3)), "E_COVARIANCE"),
        (([0.1, 0.2], None, [[1.0, 2.0], [2.0, 1.0]]), "E_COVARIANCE"),
        (([0.1, 0.2], None, [[1.0, 0.5], [0.1, 1.0]]), "E_COVARIANCE"),
        (([0.1, 0.2], [0.1, 0.1], None, Normal(0, 1)), "E_PRIOR"),
        (([0.1, 0.2], [0.1, 0.1], None, HalfNormal(1), HalfNormal(1)), "E_PRIOR"),
    ],
)
def test_unusable_input_is_refused(arguments, code):
    with pytest.raises(InputError) as caught:
        normal_hierarchical(*arguments)
    assert caught.value.code == code
