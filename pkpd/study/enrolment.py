"""Who was enrolled against who will be treated, as the plan declares it: mix, age bands, biomarkers, cut-off."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.histology import age_bands, biomarker_cells, common_cutoff, representativeness
from pkpd.histology.cells import AGES
from pkpd.study.plan import Plan
from pkpd.study.responses import evaluable

__all__ = ["check_weights", "enrolment"]


def check_weights(plan: Plan, histologies: tuple[str, ...]) -> None:
    """Refuse a target population that gives no weight to a histology that was enrolled.

    Raises
    ------
    PlanError
        ``E_PLAN_WEIGHTS``.
    """
    section = plan.representativeness
    if section is None or (target := section.target()) is None:
        return
    absent = [h for h in histologies if h not in target]
    if absent:
        raise plan.error(
            "E_PLAN_WEIGHTS",
            ("representativeness", section.weights_key),
            f"{', '.join(absent)} were enrolled and have no weight in the target population.",
            "Give their number (0 if they are not part of the target).",
        )


def enrolment(plan: Plan, frame: pd.DataFrame) -> dict[str, Any]:
    """Everything that the report says about the enrolled patients; empty where the plan asks for nothing.

    Returns
    -------
    dict
        ``source``; ``mix`` (:class:`pkpd.histology.Representativeness` of the primary efficacy endpoint);
        ``age_bands`` and ``biomarkers`` (DataFrames of :func:`pkpd.histology.age_bands` and
        :func:`pkpd.histology.biomarker_cells`); ``cutoff`` (:class:`pkpd.histology.CommonCutoff`). What cannot be
        computed from the data stands under ``refused`` by the same names, with the reason; ``notes`` holds warnings.
    """
    section = plan.representativeness
    if section is None:
        return {}
    endpoint = plan.endpoint("efficacy")
    known = evaluable(frame, endpoint)
    y = known[endpoint.name].astype(int)
    labels = known["histology"].astype(str)
    jobs: dict[str, Callable[[], Any]] = {}
    if section.target() is not None:
        jobs["mix"] = lambda: representativeness(
            y.groupby(labels, sort=False).sum(),
            y.groupby(labels, sort=False).size(),
            shares=section.target(),
        )
    if section.age is not None:
        bands = section.age_bands or AGES
        jobs["age_bands"] = lambda: age_bands(
            known, str(section.age), "histology", endpoint.name, bands=bands
        )
    if section.biomarkers is not None:
        names = list(section.biomarkers)
        jobs["biomarkers"] = lambda: biomarker_cells(known, "histology", names, endpoint.name)
    if section.cutoff is not None:
        marker, cutoff = str(section.cutoff_column), section.cutoff
        measured = known[known[marker].notna()].reset_index(drop=True)
        jobs["cutoff"] = lambda: common_cutoff(
            measured, endpoint.name, marker, "histology", cutoff, n_bootstrap=plan.bootstrap.n, seed=plan.seed
        )
    out: dict[str, Any] = {"source": section.source}
    refused, notes = {}, []
    for name, job in jobs.items():
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always", PkpdWarning)
            try:
                out[name] = job()
            except InputError as error:
                refused[name] = error.message
        notes += [str(w.message) for w in seen if issubclass(w.category, PkpdWarning)]
    return out | {"refused": refused, "notes": tuple(notes)}
