import math

import numpy as np
import pytest
from scipy import integrate, stats

from pkpd.distributions import HalfCauchy, HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology import binomial_hierarchical
from pkpd.histology.binomial_quadrature import moments, tail
from pkpd.results import from_json, to_json

from .baskets import BASKETS, IMATINIB, REFERENCE, TAU, mu_prior


@pytest.mark.parametrize("name", BASKETS)
def test_agrees_with_fine_quadrature(name):
    basket = BASKETS[name]
    ours, theirs = binomial_hierarchical(basket["x"], basket["n"], mu_prior(basket), TAU), basket["BHM"]
    # 24 x 13 x 17 nodes against several thousand times as many
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=5e-6)
    np.testing.assert_allclose(ours.sd, theirs["sd"], atol=2e-5)
    np.testing.assert_allclose(ours.probability_above(basket["p0"]), theirs["p_gt_p0"], atol=1e-5)
    np.testing.assert_allclose((ours.mu_mean, ours.mu_sd), theirs["mu"], atol=5e-5)
    np.testing.assert_allclose((ours.tau_mean, ours.tau_sd), theirs["tau"], atol=1e-4)
    assert ours.log_evidence == pytest.approx(theirs["logZ"], abs=5e-5)


def test_agrees_with_jags_and_its_quadrature():
    theirs = REFERENCE["bhm_imatinib"]
    ours = binomial_hierarchical(IMATINIB["x"], IMATINIB["n"], Normal(-1.735, math.sqrt(1 / 0.146)), TAU)
    # the reference cuts tau off below 0.001, as JAGS must
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=1e-4)
    np.testing.assert_allclose(ours.probability_above(0.30), np.ravel(theirs["pgt"]), atol=1e-4)
    assert ours.mu_mean == pytest.approx(theirs["mu_mean"], abs=2e-4)


def test_prediction_for_a_new_histology_agrees_with_rbest():
    case = REFERENCE["rbest_as"]
    ours = binomial_hierarchical(
        [row["r"] for row in case["data"]], [row["n"] for row in case["data"]], Normal(0, 2), HalfNormal(1)
    )
    assert ours.predictive_mean == pytest.approx(case["theta_pred"]["mean"], abs=5e-6)
    assert ours.predictive_sd == pytest.approx(case["theta_pred"]["sd"], abs=2e-5)
    np.testing.assert_allclose(ours.mean, case["theta"]["mean"], atol=1e-5)


@pytest.mark.parametrize(
    ("r", "n", "mu", "tau"), [(0, 5, -1.0, 3.0), (40, 40, 0.5, 0.2), (3, 200, -1.0, 1.0), (1, 1, 2.0, 4.0)]
)
def test_integral_over_one_histology_agrees_with_adaptive_quadrature(r, n, mu, tau):
    def density(theta):
        return stats.norm.pdf(theta, mu, tau) * np.exp(r * theta - n * np.logaddexp(0, theta))

    def integral(f, low=-60.0):
        points = sorted({max(low, p) for p in (mu, -4.0, -1.0, 0.0, 2.0)})
        return integrate.quad(lambda t: f(t) * density(t), low, 60, points=points, limit=500, epsabs=0)[0]

    one, data = np.ones(1), (np.array([float(r)]), np.array([float(n)]))
    ours = moments(mu * one, tau * one, *data, 41)
    mass = integral(lambda t: 1.0)
    # adaptive Gauss-Hermite with 41 nodes: worst (1e-5) for one patient under a wide prior, where the
    # likelihood
    # bends within one SD of the prior
    assert ours.log_mass[0] == pytest.approx(math.log(mass), abs=2e-5)
    assert ours.mean[0] == pytest.approx(integral(lambda t: 1 / (1 + math.exp(-t))) / mass, abs=2e-5)
    cut = -0.5
    above = integral(lambda t: 1.0, low=cut) / mass
    assert tail(mu * one, tau * one, *data, cut, 12)[0] == pytest.approx(above, abs=1e-7)


def test_shrinkage_pulls_towards_the_others():
    raw = np.array(IMATINIB["x"]) / np.array(IMATINIB["n"])
    ours = binomial_hierarchical(IMATINIB["x"], IMATINIB["n"], mu_prior(IMATINIB))
    pooled = sum(IMATINIB["x"]) / sum(IMATINIB["n"])
    assert (np.abs(ours.mean - pooled) < np.abs(raw - pooled)).sum() >= 9
    assert np.all(np.diff([ours.probability_above(c)[3] for c in (0.05, 0.1, 0.2, 0.4)]) < 0)


def test_large_histologies_are_left_alone():
    ours = binomial_hierarchical([200, 1600], [2000, 2000], Normal(0, 2), HalfNormal(1))
    np.testing.assert_allclose(ours.mean, [0.1, 0.8], atol=1e-3)
    assert ours.tau_mean > 1


def test_json_round_trip():
    ours = binomial_hierarchical([1, 3], [10, 12], Normal(-1, 2))
    back = from_json(to_json(ours))
    np.testing.assert_array_equal(back.mean, ours.mean)
    np.testing.assert_array_equal(back.probability_above(0.2), ours.probability_above(0.2))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: binomial_hierarchical([1, 2], [3, 3], mu=0.5), "E_PRIOR"),
        (lambda: binomial_hierarchical([1, 2], [3, 3], Normal(0, 2), HalfCauchy(1)), "E_PRIOR"),
        (lambda: binomial_hierarchical([4, 2], [3, 3], Normal(0, 2)), "E_RESPONDERS"),
        (lambda: binomial_hierarchical([1, 2], [3, 3], Normal(0, 2)).probability_above(1.0), "E_RATE"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
