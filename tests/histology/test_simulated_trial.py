"""A trial with a known truth gets the verdicts that the truth deserves."""

import pytest

from pkpd.histology import decide

from .pantumor import EXPECTED, MARGINS, evidence_of, simulate


def right_verdicts(seeds, n_draws):
    right = dict.fromkeys(EXPECTED, 0)
    for seed in seeds:
        for histology, evidence in evidence_of(simulate(seed), seed=seed, n_draws=n_draws).items():
            found = decide(evidence, MARGINS)
            verdict, rules = EXPECTED[histology]
            right[histology] += found.verdict == verdict and found.rule in rules
    return right


def test_a_few_trials():
    # each verdict is right in about 99 % of trials: two wrong in eight has a probability of 0.003
    assert min(right_verdicts(range(8), 400).values()) >= 7


@pytest.mark.nightly
def test_two_hundred_trials():
    # measured over 200: 98.0, 99.5, 99.0, 99.5, 100 %
    right = right_verdicts(range(200), 1000)
    assert min(right.values()) >= 194, right


def test_doses_of_the_adjusted_histologies():
    found = {h: decide(e, MARGINS) for h, e in evidence_of(simulate(3), n_draws=1000).items()}
    assert found["clearance"].dose in (1.25, 1.5)
    assert found["clearance"].ratio == pytest.approx(1 / 1.45, rel=0.1)
    assert found["toxic"].dose in (0.5, 0.75)
    assert found["toxic"].ae_at_dose < 0.30
    assert "SMALL-N" in found["rare"].qualifiers and found["rare"].n_needed > 10
