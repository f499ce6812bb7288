"""Designs of the simulation-estimation studies: models with the values that a fit starts from, true parameters, subjects.

Initial values are not the truth: thetas start 20 to 50 % off it, variances at two to three times theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

import pkpd
from pkpd import exp
from pkpd.parallel import stream

_PURPOSE = 0x5354  # keeps the draws of event times apart from others with the same seed


@dataclass(frozen=True)
class Design:
    """One study.

    ``truth`` are all parameters, ``frame`` the records of its subjects (DV is filled for each replicate), ``methods`` what is
    compared on each data set, ``rich`` whether the criterion for the bias of variances applies. ``draw(frame, truth, seed)``
    gives the records of a replicate where :func:`pkpd.simulate` cannot.
    """

    model: Any
    truth: Mapping[str, float]
    frame: pd.DataFrame
    methods: Mapping[str, Any]
    rich: bool
    draw: Callable[[pd.DataFrame, Mapping[str, float], int], pd.DataFrame] | None = None

    def data(self, seed: int) -> Any:
        """The data set of a replicate."""
        if self.draw is not None:
            return pkpd.read_dataset(self.draw(self.frame, self.truth, seed))
        frame = self.frame.copy()
        drawn = pkpd.simulate(self.model, pkpd.read_dataset(frame), seed=seed, parameters=self.truth)
        frame.loc[frame["EVID"] == 0, "DV"] = drawn["DV"].to_numpy()
        return pkpd.read_dataset(frame)


@pkpd.model
def rich(m):
    """One compartment, oral."""
    ka = m.parameter("KA", m.theta("KA", 1.8, lower=0) * exp(m.eta("KA", variance=0.3)))
    cl = m.parameter("CL", m.theta("CL", 3.0, lower=0) * exp(m.eta("CL", variance=0.2)))
    v = m.parameter("V", m.theta("V", 40.0, lower=0) * exp(m.eta("V", variance=0.2)))
    depot, central = m.compartment("depot"), m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.2))


@pkpd.model
def sparse(m):
    """Two compartments, bolus."""
    cl = m.parameter("CL", m.theta("CL", 4.0, lower=0) * exp(m.eta("CL", variance=0.2)))
    v1 = m.parameter("V1", m.theta("V1", 30.0, lower=0) * exp(m.eta("V1", variance=0.2)))
    q = m.parameter("Q", m.theta("Q", 6.0, lower=0))
    v2 = m.parameter("V2", m.theta("V2", 40.0, lower=0))
    central, outer = m.compartment("central"), m.compartment("outer")
    m.ode(central, -cl / v1 * central - q / v1 * central + q / v2 * outer)
    m.ode(outer, q / v1 * central - q / v2 * outer)
    m.observe("cp", central / v1, proportional=m.sigma("PROP", 0.3))


@pkpd.model
def michaelis_menten(m):
    """One compartment, bolus, elimination of Michaelis and Menten."""
    vm = m.parameter("VM", m.theta("VM", 10.0, lower=0) * exp(m.eta("VM", variance=0.2)))
    km = m.parameter("KM", m.theta("KM", 3.0, lower=0))
    v = m.parameter("V", m.theta("V", 13.0, lower=0) * exp(m.eta("V", variance=0.2)))
    central = m.compartment("central")
    c = central / v
    m.ode(central, -vm * c / (km + c))
    m.observe("cp", c, proportional=m.sigma("PROP", 0.2))


@pkpd.model
def turnover(m):
    """One compartment, bolus; its concentration stimulates the production of a response, by a sigmoid Emax."""
    cl = m.parameter("CL", m.theta("CL", 2.5, lower=0) * exp(m.eta("CL", variance=0.2)))
    v = m.parameter("V", m.theta("V", 25.0, lower=0) * exp(m.eta("V", variance=0.2)))
    base = m.parameter("BASE", m.theta("BASE", 13.0, lower=0) * exp(m.eta("BASE", variance=0.1)))
    kout = m.parameter("KOUT", m.theta("KOUT", 0.2, lower=0))
    emax = m.parameter("EMAX", m.theta("EMAX", 2.5, lower=0))
    ec50 = m.parameter("EC50", m.theta("EC50", 1.2, lower=0) * exp(m.eta("EC50", variance=0.2)))
    hill = m.parameter("HILL", m.theta("HILL", 1.5, lower=0))
    central, response = m.compartment("central"), m.compartment("response", initial=base)
    c = central / v
    effect = (c / ec50) ** hill
    m.ode(central, -cl * c)
    m.ode(response, kout * (base * (1 + emax * effect / (1 + effect)) - response))
    m.observe("cp", c, proportional=m.sigma("PK", 0.2))
    m.observe("response", response, proportional=m.sigma("PD", 0.2))


@pkpd.model
def events(m):
    """Recurrent events at a constant hazard that differs between subjects and falls with exposure."""
    x = m.covariate("X")
    base = m.theta("BASE", 0.35, lower=0)
    m.hazard("event", base * exp(m.theta("SLOPE", -0.3) * x + m.eta("BASE", variance=0.6)))


def _records(groups: list[tuple[int, float, dict[int, tuple[float, ...]]]]) -> pd.DataFrame:
    """Subjects in groups (how many, bolus at time 0, sampling times by endpoint)."""
    rows, subject = [], 0
    for size, amount, samples in groups:
        for _ in range(size):
            subject += 1
            rows.append((subject, 0.0, 1, amount, np.nan, 1))
            rows += sorted((subject, t, 0, 0.0, 1.0, k) for k, times in samples.items() for t in times)
    return pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "DVID"])


_FOLLOW_UP = 12.0


def draw_events(frame: pd.DataFrame, truth: Mapping[str, float], seed: int) -> pd.DataFrame:
    """Event times by inversion: waiting times between events are exponential."""
    random, rows = stream(seed, _PURPOSE), []
    for subject, x in zip(frame["ID"], frame["X"], strict=True):
        eta = np.sqrt(truth["OMEGA(BASE,BASE)"]) * random.standard_normal()
        hazard = truth["BASE"] * np.exp(truth["SLOPE"] * x + eta)
        rows.append((subject, 0.0, np.nan, 1, x))
        t = random.exponential(1 / hazard)
        while t < _FOLLOW_UP:
            rows.append((subject, t, 1.0, 0, x))
            t += random.exponential(1 / hazard)
        rows.append((subject, _FOLLOW_UP, 0.0, 0, x))
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV", "MDV", "X"])


def _subjects(count: int) -> pd.DataFrame:
    """Subjects with exposures equally spaced from -1 to 1."""
    return pd.DataFrame({"ID": np.arange(1, count + 1), "X": np.linspace(-1, 1, count)})


# one chain suffices with 48 subjects or more: moments are averaged over subjects and iterations
_SAEM = pkpd.SAEM(iterations=(200, 150), chains=1, samples=300)
_METHODS = {"FOCEI": pkpd.FOCEI(), "SAEM": _SAEM}

DESIGNS = {
    "rich": Design(
        rich,
        {"KA": 1.2, "CL": 4.0, "V": 50.0, "OMEGA(KA,KA)": 0.16, "OMEGA(CL,CL)": 0.09, "OMEGA(V,V)": 0.09, "SD(PROP)": 0.1},
        _records([(60, 100.0, {1: (0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 24.0, 36.0)})]),
        _METHODS,
        True,
    ),
    "sparse": Design(
        sparse,
        {"CL": 5.0, "V1": 20.0, "Q": 8.0, "V2": 50.0, "OMEGA(CL,CL)": 0.09, "OMEGA(V1,V1)": 0.09, "SD(PROP)": 0.15},
        _records([(20, 100.0, {1: times}) for times in ((0.25, 4.0, 24.0), (1.0, 8.0, 36.0), (2.0, 12.0, 48.0))]),
        _METHODS,
        False,
    ),
    "michaelis_menten": Design(
        michaelis_menten,
        {"VM": 8.0, "KM": 2.0, "V": 10.0, "OMEGA(VM,VM)": 0.09, "OMEGA(V,V)": 0.09, "SD(PROP)": 0.1},
        _records([(16, amount, {1: (0.5, 2.0, 5.0, 9.0, 14.0, 20.0)}) for amount in (30.0, 60.0, 120.0)]),
        _METHODS,
        True,
    ),
    "turnover": Design(
        turnover,
        {
            "CL": 2.0, "V": 20.0, "BASE": 10.0, "KOUT": 0.15, "EMAX": 3.0, "EC50": 1.5, "HILL": 2.0, "OMEGA(CL,CL)": 0.09,
            "OMEGA(V,V)": 0.09, "OMEGA(BASE,BASE)": 0.04, "OMEGA(EC50,EC50)": 0.09, "SD(PK)": 0.1, "SD(PD)": 0.1,
        },
        _records(
            [
                (12, amount, {1: (0.5, 4.0, 12.0, 24.0), 2: (2.0, 6.0, 12.0, 24.0, 48.0)})
                for amount in (5.0, 15.0, 50.0, 150.0)
            ]
        ),
        _METHODS,
        True,
    ),
    "events": Design(
        events,
        {"BASE": 0.25, "SLOPE": -0.5, "OMEGA(BASE,BASE)": 0.25},
        _subjects(120),
        {"Laplace": pkpd.Laplace(), "SAEM": _SAEM},
        False,
        draw_events,
    ),
}  # fmt: skip
