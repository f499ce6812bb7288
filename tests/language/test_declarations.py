"""A model is a value: edits return a new one, keep the old, and are refused where they make no sense."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import sympy

import pkpd
from pkpd.errors import ModelError

ROOT = Path(__file__).parents[2]
SOURCE = '''
import pkpd

def define(m):
    """{doc}"""
    tv = m.theta("CL", {initial}, lower=0, unit="{unit}")
    e1, e2 = m.etas("CL", "V", variance=[[0.1], [0.05, 0.2]])
    wt = m.covariate("WT")
    tumour = m.factor("TUMOR", reference="lung")
    cl = m.parameter("CL", tv * pkpd.exp(e1 + tumour.effect("CL")) * (wt / 70) ** {power})
    v = m.parameter("V", m.theta("V", 8.0, lower=0) * pkpd.exp(e2))
    m.derived("{derived}", cl / v)
    c = m.compartment("central", lag=m.theta("LAG", 0.5))
    m.ode(c, -cl / v * c {rate})
    m.observe("cp", c / v, additive=m.sigma("ADD", {sd}), unit="mg/L")
'''
PLAIN = {"doc": "Doc.", "initial": 2.0, "unit": "L/h", "power": 0.75, "derived": "K", "rate": "", "sd": 0.5}


def made(**changes):
    namespace = {}
    exec(SOURCE.format(**(PLAIN | changes)), namespace)
    return pkpd.model(namespace["define"])


MODEL = made()


def test_replace_changes_initial_values_and_keeps_correlations():
    changed = MODEL.replace(theta={"CL": 3}, omega={"CL": 0.4}, sigma={"ADD": 1.5})
    assert [t.initial for t in changed.thetas] == [3.0, 8.0, 0.5] and MODEL.thetas[0].initial == 2.0
    (a,), (b, c) = changed.omega[0].lower_triangle
    assert (a, c) == (pytest.approx(0.4), pytest.approx(0.2))
    assert b / (a * c) ** 0.5 == pytest.approx(0.05 / (0.1 * 0.2) ** 0.5)
    assert changed.sigmas[0].sd == 1.5


@pytest.mark.parametrize(
    ("code", "edit"),
    [
        ("E_MODEL_NAME", lambda m: m.replace(theta={"KA": 1})),
        ("E_MODEL_NAME", lambda m: m.replace(omega={"KA": 1})),
        ("E_MODEL_NAME", lambda m: m.replace(sigma={"PROP": 1})),
        ("E_MODEL_BOUNDS", lambda m: m.replace(theta={"CL": -1})),
        ("E_MODEL_BOUNDS", lambda m: m.replace(theta={"CL": 0})),
        ("E_MODEL_BOUNDS", lambda m: m.replace(theta={"CL": float("nan")})),
        ("E_MODEL_VALUE", lambda m: m.replace(omega={"CL": 0.0})),
        ("E_MODEL_VALUE", lambda m: m.replace(sigma={"ADD": -1.0})),
        ("E_MODEL_NAME", lambda m: m.fix("SD(PROP)")),
        ("E_MODEL_NAME", lambda m: m.fix("ADD")),
        ("E_MODEL_NAME", lambda m: m.with_effect("KA", "TUMOR", reference="lung")),
        ("E_MODEL_TWICE", lambda m: m.with_effect("CL", "TUMOR", reference="lung")),
        ("E_MODEL_NAME", lambda m: m.with_effect("V", "TUMOR", reference="skin")),
        ("E_MODEL_FACTOR", lambda m: m.with_effect("V", "TUMOR", reference="lung", levels=("lung", "skin"))),
        ("E_MODEL_FACTOR", lambda m: m.with_effect("V", "SEX", reference="1", levels=("2", "3"))),
        ("E_MODEL_NAME", lambda m: m.without_factor("SEX")),
        ("E_MODEL_NAME", lambda m: m.without_factor("TUMOR", ("V",))),
        ("E_MODEL_NAME", lambda m: m.with_area("AUC")),
        ("E_MODEL_TWICE", lambda m: m.with_area("cp").with_area("cp")),
    ],
)
def test_edits_that_make_no_sense_are_refused(code, edit):
    with pytest.raises(ModelError) as caught:
        edit(MODEL)
    assert caught.value.code == code


def test_fix_keeps_thetas_blocks_and_sigmas():
    fixed = MODEL.fix("LAG", "OMEGA(V,V)", "SD(ADD)")
    assert [t.fixed for t in fixed.thetas] == [False, False, True]
    assert fixed.omega[0].fixed and fixed.sigmas[0].fixed
    assert not (MODEL.thetas[2].fixed or MODEL.omega[0].fixed or MODEL.sigmas[0].fixed)


def test_effects_come_and_go():
    both = MODEL.with_effect("V", "TUMOR", reference="lung")
    assert [e.parameter for e in both.effects] == ["CL", "V"] and len(both.factors) == 1
    symbol = both.effects[1].symbol
    before, after = MODEL.parameters[1].expression, both.parameters[1].expression
    assert sympy.simplify(after / before - sympy.exp(symbol)) == 0
    one = both.without_factor("TUMOR", ("CL",))
    assert [e.parameter for e in one.effects] == ["V"] and len(one.factors) == 1
    none = both.without_factor("TUMOR")
    assert none.effects == () and none.factors == ()
    assert sympy.simplify(none.parameters[1].expression - MODEL.parameters[1].expression) == 0
    assert not none.parameters[0].expression.free_symbols & {e.symbol for e in MODEL.effects}
    # a factor that is removed and put back says the same as before
    again = none.with_effect("CL", "TUMOR", reference="lung")
    assert [e.parameter for e in again.effects] == ["CL"]


def test_area_is_a_compartment_fed_by_the_prediction():
    area = MODEL.with_area("cp")
    assert [c.name for c in area.compartments] == ["central", "AUC"]
    assert area.rates[1] == MODEL.observations[0].prediction
    assert area.observations[1].prediction == area.compartments[1].symbol


def test_the_fingerprint_is_the_same_in_another_process_and_whatever_the_hash_seed():
    code = "from tests.language.test_declarations import MODEL; print(MODEL.fingerprint())"
    seen = {MODEL.fingerprint()}
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=True,
        )
        seen.add(run.stdout.strip())
    assert seen == {made().fingerprint()}


@pytest.mark.parametrize(
    "changes",
    [
        {"initial": 2.0000000000000004}, {"unit": "mL/h"}, {"power": 0.76}, {"derived": "KE"}, {"rate": "+ 0 * m.time + 1"},
        {"sd": 0.51},
    ],
)  # fmt: skip
def test_the_fingerprint_changes_with_everything_but_the_docstring(changes):
    assert made(**changes).fingerprint() != MODEL.fingerprint()
    assert made(doc="Other words.").fingerprint() == MODEL.fingerprint()


def test_the_fingerprint_changes_with_every_edit():
    edits = [
        MODEL, MODEL.fix("LAG"), MODEL.fix("SD(ADD)"), MODEL.fix("OMEGA(CL,CL)"), MODEL.replace(theta={"CL": 3}),
        MODEL.replace(omega={"CL": 0.3}), MODEL.with_effect("V", "TUMOR", reference="lung"), MODEL.without_factor("TUMOR"),
        MODEL.with_area("cp"), MODEL.with_effect("V", "SEX", reference="1"), MODEL.with_effect("V", "SEX", reference="2"),
    ]  # fmt: skip
    assert len({m.fingerprint() for m in edits}) == len(edits)


def test_equations_name_everything_once_and_balance_their_braces():
    text = MODEL.equations()
    assert (
        text[0].startswith(r"\mathrm{CL} = ")
        and r"\theta_{CL}" in text[0]
        and r"\beta_{CL,\,TUMOR}" in text[0]
    )
    assert any(line.startswith(r"\frac{dA_{central}}{dt} = ") for line in text)
    assert any(r"t_{lag,central}" in line for line in text)
    assert any(r"\sigma_{ADD}^{2}" in line for line in text)
    for name in pkpd.language.model_names():
        for line in pkpd.load_model(name).equations():
            assert line.count("{") == line.count("}") and line.count(r"\left") == line.count(r"\right")
            assert "Dummy" not in line and "$" not in line
