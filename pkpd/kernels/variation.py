"""Right-hand side of the states and of their sensitivities, in one flat array.

Layout of a state array (size,): the n states; then the first derivatives (n, P); then the second derivatives (n, P(P+1)/2),
of which pair (s, q), q <= s, is number s(s+1)/2 + q. A block per state: a row of the Jacobian then works along memory.
The steppers integrate only the entries that ``System.held`` names, by generated code.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pkpd._jit import kernel


class Flow(NamedTuple):
    """What drives a subject's system from outside.

    Attributes
    ----------
    r (n,), rp (n·P,) : arrays
        Rates of running infusions and their derivatives.
    off : (n,) int array
        1 where a compartment is turned off.
    busy : (1,) int array
        1 while an infusion runs or a compartment is off.
    time (C,), value (C, W), slope (C, W) : arrays
        The subject's time-varying inputs in pieces, as in :class:`pkpd._jit.Subjects`.
    """

    r: Any
    rp: Any
    off: Any
    busy: Any
    time: Any
    value: Any
    slope: Any


@kernel()
def make_flow(n, slots, time, value, slope):
    """Nothing running and nothing off."""
    return Flow(
        np.zeros(n), np.zeros(n * slots), np.zeros(n, np.int64), np.zeros(1, np.int64), time, value, slope
    )


@kernel(allocates=False)
def state_size(order, n, slots):
    """Length of the flat array of states and derivatives."""
    size = n
    if order >= 1:
        size += n * slots
    if order >= 2:
        size += n * (slots * (slots + 1) // 2)
    return size


@kernel(allocates=False)
def set_inputs(slots, piece, t, p, flow):
    """Put the time-varying inputs of a piece at time ``t`` behind the parameter slots of ``p``."""
    for w in range(flow.value.shape[1]):
        p[slots + w] = flow.value[piece, w] + flow.slope[piece, w] * (t - flow.time[piece])


@kernel(allocates=False)
def rate_of_change(row, n, slots, piece, t, y, p, flow, rates, k):
    """Fill the states' part of row ``row`` of ``k``; ``piece`` >= 0 where inputs move within the piece.

    The innermost call: with nothing to add it is the model's own function and no more.
    """
    if piece >= 0:
        set_inputs(slots, piece, t, p, flow)
    rates(t, y, p, k[row])
    if flow.busy[0]:
        for i in range(n):
            k[row, i] = 0.0 if flow.off[i] else k[row, i] + flow.r[i]


@kernel(allocates=False)
def jacobian_at(n, t, y, p, flow, jacobian, j):
    """Fill ``j``; compartments that are turned off do not change."""
    jacobian(t, y, p, j)
    if flow.busy[0]:
        for i in range(n):
            if flow.off[i]:
                j[i, :] = 0.0


@kernel(allocates=False)
def first_variation(row, n, slots, forced, y, flow, j, k):
    """Fill the first derivatives' part of row ``row`` of ``k`` by ``j``.

    With ``forced`` they are derivatives to the parameters, else to the state at the start (then ``slots`` = n).
    """
    for i in range(n):
        at = n + i * slots
        for s in range(slots):
            k[row, at + s] = j[i, n + s] + flow.rp[i * slots + s] if forced else 0.0
        for m in range(n):
            factor = j[i, m]
            if factor != 0.0:
                source = n + m * slots
                for s in range(slots):
                    k[row, at + s] += factor * y[source + s]


@kernel(allocates=False)
def held_size(order, n, slots, held):
    """How many entries are integrated: those ``held`` of derivatives up to ``order``."""
    size = state_size(order, n, slots)
    count = 0
    while count < held.shape[0] and held[count] < size:
        count += 1
    return count


@kernel(allocates=False)
def variations(row, order, size, forced, n, slots, t, x, p, flow, jacobian, hessian, held, j, k):
    """Fill the derivatives' part of row ``row`` of ``k``, as far as it is ``held``; with the states that makes ``size`` entries.

    Without ``forced`` all first derivatives are held, and ``j`` is filled.
    """
    if not forced:
        jacobian_at(n, t, x, p, flow, jacobian, j)
        first_variation(row, n, slots, forced, x, flow, j, k)
        return
    hessian(order, t, x, p, k[row])
    if not flow.busy[0]:
        return
    base, pairs = n + n * slots, slots * (slots + 1) // 2
    for c in range(n, size):
        if held[c] < base:
            k[row, c] += flow.rp[held[c] - n]
    for i in range(n):
        if flow.off[i]:
            for c in range(n, size):
                one, two = held[c] - n - i * slots, held[c] - base - i * pairs
                if 0 <= one < slots or 0 <= two < pairs:
                    k[row, c] = 0.0
