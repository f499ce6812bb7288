"""The model language: a Python function traced once with symbols into a frozen :class:`Model`, bound to data, compiled."""

from pkpd.language.absorption import inverse_gaussian, transit, weibull
from pkpd.language.binding import Problem, bind
from pkpd.language.eta_shapes import boxcox, heavy_tailed
from pkpd.language.frozen_model import Model
from pkpd.language.library import load_model, model_from_file, model_names
from pkpd.language.solver import Solver
from pkpd.language.symbols import cos, exp, expit, lgamma, log, logit, maximum, minimum, pi, sin, sqrt, where
from pkpd.language.trace import model

__all__ = [
    "Model", "Problem", "Solver", "bind", "boxcox", "cos", "exp", "expit", "heavy_tailed", "inverse_gaussian", "lgamma",
    "load_model", "log", "logit", "maximum", "minimum", "model", "model_from_file", "model_names", "pi", "sin", "sqrt",
    "transit", "weibull", "where",
]  # fmt: skip
