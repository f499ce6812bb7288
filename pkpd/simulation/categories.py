"""Draws from endpoints that are likelihoods of their own, over the values that the user says they can take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from pkpd.errors import InputError
from pkpd.language import Problem
from pkpd.language.scales import Values
from pkpd.simulation.prediction import predictions

__all__ = ["checked_categories", "draw_categories"]

_MASS = 1e-6  # how far the probabilities of a record may be from one: rounding, and the tail of a count


def checked_categories(
    problem: Problem, given: Mapping[str, Sequence[float]] | None
) -> tuple[np.ndarray | None, ...]:
    """Values that each endpoint can take; None where it is not a likelihood of its own.

    Raises
    ------
    InputError
        ``E_SIMULATE_LIKELIHOOD`` for such an endpoint without values, values for another one, and for hazards.
    """

    def refuse(what: str, remedy: str) -> InputError:
        return InputError("E_SIMULATE_LIKELIHOOD", what, remedy)

    offered = dict(given or {})
    out: list[np.ndarray | None] = []
    for o in problem.model.observations:
        if not o.likelihood:
            out.append(None)
            continue
        if o.cumulative is not None:
            raise refuse(
                f"{o.name} is the hazard of an event, whose time is no value at a sampling time.",
                "Use pkpd.simulate_events; give residual_error=False for the other endpoints.",
            )
        if o.name not in offered:
            raise refuse(
                f"{o.name} is a likelihood of its own, which does not say what its values are.",
                f'Give categories={{"{o.name}": [0, 1]}}; of a count, range(200).',
            )
        try:
            values = np.unique(np.array(list(offered.pop(o.name)), dtype=float))
        except (TypeError, ValueError):
            values = np.array([np.nan])
        if not len(values) or not np.isfinite(values).all():
            raise refuse(f"the values of {o.name} are not numbers.", "Give e.g. [0, 1].")
        out.append(values)
    if offered:
        raise refuse(f"{', '.join(offered)} is no endpoint with a likelihood of its own.", "Leave it out.")
    return tuple(out)


def draw_categories(
    problem: Problem,
    values: Values,
    etas: np.ndarray,
    categories: tuple[np.ndarray | None, ...],
    noise: np.ndarray,
) -> np.ndarray:
    """A value for each record of such an endpoint, NaN for the others.

    Parameters
    ----------
    categories : tuple
        From :func:`checked_categories`.
    noise : (O,) array
        Standard normal numbers; their ranks are the uniform numbers that are drawn with.

    Raises
    ------
    InputError
        ``E_SIMULATE_LIKELIHOOD`` if the probabilities of a record do not add up to one over the values.
    """
    from scipy.special import ndtr

    out = np.full(len(noise), np.nan)
    for k, support in enumerate(categories):
        here = np.flatnonzero(problem.records.endpoint == k)
        if support is None or not len(here):
            continue
        mass = np.stack([np.exp(-0.5 * _minus2ll(problem, values, etas, y)[here]) for y in support], axis=1)
        total = mass.sum(axis=1)
        wrong = np.flatnonzero(~(np.abs(total - 1) < _MASS))
        if len(wrong):
            raise InputError(
                "E_SIMULATE_LIKELIHOOD",
                f"the probabilities of {problem.model.observations[k].name} over {_range(support)} add up to "
                f"{total[wrong[0]]:.6g} at time {problem.records.time[here[wrong[0]]]:g}, not to 1.",
                "Give all values that the endpoint can take, and no others.",
            )
        reached = np.cumsum(mass, axis=1) / total[:, None]
        out[here] = support[(reached < ndtr(noise[here])[:, None]).sum(axis=1).clip(max=len(support) - 1)]
    return out


def _minus2ll(problem: Problem, values: Values, etas: np.ndarray, y: float) -> np.ndarray:
    """-2 log-likelihood of every record, were ``y`` its observation (the last input)."""
    at: Any = problem.inputs.at_records.copy()
    at[:, -1] = y
    f, _, _ = predictions(replace(problem, inputs=replace(problem.inputs, at_records=at)), values, etas)
    return f


def _range(support: np.ndarray) -> str:
    shown = ", ".join(f"{v:g}" for v in support[:4])
    return shown if len(support) <= 4 else f"{shown}, … {support[-1]:g}"
