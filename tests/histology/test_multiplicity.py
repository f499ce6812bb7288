import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import InputError
from pkpd.histology import holm

R = json.loads((Path(__file__).parents[1] / "reference" / "holm.json").read_text())


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
