"""What a traced model is made of: parameter slots, linearity, and the index tables of its derivatives.

A *slot* is a maximal subexpression free of states, time and time-varying inputs (``cl/v``, ``ka``, a lag). Solvers take
derivatives with respect to slots; the chain rule to thetas and etas happens outside. For a linear system each coefficient of K
is a sum of numbers times slots, so K is linear in the slots and needs no generated code; where it depends on inputs that are
constant in pieces, K and its derivatives in each piece are those that the generated code of the right-hand sides gives.

What the stepper reads and the data alone determine (clearances of an earlier analysis, given as columns) is no slot but a
*known* number of the subject: nobody asks for derivatives to it, and their number grows as the square of that of the slots.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from pkpd.errors import ModelError, PkpdWarning
from pkpd.language.absorption import AFTER_DOSE
from pkpd.language.declarations import Compartment
from pkpd.language.frozen_model import Model
from pkpd.language.reach import reach

__all__ = ["CONSTANT", "Structure", "Varying", "analyse", "branched", "threshold"]

_MOST_TERMS = 8  # an expanded coefficient with more terms than this is kept as one slot


@dataclass(frozen=True)
class Varying:
    """What varies within a subject in the data that a model is bound to.

    Attributes
    ----------
    inputs : tuple
        Symbols of the time-varying inputs (W), in the order in which generated code reads them.
    definitions : mapping
        Individual parameters and effects that depend on them, written out in inputs and in what does not vary.
    first : mapping
        Input to the symbol of its value at the subject's first record.
    places : tuple of (int, mapping)
        Further places: the compartment, and inputs to the symbols of their values there.
    stepwise : bool
        Whether the inputs are constant between the times at which they change.
    absorbed : tuple of (int, tuple of pairs)
        Compartments with an input function, and the inputs that are the amounts of, and the times after, their latest doses.
    """

    inputs: tuple[Any, ...] = ()
    definitions: Mapping[Any, Any] = field(default_factory=dict)
    first: Mapping[Any, Any] = field(default_factory=dict)
    places: tuple[tuple[int, Mapping[Any, Any]], ...] = ()
    stepwise: bool = True
    absorbed: tuple[tuple[int, tuple[tuple[Any, Any], ...]], ...] = ()


CONSTANT = Varying()


@dataclass(frozen=True)
class Structure:
    """Index tables and expressions that code generation and the solvers work from.

    Attributes
    ----------
    linear : bool
        Whether the system goes to the closed form.
    slots : tuple
        Expressions of the slots (P), in thetas, etas, covariates, effects and individual parameters.
    slot_symbols : tuple
        Symbols that stand for the slots in ``rates`` and ``outputs``.
    inputs : tuple
        Symbols of the time-varying inputs (W).
    rates : tuple
        Right-hand sides (n) in states, time, slot symbols and inputs; empty for a linear system without inputs.
    outputs : tuple
        Predictions, one per endpoint, in the same symbols.
    table : (S, 3) int array
        Linear without inputs: rows (i, j, slot) of K, j = n for the constant input. Otherwise: (i, a, b), a >= b, of second
        derivatives.
    coefficients : (S,) array
        Linear: factor of each row.
    event_slots : (7, places) int array
        Slots of lag, bioavailability, initial amount, duration, bioavailability/duration, rate, bioavailability/rate of
        each compartment, then of each further place (the rows of :mod:`pkpd.kernels.events`); -1 where there is none.
    affine : (K,) int array
        1 for outputs that are affine in the states with coefficients made of slots alone.
    switches : tuple of float
        Times at which a branch of the right-hand sides switches; -1 - s is the time in slot s. Data begin at 0: what switches
        before is no news.
    known, known_symbols : tuples
        Expressions of covariates that ``rates`` and ``outputs`` read besides the slots, and the symbols that they have there.
    slot_order, widths : tuples of int
        Not linear: which derivatives of the states are not identically zero, as :func:`pkpd.language.reach.reach` returns them.
    """

    linear: bool
    slots: tuple[Any, ...]
    slot_symbols: tuple[Any, ...]
    inputs: tuple[Any, ...]
    rates: tuple[Any, ...]
    outputs: tuple[Any, ...]
    table: np.ndarray
    coefficients: np.ndarray
    event_slots: np.ndarray
    states: tuple[Any, ...]
    time: Any
    affine: np.ndarray
    switches: tuple[float, ...] = ()
    known: tuple[Any, ...] = ()
    known_symbols: tuple[Any, ...] = ()
    slot_order: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()


def branched(e: Any) -> Any:
    """Write absolute values and signs as branches: their derivatives are then taken within each branch."""
    e = e.replace(sympy.Abs, lambda a: sympy.Piecewise((-a, a < 0), (a, True)))
    return e.replace(sympy.sign, lambda a: sympy.Piecewise((-1, a < 0), (1, a > 0), (0, True)))


def threshold(condition: Any, time: Any) -> Any:
    """Return the time at which a comparison that is linear in time changes its truth, else None."""
    gap = sympy.expand(condition.lhs - condition.rhs)
    slope = gap.coeff(time, 1)
    rest = sympy.expand(gap - slope * time)
    return -rest / slope if slope.is_number and slope != 0 and time not in rest.free_symbols else None


def _timed(e: Any, time: Any, dynamic: frozenset[Any]) -> Any:
    """Write comparisons that switch at a time free of states and inputs as time against that."""
    for condition in e.atoms(sympy.core.relational.Relational):
        at = threshold(condition, time) if time in condition.free_symbols else None
        if at is not None and at.free_symbols and not at.free_symbols & dynamic:
            rising = sympy.expand(condition.lhs - condition.rhs).coeff(time, 1) > 0
            e = e.xreplace({condition: condition.func(*((time, at) if rising else (at, time)))})
    return e


@dataclass
class _Slots:
    dynamic: frozenset[Any]
    inputs: frozenset[Any]
    time: Any
    found: dict[Any, Any] = field(default_factory=dict)

    def symbol(self, e: Any) -> Any:
        if e not in self.found:
            self.found[e] = sympy.Dummy(f"p{len(self.found)}", real=True)
        return self.found[e]

    def index(self, e: Any) -> int:
        self.symbol(e)
        return list(self.found).index(e)

    def abstract(self, e: Any) -> Any:
        """Replace maximal subexpressions free of states, time and inputs by slot symbols."""
        if e.is_number or e in (sympy.true, sympy.false):
            return e
        if not e.free_symbols & self.dynamic:
            if isinstance(e, (sympy.logic.boolalg.BooleanFunction, sympy.core.relational.Relational)):
                return e.func(*(self.abstract(a) for a in e.args))
            number, rest = e.as_coeff_Mul()
            return number * self.symbol(rest)
        if not e.args:
            return e
        if isinstance(e, sympy.core.relational.Relational) and self.time in e.args:
            # what time is held against is one slot, whatever its factor: steps stop there
            return e.func(*(a if a == self.time or a.is_number else self._whole(a) for a in e.args))
        if isinstance(e, (sympy.exp, sympy.Mul)):
            e = self._factored(e)
        if isinstance(e, (sympy.Add, sympy.Mul)):
            still = [a for a in e.args if not a.free_symbols & self.dynamic]
            moving = [a for a in e.args if a.free_symbols & self.dynamic]
            return e.func(self.abstract(e.func(*still)), *(self.abstract(a) for a in moving))
        if isinstance(e, sympy.Piecewise):
            return sympy.Piecewise(*((self.abstract(a), self.abstract(c)) for a, c in e.args))
        return e.func(*(self.abstract(a) for a in e.args))

    def _whole(self, e: Any) -> Any:
        return self.abstract(e) if e.free_symbols & self.dynamic else self.symbol(e)

    def _factored(self, e: Any) -> Any:
        """Write exp(a + b) as exp(a)·exp(b), so that tv·exp(eta + effect·indicator) keeps tv·exp(eta) as one slot.

        Only where b moves with inputs alone: with a state or time the two factors could leave the range of numbers.
        """
        factors = []
        for factor in sympy.Mul.make_args(e):
            moving = factor.free_symbols & self.dynamic
            if isinstance(factor, sympy.exp) and factor.args[0].is_Add and moving and moving <= self.inputs:
                terms = factor.args[0].args
                still = [a for a in terms if not a.free_symbols & self.dynamic]
                if still:
                    rest = [a for a in terms if a.free_symbols & self.dynamic]
                    # unevaluated: SymPy would join the two again
                    factors += [sympy.exp(sympy.Add(*still)), sympy.exp(sympy.Add(*rest))]
                    continue
            factors.append(factor)
        return e if len(factors) == len(sympy.Mul.make_args(e)) else sympy.Mul(*factors, evaluate=False)


def _linear_rows(
    rates: list[Any], states: list[Any], dynamic: frozenset[Any]
) -> list[tuple[int, int, Any]] | None:
    """Entries (i, j, expression) of K and of constant inputs (j = n), or None if the system is not linear."""
    rows = []
    for i, rate in enumerate(rates):
        # the derivative of a jump is zero on both sides: a switch by state or time shows only in its condition
        if any(c.free_symbols & dynamic for c in rate.atoms(sympy.core.relational.Relational)):
            return None
        entries = [sympy.diff(rate, s) for s in states]
        constant = rate.xreplace({s: sympy.Integer(0) for s in states})
        for j, e in enumerate([*entries, constant]):
            if e.free_symbols & dynamic:
                if _moves(e, dynamic):
                    return None
                e = sympy.simplify(e)
                if e.free_symbols & dynamic:
                    return None
            if e.has(sympy.nan, sympy.zoo, sympy.oo):
                return None
            if e != 0:
                rows.append((i, j, e))
    return rows


def _moves(e: Any, dynamic: frozenset[Any]) -> bool:
    """Whether an expression takes different values at two states and times.

    Cheap, while to simplify a high power of a sum may take for ever; where the values agree (or are no numbers) only algebra
    can say.
    """
    symbols = sorted(e.free_symbols, key=lambda s: s.dummy_index)
    still = {s: sympy.Float(0.4 + 0.03 * k) for k, s in enumerate(symbols) if s not in dynamic}
    low, high = (
        e.xreplace(
            still | {s: sympy.Float(a + 0.07 * k) for k, s in enumerate(symbols) if s in dynamic}
        ).evalf()
        for a in (0.6, 1.3)
    )
    if not (low.is_Float or low.is_Integer) or not (high.is_Float or high.is_Integer):
        return False
    return bool(abs(low - high) > 1e-6 * (abs(low) + abs(high)))


def analyse(model: Model, kind: str = "auto", varying: Varying = CONSTANT) -> Structure:
    """Work out slots and tables of a model.

    Parameters
    ----------
    model : Model
    kind : {"auto", "linear", "ode", "stiff"}
        As in :class:`pkpd.Solver`.
    varying : Varying
        What varies within a subject.

    Raises
    ------
    ModelError
        ``E_MODEL_NOT_LINEAR`` if the closed form is asked of a system that is not linear.
    """
    states = [c.symbol for c in model.compartments]
    n = len(states)
    inputs = frozenset(varying.inputs)
    dynamic = frozenset([*states, model.time, *inputs])
    right_hand_sides = [r.xreplace(varying.definitions) for r in model.rates]
    for i, latest in varying.absorbed:
        c = model.compartments[i]
        share = sympy.Integer(1) if c.bioavailability is None else c.bioavailability
        for amount, after in latest:
            density = (share * c.input).xreplace(varying.definitions).xreplace({AFTER_DOSE: after})
            right_hand_sides[i] += sympy.Piecewise((amount * density, after > 0), (0, True))
    slots = _Slots(dynamic, inputs, model.time)
    predictions = [o.prediction.xreplace(varying.definitions) for o in model.observations]
    constant = frozenset([*states, model.time]) if varying.stepwise else dynamic
    rows = None if kind in ("ode", "stiff") else _linear_rows(right_hand_sides, states, constant)
    if kind == "linear" and rows is None:
        raise ModelError(
            "E_MODEL_NOT_LINEAR",
            f"model {model.name} is not linear in its compartments with constant coefficients"
            + ("." if varying.stepwise else ", or it reads inputs that vary on lines."),
            'Use Solver(kind="auto") or Solver(kind="ode").',
        )
    table: list[tuple[int, int, int]] = []
    coefficients: list[float] = []
    rates: tuple[Any, ...] = ()
    if rows is not None and not inputs:
        for i, j, e in rows:
            expanded = sympy.Add.make_args(sympy.expand(e))
            terms = expanded if len(expanded) <= _MOST_TERMS else (e,)
            for term in terms:
                number, rest = term.as_coeff_Mul()
                table.append((i, j, -1 if rest == 1 else slots.index(rest)))
                coefficients.append(float(number))
    else:
        rates = tuple(slots.abstract(_timed(branched(r), model.time, dynamic)) for r in right_hand_sides)
    outputs = tuple(slots.abstract(branched(e)) for e in predictions)
    event_slots = np.full((7, n + len(varying.places)), -1, dtype=np.int64)
    homes = [(i, dict(varying.first)) for i in range(n)] + [(i, dict(at)) for i, at in varying.places]
    for column, (i, at) in enumerate(homes):
        for row, e in enumerate(_events(model.compartments[i], varying.definitions)):
            # an initial amount is that of the first record; what else varies has a place for each of its values
            there = column < n and (row == 2 or e is None or not e.free_symbols & inputs)
            if e is not None and (there or (column >= n and row != 2)):
                event_slots[row, column] = slots.index(e.xreplace(at))
    known: dict[Any, Any] = {}
    if rows is None:
        known = _known(model, slots.found, rates, set(event_slots.ravel().tolist()))
        kept = [e not in known for e in slots.found]
        place = np.r_[np.where(kept, np.cumsum(kept) - 1, -1), -1]
        event_slots = place[event_slots]
    symbols = tuple(symbol for e, symbol in slots.found.items() if e not in known)
    if rows is None or inputs:
        table = _second_derivatives(rates, [*states, *symbols])
    order: tuple[int, ...] = ()
    widths: tuple[int, ...] = ()
    if rows is None:
        homes_of = enumerate(i for i, _ in homes)
        of_events = [(i, int(s)) for column, i in homes_of for s in event_slots[:, column] if s >= 0]
        order, widths = reach(rates, states, symbols, of_events)
    return Structure(
        linear=rows is not None,
        slots=tuple(e for e in slots.found if e not in known),
        slot_symbols=symbols,
        inputs=tuple(varying.inputs),
        rates=rates,
        outputs=outputs,
        table=np.array(table, dtype=np.int64).reshape(-1, 3),
        coefficients=np.array(coefficients, dtype=float),
        event_slots=event_slots,
        states=tuple(states),
        time=model.time,
        affine=np.array([_affine(o, states, symbols) for o in outputs], dtype=np.int64),
        switches=_switches(model, rates, list(symbols), varying),
        known=tuple(known.values()),
        known_symbols=tuple(slots.found[e] for e in known),
        slot_order=order,
        widths=widths,
    )


def _known(
    model: Model, slots: Mapping[Any, Any], rates: tuple[Any, ...], of_events: set[int]
) -> dict[Any, Any]:
    """Slots that the data alone determine, written out in covariates; those of events and of switches in time stay slots."""
    covariates = {c.symbol for c in model.covariates}
    written: dict[Any, Any] = {}
    for p in model.parameters:
        written[p.symbol] = p.expression.xreplace(written)
    conditions = {s for r in rates for c in r.atoms(sympy.core.relational.Relational) for s in c.free_symbols}
    out = {}
    for i, (e, symbol) in enumerate(slots.items()):
        inner = e.xreplace(written)
        if inner.free_symbols <= covariates and i not in of_events and symbol not in conditions:
            out[e] = inner
    return out


def _events(c: Compartment, definitions: Mapping[Any, Any]) -> list[Any]:
    """Expressions of the rows of ``event_slots``, None where there is none."""
    if c.input is not None:
        return [
            None,
            None,
            None if c.initial is None else c.initial.xreplace(definitions),
            None,
            None,
            None,
            None,
        ]
    share = 1 if c.bioavailability is None else c.bioavailability
    # times and rates must be linear in the slots: a quotient is a slot of its own
    speed = None if c.duration is None else share / c.duration
    length = None if c.rate is None else share / c.rate
    given = (c.lag, c.bioavailability, c.initial, c.duration, speed, c.rate, length)
    return [None if e is None else e.xreplace(definitions) for e in given]


def _affine(output: Any, states: list[Any], symbols: tuple[Any, ...]) -> bool:
    allowed = set(symbols)
    return output.free_symbols <= allowed.union(states) and all(
        sympy.diff(output, s).free_symbols <= allowed for s in states
    )


def _switches(
    model: Model, rates: tuple[Any, ...], symbols: list[Any], varying: Varying
) -> tuple[float, ...]:
    """Where conditions on time change their truth: a step must end there, or it may leap over a short branch."""
    time, found = model.time, set[float]()
    doses = {s for _, latest in varying.absorbed for _, after in latest for s in after.free_symbols} - {time}
    for c, rate in zip(model.compartments if rates else (), rates, strict=True):
        for condition in rate.atoms(sympy.core.relational.Relational):
            used = condition.free_symbols
            other = condition.rhs if condition.lhs == time else condition.lhs
            if used == {time}:
                roots = sympy.solveset(condition.lhs - condition.rhs, time, sympy.S.Reals)
                if isinstance(roots, sympy.FiniteSet):
                    found.update(float(root) for root in roots if root >= 0)
            elif time in used and other in symbols:
                found.add(-1.0 - symbols.index(other))
            elif time in used and not used & doses and threshold(condition, time) is not None:
                warnings.warn(
                    f"W_MODEL_SWITCH: model {model.name}: the rate of {c.name} switches at a time that changes with columns of "
                    "the data within a subject. Predictions are right; derivatives are exact only if both branches meet "
                    "smoothly there.",
                    PkpdWarning,
                    stacklevel=5,
                )
    return tuple(sorted(found))


def _second_derivatives(rates: tuple[Any, ...], z: list[Any]) -> list[tuple[int, int, int]]:
    """Where ∂²rate_i/∂z_a∂z_b (a >= b) is not identically zero."""
    table: list[tuple[int, int, int]] = []
    for i, rate in enumerate(rates):
        for a in range(len(z)):
            first = sympy.diff(rate, z[a])
            if first == 0:
                continue
            present = first.free_symbols
            table.extend((i, a, b) for b in range(a + 1) if z[b] in present and sympy.diff(first, z[b]) != 0)
    return table
