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
def exponential(order, a, ap):
    """exp(A) and its derivatives for A depending linearly on q numbers.

    Parameters
    ----------
    order : int
        0, 1 or 2.
    a : (m, m) array
        The matrix.
    ap : (q, m, m) array
        Its derivatives.

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
    sa, sap = a * scale, ap * scale
    zero = np.zeros((q, q, m, m)) if order > 1 else np.zeros((1, 1, m, m))
    e, ep, epp = np.eye(m), np.zeros((q, m, m)), np.zeros_like(zero)
    t, tp, tpp = np.zeros((m, m)), np.zeros((q, m, m)), np.zeros_like(zero)
    # Horner: E = I + A/1 (I + A/2 (I + …))
    for term in range(_TERMS, 0, -1):
        _multiply(order, sa, sap, zero, e, ep, epp, t, tp, tpp)
        e[:] = t / term
        ep[:] = tp / term
        epp[:] = tpp / term
        for i in range(m):
            e[i, i] += 1.0
    for _ in range(squarings):
        _multiply(order, e, ep, epp, e, ep, epp, t, tp, tpp)
        e[:] = t
        ep[:] = tp
        epp[:] = tpp
    return e, ep, epp
