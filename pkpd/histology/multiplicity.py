"""Adjustment of p-values for asking about several histologies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology.normal_hierarchical import read_estimates
from pkpd.response.largest_statistic import largest_statistic_p

__all__ = ["holm", "max_t"]


def holm(p_values: Sequence[float] | np.ndarray | pd.Series) -> np.ndarray | pd.Series:
    """Holm's step-down adjustment; strong control of the family-wise error under any dependence.

    Parameters
    ----------
    p_values : sequence of float, shape (m,)
        NaN where a test could not be done; such tests count for nothing and stay NaN.

    Returns
    -------
    ndarray or Series, shape (m,)
        Adjusted p-values in the order given; a Series keeps its index.

    Raises
    ------
    InputError
        ``E_P_VALUES`` if a value lies outside [0, 1].

    References
    ----------
    Holm S. Scand J Stat 1979;6:65-70.
    """
    p = np.asarray(p_values, float)
    known = np.isfinite(p)
    if p.ndim != 1 or ((p < 0) | (p > 1))[known].any() or np.isinf(p).any():
        raise InputError(
            "E_P_VALUES", f"p-values {p.tolist()!r} must lie in [0, 1].", "Give one row of p-values."
        )
    order = np.argsort(p[known], kind="stable")
    m = order.size
    adjusted = np.empty(m)
    adjusted[order] = np.minimum(np.maximum.accumulate((m - np.arange(m)) * p[known][order]), 1.0)
    out = np.full(p.shape, np.nan)
    out[known] = adjusted
    return (
        pd.Series(out, index=p_values.index, name=p_values.name) if isinstance(p_values, pd.Series) else out
    )


def max_t(
    estimates: Sequence[float] | np.ndarray | pd.Series,
    standard_errors: Sequence[float] | np.ndarray | pd.Series | None = None,
    covariance: np.ndarray | pd.DataFrame | None = None,
    *,
    reference: int | str | None = None,
    weights: Sequence[float] | np.ndarray | None = None,
    df: float | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Each histology against one reference or the mean of all, by the distribution of the largest absolute t.

    Uses the correlation between the contrasts, so it is never more conservative than Holm.

    Parameters
    ----------
    estimates, standard_errors, covariance
        As in :func:`pkpd.histology.normal_hierarchical`.
    reference : int or str, optional
        Position or name of the histology to compare with (Dunnett); without it each is compared with the
        weighted mean of all, itself included.
    weights : sequence of float, shape (K,), optional
        Of that mean, e.g. the numbers of patients; equal without it. Not with `reference`.
    df : float, optional
        Degrees of freedom of the residual variance; normal without it.
    seed : int
        Of the quasi-Monte-Carlo integration over directions, good to about 1e-3 of a p-value of 1e-4 or more.

    Returns
    -------
    DataFrame
        histology, difference, se, statistic, p_value (adjusted).

    Raises
    ------
    InputError
        ``E_ESTIMATES``, ``E_STANDARD_ERRORS``, ``E_COVARIANCE``, ``E_REFERENCE_ABSENT``, ``E_WEIGHTS``, ``E_OPTION``.

    References
    ----------
    Dunnett CW. J Am Stat Assoc 1955;50:1096-1121. Hothorn T, Bretz F, Westfall P. Biom J 2008;50:346-363.
    """
    y, cov, names = read_estimates(estimates, standard_errors, covariance)
    k = y.size
    if (df is not None and not df > 0) or seed < 0:
        raise InputError("E_OPTION", f"df={df!r}, seed={seed!r}.", "Give df > 0, or none, and a seed >= 0.")
    if reference is not None:
        if weights is not None:
            raise InputError(
                "E_WEIGHTS",
                "weights belong to the mean of all, not to one reference.",
                "Give one of the two.",
            )
        position = names.index(reference) if reference in names else reference
        if not isinstance(position, int) or not 0 <= position < k:
            raise InputError(
                "E_REFERENCE_ABSENT", f"reference {reference!r} is none of {names!r}.", "Name one of these."
            )
        rows = [i for i in range(k) if i != position]
        contrast = np.eye(k)[rows]
        contrast[:, position] = -1.0
    else:
        share = np.ones(k) if weights is None else np.asarray(weights, float)
        if share.shape != (k,) or not (np.isfinite(share) & (share > 0)).all():
            raise InputError("E_WEIGHTS", f"weights {weights!r}.", f"Give {k} positive numbers.")
        rows = list(range(k))
        contrast = np.eye(k) - share / share.sum()
    difference, variance = contrast @ y, contrast @ cov @ contrast.T
    se = np.sqrt(np.diag(variance))
    if not (se > 0).all():
        raise InputError("E_COVARIANCE", "a contrast has no variance.", "Leave out duplicated histologies.")
    statistic = difference / se
    correlation = variance / np.outer(se, se)
    p = largest_statistic_p(statistic, correlation, math.inf if df is None else df, two_sided=True, seed=seed)
    return pd.DataFrame(
        {
            "histology": [names[i] for i in rows],
            "difference": difference,
            "se": se,
            "statistic": statistic,
            "p_value": p,
        }
    )
