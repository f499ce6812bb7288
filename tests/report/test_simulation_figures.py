"""Figures of VPC and NPDE show the numbers of their results, panel by panel."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import pkpd
from pkpd.errors import InputError
from tests.population.test_prediction_errors import at_truth, simulated_table

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def fit():
    return at_truth(simulated_table(20, 4, 5), limit=5.0)


def line(ax, label):
    return [x.get_xydata() for x in ax.get_lines() if x.get_label() == label]


def test_a_vpc_has_a_panel_per_histology_and_one_for_its_censored_share(fit):
    check = pkpd.vpc(fit, 20, seed=1)
    check = dataclasses.replace(check, units={"TIME": "h", "DV": "mg/L"})
    axes = pkpd.plot.vpc(check)
    assert axes[0, 0].get_ylabel() == "Value (mg/L)" and axes[-1, 0].get_xlabel() == "Time (h)"
    assert axes.shape == (2, 2)
    for column, name in enumerate(("a", "b")):
        ax = axes[0, column]
        assert ax.get_title(loc="left") == name
        mine = check.bands[check.bands["stratum"] == name]
        for drawn, q in zip(line(ax, "observed"), (0.05, 0.5, 0.95), strict=True):
            np.testing.assert_array_equal(
                drawn, mine.loc[mine["quantile"] == q, ["x", "observed"]].to_numpy()
            )
        points = check.points[check.points["stratum"] == name][["x", "y"]].dropna().to_numpy()
        drawn = np.ma.getdata(ax.collections[0].get_offsets())
        np.testing.assert_array_equal(drawn[np.isfinite(drawn).all(axis=1)], points)
        share = check.censored[check.censored["stratum"] == name]
        np.testing.assert_array_equal(
            line(axes[1, column], "observed")[0], share[["x", "observed"]].to_numpy()
        )
    assert len(axes[1, 0].collections) == 4  # a band per bin


def test_a_vpc_without_strata_or_limits_has_one_panel():
    check = pkpd.vpc(at_truth(simulated_table(20, 4, 5)), 5, stratify=None)
    axes = pkpd.plot.vpc(check, log=True)
    assert (
        axes.shape == (1, 1) and axes[0, 0].get_yscale() == "log" and axes[0, 0].get_title(loc="left") == ""
    )


def test_npde(fit):
    errors = pkpd.npde(fit, 60, seed=1)
    axes = pkpd.plot.npde(errors)
    assert axes.shape == (2, 2)
    np.testing.assert_array_equal(
        axes[0, 0].collections[0].get_offsets()[:, 1], np.sort(errors.table["NPDE"])
    )
    sizes = [len(c.get_offsets()) for c in axes[1, 0].collections]
    censored = int(errors.table["CENSORED"].sum())
    assert sizes == [80 - censored, censored] and censored > 0
    assert "n = 80" in axes[0, 1].get_title(loc="right")


@pytest.mark.parametrize("draw", [pkpd.plot.vpc, pkpd.plot.npde])
def test_other_results_are_refused(draw):
    with pytest.raises(InputError, match="E_PLOT_INPUT"):
        draw(3)
