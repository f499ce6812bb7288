"""Inputs that vary within a subject: covariates, levels of factors and occasions, in pieces between the records.

A covariate is known at records. Between two of them, at t₁ with value a and at t₂ with value b, it is b under ``nocb`` (next
observation carried backward: NONMEM), a under ``locf``, on the line from a to b under ``linear``, and a up to the middle and b
after it under ``midpoint``. After a subject's last record it stays. At a record everything reads the record's own value.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pkpd.data import Dataset
from pkpd.language.columns import record_owner

__all__ = ["INTERPOLATIONS", "InputColumn", "Inputs", "no_inputs", "read_inputs"]

# "record": read only at the records themselves, zero in between
INTERPOLATIONS = ("nocb", "locf", "linear", "midpoint")


@dataclass(frozen=True)
class InputColumn:
    """One input: its name, the symbol that models know it by, values (R,) at the records, and how it moves between them."""

    name: str
    symbol: Any
    values: np.ndarray
    interpolation: str


@dataclass(frozen=True)
class Inputs:
    """Time-varying inputs of all subjects, W of them.

    Attributes
    ----------
    names, interpolations : tuple of str
    offsets : (N+1,) int array
        The pieces of subject i are ``offsets[i]:offsets[i+1]``.
    time (C,), value (C, W), slope (C, W)
        From ``time`` on an input is value + slope·(t - time); the first piece holds before it too.
    at_records (O, W), at_doses (D, W)
        Inputs at the observation records and at the dose records.
    first : (N, W) array
        Inputs at each subject's first record.
    """

    names: tuple[str, ...]
    interpolations: tuple[str, ...]
    offsets: np.ndarray
    time: np.ndarray
    value: np.ndarray
    slope: np.ndarray
    at_records: np.ndarray
    at_doses: np.ndarray
    first: np.ndarray

    def describe(self) -> str:
        """Which inputs there are and how they move: ``"WT (nocb), GLYCO (linear)"``."""
        named = zip(self.names, self.interpolations, strict=True)
        return ", ".join(f"{n} ({i})" for n, i in named if i in INTERPOLATIONS)

    def without(self, width: int) -> Inputs:
        """Leave out the first ``width`` inputs."""
        return replace(
            self,
            names=self.names[width:],
            interpolations=self.interpolations[width:],
            value=np.ascontiguousarray(self.value[:, width:]),
            slope=np.ascontiguousarray(self.slope[:, width:]),
            at_records=np.ascontiguousarray(self.at_records[:, width:]),
            at_doses=np.ascontiguousarray(self.at_doses[:, width:]),
            first=np.ascontiguousarray(self.first[:, width:]),
        )

    def with_constants(
        self, values: np.ndarray, dose_offsets: np.ndarray, record_offsets: np.ndarray
    ) -> Inputs:
        """Put numbers (N, M) of the subjects, which do not vary, behind the inputs."""
        base, n = self, len(values)
        if not self.names:
            # a subject needs a piece to hold them
            one, none = np.arange(n + 1), np.zeros((n, 0))
            base = replace(self, offsets=one, time=np.zeros(n), value=none, slope=none)

        def beside(table: np.ndarray, counts: np.ndarray, factor: float = 1.0) -> np.ndarray:
            return np.ascontiguousarray(np.hstack([table, factor * np.repeat(values, counts, axis=0)]))

        pieces = np.diff(base.offsets)
        return replace(
            base,
            names=(*base.names, *(f"known {k}" for k in range(values.shape[1]))),
            interpolations=(*base.interpolations, *["constant"] * values.shape[1]),
            value=beside(base.value, pieces),
            slope=beside(base.slope, pieces, 0.0),
            at_records=beside(base.at_records, np.diff(record_offsets)),
            at_doses=beside(base.at_doses, np.diff(dose_offsets)),
            first=beside(base.first, np.ones(n, dtype=np.int64)),
        )

    def at(self, offsets: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Inputs (M, W) as a record at each time (M,) would have them; those of subject i are ``offsets[i]:offsets[i+1]``."""
        out = np.zeros((len(time), len(self.names)))
        if not self.names:
            return out
        # at a change, nocb still has the value that led up to it; at its first record a subject has that record's
        before = np.array([i == "nocb" for i in self.interpolations])
        for i in range(len(offsets) - 1):
            rows, pieces = slice(offsets[i], offsets[i + 1]), slice(self.offsets[i], self.offsets[i + 1])
            for side, columns in (("left", before), ("right", ~before)):
                if columns.any():
                    k = np.searchsorted(self.time[pieces], time[rows], side=side) - 1  # type: ignore[call-overload]
                    k = self.offsets[i] + np.maximum(k, 0)
                    since = (time[rows] - self.time[k])[:, None]
                    out[rows, columns] = self.value[k][:, columns] + self.slope[k][:, columns] * since
            early = np.flatnonzero(time[rows] <= self.time[self.offsets[i]]) + offsets[i]
            out[early] = self.first[i]
        return out

    def taken(self, subjects: np.ndarray) -> Inputs:
        """Those of the given subjects (positions), without records and doses."""
        sizes = np.diff(self.offsets)[subjects]
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        rows = np.arange(offsets[-1]) - np.repeat(offsets[:-1] - self.offsets[subjects], sizes)
        none = np.zeros((0, len(self.names)))
        return replace(
            self, offsets=offsets, time=self.time[rows], value=self.value[rows], slope=self.slope[rows],
            at_records=none, at_doses=none, first=self.first[subjects],
        )  # fmt: skip


def no_inputs(subjects: int, records: int, doses: int) -> Inputs:
    """Of a problem in which nothing varies."""
    none = np.zeros((0, 0))
    return Inputs(
        (), (), np.zeros(subjects + 1, dtype=np.int64), np.zeros(0), none, none,
        np.zeros((records, 0)), np.zeros((doses, 0)), np.zeros((subjects, 0)),
    )  # fmt: skip


def read_inputs(
    columns: Sequence[InputColumn], data: Dataset, record_rows: np.ndarray, dose_rows: np.ndarray
) -> Inputs:
    """Work out the pieces of all subjects.

    Parameters
    ----------
    columns : sequence of InputColumn
    data : Dataset
    record_rows, dose_rows : int arrays (O,), (D,)
        Rows of the data that observation records and doses come from.
    """
    if not columns:
        return no_inputs(data.n_subjects, len(record_rows), len(dose_rows))
    owner, time = record_owner(data), data.frame["TIME"].to_numpy(float)
    values = np.column_stack([c.values for c in columns]).astype(float)
    # groups of records at one time: the way to it ends at the first of them, the way from it starts at the last
    begins = np.flatnonzero(np.r_[True, (owner[1:] != owner[:-1]) | (time[1:] != time[:-1])])
    ends = np.r_[begins[1:], len(time)] - 1
    closing = np.r_[owner[begins][1:] != owner[begins][:-1], True]  # a subject's last group: nothing follows
    here, there = values[ends], values[np.where(closing, ends, np.r_[begins[1:], 0])]
    span = np.where(closing, 1.0, np.r_[time[begins][1:], 0.0] - time[begins])
    start, middle = np.zeros_like(here), np.zeros_like(here)
    slope = np.zeros_like(here)
    for w, c in enumerate(columns):
        if c.interpolation == "record":
            continue
        start[:, w] = there[:, w] if c.interpolation == "nocb" else here[:, w]
        middle[:, w] = here[:, w] if c.interpolation == "locf" else there[:, w]
        if c.interpolation == "linear":
            slope[:, w] = (there[:, w] - here[:, w]) / span
            middle[:, w] = (here[:, w] + there[:, w]) / 2
    at, who = time[begins], owner[begins]
    if any(c.interpolation == "midpoint" for c in columns):
        halves = np.flatnonzero(~closing)
        at = np.concatenate([at, at[halves] + span[halves] / 2])
        who = np.concatenate([who, who[halves]])
        start, slope = np.concatenate([start, middle[halves]]), np.concatenate([slope, slope[halves]])
        order = np.lexsort((at, who))
        at, who, start, slope = at[order], who[order], start[order], slope[order]
    same = np.all((start[1:] == start[:-1]) & (slope[1:] == 0) & (slope[:-1] == 0), axis=1)
    kept = np.r_[True, ~same | (who[1:] != who[:-1])]
    counts = np.bincount(who[kept], minlength=data.n_subjects)
    return Inputs(
        names=tuple(c.name for c in columns),
        interpolations=tuple(c.interpolation for c in columns),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        time=at[kept],
        value=np.ascontiguousarray(start[kept]),
        slope=np.ascontiguousarray(slope[kept]),
        at_records=np.ascontiguousarray(values[record_rows]),
        at_doses=np.ascontiguousarray(values[dose_rows]),
        first=np.ascontiguousarray(values[data.offsets[:-1]]),
    )
