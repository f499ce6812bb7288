"""The closed form against published solutions, mpmath, and itself by another road."""

from __future__ import annotations

import itertools
from functools import cache

import mpmath
import numpy as np
import pytest

import pkpd
from pkpd.kernels import status
from pkpd.kernels.eigen import eigenbasis
from tests import naive
from tests.kernels import twins
from tests.kernels.cases import VALUES, Case, mammillary_case

TIMES = [0.25, 1.0, 3.0, 11.9, 12.5, 25.0, 40.0]
VOLUMES = {1: (10.0,), 2: (10.0, 25.0), 3: (10.0, 25.0, 80.0)}
FLOWS = {1: (), 2: (4.0,), 3: (4.0, 1.5)}


@pytest.fixture(autouse=True, scope="module")
def roots_once():
    original = naive.disposition
    naive.disposition = cache(original)
    yield
    naive.disposition = original


def administrations(route, additional):
    times = (0.0, 12.0, 24.0) if additional else (0.0,)
    compartment, rate = {"bolus": (1, 0.0), "infusion": (1, 50.0), "oral": (0, 0.0)}[route]
    return [(t, 100.0, compartment, rate) for t in times]


@pytest.mark.parametrize("route", ["bolus", "infusion", "oral"])
@pytest.mark.parametrize("compartments", [1, 2, 3])
def test_every_combination_of_route_lag_bioavailability_repeats_initial_amount_and_input(compartments, route):
    disposition = (2.0, VOLUMES[compartments], FLOWS[compartments])
    for lag, fraction, additional, initial, constant in itertools.product(
        (0.0, 0.35), (1.0, 0.6), (False, True), (0.0, 30.0), (0.0, 1.5)
    ):
        doses = administrations(route, additional)
        expected = naive.concentration(
            TIMES, [d[:2] for d in doses], *disposition, lag=lag, bioavailability=fraction,
            ka=0.9 if route == "oral" else None, duration=2.0 * fraction if route == "infusion" else None,
        )  # fmt: skip
        if initial:
            expected = expected + naive.concentration(TIMES, [(0.0, initial)], *disposition)
        if constant:
            expected = expected + naive.concentration(
                TIMES, [(0.0, 1e3 * constant)], *disposition, duration=1e3
            )
        values = VALUES | {"LAG": lag, "F": fraction, "A0": initial, "R0": constant}
        code, f, *_ = mammillary_case(compartments, True).solve(values, doses, TIMES)
        assert code == status.OK
        np.testing.assert_allclose(f, expected, rtol=1e-12)
        if (lag, fraction, initial, constant) == (0.0, 1.0, 0.0, 0.0):
            np.testing.assert_allclose(
                mammillary_case(compartments, False).solve(VALUES, doses, TIMES)[1], expected, rtol=1e-12
            )


def mammillary_system(names, compartments):
    """The same models, written out for mpmath."""

    def system(p):
        q = {k: mpmath.mpf(v) for k, v in VALUES.items()} | dict(zip(names, p, strict=True))
        n = compartments + 1
        k = [[mpmath.mpf(0)] * n for _ in range(n)]
        k[0][0], k[1][0], k[1][1] = -q["KA"], q["KA"], -q["CL"] / q["V1"]
        for c in range(2, n):
            out, back = q[f"Q{c}"] / q["V1"], q[f"Q{c}"] / q[f"V{c}"]
            k[1][1] -= out
            k[c][1], k[1][c], k[c][c] = out, back, -back
        rest = [0] * (n - 2)
        return k, [0, q["R0"], *rest], [0, q["A0"], *rest], [q["LAG"]] * 2 + rest, [q["F"]] * 2 + rest

    return system, lambda p, x: x[1] / dict(zip(names, p, strict=True))["V1"]


@pytest.mark.parametrize(
    ("compartments", "doses"),
    [
        (1, [(0.0, 100.0, 0, 0.0), (12.0, 50.0, 0, 0.0)]),
        (2, [(0.0, 100.0, 1, 40.0), (1.0, 50.0, 1, 9.0), (12.0, 50.0, 0, 5.0)]),
        (3, [(0.0, 100.0, 1, 0.0), (0.5, 50.0, 1, 20.0)]),
    ],
    ids=["oral", "overlapping infusions, one into the depot", "bolus and infusion"],
)
def test_both_orders_of_derivatives_with_lag_and_bioavailability_are_those_of_mpmath(compartments, doses):
    case = mammillary_case(compartments, True)
    values = VALUES | {"LAG": 0.35, "F": 0.7, "A0": 20.0, "R0": 1.5}
    p = np.array([values[n] for n in case.names])
    times = [0.2, 1.0, 7.0, 13.0, 25.0]
    exact = twins.linear(*mammillary_system(case.names, compartments), doses, times)
    code, f, gradient, hessian = case.solve(p, doses, times, 2)
    assert code == status.OK
    # a direction in which every parameter moves sees every entry of gradient and Hessian
    v = np.random.default_rng(2).uniform(0.3, 1, len(p)) * p
    for ours, theirs in zip(
        (f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), twins.directional(exact, p, v), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12 * np.abs(theirs).max())
    np.testing.assert_allclose(hessian, hessian.transpose(0, 2, 1), rtol=1e-12)


def test_orders_agree_bit_by_bit():
    values = VALUES | {"LAG": 0.35, "F": 0.7, "A0": 20.0, "R0": 1.5}
    for ka in (0.9, 0.2, 0.2 * (1 + 1e-4), 0.2 * (1 + 1e-8)):
        results = [
            mammillary_case(1, True).solve(values | {"KA": ka}, [(0.0, 100.0, 0, 0.0)], TIMES, order)
            for order in range(3)
        ]
        assert np.array_equal(results[0][1], results[1][1])
        assert np.array_equal(results[1][1], results[2][1])
        assert np.array_equal(results[1][2], results[2][2])


def test_orders_agree_bit_by_bit_where_samples_meet_events_and_infusions_run():
    doses = [(t, 100.0, int(t) % 2, 20.0 * (int(t) % 3)) for t in (0.0, 1.0, 2.0, 5.0, 12.0)]
    times = np.sort(np.r_[0.0, 0.0, 1.0, 2.0, 2.0, 5.0, np.linspace(0, 30, 40)])
    rows = np.arange(len(times)) % 4
    case = mammillary_case(2, False)
    results = [
        case.solve(VALUES, doses, times, order, dose_row=[0, 1, 2, 3, 4], obs_row=rows) for order in range(3)
    ]
    assert np.array_equal(results[0][1], results[1][1])
    assert np.array_equal(results[1][1], results[2][1])
    assert np.array_equal(results[1][2], results[2][2])


@pkpd.model
def chain(m):
    k = [m.parameter(f"K{i}", m.eta(f"K{i}", variance=1)) for i in range(3)]
    a = [m.compartment(f"c{i}") for i in range(3)]
    m.ode(a[0], -k[0] * a[0])
    m.ode(a[1], k[0] * a[0] - k[1] * a[1])
    m.ode(a[2], k[1] * a[1] - k[2] * a[2])
    m.observe("y", a[2], additive=m.sigma("SD", 1.0))


def chain_system(p):
    return [[-p[0], 0, 0], [p[0], -p[1], 0], [0, p[1], -p[2]]], [0] * 3, [0] * 3, [0] * 3, [1] * 3


# Measured with the eigenvectors forced: the error of all three orders is 1e-15 times their condition number (2/gap for two close
# rates, 3/gap² for three); forced the other way, the matrix exponential stays below 1e-14 for every gap.
@pytest.mark.parametrize("gap", [0.0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 3e-4, 1e-3, 1e-2, 3e-2])
@pytest.mark.parametrize("alike", [2, 3])
def test_rates_that_nearly_coincide_keep_ten_digits_at_every_order(gap, alike):
    p = np.array([0.9 if alike == 2 else 0.3 * (1 - 0.7 * gap), 0.3 * (1 + gap), 0.3])
    doses, times = [(0.0, 100.0, 0, 0.0), (2.0, 50.0, 0, 10.0)], [1.0, 7.0, 25.0]
    code, f, gradient, hessian = _chain().solve(p, doses, times, 2)
    assert code == status.OK
    v = p * np.array([0.7, -1.0, 0.4])
    exact = twins.directional(twins.linear(chain_system, lambda _, x: x[2], doses, times), p, v)
    for ours, theirs in zip((f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), exact, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-10 * np.abs(theirs).max())


@cache
def _chain():
    return Case(chain)


def test_absorption_as_fast_as_elimination():
    for gap in (0.0, *10.0 ** -np.arange(3, 13)):
        values = VALUES | {"KA": 0.2 * (1 + gap)}
        f = mammillary_case(1, False).solve(values, [(0.0, 100.0, 0, 0.0)], TIMES)[1]
        expected = naive.concentration(TIMES, [(0.0, 100.0)], 2.0, (10.0,), ka=0.2 * (1 + gap))
        np.testing.assert_allclose(f, expected, rtol=1e-11)


def test_zero_clearance_keeps_all_that_was_given():
    values = VALUES | {"CL": 0.0}
    for compartments in (1, 2, 3):
        code, f, gradient, _ = mammillary_case(compartments, False).solve(
            values, [(0.0, 100.0, 1, 50.0)], [1e4], 2
        )
        assert code == status.OK
        assert f[0] == pytest.approx(100 / sum(VOLUMES[compartments]), rel=1e-11)
        # d/dCL at CL = 0 grows like -∫C/V: it must be finite and negative
        assert -1e6 < gradient[0, 1] < 0


@pkpd.model
def accumulating(m):
    cl = m.parameter("CL", m.eta("CL", variance=1))
    v = m.parameter("V", m.eta("V", variance=1))
    central, area = m.compartment("central"), m.compartment("area")
    m.ode(central, -cl / v * central)
    m.ode(area, central / v)
    m.observe("auc", area, additive=m.sigma("SD", 1.0))


def test_a_compartment_that_accumulates_holds_the_area():
    t, cl, v, dose = 7.0, 2.0, 10.0, 100.0
    code, f, gradient, hessian = Case(accumulating).solve([cl, v], [(0.0, dose, 0, 0.0)], [t, 1e5], 2)
    assert code == status.OK
    decay = np.exp(-cl / v * t)
    np.testing.assert_allclose(f, [dose / cl * (1 - decay), dose / cl], rtol=1e-13)
    np.testing.assert_allclose(
        gradient, [[-dose / cl**2 * (1 - decay) + dose * t / (cl * v) * decay, -dose * t / v**2 * decay], [-dose / cl**2, 0]],
        rtol=1e-12, atol=1e-12,
    )  # fmt: skip
    np.testing.assert_allclose(hessian[1], [[2 * dose / cl**3, 0], [0, 0]], rtol=1e-12, atol=1e-10)


@pkpd.model
def oscillator(m):
    a, w = (m.parameter(n, m.eta(n, variance=1)) for n in ("A", "W"))
    x, y = m.compartment("x"), m.compartment("y")
    m.ode(x, -a * x - w * y)
    m.ode(y, w * x - a * y)
    m.observe("x", x, additive=m.sigma("SD", 1.0))


def test_complex_eigenvalues_are_solved_with_their_derivatives():
    a, w, t = 0.3, 2.0, np.array([0.1, 1.0, 4.0, 12.0])
    code, f, gradient, hessian = Case(oscillator, "linear").solve([a, w], [(0.0, 5.0, 0, 0.0)], t, 2)
    assert code == status.OK
    envelope = 5 * np.exp(-a * t)
    cos, sin = envelope * np.cos(w * t), envelope * np.sin(w * t)
    np.testing.assert_allclose(f, cos, rtol=0, atol=1e-13)
    np.testing.assert_allclose(gradient, np.column_stack([-t * cos, -t * sin]), rtol=0, atol=1e-12)
    np.testing.assert_allclose(
        hessian,
        np.moveaxis(np.array([[t**2 * cos, t**2 * sin], [t**2 * sin, -(t**2) * cos]]), 2, 0),
        rtol=0,
        atol=1e-11,
    )


def test_eigenbasis_says_when_eigenvectors_are_no_use():
    assert eigenbasis(np.array([[-0.9, 0.0], [0.9, -0.2]]))[0]
    assert not eigenbasis(np.array([[-0.2, 0.0], [0.2, -0.2]]))[0]  # parallel
    assert not eigenbasis(np.array([[0.0, 1.0], [-1.0, 0.0]]))[0]  # complex
    assert not eigenbasis(np.array([[np.nan, 0.0], [0.2, -0.2]]))[0]
    usable, values, vectors, inverse = eigenbasis(np.array([[-1.0, 0.5], [0.7, -2.0]]))
    assert usable
    np.testing.assert_allclose(vectors @ np.diag(values) @ inverse, [[-1.0, 0.5], [0.7, -2.0]], rtol=1e-14)


def test_parameters_that_are_no_numbers_and_negative_lags_are_statuses():
    case = mammillary_case(1, True)
    doses = [(0.0, 100.0, 1, 50.0)]
    assert case.solve(VALUES | {"CL": np.nan}, doses, TIMES)[0] == status.NOT_FINITE
    assert case.solve(VALUES | {"CL": -1e4}, doses, TIMES)[0] == status.NOT_FINITE
    assert case.solve(VALUES | {"V1": 0.0}, doses, TIMES)[0] == status.NOT_FINITE
    assert case.solve(VALUES | {"LAG": -0.1}, doses, TIMES)[0] == status.EVENT_TIME_NEGATIVE
    assert case.solve(VALUES | {"F": -0.1}, doses, TIMES)[0] == status.EVENT_TIME_NEGATIVE
    assert all(
        code in status.MESSAGES
        for name, code in vars(status).items()
        if name.isupper() and name != "MESSAGES"
    )


def rate_constants(n, density, seed):
    """A random network of compartments with losses."""
    rng = np.random.default_rng(seed)
    k = rng.uniform(0, 1, (n, n)) * (rng.uniform(size=(n, n)) < density)
    np.fill_diagonal(k, 0.0)
    np.fill_diagonal(k, -k.sum(0) - rng.uniform(0.01, 1, n))
    return k


@pytest.mark.parametrize("n", [1, 2, 3, 5, 10])
@pytest.mark.parametrize("density", [0.2, 0.6])
def test_eigenvectors_are_those_of_lapack(n, density):
    used = 0
    for seed in range(40):
        k = rate_constants(n, density, seed)
        expected = np.linalg.eigvals(k)
        usable, values, vectors, inverse = eigenbasis(k)
        assert not (usable and np.abs(expected.imag).max() > 1e-8)
        if usable:
            used += 1
            np.testing.assert_allclose(
                values, np.sort(expected.real), rtol=0, atol=1e-13 * np.abs(expected).max()
            )
            # backward error of the decomposition: rounding times the condition number, which is below 1e4
            np.testing.assert_allclose(vectors @ np.diag(values) @ inverse, k, rtol=0, atol=1e-11)
            np.testing.assert_allclose(vectors @ inverse, np.eye(n), rtol=0, atol=1e-11)
        else:
            vectors = np.linalg.eig(k)[1]
            assert np.abs(expected.imag).max() > 0 or np.linalg.cond(vectors) > 1e3
    assert used > 0 or n == 10


def test_structural_zeros_of_the_eigenvectors_are_exact():
    """The depot gets nothing back, whatever the order of declaration: not even rounding."""
    k = np.array([[-0.6, 0.16, 0.9], [0.4, -0.16, 0.0], [0.0, 0.0, -0.9]])
    for order in itertools.permutations(range(3)):
        _, _, vectors, inverse = eigenbasis(np.ascontiguousarray(k[np.ix_(order, order)]))
        depot = order.index(2)
        assert np.count_nonzero(vectors[depot]) == 1
        for other in {0, 1, 2} - {depot}:
            assert np.all((vectors[depot] == 0) | (inverse[:, other] == 0))


@pkpd.model
def transit(m):
    """Eight transit compartments of one rate into a central one: a Jordan block of order eight."""
    ktr, cl, v = (m.parameter(n, m.eta(n, variance=1)) for n in ("KTR", "CL", "V"))
    chain = [m.compartment(f"transit{i}") for i in range(8)]
    central, metabolite = m.compartment("central"), m.compartment("metabolite")
    m.ode(chain[0], -ktr * chain[0])
    for before, after in itertools.pairwise(chain):
        m.ode(after, ktr * before - ktr * after)
    m.ode(central, ktr * chain[-1] - cl / v * central)
    m.ode(metabolite, 0.3 * cl / v * central - 0.2 * metabolite)
    m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))
    m.observe("cm", metabolite / v, additive="ADD")


def transit_system(p):
    ktr, cl, v = p
    k = [[0] * 10 for _ in range(10)]
    for i in range(8):
        k[i][i] = -ktr
        k[i + 1][i] = ktr
    k[8][8], k[9][8], k[9][9] = -cl / v, mpmath.mpf("0.3") * cl / v, mpmath.mpf("-0.2")
    return k, [0] * 10, [0] * 10, [0] * 10, [1] * 10


@pytest.mark.parametrize("endpoint", [0, 1])
def test_ten_compartments_with_a_transit_chain_and_a_metabolite(endpoint):
    case, p = Case(transit), np.array([2.0, 3.0, 10.0])
    doses, times = [(0.0, 100.0, 0, 0.0), (12.0, 60.0, 0, 30.0)], [1.0, 4.0, 9.0, 13.0, 30.0]
    code, f, gradient, hessian = case.solve(p, doses, times, 2, endpoint=endpoint)
    assert code == status.OK
    v = p * np.array([0.7, -1.0, 0.4])
    twin = twins.linear(transit_system, lambda p, x: x[8 + endpoint] / p[2], doses, times)
    for ours, theirs in zip(
        (f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), twins.directional(twin, p, v), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-11 * np.abs(theirs).max())


@pkpd.model
def parent_and_metabolites(m):
    """Two metabolites of an oral drug with two compartments, one of them formed on the first pass."""
    names = ("KA", "K10", "K12", "K21", "KM1", "KM2", "FM")
    p = {n: m.parameter(n, m.eta(n, variance=1)) for n in names}
    depot, central, peripheral = m.compartment("depot"), m.compartment("central"), m.compartment("peripheral")
    first, second = m.compartment("first"), m.compartment("second")
    m.ode(depot, -p["KA"] * depot)
    m.ode(
        central,
        p["KA"] * (1 - p["FM"]) * depot - (p["K10"] + p["K12"]) * central + p["K21"] * peripheral,
    )
    m.ode(peripheral, p["K12"] * central - p["K21"] * peripheral)
    m.ode(first, p["KA"] * p["FM"] * depot + p["K10"] * central - p["KM1"] * first)
    m.ode(second, p["KM1"] * first - p["KM2"] * second)
    m.observe("y", second, additive=m.sigma("ADD", 1.0))


def metabolite_system(p):
    ka, k10, k12, k21, km1, km2, fm = p
    k = [
        [-ka, 0, 0, 0, 0],
        [ka * (1 - fm), -k10 - k12, k21, 0, 0],
        [0, k12, -k21, 0, 0],
        [ka * fm, k10, 0, -km1, 0],
        [0, 0, 0, km1, -km2],
    ]
    return k, [0] * 5, [0] * 5, [0] * 5, [1] * 5


def test_metabolites_of_metabolites_with_first_pass():
    p = np.array([0.9, 0.3, 0.4, 0.16, 0.7, 0.05, 0.35])
    doses, times = [(0.0, 100.0, 0, 0.0), (8.0, 60.0, 1, 30.0)], [0.5, 4.0, 9.0, 13.0, 60.0]
    code, f, gradient, hessian = Case(parent_and_metabolites).solve(p, doses, times, 2)
    assert code == status.OK
    v = p * np.random.default_rng(6).uniform(-1, 1, 7)
    twin = twins.linear(metabolite_system, lambda _, x: x[4], doses, times)
    for ours, theirs in zip(
        (f, gradient @ v, np.einsum("a,oab,b->o", v, hessian, v)), twins.directional(twin, p, v), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-11 * np.abs(theirs).max())
