"""What a table may say but the solver and the estimators cannot do yet: refused by name, in one place."""

from __future__ import annotations

import numpy as np

from pkpd.data.ledger import Ledger

__all__ = ["refuse_unsupported"]


def refuse_unsupported(columns: dict[str, np.ndarray], ledger: Ledger) -> None:
    """Refuse records that are well formed but cannot be computed.

    Parameters
    ----------
    columns : dict of str to ndarray, shape (n,)
        Records as the rules left them.
    ledger : Ledger
    """
    compartment = columns["CMT"]
    if compartment.dtype != object:
        ledger.add_rows("E_CMT_NEGATIVE", compartment < 0, "CMT", compartment)
