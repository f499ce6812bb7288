"""SAEM and IMP where the records say little or nothing of a theta: a Hill coefficient that no random effect carries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests.population import mixed

TRUTH = {
    "CL": 2.0, "V": 20.0, "BASE": 10.0, "KOUT": 0.15, "EMAX": 3.0, "EC50": 1.5, "HILL": 2.0, "OMEGA(CL,CL)": 0.09,
    "OMEGA(V,V)": 0.09, "OMEGA(BASE,BASE)": 0.04, "OMEGA(EC50,EC50)": 0.09, "SD(PK)": 0.1, "SD(PD)": 0.1,
}  # fmt: skip


@pkpd.model
def turnover(m):
    """A concentration that stimulates the production of a response, by a sigmoid Emax."""
    cl = m.parameter("CL", m.theta("CL", 2.5, lower=0) * exp(m.eta("CL", variance=0.2)))
    v = m.parameter("V", m.theta("V", 25.0, lower=0) * exp(m.eta("V", variance=0.2)))
    base = m.parameter("BASE", m.theta("BASE", 13.0, lower=0) * exp(m.eta("BASE", variance=0.1)))
    kout, emax = m.theta("KOUT", 0.2, lower=0), m.theta("EMAX", 2.5, lower=0)
    ec50 = m.parameter("EC50", m.theta("EC50", 1.2, lower=0) * exp(m.eta("EC50", variance=0.2)))
    central, response = m.compartment("central"), m.compartment("response", initial=base)
    c = central / v
    effect = (c / ec50) ** m.theta("HILL", 1.5, lower=0)
    m.ode(central, -cl * c)
    m.ode(response, kout * (base * (1 + emax * effect / (1 + effect)) - response))
    m.observe("cp", c, proportional=m.sigma("PK", 0.2))
    m.observe("response", response, proportional=m.sigma("PD", 0.2))


def trial(seed):
    """12 subjects at each of four doses."""
    rows = []
    for i in range(48):
        rows.append(
            dict(ID=i + 1, TIME=0.0, AMT=(5.0, 15.0, 50.0, 150.0)[i // 12], EVID=1, DV=np.nan, DVID=1)
        )
        rows += [dict(ID=i + 1, TIME=t, AMT=0.0, EVID=0, DV=1.0, DVID=1) for t in (0.5, 4.0, 12.0, 24.0)]
        rows += [
            dict(ID=i + 1, TIME=t, AMT=0.0, EVID=0, DV=1.0, DVID=2) for t in (2.0, 6.0, 12.0, 24.0, 48.0)
        ]
    frame = pd.DataFrame(rows).sort_values(
        ["ID", "TIME", "EVID"], ascending=[True, True, False], ignore_index=True
    )
    drawn = pkpd.simulate(turnover, pkpd.read_dataset(frame), seed=seed, parameters=TRUTH)
    frame.loc[frame["EVID"] == 0, "DV"] = drawn["DV"].to_numpy()
    return pkpd.read_dataset(frame)


@pytest.mark.parametrize("seed", [1, 8, 12])
def test_the_noise_of_the_exploration_carries_no_theta_away(seed):
    """While annealing keeps the residual SDs large a single chain says little of HILL; from 20 on nothing would bring it back."""
    method = pkpd.SAEM(iterations=(100, 10), chains=1, covariance=None, samples=100)
    fit = mixed.quietly(pkpd.fit, turnover, trial(seed), method, seed=seed)
    assert fit.iterations["HILL"].max() < 5.0


@pkpd.model
def steep(m):
    """An effect whose value is finite and whose derivative is not: a ratio of 100 to the power 100."""
    base = m.parameter("BASE", m.theta("BASE", 10.0, lower=0) * exp(m.eta("BASE", variance=0.1)))
    effect = (m.covariate("CONC") / 0.01) ** m.theta("HILL", 100.0, lower=0)
    m.observe("response", base * effect / (1 + effect), proportional=m.sigma("SD", 0.2))


@pytest.mark.parametrize(
    "method",
    [pkpd.SAEM(iterations=(30, 20), samples=100), pkpd.IMP(max_iterations=40, samples=100)],
    ids=lambda m: m.kind,
)
def test_scores_that_are_not_finite_are_no_success_and_lose_no_fit(method):
    rng = np.random.default_rng(1)
    rows = [
        dict(ID=i, TIME=t, EVID=0, DV=10.0 * np.exp(0.3 * b + 0.2 * rng.normal()), CONC=1.0)
        for i, b in enumerate(rng.normal(size=20), start=1)
        for t in (1.0, 2.0, 3.0)
    ]
    fit = mixed.quietly(pkpd.fit, steep, pkpd.read_dataset(pd.DataFrame(rows)), method)
    assert not fit.minimization_successful
    assert (
        "the derivatives of the records of ID 1, 2, 3, 4, 5, 6, 7, 8 … to HILL are not finite"
        in fit.termination_cause
    )
    assert fit.covariance_status != "observed information (Louis)"
    assert np.isfinite(fit.ofv) and fit.parameter_estimates["HILL"] == 100.0
    assert fit.parameter_estimates["BASE"] == pytest.approx(10.0, rel=0.15)


@pkpd.model
def silent(m):
    """A slope on a covariate that is zero throughout."""
    base = m.parameter("BASE", m.theta("BASE", 12.0, lower=0) * exp(m.eta("BASE", variance=0.2)))
    m.observe("response", base + m.theta("SLOPE", 1.0) * m.covariate("CONC"), proportional=m.sigma("SD", 0.4))


@pytest.mark.parametrize(
    "method", [pkpd.SAEM(iterations=(150, 50)), pkpd.IMP(), pkpd.FOCEI()], ids=lambda m: m.kind
)
def test_a_theta_of_which_the_records_say_nothing_stands_still_and_holds_up_no_other(method):
    rng = np.random.default_rng(1)
    rows = [
        dict(ID=i, TIME=t, EVID=0, DV=10.0 * np.exp(0.3 * b + 0.1 * rng.normal()), CONC=0.0)
        for i, b in enumerate(rng.normal(size=40), start=1)
        for t in (1.0, 2.0, 3.0)
    ]
    fit = mixed.quietly(pkpd.fit, silent, pkpd.read_dataset(pd.DataFrame(rows)), method)
    assert not fit.minimization_successful and "does not change with SLOPE" in fit.termination_cause
    assert fit.covariance_status == "failed: the data say nothing about SLOPE"
    assert fit.parameter_estimates["SLOPE"] == 1.0
    # without the slope FOCEI gives 0.0958 for the SD; from 0.4 on it must have moved
    assert fit.parameter_estimates["SD(SD)"] == pytest.approx(0.0958, rel=0.02)
