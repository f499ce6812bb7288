"""Numbers of each subject that equations read and the data alone determine: see :mod:`pkpd.language.structure`."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy

from pkpd.language.structure import Structure

__all__ = ["known_values"]


def known_values(structure: Structure, symbols: tuple[Any, ...], covariates: np.ndarray) -> np.ndarray:
    """Values (N, M) of ``structure.known``.

    Parameters
    ----------
    structure : Structure
    symbols : tuple
        Symbols of the first columns of ``covariates``.
    covariates : (N, C) array
    """
    columns = covariates[:, : len(symbols)].T
    with np.errstate(all="ignore"):
        values = [
            np.broadcast_to(compute(*columns), len(covariates))
            for compute in _computed(structure.known, symbols)
        ]
    return np.column_stack(values).astype(float)


@lru_cache(maxsize=64)
def _computed(known: tuple[Any, ...], symbols: tuple[Any, ...]) -> tuple[Callable[..., Any], ...]:
    return tuple(sympy.lambdify(symbols, e, "numpy") for e in known)
