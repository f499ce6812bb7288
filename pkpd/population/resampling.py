"""Case bootstrap: subjects drawn with replacement within strata, the model fitted to each draw."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError, PkpdWarning
from pkpd.language import Model
from pkpd.parallel import Failure, checked_seed, run, stream
from pkpd.population.arguments import fitted, probability, whole
from pkpd.population.fit import fit as refit
from pkpd.population.result import PopulationFit
from pkpd.results import estimates_table, result
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["Bootstrap", "bootstrap"]

# Keep these random numbers apart from those of other tasks with the same seed.
_DRAWS, _ROWS, _REFITS = 0x424F, 0x4252, 0x4253


@result
@dataclass(frozen=True, repr=False)
class Bootstrap:
    """Outcome of :func:`pkpd.bootstrap`.

    Attributes
    ----------
    table : DataFrame
        In the one schema: the original estimates, standard deviation of the replicates, percentile interval.
    replicates : DataFrame
        Estimates by replicate (index) and parameter; a factor level that a draw lacks is NaN.
    runs : DataFrame
        Per replicate: ofv, minimization_successful, termination_cause.
    failures : DataFrame
        replicate, reason: those that gave no estimates.
    requested : int
        Number of replicates asked for.
    stratified_by : str or None
    seed : int
    level : float
        Coverage of the interval.
    """

    table: pd.DataFrame
    replicates: pd.DataFrame
    runs: pd.DataFrame
    failures: pd.DataFrame
    requested: int
    stratified_by: str | None
    seed: int
    level: float

    @property
    def bias(self) -> pd.Series:
        """Mean of the replicates less the estimate."""
        return self.replicates.mean() - self.table["estimate"]

    @property
    def covariance_matrix(self) -> pd.DataFrame:
        """Covariance of the replicates."""
        return self.replicates.cov()

    def to_frame(self) -> pd.DataFrame:
        """Return the table."""
        return self.table.copy()

    def draw(self, n: int, seed: int) -> pd.DataFrame:
        """Draw replicates with replacement; see :class:`pkpd.distributions.ParameterDistribution`.

        Raises
        ------
        FitError
            ``E_BOOTSTRAP_INCOMPLETE`` if a replicate lacks a parameter.
        """
        lacking = self.replicates.columns[self.replicates.isna().any()]
        if len(lacking):
            raise FitError(
                "E_BOOTSTRAP_INCOMPLETE",
                f"some replicates have no {', '.join(lacking)}: the level was not drawn.",
                "Stratify the bootstrap by that factor.",
            )
        rows = stream(seed, _ROWS).integers(len(self.replicates), size=whole("n", n))
        return self.replicates.iloc[rows].reset_index(drop=True).rename_axis("draw")

    def __repr__(self) -> str:
        within = f", subjects drawn within {self.stratified_by}" if self.stratified_by else ""
        lines = [
            f"Bootstrap: {len(self.replicates)} of {self.requested} replicates{within}, seed {self.seed}; "
            f"{int((~self.runs['minimization_successful']).sum())} of them did not converge and count",
            self.table.to_string(float_format=lambda v: f"{v:.4g}"),
        ]
        if len(self.failures):
            first = self.failures.iloc[0]
            lines.append(
                f"{len(self.failures)} replicates failed, e.g. {first['replicate']}: {first['reason']}"
            )
        return "\n".join(lines)


def bootstrap(
    fit: PopulationFit,
    n: int = 200,
    seed: int = 0,
    *,
    stratify: str | None = "histology",
    level: float = 0.95,
    executor: Executor | Callable[[], Executor] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> Bootstrap:
    """Bootstrap a population fit by drawing subjects (case bootstrap).

    Parameters
    ----------
    fit : PopulationFit
        Its estimates are where each replicate starts, its method, without covariance step, what fits it.
    n : int
        Number of replicates.
    seed : int
        Draws, and the random numbers of refits by SAEM or IMP, are keyed by seed and replicate: they do not depend on ``n`` or
        the executor.
    stratify : str or None
        Column whose groups keep their number of subjects; the data's histology by default, where they have one. None: no strata.
    level : float
        Coverage of the percentile interval.
    executor : Executor or callable, optional
        See :func:`pkpd.parallel.run`; here and in order by default.
    store : Store or path, optional
        Where finished replicates are kept and looked for: a run that was interrupted goes on, to the same bits.

    Returns
    -------
    Bootstrap
        Replicates that did not converge count (leaving them out would narrow the intervals); those that failed are listed.

    Raises
    ------
    InputError
        ``E_ARGUMENT``, or ``E_STRATIFY`` for a column that is not there.
    FitError
        ``E_BOOTSTRAP`` if fewer than two replicates gave estimates.

    Notes
    -----
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap. 1993, section 13.3 (percentile interval).
    """
    n, seed, level = whole("n", n, 2), checked_seed(seed), probability("level", level)
    data = fitted(fit).data
    column = data.histology if stratify == "histology" and stratify not in data.frame.columns else stratify
    strata = subject_strata(data, column)
    task = functools.partial(
        _replicate, model=fit.model, data=data, method=bare(fit.method), start=fit.parameter_estimates,
        strata=strata, seed=seed,
    )  # fmt: skip
    base = ("bootstrap", fit.model, data, bare(fit.method), fit.parameter_estimates, strata, seed)
    kept = open_store(store)
    keys = [fingerprint(*base, k) for k in range(n)] if kept is not None else []
    known, keep = remembered(kept, keys)
    out = run(task, range(n), executor=executor, label="bootstrap", known=known, keep=keep)
    got = [k for k, v in enumerate(out.values) if v is not None]
    if len(got) < 2:
        raise FitError(
            "E_BOOTSTRAP",
            f"{len(got)} of {n} replicates gave estimates"
            + (f"; the first failed: {out.failures[0].reason}" if out.failures else "."),
            "Check the model and the data.",
        )
    warn_failures("bootstrap", out.failures, n, interrupted=out.interrupted)
    index = pd.Index(got, name="replicate")
    names = list(fit.parameters.index)
    replicates = pd.DataFrame([out.values[k]["estimates"] for k in got], index=index).reindex(columns=names)
    runs = pd.DataFrame(
        {c: [out.values[k][c] for k in got] for c in ("ofv", "minimization_successful", "termination_cause")},
        index=index,
    )
    return Bootstrap(
        table=percentile_table(fit, replicates, level),
        replicates=replicates,
        runs=runs,
        failures=pd.DataFrame(
            {"replicate": [f.task for f in out.failures], "reason": [f.reason for f in out.failures]}
        ),
        requested=n,
        stratified_by=column,
        seed=seed,
        level=level,
    )


def percentile_table(fit: PopulationFit, vectors: pd.DataFrame, level: float) -> pd.DataFrame:
    """Estimates of a fit, with the standard deviation and the central interval of parameter vectors around them."""
    given = fit.parameters
    free = ~given["fixed"].astype(bool)
    se = vectors.std(ddof=1).where(free)
    columns = {name: dict(given[name]) for name in ("unit", "scale", "fixed")}
    table = estimates_table(
        given["estimate"], se, units=columns["unit"], scales=columns["scale"], fixed=columns["fixed"]
    )
    for side, q in (("lower", 0.5 - level / 2), ("upper", 0.5 + level / 2)):
        table[side] = vectors.quantile(q).where(free)
    return table


def subject_strata(data: Dataset, column: str | None) -> np.ndarray:
    """Number of each subject's group, (N,), in order of appearance; all zero without a column."""
    if column is None:
        return np.zeros(data.n_subjects, dtype=np.int64)
    table = data.subject_table()
    if column not in table.columns:
        raise InputError(
            "E_STRATIFY",
            f"{data.source} has no covariate {column!r} to stratify by.",
            f"It has: {', '.join(map(str, table.columns))}.",
        )
    # a missing value is a group of its own
    return pd.factorize(table[column], use_na_sentinel=False)[0].astype(np.int64)


def named_strata(data: Dataset, stratify: str | None) -> tuple[str | None, np.ndarray, dict[int, str]]:
    """Column to stratify by (``"histology"`` is that of the data, where they have one), group of each subject, labels."""
    column = data.histology if stratify == "histology" and stratify not in data.frame.columns else stratify
    groups = subject_strata(data, column)
    return column, groups, {0: "all"} if column is None else strata_names(data, column, groups)


def strata_names(data: Dataset, column: str, strata: np.ndarray) -> dict[int, str]:
    """Label of each group."""
    labels = data.subject_table()[column].tolist()
    return {int(g): str(labels[int(np.flatnonzero(strata == g)[0])]) for g in np.unique(strata)}


def drawn_subjects(strata: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw places of subjects with replacement, as many from each group as it has, (N,)."""
    chosen = np.arange(len(strata))
    for group in range(int(strata.max(initial=0)) + 1):
        members = np.flatnonzero(strata == group)
        chosen[members] = members[random.integers(len(members), size=len(members))]
    return chosen


def warn_failures(what: str, failures: tuple[Failure, ...], n: int, *, interrupted: bool) -> None:
    """Say what a reader of a result must know about tasks that gave nothing."""
    if interrupted:
        text = f"W_INTERRUPTED: {what} was interrupted; {n - len(failures)} of {n} replicates are there."
    elif failures:
        first = failures[0]
        text = f"W_REPLICATES_FAILED: {len(failures)} of {n} {what} replicates failed, e.g. {first.task}: {first.reason}"
    else:
        return
    warnings.warn(text, PkpdWarning, stacklevel=3)


def _replicate(
    k: int, *, model: Model, data: Dataset, method: Any, start: pd.Series, strata: np.ndarray, seed: int
) -> dict[str, Any]:
    chosen = drawn_subjects(strata, stream(seed, _DRAWS, k))
    drawn = data.select(data.subjects[chosen])
    # its own random numbers: the Monte-Carlo error of chains that replicates share would not show in their spread
    own = int(stream(seed, _REFITS, k).integers(2**63))
    fitted = refit(model, drawn, method, seed=own, start=start)
    return {
        "estimates": {str(name): float(value) for name, value in fitted.parameter_estimates.items()},
        "ofv": fitted.ofv,
        "minimization_successful": fitted.minimization_successful,
        "termination_cause": fitted.termination_cause,
    }


def bare(method: Any) -> Any:
    """The method without its covariance step and further starts, which replicates do not need."""
    needless = {"covariance": None, "starts": 1}
    return replace(method, **{k: v for k, v in needless.items() if hasattr(method, k)})
