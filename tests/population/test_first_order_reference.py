"""FO, FOCE, FOCEI and Laplace at fixed parameters against what NONMEM, nlmixr2 and Pumas print for two small data sets.

A peer's value has the digits that it was printed with.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp

PEER = json.loads((Path(__file__).parents[1] / "reference" / "first_order.json").read_text())
SD = math.sqrt(0.1)
ERRORS = {
    "proportional": lambda m: {"proportional": m.sigma("P", SD)},
    "additive": lambda m: {"additive": m.sigma("A", SD)},
    "variances": lambda m: {"additive": m.sigma("A", SD), "proportional": m.sigma("P", SD)},
    "power": lambda m: {"proportional": m.sigma("P", SD), "power": m.exponent("W", 0.5)},
    "log-normal": lambda m: {"additive": m.sigma("A", SD), "transform": "log"},
}
ERRORS["standard deviations"] = lambda m: ERRORS["variances"](m) | {"combined": "sd"}
ERRORS["additive and power"] = lambda m: {"additive": m.sigma("A", SD)} | ERRORS["power"](m)


def decay(error):
    @pkpd.model
    def decay(m):
        k = m.parameter("K", m.theta("K", 0.5) * exp(m.eta("K", variance=0.04)))
        amount = m.compartment("amount")
        m.ode(amount, -k * amount)
        m.observe("y", amount, **ERRORS[error](m))

    return decay


def dataset(peer):
    rows = []
    for i, (first, second) in enumerate(zip(peer["first"], peer["second"], strict=True)):
        rows += [(i, 0.0, 1, 10.0, np.nan), (i, 0.0, 0, 0.0, first), (i, 1.0, 0, 0.0, second)]
    return pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV"]))


METHODS = {"FO": pkpd.FO, "FOCE": pkpd.FOCE, "FOCEI": pkpd.FOCEI, "Laplace": pkpd.Laplace}


@pytest.mark.parametrize("error", PEER["wang"]["ofv"])
def test_objectives_of_error_models(error):
    model, data = decay(error), dataset(PEER["wang"])
    for kind, ofv in PEER["wang"]["ofv"][error].items():
        assert pkpd.evaluate(model, data, method=METHODS[kind]()).ofv == pytest.approx(ofv, abs=5.1e-4)


def test_objectives_modes_and_residuals_to_all_digits():
    peer = PEER["pumas"]
    model, data = decay("proportional"), dataset(peer)
    for kind, ofv in peer["ofv"].items():
        assert pkpd.evaluate(model, data, method=METHODS[kind]()).ofv == pytest.approx(ofv, rel=1e-7)
    fit = pkpd.fit(model, data, pkpd.FOCEI(max_iterations=0, covariance=None))
    np.testing.assert_allclose(fit.individual_estimates["K"], peer["etas"], atol=5e-7)
    second = fit.residuals[fit.residuals["TIME"] == 1].iloc[[0, 1, 5]]
    for column in ("WRES", "CWRES", "IWRES"):
        np.testing.assert_allclose(second[column], peer[column], rtol=1e-5)
