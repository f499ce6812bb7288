"""Exposure in time against closed forms, and into a Cox model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import response
from pkpd.exposure import interval_exposure
from tests.exposure.test_metrics import at_the_start, bolus

GIVEN = {1: [(0.0, 100.0), (12.0, 50.0)], 2: [(3.0, 100.0)], 3: [(0.0, 80.0), (24.0, 80.0)]}
ENDS = {1: 30.0, 2: 20.0, 3: 48.0}


@pytest.fixture(scope="module")
def fit():
    rows = []
    for i, doses in GIVEN.items():
        rows += [{"ID": i, "TIME": t, "EVID": 1, "AMT": a, "DV": np.nan} for t, a in doses]
        rows += [
            {"ID": i, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": i * y} for t, y in ((5.0, 1.5), (30.0, 0.4))
        ]
    frame = pd.DataFrame(rows).sort_values(["ID", "TIME"], kind="stable")
    return at_the_start(bolus, pkpd.read_dataset(frame))


def closed(fit, i, doses):
    """Concentration just before t, and area up to t."""
    own = fit.individual_parameters.loc[i]
    k = own.CL / own.V

    def conc(t):
        return sum(a / own.V * np.exp(-k * (t - d)) for d, a in doses if d < t)

    def area(t):
        return sum(a / own.CL * (1 - np.exp(-k * (t - d))) for d, a in doses if d < t)

    return conc, area


@pytest.mark.parametrize("lag", [0.0, 4.0])
def test_actual_doses(fit, lag):
    found = interval_exposure(fit, ENDS, 12.0, lag=lag)
    assert list(found) == ["ID", "start", "stop", "AUC", "CAVG", "CUMAUC", "CTROUGH"]
    stops = {i: own.stop.tolist() for i, own in found.groupby("ID")}
    assert stops == {1: [12, 24, 30], 2: [12, 20], 3: [12, 24, 36, 48]}
    for row in found.itertuples():
        conc, area = closed(fit, row.ID, GIVEN[row.ID])
        a, b = max(row.start - lag, 0), max(row.stop - lag, 0)
        assert pytest.approx(area(b) - area(a), rel=1e-9) == row.AUC
        assert pytest.approx((area(b) - area(a)) / (row.stop - row.start), rel=1e-9) == row.CAVG
        assert pytest.approx(area(b), rel=1e-9) == row.CUMAUC
        assert pytest.approx(conc(b), rel=1e-9) == row.CTROUGH


def test_planned_doses_are_taken_as_written(fit):
    regimen = pkpd.dose(100, every=10, until=25) + pkpd.dose(30, times=[7])
    doses = [(0.0, 100.0), (10.0, 100.0), (20.0, 100.0), (7.0, 30.0)]
    found = interval_exposure(fit, pd.Series({2: 33.0}), 15.0, ["CUMAUC", "CTROUGH"], regimen=regimen)
    assert found.ID.tolist() == [2, 2, 2] and list(found) == ["ID", "start", "stop", "CUMAUC", "CTROUGH"]
    conc, area = closed(fit, 2, doses)
    for row in found.itertuples():
        assert pytest.approx(area(row.stop), rel=1e-9) == row.CUMAUC
        assert pytest.approx(conc(row.stop), rel=1e-9) == row.CTROUGH


def test_whole_numbers_of_intervals_leave_no_sliver(fit):
    found = interval_exposure(fit, {1: 0.3}, 0.1, ["AUC"])
    np.testing.assert_allclose(found.stop, [0.1, 0.2, 0.3], rtol=1e-12)


def test_the_rows_go_into_a_cox_model(fit):
    rows = interval_exposure(fit, ENDS, 6.0, ["CAVG"])
    rows["EVENT"] = 0
    rows.loc[rows.groupby("ID").tail(1).index, "EVENT"] = [1, 1, 0]
    found = response.fit_cox(rows, "stop", "EVENT", "CAVG", start="start")
    assert int(found.counts.events.sum()) == 2 and int(found.counts.n.sum()) == 3


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"width": 0.0}, "E_INTERVAL"),
        ({"lag": -1.0}, "E_INTERVAL"),
        ({"metrics": ["CMAX"]}, "E_METRIC"),
        ({"metrics": []}, "E_METRIC"),
        ({"ends": {}}, "E_INTERVAL_END"),
        ({"ends": {9: 3.0}}, "E_INTERVAL_END"),
        ({"ends": {1: np.nan}}, "E_INTERVAL_END"),
        ({"ends": {1: 0.0}}, "E_INTERVAL_END"),
        ({"regimen": "planned"}, "E_REGIMEN"),
        ({"output": "cq"}, "E_OUTPUT"),
    ],
)
def test_refusals(fit, given, code):
    arguments = {"ends": ENDS, "width": 12.0} | given
    with pytest.raises(pkpd.InputError) as caught:
        interval_exposure(fit, **arguments)
    assert caught.value.code == code
