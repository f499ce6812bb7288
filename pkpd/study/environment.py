"""What a run depends on besides its input: versions, threads, and where compiled code is kept."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

__all__ = ["environment", "versions"]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in ("pkpd", "numpy", "scipy", "pandas", "numba"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def environment() -> dict[str, str]:
    """What a report of a fault should hold: versions, platform, threads, and the folder of compiled code.

    Returns
    -------
    dict
        The folder is ``"none: …"`` where nothing can be written, so that every process compiles anew.
    """
    from pkpd._jit import cache_folder, threads

    folder = cache_folder()
    return {
        **versions(),
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "threads": str(threads()),
        "compiled code": "none: set PKPD_CACHE_DIR to a writable folder"
        if folder is None
        else str(folder.parent),
    }
