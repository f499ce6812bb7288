"""Sentences that can be said again in another language: English text that remembers its key and its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["Statement", "joined", "say", "spoken"]


class Statement(str):
    """English text made by :func:`say` or :func:`joined`.

    A string in every other way: what is added to it or cut from it is plain English text.

    Attributes
    ----------
    key : str
        Of the sentence in the wording of another language; ``join`` for several sentences.
    values : dict
        What stands in it: text or statements, numbers already written out, so that they are the same in every
        language.
    """

    key: str
    values: dict[str, Any]

    def __new__(cls, text: str, key: str, values: dict[str, Any]) -> Statement:
        """Make the text with what it was made of."""
        made = super().__new__(cls, text)
        made.key, made.values = key, values
        return made

    def __getnewargs__(self) -> tuple[str, str, dict[str, Any]]:  # type: ignore[override]
        return str(self), self.key, self.values

    def __format__(self, form: str) -> str:
        """``capital`` begins the text with a capital letter."""
        if form == "capital":
            return self[:1].upper() + self[1:]
        return format(str(self), form)


def say(key: str, english: str, **values: str) -> Statement:
    """Make a sentence from a template and its values.

    Parameters
    ----------
    key : str
        By which other languages find their template.
    english : str
        Template; ``{name}`` stands for the value of that name.
    **values : str
        Text, numbers written out, or statements.
    """
    return Statement(english.format(**values), key, values)


def joined(parts: Iterable[str], separator: str = " ") -> Statement:
    """Several sentences (separated by a space), clauses (``"; "``) or names (``", "``) in a row."""
    kept = [part for part in parts if part]
    return Statement(separator.join(kept), "join", {"separator": separator, "parts": kept})


def spoken(text: Any, templates: Mapping[str, str], separators: Mapping[str, str]) -> str:
    """The text in the language of the templates; what is no statement, or has no template, stays as it is.

    Parameters
    ----------
    text : str
    templates : mapping
        Template by key.
    separators : mapping
        What stands for the separators of :func:`joined`.
    """
    if not isinstance(text, Statement):
        return str(text)

    def again(part: Any) -> str:
        return spoken(part, templates, separators)

    if text.key == "join":
        separator = text.values["separator"]
        return separators.get(separator, separator).join(map(again, text.values["parts"]))
    if text.key not in templates:
        return str(text)
    return templates[text.key].format(**{name: again(value) for name, value in text.values.items()})
