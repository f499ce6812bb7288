"""Binding a model to data: levels, columns, compartments and endpoints resolved, records as flat arrays, code compiled."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import ModelError
from pkpd.language.declarations import Factor, Model, Theta
from pkpd.language.generate import model_source
from pkpd.language.solver import Solver
from pkpd.language.structure import Structure, analyse

__all__ = ["Doses", "Problem", "Records", "bind"]


@dataclass(frozen=True)
class Doses:
    """Dose and reset records of all subjects, additional doses written out.

    ``time``, ``amount``, ``rate`` (D,) float; ``compartment`` (D,) from 0; ``row`` (D,) place of the record in its subject;
    ``kind`` (D,) 0 dose, 1 or 2 steady-state dose, 3 reset; ``interval`` (D,) II of steady-state doses;
    ``offsets`` (N+1,): the doses of subject i are ``offsets[i]:offsets[i+1]``.
    """

    time: np.ndarray
    compartment: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    row: np.ndarray
    kind: np.ndarray
    interval: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Records:
    """Observation records of all subjects, in order of time.

    ``time``, ``value`` (O,) float; ``endpoint`` (O,) from 0; ``used`` (O,) 1 where the value enters the likelihood;
    ``row`` (O,) place in the subject; ``offsets`` (N+1,).
    """

    time: np.ndarray
    value: np.ndarray
    endpoint: np.ndarray
    used: np.ndarray
    row: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Problem:
    """A model bound to data, ready for a kernel.

    Attributes
    ----------
    model : Model
        With the thetas that factor levels brought.
    thetas : tuple of Theta
        All thetas, those of factor effects last, named ``CL(TUMOR=lung)``.
    subjects : (N,) array
        ID labels.
    doses, records : Doses, Records
    covariates : (N, C) array
        Values per subject, in the order in which the compiled functions read them.
    residual : (K, 2) int array
        Per endpoint the positions among the sigmas of its additive and proportional error; -1 where there is none.
    structure : Structure
    solver : Solver
    """

    model: Model
    thetas: tuple[Theta, ...]
    subjects: np.ndarray
    doses: Doses
    records: Records
    covariates: np.ndarray
    residual: np.ndarray
    structure: Structure
    solver: Solver
    source: str

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.subjects)

    @property
    def n_eta(self) -> int:
        """Number of random effects."""
        return len(self.model.etas)

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
        """What the stepper reads: rtol, atol, most steps, then the times at which the rates switch."""
        solver = self.solver
        return np.array([solver.rtol, solver.atol, float(solver.max_steps), *self.structure.switches])

    @property
    def compiled(self) -> tuple[Any, ...]:
        """The arguments that every kernel takes for the model: solver, compiled functions, and its numbers."""
        from pkpd._jit import System

        f, s = self.functions, self.structure
        numbers = System(len(s.states), self.n_slots, s.table, s.coefficients, s.event_slots, self.settings)
        return (
            self.solve, f["parameters"], f["rates"], f["jacobian"], f["hessian"], f["output"], self.steady, numbers
        )  # fmt: skip

    @property
    def subject_data(self) -> Any:
        """The argument that every kernel takes for the data."""
        from pkpd._jit import Subjects

        d, r = self.doses, self.records
        n, count = self.n_subjects, len(r.time)
        return Subjects(
            self.covariates, d.offsets, d.time, d.compartment, d.compartment, d.amount, d.rate, d.row, d.kind, d.interval,
            np.zeros((len(d.time), 0)), r.offsets, r.time, r.endpoint, r.row, np.zeros((count, 0)),
            np.zeros(n + 1, dtype=np.int64), np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)),
        )  # fmt: skip

    def with_records(self, doses: Doses, records: Records) -> Problem:
        """Give the same subjects other doses and observation times."""
        return replace(self, doses=doses, records=records)


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
    frame = data.frame
    doses = _doses(model, data, frame)
    records = _records(model, data, frame)
    _check_units(model, data, doses)
    columns, symbols = [], []
    for c in model.covariates:
        columns.append(_numeric_covariate(c.name, data, frame))
        symbols.append(c.symbol)
    thetas, definitions, indicators = (
        list(model.thetas),
        {p.symbol: p.expression for p in model.parameters},
        {},
    )
    for factor in model.factors:
        labels = _labels(factor.name, data, frame)
        for level in _levels(factor, labels):
            indicators[factor.name, level] = (labels == level).astype(float)
    for effect in model.effects:
        total: Any = 0
        for (name, level), values in indicators.items():
            if name == effect.factor:
                theta, indicator = _level_theta(effect.parameter, name, level)
                thetas.append(theta)
                columns.append(values)
                symbols.append(indicator)
                total = total + theta.symbol * indicator
        definitions[effect.symbol] = total if total != 0 else _zero()
    # what SymPy derives depends on the model and its levels alone: repeated fits and exposure grids find it here
    key = (model.fingerprint(), solver.kind, tuple(indicators))
    if key not in _DERIVED:
        while len(_DERIVED) >= _MOST_DERIVED:
            _DERIVED.pop(next(iter(_DERIVED)))
        structure = analyse(model, solver.kind)
        individual = [p.symbol for p in model.parameters] + [p.expression for p in model.derived]
        source = model_source(
            structure,
            definitions,
            individual,
            [e.symbol for e in model.etas],
            [t.symbol for t in thetas],
            symbols,
        )
        _DERIVED[key] = structure, source
    structure, source = _DERIVED[key]
    _check_steady(model, structure, doses)
    sigma = {s.name: i for i, s in enumerate(model.sigmas)}
    residual = [
        [sigma.get(o.additive or "", -1), sigma.get(o.proportional or "", -1)] for o in model.observations
    ]
    return Problem(
        model=model,
        thetas=tuple(thetas),
        subjects=data.subjects,
        doses=doses,
        records=records,
        covariates=np.ascontiguousarray(np.column_stack(columns))
        if columns
        else np.zeros((data.n_subjects, 0)),
        residual=np.array(residual, dtype=np.int64),
        structure=structure,
        solver=solver,
        source=source,
    )


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


def _zero() -> Any:
    import sympy

    return sympy.Integer(0)


def _level_theta(parameter: str, factor: str, level: str) -> tuple[Theta, Any]:
    import sympy

    name = f"{parameter}({factor}={level})"
    label = f"effect of {factor} {level} on {parameter}"
    return Theta(name, 0.0, "log ratio", label=label, symbol=sympy.Dummy(name, real=True)), sympy.Dummy(
        f"{factor}={level}", real=True
    )


def _doses(model: Model, data: Dataset, frame: pd.DataFrame) -> Doses:
    offsets = data.offsets
    owner = np.repeat(np.arange(data.n_subjects), np.diff(offsets))
    place = np.arange(len(frame)) - offsets[owner]
    evid = frame["EVID"].to_numpy()
    # a reset-and-dose record (EVID 4) is a reset followed by a dose of the same record
    resets = np.flatnonzero(np.isin(evid, (3, 4)))
    index = np.flatnonzero(np.isin(evid, (1, 4)))
    if len(index) and not model.compartments:
        raise ModelError(
            "E_MODEL_CMT",
            f"the data have doses but model {model.name} has no compartment.",
            "Declare one, or drop the doses.",
        )
    repeats = frame["ADDL"].to_numpy()[index].astype(np.int64) + 1
    source = np.repeat(index, repeats)
    step = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    interval = frame["II"].to_numpy(float)[source]
    # only the dose of the record itself is a steady-state dose; additional ones carry its pattern on
    steady = np.where(step == 0, frame["SS"].to_numpy()[source], 0).astype(np.int64)
    rate = frame["RATE"].to_numpy(float)[source]
    compartment = np.repeat(_compartments(model, data, frame, index), repeats)
    _check_modelled(model, frame, source, compartment, rate)
    every = np.concatenate([resets, source])
    order = np.lexsort((np.concatenate([np.zeros(len(resets)), np.ones(len(source))]), every))
    counts = np.bincount(owner[every], minlength=data.n_subjects)

    def merged(of_reset: float, of_dose: np.ndarray) -> np.ndarray:
        return np.concatenate([np.full(len(resets), of_reset, dtype=of_dose.dtype), of_dose])[order]

    time = frame["TIME"].to_numpy(float)
    return Doses(
        time=np.concatenate([time[resets], time[source] + step * interval])[order],
        compartment=merged(0, compartment),
        amount=merged(0.0, frame["AMT"].to_numpy(float)[source]),
        rate=merged(0.0, rate),
        row=place[every][order].astype(np.int64),
        kind=merged(3, steady),
        interval=merged(0.0, np.where(steady > 0, interval, 0.0)),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _check_steady(model: Model, structure: Structure, doses: Doses) -> None:
    """What the stepper finds a steady state of: equations without time, and none of their own input where states are added."""
    if np.any(np.isin(doses.kind, (1, 2))) and any(structure.time in r.free_symbols for r in structure.rates):
        raise ModelError(
            "E_STEADY_TIME",
            f"the data have steady-state doses, but the equations of {model.name} depend on time itself.",
            "Write the doses that led to the steady state out with ADDL and II.",
        )
    if np.any(doses.kind == 2) and structure.rates:
        empty = dict.fromkeys(structure.states, 0)
        if any(r.subs(empty) != 0 for r in structure.rates):
            raise ModelError(
                "E_STEADY_ADD",
                f"the data have doses with SS = 2, whose steady state is added to what is there, but {model.name} makes "
                "amounts of its own, which would be added twice.",
                "Use SS = 1, or write the doses that led to the steady state out with ADDL and II.",
            )


def _check_modelled(
    model: Model, frame: pd.DataFrame, source: np.ndarray, compartment: np.ndarray, rate: np.ndarray
) -> None:
    """RATE -1 and -2 need a rate or duration in the model."""
    for code, what in ((-1.0, "rate"), (-2.0, "duration")):
        lacks = np.array([getattr(c, what) is None for c in model.compartments], dtype=bool)
        if not len(lacks):
            continue
        bad = np.flatnonzero((rate == code) & lacks[compartment])
        if len(bad):
            record = frame.iloc[source[bad[0]]]
            name = model.compartments[compartment[bad[0]]].name
            raise ModelError(
                "E_MODEL_RATE",
                f"row {record['ROW']}, ID {record['ID']}, column RATE, value {code:g}: the {what} of the dose is modelled, but "
                f"compartment {name} of {model.name} has no {what}.",
                f"Declare m.compartment({name!r}, {what}=…), or give the rate in the data.",
            )


def _compartments(model: Model, data: Dataset, frame: pd.DataFrame, index: np.ndarray) -> np.ndarray:
    names = {c.name: i for i, c in enumerate(model.compartments)}
    out = np.zeros(len(index), dtype=np.int64)
    for k, (at, value) in enumerate(zip(index, frame["CMT"].to_numpy(object)[index], strict=True)):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        found = names.get(str(value))
        if found is None:
            try:
                number = float(value)
            except (TypeError, ValueError):
                number = math.nan
            found = int(number) - 1 if number.is_integer() and 1 <= number <= len(names) else None
        if found is None:
            record = frame.iloc[at]
            raise ModelError(
                "E_MODEL_CMT",
                f"row {record['ROW']}, ID {record['ID']}, column CMT, value {value}: model {model.name} has no such compartment.",
                f"Its compartments are {', '.join(f'{i + 1} {c}' for c, i in names.items())}.",
            )
        out[k] = found
    return out


def _records(model: Model, data: Dataset, frame: pd.DataFrame) -> Records:
    offsets = data.offsets
    owner = np.repeat(np.arange(data.n_subjects), np.diff(offsets))
    place = np.arange(len(frame)) - offsets[owner]
    index = np.flatnonzero(frame["EVID"].to_numpy() == 0)
    endpoint = frame["DVID"].to_numpy()[index].astype(np.int64) - 1
    used = (frame["MDV"].to_numpy()[index] == 0).astype(np.int64)
    bad = np.flatnonzero((endpoint < 0) | (endpoint >= len(model.observations)))
    if len(bad):
        record = frame.iloc[index[bad[0]]]
        raise ModelError(
            "E_MODEL_DVID",
            f"row {record['ROW']}, ID {record['ID']}, column DVID, value {record['DVID']}: model {model.name} observes "
            f"{len(model.observations)} endpoint(s).",
            f"Use 1 to {len(model.observations)}: {', '.join(o.name for o in model.observations)}.",
        )
    counts = np.bincount(owner[index], minlength=data.n_subjects)
    return Records(
        time=frame["TIME"].to_numpy(float)[index],
        value=np.where(used == 1, frame["DV"].to_numpy(float)[index], 0.0),
        endpoint=endpoint,
        used=used,
        row=place[index].astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _column(name: str, data: Dataset, frame: pd.DataFrame) -> pd.Series:
    if name not in frame.columns:
        raise ModelError(
            "E_MODEL_COLUMN",
            f"the model needs column {name!r}, which {data.source} does not have.",
            f"It has: {', '.join(data.covariates)}.",
        )
    first = frame[name].iloc[data.offsets[:-1]]
    spread = frame.groupby(np.repeat(np.arange(data.n_subjects), np.diff(data.offsets)))[name].nunique(
        dropna=False
    )
    varies = np.flatnonzero(spread.to_numpy() > 1)
    if len(varies):
        raise ModelError(
            "E_COVARIATE_VARIES",
            f"column {name} changes within ID {data.subjects[varies[0]]} (and {len(varies) - 1} more); "
            "a covariate must be constant within a subject.",
            "Use the baseline value, or leave the covariate out.",
        )
    missing = np.flatnonzero(first.isna().to_numpy())
    if len(missing):
        shown = ", ".join(str(data.subjects[i]) for i in missing[:10])
        raise ModelError(
            "E_COVARIATE_MISSING",
            f"column {name} is missing for {len(missing)} of {data.n_subjects} subjects: ID {shown}"
            f"{' …' if len(missing) > 10 else ''}.",
            "Impute it by a stated rule, or leave those subjects out.",
        )
    return first


def _numeric_covariate(name: str, data: Dataset, frame: pd.DataFrame) -> np.ndarray:
    values = _column(name, data, frame)
    if not pd.api.types.is_numeric_dtype(values):
        raise ModelError(
            "E_MODEL_COLUMN",
            f"column {name} is text ({values.iloc[0]!r} …), but the model uses it as a number.",
            "Use m.factor(…) for categories.",
        )
    return values.to_numpy(float)


def _labels(name: str, data: Dataset, frame: pd.DataFrame) -> np.ndarray:
    return np.array([_label(v) for v in _column(name, data, frame)], dtype=object)


def _label(value: Any) -> str:
    # a category written 1 in the file is "1", not "1.0"
    return (
        str(int(value))
        if isinstance(value, (float, np.floating)) and float(value).is_integer()
        else str(value)
    )


def _levels(factor: Factor, labels: np.ndarray) -> list[str]:
    """Non-reference levels: those declared, else those in the data in order of appearance."""
    present = list(dict.fromkeys(labels.tolist()))
    if factor.reference not in present:
        raise ModelError(
            "E_MODEL_REFERENCE",
            f"factor {factor.name}: the reference level {factor.reference!r} has no subject.",
            f"Levels present: {', '.join(present)}.",
        )
    if factor.levels is not None:
        unknown = [x for x in present if x not in factor.levels]
        if unknown:
            raise ModelError(
                "E_MODEL_LEVEL",
                f"factor {factor.name}: level {unknown[0]!r} of the data is not declared.",
                f"Declared: {', '.join(factor.levels)}.",
            )
        absent = [x for x in factor.levels if x not in present]
        if absent:
            raise ModelError(
                "E_MODEL_LEVEL",
                f"factor {factor.name}: no subject has level {absent[0]!r}.",
                "Remove it from levels.",
            )
    return [x for x in present if x != factor.reference]
