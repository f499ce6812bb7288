"""The frozen model: what a traced function declared, with the changes that users make to it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from numbers import Real
from typing import Any

import pandas as pd
import sympy

from pkpd.errors import ModelError
from pkpd.language.declarations import (
    Compartment,
    Correlation,
    Covariate,
    Effect,
    Eta,
    Factor,
    Iov,
    Observation,
    OmegaBlock,
    Parameter,
    Sigma,
    Theta,
)
from pkpd.results import result

__all__ = ["Model"]


@result
@dataclass(frozen=True)
class Model:
    """A population model as a value: nothing in it changes, edits return a new one.

    Made by :func:`pkpd.model` or :func:`pkpd.load_model`; the attributes list what was declared, in order.
    """

    name: str
    doc: str
    thetas: tuple[Theta, ...]
    etas: tuple[Eta, ...]
    omega: tuple[OmegaBlock, ...]
    sigmas: tuple[Sigma, ...]
    covariates: tuple[Covariate, ...]
    factors: tuple[Factor, ...]
    effects: tuple[Effect, ...]
    parameters: tuple[Parameter, ...]
    compartments: tuple[Compartment, ...]
    rates: tuple[Any, ...]
    derived: tuple[Parameter, ...]
    observations: tuple[Observation, ...]
    time: Any = None
    iovs: tuple[Iov, ...] = ()
    dv: Any = None
    correlations: tuple[Correlation, ...] = ()

    def __repr__(self) -> str:
        effects = [f"{e.parameter}({e.factor})" for e in self.effects]
        return (
            f"<Model {self.name}: compartments {', '.join(c.name for c in self.compartments)}; thetas "
            f"{', '.join([t.name for t in self.thetas] + effects)}; etas "
            f"{', '.join([e.name for e in self.etas] + [v.eta_name for v in self.iovs]) or 'none'}; "
            f"observes {', '.join(o.name for o in self.observations)}>"
        )

    def replace(
        self,
        theta: Mapping[str, float] | None = None,
        omega: Mapping[str, float] | None = None,
        sigma: Mapping[str, float] | None = None,
    ) -> Model:
        """Change initial values, by name.

        Parameters
        ----------
        theta, sigma : mapping, optional
            New initial values of thetas; of residual standard deviations and whatever else is in SIGMA, by its name.
        omega : mapping, optional
            New variances of etas, by eta (``"CL"``, ``"IOV(CL)"``); the correlations stay.

        Raises
        ------
        ModelError
            ``E_MODEL_NAME`` for a name that the model does not declare, ``E_MODEL_BOUNDS`` for a theta outside its bounds,
            ``E_MODEL_VALUE`` for a variance or standard deviation that is not positive.
        """
        theta, omega, sigma = (_numbers(given) for given in (theta, omega, sigma))
        self._known(theta, [t.name for t in self.thetas], "theta")
        self._known(omega, [e.name for e in self.etas] + [v.eta_name for v in self.iovs], "eta")
        self._known(sigma, [s.name for s in self.sigmas], "sigma")
        for t in self.thetas:
            value = theta.get(t.name, t.initial)
            if not (t.lower <= value <= t.upper if t.fixed else t.lower < value < t.upper):
                raise ModelError(
                    "E_MODEL_BOUNDS",
                    f"theta {t.name}: value {value:g} is not inside its bounds ({t.lower:g}, {t.upper:g}).",
                    "Give a value strictly between the bounds.",
                )
        bounds = {s.name: s.bounds for s in self.sigmas}
        for what, given in (("variance of", omega), ("sigma", sigma)):
            for name, value in given.items():
                low, high = bounds[name] if what == "sigma" else (0.0, math.inf)
                if not low < value < high:
                    raise ModelError(
                        "E_MODEL_VALUE",
                        f"{what} {name}: {value:g} is not inside ({low:g}, {high:g}).",
                        "Give a number between these.",
                    )
        blocks = []
        for block in self.omega:
            scale = [
                math.sqrt(omega.get(n, block.lower_triangle[i][i]) / block.lower_triangle[i][i])
                for i, n in enumerate(block.names)
            ]
            rows = tuple(
                tuple(v * scale[i] * scale[j] for j, v in enumerate(row))
                for i, row in enumerate(block.lower_triangle)
            )
            blocks.append(replace(block, lower_triangle=rows))
        return replace(
            self,
            thetas=tuple(replace(t, initial=theta.get(t.name, t.initial)) for t in self.thetas),
            sigmas=tuple(replace(s, sd=sigma.get(s.name, s.sd)) for s in self.sigmas),
            omega=tuple(blocks),
            iovs=tuple(v for block in self.iov_blocks for v in _rescaled(block, omega)),
        )

    @property
    def iov_blocks(self) -> tuple[tuple[Iov, ...], ...]:
        """Random effects of the occasion, block by block."""
        blocks: list[tuple[Iov, ...]] = []
        for v in self.iovs:
            if v.covariances:
                blocks[-1] = (*blocks[-1], v)
            else:
                blocks.append((v,))
        return tuple(blocks)

    def fix(self, *names: str) -> Model:
        """Keep thetas, sigmas (by label: ``SD(ADD)``) or whole OMEGA blocks (``OMEGA(name,name)``) as they start."""
        known = (
            [t.name for t in self.thetas]
            + [s.label for s in self.sigmas]
            + [f"OMEGA({n},{n})" for b in self.omega for n in b.names]
            + [f"OMEGA({v.eta_name},{v.eta_name})" for v in self.iovs]
        )
        self._known({n: 0 for n in names}, known, "parameter")
        return replace(
            self,
            thetas=tuple(replace(t, fixed=t.fixed or t.name in names) for t in self.thetas),
            sigmas=tuple(replace(s, fixed=s.fixed or s.label in names) for s in self.sigmas),
            omega=tuple(
                replace(b, fixed=b.fixed or any(f"OMEGA({n},{n})" in names for n in b.names))
                for b in self.omega
            ),
            iovs=tuple(
                replace(v, fixed=v.fixed or any(f"OMEGA({w.eta_name},{w.eta_name})" in names for w in block))
                for block in self.iov_blocks
                for v in block
            ),
        )

    def with_effect(
        self, parameter: str, factor: str, *, reference: str, levels: tuple[str, ...] | None = None
    ) -> Model:
        """Multiply an individual parameter by exp(effect of a factor): one log-scale theta per non-reference level."""
        self._known({parameter: 0}, [p.name for p in self.parameters], "parameter")
        if any(e.factor == factor and e.parameter == parameter for e in self.effects):
            raise ModelError(
                "E_MODEL_TWICE", f"{parameter} has an effect of {factor} already.", "Use the model as it is."
            )
        existing = {f.name: f for f in self.factors}
        if factor in existing and existing[factor].reference != reference:
            raise ModelError(
                "E_MODEL_NAME",
                f"factor {factor} has reference {existing[factor].reference!r}, not {reference!r}.",
                "Use one reference.",
            )
        if factor in existing and levels not in (None, existing[factor].levels):
            raise ModelError(
                "E_MODEL_FACTOR",
                f"factor {factor} has levels {existing[factor].levels}, not {levels}.",
                "Leave levels out.",
            )
        if levels is not None and reference not in levels:
            raise ModelError(
                "E_MODEL_FACTOR",
                f"factor {factor}: reference {reference!r} is not among its levels {levels}.",
                "Name one of them.",
            )
        effect = Effect(factor, parameter, sympy.Dummy(f"{parameter}({factor})", real=True))
        factors = self.factors if factor in existing else (*self.factors, Factor(factor, reference, levels))
        parameters = tuple(
            replace(p, expression=p.expression * sympy.exp(effect.symbol)) if p.name == parameter else p
            for p in self.parameters
        )
        return replace(self, factors=factors, effects=(*self.effects, effect), parameters=parameters)

    def without_random_effects(self) -> Model:
        """Every subject is the typical one, at every occasion: the model of a naive pooled fit."""
        symbols = [e.symbol for e in self.etas] + [v.symbol for v in self.iovs]
        typical = dict.fromkeys(symbols, sympy.Integer(0))
        return replace(self._substitute(typical), etas=(), omega=(), iovs=())

    def without_factor(self, factor: str, parameters: tuple[str, ...] | None = None) -> Model:
        """Remove a factor's effects: all of them, or those on the named parameters (the reduced model of a test)."""
        self._known({factor: 0}, [f.name for f in self.factors], "factor")
        gone = [
            e
            for e in self.effects
            if e.factor == factor and (parameters is None or e.parameter in parameters)
        ]
        if parameters is not None:
            self._known({p: 0 for p in parameters}, [e.parameter for e in gone], f"effect of {factor} on")
        kept = tuple(e for e in self.effects if e not in gone)
        at_reference = {e.symbol: sympy.Integer(0) for e in gone}
        model = self._substitute(at_reference)
        factors = (
            self.factors
            if any(e.factor == factor for e in kept)
            else tuple(f for f in self.factors if f.name != factor)
        )
        return replace(model, effects=kept, factors=factors)

    def with_area(self, observation: str) -> Model:
        """Add a compartment ``AUC`` that integrates the named observation over time, and observe it as ``AUC``."""
        self._known({observation: 0}, [o.name for o in self.observations], "observation")
        if "AUC" in [*(c.name for c in self.compartments), *(o.name for o in self.observations)]:
            raise ModelError(
                "E_MODEL_TWICE",
                f"model {self.name} has a compartment or observation named AUC.",
                "Rename it.",
            )
        prediction = next(o.prediction for o in self.observations if o.name == observation)
        area = Compartment("AUC", symbol=sympy.Dummy("AUC", real=True))
        return replace(
            self,
            compartments=(*self.compartments, area),
            rates=(*self.rates, prediction),
            observations=(*self.observations, Observation("AUC", area.symbol)),
        )

    def equations(self) -> tuple[str, ...]:
        """Return the model in LaTeX: individual parameters, differential equations, observations."""
        from pkpd.language.equations import equations

        return equations(self)

    def to_nonmem(
        self,
        columns: Sequence[str] | str,
        *,
        data: str = "data.csv",
        occasions: Sequence[int] = (),
        effects: Mapping[str, float] | None = None,
    ) -> str:
        """Return a NONMEM control stream; see :func:`pkpd.language.nonmem.nonmem_text`."""
        from pkpd.language.nonmem import nonmem_text

        return nonmem_text(self, columns, data=data, occasions=occasions, effects=effects)

    def to_nlmixr2(self, *, effects: Mapping[str, float] | None = None) -> str:
        """Return an nlmixr2 function; see :func:`pkpd.language.nlmixr2.nlmixr2_text`."""
        from pkpd.language.nlmixr2 import nlmixr2_text

        return nlmixr2_text(self, effects=effects)

    def to_frame(self) -> pd.DataFrame:
        """Return the thetas: initial value, bounds, unit, whether fixed; index parameter."""
        table = pd.DataFrame([{k: v for k, v in vars(t).items() if k != "symbol"} for t in self.thetas])
        return table.set_index("name").rename_axis(index="parameter")

    def _repr_html_(self) -> str:
        """Name, docstring and equations, which a notebook typesets."""
        lines = "".join(f"$${line}$$" for line in self.equations())
        return f"<p><b>{escape(self.name)}</b>: {escape(self.doc)}</p>{lines}"

    def _stored(self) -> dict[str, Any]:
        from pkpd.language.stored import model_fields

        return model_fields(self)

    @classmethod
    def _restored(cls, **fields: Any) -> Model:
        from pkpd.language.stored import restored_model

        return restored_model(**fields)

    def fingerprint(self) -> str:
        """SHA-256 of everything that the model says (not of its docstring)."""
        names = {
            s: sympy.Symbol(f"{kind}:{s.name}") for kind, symbols in self._symbols().items() for s in symbols
        }
        text = repr(self._substitute(names)._declared())
        return hashlib.sha256(text.encode()).hexdigest()

    def _declared(self) -> tuple[Any, ...]:
        def plain(items: tuple[Any, ...]) -> list[str]:
            return [
                "|".join(
                    f"{k}={sympy.srepr(v) if isinstance(v, sympy.Basic) else v!r}"
                    for k, v in vars(item).items()
                    if k not in ("symbol", "last")
                )
                for item in items
            ]

        return (
            [
                plain(x)
                for x in (
                    self.thetas,
                    self.etas,
                    self.omega,
                    self.iovs,
                    self.sigmas,
                    self.covariates,
                    self.factors,
                    self.effects,
                    self.correlations,
                )
            ],
            [plain(x) for x in (self.parameters, self.derived, self.compartments, self.observations)],
            [sympy.srepr(r) for r in self.rates],
        )

    def _symbols(self) -> dict[str, list[Any]]:
        return {
            "theta": [t.symbol for t in self.thetas],
            "eta": [e.symbol for e in self.etas],
            "iov": [v.symbol for v in self.iovs],
            "covariate": [c.symbol for c in self.covariates],
            "effect": [e.symbol for e in self.effects],
            "parameter": [p.symbol for p in self.parameters],
            "compartment": [c.symbol for c in self.compartments],
            "time": [self.time],
            "dv": [self.dv],
            "last": [o.last for o in self.observations if o.last is not None],
        }

    def _substitute(self, values: dict[Any, Any]) -> Model:
        def put(e: Any) -> Any:
            return e.xreplace(values) if isinstance(e, sympy.Basic) else e

        return replace(
            self,
            parameters=tuple(replace(p, expression=put(p.expression)) for p in self.parameters),
            derived=tuple(replace(p, expression=put(p.expression)) for p in self.derived),
            compartments=tuple(
                replace(
                    c,
                    initial=put(c.initial),
                    lag=put(c.lag),
                    bioavailability=put(c.bioavailability),
                    duration=put(c.duration),
                    rate=put(c.rate),
                    input=put(c.input),
                )
                for c in self.compartments
            ),
            rates=tuple(put(r) for r in self.rates),
            observations=tuple(replace(o, prediction=put(o.prediction)) for o in self.observations),
        )

    def _known(self, given: Mapping[str, Any], known: list[str], kind: str) -> None:
        for name in given:
            if name not in known:
                raise ModelError(
                    "E_MODEL_NAME",
                    f"model {self.name} has no {kind} {name!r}.",
                    f"It has: {', '.join(known) or 'none'}.",
                )


def _numbers(given: Mapping[str, float] | None) -> dict[str, float]:
    values = {} if given is None else dict(given)
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ModelError("E_MODEL_VALUE", f"{name} = {value!r} is not a number.", "Give a number.")
    return {str(name): float(value) for name, value in values.items()}


def _rescaled(block: tuple[Iov, ...], omega: Mapping[str, float]) -> tuple[Iov, ...]:
    """A block with other variances, at the same correlations."""
    variances = [omega.get(v.eta_name, v.variance) for v in block]
    scale = [math.sqrt(new / v.variance) for new, v in zip(variances, block, strict=True)]
    return tuple(
        replace(
            v,
            variance=variances[i],
            covariances=tuple(c * scale[i] * scale[j] for j, c in enumerate(v.covariances)),
        )
        for i, v in enumerate(block)
    )
