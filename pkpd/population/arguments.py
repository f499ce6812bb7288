"""Checks of the arguments that functions of a fit share."""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from pkpd.errors import InputError

if TYPE_CHECKING:  # a fit holds its method, whose settings are checked here
    from pkpd.population.result import PopulationFit

__all__ = ["fitted", "probability", "whole"]


def fitted(value: Any) -> PopulationFit:
    """Check a fit.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` if it is something else: a model, most of the time.
    """
    from pkpd.population.result import PopulationFit

    if not isinstance(value, PopulationFit):
        raise InputError(
            "E_ARGUMENT", f"expected a PopulationFit, got {type(value).__name__}.", "Use pkpd.fit(…)."
        )
    return value


def whole(name: str, value: Any, least: int = 1, code: str = "E_ARGUMENT") -> int:
    """Check a count.

    Raises
    ------
    InputError
        ``code`` if it is not a whole number of at least ``least``.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise InputError(code, f"{name}={value!r}.", f"Give a whole number, {least} or more.")
    return int(value)


def probability(name: str, value: Any, code: str = "E_ARGUMENT") -> float:
    """Check a probability, or the coverage of an interval.

    Raises
    ------
    InputError
        ``code`` if it is not a number between 0 and 1.
    """
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise InputError(code, f"{name}={value!r}.", "Give a number between 0 and 1, e.g. 0.95.")
    return float(value)
