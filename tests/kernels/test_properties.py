"""What must hold whatever the system: mass balance, superposition, the stepper equal to the closed form."""

from __future__ import annotations

from functools import cache

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import pkpd
from pkpd.kernels import status
from tests.kernels.cases import Case

N = 3
QUICK = settings(max_examples=60, deadline=None, derandomize=True)


@pkpd.model
def network(m):
    """Any exchange between three compartments, any loss from each, and what was lost."""
    flows = {
        (i, j): m.parameter(f"K{i}{j}", m.eta(f"K{i}{j}", variance=1)) for i in range(N) for j in range(N)
    }
    x = [m.compartment(f"x{i}") for i in range(N)]
    lost = m.compartment("lost")
    for i in range(N):
        out = sum(flows[i, j] for j in range(N)) * x[i]  # flows[i, i] leaves the system
        m.ode(x[i], sum(flows[j, i] * x[j] for j in range(N) if j != i) - out)
    m.ode(lost, sum(flows[i, i] * x[i] for i in range(N)))
    for state in (*x, lost):
        m.observe(
            f"y{len(m._observations)}",
            state,
            **({"additive": m.sigma("SD", 1.0)} if not m._observations else {"additive": "SD"}),
        )


@cache
def case(kind):
    # tolerances of the stepper, so that it keeps eight digits at the end
    return Case(network, kind, rtol=1e-11, atol=1e-13)


rate = st.one_of(st.just(0.0), st.just(0.5), st.floats(1e-3, 3.0))
systems = st.lists(rate, min_size=N * N, max_size=N * N)
dose = st.tuples(
    st.floats(0, 10),
    st.floats(0.1, 100),
    st.integers(0, N - 1),
    st.one_of(st.just(0.0), st.floats(1.0, 50.0)),
)
doses = st.lists(dose, min_size=1, max_size=3)
TIMES = np.repeat([0.0, 0.7, 3.0, 8.0, 20.0], N + 1)
ENDPOINTS = np.tile(np.arange(N + 1), 5)


def states(kind, p, given_doses, order=0):
    code, f, gradient, hessian = case(kind).solve(p, given_doses, TIMES, order, endpoint=ENDPOINTS)
    assert code == status.OK
    return f.reshape(5, N + 1), gradient, hessian


def given_by(t, given_doses):
    return sum(a if r == 0 else min(a, r * max(0.0, t - at)) for at, a, _, r in given_doses if at <= t)


@QUICK
@given(systems, doses)
def test_what_is_in_the_body_and_what_was_lost_is_what_was_given(p, given_doses):
    total = sum(d[1] for d in given_doses)
    for kind, tolerance in (("linear", 1e-10), ("ode", 1e-8)):
        x = states(kind, p, given_doses)[0]
        np.testing.assert_allclose(
            x.sum(1), [given_by(t, given_doses) for t in TIMES[:: N + 1]], rtol=0, atol=tolerance * total
        )
        assert x.min() > -tolerance * total


@QUICK
@given(systems, doses, doses, st.floats(0.1, 10))
def test_profiles_of_doses_add_up(p, one, other, factor):
    together = states("linear", p, [*one, *other])[0]
    apart = states("linear", p, one)[0] + states("linear", p, other)[0]
    scale = sum(d[1] for d in [*one, *other])
    np.testing.assert_allclose(together, apart, rtol=0, atol=1e-10 * scale)
    larger = [(t, a * factor, c, r * factor) for t, a, c, r in one]
    np.testing.assert_allclose(
        states("linear", p, larger)[0],
        factor * states("linear", p, one)[0],
        rtol=0,
        atol=1e-10 * factor * scale,
    )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(systems, doses)
def test_the_stepper_equals_the_closed_form_with_its_derivatives(p, given_doses):
    scale = sum(d[1] for d in given_doses)
    closed, stepped = states("linear", p, given_doses, 2), states("ode", p, given_doses, 2)
    np.testing.assert_allclose(stepped[0], closed[0], rtol=0, atol=1e-8 * scale)
    # rates are of the order of one, times up to 20: derivatives are up to 20 and 400 times the dose
    np.testing.assert_allclose(stepped[1], closed[1], rtol=0, atol=1e-7 * 20 * scale)
    np.testing.assert_allclose(stepped[2], closed[2], rtol=0, atol=1e-7 * 400 * scale)


@QUICK
@given(systems, doses)
def test_eigenvectors_and_matrix_exponential_meet(p, given_doses):
    """Two equal rates force the matrix exponential; a rate moved by 1e-3 may not. Both are smooth in the rates."""
    p = np.array(p)
    x, gradient, hessian = states("linear", p, given_doses, 2)
    step = np.zeros(N * N)
    step[0] = 1e-3 * max(p[0], 1e-3)
    moved = states("linear", p + step, given_doses, 2)[0].ravel()
    predicted = x.ravel() + gradient @ step + 0.5 * np.einsum("a,oab,b->o", step, hessian, step)
    # the third derivative is below 20³ times the dose
    bound = 20**3 * step[0] ** 3 + 1e-10
    np.testing.assert_allclose(moved, predicted, rtol=0, atol=bound * sum(d[1] for d in given_doses))
