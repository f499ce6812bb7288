"""Handing compiled functions to kernels without looking their addresses up again each time.

numba asks a function for the result of its compilation, and the linker for two addresses, whenever it is an argument: about 0.05
ms per function and call, more than a small problem needs to be evaluated. Here the function and its library remember the answers.
These are parts of numba that another version may name otherwise: where one is missing, everything works and is only slower.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["Direct", "quick"]


def quick(function: Any) -> Any:
    """Let ``function``, compiled with one explicit signature, remember its address; returns it."""
    if len(function.signatures) == 1 and "get_compile_result" not in vars(function):
        result = function.overloads[function.signatures[0]]
        asks = getattr(result.library, "get_pointer_to_function", None)
        if asks is not None and hasattr(function, "get_compile_result"):
            result.library.get_pointer_to_function = cache(asks)
            # there is one signature, and a caller's types have been checked against it by now
            function.get_compile_result = lambda _signature: result
    return function


class Direct:
    """Calls a kernel, compiled with one explicit signature, and checks the types of the arguments the first time only.

    To find out the types of some fifty arguments takes as long as a small problem. Who calls it must hand over arrays of the
    same types each time: nothing else looks at them again.
    """

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel
        self.compiled = getattr(kernel.overloads[kernel.signatures[0]], "entry_point", kernel)
        self.checked = False

    def __call__(self, *arguments: Any) -> None:
        """Call the kernel."""
        (self.compiled if self.checked else self.kernel)(*arguments)
        self.checked = True

    def __reduce__(self) -> tuple[Any, ...]:
        return Direct, (self.kernel,)
