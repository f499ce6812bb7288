"""NPDE against a slow twin, against the closed form of a Gaussian model, and its calibration, with censored values too."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy import stats

import pkpd
from pkpd.errors import InputError
from pkpd.results import from_json, to_json
from tests.population.intercept import dataset, intercept, measurements

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
MU, VARIANCE, SD = 6.0, 1.4, 0.7


def at_truth(y, limit=None, **changes):
    """A fit that stays where it starts: at the parameters that made the data, unless they are changed."""
    model = intercept.replace(
        theta={"BASE": changes.get("mu", MU)},
        omega={"BASE": changes.get("variance", VARIANCE)},
        sigma={"ADD": changes.get("sd", SD)},
    )
    method = pkpd.FOCEI(max_iterations=0, covariance=None, blq="M1")
    return pkpd.fit(model, dataset(y, limit), method)


def simulated_table(subjects, times, seed):
    random = np.random.default_rng(seed)
    return MU + random.normal(0, np.sqrt(VARIANCE), (subjects, 1)) + random.normal(0, SD, (subjects, times))


def naive_npde(y, simulated):
    """Value by value, from the definition, for one subject."""
    n, m = simulated.shape
    centre = [sum(simulated[k][j] for k in range(n)) / n for j in range(m)]
    v = np.zeros((m, m))
    for k in range(n):
        d = simulated[k] - centre
        v += np.outer(d, d) / (n - 1)
    inverse = np.linalg.inv(np.linalg.cholesky(v))
    star = inverse @ (y - centre)
    stars = np.array([inverse @ (simulated[k] - centre) for k in range(n)])
    share = [sum(stars[k, j] < star[j] for k in range(n)) / n for j in range(m)]
    return stats.norm.ppf([min(max(p, 0.5 / n), 1 - 0.5 / n) for p in share])


def test_against_the_definition():
    fit = at_truth(measurements())
    found = pkpd.npde(fit, 150, seed=2)
    sims = pkpd.simulate(fit.model, fit.data, replicates=150, seed=2, parameters=fit.parameter_estimates)
    values = sims["DV"].to_numpy().reshape(150, -1)
    for i, label in enumerate(fit.data.subjects):
        rows = slice(3 * i, 3 * i + 3)
        expected = naive_npde(found.table["DV"].to_numpy()[rows], values[:, rows])
        here = found.table["ID"] == label
        np.testing.assert_allclose(found.table.loc[here, "NPDE"], expected, atol=1e-12)
        share = (values[:, rows] < found.table["DV"].to_numpy()[rows]).mean(axis=0)
        np.testing.assert_allclose(
            found.table.loc[here, "NPD"], stats.norm.ppf(np.clip(share, 0.5 / 150, 1 - 0.5 / 150))
        )


def test_against_the_closed_form_of_a_gaussian_model():
    """Cholesky-decorrelated deviations from the true mean and covariance: what many simulations tend to."""
    y = measurements()
    found = pkpd.npde(at_truth(y), 3000, seed=1).table
    covariance = VARIANCE * np.ones((3, 3)) + SD**2 * np.eye(3)
    exact = np.linalg.solve(np.linalg.cholesky(covariance), (y - MU).T).T.ravel()
    inner = np.abs(exact) < 2  # in the tails few simulations lie beyond
    # Monte Carlo error of the share, of mean and of covariance: some 1/√3000 of a normal deviate, 4 of them
    np.testing.assert_allclose(found["NPDE"][inner], exact[inner], atol=0.15)
    marginal = (y.ravel() - MU) / np.sqrt(VARIANCE + SD**2)
    np.testing.assert_allclose(found["NPD"][np.abs(marginal) < 2], marginal[np.abs(marginal) < 2], atol=0.12)


@pytest.fixture(scope="module")
def calibrated():
    return pkpd.npde(at_truth(simulated_table(120, 4, 11)), 400, seed=3)


def test_under_the_model_they_are_independent_standard_normals(calibrated):
    z = calibrated.table["NPDE"].to_numpy().reshape(120, 4)
    assert stats.kstest(z.ravel(), "norm").pvalue > 0.01
    off = np.corrcoef(z, rowvar=False)[np.triu_indices(4, 1)]
    assert np.abs(off).max() < 4 / np.sqrt(120)
    raw = np.corrcoef(calibrated.table["NPD"].to_numpy().reshape(120, 4), rowvar=False)
    assert raw[np.triu_indices(4, 1)].min() > 0.5  # not decorrelated: the intercept is shared
    tests = calibrated.tests
    assert list(tests.index) == ["all", "a", "b"] and tests.loc["all", "n"] == 480
    assert (tests["p_global"] > 0.01).all()
    assert tests.loc["all", "mean"] == pytest.approx(z.mean()) and tests.loc[
        "all", "variance"
    ] == pytest.approx(z.var(ddof=1))


@pytest.mark.parametrize("wrong", [{"mu": 7.0}, {"variance": 0.5}, {"sd": 1.2}])
def test_a_wrong_model_is_seen(wrong):
    found = pkpd.npde(at_truth(simulated_table(100, 4, 12), **wrong), 200, seed=3)
    assert found.tests.loc["all", "p_global"] < 1e-3


def test_censored_values_are_imputed_from_below_their_limit():
    y = simulated_table(120, 4, 13)
    limit = 5.2
    found = pkpd.npde(at_truth(y, limit), 400, seed=4)
    censored = found.table["CENSORED"].to_numpy()
    np.testing.assert_array_equal(censored, y.ravel() < limit)
    assert 0.2 < censored.mean() < 0.4
    assert (found.table["DV"][censored] < limit).all() and found.table["DV"][censored].nunique() > 60
    np.testing.assert_array_equal(found.table["DV"][~censored], y.ravel()[~censored])
    assert (
        stats.kstest(found.table["NPD"][::4], "norm").pvalue > 0.01
    )  # one per subject: these are independent
    assert found.tests.loc["all", "mean"] == pytest.approx(0, abs=0.12)
    assert found.tests.loc["all", "variance"] == pytest.approx(1, abs=0.15)
    # as if nothing were known of the limit, the values at it would be far off
    assert "censored and imputed" in repr(found)


def test_same_bits_in_threads(calibrated):
    fit = at_truth(measurements())
    serial = pkpd.npde(fit, 60, seed=3)
    with ThreadPoolExecutor(2) as pool:
        assert to_json(pkpd.npde(fit, 60, seed=3, executor=pool)) == to_json(serial)
    assert to_json(from_json(to_json(serial))) == to_json(serial)
    assert not serial.table["NPDE"].equals(pkpd.npde(fit, 60, seed=4).table["NPDE"])


def test_too_few_simulations_are_refused():
    with pytest.raises(InputError, match="E_ARGUMENT"):
        pkpd.npde(at_truth(measurements()), 3)
