"""Model equations from LaTeX to MathML, which browsers draw and screen readers speak without a script."""

from __future__ import annotations

import re

__all__ = ["legible", "mathml"]


_TEXT = re.compile(
    r"(\\(?:mathrm|text|operatorname|begin|end|mathcal|mathbf|mathit)\s*\{(?:[^{}\\]|\\_)*\})|(\\[A-Za-z]+)|([A-Za-z](?:[A-Za-z0-9]|\\_)+)"
)
_LETTERS = re.compile(
    r"(?:<mi mathvariant=\"normal\">[^<]*</mi>|<mn>\d</mn>|<mi>_</mi>|<mi mathvariant=\"normal\">_</mi>){2,}"
)


def legible(latex: str) -> str:
    """The equation with its long decimals at six significant digits (a constant that was folded in has all 16)."""
    return re.sub(r"\d+\.\d{6,}", lambda m: f"{float(m.group(0)):.6g}", latex)


def mathml(latex: str) -> str | None:
    """MathML of one equation; None where the LaTeX is beyond the converter (its source is printed then)."""
    from latex2mathml.converter import convert

    # a word is a name (CL, central), not a product of letters: it is set upright, and factors stand apart
    spaced = re.sub(r"(?<=[}\w]) (?=[A-Za-z\\])", r"\\,", latex.strip().strip("$").strip())
    spaced = re.sub(r"\bd([A-Z]_|t\})", r"d \1", spaced)
    source = _TEXT.sub(lambda m: rf"\mathrm{{{m.group(3)}}}" if m.group(3) else m.group(0), spaced)
    try:
        markup = convert(source, display="block")
    except Exception:  # the converter raises many kinds; an equation must not cost the reader the report
        return None
    markup = markup.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")
    markup = _LETTERS.sub(lambda m: f"<mi>{re.sub('<[^>]*>', '', m.group(0))}</mi>", markup)
    # what it does not know it passes through as an identifier with a backslash
    return None if re.search(r"<m[a-z]+[^>]*>\s*\\", markup) else markup
