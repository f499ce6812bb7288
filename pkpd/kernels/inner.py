"""The inner problem: each subject's conditional mode of the etas, the minimiser of Φ, by its exact gradient."""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.conditional import conditional
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.edge import LEFT, SETTLED, has_edges, settle_on_edge, update_bfgs
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, INNER_NOT_CONVERGED, NOT_FINITE, OK

_MOST_ITERATIONS = 200
# What is left to gain where searches end, the square of the step that remains in posterior SDs. NEAR: Newton's last step is made
# with derivatives that the gradient needs in any case. ROUGH tells one mode from another.
EXACT, NEAR, ROUGH = 1e-16, 1e-12, 1e-6
_BLUNTED = 1e4  # times that is left by H, where BFGS has converged: not at an edge
# Fisher scoring (Hessian 2H) is quick far from the mode and slow near it when residuals are large: then BFGS takes over.
_SCORING_STEPS = 4
_MOST_EDGES = 20  # visits to edges, see settle_on_edge
_NOISE = 1e-6  # of Φ, relative, that a failing line search is put down to


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
def find_mode(
    i, interaction, optimise, typical, links, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, h, curvature, tolerance, edge, h_jump,
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
        Filled: H of first order at the mode (see :func:`pkpd.kernels.penalised.penalised`); of a mode on an edge both sides'
        mixture.
    curvature : (E, E) array
        Φ_ηη of similar parameters, positive definite, with which BFGS begins at once; zero where none is known.
    tolerance : float
        EXACT, NEAR or ROUGH.
    edge : (1 + E,) array
        Filled: where the mode lies on an edge (see :mod:`pkpd.kernels.edge`) the share λ of its far side and the etas there;
        elsewhere the share is zero.
    h_jump : (E, E) array
        Filled: H on the far side less that on the near side, where ``eta`` is.

    Returns
    -------
    status : int
    phi : float
        Φ at the mode.
    iterations : int
    """
    ne = eta.shape[0]
    at = np.zeros(subjects.obs_offsets[i + 1] - subjects.obs_offsets[i])
    trial, step = eta.copy(), np.zeros(ne)
    g, lower = np.zeros(ne), np.zeros((ne, ne))
    g_new, h_new = np.zeros(ne), np.zeros((ne, ne))
    b, bs = np.zeros((ne, ne)), np.zeros(ne)
    # the nearest trial of this line search from which Φ goes uphill, and whether there is one
    beyond, uphill, edges_possible = np.zeros(ne), False, has_edges(system)
    edge[0] = 0.0
    phi = np.inf
    code = INNER_NOT_CONVERGED
    iteration, accepted, length, decrease = 0, 0, 1.0, np.inf
    scored = True  # whether b is 2H, not an update
    edges, shortened = 0, 0
    informed = ne > 0 and curvature[0, 0] > 0.0
    while iteration < _MOST_ITERATIONS:
        iteration += 1
        trial_status, phi_trial = conditional(
            i, 1, interaction, typical, links, trial, theta, omega_inv, sigma,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
            p, dp, d2p, f, f_p, f_pp, fz, fez, at, g_new, h_new,
        )  # fmt: skip
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
        slope = 0.0
        for k in range(ne):
            slope += g_new[k] * step[k]
        # below the rounding error of Φ its differences say nothing: take the full step that the gradient asks for, unless the
        # slope at its end says that an edge was crossed
        if not accept and trial_status == OK and length == 1.0 and decrease < 1e-9 * (1.0 + abs(phi)):
            accept = not edges_possible or abs(slope) <= 10.0 * decrease
        if accept:
            # BFGS is for smooth functions
            scored = (accepted < _SCORING_STEPS and not informed) or edges > 0
            if not scored and accepted == 0:
                b[:, :] = curvature
            elif not scored:
                scored = not update_bfgs(b, trial, eta, g_new, g, bs)
            phi = phi_trial
            eta[:] = trial
            g[:] = g_new
            h[:, :] = h_new
            accepted += 1
        else:
            if trial_status == OK and slope > 0.0:
                uphill = True
                beyond[:] = trial
            # where less than the noise is left to gain, a few halvings tell
            small = decrease < _NOISE * (1.0 + abs(phi))
            exhausted = length <= (1e-10 if scored and not small else 1e-3)
            shortened += 1
            # an edge shows by steps that have to be shortened again and again
            if uphill and edges_possible and edges < _MOST_EDGES and (exhausted or shortened == 3):
                edges += 1
                trial[:] = eta
                outcome, phi_edge, share, evaluations = settle_on_edge(
                    i, interaction, typical, links, trial, beyond, theta, omega_inv, sigma,
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez, at, h_new, h_jump,
                )  # fmt: skip
                iteration += evaluations
                if outcome == SETTLED:
                    phi, edge[0], code = phi_edge, share, OK
                    for k in range(ne):
                        eta[k], edge[1 + k] = trial[k], beyond[k]
                        for m in range(ne):
                            h[k, m] = h_new[k, m]
                    break
                if outcome == LEFT and phi_edge < phi:
                    phi = np.inf
                    continue
            if not exhausted:
                length = _shorter(length, phi, decrease, phi_trial, slope if trial_status == OK else 0.0)
                for k in range(ne):
                    trial[k] = eta[k] + length * step[k]
                continue
            if small or scored:
                break
            # BFGS may have learned from such steps: then its Hessian says nothing, and scoring goes on
            scored, informed = True, False
        for question in range(2):
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
            if decrease > tolerance and (question == 0 or decrease > _BLUNTED * tolerance):
                break
            if scored or not edges_possible:
                code = OK if decrease >= -tolerance else NOT_FINITE
                break
            # BFGS takes an edge for a great curvature: what says H?
            scored, edges = True, edges + 1
        if code != INNER_NOT_CONVERGED:
            break
        length, uphill, shortened = 1.0, False, 0
        for k in range(ne):
            trial[k] = eta[k] + length * step[k]
    # where a prediction jumps as an event passes a record, and where edges meet, the search cannot come nearer
    if code == INNER_NOT_CONVERGED and uphill and edges_possible:
        code = OK
    # nor is there any within the steps by which an adaptive solver's error changes: where one of these lies at the mode, that is
    # known to a thousandth of a posterior SD
    if code == INNER_NOT_CONVERGED and decrease < _NOISE * (1.0 + abs(phi)):
        code = OK
    if code == OK and not math.isfinite(phi):
        code = NOT_FINITE
    return code, phi, iteration
