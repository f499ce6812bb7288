"""Non-compartmental analysis of a data set: one row per profile and parameter, and a summary per histology."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import InputError
from pkpd.noncompartmental.areas import RULES
from pkpd.noncompartmental.parameters import MEASURES, Settings, Value, profile_parameters
from pkpd.noncompartmental.profiles import BLQ_RULES, Profile, profiles_of
from pkpd.results import result

__all__ = ["Noncompartmental", "nca"]

_ROUTES = ("extravascular", "bolus", "infusion")


@result
@dataclass(frozen=True, repr=False)
class Noncompartmental:
    """Parameters of all profiles.

    Attributes
    ----------
    table : DataFrame
        One row per profile and parameter: ID, histology (if the data have one), dose_number, dose_time, route, parameter
        (CDISC code), value, unit, excluded (bool) and reason: a value with a reason is not in the summary; NaN has one, too.
    skipped : DataFrame
        Doses after which nothing could be computed: ID, dose_number, dose_time, reason.
    rules : dict of str to str
        What was done: trapezoids, values below the limit, λz, limits of exclusion.
    """

    table: pd.DataFrame
    skipped: pd.DataFrame
    rules: dict[str, str]

    def wide(self) -> pd.DataFrame:
        """One row per profile, one column per parameter; excluded values are NaN."""
        kept = self.table.assign(value=self.table["value"].where(~self.table["excluded"]))
        keys = [c for c in ("ID", "histology", "dose_number") if c in kept]
        rows = [
            dict(zip(keys, key, strict=True)) | dict(zip(own["parameter"], own["value"], strict=True))
            for key, own in kept.groupby(keys, sort=False)
        ]
        return pd.DataFrame(rows)

    def summary(self) -> pd.DataFrame:
        """Summary per histology (or of all), dose number and parameter.

        Returns
        -------
        DataFrame
            n (used), n_excluded, mean, sd, cv_percent, median, minimum, maximum, geometric_mean, geometric_cv_percent
            (100·√(exp(s²) - 1), s the SD of the logarithms; NaN where a value is not positive).
        """
        by = ["histology"] if "histology" in self.table else []
        rows = []
        for key, group in self.table.groupby([*by, "dose_number", "parameter"], sort=False):
            x = group["value"][~group["excluded"]].to_numpy(dtype=float)
            rows.append(
                dict(zip([*by, "dose_number", "parameter"], key, strict=True)) | _described(x, len(group))
            )
        return pd.DataFrame(rows)

    def __repr__(self) -> str:
        profiles = self.table.groupby(["ID", "dose_number"]).ngroups if len(self.table) else 0
        text = f"Non-compartmental analysis of {profiles} profile(s), {len(self.skipped)} skipped"
        return text + "".join(f"\n  {name}: {what}" for name, what in self.rules.items())


def _described(x: np.ndarray, total: int) -> dict[str, float]:
    n = len(x)
    mean = float(x.mean()) if n else math.nan
    sd = float(x.std(ddof=1)) if n > 1 else math.nan
    logs = np.log(x) if n and (x > 0).all() else np.full(max(n, 1), math.nan)
    spread = float(logs.std(ddof=1)) if n > 1 else math.nan
    return {
        "n": n,
        "n_excluded": total - n,
        "mean": mean,
        "sd": sd,
        "cv_percent": 100 * sd / mean if mean else math.nan,
        "median": float(np.median(x)) if n else math.nan,
        "minimum": float(x.min()) if n else math.nan,
        "maximum": float(x.max()) if n else math.nan,
        "geometric_mean": float(np.exp(logs.mean())),
        "geometric_cv_percent": 100 * math.sqrt(math.expm1(spread**2)) if spread == spread else math.nan,
    }


def nca(
    data: Dataset,
    *,
    route: str | Mapping[Any, str],
    endpoint: int | str = 1,
    trapezoids: str = "linear-up log-down",
    blq: str = "leading zero",
    with_peak: bool | None = None,
    intervals: Sequence[tuple[float, float]] = (),
    tau: float | None = None,
    steady_state: bool = False,
    most_extrapolated: float = 20.0,
    least_r2_adjusted: float = 0.80,
) -> Noncompartmental:
    """Non-compartmental analysis.

    Each dose begins a profile that ends at the next one. Clearance, volumes and areas to infinity come from the first
    dose, and from the first one after a reset, as in the second period of a crossover trial (CLFO, VZFO, AUCIFO …); from a
    dose at steady state (SS in the data, or ``steady_state``) come those of the dosing interval (AUCTAU, CLFTAU …); later
    doses on the way there give what needs neither.

    Parameters
    ----------
    data : Dataset
    route : str or mapping
        Of doses without RATE: ``"extravascular"`` or ``"bolus"``; by compartment (CMT) if they differ. Doses with RATE are
        infusions.
    endpoint : int or str
        DVID, as the data have it: a number or a name.
    trapezoids : str
        ``"linear-up log-down"`` (logarithmic wherever the concentration falls) or ``"linear"``.
    blq : str
        What values below the limit of quantification (CENS 1, or DV 0) become: ``"leading zero"``, ``"zero"``, ``"drop"``,
        ``"half"``.
    with_peak : bool, optional
        Whether Cmax may be in the regression for λz; by default after a bolus only, as in Phoenix WinNonlin.
    intervals : sequence of (start, end)
        Areas AUCINT(start,end), in time after the dose.
    tau : float, optional
        Dosing interval; by default the time to the next dose, or II.
    steady_state : bool
        Every dose but the first is at steady state.
    most_extrapolated : float
        Percentage of AUC to infinity beyond which what rests on it is excluded.
    least_r2_adjusted : float
        Adjusted R² of λz below which it is excluded.

    Returns
    -------
    Noncompartmental

    Raises
    ------
    InputError
        ``E_NCA`` for options that make no sense, ``E_NCA_ROUTE`` for a dose whose route is not given, ``E_NCA_NOTHING``
        if no profile has three quantifiable concentrations.

    Notes
    -----
    C0 after a bolus: the log-linear continuation of the first two concentrations to the dose, or the first of them if they
    do not fall. A profile after any other first dose begins at 0, one at steady state at the smallest concentration of its
    dosing interval, unless one was taken at the time of the dose. λz: :func:`pkpd.noncompartmental.terminal.terminal_slope`.
    """
    if not isinstance(data, Dataset):
        raise InputError(
            "E_ARGUMENT", f"expected a Dataset, got {type(data).__name__}.", "Use pkpd.read_dataset(…)."
        )
    settings = _settings(
        trapezoids, blq, with_peak, intervals, tau, steady_state, most_extrapolated, least_r2_adjusted
    )
    known = list(dict.fromkeys(data.frame.loc[data.frame["EVID"] == 0, "DVID"]))
    if endpoint not in known:
        raise InputError(
            "E_NCA",
            f"endpoint={endpoint!r} has no record.",
            f"DVID of the data: {', '.join(map(str, known))}.",
        )
    histology = data.subject_table()[data.histology].to_dict() if data.histology else None
    tables, skipped = [], []
    first: dict[Any, dict[str, Value]] = {}
    units = _units(data)
    for profile in profiles_of(data, endpoint):
        own = _route(profile, route)
        values = {"CMAX": Value(math.nan, profile.reason)} if profile.reason else None
        values = values or profile_parameters(profile, own, settings)
        about = {"ID": profile.subject, "dose_number": profile.number, "dose_time": profile.dose_time}
        if len(values) == 1:
            skipped.append({**about, "reason": values["CMAX"].reason})
            continue
        if profile.first:
            first[profile.subject] = values
        else:
            _accumulation(values, first.get(profile.subject, {}))
        for name in sorted(values, key=lambda n: list(MEASURES).index(n) if n in MEASURES else len(MEASURES)):
            value = values[name]
            row = {"ID": profile.subject} | ({"histology": histology[profile.subject]} if histology else {})
            row |= {**about, "route": own, "parameter": name, "value": value.number}
            row |= {
                "unit": units.get(MEASURES.get(name, "C·T"), ""),
                "excluded": bool(value.reason),
                "reason": value.reason,
            }
            tables.append(row)
    if not tables:
        raise InputError(
            "E_NCA_NOTHING",
            f"no profile of {data.source} (DVID {endpoint}) can be analysed: "
            + ("; ".join(dict.fromkeys(s["reason"] for s in skipped)) or "there are no doses")
            + ".",
            "Non-compartmental analysis needs rich profiles: at least three quantifiable concentrations after a dose.",
        )
    rules = {
        "trapezoids": trapezoids,
        "below the limit": f"{blq} ({BLQ_RULES[blq]})",
        "λz": "largest adjusted R² of three or more last points, "
        + {
            None: "Cmax among them after a bolus only",
            True: "Cmax may be among them",
            False: "Cmax not among them",
        }[with_peak],
        "excluded": f"more than {most_extrapolated:g} % extrapolated; adjusted R² below {least_r2_adjusted:g}",
    }
    return Noncompartmental(
        pd.DataFrame(tables),
        pd.DataFrame(skipped, columns=["ID", "dose_number", "dose_time", "reason"]),
        rules,
    )


def _settings(
    rule: str, blq: str, with_peak: Any, intervals: Any, tau: Any, steady: Any, extrapolated: Any, r2: Any
) -> Settings:
    def refuse(what: str, remedy: str) -> InputError:
        return InputError("E_NCA", what, remedy)

    if rule not in RULES:
        raise refuse(f"trapezoids={rule!r}.", f"Known: {', '.join(RULES)}.")
    if blq not in BLQ_RULES:
        raise refuse(f"blq={blq!r}.", f"Known: {'; '.join(f'{k}: {v}' for k, v in BLQ_RULES.items())}.")
    if with_peak not in (None, True, False) or steady not in (True, False):
        raise refuse("with_peak and steady_state are true or false.", "Give True or False.")
    try:
        pairs = tuple((float(a), float(b)) for a, b in intervals)
        interval = None if tau is None else float(tau)
        limits = float(extrapolated), float(r2)
    except (TypeError, ValueError):
        raise refuse("intervals, tau and limits are numbers.", "E.g. intervals=[(0, 24)].") from None
    if any(not 0 <= a < b < math.inf for a, b in pairs) or not (interval is None or 0 < interval < math.inf):
        raise refuse(
            f"intervals {pairs} or tau {tau!r} do not go forward from 0.", "E.g. intervals=[(0, 24)]."
        )
    if not 0 <= limits[0] <= 100 or not limits[1] <= 1:
        raise refuse(
            f"most_extrapolated={extrapolated!r}, least_r2_adjusted={r2!r}.",
            "0 to 100 (a percentage), and up to 1.",
        )
    return Settings(rule, blq, with_peak, pairs, interval, bool(steady), *limits)


def _route(profile: Profile, route: str | Mapping[Any, str]) -> str:
    if profile.duration > 0:
        return "infusion"
    given = route.get(profile.compartment) if isinstance(route, Mapping) else route
    if given not in _ROUTES or given == "infusion":
        raise InputError(
            "E_NCA_ROUTE",
            f"ID {profile.subject}, dose {profile.number}: the route of a dose without RATE into compartment "
            f"{profile.compartment} is {given!r}.",
            'Give route="extravascular" or "bolus", or one by compartment; an infusion has RATE in the data.',
        )
    return str(given)


def _accumulation(values: dict[str, Value], first: dict[str, Value]) -> None:
    """Ratios to the first dose of the subject, where both have a dosing interval."""
    for name, of in (("ARAUC", "AUCTAU"), ("ARCMAX", "CMAX")):
        if "CMIN" in values and of in values and of in first:
            now, then = values[of], first[of]
            values[name] = Value(now.number / then.number, now.reason or then.reason)


def _units(data: Dataset) -> dict[str, str]:
    """Unit of each kind of parameter from those of DV, TIME and AMT; empty where one is not declared."""
    c, t, d = (data.units.get(name, "") for name in ("DV", "TIME", "AMT"))
    volume = c.split("/", 1)[1] if "/" in c and c.split("/", 1)[0] == d else f"{d}/({c})"
    known = {"": "", "%": "%"}
    if t:
        known |= {"T": t, "1/T": f"1/{t}"}
    if c:
        known["C"] = c
    if c and t:
        known |= {"C·T": f"{c}·{t}", "C·T·T": f"{c}·{t}²"}
    if c and d:
        known |= {"D/C": volume, "C/D": f"1/{volume}" if "(" not in volume else f"{c}/{d}"}
    if c and t and d:
        known |= {
            "D/(C·T)": f"{volume}/{t}",
            "C·T/D": f"{t}/{volume}" if "(" not in volume else f"{c}·{t}/{d}",
        }
    return known
