"""Predictions under inputs that vary in time, against slow twins: covariates, occasions, a real data set."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import PkpdWarning
from tests import naive
from tests.language.test_inputs import data, model_of, oral

# the twin and the stepper work at 1e-8 of the states
CLOSE = {"rtol": 2e-7, "atol": 1e-9}


def quietly(frame):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        return pkpd.read_dataset(frame)


@pytest.mark.parametrize("interpolation", ["nocb", "locf", "midpoint"])
def test_a_covariate_drives_the_rates_between_records(interpolation):
    drives(interpolation)


def drives(interpolation):
    f = pkpd.predict(oral(interpolation), data())["PRED"].to_numpy()

    def rhs(t, x, w):
        return -0.9 * x[0], 0.9 * x[0] - 2.0 * (w / 70) ** 0.75 / (10 * w / 70) * x[1]

    # two records stand at time 5, with 60 and 65: the way to it ends at the first, the way on starts at the second
    knots, before, after = [0.0, 2.0, 5.0], [70.0, 80.0, 60.0], [65.0, 90.0]
    first = naive.simulate_varying(
        rhs, [0, 0], [naive.Dose(0.0, 100.0)], [2.0, 5.0], knots, before, interpolation
    )
    second = naive.simulate_varying(
        lambda t, x, w: rhs(t, x, w), first[-1] + [100.0, 0.0], [], [4.0], [0.0, 4.0], after, interpolation
    )
    volumes = 10 * np.array([80.0, 60.0, 90.0]) / 70
    np.testing.assert_allclose(f, np.r_[first[:, 1], second[:, 1]] / volumes, **CLOSE)


def test_an_output_reads_the_inputs_of_its_record():
    plain, scaled = model_of(), model_of(output=lambda central, wt: central / 10 * (wt / 70) ** 2)
    a, b = (pkpd.predict(m, data())["PRED"].to_numpy() for m in (plain, scaled))
    np.testing.assert_allclose(b, a * (np.array([80.0, 60.0, 90.0]) / 70) ** 2, **CLOSE)


def test_variability_between_occasions_of_a_rate():
    def define(m):
        cl = m.parameter(
            "CL", m.theta("CL", 2.0) * pkpd.exp(m.eta("CL", variance=0.1) + m.iov("CL", variance=0.05))
        )
        central = m.compartment("central")
        m.ode(central, -cl / 10 * central)
        m.observe("cp", central / 10, additive=m.sigma("SD", 1.0))

    rows = [
        dict(
            ID=1,
            TIME=t,
            AMT=100.0 * (t in (0.0, 10.0)),
            EVID=int(t in (0.0, 10.0)),
            DV=1.0,
            OCC=1 + (t >= 10),
        )
        for t in (0.0, 1.0, 8.0, 10.0, 12.0, 20.0)
    ]
    model, frame = pkpd.model(define), quietly(pd.DataFrame(rows))
    etas = pd.DataFrame(
        {"CL": [0.1], "IOV(CL)[1]": [0.5], "IOV(CL)[2]": [-0.4]}, index=pd.Index([1], name="ID")
    )
    f = pkpd.predict(model, frame, etas=etas)["PRED"].to_numpy()
    # the record at 10 is of the second occasion: so is the way to it from 8
    k1, k2 = (0.2 * math.exp(0.1 + k) for k in (0.5, -0.4))
    left = 10 * math.exp(-8 * k1 - 2 * k2)
    expected = [
        10 * math.exp(-k1),
        10 * math.exp(-8 * k1),
        (left + 10) * math.exp(-2 * k2),
        (left + 10) * math.exp(-10 * k2),
    ]
    np.testing.assert_allclose(f, expected, **CLOSE)


def test_a_steady_state_is_that_under_the_inputs_of_its_record():
    frame = pd.DataFrame(
        {
            "ID": 1, "TIME": [0.0, 4.0, 6.0], "AMT": [100.0, 0, 0], "EVID": [1, 0, 0], "SS": [1, 0, 0], "II": [12.0, 0, 0],
            "DV": 1.0, "WT": [70.0, 100.0, 60.0],
        }
    )  # fmt: skip
    f = pkpd.predict(oral(), quietly(frame))["PRED"].to_numpy()

    def matrix(record):
        w = record["WT"] / 70
        return np.array([[-0.9, 0.0], [0.9, -0.2 * w**-0.25]])

    states = naive.linear_record_by_record(frame.to_dict("records"), matrix)
    np.testing.assert_allclose(f, states[1:, 1] / (10 * np.array([100.0, 60.0]) / 70), **CLOSE)


# ------------------------------------------------------------------------------------------------------------ quinidine


@pytest.fixture(scope="module")
def quinidine_model():
    def define(m):
        heart, creatinine = m.factor("HEART", reference="No/Mild"), m.factor("CREATININE", reference=">= 50")
        effect = heart.effect("CL") + creatinine.effect("CL")
        cl = m.theta("CL", 12.0, unit="L/h", lower=0) * pkpd.exp(m.eta("CL", variance=0.1) + effect)
        cl = m.parameter("CL", cl * m.covariate("GLYCO") ** m.theta("GLYCO", -0.4), unit="L/h")
        v = m.theta("V", 230.0, unit="L", lower=0) * m.covariate("WT", unit="kg") / 80
        v = m.parameter("V", v * pkpd.exp(m.eta("V", variance=0.1)), unit="L")
        ka = m.parameter("KA", m.theta("KA", 0.8, unit="1/h", lower=0), unit="1/h")
        depot, central = m.compartment("depot", unit="mg"), m.compartment("central", unit="mg")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, unit="mg/L", proportional=m.sigma("PROP", 0.25))

    return pkpd.model(define)


EFFECTS = {"CL(HEART=Moderate)": -0.1, "CL(HEART=Severe)": -0.3, "CL(CREATININE=< 50)": -0.25}


def test_quinidine_is_predicted_record_by_record(quinidine_model):
    dataset = pkpd.load_dataset("quinidine")
    f = pkpd.predict(quinidine_model, dataset, EFFECTS)["PRED"].to_numpy()

    def parameters(r):
        cl = 12.0 * r["GLYCO"] ** -0.4
        cl *= math.exp(
            {"Moderate": -0.1, "Severe": -0.3}.get(r["HEART"], 0.0) - 0.25 * (r["CREATININE"] == "< 50")
        )
        return cl, 230.0 * r["WT"] / 80

    def matrix(r):
        cl, v = parameters(r)
        return np.array([[-0.8, 0.0], [0.8, -cl / v]])

    expected = []
    for _, own in dataset.frame.groupby("ID", sort=False):
        records = own.to_dict("records")
        states = naive.linear_record_by_record(records, matrix)
        expected += [x[1] / parameters(r)[1] for r, x in zip(records, states, strict=True) if r["EVID"] == 0]
    np.testing.assert_allclose(f, expected, rtol=1e-6)


def test_quinidine_is_fitted(quinidine_model):
    """Clearance falls with glycoprotein, with heart failure and with creatinine clearance, as in the publication."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        fit = pkpd.fit(quinidine_model, pkpd.load_dataset("quinidine"), pkpd.FOCEI(covariance="R"))
    assert fit.minimization_successful
    assert "GLYCO (nocb)" in fit.summary()
    estimates, errors = fit.parameter_estimates, fit.standard_errors
    for name in ("GLYCO", "CL(HEART=Severe)", "CL(CREATININE=< 50)"):
        assert estimates[name] + 1.64 * errors[name] < 0, name
    assert 8 < estimates["CL"] < 20
