import json
import math
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.errors import InputError, PkpdWarning
from pkpd.histology import leave_one_out, meta_analysis
from pkpd.results import from_json, to_json

METAFOR = json.loads((Path(__file__).parents[1] / "reference" / "meta_analysis.json").read_text())
Y, SE = np.array(METAFOR["yi"]), np.sqrt(METAFOR["vi"])
TESTS = {"z": "z", "HK-untruncated": "knha"}
# metafor prints 13 digits; the input carries as many
CLOSE = {"rel": 1e-10, "abs": 1e-12}


@pytest.mark.parametrize("method", ["DL", "REML", "PM"])
@pytest.mark.parametrize("interval", ["z", "HK-untruncated"])
def test_agrees_with_metafor(method, interval):
    ours, theirs = meta_analysis(Y, SE, method, interval), METAFOR["fits"][f"{method}_{TESTS[interval]}"]
    pairs = {
        "tau2": "tau2", "tau2_se": "se_tau2", "mu": "beta", "se": "se", "lower": "ci_lb", "upper": "ci_ub",
        "i2": "I2", "h2": "H2", "q": "Q", "prediction_lower": "pi_lb", "prediction_upper": "pi_ub",
    }  # fmt: skip
    for name, key in pairs.items():
        assert getattr(ours, name) == pytest.approx(theirs[key], **CLOSE), name
    assert ours.q_p_value == pytest.approx(theirs["Qp"], rel=1e-9)


def test_fixed_effect_agrees_with_metafor():
    ours, theirs = meta_analysis(Y, SE, "FE", "z"), METAFOR["fits"]["FE_z"]
    assert ours.tau2 == 0 and math.isnan(ours.tau2_se)
    for name, key in {"mu": "beta", "se": "se", "i2": "I2", "h2": "H2"}.items():
        assert getattr(ours, name) == pytest.approx(theirs[key], **CLOSE)


def test_q_profile_weights_and_shrinkage_agree_with_metafor():
    ours = meta_analysis(Y, SE, "REML")
    assert ours.tau2_lower == pytest.approx(METAFOR["q_profile"]["ci.lb"], **CLOSE)
    assert ours.tau2_upper == pytest.approx(METAFOR["q_profile"]["ci.ub"], **CLOSE)
    np.testing.assert_allclose(100 * ours.table["weight"], METAFOR["weight"], rtol=1e-10)
    np.testing.assert_allclose(ours.table["shrunken"], METAFOR["blup"], rtol=1e-10)
    share = np.array(METAFOR["weight"]) / 100
    assert ours.effective_number == pytest.approx(1 / (share @ share))


def test_leave_one_out_agrees_with_metafor():
    ours = leave_one_out(Y, SE, "REML", "z")
    for name, key in {"mu": "estimate", "se": "se", "tau2": "tau2", "i2": "I2", "q": "Q"}.items():
        np.testing.assert_allclose(ours[name], [row[key] for row in METAFOR["leave1out"]], rtol=1e-9)
    assert not ours["dominant"].any() and not ours["sign_change"].any()


def test_truncation_of_hartung_knapp_only_widens():
    alike_y, alike_se = [0.10, 0.11, 0.09, 0.10, 0.10], [0.1] * 5
    truncated, original = (meta_analysis(alike_y, alike_se, interval=i) for i in ("HK", "HK-untruncated"))
    assert original.se < truncated.se == pytest.approx(0.1 / math.sqrt(5))
    assert truncated.upper - truncated.mu == pytest.approx(stats.t(4).ppf(0.975) * truncated.se)
    assert meta_analysis(Y, SE, "REML", "HK").lower == pytest.approx(METAFOR["adhoc"]["ci_lb"], **CLOSE)


def test_no_heterogeneity_gives_zero_and_a_profile_from_zero():
    ours = meta_analysis([0.1, 0.1, 0.1, 0.1, 0.1], [0.2] * 5)
    assert ours.tau2 == 0 and ours.tau2_lower == 0 and ours.i2 == 0


def test_reml_maximises_the_restricted_likelihood():
    y, se = np.array([0.0, 0.4, 1.2, -0.3, 0.9, 0.2]), np.array([0.2, 0.3, 0.25, 0.5, 0.4, 0.1])
    tau2 = meta_analysis(y, se, "REML").tau2

    def likelihood(t):
        v = np.diag(se**2 + t)
        x = np.ones((6, 1))
        xvx = x.T @ np.linalg.inv(v) @ x
        mu = np.linalg.solve(xvx, x.T @ np.linalg.inv(v) @ y)
        residual = y - mu[0]
        return -0.5 * (
            np.linalg.slogdet(v)[1] + np.linalg.slogdet(xvx)[1] + residual @ np.linalg.inv(v) @ residual
        )

    grid = np.linspace(0, 3 * tau2, 3001)
    assert grid[np.argmax([likelihood(t) for t in grid])] == pytest.approx(tau2, abs=3 * tau2 / 3000)


def test_few_histologies_warn():
    with pytest.warns(PkpdWarning, match="W_FEW_HISTOLOGIES"):
        meta_analysis([0.1, 0.4, 0.2], [0.1, 0.1, 0.1])


def test_leave_one_out_flags_and_stays_silent_about_few():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = leave_one_out(
            pd.Series([0.5, -0.01, -0.02, 0.0, -0.02], index=list("abcde")),
            [0.02, 0.3, 0.3, 0.3, 0.3],
            "FE",
            "z",
        )
    first = table.iloc[0]
    assert (
        first["histology"] == "a"
        and first["dominant"]
        and first["sign_change"]
        and first["conclusion_change"]
    )
    assert not table["dominant"].iloc[1:].any()


def test_json_round_trip():
    ours = meta_analysis(Y, SE)
    back = from_json(to_json(ours))
    assert back.tau2 == ours.tau2
    pd.testing.assert_frame_equal(back.table, ours.table)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: meta_analysis(Y, SE, "ML"), "E_OPTION"),
        (lambda: meta_analysis(Y, SE, interval="t"), "E_OPTION"),
        (lambda: meta_analysis([0.1], [0.1]), "E_ESTIMATES"),
        (lambda: meta_analysis([0.1, 0.2], [0.1, math.inf]), "E_STANDARD_ERRORS"),
        (lambda: leave_one_out([0.1, 0.2], [0.1, 0.1]), "E_ESTIMATES"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
