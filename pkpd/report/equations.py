"""Model equations from LaTeX to MathML, which browsers draw and screen readers speak without a script."""

from __future__ import annotations

import re

__all__ = ["mathml"]


def mathml(latex: str) -> str | None:
    """MathML of one equation; None where the LaTeX is beyond the converter (the report then prints the source)."""
    from latex2mathml.converter import convert

    source = latex.strip().strip("$").strip()
    try:
        markup = convert(source, display="block")
    except Exception:  # the converter raises many kinds; an equation must not cost the reader the report
        return None
    # what it does not know it passes through as an identifier with a backslash
    return None if re.search(r"<m[a-z]+[^>]*>\s*\\", markup) else markup
