"""From fits and tables to the evidence on each histology."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology.evidence import Contrast, DoseForecast, Evidence, ObservedDose
from pkpd.histology.margins import Margins
from pkpd.response.columns import (
    column_of,
    exposures_of,
    histologies_of,
    label_of,
    named_subjects,
    subjects_of,
)
from pkpd.response.evidence import evidence_class

__all__ = ["gather"]


class ExposureResponse(Protocol):
    """What is asked of an exposure-response fit (:class:`pkpd.response.LogisticFit` offers it)."""

    histologies: tuple[str, ...]

    def probability(self, histology: str, exposure: Any, coefficients: Any = None) -> np.ndarray:
        """Probability at each exposure; with (d, p) coefficient draws a (d, n) array."""

    def draws(self, n: int, seed: int) -> np.ndarray:
        """Draws of the coefficients, shape (n, p)."""


def gather(
    subjects_frame: pd.DataFrame,
    efficacy: ExposureResponse,
    safety: ExposureResponse,
    exposure_ratio_frame: pd.DataFrame,
    margins: Margins,
    *,
    histology: str,
    reference: str,
    dose: str,
    response: str,
    ae: str,
    exposure: str,
    reference_exposure: str,
    n_draws: int = 4000,
    seed: int = 0,
    randomised: bool = False,
    aliases: Sequence[str] = (),
    anchors: Mapping[str, str] | None = None,
    shrinkage: Mapping[str, float] | float | None = None,
    tolerated_doses: Mapping[str, float] | None = None,
    assay: str | None = None,
    jeffreys: float = 0.5,
) -> dict[str, Evidence]:
    """Evidence on every histology but the reference.

    Parameters
    ----------
    subjects_frame : DataFrame
        One row per subject, named by column ID (else by the index), with the columns named below.
    efficacy, safety : LogisticFit
        Exposure-response fits of the response and of the adverse event, with intercept and slope per
        histology.
    exposure_ratio_frame : DataFrame
        One row per histology: histology, log_ratio, log_ratio_se (marginal, from the population fit),
        optionally n and log_ratio_se_reference (the part of the standard error that the reference causes;
        without it the two parts are split as 1/n to 1/n_reference).
    margins : Margins
        For the candidate and reference doses; no probability against a margin is taken here.
    histology, dose, response, ae : str
        Columns: histology, dose given, response and adverse event (0, 1, or missing where not evaluable).
    reference : str
        The histology to compare with.
    exposure, reference_exposure : str
        Columns: individual exposure at the dose given, and at the reference dose.
    n_draws : int
        Draws of the coefficients of each fit.
    seed : int
        The same seed gives the same evidence; efficacy and safety have independent streams.
    randomised : bool
        Whether the plan declares that doses were randomised within histology; a histology that received one
        dose only is EC3 even so.
    aliases : sequence of str
        Further columns (formulation, study, line …) that may be confounded with histology.
    anchors : dict of str to str, optional
        Per histology, the external knowledge that resolves an aliasing (formulation bioavailability together
        with dose-proportionality, a crossover study …).
    shrinkage : float or dict of str to float, optional
        Shrinkage (0..1) of the random effects that drive the exposure; per histology if a dict.
    tolerated_doses : dict of str to float, optional
        Highest tolerated dose where that is below the highest studied one.
    assay : str, optional
        Column with the biomarker assay by which a subject was selected.
    jeffreys : float
        Both parameters of the beta prior of each histology's own response rate.

    Returns
    -------
    dict of str to Evidence

    Raises
    ------
    InputError
        ``E_COLUMN_MISSING``, ``E_HISTOLOGY_MISSING``, ``E_REFERENCE_ABSENT``, ``E_EXPOSURE_MISSING``,
        ``E_SUBJECT_DUPLICATE``, ``E_ENDPOINT_NOT_BINARY``, ``E_DOSE_MISSING``, ``E_RATIO_MISSING``,
        ``E_HISTOLOGY_UNKNOWN``, ``E_DRAWS``.

    Notes
    -----
    - A and S are taken at equal exposure: the reference histology's geometric mean exposure at the reference
      dose, each histology with its own unshrunk intercept and slope.
    - T is the mean predicted response over the histology's subjects at their exposure under the reference
      dose, minus the same in the reference histology; forecasts at a dose d use exposure·d/d_ref, i.e. they
      assume PK that is linear in dose.
    - A histology without a single evaluable subject for an endpoint is not in its fit: contrasts and
      forecasts of that endpoint are NaN, and the decision table ends in row 0.
    - Uncertainty comes from draws of the joint normal of all coefficients of a fit. Subjects are kept as
      they are.
    """
    if n_draws < 100:
        raise InputError("E_DRAWS", f"n_draws is {n_draws}; probabilities need more.", "Use 1000 or more.")
    table = _subjects(
        subjects_frame, histology, dose, response, ae, exposure, reference_exposure, tuple(aliases), assay
    )
    levels, reference = list(dict.fromkeys(table["histology"])), label_of(reference)
    if reference not in levels:
        raise InputError(
            "E_REFERENCE_ABSENT",
            f"the reference histology {reference!r} has no subject; present are {levels!r}.",
            "Name one of these as the reference.",
        )
    for what, named in {"anchors": anchors, "tolerated_doses": tolerated_doses}.items():
        unknown = sorted(set(named or {}) - set(levels))
        if unknown:
            raise InputError(
                "E_HISTOLOGY_UNKNOWN",
                f"{what} names {unknown!r}; present are {levels!r}.",
                "Correct the name.",
            )
    home = table[table["histology"] == reference]
    at = float(np.exp(np.log(home["reference_exposure"]).mean()))
    streams = np.random.SeedSequence(seed).generate_state(2)
    fits = {
        "response": _Predictor(efficacy, efficacy.draws(n_draws, int(streams[0]))),
        "ae": _Predictor(safety, safety.draws(n_draws, int(streams[1]))),
    }
    baseline = {
        name: (fit.mean(reference, home["reference_exposure"]), fit.mean(reference, [at]))
        for name, fit in fits.items()
    }
    highest = float(table["dose"].max())
    studied = tuple(float(q) for q in np.quantile(table["exposure"], [0.05, 0.95]))
    evidence = {}
    for level in levels:
        if level == reference:
            continue
        own = table[table["histology"] == level]
        log_ratio, se, se_reference = _ratio(exposure_ratio_frame, level, len(own), len(home))
        forecasts = []
        for candidate in margins.candidate_doses:
            scaled = own["reference_exposure"].to_numpy() * (candidate / margins.reference_dose)
            predicted = {name: fit.mean(level, scaled) for name, fit in fits.items()}
            forecasts.append(
                DoseForecast(
                    dose=candidate,
                    exposure=float(np.exp(np.log(scaled).mean())),
                    response=predicted["response"].estimate,
                    ae=predicted["ae"].estimate,
                    response_difference=predicted["response"].minus(baseline["response"][0]),
                    ae_difference=predicted["ae"].minus(baseline["ae"][0]),
                )
            )
        observed = _observed(own)
        evidence[level] = Evidence(
            histology=level,
            reference=reference,
            n_pk=len(own),
            n_response=int(own["response"].notna().sum()),
            n_ae=int(own["ae"].notna().sum()),
            log_ratio=log_ratio,
            log_ratio_se=se,
            log_ratio_se_reference=se_reference,
            effect=fits["response"].mean(level, [at]).minus(baseline["response"][1]),
            safety=fits["ae"].mean(level, [at]).minus(baseline["ae"][1]),
            total=next(f for f in forecasts if f.dose == margins.reference_dose).response_difference,
            forecasts=tuple(forecasts),
            observed=observed,
            evidence_class=evidence_class([o.dose for o in observed], randomised),
            highest_studied_dose=highest,
            studied_exposure=(studied[0], studied[1]),
            shrinkage=_of(shrinkage, level),
            aliased_with=_aliased(own, home, tuple(aliases)),
            anchor=(anchors or {}).get(level, ""),
            tolerated_dose=float((tolerated_doses or {}).get(level, math.nan)),
            jeffreys=jeffreys,
            assays=tuple(sorted(set(own["assay"]) | set(home["assay"]))) if assay else (),
        )
    return evidence


@dataclass(frozen=True)
class _Mean:
    """A predicted mean probability: its estimate and its draws."""

    estimate: float
    values: np.ndarray

    def minus(self, reference: _Mean) -> Contrast:
        # the variance of the difference is split so that the two parts add up to it: a covariance (a shared
        # slope) is counted with the part of the reference, which more patients in the histology do not shrink
        difference = self.values - reference.values
        total, own = float(difference.var()), float(self.values.var())
        own = min(own, total)
        return Contrast.of_draws(
            self.estimate - reference.estimate, difference, math.sqrt(own), math.sqrt(max(total - own, 0.0))
        )


@dataclass(frozen=True)
class _Predictor:
    fit: ExposureResponse
    coefficients: np.ndarray

    def mean(self, histology: str, exposure: Any) -> _Mean:
        """Mean probability over `exposure` (n,), with its draws."""
        exposure = np.asarray(exposure, float)
        if histology not in self.fit.histologies:
            return _Mean(math.nan, np.full(len(self.coefficients), math.nan))
        estimate = float(np.mean(self.fit.probability(histology, exposure)))
        # rows of draws in slices: (draws × subjects) of a large histology would not stay in the cache
        step = max(1, 200_000 // exposure.size)
        slices = [
            np.asarray(self.fit.probability(histology, exposure, self.coefficients[i : i + step])).mean(
                axis=1
            )
            for i in range(0, len(self.coefficients), step)
        ]
        return _Mean(estimate, np.concatenate(slices))


def _subjects(
    frame: pd.DataFrame,
    histology: str,
    dose: str,
    response: str,
    ae: str,
    exposure: str,
    reference_exposure: str,
    aliases: tuple[str, ...],
    assay: str | None,
) -> pd.DataFrame:
    ids = subjects_of(frame)
    labels, _ = histologies_of(frame, histology, ids)
    table = pd.DataFrame({"ID": ids, "histology": labels})
    doses = pd.to_numeric(column_of(frame, dose), errors="coerce").to_numpy(float)
    bad = ~(np.isfinite(doses) & (doses > 0))
    if bad.any():
        raise InputError(
            "E_DOSE_MISSING",
            f"dose {dose} is missing, not a number or not above 0 for {named_subjects(ids, bad)}.",
            "Complete it, or leave these subjects out and say so in the report.",
        )
    table["dose"] = doses
    table["exposure"] = exposures_of(frame, exposure, ids, positive=True)
    table["reference_exposure"] = exposures_of(frame, reference_exposure, ids, positive=True)
    for name, column in {"response": response, "ae": ae}.items():
        values = pd.to_numeric(column_of(frame, column), errors="coerce").to_numpy(float)
        bad = frame[column].notna().to_numpy() & ~np.isin(values, (0.0, 1.0))
        if bad.any():
            raise InputError(
                "E_ENDPOINT_NOT_BINARY",
                f"{column} is neither 0, 1 nor missing for {named_subjects(ids, bad)}.",
                "Code events as 1 and non-events as 0.",
            )
        table[name] = values
    for column in aliases:
        table[f"alias:{column}"] = column_of(frame, column).to_numpy()
    if assay is not None:
        table["assay"] = [label_of(v) for v in column_of(frame, assay).astype(object).fillna("unknown")]
    return table


def _observed(own: pd.DataFrame) -> tuple[ObservedDose, ...]:
    groups = []
    for level, group in own.groupby("dose"):
        response, ae = group["response"].dropna(), group["ae"].dropna()
        counts = (len(response), int(response.sum()), len(ae), int(ae.sum()))
        groups.append(ObservedDose(float(str(level)), *counts))
    return tuple(groups)


def _ratio(frame: pd.DataFrame, level: str, n_own: int, n_reference: int) -> tuple[float, float, float]:
    for column in ("histology", "log_ratio", "log_ratio_se"):
        if column not in frame.columns:
            raise InputError(
                "E_COLUMN_MISSING",
                f"the exposure-ratio table has no column {column!r}.",
                "Use the table that HistologyExposure.ratio(...) gives.",
            )
    rows = frame[[label_of(h) == level for h in frame["histology"]]]
    if len(rows) != 1:
        raise InputError(
            "E_RATIO_MISSING",
            f"the exposure-ratio table has {len(rows)} rows for histology {level!r}; one is needed.",
            "Compute the ratio for every histology of the study.",
        )
    row = rows.iloc[0]
    log_ratio, se = float(row["log_ratio"]), float(row["log_ratio_se"])
    if "log_ratio_se_reference" in frame.columns and math.isfinite(float(row["log_ratio_se_reference"])):
        return log_ratio, se, min(float(row["log_ratio_se_reference"]), se)
    return log_ratio, se, se * math.sqrt(n_own / (n_own + n_reference))


def _aliased(own: pd.DataFrame, home: pd.DataFrame, aliases: tuple[str, ...]) -> str:
    """Name what the histology shares no level of with the reference: there the two cannot be told apart."""
    columns = {"dose": "dose", **{name: f"alias:{name}" for name in aliases}}
    apart = [
        name for name, column in columns.items() if not set(own[column].dropna()) & set(home[column].dropna())
    ]
    return ", ".join(apart)


def _of(shrinkage: Mapping[str, float] | float | None, level: str) -> float:
    if shrinkage is None:
        return math.nan
    if isinstance(shrinkage, Mapping):
        return float(shrinkage.get(level, math.nan))
    return float(shrinkage)
