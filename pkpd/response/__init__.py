"""Exposure-response families: effect at a stated exposure, per histology."""

from pkpd.response.aliasing import AliasingMap, aliasing_map
from pkpd.response.balance import covariate_balance
from pkpd.response.competing_incidence import cumulative_incidence
from pkpd.response.competing_risks import CompetingRisksFit, fit_competing_risks
from pkpd.response.count import CountFit, fit_count
from pkpd.response.cox import CoxFit, fit_cox
from pkpd.response.emax import EmaxFit, fit_emax
from pkpd.response.evidence import evidence_class
from pkpd.response.exposure_check import ExposureCheck, exposure_check
from pkpd.response.kaplan_meier import kaplan_meier, median_survival
from pkpd.response.likelihood_ratio import LikelihoodRatio, bootstrap_likelihood_ratio
from pkpd.response.logistic import LogisticFit, fit_logistic
from pkpd.response.logistic_emax import LogisticEmaxFit
from pkpd.response.multiple_contrasts import McpModResult, mcp_mod
from pkpd.response.observed import clopper_pearson, counts, observed_proportions
from pkpd.response.ordinal import OrdinalFit, fit_ordinal
from pkpd.response.parametric_survival import ParametricSurvivalFit, fit_parametric_survival
from pkpd.response.propensity import (
    Matched,
    WeightedEffect,
    Weights,
    effective_sample_size,
    exposure_weights,
    inverse_probability_weights,
    matched_pairs,
    weighted_effect,
)
from pkpd.response.qtc import QtcFit, fit_qtc
from pkpd.response.regressors import Regressors
from pkpd.response.tumour_growth import size_ratio, time_to_growth
from pkpd.response.tumour_size import TumourSizeFit, fit_tumour_size, tumour_survival
from pkpd.response.uncertain_exposure import JointLogisticFit, with_uncertain_exposure

__all__ = [
    "AliasingMap",
    "CompetingRisksFit",
    "CountFit",
    "CoxFit",
    "EmaxFit",
    "ExposureCheck",
    "JointLogisticFit",
    "LikelihoodRatio",
    "LogisticEmaxFit",
    "LogisticFit",
    "Matched",
    "McpModResult",
    "OrdinalFit",
    "ParametricSurvivalFit",
    "QtcFit",
    "Regressors",
    "TumourSizeFit",
    "WeightedEffect",
    "Weights",
    "aliasing_map",
    "bootstrap_likelihood_ratio",
    "clopper_pearson",
    "counts",
    "covariate_balance",
    "cumulative_incidence",
    "effective_sample_size",
    "evidence_class",
    "exposure_check",
    "exposure_weights",
    "fit_competing_risks",
    "fit_count",
    "fit_cox",
    "fit_emax",
    "fit_logistic",
    "fit_ordinal",
    "fit_parametric_survival",
    "fit_qtc",
    "fit_tumour_size",
    "inverse_probability_weights",
    "kaplan_meier",
    "matched_pairs",
    "mcp_mod",
    "median_survival",
    "observed_proportions",
    "size_ratio",
    "time_to_growth",
    "tumour_survival",
    "weighted_effect",
    "with_uncertain_exposure",
]
