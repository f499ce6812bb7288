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
from pkpd.kernels.dense import invert
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    BOLUS,
    INITIAL,
    LAG,
    RESET,
    START,
    STEADY,
    STEADY_RESET,
    STOP,
    event_time_derivative,
    infusion_length,
    infusion_rate,
    running_infusions,
    sorted_events,
)
from pkpd.kernels.linear_step import advance_eigen, advance_exponential, eigenbasis, rotate
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, NOT_FINITE, OK


@kernel()
def _flow(order, usable, h, hp, lam, vec, inv, m, k, kp, moves, r, rp, x, xp, xpp):
    """Move (x, xp, xpp) by ``h`` in place; allocates, so it is for the few intervals of a steady state."""
    n, first, second = x.shape[0], xp.shape[1], xpp.shape[1]
    x2, xp2, xpp2 = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    if usable:
        y, yp, ypp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
        z, zp, zpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
        rho, rhop = inv @ r, np.zeros((first, n))
        for s in range(first):
            for i in range(n):
                for j in range(n):
                    rhop[s, i] += inv[i, j] * rp[s, j]
        rotate(order, inv, x, xp, xpp, y, yp, ypp)
        cube = n if order >= 2 else 0
        advance_eigen(
            order, h, hp, lam, vec, m, moves, y, yp, ypp, rho, rhop, True,
            np.zeros(n), np.zeros((n, n)), np.zeros((n, n)), np.zeros((cube, cube, cube)), np.zeros((cube, cube, cube)),
            np.zeros(n), z, zp, zpp, np.zeros(n), np.zeros((n, first)), np.zeros((second, n, n)), x2, xp2, xpp2,
        )  # fmt: skip
    else:
        advance_exponential(order, h, hp, k, kp, moves, x, xp, xpp, r, rp, x2, xp2, xpp2)
    x[:] = x2
    xp[:, :] = xp2
    xpp[:, :, :] = xpp2


@kernel()
def _apply(order, a, x, xp, xpp):
    """X = A x in place, with derivatives (A itself is taken as constant)."""
    x2, xp2, xpp2 = np.zeros_like(x), np.zeros_like(xp), np.zeros_like(xpp)
    rotate(order, a, x, xp, xpp, x2, xp2, xpp2)
    x[:] = x2
    xp[:, :] = xp2
    xpp[:, :, :] = xpp2


@kernel()
def _cycle(
    order, until, until_p, amount, bio_slot, bio, length, length_slot, length_factor, speed, speed_slot, speed_factor,
    cmt, overlap, usable, lam, vec, inv, m, k, kp, moves, base, base_p, x, xp, xpp,
):  # fmt: skip
    """From just before an implied dose to ``until`` after it, in place; ``speed`` 0 is a bolus."""
    first = xp.shape[1]
    hp = np.zeros(first)
    if speed == 0.0:
        x[cmt] += amount * bio
        if order >= 1 and bio_slot >= 0:
            xp[cmt, bio_slot] += amount
        if order >= 1:
            hp[:] = until_p
        _flow(order, usable, until, hp, lam, vec, inv, m, k, kp, moves, base, base_p, x, xp, xpp)
        return
    r, rp = base.copy(), base_p.copy()
    r[cmt] += (overlap + 1) * speed
    if order >= 1 and speed_slot >= 0:
        rp[speed_slot, cmt] += (overlap + 1) * speed_factor
    if until <= length:
        if order >= 1:
            hp[:] = until_p
        _flow(order, usable, until, hp, lam, vec, inv, m, k, kp, moves, r, rp, x, xp, xpp)
        return
    if order >= 1 and length_slot >= 0:
        hp[length_slot] += length_factor
    _flow(order, usable, length, hp, lam, vec, inv, m, k, kp, moves, r, rp, x, xp, xpp)
    r[cmt] -= speed
    if order >= 1 and speed_slot >= 0:
        rp[speed_slot, cmt] -= speed_factor
    if order >= 1:
        hp[:] = until_p - hp
    _flow(order, usable, until - length, hp, lam, vec, inv, m, k, kp, moves, r, rp, x, xp, xpp)


@kernel()
def _steady_state(
    order, p, event_slots, cmt, amount, rate, interval, usable, lam, vec, inv, m, k, kp, moves, base, base_p, x, xp, xpp
):
    """The state at the record time of a steady-state dose, before the dose itself: fills x, xp, xpp.

    The state before an implied dose is the fixed point of the map over one interval, which is affine in the state with the
    same linear part Φ at every order of derivatives: x* = (1 - Φ)⁻¹ P(0), then dx* = (1 - Φ)⁻¹ dP(x*, 0), and so on.
    """
    n, first, second = x.shape[0], xp.shape[1], xpp.shape[1]
    x[:] = 0.0
    xp[:, :] = 0.0
    xpp[:, :, :] = 0.0
    inverse = np.zeros((n, n))
    if interval <= 0.0:  # constant infusion: K x = -r
        r, rp = base.copy(), base_p.copy()
        if rate != 0.0:
            speed, slot, factor = infusion_rate(p, event_slots, cmt, amount, rate)
            r[cmt] += speed
            if order >= 1 and slot >= 0:
                rp[slot, cmt] += factor
        if not invert(-k, inverse):
            return NO_STEADY_STATE
        x[:] = inverse @ r
        for s in range(first):
            right = rp[s].copy()
            if moves[s]:
                right += kp[s] @ x
            xp[:, s] = inverse @ right
        for s in range(second):
            for q in range(s + 1):
                right = np.zeros(n)
                if moves[s]:
                    right += kp[s] @ xp[:, q].copy()
                if moves[q]:
                    right += kp[q] @ xp[:, s].copy()
                xpp[:, s, q] = inverse @ right
        return OK
    lag_slot = event_slots[LAG, cmt]
    lag = p[lag_slot] if lag_slot >= 0 else 0.0
    if lag > interval:
        return LAG_TOO_LONG
    bio_slot = event_slots[BIOAVAILABILITY, cmt]
    bio = p[bio_slot] if bio_slot >= 0 else 1.0
    length, length_slot, length_factor, speed, speed_slot, speed_factor = 0.0, -1, 0.0, 0.0, -1, 0.0
    overlap = 0
    if rate != 0.0:
        length, length_slot, length_factor = infusion_length(p, event_slots, cmt, amount, rate)
        speed, speed_slot, speed_factor = infusion_rate(p, event_slots, cmt, amount, rate)
        if not (length > 0.0 and speed > 0.0):
            return INFUSION_NOT_POSITIVE
        overlap = int(math.floor(length / interval))
        length -= overlap * interval
    # Φ, column by column
    phi = np.zeros((n, n))
    none, none_p, none_pp = np.zeros(n), np.zeros((n, 0)), np.zeros((n, 0, 0))
    for j in range(n):
        unit = np.zeros(n)
        unit[j] = 1.0
        _flow(
            0, usable, interval, np.zeros(0), lam, vec, inv, np.zeros((0, n, n)), k, np.zeros((0, n, n)),
            np.zeros(0, np.bool_), none, np.zeros((0, n)), unit, none_p, none_pp,
        )  # fmt: skip
        for i in range(n):
            phi[i, j] = (1.0 if i == j else 0.0) - unit[i]
    if not invert(phi, inverse):
        return NO_STEADY_STATE
    still = np.zeros(first)
    best, best_p = np.zeros(n), np.zeros((n, first))
    for level in range(order + 1):
        # the order-th derivatives start from zero, the lower ones from their fixed point
        x[:] = best
        xp[:, :] = best_p
        xpp[:, :, :] = 0.0
        _cycle(
            order, interval, still, amount, bio_slot, bio, length, length_slot, length_factor, speed, speed_slot, speed_factor,
            cmt, overlap, usable, lam, vec, inv, m, k, kp, moves, base, base_p, x, xp, xpp,
        )  # fmt: skip
        if level == 0:
            best[:] = inverse @ x
        elif level == 1:
            for s in range(first):
                best_p[:, s] = inverse @ xp[:, s].copy()
        else:
            _apply(2, inverse, x, xp, xpp)
    x[:] = best
    xp[:, :] = best_p
    for i in range(n):
        if not math.isfinite(x[i]):
            return NO_STEADY_STATE
    if lag_slot >= 0:
        until_p = np.zeros(first)
        if order >= 1:
            until_p[lag_slot] = -1.0
        _cycle(
            order, interval - lag, until_p, amount, bio_slot, bio, length, length_slot, length_factor, speed, speed_slot,
            speed_factor, cmt, overlap, usable, lam, vec, inv, m, k, kp, moves, base, base_p, x, xp, xpp,
        )  # fmt: skip
    return OK


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
def solve_linear(
    order, n, p, rates, jacobian, hessian, output, structure, coefficients, event_slots, settings,
    dose_time, dose_cmt, dose_amt, dose_rate, dose_row, dose_kind, dose_interval, obs_time, obs_endpoint, obs_row,
    f, f_p, f_pp,
):  # fmt: skip
    """Outputs of one subject at its observation records.

    Parameters
    ----------
    order : int
        0: ``f`` only, 1: and ``f_p``, 2: and ``f_pp``.
    n : int
        Number of compartments.
    p : (P,) array
        Parameter slots.
    rates, jacobian, hessian, output : compiled functions
        The model; a linear system needs ``output`` only.
    structure : (S, 3) int array
        Rows (i, j, slot): K[i, j] gains coefficient·p[slot]; j = n is a constant input, slot -1 a plain number.
    coefficients : (S,) array
    event_slots : (7, n) int array
        Slots of the event properties of each compartment (see :mod:`pkpd.kernels.events`); -1 where there is none.
    settings : array
        Tolerances of the steppers; unused here.
    dose_time, dose_cmt, dose_amt, dose_rate, dose_row, dose_kind, dose_interval : arrays (D,)
        Dose records with additional doses written out; a rate of 0 is a bolus, row the record's place in the data, kind and
        interval (II) as in :mod:`pkpd.kernels.events`.
    obs_time, obs_endpoint, obs_row : arrays (O,)
        Where outputs are wanted, in order of time.
    f (O,), f_p (O, P), f_pp (O, P, P)
        Filled.

    Returns
    -------
    int
        A status of :mod:`pkpd.kernels.status`.
    """
    slots = p.shape[0]
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    k, kp = np.zeros((n, n)), np.zeros((first, n, n))
    base, base_p = np.zeros(n), np.zeros((first, n))
    moves = np.zeros(first, np.bool_)
    for row in range(structure.shape[0]):
        i, j, slot = structure[row, 0], structure[row, 1], structure[row, 2]
        value = coefficients[row] * (p[slot] if slot >= 0 else 1.0)
        if j < n:
            k[i, j] += value
            if order >= 1 and slot >= 0:
                kp[slot, i, j] += coefficients[row]
                moves[slot] = True
        else:
            base[i] += value
            if order >= 1 and slot >= 0:
                base_p[slot, i] += coefficients[row]
    for i in range(slots):
        if not math.isfinite(p[i]):
            return NOT_FINITE

    usable, lam, vec, inv = eigenbasis(order, k)
    m = np.zeros((first, n, n))
    if usable:
        for s in range(first):
            if moves[s]:
                for i in range(n):
                    for j in range(n):
                        total = 0.0
                        for a in range(n):
                            for b in range(n):
                                total += inv[i, a] * kp[s, a, b] * vec[b, j]
                        m[s, i, j] = total

    for i in range(dose_time.shape[0]):
        if dose_rate[i] < 0.0:
            length, _, _ = infusion_length(p, event_slots, dose_cmt[i], dose_amt[i], dose_rate[i])
            speed, _, _ = infusion_rate(p, event_slots, dose_cmt[i], dose_amt[i], dose_rate[i])
            if not (speed > 0.0 and (length > 0.0 or dose_amt[i] == 0.0)):
                return INFUSION_NOT_POSITIVE
    ev_time, ev_kind, ev_dose, ev_lagged, ev_slot, ev_factor = sorted_events(
        p, event_slots, dose_time, dose_cmt, dose_amt, dose_rate, dose_row, dose_kind, dose_interval
    )
    events, wanted = ev_time.shape[0], obs_time.shape[0]

    x, xp, xpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    x2, xp2, xpp2 = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    y, yp, ypp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    z, zp, zpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    r, rp = base.copy(), base_p.copy()
    rho, rhop = np.zeros(n), np.zeros((first, n))
    e, phi, gz, gzp = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, first))
    d, g = np.zeros((n, n)), np.zeros((n, n))
    cube = n if order >= 2 else 0
    t3, u3 = np.zeros((cube, cube, cube)), np.zeros((cube, cube, cube))
    b = np.zeros((second, n, n))
    tau_p, next_p, hp = np.zeros(first), np.zeros(slots), np.zeros(first)
    out, d_out, d2_out = np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots))

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
                event_time_derivative(at, ev_dose, ev_lagged, ev_slot, ev_factor, event_slots, dose_cmt, next_p)
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
            read_output(
                order, n, done, obs_endpoint[done], target, p, x2, xp2, xpp2, output, out, d_out, d2_out, f, f_p, f_pp
            )
            if not math.isfinite(f[done]):
                return NOT_FINITE
            done += 1
            continue
        x[:] = x2
        xp[:] = xp2
        xpp[:] = xpp2
        tau = target
        for s in range(first):
            tau_p[s] = next_p[s]
        fresh = True
        dose, kind = ev_dose[at], ev_kind[at]
        cmt, amount, rate = dose_cmt[dose], dose_amt[dose], dose_rate[dose]
        at += 1
        if kind == BOLUS:
            slot = event_slots[BIOAVAILABILITY, cmt]
            x[cmt] += amount * (p[slot] if slot >= 0 else 1.0)
            if order >= 1 and slot >= 0:
                xp[cmt, slot] += amount
        elif kind == START or kind == STOP:
            sign = 1.0 if kind == START else -1.0
            speed, slot, factor = infusion_rate(p, event_slots, cmt, amount, rate)
            r[cmt] += sign * speed
            if order >= 1 and slot >= 0:
                rp[slot, cmt] += sign * factor
        elif kind == RESET:
            cancelled_before = dose_row[dose]
            _initial(order, p, event_slots, x, xp, xpp)
            r[:] = base
            rp[:, :] = base_p
        elif kind == STEADY:
            status = _steady_state(
                order, p, event_slots, cmt, amount, rate, dose_interval[dose],
                usable, lam, vec, inv, m, k, kp, moves, base, base_p, x2, xp2, xpp2,
            )  # fmt: skip
            if status != OK:
                return status
            if dose_kind[dose] == STEADY_RESET:
                cancelled_before = dose_row[dose]
                x[:] = 0.0
                xp[:, :] = 0.0
                xpp[:, :, :] = 0.0
                r[:] = base
                rp[:, :] = base_p
            x += x2
            xp += xp2
            xpp += xpp2
            if rate != 0.0 and dose_interval[dose] > 0.0:
                running = running_infusions(p, event_slots, cmt, amount, rate, dose_interval[dose])
                speed, slot, factor = infusion_rate(p, event_slots, cmt, amount, rate)
                r[cmt] += running * speed
                if order >= 1 and slot >= 0:
                    rp[slot, cmt] += running * factor
    return OK
