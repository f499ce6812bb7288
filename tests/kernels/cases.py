"""Models whose parameters are their etas, so that a solver's derivatives can be held against plain functions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

import pkpd
from pkpd.language import Model, Problem, Solver, bind
from pkpd.language.binding import Doses, Records

Administration = tuple[float, float, int, float]  # time, amount, compartment (from 0), rate (0: bolus)


@cache
def _data(endpoints: int) -> pkpd.Dataset:
    rows = [dict(ID=1, TIME=0.0, AMT=1.0, EVID=1, DV=np.nan, DVID=1)]
    rows += [dict(ID=1, TIME=1.0, AMT=0.0, EVID=0, DV=1.0, DVID=k + 1) for k in range(endpoints)]
    return pkpd.read_dataset(pd.DataFrame(rows))


def solve_first(
    problem: Problem, order: int, p: np.ndarray, f: np.ndarray, f_p: np.ndarray, f_pp: np.ndarray
) -> int:
    """Solve for the first subject: fills ``f``, ``f_p``, ``f_pp`` and returns the status."""
    solve, _, rates, jacobian, hessian, output, steady, system = problem.compiled
    return solve(
        order, 0, p, rates, jacobian, hessian, output, steady, system, problem.subject_data, f, f_p, f_pp
    )


class Case:
    """A model with its solver, as a function of its etas.

    Parameters
    ----------
    model : Model
        Its individual parameters depend on etas alone.
    kind, rtol, atol, max_steps
        As in :class:`pkpd.Solver`.
    """

    def __init__(self, model: Model, kind: str = "auto", **tolerances) -> None:
        self.problem: Problem = bind(model, _data(len(model.observations)), Solver(kind=kind, **tolerances))
        self.names = [e.name for e in model.etas]

    def solve(
        self,
        values: dict[str, float] | Sequence[float],
        doses: Sequence[Administration],
        times: Sequence[float],
        order: int = 0,
        endpoint: int | Sequence[int] = 0,
        dose_row: Sequence[int] | None = None,
        obs_row: Sequence[int] | None = None,
    ):
        """Return status, f (O,), gradient (O, E) and Hessian (O, E, E) to the etas."""
        problem, functions = self.problem, self.problem.functions
        eta = np.array([values[n] for n in self.names] if isinstance(values, dict) else values, dtype=float)
        slots, etas, count = problem.n_slots, len(eta), len(times)
        theta = np.array([t.initial for t in problem.thetas])
        p, dp = np.zeros(slots), np.zeros((slots, etas + len(theta)))
        d2p = np.zeros((slots, etas, etas + len(theta)))
        functions["parameters"](order, theta, eta, np.zeros(0), p, dp, d2p)
        f = np.zeros(count)
        f_p = np.zeros((count if order else 0, slots))
        f_pp = np.zeros((count if order > 1 else 0, slots, slots))
        d = np.array(doses, dtype=float).reshape(-1, 4)
        doses = Doses(
            time=np.ascontiguousarray(d[:, 0]),
            compartment=d[:, 2].astype(np.int64),
            amount=np.ascontiguousarray(d[:, 1]),
            rate=np.ascontiguousarray(d[:, 3]),
            row=np.zeros(len(d), np.int64) if dose_row is None else np.array(dose_row, np.int64),
            kind=np.zeros(len(d), np.int64),
            interval=np.zeros(len(d)),
            offsets=np.array([0, len(d)]),
        )
        records = Records(
            time=np.array(times, dtype=float),
            value=np.zeros(count),
            endpoint=np.broadcast_to(np.array(endpoint, np.int64), count).copy(),
            used=np.zeros(count, np.int64),
            row=np.full(count, 10**6) if obs_row is None else np.array(obs_row, np.int64),
            offsets=np.array([0, count]),
            censored=np.zeros(count, np.int64),
            limit=np.full(count, np.nan),
        )
        status = solve_first(problem.with_records(doses, records), order, p, f, f_p, f_pp)
        if order == 0:
            return status, f, None, None
        j = dp[:, :etas]
        gradient = f_p @ j
        if order == 1:
            return status, f, gradient, None
        hessian = np.einsum("sa,ost,tb->oab", j, f_pp, j) + np.einsum("os,sab->oab", f_p, d2p[:, :, :etas])
        return status, f, gradient, hessian


def mammillary(compartments: int, *, full: bool) -> Model:
    """A depot (CMT 1) and one to three compartments, the first of them central (CMT 2).

    ``full`` adds lag and bioavailability to both dosed compartments, an initial amount and a constant input to the central one.
    """

    def define(m):
        ka, cl, v = (m.parameter(n, m.eta(n, variance=1)) for n in ("KA", "CL", "V1"))
        extra = {}
        if full:
            extra = {n: m.parameter(n, m.eta(n, variance=1)) for n in ("LAG", "F", "A0", "R0")}
        depot = m.compartment("depot", lag=extra.get("LAG"), bioavailability=extra.get("F"))
        central = m.compartment(
            "central", lag=extra.get("LAG"), bioavailability=extra.get("F"), initial=extra.get("A0")
        )
        m.ode(depot, -ka * depot)
        rate = ka * depot - cl / v * central + (extra["R0"] if full else 0)
        for k in range(2, compartments + 1):
            q, vk = (m.parameter(n, m.eta(n, variance=1)) for n in (f"Q{k}", f"V{k}"))
            peripheral = m.compartment(f"peripheral{k}")
            m.ode(peripheral, q / v * central - q / vk * peripheral)
            rate = rate - q / v * central + q / vk * peripheral
        m.ode(central, rate)
        m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))

    return pkpd.model(define)


VALUES = {
    "KA": 0.9, "CL": 2.0, "V1": 10.0, "Q2": 4.0, "V2": 25.0, "Q3": 1.5, "V3": 80.0,
    "LAG": 0.0, "F": 1.0, "A0": 0.0, "R0": 0.0,
}  # fmt: skip


@cache
def mammillary_case(compartments: int, full: bool, kind: str = "auto") -> Case:
    """The bound :func:`mammillary` model."""
    return Case(mammillary(compartments, full=full), kind)
