import math

import numpy as np
import pytest

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology import exnex
from pkpd.histology.binomial_quadrature import moments
from pkpd.results import from_json, to_json

from .baskets import BASKETS, IMATINIB, REFERENCE, TAU, mu_prior


@pytest.mark.parametrize("name", BASKETS)
def test_agrees_with_fine_quadrature(name):
    basket = BASKETS[name]
    prior = mu_prior(basket)
    ours, theirs = exnex(basket["x"], basket["n"], [(0.5, prior, TAU)], (0.5, prior)), basket["EXNEX"]
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=2e-6)
    np.testing.assert_allclose(ours.sd, theirs["sd"], atol=5e-6)
    np.testing.assert_allclose(ours.probability_exchangeable, theirs["p_ex"], atol=5e-6)
    np.testing.assert_allclose(ours.probability_above(basket["p0"]), np.ravel(theirs["pgt"]), atol=2e-5)


MU, ALONE = Normal(-1.735, math.sqrt(1 / 0.146)), Normal(-1.734, math.sqrt(1 / 0.128))


def test_agrees_with_the_published_imatinib_analysis():
    ours = exnex(
        IMATINIB["x"], IMATINIB["n"], [(0.5, MU, TAU), (0.0, Normal(0.847, 1.94), TAU)], (0.5, ALONE)
    )
    theirs = REFERENCE["exnex_imatinib"]
    # the reference cuts tau off below 0.001
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=1e-4)
    np.testing.assert_allclose(ours.component_probability, theirs["pcomp"], atol=2e-4)
    assert (ours.component_probability[:, 1] == 0).all()
    printed = [0.1508, 0.0529, 0.1270, 0.1885, 0.2051, 0.1314, 0.1767, 0.1786, 0.1302, 0.1573]
    np.testing.assert_allclose(ours.mean, printed, atol=1e-3)  # 10 000-draw MCMC of the bhmbasket vignette


def double_integral(r, n, components, alone):
    """Two components, every pair of their nodes: Σ_i Σ_j ω_i ω_j Π_k (w1 L1 + w2 L2 + w0 N)."""
    weight_alone, prior = alone
    own = moments(np.full(r.size, prior.mean), np.full(r.size, prior.sd), r, n, 61)
    grids = []
    for weight, mu, tau in components:
        mus = mu.mean + mu.sd * np.linspace(-6, 6, 61)
        taus = (np.arange(30) + 0.5) / 30 * 5 * tau.scale
        at, spread = (a.ravel()[:, None] for a in np.meshgrid(mus, taus, indexing="ij"))
        omega = np.exp(mu.logpdf(at[:, 0]) + tau.logpdf(spread[:, 0]))
        found = moments(at, spread, r, n, 21)
        grids.append((omega / omega.sum(), weight * np.exp(found.log_mass), found.mean))
    (omega1, l1, p1), (omega2, l2, p2) = grids
    rest = weight_alone * np.exp(own.log_mass)
    total, mean, inside = 0.0, np.zeros(r.size), np.zeros((r.size, 2))
    for i in range(omega1.size):
        mixture = l1[i] + l2 + rest
        weight = omega1[i] * omega2 * mixture.prod(axis=1)
        total += weight.sum()
        share1, share2 = l1[i] / mixture, l2 / mixture
        mean += weight @ (share1 * p1[i] + share2 * p2 + (1 - share1 - share2) * own.mean)
        inside += np.stack([weight @ share1, weight @ share2], axis=1)
    return mean / total, inside / total


def test_two_components_agree_with_the_double_integral():
    r, n = np.array([1.0, 6.0, 2.0]), np.array([12.0, 10.0, 8.0])
    components = [(0.3, Normal(-1.5, 0.8), HalfNormal(0.5)), (0.2, Normal(0.8, 0.8), HalfNormal(0.5))]
    ours = exnex(r, n, components, (0.5, Normal(0, 1.5)))
    mean, inside = double_integral(r, n, components, (0.5, Normal(0, 1.5)))
    # the slow twin uses a midpoint rule of 30 nodes in tau
    np.testing.assert_allclose(ours.mean, mean, atol=2e-4)
    np.testing.assert_allclose(ours.component_probability[:, :2], inside, atol=5e-4)
    np.testing.assert_allclose(ours.component_probability.sum(axis=1), 1.0)


def test_splitting_a_component_in_two_of_no_weight_changes_nothing():
    one = exnex(IMATINIB["x"], IMATINIB["n"], [(0.5, MU, TAU)], (0.5, ALONE))
    two = exnex(IMATINIB["x"], IMATINIB["n"], [(0.5 - 1e-10, MU, TAU), (1e-10, MU, TAU)], (0.5, ALONE))
    np.testing.assert_allclose(two.mean, one.mean, atol=1e-8)
    np.testing.assert_allclose(two.sd, one.sd, atol=1e-8)
    assert two.log_evidence == pytest.approx(one.log_evidence, abs=1e-7)


def test_a_histology_that_stands_apart_is_found():
    ours = exnex(
        [2, 3, 2, 18], [20, 20, 20, 20], [(0.5, Normal(-2, 2), HalfNormal(0.5))], (0.5, Normal(0, 2))
    )
    assert ours.probability_exchangeable.argmin() == 3
    assert ours.probability_exchangeable[3] < 0.3 < ours.probability_exchangeable[0]


def test_priors_may_differ_per_histology_and_json_returns_the_same():
    alone = [Normal(-2, 1), Normal(0, 1)]
    ours = exnex([1, 1], [4, 4], [(0.2, Normal(-1, 1), HalfNormal(1))], (0.8, alone))
    assert ours.mean[0] < ours.mean[1]
    back = from_json(to_json(ours))
    np.testing.assert_array_equal(back.probability_above(0.3), ours.probability_above(0.3))


@pytest.mark.parametrize(
    ("shared", "alone", "code"),
    [
        ([(0.5, MU, TAU)], (0.4, ALONE), "E_WEIGHTS"),
        ([(1.5, MU, TAU)], (-0.5, ALONE), "E_WEIGHTS"),
        ([(1.0, MU, TAU)], (0.0, ALONE), "E_WEIGHTS"),
        ([(0.2, MU, TAU)] * 3, (0.4, ALONE), "E_WEIGHTS"),
        ([(0.5, TAU, MU)], (0.5, ALONE), "E_PRIOR"),
        ([(0.5, MU, TAU)], (0.5, [ALONE]), "E_PRIOR"),
        ([0.5], (0.5, ALONE), "E_PRIOR"),
    ],
)
def test_unusable_priors_are_refused(shared, alone, code):
    with pytest.raises(InputError) as caught:
        exnex([1, 2], [5, 5], shared, alone)
    assert caught.value.code == code
