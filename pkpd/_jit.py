"""Where kernels meet numba: decorators, function types, and where compiled code is kept.

Every kernel carries one explicit signature, so that it is compiled once on a machine and then loaded from disk by every
process and for every model; a model reaches the kernels as first-class functions of the types below. numba's own cache
does not notice an edit in another file, so compiled kernels live in a folder named after a hash of all kernel sources.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numba
from numba import njit, prange, types

__all__ = [
    "A1", "A2", "A3", "HESSIAN", "I1", "I2", "JACOBIAN", "MODEL", "OBSERVED", "OUTPUT", "PARAMETERS", "RATES", "SOLVER", "STEADY",
    "SUBJECTS", "SYSTEM", "Observed", "Subjects", "System", "cache_folder", "f8", "i8", "imported_kernels",
    "kernel", "prange", "set_threads", "threads", "void",
]  # fmt: skip

f8, i8, void = types.float64, types.int64, types.void
A1, A2, A3 = f8[::1], f8[:, ::1], f8[:, :, ::1]
I1, I2 = i8[::1], i8[:, ::1]

# What a traced model compiles to. order: 0 values, 1 and first, 2 and second derivatives. P slots; p is (P+W,): the slots, then
# the time-varying inputs (covariates, occasions) at the time in question, to which no derivatives are taken.
# order, theta, eta, covariates -> p (P), dp (P, eta+theta), d2p (P, eta, eta+theta)
PARAMETERS_SIGNATURE = void(i8, A1, A1, A1, A1, A2, A3)
# t, x, p -> dx (n)
RATES_SIGNATURE = void(f8, A1, A1, A1)
# t, x, p -> J (n, n+P+1+W): derivatives to states, slots, time, and the inputs (which may move with time)
JACOBIAN_SIGNATURE = void(f8, A1, A1, A2)
# order, t, x, p -> values. For the closed form, order 0: second derivatives of dx in the order of the model's index table. For
# the steppers, orders 1 and 2: x and values are laid out as System.held says; fills the rates of x's first (and second)
# derivatives; orders 0 and -1: a whole explicit step of the states alone, and its interpolant (pkpd/language/explicit.py)
HESSIAN_SIGNATURE = void(i8, f8, A1, A1, A1)
# order, endpoint, t, x, p -> g (1), dg (n+P), d2g (n+P, n+P)
OUTPUT_SIGNATURE = void(i8, i8, f8, A1, A1, A1, A1, A2)

PARAMETERS = types.FunctionType(PARAMETERS_SIGNATURE)
RATES = types.FunctionType(RATES_SIGNATURE)
JACOBIAN = types.FunctionType(JACOBIAN_SIGNATURE)
HESSIAN = types.FunctionType(HESSIAN_SIGNATURE)
OUTPUT = types.FunctionType(OUTPUT_SIGNATURE)


class System(NamedTuple):
    """The numbers of a bound model.

    Attributes
    ----------
    n, slots : int
        Compartments, and parameter slots (P).
    table : (S, 3) int array
        Linear system without time-varying inputs: rows (i, j, slot): K[i, j] gains coefficient·p[slot]; j = n is a constant
        input, slot -1 a plain number. Otherwise: rows (i, a, b) of the second derivatives that ``hessian`` fills, over states
        and then slots.
    coefficients : (S,) array
        Of a linear system.
    event_slots : (7, places) int array
        Slots of the event properties (see :mod:`pkpd.kernels.events`) of each place; -1 where there is none. The first n
        places are the compartments.
    settings : array
        rtol, atol, most steps, 1 for implicit steps only, then times at which the rates switch.
    affine : (K,) int array
        1 for outputs that are affine in the states, with coefficients made of slots alone.
    held : int array
        Entries of the flat array of :mod:`pkpd.kernels.variation` that the steppers integrate: the states, and which
        of their first and second derivatives are not identically zero.
    """

    n: Any
    slots: Any
    table: Any
    coefficients: Any
    event_slots: Any
    settings: Any
    affine: Any
    held: Any


class Subjects(NamedTuple):
    """The data of all subjects; those of subject i are ``offsets[i]:offsets[i+1]``.

    Attributes
    ----------
    covariates : (N, C) array
        What does not change within a subject.
    dose_offsets (N+1,), dose_time, dose_cmt, dose_place, dose_amt, dose_rate, dose_row, dose_kind, dose_interval : arrays (D,)
        Dose records with additional doses written out. ``dose_place`` is the column of ``event_slots``; a rate of 0 is a
        bolus, row the record's place in the data; kind and interval (II) as in :mod:`pkpd.kernels.events`.
    dose_inputs : (D, W) array
        Time-varying inputs of the dose's record: under these a steady-state dose has its steady state, whatever piece of the
        inputs comes after the record.
    obs_offsets (N+1,), obs_time, obs_endpoint, obs_row : arrays (O,)
        Where outputs are wanted, in order of time.
    obs_inputs : (O, W) array
        Time-varying inputs that an output reads at its record.
    change_offsets (N+1,), change_time (C,), change_value (C, W), change_slope (C, W)
        Time-varying inputs in pieces: from ``change_time`` on they are value + slope·(t - change_time). A subject's first piece
        holds from its first record on.
    """

    covariates: Any
    dose_offsets: Any
    dose_time: Any
    dose_cmt: Any
    dose_place: Any
    dose_amt: Any
    dose_rate: Any
    dose_row: Any
    dose_kind: Any
    dose_interval: Any
    dose_inputs: Any
    obs_offsets: Any
    obs_time: Any
    obs_endpoint: Any
    obs_row: Any
    obs_inputs: Any
    change_offsets: Any
    change_time: Any
    change_value: Any
    change_slope: Any


class Observed(NamedTuple):
    """What was observed, as a likelihood reads it; the records are those of :class:`Subjects`.

    Attributes
    ----------
    value, limit : (O,) arrays
        Observation or bound, and the other bound of an interval, on the scale of the endpoint's error model (logarithms where
        that is log-normal).
    kind : (O,) int array
        What the value is: the kinds of :mod:`pkpd.kernels.likelihood`, 0 where the record does not count.
    residual : (K, 5) or, with correlated residuals, (K, 6 + K) int array
        Error model of each endpoint: see :func:`pkpd.kernels.variance.error_variance` and :mod:`pkpd.kernels.correlation`.
    """

    value: Any
    limit: Any
    kind: Any
    residual: Any


SYSTEM = types.NamedTuple((i8, i8, I2, A1, I2, A1, I1, I1), System)
SUBJECTS = types.NamedTuple(
    (A2, I1, A1, I1, I1, A1, A1, I1, I1, A1, A2, I1, A1, I1, I1, A2, I1, A1, A2, A2), Subjects
)
OBSERVED = types.NamedTuple((A1, A1, I1, I2), Observed)

# The one signature of what finds steady states (see kernels/linear_steady.py for what each argument is).
STEADY_SIGNATURE = i8(i8, f8, A1, i8, i8, i8, f8, f8, f8, RATES, JACOBIAN, HESSIAN, OUTPUT, SYSTEM, A2)
STEADY = types.FunctionType(STEADY_SIGNATURE)

# The one signature of every solver: order, subject, p, the model, the data -> f (O,), f_p (O, P), f_pp (O, P, P) of its records,
# and a status. Reaching ``steady`` as a function keeps its code out of the solver.
SOLVER_SIGNATURE = i8(i8, i8, A1, RATES, JACOBIAN, HESSIAN, OUTPUT, STEADY, SYSTEM, SUBJECTS, A1, A2, A3)
SOLVER = types.FunctionType(SOLVER_SIGNATURE)

# The arguments that a population kernel takes for the model: Problem.compiled.
MODEL = (SOLVER, PARAMETERS, RATES, JACOBIAN, HESSIAN, OUTPUT, STEADY, SYSTEM)

_PACKAGE = Path(__file__).parent


def _cache_home() -> Path:
    if os.environ.get("PKPD_CACHE_DIR"):
        return Path(os.environ["PKPD_CACHE_DIR"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "pkpd"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pkpd"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pkpd"


_IMPORT = re.compile(r"^from pkpd\.kernels(?:\.(\w+))? import (.+)$", re.MULTILINE)


def imported_kernels(text: str) -> set[str]:
    """Kernel modules that the text of one imports itself."""
    return {
        name.strip(" ()")
        for target, names in _IMPORT.findall(text)
        for name in ([target] if target else names.split(","))
    }


@cache
def _digest(module: str) -> str:
    """Hash of this file, of a kernel module, and of the kernel modules that it imports, directly or not."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    digest.update(f"{numba.__version__} {sys.version}".encode())
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        text = (_PACKAGE / "kernels" / f"{name}.py").read_text(encoding="utf-8")
        waiting.extend(imported_kernels(text))
    for name in sorted(seen):
        digest.update(name.encode() + b"\0" + (_PACKAGE / "kernels" / f"{name}.py").read_bytes() + b"\0")
    return digest.hexdigest()[:16]


@cache
def cache_folder(module: str = "") -> Path | None:
    """Folder of compiled code; None where nothing can be written.

    Parameters
    ----------
    module : str
        A kernel module (``"first_order"``): its folder is named after its sources and those of what it imports, numba and Python,
        so that an edit compiles again what it touches and nothing else. Without it, the folder of generated model code,
        which depends on this file alone.
    """
    home = _cache_home()
    mark = (
        _digest(module)
        if module
        else hashlib.sha256(
            Path(__file__).read_bytes() + f"{numba.__version__} {sys.version}".encode()
        ).hexdigest()[:16]
    )
    folder = home / f"kernels-{module or 'models'}-{mark}"
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
def _cache_here(module: str | None) -> Iterator[bool]:
    package, _, name = (module or "").rpartition(".")  # code that was run from a text has no module
    folder = cache_folder(name if package == "pkpd.kernels" else "")
    before = numba.config.CACHE_DIR
    if folder is not None:
        numba.config.CACHE_DIR = str(folder)
    try:
        yield folder is not None
    finally:
        numba.config.CACHE_DIR = before


def kernel(
    signature: Any = None, *, parallel: bool = False, inline: bool = False, allocates: bool = True
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
    allocates : bool
        False for code that makes no arrays and returns none: it then counts no references, which inside a loop costs more than
        the work itself (an atomic operation for each array that is passed on) and twice the time to compile.

    Notes
    -----
    ``error_model="numpy"``: a division by zero gives inf, because an exception inside ``prange`` would vanish;
    every kernel reports an integer status instead.
    """

    def decorate(function: Callable) -> Any:
        with _cache_here(function.__module__) as writable:
            options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "cache": writable}
            if signature is None or parallel:
                options["no_cfunc_wrapper"] = True  # nobody is handed these as a function
            if parallel:
                options["parallel"] = True
            if not allocates:
                options["_nrt"] = False
            if inline:
                options["inline"] = "always"
                options["cache"] = False
            return njit(**options)(function) if signature is None else njit(signature, **options)(function)

    return decorate


def threads() -> int:
    """Number of threads that parallel kernels use."""
    return numba.get_num_threads()


def set_threads(n: int) -> None:
    """Use ``n`` threads in parallel kernels (results do not depend on it)."""
    numba.set_num_threads(max(1, min(n, numba.config.NUMBA_NUM_THREADS)))
