"""Inputs that move between records, and compartments that are off: what needs the stepper."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

import pkpd
from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.simulation.prediction import predictions
from tests.language.test_inputs import data, oral
from tests.language.test_varying_predictions import CLOSE, drives, quietly


def test_a_covariate_on_lines_drives_the_rates_between_records():
    drives("linear")


def test_derivatives_follow_the_inputs():
    problem = bind(oral("linear"), data())
    values = Scales(problem).initial(problem)
    _, f_eta, _ = predictions(problem, values, np.array([[0.2]]), order=1)
    up, down = (predictions(problem, values, np.array([[0.2 + h]]))[0] for h in (1e-4, -1e-4))
    np.testing.assert_allclose(f_eta[:, 0], (up - down) / 2e-4, rtol=1e-5, atol=1e-8)


def test_other_prediction_times_read_the_pieces():
    """The area under the curve and every profile are had at times that no record has."""
    problem = bind(oral("linear"), data())
    values = Scales(problem).initial(problem)
    from pkpd.simulation.design import records_at

    grid = np.array([[1.0, 2.0, 3.5, 7.0, 9.0, 12.0]])
    f, _, status = predictions(
        problem.with_records(problem.doses, records_at(grid, np.zeros(6, int))), values, np.zeros((1, 1))
    )
    assert not status.any()
    more = pd.DataFrame(
        {
            "ID": 1, "TIME": [0.0, 1, 2, 3.5, 5, 5, 7, 9, 12], "AMT": [100.0, 0, 0, 0, 0, 100, 0, 0, 0],
            "EVID": [1, 0, 0, 0, 0, 1, 0, 0, 0], "DV": 1.0, "WT": [70.0, 75, 80, 70, 60, 65, 77.5, 90, 90],
        }
    )  # fmt: skip
    expected = pkpd.predict(oral("linear"), quietly(more))["PRED"].to_numpy()[[0, 1, 2, 4, 5, 6]]
    np.testing.assert_allclose(f, expected, **CLOSE)


def test_a_compartment_that_is_off_holds_nothing():
    def define(m):
        central, urine = m.compartment("central"), m.compartment("urine")
        m.ode(central, -0.3 * m.theta("K", 1.0) * central)
        m.ode(urine, 0.2 * central)
        m.observe("excreted", urine, additive=m.sigma("SD", 1.0))

    # collected and emptied at 2 (by the sample), off until 3, collected until 5
    rows = [(0.0, 1, 1, 100.0), (2.0, 0, -2, 0.0), (2.5, 0, 2, 0.0), (3.0, 2, 2, 0.0), (5.0, 0, 2, 0.0)]
    frame = pd.DataFrame(rows, columns=["TIME", "EVID", "CMT", "AMT"]).assign(ID=1, DV=1.0)
    f = pkpd.predict(pkpd.model(define), quietly(frame))["PRED"].to_numpy()

    def made(a, b):
        return 0.2 * 100 * (math.exp(-0.3 * a) - math.exp(-0.3 * b)) / 0.3

    np.testing.assert_allclose(f, [made(0, 2), 0.0, made(3, 5)], **CLOSE)
