"""How often fits solve the model: ``python -m benchmarks.solutions "theophylline, FOCEI" "lag and turnover, FOCEI"``.

Evaluations of the objective with its gradient, and solutions of first order per subject, of which those that compare modes.
"""

from __future__ import annotations

import sys
import warnings
from typing import Any

import pkpd
from benchmarks.problems_population import ROWS
from pkpd.population.objective import Objective


def counted(row: str) -> tuple[int, float, float]:
    """Evaluations with a gradient, solutions of first order per subject, and of these those that compare modes."""
    evaluations, solutions, comparing = 0, 0.0, 0.0
    whole = Objective._evaluated

    def counting(self: Objective, values: Any, begin: Any, gradient: Any, optimise: Any, kernel: Any) -> Any:
        nonlocal evaluations, solutions, comparing
        evaluate, settings = kernel

        def call(*arguments: Any) -> None:
            nonlocal solutions, comparing
            evaluate(*arguments)
            # the last but one argument: how many solutions each subject's search took
            taken = float(arguments[-2].mean())
            solutions += taken
            comparing += 0.0 if gradient else taken

        evaluations += bool(gradient)
        return whole(self, values, begin, gradient, optimise, (call, settings))

    Objective._evaluated = counting  # type: ignore[method-assign]
    try:
        model, data = ROWS[row].load()
        pkpd.fit(model, data, ROWS[row].method)
    finally:
        Objective._evaluated = whole  # type: ignore[method-assign]
    return evaluations, solutions, comparing


if __name__ == "__main__":
    warnings.simplefilter("ignore", pkpd.PkpdWarning)
    for name in sys.argv[1:]:
        evaluations, solutions, comparing = counted(name)
        print(
            f"{name}: {evaluations} evaluations with gradient, {solutions:.0f} ({comparing:.0f}) of first order"
        )
