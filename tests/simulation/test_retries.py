"""Subjects whose equations the explicit method cannot solve, or not at the given tolerance: solved otherwise, and told."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.errors import FitError, PkpdWarning
from pkpd.language import Solver

TIMES = [0.001, 0.1, 10.0]


@pkpd.model
def quenched(m):
    """The rate is enormous at first, that of a large dose so large that explicit steps are lost."""
    k = m.parameter("K", m.theta("K", 50.0, lower=0) * pkpd.exp(m.eta("K", variance=0.01)))
    x = m.compartment("x")
    m.ode(x, -k * pkpd.exp(x / 10) * x)
    m.observe("y", x, additive=m.sigma("SD", 0.1))


def frame(*amounts):
    rows = []
    for i, amount in enumerate(amounts):
        rows.append(dict(ID=i + 1, TIME=0.0, AMT=amount, EVID=1, DV=np.nan))
        rows += [dict(ID=i + 1, TIME=t, AMT=0.0, EVID=0, DV=1.0) for t in TIMES]
    return pkpd.read_dataset(pd.DataFrame(rows))


def told(work):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PkpdWarning)
        found = work()
    return found, [str(w.message) for w in caught if "W_SOLVER_RETRIED" in str(w.message)]


def test_a_second_method_and_looser_tolerances_are_told():
    data = frame(1.0, 30.0)
    solvers = {kind: Solver(kind, atol=1e-10, max_steps=75) for kind in ("auto", "stiff")}
    exact = pkpd.predict(quenched, data, solver=Solver("stiff", 1e-12, 1e-14))["PRED"]
    found, words = told(lambda: pkpd.predict(quenched, data, solver=solvers["auto"]))
    assert words == [
        "W_SOLVER_RETRIED: the first solver failed on the equations of 2 subject(s); they were solved "
        "by the implicit method (ID 1, 2)."
    ]
    np.testing.assert_allclose(found["PRED"], exact, rtol=1e-7, atol=1e-9)
    found, words = told(lambda: pkpd.predict(quenched, data, solver=solvers["stiff"]))
    assert words == [
        "W_SOLVER_RETRIED: the first solver failed on the equations of 1 subject(s); they were solved "
        "only with tolerances 1000 times as large (ID 2)."
    ]
    np.testing.assert_allclose(found["PRED"], exact, rtol=1e-4, atol=1e-6)
    assert not told(lambda: pkpd.predict(quenched, data))[1]
    with pytest.raises(
        FitError, match=r"no prediction for 1 subject\(s\) \(ID 2\): the ODE needs more steps"
    ):
        pkpd.predict(quenched, data, solver=Solver(atol=1e-10, max_steps=20))


def test_simulations_and_fits_tell_too():
    few = Solver(max_steps=75)
    found, words = told(
        lambda: pkpd.simulate(quenched, pkpd.dose(30.0), TIMES, n=3, residual_error=False, solver=few)
    )
    assert len(words) == 1 and "by the implicit method (ID 1, 2, 3)" in words[0]
    assert np.isfinite(found["IPRED"]).all()
    method = pkpd.FOCEI(covariance=None, max_iterations=1, solver=few)
    fit, words = told(lambda: pkpd.fit(quenched, frame(1.0, 30.0), method))
    assert words == [w for w in fit.warnings if w.startswith("W_SOLVER_RETRIED")] and len(words) == 1
