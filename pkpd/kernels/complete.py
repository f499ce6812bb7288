"""A subject's records given its random effects: -2 log-likelihood, and score and curvature to what no random effect carries.

The parts of the complete-data likelihood p(y | η; θ, σ)·p(η; Ω) that the samplers and the methods built on them share.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.likelihood import DIRECT, UNUSED, contribution, error_variance, records_minus2ll
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import OK


@kernel()
def work_arrays(order, records, slots, inputs, ne, nt):
    """The arrays p, dp, d2p, f, f_p, f_pp, fz, fez of :func:`predict_subject` at order 0 or 1."""
    first = records if order >= 1 else 0
    nz = ne + nt
    return (
        np.zeros(slots + inputs), np.zeros((slots, nz)), np.zeros((0, ne, nz)), np.zeros(records),
        np.zeros((first, slots)), np.zeros((0, slots, slots)), np.zeros((first, nz)), np.zeros((0, ne, nz)),
    )  # fmt: skip


@kernel()
def minus2ll_given(
    i, order, eta, theta, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez,
):  # fmt: skip
    """-2 log p(y | η) of subject ``i`` (log 2π dropped), with its status; inf where that is not OK."""
    status = predict_subject(
        i, order, fz.shape[1], eta, theta,
        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects,
        p, dp, d2p, f, f_p, f_pp, fz, fez,
    )  # fmt: skip
    if status != OK:
        return status, np.inf
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    return records_minus2ll(o0, f, subjects.obs_endpoint[o0:o1], observed, sigma)


@kernel()
def add_score(i, weight, ne, f, fz, subjects, observed, sigma, moving, m_z, v_z, g, h):
    """Add ``weight`` times the score of -2 log p(y | η) to (``moving`` thetas, sigmas) to ``g``, its curvature to ``h``.

    Parameters
    ----------
    f : (O,), fz : (O, eta + theta)
        Predictions and their derivatives; ``fz`` is not read where ``moving`` is empty.
    moving : (M,) int array
        Thetas.
    m_z, v_z : (M + S,) arrays
        Work.
    g (M + S,), h (M + S, M + S)
        The curvature is the expected one of measured values and never negative (see
        :func:`pkpd.kernels.likelihood.contribution`).
    """
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    count, columns = moving.shape[0], g.shape[0]
    for o in range(o1 - o0):
        kind = observed.kind[o0 + o]
        if kind == UNUSED:
            continue
        row = observed.residual[subjects.obs_endpoint[o0 + o]]
        v, v_f, _, v_a, v_b, v_c, _, _, _ = error_variance(f[o], row, sigma)
        m, m_f = f[o], 1.0
        if kind != DIRECT and row[4] == 1:
            m, m_f = math.log(f[o]), 1.0 / f[o]
        _, l_m, l_v, _, _, _, w, _, _ = contribution(
            m, v, observed.value[o0 + o], observed.limit[o0 + o], kind
        )
        for z in range(count):
            slope = fz[o, ne + moving[z]]
            m_z[z], v_z[z] = m_f * slope, v_f * slope
        for z in range(count, columns):
            m_z[z], v_z[z] = 0.0, 0.0
        if kind != DIRECT:
            if row[0] >= 0:
                v_z[count + row[0]] += v_a
            if row[1] >= 0:
                v_z[count + row[1]] += v_b
            if row[2] >= 0:
                v_z[count + row[2]] += v_c
        for z in range(columns):
            g[z] += weight * (l_m * m_z[z] + l_v * v_z[z])
            for y in range(z + 1):
                curve = 2.0 * w * m_z[z] * m_z[y]
                if kind != DIRECT:
                    curve += v_z[z] * v_z[y] / (v * v)
                h[z, y] += weight * curve
    for z in range(columns):
        for y in range(z):
            h[y, z] = h[z, y]
