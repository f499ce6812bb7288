"""The penalised objective of one subject and its derivatives: what every estimation method is made of.

With L(m, V) a record's share of -2 log-likelihood (:mod:`pkpd.kernels.likelihood`), Φ(η) = Σ L(m, V) + ηᵀ Ω⁻¹ η. Its columns
of derivatives are z = (eta, theta, sigma). With interaction V is taken at the subject's prediction, without it at the
prediction of the typical subject (eta zero), where it does not move with η.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.correlation import add_curvature, add_derivatives, add_value
from pkpd.kernels.likelihood import DIRECT, MEASURED, MEASURED_POSITIVE, UNUSED, contribution
from pkpd.kernels.status import NOT_FINITE, OK, VARIANCE_NOT_POSITIVE
from pkpd.kernels.variance import error_variance, variance_columns


@kernel()
def penalised(m, mz, at, interaction, links, first, endpoint, observed, sigma, eta, omega_inv, gradient, h):
    """Φ at ``eta`` with its gradient and its curvature of first order; returns (status, Φ).

    Parameters
    ----------
    m, mz : (O,) and (O, >= E) arrays
        Predictions on the error scale, and derivatives to the etas.
    at : (O,) array
        Predictions at which the residual variance is taken: those of the subject (``interaction`` 1) or of the typical one.
    links : tuple
        Of :func:`pkpd.kernels.correlation.correlation_of`.
    first : int
        Place of the subject's first record in ``observed``.
    gradient, h : (E,) and (E, E) arrays
        Filled: ∂Φ/∂η, and H = Σ (w a aᵀ + ½ c cᵀ) + Ω⁻¹, a = ∂m/∂η, c = ∂log V/∂η (of measured records), and what
        correlation adds.
    """
    ne = eta.shape[0]
    total = 0.0
    for i in range(ne):
        gradient[i] = 0.0
        for j in range(ne):
            h[i, j] = omega_inv[i, j]
            gradient[i] += 2.0 * omega_inv[i, j] * eta[j]
        total += 0.5 * gradient[i] * eta[i]
    for o in range(m.shape[0]):
        kind = observed.kind[first + o]
        if kind == UNUSED:
            continue
        v, vf, _, _, _, _, _, _, _ = error_variance(at[o], observed.residual[endpoint[o]], sigma)
        if kind != DIRECT and not v > 0.0:
            return VARIANCE_NOT_POSITIVE, np.inf
        share, lm, lv, _, _, _, weight, _, _ = contribution(
            m[o], v, observed.value[first + o], observed.limit[first + o], kind
        )
        total += share
        slope = lm
        if interaction == 1:
            slope += lv * vf
            if kind == MEASURED or kind == MEASURED_POSITIVE:
                weight += 0.5 * (vf / v) ** 2
        for i in range(ne):
            gradient[i] += slope * mz[o, i]
            for j in range(i + 1):
                h[i, j] += weight * mz[o, i] * mz[o, j]
    for i in range(ne):
        for j in range(i):
            h[j, i] = h[i, j]
    total += add_curvature(links, m, mz, at, interaction, first, endpoint, observed, sigma, gradient, h)
    return (OK if math.isfinite(total) else NOT_FINITE), total


@kernel()
def mixed_derivatives(
    m, mz, mez, at, links, first, time, endpoint, observed, sigma, eta, omega_inv, phi_z, phi_ez
):  # fmt: skip
    """Exact first and second derivatives of Φ (with interaction): fills ``phi_z`` (E+T+S,), ``phi_ez`` (E, E+T+S)."""
    ne, nz = mez.shape[1], mez.shape[2]
    columns = nz + sigma.shape[0]
    v_z, v_ez = np.zeros(columns), np.zeros((ne, columns))
    for z in range(columns):
        phi_z[z] = 0.0
        for i in range(ne):
            phi_ez[i, z] = 0.0
    for i in range(ne):
        for j in range(ne):
            phi_ez[i, j] = 2.0 * omega_inv[i, j]
            phi_z[i] += 2.0 * omega_inv[i, j] * eta[j]
    for o in range(m.shape[0]):
        kind = observed.kind[first + o]
        if kind == UNUSED:
            continue
        v = variance_columns(o, 1, at, mz, mez, mz, observed.residual[endpoint[o]], sigma, v_z, v_ez)
        _, lm, lv, lmm, lmv, lvv, _, _, _ = contribution(
            m[o], v, observed.value[first + o], observed.limit[first + o], kind
        )
        add_record(o, lm, lv, lmm, lmv, lvv, mz, mez, v_z, v_ez, phi_z, phi_ez)
    add_derivatives(
        links, m, mz, mez, at, mz, 1, first, time, endpoint, observed, sigma, omega_inv, phi_z, phi_ez, np.zeros(0)
    )  # fmt: skip


@kernel()
def add_record(o, lm, lv, lmm, lmv, lvv, mz, mez, v_z, v_ez, phi_z, phi_ez):
    """Add record ``o`` to ∂Φ/∂z and ∂²Φ/∂η∂z by the chain rule through m and V."""
    ne, nz = mez.shape[1], mez.shape[2]
    for z in range(phi_z.shape[0]):
        slope = mz[o, z] if z < nz else 0.0
        phi_z[z] += lm * slope + lv * v_z[z]
        by_m = lmm * slope + lmv * v_z[z]
        by_v = lmv * slope + lvv * v_z[z]
        for i in range(ne):
            phi_ez[i, z] += by_m * mz[o, i] + by_v * v_z[i] + lv * v_ez[i, z]
            if z < nz:
                phi_ez[i, z] += lm * mez[o, i, z]


@kernel()
def first_derivatives(m, mz, at, links, first, time, endpoint, observed, sigma, eta, omega_inv, phi_z):
    """Φ and its exact gradient (with interaction) to all columns: fills ``phi_z`` (E+T+S,); returns (status, Φ)."""
    ne, nz = eta.shape[0], mz.shape[1]
    total = 0.0
    phi_z[:] = 0.0
    for i in range(ne):
        for j in range(ne):
            phi_z[i] += 2.0 * omega_inv[i, j] * eta[j]
        total += 0.5 * phi_z[i] * eta[i]
    for o in range(m.shape[0]):
        kind = observed.kind[first + o]
        if kind == UNUSED:
            continue
        row = observed.residual[endpoint[o]]
        v, vf, _, va, vb, vc, _, _, _ = error_variance(at[o], row, sigma)
        if kind != DIRECT and not v > 0.0:
            return VARIANCE_NOT_POSITIVE, np.inf
        share, lm, lv, _, _, _, _, _, _ = contribution(
            m[o], v, observed.value[first + o], observed.limit[first + o], kind
        )
        total += share
        for z in range(nz):
            phi_z[z] += (lm + lv * vf) * mz[o, z]
        for k in range(3):
            if row[k] >= 0:
                phi_z[nz + row[k]] += lv * (va if k == 0 else (vb if k == 1 else vc))
    if links[0].shape[0] > 0:
        total += add_value(links, m, at, first, endpoint, observed, sigma)
        no_eta = np.zeros((m.shape[0], 0, nz))
        add_derivatives(
            links, m, mz, no_eta, at, mz, 1, first, time, endpoint, observed, sigma, omega_inv, phi_z,
            np.zeros((0, phi_z.shape[0])), np.zeros(0),
        )  # fmt: skip
    return (OK if math.isfinite(total) else NOT_FINITE), total
