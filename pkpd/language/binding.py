"""Binding a model to data: levels, columns, compartments and endpoints resolved, records as flat arrays, code compiled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import sympy

from pkpd.data import Dataset
from pkpd.errors import ModelError
from pkpd.language.columns import label_column, levels, number_column, occasion_levels
from pkpd.language.declarations import Eta, Model, Theta
from pkpd.language.direct import direct_inputs
from pkpd.language.dose_inputs import absorbed_width, with_dose_inputs
from pkpd.language.generate import model_source
from pkpd.language.inputs import InputColumn, Inputs, read_inputs
from pkpd.language.places import Places, find_places
from pkpd.language.records import OFF, Doses, Records, read_doses, read_records
from pkpd.language.solver import Solver
from pkpd.language.structure import Structure, Varying, analyse

__all__ = ["Doses", "Problem", "Records", "bind"]


@dataclass(frozen=True)
class Problem:
    """A model bound to data, ready for a kernel.

    Attributes
    ----------
    model : Model
        With the thetas that factor levels brought.
    thetas : tuple of Theta
        All thetas, those of factor effects last, named ``CL(TUMOR=lung)``.
    etas : tuple of Eta
        All random effects: those of the subject, then each effect of the occasion once per occasion of the data.
    occasions : (N, etas) bool array
        Whether the subject has the occasion of each eta (true for etas of the subject).
    subjects : (N,) array
        ID labels.
    doses, records : Doses, Records
    covariates : (N, C) array
        What does not change within a subject, in the order in which the compiled functions read it.
    inputs : Inputs
        What does.
    places : Places
        Where doses go.
    level_sizes : tuple of int
        Subjects that carry the level of each theta that factors brought, at one record at least.
    residual : (K, 5) int array
        Per endpoint the positions among the sigmas of its additive and proportional error and of its exponent (-1 where
        there is none), whether SDs add rather than variances, whether the error is log-normal.
    structure : Structure
    solver : Solver
    source : str
        Text of the compiled functions.
    definitions : mapping
        Individual parameters, factor effects and effects of the occasion: symbol to expression.
    symbols : tuple
        Symbols of the covariates and indicators that do not change within a subject: the first columns of ``covariates``.
    """

    model: Model
    thetas: tuple[Theta, ...]
    etas: tuple[Eta, ...]
    occasions: np.ndarray
    subjects: np.ndarray
    doses: Doses
    records: Records
    covariates: np.ndarray
    inputs: Inputs
    places: Places
    level_sizes: tuple[int, ...]
    residual: np.ndarray
    structure: Structure
    solver: Solver
    source: str
    definitions: Mapping[Any, Any]
    symbols: tuple[Any, ...]

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def n_eta(self) -> int:
        """Number of random effects."""
        return len(self.etas)

    @property
    def copies(self) -> tuple[int, ...]:
        """Number of occasions that each of the model's effects of the occasion has."""
        names = [e.name for e in self.etas]
        return tuple(sum(n.startswith(f"{v.eta_name}[") for n in names) for v in self.model.iovs)

    @property
    def n_slots(self) -> int:
        """Number of parameter slots."""
        return len(self.structure.slots)

    @cached_property
    def functions(self) -> dict[str, Any]:
        """Compiled ``parameters``, ``individual``, ``rates``, ``jacobian``, ``hessian``, ``output``."""
        from pkpd._jit import compile_generated

        return compile_generated(self.source)

    @cached_property
    def solve(self) -> Any:
        """The compiled solver."""
        if self.structure.linear:
            from pkpd.kernels.linear import solve_linear

            return solve_linear
        from pkpd.kernels.ode import solve_ode

        return solve_ode

    @property
    def steady(self) -> Any:
        """The compiled function that finds steady states; it is loaded only for data that have such doses."""
        if not np.any(np.isin(self.doses.kind, (1, 2))):
            from pkpd.kernels.events import no_steady_state

            return no_steady_state
        if self.structure.linear:
            from pkpd.kernels.linear_steady import steady_linear

            return steady_linear
        from pkpd.kernels.ode_steady import steady_ode

        return steady_ode

    @property
    def settings(self) -> np.ndarray:
        """What the stepper reads: rtol, atol, most steps, 1 for implicit steps only, then the times at which the rates switch."""
        solver = self.solver
        implicit = float(solver.kind == "stiff")
        return np.array(
            [solver.rtol, solver.atol, float(solver.max_steps), implicit, *self.structure.switches]
        )

    @property
    def compiled(self) -> tuple[Any, ...]:
        """The arguments that every kernel takes for the model: solver, compiled functions, and its numbers."""
        from pkpd._jit import System

        f, s = self.functions, self.structure
        numbers = System(
            len(s.states), self.n_slots, s.table, s.coefficients, s.event_slots, self.settings, s.affine
        )
        return (
            self.solve, f["parameters"], f["rates"], f["jacobian"], f["hessian"], f["output"], self.steady, numbers
        )  # fmt: skip

    @property
    def subject_data(self) -> Any:
        """The argument that every kernel takes for the data."""
        from pkpd._jit import Subjects

        d, r, w = self.doses, self.records, self.inputs
        # what enters through an input function must not be given again
        absorbed = np.isin(d.compartment, [i for i, _ in _absorbed(self.model)])
        return Subjects(
            self.covariates, d.offsets, d.time, d.compartment, self.places.of_doses, np.where(absorbed, 0.0, d.amount),
            d.rate, d.row, d.kind, d.interval,
            w.at_doses, r.offsets, r.time, r.endpoint, r.row, w.at_records, w.offsets, w.time, w.value, w.slope,
        )  # fmt: skip

    def with_records(self, doses: Doses, records: Records) -> Problem:
        """Give the same subjects other doses and observation times; inputs at these times are read off their pieces.

        Raises
        ------
        InputError
            ``E_DOSE_INPUTS`` for a dose whose event properties depend on inputs that no dose of the data had,
            ``E_INPUT_DOSE`` for one that an input function cannot take.
        """
        absorbed = _absorbed(self.model)
        base = self.inputs.without(absorbed_width(absorbed))
        at_doses, of_doses = base.at_doses, self.places.of_doses
        if doses is not self.doses:
            at_doses = base.at(doses.offsets, doses.time)
        inputs = replace(base, at_doses=at_doses, at_records=base.at(records.offsets, records.time))
        inputs = with_dose_inputs(inputs, doses, absorbed)
        if doses is not self.doses:
            of_doses = self.places.matched(len(self.structure.states), doses, inputs.at_doses)
        return replace(
            self, doses=doses, records=records, inputs=inputs, places=replace(self.places, of_doses=of_doses)
        )

    def with_subjects(self, rows: np.ndarray, subjects: np.ndarray) -> Problem:
        """Take subjects by position, some perhaps several times, under new labels; their records must be given next."""
        return replace(
            self,
            subjects=subjects,
            occasions=self.occasions[rows],
            covariates=np.ascontiguousarray(self.covariates[rows]),
            inputs=self.inputs.taken(rows),
            places=replace(self.places, values=self.places.values[rows]),
        )


_DERIVED: dict[tuple[Any, ...], tuple[Structure, str]] = {}
_MOST_DERIVED = 64


def bind(model: Model, data: Dataset, solver: Solver | None = None) -> Problem:
    """Resolve a model against a data set.

    Parameters
    ----------
    model : Model
    data : Dataset
    solver : Solver, optional

    Returns
    -------
    Problem

    Raises
    ------
    ModelError
        Naming the column, level, compartment or endpoint that the data lack, or the subjects whose covariate is missing.
    """
    solver = solver or Solver()
    doses, dose_rows = read_doses(model, data)
    records, record_rows = read_records(model, data)
    _check_units(model, data, doses)
    resolved = _resolved(model, data)
    inputs = with_dose_inputs(
        read_inputs(resolved.inputs, data, record_rows, dose_rows), doses, _absorbed(model)
    )
    symbols = (*_dose_symbols(model), *(c.symbol for c in resolved.inputs))
    moving = _moving(model, resolved.definitions, frozenset(symbols))
    dependent = _dependent(model, moving, symbols)
    places = find_places(len(model.compartments), doses, inputs.at_doses, inputs.first, dependent)
    kind = "ode" if np.any(doses.kind == OFF) and solver.kind == "auto" else solver.kind
    if np.any(doses.kind == OFF) and kind == "linear":
        raise ModelError(
            "E_OFF_LINEAR",
            "the data turn compartments off (negative CMT), which the closed form cannot do.",
            'Use Solver(kind="auto") or Solver(kind="ode").',
        )
    # what SymPy derives depends on the model, its levels and what varies: repeated fits and exposure grids find it here
    key = (model.fingerprint(), kind, resolved.levels, inputs.names, places.compartment)
    if key not in _DERIVED:
        while len(_DERIVED) >= _MOST_DERIVED:
            _DERIVED.pop(next(iter(_DERIVED)))
        _DERIVED[key] = _derive(model, kind, resolved, symbols, moving, places)
    structure, source = _DERIVED[key]
    _check_steady(model, structure, doses)
    sigma = {s.name: i for i, s in enumerate(model.sigmas)}
    residual = [
        [
            *(sigma.get(s or "", -1) for s in (o.additive, o.proportional, o.power)),
            o.combined == "sd",
            o.transform == "log",
        ]
        for o in model.observations
    ]
    n = data.n_subjects
    columns = [*resolved.constant, *inputs.first.T, *places.values.reshape(n, -1).T]
    return Problem(
        model=model,
        thetas=tuple(resolved.thetas),
        etas=tuple(resolved.etas),
        occasions=np.column_stack([np.ones((n, len(model.etas)), dtype=bool), *resolved.occasions]),
        subjects=data.subjects,
        doses=doses,
        records=records,
        covariates=np.ascontiguousarray(np.column_stack(columns)) if columns else np.zeros((n, 0)),
        inputs=inputs,
        places=places,
        level_sizes=tuple(resolved.level_sizes),
        residual=np.array(residual, dtype=np.int64),
        structure=structure,
        solver=solver,
        source=source,
        definitions=resolved.definitions,
        symbols=tuple(resolved.symbols),
    )


@dataclass
class _Resolved:
    """Columns and levels of a model in one data set."""

    thetas: list[Theta]
    etas: list[Eta]
    definitions: dict[Any, Any]
    constant: list[np.ndarray]
    symbols: list[Any]
    inputs: list[InputColumn]
    level_sizes: list[int]
    occasions: list[np.ndarray]
    levels: tuple[tuple[str, str], ...] = ()


def _resolved(model: Model, data: Dataset) -> _Resolved:
    """Split what the model reads into columns that are constant within the subject and time-varying inputs."""
    parameters = {p.symbol: p.expression for p in model.parameters}
    out = _Resolved(list(model.thetas), list(model.etas), parameters, [], [], [], [], [])
    first = data.offsets[:-1]

    def add(name: str, symbol: Any, values: np.ndarray, varies: bool, interpolation: str) -> None:
        if varies:
            out.inputs.append(InputColumn(name, symbol, values, interpolation))
        else:
            out.constant.append(values[first])
            out.symbols.append(symbol)

    for c in model.covariates:
        column = number_column(c.name, data)
        add(c.name, c.symbol, column.values, column.varies, c.interpolation)
    indicators = {}
    for factor in model.factors:
        column = label_column(factor.name, data)
        for level in levels(factor, column.values):
            indicators[factor.name, level] = (column.values == level).astype(float), column.varies, factor
    for effect in model.effects:
        total: Any = sympy.Integer(0)
        for (name, level), (values, varies, factor) in indicators.items():
            if name == effect.factor:
                theta, indicator = _level_theta(effect.parameter, name, level)
                out.thetas.append(theta)
                out.level_sizes.append(int(np.count_nonzero(np.add.reduceat(values, first))))
                add(f"{name}={level}", indicator, values, varies, factor.interpolation)
                total = total + theta.symbol * indicator
        out.definitions[effect.symbol] = total
    occasions: dict[tuple[str, str], tuple[Any, np.ndarray]] = {}
    for column in {v.occasion: label_column(v.occasion, data) for v in model.iovs}.values():
        for label in occasion_levels(column.values):
            here = (column.values == label).astype(float)
            symbol = sympy.Dummy(f"{column.name}={label}", real=True)
            occasions[column.name, label] = symbol, np.maximum.reduceat(here, first) > 0
            add(f"{column.name}={label}", symbol, here, column.varies, "nocb")
    for v in model.iovs:
        total = sympy.Integer(0)
        for (name, label), (indicator, present) in occasions.items():
            if name == v.occasion:
                eta = Eta(f"{v.eta_name}[{label}]", sympy.Dummy(f"{v.eta_name}[{label}]", real=True))
                out.etas.append(eta)
                out.occasions.append(present)
                total = total + eta.symbol * indicator
        out.definitions[v.symbol] = total
    out.levels = (*indicators, *occasions)
    out.inputs.extend(direct_inputs(model, data))
    return out


def _moving(model: Model, definitions: dict[Any, Any], inputs: frozenset[Any]) -> dict[Any, Any]:
    """Definitions that depend on inputs, written out down to them."""
    moving: dict[Any, Any] = {}
    parameters = [
        p.symbol for p in model.parameters
    ]  # in order: each is made of those before it, and of effects
    for symbol in [*(s for s in definitions if s not in parameters), *parameters]:
        e = definitions[symbol].xreplace(moving)
        if e.free_symbols & inputs:
            moving[symbol] = e
    return moving


def _absorbed(model: Model) -> list[tuple[int, int]]:
    """Compartments whose doses enter through an input function, and how many of the latest are superposed."""
    return [(i, c.input_doses) for i, c in enumerate(model.compartments) if c.input is not None]


def _dose_symbols(model: Model) -> tuple[Any, ...]:
    return tuple(sympy.Dummy(f"dose input {k}", real=True) for k in range(absorbed_width(_absorbed(model))))


def _dependent(model: Model, moving: dict[Any, Any], inputs: tuple[Any, ...]) -> dict[int, tuple[int, ...]]:
    """By compartment, the inputs that the lag, bioavailability, duration or rate of its doses depends on."""
    out = {}
    for i, c in enumerate(model.compartments):
        if c.input is not None:
            continue  # its doses are inputs themselves
        given = [e.xreplace(moving) for e in (c.lag, c.bioavailability, c.duration, c.rate) if e is not None]
        used = tuple(j for j, s in enumerate(inputs) if any(s in e.free_symbols for e in given))
        if used:
            out[i] = used
    return out


def _derive(
    model: Model,
    kind: str,
    resolved: _Resolved,
    inputs: tuple[Any, ...],
    moving: dict[Any, Any],
    places: Places,
) -> tuple[Structure, str]:
    """Structure and generated code."""

    def at(where: str) -> dict[Any, Any]:
        return {s: sympy.Dummy(f"{s.name} {where}", real=True) for s in inputs}

    first = at("at the first record")
    there = [at(f"at place {k}") for k in range(len(places.compartment))]
    symbols, absorbed = iter(inputs), []
    for i, count in _absorbed(model):
        absorbed.append((i, tuple((next(symbols), next(symbols)) for _ in range(count))))
    further = tuple(zip(places.compartment, there, strict=True))
    # the time after a dose moves all the time
    stepwise = not absorbed and all(c.interpolation != "linear" for c in resolved.inputs)
    varying = Varying(inputs, moving, first, further, stepwise, tuple(absorbed))
    structure = analyse(model, kind, varying)
    individual = [p.symbol for p in model.parameters] + [p.expression for p in model.derived]
    source = model_source(
        structure,
        {symbol: e.xreplace(first) for symbol, e in resolved.definitions.items()},
        [e.xreplace(first) for e in individual],
        [e.symbol for e in resolved.etas],
        [t.symbol for t in resolved.thetas],
        [*resolved.symbols, *first.values(), *(s for values in there for s in values.values())],
    )
    return structure, source


def _check_units(model: Model, data: Dataset, doses: Doses) -> None:
    """Units that the data declare against those of the model: ng/mL read as mg/L is the classic silent error."""
    wanted_by = f"model {model.name}"
    for c in model.covariates:
        data.require_unit(c.name, c.unit, wanted_by)
    for i in np.unique(doses.compartment):
        data.require_unit("AMT", model.compartments[i].unit, wanted_by)
    if (
        len({o.unit for o in model.observations}) == 1
    ):  # one column cannot declare the units of several endpoints
        data.require_unit("DV", model.observations[0].unit, wanted_by)


def _level_theta(parameter: str, factor: str, level: str) -> tuple[Theta, Any]:
    name = f"{parameter}({factor}={level})"
    label = f"effect of {factor} {level} on {parameter}"
    return Theta(name, 0.0, "log ratio", label=label, symbol=sympy.Dummy(name, real=True)), sympy.Dummy(
        f"{factor}={level}", real=True
    )


def _check_steady(model: Model, structure: Structure, doses: Doses) -> None:
    """What the stepper finds a steady state of: equations without time, and none of their own input where states are added."""
    if np.any(np.isin(doses.kind, (1, 2))) and any(structure.time in r.free_symbols for r in structure.rates):
        raise ModelError(
            "E_STEADY_TIME",
            f"the data have steady-state doses, but the equations of {model.name} depend on time itself.",
            "Write the doses that led to the steady state out with ADDL and II.",
        )
    if np.any(doses.kind == 2) and not structure.linear:
        empty = dict.fromkeys(structure.states, 0)
        if any(r.subs(empty) != 0 for r in structure.rates):
            raise ModelError(
                "E_STEADY_ADD",
                f"the data have doses with SS = 2, whose steady state is added to what is there, but {model.name} makes "
                "amounts of its own, which would be added twice.",
                "Use SS = 1, or write the doses that led to the steady state out with ADDL and II.",
            )
