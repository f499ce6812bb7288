"""How a result looks where its class says nothing itself: text for a terminal, HTML for a notebook, one table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from html import escape
from typing import Any

import numpy as np
import pandas as pd

__all__ = ["as_frame", "as_html", "as_text"]

ROWS = 12  # of a table in text; a table in a notebook shows five times as many


def as_text(value: Any) -> str:
    """Name of the class, then one field per line; tables are shown with their first rows."""
    lines = [type(value).__name__]
    for name, content in _fields(value):
        table = _table(content)
        if table is None:
            lines.append(f"  {name}: {_short(content)}")
        else:
            lines.append(f"  {name}: {len(table)} rows")
            shown = table.head(ROWS).to_string(float_format=_number, max_cols=12, line_width=120)
            lines += [f"    {line}" for line in shown.split("\n")]
            if len(table) > ROWS:
                lines.append(f"    … and {len(table) - ROWS} more")
    return "\n".join(lines)


def as_html(value: Any) -> str:
    """A list of the plain fields, then every table under its name; a class with a text of its own begins with that."""
    own = _written(type(value))
    parts = [f"<pre>{escape(repr(value))}</pre>" if own else f"<p><b>{type(value).__name__}</b></p>"]
    plain = [(name, c) for name, c in _fields(value) if _table(c) is None]
    if plain and not own:
        items = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(_short(content))}</td></tr>" for name, content in plain
        )
        parts.append(f"<table>{items}</table>")
    for name, content in _fields(value):
        table = _table(content)
        if table is not None:
            shown = table.to_html(float_format=_number, max_rows=5 * ROWS, max_cols=20, border=0)
            parts.append(f"<p>{escape(name)}</p>{shown}")
    return "".join(parts)


def as_frame(value: Any) -> pd.DataFrame:
    """The result's table: the first of its fields that is one; else a row per label, or its plain fields in one row."""
    found = [table for _, content in _fields(value) if (table := _table(content)) is not None]
    if found:
        return found[0].copy()
    return pd.DataFrame(_labelled(value) or [dict(_fields(value))])


def _labelled(value: Any) -> dict[str, Any]:
    """The labels of a result of arrays, one for each entry, and these arrays; nothing where there are no such labels."""
    fields = _fields(value)
    labels = [(n, c) for n, c in fields if isinstance(c, tuple) and c and all(isinstance(v, str) for v in c)]
    for name, content in labels:
        beside = {n: c for n, c in fields if isinstance(c, np.ndarray) and c.shape == (len(content),)}
        if beside:
            return {name: list(content), **beside}
    return {}


def _written(cls: type) -> bool:
    # what dataclass writes is wrapped against recursion; what a class writes itself is not
    return not hasattr(cls.__repr__, "__wrapped__") and cls.__repr__ is not as_text


def _fields(value: Any) -> list[tuple[str, Any]]:
    return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr]


def _table(content: Any) -> pd.DataFrame | None:
    if isinstance(content, pd.DataFrame):
        return content
    return content.to_frame() if isinstance(content, pd.Series) else None


def _short(content: Any) -> str:
    if isinstance(content, (float, np.floating)):
        return _number(float(content))
    if isinstance(content, np.ndarray):
        if content.size > 10 or content.ndim > 1:
            return f"array of {' × '.join(map(str, content.shape))}"
        return np.array2string(content, precision=4)
    if isinstance(content, Mapping):
        return ", ".join(f"{k}: {_short(v)}" for k, v in content.items()) or "none"
    if isinstance(content, (tuple, list)):
        shown = ", ".join(_short(v) for v in content[:8])
        return (shown + (f" … ({len(content)})" if len(content) > 8 else "")) or "none"
    if isinstance(content, pd.DataFrame):
        return f"table of {len(content)} rows"
    text = str(content)
    return text if "\n" not in text else text.split("\n", 1)[0] + " …"


def _number(value: float) -> str:
    return f"{value:.5g}"
