"""Missing covariates by a stated rule: one value for all subjects that have none, and a flag that says who they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pkpd.data.ledger import names
from pkpd.data.table import column_of
from pkpd.errors import InputError, PkpdWarning

if TYPE_CHECKING:
    from pkpd.data.dataset import Dataset

__all__ = ["completed_columns"]


def completed_columns(data: Dataset, rules: Mapping[str, str]) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Records with the covariates completed, and the names of the new flag columns; see :meth:`Dataset.imputed`."""
    frame, flags = data.frame.copy(), []
    owner = np.repeat(np.arange(data.n_subjects), np.diff(data.offsets))
    for name, rule in rules.items():
        _check(data, name, rule)
        column = frame[name]
        own = column.groupby(owner).first()  # the first value that is there
        lacking = own.isna().to_numpy()
        value = _value(name, rule, own.dropna())
        rows = lacking[owner]
        values = column_of(column).copy()
        values[rows] = value
        frame[name] = pd.Series(values)
        flag = f"{name}_IMPUTED"
        if flag in frame.columns:
            raise InputError(
                "E_COLUMN_EXISTS", f"the data set already has {flag}.", "Impute each covariate once."
            )
        frame[flag] = rows.astype(float)
        flags.append(flag)
        if lacking.any():
            warnings.warn(
                f"W_COVARIATE_IMPUTED: column {name} is missing for {lacking.sum()} of {data.n_subjects} subjects (ID "
                f"{names(data.subjects[lacking].tolist(), 10)}) and set to {value}, the {rule} of the others; {flag} is 1 for "
                "them. Standard errors do not know that these values were not measured.",
                PkpdWarning,
                stacklevel=3,
            )
    return frame, tuple(flags)


def _check(data: Dataset, name: str, rule: str) -> None:
    if name not in data.covariates:
        raise InputError(
            "E_IMPUTE_COLUMN",
            f"{name} is not a covariate of {data.source}.",
            f"Its covariates are {names(list(data.covariates), 10)}; a histology is not imputed.",
        )
    if rule in ("median", "mode"):
        return
    remedy = 'Use "median" or "mode".'
    if rule == "multiple":
        remedy = (
            "Multiple imputation needs a model of the missing values given the others, which pkpd does not have: complete the "
            "data m times elsewhere, fit each, and combine the estimates by Rubin's rules."
        )
    raise InputError("E_IMPUTE_RULE", f"the rule {rule!r} for {name} is not supported.", remedy)


def _value(name: str, rule: str, known: pd.Series) -> Any:
    if known.empty:
        raise InputError("E_IMPUTE_COLUMN", f"no subject has a value of {name}.", "Leave the covariate out.")
    if rule == "median":
        if not pd.api.types.is_numeric_dtype(known):
            raise InputError("E_IMPUTE_RULE", f"{name} is text, which has no median.", 'Use "mode".')
        return float(known.median())
    counts = known.value_counts()
    most = counts.index[counts == counts.iloc[0]].tolist()
    if len(most) > 1:
        raise InputError(
            "E_IMPUTE_RULE",
            f"{name} has no mode: {names(most)} are equally frequent.",
            "State the value yourself, in the data.",
        )
    return most[0]
