"""Where an iterative method is, in the store: a run that was interrupted goes on from there, to the same bits."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np

from pkpd.store import Store, remembered

__all__ = ["Checkpoint"]

_SECONDS = 5.0  # between entries: what a killed process loses at most, beside the iterations under way


class Checkpoint:
    """One entry of a store that is written again as the iterations go on.

    Parameters
    ----------
    store : Store, optional
        Nothing is kept without one.
    key : str
        Of the fit.
    """

    def __init__(self, store: Store | None = None, key: str = "") -> None:
        self._store, self._key = store, f"{key}-state"
        self._written = time.monotonic()
        # a store that can no longer be written is one warning
        self._keep = remembered(store, [self._key])[1]

    def load(self) -> dict[str, np.ndarray] | None:
        """State that was kept last; None without one."""
        return None if self._store is None else self._store.get(self._key)

    def save(self, state: Mapping[str, np.ndarray], *, now: bool = False) -> None:
        """Keep a state, unless the last one is younger than five seconds and it must not be ``now``."""
        if self._store is None or not (now or time.monotonic() - self._written > _SECONDS):
            return
        self._keep(0, dict(state))
        self._written = time.monotonic()
