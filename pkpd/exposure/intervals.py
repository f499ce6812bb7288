"""Exposure in time: intervals of follow-up with what happened in each, for models of time to event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.exposure.problem import ACTUAL, ExposureProblem
from pkpd.population import PopulationFit
from pkpd.simulation import Regimen

__all__ = ["INTERVAL_METRICS", "interval_exposure"]

INTERVAL_METRICS = ("AUC", "CAVG", "CUMAUC", "CTROUGH")


def interval_exposure(
    fit: PopulationFit,
    ends: Mapping[Any, float] | pd.Series,
    width: float,
    metrics: Sequence[str] = INTERVAL_METRICS,
    *,
    regimen: Regimen | Mapping[Any, Regimen] | str = ACTUAL,
    lag: float = 0.0,
    output: str | None = None,
) -> pd.DataFrame:
    """Cut the follow-up of each subject into intervals and give the exposure of each.

    This is the only form in which exposure should meet the time of an event: an average up to the event is lower, or
    higher, *because* the event came early or late (who leaves early has had few doses), and would be taken for its cause.

    Parameters
    ----------
    fit : PopulationFit
    ends : mapping or Series, ID -> time
        End of follow-up (event or censoring) of each subject, in the time of the data. Subjects of the fit that are not
        named are left out.
    width : float
        Length of the intervals, from time 0; the last one is cut at the end.
    metrics : sequence of str
        ``AUC`` and ``CAVG`` within the interval, ``CUMAUC`` from time 0 to its end, ``CTROUGH`` the concentration at its end
        (before a dose there).
    regimen : Regimen, mapping of ID to Regimen, or ``"actual"``
        The doses of the data by default; a planned regimen is taken as it is written, nothing is repeated, and effects of the
        occasion are zero.
    lag : float
        Exposure precedes its effect by this: an interval gets what happened so much earlier.
    output : str, optional
        The observation; the first by default.

    Returns
    -------
    DataFrame
        ID, start, stop, and one column per metric, as :func:`pkpd.response.fit_cox` takes it once an event column is
        added to the last interval of each subject.

    Raises
    ------
    InputError
        ``E_METRIC``, ``E_INTERVAL``, ``E_INTERVAL_END``, and those of :func:`pkpd.exposure_metrics`.
    """
    unknown = [m for m in metrics if m not in INTERVAL_METRICS]
    if unknown or isinstance(metrics, str) or not len(metrics):
        raise InputError(
            "E_METRIC",
            f"interval metrics {metrics!r}.",
            f"Known: {', '.join(INTERVAL_METRICS)}.",
        )
    if not all(isinstance(x, Real) for x in (width, lag)) or not (0 < width < np.inf and 0 <= lag < np.inf):
        raise InputError(
            "E_INTERVAL", f"width {width!r}, lag {lag!r}.", "Give a positive width, and a lag of 0 or more."
        )
    exposure = ExposureProblem(fit, regimen, None, output)
    if not isinstance(ends, (Mapping, pd.Series)):
        raise InputError("E_INTERVAL_END", f"ends={ends!r} is no mapping.", "Give ID -> time.")
    given = dict(ends)
    foreign = [i for i in given if i not in set(exposure.problem.subjects.tolist())]
    bad = [i for i, end in given.items() if not (isinstance(end, Real) and 0 < float(end) < np.inf)]
    if foreign or bad or not given:
        raise InputError(
            "E_INTERVAL_END",
            f"ID {', '.join(map(str, (foreign or bad)[:8]))} "
            + ("is not among the subjects of the fit." if foreign else "has no positive end of follow-up.")
            if given
            else "no subject has an end of follow-up.",
            "Give ID -> time of event or censoring.",
        )
    edges = [
        _edges(float(given[i]), width) if i in given else np.zeros(1)
        for i in exposure.problem.subjects.tolist()
    ]
    most = max(len(e) for e in edges)
    times = np.array([np.pad(e, (0, most - len(e)), mode="edge") for e in edges])
    values, etas = exposure.values(), fit.individual_estimates.to_numpy()
    earlier = exposure.on_doses(np.maximum(times - lag, 0.0))  # before time 0 nothing was given
    both = np.repeat(earlier, 2, axis=1)
    outputs = exposure.at(1, both, np.tile([exposure.area, exposure.output], most), values, etas)
    area, conc = outputs[:, 0::2], outputs[:, 1::2]
    start = exposure.at(1, np.zeros(1), np.array([exposure.area]), values, etas)
    rows = []
    for i, subject in enumerate(exposure.problem.subjects.tolist()):
        m = len(edges[i]) - 1
        if m < 1:
            continue
        auc = np.diff(area[i, : m + 1])
        columns = {
            "AUC": auc,
            "CAVG": auc / np.diff(edges[i]),
            "CUMAUC": area[i, 1 : m + 1] - start[i, 0],
            "CTROUGH": conc[i, 1 : m + 1],
        }
        own = {"ID": [subject] * m, "start": edges[i][:-1], "stop": edges[i][1:]}
        rows.append(pd.DataFrame(own | {name: columns[name] for name in metrics}))
    return pd.concat(rows, ignore_index=True)


def _edges(end: float, width: float) -> np.ndarray:
    # a remainder that is rounding alone is no interval
    count = int(np.ceil(end / width - 1e-9))
    return np.append(np.arange(count) * width, end)
