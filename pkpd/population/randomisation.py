"""Randomisation test of a covariate: how often does a covariate that is shuffled among subjects improve the fit as much.

Wählby U, Jonsson EN, Karlsson MO. J Pharmacokinet Pharmacodyn 2001;28:231-252. Valid where the χ² is not: few subjects in a
level, skewed data, approximate likelihoods.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, InputError
from pkpd.language import Model
from pkpd.language.columns import label_column
from pkpd.parallel import checked_seed, run, stream
from pkpd.population.arguments import fitted, whole
from pkpd.population.covariate_models import shared_estimates
from pkpd.population.fit import fit as refit
from pkpd.population.methods import require_gradient
from pkpd.population.resampling import bare, subject_strata, warn_failures
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["Randomisation", "randomisation_test"]

_SHUFFLES = 0x524E  # keeps these random numbers apart from those of other tasks with the same seed


@result
@dataclass(frozen=True, repr=False)
class Randomisation:
    """Outcome of :func:`pkpd.randomisation_test`.

    Attributes
    ----------
    column : str
    difference : float
        OFV of the model without the covariate less that with it.
    df : int
    p_value : float
        (1 + number of shuffled differences at least as large)/(1 + shuffles).
    p_chi2 : float
        Of the χ² approximation, for comparison.
    differences : Series
        Of the shuffled data, by replicate.
    critical : float
        95 % quantile of them: the fall of the OFV that is significant at 5 % in these data.
    failures : DataFrame
        replicate, reason.
    stratified_by : str or None
    seed : int
    """

    column: str
    difference: float
    df: int
    p_value: float
    p_chi2: float
    differences: pd.Series
    critical: float
    failures: pd.DataFrame
    stratified_by: str | None
    seed: int

    def to_frame(self) -> pd.DataFrame:
        """Return the differences of the shuffled data."""
        return self.differences.to_frame()

    def __repr__(self) -> str:
        within = f" within {self.stratified_by}" if self.stratified_by else ""
        return (
            f"Randomisation test of {self.column}, shuffled{within} {len(self.differences)} times (seed {self.seed}, "
            f"{len(self.failures)} failed): OFV difference {self.difference:.3f}, p = {self.p_value:.4g} "
            f"(χ² with {self.df} df: {self.p_chi2:.4g}; 5 % critical value {self.critical:.2f})"
        )


def randomisation_test(
    fit: PopulationFit,
    column: str,
    n: int = 200,
    seed: int = 0,
    *,
    strata: str | None = None,
    reduced: Model | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> Randomisation:
    """Test the effects of a covariate by shuffling it among subjects.

    Parameters
    ----------
    fit : PopulationFit
        Of the model with the effects.
    column : str
        Covariate, constant within each subject.
    n : int
        Number of shuffles.
    seed : int
        Shuffles are keyed by seed and replicate.
    strata : str, optional
        Column within whose groups subjects are exchangeable, e.g. the study.
    reduced : Model, optional
        The model without the effects; for a factor it is found.
    executor, store : optional
        See :func:`pkpd.bootstrap`.

    Returns
    -------
    Randomisation

    Raises
    ------
    InputError
        ``E_RANDOMISATION`` if the model does not have the covariate, it varies within a subject, or ``reduced`` is wanted;
        ``E_STRATIFY``; ``E_METHOD_NOISY`` if the method draws random numbers.
    FitError
        ``E_RANDOMISATION`` if no shuffled fit succeeded.
    """
    from scipy.special import chdtrc

    fit = fitted(fit)
    require_gradient(fit.method, "a randomisation test")
    n, seed = whole("n", n), checked_seed(seed)
    data, method = fit.data, bare(fit.method)
    smaller = _reduced(fit.model, column, reduced)
    groups = subject_strata(data, strata)
    if column not in data.subject_table().columns or label_column(column, data).varies:
        raise InputError(
            "E_RANDOMISATION",
            f"{column} changes within a subject, or is no covariate.",
            "Name a covariate of subjects.",
        )
    base = refit(
        smaller, data, method, seed=fit.seed, start=shared_estimates(fit.parameter_estimates, smaller)
    )
    df = int((~fit.parameters["fixed"]).sum() - (~base.parameters["fixed"]).sum())
    if df < 1:
        raise InputError(
            "E_RANDOMISATION",
            "the reduced model has no fewer parameters than the fit.",
            "Give reduced= without the effects.",
        )
    start = dict(base.parameter_estimates)
    task = functools.partial(
        _shuffled,
        model=fit.model,
        data=data,
        method=method,
        column=column,
        groups=groups,
        start=start,
        seed=seed,
    )
    kept = open_store(store)
    settings = ("randomisation", fit.model, data, method, column, groups, start, seed)
    known, keep = remembered(kept, [fingerprint(*settings, k) for k in range(n)] if kept is not None else [])
    out = run(task, range(n), executor=executor, label=f"shuffling {column}", known=known, keep=keep)
    warn_failures("randomisation", out.failures, n, interrupted=out.interrupted)
    got = {k: base.ofv - v for k, v in enumerate(out.values) if v is not None}
    if not got:
        raise FitError(
            "E_RANDOMISATION", f"no shuffled fit succeeded: {out.failures[0].reason}", "Check the model."
        )
    differences = pd.Series(got, name="difference", dtype=float).rename_axis("replicate")
    observed = base.ofv - fit.ofv
    # equal data in another order may end 1e-6 apart
    beyond = int((differences >= observed - 1e-5).sum())
    return Randomisation(
        column=column,
        difference=observed,
        df=df,
        p_value=(1 + beyond) / (1 + len(differences)),
        p_chi2=float(chdtrc(df, max(observed, 0.0))),
        differences=differences,
        critical=float(differences.quantile(0.95)),
        failures=pd.DataFrame(
            {"replicate": [f.task for f in out.failures], "reason": [f.reason for f in out.failures]}
        ),
        stratified_by=strata,
        seed=seed,
    )


def _reduced(model: Model, column: str, reduced: Model | None) -> Model:
    factors = {f.name for f in model.factors}
    if column not in factors | {c.name for c in model.covariates}:
        raise InputError(
            "E_RANDOMISATION",
            f"model {model.name} has no covariate {column!r}.",
            f"It has {', '.join(sorted(factors | {c.name for c in model.covariates})) or 'none'}.",
        )
    if reduced is not None:
        return reduced
    if column not in factors:
        raise InputError(
            "E_RANDOMISATION", f"{column} is no factor.", "Give the model without its effect: reduced=…."
        )
    return model.without_factor(column)


def _shuffled(
    k: int,
    *,
    model: Model,
    data: Dataset,
    method: Any,
    column: str,
    groups: np.ndarray,
    start: dict[str, float],
    seed: int,
) -> float:
    """OFV with the covariate shuffled among the subjects of each group."""
    random = stream(seed, _SHUFFLES, k)
    taken = np.arange(data.n_subjects)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        taken[members] = random.permutation(members)
    frame = data.frame.copy()
    values = data.frame[column].to_numpy()[data.offsets[:-1]][taken]
    frame[column] = pd.Series(
        np.repeat(values, np.diff(data.offsets)), index=frame.index, dtype=frame[column].dtype
    )
    return refit(model, replace(data, frame=frame), method, seed=seed, start=start).ofv
