"""Steady state of a linear system under repeated or constant dosing, in closed form with both orders of derivatives.

The state just before an implied dose is the fixed point of the map over one interval. The map is affine in the state, with the
same linear part Φ at every order of derivatives: x* = (1 - Φ)⁻¹ P(0), then dx* = (1 - Φ)⁻¹ dP(x*, 0), and so on.

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
from pkpd.kernels.linear_step import (
    advance_eigen,
    advance_exponential,
    eigenbasis,
    in_eigenbasis,
    linear_system,
    rotate,
    set_state,
)
from pkpd.kernels.status import INFUSION_NOT_POSITIVE, LAG_TOO_LONG, NO_STEADY_STATE, OK


@kernel()
def constant_input(order, k, kp, r, rp, y):
    """Root of K x + r = 0, with derivatives, as columns ``y``; False where there is none."""
    n, first = k.shape[0], kp.shape[0]
    inverse, right = np.zeros((n, n)), np.zeros(n)
    if not invert(-k, inverse):
        return False
    for column in range(1 + first):
        for i in range(n):
            right[i] = r[i] if column == 0 else rp[column - 1, i]
            if column > 0:
                for j in range(n):
                    right[i] += kp[column - 1, i, j] * y[0, j]
        for i in range(n):
            y[column, i] = 0.0
            for j in range(n):
                y[column, i] += inverse[i, j] * right[j]
    column = 1 + first
    if order < 2:
        return True
    for s in range(first):
        for q in range(s + 1):
            for i in range(n):
                right[i] = 0.0
                for j in range(n):
                    right[i] += kp[s, i, j] * y[1 + q, j] + kp[q, i, j] * y[1 + s, j]
            for i in range(n):
                y[column, i] = 0.0
                for j in range(n):
                    y[column, i] += inverse[i, j] * right[j]
            column += 1
    return True


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
    n, structure, coefficients, event_slots = system.n, system.table, system.coefficients, system.event_slots
    slots = system.slots
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    k, kp, base, base_p, moves = linear_system(order, n, p, structure, coefficients)
    if kind == STEADY_ADD:  # a constant input of the system is in the state that this one is added to
        base, base_p = np.zeros(n), np.zeros((first, n))
    lag_slot, bio_slot = event_slots[LAG, place], event_slots[BIOAVAILABILITY, place]
    lag = p[lag_slot] if lag_slot >= 0 else 0.0
    length, length_slot, length_factor, speed, speed_slot, speed_factor, whole = 0.0, -1, 0.0, 0.0, -1, 0.0, 0
    if rate != 0.0:
        speed, speed_slot, speed_factor = infusion_rate(p, event_slots, place, amount, rate)
        if order < 1:
            speed_slot = -1
        if not speed > 0.0:
            return INFUSION_NOT_POSITIVE
    if interval <= 0.0:
        base[cmt] += speed
        if speed_slot >= 0:
            base_p[speed_slot, cmt] += speed_factor
        return OK if constant_input(order, k, kp, base, base_p, y) else NO_STEADY_STATE
    if lag > interval:
        return LAG_TOO_LONG
    if rate != 0.0:
        length, length_slot, length_factor = infusion_length(p, event_slots, place, amount, rate)
        if not length > 0.0:
            return INFUSION_NOT_POSITIVE
        whole = whole_intervals(length, interval)
        if whole >= MOST_RUNNING:
            return NO_STEADY_STATE
        length -= whole * interval

    usable, lam, vec, inv = eigenbasis(k)
    m = in_eigenbasis(usable, vec, inv, kp, moves)
    x, xp, xpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    best, best_p, best_pp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    u, up, upp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    z, zp, zpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    r, rp, rho, rhop = np.zeros(n), np.zeros((first, n)), np.zeros(n), np.zeros((first, n))
    e, f, gz, gzp = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, first))
    d, g, b = np.zeros((n, n)), np.zeros((n, n)), np.zeros((second, n, n))
    cube = n if order >= 2 else 0
    t3, u3 = np.zeros((cube, cube, cube)), np.zeros((cube, cube, cube))
    until_p, hp = np.zeros(first), np.zeros(first)
    phi, inverse = np.zeros((n, n)), np.zeros((n, n))
    # One lap is one run through an interval: first the columns of Φ, then one lap per order of derivatives, whose highest
    # order starts from zero, and at last the way from the dose to the record, which is II - lag.
    for lap in range(-n, order + 2):
        if lap > order and lag_slot < 0:
            break
        now = max(0, min(lap, order))
        for i in range(n):
            x[i] = best[i] if lap >= 0 else (1.0 if i == n + lap else 0.0)
            for s in range(first):
                xp[i, s] = best_p[i, s]
                for q in range(second):
                    xpp[i, s, q] = best_pp[i, s, q]
        until = interval
        if lap > order:
            until = interval - lag
            if order >= 1:
                until_p[lag_slot] = -1.0
        if lap >= 0 and rate == 0.0:
            x[cmt] += amount * (p[bio_slot] if bio_slot >= 0 else 1.0)
            if now >= 1 and bio_slot >= 0:
                xp[cmt, bio_slot] += amount
        ends = lap >= 0 and rate != 0.0 and length <= until  # the infusion ends on the way
        for part in range(2 if ends else 1):
            h = until if not ends else (length if part == 0 else until - length)
            for s in range(first):
                hp[s] = 0.0 if ends and part == 0 else until_p[s]
            if ends and order >= 1 and length_slot >= 0:
                hp[length_slot] += length_factor if part == 0 else -length_factor
            running = (whole + 1 - part) if rate != 0.0 else 0
            for i in range(n):
                r[i] = base[i] if lap >= 0 else 0.0
                for s in range(first):
                    rp[s, i] = base_p[s, i] if lap >= 0 else 0.0
            if lap >= 0:
                r[cmt] += running * speed
                if speed_slot >= 0:
                    rp[speed_slot, cmt] += running * speed_factor
            if usable:
                rotate(now, inv, x, xp, xpp, u, up, upp)
                for i in range(n):
                    rho[i] = 0.0
                    for j in range(n):
                        rho[i] += inv[i, j] * r[j]
                    for s in range(first):
                        rhop[s, i] = 0.0
                        for j in range(n):
                            rhop[s, i] += inv[i, j] * rp[s, j]
                advance_eigen(
                    now, h, hp, lam, vec, m, moves, u, up, upp, rho, rhop, lap >= 0,
                    e, d, g, t3, u3, f, z, zp, zpp, gz, gzp, b, x, xp, xpp,
                )  # fmt: skip
            else:
                advance_exponential(now, h, hp, k, kp, moves, x, xp, xpp, r, rp, u, up, upp)
                set_state(u, up, upp, x, xp, xpp)
        if lap < 0:
            for i in range(n):
                phi[i, n + lap] = (1.0 if i == n + lap else 0.0) - x[i]
            if lap == -1 and not invert(phi, inverse):
                return NO_STEADY_STATE
        elif lap == 0:
            for i in range(n):
                best[i] = 0.0
                for j in range(n):
                    best[i] += inverse[i, j] * x[j]
                if not math.isfinite(best[i]):
                    return NO_STEADY_STATE
        elif lap == 1 and order >= 1:
            for s in range(first):
                for i in range(n):
                    best_p[i, s] = 0.0
                    for j in range(n):
                        best_p[i, s] += inverse[i, j] * xp[j, s]
        elif lap == 2 and order >= 2:
            for s in range(second):
                for q in range(s + 1):
                    for i in range(n):
                        best_pp[i, s, q] = 0.0
                        for j in range(n):
                            best_pp[i, s, q] += inverse[i, j] * xpp[j, s, q]
        if lap == order + 1:
            set_state(x, xp, xpp, best, best_p, best_pp)
    for i in range(n):
        y[0, i] = best[i]
        for s in range(first):
            y[1 + s, i] = best_p[i, s]
        column = 1 + first
        for s in range(second):
            for q in range(s + 1):
                y[column, i] = best_pp[i, s, q]
                column += 1
    return OK
