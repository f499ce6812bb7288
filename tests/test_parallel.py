"""One door to executors: order, failures, killed workers, interruption, threads inside workers."""

from __future__ import annotations

import functools
import io
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd import parallel
from pkpd.errors import FitError, InputError

ITEMS = list(range(12))
HERE = Path(__file__)


def square(item):
    if item == 5:
        raise FitError("E_FIVE", "five cannot be squared.", "Leave it out.")
    return item * item, parallel.stream(7, 1, item).random()


def slowest_first(item):
    time.sleep(0.02 * (len(ITEMS) - item) / len(ITEMS))
    return item


def dies_once(item, folder=""):
    """Kill the worker the first time that item 3 comes by."""
    mark = Path(folder) / "killed"
    if item == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def always_dies(item):
    if item == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def threads_here(_):
    from pkpd import _jit

    return _jit.threads(), os.getpid()


@pytest.fixture(scope="module")
def executors():
    with (
        ThreadPoolExecutor(3) as threads,
        ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as workers,
    ):
        yield {"serial": None, "threads": threads, "processes": workers, "made": parallel.processes(2)}


@pytest.mark.parametrize("kind", ["serial", "threads", "processes", "made"])
def test_results_come_in_order_and_failures_are_listed(executors, kind):
    out = parallel.run(square, ITEMS, executor=executors[kind])
    expected = tuple(None if i == 5 else (i * i, parallel.stream(7, 1, i).random()) for i in ITEMS)
    assert out.values == expected
    assert out.failures == (parallel.Failure(5, "E_FIVE: five cannot be squared. Remedy: Leave it out."),)
    assert not out.interrupted


def test_the_order_is_that_of_the_items_not_of_the_finish(executors):
    assert parallel.run(slowest_first, ITEMS, executor=executors["threads"]).values == tuple(ITEMS)


def test_results_that_are_there_are_not_computed_again():
    kept = {}
    out = parallel.run(square, ITEMS, known={5: "there"}, keep=kept.__setitem__)
    assert out.values[5] == "there" and not out.failures
    assert sorted(kept) == [i for i in ITEMS if i != 5]


def test_streams_are_those_of_their_key_alone():
    assert parallel.stream(1, 2, 3).random() == parallel.stream(1, 2, 3).random()
    draws = {parallel.stream(*key).random() for key in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3), (1, 2)]}
    assert len(draws) == 5


def test_a_killed_worker_loses_nothing(tmp_path):
    task = functools.partial(dies_once, folder=str(tmp_path))
    out = parallel.run(task, ITEMS, executor=parallel.processes(2))
    assert (tmp_path / "killed").exists()
    assert out.values == tuple(ITEMS) and not out.failures


def test_a_task_that_always_kills_its_worker_is_listed_alone():
    out = parallel.run(always_dies, [0, 1, 2, 3], executor=parallel.processes(2))
    assert out.values == (0, None, 2, 3)
    assert [f.task for f in out.failures] == [1] and "killed" in out.failures[0].reason


def test_an_executor_that_breaks_keeps_what_was_finished():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        out = parallel.run(always_dies, [0, 1, 2], executor=pool)
    assert out.values[1] is None and out.values[2] is None
    assert all("pkpd.processes" in f.reason for f in out.failures)


@pytest.mark.parametrize("executor", [None, "threads"])
def test_an_interrupt_keeps_what_was_finished(executor):
    def task(item):
        if item == 4:
            raise KeyboardInterrupt
        return item

    with ThreadPoolExecutor(1) as pool:
        out = parallel.run(task, ITEMS, executor=pool if executor else None)
    assert out.interrupted
    assert out.values[:4] == (0, 1, 2, 3) and out.values[4] is None
    assert {f.task for f in out.failures} >= {4} and all("interrupted" in f.reason for f in out.failures)
    assert [i for i, v in enumerate(out.values) if v is None] == [f.task for f in out.failures]


def test_workers_use_one_thread_each(executors):
    here = parallel.run(threads_here, [0])
    there = parallel.run(threads_here, [0, 1], executor=executors["processes"])
    beside = parallel.run(threads_here, [0, 1], executor=executors["threads"])
    assert here.values[0][1] == os.getpid() and beside.values[0][1] == os.getpid()
    assert {v[0] for v in (*there.values, *beside.values)} == {1}
    assert os.getpid() not in {v[1] for v in there.values}


def test_what_is_no_executor_is_refused():
    with pytest.raises(InputError, match="E_EXECUTOR"):
        parallel.run(square, ITEMS, executor=4)
    with pytest.raises(InputError, match="E_EXECUTOR"):
        parallel.run(square, ITEMS, executor=ThreadPoolExecutor)
    with pytest.raises(InputError, match="E_EXECUTOR"):
        pkpd.processes(0)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system does not fork")
def test_forked_workers_are_refused_by_name():
    with (
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool,
        pytest.raises(InputError, match="fork"),
    ):
        parallel.run(square, ITEMS, executor=pool)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_shows_on_a_terminal_alone():
    for out in (Terminal(), io.StringIO()):
        with parallel.Progress("bootstrap", 2, out=out) as line:
            line.advance()
            line.advance(failed=True)
        assert ("bootstrap: 2/2, 1 failed" in out.getvalue()) == out.isatty()
    out = Terminal()
    with parallel.Progress("", 1, out=out) as line:
        line.advance()
    assert out.getvalue() == ""


def test_a_line_within_a_line_is_silent():
    outer, inner = Terminal(), Terminal()
    with (
        parallel.Progress("bootstrap", 1, out=outer) as line,
        parallel.Progress("fit", 1, out=inner) as other,
    ):
        other.advance()
        line.advance()
    assert "bootstrap" in outer.getvalue() and inner.getvalue() == ""
    with parallel.Progress("fit", 1, out=inner) as other:
        other.advance()
    assert "fit: 1/1" in inner.getvalue()


def test_kernels_run_in_several_threads_at_once():
    model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")

    def task(_):
        return pkpd.evaluate(model, data).ofv

    with ThreadPoolExecutor(3) as pool:
        out = parallel.run(task, range(20), executor=pool)
    assert not out.failures
    assert set(out.values) == {task(0)} and np.isfinite(out.values[0])


def test_threads_that_numba_cannot_enter_twice_take_turns():
    script = (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import pkpd\n"
        "from pkpd import parallel\n"
        "model, data = pkpd.load_model('theophylline'), pkpd.load_dataset('theophylline')\n"
        "with ThreadPoolExecutor(3) as pool:\n"
        "    out = parallel.run(lambda _: pkpd.evaluate(model, data).ofv, range(30), executor=pool)\n"
        "assert not out.failures, out.failures\n"
        "print(len(set(out.values)))\n"
    )
    environment = {**os.environ, "NUMBA_THREADING_LAYER": "workqueue"}
    ended = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert ended.stdout.strip() == "1", ended.stderr


def test_a_seed_is_a_whole_number():
    """Compiled code took 1.5 for 1 and -1 for 2^64 - 1; the others ended in NumPy's traceback."""
    model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")
    fit = pkpd.fit(model, data, pkpd.FOCEI(max_iterations=0, covariance=None))
    uses = [
        lambda seed: pkpd.fit(model, data, pkpd.FOCEI(starts=2), seed=seed),
        lambda seed: pkpd.starting_values(model, data, seed=seed),
        lambda seed: pkpd.simulate(model, data, seed=seed),
        lambda seed: pkpd.importance_sampling(fit, seed=seed),
        lambda seed: pkpd.conditional_draws(fit, seed=seed),
        *(lambda seed, use=use: use(fit, 3, seed) for use in (pkpd.bootstrap, pkpd.vpc, pkpd.npde)),
    ]
    for seed in (-1, 1.5, "1", True, None, 2**63):
        for use in uses:
            with pytest.raises(InputError, match="E_ARGUMENT: seed="):
                use(seed)
