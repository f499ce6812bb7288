"""Adaptive solution of x' = rates(t, x, p) between dosing events, with variational equations for the derivatives.

The state and its first and second sensitivities are one array (columns, n): the state, one column per slot, one per pair of
slots. Samples are read off the interpolant; steps stop only at events and where the rates switch in time. At an event whose
time τ depends on the parameters the sensitivities are turned into total derivatives at τ, the event is applied, and they are
turned back with the rates after it: S⁺ = S⁻ + (f⁻ - f⁺)·∂τ/∂p, and the corresponding terms of second order.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import SOLVER_SIGNATURE, kernel
from pkpd.kernels.chain import read_output
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    BOLUS,
    INITIAL,
    START,
    event_time_derivative,
    moved_back,
    sorted_events,
)
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, NOT_FINITE, OK, STEP_TOO_SMALL, TOO_MANY_STEPS
from pkpd.kernels.tsitouras import C2, C3, C4, C5, combine, error_norm, interpolate


@kernel()
def _slope(order, n, slots, t, y, p, r, rates, jacobian, hessian, table, j, values, dy):
    """Right-hand side of the state and of its sensitivities; fills ``dy`` (and ``j``, ``values``)."""
    rates(t, y[0], p, dy[0])
    for i in range(n):
        dy[0, i] += r[i]
    if order < 1:
        return
    jacobian(t, y[0], p, j)
    for s in range(slots):
        for i in range(n):
            total = j[i, n + s]
            for k in range(n):
                total += j[i, k] * y[1 + s, k]
            dy[1 + s, i] = total
    if order < 2:
        return
    hessian(t, y[0], p, values)
    column = 1 + slots
    for s in range(slots):
        for q in range(s + 1):
            for i in range(n):
                total = 0.0
                for k in range(n):
                    total += j[i, k] * y[column, k]
                dy[column, i] = total
            for row in range(table.shape[0]):
                u, v = table[row, 1], table[row, 2]
                us = y[1 + s, u] if u < n else (1.0 if u - n == s else 0.0)
                vq = y[1 + q, v] if v < n else (1.0 if v - n == q else 0.0)
                term = us * vq
                if u != v:
                    uq = y[1 + q, u] if u < n else (1.0 if u - n == q else 0.0)
                    vs = y[1 + s, v] if v < n else (1.0 if v - n == s else 0.0)
                    term += uq * vs
                dy[column, table[row, 0]] += values[row] * term
            column += 1


@kernel()
def _shift(sign, order, n, slots, t, y, p, r, tau_p, rates, jacobian, hessian, table, j, values, dy):
    """Add ``sign`` times what a shift of the event time by its derivative brings: partial to total (+1) or back (-1)."""
    moves = False
    for s in range(slots):
        moves = moves or tau_p[s] != 0.0
    if not moves:
        return
    _slope(1, n, slots, t, y, p, r, rates, jacobian, hessian, table, j, values, dy)
    if order >= 2:
        # dy holds d/dt of the partial first derivatives; going back they must belong to the new partial ones
        if sign < 0.0:
            for s in range(slots):
                for i in range(n):
                    y[1 + s, i] -= dy[0, i] * tau_p[s]
            _slope(1, n, slots, t, y, p, r, rates, jacobian, hessian, table, j, values, dy)
        column = 1 + slots
        for s in range(slots):
            for q in range(s + 1):
                for i in range(n):
                    curve = j[i, n + slots]
                    for k in range(n):
                        curve += j[i, k] * dy[0, k]
                    y[column, i] += sign * (
                        dy[1 + s, i] * tau_p[q] + dy[1 + q, i] * tau_p[s] + curve * tau_p[s] * tau_p[q]
                    )
                column += 1
        if sign > 0.0:
            for s in range(slots):
                for i in range(n):
                    y[1 + s, i] += dy[0, i] * tau_p[s]
        return
    for s in range(slots):
        for i in range(n):
            y[1 + s, i] += sign * dy[0, i] * tau_p[s]


@kernel()
def _first_step(n, y, dy, rtol, atol, span):
    """A first step from the size of state and slope (Hairer, Nørsett & Wanner I, II.4, first half)."""
    d0, d1 = 0.0, 0.0
    for i in range(n):
        scale = atol + rtol * abs(y[0, i])
        d0 += (y[0, i] / scale) ** 2
        d1 += (dy[0, i] / scale) ** 2
    if d1 == 0.0:
        return span
    h = 0.01 * math.sqrt(d0 / d1) if d0 > 0.0 else 1e-6 * span
    return min(max(h, 1e-6 * span), span)


@kernel()
def _record(
    order, n, first, second, done, endpoint, t, p, y, xp, xpp, output, out, d_out, d2_out, f, f_p, f_pp
):
    """Write output row ``done`` from the columns of ``y``."""
    for s in range(first):
        for i in range(n):
            xp[i, s] = y[1 + s, i]
    column = 1 + first
    for s in range(second):
        for q in range(s + 1):
            for i in range(n):
                xpp[i, s, q] = y[column, i]
            column += 1
    read_output(order, n, done, endpoint, t, p, y[0], xp, xpp, output, out, d_out, d2_out, f, f_p, f_pp)


@kernel(SOLVER_SIGNATURE)
def solve_ode(
    order, n, p, rates, jacobian, hessian, output, structure, coefficients, event_slots, settings,
    dose_time, dose_cmt, dose_amt, dose_rate, dose_row, obs_time, obs_endpoint, obs_row,
    f, f_p, f_pp,
):  # fmt: skip
    """Outputs of one subject at its observation records; arguments as in :func:`pkpd.kernels.linear.solve_linear`.

    ``structure`` (S, 3) holds rows (i, a, b) of the second derivatives that ``hessian`` fills, over states and then slots.
    """
    slots = p.shape[0]
    rtol, atol, most = settings[0], settings[1], int(settings[2])
    switches, turn = settings[3:], 0
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    columns = 1 + first + second * (second + 1) // 2
    for i in range(slots):
        if not math.isfinite(p[i]):
            return NOT_FINITE
    if moved_back(p, event_slots, dose_cmt, dose_rate):
        return EVENT_TIME_NEGATIVE
    ev_time, ev_kind, ev_dose, ev_stretch = sorted_events(
        p, event_slots, dose_time, dose_cmt, dose_amt, dose_rate, dose_row
    )
    events, wanted = ev_time.shape[0], obs_time.shape[0]
    y, new, seen = np.zeros((columns, n)), np.zeros((columns, n)), np.zeros((columns, n))
    k = np.zeros((7, columns, n))
    r = np.zeros(n)
    j, values = np.zeros((n, n + slots + 1)), np.zeros(structure.shape[0])
    tau_p = np.zeros(slots)
    xp, xpp = np.zeros((n, first)), np.zeros((n, second, second))
    out, d_out, d2_out = np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots))
    for i in range(n):
        slot = event_slots[INITIAL, i]
        if slot >= 0:
            y[0, i] = p[slot]
            if order >= 1:
                y[1 + slot, i] = 1.0
    t = math.inf
    if wanted > 0:
        t = obs_time[0]
    for i in range(dose_time.shape[0]):
        t = min(t, dose_time[i])
    last = obs_time[wanted - 1] if wanted > 0 else t

    at, done, steps = 0, 0, 0
    h = 0.0
    fresh = True  # the slope at t must be computed anew
    while done < wanted:
        # events that are due now come before anything else, unless an observation of an earlier record has the same time
        if (
            at < events
            and ev_time[at] <= t
            and not (obs_time[done] <= t and obs_row[done] < dose_row[ev_dose[at]])
        ):
            dose = ev_dose[at]
            cmt = dose_cmt[dose]
            if order >= 1:
                event_time_derivative(at, ev_kind, ev_dose, ev_stretch, event_slots, dose_cmt, tau_p)
                _shift(
                    1.0,
                    order,
                    n,
                    slots,
                    t,
                    y,
                    p,
                    r,
                    tau_p,
                    rates,
                    jacobian,
                    hessian,
                    structure,
                    j,
                    values,
                    k[0],
                )
            if ev_kind[at] == BOLUS:
                slot = event_slots[BIOAVAILABILITY, cmt]
                y[0, cmt] += dose_amt[dose] * (p[slot] if slot >= 0 else 1.0)
                if order >= 1 and slot >= 0:
                    y[1 + slot, cmt] += dose_amt[dose]
            elif ev_kind[at] == START:
                r[cmt] += dose_rate[dose]
            else:
                r[cmt] -= dose_rate[dose]
            if order >= 1:
                _shift(
                    -1.0,
                    order,
                    n,
                    slots,
                    t,
                    y,
                    p,
                    r,
                    tau_p,
                    rates,
                    jacobian,
                    hessian,
                    structure,
                    j,
                    values,
                    k[0],
                )
            at += 1
            fresh = True
            continue
        if obs_time[done] <= t:
            _record(
                order,
                n,
                first,
                second,
                done,
                obs_endpoint[done],
                t,
                p,
                y,
                xp,
                xpp,
                output,
                out,
                d_out,
                d2_out,
                f,
                f_p,
                f_pp,
            )
            if not math.isfinite(f[done]):
                return NOT_FINITE
            done += 1
            continue
        stop = ev_time[at] if at < events and ev_time[at] < last else last
        while turn < switches.shape[0] and switches[turn] <= t:
            turn += 1
        if turn < switches.shape[0] and switches[turn] < stop:
            stop = switches[turn]
        # on the near side of a switch at either end
        begin, edge = np.nextafter(t, stop), np.nextafter(stop, t)
        if fresh:
            _slope(order, n, slots, begin, y, p, r, rates, jacobian, hessian, structure, j, values, k[0])
            h = _first_step(n, y, k[0], rtol, atol, stop - t)
            fresh = False
        steps += 1
        if steps > most:
            return TOO_MANY_STEPS
        ends = t + 1.0000001 * h >= stop
        step = stop - t if ends else h
        for stage in range(2, 8):
            combine(columns, n, y, step, k, stage, new)
            c = (
                C2
                if stage == 2
                else (C3 if stage == 3 else (C4 if stage == 4 else (C5 if stage == 5 else 1.0)))
            )
            _slope(
                order,
                n,
                slots,
                min(t + c * step, edge),
                new,
                p,
                r,
                rates,
                jacobian,
                hessian,
                structure,
                j,
                values,
                k[stage - 1],
            )
        error = error_norm(n, y, new, step, k, rtol, atol)
        if not math.isfinite(error):
            h = 0.1 * step
            if h < 1e-14 * max(abs(t), abs(last)):
                return NOT_FINITE
            continue
        factor = 0.9 * error**-0.2 if error > 1e-10 else 5.0
        if error > 1.0:
            h = step * max(0.2, factor)
            if h < 1e-14 * max(abs(t), abs(last)):
                return STEP_TOO_SMALL
            continue
        end = stop if ends else t + step
        while done < wanted and obs_time[done] < end:
            interpolate(columns, n, y, step, k, (obs_time[done] - t) / step, seen)
            _record(
                order, n, first, second, done, obs_endpoint[done], obs_time[done], p, seen, xp, xpp,
                output, out, d_out, d2_out, f, f_p, f_pp,
            )  # fmt: skip
            if not math.isfinite(f[done]):
                return NOT_FINITE
            done += 1
        t = end
        y[:, :] = new
        k[0] = k[6]
        fresh = turn < switches.shape[0] and t == switches[turn]
        # a step cut short by an event says nothing against the step size before it
        h = max(step * min(5.0, max(0.2, factor)), h if ends else 0.0)
    return OK
