"""SAEM: stochastic approximation of the expectation-maximisation algorithm (Kuhn & Lavielle 2005)."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Real
from typing import Any

import numpy as np

from pkpd.errors import FitError, InputError
from pkpd.language import Problem
from pkpd.language.scales import Scales, Values, unexplained
from pkpd.language.solver import Solver
from pkpd.population.arguments import whole
from pkpd.population.checkpoint import Checkpoint
from pkpd.population.complete_data import CompleteData, complete_data
from pkpd.population.observed import BLQ, observed
from pkpd.results import result

__all__ = ["SAEM", "Sampled", "check_sampling", "fit_saem", "not_finite"]

_CHUNK = 50  # iterations at most between two calls of the progress function
# Of the gains. With 1/k a parameter that the records hold by the fraction r of what φ would tell keeps (1/k)^r of where the
# exploration left it: 60 % after 150 iterations at r = 0.09, here 33 %.
_DECAY = 0.7
_MISSED = 0.05  # of the averaging iterations may have no finite score of a subject
_COLLAPSED = 1e-8  # a variance that is none
_APART = 1e-4  # of a variance that other effects must leave unexplained for chains to move: a correlation of 0.99995
_HELD = 10  # last iterations of the exploration in which annealing should hold nothing any more
_FURTHER = 0.7  # of its value there, below which the averaging shows that it did
_SECONDS = 0.5  # that they should take at most: a kernel does not see Ctrl-C


@result
@dataclass(frozen=True)
class SAEM:
    """Stochastic approximation EM.

    Parameters
    ----------
    iterations : (int, int)
        With gain 1, exploring; and with gains k^-0.7, averaging.
    chains : int
        Markov chains per subject.
    proposals : (int, int, int, int)
        How often per iteration a chain tries: a draw of the prior; a walk in one component; a walk in all of them; a draw
        of the posterior as learned so far.
    annealing : float
        While exploring no variance (of random effects or residuals) falls below this times its last value; 0 switches it off.
    likelihood : {"importance", "linearisation"}
        How the objective is computed at the estimates: by importance sampling, or cheaply by FOCEI's approximation.
    samples : int
        Draws per subject of the importance sampling.
    covariance : {"louis", "linearisation", None}
        Covariance of the estimates: inverse of the observed information, by Louis's formula from the draws of the
        importance sampling; R⁻¹ of FOCEI's approximation, which also stands in (``covariance_status`` says so and why) where that
        formula would need more draws, as it may where a theta has no random effect, or gives nothing; or none.
    blq : {"M3", "M4", "M1"}
        How censored records enter.
    solver : Solver
        How the differential equations are solved.
    """

    iterations: tuple[int, int] = (300, 200)
    chains: int = 3
    proposals: tuple[int, int, int, int] = (1, 1, 1, 2)
    annealing: float = 0.95
    likelihood: str = "importance"
    samples: int = 1000
    covariance: str | None = "louis"
    blq: str = "M3"
    solver: Solver = field(default_factory=Solver)

    @property
    def kind(self) -> str:
        """Name of the method."""
        return "SAEM"

    def __post_init__(self) -> None:
        if not _counts(self.iterations, 2) or min(self.iterations) < 1:
            raise InputError(
                "E_METHOD",
                f"iterations={self.iterations!r} are not two positive whole numbers.",
                "Write (300, 200).",
            )
        if not _counts(self.proposals, 4) or sum(self.proposals[:3]) == 0:
            raise InputError(
                "E_METHOD",
                f"proposals={self.proposals!r}: four counts are needed, one of the first three positive.",
                "Write (1, 1, 1, 2).",
            )
        whole("chains", self.chains, 1, "E_METHOD")
        if not isinstance(self.annealing, Real) or not 0 <= self.annealing < 1:
            raise InputError("E_METHOD", f"annealing={self.annealing!r} is not in [0, 1).", "Use 0.95, say.")
        check_sampling(self)


def _counts(given: Any, length: int) -> bool:
    """Whether something is so many whole numbers from 0 on."""
    return (
        isinstance(given, (tuple, list))
        and len(given) == length
        and all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k >= 0 for k in given)
    )


def check_sampling(method) -> None:
    """Check the settings that the sampling methods share.

    Raises
    ------
    InputError
        ``E_METHOD``.
    """
    for name, allowed in (
        ("likelihood", ("importance", "linearisation")),
        ("covariance", ("louis", "linearisation", None)),
        ("blq", BLQ),
    ):
        if getattr(method, name, allowed[0]) not in allowed:
            shown = ", ".join(repr(a) for a in allowed)
            raise InputError(
                "E_METHOD", f"{name}={getattr(method, name)!r} is unknown.", f"Use one of {shown}."
            )
    whole("samples", method.samples, 100, "E_METHOD")
    if not isinstance(method.solver, Solver):
        raise InputError("E_METHOD", f"solver={method.solver!r} is not a solver.", "Use pkpd.Solver(…).")


@dataclass(frozen=True)
class Sampled:
    """Where a sampling method ended.

    Attributes
    ----------
    values : Values
    complete : CompleteData
    centres (N, E), covers (N, E, E)
        Posterior means and covariances of η, about.
    converged : bool
    cause : str
    history : (K, parameters) array
        Natural parameters after each iteration.
    interrupted : bool
        Whether Ctrl-C ended it.
    """

    values: Values
    complete: CompleteData
    centres: np.ndarray
    covers: np.ndarray
    converged: bool
    cause: str
    history: np.ndarray
    interrupted: bool = False


def fit_saem(
    problem: Problem,
    scales: Scales,
    method: SAEM,
    start: Values,
    seed: int,
    progress: Callable[[int, float], None] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Sampled:
    """Estimate by SAEM.

    Parameters
    ----------
    problem : Problem
    scales : Scales
    method : SAEM
    start : Values
        Where the search starts.
    seed : int
        The same seed gives the same bits, at any number of threads.
    progress : callable, optional
        Called with (iteration, -2 log-likelihood of the records given the current draws).
    checkpoint : Checkpoint, optional
        From where the iterations go on, and where their state is kept.

    Returns
    -------
    Sampled
        Also after Ctrl-C, once there has been an iteration.

    Raises
    ------
    FitError
        ``E_FIT_SUBJECT`` where the records of a subject have no likelihood wherever its chains go.
    """
    from pkpd.kernels.saem import run_saem

    checkpoint = checkpoint or Checkpoint()
    complete = complete_data(problem, scales, start, "SAEM")
    records = observed(problem, method.blq)
    explore, average = method.iterations
    count = explore + average
    gains = np.ones(count)
    gains[explore:] = np.arange(1.0, average + 1) ** -_DECAY
    annealing = np.zeros(count)
    annealing[:explore] = method.annealing
    state = checkpoint.load() or _begun(problem, scales, method, start, complete)
    theta, history, minus2ll, status = (state[k] for k in ("theta", "history", "minus2ll", "status"))
    omega_index = np.array(scales.omega_index, dtype=np.int64).reshape(-1, 2)
    chunk, interrupted = 1, False
    try:
        while (begin := _finished(history)) < count:
            since = time.monotonic()
            done = min(begin + chunk, begin - begin % _CHUNK + _CHUNK, count)
            run_saem(
                seed, begin, done, np.array(method.proposals, dtype=np.int64), gains, annealing,
                *(state[k] for k in _CHAINS),
                *complete.maximisation[:4], omega_index, *complete.maximisation[4:], theta, state["omega"], state["sigma"],
                *problem.compiled, problem.subject_data, records, history, status,
            )  # fmt: skip
            # chains that start where there is no likelihood may still find some
            lost = (done % _CHUNK == 0 or done == count) and not np.all(np.isfinite(minus2ll))
            if lost or not np.all(np.isfinite(history[done - 1])):
                raise not_finite(problem, ~np.isfinite(minus2ll).all(axis=1), status)
            checkpoint.save(state, now=done == count)
            if progress is not None:
                progress(done, float(math.fsum(minus2ll.mean(axis=1))))
            # no faster than twofold: one iteration is no measure of the next fifty
            room = _SECONDS / max(time.monotonic() - since, 1e-9)
            chunk = max(1, min(_CHUNK, 2 * chunk, int(chunk * room)))
    except KeyboardInterrupt:
        if _finished(history) == 0:
            raise
        checkpoint.save(state, now=True)
        interrupted = True
    values = Values(theta, state["omega"], state["sigma"])
    centres = state["centres"] - complete.means(theta, problem.n_eta)
    if interrupted:
        history = history[: _finished(history)]
        still, cause = False, f"interrupted after {len(history)} of {count} iterations"
    else:
        doubt = _doubt(problem, scales, method, complete, state)
        still, settled = not doubt, "estimates had settled" if len(scales.free) else "nothing to estimate"
        cause = f"{explore} + {average} iterations of {method.chains} chains; {doubt or settled}"
    return Sampled(values, complete, centres, state["covers"], still, cause, history, interrupted)


# what the iterations hand on beside the parameters, in the order of the kernel
_CHAINS = (
    "phi",
    "minus2ll",
    "f_now",
    "widths",
    "centres",
    "covers",
    "curves",
    "first",
    "second",
    "curvature",
    "missed",
)


def _begun(
    problem: Problem, scales: Scales, method: SAEM, start: Values, complete: CompleteData
) -> dict[str, np.ndarray]:
    """State before the first iteration; rows of ``history`` are NaN until their iteration has ended."""
    n, ne, chains = problem.n_subjects, problem.n_eta, method.chains
    spread = np.sqrt(np.diag(start.omega))
    columns = len(complete.moving) + len(start.sigma)
    followed = ne + len(complete.moving) if len(complete.moving) else 0
    return {
        "theta": start.theta.copy(),
        "omega": start.omega.copy(),
        "sigma": start.sigma.copy(),
        "phi": np.repeat(complete.means(start.theta, ne)[:, None, :], chains, axis=1),
        "minus2ll": np.full((n, chains), math.inf),
        "f_now": np.zeros((chains, len(problem.records.time))),
        "widths": np.hstack([np.tile(0.5 * spread, (n, 1)), np.ones((n, 1))]),
        "centres": np.zeros((n, ne)),
        "covers": np.zeros((n, ne, ne)),
        "curves": np.zeros((n, followed, followed)),
        "first": np.zeros((n, ne)),
        "second": np.zeros((ne, ne)),
        "curvature": np.zeros((columns, columns)),
        "missed": np.zeros(n, dtype=np.int64),
        "history": np.full((sum(method.iterations), len(scales.names)), math.nan),
        "status": np.zeros(n, dtype=np.int64),
    }


def _finished(history: np.ndarray) -> int:
    """Number of iterations that have ended."""
    open_rows = np.isnan(history).all(axis=1)
    return int(np.argmax(open_rows)) if open_rows.any() else len(history)


def not_finite(problem: Problem, bad: np.ndarray, status: np.ndarray) -> FitError:
    """Say which subjects have no likelihood, and why."""
    from pkpd.kernels.status import MESSAGES

    rows = np.flatnonzero(bad)
    code = int(status[rows[0]]) if len(rows) else 1
    who = ", ".join(str(problem.subjects[i]) for i in rows[:8]) + (" …" if len(rows) > 8 else "")
    return FitError(
        "E_FIT_SUBJECT",
        f"the likelihood cannot be computed for {len(rows)} of {problem.n_subjects} subjects (ID {who}): "
        f"{MESSAGES.get(code) if code else MESSAGES[1]}.",
        "Check those records, and the model's starting values.",
    )


def _alone(blocks: np.ndarray) -> bool:
    """Whether a block of Ω that is estimated has no copies for occasions."""
    return any(fixed == 0 and np.sum(blocks[:, 3] == share) == 1 for _, _, fixed, share in blocks)


def _held(history: np.ndarray, explore: int, annealing: float, scales: Scales) -> str:
    """Say which variance or SD fell as fast as annealing let it until the exploration ended, and went on; empty for none."""
    last = history[explore - _HELD - 1 : explore]
    if annealing == 0 or len(last) <= _HELD:
        return ""
    floor = {"variance": annealing, "SD": math.sqrt(annealing)}
    for k in scales.free:
        least = floor.get(scales.scales[k])
        if (
            least is not None
            and np.all(last[1:, k] < last[:-1, k] * least * (1 + 1e-9))
            and history[-1, k] < _FURTHER * last[-1, k]
        ):
            name = scales.names[k]
            return f"annealing still held {name} when the exploration ended: lengthen that, or start lower, or leave it out"
    return ""


def _merged(omega: np.ndarray, scales: Scales) -> str:
    """Say that random effects have become one; empty where they have not."""
    if "covariance" not in {scales.scales[k] for k in scales.free}:
        return ""
    share = unexplained(np.linalg.cholesky(omega))
    if share >= _APART:
        return ""
    return (
        f"random effects went to a correlation of 1 (least unexplained share of a variance: {share:.0e}), where chains hardly "
        "move: let them share one eta, or compare with FOCEI()"
    )


def _doubt(
    problem: Problem, scales: Scales, method: SAEM, complete: CompleteData, state: dict[str, np.ndarray]
) -> str:
    """Why the estimates are not to be trusted; empty where nothing speaks against them."""
    explore, average = method.iterations
    if np.any(unseen := state["missed"] > _MISSED * average):
        return complete.without_scores(problem.subjects, unseen, scales)
    if problem.n_subjects == 1 and _alone(complete.blocks):
        return "one subject shows no variance between subjects: fix OMEGA"
    return (
        complete.standing(state["curvature"], scales)
        or _merged(state["omega"], scales)
        or _moving(state["history"], explore, scales)
        or _held(state["history"], explore, method.annealing, scales)
    )


def _moving(history: np.ndarray, explore: int, scales: Scales) -> str:
    """Say what fell to 0, or drifts, by its move over the second half of the averaging in SDs of the exploration's noise."""
    if not len(scales.free):
        return ""
    for k in scales.free:
        if scales.scales[k] == "variance" and history[-1, k] < _COLLAPSED:
            at = scales.names[k]
            return f"{at} fell to zero, where the chains no longer move: leave that eta out, or use FOCEI()"
    late = history[explore:][:, scales.free]
    noise = history[explore // 2 : explore][:, scales.free].std(axis=0)
    drift = np.abs(late[-1] - late[len(late) // 2])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(noise > 0, drift / noise, 0.0)
    worst = int(np.argmax(ratio))
    if ratio[worst] > 2.0:
        name = scales.names[scales.free[worst]]
        return f"{name} still moved at the end: allow more iterations"
    return ""
