"""Prior distributions, small frozen values with a log density; and what a distribution of population parameters offers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["CRP", "BlockCount", "HalfCauchy", "HalfNormal", "Normal", "ParameterDistribution"]

_HALF_LOG_2PI = 0.5 * math.log(2.0 * math.pi)


@runtime_checkable
class ParameterDistribution(Protocol):
    """Uncertainty of population parameters, for ``pkpd.simulate(uncertainty=…)``: whatever has a ``draw``.

    A :class:`pkpd.PopulationFit` draws from its covariance, a bootstrap and SIR from their vectors.
    """

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        """Draw parameter vectors.

        Parameters
        ----------
        n : int
        seed : int

        Returns
        -------
        DataFrame, shape (n, parameters)
            One row per draw, one column per natural parameter, fixed ones included, named as in
            ``fit.parameter_estimates``.
        """
        ...


def _positive(owner: str, name: str, value: float) -> None:
    if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
        raise InputError(
            "E_DISTRIBUTION",
            f"{owner}: {name} is {value!r}; it must be a finite number above 0.",
            f"Give {name} > 0.",
        )


@result
@dataclass(frozen=True)
class Normal:
    """Normal distribution.

    Parameters
    ----------
    mean : float
        Mean.
    sd : float
        Standard deviation (not the variance), > 0.

    Raises
    ------
    InputError
        ``E_DISTRIBUTION`` if the mean is not finite or ``sd`` is not positive and finite.
    """

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        if not (isinstance(self.mean, Real) and math.isfinite(self.mean)):
            raise InputError("E_DISTRIBUTION", f"Normal: mean is {self.mean!r}.", "Give a finite mean.")
        _positive("Normal", "sd", self.sd)

    def logpdf(self, x: Any) -> Any:
        """Log density at `x` (any shape)."""
        z = (np.asarray(x, float) - self.mean) / self.sd
        return -0.5 * z * z - math.log(self.sd) - _HALF_LOG_2PI


@result
@dataclass(frozen=True)
class HalfNormal:
    """Normal(0, scale²) folded on the positive half-line.

    Parameters
    ----------
    scale : float
        Standard deviation of the normal before folding, > 0.

    Raises
    ------
    InputError
        ``E_DISTRIBUTION`` if the scale is not positive and finite.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive("HalfNormal", "scale", self.scale)

    def logpdf(self, x: Any) -> Any:
        """Log density at `x` (any shape); −inf below 0."""
        x = np.asarray(x, float)
        z = x / self.scale
        value = math.log(2.0) - 0.5 * z * z - math.log(self.scale) - _HALF_LOG_2PI
        return np.where(x >= 0, value, -np.inf)[()]

    def upper(self) -> float:
        """Point beyond which less than 1e-18 of the mass lies (end of a quadrature)."""
        return 9.0 * self.scale


@result
@dataclass(frozen=True)
class HalfCauchy:
    """Cauchy(0, scale) folded on the positive half-line.

    Parameters
    ----------
    scale : float
        Median, > 0.

    Raises
    ------
    InputError
        ``E_DISTRIBUTION`` if the scale is not positive and finite.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _positive("HalfCauchy", "scale", self.scale)

    def logpdf(self, x: Any) -> Any:
        """Log density at `x` (any shape); −inf below 0."""
        x = np.asarray(x, float)
        value = math.log(2.0 / (math.pi * self.scale)) - np.log1p((x / self.scale) ** 2)
        return np.where(x >= 0, value, -np.inf)[()]

    def upper(self) -> float:
        """Point beyond which less than 1e-12 of the mass lies (end of a quadrature)."""
        return 1e12 * self.scale


@result
@dataclass(frozen=True)
class CRP:
    """Chinese-restaurant process over set partitions.

    P(partition into B blocks of sizes n_b of K items) = α^B · Π (n_b − 1)! · Γ(α) / Γ(α + K), so that
    P(all in one block) = 1/K at α = 1.

    Parameters
    ----------
    concentration : float
        α > 0; larger values favour more blocks.

    Raises
    ------
    InputError
        ``E_DISTRIBUTION`` if α is not positive and finite.
    """

    concentration: float = 1.0

    def __post_init__(self) -> None:
        _positive("CRP", "concentration", self.concentration)

    def logpdf(self, block_sizes: Any) -> float:
        """Log probability of one partition, given the sizes of its blocks."""
        sizes = _block_sizes("CRP", block_sizes)
        alpha = self.concentration
        return (
            len(sizes) * math.log(alpha)
            + sum(math.lgamma(size) for size in sizes)
            + math.lgamma(alpha)
            - math.lgamma(alpha + sum(sizes))
        )


@result
@dataclass(frozen=True)
class BlockCount:
    """Prior over set partitions that depends on the number of blocks alone.

    P(partition into B blocks) ∝ exp(weight · B): 0 is the same weight for each partition, which favours several blocks,
    because there are more of these. Software for partition averaging (Psioda et al., Biostatistics 2021;22:19-34) has 1.

    Parameters
    ----------
    weight : float

    Raises
    ------
    InputError
        ``E_DISTRIBUTION`` if the weight is not finite.
    """

    weight: float = 0.0

    def __post_init__(self) -> None:
        if not (isinstance(self.weight, Real) and math.isfinite(self.weight)):
            raise InputError("E_DISTRIBUTION", f"BlockCount: weight = {self.weight!r}.", "Give a number.")

    def logpdf(self, block_sizes: Any) -> float:
        """Log probability of one partition, given the sizes of its blocks."""
        sizes = _block_sizes("BlockCount", block_sizes)
        return self.weight * len(sizes) - self._log_total(sum(sizes))

    def _log_total(self, items: int) -> float:
        """Log of Σ exp(weight · B) over all partitions of so many items (a Touchard polynomial)."""
        log_totals = [0.0]
        for size in range(items):
            terms = [math.log(math.comb(size, j)) + log_totals[j] for j in range(size + 1)]
            peak = max(terms)
            log_totals.append(self.weight + peak + math.log(sum(math.exp(t - peak) for t in terms)))
        return log_totals[-1]


def _block_sizes(name: str, block_sizes: Any) -> list[int]:
    sizes = [int(size) for size in np.atleast_1d(block_sizes)]
    if not sizes or min(sizes) < 1:
        raise InputError(
            "E_DISTRIBUTION",
            f"{name}: block sizes {sizes}; each must be 1 or more.",
            "Give the block sizes.",
        )
    return sizes
