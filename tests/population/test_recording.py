"""A fit that is interrupted keeps its best point, and goes on from a store to the same bits."""

from __future__ import annotations

import io
import pickle
import sys

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.population import recording
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
