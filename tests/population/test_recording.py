"""A fit that is interrupted keeps its best point, and goes on from a store to the same bits."""

from __future__ import annotations

import io
import pickle
import sys

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd._jit import set_threads, threads
from pkpd.population import checkpoint, recording, saem
from pkpd.population.objective import Objective
from pkpd.store import Store
from tests.population.intercept import dataset, intercept, measurements

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
TABLES = ("parameters", "covariance_matrix", "individual_estimates", "residuals", "iterations")


@pytest.fixture
def evaluations(monkeypatch):
    """Count evaluations of the objective; raise Ctrl-C at the one whose number is put in ``stop``."""
    state = {"count": 0, "stop": None}
    plain = Objective.at

    def counted(self, *args, **kwargs):
        state["count"] += 1
        if state["count"] == state["stop"]:
            raise KeyboardInterrupt
        return plain(self, *args, **kwargs)

    monkeypatch.setattr(Objective, "at", counted)
    return state


def same(a, b):
    assert a.ofv == b.ofv
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(a, name), getattr(b, name), check_exact=True)


@pytest.mark.parametrize(
    "method", [pkpd.FOCEI(starts=2), [pkpd.FOCE(), pkpd.FOCEI()]], ids=["starts", "chain"]
)
def test_an_interrupted_fit_goes_on_to_the_same_bits(evaluations, tmp_path, method, monkeypatch):
    monkeypatch.setattr(recording, "_SECONDS", 0.0)  # an entry per evaluation
    data = dataset(measurements())
    whole = pkpd.fit(intercept, data, method)
    needed = evaluations["count"]
    evaluations.update(count=0, stop=needed // 2)
    with pytest.raises(pkpd.FitInterrupted):
        pkpd.fit(intercept, data, method, store=tmp_path)
    evaluations.update(count=0, stop=None)
    same(pkpd.fit(intercept, data, method, store=tmp_path), whole)
    # an evaluation that comes again in the fit is read from what the first part kept
    assert 0 < evaluations["count"] <= needed - needed // 2 + 1
    evaluations["count"] = 0
    same(pkpd.fit(intercept, data, method, store=tmp_path), whole)
    assert evaluations["count"] == 0
    pkpd.fit(intercept, data, pkpd.FOCEI(tolerance=1e-6), store=tmp_path)
    assert evaluations["count"] > 0  # other settings are another fit


def test_an_interrupted_fit_hands_over_its_best_point(evaluations):
    data = dataset(measurements())
    start = pkpd.fit(intercept, data, pkpd.FOCEI(max_iterations=0, covariance=None)).ofv
    evaluations.update(count=0, stop=6)
    with pytest.raises(KeyboardInterrupt) as stopped:
        pkpd.fit(intercept, data)
    best = stopped.value.fit
    evaluations["stop"] = None
    assert best.ofv < start and not best.minimization_successful
    assert best.termination_cause == "interrupted after 5 evaluations of the objective"
    assert best.covariance_status.startswith("not reached") and best.parameters["se"].isna().all()
    assert best.ofv == pytest.approx(pkpd.evaluate(intercept, data, best.parameter_estimates).ofv, abs=1e-8)
    assert pickle.loads(pickle.dumps(stopped.value)).fit.ofv == best.ofv
    evaluations.update(count=0, stop=1)
    with pytest.raises(KeyboardInterrupt) as nothing:
        pkpd.fit(intercept, data)
    assert not isinstance(nothing.value, pkpd.FitInterrupted)


def test_evaluations_are_written_in_batches(tmp_path):
    data = dataset(measurements())
    fit = pkpd.fit(intercept, data, store=tmp_path)
    assert len(Store(tmp_path).keys()) == 1  # all within five seconds
    assert np.isfinite(fit.ofv)


def test_progress_is_a_line_on_a_terminal(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for out in (Terminal(), io.StringIO()):
        monkeypatch.setattr(sys, "stderr", out)
        monkeypatch.setattr("pkpd.parallel.time.monotonic", iter(np.arange(1e4)).__next__)
        pkpd.fit(intercept, dataset(measurements()), pkpd.FOCEI(covariance=None))
        assert ("FOCEI fit of intercept: iteration" in out.getvalue()) == out.isatty()


# ------------------------------------------------------------------------------------------------- methods that sample


@pytest.fixture
def stopping(monkeypatch):
    """Ctrl-C within the progress function, at the first call at or after an iteration."""

    def make(at):
        def progress(iteration, value):
            if iteration >= at:
                raise KeyboardInterrupt

        return progress

    monkeypatch.setattr(saem, "_CHUNK", 7)  # no divisor of the lengths below
    return make


SAMPLING = {
    "SAEM": (pkpd.SAEM(iterations=(30, 20), samples=100), 50),
    "IMP": (pkpd.IMP(max_iterations=25, samples=100), 25),
    "chain": ([pkpd.SAEM(iterations=(30, 20), samples=100), pkpd.FOCEI()], 50),
}


@pytest.mark.parametrize("name", SAMPLING)
@pytest.mark.parametrize("share", [0.0, 0.37, 0.81, 1.0])
def test_interrupted_sampling_goes_on_to_the_same_bits(tmp_path, name, share, stopping):
    method, count = SAMPLING[name]
    data = dataset(measurements())
    whole = pkpd.fit(intercept, data, method, seed=3)
    with pytest.raises(pkpd.FitInterrupted) as stopped:
        pkpd.fit(
            intercept, data, method, seed=3, store=tmp_path, progress=stopping(max(1, int(share * count)))
        )
    part = stopped.value.fit
    assert "interrupted after" in part.termination_cause and not part.minimization_successful
    assert len(part.iterations) >= max(1, int(share * count)) or name != "SAEM"
    seen = []
    again = pkpd.fit(intercept, data, method, seed=3, store=tmp_path, progress=lambda i, _: seen.append(i))
    same(again, whole)
    if name != "chain":
        assert not seen or seen[0] > len(part.iterations)  # it goes on, and does not begin anew
        assert again.conditional_means.equals(whole.conditional_means)
    same(pkpd.fit(intercept, data, method, seed=3, store=tmp_path), whole)


def test_a_process_that_was_killed_loses_what_is_younger_than_its_last_entry(tmp_path, monkeypatch):
    """An exception that is no Ctrl-C: nothing is written on the way out."""
    monkeypatch.setattr(checkpoint, "_SECONDS", 0.0)
    monkeypatch.setattr(saem, "_CHUNK", 7)
    method, data = pkpd.SAEM(iterations=(30, 20), samples=100), dataset(measurements())

    def killed(iteration, value):
        if iteration >= 20:
            raise SystemExit

    with pytest.raises(SystemExit):
        pkpd.fit(intercept, data, method, store=tmp_path, progress=killed)
    seen = []
    again = pkpd.fit(intercept, data, method, store=tmp_path, progress=lambda i, _: seen.append(i))
    assert min(seen) > 20
    same(again, pkpd.fit(intercept, data, method))


def test_a_thread_count_may_change_at_a_resume(tmp_path, stopping):
    before = threads()
    method, data = pkpd.SAEM(iterations=(30, 20), samples=100), dataset(measurements())
    try:
        set_threads(1)
        whole = pkpd.fit(intercept, data, method)
        with pytest.raises(pkpd.FitInterrupted):
            pkpd.fit(intercept, data, method, store=tmp_path, progress=stopping(25))
        set_threads(2)
        same(pkpd.fit(intercept, data, method, store=tmp_path), whole)
    finally:
        set_threads(before)


def test_an_interrupted_sampling_fit_hands_over_its_last_point(stopping):
    data = dataset(measurements())
    with pytest.raises(pkpd.FitInterrupted) as stopped:
        pkpd.fit(intercept, data, pkpd.SAEM(), progress=stopping(60))
    fit = stopped.value.fit
    assert fit.covariance_status.startswith("not reached") and fit.parameters["se"].isna().all()
    last = fit.iterations.iloc[-1][fit.parameter_estimates.index]
    np.testing.assert_array_equal(last.to_numpy(float), fit.parameter_estimates.to_numpy())
    assert fit.ofv == pytest.approx(pkpd.evaluate(intercept, data, fit.parameter_estimates).ofv, abs=1e-8)
    assert pickle.loads(pickle.dumps(stopped.value)).fit.ofv == fit.ofv


def test_sampling_says_how_long_it_will_take(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stderr", out)
    monkeypatch.setattr("pkpd.parallel.time.monotonic", iter(np.arange(1e4)).__next__)
    pkpd.fit(intercept, dataset(measurements()), pkpd.SAEM(iterations=(60, 40), samples=100))
    assert "SAEM fit of intercept: iteration 100 of 100, -2LL given the draws" in out.getvalue()
    assert " s left" in out.getvalue()
