"""From expressions to the text of compiled functions: slots, rates, Jacobian, second derivatives, outputs.

Each derivative entry is written once, after common subexpressions have been taken out; loops over columns belong to
the kernels, so the text does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sympy
from sympy.printing.pycode import PythonCodePrinter

from pkpd.language.explicit import step_lines
from pkpd.language.structure import Structure, branched
from pkpd.language.variational import first_lines, second_lines

__all__ = ["model_source"]


class _Printer(PythonCodePrinter):
    """Python text in which every number has all its digits and nothing is divided as integers."""

    def _print_Float(self, e: Any) -> str:
        return repr(float(e))

    def _print_Integer(self, e: Any) -> str:
        return f"{int(e)}.0"

    def _print_Rational(self, e: Any) -> str:
        return repr(float(e.p) / float(e.q))

    def _print_loggamma(self, e: Any) -> str:
        return f"math.lgamma({self._print(e.args[0])})"

    def _print_polygamma(self, e: Any) -> str:
        return f"polygamma({int(e.args[0])}, {self._print(e.args[1])})"

    def _print_Pow(self, e: Any, rational: bool = False, sqrt: str = "math.sqrt") -> str:
        base, power = e.as_base_exp()
        text = self.parenthesize(base, 1000)
        if power == -1:
            return f"(1.0/{text})"
        if power.is_Integer and abs(int(power)) <= 4:
            product = "*".join([text] * abs(int(power)))
            return f"({product})" if power > 0 else f"(1.0/({product}))"
        if power == sympy.Rational(1, 2) or power == 0.5:
            return f"math.sqrt({self._print(base)})"
        return f"({text}**({self._print(power)}))"


_PRINTER = _Printer({"fully_qualified_modules": True})


def _block(entries: Sequence[tuple[str, Any]], names: dict[Any, str], indent: str, prefix: str) -> list[str]:
    """Assignments ``target = expression`` after taking out common subexpressions."""
    if not entries:
        return [f"{indent}pass"]
    common, reduced = sympy.cse(
        [e for _, e in entries], symbols=sympy.numbered_symbols(prefix, real=True), order="none"
    )
    lines = [f"{indent}{symbol} = {_text(e, names)}" for symbol, e in common]
    lines += [
        f"{indent}{target} = {_text(e, names)}" for (target, _), e in zip(entries, reduced, strict=True)
    ]
    return lines


def _text(e: Any, names: dict[Any, str]) -> str:
    return _PRINTER.doprint(e.xreplace({s: sympy.Symbol(n) for s, n in names.items()}))


def _parameters(
    name: str, slots: Sequence[Any], etas: Sequence[Any], thetas: Sequence[Any], names: dict[Any, str]
) -> list[str]:
    z = [*etas, *thetas]
    first = [
        (f"dp[{i}, {a}]", sympy.diff(e, z[a]))
        for i, e in enumerate(slots)
        for a in range(len(z))
        if z[a] in e.free_symbols
    ]
    second = []
    for i, e in enumerate(slots):
        for a in range(len(etas)):
            if z[a] in e.free_symbols:
                slope = sympy.diff(e, z[a])
                second += [
                    (f"d2p[{i}, {a}, {b}]", sympy.diff(slope, z[b]))
                    for b in range(len(z))
                    if z[b] in slope.free_symbols
                ]
    lines = [f"def {name}(order, theta, eta, cov, p, dp, d2p):"]
    lines += _block([(f"p[{i}]", e) for i, e in enumerate(slots)], names, "    ", "a")
    lines += ["    if order >= 1:", "        dp[:, :] = 0.0", *_block(_nonzero(first), names, " " * 8, "b")]
    lines += [
        "    if order >= 2:",
        "        d2p[:, :, :] = 0.0",
        *_block(_nonzero(second), names, " " * 8, "c"),
    ]
    return lines


def _nonzero(entries: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return [(target, e) for target, e in entries if e != 0]


def _outputs(structure: Structure, names: dict[Any, str]) -> list[str]:
    z = [*structure.states, *structure.slot_symbols]
    lines = ["def output(order, endpoint, t, x, p, g, dg, d2g):"]
    for k, e in enumerate(structure.outputs):
        first = [(a, sympy.diff(e, z[a])) for a in range(len(z)) if z[a] in e.free_symbols]
        second = [
            (f"d2g[{a}, {b}]", sympy.diff(slope, z[b]))
            for a, slope in first
            for b in range(len(z))
            if z[b] in slope.free_symbols
        ]
        pad = " " * 8
        lines += [f"    if endpoint == {k}:", *_block([("g[0]", e)], names, pad, f"a{k}_")]
        lines += [f"{pad}if order >= 1:", f"{pad}    dg[:] = 0.0"]
        lines += _block(_nonzero([(f"dg[{a}]", slope) for a, slope in first]), names, pad + "    ", f"b{k}_")
        lines += [
            f"{pad}if order >= 2:",
            f"{pad}    d2g[:, :] = 0.0",
            *_block(_nonzero(second), names, pad + "    ", f"c{k}_"),
        ]
    return lines


def _stepper(structure: Structure, names: dict[Any, str]) -> list[str]:
    if structure.linear and not structure.inputs:
        # the closed form needs none of these; one tiny text shared by all linear models
        return [
            "def rates(t, x, p, dx):", "    dx[:] = 0.0",
            "def jacobian(t, x, p, j):", "    j[:, :] = 0.0",
            "def hessian(order, t, x, p, values):", "    values[:] = 0.0",
        ]  # fmt: skip
    z = [*structure.states, *structure.slot_symbols]
    lines = ["def rates(t, x, p, dx):"]
    lines += _block([(f"dx[{i}]", e) for i, e in enumerate(structure.rates)], names, "    ", "a")
    zt = [*z, structure.time, *structure.inputs]
    first = {
        (i, a): sympy.diff(e, zt[a])
        for i, e in enumerate(structure.rates)
        for a in range(len(zt))
        if zt[a] in e.free_symbols
    }
    first = {at: e for at, e in first.items() if e != 0}
    entries = [(f"j[{i}, {a}]", e) for (i, a), e in first.items()]
    lines += ["def jacobian(t, x, p, j):", "    j[:, :] = 0.0", *_block(entries, names, "    ", "b")]
    table = structure.table.tolist()
    second = [sympy.diff(structure.rates[i], z[a], z[b]) for i, a, b in table]
    lines.append("def hessian(order, t, x, p, values):")
    if structure.linear:
        return [*lines, *_block([(f"values[{row}]", e) for row, e in enumerate(second)], names, "    ", "c")]
    timed = any(structure.time in e.free_symbols for e in structure.rates)
    lines += ["    " + line for line in step_lines(len(structure.states), timed)]
    lines.append("    if order >= 1:")
    columns = [(i, a) for i, a in first if a < len(z)]
    lines += _block([(f"j{i}_{a}", first[i, a]) for i, a in columns], names, " " * 8, "d")
    lines += [" " * 8 + line for line in first_lines(columns, structure.slot_order, structure.widths)]
    lines.append("        if order >= 2:")
    lines += _block([(f"h{row}", e) for row, e in enumerate(second)], names, " " * 12, "e")
    return lines + [
        " " * 12 + line for line in second_lines(columns, table, structure.slot_order, structure.widths)
    ]


def model_source(
    structure: Structure,
    definitions: dict[Any, Any],
    individual: Sequence[Any],
    etas: Sequence[Any],
    thetas: Sequence[Any],
    covariates: Sequence[Any],
) -> str:
    """Text of a module with ``parameters``, ``individual``, ``rates``, ``jacobian``, ``hessian`` and ``output``.

    Parameters
    ----------
    structure : Structure
    definitions : dict
        Individual parameters and factor effects, as symbols, to expressions of thetas, etas and covariates.
    individual : sequence
        Expressions to report per subject.
    etas, thetas, covariates : sequences of symbols
        In the order of the arrays that the functions get.
    """
    names = {s: f"eta[{i}]" for i, s in enumerate(etas)}
    names |= {s: f"theta[{i}]" for i, s in enumerate(thetas)}
    names |= {s: f"cov[{i}]" for i, s in enumerate(covariates)}
    inner = {s: f"x[{i}]" for i, s in enumerate(structure.states)}
    inner |= {s: f"p[{i}]" for i, s in enumerate(structure.slot_symbols)}
    behind = [*structure.inputs, *structure.known_symbols]
    inner |= {s: f"p[{len(structure.slots) + j}]" for j, s in enumerate(behind)}
    inner[structure.time] = "t"
    lines = ["import math", ""]
    lines += _parameters(
        "parameters", [_resolve(e, definitions) for e in structure.slots], etas, thetas, names
    )
    lines += [
        "",
        *_parameters("individual", [_resolve(e, definitions) for e in individual], etas, thetas, names),
        "",
    ]
    lines += [*_stepper(structure, inner), "", *_outputs(structure, inner)]
    if any("polygamma(" in line for line in lines):
        lines.insert(1, "from pkpd.kernels.gamma import polygamma")
    return "\n".join(lines) + "\n"


def _resolve(e: Any, definitions: dict[Any, Any]) -> Any:
    while e.free_symbols & definitions.keys():
        e = e.xreplace(definitions)
    return branched(e)
