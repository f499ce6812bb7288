"""Settings of the whole suite."""

from __future__ import annotations

import os

from hypothesis import settings

# The same examples at every run: a red suite is a change in the code. `make nightly` looks for new ones.
settings.register_profile("suite", derandomize=True, deadline=None)
settings.register_profile("nightly", max_examples=500, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "suite"))


def pytest_configure(config):
    if os.environ.get("PYTEST_XDIST_WORKER"):
        # the workers fill the processors: a kernel's second thread would wait for one at every call
        from pkpd import _jit

        _jit.set_threads(1)
