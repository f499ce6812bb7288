"""What fits along an exposure share: their histologies, curves with intervals, hazard ratios."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.estimates import Estimates, delta_interval
from pkpd.response.regressors import Regressors

__all__ = ["Curves", "HazardRatios"]


class Curves(Estimates):
    """Methods shared by results that have ``regressors``: a design of exposure, histology and covariates."""

    regressors: Regressors

    @property
    def histologies(self) -> tuple[str, ...]:
        """Levels, in order; ``("all",)`` without histology."""
        return self.regressors.histologies

    def _along(
        self,
        histology: Any,
        exposures: Any,
        column: str,
        values: np.ndarray,
        gradients: np.ndarray,
        level: float,
        inverse: Callable[[np.ndarray], np.ndarray],
    ) -> pd.DataFrame:
        """Table along exposures, from near-normal values and their gradients (n, q) in the first q coefficients."""
        q = gradients.shape[1]
        covariance = self.covariance.to_numpy()[:q, :q]
        middle, lower, upper = delta_interval(values, gradients, covariance, level, inverse)
        name = self.histologies[0] if histology is None else histology
        return pd.DataFrame(
            {"histology": name, "exposure": exposures, column: middle, "lower": lower, "upper": upper}
        )

    def _linear(
        self,
        histology: Any,
        exposures: Any,
        column: str,
        rows: np.ndarray,
        level: float,
        inverse: Callable[[np.ndarray], np.ndarray],
    ) -> pd.DataFrame:
        """Table along exposures of what is linear in the first coefficients, with the design ``rows`` (n, q)."""
        values = np.einsum("j,ij->i", self.coefficients.to_numpy()[: rows.shape[1]], rows)
        return self._along(histology, exposures, column, values, rows, level, inverse)


class HazardRatios(Curves):
    """Methods shared by results whose coefficients are log hazard ratios."""

    def _scale_of(self, name: str) -> str:
        return "log hazard ratio"

    def hazard_ratio(
        self, histology: Any, exposures: Any, reference: float, level: float = 0.90
    ) -> pd.DataFrame:
        """Hazard (of Fine-Gray fits: subdistribution hazard) at exposures against a reference exposure in the same histology.

        Parameters
        ----------
        histology : str or None
        exposures : float or sequence of float
        reference : float
            Exposure of the denominator.
        level : float
            Coverage, by the delta method on the log scale.

        Returns
        -------
        DataFrame
            histology, exposure, hazard_ratio, lower, upper.
        """
        if self.regressors.exposure is None:
            raise InputError("E_OPTION", "the model has no exposure.", "Fit one with an exposure column.")
        x = np.atleast_1d(np.asarray(exposures, dtype=float))
        rows = self.regressors.matrix(histology, x) - self.regressors.matrix(histology, [float(reference)])
        return self._linear(histology, x, "hazard_ratio", rows, level, np.exp)
