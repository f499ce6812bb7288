"""A model as a NONMEM control stream (NM-TRAN, ADVAN13), for those who want to check a fit with another program."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import sympy

from pkpd.errors import ModelError
from pkpd.language.code import Names, Writer, coded_levels, number_text, resolved_effects
from pkpd.language.declarations import Observation, Theta
from pkpd.language.frozen_model import Model

__all__ = ["nonmem_text"]

_FUNCTIONS = {
    "exp": "EXP", "log": "LOG", "sqrt": "SQRT", "sin": "SIN", "cos": "COS", "loggamma": "GAMLN", "Abs": "ABS",
}  # fmt: skip
_RELATIONS = {"==": ".EQ.", "!=": ".NE.", "<": ".LT.", "<=": ".LE.", ">": ".GT.", ">=": ".GE."}
_TAKEN = [
    "T", "TIME", "DV", "AMT", "RATE", "II", "ADDL", "SS", "CMT", "EVID", "MDV", "ID", "DVID", "Y", "F", "W", "IPRED", "A",
    "DADT", "THETA", "ETA", "EPS", "ERR", "COM", "PI", "MIXNUM", "NEWIND", "ICALL", "DOSE", "TSTATE", "CALLFL", "EXP", "LOG",
    "SQRT", "SIN", "COS", "ABS", "INT", "MOD", "MIN", "MAX", "GAMLN", "PHI", "IF", "THEN", "ELSE", "ENDIF",
]  # fmt: skip
_WIDTH = 120


class _Writer(Writer):
    """Branches become IF blocks before the statement that uses them."""

    def __init__(self, names: dict[Any, str], given: Names) -> None:
        super().__init__(names, _FUNCTIONS, "**")
        self._given = given
        self.before: list[str] = []

    def _print_Integer(self, e: Any) -> str:
        return f"{int(e)}.0"

    def _print_Pow(self, e: Any, rational: bool = False) -> str:
        if e.exp.is_Integer and int(e.exp) > 1:
            return f"{self.parenthesize(e.base, 60, strict=True)}**{int(e.exp)}"
        return super()._print_Pow(e)

    def _print_Piecewise(self, e: Any) -> str:
        name = self._given.give("BRANCH")
        lines = []
        for k, (value, condition) in enumerate(e.args):
            if condition == sympy.true:
                lines.append("ELSE")
            else:
                lines.append(f"{'ELSE' if k else ''}IF ({self._print(condition)}) THEN")
            lines.append(f"  {name} = {self._print(value)}")
        self.before += [*lines, "ENDIF"]
        return name

    def _print_Relational(self, e: Any) -> str:
        return f"{self._print(e.lhs)}{_RELATIONS[e.rel_op]}{self._print(e.rhs)}"

    def _print_And(self, e: Any) -> str:
        return ".AND.".join(f"({self._print(a)})" for a in e.args)

    def _print_Or(self, e: Any) -> str:
        return ".OR.".join(f"({self._print(a)})" for a in e.args)

    def _print_Not(self, e: Any) -> str:
        return f".NOT.({self._print(e.args[0])})"

    def statement(self, left: str, e: Any) -> list[str]:
        """``left = e`` with the branches it needs."""
        self.before = []
        text = self.text(e)
        return [*self.before, f"{left} = {text}"]


def nonmem_text(
    model: Model,
    columns: Sequence[str] | str,
    *,
    data: str = "data.csv",
    occasions: Sequence[int] = (),
    effects: Mapping[str, float] | None = None,
) -> str:
    """Text of a control stream.

    Parameters
    ----------
    model : Model
    columns : sequence of str, or str
        Columns of the data file in order, as $INPUT names them; ``DROP`` for one to leave out.
    data : str
        Name of the data file.
    occasions : sequence of int
        Values of the occasion column, for a model with effects of the occasion.
    effects : mapping, optional
        Value of each effect of a factor by name, ``CL(TUMOR=lung)``; 0 without it.

    Returns
    -------
    str
        Levels of a factor are numbers in NONMEM: its comment says which.

    Raises
    ------
    ModelError
        ``E_EXPORT`` for what NONMEM has no counterpart for, by name, or a column that is missing.
    """
    columns = columns.split() if isinstance(columns, str) else list(columns)
    _check(model, columns, occasions)
    given = Names([*_TAKEN, *columns], 20, upper=True)
    names: dict[Any, str] = {c.symbol: c.name for c in model.covariates}
    names |= {c.symbol: f"A({i + 1})" for i, c in enumerate(model.compartments)}
    thetas = [(t, _theta(t)) for t in model.thetas]
    names |= {t.symbol: f"THETA({i + 1})" for i, (t, _) in enumerate(thetas)}
    records = [text for _, text in thetas]
    pk: list[str] = []
    comments, codes = [], {}
    for f in model.factors:
        codes[f.name] = {level: k + 1 for k, level in enumerate(coded_levels(f, "NONMEM"))}
        coded = ", ".join(f"{k} = {level}" for level, k in codes[f.name].items())
        comments.append(f"; {f.name}: 0 = {f.reference} (reference), {coded}")
    for e in model.effects:
        names[e.symbol] = given.give(f"EFF_{e.parameter}_{e.factor}")
        pk.append(f"{names[e.symbol]} = 0")
    for effect, level, symbol, value in resolved_effects(model, "NONMEM", effects):
        records.append(f"{number_text(value)}  ; {symbol.name}")
        pk.append(
            f"IF ({effect.factor}.EQ.{codes[effect.factor][level]}) {names[effect.symbol]} = THETA({len(records)})"
        )
    omega = []
    names |= {e.symbol: f"ETA({i + 1})" for i, e in enumerate(model.etas)}
    for block in model.omega:
        omega += _omega(block.names, block.lower_triangle, block.fixed)
    number = len(model.etas)
    for iovs in model.iov_blocks:
        triangle = [(*v.covariances, v.variance) for v in iovs]
        for v in iovs:
            names[v.symbol] = given.give(f"IOV_{v.name}")
            pk.append(f"{names[v.symbol]} = 0")
        for k, value in enumerate(occasions):
            for v in iovs:
                number += 1
                pk.append(f"IF ({v.occasion}.EQ.{value}) {names[v.symbol]} = ETA({number})")
            if k:
                omega.append(f"$OMEGA BLOCK({len(iovs)}) SAME")
            elif len(iovs) == 1:  # a block of one, so that the others can be the same
                fixed = " FIX" if iovs[0].fixed else ""
                size = number_text(iovs[0].variance)
                omega.append(f"$OMEGA BLOCK(1)\n  {size}{fixed}  ; {iovs[0].eta_name}")
            else:
                omega += _omega([v.eta_name for v in iovs], triangle, iovs[0].fixed)
    sds = {}
    for s in model.sigmas:
        records.append(f"(0, {number_text(s.sd)}){' FIX' if s.fixed else ''}  ; {s.label}")
        sds[s.name] = f"THETA({len(records)})"
    names[model.time] = "TIME"
    writer = _Writer(names, given)
    for p in model.parameters:
        name = given.give(p.name)
        pk += writer.statement(name, p.expression)
        names[p.symbol] = name
    for i, c in enumerate(model.compartments):
        for left, e in (
            ("ALAG{}", c.lag), ("F{}", c.bioavailability), ("D{}", c.duration), ("R{}", c.rate), ("A_0({})", c.initial)
        ):  # fmt: skip
            if e is not None:
                pk += writer.statement(left.format(i + 1), e)
    error: list[str] = []
    for k, o in enumerate(model.observations):
        several = len(model.observations) > 1
        name = given.give(f"PRED_{o.name}")
        error += writer.statement(name, o.prediction)
        inner = [f"IPRED = {name}", f"W = {_error(o, sds)}"]
        error += [f"IF (DVID.EQ.{k + 1}) THEN", *(f"  {x}" for x in inner), "ENDIF"] if several else inner
    error.append("Y = IPRED + W*EPS(1)")
    names[model.time] = "T"  # inside $DES
    des: list[str] = []
    for i, rate in enumerate(model.rates):
        des += writer.statement(f"DADT({i + 1})", rate)
    body = ["$PRED", *(f"  {x}" for x in (*pk, *error))]  # equations in time alone
    if model.compartments:
        body = ["$SUBROUTINES ADVAN13 TOL=9", "$MODEL"]
        for i, c in enumerate(model.compartments):
            body.append(f"  COMP=({re.sub(r'[^A-Z0-9]', '', c.name.upper())[:20] or f'C{i + 1}'})")
        for head, lines in (("$PK", pk), ("$DES", des), ("$ERROR", error)):
            body += [head, *(f"  {x}" for x in lines)]
    blocks = [
        *[f"; {line}".rstrip() for line in model.doc.splitlines()],
        *comments,
        f"$PROBLEM {model.name}",
        f"$INPUT {' '.join(columns)}",
        f"$DATA {data} IGNORE=@",
        *body,
        *(f"$THETA {r}" for r in records),
        *omega,
        "$SIGMA 1 FIX",
        "$ESTIMATION METHOD=1 INTERACTION MAXEVAL=9999 SIGL=9 NSIG=3 PRINT=5",
        "$COVARIANCE",
    ]  # fmt: skip
    return "\n".join(_wrapped(line) for line in blocks) + "\n"


def _check(model: Model, columns: Sequence[str], occasions: Sequence[int]) -> None:
    def refuse(what: str, remedy: str) -> ModelError:
        return ModelError("E_EXPORT", f"model {model.name} cannot be written for NONMEM: {what}.", remedy)

    for c in model.compartments:
        if c.input is not None:
            raise refuse(
                f"compartment {c.name} has an input function",
                "Write the absorption with compartments (m.delay).",
            )
    for v in model.covariates:
        if v.interpolation != "nocb":
            raise refuse(
                f"covariate {v.name} is interpolated by {v.interpolation}", 'NONMEM knows "nocb" alone.'
            )
    for o in model.observations:
        if o.likelihood:
            raise refuse(
                f"{o.name} is a likelihood of its own", "Write it by hand with F_FLAG and METHOD=1 LAPLACE."
            )
        if o.ar1 is not None:
            raise refuse(
                f"errors of {o.name} are correlated in time (ar1=)", "Leave ar1 out, or write it by hand."
            )
        if o.transform is not None:
            raise refuse(
                f"the error of {o.name} is log-normal",
                "Take the logarithm of DV in the data and observe log(…).",
            )
    for pair in model.correlations:
        raise refuse(
            f"errors of {pair.first} and {pair.second} are correlated",
            "Leave m.correlate out, or write it by hand with L2 and $SIGMA BLOCK.",
        )
    needed = (
        [c.name for c in model.covariates]
        + [f.name for f in model.factors]
        + [v.occasion for v in model.iovs]
    )
    needed += ["ID", "TIME", "DV"] + (["DVID"] if len(model.observations) > 1 else [])
    missing = [n for n in needed if n not in columns]
    if missing:
        raise refuse(
            f"$INPUT has no column {missing[0]}", f"The model reads {', '.join(dict.fromkeys(needed))}."
        )
    if occasions and not model.iovs:
        raise refuse(
            "it has no effects of the occasion that occasions= could number", "Leave occasions= out."
        )
    if model.iovs and not occasions:
        raise refuse("it has effects of the occasion", "Give occasions=[1, 2, …], the values of the column.")


def _theta(t: Theta) -> str:
    lower = "-INF" if math.isinf(t.lower) else number_text(t.lower)
    upper = "" if math.isinf(t.upper) else f", {number_text(t.upper)}"
    value = number_text(t.initial)
    bounded = not (math.isinf(t.lower) and math.isinf(t.upper)) and not t.fixed
    text = f"({lower}, {value}{upper})" if bounded else f"{value} FIX" if t.fixed else value
    return f"{text}  ; {t.name}{f' ({t.unit})' if t.unit else ''}"


def _omega(names: Sequence[str], triangle: Sequence[Sequence[float]], fixed: bool) -> list[str]:
    if len(names) == 1:
        return [f"$OMEGA {number_text(triangle[0][0])}{' FIX' if fixed else ''}  ; {names[0]}"]
    lines = [f"$OMEGA BLOCK({len(names)}){' FIX' if fixed else ''}"]
    for name, row in zip(names, triangle, strict=True):
        lines.append(f"  {' '.join(number_text(v) for v in row)}  ; {name}")
    return lines


def _error(o: Observation, sds: dict[str, str]) -> str:
    additive = sds.get(o.additive or "", "")
    proportional = ""
    if o.proportional:
        proportional = f"{sds[o.proportional]}*IPRED" + (f"**{sds[o.power]}" if o.power else "")
    if additive and proportional:
        return (
            f"{additive} + {proportional}"
            if o.combined == "sd"
            else f"SQRT({additive}**2 + ({proportional})**2)"
        )
    return additive or proportional


def _wrapped(line: str) -> str:
    """Break a long statement where it has a space, with the continuation mark."""
    if line.startswith(";") or len(line) <= _WIDTH:
        return line
    out, rest = [], line
    while len(rest) > _WIDTH:
        at = rest.rfind(" ", 8, _WIDTH)
        if at < 0:
            break
        out.append(rest[:at] + " &")
        rest = "    " + rest[at + 1 :]
    return "\n".join([*out, rest])
