"""All subjects at once: derivatives to etas, and the same bits on one thread and on two."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import pkpd
from pkpd import _jit
from pkpd.language import Solver, bind
from pkpd.language.scales import Scales
from pkpd.population.objective import Objective
from pkpd.shipped import datasets_folder
from pkpd.simulation.prediction import predictions


@cache
def theophylline(kind):
    data = pkpd.read_dataset(datasets_folder() / "theophylline" / "theophylline.csv")
    problem = bind(pkpd.load_model("theophylline"), data, Solver(kind=kind))
    scales = Scales(problem)
    return problem, scales, scales.initial(problem)


@pytest.fixture
def restore_threads():
    before = _jit.threads()
    yield
    _jit.set_threads(before)


@pytest.mark.parametrize("kind", ["linear", "ode"])
def test_results_are_the_same_bits_on_one_thread_and_on_two(kind, restore_threads):
    _jit.set_threads(2)
    if _jit.threads() < 2:
        pytest.skip("one core")
    problem, scales, values = theophylline(kind)
    etas = np.random.default_rng(4).normal(0, 0.3, (problem.n_subjects, problem.n_eta))
    results = []
    for threads in (1, 2, 1, 2):
        _jit.set_threads(threads)
        assert _jit.threads() == threads
        f, f_eta, status = predictions(problem, values, etas, order=1)
        point = Objective(problem, scales).at(values)
        results.append((f, f_eta, status, point.etas, point.individual, point.gradients, point.precision))
    assert not results[0][2].any()
    for other in results[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("kind", ["linear", "ode"])
def test_derivatives_to_etas_are_those_of_differences(kind):
    problem, _, values = theophylline(kind)
    etas = np.random.default_rng(4).normal(0, 0.3, (problem.n_subjects, problem.n_eta))
    f_eta = predictions(problem, values, etas, order=1)[1]
    for a in range(problem.n_eta):
        h = 1e-3 * np.eye(problem.n_eta)[a]
        f = [predictions(problem, values, etas + s * h)[0] for s in (-2, -1, 1, 2)]
        slope = (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / 12e-3
        # the stepper's values carry 1e-9 of noise, magnified by 1/h
        np.testing.assert_allclose(f_eta[:, a], slope, rtol=0, atol=1e-8 if kind == "linear" else 1e-4)


def test_default_tolerances_leave_an_error_in_the_objective_far_below_what_matters():
    # measured: 1.4e-7 at the default tolerance 1e-8, 2e-5 at 1e-6; a likelihood-ratio test reads the objective to 0.01
    ofv = {}
    for kind in ("linear", "ode"):
        problem, scales, values = theophylline(kind)
        ofv[kind] = Objective(problem, scales).at(values).ofv
    assert ofv["ode"] == pytest.approx(ofv["linear"], abs=1e-6)
