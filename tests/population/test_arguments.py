"""What is mistaken for a fit, a data set or a number is refused by name, never by a traceback of Python's."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.exposure import histology_exposure, interval_exposure
from pkpd.results import from_json

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
OF_A_FIT = {
    "bootstrap": pkpd.bootstrap,
    "sir": pkpd.sir,
    "profile": pkpd.profile,
    "vpc": pkpd.vpc,
    "npde": pkpd.npde,
    "event_vpc": pkpd.event_vpc,
    "category_vpc": lambda fit: pkpd.category_vpc(fit, [0, 1]),
    "importance_sampling": pkpd.importance_sampling,
    "conditional_draws": pkpd.conditional_draws,
    "covariate_effects": pkpd.covariate_effects,
    "stepwise": lambda fit: pkpd.stepwise(fit, {"CL": ["WT"]}),
    "randomisation_test": lambda fit: pkpd.randomisation_test(fit, "WT"),
    "exposure_metrics": lambda fit: pkpd.exposure_metrics(fit, ["AUC1"], regimen=pkpd.dose(1), interval=24),
    "interval_exposure": lambda fit: interval_exposure(fit, {1: 24.0}, 8.0),
    "histology_exposure": lambda fit: histology_exposure(fit, pkpd.dose(1), interval=24),
}


@pytest.mark.parametrize("use", OF_A_FIT)
def test_a_model_is_no_fit(use):
    with pytest.raises(pkpd.InputError, match="E_ARGUMENT: expected a PopulationFit, got Model"):
        OF_A_FIT[use](pkpd.load_model("theophylline"))


@pytest.fixture(scope="module")
def given():
    model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")
    fit = pkpd.fit(model, data, pkpd.FOCEI(max_iterations=0, covariance=None))
    return {"model": model, "data": data, "fit": fit, "frame": data.frame, "dose": pkpd.dose(320)}


MISTAKES = [
    ("pkpd.fit(model, data, start=[1, 2])", "E_PARAMETER_VALUE"),
    ("pkpd.fit(model, frame)", "E_ARGUMENT"),
    ("pkpd.fit(model, data, store=5)", "E_STORE_FOLDER"),
    ("pkpd.evaluate(model, data, [1, 2])", "E_PARAMETER_VALUE"),
    ("pkpd.predict(model, frame)", "E_ARGUMENT"),
    ("pkpd.predict(data, model)", "E_ARGUMENT"),
    ("pkpd.predict(model, data, solver='ode')", "E_ARGUMENT"),
    ("pkpd.predict(model, data, etas=np.zeros((12, 3)))", "E_ETAS"),
    ("pkpd.simulate(data, dose, times=[1])", "E_ARGUMENT"),
    ("pkpd.simulate(model, dose, times='abc')", "E_SIMULATE"),
    ("pkpd.simulate(model, dose, times=[1], covariates=[1])", "E_SIMULATE"),
    ("pkpd.simulate(model, dose, times=[1], parameters=[1])", "E_PARAMETER_VALUE"),
    ("pkpd.nca(frame, route='bolus')", "E_ARGUMENT"),
    ("pkpd.nca(data, route=None)", "E_NCA_ROUTE"),
    ("pkpd.Solver(rtol='small')", "E_SOLVER"),
    ("pkpd.Solver(max_steps=1.5)", "E_SOLVER"),
    ("pkpd.Normal('a', 1)", "E_DISTRIBUTION"),
    ("pkpd.HalfNormal('a')", "E_DISTRIBUTION"),
    ("pkpd.LogNormal(1, 'a')", "E_PRIOR"),
    ("pkpd.InverseWishart('a', 5).matrix()", "E_PRIOR"),
    ("pkpd.MAP(priors=[1])", "E_METHOD"),
    ("pkpd.vpc(fit, quantiles=0.5)", "E_ARGUMENT"),
    ("pkpd.vpc(fit, bins=['a', 'b'])", "E_ARGUMENT"),
    ("pkpd.vpc(fit, lower_bound=1.0)", "E_ARGUMENT.*no effect"),
    ("pkpd.bootstrap(fit, level='high')", "E_ARGUMENT"),
    ("pkpd.profile(fit, 5)", "E_PARAMETER_NAME"),
    ("pkpd.profile(fit, level=95)", "E_ARGUMENT"),
    ("pkpd.stepwise(fit, ['WT'])", "E_RELATION"),
    ("pkpd.exposure_metrics(fit, ['AUC1'], regimen=dose, interval='24')", "E_INTERVAL"),
    ("pkpd.exposure_metrics(fit, ['AUC1'], regimen=dose, interval=24, output=1)", "E_OUTPUT"),
    ("interval_exposure(fit, {1: 'late'}, 24)", "E_INTERVAL_END"),
    ("interval_exposure(fit, [24], 24)", "E_INTERVAL_END"),
    ("model.replace(theta={'CL': 'fast'})", "E_MODEL_VALUE"),
    ("model.replace(omega={'CL': None})", "E_MODEL_VALUE"),
    ("from_json(None)", "E_JSON"),
]


@pytest.mark.parametrize(("call", "code"), MISTAKES)
def test_a_mistake_has_its_code(given, call, code):
    names = {**given, "pkpd": pkpd, "np": np, "interval_exposure": interval_exposure, "from_json": from_json}
    with pytest.raises(pkpd.InputError, match=code):
        eval(call, names)
