"""The inner problem: each subject's conditional mode of the etas, the minimiser of Φ, by its exact gradient."""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.likelihood import to_error_scale
from pkpd.kernels.penalised import penalised
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, INNER_NOT_CONVERGED, NOT_FINITE, OK

_MOST_ITERATIONS = 200
# What is left to gain where searches end, the square of the step that remains in posterior SDs. NEAR: Newton's last step is made
# with derivatives that the gradient needs in any case. ROUGH tells one mode from another.
EXACT, NEAR, ROUGH = 1e-16, 1e-12, 1e-6
# Fisher scoring (Hessian 2H) is quick far from the mode and slow near it when residuals are large: then BFGS takes over.
_SCORING_STEPS = 4
_MOST_EDGES = 20  # steps along edges, see _along_edge
_NOISE = 1e-6  # of Φ, relative, that a failing line search is put down to


@kernel()
def _bfgs(b, new, old, g_new, g_old, bs):
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
def _shorter(length, phi, decrease, phi_trial, slope):
    """Length of the next trial after one that did not descend enough: to where the tangents at both ends meet.

    That is half-way on a parabola, and the edge itself where two smooth pieces meet, as when a lag reaches a record's time.
    ``slope`` is that at the trial, -``decrease`` the one at the start.
    """
    if not slope > 0.0:
        return 0.5 * length
    meeting = (phi_trial - phi - length * slope) / (-decrease - slope)
    return min(max(meeting, 0.05 * length), 0.9 * length)


@kernel()
def _along_edge(lower, g, g_beyond, step):
    """Step along an edge at which a function has gradient ``g`` on one side and ``g_beyond`` on the other.

    It is the steepest descent, in the metric of the factored Hessian ``lower``, by the shortest convex combination of both
    (Lemaréchal, in: Handbooks in Operations Research 1989;1:529-572). Fills ``step``; returns the descent along it, infinite
    where no edge lies between.
    """
    n = g.shape[0]
    across, solved = g_beyond - g, np.zeros(n)
    cholesky_solve(lower, across, solved)
    top, bottom, decrease = 0.0, 0.0, 0.0
    for k in range(n):
        top -= g[k] * solved[k]
        bottom += across[k] * solved[k]
    if not (0.0 < top < bottom):
        return np.inf
    for k in range(n):
        solved[k] = -(g[k] + top / bottom * across[k])
    cholesky_solve(lower, solved, step)
    for k in range(n):
        decrease -= g[k] * step[k]
    return decrease


@kernel()
def find_mode(
    i, interaction, optimise, typical, links, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, h, curvature, tolerance,
):  # fmt: skip
    """Search the mode of subject ``i``.

    Parameters
    ----------
    interaction : int
        Whether the residual variance is taken at the subject's prediction, or at ``typical`` (O,).
    links : tuple
        Of :func:`pkpd.kernels.correlation.correlation_of`.
    optimise : int
        Whether to search; else Φ is evaluated at ``eta``.
    eta : (E,) array
        In: where the search starts (zero if that fails). Out: the mode.
    p, dp, d2p, f, f_p, f_pp, fz, fez
        Work arrays of :func:`pkpd.kernels.prediction.predict_subject`, order 1.
    h : (E, E) array
        Filled: H of first order at the mode (see :func:`pkpd.kernels.penalised.penalised`).
    curvature : (E, E) array
        Φ_ηη of similar parameters, positive definite, with which BFGS begins at once; zero where none is known.
    tolerance : float
        EXACT, NEAR or ROUGH.

    Returns
    -------
    status : int
    phi : float
        Φ at the mode.
    iterations : int
    """
    ne = eta.shape[0]
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    endpoint = subjects.obs_endpoint[o0:o1]
    at = np.zeros(o1 - o0)
    trial, step = eta.copy(), np.zeros(ne)
    g, lower = np.zeros(ne), np.zeros((ne, ne))
    g_new, h_new = np.zeros(ne), np.zeros((ne, ne))
    b, bs = np.zeros((ne, ne)), np.zeros(ne)
    # the gradient at the nearest trial of this line search from which Φ goes uphill, and whether there is one
    g_beyond, uphill = np.zeros(ne), False
    phi = np.inf
    code = INNER_NOT_CONVERGED
    iteration, accepted, length, decrease = 0, 0, 1.0, np.inf
    scored = True  # whether b is 2H, not an update
    edges = 0
    informed = ne > 0 and curvature[0, 0] > 0.0
    while iteration < _MOST_ITERATIONS:
        iteration += 1
        trial_status = predict_subject(
            i, 1, ne, trial, theta,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
            p, dp, d2p, f, f_p, f_pp, fz, fez,
        )  # fmt: skip
        phi_trial = np.inf
        if trial_status == OK:
            for o in range(o1 - o0):
                at[o] = f[o] if interaction == 1 else typical[o]
            trial_status = to_error_scale(1, o0, f, fz, fez, endpoint, observed)
        if trial_status == OK:
            trial_status, phi_trial = penalised(
                f, fz, at, interaction, links, o0, endpoint, observed, sigma, trial, omega_inv, g_new, h_new
            )
        if optimise == 0:
            h[:, :] = h_new
            return trial_status, phi_trial, iteration
        if phi == np.inf and trial_status != OK:
            # no start has worked yet: zero is the last one to try
            nonzero = False
            for k in range(ne):
                nonzero = nonzero or trial[k] != 0.0
            if not nonzero:
                return trial_status, np.inf, iteration
            trial[:] = 0.0
            continue
        accept = trial_status == OK and (phi == np.inf or phi_trial <= phi - 1e-4 * length * decrease)
        # below the rounding error of Φ its differences say nothing: take the full step that the gradient asks for
        if not accept and trial_status == OK and length == 1.0 and decrease < 1e-9 * (1.0 + abs(phi)):
            accept = True
        if accept:
            # BFGS is for smooth functions
            scored = (accepted < _SCORING_STEPS and not informed) or edges > 0
            if not scored and accepted == 0:
                b[:, :] = curvature
            elif not scored:
                scored = not _bfgs(b, trial, eta, g_new, g, bs)
            phi = phi_trial
            eta[:] = trial
            g[:] = g_new
            h[:, :] = h_new
            accepted += 1
        else:
            # where less than the noise is left to gain, a few halvings tell
            small = decrease < _NOISE * (1.0 + abs(phi))
            if length > (1e-10 if scored and not small else 1e-3):
                slope = 0.0
                for k in range(ne):
                    slope += g_new[k] * step[k]
                if trial_status != OK:
                    slope = 0.0
                if slope > 0.0:
                    uphill = True
                    g_beyond[:] = g_new
                length = _shorter(length, phi, decrease, phi_trial, slope)
                for k in range(ne):
                    trial[k] = eta[k] + length * step[k]
                continue
            if small:
                break
            if scored:
                # the least gradient that lies between those on both sides: zero at a mode on the edge, else it leads along it
                if not uphill or edges == _MOST_EDGES:
                    break
                edges += 1
                decrease = _along_edge(lower, g, g_beyond, step)
                if decrease == np.inf or decrease < _NOISE * (1.0 + abs(phi)):
                    break
                length, uphill = 1.0, False
                for k in range(ne):
                    trial[k] = eta[k] + step[k]
                continue
            # BFGS may have learned from such steps: then its Hessian says nothing, and scoring goes on
            scored, informed = True, False
        if scored:
            for k in range(ne):
                for m in range(ne):
                    b[k, m] = 2.0 * h[k, m]
        if not cholesky(b, lower):
            code = HESSIAN_NOT_POSITIVE
            break
        for k in range(ne):
            g_new[k] = -g[k]
        cholesky_solve(lower, g_new, step)
        decrease = 0.0
        for k in range(ne):
            decrease -= g[k] * step[k]
        if not decrease > tolerance:
            code = OK if decrease >= -tolerance else NOT_FINITE
            break
        length, uphill = 1.0, False
        for k in range(ne):
            trial[k] = eta[k] + length * step[k]
    # no descent is left within rounding: on an edge that a lag makes at the time of a record the search cannot come nearer
    if code == INNER_NOT_CONVERGED and uphill:
        for place in range(system.event_slots.shape[1]):
            if system.event_slots[0, place] >= 0:
                code = OK
    # nor is there any within the steps by which an adaptive solver's error changes: where one of these lies at the mode, that is
    # known to a thousandth of a posterior SD
    if code == INNER_NOT_CONVERGED and decrease < _NOISE * (1.0 + abs(phi)):
        code = OK
    if code == OK and not math.isfinite(phi):
        code = NOT_FINITE
    return code, phi, iteration
