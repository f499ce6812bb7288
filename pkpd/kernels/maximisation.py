"""The maximisation step of SAEM and of expectation by importance sampling.

With φ = μ + η, μ = Σ_t x_t·h_t(θ_t) the individual parameters on their normal scale, the complete-data likelihood is a linear
Gaussian regression of φ on the design x: θ and Ω have a closed form in the first two moments of φ. What no random effect
carries (other thetas, residual errors) moves by one step of Fisher scoring on the complete-data likelihood, on the
unconstrained scale.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import kernel
from pkpd.kernels.dense import cholesky, cholesky_solve
from pkpd.kernels.inverse import invert_positive

IDENTITY, LOGARITHM, LOGIT = 0, 1, 2  # how h transforms a theta


@kernel()
def transformed(form, a, b, value):
    """H(θ): θ, log(b(θ - a)) with b = ±1, or log((θ - a)/(b - θ))."""
    if form == LOGARITHM:
        return math.log(b * (value - a))
    if form == LOGIT:
        return math.log((value - a) / (b - value))
    return value


@kernel()
def restored(form, a, b, u):
    """Inverse of :func:`transformed`."""
    if form == LOGARITHM:
        return a + b * math.exp(u)
    if form == LOGIT:
        return a + (b - a) / (1.0 + math.exp(-u))
    return u


@kernel()
def fill_means(theta, terms, shape, design, mu):
    """Fill ``mu`` (N, E): means of φ.

    Parameters
    ----------
    terms : (M, 3) int array
        Per mu-referenced theta its place, the eta that carries it, and the form of h.
    shape : (M, 4) array
        a and b of h, and the bounds of h(θ).
    design : (N, M) array
        x of each subject.
    """
    mu[:, :] = 0.0
    for m in range(terms.shape[0]):
        u = transformed(terms[m, 2], shape[m, 0], shape[m, 1], theta[terms[m, 0]])
        k = terms[m, 1]
        for i in range(mu.shape[0]):
            mu[i, k] += design[i, m] * u


@kernel()
def _bounded(a, b, low, high, u):
    """Minimise uᵀAu/2 - bᵀu within bounds, by Gauss and Seidel's projected sweeps from ``u``."""
    count = u.shape[0]
    for _ in range(500):
        moved = 0.0
        for m in range(count):
            rest = b[m]
            for j in range(count):
                if j != m:
                    rest -= a[m, j] * u[j]
            value = min(max(rest / a[m, m], low[m]), high[m])
            moved = max(moved, abs(value - u[m]) * math.sqrt(a[m, m]))
            u[m] = value
        if moved < 1e-12:
            break


@kernel()
def update_means(first, terms, shape, design, precision, theta):
    """Generalised least squares: mu-referenced thetas from the first moments ``first`` (N, E) of φ. False where singular."""
    n, ne = first.shape
    count = terms.shape[0]
    if count == 0:
        return True
    u, solved, a, b = np.zeros(count), np.zeros(count), np.zeros((count, count)), np.zeros(count)
    lower = np.zeros((count, count))
    for m in range(count):
        u[m] = transformed(terms[m, 2], shape[m, 0], shape[m, 1], theta[terms[m, 0]])
        for j in range(m + 1):
            total = 0.0
            for i in range(n):
                total += design[i, m] * design[i, j]
            a[m, j] = a[j, m] = total * precision[terms[m, 1], terms[j, 1]]
        for i in range(n):
            for k in range(ne):
                b[m] += design[i, m] * precision[terms[m, 1], k] * first[i, k]
    if not cholesky(a, lower):
        return False
    cholesky_solve(lower, b, solved)
    inside = True
    for m in range(count):
        inside = inside and shape[m, 2] <= solved[m] <= shape[m, 3]
    if not inside:
        _bounded(a, b, shape[:, 2], shape[:, 3], u)
        solved[:] = u
    for m in range(count):
        theta[terms[m, 0]] = restored(terms[m, 2], shape[m, 0], shape[m, 1], solved[m])
    return True


@kernel()
def update_omega(first, second, mu, blocks, slowest, omega):
    """Ω from the moments of φ about ``mu``, within its blocks.

    Parameters
    ----------
    first (N, E), second (E, E)
        E φ of each subject, and the sum of E φφᵀ.
    blocks : (B, 4) int array
        First eta, size, whether fixed, and the number that blocks with one common matrix share.
    slowest : float
        No variance falls below this times its old value: simulated annealing.

    Returns
    -------
    bool
        False, and Ω as it was, where the result is not positive definite.
    """
    n, ne = first.shape
    scatter = second.copy()
    for i in range(n):
        for a in range(ne):
            for b in range(ne):
                scatter[a, b] += mu[i, a] * mu[i, b] - first[i, a] * mu[i, b] - mu[i, a] * first[i, b]
    new, lower = np.zeros((ne, ne)), np.zeros((ne, ne))
    for q in range(blocks.shape[0]):
        start, size = blocks[q, 0], blocks[q, 1]
        if blocks[q, 2] == 1:
            for a in range(start, start + size):
                for b in range(start, start + size):
                    new[a, b] = omega[a, b]
            continue
        shared = 0
        for r in range(blocks.shape[0]):
            if blocks[r, 3] == blocks[q, 3]:
                shared += 1
                for a in range(size):
                    for b in range(size):
                        new[start + a, start + b] += scatter[blocks[r, 0] + a, blocks[r, 0] + b] / n
        for a in range(start, start + size):
            for b in range(start, start + size):
                new[a, b] /= shared
        for a in range(start, start + size):
            if new[a, a] < slowest * omega[a, a]:
                grow = math.sqrt(slowest * omega[a, a] / max(new[a, a], 1e-300))
                for b in range(start, start + size):
                    new[a, b] *= grow
                    new[b, a] *= grow
    if not cholesky(new, lower):
        return False
    omega[:, :] = new
    return True


@kernel()
def _line_slope(value, low, high):
    """Derivative of a bounded value to its unconstrained counterpart."""
    if math.isfinite(low) and math.isfinite(high):
        return (value - low) * (high - value) / (high - low)
    if math.isfinite(low):
        return value - low
    if math.isfinite(high):
        return high - value
    return 1.0


@kernel()
def _along_line(value, low, high, step):
    """A bounded value after a step of its unconstrained counterpart."""
    if math.isfinite(low) and math.isfinite(high):
        if not low < value < high:  # a bound to the last digit
            return value
        odds = (value - low) / (high - value) * math.exp(step)
        return low + (high - low) * (odds / (1.0 + odds))
    if math.isfinite(low):
        return low + (value - low) * math.exp(step)
    if math.isfinite(high):
        return high - (high - value) * math.exp(-step)
    return value + step


@kernel()
def _sigma_bounds(free):
    return (-1.0, 1.0) if free == 2 else (0.0, np.inf)


@kernel()
def scoring_step(g, h, gain, slowest, moving, bounds, free_sigma, theta, sigma):
    """One step of Fisher scoring in ``moving`` thetas and sigmas; what has no curvature stays.

    Parameters
    ----------
    g (M + S,), h (M + S, M + S)
        Score and curvature of the complete-data -2 log-likelihood, on the natural scale.
    gain : float
        Length of the step, at most 1.
    slowest : float
        No sigma falls below √slowest times its old value.
    bounds : (M, 3) array
        Lower and upper bound of each moving theta, and the longest step allowed in it.
    free_sigma : (S,) int array
        1 where a positive sigma is estimated, 2 a correlation, 0 a fixed one.
    """
    count, columns = moving.shape[0], g.shape[0]
    slope = np.zeros(columns)
    for z in range(count):
        slope[z] = _line_slope(theta[moving[z]], bounds[z, 0], bounds[z, 1])
    for s in range(columns - count):
        if free_sigma[s] > 0:
            slope[count + s] = _line_slope(sigma[s], *_sigma_bounds(free_sigma[s]))
    a, b = np.zeros((columns, columns)), np.zeros(columns)
    lower, step = np.zeros((columns, columns)), np.zeros(columns)
    for z in range(columns):
        b[z] = -slope[z] * g[z]
        for y in range(columns):
            a[z, y] = slope[z] * slope[y] * h[z, y]
    for z in range(columns):
        if not a[z, z] > 0.0:
            a[z, z], b[z] = 1.0, 0.0
    if cholesky(a, lower):
        cholesky_solve(lower, b, step)
    else:  # thetas that cannot be told apart; a matrix is at most its diagonal times its size
        for z in range(columns):
            step[z] = b[z] / (columns * a[z, z])
    for z in range(count):
        longest = bounds[z, 2]
        move = gain * min(max(step[z], -longest), longest)
        theta[moving[z]] = _along_line(theta[moving[z]], bounds[z, 0], bounds[z, 1], move)
    for s in range(columns - count):
        if free_sigma[s] > 0:
            move = min(max(step[count + s], -0.7), 1.0)
            if slowest > 0.0 and free_sigma[s] == 1:
                move = max(move, 0.5 * math.log(slowest))
            sigma[s] = _along_line(sigma[s], *_sigma_bounds(free_sigma[s]), gain * move)


@kernel()
def maximise(
    gain, slowest, g, curvature, first, second, terms, shape, design, blocks, moving, bounds, free_sigma, theta, omega, sigma,
    mu, factor, precision,
):  # fmt: skip
    """All of the maximisation step; also fills ``mu``, and ``factor`` and ``precision`` of the new Ω.

    Parameters
    ----------
    gain : float
        Length of the scoring step, at most 1.
    slowest : float
        Simulated annealing: the least ratio of a new variance to the old one, 0 without.
    g (M + S,), curvature (M + S, M + S)
        Of :func:`scoring_step`.
    first (N, E), second (E, E)
        Moments of φ, as in :func:`update_means` and :func:`update_omega`.
    """
    scoring_step(g, curvature, gain, slowest, moving, bounds, free_sigma, theta, sigma)
    update_means(first, terms, shape, design, precision, theta)
    fill_means(theta, terms, shape, design, mu)
    update_omega(first, second, mu, blocks, slowest, omega)
    invert_positive(omega, factor, precision)
