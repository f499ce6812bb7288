"""Small dense linear algebra: written out, because BLAS threads and allocations cost more than the work."""

from __future__ import annotations

import math

from pkpd._jit import kernel


@kernel()
def invert(a, inverse):
    """Inverse of ``a`` by Gauss-Jordan elimination with row pivoting; ``a`` is destroyed.

    Returns False where a pivot vanishes against the largest entry.
    """
    n = a.shape[0]
    largest = 0.0
    for i in range(n):
        for j in range(n):
            largest = max(largest, abs(a[i, j]))
            inverse[i, j] = 1.0 if i == j else 0.0
    for c in range(n):
        pivot = c
        for i in range(c + 1, n):
            if abs(a[i, c]) > abs(a[pivot, c]):
                pivot = i
        if not abs(a[pivot, c]) > 1e-14 * largest:
            return False
        for j in range(n):
            a[c, j], a[pivot, j] = a[pivot, j], a[c, j]
            inverse[c, j], inverse[pivot, j] = inverse[pivot, j], inverse[c, j]
        scale = 1.0 / a[c, c]
        for j in range(n):
            a[c, j] *= scale
            inverse[c, j] *= scale
        for i in range(n):
            if i != c and a[i, c] != 0.0:
                factor = a[i, c]
                for j in range(n):
                    a[i, j] -= factor * a[c, j]
                    inverse[i, j] -= factor * inverse[c, j]
    return True


@kernel()
def cholesky(a, lower):
    """Lower Cholesky factor of ``a`` into ``lower``; False if ``a`` is not positive definite."""
    m = a.shape[0]
    for i in range(m):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i == j:
                if not total > 0.0:
                    return False
                lower[i, i] = math.sqrt(total)
            else:
                lower[i, j] = total / lower[j, j]
        for j in range(i + 1, m):
            lower[i, j] = 0.0
    return True


@kernel()
def cholesky_solve(lower, b, x):
    """Solve L Lᵀ x = b."""
    m = b.shape[0]
    for i in range(m):
        total = b[i]
        for k in range(i):
            total -= lower[i, k] * x[k]
        x[i] = total / lower[i, i]
    for i in range(m - 1, -1, -1):
        total = x[i]
        for k in range(i + 1, m):
            total -= lower[k, i] * x[k]
        x[i] = total / lower[i, i]
