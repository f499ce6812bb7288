import math

import numpy as np
import pytest
from scipy import integrate, stats

from pkpd.errors import InputError
from pkpd.histology import (
    minimum_detectable_loss,
    minimum_detectable_ratio,
    n_for_equivalence,
    power_different,
    power_equivalent,
    power_response,
)
from pkpd.histology.sample_size import _posterior_loss

N = (5, 8, 10, 15, 20, 30, 60)
PLANNED = [  # CV, bounds, power at N, n for 80 %; 200 patients in the reference, true ratio 1
    (0.30, (0.80, 1.25), (0.02, 0.35, 0.51, 0.76, 0.89, 0.97, 1.0), 17),
    (0.30, (0.67, 1.50), (0.83, 0.97, 0.99, 1, 1, 1, 1), 5),
    (0.40, (0.80, 1.25), (0, 0, 0.11, 0.39, 0.59, 0.81, 0.98), 30),
    (0.40, (0.67, 1.50), (0.49, 0.79, 0.88, 0.98, 1, 1, 1), 9),
    (0.40, (0.50, 2.00), (0.98, 1, 1, 1, 1, 1, 1), 3),
    (0.50, (0.80, 1.25), (0, 0, 0, 0.09, 0.28, 0.55, 0.88), 48),
    (0.50, (0.67, 1.50), (0.18, 0.52, 0.67, 0.88, 0.95, 0.99, 1), 13),
]


@pytest.mark.parametrize(("cv", "bounds", "powers", "n80"), PLANNED)
def test_power_of_equivalence_agrees_with_the_published_table(cv, bounds, powers, n80):
    # the table is simulated and printed to two digits
    np.testing.assert_allclose([power_equivalent(n, 200, cv, 1.0, bounds) for n in N], powers, atol=0.02)
    assert n_for_equivalence(200, cv, 1.0, bounds) == n80


def test_power_of_a_minimum_effect_agrees_with_the_published_table():
    ours = [power_different(n, 200, 0.40, 1.5) for n in (5, 10, 15, 20, 30)]
    np.testing.assert_allclose(ours, [0.27, 0.42, 0.55, 0.64, 0.78], atol=0.01)
    np.testing.assert_allclose([power_different(n, 200, 0.40, 2.0) for n in (5, 10)], [0.85, 0.98], atol=0.01)


def test_a_ratio_on_the_bound_passes_with_probability_alpha():
    assert power_equivalent(200, 200, 0.3, 1.25) == pytest.approx(0.05, abs=1e-6)
    assert power_different(200, 200, 0.3, 1.25) == pytest.approx(0.05, abs=1e-6)


def test_no_n_suffices_when_the_reference_is_small_or_the_ratio_on_the_bound():
    assert n_for_equivalence(5, 0.5) is None
    assert n_for_equivalence(200, 0.3, ratio=1.25) is None


def test_detectable_ratio_is_where_the_power_is_reached():
    low, high = minimum_detectable_ratio(20, 200, 0.30)
    assert low < 0.80 and high > 1.25
    for ratio in (low, high):
        assert power_different(20, 200, 0.30, ratio) == pytest.approx(0.80, abs=1e-6)


@pytest.mark.parametrize(("r", "r_ref"), [(0, 40), (3, 30), (9, 22), (12, 5)])
def test_posterior_of_a_loss_agrees_with_numerical_integration(r, r_ref):
    n, n_reference, margin = 12, 60, 0.15
    own, home = stats.beta(r + 0.5, n - r + 0.5), stats.beta(r_ref + 0.5, n_reference - r_ref + 0.5)
    exact = integrate.quad(
        lambda q: home.pdf(q) * own.cdf(q - margin), 0, 1, points=[margin, home.mean()], limit=200
    )
    # a mean over 100 mid-quantiles
    assert _posterior_loss(n, n_reference, margin)[r, r_ref] == pytest.approx(exact[0], abs=3e-4)


def test_power_of_response_statements_sums_over_both_counts():
    n, n_reference, margin = 10, 30, 0.15
    lost = _posterior_loss(n, n_reference, margin)
    shown = kept = 0.0
    for r in range(n + 1):
        for r_ref in range(n_reference + 1):
            p = stats.binom.pmf(r, n, 0.2) * stats.binom.pmf(r_ref, n_reference, 0.5)
            shown += p * (lost[r, r_ref] >= 0.90)
            kept += p * (1 - lost[r, r_ref] >= 0.80)
    ours = power_response(n, n_reference, 0.2, 0.5, margin)
    assert (ours.lost, ours.kept) == (pytest.approx(shown), pytest.approx(kept))


def test_false_statements_stay_rare():
    # a published simulation: false flag at equal rates 0.04 or less, "kept" exactly at the margin about
    # 0.2-0.3
    for n in (5, 10, 20, 30):
        assert power_response(n, 150, 0.50, 0.50, 0.15).lost <= 0.04
        assert 0.15 < power_response(n, 150, 0.35, 0.50, 0.15).kept < 0.30


def test_extreme_rates():
    assert power_response(20, 150, 0.0, 0.5, 0.15).lost == pytest.approx(1.0, abs=1e-3)
    assert power_response(20, 150, 1.0, 0.5, 0.15).kept == pytest.approx(1.0, abs=1e-6)


def test_detectable_loss_is_where_the_power_stays_reached():
    loss = minimum_detectable_loss(20, 100, 0.5, 0.15)
    assert power_response(20, 100, 0.5 - loss, 0.5, 0.15).lost >= 0.80
    assert power_response(20, 100, 0.5 - loss + 0.002, 0.5, 0.15).lost < 0.80
    for further in (0.02, 0.05, 0.10):
        if loss + further < 0.5:
            assert power_response(20, 100, 0.5 - loss - further, 0.5, 0.15).lost >= 0.80
    assert math.isnan(minimum_detectable_loss(3, 100, 0.25, 0.15))


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: power_equivalent(0, 200, 0.3), "E_OPTION"),
        (lambda: power_equivalent(10, 200, -0.3), "E_OPTION"),
        (lambda: power_equivalent(10, 200, 0.3, bounds=(1.25, 0.8)), "E_MARGIN_BOUNDS"),
        (lambda: n_for_equivalence(200, 0.3, power=1.0), "E_OPTION"),
        (lambda: power_response(10, 100, 1.2, 0.5, 0.15), "E_OPTION"),
        (lambda: power_response(10.5, 100, 0.2, 0.5, 0.15), "E_OPTION"),
        (lambda: power_response(10, 100, 0.2, 0.5, 0.6), "E_MARGIN_DELTA"),
        (lambda: power_response(10, 100, 0.2, 0.5, 0.0), "E_MARGIN_DELTA"),
        (lambda: minimum_detectable_loss(10, 100, 0.0, 0.1), "E_OPTION"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
