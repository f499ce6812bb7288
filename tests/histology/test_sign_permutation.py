import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from pkpd.errors import InputError
from pkpd.histology import meta_analysis, sign_permutation

METAFOR = json.loads((Path(__file__).parents[1] / "reference" / "meta_analysis.json").read_text())


def test_bcg_has_the_exact_p_value_of_metafor():
    ours = sign_permutation(METAFOR["yi"], np.sqrt(METAFOR["vi"]), method="REML")
    assert ours.p_value == 0.00146484375  # 12 of 8192 patterns
    assert ours.statistic == pytest.approx(METAFOR["fits"]["REML_z"]["zval"], rel=1e-9)
    assert ours.p_normal == pytest.approx(METAFOR["fits"]["REML_z"]["pval"], rel=1e-8)
    assert ours.n_patterns == 8192


@pytest.mark.parametrize("method", ["PM", "DL", "FE"])
def test_all_patterns_one_by_one(method):
    y, se = np.array([0.3, 0.5, -0.1, 0.8, 0.2]), np.array([0.2, 0.3, 0.15, 0.4, 0.25])
    z = []
    for signs in product((1, -1), repeat=5):
        fit = meta_analysis(y * signs, se, method, "z")
        z.append(abs(fit.mu / fit.se))
    ours = sign_permutation(y, se, method)
    assert ours.p_value == pytest.approx(np.mean(np.array(z) >= z[0] - 1e-9), abs=1e-12)
    assert abs(ours.statistic) == pytest.approx(z[0], rel=1e-10)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda: sign_permutation([0.1] * 16, [0.1] * 16), "E_HISTOLOGIES"),
        (lambda: sign_permutation([0.1, 0.2], [0.1, 0.1], "ML"), "E_OPTION"),
        (lambda: sign_permutation([0.1, 0.2], [0.1, 0.0]), "E_STANDARD_ERRORS"),
    ],
)
def test_unusable_input_is_refused(call, code):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.code == code
