"""Divided differences of the exponential, accurate however close or far apart the points are.

The solution of a linear system and its derivatives to the rate constants are sums of these (Daleckii-Krein; Higham,
Functions of Matrices, 2008, section 3.2 and appendix B.16): first order needs two points, second order three, and a
constant input adds the point zero. Points that lie close together are expanded in complete homogeneous symmetric
polynomials around their mean, the others use the recursion; 0.5 is where both keep about 15 digits.

The points are the eigenvalues times the length of the interval, in ascending order, so that the recursion of one order reads
the table of the order before and evaluates no exponential again.
"""

from __future__ import annotations

import math

from pkpd._jit import kernel

_CLOSE = 0.5
# terms of the series up to either distance: what is left out is below 1e-17
_TERMS, _FEW, _VERY_CLOSE = 14, 8, 0.05


@kernel()
def divided1(x, y, ex, ey, h):
    """h·exp[xh, yh] for x <= y, from the exponentials of both."""
    d = y - x
    if d * h > _CLOSE:
        return (ey - ex) / d
    if d == 0.0:
        return h * ex
    return ex * math.expm1(d * h) / d


@kernel()
def _series(x0, x1, x2, x3, points):
    """exp[x0, …] for 3 or 4 close points in ascending order."""
    mean = (x0 + x1 + x2 + (x3 if points == 4 else 0.0)) / points
    y0, y1, y2, y3 = x0 - mean, x1 - mean, x2 - mean, x3 - mean
    spread = (x3 if points == 4 else x2) - x0
    h1, h2, h3, h4 = 1.0, 1.0, 1.0, 1.0  # homogeneous polynomials of the first 1, 2, 3, 4 points
    weight = 0.5 if points == 3 else 1.0 / 6.0  # 1/(points - 1)!
    total = weight
    for m in range(1, _TERMS if spread > _VERY_CLOSE else _FEW):
        h1 = y0 * h1
        h2 = h1 + y1 * h2
        h3 = h2 + y2 * h3
        h4 = h3 + y3 * h4
        weight /= m + points - 1
        total += weight * (h3 if points == 3 else h4)
    return math.exp(mean) * total


@kernel()
def divided2(x, y, z, low, high, h):
    """h²·exp[xh, yh, zh] for x <= y <= z, from h·exp[xh, yh] and h·exp[yh, zh]."""
    if (z - x) * h > _CLOSE:
        return (high - low) / (z - x)
    if x == z:
        return 0.5 * h * h * math.exp(x * h)
    return h * h * _series(x * h, y * h, z * h, 0.0, 3)


@kernel()
def divided3(w, x, y, z, low, high, h):
    """h³·exp[wh, xh, yh, zh] for w <= x <= y <= z, from h²·exp of the lower and of the higher three."""
    if (z - w) * h > _CLOSE:
        return (high - low) / (z - w)
    return h * h * h * _series(w * h, x * h, y * h, z * h, 4)


@kernel()
def _spread(w, i, j, k, at, v):
    """Write a symmetric entry in all its places."""
    w[i, j, at + k], w[i, k, at + j], w[j, i, at + k] = v, v, v
    w[j, k, at + i], w[k, i, at + j], w[k, j, at + i] = v, v, v


@kernel()
def differences(order, h, values, driven, e, w):
    """Fill the tables of divided differences over the eigenvalues.

    Parameters
    ----------
    order : int
        1: two points (and zero), 2: also three.
    h : float
        Length of the interval.
    values : (n,) array
        Eigenvalues λ in ascending order.
    driven : bool
        Whether there is an input: the differences that include the point zero are filled.
    e : (2, n) array
        exp(λᵢh) and, with ``driven``, h·exp[λᵢh, 0].
    w : (n, n, 2 + 2n) array, or wider
        Filled in [i, j]: 0: h·exp[λᵢh, λⱼh], 1: h²·exp[λᵢh, λⱼh, 0], 2 + k: h²·exp[λᵢh, λⱼh, λₖh], 2 + n + k: h³·exp[λᵢh, λⱼh,
        λₖh, 0]. At order 1 the width is 2.
    """
    n = values.shape[0]
    for j in range(n):
        for i in range(j + 1):
            x, y = values[i], values[j]
            v, g = divided1(x, y, e[0, i], e[0, j], h), 0.0
            if driven:
                if y <= 0.0:
                    g = divided2(x, y, 0.0, v, e[1, j], h)
                elif x >= 0.0:
                    g = divided2(0.0, x, y, e[1, i], v, h)
                else:
                    g = divided2(x, 0.0, y, e[1, i], e[1, j], h)
                w[i, j, 1], w[j, i, 1] = g, g
            w[i, j, 0], w[j, i, 0] = v, v
    if order < 2:
        return
    for k in range(n):
        for j in range(k + 1):
            for i in range(j + 1):
                x, y, z = values[i], values[j], values[k]
                v = divided2(x, y, z, w[i, j, 0], w[j, k, 0], h)
                _spread(w, i, j, k, 2, v)
                if driven:
                    lower, upper = w[i, j, 1], w[j, k, 1]
                    if z <= 0.0:
                        v = divided3(x, y, z, 0.0, v, upper, h)
                    elif x >= 0.0:
                        v = divided3(0.0, x, y, z, lower, v, h)
                    elif y <= 0.0:
                        v = divided3(x, y, 0.0, z, lower, upper, h)
                    else:
                        v = divided3(x, 0.0, y, z, lower, upper, h)
                    _spread(w, i, j, k, 2 + n, v)
