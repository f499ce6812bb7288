"""Words of the report, by language. Numbers, names and codes are the same in every language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pkpd.errors import InputError
from pkpd.statements import spoken

__all__ = ["LANGUAGES", "dose_label", "in_words", "words"]

LANGUAGES = ("en", "zh")


def words(language: str) -> dict:
    """Words of a language by key.

    Raises
    ------
    InputError
        ``E_LANGUAGE`` if there is no such language.
    """
    if language == "en":
        from pkpd.report.english import WORDS
    elif language == "zh":
        from pkpd.report.chinese import WORDS
    else:
        known = ", ".join(repr(name) for name in LANGUAGES)
        raise InputError("E_LANGUAGE", f"unknown language {language!r}.", f"Choose one of: {known}.")
    return WORDS


def in_words(text: Any, words: Mapping) -> str:
    """A sentence of the assessment in the language of the words; what only the plan or a program says stays."""
    return spoken(text, words["statements"], words["separators"])


def dose_label(plan: Mapping, words: Mapping) -> str:
    """What heads a column or an axis of doses, with the unit that the plan declares."""
    unit = plan.get("dosing", {}).get("unit", "")
    return words["column.dose_unit"].format(unit=unit) if unit else words["column.dose"]
