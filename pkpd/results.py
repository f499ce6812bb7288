"""One table schema for estimates, and JSON that comes back as what it was.

Every result of pkpd is a frozen dataclass registered with :func:`result`; :func:`to_json` and :func:`from_json`
carry it, with its DataFrames, Series and arrays, to text and back without losing a bit.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from importlib import import_module
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pkpd.appearance import as_frame, as_html, as_text
from pkpd.errors import InputError
from pkpd.statements import Statement

__all__ = ["TABLE_COLUMNS", "estimates_table", "from_json", "restored", "result", "to_json"]

TABLE_COLUMNS = ("estimate", "se", "rse_percent", "lower", "upper", "unit", "scale", "fixed")

T = TypeVar("T")
_RESULTS: dict[str, type] = {}
# where results are declared, those that load quickly first
_PACKAGES = (
    *(
        "distributions",
        "study",
        "data",
        "histology",
        "response",
        "noncompartmental",
        "simulation",
        "language",
    ),
    *("population", "exposure", "study.scenarios", "study.characteristics"),
)


def result(cls: type[T]) -> type[T]:
    """Register a frozen dataclass for the JSON round trip, and give it what every result has (class decorator).

    That is ``to_json()``, ``from_json(text)``, ``to_frame()``, ``_repr_html_()`` and, where it holds tables or arrays, a
    readable ``repr``, unless the class has its own. A class with parts that are made from the others leaves them out of
    ``_stored(self)``, a mapping, and makes them again in the class method ``_restored(fields)``.
    """
    known = _RESULTS.setdefault(cls.__name__, cls)
    assert known.__module__ == cls.__module__, f"two results are called {cls.__name__}"
    _RESULTS[cls.__name__] = cls
    for name, function in _OFFERED.items():
        if name not in vars(cls):
            setattr(cls, name, function)
    if hasattr(cls.__repr__, "__wrapped__") and any(
        "pd." in str(t) or "ndarray" in str(t) for t in _types(cls)
    ):
        cls.__repr__ = as_text  # type: ignore[method-assign]
    return cls


def _types(cls: type) -> list[Any]:
    return [f.type for f in dataclasses.fields(cls)]  # type: ignore[arg-type]


def _own_json(self: Any, *, indent: int | None = 1) -> str:
    """All that the result holds, as JSON text; ``from_json`` of its class restores an equal value."""
    return to_json(self, indent=indent)


def restored(cls: type[T], text: str) -> T:
    """Restore a result of a class that ``to_json`` wrote: what ``from_json`` of the class does.

    Raises
    ------
    InputError
        ``E_JSON`` if the text is not JSON, ``E_JSON_CLASS`` if it holds another class.
    """
    value = from_json(text)
    if not isinstance(value, cls):
        raise InputError(
            "E_JSON_CLASS",
            f"the JSON holds a {type(value).__name__}, not a {cls.__name__}.",
            f"Give what {cls.__name__}.to_json() wrote.",
        )
    return value


_OFFERED: dict[str, Any] = {
    "to_json": _own_json,
    "from_json": classmethod(restored),
    "to_frame": as_frame,
    "_repr_html_": as_html,
}


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
        Coverage of the Wald interval: estimate ± z·se, but estimate·exp(± z·se/estimate) for a positive variance or SD,
        whose estimates are skewed: the symmetric interval covers less than it says, and may hold negative numbers.
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
    scale = [scales.get(str(n), "natural") for n in est.index]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        relative = np.abs(se / est)
        skewed = np.isin(scale, ("variance", "SD")) & (est > 0)
        lower = np.where(skewed, est * np.exp(-z * relative), est - z * se)
        upper = np.where(skewed, est * np.exp(z * relative), est + z * se)
    return pd.DataFrame(
        {
            "estimate": est,
            "se": se.astype(float),
            "rse_percent": 100 * relative,
            "lower": lower,
            "upper": upper,
            "unit": [units.get(str(n), "") for n in est.index],
            "scale": scale,
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
            "columns": _encode(value.columns.tolist()),
            "heading": value.columns.name,
            "index": _encode(value.index),
            "dtypes": [_dtype(d) for d in value.dtypes],
            "values": [[_encode(_missing(v)) for v in value.iloc[:, i]] for i in range(value.shape[1])],
        }
    if isinstance(value, pd.Series):
        return {
            "__class__": "Series",
            "name": value.name,
            "dtype": _dtype(value.dtype),
            "index": _encode(value.index),
            "values": [_encode(_missing(v)) for v in value.tolist()],
        }
    if isinstance(value, pd.MultiIndex):
        return {
            "__class__": "MultiIndex",
            "levels": [_encode(value.get_level_values(i)) for i in range(value.nlevels)],
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
    if isinstance(value, Mapping):
        if all(isinstance(k, str) for k in value):
            return {k: _encode(v) for k, v in value.items()}
        pairs = [[_encode(k), _encode(v)] for k, v in value.items()]
        return {"__class__": "mapping", "pairs": pairs}
    if _RESULTS.get(type(value).__name__) is type(value):
        stored = getattr(value, "_stored", None)
        names = [f.name for f in dataclasses.fields(_RESULTS[type(value).__name__])]
        fields = stored() if stored else {name: getattr(value, name) for name in names}
        return {"__class__": type(value).__name__, **{k: _encode(v) for k, v in fields.items()}}
    raise TypeError(
        f"{type(value).__name__} is not registered for JSON; decorate it with pkpd.results.result"
    )


def _dtype(dtype: Any) -> str:
    return "text" if str(dtype) in ("str", "string", "category") else str(dtype)


def _missing(value: Any) -> Any:
    return None if value is pd.NA or value is pd.NaT else value


def _decoded(values: list[Any]) -> list[Any]:
    # most entries are plain, and a call for each of them is what reading a large table costs
    return [_decode(v) if isinstance(v, (list, dict)) else v for v in values]


def _decode(value: Any) -> Any:
    if isinstance(value, list):
        return _decoded(value)
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
        return tuple(_decoded(value["values"]))
    if kind == "ndarray":
        return np.array(_decoded(value["values"]), dtype=value["dtype"]).reshape(value["shape"])
    if kind == "Index":
        return pd.Index(_decoded(value["values"]), name=value["name"]).astype(_restored(value["dtype"]))
    if kind == "Series":
        data = _decoded(value["values"])
        return pd.Series(
            data, index=_decode(value["index"]), name=value["name"], dtype=_restored(value["dtype"])
        )
    if kind == "MultiIndex":
        return pd.MultiIndex.from_arrays(_decoded(value["levels"]))
    if kind == "mapping":
        return {_decode(k): _decode(v) for k, v in value["pairs"]}
    if kind == "DataFrame":
        index, columns = _decode(value["index"]), pd.Index(_decode(value["columns"]), name=value["heading"])
        if not len(columns):
            return pd.DataFrame(index=index)
        parts = [
            pd.Series(_decoded(values), index=index, dtype=_restored(dtype))
            for values, dtype in zip(value["values"], value["dtypes"], strict=True)
        ]
        return pd.concat(parts, axis=1).set_axis(columns, axis=1)
    _learn(kind)
    if kind not in _RESULTS:
        raise InputError(
            "E_JSON_CLASS",
            f"the JSON holds a {kind!r}, which this version of pkpd does not know.",
            "Read it with the version that wrote it, or run the analysis again.",
        )
    fields = {k: _decode(v) for k, v in value.items() if k != "__class__"}
    try:
        return getattr(_RESULTS[kind], "_restored", _RESULTS[kind])(**fields)
    except TypeError as error:
        raise InputError(
            "E_JSON_CLASS",
            f"the JSON holds a {kind!r} with other fields than this version of pkpd gives it ({error}).",
            "Read it with the version that wrote it, or run the analysis again.",
        ) from error


def _learn(kind: str) -> None:
    """Load the packages until one of them has registered the class."""
    for package in _PACKAGES:
        if kind in _RESULTS:
            return
        import_module(f"pkpd.{package}")


def _restored(dtype: str) -> Any:
    # text columns come back as pandas' own default for text, whatever its version calls it
    return pd.Series(["a"]).dtype if dtype == "text" else dtype


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
    except (TypeError, json.JSONDecodeError) as error:
        raise InputError("E_JSON", f"not JSON: {error}.", "Give a file that pkpd wrote.") from error
    return _decode(raw)
