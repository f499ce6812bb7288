"""Figures of a result, public as ``pkpd.plot``: each returns matplotlib axes, and none touches pyplot."""

from __future__ import annotations

from pkpd.report.borrowing_figures import exchangeability_map, leave_one_out, shrunken_responses
from pkpd.report.characteristic_figures import operating_characteristics
from pkpd.report.confounding_figures import aliasing_map
from pkpd.report.covariate_figures import covariate_effects
from pkpd.report.dose_figures import dose_response
from pkpd.report.endpoint_figures import category_vpc, event_vpc
from pkpd.report.engagement_figures import engagement
from pkpd.report.exposure_figures import exposure_by_dose, exposure_forest, shrinkage_forest
from pkpd.report.goodness_of_fit import gof
from pkpd.report.random_effect_figures import eta_covariates, shrinkage
from pkpd.report.representativeness_figures import representativeness
from pkpd.report.response_figures import exposure_response, response_forest
from pkpd.report.simulation_figures import npde, vpc
from pkpd.report.survival_figures import kaplan_meier

__all__ = [
    "aliasing_map",
    "category_vpc",
    "covariate_effects",
    "dose_response",
    "engagement",
    "eta_covariates",
    "event_vpc",
    "exchangeability_map",
    "exposure_by_dose",
    "exposure_forest",
    "exposure_response",
    "gof",
    "kaplan_meier",
    "leave_one_out",
    "npde",
    "operating_characteristics",
    "representativeness",
    "response_forest",
    "shrinkage",
    "shrinkage_forest",
    "shrunken_responses",
    "vpc",
]
