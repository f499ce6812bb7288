"""Importance sampling of each subject's likelihood, posterior moments and scores.

Draws come from Student's t with 4 degrees of freedom about the centre of the posterior; p(y) is the mean of the weights
p(y, η)/q(η), and a posterior mean of anything is its weighted mean. The same seed gives the same draws, so that differences
between parameters are smooth.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, I2, MODEL, OBSERVED, SUBJECTS, f8, i8, kernel, prange, void
from pkpd.kernels.complete import add_score, minus2ll_given, work_arrays
from pkpd.kernels.correlation import is_correlation
from pkpd.kernels.dense import cholesky
from pkpd.kernels.inverse import invert_positive
from pkpd.kernels.maximisation import fill_means, maximise
from pkpd.kernels.mcmc import DEGREES, quadratic, student_draw
from pkpd.kernels.random import IMPORTANCE_NORMAL, IMPORTANCE_UNIFORM, fill_normals, fill_uniforms
from pkpd.kernels.status import HESSIAN_NOT_POSITIVE, NOT_FINITE, OK


@kernel()
def _log_t_constant(ne):
    """Log of what the density of Student's t leaves out in ``student_minus2log``, at unit scale."""
    return (
        math.lgamma(0.5 * (DEGREES + ne))
        - math.lgamma(0.5 * DEGREES)
        - 0.5 * ne * math.log(DEGREES * math.pi)
    )


@kernel(
    void(i8, i8, i8, A2, A3, A1, A2, f8, A1, *MODEL, SUBJECTS, OBSERVED, A2, A1, A2, A3, I1),
    parallel=True,
)
def weigh(
    seed, replicate, n, centres, covers, theta, precision, log_det_omega, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    log_weights, minus2ll, means, seconds, status,
):  # fmt: skip
    """Weights of n draws per subject, -2 log-likelihood, and posterior moments.

    Parameters
    ----------
    seed, replicate : int
        Key of the draws.
    centres (N, E), covers (N, E, E)
        Of the proposals.
    theta (T,), precision (E, E), log_det_omega, sigma (S,)
        Population parameters; Ω⁻¹ and log|Ω|.
    log_weights : (N, n) array
        Filled: normalised weights, as logarithms (log 2π of the observations dropped does not enter).
    minus2ll (N,), means (N, E), seconds (N, E, E), status (N,)
        Filled: -2 log p(y) with n·log 2π of the observations dropped; posterior mean and covariance.
    """
    for i in prange(centres.shape[0]):
        ne, nt = centres.shape[1], theta.shape[0]
        records = subjects.obs_offsets[i + 1] - subjects.obs_offsets[i]
        p, dp, d2p, f, f_p, f_pp, fz, fez = work_arrays(
            0, records, system.slots, subjects.change_value.shape[1], ne, nt
        )
        eta, z, u, lower = np.zeros(ne), np.zeros(ne), np.zeros(2), np.zeros((ne, ne))
        for a in range(ne):
            means[i, a] = 0.0
            for b in range(ne):
                seconds[i, a, b] = 0.0
        minus2ll[i] = np.inf
        if not cholesky(covers[i], lower):
            status[i] = HESSIAN_NOT_POSITIVE
            continue
        # log weight = -½(-2 log p(y|η) + ηᵀΩ⁻¹η + log|Ω| + E log 2π) - log q(η)
        constant = -0.5 * (log_det_omega + ne * math.log(2.0 * math.pi)) - _log_t_constant(ne)
        for a in range(ne):
            constant += math.log(lower[a, a])
        largest = -np.inf
        code = NOT_FINITE
        for k in range(n):
            fill_normals(seed, IMPORTANCE_NORMAL, i, k, replicate, z)
            fill_uniforms(seed, IMPORTANCE_UNIFORM, i, k, replicate, u)
            proposal = student_draw(centres[i], lower, z, u[0], u[1], eta)
            state, there = minus2ll_given(
                i, 0, eta, theta, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            if state == OK:
                log_weights[i, k] = constant - 0.5 * (there + quadratic(precision, eta) - proposal)
                largest = max(largest, log_weights[i, k])
            else:
                log_weights[i, k] = -np.inf
                code = state
        if largest == -np.inf:
            status[i] = code
            continue
        total = 0.0
        for k in range(n):
            total += math.exp(log_weights[i, k] - largest)
        for k in range(n):
            log_weights[i, k] -= largest + math.log(total)
        minus2ll[i] = -2.0 * (largest + math.log(total / n))
        status[i] = OK
        for k in range(n):
            w = math.exp(log_weights[i, k])
            fill_normals(seed, IMPORTANCE_NORMAL, i, k, replicate, z)
            fill_uniforms(seed, IMPORTANCE_UNIFORM, i, k, replicate, u)
            student_draw(centres[i], lower, z, u[0], u[1], eta)
            for a in range(ne):
                means[i, a] += w * eta[a]
                for b in range(a + 1):
                    seconds[i, a, b] += w * (eta[a] - centres[i, a]) * (eta[b] - centres[i, b])
        for a in range(ne):
            for b in range(a + 1):
                seconds[i, a, b] -= (means[i, a] - centres[i, a]) * (means[i, b] - centres[i, b])
                seconds[i, b, a] = seconds[i, a, b]


@kernel(
    void(i8, i8, i8, A2, A2, A3, I1, I1, A2, A1, A2, A1, *MODEL, SUBJECTS, OBSERVED, A2, A3, A2, A3, A3, A1),
    parallel=True,
)
def weighted_scores(
    seed, replicate, full, log_weights, centres, covers, moving, carriers, slopes, theta, precision, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    g_rows, h_rows, scores, squares, sigma_curves, missed,
):  # fmt: skip
    """Posterior means of complete-data scores at the draws that :func:`weigh` weighed.

    Parameters
    ----------
    full : int
        0 fills ``g_rows`` and ``h_rows`` only; 1 the rest too.
    moving : (M,) int array
        Thetas whose score comes from the records.
    carriers (T,) int array, slopes (N, T)
        The eta that carries each mu-referenced theta, -1 for the others; ∂φ/∂θ of each subject.
    g_rows (N, M + S), h_rows (N, M + S, M + S)
        Filled: score and curvature of -2 log p(y | η), as :func:`pkpd.kernels.complete.add_score`.
    scores (N, Z), squares (N, Z, Z)
        Filled: mean of the score of the complete-data *log*-likelihood to z = (thetas, Ω, sigmas), and of its outer product.
        Ω in rows of its lower triangle, each entry that of the symmetric gradient matrix ½(Ω⁻¹ηηᵀΩ⁻¹ - Ω⁻¹).
    sigma_curves : (N, S, M + S)
        Filled: minus the derivative of the mean log-likelihood score of (moving, sigmas) to each sigma.
    missed : (N,) array
        Filled: weight of the draws whose score is not finite, which are left out.
    """
    for i in prange(centres.shape[0]):
        ne, nt, ns, count = centres.shape[1], theta.shape[0], sigma.shape[0], moving.shape[0]
        o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
        derivatives = 1 if count > 0 else 0
        p, dp, d2p, f, f_p, f_pp, fz, fez = work_arrays(
            derivatives, o1 - o0, system.slots, subjects.change_value.shape[1], ne, nt
        )
        columns = count + ns
        eta, z, u, lower = np.zeros(ne), np.zeros(ne), np.zeros(2), np.zeros((ne, ne))
        m_z, v_z, turned = np.zeros(columns), np.zeros(columns), np.zeros(ne)
        g, h, shifted, score = (
            np.zeros(columns),
            np.zeros((columns, columns)),
            sigma.copy(),
            np.zeros(scores.shape[1]),
        )
        g_rows[i] = 0.0
        h_rows[i] = 0.0
        missed[i] = 0.0
        if full == 1:
            scores[i] = 0.0
            squares[i] = 0.0
            sigma_curves[i] = 0.0
        if not cholesky(covers[i], lower):
            continue
        for k in range(log_weights.shape[1]):
            w = math.exp(log_weights[i, k])
            if w < 1e-12:
                continue
            fill_normals(seed, IMPORTANCE_NORMAL, i, k, replicate, z)
            fill_uniforms(seed, IMPORTANCE_UNIFORM, i, k, replicate, u)
            student_draw(centres[i], lower, z, u[0], u[1], eta)
            status, _ = minus2ll_given(
                i, derivatives, eta, theta, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            g[:] = 0.0
            h[:, :] = 0.0
            if status == OK:
                add_score(i, 1.0, ne, f, fz, subjects, observed, sigma, moving, m_z, v_z, g, h)
            for a in range(columns):
                if not (math.isfinite(g[a]) and math.isfinite(h[a, a])):
                    status = NOT_FINITE
            if status != OK:
                missed[i] += w
                continue
            for a in range(columns):
                g_rows[i, a] += w * g[a]
                for b in range(columns):
                    h_rows[i, a, b] += w * h[a, b]
            if full == 0:
                continue
            for a in range(ne):
                turned[a] = 0.0
                for b in range(ne):
                    turned[a] += precision[a, b] * eta[b]
            score[:] = 0.0
            for t in range(nt):
                if carriers[t] >= 0:
                    score[t] = slopes[i, t] * turned[carriers[t]]
            for a in range(count):
                score[moving[a]] = -0.5 * g[a]
            at = nt
            for a in range(ne):
                for b in range(a + 1):
                    score[at] = 0.5 * (turned[a] * turned[b] - precision[a, b])
                    at += 1
            for s in range(ns):
                score[at + s] = -0.5 * g[count + s]
            for a in range(score.shape[0]):
                scores[i, a] += w * score[a]
                for b in range(score.shape[0]):
                    squares[i, a, b] += w * score[a] * score[b]
            for s in range(ns):
                step = 1e-4 if is_correlation(s, observed.residual) else 1e-4 * sigma[s]
                for side in range(2):
                    shifted[s] = sigma[s] + (step if side == 0 else -step)
                    g[:] = 0.0
                    add_score(i, 1.0, ne, f, fz, subjects, observed, shifted, moving, m_z, v_z, g, h)
                    # minus the score of the log-likelihood is half that of -2 log
                    sign = 0.5 if side == 0 else -0.5
                    for a in range(columns):
                        sigma_curves[i, s, a] += w * sign * g[a] / (2.0 * step)
                shifted[s] = sigma[s]


@kernel(
    void(A2, A3, A2, A3, I2, A2, A2, I2, I1, A2, I1, A1, A2, A1),
)
def improve(
    means,
    seconds,
    g_rows,
    h_rows,
    terms,
    shape,
    design,
    blocks,
    moving,
    bounds,
    free_sigma,
    theta,
    omega,
    sigma,
):
    """The maximisation step of expectation by importance sampling.

    Parameters
    ----------
    means (N, E), seconds (N, E, E)
        Posterior means and covariances of η.
    g_rows, h_rows
        Of :func:`weighted_scores`.
    terms, shape, design, blocks, moving, bounds, free_sigma
        See :mod:`pkpd.kernels.maximisation`.
    theta, omega, sigma
        In and out.
    """
    n, ne = means.shape
    columns = g_rows.shape[1]
    mu, first, second = np.zeros((n, ne)), np.zeros((n, ne)), np.zeros((ne, ne))
    g, h = np.zeros(columns), np.zeros((columns, columns))
    factor, precision = np.zeros((ne, ne)), np.zeros((ne, ne))
    invert_positive(omega, factor, precision)
    fill_means(theta, terms, shape, design, mu)
    for i in range(n):
        for a in range(ne):
            first[i, a] = mu[i, a] + means[i, a]
        for a in range(ne):
            for b in range(ne):
                second[a, b] += seconds[i, a, b] + first[i, a] * first[i, b]
        for a in range(columns):
            g[a] += g_rows[i, a]
            for b in range(columns):
                h[a, b] += h_rows[i, a, b]
    maximise(
        1.0, 0.0, g, h, first, second, terms, shape, design, blocks, moving, bounds, free_sigma, theta, omega, sigma,
        mu, factor, precision,
    )  # fmt: skip
