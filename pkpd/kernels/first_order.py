"""Methods of first order, FO, FOCE and FOCEI: the objective of each subject and its exact gradient.

With Φ the penalised objective (:mod:`pkpd.kernels.penalised`), a = ∂f/∂η and c = ∂log V/∂η, the contribution of a subject to
the objective (NONMEM's, without n·log 2π) is

    OFV = Φ(η*) + log|Ω| + log|H|,   H = Σ (w a aᵀ + ½ c cᵀ) + Ω⁻¹,

w = 1/V for a measured record. FOCEI takes the residual variance V at the subject's own prediction; FOCE at that of the typical
subject (η = 0), inside Φ and in H, so that c = 0. FO replaces f by f(0) + a(0)η, for which η* is a least-squares solution and
the objective the exact marginal likelihood. Censored records: see ``w`` in :func:`pkpd.kernels.likelihood.contribution`.

The gradient follows Almquist, Leander & Jirstrand, J Pharmacokinet Pharmacodyn 2015;42:191-209: Φ is stationary in η, so only
log|H| moves with η*, and ∂η*/∂z = -Φ_ηη⁻¹ Φ_ηz by implicit differentiation; both need second derivatives of f, which are exact.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, MODEL, OBSERVED, SUBJECTS, f8, i8, kernel, prange, void
from pkpd.kernels.conditional import conditional
from pkpd.kernels.correlation import add_derivatives, correlation_of
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.edge import keep_to_edge
from pkpd.kernels.foresight import foresee
from pkpd.kernels.inner import EXACT, NEAR, ROUGH, find_mode
from pkpd.kernels.inverse import invert_factored
from pkpd.kernels.likelihood import MEASURED, MEASURED_POSITIVE, UNUSED, contribution, to_error_scale
from pkpd.kernels.penalised import add_record, penalised
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, OK
from pkpd.kernels.variance import variance_columns

FO, FOCE, FOCEI = 0, 1, 2
# In posterior SDs squared: how far modes move that Newton's method looks for at once (what is foreseen errs by about the square
# of this), how far it goes, and what may be left to gain where its last step is made by formula alone.
_AROUND, _FAR, _NEARBY = 0.1, 1e-5, 1e-11
_NEWTON_STEPS = 3


@kernel()
def _linearised(f, fz, fez, links, first, endpoint, observed, sigma, wanted, eta, h, lower, omega_inv, m, mz):
    """FO: least-squares ``eta`` of the linearised model, whose predictions and their derivatives go to ``m`` and ``mz``.

    Returns (status, Φ); fills H and its factor.
    """
    ne, nz = eta.shape[0], fz.shape[1]
    g, step = np.zeros(ne), np.zeros(ne)
    eta[:] = 0.0
    code, _ = penalised(f, fz, f, 0, links, first, endpoint, observed, sigma, eta, omega_inv, g, h)
    if code != OK:
        return code, np.inf
    if not cholesky(h, lower):
        return HESSIAN_NOT_POSITIVE, np.inf
    cholesky_solve(lower, g, step)
    for i in range(ne):
        eta[i] = -0.5 * step[i]
    mz[:, :] = fz
    for o in range(f.shape[0]):
        m[o] = f[o]
        for i in range(ne):
            m[o] += fz[o, i] * eta[i]
            if wanted == 1:
                for z in range(ne, nz):
                    mz[o, z] += fez[o, i, z] * eta[i]
    return penalised(m, fz, f, 0, links, first, endpoint, observed, sigma, eta, omega_inv, g, h)


@kernel()
def _conditional_derivatives(
    m, mz, mez, at, typical_z, interaction, links, first, time, endpoint, observed, sigma, omega_inv, h_inv,
    phi_z, phi_ez, det_z,
):  # fmt: skip
    """At the mode: fills ∂Φ/∂z, ∂²Φ/∂η∂z, ∂log|H|/∂z at fixed η; z = (eta, theta, sigma)."""
    ne, nz = mez.shape[1], mez.shape[2]
    columns = phi_z.shape[0]
    v_z, v_ez = np.zeros(columns), np.zeros((ne, columns))
    ha, hc = np.zeros(ne), np.zeros(ne)
    for i in range(ne):
        for j in range(ne):
            phi_ez[i, j] = 2.0 * omega_inv[i, j]
    for o in range(m.shape[0]):
        kind = observed.kind[first + o]
        if kind == UNUSED:
            continue
        v = variance_columns(
            o, interaction, at, mz, mez, typical_z, observed.residual[endpoint[o]], sigma, v_z, v_ez
        )
        _, lm, lv, lmm, lmv, lvv, w, w_m, w_v = contribution(
            m[o], v, observed.value[first + o], observed.limit[first + o], kind
        )
        add_record(o, lm, lv, lmm, lmv, lvv, mz, mez, v_z, v_ez, phi_z, phi_ez)
        spread = interaction == 1 and (kind == MEASURED or kind == MEASURED_POSITIVE)
        quad_a, quad_c = 0.0, 0.0
        for i in range(ne):
            ha[i], hc[i] = 0.0, 0.0
            for j in range(ne):
                ha[i] += h_inv[i, j] * mz[o, j]
                hc[i] += h_inv[i, j] * v_z[j] / v
            quad_a += mz[o, i] * ha[i]
            quad_c += v_z[i] / v * hc[i]
        for z in range(columns):
            det = quad_a * w_v * v_z[z]
            if z < nz:
                det += quad_a * w_m * mz[o, z]
                for i in range(ne):
                    det += 2.0 * w * ha[i] * mez[o, i, z]
            if spread:
                det -= quad_c * v_z[z] / v
                for i in range(ne):
                    det += hc[i] * v_ez[i, z] / v
            det_z[z] += det
    add_derivatives(
        links, m, mz, mez, at, typical_z, interaction, first, time, endpoint, observed, sigma, h_inv, phi_z, phi_ez, det_z
    )  # fmt: skip


@kernel()
def _second_order(
    i, interaction, factored, typical, typical_z, links, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h, lower, phi_z, phi_ez, det_z,
):  # fmt: skip
    """Φ at ``eta`` with all of its derivatives, and those of log|H|; returns (status, Φ).

    Parameters
    ----------
    factored : int
        Whether ``lower`` holds the factor of H already (at an edge of what both sides mix); else ``h`` and ``lower`` are filled.
    others
        As of :func:`pkpd.kernels.conditional.conditional` and :func:`_conditional_derivatives`.
    """
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    ne = eta.shape[0]
    h_inv, h_here = np.zeros((ne, ne)), np.zeros((ne, ne))
    code, phi = conditional(
        i, 2, interaction, typical, links, eta, theta, omega_inv, sigma,
        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
        p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h_here,
    )  # fmt: skip
    if code == OK and factored == 0:
        h[:, :] = h_here
        if not cholesky(h, lower):
            code = HESSIAN_NOT_POSITIVE
    if code != OK:
        return code, np.inf
    invert_factored(lower, h_inv)
    phi_z[:], phi_ez[:, :], det_z[:] = 0.0, 0.0, 0.0
    _conditional_derivatives(
        f, fz, fez, at, typical_z, interaction, links, o0, subjects.obs_time[o0:o1],
        subjects.obs_endpoint[o0:o1], observed, sigma, omega_inv, h_inv, phi_z, phi_ez, det_z,
    )  # fmt: skip
    return code, phi


@kernel()
def _by_newton(
    i, interaction, typical, typical_z, links, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h, lower, phi_z, phi_ez, det_z, curvature,
):  # fmt: skip
    """Search the mode from nearby by Newton's method, with the derivatives that the gradient needs in any case.

    Returns
    -------
    settled : bool
        Whether ``eta`` is within _NEARBY of the mode, and everything filled as by :func:`_second_order` there; else the search
        goes on from ``eta`` with ``curvature``.
    phi : float
    """
    ne = eta.shape[0]
    factor, step = np.zeros((ne, ne)), np.zeros(ne)
    last = 100.0
    for _ in range(_NEWTON_STEPS):
        code, phi = _second_order(
            i, interaction, 0, typical, typical_z, links, eta, theta, omega_inv, sigma,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
            p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h, lower, phi_z, phi_ez, det_z,
        )  # fmt: skip
        if code != OK or not cholesky(phi_ez[:, :ne].copy(), factor):
            break
        curvature[:, :] = phi_ez
        cholesky_solve(factor, g, step)
        decrease = 0.0
        for a in range(ne):
            decrease += g[a] * step[a]
        if decrease <= _NEARBY:
            return True, phi
        if decrease > 0.01 * last:
            break
        for a in range(ne):
            eta[a] -= step[a]
        if decrease > _FAR:
            break
        last = decrease
    return False, np.inf


@kernel(
    void(i8, i8, i8, A2, A1, A2, A2, f8, A1, A1, A2, *MODEL, SUBJECTS, OBSERVED, A1, A3, A3, A2, A2, A3, I1, I1, A1),
    parallel=True,
)  # fmt: skip
def evaluate_first_order(
    gradient_wanted, optimise, method, etas, theta, omega, omega_inv, log_det_omega, sigma, moved, precision_moved,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    ofv, h_all, curvature, g_theta, g_sigma, g_precision, status, iterations, edges,
):  # fmt: skip
    """Objective of every subject.

    Parameters
    ----------
    gradient_wanted, optimise : int
        Whether the gradient is computed; whether the mode is searched from ``etas``, 2 roughly (else ``etas`` are taken as they
        are; FO always solves for them).
    method : int
        FO, FOCE or FOCEI of this module.
    etas : (N, E) array
        In: where the search starts (zero if that fails). Out: the empirical Bayes estimates.
    theta (T,), omega (E, E), omega_inv (E, E), log_det_omega, sigma (S,)
        Population parameters.
    moved (T+S,), precision_moved (E, E)
        By how much thetas, sigmas and Ω⁻¹ have changed since ``curvature``: see :func:`pkpd.kernels.foresight.foresee`.
    curvature (N, E, E+T+S)
        In: ∂²Φ/∂η∂z of similar parameters, z = (eta, theta, sigma), zero where it is not known. Out: that where the gradient is
        computed and Φ_ηη is positive definite, else zero, also for a mode on an edge.
    ofv (N,), h_all (N, E, E), g_theta (N, T), g_sigma (N, S), g_precision (N, E, E), status (N,), iterations (N,), edges (N,)
        Filled: each subject writes its own row, so that nothing depends on the number of threads. The gradients are to thetas,
        sigmas and Ω⁻¹ (as a symmetric matrix); edges are zero, or λ of a mode on an edge (:mod:`pkpd.kernels.edge`).
    """
    for i in prange(etas.shape[0]):
        ne, nt, ns = etas.shape[1], theta.shape[0], sigma.shape[0]
        nz = ne + nt
        columns = nz + ns
        o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
        endpoint = subjects.obs_endpoint[o0:o1]
        slots, inputs = system.slots, subjects.change_value.shape[1]
        records = o1 - o0
        second = records if gradient_wanted else 0
        f, f_p, f_pp = np.zeros(records), np.zeros((records, slots)), np.zeros((second, slots, slots))
        fz, fez = np.zeros((records, nz)), np.zeros((second, ne, nz))
        p, dp, d2p = np.zeros(slots + inputs), np.zeros((slots, nz)), np.zeros((slots, ne, nz))
        eta, g, h, lower = etas[i].copy(), np.zeros(ne), np.zeros((ne, ne)), np.zeros((ne, ne))
        phi_z, det_z, phi_ez = np.zeros(columns), np.zeros(columns), np.zeros((ne, columns))
        typical, typical_z, at = np.zeros(records), np.zeros((records, nz)), np.zeros(records)
        m, mz = np.zeros(records), np.zeros((records, nz))
        edge, h_jump = np.zeros(1 + ne), np.zeros((ne, ne))
        interaction = 1 if method == FOCEI else 0
        phi, iteration, settled = np.inf, 0, False
        near = ROUGH if optimise == 2 else (NEAR if gradient_wanted else EXACT)
        code, links = correlation_of(i, subjects, observed, sigma)
        if code == OK and method != FOCEI:
            wanted = 1 + gradient_wanted if method == FO else 1
            code = predict_subject(
                i, wanted, nz, np.zeros(ne), theta,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            typical[:] = f
            typical_z[:, :] = fz
        if code == OK and method == FO:
            code = to_error_scale(1 + gradient_wanted, o0, f, fz, fez, endpoint, observed)
            if code == OK:
                code, phi = _linearised(
                    f, fz, fez, links, o0, endpoint, observed, sigma, gradient_wanted, eta, h, lower, omega_inv, m, mz
                )  # fmt: skip
        elif code == OK:
            away = foresee(eta, curvature[i], moved, precision_moved) if optimise != 0 else np.inf
            if gradient_wanted == 1 and optimise == 1 and away < _AROUND:
                settled, phi = _by_newton(
                    i, interaction, typical, typical_z, links, eta, theta, omega_inv, sigma,
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h, lower, phi_z, phi_ez, det_z, curvature[i],
                )  # fmt: skip
            if not settled:
                code, phi, iteration = find_mode(
                    i, interaction, optimise, typical, links, eta, theta, omega_inv, sigma,
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez, h, curvature[i, :, :ne], near, edge, h_jump,
                )  # fmt: skip
        iterations[i], edges[i] = iteration, edge[0]
        curvature[i, :, :] = 0.0
        for k in range(ne):
            etas[i, k] = eta[k]
        if code == OK and not cholesky(h, lower):
            code = HESSIAN_NOT_POSITIVE
        status[i] = code
        if code != OK:
            ofv[i] = np.inf
            continue
        total = phi + log_det_omega
        for k in range(ne):
            total += 2.0 * math.log(lower[k, k])
        ofv[i] = total
        h_all[i, :, :] = h
        if gradient_wanted == 0:
            continue
        h_inv = np.zeros((ne, ne))
        invert_factored(lower, h_inv)
        # of a mode on an edge the far side first; its derivatives are kept as what jumps to there
        jump_z, jump_ez, jump_det = np.zeros(columns), np.zeros((ne, columns)), np.zeros(columns)
        if method == FO:
            _conditional_derivatives(
                m, mz, fez, f, fz, 0, links, o0, subjects.obs_time[o0:o1],
                endpoint, observed, sigma, omega_inv, h_inv, phi_z, phi_ez, det_z,
            )  # fmt: skip
        elif not settled:
            for side in range(2 if edge[0] > 0.0 else 1):
                beyond = edge[0] > 0.0 and side == 0
                place = edge[1:] if beyond else eta
                if code == OK:
                    code, _ = _second_order(
                        i, interaction, 1, typical, typical_z, links, place, theta, omega_inv, sigma,
                        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                        p, dp, d2p, f, f_p, f_pp, fz, fez, at, g, h, lower, phi_z, phi_ez, det_z,
                    )  # fmt: skip
                if beyond:
                    jump_z[:], jump_ez[:, :], jump_det[:] = phi_z, phi_ez, det_z
        # w: Φ_ηη⁻¹ ∂(Φ + log|H|)/∂η; FO's H does not move with η
        w, column, k_edge = np.zeros(ne), np.zeros(ne), 0.0
        if code == OK and edge[0] > 0.0:
            for z in range(columns):
                jump_z[z] -= phi_z[z]
                phi_z[z] += edge[0] * jump_z[z]
                det_z[z] += edge[0] * (jump_det[z] - det_z[z])
                for a in range(ne):
                    phi_ez[a, z] += edge[0] * (jump_ez[a, z] - phi_ez[a, z])
            by_share = 0.0
            for a in range(ne):
                for b in range(ne):
                    by_share += h_inv[a, b] * h_jump[a, b]
            k_edge = keep_to_edge(phi_ez[:, :ne], h, jump_z[:ne], by_share, det_z[:ne], w)
        elif code == OK and method != FO:
            # with what is left of Φ_η at the mode that was found, the gradient errs by the square of its error only
            for a in range(ne):
                for b in range(ne):
                    phi_z[a] += 2.0 * omega_inv[a, b] * eta[b]
                column[a] = det_z[a] + phi_z[a]
            if cholesky(phi_ez[:, :ne].copy(), lower):
                cholesky_solve(lower, column, w)
                curvature[i, :, :] = phi_ez
                if optimise != 0:
                    # the mode itself is a step of -Φ_ηη⁻¹Φ_η away, and the objective there
                    cholesky_solve(lower, phi_z[:ne], column)
                    for a in range(ne):
                        etas[i, a] -= column[a]
                        ofv[i] -= (w[a] - 0.5 * column[a]) * phi_z[a]
            else:
                # a saddle between two modes, where a search ends that starts half-way: Φ_ηη is taken as 2H until a later
                # search finds one of them
                for a in range(ne):
                    for b in range(ne):
                        w[a] += 0.5 * h_inv[a, b] * column[b]
        status[i] = code
        if code != OK:
            continue
        for z in range(ne, columns):
            total = phi_z[z] + det_z[z] - k_edge * jump_z[z]
            for k in range(ne):
                total -= w[k] * phi_ez[k, z]
            if z < nz:
                g_theta[i, z - ne] = total
            else:
                g_sigma[i, z - nz] = total
        for a in range(ne):
            for b in range(ne):
                g_precision[i, a, b] = (
                    eta[a] * eta[b] - omega[a, b] + h_inv[a, b] - w[a] * eta[b] - eta[a] * w[b]
                )
