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
from pkpd.kernels.dormand_prince import POINT
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    LAG,
    MOST_RUNNING,
    START,
    STOP,
    infusion_length,
    infusion_rate,
    whole_intervals,
)
from pkpd.kernels.ode_advance import advance
from pkpd.kernels.ode_step import make_work
from pkpd.kernels.radau import make_stages
from pkpd.kernels.samples import Samples
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, OK
from pkpd.kernels.variation import (
    first_variation,
    held_size,
    jacobian_at,
    make_flow,
    rate_of_change,
    state_size,
    variations,
)

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
    p, rates, jacobian, hessian, output, system, flow, samples, work, stages,
):  # fmt: skip
    """Integrate ``work.y`` over a length ``until`` whose derivative is ``until_p``: total derivatives in and out.

    ``running`` infusions of rate ``speed`` run into ``cmt``, one fewer after ``length`` if the infusion ``ends`` on the way.
    """
    y, j, k, pace = work.y, work.j, work.slope, work.pace
    zero, nowhere = np.int64(0), np.int64(-1)  # literals would have all compiled anew
    hp = np.zeros(slots)
    pace[:] = 0.0  # the number of laps depends on the order of derivatives: steps must not remember them
    for part in range(2 if ends else 1):
        h = until if not ends else (length if part == 0 else until - length)
        flow.r[cmt] = (running - part) * speed
        if speed_slot >= 0:
            flow.rp[cmt * slots + speed_slot] = (running - part) * speed_factor
        if h > 0.0:
            status, _ = advance(
                order, forced, slots, STOP if part else START, nowhere, t, t + h,
                p, rates, jacobian, hessian, output, system, flow, samples, zero, zero, work, stages,
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
        rate_of_change(zero, n, slots, nowhere, t, y, p, flow, rates, k)
        jacobian_at(n, t, y, p, flow, jacobian, j)
        first_variation(zero, n, slots, forced, y, flow, j, k)
        at = n + n * slots
        for i in range(n if order >= 2 else 0):
            curve, row = 0.0, n + i * slots
            for m in range(n):
                curve += j[i, m] * k[0, m]
            for s in range(slots):
                for q in range(s + 1):
                    y[at] += k[0, row + s] * hp[q] + k[0, row + q] * hp[s] + curve * hp[s] * hp[q]
                    at += 1
        for i in range(n):
            for s in range(slots):
                y[n + i * slots + s] += k[0, i] * hp[s]
    return OK


@kernel()
def _no_samples(slots, inputs):
    """What the stepper is given where no output is read."""
    nothing, none_p = np.zeros(0), np.zeros((0, slots))
    return Samples(
        nothing, np.zeros(0, np.int64), np.zeros((0, inputs)), nothing, none_p, np.zeros((0, slots, slots)),
        nothing, nothing, nothing, none_p,
    )  # fmt: skip


@kernel(STEADY_SIGNATURE)
def steady_ode(
    order, t, p, kind, cmt, place, amount, rate, interval, rates, jacobian, hessian, output, system, y,
):  # fmt: skip
    """The state at the record time of a steady-state dose, before the dose itself.

    Arguments and result as in :func:`pkpd.kernels.linear_steady.steady_linear`.
    """
    n, held, settings, event_slots = system.n, system.held, system.settings, system.event_slots
    slots = system.slots
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
    inverse, gap = np.zeros((n, n)), np.zeros((n, n))
    no_length, until_p = np.zeros(max(n, slots)), np.zeros(slots)
    inputs = p.shape[0] - slots
    flow = make_flow(n, slots, np.zeros(0), np.zeros((0, inputs)), np.zeros((0, inputs)))
    flow.busy[0] = 1
    samples = _no_samples(slots, inputs)
    if constant:
        flow.r[cmt] = speed
        if speed_slot >= 0:
            flow.rp[cmt * slots + speed_slot] = speed_factor
    # the state with its derivatives to itself while it is searched for, then those to the slots
    columns = n + slots + 1 + inputs
    entries = state_size(order, n, slots)
    width = held_size(order, n, slots, held)
    search, work = make_work(n + n * n, n + n * n, n, columns), make_work(entries, width, n, columns)
    search_stages, stages = make_stages(1, n, n, n + n * n), make_stages(order, n, slots, width)
    x, step = np.zeros(n), np.zeros(n)
    zero, nowhere = np.int64(0), np.int64(-1)  # literals would have all compiled anew
    free, forced = np.bool_(False), np.bool_(True)
    around = search.y
    newton, settled, nonnegative, span = False, False, True, 1.0
    ends = rate != 0.0 and not constant and length <= interval
    for iteration in range(_MOST_DOUBLINGS + _MOST_ITERATIONS):
        for i in range(n):
            around[i] = x[i]
            for k in range(n):
                around[n + i * n + k] = 1.0 if k == i else 0.0
        size = 1e-300
        for i in range(n):
            size = max(size, abs(x[i]))
        if newton and constant:
            rate_of_change(zero, n, slots, nowhere, t, x, p, flow, rates, search.slope)
            jacobian_at(n, t, x, p, flow, jacobian, search.j)
            for i in range(n):
                for k in range(n):
                    gap[i, k] = -search.j[i, k]
                around[i] = x[i] + search.slope[0, i]
        else:
            around[cmt] += bolus
            status = _lap(
                1 if newton else 0, n, n, free, t, span if constant else interval, no_length, ends,
                length, nowhere, 0.0, running, speed, nowhere, 0.0, cmt,
                p, rates, jacobian, hessian, output, system, flow, samples, search, search_stages,
            )  # fmt: skip
            if status != OK:
                return status
            for i in range(n):
                for k in range(n):
                    gap[i, k] = (1.0 if i == k else 0.0) - around[n + i * n + k]
        change = 0.0
        if not newton:
            for i in range(n):
                change = max(change, abs(around[i] - x[i]))
                x[i] = around[i]
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
            step[i] = 0.0
            for k in range(n):
                step[i] += inverse[i, k] * (around[k] - x[k])
        for i in range(n):
            x[i] += step[i]
            change = max(change, abs(step[i]))
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
    # one lap per order of derivatives, whose highest order starts from zero, and the way from the dose to the record
    state, lapped, base, pairs = np.zeros(work.y.shape[0]), work.y, n + n * slots, slots * (slots + 1) // 2
    for i in range(n):
        state[i] = x[i]
    for lap in range(1, order + 2):
        if lap > order and (lag_slot < 0 or constant):
            break
        now = min(lap, order)
        for c in range(state.shape[0]):
            lapped[c] = state[c]
        if constant:
            for c in range(width):
                work.k[POINT, c] = state[held[c]]
            point, now_held = work.k[POINT], held_size(now, n, slots, held)
            rate_of_change(zero, n, slots, nowhere, t, point, p, flow, rates, work.k)
            variations(
                zero, now, now_held, forced, n, slots, t, point, p, flow, jacobian, hessian, held, work.j, work.k,
            )  # fmt: skip
            for c in range(now_held):
                lapped[held[c]] = work.k[0, c]
        else:
            until = interval
            if lap > order:
                until = interval - lag
                until_p[lag_slot] = -1.0
            lapped[cmt] += bolus
            if now >= 1 and rate == 0.0 and bio_slot >= 0:
                lapped[n + cmt * slots + bio_slot] += amount
            status = _lap(
                now, n, slots, forced, t, until, until_p, length <= until and rate != 0.0, length, length_slot, length_factor,
                running, speed, speed_slot, speed_factor, cmt,
                p, rates, jacobian, hessian, output, system, flow, samples, work, stages,
            )  # fmt: skip
            if status != OK:
                return status
        if lap > order:
            for c in range(state.shape[0]):
                state[c] = lapped[c]
            break
        offset, width = (n, slots) if lap == 1 else (base, pairs)
        for i in range(n):
            for c in range(width):
                total = 0.0
                for k in range(n):
                    total += inverse[i, k] * lapped[offset + k * width + c]
                state[offset + i * width + c] = total
    # a row per derivative for the caller
    for i in range(n):
        y[0, i] = state[i]
        for s in range(slots if order >= 1 else 0):
            y[1 + s, i] = state[n + i * slots + s]
        for c in range(pairs if order >= 2 else 0):
            y[1 + slots + c, i] = state[base + i * pairs + c]
    return OK
