"""VPC against a slow twin and closed forms: bins, prediction correction, values below the limit, strata."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pkpd
from pkpd.errors import InputError, PkpdWarning
from pkpd.population.predictive_check import ordered_quantile
from pkpd.results import from_json, to_json
from tests.population.intercept import dataset, measurements
from tests.population.test_prediction_errors import MU, SD, VARIANCE, at_truth, simulated_table

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def theophylline():
    return pkpd.fit(
        pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"), pkpd.FOCEI(covariance=None)
    )


def test_quantiles_with_values_too_low_to_be_known():
    random = np.random.default_rng(0)
    values = random.normal(size=(5, 17))
    for q in (0.05, 0.31, 0.5, 0.95):
        np.testing.assert_allclose(ordered_quantile(values, q), np.quantile(values, q, axis=1), rtol=1e-13)
    np.testing.assert_allclose(
        ordered_quantile(values[:1], np.array([0.1, 0.9])), np.quantile(values[0], [0.1, 0.9]), rtol=1e-13
    )
    hidden = np.array([[-np.inf, -np.inf, 1.0, 2.0, 3.0]])
    assert [float(ordered_quantile(hidden, q)[0]) for q in (0.2, 0.4, 0.5, 0.75)] == [
        -np.inf,
        -np.inf,
        1.0,
        2.0,
    ]


def naive_bands(fit, n, seed, edges, levels):
    """Record by record from the definition."""
    sims = pkpd.simulate(fit.model, fit.data, replicates=n, seed=seed, parameters=fit.parameter_estimates)
    observed = fit.residuals
    rows = []
    for low, high in itertools.pairwise(edges):
        last = high == edges[-1]
        inside = (observed["TIME"] >= low) & ((observed["TIME"] < high) | (last & (observed["TIME"] == high)))
        inside &= observed["DV"].notna()
        part = [rep["DV"].to_numpy()[inside.to_numpy()] for _, rep in sims.groupby("REP")]
        for q in levels:
            over = [np.quantile(p, q) for p in part]
            rows.append([np.quantile(observed["DV"][inside], q), *np.quantile(over, [0.05, 0.5, 0.95])])
    return np.array(rows)


def test_against_the_definition(theophylline):
    edges, levels = [0.0, 1.0, 4.0, 8.0, 26.0], (0.1, 0.5, 0.9)
    found = pkpd.vpc(theophylline, 60, seed=3, bins=edges, quantiles=levels, level=0.9)
    expected = naive_bands(theophylline, 60, 3, edges, levels)
    np.testing.assert_allclose(found.bands[["observed", "lower", "median", "upper"]], expected, rtol=1e-12)
    assert list(found.bands["bin"]) == [k for k in (1, 2, 3, 4) for _ in levels]
    assert found.bands["n"].iloc[::3].sum() == theophylline.n_observations == len(found.points)
    assert found.censored.empty and found.stratified_by is None and found.binning == "4 given bins"


def test_binning_rules(theophylline):
    by_quantiles = pkpd.vpc(theophylline, 2, bins="quantiles")
    counts = by_quantiles.bands.groupby("bin")["n"].first()
    assert by_quantiles.binning == "10 bins by quantiles" and counts.sum() == 132
    assert counts.between(8, 20).all()
    assert (
        by_quantiles.bands["x"].between(by_quantiles.bands["x_lower"], by_quantiles.bands["x_upper"])
    ).all()
    assert pkpd.vpc(theophylline, 2).binning == by_quantiles.binning  # more than ten distinct times
    every = pkpd.vpc(theophylline, 2, bins="unique")
    times = theophylline.predictions["TIME"]
    np.testing.assert_array_equal(every.bands["x"][::3], np.unique(times))
    np.testing.assert_array_equal(every.bands["n"][::3], np.unique(times, return_counts=True)[1])
    assert pkpd.vpc(at_truth(measurements()), 2, stratify=None).binning == "one bin per distinct time"


def test_strata_are_compared_each_by_itself():
    y = measurements()
    fit = at_truth(y)
    both = pkpd.vpc(fit, 40, seed=1)
    assert list(dict.fromkeys(both.bands["stratum"])) == ["a", "b"] and both.stratified_by == "TUMOR"
    median = both.bands[both.bands["quantile"] == 0.5]
    np.testing.assert_allclose(median["observed"], [*np.median(y[:9], axis=0), *np.median(y[9:], axis=0)])
    assert list(median["n"]) == [9] * 3 + [5] * 3
    assert pkpd.vpc(fit, 2, stratify=None).bands["stratum"].unique().tolist() == ["all"]


def test_under_the_model_the_bands_hold():
    fit = at_truth(simulated_table(150, 4, 21))
    found = pkpd.vpc(fit, 300, seed=5, stratify=None)
    middle = found.bands[found.bands["quantile"] == 0.5]
    se = np.sqrt(np.pi / 2 * (VARIANCE + SD**2) / 150)  # of a median of independent normal values
    np.testing.assert_allclose(middle["upper"] - middle["lower"], 2 * 1.96 * se, rtol=0.2)
    np.testing.assert_allclose(middle["median"], MU, atol=0.07)
    assert found.outside <= 2 / 12
    assert pkpd.vpc(at_truth(simulated_table(150, 4, 21), variance=4.0), 100, stratify=None).outside > 0.5


def test_prediction_correction_takes_away_what_the_dose_brings():
    """Theophylline doses differ: scaled values are those of the median prediction in the bin."""
    fit = pkpd.fit(
        pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline"), pkpd.FOCEI(covariance=None)
    )
    edges = [0.0, 1.0, 4.0, 8.0, 26.0]
    with pytest.warns(PkpdWarning, match="W_VPC_EXCLUDED: 12 records"):  # PRED is 0 before the dose
        found = pkpd.vpc(fit, 50, seed=3, bins=edges, prediction_corrected=True)
    table = fit.predictions.assign(DV=fit.residuals["DV"])
    table = table[table["PRED"] > 0]
    expected = []
    for low, high in itertools.pairwise(edges):
        part = table[(table["TIME"] >= low) & ((table["TIME"] < high) | (high == edges[-1]))]
        expected.append(np.median(part["DV"] * part["PRED"].median() / part["PRED"]))
    middle = found.bands[found.bands["quantile"] == 0.5]
    np.testing.assert_allclose(middle["observed"], expected, rtol=1e-12)
    assert found.excluded == 12 and found.prediction_corrected and len(found.points) == 120
    plain = pkpd.vpc(fit, 50, seed=3, bins=edges)
    width = [
        (b[b["quantile"] == 0.95]["median"].to_numpy() - b[b["quantile"] == 0.05]["median"].to_numpy())[1:]
        for b in (found.bands, plain.bands)
    ]
    assert (width[0] < width[1]).all()


def test_values_below_the_limit():
    limit = 5.2
    y = simulated_table(150, 3, 22)
    found = pkpd.vpc(at_truth(y, limit), 200, seed=6, stratify=None)
    share = stats.norm.cdf((limit - MU) / np.sqrt(VARIANCE + SD**2))
    np.testing.assert_allclose(found.censored["observed"], (y < limit).mean(axis=0))
    np.testing.assert_allclose(found.censored["median"], share, atol=0.02)
    se = np.sqrt(share * (1 - share) / 150)
    np.testing.assert_allclose(found.censored["upper"] - found.censored["lower"], 2 * 1.96 * se, rtol=0.25)
    low, middle = (found.bands[found.bands["quantile"] == q] for q in (0.05, 0.5))
    assert low[["observed", "lower", "median", "upper"]].isna().all(axis=None)
    np.testing.assert_allclose(middle["observed"], np.median(y, axis=0))
    np.testing.assert_allclose(middle["median"], MU, atol=0.07)
    assert found.points["y"].isna().sum() == (y < limit).sum()


def test_time_after_dose_and_json(theophylline):
    found = pkpd.vpc(theophylline, 3, x="TAD", bins=[0, 2, 30])
    assert found.x == "TAD" and len(found.points) <= 132
    assert to_json(from_json(to_json(found))) == to_json(found)
    assert isinstance(found.to_frame(), pd.DataFrame) and "VPC over TAD" in repr(found)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n": 1},
        {"x": "DAY"},
        {"bins": "deciles"},
        {"bins": [0, 5]},
        {"bins": [5, 0]},
        {"quantiles": [5, 95]},
        {"level": 90},
        {"endpoint": 2},
        {"stratify": "SITE"},
    ],
)
def test_arguments_that_cannot_be_used_are_refused(theophylline, arguments):
    with pytest.raises(InputError, match=r"E_ARGUMENT|E_VPC_EMPTY|E_STRATIFY"):
        pkpd.vpc(theophylline, **{"n": 2, **arguments})


@pkpd.model
def events(m):
    p = pkpd.expit(m.theta("LOGIT", 0.2) + m.eta("LOGIT", variance=0.5))
    m.likelihood("event", -2 * pkpd.where(m.dv == 1, pkpd.log(p), pkpd.log(1 - p)))


def test_an_endpoint_that_is_a_likelihood_is_refused():
    fit = pkpd.fit(
        events, dataset((measurements() > 6).astype(float)), pkpd.Laplace(max_iterations=0, covariance=None)
    )
    for check in (pkpd.vpc, pkpd.npde):
        with pytest.raises(InputError, match="E_SIMULATED_ENDPOINT"):
            check(fit, 5)
