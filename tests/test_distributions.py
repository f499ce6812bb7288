import math

import numpy as np
import pytest
from scipy import stats

from pkpd.distributions import CRP, BlockCount, HalfCauchy, HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.results import from_json, to_json


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Normal(1.5, 2.5), stats.norm(1.5, 2.5)),
        (HalfNormal(0.5), stats.halfnorm(scale=0.5)),
        (HalfCauchy(25.0), stats.halfcauchy(scale=25.0)),
    ],
)
def test_log_density_agrees_with_scipy(ours, theirs):
    x = np.array([0.0, 1e-6, 0.3, 2.0, 17.0])
    np.testing.assert_allclose(ours.logpdf(x), theirs.logpdf(x), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("prior", [HalfNormal(0.5), HalfCauchy(1.0)])
def test_half_distributions_have_no_mass_below_zero(prior):
    assert prior.logpdf(-0.1) == -math.inf
    assert prior.logpdf(np.array([-1.0, 1.0]))[0] == -math.inf


def test_quadrature_ends_hold_nearly_all_mass():
    assert stats.halfnorm.sf(HalfNormal(3.0).upper() / 3.0) < 1e-18
    assert stats.halfcauchy.sf(HalfCauchy(3.0).upper() / 3.0) < 1e-12


def _partitions(items):
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for partition in _partitions(rest):
        yield [[first], *partition]
        for i in range(len(partition)):
            yield [*partition[:i], [first, *partition[i]], *partition[i + 1 :]]


@pytest.mark.parametrize(
    "prior", [CRP(0.3), CRP(1.0), CRP(4.0), BlockCount(), BlockCount(1.0), BlockCount(-2.0)]
)
def test_priors_sum_to_one_over_all_partitions(prior):
    total = sum(math.exp(prior.logpdf([len(b) for b in p])) for p in _partitions(list(range(6))))
    assert total == pytest.approx(1.0, abs=1e-12)


def test_crp_one_gives_one_block_probability_one_over_k():
    assert math.exp(CRP(1).logpdf([10])) == pytest.approx(0.1, rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Normal(0, 0),
        lambda: Normal(math.nan, 1),
        lambda: HalfNormal(-1),
        lambda: HalfCauchy(math.inf),
        lambda: CRP(0),
        lambda: CRP(1).logpdf([0, 2]),
        lambda: BlockCount(float("nan")),
        lambda: BlockCount(1).logpdf([]),
    ],
)
def test_impossible_parameters_are_refused(make):
    with pytest.raises(InputError, match="E_DISTRIBUTION"):
        make()


@pytest.mark.parametrize("value", [Normal(1, 2), HalfNormal(0.2), HalfCauchy(3.0), CRP(2.0), BlockCount(1.0)])
def test_json_round_trip(value):
    assert from_json(to_json(value)) == value
