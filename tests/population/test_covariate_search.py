"""Stepwise search against fits written by hand; relations; the randomisation test against closed forms; forests of effects."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pkpd
from pkpd.errors import InputError
from pkpd.parallel import Outcomes
from pkpd.population.covariate_models import Relation, shared_estimates
from pkpd.population.covariate_search import Stepwise
from pkpd.results import from_json, to_json
from tests.population.intercept import intercept

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
SUBJECTS, TIMES = 40, 3


def table():
    random = np.random.default_rng(4)
    weight = random.uniform(45, 110, SUBJECTS)
    tumour = np.array(["lung", "liver", "colon", "lung"] * 10)
    sex = random.integers(0, 2, SUBJECTS)
    mean = 6 * (weight / 70) ** 0.7 * np.where(tumour == "liver", 0.7, 1.0)
    y = mean[:, None] + random.normal(0, 0.5, (SUBJECTS, 1)) + random.normal(0, 0.4, (SUBJECTS, TIMES))
    return y, weight, tumour, sex


@pytest.fixture(scope="module")
def data():
    y, weight, tumour, sex = table()
    frame = pd.DataFrame(
        {
            "ID": np.repeat(np.arange(1, SUBJECTS + 1), TIMES),
            "TIME": np.tile(np.arange(float(TIMES)), SUBJECTS),
            "EVID": 0,
            "DV": y.ravel(),
            "WT": np.repeat(weight, TIMES),
            "TUMOR": np.repeat(tumour, TIMES),
            "SEX": np.repeat(sex, TIMES),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pkpd.read_dataset(frame)


@pytest.fixture(scope="module")
def base(data):
    return pkpd.fit(intercept, data, pkpd.FOCEI(covariance="R"))


@pytest.fixture(scope="module")
def searched(base):
    return pkpd.stepwise(base, {"BASE": ["WT", "TUMOR", "SEX"]}, centres={"SEX": "0", "WT": 70})


def test_a_search_finds_what_made_the_data(searched, base, data):
    assert searched.selected == (
        Relation("BASE", "WT", "power", 70.0),
        Relation("BASE", "TUMOR", "factor", "lung"),
    )
    log = searched.log
    assert list(log["step"]) == [1, 1, 1, 2, 2, 3, 4, 4]
    assert list(log.loc[log["decision"] != "", "relation"]) == ["BASE ~ WT", "BASE ~ TUMOR"]
    assert list(log["df"]) == [1, 2, 1, 2, 1, 1, 1, 2]
    np.testing.assert_allclose(log["p"], stats.chi2.sf(log["difference"], log["df"]), rtol=1e-10)
    assert log["converged"].all() and (log["note"] == "").all()
    np.testing.assert_allclose(log["difference"].iloc[:3], base.ofv - log["ofv"].iloc[:3])
    model = pkpd.fit(
        intercept.with_effect("BASE", "TUMOR", reference="lung"), data, pkpd.FOCEI(covariance=None)
    )
    assert log["ofv"].iloc[1] == pytest.approx(model.ofv, abs=1e-5)
    # taking weight out again leads back to the model of the first step
    assert log["ofv"].iloc[6] == pytest.approx(model.ofv, abs=1e-5)
    assert "Selection is not accounted for" in repr(searched)


def test_the_final_fit_is_that_of_the_model_by_hand(searched, data):
    @pkpd.model
    def written(m):
        wt = m.covariate("WT")
        tumour = m.factor("TUMOR", reference="lung")
        level = m.theta("BASE", 5.0) + m.eta("BASE", variance=1.0)
        size = (wt / 70) ** m.theta("POWER", 0.1)
        y = m.parameter("BASE", level * size * pkpd.exp(tumour.effect("BASE")))
        m.observe("y", y, additive=m.sigma("ADD", 1.0))

    fit = pkpd.fit(written, data, pkpd.FOCEI(covariance="R"))
    final = searched.fit
    assert final.ofv == pytest.approx(fit.ofv, abs=1e-5)
    assert final.parameter_estimates["BASE(WT)"] == pytest.approx(fit.parameter_estimates["POWER"], abs=1e-4)
    assert final.parameter_estimates["BASE(WT)"] == pytest.approx(0.7, abs=0.15)
    assert np.isfinite(final.standard_errors["BASE(TUMOR=liver)"])


def test_what_cannot_be_tried_is_refused(base):
    for relations, centres in [
        ({"BASE": ["WT"]}, {"WGT": 70}),
        ({"CL": ["WT"]}, {}),
        ({"BASE": ["AGE"]}, {}),
        ({"BASE": ["SEX"]}, {}),  # 0 has no power
        ({"BASE": ["WT"]}, {"WT": -1}),
        ({"BASE": ["TUMOR"]}, {"TUMOR": "brain"}),
        ({}, {}),
    ]:
        with pytest.raises(InputError, match="E_RELATION"):
            pkpd.stepwise(base, relations, centres=centres)
    with pytest.raises(InputError, match="E_ARGUMENT"):
        pkpd.stepwise(base, {"BASE": "WT"}, forward=5)


def test_forest_of_effects(searched, data):
    fit = searched.fit
    found = pkpd.covariate_effects(fit, 4000, seed=1)
    rows = found.table.set_index(["parameter", "covariate", "value"])
    weight = data.subject_table()["WT"].to_numpy()
    assert found.reference == {"WT": np.median(weight), "TUMOR": "lung"}
    assert len(rows) == 4
    for level, size in (("liver", 10), ("colon", 10)):
        row = rows.loc[("BASE", "TUMOR", level)]
        name = f"BASE(TUMOR={level})"
        centre, se = fit.parameter_estimates[name], fit.standard_errors[name]
        assert row["ratio"] == pytest.approx(np.exp(centre), rel=1e-12) and row["subjects"] == size
        # percentiles of 4000 draws: known to some 4 % of a standard error
        assert np.log(row["lower"]) == pytest.approx(centre - 1.96 * se, abs=0.15 * se)
        assert np.log(row["upper"]) == pytest.approx(centre + 1.96 * se, abs=0.15 * se)
    power, se = fit.parameter_estimates["BASE(WT)"], fit.standard_errors["BASE(WT)"]
    for q in (0.05, 0.95):
        at = np.quantile(weight, q)
        row = rows.loc[("BASE", "WT", f"{at:.4g}")]
        assert row["at"] == at and row["reference"] == f"{np.median(weight):.4g}"
        size = np.log(at / np.median(weight))
        assert row["ratio"] == pytest.approx(np.exp(power * size), rel=1e-10)
        ends = sorted([(power - 1.96 * se) * size, (power + 1.96 * se) * size])
        np.testing.assert_allclose(np.log([row["lower"], row["upper"]]), ends, atol=0.15 * se * abs(size))
    other = pkpd.covariate_effects(fit, 50, reference={"WT": 70.0}, uncertainty=fit)
    assert other.reference["WT"] == 70.0
    assert to_json(from_json(to_json(found))) == to_json(found)
    with pytest.raises(InputError, match="E_ARGUMENT"):
        pkpd.covariate_effects(fit, reference={"AGE": 3})


def test_forest_needs_covariates(base):
    with pytest.raises(InputError, match="E_NO_COVARIATES"):
        pkpd.covariate_effects(base)


@pkpd.model
def additive(m):
    tumour = m.factor("TUMOR", reference="lung")
    level = m.parameter("BASE", m.theta("BASE", 5.0) + m.eta("BASE", variance=1.0) + tumour.effect("BASE"))
    m.observe("y", level, additive=m.sigma("ADD", 1.0))


def fall(y, tumour):
    """OFV gained by group means in a balanced random intercept model: n log(λ₀/λ₁), λ the variance of subject means."""
    means = y.mean(axis=1)
    inside = sum(np.sum((means[tumour == t] - means[tumour == t].mean()) ** 2) for t in np.unique(tumour))
    return len(y) * np.log(np.sum((means - means.mean()) ** 2) / inside)


def test_randomisation_against_closed_forms(data):
    y, _, tumour, sex = table()
    fit = pkpd.fit(additive, data, pkpd.FOCEI(covariance=None))
    found = pkpd.randomisation_test(fit, "TUMOR", 19, seed=6, strata="SEX")
    assert found.difference == pytest.approx(fall(y, tumour), abs=1e-5) and found.df == 2
    expected = []
    for k in range(19):
        random = np.random.Generator(np.random.Philox(np.random.SeedSequence([6, 0x524E, k])))
        shuffled = tumour.copy()
        # groups in order of appearance
        for value in dict.fromkeys(sex.tolist()):
            members = np.flatnonzero(sex == value)
            shuffled[members] = tumour[random.permutation(members)]
        expected.append(fall(y, shuffled))
    np.testing.assert_allclose(found.differences, expected, atol=1e-4)
    assert found.p_value == (1 + sum(e >= found.difference - 1e-4 for e in expected)) / 20
    assert found.p_chi2 == pytest.approx(stats.chi2.sf(found.difference, 2), rel=1e-4)
    assert found.critical == pytest.approx(np.quantile(expected, 0.95), abs=1e-4)
    with ThreadPoolExecutor(2) as pool:
        threads = pkpd.randomisation_test(fit, "TUMOR", 19, seed=6, strata="SEX", executor=pool)
    assert to_json(threads) == to_json(found) == to_json(from_json(to_json(found)))


def test_randomisation_refuses_what_it_cannot_shuffle(data, searched, base):
    with pytest.raises(InputError, match="E_RANDOMISATION"):
        pkpd.randomisation_test(base, "TUMOR")
    with pytest.raises(InputError, match="no factor"):
        pkpd.randomisation_test(searched.fit, "WT")
    with pytest.raises(InputError, match="no fewer"):
        pkpd.randomisation_test(searched.fit, "WT", reduced=searched.fit.model)
    one = pkpd.randomisation_test(
        searched.fit, "WT", 3, reduced=intercept.with_effect("BASE", "TUMOR", reference="lung")
    )
    assert one.df == 1 and one.p_value == 0.25


def test_a_larger_model_starts_at_all_that_was_estimated():
    """Correlations, powers and rates of the residual errors too, not SDs alone."""

    @pkpd.model
    def pair(m):
        level = m.theta("A", 1.0)
        power, decay = m.exponent("POW", 0.8), m.decay("RATE", 0.3)
        m.observe("first", level, proportional=m.sigma("S1", 0.2), power=power)
        m.observe("second", level, additive=m.sigma("S2", 0.2), ar1=decay)

    estimates = {"A": 2.0, "SD(S1)": 0.3, "POWER(POW)": 0.9, "SD(S2)": 0.1, "AR1(RATE)": 0.2, "B": 1.0}
    kept = shared_estimates(estimates, pair)
    assert kept == {k: v for k, v in estimates.items() if k != "B"}


def test_of_overwhelming_falls_the_largest_enters(base, monkeypatch):
    """Both p are 0 in double precision; the first one on the list had won."""

    def fitted(task, models, **options):
        values = []
        for model in models:
            weight, sex = any(t.name == "BASE(WT)" for t in model.thetas), bool(model.effects)
            more = {"BASE(WT)": 0.7} if weight else {}
            more |= {"BASE(SEX=1)": 0.0} if sex else {}
            ofv = base.ofv - (1700.0 if weight else 1600.0 if sex else 0.0)
            values.append({"ofv": ofv, "estimates": {**base.parameter_estimates, **more}, "converged": True})
        return Outcomes(tuple(values), ())

    monkeypatch.setattr(sys.modules[Stepwise.__module__], "run", fitted)
    found = pkpd.stepwise(base, {"BASE": ["SEX", "WT"]}, centres={"SEX": "0"})
    assert [str(r) for r in found.selected] == ["BASE ~ WT"]
