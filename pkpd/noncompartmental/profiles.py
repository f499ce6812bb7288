"""Profiles of a data set: the concentrations that follow each dose, and what stands at its beginning."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pkpd.data import Dataset

__all__ = ["BLQ_RULES", "Profile", "profiles_of", "with_blq_rule"]

BLQ_RULES = {
    "leading zero": "0 before the first quantifiable concentration, left out afterwards",
    "zero": "0 everywhere",
    "drop": "left out everywhere",
    "half": "half of LLOQ (or of the bound in DV) everywhere",
}


@dataclass(frozen=True)
class Profile:
    """Concentrations after one dose.

    Attributes
    ----------
    subject, endpoint : Any
    number : int
        Of the dose within the subject, from 1.
    dose_time, dose, duration : float
        Duration 0 is a bolus or an extravascular dose.
    compartment : Any
    steady : bool
    first : bool
        Whether no dose went before, or a reset (EVID 3 or 4) came after those that did.
    tau : float
        Time to the next dose, or the interval that the dose record states; NaN if unknown.
    time, conc : (n,) arrays
        Time since the dose; concentrations, NaN where below the limit of quantification.
    bound : (n,) array
        The limit there, NaN elsewhere.
    early : (n,) bool array
        Taken at the time of the dose, before it.
    reason : str
        Why nothing can be computed; empty if something can.
    """

    subject: Any
    endpoint: int | str
    number: int
    dose_time: float
    dose: float
    duration: float
    compartment: Any
    steady: bool
    first: bool
    tau: float
    time: np.ndarray
    conc: np.ndarray
    bound: np.ndarray
    early: np.ndarray
    reason: str = ""


def profiles_of(data: Dataset, endpoint: int | str) -> list[Profile]:
    """Cut the records of each subject at its doses.

    A concentration at the time of a dose, recorded before it, ends one profile and begins the next.
    """
    out: list[Profile] = []
    frame = data.frame
    columns = {
        c: frame[c].to_numpy()
        for c in ("TIME", "EVID", "MDV", "AMT", "RATE", "II", "DVID", "DV", "SS", "CENS", "LLOQ")
    }
    dosed, dosed_at = data.given_doses()
    # -1: an additional dose, which has no record of its own
    stands = np.where(np.append(True, dosed[1:] != dosed[:-1])[: len(dosed)], dosed, -1)
    compartments = frame["CMT"].to_numpy(dtype=object)
    for i, subject in enumerate(data.subjects):
        rows = np.arange(data.offsets[i], data.offsets[i + 1])
        own = {c: v[rows] for c, v in columns.items()}
        mine = slice(*np.searchsorted(dosed, data.offsets[i : i + 2]))
        doses = sorted(
            (float(t), int(s - data.offsets[i]) if s >= 0 else -1, int(r - data.offsets[i]))
            for t, s, r in zip(dosed_at[mine], stands[mine], dosed[mine], strict=True)
        )
        resets = np.flatnonzero(np.isin(own["EVID"], (3, 4)))
        seen = np.flatnonzero((own["EVID"] == 0) & (own["MDV"] == 0) & (own["DVID"] == endpoint))
        for number, (time, at, r) in enumerate(doses, 1):
            after = [d for d in doses if d[0] > time]
            following = after[0] if after else None
            together = [d for d in doses if d[0] == time]
            # at equal times a sample belongs to the dose before it only if its record comes after that dose's
            begins, ends = own["TIME"][seen] == time, np.zeros(len(seen), dtype=bool)
            inside = own["TIME"][seen] > time
            if following is not None:
                ends = (own["TIME"][seen] == following[0]) & ((following[1] < 0) | (seen < following[1]))
                inside &= own["TIME"][seen] < following[0]
            taken = seen[begins | inside | ends]
            dv, censored = own["DV"][taken].astype(float), own["CENS"][taken]
            below = (censored == 1) | (dv <= 0)
            lloq = own["LLOQ"][taken].astype(float)
            rate = float(own["RATE"][r])
            reason = ""
            if len(together) > 1:
                reason = "several doses at one time"
            elif rate < 0:
                reason = "the rate or duration of the dose is not known (RATE < 0)"
            elif (censored == -1).any():
                reason = "a concentration is only known to lie above a bound"
            tau = following[0] - time if following else float(own["II"][r])
            out.append(
                Profile(
                    subject=subject,
                    endpoint=endpoint,
                    number=number,
                    dose_time=time,
                    dose=float(own["AMT"][r]),
                    duration=float(own["AMT"][r]) / rate if rate > 0 else 0.0,
                    compartment=compartments[rows[r]],
                    steady=bool(own["SS"][r] > 0),
                    first=number == 1 or bool(np.any((resets > doses[number - 2][2]) & (resets <= r))),
                    tau=tau if tau > 0 else math.nan,
                    time=own["TIME"][taken].astype(float) - time,
                    conc=np.where(below, np.nan, dv),
                    bound=np.where(below, np.where(np.isnan(lloq), dv, lloq), np.nan),
                    early=(own["TIME"][taken] == time) & ((at < 0) | (taken < at)),
                    reason=reason,
                )
            )
    return out


def with_blq_rule(profile: Profile, rule: str) -> tuple[np.ndarray, np.ndarray]:
    """Times and concentrations with those below the limit dealt with by a rule of :data:`BLQ_RULES`."""
    below = np.isnan(profile.conc)
    conc = profile.conc.copy()
    if rule == "zero":
        conc[below] = 0.0
    elif rule == "half":
        conc[below] = profile.bound[below] / 2
    elif rule == "leading zero":
        quantified = np.flatnonzero(~below)
        leading = below & (np.arange(len(conc)) < (quantified[0] if len(quantified) else len(conc)))
        conc[leading] = 0.0
    kept = ~np.isnan(conc)
    return profile.time[kept], conc[kept]
