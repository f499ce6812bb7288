"""Traced quantities refuse what would silently go wrong, and say what to write instead."""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest
import sympy

import pkpd
from pkpd.errors import ModelError
from pkpd.language.symbols import Quantity, expression


@pytest.fixture
def x():
    return Quantity(sympy.Dummy("x", real=True))


@pytest.mark.parametrize(
    "misuse",
    [
        bool, float, int, hash, list, set, math.exp, round, np.float64,
        lambda x: 1 if x > 3 else 2,
        lambda x: 1 < x < 3,
        lambda x: x > 1 and x < 3,
        lambda x: not x,
        lambda x: x in [1, 2],
        lambda x: 2 in x,
        lambda x: min(x, 3),
        lambda x: {x: 1},
        lambda x: [1, 2, 3][x],
        lambda x: range(x),
        lambda x: sympy.exp(x),
    ],
)  # fmt: skip
def test_what_needs_a_number_now_names_where(x, misuse):
    with pytest.raises((ModelError, TypeError)) as caught:
        misuse(x)
    if misuse is not round:  # Python asks for __round__ before anything of ours is called
        assert isinstance(caught.value, ModelError) and caught.value.code == "E_MODEL_TRACE"
        assert "pkpd.where" in caught.value.remedy


def test_equality_is_symbolic(x):
    assert isinstance(x == 1, Quantity)
    assert expression(x == 1) == sympy.Eq(expression(x), 1)
    assert expression(x != 1) == sympy.Ne(expression(x), 1)
    with pytest.raises(ModelError, match=r"pkpd\.where"):
        bool(x == x)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow"])
def test_arithmetic_with_numbers_on_either_side(x, name):
    apply, symbol = getattr(operator, name), expression(x)
    for number in (2, 2.5, np.float64(2.5), np.int64(2)):
        for ours, plain in (
            (apply(x, number), apply(symbol, number)),
            (apply(number, x), apply(number, symbol)),
        ):
            assert float(expression(ours).subs(symbol, 1.7)) == pytest.approx(
                float(plain.subs(symbol, 1.7)), rel=1e-15
            )


@pytest.mark.parametrize(
    "misuse",
    [
        lambda x: (x > 70) * 2, lambda x: 1 + (x == 1), lambda x: -(x > 1), lambda x: x + True, lambda x: pkpd.exp(x > 1),
        lambda x: pkpd.where(x > 1, x > 2, 0), lambda x: (x > 1) > 0,
    ],
)  # fmt: skip
def test_a_comparison_is_not_a_number(x, misuse):
    with pytest.raises(ModelError, match=r"comparison .* used as a number") as caught:
        misuse(x)
    assert "pkpd.where" in caught.value.remedy


@pytest.mark.parametrize(
    "misuse",
    [
        lambda x: x & (x > 1),
        lambda x: (x > 1) | 1,
        lambda x: ~x,
        lambda x: pkpd.where(x, 1, 2),
        lambda x: pkpd.where(True, 1, 2),
    ],
)
def test_a_number_is_not_a_comparison(x, misuse):
    with pytest.raises(ModelError, match="comparison"):
        misuse(x)


@pytest.mark.parametrize("value", ["a", None, [1], np.array([1.0, 2.0]), 1j])
def test_other_things_cannot_take_part(x, value):
    with pytest.raises(ModelError, match="cannot take part"):
        x * value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_refused(x, value):
    with pytest.raises(ModelError, match="E_MODEL_VALUE"):
        x + value


def test_functions_are_what_their_names_say():
    for ours, reference in (
        (pkpd.exp, math.exp), (pkpd.log, math.log), (pkpd.sqrt, math.sqrt),
        (pkpd.expit, lambda v: 1 / (1 + math.exp(-v))), (pkpd.logit, lambda v: math.log(v / (1 - v))),
    ):  # fmt: skip
        assert float(expression(ours(0.3)).evalf()) == pytest.approx(reference(0.3), rel=1e-14)


def test_branches_and_their_derivatives(x):
    symbol = expression(x)
    branch = expression(pkpd.where((x > 1) & (x <= 3), x**2, -x))
    for value in (0.0, 1.0, 1.5, 3.0, 4.0):
        inside = 1 < value <= 3
        assert float(branch.subs(symbol, value)) == (value**2 if inside else -value)
        assert float(sympy.diff(branch, symbol).subs(symbol, value)) == (2 * value if inside else -1)
    assert float(expression(abs(x)).subs(symbol, -2)) == 2
