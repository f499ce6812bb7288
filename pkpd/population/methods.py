"""Estimation methods as frozen settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

from pkpd.errors import InputError
from pkpd.language.binding import Problem
from pkpd.language.solver import Solver
from pkpd.population.arguments import whole
from pkpd.population.observed import BLQ
from pkpd.results import result

__all__ = [
    "AGQ",
    "FO",
    "FOCE",
    "FOCEI",
    "MAP",
    "GradientMethod",
    "Laplace",
    "NaivePooled",
    "check_positive",
    "mode_method",
    "require_gradient",
]


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

    @property
    def kind(self) -> str:
        """Name of the approximation to the likelihood: FO, FOCE, FOCEI, Laplace or AGQ."""
        return type(self).__name__

    def __post_init__(self) -> None:
        if self.covariance not in ("sandwich", "R", "S", None):
            raise InputError(
                "E_METHOD", f"covariance={self.covariance!r} is unknown.", 'Use "sandwich", "R", "S" or None.'
            )
        if self.blq not in BLQ:
            raise InputError("E_METHOD", f"blq={self.blq!r} is unknown.", f"Use one of {', '.join(BLQ)}.")
        if not isinstance(self.solver, Solver):
            raise InputError("E_METHOD", f"solver={self.solver!r} is not a solver.", "Use pkpd.Solver(…).")
        whole("starts", self.starts, 1, "E_METHOD")
        whole("max_iterations", self.max_iterations, 0, "E_METHOD")
        check_positive("tolerance", self.tolerance)


def check_positive(name: str, value: Any) -> None:
    """Check a setting that measures.

    Raises
    ------
    InputError
        ``E_METHOD`` if it is not a finite number above 0.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < math.inf:
        raise InputError("E_METHOD", f"{name}={value!r}.", "Give a number above 0.")


def require_gradient(method: Any, wanted_by: str) -> None:
    """Refuse a method that does not minimise an objective which is the same at every evaluation.

    Raises
    ------
    InputError
        ``E_METHOD_NOISY``.
    """
    if not isinstance(method, GradientMethod):
        raise InputError(
            "E_METHOD_NOISY",
            f"{wanted_by} compares minima of the OFV, which {type(method).__name__} does not find exactly.",
            "Chain a method that computes them: [pkpd.SAEM(), pkpd.Laplace()].",
        )


@result
@dataclass(frozen=True)
class FO(GradientMethod):
    """First-order approximation about the typical subject; refuses censored records except by M1.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@result
@dataclass(frozen=True)
class FOCE(GradientMethod):
    """First-order conditional estimation without interaction: the residual variance is that of the typical subject.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@result
@dataclass(frozen=True)
class FOCEI(GradientMethod):
    """First-order conditional estimation with interaction, with exact gradients.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@result
@dataclass(frozen=True)
class Laplace(GradientMethod):
    """Laplace's approximation with the exact Hessian: for any likelihood, censored and categorical data among them.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`.
    """


@result
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
        whole("nodes", self.nodes, 1, "E_METHOD")
        if self.nodes > 100:
            raise InputError("E_METHOD", f"nodes={self.nodes!r} are more than 100.", "Use 7, say.")


def mode_method(problem: Problem, blq: str) -> FOCEI | Laplace:
    """The approximation by which methods that sample find conditional modes: one that takes the problem's endpoints."""
    return Laplace(blq=blq) if any(o.likelihood for o in problem.model.observations) else FOCEI(blq=blq)


@result
@dataclass(frozen=True)
class MAP(GradientMethod):
    """Maximum a posteriori: an approximation to the likelihood with priors on thetas and OMEGA.

    ``ofv`` includes -2 log density of the priors without their constants; ``minus2ll`` does not.

    Parameters
    ----------
    max_iterations, tolerance, starts, blq, solver
        As of :class:`GradientMethod`.
    covariance : {"R", None}
        R⁻¹, R including the priors; the other kinds have no meaning with a prior.
    priors : mapping
        By parameter name: ``{"CL": pkpd.LogNormal(3, 0.2), "WT_CL": pkpd.Normal(0.75, 0.1),
        "OMEGA(CL,CL)": pkpd.InverseWishart(0.1, df=20)}``.
    approximation : {"FOCEI", "FOCE", "FO", "Laplace"}
    """

    covariance: str | None = "R"
    priors: Mapping[str, Any] = field(default_factory=dict)
    approximation: str = "FOCEI"

    @property
    def kind(self) -> str:
        """Name of the approximation to the likelihood."""
        return self.approximation

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.covariance not in ("R", None):
            raise InputError("E_METHOD", f"MAP has no covariance {self.covariance!r}.", 'Use "R" or None.')
        if self.approximation not in ("FO", "FOCE", "FOCEI", "Laplace"):
            raise InputError(
                "E_METHOD",
                f"approximation={self.approximation!r} is unknown.",
                "Use FOCEI, FOCE, FO or Laplace.",
            )
        if not self.priors or not isinstance(self.priors, Mapping):
            raise InputError("E_METHOD", "MAP has no priors by name.", "Give priors={…}, or use FOCEI().")


@result
@dataclass(frozen=True)
class NaivePooled(GradientMethod):
    """All records as if of one subject: the model without its random effects, by maximum likelihood.

    As the first of a chain, ``[NaivePooled(), FOCEI()]``, it finds starting values of thetas and residual errors.

    Parameters
    ----------
    max_iterations, tolerance, covariance, starts, blq, solver
        As of :class:`GradientMethod`; the sandwich takes each subject's records as one contribution, which are not
        independent.
    """

    @property
    def kind(self) -> str:
        """Without random effects Laplace's approximation is the likelihood itself, of any endpoint."""
        return "Laplace"
