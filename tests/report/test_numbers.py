from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pkpd.report.numbers import fixed, integer, p_value, percent, probability, ratio, significant


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (4.9123, "4.91"),
        (214.03, "214"),
        (0.0419999, "0.0420"),
        (-0.372, "−0.372"),
        (1234.5, "1234"),
        (31234.5, "31\u202f234"),
        (0.9996, "1.00"),
        (99.96, "100"),
        (0.0, "0"),
        (1.234e-5, "1.23\u202f×\u202f10⁻⁵"),
        (2.5e8, "2.50\u202f×\u202f10⁸"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (-math.inf, "−∞"),
    ],
)
def test_three_significant_digits(value, shown):
    assert significant(value) == shown


@given(st.floats(1e-4, 9e6))
def test_what_is_shown_is_within_half_a_unit_of_the_third_digit(value):
    shown = float(significant(value).replace("\u202f", ""))
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    # an integer keeps all its digits; the factor allows for the binary rounding of exact halves
    assert abs(shown - value) <= 0.5 * min(unit, max(unit, 1.0)) * (1 + 1e-9)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.0004, "<0.001"), (0.001, "0.001"), (0.0312, "0.031"), (0.9999, ">0.999"), (math.nan, "–")],
)
def test_p_values_have_a_floor(value, shown):
    assert p_value(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.0, "<0.01"),
        (0.003, "<0.01"),
        (0.998, ">0.99"),
        (1.0, ">0.99"),
        (0.8996, "0.8996"),
        (0.90, "0.90"),
        (0.7996, "0.7996"),
        (0.8049, "0.80"),
    ],
)
def test_a_probability_is_never_rounded_over_a_threshold(value, shown):
    assert probability(value) == shown


@given(st.floats(0.005, 0.994), st.sampled_from([0.8, 0.9]))
def test_shown_probability_and_threshold_agree(value, gate):
    # unless they are so close that seven decimals do not tell them apart
    if abs(value - gate) > 1e-6:
        assert (float(probability(value)) >= gate) == (value >= gate)


def test_ratios_percents_and_counts():
    assert [ratio(v) for v in (0.6897, 1.0, 0.043, math.nan)] == ["0.69", "1.00", "0.0430", "–"]
    assert [percent(v) for v in (0.4333, 0.0, -0.471, math.nan)] == ["43.3", "0.0", "−47.1", "–"]
    assert [integer(v) for v in (42.0, 1156, 120_345)] == ["42", "1156", "120\u202f345"]
    assert fixed(-0.0004, 2) == "0.00"  # no minus before a zero
