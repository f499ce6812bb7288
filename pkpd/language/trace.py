"""Tracing: a model function is called once with symbols, and what it declares is checked and frozen."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from pkpd.errors import ModelError
from pkpd.language.absorption import InputFunction
from pkpd.language.consistency import check_switches, check_use
from pkpd.language.declarations import (
    Compartment,
    Correlation,
    Covariate,
    Effect,
    Eta,
    Factor,
    Iov,
    Model,
    Observation,
    OmegaBlock,
    Parameter,
    Sigma,
    Theta,
)
from pkpd.language.inputs import INTERPOLATIONS
from pkpd.language.symbols import Quantity, expression, number

__all__ = ["Builder", "TracedFactor", "model"]


def _dummy(name: str) -> sympy.Dummy:
    return sympy.Dummy(name, real=True)


class TracedFactor:
    """What :meth:`Builder.factor` returns; ``effect(parameter)`` is its log-scale effect on a parameter."""

    def __init__(self, builder: Builder, declared: Factor) -> None:
        self._builder, self._factor = builder, declared

    def effect(self, parameter: str) -> Quantity:
        """Log-scale effect on the named parameter: zero at the reference, one theta per other level.

        Use it inside an exponential: ``tvcl * exp(eta_cl + tumour.effect("CL"))``.
        """
        return self._builder._effect(self._factor.name, parameter)


class Builder:
    """The ``m`` of a model function: every call declares one thing and returns the symbol that stands for it."""

    def __init__(self, name: str, doc: str) -> None:
        self._name, self._doc = name, doc
        self._thetas: list[Theta] = []
        self._etas: list[Eta] = []
        self._iovs: list[Iov] = []
        self._omega: list[OmegaBlock] = []
        self._sigmas: list[Sigma] = []
        self._covariates: list[Covariate] = []
        self._factors: list[Factor] = []
        self._effects: list[Effect] = []
        self._parameters: list[Parameter] = []
        self._compartments: list[Compartment] = []
        self._rates: dict[str, Any] = {}
        self._derived: list[Parameter] = []
        self._observations: list[Observation] = []
        self._correlations: list[Correlation] = []
        self._time, self._dv = _dummy("t"), _dummy("dv")
        self._hazards: dict[Any, tuple[str, Any]] = {}

    # -- declarations ------------------------------------------------------------------------------------------------

    @property
    def time(self) -> Quantity:
        """Time since the subject's time zero, in the time unit of the data."""
        return Quantity(self._time)

    @property
    def dv(self) -> Quantity:
        """The observation of a record, in the expression of :meth:`likelihood`."""
        return Quantity(self._dv)

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
        self._thetas.append(Theta(name, initial, unit, lower, upper, fixed, label, _dummy(f"theta_{name}")))
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
                "Variances must be positive and correlations below 1 in size; for no variability leave the eta out.",
            )
        self._omega.append(OmegaBlock(names, rows, fixed))
        made = [Eta(name, _dummy(f"eta_{name}")) for name in names]
        self._etas.extend(made)
        return tuple(Quantity(e.symbol) for e in made)

    def iov(self, name: str, *, occasion: str = "OCC", variance: float, fixed: bool = False) -> Quantity:
        """Declare a random effect of the occasion, with the starting value of its variance.

        Each occasion of a subject (each value of the column ``occasion``) has an effect of its own, ``IOV(name)[value]``; all
        have the one variance ``OMEGA(IOV(name),IOV(name))``. As in NONMEM, what lies between two records belongs to the
        occasion of the later one.
        """
        self._new(name, self._iovs, "iov")
        value = self._number(variance, f"variance of IOV({name})")
        if not (value > 0 and math.isfinite(value)):
            raise ModelError(
                "E_MODEL_OMEGA",
                f"the variance of IOV({name}) is {value:g}, which is not positive.",
                "For no variability between occasions leave it out.",
            )
        self._iovs.append(Iov(name, occasion, value, fixed, _dummy(f"iov_{name}")))
        return Quantity(self._iovs[-1].symbol)

    def sigma(self, name: str, sd: float, *, fixed: bool = False) -> str:
        """Declare a residual standard deviation; hand what is returned to :meth:`observe`."""
        return self._sigma(name, sd, fixed, "SD")

    def exponent(self, name: str, value: float, *, fixed: bool = False) -> str:
        """Declare the exponent of a power error model, positive; hand what is returned to :meth:`observe`."""
        return self._sigma(name, value, fixed, "POWER")

    def decay(self, name: str, rate: float, *, fixed: bool = False) -> str:
        """Declare the rate, per unit of time, at which the residual errors of an endpoint lose their correlation.

        Hand what is returned to :meth:`observe` as ``ar1``.
        """
        return self._sigma(name, rate, fixed, "AR1")

    def correlate(self, first: str, second: str, correlation: float, *, fixed: bool = False) -> None:
        """Let the residual errors of two endpoints be correlated where they are measured at one time.

        Parameters
        ----------
        first, second : str
            Names of endpoints that :meth:`observe` declared. The first records of both at a time belong together, then the second
            ones; log-normal errors are correlated on the logarithmic scale.
        correlation : float
            Starting value, between -1 and 1; the parameter is called ``CORR(first,second)``.
        """
        endpoints = {o.name: o for o in self._observations}
        lacking = [n for n in (first, second) if n not in endpoints or endpoints[n].likelihood]
        wrong = ""
        if lacking:
            wrong = f"{lacking[0]!r} is not an endpoint of m.observe()"
        elif first == second:
            wrong = "an endpoint is correlated with another one; within an endpoint use ar1= of m.observe()"
        elif any({first, second} == {c.first, c.second} for c in self._correlations):
            wrong = "it is declared twice"
        elif any(endpoints[n].ar1 is not None for n in (first, second)):
            wrong = "an endpoint whose errors are correlated in time (ar1=) has no correlation with another one here"
        if wrong:
            raise ModelError(
                "E_MODEL_RESIDUAL",
                f"correlation of {first} and {second}: {wrong}.",
                "Correct its error model.",
            )
        sigma = self._sigma(f"{first},{second}", correlation, fixed, "CORR")
        self._correlations.append(Correlation(first, second, sigma))

    def _sigma(self, name: str, given: float, fixed: bool, kind: str) -> str:
        self._new(name, self._sigmas, "sigma")
        value = self._number(given, f"sigma {name}")
        made = Sigma(name, value, fixed, _dummy(f"sigma_{name}"), kind)
        low, high = made.bounds
        if not low < value < high:
            raise ModelError(
                "E_MODEL_VALUE",
                f"sigma {name}: {kind} of {value:g} is not inside ({low:g}, {high:g}).",
                "Give a number between these.",
            )
        self._sigmas.append(made)
        return name

    def covariate(self, name: str, *, unit: str = "", interpolation: str = "nocb") -> Quantity:
        """Use a numeric column of the data.

        Where it varies within a subject, ``interpolation`` says what it is between two records: the value of the next one
        (``"nocb"``, as in NONMEM), of the last one (``"locf"``), on the line between them (``"linear"``), or of the nearer
        one (``"midpoint"``).
        """
        self._new(name, [*self._covariates, *self._factors], "covariate")
        self._interpolated(name, interpolation, INTERPOLATIONS)
        self._covariates.append(Covariate(name, unit, interpolation, _dummy(name)))
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
        self._parameters.append(Parameter(name, number(value), unit, _dummy(name)))
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
        self._compartments.append(Compartment(name, unit, **values, symbol=_dummy(name)))
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
        self._derived.append(Parameter(name, number(value), unit, _dummy(name)))
        return Quantity(self._derived[-1].expression)

    def observe(
        self,
        name: str,
        prediction: Any,
        *,
        unit: str = "",
        additive: str | None = None,
        proportional: str | None = None,
        power: str | None = None,
        combined: str = "variance",
        transform: str | None = None,
        ar1: str | None = None,
    ) -> None:
        """Declare a Gaussian endpoint with variance additive² + (proportional·prediction)².

        The endpoints are numbered from 1 in the order of declaration: DVID of the data says which one a record belongs to.

        Parameters
        ----------
        additive, proportional : str
            What :meth:`sigma` returned.
        power : str
            What :meth:`exponent` returned: the SD is proportional to that power of the prediction.
        combined : {"variance", "sd"}
            What adds up where there is an additive and a proportional part: their variances, or their standard deviations,
            (additive + proportional·prediction)².
        transform : {"log"}, optional
            The error is log-normal: log DV = log prediction + an additive error, whose SD is then of logarithms.
        ar1 : str
            What :meth:`decay` returned: errors of a subject's records at times s and t have correlation exp(-rate·|t - s|).
        """
        self._new(name, self._observations, "observation")
        if additive is None and proportional is None:
            raise ModelError(
                "E_MODEL_RESIDUAL",
                f"observation {name} has no residual error.",
                "Give additive=, proportional= or both.",
            )
        for given, kind, maker in (
            (additive, "SD", "sigma(name, sd)"),
            (proportional, "SD", "sigma(name, sd)"),
            (power, "POWER", "exponent(name, value)"),
            (ar1, "AR1", "decay(name, rate)"),
        ):
            known = [s.name for s in self._sigmas if s.kind == kind]
            if given is not None and (not isinstance(given, str) or given not in known):
                raise ModelError(
                    "E_MODEL_RESIDUAL",
                    f"observation {name}: {given!r} is not what m.{maker} returned.",
                    "Pass what it returned.",
                )
        wrong = ""
        if combined not in ("variance", "sd"):
            wrong = f'combined={combined!r} is unknown: use "variance" or "sd"'
        elif combined == "sd" and (additive is None or proportional is None):
            wrong = 'combined="sd" needs an additive and a proportional part'
        elif power is not None and proportional is None:
            wrong = "power= needs a proportional part"
        elif transform not in (None, "log"):
            wrong = f'transform={transform!r} is unknown: use "log" or leave it out'
        elif transform == "log" and (proportional is not None or additive is None):
            wrong = 'transform="log" takes an additive part alone, the SD of the logarithm'
        if wrong:
            raise ModelError("E_MODEL_RESIDUAL", f"observation {name}: {wrong}.", "Correct its error model.")
        self._observations.append(
            Observation(
                name, number(prediction), unit, additive, proportional, power, combined, transform, ar1=ar1
            )
        )

    def likelihood(self, name: str, minus2ll: Any) -> None:
        """Declare an endpoint, categories or counts, by -2 log-likelihood of one record, an expression that may hold ``m.dv``.

        A Bernoulli endpoint with probability p, for instance, is ``-2 * pkpd.where(m.dv == 1, log(p), log(1 - p))``. It is
        numbered among the endpoints as those of :meth:`observe` are. Laplace, AGQ and SAEM take it.
        """
        self._new(name, self._observations, "observation")
        self._observations.append(Observation(name, number(minus2ll), likelihood=True))

    def hazard(self, name: str, hazard: Any, *, interval_censored: bool = False) -> None:
        """Declare a time-to-event endpoint by its hazard, which may depend on compartments and time.

        DV is 1 at an event and 0 where follow-up ends without one; several events of a subject are recurrent events, and the
        last record ends its follow-up, which begins with its first record. A record's -2 log-likelihood is -2 log h for an
        event, and twice the cumulative hazard is added at the subject's last record; a compartment ``H(name)`` integrates it.

        With ``interval_censored`` an event is known to lie between two records, as at visits: DV is 1 where at least one
        happened since the record before (or since the subject's first record), 0 where none did, as in Monolix's
        ``eventType = intervalCensored``. With D the cumulative hazard since then, a record's -2 log-likelihood is
        -2 log(1 - exp(-D)) or 2 D, whose sum for one event between a and b is -2 log(S(a) - S(b)). A subject without records
        after its event is followed no longer.
        """
        self._new(name, self._observations, "observation")
        h = number(hazard)
        cumulative, last = _dummy(f"H({name})"), _dummy(f"LAST({name})")
        self._hazards[cumulative] = f"H({name})", h
        happened = sympy.Eq(self._dv, 1)
        if interval_censored:  # the hyperbolic sine keeps the digits of a short interval
            share = sympy.Piecewise(
                (cumulative - 2 * sympy.log(2 * sympy.sinh(cumulative / 2)), happened), (2 * cumulative, True)
            )
        else:
            share = 2 * cumulative * last - 2 * sympy.Piecewise((sympy.log(h), happened), (0, True))
        self._observations.append(
            Observation(
                name,
                share,
                likelihood=True,
                last=None if interval_censored else last,
                cumulative=f"H({name})",
            )
        )

    # -- checks ------------------------------------------------------------------------------------------------------

    def _effect(self, factor: str, parameter: str) -> Quantity:
        for effect in self._effects:
            if (effect.factor, effect.parameter) == (factor, parameter):
                return Quantity(effect.symbol)
        self._effects.append(Effect(factor, parameter, _dummy(f"{parameter}({factor})")))
        return Quantity(self._effects[-1].symbol)

    def _new(self, name: Any, others: Sequence[Any], kind: str) -> None:
        if not isinstance(name, str) or not name:
            raise ModelError(
                "E_MODEL_NAME", f"a {kind} needs a name, got {name!r}.", "Give a non-empty text."
            )
        if any(o.name == name for o in others):
            raise ModelError("E_MODEL_TWICE", f"{kind} {name!r} is declared twice.", "Use each name once.")

    @staticmethod
    def _interpolated(name: str, given: str, allowed: Sequence[str]) -> None:
        if given not in allowed:
            raise ModelError(
                "E_MODEL_INTERPOLATION",
                f"covariate {name}: interpolation {given!r} is not known.",
                f"Use {', '.join(allowed)}.",
            )

    @staticmethod
    def _number(value: Any, what: str) -> float:
        try:
            return float(value)
        except (TypeError, ValueError, ModelError) as error:
            raise ModelError(
                "E_MODEL_VALUE", f"{what}: {value!r} is not a number.", "Give a number."
            ) from error

    def _check_correlations(self) -> None:
        place = {o.name: k for k, o in enumerate(self._observations)}
        value = {s.name: s.sd for s in self._sigmas}
        full = np.eye(len(place))
        for c in self._correlations:
            a, b = place[c.first], place[c.second]
            full[a, b] = full[b, a] = value[c.sigma]
        if not np.linalg.eigvalsh(full).min() > 0:
            raise ModelError(
                "E_MODEL_RESIDUAL",
                f"the correlations of the endpoints of {self._name} make no correlation matrix.",
                "Start with smaller ones.",
            )

    def _frozen(self) -> Model:
        if not self._observations:
            raise ModelError("E_MODEL_EMPTY", f"model {self._name} observes nothing.", "Add m.observe(...).")
        self._check_correlations()
        for c in self._compartments:
            if c.name not in self._rates:
                raise ModelError(
                    "E_MODEL_ODE", f"compartment {c.name} has no equation.", f"Add m.ode({c.name}, …)."
                )
        for symbol, (
            name,
            hazard,
        ) in self._hazards.items():  # last, so that doses go to what the user declared first
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
