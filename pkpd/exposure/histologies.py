"""Exposure of each histology under one planned regimen, with the uncertainty of the population fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.exposure.metrics import compute_metrics, parsed_metrics
from pkpd.exposure.problem import ExposureProblem
from pkpd.population import PopulationFit
from pkpd.population.arguments import fitted, probability
from pkpd.results import result
from pkpd.simulation import Regimen

__all__ = ["HistologyExposure", "histology_exposure"]


@result
@dataclass(frozen=True)
class HistologyExposure:
    """Mean log exposure per histology, marginal over its own covariates or at equal ones, with the covariance of the means.

    Attributes
    ----------
    metric : str
    levels : tuple of str
        The K histologies, in order of appearance in the data.
    n : (K,) int array
        Subjects.
    log_mean : (K,) array
        Mean over the histology's subjects (adjusted: over all) of the log metric of the typical subject (etas zero) with their
        covariates.
    covariance : (K, K) array
        Of ``log_mean``, by the delta method from the covariance of the estimates.
    adjusted : bool
        Whether every histology was given the covariates of all subjects.
    """

    metric: str
    levels: tuple[str, ...]
    n: np.ndarray
    log_mean: np.ndarray
    covariance: np.ndarray
    adjusted: bool = False

    def ratio(
        self, reference: str, *, level: float = 0.90, bounds: tuple[float, float] = (0.8, 1.25)
    ) -> pd.DataFrame:
        """Geometric mean ratio of each histology to the reference.

        Parameters
        ----------
        reference : str
        level : float
            Coverage of the interval.
        bounds : (L, U)
            No-effect bounds.

        Returns
        -------
        DataFrame
            histology, n, log_ratio, log_ratio_se, ratio, lower, upper, p_below, p_within, p_above: the last three are
            P(R < L), P(L <= R <= U), P(R > U) under a normal distribution of the log ratio.

        Raises
        ------
        InputError
            ``E_REFERENCE`` if the reference is not among the levels, ``E_BOUNDS`` for bounds that are not 0 < L < 1 < U,
            ``E_LEVEL`` for a level that is no probability.
        """
        from scipy.special import ndtr, ndtri

        if reference not in self.levels:
            raise InputError(
                "E_REFERENCE",
                f"reference histology {reference!r} has no subject.",
                f"Present: {', '.join(self.levels)}.",
            )
        low, high = bounds
        if not 0 < low < 1 < high:
            raise InputError(
                "E_BOUNDS",
                f"no-effect bounds {low:g} to {high:g} do not enclose 1.",
                "Give 0 < lower < 1 < upper.",
            )
        level = probability("level", level, "E_LEVEL")
        r = self.levels.index(reference)
        log_ratio = self.log_mean - self.log_mean[r]
        variance = np.diag(self.covariance) + self.covariance[r, r] - 2 * self.covariance[:, r]
        se = np.sqrt(np.maximum(variance, 0.0))
        se[r] = 0.0
        z = ndtri(0.5 + level / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            below = np.where(se > 0, ndtr((np.log(low) - log_ratio) / se), (log_ratio < np.log(low)) * 1.0)
            above = np.where(se > 0, ndtr((log_ratio - np.log(high)) / se), (log_ratio > np.log(high)) * 1.0)
        return pd.DataFrame(
            {
                "histology": self.levels,
                "n": self.n,
                "log_ratio": log_ratio,
                "log_ratio_se": se,
                "ratio": np.exp(log_ratio),
                "lower": np.exp(log_ratio - z * se),
                "upper": np.exp(log_ratio + z * se),
                "p_below": below,
                "p_within": 1.0 - below - above,
                "p_above": above,
            }
        )


def histology_exposure(
    fit: PopulationFit,
    regimen: Regimen | Mapping[Any, Regimen],
    *,
    metric: str = "AUCSS",
    interval: float,
    histology: str | None = None,
    output: str | None = None,
    adjusted: bool = False,
) -> HistologyExposure:
    """Exposure of each histology under one planned regimen.

    Parameters
    ----------
    fit : PopulationFit
        Must contain the effect of histology on the parameters that may differ, and a covariance of the estimates.
    regimen : Regimen or mapping of ID to Regimen
        The planned reference regimen.
    metric : str
        As for :func:`pkpd.exposure_metrics`, without TABOVE.
    interval : float
        Dosing interval.
    histology : str, optional
        Column of the histology; the data set's own by default.
    output : str, optional
        The observation; the first by default.
    adjusted : bool
        False: marginal, each histology with the covariates of its own subjects. True: conditional, every histology with the
        covariates of all subjects (standardisation), so that a ratio is what histology alone makes of it.

    Raises
    ------
    InputError
        ``E_METRIC``, ``E_HISTOLOGY``, ``E_NO_EFFECT`` if adjusted and the model has no effect of histology.
    FitError
        ``E_NO_COVARIANCE`` if the covariance step of the fit failed.
    """
    wanted = _metric(metric)
    column = histology or fitted(fit).data.histology
    if column is None or column not in fit.data.frame.columns:
        raise InputError(
            "E_HISTOLOGY",
            f"{fit.data.source} has no histology column {column or ''}.",
            "Name it with histology=.",
        )
    if not np.all(np.isfinite(fit.covariance_matrix.to_numpy())):
        raise FitError(
            "E_NO_COVARIANCE",
            f"the fit has no covariance of its estimates ({fit.covariance_status}).",
            "Simplify the model.",
        )
    raw = fit.data.frame[column].iloc[fit.data.offsets[:-1]]
    labels = raw.astype(str).to_numpy()
    levels = tuple(dict.fromkeys(labels.tolist()))
    n = np.array([(labels == level).sum() for level in levels])
    data = fit.data
    if adjusted:
        if column not in [f.name for f in fit.model.factors]:
            raise InputError(
                "E_NO_EFFECT",
                f"model {fit.model.name} has no effect of {column}: at equal covariates all histologies are alike.",
                f"Fit model.with_effect(…, {column!r}, reference=…).",
            )
        data, regimen, labels = _standardised(data, regimen, column, dict(zip(labels, raw, strict=True)))
    member = np.array([labels == level for level in levels], dtype=float)
    member /= member.sum(axis=1, keepdims=True)
    exposure = ExposureProblem(fit, regimen, interval, output, data)
    typical = np.zeros((exposure.problem.n_subjects, exposure.problem.n_eta))
    steady = exposure.steady(exposure.values(), typical) if metric.endswith("SS") else 0

    def means(estimates: pd.Series) -> np.ndarray:
        x = compute_metrics(exposure, wanted, steady, exposure.values(estimates), typical)[:, 0]
        if np.any(x <= 0):
            who = exposure.problem.subjects[np.flatnonzero(x <= 0)[:8]]
            raise FitError(
                "E_EXPOSURE_ZERO",
                f"{metric} is not positive for ID {', '.join(map(str, who))}.",
                "Check their doses.",
            )
        return member @ np.log(x)

    estimates = fit.parameter_estimates
    se = np.sqrt(np.diag(fit.covariance_matrix))
    theta = len(exposure.problem.thetas)  # OMEGA and residual SDs do not move the typical subject
    gradient = np.zeros((len(levels), len(estimates)))
    for i in range(theta):
        if se[i] > 0:
            h = 1e-3 * se[i]
            up, down = estimates.copy(), estimates.copy()
            up.iloc[i] += h
            down.iloc[i] -= h
            gradient[:, i] = (means(up) - means(down)) / (2 * h)
    covariance = gradient @ fit.covariance_matrix.to_numpy() @ gradient.T
    return HistologyExposure(metric, levels, n.astype(int), means(estimates), covariance, adjusted)


def _metric(metric: str) -> list[tuple[str, str]]:
    wanted = parsed_metrics([metric], threshold=0.0)
    if wanted[0][0] == "TABOVE":
        raise InputError(
            "E_METRIC",
            f"{metric} has no ratio: a time above a threshold may be 0.",
            "Compare AUC, CMAX, CMIN, CTROUGH or CAVG.",
        )
    return wanted


def _standardised(
    data: Dataset, regimen: Any, column: str, raw: Mapping[str, Any]
) -> tuple[Dataset, Any, np.ndarray]:
    """Every subject once in each histology, with its own covariates and regimen."""
    n, subjects = data.n_subjects, data.subjects.tolist()
    copies = data.select(subjects * len(raw), ids=range(1, n * len(raw) + 1))
    labels = np.repeat(list(raw), n)
    frame = copies.frame.copy()
    sizes = np.diff(copies.offsets)
    cells = np.repeat(np.array([raw[label] for label in labels], dtype=object), sizes)
    frame[column] = pd.Series(cells, index=frame.index).infer_objects()
    if isinstance(regimen, Mapping):
        regimen = {i: regimen[who] for i, who in enumerate(subjects * len(raw), 1) if who in regimen}
    return replace(copies, frame=frame), regimen, labels
