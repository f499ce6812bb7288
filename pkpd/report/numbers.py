"""How numbers look in the report: three significant digits, p-values with a floor, true minus signs."""

from __future__ import annotations

import math

__all__ = [
    "MISSING",
    "fixed",
    "integer",
    "p_value",
    "percent",
    "probability",
    "ratio",
    "significant",
    "whole",
]

MISSING = "–"
_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def _special(value: float) -> str | None:
    if value is None or value != value:
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return None


def _signed(text: str) -> str:
    # a rounded zero has no sign; others carry the typographic minus
    if text.startswith("-"):
        text = text[1:] if not text.strip("-0.") else "−" + text[1:]
    head, dot, tail = text.partition(".")
    sign = "−" if head.startswith("−") else ""
    digits = head.removeprefix("−")
    if len(digits) > 4:
        groups = [digits[max(0, i - 3) : i] for i in range(len(digits), 0, -3)][::-1]
        digits = "\u202f".join(groups)
    return sign + digits + dot + tail


def fixed(value: float, decimals: int) -> str:
    """A number with so many decimals; digits are grouped from 10 000 on."""
    special = _special(value)
    return special if special is not None else _signed(f"{float(value):.{decimals}f}")


def integer(value: float) -> str:
    """A count."""
    return fixed(value, 0)


def whole(value: float) -> bool:
    """Whether a number is finite and has no fractional part."""
    return value is not None and math.isfinite(value) and float(value).is_integer()


def significant(value: float, digits: int = 3) -> str:
    """A number to ``digits`` significant digits; integers above that keep all of theirs.

    Values below 10⁻⁴ or from 10⁷ on are written with a power of ten.
    """
    special = _special(value)
    if special is not None:
        return special
    value = float(value)
    if value == 0:
        return "0"
    mantissa, exponent_text = f"{value:.{digits - 1}e}".split("e")
    exponent = int(exponent_text)
    if exponent < -4 or exponent >= 7:
        return _signed(mantissa) + "\u202f×\u202f10" + str(exponent).translate(_SUPERSCRIPT)
    return fixed(value, max(0, digits - 1 - exponent))


def ratio(value: float) -> str:
    """A ratio: two decimals, more where it is below 0.1."""
    special = _special(value)
    if special is not None:
        return special
    return significant(value) if abs(value) < 0.1 and value != 0 else fixed(value, 2)


def probability(value: float, gates: tuple[float, ...] = (0.8, 0.9)) -> str:
    """A probability: two decimals, and more where rounding would carry it over a threshold of the rule.

    Draws and rounding can give exactly 0 or 1; neither is claimed.
    """
    special = _special(value)
    if special is not None:
        return special
    value = float(value)
    if value < 0.005:
        return "<0.01"
    if value >= 0.995:
        return ">0.99"
    for decimals in range(2, 8):
        text = f"{value:.{decimals}f}"
        if all((float(text) >= gate) == (value >= gate) for gate in gates):
            break
    return text


def p_value(value: float) -> str:
    """A p-value: three decimals, never smaller than "<0.001"."""
    special = _special(value)
    if special is not None:
        return special
    return "<0.001" if value < 0.001 else ">0.999" if value > 0.999 else f"{value:.3f}"


def percent(value: float, decimals: int = 1) -> str:
    """A proportion as percentage points, without the sign %."""
    special = _special(value)
    return special if special is not None else fixed(100 * float(value), decimals)
