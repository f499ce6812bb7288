"""What population fits are timed on, beside the shipped data: data of a stated shape, simulated from a stated truth.

The shapes are those of the published comparisons of estimation programs: whoever has the original data can bind these models to
them. Every problem starts off the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import pkpd
from pkpd import exp


@dataclass(frozen=True)
class Row:
    """A row of the table of times: a problem of this file or a shipped data set, and how it is fitted; the aim in seconds."""

    problem: str
    method: Any
    aim: float
    model: Any = None

    def load(self) -> tuple[Any, Any]:
        """Model and data."""
        if self.problem in PROBLEMS:
            return PROBLEMS[self.problem].model, PROBLEMS[self.problem].data()
        return self.model or pkpd.load_model(self.problem), pkpd.load_dataset(self.problem)


@dataclass(frozen=True)
class Simulated:
    """A model with the values that a fit starts from, the truth, and the records (DV is filled by simulation)."""

    model: Any
    truth: Mapping[str, float]
    frame: Callable[[], pd.DataFrame]

    def data(self, seed: int = 1) -> Any:
        frame = self.frame()
        drawn = pkpd.simulate(self.model, pkpd.read_dataset(frame), seed=seed, parameters=self.truth)
        frame.loc[frame["EVID"] == 0, "DV"] = drawn["DV"].to_numpy()
        return pkpd.read_dataset(frame)


def newborns(cl: float, v: float, variance: float, sd: float) -> Any:
    """Phenobarbital without weight: a block of OMEGA, additive error."""

    @pkpd.model
    def phenobarbital(m):
        """One compartment, bolus."""
        eta_cl, eta_v = m.etas("CL", "V", variance=[[variance], [0.01, variance]])
        clearance = m.parameter("CL", m.theta("CL", cl, lower=0) * exp(eta_cl))
        volume = m.parameter("V", m.theta("V", v, lower=0) * exp(eta_v))
        central = m.compartment("central")
        m.ode(central, -clearance / volume * central)
        m.observe("cp", central / volume, additive=m.sigma("ADD", sd))

    return phenobarbital


def oral_two_compartments(*, etas: tuple[str, ...], additive: bool) -> Any:
    """Absorption and two compartments; etas on the named parameters."""

    @pkpd.model
    def oral(m):
        """Two compartments, oral."""
        start = {"KA": 1.5, "CL": 3.0, "V": 50.0, "Q": 6.0, "V2": 60.0}
        p = {}
        for name, value in start.items():
            theta = m.theta(name, value, lower=0)
            p[name] = m.parameter(name, theta * exp(m.eta(name, variance=0.2)) if name in etas else theta)
        depot, central, outer = m.compartment("depot"), m.compartment("central"), m.compartment("outer")
        c = central / p["V"]
        m.ode(depot, -p["KA"] * depot)
        m.ode(central, p["KA"] * depot - p["CL"] * c - p["Q"] * c + p["Q"] / p["V2"] * outer)
        m.ode(outer, p["Q"] * c - p["Q"] / p["V2"] * outer)
        error = {"proportional": m.sigma("PROP", 0.3)}
        if additive:
            error["additive"] = m.sigma("ADD", 0.1)
        m.observe("cp", c, **error)

    return oral


@pkpd.model
def lag_and_turnover(m):
    """One compartment with a lag, and a response whose production its concentration inhibits: six random effects."""
    p = {}
    for name, value, variance in (
        ("KA", 0.8, 0.4), ("CL", 0.18, 0.15), ("V", 10.0, 0.15), ("EC50", 1.5, 0.3), ("KOUT", 0.07, 0.1), ("BASE", 85.0, 0.05),
    ):  # fmt: skip
        p[name] = m.parameter(name, m.theta(name, value, lower=0) * exp(m.eta(name, variance=variance)))
    lag = m.theta("TLAG", 0.6, lower=0)
    depot, central = m.compartment("depot", lag=lag), m.compartment("central")
    response = m.compartment("response", initial=p["BASE"])
    c = central / p["V"]
    m.ode(depot, -p["KA"] * depot)
    m.ode(central, p["KA"] * depot - p["CL"] * c)
    m.ode(response, p["KOUT"] * (p["BASE"] * p["EC50"] / (p["EC50"] + c) - response))
    m.observe("cp", c, additive=m.sigma("PK_ADD", 0.5), proportional=m.sigma("PK_PROP", 0.2))
    m.observe("pca", response, additive=m.sigma("PD_ADD", 6.0))


@pkpd.model
def neutrophils(m):
    """Friberg LE, Henningsson A, Maas H, Nguyen L, Karlsson MO. J Clin Oncol 2002;20(24):4713-4721: myelosuppression.

    Proliferating cells, three transits, circulating neutrophils, feedback; the drug (two compartments whose typical parameters
    are taken as known) kills proliferating cells in proportion to its concentration.
    """
    base = m.parameter("BASE", m.theta("BASE", 6.5, lower=0) * exp(m.eta("BASE", variance=0.2)))
    mtt = m.parameter("MTT", m.theta("MTT", 100.0, lower=0) * exp(m.eta("MTT", variance=0.05)))
    slope = m.parameter("SLOPE", m.theta("SLOPE", 6.0, lower=0) * exp(m.eta("SLOPE", variance=0.3)))
    gamma = m.parameter("GAMMA", m.theta("GAMMA", 0.2, lower=0))
    central, outer = m.compartment("central"), m.compartment("outer")
    cells = [m.compartment(f"cells{i}", initial=base) for i in range(5)]
    c = central / 8.0
    m.ode(central, -35.0 * c - 5.0 * c + 5.0 / 7.0 * outer)
    m.ode(outer, 5.0 * c - 5.0 / 7.0 * outer)
    k = 4 / mtt
    m.ode(cells[0], k * cells[0] * ((1 - slope * c) * (base / cells[4]) ** gamma - 1))
    for i in range(1, 5):
        m.ode(cells[i], k * (cells[i - 1] - cells[i]))
    m.observe("anc", cells[4], proportional=m.sigma("PROP", 0.4), additive=m.sigma("ADD", 0.1))


def _frame(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "II", "ADDL", "SS", "RATE", "DV", "DVID"])


def _dose(i, t, amount, ii=0.0, addl=0, ss=0, rate=0.0):
    return (i, t, 1, amount, ii, addl, ss, rate, np.nan, 1)


def _samples(i, times, endpoint=1):
    return [(i, float(t), 0, 0.0, 0.0, 0, 0, 0.0, 1.0, endpoint) for t in times]


def oral_251() -> pd.DataFrame:
    """32 subjects, 251 observations after one dose."""
    times = (0.5, 1.0, 2.0, 4.0, 8.0, 24.0, 48.0, 72.0)
    rows = []
    for i in range(1, 33):
        rows += [_dose(i, 0.0, 100.0), *_samples(i, times if i <= 27 else times[:7])]
    return _frame(rows)


def oral_2280() -> pd.DataFrame:
    """120 subjects, 19 observations each: a first dose, and the seventh of one a day."""
    first, last = (
        (0.25, 0.5, 1.0, 1.5, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0),
        (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0, 48.0),
    )
    rows = []
    for i in range(1, 121):
        rows += [
            _dose(i, 0.0, 30.0 * 2 ** (i % 4), 24.0, 6),
            *_samples(i, [*first, *(144 + t for t in last)]),
        ]
    return _frame(rows)


def oral_7000() -> pd.DataFrame:
    """120 subjects, 7000 observations: after a first dose, through a week, and at steady state a month later."""
    profile = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0, 22.0)
    rows = []
    for i in range(1, 121):
        amount = 30.0 * 2 ** (i % 4)
        troughs = [24.0 * d - 0.5 for d in range(2, 10 if i <= 40 else 9)]
        rows += [_dose(i, 0.0, amount, 24.0, 6), *_samples(i, [*profile, *troughs])]
        rows += [_dose(i, 720.0, amount, 24.0, 0, 1), *_samples(i, [720 + t for t in profile])]
        rows += _samples(i, [743.0, *range(746, 842, 6)])
    return _frame(rows)


def turnover_483() -> pd.DataFrame:
    """32 subjects, 251 concentrations and 232 responses after one dose."""
    pk, pd_times = (
        (1.0, 2.0, 3.0, 6.0, 12.0, 24.0, 48.0, 72.0),
        (0.0, 24.0, 36.0, 48.0, 72.0, 96.0, 120.0, 144.0),
    )
    rows = []
    for i in range(1, 33):
        rows += [_dose(i, 0.0, 105.0), *_samples(i, pk if i <= 27 else pk[:7])]
        rows += _samples(i, pd_times[: 8 if i <= 8 else 7], 2)
    frame = _frame(rows)
    frame = frame.sort_values(["ID", "TIME", "EVID"], kind="stable", ignore_index=True)
    return frame


def neutrophils_45() -> pd.DataFrame:
    """45 subjects, two courses of an infusion of one hour three weeks apart, counts weekly or oftener."""
    times = (0.0, 72.0, 144.0, 192.0, 240.0, 288.0, 360.0, 432.0, 503.0, 648.0, 720.0, 792.0, 912.0, 1008.0)
    rows = []
    for i in range(1, 46):
        amount = (60.0, 75.0, 100.0)[i % 3]
        rows += _samples(i, times)
        rows += [_dose(i, 0.5, amount, rate=amount), _dose(i, 504.0, amount, rate=amount)]
    return _frame(rows).sort_values(["ID", "TIME", "EVID"], kind="stable", ignore_index=True)


_ORAL = {"KA": 1.0, "CL": 4.0, "V": 70.0, "Q": 4.0, "V2": 40.0}


def _variances(value: float, *names: str) -> dict[str, float]:
    return {f"OMEGA({n},{n})": value for n in names}


PROBLEMS = {
    "oral, 251 records": Simulated(
        oral_two_compartments(etas=("KA", "CL", "V"), additive=True),
        {**_ORAL, **_variances(0.09, "KA", "CL", "V"), "SD(PROP)": 0.15, "SD(ADD)": 0.02},
        oral_251,
    ),
    "oral, 2280 records": Simulated(
        oral_two_compartments(etas=("KA", "CL", "V", "Q", "V2"), additive=False),
        {**_ORAL, **_variances(0.09, *_ORAL), "SD(PROP)": 0.2},
        oral_2280,
    ),
    "oral, 7000 records": Simulated(
        oral_two_compartments(etas=("KA", "CL", "V", "Q", "V2"), additive=False),
        {**_ORAL, **_variances(0.09, *_ORAL), "SD(PROP)": 0.2},
        oral_7000,
    ),
    "lag and turnover": Simulated(
        lag_and_turnover,
        {
            "KA": 1.2, "CL": 0.135, "V": 8.0, "EC50": 1.2, "KOUT": 0.055, "BASE": 96.0, "TLAG": 0.8, "OMEGA(KA,KA)": 0.3,
            "OMEGA(CL,CL)": 0.08, "OMEGA(V,V)": 0.04, "OMEGA(EC50,EC50)": 0.12, "OMEGA(KOUT,KOUT)": 0.03,
            "OMEGA(BASE,BASE)": 0.01, "SD(PK_ADD)": 0.3, "SD(PK_PROP)": 0.08, "SD(PD_ADD)": 4.0,
        },
        turnover_483,
    ),
    "neutrophils": Simulated(
        neutrophils,
        {
            "BASE": 5.05, "MTT": 88.7, "SLOPE": 8.58, "GAMMA": 0.161, "OMEGA(BASE,BASE)": 0.176, "OMEGA(MTT,MTT)": 0.026,
            "OMEGA(SLOPE,SLOPE)": 0.2, "SD(PROP)": 0.3, "SD(ADD)": 0.05,
        },
        neutrophils_45,
    ),
}  # fmt: skip


_ODE = pkpd.Solver("ode")
_GOOD, _POOR = newborns(0.007, 1.4, 0.1, 2.0), newborns(0.008, 0.6, 1.0, 0.1)

ROWS = {
    "theophylline, FOCEI": Row("theophylline", pkpd.FOCEI(), 0.03),
    "theophylline, SAEM": Row("theophylline", pkpd.SAEM(), 0.25),
    "theophylline, AGQ of 7 nodes": Row("theophylline", pkpd.AGQ(nodes=7), 0.5),
    "theophylline, IMP": Row("theophylline", pkpd.IMP(), 0.8),
    "phenobarbital with weight, FOCEI": Row("phenobarbital", pkpd.FOCEI(), 0.15),
    "phenobarbital, block, FOCEI": Row("phenobarbital", pkpd.FOCEI(), 0.15, _GOOD),
    "phenobarbital, block, FOCEI, equations solved": Row(
        "phenobarbital", pkpd.FOCEI(solver=_ODE), 0.4, _GOOD
    ),
    "phenobarbital, block, FOCEI, poor start": Row("phenobarbital", pkpd.FOCEI(), 0.15, _POOR),
    "phenobarbital, block, FOCEI, equations solved, poor start": Row(
        "phenobarbital", pkpd.FOCEI(solver=_ODE), 0.4, _POOR
    ),
    "phenobarbital, block, SAEM": Row("phenobarbital", pkpd.SAEM(), 0.8, _GOOD),
    "phenobarbital, block, SAEM, equations solved": Row("phenobarbital", pkpd.SAEM(solver=_ODE), 2.0, _GOOD),
    "oral, 251 records, FOCEI, equations solved": Row("oral, 251 records", pkpd.FOCEI(solver=_ODE), 0.4),
    "oral, 2280 records, FOCEI": Row("oral, 2280 records", pkpd.FOCEI(), 2.0),
    "oral, 2280 records, FOCEI, equations solved": Row("oral, 2280 records", pkpd.FOCEI(solver=_ODE), 6.0),
    "oral, 2280 records, SAEM": Row("oral, 2280 records", pkpd.SAEM(), 4.0),
    "oral, 2280 records, SAEM, equations solved": Row("oral, 2280 records", pkpd.SAEM(solver=_ODE), 20.0),
    "oral, 7000 records, FOCEI, equations solved": Row("oral, 7000 records", pkpd.FOCEI(solver=_ODE), 20.0),
    "lag and turnover, FOCEI": Row("lag and turnover", pkpd.FOCEI(), 3.0),
    "lag and turnover, SAEM": Row("lag and turnover", pkpd.SAEM(), 15.0),
    "neutrophils, FOCEI": Row("neutrophils", pkpd.FOCEI(), 6.0),
}
