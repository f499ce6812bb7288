"""From regimens and sampling times to the flat arrays of a bound problem."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.language import Problem
from pkpd.language.records import Doses, Records
from pkpd.simulation.regimen import Regimen

__all__ = ["doses_for", "records_at"]


def doses_for(problem: Problem, table: pd.DataFrame | None, regimens: Sequence[Regimen]) -> Doses:
    """Doses of each subject.

    Parameters
    ----------
    problem : Problem
    table : DataFrame or None
        One row per subject, in their order: where ``per=`` columns are read.
    regimens : sequence of Regimen, one per subject
        Subjects that share a regimen are best given the same object.

    Raises
    ------
    InputError
        ``E_REGIMEN``, ``E_REGIMEN_PER``, ``E_REGIMEN_STEADY``.
    """
    names = {c.name: i for i, c in enumerate(problem.model.compartments)}
    groups: dict[int, list[int]] = {}
    for i, regimen in enumerate(regimens):
        groups.setdefault(id(regimen), []).append(i)
    sizes = {
        key: sum(len(d.times) + (d.interval > 0) for d in regimens[who[0]].doses)
        for key, who in groups.items()
    }
    counts = np.array([sizes[id(r)] for r in regimens], dtype=np.int64)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    total = int(offsets[-1])
    time, amount, rate, interval = (np.zeros(total) for _ in range(4))
    compartment, kind = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int64)
    for members in groups.values():
        who = np.array(members)
        doses = regimens[members[0]].doses
        times, part, steady = _written_out(problem, regimens[members[0]])
        at = offsets[who][:, None] + np.arange(len(times))
        scale = np.stack(
            [np.ones(len(who)) if d.per is None else _values(problem, table, d.per, who) for d in doses]
        )
        size = scale[part].T * np.array([d.amount for d in doses])[part]
        time[at] = times
        amount[at] = size
        rate[at] = size / np.array([d.infusion or np.inf for d in doses])[part]
        compartment[at] = np.array([_compartment(d.compartment, names) for d in doses])[part]
        kind[at] = steady
        interval[at] = np.where(steady > 0, np.array([d.interval for d in doses])[part], 0.0)
    return Doses(
        time=time,
        compartment=compartment,
        amount=amount,
        rate=rate,
        row=np.zeros(total, dtype=np.int64),
        kind=kind,
        interval=interval,
        offsets=offsets,
    )


def _written_out(problem: Problem, regimen: Regimen) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Time of each dose in order, the part of the regimen that it is of, and its kind.

    A dose that finds a steady state is the one after the steady-state dose: so a sample just before it sees the trough.
    """
    doses = regimen.doses
    times = np.concatenate(
        [(([d.times[0] - d.interval] if d.interval else []) + list(d.times)) for d in doses]
    )
    part = np.repeat(np.arange(len(doses)), [len(d.times) + (d.interval > 0) for d in doses])
    steady = np.concatenate([[2] * (d.interval > 0) + [0] * len(d.times) for d in doses]).astype(np.int64)
    order = np.argsort(times, kind="stable")
    times, part, steady = times[order], part[order], steady[order]
    if not steady.any():
        return times, part, steady
    if steady[0]:
        steady[0] = 1  # nothing was there before: the system is put into the steady state
    structure = problem.structure
    if any(structure.time in r.free_symbols for r in structure.rates):
        raise InputError(
            "E_REGIMEN_STEADY",
            f"the equations of {problem.model.name} depend on time itself, so that its doses lead to no steady state.",
            "Write the doses out with every= and until=.",
        )
    if (steady == 2).any() and not structure.linear:
        raise InputError(
            "E_REGIMEN_STEADY",
            f"{problem.model.name} is not linear: its steady state under several doses is not the sum of those of each.",
            "Write the doses out with every= and until=, or let one dose at steady state come first and alone.",
        )
    return times, part, steady


def _values(problem: Problem, table: pd.DataFrame | None, column: str, who: np.ndarray) -> np.ndarray:
    if table is None or column not in table.columns:
        raise InputError(
            "E_REGIMEN_PER",
            f"the dose is per {column}, which is not among the covariates.",
            "Give that column.",
        )
    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)[who]
    bad = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(bad):
        i = who[bad[0]]
        raise InputError(
            "E_REGIMEN_PER",
            f"ID {problem.subjects[i]}: {column} = {table[column].iloc[i]} cannot scale a dose.",
            "Give a positive value.",
        )
    return values


def _compartment(given: str | int | None, names: dict[str, int]) -> int:
    if given is None:
        return 0
    if isinstance(given, str) and given in names:
        return names[given]
    if isinstance(given, int) and not isinstance(given, bool) and 1 <= given <= len(names):
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
        censored=np.zeros(count, dtype=np.int64),
        limit=np.full(count, np.nan),
    )
