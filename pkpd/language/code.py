"""Expressions as text for other programs: names that they accept, numbers with all digits, branches."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sympy
from sympy.printing.str import StrPrinter

from pkpd.errors import ModelError
from pkpd.language.declarations import Effect, Factor
from pkpd.language.frozen_model import Model
from pkpd.language.scales import named_values
from pkpd.language.structure import branched

__all__ = ["Names", "Writer", "coded_levels", "number_text", "resolved_effects"]


class Names:
    """Gives each item a name of letters, digits and underscores that no other item has; ``taken`` are words of the language."""

    def __init__(self, taken: Iterable[str], longest: int, *, upper: bool) -> None:
        self._taken = {t.upper() for t in taken}
        self._longest, self._upper = longest, upper

    def give(self, wanted: str) -> str:
        """Return ``wanted``, or what is nearest to it and free."""
        text = re.sub(r"\W+", "_", wanted, flags=re.ASCII).strip("_") or "X"
        text = text if text[0].isalpha() else f"X{text}"
        text = text.upper() if self._upper else text
        stem, k, name = text[: self._longest], 1, text[: self._longest]
        while name.upper() in self._taken:
            k += 1
            name = f"{stem[: self._longest - len(str(k))]}{k}"
        self._taken.add(name.upper())
        return name


def number_text(value: float) -> str:
    """Write a number so that it reads back as the same double."""
    return repr(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))


def coded_levels(factor: Factor, program: str) -> tuple[str, ...]:
    """Levels of a factor other than its reference.

    Raises
    ------
    ModelError
        ``E_EXPORT`` if they are known only from data.
    """
    if factor.levels is None:
        raise ModelError(
            "E_EXPORT",
            f"factor {factor.name}: its levels are known only from data, {program} needs them.",
            f"Declare m.factor({factor.name!r}, levels=[…], reference={factor.reference!r}).",
        )
    return tuple(x for x in factor.levels if x != factor.reference)


def resolved_effects(
    model: Model, program: str, values: Mapping[str, float] | None
) -> list[tuple[Effect, str, Any, float]]:
    """Each effect once per level: (effect, level, symbol of its theta, value); levels in the order of declaration.

    Raises
    ------
    ModelError
        ``E_EXPORT`` for a value of a level that the factor does not declare, or levels that are known only from data.
    """
    out, given = [], named_values(values)
    factors = {f.name: f for f in model.factors}
    for effect in model.effects:
        for level in coded_levels(factors[effect.factor], program):
            name = f"{effect.parameter}({effect.factor}={level})"
            out.append((effect, level, sympy.Dummy(name, real=True), float(given.pop(name, 0.0))))
    prefixes = tuple(f"{e.parameter}({e.factor}=" for e in model.effects)
    unknown = [name for name in given if prefixes and name.startswith(prefixes)]
    if unknown:
        raise ModelError(
            "E_EXPORT", f"{unknown[0]} is no effect of {model.name}.", "Give those of the declared levels."
        )
    return out


class Writer(StrPrinter):
    """Text of expressions in which symbols have the given names.

    Parameters
    ----------
    names : dict
        Symbols to text.
    functions : dict
        Names of SymPy's functions (``exp``, ``log`` …) to those of the program.
    power : str
        ``**`` or ``^``.
    """

    def __init__(self, names: dict[Any, str], functions: dict[str, str], power: str) -> None:
        super().__init__({"order": "none"})
        self._names, self._functions, self._power = names, functions, power

    def text(self, e: Any) -> str:
        """Write an expression."""
        return self.doprint(branched(sympy.sympify(e)))

    def _print_Dummy(self, e: Any) -> str:
        return self._names[e]

    _print_Symbol = _print_Dummy

    def _print_Float(self, e: Any) -> str:
        return number_text(float(e))

    def _print_Rational(self, e: Any) -> str:
        return f"{e.p}.0/{e.q}.0"

    def _print_Pi(self, e: Any) -> str:
        return number_text(float(e))

    _print_Exp1 = _print_Pi

    def _print_Pow(self, e: Any, rational: bool = False) -> str:
        base, power = e.as_base_exp()
        if power == -1:
            return f"1/{self.parenthesize(base, 60)}"
        if power == sympy.Rational(1, 2):
            return f"{self._functions['sqrt']}({self._print(base)})"
        return f"{self.parenthesize(base, 60, strict=True)}{self._power}{self.parenthesize(power, 60, strict=True)}"

    def _print_Function(self, e: Any) -> str:
        name = self._functions.get(e.func.__name__)
        if name is None:
            raise ModelError(
                "E_EXPORT", f"the function {e.func.__name__} has no counterpart.", "Leave it out."
            )
        return f"{name}({', '.join(self._print(a) for a in e.args)})"

    _print_exp = _print_Function
