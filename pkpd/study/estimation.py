"""Estimation methods that a plan may name, their options, and the methods themselves."""

from __future__ import annotations

from typing import Any

from pkpd.study.plan import Plan

__all__ = ["planned_method"]


def planned_method(plan: Plan, *, covariance: bool, refit: bool = False) -> Any:
    """Settings of the plan's method, or the list of them that is a chain.

    Parameters
    ----------
    covariance : bool
        Whether the covariance of the estimates is wanted. The sandwich is too sure of a histology with few subjects:
        R⁻¹, or Louis's formula, is the model's own statement.
    refit : bool
        Of a chain its last method alone: the search begins where an earlier fit ended.
    """
    from pkpd import population

    def settings(name: str, wanted: str | None) -> Any:
        return getattr(population, name)(**plan.model.options_of(name), covariance=wanted)

    *before, last = plan.model.methods
    kind = "louis" if last in ("SAEM", "IMP") else "R"
    final = settings(last, kind if covariance else None)
    if refit or not before:
        return final
    return [*(settings(name, None) for name in before), final]
