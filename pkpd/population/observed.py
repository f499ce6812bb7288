"""What the records say, as the likelihood of a method reads it: measured, censored, on the scale of the error model."""

from __future__ import annotations

from typing import Any

import numpy as np

from pkpd.errors import InputError
from pkpd.language import Problem

__all__ = ["BLQ", "log_jacobian", "measured_count", "observed"]

# How censored values enter: discarded; by the probability to be censored; the same given that the quantity is positive.
BLQ = ("M1", "M3", "M4")


def observed(problem: Problem, blq: str):
    """Observations of a problem as kernels take them.

    Parameters
    ----------
    problem : Problem
    blq : {"M1", "M3", "M4"}
        How censored records enter the likelihood (Beal, J Pharmacokinet Pharmacodyn 2001;28:481-504): M1 leaves them out; M3
        takes the probability that the value is censored; M4 takes it, and the density of the other records, given that the
        quantity is positive. M4 concerns the values below a bound alone, and endpoints whose error is not log-normal (those
        are positive already).

    Returns
    -------
    Observed

    Raises
    ------
    InputError
        ``E_DV_NOT_POSITIVE`` for an observation or bound without a logarithm where the error is log-normal,
        ``E_LIMIT_NOT_POSITIVE`` for a value that M4 cannot take as positive,
        ``E_CORRELATED_CENSORED`` for a censored record whose error is correlated with others, ``E_AR1_TIMES`` for two records
        at one time of an endpoint whose errors are correlated in time.
    """
    from pkpd._jit import Observed
    from pkpd.kernels import likelihood as kinds

    r = problem.records
    log_normal = problem.residual[r.endpoint, 4] == 1
    used, interval = r.used == 1, np.isfinite(r.limit)
    kind = np.where(used, kinds.MEASURED, kinds.UNUSED)
    kind[used & (r.censored == 1)] = kinds.BELOW
    kind[used & (r.censored == -1)] = kinds.ABOVE
    kind[used & (r.censored != 0) & interval] = kinds.BETWEEN
    value, limit = r.value.copy(), np.where(interval, r.limit, 0.0)
    direct = np.array([o.likelihood for o in problem.model.observations])[r.endpoint]
    kind[used & direct] = kinds.DIRECT
    if blq == "M1":
        kind[r.censored != 0] = kinds.UNUSED
    elif blq == "M4" and np.any(used & (r.censored == 1)):
        plain = ~log_normal
        kind[plain & (kind == kinds.MEASURED)] = kinds.MEASURED_POSITIVE
        kind[plain & (kind == kinds.ABOVE)] = kinds.ABOVE_POSITIVE
        between = plain & np.isin(kind, (kinds.BELOW, kinds.BETWEEN))
        limit[between & (kind == kinds.BELOW)] = 0.0
        limit[between] = np.maximum(limit[between], 0.0)
        kind[between] = kinds.BETWEEN_POSITIVE
        bad = np.flatnonzero(between & ~(np.maximum(value, limit) > 0))
        value[between] = np.maximum(value[between], 0.0)
        if len(bad):
            raise InputError(
                "E_LIMIT_NOT_POSITIVE",
                f"ID {_subject(problem, bad[0])}, TIME {r.time[bad[0]]:g}, column DV, value {r.value[bad[0]]:g}: no positive "
                f'quantity lies below this bound, which is what blq="M4" takes censored values for ({len(bad)} record(s)).',
                'Use blq="M3", or check the bounds.',
            )
    _check_correlated(problem, kind)
    # below a bound, and above one that is not positive, is below the bound on the logarithmic scale
    one_sided = log_normal & (kind == kinds.BETWEEN) & (np.minimum(value, limit) <= 0)
    kind[one_sided], value[one_sided] = kinds.BELOW, np.maximum(value, limit)[one_sided]
    bad = np.flatnonzero((kind != kinds.UNUSED) & log_normal & ~(value > 0))
    if len(bad):
        raise InputError(
            "E_DV_NOT_POSITIVE",
            f"ID {_subject(problem, bad[0])}, TIME {r.time[bad[0]]:g}, column DV, value {value[bad[0]]:g}: the error of endpoint "
            f"{problem.model.observations[r.endpoint[bad[0]]].name} is log-normal, which needs positive observations "
            f"({len(bad)} record(s)).",
            "Mark values below the limit of quantification by CENS, set MDV=1, or choose another error model.",
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        value, limit = (np.where(log_normal & (kind != kinds.UNUSED), np.log(x), x) for x in (value, limit))
    limit = np.where(np.isfinite(limit), limit, 0.0)
    return Observed(
        np.ascontiguousarray(value), np.ascontiguousarray(limit), kind.astype(np.int64), problem.residual
    )


def _subject(problem: Problem, record: int) -> Any:
    return problem.subjects[int(np.searchsorted(problem.records.offsets, record, side="right")) - 1]


def _check_correlated(problem: Problem, kind: np.ndarray) -> None:
    from pkpd.kernels.likelihood import MEASURED, UNUSED

    if not problem.correlated:
        return
    r, observations = problem.records, problem.model.observations
    owner = np.repeat(np.arange(problem.n_subjects), np.diff(r.offsets))
    linked = np.any(problem.residual[:, 5:] >= 0, axis=1)[r.endpoint]

    def refuse(code: str, at: int, what: str, remedy: str) -> InputError:
        return InputError(
            code, f"ID {problem.subjects[owner[at]]}, TIME {r.time[at]:g}: the record of endpoint "
            f"{observations[r.endpoint[at]].name} {what}.", remedy,
        )  # fmt: skip

    bad = np.flatnonzero(linked & (kind != MEASURED) & (kind != UNUSED))
    if len(bad):
        raise refuse(
            "E_CORRELATED_CENSORED", bad[0],
            "is censored (or taken given that it is positive, M4), but its error is correlated with that of other records",
            'Use blq="M1", or leave ar1= and m.correlate out.',
        )  # fmt: skip
    in_time = (problem.residual[:, 5] >= 0)[r.endpoint] & (kind != UNUSED)
    rows = np.flatnonzero(in_time)
    table = np.column_stack([owner[rows], r.endpoint[rows], r.time[rows]])
    order = np.lexsort(table.T)
    same = np.flatnonzero((np.diff(table[order], axis=0) == 0).all(axis=1))
    if len(same):
        raise refuse(
            "E_AR1_TIMES", rows[order[same[0]]],
            "is one of two at this time, whose errors ar1= would make equal",
            "Keep one of them (MDV=1 on the other), or leave ar1= out.",
        )  # fmt: skip


def measured_count(records) -> int:
    """Records with a Gaussian density: those whose log 2π the objective drops (censored ones have none)."""
    from pkpd.kernels.likelihood import MEASURED, MEASURED_POSITIVE

    return int(np.isin(records.kind, (MEASURED, MEASURED_POSITIVE)).sum())


def log_jacobian(problem: Problem, records) -> float:
    """2 Σ log DV of the measured log-normal records: what -2 log-likelihood of DV has more than that of log DV."""
    from pkpd.kernels.likelihood import MEASURED

    log_normal = problem.residual[problem.records.endpoint, 4] == 1
    return 2.0 * float(records.value[log_normal & (records.kind == MEASURED)].sum())
