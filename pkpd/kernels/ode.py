"""Solution of x' = rates(t, x, p) across dosing events, with variational equations for the derivatives.

At an event whose time τ depends on the parameters the sensitivities are turned into total derivatives at τ, the event is
applied, and they are turned back with the rates after it: S⁺ = S⁻ + (f⁻ - f⁺)·∂τ/∂p, and the terms of second order.
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
    event_time_derivative,
    infusion_rate,
    modelled_badly,
    moved_back,
    running_infusions,
    sorted_events,
)
from pkpd.kernels.ode_step import integrate, record, slope
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, INFUSION_NOT_POSITIVE, NOT_FINITE, OK


@kernel()
def shift(sign, order, n, slots, t, y, p, r, rp, tau_p, rates, jacobian, hessian, table):
    """Turn partial derivatives into total ones at an event time with derivative ``tau_p`` (sign +1), or back (-1)."""
    moves = False
    for s in range(slots):
        moves = moves or tau_p[s] != 0.0
    if not moves:
        return
    j, values, dy = np.zeros((n, n + slots + 1)), np.zeros(table.shape[0]), np.zeros((1 + slots, n))
    slope(1, n, slots, True, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
    if sign < 0.0:
        # dy must belong to the partial derivatives that this makes
        for s in range(slots):
            for i in range(n):
                y[1 + s, i] -= dy[0, i] * tau_p[s]
        if order >= 2:
            slope(1, n, slots, True, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy)
    if order >= 2:
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


@kernel()
def _initial(order, p, event_slots, y):
    """The state at the first record and after a reset."""
    y[:, :] = 0.0
    for i in range(y.shape[1]):
        slot = event_slots[INITIAL, i]
        if slot >= 0:
            y[0, i] = p[slot]
            if order >= 1:
                y[1 + slot, i] = 1.0


@kernel(SOLVER_SIGNATURE)
def solve_ode(order, i, p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp):
    """Outputs of one subject at its observation records; arguments as in :func:`pkpd.kernels.linear.solve_linear`.

    Steps stop at events and at the times at which the rates switch.
    """
    n, structure, settings, event_slots = system.n, system.table, system.settings, system.event_slots
    d0, d1 = subjects.dose_offsets[i], subjects.dose_offsets[i + 1]
    dose_time, dose_cmt, dose_place = (
        subjects.dose_time[d0:d1],
        subjects.dose_cmt[d0:d1],
        subjects.dose_place[d0:d1],
    )
    dose_amt, dose_rate, dose_row = (
        subjects.dose_amt[d0:d1],
        subjects.dose_rate[d0:d1],
        subjects.dose_row[d0:d1],
    )
    dose_kind, dose_interval = subjects.dose_kind[d0:d1], subjects.dose_interval[d0:d1]
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    obs_time, obs_endpoint, obs_row = (
        subjects.obs_time[o0:o1],
        subjects.obs_endpoint[o0:o1],
        subjects.obs_row[o0:o1],
    )
    slots = system.slots
    switches, turn, steps = settings[3:], 0, 0
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    columns = 1 + first + second * (second + 1) // 2
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
    events, wanted = ev_time.shape[0], obs_time.shape[0]
    y, settled = np.zeros((columns, n)), np.zeros((columns, n))
    r, rp = np.zeros(n), np.zeros((slots, n))
    tau_p = np.zeros(slots)
    out, d_out, d2_out = np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots))
    _initial(order, p, event_slots, y)
    t = math.inf
    if wanted > 0:
        t = obs_time[0]
    for i in range(dose_time.shape[0]):
        t = min(t, dose_time[i])
    last = obs_time[wanted - 1] if wanted > 0 else t

    at, done, cancelled_before = 0, 0, -1
    while done < wanted:
        if at < events and dose_row[ev_dose[at]] < cancelled_before:
            at += 1
            continue
        # events that are due now come before anything else, unless an observation of an earlier record has the same time
        if (
            at < events
            and ev_time[at] <= t
            and not (obs_time[done] <= t and obs_row[done] < dose_row[ev_dose[at]])
        ):
            dose, kind = ev_dose[at], ev_kind[at]
            cmt, place, amount, rate = dose_cmt[dose], dose_place[dose], dose_amt[dose], dose_rate[dose]
            if order >= 1:
                event_time_derivative(
                    at, ev_dose, ev_lagged, ev_slot, ev_factor, event_slots, dose_place, tau_p
                )
                shift(1.0, order, n, slots, t, y, p, r, rp, tau_p, rates, jacobian, hessian, structure)
            if kind == BOLUS:
                slot = event_slots[BIOAVAILABILITY, place]
                y[0, cmt] += amount * (p[slot] if slot >= 0 else 1.0)
                if order >= 1 and slot >= 0:
                    y[1 + slot, cmt] += amount
            elif kind in (START, STOP):
                sign = 1.0 if kind == START else -1.0
                speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                r[cmt] += sign * speed
                if slot >= 0:
                    rp[slot, cmt] += sign * factor
            elif kind == RESET:
                cancelled_before = dose_row[dose]
                _initial(order, p, event_slots, y)
                r[:] = 0.0
                rp[:, :] = 0.0
            elif kind == STEADY:
                status = steady(
                    order, t, p, dose_kind[dose], cmt, place, amount, rate, dose_interval[dose],
                    rates, jacobian, hessian, output, system, settled,
                )  # fmt: skip
                if status != OK:
                    return status
                if dose_kind[dose] == STEADY_RESET:
                    cancelled_before = dose_row[dose]
                    y[:, :] = 0.0
                    r[:] = 0.0
                    rp[:, :] = 0.0
                for c in range(columns):
                    for i in range(n):
                        y[c, i] += settled[c, i]
                if rate != 0.0 and dose_interval[dose] > 0.0:
                    running = running_infusions(p, event_slots, place, amount, rate, dose_interval[dose])
                    speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                    r[cmt] += running * speed
                    if slot >= 0:
                        rp[slot, cmt] += running * factor
            if order >= 1:
                shift(-1.0, order, n, slots, t, y, p, r, rp, tau_p, rates, jacobian, hessian, structure)
            at += 1
            continue
        if obs_time[done] <= t:
            if not record(
                order, n, slots, done, obs_endpoint[done], t, p, y, output, out, d_out, d2_out, f, f_p, f_pp
            ):
                return NOT_FINITE
            done += 1
            continue
        stop = ev_time[at] if at < events and ev_time[at] < last else last
        while turn < switches.shape[0] and switches[turn] <= t:
            turn += 1
        if turn < switches.shape[0] and switches[turn] < stop:
            stop = switches[turn]
        status, done, steps = integrate(
            order, n, slots, True, t, stop, p, r, rp, rates, jacobian, hessian, output, structure, settings,
            obs_time, obs_endpoint, done, wanted, steps, y, out, d_out, d2_out, f, f_p, f_pp,
        )  # fmt: skip
        if status != OK:
            return status
        t = stop
    return OK
