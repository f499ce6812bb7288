"""Units as people write them in tables: what they measure, and the factor from one to another."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from pkpd.errors import InputError

__all__ = ["Unit", "conversion_factor", "parse_unit"]

_PREFIXES = {
    **{"k": 1e3, "d": 1e-1, "c": 1e-2, "m": 1e-3, "n": 1e-9, "p": 1e-12, "f": 1e-15},
    **dict.fromkeys(("µ", "u", "mc"), 1e-6),
}

# size in base units (g, mol, s, m, IU) and the powers of them
_SCALED: dict[str, tuple[float, dict[str, int]]] = {
    "g": (1.0, {"g": 1}),
    "mol": (1.0, {"mol": 1}),
    "M": (1e3, {"mol": 1, "m": -3}),
    "L": (1e-3, {"m": 3}),
    "l": (1e-3, {"m": 3}),
    "m": (1.0, {"m": 1}),
    "s": (1.0, {"s": 1}),
    "IU": (1.0, {"IU": 1}),
}
_WHOLE: dict[str, tuple[float, dict[str, int]]] = {
    **dict.fromkeys(("sec", "second", "seconds"), (1.0, {"s": 1})),
    **dict.fromkeys(("min", "minute", "minutes"), (60.0, {"s": 1})),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), (3600.0, {"s": 1})),
    **dict.fromkeys(("d", "day", "days"), (86400.0, {"s": 1})),
    **dict.fromkeys(("wk", "week", "weeks"), (604800.0, {"s": 1})),
    **dict.fromkeys(("yr", "year", "years"), (365.25 * 86400.0, {"s": 1})),
    "in": (0.0254, {"m": 1}),
    "lb": (453.59237, {"g": 1}),
    "%": (0.01, {}),
    "1": (1.0, {}),
}
_FACTOR = re.compile(r"([0-9]+\.?[0-9]*)?([^0-9^+-]*)\^?([+-]?[0-9]+)?\Z")
_POWERS = str.maketrans({"²": "2", "³": "3", "⁻": "-", "¹": "1", "μ": "µ", "−": "-"})


@dataclass(frozen=True)
class Unit:
    """A unit taken apart.

    Attributes
    ----------
    size : float
        In base units: g, mol, s, m, IU.
    powers : tuple of (str, int)
        Powers of the base units, sorted by name.
    """

    size: float
    powers: tuple[tuple[str, int], ...]


@cache
def parse_unit(text: str) -> Unit | None:
    """Take a unit apart.

    Products are written with ``*``, ``·`` or a blank, quotients with ``/`` (from left to right), powers with
    ``^``, a trailing digit or ``²``; metric prefixes, and ``u`` or ``mc`` for µ.

    Parameters
    ----------
    text : str
        E.g. ``"mg/L"``, ``"mL/min/1.73m2"``, ``"1/h"``, ``"µmol·h^-1"``.

    Returns
    -------
    Unit or None
        None if some part of it is not known.
    """
    size, powers, sign = 1.0, dict[str, int](), 1
    for part in re.split(r"([/*·\s]+)", text.strip().translate(_POWERS)):
        if not part or re.fullmatch(r"[/*·\s]+", part):
            sign = -1 if "/" in part else 1
            continue
        found = _factor(part)
        if found is None:
            return None
        factor, own, power = found
        size *= factor ** (sign * power)
        for base, exponent in own.items():
            powers[base] = powers.get(base, 0) + exponent * power * sign
        sign = 1
    return Unit(size, tuple(sorted((b, e) for b, e in powers.items() if e)))


def _factor(part: str) -> tuple[float, dict[str, int], int] | None:
    if part in _WHOLE:
        return *_WHOLE[part], 1
    match = _FACTOR.match(part)
    if match is None:
        return None
    number, name, power = match.groups()
    if not name:
        return (float(number), {}, 1) if number and not power else None
    found = _named(name)
    if found is None:
        return None
    exponent = int(power or 1)
    # 1.73m2 is 1.73 times a square metre, not the square of 1.73 m
    scale = float(number) ** (1 / exponent) if number and exponent else 1.0
    return found[0] * scale, found[1], exponent


def _named(name: str) -> tuple[float, dict[str, int]] | None:
    if name in _WHOLE:
        return _WHOLE[name]
    if name in _SCALED:
        return _SCALED[name]
    for prefix, scale in _PREFIXES.items():
        rest = name.removeprefix(prefix)
        if rest != name and rest in _SCALED:
            return _SCALED[rest][0] * scale, _SCALED[rest][1]
    return None


def conversion_factor(unit: str, to: str) -> float | None:
    """Number by which values in ``unit`` are multiplied to be in ``to``.

    Parameters
    ----------
    unit, to : str

    Returns
    -------
    float or None
        None if one of them is not known and they are not written alike, so that nothing can be said.

    Raises
    ------
    InputError
        ``E_UNIT_KIND`` if they measure different things (mass and amount of substance, for instance).
    """
    if "".join(unit.split()) == "".join(to.split()):
        return 1.0
    own, wanted = parse_unit(unit), parse_unit(to)
    if own is None or wanted is None:
        return None
    if own.powers != wanted.powers:
        raise InputError(
            "E_UNIT_KIND",
            f"{unit} and {to} do not measure the same thing.",
            "Correct the unit, or convert the values (from mass to moles with the molar mass, for instance).",
        )
    return own.size / wanted.size
