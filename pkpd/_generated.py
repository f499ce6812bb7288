"""Generated model functions: compiled once on a machine, loaded from disk by every process, handed to kernels as functions."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite.binding import add_symbol
from numba.core import types
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from pkpd import _jit, _machine

__all__ = ["compile_generated"]

_SIGNATURES = {
    "parameters": _jit.PARAMETERS_SIGNATURE,
    "individual": _jit.PARAMETERS_SIGNATURE,
    "rates": _jit.RATES_SIGNATURE,
    "jacobian": _jit.JACOBIAN_SIGNATURE,
    "hessian": _jit.HESSIAN_SIGNATURE,
    "output": _jit.OUTPUT_SIGNATURE,
}
_GENERATED: dict[str, dict[str, Any]] = {}


class Generated(types.WrapperAddressProtocol):
    """A function that kernels take as an argument of its signature's type, and that Python can call with arrays."""

    def __init__(self, library: Any, symbol: str, signature: Any, source: str, name: str) -> None:
        self._library = library  # which owns the code
        self._address = library.get_pointer_to_function(symbol)
        self._signature = signature
        self._numba_type_ = types.FunctionType(signature)
        self._origin = source, name

    def __wrapper_address__(self) -> int:
        """Where it is, as numba's protocol of first-class functions asks."""
        return self._address

    def signature(self) -> Any:
        """As numba's protocol of first-class functions asks."""
        return self._signature

    def __reduce__(self) -> tuple[Any, ...]:
        """Another process compiles the text, or loads what came of it."""
        return _generated, self._origin

    def __call__(self, *arguments: Any) -> None:
        """Call it: numbers, and C-contiguous arrays of doubles."""
        passed: list[Any] = []
        for value, kind in zip(arguments, self._signature.args, strict=True):
            if not isinstance(kind, types.Array):
                passed.append((ctypes.c_double if kind == types.float64 else ctypes.c_int64)(value))
                continue
            if value.dtype != np.float64 or value.ndim != kind.ndim or not value.flags.c_contiguous:
                raise TypeError(f"{value.dtype} array of {value.ndim} dimensions where {kind} is needed")
            # the members of numba's array, each of which is an argument of its own
            whole = (value.size, value.itemsize)
            passed += [
                ctypes.c_void_p(),
                ctypes.c_void_p(),
                *map(ctypes.c_int64, whole),
                ctypes.c_void_p(value.ctypes.data),
            ]
            passed += map(ctypes.c_int64, (*value.shape, *value.strides))
        ctypes.CFUNCTYPE(ctypes.c_void_p)(self._address)(*passed)


def compile_generated(source: str) -> dict[str, Generated]:
    """Compile generated model code.

    Parameters
    ----------
    source : str
        Python text as :func:`pkpd._machine.module_of` takes it; every function in it that is named in the table of
        signatures is compiled.

    Returns
    -------
    dict
        Functions by name. The machine code is kept in the cache folder under a hash of the text, of what translates it, and of
        the processor, so that a model that has been seen before costs no compilation.
    """
    codegen = cpu_target.target_context.codegen()
    digest = hashlib.sha256(Path(_machine.__file__).read_bytes())
    digest.update(f"{codegen.magic_tuple()}\n{source}".encode())
    key = digest.hexdigest()[:20]
    if key not in _GENERATED:
        with global_compiler_lock:
            library = _library(codegen, source, f"pkpd_{key}", _jit.cache_folder())
            _GENERATED[key] = {
                name: Generated(library, f"pkpd_{key}_{name}", signature, source, name)
                for name, signature in _SIGNATURES.items()
                if f"def {name}(" in source
            }
    return _GENERATED[key]


def _generated(source: str, name: str) -> Generated:
    return compile_generated(source)[name]


def _library(codegen: Any, source: str, name: str, folder: Path | None) -> Any:
    """Load the machine code of a text, or compile it and keep it."""
    if "polygamma(" in source:
        from pkpd.kernels.gamma import polygamma

        result = polygamma.overloads[polygamma.signatures[0]]
        wrapper = result.fndesc.llvm_cfunc_wrapper_name
        add_symbol(_machine.POLYGAMMA, result.library.get_pointer_to_function(wrapper))
    kept = None if folder is None else folder / f"{name}.code"
    if kept is not None and kept.exists():
        return codegen.unserialize_library(pickle.loads(kept.read_bytes()))
    library = codegen.create_library(name)
    library.enable_object_caching()
    library.add_ir_module(_machine.module_of(source, _SIGNATURES, f"{name}_"))
    library.finalize()
    if kept is not None:
        partial = kept.with_suffix(f".{os.getpid()}.tmp")
        # what cannot be kept is compiled again
        with contextlib.suppress(OSError):
            kept.parent.mkdir(parents=True, exist_ok=True)  # someone may have emptied the cache since
            partial.write_bytes(pickle.dumps(library.serialize_using_object_code()))
            os.replace(partial, kept)
    return library
