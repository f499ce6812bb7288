"""Closed form of a linear system x' = K x + r between dosing events, with exact first and second derivatives.

K is constant, or constant between the times at which its inputs (covariates, occasions) change: there the state is turned from
one basis to the next (:mod:`pkpd.kernels.linear_frame`). Each event carries the *total* derivatives of
the state at the event's own time τ(p); moving on by h = t - τ(p) then brings the jump terms of a lag or of a modelled duration
by itself: dX/dp = ∂X/∂p + (K X + r)·∂h/∂p, and likewise to second order (all times are linear in the slots).
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import SOLVER_SIGNATURE, kernel
from pkpd.kernels.divided import differences
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
from pkpd.kernels.linear_frame import linear_frame
from pkpd.kernels.linear_output import chain_linear
from pkpd.kernels.linear_step import (
    advance_exponential,
    columns_of,
    differentiate,
    exponential_step,
    growth,
    shift,
    tables,
)
from pkpd.kernels.linear_values import ELSEWHERE, first_time, linear_values, observes, plain
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, INFUSION_NOT_POSITIVE, NOT_FINITE, OK


@kernel()
def _begin(with_initial, p, frame, at, event_slots, x, y, flow):
    """Set the amounts, the state and the infusions of the first record or of a reset."""
    n = y.shape[0]
    for i in range(n):
        x[i] = 0.0
        for c in range(y.shape[1]):
            y[i, c] = 0.0
        for c in range(flow.shape[1]):
            flow[i, c] = 0.0
    for c in range(n if with_initial else 0):
        slot = event_slots[INITIAL, c]
        if slot >= 0:
            x[c] += p[slot]
            for i in range(n):
                y[i, 0] += frame.inverse[i, c] * p[slot]
                if flow.shape[1] > 1:
                    y[i, 1 + at[slot]] += frame.inverse[i, c]


@kernel()
def _input(frame, flow, r):
    """Set the input ``r`` of the basis from the infusions into compartments; says whether there is any."""
    n, driven = flow.shape[0], False
    for i in range(n):
        for c in range(flow.shape[1]):
            driven = driven or frame.base[i, c] != 0.0 or flow[i, c] != 0.0
            r[i, c] = frame.base[i, c]
            for j in range(n):
                r[i, c] += frame.inverse[i, j] * flow[j, c]
    return driven


@kernel()
def _turn(matrix, z, y):
    """``y`` = matrix times ``z``, for all columns of a state."""
    n = matrix.shape[0]
    for i in range(n):
        for c in range(z.shape[1]):
            y[i, c] = 0.0
            for j in range(n):
                y[i, c] += matrix[i, j] * z[j, c]


@kernel()
def _set_inputs(p, slots, values, row):
    """Put time-varying inputs behind the slots."""
    for j in range(values.shape[1]):
        p[slots + j] = values[row, j]


@kernel()
def _add_steady(order, slots, frame, columns, x, y):
    """Add a steady state, given as columns over all slots and their pairs, to the state."""
    inverse, active = frame.inverse, frame.active
    n, count = inverse.shape[0], active.shape[0]
    for j in range(n):
        x[j] += columns[0, j]
        for i in range(n):
            pair = 1 + count
            y[i, 0] += inverse[i, j] * columns[0, j]
            for s in range(count):
                y[i, 1 + s] += inverse[i, j] * columns[1 + active[s], j]
                for q in range(s + 1 if order >= 2 else 0):
                    high, low = max(active[s], active[q]), min(active[s], active[q])
                    y[i, pair] += inverse[i, j] * columns[1 + slots + high * (high + 1) // 2 + low, j]
                    pair += 1


@kernel()
def _weights(p, frame, output, affine):
    """Coefficients (K, 1 + 2n) of the outputs that are affine in the amounts: constant, per amount, per element of the basis."""
    n = frame.k.shape[0]
    weights = np.zeros((affine.shape[0], 1 + 2 * n))
    nothing, g, dg, d2g = np.zeros(n), np.zeros(1), np.zeros(n + p.shape[0]), np.zeros((0, 0))
    for endpoint in range(affine.shape[0]):
        if affine[endpoint] != 0:
            output(1, endpoint, 0.0, nothing, p, g, dg, d2g)
            weights[endpoint, 0] = g[0]
            for a in range(n):
                weights[endpoint, 1 + a] = dg[a]
                for i in range(n):
                    weights[endpoint, 1 + n + i] += dg[a] * frame.vectors[a, i]
    return weights


@kernel(SOLVER_SIGNATURE)
def solve_linear(order, i, p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp):
    """Outputs of one subject at its observation records.

    Parameters
    ----------
    order : int
        0: ``f`` only, 1: and ``f_p``, 2: and ``f_pp``.
    i : int
        The subject.
    p : (P+W,) array
        Parameter slots, then room for the time-varying inputs.
    rates, jacobian, hessian, output : compiled functions
        The model; without time-varying inputs a linear system needs ``output`` only.
    steady : compiled function
        What finds steady states.
    system : System
    subjects : Subjects
    f (O,), f_p (O, P), f_pp (O, P, P)
        Filled.

    Returns
    -------
    int
        A status of :mod:`pkpd.kernels.status`.
    """
    n, slots, event_slots, affine = system.n, system.slots, system.event_slots, system.affine
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
    for s in range(slots):
        if not math.isfinite(p[s]):
            return NOT_FINITE
    if moved_back(p, event_slots, dose_place, dose_rate):
        return EVENT_TIME_NEGATIVE
    if modelled_badly(p, event_slots, dose_place, dose_amt, dose_rate):
        return INFUSION_NOT_POSITIVE
    varying = subjects.change_value.shape[1] > 0
    if order == 0 and not varying and plain(affine, dose_kind):
        status = linear_values(
            p, output, system,
            dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval,
            obs_time, obs_endpoint, obs_row, f,
        )  # fmt: skip
        if status != ELSEWHERE:
            return status
    ev_time, ev_kind, ev_dose, ev_lagged, ev_slot, ev_factor = sorted_events(
        p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval
    )
    events, wanted = ev_time.shape[0], obs_time.shape[0]

    piece, last_piece = subjects.change_offsets[i], subjects.change_offsets[i + 1] - 1
    if varying:
        _set_inputs(p, slots, subjects.change_value, piece)
    frame = linear_frame(order, p, rates, jacobian, hessian, system)
    usable, values, vectors, inverse = frame.usable, frame.values, frame.vectors, frame.inverse
    active, m, m2, base2 = frame.active, frame.m, frame.m2, frame.base2
    count, columns = active.shape[0], columns_of(order, active.shape[0])
    at = np.full(slots if order >= 1 else 0, -1)  # places of the slots among the active ones
    for s in range(count):
        at[active[s]] = s
    # the amounts at the last event, then the state in the basis: there, and at the end of a step
    x, y, z = np.zeros(n), np.zeros((n, columns)), np.zeros((n, columns))
    seen, r, flow = np.zeros(n), np.zeros((n, 1 + count)), np.zeros((n, 1 + count))
    e, w = np.zeros((2, n)), tables(order, n, count)
    whole, whole_p, whole_pp = np.zeros((0, 0)), np.zeros((0, 0, 0)), np.zeros((0, 0, 0, 0))
    tau_p, next_p, hp = np.zeros(count), np.zeros(slots if order >= 1 else 0), np.zeros(count)
    one, two = (n + slots if order >= 1 else 0), (n + slots if order >= 2 else 0)
    g, dg, d2g, scratch = np.zeros(1), np.zeros(one), np.zeros((two, two)), np.zeros((2, count + n))
    weights = _weights(p, frame, output, affine)
    _begin(True, p, frame, at, event_slots, x, y, flow)
    tau = first_time(dose_time, obs_time)

    due, done, cancelled_before = 0, 0, -1
    moved = False  # whether the time of the last event depends on a slot
    changed, driven = True, False  # whether the input is to be looked at, and whether there is any
    last = -1.0  # the interval that the tables are of
    while done < wanted:
        if due < events and dose_row[ev_dose[due]] < cancelled_before:
            due += 1
            continue
        observe = observes(due, done, ev_time, ev_dose, dose_row, obs_time, obs_row)
        if changed:
            driven, changed, last = _input(frame, flow, r), False, -1.0
        target = obs_time[done] if observe else ev_time[due]
        # inputs change before what happens at the same time
        turns = piece < last_piece and subjects.change_time[piece + 1] <= target
        if turns:
            target, observe = max(subjects.change_time[piece + 1], tau), False
        h = target - tau
        if usable:
            for a in range(n):
                if h != last:
                    growth(a, h, driven, values, e)
                z[a, 0] = e[0, a] * y[a, 0]
                if driven:
                    z[a, 0] += e[1, a] * r[a, 0]
            if order >= 1:
                if h != last:
                    differences(order, h, values, driven, e, w)
                differentiate(order, driven, m, m2, base2, y, r, e, w, z)
        else:
            if h != last:
                whole, whole_p, whole_pp = exponential_step(order, h, driven, frame.k, m, m2, base2, r)
            advance_exponential(order, driven, whole, whole_p, whole_pp, y, count, z)
        last = h
        timed = order >= 1 and not observe and not turns and (ev_lagged[due] != 0 or ev_slot[due] >= 0)
        if timed:
            event_time_derivative(
                due, ev_dose, ev_lagged, ev_slot, ev_factor, event_slots, dose_place, next_p
            )
        if moved or timed:
            shifted = False
            for s in range(count):
                hp[s] = (next_p[active[s]] if timed else 0.0) - tau_p[s]
                shifted = shifted or hp[s] != 0.0
            if shifted:
                shift(order, usable, values, frame.k, m, r, hp, z)
        if observe:
            endpoint = obs_endpoint[done]
            # right after an event not through the basis and back: an empty compartment stays exactly empty
            if affine[endpoint] != 0:
                total = weights[endpoint, 0]
                for a in range(n):
                    total += (
                        weights[endpoint, 1 + a] * x[a]
                        if h == 0.0
                        else weights[endpoint, 1 + n + a] * z[a, 0]
                    )
                f[done] = total
            if order >= 1 or affine[endpoint] == 0:
                for a in range(n):
                    seen[a] = x[a] if h == 0.0 else 0.0
                    if h != 0.0:
                        for b in range(n):
                            seen[a] += vectors[a, b] * z[b, 0]
                if varying:
                    _set_inputs(p, slots, subjects.obs_inputs, o0 + done)
                output(order, endpoint, target, seen, p, g, dg, d2g)
                if affine[endpoint] == 0:
                    f[done] = g[0]
                if order >= 1:
                    chain_linear(order, done, n, vectors, active, z, dg, d2g, scratch, f_p, f_pp)
            if not math.isfinite(f[done]):
                return NOT_FINITE
            done += 1
            continue
        y, z = z, y
        if h != 0.0:
            for a in range(n):
                x[a] = 0.0
                for b in range(n):
                    x[a] += vectors[a, b] * y[b, 0]
        tau, moved = target, False
        if order >= 1:
            for s in range(count):
                tau_p[s] = next_p[active[s]] if timed else 0.0
                moved = moved or tau_p[s] != 0.0
        if turns:
            piece += 1
            changed = True
            _turn(vectors, y, z)
            _set_inputs(p, slots, subjects.change_value, piece)
            frame = linear_frame(order, p, rates, jacobian, hessian, system)
            usable, values, vectors, inverse = frame.usable, frame.values, frame.vectors, frame.inverse
            m, m2, base2 = frame.m, frame.m2, frame.base2
            weights = _weights(p, frame, output, affine)
            _turn(inverse, z, y)
            continue
        dose, kind = ev_dose[due], ev_kind[due]
        cmt, place, amount, rate = dose_cmt[dose], dose_place[dose], dose_amt[dose], dose_rate[dose]
        due += 1
        if kind == BOLUS:
            slot = event_slots[BIOAVAILABILITY, place]
            given = amount * (p[slot] if slot >= 0 else 1.0)
            x[cmt] += given
            for a in range(n):
                y[a, 0] += inverse[a, cmt] * given
                if order >= 1 and slot >= 0:
                    y[a, 1 + at[slot]] += inverse[a, cmt] * amount
        elif kind in (START, STOP):
            sign = 1.0 if kind == START else -1.0
            speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
            changed = True
            flow[cmt, 0] += sign * speed
            if order >= 1 and slot >= 0:
                flow[cmt, 1 + at[slot]] += sign * factor
        elif kind == RESET:
            cancelled_before = dose_row[dose]
            changed = True
            _begin(True, p, frame, at, event_slots, x, y, flow)
        elif kind == STEADY:
            first, second = (slots if order >= 1 else 0), (slots * (slots + 1) // 2 if order >= 2 else 0)
            settled = np.empty((1 + first + second, n))
            if varying:  # those of its own record, whatever piece begins there
                _set_inputs(p, slots, subjects.dose_inputs, d0 + dose)
            status = steady(
                order, target, p, dose_kind[dose], cmt, place, amount, rate, dose_interval[dose],
                rates, jacobian, hessian, output, system, settled,
            )  # fmt: skip
            if status != OK:
                return status
            changed = True
            if dose_kind[dose] == STEADY_RESET:
                cancelled_before = dose_row[dose]
                _begin(False, p, frame, at, event_slots, x, y, flow)
            _add_steady(order, slots, frame, settled, x, y)
            if rate != 0.0 and dose_interval[dose] > 0.0:
                running = running_infusions(p, event_slots, place, amount, rate, dose_interval[dose])
                speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                flow[cmt, 0] += running * speed
                if order >= 1 and slot >= 0:
                    flow[cmt, 1 + at[slot]] += running * factor
    return OK
