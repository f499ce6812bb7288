"""Steady state of a nonlinear system under repeated doses: Newton's method on the map over one dosing interval.

The equations do not depend on time itself here (binding refuses it), so only lengths of intervals matter.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import invert
from pkpd.kernels.events import BIOAVAILABILITY, LAG, infusion_length, infusion_rate
from pkpd.kernels.ode_step import integrate, slope
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, OK

_CYCLES_FIRST = 3  # plain cycles from the empty system before Newton's method takes over
_MOST_ITERATIONS = 60


@kernel()
def _flow(order, n, slots, forced, t, h, h_p, p, r, rp, rates, jacobian, hessian, output, table, settings, y):
    """Integrate ``y`` over a length ``h`` whose derivative is ``h_p``: partial derivatives in, total ones at the end out."""
    nothing, none = np.zeros(0), np.zeros(0, np.int64)
    status = OK
    if h > 0.0:
        status, _ = integrate(
            order, n, slots, forced, t, t + h, p, r, rp, rates, jacobian, hessian, output, table, settings,
            nothing, none, 0, 0, y, np.zeros(1), nothing, np.zeros((0, 0)), nothing, np.zeros((0, 0)), np.zeros((0, 0, 0)),
        )  # fmt: skip
    if status != OK or order < 1 or not forced:
        return status
    moves = False
    for s in range(slots):
        moves = moves or h_p[s] != 0.0
    if not moves:
        return status
    j, values, dy = np.zeros((n, n + slots + 1)), np.zeros(table.shape[0]), np.zeros((1 + slots, n))
    slope(1, n, slots, True, t + h, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
    if order >= 2:
        column = 1 + slots
        for s in range(slots):
            for q in range(s + 1):
                for i in range(n):
                    curve = 0.0
                    for k in range(n):
                        curve += j[i, k] * dy[0, k]
                    y[column, i] += dy[1 + s, i] * h_p[q] + dy[1 + q, i] * h_p[s] + curve * h_p[s] * h_p[q]
                column += 1
    for s in range(slots):
        for i in range(n):
            y[1 + s, i] += dy[0, i] * h_p[s]
    return status


@kernel()
def _cycle(
    order, n, slots, forced, t, until, until_p, p, event_slots, cmt, amount, rate, interval,
    rates, jacobian, hessian, output, table, settings, y,
):  # fmt: skip
    """From just before an implied dose to ``until`` after it."""
    r, rp = np.zeros(n), np.zeros((p.shape[0], n))
    still = np.zeros(slots)
    if rate == 0.0:
        slot = event_slots[BIOAVAILABILITY, cmt]
        y[0, cmt] += amount * (p[slot] if slot >= 0 else 1.0)
        if order >= 1 and forced and slot >= 0:
            y[1 + slot, cmt] += amount
        return _flow(
            order, n, slots, forced, t, until, until_p, p, r, rp, rates, jacobian, hessian, output, table, settings, y
        )
    length, length_slot, length_factor = infusion_length(p, event_slots, cmt, amount, rate)
    speed, speed_slot, speed_factor = infusion_rate(p, event_slots, cmt, amount, rate)
    overlap = int(math.floor(length / interval))
    length -= overlap * interval
    r[cmt] = (overlap + 1) * speed
    if speed_slot >= 0:
        rp[speed_slot, cmt] = (overlap + 1) * speed_factor
    if until <= length:
        return _flow(
            order, n, slots, forced, t, until, until_p, p, r, rp, rates, jacobian, hessian, output, table, settings, y
        )
    if forced and length_slot >= 0:
        still[length_slot] = length_factor
    status = _flow(order, n, slots, forced, t, length, still, p, r, rp, rates, jacobian, hessian, output, table, settings, y)
    if status != OK:
        return status
    r[cmt] -= speed
    if speed_slot >= 0:
        rp[speed_slot, cmt] -= speed_factor
    # the second part is shorter by as much as the first is longer
    total_p = until_p - still
    return _flow(
        order, n, slots, forced, t + length, until - length, total_p, p, r, rp,
        rates, jacobian, hessian, output, table, settings, y,
    )  # fmt: skip


@kernel()
def _constant(order, n, slots, t, p, r, rp, rates, jacobian, hessian, output, table, settings, y):
    """Root of rates + r = 0: relax for ever longer times, then Newton's method."""
    y[:, :] = 0.0
    state = y[0:1].copy()
    still = np.zeros(slots)
    j, values = np.zeros((n, n + slots + 1)), np.zeros(table.shape[0])
    dy, inverse = np.zeros((y.shape[0], n)), np.zeros((n, n))
    span, settled = 1.0, False
    for _ in range(40):
        before = state.copy()
        status = _flow(0, n, slots, False, t, span, still, p, r, rp, rates, jacobian, hessian, output, table, settings, state)
        if status != OK:
            return status
        change, size = 0.0, 1e-300
        for i in range(n):
            change = max(change, abs(state[0, i] - before[0, i]))
            size = max(size, abs(state[0, i]))
        settled = change <= 1e-3 * size
        if settled and span > 1.0:
            break
        span *= 2.0
    if not settled:
        return NO_STEADY_STATE
    y[0] = state[0]
    settled = False
    for _ in range(_MOST_ITERATIONS):
        slope(1, n, 0, True, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
        if not invert(-j[:, :n], inverse):
            return NO_STEADY_STATE
        step = inverse @ dy[0]
        change, size = 0.0, 1e-300
        for i in range(n):
            y[0, i] += step[i]
            change = max(change, abs(step[i]))
            size = max(size, abs(y[0, i]))
        if not math.isfinite(change):
            return NO_STEADY_STATE
        if change <= 1e-13 * size:
            settled = True
            break
    if not settled:
        return NO_STEADY_STATE
    for level in range(1, order + 1):
        slope(order, n, slots, True, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
        if not invert(-j[:, :n], inverse):
            return NO_STEADY_STATE
        low, high = (1, 1 + slots) if level == 1 else (1 + slots, y.shape[0])
        for c in range(low, high):
            y[c] = inverse @ dy[c]
    return OK


@kernel()
def steady_state(
    order, n, t, p, event_slots, cmt, amount, rate, interval, rates, jacobian, hessian, output, table, settings, y
):
    """The state at the record time ``t`` of a steady-state dose, before the dose itself: fills ``y``.

    ``y`` (columns, n) gets the state and its derivatives, found as for a linear system (see
    :mod:`pkpd.kernels.linear`) once Newton's method has the state.
    """
    slots = p.shape[0]
    first = slots if order >= 1 else 0
    if interval <= 0.0:
        r, rp = np.zeros(n), np.zeros((slots, n))
        if rate != 0.0:
            speed, slot, factor = infusion_rate(p, event_slots, cmt, amount, rate)
            r[cmt] = speed
            if slot >= 0:
                rp[slot, cmt] = factor
        return _constant(order, n, slots, t, p, r, rp, rates, jacobian, hessian, output, table, settings, y)
    lag_slot = event_slots[LAG, cmt]
    lag = p[lag_slot] if lag_slot >= 0 else 0.0
    if lag > interval:
        return LAG_TOO_LONG
    if rate != 0.0:
        length, _, _ = infusion_length(p, event_slots, cmt, amount, rate)
        speed, _, _ = infusion_rate(p, event_slots, cmt, amount, rate)
        if not (length > 0.0 and speed > 0.0):
            return INFUSION_NOT_POSITIVE
    start = t + lag - interval
    still = np.zeros(slots)
    x, inverse, jacobian_of_map = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    around = np.zeros((1 + n, n))
    settled = False
    for iteration in range(_CYCLES_FIRST + _MOST_ITERATIONS):
        newton = iteration >= _CYCLES_FIRST
        around[:, :] = 0.0
        around[0] = x
        for i in range(n):
            around[1 + i, i] = 1.0
        status = _cycle(
            1 if newton else 0, n, n, False, start, interval, np.zeros(n), p, event_slots, cmt, amount, rate, interval,
            rates, jacobian, hessian, output, table, settings, around,
        )  # fmt: skip
        if status != OK:
            return status
        if not newton:
            x[:] = around[0]
            continue
        for i in range(n):
            for k in range(n):
                jacobian_of_map[i, k] = (1.0 if i == k else 0.0) - around[1 + k, i]
        if not invert(jacobian_of_map, inverse):
            return NO_STEADY_STATE
        step = inverse @ (around[0] - x)
        change, size = 0.0, 1e-300
        for i in range(n):
            x[i] += step[i]
            change = max(change, abs(step[i]))
            size = max(size, abs(x[i]))
        if not math.isfinite(change) or change > 1e6 * (size + amount):
            return NO_STEADY_STATE
        if change <= 10.0 * settings[0] * size + settings[1]:
            settled = True
            break
    if not settled:
        return NO_STEADY_STATE
    y[:, :] = 0.0
    y[0] = x
    for level in range(1, order + 1):
        keep = y.copy()
        status = _cycle(
            order, n, slots, True, start, interval, still, p, event_slots, cmt, amount, rate, interval,
            rates, jacobian, hessian, output, table, settings, y,
        )  # fmt: skip
        if status != OK:
            return status
        low, high = (1, 1 + first) if level == 1 else (1 + first, y.shape[0])
        for c in range(low, high):
            keep[c] = inverse @ y[c]
        y[:, :] = keep
    if lag_slot >= 0:
        until_p = np.zeros(slots)
        until_p[lag_slot] = -1.0
        return _cycle(
            order, n, slots, True, start, interval - lag, until_p, p, event_slots, cmt, amount, rate, interval,
            rates, jacobian, hessian, output, table, settings, y,
        )  # fmt: skip
    return OK
