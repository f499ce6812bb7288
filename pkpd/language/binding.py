"""Binding a model to data: levels, columns, compartments and endpoints resolved, records as flat arrays, code compiled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from pkpd.data import Dataset
from pkpd.data.units import parse_unit
from pkpd.errors import InputError, ModelError
from pkpd.language.declarations import Eta, Theta
from pkpd.language.dose_inputs import absorbed_width, with_dose_inputs
from pkpd.language.frozen_model import Model
from pkpd.language.handover import quick
from pkpd.language.inputs import Inputs, read_inputs
from pkpd.language.known import known_values
from pkpd.language.places import Places, find_places
from pkpd.language.reach import held_entries
from pkpd.language.records import OFF, Doses, Records, read_doses, read_records
from pkpd.language.resolution import (
    absorbing_compartments,
    dependent_compartments,
    derive,
    dose_symbols,
    moving_definitions,
    resolve,
)
from pkpd.language.solver import Solver
from pkpd.language.structure import Structure

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
    residual : (K, 5) or (K, 6 + K) int array
        Per endpoint the positions among the sigmas of its additive and proportional error and of its exponent (-1 where
        there is none), whether SDs add rather than variances, whether the error is log-normal; where errors are correlated
        also the positions of its rate of decay, and of its correlation with each endpoint.
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
    def correlated(self) -> bool:
        """Whether residual errors are correlated, between endpoints or in time."""
        return self.residual.shape[1] > 5

    @property
    def copies(self) -> dict[str, int]:
        """Number of occasions that each of the model's effects of the occasion has, by its name."""
        names = [e.name for e in self.etas]
        return {v.name: sum(n.startswith(f"{v.eta_name}[") for n in names) for v in self.model.iovs}

    @property
    def n_slots(self) -> int:
        """Number of parameter slots."""
        return len(self.structure.slots)

    @cached_property
    def functions(self) -> dict[str, Any]:
        """Compiled ``parameters``, ``individual``, ``rates``, ``jacobian``, ``hessian``, ``output``."""
        from pkpd._generated import compile_generated

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
        """What the stepper reads: rtol, atol, most steps, which steppers, then the times at which the rates switch.

        Which steppers: 1 for implicit steps only, 0 for both; 2 is 0 with a status that tells of a second attempt.
        """
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
            len(s.states), self.n_slots, s.table, s.coefficients, s.event_slots, self.settings, s.affine,
            held_entries(s.slot_order, s.widths),
        )  # fmt: skip
        generated = (f[name] for name in ("parameters", "rates", "jacobian", "hessian", "output"))
        return (quick(self.solve), *generated, quick(self.steady), numbers)

    @property
    def subject_data(self) -> Any:
        """The argument that every kernel takes for the data."""
        from pkpd._jit import Subjects

        d, r, w = self.doses, self.records, self.inputs
        if self.structure.known:
            w = w.with_constants(
                known_values(self.structure, self.symbols, self.covariates), d.offsets, r.offsets
            )
        # what enters through an input function must not be given again
        absorbed = np.isin(d.compartment, [i for i, _ in absorbing_compartments(self.model)])
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
        absorbed = absorbing_compartments(self.model)
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


def bind(model: Model, data: Dataset, solver: Solver | None = None, *, partial: bool = False) -> Problem:
    """Resolve a model against a data set.

    Parameters
    ----------
    model : Model
    data : Dataset
    solver : Solver, optional
    partial : bool
        Whether levels of factors may be absent, the reference too: for predictions at given parameters, as of one tumour type.

    Returns
    -------
    Problem

    Raises
    ------
    InputError
        ``E_ARGUMENT`` for what is no model, data set or solver.
    ModelError
        Naming the column, level, compartment or endpoint that the data lack, or the subjects whose covariate is missing.
    """
    for value, wanted, source in (
        (model, Model, "pkpd.load_model(…)"),
        (data, Dataset, "pkpd.read_dataset(…)"),
        (solver or Solver(), Solver, "pkpd.Solver(…)"),
    ):
        if not isinstance(value, wanted):
            raise InputError(
                "E_ARGUMENT", f"expected a {wanted.__name__}, got {type(value).__name__}.", f"Use {source}."
            )
    solver = solver or Solver()
    doses, dose_rows = read_doses(model, data)
    records, record_rows = read_records(model, data)
    _check_units(model, data, doses)
    resolved = resolve(model, data, partial=partial)
    inputs = with_dose_inputs(
        read_inputs(resolved.inputs, data, record_rows, dose_rows), doses, absorbing_compartments(model)
    )
    symbols = (*dose_symbols(model), *(c.symbol for c in resolved.inputs))
    moving = moving_definitions(model, resolved.definitions, frozenset(symbols))
    dependent = dependent_compartments(model, moving, symbols)
    places = find_places(len(model.compartments), doses, inputs.at_doses, inputs.first, dependent)
    kind = "ode" if np.any(doses.kind == OFF) and solver.kind == "auto" else solver.kind
    if np.any(doses.kind == OFF) and kind == "linear":
        raise ModelError(
            "E_OFF_LINEAR",
            "the data turn compartments off (negative CMT, or interval-censored events), which the closed form cannot do.",
            'Use Solver(kind="auto") or Solver(kind="ode").',
        )
    # what SymPy derives depends on the model, its levels and what varies: repeated fits and exposure grids find it here
    key = (model.fingerprint(), kind, resolved.levels, inputs.names, places.compartment)
    if key not in _DERIVED:
        while len(_DERIVED) >= _MOST_DERIVED:
            _DERIVED.pop(next(iter(_DERIVED)))
        _DERIVED[key] = derive(model, kind, resolved, symbols, moving, places)
    structure, source = _DERIVED[key]
    _check_steady(model, structure, doses)
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
        residual=_residual(model),
        structure=structure,
        solver=solver,
        source=source,
        definitions=resolved.definitions,
        symbols=tuple(resolved.symbols),
    )


def _residual(model: Model) -> np.ndarray:
    """Error model of each endpoint: see ``residual`` of :class:`Problem`."""
    place = {s.name: i for i, s in enumerate(model.sigmas)}
    rows = [
        [
            *(place.get(s or "", -1) for s in (o.additive, o.proportional, o.power)),
            o.combined == "sd",
            o.transform == "log",
        ]
        for o in model.observations
    ]
    if model.correlations or any(o.ar1 for o in model.observations):
        between = {frozenset((c.first, c.second)): place[c.sigma] for c in model.correlations}
        for row, o in zip(rows, model.observations, strict=True):
            row.append(place.get(o.ar1 or "", -1))
            row += [between.get(frozenset((o.name, other.name)), -1) for other in model.observations]
    return np.array(rows, dtype=np.int64)


def _check_units(model: Model, data: Dataset, doses: Doses) -> None:
    """Units that the data declare against those of the model: ng/mL read as mg/L is the classic silent error."""
    wanted_by = f"model {model.name}"
    for c in model.covariates:
        data.require_unit(c.name, c.unit, wanted_by)
    # these are written in the units of their neighbours
    for column, of in (("II", "TIME"), ("LLOQ", "DV"), ("LIMIT", "DV")):
        data.require_unit(column, data.units.get(of, ""), f"column {of}")
    times = _time_units(model)
    if len(times) == 1:  # of several it is not known which is that of the records
        data.require_unit("TIME", times.pop(), wanted_by)
    for i in np.unique(doses.compartment):
        data.require_unit("AMT", model.compartments[i].unit, wanted_by)
    # one column cannot declare the units of several endpoints
    if len({o.unit for o in model.observations}) == 1:
        data.require_unit("DV", model.observations[0].unit, wanted_by)


def _time_units(model: Model) -> set[str]:
    """Units of time in the units of thetas and individual parameters: the h of L/h, not the min of beats/min."""
    units = [*(t.unit for t in model.thetas), *(p.unit for p in model.parameters)]
    parts = {
        part.rstrip("^+-0123456789")
        for unit in units
        if parse_unit(unit) is not None
        for part in re.split(r"[/*·\s]+", unit)
    }
    parsed = {part: parse_unit(part) for part in parts if part}
    return {part for part, known in parsed.items() if known is not None and known.powers == (("s", 1),)}


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
