"""Risk sets of Cox's partial likelihood: its moments, and what follows from them, the baseline and the test of its assumption."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.response.likelihood_ratio import chi2_p_value

__all__ = ["RiskSets", "baseline_hazard", "partial_likelihood", "proportionality"]


@dataclass(frozen=True)
class RiskSets:
    """Who is at risk at each death of a stratum, as positions into cumulative sums.

    ``by_stop`` and ``by_start`` sort rows downwards; the risk set of a time t is the first ``left`` rows of
    the former (stop >= t) less the first ``entered`` rows of the latter (start >= t).
    """

    by_stop: np.ndarray
    by_start: np.ndarray
    left: np.ndarray
    entered: np.ndarray
    times: np.ndarray  # distinct times of death
    deaths: np.ndarray  # rows, sorted by time
    first: np.ndarray  # where each distinct time begins among deaths
    at: np.ndarray  # distinct time of each death
    share: np.ndarray  # l/d of Efron, 0 for Breslow

    @staticmethod
    def of(start: np.ndarray, stop: np.ndarray, died: np.ndarray, ties: str) -> RiskSets:
        """Build the risk sets of one stratum; ``ties`` is ``"efron"`` or ``"breslow"``."""
        deaths = np.flatnonzero(died == 1)
        deaths = deaths[np.argsort(stop[deaths], kind="stable")]
        times, first, at, d = np.unique(
            stop[deaths], return_index=True, return_inverse=True, return_counts=True
        )
        rank = np.arange(len(deaths)) - first[at]
        share = rank / d[at] if ties == "efron" else np.zeros(len(deaths))
        by_stop, by_start = np.argsort(-stop, kind="stable"), np.argsort(-start, kind="stable")
        left = np.searchsorted(-stop[by_stop], -times, side="right")
        entered = np.searchsorted(-start[by_start], -times, side="right")
        return RiskSets(by_stop, by_start, left, entered, times, deaths, first, at, share)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum of `values` over the risk set, less Efron's share of the deaths, one entry per death."""
        flat = np.zeros((1, *values.shape[1:]))
        leaving = np.concatenate([flat, np.cumsum(values[self.by_stop], axis=0)])
        entering = np.concatenate([flat, np.cumsum(values[self.by_start], axis=0)])
        at_risk = leaving[self.left] - entering[self.entered]
        dying = np.add.reduceat(values[self.deaths], self.first, axis=0)
        share = self.share.reshape(-1, *[1] * (values.ndim - 1))
        return at_risk[self.at] - share * dying[self.at]


def partial_likelihood(b, columns, plan):
    """Cox's log partial likelihood: value, gradient (p,) and Hessian (p, p), summed over strata.

    Parameters
    ----------
    b : ndarray, shape (p,)
    columns : list of ndarray, shape (n_s, p)
        One matrix per stratum.
    plan : list of RiskSets
        One per stratum.
    """
    p = len(b)
    value, gradient, hessian = 0.0, np.zeros(p), np.zeros((p, p))
    for x, sets in zip(columns, plan, strict=True):
        found = _moments(b, x, sets)
        if found is None:
            return -np.inf, gradient, hessian
        log_s0, mean, spread = found
        value += float(np.sum(np.einsum("ij,j->i", x[sets.deaths], b) - log_s0))
        gradient = gradient + np.sum(x[sets.deaths] - mean, axis=0)
        hessian = hessian - np.sum(spread, axis=0)
    return value, gradient, hessian


def _moments(b, x, sets: RiskSets) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Logarithm of Σ e^η, mean and covariance of the columns in the risk set of each death, weighted by e^η."""
    eta = np.einsum("ij,j->i", x, b)
    top = eta.max()
    risk = np.exp(eta - top)
    s0 = sets.sums(risk)
    if not np.all(s0 > 0):
        return None
    rx = risk[:, None] * x
    mean = sets.sums(rx) / s0[:, None]
    second = sets.sums(rx[:, :, None] * x[:, None, :]) / s0[:, None, None]
    return np.log(s0) + top, mean, second - mean[:, :, None] * mean[:, None, :]


def _survival_before(begin: np.ndarray, stop: np.ndarray, died: np.ndarray):
    """Kaplan-Meier curve of all strata together, as a function that gives its left limit."""
    times, events = np.unique(stop[died == 1], return_counts=True)
    at_risk = len(stop) - np.searchsorted(np.sort(stop), times, side="left")
    at_risk = at_risk - (len(begin) - np.searchsorted(np.sort(begin), times, side="left"))
    curve = np.r_[1.0, np.cumprod(1 - events / at_risk)]
    return lambda t: curve[np.searchsorted(times, t, side="left")]


def proportionality(b, columns, plan, begin, stop, died, names) -> pd.DataFrame:
    """Score tests of θ in a log hazard ratio β + θ g(t) (Grambsch PM, Therneau TM. Biometrika 1994;81:515-526).

    With the information of both, not the approximation by which residuals are regressed on g (as cox.zph since survival 3.0).
    g is 1 − the Kaplan-Meier curve of all strata together, just before each death.

    Parameters
    ----------
    b : ndarray, shape (p,)
        The maximum.
    columns, plan
        As in :func:`partial_likelihood`.
    begin, stop, died : ndarray, shape (n,)
        Follow-up of all strata.
    names : sequence of str
        Of the p columns; ``slope[a]`` and ``slope[b]`` are one term.

    Returns
    -------
    DataFrame
        term (last ``all``), statistic, df, p_value; NaN where g does not vary for a term.
    """
    p, before = len(b), _survival_before(begin, stop, died)
    score, own, cross, information = np.zeros(p), np.zeros((p, p)), np.zeros((p, p)), np.zeros((p, p))
    for x, sets in zip(columns, plan, strict=True):
        found = _moments(b, x, sets)
        assert found is not None  # at the maximum
        _, mean, spread = found
        g = 1 - before(sets.times)[sets.at]
        score += np.einsum("i,ij->j", g, x[sets.deaths] - mean)
        information += spread.sum(axis=0)
        cross += np.einsum("i,ijk->jk", g, spread)
        own += np.einsum("i,ijk->jk", g * g, spread)
    left = own - cross @ np.linalg.solve(information, cross)
    terms: dict[str, list[int]] = {}
    for i, name in enumerate(names):
        terms.setdefault(str(name).split("[")[0], []).append(i)
    rows = []
    for term, at in [*terms.items(), ("all", list(range(p)))]:
        inner = left[np.ix_(at, at)]
        known = np.linalg.eigvalsh(inner)[0] > 1e-10 * np.abs(np.diag(own)).max()
        statistic = float(score[at] @ np.linalg.solve(inner, score[at])) if known else np.nan
        rows.append((term, statistic, len(at), chi2_p_value(statistic, len(at)) if known else np.nan))
    return pd.DataFrame(rows, columns=["term", "statistic", "df", "p_value"])


def baseline_hazard(labels, b, columns, plan, centre, last, names) -> pd.DataFrame:
    """Breslow's cumulative hazard (with Efron's ties where the fit has them), moved from the centre to where x is 0.

    Parameters
    ----------
    labels : list of str
        One per stratum, as `columns`, `plan` and `last`.
    b : ndarray, shape (p,)
        The maximum.
    columns, plan
        As in :func:`partial_likelihood`, columns less `centre`.
    centre : ndarray, shape (p,)
    last : list of float
        End of follow-up.
    names : sequence of str
        Of the p columns.

    Returns
    -------
    DataFrame
        As :attr:`CoxFit.baseline`.
    """
    pieces, times, who = [], [], []
    for label, x, sets, end in zip(labels, columns, plan, last, strict=True):
        found = _moments(b, x, sets)
        assert found is not None  # at the maximum
        log_s0, mean, _ = found
        jump = np.exp(-log_s0 - float(centre @ b))
        per_death = np.column_stack([jump, jump**2, jump[:, None] * (mean + centre)])
        sums = np.cumsum(np.add.reduceat(per_death, sets.first, axis=0), axis=0)
        after = sets.times[-1] < end
        pieces += [sums, sums[-1:]] if after else [sums]
        times += [sets.times, [end]] if after else [sets.times]
        who += [label] * (len(sums) + after)
    table = pd.DataFrame(
        np.vstack(pieces), columns=["cumulative_hazard", "variance", *(f"mean[{n}]" for n in names)]
    )
    table.insert(0, "histology", who)
    table.insert(1, "time", np.concatenate(times))
    return table
