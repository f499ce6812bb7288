"""How heavy the tail of importance weights is: the shape k of a generalised Pareto distribution.

Vehtari, Simpson, Gelman, Yao & Gabry, J Mach Learn Res 2024;25(72): the largest min(n/5, 3√n) weights are fitted; above 0.7 the
estimate is not to be trusted. The fit is that of Zhang & Stephens, Technometrics 2009;51:316-325, with the weak prior of Vehtari
et al. (appendix C) that draws k towards 0.5 when there are few tail weights.
"""

from __future__ import annotations

import numpy as np

__all__ = ["generalised_pareto_shape", "pareto_k"]


def pareto_k(log_weights: np.ndarray) -> np.ndarray:
    """Shape k per row.

    Parameters
    ----------
    log_weights : (N, n) array
        Logarithms of weights, up to a constant per row; -inf for none.

    Returns
    -------
    (N,) array
        NaN with fewer than 21 draws; -inf where the tail weights are all the same.
    """
    rows, n = log_weights.shape
    tail = int(np.ceil(min(0.2 * n, 3.0 * np.sqrt(n))))
    if tail < 5:
        return np.full(rows, np.nan)
    largest = np.sort(log_weights, axis=1)[:, -(tail + 1) :]
    with np.errstate(invalid="ignore"):
        scaled = np.exp(largest - largest[:, -1:])
    over = scaled[:, 1:] - scaled[:, :1]
    out = np.full(rows, -np.inf)
    spread = over[:, -1] > 0
    # repeated weights give excesses of 0, which the likelihood of the fit cannot take
    over = np.maximum(over, 1e-300)
    if spread.any():
        k = generalised_pareto_shape(over[spread])
        out[spread] = (k * tail + 0.5 * 10.0) / (tail + 10.0)
    return out


def generalised_pareto_shape(x: np.ndarray) -> np.ndarray:
    """Shape k of a generalised Pareto distribution, per row of positive excesses in ascending order (Zhang & Stephens)."""
    n = x.shape[1]
    m = 30 + int(np.sqrt(n))
    j = np.arange(1, m + 1)
    quartile = x[:, int(n / 4 + 0.5) - 1]
    b = 1.0 / x[:, -1:] + (1.0 - np.sqrt(m / (j - 0.5))) / (3.0 * quartile[:, None])
    with np.errstate(divide="ignore", invalid="ignore"):
        k = np.log1p(-b[:, :, None] * x[:, None, :]).mean(axis=2)
        level = n * (np.log(-b / k) - k - 1.0)
    level = np.where(np.isfinite(level), level, -np.inf)
    weights = np.exp(level - level.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    b_hat = (b * weights).sum(axis=1)
    return np.log1p(-b_hat[:, None] * x).mean(axis=1)
