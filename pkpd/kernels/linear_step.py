"""One interval of a linear system, in the basis of its frame, with exact first and second derivatives.

With eigenvectors the solution and its derivatives are sums of divided differences of exponentials; without, the matrix
exponential takes over. A state is an array (n, 1 + A + A(A+1)/2): the value, its derivatives to the active slots, and those to
their pairs (s, q <= s), which start at 1 + A and follow each other as s(s+1)/2 + q. An input is an array (n, 1 + A).

Few arrays are handed over: what numba counts of references to them costs as much as the arithmetic.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.divided import differences
from pkpd.kernels.exponential import exponential


@kernel()
def columns_of(order, active):
    """Columns of a state."""
    return 1 + (active if order >= 1 else 0) + (active * (active + 1) // 2 if order >= 2 else 0)


@kernel()
def tables(order, n, active):
    """Work array of :func:`differentiate`: divided differences d, g, t, u over the eigenvalues, and products with them."""
    return np.empty((n, n, (2 + 2 * n + active if order >= 2 else 2) if order >= 1 else 0))


@kernel()
def differentiate(order, driven, m, m2, base2, y, r, e, w, z):
    """Derivatives after an interval in a basis of eigenvectors.

    Parameters
    ----------
    order : int
        1 or 2.
    driven : bool
        Whether there is an input.
    m, m2, base2 : arrays
        Of the frame.
    y, r : arrays
        State and input.
    e : (2, n) array
        exp(λh) and h·exp[λh, 0].
    w : array
        From :func:`tables`, filled by :func:`pkpd.kernels.divided.differences`.
    z : array
        The state after the interval: all columns but the first are filled.
    """
    n, movers, active = m.shape[0], m.shape[2], r.shape[1] - 1
    for i in range(n):
        for s in range(1, 1 + active):
            z[i, s] = e[0, i] * y[i, s]
            if driven:
                z[i, s] += e[1, i] * r[i, s]
        for j in range(n):
            reach = w[i, j, 0] * y[j, 0]
            if driven:
                reach += w[i, j, 1] * r[j, 0]
            for s in range(movers):
                z[i, 1 + s] += m[i, j, s] * reach
    if order < 2:
        return
    at, b = 1 + active, 2 + 2 * n
    for i in range(n):
        for j in range(n):
            for q in range(active):
                w[i, j, b + q] = w[i, j, 0] * y[j, 1 + q]
                if driven:
                    w[i, j, b + q] += w[i, j, 1] * r[j, 1 + q]
            for k in range(n):
                reach = w[i, j, 2 + k] * y[k, 0]
                if driven:
                    reach += w[i, j, 2 + n + k] * r[k, 0]
                for q in range(movers):
                    w[i, j, b + q] += m[j, k, q] * reach
    for i in range(n):
        for pair in range(at, y.shape[1]):
            z[i, pair] = e[0, i] * y[i, pair]
        for pair in range(base2.shape[1]):
            if driven:
                z[i, at + pair] += e[1, i] * base2[i, pair]
            for j in range(n):
                reach = w[i, j, 0] * y[j, 0]
                if driven:
                    reach += w[i, j, 1] * r[j, 0]
                z[i, at + pair] += m2[i, j, pair] * reach
        for j in range(n):
            pair = at
            for s in range(movers):
                for q in range(s + 1):
                    z[i, pair] += m[i, j, s] * w[i, j, b + q] + m[i, j, q] * w[i, j, b + s]
                    pair += 1
            for s in range(movers, active):
                for q in range(movers):
                    z[i, pair + q] += m[i, j, q] * w[i, j, b + s]
                pair += s + 1


@kernel()
def shift(order, usable, values, k, m, r, hp, z):
    """Add to ``z`` what the length of an interval contributes whose derivatives to the active slots are ``hp`` (A,)."""
    n, movers, active = values.shape[0], m.shape[2], hp.shape[0]
    slope = np.empty((n, 1 + active))
    for i in range(n):
        for c in range(1 + active if order >= 2 else 1):
            slope[i, c] = r[i, c]
            if usable:
                slope[i, c] += values[i] * z[i, c]
            else:
                for j in range(n):
                    slope[i, c] += k[i, j] * z[j, c]
        if order >= 2:
            for j in range(n):
                for s in range(movers):
                    slope[i, 1 + s] += m[i, j, s] * z[j, 0]
    for i in range(n):
        curve = 0.0
        if usable:
            curve = values[i] * slope[i, 0]
        else:
            for j in range(n):
                curve += k[i, j] * slope[j, 0]
        for s in range(active):
            if hp[s] == 0.0:
                continue
            z[i, 1 + s] += slope[i, 0] * hp[s]
            for q in range(active if order >= 2 else 0):
                pair = 1 + active + (s * (s + 1) // 2 + q if q <= s else q * (q + 1) // 2 + s)
                z[i, pair] += slope[i, 1 + q] * hp[s] * (2.0 if q == s else 1.0)
                if q <= s:
                    z[i, pair] += curve * hp[s] * hp[q]


@kernel()
def exponential_step(order, h, driven, k, m, m2, base2, r):
    """exp(K h) with both orders of derivatives, for systems without eigenvectors: an input is a further, constant state."""
    n, movers, active = k.shape[0], m.shape[2], r.shape[1] - 1
    size, count = (n + 1 if driven else n), (active if driven else movers)
    a, ap = np.zeros((size, size)), np.zeros((count, size, size))
    for i in range(n):
        for j in range(n):
            a[i, j] = k[i, j] * h
            for s in range(movers):
                ap[s, i, j] = m[i, j, s] * h
        if driven:
            a[i, n] = r[i, 0] * h
            for s in range(count):
                ap[s, i, n] = r[i, 1 + s] * h
    curved = count if m2.shape[2] > 0 else 0
    app = np.zeros((curved, curved, size, size))
    pair = 0
    for s in range(movers if curved > 0 else 0):
        for q in range(s + 1):
            for i in range(n):
                for j in range(n):
                    app[s, q, i, j] = m2[i, j, pair] * h
                if driven:
                    app[s, q, i, n] = base2[i, pair] * h
            pair += 1
    return exponential(order, a, ap, app)


@kernel()
def advance_exponential(order, driven, e, ep, epp, y, active, z):
    """The whole step, value and derivatives to ``active`` slots, with what :func:`exponential_step` gave."""
    n, count = y.shape[0], ep.shape[0]
    for i in range(n):
        z[i, 0] = e[i, n] if driven else 0.0
        for j in range(n):
            z[i, 0] += e[i, j] * y[j, 0]
        for s in range(active):
            total = ep[s, i, n] if driven else 0.0
            for j in range(n):
                total += e[i, j] * y[j, 1 + s]
                if s < count:
                    total += ep[s, i, j] * y[j, 0]
            z[i, 1 + s] = total
        pair = 1 + active
        for s in range(active if order >= 2 else 0):
            for q in range(s + 1):
                total = epp[s, q, i, n] if driven else 0.0
                for j in range(n):
                    total += e[i, j] * y[j, pair]
                    if s < count:
                        total += ep[s, i, j] * y[j, 1 + q] + epp[s, q, i, j] * y[j, 0]
                    if q < count:
                        total += ep[q, i, j] * y[j, 1 + s]
                z[i, pair] = total
                pair += 1


@kernel()
def growth(i, h, driven, values, e):
    """Fill ``e[:, i]`` with exp(λh) and, with ``driven``, h·exp[λh, 0]."""
    e[0, i] = math.exp(values[i] * h)
    if driven:
        e[1, i] = math.expm1(values[i] * h) / values[i] if values[i] != 0.0 else h


@kernel()
def advance(order, h, driven, frame, y, r, e, w, z):
    """The whole step from ``y`` to ``z``; arguments as above."""
    values = frame.values
    if not frame.usable:
        a, ap, app = exponential_step(order, h, driven, frame.k, frame.m, frame.m2, frame.base2, r)
        advance_exponential(order, driven, a, ap, app, y, frame.active.shape[0], z)
        return
    for i in range(values.shape[0]):
        growth(i, h, driven, values, e)
        z[i, 0] = e[0, i] * y[i, 0]
        if driven:
            z[i, 0] += e[1, i] * r[i, 0]
    if order >= 1:
        differences(order, h, values, driven, e, w)
        differentiate(order, driven, frame.m, frame.m2, frame.base2, y, r, e, w, z)
