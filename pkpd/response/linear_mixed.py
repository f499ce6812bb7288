"""Linear mixed model with up to a few random effects per subject, by restricted or full maximum likelihood.

y_i = X_i β + Z_i b_i + ε, b_i ~ N(0, σ² ΛΛ'), ε ~ N(0, σ²). β and σ are profiled out, so the search is over Λ alone
(Bates D, et al. J Stat Softw 2015;67(1), eqs. 39-42; here by Woodbury's identity per subject).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["MixedOptimum", "fit_linear_mixed"]


@dataclass(frozen=True)
class MixedOptimum:
    """Where a linear mixed model fits best.

    Attributes
    ----------
    coefficients : ndarray, shape (p,)
    covariance : ndarray, shape (p, p)
        σ² (X'V⁻¹X)⁻¹ at the estimated variances.
    residual_sd : float
    random_covariance : ndarray, shape (q, q)
    random_effects : ndarray, shape (groups, q)
        Best linear unbiased predictions.
    log_likelihood : float
        Restricted or full, with all constants.
    converged : bool
    """

    coefficients: np.ndarray
    covariance: np.ndarray
    residual_sd: float
    random_covariance: np.ndarray
    random_effects: np.ndarray
    log_likelihood: float
    converged: bool


def fit_linear_mixed(
    y: np.ndarray,
    x: np.ndarray,
    z: np.ndarray,
    group: np.ndarray,
    *,
    correlated: bool = False,
    reml: bool = True,
) -> MixedOptimum:
    """Fit a linear mixed model.

    Parameters
    ----------
    y : ndarray, shape (n,)
    x : ndarray, shape (n, p)
        Fixed effects, of full column rank.
    z : ndarray, shape (n, q)
        Random effects.
    group : ndarray of int, shape (n,)
        Subject of each row, 0 … groups − 1.
    correlated : bool
        Whether the random effects of a subject may be correlated.
    reml : bool
        Restricted (default) or full likelihood.

    Returns
    -------
    MixedOptimum
    """
    from scipy.optimize import minimize

    scale = np.sqrt(np.mean(z * z, axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    moments = _Moments.of(y, x, z / scale, group)
    q = z.shape[1]
    lower = [(i, i) for i in range(q)] if not correlated else [(i, j) for i in range(q) for j in range(i + 1)]

    def factor(theta: np.ndarray) -> np.ndarray:
        out = np.zeros((q, q))
        for (i, j), value in zip(lower, theta, strict=True):
            out[i, j] = value
        return out

    def deviance(theta: np.ndarray) -> float:
        return moments.solve(factor(theta), reml).deviance

    best = None
    for level in (1.0, 0.1):
        start = np.array([level if i == j else 0.0 for i, j in lower])
        # a standard deviation may be zero, so the search is a simplex: differences would fail at the edge
        found = minimize(
            deviance,
            start,
            method="Nelder-Mead",
            options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000, "maxfev": 8000},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    root = factor(best.x)
    solution = moments.solve(root, reml)
    spread = solution.residual_sd**2 * np.einsum("ij,kj->ik", root, root) * np.outer(1 / scale, 1 / scale)
    return MixedOptimum(
        coefficients=solution.coefficients,
        covariance=solution.residual_sd**2 * np.linalg.inv(solution.information),
        residual_sd=solution.residual_sd,
        random_covariance=spread,
        random_effects=solution.spherical @ root.T / scale,
        log_likelihood=-solution.deviance / 2,
        converged=bool(best.success),
    )


@dataclass(frozen=True)
class _Solution:
    deviance: float
    coefficients: np.ndarray
    information: np.ndarray
    residual_sd: float
    spherical: np.ndarray


@dataclass(frozen=True)
class _Moments:
    """Sums of products per subject: all that the likelihood needs of the data."""

    n: int
    xx: np.ndarray
    xy: np.ndarray
    yy: float
    zz: np.ndarray  # (groups, q, q)
    zx: np.ndarray  # (groups, q, p)
    zy: np.ndarray  # (groups, q)

    @staticmethod
    def of(y: np.ndarray, x: np.ndarray, z: np.ndarray, group: np.ndarray) -> _Moments:
        groups = int(group.max()) + 1

        def summed(values: np.ndarray) -> np.ndarray:
            out = np.zeros((groups, *values.shape[1:]))
            np.add.at(out, group, values)
            return out

        return _Moments(
            n=len(y),
            xx=np.einsum("ij,ik->jk", x, x),
            xy=np.einsum("ij,i->j", x, y),
            yy=float(np.einsum("i,i->", y, y)),
            zz=summed(z[:, :, None] * z[:, None, :]),
            zx=summed(z[:, :, None] * x[:, None, :]),
            zy=summed(z * y[:, None]),
        )

    def solve(self, root: np.ndarray, reml: bool) -> _Solution:
        """β, σ and the deviance −2 l for a relative covariance factor Λ."""
        q = root.shape[0]
        inner = np.eye(q) + np.einsum("ji,gjk,kl->gil", root, self.zz, root)
        chol = np.linalg.cholesky(inner)
        cx = np.linalg.solve(chol, np.einsum("ji,gjk->gik", root, self.zx))
        cy = np.linalg.solve(chol, np.einsum("ji,gj->gi", root, self.zy)[:, :, None])[:, :, 0]
        information = self.xx - np.einsum("gij,gik->jk", cx, cx)
        moment = self.xy - np.einsum("gij,gi->j", cx, cy)
        beta = np.linalg.solve(information, moment)
        rss = self.yy - float(np.einsum("gi,gi->", cy, cy)) - float(beta @ moment)
        log_v = 2 * float(np.sum(np.log(np.einsum("gii->gi", chol))))
        df = self.n - len(beta) if reml else self.n
        if not rss > 0:
            return _Solution(np.inf, beta, information, 0.0, cy)
        deviance = log_v + df * (1 + np.log(2 * np.pi * rss / df))
        if reml:
            deviance += float(np.linalg.slogdet(information)[1])
        residual = cy - np.einsum("gij,j->gi", cx, beta)
        spherical = np.linalg.solve(np.swapaxes(chol, 1, 2), residual[:, :, None])[:, :, 0]
        return _Solution(float(deviance), beta, information, float(np.sqrt(rss / df)), spherical)
