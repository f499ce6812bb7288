"""Text of the variational equations: what the stepper calls at every stage, without loops over zeros.

With J and H the first and second derivatives of the rates, X_i the derivatives of state i to the slots (of a slot: 1 at its own
place) and Y_i its second derivatives, Ẋ = J·X and Ẏ = J·Y + Σ_uv H_uv·X_u⊗X_v. Rows run along memory: a row of Y belongs to
one slot, and what multiplies X_u in it is a number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise

__all__ = ["first_lines", "second_lines"]


def _starts(widths: Sequence[int]) -> tuple[list[int], list[int]]:
    """Where each state's first and second derivatives begin: see :func:`pkpd.language.reach.held_entries`."""
    first, second, at = [], [], len(widths)
    for width in widths:
        first.append(at)
        at += width
    for width in widths:
        second.append(at)
        at += width * (width + 1) // 2
    return first, second


def _row(target: int, width: int, along: Iterable[tuple[str, int, int]], single: dict[int, str]) -> list[str]:
    """Assign a row: ``along`` are factors with where and how far the row is that they multiply, ``single`` lone summands."""
    along = list(along)
    cuts = sorted({0, width, *(min(reach, width) for _, _, reach in along)})
    lines = []
    for low, high in pairwise(cuts):
        terms = [f"{factor}*x[c + {start}]" for factor, start, reach in along if reach >= high]
        lone = [f"{term} if c == {a} else " for a, term in sorted(single.items()) if low <= a < high]
        terms += [f"({''.join(lone)}0.0)"] if lone else []
        lines += [
            f"for c in range({low}, {high}):",
            f"    values[c + {target}] = {' + '.join(terms) or '0.0'}",
        ]
    return lines


def first_lines(
    jacobian: Iterable[tuple[int, int]], order: Sequence[int], widths: Sequence[int]
) -> list[str]:
    """Assign the rates of the first derivatives, where ``j3_1`` is the derivative of rate 3 to state or slot (from n) 1.

    Parameters
    ----------
    jacobian : iterable of (int, int)
        Rate, and state or slot, of the derivatives that are not identically zero.
    order, widths : sequences of int
        As :func:`pkpd.language.reach.reach` returns them.
    """
    n, place = len(widths), {s: a for a, s in enumerate(order)}
    first, _ = _starts(widths)
    of = defaultdict(list)
    for i, a in jacobian:
        of[i].append(a)
    lines = []
    for i, width in enumerate(widths):
        along = [(f"j{i}_{m}", first[m], widths[m]) for m in of[i] if m < n]
        lines += _row(first[i], width, along, {place[s - n]: f"j{i}_{s}" for s in of[i] if s >= n})
    return lines


def second_lines(
    jacobian: Iterable[tuple[int, int]],
    table: Sequence[Sequence[int]],
    order: Sequence[int],
    widths: Sequence[int],
) -> list[str]:
    """Assign the rates of the second derivatives; ``h3`` is the second derivative in row 3 of the table, the rest as above."""
    n, place = len(widths), {s: a for a, s in enumerate(order)}
    first, second = _starts(widths)
    lines = []
    for i, width in enumerate(widths):
        linear = [m for k, m in jacobian if k == i and m < n]
        rows = [(f"h{row}", u, v) for row, (k, u, v) in enumerate(table) if k == i]
        for s in range(width):
            factors: dict[int, list[str]] = defaultdict(list)
            single: dict[int, list[str]] = defaultdict(list)
            for h, u, v in rows:  # u >= v
                if v >= n:
                    a, b = place[u - n], place[v - n]
                    if max(a, b) == s:
                        single[min(a, b)].append(h)
                elif u >= n:
                    a = place[u - n]
                    if a == s:
                        factors[v].append(h)
                    if a <= s < widths[v]:
                        single[a].append(f"{h}*x[{first[v] + s}]")
                else:
                    for one, other in ((u, v), (v, u)) if u != v else ((u, v),):
                        if s < widths[other]:
                            factors[one].append(f"{h}*x[{first[other] + s}]")
            start = s * (s + 1) // 2
            along = [(f"j{i}_{m}", second[m] + start, s + 1) for m in linear if s < widths[m]]
            for u, terms in factors.items():
                lines.append(f"u{i}_{s}_{u} = {' + '.join(terms)}")
                along.append((f"u{i}_{s}_{u}", first[u], widths[u]))
            lines += _row(second[i] + start, s + 1, along, {a: " + ".join(t) for a, t in single.items()})
    return lines
