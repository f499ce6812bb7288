"""What the solvers are compared on: the same systems as models, and as plain right-hand sides for other programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

import pkpd
from pkpd.kernels.prediction import predict_all
from pkpd.language import Model, Problem, Solver, bind


@dataclass(frozen=True)
class Case:
    """A system under repeated doses.

    ``rates(t, x, p, dx)`` fills the right-hand side (peers compile it as they like); ``typical`` are the parameters,
    ``initial(p)`` the state at time 0; ``count`` doses of ``amount`` go into the first compartment, one ``every`` so many hours;
    ``seen(x, p)`` is what is observed at ``times``.
    """

    model: Model
    rates: Callable
    typical: tuple[float, ...]
    initial: Callable
    seen: Callable
    amount: float
    every: float
    count: int
    times: np.ndarray

    def parameters(self, subjects: int) -> np.ndarray:
        """Individual parameters (subjects, P), 20 % apart."""
        spread = np.random.default_rng(7).lognormal(0, 0.2, (subjects, len(self.typical)))
        return np.array(self.typical) * spread

    def problem(self, subjects: int, solver: Solver) -> Problem:
        """The model bound to the data of so many subjects."""
        rows = [{"TIME": 0.0, "EVID": 1, "AMT": self.amount, "II": self.every, "ADDL": self.count - 1}]
        rows += [{"TIME": t, "EVID": 0, "AMT": 0.0, "II": 0.0, "ADDL": 0, "DV": 1.0} for t in self.times]
        one = pd.DataFrame(rows)
        frame = pd.concat([one.assign(ID=i) for i in range(1, subjects + 1)], ignore_index=True)
        return bind(self.model, pkpd.read_dataset(frame), solver)


def profiles(problem: Problem, parameters: np.ndarray, order: int = 0) -> Callable[[], np.ndarray]:
    """Predict all profiles (subjects, times) with derivatives up to ``order`` to the parameters, as often as called."""
    subjects, count = len(parameters), len(problem.records.time)
    f = np.zeros(count)
    f_eta = np.zeros((count if order else 0, parameters.shape[1]))
    status = np.zeros(subjects, dtype=np.int64)
    model, data = problem.compiled, problem.subject_data

    def run() -> np.ndarray:
        predict_all(order, parameters, np.zeros(0), *model, data, f, f_eta, status)
        assert not status.any()
        return f.reshape(subjects, -1)

    return run


def worst(profile: np.ndarray, exact: np.ndarray) -> float:
    """Largest error in units of each profile's maximum."""
    return float((np.abs(profile - exact).max(1) / exact.max(1)).max())


def _etas(m, names: str):
    return [m.parameter(n, m.eta(n, variance=1)) for n in names.split()]


@pkpd.model
def two_compartments(m):
    ka, cl, v, q, v2 = _etas(m, "KA CL V Q V2")
    depot, central, outer = m.compartment("depot"), m.compartment("central"), m.compartment("outer")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central - q / v * central + q / v2 * outer)
    m.ode(outer, q / v * central - q / v2 * outer)
    m.observe("cp", central / v, additive=m.sigma("ADD", 1.0))


def two_compartments_rates(t, x, p, dx):
    dx[0] = -p[0] * x[0]
    dx[1] = p[0] * x[0] - p[1] / p[2] * x[1] - p[3] / p[2] * x[1] + p[3] / p[4] * x[2]
    dx[2] = p[3] / p[2] * x[1] - p[3] / p[4] * x[2]


@pkpd.model
def target_and_tumour(m):
    """Ten states: absorption, two compartments, target binding, a biomarker, and a tumour that dies in three stages."""
    ka, cl, v, q, v2, kon, koff, ksyn, kdeg, kint, kin, kout, ic50, grow, limit, kill, delay = _etas(
        m, "KA CL V Q V2 KON KOFF KSYN KDEG KINT KIN KOUT IC50 GROW LIMIT KILL DELAY"
    )
    depot, central, outer = m.compartment("depot"), m.compartment("central"), m.compartment("outer")
    free, bound = m.compartment("free", initial=ksyn / kdeg), m.compartment("bound")
    marker = m.compartment("marker", initial=kin / kout)
    living = m.compartment("living", initial=limit / 5)
    dying = [m.compartment(f"dying{i}") for i in range(3)]
    c = central / v
    net = kon * c * free - koff * bound
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl * c - q * c + q / v2 * outer - net * v)
    m.ode(outer, q * c - q / v2 * outer)
    m.ode(free, ksyn - kdeg * free - net)
    m.ode(bound, net - kint * bound)
    m.ode(marker, kin * ic50 / (ic50 + c) - kout * marker)
    m.ode(living, grow * living * (1 - living / limit) - kill * bound * living)
    m.ode(dying[0], kill * bound * living - delay * dying[0])
    m.ode(dying[1], delay * (dying[0] - dying[1]))
    m.ode(dying[2], delay * (dying[1] - dying[2]))
    m.observe("size", living + dying[0] + dying[1] + dying[2], additive=m.sigma("ADD", 1.0))


def target_and_tumour_rates(t, x, p, dx):
    c = x[1] / p[2]
    net = p[5] * c * x[3] - p[6] * x[4]
    dx[0] = -p[0] * x[0]
    dx[1] = p[0] * x[0] - p[1] * c - p[3] * c + p[3] / p[4] * x[2] - net * p[2]
    dx[2] = p[3] * c - p[3] / p[4] * x[2]
    dx[3] = p[7] - p[8] * x[3] - net
    dx[4] = net - p[9] * x[4]
    dx[5] = p[10] * p[12] / (p[12] + c) - p[11] * x[5]
    dx[6] = p[13] * x[6] * (1 - x[6] / p[14]) - p[15] * x[4] * x[6]
    dx[7] = p[15] * x[4] * x[6] - p[16] * x[7]
    dx[8] = p[16] * (x[7] - x[8])
    dx[9] = p[16] * (x[8] - x[9])


@pkpd.model
def quick_binding(m):
    """Target-mediated disposition whose binding is some 10⁵ times as fast as everything else."""
    kel, kon, koff, ksyn, kdeg, kint = _etas(m, "KEL KON KOFF KSYN KDEG KINT")
    drug, free = m.compartment("drug"), m.compartment("free", initial=ksyn / kdeg)
    bound = m.compartment("bound")
    net = kon * drug * free - koff * bound
    m.ode(drug, -kel * drug - net)
    m.ode(free, ksyn - kdeg * free - net)
    m.ode(bound, net - kint * bound)
    m.observe("cp", drug, additive=m.sigma("ADD", 1.0))


def quick_binding_rates(t, x, p, dx):
    net = p[1] * x[0] * x[1] - p[2] * x[2]
    dx[0] = -p[0] * x[0] - net
    dx[1] = p[3] - p[4] * x[1] - net
    dx[2] = net - p[5] * x[2]


def _zeros(n: int) -> Callable:
    return lambda p: np.zeros(n)


CASES = {
    "two compartments, oral": Case(
        two_compartments, two_compartments_rates, (1.0, 5.0, 30.0, 8.0, 60.0), _zeros(3), lambda x, p: x[1] / p[2],
        100.0, 24.0, 20, np.linspace(0.0, 480.0, 201)[1:] - 0.37,
    ),
    "target and tumour, 10 states": Case(
        target_and_tumour, target_and_tumour_rates,
        (0.3, 0.02, 3.0, 0.03, 2.5, 0.8, 0.1, 0.05, 0.02, 0.01, 2.0, 0.1, 1.5, 0.004, 80.0, 0.004, 0.02),
        lambda p: np.array([0, 0, 0, p[7] / p[8], 0, p[10] / p[11], p[14] / 5, 0, 0, 0]),
        lambda x, p: x[6] + x[7] + x[8] + x[9],
        200.0, 504.0, 6, np.linspace(0.0, 3024.0, 127)[1:] - 1.3,
    ),
    "quick binding, stiff": Case(
        quick_binding, quick_binding_rates, (0.02, 1e3, 10.0, 1.1, 0.2, 0.05), lambda p: np.array([0, p[3] / p[4], 0]),
        lambda x, p: x[0], 30.0, 168.0, 4, np.linspace(0.0, 672.0, 113)[1:] - 0.9,
    ),
}  # fmt: skip
