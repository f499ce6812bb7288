"""Tail of the largest of several correlated normal or t statistics: what a family-wise adjusted p-value is."""

from __future__ import annotations

import numpy as np

__all__ = ["largest_statistic_p"]

SOBOL_POWER = 16


def largest_statistic_p(
    statistics: np.ndarray, correlation: np.ndarray, df: float, *, two_sided: bool, seed: int = 1
) -> np.ndarray:
    """P(max T ≥ t), or P(max |T| ≥ |t|), for each statistic t.

    T = B g / √(χ²/df) with B B' the correlation. With g = R u, u on the unit sphere, max T ≥ t is R ≥ t / max(B u), so only
    the direction is drawn (65 536 scrambled Sobol points) and the tail of R is exact: of F(r, df), or of χ²(r). Nothing is
    inverted, so that contrasts may depend on each other.

    Parameters
    ----------
    statistics : ndarray, shape (m,)
    correlation : ndarray, shape (k, k)
        Of the statistics over which the maximum goes.
    df : float
        Degrees of freedom of the common variance; infinite for the normal.
    two_sided : bool
    seed : int
        Of the scrambling.

    Returns
    -------
    ndarray, shape (m,)
        To about 1e-3 of their own size down to 1e-4; a few percent at 1e-6.
    """
    from scipy.special import ndtri
    from scipy.stats import qmc

    values, axes = np.linalg.eigh(np.asarray(correlation, dtype=float))
    kept = values > 1e-10 * values[-1]
    root = axes[:, kept] * np.sqrt(values[kept])
    rank = int(kept.sum())
    points = qmc.Sobol(rank, rng=np.random.default_rng(seed)).random_base2(SOBOL_POWER)
    normal = ndtri(np.clip(points, 1e-12, 1 - 1e-12))
    unit = normal / np.sqrt(np.einsum("ij,ij->i", normal, normal))[:, None]
    along = np.einsum("ij,kj->ik", unit, root)
    reach = np.abs(along).max(axis=1) if two_sided else along.max(axis=1)
    out = np.empty(len(statistics))
    for i, t in enumerate(np.abs(statistics) if two_sided else np.asarray(statistics, dtype=float)):
        if t > 0:
            out[i] = _radius_tail(t / reach[reach > 0], rank, df).sum() / len(reach)
        else:  # all stay below t where every one of them is that far on the other side
            out[i] = 1 - _radius_tail(t / reach[reach < 0], rank, df).sum() / len(reach)
    return out


def _radius_tail(radius: np.ndarray, rank: int, df: float) -> np.ndarray:
    """P(R ≥ radius)."""
    from scipy.special import betainc, gammaincc

    if np.isinf(df):
        return gammaincc(rank / 2, radius**2 / 2)
    return betainc(df / 2, rank / 2, df / (df + radius**2))
