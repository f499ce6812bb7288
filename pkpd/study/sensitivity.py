"""What a verdict rests on: the prior, one other histology, one assay; and what one histology carries."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.histology import Evidence, Margins, Verdict, decide, leave_one_out, meta_analysis
from pkpd.statements import joined, say
from pkpd.study.assessment import ExposureResult
from pkpd.study.estimation import planned_method
from pkpd.study.exposures import histology_means
from pkpd.study.plan import Plan
from pkpd.study.responses import evaluable, fit_endpoint
from pkpd.study.stages import finished, fitted
from pkpd.study.verdicts import planned_evidence

__all__ = ["influence_tables", "pooled_response", "refit_verdicts", "with_findings"]

PRIOR_SCALES = (0.5, 2.0)
# of patients, and of the pooled response: from here on one histology dominates
LARGE_SHARE, LARGE_SHIFT = 0.40, 0.05
# stages, as people see them
PRIOR, LEAVING = "sensitivity to the prior", "leaving out one histology at a time"


def refit_verdicts(
    plan: Plan,
    model: Any,
    data: Dataset,
    fit: Any,
    frame: pd.DataFrame,
    fits: Mapping[str, Any],
    exposure: ExposureResult,
    margins: Margins,
    shrinkage: Mapping[str, float],
    evidence: Mapping[str, Evidence],
    say: Callable[[str, str], None],
) -> pd.DataFrame:
    """Verdicts of repeated analyses.

    Returns
    -------
    DataFrame
        analysis (``prior``, ``left out``, ``assay``), change (``0.5``, ``2``, the histology left out, the
        assay kept), histology, verdict, dose, ratio, changed (against the main analysis). A refit that fails
        has the verdict ``not fitted``, which counts as no change.
    """
    base = {h: decide(e, margins) for h, e in evidence.items()}

    said: list[str] = []

    def tell(stage: str, detail: str) -> None:
        said.append(stage)
        say(stage, detail)

    def work() -> pd.DataFrame:
        main = _Main(plan, model, data, fit, frame, fits, exposure, margins, shrinkage)
        return _repeated(main, base, tell)

    planned = (plan.data, plan.model, plan.dosing, plan.exposure, plan.entries, plan.sensitivity, plan.seed)
    found = (frame, exposure.ratios, exposure.reference_exposure, shrinkage)
    table = finished("repeated analyses", work, *planned, margins, model, data, fit, *found)
    for stage, asked in ((PRIOR, plan.sensitivity.prior), (LEAVING, plan.sensitivity.leave_one_out)):
        if asked and stage not in said:
            # nothing is left to do of it: who shows the time left must know
            say(stage, "")
    return table


class _Main(NamedTuple):
    """The analysis that is repeated."""

    plan: Plan
    model: Any
    data: Dataset
    fit: Any
    frame: pd.DataFrame
    fits: Mapping[str, Any]
    exposure: ExposureResult
    margins: Margins
    shrinkage: Mapping[str, float]


def _repeated(main: _Main, base: Mapping[str, Verdict], say: Callable[[str, str], None]) -> pd.DataFrame:
    plan, model, data, fit, frame, fits, exposure, margins, shrinkage = main
    rows: list[dict[str, Any]] = []

    def note(analysis: str, change: str, found: Mapping[str, Evidence] | None, who: Any) -> None:
        for histology in who:
            verdict = None if found is None or histology not in found else decide(found[histology], margins)
            rows.append(
                {
                    "analysis": analysis,
                    "change": change,
                    "histology": histology,
                    "verdict": "not fitted" if verdict is None else verdict.verdict,
                    "dose": math.nan if verdict is None else verdict.dose,
                    "ratio": math.nan if verdict is None else verdict.ratio,
                    "changed": verdict is not None and verdict.verdict != base[histology].verdict,
                }
            )

    def gathered(table: pd.DataFrame, refits: Mapping[str, Any], ratios: pd.DataFrame, **more: Any):
        return planned_evidence(plan, table, refits, ratios, margins, shrinkage, **more)

    if plan.sensitivity.prior:
        for scale in PRIOR_SCALES:
            say(PRIOR, f"{scale:g} times its scale")
            refits = _response_fits(plan, frame, exposure, fits, scale)
            found = gathered(frame, refits, exposure.ratios, jeffreys=0.5 * scale)
            note("prior", f"{scale:g}", found, base)
    others = [h for h in base if len(base) > 1]
    if plan.sensitivity.leave_one_out:
        for left in others:
            say(LEAVING, left)
            kept = frame[frame["histology"] != left].reset_index(drop=True)
            try:
                ratios = _ratios_without(plan, model, data, fit, exposure, left, kept["ID"])
                refits = _response_fits(plan, kept, exposure, fits, 1.0)
                found = gathered(kept, refits, ratios)
            except (FitError, InputError):
                found = None
            note("left out", left, found, [h for h in base if h != left])
    if plan.data.assay is not None:
        for assay in sorted({str(v) for v in frame[plan.data.assay].dropna()}):
            kept = frame[frame[plan.data.assay].astype(str) == assay].reset_index(drop=True)
            try:
                refits = _response_fits(plan, kept, exposure, fits, 1.0)
                found = gathered(kept, refits, exposure.ratios)
            except (FitError, InputError):
                found = None
            note("assay", assay, found, base)
    return pd.DataFrame(
        rows, columns=["analysis", "change", "histology", "verdict", "dose", "ratio", "changed"]
    )


def with_findings(evidence: Mapping[str, Evidence], refits: pd.DataFrame) -> dict[str, Evidence]:
    """Evidence that carries what the repeated analyses found, so that qualifiers and sentences name it."""
    out = {}
    for histology, known in evidence.items():
        mine = refits[(refits["histology"] == histology) & refits["changed"]]
        prior, left = (mine[mine["analysis"] == a] for a in ("prior", "left out"))
        out[histology] = dataclasses.replace(
            known,
            prior_sensitive=joined(
                [
                    say(
                        "with_prior_scale",
                        "with {change} times its scale it would be {verdict}",
                        change=r["change"],
                        verdict=say(f"verdict_{r['verdict']}", r["verdict"]),
                    )
                    for r in prior.to_dict("records")
                ],
                "; ",
            ),
            dominated_by=joined(
                [
                    say(
                        "without_histology",
                        "without {change} it would be {verdict}",
                        change=r["change"],
                        verdict=say(f"verdict_{r['verdict']}", r["verdict"]),
                    )
                    for r in left.to_dict("records")
                ],
                "; ",
            ),
        )
    return out


def _response_fits(
    plan: Plan, frame: pd.DataFrame, exposure: ExposureResult, fits: Mapping[str, Any], scale: float
) -> dict[str, Any]:
    """Both primary endpoints fitted again as they were, with the penalty (Jeffreys' prior) scaled."""
    out = {}
    for endpoint in plan.primary:
        firth = bool(fits[endpoint.name].firth)
        out[endpoint.name] = fit_endpoint(
            plan,
            frame,
            endpoint,
            exposure.reference_exposure,
            firth=True if firth else "auto",
            penalty=scale if firth else 1.0,
        )
    return out


def _ratios_without(
    plan: Plan, model: Any, data: Dataset, fit: Any, exposure: ExposureResult, left: str, ids: pd.Series
) -> pd.DataFrame:
    """Exposure ratios of a population fit without one histology; standard errors are those of the whole fit."""
    method = planned_method(plan, covariance=False, refit=True)
    start = fit.parameter_estimates
    refit = fitted(model, data.select(ids.tolist()), method, seed=plan.seed, start=start)
    # the ratio needs no covariance of its own here: zeros stand for it, and the standard errors of the whole fit are kept
    zero = pd.DataFrame(0.0, index=refit.covariance_matrix.index, columns=refit.covariance_matrix.columns)
    without = dataclasses.replace(refit, covariance_matrix=zero, parameters=refit.parameters.assign(se=0.0))
    means = histology_means(plan, without)
    by = dict(zip(means.levels, np.asarray(means.log_mean, float), strict=True))
    ratios = exposure.ratios[exposure.ratios["histology"].astype(str) != left].copy()
    ratios["log_ratio"] = [by[str(h)] - by[plan.data.reference] for h in ratios["histology"]]
    return ratios


def influence_tables(
    plan: Plan, between: Any, exposure: ExposureResult, fits: Mapping[str, Any]
) -> dict[str, Any]:
    """Weight share, effective number of histologies and leave-one-out of the summaries over histologies.

    Returns
    -------
    dict
        Per quantity (the exposure metric; ``slope`` of each primary endpoint): ``table`` (columns of
        :func:`pkpd.histology.leave_one_out`), ``effective_number``, ``tau2``, ``mu``, ``lower``, ``upper``,
        ``prediction_lower``, ``prediction_upper`` (95 % for a histology not studied), or ``refused`` with the
        reason.
    """
    estimates = pd.Series(np.asarray(between.log_mean, float), index=list(between.levels))
    errors = np.sqrt(np.diag(np.asarray(between.covariance, float)))
    quantities = {plan.exposure.metric: (estimates - math.log(exposure.reference_exposure), errors)}
    for endpoint in plan.primary:
        fit = fits[endpoint.name]
        names = [f"slope[{k}]" for k in fit.histologies]
        own = pd.Series(fit.coefficients[names].to_numpy(), index=list(fit.histologies))
        quantities[f"slope of {endpoint.name}"] = (own, fit.standard_errors[names].to_numpy())
    out: dict[str, Any] = {}
    for name, (values, se) in quantities.items():
        try:
            table = leave_one_out(values, se)
            whole = meta_analysis(values, se)
        except InputError as error:
            out[name] = {"refused": error.message}
            continue
        fields = ("effective_number", "tau2", "mu", "lower", "upper", "prediction_lower", "prediction_upper")
        out[name] = {"table": table, **{f: float(getattr(whole, f)) for f in fields}}
    return out


def pooled_response(plan: Plan, frame: pd.DataFrame) -> pd.DataFrame:
    """Share of each histology in patients and responders, and the pooled response without it.

    Returns
    -------
    DataFrame
        endpoint, histology, n, events, share_n, share_events, pooled (all histologies), without, shift,
        dominant (more than 40 % of patients, or a shift of more than 5 percentage points).
    """
    rows = []
    for endpoint in plan.primary:
        known = evaluable(frame, endpoint)
        y = known[endpoint.name].astype(float)
        total, events = len(y), float(y.sum())
        for histology, own in y.groupby(known["histology"], sort=False):
            rest = total - len(own)
            without = (events - float(own.sum())) / rest if rest else math.nan
            shift = without - events / total
            share = len(own) / total
            rows.append(
                {
                    "endpoint": endpoint.name,
                    "histology": str(histology),
                    "n": len(own),
                    "events": int(own.sum()),
                    "share_n": share,
                    "share_events": float(own.sum()) / events if events else math.nan,
                    "pooled": events / total,
                    "without": without,
                    "shift": shift,
                    "dominant": bool(share > LARGE_SHARE or abs(shift) > LARGE_SHIFT),
                }
            )
    return pd.DataFrame(rows)
