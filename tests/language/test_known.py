"""What data alone determine is a number to the stepper, not a slot: the closed form, where it is one, says the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp


@pkpd.model
def given(m):
    """Oral; volume, clearance and a scale come with the data, absorption and a share are estimated."""
    volume, clearance, scale = m.covariate("VI"), m.covariate("CLI"), m.covariate("S")
    rate = m.parameter("K", clearance / volume + abs(scale) / 50)
    ka = m.parameter("KA", m.theta("KA", 1.2, lower=0) * exp(m.eta("KA", variance=0.1)))
    share = m.parameter("F", m.theta("F", 0.8, lower=0) * exp(m.eta("F", variance=0.1)))
    depot, central = m.compartment("depot"), m.compartment("central", bioavailability=clearance / 5)
    m.ode(depot, -ka * depot)
    m.ode(central, share * ka * depot - rate * central)
    m.observe("cp", central / volume, proportional=m.sigma("PROP", 0.2))


@pytest.fixture
def frame():
    rows = []
    for i, (v, cl) in enumerate([(10.0, 2.0), (20.0, 3.0), (15.0, 1.0)], start=1):
        rows.append((i, 0.0, 1, 100.0, 12.0, 1, 1, np.nan, v, cl, -1.0))
        rows.append((i, 1.0, 1, 50.0, 0.0, 0, 2, np.nan, v, cl, -1.0))
        rows += [(i, t, 0, 0.0, 0.0, 0, 1, 3.0 + i / t, v, cl, -1.0) for t in (1.0, 3.0, 8.0, 20.0)]
    return pd.DataFrame(
        rows, columns=["ID", "TIME", "EVID", "AMT", "II", "SS", "CMT", "DV", "VI", "CLI", "S"]
    )


@pytest.mark.parametrize("varies", [False, True])
def test_closed_form_agrees(frame, varies):
    if varies:
        # S becomes an input of its own, beside the numbers that stay
        frame.loc[frame["TIME"] > 3, "S"] = -2.0
    frame["SS"] = frame["SS"].where(frame["II"] > 0, 0)
    data = pkpd.read_dataset(frame)
    ode, linear = (pkpd.bind(given, data, pkpd.Solver(kind)) for kind in ("ode", "linear"))
    assert len(linear.structure.slots) > len(ode.structure.slots)
    # the bioavailability is a slot, although it is known: events read it
    assert {str(e) for e in ode.structure.slots} == {"_KA", "_F*_KA", "_CLI/5"}
    a, b = (
        pkpd.evaluate(given, data, method=pkpd.FOCEI(solver=pkpd.Solver(kind))) for kind in ("ode", "linear")
    )
    # the solver's tolerance is 1e-9
    assert a.ofv == pytest.approx(b.ofv, rel=1e-8)
    np.testing.assert_allclose(a.gradient, b.gradient, rtol=1e-6, atol=1e-6)


def test_new_records_have_the_numbers_of_their_subject(frame):
    """Simulation gives a bound problem other doses and times."""
    regimen = pkpd.dose(100.0, every=12.0, until=36.0, compartment="depot")
    a, b = (
        pkpd.simulate(
            given,
            regimen,
            covariates=frame.drop_duplicates("ID")[["VI", "CLI", "S"]].reset_index(drop=True),
            times=[1.0, 40.0],
            seed=1,
            solver=pkpd.Solver(kind),
        )
        for kind in ("ode", "linear")
    )
    np.testing.assert_allclose(a["IPRED"], b["IPRED"], rtol=1e-7)
