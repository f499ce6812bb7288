"""The list of findings while a table is read: rows are named by line and subject, and long lists are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pkpd.errors import Finding

__all__ = ["LISTED", "Ledger", "names"]

# Findings of one kind that are listed one by one; the rest is counted in a last one, so that a file of 10^7
# wrong rows neither fills the memory nor the screen.
LISTED = 1000


class Ledger:
    """Findings in the making.

    Attributes
    ----------
    lines : ndarray of int, shape (n,)
        Line in the file of each record; set once the records are known.
    labels : ndarray of object, shape (n,), or None
        ID of each record as the file has it.
    """

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self.lines: np.ndarray = np.empty(0, dtype=np.int64)
        self.labels: np.ndarray | None = None

    def add(self, code: str, message: str, remedy: str = "", **where: Any) -> None:
        """Add one finding; ``where`` holds row, subject, column, value as far as they apply."""
        self._findings.append(Finding(code, message, remedy, **where))

    def add_rows(
        self,
        code: str,
        at: np.ndarray,
        message: str,
        remedy: str,
        column: str | None,
        values: np.ndarray | None = None,
        before: np.ndarray | None = None,
    ) -> None:
        """Add one finding for each record where ``at`` (mask or positions) holds.

        ``message`` may hold ``{value}``, from ``values`` at the record, and ``{before}``, from ``before`` at the finding.
        """
        where = np.flatnonzero(at) if at.dtype == bool else at
        for k, i in enumerate(where[:LISTED]):
            value = _plain(values[i]) if values is not None else None
            text = message.replace("{value}", str(value))
            if before is not None:
                text = text.replace("{before}", str(_plain(before[k])))
            self.add(
                code,
                text,
                remedy,
                row=int(self.lines[i]),
                subject=self.label(i),
                column=column,
                value=value,
            )
        hidden = len(where) - LISTED
        if hidden > 0:
            self.add(
                code,
                f"and {hidden} more records with the same problem.",
                remedy,
                row=int(self.lines[where[LISTED]]),
                column=column,
            )

    def label(self, i: int) -> Any:
        """ID of record ``i``, or None where it is not known."""
        return _plain(self.labels[i]) if self.labels is not None else None

    def findings(self) -> list[Finding]:
        """Findings of the whole table first, then in file order; errors before warnings at the same line."""
        return sorted(self._findings, key=lambda f: (f.row or 0, not f.is_error))

    @property
    def has_errors(self) -> bool:
        """Whether the table cannot be used."""
        return any(f.is_error for f in self._findings)


def names(values: Sequence[Any], shown: int = 5) -> str:
    """``a, b, c and 4 more``: a list short enough for a sentence."""
    text = ", ".join(str(_plain(v)) for v in values[:shown])
    return text + (f" and {len(values) - shown} more" if len(values) > shown else "")


def _plain(value: Any) -> Any:
    # findings are for reading and for JSON: Python's own numbers, and 3 rather than 3.0
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value
