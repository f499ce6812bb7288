"""Shrinkage by group of subjects: a histology may be shrunk where the others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pkpd.population.estimation_scale import estimates
from pkpd.population.resampling import strata_names, subject_strata
from pkpd.population.residuals import shrinkage

if TYPE_CHECKING:
    from pkpd.population.result import PopulationFit

__all__ = ["group_shrinkage"]


def group_shrinkage(fit: PopulationFit, by: str | None) -> pd.DataFrame:
    """See :meth:`pkpd.PopulationFit.shrinkage`."""
    data, problem = fit.data, fit.problem
    column = data.histology if by == "histology" and by not in data.frame.columns else by
    groups = subject_strata(data, column)
    _, values = estimates(fit)
    etas, iwres = fit.individual_estimates.to_numpy(float), fit.residuals["IWRES"].to_numpy(float)
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(problem.records.offsets))
    everyone = {"all": np.ones(len(groups), dtype=bool)}
    named = {} if column is None else strata_names(data, column, groups)
    rows = {}
    for name, members in (everyone | {label: groups == g for g, label in named.items()}).items():
        eta, eps = shrinkage(problem, values, etas, np.where(members[owner], iwres, np.nan), members)
        rows[name] = {"subjects": int(members.sum()), **eta, **eps}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("group")
