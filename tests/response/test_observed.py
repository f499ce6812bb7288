from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from pkpd.errors import InputError
from pkpd.response import clopper_pearson, counts, observed_proportions

FRAME = pd.DataFrame(
    {
        "TUMOR": ["lung"] * 12 + ["rare"] * 6,
        "AUC": [*range(1, 13), 5, 5, 5, 1, 9, 9],
        "DOSE": [50, 100] * 9,
        "AE": [0, 0, 0, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1, 0, 0, 1, 1],
    }
)


def test_clopper_pearson_bounds_are_where_the_binomial_tails_are_2_5_percent():
    n = 17
    lower, upper = clopper_pearson(np.arange(n + 1), np.full(n + 1, n))
    for s in range(n + 1):
        if s > 0:
            assert binom.sf(s - 1, n, lower[s]) == pytest.approx(0.025, rel=1e-9)
        if s < n:
            assert binom.cdf(s, n, upper[s]) == pytest.approx(0.025, rel=1e-9)
    assert lower[0] == 0 and upper[n] == 1
    # no event in n: 1 − 0.025^(1/n)
    assert upper[0] == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-12)


def test_groups_are_of_equal_size_and_ties_stay_together():
    table = observed_proportions(FRAME, "AE", "AUC", "TUMOR", groups=4, minimum_size=3)
    assert list(table.columns) == ["histology", "exposure", "n", "events", "proportion", "lower", "upper"]
    lung = table[table["histology"] == "lung"]
    assert lung["n"].tolist() == [3, 3, 3, 3]
    assert lung["exposure"].tolist() == [2, 5, 8, 11]
    assert lung["events"].tolist() == [0, 1, 2, 3]
    rare = table[
        table["histology"] == "rare"
    ]  # two groups of three would cut through the three subjects at 5
    assert rare["n"].tolist() == [4, 2] and rare["exposure"].tolist() == [4, 9]
    assert table["events"].sum() == FRAME["AE"].sum()


def test_small_histologies_get_fewer_groups():
    table = observed_proportions(FRAME, "AE", "AUC", "TUMOR")
    assert table["n"].tolist() == [6, 6, 6]
    pooled = observed_proportions(FRAME, "AE", "AUC", groups=1)
    assert pooled.loc[0, ["histology", "n", "events"]].tolist() == ["all", 18, 9]


def test_order_of_rows_does_not_matter():
    shuffled = FRAME.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(
        observed_proportions(shuffled, "AE", "AUC", "TUMOR"),
        observed_proportions(FRAME, "AE", "AUC", "TUMOR"),
    )


def test_counts_per_histology_and_dose():
    table = counts(FRAME, "AE", "TUMOR", "DOSE")
    assert list(table.columns) == ["histology", "dose", "n", "events", "proportion", "lower", "upper"]
    plain = FRAME.groupby(["TUMOR", "DOSE"])["AE"].agg(["size", "sum"])
    assert table[["n", "events"]].to_numpy().tolist() == plain.to_numpy().tolist()
    assert table["dose"].tolist() == [50, 100, 50, 100]
    assert counts(FRAME, "AE", "TUMOR")["n"].tolist() == [12, 6]
    assert counts(FRAME, "AE")["histology"].tolist() == ["all"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: observed_proportions(FRAME, "AE", "AUC", "TUMOR", groups=0), "E_OPTION"),
        (lambda: observed_proportions(FRAME, "AE", "CMAX", "TUMOR"), "E_COLUMN_MISSING.*'CMAX'"),
        (lambda: observed_proportions(FRAME, "DOSE", "AUC", "TUMOR"), "E_ENDPOINT_NOT_BINARY"),
        (lambda: counts(FRAME.assign(DOSE=np.nan), "AE", "TUMOR", "DOSE"), "E_DOSE_MISSING"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()
