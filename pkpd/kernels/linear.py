"""Closed form of a linear system x' = K x + r between dosing events, with exact first and second derivatives.

K is linear in the parameter slots (``structure`` and ``coefficients`` say how), so in the eigenbasis of K the solution and
its derivatives are sums of divided differences of exponentials. Each event carries the *total* derivatives of the state at
the event's own time τ(p); moving on by h = t - τ(p) then brings the jump terms of a lag or of a modelled duration by itself:
dX/dp = ∂X/∂p + (K X + r)·∂h/∂p, and likewise to second order (all times are linear in the slots).
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import SOLVER_SIGNATURE, kernel
from pkpd.kernels.chain import read_output
from pkpd.kernels.divided import divided2, divided3, divided4
from pkpd.kernels.events import (
    BIOAVAILABILITY,
    BOLUS,
    INITIAL,
    START,
    event_time_derivative,
    moved_back,
    sorted_events,
)
from pkpd.kernels.exponential import exponential
from pkpd.kernels.status import EVENT_TIME_NEGATIVE, NOT_FINITE, OK

# Largest condition number of the eigenvectors at which they are used. The error of the solution and of both orders of its
# derivatives is about 1e-15 times it (tests/kernels/test_linear.py measures it), so that ten digits are kept. It is one number
# for all orders: the objective must not depend on whether derivatives are wanted.
_CONDITION = 1e4


@kernel()
def eigenbasis(k):
    """Eigenvalues and eigenvectors of K if they are real and well conditioned.

    Returns
    -------
    usable : bool
    values (n,), vectors (n, n), inverse (n, n)
    """
    n = k.shape[0]
    values, vectors, inverse = np.zeros(n), np.zeros((n, n)), np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if not math.isfinite(k[i, j]):
                return False, values, vectors, inverse
    # the complex routine: numba's real one raises where eigenvalues are complex
    lam, vec = np.linalg.eig(k.astype(np.complex128))
    largest = 0.0
    for i in range(n):
        largest = max(largest, abs(lam[i].real))
    for i in range(n):
        if abs(lam[i].imag) > 1e-13 * largest:
            return False, values, vectors, inverse
        values[i] = lam[i].real
        # a column is real up to one complex factor: divide by its largest entry
        big = 0
        for j in range(1, n):
            if abs(vec[j, i]) > abs(vec[big, i]):
                big = j
        norm = 0.0
        for j in range(n):
            entry = vec[j, i] / vec[big, i]
            vectors[j, i] = entry.real
            norm += entry.real**2
        for j in range(n):
            vectors[j, i] /= math.sqrt(norm)
    # inverse by Gauss-Jordan with pivoting; a zero pivot means parallel eigenvectors
    work = vectors.copy()
    for i in range(n):
        inverse[i, i] = 1.0
    for c in range(n):
        pivot = c
        for i in range(c + 1, n):
            if abs(work[i, c]) > abs(work[pivot, c]):
                pivot = i
        if abs(work[pivot, c]) < 1e-14:
            return False, values, vectors, inverse
        for j in range(n):
            work[c, j], work[pivot, j] = work[pivot, j], work[c, j]
            inverse[c, j], inverse[pivot, j] = inverse[pivot, j], inverse[c, j]
        scale = 1.0 / work[c, c]
        for j in range(n):
            work[c, j] *= scale
            inverse[c, j] *= scale
        for i in range(n):
            if i != c and work[i, c] != 0.0:
                factor = work[i, c]
                for j in range(n):
                    work[i, j] -= factor * work[c, j]
                    inverse[i, j] -= factor * inverse[c, j]
    condition = math.sqrt(np.sum(vectors**2)) * math.sqrt(np.sum(inverse**2))
    return condition <= _CONDITION, values, vectors, inverse


@kernel()
def _advance_eigen(
    order, h, hp, lam, vec, m, moves, y, yp, ypp, rho, rhop, driven,
    e, d, g, t3, u3, phi, z, zp, zpp, gz, gzp, b, x, xp, xpp,
):  # fmt: skip
    """Move from (y, yp, ypp), in the eigenbasis at the event, by ``h`` to (x, xp, xpp) in the states.

    ``m`` (P, n, n) is dK/dp in the eigenbasis, ``moves`` (P,) whether it is not zero, ``rho`` (n,) and ``rhop`` (P, n) the
    input and its derivative, ``driven`` whether there is any; e … b are work arrays.
    """
    n, slots = lam.shape[0], hp.shape[0]
    for i in range(n):
        e[i] = math.exp(lam[i] * h)
        phi[i] = h * divided2(lam[i] * h, 0.0) if driven else 0.0
        z[i] = e[i] * y[i] + phi[i] * rho[i]
    if order >= 1:
        for i in range(n):
            for j in range(i + 1):
                d[i, j] = h * divided2(lam[i] * h, lam[j] * h)
                d[j, i] = d[i, j]
                g[i, j] = h * h * divided3(lam[i] * h, lam[j] * h, 0.0) if driven else 0.0
                g[j, i] = g[i, j]
        for s in range(slots):
            for i in range(n):
                total = e[i] * yp[i, s] + phi[i] * rhop[s, i]
                if moves[s]:
                    for j in range(n):
                        total += m[s, i, j] * (d[i, j] * y[j] + g[i, j] * rho[j])
                zp[i, s] = total
    if order >= 2:
        for i in range(n):
            for j in range(i + 1):
                for k in range(j + 1):
                    v = h * h * divided3(lam[i] * h, lam[j] * h, lam[k] * h)
                    w = h * h * h * divided4(lam[i] * h, lam[j] * h, lam[k] * h, 0.0) if driven else 0.0
                    for p0, p1, p2 in ((i, j, k), (i, k, j), (j, i, k), (j, k, i), (k, i, j), (k, j, i)):
                        t3[p0, p1, p2] = v
                        u3[p0, p1, p2] = w
        for q in range(slots):
            for i in range(n):
                for j in range(n):
                    total = d[i, j] * yp[j, q] + g[i, j] * rhop[q, j]
                    if moves[q]:
                        for k in range(n):
                            total += m[q, j, k] * (t3[i, j, k] * y[k] + u3[i, j, k] * rho[k])
                    b[q, i, j] = total
        for s in range(slots):
            for q in range(s + 1):
                for i in range(n):
                    total = e[i] * ypp[i, s, q]
                    if moves[s]:
                        for j in range(n):
                            total += m[s, i, j] * b[q, i, j]
                    if moves[q]:
                        for j in range(n):
                            total += m[q, i, j] * b[s, i, j]
                    zpp[i, s, q] = total
    if order >= 1:
        # the length of the interval depends on the parameters
        for i in range(n):
            gz[i] = lam[i] * z[i] + rho[i]
        if order >= 2:
            for s in range(slots):
                for i in range(n):
                    total = lam[i] * zp[i, s] + rhop[s, i]
                    if moves[s]:
                        for j in range(n):
                            total += m[s, i, j] * z[j]
                    gzp[i, s] = total
            for s in range(slots):
                for q in range(s + 1):
                    if hp[s] != 0.0 or hp[q] != 0.0:
                        for i in range(n):
                            zpp[i, s, q] += (
                                gzp[i, s] * hp[q] + gzp[i, q] * hp[s] + lam[i] * gz[i] * hp[s] * hp[q]
                            )
        for s in range(slots):
            if hp[s] != 0.0:
                for i in range(n):
                    zp[i, s] += gz[i] * hp[s]
    _rotate(order, vec, z, zp, zpp, x, xp, xpp)


@kernel()
def _rotate(order, a, y, yp, ypp, x, xp, xpp):
    """X = A y for the state and both orders of derivatives."""
    n = a.shape[0]
    for i in range(n):
        total = 0.0
        for j in range(n):
            total += a[i, j] * y[j]
        x[i] = total
    if order < 1:
        return
    slots = yp.shape[1]
    for s in range(slots):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += a[i, j] * yp[j, s]
            xp[i, s] = total
    if order < 2:
        return
    for s in range(slots):
        for q in range(s + 1):
            for i in range(n):
                total = 0.0
                for j in range(n):
                    total += a[i, j] * ypp[j, s, q]
                xpp[i, s, q] = total


@kernel()
def _advance_exponential(order, h, hp, k, kp, moves, x0, x0p, x0pp, r, rp, x, xp, xpp):
    """The same move without eigenvectors: the input is a further, constant state."""
    n, slots = k.shape[0], hp.shape[0]
    movers = np.empty(slots, np.int64)
    count = 0
    for s in range(slots):
        driven = moves[s]
        for i in range(n):
            driven = driven or rp[s, i] != 0.0
        if driven:
            movers[count] = s
            count += 1
    if order < 1:
        count = 0
    a = np.zeros((n + 1, n + 1))
    ap = np.zeros((count, n + 1, n + 1))
    a[:n, :n] = k * h
    a[:n, n] = r * h
    for c in range(count):
        ap[c, :n, :n] = kp[movers[c]] * h
        ap[c, :n, n] = rp[movers[c]] * h
    e, ep, epp = exponential(order, a, ap)
    for i in range(n):
        total = e[i, n]
        for j in range(n):
            total += e[i, j] * x0[j]
        x[i] = total
    if order < 1:
        return
    part = np.zeros((n, slots))
    for s in range(slots):
        for i in range(n):
            total = 0.0
            for j in range(n):
                total += e[i, j] * x0p[j, s]
            part[i, s] = total
    for c in range(count):
        for i in range(n):
            total = ep[c, i, n]
            for j in range(n):
                total += ep[c, i, j] * x0[j]
            part[i, movers[c]] += total
    g = np.zeros(n)
    for i in range(n):
        g[i] = r[i]
        for j in range(n):
            g[i] += k[i, j] * x[j]
    if order >= 2:
        place = np.full(slots, -1)
        for c in range(count):
            place[movers[c]] = c
        gp = np.zeros((n, slots))
        for s in range(slots):
            for i in range(n):
                total = rp[s, i]
                for j in range(n):
                    total += k[i, j] * part[j, s] + kp[s, i, j] * x[j]
                gp[i, s] = total
        for s in range(slots):
            for q in range(s + 1):
                cs, cq = place[s], place[q]
                for i in range(n):
                    total = 0.0
                    for j in range(n):
                        total += e[i, j] * x0pp[j, s, q]
                        if cs >= 0:
                            total += ep[cs, i, j] * x0p[j, q]
                        if cq >= 0:
                            total += ep[cq, i, j] * x0p[j, s]
                        if cs >= 0 and cq >= 0:
                            total += epp[max(cs, cq), min(cs, cq), i, j] * x0[j]
                    if cs >= 0 and cq >= 0:
                        total += epp[max(cs, cq), min(cs, cq), i, n]
                    total += gp[i, s] * hp[q] + gp[i, q] * hp[s]
                    curve = 0.0
                    for j in range(n):
                        curve += k[i, j] * g[j]
                    xpp[i, s, q] = total + curve * hp[s] * hp[q]
    for s in range(slots):
        for i in range(n):
            xp[i, s] = part[i, s] + g[i] * hp[s]


@kernel(SOLVER_SIGNATURE)
def solve_linear(
    order, n, p, rates, jacobian, hessian, output, structure, coefficients, event_slots, settings,
    dose_time, dose_cmt, dose_amt, dose_rate, dose_row, obs_time, obs_endpoint, obs_row,
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
    event_slots : (3, n) int array
        Slots of lag, bioavailability and initial state of each compartment; -1 where there is none.
    settings : array
        rtol, atol, most steps, then times at which the rates switch; unused here.
    dose_time, dose_cmt, dose_amt, dose_rate, dose_row : arrays (D,)
        Doses with additional doses written out; a rate of 0 is a bolus; row is the record's place in the data.
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
    r, rp = np.zeros(n), np.zeros((first, n))
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
            r[i] += value
            if order >= 1 and slot >= 0:
                rp[slot, i] += coefficients[row]
    for i in range(slots):
        if not math.isfinite(p[i]):
            return NOT_FINITE

    usable, lam, vec, inv = eigenbasis(k)
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

    if moved_back(p, event_slots, dose_cmt, dose_rate):
        return EVENT_TIME_NEGATIVE
    ev_time, ev_kind, ev_dose, ev_stretch = sorted_events(
        p, event_slots, dose_time, dose_cmt, dose_amt, dose_rate, dose_row
    )
    events, wanted = ev_time.shape[0], obs_time.shape[0]

    x, xp, xpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    x2, xp2, xpp2 = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    y, yp, ypp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    z, zp, zpp = np.zeros(n), np.zeros((n, first)), np.zeros((n, second, second))
    rho, rhop = np.zeros(n), np.zeros((first, n))
    e, phi, gz, gzp = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n, first))
    d, g = np.zeros((n, n)), np.zeros((n, n))
    cube = n if order >= 2 else 0
    t3, u3 = np.zeros((cube, cube, cube)), np.zeros((cube, cube, cube))
    b = np.zeros((second, n, n))
    tau_p, next_p, hp = np.zeros(first), np.zeros(slots), np.zeros(first)
    out, d_out, d2_out = np.zeros(1), np.zeros(n + slots), np.zeros((n + slots, n + slots))

    for i in range(n):
        slot = event_slots[INITIAL, i]
        if slot >= 0:
            x[i] = p[slot]
            if order >= 1:
                xp[i, slot] = 1.0
    tau = math.inf
    if wanted > 0:
        tau = obs_time[0]
    for i in range(dose_time.shape[0]):
        tau = min(tau, dose_time[i])

    at, done = 0, 0
    fresh = True  # the state at tau has not been turned into the eigenbasis yet
    driven = False
    while done < wanted:
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
                _rotate(order, inv, x, xp, xpp, y, yp, ypp)
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
                event_time_derivative(at, ev_kind, ev_dose, ev_stretch, event_slots, dose_cmt, next_p)
            for s in range(first):
                hp[s] = next_p[s] - tau_p[s]
        if usable:
            _advance_eigen(
                order, target - tau, hp, lam, vec, m, moves, y, yp, ypp, rho, rhop, driven,
                e, d, g, t3, u3, phi, z, zp, zpp, gz, gzp, b, x2, xp2, xpp2,
            )  # fmt: skip
        else:
            _advance_exponential(order, target - tau, hp, k, kp, moves, x, xp, xpp, r, rp, x2, xp2, xpp2)
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
        x[:] = x2
        xp[:] = xp2
        xpp[:] = xpp2
        tau = target
        for s in range(first):
            tau_p[s] = next_p[s]
        dose = ev_dose[at]
        cmt = dose_cmt[dose]
        if ev_kind[at] == BOLUS:
            slot = event_slots[BIOAVAILABILITY, cmt]
            x[cmt] += dose_amt[dose] * (p[slot] if slot >= 0 else 1.0)
            if order >= 1 and slot >= 0:
                xp[cmt, slot] += dose_amt[dose]
        elif ev_kind[at] == START:
            r[cmt] += dose_rate[dose]
        else:
            r[cmt] -= dose_rate[dose]
        fresh = True
        at += 1
    return OK
