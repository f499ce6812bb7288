"""Steady state of a nonlinear system under repeated or constant dosing: Newton's method on the map over one interval.

The state just before an implied dose is a fixed point x* = P(x*). With Φ = ∂P/∂x its derivatives are those of a linear system
(see :mod:`pkpd.kernels.linear_steady`): dx* = (1 - Φ)⁻¹ dP(x*), the derivatives of x* that enter P being those of lower order.
For a constant infusion it is the root of the right-hand side. The equations do not depend on time itself here (binding
refuses it), so only lengths of intervals matter.
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
    infusion_length,
    infusion_rate,
    whole_intervals,
)
from pkpd.kernels.ode_step import integrate, slope
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, OK

_CYCLES_FIRST = 3  # plain cycles from the empty system before Newton's method takes over
_MOST_ITERATIONS = 60
_MOST_DOUBLINGS = 40  # of the time that a constant infusion is left to settle before Newton's method
_NEGATIVE = (
    1e-6  # a steady state below -1e-6 of its largest amount is no state of a system that doses only fill
)


@kernel()
def _lap(
    order, n, slots, forced, t, until, until_p, ends, length, length_slot, length_factor,
    running, speed, speed_slot, speed_factor, cmt,
    p, rates, jacobian, hessian, output, table, settings, j, values, y,
):  # fmt: skip
    """Integrate ``y`` over a length ``until`` whose derivative is ``until_p``: total derivatives in and out.

    ``running`` infusions of rate ``speed`` run into ``cmt``, one fewer after ``length`` if the infusion ``ends`` on the way.
    """
    nothing, none, none_p, none_pp = np.zeros(0), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0, 0))
    r, rp = np.zeros(n), np.zeros((p.shape[0], n))
    hp, dy = np.zeros(slots), np.zeros((1 + slots, n))
    for part in range(2 if ends else 1):
        h = until if not ends else (length if part == 0 else until - length)
        r[cmt] = (running - part) * speed
        if speed_slot >= 0:
            rp[speed_slot, cmt] = (running - part) * speed_factor
        if h > 0.0:
            status, _, _ = integrate(
                order, n, slots, forced, t, t + h, p, r, rp, rates, jacobian, hessian, output, table, settings,
                nothing, none, 0, 0, 0, y, nothing, nothing, none_p, nothing, none_p, none_pp,
            )  # fmt: skip
            if status != OK:
                return status
        t += h
        if order < 1 or not forced:
            continue
        moves = False
        for s in range(slots):
            hp[s] = 0.0 if ends and part == 0 else until_p[s]
            if ends and s == length_slot:
                hp[s] += length_factor if part == 0 else -length_factor
            moves = moves or hp[s] != 0.0
        if not moves:
            continue
        slope(1, n, slots, True, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
        column = 1 + slots
        for s in range(slots if order >= 2 else 0):
            for q in range(s + 1):
                for i in range(n):
                    curve = 0.0
                    for k in range(n):
                        curve += j[i, k] * dy[0, k]
                    y[column, i] += dy[1 + s, i] * hp[q] + dy[1 + q, i] * hp[s] + curve * hp[s] * hp[q]
                column += 1
        for s in range(slots):
            for i in range(n):
                y[1 + s, i] += dy[0, i] * hp[s]
    return OK


@kernel(STEADY_SIGNATURE)
def steady_ode(
    order, t, p, kind, cmt, place, amount, rate, interval, rates, jacobian, hessian, output, system, y,
):  # fmt: skip
    """The state at the record time of a steady-state dose, before the dose itself.

    Arguments and result as in :func:`pkpd.kernels.linear_steady.steady_linear`.
    """
    n, structure, settings, event_slots = system.n, system.table, system.settings, system.event_slots
    slots = system.slots
    first = slots if order >= 1 else 0
    constant = interval <= 0.0
    lag_slot, bio_slot = event_slots[LAG, place], event_slots[BIOAVAILABILITY, place]
    lag = p[lag_slot] if lag_slot >= 0 else 0.0
    if lag > interval and not constant:
        return LAG_TOO_LONG
    length, length_slot, length_factor, speed, speed_slot, speed_factor, running = (
        0.0,
        -1,
        0.0,
        0.0,
        -1,
        0.0,
        0,
    )
    if rate != 0.0:
        speed, speed_slot, speed_factor = infusion_rate(p, event_slots, place, amount, rate)
        if not speed > 0.0:
            return INFUSION_NOT_POSITIVE
        running = 1
        if not constant:
            length, length_slot, length_factor = infusion_length(p, event_slots, place, amount, rate)
            if not length > 0.0:
                return INFUSION_NOT_POSITIVE
            whole = whole_intervals(length, interval)
            running += whole
            if whole >= MOST_RUNNING:
                return NO_STEADY_STATE
            length -= whole * interval
    bolus = 0.0
    if rate == 0.0:
        bolus = amount * (p[bio_slot] if bio_slot >= 0 else 1.0)
    j, values = np.zeros((n, n + slots + 1)), np.zeros(structure.shape[0])
    inverse, gap = np.zeros((n, n)), np.zeros((n, n))
    no_length, until_p = np.zeros(max(n, slots)), np.zeros(slots)
    r, rp = np.zeros(n), np.zeros((slots, n))
    if constant:
        r[cmt] = speed
        if speed_slot >= 0:
            rp[speed_slot, cmt] = speed_factor
    # the state with its derivatives to itself while it is searched for, then those to the slots
    x, around, work = np.zeros(n), np.zeros((1 + n, n)), np.zeros((y.shape[0], n))
    dy = np.zeros((max(1 + n, y.shape[0]), n))
    newton, settled, nonnegative, span = False, False, True, 1.0
    ends = rate != 0.0 and not constant and length <= interval
    for iteration in range(_MOST_DOUBLINGS + _MOST_ITERATIONS):
        for i in range(n):
            for c in range(1 + n):
                around[c, i] = x[i] if c == 0 else (1.0 if c == 1 + i else 0.0)
        size = 1e-300
        for i in range(n):
            size = max(size, abs(x[i]))
        if newton and constant:
            slope(1, n, 0, True, t, around, p, r, rp, rates, jacobian, hessian, structure, j, values, dy)
            for i in range(n):
                for k in range(n):
                    gap[i, k] = -j[i, k]
                around[0, i] = x[i] + dy[0, i]
        else:
            around[0, cmt] += bolus
            status = _lap(
                1 if newton else 0, n, n, False, t, span if constant else interval, no_length, ends,
                length, -1, 0.0, running, speed, -1, 0.0, cmt,
                p, rates, jacobian, hessian, output, structure, settings, j, values, around,
            )  # fmt: skip
            if status != OK:
                return status
            for i in range(n):
                for k in range(n):
                    gap[i, k] = (1.0 if i == k else 0.0) - around[1 + k, i]
        change = 0.0
        if not newton:
            for i in range(n):
                change = max(change, abs(around[0, i] - x[i]))
                x[i] = around[0, i]
                size = max(size, abs(x[i]))
                nonnegative = nonnegative and x[i] >= -1e-9 * size
            span *= 2.0
            if constant:
                newton = iteration > 0 and change <= 1e-3 * size
                if not newton and iteration == _MOST_DOUBLINGS - 1:
                    return NO_STEADY_STATE
            else:
                newton = iteration == _CYCLES_FIRST - 1
            continue
        if not invert(gap, inverse):
            return NO_STEADY_STATE
        before = size
        for i in range(n):
            step = 0.0
            for k in range(n):
                step += inverse[i, k] * (around[0, k] - x[k])
            around[1, i] = step
        for i in range(n):
            x[i] += around[1, i]
            change = max(change, abs(around[1, i]))
            size = max(size, abs(x[i]))
        if not (math.isfinite(change) and change <= 1e6 * (before + amount)):
            return NO_STEADY_STATE
        if change <= (1e-12 * size if constant else 10.0 * settings[0] * size + settings[1]):
            settled = True
            break
    for i in range(n):
        settled = settled and not (nonnegative and x[i] < -_NEGATIVE * size)
    if not settled:
        return NO_STEADY_STATE
    for c in range(y.shape[0]):
        for i in range(n):
            y[c, i] = x[i] if c == 0 else 0.0
    # one lap per order of derivatives, whose highest order starts from zero, and the way from the dose to the record
    for lap in range(1, order + 2):
        if lap > order and (lag_slot < 0 or constant):
            break
        now = min(lap, order)
        for c in range(y.shape[0]):
            for i in range(n):
                work[c, i] = y[c, i]
        if constant:
            slope(now, n, slots, True, t, y, p, r, rp, rates, jacobian, hessian, structure, j, values, work)
        else:
            until = interval
            if lap > order:
                until = interval - lag
                until_p[lag_slot] = -1.0
            work[0, cmt] += bolus
            if now >= 1 and rate == 0.0 and bio_slot >= 0:
                work[1 + bio_slot, cmt] += amount
            status = _lap(
                now, n, slots, True, t, until, until_p, length <= until and rate != 0.0, length, length_slot, length_factor,
                running, speed, speed_slot, speed_factor, cmt,
                p, rates, jacobian, hessian, output, structure, settings, j, values, work,
            )  # fmt: skip
            if status != OK:
                return status
        low, high = (1, 1 + first) if lap == 1 else (1 + first, y.shape[0])
        if lap > order:
            low, high = 0, y.shape[0]
        for c in range(low, high):
            for i in range(n):
                y[c, i] = work[c, i] if lap > order else 0.0
                if lap <= order:
                    for k in range(n):
                        y[c, i] += inverse[i, k] * work[c, k]
    return OK
