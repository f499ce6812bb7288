"""The same bits at one, two and four threads, for every method; in a process that may use four."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pkpd
from pkpd.language import bind
from pkpd.language.scales import Scales
from pkpd.population.objective import Objective

SCRIPT = """
import warnings, pkpd
from pkpd import FO, FOCE, FOCEI, AGQ, IMP, MAP, SAEM, Laplace, LogNormal, NaivePooled, TwoStage
from pkpd._jit import set_threads, threads
warnings.simplefilter("ignore")
model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")
methods = [FO(), FOCE(), FOCEI(), Laplace(), AGQ(nodes=3), MAP(priors={"CL": LogNormal(3, 0.2)}), NaivePooled(), TwoStage(),
           SAEM(iterations=(20, 20), samples=100), IMP(max_iterations=5, samples=100)]
for method in methods:
    seen = []
    for n in (1, 2, 4):
        set_threads(n)
        assert threads() == n
        fit = pkpd.fit(model, data, method, seed=3)
        seen.append([fit.parameters.to_numpy()[:, :3].tolist(), fit.individual_ofv.tolist(), fit.iterations.to_numpy().tolist(),
                     fit.individual_estimates.to_numpy().tolist(), fit.residuals.to_numpy()[:, 3:].tolist(), fit.ofv])
    assert repr(seen[0]) == repr(seen[1]) == repr(seen[2]), type(method).__name__
    print(type(method).__name__, "same")
"""


@pytest.mark.nightly
def test_every_method_has_the_same_bits_at_any_number_of_threads():
    root = Path(__file__).parents[2]
    environment = os.environ | {"NUMBA_NUM_THREADS": "4", "PYTHONPATH": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("same") == 10


@pytest.mark.parametrize("method", [pkpd.FOCE(), pkpd.FOCEI(), pkpd.Laplace(), pkpd.AGQ(nodes=2)])
def test_a_subject_does_not_depend_on_those_before_it(method):
    """What a thread kept from its last subject would make bits depend on the number of threads."""
    model, data = pkpd.load_model("theophylline"), pkpd.load_dataset("theophylline")
    found = []
    for frame in (data.frame, data.frame[data.frame["ID"].astype(int) > 6]):
        problem = bind(model, pkpd.read_dataset(frame))
        scales = Scales(problem)
        objective, start = Objective(problem, scales, method), scales.initial(problem)
        x = scales.free_values(start)
        point = objective.at(
            scales.from_free(x + 0.3 * np.linspace(-1, 1, len(x)), start), objective.at(start)
        )
        found.append(np.column_stack([point.etas, point.individual, point.gradients])[-6:])
    assert np.array_equal(*found)
