"""Laplace's approximation and adaptive Gauss-Hermite quadrature: the objective of each subject and its exact gradient.

With Φ the penalised objective (:mod:`pkpd.kernels.penalised`), η* its mode, H = ½ Φ_ηη(η*) exactly, and L Lᵀ = H⁻¹,

    OFV = log|Ω| - 2 log|L| - 2 log Σ_q w_q exp(½ |x_q|² - ½ Φ(η* + L x_q)),

over the nodes x_q and weights w_q of Gauss-Hermite quadrature for the standard normal density (Pinheiro & Bates, J Comput Graph
Stat 1995;4:12-35). One node is Laplace's approximation, Φ(η*) + log|Ω| + log|H|.

The gradient needs ∂H/∂z. Its contraction with directions of L is the derivative of the exact Φ_ηz along each column of L,
taken by central differences of fourth order; a column is one posterior standard deviation long, so that a step of 0.02 of it
leaves an error of about 1e-8, and the noise of an adaptive solver is amplified fifty times only. Where an edge
(:mod:`pkpd.kernels.edge`) lies within these steps the differences are taken on the side of the mode, forward or backward.
L moves with H by the derivative of the Cholesky factor, dL = -L φ(Lᵀ dH L), φ taking the lower triangle and half of the
diagonal; everything moves with η* by implicit differentiation.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, MODEL, OBSERVED, SUBJECTS, f8, i8, kernel, prange, void
from pkpd.kernels.complete import records_minus2ll
from pkpd.kernels.correlation import correlation_of
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.edge import crossed, has_edges, keep_to_edge
from pkpd.kernels.foresight import foresee
from pkpd.kernels.inner import EXACT, ROUGH, find_mode
from pkpd.kernels.inverse import invert_positive
from pkpd.kernels.likelihood import to_error_scale
from pkpd.kernels.penalised import first_derivatives, mixed_derivatives
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, NOT_FINITE, OK

_STEP = 0.02  # of a posterior standard deviation
_CENTRAL = (1.0 / 12.0, -8.0 / 12.0, 8.0 / 12.0, -1.0 / 12.0)
_FORWARD = (-25.0 / 12.0, 4.0, -3.0, 4.0 / 3.0, -1.0 / 4.0)


@kernel()
def _free_way(i, center, direction, theta, parameters, system, subjects, p, dp, d2p):
    """1 or -1 where an edge lies near ``center`` and differences are taken forward or backward; 0 where both ways are free."""
    if not has_edges(system):
        return 0
    parameters(0, theta, center, subjects.covariates[i], p, dp, d2p)
    here = p.copy()
    parameters(0, theta, center + 2.0 * _STEP * direction, subjects.covariates[i], p, dp, d2p)
    ahead = crossed(i, here, p, system, subjects)
    parameters(0, theta, center - 2.0 * _STEP * direction, subjects.covariates[i], p, dp, d2p)
    behind = crossed(i, here, p, system, subjects)
    if ahead == behind:
        return 0
    return -1 if ahead else 1


@kernel()
def _second_order(
    i, columns, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, phi_z, phi_ez,
):  # fmt: skip
    """∂Φ/∂z and ∂²Φ/∂η∂z of subject ``i`` at ``eta``; returns a status."""
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    endpoint = subjects.obs_endpoint[o0:o1]
    status = predict_subject(
        i, 2, columns, eta, theta,
        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
        p, dp, d2p, f, f_p, f_pp, fz, fez,
    )  # fmt: skip
    if status == OK:
        at[:] = f
        status = to_error_scale(2, o0, f, fz, fez, endpoint, observed)
    if status == OK:
        mixed_derivatives(
            f, fz, fez, at, links, o0, subjects.obs_time[o0:o1], endpoint, observed, sigma, eta, omega_inv, phi_z, phi_ez
        )  # fmt: skip
    return status


@kernel()
def _node(
    i, order, eta, theta, omega_inv, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, phi_z,
):  # fmt: skip
    """Φ of subject ``i`` at ``eta``, with order 1 its gradient in ``phi_z``; returns (status, Φ)."""
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    endpoint = subjects.obs_endpoint[o0:o1]
    status = predict_subject(
        i, order, fz.shape[1], eta, theta,
        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
        p, dp, d2p, f, f_p, f_pp, fz, fez,
    )  # fmt: skip
    if status != OK:
        return status, np.inf
    if order == 0:
        status, total = records_minus2ll(i, f, subjects, observed, sigma)
        for a in range(eta.shape[0]):
            for b in range(eta.shape[0]):
                total += eta[a] * omega_inv[a, b] * eta[b]
        return status, total
    at[:] = f
    status = to_error_scale(1, o0, f, fz, fez, endpoint, observed)
    if status != OK:
        return status, np.inf
    return first_derivatives(
        f, fz, at, links, o0, subjects.obs_time[o0:o1], endpoint, observed, sigma, eta, omega_inv, phi_z
    )


@kernel(
    void(i8, i8, A2, A1, A2, A1, A2, A2, f8, A1, A1, A2, *MODEL, SUBJECTS, OBSERVED, A1, A3, A3, A2, A2, A3, I1, I1, A1),
    parallel=True,
)  # fmt: skip
def evaluate_laplace(
    gradient_wanted, optimise, nodes, log_weights, etas, theta, omega, omega_inv, log_det_omega, sigma, moved, precision_moved,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    ofv, h_all, curvature, g_theta, g_sigma, g_precision, status, iterations, edges,
):  # fmt: skip
    """Objective of every subject.

    Parameters
    ----------
    nodes (Q, E), log_weights (Q,)
        Of the quadrature; a single node is Laplace's approximation whatever it says.
    gradient_wanted, optimise, etas, theta, omega, omega_inv, log_det_omega, sigma, moved, …
        As in :func:`pkpd.kernels.first_order.evaluate_first_order`; ``h_all`` takes the exact H.
    """
    for i in prange(etas.shape[0]):
        ne, nt, ns = etas.shape[1], theta.shape[0], sigma.shape[0]
        nz = ne + nt
        used = nz if gradient_wanted else ne
        columns = used + ns
        o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
        slots, inputs = system.slots, subjects.change_value.shape[1]
        records = o1 - o0
        f, f_p, f_pp = np.zeros(records), np.zeros((records, slots)), np.zeros((records, slots, slots))
        fz, fez, at = np.zeros((records, used)), np.zeros((records, ne, used)), np.zeros(records)
        p, dp, d2p = np.zeros(slots + inputs), np.zeros((slots, nz)), np.zeros((slots, ne, nz))
        eta, h, lower = etas[i].copy(), np.zeros((ne, ne)), np.zeros((ne, ne))
        phi_z, phi_ez = np.zeros(columns), np.zeros((ne, columns))
        edge, h_jump = np.zeros(1 + ne), np.zeros((ne, ne))
        phi, iteration, near = np.inf, 0, ROUGH if optimise == 2 else EXACT
        code, links = correlation_of(i, subjects, observed, sigma)
        if code == OK and optimise != 0:
            foresee(eta, curvature[i], moved, precision_moved)
        if code == OK:
            code, phi, iteration = find_mode(
                i, 1, optimise, f, links, eta, theta, omega_inv, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez, h, curvature[i, :, :ne], near, edge, h_jump,
            )  # fmt: skip
        iterations[i], edges[i] = iteration, edge[0]
        curvature[i, :, :] = 0.0
        for k in range(ne):
            etas[i, k] = eta[k]
        # of a mode on an edge the far side first; its derivatives are kept as what jumps to there
        jump_z, jump_ez = np.zeros(columns), np.zeros((ne, columns))
        for side in range(2 if edge[0] > 0.0 else 1):
            beyond = edge[0] > 0.0 and side == 0
            place = edge[1:] if beyond else eta
            if code == OK:
                code = _second_order(
                    i, used, place, theta, omega_inv, sigma,
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, phi_z, phi_ez,
                )  # fmt: skip
            if beyond:
                jump_z[:], jump_ez[:, :] = phi_z, phi_ez
        if edge[0] > 0.0:
            for z in range(columns):
                jump_z[z] -= phi_z[z]
                phi_z[z] += edge[0] * jump_z[z]
                for a in range(ne):
                    jump_ez[a, z] -= phi_ez[a, z]
                    phi_ez[a, z] += edge[0] * jump_ez[a, z]
        for a in range(ne):
            for b in range(ne):
                h[a, b] = 0.5 * phi_ez[a, b]
                h_jump[a, b] = 0.5 * jump_ez[a, b]
        # of Φ_ηη, for the implicit derivatives, and of the posterior covariance
        whole, factor, covariance = np.zeros((ne, ne)), np.zeros((ne, ne)), np.zeros((ne, ne))
        if code == OK and edge[0] == 0.0 and not cholesky(phi_ez[:, :ne].copy(), whole):
            code = HESSIAN_NOT_POSITIVE
        if code == OK and not (invert_positive(h, lower, covariance) and cholesky(covariance, factor)):
            code = HESSIAN_NOT_POSITIVE
        status[i] = code
        if code != OK:
            ofv[i] = np.inf
            continue
        h_all[i, :, :] = h
        if edge[0] == 0.0 and gradient_wanted == 1:
            curvature[i, :, :] = phi_ez
        base = log_det_omega
        for k in range(ne):
            base -= 2.0 * math.log(factor[k, k])
        # what the objective moves with: explicitly, through the place of the nodes, and through L
        explicit, by_eta = np.zeros(columns), np.zeros(ne)
        weight, moment = np.eye(ne), np.zeros((ne, ne))
        if nodes.shape[0] == 1:
            ofv[i] = base + phi
            explicit[:] = phi_z
            for a in range(ne):
                # zero, but for the error of the mode: the gradient then errs by its square only
                by_eta[a] = phi_z[a]
                for b in range(ne):
                    moment[a, b] = eta[a] * eta[b]
        else:
            # the largest term first, so that exponentials neither vanish nor overflow
            at_node, node_z = np.zeros(ne), np.zeros(columns)
            shift, total = -0.5 * phi, 0.0
            by_l = np.zeros((ne, ne))
            for q in range(nodes.shape[0]):
                square = 0.0
                for a in range(ne):
                    at_node[a] = eta[a]
                    square += nodes[q, a] ** 2
                    for b in range(a + 1):
                        at_node[a] += factor[a, b] * nodes[q, b]
                code, phi_q = _node(
                    i, gradient_wanted, at_node, theta, omega_inv, sigma,
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, node_z,
                )  # fmt: skip
                if code != OK:
                    break
                share = math.exp(log_weights[q] + 0.5 * square - 0.5 * phi_q - shift)
                total += share
                if gradient_wanted == 0:
                    continue
                for z in range(columns):
                    explicit[z] += share * node_z[z]
                for a in range(ne):
                    for b in range(ne):
                        moment[a, b] += share * at_node[a] * at_node[b]
                        by_l[a, b] += share * node_z[a] * nodes[q, b]
            if code == OK and not (total > 0.0 and total < np.inf):
                code = NOT_FINITE
            status[i] = code
            if code != OK:
                ofv[i] = np.inf
                continue
            ofv[i] = base - 2.0 * (shift + math.log(total))
            for z in range(columns):
                explicit[z] /= total
            for a in range(ne):
                by_eta[a] = explicit[a]
            # Lᵀ ∂/∂L less the part of -2 log|L|; lower triangle, half of the diagonal, made symmetric
            for a in range(ne):
                for b in range(ne):
                    moment[a, b] /= total
            for a in range(ne):
                for b in range(a + 1):
                    product = 0.0
                    for c in range(a, ne):
                        product += factor[c, a] * by_l[c, b] / total
                    if a == b:
                        weight[a, a] = 1.0 - 0.5 * product
                    else:
                        weight[a, b] = -0.5 * product
                        weight[b, a] = weight[a, b]
        if gradient_wanted == 0:
            continue
        # Σ weight · Lᵀ (∂H/∂z) L, column by column of L
        through_h, direction = np.zeros(columns), np.zeros(ne)
        change_z, change = np.zeros(columns), np.zeros((ne, columns))
        for side in range(2 if edge[0] > 0.0 else 1):
            center = edge[1:] if side == 1 else eta
            share = edge[0] if side == 1 else 1.0 - edge[0]
            for k in range(ne):
                direction[:] = 0.0
                for b in range(ne):
                    for a in range(ne):
                        direction[a] += weight[k, b] * factor[a, b]
                way = _free_way(
                    i, center, factor[:, k].copy(), theta, parameters, system, subjects, p, dp, d2p
                )
                for s in range(5 if way != 0 else 4):
                    if way != 0:
                        offset = float(way * s)
                        difference = way * _FORWARD[s] / _STEP
                    else:
                        offset = s - 2.0 if s < 2 else s - 1.0
                        difference = _CENTRAL[s] / _STEP
                    displaced = center + offset * _STEP * factor[:, k]
                    if code == OK:
                        code = _second_order(
                            i, nz, displaced, theta, omega_inv, sigma,
                            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                            p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, change_z, change,
                        )  # fmt: skip
                    for z in range(columns):
                        for a in range(ne):
                            through_h[z] += 0.5 * share * difference * direction[a] * change[a, z]
        status[i] = code
        if code != OK:
            continue
        right, w, k_edge = np.zeros(ne), np.zeros(ne), 0.0
        for a in range(ne):
            right[a] = through_h[a] + by_eta[a]
        if edge[0] > 0.0:
            by_share = 0.0
            for k in range(ne):
                for b in range(ne):
                    for c in range(ne):
                        for d in range(ne):
                            by_share += weight[k, b] * factor[c, k] * h_jump[c, d] * factor[d, b]
            k_edge = keep_to_edge(phi_ez[:, :ne], h, jump_z[:ne], by_share, right, w)
        else:
            cholesky_solve(whole, right, w)
        for z in range(ne, columns):
            total = explicit[z] + through_h[z] - k_edge * jump_z[z]
            for a in range(ne):
                total -= w[a] * phi_ez[a, z]
            if z < nz:
                g_theta[i, z - ne] = total
            else:
                g_sigma[i, z - nz] = total
        for a in range(ne):
            for b in range(ne):
                total = moment[a, b] - omega[a, b] - w[a] * eta[b] - eta[a] * w[b]
                for c in range(ne):
                    for d in range(ne):
                        total += factor[a, c] * weight[c, d] * factor[b, d]
                g_precision[i, a, b] = total
