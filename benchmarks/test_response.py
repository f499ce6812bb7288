"""Speed of exposure-response: pytest benchmarks/test_response.py --benchmark-enable."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pkpd.response import bootstrap_likelihood_ratio, fit_logistic


def trial(sizes):
    rng = np.random.default_rng(20251229)
    tumour = np.repeat([f"h{k}" for k in range(len(sizes))], sizes)
    auc = rng.lognormal(0, 0.3, len(tumour))
    logit = np.repeat(np.linspace(-1, 1, len(sizes)), sizes) + 2.5 * np.log(auc)
    orr = (rng.random(len(tumour)) < 1 / (1 + np.exp(-logit))).astype(int)
    return pd.DataFrame({"TUMOR": tumour, "AUC": auc, "ORR": orr})


@pytest.mark.parametrize("term", ["intercepts", "interaction"])
def test_bootstrap_likelihood_ratio_999_refits_of_200_patients(benchmark, term):
    frame = trial([34, 34, 33, 33, 33, 33])
    test = benchmark(bootstrap_likelihood_ratio, frame, "ORR", "AUC", "TUMOR", term, "log", 999, 0)
    assert 0 < test.p_value <= 1


def test_logistic_fit_of_the_pan_tumour_sizes(benchmark):
    frame = trial([400, 60, 130, 180, 380, 6])
    fit = benchmark(fit_logistic, frame, "ORR", "AUC", "TUMOR", shape="log")
    assert fit.firth and fit.converged


def test_profile_interval_of_a_small_histology(benchmark):
    fit = fit_logistic(trial([400, 60, 130, 180, 380, 6]), "ORR", "AUC", "TUMOR", shape="log")
    lower, upper = benchmark(fit.profile_interval, "slope[h5]")
    assert lower < fit.coefficients["slope[h5]"] < upper
