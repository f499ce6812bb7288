"""Laplace's approximation and adaptive Gauss-Hermite quadrature: the objective of each subject and its exact gradient.

With Φ the penalised objective (:mod:`pkpd.kernels.penalised`), η* its mode, H = ½ Φ_ηη(η*) exactly, and L Lᵀ = H⁻¹,

    OFV = log|Ω| - 2 log|L| - 2 log Σ_q w_q exp(½ |x_q|² - ½ Φ(η* + L x_q)),

over the nodes x_q and weights w_q of Gauss-Hermite quadrature for the standard normal density (Pinheiro & Bates, J Comput Graph
Stat 1995;4:12-35). One node is Laplace's approximation, Φ(η*) + log|Ω| + log|H|.

The gradient needs ∂H/∂z. Its contraction with directions of L is the derivative of the exact Φ_ηz along each column of L,
taken by central differences of fourth order; a column is one posterior standard deviation long, so that a step of 0.02 of it
leaves an error of about 1e-8, and the noise of an adaptive solver is amplified fifty times only. L moves with H by the
derivative of the Cholesky factor, dL = -L φ(Lᵀ dH L), φ taking the lower triangle and half of the diagonal; everything moves
with η* by implicit differentiation.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, MODEL, OBSERVED, SUBJECTS, f8, i8, kernel, prange, void
from pkpd.kernels.complete import records_minus2ll
from pkpd.kernels.correlation import correlation_of
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.inner import EXACT, ROUGH, find_mode
from pkpd.kernels.inverse import invert_positive
from pkpd.kernels.likelihood import to_error_scale
from pkpd.kernels.penalised import first_derivatives, mixed_derivatives
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, NOT_FINITE, OK

_STEP = 0.02  # of a posterior standard deviation


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
    void(i8, i8, A2, A1, A2, A1, A2, A2, f8, A1, *MODEL, SUBJECTS, OBSERVED, A1, A3, A3, A2, A2, A3, I1, I1),
    parallel=True,
)
def evaluate_laplace(
    gradient_wanted, optimise, nodes, log_weights, etas, theta, omega, omega_inv, log_det_omega, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    ofv, h_all, curvature, g_theta, g_sigma, g_precision, status, iterations,
):  # fmt: skip
    """Objective of every subject.

    Parameters
    ----------
    nodes (Q, E), log_weights (Q,)
        Of the quadrature; a single node is Laplace's approximation whatever it says.
    gradient_wanted, optimise, etas, theta, omega, omega_inv, log_det_omega, sigma, ofv, h_all, …
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
        phi, iteration = np.inf, 0
        code, links = correlation_of(i, subjects, observed, sigma)
        if code == OK:
            code, phi, iteration = find_mode(
                i, 1, optimise, f, links, eta, theta, omega_inv, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez, h, curvature[i], ROUGH if optimise == 2 else EXACT,
            )  # fmt: skip
        iterations[i] = iteration
        curvature[i, :, :] = 0.0
        for k in range(ne):
            etas[i, k] = eta[k]
        if code == OK:
            code = _second_order(
                i, used, eta, theta, omega_inv, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, phi_z, phi_ez,
            )  # fmt: skip
        for a in range(ne):
            for b in range(ne):
                h[a, b] = 0.5 * phi_ez[a, b]
        # of Φ_ηη, for the implicit derivatives, and of the posterior covariance
        whole, factor, covariance = np.zeros((ne, ne)), np.zeros((ne, ne)), np.zeros((ne, ne))
        if code == OK and not cholesky(phi_ez[:, :ne].copy(), whole):
            code = HESSIAN_NOT_POSITIVE
        if code == OK and not (invert_positive(h, lower, covariance) and cholesky(covariance, factor)):
            code = HESSIAN_NOT_POSITIVE
        status[i] = code
        if code != OK:
            ofv[i] = np.inf
            continue
        h_all[i, :, :] = h
        curvature[i, :, :] = phi_ez[:, :ne]
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
        through_h, direction, moved = np.zeros(columns), np.zeros(ne), np.zeros(ne)
        change_z, change = np.zeros(columns), np.zeros((ne, columns))
        for k in range(ne):
            direction[:] = 0.0
            for b in range(ne):
                for a in range(ne):
                    direction[a] += weight[k, b] * factor[a, b]
            for s in range(4):
                offset = -2.0 if s == 0 else (-1.0 if s == 1 else (1.0 if s == 2 else 2.0))
                difference = (1.0 if s == 0 else (-8.0 if s == 1 else (8.0 if s == 2 else -1.0))) / (
                    12.0 * _STEP
                )
                for a in range(ne):
                    moved[a] = eta[a] + offset * _STEP * factor[a, k]
                if code == OK:
                    code = _second_order(
                        i, nz, moved, theta, omega_inv, sigma,
                        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                        p, dp, d2p, f, f_p, f_pp, fz, fez, at, links, change_z, change,
                    )  # fmt: skip
                for z in range(columns):
                    for a in range(ne):
                        through_h[z] += 0.5 * difference * direction[a] * change[a, z]
        status[i] = code
        if code != OK:
            continue
        right, w = np.zeros(ne), np.zeros(ne)
        for a in range(ne):
            right[a] = through_h[a] + by_eta[a]
        cholesky_solve(whole, right, w)
        for z in range(ne, columns):
            total = explicit[z] + through_h[z]
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
