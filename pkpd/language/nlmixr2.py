"""A model as an nlmixr2 function (R), for those who want to check a fit with another program."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pkpd.errors import ModelError
from pkpd.language.code import Names, Writer, coded_levels, number_text, resolved_effects
from pkpd.language.declarations import Observation, Theta
from pkpd.language.frozen_model import Model

__all__ = ["nlmixr2_text"]

_FUNCTIONS = {
    "exp": "exp", "log": "log", "sqrt": "sqrt", "sin": "sin", "cos": "cos", "loggamma": "lgamma", "Abs": "abs",
}  # fmt: skip
_RELATIONS = {"==": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


class _Writer(Writer):
    def _print_Piecewise(self, e: Any) -> str:
        text = self._print(e.args[-1][0])
        for value, condition in reversed(e.args[:-1]):
            text = f"ifelse({self._print(condition)}, {self._print(value)}, {text})"
        return text

    def _print_Relational(self, e: Any) -> str:
        return f"({self._print(e.lhs)} {_RELATIONS[e.rel_op]} {self._print(e.rhs)})"

    def _print_And(self, e: Any) -> str:
        return "(" + " && ".join(self._print(a) for a in e.args) + ")"

    def _print_Or(self, e: Any) -> str:
        return "(" + " || ".join(self._print(a) for a in e.args) + ")"

    def _print_Not(self, e: Any) -> str:
        return f"!{self._print(e.args[0])}"


def nlmixr2_text(model: Model, *, effects: Mapping[str, float] | None = None) -> str:
    """Text of an R function that nlmixr2 takes.

    Parameters
    ----------
    model : Model
    effects : mapping, optional
        Value of each effect of a factor by name, ``CL(TUMOR=lung)``; 0 without it.

    Returns
    -------
    str

    Raises
    ------
    ModelError
        ``E_EXPORT`` for what nlmixr2 has no counterpart for, by name.
    """
    _check(model)
    given = Names(["t", "time", "id", "cmt", "dvid", "dv", "amt", "evid", "ini", "model"], 60, upper=False)
    names: dict[Any, str] = {c.symbol: given.give(c.name) for c in model.covariates}
    columns = {c.name: names[c.symbol] for c in model.covariates}
    columns |= {f.name: given.give(f.name) for f in model.factors if f.name not in columns}
    for c in model.compartments:
        names[c.symbol] = given.give(c.name)
    parameters = [(p, given.give(p.name)) for p in model.parameters]
    ini = []
    for t in model.thetas:
        names[t.symbol] = given.give(f"tv_{t.name}")
        ini.append(f"    {names[t.symbol]} <- {_initial(t)}" + (f"  # {t.label}" if t.label else ""))
    terms: dict[Any, list[str]] = {e.symbol: [] for e in model.effects}
    for effect, level, _, value in resolved_effects(model, "nlmixr2", effects):
        name = given.give(f"{effect.parameter}_{effect.factor}_{level}")
        ini.append(f"    {name} <- {number_text(value)}")
        terms[effect.symbol].append(f'{name} * ({columns[effect.factor]} == "{level}")')
    etas = {e.name: given.give(f"eta_{e.name}") for e in model.etas}
    names |= {e.symbol: etas[e.name] for e in model.etas}
    for block in model.omega:
        sizes = [number_text(v) for row in block.lower_triangle for v in row]
        numbers = f"c({', '.join(sizes)})" if len(sizes) > 1 else sizes[0]
        numbers = f"fix({', '.join(sizes)})" if block.fixed else numbers
        ini.append(f"    {' + '.join(etas[n] for n in block.names)} ~ {numbers}")
    for v in model.iovs:
        names[v.symbol] = given.give(f"iov_{v.name}")
        size = number_text(v.variance)
        ini.append(f"    {names[v.symbol]} ~ {f'fix({size})' if v.fixed else size} | {v.occasion}")
    sigmas = {s.name: given.give(f"sd_{s.name}") for s in model.sigmas}
    for s in model.sigmas:
        size = number_text(s.sd)
        ini.append(f"    {sigmas[s.name]} <- {f'fix({size})' if s.fixed else f'c(0, {size})'}")
    names[model.time] = "t"
    body = []
    for symbol, added in terms.items():
        names[symbol] = given.give(f"effect_{symbol.name}")
        body.append(f"    {names[symbol]} <- {' + '.join(added)}")
    writer = _Writer(names, _FUNCTIONS, "^")
    for p, name in parameters:
        body.append(f"    {name} <- {writer.text(p.expression)}")
        names[p.symbol] = name
    for c, rate in zip(model.compartments, model.rates, strict=True):
        body.append(f"    d/dt({names[c.symbol]}) <- {writer.text(rate)}")
    for c in model.compartments:
        for left, e in (
            ("{}(0)", c.initial), ("alag({})", c.lag), ("f({})", c.bioavailability), ("dur({})", c.duration),
            ("rate({})", c.rate),
        ):  # fmt: skip
            if e is not None:
                body.append(f"    {left.format(names[c.symbol])} <- {writer.text(e)}")
    for o in model.observations:
        name = given.give(o.name)
        body += [f"    {name} <- {writer.text(o.prediction)}", f"    {name} ~ {_error(o, sigmas)}"]
    head = [f"# {line}".rstrip() for line in model.doc.splitlines()]
    for f in model.factors:
        head.append(f"# {f.name}: {f.reference} is the reference of {', '.join(coded_levels(f, 'nlmixr2'))}")
    return "\n".join(
        [
            *head,
            f"{Names([], 60, upper=False).give(model.name)} <- function() {{",
            "  ini({",
            *ini,
            "  })",
            "  model({",
            *body,
            "  })",
            "}",
            "",
        ]
    )


def _check(model: Model) -> None:
    joint = next((b for b in model.iov_blocks if len(b) > 1), None)
    if joint:
        raise ModelError(
            "E_EXPORT",
            f"{', '.join(v.eta_name for v in joint)} are correlated, and nlmixr2 has a variance for each alone.",
            "Declare each by m.iov(…).",
        )
    for c in model.compartments:
        if c.input is not None:
            raise ModelError(
                "E_EXPORT",
                f"compartment {c.name}: an input function superposes doses, which nlmixr2 does not.",
                "Write the absorption with compartments (m.delay).",
            )
    for o in model.observations:
        if o.likelihood:
            raise ModelError(
                "E_EXPORT",
                f"{o.name} is a likelihood of its own, which this cannot write for nlmixr2.",
                "Write it by hand with ll(…).",
            )
    correlated = [o.name for o in model.observations if o.ar1] + [c.first for c in model.correlations]
    if correlated:
        raise ModelError(
            "E_EXPORT",
            f"residual errors of {correlated[0]} are correlated, which nlmixr2 has no counterpart for.",
            "Leave ar1= and m.correlate out.",
        )
    moving = [c.name for c in model.covariates if c.interpolation != "nocb"]
    if moving:
        raise ModelError(
            "E_EXPORT",
            f"covariate {moving[0]}: its interpolation is an option of the fit in nlmixr2, not of the model.",
            'Use interpolation="nocb", and covsInterpolation="nocb" there.',
        )


def _initial(t: Theta) -> str:
    value = number_text(t.initial)
    if t.fixed:
        return f"fix({value})"
    if math.isinf(t.lower) and math.isinf(t.upper):
        return value
    bounds = [("-Inf" if b < 0 else "Inf") if math.isinf(b) else number_text(b) for b in (t.lower, t.upper)]
    return f"c({bounds[0]}, {value}, {bounds[1]})"


def _error(o: Observation, sigmas: dict[str, str]) -> str:
    if o.transform == "log":
        return f"lnorm({sigmas[o.additive or '']})"
    terms = [f"add({sigmas[o.additive]})"] if o.additive else []
    if o.proportional and o.power:
        terms.append(f"pow({sigmas[o.proportional]}, {sigmas[o.power]})")
    elif o.proportional:
        terms.append(f"prop({sigmas[o.proportional]})")
    if len(terms) == 2:
        terms.append("combined1()" if o.combined == "sd" else "combined2()")
    return " + ".join(terms)
