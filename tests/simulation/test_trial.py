"""Trials in tasks: the same rows for any cut, executor and number of threads; replicates, arms, uncertainty, Parquet."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd import exp
from pkpd.parallel import processes
from pkpd.simulation import trial
from tests import naive


@pkpd.model
def oral(m):
    """One compartment by mouth; weight acts on clearance."""
    cl, v = m.theta("CL", 2.0, lower=0), m.theta("V", 20.0, lower=0)
    eta_cl, eta_v = m.etas("CL", "V", variance=[[0.09], [0.03, 0.04]])
    cl = m.parameter("CL", cl * exp(eta_cl) * m.covariate("WT") / 70)
    v = m.parameter("V", v * exp(eta_v))
    ka = m.parameter("KA", m.theta("KA", 1.1, lower=0))
    depot, central = m.compartment("depot"), m.compartment("central")
    m.ode(depot, -ka * depot)
    m.ode(central, ka * depot - cl / v * central)
    m.observe("cp", central / v, additive=m.sigma("ADD", 0.5), proportional=m.sigma("PROP", 0.1))


TABLE = pd.DataFrame({"WT": [50.0, 70.0, 90.0], "SITE": ["a", "b", "c"]})
TIMES = [1.0, 4.0, 13.0]
ARMS = {"low": pkpd.dose(50, every=12, until=24), "high": pkpd.dose(100, infusion=2, compartment="central")}
WHOLE = {"times": TIMES, "n": 23, "seed": 7, "replicates": 3, "covariates": TABLE}


class Spread:
    """Clearance known to 20 %, volume exactly."""

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        return pd.DataFrame({"CL": 2 * np.exp(0.2 * np.random.default_rng(seed).standard_normal(n))})


@pytest.fixture(scope="module")
def whole():
    return pkpd.simulate(oral, ARMS, **WHOLE, uncertainty=Spread())


def test_layout(whole):
    assert list(whole) == ["REP", "ID", "ARM", "TIME", "DVID", "IPRED", "DV", "WT", "SITE"]
    assert whole.groupby("REP").ID.nunique().tolist() == [46] * 3
    assert whole.groupby("ARM").ID.unique().map(list).to_dict() == {
        "high": list(range(24, 47)),
        "low": list(range(1, 24)),
    }
    assert (whole.groupby(["REP", "ID"]).size() == 3).all()
    pairs = whole[["WT", "SITE"]].drop_duplicates()
    assert {tuple(p) for p in pairs.to_numpy()} == {(50.0, "a"), (70.0, "b"), (90.0, "c")}
    # nobody is anybody's copy, in no replicate
    assert whole.IPRED.nunique() == len(whole) and whole.DV.nunique() == len(whole)


@pytest.mark.parametrize("rows", [3, 12, 30, 10**6])
def test_the_cut_into_tasks_changes_nothing(whole, monkeypatch, rows):
    monkeypatch.setattr(trial, "_ROWS", rows)
    assert pkpd.simulate(oral, ARMS, **WHOLE, uncertainty=Spread()).equals(whole)


def test_threads_and_processes_change_nothing(whole, monkeypatch):
    monkeypatch.setattr(trial, "_ROWS", 20)
    with ThreadPoolExecutor(3) as pool:
        assert pkpd.simulate(oral, ARMS, **WHOLE, uncertainty=Spread(), executor=pool).equals(whole)
    assert pkpd.simulate(oral, ARMS, **WHOLE, uncertainty=Spread(), executor=processes(2)).equals(whole)


def test_parquet_holds_the_same_rows(whole, monkeypatch, tmp_path):
    monkeypatch.setattr(trial, "_ROWS", 20)
    path = pkpd.simulate(oral, ARMS, **WHOLE, uncertainty=Spread(), path=tmp_path / "x.parquet")
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole, check_exact=True)
    with pytest.raises(pkpd.InputError, match="E_FILE_UNWRITABLE"):
        pkpd.simulate(oral, ARMS, **WHOLE, path=tmp_path / "no" / "x.parquet")
    # a failure leaves neither a half file nor the old one damaged
    with pytest.raises(pkpd.FitError, match="E_PREDICTION"):
        pkpd.simulate(oral, ARMS, **WHOLE, path=path, solver=pkpd.Solver("ode", max_steps=1))
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]
    pd.testing.assert_frame_equal(pd.read_parquet(path), whole, check_exact=True)


def test_replicates_and_subjects_keep_their_draws(whole):
    fewer = pkpd.simulate(oral, ARMS, **(WHOLE | {"replicates": 2}))
    alone = pkpd.simulate(oral, ARMS, **(WHOLE | {"replicates": None}))
    assert fewer[fewer.REP == 1].drop(columns="REP").equals(alone)
    one_arm = pkpd.simulate(oral, ARMS["low"], **(WHOLE | {"replicates": None, "n": 5}))
    assert one_arm.equals(alone[alone.ID <= 5].drop(columns="ARM"))
    quiet = pkpd.simulate(oral, ARMS, **(WHOLE | {"replicates": 2}), residual_error=False)
    assert quiet.equals(fewer.drop(columns="DV"))


def test_uncertainty_moves_whole_replicates():
    """Var of the log clearance that a replicate shows = that of its parameter: each replicate has a set of its own."""
    given = Spread().draw(40, 3)
    found = pkpd.simulate(
        oral, pkpd.dose(100, compartment="central"), times=[1e-9, 10.0], n=400, seed=3, replicates=40,
        covariates=TABLE[1:2], residual_error=False, uncertainty=Spread(),
    )  # fmt: skip
    wide = found.pivot_table(index=["REP", "ID"], columns="TIME", values="IPRED").to_numpy()
    v = 100 / wide[:, 0]
    cl = -np.log(wide[:, 1] / wide[:, 0]) / 10 * v
    means = np.log(cl).reshape(40, 400).mean(axis=1)
    # the mean of 400 etas of SD 0.3 is known to 0.015; by chance four of 40 SDs do not happen
    np.testing.assert_allclose(means, np.log(given.CL), atol=4 * 0.3 / 20)


def test_data_sets_are_replicated():
    frame = pd.DataFrame(
        {"ID": [1, 1, 2, 2, 2], "TIME": [0, 2.0, 0, 1, 3], "AMT": [100, 0, 100, 0, 0], "EVID": [1, 0, 1, 0, 0],
         "DV": [np.nan, 1, np.nan, 2, 2], "WT": 70.0}
    )  # fmt: skip
    data = pkpd.read_dataset(frame)
    found = pkpd.simulate(oral, data, seed=5, replicates=4)
    assert found.REP.tolist() == np.repeat([1, 2, 3, 4], 3).tolist() and found.ID.tolist() == [1, 2, 2] * 4
    assert found[found.REP == 1].drop(columns="REP").equals(pkpd.simulate(oral, data, seed=5))
    assert found.IPRED.nunique() == 12


@pytest.mark.parametrize(("infusion", "compartment"), [(None, None), (3.0, "central")])
def test_steady_state_is_the_closed_form(infusion, compartment):
    regimen = pkpd.dose(
        100, every=12, until=24, infusion=infusion, compartment=compartment, steady_state=True
    )
    quiet = {"OMEGA(CL,CL)": 1e-20, "OMEGA(V,V)": 1e-20, "OMEGA(V,CL)": 0.0}
    times = np.array([0.0, 0.5, 3.0, 11.9, 12.0, 12.5, 23.9])
    found = pkpd.simulate(
        oral, regimen, times=times, covariates=TABLE[1:2], parameters=quiet, residual_error=False
    )
    # before a dose the interval has just ended: time 12 after the dose before
    after = np.where(times % 12 == 0, 12.0, times % 12)
    route = {"ka": 1.1} if infusion is None else {"duration": infusion}
    expected = naive.concentration_steady_state(after, 100, 12, 2.0, (20.0,), **route)
    np.testing.assert_allclose(found.IPRED, expected, rtol=1e-8)


def test_steady_states_add_up_where_that_is_true():
    quiet = {"OMEGA(CL,CL)": 1e-20, "OMEGA(V,V)": 1e-20, "OMEGA(V,CL)": 0.0}
    options = {"times": [0.0, 1.0, 7.9, 12.0], "covariates": TABLE[1:2], "parameters": quiet}
    parts = [pkpd.dose(100, every=12, steady_state=True), pkpd.dose(30, every=8, steady_state=True)]
    each = [pkpd.simulate(oral, p, **options, residual_error=False).IPRED for p in parts]
    both = pkpd.simulate(oral, parts[0] + parts[1], **options, residual_error=False).IPRED
    np.testing.assert_allclose(both, each[0] + each[1], rtol=1e-10)
    with pytest.raises(pkpd.InputError, match="E_REGIMEN_STEADY"):
        pkpd.simulate(oral, parts[0] + parts[1], **options, solver=pkpd.Solver("ode"))

    @pkpd.model
    def circadian(m):
        """Clearance that follows the clock."""
        cl = m.parameter("CL", m.theta("CL", 2.0, lower=0) * exp(m.eta("CL", variance=0.1)))
        central = m.compartment("central")
        m.ode(central, -cl * (1 + 0.1 * m.time / (1 + m.time)) / 20 * central)
        m.observe("cp", central / 20, additive=m.sigma("ADD", 0.5))

    with pytest.raises(pkpd.InputError, match=r"E_REGIMEN_STEADY.*time itself"):
        pkpd.simulate(circadian, parts[0], times=[1.0])


class Wrong:
    def __init__(self, draws):
        self.draws = draws

    def draw(self, n, seed):
        return self.draws


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"uncertainty": Spread()}, "E_SIMULATE"),
        ({"replicates": 0}, "E_SIMULATE"),
        ({"replicates": 2.5}, "E_SIMULATE"),
        ({"seed": -1}, "E_ARGUMENT"),
        ({"seed": 0.5}, "E_ARGUMENT"),
        ({"replicates": 2, "uncertainty": 0.2}, "E_UNCERTAINTY"),
        ({"replicates": 2, "uncertainty": Wrong([1, 2])}, "E_UNCERTAINTY"),
        ({"replicates": 2, "uncertainty": Wrong(pd.DataFrame({"CL": [1.0]}))}, "E_UNCERTAINTY"),
        ({"replicates": 1, "uncertainty": Wrong(pd.DataFrame({"Q": [1.0]}))}, "E_PARAMETER_NAME"),
        ({"replicates": 1, "uncertainty": Wrong(pd.DataFrame({"CL": [-1.0]}))}, "E_PARAMETER_VALUE"),
        ({"replicates": 1, "uncertainty": Spread(), "parameters": {"CL": 1.0}}, "E_UNCERTAINTY"),
        ({"executor": 3}, "E_EXECUTOR"),
        ({"covariates": TABLE.assign(TIME=0.0)}, "E_SIMULATE"),
        ({"covariates": TABLE.assign(ARM="a")}, "E_SIMULATE"),
    ],
)  # fmt: skip
def test_refusals(given, code):
    with pytest.raises(pkpd.InputError) as caught:
        pkpd.simulate(oral, ARMS, **({"times": TIMES, "covariates": TABLE} | given))
    assert caught.value.code == code


@pytest.mark.parametrize("arms", [{}, {"a": 3.0}, {"a": None}, [pkpd.dose(1)]])
def test_arms_that_are_none(arms):
    with pytest.raises(pkpd.InputError, match="E_SIMULATE"):
        pkpd.simulate(oral, arms, times=TIMES, covariates=TABLE)
