"""Simulate the pan-tumour trial of a fictitious oral drug, with a truth that is known.

    python datasets/pantumor/simulate.py            writes pantumor.csv and truth.json beside it
    python datasets/pantumor/simulate.py --small    writes the same into datasets/pantumor_small

It needs NumPy and pandas only, and shares no code with pkpd: what pkpd recovers from these files, it recovers
from an independent witness. Structure and variability are those of trametinib in Balakirouchenane D, Guegan
S, Csajka C, et al. Cancers 2020;12(4):931, Table 3, doi:10.3390/cancers12040931; README.md states what
departs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20251229

# Population pharmacokinetics: h, L, L/h, mg; reference subject of 75 kg.
KA, TLAG, CL, V2, Q, V3 = 0.913, 0.709, 5.83, 61.9, 64.9, 417.0
CV_CL, CV_Q = 0.296, 0.802  # log-normal: omega^2 = ln(1 + CV^2)
WEIGHT, WEIGHT_SD_LOG = 75.0, 0.18  # geometric mean in every histology
ALLOMETRY_FLOW, ALLOMETRY_VOLUME = 0.75, 1.0
PROPORTIONAL = 0.20  # residual SD as a fraction
LARGEST_ERROR = 4.0  # errors beyond 4 SD (6 in 100 000) are set to 4 SD: a concentration stays positive

# Trial: once daily, 15 doses; the two arms are randomised 1:1 within each histology.
REFERENCE_DOSE = 2.0
ARMS = (0.5, 1.0)
CANDIDATES = (0.5, 0.75, 1.0, 1.25, 1.5)
INTERVAL, ADDITIONAL = 24.0, 14
FEWEST = 10  # patients: with fewer no verdict but "insufficient data" is right
TIMES = (1.5, 3.0, 8.0, 23.5, 335.5, 338.0, 342.0)  # day 1, then around the last dose at 336 h


@dataclass(frozen=True)
class Histology:
    """Truth of one tumour type: relative clearance, and responses at the reference exposure."""

    n: int
    role: str
    clearance: float
    orr: float
    orr_slope: float  # of logit ORR in ln(AUC / reference AUC)
    ae: float
    ae_slope: float
    verdict: str  # with enough patients
    doses: tuple[float, ...]  # right answers, as multiples of the reference dose


HISTOLOGIES = {
    "lung": Histology(400, "reference", 1.0, 0.50, 2.5, 0.10, 3.0, "reference", (1.0,)),
    "colorectal": Histology(60, "resistant", 1.0, 0.03, 0.0, 0.10, 3.0, "exclude", ()),
    "gastric": Histology(130, "faster clearance", 1.45, 0.50, 2.5, 0.10, 3.0, "adjust dose", (1.25, 1.5)),
    "liver": Histology(180, "more toxic", 1.0, 0.50, 2.5, 0.37, 3.0, "adjust dose", (0.5, 0.75)),
    "breast": Histology(380, "the same", 1.0, 0.50, 2.5, 0.10, 3.0, "same dose", (1.0,)),
    "salivary": Histology(6, "the same, but rare", 1.0, 0.50, 2.5, 0.10, 3.0, "same dose", (1.0,)),
}


def concentrations(
    ka: float, lag: float, cl: float, v2: float, q: float, v3: float, dose: float
) -> np.ndarray:
    """Concentrations (ng/mL) at TIMES: two compartments, first-order absorption with lag, doses
    superposed.
    """
    k10, k12, k21 = cl / v2, q / v2, q / v3
    total = k10 + k12 + k21
    beta = (total - np.sqrt(total**2 - 4 * k10 * k21)) / 2
    alpha = k10 * k21 / beta
    since = np.array(TIMES)[:, None] - INTERVAL * np.arange(ADDITIONAL + 1)[None, :] - lag
    given = since > 0
    since = np.where(given, since, 0.0)
    one = (
        (k21 - alpha) / ((ka - alpha) * (beta - alpha)) * np.exp(-alpha * since)
        + (k21 - beta) / ((ka - beta) * (alpha - beta)) * np.exp(-beta * since)
        + (k21 - ka) / ((alpha - ka) * (beta - ka)) * np.exp(-ka * since)
    )
    return 1000 * ka * dose / v2 * np.where(given, one, 0.0).sum(axis=1)  # mg/L -> ng/mL


def logistic(x: np.ndarray) -> np.ndarray:
    """Inverse of the logit."""
    return 1 / (1 + np.exp(-x))


def simulate(
    seed: int = SEED, n_each: int | None = None, with_records: bool = True
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One trial: records in NONMEM convention, and one row per subject with its true exposure.

    Parameters
    ----------
    seed : int
        Of the one generator that draws everything, in a fixed order.
    n_each : int, optional
        The same number of patients in each histology, instead of the sizes of the truth.
    with_records : bool
        False leaves the concentrations out (exposures and responses only), which is enough to study
        decisions.

    Returns
    -------
    records, subjects : DataFrame
        `subjects` has CL (L/h), AUCSS (ng·h/mL at the actual dose) and exposure = AUCSS / reference AUCSS.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for name, truth in HISTOLOGIES.items():
        n = n_each or truth.n
        dose = REFERENCE_DOSE * rng.permutation(np.resize(ARMS, n))
        log_weight = rng.normal(0.0, WEIGHT_SD_LOG, n)
        # Centred within the histology: weight then leaves the marginal exposure ratio at its true value.
        weight = np.round(WEIGHT * np.exp(log_weight - log_weight.mean()), 1)
        eta_cl = rng.normal(0.0, np.sqrt(np.log(1 + CV_CL**2)), n)
        eta_q = rng.normal(0.0, np.sqrt(np.log(1 + CV_Q**2)), n)
        size = weight / WEIGHT
        clearance = CL * truth.clearance * np.exp(eta_cl) * size**ALLOMETRY_FLOW
        exposure = dose / REFERENCE_DOSE * CL / clearance
        logit = {"ORR": (truth.orr, truth.orr_slope), "AE": (truth.ae, truth.ae_slope)}
        events = {
            column: rng.random(n) < logistic(np.log(p / (1 - p)) + slope * np.log(exposure))
            for column, (p, slope) in logit.items()
        }
        tables.append(
            pd.DataFrame(
                {
                    "DOSE": dose,
                    "TUMOR": name,
                    "WT": weight,
                    **{column: value.astype(int) for column, value in events.items()},
                    "CL": clearance,
                    "Q": Q * np.exp(eta_q) * size**ALLOMETRY_FLOW,
                    "AUCSS": 1000 * dose / clearance,
                    "exposure": exposure,
                }
            )
        )
    subjects = pd.concat(tables, ignore_index=True)
    subjects = subjects.iloc[rng.permutation(len(subjects))].reset_index(drop=True)  # order of enrolment
    subjects.insert(0, "ID", np.arange(1, len(subjects) + 1))
    if not with_records:
        return pd.DataFrame(), subjects

    rows = []
    for s in subjects.itertuples():
        volume = (s.WT / WEIGHT) ** ALLOMETRY_VOLUME
        f = concentrations(KA, TLAG, s.CL, V2 * volume, s.Q, V3 * volume, s.DOSE)
        error = np.clip(rng.normal(size=len(f)), -LARGEST_ERROR, LARGEST_ERROR)
        constant = [f"{s.DOSE:g}", s.TUMOR, f"{s.WT:.1f}", s.ORR, s.AE]
        rows.append([s.ID, "0", f"{s.DOSE:g}", 1, ".", 1, 1, f"{INTERVAL:g}", ADDITIONAL, *constant])
        for t, y in zip(TIMES, f * (1 + PROPORTIONAL * error), strict=True):
            rows.append([s.ID, f"{t:g}", ".", 0, f"{y:.4g}", 0, 2, ".", ".", *constant])
    columns = [
        "ID",
        "TIME",
        "AMT",
        "EVID",
        "DV",
        "MDV",
        "CMT",
        "II",
        "ADDL",
        "DOSE",
        "TUMOR",
        "WT",
        "ORR",
        "AE",
    ]
    return pd.DataFrame(rows, columns=columns), subjects


def truth(n_each: int | None = None) -> dict:
    """Everything that was put in, ready for JSON."""
    histologies = {}
    for name, h in HISTOLOGIES.items():
        n = n_each or h.n
        too_few = {"verdict": "insufficient data", "doses": ()} if n < FEWEST else {}
        histologies[name] = {**asdict(h), "n": n, "exposure_ratio": 1 / h.clearance, **too_few}
    return {
        "seed": SEED,
        "pharmacokinetics": {
            "KA": KA,
            "TLAG": TLAG,
            "CL": CL,
            "V2": V2,
            "Q": Q,
            "V3": V3,
            "OMEGA(CL,CL)": float(np.log(1 + CV_CL**2)),
            "OMEGA(Q,Q)": float(np.log(1 + CV_Q**2)),
            "SD(PROP)": PROPORTIONAL,
            "reference_weight": WEIGHT,
            "weight_sd_log": WEIGHT_SD_LOG,
            "allometry": {
                "CL": ALLOMETRY_FLOW,
                "Q": ALLOMETRY_FLOW,
                "V2": ALLOMETRY_VOLUME,
                "V3": ALLOMETRY_VOLUME,
            },
        },
        "trial": {
            "reference_dose": REFERENCE_DOSE,
            "arms": ARMS,
            "candidates": CANDIDATES,
            "interval": INTERVAL,
            "doses_given": ADDITIONAL + 1,
            "sampling_times": TIMES,
        },
        "reference_auc": 1000 * REFERENCE_DOSE / CL,
        "histologies": histologies,
    }


def main() -> None:
    """Write one data set and its truth, and print its checksum."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="30 patients in each histology")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, help="folder to write to (default: the data set's own)")
    options = parser.parse_args()
    name, n_each = ("pantumor_small", 30) if options.small else ("pantumor", None)
    folder = options.output or Path(__file__).parents[1] / name
    folder.mkdir(parents=True, exist_ok=True)
    records, _ = simulate(options.seed, n_each)
    content = records.to_csv(index=False, lineterminator="\n").encode()
    (folder / f"{name}.csv").write_bytes(content)
    (folder / "truth.json").write_text(json.dumps({**truth(n_each), "seed": options.seed}, indent=1) + "\n")
    print(f"{folder / name}.csv: {len(records)} records, sha256 {hashlib.sha256(content).hexdigest()}")


if __name__ == "__main__":
    main()
