"""Speed of the between-histology models (pytest benchmarks/test_histology.py --benchmark-enable)."""

import math

import numpy as np

from pkpd.distributions import HalfNormal, Normal
from pkpd.histology import (
    binomial_hierarchical,
    decide,
    exnex,
    exnex_operating_characteristics,
    likelihood_ratio,
    normal_hierarchical,
    partitions,
)
from tests.histology.made_evidence import MARGINS, evidence
from tests.histology.pantumor import evidence_of, simulate

# imatinib in ten sarcomas (Chugh R et al. J Clin Oncol 2009;27:3148-3153)
RESPONDERS = [2, 0, 1, 6, 7, 3, 5, 1, 0, 3]
PATIENTS = [15, 13, 12, 28, 29, 29, 26, 5, 2, 20]
MU, TAU = Normal(math.log(0.15 / 0.85), 2.0), HalfNormal(1.0)


def test_binomial_hierarchical_ten_histologies(benchmark):
    found = benchmark(binomial_hierarchical, RESPONDERS, PATIENTS, MU, TAU)
    assert 0.12 < found.mean.mean() < 0.18


def test_partitions_ten_histologies(benchmark):
    found = benchmark(partitions, RESPONDERS, PATIENTS)
    assert abs(found.probability_homogeneous - 0.4245470756) < 1e-9


def test_exnex_ten_histologies(benchmark):
    found = benchmark(exnex, RESPONDERS, PATIENTS, [(0.5, MU, TAU)], (0.5, MU))
    assert found.probability_exchangeable.argmin() == 1


def test_normal_hierarchical_ten_histologies(benchmark):
    y = np.linspace(-0.3, 0.3, 10)
    found = benchmark(normal_hierarchical, y, np.full(10, 0.1))
    assert found.tau_mean > 0.1


def test_bootstrap_likelihood_ratio_of_200_patients_in_six_histologies(benchmark):
    frame = simulate(0).sample(200, random_state=0)
    options = {"response": "ORR", "exposure": "AUC", "histology": "TUMOR", "n_bootstrap": 999, "shape": "log"}
    found = benchmark.pedantic(likelihood_ratio, (frame,), options, rounds=1, iterations=1)
    assert found.n_bootstrap == 999


def test_evidence_of_a_trial_of_1156_patients(benchmark):
    frame = simulate(0)
    found = benchmark.pedantic(evidence_of, (frame,), {"n_draws": 4000}, rounds=1, iterations=1)
    assert set(found) == {"resistant", "clearance", "toxic", "same", "rare"}


def test_undecided_verdict_with_the_n_that_would_decide(benchmark):
    made = evidence(n=12, responders=5, ratio_se=0.2)
    assert benchmark(decide, made, MARGINS).n_needed > 12


def test_exact_exnex_characteristics_of_a_four_basket_design(benchmark):
    shared = [(0.25, Normal(math.log(1 / 9), 3.18), TAU), (0.25, Normal(math.log(3 / 7), 1.94), TAU)]
    design = ((20, 20, 10, 10), (0.1, 0.1, 0.3, 0.3), shared, (0.5, Normal(math.log(1 / 4), 2.5)))
    options = {"rate": 0.1, "probability": (0.9, 0.9, 0.8, 0.8), "mean_above": 0.2}
    found = benchmark.pedantic(exnex_operating_characteristics, design, options, rounds=1, iterations=1)
    assert abs(found["go_any"].iloc[0] - 0.8662956648) < 1e-9
