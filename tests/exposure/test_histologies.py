"""Exposure per histology: means and their covariance against the delta method done by hand, and the ratios."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import pkpd
from pkpd import exp
from pkpd.exposure import HistologyExposure, mediation
from pkpd.exposure.histologies import histology_exposure
from pkpd.results import from_json, to_json

TAU, DOSE = 12.0, 100.0
SITES = ("lung", "skin", "colon")


@pkpd.model
def tumours(m):
    """One compartment, intravenous; weight and tumour type act on clearance."""
    cl, v, power = m.theta("CL", 2.0, lower=0), m.theta("V", 20.0, lower=0), m.theta("POWER", 0.75)
    wt, site = m.covariate("WT"), m.factor("TUMOR", reference="lung")
    cl = m.parameter("CL", cl * exp(m.eta("CL", variance=0.06) + site.effect("CL")) * (wt / 70) ** power)
    v = m.parameter("V", v * exp(m.eta("V", variance=0.04)))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.15))


@pytest.fixture(scope="module")
def fit():
    rng = np.random.default_rng(8)
    n = 36
    table = pd.DataFrame({"WT": rng.uniform(45, 110, n), "TUMOR": np.repeat(SITES, [16, 14, 6])})
    truth = {"CL(TUMOR=skin)": 0.4, "CL(TUMOR=colon)": -0.1}
    drawn = pkpd.simulate(
        tumours, pkpd.dose(DOSE), times=[0.5, 4, 11, 30], seed=2, covariates=table, parameters=truth
    )
    doses = table.assign(ID=np.arange(1, n + 1), TIME=0.0, EVID=1, AMT=DOSE)
    records = pd.concat([doses, drawn.assign(EVID=0, AMT=0.0)]).drop(columns="IPRED")
    records = records.sort_values(["ID", "TIME"], kind="stable")
    return pkpd.fit(tumours, pkpd.read_dataset(records))


def by_hand(fit, metric):
    """Means of the typical subjects of each histology, as a function of the estimates."""
    subjects = fit.data.subject_table()

    def means(p):
        site = subjects.TUMOR.map({"lung": 0.0, "skin": p["CL(TUMOR=skin)"], "colon": p["CL(TUMOR=colon)"]})
        cl = p["CL"] * np.exp(site) * (subjects.WT / 70) ** p["POWER"]
        gone = np.exp(-cl / p["V"] * TAU)
        value = {
            "AUCSS": DOSE / cl,
            "AUC1": DOSE / cl * (1 - gone),
            "CMAXSS": DOSE / p["V"] / (1 - gone),
            "CTROUGHSS": DOSE / p["V"] * gone / (1 - gone),
            "CAVGSS": DOSE / cl / TAU,
        }[metric]
        return np.log(value).groupby(subjects.TUMOR).mean()[list(SITES)].to_numpy()

    return means


@pytest.mark.parametrize("metric", ["AUCSS", "AUC1", "CMAXSS", "CTROUGHSS", "CAVGSS"])
def test_means_and_covariance(fit, metric):
    found = histology_exposure(fit, pkpd.dose(DOSE), metric=metric, interval=TAU)
    assert (found.metric, found.levels, found.n.tolist()) == (metric, SITES, [16, 14, 6])
    means, p = by_hand(fit, metric), fit.parameter_estimates
    np.testing.assert_allclose(found.log_mean, means(p), atol=1e-8)
    gradient = np.zeros((3, len(p)))
    for j, name in enumerate(p.index):
        h = 1e-5 * max(abs(p[name]), 0.1)
        up, down = p.copy(), p.copy()
        up[name] += h
        down[name] -= h
        gradient[:, j] = (means(up) - means(down)) / (2 * h)
    # differences over a thousandth of a standard error there, 1e-5 here
    expected = gradient @ fit.covariance_matrix.to_numpy() @ gradient.T
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-5)


def test_effects_alone_make_the_ratio_at_equal_weight(fit):
    """AUC at steady state is dose over clearance: the log ratio is minus the effect, minus the part of weight."""
    found = histology_exposure(fit, pkpd.dose(DOSE), interval=TAU).ratio("lung").set_index("histology")
    weight = np.log(fit.data.subject_table().WT / 70).groupby(fit.data.subject_table().TUMOR).mean()
    p = fit.parameter_estimates
    for site in ("skin", "colon"):
        expected = -p[f"CL(TUMOR={site})"] - p["POWER"] * (weight[site] - weight["lung"])
        assert found.log_ratio[site] == pytest.approx(expected, abs=1e-9)


def test_at_equal_covariates_the_effect_alone_is_left(fit):
    """Clearance is a product, so that the weights cancel whatever they are: the ratio is the effect, with its SE."""
    found = histology_exposure(fit, pkpd.dose(DOSE), interval=TAU, adjusted=True)
    assert found.adjusted and found.n.tolist() == [16, 14, 6]
    ratio = found.ratio("lung").set_index("histology")
    p, se = fit.parameter_estimates, fit.standard_errors
    for site in ("skin", "colon"):
        assert ratio.log_ratio[site] == pytest.approx(-p[f"CL(TUMOR={site})"], abs=1e-9)
        assert ratio.log_ratio_se[site] == pytest.approx(se[f"CL(TUMOR={site})"], rel=1e-6)
    # each histology has the mean over all subjects, not over its own
    weight = np.log(fit.data.subject_table().WT / 70).mean()
    assert found.log_mean[0] == pytest.approx(np.log(DOSE / p["CL"]) - p["POWER"] * weight, abs=1e-9)
    # a trough is no product: the mean over all subjects is not that of a mean subject
    trough = histology_exposure(fit, pkpd.dose(DOSE), metric="CTROUGHSS", interval=TAU, adjusted=True)
    cl = p["CL"] * np.exp(p["CL(TUMOR=skin)"]) * (fit.data.subject_table().WT / 70) ** p["POWER"]
    gone = np.exp(-cl / p["V"] * TAU)
    expected = np.log(DOSE / p["V"] * gone / (1 - gone)).mean()
    assert trough.log_mean[1] == pytest.approx(expected, abs=1e-8)
    regimens = {i: pkpd.dose(DOSE * (1 + i % 2)) for i in fit.data.subjects.tolist()}
    each = histology_exposure(fit, regimens, interval=TAU, adjusted=True)
    np.testing.assert_allclose(each.log_mean - found.log_mean, np.log(2) / 2, atol=1e-9)


def test_mediation_by_weight(fit):
    """Weight explains what the histologies' weights differ by, as far as the smaller model took it for histology."""
    wt = fit.data.covariates
    assert wt == ("WT",)

    @pkpd.model
    def alone(m):
        """The same without weight."""
        cl, v, site = (
            m.theta("CL", 2.0, lower=0),
            m.theta("V", 20.0, lower=0),
            m.factor("TUMOR", reference="lung"),
        )
        cl = m.parameter("CL", cl * exp(m.eta("CL", variance=0.06) + site.effect("CL")))
        v = m.parameter("V", v * exp(m.eta("V", variance=0.04)))
        central = m.compartment("central")
        m.ode(central, -cl / v * central)
        m.observe("cp", central / v, proportional=m.sigma("PROP", 0.15))

    small = pkpd.fit(alone, fit.data)
    table = mediation({"site": small, "+ WT": fit}, pkpd.dose(DOSE), reference="lung", interval=TAU)
    assert list(table.model) == ["site"] * 3 + ["+ WT"] * 3
    keyed = table.set_index(["model", "histology"])
    for site in ("skin", "colon"):
        before, after = (-f.parameter_estimates[f"CL(TUMOR={site})"] for f in (small, fit))
        own = keyed.loc[("+ WT", site)]
        assert own.log_ratio == pytest.approx(after, abs=1e-9)
        assert own.explained == pytest.approx(before - after, abs=1e-9)
        assert own.explained_percent == pytest.approx(100 * (before - after) / before, rel=1e-6)
        z, se = 1.6448536269514722, fit.standard_errors[f"CL(TUMOR={site})"]
        assert own.lower == pytest.approx(np.exp(after - z * se), rel=1e-6)
        assert keyed.loc[("site", site)].explained == 0
    assert keyed.ofv_change[("+ WT", "lung")] == pytest.approx(fit.ofv - small.ofv, abs=1e-12)
    assert fit.ofv < small.ofv
    with pytest.raises(pkpd.InputError, match="E_MEDIATION"):
        mediation({"site": small}, pkpd.dose(DOSE), reference="lung", interval=TAU)
    other = dataclasses.replace(small, data=dataclasses.replace(small.data, sha256="other"))
    with pytest.raises(pkpd.InputError, match="E_MEDIATION"):
        mediation({"site": other, "+ WT": fit}, pkpd.dose(DOSE), reference="lung", interval=TAU)


def test_covariance_agrees_with_parametric_simulation(fit):
    """Draws of the estimates pushed through the closed form: linear enough at these standard errors."""
    found = histology_exposure(fit, pkpd.dose(DOSE), interval=TAU)
    means, n = by_hand(fit, "AUCSS"), 600
    draws = np.random.default_rng(1).multivariate_normal(
        fit.parameter_estimates, fit.covariance_matrix, size=n
    )
    spread = np.cov(np.array([means(pd.Series(d, fit.parameter_estimates.index)) for d in draws]).T)
    # a variance from 600 draws has a relative SD of 5.8 %, a correlation one of 4 % at most
    np.testing.assert_allclose(np.diag(found.covariance), np.diag(spread), rtol=0.23)
    deviation = np.sqrt(np.diag(spread))
    np.testing.assert_allclose(
        found.covariance / np.outer(deviation, deviation), spread / np.outer(deviation, deviation), atol=0.23
    )


def test_dose_cancels_and_regimens_by_subject(fit):
    one = histology_exposure(fit, pkpd.dose(DOSE), interval=TAU)
    each = histology_exposure(fit, dict.fromkeys(fit.data.subjects, pkpd.dose(2 * DOSE)), interval=TAU)
    np.testing.assert_allclose(each.log_mean, one.log_mean + np.log(2), atol=1e-12)
    np.testing.assert_allclose(each.covariance, one.covariance, rtol=1e-6)


# --------------------------------------------------------------------------------------------------- ratios


MADE = HistologyExposure(
    "AUCSS", ("a", "b", "c"), np.array([10, 5, 2]), np.log([50.0, 40.0, 75.0]),
    np.array([[0.004, 0.001, 0.0], [0.001, 0.010, 0.002], [0.0, 0.002, 0.050]]),
)  # fmt: skip


def test_ratio_by_hand():
    found = MADE.ratio("a", level=0.90, bounds=(0.8, 1.25)).set_index("histology")
    assert list(found.n) == [10, 5, 2]
    for level, variance, ratio in (("b", 0.004 + 0.010 - 0.002, 0.8), ("c", 0.004 + 0.050, 1.5)):
        own, law = found.loc[level], stats.norm(np.log(ratio), np.sqrt(variance))
        assert own.log_ratio_se == pytest.approx(np.sqrt(variance), rel=1e-12)
        assert own.ratio == pytest.approx(ratio, rel=1e-12)
        assert (own.lower, own.upper) == pytest.approx(np.exp(law.interval(0.90)), rel=1e-10)
        expected = (law.cdf(np.log(0.8)), law.cdf(np.log(1.25)) - law.cdf(np.log(0.8)), law.sf(np.log(1.25)))
        assert (own.p_below, own.p_within, own.p_above) == pytest.approx(expected, abs=1e-12)
    own = found.loc["a"]
    assert (own.ratio, own.lower, own.upper, own.log_ratio_se) == (1, 1, 1, 0)
    assert (own.p_below, own.p_within, own.p_above) == (0, 1, 0)
    np.testing.assert_allclose(found.p_below + found.p_within + found.p_above, 1, rtol=1e-14)


def test_ratio_the_other_way_round_is_its_inverse():
    one, other = (MADE.ratio(r).set_index("histology") for r in ("a", "b"))
    assert one.ratio["b"] * other.ratio["a"] == pytest.approx(1, rel=1e-14)
    assert one.lower["b"] * other.upper["a"] == pytest.approx(1, rel=1e-12)
    # the bounds 0.8 and 1.25 are each other's inverse
    assert one.p_below["b"] == pytest.approx(other.p_above["a"], rel=1e-10)


def test_json_round_trip():
    back = from_json(to_json(MADE))
    assert back.ratio("a").equals(MADE.ratio("a"))


def test_ratio_refusals():
    with pytest.raises(pkpd.InputError, match=r"E_REFERENCE.*'d'"):
        MADE.ratio("d")
    for bounds in ((1.1, 1.25), (0.8, 0.9), (0.0, 1.25), (1.25, 0.8)):
        with pytest.raises(pkpd.InputError, match="E_BOUNDS"):
            MADE.ratio("a", bounds=bounds)
    for level in (0.0, 1.0, 90):
        with pytest.raises(pkpd.InputError, match="E_LEVEL"):
            MADE.ratio("a", level=level)


def test_refusals(fit):
    with pytest.raises(pkpd.InputError, match="E_METRIC"):
        histology_exposure(fit, pkpd.dose(1), metric="AUC", interval=TAU)
    with pytest.raises(pkpd.InputError, match=r"E_METRIC.*TABOVE1"):
        histology_exposure(fit, pkpd.dose(1), metric="TABOVE1", interval=TAU)
    with pytest.raises(pkpd.InputError, match=r"E_NO_EFFECT.*WT"):
        histology_exposure(fit, pkpd.dose(1), interval=TAU, histology="WT", adjusted=True)
    with pytest.raises(pkpd.InputError, match=r"E_HISTOLOGY.*SITE"):
        histology_exposure(fit, pkpd.dose(1), interval=TAU, histology="SITE")
    nothing = dataclasses.replace(
        fit, covariance_matrix=fit.covariance_matrix * np.nan, covariance_status="failed"
    )
    with pytest.raises(pkpd.FitError, match="E_NO_COVARIANCE"):
        histology_exposure(nothing, pkpd.dose(1), interval=TAU)
