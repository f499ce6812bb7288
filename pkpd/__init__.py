"""Population PK and exposure-response per tumour type: may every histology share one dose.

Public names are loaded when they are first used, so that ``import pkpd`` stays quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_WHERE = {
    "Dataset": "pkpd.data",
    "check": "pkpd.data",
    "load_dataset": "pkpd.data",
    "read_dataset": "pkpd.data",
    "DataError": "pkpd.errors",
    "FitError": "pkpd.errors",
    "FitInterrupted": "pkpd.errors",
    "InputError": "pkpd.errors",
    "ModelError": "pkpd.errors",
    "PkpdError": "pkpd.errors",
    "PkpdWarning": "pkpd.errors",
    "PlanError": "pkpd.errors",
    "Model": "pkpd.language",
    "Solver": "pkpd.language",
    "bind": "pkpd.language",
    "boxcox": "pkpd.language",
    "cos": "pkpd.language",
    "exp": "pkpd.language",
    "expit": "pkpd.language",
    "heavy_tailed": "pkpd.language",
    "inverse_gaussian": "pkpd.language",
    "lgamma": "pkpd.language",
    "load_model": "pkpd.language",
    "log": "pkpd.language",
    "logit": "pkpd.language",
    "maximum": "pkpd.language",
    "minimum": "pkpd.language",
    "model": "pkpd.language",
    "model_from_file": "pkpd.language",
    "pi": "pkpd.language",
    "sin": "pkpd.language",
    "sqrt": "pkpd.language",
    "transit": "pkpd.language",
    "weibull": "pkpd.language",
    "where": "pkpd.language",
    "dose": "pkpd.simulation",
    "predict": "pkpd.simulation",
    "simulate": "pkpd.simulation",
    "simulate_events": "pkpd.simulation",
    "AGQ": "pkpd.population",
    "FO": "pkpd.population",
    "FOCE": "pkpd.population",
    "FOCEI": "pkpd.population",
    "IMP": "pkpd.population",
    "ImportanceSampling": "pkpd.population",
    "InverseWishart": "pkpd.population",
    "Laplace": "pkpd.population",
    "LogNormal": "pkpd.population",
    "MAP": "pkpd.population",
    "NaivePooled": "pkpd.population",
    "PopulationFit": "pkpd.population",
    "SAEM": "pkpd.population",
    "TwoStage": "pkpd.population",
    "conditional_draws": "pkpd.population",
    "importance_sampling": "pkpd.population",
    "bootstrap": "pkpd.population",
    "category_vpc": "pkpd.population",
    "event_vpc": "pkpd.population",
    "evaluate": "pkpd.population",
    "fit": "pkpd.population",
    "npde": "pkpd.population",
    "covariate_effects": "pkpd.population",
    "profile": "pkpd.population",
    "randomisation_test": "pkpd.population",
    "stepwise": "pkpd.population",
    "sir": "pkpd.population",
    "starting_values": "pkpd.population",
    "nca": "pkpd.noncompartmental",
    "vpc": "pkpd.population",
    "exposure_metrics": "pkpd.exposure",
    "Normal": "pkpd.distributions",
    "HalfNormal": "pkpd.distributions",
    "CRP": "pkpd.distributions",
    "BlockCount": "pkpd.distributions",
    "ParameterDistribution": "pkpd.distributions",
    "processes": "pkpd.parallel",
    "Store": "pkpd.store",
    "Assessment": "pkpd.study",
    "Qualification": "pkpd.study",
    "Scenario": "pkpd.study",
    "assess": "pkpd.study",
    "operating_characteristics": "pkpd.study",
    "qualify": "pkpd.study",
    "write_figures": "pkpd.report",
    "write_report": "pkpd.report",
}
_MODULES = {
    "exposure": "pkpd.exposure",
    "histology": "pkpd.histology",
    "plot": "pkpd.report.figures",
    "response": "pkpd.response",
}

__all__ = ["__version__", *_WHERE, *_MODULES]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(_WHERE[name]), name)
    elif name in _MODULES:
        value = import_module(_MODULES[name])
    else:
        raise AttributeError(f"module 'pkpd' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
