"""Every dosing record means what NONMEM says: conformance of resets, steady states and modelled infusions.

Expected values of linear systems are sums of responses to single administrations, those of a steady state written out far into
the past, by SciPy's matrix exponential; of the nonlinear one by DOP853. Nothing of it is shared with the kernels.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

import pkpd
from pkpd.kernels import status
from pkpd.language import Solver, bind
from pkpd.language.scales import Scales
from pkpd.population.objective import Objective
from tests import naive
from tests.kernels.cases import solve_first

CYCLES = 120  # implied doses before a steady-state dose; the slowest system below forgets e-fold in 30 h
VALUES = {
    "CL": 3.0, "V": 10.0, "Q": 2.0, "VP": 15.0, "KA": 0.8,
    "LAG": 0.0, "F": 0.7, "D": 5.0, "R": 14.0, "A0": 20.0, "R0": 1.5,
}  # fmt: skip
NAMES = {
    "iv1": ("CL", "V"),
    "iv2": ("CL", "V", "Q", "VP"),
    "oral1": ("CL", "V", "KA"),
    "oral2": ("CL", "V", "Q", "VP", "KA"),
}
EVENT = ("LAG", "F", "D", "R", "A0")


def define(structure: str, input_rate: bool):
    def model(m):
        names = [*NAMES[structure], *EVENT, *(["R0"] if input_rate else [])]
        p = {n: m.parameter(n, m.eta(n, variance=1)) for n in names}
        event = {"lag": p["LAG"], "bioavailability": p["F"], "duration": p["D"], "rate": p["R"]}
        oral = structure.startswith("oral")
        if oral:
            depot = m.compartment("depot", **event)
            m.ode(depot, -p["KA"] * depot)
        central = m.compartment("central", initial=p["A0"], **({} if oral else event))
        rate = -p["CL"] / p["V"] * central + (p["R0"] if input_rate else 0)
        if oral:
            rate = rate + p["KA"] * depot
        if "Q" in p:
            peripheral = m.compartment("peripheral")
            m.ode(peripheral, p["Q"] / p["V"] * central - p["Q"] / p["VP"] * peripheral)
            rate = rate - p["Q"] / p["V"] * central + p["Q"] / p["VP"] * peripheral
        m.ode(central, rate)
        m.observe("cp", central / p["V"], additive=m.sigma("ADD", 1.0))

    return pkpd.model(model)


def saturable(m):
    p = {n: m.parameter(n, m.eta(n, variance=1)) for n in ("VM", "KM", "V", "LAG", "F", "D", "R")}
    central = m.compartment("central", lag=p["LAG"], bioavailability=p["F"], duration=p["D"], rate=p["R"])
    m.ode(central, -p["VM"] * central / (p["KM"] * p["V"] + central))
    m.observe("cp", central / p["V"], additive=m.sigma("ADD", 1.0))


@cache
def traced(structure: str, input_rate: bool = True):
    return pkpd.model(saturable) if structure == "mm" else define(structure, input_rate)


# ------------------------------------------------------------------------------------------------- records

# none of them where some case has an event: there are no derivatives
OBSERVED = (1.1, 4.3, 6.9, 8.23, 9.71, 13.13, 20.17, 22.64, 26.37, 40.09)


def record(time, event=1, **given):
    return {"TIME": time, "EVID": event, "AMT": 0.0, "RATE": 0.0, "SS": 0, "II": 0.0, "ADDL": 0} | given


def table(records, observed=OBSERVED):
    """Records in order, observations after those at the same time, and one before and one after the one at 7 h."""
    rows = [r | {"key": (r["TIME"], 1)} for r in records]
    rows += [record(t, 0) | {"key": (t, 2), "DV": 1.0} for t in observed]
    rows += [record(7.0, 0, key=(7.0, 0), MDV=1), record(7.0, 0, key=(7.0, 2), MDV=1)]
    rows.sort(key=lambda r: r["key"])
    frame = pd.DataFrame(rows).drop(columns="key")
    frame.insert(0, "ID", 1)
    frame["MDV"] = frame["MDV"].fillna((frame["EVID"] != 0).astype(float)).astype(int)
    return frame


BEFORE = [
    record(0.0, AMT=50.0, II=5.0, ADDL=10),  # doses of it are pending at 7 h
    record(3.0, AMT=60.0, RATE=4.0),  # runs until 13.5 h
]


def solve(problem, values, order=0):
    """Status, f, gradient and Hessian of the only subject to the etas, which are the parameters."""
    functions, r = problem.functions, problem.records
    eta = np.array([values[e.name] for e in problem.model.etas])
    n, slots = len(eta), problem.n_slots
    p, dp, d2p = np.zeros(slots), np.zeros((slots, n)), np.zeros((slots, n, n))
    functions["parameters"](order, np.zeros(0), eta, np.zeros(0), p, dp, d2p)
    count = len(r.time)
    f, f_p = np.zeros(count), np.zeros((count if order else 0, slots))
    f_pp = np.zeros((count if order > 1 else 0, slots, slots))
    code = solve_first(problem, order, p, f, f_p, f_pp)
    if order == 0:
        return code, f, None, None
    gradient = f_p @ dp
    if order == 1:
        return code, f, gradient, None
    return code, f, gradient, np.einsum("sa,ost,tb->oab", dp, f_pp, dp) + np.einsum("os,sab->oab", f_p, d2p)


# --------------------------------------------------------------------------------------------- expectation


def administrations(frame, at, v):
    """Start of the system, whether with its initial amounts, and what was given (start, amount, rate or 0) to row ``at``."""
    start, initial, given = frame["TIME"].iloc[0], True, []
    for i in range(at):
        r = frame.iloc[i]
        if r["EVID"] in (3, 4):
            start, initial, given = r["TIME"], True, []
        if r["EVID"] not in (1, 4):
            continue
        rate = {-1.0: v["R"], -2.0: v["F"] * r["AMT"] / v["D"]}.get(r["RATE"], r["RATE"])
        if r["SS"] == 1:
            start, initial, given = r["TIME"] - CYCLES * max(r["II"], 12.0), False, []
        if r["SS"] and r["II"] == 0:  # has run for ever, ends now; its rate is what arrives
            given.append((r["TIME"] - CYCLES * 12.0, CYCLES * 12.0 * rate, rate))
            continue
        first = -CYCLES if r["SS"] else 0
        for k in range(first, int(r["ADDL"]) + 1):
            given.append((r["TIME"] + k * r["II"] + v["LAG"], v["F"] * r["AMT"], rate))
    return start, initial, given


def expected_linear(structure, frame, v, input_rate):
    oral, two = structure.startswith("oral"), structure.endswith("2")
    c, n = int(oral), 1 + oral + two
    k = np.zeros((n, n))
    k[c, c] = -v["CL"] / v["V"]
    if oral:
        k[0, 0], k[1, 0] = -v["KA"], v["KA"]
    if two:
        k[c, c] -= v["Q"] / v["V"]
        k[c + 1, c], k[c, c + 1], k[c + 1, c + 1] = v["Q"] / v["V"], v["Q"] / v["VP"], -v["Q"] / v["VP"]

    def responses(into, times):
        """Of central after a unit bolus and during a unit infusion into compartment ``into``."""
        a = np.zeros((n + 1, n + 1))
        a[:n, :n], a[into, n] = k, 1.0
        e = expm(a * np.maximum(times, 0.0)[:, None, None])
        return np.where(times >= 0, e[:, c, into], 0.0), np.where(times > 0, e[:, c, n], 0.0)

    out = []
    for i in np.flatnonzero(frame["EVID"] == 0):
        t = frame["TIME"].iloc[i]
        start, initial, given = administrations(frame, i, v)
        total = 0.0
        bolus, infusion = responses(c, np.array([t - start]))
        total += v["A0"] * bolus[0] if initial else 0.0
        total += v["R0"] * infusion[0] if input_rate else 0.0
        if given:
            at, amount, rate = np.array(given).T
            bolus, infusion = responses(0, t - at)
            _, ended = responses(0, t - at - amount / np.where(rate > 0, rate, 1.0))
            total += np.sum(np.where(rate > 0, rate * (infusion - ended), amount * bolus))
        out.append(total / v["V"])
    return np.array(out)


# --------------------------------------------------------------------------------------------------- cases

STYLES = {
    "bolus": {"AMT": 100.0},
    "infusion": {"AMT": 100.0, "RATE": 25.0},
    "long infusion": {"AMT": 100.0, "RATE": 3.0},  # 23 h at F 0.7: two at once
    "modelled rate": {"AMT": 100.0, "RATE": -1.0},
    "modelled duration": {"AMT": 100.0, "RATE": -2.0},
}


def steady_cases():
    structures = itertools.cycle(NAMES)
    for (style, dose), ss, lag, addl in itertools.product(STYLES.items(), (0, 1, 2), (0.0, 2.5), (0, 2)):
        ii = 12.0 if ss or addl else 0.0
        yield pytest.param(
            next(structures), [*BEFORE, record(7.0, SS=ss, II=ii, ADDL=addl, **dose)], {"LAG": lag},
            id=f"{style}-SS{ss}-lag{lag:g}-ADDL{addl}",
        )  # fmt: skip


def other_cases():
    structures = itertools.cycle(NAMES)
    for style, dose in STYLES.items():
        for lag in (0.0, 2.5):
            after = [record(7.0, 3), record(8.0, **dose)]
            yield pytest.param(
                next(structures), [*BEFORE, *after], {"LAG": lag}, id=f"reset-{style}-lag{lag:g}"
            )
            four = record(7.0, 4, II=12.0, ADDL=1, **dose)
            yield pytest.param(
                next(structures), [*BEFORE, four], {"LAG": lag}, id=f"reset and {style}-lag{lag:g}"
            )
        four = record(7.0, 4, SS=1, II=12.0, **dose)
        yield pytest.param(next(structures), [*BEFORE, four], {"LAG": 1.0}, id=f"reset and {style} at SS")
        long = {"LAG": 1.5, "D": 30.0, "R": 2.9}
        steady = record(7.0, SS=1, II=12.0, ADDL=1, **dose)
        yield pytest.param(next(structures), [steady], long, id=f"{style}, longer than II")
        whole = {"D": 24.0, "F": 1.0, "R": 100 / 24.0}  # the infusion ends as another begins
        steady = record(
            7.0, SS=1, II=12.0, **(dose | ({"RATE": 100 / 24} if dose.get("RATE", 0) > 0 else {}))
        )
        yield pytest.param(next(structures), [steady], whole, id=f"{style}, twice II")
    for structure, ss, rate in itertools.product(NAMES, (1, 2), (8.0, -1.0)):
        constant = record(7.0, SS=ss, RATE=rate)
        yield pytest.param(
            structure, [*BEFORE, constant], {"LAG": 0.5}, id=f"constant-{structure}-SS{ss}-{rate:g}"
        )
    again = [record(0.0, SS=1, II=8.0, AMT=40.0), record(7.0, SS=2, II=24.0, AMT=90.0, RATE=-2.0)]
    yield pytest.param("oral2", again, {"LAG": 2.0}, id="two regimens at steady state")
    lag = {"LAG": 12.0}
    yield pytest.param("oral1", [record(7.0, SS=1, II=12.0, AMT=100.0)], lag, id="lag of one interval")
    twice = [*BEFORE, record(5.0, 3), record(7.0, 4, AMT=10.0), record(20.0, 3)]
    yield pytest.param("iv2", twice, {"LAG": 0.5}, id="three resets")


CASES = [*steady_cases(), *other_cases()]


@pytest.mark.parametrize(("structure", "records", "changed"), CASES)
def test_closed_form(structure, records, changed):
    values, frame = VALUES | changed, table(records)
    problem = bind(traced(structure), pkpd.read_dataset(frame))
    assert problem.structure.linear
    code, f, *_ = solve(problem, values)
    assert code == status.OK
    assert f == pytest.approx(expected_linear(structure, frame, values, True), rel=1e-8, abs=1e-11)


@pytest.mark.parametrize(("structure", "records", "changed"), CASES[::2])
def test_stepper(structure, records, changed):
    structure = {"iv1": "iv1", "oral1": "iv1"}.get(structure, "oral2")  # two models are enough to compile
    values, frame = VALUES | changed, table(records)
    problem = bind(traced(structure, False), pkpd.read_dataset(frame), Solver(kind="ode"))
    code, f, *_ = solve(problem, values)
    assert code == status.OK
    expected = expected_linear(structure, frame, values, False)
    assert f == pytest.approx(expected, rel=1e-6, abs=1e-6 * expected.max())


@pytest.mark.parametrize("kind", ("linear", "ode"))
def test_the_system_begins_with_the_first_record_whatever_that_is(kind):
    """EVID 2 at 0 h: initial amounts decay from then on, not from the first dose or observation."""
    frame = table([record(0.0, 2), record(2.0, 2), record(7.0, AMT=100.0)])
    problem = bind(traced("oral2", False), pkpd.read_dataset(frame), Solver(kind=kind))
    code, f, *_ = solve(problem, VALUES)
    assert code == status.OK
    assert f == pytest.approx(expected_linear("oral2", frame, VALUES, False), rel=1e-6)


def test_an_additional_infusion_after_a_compartment_was_turned_off_ends():
    """The second of three is cut short at 7 h; the third turns the compartment on, runs from 12 h on, and stops."""
    infusions = {"AMT": 50.0, "RATE": 10.0, "II": 6.0}
    series = table([record(0.0, ADDL=2, **infusions), record(7.0, 2, CMT=-1)])
    code, f, *_ = solve(bind(traced("iv1", False), pkpd.read_dataset(series)), VALUES)
    assert code == status.OK
    third = table([record(0.0), record(12.0, AMT=50.0, RATE=10.0)])
    expected = expected_linear("iv1", third, VALUES | {"A0": 0.0}, False)
    times = third["TIME"].to_numpy()[(third["EVID"] == 0).to_numpy()]
    assert f[times > 7.0] == pytest.approx(expected[times > 7.0], rel=1e-6, abs=1e-9)


MM = {"VM": 12.0, "KM": 2.0, "V": 10.0, "LAG": 0.0, "F": 0.8, "D": 5.0, "R": 20.0}


@pytest.mark.parametrize("lag", (0.0, 2.5))
@pytest.mark.parametrize("style", [*STYLES, "constant"])
def test_saturable_elimination_at_steady_state(style, lag):
    values = MM | {"LAG": lag}
    dose = {"RATE": 7.0} if style == "constant" else {"II": 12.0, "ADDL": 1} | STYLES[style]
    if style == "long infusion":
        dose["RATE"] = 5.0
    frame = table([record(7.0, SS=1, **dose)], OBSERVED[3:])
    code, f, *_ = solve(bind(traced("mm"), pkpd.read_dataset(frame)), values)
    assert code == status.OK
    rows = np.flatnonzero(frame["EVID"] == 0)
    times = frame["TIME"].to_numpy()[rows]
    given = administrations(frame, len(frame), values)[2]
    given = [g for g in given if g[0] > -400]  # 33 cycles: the system forgets half of it in each
    if style == "constant":
        given = [(-400.0, 407.0 * 7.0, 7.0)]
    state = naive.simulate_ode(
        lambda t, x: -values["VM"] * x / (values["KM"] * values["V"] + x),
        [0.0], [naive.Dose(t, a, 0, r) for t, a, r in given], times[1:], start=-401.0,
    )  # fmt: skip
    assert f[0] == 0.0  # before the record there is nothing
    assert f[1:] == pytest.approx(state[:, 0] / values["V"], rel=1e-6, abs=1e-10)  # atol of the stepper


# --------------------------------------------------------------------------------------------- derivatives

DERIVED = [
    ("oral2", "bolus", 1, 2.5, 1), ("oral1", "infusion", 1, 2.5, 0), ("iv2", "long infusion", 1, 1.5, 0),
    ("iv1", "long infusion", 2, 4.2, 1), ("oral2", "modelled rate", 1, 2.1, 1), ("iv2", "modelled rate", 0, 2.1, 1),
    ("oral1", "modelled duration", 1, 2.1, 1), ("iv1", "modelled duration", 0, 1.0, 0),
    ("oral2", "modelled duration", 2, 1.0, 0), ("iv2", "constant", 1, 0.5, 0), ("oral1", "constant", 2, 0.5, 0),
]  # fmt: skip


def check_derivatives(problem, values, step, first, second):
    code, f, gradient, hessian = solve(problem, values, 2)
    assert code == status.OK
    assert solve(problem, values)[1] == pytest.approx(f, rel=1e-12)
    assert solve(problem, values, 1)[2] == pytest.approx(
        gradient, rel=1e-9, abs=1e-9 * np.abs(gradient).max()
    )
    for column, eta in enumerate(problem.model.etas):
        h = step * max(abs(values[eta.name]), 0.1)
        above, below = (solve(problem, values | {eta.name: values[eta.name] + s * h}, 1) for s in (1, -1))
        slope = (above[1] - below[1]) / (2 * h)
        # differences cannot see less than the rounding of f over the step: hence the absolute part
        assert gradient[:, column] == pytest.approx(
            slope, rel=first, abs=first * max(1e-3, np.abs(slope).max())
        )
        curve = (above[2] - below[2]) / (2 * h)
        assert hessian[:, column] == pytest.approx(
            curve, rel=second, abs=second * max(1e-3, np.abs(curve).max())
        )


@pytest.mark.parametrize(("structure", "style", "ss", "lag", "addl"), DERIVED)
def test_derivatives_of_the_closed_form(structure, style, ss, lag, addl):
    dose = {"RATE": -1.0} if style == "constant" else {"II": 12.0, "ADDL": addl} | STYLES[style]
    if not ss and not addl:
        dose.pop("II")
    problem = bind(traced(structure), pkpd.read_dataset(table([*BEFORE, record(7.0, SS=ss, **dose)])))
    check_derivatives(problem, VALUES | {"LAG": lag}, 1e-5, 1e-6, 1e-5)


@pytest.mark.parametrize("event", (3, 4))
def test_derivatives_across_a_reset(event):
    extra = {"AMT": 100.0, "RATE": -2.0} if event == 4 else {}
    problem = bind(traced("oral2"), pkpd.read_dataset(table([*BEFORE, record(7.0, event, **extra)])))
    check_derivatives(problem, VALUES | {"LAG": 1.0}, 1e-5, 1e-6, 1e-5)


@pytest.mark.parametrize("ka", (0.3, 0.3 * (1 + 1e-9)))
def test_derivatives_where_eigenvectors_are_no_use(ka):
    """KA = CL/V: the matrix exponential takes over, also for the steady state."""
    dose = record(7.0, SS=1, II=12.0, AMT=100.0, RATE=-2.0)
    frame = table([dose])
    problem = bind(traced("oral1"), pkpd.read_dataset(frame))
    values = VALUES | {"KA": ka, "LAG": 1.0}
    assert solve(problem, values)[1] == pytest.approx(
        expected_linear("oral1", frame, values, True), rel=1e-8, abs=1e-11
    )
    check_derivatives(problem, values, 1e-5, 1e-6, 1e-5)


@pytest.mark.parametrize("style", [*STYLES, "constant"])
def test_derivatives_of_the_stepper(style):
    dose = {"RATE": -1.0} if style == "constant" else {"II": 12.0, "ADDL": 1} | STYLES[style]
    if style == "long infusion":
        dose["RATE"] = 5.0
    frame = table([record(7.0, SS=1, **dose)], OBSERVED[3::2])
    problem = bind(traced("mm"), pkpd.read_dataset(frame), Solver(rtol=1e-11, atol=1e-13))
    check_derivatives(problem, MM | {"LAG": 1.0, "R": 7.0 if style == "constant" else 20.0}, 1e-4, 1e-6, 1e-5)


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("kind", ("linear", "ode"))
@pytest.mark.parametrize(
    ("dose", "changed", "code", "words"),
    [
        ({"AMT": 100.0, "SS": 1, "II": 12.0}, {"CL": 0.0}, status.NO_STEADY_STATE, "no steady state"),
        ({"RATE": 5.0, "SS": 1}, {"CL": 0.0}, status.NO_STEADY_STATE, "no steady state"),
        ({"AMT": 100.0, "SS": 1, "II": 12.0}, {"LAG": 12.1}, status.LAG_TOO_LONG, "longer than its interval"),
        ({"AMT": 100.0, "SS": 1, "II": 12.0}, {"LAG": -0.1}, status.EVENT_TIME_NEGATIVE, "negative"),
        ({"AMT": 100.0, "RATE": -2.0}, {"D": 0.0}, status.INFUSION_NOT_POSITIVE, "not positive"),
        ({"AMT": 100.0, "RATE": -2.0}, {"D": -1.0}, status.INFUSION_NOT_POSITIVE, "not positive"),
        ({"AMT": 100.0, "RATE": -1.0}, {"R": -1.0}, status.INFUSION_NOT_POSITIVE, "not positive"),
        ({"AMT": 100.0, "RATE": -1.0, "SS": 1, "II": 12.0}, {"R": -1.0}, status.INFUSION_NOT_POSITIVE, "not positive"),
        ({"AMT": 100.0, "RATE": -1.0, "SS": 1, "II": 12.0}, {"R": 1e-9}, status.NO_STEADY_STATE, "no steady state"),
    ],
)  # fmt: skip
def test_what_has_no_solution_ends_with_a_status(dose, changed, code, words, kind):
    problem = bind(traced("iv1", False), pkpd.read_dataset(table([record(7.0, **dose)])), Solver(kind=kind))
    found = solve(problem, VALUES | changed)[0]
    if changed == {"D": 0.0}:
        assert found in (code, status.NOT_FINITE)  # bioavailability over duration is inf
    else:
        assert found == code
    assert words in status.MESSAGES[code]


@pytest.mark.parametrize("dose", ({"AMT": 200.0, "II": 12.0}, {"RATE": 12.5}))
def test_a_dose_beyond_capacity_has_no_steady_state(dose):
    """VM is 12 per hour: 160 in 12 h, or 12.5 per hour, pile up for ever."""
    problem = bind(traced("mm"), pkpd.read_dataset(table([record(7.0, SS=1, **dose)])))
    assert solve(problem, MM)[0] == status.NO_STEADY_STATE


def test_a_modelled_infusion_needs_a_model():
    def model(m):
        central = m.compartment("central")
        m.ode(central, -m.theta("K", 1.0, lower=0) * pkpd.exp(m.eta("K", variance=1)) * central)
        m.observe("cp", central, additive=m.sigma("ADD", 1.0))

    for rate, what in ((-1.0, "rate"), (-2.0, "duration")):
        data = pkpd.read_dataset(table([record(7.0, AMT=1.0, RATE=rate)]))
        with pytest.raises(pkpd.ModelError, match=rf"E_MODEL_RATE.*column RATE, value {rate:g}.*no {what}"):
            bind(pkpd.model(model), data)


def test_steady_states_of_systems_driven_by_time_are_refused():
    def model(m):
        central = m.compartment("central")
        m.ode(
            central, -m.theta("K", 1.0, lower=0) * pkpd.exp(m.eta("K", variance=1)) * central * (2 + m.time)
        )
        m.observe("cp", central, additive=m.sigma("ADD", 1.0))

    for _ in range(2):  # also where the model's derivations are remembered
        with pytest.raises(pkpd.ModelError, match="E_STEADY_TIME"):
            bind(pkpd.model(model), pkpd.read_dataset(table([record(7.0, AMT=1.0, SS=1, II=12.0)])))


def test_superposition_on_a_nonlinear_system_with_production_is_refused():
    data = pkpd.read_dataset(table([record(7.0, AMT=1.0, SS=2, II=12.0)]))
    with pytest.raises(pkpd.ModelError, match="E_STEADY_ADD"):
        bind(traced("iv1", True), data, Solver(kind="ode"))


def test_other_events_change_nothing_and_give_no_row():
    records = [*BEFORE, record(7.0, AMT=100.0)]
    plain = bind(traced("iv1"), pkpd.read_dataset(table(records)))
    other = bind(traced("iv1"), pkpd.read_dataset(table([*records, record(8.0, 2), record(0.5, 2)])))
    assert solve(plain, VALUES)[1].tolist() == solve(other, VALUES)[1].tolist()
    assert len(other.records.time) == len(plain.records.time)


# ---------------------------------------------------------------------------------------------- estimation


def test_gradient_of_the_objective_with_steady_state_lag_and_modelled_duration():
    def model(m):
        cl = m.parameter("CL", m.theta("CL", 3.0, lower=0) * pkpd.exp(m.eta("CL", variance=0.1)))
        v = m.parameter("V", m.theta("V", 10.0, lower=0) * pkpd.exp(m.eta("V", variance=0.1)))
        lag = m.parameter("LAG", m.theta("LAG", 1.0, lower=0) * pkpd.exp(m.eta("LAG", variance=0.1)))
        length = m.parameter("D", m.theta("D", 4.0, lower=0) * pkpd.exp(m.eta("D", variance=0.1)))
        central = m.compartment("central", lag=lag, duration=length)
        m.ode(central, -cl / v * central)
        m.observe("cp", central / v, additive=m.sigma("ADD", 0.3), proportional=m.sigma("PROP", 0.1))

    generator = np.random.default_rng(1)
    rows = []
    for i in range(1, 5):
        rows.append(record(0.0, ID=i, AMT=100.0, RATE=-2.0, SS=1, II=12.0, ADDL=1, DV=np.nan))
        for t in (0.5, 2.3, 4.1, 7.7, 11.2, 14.3, 20.6):
            rows.append(record(t, 0, ID=i, DV=float(4.0 * generator.lognormal(0, 0.3))))
    problem = bind(pkpd.model(model), pkpd.read_dataset(pd.DataFrame(rows)))
    objective, step = Objective(problem, Scales(problem)), 1e-3
    values = objective.scales.initial(problem)
    x = objective.scales.free_values(values)
    point = objective.at(values)
    assert not point.status.any()

    def ofv(x):
        return objective.at(objective.scales.from_free(x, values), point.etas, gradient=False).ofv

    for k in range(len(x)):
        d = np.eye(len(x))[k] * step
        above, below, above2, below2 = (ofv(x + s * d) for s in (1, -1, 2, -2))
        difference = (8 * (above - below) - (above2 - below2)) / (12 * step)
        assert point.gradient[k] == pytest.approx(difference, rel=1e-5, abs=1e-5)
