"""The model in LaTeX, from its symbols."""

from __future__ import annotations

from typing import Any

import sympy

from pkpd.language.absorption import AFTER_DOSE
from pkpd.language.frozen_model import Model

__all__ = ["equations"]


def equations(model: Model) -> tuple[str, ...]:
    """LaTeX of a model: individual parameters, differential equations, observations with their variance.

    Parameters
    ----------
    model : Model

    Returns
    -------
    tuple of str
        One equation each, without dollar signs.
    """
    names: dict[Any, str] = {t.symbol: rf"\theta_{{{_escape(t.name)}}}" for t in model.thetas}
    names |= {e.symbol: rf"\eta_{{{_escape(e.name)}}}" for e in model.etas}
    names |= {v.symbol: rf"\kappa_{{{_escape(v.name)}}}" for v in model.iovs}
    names |= {c.symbol: rf"\mathrm{{{_escape(c.name)}}}" for c in model.covariates}
    names |= {e.symbol: rf"\beta_{{{_escape(e.parameter)},\,{_escape(e.factor)}}}" for e in model.effects}
    names |= {p.symbol: rf"\mathrm{{{_escape(p.name)}}}" for p in model.parameters}
    names |= {c.symbol: rf"A_{{{_escape(c.name)}}}" for c in model.compartments}
    names[model.dv] = r"\mathrm{DV}"
    names |= {o.last: r"1_{\mathrm{last}}" for o in model.observations if o.last is not None}
    names |= {model.time: "t", AFTER_DOSE: r"\tau"}

    def tex(e: Any) -> str:
        return sympy.latex(_centred(e, names), symbol_names=names)

    lines = [rf"{names[p.symbol]} = {tex(p.expression)}" for p in model.parameters]
    for c, rate in zip(model.compartments, model.rates, strict=True):
        given = (
            ""
            if c.input is None
            else rf" + \sum_{{d}} F D_{{d}}\,\mathrm{{In}}_{{{_escape(c.name)}}}(t - t_{{d}})"
        )
        lines.append(rf"\frac{{dA_{{{_escape(c.name)}}}}}{{dt}} = {tex(rate)}{given}")
        for what, e in (
            ("t_{lag", c.lag),
            ("F_{", c.bioavailability),
            ("A(0)_{", c.initial),
            ("D_{", c.duration),
            ("R_{", c.rate),
        ):
            if e is not None:
                lines.append(rf"{what}{',' if what == 't_{lag' else ''}{_escape(c.name)}}} = {tex(e)}")
        if c.input is not None:
            lines.append(rf"\mathrm{{In}}_{{{_escape(c.name)}}}(\tau) = {tex(c.input)}")
    for o in model.observations:
        name = _escape(o.name)
        what = rf"-2\log L_{{\mathrm{{{name}}}}}" if o.likelihood else rf"\mathrm{{{name}}}"
        lines.append(rf"{what} = {tex(o.prediction)}")
        square, outer = ("", "^{2}") if o.combined == "sd" else ("^{2}", "")
        terms = []
        if o.additive:
            terms.append(rf"\sigma_{{{_escape(o.additive)}}}{square}")
        if o.proportional:
            power = rf"c_{{{_escape(o.power)}}}" if o.power else "1"
            grown = {"": f"^{{{power}}}" if o.power else "", "^{2}": f"^{{2{power if o.power else ''}}}"}[
                square
            ]
            terms.append(rf"\sigma_{{{_escape(o.proportional)}}}{square}\,\mathrm{{{name}}}{grown}")
        if terms:
            total = " + ".join(terms)
            what = rf"\log\mathrm{{{name}}}" if o.transform == "log" else rf"\mathrm{{{name}}}"
            shown = rf"\left({total}\right){outer}" if outer else total
            lines.append(rf"\mathrm{{Var}}({what}) = {shown}")
        if o.ar1:
            rate = rf"\lambda_{{{_escape(o.ar1)}}}"
            lines.append(
                rf"\mathrm{{Cor}}(\varepsilon_{{\mathrm{{{name}}}}}(s), \varepsilon_{{\mathrm{{{name}}}}}(t))"
                rf" = e^{{-{rate}\,|t - s|}}"
            )
    for pair in model.correlations:
        first, second = (rf"\varepsilon_{{\mathrm{{{_escape(n)}}}}}(t)" for n in (pair.first, pair.second))
        rho = rf"\rho_{{\mathrm{{{_escape(pair.first)}}},\,\mathrm{{{_escape(pair.second)}}}}}"
        lines.append(rf"\mathrm{{Cor}}({first}, {second}) = {rho}")
    return tuple(lines)


def _centred(e: Any, names: dict[Any, str]) -> Any:
    """Show c·x as x/r and c·x^a as (x/r)^a where r is a round number: SymPy multiplies (WT/75)^0.75 out."""

    def rewrite(product: Any) -> Any:
        number, rest = product.as_coeff_Mul()
        powers = [f for f in sympy.Mul.make_args(rest) if f.is_Pow and f.base.is_Symbol and f.exp.is_Float]
        scaled = powers[0] if len(powers) == 1 else rest
        base, power = scaled.as_base_exp()
        if not number.is_Float or not base.is_Symbol or not power.is_number:
            return product
        reference = float(number) ** (-1.0 / float(power))
        shown = f"{reference:.6g}"
        if abs(reference - float(shown)) > 1e-12 * reference or "e" in shown:
            return product
        ratio = sympy.Symbol(rf"\left(\frac{{{names.get(base, base.name)}}}{{{shown}}}\right)")
        return rest.xreplace(
            {scaled: ratio if power == 1 else sympy.Pow(sympy.UnevaluatedExpr(ratio), power, evaluate=False)}
        )

    return e.replace(lambda x: x.is_Mul, rewrite)


def _escape(name: str) -> str:
    return name.replace("_", r"\_")
