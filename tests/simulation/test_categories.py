"""Endpoints that are likelihoods of their own are drawn from the probabilities that they state."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, log
from tests.simulation.test_simulate import within


@pkpd.model
def graded(m):
    """A concentration; a grade of 1 to 3 by proportional odds; a count; a response."""
    cl = m.parameter("CL", m.theta("CL", 2.0, lower=0) * exp(m.eta("CL", variance=0.04)))
    central = m.compartment("central")
    m.ode(central, -cl / 20 * central)
    c = central / 20
    m.observe("cp", c, additive=m.sigma("ADD", 0.1))
    low, high = m.theta("LOW", -1.0), m.theta("HIGH", 0.5)
    p1, p12 = pkpd.expit(low - 0.1 * c), pkpd.expit(high - 0.1 * c)
    m.likelihood(
        "grade", -2 * pkpd.where(m.dv == 1, log(p1), pkpd.where(m.dv == 2, log(p12 - p1), log(1 - p12)))
    )
    rate = m.theta("RATE", 1.5, lower=0) * exp(-c / 10)
    m.likelihood("count", -2 * (m.dv * log(rate / (1 + rate)) - log(1 + rate)))  # geometric, mean rate


VALUES = {"grade": [1, 2, 3], "count": range(60)}
REGIMEN = pkpd.dose(100)
FIXED = {"OMEGA(CL,CL)": 1e-20}


def test_frequencies_are_the_probabilities():
    n = 20_000
    found = pkpd.simulate(graded, REGIMEN, times=[5.0], n=n, seed=2, parameters=FIXED, categories=VALUES)
    c = 5 * np.exp(-0.5)
    p1, p12 = (1 / (1 + np.exp(-(x - 0.1 * c))) for x in (-1.0, 0.5))
    grade = found.DV[found.DVID == 2]
    for value, p in ((1, p1), (2, p12 - p1), (3, 1 - p12)):
        within((grade == value).mean(), p, np.sqrt(p * (1 - p) / n))
    count, rate = found.DV[found.DVID == 3], 1.5 * np.exp(-c / 10)
    within(count.mean(), rate, np.sqrt((rate + rate**2) / n))
    for value in range(4):
        p = (rate / (1 + rate)) ** value / (1 + rate)
        within((count == value).mean(), p, np.sqrt(p * (1 - p) / n))
    # endpoints of a subject are drawn apart
    within(np.corrcoef(grade, count)[0, 1], 0.0, 1 / np.sqrt(n))
    assert found.IPRED[found.DVID > 1].isna().all() and found.IPRED[found.DVID == 1].notna().all()


def test_records_of_a_data_set():
    frame = pd.DataFrame(
        {"ID": 1, "TIME": [0.0, 1, 2, 3], "AMT": [100.0, 0, 0, 0], "EVID": [1, 0, 0, 0], "DV": [np.nan, 3.0, 2.0, 0.0],
         "DVID": [1, 1, 2, 3]}
    )  # fmt: skip
    data = pkpd.read_dataset(frame)
    found = pkpd.simulate(graded, data, seed=1, replicates=25, categories=VALUES)
    assert set(found.DV[found.DVID == 2]) <= {1.0, 2.0, 3.0}
    assert found.DV[found.DVID == 1].nunique() == 25
    quiet = pkpd.simulate(graded, data, seed=1, residual_error=False)
    assert "DV" not in quiet and quiet.IPRED.isna().tolist() == [False, True, True]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (None, "grade is a likelihood of its own"),
        ({"grade": [1, 2, 3]}, "count is a likelihood of its own"),
        (VALUES | {"cp": [0, 1]}, "cp is no endpoint"),
        (VALUES | {"grade": [0, 1, 2, 3]}, "add up to"),
        (VALUES | {"grade": [1, 2]}, "add up to"),
        (VALUES | {"count": range(3)}, "over 0, 1, 2 add up to"),
        (VALUES | {"grade": []}, "not numbers"),
        (VALUES | {"grade": ["a"]}, "not numbers"),
    ],
)
def test_what_is_not_known_is_not_guessed(given, words):
    with pytest.raises(pkpd.InputError, match=words) as caught:
        pkpd.simulate(graded, REGIMEN, times=[5.0], categories=given)
    assert caught.value.code == "E_SIMULATE_LIKELIHOOD"


def test_hazards_are_refused_by_name():
    @pkpd.model
    def event(m):
        """A constant hazard."""
        h = m.parameter("H", m.theta("H", 0.1, lower=0) * exp(m.eta("H", variance=0.1)))
        central = m.compartment("central")
        m.ode(central, -0.1 * central)
        m.observe("cp", central, additive=m.sigma("ADD", 0.1))
        m.hazard("death", h)

    with pytest.raises(pkpd.InputError, match=r"E_SIMULATE_LIKELIHOOD.*death is the hazard"):
        pkpd.simulate(event, REGIMEN, times=[5.0])
    found = pkpd.simulate(event, REGIMEN, times=[5.0], residual_error=False)
    assert found.IPRED.isna().tolist() == [False, True]
    with pytest.raises(pkpd.InputError, match=r"E_SIMULATE.*categories"):
        pkpd.simulate(event, REGIMEN, times=[5.0], residual_error=False, categories={"death": [0, 1]})
