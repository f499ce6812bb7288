"""How long population fits take with a warm cache: `pytest benchmarks/test_population.py --benchmark-enable`."""

from __future__ import annotations

import warnings

import pytest

import pkpd
from benchmarks.problems_population import ROWS
from pkpd._jit import set_threads, threads
from pkpd.language.scales import Scales
from pkpd.population.objective import Objective
from pkpd.shipped import dataset_path

CASES = {
    "theophylline": "theophylline",
    "phenobarbital": "phenobarbital",
    "pantumor_small": "pantumor",
    "pantumor": "pantumor",
}
QUICK = ["theophylline", "phenobarbital", "pantumor_small"]


def load(name):
    return pkpd.load_model(CASES[name]), pkpd.read_dataset(dataset_path(name))


def fitted(model, data, method=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.fit(model, data, method)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.nightly] if r.aim > 1 else []) for n, r in ROWS.items()]
)
def test_fit(benchmark, name, workers):
    """A row of the table: fit, covariance and tables, on one thread and on two."""
    row = ROWS[name]
    model, data = row.load()
    before = threads()
    set_threads(workers)
    try:
        fitted(model, data, row.method)  # compiled
        fit = benchmark.pedantic(fitted, (model, data, row.method), rounds=1 if row.aim > 1 else 5)
    finally:
        set_threads(before)
    benchmark.extra_info |= {"aim": row.aim, "ofv": fit.ofv}
    assert fit.minimization_successful


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["pantumor_small", "pantumor"])
def test_fit_of_a_trial(benchmark, name):
    model, data = load(name)
    fitted(model, data, pkpd.FOCEI(max_iterations=0, covariance=None))
    fit = benchmark.pedantic(fitted, (model, data), rounds=1)
    assert fit.minimization_successful


@pytest.mark.parametrize("solver", ["auto", "ode"])
@pytest.mark.parametrize("what", ["objective", "gradient"])
@pytest.mark.parametrize("name", QUICK)
def test_evaluation(benchmark, name, what, solver):
    """One evaluation that starts from the modes, as in a line search."""
    model, data = load(name)
    problem = pkpd.bind(model, data, pkpd.Solver(solver))
    scales = Scales(problem)
    objective, values = Objective(problem, scales), scales.initial(problem)
    modes = objective.at(values).etas
    point = benchmark(objective.at, values, modes, gradient=what == "gradient")
    assert point.ofv < float("inf")
