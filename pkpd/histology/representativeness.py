"""Who was enrolled against who will be treated: weights of the target population and what they change."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.histology.permutation import read_responses
from pkpd.results import result

__all__ = ["Representativeness", "representativeness", "target_mix"]

LARGE_SHARE, LARGE_SHIFT = 0.40, 0.05


@result
@dataclass(frozen=True)
class Representativeness:
    """Enrolled mix against the target population, and the response that the target would have.

    Attributes
    ----------
    table : DataFrame
        One row per histology: histology, n, responders, response, enrolled (share), target (share), weight
        (of one of its patients, target / enrolled), share_responders, without (post-stratified response
        without it), shift, dominant (more than 40 % of patients or of the target, or a shift of more than
        5 percentage points).
    total_variation : float
        Half the sum of absolute differences between enrolled and target: the share of patients who would have to
        be of another histology.
    pooled : float
        Responders over patients, as enrolled.
    response, se, lower, upper : float
        Post-stratified response, its standard error and interval.
    level : float
    effective_n : float
        Patients that the weighted ones are worth.
    uncovered : float
        Share of the target in histologies without a patient; the post-stratified response is of the rest.
    missing : tuple of str
        These histologies.
    """

    table: pd.DataFrame
    total_variation: float
    pooled: float
    response: float
    se: float
    lower: float
    upper: float
    level: float
    effective_n: float
    uncovered: float
    missing: tuple[str, ...]


def representativeness(
    responders: Mapping[str, int] | pd.Series,
    patients: Mapping[str, int] | pd.Series,
    *,
    shares: Mapping[str, float] | None = None,
    incidence: Mapping[str, float] | None = None,
    alteration: Mapping[str, float] | None = None,
    treatable: Mapping[str, float] | None = None,
    level: float = 0.95,
) -> Representativeness:
    """Compare the enrolled mix with the population that the drug is meant for.

    Parameters
    ----------
    responders, patients : mapping of histology to count
    shares : mapping, optional
        Share of each histology in the target population; they add up to 1.
    incidence, alteration, treatable : mapping, optional
        Instead: new patients per year (any unit, one for all), fraction of them with the molecular alteration,
        and fraction of these who would be treated (1 where not given).
    level : float
        Coverage of the interval.

    Returns
    -------
    Representativeness

    Raises
    ------
    InputError
        ``E_WEIGHTS`` (shares that do not add up to 1, a negative or missing number, a histology that was
        enrolled and has no weight, both ways at once), ``E_RESPONDERS``, ``E_PATIENTS``.

    Notes
    -----
    Post-stratified response Σ w_k r_k / n_k (Holt D, Smith TMF. J R Stat Soc A 1979;142:33-46). Its variance
    is Σ w_k² v_k with v_k the variance of Beta(r_k + ½, n_k − r_k + ½), so that a histology where nobody or
    everybody responded does not count as known exactly; the interval is taken on the logit scale.
    """
    from scipy.special import expit, logit, ndtri

    if not 0 < level < 1:
        raise InputError("E_LEVEL", f"level={level!r} is not between 0 and 1.", "Give e.g. 0.95.")
    for code, values in (("E_RESPONDERS", responders), ("E_PATIENTS", patients)):
        if not isinstance(values, (Mapping, pd.Series)):
            raise InputError(code, f"{values!r} has no names.", "Give one number per histology by name.")
    names = [str(k) for k in dict(patients)]
    known = dict(zip(names, (patients[k] for k in dict(patients)), strict=True))
    events = {str(k): responders[k] for k in dict(responders)}
    if set(events) != set(names):
        raise InputError(
            "E_RESPONDERS",
            f"responders are of {sorted(events)!r}, patients of {sorted(names)!r}.",
            "Give both for the same histologies.",
        )
    r, n = read_responses([events[k] for k in names], [known[k] for k in names])
    target = target_mix(shares, incidence, alteration, treatable)
    absent = [k for k in names if k not in target]
    if absent:
        raise InputError(
            "E_WEIGHTS",
            f"histologies {absent!r} were enrolled and have no weight in the target population.",
            "Give their share (0 if they are not part of the target).",
        )
    missing = tuple(k for k, w in target.items() if k not in names and w > 0)
    uncovered = float(sum(target[k] for k in missing))
    w = np.array([target[k] for k in names])
    if w.sum() <= 0:
        raise InputError("E_WEIGHTS", "no enrolled histology is part of the target.", "Check the names.")
    enrolled = n / n.sum()
    covered = w / w.sum()
    a, b = r + 0.5, n - r + 0.5
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    response = float(covered @ (r / n))
    se = float(math.sqrt(covered**2 @ variance))
    inside = min(max(response, 0.5 / n.sum()), 1 - 0.5 / n.sum())
    half = float(ndtri(0.5 + level / 2)) * se / (inside * (1 - inside))
    pooled = float(r.sum() / n.sum())
    rows = []
    for k, name in enumerate(names):
        rest = np.delete(np.arange(len(names)), k)
        left = covered[rest].sum()
        without = float(covered[rest] @ (r / n)[rest] / left) if left > 0 else math.nan
        shift = without - response
        rows.append(
            {
                "histology": name,
                "n": int(n[k]),
                "responders": int(r[k]),
                "response": float(r[k] / n[k]),
                "enrolled": float(enrolled[k]),
                "target": float(w[k]),
                "weight": float(covered[k] / enrolled[k]),
                "share_responders": float(r[k] / r.sum()) if r.sum() else math.nan,
                "without": without,
                "shift": shift,
                "dominant": bool(max(enrolled[k], w[k]) > LARGE_SHARE or abs(shift) > LARGE_SHIFT),
            }
        )
    everyone = [*names, *missing]
    share = {name: float(enrolled[i]) for i, name in enumerate(names)}
    distance = 0.5 * sum(abs(share.get(k, 0.0) - target[k]) for k in everyone)
    return Representativeness(
        table=pd.DataFrame(rows),
        total_variation=float(distance),
        pooled=pooled,
        response=response,
        se=se,
        lower=float(expit(logit(inside) - half)),
        upper=float(expit(logit(inside) + half)),
        level=float(level),
        # (Σ_i u_i)² / Σ_i u_i² with u_i = w_k / n_k
        effective_n=float(1 / (covered**2 / n).sum()),
        uncovered=uncovered,
        missing=missing,
    )


def target_mix(
    shares: Mapping[str, float] | None = None,
    incidence: Mapping[str, float] | None = None,
    alteration: Mapping[str, float] | None = None,
    treatable: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """Share of each histology in the target population; arguments and errors as :func:`representativeness`."""
    if (shares is None) == (incidence is None):
        raise InputError(
            "E_WEIGHTS",
            "either shares, or incidence with alteration frequencies, are needed.",
            "Give one of the two.",
        )
    if shares is not None:
        if alteration is not None or treatable is not None:
            raise InputError("E_WEIGHTS", "shares are given: nothing multiplies them.", "Leave the rest out.")
        weights = _numbers("shares", shares)
        total = sum(weights.values())
        if abs(total - 1) > 1e-6:
            raise InputError(
                "E_WEIGHTS",
                f"the shares add up to {total:g}, not 1.",
                "Give fractions of one population (50 % is 0.5).",
            )
        return weights
    assert incidence is not None
    found = _numbers("incidence", incidence)
    for what, fractions in (("alteration", alteration), ("treatable", treatable)):
        if fractions is None:
            if what == "alteration":
                raise InputError(
                    "E_WEIGHTS",
                    "alteration frequencies are missing.",
                    "Give the fraction with the alteration.",
                )
            continue
        numbers = _numbers(what, fractions)
        if set(numbers) != set(found) or any(v > 1 for v in numbers.values()):
            raise InputError(
                "E_WEIGHTS",
                f"{what} must give a fraction from 0 to 1 for each of {sorted(found)!r}.",
                "10 % is 0.10.",
            )
        found = {k: v * numbers[k] for k, v in found.items()}
    total = sum(found.values())
    if total <= 0:
        raise InputError("E_WEIGHTS", "no histology has a patient in the target.", "Check the numbers.")
    return {k: v / total for k, v in found.items()}


def _numbers(what: str, values: Mapping[str, float] | Sequence) -> dict[str, float]:
    if not isinstance(values, Mapping) and not isinstance(values, pd.Series):
        raise InputError("E_WEIGHTS", f"{what} is {values!r}.", "Give one number per histology by name.")
    numbers = {str(k): float(values[k]) for k in dict(values)}  # type: ignore[call-overload]
    for name, value in numbers.items():
        if not (math.isfinite(value) and value >= 0):
            raise InputError("E_WEIGHTS", f"{what} of {name!r} is {value!r}.", "Give a number of 0 or more.")
    return numbers
