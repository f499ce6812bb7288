"""Compiling ahead: every kernel module once, after those that it needs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import pkpd
from pkpd import _jit, compiling
from pkpd.errors import InputError

KERNELS = Path(pkpd.__file__).parent / "kernels"


def test_each_module_is_loaded_once_and_after_what_it_imports(monkeypatch):
    loaded, told = [], []
    monkeypatch.setattr(compiling, "processes", lambda workers: lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(compiling, "_load", loaded.append)
    count = compiling.compile_kernels(progress=lambda *done: told.append(done))
    assert sorted(loaded) == sorted(p.stem for p in KERNELS.glob("*.py") if p.stem != "__init__")
    assert count == len(loaded) and told[-1] == (count, count)
    before = {
        "first_order": "inner",
        "inner": "penalised",
        "saem": "mcmc",
        "linear": "linear_step",
        "ode": "radau",
    }
    for name, needed in before.items():
        assert loaded.index(needed) < loaded.index(name)


def test_a_module_that_fails_is_not_passed_over(monkeypatch):
    def load(name):
        raise RuntimeError(name)

    monkeypatch.setattr(compiling, "processes", lambda workers: lambda: ThreadPoolExecutor(1))
    monkeypatch.setattr(compiling, "_load", load)
    with pytest.raises(RuntimeError):
        compiling.compile_kernels()


def test_without_a_place_to_keep_them_it_says_so(monkeypatch):
    monkeypatch.setattr(_jit, "cache_folder", lambda: None)
    with pytest.raises(InputError, match=r"E_OUTPUT.*PKPD_CACHE_DIR"):
        compiling.compile_kernels()
