"""Estimation of population models: settings objects, one entry point :func:`fit`, frozen results."""

from pkpd.population.fit import evaluate, fit
from pkpd.population.methods import FOCEI
from pkpd.population.objective import Evaluation
from pkpd.population.result import PopulationFit

__all__ = ["FOCEI", "Evaluation", "PopulationFit", "evaluate", "fit"]
