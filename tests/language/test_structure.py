"""Which systems are linear, what becomes a slot, and the text that is generated from it."""

from __future__ import annotations

import ast
import math
import re

import numpy as np
import pytest
import sympy

import pkpd
from pkpd import exp, sqrt, where
from pkpd._generated import compile_generated
from pkpd.errors import InputError, ModelError
from pkpd.language import Solver
from pkpd.language.generate import _PRINTER, model_source
from pkpd.language.structure import analyse

# some of these systems switch by state on purpose
pytestmark = pytest.mark.filterwarnings("ignore:W_MODEL_SWITCH")


def system(rates, count=1):
    """A model whose compartments have ``rates(m, p, x)``; its parameters A, B, C, D are thetas."""

    def define(m):
        p = {n: m.parameter(n, m.theta(n, 1.0)) for n in "ABCD"}
        x = [m.compartment(f"x{i}") for i in range(count)]
        for state, rate in zip(x, rates(m, p, x), strict=True):
            m.ode(state, rate)
        total = sum(p.values())
        m.observe("y", x[0] * total, additive=m.sigma("SD", 1.0))

    return pkpd.model(define)


@pytest.mark.parametrize(
    ("linear", "count", "rates"),
    [
        (True, 1, lambda m, p, x: [-p["A"] / p["B"] * x[0]]),
        (True, 2, lambda m, p, x: [-(p["A"] + p["C"]) / p["B"] * x[0] + p["C"] / p["D"] * x[1],
                                p["C"] * (x[0] / p["B"] - x[1] / p["D"])]),
        (True, 1, lambda m, p, x: [p["A"] - p["B"] * x[0]]),
        (True, 1, lambda m, p, x: [-where(p["A"] > 1, p["B"], p["C"]) * x[0]]),
        (True, 1, lambda m, p, x: [(x[0] ** 2 * p["A"] + x[0]) / x[0] * 0 - p["B"] * x[0]]),
        (True, 1, lambda m, p, x: [-p["A"] * (x[0] * p["B"] + x[0] ** 2) / (p["B"] + x[0])]),
        (True, 1, lambda m, p, x: [0]),
        (False, 1, lambda m, p, x: [-p["A"] * x[0] / (p["B"] + x[0])]),
        (False, 1, lambda m, p, x: [-p["A"] * x[0] ** 1.5]),
        (False, 1, lambda m, p, x: [-p["A"] * (1 + m.time) * x[0]]),
        (False, 1, lambda m, p, x: [p["A"] * exp(-m.time) - p["B"] * x[0]]),
        (False, 1, lambda m, p, x: [where(x[0] > 5, p["A"], p["B"])]),
        (False, 1, lambda m, p, x: [where(m.time > 5, p["A"], p["B"]) - x[0]]),
        (False, 1, lambda m, p, x: [-where(x[0] > 5, p["A"], p["B"]) * x[0]]),
        (False, 2, lambda m, p, x: [-p["A"] * x[0] * x[1], p["B"] * x[0] - x[1]]),
        (False, 1, lambda m, p, x: [-p["A"] * abs(x[0])]),
        (False, 1, lambda m, p, x: [-p["A"] * sqrt(x[0] ** 2)]),
        (False, 1, lambda m, p, x: [-p["A"] * pkpd.log(x[0])]),
    ],
)  # fmt: skip
def test_linear_systems_are_recognised(linear, count, rates):
    assert analyse(system(rates, count)).linear is linear
    if linear:
        assert not analyse(system(rates, count), "ode").linear
    else:
        with pytest.raises(ModelError, match="E_MODEL_NOT_LINEAR"):
            analyse(system(rates, count), "linear")


@pytest.mark.parametrize(
    "options", [{"kind": "euler"}, {"rtol": 0.0}, {"rtol": 2.0}, {"atol": -1.0}, {"max_steps": 0}]
)
def test_a_solver_that_cannot_be_is_refused(options):
    with pytest.raises(InputError, match="E_SOLVER"):
        Solver(**options)


def test_slots_are_the_largest_parts_without_states_and_time():
    def rates(m, p, x):
        return [
            -p["A"] / p["B"] * x[0] / (1 + p["C"] * p["D"] ** 2 * m.time),
            3 * p["A"] / p["B"] * x[0] - x[1] ** 2,
        ]

    structure = analyse(system(rates, 2))
    names = {re.sub(r"\b_([A-D])\b", r"\1", str(s)) for s in structure.slots}
    assert {str(sympy.sympify(n)) for n in names} == {"A/B", "C*D**2", "A + B + C + D"}
    # second derivatives: every row is one that is not identically zero
    assert {tuple(r) for r in structure.table.tolist()} >= {(1, 1, 1), (1, 2, 0)}


def test_a_linear_system_shares_the_slots_of_its_coefficients():
    two = analyse(system(lambda m, p, x: [-(p["A"] + p["C"]) / p["B"] * x[0] + p["C"] / p["D"] * x[1],
                                          p["C"] * (x[0] / p["B"] - x[1] / p["D"])], 2))  # fmt: skip
    assert len(two.slots) == 4  # a/b, c/b, c/d, and what the output needs
    k = np.zeros((2, 3))
    values = dict(zip("ABCD", (2.0, 10.0, 4.0, 25.0), strict=True))
    for (i, j, slot), factor in zip(two.table.tolist(), two.coefficients, strict=True):
        k[i, j] += factor * float(
            two.slots[slot].subs({s: values[s.name] for s in two.slots[slot].free_symbols})
        )
    np.testing.assert_allclose(k, [[-0.6, 0.16, 0], [0.4, -0.16, 0]], rtol=1e-15)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e-300, 123456789.123456789, 2.0**-30, 6.02214076e23, -0.07])
def test_generated_numbers_keep_every_digit(value):
    assert float(ast.literal_eval(_PRINTER.doprint(sympy.Float(value)))) == value
    for text, exact in (
        (_PRINTER.doprint(sympy.Rational(1, 3)), 1 / 3),
        (_PRINTER.doprint(sympy.Integer(7)), 7.0),
    ):
        assert eval(text) == exact and isinstance(eval(text), float)


def test_generated_powers_multiply_and_precedence_holds():
    a, b = sympy.symbols("a b", real=True)
    scope = {"a": -1.7, "b": 0.6, "math": math}
    for e in (a**2, a**-3, (a + b) ** 3, a ** sympy.Rational(4), -(a**2), (a * b) ** -1, 1 / (a + b), a / b**2, (-a) ** 4,
              b ** sympy.Rational(1, 2), b**0.75, (a**2) ** b, 2**b, a**7, b**-0.5,
              (a - b) ** 2 / (a * b), sympy.exp(a * b)):  # fmt: skip
        assert eval(_PRINTER.doprint(e), scope) == pytest.approx(float(e.subs({a: -1.7, b: 0.6})), rel=1e-14)
    assert "**" not in _PRINTER.doprint(a**3 + b**-4)


def test_generated_functions_hold_values_and_both_orders_of_derivatives():
    """All expressions that the language can make, against SymPy's own derivatives."""
    z = sympy.symbols("z0:4", real=True)
    eta, theta, cov = z[:2], z[2:3], z[3:]
    slots = (
        theta[0] * sympy.exp(eta[0]) * (cov[0] / 70) ** sympy.Float(0.75),
        sympy.Piecewise((theta[0] * eta[1] ** 2, cov[0] > 60), (eta[0], True)),
        sympy.Piecewise(
            (eta[0], sympy.And(cov[0] > 60, sympy.Eq(theta[0], 3))), (sympy.log(theta[0]) * eta[1], True)
        ),
        1 / (1 + sympy.exp(-eta[0] * theta[0])) + sympy.sqrt(theta[0] + eta[1] ** 2),
        sympy.Abs(eta[0] - theta[0]) + sympy.Integer(2),
    )
    model = system(lambda m, p, x: [-p["A"] * x[0]])
    structure = analyse(model)
    object.__setattr__(structure, "slots", slots)
    functions = compile_generated(model_source(structure, {}, slots, eta, theta, cov))
    at = np.array([0.3, -0.8, 1.9, 82.0])
    p, dp, d2p = np.zeros(5), np.full((5, 3), np.nan), np.full((5, 2, 3), np.nan)
    functions["parameters"](2, at[2:3], at[:2], at[3:], p, dp, d2p)
    number = dict(zip(z, at.tolist(), strict=True))
    plain = [s.replace(sympy.Abs, lambda a: -a) for s in slots]  # eta - theta is negative here
    for i, e in enumerate(plain):
        assert p[i] == pytest.approx(float(e.subs(number)), rel=1e-14)
        for a in range(3):
            assert dp[i, a] == pytest.approx(float(sympy.diff(e, z[a]).subs(number)), rel=1e-13, abs=1e-15)
            for b in range(2):
                assert d2p[i, b, a] == pytest.approx(
                    float(sympy.diff(e, z[a], z[b]).subs(number)), rel=1e-12, abs=1e-14
                )
    untouched = np.full((5, 3), 7.0)
    functions["parameters"](0, at[2:3], at[:2], at[3:], p, untouched, d2p)
    assert np.all(untouched == 7.0)  # order 0 costs no derivatives


def test_a_high_power_of_a_sum_is_seen_to_be_nonlinear_without_multiplying_it_out():
    # simplified, its derivative has thousands of terms: that took minutes, values at two states take none
    m = pkpd.load_model("tumour_simeoni")
    assert not analyse(m).linear


@pytest.mark.parametrize("factor", ["(a + b) - b", "a * (1 + b) / (1 + b)"])
def test_nonlinear_writing_of_a_linear_rate_is_still_linear(factor):
    @pkpd.model
    def written(m):
        """Two compartments."""
        a, b = m.compartment("a"), m.compartment("b")
        k = m.theta("K", 1.0, lower=0)
        m.ode(a, -k * eval(factor, {"a": a, "b": b}))
        m.ode(b, k * a)
        m.observe("y", a + b, additive=m.sigma("ADD", 1.0))

    assert analyse(written).linear


def test_times_at_which_rates_switch_are_numbers_or_slots():
    @pkpd.model
    def define(m):
        k, at = (
            m.parameter("K", m.theta("K", 1.0)),
            m.parameter("AT", m.theta("AT", 2.0) * pkpd.exp(m.eta("AT", variance=0.1))),
        )
        c = m.compartment("c")
        m.ode(c, pkpd.where(m.time < 3, 1.0, 0.0) + pkpd.where(4 - 2 * m.time < -at, 1.0, 0.0) - k * c)
        m.observe("y", c, additive=m.sigma("ADD", 1.0))

    found = analyse(define)
    assert len(found.switches) == 2 and found.switches[1] == 3.0
    at = define.parameters[1].symbol
    assert found.slots[int(-found.switches[0]) - 1] in (at / 2 + 2, define.parameters[1].expression / 2 + 2)
