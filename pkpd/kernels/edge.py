"""Modes on an edge: where a dose that the model times takes effect at the very time of a record.

There the gradient of Φ jumps from g⁻ to g⁺ (a concentration starts to rise), and the mode often lies on such a surface: it
minimises Φ among the etas of the surface, and (1 - λ) g⁻ + λ g⁺ = 0 with 0 < λ < 1 (the subdifferential holds zero; Clarke,
Optimization and Nonsmooth Analysis, 1983, section 2.3). One-sided second derivatives would make the objective depend on the side
from which a search came. They are therefore mixed by the same λ, which is 0 or 1 where the mode leaves the edge: what is made
of them is a continuous function of the population parameters.
"""

from __future__ import annotations

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.conditional import conditional
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.events import BIOAVAILABILITY, DURATION, LAG, LENGTH, sorted_events
from pkpd.kernels.status import OK

# how settle_on_edge ends
NO_EDGE, SETTLED, LEFT = 0, 1, 2

_WIDTH = 1e-10  # posterior SDs between the two sides
_MOST_STEPS = 60
_SCORING_STEPS = 4
_TOLERANCE = 1e-16  # as of the search for a mode
_NOISE = 1e-6


@kernel()
def has_edges(system):
    """Whether parameters of the model decide when something happens."""
    for place in range(system.event_slots.shape[1]):
        for row in (LAG, BIOAVAILABILITY, DURATION, LENGTH):
            if system.event_slots[row, place] >= 0:
                return True
    return False


@kernel()
def update_bfgs(b, new, old, g_new, g_old, bs):
    """BFGS update of the Hessian ``b`` after a step; False, and ``b`` as it was, where the curvature is not positive."""
    m = b.shape[0]
    sy, sbs = 0.0, 0.0
    for i in range(m):
        bs[i] = 0.0
        for j in range(m):
            bs[i] += b[i, j] * (new[j] - old[j])
        sbs += (new[i] - old[i]) * bs[i]
        sy += (new[i] - old[i]) * (g_new[i] - g_old[i])
    if not (sy > 1e-10 * sbs and sbs > 0.0):
        return False
    for i in range(m):
        for j in range(m):
            b[i, j] += (g_new[i] - g_old[i]) * (g_new[j] - g_old[j]) / sy - bs[i] * bs[j] / sbs
    return True


@kernel()
def crossed(i, p, p_far, system, subjects):
    """Whether an event lies before a record with parameters ``p`` and after it with ``p_far``, or the other way round."""
    d0, d1 = subjects.dose_offsets[i], subjects.dose_offsets[i + 1]
    doses = (
        subjects.dose_time[d0:d1], subjects.dose_place[d0:d1], subjects.dose_amt[d0:d1], subjects.dose_rate[d0:d1],
        subjects.dose_row[d0:d1], subjects.dose_kind[d0:d1], subjects.dose_interval[d0:d1],
    )  # fmt: skip
    here, _, _, _, _, _ = sorted_events(p, system.event_slots, *doses)
    there, _, _, _, _, _ = sorted_events(p_far, system.event_slots, *doses)
    if here.shape[0] != there.shape[0]:
        return True
    a, b = 0, 0
    for o in range(subjects.obs_offsets[i], subjects.obs_offsets[i + 1]):
        while a < here.shape[0] and here[a] <= subjects.obs_time[o]:
            a += 1
        while b < there.shape[0] and there[b] <= subjects.obs_time[o]:
            b += 1
        if a != b:
            return True
    return False


@kernel()
def _product(x, y):
    total = 0.0
    for k in range(x.shape[0]):
        total += x[k] * y[k]
    return total


@kernel(allocates=False)
def _move(source, target, x, g, h, p):
    """Make row ``target`` of these equal to row ``source``."""
    for k in range(x.shape[1]):
        x[target, k], g[target, k] = x[source, k], g[source, k]
        for m in range(x.shape[1]):
            h[target, k, m] = h[source, k, m]
    for s in range(p.shape[1]):
        p[target, s] = p[source, s]


@kernel()
def settle_on_edge(
    i, interaction, typical, links, near, far, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, h, h_jump,
):  # fmt: skip
    """Search the mode of subject ``i`` on the edge that lies between two points, Φ falling from either towards the other.

    Parameters
    ----------
    near, far : (E,) arrays
        In: the points. Out: both sides of the edge, at the mode on it; ``near`` also where Φ falls away from the edge.
    h, h_jump : (E, E) arrays
        Filled where a mode is found: H mixed by λ, and H at ``far`` less that at ``near``.
    others
        As of :func:`pkpd.kernels.conditional.conditional`.

    Returns
    -------
    outcome : int
        SETTLED; LEFT where Φ falls away from the edge; NO_EDGE where there is none between the points.
    phi : float
        Φ at the mode, or at ``near``.
    share : float
        λ, of the far side.
    evaluations : int
    """
    ne = near.shape[0]
    # rows: near, far, and the next of each
    x, g, hs = np.zeros((4, ne)), np.zeros((4, ne)), np.zeros((4, ne, ne))
    ps, phi = np.zeros((4, p.shape[0])), np.zeros(4)
    b, lower, bs = np.zeros((ne, ne)), np.zeros((ne, ne)), np.zeros(ne)
    across, solved, step = np.zeros(ne), np.zeros(ne), np.zeros(ne)
    mixed, mixed_new = np.zeros(ne), np.zeros(ne)
    for k in range(ne):
        x[0, k], x[1, k] = near[k], far[k]
    outcome, share, ratio, evaluations, steps, scoring = NO_EDGE, 0.5, 0.5, 0, 0, 0
    row, bracketing, length, decrease = 0, True, 1.0, 0.0
    while True:
        status, phi[row] = conditional(
            i, 1, interaction, typical, links, x[row], theta, omega_inv, sigma,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
            p, dp, d2p, f, f_p, f_pp, fz, fez, at, g[row], hs[row],
        )  # fmt: skip
        for s in range(p.shape[0]):
            ps[row, s] = p[s]
        evaluations += 1
        if bracketing:
            if status != OK:
                break
            if row == 0:
                row = 1
                continue
            if row == 2:
                slope = 0.0
                for k in range(ne):
                    slope += g[2, k] * (x[1, k] - x[0, k])
                target = 0 if slope < 0.0 else 1
                _move(2, target, x, g, hs, ps)
                phi[target] = phi[2]
            if not crossed(i, ps[0], ps[1], system, subjects):
                break
            size, slope, slope_far = 0.0, 0.0, 0.0
            for k in range(ne):
                slope += g[0, k] * (x[1, k] - x[0, k])
                slope_far += g[1, k] * (x[1, k] - x[0, k])
                for m in range(ne):
                    size += 2.0 * hs[0, k, m] * (x[1, k] - x[0, k]) * (x[1, m] - x[0, m])
            if size > _WIDTH**2 and evaluations < _MOST_STEPS:
                # to where the tangents meet, and then just beyond
                length = 0.5 if evaluations % 5 == 0 else (phi[1] - phi[0] - slope_far) / (slope - slope_far)
                length = min(max(length, 1e-3), 1.0 - 1e-3)
                for k in range(ne):
                    x[2, k] = x[0, k] + length * (x[1, k] - x[0, k])
                row = 2
                continue
            # a prediction that jumps has no slope there to be mixed
            if abs(phi[1] - phi[0]) > _NOISE * (1.0 + abs(phi[0])):
                break
            bracketing = False
        elif row == 2:
            accepted = status == OK and (
                phi[2] <= phi[0] - 1e-4 * length * decrease
                or (
                    length == 1.0
                    and decrease < 1e-9 * (1.0 + abs(phi[0]))
                    and abs(_product(g[2], step)) <= 10.0 * decrease
                )
            )
            if not accepted:
                length *= 0.5
                if length < 1e-3:
                    # another edge crosses this one, or the solver's noise is reached
                    outcome = SETTLED
                    break
                for k in range(ne):
                    x[2, k] = x[0, k] + length * step[k]
                continue
            for k in range(ne):
                x[3, k] = x[1, k] + length * step[k]
            row = 3
            continue
        else:
            for k in range(ne):
                mixed_new[k] = g[2, k] + ratio * (g[3, k] - g[2, k])
            if not update_bfgs(b, x[2], x[0], mixed_new, mixed, bs):
                scoring = 0
            _move(2, 0, x, g, hs, ps)
            _move(3, 1, x, g, hs, ps)
            phi[0], phi[1] = phi[2], phi[3]
            if status != OK or not crossed(i, ps[0], ps[1], system, subjects):
                # a curved edge
                outcome = LEFT
                break
        fresh = scoring < _SCORING_STEPS
        scoring += 1
        top, bottom = 0.0, 0.0
        for k in range(ne):
            across[k] = g[1, k] - g[0, k]
        for _ in range(4 if fresh else 1):
            if fresh:
                for k in range(ne):
                    for m in range(ne):
                        b[k, m] = 2.0 * ((1.0 - share) * hs[0, k, m] + share * hs[1, k, m])
            if not cholesky(b, lower):
                break
            cholesky_solve(lower, across, solved)
            top, bottom = -_product(g[0], solved), _product(across, solved)
            if not bottom > 0.0:
                break
            ratio = top / bottom
            share = min(max(ratio, 0.0), 1.0)
        if not bottom > 0.0:
            break
        for k in range(ne):
            mixed[k] = g[0, k] + ratio * across[k]
            solved[k] = -mixed[k]
        cholesky_solve(lower, solved, step)
        decrease = -_product(mixed, step)
        if ratio != share and decrease < 1e-9 * (1.0 + abs(phi[0])):
            outcome = LEFT
            if ratio > 1.0:
                _move(1, 0, x, g, hs, ps)
                phi[0] = phi[1]
            break
        steps += 1
        if not decrease > _TOLERANCE or steps > _MOST_STEPS:
            outcome = SETTLED
            break
        length, row = 1.0, 2
        for k in range(ne):
            x[2, k] = x[0, k] + step[k]
    if outcome != NO_EDGE:
        for k in range(ne):
            near[k], far[k] = x[0, k], x[1, k]
    descent = 0.0
    if outcome == SETTLED:
        for k in range(ne):
            descent += g[0, k] * (far[k] - near[k])
            for m in range(ne):
                h_jump[k, m] = hs[1, k, m] - hs[0, k, m]
                h[k, m] = hs[0, k, m] + share * h_jump[k, m]
    if outcome == LEFT:
        return outcome, phi[0], share, evaluations
    # where both tangents meet, which is between the sides
    return outcome, (1.0 - share) * (phi[0] + descent) + share * phi[1], share, evaluations


@kernel()
def keep_to_edge(phi_ee, h, jump, by_share, column, w):
    """Implicit derivatives of a mode on an edge.

    Fills ``w`` and returns k, with which a quantity q moves with the parameters z by

        dq/dz = ∂q/∂z - w·Φ_ηz - k·(jump of Φ_z).

    The mode and its λ solve Φ_η = 0, mixed by λ, and Φ⁺ = Φ⁻; their derivatives to (η, λ) are the matrix [[A, J], [Jᵀ, 0]] of
    the multiplier's equations, A = Φ_ηη mixed and J the jump of Φ_η.

    Parameters
    ----------
    phi_ee : (E, E) array
        A; only along the edge need it be positive definite.
    h : (E, E) array
        H, which says how much of J Jᵀ is to be added to A: the solution does not change with it.
    jump : (E,) array
        J.
    by_share, column
        ∂q/∂λ, and ∂q/∂η (E,).
    """
    ne = jump.shape[0]
    lower, a, r = np.zeros((ne, ne)), phi_ee.copy(), np.zeros(ne)
    w[:] = 0.0
    if not cholesky(h, lower):
        return 0.0
    cholesky_solve(lower, jump, r)
    weight = 20.0 / _product(jump, r)
    for m in range(ne):
        for k in range(ne):
            a[k, m] += weight * jump[k] * jump[m]
    if not cholesky(a, lower):
        return 0.0
    cholesky_solve(lower, jump, r)
    cholesky_solve(lower, column, w)
    multiplier = (_product(jump, w) - by_share) / _product(jump, r)
    for k in range(ne):
        w[k] -= multiplier * r[k]
    return multiplier + weight * by_share
