"""Sections as frozen dataclasses whose fields say what they accept; all mistakes are found in one pass."""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import Any

from pkpd.errors import Finding
from pkpd.study.locations import Path, line_of

__all__ = [
    "Reader",
    "amount",
    "choice",
    "flag",
    "fraction",
    "integer",
    "key",
    "many",
    "number",
    "one_or_many",
    "options_by",
    "pair",
    "table",
    "text",
    "toml",
]

Check = Callable[[Any], Any]


def key(check: Check, default: Any = dataclasses.MISSING) -> Any:
    """Declare a key of a section: how its value is checked, and its default; without one it must be given."""
    return field(default=default, metadata={"check": check})


def text(value: Any) -> str:
    """Accept text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be text in quotes, and not empty")
    return value


def flag(value: Any) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false (without quotes)")
    return value


def number(low: float = -math.inf, high: float = math.inf) -> Check:
    """Accept a finite number strictly between ``low`` and ``high``."""
    inside = " ".join(
        part
        for part in (
            f"above {low:g}" if low > -math.inf else "",
            "and" if low > -math.inf and high < math.inf else "",
            f"below {high:g}" if high < math.inf else "",
        )
        if part
    )

    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low < value < high:
            raise ValueError(f"must be a number {inside}".strip())
        return float(value)

    return check


def fraction(value: Any) -> float:
    """Accept a number from 0 to 1, both included."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("must be a number from 0 to 1")
    return float(value)


def amount(value: Any) -> float:
    """Accept a finite number of 0 or more."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError("must be a number of 0 or more")
    return float(value)


def integer(low: int, high: int = 2**63 - 1) -> Check:
    """Accept a whole number from ``low`` to ``high``, both included."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            upper = f" to {high}" if high < 2**63 - 1 else " upwards"
            raise ValueError(f"must be a whole number from {low}{upper}")
        return value

    return check


def choice(*allowed: str) -> Check:
    """Accept one of the given words."""

    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError("must be one of " + ", ".join(f'"{word}"' for word in allowed))
        return value

    return check


def many(check_each: Check, *, increasing: bool = False) -> Check:
    """Accept a list with at least one entry, none of them twice."""

    def check(value: Any) -> tuple:
        if not isinstance(value, list) or not value:
            raise ValueError("must be a list [ ... ] with at least one entry")
        entries = tuple(_each(check_each, entry, f"entry {i}") for i, entry in enumerate(value, 1))
        if len(set(entries)) < len(entries):
            raise ValueError("names the same entry twice")
        if increasing and list(entries) != sorted(entries):
            raise ValueError("must be in increasing order")
        return entries

    return check


def one_or_many(check_each: Check) -> Check:
    """Accept a value, or a list of them; the list becomes a tuple."""

    def check(value: Any) -> Any:
        return many(check_each)(value) if isinstance(value, list) else check_each(value)

    return check


def options_by(known: Mapping[str, Mapping[str, Check]]) -> Check:
    """Accept a table of tables: by name the options that ``known`` lists for it."""

    def check(value: Any) -> dict[str, dict[str, Any]]:
        out: dict[str, dict[str, Any]] = {}
        for name, options in table(lambda entry: entry)(value).items():
            if name not in known:
                raise ValueError(
                    f"is not accepted: {name} is none of {', '.join(known)}, each of which takes a table of its options"
                )
            out[name] = {}
            for option, setting in table(lambda entry: entry)(options).items():
                if option not in known[name]:
                    raise ValueError(
                        f"is not accepted: {name} has no option {option}, but {', '.join(known[name])}"
                    )
                out[name][option] = _each(known[name][option], setting, f"{name}.{option}")
        return out

    return check


def pair(check_low: Check, check_high: Check, *, increasing: bool = False) -> Check:
    """Accept a list of two values."""

    def check(value: Any) -> tuple:
        if not isinstance(value, list) or len(value) != 2:
            raise ValueError("must be a list of two values [first, second]")
        # of a pair in the wrong order neither value lies where it should, which is not what is wrong with it
        if increasing and all(isinstance(v, (int, float)) for v in value) and not value[0] < value[1]:
            raise ValueError("must have its first value below its second")
        return _each(check_low, value[0], "first value"), _each(check_high, value[1], "second value")

    return check


def table(check_each: Check) -> Check:
    """Accept a table of named values; the result is a plain dict."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValueError("must be a table { name = value, ... }")
        return {name: _each(check_each, entry, f"entry {name}") for name, entry in value.items()}

    return check


def _each(check: Check, value: Any, where: str) -> Any:
    try:
        return check(value)
    except ValueError as error:
        raise ValueError(f"is not accepted: {where} {error}") from None


class Reader:
    """Turns parsed TOML tables into sections and collects every mistake on the way.

    Parameters
    ----------
    lines : dict
        What :func:`pkpd.study.locations.locations` found.

    Attributes
    ----------
    findings : list of Finding
        The mistakes so far; ``row`` is the line in the plan.
    """

    def __init__(self, lines: dict[Path, int]) -> None:
        self.lines = lines
        self.findings: list[Finding] = []

    def mistake(self, code: str, path: Path, message: str, remedy: str, value: Any = None) -> None:
        """Note a mistake at a key."""
        self.findings.append(Finding(code, message, remedy, row=line_of(self.lines, path), value=value))

    def section(self, kind: type, values: Any, path: Path) -> Any:
        """Read one table into the dataclass ``kind``; None where a mistake makes that impossible."""
        if not isinstance(values, dict):
            self.mistake(
                "E_PLAN_TYPE",
                path,
                f"{spelled(path)} must be a table.",
                f"Write [{spelled(path)}] and its keys below.",
            )
            return None
        known = {f.name: f for f in dataclasses.fields(kind) if "check" in f.metadata}
        self.unknown_keys(values, tuple(known), path)
        before = len(self.findings)
        read = {}
        for name, declared in known.items():
            if name in values:
                read[name] = self.value(declared.metadata["check"], values[name], (*path, name))
            elif declared.default is dataclasses.MISSING:
                self.missing((*path, name))
        return None if len(self.findings) > before else kind(**read)

    def value(self, check: Check, value: Any, path: Path) -> Any:
        """Check one value."""
        try:
            return check(value)
        except ValueError as error:
            percent = isinstance(value, (int, float)) and 1 < value <= 100 and "below 1" in str(error)
            remedy = f"A probability is meant, not percentage points: {value / 100:g}?" if percent else ""
            if "from 0 to 1" in str(error):
                remedy = "A fraction is meant: 50 % is 0.5."
            message = f"{spelled(path)} = {toml(value)} {error}."
            self.mistake("E_PLAN_VALUE", path, message, remedy, value)
            return None

    def missing(self, path: Path) -> None:
        """Note a key that must be given and is not."""
        name = spelled(path)
        self.mistake(
            "E_PLAN_MISSING",
            path,
            f"{name} is missing, and it has no default.",
            f"Add {path[-1]} = ... to the plan.",
        )

    def unknown_keys(self, values: dict[str, Any], known: tuple[str, ...], path: Path) -> None:
        """Refuse keys that nothing reads, and name the closest one that is read."""
        for name in values:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                remedy = f"Did you mean {near[0]!r}?" if near else "Known here: " + ", ".join(known) + "."
                self.mistake("E_PLAN_KEY", (*path, name), f"unknown key {spelled((*path, name))!r}.", remedy)


def spelled(path: Path) -> str:
    """A key as people write it: ``endpoint[2].name``, entries counted from 1."""
    out = ""
    for part in path:
        out += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if out else part
    return out


def toml(value: Any) -> str:
    """A value as a plan spells it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(v)}" for name, v in value.items()) + " }"
    return str(value)
