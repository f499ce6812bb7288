import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from pkpd.errors import InputError
from pkpd.histology import divergence_borrowing, divergence_operating_characteristics

DESIGN = {"rate": 0.2, "probability": 0.99, "power": 2.0}  # of the tests of baskexact: three baskets of 24


def test_weights_and_probabilities_are_those_of_baskexact():
    ours = divergence_borrowing([5, 3, 8], [24, 24, 24], power=2.0, threshold=0.0)
    pairs = ours.weights[[0, 0, 1], [1, 2, 2]]
    # printed to seven digits
    np.testing.assert_allclose(pairs, [0.7750081, 0.6661536, 0.3430768], atol=5.1e-8)
    np.testing.assert_allclose(ours.probability_above(0.2), [0.7524369, 0.5703997, 0.8941389], atol=5.1e-8)
    np.testing.assert_array_equal(ours.weights, ours.weights.T)


@pytest.mark.parametrize(
    ("threshold", "single", "family"), [(0.0, 0.02158174, 0.03600149), (0.5, 0.03239555, 0.06315308)]
)
def test_error_rates_are_those_of_baskexact(threshold, single, family):
    table = divergence_operating_characteristics([24] * 3, [0.2] * 3, threshold=threshold, **DESIGN)
    np.testing.assert_allclose(table["go"], single, atol=5.1e-9)  # eight decimals
    np.testing.assert_allclose(table["go_false"], family, atol=5.1e-9)
    assert (table["go_false"] == table["go_any"]).all()


def test_weights_are_those_of_the_definition():
    r, n, (a, b) = np.array([0, 4]), np.array([7, 9]), (0.5, 1.5)
    f, g = (stats.beta(a + x, b + m - x).pdf for x, m in zip(r, n, strict=True))

    def divergence(p, q):
        return quad(lambda x: p(x) * np.log(2 * p(x) / (p(x) + q(x))), 0, 1, limit=200)[0]

    expected = (1 - 0.5 * (divergence(f, g) + divergence(g, f))) ** 1.3
    ours = divergence_borrowing(r, n, beta=(a, b), power=1.3)
    assert ours.weights[0, 1] == pytest.approx(expected, rel=1e-7)
    np.testing.assert_allclose(
        ours.a, [a + r[0] + expected * (a + r[1]), a + r[1] + expected * (a + r[0])], rtol=1e-7
    )


def test_the_ends_are_pooling_and_standing_alone():
    alone = divergence_borrowing([1, 6], [10, 12], threshold=1.0)
    np.testing.assert_allclose(alone.mean, [2 / 12, 7 / 14])
    pooled = divergence_borrowing([1, 6], [10, 12], power=0.0)
    np.testing.assert_allclose(pooled.mean, 9 / 26)


def test_enumeration_is_the_sum_over_single_tables():
    n, truth = [4, 3], [0.2, 0.6]
    table = divergence_operating_characteristics(n, [truth, [0.1, 0.1]], rate=0.3, probability=0.7)
    go, false = np.zeros(2), 0.0
    for x in range(5):
        for y in range(4):
            mass = stats.binom(4, 0.2).pmf(x) * stats.binom(3, 0.6).pmf(y)
            active = divergence_borrowing([x, y], n).probability_above(0.3) >= 0.7
            go += mass * active
            false += mass * active[0]
    first = table[table["scenario"] == 1]
    np.testing.assert_allclose(first["go"], go, rtol=1e-12)
    np.testing.assert_allclose(first["go_false"], false, rtol=1e-12)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: divergence_borrowing([3, 1], [2, 2]), "E_RESPONDERS"),
        (lambda: divergence_borrowing([1, 1], [2, 2], beta=(0.1, 1)), "E_PRIOR"),
        (lambda: divergence_borrowing([1, 1], [2, 2], power=-1), "E_OPTION"),
        (lambda: divergence_borrowing([1, 1], [2, 2], threshold=2), "E_OPTION"),
        (lambda: divergence_borrowing([1, 1], [2, 2]).probability_above(1), "E_RATE"),
        (lambda: divergence_operating_characteristics([300] * 3, [0.2] * 3, **DESIGN), "E_PATIENTS"),
        (lambda: divergence_operating_characteristics([3] * 3, [0.2] * 2, **DESIGN), "E_RATE"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
