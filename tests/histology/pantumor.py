"""A pan-tumour trial simulated from exposures and responses directly: the truth that the verdicts must
find."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pkpd.histology import Margins, gather
from pkpd.response import fit_logistic

CV = 0.30
OMEGA = float(np.sqrt(np.log(1 + CV**2)))
# histology: patients, clearance relative to the reference, ORR without any slope, AE at the reference
# exposure
TRUTH = {
    "reference": (400, 1.0, None, 0.10),
    "resistant": (60, 1.0, 0.03, 0.10),
    "clearance": (130, 1.45, None, 0.10),
    "toxic": (180, 1.0, None, 0.37),
    "same": (380, 1.0, None, 0.10),
    "rare": (6, 1.0, None, 0.10),
}
EXPECTED = {
    "resistant": ("exclude", {"1"}),
    "clearance": ("adjust dose", {"2a"}),
    "toxic": ("adjust dose", {"2b"}),
    "same": ("same dose", {"3", "3'"}),
    "rare": ("insufficient data", {"0"}),
}
MARGINS = Margins(
    bounds=(0.80, 1.25),
    delta_efficacy=0.15,
    delta_safety=0.10,
    p0=dict.fromkeys(EXPECTED, 0.20),
    candidate_doses=(0.5, 0.75, 1.0, 1.25, 1.5),
    reference_dose=1.0,
)
COLUMNS = {
    "histology": "TUMOR",
    "reference": "reference",
    "dose": "DOSE",
    "response": "ORR",
    "ae": "AE",
    "exposure": "AUC",
    "reference_exposure": "AUCREF",
}


def simulate(seed: int) -> pd.DataFrame:
    """One trial: two doses, 0.5 and 1, half of each histology on each; exposure 1 is the reference."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, (n, clearance, flat_orr, ae) in TRUTH.items():
        dose = np.where(np.arange(n) % 2 == 0, 0.5, 1.0)
        at_reference = np.exp(rng.normal(0, OMEGA, n)) / clearance
        auc = at_reference * dose
        p_orr = np.full(n, flat_orr) if flat_orr else expit(logit(0.50) + 2.5 * np.log(auc))
        p_ae = expit(logit(ae) + 3 * np.log(auc))
        parts.append(
            pd.DataFrame(
                {
                    "TUMOR": name,
                    "DOSE": dose,
                    "AUC": auc,
                    "AUCREF": at_reference,
                    "ORR": (rng.random(n) < p_orr).astype(int),
                    "AE": (rng.random(n) < p_ae).astype(int),
                }
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(ID=np.arange(1, len(frame) + 1))


def exposure_ratios(frame: pd.DataFrame) -> pd.DataFrame:
    """Log ratios of the geometric means, with the standard error that the CV implies."""
    groups = np.log(frame["AUCREF"]).groupby(frame["TUMOR"])
    mean, n = groups.mean(), groups.size()
    return pd.DataFrame(
        {
            "histology": mean.index,
            "log_ratio": (mean - mean["reference"]).to_numpy(),
            "log_ratio_se": [
                0.0 if h == "reference" else OMEGA * np.sqrt(1 / n[h] + 1 / n["reference"])
                for h in mean.index
            ],
        }
    )


def fits(frame: pd.DataFrame):
    """Exposure-response of response and adverse event, centred at the reference exposure."""
    at = float(np.exp(np.log(frame.loc[frame["TUMOR"] == "reference", "AUCREF"]).mean()))
    return tuple(
        fit_logistic(frame, endpoint, "AUC", "TUMOR", shape="log", reference_exposure=at)
        for endpoint in ("ORR", "AE")
    )


def evidence_of(frame: pd.DataFrame, seed: int = 0, **options):
    """Evidence on each histology of a simulated trial; doses were randomised."""
    efficacy, safety = fits(frame)
    settings = {"n_draws": 1000, "randomised": True, **options}
    return gather(frame, efficacy, safety, exposure_ratios(frame), MARGINS, **COLUMNS, seed=seed, **settings)
