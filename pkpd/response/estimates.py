"""What every fitted exposure-response offers: standard errors, the table of estimates, draws."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.results import estimates_table

__all__ = ["Estimates", "coverage", "labelled", "normal_quantile"]

PURPOSE = 0x4C46  # keeps the draws apart from those of other tasks with the same seed


class Estimates:
    """Methods shared by results that have ``coefficients`` (Series) and ``covariance`` (DataFrame)."""

    coefficients: pd.Series
    covariance: pd.DataFrame
    log_likelihood: float

    @property
    def standard_errors(self) -> pd.Series:
        """Square roots of the diagonal of ``covariance``."""
        return pd.Series(np.sqrt(np.diag(self.covariance)), index=self.coefficients.index, name="se")

    @property
    def aic(self) -> float:
        """Akaike's criterion, −2 l + 2 p."""
        return -2 * self.log_likelihood + 2 * len(self.coefficients)

    @property
    def parameters(self) -> pd.DataFrame:
        """Estimates in the schema of :mod:`pkpd.results`, with Wald 95 % intervals."""
        scales = {str(n): self._scale_of(str(n)) for n in self.coefficients.index}
        return estimates_table(self.coefficients, self.standard_errors, scales=scales)

    def draws(self, n: int, seed: int = 0) -> np.ndarray:
        """Draw coefficients from the multivariate normal with the estimates and their covariance.

        Returns
        -------
        ndarray, shape (n, p)
            The same for the same seed, whatever else was drawn.
        """
        if n < 1 or seed < 0:
            raise InputError("E_OPTION", f"n={n!r}, seed={seed!r}.", "Give n >= 1 and a seed >= 0.")
        sequence = np.random.SeedSequence(int(seed), spawn_key=(PURPOSE,))
        normal = np.random.Generator(np.random.Philox(sequence)).standard_normal((n, len(self.coefficients)))
        factor = np.linalg.cholesky(self.covariance.to_numpy())
        return self.coefficients.to_numpy() + np.einsum("ij,kj->ik", normal, factor)

    def _scale_of(self, name: str) -> str:
        return "natural"

    def _position(self, name: str) -> int:
        names = [str(n) for n in self.coefficients.index]
        if name not in names:
            raise InputError(
                "E_PARAMETER_UNKNOWN",
                f"there is no coefficient {name!r}.",
                f"Choose among {', '.join(names)}.",
            )
        return names.index(name)

    def _matrix_for(self, coefficients, width: int) -> np.ndarray:
        """Coefficients to use, checked: the estimates, or what the caller drew."""
        beta = self.coefficients.to_numpy() if coefficients is None else np.asarray(coefficients, dtype=float)
        if beta.shape[-1] != width:
            raise InputError(
                "E_COEFFICIENTS_SHAPE",
                f"coefficients of shape {beta.shape} for {width} columns.",
                "Give one column per name in `coefficients`, as draws() does.",
            )
        return beta


def labelled(names, coefficients: np.ndarray, covariance: np.ndarray) -> tuple[pd.Series, pd.DataFrame]:
    """Coefficients and covariance with their names; the covariance made exactly symmetric."""
    names = list(names)
    even = (covariance + covariance.T) / 2
    return (
        pd.Series(coefficients, index=names, name="estimate"),
        pd.DataFrame(even, index=names, columns=names),
    )


def coverage(level: float) -> float:
    """Check a coverage: strictly between 0 and 1."""
    if not 0 < level < 1:
        raise InputError("E_LEVEL", f"level={level!r} is not between 0 and 1.", "Give e.g. 0.90.")
    return float(level)


def normal_quantile(level: float) -> float:
    """Two-sided normal quantile of a coverage."""
    from scipy.special import ndtri

    return float(ndtri(0.5 + coverage(level) / 2))


def delta_interval(
    values: np.ndarray,
    gradients: np.ndarray,
    covariance: np.ndarray,
    level: float,
    inverse: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate, lower and upper end, from values and gradients on a scale where they are near normal."""
    se = np.sqrt(np.einsum("ij,jk,ik->i", gradients, covariance, gradients))
    z = normal_quantile(level)
    return inverse(values), inverse(values - z * se), inverse(values + z * se)
