"""Predictions against the slow twin, and simulated subjects against the distributions that they are drawn from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from tests import naive


@pkpd.model
def infused(m):
    """One compartment with log-normal CL and V that correlate."""
    cl, v = m.theta("CL", 2.0, lower=0), m.theta("V", 20.0, lower=0)
    eta_cl, eta_v = m.etas("CL", "V", variance=[[0.09], [0.03, 0.04]])
    wt = m.covariate("WT")
    cl = m.parameter("CL", cl * exp(eta_cl) * wt / 70)
    v = m.parameter("V", v * exp(eta_v))
    central = m.compartment("central")
    m.ode(central, -cl / v * central)
    m.observe("cp", central / v, additive=m.sigma("ADD", 0.5), proportional=m.sigma("PROP", 0.1))


@pkpd.model
def normal(m):
    """A constant level with a normal random effect; two endpoints."""
    level, eta = m.theta("LEVEL", 10.0), m.eta("LEVEL", variance=4.0)
    level = m.parameter("LEVEL", level + eta)
    store = m.compartment("store")
    m.ode(store, -store)
    m.observe("a", level + 0 * store, additive=m.sigma("A", 1.0))
    m.observe("b", 2 * level + 0 * store, proportional=m.sigma("B", 0.1))


WEIGHTS = pd.DataFrame({"WT": [50.0, 70.0, 90.0]})
REGIMEN = pkpd.dose(100, infusion=2, times=[0, 24]) + pkpd.dose(50, times=[12])
TIMES = [1.0, 2.0, 11.0, 13.0, 25.0, 40.0]


def by_hand(wt, times=TIMES, cl=2.0, v=20.0, scale=1.0):
    infusions = naive.concentration(
        times, [(0, 100 * scale), (24, 100 * scale)], cl * wt / 70, (v,), duration=2.0
    )
    return infusions + naive.concentration(times, [(12, 50)], cl * wt / 70, (v,))


# practically no variability between subjects
QUIET = {"OMEGA(CL,CL)": 1e-20, "OMEGA(V,V)": 1e-20, "OMEGA(V,CL)": 0.0}


def test_typical_profile_is_the_twin():
    found = pkpd.simulate(infused, REGIMEN, times=TIMES, covariates=WEIGHTS, parameters=QUIET)
    for i, wt in enumerate(WEIGHTS.WT, start=1):
        own = found[found.ID.eq(i)]
        np.testing.assert_allclose(own.IPRED, by_hand(wt), rtol=1e-8)
        assert (wt == own.WT).all()
    stepped = pkpd.simulate(
        infused,
        REGIMEN,
        times=TIMES,
        covariates=WEIGHTS,
        parameters=QUIET,
        solver=pkpd.Solver("ode"),
    )
    np.testing.assert_allclose(stepped.IPRED, found.IPRED, rtol=1e-6)


def test_a_sample_at_a_dose_is_taken_before_it():
    found = pkpd.simulate(
        infused,
        pkpd.dose(50, times=[0, 12]),
        times=[0, 12],
        covariates=WEIGHTS[1:2],
        parameters=QUIET,
    )
    assert found.IPRED.iloc[0] == 0
    np.testing.assert_allclose(found.IPRED.iloc[1], 50 / 20 * np.exp(-0.1 * 12), rtol=1e-8)


def test_dose_per_covariate():
    regimen = pkpd.dose(2, per="WT")
    found = pkpd.simulate(infused, regimen, times=[5.0], covariates=WEIGHTS, parameters=QUIET)
    expected = [2 * wt / 20 * np.exp(-2.0 * wt / 70 / 20 * 5) for wt in WEIGHTS.WT]
    np.testing.assert_allclose(found.IPRED, expected, rtol=1e-8)
    for column, bad in (("BSA", WEIGHTS), ("WT", WEIGHTS.assign(WT=[50.0, -1.0, 60.0]))):
        with pytest.raises(pkpd.InputError, match="E_REGIMEN_PER"):
            pkpd.simulate(infused, pkpd.dose(2, per=column), times=[5.0], covariates=bad)


def test_compartment_by_name_and_number():
    by_name = pkpd.simulate(infused, pkpd.dose(1, compartment="central"), times=[1.0], covariates=WEIGHTS)
    by_number = pkpd.simulate(infused, pkpd.dose(1, compartment=1), times=[1.0], covariates=WEIGHTS)
    assert by_name.equals(by_number)
    for unknown in ("depot", 2, 0):
        with pytest.raises(pkpd.InputError, match=r"E_REGIMEN.*central"):
            pkpd.simulate(infused, pkpd.dose(1, compartment=unknown), times=[1.0], covariates=WEIGHTS)


def test_repeated_dosing_reaches_the_closed_form_of_steady_state():
    regimen = pkpd.dose(100, every=8, until=2000)
    after = np.array([0.5, 4.0, 8.0])
    found = pkpd.simulate(infused, regimen, times=1992 + after, covariates=WEIGHTS[1:2], parameters=QUIET)
    np.testing.assert_allclose(
        found.IPRED, naive.concentration_steady_state(after, 100, 8, 2.0, (20.0,)), rtol=1e-8
    )


# ------------------------------------------------------------------------------------------------------- draws


def within(found, expected, error, z=4.0):
    """Within z Monte Carlo standard errors (seeds are fixed; by chance 1 in 16000 checks would fail)."""
    assert abs(found - expected) < z * error, (found, expected, error)


def test_moments_of_etas_and_residuals():
    n = 20_000
    found = pkpd.simulate(normal, pkpd.dose(1), times=[1.0, 2.0], n=n, seed=1)
    wide = found.pivot_table(index="ID", columns=["TIME", "DVID"], values=["IPRED", "DV"])
    level = wide["IPRED"][1.0][1]
    np.testing.assert_allclose(wide["IPRED"][2.0][2], 2 * level, rtol=1e-12)
    within(level.mean(), 10.0, 2.0 / np.sqrt(n))
    within(level.var(), 4.0, 4.0 * np.sqrt(2 / n))
    for time in (1.0, 2.0):
        a = wide["DV"][time][1] - level
        b = (wide["DV"][time][2] - 2 * level) / (2 * level)
        within(a.mean(), 0.0, 1.0 / np.sqrt(n))
        within(a.var(), 1.0, np.sqrt(2 / n))
        within(b.mean(), 0.0, 0.1 / np.sqrt(n))
        within(b.var(), 0.01, 0.01 * np.sqrt(2 / n))
        within(np.corrcoef(a, level)[0, 1], 0.0, 1 / np.sqrt(n))
    other = wide["DV"][2.0][1] - level
    within(np.corrcoef(wide["DV"][1.0][1] - level, other)[0, 1], 0.0, 1 / np.sqrt(n))


def test_covariance_of_etas_and_combined_error():
    n = 20_000
    found = pkpd.simulate(infused, pkpd.dose(100), times=[1e-9, 10.0], n=n, seed=2, covariates=WEIGHTS[1:2])
    wide = found.pivot_table(index="ID", columns="TIME", values="IPRED").to_numpy()
    eta_v = -np.log(wide[:, 0] / 5.0)
    eta_cl = np.log(-np.log(wide[:, 1] / wide[:, 0]) / 10 * 20.0 * np.exp(eta_v) / 2.0)
    spread = np.cov(eta_cl, eta_v)
    for (i, j), expected in {(0, 0): 0.09, (1, 1): 0.04, (0, 1): 0.03}.items():
        variance = ((0.09, 0.04)[i] * (0.09, 0.04)[j] + expected**2) / n
        within(spread[i, j], expected, np.sqrt(variance))
    standard = (found.DV - found.IPRED) / np.hypot(0.5, 0.1 * found.IPRED)
    within(standard.mean(), 0.0, 1 / np.sqrt(2 * n))
    within(standard.var(), 1.0, np.sqrt(2 / (2 * n)))


def test_draws_of_a_subject_do_not_depend_on_how_many_others_there_are():
    few = pkpd.simulate(normal, pkpd.dose(1), times=[1.0, 2.0], n=3, seed=5)
    many = pkpd.simulate(normal, pkpd.dose(1), times=[1.0, 2.0], n=50, seed=5)
    assert many[many.ID <= 3].equals(few)
    assert not pkpd.simulate(normal, pkpd.dose(1), times=[1.0, 2.0], n=3, seed=6).equals(few)
    # more sampling times add residuals, they do not change the subject
    longer = pkpd.simulate(normal, pkpd.dose(1), times=[1.0, 2.0, 3.0], n=3, seed=5)
    assert longer[longer.TIME <= 2].IPRED.tolist() == few.IPRED.tolist()


def test_bits_are_the_same_at_one_and_two_threads():
    from pkpd._jit import set_threads, threads

    before, runs = threads(), []
    try:
        for n in (1, 2):
            set_threads(n)
            runs.append(pkpd.simulate(infused, REGIMEN, times=TIMES, n=40, seed=9, covariates=WEIGHTS))
    finally:
        set_threads(before)
    assert runs[0].equals(runs[1])


def test_covariates_are_drawn_with_replacement():
    found = pkpd.simulate(infused, REGIMEN, times=[1.0], n=3000, seed=4, covariates=WEIGHTS)
    counts = found.WT.value_counts()
    assert set(counts.index) == {50.0, 70.0, 90.0}
    for count in counts:
        within(count, 1000, np.sqrt(3000 * (1 / 3) * (2 / 3)))
    assert found.groupby("ID").WT.nunique().max() == 1
    assert list(pkpd.simulate(infused, REGIMEN, times=[1.0], covariates=WEIGHTS).WT) == [50.0, 70.0, 90.0]


def test_levels_are_those_of_the_whole_table():
    """Drawing few subjects must not lose a level, nor its effect."""
    model = infused.with_effect("CL", "TUMOR", reference="lung")
    table = WEIGHTS.assign(WT=70.0, TUMOR=["lung", "skin", "colon"])
    values = QUIET | {"CL(TUMOR=skin)": 0.5, "CL(TUMOR=colon)": -0.5}
    effects = {"lung": 0.0, "skin": 0.5, "colon": -0.5}
    for seed in range(6):
        found = pkpd.simulate(
            model, pkpd.dose(100), times=[10.0], n=2, seed=seed, covariates=table, parameters=values
        )
        for row in found.itertuples():
            expected = 5 * np.exp(-0.1 * np.exp(effects[row.TUMOR]) * 10)
            np.testing.assert_allclose(row.IPRED, expected, rtol=1e-8)


# ------------------------------------------------------------------------------------ records of a data set


@pytest.fixture(scope="module")
def data():
    rows = []
    for i, wt in enumerate((50.0, 90.0)):
        rows.append(
            {"ID": f"S{i}", "TIME": 0.0, "EVID": 1, "AMT": 100.0, "RATE": 50.0, "DV": np.nan, "WT": wt}
        )
        rows += [
            {"ID": f"S{i}", "TIME": t, "EVID": 0, "AMT": 0.0, "RATE": 0.0, "DV": 1.0, "WT": wt}
            for t in (1.0, 2.0, 6.0)
        ]
    return pkpd.read_dataset(pd.DataFrame(rows))


def test_predict_is_the_twin(data):
    etas = pd.DataFrame({"CL": [0.2, -0.3], "V": [0.1, 0.0]}, index=["S0", "S1"])
    for given, shift in ((None, np.zeros((2, 2))), (etas, etas.to_numpy())):
        found = pkpd.predict(infused, data, {"CL": 1.5}, given)
        for i, wt in enumerate((50.0, 90.0)):
            cl, v = 1.5 * np.exp(shift[i, 0]) * wt / 70, 20 * np.exp(shift[i, 1])
            expected = naive.concentration([1, 2, 6], [(0, 100)], cl, (v,), duration=2.0)
            np.testing.assert_allclose(found.PRED[f"S{i}" == found.ID], expected, rtol=1e-10)


def test_simulating_the_records_of_a_data_set(data):
    found = pkpd.simulate(infused, data, seed=3)
    assert list(found.ID) == ["S0"] * 3 + ["S1"] * 3
    assert list(found.TIME) == [1, 2, 6] * 2
    assert found.equals(pkpd.simulate(infused, data, seed=3))
    assert not np.allclose(found.DV, pkpd.simulate(infused, data, seed=4).DV)


# ----------------------------------------------------------------------------------------------------- refusals


def test_etas_that_do_not_fit_are_refused(data):
    good = pd.DataFrame({"CL": [0.0, 0.0], "V": [0.0, 0.0]}, index=["S0", "S1"])
    bad = {
        "lack V": good[["CL"]],
        "lack S1": good[:1],
        "column 'KA'": good.assign(KA=0.0),
        "repeat an ID": pd.concat([good, good]),
        "ID S1 is not a finite": good.assign(V=[0.0, np.nan]),
    }
    for words, etas in bad.items():
        with pytest.raises(pkpd.InputError, match=f"E_ETAS.*{words}"):
            pkpd.predict(infused, data, etas=etas)


@pytest.mark.parametrize(
    "given",
    [
        {"times": None},
        {"times": []},
        {"times": [-1.0]},
        {"times": [np.nan]},
        {"n": 0},
        {"n": -2},
        {"n": 2.5},
        {"covariates": WEIGHTS[:0]},
        {"covariates": WEIGHTS.assign(DV=1.0)},
    ],
)
def test_impossible_simulations_are_refused(given):
    with pytest.raises(pkpd.InputError, match="E_SIMULATE"):
        pkpd.simulate(infused, REGIMEN, **({"times": TIMES, "covariates": WEIGHTS} | given))


def test_a_data_set_brings_its_own_design(data):
    for extra in ({"times": [1.0]}, {"n": 5}, {"covariates": WEIGHTS}):
        with pytest.raises(pkpd.InputError, match="E_SIMULATE"):
            pkpd.simulate(infused, data, **extra)
    with pytest.raises(pkpd.InputError, match=r"E_SIMULATE.*float"):
        pkpd.simulate(infused, 100.0, times=[1.0])


def test_missing_covariates_are_named():
    with pytest.raises(pkpd.InputError, match=r"E_MODEL_COLUMN.*WT"):
        pkpd.simulate(infused, REGIMEN, times=TIMES)
    with pytest.raises(pkpd.InputError, match=r"E_COVARIATE_MISSING.*WT"):
        pkpd.simulate(infused, REGIMEN, times=TIMES, covariates=pd.DataFrame({"WT": [70.0, np.nan]}))


def test_one_tumour_type_is_simulated_with_the_estimates_of_all():
    """Neither the reference nor the other levels need be among the subjects; a label that has no effect is refused."""

    @pkpd.model
    def tumours(m):
        cl = m.theta("CL", 5.0, lower=0) * exp(m.factor("TUMOR", reference="breast").effect("CL"))
        cl = m.parameter("CL", cl)
        central = m.compartment("central")
        m.ode(central, -cl / 50 * central)
        m.observe("cp", central / 50, proportional=m.sigma("PROP", 0.1))

    estimates = {"CL": 4.0, "CL(TUMOR=lung)": 0.3, "CL(TUMOR=liver)": -0.2}
    for label, effect in (("lung", 0.3), ("breast", 0.0), ("liver", -0.2)):
        one = pd.DataFrame({"TUMOR": [label]})
        found = pkpd.simulate(tumours, pkpd.dose(100), times=[3.0], covariates=one, parameters=estimates)
        expected = 2 * np.exp(-4 * np.exp(effect) / 50 * 3)
        np.testing.assert_allclose(found.IPRED, expected, rtol=1e-12)
        data = pkpd.read_dataset(
            pd.DataFrame({"ID": 1, "TIME": [0.0, 3.0], "EVID": [1, 0], "AMT": [100.0, 0.0], "DV": [np.nan, 1.0], "TUMOR": label})
        )  # fmt: skip
        np.testing.assert_allclose(pkpd.predict(tumours, data, estimates).PRED, expected, rtol=1e-12)
    for wrong in ({"TUMOR": ["lugn"]}, {"TUMOR": ["lung", "skin"]}):
        with pytest.raises(pkpd.InputError, match="E_PARAMETER_NAME"):
            pkpd.simulate(
                tumours, pkpd.dose(100), times=[3.0], covariates=pd.DataFrame(wrong), parameters=estimates
            )


def test_a_sample_at_the_time_of_a_dose_is_taken_before_it_whatever_the_last_bit():
    """8.1 three times is 24.299999999999997, before a sample at 24.3."""

    @pkpd.model
    def central(m):
        amount = m.compartment("central")
        m.ode(amount, -0.1 * amount)
        m.observe("y", amount, additive=m.sigma("ADD", 1.0))

    for every in (8.0, 8.1, 0.1):
        found = pkpd.simulate(
            central, pkpd.dose(1, every=every, until=3.5 * every), times=[float(f"{3 * every:.1f}")]
        )
        expected = sum(np.exp(-0.1 * k * every) for k in (1, 2, 3))
        np.testing.assert_allclose(found.IPRED, expected, rtol=1e-12)
