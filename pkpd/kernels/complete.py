"""A subject's records given its random effects: -2 log-likelihood, and score and curvature to what no random effect carries.

The parts of the complete-data likelihood p(y | η; θ, σ)·p(η; Ω) that the samplers and the methods built on them share.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, OBSERVED, SUBJECTS, f8, i8, kernel, types
from pkpd.kernels.correlation import add_correlated_score, add_value, correlation_of, may_correlate
from pkpd.kernels.likelihood import DIRECT, MEASURED, UNUSED, contribution
from pkpd.kernels.prediction import predict_subject
from pkpd.kernels.status import NOT_FINITE, OK, PREDICTION_NOT_POSITIVE, VARIANCE_NOT_POSITIVE
from pkpd.kernels.variance import error_variance


@kernel()
def work_arrays(order, records, slots, inputs, ne, nt):
    """The arrays p, dp, d2p, f, f_p, f_pp, fz, fez of :func:`predict_subject` at order 0 or 1."""
    first = records if order >= 1 else 0
    nz = ne + nt
    return (
        np.zeros(slots + inputs), np.zeros((slots, nz)), np.zeros((0, ne, nz)), np.zeros(records),
        np.zeros((first, slots)), np.zeros((0, slots, slots)), np.zeros((first, nz)), np.zeros((0, ne, nz)),
    )  # fmt: skip


@kernel(allocates=False)
def _independent_minus2ll(first, endpoint, f, observed, sigma, on_scale):
    """What the records add up to where none is correlated, with a status; fills ``on_scale`` unless it is empty."""
    total = 0.0
    for o in range(f.shape[0]):
        kind = observed.kind[first + o]
        if kind == UNUSED:
            continue
        row = observed.residual[endpoint[o]]
        v = error_variance(f[o], row, sigma)[0]
        m = f[o]
        if kind != DIRECT:
            if not v > 0.0:
                return VARIANCE_NOT_POSITIVE, np.inf
            if row[4] == 1:
                if not m > 0.0:
                    return PREDICTION_NOT_POSITIVE if m <= 0.0 else NOT_FINITE, np.inf
                m = math.log(m)
                if on_scale.shape[0] > 0:
                    on_scale[o] = m
        total += contribution(m, v, observed.value[first + o], observed.limit[first + o], kind)[0]
    return (OK, total) if math.isfinite(total) else (NOT_FINITE, np.inf)


@kernel(types.Tuple((i8, f8))(i8, A1, SUBJECTS, OBSERVED, A1))
def _correlated_minus2ll(i, f, subjects, observed, sigma):
    first = subjects.obs_offsets[i]
    endpoint = subjects.obs_endpoint[first : subjects.obs_offsets[i + 1]]
    status, links = correlation_of(i, subjects, observed, sigma)
    if status != OK:
        return status, np.inf
    on_scale = f.copy()
    status, total = _independent_minus2ll(first, endpoint, f, observed, sigma, on_scale)
    total += add_value(links, on_scale, f, first, endpoint, observed, sigma)
    return (OK, total) if status == OK and math.isfinite(total) else (max(status, NOT_FINITE), np.inf)


@kernel(allocates=False)
def records_minus2ll(i, f, subjects, observed, sigma):
    """-2 log-likelihood of the records of subject ``i`` given its predictions, for samplers.

    Parameters
    ----------
    f : (O,) array
        Predictions as the solver gives them.
    subjects : Subjects
    observed : Observed
    sigma : (S,) array

    Returns
    -------
    status : int
    L : float
        inf where the status is not OK.
    """
    if may_correlate(observed.residual):
        return _correlated_minus2ll(i, f, subjects, observed, sigma)
    first = subjects.obs_offsets[i]
    endpoint = subjects.obs_endpoint[first : subjects.obs_offsets[i + 1]]
    return _independent_minus2ll(first, endpoint, f, observed, sigma, f[:0])


@kernel(allocates=False)
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
    return records_minus2ll(i, f, subjects, observed, sigma)


@kernel(allocates=False)
def _record_slopes(o, kind, ne, f, fz, endpoint, observed, sigma, moving, m_z, v_z):
    """Fill ∂m/∂z and ∂V/∂z of record ``o``, z = (``moving`` thetas, sigmas); returns m and V."""
    count, columns = moving.shape[0], m_z.shape[0]
    row = observed.residual[endpoint[o]]
    v, v_f, _, v_a, v_b, v_c, _, _, _ = error_variance(f[o], row, sigma)
    m, m_f = f[o], 1.0
    if kind != DIRECT and row[4] == 1:
        m, m_f = math.log(f[o]), 1.0 / f[o]
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
    return m, v


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
    endpoint = subjects.obs_endpoint[o0:o1]
    columns = g.shape[0]
    for o in range(o1 - o0):
        kind = observed.kind[o0 + o]
        if kind == UNUSED:
            continue
        m, v = _record_slopes(o, kind, ne, f, fz, endpoint, observed, sigma, moving, m_z, v_z)
        _, l_m, l_v, _, _, _, w, _, _ = contribution(
            m, v, observed.value[o0 + o], observed.limit[o0 + o], kind
        )
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
    if not may_correlate(observed.residual):
        return
    _, links = correlation_of(i, subjects, observed, sigma)
    who = links[0]
    if who.shape[0] == 0:
        return
    on_scale = f.copy()
    a_z, c_z = np.zeros((who.shape[0], columns)), np.zeros((who.shape[0], columns))
    for k in range(who.shape[0]):
        o = who[k]
        on_scale[o], v = _record_slopes(o, MEASURED, ne, f, fz, endpoint, observed, sigma, moving, m_z, v_z)
        for z in range(columns):
            a_z[k, z], c_z[k, z] = m_z[z] / math.sqrt(v), v_z[z] / v
    add_correlated_score(
        links, weight, on_scale, f, a_z, c_z, o0, subjects.obs_time[o0:o1], endpoint, observed, sigma, g, h
    )
