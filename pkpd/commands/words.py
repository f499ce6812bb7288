"""Python's words on a command line: ``dose(320, every=24, until=168)``, ``AGQ(nodes=7)``, ``[1, 2]``; read, never run as code."""

from __future__ import annotations

import argparse
import ast
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pkpd.errors import InputError

__all__ = ["numbers", "pairs", "set_option", "settings", "spoken"]

CALLS = (
    *("FO", "FOCE", "FOCEI", "Laplace", "AGQ", "MAP", "NaivePooled", "SAEM", "IMP", "Solver"),
    *("Normal", "HalfNormal", "LogNormal", "InverseWishart", "CRP", "dose"),
)
"""Names of :mod:`pkpd` that may be called."""


def spoken(text: str) -> Any:
    """Value of an expression: a literal, a call of one of :data:`CALLS`, a sum of them; a bare word is text, but true and false.

    Raises
    ------
    InputError
        ``E_WORDS`` for anything else.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        return text
    return _value(node, text)


def _value(node: ast.AST, text: str) -> Any:
    import pkpd

    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS:
        arguments = [_value(a, text) for a in node.args]
        named = {str(k.arg): _value(k.value, text) for k in node.keywords}
        try:
            return getattr(pkpd, node.func.id)(*arguments, **named)
        except TypeError as error:
            raise InputError(
                "E_WORDS", f"{text!r}: {error}.", f"See pkpd.{node.func.id} in Python."
            ) from error
    if isinstance(node, ast.Name) and node.id in CALLS and node.id != "dose":
        return getattr(pkpd, node.id)()
    if isinstance(node, ast.Name):
        return {"true": True, "false": False}.get(node.id, node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _value(node.left, text) + _value(node.right, text)
    if isinstance(node, (ast.List, ast.Tuple)):
        items = [_value(e, text) for e in node.elts]
        return items if isinstance(node, ast.List) else tuple(items)
    if isinstance(node, ast.Dict) and all(k is not None for k in node.keys):
        keys = [_value(k, text) for k in node.keys if k is not None]
        return dict(zip(keys, [_value(v, text) for v in node.values], strict=True))
    try:
        return ast.literal_eval(node)
    except ValueError:
        raise InputError(
            "E_WORDS",
            f"{text!r} is not understood.",
            f"Give a number, a word, a list, or one of {', '.join(CALLS)} with its arguments.",
        ) from None


def pairs(given: Sequence[str] | None, option: str, read: Callable[[str], Any] = spoken) -> dict[str, Any]:
    """``["CL=3", "V=30"]`` as a mapping; ``read`` makes a value of its text.

    Raises
    ------
    InputError
        ``E_WORDS`` for an entry without ``=``.
    """
    out = {}
    for entry in given or ():
        name, sign, value = entry.partition("=")
        if not sign or not name.strip():
            raise InputError("E_WORDS", f"{option} {entry!r} has no '='.", f"Write {option} NAME=VALUE.")
        out[name.strip()] = read(value)
    return out


def set_option(parser: argparse.ArgumentParser, example: str) -> None:
    """Add ``--set NAME=VALUE``."""
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        nargs="+",
        action="extend",
        help=f"further arguments, named as in Python: --set {example}",
    )


def settings(options: argparse.Namespace, function: Callable[..., Any], *taken: str) -> dict[str, Any]:
    """What ``--set`` gives a function, whose parameters it must name; those that have an option of their own are ``taken``.

    Raises
    ------
    InputError
        ``E_OPTION`` for a name that the function does not know.
    """
    given = pairs(options.set, "--set")
    known = [name for name in inspect.signature(function).parameters if name not in taken]
    for name in given:
        if name not in known:
            raise InputError(
                "E_OPTION",
                f"--set {name}: {function.__name__} has no such argument.",
                f"It has {', '.join(known)}.",
            )
    return given


def numbers(text: str) -> list[float]:
    """``0:24:2`` (from, to inclusive, step) or ``0,1,2.5`` as numbers.

    Raises
    ------
    InputError
        ``E_WORDS`` for anything else.
    """
    try:
        if ":" in text:
            first, last, step = (float(part) for part in text.split(":"))
            if step > 0 and last >= first:
                return [first + i * step for i in range(int((last - first) / step + 1e-9) + 1)]
        else:
            return [float(part) for part in text.split(",")]
    except ValueError:
        pass
    raise InputError("E_WORDS", f"{text!r} are no times.", "Write 0:24:0.5 (from, to, step) or 0,1,2.5.")
