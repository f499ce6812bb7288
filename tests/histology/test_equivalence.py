import math

import pytest
from scipy import stats

from pkpd.errors import InputError
from pkpd.histology import equivalence


def test_no_difference_is_not_equivalence():
    """OAK, squamous or not: ratio of hazard ratios 1.000 (90 % CI 0.739-1.354), TOST p 0.113."""
    found = equivalence(0.0, math.log(1.354 / 0.739) / 2 / stats.norm.ppf(0.95))
    assert found.state == "inconclusive"
    assert (found.lower, found.upper) == (pytest.approx(0.739, abs=5e-4), pytest.approx(1.354, abs=5e-4))
    assert found.p_value == pytest.approx(0.113, abs=5e-4)  # the printed digits


@pytest.mark.parametrize(
    ("estimate", "se", "state"),
    [
        (0.0, 0.05, "equivalent"),
        (0.10, 0.07, "equivalent"),
        (0.12, 0.07, "inconclusive"),
        (0.40, 0.10, "different"),
        (-0.40, 0.10, "different"),
        (0.40, 0.12, "inconclusive"),
    ],
)
def test_three_states(estimate, se, state):
    found = equivalence(estimate, se)
    assert found.state == state
    assert (found.state == "equivalent") == (found.p_value < 0.05)
    assert (found.state == "different") == (found.p_different < 0.05)


def test_p_values_agree_with_two_t_tests():
    found = equivalence(0.05, 0.08, margin=(0.75, 1.3), df=11)
    t = stats.t(11)
    assert found.p_value == pytest.approx(
        max(t.sf((0.05 - math.log(0.75)) / 0.08), t.cdf((0.05 - math.log(1.3)) / 0.08))
    )
    half = t.ppf(0.95) * 0.08
    assert (found.lower, found.upper) == (
        pytest.approx(math.exp(0.05 - half)),
        pytest.approx(math.exp(0.05 + half)),
    )


def test_size_of_the_test_at_the_margin():
    # a ratio exactly at the upper bound passes with probability alpha where the lower bound is far
    se, n = 0.02, 4000
    estimates = math.log(1.25) + se * stats.norm.ppf([(i + 0.5) / n for i in range(n)])
    share = sum(equivalence(e, se).state == "equivalent" for e in estimates) / n
    assert share == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((0.0, 0.1, (1.25, 0.8)), "E_MARGIN_BOUNDS"),
        ((0.0, 0.1, (0.0, 1.25)), "E_MARGIN_BOUNDS"),
        ((0.0, 0.0), "E_STANDARD_ERRORS"),
        ((math.nan, 0.1), "E_ESTIMATES"),
        ((0.0, 0.1, (0.8, 1.25), 0.6), "E_OPTION"),
        ((0.0, 0.1, (0.8, 1.25), 0.05, 0), "E_OPTION"),
    ],
)
def test_unusable_input_is_refused(arguments, code):
    with pytest.raises(InputError) as caught:
        equivalence(*arguments)
    assert caught.value.code == code
