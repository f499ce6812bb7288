"""Matrix exponential with its first and second derivatives, for systems whose eigenvectors are no use.

Scaling and squaring of a Taylor series in the algebra of matrices truncated after second derivatives: a product of
(A, A_p, A_pq) and (B, B_p, B_pq) is (AB, A_pB + AB_p, A_pqB + A_pB_q + A_qB_p + AB_pq). Slower than the
eigen-decomposition and never wrong: used where eigenvalues are complex or eigenvectors nearly parallel.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel

_TERMS = 18  # with a norm of at most 0.5 the remainder is below 0.5**19/19! = 2e-23


@kernel()
def _multiply(order, a, ap, app, b, bp, bpp, c, cp, cpp):
    m, q = a.shape[0], ap.shape[0]
    for i in range(m):
        for j in range(m):
            total = 0.0
            for k in range(m):
                total += a[i, k] * b[k, j]
            c[i, j] = total
    if order < 1:
        return
    for s in range(q):
        for i in range(m):
            for j in range(m):
                total = 0.0
                for k in range(m):
                    total += ap[s, i, k] * b[k, j] + a[i, k] * bp[s, k, j]
                cp[s, i, j] = total
    if order < 2:
        return
    for s in range(q):
        for r in range(s + 1):
            for i in range(m):
                for j in range(m):
                    total = 0.0
                    for k in range(m):
                        total += (
                            app[s, r, i, k] * b[k, j]
                            + ap[s, i, k] * bp[r, k, j]
                            + ap[r, i, k] * bp[s, k, j]
                            + a[i, k] * bpp[s, r, k, j]
                        )
                    cpp[s, r, i, j] = total


@kernel()
def _take(divisor, t, tp, tpp, e, ep, epp):
    # written out: assigning arrays to slices compiles slowly, because its error message does
    m, q, pairs = t.shape[0], tp.shape[0], tpp.shape[0]
    for i in range(m):
        for j in range(m):
            e[i, j] = t[i, j] / divisor
            for s in range(q):
                ep[s, i, j] = tp[s, i, j] / divisor
            for s in range(pairs):
                for r in range(pairs):
                    epp[s, r, i, j] = tpp[s, r, i, j] / divisor


@kernel()
def exponential(order, a, ap, app):
    """exp(A) and its derivatives for A depending on q numbers.

    Parameters
    ----------
    order : int
        0, 1 or 2.
    a : (m, m) array
        The matrix.
    ap : (q, m, m) array
        Its derivatives.
    app : (q, q, m, m) array
        Its second derivatives, of which the lower triangle in (q, q) is read; (0, 0, m, m) where A is linear.

    Returns
    -------
    e (m, m), ep (q, m, m), epp (q, q, m, m)
        Of ``epp`` only the lower triangle in (q, q) is filled.
    """
    m, q = a.shape[0], ap.shape[0]
    norm = 0.0
    for i in range(m):
        row = 0.0
        for j in range(m):
            row += abs(a[i, j])
        norm = max(norm, row)
    squarings = 0
    if norm > 0.5 and math.isfinite(norm):
        squarings = math.ceil(math.log2(norm / 0.5))
    scale = 2.0**-squarings
    pairs = q if order > 1 else 1
    sa, sap, sapp = np.zeros((m, m)), np.zeros((q, m, m)), np.zeros((pairs, pairs, m, m))
    e, ep, epp = np.zeros((m, m)), np.zeros((q, m, m)), np.zeros((pairs, pairs, m, m))
    t, tp, tpp = np.zeros((m, m)), np.zeros((q, m, m)), np.zeros((pairs, pairs, m, m))
    for i in range(m):
        e[i, i] = 1.0
        for j in range(m):
            sa[i, j] = a[i, j] * scale
            for s in range(q):
                sap[s, i, j] = ap[s, i, j] * scale
                for r in range(s + 1 if app.shape[0] > 0 and order > 1 else 0):
                    sapp[s, r, i, j] = app[s, r, i, j] * scale
    # Horner: E = I + A/1 (I + A/2 (I + …))
    for term in range(_TERMS, 0, -1):
        _multiply(order, sa, sap, sapp, e, ep, epp, t, tp, tpp)
        _take(float(term), t, tp, tpp, e, ep, epp)
        for i in range(m):
            e[i, i] += 1.0
    for _ in range(squarings):
        _multiply(order, e, ep, epp, e, ep, epp, t, tp, tpp)
        _take(1.0, t, tp, tpp, e, ep, epp)
    return e, ep, epp
