"""Endpoints that are likelihoods of their own: what their expressions read at a record."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import ModelError
from pkpd.language.columns import endpoint_numbers, record_owner
from pkpd.language.declarations import Observation
from pkpd.language.frozen_model import Model
from pkpd.language.inputs import InputColumn

__all__ = ["direct_inputs"]


def direct_inputs(model: Model, data: Dataset) -> list[InputColumn]:
    """What likelihoods read at their records: the flag of each hazard's last record of a subject, and DV, the last input.

    Raises
    ------
    ModelError
        ``E_DIRECT_CENSORED`` for censored records, ``E_HAZARD_DV`` for a DV of a hazard that is neither 0 nor 1,
        ``E_HAZARD_RESET`` where a reset would empty the cumulative hazard.
    """
    if not any(o.likelihood for o in model.observations):
        return []
    frame = data.frame
    dv, endpoint = frame["DV"].to_numpy(float), endpoint_numbers(data, [o.name for o in model.observations])
    counts = ((frame["EVID"] == 0) & (frame["MDV"] == 0)).to_numpy()
    owner = record_owner(data)
    out = []
    for k, o in enumerate(model.observations):
        here = counts & (endpoint == k)
        _check_direct(o, frame, here, dv)
        if o.last is not None:
            last = np.zeros(len(dv))
            last[
                [
                    rows[-1]
                    for rows in np.split(np.flatnonzero(here), np.flatnonzero(np.diff(owner[here])) + 1)
                    if len(rows)
                ]
            ] = 1
            out.append(InputColumn(f"LAST({o.name})", o.last, last, "record"))
    out.append(InputColumn("DV", model.dv, np.where(np.isnan(dv), 0.0, dv), "record"))
    return out


def _check_direct(o: Observation, frame: pd.DataFrame, here: np.ndarray, dv: np.ndarray) -> None:
    if not o.likelihood:
        return
    reset = np.isin(frame["EVID"].to_numpy(), (3, 4)) & (o.cumulative is not None) & here.any()
    for code, bad, what, remedy in (
        ("E_DIRECT_CENSORED", here & (frame["CENS"].to_numpy() != 0), "is censored, which its likelihood cannot say",
         "Write censoring into the likelihood expression, by m.dv."),
        ("E_HAZARD_DV", here & (o.cumulative is not None) & ~np.isin(dv, (0.0, 1.0)), "is neither 1 (event) nor 0 (none)",
         "Code events as 1 and the end of follow-up without one as 0; declare events that are known to lie between two records "
         "by m.hazard(…, interval_censored=True)."),
        ("E_HAZARD_RESET", reset, "is a reset, which would empty the cumulative hazard", "Leave resets out (EVID 3, 4)."),
    ):  # fmt: skip
        if bad.any():
            record = frame[["ROW", "ID", "DV"]].astype(object).iloc[int(np.flatnonzero(bad)[0])]
            raise ModelError(
                code,
                f"row {record['ROW']}, ID {record['ID']}, column DV, value {record['DV']}: a record of endpoint {o.name} {what}.",
                remedy,
            )
