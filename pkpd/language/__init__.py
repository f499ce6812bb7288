"""The model language: a Python function traced once with symbols into a frozen :class:`Model`, bound to data, compiled."""

from pkpd.language.binding import Problem, bind
from pkpd.language.declarations import Model
from pkpd.language.library import load_model, model_from_file, model_names
from pkpd.language.solver import Solver
from pkpd.language.symbols import exp, expit, log, logit, sqrt, where
from pkpd.language.trace import model

__all__ = [
    "Model", "Problem", "Solver", "bind", "exp", "expit", "load_model", "log", "logit", "model", "model_from_file",
    "model_names", "sqrt", "where",
]  # fmt: skip
