"""The basis in which a linear system x' = K x + r is solved, and what its slots move in it.

The basis are the eigenvectors of K; where they are no use it is the compartments themselves. It is held fixed when derivatives
are taken: a state and its derivatives are all told in the same coordinates.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.eigen import eigenbasis


class Frame(NamedTuple):
    """A linear system in its basis.

    Attributes
    ----------
    usable : bool
        Whether the basis are the eigenvectors.
    values : (n,) array
        Eigenvalues in ascending order.
    vectors, inverse : (n, n) arrays
        From the basis to the compartments and back.
    k : (n, n) array
        K of the compartments.
    active : (A,) array
        Slots that states depend on: those that move K come first, there are ``m.shape[2]`` of them.
    m : (n, n, M) array
        Derivatives of K to them, in the basis.
    base : (n, 1 + A) array
        The constant input and its derivatives, in the basis.
    m2, base2 : (n, n, M(M+1)/2) and (n, M(M+1)/2) arrays
        Second derivatives of K and of the constant input, in the basis; of width 0 where both are linear in the slots.
    """

    usable: Any
    values: Any
    vectors: Any
    inverse: Any
    k: Any
    active: Any
    m: Any
    base: Any
    m2: Any
    base2: Any


@kernel()
def _basis(k):
    """Eigenvectors of K, or the compartments where those are no use."""
    usable, values, vectors, inverse = eigenbasis(k)
    if not usable:
        for i in range(k.shape[0]):
            for j in range(k.shape[0]):
                vectors[i, j] = 1.0 if i == j else 0.0
                inverse[i, j] = vectors[i, j]
    return usable, values, vectors, inverse


@kernel()
def _ordered_slots(slots, table, movers_at, event_slots, every):
    """Active slots, those that move K first, and how many these are; column ``movers_at`` of the table names them.

    The table is that of coefficients (``every`` false: column 1 below n is an entry of K), or that of second derivatives, in
    which rows count states before slots (then every slot may move the constant input).
    """
    n = movers_at
    place, active = np.full(slots, -1), np.empty(slots, np.int64)
    count, movers = 0, 0
    for turn in range(2):
        for row in range(table.shape[0]):
            for column in range(1, 3):
                slot = table[row, column] - n if every else table[row, 2]
                if slot >= 0 and place[slot] < 0 and (every or turn == 1 or table[row, 1] < n):
                    place[slot] = count
                    active[count] = slot
                    count += 1
        if turn == 0:
            movers = count
    for row in range(event_slots.shape[0]):
        for column in range(event_slots.shape[1]):
            slot = event_slots[row, column]
            if slot >= 0 and place[slot] < 0:
                place[slot] = count
                active[count] = slot
                count += 1
    for slot in range(slots if every else 0):
        if place[slot] < 0:
            place[slot] = count
            active[count] = slot
            count += 1
    return active[:count], place, movers


@kernel()
def _from_coefficients(order, p, system):
    """The frame of a system whose K is linear in the slots."""
    n, table, coefficients = system.n, system.table, system.coefficients
    k, right = np.zeros((n, n)), np.zeros(n)
    for row in range(table.shape[0]):
        i, j, slot = table[row, 0], table[row, 1], table[row, 2]
        value = coefficients[row] * (p[slot] if slot >= 0 else 1.0)
        if j < n:
            k[i, j] += value
        else:
            right[i] += value
    usable, values, vectors, inverse = _basis(k)
    active, place, movers = _ordered_slots(
        system.slots if order >= 1 else 0, table[: table.shape[0] if order >= 1 else 0], n,
        system.event_slots[: system.event_slots.shape[0] if order >= 1 else 0], False,
    )  # fmt: skip
    m, base = np.zeros((n, n, movers)), np.zeros((n, 1 + active.shape[0]))
    for i in range(n):
        for j in range(n):
            base[i, 0] += inverse[i, j] * right[j]
    for row in range(table.shape[0] if order >= 1 else 0):
        i, j, slot = table[row, 0], table[row, 1], table[row, 2]
        if slot < 0:
            continue
        s = place[slot]
        for a in range(n):
            if j < n:
                for b in range(n):
                    m[a, b, s] += coefficients[row] * inverse[a, i] * vectors[j, b]
            else:
                base[a, 1 + s] += coefficients[row] * inverse[a, i]
    return Frame(usable, values, vectors, inverse, k, active, m, base, np.zeros((n, n, 0)), np.zeros((n, 0)))


@kernel()
def _pair(s, q):
    return s * (s + 1) // 2 + q if q <= s else q * (q + 1) // 2 + s


@kernel()
def _from_functions(order, p, rates, jacobian, hessian, system):
    """The frame of a system whose coefficients read time-varying inputs, the tail of ``p``."""
    n, slots, table = system.n, system.slots, system.table
    x, right, j = np.zeros(n), np.zeros(n), np.zeros((n, n + 1 + p.shape[0]))
    rates(0.0, x, p, right)
    jacobian(0.0, x, p, j)
    k = np.zeros((n, n))
    for a in range(n):
        for b in range(n):
            k[a, b] = j[a, b]
    usable, values, vectors, inverse = _basis(k)
    active, place, movers = _ordered_slots(
        slots if order >= 1 else 0, table[: table.shape[0] if order >= 1 else 0], n,
        system.event_slots[: system.event_slots.shape[0] if order >= 1 else 0], True,
    )  # fmt: skip
    pairs = movers * (movers + 1) // 2 if order >= 2 else 0
    m, base = np.zeros((n, n, movers)), np.zeros((n, 1 + active.shape[0]))
    m2, base2 = np.zeros((n, n, pairs)), np.zeros((n, pairs))
    for i in range(n):
        for a in range(n):
            base[i, 0] += inverse[i, a] * right[a]
            for s in range(active.shape[0]):
                base[i, 1 + s] += inverse[i, a] * j[a, n + active[s]]
    if order < 1:
        return Frame(usable, values, vectors, inverse, k, active, m, base, m2, base2)
    at_zero, at_one = np.zeros(table.shape[0]), np.zeros(table.shape[0])
    hessian(0, 0.0, x, p, at_zero)
    for row in range(table.shape[0]):
        i, high, low = table[row, 0], table[row, 1] - n, table[row, 2]
        if high < 0:
            continue
        if low < n:  # of a slot and a state: a derivative of K
            for a in range(n):
                for b in range(n):
                    m[a, b, place[high]] += inverse[a, i] * at_zero[row] * vectors[low, b]
        elif order >= 2:
            for a in range(n):
                base2[a, _pair(place[high], place[low - n])] += inverse[a, i] * at_zero[row]
    for c in range(n if order >= 2 else 0):
        x[c] = 1.0
        hessian(0, 0.0, x, p, at_one)
        x[c] = 0.0
        for row in range(table.shape[0]):
            i, high, low = table[row, 0], table[row, 1] - n, table[row, 2] - n
            if low < 0:
                continue
            for a in range(n):
                for b in range(n):
                    m2[a, b, _pair(place[high], place[low])] += (
                        inverse[a, i] * (at_one[row] - at_zero[row]) * vectors[c, b]
                    )
    return Frame(usable, values, vectors, inverse, k, active, m, base, m2, base2)


@kernel()
def linear_frame(order, p, rates, jacobian, hessian, system):
    """The :class:`Frame` of a system at ``p``; without derivatives at order 0.

    Where ``p`` has time-varying inputs behind its slots, K comes from the compiled functions, else from the coefficients.
    """
    if p.shape[0] > system.slots:
        return _from_functions(order, p, rates, jacobian, hessian, system)
    return _from_coefficients(order, p, system)
