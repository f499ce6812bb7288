"""First-order conditional estimation with interaction: the objective of each subject and its exact gradient.

With f the prediction, V its residual variance, a = ∂f/∂η, c = ∂log V/∂η, and η* the minimiser of

    Φ(η) = Σ [(y - f)²/V + log V] + ηᵀ Ω⁻¹ η,

the contribution of a subject to the objective (NONMEM's, without n·log 2π) is

    OFV = Φ(η*) + log|Ω| + log|H|,   H = Σ (a aᵀ/V + ½ c cᵀ) + Ω⁻¹.

The gradient follows Almquist, Leander & Jirstrand, J Pharmacokinet Pharmacodyn 2015;42:191-209: Φ is stationary in η, so only
log|H| moves with η*, and ∂η*/∂z = -Φ_ηη⁻¹ Φ_ηz by implicit differentiation; both need second derivatives of f, which are exact.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, I2, MODEL, SUBJECTS, f8, i8, kernel, prange, void
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import (
    HESSIAN_NOT_POSITIVE,
    INNER_NOT_CONVERGED,
    NOT_FINITE,
    OK,
    VARIANCE_NOT_POSITIVE,
)

_MOST_ITERATIONS = 200
# The step that remains at the mode is below 1e-8 posterior SDs: so is the error that it leaves in the gradient.
_TOLERANCE = 1e-16
# Fisher scoring (Hessian 2H) is quick far from the mode and slow near it when residuals are large: then BFGS takes over.
_SCORING_STEPS = 4


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
def variance(f, additive, proportional):
    """Residual variance and its first and second derivative to the prediction."""
    return additive**2 + (proportional * f) ** 2, 2.0 * proportional**2 * f, 2.0 * proportional**2


@kernel()
def _inner(f, fz, value, used, endpoint, residual, sigma, eta, omega_inv, gradient, h):
    """Φ at ``eta`` with its gradient and H; returns (status, Φ)."""
    ne = eta.shape[0]
    total = 0.0
    for i in range(ne):
        gradient[i] = 0.0
        for j in range(ne):
            h[i, j] = omega_inv[i, j]
            gradient[i] += 2.0 * omega_inv[i, j] * eta[j]
        total += 0.5 * gradient[i] * eta[i]
    for o in range(f.shape[0]):
        if used[o] == 0:
            continue
        ia, ip = residual[endpoint[o], 0], residual[endpoint[o], 1]
        v, vf, _ = variance(f[o], sigma[ia] if ia >= 0 else 0.0, sigma[ip] if ip >= 0 else 0.0)
        if not v > 0.0:
            return VARIANCE_NOT_POSITIVE, np.inf
        e = value[o] - f[o]
        total += e * e / v + math.log(v)
        slope = -2.0 * e / v + (1.0 / v - e * e / (v * v)) * vf
        weight = 1.0 / v + 0.5 * (vf / v) ** 2
        for i in range(ne):
            gradient[i] += slope * fz[o, i]
            for j in range(i + 1):
                h[i, j] += weight * fz[o, i] * fz[o, j]
    for i in range(ne):
        for j in range(i):
            h[j, i] = h[i, j]
    return (OK if math.isfinite(total) else NOT_FINITE), total


@kernel()
def _objective_gradient(
    f,
    fz,
    fez,
    value,
    used,
    endpoint,
    residual,
    sigma,
    eta,
    omega,
    omega_inv,
    h_inv,
    g_theta,
    g_sigma,
    g_precision,
):
    """Exact gradient of one subject's objective to thetas, sigmas and Ω⁻¹ (as a symmetric matrix), at its mode."""
    ne, nz = fez.shape[1], fez.shape[2]
    ns = sigma.shape[0]
    columns = nz + ns
    # explicit derivative of Φ, of log|H|, and Φ_ηz; columns of z: eta, theta, sigma
    phi_z, det_z = np.zeros(columns), np.zeros(columns)
    phi_ez = np.zeros((ne, columns))
    v_z, f_z = np.zeros(columns), np.zeros(columns)
    v_ez, f_ez = np.zeros((ne, columns)), np.zeros((ne, columns))
    ha, hc, c = np.zeros(ne), np.zeros(ne), np.zeros(ne)
    for i in range(ne):
        for j in range(ne):
            phi_ez[i, j] = 2.0 * omega_inv[i, j]
    for o in range(f.shape[0]):
        if used[o] == 0:
            continue
        ia, ip = residual[endpoint[o], 0], residual[endpoint[o], 1]
        sp = sigma[ip] if ip >= 0 else 0.0
        v, vf, vff = variance(f[o], sigma[ia] if ia >= 0 else 0.0, sp)
        e = value[o] - f[o]
        for z in range(nz):
            f_z[z] = fz[o, z]
            v_z[z] = vf * fz[o, z]
            for i in range(ne):
                f_ez[i, z] = fez[o, i, z]
                v_ez[i, z] = vff * fz[o, i] * fz[o, z] + vf * fez[o, i, z]
        for s in range(ns):
            f_z[nz + s] = 0.0
            v_z[nz + s] = 0.0
            for i in range(ne):
                f_ez[i, nz + s] = 0.0
                v_ez[i, nz + s] = 0.0
        if ia >= 0:
            v_z[nz + ia] += 2.0 * sigma[ia]
        if ip >= 0:
            v_z[nz + ip] += 2.0 * sp * f[o] ** 2
            for i in range(ne):
                v_ez[i, nz + ip] += 4.0 * sp * f[o] * fz[o, i]
        quad_a, quad_c = 0.0, 0.0
        for i in range(ne):
            c[i] = v_z[i] / v
            ha[i] = 0.0
            hc[i] = 0.0
        for i in range(ne):
            for j in range(ne):
                ha[i] += h_inv[i, j] * fz[o, j]
                hc[i] += h_inv[i, j] * c[j]
        for i in range(ne):
            quad_a += fz[o, i] * ha[i]
            quad_c += c[i] * hc[i]
        s1 = 1.0 / v - e * e / (v * v)
        for z in range(columns):
            phi_z[z] += -2.0 * e * f_z[z] / v + s1 * v_z[z]
            det = -quad_a * v_z[z] / (v * v) - quad_c * v_z[z] / v
            ds1 = -v_z[z] / (v * v) + 2.0 * e * f_z[z] / (v * v) + 2.0 * e * e * v_z[z] / (v * v * v)
            for i in range(ne):
                det += 2.0 * ha[i] * f_ez[i, z] / v + hc[i] * v_ez[i, z] / v
                phi_ez[i, z] += (
                    2.0 * f_z[z] * fz[o, i] / v
                    - 2.0 * e * f_ez[i, z] / v
                    + 2.0 * e * fz[o, i] * v_z[z] / (v * v)
                    + ds1 * v_z[i]
                    + s1 * v_ez[i, z]
                )
            det_z[z] += det
    # w = Φ_ηη⁻¹ ∂log|H|/∂η
    w = np.zeros(ne)
    lower = np.zeros((ne, ne))
    hessian = phi_ez[:, :ne].copy()
    if not cholesky(hessian, lower):
        return HESSIAN_NOT_POSITIVE
    cholesky_solve(lower, det_z[:ne], w)
    for z in range(ne, columns):
        total = phi_z[z] + det_z[z]
        for i in range(ne):
            total -= w[i] * phi_ez[i, z]
        if z < nz:
            g_theta[z - ne] = total
        else:
            g_sigma[z - nz] = total
    for i in range(ne):
        for j in range(ne):
            g_precision[i, j] = eta[i] * eta[j] - omega[i, j] + h_inv[i, j] - w[i] * eta[j] - eta[i] * w[j]
    return OK


@kernel(
    void(i8, i8, A2, A1, A2, A2, f8, A1, *MODEL, SUBJECTS, A1, I1, I2, A1, A3, A2, A2, A3, I1, I1),
    parallel=True,
)
def evaluate_focei(
    gradient_wanted, optimise, etas, theta, omega, omega_inv, log_det_omega, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
    value, used, residual,
    ofv, h_all, g_theta, g_sigma, g_precision, status, iterations,
):  # fmt: skip
    """Objective of every subject.

    Parameters
    ----------
    gradient_wanted, optimise : int
        Whether the gradient is computed; whether the mode is searched from ``etas`` (else ``etas`` are taken as they are).
    etas : (N, E) array
        In: where the search starts (zero if that fails). Out: the empirical Bayes estimates.
    theta (T,), omega (E, E), omega_inv (E, E), log_det_omega, sigma (S,)
        Population parameters.
    value, used : (O,) arrays
        Observations, and whether each counts.
    residual : (K, 2) array
        Positions of each endpoint's additive and proportional SD in ``sigma``.
    ofv (N,), h_all (N, E, E), g_theta (N, T), g_sigma (N, S), g_precision (N, E, E), status (N,), iterations (N,)
        Filled: each subject writes its own row, so that nothing depends on the number of threads.
    """
    for i in prange(etas.shape[0]):
        ne, nt = etas.shape[1], theta.shape[0]
        nz = ne + nt
        o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
        slots, inputs = system.slots, subjects.change_value.shape[1]
        records = o1 - o0
        second = records if gradient_wanted else 0
        f, f_p, f_pp = np.zeros(records), np.zeros((records, slots)), np.zeros((second, slots, slots))
        fz, fez = np.zeros((records, nz)), np.zeros((second, ne, nz))
        p, dp, d2p = np.zeros(slots + inputs), np.zeros((slots, nz)), np.zeros((slots, ne, nz))
        eta, trial, step = np.zeros(ne), etas[i].copy(), np.zeros(ne)
        g, h, lower = np.zeros(ne), np.zeros((ne, ne)), np.zeros((ne, ne))
        g_new, h_new = np.zeros(ne), np.zeros((ne, ne))
        b, bs = np.zeros((ne, ne)), np.zeros(ne)
        phi = np.inf
        code = INNER_NOT_CONVERGED
        iteration, accepted, length, decrease = 0, 0, 1.0, 0.0
        while iteration < _MOST_ITERATIONS:
            iteration += 1
            trial_status = predict_subject(
                i, 1, ne, trial, theta,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            phi_trial = np.inf
            if trial_status == OK:
                trial_status, phi_trial = _inner(
                    f,
                    fz,
                    value[o0:o1],
                    used[o0:o1],
                    subjects.obs_endpoint[o0:o1],
                    residual,
                    sigma,
                    trial,
                    omega_inv,
                    g_new,
                    h_new,
                )
            if optimise == 0:
                code, phi = trial_status, phi_trial
                h[:, :] = h_new
                eta[:] = trial
                break
            if phi == np.inf and trial_status != OK:
                # no start has worked yet: zero is the last one to try
                nonzero = False
                for k in range(ne):
                    nonzero = nonzero or trial[k] != 0.0
                if not nonzero:
                    code = trial_status
                    break
                trial[:] = 0.0
                continue
            accept = trial_status == OK and (phi == np.inf or phi_trial <= phi - 1e-4 * length * decrease)
            # below the rounding error of Φ its differences say nothing: take the full step that the gradient asks for
            if not accept and trial_status == OK and length == 1.0 and decrease < 1e-9 * (1.0 + abs(phi)):
                accept = True
            if accept:
                update = accepted >= _SCORING_STEPS
                if update:
                    update = _bfgs(b, trial, eta, g_new, g, bs)
                phi = phi_trial
                eta[:] = trial
                g[:] = g_new
                h[:, :] = h_new
                if not update:
                    for k in range(ne):
                        for m in range(ne):
                            b[k, m] = 2.0 * h[k, m]
                accepted += 1
                if not cholesky(b, lower):
                    code = HESSIAN_NOT_POSITIVE
                    break
                for k in range(ne):
                    g_new[k] = -g[k]
                cholesky_solve(lower, g_new, step)
                decrease = 0.0
                for k in range(ne):
                    decrease -= g[k] * step[k]
                if not decrease > _TOLERANCE:
                    code = OK if decrease >= -_TOLERANCE else NOT_FINITE
                    break
                length = 1.0
            else:
                length *= 0.5
                if length < 1e-10:
                    # no descent is left within rounding
                    code = OK if decrease < 1e-9 * (1.0 + abs(phi)) else INNER_NOT_CONVERGED
                    break
            for k in range(ne):
                trial[k] = eta[k] + length * step[k]
        iterations[i] = iteration
        status[i] = code
        for k in range(ne):
            etas[i, k] = eta[k]
        if code != OK:
            ofv[i] = np.inf
            continue
        if not cholesky(h, lower):
            status[i] = HESSIAN_NOT_POSITIVE
            ofv[i] = np.inf
            continue
        total = phi + log_det_omega
        for k in range(ne):
            total += 2.0 * math.log(lower[k, k])
        ofv[i] = total
        for a in range(ne):
            for b in range(ne):
                h_all[i, a, b] = h[a, b]
        if gradient_wanted == 0:
            continue
        status[i] = predict_subject(
            i, 2, nz, eta, theta,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
            p, dp, d2p, f, f_p, f_pp, fz, fez,
        )  # fmt: skip
        if status[i] != OK:
            continue
        h_inv, unit, column = np.zeros((ne, ne)), np.zeros(ne), np.zeros(ne)
        for a in range(ne):
            unit[:] = 0.0
            unit[a] = 1.0
            cholesky_solve(lower, unit, column)
            for b in range(ne):
                h_inv[b, a] = column[b]
        status[i] = _objective_gradient(
            f, fz, fez, value[o0:o1], used[o0:o1], subjects.obs_endpoint[o0:o1], residual, sigma, eta, omega, omega_inv, h_inv,
            g_theta[i], g_sigma[i], g_precision[i],
        )  # fmt: skip
