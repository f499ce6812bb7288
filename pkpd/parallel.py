"""One door to executors: tasks run here, in threads, in processes or on a cluster, and come back in order.

A task is a function of one item. What it returns depends on the item alone (random numbers come from :func:`stream`, keyed by
seed, purpose and replicate), so a result is the same wherever and in whatever order its tasks ran.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from pkpd.errors import InputError, PkpdError, PkpdWarning

__all__ = ["Failure", "Outcomes", "Progress", "checked_seed", "processes", "run", "stream"]

_LOST = 3  # how often a task may go down with its pool before it is given up
_UNSAFE = threading.Lock()  # held around tasks where numba's threads cannot be entered twice


@dataclass(frozen=True)
class Failure:
    """A task that has no result: its place, and why."""

    task: int
    reason: str


@dataclass(frozen=True)
class Outcomes:
    """What became of the tasks.

    Attributes
    ----------
    values : tuple
        One per task, in order; None where it failed or was not reached.
    failures : tuple of Failure
        In order of the tasks.
    interrupted : bool
        Whether Ctrl-C ended the run; tasks that were not reached are listed as failures.
    """

    values: tuple[Any, ...]
    failures: tuple[Failure, ...]
    interrupted: bool = False


def stream(seed: int, purpose: int, *key: int) -> np.random.Generator:
    """Random numbers that belong to (seed, purpose, key) alone: the same in any process and order.

    Parameters
    ----------
    seed : int
        Not negative.
    purpose : int
        Keeps apart what draws from the same seed; each file has its own.
    key : int
        Replicate, subject …

    Raises
    ------
    InputError
        ``E_ARGUMENT``, see :func:`checked_seed`.
    """
    words = [checked_seed(seed), purpose, *key]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(words)))


def checked_seed(seed: Any) -> int:
    """Check a seed: what compiled code would cut to an integer, or take for another one, is no seed.

    Raises
    ------
    InputError
        ``E_ARGUMENT`` if it is not a whole number from 0 to 2^63 - 1.
    """
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        raise InputError("E_ARGUMENT", f"seed={seed!r} is not a whole number from 0 on.", "Give e.g. seed=1.")
    return int(seed)


def processes(workers: int | None = None) -> Callable[[], Executor]:
    """Worker processes for ``executor=``: fresh ones (not forks, which break numba's threads), made anew if one is killed.

    Parameters
    ----------
    workers : int, optional
        Number of processes; by default one per processor that this one may use.

    Returns
    -------
    callable
        Makes a :class:`concurrent.futures.ProcessPoolExecutor`. Scripts need the usual ``if __name__ == "__main__":``.

    Raises
    ------
    InputError
        ``E_EXECUTOR`` if ``workers`` is not a positive whole number.
    """
    if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
        raise InputError("E_EXECUTOR", f"workers={workers!r}.", "Give a positive whole number.")

    def make() -> Executor:
        from concurrent.futures import ProcessPoolExecutor
        from multiprocessing import get_context

        return ProcessPoolExecutor(workers or _processors(), mp_context=get_context("spawn"))

    return make


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    function: Callable[[Any], Any],
    items: Sequence[Any],
    *,
    executor: Executor | Callable[[], Executor] | None = None,
    label: str = "",
    known: Mapping[int, Any] | None = None,
    keep: Callable[[int, Any], None] | None = None,
) -> Outcomes:
    """Apply a function to each item.

    Parameters
    ----------
    function : callable
        Of one item. For processes and clusters it must be importable (or a ``functools.partial`` of such a one).
    items : sequence
    executor : Executor, or callable that makes one, optional
        Here and in order by default. An executor that is given stays open; one that was made is closed, and made anew if a
        worker is killed: the tasks that were lost with it run again. A Dask cluster gives ``client.get_executor()``.
    label : str
        Begins the progress line on a terminal; none if empty.
    known : mapping, optional
        Results that are there already, by place.
    keep : callable, optional
        Called with (place, result) in this thread as soon as a task has finished, e.g. to store it.

    Returns
    -------
    Outcomes
        Also after Ctrl-C, which loses nothing that was finished.

    Raises
    ------
    InputError
        ``E_EXECUTOR`` for something that is not an executor, or for forked worker processes.
    """
    _check(executor)
    found: dict[int, Any] = dict(known or {})
    lost: dict[int, str] = {}
    waiting = [i for i in range(len(items)) if i not in found]
    interrupted = False
    with Progress(label, len(items), done=len(items) - len(waiting)) as line, warnings.catch_warnings():
        # each task would repeat its warnings, and results say what matters; those of the store are about the run
        warnings.simplefilter("ignore", PkpdWarning)
        warnings.filterwarnings("always", "W_STORE", PkpdWarning)

        def finished(i: int, value: Any) -> None:
            found[i] = value
            if keep is not None:
                keep(i, value)
            line.advance()

        def failed(i: int, error: BaseException) -> None:
            lost[i] = _reason(error)
            line.advance(failed=True)

        try:
            if executor is None:
                for i in waiting:
                    try:
                        value = function(items[i])
                    except Exception as error:
                        failed(i, error)
                    else:
                        finished(i, value)
            else:
                _run_in(executor, function, items, waiting, finished, failed)
        except KeyboardInterrupt:
            interrupted = True
    for i in waiting:
        if i not in found and i not in lost:
            lost[i] = "not reached: interrupted"
    values = tuple(found.get(i) for i in range(len(items)))
    return Outcomes(values, tuple(Failure(i, lost[i]) for i in sorted(lost)), interrupted)


def _run_in(
    executor: Executor | Callable[[], Executor],
    function: Callable[[Any], Any],
    items: Sequence[Any],
    waiting: list[int],
    finished: Callable[[int, Any], None],
    failed: Callable[[int, BaseException], None],
) -> None:
    """Run tasks in an executor; where it can be made anew, also those that a killed worker took down."""
    if isinstance(executor, Executor):
        for i in _submit(executor, function, items, waiting, finished, failed):
            failed(
                i, BrokenExecutor("the executor broke: a worker was killed. Give executor=pkpd.processes(…)")
            )
        return
    remaining = waiting
    for _ in range(_LOST - 1):
        with executor() as pool:
            remaining = _submit(pool, function, items, remaining, finished, failed)
        if not remaining:
            return
    # some task kills its worker: one at a time, only the guilty one is lost
    while remaining:
        with executor() as pool:
            for place, i in enumerate(remaining):
                if _submit(pool, function, items, [i], finished, failed):
                    failed(i, BrokenExecutor("its worker was killed (out of memory?)"))
                    remaining = remaining[place + 1 :]
                    break
            else:
                return


def _submit(
    pool: Executor,
    function: Callable[[Any], Any],
    items: Sequence[Any],
    waiting: list[int],
    finished: Callable[[int, Any], None],
    failed: Callable[[int, BaseException], None],
) -> list[int]:
    """Run tasks in one executor; returns those that were lost because it broke."""
    futures: dict[Future[Any], int] = {}
    broken: list[int] = []
    seen: set[int] = set()

    def take(future: Future[Any]) -> None:
        i, error = futures[future], future.exception()
        if isinstance(error, BrokenExecutor):
            broken.append(i)
        elif error is None:
            finished(i, future.result())
        elif isinstance(error, Exception):
            failed(i, error)
        else:
            raise error
        seen.add(i)

    try:
        for place, i in enumerate(waiting):
            try:
                futures[pool.submit(_in_worker, function, items[i], os.getpid())] = i
            except BrokenExecutor:
                broken += waiting[place:]
                break
        for future in as_completed(futures):
            take(future)
    except KeyboardInterrupt:
        for future, i in futures.items():
            if not future.cancel() and future.done() and i not in seen and future.exception() is None:
                take(future)
        raise
    return sorted(broken)


def _in_worker(function: Callable[[Any], Any], item: Any, parent: int) -> Any:
    """Run one task where others run beside it: with one thread, and alone where numba's threads demand it."""
    from pkpd import _jit

    before = _jit.threads()
    _jit.set_threads(1)
    try:
        if os.getpid() != parent:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PkpdWarning)
                return function(item)
        with contextlib.nullcontext() if _reentrant(_jit) else _UNSAFE:
            return function(item)
    finally:
        _jit.set_threads(before)


def _reentrant(jit: Any) -> bool:
    # the layer is known once a parallel kernel has run; the "workqueue" one ends the process if two threads enter it
    try:
        return jit.numba.threading_layer() != "workqueue"
    except ValueError:
        return False


def _check(executor: Any) -> None:
    if executor is None or (callable(executor) and not isinstance(executor, (Executor, type))):
        return
    if not isinstance(executor, Executor):
        raise InputError(
            "E_EXECUTOR",
            f"executor={executor!r} runs no tasks.",
            "Give a concurrent.futures executor, pkpd.processes(…), or client.get_executor() of a Dask client.",
        )
    context = getattr(executor, "_mp_context", None)
    if context is not None and context.get_start_method() == "fork":
        raise InputError(
            "E_EXECUTOR",
            "the executor forks its worker processes, and a fork cannot use numba's threads: every worker would be killed.",
            "Give executor=pkpd.processes(…), or a ProcessPoolExecutor(mp_context=multiprocessing.get_context('spawn')).",
        )


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, PkpdError) else f"{type(error).__name__}: {error}"


class Progress:
    """A line that counts on a terminal, and nothing elsewhere or inside another one (context manager).

    Parameters
    ----------
    label : str
        What is counted; no line if empty.
    total : int
        How many there are; 0 if unknown.
    done : int
        How many are there at the start.
    out : text stream
        Standard error by default.
    """

    _open = 0  # lines that are shown: a fit within a bootstrap has none of its own

    def __init__(self, label: str, total: int = 0, *, done: int = 0, out: TextIO | None = None) -> None:
        self._out = out or sys.stderr
        self._shown = bool(label) and hasattr(self._out, "isatty") and self._out.isatty()
        self._label, self._total = label, total
        self._done = self._first = done
        self._failed = 0
        self._start = self._last = time.monotonic()
        self._width = 0

    def advance(self, *, failed: bool = False) -> None:
        """One more has ended."""
        self._done += 1
        self._failed += failed
        text = f"{self._done}/{self._total}" if self._total else str(self._done)
        if self._failed:
            text += f", {self._failed} failed"
        self.say(text + self._left(), last=self._done == self._total)

    def reach(self, done: int, text: str) -> None:
        """Show a state in which ``done`` have ended; the first call says how many were there at the start."""
        if self._done == 0:
            self._first, self._start = done, time.monotonic()
        self._done = done
        self.say(text + self._left())

    def _left(self) -> str:
        """Time that the rest will take at the speed so far."""
        if not self._total or self._done <= self._first:
            return ""
        each = (time.monotonic() - self._start) / (self._done - self._first)
        return f", {each * (self._total - self._done):.0f} s left"

    def say(self, text: str, *, last: bool = False) -> None:
        """Show a state, at most ten times a second."""
        now = time.monotonic()
        if not self._shown or (now - self._last < 0.1 and not last):
            return
        self._last = now
        line = f"{self._label}: {text}"
        self._out.write("\r" + line.ljust(self._width))
        self._out.flush()
        self._width = len(line)

    def __enter__(self) -> Progress:
        self._shown = self._shown and Progress._open == 0
        Progress._open += self._shown
        return self

    def __exit__(self, *exception: object) -> None:
        Progress._open -= self._shown
        if self._width:
            self._out.write("\r" + " " * self._width + "\r")
            self._out.flush()
