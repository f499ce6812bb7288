"""The forest shows the ratios of its table, one panel per parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import InputError
from pkpd.population import CovariateEffects


def test_forest_of_covariate_effects():
    rows = [
        ("CL", "WT", "50", 50.0, "70", 40, 0.78, 0.7, 0.86),
        ("CL", "TUMOR", "liver", np.nan, "lung", 12, 1.3, 1.1, 1.5),
        ("V", "WT", "50", 50.0, "70", 40, 0.71, 0.6, 0.8),
    ]
    columns = ["parameter", "covariate", "value", "at", "reference", "subjects", "ratio", "lower", "upper"]
    effects = CovariateEffects(pd.DataFrame(rows, columns=columns), {"WT": 70.0, "TUMOR": "lung"}, 0.9)
    axes = pkpd.plot.covariate_effects(effects)
    assert axes.shape == (2, 1)
    assert [ax.get_title(loc="left") for ax in axes[:, 0]] == ["CL", "V"]
    assert [t.get_text() for t in axes[0, 0].get_yticklabels()] == ["WT 50 : 70", "TUMOR liver : lung"]
    drawn = [line.get_xdata() for line in axes[0, 0].get_lines()[1:]]
    np.testing.assert_array_equal(np.concatenate(drawn), [0.7, 0.86, 0.78, 1.1, 1.5, 1.3])
    low, high = axes[1, 0].get_xlim()
    assert low < 0.6 and high > 1.5 and axes[1, 0].get_xscale() == "log"
    with pytest.raises(InputError, match="E_PLOT_INPUT"):
        pkpd.plot.covariate_effects(3)
