"""Where each key of a TOML file stands, so that a mistake can be reported with its line."""

from __future__ import annotations

import re
import tomllib

__all__ = ["Path", "line_of", "locations"]

Path = tuple[str | int, ...]

_NAME = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"^\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*=(.*)$")
_HEADER = re.compile(rf"^\s*(\[\[?)\s*({_NAME}(?:\s*\.\s*{_NAME})*)\s*\]\]?\s*(?:#.*)?$")


def locations(text: str) -> dict[Path, int]:
    """Line (from 1) of every table header and key of valid TOML text.

    Keys inside an inline table are not listed: they stand where the key that holds them stands.

    Parameters
    ----------
    text : str
        TOML text that :func:`tomllib.loads` accepts.

    Returns
    -------
    dict
        ``("data", "file") -> 7``; entries of an array of tables are numbered from 0,
        ``("endpoint", 0, "name") -> 20``.
    """
    found: dict[Path, int] = {}
    entries: dict[Path, int] = {}
    table: Path = ()
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if header := _HEADER.match(line):
            table = _names(header[2])
            if header[1] == "[[":
                entries[table] = entries.get(table, -1) + 1
                table = (*table, entries[table])
            found[table] = number
        elif key := _KEY.match(line):
            found[(*table, *_names(key[1]))] = number
            number += _continuation(key[2], lines[number:])
    return found


def _names(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in re.findall(_NAME, dotted))


def _continuation(value: str, following: list[str]) -> int:
    """How many further lines the value takes: an array or a string may span several."""
    for taken in range(len(following) + 1):
        try:
            tomllib.loads("x =" + "\n".join([value, *following[:taken]]))
        except tomllib.TOMLDecodeError:
            continue
        return taken
    return 0


def line_of(found: dict[Path, int], path: Path) -> int | None:
    """Line of a key, or of the nearest table around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return None
