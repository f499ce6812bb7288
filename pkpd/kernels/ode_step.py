"""Adaptive integration of the state and its sensitivities between two times, reading samples off the interpolant.

The state and its first and second derivatives are one array (columns, n): the state, one column per slot, one per pair of slots.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.chain import read_output
from pkpd.kernels.status import NOT_FINITE, OK, STEP_TOO_SMALL, TOO_MANY_STEPS
from pkpd.kernels.tsitouras import C2, C3, C4, C5, combine, error_norm, interpolate


@kernel()
def slope(order, n, slots, forced, t, y, p, r, rp, rates, jacobian, hessian, table, j, values, dy):
    """Right-hand side of the state and of its sensitivities; fills ``dy`` (and ``j``, ``values``).

    ``slots`` first-order columns follow the state; with ``forced`` they are derivatives to the parameters, else to the state
    at the start. ``r`` (n,) and ``rp`` (P, n) are the rates of infusions and their derivatives.
    """
    rates(t, y[0], p, dy[0])
    for i in range(n):
        dy[0, i] += r[i]
    if order < 1:
        return
    jacobian(t, y[0], p, j)
    for s in range(slots):
        for i in range(n):
            total = j[i, n + s] + rp[s, i] if forced else 0.0
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
def _first_step(n, y, dy, rtol, atol, span):
    """Choose a first step from the size of state and slope (Hairer, Nørsett & Wanner I, II.4, first half)."""
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
def record(order, n, slots, done, endpoint, t, p, y, output, out, d_out, d2_out, f, f_p, f_pp):
    """Write output row ``done`` from the columns of ``y``."""
    first, second = (slots if order >= 1 else 0), (slots if order >= 2 else 0)
    xp, xpp = np.zeros((n, first)), np.zeros((n, second, second))
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
    return math.isfinite(f[done])


@kernel()
def integrate(
    order, n, slots, forced, t, stop, p, r, rp, rates, jacobian, hessian, output, table, settings,
    obs_time, obs_endpoint, done, wanted, steps, y, out, d_out, d2_out, f, f_p, f_pp,
):  # fmt: skip
    """Advance ``y`` from ``t`` to ``stop`` in place, recording observations before ``stop``.

    Returns
    -------
    status, done, steps : int
        A status of :mod:`pkpd.kernels.status`, the number of observations recorded and of steps taken so far.
    """
    rtol, atol, most = settings[0], settings[1], int(settings[2])
    columns = y.shape[0]
    new, seen = np.zeros((columns, n)), np.zeros((columns, n))
    k = np.zeros((7, columns, n))
    j, values = np.zeros((n, p.shape[0] + n + 1)), np.zeros(table.shape[0])
    # on the near side of a switch in time at either end
    begin, edge = np.nextafter(t, stop), np.nextafter(stop, t)
    slope(order, n, slots, forced, begin, y, p, r, rp, rates, jacobian, hessian, table, j, values, k[0])
    h = _first_step(n, y, k[0], rtol, atol, stop - t)
    smallest = 1e-14 * max(abs(t), abs(stop))
    while t < stop:
        steps += 1
        if steps > most:
            return TOO_MANY_STEPS, done, steps
        ends = t + 1.0000001 * h >= stop
        step = stop - t if ends else h
        for stage in range(2, 8):
            combine(columns, n, y, step, k, stage, new)
            c = (
                C2
                if stage == 2
                else (C3 if stage == 3 else (C4 if stage == 4 else (C5 if stage == 5 else 1.0)))
            )
            slope(
                order,
                n,
                slots,
                forced,
                min(t + c * step, edge),
                new,
                p,
                r,
                rp,
                rates,
                jacobian,
                hessian,
                table,
                j,
                values,
                k[stage - 1],
            )
        error = error_norm(n, y, new, step, k, rtol, atol)
        if not math.isfinite(error):
            h = 0.1 * step
            if h < smallest:
                return NOT_FINITE, done, steps
            continue
        factor = 0.9 * error**-0.2 if error > 1e-10 else 5.0
        if error > 1.0:
            h = step * max(0.2, factor)
            if h < smallest:
                return STEP_TOO_SMALL, done, steps
            continue
        end = stop if ends else t + step
        while done < wanted and obs_time[done] < end:
            interpolate(columns, n, y, step, k, (obs_time[done] - t) / step, seen)
            if not record(
                order,
                n,
                slots,
                done,
                obs_endpoint[done],
                obs_time[done],
                p,
                seen,
                output,
                out,
                d_out,
                d2_out,
                f,
                f_p,
                f_pp,
            ):
                return NOT_FINITE, done, steps
            done += 1
        t = end
        for c in range(columns):
            for i in range(n):
                y[c, i] = new[c, i]
                k[0, c, i] = k[6, c, i]
        h = step * min(5.0, max(0.2, factor))
    return OK, done, steps
