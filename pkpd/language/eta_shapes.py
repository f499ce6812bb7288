"""Random effects that are not normal: a normal eta bent by a parameter.

Petersson, Hanze, Savic & Karlsson, Pharm Res 2009;26:2174-2185.
"""

from __future__ import annotations

import math
from typing import Any

import sympy

from pkpd.language.symbols import Quantity, number

__all__ = ["boxcox", "heavy_tailed"]

# below this shape its series is used: the quotient loses digits there, its derivative twice as many
_SMALL_SHAPE = 0.01


def boxcox(eta: Any, shape: Any) -> Quantity:
    """Box-Cox transformed random effect, (exp(shape·eta) - 1)/shape: skewed to the right where shape > 0, to the left below 0.

    At shape 0 it is eta itself, and nothing is lost near it.
    """
    e, s = number(eta), number(shape)
    series = sum(s**k * e ** (k + 1) / math.factorial(k + 1) for k in range(9))
    small = sympy.And(sympy.Lt(s, _SMALL_SHAPE), sympy.Gt(s, -_SMALL_SHAPE))
    return Quantity(sympy.Piecewise((series, small), ((sympy.exp(s * e) - 1) / s, True)))


def heavy_tailed(eta: Any, df: Any) -> Quantity:
    """Random effect with the tails of a t-distribution with ``df`` degrees of freedom.

    eta·(1 + (eta² + 1)/(4·df) + (5·eta⁴ + 16·eta² + 3)/(96·df²) + (3·eta⁶ + 19·eta⁴ + 17·eta² - 15)/(384·df³)), the expansion of
    a t quantile about a standard normal one (Abramowitz & Stegun 26.7.5), applied to eta as in the source. Bound df below, by
    3 for instance.
    """
    e, d = number(eta), number(df)
    return Quantity(
        e
        * (
            1
            + (e**2 + 1) / (4 * d)
            + (5 * e**4 + 16 * e**2 + 3) / (96 * d**2)
            + (3 * e**6 + 19 * e**4 + 17 * e**2 - 15) / (384 * d**3)
        )
    )
