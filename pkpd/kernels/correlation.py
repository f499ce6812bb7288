"""Residual errors that are correlated: between endpoints measured together, and in time within an endpoint.

With V the residual variances, S their roots on a diagonal, and u = S⁻¹(y - m), the records of a subject that are correlated have
the covariance S C S, where C depends on the records' times and on population parameters alone: ρ between the k-th records of
two endpoints at one time, exp(-rate·|t - s|) between two records of an endpoint (an autoregressive error of first order in
continuous time; Jones & Boadi-Boateng, Biometrics 1991;47:161-175). What correlation adds to -2 log-likelihood of independent
records is uᵀ(P - 1)u + log|C|, P = C⁻¹, and to its expected curvature, with a = S⁻¹ ∂m/∂η and c = ∂log V/∂η,

    H gains Σ_kl (P - 1)_kl a_k a_lᵀ + ¼ (P∘C - 1)_kl c_k c_lᵀ,

because ½ tr(R⁻¹ R_i R⁻¹ R_j) of R = S C S is ¼ Σ_kl (1 + P∘C)_kl c_ki c_lj. Functions of this module add these parts; ``links``
is what :func:`correlation_of` returns.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, I1, I2, kernel, void
from pkpd.kernels.dense import cholesky
from pkpd.kernels.inverse import invert_factored
from pkpd.kernels.likelihood import MEASURED
from pkpd.kernels.status import OK, VARIANCE_NOT_POSITIVE
from pkpd.kernels.variance import error_variance, variance_columns

# Columns of Observed.residual, which has them where a model correlates: the rate of an endpoint, then its ρ with each endpoint.
RATE, RHO = 5, 6


@kernel(allocates=False)
def may_correlate(residual):
    """Whether errors of any endpoint may be correlated."""
    return residual.shape[1] > RATE


@kernel(allocates=False)
def _coupled(endpoint, residual):
    """Whether errors of the endpoint are correlated at all."""
    found = False
    for s in range(RATE, residual.shape[1]):
        found = found or residual[endpoint, s] >= 0
    return found


@kernel()
def is_correlation(s, residual):
    """Whether ``sigma[s]`` is a ρ."""
    for a in range(residual.shape[0]):
        for b in range(RHO, residual.shape[1]):
            if residual[a, b] == s:
                return True
    return False


@kernel()
def _fill(who, time, endpoint, residual, sigma, s, c):
    """C, or with ``s`` >= 0 its derivative to ``sigma[s]``."""
    n = who.shape[0]
    rank = np.zeros(n, dtype=np.int64)  # among the records of one endpoint and time
    for k in range(n):
        c[k, k] = 1.0 if s < 0 else 0.0
        for j in range(k):
            a, b = who[j], who[k]
            alike, together = endpoint[a] == endpoint[b], time[a] == time[b]
            if alike and together:
                rank[k] += 1
            which = residual[endpoint[a], RATE] if alike else -1
            value, slope = 0.0, 0.0
            if which >= 0:
                gap = abs(time[b] - time[a])
                value = math.exp(-sigma[which] * gap)
                slope = -gap * value
            c[j, k] = c[k, j] = value if s < 0 else (slope if which == s else 0.0)
    for k in range(n):
        for j in range(n):
            a, b = who[j], who[k]
            if endpoint[a] != endpoint[b] and time[a] == time[b] and rank[j] == rank[k]:
                which = residual[endpoint[a], RHO + endpoint[b]]
                if which >= 0:
                    c[j, k] = sigma[which] if s < 0 else (1.0 if which == s else 0.0)


@kernel(void(I1, A1, I1, I2, A1, A2))
def fill_correlation(who, time, endpoint, residual, sigma, c):
    """C of the records ``who`` of ``time`` and ``endpoint``, into ``c`` (n, n)."""
    _fill(who, time, endpoint, residual, sigma, -1, c)


@kernel()
def correlation_of(i, subjects, observed, sigma):
    """The records of subject ``i`` whose errors are correlated.

    Returns
    -------
    status : int
    links : (who (n,), C (n, n), P (n, n), log|C|)
        ``who`` counts the subject's records from 0; n is 0 where nothing is correlated.
    """
    o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
    endpoint, residual = subjects.obs_endpoint[o0:o1], observed.residual
    count = 0
    if may_correlate(residual):
        for o in range(o1 - o0):
            if observed.kind[o0 + o] == MEASURED and _coupled(endpoint[o], residual):
                count += 1
    who, c, p = np.zeros(count, dtype=np.int64), np.zeros((count, count)), np.zeros((count, count))
    log_det = 0.0
    status = OK
    if count > 0:
        k = 0
        for o in range(o1 - o0):
            if observed.kind[o0 + o] == MEASURED and _coupled(endpoint[o], residual):
                who[k] = o
                k += 1
        _fill(who, subjects.obs_time[o0:o1], endpoint, residual, sigma, -1, c)
        lower = np.zeros((count, count))
        if cholesky(c, lower):
            invert_factored(lower, p)
            for k in range(count):
                log_det += 2.0 * math.log(lower[k, k])
        else:
            status = VARIANCE_NOT_POSITIVE
    return status, (who, c, p, log_det)


@kernel()
def _standardised(links, m, at, first, endpoint, observed, sigma, u, mu, pu):
    """Fill u, (P - 1)u and Pu of the correlated records; returns what they add to -2 log-likelihood."""
    who, _, p, log_det = links
    n = who.shape[0]
    for k in range(n):
        o = who[k]
        v = error_variance(at[o], observed.residual[endpoint[o]], sigma)[0]
        u[k] = (observed.value[first + o] - m[o]) / math.sqrt(v)
    total = log_det
    for k in range(n):
        pu[k] = 0.0
        for j in range(n):
            pu[k] += p[k, j] * u[j]
        mu[k] = pu[k] - u[k]
        total += u[k] * mu[k]
    return total


@kernel()
def add_value(links, m, at, first, endpoint, observed, sigma):
    """What correlation adds to -2 log-likelihood; ``m``, ``at`` as in :func:`pkpd.kernels.penalised.penalised`."""
    n = links[0].shape[0]
    if n == 0:
        return 0.0
    return _standardised(
        links, m, at, first, endpoint, observed, sigma, np.zeros(n), np.zeros(n), np.zeros(n)
    )


@kernel()
def add_curvature(links, m, mz, at, interaction, first, endpoint, observed, sigma, gradient, h):
    """What correlation adds to Φ, which is returned, to ∂Φ/∂η and to H (as in :func:`pkpd.kernels.penalised.penalised`)."""
    who, c, p, _ = links
    n, ne = who.shape[0], gradient.shape[0]
    if n == 0:
        return 0.0
    u, mu, pu = np.zeros(n), np.zeros(n), np.zeros(n)
    total = _standardised(links, m, at, first, endpoint, observed, sigma, u, mu, pu)
    a_z, c_z = np.zeros((n, ne)), np.zeros((n, ne))
    for k in range(n):
        o = who[k]
        v, vf, _, _, _, _, _, _, _ = error_variance(at[o], observed.residual[endpoint[o]], sigma)
        for i in range(ne):
            a_z[k, i] = mz[o, i] / math.sqrt(v)
            c_z[k, i] = vf * mz[o, i] / v if interaction == 1 else 0.0
            gradient[i] -= mu[k] * (2.0 * a_z[k, i] + u[k] * c_z[k, i])
    for k in range(n):
        for j in range(n):
            diagonal = 1.0 if j == k else 0.0
            for a in range(ne):
                for b in range(ne):
                    h[a, b] += (p[k, j] - diagonal) * a_z[k, a] * a_z[j, b]
                    h[a, b] += 0.25 * (p[k, j] * c[k, j] - diagonal) * c_z[k, a] * c_z[j, b]
    return total


@kernel()
def add_derivatives(
    links, m, mz, mez, at, typical_z, interaction, first, time, endpoint, observed, sigma, h_inv, phi_z, phi_ez, det_z
):  # fmt: skip
    """What correlation adds to ∂Φ/∂z, ∂²Φ/∂η∂z and ∂log|H|/∂z at fixed η, z = (eta, theta, sigma).

    Parameters
    ----------
    mz, mez, at, typical_z, interaction
        As in :func:`pkpd.kernels.variance.variance_columns`; without etas in ``mez`` and ``phi_ez`` only ``phi_z`` changes.
    h_inv, det_z : (E, E), (E+T+S,) arrays
        H⁻¹ and what is added to; an empty ``det_z`` where ∂log|H|/∂z is not wanted.
    """
    who, c, p, _ = links
    n, ne, nz, columns = who.shape[0], mez.shape[1], mez.shape[2], phi_z.shape[0]
    if n == 0:
        return
    u, mu, pu = np.zeros(n), np.zeros(n), np.zeros(n)
    _standardised(links, m, at, first, endpoint, observed, sigma, u, mu, pu)
    # a = S⁻¹ ∂m/∂z, c = ∂log V/∂z, u_z; and their derivatives to η
    a_z, c_z, u_z = np.zeros((n, columns)), np.zeros((n, columns)), np.zeros((n, columns))
    a_ez, c_ez = np.zeros((n, ne, columns)), np.zeros((n, ne, columns))
    v_z, v_ez = np.zeros(columns), np.zeros((ne, columns))
    for k in range(n):
        o = who[k]
        v = variance_columns(
            o, interaction, at, mz, mez, typical_z, observed.residual[endpoint[o]], sigma, v_z, v_ez
        )
        s = math.sqrt(v)
        for z in range(columns):
            a_z[k, z] = mz[o, z] / s if z < nz else 0.0
            c_z[k, z] = v_z[z] / v
            u_z[k, z] = -a_z[k, z] - 0.5 * u[k] * c_z[k, z]
            phi_z[z] += 2.0 * mu[k] * u_z[k, z]
        for i in range(ne):
            for z in range(columns):
                a_ez[k, i, z] = (mez[o, i, z] / s if z < nz else 0.0) - 0.5 * a_z[k, i] * c_z[k, z]
                c_ez[k, i, z] = v_ez[i, z] / v - c_z[k, i] * c_z[k, z]
                u_ez = -a_ez[k, i, z] - 0.5 * (u_z[k, z] * c_z[k, i] + u[k] * c_ez[k, i, z])
                phi_ez[i, z] += 2.0 * mu[k] * u_ez
    wanted = det_z.shape[0] > 0
    ha, hc = np.zeros((n, ne)), np.zeros((n, ne))
    if wanted:
        for k in range(n):
            for i in range(ne):
                for j in range(ne):
                    ha[k, i] += h_inv[i, j] * a_z[k, j]
                    hc[k, i] += h_inv[i, j] * c_z[k, j]
    for k in range(n):
        for j in range(n):
            diagonal = 1.0 if j == k else 0.0
            off, product = p[k, j] - diagonal, p[k, j] * c[k, j] - diagonal
            for i in range(ne):
                for z in range(columns):
                    phi_ez[i, z] += 2.0 * off * u_z[k, i] * u_z[j, z]
                    if wanted:
                        det_z[z] += (
                            2.0 * off * ha[j, i] * a_ez[k, i, z] + 0.5 * product * hc[j, i] * c_ez[k, i, z]
                        )
    change, p_change, p_z = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for s in range(sigma.shape[0]):
        if not _moves(s, observed.residual):
            continue
        _fill(who, time, endpoint, observed.residual, sigma, s, change)
        _product(p, change, p_change)
        _product(p_change, p, p_z)  # -∂P/∂sigma
        z = nz + s
        for k in range(n):
            phi_z[z] += p_change[k, k]
            for j in range(n):
                phi_z[z] -= pu[k] * change[k, j] * pu[j]
                for i in range(ne):
                    phi_ez[i, z] -= 2.0 * p_z[k, j] * u[j] * u_z[k, i]
                    if wanted:
                        det_z[z] -= p_z[k, j] * a_z[k, i] * ha[j, i]
                        det_z[z] += (
                            0.25 * (p[k, j] * change[k, j] - p_z[k, j] * c[k, j]) * c_z[k, i] * hc[j, i]
                        )


@kernel()
def _moves(s, residual):
    """Whether C depends on ``sigma[s]``."""
    for a in range(residual.shape[0]):
        if residual[a, RATE] == s:
            return True
    return is_correlation(s, residual)


@kernel()
def _product(a, b, out):
    n = a.shape[0]
    for i in range(n):
        for j in range(n):
            total = 0.0
            for k in range(n):
                total += a[i, k] * b[k, j]
            out[i, j] = total


@kernel()
def add_correlated_score(links, weight, m, at, a_z, c_z, first, time, endpoint, observed, sigma, g, h):
    """Add ``weight`` times what correlation adds to the score of -2 log-likelihood and to its expected curvature.

    Parameters
    ----------
    a_z, c_z : (n, M + S) arrays
        Of the correlated records, in the order of ``links``: S⁻¹ ∂m/∂z and ∂log V/∂z to M thetas and the sigmas.
    g, h : (M + S,), (M + S, M + S) arrays
    """
    who, c, p, _ = links
    n, columns = a_z.shape
    u, mu, pu = np.zeros(n), np.zeros(n), np.zeros(n)
    _standardised(links, m, at, first, endpoint, observed, sigma, u, mu, pu)
    count = columns - sigma.shape[0]
    for k in range(n):
        for z in range(columns):
            g[z] -= weight * mu[k] * (2.0 * a_z[k, z] + u[k] * c_z[k, z])
        for j in range(n):
            diagonal = 1.0 if j == k else 0.0
            off, product = p[k, j] - diagonal, p[k, j] * c[k, j] - diagonal
            for z in range(columns):
                for y in range(columns):
                    h[z, y] += weight * (
                        2.0 * off * a_z[k, z] * a_z[j, y] + 0.5 * product * c_z[k, z] * c_z[j, y]
                    )
    change, p_change, other = np.zeros((n, n)), np.zeros((n, n)), np.zeros((n, n))
    for s in range(sigma.shape[0]):
        if not _moves(s, observed.residual):
            continue
        _fill(who, time, endpoint, observed.residual, sigma, s, change)
        _product(p, change, p_change)
        z = count + s
        for k in range(n):
            g[z] += weight * p_change[k, k]
            for j in range(n):
                g[z] -= weight * pu[k] * change[k, j] * pu[j]
            for y in range(columns):
                h[z, y] += weight * p_change[k, k] * c_z[k, y]
                h[y, z] += weight * p_change[k, k] * c_z[k, y]
        for r in range(sigma.shape[0]):
            if not _moves(r, observed.residual):
                continue
            _fill(who, time, endpoint, observed.residual, sigma, r, change)
            _product(p, change, other)
            for k in range(n):
                for j in range(n):
                    h[z, count + r] += weight * p_change[k, j] * other[j, k]
