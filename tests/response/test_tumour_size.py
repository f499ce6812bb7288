"""Tumour size: shipped models against closed forms and published values, time to growth, link to survival."""

from __future__ import annotations

import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize_scalar

import pkpd
from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.response import fit_tumour_size, size_ratio, time_to_growth, tumour_survival
from pkpd.response.tumour_size import _xenograft_start

# closed forms and an independent integration (DOP853 at 1e-12) of published parameter values
PUBLISHED = json.loads((Path(__file__).parents[1] / "reference" / "tumour_size.json").read_text())


def predicted(name, times, parameters=None, **columns):
    frame = pd.DataFrame({"ID": 1, "TIME": times, "EVID": 0, "DV": 1.0, "START": 0.0, **columns})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PkpdWarning)
        data = pkpd.read_dataset(frame)
    return pkpd.predict(pkpd.load_model(name), data, parameters)["PRED"].to_numpy()


def curve(values):
    return [float(t) for t in values], list(values.values())


def test_claret_has_the_published_curve_and_time_to_growth():
    known = PUBLISHED["claret2014_motesanib"]
    times, sizes = curve(known["TS"])
    np.testing.assert_allclose(predicted("tumour_claret", times, EXPOSURE=1.0), sizes, rtol=1e-12)
    p = known["par"]
    ttg = time_to_growth("claret", {"KL": p["KL"], "KD": p["KDE"], "LAMBDA": p["lam"]})
    assert ttg == pytest.approx(known["TTG_days"], rel=1e-12)
    # published medians per arm: 93 to 125 days, ratio at week 8 0.69 to 0.77
    assert 93 < ttg < 125
    np.testing.assert_allclose(
        predicted("tumour_claret", [56.0], EXPOSURE=1.0)[0] / 90, known["ratio_wk8"], rtol=1e-12
    )
    # without drug it grows from the start, with half of it later
    assert time_to_growth("claret", {"KL": 0.00107, "KD": 0.0103, "LAMBDA": 0.0193}, 0.0) == 0
    np.testing.assert_allclose(
        predicted("tumour_claret", [0.0, 100.0], EXPOSURE=0.0), [90, 90 * math.exp(0.107)], rtol=1e-12
    )


def test_stein_has_the_published_curve_and_time_to_growth():
    known = PUBLISHED["struemper2025_stein_pembro"]
    times, sizes = curve(known["SLD"])
    np.testing.assert_allclose(predicted("tumour_stein", times), sizes, rtol=1e-12)
    p = known["par"]
    assert time_to_growth("stein", {"KG": p["kg"], "KS": p["ks"]}) == pytest.approx(
        known["TTG_wk"], rel=1e-12
    )
    # before treatment there is growth alone
    before = predicted("tumour_stein", [0.0, 6.0], START=6.0)
    np.testing.assert_allclose(before, [86.07 * math.exp(-6 * 0.00651), 86.07], rtol=1e-12)
    np.testing.assert_array_equal(
        time_to_growth("stein", {"KG": [0.02, 0.0], "KS": [0.01, 0.01]}), [0, np.inf]
    )


def test_simeoni_has_the_published_growth_with_and_without_drug():
    known = PUBLISHED["simeoni2004_paclitaxel_exp1"]
    for key, conc in (("control", 0.0), ("const_cp_500", 500.0)):
        times, weights = curve(known[key])
        # the solver keeps a relative tolerance of 1e-6 per step by default
        np.testing.assert_allclose(predicted("tumour_simeoni", times, CONC=conc), weights, rtol=2e-5)


@pytest.mark.parametrize(
    ("model", "p", "size"),
    [
        ("stein", {"KG": 0.003, "KS": 0.02}, lambda t, p: np.exp(-p["KS"] * t) + np.exp(p["KG"] * t)),
        (
            "claret",
            {"KL": 0.002, "KD": 0.02, "LAMBDA": 0.03},
            lambda t, p: p["KL"] * t - 0.7 * p["KD"] / p["LAMBDA"] * (1 - np.exp(-p["LAMBDA"] * t)),
        ),
        ("wang", {"BASE": 80.0, "SR": 0.05, "PR": 0.5}, lambda t, p: 80 * np.exp(-p["SR"] * t) + p["PR"] * t),
    ],
)
def test_time_to_growth_is_where_the_curve_is_lowest(model, p, size):
    found = minimize_scalar(lambda t: size(t, p), bounds=(0, 500), method="bounded", options={"xatol": 1e-8})
    assert time_to_growth(model, p, 0.7) == pytest.approx(found.x, abs=1e-4)


def trial(n=60, seed=4):
    """Two histologies; in the second growth is twice as fast."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for i in range(n):
        fast = i % 2
        base, kg, ks = (
            v * math.exp(s * rng.standard_normal())
            for v, s in ((80.0, 0.5), (0.002 * (1 + fast), 0.4), (0.008, 0.4))
        )
        truth.append((i + 1, float(time_to_growth("stein", {"KG": kg, "KS": ks})), base, kg))
        for t in (0.0, 42.0, 84.0, 126.0, 168.0, 252.0):
            y = base * (math.exp(-ks * t) + math.exp(kg * t) - 1) * (1 + 0.05 * rng.standard_normal())
            rows.append({"ID": i + 1, "TUMOR": ("lung", "skin")[fast], "TIME": t, "SLD": y})
    return pd.DataFrame(rows), pd.DataFrame(truth, columns=["ID", "TTG", "BASE", "KG"])


@pytest.fixture(scope="module")
def fitted():
    frame, truth = trial()
    start = {"BASE": 90.0, "KG": 0.003, "KS": 0.006}
    # the first scan of every third patient is a week before treatment
    early = (frame["TIME"] == 0) & (frame["ID"] % 3 == 0)
    kg = truth.set_index("ID")["KG"].reindex(frame.loc[early, "ID"]).to_numpy()
    frame.loc[early, "SLD"] *= np.exp(-7 * kg)
    frame.loc[early, "TIME"] = -7.0
    frame["DOSE"] = 100 * (1 + frame["ID"] % 3)
    fit = fit_tumour_size(
        frame, "SLD", "TIME", "TUMOR", effects=["KG"], reference="lung", landmark=56, initial=start, dose="DOSE",
        randomised=True,
    )  # fmt: skip
    return fit, frame, truth


def test_a_population_fit_recovers_growth_per_histology(fitted):
    fit, _, truth = fitted
    table = fit.population.parameters
    for name, value in (("BASE", 80.0), ("KG", 0.002), ("KS", 0.008)):
        assert abs(table.loc[name, "estimate"] - value) < 4 * table.loc[name, "se"], name
    effect = table.loc["KG(HISTOLOGY=skin)"]
    assert abs(effect["estimate"] - math.log(2)) < 4 * effect["se"] and effect["estimate"] > 2 * effect["se"]
    by = fit.histologies.set_index("histology")
    assert by.loc["skin", "KG"] == pytest.approx(by.loc["lung", "KG"] * math.exp(effect["estimate"]))
    assert by.loc["skin", "TTG"] < by.loc["lung", "TTG"] and by["n"].tolist() == [30, 30]
    assert fit.evidence == "EC1: randomised doses"
    own = fit.individual.set_index("ID")
    np.testing.assert_allclose(
        own["TTG"], [float(time_to_growth("stein", r)) for r in own.to_dict("records")], rtol=1e-12
    )
    ratio = np.exp(-own["KS"] * 56) + np.exp(own["KG"] * 56) - 1
    np.testing.assert_allclose(own["RATIO"], ratio, rtol=1e-12)
    assert np.corrcoef(np.log(own["TTG"] + 30), np.log(truth["TTG"] + 30))[0, 1] > 0.8


def test_time_to_growth_predicts_survival_in_two_stages(fitted):
    fit, _, _ = fitted
    rng = np.random.default_rng(1)
    own = fit.individual
    # the published link: ln T = 1.079 + 0.977 ln(TTG + 100) - 0.00197 BASE, SD exp(-0.24)
    log_t = 1.079 + 0.97695 * np.log(own["TTG"] + 100) - 0.00197 * own["BASE"]
    t = np.exp(log_t + math.exp(-0.24) * rng.standard_normal(len(own)))
    frame = pd.DataFrame({"ID": own["ID"], "T": np.minimum(t, 900), "E": (t <= 900).astype(int)})
    link = tumour_survival(fit, frame, "T", "E", offset=100)
    for name, value in (("slope", 0.97695), ("BASE", -0.00197)):
        assert abs(link.coefficients[name] - value) < 4 * link.standard_errors[name], name
    with pytest.raises(InputError, match="E_UNKNOWN_ID"):
        tumour_survival(fit, frame.assign(ID=frame["ID"] + 1000), "T", "E", offset=100)
    with pytest.raises(InputError, match="E_TTG"):
        tumour_survival(fit, frame, "T", "E", offset=-1e6)


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"model": "gompertz"}, "E_OPTION"),
        ({"effects": ["KG"]}, "E_OPTION"),
        ({"exposure": "SLD"}, "E_OPTION"),
        ({"model": "simeoni"}, "E_OPTION"),
        ({"histology": "TUMOR", "reference": "liver"}, "E_REFERENCE_ABSENT"),
        # before the fit, which takes its time
        ({"model": "simeoni", "exposure": "TIME", "landmark": 56}, "E_OPTION"),
        ({"landmark": -1.0}, "E_OPTION"),
        ({"dose": "ARM"}, "E_COLUMN_MISSING"),
        ({"randomised": True}, "E_OPTION"),
        ({"model": "claret", "exposure": "TIME"}, "E_EXPOSURE_CHANGES"),
        ({"size": "NONE"}, "E_COLUMN_MISSING"),
    ],
)
def test_bad_input_is_refused(options, code):
    frame, _ = trial(4)
    settings = {"size": "SLD", **options}
    with pytest.raises(InputError) as caught:
        fit_tumour_size(frame, **settings)
    assert caught.value.code == code
    with pytest.raises(InputError, match="E_SIZE_NOT_POSITIVE"):
        fit_tumour_size(frame.assign(SLD=0.0), "SLD")
    with pytest.raises(InputError, match="E_PARAMETER_UNKNOWN"):
        time_to_growth("stein", {"KG": 1.0})
    with pytest.raises(InputError, match="E_PARAMETER_UNKNOWN: stein needs KG"):
        size_ratio("stein", {"KS": 1.0}, 8.0)
    with pytest.raises(InputError, match="E_OPTION"):
        size_ratio("simeoni", {}, 8.0)


def xenografts(size=1.0, time=1.0, conc=1.0):
    """Twelve tumours about the published parameters, without random numbers, in any unit."""
    days = np.array([0.0, 3, 6, 9, 12, 15, 18, 21])
    published = {"LAMBDA0": 0.273, "LAMBDA1": 0.814, "K1": 0.968, "K2": 6.29e-4, "W0": 0.1}
    rows = []
    for i in range(12):
        given = [0.0, 200.0, 500.0, 1000.0][i % 4]
        own = {
            name: published[name] * math.exp(0.2 * math.sin(turn * i + turn))
            for name, turn in (("LAMBDA0", 3), ("K2", 5), ("W0", 7))
        }
        weights = predicted("tumour_simeoni", days, published | own, CONC=given)
        weights = weights * (1 + 0.1 * np.cos(5 * i + days))
        rows += [(i + 1, t * time, w * size, given * conc) for t, w in zip(days, weights, strict=True)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV", "CONC"])


def test_starting_values_of_simeoni_come_from_the_data_in_any_unit():
    published = {"LAMBDA0": 0.273, "LAMBDA1": 0.814, "K1": 0.968, "K2": 6.29e-4, "W0": 0.1}
    start = _xenograft_start(xenografts())
    assert set(start) == set(published)
    for name, value in start.items():
        assert value == pytest.approx(published[name], rel=0.4), name
    other = _xenograft_start(xenografts(size=1000.0, time=1 / 7, conc=1e-3))  # mg, weeks, ng/L
    units = {"LAMBDA0": 7, "LAMBDA1": 7000, "K1": 7, "K2": 7e3, "W0": 1000}
    for name, factor in units.items():
        assert other[name] == pytest.approx(start[name] * factor, rel=1e-9), name


@pytest.mark.nightly
def test_simeoni_is_fitted_from_the_defaults_in_other_units():
    frame = xenografts(size=1000.0).rename(columns={"DV": "MG"})
    fit = fit_tumour_size(frame, "MG", model="simeoni", exposure="CONC")
    assert fit.population.minimization_successful
    assert fit.population.parameter_estimates["LAMBDA0"] == pytest.approx(0.273, rel=0.15)
    assert fit.population.parameter_estimates["W0"] == pytest.approx(100, rel=0.15)


def test_a_fit_that_fails_names_its_starting_values():
    frame = xenografts().rename(columns={"DV": "W"})
    with pytest.raises(FitError, match=r"starting values were \{LAMBDA0: .*give others with initial="):
        fit_tumour_size(frame, "W", model="simeoni", exposure="CONC", initial={"K1": 1e9, "LAMBDA0": 1e5})
