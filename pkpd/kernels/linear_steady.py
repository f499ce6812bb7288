"""Steady state of a linear system under repeated or constant dosing, in closed form with both orders of derivatives.

The state just before an implied dose is the fixed point of the map over one interval. The map is affine in the state, with the
same linear part Φ at every order of derivatives: x* = (1 - Φ)⁻¹ P(0), then dx* = (1 - Φ)⁻¹ dP(x*, 0), and so on. In the basis of
eigenvectors Φ is diagonal.

NONMEM Users Guide Part VI (PREDPP), chapter V, says what the record means: the state at its time is the steady-state cycle
advanced to II - lag.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import STEADY_SIGNATURE, kernel
from pkpd.kernels.dense import invert
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    LAG,
    MOST_RUNNING,
    STEADY_ADD,
    infusion_length,
    infusion_rate,
    whole_intervals,
)
from pkpd.kernels.exponential import exponential
from pkpd.kernels.linear_frame import linear_frame
from pkpd.kernels.linear_step import advance, columns_of, shift, tables
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, OK


@kernel()
def _apply(inverse, right, first, last, out):
    """Columns ``first`` to ``last`` of ``out`` = inverse times ``right``."""
    n = inverse.shape[0]
    for i in range(n):
        for c in range(first, last):
            total = 0.0
            for j in range(n):
                total += inverse[i, j] * right[j, c]
            out[i, c] = total


@kernel()
def _constant_input(order, frame, r, y):
    """Root of K x + r = 0 in the basis, with derivatives, into ``y``; False where there is none."""
    m, m2 = frame.m, frame.m2
    n, active, movers = y.shape[0], r.shape[1] - 1, m.shape[2]
    a, inverse, right = np.zeros((n, n)), np.zeros((n, n)), np.zeros(y.shape)
    for i in range(n):
        a[i, i] = -frame.values[i]
        if not frame.usable:
            for j in range(n):
                a[i, j] = -frame.k[i, j]
    if not invert(a, inverse):
        return False
    _apply(inverse, r, 0, 1, y)
    if order < 1:
        return True
    for i in range(n):
        for s in range(1, 1 + active):
            right[i, s] = r[i, s]
        for j in range(n):
            for s in range(movers):
                right[i, 1 + s] += m[i, j, s] * y[j, 0]
    _apply(inverse, right, 1, 1 + active, y)
    if order < 2:
        return True
    for i in range(n):
        for pair in range(m2.shape[2]):
            right[i, 1 + active + pair] += frame.base2[i, pair]
        for j in range(n):
            for pair in range(m2.shape[2]):
                right[i, 1 + active + pair] += m2[i, j, pair] * y[j, 0]
            for s in range(movers):
                for q in range(active):
                    pair = 1 + active + (s * (s + 1) // 2 + q if q <= s else q * (q + 1) // 2 + s)
                    right[i, pair] += m[i, j, s] * y[j, 1 + q] * (2.0 if q == s else 1.0)
    _apply(inverse, right, 1 + active, y.shape[1], y)
    return True


@kernel()
def _into_compartments(order, slots, frame, y, columns):
    """Write a state of the basis as ``columns`` over all slots and their pairs."""
    vectors, active = frame.vectors, frame.active
    n, count = vectors.shape[0], active.shape[0]
    for c in range(columns.shape[0]):
        for i in range(n):
            columns[c, i] = 0.0
    for i in range(n):
        pair = 1 + count
        for j in range(n):
            columns[0, i] += vectors[i, j] * y[j, 0]
        for s in range(count):
            for j in range(n):
                columns[1 + active[s], i] += vectors[i, j] * y[j, 1 + s]
            for q in range(s + 1 if order >= 2 else 0):
                high, low = max(active[s], active[q]), min(active[s], active[q])
                for j in range(n):
                    columns[1 + slots + high * (high + 1) // 2 + low, i] += vectors[i, j] * y[j, pair]
                pair += 1


@kernel(STEADY_SIGNATURE)
def steady_linear(
    order, t, p, kind, cmt, place, amount, rate, interval, rates, jacobian, hessian, output, system, y,
):  # fmt: skip
    """The state at the record time of a steady-state dose, before the dose itself.

    Parameters
    ----------
    order, p, rates, jacobian, hessian, output, system
        As in :func:`pkpd.kernels.linear.solve_linear`.
    t : float
        Time of the record.
    kind, cmt, place, amount, rate, interval
        The dose record.
    y : (columns, n) array
        Filled: the state, its derivatives to each slot, and its second derivatives to each pair (s, q <= s) of slots.

    Returns
    -------
    int
        A status of :mod:`pkpd.kernels.status`.
    """
    n, event_slots = system.n, system.event_slots
    frame = linear_frame(order, p, rates, jacobian, hessian, system)
    inverse, count = frame.inverse, frame.active.shape[0]
    at = np.full(system.slots, -1)  # places of the slots among the active ones
    for s in range(count):
        at[frame.active[s]] = s
    base = frame.base
    if kind == STEADY_ADD:  # a constant input of the system is in the state that this one is added to
        for i in range(n):
            for c in range(base.shape[1]):
                base[i, c] = 0.0
            for pair in range(frame.base2.shape[1]):
                frame.base2[i, pair] = 0.0
    lag_slot, bio_slot = event_slots[LAG, place], event_slots[BIOAVAILABILITY, place]
    lag = p[lag_slot] if lag_slot >= 0 else 0.0
    bio = at[bio_slot] if bio_slot >= 0 else -1
    length, length_slot, length_factor, speed, speed_slot, speed_factor, whole = 0.0, -1, 0.0, 0.0, -1, 0.0, 0
    if rate != 0.0:
        speed, speed_slot, speed_factor = infusion_rate(p, event_slots, place, amount, rate)
        speed_slot = at[speed_slot] if speed_slot >= 0 else -1
        if not speed > 0.0:
            return INFUSION_NOT_POSITIVE
    total = columns_of(order, count)
    best, r = np.zeros((n, total)), np.zeros((n, 1 + count))
    if interval <= 0.0:
        for i in range(n):
            for c in range(1 + count):
                r[i, c] = base[i, c]
            r[i, 0] += inverse[i, cmt] * speed
            if speed_slot >= 0:
                r[i, 1 + speed_slot] += inverse[i, cmt] * speed_factor
        if not _constant_input(order, frame, r, best):
            return NO_STEADY_STATE
        _into_compartments(order, system.slots, frame, best, y)
        return OK
    if lag > interval:
        return LAG_TOO_LONG
    if rate != 0.0:
        length, length_slot, length_factor = infusion_length(p, event_slots, place, amount, rate)
        length_slot = at[length_slot] if length_slot >= 0 else -1
        if not length > 0.0:
            return INFUSION_NOT_POSITIVE
        whole = whole_intervals(length, interval)
        if whole >= MOST_RUNNING:
            return NO_STEADY_STATE
        length -= whole * interval

    phi, gap = np.zeros((n, n)), np.zeros((n, n))
    if frame.usable:
        for i in range(n):
            phi[i, i] = -math.expm1(frame.values[i] * interval)
    else:
        for i in range(n):
            for j in range(n):
                phi[i, j] = frame.k[i, j] * interval
        e, _, _ = exponential(0, phi, np.zeros((0, n, n)), np.zeros((0, 0, n, n)))
        for i in range(n):
            for j in range(n):
                phi[i, j] = (1.0 if i == j else 0.0) - e[i, j]
    if not invert(phi, gap):
        return NO_STEADY_STATE
    x, z = np.zeros((n, total)), np.zeros((n, total))
    e, w, hp = np.zeros((2, n)), tables(order, n, count), np.zeros(count)
    # One lap is one run through an interval, one per order of derivatives, whose highest order starts from zero, and at last the
    # way from the dose to the record, which is II - lag.
    for lap in range(order + 2):
        if lap > order and lag_slot < 0:
            break
        now = min(lap, order)
        for i in range(n):
            for c in range(total):
                x[i, c] = best[i, c]
        until = interval - lag if lap > order else interval
        if rate == 0.0:
            dose = amount * (p[bio_slot] if bio_slot >= 0 else 1.0)
            for i in range(n):
                x[i, 0] += inverse[i, cmt] * dose
                if now >= 1 and bio >= 0:
                    x[i, 1 + bio] += inverse[i, cmt] * amount
        ends = rate != 0.0 and length <= until  # the infusion ends on the way
        for part in range(2 if ends else 1):
            h = until if not ends else (length if part == 0 else until - length)
            for s in range(count):
                hp[s] = 0.0
            if lap > order and order >= 1 and not (ends and part == 0):
                hp[at[lag_slot]] = -1.0
            if ends and order >= 1 and length_slot >= 0:
                hp[length_slot] += length_factor if part == 0 else -length_factor
            running = (whole + 1 - part) if rate != 0.0 else 0
            driven = running > 0
            for i in range(n):
                for c in range(1 + count):
                    r[i, c] = base[i, c]
                    driven = driven or base[i, c] != 0.0
                r[i, 0] += inverse[i, cmt] * running * speed
                if speed_slot >= 0:
                    r[i, 1 + speed_slot] += inverse[i, cmt] * running * speed_factor
            advance(now, h, driven, frame, x, r, e, w, z)
            if now >= 1:
                shift(now, frame.usable, frame.values, frame.k, frame.m, r, hp, z)
            x, z = z, x
        if lap <= order:  # of each order the part that is new
            _apply(gap, x, columns_of(lap - 1, count) if lap > 0 else 0, columns_of(lap, count), best)
            for i in range(n):
                if not math.isfinite(best[i, 0]):
                    return NO_STEADY_STATE
        else:
            best = x
    _into_compartments(order, system.slots, frame, best, y)
    return OK
