import ast
import json
import math
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pkpd.distributions import HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology import exnex, exnex_operating_characteristics

EXACT = json.loads((Path(__file__).parents[1] / "reference" / "exnex_characteristics.json").read_text())
TAU = HalfNormal(1.0)


def logit(p):
    return math.log(p / (1 - p))


# the design of Neuenschwander 2016, section 3.1
SHARED = [(0.25, Normal(logit(0.1), 3.18), TAU), (0.25, Normal(logit(0.3), 1.94), TAU)]
ALONE = (0.5, Normal(logit(0.2), 2.5))


@pytest.mark.parametrize("counts", EXACT["points"])
def test_two_components_agree_with_an_independent_quadrature(counts):
    ours, theirs = exnex(ast.literal_eval(counts), [20, 20, 10, 10], SHARED, ALONE), EXACT["points"][counts]
    # the reference has 5 400 nodes per component
    np.testing.assert_allclose(ours.mean, theirs["mean"], atol=5e-5)
    np.testing.assert_allclose(ours.probability_above(0.1), theirs["pgt10"], atol=5e-5)


@cache
def published():
    return exnex_operating_characteristics(
        (20, 20, 10, 10),
        [case["true"] for case in EXACT["exact"].values()],
        SHARED,
        ALONE,
        rate=0.1,
        probability=(0.9, 0.9, 0.8, 0.8),
        mean_above=0.2,
    )


@pytest.mark.parametrize("position", range(3))
def test_published_design(position):
    scenario = list(EXACT["exact"])[position]
    ours, theirs = published().query(f"scenario == {position + 1}"), EXACT["exact"][scenario]
    # decisions are the same at each of the 53 361 outcomes, so their probabilities agree to rounding
    np.testing.assert_allclose(ours["go"], theirs["go"], atol=1e-12)
    assert ours["go_any"].iloc[0] == pytest.approx(theirs["go_any"], abs=1e-12)
    np.testing.assert_allclose(ours["mean"], theirs["mean"], atol=2e-5)
    np.testing.assert_allclose(ours["bias"], theirs["bias"], atol=2e-5)
    np.testing.assert_allclose(ours["mse"], theirs["mse"], atol=1e-5)


def test_small_design_agrees_with_one_analysis_per_outcome():
    n, truth = (4, 3), (0.2, 0.6)
    shared, alone = [(0.6, Normal(-0.5, 1.0), HalfNormal(0.5))], (0.4, [Normal(-1, 1.5), Normal(0, 1.5)])
    go, mean = np.zeros(2), np.zeros(2)
    for counts in product(range(5), range(4)):
        found = exnex(counts, n, shared, alone)
        weight = np.prod([stats.binom.pmf(r, m, p) for r, m, p in zip(counts, n, truth, strict=True)])
        go += weight * (found.probability_above(0.3) > 0.7)
        mean += weight * found.mean
    ours = exnex_operating_characteristics(n, truth, shared, alone, rate=0.3, probability=0.7)
    np.testing.assert_allclose(ours["go"], go, atol=1e-9)
    np.testing.assert_allclose(ours["mean"], mean, atol=2e-5)


@pytest.mark.parametrize(
    ("arguments", "options", "code"),
    [
        (((20,), (0.1,)), {}, "E_HISTOLOGIES"),
        (((20, 20.5), (0.1, 0.1)), {}, "E_PATIENTS"),
        (((200, 200, 200), (0.1, 0.1, 0.1)), {}, "E_PATIENTS"),
        (((20, 20), (0.1,)), {}, "E_RATE"),
        (((20, 20), (0.1, 1.1)), {}, "E_RATE"),
        (((20, 20), (0.1, 0.1)), {"rate": 0.0}, "E_RATE"),
        (((20, 20), (0.1, 0.1)), {"probability": (0.9, 0.9, 0.9)}, "E_OPTION"),
        (((20, 20), (0.1, 0.1)), {"mean_above": 2.0}, "E_OPTION"),
    ],
)
def test_unusable_designs_are_refused(arguments, options, code):
    with pytest.raises(InputError) as caught:
        exnex_operating_characteristics(
            *arguments, SHARED, ALONE, **{"rate": 0.1, "probability": 0.9, **options}
        )
    assert caught.value.code == code
