"""A model's names resolved in one data set: levels, occasions, what is constant within subjects and what varies, and the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

from pkpd.data import Dataset
from pkpd.language.columns import label_column, levels, number_column, occasion_levels
from pkpd.language.declarations import Eta, Theta
from pkpd.language.direct import direct_inputs
from pkpd.language.dose_inputs import absorbed_width
from pkpd.language.frozen_model import Model
from pkpd.language.generate import model_source
from pkpd.language.inputs import InputColumn
from pkpd.language.places import Places
from pkpd.language.structure import Structure, Varying, analyse

__all__ = [
    "Resolved", "absorbing_compartments", "dependent_compartments", "derive", "dose_symbols", "moving_definitions", "resolve",
]  # fmt: skip


@dataclass
class Resolved:
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


def resolve(model: Model, data: Dataset, *, partial: bool = False) -> Resolved:
    """Split what the model reads into columns that are constant within the subject and time-varying inputs."""
    parameters = {p.symbol: p.expression for p in model.parameters}
    out = Resolved(list(model.thetas), list(model.etas), parameters, [], [], [], [], [])
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
        for level in levels(factor, column.values, partial=partial):
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
    for block in model.iov_blocks:
        totals = dict.fromkeys((v.symbol for v in block), sympy.Integer(0))
        for (name, label), (indicator, present) in occasions.items():
            if name != block[0].occasion:
                continue
            for v in block:  # the etas of one occasion follow each other: copies of the block
                eta = Eta(f"{v.eta_name}[{label}]", sympy.Dummy(f"{v.eta_name}[{label}]", real=True))
                out.etas.append(eta)
                out.occasions.append(present)
                totals[v.symbol] = totals[v.symbol] + eta.symbol * indicator
        out.definitions.update(totals)
    out.levels = (*indicators, *occasions)
    out.inputs.extend(direct_inputs(model, data))
    return out


def moving_definitions(model: Model, definitions: dict[Any, Any], inputs: frozenset[Any]) -> dict[Any, Any]:
    """Definitions that depend on inputs, written out down to them."""
    moving: dict[Any, Any] = {}
    # in order: each is made of those before it, and of effects
    parameters = [p.symbol for p in model.parameters]
    for symbol in [*(s for s in definitions if s not in parameters), *parameters]:
        e = definitions[symbol].xreplace(moving)
        if e.free_symbols & inputs:
            moving[symbol] = e
    return moving


def absorbing_compartments(model: Model) -> list[tuple[int, int]]:
    """Compartments whose doses enter through an input function, and how many of the latest are superposed."""
    return [(i, c.input_doses) for i, c in enumerate(model.compartments) if c.input is not None]


def dose_symbols(model: Model) -> tuple[Any, ...]:
    """Symbols of the inputs that doses are, in the order of :func:`pkpd.language.dose_inputs.with_dose_inputs`."""
    return tuple(
        sympy.Dummy(f"dose input {k}", real=True)
        for k in range(absorbed_width(absorbing_compartments(model)))
    )


def dependent_compartments(
    model: Model, moving: dict[Any, Any], inputs: tuple[Any, ...]
) -> dict[int, tuple[int, ...]]:
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


def derive(
    model: Model,
    kind: str,
    resolved: Resolved,
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
    for i, count in absorbing_compartments(model):
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


def _level_theta(parameter: str, factor: str, level: str) -> tuple[Theta, Any]:
    name = f"{parameter}({factor}={level})"
    label = f"effect of {factor} {level} on {parameter}"
    return Theta(name, 0.0, "log ratio", label=label, symbol=sympy.Dummy(name, real=True)), sympy.Dummy(
        f"{factor}={level}", real=True
    )
