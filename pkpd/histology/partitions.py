r"""Which histologies share a response rate? Averaging over all partitions of the histologies into groups.

Prior and likelihood factorise over the groups of a partition, so that sums over all partitions (115 975 for
ten histologies) follow exactly from a recursion over the 2^K subsets: the group of the first member of a
subset is any of its subsets T, and what remains is partitioned in turn, Z(S) = Σ_T f(T) Z(S \ T). Marginal
posterior probabilities of groups are f(T) Z(rest) / Z(all); everything that is reported depends on these
alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pkpd.distributions import CRP, BlockCount
from pkpd.errors import InputError
from pkpd.histology.permutation import read_responses
from pkpd.results import result

__all__ = ["Partitions", "partitions"]

MOST_HISTOLOGIES = 15  # 3^K / 2 terms: seconds at 15


@result
@dataclass(frozen=True)
class Partitions:
    """Posterior over partitions of K histologies.

    Attributes
    ----------
    probability_homogeneous, prior_homogeneous : float
        P(one group), given the data and before.
    bayes_factor : float
        One group against all other partitions, each weighted by its prior: above 1 the data speak for one
        rate. Read this beside the probability, which carries the prior.
    log_bayes_factor_separate : float
        Log Bayes factor of one group against every histology on its own.
    mean, sd : ndarray, shape (K,)
        Of each histology's response rate, averaged over partitions.
    pairwise : ndarray, shape (K, K)
        P(two histologies share a rate).
    best : tuple of int
        Group of each histology in the most probable partition, numbered in order of appearance.
    best_probability : float
    group_probability, group_responders, group_patients : ndarray, shape (2^K,)
        Of each subset (bit k set: histology k is in it): P(it is a group), and its totals.
    beta : tuple of float
        Beta prior of each group's rate.
    """

    probability_homogeneous: float
    prior_homogeneous: float
    bayes_factor: float
    log_bayes_factor_separate: float
    mean: np.ndarray
    sd: np.ndarray
    pairwise: np.ndarray
    best: tuple[int, ...]
    best_probability: float
    group_probability: np.ndarray
    group_responders: np.ndarray
    group_patients: np.ndarray
    beta: tuple[float, float]

    def probability_above(self, rate: float) -> np.ndarray:
        """P(response rate > `rate`) per histology, shape (K,)."""
        from scipy.special import betainc

        if not 0 < rate < 1:
            raise InputError("E_RATE", f"rate {rate!r} must lie between 0 and 1.", "Give a fraction.")
        a, b = self._posterior()
        above = self.group_probability * (1 - betainc(a, b, rate))
        return _members(len(self.mean)) @ above

    def _posterior(self) -> tuple[np.ndarray, np.ndarray]:
        misses = self.group_patients - self.group_responders
        return self.beta[0] + self.group_responders, self.beta[1] + misses


def partitions(
    responders: Sequence[int] | np.ndarray | pd.Series,
    patients: Sequence[int] | np.ndarray | pd.Series,
    prior: CRP | BlockCount = CRP(1.0),  # noqa: B008 (frozen value)
    beta: tuple[float, float] = (0.5, 0.5),
) -> Partitions:
    """Average over all groupings of histologies with a common response rate per group.

    Parameters
    ----------
    responders, patients : sequence of int, shape (K,)
        Per histology, 2 ≤ K ≤ 15.
    prior : CRP or BlockCount
        Over partitions. CRP(1) gives P(one group) = 1/K. BlockCount(0) gives each partition the same weight,
        which is not neutral: P(one group) is 1 / 115 975 for ten histologies; BlockCount(1) is the default of
        bmabasket and favours groups still more.
    beta : tuple of float
        Beta(a, b) prior of each group's rate.

    Returns
    -------
    Partitions

    Raises
    ------
    InputError
        ``E_RESPONDERS``, ``E_PATIENTS``, ``E_HISTOLOGIES``, ``E_PRIOR``.

    References
    ----------
    Psioda MA, Xu J, Jiang Q, Ke C, Yang Z, Ibrahim JG. Biostatistics 2021;22:19-34.
    """
    from scipy.special import betaln, gammaln

    r, n = read_responses(responders, patients)
    k = r.size
    if k > MOST_HISTOLOGIES:
        raise InputError(
            "E_HISTOLOGIES",
            f"{k} histologies have too many partitions.",
            f"Pool some, or use binomial_hierarchical; {MOST_HISTOLOGIES} are the most.",
        )
    a, b = (float(value) for value in beta)
    if not isinstance(prior, (CRP, BlockCount)):
        raise InputError("E_PRIOR", f"prior {prior!r}.", "Use CRP(concentration) or BlockCount(weight).")
    if not (a > 0 and b > 0 and math.isfinite(a + b)):
        raise InputError("E_PRIOR", f"beta {beta!r}.", "Give two numbers above 0, e.g. (0.5, 0.5).")
    member = _members(k)
    size, total_r, total_n = member.sum(axis=0), r @ member, n @ member
    if isinstance(prior, CRP):
        log_prior = math.log(prior.concentration) + gammaln(np.maximum(size, 1.0))
    else:
        log_prior = np.full(1 << k, prior.weight)
    log_group = log_prior + betaln(a + total_r, b + total_n - total_r) - betaln(a, b)
    log_sum, log_max, choice = _recursion(log_group, k)
    prior_homogeneous = math.exp(prior.logpdf([k]))
    everything = (1 << k) - 1
    complement = everything - np.arange(1 << k)
    probability = np.exp(log_group + log_sum[complement] - log_sum[everything])
    probability[0] = 0.0  # the empty set is no group
    post_a, post_b = a + total_r, b + total_n - total_r
    rate = post_a / (post_a + post_b)
    mean = member @ (probability * rate)
    second = member @ (probability * rate * (post_a + 1) / (post_a + post_b + 1))
    log_odds = log_group[everything] - _rest(log_group, log_sum, everything)
    prior_odds = math.log(prior_homogeneous) - math.log1p(-prior_homogeneous)
    separate = log_group[1 << np.arange(k)] - log_prior[1 << np.arange(k)]
    return Partitions(
        probability_homogeneous=float(probability[everything]),
        prior_homogeneous=prior_homogeneous,
        bayes_factor=float(np.exp(log_odds - prior_odds)),
        log_bayes_factor_separate=float(log_group[everything] - log_prior[everything] - separate.sum()),
        mean=mean,
        sd=np.sqrt(second - mean**2),
        pairwise=(member * probability) @ member.T,
        best=_labels(choice, k),
        best_probability=float(np.exp(log_max[everything] - log_sum[everything])),
        group_probability=probability,
        group_responders=total_r,
        group_patients=total_n,
        beta=(a, b),
    )


def _members(k: int) -> np.ndarray:
    """Indicator, shape (K, 2^K): histology k is in subset s."""
    return (np.arange(1 << k)[None, :] >> np.arange(k)[:, None] & 1).astype(float)


def _subsets(mask: int) -> np.ndarray:
    """All subsets of a set of bits, the empty one included."""
    found = np.zeros(1, dtype=np.int64)
    while mask:
        low = mask & -mask
        found = np.concatenate([found, found | low])
        mask ^= low
    return found


def _recursion(log_group: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per subset: log sum and log maximum over its partitions, and the first group of the best one."""
    log_sum, log_max = np.zeros(1 << k), np.zeros(1 << k)
    choice = np.zeros(1 << k, dtype=np.int64)
    for subset in range(1, 1 << k):
        first = subset & -subset
        groups = _subsets(subset ^ first) | first
        terms = log_group[groups] + log_sum[subset ^ groups]
        peak = terms.max()
        log_sum[subset] = peak + math.log(np.exp(terms - peak).sum())
        best = log_group[groups] + log_max[subset ^ groups]
        position = int(best.argmax())
        log_max[subset], choice[subset] = best[position], groups[position]
    return log_sum, log_max, choice


def _rest(log_group: np.ndarray, log_sum: np.ndarray, everything: int) -> float:
    """Log sum over all partitions but the one with a single group."""
    first = everything & -everything
    groups = _subsets(everything ^ first) | first
    groups = groups[groups != everything]
    terms = log_group[groups] + log_sum[everything ^ groups]
    peak = terms.max()
    return float(peak + math.log(np.exp(terms - peak).sum()))


def _labels(choice: np.ndarray, k: int) -> tuple[int, ...]:
    labels, left, label = [0] * k, (1 << k) - 1, 0
    while left:
        group = int(choice[left])
        for member in range(k):
            if group >> member & 1:
                labels[member] = label
        left ^= group
        label += 1
    return tuple(labels)
