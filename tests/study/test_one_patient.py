"""A histology of one patient: judged insufficient, never a crash, never a confident number."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.shipped import dataset_path


@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
def test_a_histology_of_one_patient_is_insufficient_data(tmp_path):
    source = dataset_path("pantumor_small")
    table = pd.read_csv(source)
    rare = table.loc[table["TUMOR"] == "salivary", "ID"].unique()
    table[~table["ID"].isin(rare[1:])].to_csv(tmp_path / "one.csv", index=False)
    plan = (source.parent / "plan.toml").read_text(encoding="utf-8").replace("pantumor_small.csv", "one.csv")
    # bootstrap replicates do not enter this verdict: the fewest that the plan allows
    (tmp_path / "plan.toml").write_text(plan.replace("n = 999", "n = 19"), encoding="utf-8")
    assessment = pkpd.assess(tmp_path / "plan.toml")
    verdict = assessment.verdicts.set_index("histology").loc["salivary"]
    assert (verdict["verdict"], verdict["rule"]) == ("insufficient data", "0")
    # doses are named with the unit that the plan declares
    assert "keep the reference dose (2 mg)" in verdict["sentence"]
    # one patient: the interval is at least that of the spread between patients
    omega = np.sqrt(assessment.pk.parameters.loc["OMEGA(CL,CL)", "estimate"])
    ratios = assessment.exposure.ratios.set_index("histology")
    assert ratios.loc["salivary", "log_ratio_se"] > 0.9 * omega
    assert "salivary" not in set(assessment.endpoints[0].curves["histology"])
    assert any("salivary" in line and "equal" in line for line in assessment.assumptions)
