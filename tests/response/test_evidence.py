from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from pkpd import response
from pkpd.errors import InputError, PkpdWarning
from pkpd.results import from_json, to_json
from tests.response.test_emax import binary


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(3)
    n = 120
    auc = rng.lognormal(0, 0.6, n)
    tumour = np.repeat(["gastric", "lung"], n // 2)
    death = np.ceil(20 * rng.exponential(1 / (0.5 + auc)))
    return pd.DataFrame(
        {
            "TUMOR": tumour,
            "AUC": auc,
            "DOSE": np.where(tumour == "lung", rng.choice([100, 200], n), 200),
            "AE": (rng.random(n) < auc / (1 + auc)) * 1,
            "GRADE": np.digitize(np.log(auc) + rng.logistic(size=n), [-1, 1]),
            "N": rng.poisson(auc),
            "SIZE": 5 * auc / (1 + auc) + rng.normal(0, 0.3, n),
            "T": death,
            "D": 1,
            "CAUSE": rng.integers(0, 3, n),
        }
    )


FITS = {
    "fit_logistic": ("AE", "AUC"),
    "fit_ordinal": ("GRADE", "AUC"),
    "fit_count": ("N", "AUC"),
    "fit_emax": ("SIZE", "AUC"),
    "fit_cox": ("T", "D", "AUC"),
    "fit_parametric_survival": ("T", "D", "AUC"),
    "fit_competing_risks": ("T", "CAUSE", "AUC"),
}


@pytest.mark.parametrize("name", FITS)
def test_every_fit_states_how_its_doses_came_about(name, frame):
    def fit(**more):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", PkpdWarning)
            if name == "fit_count":
                more["family"] = "poisson"
            return getattr(response, name)(frame, *FITS[name], "TUMOR", slopes="common", **more)

    assert fit().evidence.startswith("unknown: no column of the dose")
    known = fit(dose="DOSE")
    assert known.evidence == "EC2: several doses, not randomised; one dose in gastric"
    assert f"evidence: {known.evidence}" in repr(known) or known.evidence in known.summary()
    assert from_json(to_json(known)).evidence == known.evidence
    assert fit(dose="DOSE", randomised=True).evidence.startswith("EC1: randomised doses")
    with pytest.raises(InputError, match="randomised=True without"):
        fit(randomised=True)


def test_doses_that_differ_between_histologies_alone_are_one_dose(frame):
    apart = frame.assign(DOSE=np.where(frame["TUMOR"] == "lung", 100, 200))
    fit = response.fit_logistic(apart, "AE", "AUC", "TUMOR", dose="DOSE", randomised=True)
    assert fit.evidence == "EC3: one dose"
    assert "EC3: one dose" in fit.summary()
    pooled = response.fit_emax(apart, "SIZE", "AUC", dose="DOSE")
    assert pooled.evidence == "EC2: several doses, not randomised"


def test_results_of_doses_state_it_too():
    doses = np.repeat([0.0, 1.0, 2.0], 10)
    trial = pd.DataFrame({"DOSE": doses, "Y": doses + np.tile([-0.2, 0.2], 15)})
    found = response.mcp_mod(trial, "Y", "DOSE", models={"linear": None}, randomised=True)
    assert found.evidence == "EC1: randomised doses"
    with pytest.raises(InputError, match=r"E_OPTION.*randomised='yes'"):
        response.mcp_mod(trial, "Y", "DOSE", models={"linear": None}, randomised="yes")


@pytest.mark.parametrize(
    ("randomised", "evidence"),
    [(True, "EC1: randomised doses"), (False, "EC2: several doses, not randomised")],
)
def test_fits_of_other_classes_state_it_too(randomised, evidence):
    known = {"dose": "DOSE", "randomised": randomised}
    saturating = binary().assign(DOSE=lambda d: np.arange(len(d)) % 3)
    assert response.fit_logistic(saturating, "Y", "CONC", shape="emax", **known).evidence == evidence
    rows = [
        (i, t, (i % 3) * 10 * np.exp(-t / 4 - i / 40), i % 3, 400.0 + i) for i in range(18) for t in (1, 4, 9)
    ]
    ecgs = pd.DataFrame(rows, columns=["ID", "TIME", "CONC", "DOSE", "BASE"])
    ecgs["DQTC"] = 0.4 * ecgs["CONC"] + np.sin(7.0 * np.arange(len(ecgs)))
    fit = response.fit_qtc(ecgs, "DQTC", "CONC", time="TIME", baseline="BASE", **known)
    assert fit.evidence == evidence
