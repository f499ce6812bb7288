"""Dosing regimens as values that add up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real

import numpy as np

from pkpd.errors import InputError
from pkpd.results import result

__all__ = ["Dose", "Regimen", "dose"]


@result
@dataclass(frozen=True)
class Dose:
    """One amount given at several times; see :func:`dose` for the fields.

    ``interval`` is that of the doses that led to the steady state which the first of ``times`` continues; 0 if there were none.
    """

    amount: float
    times: tuple[float, ...]
    infusion: float | None = None
    compartment: str | int | None = None
    per: str | None = None
    interval: float = 0.0


@result
@dataclass(frozen=True)
class Regimen:
    """Doses of one subject; regimens add: ``pkpd.dose(400) + pkpd.dose(200, every=24, times=…)``."""

    doses: tuple[Dose, ...]

    def __add__(self, other: Regimen) -> Regimen:
        if not isinstance(other, Regimen):
            return NotImplemented
        return Regimen(self.doses + other.doses)

    def delayed(self, by: float) -> Regimen:
        """Give every dose later: ``pkpd.dose(400) + pkpd.dose(200, every=24, until=240).delayed(24)``.

        Raises
        ------
        InputError
            ``E_REGIMEN`` if the delay is not a finite number, or leads to negative times.
        """
        if not isinstance(by, Real) or isinstance(by, bool) or not math.isfinite(float(by)):
            raise InputError("E_REGIMEN", f"delay {by!r} is not a number.", "Give a time.")
        moved = tuple(replace(d, times=tuple(t + float(by) for t in d.times)) for d in self.doses)
        if any(t < 0 for d in moved for t in d.times):
            raise InputError("E_REGIMEN", f"a delay of {by:g} makes dose times negative.", "Delay by less.")
        return Regimen(moved)

    def repeated(self, interval: float, count: int) -> Regimen:
        """Repeat the doses of the first interval ``count`` times: how a regimen approaches steady state.

        Raises
        ------
        InputError
            ``E_REGIMEN_PERIOD`` if the regimen does not repeat itself after the interval, or begins at steady state.
        """
        doses = []
        for d in self.doses:
            if d.interval:
                raise InputError(
                    "E_REGIMEN_PERIOD",
                    "the regimen begins at steady state; there is no first interval to repeat.",
                    "Leave steady_state out.",
                )
            # 3 times 8.1 is 24.299999999999997: the first dose of the second interval
            first = np.array([t for t in d.times if t < interval * (1 - 1e-12)])
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
            doses.append(replace(d, times=tuple(times.tolist())))
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
    *,
    steady_state: bool = False,
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
    steady_state : bool
        The dose at time 0 finds the steady state of doses given ``every`` so long for ever; without ``until`` it is the
        last one. Added to another regimen at steady state it adds to it, for a linear model.

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
    if not isinstance(steady_state, bool) or (steady_state and (every is None or times is not None)):
        raise refuse(
            "steady_state=True needs every=, the interval of the doses that led to the steady state."
        )
    ends = until is not None or steady_state
    if (every is None and until is not None) or (every is not None and (times is not None or not ends)):
        raise refuse("give every= together with until=, or times=, or neither.")
    if every is not None:
        last = every if until is None else until
        if not (_positive(every) and _positive(last)):
            raise refuse(f"every={every!r} and until={until!r} must be positive numbers.")
        at = tuple((every * np.arange(math.ceil(last / every - 1e-9))).tolist())
    else:
        try:
            at = (0.0,) if times is None else tuple(float(t) for t in times)
        except (TypeError, ValueError):
            raise refuse(f"dose times {times!r} are not numbers.") from None
    if not at or not all(math.isfinite(t) and t >= 0 for t in at):
        raise refuse(f"dose times {at!r} must be numbers, not negative.")
    interval = float(every) if steady_state and every is not None else 0.0
    return Regimen((Dose(float(amount), tuple(sorted(at)), infusion, compartment, per, interval),))
