"""The outer search: BFGS upon the outer product of the subjects' exact gradients.

For a likelihood, ½ Σ gᵢgᵢᵀ approximates the Hessian of the objective (-2 log L), so the first step is already of the right
size in every direction; see Berndt, Hall, Hall & Hausman, Ann Econ Soc Meas 1974;3:653-665, and Nocedal & Wright,
Numerical Optimization, 2nd ed., chapters 3 and 6. It is taken anew at every point, and the steps so far update it there, as in
methods of limited memory: what the gradients of all subjects say now is worth more than what one sum said of a step long ago.

Where the gradient jumps (a subject's mode comes to an edge of its likelihood, :mod:`pkpd.kernels.edge`) the way down may lie
along that edge. It is then the shortest convex combination of the gradients on its sides, which is zero at a minimum there
(Lemaréchal, in: Handbooks in Operations Research 1989;1:529-572).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pkpd.population.objective import Point

__all__ = ["Search", "jumped", "minimise", "scoring_step"]

# on log scales: no parameter moves by more than a factor e in one iteration, nor doubles on plain ones; less after steps that
# proved too long, by factors of two
_LONGEST_STEP, _LEAST_REACH = 1.0, 0.1
# curvature of a step, relative to the outer product: far from any likelihood, that is no Hessian
_OVERSTATED = 0.1
_MEMORY = 40  # steps
_HALVINGS = 30
_CROSSINGS = 5  # of edges where the objective jumps
_STAGNANT = 25  # iterations without gain that end a search
_SHORT = 0.05  # of a step: what has not gone at this length is a jump
_SIDES = 12  # of an edge whose gradients are combined
_CROWDED = 3  # steps shorter than that in a row: an edge keeps them short
_NEAR = 1e-4  # of a step, from the edge to where the gradient on its other side is taken
_AT_EDGE = 1e-5  # expected gain below which a minimum at an edge is reached


@dataclass(frozen=True)
class Search:
    """How a search ended.

    Attributes
    ----------
    x : (free,) array
    point : Point
    converged : bool
    cause : str
        Why it stopped.
    history : tuple of (iteration, ofv, largest gradient)
    """

    x: np.ndarray
    point: Point
    converged: bool
    cause: str
    history: tuple[tuple[int, float, float], ...]


def _outer_product(point: Point) -> np.ndarray:
    assert point.gradients is not None
    b = 0.5 * point.gradients.T @ point.gradients
    scale = np.diag(b).copy()
    scale[scale <= 0] = 1.0
    # a little of the diagonal keeps it invertible with fewer subjects than parameters
    return b + np.diag(1e-3 * scale + 1e-8 * scale.max())


def scoring_step(point: Point) -> np.ndarray:
    """Step to where the outer product of the subjects' gradients expects the minimum."""
    return -np.linalg.solve(_outer_product(point), point.gradient)


def jumped(point: Point, trial: Point, step: np.ndarray) -> np.ndarray:
    """Which subjects' objectives (N,) changed in a short step as no smooth function would."""
    assert point.gradients is not None
    predicted = point.gradients @ step
    return np.abs(trial.individual - point.individual - predicted) > 0.02 + 5.0 * np.abs(predicted)


def _hessian(point: Point, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """The outer product at ``point``, updated by steps and changes of the gradient, oldest first; positive definite."""
    b = _outer_product(point)
    if pairs:
        s, y = pairs[-1]
        ratio = float(s @ y) / float(s @ b @ s)
        if ratio < _OVERSTATED:
            b *= max(ratio, 1e-3)
    for s, y in pairs:
        bs = b @ s
        sbs, sy = float(s @ bs), float(s @ y)
        if sy < 0.2 * sbs:  # Powell's damping keeps b positive definite
            y = (0.8 * sbs / (sbs - sy)) * y + (1 - 0.8 * sbs / (sbs - sy)) * bs
            sy = float(s @ y)
        b += np.outer(y, y) / sy - np.outer(bs, bs) / sbs
    return b


def _newton_step(point: Point, pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    try:
        return -np.linalg.solve(_hessian(point, pairs), point.gradient)
    except np.linalg.LinAlgError:
        return np.full(len(point.gradient), np.nan)


def _jump(point: Point, trial: Point, step: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Say whether a trial failed only because the modes of some subjects jumped.

    Returns
    -------
    (size, gradient) or None
        Sum of the jumps, and the gradient of the subjects that did not jump.
    """
    if not math.isfinite(trial.ofv) or point.gradients is None:
        return None
    change, predicted = trial.individual - point.individual, point.gradients @ step
    who = jumped(point, trial, step)
    size = float(np.sum(np.abs(change[who])))
    # a jump of a whole unit is no matter of two nearby modes
    if not who.any() or size > 1.0 or np.sum(change[~who]) > 1e-4 * np.sum(predicted[~who]):
        return None
    return size, point.gradients[~who].sum(axis=0)


def _shortest(gradients: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """Shortest convex combination of the rows, in the metric whose matrix has the lower Cholesky factor ``factor``."""
    from scipy.optimize import nnls

    scaled = np.linalg.solve(factor, gradients.T)
    size = float(np.abs(scaled).max())
    # least squares of (scaled·weights = 0, Σ weights = 1) differ from it by a factor only
    weights = nnls(
        np.vstack([scaled / size, np.ones(len(gradients))]), np.append(np.zeros(len(factor)), 1.0)
    )[0]
    return weights @ gradients / weights.sum()


def _along_edge(
    evaluate: Callable[[np.ndarray, Point | np.ndarray | None], Point],
    x: np.ndarray,
    point: Point,
) -> tuple[float, np.ndarray, Point]:
    """Step down from a point at which the gradient jumps.

    Returns
    -------
    expected : float
        What a step was expected to gain.
    x, point
        After the step; as they came where none was found.
    """
    b = _outer_product(point)
    gradients, factor = [point.gradient], np.linalg.cholesky(b)
    expected = math.inf
    for _ in range(_SIDES):
        shortest = _shortest(np.array(gradients), factor)
        step = -np.linalg.solve(b, shortest)
        expected = -0.5 * float(shortest @ step)
        if expected < _AT_EDGE:
            break
        step *= min(1.0, _LONGEST_STEP / float(np.max(np.abs(step))))
        length, beyond = 1.0, None
        while length >= _NEAR:
            trial = evaluate(x + length * step, point)
            if math.isfinite(trial.ofv):
                if trial.ofv <= point.ofv - 1e-2 * length * expected:
                    return expected, x + length * step, trial
                beyond = trial
            length *= 0.2
        # nothing new is learned from a gradient that promises the descent that was not found
        if beyond is None or float(beyond.gradient @ step) < -expected:
            break
        gradients.append(beyond.gradient)
    return expected, x, point


def minimise(
    evaluate: Callable[[np.ndarray, Point | np.ndarray | None], Point],
    x: np.ndarray,
    *,
    etas: np.ndarray | None,
    max_iterations: int,
    tolerance: float,
    begin: Point | None = None,
    progress: Callable[[int, float], None] | None = None,
    on_jump: Callable[[], bool] | None = None,
    plain: np.ndarray | None = None,
) -> Search:
    """Minimise the objective from ``x``.

    Parameters
    ----------
    evaluate : callable
        (x, what the modes start from) -> Point with gradients.
    x : (free,) array
    etas : (N, E) array or None
    max_iterations : int
    tolerance : float
        Stop when the expected fall of the objective, ½ gᵀB⁻¹g, is below this.
    begin : Point, optional
        The evaluation at ``x``, where there is one already.
    progress : callable, optional
        Called with (iteration, ofv).
    on_jump : callable, optional
        Called when a line search meets a jump of the objective; returns whether ``evaluate`` has changed, so that the
        search goes on from a new evaluation of the same parameters. Otherwise the search crosses the edge, a few times.
    plain : (free,) bool array, optional
        Which parameters are no logarithms or logits; by default all are.
    """
    plain = np.zeros(len(x), dtype=bool) if plain is None else plain
    point = evaluate(x, etas) if begin is None else begin
    if not math.isfinite(point.ofv):
        return Search(x, point, False, "the objective is not finite at the starting values", ())
    history = [(0, point.ofv, float(np.max(np.abs(point.gradient), initial=0.0)))]
    if len(x) == 0 or max_iterations == 0:
        cause = "nothing to estimate" if len(x) == 0 else "evaluated at the starting values"
        return Search(x, point, len(x) == 0, cause, tuple(history))
    pairs: list[tuple[np.ndarray, np.ndarray]] = []
    reach, crossings, crowded = _LONGEST_STEP, 0, 0
    for iteration in range(1, max_iterations + 1):
        if progress is not None:
            progress(iteration, point.ofv)
        g = point.gradient
        step = _newton_step(point, pairs)
        if not np.all(np.isfinite(step)) or g @ step >= 0:
            pairs = []
            step = _newton_step(point, pairs)
        expected = -0.5 * float(g @ step)
        if expected < tolerance:
            if iteration == 1:
                return Search(x, point, True, "converged at the starting values", tuple(history))
            return Search(
                x, point, True, f"converged: one more step would gain {expected:.1e}", tuple(history)
            )
        # a plain parameter that starts at 1 and belongs at 1000 would else need a thousand iterations
        longest = float(np.max(np.abs(step) / np.where(plain, np.maximum(np.abs(x), 1.0), 1.0))) / reach
        if longest > 1.0:
            step /= longest
        slope = float(g @ step)
        length, accepted, jump = 1.0, None, None
        for _ in range(_HALVINGS):
            trial = evaluate(x + length * step, point)
            if math.isfinite(trial.ofv) and trial.ofv <= point.ofv + 1e-4 * length * slope + 1e-12 * abs(
                point.ofv
            ):
                accepted = trial
                break
            jump = _jump(point, trial, length * step) if length <= _SHORT else None
            if jump is not None:
                break
            if math.isfinite(trial.ofv):
                # minimum of the parabola through both values and the slope
                curve = 2.0 * (trial.ofv - point.ofv - slope * length)
                length = (
                    min(0.5 * length, max(0.1 * length, -slope * length**2 / curve))
                    if curve > 0
                    else 0.5 * length
                )
            else:
                length *= 0.25
        if jump is not None and on_jump is not None and on_jump():
            point, pairs = evaluate(x, point), []
            continue
        if jump is not None:
            size, rest = jump
            if crossings == _CROSSINGS:
                remaining = 0.5 * float(rest @ np.linalg.solve(_outer_product(point), rest))
                cause = (
                    f"the objective jumps by {size:.2g} where a subject's conditional mode changes, and is lowest at that edge; "
                    f"the other subjects would gain {remaining:.1e}"
                )
                return Search(x, point, remaining < 1e-2, cause, tuple(history))
            # on the other side the objective is smooth again
            crossings += 1
            x, point, pairs = x + length * step, trial, []
            continue
        if accepted is None and pairs:
            pairs = []
            continue
        crowded = crowded + 1 if accepted is not None and length < _SHORT else 0
        if accepted is None or crowded == _CROWDED:
            stuck = accepted is None
            if accepted is not None:
                x, point = x + length * step, accepted
            pairs, crowded = [], 0
            expected, x, further = _along_edge(evaluate, x, point)
            if further is point and (stuck or expected < 1e-4):
                where = "converged where the gradient jumps" if expected < 1e-4 else "no descent was found"
                cause = f"{where}: one more step should gain {expected:.1e}"
                return Search(x, point, expected < 1e-4, cause, tuple(history))
            point = further
            history.append((iteration, point.ofv, float(np.max(np.abs(point.gradient)))))
            continue
        if longest > 1.0:
            reach = max(0.5 * reach, _LEAST_REACH) if length < 1.0 else min(2.0 * reach, _LONGEST_STEP)
        pairs = [*pairs[1 - _MEMORY :], (length * step, accepted.gradient - g)]
        x, point = x + length * step, accepted
        history.append((iteration, point.ofv, float(np.max(np.abs(point.gradient)))))
        if len(history) > _STAGNANT and history[-1 - _STAGNANT][1] - point.ofv < 1e-4:
            cause = f"the objective fell by less than 0.0001 in {_STAGNANT} iterations"
            return Search(x, point, expected < 1e-3, cause, tuple(history))
    return Search(x, point, False, f"stopped after {max_iterations} iterations", tuple(history))
