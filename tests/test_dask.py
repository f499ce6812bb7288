"""Replicates on a real Dask scheduler with two worker processes on loopback: same bits, and a killed worker loses nothing."""

from __future__ import annotations

import functools
import os
import signal
import time
from pathlib import Path

import pandas as pd
import pytest

import pkpd
from pkpd import parallel
from tests.population.intercept import dataset, intercept, measurements

distributed = pytest.importorskip("distributed", reason='needs the extra: pip install "pkpd[dask]"')


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.mark.filterwarnings("ignore::pkpd.PkpdWarning")
def test_a_bootstrap_has_the_same_bits_as_here(client):
    fit = pkpd.fit(intercept, dataset(measurements()), pkpd.FOCEI(covariance=None))
    here = pkpd.bootstrap(fit, 6, seed=4)
    there = pkpd.bootstrap(fit, 6, seed=4, executor=client.get_executor())
    pd.testing.assert_frame_equal(there.replicates, here.replicates, check_exact=True)
    assert there.failures.empty


def killing(item, folder):
    """Kill the worker the first time that item 5 comes by, half-way through."""
    mark = Path(folder) / "killed"
    if item == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return item * item, os.getpid()


def test_a_killed_worker_loses_nothing(client, tmp_path):
    out = parallel.run(
        functools.partial(killing, folder=str(tmp_path)), range(12), executor=client.get_executor()
    )
    assert (tmp_path / "killed").exists()
    assert not out.failures
    assert [v[0] for v in out.values] == [i * i for i in range(12)]
    assert os.getpid() not in {v[1] for v in out.values}
