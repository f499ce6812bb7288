"""Laplace's approximation against Template Model Builder, which has its derivatives by automatic differentiation.

Both find the same optimum of the same function, so that the objective is asked to 1e-6 and estimates to a thousandth of
a standard error; standard errors, of numerical second derivatives there and of exact gradients here, to 1e-4.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, expit, lgamma, log, where
from pkpd.shipped import dataset_path

REFERENCE = Path(__file__).parents[1] / "reference"
PK = json.loads((REFERENCE / "laplace_pk.json").read_text())
DIRECT = json.loads((REFERENCE / "laplace_direct.json").read_text())


def theophylline(error, start):
    @pkpd.model
    def oral(m):
        ka = m.parameter("KA", m.theta("KA", 1.5, unit="1/h", lower=0) * exp(m.eta("KA", variance=0.36)))
        cl = m.parameter("CL", m.theta("CL", 2.8, unit="L/h", lower=0) * exp(m.eta("CL", variance=0.09)))
        v = m.parameter("V", m.theta("V", 32.0, unit="L", lower=0) * exp(m.eta("V", variance=0.04)))
        depot, central = m.compartment("depot", unit="mg"), m.compartment("central", unit="mg")
        m.ode(depot, -ka * depot)
        m.ode(central, ka * depot - cl / v * central)
        given = {}
        if error not in ("proportional", "power"):
            given["additive"] = m.sigma("ADD", float(np.exp(start[0])))
        if error not in ("additive", "lognormal"):
            given["proportional"] = m.sigma("PROP", float(np.exp(start["combined" in error])))
        if error == "power":
            given["power"] = m.exponent("POWER", start[1])
        if error == "combined_sd":
            given["combined"] = "sd"
        if error == "lognormal":
            given["transform"] = "log"
        m.observe("cp", central / v, unit="mg/L", **given)

    return oral


def concentrations(lloq):
    table = pd.read_csv(dataset_path("theophylline"), na_values=".")
    table = table[(table["EVID"] == 1) | (table["TIME"] > 0)].assign(CENS=0)
    if lloq:
        table["CENS"] = ((table["EVID"] == 0) & (table["DV"] < lloq)).astype(int)
        table.loc[table["CENS"] == 1, "DV"] = lloq
    return pkpd.read_dataset(table)


def agrees(fit, peer, logarithms):
    """``logarithms``: which estimates the peer gives in logarithms; its variances are log SDs."""
    estimate, se = (fit.parameters[c].to_numpy().copy() for c in ("estimate", "se"))
    variance = np.array([name.startswith("OMEGA") for name in fit.parameters.index])
    se[logarithms] /= estimate[logarithms]
    estimate[logarithms] = np.log(estimate[logarithms])
    estimate[variance] /= 2
    se[variance] /= 2
    np.testing.assert_allclose((estimate - peer["estimate"]) / peer["se"], 0, atol=1e-3)
    np.testing.assert_allclose(se, peer["se"], rtol=1e-4)


@pytest.mark.parametrize("case", [name for name in PK if name != "about"])
def test_error_models_and_censoring(case):
    peer = PK[case]
    model, data = theophylline(peer["error"], peer["start_residual"]), concentrations(peer["lloq"])
    method = pkpd.Laplace(covariance="R", blq=peer["blq"])
    there = pkpd.fit(model, data, dataclasses.replace(method, max_iterations=0, covariance=None))
    assert there.ofv == pytest.approx(peer["start"], abs=1e-6)
    fit = pkpd.fit(model, data, method)
    assert fit.ofv == pytest.approx(peer["ofv"], abs=1e-6)
    agrees(fit, peer, np.array(["POWER" not in name for name in fit.parameters.index]))


def seizures(group=None):
    columns = {
        "ID": "subject",
        "DV": "y",
        "PROGABIDE": "progabide",
        "LBASE": "lbase",
        "LAGE": "lage",
        "V4": "V4",
    }
    table = pd.DataFrame({name: DIRECT["epil"][column] for name, column in columns.items()})
    table["TIME"] = table.groupby("ID").cumcount()
    table["EVID"] = 0
    return pkpd.read_dataset(table if group is None else table.assign(DV=group(table["DV"])))


def counts(overdispersed):
    @pkpd.model
    def seizure_counts(m):
        lbase, progabide = m.covariate("LBASE"), m.covariate("PROGABIDE")
        x = m.theta("INTERCEPT", 1.5) + m.eta("PATIENT", variance=0.25) + m.theta("LBASE", 0.9) * lbase
        x = x + m.theta("PROGABIDE", -0.3) * progabide + m.theta("LAGE", 0.5) * m.covariate("LAGE")
        x = x + m.theta("V4", -0.1) * m.covariate("V4") + m.theta("LBASE_PROGABIDE", 0.3) * lbase * progabide
        y, mean = m.dv, exp(x)
        if overdispersed:
            size = m.theta("SIZE", 2.7, lower=0)
            choose = lgamma(y + size) - lgamma(size) - lgamma(y + 1)
            loglik = choose + size * log(size / (size + mean)) + y * log(mean / (size + mean))
        else:
            loglik = y * x - mean - lgamma(y + 1)
        m.likelihood("seizures", -2 * loglik)

    return seizure_counts


@pkpd.model
def categories(m):
    """Proportional odds of few, some and many seizures."""
    x = m.eta("PATIENT", variance=1) + m.theta("LBASE", 1.5) * m.covariate("LBASE")
    x = x + m.theta("PROGABIDE", -0.5) * m.covariate("PROGABIDE")
    first = m.theta("CUT", -1.0)
    few = expit(first - x)
    some = expit(first + m.theta("STEP", 3.0, lower=0) - x) - few
    m.likelihood("category", -2 * log(where(m.dv == 0, few, where(m.dv == 1, some, 1 - few - some))))


@pkpd.model
def frailty(m):
    """Weibull times to infection, twice in each patient; DV is the time from the insertion of the catheter."""
    x = (
        m.theta("INTERCEPT", -4.0)
        + m.theta("FEMALE", -1.5) * m.covariate("FEMALE")
        + m.eta("PATIENT", variance=0.5)
    )
    shape = m.theta("SHAPE", 1.0, lower=0)
    log_hazard = x + log(shape) + (shape - 1) * log(m.dv)
    m.likelihood("infection", -2 * (m.covariate("STATUS") * log_hazard - exp(x + shape * log(m.dv))))


def infections():
    columns = {"ID": "id", "DV": "time", "STATUS": "status", "FEMALE": "female"}
    table = pd.DataFrame({name: DIRECT["kidney"][column] for name, column in columns.items()})
    return pkpd.read_dataset(table.assign(TIME=table.groupby("ID").cumcount(), EVID=0))


def three_groups(count):
    return (count >= 3).astype(int) + (count >= 10)


@pytest.mark.parametrize(
    ("case", "model", "data"),
    [
        ("poisson", counts(overdispersed=False), seizures),
        ("negative_binomial", counts(overdispersed=True), seizures),
        ("ordinal", categories, lambda: seizures(three_groups)),
        ("weibull_frailty", frailty, infections),
    ],
)
def test_counts_categories_and_times(case, model, data):
    fit = pkpd.fit(model, data(), pkpd.Laplace(covariance="R"))
    assert fit.ofv == pytest.approx(DIRECT[case]["minus2ll"], abs=1e-6)
    logarithms = [n in ("SIZE", "STEP", "SHAPE") or n.startswith("OMEGA") for n in fit.parameters.index]
    agrees(fit, DIRECT[case], np.array(logarithms))
