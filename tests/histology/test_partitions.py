import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln

from pkpd.distributions import CRP, BlockCount
from pkpd.errors import InputError
from pkpd.histology import partitions
from pkpd.results import from_json, to_json

from .baskets import BASKETS, IMATINIB, REFERENCE


def test_agrees_with_enumeration_of_115_975_partitions():
    ours, theirs = partitions(IMATINIB["x"], IMATINIB["n"]), REFERENCE["partitions_crp1_imatinib"]
    assert ours.prior_homogeneous == pytest.approx(theirs["prior_hom"], rel=1e-12)
    assert ours.probability_homogeneous == pytest.approx(theirs["post_hom"], rel=1e-10)
    assert ours.bayes_factor == pytest.approx(theirs["BF_hom_vs_rest"], rel=1e-10)
    assert ours.log_bayes_factor_separate == pytest.approx(theirs["log_BF_hom_vs_allseparate"], rel=1e-10)
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=1e-10)
    np.testing.assert_allclose(ours.probability_above(0.15), theirs["p_gt"], atol=1e-10)
    np.testing.assert_allclose(ours.pairwise, theirs["pep"], atol=1e-10)
    assert ours.best == tuple(theirs["map"])
    assert ours.best_probability == pytest.approx(theirs["map_prob"], rel=1e-10)


@pytest.mark.parametrize("name", [name for name in BASKETS if "uniform_partitions" in BASKETS[name]])
def test_uniform_prior_agrees_with_enumeration(name):
    basket = BASKETS[name]
    ours, theirs = partitions(basket["x"], basket["n"], prior=BlockCount()), basket["uniform_partitions"]
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=1e-12)
    np.testing.assert_allclose(ours.probability_above(basket["p0"]), theirs["p_gt_p0"], atol=1e-12)
    np.testing.assert_allclose(ours.pairwise, theirs["pep"], atol=1e-12)
    assert ours.probability_homogeneous == pytest.approx(theirs["p_homog"], rel=1e-10)
    assert ours.best == tuple(theirs["map"])


def test_agrees_with_bmabasket():
    # bmabasket 0.1.2 with its defaults: weight e per block, Beta(0.5, 0.5), P(rate > 0.15); prints six digits
    ours = partitions(IMATINIB["x"], IMATINIB["n"], prior=BlockCount(1.0), beta=(0.5, 0.5))
    theirs = [
        0.507162,
        0.127975,
        0.378967,
        0.781705,
        0.852332,
        0.352562,
        0.708550,
        0.609574,
        0.424528,
        0.556309,
    ]
    np.testing.assert_allclose(ours.probability_above(0.15), theirs, atol=5.1e-7)


def set_partitions(items):
    if not items:
        yield []
        return
    for partition in set_partitions(items[1:]):
        yield [[items[0]], *partition]
        for i in range(len(partition)):
            yield [*partition[:i], [items[0], *partition[i]], *partition[i + 1 :]]


@pytest.mark.parametrize("prior", [CRP(2.5), BlockCount(-0.7)])
def test_agrees_with_listing_every_partition(prior):
    r, n, (a, b) = np.array([1, 7, 2, 0]), np.array([9, 10, 12, 3]), (1.0, 2.0)
    weights, means, seconds, sizes = [], [], [], []
    for partition in set_partitions(list(range(4))):
        log_weight = prior.logpdf([len(block) for block in partition])
        mean, second = np.zeros(4), np.zeros(4)
        for block in partition:
            rate = stats.beta(a + r[block].sum(), b + (n - r)[block].sum())
            log_weight += betaln(a + r[block].sum(), b + (n - r)[block].sum()) - betaln(a, b)
            mean[block], second[block] = rate.mean(), rate.var() + rate.mean() ** 2
        weights.append(math.exp(log_weight))
        means.append(mean)
        seconds.append(second)
        sizes.append(len(partition))
    p = np.array(weights) / sum(weights)
    ours = partitions(r, n, prior=prior, beta=(a, b))
    np.testing.assert_allclose(ours.mean, p @ np.array(means), rtol=1e-12)
    np.testing.assert_allclose(
        ours.sd, np.sqrt(p @ np.array(seconds) - (p @ np.array(means)) ** 2), rtol=1e-10
    )
    assert ours.probability_homogeneous == pytest.approx(p[np.array(sizes) == 1].sum())
    # marginal likelihoods: the data given one group, and given any other partition weighted by its prior
    prior_hom = math.exp(prior.logpdf([4]))
    assert ours.prior_homogeneous == pytest.approx(prior_hom)
    odds = ours.probability_homogeneous / (1 - ours.probability_homogeneous)
    assert ours.bayes_factor == pytest.approx(odds / (prior_hom / (1 - prior_hom)))
    assert ours.best_probability == pytest.approx(p.max())


def test_every_histology_is_in_one_group():
    ours = partitions(IMATINIB["x"], IMATINIB["n"])
    np.testing.assert_allclose(np.diag(ours.pairwise), 1.0, rtol=1e-12)
    np.testing.assert_allclose(ours.pairwise, ours.pairwise.T)


def test_json_round_trip():
    ours = partitions([1, 3, 5], [10, 12, 8])
    back = from_json(to_json(ours))
    assert back.best == ours.best
    np.testing.assert_array_equal(back.probability_above(0.2), ours.probability_above(0.2))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: partitions([1] * 16, [2] * 16), "E_HISTOLOGIES"),
        (lambda: partitions([1], [2]), "E_HISTOLOGIES"),
        (lambda: partitions([3, 1], [2, 2]), "E_RESPONDERS"),
        (lambda: partitions([1, 1], [2, 2], prior="uniform"), "E_PRIOR"),
        (lambda: partitions([1, 1], [2, 2], beta=(0, 1)), "E_PRIOR"),
        (lambda: partitions([1, 1], [2, 2]).probability_above(0), "E_RATE"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
