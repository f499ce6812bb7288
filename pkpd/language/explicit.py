"""Text of an explicit step of the states alone, with the loops over stages and states written out and the rates within them.

It is what the functions of :mod:`pkpd.kernels.dormand_prince` make of text instead of numbers: there is one set of coefficients
and one order of operations, and a step is the same to the last bit whether or not derivatives go along with it.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import Any

import pkpd.kernels

__all__ = ["step_lines"]

_FEW = 4  # states up to this many stay in registers, each by itself; of more, several are done at a time


class _Text(str):
    """An expression; operators put expressions together."""

    def __add__(self, other: Any) -> _Text:
        return _Text(f"({self} + {other})")

    def __sub__(self, other: Any) -> _Text:
        return _Text(f"({self} - {other})")

    def __mul__(self, other: Any) -> _Text:
        return _Text(f"({self} * {other})")

    def __rmul__(self, other: Any) -> _Text:
        return _Text(f"({other!r} * {self})")


@cache
def _source() -> Any:
    """The method's functions and numbers, compiled anew to work on text."""
    tree = ast.parse((Path(pkpd.kernels.__file__).parent / "dormand_prince.py").read_text(encoding="utf-8"))
    kept: list[ast.stmt] = [item for item in tree.body if isinstance(item, ast.Assign | ast.FunctionDef)]
    for item in kept:
        if isinstance(item, ast.FunctionDef):
            item.decorator_list = []
    return compile(ast.Module(kept, []), "dormand_prince", "exec")


def _method(size: int, lines: list[str]) -> dict[str, Any]:
    """The method for ``size`` states; what becomes of the rows of ``values`` goes to ``lines``."""
    method: dict[str, Any] = {}
    exec(_source(), method)
    several = size > _FEW

    def element(row: int, i: int) -> str:
        at = row * method["LINE"]
        return f"values[c + {at}]" if several else f"values[{at + i}]"

    def put(_: Any, row: int, i: int, value: _Text) -> None:
        if several:
            lines.append(f"for c in range(0, {size}):")
        lines.append(f"{'    ' * several}{element(row, i)} = {value}")

    # what its functions call is what comes last in their namespace
    method |= {
        "at": lambda _, row, i: _Text(element(row, i)),
        "put": put,
        "extent": lambda _, size: 1 if several else size,
    }
    return method


def step_lines(size: int, timed: bool) -> list[str]:
    """Body of a function of order, t, x, p and values: order 0 makes a step, -1 its interpolant.

    Parameters
    ----------
    size : int
        Number of states.
    timed : bool
        Whether the rates depend on the time.

    Returns
    -------
    list of str
        ``x`` is ``reach`` of :class:`pkpd.kernels.ode_step.Work`, ``values`` its line of rows. A step begins with the rows 0 and
        Y and fills the other stages up to LAST, and NEW; the interpolant goes on from there. Nothing for states that do not
        fit such a row.
    """
    lines: list[str] = []
    method = _method(size, lines)
    h, line, last = _Text("h"), method["LINE"], method["LAST"]
    if size > line:
        return []

    def stages(first: int, end: int) -> list[str]:
        for stage in range(first, end):
            method["combine"](size, h, None, stage)
            if timed:
                lines.append(f"s = t + {method['node'](stage)!r}*h")
            point, row = (method["NEW"] if stage == last else method["POINT"]) * line, stage * line
            time = "s if s < edge else edge" if timed else "t"
            lines.append(f"rates({time}, values[{point}:], p, values[{row}:])")
        if end > last + 1:
            method["interpolant"](size, h, None)
        taken = ["    " + text for text in lines]
        lines.clear()
        return taken

    step, rest = stages(1, last + 1), stages(last + 1, method["ALL"])
    return ["h = x[0]", "edge = x[1]", "if order == 0:", *step, "if order == -1:", *rest]
