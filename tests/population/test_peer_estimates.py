"""Estimates that lme4 and Monolix give for public data."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, log
from pkpd.shipped import dataset_path

PEER = json.loads((Path(__file__).parents[1] / "reference" / "peer_estimates.json").read_text())


@pytest.mark.parametrize("method", [pkpd.FOCEI, pkpd.Laplace])
def test_orange_trees_against_lme4(method):
    @pkpd.model
    def logistic(m):
        asymptote = m.parameter("ASYM", m.theta("ASYM", 180.0) + m.eta("ASYM", variance=400.0))
        middle, scale = m.theta("XMID", 700.0), m.theta("SCAL", 300.0)
        m.observe("y", asymptote / (1 + exp((middle - m.time) / scale)), additive=m.sigma("A", 10.0))

    peer = PEER["orange"]
    rows = [
        (tree, age, 0, value)
        for tree, values in enumerate(peer["circumference"])
        for age, value in zip(peer["age"], values, strict=True)
    ]
    data = pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "DV"]))
    fit = pkpd.fit(logistic, data, method(tolerance=1e-10))
    assert fit.minus2ll == pytest.approx(peer["minus2ll"], abs=1e-6)
    estimates = fit.parameter_estimates
    np.testing.assert_allclose(estimates.iloc[:3], peer["fixed"], rtol=1e-5)
    np.testing.assert_allclose(
        [math.sqrt(estimates["OMEGA(ASYM,ASYM)"]), estimates["SD(A)"]], peer["sd"], rtol=1e-5
    )
    np.testing.assert_allclose(fit.individual_estimates["ASYM"], peer["effects"], rtol=1e-4)


def test_theophylline_by_saem_against_monolix():
    table = pd.read_csv(dataset_path("theophylline"), na_values=".")
    table = table[(table["EVID"] == 1) | (table["TIME"] > 0)]
    data = pkpd.read_dataset(table.assign(AMT=table["AMT"] / table["WT"]))

    @pkpd.model
    def oral(m):
        weight = m.covariate("WT", unit="kg")
        ka = m.parameter("KA", exp(m.theta("KA", 0.0) + m.eta("KA", variance=0.5)))
        shift = m.theta("B", 0.0) * log(weight / 70)
        v = m.parameter("V", exp(m.theta("V", -0.7) + shift + m.eta("V", variance=0.1)))
        cl = m.parameter("CL", exp(m.theta("CL", -3.0) + m.eta("CL", variance=0.1)))
        depot, central = m.compartment("depot"), m.compartment("central")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("A", 0.7))

    peer = PEER["theophylline"]
    theirs = {n: math.log(peer[n]) for n in ("KA", "V", "CL")} | {"B": peer["B"], "SD(A)": peer["SD"]}
    theirs |= {f"OMEGA({n},{n})": sd**2 for n, sd in zip(("KA", "V", "CL"), peer["omega"], strict=True)}
    fit = pkpd.fit(oral, data, pkpd.SAEM(likelihood="linearisation"), seed=1)
    apart = (fit.parameter_estimates - pd.Series(theirs)) / fit.standard_errors
    # two draws of chains, and their three digits
    assert apart.abs().max() < 0.35
    here, there = (
        pkpd.evaluate(oral, data, p, pkpd.AGQ(nodes=5)).minus2ll for p in (fit.parameter_estimates, theirs)
    )
    assert here == pytest.approx(there, abs=0.1)
