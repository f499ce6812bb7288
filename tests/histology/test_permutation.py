from itertools import product
from math import comb

import numpy as np
import pytest

from pkpd.errors import InputError
from pkpd.histology import permutation

from .baskets import BASKETS


@pytest.mark.parametrize("name", BASKETS)
def test_statistics_agree_with_r(name):
    basket = BASKETS[name]
    for statistic, key in (("likelihood_ratio", "LRT"), ("pearson", "pearson")):
        ours = permutation(basket["x"], basket["n"], statistic=statistic, n_permutations=200)
        assert ours.statistic == pytest.approx(basket[key], rel=1e-12)
        assert ours.p_chi2 == pytest.approx(basket[f"{key}_p"], rel=1e-10)
        assert ours.df == len(basket["x"]) - 1


@pytest.mark.parametrize("name", BASKETS)
def test_p_value_agrees_with_400_000_permutations_in_r(name):
    basket = BASKETS[name]
    ours = permutation(basket["x"], basket["n"], n_permutations=40_000, seed=1)
    p = basket["permutation_p_MC4e5"]
    assert ours.p_value == pytest.approx(
        p, abs=4 * np.sqrt(p * (1 - p) * (1 / 40_000 + 1 / 400_000)) + 1 / 40_001
    )


@pytest.mark.parametrize("statistic", ["pearson", "likelihood_ratio"])
def test_exact_p_value_agrees_with_listing_every_table(statistic):
    r, n = [3, 0, 2, 4], [5, 4, 6, 4]
    total, size = sum(r), sum(n)

    def score(table):
        value = 0.0
        for events, patients in zip(table, n, strict=True):
            for seen, rate in ((events, total / size), (patients - events, 1 - total / size)):
                expected = patients * rate
                if statistic == "pearson":
                    value += (seen - expected) ** 2 / expected
                elif seen:
                    value += 2 * seen * np.log(seen / expected)
        return value

    tables = [t for t in product(*(range(m + 1) for m in n)) if sum(t) == total]
    p = sum(
        np.prod([comb(m, e) for m, e in zip(n, t, strict=True)]) / comb(size, total)
        for t in tables
        if score(t) >= score(r) - 1e-9
    )
    ours = permutation(r, n, statistic=statistic)
    assert ours.n_permutations == 0
    assert ours.p_value == pytest.approx(p, rel=1e-10)
    assert ours.statistic == pytest.approx(score(r))


def test_drawn_p_value_depends_on_the_seed_alone():
    basket = BASKETS["larotrectinib_label2018"]
    a, b, c = (permutation(basket["x"], basket["n"], n_permutations=500, seed=s) for s in (1, 1, 2))
    assert a == b and a.n_permutations == 500
    assert a.p_value >= 1 / 501 and c.p_value >= 1 / 501


def test_order_of_histologies_is_irrelevant_to_the_exact_value():
    assert permutation([3, 0, 2], [9, 8, 7]).p_value == pytest.approx(
        permutation([2, 3, 0], [7, 9, 8]).p_value
    )


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        (([0, 0], [5, 5]), {}, "E_ENDPOINT_CONSTANT"),
        (([5, 5], [5, 5]), {}, "E_ENDPOINT_CONSTANT"),
        (([6, 1], [5, 5]), {}, "E_RESPONDERS"),
        (([-1, 1], [5, 5]), {}, "E_RESPONDERS"),
        (([0.5, 1], [5, 5]), {}, "E_RESPONDERS"),
        (([0, 1], [0, 5]), {}, "E_PATIENTS"),
        (([1], [5]), {}, "E_HISTOLOGIES"),
        (([1, 2, 3], [5, 5]), {}, "E_HISTOLOGIES"),
        (([1, 2], [5, 5]), {"statistic": "wald"}, "E_OPTION"),
        (([1, 2], [5, 5]), {"n_permutations": 0}, "E_OPTION"),
    ],
)
def test_unusable_input_is_refused(arguments, options, code):
    with pytest.raises(InputError) as caught:
        permutation(*arguments, **options)
    assert caught.value.code == code
