"""Adjustment of p-values for asking about several histologies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError

__all__ = ["holm"]


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
