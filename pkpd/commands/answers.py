"""What a verb says: text for a person, or JSON for a script."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any

from pkpd.errors import InputError

__all__ = ["OK", "answer", "json_option", "plain", "refuse"]

OK = 0


def json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument("--json", action="store_true", help="the answer as JSON, for scripts")


def refuse(options: argparse.Namespace, who: str, *names: str) -> None:
    """Refuse options that would change nothing.

    Raises
    ------
    InputError
        ``E_OPTION`` for the first of ``names`` that was given.
    """
    for name in names:
        value = getattr(options, name)
        if value is not None and value is not False:
            raise InputError("E_OPTION", f"{who} takes no --{name}.", "Leave it out.")


def answer(options: argparse.Namespace, text: str, value: Any) -> int:
    """Print the text, or with ``--json`` the value; the exit code of success."""
    print(json.dumps(plain(value), indent=1, ensure_ascii=False) if options.json else text)
    return OK


def plain(value: Any) -> Any:
    """Nothing but what every JSON reader knows: tables are lists of rows, what is not a finite number is null."""
    import numpy as np
    import pandas as pd

    if value is None or isinstance(value, (bool, str)):
        return None if value is None else value if isinstance(value, bool) else str(value)
    if isinstance(value, (int, np.integer, np.bool_)):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, (float, np.floating)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, pd.DataFrame):
        named = value.reset_index() if any(n is not None for n in value.index.names) else value
        return [{str(k): plain(v) for k, v in row.items()} for row in named.to_dict("records")]
    if isinstance(value, pd.Series):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.repr}
    return None if value is pd.NA or value is pd.NaT else str(value)
