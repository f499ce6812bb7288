"""How well a subject's data determine its etas, where residual errors are correlated."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
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


def test_with_a_likelihood_of_its_own_it_is_what_the_fit_found():
    """Two measurements and a count of one subject, log-linear in its eta: the Hessian by hand. Limits had been NaN."""

    @pkpd.model
    def both(m):
        level = m.parameter("LEVEL", m.theta("LEVEL", 1.0) + m.eta("LEVEL", variance=0.5))
        m.observe("y", level, additive=m.sigma("ADD", 0.8))
        m.likelihood("count", 2 * (pkpd.exp(level) - m.dv * level))

    frame = pd.DataFrame(
        {"ID": 1, "TIME": [0.0, 1.0, 2.0], "EVID": 0, "DVID": [1, 1, 2], "DV": [1.2, 0.9, 4.0]}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        data = pkpd.read_dataset(frame)
        fit = pkpd.fit(both, data, pkpd.Laplace(max_iterations=0, covariance=None))
    eta = fit.individual_estimates.iloc[0, 0]
    expected = 1 / (2 / 0.8**2 + np.exp(1 + eta) + 1 / 0.5)
    np.testing.assert_allclose(conditional_covariance(fit), [[[expected]]], rtol=1e-8)
