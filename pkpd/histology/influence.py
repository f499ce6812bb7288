"""How much one histology carries the summary of all: leave-one-histology-out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.histology.meta_analysis import MetaAnalysis, meta_analysis
from pkpd.histology.normal_hierarchical import read_estimates

__all__ = ["leave_one_out"]

DOMINANT_SHARE = 0.50


def leave_one_out(
    estimates: Sequence[float] | np.ndarray | pd.Series,
    standard_errors: Sequence[float] | np.ndarray | pd.Series,
    method: str = "PM",
    interval: str = "HK",
) -> pd.DataFrame:
    """Repeat the random-effects summary without each histology in turn.

    Parameters
    ----------
    estimates, standard_errors : sequence of float, shape (K,), K ≥ 3
    method, interval : str
        As in :func:`pkpd.histology.meta_analysis`.

    Returns
    -------
    DataFrame
        One row per histology: histology (left out), weight (its share with all in), mu, se, lower, upper,
        tau2, i2, q, q_p_value (without it), and the flags dominant (share above one half), sign_change (the
        mean changes its sign), conclusion_change (whether the 95 % interval holds 0 changes).

    Raises
    ------
    InputError
        ``E_ESTIMATES`` with fewer than three histologies, and what :func:`pkpd.histology.meta_analysis`
        raises.
    """
    y, covariance, names = read_estimates(estimates, standard_errors, None)
    se = np.sqrt(np.diag(covariance))
    if y.size < 3:
        raise InputError(
            "E_ESTIMATES", f"{y.size} histologies: nothing is left to summarise.", "Give three or more."
        )
    rows = []
    with warnings.catch_warnings():
        # K − 1 histologies are few because one was left out on purpose
        warnings.simplefilter("ignore", PkpdWarning)
        everything = meta_analysis(y, se, method, interval)
        for k, name in enumerate(names):
            without = meta_analysis(np.delete(y, k), np.delete(se, k), method, interval)
            share = float(everything.table["weight"].iloc[k])
            rows.append(
                {
                    "histology": name,
                    "weight": share,
                    **{
                        field: getattr(without, field)
                        for field in ("mu", "se", "lower", "upper", "tau2", "i2", "q")
                    },
                    "q_p_value": without.q_p_value,
                    "dominant": share > DOMINANT_SHARE,
                    "sign_change": without.mu * everything.mu < 0,
                    "conclusion_change": _holds_zero(without) != _holds_zero(everything),
                }
            )
    return pd.DataFrame(rows)


def _holds_zero(summary: MetaAnalysis) -> bool:
    return summary.lower <= 0 <= summary.upper
