"""What histologies tell of one another's response: shrunken rates, and which of them share a rate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from pkpd.distributions import CRP, HalfNormal, Normal
from pkpd.errors import InputError
from pkpd.histology import BinomialHierarchical, binomial_hierarchical, partitions
from pkpd.response import counts
from pkpd.statements import say

__all__ = ["borrowed_responses"]

MU, TAU = Normal(0.0, 2.0), HalfNormal(1.0)  # logit scale; both are printed


def borrowed_responses(known: pd.DataFrame, name: str) -> dict[str, Any]:
    """Hierarchical model and averaging over partitions on the counts of a binary endpoint, all doses together.

    Parameters
    ----------
    known : DataFrame
        One row per evaluable subject: the endpoint, ``histology``.
    name : str
        Column of the endpoint.

    Returns
    -------
    dict
        :attr:`pkpd.study.EndpointResult.borrowing`.
    """
    own = counts(known, name, "histology")
    try:
        shrunk = binomial_hierarchical(own["events"], own["n"], mu=MU, tau=TAU)
        grouped = partitions(own["events"], own["n"], prior=CRP(1.0), beta=(0.5, 0.5))
    except InputError as error:
        return {"refused": error.message}
    lower, upper = _interval(shrunk)
    table = pd.DataFrame(
        {
            "histology": own["histology"].astype(str),
            "n": own["n"],
            "events": own["events"],
            "raw": own["proportion"],
            "raw_lower": own["lower"],
            "raw_upper": own["upper"],
            "shrunken": shrunk.mean,
            "lower": lower,
            "upper": upper,
            "mean": grouped.mean,
        }
    )
    names = list(table["histology"])
    return {
        "table": table,
        "pairwise": pd.DataFrame(grouped.pairwise, index=pd.Index(names, name="histology"), columns=names),
        "probability_homogeneous": float(grouped.probability_homogeneous),
        "bayes_factor": float(grouped.bayes_factor),
        "prior": say(
            "response_prior",
            "mean logit ~ {mu}, tau ~ {tau}; partitions ~ CRP(1), rates ~ Beta(0.5, 0.5)",
            mu=f"{MU}",
            tau=f"{TAU}",
        ),
    }


def _interval(shrunk: BinomialHierarchical) -> np.ndarray:
    """Quantiles 5 % and 95 % of every histology's rate, shape (2, K).

    A call of ``probability_above`` costs as much for one histology as for all. It is called at the quantiles that beta
    distributions with the posterior's moments have, near those that are sought, and interpolated between them (normal
    quantile of the probability against the logit of the rate).
    """
    from scipy.interpolate import PchipInterpolator
    from scipy.special import betaincinv, expit, logit, ndtri

    size = shrunk.mean * (1 - shrunk.mean) / shrunk.sd**2 - 1
    near = [betaincinv(shrunk.mean * size, (1 - shrunk.mean) * size, p) for p in (0.01, 0.05, 0.95, 0.99)]
    rates = np.unique(np.clip([near[0].min(), *near[1], *near[2], near[3].max()], 1e-9, 1 - 1e-9))
    at = logit(rates[np.concatenate([[True], np.diff(logit(rates)) > 0.02])])
    score = -ndtri(np.array([shrunk.probability_above(float(rate)) for rate in expit(at)]))
    out = np.empty((2, len(shrunk.mean)))
    for k, own in enumerate(score.T):
        # far out a probability of 0 or 1 is all that is known
        known = np.abs(own) < 6
        ordered, first = np.unique(own[known], return_index=True)
        out[:, k] = expit(PchipInterpolator(ordered, at[known][first])(ndtri([0.05, 0.95])))
    return out
