"""Forest of covariate effects: individual parameters of a typical subject at other covariate values, over those at the reference.

The full-model approach: effects of covariates that were chosen beforehand, with their intervals, judged by size, not selected by
p-values (Gastonguay MR. AAPS J 2004;6(S1):W4354).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from pkpd.distributions import ParameterDistribution
from pkpd.errors import InputError
from pkpd.language import bind
from pkpd.language.columns import label_column, number_column
from pkpd.language.scales import Scales, parameter_values
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.simulation.prediction import individual_parameters
from pkpd.simulation.subjects import carriers

__all__ = ["CovariateEffects", "covariate_effects"]


@result
@dataclass(frozen=True, repr=False)
class CovariateEffects:
    """Outcome of :func:`pkpd.covariate_effects`.

    Attributes
    ----------
    table : DataFrame
        parameter, covariate, value (as text), at (the number, NaN for a level), reference (as text), subjects (with that
        level; all for a number), ratio, lower, upper.
    reference : dict
        Covariate values of the subject that all are compared with.
    level : float
        Coverage of the intervals.
    """

    table: pd.DataFrame
    reference: dict[str, Any]
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def __repr__(self) -> str:
        who = ", ".join(f"{k} {_shown(v)}" for k, v in self.reference.items())
        head = f"Ratio of typical parameters to those at {who}; {100 * self.level:g} % intervals"
        return "\n".join([head, self.table.to_string(index=False, float_format=lambda v: f"{v:.4g}")])


def covariate_effects(
    fit: PopulationFit,
    n: int = 1000,
    seed: int = 0,
    *,
    quantiles: tuple[float, float] = (0.05, 0.95),
    reference: Mapping[str, Any] | None = None,
    level: float = 0.95,
    uncertainty: ParameterDistribution | None = None,
) -> CovariateEffects:
    """Tabulate covariate effects on individual parameters.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Number of draws of the parameters.
    seed : int
    quantiles : (float, float)
        Where a numeric covariate is compared with its reference, of its distribution among subjects (first values).
    reference : mapping, optional
        Values of the reference subject; medians by default, and the reference levels of factors.
    level : float
        Coverage of the percentile intervals.
    uncertainty : ParameterDistribution, optional
        A bootstrap or SIR of the fit; its covariance by default.

    Returns
    -------
    CovariateEffects
        One covariate is changed at a time; parameters that do not depend on it are left out.

    Raises
    ------
    InputError
        ``E_NO_COVARIATES`` if the model has none; ``E_ARGUMENT``.
    FitError
        ``E_NO_COVARIANCE`` without any uncertainty.
    """
    fit, n, level = fitted(fit), whole("n", n, 2), probability("level", level)
    low, high = (probability("quantiles", q) for q in quantiles)
    if not low < high:
        raise InputError("E_ARGUMENT", f"quantiles={quantiles!r}.", "Give ascending numbers between 0 and 1.")
    scenarios, changes, base = _scenarios(fit, quantiles, dict(reference or {}))
    problem = bind(fit.model, carriers(scenarios), fit.problem.solver)
    scales = Scales(problem)
    etas = np.zeros((len(scenarios), problem.n_eta))

    def ratios(parameters: Mapping[str, float]) -> np.ndarray:
        values = parameter_values(
            scales, problem, {k: parameters[k] for k in scales.names if k in parameters}
        )
        table = individual_parameters(problem, values, etas).to_numpy()
        with np.errstate(divide="ignore", invalid="ignore"):
            return table[1:] / table[0]

    estimate = ratios(dict(fit.parameter_estimates))
    draws = (fit if uncertainty is None else uncertainty).draw(n, seed)
    drawn = np.array([ratios({str(k): v for k, v in row.items()}) for row in draws.to_dict(orient="records")])
    lower, upper = np.quantile(drawn, [0.5 - level / 2, 0.5 + level / 2], axis=0)
    names = [p.name for p in (*fit.model.parameters, *fit.model.derived)]
    rows = []
    for k, (covariate, value, subjects) in enumerate(changes):
        for j, parameter in enumerate(names):
            if np.all(drawn[:, k, j] == 1.0) or not np.isfinite(estimate[k, j]):
                continue
            rows.append(
                {
                    "parameter": parameter,
                    "covariate": covariate,
                    "value": _shown(value),
                    "at": value if isinstance(value, float) else np.nan,
                    "reference": _shown(base[covariate]),
                    "subjects": subjects,
                    "ratio": estimate[k, j],
                    "lower": lower[k, j],
                    "upper": upper[k, j],
                }
            )
    table = pd.DataFrame(
        rows,
        columns=["parameter", "covariate", "value", "at", "reference", "subjects", "ratio", "lower", "upper"],
    )
    order = {name: i for i, name in enumerate(names)}
    table = table.sort_values("parameter", key=lambda c: c.map(order), kind="stable", ignore_index=True)
    shown = {k: base[k] for k in dict.fromkeys(c for c, _, _ in changes)}
    return CovariateEffects(table=table, reference=shown, level=level)


def _scenarios(
    fit: PopulationFit, quantiles: tuple[float, float], given: dict[str, Any]
) -> tuple[pd.DataFrame, list[tuple[str, Any, int]], dict[str, Any]]:
    """Covariate rows: the reference, then one change each; what was changed to what; the reference."""
    model, data = fit.model, fit.data
    numeric, factors = [c.name for c in model.covariates], {f.name: f for f in model.factors}
    if not numeric and not factors:
        raise InputError("E_NO_COVARIATES", f"model {model.name} has no covariates.", "Fit a model that has.")
    unknown = [k for k in given if k not in numeric]
    if unknown:
        raise InputError(
            "E_ARGUMENT",
            f"reference={unknown[0]!r} is no numeric covariate of the model.",
            f"It has {', '.join(numeric) or 'none'}; factors keep the reference level of the model.",
        )
    wrong = [k for k, v in given.items() if not isinstance(v, Real) or not math.isfinite(float(v))]
    if wrong:
        raise InputError("E_ARGUMENT", f"reference {wrong[0]} = {given[wrong[0]]!r}.", "Give a number.")
    base: dict[str, Any] = {}
    changes: list[tuple[str, Any, int]] = []
    for name in numeric:
        values = number_column(name, data).values[data.offsets[:-1]]
        base[name] = float(given.get(name, np.median(values)))
        changes += [(name, float(np.quantile(values, q)), len(values)) for q in quantiles]
    for name, factor in factors.items():
        labels = label_column(name, data).values[data.offsets[:-1]].tolist()
        base[name] = factor.reference
        levels = dict.fromkeys(labels)
        changes += [(name, x, labels.count(x)) for x in levels if x != factor.reference]
    for v in model.iovs:
        base[v.occasion] = data.frame[v.occasion].iloc[0]
    rows = [base, *({**base, name: value} for name, value, _ in changes)]
    return pd.DataFrame(rows), changes, base


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
