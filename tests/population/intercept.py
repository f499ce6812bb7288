"""A random intercept: the population model whose likelihood, profile and bootstrap have closed forms."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd

import pkpd

SUBJECTS, TIMES = 14, 3


@pkpd.model
def intercept(m):
    """y = mu + b + e; FOCEI is exact for it."""
    level = m.parameter("BASE", m.theta("BASE", 5.0) + m.eta("BASE", variance=1.0))
    m.observe("y", level, additive=m.sigma("ADD", 1.0))


def measurements() -> np.ndarray:
    """Return the table (subjects, times)."""
    random = np.random.default_rng(1)
    return 6 + random.normal(0, 1.3, (SUBJECTS, 1)) + random.normal(0, 0.7, (SUBJECTS, TIMES))


def dataset(y: np.ndarray, limit: float | None = None) -> pkpd.Dataset:
    """Return the same as a data set; the first nine subjects are of tumour a, the others of tumour b.

    Values below ``limit`` are censored there.
    """
    n, m = y.shape
    frame = pd.DataFrame(
        {
            "ID": np.repeat(np.arange(1, n + 1), m),
            "TIME": np.tile(np.arange(m, dtype=float), n),
            "EVID": 0,
            "DV": y.ravel(),
            "TUMOR": np.repeat(np.where(np.arange(n) < 9, "a", "b"), m),
        }
    )
    if limit is not None:
        frame["CENS"] = (frame["DV"] < limit).astype(int)
        frame["DV"] = frame["DV"].clip(lower=limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.read_dataset(frame)
