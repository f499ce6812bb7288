"""Stochastic approximation EM: draws of the random effects, averaged sufficient statistics, maximisation.

Kuhn & Lavielle, Comput Stat Data Anal 2005;49:1020-1038: at iteration k each chain moves given the current parameters, the
sufficient statistics S of the complete-data likelihood follow S ← S + γ_k (S(φ) - S), and the parameters maximise the likelihood
at S. What has no sufficient statistics follows Fisher's scoring with the same gains, whose fixed point is the same (Gu & Kong,
Proc Natl Acad Sci 1998;95:7270-7274).

A theta θ that no random effect carries creeps in plain EM: given φ the records leave it no room. Here φ moves along with it by
A_i = ∂φ_i/∂θ (working parameters: Liu, Rubin & Wu, Biometrika 1998;85:755-770), so that its score is s_θ + A_iᵀ s_φ, s_φ with the
prior's part. As E(s_φ | y) = 0, the fixed point stays whatever A_i is; A_i = -H_φφ⁻¹ H_φθ, from the expected curvature H that the
chains have met, takes from the score most of its noise and leaves the curvature that φ does not absorb.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, I2, MODEL, OBSERVED, SUBJECTS, i8, kernel, prange, void
from pkpd.kernels.complete import add_score, minus2ll_given, records_minus2ll, work_arrays
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.inverse import invert_positive
from pkpd.kernels.maximisation import fill_means, maximise
from pkpd.kernels.mcmc import adapt, counts_of_numbers, sweep
from pkpd.kernels.random import SWEEP_NORMAL, SWEEP_UNIFORM, fill_normals, fill_uniforms
from pkpd.kernels.status import OK

_LEARN = 20  # iterations after which a subject's own moments serve as proposals
_MEMORY = 0.05  # gain of these moments while the parameters still move


@kernel()
def _companions(curves, precision, lower, right, follow):
    """Fill ``follow`` (E, M), A: how φ goes along with the thetas of ``curves`` (E + M, E + M); zero where H_φφ is singular."""
    ne, count = follow.shape
    for a in range(ne):
        for z in range(count):
            follow[a, z] = 0.0
    inner = np.empty((ne, ne))
    for a in range(ne):
        for b in range(ne):
            inner[a, b] = curves[a, b] + 2.0 * precision[a, b]
    if not cholesky(inner, lower):
        return
    solved = np.empty(ne)
    for z in range(count):
        for a in range(ne):
            right[a] = -curves[a, ne + z]
        cholesky_solve(lower, right, solved)
        for a in range(ne):
            follow[a, z] = solved[a]


@kernel()
def _together(g, h, follow, g_out, h_out):
    """Score and curvature to (thetas, sigmas) from those to (φ, thetas, sigmas), where φ follows the thetas."""
    ne, count = follow.shape
    columns = g_out.shape[0]
    half = np.empty((ne + columns, columns))
    for z in range(columns):
        g_out[z] = g[ne + z]
        for y in range(ne + columns):
            half[y, z] = h[y, ne + z]
        if z < count:
            for a in range(ne):
                g_out[z] += follow[a, z] * g[a]
                for y in range(ne + columns):
                    half[y, z] += h[y, a] * follow[a, z]
    for z in range(columns):
        for y in range(columns):
            h_out[y, z] = half[ne + y, z]
            if y < count:
                for a in range(ne):
                    h_out[y, z] += follow[a, y] * half[a, z]


@kernel(
    void(i8, i8, i8, I1, A1, A1, A3, A2, A2, A2, A2, A3, A3, A2, A2, A2, I1, I2, A2, A2, I2, I2, I1, A2, I1, A1, A2, A1,
         *MODEL, SUBJECTS, OBSERVED, A2, I1),
    parallel=True,
)  # fmt: skip
def run_saem(
    seed, begin, end, counts, gains, annealing,
    phi, minus2ll, f_now, widths, centres, covers, curves, first, second, curvature, missed,
    terms, shape, design, blocks, omega_index, moving, bounds, free_sigma, theta, omega, sigma,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    history, status,
):  # fmt: skip
    """Iterations ``begin`` to ``end`` - 1; everything that they hand on is in the arrays, so that a run may be cut anywhere.

    Parameters
    ----------
    seed : int
    counts : (4,) int array
        How often each proposal is made per iteration (see :func:`pkpd.kernels.mcmc.sweep`).
    gains, annealing : (K,) arrays
        γ_k; and the least ratio of a variance to its last value, 0 after the annealing.
    phi (N, L, E), minus2ll (N, L), f_now (L, O), widths (N, E + 1)
        L chains per subject: φ, -2 log p(y | φ), predictions, widths of the random walks.
    centres (N, E), covers (N, E, E)
        Mean and covariance of each subject's φ over its chains so far, the recent past counting most.
    curves (N, E + M, E + M)
        Mean curvature of -2 log p(y | φ) to (φ, moving thetas), in the same memory.
    first (N, E), second (E, E), curvature (M + S, M + S)
        Averaged statistics: E φ, sum of E φφᵀ, curvature of the complete-data likelihood.
    missed : (N,) int array
        In how many iterations with a gain below 1 a subject's score was not finite, and left out.
    terms, shape, design, blocks, moving, bounds, free_sigma
        See :mod:`pkpd.kernels.maximisation`.
    omega_index : (V, 2) int array
        Entries of Ω that are written to the history.
    theta (T,), omega (E, E), sigma (S,)
        In and out: the parameters.
    history : (K, T + V + S) array
        Parameters after each iteration.
    status : (N,) int array
        Why a subject's records have no likelihood where its chains are.
    """
    n, chains, ne = phi.shape
    nt, columns = theta.shape[0], moving.shape[0] + sigma.shape[0]
    mu, factor, precision = np.zeros((n, ne)), np.zeros((ne, ne)), np.zeros((ne, ne))
    g_rows, h_rows = np.zeros((n, columns)), np.zeros((n, columns, columns))
    s2_rows = np.zeros((n, ne, ne))
    g, h, s1, s2 = np.zeros(columns), np.zeros((columns, columns)), np.zeros((n, ne)), np.zeros((ne, ne))
    spread, before = np.zeros(ne), np.zeros(nt)
    derivatives = 1 if moving.shape[0] > 0 else 0
    # places of (φ, moving thetas) among the derivatives that begin with the etas and go on with the thetas
    lead = ne if derivatives == 1 else 0
    both = np.zeros(lead + moving.shape[0], dtype=np.int64)
    for a in range(lead):
        both[a] = a - ne
    for z in range(moving.shape[0]):
        both[lead + z] = moving[z]
    follow = np.zeros((n, lead, moving.shape[0]))
    fill_means(theta, terms, shape, design, mu)
    invert_positive(omega, factor, precision)
    for k in range(begin, end):
        for a in range(ne):
            spread[a] = math.sqrt(omega[a, a])
        for i in prange(n):
            o0, o1 = subjects.obs_offsets[i], subjects.obs_offsets[i + 1]
            p, dp, d2p, f, f_p, f_pp, fz, fez = work_arrays(
                derivatives, o1 - o0, system.slots, subjects.change_value.shape[1], ne, nt
            )
            eta, trial, accepted, tried = np.zeros(ne), np.zeros(ne), np.zeros(ne + 1), np.zeros(ne + 1)
            spare, centre, cover = np.zeros(ne), np.zeros(ne), np.zeros((ne, ne))
            normal_count, uniform_count = counts_of_numbers(counts, ne)
            normals, uniforms = np.zeros(normal_count), np.zeros(uniform_count)
            learned = k >= _LEARN and cholesky(covers[i], cover)
            for a in range(ne):
                centre[a] = centres[i, a] - mu[i, a]
            m_z, v_z = np.zeros(lead + columns), np.zeros(lead + columns)
            g_both, h_both = np.zeros(lead + columns), np.zeros((lead + columns, lead + columns))
            known = True
            if derivatives == 1:
                # from earlier draws only: A must not depend on those whose score it enters
                _companions(curves[i], precision, np.zeros((ne, ne)), np.zeros(ne), follow[i])
            for a in range(ne):
                s1[i, a] = 0.0
                for b in range(ne):
                    s2_rows[i, a, b] = 0.0
            for c in range(chains):
                for a in range(ne):
                    eta[a] = phi[i, c, a] - mu[i, a]
                if derivatives == 1 or k == 0:
                    status[i], minus2ll[i, c] = minus2ll_given(
                        i, 0, eta, theta, sigma,
                        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                        p, dp, d2p, f_now[c, o0:o1], f_p, f_pp, fz, fez,
                    )  # fmt: skip
                elif minus2ll[i, c] < np.inf:  # predictions depend on φ alone, which is where it was
                    status[i], minus2ll[i, c] = records_minus2ll(
                        i, f_now[c, o0:o1], subjects, observed, sigma
                    )
                fill_normals(seed, SWEEP_NORMAL, i, k, c, normals)
                fill_uniforms(seed, SWEEP_UNIFORM, i, k, c, uniforms)
                minus2ll[i, c] = sweep(
                    i, counts, normals, uniforms, eta, minus2ll[i, c], theta, sigma, factor, precision, widths[i],
                    accepted, tried, learned, centre, cover, trial, spare, f_now[c, o0:o1],
                    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                    p, dp, d2p, f, f_p, f_pp, fz, fez,
                )  # fmt: skip
                for a in range(ne):
                    phi[i, c, a] = mu[i, a] + eta[a]
                    s1[i, a] += phi[i, c, a] / chains
                    for b in range(a + 1):
                        s2_rows[i, a, b] += phi[i, c, a] * phi[i, c, b] / chains
                if not minus2ll[i, c] < np.inf:
                    continue
                status[i] = OK
                if derivatives == 1:
                    code, _ = minus2ll_given(
                        i, 1, eta, theta, sigma,
                        solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                        p, dp, d2p, f, f_p, f_pp, fz, fez,
                    )  # fmt: skip
                    known = known and code == OK
                add_score(
                    i, 1.0 / chains, ne, f_now[c, o0:o1], fz, subjects, observed, sigma, both, m_z, v_z, g_both, h_both
                )  # fmt: skip
                for a in range(lead):
                    for b in range(ne):
                        g_both[a] += 2.0 * precision[a, b] * eta[b] / chains
            adapt(widths[i], accepted, tried, gains[k], spread)
            recent = (
                gains[k] / (1.0 + gains[k] / _MEMORY) if gains[k] < 1.0 else max(_MEMORY, 1.0 / (k + 1.0))
            )
            for a in range(ne):
                centres[i, a] += recent * (s1[i, a] - centres[i, a])
            for a in range(ne):
                for b in range(a + 1):
                    total = 0.0
                    for c in range(chains):
                        total += (phi[i, c, a] - centres[i, a]) * (phi[i, c, b] - centres[i, b]) / chains
                    covers[i, a, b] += recent * (total - covers[i, a, b])
                    covers[i, b, a] = covers[i, a, b]
            for a in range(g_both.shape[0]):
                known = known and math.isfinite(g_both[a]) and math.isfinite(h_both[a, a])
            if known:
                for a in range(both.shape[0]):
                    for b in range(both.shape[0]):
                        curves[i, a, b] += recent * (h_both[a, b] - curves[i, a, b])
                for a in range(lead):
                    for b in range(ne):
                        h_both[a, b] += 2.0 * precision[a, b]
            else:
                g_both[:] = 0.0
                h_both[:, :] = 0.0
                missed[i] += 1 if gains[k] < 1.0 else 0
            _together(g_both, h_both, follow[i], g_rows[i], h_rows[i])
        s2[:, :] = 0.0
        g[:] = 0.0
        h[:, :] = 0.0
        for i in range(n):
            for a in range(ne):
                first[i, a] += gains[k] * (s1[i, a] - first[i, a])
                for b in range(a + 1):
                    s2[a, b] += s2_rows[i, a, b]
            for z in range(columns):
                g[z] += g_rows[i, z]
                for y in range(columns):
                    h[z, y] += h_rows[i, z, y]
        for a in range(ne):
            for b in range(a + 1):
                second[a, b] += gains[k] * (s2[a, b] - second[a, b])
                second[b, a] = second[a, b]
        # with a gain of 1 the curvature at these draws and the mean of the last ones hold a step back together: draws that say
        # little about a theta would carry it to where none says anything
        memory = gains[k] if gains[k] < 1.0 else max(_MEMORY, 1.0 / (k + 1.0))
        for z in range(columns):
            for y in range(columns):
                curvature[z, y] += memory * (h[z, y] - curvature[z, y])
                h[z, y] = curvature[z, y] + (h[z, y] if gains[k] == 1.0 else 0.0)
        before[:] = theta
        maximise(
            gains[k], annealing[k], g, h, first, second, terms, shape, design, blocks, moving, bounds, free_sigma,
            theta, omega, sigma, mu, factor, precision,
        )  # fmt: skip
        for z in range(moving.shape[0]):
            step = theta[moving[z]] - before[moving[z]]
            for i in range(n):
                for a in range(ne):
                    centres[i, a] += follow[i, a, z] * step
                    for c in range(chains):
                        phi[i, c, a] += follow[i, a, z] * step
        for t in range(nt):
            history[k, t] = theta[t]
        for v in range(omega_index.shape[0]):
            history[k, nt + v] = omega[omega_index[v, 0], omega_index[v, 1]]
        for s in range(sigma.shape[0]):
            history[k, nt + omega_index.shape[0] + s] = sigma[s]
