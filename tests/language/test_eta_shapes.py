"""Box-Cox and t-distributed random effects: values, derivatives, limits, and a fit that finds a shape."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import sympy
from scipy import stats

import pkpd
from pkpd.language.symbols import Quantity

E, S = sympy.Dummy("eta", real=True), sympy.Dummy("shape", real=True)


def value(q, eta, shape, *derivatives):
    e = q._expression
    for z in derivatives:
        e = sympy.diff(e, z)
    return float(e.subs({E: eta, S: shape}).evalf())


@pytest.mark.parametrize("shape", [-0.8, -0.0101, -0.0099, -1e-7, 0.0, 1e-9, 0.0099, 0.0101, 0.5, 2.0])
@pytest.mark.parametrize("eta", [-2.5, -0.1, 0.0, 0.3, 3.0])
def test_boxcox_and_its_derivatives_at_any_shape(shape, eta):
    q = pkpd.boxcox(Quantity(E), Quantity(S))
    # the series of (exp(s·e) - 1)/s itself, far enough
    series = sum(S**k * E ** (k + 1) / sympy.factorial(k + 1) for k in range(40))
    for derivatives in ((), (E,), (S,), (E, E), (E, S)):
        expected = sympy.diff(series, *derivatives) if derivatives else series
        expected = float(expected.subs({E: sympy.Float(eta, 50), S: sympy.Float(shape, 50)}))
        assert value(q, eta, shape, *derivatives) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_heavy_tails_are_those_of_a_t_distribution():
    q = pkpd.heavy_tailed(Quantity(E), Quantity(S))
    for df, tolerance in ((5.0, 0.01), (10.0, 1e-3), (40.0, 5e-6)):  # the expansion ends at df⁻³
        for z in (-2.0, -0.5, 1.0, 2.0):
            assert value(q, z, df) == pytest.approx(stats.t.ppf(stats.norm.cdf(z), df), rel=tolerance)


def test_a_shape_is_found_by_a_fit():
    """200 subjects, many precise samples each: etas are seen almost directly, and so is their skewness."""

    def define(m):
        shape = m.theta("SHAPE", 0.05)
        base = m.parameter(
            "BASE", m.theta("BASE", 10.0, lower=0) * pkpd.exp(pkpd.boxcox(m.eta("BASE", variance=0.2), shape))
        )
        m.observe("y", base + 0 * m.time, proportional=m.sigma("SD", 0.1))

    model = pkpd.model(define)
    frame = pd.DataFrame(
        {"ID": np.repeat(np.arange(1, 201), 3), "TIME": np.tile([1.0, 2.0, 3.0], 200), "DV": 1.0}
    )
    frame["EVID"], frame["AMT"] = 0, 0.0
    truth = {"SHAPE": 0.8, "BASE": 12.0, "OMEGA(BASE,BASE)": 0.15, "SD(SD)": 0.05}
    with pytest.warns(pkpd.PkpdWarning):
        data = pkpd.read_dataset(frame, allow=["E_NO_DOSES"])
    frame["DV"] = pkpd.simulate(model, data, parameters=truth, seed=3)["DV"].to_numpy()
    with pytest.warns(pkpd.PkpdWarning):
        fit = pkpd.fit(model, pkpd.read_dataset(frame, allow=["E_NO_DOSES"]), pkpd.FOCEI(covariance="R"))
    assert fit.minimization_successful
    for name, expected in truth.items():
        assert abs(fit.parameter_estimates[name] - expected) < 3 * fit.standard_errors[name]
    assert fit.standard_errors["SHAPE"] < 0.25  # it tells 0.8 from 0
