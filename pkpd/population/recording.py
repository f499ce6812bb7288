"""An objective that keeps its evaluations: a fit that was interrupted replays them, to the same bits, and goes on from there."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numpy as np

from pkpd.language import Problem
from pkpd.language.scales import Scales, Values
from pkpd.population.methods import GradientMethod
from pkpd.population.objective import Objective, Point
from pkpd.store import Store, remembered

__all__ = ["RecordedObjective"]

_SECONDS = 5.0  # between entries: what a killed process loses at most
_FIELDS = (
    "etas",
    "individual",
    "gradients",
    "natural",
    "precision",
    "status",
    "edges",
    "prior",
    "prior_gradient",
    "curvature",
)


class RecordedObjective(Objective):
    """Evaluates like :class:`Objective`; remembers the best point, and with a store every evaluation.

    Parameters
    ----------
    problem, scales, method
        As for :class:`Objective`.
    store : Store, optional
    key : str
        Of the fit: its entries are ``key-0``, ``key-1`` …

    Attributes
    ----------
    best : Point or None
        The lowest point evaluated with its gradient.
    computed : int
        Evaluations that were not found in the store.
    """

    def __init__(
        self,
        problem: Problem,
        scales: Scales,
        method: GradientMethod,
        store: Store | None = None,
        key: str = "",
    ) -> None:
        super().__init__(problem, scales, method)
        self.best: Point | None = None
        self.computed = 0
        self._store, self._key, self._entries = store, key, 0
        self._known: dict[bytes, dict[str, Any]] = {}
        self._fresh: dict[bytes, Point] = {}
        self._written = time.monotonic()
        while store is not None and (entry := store.get(f"{key}-{self._entries}")) is not None:
            self._entries += 1
            for k, mark in enumerate(entry["marks"]):
                found = {f: entry.get(f"{f}{k}") for f in _FIELDS}
                self._known[mark.tobytes()] = {**found, "prior": float(found["prior"])}

    def at(
        self,
        values: Values,
        begin: Point | np.ndarray | None = None,
        *,
        gradient: bool = True,
        optimise: bool = True,
    ) -> Point:
        """See :meth:`Objective.at`; an evaluation of the same arguments is read from the store."""
        mark = _mark(values, begin, gradient, optimise) if self._store is not None else b""
        stored = self._known.get(mark)
        if stored is not None:
            point = Point(values, **stored)
        else:
            point = super().at(values, begin, gradient=gradient, optimise=optimise)
            self.computed += 1
            if self._store is not None:
                self._fresh[mark] = point
                if time.monotonic() - self._written > _SECONDS:
                    self.flush()
        if point.gradients is not None and (self.best is None or point.ofv < self.best.ofv):
            self.best = point
        return point

    def flush(self) -> None:
        """Write the evaluations since the last entry to the store."""
        if not self._fresh:
            return
        marks = np.array([np.frombuffer(m, dtype=np.uint8) for m in self._fresh])
        arrays = {"marks": marks}
        for k, point in enumerate(self._fresh.values()):
            arrays |= {f"{f}{k}": np.asarray(v) for f in _FIELDS if (v := getattr(point, f)) is not None}
        _, keep = remembered(self._store, [f"{self._key}-{self._entries}"])
        keep(0, arrays)
        self._known |= {m: {f: getattr(p, f) for f in _FIELDS} for m, p in self._fresh.items()}
        self._fresh = {}
        self._entries += 1
        self._written = time.monotonic()


def _mark(values: Values, begin: Point | np.ndarray | None, gradient: bool, optimise: bool) -> bytes:
    start = (begin.etas, begin.curvature) if isinstance(begin, Point) else (begin, None)
    digest = hashlib.sha256(bytes([gradient, optimise, *(a is None for a in start)]))
    for array in (values.theta, values.omega, values.sigma, *(a for a in start if a is not None)):
        digest.update(np.ascontiguousarray(array, dtype=float).tobytes())
    return digest.digest()
