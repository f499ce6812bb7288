"""How much of an apparent histology effect on exposure other covariates explain: the effect before and after adding them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.exposure.histologies import histology_exposure
from pkpd.population import PopulationFit
from pkpd.simulation import Regimen

__all__ = ["mediation"]


def mediation(
    fits: Mapping[str, PopulationFit],
    regimen: Regimen | Mapping[Any, Regimen],
    *,
    reference: str,
    interval: float,
    metric: str = "AUCSS",
    histology: str | None = None,
    output: str | None = None,
    level: float = 0.90,
) -> pd.DataFrame:
    """Exposure ratio of each histology at equal covariates, in models with more and more of them.

    Parameters
    ----------
    fits : mapping of str to PopulationFit
        In order, e.g. ``{"histology alone": fit, "+ ALB": fit_alb, "+ ALB, WT": fit_both}``: fits of the same data whose models
        contain the histology effect on the same parameters, and in turn albumin, weight, tumour burden, ECOG ...
    regimen, interval, metric, histology, output
        As for :func:`histology_exposure`.
    reference : str
        Histology that the others are compared with.
    level : float
        Coverage of the intervals.

    Returns
    -------
    DataFrame
        model, histology, n, ratio, lower, upper, log_ratio, log_ratio_se, explained (the change of the log ratio from the first
        model), explained_percent of the first model's log ratio (unstable where that is small: read it with the ratios),
        ofv, ofv_change (from the first model).

    Raises
    ------
    InputError
        ``E_MEDIATION`` for fits of different data, or fewer than two; and what :func:`histology_exposure` raises.

    Notes
    -----
    A covariate that histology itself changes (albumin, burden) is a mediator: what it explains is still a difference in
    exposure between histologies, which the marginal ratio shows.
    """
    if not isinstance(fits, Mapping) or len(fits) < 2:
        raise InputError(
            "E_MEDIATION",
            "a comparison needs two fits or more.",
            'Give {"histology alone": fit, "+ ALB": fit_alb}.',
        )
    hashes = {fit.data.sha256 for fit in fits.values()}
    if len(hashes) > 1:
        raise InputError(
            "E_MEDIATION",
            "the fits are of different data.",
            "Fit all models to one data set, without missing covariates.",
        )
    rows, first = [], None
    for name, fit in fits.items():
        ratio = histology_exposure(
            fit, regimen, metric=metric, interval=interval, histology=histology, output=output, adjusted=True
        ).ratio(reference, level=level)
        first = ratio if first is None else first
        before = first["log_ratio"].to_numpy()
        explained = before - ratio["log_ratio"].to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(before != 0, 100 * explained / before, np.nan)
        own = ratio[["histology", "n", "ratio", "lower", "upper", "log_ratio", "log_ratio_se"]].copy()
        own.insert(0, "model", name)
        rows.append(own.assign(explained=explained, explained_percent=share, ofv=fit.ofv))
    table = pd.concat(rows, ignore_index=True)
    return table.assign(ofv_change=table["ofv"] - table["ofv"].iloc[0])
