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


def levels(subjects, noise, conc):
    """Three records about each subject's level: 10, 30 % between subjects."""
    rng = np.random.default_rng(1)
    rows = [
        dict(ID=i, TIME=t, EVID=0, DV=10.0 * np.exp(0.3 * b + noise * rng.normal()), CONC=conc)
        for i, b in enumerate(rng.normal(size=subjects), start=1)
        for t in (1.0, 2.0, 3.0)
    ]
    return pd.DataFrame(rows)


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
    fit = mixed.quietly(pkpd.fit, steep, pkpd.read_dataset(levels(20, 0.2, conc=1.0)), method)
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
    frame = levels(40, 0.1, conc=0.0)
    fit = mixed.quietly(pkpd.fit, silent, pkpd.read_dataset(frame), method)
    assert not fit.minimization_successful and "does not change with SLOPE" in fit.termination_cause
    assert fit.covariance_status == "failed: the data say nothing about SLOPE"
    assert fit.parameter_estimates["SLOPE"] == 1.0
    # the SD, which starts at 0.4, is that of an analysis of variance of the logarithms, but for the error's shape (its square)
    within = np.log(frame["DV"]).groupby(frame["ID"]).var().mean()
    assert fit.parameter_estimates["SD(SD)"] == pytest.approx(np.sqrt(within), rel=0.02)


@pkpd.model
def bolus(m):
    """One compartment; bioavailability between 0 and 1, which V and CL can make up for."""
    eta_cl, eta_v = m.etas("CL", "V", variance=[[0.2], [0.01, 0.2]])
    cl = m.parameter("CL", m.theta("CL", 3.0, lower=0) * exp(eta_cl))
    v = m.parameter("V", m.theta("V", 25.0, lower=0) * exp(eta_v))
    central = m.compartment("central", bioavailability=m.theta("F", 0.7, lower=0, upper=1))
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.2))


def concentrations(subjects, noise):
    """After a bolus of 100: CL 2 (30 %), V 20 (20 %), four records each."""
    rng, rows = np.random.default_rng(1), []
    for i in range(1, subjects + 1):
        cl, v = 2 * np.exp(0.3 * rng.normal()), 20 * np.exp(0.2 * rng.normal())
        rows.append(dict(ID=i, TIME=0.0, AMT=100.0, EVID=1, DV=np.nan))
        for t in (1.0, 4.0, 12.0, 24.0):
            rows.append(
                dict(ID=i, TIME=t, AMT=0.0, EVID=0, DV=100 / v * np.exp(-cl / v * t + noise * rng.normal()))
            )
    return pkpd.read_dataset(pd.DataFrame(rows))


@pytest.mark.parametrize(
    "method",
    [pkpd.FOCEI(), pkpd.FOCEI(covariance="R"), pkpd.IMP(max_iterations=40)],
    ids=["sandwich", "R", "IMP"],
)
def test_what_the_data_cannot_tell_apart_has_no_standard_errors(method):
    """R errs by 1e-6 where it is zero and S by 1e-16: the sandwich of both once gave F a standard error of 0.02 %."""
    fit = mixed.quietly(pkpd.fit, bolus, concentrations(30, 0.1), method)
    assert fit.covariance_status == "failed: the data cannot tell F, V, CL apart"
    assert fit.standard_errors.isna().all()
    assert any(w.startswith("W_COVARIANCE_R") for w in fit.warnings)


def test_a_theta_that_goes_to_its_bound_stays_a_number():
    """F is at most 1, and the data ask for more: on the unconstrained scale it goes to infinity."""
    model = bolus.replace(theta={"V": 20.0}).fix("V")
    fit = mixed.quietly(
        pkpd.fit, model, concentrations(30, 0.1), pkpd.SAEM(iterations=(100, 50), covariance=None)
    )
    best = mixed.quietly(pkpd.fit, model, concentrations(30, 0.1), pkpd.FOCEI(covariance=None))
    assert fit.parameter_estimates["F"] == pytest.approx(1.0, abs=1e-6)
    assert fit.parameter_estimates["CL"] == pytest.approx(best.parameter_estimates["CL"], rel=0.02)


@pytest.mark.parametrize(
    ("subjects", "noise", "words"),
    [
        (2, 0.1, "went to a correlation of 1"),
        (20, 1e-3, "annealing still held SD(PROP) when the exploration ended"),
    ],
)
def test_where_chains_are_held_is_no_success(subjects, noise, words):
    method = pkpd.SAEM(iterations=(100, 50), covariance=None)
    fit = mixed.quietly(pkpd.fit, bolus.fix("F"), concentrations(subjects, noise), method)
    assert not fit.minimization_successful and words in fit.termination_cause


def test_copies_of_one_subject_have_no_scores_and_r_alone():
    """At the optimum each copy's score is zero, and the sandwich would be; R is that of any data."""

    @pkpd.model
    def level(m):
        """A level, and the variance about it; between subjects it is known."""
        base = m.theta("BASE", 12.0) + m.eta("BASE", variance=0.5, fixed=True)
        m.observe("y", base, additive=m.sigma("SD", 0.5))

    values = 10.0 + 0.3 * np.random.default_rng(1).normal(size=4)
    rows = [dict(ID=i, TIME=float(t), EVID=0, DV=y) for i in range(1, 21) for t, y in enumerate(values)]
    fit = mixed.quietly(pkpd.fit, level, pkpd.read_dataset(pd.DataFrame(rows)), pkpd.FOCEI())
    assert fit.covariance_status == "R⁻¹"
    assert any(
        w.startswith("W_COVARIANCE_S: the subjects' scores have no component along") for w in fit.warnings
    )
    sd = fit.parameter_estimates["SD(SD)"]
    assert fit.standard_errors["BASE"] == pytest.approx(np.sqrt((0.5 + sd**2 / 4) / 20), rel=1e-3)
