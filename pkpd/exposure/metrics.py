"""AUC, Cmax, Cmin, Ctrough, Cavg and time above a threshold, of any dosing interval and at steady state, per subject."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.exposure.individual import conditional_covariance
from pkpd.exposure.problem import ACTUAL, ExposureProblem
from pkpd.language.scales import Values
from pkpd.population import PopulationFit
from pkpd.population.arguments import fitted, probability
from pkpd.simulation import Regimen

__all__ = ["METRICS", "compute_metrics", "exposure_metrics", "parsed_metrics"]

METRICS = ("AUC1", "CMAX1", "CTROUGH1", "CAVG1", "AUCSS", "CMAXSS", "CTROUGHSS", "CAVGSS")
"""What is computed if nothing is named."""

_NAME = re.compile(r"(AUC|CMAX|CMIN|CTROUGH|CAVG|TABOVE|CUMAUC)([1-9][0-9]{0,3}|SS)\Z")
_STEP = 1e-4  # of a random effect, for derivatives of logarithms: truncation and rounding errors are both below 1e-7


def parsed_metrics(
    metrics: Sequence[str], *, actual: bool = False, threshold: float | None = None
) -> list[tuple[str, str]]:
    """Take names apart: kind, and number of the dosing interval or ``"SS"``.

    Raises
    ------
    InputError
        ``E_METRIC``.
    """
    if isinstance(metrics, str) or not len(metrics):
        raise InputError("E_METRIC", "no list of exposure metrics is given.", f"E.g. {list(METRICS)}.")
    out = []
    for name in metrics:
        match = _NAME.match(name) if isinstance(name, str) else None
        if match is None or name == "CUMAUCSS":
            raise InputError(
                "E_METRIC",
                f"exposure metric {name!r}.",
                "Known: AUC, CMAX, CMIN, CTROUGH, CAVG, TABOVE followed by the number of the dosing interval or SS, and CUMAUC "
                "followed by a number.",
            )
        if actual and match[2] == "SS":
            raise InputError(
                "E_METRIC",
                f"{name} belongs to a regimen that is repeated for ever; actual doses are not.",
                "Ask for a numbered interval, or give the planned regimen.",
            )
        if match[1] == "TABOVE" and threshold is None:
            raise InputError("E_METRIC", f"{name} needs a threshold.", "Give threshold=, a concentration.")
        out.append((match[1], match[2]))
    return out


def compute_metrics(
    exposure: ExposureProblem,
    wanted: Sequence[tuple[str, str]],
    steady: int,
    values: Values,
    etas: np.ndarray,
    threshold: float | None = None,
) -> np.ndarray:
    """Metrics (N, len(wanted)) at given parameters; ``steady`` is the dosing interval that stands for steady state."""
    found: dict[tuple[str, int], np.ndarray] = {}

    def metric(kind: str, k: int) -> np.ndarray:
        if (kind, k) not in found:
            if kind == "CMAX":
                x = exposure.extreme(k, values, etas, 1.0)
            elif kind == "CMIN":
                x = exposure.extreme(k, values, etas, -1.0)
            elif kind == "CTROUGH":
                x = exposure.trough(k, values, etas)
            elif kind == "TABOVE":
                assert threshold is not None
                x = exposure.time_above(k, threshold, values, etas)
            elif kind == "CUMAUC":
                x = exposure.area_over(0, k, values, etas)
            elif kind == "CAVG":
                x = metric("AUC", k) / exposure.interval
            else:
                x = exposure.area_over(k, k, values, etas)
            found[kind, k] = x
        return found[kind, k]

    columns = [metric(kind, steady if number == "SS" else int(number) - 1) for kind, number in wanted]
    return np.column_stack(columns)


def exposure_metrics(
    fit: PopulationFit,
    metrics: Sequence[str] = METRICS,
    *,
    regimen: Regimen | Mapping[Any, Regimen] | str,
    interval: float,
    output: str | Sequence[str] | None = None,
    threshold: float | None = None,
    level: float | None = None,
) -> pd.DataFrame:
    """Exposure of each subject at its empirical Bayes estimates.

    Parameters
    ----------
    fit : PopulationFit
        A fit that contains the histology effect, if the metrics are to be regressors.
    metrics : sequence of str
        ``AUC``, ``CMAX``, ``CMIN``, ``CTROUGH`` (at the end), ``CAVG`` or ``TABOVE`` (time above ``threshold``), each followed by
        the number of the dosing interval (``AUC1``, ``CMAX3``) or ``SS`` (steady state); ``CUMAUC3`` is the area over the first
        three intervals.
    regimen : Regimen, mapping of ID to Regimen, or ``"actual"``
        Planned doses: those of the first interval are repeated, whatever their number, and effects of the occasion are zero.
        ``"actual"``: the doses of the data as they were given, under the effects of their occasions; intervals are then
        counted from the first one.
    interval : float
        Length of the dosing interval (cycle), in the time unit of the data.
    output : str or sequence of str, optional
        The observation (analyte); the first by default. Of several, columns are named ``AUC1[parent]``.
    threshold : float, optional
        Of TABOVE, in the unit of the observation.
    level : float, optional
        Adds columns ``AUC1_lower`` and ``AUC1_upper`` with that coverage: the uncertainty of the subject's own random effects
        given its data (log-normal, by the delta method). That of the population parameters is not in them.

    Returns
    -------
    DataFrame
        One row per ID; concentrations in the unit of the observation, AUC in that unit × time.

    Raises
    ------
    InputError
        ``E_METRIC``, ``E_INTERVAL``, ``E_OUTPUT``, ``E_REGIMEN_ID``, ``E_REGIMEN_PERIOD``, ``E_LEVEL``, ``E_EXPOSURE_ACTUAL``.
    FitError
        ``E_NO_STEADY_STATE`` if exposure keeps changing.
    """
    fit, actual = fitted(fit), isinstance(regimen, str) and regimen == ACTUAL
    if threshold is not None and not (isinstance(threshold, Real) and 0 < float(threshold) < np.inf):
        raise InputError("E_METRIC", f"threshold {threshold!r} is not positive.", "Give a concentration.")
    level = None if level is None else probability("level", level, "E_LEVEL")
    wanted = parsed_metrics(metrics, actual=actual, threshold=threshold)
    if threshold is not None and not any(kind == "TABOVE" for kind, _ in wanted):
        raise InputError(
            "E_METRIC", "threshold= has no effect without TABOVE.", 'Ask for "TABOVE1", or leave it out.'
        )
    several = isinstance(output, (list, tuple))
    tables = []
    for name in output if several and output is not None else [output]:
        exposure = ExposureProblem(fit, regimen, interval, name)  # type: ignore[arg-type]
        values, etas = exposure.values(), fit.individual_estimates.to_numpy()
        steady = exposure.steady(values, etas) if any(k == "SS" for _, k in wanted) else 0
        table = pd.DataFrame(
            compute_metrics(exposure, wanted, steady, values, etas, threshold),
            columns=list(metrics),
            index=pd.Index(exposure.problem.subjects, name="ID"),
        )
        if level is not None:
            se = _log_errors(fit, exposure, wanted, steady, values, etas, threshold)
            table = _with_limits(table, se, level)
        if several:
            table.columns = pd.Index([f"{c}[{name}]" for c in table.columns])
        tables.append(table)
    return pd.concat(tables, axis=1)


def _log_errors(
    fit: PopulationFit,
    exposure: ExposureProblem,
    wanted: Sequence[tuple[str, str]],
    steady: int,
    values: Values,
    etas: np.ndarray,
    threshold: float | None,
) -> np.ndarray:
    """Standard errors (N, metrics) of the logarithm of each metric, from the uncertainty of the subject's etas."""
    covariance = conditional_covariance(fit)
    slopes = np.zeros((etas.shape[0], len(wanted), etas.shape[1]))
    for e in range(etas.shape[1]):
        moved = [etas.copy(), etas.copy()]
        moved[0][:, e] += _STEP
        moved[1][:, e] -= _STEP
        with np.errstate(divide="ignore", invalid="ignore"):
            up, down = (
                np.log(compute_metrics(exposure, wanted, steady, values, m, threshold)) for m in moved
            )
            slopes[:, :, e] = (up - down) / (2 * _STEP)
    return np.sqrt(np.einsum("nme,nef,nmf->nm", slopes, covariance, slopes))


def _with_limits(table: pd.DataFrame, se: np.ndarray, level: float) -> pd.DataFrame:
    from scipy.special import ndtri

    z = float(ndtri(0.5 + level / 2))
    columns: dict[str, Any] = {}
    for j, name in enumerate(table.columns):
        columns[name] = table[name]
        columns[f"{name}_lower"] = table[name] * np.exp(-z * se[:, j])
        columns[f"{name}_upper"] = table[name] * np.exp(z * se[:, j])
    return pd.DataFrame(columns, index=table.index)
