"""Where a number of the report stands in the assessment: ``verdicts.ratio[3]`` and the like."""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from pkpd.errors import InputError

__all__ = ["field_value"]

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def field_value(assessment: Any, path: str) -> Any:
    """Value behind a ``data-field`` attribute of the report.

    Parameters
    ----------
    assessment : Assessment
        The assessment that the report was written from (or restored from its JSON).
    path : str
        Attribute, column and key names joined by dots, positions in brackets:
        ``"endpoints[0].contrasts.lower[2]"`` is row 2 (counted from 0) of column ``lower``. Index labels of
        a table are reached as ``index``.

    Returns
    -------
    Any
        The number or text, unrounded.

    Raises
    ------
    InputError
        ``E_FIELD`` where the path leads nowhere.
    """
    value, position = assessment, 0
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            break
        position = step.end()
        name, index = step.group(1), step.group(2)
        try:
            if index is not None:
                value = value.iloc[int(index)] if isinstance(value, pd.Series) else value[int(index)]
            elif (isinstance(value, pd.DataFrame) and name != "index") or isinstance(value, dict):
                value = value[name]
            else:
                value = getattr(value, name)
        except (KeyError, IndexError, AttributeError, TypeError) as error:
            raise InputError(
                "E_FIELD",
                f"{path!r} leads nowhere: no {step.group(0)!r} there.",
                "Copy the path from the report.",
            ) from error
    if position != len(path):
        raise InputError(
            "E_FIELD", f"{path!r} is not a path.", "Write it as in the report, e.g. verdicts.ratio[3]."
        )
    return value
