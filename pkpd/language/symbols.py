"""Traced quantities: a thin type over SymPy expressions that refuses what would silently go wrong.

A bare SymPy symbol in ``if sex == 1`` is taken as False without a word. A :class:`Quantity` has no truth value, no hash
and no float; each raises an error that names :func:`where`.
"""

from __future__ import annotations

import math
import numbers
from typing import Any

import sympy

from pkpd.errors import ModelError

__all__ = [
    "Quantity", "cos", "exp", "expit", "expression", "lgamma", "log", "logit", "maximum", "minimum", "number", "pi", "sin",
    "sqrt", "where",
]  # fmt: skip

pi = math.pi


def _refuse(what: str) -> ModelError:
    return ModelError(
        "E_MODEL_TRACE",
        f"a model quantity has no {what} while the model is traced: its value is known only for each subject.",
        "Write pkpd.where(condition, a, b) instead of if/else, and/or, or Python functions of numbers.",
    )


class Quantity:
    """A model quantity: theta, eta, covariate, state, parameter, or an expression of them.

    Parameters
    ----------
    sympy_expression : sympy.Basic
        What it stands for.
    """

    __slots__ = ("_expression",)
    __array_ufunc__ = None  # numpy must not take the quantity apart

    def __init__(self, sympy_expression: sympy.Basic) -> None:
        self._expression = sympy_expression

    def __repr__(self) -> str:
        return str(self._expression)

    def __bool__(self) -> bool:
        raise _refuse("truth value")

    def __float__(self) -> float:
        raise _refuse("float value")

    def __int__(self) -> int:
        raise _refuse("integer value")

    def __index__(self) -> int:
        raise _refuse("integer value")

    def __hash__(self) -> int:
        raise _refuse("hash")

    def __contains__(self, item: Any) -> bool:
        raise _refuse("members")

    def __iter__(self) -> Any:
        raise _refuse("members")

    def __add__(self, other: Any) -> Quantity:
        return Quantity(number(self) + number(other))

    def __radd__(self, other: Any) -> Quantity:
        return Quantity(number(other) + number(self))

    def __sub__(self, other: Any) -> Quantity:
        return Quantity(number(self) - number(other))

    def __rsub__(self, other: Any) -> Quantity:
        return Quantity(number(other) - number(self))

    def __mul__(self, other: Any) -> Quantity:
        return Quantity(number(self) * number(other))

    def __rmul__(self, other: Any) -> Quantity:
        return Quantity(number(other) * number(self))

    def __truediv__(self, other: Any) -> Quantity:
        return Quantity(number(self) / number(other))

    def __rtruediv__(self, other: Any) -> Quantity:
        return Quantity(number(other) / number(self))

    def __pow__(self, other: Any) -> Quantity:
        return Quantity(number(self) ** number(other))

    def __rpow__(self, other: Any) -> Quantity:
        return Quantity(number(other) ** number(self))

    def __neg__(self) -> Quantity:
        return Quantity(-number(self))

    def __pos__(self) -> Quantity:
        return self

    def __abs__(self) -> Quantity:
        return where(self < 0, -self, self)

    def __lt__(self, other: Any) -> Quantity:
        return Quantity(sympy.Lt(number(self), number(other)))

    def __le__(self, other: Any) -> Quantity:
        return Quantity(sympy.Le(number(self), number(other)))

    def __gt__(self, other: Any) -> Quantity:
        return Quantity(sympy.Gt(number(self), number(other)))

    def __ge__(self, other: Any) -> Quantity:
        return Quantity(sympy.Ge(number(self), number(other)))

    def __eq__(self, other: Any) -> Quantity:  # type: ignore[override]
        return Quantity(sympy.Eq(self._expression, expression(other)))

    def __ne__(self, other: Any) -> Quantity:  # type: ignore[override]
        return Quantity(sympy.Ne(self._expression, expression(other)))

    def __and__(self, other: Any) -> Quantity:
        return Quantity(sympy.And(_condition(self), _condition(other)))

    def __or__(self, other: Any) -> Quantity:
        return Quantity(sympy.Or(_condition(self), _condition(other)))

    def __invert__(self) -> Quantity:
        return Quantity(sympy.Not(_condition(self)))


def expression(value: Any) -> sympy.Basic:
    """Return the SymPy expression of a quantity or number.

    Raises
    ------
    ModelError
        ``E_MODEL_TRACE`` for anything else.
    """
    if isinstance(value, Quantity):
        return value._expression
    if isinstance(value, bool):
        return sympy.true if value else sympy.false
    if isinstance(value, numbers.Integral):
        return sympy.Integer(int(value))
    if isinstance(value, numbers.Real):
        real = float(value)
        if not math.isfinite(real):
            raise ModelError("E_MODEL_VALUE", f"{real} cannot take part in a model.", "Use finite numbers.")
        # whole numbers stay exact, so that powers and cancellations are seen for what they are
        return sympy.Integer(int(real)) if real.is_integer() and abs(real) < 2**53 else sympy.Float(real)
    raise ModelError(
        "E_MODEL_TRACE",
        f"{value!r} ({type(value).__name__}) cannot take part in a model.",
        "Use numbers, model quantities and pkpd.exp, log, sqrt, where.",
    )


def number(value: Any) -> sympy.Basic:
    """Return the expression of a quantity or number that is not a comparison.

    Raises
    ------
    ModelError
        ``E_MODEL_TRACE``: a comparison has no numeric value here.
    """
    e = expression(value)
    if isinstance(e, sympy.logic.boolalg.Boolean) and not e.is_Symbol:
        raise ModelError(
            "E_MODEL_TRACE",
            f"the comparison {e} is used as a number.",
            "Write pkpd.where(condition, 1, 0).",
        )
    return e


def _condition(value: Any) -> sympy.Basic:
    e = expression(value)
    if not isinstance(e, sympy.logic.boolalg.Boolean) or e.is_Symbol:
        raise ModelError(
            "E_MODEL_TRACE",
            f"{e} is not a comparison.",
            "For example (sex == 1) & (age >= 18), with brackets.",
        )
    return e


def exp(x: Any) -> Quantity:
    """Exponential of a quantity or number."""
    return Quantity(sympy.exp(number(x)))


def log(x: Any) -> Quantity:
    """Natural logarithm."""
    return Quantity(sympy.log(number(x)))


def sqrt(x: Any) -> Quantity:
    """Square root."""
    return Quantity(sympy.sqrt(number(x)))


def expit(x: Any) -> Quantity:
    """Inverse logit, 1/(1 + exp(-x))."""
    return Quantity(1 / (1 + sympy.exp(-number(x))))


def logit(x: Any) -> Quantity:
    """log(x/(1 - x))."""
    e = number(x)
    return Quantity(sympy.log(e / (1 - e)))


def sin(x: Any) -> Quantity:
    """Sine, of radians; with ``m.time`` for rhythms: ``sin(2 * pi * m.time / 24)``."""
    return Quantity(sympy.sin(number(x)))


def cos(x: Any) -> Quantity:
    """Cosine, of radians."""
    return Quantity(sympy.cos(number(x)))


def lgamma(x: Any) -> Quantity:
    """Logarithm of the gamma function, for x above 0."""
    return Quantity(sympy.loggamma(number(x)))


def minimum(a: Any, b: Any) -> Quantity:
    """Return the smaller of two; derivatives are those of the one that is smaller."""
    return Quantity(sympy.Piecewise((number(a), sympy.Lt(number(a), number(b))), (number(b), True)))


def maximum(a: Any, b: Any) -> Quantity:
    """Return the larger of two; derivatives are those of the one that is larger."""
    return Quantity(sympy.Piecewise((number(a), sympy.Gt(number(a), number(b))), (number(b), True)))


def where(condition: Any, a: Any, b: Any) -> Quantity:
    """``a`` where the condition holds, else ``b``: the branch of a model.

    The condition compares quantities (``wt > 70``, ``(sex == 1) & (age >= 18)``). Derivatives are taken within each branch; in
    the rate of a compartment they also cross a switch at a time that is a parameter (``m.time < t1``).
    """
    test = expression(condition)
    if not isinstance(test, (sympy.logic.boolalg.BooleanFunction, sympy.core.relational.Relational)):
        raise ModelError(
            "E_MODEL_TRACE", f"where() needs a comparison, got {test}.", "For example where(wt > 70, a, b)."
        )
    return Quantity(sympy.Piecewise((number(a), test), (number(b), True)))
