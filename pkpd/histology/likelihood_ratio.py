"""Does histology matter at all? Likelihood-ratio tests on responses and on population fits."""

from __future__ import annotations

import warnings
from typing import Any

import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.response import LikelihoodRatio, bootstrap_likelihood_ratio
from pkpd.response.likelihood_ratio import chi2_p_value

__all__ = ["likelihood_ratio"]


def likelihood_ratio(
    fit_or_frame: Any,
    reduced: Any = None,
    *,
    response: str | None = None,
    exposure: str | None = None,
    histology: str | None = None,
    term: str = "interaction",
    p_value: str = "bootstrap",
    n_bootstrap: int = 999,
    seed: int = 0,
    shape: str = "linear",
    log_sd: str | None = None,
) -> LikelihoodRatio:
    """Likelihood-ratio test for histology.

    Either on a table of responses: ``likelihood_ratio(frame, response="ORR", exposure="AUC1",
    histology="TUMOR")``; or on two population fits, the second without the histology effects:
    ``likelihood_ratio(full, reduced)``.

    Parameters
    ----------
    fit_or_frame : DataFrame or PopulationFit
        One row per subject; or the fit with histology effects.
    reduced : PopulationFit, optional
        The fit without them; only with a fit.
    response, exposure, histology : str
        Columns; only with a table.
    term : str
        ``"interaction"``: slopes differ, given intercepts; ``"intercepts"``: intercepts differ, one slope;
        ``"histology"``: both at once.
    p_value : {"bootstrap", "chi2"}
        For a table. The χ² p-value rejects a true null in 10-15 % instead of 5 % of trials with six to ten
        baskets of 7-26 patients; the parametric bootstrap holds its level.
    n_bootstrap, seed : int
        For ``p_value="bootstrap"``.
    shape : str
        ``"linear"`` or ``"log"`` exposure.
    log_sd : str, optional
        Column with the standard deviation of the logarithm of each exposure: the likelihoods are integrated over it.

    Returns
    -------
    LikelihoodRatio

    Raises
    ------
    InputError
        ``E_OPTION``, ``E_LRT_FITS`` (fits that are not nested, of other data or another method), and what
        :func:`pkpd.response.bootstrap_likelihood_ratio` raises.

    Warns
    -----
    PkpdWarning
        ``W_LRT_NEGATIVE``: the full fit is worse than the reduced one, so one of them is not at its optimum.
    """
    if isinstance(fit_or_frame, pd.DataFrame):
        if reduced is not None:
            raise InputError(
                "E_OPTION", "a table takes no reduced fit.", "Name response, exposure, histology."
            )
        if response is None or histology is None:
            raise InputError("E_OPTION", "response and histology are needed.", "Name these columns.")
        if p_value not in ("bootstrap", "chi2"):
            raise InputError(
                "E_OPTION", f"p_value={p_value!r} is not supported.", "Choose bootstrap or chi2."
            )
        if p_value == "bootstrap" and n_bootstrap < 1:
            raise InputError("E_OPTION", f"n_bootstrap={n_bootstrap!r}.", "Give 999, or p_value='chi2'.")
        draws = n_bootstrap if p_value == "bootstrap" else 0
        return bootstrap_likelihood_ratio(
            fit_or_frame, response, exposure, histology, term, shape, draws, seed, log_sd
        )
    if not (hasattr(fit_or_frame, "ofv") and hasattr(reduced, "ofv")):
        raise InputError(
            "E_OPTION",
            f"a DataFrame or two population fits are needed, not {type(fit_or_frame).__name__} and "
            f"{type(reduced).__name__}.",
            "likelihood_ratio(frame, response=..., histology=...) or likelihood_ratio(full, reduced).",
        )
    if any(name is not None for name in (response, exposure, histology, log_sd)):
        raise InputError(
            "E_OPTION",
            "response, exposure, histology and log_sd belong to a table.",
            "Leave them out with two fits.",
        )
    if (term, shape) != ("interaction", "linear"):
        raise InputError(
            "E_OPTION",
            f"term={term!r} and shape={shape!r} belong to a table; of two fits the models say what is tested.",
            "Leave them out with two fits.",
        )
    return _of_fits(fit_or_frame, reduced)


def _of_fits(full: Any, reduced: Any) -> LikelihoodRatio:
    estimated_full, estimated_reduced = _estimated(full), _estimated(reduced)
    extra = [name for name in estimated_full if name not in set(estimated_reduced)]
    foreign = sorted(set(estimated_reduced) - set(estimated_full))
    if foreign or not extra:
        raise InputError(
            "E_LRT_FITS",
            f"the second fit is not nested in the first: it has {foreign!r} of its own, the first adds "
            f"{extra!r}.",
            "Give the fit with histology effects first, then the same model without them.",
        )
    same_data = full.n_observations == reduced.n_observations and full.data.sha256 == reduced.data.sha256
    if not same_data or type(full.method) is not type(reduced.method):
        raise InputError(
            "E_LRT_FITS",
            "the fits are of different data or by different methods; their objectives cannot be compared.",
            "Fit both models to the same data with the same method.",
        )
    statistic = float(reduced.ofv - full.ofv)
    if statistic < 0:
        warnings.warn(
            f"W_LRT_NEGATIVE: the fit with histology effects is worse by {-statistic:.3f} than the one "
            "without; "
            "one of them is not at its optimum. Remedy: start the full fit from the estimates of the "
            "reduced one.",
            PkpdWarning,
            stacklevel=3,
        )
    p = chi2_p_value(statistic, len(extra))
    return LikelihoodRatio(statistic, len(extra), p, p, float("nan"), 0, ", ".join(extra))


def _estimated(fit: Any) -> list[str]:
    table = fit.parameters
    return [str(name) for name in table.index[~table["fixed"].astype(bool)]]
