"""A column TAD against the doses of the table: what the file says the time after dose is, and what it is."""

from __future__ import annotations

import numpy as np

from pkpd.data.dataset import Dataset
from pkpd.data.ledger import Ledger

__all__ = ["check_time_after_dose"]

# times after dose are usually written with two digits or so; a lost or shifted dose is far beyond this
_RELATIVE, _ABSOLUTE = 0.01, 0.05


def check_time_after_dose(dataset: Dataset, ledger: Ledger) -> None:
    """Compare the covariate TAD, if there is one, with :meth:`Dataset.time_after_dose`.

    Observations at the very time of a dose are left aside: their TAD may mean the dose before.

    Parameters
    ----------
    dataset : Dataset
    ledger : Ledger
        Receives ``W_TAD_DIFFERS`` at the first observation that differs.
    """
    name = next((c for c in dataset.covariates if c.upper() == "TAD"), None)
    if name is None or dataset.frame[name].dtype == object:
        return
    given = dataset.frame[name].to_numpy(dtype=float)
    found = dataset.time_after_dose()
    compared = (dataset.frame["EVID"] == 0).to_numpy() & (found > 0) & ~np.isnan(given)
    with np.errstate(invalid="ignore"):
        differs = np.flatnonzero(compared & (np.abs(given - found) > _ABSOLUTE + _RELATIVE * found))
    if len(differs):
        i = differs[0]
        ledger.add_at("W_TAD_DIFFERS", i, name, given[i], expected=f"{found[i]:g}", count=len(differs))
