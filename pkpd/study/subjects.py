"""The data of a plan: read, held against what the plan says about them, and one row per subject."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

import numpy as np
import pandas as pd

from pkpd.data import Dataset, read_dataset
from pkpd.errors import InputError
from pkpd.response.columns import binary_of
from pkpd.study.endpoint_kinds import EndpointPlan
from pkpd.study.plan import Plan

__all__ = ["counts_per_dose", "read_data", "response_rates", "subject_table"]


def read_data(plan: Plan) -> Dataset:
    """Read the data set that the plan names.

    Raises
    ------
    DataError
        All errors of the file itself.
    PlanError
        ``E_HISTOLOGY_UNKNOWN``: a histology that the plan names is not in the data; ``E_PLAN_HISTOLOGIES``: there is
        one histology only; ``E_DATA_EMPTY``: no subject at all has a dose, or an observation.
    """
    section = plan.data
    with warnings.catch_warnings():
        # an outcome that is not known is no missing covariate: its subject is left out of that endpoint, and
        # the assumptions of the assessment say how many
        for name in _outcomes(plan):
            column = re.escape(name)
            warnings.filterwarnings("ignore", message=rf"W_COVARIATE_MISSING: .*column {column}:")
        data = read_dataset(
            plan.resolve(section.file),
            covariates=_columns_used(plan),
            units=dict(section.units or {}),
            histology=section.histology,
            columns=dict(section.columns) if section.columns else None,
        )
    for what, absent in (
        ("dose", not data.frame["EVID"].isin([1, 4]).any()),
        ("observation", data.n_observations == 0),
    ):
        if absent:
            raise plan.error(
                "E_DATA_EMPTY",
                ("data", "file"),
                f"no subject of {section.file} has a single {what}.",
                f"`pkpd check {section.file}` lists what was found.",
            )
    levels = sorted({str(v) for v in data.frame[section.histology].dropna()})
    if len(levels) < 2:
        raise plan.error(
            "E_PLAN_HISTOLOGIES",
            ("data", "histology"),
            f"{section.file} has a single histology, {', '.join(levels)}: there is nothing to compare it with.",
            "Name the column that tells tumour types apart.",
        )
    named: list[tuple[tuple[str | int, ...], Iterable[str]]] = [
        (("data", "reference"), [section.reference]),
        (("data", "anchors"), section.anchors or {}),
        (("dosing", "tolerated"), plan.dosing.tolerated or {}),
    ]
    if not plan.exposure_only:
        named += [
            (("margins", "safety_by_histology"), plan.margins.safety_by_histology or {}),
            (("p0", "histologies"), plan.p0.histologies or {}),
        ]
    for path, names in named:
        for name in names:
            if name not in levels:
                raise plan.error(
                    "E_HISTOLOGY_UNKNOWN",
                    path,
                    f"histology {name!r} is not in column {section.histology} of {section.file}.",
                    f"The data have {', '.join(levels)}.",
                )
    return data


def _outcomes(plan: Plan) -> list[str]:
    """Columns of all endpoints."""
    binary = [c for e in plan.endpoints for c in (e.column, e.event) if c is not None]
    return [*binary, *(e.column for e in plan.engagement)]


def _columns_used(plan: Plan) -> list[str] | None:
    """Columns to read as covariates; None (all) unless the plan restricts them."""
    if plan.data.covariates is None:
        return None
    extra = [*_outcomes(plan), *(plan.data.aliases or ()), *(plan.data.drivers or ())]
    extra += plan.exposure.mediators or ()
    if plan.representativeness is not None:
        extra += [name for names in plan.representativeness.columns().values() for name in names]
    extra += [plan.data.assay] if plan.data.assay else []
    extra += [plan.dosing.column] if plan.dosing.column else []
    return list(dict.fromkeys([*plan.data.covariates, *extra]))


def subject_table(plan: Plan, data: Dataset) -> pd.DataFrame:
    """One row per subject: ID, histology, dose, the endpoints under their names, alias, assay and driver columns.

    The event of a time-to-event endpoint stands under ``name:event``.

    Raises
    ------
    PlanError
        ``E_PLAN_COLUMN`` if a column is not in the data; ``E_SUBJECT_VARIES`` if it changes within a subject;
        ``E_PLAN_OUTCOME`` if nobody in the reference histology has an outcome, ``E_ENDPOINT_NOT_BINARY`` if an outcome is
        neither 0 nor 1; ``E_DOSE_MISSING`` if a subject has no dose.
    """
    table = pd.DataFrame({"ID": np.asarray(data.subjects)})
    table["histology"] = [str(v) for v in _constant(plan, data, plan.data.histology, ("data", "histology"))]
    if plan.dosing.column is not None:
        dose = pd.to_numeric(_constant(plan, data, plan.dosing.column, ("dosing", "column")), errors="coerce")
        table["dose"] = np.asarray(dose, dtype=float)
    else:
        amounts = data.frame["AMT"].where(data.frame["EVID"].isin([1, 4]))
        table["dose"] = [_first(amounts.to_numpy(float)[a:b]) for a, b in _spans(data)]
    without = table.loc[~(table["dose"] > 0), "ID"].tolist()
    if without:
        raise plan.error(
            "E_DOSE_MISSING",
            ("dosing", "column"),
            f"no dose above 0 for ID {', '.join(map(str, without[:10]))}.",
            "Complete the column, or leave these subjects out.",
        )
    for endpoint in plan.endpoints:
        values = _constant(plan, data, endpoint.column, plan.place(endpoint, "column"))
        table[endpoint.name] = values.to_numpy()
        _check_outcome(plan, endpoint, table)
        if endpoint.event is not None:
            event = _constant(plan, data, endpoint.event, plan.place(endpoint, "event"))
            table[f"{endpoint.name}:event"] = event.to_numpy()
    for entry in plan.engagement:
        values = _constant(plan, data, entry.column, plan.place(entry, "column"))
        if values.dtype.kind not in "iuf":
            raise plan.error(
                "E_PLAN_OUTCOME",
                plan.place(entry, "column"),
                f"column {entry.column} of {entry.name} holds text; the engagement of a target is a number.",
                "Name a column of numbers; leave the cell empty where it was not measured.",
            )
        table[entry.name] = values.to_numpy(float)
    named = {("data", "aliases"): plan.data.aliases, ("data", "drivers"): plan.data.drivers}
    named["data", "assay"] = (plan.data.assay,) if plan.data.assay else None
    if plan.representativeness is not None:
        named |= {("representativeness", k): v for k, v in plan.representativeness.columns().items()}
    for path, columns in named.items():
        for name in columns or ():
            table[name] = _constant(plan, data, name, path).to_numpy()
    table["observations"] = [
        int(((data.frame["EVID"].to_numpy()[a:b] == 0) & (data.frame["MDV"].to_numpy()[a:b] == 0)).sum())
        for a, b in _spans(data)
    ]
    return table


def _check_outcome(plan: Plan, endpoint: EndpointPlan, table: pd.DataFrame) -> None:
    known = table[table[endpoint.name].notna()]
    if not (known["histology"] == plan.data.reference).any():
        whom = f"in the reference histology {plan.data.reference!r}" if len(known) else "at all"
        raise plan.error(
            "E_PLAN_OUTCOME",
            plan.place(endpoint, "column"),
            f"no patient {whom} has an outcome of {endpoint.name} (column {endpoint.column}).",
            "Name the column with the outcomes, or another reference.",
        )
    if endpoint.binary:
        try:
            binary_of(known, endpoint.name, known["ID"].to_numpy())
        except InputError as error:
            message = f"column {endpoint.column}: {error.message}"
            raise plan.error(error.code, plan.place(endpoint, "column"), message, error.remedy) from None


def _spans(data: Dataset) -> list[tuple[int, int]]:
    return list(zip(data.offsets[:-1], data.offsets[1:], strict=True))


def _first(values: np.ndarray) -> float:
    given = values[values > 0]
    return float(given[0]) if given.size else float("nan")


def _constant(plan: Plan, data: Dataset, column: str, path: tuple[str | int, ...]) -> pd.Series:
    """The value that all records of a subject share."""
    if column not in data.frame.columns:
        known = ", ".join(map(str, data.frame.columns.drop("ROW", errors="ignore")))
        raise plan.error("E_PLAN_COLUMN", path, f"the data have no column {column!r}.", f"They have {known}.")
    values = data.frame[column]
    subject = np.repeat(np.arange(len(data.subjects)), np.diff(data.offsets))
    distinct = values.groupby(subject).nunique(dropna=False)
    if (distinct > 1).any():
        changing = [str(data.subjects[i]) for i in distinct.index[distinct > 1][:10]]
        raise plan.error(
            "E_SUBJECT_VARIES",
            path,
            f"column {column!r} changes within ID {', '.join(changing)}.",
            "It must hold one value per subject, repeated on each of its rows.",
        )
    return values.iloc[np.asarray(data.offsets[:-1])].reset_index(drop=True)


def counts_per_dose(subjects: pd.DataFrame) -> pd.DataFrame:
    """Subjects and observations per histology and dose: histology, dose, subjects, observations."""
    grouped = (
        subjects.groupby(["histology", "dose"], sort=True)["observations"].agg(["size", "sum"]).reset_index()
    )
    return grouped.rename(columns={"size": "subjects", "sum": "observations"})


def response_rates(plan: Plan, histologies: Iterable[str]) -> dict[str, float]:
    """The declared p0 of every histology but the reference.

    Raises
    ------
    PlanError
        ``E_PLAN_P0`` for a histology without one.
    """
    rates = {}
    for histology in histologies:
        if histology == plan.data.reference:
            continue
        rate = (plan.p0.histologies or {}).get(histology, plan.p0.default)
        if rate is None:
            raise plan.error(
                "E_PLAN_P0",
                ("p0",),
                f"histology {histology!r} is in the data, but no response rate p0 is declared for it.",
                f"Add {histology!r} to p0.histologies, or give p0.default.",
            )
        rates[histology] = rate
    return rates
