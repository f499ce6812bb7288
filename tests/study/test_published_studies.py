"""Published decisions as whole studies: records of concentrations are simulated from the published numbers, and a plan is run.

Group sizes, response rates, exposure ratios and doses are the published ones where they are known (each case says which);
one compartment with a clearance that varies by 30 % stands for the drug. Nothing is handed to the decision rule: exposure
ratios come from a population fit, probabilities from exposure-response fits.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit, logit, ndtri

from pkpd.errors import PlanError
from pkpd.study.analysis import assess

OMEGA = math.sqrt(math.log1p(0.30**2))
VOLUME = 20.0
TIMES = (1.0, 4.0, 12.0)  # half-life about 14 h at a clearance of 1
MODEL = '''
import pkpd
from pkpd import exp

@pkpd.model
def study(m):
    """One compartment, a dose every 24 h."""
    size = (m.covariate("WT", unit="kg") / 70) ** 0.75
    cl = m.parameter("CL", m.theta("CL", 1.0, unit="L/h", lower=0) * exp(m.eta("CL", variance=0.08)) * size, unit="L/h")
    v = m.parameter("V", m.theta("V", 20.0, unit="L", lower=0), unit="L")
    central = m.compartment("central", unit="mg")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, unit="mg/L", proportional=m.sigma("PROP", 0.1))
'''
PLAN = """
format = 1
title = "{title}"
seed = 20251229
[data]
file = "study.csv"
reference = "{reference}"
units = {{ TIME = "h", AMT = "mg", DV = "mg/L", WT = "kg" }}
{data}
[model]
file = "model.py"
tested = ["CL"]
[dosing]
reference = {dose}
unit = "{unit}"
interval = 24
candidates = {candidates}
column = "DOSE"
randomised = {randomised}
[exposure]
metric = "AUCSS"
bounds = [{low}, {high}]
source = "{source}"
[[endpoint]]
name = "ORR"
kind = "efficacy"
column = "ORR"
label = "Objective response"
[[endpoint]]
name = "AE"
kind = "safety"
column = "AE"
label = "Adverse event"
[margins]
efficacy = 0.15
safety = 0.10
source = "default margins"
[p0]
source = "the trial's own"
default = {p0}
[bootstrap]
n = 19
[sensitivity]
prior = false
leave_one_out = false
"""


def spread(k, n):
    """0/1 with k ones, evenly over the patients: a flat exposure-response."""
    return np.diff(np.floor(np.arange(n + 1) * k / n)).astype(int)


def group(name, n, responders, events, dose, *, ratio=1.0, weight=70.0, reference=None, **columns):
    """One histology at one dose; rates may be functions of the exposure relative to a typical reference patient."""
    clearance = (weight / 70) ** 0.75 / ratio * np.exp(OMEGA * ndtri((np.arange(n) + 0.5) / n))
    auc = dose / (reference or dose) / clearance
    uniform = np.random.default_rng(20251229).random((2, n))
    outcomes = [
        (u < rate(auc)).astype(int) if callable(rate) else spread(rate, n)
        for u, rate in zip(uniform, (responders, events), strict=True)
    ]
    return pd.DataFrame(
        {
            "TUMOR": name, "DOSE": dose, "CL": clearance, "WT": weight, "ORR": outcomes[0], "AE": outcomes[1], **columns
        }
    )  # fmt: skip


def verdicts(folder, groups, reference, dose, candidates, p0, **settings):
    """Simulate the concentrations of all patients, write study and plan, and assess them."""
    patients = pd.concat(groups, ignore_index=True)
    rng = np.random.default_rng(7)
    rows = []
    for i, p in enumerate(patients.to_dict("records"), 1):
        own = {k: v for k, v in p.items() if k != "CL"}
        rows.append({"ID": i, "TIME": 0.0, "AMT": p["DOSE"], "EVID": 1, "DV": ".", **own})
        for t in TIMES:
            dv = p["DOSE"] / VOLUME * math.exp(-p["CL"] / VOLUME * t) * (1 + 0.1 * rng.standard_normal())
            rows.append({"ID": i, "TIME": t, "AMT": ".", "EVID": 0, "DV": f"{max(dv, 1e-6):.6g}", **own})
    pd.DataFrame(rows).to_csv(folder / "study.csv", index=False)
    (folder / "model.py").write_text(MODEL)
    options = {
        "title": reference, "data": "", "unit": "mg", "low": 0.80, "high": 1.25, "source": "bioequivalence",
        "randomised": "false",
    } | settings  # fmt: skip
    plan = PLAN.format(reference=reference, dose=dose, candidates=list(candidates), p0=p0, **options)
    (folder / "plan.toml").write_text(plan)
    return assess(folder / "plan.toml").verdicts.set_index("histology")


def test_pembrolizumab_msi_high(tmp_path):
    """KEYNOTE-158: 28/49 endometrial, 11/24 gastric, 4/22 pancreatic, 0/13 brain, 15/69 other; one dose of 200 mg."""
    table = {
        "endometrial": (49, 28),
        "gastric": (24, 11),
        "pancreatic": (22, 4),
        "other": (69, 15),
        "brain": (13, 0),
    }
    groups = [group(name, n, r, round(0.10 * n), 200.0) for name, (n, r) in table.items()]
    found = verdicts(tmp_path, groups, "endometrial", 200, [200.0], 0.05)
    for name in ("gastric", "pancreatic", "other"):
        assert found.loc[name, ["verdict", "rule"]].tolist() == ["same dose", "3'"], name
        assert (
            "LOWER-EFFECT" in found.loc[name, "qualifiers"] and "SINGLE-DOSE" in found.loc[name, "qualifiers"]
        )
    assert found.loc["brain", "verdict"] == "insufficient data"  # small, so not excluded
    assert (found["evidence_class"] == "EC3").all()


@pytest.mark.parametrize(
    ("settings", "verdict", "rule", "dose"),
    [
        ({"low": 0.5, "high": 2.0, "source": "10 against 6 mg/kg, randomised, flat"}, "same dose", "3", 6.0),
        ({}, "adjust dose", "2a", 8.0),
    ],
)
def test_trastuzumab_gastric(tmp_path, settings, verdict, rule, dose):
    """Exposure 0.72 of that in breast cancer; HELOISE compared 10 with 6 mg/kg and found no gain, so bounds are wide."""
    groups = [
        group(name, n, round(0.40 * n), round(0.10 * n), d, ratio=ratio, reference=6.0)
        for name, n, ratio in (("breast", 200, 1.0), ("gastric", 120, 0.72))
        for d in (6.0, 10.0)
    ]
    found = verdicts(
        tmp_path, groups, "breast", 6, [6.0, 8.0, 10.0], 0.25, randomised="true", unit="mg/kg", **settings
    ).loc["gastric"]
    assert found[["verdict", "rule", "dose"]].tolist() == [verdict, rule, dose]
    assert found["ratio"] == pytest.approx(0.72, rel=0.03)


def test_braf_v600e_colorectal(tmp_path):
    """Vemurafenib: 1 of 21 colorectal against more than half of melanoma, at the same exposure."""
    groups = [group("melanoma", 132, 70, 26, 960.0), group("colorectal", 21, 1, 4, 960.0)]
    found = verdicts(tmp_path, groups, "melanoma", 960, [720.0, 960.0], 0.20).loc["colorectal"]
    assert found[["verdict", "rule"]].tolist() == ["exclude", "1"]
    assert found["p_exposure_within"] > 0.80 and found["p_exposure_below"] < 0.10


def test_lenvatinib_hepatocellular(tmp_path):
    """REFLECT: 8 mg below 60 kg, 12 mg above; dose-modifying events far more frequent at equal exposure than with 24 mg."""

    def reference(auc):
        return expit(logit(0.30) + 2.0 * np.log(auc))

    def hcc(auc):
        return expit(logit(0.30) + 2.0 * np.log(auc / 0.5))

    def response(auc):
        return np.full(auc.shape, 0.40)

    groups = [
        *(group("thyroid", 150, response, reference, d, reference=24.0) for d in (14.0, 24.0)),
        group("hcc", 150, response, hcc, 8.0, weight=54.0, reference=24.0),
        group("hcc", 320, response, hcc, 12.0, weight=70.0, reference=24.0),
    ]
    anchor = 'anchors = { hcc = "dose-proportionality of one formulation" }'
    found = verdicts(tmp_path, groups, "thyroid", 24, [8.0, 12.0, 18.0, 24.0], 0.10, data=anchor).loc["hcc"]
    assert found[["verdict", "rule"]].tolist() == ["adjust dose", "2b"]
    assert found["dose"] in (8.0, 12.0) and "CONFOUNDED" in found["qualifiers"]
    lighter = (150 * 0.75 * math.log(70 / 54)) / 470  # clearance is lower by weight alone
    assert found["ratio"] == pytest.approx(math.exp(lighter), rel=0.03)


def test_cabozantinib_medullary_thyroid(tmp_path):
    """The 140 mg capsule gave 0.39 of the exposure per mg of the 60 mg tablet: exposure-match at about 155 mg."""
    groups = [
        group("renal", 280, 90, 60, 60.0, FORM="tablet"),
        group("thyroid", 210, 68, 45, 140.0, ratio=60 / 155, reference=60.0, FORM="capsule"),
    ]
    anchor = (
        'anchors = { thyroid = "relative bioavailability of capsule and tablet, and dose-proportionality" }'
    )
    doses, alias = [20.0, 40.0, 60.0, 100.0, 140.0, 155.0, 180.0], 'aliases = ["FORM"]'
    found = verdicts(tmp_path, groups, "renal", 60, doses, 0.10, data=f"{alias}\n{anchor}").loc["thyroid"]
    assert found[["verdict", "rule", "dose"]].tolist() == ["adjust dose", "2a", 155.0]
    assert "CONFOUNDED" in found["qualifiers"]
    alone = verdicts(tmp_path, groups, "renal", 60, doses, 0.10, data=alias).loc["thyroid"]
    assert alone[["verdict", "rule"]].tolist() == ["insufficient data", "0"]
    assert "dose, FORM" in alone["sentence"]


def test_trastuzumab_deruxtecan_gastric(tmp_path):
    """51 % against 61 % response: the same dose under the default margins."""
    groups = [group("breast", 184, 112, 100, 5.4), group("gastric", 119, 61, 62, 5.4)]
    found = verdicts(tmp_path, groups, "breast", 5.4, [5.4, 6.4], 0.15, unit="mg/kg").loc["gastric"]
    assert found["verdict"] == "same dose"


def test_nivolumab_nasopharyngeal(tmp_path):
    """23 patients whose responses and events decide nothing: insufficient, and said so."""
    groups = [group("lung", 300, 60, 30, 240.0), group("nasopharyngeal", 23, 5, 4, 240.0, ratio=0.92)]
    found = verdicts(tmp_path, groups, "lung", 240, [240.0], 0.10).loc["nasopharyngeal"]
    assert found[["verdict", "rule"]].tolist() == ["insufficient data", "4"]
    assert "SMALL-N" in found["qualifiers"]


def test_the_plan_names_the_analyte_whose_exposure_is_meant(tmp_path, monkeypatch):
    """A second observation, four times the first: exposure is four times as high, ratios and verdicts are the same."""
    second = '    m.observe("total", 4 * central / v, unit="mg/L", proportional=m.sigma("PROP2", 0.1, fixed=True))\n'
    monkeypatch.setattr("tests.study.test_published_studies.MODEL", MODEL + second)
    found = {}
    for output in ("cp", "total"):
        groups = [group("lung", 30, 12, 4, 10.0, DVID=1), group("skin", 30, 10, 4, 10.0, ratio=0.8, DVID=1)]
        where = tmp_path / output
        where.mkdir()
        verdicts(where, groups, "lung", 10, [10.0, 12.5], 0.1, source=f'b"\noutput = "{output}')
        found[output] = assess(where / "plan.toml")
    one, two = found["cp"].exposure, found["total"].exposure
    assert two.reference_exposure == pytest.approx(4 * one.reference_exposure, rel=1e-6)
    np.testing.assert_allclose(two.ratios["ratio"], one.ratios["ratio"], rtol=1e-6)
    text = (tmp_path / "cp/plan.toml").read_text().replace('output = "cp"', 'output = "metabolite"')
    (tmp_path / "cp/plan.toml").write_text(text)
    with pytest.raises(
        PlanError, match=r"E_PLAN_OUTPUT: .*observes no 'metabolite'. Remedy: It observes cp, total"
    ):
        assess(tmp_path / "cp/plan.toml")
