"""Visual predictive check of categories and counts: shares over time in the data beside those of simulations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.predictive_check import bin_edges
from pkpd.population.resampling import named_strata
from pkpd.population.result import PopulationFit
from pkpd.population.simulated_records import simulated_records
from pkpd.results import result

__all__ = ["CategoryVPC", "category_vpc"]

_MOST_GROUPS = 6  # categories that are shown one by one


@result
@dataclass(frozen=True, repr=False)
class CategoryVPC:
    """Outcome of :func:`pkpd.category_vpc`.

    Attributes
    ----------
    bands : DataFrame
        stratum, bin, n (records), x (their median), x_lower, x_upper (edges), category, observed, lower, median, upper (share of
        the records in that category).
    endpoint, x, binning : str
    stratified_by : str or None
    replicates, seed : int
    level : float
        Coverage of the bands.
    """

    bands: pd.DataFrame
    endpoint: str
    x: str
    binning: str
    stratified_by: str | None
    replicates: int
    seed: int
    level: float

    def to_frame(self) -> pd.DataFrame:
        """Return the bands."""
        return self.bands.copy()

    @property
    def outside(self) -> float:
        """Share of the observed shares that lie outside their bands."""
        b = self.bands
        return float(((b["observed"] < b["lower"]) | (b["observed"] > b["upper"])).mean())

    def __repr__(self) -> str:
        by = f", stratified by {self.stratified_by}" if self.stratified_by else ""
        head = (
            f"VPC of the categories of {self.endpoint} over {self.x}{by}: {self.replicates} simulations, seed {self.seed}; "
            f"{self.binning}; {100 * self.level:g} % bands; {100 * self.outside:.0f} % of the observed shares lie outside theirs"
        )
        return "\n".join([head, self.bands.to_string(index=False, float_format=lambda v: f"{v:.4g}")])


def category_vpc(
    fit: PopulationFit,
    categories: Sequence[float],
    n: int = 500,
    seed: int = 0,
    *,
    endpoint: str | int | None = None,
    stratify: str | None = "histology",
    x: str = "TIME",
    bins: str | Sequence[float] = "auto",
    groups: Sequence[float] | None = None,
    level: float = 0.95,
    executor: Executor | Callable[[], Executor] | None = None,
) -> CategoryVPC:
    """Compare the share of records in each category with the shares in data simulated at the estimates.

    Parameters
    ----------
    fit : PopulationFit
    categories : sequence of float
        All values that the endpoint can take, over which its probabilities add up to 1: ``[0, 1]``, ``[0, 1, 2, 3]``; of a
        count ``range(200)``.
    n : int
        Number of simulations of the data.
    seed : int
    endpoint : str or int, optional
        Name or DVID of the endpoint; may be left out where the model has one that is a likelihood and no hazard.
    stratify, x, bins, level, executor
        As in :func:`pkpd.vpc`.
    groups : sequence of float, optional
        Lowest value of each group of categories that is shown as one, ascending, the first being the lowest category:
        ``[0, 1, 5]`` shows 0, 1 to 4, and 5 or more. By default every category, or where there are more than 6 the quarters
        of the observed values.

    Returns
    -------
    CategoryVPC

    Raises
    ------
    InputError
        ``E_ARGUMENT``; ``E_STRATIFY``; ``E_CATEGORY_ENDPOINT``; ``E_SIMULATE_LIKELIHOOD`` if the probabilities of a record do
        not add up to 1, or ``categories`` lack an observed value.
    """
    fit, n, level = fitted(fit), whole("n", n, 2), probability("level", level)
    if x not in ("TIME", "TAD"):
        raise InputError("E_ARGUMENT", f"x={x!r} is unknown.", 'Use "TIME" or "TAD".')
    place = _endpoint(fit, endpoint)
    support = np.unique(np.asarray(list(categories), dtype=float))
    given = tuple(support if k == place else None for k in range(len(fit.problem.model.observations)))
    records = simulated_records(fit, n, seed, executor, categories=given)
    records = records.where(records.table["DVID"].to_numpy() == place + 1)
    if x == "TAD":
        records = records.where(records.table["TAD"].notna().to_numpy())
    name = fit.problem.model.observations[place].name
    y = records.table["DV"].to_numpy(float)
    if not len(y) or not np.isin(y, support).all():
        odd = y[~np.isin(y, support)]
        raise InputError(
            "E_SIMULATE_LIKELIHOOD",
            f"{name} was observed to be {odd[0]:g}, which is not among its categories."
            if len(odd)
            else f"{name} has no record to compare.",
            "Give all values that the endpoint can take.",
        )
    lowest = _groups(support, y, groups)
    column, strata, names = named_strata(fit.data, stratify)
    bands, rules = [], []
    for group in np.unique(strata[records.subject]):
        part = records.where(strata[records.subject] == group)
        at = part.table[x].to_numpy(float)
        edges, rule = bin_edges(at, bins)
        rules.append(rule)
        bin_of = np.clip(np.searchsorted(edges, at, side="right") - 1, 0, len(edges) - 2)
        seen, drawn = (
            np.searchsorted(lowest, v, side="right") - 1
            for v in (part.table["DV"].to_numpy(float), part.simulated)
        )
        for k in np.unique(bin_of):
            here = bin_of == k
            for c in range(len(lowest)):
                share = (drawn[:, here] == c).mean(axis=1)
                lower, median, upper = np.quantile(share, [0.5 - level / 2, 0.5, 0.5 + level / 2])
                bands.append(
                    {
                        "stratum": names[group], "bin": int(k) + 1, "n": int(here.sum()), "x": float(np.median(at[here])),
                        "x_lower": float(edges[k]), "x_upper": float(edges[k + 1]), "category": _label(lowest, support, c),
                        "observed": float((seen[here] == c).mean()), "lower": lower, "median": median, "upper": upper,
                    }
                )  # fmt: skip
    return CategoryVPC(
        bands=pd.DataFrame(bands),
        endpoint=name,
        x=x,
        binning="; ".join(dict.fromkeys(rules)),
        stratified_by=column,
        replicates=n,
        seed=seed,
        level=level,
    )


def _endpoint(fit: PopulationFit, endpoint: str | int | None) -> int:
    observations = fit.problem.model.observations
    able = [k for k, o in enumerate(observations) if o.likelihood and o.cumulative is None]
    if endpoint is None and len(able) == 1:
        return able[0]
    for k in able:
        if endpoint in (k + 1, observations[k].name):
            return k
    shown = ", ".join(f"{observations[k].name} (DVID {k + 1})" for k in able) or "none"
    raise InputError(
        "E_CATEGORY_ENDPOINT",
        f"endpoint={endpoint!r} is no likelihood of categories or counts.",
        f"There are: {shown}; for a hazard use pkpd.event_vpc, for measured values pkpd.vpc.",
    )


def _groups(support: np.ndarray, y: np.ndarray, given: Sequence[float] | None) -> np.ndarray:
    """Lowest value of each group of categories."""
    if given is None:
        if len(support) <= _MOST_GROUPS:
            return support
        quarters = np.quantile(y, [0.25, 0.5, 0.75], method="higher")
        return np.unique(np.concatenate([support[:1], quarters]))
    lowest = np.asarray(list(given), dtype=float)
    if (
        not len(lowest)
        or lowest[0] != support[0]
        or not np.all(np.diff(lowest) > 0)
        or lowest[-1] > support[-1]
    ):
        raise InputError(
            "E_ARGUMENT",
            f"groups={given!r} do not cut the categories.",
            f"Give ascending numbers from {support[0]:g} on.",
        )
    return lowest


def _label(lowest: np.ndarray, support: np.ndarray, c: int) -> str:
    """``3``, ``1-4``, or ``5+`` where the last group holds several."""
    upper = lowest[c + 1] if c + 1 < len(lowest) else np.inf
    members = support[(support >= lowest[c]) & (support < upper)]
    if len(members) == 1:
        return f"{members[0]:g}"
    return f"{members[0]:g}+" if c + 1 == len(lowest) else f"{members[0]:g}-{members[-1]:g}"
