"""Rules for dose records: amount, rate, additional doses, steady state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pkpd.data.ledger import Ledger

__all__ = ["Event", "check_doses"]

# a dose an hour for eleven years; what is beyond is an error in the table and fills the memory
_MOST_ADDITIONAL = 100_000


@dataclass(frozen=True)
class Event:
    """What the dose rules look at, each of length n: numbers, 0 where a cell is empty.

    ``unread`` says, by column, where something is written that is not a number.
    """

    kind: np.ndarray
    amount: np.ndarray
    rate: np.ndarray
    interval: np.ndarray
    additional: np.ndarray
    steady: np.ndarray
    unread: dict[str, np.ndarray]

    @property
    def dose(self) -> np.ndarray:
        """Where a dose is given: EVID 1, or 4 (reset and dose)."""
        return np.isin(self.kind, (1, 4))


def check_doses(event: Event, ledger: Ledger) -> None:
    """Apply the rules for dose records, those of NONMEM's PREDPP.

    Parameters
    ----------
    event : Event
    ledger : Ledger
    """
    dose, other = event.dose, ~event.dose
    amount, rate, interval, additional = event.amount, event.rate, event.interval, event.additional
    steady = event.steady != 0
    # the one dose without an amount: an infusion that has been running for ever
    constant = dose & (amount == 0) & ((rate > 0) | (rate == -1)) & steady & (interval == 0)
    empty = dose & (amount == 0) & ~event.unread["AMT"] & ~constant
    ledger.add_rows("E_DOSE_ZERO", empty & (rate == 0), "AMT", amount)
    ledger.add_rows("E_RATE_WITHOUT_AMT", (empty | other) & (rate != 0), "RATE", rate)
    ledger.add_rows("E_AMT_NEGATIVE", amount < 0, "AMT", amount)
    ledger.add_rows("E_AMT_ON_OBSERVATION", other & (amount != 0), "AMT", amount)
    ledger.add_rows("E_RATE_NEGATIVE", dose & (rate < 0) & ~np.isin(rate, (-1, -2)), "RATE", rate)
    ledger.add_rows("E_II_NEGATIVE", interval < 0, "II", interval)
    ledger.add_rows("E_ADDL_NEGATIVE", additional < 0, "ADDL", additional)
    ledger.add_rows(
        "E_ADDL_TOO_MANY", additional > _MOST_ADDITIONAL, "ADDL", additional, most=_MOST_ADDITIONAL
    )
    alone = (interval == 0) & ~event.unread["II"]
    ledger.add_rows("E_ADDL_WITHOUT_II", dose & (additional > 0) & alone, "ADDL", additional)
    ledger.add_rows("E_ADDL_WITHOUT_DOSE", other & (additional > 0), "ADDL", additional)
    ledger.add_rows("E_SS_VALUE", ~np.isin(event.steady, (0, 1, 2)), "SS", event.steady)
    ledger.add_rows("E_SS_WITHOUT_II", dose & steady & alone & ~constant, "SS", event.steady)
    ledger.add_rows("E_SS_WITHOUT_DOSE", other & steady, "SS", event.steady)
    unused = np.flatnonzero((interval > 0) & (additional == 0) & ~steady & ~event.unread["ADDL"])
    if len(unused):
        ledger.add_at("W_II_UNUSED", unused[0], "II", interval[unused[0]], count=len(unused))
