"""Outputs of a linear system without derivatives: what samplers and quadrature ask for by the hundred thousand.

The arithmetic is that of :mod:`pkpd.kernels.linear`, to the bit; what is left out are arrays, and the references to them that
numba counts: for a handful of records they cost several times as much.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.eigen import fill_eigenbasis
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    BOLUS,
    DOSE,
    INITIAL,
    RESET,
    RESET_ONLY,
    START,
    count_events,
    fill_events,
    infusion_rate,
)
from pkpd.kernels.status import NOT_FINITE, OK

ELSEWHERE = -1  # status: what is asked for needs the general solver


@kernel(allocates=False)
def plain(affine, dose_kind):
    """Whether all outputs are affine in the amounts, and no dose asks for a steady state or turns a compartment off or on."""
    simple = True
    for endpoint in range(affine.shape[0]):
        simple = simple and affine[endpoint] != 0
    for dose in range(dose_kind.shape[0]):
        simple = simple and (dose_kind[dose] == DOSE or dose_kind[dose] == RESET_ONLY)
    return simple


@kernel(allocates=False)
def first_time(dose_time, obs_time):
    """When a subject's system begins; infinite without records."""
    first = obs_time[0] if obs_time.shape[0] > 0 else math.inf
    for dose in range(dose_time.shape[0]):
        first = min(first, dose_time[dose])
    return first


@kernel(allocates=False)
def observes(due, done, ev_time, ev_dose, dose_row, obs_time, obs_row):
    """Whether observation ``done`` comes before event ``due``: at one time the order of the records decides."""
    if due >= ev_time.shape[0] or obs_time[done] < ev_time[due]:
        return True
    return obs_time[done] == ev_time[due] and obs_row[done] < dose_row[ev_dose[due]]


@kernel(allocates=False)
def _begin(p, event_slots, inverse, x, y, flow):
    """Amounts, state and infusions of the first record, or of a reset."""
    n = x.shape[0]
    for i in range(n):
        x[i], y[i], flow[i] = 0.0, 0.0, 0.0
    for c in range(n):
        slot = event_slots[INITIAL, c]
        if slot >= 0:
            x[c] += p[slot]
            for i in range(n):
                y[i] += inverse[i, c] * p[slot]


@kernel(allocates=False)
def _input(base, inverse, flow, r):
    """Set the input ``r`` of the basis; says whether there is any."""
    n, driven = flow.shape[0], False
    for i in range(n):
        driven = driven or base[i] != 0.0 or flow[i] != 0.0
        r[i] = base[i]
        for j in range(n):
            r[i] += inverse[i, j] * flow[j]
    return driven


@kernel(allocates=False)
def _grown(values, i, h, driven, y, r):
    """An element of the state after an interval."""
    element = math.exp(values[i] * h) * y[i]
    if driven:
        element += (math.expm1(values[i] * h) / values[i] if values[i] != 0.0 else h) * r[i]
    return element


@kernel(allocates=False)
def _run(
    p, output, n, table, coefficients, event_slots,
    dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval, obs_time, obs_endpoint, obs_row, f,
    square, whole, weights, line, ev_time, ev_factor, ev,
):  # fmt: skip
    """Fill ``f``; the last seven arrays are work, sized by :func:`linear_values`."""
    k, vectors, inverse = square[0], square[1], square[2]
    values, right, base, x, y, z, flow, r, nothing = (
        line[0], line[1], line[2], line[3], line[4], line[5], line[6], line[7], line[8],
    )  # fmt: skip
    for i in range(n):
        nothing[i], right[i], base[i] = 0.0, 0.0, 0.0
        for j in range(n):
            k[i, j] = 0.0
    for row in range(table.shape[0]):
        i, j, slot = table[row, 0], table[row, 1], table[row, 2]
        value = coefficients[row] * (p[slot] if slot >= 0 else 1.0)
        if j < n:
            k[i, j] += value
        else:
            right[i] += value
    if not fill_eigenbasis(k, values, vectors, inverse, whole, square[3:]):
        return ELSEWHERE
    for i in range(n):
        for j in range(n):
            base[i] += inverse[i, j] * right[j]
    # weights of the outputs: constant, per amount, per element of the basis; then work
    width = 1 + 2 * n
    for endpoint in range(weights.shape[0]):
        g, dg = weights[endpoint, width : width + 1], weights[endpoint, width + 1 :]
        output(1, endpoint, 0.0, nothing, p, g, dg, weights[:0])
        weights[endpoint, 0] = g[0]
        for a in range(n):
            weights[endpoint, 1 + a] = dg[a]
            weights[endpoint, 1 + n + a] = 0.0
        for a in range(n):
            for i in range(n):
                weights[endpoint, 1 + n + i] += dg[a] * vectors[a, i]
    ev_kind, ev_dose = ev[0], ev[1]
    fill_events(
        p, event_slots, dose_time, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval,
        ev_time, ev_kind, ev_dose, ev[2], ev[3], ev_factor,
    )  # fmt: skip
    _begin(p, event_slots, inverse, x, y, flow)
    tau = first_time(dose_time, obs_time)
    due, done, cancelled_before, events, wanted = 0, 0, -1, ev_time.shape[0], obs_time.shape[0]
    changed, driven = True, False
    while done < wanted:
        if due < events and dose_row[ev_dose[due]] < cancelled_before:
            due += 1
            continue
        observe = observes(due, done, ev_time, ev_dose, dose_row, obs_time, obs_row)
        if changed:
            driven, changed = _input(base, inverse, flow, r), False
        if observe:
            h, endpoint = obs_time[done] - tau, obs_endpoint[done]
            total = weights[endpoint, 0]
            for a in range(n):
                # right after an event not through the basis and back: an empty compartment stays exactly empty
                if h == 0.0:
                    total += weights[endpoint, 1 + a] * x[a]
                else:
                    total += weights[endpoint, 1 + n + a] * _grown(values, a, h, driven, y, r)
            if not math.isfinite(total):
                return NOT_FINITE
            f[done] = total
            done += 1
            continue
        h = ev_time[due] - tau
        for a in range(n):
            z[a] = _grown(values, a, h, driven, y, r)
        for a in range(n):
            y[a] = z[a]
        if h != 0.0:
            for a in range(n):
                x[a] = 0.0
                for b in range(n):
                    x[a] += vectors[a, b] * y[b]
        tau = ev_time[due]
        dose, kind = ev_dose[due], ev_kind[due]
        cmt, place, amount, rate = dose_cmt[dose], dose_place[dose], dose_amt[dose], dose_rate[dose]
        due += 1
        if kind == BOLUS:
            slot = event_slots[BIOAVAILABILITY, place]
            given = amount * (p[slot] if slot >= 0 else 1.0)
            x[cmt] += given
            for a in range(n):
                y[a] += inverse[a, cmt] * given
        elif kind == RESET:
            cancelled_before = dose_row[dose]
            changed = True
            _begin(p, event_slots, inverse, x, y, flow)
        else:
            changed = True
            flow[cmt] += (1.0 if kind == START else -1.0) * infusion_rate(
                p, event_slots, place, amount, rate
            )[0]
    return OK


@kernel()
def linear_values(
    p, output, system,
    dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval, obs_time, obs_endpoint, obs_row, f,
):  # fmt: skip
    """Fill ``f`` (O,) with the outputs of one subject whose doses and outputs are :func:`plain`.

    Returns
    -------
    int
        A status, ``ELSEWHERE`` where eigenvectors are no use.
    """
    n = system.n
    total = count_events(p, system.event_slots, dose_place, dose_amt, dose_rate, dose_kind, dose_interval)
    return _run(
        p, output, n, system.table, system.coefficients, system.event_slots,
        dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval, obs_time, obs_endpoint, obs_row,
        f,
        np.empty((8, n, n)), np.empty((2, n), np.int64), np.empty((system.affine.shape[0], 2 + 3 * n + p.shape[0])),
        np.empty((9, n)), np.empty(total), np.empty(total), np.empty((4, total), np.int64),
    )  # fmt: skip
