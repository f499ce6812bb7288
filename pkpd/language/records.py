"""Records of the data as the kernels take them: doses and resets, observations, endpoints and compartments resolved."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import ModelError
from pkpd.language.columns import endpoint_numbers, record_owner
from pkpd.language.frozen_model import Model

__all__ = ["DOSE", "OFF", "ON", "RESET", "Doses", "Records", "read_doses", "read_records"]

# kinds of dose record (pkpd.kernels.events): 1 and 2 are steady-state doses
DOSE, RESET, OFF, ON = 0, 3, 4, 5


@dataclass(frozen=True)
class Doses:
    """Dose and reset records of all subjects, additional doses written out.

    ``time``, ``amount``, ``rate`` (D,) float; ``compartment`` (D,) from 0; ``row`` (D,) place of the record in its subject;
    ``kind`` (D,) 0 dose, 1 or 2 steady-state dose, 3 reset, 4 and 5 a compartment turned off and on; ``interval`` (D,) II of
    steady-state doses; ``offsets`` (N+1,): the doses of subject i are ``offsets[i]:offsets[i+1]``.
    """

    time: np.ndarray
    compartment: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    row: np.ndarray
    kind: np.ndarray
    interval: np.ndarray
    offsets: np.ndarray


@dataclass(frozen=True)
class Records:
    """Observation records of all subjects, in order of time.

    ``time``, ``value`` (O,) float; ``endpoint`` (O,) from 0; ``used`` (O,) 1 where the value enters the likelihood;
    ``row`` (O,) place in the subject; ``offsets`` (N+1,); ``censored`` (O,) 1 where the truth lies below ``value``, -1 where
    above, ``limit`` (O,) the bound on its other side or NaN.
    """

    time: np.ndarray
    value: np.ndarray
    endpoint: np.ndarray
    used: np.ndarray
    row: np.ndarray
    offsets: np.ndarray
    censored: np.ndarray
    limit: np.ndarray


def read_doses(model: Model, data: Dataset) -> tuple[Doses, np.ndarray]:
    """Dose and reset records, and compartments turned off and on, with the row of the data (D,) that each comes from.

    Raises
    ------
    ModelError
        ``E_MODEL_CMT`` for a compartment that the model does not have, on whatever record, ``E_MODEL_RATE`` for a rate or
        duration that it does not model, ``E_OFF_STEADY`` for a steady-state dose while a compartment is turned off.
    """
    frame, owner = data.frame, record_owner(data)
    place = np.arange(len(frame)) - data.offsets[owner]
    evid = frame["EVID"].to_numpy()
    turned, which, turn = _turned(model, data)
    # a system begins with its first record: where that says nothing else it is a reset
    first = data.offsets[:-1]
    begun = first[(evid[first] == 2) & ~np.isin(first, turned)]
    # a reset-and-dose record (EVID 4) is a reset followed by a dose of the same record
    resets = np.sort(np.concatenate([np.flatnonzero(np.isin(evid, (3, 4))), begun]))
    index = np.flatnonzero(np.isin(evid, (1, 4)))
    if len(index) and not model.compartments:
        raise ModelError(
            "E_MODEL_CMT",
            f"the data have doses but model {model.name} has no compartment.",
            "Declare one, or drop the doses.",
        )
    if model.compartments:
        # one that is not there is a mistake on other records too, whether it does anything there or not
        _compartments(model, frame, np.flatnonzero(~np.isin(evid, (1, 4))), negative=True)
    repeats = frame["ADDL"].to_numpy()[index].astype(np.int64) + 1
    source = np.repeat(index, repeats)
    step = np.arange(len(source)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    interval = frame["II"].to_numpy(float)[source]
    # only the dose of the record itself is a steady-state dose; additional ones carry its pattern on
    steady = np.where(step == 0, frame["SS"].to_numpy()[source], 0).astype(np.int64)
    rate = frame["RATE"].to_numpy(float)[source]
    compartment = np.repeat(_compartments(model, frame, index), repeats)
    _check_modelled(model, frame, source, compartment, rate)
    emptied, of_hazard = _emptied(model, data)
    turned, turn = (
        np.concatenate([turned, emptied]),
        np.concatenate([turn, np.tile([OFF, ON], len(emptied) // 2)]),
    )
    which = np.concatenate([which, of_hazard])
    none, zero = np.zeros(len(resets)), np.zeros(len(turned))
    rows = np.concatenate([turned, resets, source])
    # within a record: a compartment is turned off or on, the system is reset, the dose is given
    order = np.lexsort((np.concatenate([zero, none + 1, np.full(len(source), 2)]), rows))
    rows = rows[order]
    time, at = frame["TIME"].to_numpy(float), place[rows]
    kind = np.concatenate([turn, none + RESET, steady])[order].astype(np.int64)
    # a compartment is turned off after what the record itself observes, hence with the next record
    at = at + (np.isin(kind, (OFF, ON)) & (evid[rows] == 0))
    doses = Doses(
        time=np.concatenate(
            [time[turned], time[resets], data.on_records(source, time[source] + step * interval)]
        )[order],
        compartment=np.concatenate([which, none, compartment])[order].astype(np.int64),
        amount=np.concatenate([zero, none, frame["AMT"].to_numpy(float)[source]])[order],
        rate=np.concatenate([zero, none, rate])[order],
        row=at.astype(np.int64),
        kind=kind,
        interval=np.concatenate([zero, none, np.where(steady > 0, interval, 0.0)])[order],
        offsets=np.concatenate([[0], np.cumsum(np.bincount(owner[rows], minlength=data.n_subjects))]).astype(
            np.int64
        ),
    )
    _check_off(doses, data, rows)
    return doses, rows


def _turned(model: Model, data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows at which a compartment is turned off (negative CMT) or on again (EVID 2), the compartments, and which of the two."""
    frame = data.frame
    evid, column = frame["EVID"].to_numpy(), frame["CMT"]
    numeric = pd.api.types.is_numeric_dtype(column)
    negative = (column < 0).to_numpy() if numeric else column.str.startswith("-", na=False).to_numpy(bool)
    off = np.flatnonzero(np.isin(evid, (0, 2)) & negative)
    if not len(off):
        return off, off, off
    which = _compartments(model, frame, off, negative=True)
    # a positive CMT on an EVID 2 record says nothing of a compartment that is never off
    on = np.flatnonzero((evid == 2) & ~negative & column.notna().to_numpy())
    back = _compartments(model, frame, on)
    known = np.isin(back, which)
    on, back = on[known], back[known]
    rows = np.concatenate([off, on])
    which = np.concatenate([which, back])
    turn = np.concatenate([np.full(len(off), OFF), np.full(len(on), ON)])
    order = np.argsort(rows, kind="stable")
    return rows[order], which[order], turn[order]


def _emptied(model: Model, data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Rows of interval-censored events, each twice, and the compartments that they empty, by turning them off and on."""
    frame = data.frame
    seen = ((frame["EVID"] == 0) & (frame["MDV"] == 0)).to_numpy()
    names = [c.name for c in model.compartments]
    rows, which = [], []
    endpoint = endpoint_numbers(data, [o.name for o in model.observations])
    for k, o in enumerate(model.observations):
        if o.cumulative is not None and o.last is None:
            here = np.flatnonzero(seen & (endpoint == k))
            rows.append(np.repeat(here, 2))
            which.append(np.full(2 * len(here), names.index(o.cumulative)))
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *rows]), np.concatenate([none, *which])


def _check_off(doses: Doses, data: Dataset, rows: np.ndarray) -> None:
    """A steady state is that of all compartments: it is not known what is meant while one of them is off."""
    if not np.any(doses.kind == OFF):
        return
    for i in range(data.n_subjects):
        off: set[int] = set()
        for d in range(doses.offsets[i], doses.offsets[i + 1]):
            kind, compartment = int(doses.kind[d]), int(doses.compartment[d])
            if kind == OFF:
                off.add(compartment)
            elif kind in (DOSE, ON):
                off.discard(compartment)
            elif kind == RESET:
                off.clear()
            elif off - {compartment}:
                raise ModelError(
                    "E_OFF_STEADY",
                    f"{_where(data.frame, rows[d])}, column SS: a steady-state dose while a compartment is turned off.",
                    "Turn it on before (EVID 2 with its CMT), or write the doses out with ADDL and II.",
                )


def _check_modelled(
    model: Model, frame: pd.DataFrame, source: np.ndarray, compartment: np.ndarray, rate: np.ndarray
) -> None:
    """RATE -1 and -2 need a rate or duration in the model."""
    for code, what in ((-1.0, "rate"), (-2.0, "duration")):
        lacks = np.array([getattr(c, what) is None for c in model.compartments], dtype=bool)
        if not len(lacks):
            continue
        bad = np.flatnonzero((rate == code) & lacks[compartment])
        if len(bad):
            name = model.compartments[compartment[bad[0]]].name
            raise ModelError(
                "E_MODEL_RATE",
                f"{_where(frame, source[bad[0]])}, column RATE, value {code:g}: the {what} of the dose is modelled, but "
                f"compartment {name} of {model.name} has no {what}.",
                f"Declare m.compartment({name!r}, {what}=…), or give the rate in the data.",
            )


def _compartments(
    model: Model, frame: pd.DataFrame, index: np.ndarray, *, negative: bool = False
) -> np.ndarray:
    """Compartments (from 0) that records name, with a minus sign before them if ``negative``."""
    names = {c.name: i for i, c in enumerate(model.compartments)}
    codes, values = pd.factorize(frame["CMT"].to_numpy(object)[index])  # -1: not given, the first compartment
    numbers = np.zeros(len(values) + 1, dtype=np.int64)
    for k, value in enumerate(values):
        text = str(value).removeprefix("-") if negative else str(value)
        found = names.get(text)
        if found is None:
            try:
                number = float(text)
            except ValueError:
                number = math.nan
            found = int(number) - 1 if number.is_integer() and 1 <= number <= len(names) else None
        if found is None:
            at = index[np.flatnonzero(codes == k)[0]]
            shown = f"{value:g}" if isinstance(value, float) else value
            raise ModelError(
                "E_MODEL_CMT",
                f"{_where(frame, at)}, column CMT, value {shown}: model {model.name} has no such compartment.",
                f"Its compartments are {', '.join(f'{i + 1} {c}' for c, i in names.items())}.",
            )
        numbers[k] = found
    return numbers[codes]


def _where(frame: pd.DataFrame, at: int) -> str:
    return f"row {frame['ROW'].iloc[at]}, ID {frame['ID'].iloc[at]}"


def read_records(model: Model, data: Dataset) -> tuple[Records, np.ndarray]:
    """Observation records, with the row of the data (O,) that each comes from.

    Raises
    ------
    ModelError
        ``E_MODEL_DVID`` for an endpoint that the model does not have.
    """
    frame, owner = data.frame, record_owner(data)
    place = np.arange(len(frame)) - data.offsets[owner]
    index = np.flatnonzero(frame["EVID"].to_numpy() == 0)
    names = [o.name for o in model.observations]
    endpoint = endpoint_numbers(data, names)[index]
    used = (frame["MDV"].to_numpy()[index] == 0).astype(np.int64)
    bad = index[endpoint < 0]
    if len(bad):
        raise ModelError(
            "E_MODEL_DVID",
            f"{_where(frame, bad[0])}, column DVID, value {frame['DVID'].iloc[bad[0]]}: model {model.name} observes no such "
            "endpoint.",
            f"Its endpoints are {', '.join(f'{k} {name}' for k, name in enumerate(names, 1))}: use the numbers or the names.",
        )
    counts = np.bincount(owner[index], minlength=data.n_subjects)
    records = Records(
        time=frame["TIME"].to_numpy(float)[index],
        value=np.where(used == 1, frame["DV"].to_numpy(float)[index], 0.0),
        endpoint=endpoint,
        used=used,
        row=place[index].astype(np.int64),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        censored=np.where(used == 1, frame["CENS"].to_numpy()[index], 0).astype(np.int64),
        limit=frame["LIMIT"].to_numpy(float)[index],
    )
    return records, index
