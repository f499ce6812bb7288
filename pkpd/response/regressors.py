"""The linear predictor that all families share: intercepts and slopes per histology, covariates.

A :class:`Regressors` remembers how a table was turned into columns, so that the same columns can be made for
any histology, exposure and covariates later on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.response.columns import (
    column_of,
    exposures_of,
    histologies_of,
    label_of,
    named_subjects,
    subjects_of,
)
from pkpd.results import result

__all__ = ["Regressors", "read_regressors"]

SHAPES = ("linear", "log")
ALL = "all"  # the one level of a fit without histology


@result
@dataclass(frozen=True)
class Regressors:
    """How exposure, histology and covariates become the columns of the linear predictor.

    Attributes
    ----------
    exposure, histology : str or None
        Column names in the table of subjects; None where the model has none.
    shape : str
        ``"linear"``: exposure − reference; ``"log"``: ln(exposure / reference).
    slopes : str
        ``"separate"`` (one per histology), ``"common"`` or ``"none"``.
    intercepts : str
        ``"separate"``, ``"common"``, ``"contrast"`` (histology against the first one; for families with a
        baseline of their own) or ``"none"``.
    reference_exposure : float
        Exposure at which the regressor is zero.
    histologies : tuple of str
        Levels, in order; ``("all",)`` without histology.
    covariate_means : dict of float
        Numeric covariates and the mean that is subtracted: intercepts are at the mean covariate.
    covariate_levels : dict of tuple
        Text covariates and their levels; the first is the reference.
    """

    exposure: str | None
    histology: str | None
    shape: str
    slopes: str
    intercepts: str
    reference_exposure: float
    histologies: tuple[str, ...]
    covariate_means: dict[str, float] = field(default_factory=dict)
    covariate_levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns: ``intercept[k]``, ``slope[k]``, covariates, ``covariate[level]``."""
        intercepts = {
            "separate": [f"intercept[{k}]" for k in self.histologies],
            "contrast": [f"histology[{k}]" for k in self.histologies[1:]],
            "common": ["intercept"],
            "none": [],
        }[self.intercepts]
        slopes = {
            "separate": [f"slope[{k}]" for k in self.histologies],
            "common": ["slope"],
            "none": [],
        }[self.slopes]
        dummies = [f"{c}[{v}]" for c, levels in self.covariate_levels.items() for v in levels[1:]]
        return (*intercepts, *slopes, *self.covariate_means, *dummies)

    def transform(self, exposure: np.ndarray) -> np.ndarray:
        """Regressor of an exposure: zero at the reference exposure."""
        x = np.asarray(exposure, dtype=float)
        if self.shape == "log":
            if np.any(~(x > 0)):
                raise InputError(
                    "E_EXPOSURE_NOT_POSITIVE",
                    "the exposure enters as a logarithm and must be positive.",
                    "Give positive exposures, or fit with shape='linear'.",
                )
            return np.log(x / self.reference_exposure)
        return x - self.reference_exposure

    def index_of(self, histology: Any) -> np.ndarray:
        """Positions of histology labels among :attr:`histologies`; refuses a label that was not fitted."""
        labels = np.atleast_1d(np.asarray(ALL if histology is None else histology, dtype=object))
        position = {k: i for i, k in enumerate(self.histologies)}
        out = np.empty(labels.shape, dtype=np.int64)
        for i, label in enumerate(labels):
            key = ALL if self.histology is None else label_of(label)
            if key not in position:
                raise InputError(
                    "E_HISTOLOGY_UNKNOWN",
                    f"histology {label!r} is not in the fit.",
                    f"Choose among {', '.join(self.histologies)}.",
                )
            out[i] = position[key]
        return out

    def matrix(self, histology: Any, exposure: Any, covariates: Any = None) -> np.ndarray:
        """Design matrix, one row per subject.

        Parameters
        ----------
        histology : str or sequence of str
            Label(s); a single one is used for all rows. None where the fit has no histology.
        exposure : float or sequence of float
            In the unit of the fit; None where the model has no exposure.
        covariates : mapping or DataFrame, optional
            Value(s) by covariate name; those not given are at their centre (numeric) or reference level
            (text).

        Returns
        -------
        ndarray, shape (n, p)
            Columns in the order of :attr:`names`.
        """
        level = self.index_of(histology)
        if self.exposure is None:
            x = np.zeros(level.size)
        else:
            x = self.transform(np.atleast_1d(np.asarray(exposure, dtype=float)))
        given = {} if covariates is None else {str(c): covariates[c] for c in covariates}
        unknown = set(given) - set(self.covariate_means) - set(self.covariate_levels)
        if unknown:
            raise InputError(
                "E_COVARIATE_UNKNOWN",
                f"covariate(s) {', '.join(sorted(unknown))} are not in the fit.",
                f"It has {', '.join((*self.covariate_means, *self.covariate_levels)) or 'none'}.",
            )
        n = max([level.size, x.size, *(np.size(v) for v in given.values())])
        level, x = np.broadcast_to(level, n), np.broadcast_to(x, n)
        in_level = level[:, None] == np.arange(len(self.histologies))
        columns: list[np.ndarray] = []
        if self.intercepts == "separate":
            columns.append(in_level.astype(float))
        elif self.intercepts == "contrast":
            columns.append(in_level[:, 1:].astype(float))
        elif self.intercepts == "common":
            columns.append(np.ones((n, 1)))
        if self.slopes == "separate":
            columns.append(in_level * x[:, None])
        elif self.slopes == "common":
            columns.append(x[:, None])
        for name, mean in self.covariate_means.items():
            values = np.asarray(given.get(name, mean), dtype=float)
            columns.append(np.broadcast_to(values - mean, n)[:, None])
        for name, levels in self.covariate_levels.items():
            values = np.array([label_of(v) for v in np.atleast_1d(np.asarray(given.get(name, levels[0])))])
            strange = sorted(set(values) - set(levels))
            if strange:
                raise InputError(
                    "E_COVARIATE_LEVEL",
                    f"covariate {name}: level(s) {', '.join(strange)} are not in the fit.",
                    f"Choose among {', '.join(levels)}.",
                )
            values = np.broadcast_to(values, n)
            columns += [(values == v).astype(float)[:, None] for v in levels[1:]]
        return np.hstack(columns) if columns else np.zeros((n, 0))


def read_regressors(
    frame: pd.DataFrame,
    exposure: str | None,
    histology: str | None,
    *,
    shape: str,
    slopes: str,
    intercepts: str,
    covariates: Sequence[str] | Mapping[str, str | None] = (),
    reference_exposure: float | None = None,
    unique_subjects: bool = True,
    shapes: tuple[str, ...] = SHAPES,
) -> tuple[Regressors, pd.DataFrame]:
    """Check a table of subjects and decide how its columns enter the linear predictor.

    Returns
    -------
    regressors : Regressors
    records : DataFrame
        Columns ID, exposure, histology and one per covariate, in the order of `frame`, all present and
        usable.

    Raises
    ------
    InputError
        ``E_FRAME_EMPTY``, ``E_COLUMN_MISSING``, ``E_SUBJECT_DUPLICATE``, ``E_EXPOSURE_*``,
        ``E_HISTOLOGY_MISSING``, ``E_COVARIATE_*``, ``E_SLOPE_NOT_ESTIMABLE``, ``E_OPTION``.
    """
    _check_options(exposure, histology, shape, slopes, intercepts, shapes)
    ids = subjects_of(frame, unique=unique_subjects)
    records = pd.DataFrame({"ID": ids})
    if exposure is not None:
        records["exposure"] = exposures_of(frame, exposure, ids, positive=shape == "log")
    if histology is None:
        levels: tuple[str, ...] = (ALL,)
        records["histology"] = ALL
    else:
        labels, levels = histologies_of(frame, histology, ids)
        records["histology"] = labels
    if len(levels) == 1:  # one histology: separate and common are the same model
        intercepts = "none" if intercepts == "contrast" else intercepts
        if histology is None:
            intercepts = "common" if intercepts == "separate" else intercepts
            slopes = "common" if slopes == "separate" else slopes
    means: dict[str, float] = {}
    dummies: dict[str, tuple[str, ...]] = {}
    wanted = covariates if isinstance(covariates, Mapping) else dict.fromkeys(covariates)
    for name, reference in wanted.items():
        if name in (exposure, histology):
            raise InputError(
                "E_COVARIATE_REPEATED",
                f"column {name} is already in the model.",
                "Leave it out of covariates.",
            )
        values, kind = _covariate(frame, name, reference, ids)
        records[name] = values
        if isinstance(kind, tuple):
            dummies[name] = kind
        else:
            means[name] = kind
    reference_value = _reference(records, exposure, shape, reference_exposure)
    # columns of plain types: IDs that are whole numbers stay numbers through JSON
    records = records.infer_objects()
    regressors = Regressors(
        exposure, histology, shape, slopes, intercepts, reference_value, levels, means, dummies
    )
    if exposure is not None and slopes != "none":
        _check_slopes(regressors, records)
    return regressors, records


def design_of(regressors: Regressors, records: pd.DataFrame) -> np.ndarray:
    """Design matrix of the records that were read, refused where its columns depend on each other."""
    covariates = {
        c: records[c].to_numpy() for c in (*regressors.covariate_means, *regressors.covariate_levels)
    }
    exposure = records["exposure"].to_numpy() if regressors.exposure is not None else None
    x = regressors.matrix(records["histology"].to_numpy(), exposure, covariates)
    scale = np.abs(x).max(axis=0)
    if x.shape[1] and (
        np.any(scale == 0) or np.linalg.matrix_rank(x / scale, tol=1e-9 * len(x)) < x.shape[1]
    ):
        raise InputError(
            "E_ALIASED",
            f"the {x.shape[1]} columns of the model ({', '.join(regressors.names)}) depend on each other"
            f" in these {len(x)} subjects.",
            "Leave out a covariate that another column determines, or fit fewer histologies or slopes.",
        )
    return x


def _check_options(exposure, histology, shape, slopes, intercepts, shapes) -> None:
    options = [
        ("shape", shape, shapes),
        ("slopes", slopes, ("separate", "common", "none")),
        ("intercepts", intercepts, ("separate", "common", "contrast", "none")),
    ]
    for name, value, allowed in options:
        if value not in allowed:
            raise InputError(
                "E_OPTION", f"{name}={value!r} is not supported.", f"Choose among {', '.join(allowed)}."
            )
    if exposure is None and slopes != "none":
        raise InputError(
            "E_OPTION", f"slopes={slopes!r} needs an exposure column.", "Name one, or set slopes='none'."
        )
    if exposure is not None and exposure == histology:
        raise InputError(
            "E_OPTION", f"column {exposure} cannot be both exposure and histology.", "Name two columns."
        )


def _covariate(frame, name, reference, ids) -> tuple[Any, float | tuple[str, ...]]:
    column = column_of(frame, name).infer_objects()
    absent = column.isna().to_numpy()
    if absent.any():
        raise InputError(
            "E_COVARIATE_MISSING",
            f"covariate {name} is missing for {named_subjects(ids, absent)}.",
            "Impute it before the fit, or leave these subjects or the covariate out.",
        )
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric and reference is None:
        values = column.to_numpy(dtype=float)
        if not np.isfinite(values).all():
            raise InputError(
                "E_COVARIATE_MISSING",
                f"covariate {name} is infinite for {named_subjects(ids, ~np.isfinite(values))}.",
                "Correct it, or leave these subjects out.",
            )
        if np.ptp(values) == 0:
            raise _constant(name, values[0])
        # fsum: the mean, hence the intercept, must not depend on the order of the rows
        return values, math.fsum(values) / len(values)
    labels = np.array([label_of(v) for v in column], dtype=object)
    levels, counts = np.unique(labels.astype(str), return_counts=True)
    if len(levels) == 1:
        raise _constant(name, levels[0])
    if reference is None:
        first = str(levels[np.argmax(counts)])  # most frequent; the first in the alphabet among equals
    else:
        first = label_of(reference)
        if first not in levels:
            raise InputError(
                "E_COVARIATE_LEVEL",
                f"covariate {name} has no level {reference!r} to refer to.",
                f"Choose among {', '.join(levels)}.",
            )
    return labels, (first, *(str(v) for v in levels if v != first))


def _constant(name: str, value: Any) -> InputError:
    return InputError(
        "E_COVARIATE_CONSTANT",
        f"covariate {name} is {value} in every subject.",
        "Leave it out of covariates.",
    )


def _reference(records: pd.DataFrame, exposure: str | None, shape: str, given: float | None) -> float:
    if exposure is None:
        return 0.0
    if given is not None:
        value = float(given)
        if not np.isfinite(value) or (shape == "log" and value <= 0):
            raise InputError(
                "E_REFERENCE_EXPOSURE",
                f"reference_exposure={given!r} cannot be used with shape={shape!r}.",
                "Give a finite number, positive for shape='log'.",
            )
        return value
    if shape == "log":
        # fsum: the same to the last bit in whatever order the rows come
        return math.exp(math.fsum(np.log(records["exposure"].to_numpy())) / len(records))
    return 0.0


def _check_slopes(regressors: Regressors, records: pd.DataFrame) -> None:
    separate = regressors.slopes == "separate"
    if separate:
        flat = [str(k) for k, x in records.groupby("histology")["exposure"] if x.nunique() < 2]
    elif regressors.intercepts in ("separate", "contrast"):
        flat = (
            []
            if records.groupby("histology")["exposure"].nunique().max() > 1
            else list(regressors.histologies)
        )
    else:
        flat = [] if np.ptp(records["exposure"]) > 0 else list(regressors.histologies)
    if flat:
        raise InputError(
            "E_SLOPE_NOT_ESTIMABLE",
            f"column {regressors.exposure} takes a single value within histology {', '.join(flat)}:"
            " there is no slope to estimate.",
            "Fit slopes='common' or 'none', or leave out or pool the histology."
            if separate
            else "Fit slopes='none', or bring data with several exposures.",
        )
