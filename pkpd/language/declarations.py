"""What a model function declares, as plain values over SymPy symbols: the parts of a frozen model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

__all__ = [
    "Compartment", "Correlation", "Covariate", "Effect", "Eta", "Factor", "Iov", "Observation", "OmegaBlock",
    "Parameter", "Sigma", "Theta",
]  # fmt: skip


@dataclass(frozen=True)
class Theta:
    """A typical value: ``lower`` and ``upper`` are open bounds, ``fixed`` keeps it at ``initial``."""

    name: str
    initial: float
    unit: str = ""
    lower: float = -math.inf
    upper: float = math.inf
    fixed: bool = False
    label: str = ""
    symbol: Any = None


@dataclass(frozen=True)
class Eta:
    """A random effect of a subject, normal with mean zero."""

    name: str
    symbol: Any = None


@dataclass(frozen=True)
class Iov:
    """A random effect of the occasion: one eta per occasion of the column ``occasion``, all of one variance.

    ``covariances`` are those with the effects before it in its block; a block begins with an effect that has none.
    """

    name: str
    occasion: str
    variance: float
    fixed: bool = False
    symbol: Any = None
    covariances: tuple[float, ...] = ()

    @property
    def eta_name(self) -> str:
        """Name in OMEGA; the etas of occasions are called ``IOV(CL)[1]``."""
        return f"IOV({self.name})"


@dataclass(frozen=True)
class OmegaBlock:
    """A block of OMEGA: names of its etas and its lower triangle, row by row (variances and covariances)."""

    names: tuple[str, ...]
    lower_triangle: tuple[tuple[float, ...], ...]
    fixed: bool = False


@dataclass(frozen=True)
class Sigma:
    """What a residual error is made of, by ``kind``.

    ``"SD"`` is a standard deviation, ``"POWER"`` the power of the prediction that one is proportional to, ``"AR1"`` the rate
    at which correlation within an endpoint decays with time, ``"CORR"`` the correlation of two endpoints.
    """

    name: str
    sd: float
    fixed: bool = False
    symbol: Any = None
    kind: str = "SD"

    @property
    def label(self) -> str:
        """Its name among the parameters: ``SD(ADD)``, ``POWER(C)``, ``AR1(PK)``, ``CORR(PK,PD)``."""
        return f"{self.kind}({self.name})"

    @property
    def bounds(self) -> tuple[float, float]:
        """The open interval in which it lies."""
        return (-1.0, 1.0) if self.kind == "CORR" else (0.0, math.inf)


@dataclass(frozen=True)
class Covariate:
    """A numeric column of the data; ``interpolation`` says how it moves between records where it varies within a subject."""

    name: str
    unit: str = ""
    interpolation: str = "nocb"
    symbol: Any = None


@dataclass(frozen=True)
class Factor:
    """A categorical column; ``levels`` None means: those in the data. ``interpolation`` as for a covariate."""

    name: str
    reference: str
    levels: tuple[str, ...] | None = None
    interpolation: str = "nocb"


@dataclass(frozen=True)
class Effect:
    """A factor's log-scale effect on a parameter: one symbol here, one theta per non-reference level once bound."""

    factor: str
    parameter: str
    symbol: Any = None


@dataclass(frozen=True)
class Parameter:
    """An individual parameter: a name for an expression of thetas, etas and covariates."""

    name: str
    expression: Any
    unit: str = ""
    symbol: Any = None


@dataclass(frozen=True)
class Compartment:
    """A state; what a dose into it brings (initial amount, lag, bioavailability, duration, rate) is an expression or None.

    ``input`` is the density in time after dose through which its doses enter, ``input_doses`` of them superposed.
    """

    name: str
    unit: str = ""
    initial: Any = None
    lag: Any = None
    bioavailability: Any = None
    duration: Any = None
    rate: Any = None
    input: Any = None
    input_doses: int = 0
    symbol: Any = None

    @property
    def event_expressions(self) -> tuple[Any, ...]:
        """Those of the six that were given."""
        given = (self.initial, self.lag, self.bioavailability, self.duration, self.rate, self.input)
        return tuple(e for e in given if e is not None)


@dataclass(frozen=True)
class Observation:
    """A Gaussian endpoint: prediction, the sigmas of its error, how two of them combine, and the scale of the error.

    With ``likelihood`` it is a direct one: ``prediction`` is -2 log-likelihood of a record. Of a time to event, ``cumulative`` is
    the compartment that integrates its hazard, and ``last`` the symbol of the flag for a subject's last record; without that
    flag events are interval-censored, and the compartment is emptied after each record.
    """

    name: str
    prediction: Any
    unit: str = ""
    additive: str | None = None
    proportional: str | None = None
    power: str | None = None
    combined: str = "variance"
    transform: str | None = None
    likelihood: bool = False
    last: Any = None
    cumulative: str | None = None
    ar1: str | None = None


@dataclass(frozen=True)
class Correlation:
    """Two endpoints whose residual errors are correlated where they are measured at one time, and the sigma that says how."""

    first: str
    second: str
    sigma: str
