"""One interval of a linear system x' = K x + r, with exact first and second derivatives.

In the eigenbasis of K the solution and its derivatives are sums of divided differences of exponentials; where eigenvalues
are complex or eigenvectors nearly parallel the matrix exponential takes over.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import invert
from pkpd.kernels.divided import divided2, divided3, divided4
from pkpd.kernels.exponential import exponential

# Largest condition number of the eigenvectors at which they are used. The error of the solution and of both orders of its
# derivatives is about 1e-15 times it (tests/kernels/test_linear.py measures it), so that ten digits are kept. It is one number
# for all orders: the objective must not depend on whether derivatives are wanted.
_CONDITION = 1e4


@kernel()
def eigenbasis(k):
    """Eigenvalues and eigenvectors of K if they are real and well conditioned.

    Returns
    -------
    usable : bool
    values (n,), vectors (n, n), inverse (n, n)
    """
    n = k.shape[0]
    values, vectors, inverse = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if not math.isfinite(k[i, j]):
                return False, values, vectors, inverse
    # the complex routine: numba's real one raises where eigenvalues are complex
    lam, vec = np.linalg.eig(k.astype(np.complex128))
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(lam[i].real))
    for i in range(n):
        if abs(lam[i].imag) > 1e-13 * largest:
            return False, values, vectors, inverse
        values[i] = lam[i].real
        # a column is real up to one complex factor: divide by its largest entry
        big = 0
        for j in range(1, n):
            if abs(vec[j, i]) > abs(vec[big, i]):
                big = j
        norm = 0.0
        for j in range(n):
            entry = vec[j, i] / vec[big, i]
            vectors[j, i] = entry.real
            norm += entry.real**2
        for j in range(n):
            vectors[j, i] /= math.sqrt(norm)
    if not invert(vectors.copy(), inverse):
        return False, values, vectors, inverse
    condition = math.sqrt(np.sum(vectors**2)) * math.sqrt(np.sum(inverse**2))
    return condition <= _CONDITION, values, vectors, inverse


@kernel()
def linear_system(order, n, p, structure, coefficients):
    """The matrix and the constant input of a linear system.

    Returns
    -------
    k (n, n), kp (P, n, n), base (n,), base_p (P, n), moves (P,) : arrays
        K, its derivatives, the input and its derivatives (P = 0 at order 0), and which slots K depends on.
    """
    first = p.shape[0] if order >= 1 else 0
    k, kp = np.zeros((n, n)), np.zeros((first, n, n))
    base, base_p = np.zeros(n), np.zeros((first, n))
    moves = np.zeros(first, np.bool_)
    for row in range(structure.shape[0]):
        i, j, slot = structure[row, 0], structure[row, 1], structure[row, 2]
        value = coefficients[row] * (p[slot] if slot >= 0 else 1.0)
        if j < n:
            k[i, j] += value
            if order >= 1 and slot >= 0:
                kp[slot, i, j] += coefficients[row]
                moves[slot] = True
        else:
            base[i] += value
            if order >= 1 and slot >= 0:
                base_p[slot, i] += coefficients[row]
    return k, kp, base, base_p, moves


@kernel()
def in_eigenbasis(usable, vec, inv, kp, moves):
    """The derivatives of K in the eigenbasis, (P, n, n)."""
    first, n = kp.shape[0], kp.shape[1]
    m = np.zeros((first, n, n))
    if usable:
        for s in range(first):
            if moves[s]:
                for i in range(n):
                    for j in range(n):
                        total = 0.0
                        for a in range(n):
                            for b in range(n):
                                total += inv[i, a] * kp[s, a, b] * vec[b, j]
                        m[s, i, j] = total
    return m


@kernel()
def set_state(x2, xp2, xpp2, x, xp, xpp):
    """Copy a state and its derivatives (written out: see :mod:`pkpd.kernels.exponential`)."""
    n, first, second = xp.shape[0], xp.shape[1], xpp.shape[1]
    for i in range(n):
        x[i] = x2[i]
        for s in range(first):
            xp[i, s] = xp2[i, s]
        for s in range(second):
            for q in range(second):
                xpp[i, s, q] = xpp2[i, s, q]


@kernel()
def set_input(base, base_p, r, rp):
    """Copy an input and its derivatives."""
    for i in range(base.shape[0]):
        r[i] = base[i]
        for s in range(base_p.shape[0]):
            rp[s, i] = base_p[s, i]


@kernel()
def rotate(order, a, y, yp, ypp, x, xp, xpp):
    """X = A y for the state and both orders of derivatives."""
    n = a.shape[0]
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += a[i, j] * y[j]
        x[i] = total
    if order < 1:
        return
    slots = yp.shape[1]
    for s in range(slots):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += a[i, j] * yp[j, s]
            xp[i, s] = total
    if order < 2:
        return
    for s in range(slots):
        for q in range(s + 1):
            for i in range(n):
                total = 0.0
                for j in range(n):
                    total += a[i, j] * ypp[j, s, q]
                xpp[i, s, q] = total


@kernel()
def advance_eigen(
    order, h, hp, lam, vec, m, moves, y, yp, ypp, rho, rhop, driven,
    e, d, g, t3, u3, phi, z, zp, zpp, gz, gzp, b, x, xp, xpp,
):  # fmt: skip
    """Move from (y, yp, ypp), in the eigenbasis at the event, by ``h`` to (x, xp, xpp) in the states.

    ``m`` (P, n, n) is dK/dp in the eigenbasis, ``moves`` (P,) whether it is not zero, ``rho`` (n,) and ``rhop`` (P, n) the
    input and its derivative, ``driven`` whether there is any; e … b are work arrays.
    """
    n, slots = lam.shape[0], hp.shape[0]
    for i in range(n):
        e[i] = math.exp(lam[i] * h)
        phi[i] = h * divided2(lam[i] * h, 0.0) if driven else 0.0
        z[i] = e[i] * y[i] + phi[i] * rho[i]
    if order >= 1:
        for i in range(n):
            for j in range(i + 1):
                d[i, j] = h * divided2(lam[i] * h, lam[j] * h)
                d[j, i] = d[i, j]
                g[i, j] = h * h * divided3(lam[i] * h, lam[j] * h, 0.0) if driven else 0.0
                g[j, i] = g[i, j]
        for s in range(slots):
            for i in range(n):
                total = e[i] * yp[i, s] + phi[i] * rhop[s, i]
                if moves[s]:
                    for j in range(n):
                        total += m[s, i, j] * (d[i, j] * y[j] + g[i, j] * rho[j])
                zp[i, s] = total
    if order >= 2:
        for i in range(n):
            for j in range(i + 1):
                for k in range(j + 1):
                    v = h * h * divided3(lam[i] * h, lam[j] * h, lam[k] * h)
                    w = h * h * h * divided4(lam[i] * h, lam[j] * h, lam[k] * h, 0.0) if driven else 0.0
                    for p0, p1, p2 in ((i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)):
                        t3[p0, p1, p2] = v
                        u3[p0, p1, p2] = w
        for q in range(slots):
            for i in range(n):
                for j in range(n):
                    total = d[i, j] * yp[j, q] + g[i, j] * rhop[q, j]
                    if moves[q]:
                        for k in range(n):
                            total += m[q, j, k] * (t3[i, j, k] * y[k] + u3[i, j, k] * rho[k])
                    b[q, i, j] = total
        for s in range(slots):
            for q in range(s + 1):
                for i in range(n):
                    total = e[i] * ypp[i, s, q]
                    if moves[s]:
                        for j in range(n):
                            total += m[s, i, j] * b[q, i, j]
                    if moves[q]:
                        for j in range(n):
                            total += m[q, i, j] * b[s, i, j]
                    zpp[i, s, q] = total
    if order >= 1:
        # the length of the interval depends on the parameters
        for i in range(n):
            gz[i] = lam[i] * z[i] + rho[i]
        if order >= 2:
            for s in range(slots):
                for i in range(n):
                    total = lam[i] * zp[i, s] + rhop[s, i]
                    if moves[s]:
                        for j in range(n):
                            total += m[s, i, j] * z[j]
                    gzp[i, s] = total
            for s in range(slots):
                for q in range(s + 1):
                    if hp[s] != 0.0 or hp[q] != 0.0:
                        for i in range(n):
                            zpp[i, s, q] += (
                                gzp[i, s] * hp[q] + gzp[i, q] * hp[s] + lam[i] * gz[i] * hp[s] * hp[q]
                            )
        for s in range(slots):
            if hp[s] != 0.0:
                for i in range(n):
                    zp[i, s] += gz[i] * hp[s]
    rotate(order, vec, z, zp, zpp, x, xp, xpp)


@kernel()
def advance_exponential(order, h, hp, k, kp, moves, x0, x0p, x0pp, r, rp, x, xp, xpp):
    """The same move without eigenvectors: the input is a further, constant state."""
    n, slots = k.shape[0], hp.shape[0]
    movers = np.empty(slots, np.int64)
    count = 0
    for s in range(slots):
        driven = moves[s]
        for i in range(n):
            driven = driven or rp[s, i] != 0.0
        if driven:
            movers[count] = s
            count += 1
    if order < 1:
        count = 0
    a = np.zeros((n + 1, n + 1))
    ap = np.zeros((count, n + 1, n + 1))
    for i in range(n):
        a[i, n] = r[i] * h
        for c in range(count):
            ap[c, i, n] = rp[movers[c], i] * h
        for j in range(n):
            a[i, j] = k[i, j] * h
            for c in range(count):
                ap[c, i, j] = kp[movers[c], i, j] * h
    e, ep, epp = exponential(order, a, ap)
    for i in range(n):
        total = e[i, n]
        for j in range(n):
            total += e[i, j] * x0[j]
        x[i] = total
    if order < 1:
        return
    part = np.zeros((n, slots))
    for s in range(slots):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += e[i, j] * x0p[j, s]
            part[i, s] = total
    for c in range(count):
        for i in range(n):
            total = ep[c, i, n]
            for j in range(n):
                total += ep[c, i, j] * x0[j]
            part[i, movers[c]] += total
    g = np.zeros(n)
    for i in range(n):
        g[i] = r[i]
        for j in range(n):
            g[i] += k[i, j] * x[j]
    if order >= 2:
        place = np.full(slots, -1)
        for c in range(count):
            place[movers[c]] = c
        gp = np.zeros((n, slots))
        for s in range(slots):
            for i in range(n):
                total = rp[s, i]
                for j in range(n):
                    total += k[i, j] * part[j, s] + kp[s, i, j] * x[j]
                gp[i, s] = total
        for s in range(slots):
            for q in range(s + 1):
                cs, cq = place[s], place[q]
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += e[i, j] * x0pp[j, s, q]
                        if cs >= 0:
                            total += ep[cs, i, j] * x0p[j, q]
                        if cq >= 0:
                            total += ep[cq, i, j] * x0p[j, s]
                        if cs >= 0 and cq >= 0:
                            total += epp[max(cs, cq), min(cs, cq), i, j] * x0[j]
                    if cs >= 0 and cq >= 0:
                        total += epp[max(cs, cq), min(cs, cq), i, n]
                    total += gp[i, s] * hp[q] + gp[i, q] * hp[s]
                    curve = 0.0
                    for j in range(n):
                        curve += k[i, j] * g[j]
                    xpp[i, s, q] = total + curve * hp[s] * hp[q]
    for s in range(slots):
        for i in range(n):
            xp[i, s] = part[i, s] + g[i] * hp[s]
