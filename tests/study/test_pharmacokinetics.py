from __future__ import annotations

import types

import pandas as pd
import pytest

import pkpd
from pkpd import exp
from pkpd.study.pharmacokinetics import _code, _predictive_check
from pkpd.study.stages import fitted, keeping


@pkpd.model
def theophylline(m):
    ka = m.parameter("KA", m.theta("KA", 1.5, unit="1/h", lower=0) * exp(m.eta("KA", variance=0.5)))
    cl = m.parameter("CL", m.theta("CL", 3.0, unit="L/h", lower=0) * exp(m.eta("CL", variance=0.1)))
    v = m.parameter("V", m.theta("V", 30.0, unit="L", lower=0) * exp(m.eta("V", variance=0.1)))
    depot, central = m.compartment("depot", unit="mg"), m.compartment("central", unit="mg")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, unit="mg/L", additive=m.sigma("ADD", 0.7))


@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
def test_the_predictive_check_is_a_stage_that_comes_back(tmp_path, monkeypatch):
    data, plan = pkpd.load_dataset("theophylline"), types.SimpleNamespace(seed=3)
    monkeypatch.setattr("pkpd.study.pharmacokinetics.SIMULATIONS", 5)
    found = []
    for _ in range(2):
        with keeping(tmp_path):
            fit = fitted(theophylline, data, pkpd.FOCEI(max_iterations=2), seed=0)
            found.append(_predictive_check(plan, fit))
        # the second time from the store: simulating again would fail
        monkeypatch.setattr("pkpd.population.vpc", lambda *a, **k: pytest.fail("simulated again"))
    first, second = found
    assert first.replicates == 5 and first.x == "TAD" and first.prediction_corrected
    pd.testing.assert_frame_equal(first.bands, second.bands, check_exact=True)
    code = _code(data, fit)
    for name, estimate in fit.parameter_estimates.items():
        if not name.startswith(("SD", "OMEGA")):
            assert (
                repr(float(estimate))[:12] in code["NONMEM"] and repr(float(estimate))[:12] in code["nlmixr2"]
            ), name
