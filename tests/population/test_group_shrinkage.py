"""Shrinkage by histology, WRES and the covariance of individual estimates, in closed form for a random intercept."""

from __future__ import annotations

import numpy as np
import pytest

from tests.population.intercept import measurements
from tests.population.test_prediction_errors import MU, SD, VARIANCE, at_truth

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def fit():
    return at_truth(measurements())


def test_shrinkage_by_histology(fit):
    table = fit.shrinkage()
    eta = (measurements().mean(axis=1) - MU) * VARIANCE / (VARIANCE + SD**2 / 3)
    iwres = fit.residuals["IWRES"].to_numpy().reshape(-1, 3)
    for group, rows in {"all": slice(None), "a": slice(9), "b": slice(9, None)}.items():
        found = table.loc[group]
        assert found["subjects"] == len(eta[rows])
        assert found["BASE"] == pytest.approx(1 - eta[rows].std(ddof=1) / np.sqrt(VARIANCE), abs=1e-6)
        assert found["IWRES"] == pytest.approx(1 - iwres[rows].std(ddof=1), abs=1e-9)
    assert table.loc["all", "BASE"] == pytest.approx(fit.eta_shrinkage["BASE"])
    assert list(fit.shrinkage(None).index) == ["all"]


def test_weighted_residuals(fit):
    """WRES and CWRES are the same in a model that is linear in its eta: the symmetric root of the true covariance."""
    covariance = VARIANCE * np.ones((3, 3)) + SD**2 * np.eye(3)
    values, vectors = np.linalg.eigh(covariance)
    root = vectors / np.sqrt(values) @ vectors.T
    expected = ((measurements() - MU) @ root).ravel()
    np.testing.assert_allclose(fit.residuals["WRES"], expected, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(fit.residuals["CWRES"], expected, rtol=1e-9, atol=1e-9)


def test_covariance_of_individual_estimates(fit):
    table = fit.individual_estimates_covariance
    assert len(table) == 14
    np.testing.assert_allclose(table["BASE"], 1 / (1 / VARIANCE + 3 / SD**2), rtol=1e-9)
    assert table.loc[3].shape == (1, 1)
