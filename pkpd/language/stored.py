"""A model as plain text and numbers, and back: its expressions as SymPy writes them, read without evaluating any code."""

from __future__ import annotations

import ast
import dataclasses
from typing import Any

import sympy
from sympy.functions.elementary.piecewise import ExprCondPair

from pkpd.errors import InputError
from pkpd.language import declarations
from pkpd.language.absorption import AFTER_DOSE
from pkpd.language.frozen_model import Model

__all__ = ["model_fields", "restored_model"]

_EXPRESSION = "sympy"
_AFTER_DOSE = "after dose"
_CLASS = "declaration"  # no declaration has a field of this name; one has a field "kind"


def model_fields(model: Model) -> dict[str, Any]:
    """Fields of a model as plain values.

    Symbols become numbers in the order in which they were made, which is the order that SymPy sorts equal names by: a
    restored model gives the same generated code, term by term.
    """
    found: set[Any] = set()

    def collect(value: Any) -> None:
        if isinstance(value, sympy.Basic):
            found.update(value.free_symbols)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                collect(getattr(value, field.name))
        elif isinstance(value, tuple):
            for item in value:
                collect(item)

    collect(model)
    # the time after a dose is the one symbol that all models share
    symbols = sorted(found - {AFTER_DOSE}, key=lambda s: s.dummy_index)
    place = {s: sympy.Symbol(f"s{i}") for i, s in enumerate(symbols)} | {
        AFTER_DOSE: sympy.Symbol(_AFTER_DOSE)
    }

    def plain(value: Any) -> Any:
        if isinstance(value, sympy.Basic):
            return {_EXPRESSION: sympy.srepr(value.xreplace(place))}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
            return {_CLASS: type(value).__name__, **fields}
        return tuple(plain(item) for item in value) if isinstance(value, tuple) else value

    fields = {f.name: plain(getattr(model, f.name)) for f in dataclasses.fields(model)}
    return {"symbols": [s.name for s in symbols], **fields}


def restored_model(symbols: list[str], **fields: Any) -> Model:
    """Model of what :func:`model_fields` returned.

    Raises
    ------
    InputError
        ``E_JSON_MODEL`` for an expression that no model can hold.
    """
    made: dict[str, Any] = {f"s{i}": sympy.Dummy(name, real=True) for i, name in enumerate(symbols)}
    made[_AFTER_DOSE] = AFTER_DOSE

    def back(value: Any) -> Any:
        if isinstance(value, dict) and _EXPRESSION in value:
            return _expression(value[_EXPRESSION], made)
        if isinstance(value, dict) and _CLASS in value:
            kind = getattr(declarations, value[_CLASS])
            return kind(**{k: back(v) for k, v in value.items() if k != _CLASS})
        return tuple(back(item) for item in value) if isinstance(value, tuple) else value

    return Model(**{name: back(value) for name, value in fields.items()})


def _expression(text: str, symbols: dict[str, Any]) -> Any:
    def wrong() -> InputError:
        return InputError(
            "E_JSON_MODEL", f"{text[:80]!r} is no expression of a model.", "Give a file that pkpd wrote."
        )

    def build(node: ast.AST) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
            return node.value
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -build(node.operand)
        if isinstance(node, ast.Name):
            value = getattr(sympy, node.id, None)
            if isinstance(value, sympy.Basic):  # pi, true, oo
                return value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            arguments = [build(a) for a in node.args]
            if node.func.id == "Symbol":
                return symbols[arguments[0]]
            function = ExprCondPair if node.func.id == "ExprCondPair" else getattr(sympy, node.func.id, None)
            if isinstance(function, type) and issubclass(function, sympy.Basic):
                named = {str(k.arg): build(k.value) for k in node.keywords}
                return function(*arguments, **named)
        raise wrong()

    try:
        return build(ast.parse(text, mode="eval").body)
    except (SyntaxError, KeyError, TypeError, ValueError) as error:
        raise wrong() from error
