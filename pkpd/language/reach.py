"""Which derivatives are not identically zero: the slots that reach a state through its rate, its events, or another state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["held_entries", "reach"]


def reach(
    rates: Sequence[Any], states: Sequence[Any], symbols: Sequence[Any], of_events: Iterable[tuple[int, int]]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Order the slots so that those that reach a state come first, as nearly as one order for all states allows.

    Parameters
    ----------
    rates : sequence
        Right-hand sides (n) in states and slots.
    states, symbols : sequences
        Symbols of the states and of the slots (P).
    of_events : iterable of (int, int)
        Compartment, and slot that an event in it depends on.

    Returns
    -------
    order : tuple of int
        The slot at each place.
    widths : tuple of int
        For each state how many places, from the first, hold all slots that reach it.
    """
    place, slot = {s: i for i, s in enumerate(states)}, {s: i for i, s in enumerate(symbols)}
    # the slot of a condition too, which has no derivative: where it is a time the rates switch
    reached = [{slot[s] for s in rate.free_symbols if s in slot} for rate in rates]
    for i, s in of_events:
        reached[i].add(s)
    sources = [[place[s] for s in rate.free_symbols if s in place] for rate in rates]
    for _ in rates:
        for i, others in enumerate(sources):
            reached[i] = reached[i].union(*(reached[m] for m in others))
    order = sorted(range(len(symbols)), key=lambda s: -sum(s in r for r in reached))
    widths = tuple(max((a + 1 for a, s in enumerate(order) if s in r), default=0) for r in reached)
    return tuple(order), widths


def held_entries(order: Sequence[int], widths: Sequence[int]) -> np.ndarray:
    """Entries of the flat array of :mod:`pkpd.kernels.variation` that are integrated, in the order in which they are.

    The states; each state's first derivatives, slots by place; each state's second derivatives, pairs (a, b) of places, b <= a,
    one after the other.
    """
    n, slots = len(widths), len(order)
    pairs = slots * (slots + 1) // 2
    held = list(range(n))
    held += [n + i * slots + order[a] for i, width in enumerate(widths) for a in range(width)]
    for i, width in enumerate(widths):
        for a in range(width):
            for b in range(a + 1):
                high, low = max(order[a], order[b]), min(order[a], order[b])
                held.append(n + n * slots + i * pairs + high * (high + 1) // 2 + low)
    return np.array(held, dtype=np.int64)
