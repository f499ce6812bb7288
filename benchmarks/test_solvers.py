"""Time and achieved error of the solvers: `pytest benchmarks/test_solvers.py --benchmark-enable`."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.problems import CASES, profiles, worst
from pkpd._jit import set_threads, threads
from pkpd.language import Solver

SUBJECTS = 200


@cache
def exact(name):
    case = CASES[name]
    # at this tolerance rounding keeps explicit steps of the stiff one from their end
    kind = "linear" if name.startswith("two") else "stiff"
    problem = case.problem(SUBJECTS, Solver(kind, rtol=1e-12, atol=1e-13))
    return profiles(problem, case.parameters(SUBJECTS))().copy()


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("rtol", [1e-6, 1e-9])
@pytest.mark.parametrize("kind", ["ode", "stiff", "linear"])
@pytest.mark.parametrize("name", CASES)
def test_profiles_on_one_thread(benchmark, name, kind, rtol, order):
    if kind == "linear" and (not name.startswith("two") or rtol < 1e-6):
        pytest.skip("the closed form is for linear systems and has no tolerance")
    if kind == "stiff" and name.startswith("two"):
        pytest.skip("not what it is for")
    case, before = CASES[name], threads()
    set_threads(1)
    try:
        problem = case.problem(SUBJECTS, Solver(kind, rtol=rtol, atol=rtol * 1e-2))
        run = profiles(problem, case.parameters(SUBJECTS), order)
        run()
        found = benchmark(run)
    finally:
        set_threads(before)
    error = worst(found, exact(name))
    benchmark.extra_info["error in profile maxima"] = error
    if benchmark.stats:
        benchmark.extra_info["µs per profile"] = benchmark.stats["min"] / SUBJECTS * 1e6
    assert error < 100 * rtol
