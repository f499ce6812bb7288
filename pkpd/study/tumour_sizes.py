"""Tumour size as an endpoint of an assessment: growth and shrinkage per histology, and their link to survival."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning, PlanError
from pkpd.response import TumourSizeFit, fit_tumour_size, tumour_survival
from pkpd.response.columns import label_of
from pkpd.response.estimates import normal_quantile
from pkpd.response.likelihood_ratio import chi2_p_value
from pkpd.statements import joined, say
from pkpd.study.assessment import TumourSizeResult
from pkpd.study.endpoint_kinds import TumourSizePlan
from pkpd.study.plan import Plan
from pkpd.study.stages import finished

__all__ = ["read_sizes", "tumour_size_result"]

LEVEL = 0.90


def read_sizes(plan: Plan, entry: TumourSizePlan, frame: pd.DataFrame) -> pd.DataFrame:
    """Measurements of an endpoint: ID, histology, TIME, SIZE, one row each; without those that are missing.

    Parameters
    ----------
    frame : DataFrame
        One row per subject of the study: ID, histology.

    Raises
    ------
    PlanError
        ``E_PLAN_FILE``, ``E_PLAN_COLUMN``; ``E_TUMOUR_ID`` for patients that the study does not have;
        ``E_TUMOUR_VALUE`` for a size or time that is no number.
    """

    def wrong(code: str, key: str, message: str, remedy: str) -> PlanError:
        return plan.error(code, plan.place(entry, key), message, remedy)

    try:
        table = pd.read_csv(plan.resolve(entry.file), na_values=["."], encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise wrong("E_PLAN_FILE", "file", f"cannot read {entry.file}: {error}.", "Save it as CSV.") from None
    for key, name in (("file", "ID"), ("time", entry.time), ("column", entry.column)):
        if name not in table.columns:
            known = ", ".join(map(str, table.columns))
            raise wrong("E_PLAN_COLUMN", key, f"{entry.file} has no column {name!r}.", f"It has {known}.")
    numbers = {}
    for key in ("time", "column"):
        raw = table[getattr(entry, key)]
        numbers[key] = pd.to_numeric(raw, errors="coerce")
        bad = np.flatnonzero((numbers[key].isna() & raw.notna()) | np.isinf(numbers[key]))
        if bad.size:
            message = (
                f"{entry.file}, row {bad[0] + 2}: {raw.iloc[bad[0]]!r} in {getattr(entry, key)} is no number."
            )
            raise wrong("E_TUMOUR_VALUE", key, message, "Correct it; a dot or nothing is a missing value.")
    subjects = {label_of(i): (i, h) for i, h in zip(frame["ID"], frame["histology"], strict=True)}
    labels = [label_of(i) for i in table["ID"]]
    strange = list(dict.fromkeys(i for i in labels if i not in subjects))
    if strange:
        message = f"ID {', '.join(strange[:10])} of {entry.file} are not in {plan.data.file}."
        raise wrong("E_TUMOUR_ID", "file", message, "Use one numbering of patients in both files.")
    sizes = pd.DataFrame(
        {
            "ID": [subjects[i][0] for i in labels],
            "histology": [subjects[i][1] for i in labels],
            "TIME": numbers["time"],
            "SIZE": numbers["column"],
        }
    )
    return sizes.dropna().reset_index(drop=True)


def tumour_size_result(
    plan: Plan, entry: TumourSizePlan, frame: pd.DataFrame, sizes: pd.DataFrame
) -> TumourSizeResult:
    """Fit the model with and without histology effects, and say what follows per histology.

    Parameters
    ----------
    frame : DataFrame
        One row per subject: ID, histology, exposures, times to events.
    sizes : DataFrame
        From :func:`read_sizes`.
    """
    from pkpd.population import FOCEI

    settings: dict[str, Any] = {"model": entry.model, "seed": plan.seed, "initial": entry.initial}
    table = sizes
    if entry.model in ("claret", "simeoni"):
        own = frame.set_index("ID")[plan.exposure.metric].reindex(sizes["ID"]).to_numpy(float)
        scale = 1.0 if entry.model == "simeoni" else _reference_exposure(plan, frame)
        table = sizes.assign(EXPOSURE=own / scale)
        settings["exposure"] = "EXPOSURE"

    def fit(method: Any, **more: Any) -> TumourSizeFit:
        def work() -> TumourSizeFit:
            return fit_tumour_size(table, "SIZE", "TIME", method=method, **settings, **more)

        return finished("tumour size", work, table, method, settings, more)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PkpdWarning)  # they stand in the table of parameters' own text
            differences = {
                "histology": "histology",
                "effects": entry.effects,
                "reference": plan.data.reference,
                "landmark": entry.landmark,
            }
            full = fit(FOCEI(covariance="R"), **differences)
            reduced = fit(FOCEI(covariance=None))
    except InputError as error:
        raise plan.error(error.code, plan.place(entry, "file"), error.message, error.remedy) from None
    statistic = max(float(reduced.population.ofv - full.population.ofv), 0.0)
    df = int((~full.population.parameters["fixed"]).sum() - (~reduced.population.parameters["fixed"]).sum())
    counts = sizes.groupby("histology").size()
    rows = full.histologies.copy()
    rows.insert(2, "measurements", [int(counts[h]) for h in rows["histology"]])
    notes = [
        say(
            "size_meaning",
            "Without a control arm the growth of a tumour and its response to the drug are told apart by the model alone, "
            "and growth differs between tumour types by nature: these differences support a verdict, they do not decide it.",
        ),
        *full.population.warnings,
    ]
    missing = len(frame) - sizes["ID"].nunique()
    if missing:
        notes.append(
            say(
                "size_missing",
                "{n} of {all} patients have no measurement and are left out.",
                n=f"{missing}",
                all=f"{len(frame)}",
            )
        )
    return TumourSizeResult(
        name=entry.name,
        label=entry.label,
        model=entry.model,
        landmark=math.nan if entry.landmark is None else entry.landmark,
        parameters=full.population.parameters,
        table=rows,
        effects=_effects(full),
        individual=full.individual,
        likelihood_ratio={"statistic": statistic, "df": df, "p_chi2": chi2_p_value(statistic, df)},
        survival=_link(plan, entry, full, frame),
        statement=joined(notes),
    )


def _reference_exposure(plan: Plan, frame: pd.DataFrame) -> float:
    home = frame.loc[frame["histology"] == plan.data.reference, "reference"]
    return float(np.exp(np.log(home).mean()))


def _effects(fit: TumourSizeFit) -> pd.DataFrame:
    z, rows = normal_quantile(LEVEL), []
    for parameter in fit.effects:
        for histology in fit.histologies["histology"]:
            name = f"{parameter}(HISTOLOGY={histology})"
            if name in fit.population.parameter_estimates:
                at, se = (
                    float(fit.population.parameter_estimates[name]),
                    float(fit.population.standard_errors[name]),
                )
                low, high = math.exp(at - z * se), math.exp(at + z * se)
                rows.append((parameter, histology, math.exp(at), low, high))
    return pd.DataFrame(rows, columns=["parameter", "histology", "ratio", "lower", "upper"])


def _link(plan: Plan, entry: TumourSizePlan, fit: TumourSizeFit, frame: pd.DataFrame) -> dict[str, Any]:
    if entry.survival is None:
        return {}
    time, event = entry.survival, f"{entry.survival}:event"
    known = frame[frame["ID"].isin(fit.individual["ID"]) & frame[time].notna() & frame[event].notna()]
    try:
        found = tumour_survival(
            fit, known.reset_index(drop=True), time, event, histology="histology", offset=entry.offset
        )
    except InputError as error:
        return {"endpoint": time, "refused": f"{error.message} {error.remedy}"}
    meaning = say(
        "size_link",
        "Each patient's own estimate of the time to growth enters as if it were known, and who lives longer is measured "
        "longer: a prediction of survival, not an effect of the drug.",
    )
    z = normal_quantile(LEVEL)
    at, se = found.coefficients, found.standard_errors
    coefficients = pd.DataFrame(
        {
            "name": at.index,
            "estimate": at.to_numpy(),
            "se": se.to_numpy(),
            "lower": (at - z * se).to_numpy(),
            "upper": (at + z * se).to_numpy(),
        }
    )
    return {"endpoint": time, "n": len(known), "coefficients": coefficients, "statement": meaning}
