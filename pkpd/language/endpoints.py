"""What the ``m`` of a model function declares about observations: residual errors, likelihoods, hazards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from pkpd.errors import ModelError
from pkpd.language.declarations import Correlation, Observation, Sigma
from pkpd.language.symbols import Quantity, number

__all__ = ["EndpointDeclarations", "dummy"]


def dummy(name: str) -> sympy.Dummy:
    """A real symbol that is like no other, whatever its name."""
    return sympy.Dummy(name, real=True)


class EndpointDeclarations:
    """The part of :class:`pkpd.language.trace.Builder` that endpoints belong to."""

    def __init__(self) -> None:
        self._sigmas: list[Sigma] = []
        self._observations: list[Observation] = []
        self._correlations: list[Correlation] = []
        self._hazards: dict[Any, tuple[str, Any]] = {}
        self._dv = dummy("dv")

    @property
    def dv(self) -> Quantity:
        """The observation of a record, in the expression of :meth:`likelihood`."""
        return Quantity(self._dv)

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
        made = Sigma(name, value, fixed, dummy(f"sigma_{name}"), kind)
        low, high = made.bounds
        if not low < value < high:
            raise ModelError(
                "E_MODEL_VALUE",
                f"sigma {name}: {kind} of {value:g} is not inside ({low:g}, {high:g}).",
                "Give a number between these.",
            )
        self._sigmas.append(made)
        return name

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

        The endpoints are numbered from 1 in the order of declaration: DVID of the data says which one a record belongs to, by
        that number or by its name.

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
        cumulative, last = dummy(f"H({name})"), dummy(f"LAST({name})")
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

    def _new(self, name: Any, others: Sequence[Any], kind: str) -> None:
        if not isinstance(name, str) or not name:
            raise ModelError(
                "E_MODEL_NAME", f"a {kind} needs a name, got {name!r}.", "Give a non-empty text."
            )
        if any(o.name == name for o in others):
            raise ModelError("E_MODEL_TWICE", f"{kind} {name!r} is declared twice.", "Use each name once.")

    @staticmethod
    def _number(value: Any, what: str) -> float:
        try:
            return float(value)
        except (TypeError, ValueError, ModelError) as error:
            raise ModelError(
                "E_MODEL_VALUE", f"{what}: {value!r} is not a number.", "Give a number."
            ) from error

    def _check_correlations(self, name: str) -> None:
        place = {o.name: k for k, o in enumerate(self._observations)}
        value = {s.name: s.sd for s in self._sigmas}
        full = np.eye(len(place))
        for c in self._correlations:
            a, b = place[c.first], place[c.second]
            full[a, b] = full[b, a] = value[c.sigma]
        if not np.linalg.eigvalsh(full).min() > 0:
            raise ModelError(
                "E_MODEL_RESIDUAL",
                f"the correlations of the endpoints of {name} make no correlation matrix.",
                "Start with smaller ones.",
            )
