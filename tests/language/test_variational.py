"""The generated variational equations against the Jacobian and differences of it, and what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

import pkpd
from pkpd import exp
from pkpd.language.reach import reach
from tests.kernels.cases import Case
from tests.kernels.test_ode import etas, saturable, target, turnover


@pkpd.model
def two_drugs(m):
    """Neither drug knows the other's slots; the response, with a switch at a time that is a slot, knows all."""
    ka, k1, k2, emax, ec, kout, lag, start = etas(m, "KA", "K1", "K2", "EMAX", "EC", "KOUT", "LAG", "START")
    depot, one = m.compartment("depot", lag=lag), m.compartment("one")
    two, response = m.compartment("two"), m.compartment("response", initial=10.0)
    m.ode(depot, -ka * depot)
    m.ode(one, ka * depot - k1 * one)
    m.ode(two, -k2 * two * two)
    drive = pkpd.where(m.time > start, emax * one / (ec + one + two), 0.0)
    m.ode(response, kout * (1 - drive) * exp(-two) - kout * response)
    m.observe("y", response, additive=m.sigma("SD", 1.0))


@pytest.mark.parametrize("model", [saturable, target, turnover, two_drugs], ids=lambda m: m.name)
def test_both_orders_are_the_derivatives_of_the_rates(model):
    problem = Case(model, "ode").problem
    f, held, n, slots = (
        problem.functions,
        problem.compiled[-1].held,
        len(problem.structure.states),
        problem.n_slots,
    )
    pairs, size = slots * (slots + 1) // 2, len(held)
    random = np.random.default_rng(4)
    t, x, p = 3.0, random.uniform(0.5, 2, n), random.uniform(0.5, 2, slots)
    # what is not held is zero
    flat = np.zeros(n + n * slots + n * pairs)
    flat[held] = random.normal(size=size)
    first = flat[n : n + n * slots].reshape(n, slots)
    rows, columns = np.tril_indices(slots)
    second = np.zeros((n, slots, slots))
    second[:, rows, columns] = second[:, columns, rows] = flat[n + n * slots :].reshape(n, pairs)

    def slopes(x, p, first):
        j = np.zeros((n, n + slots + 1))
        f["jacobian"](t, x, p, j)
        return j[:, :n] @ first + j[:, n : n + slots]

    wanted = np.zeros_like(flat)
    wanted[n : n + n * slots] = slopes(x, p, first).ravel()
    step, ahead = 1e-5, np.zeros((n, slots, slots))
    for q in range(slots):
        up, down = (
            slopes(x + h * first[:, q], p + h * np.eye(slots)[q], first + h * second[:, :, q])
            for h in (step, -step)
        )
        ahead[:, :, q] = (up - down) / (2 * step)
    wanted[n + n * slots :] = ahead[:, rows, columns].ravel()
    given, found = np.concatenate([x, flat[held][n:]]), np.zeros(size)
    for order, end in ((1, np.sum(held < n + n * slots)), (2, size)):
        f["hessian"](order, t, given, p, found)
        # central differences of numbers of order 1 to 100
        np.testing.assert_allclose(
            found[n:end],
            wanted[held][n:end],
            rtol=1e-13 if order == 1 else 1e-7,
            atol=1e-6 * (order - 1) + 1e-13,
        )
    left_out = np.setdiff1d(np.arange(n, len(flat)), held)
    np.testing.assert_allclose(wanted[left_out], 0.0, atol=1e-12)


def test_a_state_holds_the_slots_that_reach_it_and_no_more_where_one_order_can_say_so():
    problem = Case(two_drugs, "ode").problem
    structure = problem.structure
    order, widths = structure.slot_order, structure.widths
    slot = {str(e).strip("_"): i for i, e in enumerate(structure.slots)}
    reached = [{order[a] for a in range(width)} for width in widths]
    assert reached[0] == {slot["KA"], slot["LAG"]}
    assert reached[1] == {slot["KA"], slot["LAG"], slot["K1"]}
    assert slot["K2"] in reached[2]
    assert widths[3] == problem.n_slots
    assert len(problem.compiled[-1].held) < 4 * (1 + problem.n_slots * (problem.n_slots + 3) // 2)
    states, symbols = structure.states, structure.slot_symbols
    assert reach(structure.rates, states, symbols, [(2, 0)])[1][2] > 0
