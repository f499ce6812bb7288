"""Traced quantities: a thin type over SymPy expressions that refuses what would silently go wrong.

A bare SymPy symbol in ``if sex == 1`` is taken as False without a word. A :class:`Quantity` has no truth value, no hash
and no float; each raises an error that names :func:`where`.
"""

from __future__ import annotations

import numbers
from typing import Any

import sympy

from pkpd.errors import ModelError

__all__ = ["Quantity", "exp", "expit", "expression", "log", "logit", "sqrt", "where"]


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
    __hash__ = None  # type: ignore[assignment]
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

    def __contains__(self, item: Any) -> bool:
        raise _refuse("members")

    def __iter__(self) -> Any:
        raise _refuse("members")

    def __add__(self, other: Any) -> Quantity:
        return Quantity(self._expression + expression(other))

    def __radd__(self, other: Any) -> Quantity:
        return Quantity(expression(other) + self._expression)

    def __sub__(self, other: Any) -> Quantity:
        return Quantity(self._expression - expression(other))

    def __rsub__(self, other: Any) -> Quantity:
        return Quantity(expression(other) - self._expression)

    def __mul__(self, other: Any) -> Quantity:
        return Quantity(self._expression * expression(other))

    def __rmul__(self, other: Any) -> Quantity:
        return Quantity(expression(other) * self._expression)

    def __truediv__(self, other: Any) -> Quantity:
        return Quantity(self._expression / expression(other))

    def __rtruediv__(self, other: Any) -> Quantity:
        return Quantity(expression(other) / self._expression)

    def __pow__(self, other: Any) -> Quantity:
        return Quantity(self._expression ** expression(other))

    def __rpow__(self, other: Any) -> Quantity:
        return Quantity(expression(other) ** self._expression)

    def __neg__(self) -> Quantity:
        return Quantity(-self._expression)

    def __pos__(self) -> Quantity:
        return self

    def __lt__(self, other: Any) -> Quantity:
        return Quantity(sympy.Lt(self._expression, expression(other)))

    def __le__(self, other: Any) -> Quantity:
        return Quantity(sympy.Le(self._expression, expression(other)))

    def __gt__(self, other: Any) -> Quantity:
        return Quantity(sympy.Gt(self._expression, expression(other)))

    def __ge__(self, other: Any) -> Quantity:
        return Quantity(sympy.Ge(self._expression, expression(other)))

    def __eq__(self, other: Any) -> Quantity:  # type: ignore[override]
        return Quantity(sympy.Eq(self._expression, expression(other)))

    def __ne__(self, other: Any) -> Quantity:  # type: ignore[override]
        return Quantity(sympy.Ne(self._expression, expression(other)))

    def __and__(self, other: Any) -> Quantity:
        return Quantity(sympy.And(self._expression, expression(other)))

    def __or__(self, other: Any) -> Quantity:
        return Quantity(sympy.Or(self._expression, expression(other)))

    def __invert__(self) -> Quantity:
        return Quantity(sympy.Not(self._expression))


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
        number = float(value)
        # whole numbers and simple halves stay exact, so that 0.5*x*2 is x
        return (
            sympy.Integer(int(number)) if number.is_integer() and abs(number) < 2**53 else sympy.Float(number)
        )
    raise ModelError(
        "E_MODEL_TRACE",
        f"{value!r} ({type(value).__name__}) cannot take part in a model.",
        "Use numbers, model quantities and pkpd.exp, log, sqrt, where.",
    )


def exp(x: Any) -> Quantity:
    """Exponential of a quantity or number."""
    return Quantity(sympy.exp(expression(x)))


def log(x: Any) -> Quantity:
    """Natural logarithm."""
    return Quantity(sympy.log(expression(x)))


def sqrt(x: Any) -> Quantity:
    """Square root."""
    return Quantity(sympy.sqrt(expression(x)))


def expit(x: Any) -> Quantity:
    """Inverse logit, 1/(1 + exp(-x))."""
    return Quantity(1 / (1 + sympy.exp(-expression(x))))


def logit(x: Any) -> Quantity:
    """log(x/(1 - x))."""
    e = expression(x)
    return Quantity(sympy.log(e / (1 - e)))


def where(condition: Any, a: Any, b: Any) -> Quantity:
    """``a`` where the condition holds, else ``b``: the branch of a model.

    The condition compares quantities (``wt > 70``, ``(sex == 1) & (age >= 18)``). Derivatives are taken within each branch.
    """
    test = expression(condition)
    if not isinstance(test, (sympy.logic.boolalg.BooleanFunction, sympy.core.relational.Relational)):
        raise ModelError(
            "E_MODEL_TRACE", f"where() needs a comparison, got {test}.", "For example where(wt > 70, a, b)."
        )
    return Quantity(sympy.Piecewise((expression(a), test), (expression(b), True)))
