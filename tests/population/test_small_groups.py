"""Standard errors of a factor effect that few subjects carry."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import pkpd
from pkpd import exp


@pkpd.model
def bolus(m):
    """One compartment, intravenous bolus, with an effect of TUMOR on CL."""
    tumour = m.factor("TUMOR", reference="a")
    cl = m.parameter("CL", m.theta("CL", 1.0, lower=0) * exp(m.eta("CL", variance=0.1) + tumour.effect("CL")))
    v = m.parameter("V", m.theta("V", 10.0, lower=0))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.1))


@pytest.fixture(scope="module")
def data():
    import pandas as pd

    rng = np.random.default_rng(5)
    rows = []
    for subject in range(1, 32):
        tumour = "b" if subject == 31 else "a"
        k = 0.1 * np.exp(rng.normal(0, 0.3))
        rows.append((subject, 0.0, 100.0, 1, np.nan, tumour))
        for t in (1.0, 4.0, 12.0, 24.0):
            rows.append((subject, t, 0.0, 0, 10 * np.exp(-k * t) * (1 + 0.1 * rng.normal()), tumour))
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID", "DV", "TUMOR"])
    return pkpd.read_dataset(frame)


def test_the_sandwich_is_too_sure_of_one_subject_and_says_so(data):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        sandwich = pkpd.fit(bolus, data)
    assert any(
        "W_COVARIANCE_SMALL_GROUP" in str(w.message) and "CL(TUMOR=b) (1)" in str(w.message) for w in caught
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", pkpd.PkpdWarning)
        model_based = pkpd.fit(bolus, data, pkpd.FOCEI(covariance="R"))
    # the effect of one subject is known no better than the spread between subjects, ω·√(1 + 1/30), plus its residual error
    omega = np.sqrt(model_based.omega.loc["CL", "CL"])
    se = model_based.standard_errors["CL(TUMOR=b)"]
    assert omega * np.sqrt(1 + 1 / 30) < se < 1.15 * omega * np.sqrt(1 + 1 / 30)
    assert sandwich.standard_errors["CL(TUMOR=b)"] < 0.5 * se
