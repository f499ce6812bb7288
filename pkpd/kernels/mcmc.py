"""Draws from each subject's posterior p(η | y) by Markov chains: the three proposals of Monolix and a learned fourth.

Kuhn & Lavielle, Comput Stat Data Anal 2005;49:1020-1038, section 4.1. In turn: (1) independent draws from the prior N(0, Ω);
(2) a random walk in one component, drawn at random; (3) a random walk in all components at once; and, as in Karimi, Lavielle &
Moulines, Comput Stat Data Anal 2020;141:123-138, (4) independent draws from an approximation of the posterior, here Student's t
about the mean and covariance that the subject's own chains have had so far. The widths of the walks are each subject's own
and move towards an acceptance of 0.4; walk (3) takes its shape from the same covariance.
"""

from __future__ import annotations

import math

import numpy as np

from pkpd._jit import A1, A2, A3, I1, MODEL, OBSERVED, SUBJECTS, i8, kernel, prange, void
from pkpd.kernels.complete import minus2ll_given, work_arrays
from pkpd.kernels.dense import cholesky
from pkpd.kernels.random import DRAWS_NORMAL, DRAWS_UNIFORM, fill_normals, fill_uniforms
from pkpd.kernels.status import OK

DEGREES = 4  # of freedom of Student's t; even, so that a chi-square is a sum of exponentials
_WANTED = 0.4  # acceptance
_RATE = 0.4  # of adaptation


@kernel(allocates=False)
def quadratic(m, x):
    """xᵀ M x."""
    total = 0.0
    for a in range(x.shape[0]):
        for b in range(x.shape[0]):
            total += m[a, b] * x[a] * x[b]
    return total


@kernel(allocates=False)
def student_draw(centre, factor, z, u0, u1, x):
    """A draw of the t distribution with 4 degrees of freedom about ``centre``, scale ``factor``·``factor``ᵀ, into ``x``.

    Parameters
    ----------
    z : (E,) array
        Standard normal numbers; ``u0`` and ``u1`` are uniform.

    Returns
    -------
    float
        -2 log of its density, the same constant left out as in :func:`student_minus2log`.
    """
    ne = centre.shape[0]
    stretch = math.sqrt(DEGREES / (-2.0 * (math.log(u0) + math.log(u1))))
    size = 0.0
    for a in range(ne):
        total = 0.0
        for b in range(a + 1):
            total += factor[a, b] * z[b]
        x[a] = centre[a] + stretch * total
        size += (stretch * z[a]) ** 2
    return (DEGREES + ne) * math.log1p(size / DEGREES)


@kernel(allocates=False)
def student_minus2log(centre, factor, x, y):
    """-2 log of the density at ``x`` (work ``y``), up to a constant."""
    ne = centre.shape[0]
    size = 0.0
    for a in range(ne):
        total = x[a] - centre[a]
        for b in range(a):
            total -= factor[a, b] * y[b]
        y[a] = total / factor[a, a]
        size += y[a] * y[a]
    return (DEGREES + ne) * math.log1p(size / DEGREES)


@kernel(allocates=False)
def counts_of_numbers(counts, ne):
    """How many normal and how many uniform numbers a sweep takes."""
    normals = ne * (counts[0] + counts[2] + counts[3]) + counts[1]
    return normals, counts[0] + 2 * counts[1] + counts[2] + 3 * counts[3]


@kernel(allocates=False)
def sweep(
    i, counts, normals, uniforms, eta, minus2ll, theta, sigma, factor, precision, widths, accepted, tried, learned, centre, cover,
    trial, spare, f_now,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    p, dp, d2p, f, f_p, f_pp, fz, fez,
):  # fmt: skip
    """Move one chain of subject ``i``; returns -2 log p(y | η) where it ends.

    Parameters
    ----------
    counts : (4,) int array
        How often each of the four proposals is made.
    normals, uniforms : arrays
        The random numbers of this sweep.
    eta : (E,) array
        In and out: where the chain is.
    minus2ll : float
        -2 log p(y | η) there.
    factor, precision : (E, E) arrays
        Lower Cholesky factor of Ω, and Ω⁻¹.
    widths, accepted : (E + 1,) arrays
        Widths of the walks in each component and of all together; number of steps accepted, added to, as ``tried`` is.
    learned : bool
        Whether ``centre`` (E,) and ``cover`` (E, E), the posterior's mean and the lower factor of its covariance, are there yet.
    trial, spare : (E,) arrays
        Work.
    f_now : (O,) array
        In and out: predictions at ``eta``.
    """
    ne = eta.shape[0]
    prior = quadratic(precision, eta)
    z, u = 0, 0
    for kind in range(4):
        if kind == 3 and not learned:
            break
        for _ in range(counts[kind]):
            change = 0.0
            k = ne
            if kind == 0:
                for a in range(ne):
                    trial[a] = 0.0
                    for b in range(a + 1):
                        trial[a] += factor[a, b] * normals[z + b]
            elif kind == 1:
                k = min(int(uniforms[u + 1] * ne), ne - 1)
                for a in range(ne):
                    trial[a] = eta[a]
                trial[k] += widths[k] * normals[z]
            elif kind == 2:
                for a in range(ne):
                    trial[a] = eta[a]
                    if learned:
                        for b in range(a + 1):
                            trial[a] += widths[ne] * cover[a, b] * normals[z + b]
                    else:
                        trial[a] += widths[ne] * widths[a] * normals[z + a]
            else:
                change = student_minus2log(centre, cover, eta, spare)
                change -= student_draw(
                    centre, cover, normals[z : z + ne], uniforms[u + 1], uniforms[u + 2], trial
                )
            status, there = minus2ll_given(
                i, 0, trial, theta, sigma,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            change += there - minus2ll
            proposed = quadratic(precision, trial)
            if kind > 0:  # the prior cancels where it is what proposes
                change += proposed - prior
            if kind == 1 or kind == 2:
                tried[k] += 1.0
            if status == OK and (minus2ll == np.inf or math.log(uniforms[u]) < -0.5 * change):
                minus2ll, prior = there, proposed
                for a in range(ne):
                    eta[a] = trial[a]
                for o in range(f_now.shape[0]):
                    f_now[o] = f[o]
                if kind == 1 or kind == 2:
                    accepted[k] += 1.0
            z += 1 if kind == 1 else ne
            u += 3 if kind == 3 else (2 if kind == 1 else 1)
    return minus2ll


@kernel(allocates=False)
def adapt(widths, accepted, tried, gain, spread):
    """Move the widths of a subject's walks towards the wanted acceptance; the counts are set back to zero.

    Parameters
    ----------
    accepted, tried : (E + 1,) arrays
        As counted by :func:`sweep`.
    gain : float
        1 at first, falling to 0 so that the chain becomes a homogeneous one.
    spread : (E,) array
        Prior standard deviations: widths stay within 1e-4 and 10 of them.
    """
    ne = spread.shape[0]
    for k in range(ne + 1):
        if tried[k] > 0.0:
            widths[k] *= math.exp(_RATE * gain * (accepted[k] / tried[k] - _WANTED))
        low, high = (1e-4 * spread[k], 10.0 * spread[k]) if k < ne else (0.05, 5.0)
        widths[k] = min(max(widths[k], low), high)
        accepted[k] = 0.0
        tried[k] = 0.0


@kernel(
    void(i8, I1, i8, i8, i8, A2, A3, A1, A1, A2, A2, *MODEL, SUBJECTS, OBSERVED, A3, I1),
    parallel=True,
)
def draw_conditional(
    seed, counts, warm_up, thinning, n, centres, covers, theta, sigma, factor, precision,
    solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
    draws, status,
):  # fmt: skip
    """Draws of the random effects of all subjects given their records.

    Parameters
    ----------
    seed : int
    counts : (4,) int array
        Of :func:`sweep`.
    warm_up, thinning, n : int
        Sweeps that adapt and are dropped; sweeps from one draw to the next; draws that are kept.
    centres : (N, E) array
        Where the chains start: about the posteriors' means.
    covers : (N, E, E) array
        About the posteriors' covariances.
    draws : (N, n, E) array
        Filled; ``status`` (N,) too.
    """
    for i in prange(centres.shape[0]):
        ne, nt = centres.shape[1], theta.shape[0]
        records = subjects.obs_offsets[i + 1] - subjects.obs_offsets[i]
        p, dp, d2p, f, f_p, f_pp, fz, fez = work_arrays(
            0, records, system.slots, subjects.change_value.shape[1], ne, nt
        )
        eta, trial, spare = centres[i].copy(), np.zeros(ne), np.zeros(ne)
        accepted, widths, f_now, cover = (
            np.zeros(ne + 1),
            np.ones(ne + 1),
            np.zeros(records),
            np.zeros((ne, ne)),
        )
        count, uniform_count = counts_of_numbers(counts, ne)
        normals, uniforms = np.zeros(count), np.zeros(uniform_count)
        tried, spread = np.zeros(ne + 1), np.zeros(ne)
        learned = cholesky(covers[i], cover)
        for a in range(ne):
            for b in range(a + 1):
                spread[a] += factor[a, b] ** 2
            spread[a] = math.sqrt(spread[a])
            widths[a] = math.sqrt(covers[i, a, a]) if learned else 0.5 * spread[a]
        status[i], minus2ll = minus2ll_given(
            i, 0, eta, theta, sigma,
            solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
            p, dp, d2p, f_now, f_p, f_pp, fz, fez,
        )  # fmt: skip
        for k in range(warm_up + n * thinning):
            fill_normals(seed, DRAWS_NORMAL, i, k, 0, normals)
            fill_uniforms(seed, DRAWS_UNIFORM, i, k, 0, uniforms)
            minus2ll = sweep(
                i, counts, normals, uniforms, eta, minus2ll, theta, sigma, factor, precision, widths, accepted, tried, learned,
                centres[i], cover, trial, spare, f_now,
                solver, parameters, rates, jacobian, hessian, output, steady, system, subjects, observed,
                p, dp, d2p, f, f_p, f_pp, fz, fez,
            )  # fmt: skip
            if k < warm_up:
                adapt(widths, accepted, tried, 1.0, spread)
            elif (k - warm_up) % thinning == thinning - 1:
                for a in range(ne):
                    draws[i, (k - warm_up) // thinning, a] = eta[a]
        if minus2ll < np.inf:
            status[i] = OK
