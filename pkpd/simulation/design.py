"""From regimens and sampling times to the flat arrays of a bound problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pkpd.data import Dataset
from pkpd.errors import InputError
from pkpd.language.binding import Doses, Problem, Records
from pkpd.simulation.regimen import Regimen

__all__ = ["doses_for", "records_at"]


def doses_for(problem: Problem, data: Dataset | None, regimens: Sequence[Regimen]) -> Doses:
    """Doses of each subject.

    Parameters
    ----------
    problem : Problem
    data : Dataset or None
        Where ``per=`` columns are read; first value of each subject.
    regimens : sequence of Regimen, one per subject
    """
    names = {c.name: i for i, c in enumerate(problem.model.compartments)}
    time, cmt, amount, rate, counts = [], [], [], [], []
    for i, regimen in enumerate(regimens):
        entries = []
        for d in regimen.doses:
            size = d.amount * (1.0 if d.per is None else _value(data, d.per, i))
            where = _compartment(d.compartment, names)
            entries += [(t, where, size, size / d.infusion if d.infusion else 0.0) for t in d.times]
        entries.sort(key=lambda e: e[0])
        counts.append(len(entries))
        for t, where, size, speed in entries:
            time.append(t)
            cmt.append(where)
            amount.append(size)
            rate.append(speed)
    return Doses(
        time=np.array(time, dtype=float),
        compartment=np.array(cmt, dtype=np.int64),
        amount=np.array(amount, dtype=float),
        rate=np.array(rate, dtype=float),
        row=np.zeros(len(time), dtype=np.int64),
        kind=np.zeros(len(time), dtype=np.int64),
        interval=np.zeros(len(time)),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
    )


def _value(data: Dataset | None, column: str, i: int) -> float:
    if data is None or column not in data.frame.columns:
        raise InputError(
            "E_REGIMEN_PER",
            f"the dose is per {column}, which is not among the covariates.",
            "Give that column.",
        )
    value = float(data.frame[column].iloc[data.offsets[i]])
    if not (np.isfinite(value) and value > 0):
        raise InputError(
            "E_REGIMEN_PER",
            f"ID {data.subjects[i]}: {column} = {value} cannot scale a dose.",
            "Give a positive value.",
        )
    return value


def _compartment(given: str | int | None, names: dict[str, int]) -> int:
    if given is None:
        return 0
    if isinstance(given, str) and given in names:
        return names[given]
    if isinstance(given, int) and 1 <= given <= len(names):
        return given - 1
    raise InputError(
        "E_REGIMEN", f"compartment {given!r} is not one of the model's.", f"It has {', '.join(names)}."
    )


def records_at(times: np.ndarray, endpoints: np.ndarray) -> Records:
    """Prediction points, the same number for each subject, before doses at the same time.

    Parameters
    ----------
    times : (N, M) array
        In order of time within each row.
    endpoints : (M,) or (N, M) int array
        Endpoint (from 0) of each point.
    """
    n, m = times.shape
    count = n * m
    return Records(
        time=np.array(times, dtype=float).ravel(),
        value=np.zeros(count),
        endpoint=np.array(np.broadcast_to(endpoints, (n, m)), dtype=np.int64).ravel(),
        used=np.zeros(count, dtype=np.int64),
        row=np.full(count, -1, dtype=np.int64),
        offsets=np.arange(0, count + 1, m, dtype=np.int64),
    )
