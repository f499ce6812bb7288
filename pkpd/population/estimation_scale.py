"""The estimates of a fit as a normal distribution on the unconstrained scale on which they were found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pkpd.errors import FitError
from pkpd.language.scales import Scales, Values
from pkpd.parallel import stream

if TYPE_CHECKING:
    from pkpd.population.result import PopulationFit

__all__ = ["EstimationScale"]

_PURPOSE = 0x4553  # keeps these random numbers apart from those of other tasks with the same seed


@dataclass(frozen=True)
class EstimationScale:
    """Estimates and covariance of the free parameters, unconstrained.

    Attributes
    ----------
    scales : Scales
    values : Values
        The estimates.
    x : (free,) array
        The same, unconstrained.
    covariance : (free, free) array
    """

    scales: Scales
    values: Values
    x: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, fit: PopulationFit) -> EstimationScale:
        """Carry a fit's covariance from the natural scale to the unconstrained one, by the inverse of its Jacobian.

        Raises
        ------
        FitError
            ``E_NO_COVARIANCE`` if the fit has none.
        """
        scales, values = estimates(fit)
        natural = fit.covariance_matrix.to_numpy(float)
        if not len(scales.free) or not np.all(np.isfinite(natural)):
            raise FitError(
                "E_NO_COVARIANCE",
                f"the fit of {fit.model.name} has no covariance of its estimates ({fit.covariance_status}).",
                "Fit with a covariance step that succeeds, or use pkpd.bootstrap.",
            )
        back = np.linalg.inv(scales.jacobian(values)[scales.free])
        covariance = back @ natural[np.ix_(scales.free, scales.free)] @ back.T
        return cls(scales, values, scales.free_values(values), 0.5 * (covariance + covariance.T))

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        """Draw natural parameter vectors, (n, parameters)."""
        from pkpd.population.arguments import whole

        draws = normal(self.x, self.covariance, stream(seed, _PURPOSE), whole("n", n))
        return natural_table(self.scales, self.values, draws)


def estimates(fit: PopulationFit) -> tuple[Scales, Values]:
    """Scales of a fit's problem, and its estimates on them."""
    scales = Scales(fit.problem)
    return scales, scales.values(fit.parameter_estimates.to_numpy(float))


def normal(mean: np.ndarray, covariance: np.ndarray, random: np.random.Generator, n: int) -> np.ndarray:
    """Draw from a normal distribution, (n, k); the covariance may be singular."""
    spectrum, vectors = np.linalg.eigh(covariance)
    root = vectors * np.sqrt(np.maximum(spectrum, 0.0))
    return mean + random.standard_normal((n, len(mean))) @ root.T


def natural_table(scales: Scales, base: Values, draws: np.ndarray) -> pd.DataFrame:
    """Natural parameters of unconstrained vectors (n, free); fixed ones as in ``base``."""
    rows = [scales.natural(scales.from_free(x, base)) for x in draws]
    index = pd.RangeIndex(len(rows), name="draw")
    return pd.DataFrame(
        np.array(rows).reshape(len(rows), len(scales.names)), columns=scales.names, index=index
    )
