"""Estimation of population models: settings objects, one entry point :func:`fit`, frozen results."""

from pkpd.population.category_check import CategoryVPC, category_vpc
from pkpd.population.covariate_effects import CovariateEffects, covariate_effects
from pkpd.population.covariate_search import Stepwise, stepwise
from pkpd.population.event_check import EventVPC, event_vpc
from pkpd.population.fit import evaluate, fit
from pkpd.population.importance import IMP
from pkpd.population.importance_resampling import SIR, sir
from pkpd.population.likelihood_profile import LikelihoodProfile, profile
from pkpd.population.methods import AGQ, FO, FOCE, FOCEI, MAP, Laplace, NaivePooled
from pkpd.population.objective import Evaluation
from pkpd.population.posterior import ImportanceSampling, conditional_draws, importance_sampling
from pkpd.population.prediction_errors import NPDE, npde
from pkpd.population.predictive_check import VPC, vpc
from pkpd.population.priors import InverseWishart, LogNormal
from pkpd.population.randomisation import Randomisation, randomisation_test
from pkpd.population.resampling import Bootstrap, bootstrap
from pkpd.population.result import PopulationFit
from pkpd.population.saem import SAEM
from pkpd.population.starting_values import starting_values
from pkpd.population.two_stage import TwoStage

__all__ = [
    "AGQ",
    "FO",
    "FOCE",
    "FOCEI",
    "IMP",
    "MAP",
    "NPDE",
    "SAEM",
    "SIR",
    "VPC",
    "Bootstrap",
    "CategoryVPC",
    "CovariateEffects",
    "Evaluation",
    "EventVPC",
    "ImportanceSampling",
    "InverseWishart",
    "Laplace",
    "LikelihoodProfile",
    "LogNormal",
    "NaivePooled",
    "PopulationFit",
    "Randomisation",
    "Stepwise",
    "TwoStage",
    "bootstrap",
    "category_vpc",
    "conditional_draws",
    "covariate_effects",
    "evaluate",
    "event_vpc",
    "fit",
    "importance_sampling",
    "npde",
    "profile",
    "randomisation_test",
    "sir",
    "starting_values",
    "stepwise",
    "vpc",
]
