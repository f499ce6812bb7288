"""What a traced model must be before it is frozen: every name used, nothing used where it has no meaning."""

from __future__ import annotations

import warnings

import sympy

from pkpd.errors import ModelError, PkpdWarning
from pkpd.language.absorption import AFTER_DOSE
from pkpd.language.frozen_model import Model
from pkpd.language.structure import threshold

__all__ = ["check_switches", "check_use"]


def check_use(model: Model) -> None:
    """Every declared name is used, every used name is declared, individual parameters hold no state and no time."""
    declared = {
        item.symbol: f"{kind} {item.name}"
        for kind, items in (
            ("theta", model.thetas),
            ("eta", model.etas),
            ("iov", model.iovs),
            ("covariate", model.covariates),
            ("parameter", model.parameters),
            ("compartment", model.compartments),
        )
        for item in items
    }
    declared |= {e.symbol: f"effect of {e.factor} on {e.parameter}" for e in model.effects}
    event = [e for c in model.compartments for e in c.event_expressions]
    static = [p.expression for p in (*model.parameters, *model.derived)] + event
    dynamic = [*model.rates, *(o.prediction for o in model.observations)]
    used = set().union(*(e.free_symbols for e in [*static, *dynamic]))
    direct = {model.dv, *(o.last for o in model.observations)}
    gaussian = [o.prediction for o in model.observations if not o.likelihood]
    if any(e.free_symbols & direct for e in [*static, *model.rates, *gaussian]):
        raise ModelError(
            "E_MODEL_DV",
            f"model {model.name} uses m.dv outside m.likelihood().",
            "The observation may enter its own likelihood only.",
        )
    foreign = used - set(declared) - {model.time, AFTER_DOSE} - direct
    if foreign:
        names = ", ".join(sorted(s.name for s in foreign))
        raise ModelError(
            "E_MODEL_FOREIGN",
            f"model {model.name} uses {names}, declared by another model.",
            "Declare it on this model's m.",
        )
    states = {c.symbol for c in model.compartments} | {model.time}
    for p in (*model.parameters, *model.derived):
        if p.expression.free_symbols & states:
            raise ModelError(
                "E_MODEL_STATE",
                f"parameter {p.name} depends on a compartment or on time.",
                "Put such terms into m.ode() or m.observe().",
            )
    for e in event:
        if e.free_symbols & states:
            raise ModelError(
                "E_MODEL_STATE",
                "a lag, bioavailability, duration, rate or initial amount depends on a compartment or on time.",
                "Use parameters.",
            )
    unused = [what for symbol, what in declared.items() if symbol not in used]
    sigmas = {s for o in model.observations for s in (o.additive, o.proportional, o.power, o.ar1)}
    sigmas |= {c.sigma for c in model.correlations}
    unused += [f"sigma {s.name}" for s in model.sigmas if s.name not in sigmas]
    unused += [
        f"factor {f.name}" for f in model.factors if not any(e.factor == f.name for e in model.effects)
    ]
    if unused:
        raise ModelError(
            "E_MODEL_UNUSED",
            f"model {model.name} declares but never uses: {', '.join(unused)}.",
            "Use or remove them.",
        )


def check_switches(model: Model) -> None:
    """Warn of branches in the equations whose switch moves with the parameters where sensitivities do not see it.

    A comparison that is linear in time and free of states is seen: the stepper stops there.
    """
    states = {c.symbol for c in model.compartments}
    for c, rate in zip(model.compartments, model.rates, strict=True):
        for condition in rate.atoms(sympy.core.relational.Relational):
            used = condition.free_symbols
            seen = threshold(condition, model.time) is not None if model.time in used else True
            if used & states or (used - {model.time} and not seen):
                shown = str(condition.xreplace({s: sympy.Symbol(s.name) for s in used}))
                warnings.warn(
                    f"W_MODEL_SWITCH: model {model.name}: the rate of {c.name} switches where {shown}, at a time that depends "
                    "on the parameters. Predictions are right; derivatives, and with them gradients of a fit, are exact only "
                    "if both branches meet smoothly there.",
                    PkpdWarning,
                    stacklevel=4,
                )
