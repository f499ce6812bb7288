"""Subjects that do not exist yet: rows of a covariate table, and the data set that binds a model to them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import InputError

__all__ = ["carriers", "subject_count"]

_RECORD = {
    "TIME": 0.0,
    "EVID": 0,
    "MDV": 1,
    "AMT": 0.0,
    "RATE": 0.0,
    "II": 0.0,
    "ADDL": 0,
    "SS": 0,
    "DVID": 1,
    "DV": np.nan,
    "CENS": 0,
    "LIMIT": np.nan,
    "LLOQ": np.nan,
    "CMT": np.nan,
}


def carriers(covariates: pd.DataFrame | None) -> Dataset:
    """A data set of subjects that only carry covariates: one per row of the table, or one without any.

    Raises
    ------
    InputError
        ``E_SIMULATE`` for columns with names of records, time-varying tables among them.
    """
    count = 1 if covariates is None else len(covariates)
    frame = pd.DataFrame({"ID": np.arange(1, count + 1), "ROW": np.arange(1, count + 1)}).assign(**_RECORD)
    if covariates is not None:
        clash = [str(c) for c in covariates.columns if c in {*frame.columns, "IPRED", "REP", "ARM"}]
        if clash:
            raise InputError(
                "E_SIMULATE",
                f"covariate columns {', '.join(clash)} are reserved names; the table has one row per subject.",
                "Rename them. Covariates that change in time come with a data set: pkpd.simulate(model, data).",
            )
        frame = pd.concat([frame, covariates.reset_index(drop=True)], axis=1)
    return Dataset(
        frame=frame,
        subjects=frame["ID"].to_numpy(),
        offsets=np.arange(count + 1, dtype=np.int64),
        covariates=() if covariates is None else tuple(covariates.columns),
        histology=None,
        units={},
        source="covariates",
        sha256="",
    )


def subject_count(n: int | None, covariates: pd.DataFrame | None) -> int:
    """Number of subjects of each arm.

    Raises
    ------
    InputError
        ``E_SIMULATE``.
    """
    available = 1 if covariates is None else len(covariates)
    whole = n is None or (not isinstance(n, bool) and isinstance(n, (int, np.integer)))
    count = available if n is None else int(n) if whole else 0
    if count < 1 or available < 1:
        raise InputError(
            "E_SIMULATE",
            f"n={n!r} subjects cannot be simulated from {available} row(s) of covariates.",
            "Give a positive whole number, and at least one row.",
        )
    return count
