"""Visual predictive checks: quantiles of the observations beside those of simulations, in bins of time.

Holford N. PAGE 14 (2005) Abstr 738; Karlsson MO, Holford N. PAGE 17 (2008) Abstr 1434. Prediction correction: Bergstrand M,
Hooker AC, Wallin JE, Karlsson MO. AAPS J 2011;13:143-151. Values below the limit of quantification: Bergstrand M,
Karlsson MO. AAPS J 2009;11:371-380.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
import pandas as pd

from pkpd.errors import InputError, PkpdWarning
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.resampling import named_strata
from pkpd.population.result import PopulationFit
from pkpd.population.simulated_records import SimulatedRecords, simulated_records
from pkpd.results import result

__all__ = ["VPC", "bin_edges", "vpc"]

_MOST_BINS, _FEWEST = 10, 10  # bins by quantiles: at most so many, with about so many records each or more


@result
@dataclass(frozen=True, repr=False)
class VPC:
    """Outcome of :func:`pkpd.vpc`.

    Attributes
    ----------
    bands : DataFrame
        stratum, bin, n (records), x (their median), x_lower, x_upper (edges), quantile, observed, lower, median, upper (of that
        quantile over the simulations). A quantile that lies below the limit of quantification is NaN.
    censored : DataFrame
        stratum, bin, n, x, observed, lower, median, upper: share of values below the limit; empty where no limit is known.
    points : DataFrame
        stratum, x, y: the observations as they are compared (prediction-corrected where asked for); censored ones NaN.
    x : str
        ``"TIME"`` or ``"TAD"``.
    binning : str
        The rule, and the number of bins.
    prediction_corrected : bool
    stratified_by : str or None
    replicates, seed : int
    level : float
        Coverage of the bands.
    excluded : int
        Records that could not be prediction-corrected.
    units : dict
        Of TIME and DV, where the data declare them.
    """

    bands: pd.DataFrame
    censored: pd.DataFrame
    points: pd.DataFrame
    x: str
    binning: str
    prediction_corrected: bool
    stratified_by: str | None
    replicates: int
    seed: int
    level: float
    excluded: int = 0
    units: dict = field(default_factory=dict)

    def to_frame(self) -> pd.DataFrame:
        """Return the bands."""
        return self.bands.copy()

    @property
    def outside(self) -> float:
        """Share of the observed quantiles that lie outside their bands."""
        seen = self.bands.dropna(subset=["observed", "lower", "upper"])
        return float(((seen["observed"] < seen["lower"]) | (seen["observed"] > seen["upper"])).mean())

    def __repr__(self) -> str:
        kind = "Prediction-corrected VPC" if self.prediction_corrected else "VPC"
        by = f", stratified by {self.stratified_by}" if self.stratified_by else ""
        head = (
            f"{kind} over {self.x}{by}: {self.replicates} simulations, seed {self.seed}; {self.binning}; "
            f"{100 * self.level:g} % bands; {100 * self.outside:.0f} % of the observed quantiles lie outside theirs"
        )
        return "\n".join([head, self.bands.to_string(index=False, float_format=lambda v: f"{v:.4g}")])


def vpc(
    fit: PopulationFit,
    n: int = 500,
    seed: int = 0,
    *,
    stratify: str | None = "histology",
    x: str = "TIME",
    bins: str | Sequence[float] = "auto",
    quantiles: Sequence[float] = (0.05, 0.5, 0.95),
    level: float = 0.95,
    prediction_corrected: bool = False,
    lower_bound: float = 0.0,
    endpoint: int | str = 1,
    executor: Executor | Callable[[], Executor] | None = None,
) -> VPC:
    """Compare quantiles of the observations with those of data simulated at the estimates.

    Parameters
    ----------
    fit : PopulationFit
    n : int
        Number of simulations of the data.
    seed : int
    stratify : str or None
        Column whose groups are compared each by itself; the data's histology by default, where they have one.
    x : {"TIME", "TAD"}
        Time, or time after the last dose; records before a first dose have none, and are left out.
    bins : {"auto", "unique", "quantiles"} or sequence of float
        ``"unique"``: one bin per distinct time; ``"quantiles"``: 2 to 10 bins of about equal numbers of records, about 10 or
        more; ``"auto"``: the first where there are at most 10 distinct times in the stratum, else the second; or the edges
        themselves, ascending.
    quantiles : sequence of float
    level : float
        Coverage of the bands.
    prediction_corrected : bool
        Scale each value by (typical prediction in the bin)/(typical prediction of its record), observed and simulated alike:
        doses and covariates that differ within a bin then do not widen it (2011, equation 1). Records whose prediction is at
        or below ``lower_bound`` cannot be corrected, and are left out with a warning.
    lower_bound : float
        Of the values, in that correction.
    endpoint : int or str
        DVID of the observations, or the name that the model gives them.
    executor : optional
        See :func:`pkpd.bootstrap`.

    Returns
    -------
    VPC

    Raises
    ------
    InputError
        ``E_ARGUMENT``; ``E_STRATIFY``; ``E_VPC_EMPTY`` if the endpoint has no measured value (for likelihoods there are
        :func:`pkpd.category_vpc` and :func:`pkpd.event_vpc`); ``E_SIMULATED_ENDPOINT``; ``E_RIGHT_CENSORED``.
    """
    fit, n, level = fitted(fit), whole("n", n, 2), probability("level", level)
    levels = _checked(x, quantiles)
    if not isinstance(lower_bound, Real) or (lower_bound != 0 and not prediction_corrected):
        raise InputError(
            "E_ARGUMENT",
            f"lower_bound={lower_bound!r} is not a number, or has no effect without prediction_corrected=True.",
            "Leave it out, or give both.",
        )
    records = simulated_records(fit, n, seed, executor)
    number = {o.name: k for k, o in enumerate(fit.model.observations, 1)}.get(str(endpoint), endpoint)
    records = records.where(records.table["DVID"].to_numpy() == number)
    if x == "TAD":
        records = records.where(records.table["TAD"].notna().to_numpy())
    if records.table.empty:
        raise InputError(
            "E_VPC_EMPTY",
            f"there is no measured value of endpoint {endpoint!r} to compare.",
            "Check endpoint= and x=; for a likelihood or hazard use pkpd.category_vpc or pkpd.event_vpc.",
        )
    column, groups, names = named_strata(fit.data, stratify)
    bands, shares, points, rules, excluded = [], [], [], [], 0
    for group in np.unique(groups[records.subject]):
        part = records.where(groups[records.subject] == group)
        at = part.table[x].to_numpy(float)
        edges, rule = bin_edges(at, bins)
        place = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
        if prediction_corrected:
            part, kept = _corrected(part, place, lower_bound)
            at, place = at[kept], place[kept]
            excluded += int(np.sum(~kept))
        rules.append(rule)
        for k in np.unique(place):
            here = place == k
            about = {
                "stratum": names[group], "bin": int(k) + 1, "n": int(here.sum()), "x": float(np.median(at[here])),
                "x_lower": float(edges[k]), "x_upper": float(edges[k + 1]),
            }  # fmt: skip
            inside = part.where(here)
            bands += [{**about, **row} for row in _compared(inside, levels, level)]
            share = _share(inside, level)
            if share:
                shares.append({**about, **share})
        shown = np.where(part.below, np.nan, part.table["DV"].to_numpy(float))
        points.append(pd.DataFrame({"stratum": names[group], "x": at, "y": shown}))
    if excluded:
        warnings.warn(
            f"W_VPC_EXCLUDED: {excluded} records whose typical prediction is at or below {lower_bound:g} cannot be "
            "prediction-corrected and are left out.",
            PkpdWarning,
            stacklevel=2,
        )
    return VPC(
        bands=pd.DataFrame(bands),
        censored=pd.DataFrame(shares),
        points=pd.concat(points, ignore_index=True),
        x=x,
        binning="; ".join(dict.fromkeys(rules)),
        prediction_corrected=prediction_corrected,
        stratified_by=column,
        replicates=n,
        seed=seed,
        level=level,
        excluded=excluded,
        units={name: unit for name, unit in fit.data.units.items() if name in ("TIME", "DV")},
    )


def _checked(x: str, quantiles: Sequence[float]) -> list[float]:
    if isinstance(quantiles, str) or not np.iterable(quantiles) or not len(quantiles):
        raise InputError("E_ARGUMENT", f"quantiles={quantiles!r}.", "Give a list of numbers between 0 and 1.")
    wanted = [probability("quantiles", q) for q in quantiles]
    if x not in ("TIME", "TAD"):
        raise InputError("E_ARGUMENT", f"x={x!r} is unknown.", 'Use "TIME" or "TAD".')
    return sorted(wanted)


def bin_edges(at: np.ndarray, bins: str | Sequence[float]) -> tuple[np.ndarray, str]:
    """Edges of the bins, (bins + 1,), and the rule in words; a bin holds its lower edge."""
    distinct = np.unique(at)
    if not isinstance(bins, str):
        try:
            edges = np.asarray(bins, dtype=float)
        except (TypeError, ValueError):
            edges = np.zeros(0)
        if edges.ndim != 1 or len(edges) < 2 or not np.all(np.diff(edges) > 0):
            raise InputError("E_ARGUMENT", f"bins={bins!r} are not edges.", "Give ascending numbers.")
        if distinct[0] < edges[0] or distinct[-1] > edges[-1]:
            raise InputError(
                "E_ARGUMENT",
                f"the bins span {edges[0]:g} to {edges[-1]:g}, the observations {distinct[0]:g} to {distinct[-1]:g}.",
                "Give edges that hold all observations.",
            )
        return edges, f"{len(edges) - 1} given bins"
    if bins not in ("auto", "unique", "quantiles"):
        raise InputError(
            "E_ARGUMENT", f"bins={bins!r} is unknown.", 'Use "auto", "unique", "quantiles" or edges.'
        )
    if bins == "unique" or (bins == "auto" and len(distinct) <= _MOST_BINS):
        middles = 0.5 * (distinct[1:] + distinct[:-1])
        edges = np.concatenate([[distinct[0]], middles, [distinct[-1]]])
        if len(distinct) == 1:
            edges = np.array([distinct[0], distinct[0] + 1.0])
        return edges, "one bin per distinct time"
    count = int(min(max(len(at) // _FEWEST, 2), _MOST_BINS))
    edges = np.unique(np.quantile(at, np.linspace(0, 1, count + 1), method="closest_observation"))
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + 1.0])
    return edges, f"{len(edges) - 1} bins by quantiles"


def _corrected(
    part: SimulatedRecords, place: np.ndarray, lower_bound: float
) -> tuple[SimulatedRecords, np.ndarray]:
    """Prediction-corrected records, and which could be corrected."""
    pred = part.table["PRED"].to_numpy(float)
    kept = pred > lower_bound
    factor = np.full(len(pred), np.nan)
    for k in np.unique(place[kept]):
        here = kept & (place == k)
        factor[here] = (np.median(pred[here]) - lower_bound) / (pred[here] - lower_bound)
    part, factor = part.where(kept), factor[kept]

    def scaled(values: np.ndarray) -> np.ndarray:
        return lower_bound + (values - lower_bound) * factor

    # whether a simulated value is below its limit is settled before both are scaled
    return replace(
        part,
        table=part.table.assign(DV=scaled(part.table["DV"].to_numpy(float))),
        limit=scaled(part.limit),
        simulated=scaled(part.simulated),
    ), kept


def _hidden(inside: SimulatedRecords) -> np.ndarray:
    """Which simulated values lie below their record's limit, (K, R)."""
    with np.errstate(invalid="ignore"):
        return inside.simulated < inside.limit


def _compared(inside: SimulatedRecords, quantiles: list[float], level: float) -> list[dict[str, float]]:
    """Observed quantiles of one bin, and their bands; hidden values are the lowest."""
    observed = np.where(inside.below, -np.inf, inside.table["DV"].to_numpy(float))[None, :]
    simulated = (
        np.where(_hidden(inside), -np.inf, inside.simulated) if inside.below.any() else inside.simulated
    )
    rows = []
    for q in quantiles:
        over = ordered_quantile(np.sort(ordered_quantile(simulated, q))[None, :], np.array(_tails(level)))
        rows.append(
            {
                "quantile": q,
                "observed": _seen(ordered_quantile(observed, q)[0]),
                "lower": _seen(over[0]),
                "median": _seen(over[1]),
                "upper": _seen(over[2]),
            }
        )
    return rows


def _share(inside: SimulatedRecords, level: float) -> dict[str, float]:
    """Share of values below the limit in one bin; empty where no limit is known."""
    known = np.isfinite(inside.limit)
    if not known.any():
        return {}
    shares = _hidden(inside)[:, known].mean(axis=1)
    lower, median, upper = np.quantile(shares, _tails(level))
    return {
        "n": int(known.sum()),
        "observed": float(inside.below[known].mean()),
        "lower": float(lower),
        "median": float(median),
        "upper": float(upper),
    }


def _tails(level: float) -> list[float]:
    return [0.5 - level / 2, 0.5, 0.5 + level / 2]


def _seen(value: float) -> float:
    return float(value) if math.isfinite(value) else math.nan


def ordered_quantile(values: np.ndarray, q: float | np.ndarray) -> np.ndarray:
    """Quantiles of each row by linear interpolation, where -inf stands for values too low to be known.

    Parameters
    ----------
    values : (K, R) array
    q : float or (Q,) array
        With an array there must be one row.

    Returns
    -------
    (K,) or (Q,) array
        -inf where the quantile leans on a value that is not known.
    """
    ordered = np.sort(values, axis=1)
    at = (ordered.shape[1] - 1) * np.atleast_1d(np.asarray(q, dtype=float))
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, ordered.shape[1] - 1)
    if np.ndim(q):
        below, above, part = ordered[0, low], ordered[0, high], at - low
    else:
        below, above, part = ordered[:, low[0]], ordered[:, high[0]], at[0] - low[0]
    known = np.isfinite(below)
    out = np.full(below.shape, -np.inf)
    part = np.broadcast_to(part, below.shape)
    out[known] = below[known] + part[known] * (above[known] - below[known])
    return out
