"""Estimation methods as frozen settings."""

from __future__ import annotations

from dataclasses import dataclass, field

from pkpd.errors import InputError
from pkpd.language.solver import Solver

__all__ = ["FOCEI"]


@dataclass(frozen=True)
class FOCEI:
    """First-order conditional estimation with interaction, with exact gradients.

    Parameters
    ----------
    max_iterations : int
        Quasi-Newton iterations allowed; 0 evaluates at the starting values.
    tolerance : float
        Converged when the objective is expected to fall by less than this with one more step.
    covariance : {"sandwich", "R", "S", None}
        Covariance of the estimates: R⁻¹SR⁻¹ (NONMEM's default), R⁻¹, S⁻¹, or none.
    solver : Solver
        How the differential equations are solved.
    """

    max_iterations: int = 300
    tolerance: float = 1e-8
    covariance: str | None = "sandwich"
    solver: Solver = field(default_factory=Solver)

    def __post_init__(self) -> None:
        if self.covariance not in ("sandwich", "R", "S", None):
            raise InputError(
                "E_METHOD", f"covariance={self.covariance!r} is unknown.", 'Use "sandwich", "R", "S" or None.'
            )
        if not isinstance(self.solver, Solver):
            raise InputError("E_METHOD", f"solver={self.solver!r} is not a solver.", "Use pkpd.Solver(…).")
        if self.max_iterations < 0 or not self.tolerance > 0:
            raise InputError(
                "E_METHOD", "max_iterations must be 0 or more and tolerance positive.", "Correct them."
            )
