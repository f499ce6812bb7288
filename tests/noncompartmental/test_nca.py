"""Non-compartmental analysis against Phoenix WinNonlin, and against closed forms where its rules are exact."""

from __future__ import annotations

import warnings

import mpmath
import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.noncompartmental.areas import segment_areas
from pkpd.results import from_json, to_json
from tests.noncompartmental import phoenix

LENIENT = {"most_extrapolated": 100, "least_r2_adjusted": 0}


def read(frame: pd.DataFrame, **options) -> pkpd.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.read_dataset(frame, **options)


def of(found, parameter, dose=1):
    own = found.table[(found.table.parameter == parameter) & (found.table.dose_number == dose)]
    return own.set_index("ID")


def agrees(found, expected, digits=1e-7):
    for name, values in expected.items():
        # printed to seven decimals (Theoph: to seven digits)
        np.testing.assert_allclose(of(found, name).value, values, rtol=3 * digits, atol=6e-8, err_msg=name)


@pytest.fixture(scope="module")
def indometh():
    return pkpd.load_dataset("indometh")


def infused(data, duration=0.25):
    frame = data.frame[["ID", "TIME", "AMT", "EVID", "MDV", "DV"]].copy()
    return read(frame.assign(RATE=np.where(frame.EVID == 1, 25 / duration, 0.0)))


def test_bolus_of_phoenix(indometh):
    agrees(pkpd.nca(indometh, route="bolus", **LENIENT), phoenix.BOLUS_LOG)


def test_infusion_of_phoenix(indometh):
    data = infused(indometh)
    agrees(pkpd.nca(data, route="bolus", trapezoids="linear", **LENIENT), phoenix.INFUSION_LINEAR)
    agrees(pkpd.nca(data, route="bolus", **LENIENT), phoenix.INFUSION_LOG)


def test_extravascular_of_phoenix(indometh):
    found = pkpd.nca(indometh, route="extravascular", trapezoids="linear", **LENIENT)
    agrees(found, phoenix.EXTRAVASCULAR_LINEAR)
    assert not {"C0", "VSSO", "CLO", "MRTIVIFO"} & set(found.table.parameter)


def test_theophylline_of_phoenix():
    frame = pkpd.load_dataset("theophylline").frame[["ID", "TIME", "AMT", "EVID", "MDV", "DV", "CMT"]].copy()
    frame.loc[frame.EVID == 1, "AMT"] = 320.0
    data = read(frame)
    options = {"route": "extravascular", "intervals": [(0, 12), (0, 24)]} | LENIENT
    found = pkpd.nca(data, trapezoids="linear", **options)
    agrees(found, phoenix.THEOPH_LINEAR)
    for name, value in phoenix.THEOPH_FIRST.items():
        assert of(found, name).value[1] == pytest.approx(value, rel=1e-9)
    agrees(pkpd.nca(data, **options), phoenix.THEOPH_LOG, digits=1e-8)


# ------------------------------------------------------------------------------------------------ closed forms

CL, V, DOSE, TAU = 2.0, 20.0, 100.0, 12.0
K = CL / V


def profile(times, conc, dose=DOSE, more=(), **columns):
    rows = [{"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": dose, "DV": np.nan, **columns}, *more]
    rows += [{"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": c} for t, c in zip(times, conc, strict=True)]
    frame = pd.DataFrame(rows).sort_values("TIME", kind="stable")
    return read(frame.fillna({c: 0 for c in columns}))


def test_a_monoexponential_bolus_is_exact():
    """The logarithmic trapezoid, back-extrapolation and the tail make no error on one exponential."""
    times = np.array([0.5, 1.0, 3.0, 7.0, 20.0])
    found = pkpd.nca(
        profile(times, DOSE / V * np.exp(-K * times)), route="bolus", intervals=[(2, 30), (25, 40)]
    )
    value = found.table.set_index("parameter").value
    expected = {
        "C0": DOSE / V, "LAMZ": K, "LAMZHL": np.log(2) / K, "LAMZNPT": 5, "R2ADJ": 1, "AUCIFO": DOSE / CL,
        "AUCIFP": DOSE / CL, "AUCLST": DOSE / CL * (1 - np.exp(-K * 20)), "AUCPEO": 100 * np.exp(-K * 20),
        "AUMCIFO": DOSE / V / K**2, "MRTIVIFO": 1 / K, "CLO": CL, "VZO": V, "VSSO": V, "AUCIFOD": 1 / CL,
        "AUCINT(2,30)": DOSE / CL * (np.exp(-2 * K) - np.exp(-30 * K)),
        "AUCINT(25,40)": DOSE / CL * (np.exp(-25 * K) - np.exp(-40 * K)),
    }  # fmt: skip
    for name, x in expected.items():
        assert value[name] == pytest.approx(x, rel=1e-10), name


@pytest.mark.parametrize("fall", [1e-1, 1e-3, 1e-7, 1e-12])
def test_a_profile_that_hardly_falls_keeps_the_digits_of_its_moment(fall):
    # relative errors were 1e-3 at a fall of 1e-7 and 8e6 at 1e-12: the difference of two large numbers
    time, conc = np.array([10.0, 12.0]), np.array([5.0, 5.0 * (1 - fall)])
    area, moment = segment_areas(time, conc, "linear-up log-down")
    with mpmath.workdps(60):
        c1, c2 = (mpmath.mpf(float(c)) for c in conc)
        k = mpmath.log(c1 / c2) / 2
        assert float(area[0] / ((c1 - c2) / k)) == pytest.approx(1, rel=1e-14)
        assert float(moment[0] / ((10 * c1 - 12 * c2) / k + (c1 - c2) / k**2)) == pytest.approx(1, rel=1e-14)


def test_the_end_of_an_interval_is_found_whatever_the_time_of_the_dose():
    # 32.02 - 8.02 = 24.000000000000004: one dose time of nine with two decimals lost its trough
    time = np.array([0.5, 1, 2, 4, 8, 12, 24])
    rows = [(1, 8.02, 1, 100, 24, 1, np.nan)]
    rows += [(1, float(f"{8.02 + t:.2f}"), 0, 0, 0, 0, 10 * np.exp(-0.1 * t)) for t in time]
    data = read(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "II", "SS", "DV"]))
    found = pkpd.nca(data, route="bolus", tau=24, intervals=[(0, 24)])
    assert of(found, "CTROUGH").value[1] == pytest.approx(10 * np.exp(-2.4))
    for name in ("AUCTAU", "AUCINT(0,24)"):
        assert of(found, name).value[1] == pytest.approx((1 - np.exp(-2.4)) * 100, rel=1e-12)


def test_each_period_of_a_crossover_has_a_first_dose():
    """Two periods parted by a reset, each with a clearance of its own; the second one had had none."""
    rows = []
    for start, cl in ((0.0, 5.0), (168.0, 8.0)):
        rows += [(1, start, 4 if start else 1, 100, np.nan), (1, start + 24, 1, 100, np.nan)]
        for t in (1, 2, 4, 8, 12, 24, 25, 26, 28, 32, 36, 48):
            y = 5 * np.exp(-cl / 20 * t) + 5 * np.exp(-cl / 20 * (t - 24)) * (t > 24)
            rows.append((1, start + t, 0, 0, y))
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "DV"])
    found = pkpd.nca(read(frame.sort_values(["TIME", "EVID"], kind="stable")), route="bolus")
    clearance = found.table[found.table["parameter"] == "CLO"].set_index("dose_number")["value"]
    assert list(clearance.index) == [1, 3]
    np.testing.assert_allclose(clearance, [5.0, 8.0], rtol=1e-9)


def test_what_follows_the_dosing_interval_is_not_of_it():
    seen = [(1, 4.0), (4, 6.0), (8, 3.0), (12, 9.0), (16, 2.0), (20, 1.0), (24, 0.5)]
    rows = [(1, 0, 1, 100, 8, 1, np.nan), *((1, t, 0, 0, 0, 0, c) for t, c in seen)]
    data = read(pd.DataFrame(rows, columns=["ID", "TIME", "EVID", "AMT", "II", "SS", "DV"]))
    found = pkpd.nca(data, route="extravascular", trapezoids="linear", **LENIENT)
    # it begins at its own smallest concentration, 3
    assert of(found, "AUCTAU").value[1] == pytest.approx(3.5 + 15 + 18)
    assert of(found, "SWING").value[1] == pytest.approx(100.0)
    assert of(found, "CMIN").value[1] == 3.0


def test_an_endpoint_is_named_as_in_the_data():
    """Two analytes of one bolus, the second at twice the concentration: its clearance is half."""
    times = np.array([0.5, 1.0, 3.0, 7.0, 20.0])
    rows = [{"ID": 1, "TIME": 0.0, "EVID": 1, "AMT": DOSE, "DV": np.nan, "DVID": "drug"}]
    for t in times:
        c = DOSE / V * np.exp(-K * t)
        rows += [
            {"ID": 1, "TIME": t, "EVID": 0, "AMT": 0.0, "DV": c * f, "DVID": n}
            for n, f in (("drug", 1), ("salt", 2))
        ]
    data = read(pd.DataFrame(rows))
    for name, cl in (("drug", CL), ("salt", CL / 2)):
        found = pkpd.nca(data, route="bolus", endpoint=name)
        assert of(found, "CLO").value[1] == pytest.approx(cl, rel=1e-10)
    with pytest.raises(pkpd.InputError, match=r"E_NCA.*endpoint=1 has no record.*drug, salt"):
        pkpd.nca(data, route="bolus")


def test_dense_oral_profile_approaches_the_closed_form():
    ka = 1.5
    times = np.concatenate([np.linspace(0, 12, 2401)[1:], np.linspace(12, 60, 200)[1:]])
    conc = DOSE / V * ka / (ka - K) * (np.exp(-K * times) - np.exp(-ka * times))
    value = pkpd.nca(profile(times, conc), route="extravascular").table.set_index("parameter").value
    expected = {
        "CLFO": CL,
        "VZFO": V,
        "LAMZ": K,
        "MRTEVIFO": 1 / K + 1 / ka,
        "TMAX": np.log(ka / K) / (ka - K),
    }
    for name, x in expected.items():
        # adjusted R² within 1e-4 of 1 lets some points before the end of absorption into λz
        assert value[name] == pytest.approx(x, rel=5e-3), name


def test_dense_infusion_gives_vss():
    length = 2.0
    times = np.concatenate([np.linspace(0, 2, 401)[1:], np.linspace(2, 60, 400)[1:]])
    top = DOSE / length / CL * (1 - np.exp(-K * length))
    during = DOSE / length / CL * (1 - np.exp(-K * np.minimum(times, length)))
    conc = np.where(times <= length, during, top * np.exp(-K * (times - length)))
    data = profile(times, conc, RATE=DOSE / length)
    value = pkpd.nca(data, route="bolus").table.set_index("parameter").value
    for name, x in {"CLO": CL, "VSSO": V, "VZO": V, "MRTIVIFO": 1 / K}.items():
        assert value[name] == pytest.approx(x, rel=1e-5), name


def steady_bolus(times):
    return DOSE / V * np.exp(-K * times) / (1 - np.exp(-K * TAU))


def test_steady_state_of_the_data():
    times = np.array([0.5, 2.0, 6.0, 12.0])
    found = pkpd.nca(profile(times, steady_bolus(times), SS=1, II=TAU), route="bolus")
    value = found.table.set_index("parameter").value
    peak, trough = steady_bolus(np.array([0.5, 12.0]))
    expected = {
        "AUCTAU": DOSE / CL, "CAVG": DOSE / CL / TAU, "CLTAU": CL, "VZTAU": V, "CTROUGH": trough, "CMIN": trough,
        "FLUCP": 100 * (peak - trough) / (DOSE / CL / TAU), "SWING": 100 * (peak / trough - 1),
    }  # fmt: skip
    for name, x in expected.items():
        assert value[name] == pytest.approx(x, rel=1e-10), name
    assert not {"AUCIFO", "CLO", "VSSO"} & set(value.index)


def repeated(count=6):
    """A bolus every 12 h; full profiles after the first and the last."""
    rows = [{"ID": 1, "TIME": TAU * k, "EVID": 1, "AMT": DOSE, "DV": np.nan} for k in range(count)]
    for k in (0, count - 1):
        for t in (0.5, 2.0, 6.0, 11.5):
            c = sum(DOSE / V * np.exp(-K * (t + TAU * j)) for j in range(k + 1))
            rows.append({"ID": 1, "TIME": TAU * k + t, "EVID": 0, "AMT": 0.0, "DV": c})
    rows.append({"ID": 1, "TIME": TAU * 2 + 1, "EVID": 0, "AMT": 0.0, "DV": 5.0})
    return read(pd.DataFrame(rows).sort_values("TIME", kind="stable"))


def test_repeated_doses():
    data = repeated()
    found = pkpd.nca(data, route="bolus", tau=TAU, steady_state=True, most_extrapolated=100)
    assert sorted(found.table.dose_number.unique()) == [1, 6]
    assert found.skipped.dose_number.tolist() == [2, 3, 4, 5]
    assert found.skipped.reason[1] == "only 1 quantifiable concentrations"
    gone = np.exp(-K * TAU)
    first, last = DOSE / CL * (1 - gone), DOSE / CL * (1 - gone**6)
    assert of(found, "AUCTAU").value[1] == pytest.approx(first, rel=1e-10)
    assert of(found, "AUCTAU", 6).value[1] == pytest.approx(last, rel=1e-10)
    assert of(found, "ARAUC", 6).value[1] == pytest.approx(last / first, rel=1e-10)
    assert of(found, "ARCMAX", 6).value[1] == pytest.approx((1 - gone**6) / (1 - gone), rel=1e-10)
    assert of(found, "CLTAU", 6).value[1] == pytest.approx(DOSE / last, rel=1e-10)
    assert "AUCIFO" in set(found.table[found.table.dose_number == 1].parameter)
    # on the way to steady state neither clearance nor areas to infinity are given
    found = pkpd.nca(data, route="bolus")
    late = set(found.table[found.table.dose_number == 6].parameter)
    assert {"LAMZ", "AUCLST", "CMAX"} <= late and not {"AUCIFO", "CLO", "CLTAU", "ARAUC"} & late


def test_a_sample_before_the_next_dose_belongs_to_both():
    ka = 2.0
    after = np.array([0.0, 0.5, 1, 3, 8, 12])
    first = ka / (ka - K) * (np.exp(-K * after) - np.exp(-ka * after)) * DOSE / V
    rows = [(0.0, 0, 0.0), (0.0, 1, np.nan)] + [(t, 0, c) for t, c in zip(after[1:], first[1:], strict=True)]
    rows += [(12.0, 1, np.nan)] + [(12 + t, 0, 1.2 * c) for t, c in zip(after[1:], first[1:], strict=True)]
    frame = pd.DataFrame(rows, columns=["TIME", "EVID", "DV"]).assign(ID=1)
    found = pkpd.nca(read(frame.assign(AMT=DOSE * frame.EVID)), route="extravascular", most_extrapolated=100)
    assert of(found, "CTROUGH").value[1] == first[-1]
    assert not of(found, "AUCLST", 2).excluded[1]
    # without it nobody knows where the second profile begins
    cut = frame[~((frame.TIME == 12) & (frame.EVID == 0))]
    found = pkpd.nca(read(cut.assign(AMT=DOSE * cut.EVID)), route="extravascular", most_extrapolated=100)
    assert "not the first" in of(found, "AUCLST", 2).reason[1]


# ------------------------------------------------------------------------------- what is missing or doubtful


def test_rules_for_values_below_the_limit():
    times = np.array([0.25, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0])
    conc = np.array([0.0, 4.0, 8.0, 0.0, 3.0, 2.0, 0.0])
    frame = profile(times, conc).frame[["ID", "TIME", "EVID", "AMT", "DV"]].assign(LLOQ=0.5)
    data = read(frame)
    linear = {"route": "extravascular", "trapezoids": "linear", "with_peak": True} | LENIENT
    shapes = {
        "leading zero": ([0, 0.25, 0.5, 1, 4, 6], [0, 0, 4, 8, 3, 2]),
        "zero": ([0, 0.25, 0.5, 1, 2, 4, 6], [0, 0, 4, 8, 0, 3, 2]),
        "drop": ([0, 0.5, 1, 4, 6], [0, 4, 8, 3, 2]),
        "half": ([0, 0.25, 0.5, 1, 2, 4, 6, 8], [0, 0.25, 4, 8, 0.25, 3, 2, 0.25]),
    }
    for rule, (t, c) in shapes.items():
        found = pkpd.nca(data, blq=rule, **linear)
        assert of(found, "AUCLST").value[1] == pytest.approx(np.trapezoid(c, t), rel=1e-14), rule
        assert of(found, "TLST").value[1] == t[-1]


def test_what_is_doubtful_is_excluded_with_its_reason():
    found = pkpd.nca(pkpd.load_dataset("theophylline"), route="extravascular")
    first = found.table[found.table.ID == 1].set_index("parameter")
    assert (
        first.excluded["CLFO"]
        and "31.5 % of the area are extrapolated, more than 20 %" in first.reason["CLFO"]
    )
    assert not first.excluded["CMAX"] and not first.excluded["AUCLST"]
    summary = found.summary().set_index("parameter")
    assert (summary.n["CLFO"], summary.n_excluded["CLFO"]) == (11, 1)
    used = found.table[(found.table.parameter == "CLFO") & ~found.table.excluded].value
    assert summary.geometric_mean["CLFO"] == pytest.approx(np.exp(np.log(used).mean()), rel=1e-14)
    assert summary["mean"]["CLFO"] == pytest.approx(used.mean(), rel=1e-14)
    spread = np.log(used).std(ddof=1)
    assert summary.geometric_cv_percent["CLFO"] == pytest.approx(
        100 * np.sqrt(np.exp(spread**2) - 1), rel=1e-12
    )
    assert np.isnan(found.wide().set_index("ID").CLFO[1])
    strict = pkpd.nca(pkpd.load_dataset("indometh"), route="bolus", least_r2_adjusted=0.9)
    assert of(strict, "LAMZ").reason[3] == "adjusted R² of λz 0.860 is below 0.9"
    assert of(strict, "CLO").excluded[3] and not of(strict, "AUCLST").excluded[3]


def test_a_rising_end_has_no_slope():
    found = pkpd.nca(profile([1, 2, 3, 4], [1, 2, 3, 4]), route="extravascular", intervals=[(0, 4), (0, 6)])
    table = found.table.set_index("parameter")
    assert table.reason["LAMZ"] == "only 0 quantifiable concentrations after Cmax on"
    assert np.isnan(table.value["CLFO"]) and table.excluded["CLFO"]
    assert table.value["AUCINT(0,4)"] == 8 and np.isnan(table.value["AUCINT(0,6)"])
    found = pkpd.nca(profile([1, 2, 3, 4], [9, 2, 3, 4]), route="extravascular")
    assert found.table.set_index("parameter").reason["LAMZ"] == "concentrations do not fall at the end"


def test_units_and_histologies():
    data = pkpd.load_dataset("pantumor_small")
    found = pkpd.nca(
        data, route="extravascular", most_extrapolated=100, least_r2_adjusted=-9, steady_state=False
    )
    assert set(found.summary().histology) <= set(data.summary().index)
    unit = (
        pkpd.nca(pkpd.load_dataset("theophylline"), route="extravascular").table.set_index("parameter").unit
    )
    assert unit.loc[["CMAX", "AUCLST", "CLFO", "VZFO"]].drop_duplicates().tolist() == [
        "mg/L",
        "mg/L·h",
        "L/h",
        "L",
    ]
    back = from_json(to_json(found))
    assert back.summary().equals(found.summary())


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"trapezoids": "log"}, "E_NCA"),
        ({"blq": "M3"}, "E_NCA"),
        ({"with_peak": "yes"}, "E_NCA"),
        ({"intervals": [(4, 2)]}, "E_NCA"),
        ({"intervals": [("a", 2)]}, "E_NCA"),
        ({"tau": 0}, "E_NCA"),
        ({"most_extrapolated": 120}, "E_NCA"),
        ({"least_r2_adjusted": 2}, "E_NCA"),
        ({"route": "oral"}, "E_NCA_ROUTE"),
        ({"route": "infusion"}, "E_NCA_ROUTE"),
        ({"route": {2: "bolus"}}, "E_NCA_ROUTE"),
        ({"endpoint": 2}, "E_NCA"),
    ],
)
def test_refusals(indometh, given, code):
    with pytest.raises(pkpd.InputError) as caught:
        pkpd.nca(indometh, **({"route": "bolus"} | given))
    assert caught.value.code == code


def test_profiles_that_cannot_be_analysed_are_listed():
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 1, 1, 2, 2, 2, 2],
            "TIME": [0, 0, 1, 2, 3, 0, 1, 1, 2.0],
            "EVID": [1, 1, 0, 0, 0, 1, 0, 0, 0],
            "AMT": [50, 50, 0, 0, 0, 100, 0, 0, 0],
            "DV": [np.nan, np.nan, 3, 2, 1, np.nan, 4, 3, 2],
        }
    )
    with pytest.raises(
        pkpd.InputError, match=r"E_NCA_NOTHING.*several doses at one time; several concentrations"
    ):
        pkpd.nca(read(frame), route="bolus")
