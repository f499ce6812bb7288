"""Missing covariates by a stated rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd


def data():
    rows = [(i, t, 1.0) for i in range(1, 7) for t in (0.0, 1.0)]
    frame = pd.DataFrame(rows, columns=["ID", "TIME", "DV"])
    weight = {1: 50.0, 2: np.nan, 3: 61.0, 4: 90.0, 5: np.nan, 6: 64.0}
    sex = {1: "f", 2: "m", 3: None, 4: "f", 5: "f", 6: "m"}
    frame = frame.assign(WT=frame.ID.map(weight), SEX=frame.ID.map(sex), AGE=frame.ID * 10.0)
    frame.loc[0, "WT"] = np.nan  # the subject's other record has it
    return pkpd.read_dataset(frame)


@pytest.mark.filterwarnings("ignore:W_COVARIATE_CARRIED")
def test_median_and_mode_are_those_of_subjects_that_have_a_value():
    with pytest.warns(pkpd.PkpdWarning) as told:
        full = data().imputed(WT="median", SEX="mode")
    table = full.subject_table()
    assert table.WT.loc[[2, 5]].tolist() == [62.5, 62.5] and table.SEX.loc[3] == "f"
    assert table.WT_IMPUTED.tolist() == [0, 1, 0, 0, 1, 0] and table.SEX_IMPUTED.tolist() == [
        0,
        0,
        1,
        0,
        0,
        0,
    ]
    assert np.isnan(full.frame.WT[0]) and full.frame.WT[1] == 50.0
    assert full.covariates[-2:] == ("WT_IMPUTED", "SEX_IMPUTED") and full.sha256 != data().sha256
    messages = [str(w.message) for w in told if "W_COVARIATE_IMPUTED" in str(w.message)]
    assert "WT is missing for 2 of 6 subjects (ID 2, 5) and set to 62.5, the median" in messages[0]
    assert "(ID 3) and set to f, the mode" in messages[1]

    @pkpd.model
    def weighed(m):
        """A mean that grows with weight, and differs where that is not known."""
        flag = m.covariate("WT_IMPUTED")
        mean = m.theta("MU", 1.0) * m.covariate("WT") / 70 + m.theta("UNKNOWN", 0.1) * flag
        m.observe("y", mean, additive=m.sigma("ADD", 1.0))

    assert pkpd.predict(weighed, full).PRED.iloc[2] == pytest.approx(62.5 / 70 + 0.1)
    with pytest.raises(pkpd.InputError, match=r"E_MODEL_COLUMN.*WT_IMPUTED"):
        pkpd.predict(weighed, data())
    with pytest.raises(pkpd.InputError, match=r'E_COVARIATE_MISSING.*ID 2, 5.*imputed\(WT="median"\)'):
        pkpd.predict(weighed, data().with_columns(table[["WT_IMPUTED"]]))


@pytest.mark.parametrize(
    ("rules", "match"),
    [
        ({"WT": "mean"}, "E_IMPUTE_RULE.*'mean'"),
        ({"WT": "multiple"}, "E_IMPUTE_RULE.*Rubin"),
        ({"SEX": "median"}, "E_IMPUTE_RULE.*text"),
        ({"WT": "mode"}, "E_IMPUTE_RULE.*equally frequent"),
        ({"HEIGHT": "median"}, "E_IMPUTE_COLUMN.*HEIGHT.*WT, SEX, AGE"),
    ],
)
def test_rules_that_are_none_are_refused(rules, match):
    with pytest.raises(pkpd.InputError, match=match):
        data().imputed(**rules)
