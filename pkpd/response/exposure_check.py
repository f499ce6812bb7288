"""Is an exposure-response an effect of the drug? Dose, first-cycle and steady-state exposure side by side.

Exposure differs between patients for two reasons: the dose, which the trial chose, and clearance, which the
disease may drive. An effect of the drug shows in both alike; one that shows in clearance alone is confounded
(Turner DC et al. Clin Cancer Res 2018;24:5841-5849). Where clearance falls in patients who respond, exposure
at steady state is a consequence of response (Liu C et al. Clin Pharmacol Ther 2017;101:657-666).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import column_of, exposures_of, histologies_of, subjects_of
from pkpd.response.estimates import normal_quantile
from pkpd.response.evidence import EVIDENCE, best_evidence_class
from pkpd.response.logistic import LogisticFit, fit_logistic
from pkpd.results import result
from pkpd.statements import Statement, joined, say

__all__ = ["ExposureCheck", "exposure_check"]

_MARKS = {
    "W_STEADY_STATE_CONFOUNDED": say("mark_steady_state", "steady state confounded"),
    "W_CLEARANCE_CONFOUNDED": say("mark_clearance", "clearance confounded"),
}
APART = 1.5  # steady-state slope over first-cycle slope from which on the two disagree
ALPHA = 0.05


@result
@dataclass(frozen=True)
class ExposureCheck:
    """What each source of exposure says about an endpoint.

    Attributes
    ----------
    table : DataFrame
        One row per regressor: regressor, source (``dose``, ``first cycle``, ``steady state``, ``clearance``),
        odds_ratio per doubling, se (of its logarithm), lower, upper (90 %), p_value. The row ``clearance`` is
        first-cycle exposure at a given dose, next to the dose in one model.
    p_discordant : float
        That dose and clearance have one slope; NaN with a single dose.
    evidence_class : str
        EC1, EC2, EC3: that of the histology where doses tell most.
    effect_of_dose : bool
        Whether the randomised dose contrast itself shows an effect: the only result here that may be called
        causal.
    statement : str
        The evidence class and what may be said, in words.
    warnings : tuple of str
        ``W_STEADY_STATE_CONFOUNDED``, ``W_CLEARANCE_CONFOUNDED``.
    """

    table: pd.DataFrame
    p_discordant: float
    evidence_class: str
    effect_of_dose: bool
    statement: str
    warnings: tuple[str, ...] = ()


def exposure_check(
    frame: pd.DataFrame,
    response: str,
    *,
    dose: str,
    first: str,
    steady: str,
    randomised: bool,
    histology: str | None = None,
    covariates: Sequence[str] | Mapping[str, str | None] = (),
) -> ExposureCheck:
    """Compare dose, first-cycle exposure, steady-state exposure and clearance as predictors of an endpoint.

    Parameters
    ----------
    frame : DataFrame
        One row per subject.
    response : str
        Column with 0/1.
    dose, first, steady : str
        Columns: dose given, exposure in the first cycle and at steady state, all positive.
    randomised : bool
        Whether doses were randomised (within histologies, if these differ).
    histology : str, optional
        Column; each histology gets its intercept, slopes are common.
    covariates : sequence of str or mapping
        Baseline drivers of clearance and prognosis (albumin, weight, tumour burden, ECOG).

    Returns
    -------
    ExposureCheck

    Raises
    ------
    InputError
        As :func:`pkpd.response.fit_logistic`.

    Notes
    -----
    Odds ratios are those of log-linear models with Firth's penalty where it is needed. *Discordant*: Wald
    test at 5 % that a doubling by dose and a doubling by clearance have the same odds ratio. *Steady state
    confounded*: its slope is more than 1.5 times that of the first cycle (in size) and its interval excludes
    no effect.
    """
    ids = subjects_of(frame)
    doses = exposures_of(frame, dose, ids, positive=True)
    early = exposures_of(frame, first, ids, positive=True)
    column_of(frame, response)
    names = covariates if isinstance(covariates, Mapping) else dict.fromkeys(covariates)
    if histology is not None:
        labels, _ = histologies_of(frame, histology, ids)
    else:
        labels = np.full(len(ids), "all", dtype=object)
    kind = best_evidence_class(doses, labels, randomised)
    if "log_clearance" in names or "log_clearance" in (response, dose, first, steady):
        raise InputError("E_OPTION", "column log_clearance is made here.", "Rename that column.")

    def fit(table: pd.DataFrame, exposure: str, extra: Mapping[str, str | None]) -> LogisticFit:
        return fit_logistic(
            table, response, exposure, histology, shape="log", slopes="common", covariates=extra
        )

    rows, p_discordant = [], math.nan
    # exposure per dose, within histologies: the part of exposure that clearance makes
    log_part = np.log(early / doses)
    log_part = log_part - pd.Series(log_part).groupby(labels).transform("mean").to_numpy()
    several = kind != "EC3"
    if several:
        rows.append(_row(dose, "dose", fit(frame, dose, names), "slope"))
    fits = {
        source: fit(frame, name, names) for source, name in (("first cycle", first), ("steady state", steady))
    }
    rows += [_row(n, s, fits[s], "slope") for s, n in (("first cycle", first), ("steady state", steady))]
    with_part = frame.assign(log_clearance=log_part)
    if several:
        both = fit(with_part, dose, {**names, "log_clearance": None})
        rows.append(_row(f"{first} at a given dose", "clearance", both, "log_clearance"))
        difference = float(both.coefficients["slope"] - both.coefficients["log_clearance"])
        pair = both.covariance.loc[["slope", "log_clearance"], ["slope", "log_clearance"]].to_numpy(float)
        variance = float(pair[0, 0] + pair[1, 1] - 2 * pair[0, 1])
        p_discordant = math.erfc(abs(difference) / math.sqrt(2 * variance))
    table = pd.DataFrame(rows)
    warnings = _warnings(table, p_discordant, response)
    effect = False
    if kind == "EC1":
        own = table[table["source"] == "dose"].iloc[0]
        effect = bool(own["p_value"] < ALPHA)
    return ExposureCheck(table, p_discordant, kind, effect, _statement(kind, effect, warnings), warnings)


def _row(name: str, source: str, fit: LogisticFit, coefficient: str) -> dict[str, object]:
    estimate = float(fit.coefficients[coefficient])
    se = float(fit.standard_errors[coefficient])
    two, z = math.log(2), normal_quantile(0.90)
    return {
        "regressor": name,
        "source": source,
        "odds_ratio": math.exp(two * estimate),
        "se": two * se,
        "lower": math.exp(two * (estimate - z * se)),
        "upper": math.exp(two * (estimate + z * se)),
        "p_value": math.erfc(abs(estimate / se) / math.sqrt(2)),
    }


def _warnings(table: pd.DataFrame, p_discordant: float, response: str) -> tuple[str, ...]:
    by = table.set_index("source")
    out = []
    first, steady = (math.log(float(by["odds_ratio"][s])) for s in ("first cycle", "steady state"))
    excludes = by["lower"]["steady state"] > 1 or by["upper"]["steady state"] < 1
    if excludes and (abs(steady) > APART * abs(first) or first * steady < 0):
        out.append(
            say(
                "steady_state_confounded",
                "W_STEADY_STATE_CONFOUNDED: {response}: odds ratio per doubling {steady} with steady-state exposure, "
                "{first} with first-cycle exposure; exposure at steady state may be a consequence of response. Remedy: "
                "judge on first-cycle exposure.",
                response=response,
                steady=f"{by['odds_ratio']['steady state']:.2f}",
                first=f"{by['odds_ratio']['first cycle']:.2f}",
            )
        )
    if p_discordant < ALPHA:
        out.append(
            say(
                "clearance_confounded",
                "W_CLEARANCE_CONFOUNDED: {response}: a doubling of exposure by clearance has odds ratio {clearance}, by "
                "dose {dose} (p = {p} for one slope); baseline clearance predicts the outcome by itself. Remedy: rely on "
                "the dose contrast.",
                response=response,
                clearance=f"{by['odds_ratio']['clearance']:.2f}",
                dose=f"{by['odds_ratio']['dose']:.2f}",
                p=f"{p_discordant:.3f}",
            )
        )
    return tuple(out)


def _statement(kind: str, effect: bool, warnings: tuple[str, ...]) -> Statement:
    known = EVIDENCE[kind]
    if kind == "EC1" and effect:
        end = say(
            "dose_effect",
            "the randomised dose contrast shows an effect of the dose; slopes on exposure describe its size",
        )
    elif kind == "EC1":
        end = say(
            "no_dose_effect",
            "the randomised dose contrast shows no effect of the dose, so the relation with exposure is an "
            "association and not shown to be causal",
        )
    else:
        end = say(
            "not_randomised",
            "exposure was not randomised, so the relation with exposure is an association and may be confounded",
        )
    found = [w.split(":")[0] for w in warnings]
    marks = joined([_MARKS[code] for code in found], ", ")
    return say(
        "evidence",
        "Evidence class {kind} ({known}): {end}{marks}.",
        kind=kind,
        known=known,
        end=end,
        marks=say("signs", " (signs of confounding: {marks})", marks=marks) if marks else "",
    )
