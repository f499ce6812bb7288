"""Kept rows of the simulation-estimation studies come out again: `pytest benchmarks/test_studies.py -m nightly`."""

from __future__ import annotations

import pandas as pd
import pytest

from benchmarks.studies.__main__ import HERE, header, replicate
from benchmarks.studies.designs import DESIGNS


@pytest.mark.nightly
@pytest.mark.parametrize("name", [n for n in DESIGNS if (HERE / f"{n}.csv").exists()])
def test_first_rows(name):
    """To the digits that another machine's last bit leaves of an optimum."""
    kept = pd.read_csv(HERE / f"{name}.csv")
    for method, rows in kept.groupby("method"):
        for _, row in rows.head(3).iterrows():
            again = pd.Series(replicate(name, method, int(row["replicate"])), index=header(name))
            assert int(again["converged"]) == row["converged"]
            for p in header(name)[4:]:
                assert float(again[p]) == pytest.approx(row[p], rel=2e-3), p
