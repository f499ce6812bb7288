"""Assessments made by hand, with plausible numbers and no estimation, so that the report is tested alone."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.population.predictive_check import VPC
from pkpd.results import estimates_table
from pkpd.study.assessment import Assessment, EndpointResult, ExposureResult, PkResult, SurvivalResult

# histology, n, clearance × reference, logit shift of ORR and slope, logit shift of AE
PANTUMOR = [
    ("melanoma", 400, 1.00, 0.0, 2.5, 0.0),
    ("colorectal", 60, 1.02, -3.5, 0.0, 0.0),
    ("thyroid", 130, 1.45, 0.0, 2.5, 0.0),
    ("hepatocellular", 180, 0.98, 0.0, 2.5, 1.66),
    ("lung", 380, 1.01, 0.0, 2.5, 0.0),
    ("biliary", 6, 1.10, 0.0, 2.5, 0.0),
]
VERDICTS = {
    "colorectal": ("exclude", np.nan, "", "1", "CONFOUNDED"),
    "thyroid": ("adjust dose", 3.0, "exposure", "2a", "EXTRAPOLATED"),
    "hepatocellular": ("adjust dose", 1.5, "safety", "2b", ""),
    "lung": ("same dose", 2.0, "reference", "3", ""),
    "biliary": ("insufficient data", 2.0, "", "0", "SMALL-N; PRIOR-SENSITIVE"),
}


def clopper_pearson(events: int, n: int, level: float = 0.95) -> tuple[float, float]:
    from scipy.stats import beta

    a = (1 - level) / 2
    lower = 0.0 if events == 0 else float(beta.ppf(a, events, n - events + 1))
    upper = 1.0 if events == n else float(beta.ppf(1 - a, events + 1, n - events))
    return lower, upper


def _expit(x):
    return 1 / (1 + np.exp(-x))


def _proportions(rows: list[dict]) -> pd.DataFrame:
    for row in rows:
        row["proportion"] = row["events"] / row["n"]
        row["lower"], row["upper"] = clopper_pearson(row["events"], row["n"])
    return pd.DataFrame(rows)


def _subjects(groups, rng) -> pd.DataFrame:
    rows, serial = [], 1
    for name, n, clearance, *_ in groups:
        for i in range(n):
            dose = (1.0, 2.0)[i % 2]
            auc = dose / 2 * 420 / clearance * np.exp(0.3 * rng.standard_normal())
            rows.append(
                (
                    serial,
                    name,
                    dose,
                    0.9 * auc,
                    auc / 12,
                    auc / 40,
                    auc / 24,
                    auc,
                    auc / 11,
                    auc / 38,
                    auc / 24,
                    auc * 2 / dose,
                )
            )
            serial += 1
    names = [
        "ID",
        "histology",
        "dose",
        "AUC1",
        "CMAX1",
        "CTROUGH1",
        "CAVG1",
        "AUCSS",
        "CMAXSS",
        "CTROUGHSS",
        "CAVGSS",
        "reference",
    ]
    return pd.DataFrame(rows, columns=names)


def _ratios(groups) -> pd.DataFrame:
    from scipy.special import ndtr

    rows = []
    for i, (name, n, clearance, *_) in enumerate(groups):
        log_ratio = -np.log(clearance)
        se = 0.0 if i == 0 else 0.3 * np.sqrt(1 / groups[0][1] + 1 / n)
        z = [np.nan, np.nan] if i == 0 else [(np.log(b) - log_ratio) / se for b in (0.8, 1.25)]
        below, above = (0.0, 0.0) if i == 0 else (ndtr(z[0]), ndtr(-z[1]))
        rows.append(
            dict(
                histology=name,
                n=n,
                geometric_mean=420 / clearance,
                cv_percent=30.0 + i / 7,
                ratio=np.exp(log_ratio),
                lower=np.exp(log_ratio - 1.645 * se),
                upper=np.exp(log_ratio + 1.645 * se),
                log_ratio=log_ratio,
                log_ratio_se=se,
                p_below=below,
                p_within=1 - below - above,
                p_above=above,
            )
        )
    return pd.DataFrame(rows)


def _endpoint(name, label, kind, base, slope, groups, subjects, rng, *, events=True) -> EndpointResult:
    reference = 420.0
    counts, observed, curves, contrasts, coefficients, se = [], [], [], [], {}, {}
    for i, (histology, n, _, shift, own_slope, toxic) in enumerate(groups):
        a = base + (shift if kind == "efficacy" else toxic)
        b = own_slope if kind == "efficacy" else slope
        own = subjects[subjects["histology"] == histology]
        p = _expit(a + b * np.log(own["AUCSS"].to_numpy() / reference))
        y = (rng.random(n) < p).astype(int) if events else np.zeros(n, int)
        for dose in sorted(own["dose"].unique()):
            at = (own["dose"] == dose).to_numpy()
            counts.append(dict(histology=histology, dose=dose, n=int(at.sum()), events=int(y[at].sum())))
        order = np.argsort(own["AUCSS"].to_numpy())
        for part in np.array_split(order, min(4, max(1, n // 5))):
            observed.append(
                dict(
                    histology=histology,
                    exposure=float(own["AUCSS"].to_numpy()[part].mean()),
                    n=len(part),
                    events=int(y[part].sum()),
                )
            )
        if n > 1:
            grid = np.geomspace(own["AUCSS"].min(), own["AUCSS"].max(), 25)
            eta, half = (
                a + b * np.log(grid / reference),
                1.645 * np.sqrt(4 / n + 6 / n * np.log(grid / reference) ** 2),
            )
            curves.append(
                pd.DataFrame(
                    dict(
                        histology=histology,
                        exposure=grid,
                        probability=_expit(eta),
                        lower=_expit(eta - half),
                        upper=_expit(eta + half),
                    )
                )
            )
        delta = _expit(a) - _expit(base)
        half = 0.0 if i == 0 else 1.645 * np.sqrt(0.25 / n + 0.25 / groups[0][1])
        contrasts.append(dict(histology=histology, difference=delta, lower=delta - half, upper=delta + half))
        coefficients[f"intercept[{histology}]"], se[f"intercept[{histology}]"] = a, 2 / np.sqrt(n)
        coefficients[f"slope[{histology}]"], se[f"slope[{histology}]"] = b, 2.5 / np.sqrt(n)
    test = {
        "statistic": 14.2,
        "df": len(groups) - 1,
        "p_chi2": 0.0144,
        "p_bootstrap": 0.031,
        "n_bootstrap": 999,
    }
    return EndpointResult(
        name=name,
        label=label,
        kind=kind,
        shape="log",
        coefficients=estimates_table(pd.Series(coefficients), pd.Series(se)),
        counts=_proportions(counts),
        curves=pd.concat(curves, ignore_index=True),
        observed=_proportions(observed),
        interaction=test,
        intercepts={**test, "statistic": 88.4, "p_chi2": 1.4e-17, "p_bootstrap": 0.001},
        contrasts=pd.DataFrame(contrasts),
        sources=_sources(),
        borrowing=_borrowing(pd.DataFrame(counts)),
    )


def _sources() -> dict:
    """Dose and clearance that disagree."""
    sources = [("DOSE", "dose", 1.10), ("AUC1", "first cycle", 1.62), ("AUCSS", "steady state", 3.94)]
    rows = [
        {"regressor": r, "source": s, "odds_ratio": o, "se": 0.2, "lower": o / 1.39, "upper": o * 1.39, "p_value": 0.0123}
        for r, s, o in sources
    ]  # fmt: skip
    return {
        "table": pd.DataFrame(rows),
        "p_discordant": 0.004,
        "evidence_class": "EC1",
        "effect_of_dose": False,
        "statement": "Evidence class EC1 (randomised doses): the randomised dose contrast shows no effect of the dose.",
        "warnings": (
            "W_STEADY_STATE_CONFOUNDED: ORR: exposure at steady state may be a consequence of response.",
        ),
        "adjusted": ("ALB", "WT"),
    }


def _robustness(groups) -> dict:
    """Repeated analyses, aliasing and one time to an event."""
    names = [g[0] for g in groups]
    if len(names) == 1:
        return {}
    refits = pd.DataFrame(
        {
            "analysis": ["prior"] * (len(names) - 1) + ["left out"],
            "change": ["2"] * (len(names) - 1) + [names[1]],
            "histology": [*names[1:], names[-1]],
            "verdict": ["insufficient data"] * (len(names) - 1) + ["not fitted"],
            "dose": [2.0] * (len(names) - 1) + [np.nan],
            "ratio": [0.987] * len(names),
            "changed": [i % 2 == 0 for i in range(len(names))],
        }
    )
    share = np.full(len(names), 1 / len(names))
    pooled = pd.DataFrame(
        {
            "endpoint": "ORR", "histology": names, "n": 10, "events": 5, "share_n": share, "share_events": share,
            "pooled": 0.45, "without": 0.4321, "shift": -0.0179, "dominant": [i == 0 for i in range(len(names))],
        }
    )  # fmt: skip
    aliasing = pd.DataFrame(
        {
            "histology": names[1:],
            "estimable": [i > 0 for i in range(len(names) - 1)],
            "vif": [np.inf if i == 0 else 1.234 for i in range(len(names) - 1)],
            "shares_nothing": ["dose" if i == 0 else "" for i in range(len(names) - 1)],
            "aliased_with": "",
        }
    )
    times = pd.DataFrame(
        {
            "histology": names, "n": 30, "events": 20, "median": 9.44, "hazard_ratio": 0.812, "lower": 0.55,
            "upper": [np.nan if i == 1 else 1.2 for i in range(len(names))], "se": 0.24, "p_proportional": 0.31,
        }
    )  # fmt: skip
    survival = SurvivalResult(
        "PFS", "Progression-free survival", "efficacy", "log", "AUCSS", times, _kaplan_meier("histology", names), {},
        "Histologies are not compared.", _kaplan_meier("quartile", ["1", "2", "3", "4"]),
    )  # fmt: skip
    none = SurvivalResult(
        "OS",
        "Overall survival",
        "efficacy",
        "log",
        "AUCSS",
        pd.DataFrame(),
        pd.DataFrame(),
        {},
        "Not analysed: no events.",
    )
    return {
        "survival": (survival, none),
        "confounding": {"aliasing": aliasing, "cells": _cells(groups)},
        "sensitivity": {"refits": refits, "pooled": pooled, "influence": _influence(names)},
        "forecasts": _forecasts(names),
    }


def _kaplan_meier(by: str, names: list[str]) -> pd.DataFrame:
    pieces = []
    for i, name in enumerate(names):
        steps = np.arange(1, 9)
        pieces.append(
            pd.DataFrame(
                {
                    by: name, "time": 3.0 * steps + 0.3 * i, "at_risk": 33 - 4 * steps, "events": 2,
                    "survival": 0.93 ** (steps + 0.4 * i), "lower": 0.0, "upper": 1.0,
                }
            )
        )  # fmt: skip
    return pd.concat(pieces, ignore_index=True)


def _cells(groups) -> pd.DataFrame:
    rows = [
        {"histology": name, "dose": dose, "STUDY": study, "n": (n // 4) if (i + len(study)) % 3 else 0}
        for i, (name, n, *_) in enumerate(groups)
        for dose in (1.0, 2.0)
        for study in ("S1", "S10")
    ]
    return pd.DataFrame(rows)


def _influence(names: list[str]) -> dict:
    out: dict = {"slope of ORR": {"refused": "fewer than three histologies."}}
    if len(names) < 3:
        return out
    k = np.arange(len(names))
    table = pd.DataFrame(
        {
            "histology": names, "weight": 1 / len(names), "mu": -0.05 + 0.011 * k, "se": 0.04, "lower": -0.13 + 0.011 * k,
            "upper": 0.031 + 0.011 * k, "tau2": 0.0123, "i2": 0.4, "q": 9.1, "q_p_value": 0.1, "dominant": False,
            "sign_change": False, "conclusion_change": False,
        }
    )  # fmt: skip
    whole = {"mu": -0.041, "lower": -0.12, "upper": 0.038, "tau2": 0.0117, "effective_number": 4.37}
    return {"AUCSS": {"table": table, **whole}} | out


def _forecasts(names: list[str]) -> pd.DataFrame:
    rows = []
    for i, name in enumerate(names):
        for dose in (1.0, 1.5, 2.0, 2.5, 3.0):
            response, ae = _expit(-1.5 + dose - 0.2 * i), _expit(-3.2 + 0.7 * dose)
            rows.append(
                {
                    "histology": name, "dose": dose, "exposure": 210 * dose, "response": response, "ae": ae,
                    "response_difference": response - 0.6, "response_lower": response - 0.7,
                    "response_upper": response - 0.5, "ae_difference": ae - 0.1, "ae_lower": ae - 0.15, "ae_upper": ae,
                }
            )  # fmt: skip
    return pd.DataFrame(rows)


def _borrowing(counts: pd.DataFrame) -> dict:
    own = counts.groupby("histology", sort=False)[["n", "events"]].sum().reset_index()
    rows = _proportions(own.to_dict("records")).rename(
        columns={"proportion": "raw", "lower": "raw_lower", "upper": "raw_upper"}
    )
    pooled = own["events"].sum() / own["n"].sum()
    rows["shrunken"] = (rows["events"] + 20 * pooled) / (rows["n"] + 20)
    rows["lower"], rows["upper"] = 0.8 * rows["shrunken"], 0.9 * rows["shrunken"] + 0.1
    rows["mean"] = 0.5 * (rows["shrunken"] + pooled)
    k = len(rows)
    pairwise = np.minimum.outer(np.linspace(0.03, 1, k), np.linspace(0.2, 1, k)) * (1 - np.eye(k)) + np.eye(k)
    names = list(rows["histology"])
    return {
        "table": rows,
        "pairwise": pd.DataFrame(pairwise, index=names, columns=names),
        "probability_homogeneous": 0.0312,
        "bayes_factor": 0.16,
        "prior": "mean logit ~ Normal(0, 2), tau ~ HalfNormal(1)",
    }


def _verdicts(groups, ratios) -> pd.DataFrame:
    rows = []
    for name, n, *_ in groups[1:]:
        verdict, dose, matches, rule, qualifiers = VERDICTS.get(name, ("insufficient data", 2.0, "", "4", ""))
        r = ratios[ratios["histology"] == name].iloc[0]
        rows.append(
            dict(
                histology=name,
                n=n,
                n_response=n,
                verdict=verdict,
                dose=dose,
                dose_matches=matches,
                rule=rule,
                ratio=r["ratio"],
                ratio_lower=r["lower"],
                ratio_upper=r["upper"],
                p_exposure_below=r["p_below"],
                p_exposure_within=r["p_within"],
                p_exposure_above=r["p_above"],
                p_response_below_p0=0.9987 if verdict == "exclude" else 0.0003,
                p_effect_kept=0.8996,
                p_effect_lost=0.02,
                p_safety_kept=0.93,
                p_safety_lost=0.004,
                p_total_kept=0.871,
                response_at_dose=np.nan if verdict == "exclude" else 0.47,
                ae_at_dose=0.121,
                n_needed=42.0 if verdict == "insufficient data" else np.nan,
                evidence_class="EC1",
                qualifiers=qualifiers,
                sentence=f"{name.capitalize()}: {verdict}; its exposure ratio is {r['ratio']:.2f}.",
            )
        )
    return pd.DataFrame(rows)


def _pk(groups, subjects, rng) -> PkResult:
    estimates = (
        {"CL": 4.91, "V": 214.0, "KA": 2.05}
        | {f"CL(TUMOR={g[0]})": float(np.log(g[2])) for g in groups[1:]}
        | {
            "OMEGA(CL,CL)": 0.0841,
            "OMEGA(V,CL)": 0.0312,
            "OMEGA(V,V)": 0.0441,
            "OMEGA(KA,KA)": 0.25,
            "SD(ADD)": 0.31,
            "SD(PROP)": 0.152,
        }
    )
    se = {k: 0.04 * abs(v) + 0.004 for k, v in estimates.items()}
    se["SD(ADD)"] = np.nan
    units = {"CL": "L/h", "V": "L", "KA": "1/h", "SD(ADD)": "ng/mL"}
    table = estimates_table(pd.Series(estimates), pd.Series(se), units=units, fixed={"SD(ADD)": True})
    shrinkage = {"OMEGA(CL,CL)": 6.2, "OMEGA(V,V)": 18.4, "OMEGA(KA,KA)": 41.7, "SD(PROP)": 9.8}
    table["shrinkage_percent"] = [shrinkage.get(name, np.nan) for name in table.index]
    times = np.array([1.0, 3.0, 8.0, 24.0])
    some = subjects.iloc[:: max(1, len(subjects) // 200)]
    rows = []
    for _, s in some.iterrows():
        pred = s["dose"] / 2 * 30 * np.exp(-0.06 * times) * (1 - np.exp(-2 * times))
        ipred = pred * np.exp(0.25 * rng.standard_normal())
        dv = ipred * (1 + 0.15 * rng.standard_normal(4))
        for t, d, p, i in zip(times, dv, pred, ipred, strict=True):
            rows.append((s["ID"], s["histology"], t, max(d, 0.05), p, i, rng.standard_normal()))
    equations = (
        r"CL = \theta_{CL} \left(\frac{WT}{70}\right)^{0.75} e^{\eta_{CL}} e^{\beta_{CL,TUMOR}}",
        r"\frac{d\,depot}{dt} = - KA \cdot depot",
        r"\frac{d\,central}{dt} = KA \cdot depot - \frac{CL}{V} central",
    )
    return PkResult(
        model="trametinib-like, 1 compartment",
        method="FOCEI",
        ofv=31234.5678,
        minus2ll=39876.54321,
        ofv_reduced=31402.1234,
        n_subjects=len(subjects),
        n_observations=4 * len(subjects),
        parameters=table,
        likelihood_ratio={"statistic": 167.5556, "df": len(groups) - 1, "p_value": 2.3e-34},
        diagnostics=pd.DataFrame(rows, columns=["ID", "histology", "TIME", "DV", "PRED", "IPRED", "CWRES"]),
        equations=equations,
        successful=True,
        termination="The gradient is below its tolerance; the covariance step inverted R.",
        warnings=("W_SHRINKAGE_HIGH: the shrinkage of eta KA is 41.7 %, above 25 %.",),
        random_effects=_random_effects(subjects, rng),
        shrinkage=_shrinkage(groups),
        predictive_check=_predictive_check(groups, rng),
        code={
            "NONMEM": "$PROBLEM examplinib\n$PK\n  CL = THETA(1)*EXP(ETA(1))  ; a < b & c",
            "nlmixr2": "f <- function() {}",
        },
    )


def _predictive_check(groups, rng) -> VPC:
    bands, points = [], []
    for name, n, *_ in groups:
        for k, x in enumerate((2.0, 12.0)):
            for quantile, level in ((0.05, 0.5), (0.5, 1.0), (0.95, 2.0)):
                middle = 40 * level / (k + 1)
                bands.append(
                    {
                        "stratum": name, "bin": k, "n": 2 * n, "x": x, "x_lower": x - 2, "x_upper": x + 6, "quantile": quantile,
                        "observed": 1.02 * middle, "lower": 0.9 * middle, "median": middle, "upper": 1.1 * middle,
                    }
                )  # fmt: skip
            y = 40 / (k + 1) * np.exp(0.4 * rng.standard_normal(min(n, 40)))
            points.append(pd.DataFrame({"stratum": name, "x": x, "y": y}))
    empty = pd.DataFrame(columns=["stratum", "bin", "n", "x", "observed", "lower", "median", "upper"])
    return VPC(
        pd.DataFrame(bands), empty, pd.concat(points, ignore_index=True), "TAD", "one bin per distinct time", True, "TUMOR",
        200, 1, 0.95,
    )  # fmt: skip


def _random_effects(subjects, rng) -> pd.DataFrame:
    n = len(subjects)
    return pd.DataFrame(
        {
            "ID": subjects["ID"], "histology": subjects["histology"], "ETA(CL)": 0.29 * rng.standard_normal(n),
            "ETA(V)": 0.2 * rng.standard_normal(n), "WT": 70 + 12 * rng.standard_normal(n),
            "SEX": np.where(rng.random(n) < 0.5, "F", "M"),
        }
    )  # fmt: skip


def _shrinkage(groups) -> pd.DataFrame:
    rows = {"all": {"subjects": sum(g[1] for g in groups), "CL": 0.062, "V": 0.184, "IWRES": 0.098}}
    rows |= {
        g[0]: {"subjects": g[1], "CL": 0.05 + 0.01 * i, "V": np.nan if g[1] < 2 else 0.3, "IWRES": 0.1}
        for i, g in enumerate(groups)
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")


def _exchangeability(ratios) -> dict:
    estimate, se = ratios["log_ratio"].to_numpy(), np.maximum(ratios["log_ratio_se"].to_numpy(), 0.015)
    weight = 0.04 / (0.04 + se**2)
    mean, sd = weight * estimate - (1 - weight) * 0.07, np.sqrt(weight) * se
    table = pd.DataFrame(
        dict(
            histology=ratios["histology"],
            estimate=estimate,
            se=se,
            shrunken_mean=mean,
            shrunken_sd=sd,
            lower=mean - 1.645 * sd,
            upper=mean + 1.645 * sd,
        )
    )
    return {
        "tau": {"mean": 0.212, "sd": 0.083, "p_above": 0.991, "threshold": 0.1357},
        "table": table,
        "prior": "tau ~ HalfNormal(0.5), mu ~ Normal(0, 2)",
    }


PLAN = {
    "format": 1,
    "title": "Dose of examplinib across six tumour types",
    "seed": 20251229,
    "data": {
        "file": "records.csv",
        "reference": "melanoma",
        "histology": "TUMOR",
        "units": {"TIME": "h", "AMT": "mg", "DV": "ng/mL"},
        "columns": None,
        "covariates": None,
    },
    "model": {"tested": ("CL",), "file": "model.py", "name": None, "method": "FOCEI"},
    "dosing": {
        "reference": 2.0,
        "candidates": (1.0, 1.5, 2.0, 2.5, 3.0),
        "interval": 24.0,
        "randomised": True,
        "unit": "mg",
        "column": None,
        "infusion": None,
        "compartment": "depot",
    },
    "exposure": {
        "metric": "AUCSS",
        "bounds": (0.8, 1.25),
        "source": "Default no-effect bounds; no randomised comparison argues for others.",
    },
    "margins": {
        "efficacy": 0.15,
        "safety": 0.10,
        "source": "Agreed with the clinical team before database lock.",
    },
    "p0": {"source": "Response rate of available therapy.", "default": 0.20, "histologies": None},
    "thresholds": {
        "conclude": 0.90,
        "keep": 0.80,
        "minimum_n": 10,
        "small_n": 30,
        "shrinkage": 0.25,
        "extrapolation": 1.5,
    },
    "bootstrap": {"n": 999},
    "exchangeability": {"tau": 0.5, "mu": (0.0, 2.0)},
    "endpoint": [
        {"name": "ORR", "kind": "efficacy", "column": "ORR", "label": "Objective response", "shape": "log"},
        {"name": "AE3", "kind": "safety", "column": "AE3", "label": "Grade ≥3 adverse event", "shape": "log"},
    ],
}


def assessment(groups=PANTUMOR, *, events: bool = True, plan=PLAN) -> Assessment:
    """An assessment of the given histologies; the first one is the reference."""
    rng = np.random.default_rng(1)
    subjects, ratios = _subjects(groups, rng), _ratios(groups)
    plan = {**plan, "data": {**plan["data"], "reference": groups[0][0]}}
    data = subjects.groupby(["histology", "dose"], sort=False).size().reset_index(name="subjects")
    data["observations"] = 4 * data["subjects"]
    return Assessment(
        title=plan["title"],
        verdicts=_verdicts(groups, ratios),
        global_statement="Exposure differs between histologies (P(tau > 0.14) = 0.99); each is judged.",
        plan=plan,
        data=data,
        pk=_pk(groups, subjects, rng),
        exposure=ExposureResult("AUCSS", "ng·h/mL", 420.0, subjects, ratios, (0.8, 1.25)),
        endpoints=(
            _endpoint("ORR", "Objective response", "efficacy", 0.0, 2.5, groups, subjects, rng),
            _endpoint(
                "AE3", "Grade ≥3 adverse event", "safety", -2.2, 3.0, groups, subjects, rng, events=events
            ),
        ),
        exchangeability=_exchangeability(ratios),
        assumptions=(
            "Exposure enters as empirical Bayes estimates of a fit that contains the histology effect.",
            "Log exposure varies between patients with the same variance in every histology.",
            "Differences are read at equal exposure; confounding by prognosis is not removed.",
        ),
        provenance={
            "versions": {"pkpd": "0.1.0", "python": "3.11.2", "numpy": "2.4.0"},
            "seed": 20251229,
            "sha256": {"data": "a1" * 32, "plan": "b2" * 32, "model": "c3" * 32},
        },
        signature={
            "signed": True,
            "by": "A. Person, head of biometrics",
            "on": "2026-01-31",
            "sha256": "d4" * 32,
            "same_text": False,
            "deviations": pd.DataFrame([{"key": "margins.efficacy", "signed": "0.1", "run": "0.15"}]),
        },
        **_robustness(groups),
    )


def many() -> Assessment:
    """Twelve histologies, some with names that do not fit a column."""
    names = [
        "melanoma",
        "colorectal",
        "thyroid",
        "hepatocellular",
        "lung",
        "biliary",
        "gastric or gastro-oesophageal junction adenocarcinoma",
        "endometrial",
        "salivary gland",
        "infantile fibrosarcoma and other NTRK-fusion soft tissue sarcomas",
        "pancreatic",
        "glioma",
    ]
    groups = [(name, 30 + 10 * (i % 4), 1 + 0.05 * i, 0.1 * i, 2.5, 0.1 * i) for i, name in enumerate(names)]
    return assessment(groups)


def degenerate() -> Assessment:
    """One subject in a histology (without a curve), no adverse event at all, intervals that are not there."""
    groups = [PANTUMOR[0], PANTUMOR[4], ("biliary", 1, 1.1, 0.0, 2.5, 0.0)]
    made = assessment(groups, events=False)
    for table, columns in (
        (made.exposure.ratios, ["lower", "upper", "log_ratio_se", "p_below", "p_within", "p_above"]),
        (made.endpoints[0].contrasts, ["difference", "lower", "upper"]),
        (made.exchangeability["table"], ["se", "shrunken_mean", "shrunken_sd", "lower", "upper"]),
        (
            made.verdicts,
            [
                "ratio_lower",
                "ratio_upper",
                "p_exposure_within",
                "p_effect_kept",
                "p_safety_kept",
                "p_total_kept",
            ],
        ),
    ):
        table.loc[table.index[-1], columns] = np.nan
    return made
