"""What may stand between exposure and outcome in an assessment: aliasing, balance, sources of exposure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pkpd.errors import InputError
from pkpd.response import aliasing_map, covariate_balance, exposure_check
from pkpd.study.endpoint_kinds import EndpointPlan
from pkpd.study.plan import Plan
from pkpd.study.responses import evaluable

__all__ = ["confounding", "sources_of_exposure"]


def confounding(plan: Plan, frame: pd.DataFrame) -> dict[str, Any]:
    """Aliasing map of histology with dose and the plan's alias columns; balance of the declared drivers.

    Returns
    -------
    dict
        ``aliasing`` (one row per histology), ``columns``, ``cells``, ``rank``, ``width``; ``balance``
        (standardised mean differences to the reference histology; absent without drivers).
    """
    if frame["histology"].nunique() < 2:
        return {}
    found = aliasing_map(frame, "histology", ["dose", *(plan.data.aliases or ())], plan.data.reference)
    out: dict[str, Any] = {
        "aliasing": found.table,
        "columns": found.columns,
        "cells": found.cells,
        "rank": found.rank,
        "width": found.width,
    }
    if plan.data.drivers:
        out["balance"] = covariate_balance(frame, "histology", list(plan.data.drivers), plan.data.reference)
    return out


def sources_of_exposure(plan: Plan, frame: pd.DataFrame, endpoint: EndpointPlan) -> dict[str, Any]:
    """Dose, first-cycle and steady-state exposure side by side, with the evidence class and warnings.

    Of the plan's metric both cycles are compared (AUC1 and AUCSS for either). ``statement`` says what may be
    said of the endpoint's exposure-response; ``adjusted`` names the covariates, those of the drivers that all
    patients have.
    """
    known = evaluable(frame, endpoint)
    kind = plan.exposure.metric.removesuffix("SS").removesuffix("1")
    complete = [c for c in plan.data.drivers or () if known[c].notna().all() and len(set(known[c])) > 1]
    try:
        found = exposure_check(
            known,
            endpoint.name,
            dose="dose",
            first=f"{kind}1",
            steady=f"{kind}SS",
            randomised=plan.dosing.randomised,
            histology="histology",
            covariates=complete,
        )
    except InputError as error:
        return {"refused": error.message}
    return {
        "table": found.table,
        "p_discordant": found.p_discordant,
        "evidence_class": found.evidence_class,
        "effect_of_dose": found.effect_of_dose,
        "statement": found.statement,
        "warnings": found.warnings,
        "adjusted": tuple(complete),
    }
