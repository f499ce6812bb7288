"""One table schema for estimates, and JSON that comes back as what it was.

Every result of pkpd is a frozen dataclass registered with :func:`result`; :func:`to_json` and :func:`from_json`
carry it, with its DataFrames, Series and arrays, to text and back without losing a bit.
"""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.statements import Statement

__all__ = ["TABLE_COLUMNS", "estimates_table", "from_json", "result", "to_json"]

TABLE_COLUMNS = ("estimate", "se", "rse_percent", "lower", "upper", "unit", "scale", "fixed")

T = TypeVar("T")
_RESULTS: dict[str, type] = {}


def result(cls: type[T]) -> type[T]:
    """Register a frozen dataclass for the JSON round trip (class decorator)."""
    _RESULTS[cls.__name__] = cls
    return cls


def estimates_table(
    estimates: pd.Series,
    standard_errors: pd.Series | None = None,
    *,
    units: dict[str, str] | None = None,
    scales: dict[str, str] | None = None,
    fixed: dict[str, bool] | None = None,
    level: float = 0.95,
    degrees_of_freedom: float | None = None,
) -> pd.DataFrame:
    """Table of estimates in the one schema that all of pkpd uses.

    Parameters
    ----------
    estimates : Series
        Estimates by parameter name.
    standard_errors : Series, optional
        Standard errors by name; NaN where there is none.
    units, scales, fixed : dict, optional
        Unit, scale (``"natural"``, ``"variance"``, ``"SD"``, ``"log"`` …) and whether fixed, by name.
    level : float
        Coverage of the Wald interval estimate ± z·se.
    degrees_of_freedom : float, optional
        Use Student's t with these degrees of freedom instead of the normal quantile.

    Returns
    -------
    DataFrame
        Indexed by parameter, columns :data:`TABLE_COLUMNS`.
    """
    from scipy.special import ndtri, stdtrit

    q = 0.5 + level / 2
    z = float(ndtri(q) if degrees_of_freedom is None else stdtrit(degrees_of_freedom, q))
    est = estimates.astype(float)
    se = pd.Series(np.nan, index=est.index) if standard_errors is None else standard_errors.reindex(est.index)
    units, scales, fixed = units or {}, scales or {}, fixed or {}
    with np.errstate(divide="ignore", invalid="ignore"):
        rse = 100 * np.abs(se / est)
    return pd.DataFrame(
        {
            "estimate": est,
            "se": se.astype(float),
            "rse_percent": rse,
            "lower": est - z * se,
            "upper": est + z * se,
            "unit": [units.get(str(n), "") for n in est.index],
            "scale": [scales.get(str(n), "natural") for n in est.index],
            "fixed": [bool(fixed.get(str(n), False)) for n in est.index],
        },
        index=pd.Index(est.index, name="parameter"),
    )


def _encode(value: Any) -> Any:
    if isinstance(value, Statement):
        return {
            "__class__": "Statement",
            "text": str(value),
            "key": value.key,
            "values": _encode(value.values),
        }
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        number = float(value)
        return number if math.isfinite(number) else {"__class__": "float", "value": repr(number)}
    if isinstance(value, np.ndarray):
        return {
            "__class__": "ndarray",
            "dtype": str(value.dtype),
            "shape": list(value.shape),
            "values": [_encode(v) for v in value.ravel().tolist()],
        }
    if isinstance(value, pd.DataFrame):
        return {
            "__class__": "DataFrame",
            "columns": [str(c) for c in value.columns],
            "index": _encode(value.index),
            "values": [_encode(value[c]) for c in value.columns],
        }
    if isinstance(value, pd.Series):
        return {
            "__class__": "Series",
            "name": value.name,
            "dtype": "Statement" if _holds_statements(value) else _dtype(value.dtype),
            "index": _encode(value.index),
            "values": [_encode(_missing(v)) for v in value.tolist()],
        }
    if isinstance(value, pd.Index):
        return {
            "__class__": "Index",
            "name": value.name,
            "dtype": _dtype(value.dtype),
            "values": [_encode(v) for v in value.tolist()],
        }
    if isinstance(value, tuple):
        return {"__class__": "tuple", "values": [_encode(v) for v in value]}
    if isinstance(value, list):
        return [_encode(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _encode(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and type(value).__name__ in _RESULTS:
        fields = {f.name: _encode(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"__class__": type(value).__name__, **fields}
    raise TypeError(
        f"{type(value).__name__} is not registered for JSON; decorate it with pkpd.results.result"
    )


def _dtype(dtype: Any) -> str:
    return "object" if str(dtype) in ("str", "string", "category") else str(dtype)


def _holds_statements(column: pd.Series) -> bool:
    return column.dtype == object and any(isinstance(v, Statement) for v in column)


def _missing(value: Any) -> Any:
    return None if value is pd.NA or value is pd.NaT else value


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__class__")
    if kind is None:
        return {k: _decode(v) for k, v in value.items()}
    if kind == "float":
        return float(value["value"])
    if kind == "Statement":
        return Statement(value["text"], value["key"], _decode(value["values"]))
    if kind == "tuple":
        return tuple(_decode(v) for v in value["values"])
    if kind == "ndarray":
        return np.array([_decode(v) for v in value["values"]], dtype=value["dtype"]).reshape(value["shape"])
    if kind == "Index":
        return pd.Index([_decode(v) for v in value["values"]], name=value["name"]).astype(
            _restored(value["dtype"])
        )
    if kind == "Series":
        data = [_decode(v) for v in value["values"]]
        return pd.Series(
            data, index=_decode(value["index"]), name=value["name"], dtype=_restored(value["dtype"])
        )
    if kind == "DataFrame":
        columns = {c: _decode(v) for c, v in zip(value["columns"], value["values"], strict=True)}
        return pd.DataFrame(columns, index=_decode(value["index"]))
    if kind not in _RESULTS:
        raise InputError(
            "E_JSON_CLASS",
            f"the JSON holds a {kind!r}, which this version of pkpd does not know.",
            "Read it with the version that wrote it, or run the analysis again.",
        )
    return _RESULTS[kind](**{k: _decode(v) for k, v in value.items() if k != "__class__"})


def _restored(dtype: str) -> Any:
    # text columns come back as pandas' own default for text, whatever its version calls it, which would forget
    # what a statement was made of
    if dtype == "Statement":
        return object
    return pd.Series(["a"]).dtype if dtype == "object" else dtype


def to_json(value: Any, *, indent: int | None = None) -> str:
    """Write a result (or any nesting of plain values, arrays and tables) as JSON text.

    Floats keep every digit; NaN and infinities are tagged, so the text is strict JSON.
    """
    return json.dumps(_encode(value), indent=indent, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Any:
    """Read back what :func:`to_json` wrote.

    Raises
    ------
    InputError
        ``E_JSON`` if the text is not JSON, ``E_JSON_CLASS`` if it holds a class that is unknown here.
    """
    try:
        raw = json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError("E_JSON", f"not JSON: {error}.", "Give a file that pkpd wrote.") from error
    return _decode(raw)
