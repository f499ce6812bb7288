"""Profile likelihood against the closed forms of a random intercept, and where the data set no limit."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

import pkpd
from pkpd.errors import InputError
from pkpd.results import from_json, to_json
from tests import naive
from tests.population.intercept import dataset, intercept, measurements

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
TARGET = stats.chi2.ppf(0.95, 1)
# the profile is followed until it has risen by 3.84 ± 0.001, which moves a limit by 1e-4 of its distance
CLOSE = 5e-4


@pytest.fixture(scope="module")
def fit():
    return pkpd.fit(intercept, dataset(measurements()), pkpd.FOCEI(covariance="R"))


@pytest.fixture(scope="module")
def profiled(fit):
    return pkpd.profile(fit)


def limits(profiled, name):
    return profiled.table.loc[name, ["lower", "upper"]].to_numpy(float)


def test_of_a_mean(profiled):
    y = measurements()
    n = len(y)
    means = y.mean(axis=1)
    # OFV(mu) = n log(Σ(ȳᵢ - mu)²/n) + constant: the within-subject variance does not move
    half = math.sqrt(np.sum((means - means.mean()) ** 2) / n * math.expm1(TARGET / n))
    np.testing.assert_allclose(
        limits(profiled, "BASE"), means.mean() + np.array([-half, half]), atol=CLOSE * half
    )


def profile_of(y, name, value):
    """Minimum of the OFV over the other parameters, by Nelder-Mead on the full likelihood."""
    mu, variance, sd = naive.random_intercept_ml(y)

    def at(rest):
        full = {"OMEGA": (rest[0], value, math.exp(rest[1])), "SD": (rest[0], math.exp(rest[1]), value)}[name]
        return naive.random_intercept_ofv(y, *full)

    start = [mu, math.log(sd if name == "OMEGA" else variance)]
    options = {"xatol": 1e-8, "fatol": 1e-10, "maxiter": 2000}
    return optimize.minimize(at, start, method="Nelder-Mead", options=options).fun


@pytest.mark.parametrize(("name", "short"), [("OMEGA(BASE,BASE)", "OMEGA"), ("SD(ADD)", "SD")])
def test_of_a_variance(profiled, name, short):
    y = measurements()
    lowest = naive.random_intercept_ofv(y, *naive.random_intercept_ml(y))
    for limit in limits(profiled, name):
        assert profile_of(y, short, limit) - lowest == pytest.approx(TARGET, abs=2e-3)
    walked = profiled.points[profiled.points["parameter"] == name]
    assert walked["value"].is_monotonic_increasing
    for _, point in walked.iloc[::3].iterrows():
        assert profile_of(y, short, point["value"]) - lowest == pytest.approx(
            point["ofv_difference"], abs=1e-5
        )


def test_of_a_quadratic_it_is_the_wald_interval():
    known = intercept.replace(omega={"BASE": 1.2}, sigma={"ADD": 0.6}).fix("OMEGA(BASE,BASE)", "SD(ADD)")
    fit = pkpd.fit(known, dataset(measurements()), pkpd.FOCEI(covariance="R"))
    found = pkpd.profile(fit, level=0.9).table.loc["BASE"]
    z = stats.norm.ppf(0.95)
    se = math.sqrt((1.2 + 0.36 / 3) / 14)
    np.testing.assert_allclose(fit.standard_errors["BASE"], se, rtol=1e-6)
    np.testing.assert_allclose(
        [found["lower"], found["upper"]], found["estimate"] + z * se * np.array([-1, 1]), atol=CLOSE
    )


def test_with_a_prior_of_a_quadratic_it_is_the_posterior_interval():
    known = intercept.replace(omega={"BASE": 1.2}, sigma={"ADD": 0.6}).fix("OMEGA(BASE,BASE)", "SD(ADD)")
    fit = pkpd.fit(known, dataset(measurements()), pkpd.MAP(priors={"BASE": pkpd.Normal(5.0, 0.2)}))
    found = pkpd.profile(fit).table.loc["BASE"]
    weights = np.array([14 / (1.2 + 0.36 / 3), 1 / 0.2**2])
    mean = weights @ [measurements().mean(), 5.0] / weights.sum()
    ends = mean + stats.norm.ppf(0.975) / math.sqrt(weights.sum()) * np.array([-1, 1])
    np.testing.assert_allclose([found["lower"], found["upper"]], ends, atol=CLOSE)


def test_a_method_that_draws_has_no_profile(fit):
    noisy = replace(fit, method=pkpd.SAEM())
    for call in (
        pkpd.profile,
        pkpd.sir,
        lambda f: pkpd.stepwise(f, {"BASE": "TUMOR"}),
        lambda f: pkpd.randomisation_test(f, "TUMOR"),
    ):
        with pytest.raises(InputError, match="E_METHOD_NOISY"):
            call(noisy)


def test_a_limit_that_the_data_do_not_set_is_the_bound():
    y = measurements()
    y += 0.8 * (y.mean() - y.mean(axis=1, keepdims=True))  # hardly any variability between subjects is left
    fit = pkpd.fit(intercept, dataset(y), pkpd.FOCEI(covariance="R"))
    found = pkpd.profile(fit, "OMEGA(BASE,BASE)")
    assert found.table.loc["OMEGA(BASE,BASE)", "lower"] == 0
    assert "no lower limit" in found.notes[0]
    assert found.table.loc["OMEGA(BASE,BASE)", "upper"] > fit.parameter_estimates["OMEGA(BASE,BASE)"]


def test_same_bits_in_threads_and_from_the_store(fit, profiled, tmp_path):
    with ThreadPoolExecutor(2) as pool:
        threads = pkpd.profile(fit, executor=pool, store=tmp_path)
    assert to_json(threads) == to_json(profiled)
    again = pkpd.profile(fit, store=tmp_path)
    assert to_json(again) == to_json(profiled)
    assert to_json(from_json(to_json(again))) == to_json(again)


def test_parameters_that_cannot_be_profiled_are_refused(fit):
    with pytest.raises(InputError, match="E_PARAMETER_NAME"):
        pkpd.profile(fit, "CL")
    fixed = pkpd.fit(intercept.fix("SD(ADD)"), fit.data, pkpd.FOCEI(covariance=None))
    with pytest.raises(InputError, match="is fixed"):
        pkpd.profile(fixed, ["SD(ADD)"])


@pkpd.model
def block(m):
    base, slope = m.etas("BASE", "SLOPE", variance=[[1.0], [0.1, 0.2]])
    m.observe("y", m.theta("BASE", 5.0) + base + slope * m.time, additive=m.sigma("ADD", 1.0))


def test_a_parameter_without_bounds_is_searched_and_profiled_far_from_its_start():
    """From 1 to 1000: steps of one each had ended at 301, and its profile at 30 from there, "the data set no limit"."""
    y = 1000 + 100 * (measurements() - 6)
    start = intercept.replace(theta={"BASE": 1.0})
    found = pkpd.fit(start, dataset(y))
    mu, variance, sd = naive.random_intercept_ml(y)
    assert found.minimization_successful
    np.testing.assert_allclose(found.parameter_estimates, [mu, variance, sd], rtol=1e-4)
    means, n = y.mean(axis=1), len(y)
    half = math.sqrt(np.sum((means - means.mean()) ** 2) / n * math.expm1(TARGET / n))
    interval = limits(pkpd.profile(found, "BASE"), "BASE")
    np.testing.assert_allclose(interval, means.mean() + np.array([-half, half]), atol=CLOSE * half)


def test_of_any_element_of_a_block():
    """Against Nelder-Mead on the multivariate normal density, over what the element held leaves free."""
    random, t = np.random.default_rng(3), np.arange(4.0)
    effects = random.multivariate_normal([5.0, 0.0], [[1.0, 0.35], [0.35, 0.4]], 25)
    y = effects[:, :1] + effects[:, 1:] * t + random.normal(0, 0.7, (25, 4))
    design = np.stack([np.ones(4), t], axis=1)

    def ofv(mean, a, c, b, log_sd):
        v = design @ np.array([[a, c], [c, b]]) @ design.T + math.exp(2 * log_sd) * np.eye(4)
        sign, log_det = np.linalg.slogdet(v)
        rest = y - mean
        if sign <= 0 or a * b <= c * c or min(a, b) <= 0:
            return math.inf
        return 25 * log_det + np.einsum("ij,jk,ik->", rest, np.linalg.inv(v), rest)

    fit = pkpd.fit(block, dataset(y), pkpd.FOCEI(covariance="R"))
    best = np.array(fit.parameter_estimates, dtype=float)
    best[-1] = math.log(best[-1])
    assert ofv(*best) == pytest.approx(fit.ofv, abs=1e-6)
    names = ["OMEGA(BASE,BASE)", "OMEGA(SLOPE,BASE)", "OMEGA(SLOPE,SLOPE)"]
    table = pkpd.profile(fit, names).table
    options = {"xatol": 1e-7, "fatol": 1e-9, "maxiter": 4000}
    for place, name in enumerate(names, start=1):
        for limit in table.loc[name, ["lower", "upper"]]:
            # a start that leaves room for what is held
            at = best.copy()
            at[place] = limit
            if place == 2:
                at[[1, 3]] = np.maximum(at[[1, 3]], 1.2 * abs(limit))
            else:
                at[2] = min(at[2], 0.9 * math.sqrt(at[1] * at[3]))
            found = optimize.minimize(
                lambda rest, place=place, limit=limit: ofv(*np.insert(rest, place, limit)),
                np.delete(at, place),
                method="Nelder-Mead",
                options=options,
            )
            assert found.fun - fit.ofv == pytest.approx(TARGET, abs=2e-3)
