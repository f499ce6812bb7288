"""The bootstrap against closed-form fits of the same draws; same bits in any executor; interruption and resumption."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.distributions import ParameterDistribution
from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.population import resampling
from pkpd.results import from_json, to_json
from tests import naive
from tests.population.intercept import dataset, intercept, measurements

N, SEED = 12, 3
pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")


@pytest.fixture(scope="module")
def fit():
    return pkpd.fit(intercept, dataset(measurements()), pkpd.FOCEI(covariance="R"))


@pytest.fixture(scope="module")
def boot(fit):
    return pkpd.bootstrap(fit, N, SEED)


def naive_bootstrap(y, groups):
    """Closed-form fits of the documented draws: within each group, integers from the stream of the replicate."""
    rows = []
    for k in range(N):
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([SEED, 0x424F, k])))
        chosen = np.concatenate([g[random.integers(len(g), size=len(g))] for g in groups])
        rows.append(naive.random_intercept_ml(y[chosen]))
    return np.array(rows)


def test_replicates_are_fits_of_the_draws(boot):
    y = measurements()
    expected = naive_bootstrap(y, [np.arange(9), np.arange(9, 14)])
    # fits stop where another step would gain 1e-8 of the OFV: 1e-4 of a standard error
    np.testing.assert_allclose(boot.replicates.to_numpy(), expected, rtol=2e-4)
    assert boot.stratified_by == "TUMOR" and boot.requested == N and boot.failures.empty
    np.testing.assert_allclose(boot.table["se"], expected.std(axis=0, ddof=1), rtol=1e-3)
    np.testing.assert_allclose(boot.table["lower"], np.quantile(expected, 0.025, axis=0), rtol=1e-3)
    np.testing.assert_allclose(boot.table["upper"], np.quantile(expected, 0.975, axis=0), rtol=1e-3)
    np.testing.assert_allclose(boot.bias, expected.mean(0) - naive.random_intercept_ml(y), atol=1e-3)


def test_without_strata_anybody_is_drawn(fit):
    one = pkpd.bootstrap(fit, 3, SEED, stratify=None)
    expected = naive_bootstrap(measurements(), [np.arange(14)])[:3]
    np.testing.assert_allclose(one.replicates.to_numpy(), expected, rtol=2e-4)
    assert one.stratified_by is None


def test_replicates_do_not_depend_on_executor_or_number(fit, boot):
    with ThreadPoolExecutor(2) as pool:
        threads = pkpd.bootstrap(fit, N, SEED, executor=pool)
    fewer = pkpd.bootstrap(fit, 4, SEED, executor=pkpd.processes(2))
    pd.testing.assert_frame_equal(threads.replicates, boot.replicates, check_exact=True)
    pd.testing.assert_frame_equal(threads.runs, boot.runs, check_exact=True)
    pd.testing.assert_frame_equal(fewer.replicates, boot.replicates.iloc[:4], check_exact=True)


def test_refits_by_sampling_have_random_numbers_of_their_own(monkeypatch):
    """All subjects in every draw: what differs between replicates is the Monte-Carlo error of each, which one seed would hide."""
    monkeypatch.setattr(resampling, "drawn_subjects", lambda strata, random: np.arange(len(strata)))
    method = pkpd.SAEM(iterations=(20, 20), samples=100, covariance=None)
    sampled = pkpd.fit(intercept, dataset(measurements()), method)
    found = pkpd.bootstrap(sampled, 3, SEED)
    assert (found.replicates.nunique() == 3).all()
    pd.testing.assert_frame_equal(pkpd.bootstrap(sampled, 2, SEED).replicates, found.replicates[:2])
    assert (pkpd.bootstrap(sampled, 3, SEED + 1).replicates != found.replicates).all(axis=None)


def test_an_interrupted_run_goes_on_from_the_store(fit, boot, tmp_path, monkeypatch):
    done = []
    whole_fit = resampling.refit

    def interrupted(*args, **kwargs):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(1)
        return whole_fit(*args, **kwargs)

    monkeypatch.setattr(resampling, "refit", interrupted)
    with pytest.warns(PkpdWarning, match=r"W_INTERRUPTED.*5 of 12"):
        part = pkpd.bootstrap(fit, N, SEED, store=tmp_path)
    assert len(part.replicates) == 5 and part.requested == N and len(part.failures) == N - 5
    done.clear()
    monkeypatch.setattr(resampling, "refit", lambda *a, **k: done.append(1) or whole_fit(*a, **k))
    complete = pkpd.bootstrap(fit, N, SEED, store=tmp_path)
    assert len(done) == N - 5
    assert to_json(complete) == to_json(boot)


def test_failures_are_listed(fit, monkeypatch):
    whole_fit = resampling.refit
    calls = []

    def failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 2:
            raise FitError("E_FIT_SUBJECT", "nothing for ID 3.", "")
        return whole_fit(*args, **kwargs)

    monkeypatch.setattr(resampling, "refit", failing)
    with pytest.warns(PkpdWarning, match="W_REPLICATES_FAILED: 1 of 4"):
        some = pkpd.bootstrap(fit, 4, SEED)
    assert list(some.replicates.index) == [0, 2, 3]
    assert some.failures.to_dict("records") == [
        {"replicate": 1, "reason": "E_FIT_SUBJECT: nothing for ID 3."}
    ]
    assert "1 replicates failed" in repr(some)


def test_a_factor_level_that_is_not_drawn_is_missing(monkeypatch):
    model = intercept.with_effect("BASE", "TUMOR", reference="a")
    y = measurements()[:11]  # two subjects of tumour b
    fitted = pkpd.fit(model, dataset(y), pkpd.FOCEI(covariance=None))
    loose = pkpd.bootstrap(fitted, 8, SEED, stratify=None)
    lacking = loose.replicates["BASE(TUMOR=b)"].isna()
    assert lacking.any() and not lacking.all()
    assert loose.replicates["BASE"].notna().all()
    with pytest.raises(FitError, match="E_BOOTSTRAP_INCOMPLETE"):
        loose.draw(3, 0)
    assert pkpd.bootstrap(fitted, 8, SEED).replicates.notna().all(axis=None)


def test_draws_are_replicates(boot):
    draws = boot.draw(50, 1)
    assert draws.shape == (50, 3)
    known = {tuple(r) for r in boot.replicates.to_numpy()}
    assert {tuple(r) for r in draws.to_numpy()} <= known
    pd.testing.assert_frame_equal(draws, boot.draw(50, 1))
    assert not draws.equals(boot.draw(50, 2))
    assert isinstance(boot, ParameterDistribution)


def test_json_round_trip(boot):
    assert to_json(from_json(to_json(boot))) == to_json(boot)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"n": 1}, "E_ARGUMENT"),
        ({"n": 2.5}, "E_ARGUMENT"),
        ({"level": 95}, "E_ARGUMENT"),
        ({"stratify": "SITE"}, "E_STRATIFY"),
        ({"executor": 2}, "E_EXECUTOR"),
    ],
)
def test_arguments_that_cannot_be_used_are_refused(fit, arguments, code):
    with pytest.raises(InputError, match=code):
        pkpd.bootstrap(fit, **{"n": 2, **arguments})
