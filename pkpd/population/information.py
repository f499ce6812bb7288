"""Observed information by Louis's formula, from weighted draws of the random effects.

Louis, J R Stat Soc B 1982;44:226-233: with s and H the score and Hessian of the complete-data log-likelihood,

    I = Σ_i { E[-H] - E[s sᵀ] + E[s] E[s]ᵀ },

expectations over the posterior of subject i. The complete data are (y, φ), φ the individual parameters on their normal scale, so
that mu-referenced thetas and Ω enter by the Gaussian density of φ alone.

Where φ leaves a parameter little freedom, I is a small difference of two large matrices, and the sampling error of the second
can be larger than it.
"""

from __future__ import annotations

import numpy as np

from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.population.complete_data import CompleteData
from pkpd.population.covariance import CovarianceStep, from_information
from pkpd.population.importance import MISSED, Weighted

__all__ = ["louis"]

_LARGEST_ERROR = 0.1  # of I in any direction, relative: standard errors then err by 5 %
_STEP = 1e-4  # on the unconstrained scale; central differences of exact scores err by its square


def louis(
    problem: Problem,
    scales: Scales,
    records,
    complete: CompleteData,
    values: Values,
    weighted: Weighted,
    seed: int,
    samples: int,
) -> CovarianceStep | str:
    """Covariance of the estimates, or what keeps this formula from giving it.

    Parameters
    ----------
    problem : Problem
    scales : Scales
    records : Observed
    complete : CompleteData
    values : Values
        The estimates.
    weighted : Weighted
        Draws at them.
    seed : int
        That of the draws.
    samples : int
        What was asked for, to name where it is too little.
    """
    x = scales.free_values(values)
    if len(x) == 0:
        return CovarianceStep(None, "every parameter is fixed", float("nan"), ())
    n, ne, nt, ns = problem.n_subjects, problem.n_eta, len(values.theta), len(values.sigma)
    columns, pairs = len(complete.moving) + ns, ne * (ne + 1) // 2

    missed = np.zeros(n)

    def scores(at: Values, full: int) -> tuple[np.ndarray, ...]:
        from pkpd.kernels.importance import weighted_scores

        size = nt + pairs + ns if full else 0
        out = (
            np.zeros((n, columns)), np.zeros((n, columns, columns)), np.zeros((n, size)), np.zeros((n, size, size)),
            np.zeros((n, ns if full else 0, columns if full else 0)), missed,
        )  # fmt: skip
        weighted_scores(
            seed, weighted.replicate, full, weighted.log_weights, weighted.centres, weighted.covers, complete.moving,
            complete.carriers, complete.slopes(at.theta), at.theta, np.linalg.inv(at.omega), at.sigma,
            *problem.compiled, problem.subject_data, records, *out,
        )  # fmt: skip
        return out

    _, _, score, square, sigma_curves, _ = scores(values, 1)
    if np.any(missed > MISSED):
        who = ", ".join(str(problem.subjects[i]) for i in np.flatnonzero(missed > MISSED)[:8])
        return f"the score of Louis's formula is not finite at draws of ID {who}"
    to_free = _to_free(scales, values, ne)
    score_free = score @ to_free
    # weighted covariances within subjects, without bias
    lost = np.exp(2 * weighted.log_weights).sum(axis=1)
    within = square - score[:, :, None] * score[:, None, :]
    missing = to_free.T @ (within / (1 - lost)[:, None, None]).sum(axis=0) @ to_free
    # the records' part, in (moving thetas, sigmas)
    part = np.zeros((columns, columns))
    part[:, len(complete.moving) :] = sigma_curves.sum(axis=0).T
    for k, t in enumerate(complete.moving):
        j = int(np.flatnonzero(scales.free == t)[0])
        sides, thetas = [], []
        for step in (_STEP, -_STEP):
            moved = x.copy()
            moved[j] += step
            at = scales.from_free(moved, values)
            sides.append(-0.5 * scores(at, 0)[0].sum(axis=0))
            thetas.append(at.theta[t])
        part[:, k] = -(sides[0] - sides[1]) / (thetas[0] - thetas[1])
    rows = [int(t) for t in complete.moving] + [nt + pairs + s for s in range(ns)]
    selected = to_free[rows]
    complete_information = selected.T @ (0.5 * (part + part.T)) @ selected
    complete_information += _gaussian(scales, complete, values, weighted, x)
    if np.any(silent := ~(np.diag(complete_information) > 0)):
        who = ", ".join(scales.names[k] for k in np.asarray(scales.free)[silent])
        return f"the records do not change with {who}, or it lies at its bound"
    if not _relative_error(complete_information, missing, float(lost.mean()) / n) < _LARGEST_ERROR:
        return f"Louis's formula needs more than {samples} samples"
    information = complete_information - missing
    return from_information(
        0.5 * (information + information.T),
        score_free.T @ score_free,
        values,
        scales,
        "observed information (Louis)",
    )


def _relative_error(whole: np.ndarray, missing: np.ndarray, per_draw: float) -> float:
    """Standard error of I relative to itself in the direction where most is missing; a variance estimated from n independent
    draws, 1/n being ``per_draw``, errs by √(2/n).
    """
    scale = np.sqrt(np.abs(np.diag(whole)))
    spectrum, vectors = np.linalg.eigh(whole / np.outer(scale, scale))
    if not spectrum[0] > 0:
        return np.inf
    root = vectors / np.sqrt(spectrum) / scale[:, None]
    share = np.linalg.eigvalsh(root.T @ missing @ root)[-1]
    return np.sqrt(2 * per_draw) * share / (1 - share) if share < 1 else np.inf


def _to_free(scales: Scales, values: Values, ne: int) -> np.ndarray:
    """The map (thetas + pairs of Ω + sigmas, free) that carries a score to the unconstrained scale."""
    nt, ns = len(values.theta), len(values.sigma)
    pairs = [(a, b) for a in range(ne) for b in range(a + 1)]
    size = nt + len(pairs) + ns
    g_theta, g_omega, g_sigma = np.zeros((size, nt)), np.zeros((size, ne, ne)), np.zeros((size, ns))
    g_theta[:nt] = np.eye(nt)
    for k, (a, b) in enumerate(pairs):
        g_omega[nt + k, a, b] = g_omega[nt + k, b, a] = 1.0
    g_sigma[nt + len(pairs) :] = np.eye(ns)
    return scales.free_gradient(values, g_theta, g_omega, g_sigma)


def _gaussian(
    scales: Scales, complete: CompleteData, values: Values, weighted: Weighted, x: np.ndarray
) -> np.ndarray:
    """Minus the Hessian of Σ E log p(φ; θ, Ω) on the unconstrained scale."""
    n, ne = weighted.means.shape
    first = complete.means(values.theta, ne) + weighted.means
    within = weighted.covariances.sum(axis=0)

    def gradient(point: np.ndarray) -> np.ndarray:
        at = scales.from_free(point, values)
        precision = np.linalg.inv(at.omega)
        rest = first - complete.means(at.theta, ne)
        turned, slopes = rest @ precision, complete.slopes(at.theta)
        g_theta = np.zeros(len(at.theta))
        for r in complete.referencing.references:
            g_theta[r.theta] = slopes[:, r.theta] @ turned[:, r.eta]
        scatter = within + rest.T @ rest
        g_omega = 0.5 * (precision @ scatter @ precision - n * precision)
        return scales.free_gradient(at, g_theta, g_omega, np.zeros(len(at.sigma)))

    out = np.zeros((len(x), len(x)))
    for j in range(len(x)):
        sides = []
        for step in (_STEP, -_STEP):
            point = x.copy()
            point[j] += step
            sides.append(gradient(point))
        out[:, j] = -(sides[0] - sides[1]) / (2 * _STEP)
    return 0.5 * (out + out.T)
