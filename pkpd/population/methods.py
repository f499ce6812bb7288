"""Estimation methods as frozen settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkpd.errors import InputError
from pkpd.language.solver import Solver
from pkpd.population.observed import BLQ

__all__ = ["AGQ", "FO", "FOCE", "FOCEI", "GradientMethod", "Laplace"]


@dataclass(frozen=True)
class GradientMethod:
    """Settings that the methods with an exact gradient share.

    Parameters
    ----------
    max_iterations : int
        Quasi-Newton iterations allowed; 0 evaluates at the starting values.
    tolerance : float
        Converged when the objective is expected to fall by less than this with one more step.
    covariance : {"sandwich", "R", "S", None}
        Covariance of the estimates: R⁻¹SR⁻¹ (NONMEM's default), R⁻¹, S⁻¹, or none.
    starts : int
        Searches from so many starting points, drawn about the first one by the seed of the fit; the lowest objective wins, and
        ``termination_cause`` says which start it was.
    blq : {"M3", "M4", "M1"}
        How censored records enter: by the probability to be censored (M3), by that given a positive quantity (M4), or
        left out (M1, which says how many).
    solver : Solver
        How the differential equations are solved.
    """

    max_iterations: int = 300
    tolerance: float = 1e-8
    covariance: str | None = "sandwich"
    starts: int = 1
    blq: str = "M3"
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        if self.covariance not in ("sandwich", "R", "S", None):
            raise InputError(
                "E_METHOD", f"covariance={self.covariance!r} is unknown.", 'Use "sandwich", "R", "S" or None.'
            )
        if self.blq not in BLQ:
            raise InputError("E_METHOD", f"blq={self.blq!r} is unknown.", f"Use one of {', '.join(BLQ)}.")
        if not isinstance(self.solver, Solver):
            raise InputError("E_METHOD", f"solver={self.solver!r} is not a solver.", "Use pkpd.Solver(…).")
        if isinstance(self.starts, bool) or not isinstance(self.starts, int) or self.starts < 1:
            raise InputError(
                "E_METHOD", f"starts={self.starts!r} is not a positive whole number.", "Use 5, say."
            )
        if self.max_iterations < 0 or not self.tolerance > 0:
            raise InputError(
                "E_METHOD", "max_iterations must be 0 or more and tolerance positive.", "Correct them."
            )


@dataclass(frozen=True)
class FO(GradientMethod):
    """First-order approximation about the typical subject; refuses censored records except by M1.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@dataclass(frozen=True)
class FOCE(GradientMethod):
    """First-order conditional estimation without interaction: the residual variance is that of the typical subject.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@dataclass(frozen=True)
class FOCEI(GradientMethod):
    """First-order conditional estimation with interaction, with exact gradients.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@dataclass(frozen=True)
class Laplace(GradientMethod):
    """Laplace's approximation with the exact Hessian: for any likelihood, censored and categorical data among them.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@dataclass(frozen=True)
class AGQ(GradientMethod):
    """Adaptive Gauss-Hermite quadrature about each subject's mode; one node is Laplace's approximation.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    nodes : int
        Nodes per random effect: the likelihood of a subject takes nodes to the power of their number.
    """

    nodes: int = 7

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.nodes, bool) or not isinstance(self.nodes, int) or not 1 <= self.nodes <= 100:
            raise InputError(
                "E_METHOD", f"nodes={self.nodes!r} is not a number from 1 to 100.", "Use 7, say."
            )
