"""Divided differences of the exponential, accurate however close or far apart the points are.

The solution of a linear system and its derivatives to the rate constants are sums of these (Daleckii-Krein; Higham,
Functions of Matrices, 2008, section 3.2 and appendix B.16): first order needs two points, second order three, and a
constant input adds the point zero. Points that lie close together are expanded in complete homogeneous symmetric
polynomials around their mean, the others use the recursion; 0.5 is where both keep about 15 digits.
"""

from __future__ import annotations

import math

from pkpd._jit import kernel

_CLOSE = 0.5
_TERMS = 14


@kernel()
def divided2(a, b):
    """exp[a, b] = (eᵃ - eᵇ)/(a - b)."""
    d = a - b
    if abs(d) > _CLOSE:
        return (math.exp(a) - math.exp(b)) / d
    if d == 0.0:
        return math.exp(a)
    return math.exp(b) * math.expm1(d) / d


@kernel()
def _series(x0, x1, x2, x3, points):
    """exp[x0, …] for 3 or 4 close points."""
    mean = (x0 + x1 + x2 + (x3 if points == 4 else 0.0)) / points
    y0, y1, y2, y3 = x0 - mean, x1 - mean, x2 - mean, x3 - mean
    h1, h2, h3, h4 = 1.0, 1.0, 1.0, 1.0  # homogeneous polynomials of the first 1, 2, 3, 4 points
    weight = 0.5 if points == 3 else 1.0 / 6.0  # 1/(points - 1)!
    total = weight
    for m in range(1, _TERMS):
        h1 = y0 * h1
        h2 = h1 + y1 * h2
        h3 = h2 + y2 * h3
        h4 = h3 + y3 * h4
        weight /= m + points - 1
        total += weight * (h3 if points == 3 else h4)
    return math.exp(mean) * total


@kernel()
def divided3(a, b, c):
    """exp[a, b, c]; symmetric in its arguments."""
    lo, hi = min(a, b, c), max(a, b, c)
    if hi - lo <= _CLOSE:
        return _series(a, b, c, 0.0, 3)
    mid = a + b + c - lo - hi
    # the sum above may round: take the argument itself
    if a != lo and a != hi:
        mid = a
    elif b != lo and b != hi:
        mid = b
    elif c != lo and c != hi:
        mid = c
    elif (a == lo) + (b == lo) + (c == lo) >= 2:
        mid = lo
    else:
        mid = hi
    return (divided2(mid, hi) - divided2(lo, mid)) / (hi - lo)


@kernel()
def divided4(a, b, c, d):
    """exp[a, b, c, d]; symmetric in its arguments."""
    if b < a:
        a, b = b, a
    if d < c:
        c, d = d, c
    if c < a:
        a, c = c, a
    if d < b:
        b, d = d, b
    # now a is the smallest and d the largest
    if d - a <= _CLOSE:
        return _series(a, b, c, d, 4)
    return (divided3(b, c, d) - divided3(a, b, c)) / (d - a)
