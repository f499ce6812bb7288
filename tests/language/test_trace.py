"""What a model function may declare: each mistake has one clear error."""

from __future__ import annotations

import warnings

import pytest

import pkpd
from pkpd.errors import ModelError


def declared(change=lambda m, parts: None, *, finish=True):
    """Trace a small sound model after ``change`` had its say."""

    def define(m):
        parts = {"theta": m.theta("TV_CL", 1.0, lower=0), "eta": m.eta("CL", variance=0.1)}
        parts["cl"] = m.parameter("CL", parts["theta"] * pkpd.exp(parts["eta"]))
        parts["c"] = m.compartment("central")
        result = change(m, parts)
        if finish:
            m.ode(parts["c"], -parts["cl"] * parts["c"])
            m.observe("cp", parts["c"], additive=m.sigma("ADD", 1.0))
        return result

    return pkpd.model(define)


def test_the_sound_model_is_sound():
    model = declared()
    assert (model.thetas[0].name, model.etas[0].name, model.parameters[0].name) == ("TV_CL", "CL", "CL")
    assert declared().fingerprint() == model.fingerprint()


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("E_MODEL_VALUE", lambda m, p: m.theta("X", float("nan"))),
        ("E_MODEL_VALUE", lambda m, p: m.theta("X", "one")),
        ("E_MODEL_VALUE", lambda m, p: m.theta("X", p["theta"])),
        ("E_MODEL_VALUE", lambda m, p: m.sigma("X", 0.0)),
        ("E_MODEL_VALUE", lambda m, p: m.parameter("X", p["cl"] * float("inf"))),
        ("E_MODEL_BOUNDS", lambda m, p: m.theta("X", 0.0, lower=0)),
        ("E_MODEL_BOUNDS", lambda m, p: m.theta("X", 2.0, upper=1)),
        ("E_MODEL_BOUNDS", lambda m, p: m.theta("X", 2.0, lower=3, fixed=True)),
        ("E_MODEL_OMEGA", lambda m, p: m.eta("X", variance=0.0)),
        ("E_MODEL_OMEGA", lambda m, p: m.etas("X", "Y", variance=[[0.1], [0.2, 0.1]])),
        ("E_MODEL_OMEGA", lambda m, p: m.etas("X", "Y", variance=[[0.1], [0.1]])),
        ("E_MODEL_TWICE", lambda m, p: m.theta("TV_CL", 1.0)),
        ("E_MODEL_TWICE", lambda m, p: m.eta("CL", variance=1)),
        ("E_MODEL_TWICE", lambda m, p: m.parameter("CL", 1)),
        ("E_MODEL_TWICE", lambda m, p: m.compartment("central")),
        ("E_MODEL_TWICE", lambda m, p: m.derived("CL", p["cl"])),
        ("E_MODEL_TWICE", lambda m, p: (m.derived("HALF", p["cl"]), m.parameter("HALF", p["cl"]))),
        ("E_MODEL_TWICE", lambda m, p: (m.covariate("WT"), m.covariate("WT"))),
        ("E_MODEL_TWICE", lambda m, p: (m.covariate("SEX"), m.factor("SEX", reference="1"))),
        ("E_MODEL_TWICE", lambda m, p: (m.ode(p["c"], 0), m.ode(p["c"], 0))),
        ("E_MODEL_NAME", lambda m, p: m.theta("", 1.0)),
        ("E_MODEL_NAME", lambda m, p: m.theta(3, 1.0)),
        ("E_MODEL_NAME", lambda m, p: m.derived("X", m.factor("T", reference="a").effect("KA"))),
        ("E_MODEL_FACTOR", lambda m, p: m.factor("T", ["a", "b"], reference="c")),
        ("E_MODEL_ODE", lambda m, p: m.ode(p["cl"], 1)),
        ("E_MODEL_ODE", lambda m, p: m.compartment("other")),
        ("E_MODEL_TRACE", lambda m, p: m.ode("central", 1)),
        ("E_MODEL_TRACE", lambda m, p: m.parameter("X", p["cl"] > 1)),
        ("E_MODEL_TRACE", lambda m, p: m.compartment("d", lag="long")),
        ("E_MODEL_RESIDUAL", lambda m, p: m.observe("x", p["c"])),
        ("E_MODEL_RESIDUAL", lambda m, p: m.observe("x", p["c"], additive=0.5)),
        ("E_MODEL_RESIDUAL", lambda m, p: m.observe("x", p["c"], proportional="PROP")),
        ("E_MODEL_STATE", lambda m, p: m.parameter("X", p["c"] * 2)),
        ("E_MODEL_STATE", lambda m, p: m.derived("X", m.time)),
        ("E_MODEL_STATE", lambda m, p: m.ode(m.compartment("d", lag=m.time), 0)),
        ("E_MODEL_STATE", lambda m, p: m.ode(m.compartment("d", initial=p["c"]), 0)),
        ("E_MODEL_RETURN", lambda m, p: p["c"]),
    ],
)  # fmt: skip
def test_each_mistake_has_its_code(code, change):
    def silent(m, parts):
        result = change(m, parts)
        return result if code == "E_MODEL_RETURN" else None

    with pytest.raises(ModelError) as caught:
        declared(silent)
    assert caught.value.code == code
    assert caught.value.remedy


def test_a_model_must_observe_something_and_every_compartment_needs_an_equation():
    with pytest.raises(ModelError, match="E_MODEL_EMPTY"):
        declared(finish=False)

    def define(m):
        m.observe("x", m.compartment("central"), additive=m.sigma("ADD", 1))

    with pytest.raises(ModelError, match="E_MODEL_ODE: compartment central has no equation"):
        pkpd.model(define)


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("theta TV_KA", lambda m: m.theta("TV_KA", 1.0)),
        ("eta ETA_KA", lambda m: m.eta("ETA_KA", variance=1.0)),
        ("covariate BODY_WT_0", lambda m: m.covariate("BODY_WT_0")),
        ("parameter KA_1", lambda m: m.parameter("KA_1", 3)),
        ("sigma S_2", lambda m: m.sigma("S_2", 1.0)),
        ("factor TUMOR_TYPE", lambda m: m.factor("TUMOR_TYPE", reference="lung")),
        ("effect of TUMOR_TYPE on CL", lambda m: m.factor("TUMOR_TYPE", reference="lung").effect("CL")),
        ("compartment gut_1", lambda m: m.ode(m.compartment("gut_1"), 0)),
    ],
)
def test_what_is_declared_and_never_used_is_named_in_full(what, change):
    with pytest.raises(ModelError, match="E_MODEL_UNUSED") as caught:
        declared(lambda m, p: (change(m), None)[1])
    assert caught.value.message.endswith(f"never uses: {what}.")


def test_symbols_of_another_model_are_refused():
    kept = []
    declared(lambda m, p: kept.append(p["theta"]))
    with pytest.raises(ModelError, match=r"E_MODEL_FOREIGN.*TV_CL"):
        declared(lambda m, p: (m.parameter("X", kept[0]), None)[1])


def test_a_whole_name_may_be_shared_by_things_of_different_kinds():
    model = declared(lambda m, p: (m.derived("HALF", m.theta("CL", 2.0) * p["cl"]), None)[1])
    assert [t.name for t in model.thetas] == ["TV_CL", "CL"]


def switching(condition):
    def define(m):
        at = m.parameter("AT", m.theta("AT", 2.0))
        c = m.compartment("central")
        m.ode(c, pkpd.where(condition(m, at, c), 1.0, 0.0) - at * c)
        m.observe("cp", pkpd.where(c > 0, c, 0), additive=m.sigma("ADD", 1.0))

    return pkpd.model(define)


@pytest.mark.parametrize(
    "condition", [lambda m, at, c: m.time**2 < at, lambda m, at, c: c > 1, lambda m, at, c: c > at]
)
def test_a_switch_that_moves_with_the_parameters_is_said_to_spoil_derivatives(condition):
    with pytest.warns(pkpd.errors.PkpdWarning, match="W_MODEL_SWITCH.*rate of central"):
        switching(condition)


@pytest.mark.parametrize(
    "condition",
    [lambda m, at, c: m.time < 2, lambda m, at, c: at > 1, lambda m, at, c: 3 * at - 2 * m.time > 1],
)
def test_a_switch_that_stays_put_or_is_stopped_at_is_no_news(condition):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        switching(condition)
