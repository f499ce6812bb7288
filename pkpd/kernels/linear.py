"""Closed form of a linear system x' = K x + r between dosing events, with exact first and second derivatives.

K is linear in the parameter slots (``structure`` and ``coefficients`` say how). Each event carries the *total* derivatives of
the state at the event's own time τ(p); moving on by h = t - τ(p) then brings the jump terms of a lag or of a modelled duration
by itself: dX/dp = ∂X/∂p + (K X + r)·∂h/∂p, and likewise to second order (all times are linear in the slots).
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
from pkpd.kernels.linear_step import (
    advance_eigen,
    advance_exponential,
    eigenbasis,
    in_eigenbasis,
    linear_system,
    rotate,
    set_input,
    set_state,
)
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, INFUSION_NOT_POSITIVE, NOT_FINITE, OK


@kernel()
def _initial(order, p, event_slots, x, xp, xpp):
    """The state at the first record and after a reset."""
    x[:] = 0.0
    xp[:, :] = 0.0
    xpp[:, :, :] = 0.0
    for i in range(x.shape[0]):
        slot = event_slots[INITIAL, i]
        if slot >= 0:
            x[i] = p[slot]
            if order >= 1:
                xp[i, slot] = 1.0


@kernel(SOLVER_SIGNATURE)
def solve_linear(order, i, p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp):
    """Outputs of one subject at its observation records.

    Parameters
    ----------
    order : int
        0: ``f`` only, 1: and ``f_p``, 2: and ``f_pp``.
    i : int
        The subject.
    p : (P,) array
        Parameter slots.
    rates, jacobian, hessian, output : compiled functions
        The model; a linear system needs ``output`` only.
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
    n, structure, coefficients, event_slots = system.n, system.table, system.coefficients, system.event_slots
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
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    k, kp, base, base_p, moves = linear_system(order, n, p, structure, coefficients)
    for s in range(slots):
        if not math.isfinite(p[s]):
            return NOT_FINITE

    usable, lam, vec, inv = eigenbasis(k)
    m = in_eigenbasis(usable, vec, inv, kp, moves)
    if moved_back(p, event_slots, dose_place, dose_rate):
        return EVENT_TIME_NEGATIVE
    if modelled_badly(p, event_slots, dose_place, dose_amt, dose_rate):
        return INFUSION_NOT_POSITIVE
    ev_time, ev_kind, ev_dose, ev_lagged, ev_slot, ev_factor = sorted_events(
        p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval
    )
    events, wanted = ev_time.shape[0], obs_time.shape[0]

    x, xp, xpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    x2, xp2, xpp2 = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    y, yp, ypp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    z, zp, zpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    r, rp = np.zeros(n), np.zeros((first, n))
    set_input(base, base_p, r, rp)
    rho, rhop = np.zeros(n), np.zeros((first, n))
    e, phi, gz, gzp = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, first))
    d, g = np.zeros((n, n)), np.zeros((n, n))
    cube = n if order >= 2 else 0
    t3, u3 = np.zeros((cube, cube, cube)), np.zeros((cube, cube, cube))
    b = np.zeros((second, n, n))
    tau_p, next_p, hp = np.zeros(first), np.zeros(slots), np.zeros(first)
    out, d_out, d2_out = np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots))
    columns = np.zeros((1 + first + second * (second + 1) // 2, n))  # a steady state with its derivatives

    _initial(order, p, event_slots, x, xp, xpp)
    tau = math.inf
    if wanted > 0:
        tau = obs_time[0]
    for i in range(dose_time.shape[0]):
        tau = min(tau, dose_time[i])

    at, done, cancelled_before = 0, 0, -1
    fresh = True  # the state at tau has not been turned into the eigenbasis yet
    driven = False
    while done < wanted:
        if at < events and dose_row[ev_dose[at]] < cancelled_before:
            at += 1
            continue
        observe = at >= events or obs_time[done] < ev_time[at]
        if not observe and obs_time[done] == ev_time[at]:
            observe = obs_row[done] < dose_row[ev_dose[at]]
        if fresh:
            driven = False
            for i in range(n):
                driven = driven or r[i] != 0.0
                for s in range(first):
                    driven = driven or rp[s, i] != 0.0
            if usable:
                rotate(order, inv, x, xp, xpp, y, yp, ypp)
                for i in range(n):
                    rho[i] = 0.0
                    for j in range(n):
                        rho[i] += inv[i, j] * r[j]
                    for s in range(first):
                        rhop[s, i] = 0.0
                        for j in range(n):
                            rhop[s, i] += inv[i, j] * rp[s, j]
            fresh = False
        target = obs_time[done] if observe else ev_time[at]
        if order >= 1:
            if observe:
                next_p[:] = 0.0
            else:
                event_time_derivative(
                    at, ev_dose, ev_lagged, ev_slot, ev_factor, event_slots, dose_place, next_p
                )
            for s in range(first):
                hp[s] = next_p[s] - tau_p[s]
        if usable:
            advance_eigen(
                order, target - tau, hp, lam, vec, m, moves, y, yp, ypp, rho, rhop, driven,
                e, d, g, t3, u3, phi, z, zp, zpp, gz, gzp, b, x2, xp2, xpp2,
            )  # fmt: skip
        else:
            advance_exponential(order, target - tau, hp, k, kp, moves, x, xp, xpp, r, rp, x2, xp2, xpp2)
        if observe:
            if target == tau:
                x2[:] = x  # not through the eigenbasis and back: an empty compartment stays exactly empty
            read_output(
                order,
                n,
                done,
                obs_endpoint[done],
                target,
                p,
                x2,
                xp2,
                xpp2,
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
        set_state(x2, xp2, xpp2, x, xp, xpp)
        tau = target
        for s in range(first):
            tau_p[s] = next_p[s]
        fresh = True
        dose, kind = ev_dose[at], ev_kind[at]
        cmt, place, amount, rate = dose_cmt[dose], dose_place[dose], dose_amt[dose], dose_rate[dose]
        at += 1
        if kind == BOLUS:
            slot = event_slots[BIOAVAILABILITY, place]
            x[cmt] += amount * (p[slot] if slot >= 0 else 1.0)
            if order >= 1 and slot >= 0:
                xp[cmt, slot] += amount
        elif kind in (START, STOP):
            sign = 1.0 if kind == START else -1.0
            speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
            r[cmt] += sign * speed
            if order >= 1 and slot >= 0:
                rp[slot, cmt] += sign * factor
        elif kind == RESET:
            cancelled_before = dose_row[dose]
            _initial(order, p, event_slots, x, xp, xpp)
            set_input(base, base_p, r, rp)
        elif kind == STEADY:
            status = steady(
                order, target, p, dose_kind[dose], cmt, place, amount, rate, dose_interval[dose],
                rates, jacobian, hessian, output, system, columns,
            )  # fmt: skip
            if status != OK:
                return status
            if dose_kind[dose] == STEADY_RESET:
                cancelled_before = dose_row[dose]
                x[:] = 0.0
                xp[:, :] = 0.0
                xpp[:, :, :] = 0.0
                set_input(base, base_p, r, rp)
            for i in range(n):
                x[i] += columns[0, i]
                for s in range(first):
                    xp[i, s] += columns[1 + s, i]
                column = 1 + first
                for s in range(second):
                    for q in range(s + 1):
                        xpp[i, s, q] += columns[column, i]
                        column += 1
            if rate != 0.0 and dose_interval[dose] > 0.0:
                running = running_infusions(p, event_slots, place, amount, rate, dose_interval[dose])
                speed, slot, factor = infusion_rate(p, event_slots, place, amount, rate)
                r[cmt] += running * speed
                if order >= 1 and slot >= 0:
                    rp[slot, cmt] += running * factor
    return OK
