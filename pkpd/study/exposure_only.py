"""Verdicts of a plan without endpoints: exposure says whether groups differ, and no more."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from pkpd.histology import VERDICT_COLUMNS
from pkpd.statements import Statement, say
from pkpd.study.plan import Plan

__all__ = ["exposure_verdicts"]


def exposure_verdicts(plan: Plan, ratios: pd.DataFrame, shrinkage: Mapping[str, float]) -> pd.DataFrame:
    """One row per histology, columns of the decision table: ``insufficient data``, because exposure alone decides no dose.

    Parameters
    ----------
    ratios : DataFrame
        Of :class:`pkpd.study.assessment.ExposureResult`.
    shrinkage : dict
        Per histology.
    """
    rows = []
    for row in ratios.to_dict("records"):
        histology = str(row["histology"])
        if histology == plan.data.reference:
            continue
        known: dict[str, Any] = dict.fromkeys(VERDICT_COLUMNS, math.nan)
        small = {
            "HIGH-SHRINKAGE": shrinkage.get(histology, math.nan) > plan.thresholds.shrinkage,
            "SMALL-N": row["n"] < plan.thresholds.small_n,
        }
        known |= {
            "histology": histology,
            "n": int(row["n"]),
            "n_response": 0,
            "verdict": "insufficient data",
            "dose": plan.dosing.reference,
            "dose_matches": "",
            "rule": "0",
            "ratio": row["ratio"],
            "ratio_lower": row["lower"],
            "ratio_upper": row["upper"],
            "p_exposure_below": row["p_below"],
            "p_exposure_within": row["p_within"],
            "p_exposure_above": row["p_above"],
            "evidence_class": "",
            "qualifiers": "; ".join(name for name, holds in small.items() if holds),
            "sentence": _sentence(plan, row),
        }
        rows.append(known)
    return pd.DataFrame(rows, columns=list(VERDICT_COLUMNS)).astype({"sentence": object})


def _sentence(plan: Plan, row: Mapping[Any, Any]) -> Statement:
    low, high = plan.exposure.bounds
    least = plan.thresholds.conclude
    state = "exposure_outside" if max(row["p_below"], row["p_above"]) >= least else "exposure_open"
    state = "exposure_inside" if row["p_within"] >= least else state
    words = {
        "exposure_inside": "lies within",
        "exposure_outside": "lies outside",
        "exposure_open": "may lie outside",
    }
    return say(
        "exposure_only",
        "{histology}: its exposure is {ratio} times that of {reference} (90 % interval {lower} to {upper}) and {state} "
        "{low}-{high} (probability within {within}). The plan has no endpoint: exposure alone decides no dose.",
        histology=str(row["histology"]),
        ratio=f"{row['ratio']:.2f}",
        reference=plan.data.reference,
        lower=f"{row['lower']:.2f}",
        upper=f"{row['upper']:.2f}",
        state=say(state, words[state]),
        low=f"{low:g}",
        high=f"{high:g}",
        within=f"{row['p_within']:.2f}",
    )
