"""Priors on population parameters: what they add to the objective, and its gradient."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np

from pkpd.distributions import Normal
from pkpd.errors import InputError
from pkpd.language.scales import Scales, Values
from pkpd.results import result

__all__ = ["InverseWishart", "LogNormal", "Priors"]


@result
@dataclass(frozen=True)
class LogNormal:
    """Prior of a positive theta: its logarithm is normal with mean log(median) and standard deviation sd.

    It is a prior of the logarithm: the density of log theta enters, whose mode is the median, so that the estimate does not
    depend on the scale on which the theta is written.

    Parameters
    ----------
    median, sd : float
        Both above 0.
    """

    median: float
    sd: float

    def __post_init__(self) -> None:
        for name, value in (("median", self.median), ("sd", self.sd)):
            if not (isinstance(value, Real) and math.isfinite(value) and value > 0):
                raise InputError(
                    "E_PRIOR", f"LogNormal: {name} = {value!r} is not positive.", "Give a positive number."
                )


@result
@dataclass(frozen=True)
class InverseWishart:
    """Prior of a block of OMEGA, as NONMEM's NWPRI has it.

    Its density is proportional to det(Ω)^-(df+p+1)/2 exp(-½ tr(df·M Ω⁻¹)), M the prior estimate of the p × p block and df its
    degrees of freedom, roughly the number of subjects that it is worth.

    Parameters
    ----------
    estimate : float or nested sequence
        M: a variance, or the lower triangle of a block, row by row.
    df : float
        At least p.
    """

    estimate: Any
    df: float

    def matrix(self) -> np.ndarray:
        """M as a full matrix, (p, p)."""
        try:
            rows = [[self.estimate]] if isinstance(self.estimate, Real) else [[*r] for r in self.estimate]
            rows = [[float(v) for v in r] for r in rows]
        except (TypeError, ValueError):
            raise InputError(
                "E_PRIOR",
                f"InverseWishart: the estimate {self.estimate!r} holds no numbers.",
                "Give numbers.",
            ) from None
        p = len(rows)
        if [len(r) for r in rows] != list(range(1, p + 1)):
            raise InputError(
                "E_PRIOR",
                "InverseWishart: the estimate is no lower triangle.",
                "For two etas write [[0.1], [0.01, 0.1]].",
            )
        out = np.array([[rows[max(i, j)][min(i, j)] for j in range(p)] for i in range(p)])
        if not (np.all(np.isfinite(out)) and np.all(np.linalg.eigvalsh(out) > 0)):
            raise InputError(
                "E_PRIOR", "InverseWishart: the estimate is not positive definite.", "Check variances."
            )
        if not (isinstance(self.df, Real) and math.isfinite(self.df) and self.df >= p):
            raise InputError(
                "E_PRIOR",
                f"InverseWishart: df = {self.df!r} is below {p}.",
                "Give at least the block's size.",
            )
        return out


class Priors:
    """-2 log density of the priors, constants dropped.

    Parameters
    ----------
    scales : Scales
    given : mapping
        By name: of thetas :class:`pkpd.Normal` or :class:`LogNormal`; of blocks of OMEGA, named by a variance in them
        (``"OMEGA(CL,CL)"``), :class:`InverseWishart`.

    Raises
    ------
    InputError
        ``E_PRIOR`` for a name or a distribution that does not fit.
    """

    def __init__(self, scales: Scales, given: Mapping[str, Any]) -> None:
        self.scales = scales
        self.thetas: list[tuple[int, float, float, bool]] = []  # place, mean, sd, of the logarithm
        self.blocks: list[tuple[int, np.ndarray, float]] = []  # first eta, df·M, df + p + 1
        thetas = [t.name for t in scales.thetas]
        for name, prior in given.items():
            if name in scales.names and scales.fixed[scales.names.index(name)]:
                raise InputError(
                    "E_PRIOR",
                    f"{name} is fixed, so that a prior has no effect on it.",
                    "Leave its prior out.",
                )
            if name in thetas and isinstance(prior, (Normal, LogNormal)):
                log = isinstance(prior, LogNormal)
                if log and not scales.thetas[thetas.index(name)].lower >= 0:
                    raise InputError(
                        "E_PRIOR",
                        f"theta {name} may be negative, and has no logarithm.",
                        "Bound it below by 0, or use Normal.",
                    )
                mean = math.log(prior.median) if isinstance(prior, LogNormal) else prior.mean
                self.thetas.append((thetas.index(name), mean, prior.sd, log))
            elif name in scales.names and name.startswith("OMEGA(") and isinstance(prior, InverseWishart):
                self._block(name, prior)
            else:
                raise InputError(
                    "E_PRIOR",
                    f"{name} cannot have the prior {prior!r}.",
                    "Thetas take pkpd.Normal or pkpd.LogNormal, blocks of OMEGA pkpd.InverseWishart, by the names in "
                    f"{', '.join(scales.names)}.",
                )

    def _block(self, name: str, prior: InverseWishart) -> None:
        at = self.scales.names.index(name) - len(self.scales.thetas)
        row = self.scales.omega_index[at][0]
        first, size = next((b[0], b[1]) for b in self.scales.blocks if b[0] <= row < b[0] + b[1])
        matrix = prior.matrix()
        if len(matrix) != size:
            raise InputError(
                "E_PRIOR", f"the block of {name} has {size} etas, its prior {len(matrix)}.", "Give the block."
            )
        if any(first == b[0] for b in self.blocks):
            raise InputError("E_PRIOR", f"the block of {name} has two priors.", "Give one.")
        self.blocks.append((first, prior.df * matrix, prior.df + size + 1))

    def at(self, values: Values) -> tuple[float, np.ndarray]:
        """-2 log density, and its gradient to the natural parameters (parameters,)."""
        total = 0.0
        g_theta, g_sigma = np.zeros_like(values.theta), np.zeros_like(values.sigma)
        g_omega = np.zeros_like(values.omega)
        for k, mean, sd, log in self.thetas:
            x = math.log(values.theta[k]) if log else float(values.theta[k])
            total += ((x - mean) / sd) ** 2
            g_theta[k] = 2.0 * (x - mean) / sd**2 / (values.theta[k] if log else 1.0)
        for first, scale, power in self.blocks:
            place = slice(first, first + len(scale))
            block = values.omega[place, place]
            inverse = np.linalg.inv(block)
            total += power * float(np.linalg.slogdet(block)[1]) + float(np.sum(scale * inverse))
            g_omega[place, place] = power * inverse - inverse @ scale @ inverse
        return total, self.scales.natural_gradient(g_theta, g_omega, g_sigma)
