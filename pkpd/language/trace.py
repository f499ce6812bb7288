"""Tracing: a model function is called once with symbols, and what it declares is checked and frozen."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import sympy

from pkpd.errors import ModelError
from pkpd.language.absorption import InputFunction
from pkpd.language.consistency import check_switches, check_use
from pkpd.language.declarations import (
    Compartment,
    Covariate,
    Effect,
    Eta,
    Factor,
    Iov,
    OmegaBlock,
    Parameter,
    Theta,
)
from pkpd.language.endpoints import EndpointDeclarations, dummy
from pkpd.language.frozen_model import Model
from pkpd.language.inputs import INTERPOLATIONS
from pkpd.language.symbols import Quantity, expression, number

__all__ = ["Builder", "TracedFactor", "model"]


class TracedFactor:
    """What :meth:`Builder.factor` returns; ``effect(parameter)`` is its log-scale effect on a parameter."""

    def __init__(self, builder: Builder, declared: Factor) -> None:
        self._builder, self._factor = builder, declared

    def effect(self, parameter: str) -> Quantity:
        """Log-scale effect on the named parameter: zero at the reference, one theta per other level.

        Use it inside an exponential: ``tvcl * exp(eta_cl + tumour.effect("CL"))``.
        """
        return self._builder._effect(self._factor.name, parameter)


class Builder(EndpointDeclarations):
    """The ``m`` of a model function: every call declares one thing and returns the symbol that stands for it."""

    def __init__(self, name: str, doc: str) -> None:
        super().__init__()
        self._name, self._doc = name, doc
        self._thetas: list[Theta] = []
        self._etas: list[Eta] = []
        self._iovs: list[Iov] = []
        self._omega: list[OmegaBlock] = []
        self._covariates: list[Covariate] = []
        self._factors: list[Factor] = []
        self._effects: list[Effect] = []
        self._parameters: list[Parameter] = []
        self._compartments: list[Compartment] = []
        self._rates: dict[str, Any] = {}
        self._derived: list[Parameter] = []
        self._time = dummy("t")

    # -- declarations ------------------------------------------------------------------------------------------------

    @property
    def time(self) -> Quantity:
        """Time since the subject's time zero, in the time unit of the data."""
        return Quantity(self._time)

    def theta(
        self,
        name: str,
        initial: float,
        *,
        unit: str = "",
        lower: float = -math.inf,
        upper: float = math.inf,
        fixed: bool = False,
        label: str = "",
    ) -> Quantity:
        """Declare a typical value with its starting value, unit and open bounds."""
        self._new(name, self._thetas, "theta")
        initial, lower, upper = (self._number(v, f"theta {name}") for v in (initial, lower, upper))
        if not math.isfinite(initial):
            raise ModelError(
                "E_MODEL_VALUE", f"theta {name}: initial value {initial} is not finite.", "Give a number."
            )
        if not (lower <= initial <= upper if fixed else lower < initial < upper):
            raise ModelError(
                "E_MODEL_BOUNDS",
                f"theta {name}: initial value {initial:g} is not inside its bounds ({lower:g}, {upper:g}).",
                "Start strictly between the bounds, or fix the theta.",
            )
        self._thetas.append(Theta(name, initial, unit, lower, upper, fixed, label, dummy(f"theta_{name}")))
        return Quantity(self._thetas[-1].symbol)

    def eta(self, name: str, *, variance: float, fixed: bool = False) -> Quantity:
        """Declare a random effect of the subject with the starting value of its variance."""
        return self.etas(name, variance=[[variance]], fixed=fixed)[0]

    def etas(
        self, *names: str, variance: Sequence[Sequence[float]], fixed: bool = False
    ) -> tuple[Quantity, ...]:
        """Declare a block of correlated random effects; ``variance`` is the lower triangle of OMEGA, row by row."""
        for name in names:
            self._new(name, self._etas, "eta")
        rows = self._triangle(names, variance, "for no variability leave the eta out.")
        self._omega.append(OmegaBlock(names, rows, fixed))
        made = [Eta(name, dummy(f"eta_{name}")) for name in names]
        self._etas.extend(made)
        return tuple(Quantity(e.symbol) for e in made)

    def _triangle(
        self, names: Sequence[str], variance: Sequence[Sequence[float]], without: str
    ) -> tuple[tuple[float, ...], ...]:
        """Check the lower triangle of a block of OMEGA."""
        rows = tuple(tuple(self._number(v, f"OMEGA of {', '.join(names)}") for v in row) for row in variance)
        if [len(r) for r in rows] != list(range(1, len(names) + 1)):
            raise ModelError(
                "E_MODEL_OMEGA",
                f"OMEGA of {', '.join(names)}: the lower triangle needs rows of 1 to {len(names)} numbers, "
                f"got {[len(r) for r in rows]}.",
                "For two etas write variance=[[0.1], [0.01, 0.1]].",
            )
        full = sympy.Matrix(len(names), len(names), lambda i, j: rows[max(i, j)][min(i, j)])
        if not full.is_positive_definite:
            raise ModelError(
                "E_MODEL_OMEGA",
                f"OMEGA of {', '.join(names)} is not positive definite: {rows}.",
                f"Variances must be positive and correlations below 1 in size; {without}",
            )
        return rows

    def iov(self, name: str, *, occasion: str = "OCC", variance: float, fixed: bool = False) -> Quantity:
        """Declare a random effect of the occasion, with the starting value of its variance.

        Each occasion of a subject (each value of the column ``occasion``) has an effect of its own, ``IOV(name)[value]``; all
        have the one variance ``OMEGA(IOV(name),IOV(name))``. As in NONMEM, what lies between two records belongs to the
        occasion of the later one.
        """
        return self.iovs(name, occasion=occasion, variance=[[variance]], fixed=fixed)[0]

    def iovs(
        self, *names: str, occasion: str = "OCC", variance: Sequence[Sequence[float]], fixed: bool = False
    ) -> tuple[Quantity, ...]:
        """Declare correlated random effects of the occasion: as :meth:`iov`, one block of OMEGA that all occasions share.

        ``variance`` is its lower triangle: ``[[0.04], [0.01, 0.02]]``.
        """
        for name in names:
            self._new(name, self._iovs, "iov")
        shown = [f"IOV({n})" for n in names]
        rows = self._triangle(shown, variance, "for no variability between occasions leave it out.")
        made = [
            Iov(name, occasion, row[-1], fixed, dummy(f"iov_{name}"), row[:-1])
            for name, row in zip(names, rows, strict=True)
        ]
        self._iovs.extend(made)
        return tuple(Quantity(v.symbol) for v in made)

    def covariate(self, name: str, *, unit: str = "", interpolation: str = "nocb") -> Quantity:
        """Use a numeric column of the data.

        Where it varies within a subject, ``interpolation`` says what it is between two records: the value of the next one
        (``"nocb"``, as in NONMEM), of the last one (``"locf"``), on the line between them (``"linear"``), or of the nearer
        one (``"midpoint"``).
        """
        self._new(name, [*self._covariates, *self._factors], "covariate")
        self._interpolated(name, interpolation, INTERPOLATIONS)
        self._covariates.append(Covariate(name, unit, interpolation, dummy(name)))
        return Quantity(self._covariates[-1].symbol)

    def factor(
        self,
        name: str,
        levels: Sequence[str] | None = None,
        *,
        reference: str,
        interpolation: str = "nocb",
    ) -> TracedFactor:
        """Use a categorical column; levels are those in the data unless given, ``interpolation`` as for a covariate."""
        self._new(name, [*self._covariates, *self._factors], "covariate")
        named = None if levels is None else tuple(str(level) for level in levels)
        if named is not None and str(reference) not in named:
            raise ModelError(
                "E_MODEL_FACTOR",
                f"factor {name}: reference {reference!r} is not among its levels {named}.",
                "Name one of them.",
            )
        self._interpolated(name, interpolation, [i for i in INTERPOLATIONS if i != "linear"])
        self._factors.append(Factor(name, str(reference), named, interpolation))
        return TracedFactor(self, self._factors[-1])

    def parameter(self, name: str, value: Any, *, unit: str = "") -> Quantity:
        """Name an individual parameter (an expression of thetas, etas and covariates)."""
        self._new(name, [*self._parameters, *self._derived], "parameter")
        self._parameters.append(Parameter(name, number(value), unit, dummy(name)))
        return Quantity(self._parameters[-1].symbol)

    def compartment(
        self,
        name: str,
        *,
        unit: str = "",
        initial: Any = None,
        lag: Any = None,
        bioavailability: Any = None,
        duration: Any = None,
        rate: Any = None,
        input: InputFunction | None = None,
    ) -> Quantity:
        """Declare a compartment; doses go to the first one unless CMT says otherwise.

        ``duration`` and ``rate`` are those of doses whose RATE in the data is -2 and -1. With an ``input`` function
        (:func:`pkpd.transit`, :func:`pkpd.weibull`, :func:`pkpd.inverse_gaussian`) doses enter through it and are not added as
        a bolus; bioavailability scales them as it is at the time when they enter.
        """
        self._new(name, self._compartments, "compartment")
        given = {
            "initial": initial,
            "lag": lag,
            "bioavailability": bioavailability,
            "duration": duration,
            "rate": rate,
        }
        values: dict[str, Any] = {k: None if v is None else number(v) for k, v in given.items()}
        if input is not None:
            clash = [k for k in ("lag", "duration", "rate") if given[k] is not None]
            if clash or not isinstance(input, InputFunction):
                what = f"has an input function and a {clash[0]}" if clash else f"has the input {input!r}"
                raise ModelError(
                    "E_MODEL_INPUT",
                    f"compartment {name} {what}.",
                    "Give input=pkpd.transit(…), pkpd.weibull(…) or pkpd.inverse_gaussian(…), and no lag, duration or rate.",
                )
            values |= {"input": input.density, "input_doses": input.doses}
        self._compartments.append(Compartment(name, unit, **values, symbol=dummy(name)))
        return Quantity(self._compartments[-1].symbol)

    def ode(self, compartment: Quantity, rate: Any) -> None:
        """Set the rate of change of a compartment."""
        declared = {c.symbol: c.name for c in self._compartments}
        name = declared.get(expression(compartment))
        if name is None:
            raise ModelError(
                "E_MODEL_ODE",
                f"m.ode() needs a compartment, got {compartment!r}.",
                "Pass what m.compartment() returned.",
            )
        if name in self._rates:
            raise ModelError(
                "E_MODEL_TWICE",
                f"compartment {name} has two equations.",
                "Write one m.ode() per compartment.",
            )
        self._rates[name] = number(rate)

    def delay(
        self, name: str, inflow: Any, *, compartments: int, time: Any, unit: str = "", initial: Any = None
    ) -> Quantity:
        """Delay a flow through a chain of compartments ``name1``, ``name2`` …; returns the flow out of the last.

        Each passes on what it holds at the rate compartments/time, so that ``time`` is the mean of the delay, and its
        distribution that of a gamma variable with shape ``compartments``. ``initial`` is the amount that each holds at first.
        """
        if (
            isinstance(compartments, bool)
            or not isinstance(compartments, int)
            or not 1 <= compartments <= 100
        ):
            raise ModelError(
                "E_MODEL_VALUE",
                f"delay {name}: {compartments!r} compartments.",
                "Give a whole number from 1 to 100.",
            )
        flow = Quantity(number(inflow))
        for k in range(1, compartments + 1):
            held = self.compartment(f"{name}{k}", unit=unit, initial=initial)
            out = compartments / Quantity(number(time)) * held
            self.ode(held, flow - out)
            flow = out
        return flow

    def derived(self, name: str, value: Any, *, unit: str = "") -> Quantity:
        """Name a quantity that is reported per subject but drives nothing."""
        self._new(name, [*self._parameters, *self._derived], "derived quantity")
        self._derived.append(Parameter(name, number(value), unit, dummy(name)))
        return Quantity(self._derived[-1].expression)

    # -- checks ------------------------------------------------------------------------------------------------------

    def _effect(self, factor: str, parameter: str) -> Quantity:
        for effect in self._effects:
            if (effect.factor, effect.parameter) == (factor, parameter):
                return Quantity(effect.symbol)
        self._effects.append(Effect(factor, parameter, dummy(f"{parameter}({factor})")))
        return Quantity(self._effects[-1].symbol)

    @staticmethod
    def _interpolated(name: str, given: str, allowed: Sequence[str]) -> None:
        if given not in allowed:
            raise ModelError(
                "E_MODEL_INTERPOLATION",
                f"covariate {name}: interpolation {given!r} is not known.",
                f"Use {', '.join(allowed)}.",
            )

    def _frozen(self) -> Model:
        if not self._observations:
            raise ModelError("E_MODEL_EMPTY", f"model {self._name} observes nothing.", "Add m.observe(...).")
        self._check_correlations(self._name)
        for c in self._compartments:
            if c.name not in self._rates:
                raise ModelError(
                    "E_MODEL_ODE", f"compartment {c.name} has no equation.", f"Add m.ode({c.name}, …)."
                )
        # last, so that doses go to what the user declared first
        for symbol, (name, hazard) in self._hazards.items():
            self._new(name, self._compartments, "compartment")
            self._compartments.append(Compartment(name, symbol=symbol))
            self._rates[name] = hazard
        for e in self._effects:
            if e.parameter not in [p.name for p in self._parameters]:
                raise ModelError(
                    "E_MODEL_NAME",
                    f'effect("{e.parameter}") of {e.factor}: there is no parameter {e.parameter!r}.',
                    "Declare it with m.parameter().",
                )
        result = Model(
            self._name, self._doc, tuple(self._thetas), tuple(self._etas), tuple(self._omega), tuple(self._sigmas),
            tuple(self._covariates), tuple(self._factors), tuple(self._effects), tuple(self._parameters),
            tuple(self._compartments), tuple(self._rates[c.name] for c in self._compartments), tuple(self._derived),
            tuple(self._observations), self._time, tuple(self._iovs), self._dv, tuple(self._correlations),
        )  # fmt: skip
        check_use(result)
        check_switches(result)
        return result


def model(function: Callable[[Builder], Any]) -> Model:
    """Trace a model function into a frozen :class:`Model` (decorator).

    Parameters
    ----------
    function : callable
        Takes the builder ``m``, declares the model, returns nothing. Called exactly once, with symbols.

    Raises
    ------
    ModelError
        For anything that is not a well-formed model, naming what and where.
    """
    name = getattr(function, "__name__", "model")
    builder = Builder(name, inspect.cleandoc(function.__doc__ or ""))
    if function(builder) is not None:
        raise ModelError(
            "E_MODEL_RETURN", f"model function {name} returns a value.", "Declare on m and return nothing."
        )
    return builder._frozen()
