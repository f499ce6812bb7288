"""The list of findings while a table is read: rows are named by line and subject, and long lists are cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pkpd.data.rules import RULES
from pkpd.errors import Finding

__all__ = ["LISTED", "Ledger", "names"]

# Findings of one kind that are listed one by one; the rest is counted in a last one, so that a file of 10^7
# wrong rows neither fills the memory nor the screen.
LISTED = 1000
_WIDEST = 300  # characters of a word in a message


class Ledger:
    """Findings in the making.

    Attributes
    ----------
    lines : ndarray of int, shape (n,)
        Line in the file of each record; set once the records are known.
    labels : ndarray, shape (n,), or None
        ID of each record as the file has it.
    """

    def __init__(self) -> None:
        self._findings: list[Finding] = []
        self.lines: np.ndarray = np.empty(0, dtype=np.int64)
        self.labels: np.ndarray | None = None

    def add(
        self,
        code: str,
        *,
        row: int | None = None,
        column: str | None = None,
        value: Any = None,
        **words: Any,
    ) -> None:
        """Add one finding about the table; ``words`` fill the places in the message of the rule."""
        self._add(code, row, None, column, value, words)

    def add_at(self, code: str, i: int, column: str, value: Any = None, **words: Any) -> None:
        """Add one finding at record ``i``."""
        self._add(code, int(self.lines[i]), self.label(i), column, _plain(value), words)

    def add_rows(
        self,
        code: str,
        at: np.ndarray,
        column: str | None,
        values: np.ndarray | None = None,
        before: np.ndarray | None = None,
        **words: Any,
    ) -> None:
        """Add one finding for each record where ``at`` (mask or positions) holds.

        ``values`` has one entry per record, ``before`` one per finding.
        """
        where = np.flatnonzero(at) if at.dtype == bool else at
        for k, i in enumerate(where[:LISTED]):
            if before is not None:
                words["before"] = before[k]
            value = None if values is None else _plain(values[i])
            self._add(code, int(self.lines[i]), self.label(i), column, value, words)
        hidden = len(where) - LISTED
        if hidden > 0:
            row = int(self.lines[where[LISTED]])
            text = f"{hidden} more records have this problem, from this row on."
            self._findings.append(Finding(code, text, RULES[code][1].format_map(words), row, column=column))

    def _add(
        self, code: str, row: int | None, subject: Any, column: str | None, value: Any, words: dict[str, Any]
    ) -> None:
        shown = {name: _short(_plain(word)) for name, word in {"value": value, **words}.items()}
        message, remedy = (text.format_map(shown) for text in RULES[code])
        self._findings.append(Finding(code, message, remedy, row, _short(subject), column, _short(value)))

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


def _short(value: Any) -> Any:
    # a cell may hold a megabyte when quotes go wrong
    return value[:_WIDEST] + " …" if isinstance(value, str) and len(value) > _WIDEST else value


def _plain(value: Any) -> Any:
    # findings are for reading and for JSON: Python's own numbers, and 3 rather than 3.0
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value
