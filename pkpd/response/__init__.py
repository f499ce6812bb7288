"""Exposure-response families: effect at a stated exposure, per histology."""

from pkpd.response.likelihood_ratio import LikelihoodRatio, bootstrap_likelihood_ratio
from pkpd.response.logistic import LogisticFit, fit_logistic
from pkpd.response.observed import clopper_pearson, counts, observed_proportions
from pkpd.response.regressors import Regressors

__all__ = [
    "LikelihoodRatio",
    "LogisticFit",
    "Regressors",
    "bootstrap_likelihood_ratio",
    "clopper_pearson",
    "counts",
    "fit_logistic",
    "observed_proportions",
]
