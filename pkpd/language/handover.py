"""Handing compiled functions to kernels without looking their addresses up again each time.

numba asks a function for the result of its compilation, and the linker for two addresses, whenever it is an argument: about 0.05
ms per function and call, more than a small problem needs to be evaluated. Here the function and its library remember the answers.
"""

from __future__ import annotations

from functools import cache
from typing import Any

__all__ = ["quick"]


def quick(function: Any) -> Any:
    """Let ``function``, compiled with one explicit signature, remember its address; returns it."""
    if len(function.signatures) == 1 and "get_compile_result" not in vars(function):
        result = function.overloads[function.signatures[0]]
        result.library.get_pointer_to_function = cache(result.library.get_pointer_to_function)
        # there is one signature, and a caller's types have been checked against it by now
        function.get_compile_result = lambda _signature: result
    return function
