"""Finished stages of an assessment in the store: a run that was interrupted, or whose plan was edited, does only the rest."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from pkpd.data import Dataset
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["finished", "fitted", "keeping", "kept_in"]

T = TypeVar("T")
_STORE: ContextVar[Store | None] = ContextVar("finished stages", default=None)


@contextmanager
def keeping(store: Store | str | Path | None) -> Iterator[Store | None]:
    """Keep the stages that finish inside in a store, and take from it what is there; with None keep nothing.

    Raises
    ------
    InputError
        ``E_STORE_FOLDER`` if the folder cannot be used.
    """
    opened = open_store(store)
    token = _STORE.set(opened)
    try:
        yield opened
    finally:
        _STORE.reset(token)


def kept_in() -> Store | None:
    """The store of the run that is under way, for work that keeps its own parts; None where nothing is kept."""
    return _STORE.get()


def finished(stage: str, work: Callable[[], T], *parts: Any) -> T:
    """What ``work()`` returns, or what it returned when it was last done with the same parts.

    Parameters
    ----------
    stage : str
        Keeps apart what is made of the same parts.
    work : callable
        Its value must come back from JSON as it was: a result, a table, plain values.
    parts
        Everything that the value depends on, besides the sources of pkpd.
    """
    store = _STORE.get()
    if store is None:
        return work()
    known, keep = remembered(store, [fingerprint("stage", stage, *parts)])
    if 0 in known:
        return known[0]
    value = work()
    keep(0, value)
    return value


def fitted(
    model: Any,
    data: Dataset,
    method: Any,
    *,
    seed: int,
    start: Mapping[str, float] | pd.Series | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> Any:
    """As :func:`pkpd.fit`, as a stage; while it runs its evaluations are kept, so that it goes on where it was ended."""
    from pkpd import population

    store = _STORE.get()
    running = None if store is None else Store(store.folder / "running")
    start = None if start is None else {str(k): float(v) for k, v in start.items()}

    def work() -> Any:
        return population.fit(
            model, data, method=method, seed=seed, start=start, progress=progress, store=running
        )

    fit = finished("fit", work, model, data, method, seed, start)
    if running is not None:
        for key in running.keys():  # noqa: SIM118 (a store is no mapping)
            running.remove(key)
    return dataclasses.replace(fit, data=data)
