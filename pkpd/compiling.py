"""Compiling every kernel ahead of its first use, on all processors, each once."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path

from pkpd import _jit
from pkpd.errors import InputError
from pkpd.parallel import processes

__all__ = ["compile_kernels"]


def compile_kernels(workers: int | None = None, progress: Callable[[int, int], None] | None = None) -> int:
    """Compile what is not on disk yet.

    Parameters
    ----------
    workers : int, optional
        Number of processes; by default one per processor that this one may use.
    progress : callable, optional
        Called with the numbers of modules that are ready, and of all.

    Returns
    -------
    int
        Number of kernel modules.

    Raises
    ------
    InputError
        ``E_OUTPUT`` where compiled code cannot be kept.
    """
    if _jit.cache_folder() is None:
        raise InputError(
            "E_OUTPUT",
            "compiled code cannot be kept: its folder cannot be written.",
            "Set PKPD_CACHE_DIR to one that can.",
        )
    folder = Path(_jit.__file__).parent / "kernels"
    texts = {p.stem: p.read_text(encoding="utf-8") for p in folder.glob("*.py") if p.stem != "__init__"}
    needs = {name: _jit.imported_kernels(text) for name, text in texts.items()}
    ready: set[str] = set()
    running: dict[Future[None], str] = {}
    with processes(workers)() as pool:
        while len(ready) < len(texts):
            # what needs only what is ready, or two processes would compile the same; long texts first, as they take longest
            next_ones = [n for n in texts if needs[n] <= ready and n not in ready | set(running.values())]
            for name in sorted(next_ones, key=lambda n: -len(texts[n])):
                running[pool.submit(_load, name)] = name
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                ready.add(running.pop(future))
            if progress is not None:
                progress(len(ready), len(texts))
    return len(texts)


def _load(name: str) -> None:
    importlib.import_module(f"pkpd.kernels.{name}")
