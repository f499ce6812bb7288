"""Figures of a result, public as ``pkpd.plot``: each returns matplotlib axes, and none touches pyplot."""

from __future__ import annotations

from pkpd.report.covariate_figures import covariate_effects
from pkpd.report.exposure_figures import exposure_by_dose, exposure_forest, shrinkage_forest
from pkpd.report.goodness_of_fit import gof
from pkpd.report.response_figures import exposure_response, response_forest
from pkpd.report.simulation_figures import npde, vpc

__all__ = [
    "covariate_effects",
    "exposure_by_dose",
    "exposure_forest",
    "exposure_response",
    "gof",
    "npde",
    "response_forest",
    "shrinkage_forest",
    "vpc",
]
