"""Kaplan-Meier curves against R's survfit, and by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import InputError
from pkpd.response import kaplan_meier, median_survival

REFERENCE = Path(__file__).parents[1] / "reference"


def test_a_curve_by_hand():
    # 10 patients, events at 2 (twice), 3, 5; censored at 3 and 4
    frame = pd.DataFrame({"T": [2, 2, 3, 3, 4, 5, 6, 6, 6, 6], "E": [1, 1, 1, 0, 0, 1, 0, 0, 0, 0]})
    curve = kaplan_meier(frame, "T", "E")
    assert curve["time"].tolist() == [2, 3, 5]
    assert curve["at_risk"].tolist() == [10, 8, 5]
    np.testing.assert_allclose(curve["survival"], [0.8, 0.8 * 7 / 8, 0.8 * 7 / 8 * 4 / 5])
    greenwood = np.sqrt(2 / (10 * 8) + 1 / (8 * 7) + 1 / (5 * 4))
    assert curve["lower"].iloc[2] == pytest.approx(0.56 * np.exp(-1.959963984540054 * greenwood))
    assert np.isnan(median_survival(curve))


@pytest.mark.parametrize(
    ("times", "events", "median"),
    [([1, 2, 3, 4], [1, 1, 1, 1], 2.5), ([1, 2, 3], [1, 1, 1], 2.0), ([1, 2, 3], [0, 0, 1], 3.0)],
)
def test_median(times, events, median):
    curve = kaplan_meier(pd.DataFrame({"T": times, "E": events}), "T", "E")
    assert median_survival(curve) == median
    assert curve["lower"].iloc[-1] != curve["lower"].iloc[-1]  # nobody is left


def test_lung_by_sex_is_that_of_survfit():
    values = json.loads((REFERENCE / "survival.json").read_text())
    frame = pd.DataFrame(values["lung"])
    theirs = values["km_lung_sex"]
    curves = kaplan_meier(frame, "time", "status01", "sex")
    for level, row in zip(("1", "2"), theirs, strict=True):
        own = curves[curves["histology"] == level]
        assert median_survival(own) == row["median"] and own["events"].sum() == row["events"]
        # survfit's interval of the median is where the limits of the curve pass one half
        assert own.loc[own["lower"] <= 0.5, "time"].iloc[0] == row["0.95LCL"]
        assert own.loc[own["upper"] <= 0.5, "time"].iloc[0] == row["0.95UCL"]


def test_bad_input_is_refused():
    frame = pd.DataFrame({"T": [1.0, -2.0], "E": [1, 0]})
    with pytest.raises(InputError, match="E_TIME_NOT_POSITIVE"):
        kaplan_meier(frame, "T", "E")
    with pytest.raises(InputError, match="E_LEVEL"):
        kaplan_meier(frame.assign(T=1), "T", "E", level=95)
