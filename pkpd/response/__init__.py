"""Exposure-response families: effect at a stated exposure, per histology."""

from pkpd.response.competing_incidence import cumulative_incidence
from pkpd.response.competing_risks import CompetingRisksFit, fit_competing_risks
from pkpd.response.count import CountFit, fit_count
from pkpd.response.cox import CoxFit, fit_cox
from pkpd.response.emax import EmaxFit, fit_emax
from pkpd.response.likelihood_ratio import LikelihoodRatio, bootstrap_likelihood_ratio
from pkpd.response.logistic import LogisticFit, fit_logistic
from pkpd.response.logistic_emax import LogisticEmaxFit
from pkpd.response.multiple_contrasts import McpModResult, mcp_mod
from pkpd.response.observed import clopper_pearson, counts, observed_proportions
from pkpd.response.ordinal import OrdinalFit, fit_ordinal
from pkpd.response.parametric_survival import ParametricSurvivalFit, fit_parametric_survival
from pkpd.response.qtc import QtcFit, fit_qtc
from pkpd.response.regressors import Regressors

__all__ = [
    "CompetingRisksFit",
    "CountFit",
    "CoxFit",
    "EmaxFit",
    "LikelihoodRatio",
    "LogisticEmaxFit",
    "LogisticFit",
    "McpModResult",
    "OrdinalFit",
    "ParametricSurvivalFit",
    "QtcFit",
    "Regressors",
    "bootstrap_likelihood_ratio",
    "clopper_pearson",
    "counts",
    "cumulative_incidence",
    "fit_competing_risks",
    "fit_count",
    "fit_cox",
    "fit_emax",
    "fit_logistic",
    "fit_ordinal",
    "fit_parametric_survival",
    "fit_qtc",
    "mcp_mod",
    "observed_proportions",
]
