"""Real eigenvalues and eigenvectors of a small matrix of rate constants.

States that only give or only receive are put at the ends, so that what is left to iterate on is the part in which drug goes
round; that part is balanced, brought to Hessenberg form by rotations, and deflated by QR steps with Wilkinson's shift (Golub &
Van Loan, Matrix Computations, 4th ed., sections 7.4 to 7.6). Written out: for a handful of compartments LAPACK spends most of
its time on being general, and numba's door to it raises where eigenvalues are complex.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel

# Largest condition number of the eigenvectors at which they are used. The error of the solution and of both orders of its
# derivatives is about 1e-15 times it (tests/kernels/test_linear.py measures it), so that ten digits are kept. It is one number
# for all orders: the objective must not depend on whether derivatives are wanted.
_CONDITION = 1e4
_MOST_STEPS = 30  # QR steps per eigenvalue
_ROUNDING = 2.3e-16


@kernel(allocates=False)
def _triangular_ends(k, order):
    """Order the states so that K is upper triangular outside ``order[low:high]``; returns (low, high)."""
    n = k.shape[0]
    low, high = 0, n
    for i in range(n):
        order[i] = i
    found = True
    while found and low < high:
        found = False
        for a in range(high - 1, low - 1, -1):
            receives, gives = False, False
            for b in range(low, high):
                if a != b:
                    receives = receives or k[order[a], order[b]] != 0.0
                    gives = gives or k[order[b], order[a]] != 0.0
            if not receives:
                high -= 1
                order[a], order[high] = order[high], order[a]
                found = True
                break
            if not gives:
                order[a], order[low] = order[low], order[a]
                low += 1
                found = True
                break
    return low, high


@kernel(allocates=False)
def _balance(t, low, high, scale):
    """Make rows and columns of the block alike in size by powers of two, which round nothing."""
    n = t.shape[0]
    again = high - low > 1
    sweeps = 0
    while again and sweeps < 20:
        again = False
        sweeps += 1
        for i in range(low, high):
            column, row = 0.0, 0.0
            for j in range(low, high):
                if j != i:
                    column += abs(t[j, i])
                    row += abs(t[i, j])
            if not (column > 0.0 and row > 0.0):
                continue
            factor, total = 1.0, column + row
            while column < 0.5 * row:
                factor *= 2.0
                column *= 4.0
            while column >= 2.0 * row:
                factor *= 0.5
                column *= 0.25
            if (column + row) / factor < 0.95 * total:
                again = True
                scale[i] *= factor
                for j in range(n):
                    t[i, j] /= factor
                for j in range(n):
                    t[j, i] *= factor


@kernel(allocates=False)
def _rotate(t, q, p, c, s, low, high):
    """Similarity by the rotation of states p and p+1, collected in ``q``."""
    n = t.shape[0]
    for j in range(low, n):
        a, b = t[p, j], t[p + 1, j]
        t[p, j] = c * a + s * b
        t[p + 1, j] = c * b - s * a
    for i in range(high):
        a, b = t[i, p], t[i, p + 1]
        t[i, p] = c * a + s * b
        t[i, p + 1] = c * b - s * a
    for i in range(low, high):
        a, b = q[i, p], q[i, p + 1]
        q[i, p] = c * a + s * b
        q[i, p + 1] = c * b - s * a


@kernel(allocates=False)
def _triangular(t, q, low, high):
    """Bring the block to upper triangular form; False where eigenvalues are complex."""
    for column in range(low, high - 2):
        for row in range(high - 1, column + 1, -1):
            if t[row, column] != 0.0 and row > column + 1:
                r = math.hypot(t[row - 1, column], t[row, column])
                _rotate(t, q, row - 1, t[row - 1, column] / r, t[row, column] / r, low, high)
                t[row, column] = 0.0
    last, steps = high - 1, 0
    while last > low:
        start = last
        while start > low:
            size = abs(t[start - 1, start - 1]) + abs(t[start, start])
            if abs(t[start, start - 1]) <= _ROUNDING * size:
                t[start, start - 1] = 0.0
                break
            start -= 1
        if start == last:
            last -= 1
            steps = 0
            continue
        a, b, c, d = t[last - 1, last - 1], t[last - 1, last], t[last, last - 1], t[last, last]
        half = 0.5 * (a - d)
        square = half * half + b * c
        root = math.sqrt(square) if square > 0.0 else 0.0
        # d + far is the eigenvalue that lies further from d
        far = half + root if half >= 0.0 else half - root
        if start == last - 1:
            if square < 0.0:
                return False
            r = math.hypot(far, c)
            _rotate(t, q, start, far / r, c / r, low, high)
            t[last, last - 1] = 0.0
            last -= 2
            steps = 0
            continue
        steps += 1
        if steps > _MOST_STEPS:
            return False
        shift = d + half if square < 0.0 else (d - b * c / far if far != 0.0 else d)
        if steps % 10 == 0:  # out of a cycle
            shift = d + abs(c)
        x, y = t[start, start] - shift, t[start + 1, start]
        for p in range(start, last):
            r = math.hypot(x, y)
            if r > 0.0:
                _rotate(t, q, p, x / r, y / r, low, high)
            if p > start:
                t[p + 1, p - 1] = 0.0
            if p + 1 < last:
                x, y = t[p + 1, p], t[p + 2, p]
    return True


@kernel(allocates=False)
def fill_eigenbasis(k, values, vectors, inverse, whole, room):
    """Fill what :func:`eigenbasis` returns; says whether it is usable. ``whole`` (2, n) and ``room`` (5, n, n) are work."""
    n = k.shape[0]
    for i in range(n):
        for j in range(n):
            if not math.isfinite(k[i, j]):
                return False
    order, rank = whole[0], whole[1]
    t, q, r, ri, scale = room[0], room[1], room[2], room[3], room[4, 0]
    for i in range(n):
        for j in range(n):
            q[i, j], r[i, j], ri[i, j] = 0.0, 0.0, 0.0
    low, high = _triangular_ends(k, order)
    for i in range(n):
        q[i, i], scale[i] = 1.0, 1.0
        for j in range(n):
            t[i, j] = k[order[i], order[j]]
    _balance(t, low, high, scale)
    if not _triangular(t, q, low, high):
        return False
    # eigenvectors of the triangle, and their inverse
    for j in range(n):
        r[j, j] = 1.0
        for i in range(j - 1, -1, -1):
            total = 0.0
            for a in range(i + 1, j + 1):
                total += t[i, a] * r[a, j]
            if total != 0.0:
                r[i, j] = total / (t[j, j] - t[i, i])
                if not math.isfinite(r[i, j]):
                    return False
    for j in range(n):
        ri[j, j] = 1.0
        for i in range(j - 1, -1, -1):
            total = 0.0
            for a in range(i + 1, j + 1):
                total -= r[i, a] * ri[a, j]
            ri[i, j] = total
        rank[j] = j
        b = j
        while b > 0 and t[rank[b - 1], rank[b - 1]] > t[j, j]:
            rank[b] = rank[b - 1]
            b -= 1
        rank[b] = j
    condition = 0.0
    for c in range(n):
        m = rank[c]
        values[c] = t[m, m]
        length, width = 0.0, 0.0
        for i in range(n):
            vector, row = 0.0, 0.0
            for a in range(n):
                vector += q[i, a] * r[a, m]
                row += ri[m, a] * q[i, a]
            length += vector * vector
            width += row * row
            vectors[order[i], c] = vector * scale[i]
            inverse[c, order[i]] = row / scale[i]
        condition += length * width
    return n * condition <= _CONDITION**2


@kernel()
def eigenbasis(k):
    """Eigenvalues and eigenvectors of K if they are real and well conditioned.

    Parameters
    ----------
    k : (n, n) array

    Returns
    -------
    usable : bool
    values (n,), vectors (n, n), inverse (n, n) : arrays
        Eigenvalues in ascending order, eigenvectors as columns, and their inverse. Undefined where not usable.
    """
    n = k.shape[0]
    values, vectors, inverse = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    # one allocation each: they cost more than the arithmetic
    usable = fill_eigenbasis(k, values, vectors, inverse, np.empty((2, n), np.int64), np.empty((5, n, n)))
    return usable, values, vectors, inverse
