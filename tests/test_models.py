"""Published models: each predicts what an independent integration of its equations predicts, and the
exposure that was published for it.

The parameter values below are typed from the papers a second time, not read from the model files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from tests import naive

FOLDER = Path(__file__).parents[1] / "models"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


@dataclass(frozen=True)
class Case:
    """One subject of one model: covariates, doses, and the twin in amounts (depot first where there is
    one).
    """

    cl: float
    volumes: tuple[float, ...]
    flows: tuple[float, ...] = ()
    ka: float | None = None
    lag: float = 0.0
    scale: float = 1.0
    amount: float = 100.0
    rate: float = 0.0
    every: float = 24.0
    additional: int = 3
    times: tuple[float, ...] = (0.3, 1.0, 2.5, 7.0, 23.9, 25.1, 71.0, 73.5, 80.0, 110.0)
    covariates: dict[str, object] = field(default_factory=dict)


ORAL = (0.8, 1.0, 2.5, 7.0, 23.9, 25.1, 71.0, 73.5, 80.0, 110.0)
DAYS = (0.02, 0.5, 3.0, 20.9, 21.5, 60.0, 63.1, 70.0, 100.0)
CASES = {
    "theophylline": [Case(2.7, (31.0,), ka=1.5, amount=320, every=24)],
    "warfarin": [
        Case(0.13 * (50 / 70) ** 0.75, (8.0 * 50 / 70,), ka=1.0, lag=0.5, times=ORAL, covariates={"WT": 50.0})
    ],
    "phenobarbital": [Case(0.00705 * 2 / 1.5, (1.44 * 2 / 1.5,), amount=25, every=12, covariates={"WT":
    2.0})], "trametinib_balakirouchenane2020": [
        Case(5.83, (61.9, 417.0), (64.9,), ka=0.913, lag=0.709, scale=1000, amount=2, times=ORAL)
    ],
    "pantumor": [
        Case(
            5.0 * (60 / 75) ** 0.75,
            (70.0 * 60 / 75, 400.0 * 60 / 75),
            (60.0 * (60 / 75) ** 0.75,),
            ka=0.913,
            lag=0.709,
            scale=1000,
            amount=2,
            times=ORAL,
            covariates={"WT": 60.0, "TUMOR": "lung"},
        )
    ],
    "pembrolizumab_ahamadi2017": [
        Case(
            0.22,
            (3.48, 4.06),
            (0.795,),
            amount=200,
            rate=9600,  # 30 min
            every=21,
            times=DAYS,
            covariates={"WT": 76.8, "ALB": 39.6, "SLD": 89.6, "EGFR": 88.47, "FEMALE": 0, "NSCLC": 0,
            "ECOG1": 0, "IPI": 0},
        ),
        Case(
            0.22 * (60 / 76.8) ** 0.595 * (35 / 39.6) ** -0.907 * (120 / 89.6) ** 0.0872 * (60 / 88.47) **
            0.135 * (1 - 0.152) * (1 + 0.145) * (1 - 0.0739) * (1 + 0.140), (
                3.48 * (60 / 76.8) ** 0.489 * (35 / 39.6) ** -0.208 * (1 - 0.134) * (1 + 0.0736),
                4.06 * (60 / 76.8) ** 0.489,
            ),
            (0.795 * (60 / 76.8) ** 0.595,),
            amount=200,
            rate=9600,
            every=21,
            times=DAYS,
            covariates={"WT": 60.0, "ALB": 35.0, "SLD": 120.0, "EGFR": 60.0, "FEMALE": 1, "NSCLC": 1,
            "ECOG1": 1, "IPI": 1},
        ),
    ],
    "tdxd_yin2021": [
        Case(
            0.421,
            (2.77, 5.16),
            (0.199,),
            amount=5.4 * 57.8,
            rate=5.4 * 57.8 / (1.5 / 24),  # 90 min
            every=21,
            times=DAYS,
            covariates={"WT": 57.8, "ALB": 40.0, "SLD": 57.0, "MALE": 0, "JAPAN": 0},
        ),
        Case(
            0.421 * (80 / 57.8) ** 0.370 * (31 / 40) ** -0.533 * (90 / 57) ** 0.0710 * 0.903 * 1.174,
            (2.77 * (80 / 57.8) ** 0.489 * 1.197, 5.16 * 0.738),
            (0.199,),
            amount=5.4 * 80,
            rate=5.4 * 80 / (1.5 / 24),
            every=21,
            times=DAYS,
            covariates={"WT": 80.0, "ALB": 31.0, "SLD": 90.0, "MALE": 1, "JAPAN": 1},
        ),
    ],
}  # fmt: skip


def records(case: Case, times) -> pd.DataFrame:
    """One subject in NONMEM convention."""
    dose = {
        "TIME": 0.0, "AMT": case.amount, "RATE": case.rate, "EVID": 1, "MDV": 1,
        "II": case.every if case.additional else 0.0, "ADDL": case.additional,
    }  # fmt: skip
    sample = {"AMT": 0.0, "RATE": 0.0, "EVID": 0, "MDV": 0, "II": 0.0, "ADDL": 0}
    rows = [dose, *({**sample, "TIME": t} for t in times)]
    frame = pd.DataFrame(rows).assign(ID=1, DV=1.0, **case.covariates)
    frame.loc[frame.EVID == 1, "DV"] = np.nan
    return frame[["ID", "TIME", "AMT", "RATE", "EVID", "DV", "MDV", "II", "ADDL", *case.covariates]]


def predicted(name: str, case: Case, times) -> np.ndarray:
    """Typical predictions of the package at `times`."""
    data = pkpd.read_dataset(records(case, times))
    table = pkpd.predict(pkpd.load_model(name), data)
    return table.set_index("TIME").PRED.reindex(list(times)).to_numpy()


def rhs(case: Case):
    """Amounts: depot (oral only), central, peripheral."""

    def derivative(t, x):
        first = 0 if case.ka is None else 1
        dx = np.zeros(first + len(case.volumes))
        if case.ka is not None:
            dx[0] = -case.ka * x[0]
            dx[1] = case.ka * x[0]
        dx[first] -= case.cl / case.volumes[0] * x[first]
        for j, (q, v) in enumerate(zip(case.flows, case.volumes[1:], strict=True), start=first + 1):
            net = q * (x[first] / case.volumes[0] - x[j] / v)
            dx[first] -= net
            dx[j] += net
        return dx

    return derivative


def test_every_model_has_a_case():
    # tumour sizes have no dose: their curves are checked in tests/response/test_tumour_size.py
    assert set(CASES) == {name for name in NAMES if not name.startswith("tumour_")}


@pytest.mark.parametrize("name", NAMES)
def test_file_holds_one_model_of_its_name_with_units_and_a_reference(name):
    model = pkpd.load_model(name)
    assert model.name == name
    assert "nits:" in model.doc  # Units: …
    assert re.search(r"\b(19|20)\d\d[;:.]|, (19|20)\d\d\b", model.doc), "a reference with its year"
    if re.search(r"_[a-z]+\d{4}$", name):
        assert "doi:10." in model.doc
        assert "Check:" in model.doc  # the published exposure that it reproduces
    assert all(
        theta.unit or "xponent" in theta.label or "Fractional" in theta.label for theta in model.thetas
    )
    assert all(theta.label for theta in model.thetas)


@pytest.mark.parametrize(
    ("name", "k"), [(name, k) for name, cases in CASES.items() for k in range(len(cases))]
)
def test_typical_profile_equals_an_independent_integration(name, k):
    case = CASES[name][k]
    size = len(case.volumes) + (case.ka is not None)
    doses = naive.additional(naive.Dose(0.0, case.amount, 0, case.rate), case.every, case.additional)
    states = naive.simulate_ode(
        rhs(case), np.zeros(size), doses, case.times, lag=[case.lag] + [0.0] * (size - 1)
    )
    twin = case.scale * states[:, size - len(case.volumes)] / case.volumes[0]
    # The package solves these in closed form, to about 1e-12; the twin's steps are good to 1e-12 each.
    np.testing.assert_allclose(predicted(name, case, case.times), twin, rtol=1e-8)


def area(name: str, case: Case, start: float, stop: float, points: int = 4000) -> float:
    """Area under the typical profile by trapezia; dense after the start, where an infusion rises."""
    times = start + (stop - start) * np.linspace(0, 1, points)[1:] ** 2
    return float(np.trapezoid(predicted(name, case, times), times))


def test_trametinib_exposure_is_the_published_one():
    """Mekinist, Swiss product information: AUC(0-tau) 356 ng·h/mL and trough 10.9 ng/mL with dabrafenib."""
    case = Case(5.83, (), amount=2, additional=40)
    last = 24.0 * 40
    auc = area("trametinib_balakirouchenane2020", case, last, last + 24)
    assert auc == pytest.approx(2000 / 5.83, rel=2e-3)  # dose / CL; trapezia and 40 doses
    assert auc == pytest.approx(356, rel=0.05)  # another trial's geometric mean
    trough, peak = predicted("trametinib_balakirouchenane2020", case, [last - 0.01, last + 2.0])
    assert trough == pytest.approx(10.9, rel=0.15)
    assert peak == pytest.approx(22.6, rel=0.05)


def test_pembrolizumab_exposure_is_the_published_one():
    """Freshwater 2017: mean AUC over 6 weeks at steady state 1870 mg·d/L (CV 37 %) under 200 mg every 3
    weeks.
    """
    reference = CASES["pembrolizumab_ahamadi2017"][0]
    case = Case(0.22, (), amount=200, rate=9600, every=21, additional=30, covariates=reference.covariates)
    last = 21.0 * 30
    auc = 2 * area("pembrolizumab_ahamadi2017", case, last, last + 21)
    assert auc == pytest.approx(2 * 200 / 0.22, rel=2e-3)
    assert auc == pytest.approx(1870, rel=0.05)
    variance = next(
        b.lower_triangle[0][0] for b in pkpd.load_model("pembrolizumab_ahamadi2017").omega if "CL" in b.names
    )
    assert np.sqrt(np.exp(variance) - 1) == pytest.approx(0.37, abs=0.02)


def test_trastuzumab_deruxtecan_exposure_is_the_published_one():
    """US prescribing information 2019, 5.4 mg/kg: geometric mean AUC 735 µg·d/mL and Cmax 122 µg/mL."""
    reference = CASES["tdxd_yin2021"][0]
    case = Case(
        0.421, (), amount=reference.amount, rate=reference.rate, additional=0, covariates=reference.covariates
    )
    auc = area("tdxd_yin2021", case, 0.0, 400.0, 8000)
    assert auc == pytest.approx(5.4 * 57.8 / 0.421, rel=2e-3)
    assert auc == pytest.approx(735, rel=0.05)
    peak = predicted("tdxd_yin2021", case, [1.5 / 24])[0]
    assert peak == pytest.approx(122, rel=0.15)


def test_phenobarbital_half_life_is_the_published_one():
    """Grasela & Donn 1985: mean half-life 141 h in infants of 1.5 kg on average."""
    case = Case(0.00705, (1.44,), amount=25, additional=0, covariates={"WT": 1.52})
    early, late = predicted("phenobarbital", case, [1.0, 142.0])
    assert late / early == pytest.approx(0.5, abs=0.01)
