from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.distributions import CRP
from pkpd.histology import binomial_hierarchical, partitions
from pkpd.study.borrowing import MU, TAU, borrowed_responses


def _frame(responders, patients) -> pd.DataFrame:
    rows = [
        {"histology": f"h{k}", "ORR": float(i < r)}
        for k, (r, n) in enumerate(zip(responders, patients, strict=True))
        for i in range(n)
    ]
    return pd.DataFrame(rows).assign(ID=lambda t: np.arange(len(t)))


@pytest.mark.parametrize(
    ("responders", "patients"), [([13, 1, 7], [40, 30, 18]), ([0, 0, 5], [5, 9, 60]), ([4, 9], [5, 9])]
)
def test_the_intervals_hold_ninety_percent(responders, patients):
    found = borrowed_responses(_frame(responders, patients), "ORR")
    table = found["table"]
    assert list(table["events"]) == responders and list(table["n"]) == patients
    exact = binomial_hierarchical(responders, patients, mu=MU, tau=TAU)
    np.testing.assert_allclose(table["shrunken"], exact.mean)
    for k, row in enumerate(table.to_dict("records")):
        # the posterior itself says how much lies beyond each end; interpolated between its own values
        assert exact.probability_above(row["lower"])[k] == pytest.approx(0.95, abs=0.005)
        assert exact.probability_above(row["upper"])[k] == pytest.approx(0.05, abs=0.005)
    grouped = partitions(responders, patients, prior=CRP(1.0), beta=(0.5, 0.5))
    np.testing.assert_allclose(found["pairwise"], grouped.pairwise)
    assert found["probability_homogeneous"] == pytest.approx(grouped.probability_homogeneous)


def test_one_histology_borrows_from_nobody():
    assert "refused" in borrowed_responses(_frame([3], [10]), "ORR")
