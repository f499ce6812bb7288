"""Subjects whose equations were solved only at the second or third attempt: to be told, not to be lost."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd

from pkpd.errors import PkpdWarning
from pkpd.language import Problem, Solver

__all__ = ["LOOSER", "looser", "retries", "warn_of_retries"]

# a status of the solver of equations is negative where it was not the first method that solved them: the first of these is
# pkpd.kernels.ode.SOLVED_AT_LAST, the second is given here
LOOSER = -2
_FACTOR = 1e3


def looser(problem: Problem) -> Problem:
    """The same problem by implicit steps and with tolerances a thousand times as large, of at most 1 %."""
    given = problem.solver
    rtol = min(_FACTOR * given.rtol, max(0.01, given.rtol))
    return replace(problem, solver=Solver("stiff", rtol, _FACTOR * given.atol, given.max_steps))


def retries(subjects: np.ndarray, status: np.ndarray) -> str | None:
    """Say which subjects took a second attempt; None where none did.

    Parameters
    ----------
    subjects, status : (N,) arrays
        IDs, and what :func:`pkpd.simulation.prediction.predictions` says of them.
    """
    parts = [
        f"{words} (ID {', '.join(map(str, who[:8]))}{' …' if len(who) > 8 else ''})"
        for who, words in (
            (pd.unique(subjects[status == -1]), "by the implicit method"),
            (pd.unique(subjects[status == LOOSER]), f"only with tolerances {_FACTOR:g} times as large"),
        )
        if len(who)
    ]
    if not parts:
        return None
    count = len(pd.unique(subjects[status < 0]))
    return (
        f"W_SOLVER_RETRIED: the first solver failed on the equations of {count} subject(s); they were solved "
        f"{' and '.join(parts)}."
    )


def warn_of_retries(subjects: np.ndarray, status: np.ndarray, stacklevel: int = 3) -> None:
    """Warn of what :func:`retries` says."""
    text = retries(subjects, status)
    if text is not None:
        warnings.warn(text, PkpdWarning, stacklevel=stacklevel)
