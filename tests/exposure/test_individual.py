"""How well a subject's data determine its etas, where residual errors are correlated."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd.exposure.individual import conditional_covariance
from tests.population.test_correlated import KINDS, OMEGA, made, on_scale, predicted, spread, table
from tests.population.test_methods import slopes


@pytest.mark.parametrize("kind", KINDS)
def test_covariance_is_that_of_a_linear_model_with_the_whole_residual_covariance(kind):
    data = pkpd.read_dataset(table(3, 7, kind))
    fit = pkpd.fit(made(kind), data, pkpd.FOCEI(max_iterations=0, covariance=None))
    found = conditional_covariance(fit)
    for own, eta in zip(found, fit.individual_estimates.to_numpy(), strict=True):
        j = slopes(lambda e: on_scale(kind, predicted(e)), eta)
        residual = spread(kind, predicted(eta))
        expected = np.linalg.inv(j.T @ np.linalg.solve(residual, j) + np.linalg.inv(OMEGA))
        np.testing.assert_allclose(own, expected, rtol=1e-6)
        # without the correlation it would be another one
        alone = np.linalg.inv(j.T @ (j / np.diag(residual)[:, None]) + np.linalg.inv(OMEGA))
        assert np.abs(own / alone - 1).max() > 0.05
