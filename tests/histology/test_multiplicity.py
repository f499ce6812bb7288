import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pkpd.errors import InputError
from pkpd.histology import holm, max_t

R = json.loads((Path(__file__).parents[1] / "reference" / "holm.json").read_text())

# multcomp 1.4.22 on R's PlantGrowth (three groups of ten): means and residual variance from the data
MEANS = pd.Series([5.032, 4.661, 5.526], index=["ctrl", "trt1", "trt2"])
VARIANCE, DF = 0.2787816084055**2 / 2, 27
DUNNETT = [0.3226956857688, 0.1534858615151]
AGAINST_MEAN = [0.964908771805, 0.04200213676865, 0.02369193846982]


def test_holm_agrees_with_r():
    np.testing.assert_allclose(holm(R["p"]), R["holm"], rtol=1e-12)


def test_missing_tests_count_for_nothing_and_the_index_stays():
    p = pd.Series([0.01, math.nan, 0.04], index=["lung", "rare", "gastric"])
    adjusted = holm(p)
    assert list(adjusted.index) == ["lung", "rare", "gastric"]
    np.testing.assert_allclose(adjusted, [0.02, math.nan, 0.04])


def test_values_that_are_no_probabilities_are_refused():
    for bad in ([0.1, 1.2], [-0.1], [math.inf]):
        with pytest.raises(InputError, match="E_P_VALUES"):
            holm(bad)


def test_each_against_a_reference_agrees_with_multcomp():
    ours = max_t(MEANS, covariance=VARIANCE * np.eye(3), reference="ctrl", df=DF)
    assert list(ours["histology"]) == ["trt1", "trt2"]
    np.testing.assert_allclose(ours["difference"], [-0.371, 0.494], atol=1e-12)
    np.testing.assert_allclose(ours["se"], 0.2787816084055, rtol=1e-10)
    np.testing.assert_allclose(ours["p_value"], DUNNETT, atol=1e-3)  # quasi-Monte-Carlo, 65 536 points


def test_each_against_the_mean_of_all_agrees_with_multcomp():
    ours = max_t(MEANS, covariance=VARIANCE * np.eye(3), df=DF)
    np.testing.assert_allclose(ours["difference"], [-0.412 + 0.371, -0.412, 0.453], atol=1e-12)
    np.testing.assert_allclose(ours["se"], 0.1609546366581, rtol=1e-10)
    np.testing.assert_allclose(ours["p_value"], AGAINST_MEAN, atol=1e-3)


def test_small_p_values_of_unequal_groups_agree_with_mvtnorm():
    # five groups against one, 10 4 7 12 20 5 patients; mvtnorm 1.1-3: pmvt (df = 20) and pmvnorm with abseps = 1e-9
    variance = 1 / np.array([10.0, 4, 7, 12, 20, 5])
    for df, theirs in (
        (20, [0.7891212, 0.2123331375, 0.02960174942, 0.003154530918, 0.0003192915135]),
        (None, [0.7899312466, 0.1755144084, 0.01240560629, 0.0003098322062, 2.797060292e-06]),
    ):
        found = []
        for t in range(1, 6):
            # the contrast of the first other group is t standard errors, the others are 0
            y = np.array([0.0, t * np.sqrt(variance[0] + variance[1]), 0, 0, 0, 0])
            found.append(max_t(y, covariance=np.diag(variance), reference=0, df=df)["p_value"].iloc[0])
        small = np.array(theirs) < 1e-4
        np.testing.assert_allclose(np.array(found)[~small], np.array(theirs)[~small], rtol=3e-3)
        np.testing.assert_allclose(np.array(found)[small], np.array(theirs)[small], rtol=0.05)


def test_two_histologies_are_one_normal_test():
    ours = max_t([0.5, 0.1], [0.1, 0.2], reference=1)
    z = 0.4 / math.hypot(0.1, 0.2)
    assert ours.loc[0, "p_value"] == pytest.approx(2 * stats.norm.sf(z), abs=1e-3)
    weighted = max_t([0.5, 0.1], [0.1, 0.2], weights=[3, 1])
    assert weighted.loc[0, "difference"] == pytest.approx(0.5 - 0.4)
    assert weighted["p_value"].iloc[0] == pytest.approx(2 * stats.norm.sf(z), abs=1e-3)


def test_never_more_conservative_than_holm():
    se = np.array([0.1, 0.12, 0.2, 0.15])
    y = np.array([0.0, 0.3, 0.35, 0.1])
    ours = max_t(y, se, reference=0)
    raw = 2 * stats.norm.sf(np.abs(ours["statistic"]))
    assert ours["p_value"].min() <= holm(raw).min() + 1e-3


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"reference": "breast"}, "E_REFERENCE_ABSENT"),
        ({"reference": 3}, "E_REFERENCE_ABSENT"),
        ({"weights": [1, 1]}, "E_WEIGHTS"),
        ({"weights": [1, 0, 1]}, "E_WEIGHTS"),
        ({"weights": [1, 1, 1], "reference": 0}, "E_WEIGHTS"),
        ({"df": 0}, "E_OPTION"),
        ({"seed": -1}, "E_OPTION"),
    ],
)
def test_unusable_contrasts_are_refused(options, code):
    with pytest.raises(InputError) as caught:
        max_t(MEANS, [0.1, 0.1, 0.1], **options)
    assert caught.value.code == code
    with pytest.raises(InputError, match="E_COVARIANCE"):
        max_t([0.1, 0.1], covariance=np.ones((2, 2)))
