"""Solution of x' = rates(t, x, p) across dosing events, with variational equations for the derivatives.

At an event whose time τ depends on the parameters the sensitivities are turned into total derivatives at τ, the event is
applied, and they are turned back with the rates after it: S⁺ = S⁻ + (f⁻ - f⁺)·∂τ/∂p, and the terms of second order.
Between events (:mod:`pkpd.kernels.ode_advance`) steps stop where the rates switch in time and where the time-varying inputs
change; there the state is continuous. A switch whose time is a slot is an event that changes nothing but the rates.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import SOLVER_SIGNATURE, kernel
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    BOLUS,
    INITIAL,
    RESET,
    START,
    STEADY,
    STEADY_RESET,
    STOP,
    TURN_OFF,
    TURN_ON,
    event_time_derivative,
    infusion_rate,
    modelled_badly,
    moved_back,
    running_infusions,
    sorted_events,
)
from pkpd.kernels.ode_advance import advance
from pkpd.kernels.ode_step import CHANGE, RETRIED, SWITCH, make_work
from pkpd.kernels.radau import make_stages
from pkpd.kernels.samples import Samples, record
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, INFUSION_NOT_POSITIVE, NOT_FINITE, OK
from pkpd.kernels.variation import (
    first_variation,
    held_size,
    jacobian_at,
    make_flow,
    rate_of_change,
    set_inputs,
    state_size,
)

# a status where it is asked for (settings[3] of 2): solved, by the implicit method after the explicit one had failed
SOLVED_AT_LAST = -1


@kernel(allocates=False)
def _shift(sign, order, n, slots, piece, t, tau_p, p, flow, rates, jacobian, work):
    """Turn partial derivatives into total ones at an event time with derivative ``tau_p`` (sign +1), or back (-1)."""
    y, j, k = work.y, work.j, work.slope
    zero, forced = np.int64(0), np.bool_(True)  # literals would have all compiled anew
    rate_of_change(zero, n, slots, piece, t, y, p, flow, rates, k)
    jacobian_at(n, t, y, p, flow, jacobian, j)
    first_variation(zero, n, slots, forced, y, flow, j, k)
    if sign < 0.0:
        # row 0 must belong to the partial derivatives that this makes
        for i in range(n):
            for s in range(slots):
                y[n + i * slots + s] -= k[0, i] * tau_p[s]
        if order >= 2:
            first_variation(zero, n, slots, forced, y, flow, j, k)
    if order >= 2:
        at = n + n * slots
        for i in range(n):
            curve = j[i, n + slots]
            for m in range(n):
                curve += j[i, m] * k[0, m]
            if piece >= 0 and flow.off[i] == 0:
                for w in range(flow.slope.shape[1]):
                    curve += j[i, n + slots + 1 + w] * flow.slope[piece, w]
            row = n + i * slots
            for s in range(slots):
                for q in range(s + 1):
                    y[at] += sign * (
                        k[0, row + s] * tau_p[q] + k[0, row + q] * tau_p[s] + curve * tau_p[s] * tau_p[q]
                    )
                    at += 1
    if sign > 0.0:
        for i in range(n):
            for s in range(slots):
                y[n + i * slots + s] += k[0, i] * tau_p[s]


@kernel(allocates=False)
def _initial(order, n, slots, p, event_slots, y):
    """The state at the first record and after a reset."""
    y[:] = 0.0
    for i in range(n):
        slot = event_slots[INITIAL, i]
        if slot >= 0:
            y[i] = p[slot]
            if order >= 1:
                y[n + i * slots + slot] = 1.0


@kernel(allocates=False)
def _add_rate(sign, slots, cmt, speed, slot, factor, flow):
    """Let an infusion start (sign 1) or stop (-1)."""
    flow.r[cmt] += sign * speed
    if slot >= 0:
        flow.rp[cmt * slots + slot] += sign * factor


@kernel(allocates=False)
def _no_rates(flow):
    flow.r[:] = 0.0
    flow.rp[:] = 0.0


@kernel(allocates=False)
def _mark(n, flow):
    """Say whether anything runs or is off."""
    flow.busy[0] = 0
    for i in range(n):
        if flow.off[i] or flow.r[i] != 0.0:
            flow.busy[0] = 1


@kernel(allocates=False)
def _turn_off(order, n, slots, cmt, flow, y):
    """Empty a compartment, stop what runs into it, and keep it so."""
    flow.off[cmt] = 1
    flow.r[cmt] = 0.0
    y[cmt] = 0.0
    for s in range(slots):
        flow.rp[cmt * slots + s] = 0.0
        if order >= 1:
            y[n + cmt * slots + s] = 0.0
    if order >= 2:
        pairs = slots * (slots + 1) // 2
        for c in range(pairs):
            y[n + n * slots + cmt * pairs + c] = 0.0


@kernel()
def _switch_times(coded, p):
    """Times at which the rates switch, in order, and the slot that each of them is (-1: a number)."""
    count = coded.shape[0]
    time, slot = coded.copy(), np.full(count, -1)
    for c in range(count):
        if coded[c] < 0.0:
            slot[c] = int(-coded[c]) - 1
            time[c] = p[slot[c]]
        t, s, at = time[c], slot[c], c
        while at > 0 and time[at - 1] > t:
            time[at], slot[at] = time[at - 1], slot[at - 1]
            at -= 1
        time[at], slot[at] = t, s
    return time, slot


@kernel(allocates=False)
def _add_steady(order, n, slots, settled, y):
    """Add a steady state with its derivatives: a row per derivative there, a block per state here."""
    for i in range(n):
        y[i] += settled[0, i]
        if order >= 1:
            for s in range(slots):
                y[n + i * slots + s] += settled[1 + s, i]
    if order >= 2:
        pairs = slots * (slots + 1) // 2
        for i in range(n):
            for c in range(pairs):
                y[n + n * slots + i * pairs + c] += settled[1 + slots + c, i]


@kernel(SOLVER_SIGNATURE)
def solve_ode(order, i, p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp):
    """Outputs of one subject at its observation records; arguments as in :func:`pkpd.kernels.linear.solve_linear`."""
    n, slots, settings, event_slots = system.n, system.slots, system.settings, system.event_slots
    d0, d1 = subjects.dose_offsets[i], subjects.dose_offsets[i + 1]
    dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval = (
        subjects.dose_time[d0:d1], subjects.dose_cmt[d0:d1], subjects.dose_place[d0:d1], subjects.dose_amt[d0:d1],
        subjects.dose_rate[d0:d1], subjects.dose_row[d0:d1], subjects.dose_kind[d0:d1], subjects.dose_interval[d0:d1],
    )  # fmt: skip
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    obs_time, obs_row = subjects.obs_time[o0:o1], subjects.obs_row[o0:o1]
    c0, c1 = subjects.change_offsets[i], subjects.change_offsets[i + 1]
    change_time = subjects.change_time[c0:c1]
    inputs, pieces = subjects.change_value.shape[1], c1 - c0
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    for s in range(slots):
        if not math.isfinite(p[s]):
            return NOT_FINITE
    if moved_back(p, event_slots, dose_place, dose_rate):
        return EVENT_TIME_NEGATIVE
    if modelled_badly(p, event_slots, dose_place, dose_amt, dose_rate):
        return INFUSION_NOT_POSITIVE
    ev_time, ev_kind, ev_dose, ev_lagged, ev_slot, ev_factor = sorted_events(
        p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval
    )
    switch_time, switch_slot = _switch_times(settings[4:], p)
    events, wanted, switches, turn = ev_time.shape[0], obs_time.shape[0], switch_time.shape[0], 0
    size = state_size(order, n, slots)
    width = held_size(order, n, slots, system.held)
    work = make_work(size, width, n, n + slots + 1 + inputs)
    stages = make_stages(order, n, slots, width)
    flow = make_flow(n, slots, change_time, subjects.change_value[c0:c1], subjects.change_slope[c0:c1])
    samples = Samples(
        obs_time, subjects.obs_endpoint[o0:o1], subjects.obs_inputs[o0:o1], f, f_p, f_pp, p.copy(),
        np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots)),
    )  # fmt: skip
    y = work.y
    settled, tau_p = np.zeros((1 + first + second * (second + 1) // 2, n)), np.zeros(slots)
    # infusions of each dose that run now: one that its compartment's turning off has stopped does not stop again
    running = np.zeros(dose_time.shape[0], np.int64)
    _initial(order, n, slots, p, event_slots, y)
    t = math.inf
    if wanted > 0:
        t = obs_time[0]
    for dose in range(dose_time.shape[0]):
        t = min(t, dose_time[dose])
    last = obs_time[wanted - 1] if wanted > 0 else t
    first_time = t

    piece, moving, begun = -1, -1, SWITCH
    if pieces > 0:
        piece = 0
        moving = 0
    at, done, cancelled_before = 0, 0, -1
    while done < wanted:
        if at < events and dose_row[ev_dose[at]] < cancelled_before:
            at += 1
            continue
        # the inputs that hold from now on
        while piece + 1 < pieces and change_time[piece + 1] <= t:
            piece += 1
            begun = CHANGE
        if pieces > 0:
            set_inputs(slots, piece, t, p, flow)
            moving = -1
            for w in range(inputs):
                if flow.slope[piece, w] != 0.0:
                    moving = piece
        # events that are due now come before anything else, unless an observation of an earlier record has the same time
        if (
            at < events
            and ev_time[at] <= t
            and not (obs_time[done] <= t and obs_row[done] < dose_row[ev_dose[at]])
        ):
            dose, kind = ev_dose[at], ev_kind[at]
            cmt, place, amount, rate = dose_cmt[dose], dose_place[dose], dose_amt[dose], dose_rate[dose]
            moves = False
            if order >= 1:
                event_time_derivative(
                    at, ev_dose, ev_lagged, ev_slot, ev_factor, event_slots, dose_place, tau_p
                )
                for s in range(slots):
                    moves = moves or tau_p[s] != 0.0
            at += 1
            begun = kind
            if kind == STOP and running[dose] == 0:
                continue
            if moves:
                _shift(1.0, order, n, slots, moving, t, tau_p, p, flow, rates, jacobian, work)
            if kind == BOLUS:
                flow.off[cmt] = 0
                slot = event_slots[BIOAVAILABILITY, place]
                y[cmt] += amount * (p[slot] if slot >= 0 else 1.0)
                if order >= 1 and slot >= 0:
                    y[n + cmt * slots + slot] += amount
            elif kind in (START, STOP):
                speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                running[dose] += 1 if kind == START else -1
                if kind == START:
                    flow.off[cmt] = 0
                _add_rate(1.0 if kind == START else -1.0, slots, cmt, speed, slot, factor, flow)
            elif kind == RESET:
                cancelled_before = dose_row[dose]
                _initial(order, n, slots, p, event_slots, y)
                _no_rates(flow)
                flow.off[:] = 0
            elif kind == STEADY:
                flow.off[cmt] = 0
                for w in range(inputs):
                    p[slots + w] = subjects.dose_inputs[d0 + dose, w]
                status = steady(
                    order, t, p, dose_kind[dose], cmt, place, amount, rate, dose_interval[dose],
                    rates, jacobian, hessian, output, system, settled,
                )  # fmt: skip
                if status != OK:
                    return status
                if dose_kind[dose] == STEADY_RESET:
                    cancelled_before = dose_row[dose]
                    y[:] = 0.0
                    _no_rates(flow)
                _add_steady(order, n, slots, settled, y)
                if rate != 0.0 and dose_interval[dose] > 0.0:
                    running[dose] = running_infusions(
                        p, event_slots, place, amount, rate, dose_interval[dose]
                    )
                    speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                    _add_rate(float(running[dose]), slots, cmt, speed, slot, factor, flow)
            elif kind == TURN_OFF:
                for other in range(dose_time.shape[0]):
                    if dose_cmt[other] == cmt:
                        running[other] = 0
                _turn_off(order, n, slots, cmt, flow, y)
            elif kind == TURN_ON:
                flow.off[cmt] = 0
            _mark(n, flow)
            if moves:
                _shift(-1.0, order, n, slots, moving, t, tau_p, p, flow, rates, jacobian, work)
            continue
        if obs_time[done] <= t:
            if not record(order, n, slots, done, t, y, output, samples):
                return NOT_FINITE
            done += 1
            continue
        stop = ev_time[at] if at < events and ev_time[at] < last else last
        while turn < switches and switch_time[turn] <= t:
            if order >= 1 and switch_slot[turn] >= 0 and switch_time[turn] > first_time:
                tau_p[:] = 0.0
                tau_p[switch_slot[turn]] = 1.0
                before, after = np.nextafter(t, -math.inf), np.nextafter(t, math.inf)
                for sign, side in ((1.0, before), (-1.0, after)):
                    _shift(
                        sign, order, n, slots, moving, side, tau_p, p, flow, rates, jacobian, work,
                    )  # fmt: skip
            turn += 1
            begun = SWITCH
        if turn < switches and switch_time[turn] < stop:
            stop = switch_time[turn]
        if piece + 1 < pieces and change_time[piece + 1] < stop:
            stop = change_time[piece + 1]
        status, done = advance(
            order, np.bool_(True), slots, begun, moving, t, stop, p, rates, jacobian, hessian, output, system, flow, samples,
            done, wanted, work, stages,
        )  # fmt: skip
        if status != OK:
            return status
        t = stop
    return SOLVED_AT_LAST if settings[3] == 2.0 and work.pace[RETRIED] > 0.0 else OK
