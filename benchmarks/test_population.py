"""How long population fits take with a warm cache: `pytest benchmarks/test_population.py --benchmark-enable`."""

from __future__ import annotations

import dataclasses
import warnings

import pytest

import pkpd
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


@pytest.mark.parametrize("covariance", [None, "sandwich"])
@pytest.mark.parametrize("name", ["theophylline", "phenobarbital"])
def test_fit(benchmark, name, covariance):
    model, data = load(name)
    method = pkpd.FOCEI(covariance=covariance)
    fitted(model, data, method)  # compiled
    fit = benchmark.pedantic(fitted, (model, data, method), rounds=5)
    assert fit.minimization_successful


@pytest.mark.parametrize("method", [pkpd.SAEM(), pkpd.IMP()], ids=["SAEM", "IMP"])
@pytest.mark.parametrize("solver", ["auto", "ode"])
@pytest.mark.parametrize("name", ["theophylline", "phenobarbital"])
def test_fit_by_sampling(benchmark, name, solver, method):
    """The whole fit: iterations, likelihood, covariance, tables."""
    model, data = load(name)
    method = dataclasses.replace(method, solver=pkpd.Solver(solver))
    fitted(model, data, method)  # compiled
    fit = benchmark.pedantic(fitted, (model, data, method), rounds=3)
    assert fit.ofv < float("inf")


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


@pytest.mark.parametrize(
    "method", [pkpd.FO(), pkpd.FOCE(), pkpd.Laplace(), pkpd.AGQ(nodes=7)], ids=lambda m: type(m).__name__
)
def test_fit_by_method(benchmark, method):
    """Theophylline: fit, covariance and tables."""
    model, data = load("theophylline")
    fitted(model, data, method)  # compiled
    fit = benchmark.pedantic(fitted, (model, data, method), rounds=3)
    assert fit.minimization_successful
