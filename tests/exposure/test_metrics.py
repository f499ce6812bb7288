"""Exposure per subject against closed forms evaluated by tests/naive.py at the subjects' own parameters."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq, minimize_scalar

import pkpd
from pkpd import exp
from pkpd.exposure import METRICS
from tests import naive

TAU = 12.0


def at_the_start(model, data):
    """A fit that takes the model's own parameters, with modes for etas."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.fit(model, data, pkpd.FOCEI(max_iterations=0, covariance=None))


def few_samples(extra=None):
    """Three subjects, each with a dose and two concentrations that pull their etas apart."""
    rows = []
    for i, level in enumerate((0.6, 1.0, 1.7)):
        about = {"ID": i + 1, "WT": 50.0 + 20 * i} | (extra or {})
        rows.append({**about, "TIME": 0.0, "EVID": 1, "AMT": 100.0, "DV": np.nan})
        rows += [
            {**about, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": level * y} for t, y in ((3.0, 3.5), (9.0, 1.9))
        ]
    return pkpd.read_dataset(pd.DataFrame(rows))


@pkpd.model
def bolus(m):
    """One compartment, intravenous."""
    cl, v = m.theta("CL", 2.0, lower=0), m.theta("V", 20.0, lower=0)
    cl = m.parameter("CL", cl * exp(m.eta("CL", variance=0.2)))
    v = m.parameter("V", v * exp(m.eta("V", variance=0.1)))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.2))


@pkpd.model
def oral(m):
    """One compartment, by mouth, with a lag and a bioavailability of 0.7."""
    cl, v = m.theta("CL", 2.0, lower=0), m.theta("V", 20.0, lower=0)
    cl = m.parameter("CL", cl * exp(m.eta("CL", variance=0.2)))
    v = m.parameter("V", v)
    ka = m.parameter("KA", m.theta("KA", 1.1, lower=0))
    depot = m.compartment(
        "depot", lag=m.theta("LAG", 0.8, lower=0), bioavailability=m.theta("F", 0.7, lower=0)
    )
    central = m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, proportional=m.sigma("PROP", 0.2))


@pytest.fixture(scope="module")
def intravenous():
    fit = at_the_start(bolus, few_samples())
    assert np.ptp(fit.individual_parameters.CL) > 0.5
    return fit


@pytest.fixture(scope="module")
def by_mouth():
    return at_the_start(oral, few_samples())


@pytest.fixture(scope="module")
def by_mouth_stepped():
    model, data = oral, few_samples()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        method = pkpd.FOCEI(max_iterations=0, covariance=None, solver=pkpd.Solver("ode"))
        return pkpd.fit(model, data, method)


def test_bolus(intravenous):
    found = pkpd.exposure_metrics(intravenous, regimen=pkpd.dose(100), interval=TAU)
    assert list(found.columns) == list(METRICS)
    assert list(found.index) == [1, 2, 3]
    cl, v = intravenous.individual_parameters.CL, intravenous.individual_parameters.V
    gone = np.exp(-cl / v * TAU)
    expected = {
        "AUC1": 100 / cl * (1 - gone), "AUCSS": 100 / cl, "CMAX1": 100 / v, "CMAXSS": 100 / v / (1 - gone),
        "CTROUGH1": 100 / v * gone, "CTROUGHSS": 100 / v * gone / (1 - gone),
    }  # fmt: skip
    for name, values in expected.items():
        # the peak is read 1e-9 of an interval after the dose
        np.testing.assert_allclose(found[name], values, rtol=3e-9 if "MAX" in name else 1e-10, err_msg=name)
    np.testing.assert_allclose(found.CAVG1, found.AUC1 / TAU, rtol=1e-15)
    np.testing.assert_allclose(found.CAVGSS, found.AUCSS / TAU, rtol=1e-15)


@pytest.mark.parametrize("length", [0.5, 5.0, 12.0])
def test_infusion_peaks_at_its_end(intravenous, length):
    regimen = pkpd.dose(100, infusion=length)
    found = pkpd.exposure_metrics(intravenous, regimen=regimen, interval=TAU)
    for i, own in intravenous.individual_parameters.iterrows():
        k = own.CL / own.V
        top = 100 / length / own.CL * (1 - np.exp(-k * length))
        # the end of the infusion is met to 1e-9 of an interval
        assert found.CMAX1[i] == pytest.approx(top, rel=1e-8)
        assert found.CTROUGH1[i] == pytest.approx(top * np.exp(-k * (TAU - length)), rel=1e-9)
        assert found.CMAXSS[i] == pytest.approx(top / (1 - np.exp(-k * TAU)), rel=1e-8)
        assert found.AUCSS[i] == pytest.approx(100 / own.CL, rel=1e-10)


def test_oral_with_lag_and_bioavailability(by_mouth, by_mouth_stepped):
    for fit, tight, loose in ((by_mouth, 1e-10, 1e-9), (by_mouth_stepped, 1e-5, 1e-5)):
        found = pkpd.exposure_metrics(fit, regimen=pkpd.dose(100), interval=TAU)
        for i, own in fit.individual_parameters.iterrows():

            def steady(t, own=own):  # before the lag has passed, the previous dose still falls
                shape = (100, TAU, own.CL, (own.V,))
                return 0.7 * naive.concentration_steady_state([(t - 0.8) % TAU], *shape, ka=1.1)[0]

            peak = minimize_scalar(
                lambda t: -steady(t), bounds=(1, 6), method="bounded", options={"xatol": 1e-10}
            )
            assert found.AUCSS[i] == pytest.approx(0.7 * 100 / own.CL, rel=tight)
            assert found.CMAXSS[i] == pytest.approx(-peak.fun, rel=loose)
            assert found.CTROUGHSS[i] == pytest.approx(steady(TAU), rel=loose)
            k, t = own.CL / own.V, TAU - 0.8
            area = 1.1 / (1.1 - k) * ((1 - np.exp(-k * t)) / k - (1 - np.exp(-1.1 * t)) / 1.1)
            assert found.AUC1[i] == pytest.approx(70 / own.V * area, rel=tight)
            one = naive.concentration(
                [TAU], [(0, 100)], own.CL, (own.V,), ka=1.1, lag=0.8, bioavailability=0.7
            )
            assert found.CTROUGH1[i] == pytest.approx(one[0], rel=loose)


def test_several_doses_in_an_interval(intravenous):
    """Unequal doses twice a day: the peak follows the larger one; areas superpose."""
    regimen = pkpd.dose(30) + pkpd.dose(90, times=[7.3])
    found = pkpd.exposure_metrics(intravenous, regimen=regimen, interval=24)
    for i, own in intravenous.individual_parameters.iterrows():
        k = own.CL / own.V
        assert found.CMAX1[i] == pytest.approx((30 * np.exp(-k * 7.3) + 90) / own.V, rel=3e-9)
        assert found.AUCSS[i] == pytest.approx(120 / own.CL, rel=1e-10)
        left = (30 * np.exp(-24 * k) + 90 * np.exp(-k * 16.7)) / own.V
        assert found.CTROUGH1[i] == pytest.approx(left, rel=1e-9)
        assert found.CTROUGHSS[i] == pytest.approx(left / (1 - np.exp(-24 * k)), rel=1e-9)


def test_short_peaks_between_sparse_doses():
    """Three half-hour infusions in four weeks, distribution half-life 8 minutes: no even grid sees these peaks."""

    @pkpd.model
    def fast(m):
        """Two compartments."""
        cl = m.parameter("CL", m.theta("CL", 5.0, lower=0) * exp(m.eta("CL", variance=0.1)))
        central, deep = m.compartment("central"), m.compartment("deep")
        m.ode(central, -(cl + 40) / 10 * central + 40 / 300 * deep)
        m.ode(deep, 40 / 10 * central - 40 / 300 * deep)
        m.observe("cp", central / 10, proportional=m.sigma("PROP", 0.2))

    fit = at_the_start(fast, few_samples())
    regimen = pkpd.dose(100, infusion=0.5, times=[0, 168]) + pkpd.dose(120, infusion=0.5, times=[336])
    found = pkpd.exposure_metrics(fit, ["CMAX1"], regimen=regimen, interval=672)
    for i, own in fit.individual_parameters.iterrows():
        doses = [(0, 100), (168, 100), (336, 120)]
        top = naive.concentration([336.5], doses, own.CL, (10, 300), (40,), duration=0.5)[0]
        assert found.CMAX1[i] == pytest.approx(top, rel=1e-7)


@pytest.mark.parametrize("clearance", [0.02, 0.004])
def test_steady_state_of_slow_drugs(clearance):
    """Half-lives of 58 and 290 dosing intervals: what is still missing falls by 1.2 % or 0.24 % per interval."""
    model = bolus.replace(theta={"CL": clearance})
    fit = at_the_start(model, few_samples())
    if clearance < 0.01:
        with pytest.raises(
            pkpd.FitError, match="E_NO_STEADY_STATE: exposure still changes after 16384 intervals"
        ):
            pkpd.exposure_metrics(fit, ["AUCSS"], regimen=pkpd.dose(100), interval=TAU / 12)
        return
    found = pkpd.exposure_metrics(fit, ["AUCSS", "CTROUGHSS"], regimen=pkpd.dose(100), interval=TAU)
    own = fit.individual_parameters
    np.testing.assert_allclose(found.AUCSS, 100 / own.CL, rtol=1e-9)
    gone = np.exp(-own.CL / own.V * TAU)
    np.testing.assert_allclose(found.CTROUGHSS, 100 / own.V * gone / (1 - gone), rtol=1e-9)


def test_michaelis_menten():
    """At steady state the dose balances what is eliminated; profiles by another integrator."""

    @pkpd.model
    def saturable(m):
        """One compartment, saturable elimination."""
        vmax = m.parameter("VMAX", m.theta("VMAX", 15.0, lower=0) * exp(m.eta("VMAX", variance=0.02)))
        central = m.compartment("central")
        m.ode(central, -vmax * (central / 20) / (4.0 + central / 20))
        m.observe("cp", central / 20, proportional=m.sigma("PROP", 0.2))

    fit = at_the_start(saturable, few_samples())
    found = pkpd.exposure_metrics(fit, regimen=pkpd.dose(100), interval=TAU)
    for i, own in fit.individual_parameters.iterrows():

        def rhs(t, x, vmax=own.VMAX):
            c = x[0] / 20
            return [-vmax * c / (4.0 + c), c]

        doses = naive.additional(naive.Dose(0.0, 100.0), TAU, 199)
        edges = np.array([TAU, 150 * TAU - 1e-9, 150 * TAU + 1e-9, 151 * TAU])
        x = naive.simulate_ode(rhs, [0, 0], doses[:152], edges, sample="before")
        # the stepper's tolerance of 1e-8 accumulates over the intervals
        assert found.AUC1[i] == pytest.approx(x[0, 1], rel=1e-6)
        assert found.CTROUGH1[i] == pytest.approx(x[0, 0] / 20, rel=1e-6)
        assert found.CMAX1[i] == pytest.approx(5.0, rel=1e-6)
        assert found.AUCSS[i] == pytest.approx(x[3, 1] - x[1, 1], rel=1e-5)
        assert found.CMAXSS[i] == pytest.approx(x[2, 0] / 20, rel=1e-5)
        assert found.CTROUGHSS[i] == pytest.approx(x[3, 0] / 20, rel=1e-5)


def test_accumulation_without_end_is_said():
    """More is given than can be eliminated."""

    @pkpd.model
    def saturated(m):
        """One compartment, saturable elimination."""
        vmax = m.parameter("VMAX", m.theta("VMAX", 5.0, lower=0) * exp(m.eta("VMAX", variance=1e-6)))
        central = m.compartment("central")
        m.ode(central, -vmax * (central / 20) / (4.0 + central / 20))
        m.observe("cp", central / 20, proportional=m.sigma("PROP", 0.2))

    fit = at_the_start(saturated, few_samples())
    pkpd.exposure_metrics(fit, ["AUC1"], regimen=pkpd.dose(100), interval=TAU)
    with pytest.raises(pkpd.FitError, match="E_NO_STEADY_STATE") as caught:
        pkpd.exposure_metrics(fit, ["AUCSS"], regimen=pkpd.dose(100), interval=TAU)
    assert "first-interval" in caught.value.remedy


def test_regimen_per_subject_and_per_covariate(intravenous):
    cl = intravenous.individual_parameters.CL
    each = {i: pkpd.dose(100.0 * i) for i in (1, 2, 3)}
    found = pkpd.exposure_metrics(intravenous, ["AUCSS"], regimen=each, interval=TAU)
    np.testing.assert_allclose(found.AUCSS, 100.0 * np.array([1, 2, 3]) / cl, rtol=1e-10)
    found = pkpd.exposure_metrics(intravenous, ["AUCSS"], regimen=pkpd.dose(2, per="WT"), interval=TAU)
    np.testing.assert_allclose(found.AUCSS, 2 * np.array([50.0, 70.0, 90.0]) / cl, rtol=1e-10)


@pytest.mark.parametrize("threshold", [0.5, 2.0, 3.5, 7.0, 60.0])
def test_later_intervals_and_time_above_a_threshold(intravenous, threshold):
    """A bolus every 12 h, by the sums of exponentials."""
    names = ["AUC3", "CUMAUC3", "CMAX3", "CMIN3", "CTROUGH3", "CAVG3", "TABOVE1", "TABOVE3", "TABOVESS"]
    found = pkpd.exposure_metrics(
        intravenous, names, regimen=pkpd.dose(100), interval=TAU, threshold=threshold
    )
    own = intravenous.individual_parameters
    k = own.CL / own.V
    gone = np.exp(-k * TAU)
    peak = 100 / own.V * (1 + gone + gone**2)
    expected = {
        "AUC3": 100 / own.CL * (1 - gone**3),
        "CUMAUC3": 100 / own.CL * sum(1 - gone**j for j in (1, 2, 3)),
        "CMAX3": peak,
        "CMIN3": peak * gone,
        "CTROUGH3": peak * gone,
        "CAVG3": 100 / own.CL * (1 - gone**3) / TAU,
    }
    for name, top in (("1", 100 / own.V), ("3", peak), ("SS", 100 / own.V / (1 - gone))):
        expected["TABOVE" + name] = (np.log(top / threshold) / k).clip(0, TAU)
    for name, values in expected.items():
        tolerance = 3e-9 if "MAX" in name else 1e-8
        # a crossing is found by a straight line over TAU/120/60: its square times the curvature
        absolute = 2e-6 if "TABOVE" in name else 0
        np.testing.assert_allclose(found[name], values, rtol=tolerance, atol=absolute, err_msg=name)


def test_time_above_between_two_crossings(intravenous, by_mouth):
    """During an infusion the concentration rises through the threshold, afterwards it falls through it."""
    found = pkpd.exposure_metrics(
        intravenous, ["TABOVE1"], regimen=pkpd.dose(100, infusion=5), interval=24, threshold=1.0
    )
    for i, own in intravenous.individual_parameters.iterrows():
        k, level = own.CL / own.V, 20 / own.CL
        up = -np.log(1 - 1.0 / level) / k
        down = 5 + np.log(level * (1 - np.exp(-5 * k)) / 1.0) / k
        # as above, of a longer interval
        assert found.TABOVE1[i] == pytest.approx(min(down, 24) - up, abs=1e-5)
    found = pkpd.exposure_metrics(by_mouth, ["TABOVE2"], regimen=pkpd.dose(100), interval=TAU, threshold=2.0)
    for i, own in by_mouth.individual_parameters.iterrows():

        def over(t, own=own):
            doses = [(0, 100), (TAU, 100)]
            kind = {"ka": 1.1, "lag": 0.8, "bioavailability": 0.7}
            return naive.concentration([TAU + t], doses, own.CL, (own.V,), **kind)[0] - 2.0

        fine = np.linspace(0, TAU, 601)
        values = np.array([over(t) for t in fine])
        ends = [brentq(over, fine[j], fine[j + 1]) for j in np.flatnonzero(np.diff(values > 0))]
        edges = np.concatenate([[0], ends, [TAU]])
        expected = sum(b - a for a, b in itertools.pairwise(edges) if over((a + b) / 2) > 0)
        assert found.TABOVE2[i] == pytest.approx(expected, abs=1e-5)


def test_actual_doses():
    """Doses that were late, halved and missed; intervals are counted from each subject's first dose."""
    given = {1: [(0.0, 100.0), (13.0, 100.0), (24.0, 50.0)], 2: [(5.0, 100.0), (29.0, 100.0)]}
    rows = []
    for i, doses in given.items():
        rows += [{"ID": i, "TIME": t, "EVID": 1, "AMT": a, "DV": np.nan} for t, a in doses]
        rows += [{"ID": i, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": y} for t, y in ((8.0, 3.0), (40.0, 1.0))]
    data = pkpd.read_dataset(pd.DataFrame(rows).sort_values(["ID", "TIME"], kind="stable"))
    fit = at_the_start(bolus, data)
    names = ["AUC1", "AUC2", "CUMAUC3", "CMAX2", "CTROUGH1", "CMIN2"]
    found = pkpd.exposure_metrics(fit, names, regimen="actual", interval=TAU)
    for i, own in fit.individual_parameters.iterrows():
        k, start = own.CL / own.V, given[i][0][0]

        def at(t, i=i, own=own, k=k):
            return sum(a / own.V * np.exp(-k * (t - d)) for d, a in given[i] if d <= t)

        def area(a, b, i=i, own=own, k=k):
            share = [(x, np.exp(-k * max(a - d, 0)) - np.exp(-k * (b - d))) for d, x in given[i] if d < b]
            return sum(x / own.CL * s for x, s in share)

        instants = [start + 12, *(d for d, _ in given[i] if start + 12 <= d < start + 24)]
        expected = {
            "AUC1": area(start, start + 12),
            "AUC2": area(start + 12, start + 24),
            "CUMAUC3": area(start, start + 36),
            "CMAX2": max(at(t) for t in instants),
            "CTROUGH1": at(start + 12 - 1e-12),
            "CMIN2": min(at(t - 1e-12) for t in [*instants[1:], start + 24]),
        }
        for name, value in expected.items():
            # extremes are met to 1e-9 of an interval
            assert found[name][i] == pytest.approx(value, rel=1e-8), (i, name)


def test_a_trough_lies_before_its_dose_whatever_the_last_bit():
    """2.24 + 24 is more than 26.24: of one dose time in twenty the trough had been the peak after the next dose."""
    rows = [(1, t, 1, 100.0, np.nan) for t in (2.24, 26.24, 50.24)] + [(1, 5.24, 0, 0.0, 3.5)]
    data = pkpd.read_dataset(
        pd.DataFrame(sorted(rows, key=lambda r: r[1]), columns=["ID", "TIME", "EVID", "AMT", "DV"])
    )
    fit = at_the_start(bolus, data)
    gone = np.exp(-fit.individual_parameters.CL / fit.individual_parameters.V * 24)
    start = 100 / fit.individual_parameters.V
    found = pkpd.exposure_metrics(fit, ["CTROUGH1", "CTROUGH2"], regimen="actual", interval=24)
    np.testing.assert_allclose(found["CTROUGH1"], start * gone, rtol=1e-10)
    np.testing.assert_allclose(found["CTROUGH2"], start * (gone + gone**2), rtol=1e-10)


def test_a_planned_regimen_has_none_of_the_occasions_of_the_data():
    """Dose over the subject's own clearance; the steady state had been that of the last occasion on record."""

    @pkpd.model
    def occasions(m):
        cl = m.parameter("CL", 2.0 * exp(m.eta("CL", variance=0.2) + m.iov("CL", variance=0.1)))
        v = m.theta("V", 20.0, lower=0)
        central = m.compartment("central")
        m.ode(central, -cl / v * central)
        m.observe("cp", central / v, proportional=m.sigma("PROP", 0.2))

    rows = []
    for i, pulls in enumerate(((0.6, 1.5), (1.6, 0.7)), 1):
        for k, pull in enumerate(pulls):
            rows.append((i, 240.0 * k, 1, 100.0, np.nan, k + 1))
            rows += [(i, 240.0 * k + t, 0, 0.0, y * pull, k + 1) for t, y in ((3.0, 3.5), (9.0, 1.9))]
    data = pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV", "OCC"]))
    fit = at_the_start(occasions, data)
    etas = fit.individual_estimates
    planned = pkpd.exposure_metrics(fit, ["AUC1", "AUCSS"], regimen=pkpd.dose(100), interval=240, level=0.9)
    for name in ("AUC1", "AUCSS"):
        np.testing.assert_allclose(planned[name], 100 / (2 * np.exp(etas["CL"])), rtol=1e-6)
    actual = pkpd.exposure_metrics(fit, ["AUC1", "AUC31"], regimen="actual", interval=8)
    for k, name in ((1, "AUC1"), (2, "AUC31")):
        cl = 2 * np.exp(etas["CL"] + etas[f"IOV(CL)[{k}]"])
        # of the first dose next to nothing is left at the second one
        np.testing.assert_allclose(actual[name], 100 / cl * (1 - np.exp(-cl / 20 * 8)), rtol=1e-4)


def test_actual_doses_that_areas_cannot_follow():
    frame = few_samples().frame[["ID", "TIME", "EVID", "AMT", "DV"]]
    steady = frame.assign(SS=np.where(frame.EVID == 1, 1, 0), II=np.where(frame.EVID == 1, 12.0, 0.0))
    fit = at_the_start(bolus, pkpd.read_dataset(steady))
    with pytest.raises(pkpd.InputError, match=r"E_EXPOSURE_ACTUAL.*steady-state"):
        pkpd.exposure_metrics(fit, ["AUC1"], regimen="actual", interval=TAU)


def test_limits_of_a_subject(intravenous):
    """AUC at steady state is dose/CL: the SE of its logarithm is that of the subject's eta on CL."""
    found = pkpd.exposure_metrics(
        intravenous, ["AUCSS", "CMAX1"], regimen=pkpd.dose(100), interval=TAU, level=0.90
    )
    assert list(found) == ["AUCSS", "AUCSS_lower", "AUCSS_upper", "CMAX1", "CMAX1_lower", "CMAX1_upper"]
    times, eps = np.array([3.0, 9.0]), 1e-6
    for i, own in intravenous.individual_parameters.iterrows():

        def c(cl, v):
            return naive.concentration(times, [(0, 100)], cl, (v,))

        f = c(own.CL, own.V)
        slopes = [
            (c(own.CL * np.exp(eps), own.V) - f) / eps,
            (c(own.CL, own.V * np.exp(eps)) - f) / eps,
        ]
        j = np.array(slopes).T / (0.2 * f)[:, None]
        covariance = np.linalg.inv(j.T @ j + np.diag([1 / 0.2, 1 / 0.1]))
        for name, spread in (("AUCSS", covariance[0, 0]), ("CMAX1", covariance[1, 1])):
            half = np.log(found[f"{name}_upper"][i] / found[name][i])
            assert half == pytest.approx(1.6448536 * np.sqrt(spread), rel=1e-5)
            assert np.log(found[name][i] / found[f"{name}_lower"][i]) == pytest.approx(half, rel=1e-12)


def test_several_outputs():
    @pkpd.model
    def pair(m):
        """Parent and metabolite."""
        cl = m.parameter("CL", m.theta("CL", 2.0, lower=0) * exp(m.eta("CL", variance=0.1)))
        parent, metabolite = m.compartment("parent"), m.compartment("metabolite")
        m.ode(parent, -cl / 20 * parent)
        m.ode(metabolite, 0.4 * cl / 20 * parent - 0.3 * metabolite)
        m.observe("cp", parent / 20, proportional=m.sigma("PROP", 0.2))
        m.observe("cm", metabolite / 10, proportional=m.sigma("PROP2", 0.2))

    fit = at_the_start(pair, few_samples())
    found = pkpd.exposure_metrics(
        fit, ["AUCSS", "CAVGSS"], regimen=pkpd.dose(100), interval=TAU, output=["cp", "cm"]
    )
    assert list(found) == ["AUCSS[cp]", "CAVGSS[cp]", "AUCSS[cm]", "CAVGSS[cm]"]
    np.testing.assert_allclose(found["AUCSS[cp]"], 100 / fit.individual_parameters.CL, rtol=1e-9)
    np.testing.assert_allclose(found["AUCSS[cm]"], 0.4 * 100 / (0.3 * 10), rtol=1e-9)


def test_named_output():
    @pkpd.model
    def two(m):
        """Two outputs."""
        cl = m.parameter("CL", m.theta("CL", 2.0, lower=0) * exp(m.eta("CL", variance=0.1)))
        central = m.compartment("central")
        m.ode(central, -cl / 20 * central)
        m.observe("cp", central / 20, proportional=m.sigma("PROP", 0.2))
        m.observe("amount", central, proportional=m.sigma("PROP2", 0.2))

    fit = at_the_start(two, few_samples())
    first = pkpd.exposure_metrics(fit, regimen=pkpd.dose(100), interval=TAU)
    named = pkpd.exposure_metrics(fit, regimen=pkpd.dose(100), interval=TAU, output="amount")
    np.testing.assert_allclose(named, 20 * first, rtol=1e-12)
    with pytest.raises(pkpd.InputError, match=r"E_OUTPUT.*'cq'"):
        pkpd.exposure_metrics(fit, regimen=pkpd.dose(100), interval=TAU, output="cq")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"metrics": ["AUC0"]}, "E_METRIC"),
        ({"metrics": "AUC1"}, "E_METRIC"),
        ({"metrics": ["CUMAUCSS"]}, "E_METRIC"),
        ({"metrics": ["TABOVE1"]}, "E_METRIC"),
        ({"threshold": 1.0}, "E_METRIC"),
        ({"metrics": ["TABOVE1"], "threshold": -1.0}, "E_METRIC"),
        ({"regimen": "actual", "metrics": ["AUCSS"]}, "E_METRIC"),
        ({"regimen": "planned"}, "E_REGIMEN"),
        ({"level": 90}, "E_LEVEL"),
        ({"metrics": []}, "E_METRIC"),
        ({"interval": 0.0}, "E_INTERVAL"),
        ({"interval": np.nan}, "E_INTERVAL"),
        ({"regimen": {1: pkpd.dose(1), 2: pkpd.dose(1)}}, "E_REGIMEN_ID"),
        ({"regimen": pkpd.dose(1, every=8, until=48)}, "E_REGIMEN_PERIOD"),
        ({"regimen": pkpd.dose(1, per="BSA")}, "E_REGIMEN_PER"),
        ({"regimen": 100.0}, "E_REGIMEN"),
        ({"regimen": {1: 1.0, 2: 1.0, 3: 1.0}}, "E_REGIMEN"),
        ({"regimen": pkpd.dose(1, compartment="depot")}, "E_REGIMEN"),
    ],
)
def test_refusals(intravenous, given, code):
    arguments = {"metrics": ["AUC1"], "regimen": pkpd.dose(1), "interval": TAU} | given
    with pytest.raises(pkpd.InputError) as caught:
        pkpd.exposure_metrics(intravenous, **arguments)
    assert caught.value.code == code
