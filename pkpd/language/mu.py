"""Mu-referencing: which thetas move an individual parameter exactly as its random effect does.

A theta t is mu-referenced to a random effect η when the model sees both only through φ = x·h(t) + … + η, with h a function of t
alone and x one of covariates alone. That is a property of derivatives: in every expression e of the model in which either stands,

    (∂e/∂t)/(∂e/∂η) = x·h'(t),

the same everywhere and free of random effects, other thetas and whatever varies within a subject. This finds tv·exp(η)
(h = log), tv + η, expit(logit(tv) + η), powers of covariates and factor effects alike, however they are written. SAEM and
expectation by importance sampling then have a closed form for t.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from pkpd.language.binding import Problem
from pkpd.language.declarations import Theta

__all__ = ["MuReference", "MuReferencing", "mu_referencing"]


@dataclass(frozen=True)
class MuReference:
    """One mu-referenced theta.

    Attributes
    ----------
    theta, eta : int
        Positions among the thetas and random effects of the problem.
    form : {"identity", "log", "logit"}
        h(t): t; log(b·(t - a)) with b = ±1; log((t - a)/(b - t)).
    a, b : float
    x : (N,) array
        Its covariate, per subject.
    """

    theta: int
    eta: int
    form: str
    a: float
    b: float
    x: np.ndarray

    def transformed(self, value: float) -> float:
        """H of a value; infinite at the ends of its range and beyond."""
        with np.errstate(divide="ignore", invalid="ignore"):
            if self.form == "log":
                return math.log(self.b * (value - self.a)) if self.b * (value - self.a) > 0 else -math.inf
            if self.form == "logit":
                if self.a < value < self.b:
                    return math.log((value - self.a) / (self.b - value))
                return -math.inf if value <= self.a else math.inf
        return value

    def restored(self, u: float) -> float:
        """Inverse of :meth:`transformed`."""
        if self.form == "log":
            return self.a + self.b * math.exp(u)
        if self.form == "logit":
            return self.a + (self.b - self.a) / (1.0 + math.exp(-u))
        return u

    def slope(self, value: float) -> float:
        """h'(t)."""
        if self.form == "log":
            return 1.0 / (value - self.a)
        if self.form == "logit":
            return (self.b - self.a) / ((value - self.a) * (self.b - value))
        return 1.0


@dataclass(frozen=True)
class MuReferencing:
    """How the thetas of a problem are estimated by an expectation-maximisation method.

    Attributes
    ----------
    references : tuple of MuReference
        Those with a closed form.
    others : dict
        Estimated thetas without one, by position, and why.
    """

    references: tuple[MuReference, ...]
    others: dict[int, str]


def mu_referencing(problem: Problem) -> MuReferencing:
    """Find the mu-referenced thetas of a problem.

    Parameters
    ----------
    problem : Problem

    Returns
    -------
    MuReferencing
        Fixed thetas are in neither list: a constant shift of φ changes nothing.
    """
    expressions = _expressions(problem)
    etas = {e.symbol: k for k, e in enumerate(problem.etas)}
    unknown = frozenset(
        s for e in expressions for s in e.free_symbols if s not in etas and s not in problem.symbols
    )
    references, others = [], {}
    for position, theta in enumerate(problem.thetas):
        if theta.fixed:
            continue
        found = _reference(position, theta, expressions, etas, unknown - {theta.symbol}, problem)
        if isinstance(found, MuReference):
            references.append(found)
        else:
            others[position] = found
    return MuReferencing(tuple(references), others)


def _expressions(problem: Problem) -> list[Any]:
    """Everything in which thetas and random effects stand, individual parameters apart from their use."""
    model = problem.model
    parameters = {p.symbol for p in model.parameters}
    effects = {s: e for s, e in problem.definitions.items() if s not in parameters}
    etas = {e.symbol for e in problem.etas}
    own = {p.symbol: problem.definitions[p.symbol].xreplace(effects) for p in model.parameters}
    # a parameter without a random effect of its own is a name for a part of what uses it
    written_out: dict[Any, Any] = {}
    kept = []
    for symbol, e in own.items():
        e = e.xreplace(written_out)
        if e.free_symbols & etas:
            kept.append(e)
        else:
            written_out[symbol] = e
    event = [e for c in model.compartments for e in c.event_expressions]
    driving = [*model.rates, *(o.prediction for o in model.observations), *event]
    whole = [*kept, *(e.xreplace(effects).xreplace(written_out) for e in driving)]
    estimated = {t.symbol for t in problem.thetas} | etas | parameters
    return [branch for e in whole for branch in _branches(e, estimated)]


def _branches(e: Any, estimated: set[Any]) -> list[Any]:
    """Branches of an expression, each an expression of its own where nothing that is estimated decides between them."""
    if not e.has(sympy.Piecewise):
        return [e]
    folded = sympy.piecewise_fold(e)
    if not isinstance(folded, sympy.Piecewise) or any(c.free_symbols & estimated for _, c in folded.args):
        return [e]
    return [branch for branch, _ in folded.args]


def _reference(
    position: int,
    theta: Theta,
    expressions: list[Any],
    etas: dict[Any, int],
    unknown: frozenset[Any],
    problem: Problem,
) -> MuReference | str:
    t = theta.symbol
    mine = [e for e in expressions if t in e.free_symbols]
    if not mine:
        return "it does not enter the model"
    candidates = [s for s in etas if s in mine[0].free_symbols]
    if not candidates:
        return "no random effect goes with it"
    why = "no random effect moves the model exactly as it does"
    for eta in candidates:
        theirs = [e for e in expressions if eta in e.free_symbols]
        if len(theirs) != len(mine) or any(t not in e.free_symbols for e in theirs):
            continue
        barred = unknown | etas.keys()
        ratios = [_ratio(e, t, eta, barred) for e in mine]
        if any(r is None for r in ratios) or any(sympy.simplify(r - ratios[0]) != 0 for r in ratios[1:]):
            continue
        found = _separated(ratios[0], position, theta, etas[eta], problem)
        if found is not None:
            return found
        why = "its function and its covariate do not separate, or have no closed form"
    return why


def _ratio(e: Any, t: Any, eta: Any, barred: frozenset[Any]) -> Any:
    """(∂e/∂t)/(∂e/∂η), or None where it depends on what it must not."""
    ratio = sympy.diff(e, t) / sympy.diff(e, eta)
    if ratio.free_symbols & barred:
        ratio = sympy.cancel(ratio)  # far quicker than simplify, and enough for what people write
    # a derivative of zero is that of a switch: the theta moves the model otherwise than through its derivative
    return None if ratio == 0 or ratio.free_symbols & barred or ratio.has(sympy.Piecewise) else ratio


def _separated(ratio: Any, position: int, theta: Theta, eta: int, problem: Problem) -> MuReference | None:
    """Take x·h'(t) apart; 1/h' is a polynomial of degree 0, 1 or 2 for the three forms of h."""
    t = theta.symbol
    x, slope = ratio.as_independent(t, as_Add=False)
    if slope.free_symbols - {t}:
        x, slope = sympy.factor(sympy.simplify(ratio)).as_independent(t, as_Add=False)
    if slope.free_symbols - {t}:
        return None
    try:
        inverse = sympy.Poly(sympy.cancel(1 / slope), t)
    except sympy.PolynomialError:
        return None
    coefficients = [complex(c) for c in inverse.all_coeffs()]
    form, a, b = "identity", 0.0, 0.0
    factor = 1.0
    if len(coefficients) == 1:
        factor = 1.0 / coefficients[0].real
    elif len(coefficients) == 2:
        a = -(coefficients[1] / coefficients[0]).real
        form, b = "log", 1.0 if theta.initial > a else -1.0
        factor = 1.0 / coefficients[0].real
        if theta.initial == a:
            return None
    elif len(coefficients) == 3:
        roots = sorted(np.roots(coefficients), key=lambda r: r.real)
        if any(abs(r.imag) > 1e-12 for r in roots):
            return None
        form, a, b = "logit", float(roots[0].real), float(roots[1].real)
        if not a < theta.initial < b:
            return None
        factor = 1.0 / (-coefficients[0].real * (b - a))
    else:
        return None
    return MuReference(position, eta, form, a, b, factor * _values(x, problem))


def _values(x: Any, problem: Problem) -> np.ndarray:
    """An expression of covariates, per subject."""
    columns = problem.covariates.T[: len(problem.symbols)]
    plain = [sympy.Symbol(f"c{i}", real=True) for i in range(len(problem.symbols))]
    function = sympy.lambdify(plain, x.xreplace(dict(zip(problem.symbols, plain, strict=True))), "numpy")
    return np.broadcast_to(np.asarray(function(*columns), dtype=float), (problem.n_subjects,)).copy()
