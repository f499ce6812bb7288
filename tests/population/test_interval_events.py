"""Events that are known to lie between two records: against survival functions in closed form."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests.population.test_laplace import brute_force
from tests.population.test_objective import check_gradient
from tests.population.test_recovery import check

SCALE, SHAPE, VARIANCE, EFFECT = 20.0, 1.4, 0.3, 0.8


@pkpd.model
def progression(m):
    """Weibull hazard with a frailty; a drug whose concentration, from a bolus, lowers it."""
    k = m.theta("K", 0.2, fixed=True)
    scale = m.parameter("SCALE", m.theta("SCALE", SCALE, lower=0) * exp(m.eta("SCALE", variance=VARIANCE)))
    shape = m.theta("SHAPE", SHAPE, lower=0)
    central = m.compartment("central")
    m.ode(central, -k * central)
    h = shape / scale * ((m.time + 1e-9) / scale) ** (shape - 1) * exp(-m.theta("EFFECT", EFFECT) * central)
    m.hazard("pfs", h, interval_censored=True)


def cumulative(t, scale, dose):
    """∫ of the hazard by Gauss-Legendre, in the variable in which the Weibull part is linear."""
    nodes, weights = np.polynomial.legendre.leggauss(80)
    total = (t / scale) ** SHAPE
    s = scale * ((nodes + 1) / 2 * total) ** (1 / SHAPE)
    return total / 2 * np.sum(weights * np.exp(-EFFECT * dose * np.exp(-0.2 * s)))


def visits(n, seed, every=4.0, end=32.0):
    """Visits at jittered times; the event is seen at the first one after it."""
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        scale, dose = SCALE * math.exp(math.sqrt(VARIANCE) * rng.standard_normal()), 0.2 + 2.0 * (i % 2)
        rows.append((i + 1, 0.0, 1, dose, np.nan, 1))
        u = rng.exponential()
        for t in np.arange(every, end + 1, every) + rng.uniform(-1, 1, int(end / every)):
            happened = cumulative(t, scale, dose) > u
            rows.append((i + 1, t, 0, 0.0, float(happened), 0))
            if happened:
                break
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "MDV"])
    return frame


def test_an_interval_has_the_difference_of_survival():
    frame = visits(6, seed=3)
    found = pkpd.evaluate(progression, pkpd.read_dataset(frame), method=pkpd.AGQ(nodes=40))
    assert frame.DV.sum() >= 3
    for identity, own in frame.groupby("ID"):
        times, dose, event = own.TIME.to_numpy(), own.AMT.max(), own.DV.iloc[-1] == 1

        def phi(e, times=times, dose=dose, event=event):
            before, last = (cumulative(t, SCALE * np.exp(e[0]), dose) for t in times[-2:])
            return -2 * np.log(np.exp(-before) - np.exp(-last)) if event else 2 * last

        exact = brute_force(phi, np.array([[VARIANCE]]), points=401)
        assert found.individual_ofv[identity] == pytest.approx(exact, abs=1e-5)


def test_gradient():
    point = {"SCALE": 15.0, "SHAPE": 1.2, "EFFECT": 0.5}
    data = pkpd.read_dataset(visits(6, seed=3))
    check_gradient(progression, data, [point], step=1e-2, noise=1e-5, method=pkpd.Laplace())


def test_records_without_an_event_may_be_left_out():
    """Survival from one visit to the next multiplies, whatever the records in between."""
    frame = visits(6, seed=3)
    last = frame[(frame.EVID == 1) | (frame.DV == 1) | ~frame.duplicated("ID", keep="last")]
    free = frame.groupby("ID").DV.max() != 1
    values = [pkpd.evaluate(progression, pkpd.read_dataset(f), method=pkpd.Laplace()) for f in (frame, last)]
    kept, thinned = (v.individual_ofv[free[free].index] for v in values)
    np.testing.assert_allclose(kept, thinned, atol=1e-6)


@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
def test_what_was_simulated_is_recovered():
    """Taken as exact at the visit that saw them, the same events look half a visit later."""
    model = progression.replace(theta={"SCALE": 12.0, "SHAPE": 1.0, "EFFECT": 0.2}).fix("OMEGA(SCALE,SCALE)")
    fit = pkpd.fit(model, pkpd.read_dataset(visits(250, seed=8)), pkpd.Laplace(covariance="R"))
    check(fit, {"SCALE": SCALE, "SHAPE": SHAPE, "EFFECT": EFFECT})


def test_what_an_interval_cannot_say_is_refused():
    frame = visits(2, seed=3)
    frame.loc[frame.index[-1], "DV"] = 2.0
    with pytest.raises(pkpd.ModelError, match=r"E_HAZARD_DV.*ID 2, column DV, value 2"):
        pkpd.bind(progression, pkpd.read_dataset(frame))
    with pytest.raises(pkpd.ModelError, match=r"E_OFF_LINEAR.*interval-censored"):
        pkpd.bind(
            pkpd.model(lambda m: m.hazard("event", m.theta("H", 0.1, lower=0), interval_censored=True)),
            pkpd.read_dataset(visits(2, seed=3).query("EVID == 0")),
            pkpd.Solver("linear"),
        )
