"""Visual predictive checks of times to event and of categories."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp, expit, lgamma, log
from pkpd.response.kaplan_meier import kaplan_meier

pytestmark = pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
HISTOLOGIES = {"lung": 12.0, "colon": 25.0}


@pkpd.model
def weibull(m):
    """A time to event that differs between histologies."""
    scale = m.theta("SCALE", 12.0, lower=0) * exp(m.factor("TUMOR", reference="lung").effect("SCALE"))
    scale = m.parameter("SCALE", scale * exp(m.eta("SCALE", variance=0.05, fixed=True)))
    shape = m.theta("SHAPE", 1.5, lower=0)
    m.hazard("death", shape / scale * ((m.time + 1e-9) / scale) ** (shape - 1))


def lives(n=80, seed=4, shape=2.0):
    rng = np.random.default_rng(seed)
    rows = []
    for name, scale in HISTOLOGIES.items():
        for _ in range(n):
            t = scale * np.exp(np.sqrt(0.05) * rng.standard_normal()) * rng.exponential() ** (1 / shape)
            end = rng.uniform(10, 40)
            rows += [(len(rows) // 2 + 1, 0.0, np.nan, 1, name)]
            rows += [(len(rows) // 2 + 1, min(t, end), float(t < end), 0, name)]
    return pd.DataFrame(rows, columns=["ID", "TIME", "DV", "MDV", "TUMOR"])


@pytest.fixture(scope="module")
def survival():
    frame = lives()
    return frame, pkpd.fit(weibull, pkpd.read_dataset(frame), pkpd.Laplace(covariance=None))


def test_survival_of_the_data_lies_in_the_band_of_its_own_model(survival):
    frame, fit = survival
    check = pkpd.event_vpc(fit, n=100, seed=1)
    assert check.stratified_by == "TUMOR" and "Kaplan-Meier VPC of death" in repr(check)
    assert check.outside < 0.1
    curve = kaplan_meier(frame[frame.MDV == 0], "TIME", "DV", "TUMOR")
    for name in HISTOLOGIES:
        mine, exact = check.bands[check.bands.stratum == name], curve[curve.histology == name]
        place = np.searchsorted(exact.time, mine.time, side="right")
        np.testing.assert_allclose(mine.observed, np.r_[1.0, exact.survival][place], atol=1e-12)
        assert (mine.lower <= mine["median"]).all() and (mine["median"] <= mine.upper).all()
    again = pkpd.event_vpc(fit, n=100, seed=1)
    assert again.bands.equals(check.bands)
    axes = pkpd.plot.event_vpc(check, language="zh")
    assert axes[0, 0].get_ylabel() == "未发生事件：death"
    assert [ax.get_title(loc="left").split(":")[0] for ax in axes.flat] == list(HISTOLOGIES)


def test_a_wrong_hazard_lies_outside(survival):
    _, fit = survival
    exponential = weibull.replace(theta={"SHAPE": 1.0}).fix("SHAPE")
    wrong = pkpd.fit(exponential, fit.data, pkpd.Laplace(covariance=None))
    assert pkpd.event_vpc(wrong, n=60, seed=1).outside > 0.4
    without = weibull.without_factor("TUMOR")
    pooled = pkpd.fit(without, fit.data, pkpd.Laplace(covariance=None))
    assert pkpd.event_vpc(pooled, n=60, seed=1).outside > 0.4
    assert pkpd.event_vpc(pooled, n=60, seed=1, stratify=None).outside < 0.2


@pkpd.model
def graded(m):
    """Proportional odds of a grade 0, 1, 2 that falls with time, and a Poisson count beside it."""
    x = m.theta("X", 0.5) + m.eta("X", variance=0.5) - m.theta("SLOPE", 0.2) * m.time
    above = [expit(x), expit(x - m.theta("STEP", 1.5, lower=0))]
    p = pkpd.where(m.dv == 0, 1 - above[0], pkpd.where(m.dv == 1, above[0] - above[1], above[1]))
    m.likelihood("grade", -2 * log(p))
    mean = m.theta("MEAN", 3.0, lower=0) * exp(m.eta("MEAN", variance=0.2) - 0.1 * m.time)
    m.likelihood("count", 2 * mean - 2 * m.dv * log(mean) + 2 * lgamma(m.dv + 1))


def grades(n=60, seed=2):
    rng = np.random.default_rng(seed)
    rows = []
    for i in range(n):
        e, mean = np.sqrt(0.5) * rng.standard_normal(), 3 * np.exp(np.sqrt(0.2) * rng.standard_normal())
        for t in (0.0, 2.0, 5.0, 9.0):
            x = 0.5 + e - 0.2 * t
            above = 1 / (1 + np.exp(-np.array([x, x - 1.5])))
            rows.append((i + 1, t, float((rng.uniform() < above).sum()), 1))
            rows.append((i + 1, t, float(rng.poisson(mean * np.exp(-0.1 * t))), 2))
    return pkpd.read_dataset(pd.DataFrame(rows, columns=["ID", "TIME", "DV", "DVID"]))


@pytest.fixture(scope="module")
def toxicity():
    data = grades()
    return pkpd.fit(graded, data, pkpd.Laplace(covariance=None, max_iterations=0))


def test_shares_of_the_data_lie_in_the_bands_of_the_truth(toxicity):
    check = pkpd.category_vpc(toxicity, [0, 1, 2], n=200, seed=1, endpoint="grade")
    bands = check.bands
    assert list(dict.fromkeys(bands.category)) == ["0", "1", "2"] and check.outside <= 0.17
    at = bands[bands.x == 2.0]
    seen = toxicity.data.frame.query("DVID == 1 and TIME == 2").DV
    np.testing.assert_allclose(at.observed, [(seen == k).mean() for k in range(3)])
    assert at.observed.sum() == pytest.approx(1) and (at.n == 60).all()
    # the share of grade 0 by quadrature over the random effect
    z, w = np.polynomial.hermite_e.hermegauss(40)
    exact = np.sum(w * (1 - 1 / (1 + np.exp(-(0.5 + np.sqrt(0.5) * z - 0.4))))) / w.sum()
    assert at["median"].iloc[0] == pytest.approx(exact, abs=0.02)
    axes = pkpd.plot.category_vpc(check)
    assert axes.shape == (3, 1) and axes[0, 0].get_ylabel() == "grade 0"


def test_counts_are_shown_in_groups(toxicity):
    check = pkpd.category_vpc(toxicity, range(40), n=60, seed=1, endpoint=2)
    names = list(dict.fromkeys(check.bands.category))
    assert 3 <= len(names) <= 4 and names[-1].endswith("+") and check.outside <= 0.2
    own = pkpd.category_vpc(toxicity, range(40), n=20, seed=1, endpoint="count", groups=[0, 1, 4])
    assert list(dict.fromkeys(own.bands.category)) == ["0", "1-3", "4+"]
    totals = own.bands.groupby("bin")["observed"].sum()
    np.testing.assert_allclose(totals, 1.0)
    wrong = pkpd.fit(
        graded.replace(theta={"MEAN": 6.0, "SLOPE": -0.3}),
        toxicity.data,
        pkpd.Laplace(covariance=None, max_iterations=0),
    )
    for endpoint, support in (("grade", [0, 1, 2]), ("count", range(60))):
        assert pkpd.category_vpc(wrong, support, n=40, endpoint=endpoint).outside > 0.4


def test_what_cannot_be_compared_is_refused(survival, toxicity):
    fit = survival[1]
    for call, match in (
        (lambda: pkpd.event_vpc(fit, endpoint="relapse"), r"E_EVENT_ENDPOINT.*death \(DVID 1\)"),
        (lambda: pkpd.event_vpc(fit, level=1.0), "E_ARGUMENT"),
        (lambda: pkpd.category_vpc(fit, [0, 1]), "E_CATEGORY_ENDPOINT.*event_vpc"),
        (lambda: pkpd.category_vpc(toxicity, [0, 1], n=5, endpoint=1), "E_SIMULATE_LIKELIHOOD|E_SIMULATION"),
        (
            lambda: pkpd.category_vpc(toxicity, range(80), n=5, endpoint=2, groups=[1, 2]),
            "E_ARGUMENT.*groups",
        ),
        (lambda: pkpd.vpc(toxicity), "E_SIMULATED_ENDPOINT.*category_vpc"),
    ):
        with pytest.raises(pkpd.PkpdError, match=match):
            call()
