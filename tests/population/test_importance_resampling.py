"""SIR on a Gaussian target, where its weights are known, and on a random intercept, against quadrature."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, stats

import pkpd
from pkpd.distributions import ParameterDistribution
from pkpd.errors import FitError, InputError
from pkpd.population.importance_resampling import _weights
from pkpd.results import from_json, to_json
from tests import naive
from tests.population.intercept import dataset, intercept, measurements

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def gaussian():
    """Only the mean is free: the OFV is a parabola and the proposal is the target."""
    known = intercept.replace(omega={"BASE": 1.2}, sigma={"ADD": 0.6}).fix("OMEGA(BASE,BASE)", "SD(ADD)")
    return pkpd.fit(known, dataset(measurements()), pkpd.FOCEI(covariance="R"))


def test_of_a_gaussian_target_all_weights_are_equal(gaussian):
    found = pkpd.sir(gaussian, [300], [200], seed=1)
    assert found.iterations["ess"].iloc[0] == pytest.approx(300, rel=1e-6)
    assert found.iterations["largest_weight"].iloc[0] == pytest.approx(1 / 300, rel=1e-6)
    assert (found.resamples["SD(ADD)"] == 0.6).all()
    se = math.sqrt((1.2 + 0.36 / 3) / 14)
    deviation = (found.resamples["BASE"] - gaussian.parameter_estimates["BASE"]) / se
    np.testing.assert_allclose(found.ofv_differences, deviation**2, atol=1e-6)
    assert np.isnan(found.table.loc["SD(ADD)", "se"])


def test_of_a_gaussian_target_a_wide_proposal_is_weighed_down(gaussian):
    found = pkpd.sir(gaussian, [2000], [400], seed=1, inflation=4.0)
    # E w² / (E w)² of N(0, 1) against N(0, 4): sd·sd/√(2·4 - 1)
    assert found.iterations["ess"].iloc[0] / 2000 == pytest.approx(math.sqrt(7) / 4, rel=0.05)
    se = math.sqrt((1.2 + 0.36 / 3) / 14)
    scaled = (found.resamples["BASE"] - gaussian.parameter_estimates["BASE"]) / se
    # keeping 400 of 2000 without replacement widens a little; the spread itself is known to 1/√800
    assert scaled.std() == pytest.approx(1.0, abs=0.17)
    assert stats.kstest(scaled, "norm").pvalue > 1e-3


@pytest.fixture(scope="module")
def fit():
    return pkpd.fit(intercept, dataset(measurements()), pkpd.FOCEI(covariance="R"))


def test_of_a_skewed_target_it_is_that_of_quadrature(fit):
    """Mean of log sd(b) under the likelihood with a flat measure on the natural scale."""
    y = measurements()
    found = pkpd.sir(fit, [600, 2000], [150, 200], seed=2)
    n, m = y.shape
    means = y.mean(axis=1)
    within = float(np.sum((y - means[:, None]) ** 2))
    between = m * float(np.sum((means - means.mean()) ** 2))

    def density(log_variance, log_sd):
        variance, sd = math.exp(log_variance), math.exp(log_sd)
        lam = sd**2 + m * variance
        # mu integrated out of the likelihood: one power of lam less
        log_like = -0.5 * (
            n * (m - 1) * math.log(sd**2) + within / sd**2 + (n - 1) * math.log(lam) + between / lam
        )
        return math.exp(log_like + 20) * variance * sd

    box = (math.log(0.2), math.log(0.2), math.log(1.8), math.log(60))
    moments = [
        integrate.dblquad(
            lambda v, s, k=k: v**k * density(v, s), box[0], math.log(1.8), box[1], math.log(60)
        )[0]
        for k in (0, 1, 2)
    ]
    mean = moments[1] / moments[0]
    sd = math.sqrt(moments[2] / moments[0] - mean**2)
    logs = np.log(found.resamples["OMEGA(BASE,BASE)"])
    # 200 vectors: standard errors of sd/√200 and sd/√400, and a little towards the proposal for keeping none twice
    assert logs.mean() == pytest.approx(mean, abs=0.2 * sd)
    assert logs.std() == pytest.approx(sd, rel=0.15)
    assert naive.random_intercept_ofv(y, *found.resamples.iloc[0]) - fit.ofv == pytest.approx(
        found.ofv_differences.iloc[0], abs=1e-6
    )
    assert found.iterations["ess"].iloc[-1] > 200 and not found.warnings


def test_same_bits_in_threads_and_from_the_store(fit, tmp_path):
    serial = pkpd.sir(fit, [120, 120], [40, 60], seed=5)
    with ThreadPoolExecutor(2) as pool:
        threads = pkpd.sir(fit, [120, 120], [40, 60], seed=5, executor=pool, store=tmp_path)
    assert to_json(threads) == to_json(serial)
    assert to_json(pkpd.sir(fit, [120, 120], [40, 60], seed=5, store=tmp_path)) == to_json(serial)
    assert to_json(from_json(to_json(serial))) == to_json(serial)
    assert isinstance(serial, ParameterDistribution)
    assert set(map(tuple, serial.draw(9, 0).to_numpy())) <= set(map(tuple, serial.resamples.to_numpy()))


def test_a_fit_that_is_not_at_its_minimum_is_seen(fit):
    shifted = fit.parameters.copy()
    shifted.loc["BASE", "estimate"] += 0.8
    with_note = pkpd.sir(replace(fit, parameters=shifted), [100], [30], seed=1)
    assert any("W_SIR_LOWER" in w for w in with_note.warnings)


def test_arguments_that_cannot_be_used_are_refused(fit):
    for bad in ({"samples": [10], "resamples": [11]}, {"samples": [10, 10], "resamples": [5]}, {"samples": []},
                {"inflation": 0}, {"level": 2}, {"seed": -1}, {"samples": [50, 50], "resamples": [3, 10]}):  # fmt: skip
        with pytest.raises(InputError, match="E_ARGUMENT"):
            pkpd.sir(fit, **bad)
    bare = pkpd.fit(intercept, fit.data, pkpd.FOCEI(covariance=None))
    with pytest.raises(FitError, match="E_NO_COVARIANCE"):
        pkpd.sir(bare)


def test_vectors_none_of_which_can_be_evaluated_have_no_weight():
    # they had NaN, which counted as weights
    weights = _weights(np.ones((3, 1)), np.eye(1), np.full(3, np.inf), np.zeros(3))
    np.testing.assert_array_equal(weights, 0)


def test_draws_of_a_fit_stay_where_they_belong(fit):
    draws = fit.draw(4000, 7)
    assert list(draws.columns) == list(fit.parameters.index)
    assert (draws[["OMEGA(BASE,BASE)", "SD(ADD)"]] > 0).all(axis=None)
    # the mean is searched as it is: its draws are normal with the covariance of the fit
    z = (draws["BASE"] - fit.parameter_estimates["BASE"]) / fit.standard_errors["BASE"]
    assert stats.kstest(z, "norm").pvalue > 1e-3
    # a log-normal SD: the first-order standard error is that of its logarithm
    relative = np.log(draws["SD(ADD)"]).std()
    assert relative == pytest.approx(fit.relative_standard_errors["SD(ADD)"], rel=0.05)
    assert draws.equals(fit.draw(4000, 7)) and not draws.equals(fit.draw(4000, 8))
