"""Is the mean over histologies zero? Exact test that needs no normal distribution: every pattern of signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology.meta_analysis import estimator
from pkpd.histology.normal_hierarchical import read_estimates
from pkpd.results import result

__all__ = ["SignPermutation", "sign_permutation"]

MOST_HISTOLOGIES = 15  # 2^14 summaries
TIE = 1e-9  # statistics that are equal in exact arithmetic differ by rounding


@result
@dataclass(frozen=True)
class SignPermutation:
    """Outcome of the sign-flip test.

    Attributes
    ----------
    statistic : float
        z = mean over its standard error, random effects.
    p_value : float
        Two-sided: share of the 2^K sign patterns whose z is at least as far from 0; 2^(1−K) is the smallest there is.
    p_normal : float
        Of the normal approximation, for comparison.
    n_patterns : int
        2^K.
    """

    statistic: float
    p_value: float
    p_normal: float
    n_patterns: int


def sign_permutation(
    estimates: Sequence[float] | np.ndarray | pd.Series,
    standard_errors: Sequence[float] | np.ndarray | pd.Series,
    method: str = "PM",
) -> SignPermutation:
    """Test that the mean effect over histologies is zero, by all patterns of signs of the estimates.

    Exact where each estimate is symmetric about zero under the hypothesis; the between-histology variance is
    estimated anew for each pattern.

    Parameters
    ----------
    estimates, standard_errors : sequence of float, shape (K,)
    method : {"PM", "DL", "REML", "FE"}
        Of τ², as in :func:`pkpd.histology.meta_analysis`.

    Returns
    -------
    SignPermutation

    Raises
    ------
    InputError
        ``E_ESTIMATES``, ``E_STANDARD_ERRORS``, ``E_OPTION``; ``E_HISTOLOGIES`` above 15.

    References
    ----------
    Follmann DA, Proschan MA. Biometrics 1999;55:732-737.
    """
    from scipy.special import ndtr

    tau2_of = estimator(method)
    y, covariance, _ = read_estimates(estimates, standard_errors, None)
    v, k = np.diag(covariance), y.size
    if k > MOST_HISTOLOGIES:
        raise InputError(
            "E_HISTOLOGIES",
            f"{k} histologies have too many patterns of signs.",
            f"{MOST_HISTOLOGIES} are the most; meta_analysis has a normal interval.",
        )

    def statistic(values: np.ndarray) -> float:
        w = 1 / (v + tau2_of(values, v))
        return float(w @ values / np.sqrt(w.sum()))

    observed = statistic(y)
    # z of a pattern and of its mirror image are each other's negative: the first sign stays
    found = np.array([statistic(y * np.array((1.0, *signs))) for signs in product((1.0, -1.0), repeat=k - 1)])
    return SignPermutation(
        statistic=observed,
        p_value=float(np.mean(np.abs(found) >= abs(observed) - TIE)),
        p_normal=float(2 * ndtr(-abs(observed))),
        n_patterns=1 << k,
    )
