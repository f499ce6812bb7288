"""A trial without any effect of the drug, in which response drives clearance: what an assessment may say of it."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

from pkpd.study.analysis import assess
from tests.study.test_published_studies import PLAN

# minutes: its clearance changes with time, so that every profile is integrated
pytestmark = pytest.mark.nightly

MODEL = '''
import pkpd
from pkpd import exp

@pkpd.model
def changing(m):
    """One compartment; clearance goes from its first value to another one within days."""
    first = m.parameter("CL", m.theta("CL", 1.0, unit="L/h", lower=0) * exp(m.eta("CL", variance=0.08)), unit="L/h")
    change = m.parameter("CHANGE", m.theta("CHANGE", -0.2) + m.eta("CHANGE", variance=0.1))
    v = m.theta("V", 10.0, unit="L", lower=0)
    cl = first * exp(change * (1 - exp(-m.time / 36)))
    central = m.compartment("central", unit="mg")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, unit="mg/L", proportional=m.sigma("PROP", 0.1))
'''
SAMPLES = (2.0, 23.9, 170.0, 180.0, 191.9)  # h: the first and the eighth day


def patients(n=160, seed=3):
    """Frailty raises the first clearance and lowers response; response lowers clearance from then on."""
    rng = np.random.default_rng(seed)
    frailty = rng.normal(0, 1, n)
    cl = np.exp(0.2 * frailty + 0.2 * rng.standard_normal(n))
    y = (rng.random(n) < expit(-0.4 - 0.7 * frailty)).astype(int)
    change = -0.5 * y + 0.1 * rng.standard_normal(n)
    return pd.DataFrame(
        {
            "TUMOR": np.where(np.arange(n) % 2 == 0, "lung", "skin"),
            "DOSE": np.where(np.arange(n) // 2 % 2 == 0, 10.0, 20.0),
            "CL": cl, "CHANGE": change, "WT": 70.0, "ORR": y, "AE": (rng.random(n) < 0.2).astype(int),
        }
    )  # fmt: skip


def concentrations(p):
    """By an integrator that pkpd does not use, dose by dose."""
    amount, out, at = 0.0, {}, 0.0
    for end in np.arange(24.0, 193.0, 24.0):
        amount += p["DOSE"]
        inside = [t for t in SAMPLES if at < t <= end]
        rate = lambda t, a: -p["CL"] * math.exp(p["CHANGE"] * (1 - math.exp(-t / 36))) / 10 * a  # noqa: E731
        found = solve_ivp(rate, (at, end), [amount], t_eval=[*inside, end], rtol=1e-8, atol=1e-10)
        out |= dict(zip(inside, found.y[0] / 10, strict=False))
        amount, at = float(found.y[0][-1]), end
    return out


@pytest.fixture(scope="module")
def assessment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("confounded")
    rng, rows = np.random.default_rng(5), []
    for i, p in enumerate(patients().to_dict("records"), 1):
        own = {k: v for k, v in p.items() if k not in ("CL", "CHANGE")}
        rows.append(
            {"ID": i, "TIME": 0.0, "AMT": p["DOSE"], "EVID": 1, "DV": ".", "II": 24, "ADDL": 7, **own}
        )
        for t, c in concentrations(p).items():
            dv = f"{c * math.exp(0.1 * rng.standard_normal()):.6g}"
            rows.append({"ID": i, "TIME": t, "AMT": ".", "EVID": 0, "DV": dv, "II": ".", "ADDL": ".", **own})
    pd.DataFrame(rows).to_csv(folder / "study.csv", index=False)
    (folder / "model.py").write_text(MODEL)
    plan = PLAN.format(
        title="No effect of the drug", reference="lung", data="", dose=10, unit="mg", candidates=[10.0, 20.0],
        randomised="true", low=0.8, high=1.25, source="bioequivalence", p0=0.1,
    )  # fmt: skip
    (folder / "plan.toml").write_text(plan)
    return assess(folder / "plan.toml")


def test_steady_state_exposure_seems_to_matter_and_carries_the_warning(assessment):
    orr, ae = assessment.endpoints
    odds = orr.sources["table"].set_index("source")["odds_ratio"]
    # nothing acts here: a doubling of steady-state exposure still seems to multiply the odds of response
    assert odds["steady state"] > 2 * odds["first cycle"] > 1
    assert any(w.startswith("W_STEADY_STATE_CONFOUNDED: ORR") for w in orr.sources["warnings"])
    assert not any(w.startswith("W_STEADY") for w in ae.sources["warnings"])


def test_the_default_analysis_calls_nothing_causal(assessment):
    orr = assessment.endpoints[0]
    assert orr.sources["evidence_class"] == "EC1" and not orr.sources["effect_of_dose"]
    assert "not shown to be causal" in orr.sources["statement"]
    said = " ".join([assessment.global_statement, *assessment.verdicts["sentence"], *assessment.assumptions])
    assert "causal" not in said
    assert set(assessment.verdicts["rule"]) <= {"3", "3'", "4"}  # no dose is changed, nobody excluded
