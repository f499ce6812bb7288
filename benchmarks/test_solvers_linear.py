"""Profiles of the closed form, per subject and thread: `pytest benchmarks/test_solvers_linear.py --benchmark-enable`."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd._jit import (
    A1,
    A2,
    A3,
    HESSIAN,
    JACOBIAN,
    OUTPUT,
    RATES,
    SOLVER,
    STEADY,
    SUBJECTS,
    SYSTEM,
    i8,
    kernel,
)  # fmt: skip
from pkpd.kernels import status
from pkpd.language.binding import Problem
from pkpd.language.records import Doses, Records
from tests.kernels.cases import VALUES, mammillary_case

DAILY = 24.0 * np.arange(30)
SPARSE = np.array([1.0, 24.5, 100.0, 300.0, 400.0, 500.0, 719.0])
DENSE = np.linspace(0.1, 480.0, 200)
EVENTS = {"LAG": 0.35, "F": 0.8}

# compartments, lag and bioavailability, changed values, dose times, compartment, rate, sample times
CASES = {
    "2 compartments, oral, 20 doses, 200 samples": (2, False, {}, DAILY[:20], 0, 0.0, DENSE),
    "2 compartments, oral, 30 doses, 7 samples": (2, False, {}, DAILY, 0, 0.0, SPARSE),
    "the same with lag and F": (2, True, EVENTS, DAILY, 0, 0.0, SPARSE),
    "infusions with lag and F, 30 doses, 7 samples": (2, True, EVENTS, DAILY, 1, 100.0, SPARSE),
    "1 compartment, KA = K, 30 doses, 7 samples": (1, False, {"KA": 0.2}, DAILY, 0, 0.0, SPARSE),
}
REPEATS = 100


@kernel(i8(i8, i8, A1, SOLVER, RATES, JACOBIAN, HESSIAN, OUTPUT, STEADY, SYSTEM, SUBJECTS, A1, A2, A3))
def repeat(times, order, p, solve, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp):
    """Solve for the first subject so many times; the sum of the statuses."""
    total = 0
    for _ in range(times):
        total += solve(order, 0, p, rates, jacobian, hessian, output, steady, system, subjects, f, f_p, f_pp)
    return total


def problem_of(case, dose_times, compartment, rate, times) -> Problem:
    d, o = len(dose_times), len(times)
    doses = Doses(
        time=dose_times, compartment=np.full(d, compartment), amount=np.full(d, 100.0), rate=np.full(d, rate),
        row=np.zeros(d, np.int64), kind=np.zeros(d, np.int64), interval=np.zeros(d), offsets=np.array([0, d]),
    )  # fmt: skip
    records = Records(
        time=times, value=np.zeros(o), endpoint=np.zeros(o, np.int64), used=np.zeros(o, np.int64),
        row=np.full(o, 10**6), offsets=np.array([0, o]), censored=np.zeros(o, np.int64), limit=np.full(o, np.nan),
    )  # fmt: skip
    return case.problem.with_records(doses, records)


@pytest.mark.parametrize("order", [0, 1, 2], ids=["states", "first order", "second order"])
@pytest.mark.parametrize("name", CASES)
def test_profile(benchmark, name, order):
    """The time of one round is that of 100 profiles."""
    compartments, full, changed, dose_times, compartment, rate, times = CASES[name]
    case = mammillary_case(compartments, full)
    problem = problem_of(case, dose_times, compartment, rate, times)
    values = VALUES | changed
    eta, slots = np.array([values[n] for n in case.names]), problem.n_slots
    p = np.zeros(slots)
    problem.functions["parameters"](
        0,
        np.zeros(0),
        eta,
        np.zeros(0),
        p,
        np.zeros((slots, len(eta))),
        np.zeros((slots, len(eta), len(eta))),
    )
    solve, _, rates, jacobian, hessian, output, steady, system = problem.compiled
    f, first, second = np.zeros(len(times)), len(times) * (order > 0), len(times) * (order > 1)
    arguments = (
        REPEATS, order, p, solve, rates, jacobian, hessian, output, steady, system, problem.subject_data,
        f, np.zeros((first, slots)), np.zeros((second, slots, slots)),
    )  # fmt: skip
    assert benchmark(repeat, *arguments) == REPEATS * status.OK
    assert np.all(f > 0.0)
