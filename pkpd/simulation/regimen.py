"""Dosing regimens as values that add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real

import numpy as np

from pkpd.errors import InputError

__all__ = ["Dose", "Regimen", "dose"]


@dataclass(frozen=True)
class Dose:
    """One amount given at several times; see :func:`dose` for the fields."""

    amount: float
    times: tuple[float, ...]
    infusion: float | None = None
    compartment: str | int | None = None
    per: str | None = None


@dataclass(frozen=True)
class Regimen:
    """Doses of one subject; regimens add: ``pkpd.dose(400) + pkpd.dose(200, every=24, times=…)``."""

    doses: tuple[Dose, ...]

    def __add__(self, other: Regimen) -> Regimen:
        if not isinstance(other, Regimen):
            return NotImplemented
        return Regimen(self.doses + other.doses)

    def repeated(self, interval: float, count: int) -> Regimen:
        """Repeat the doses of the first interval ``count`` times: how a regimen approaches steady state.

        Raises
        ------
        InputError
            ``E_REGIMEN_PERIOD`` if the regimen does not repeat itself after the interval.
        """
        doses = []
        for d in self.doses:
            first = np.array([t for t in d.times if t < interval])
            cycle = np.array(d.times)
            expected = (
                first[None, :] + interval * np.arange(math.ceil(len(cycle) / max(len(first), 1)))[:, None]
            ).ravel()
            if not len(first) or not np.allclose(
                np.sort(expected)[: len(cycle)], np.sort(cycle), rtol=1e-12, atol=1e-9 * interval
            ):
                raise InputError(
                    "E_REGIMEN_PERIOD",
                    f"the regimen does not repeat itself every {interval:g}, so it has no steady state over that interval.",
                    "Give an interval that is the regimen's period.",
                )
            times = (first[None, :] + interval * np.arange(count)[:, None]).ravel()
            doses.append(Dose(d.amount, tuple(times.tolist()), d.infusion, d.compartment, d.per))
        return Regimen(tuple(doses))


def _positive(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) < math.inf


def dose(
    amount: float,
    every: float | None = None,
    until: float | None = None,
    times: Sequence[float] | None = None,
    infusion: float | None = None,
    compartment: str | int | None = None,
    per: str | None = None,
) -> Regimen:
    """Describe doses of one amount.

    Parameters
    ----------
    amount : float
        Amount of each dose, in the unit of the model's compartments.
    every, until : float, optional
        Dose at 0, every, 2·every … before ``until`` (both or neither).
    times : sequence of float, optional
        Dose times instead; without either there is one dose at time 0.
    infusion : float, optional
        Duration of a zero-order infusion; a bolus without it.
    compartment : str or int, optional
        Name or number (from 1) of the compartment; the first by default.
    per : str, optional
        Column that multiplies the amount, e.g. ``"WT"`` for mg/kg.

    Returns
    -------
    Regimen

    Raises
    ------
    InputError
        ``E_REGIMEN`` for amounts, times or durations that are not positive, finite numbers, or contradict each other.
    """

    def refuse(what: str) -> InputError:
        return InputError("E_REGIMEN", what, "See pkpd.dose.")

    if not _positive(amount):
        raise refuse(f"amount {amount!r} is not a positive number.")
    if infusion is not None and not _positive(infusion):
        raise refuse(f"infusion {infusion!r} is not a positive duration.")
    if (every is None) != (until is None) or (every is not None and times is not None):
        raise refuse("give every= together with until=, or times=, or neither.")
    if every is not None and until is not None:
        if not (_positive(every) and _positive(until)):
            raise refuse(f"every={every!r} and until={until!r} must be positive numbers.")
        at = tuple((every * np.arange(math.ceil(until / every - 1e-9))).tolist())
    else:
        try:
            at = (0.0,) if times is None else tuple(float(t) for t in times)
        except (TypeError, ValueError):
            raise refuse(f"dose times {times!r} are not numbers.") from None
    if not at or not all(math.isfinite(t) and t >= 0 for t in at):
        raise refuse(f"dose times {at!r} must be numbers, not negative.")
    return Regimen((Dose(float(amount), tuple(sorted(at)), infusion, compartment, per),))
