"""The generated step against the functions whose text it is, and that derivatives change nothing about it."""

from __future__ import annotations

import numpy as np
import pytest

from pkpd._generated import compile_generated
from pkpd.kernels.dormand_prince import (
    ALL,
    LAST,
    LINE,
    NEW,
    POINT,
    ROWS,
    Y,
    combine,
    interpolant,
    node,
)
from pkpd.language.explicit import step_lines
from tests.kernels.cases import Case
from tests.kernels.test_ode import saturable, target, turnover


def text(size, timed):
    """Rates in a ring, each state driven by the next, with the time where ``timed``."""
    time = "math.sin(t)" if timed else "0.25"
    rates = [f"    dx[{i}] = {time}*x[{(i + 1) % size}] - p[0]*x[{i}]*x[{i}]" for i in range(size)]
    step = ["    " + line for line in step_lines(size, timed)]
    return "\n".join(
        ["import math", "def rates(t, x, p, dx):", *rates, "def hessian(order, t, x, p, values):", *step, ""]
    )


@pytest.mark.parametrize("timed", [False, True])
@pytest.mark.parametrize("size", [1, 3, 4, 5, 11, LINE])
def test_a_step_and_its_interpolant_have_the_bits_of_the_kernel(size, timed):
    functions = compile_generated(text(size, timed))
    # stages beyond the edge are evaluated at it
    t, h, edge, p = 0.4, 0.3, 0.4 + 0.3 * 0.9, np.array([0.7])
    ours, theirs = np.zeros((ROWS, LINE)), np.zeros((ROWS, LINE))
    for rows in (ours, theirs):
        rows[Y, :size] = np.random.default_rng(size).normal(size=size)
        functions["rates"](t, rows[Y], p, rows[0])
    functions["hessian"](0, t, np.array([h, edge]), p, ours.reshape(-1))
    functions["hessian"](-1, t, np.array([h, edge]), p, ours.reshape(-1))
    for stage in range(1, ALL):
        combine(size, h, theirs.reshape(-1), stage)
        functions["rates"](
            min(t + node(stage) * h, edge), theirs[NEW if stage == LAST else POINT], p, theirs[stage]
        )
    interpolant(size, h, theirs.reshape(-1))
    np.testing.assert_array_equal(ours, theirs)
    assert np.all(ours[:, :size] != 0)


def test_states_that_fit_no_row_have_none():
    assert step_lines(LINE, False) and not step_lines(LINE + 1, False)


@pytest.mark.parametrize("model", [saturable, target, turnover], ids=lambda m: m.name)
def test_predictions_are_the_same_with_and_without_derivatives(model):
    """Under boluses steps are generated code only without derivatives; during an infusion never."""
    case, doses, times = (
        Case(model, "ode"),
        [(0.0, 50.0, 0, 0.0), (6.0, 30.0, 0, 10.0)],
        np.linspace(0.5, 30, 40),
    )
    values = np.linspace(0.4, 0.7, len(case.names))
    plain, first, second = (case.solve(values, doses, times, order=order) for order in range(3))
    assert plain[0] == 0
    np.testing.assert_array_equal(plain[1], first[1])
    np.testing.assert_array_equal(plain[1], second[1])
