"""Small dense linear algebra: written out, because BLAS threads and allocations cost more than the work."""

from __future__ import annotations

import math

from pkpd._jit import kernel


@kernel(allocates=False)
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


@kernel(allocates=False)
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


@kernel(allocates=False)
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


@kernel(allocates=False)
def factorise(a, pivots):
    """Replace ``a``, real or complex, by its LU factors with row pivoting; ``pivots`` are the rows that were exchanged.

    Returns False where a pivot is zero or not finite.
    """
    n = a.shape[0]
    for c in range(n):
        pivot, largest = c, 0.0
        for i in range(c, n):
            size = abs(a[i, c].real) + abs(a[i, c].imag)
            if size > largest:
                pivot, largest = i, size
        pivots[c] = pivot
        if not 0.0 < largest < math.inf:
            return False
        if pivot != c:
            for j in range(n):
                a[c, j], a[pivot, j] = a[pivot, j], a[c, j]
        scale = 1.0 / a[c, c]
        for i in range(c + 1, n):
            if a[i, c] != 0.0:
                factor = a[i, c] * scale
                a[i, c] = factor
                for j in range(c + 1, n):
                    a[i, j] -= factor * a[c, j]
    return True


@kernel(allocates=False)
def substitute(lu, pivots, b):
    """Solve A x = b in place, from the factors of A."""
    n = lu.shape[0]
    for c in range(n):
        if pivots[c] != c:
            b[c], b[pivots[c]] = b[pivots[c]], b[c]
    for i in range(n):
        total = b[i]
        for k in range(i):
            total -= lu[i, k] * b[k]
        b[i] = total
    for i in range(n - 1, -1, -1):
        total = b[i]
        for k in range(i + 1, n):
            total -= lu[i, k] * b[k]
        b[i] = total / lu[i, i]


@kernel(allocates=False)
def substitute_columns(lu, pivots, b):
    """Solve A X = B in place for all columns of ``b`` (n, columns) at once."""
    n, columns = b.shape
    for c in range(n):
        if pivots[c] != c:
            for j in range(columns):
                b[c, j], b[pivots[c], j] = b[pivots[c], j], b[c, j]
    for i in range(n):
        for k in range(i):
            factor = lu[i, k]
            if factor != 0.0:
                for j in range(columns):
                    b[i, j] -= factor * b[k, j]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            factor = lu[i, k]
            if factor != 0.0:
                for j in range(columns):
                    b[i, j] -= factor * b[k, j]
        scale = 1.0 / lu[i, i]
        for j in range(columns):
            b[i, j] *= scale
