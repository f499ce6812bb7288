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
    """

    usable: Any
    values: Any
    vectors: Any
    inverse: Any
    k: Any
    active: Any
    m: Any
    base: Any


@kernel()
def linear_frame(order, p, system):
    """The :class:`Frame` of a system at the slots ``p``; without derivatives at order 0."""
    n, table, coefficients, event_slots = system.n, system.table, system.coefficients, system.event_slots
    k, right = np.zeros((n, n)), np.zeros(n)
    for row in range(table.shape[0]):
        i, j, slot = table[row, 0], table[row, 1], table[row, 2]
        value = coefficients[row] * (p[slot] if slot >= 0 else 1.0)
        if j < n:
            k[i, j] += value
        else:
            right[i] += value
    usable, values, vectors, inverse = eigenbasis(k)
    if not usable:
        for i in range(n):
            for j in range(n):
                vectors[i, j] = 1.0 if i == j else 0.0
                inverse[i, j] = vectors[i, j]
    first = system.slots if order >= 1 else 0
    place, active = np.full(first, -1), np.empty(first, np.int64)
    count, movers = 0, 0
    if order >= 1:
        for turn in range(2):
            for row in range(table.shape[0]):
                slot = table[row, 2]
                if slot >= 0 and place[slot] < 0 and (turn == 1 or table[row, 1] < n):
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
    m, base = np.zeros((n, n, movers)), np.zeros((n, 1 + count))
    for i in range(n):
        for j in range(n):
            base[i, 0] += inverse[i, j] * right[j]
    if order >= 1:
        for row in range(table.shape[0]):
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
    return Frame(usable, values, vectors, inverse, k, active[:count], m, base)
