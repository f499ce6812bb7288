"""Doses as time-varying inputs: amount of, and time after, each of the latest doses into a compartment with an input function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from pkpd.errors import InputError
from pkpd.language.inputs import Inputs
from pkpd.language.records import DOSE, RESET, Doses

__all__ = ["absorbed_width", "with_dose_inputs"]


def absorbed_width(absorbed: Sequence[tuple[int, int]]) -> int:
    """Number of inputs of compartments (with the number of superposed doses each): an amount and a time for each dose."""
    return sum(2 * count for _, count in absorbed)


def with_dose_inputs(base: Inputs, doses: Doses, absorbed: Sequence[tuple[int, int]]) -> Inputs:
    """Put the inputs of doses before those of the data.

    Parameters
    ----------
    base : Inputs
        With ``at_doses`` of the same doses.
    doses : Doses
    absorbed : sequence of (int, int)
        Compartments with an input function, and how many of the latest doses are superposed.

    Returns
    -------
    Inputs
        For each compartment and each place in turn the amount (0 without a dose) and the time after it.

    Raises
    ------
    InputError
        ``E_INPUT_DOSE`` for an infusion into such a compartment, or a steady-state dose anywhere.
    """
    width = absorbed_width(absorbed)
    if not width:
        return base
    start = dict(zip([c for c, _ in absorbed], np.cumsum([0] + [2 * k for _, k in absorbed]), strict=False))
    count = dict(absorbed)
    _check(doses, count)
    time, value, slope, sizes = [], [], [], []
    for i in range(len(doses.offsets) - 1):
        own, pieces = (
            slice(doses.offsets[i], doses.offsets[i + 1]),
            slice(base.offsets[i], base.offsets[i + 1]),
        )
        order = doses.offsets[i] + np.argsort(doses.time[own], kind="stable")
        events = [d for d in order if doses.kind[d] == RESET or doses.compartment[d] in count]
        times = np.unique(np.concatenate([base.time[pieces], doses.time[events]]))
        if not len(times):
            times = np.zeros(1)
        given, cancelled, taken = np.zeros((width // 2, 2)), -1, dict.fromkeys(count, 0)  # amounts and times
        at = 0
        for t in times:
            while at < len(events) and doses.time[events[at]] <= t:
                d = events[at]
                at += 1
                if doses.kind[d] == RESET:
                    given[:], cancelled = 0.0, doses.row[d]
                elif doses.kind[d] == DOSE and doses.row[d] >= cancelled:
                    c = int(doses.compartment[d])
                    given[start[c] // 2 + taken[c] % count[c]] = doses.amount[d], doses.time[d]
                    taken[c] += 1
            running = given[:, 0] > 0
            here = np.column_stack([given[:, 0], np.where(running, t - given[:, 1], 0.0)]).ravel()
            move = np.column_stack([np.zeros(width // 2), running]).ravel()
            if base.names:
                k = base.offsets[i] + max(int(np.searchsorted(base.time[pieces], t, side="right")) - 1, 0)
                here = np.concatenate([here, base.value[k] + base.slope[k] * (t - base.time[k])])
                move = np.concatenate([move, base.slope[k]])
            value.append(here)
            slope.append(move)
        time.append(times)
        sizes.append(len(times))

    def before(table: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.hstack([np.zeros((len(table), width)), table]))

    return replace(
        base,
        names=(*(f"dose input {k}" for k in range(width)), *base.names),
        interpolations=(*["dose"] * width, *base.interpolations),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        time=np.concatenate(time),
        value=np.array(value),
        slope=np.array(slope),
        at_records=before(base.at_records),
        at_doses=before(base.at_doses),
        first=before(base.first),
    )


def _check(doses: Doses, count: dict[int, int]) -> None:
    infused = np.isin(doses.compartment, list(count)) & (doses.kind == DOSE) & (doses.rate != 0)
    for wrong, what in (
        (infused, "an infusion into a compartment whose doses enter through an input function"),
        (np.isin(doses.kind, (1, 2)), "a steady-state dose, but doses enter through an input function"),
    ):
        if wrong.any():
            raise InputError(
                "E_INPUT_DOSE",
                f"the dose at time {doses.time[np.flatnonzero(wrong)[0]]:g} is {what}.",
                "Give boluses (RATE 0), and write the doses that lead to a steady state out with ADDL and II.",
            )
