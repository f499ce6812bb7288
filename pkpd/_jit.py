"""The only file that imports numba: decorators, function types, and where compiled code is kept.

Every kernel carries one explicit signature, so that it is compiled once on a machine and then loaded from disk by every
process and for every model; a model reaches the kernels as first-class functions of the types below. numba's own cache
does not notice an edit in another file, so compiled kernels live in a folder named after a hash of all kernel sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba import njit, prange, types

__all__ = [
    "A1", "A2", "A3", "HESSIAN", "I1", "I2", "JACOBIAN", "OUTPUT", "PARAMETERS", "RATES", "SOLVER", "STEADY", "SUBJECTS",
    "SYSTEM", "cache_folder", "compile_generated", "f8", "i8", "kernel", "prange", "set_threads", "threads", "void",
]  # fmt: skip

f8, i8, void = types.float64, types.int64, types.void
A1, A2, A3 = f8[::1], f8[:, ::1], f8[:, :, ::1]
I1, I2 = i8[::1], i8[:, ::1]

# What a traced model compiles to. order: 0 values, 1 and first, 2 and second derivatives.
# order, theta, eta, covariates -> p (P), dp (P, eta+theta), d2p (P, eta, eta+theta)
PARAMETERS_SIGNATURE = void(i8, A1, A1, A1, A1, A2, A3)
# t, x, p -> dx (n)
RATES_SIGNATURE = void(f8, A1, A1, A1)
# t, x, p -> J (n, n+P+1): derivatives to states, slots and time
JACOBIAN_SIGNATURE = void(f8, A1, A1, A2)
# t, x, p -> the second derivatives that are not identically zero, in the order of the model's index table
HESSIAN_SIGNATURE = void(f8, A1, A1, A1)
# order, endpoint, t, x, p -> g (1), dg (n+P), d2g (n+P, n+P)
OUTPUT_SIGNATURE = void(i8, i8, f8, A1, A1, A1, A1, A2)

PARAMETERS = types.FunctionType(PARAMETERS_SIGNATURE)
RATES = types.FunctionType(RATES_SIGNATURE)
JACOBIAN = types.FunctionType(JACOBIAN_SIGNATURE)
HESSIAN = types.FunctionType(HESSIAN_SIGNATURE)
OUTPUT = types.FunctionType(OUTPUT_SIGNATURE)

# The one signature of what finds steady states (see kernels/linear_steady.py for what each argument is).
STEADY_SIGNATURE = i8(
    i8, i8, f8, A1, I2, i8, i8, f8, f8, f8, RATES, JACOBIAN, HESSIAN, OUTPUT, I2, A1, A1, A2
)
STEADY = types.FunctionType(STEADY_SIGNATURE)

# The one signature of every solver (see kernels/linear.py for what each argument is).
SOLVER_SIGNATURE = i8(
    i8, i8, A1, RATES, JACOBIAN, HESSIAN, OUTPUT, STEADY, I2, A1, I2, A1,
    A1, I1, A1, A1, I1, I1, A1, A1, I1, I1,
    A1, A2, A3,
)  # fmt: skip
SOLVER = types.FunctionType(SOLVER_SIGNATURE)

# The arguments that every population kernel takes first: Problem.system, then Problem.subject_data.
SYSTEM = (SOLVER, PARAMETERS, RATES, JACOBIAN, HESSIAN, OUTPUT, STEADY, i8, i8, I2, A1, I2, A1)
SUBJECTS = (A2, I1, A1, I1, A1, A1, I1, I1, A1, I1, A1, I1, I1)

_PACKAGE = Path(__file__).parent


def _cache_home() -> Path:
    if os.environ.get("PKPD_CACHE_DIR"):
        return Path(os.environ["PKPD_CACHE_DIR"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "pkpd"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pkpd"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pkpd"


@cache
def cache_folder() -> Path | None:
    """Folder of compiled code for exactly these kernel sources, numba and Python; None where nothing can be written."""
    digest = hashlib.sha256()
    for source in [Path(__file__), *sorted((_PACKAGE / "kernels").glob("*.py"))]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    digest.update(f"{numba.__version__} {sys.version}".encode())
    home = _cache_home()
    folder = home / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".write-{os.getpid()}"
        probe.touch()
        probe.unlink()
        _prune(home, keep=folder)
    except OSError:
        return None
    return folder


def _prune(home: Path, keep: Path, days: float = 30.0) -> None:
    """Remove compiled code of other versions that nobody has touched for a month."""
    keep.touch()
    for old in home.glob("kernels-*"):
        with contextlib.suppress(OSError):  # another process may be removing the same folder
            if old != keep and time.time() - old.stat().st_mtime > days * 86400:
                shutil.rmtree(old, ignore_errors=True)


@contextlib.contextmanager
def _cache_here() -> Iterator[bool]:
    folder = cache_folder()
    before = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    try:
        yield folder is not None
    finally:
        numba.config.CACHE_DIR = before


def kernel(
    signature: Any = None, *, parallel: bool = False, inline: bool = False
) -> Callable[[Callable], Any]:
    """Compile a kernel with the flags that all kernels share.

    Parameters
    ----------
    signature : numba signature, optional
        The explicit signature; left out only for small functions that are called from other kernels.
    parallel : bool
        Whether ``prange`` loops run on several threads.
    inline : bool
        Inline into the calling kernel.

    Notes
    -----
    ``error_model="numpy"``: a division by zero gives inf, because an exception inside ``prange`` would vanish;
    every kernel reports an integer status instead.
    """

    def decorate(function: Callable) -> Any:
        with _cache_here() as writable:
            options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": writable}
            if signature is None or parallel:
                options["no_cfunc_wrapper"] = True  # nobody is handed these as a function
            if parallel:
                options["parallel"] = True
            if inline:
                options["inline"] = "always"
                options["cache"] = False
            return njit(**options)(function) if signature is None else njit(signature, **options)(function)

    return decorate


_SIGNATURES = {
    "parameters": PARAMETERS_SIGNATURE,
    "individual": PARAMETERS_SIGNATURE,
    "rates": RATES_SIGNATURE,
    "jacobian": JACOBIAN_SIGNATURE,
    "hessian": HESSIAN_SIGNATURE,
    "output": OUTPUT_SIGNATURE,
}
_GENERATED: dict[str, dict[str, Any]] = {}


def compile_generated(source: str) -> dict[str, Any]:
    """Compile generated model code.

    Parameters
    ----------
    source : str
        Python text; every function in it that is named in the table of signatures is compiled with that signature.

    Returns
    -------
    dict
        Compiled functions by name. The text is kept as a module in the cache folder under a hash of its content, so
        that a model that has been seen before costs no compilation.
    """
    key = hashlib.sha256(source.encode()).hexdigest()[:20]
    if key in _GENERATED:
        return _GENERATED[key]
    folder = cache_folder()
    namespace: dict[str, Any] = {}
    if folder is None:
        exec(compile(source, f"<pkpd model {key}>", "exec"), namespace)
    else:
        path = folder / f"model_{key}.py"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)  # someone may have emptied the cache since
            partial = path.with_suffix(f".{os.getpid()}.tmp")
            partial.write_text(source, encoding="utf-8")
            os.replace(partial, path)
        spec = importlib.util.spec_from_file_location(f"pkpd_generated_{key}", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module  # numba looks the module up by name when it loads compiled code
        spec.loader.exec_module(module)
        namespace = vars(module)
    compiled = {name: kernel(sig)(namespace[name]) for name, sig in _SIGNATURES.items() if name in namespace}
    _GENERATED[key] = compiled
    return compiled


def threads() -> int:
    """Number of threads that parallel kernels use."""
    return numba.get_num_threads()


def set_threads(n: int) -> None:
    """Use ``n`` threads in parallel kernels (results do not depend on it)."""
    numba.set_num_threads(max(1, min(n, numba.config.NUMBA_NUM_THREADS)))
