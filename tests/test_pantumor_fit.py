"""The population fit of the simulated trials finds their truth, and the objective that two programs agree on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import pkpd
from tests import naive

FOLDER = Path(__file__).parents[1] / "datasets"


def load(name):
    """Data, model and truth; the truth by parameter name."""
    truth = json.loads((FOLDER / name / "truth.json").read_text())
    pk = truth["pharmacokinetics"]
    values = {key: pk[key] for key in ("CL", "V2", "Q", "V3", "OMEGA(CL,CL)", "OMEGA(Q,Q)", "SD(PROP)")}
    for histology, expected in truth["histologies"].items():
        if histology != "lung":
            values[f"CL(TUMOR={histology})"] = np.log(expected["clearance"])
    return pkpd.read_dataset(FOLDER / name / f"{name}.csv"), pkpd.load_model("pantumor"), truth, values


def test_objective_and_modes_equal_the_twin():
    """Six patients of different tumour types at the true parameters, from the formula of FOCEI and a generic optimiser."""
    data, model, truth, values = load("pantumor_small")
    found = pkpd.evaluate(model, data, values)
    pk, every = truth["pharmacokinetics"], 24.0 * np.arange(15)
    omega = np.diag([values["OMEGA(CL,CL)"], values["OMEGA(Q,Q)"]])
    patients = data.frame.groupby("TUMOR").ID.first()
    assert len(patients) == 6
    for histology, identity in patients.items():
        own = data.frame[data.frame["ID"].eq(identity)]
        dose, size = own.DOSE.iloc[0], own.WT.iloc[0] / 75
        seen = own[own.EVID == 0]
        since = seen.TIME.to_numpy()[:, None] - every[None, :] - pk["TLAG"]
        clearance = pk["CL"] * truth["histologies"][histology]["clearance"] * size**0.75

        def prediction(eta, clearance=clearance, dose=dose, size=size, since=since):
            cl, q = clearance * np.exp(eta[0]), pk["Q"] * size**0.75 * np.exp(eta[1])
            one = naive.concentration_oral_2cmt(
                np.maximum(since, 0), 1000 * dose, pk["KA"], cl, pk["V2"] * size, q, pk["V3"] * size
            )
            return np.where(since > 0, one, 0).sum(axis=1)

        value, eta = naive.focei_subject(prediction, lambda f, eta: 0.04 * f**2, seen.DV, omega)
        assert found.individual_ofv[identity] == pytest.approx(value, abs=1e-6)
        # The optimiser without gradients ends within about 1e-6 of the mode.
        np.testing.assert_allclose(found.individual_estimates.loc[identity], eta, atol=2e-5)


def check(name, ofv):
    data, model, _, values = load(name)
    fit = pkpd.fit(model, data)
    assert fit.minimization_successful
    # Second program: FOCEI in plain NumPy with Levenberg-Marquardt modes and finite-difference BFGS, run once.
    assert fit.ofv == pytest.approx(ofv, abs=1e-3)
    for parameter, true in values.items():
        distance = (fit.parameter_estimates[parameter] - true) / fit.standard_errors[parameter]
        assert abs(distance) < 4, (parameter, distance)
    assert fit.eta_shrinkage["CL"] < 0.12  # exposure is well known in each patient
    return fit


def test_small_trial():
    fit = check("pantumor_small", 2321.0673)
    second = {"CL": 6.13726, "V2": 61.22838, "Q": 70.06064, "V3": 415.17307, "CL(TUMOR=gastric)": 0.248442}
    for parameter, value in second.items():
        assert fit.parameter_estimates[parameter] == pytest.approx(value, rel=1e-3)


@pytest.mark.nightly
def test_large_trial():
    check("pantumor", 15365.3615)
