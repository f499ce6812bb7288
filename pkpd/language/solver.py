"""Which solver a model gets, and its tolerances."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Integral, Real

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["Solver"]


@result
@dataclass(frozen=True)
class Solver:
    """How the model's differential equations are solved.

    Parameters
    ----------
    kind : {"auto", "linear", "ode", "stiff"}
        ``"auto"`` takes the closed form where the system is linear and adaptive steppers elsewhere; the others force one of
        them (``"linear"`` refuses a system that is not). The steppers are an explicit one and, where a system is stiff or the
        explicit one fails, an implicit one; ``"stiff"`` takes implicit steps only.
    rtol, atol : float
        Tolerances of the stepper on the states (``atol`` in the unit of the compartments).
    max_steps : int
        Steps allowed per subject; where the explicit stepper runs out of them the implicit one may try as many.
    """

    kind: str = "auto"
    rtol: float = 1e-9
    atol: float = 1e-12
    max_steps: int = 100_000

    def __post_init__(self) -> None:
        if self.kind not in ("auto", "linear", "ode", "stiff"):
            raise InputError(
                "E_SOLVER",
                f"solver kind {self.kind!r} is unknown.",
                'Use "auto", "linear", "ode" or "stiff".',
            )
        numbers = (
            isinstance(self.rtol, Real)
            and isinstance(self.atol, Real)
            and isinstance(self.max_steps, Integral)
        )
        if not numbers or not (0 < self.rtol < 1 and 0 < self.atol < math.inf and self.max_steps > 0):
            raise InputError(
                "E_SOLVER",
                "tolerances and step limit must be positive numbers, rtol below 1, max_steps whole.",
                "Check rtol, atol, max_steps.",
            )
