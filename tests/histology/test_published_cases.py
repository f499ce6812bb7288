"""Published decisions, each rebuilt as a small study from its published rates, and the verdict they deserve.

Exposure ratios and response rates are the published ones; some group sizes and all adverse-event counts are
made up. Responders and events are spread evenly over exposure (a flat exposure-response) unless a case says
otherwise.
"""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, ndtri

from pkpd.histology import Margins, decide, gather
from pkpd.response import fit_logistic

OMEGA = math.sqrt(math.log1p(0.30**2))


def spread(k, n):
    """0/1 with k ones, evenly spread."""
    steps = np.floor(np.arange(n + 1) * k / n)
    return np.diff(steps).astype(int)


def group(name, n, responders, events, *, dose, ratio=1.0, reference_dose=1.0, p_response=None, p_ae=None):
    """One histology at one dose; exposure 1 is the reference histology at the reference dose."""
    at_reference = ratio * np.exp(OMEGA * ndtri((np.arange(n) + 0.5) / n))
    auc = at_reference * dose / reference_dose
    uniform = np.random.default_rng(20251229).random((2, n))
    return pd.DataFrame(
        {
            "TUMOR": name,
            "DOSE": dose,
            "AUC": auc,
            "AUCREF": at_reference,
            "ORR": spread(responders, n)
            if p_response is None
            else (uniform[0] < p_response(auc)).astype(int),
            "AE": spread(events, n) if p_ae is None else (uniform[1] < p_ae(auc)).astype(int),
        }
    )


def verdicts(groups, reference, ratios, margins, **options):
    frame = pd.concat(groups, ignore_index=True)
    frame["ID"] = np.arange(len(frame))
    sizes = frame.groupby("TUMOR").size()
    table = pd.DataFrame(
        [
            {
                "histology": name,
                "log_ratio": math.log(ratios.get(name, 1.0)),
                "log_ratio_se": OMEGA * math.sqrt(1 / size + 1 / sizes[reference]),
            }
            for name, size in sizes.items()
        ]
    )
    columns = {
        "histology": "TUMOR", "reference": reference, "dose": "DOSE", "response": "ORR", "ae": "AE",
        "exposure": "AUC", "reference_exposure": "AUCREF",
    }  # fmt: skip
    fits = [
        fit_logistic(frame, endpoint, "AUC", "TUMOR", shape="log", reference_exposure=1.0)
        for endpoint in ("ORR", "AE")
    ]
    evidence = gather(frame, *fits, table, margins, **columns, n_draws=2000, seed=1, **options)
    return {name: decide(known, margins) for name, known in evidence.items()}


def margins(p0, doses, reference_dose, **more):
    return Margins(
        **{
            "bounds": (0.80, 1.25),
            "delta_efficacy": 0.15,
            "delta_safety": 0.10,
            "p0": p0,
            "candidate_doses": doses,
            "reference_dose": reference_dose,
            **more,
        }
    )


def test_pembrolizumab_msi_high():
    """28/49 endometrial against 4/22 pancreatic and 15/69 other: the same dose, with a lower effect."""
    table = {
        "endometrial": (49, 28),
        "gastric": (24, 11),
        "pancreatic": (22, 4),
        "other": (69, 15),
        "brain": (13, 0),
    }
    found = verdicts(
        [
            group(name, n, r, round(0.10 * n), dose=200.0, reference_dose=200.0)
            for name, (n, r) in table.items()
        ],
        "endometrial",
        {},
        margins(dict.fromkeys(table, 0.05), (200.0,), 200.0),
    )
    for name in ("gastric", "pancreatic", "other"):
        assert (found[name].verdict, found[name].rule) == ("same dose", "3'"), name
        assert "LOWER-EFFECT" in found[name].qualifiers and "SINGLE-DOSE" in found[name].qualifiers
        assert found[name].evidence_class == "EC3"
    assert found["brain"].verdict == "insufficient data"  # 0 of 13: small, so not excluded


@pytest.mark.parametrize(
    ("bounds", "source", "verdict"),
    [
        ((0.5, 2.0), "HELOISE: 10 against 6 mg/kg, randomised, flat", "same dose"),
        ((0.80, 1.25), "", "adjust dose"),
    ],
)
def test_trastuzumab_gastric(bounds, source, verdict):
    """Exposure 0.72 of that in breast cancer; the randomised comparison of doses was flat, so bounds are wide."""
    groups = [
        group("breast", 200, 80, 20, dose=6.0, reference_dose=6.0),
        group("breast", 200, 80, 20, dose=10.0, reference_dose=6.0),
        group("gastric", 120, 48, 12, dose=6.0, ratio=0.72, reference_dose=6.0),
        group("gastric", 120, 48, 12, dose=10.0, ratio=0.72, reference_dose=6.0),
    ]
    declared = margins({"gastric": 0.25}, (6.0, 8.0, 10.0), 6.0, bounds=bounds, bounds_source=source)
    found = verdicts(groups, "breast", {"gastric": 0.72}, declared, randomised=True)["gastric"]
    assert found.verdict == verdict
    if verdict == "adjust dose":
        assert (found.rule, found.dose) == ("2a", 8.0)


def test_braf_v600e_colorectal():
    """Vemurafenib: 1 of 21 colorectal against more than half of melanoma, at the same exposure."""
    groups = [
        group("melanoma", 132, 70, 26, dose=960.0, reference_dose=960.0),
        group("colorectal", 21, 1, 4, dose=960.0, reference_dose=960.0),
    ]
    found = verdicts(groups, "melanoma", {}, margins({"colorectal": 0.20}, (720.0, 960.0), 960.0))[
        "colorectal"
    ]
    assert (found.verdict, found.rule) == ("exclude", "1")
    assert found.p_exposure_within > 0.80 and found.p_exposure_below < 0.10


def test_lenvatinib_hepatocellular():
    """Dose-modifying events at equal exposure are far more frequent in HCC: limited by safety, 12 or 8 mg for 24."""

    def reference(auc):
        return expit(logit(0.30) + 2.0 * np.log(auc))

    def hcc(auc):
        return expit(logit(0.30) + 2.0 * np.log(auc / 0.5))

    def response(auc):
        return np.full(auc.shape, 0.40)

    groups = [
        *(
            group("thyroid", 150, 0, 0, dose=d, reference_dose=24.0, p_response=response, p_ae=reference)
            for d in (14.0, 24.0)
        ),
        *(
            group("hcc", 90, 0, 0, dose=d, reference_dose=24.0, p_response=response, p_ae=hcc)
            for d in (8.0, 12.0)
        ),
    ]
    declared = margins({"hcc": 0.10}, (8.0, 12.0, 18.0, 24.0), 24.0)
    anchored = {"anchors": {"hcc": "dose-proportionality of one formulation"}}
    found = verdicts(groups, "thyroid", {}, declared, **anchored)["hcc"]
    assert (found.verdict, found.rule) == ("adjust dose", "2b")
    assert found.dose in (8.0, 12.0)
    assert "CONFOUNDED" in found.qualifiers
    assert verdicts(groups, "thyroid", {}, declared)["hcc"].rule == "0"


def test_cabozantinib_medullary_thyroid():
    """A 140 mg capsule gave 0.39 of the exposure per mg of the 60 mg tablet: exposure-match at about 155 mg."""
    groups = [
        group("renal", 280, 90, 60, dose=60.0, reference_dose=60.0),
        group("thyroid", 210, 68, 45, dose=140.0, ratio=60 / 155, reference_dose=60.0),
    ]
    groups = [g.assign(FORM=form) for g, form in zip(groups, ("tablet", "capsule"), strict=True)]
    declared = margins({"thyroid": 0.10}, (20.0, 40.0, 60.0, 100.0, 140.0, 155.0, 180.0), 60.0)
    anchors = {"thyroid": "relative bioavailability of capsule and tablet, and dose-proportionality"}
    settings = {"aliases": ["FORM"], "shrinkage": 0.1}
    found = verdicts(groups, "renal", {"thyroid": 60 / 155}, declared, anchors=anchors, **settings)["thyroid"]
    assert (found.verdict, found.rule, found.dose) == ("adjust dose", "2a", 155.0)
    assert "CONFOUNDED" in found.qualifiers
    alone = verdicts(groups, "renal", {"thyroid": 60 / 155}, declared, **settings)["thyroid"]
    assert (alone.verdict, alone.rule) == ("insufficient data", "0")
    assert "dose, FORM" in alone.sentence


def test_trastuzumab_deruxtecan_gastric():
    """51 % against 61 % response: the same dose under the default margins."""
    groups = [
        group("breast", 184, 112, 100, dose=5.4, reference_dose=5.4),
        group("gastric", 119, 61, 62, dose=5.4, reference_dose=5.4),
    ]
    found = verdicts(groups, "breast", {}, margins({"gastric": 0.15}, (5.4, 6.4), 5.4))["gastric"]
    assert found.verdict == "same dose"


def test_nivolumab_nasopharyngeal():
    """23 patients whose responses and events decide nothing: insufficient, and said so."""
    groups = [
        group("lung", 300, 60, 30, dose=240.0, reference_dose=240.0),
        group("nasopharyngeal", 23, 5, 4, dose=240.0, ratio=0.92, reference_dose=240.0),
    ]
    found = verdicts(
        groups, "lung", {"nasopharyngeal": 0.92}, margins({"nasopharyngeal": 0.10}, (240.0,), 240.0)
    )
    npc = found["nasopharyngeal"]
    assert (npc.verdict, npc.rule) == ("insufficient data", "4")
    assert npc.failed
    assert npc.n_needed is None or npc.n_needed > 23
    assert "SMALL-N" in npc.qualifiers
