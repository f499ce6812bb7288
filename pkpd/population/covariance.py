"""Covariance of the estimates: R⁻¹, S⁻¹ or the sandwich R⁻¹SR⁻¹, from exact gradients.

R is half the Hessian of the objective, by central differences of its exact gradient; S a quarter of the sum of outer products
of the subjects' gradients. Both are formed on the unconstrained scale and carried to the natural one by the Jacobian.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pkpd.language.scales import Scales, Values
from pkpd.population.objective import Point

__all__ = ["CovarianceStep", "covariance_step", "from_information"]

# R is made of differences of gradients: below this, relative to the largest, an eigenvalue may as well be zero
_ZERO = 1e-7
_CURVED = 1e-4  # of R on the scale of its diagonal; its differences leave about 1e-6 where it is zero


@dataclass(frozen=True)
class CovarianceStep:
    """Covariance of the natural parameters, with what was done to get it.

    Attributes
    ----------
    matrix : (parameters, parameters) array or None
        Zero rows for fixed parameters; None if no covariance could be had.
    status : str
        Which kind it is, or why there is none.
    condition_number : float
        Ratio of the largest to the smallest eigenvalue of the correlation matrix of the estimates; NaN without one.
    warnings : tuple of str
    downhill : (free,) array or None
        Where R is not positive definite, the unconstrained direction along which it is least so, its largest
        component 1: the point is no minimum, or its minimum is flat.
    """

    matrix: np.ndarray | None
    status: str
    condition_number: float
    warnings: tuple[str, ...]
    downhill: np.ndarray | None = None


def covariance_step(
    kind: str | None,
    evaluate: Callable[[np.ndarray, Point | np.ndarray | None], Point],
    x: np.ndarray,
    point: Point,
    scales: Scales,
) -> CovarianceStep:
    """Covariance of the estimates at the optimum.

    Parameters
    ----------
    kind : {"sandwich", "R", "S", None}
    evaluate : callable
        (x, what the modes start from) -> Point with gradients.
    x : (free,) array
        The optimum on the unconstrained scale.
    point : Point
        The objective there.
    scales : Scales
    """
    if kind is None:
        return CovarianceStep(None, "not asked for", float("nan"), ())
    if len(x) == 0:
        return CovarianceStep(None, "every parameter is fixed", float("nan"), ())
    names = [scales.names[i] for i in scales.free]
    if point.gradients is None:
        return CovarianceStep(
            None, "failed: the objective has no gradient at the estimates", float("nan"), ()
        )
    s = 0.25 * point.gradients.T @ point.gradients
    warnings: list[str] = []
    if kind in ("sandwich", "S") and len(point.gradients) <= len(x):
        warnings.append(
            f"W_COVARIANCE_S: {len(point.gradients)} subjects cannot determine S for {len(x)} parameters; R alone is used."
        )
        kind = "R"
    downhill = None
    # with fewer subjects some direction has no scores whatever the data say
    blind = _blind(s) if len(point.gradients) > len(x) else None
    if kind == "S":
        free, why, _ = _inverse(s, names)
        status = "S⁻¹"
    else:
        r, why = _half_hessian(evaluate, x, point, s)
        if r is not None and blind is not None and np.all(np.diag(r) > 0):
            scale = np.sqrt(np.diag(r))
            unit = blind * scale / np.linalg.norm(blind * scale)
            if unit @ (r / np.outer(scale, scale)) @ unit < _CURVED:
                several = "," in (who := _involved(unit, names))
                why = f"the data cannot tell {who} apart" if several else f"the data say nothing about {who}"
                warnings.append(
                    f"W_COVARIANCE_R: neither R nor S gives a covariance: {why}; fix what they cannot tell."
                )
                return CovarianceStep(None, f"failed: {why}", float("nan"), tuple(warnings))
            if kind == "sandwich":
                warnings.append(
                    "W_COVARIANCE_S: the subjects' scores have no component along "
                    f"{_involved(unit, names)}; R alone is used."
                )
                kind = "R"
        inverse, why, downhill = (None, why, None) if r is None else _inverse(r, names)
        if inverse is None:
            free, second, _ = _inverse(s, names)
            warnings.append(
                f"W_COVARIANCE_R: the R matrix gives no covariance ({why}); "
                + ("S⁻¹ is reported instead." if free is not None else f"nor does S ({second}).")
            )
            status = "S⁻¹ (R failed)"
            why = why or second
        else:
            free = inverse @ s @ inverse if kind == "sandwich" else inverse
            status = "sandwich R⁻¹SR⁻¹" if kind == "sandwich" else "R⁻¹"
    if free is None:
        return CovarianceStep(None, f"failed: {why}", float("nan"), tuple(warnings), downhill)
    return _carried(free, status, warnings, downhill, point.values, scales)


def from_information(
    information: np.ndarray, s: np.ndarray, values: Values, scales: Scales, status: str
) -> CovarianceStep:
    """Covariance of the estimates from an information matrix on the unconstrained scale.

    Parameters
    ----------
    information, s : (free, free) arrays
        Of -log L, and the sum of outer products of the subjects' scores, which stands in where that is not positive definite.
    values : Values
        The estimates.
    scales : Scales
    status : str
        What the information is.
    """
    names = [scales.names[i] for i in scales.free]
    warnings: list[str] = []
    free, why, downhill = _inverse(information, names)
    if free is None:
        free, second, _ = _inverse(s, names)
        warnings.append(
            f"W_COVARIANCE_R: the {status} gives no covariance ({why}); "
            + ("S⁻¹ is reported instead." if free is not None else f"nor does S ({second}).")
        )
        if free is None:
            return CovarianceStep(None, f"failed: {why}", float("nan"), tuple(warnings), downhill)
        status = f"S⁻¹ ({status} failed)"
    return _carried(free, status, warnings, downhill, values, scales)


def _carried(
    free: np.ndarray,
    status: str,
    warnings: list[str],
    downhill: np.ndarray | None,
    values: Values,
    scales: Scales,
) -> CovarianceStep:
    """Carry a covariance on the unconstrained scale to the natural one."""
    jacobian = scales.jacobian(values)
    matrix = jacobian @ (0.5 * (free + free.T)) @ jacobian.T
    natural = matrix[np.ix_(scales.free, scales.free)]
    sd = np.sqrt(np.diag(natural))
    eigenvalues = np.linalg.eigvalsh(natural / np.outer(sd, sd))
    condition = float(eigenvalues[-1] / eigenvalues[0]) if eigenvalues[0] > 0 else float("inf")
    if condition > 1000:
        warnings.append(
            f"W_CONDITION_NUMBER: the correlation matrix of the estimates has condition number {condition:.0f}: "
            "parameters are hard to tell apart; consider a simpler model."
        )
    return CovarianceStep(matrix, status, condition, tuple(warnings), downhill)


def _half_hessian(
    evaluate: Callable[[np.ndarray, Point | np.ndarray | None], Point],
    x: np.ndarray,
    point: Point,
    s: np.ndarray,
) -> tuple[np.ndarray | None, str]:
    """R, or why there is none."""
    # a fraction of the standard error: small against curvature changes, large against the 1e-8 noise of the gradient
    size = np.sqrt(np.diag(s))
    steps = 1e-3 / np.maximum(size, 1e-2)
    r = np.zeros((len(x), len(x)))
    for i, h in enumerate(steps):
        forward, backward = x.copy(), x.copy()
        forward[i] += h
        backward[i] -= h
        a, b = evaluate(forward, point), evaluate(backward, point)
        if a.gradients is None or b.gradients is None:
            return None, "the objective is not finite near the optimum"
        ahead, behind = a.gradient - point.gradient, point.gradient - b.gradient
        near = (a.edges > 0) | (b.edges > 0) | (point.edges > 0)
        if near.any() and abs(ahead[i] - behind[i]) > 0.5 * abs(ahead[i] + behind[i]):
            return (
                None,
                "its gradient jumps at the estimates, where a subject's conditional mode reaches an edge",
            )
        r[i] = 0.5 * (a.gradient - b.gradient) / (2 * h)
    return 0.5 * (r + r.T), ""


def _blind(s: np.ndarray) -> np.ndarray | None:
    """The direction, its largest component 1, along which no subject's score points; None where there is none.

    Scores are exact, so that S tells a parameter that is not identified from one that hardly is; R, made of differences of
    gradients, does not: R⁻¹SR⁻¹ would be a quotient of two noises there.
    """
    scale = np.sqrt(np.diag(s))
    if not np.all(scale > 0):
        return None
    values, vectors = np.linalg.eigh(s / np.outer(scale, scale))
    if values[0] > _ZERO * values[-1]:
        return None
    direction = vectors[:, 0] / scale
    return direction / direction[np.argmax(np.abs(direction))]


def _involved(direction: np.ndarray, names: list[str]) -> str:
    """Parameters with a large share in a direction, the largest first."""
    weights = np.abs(direction)
    return ", ".join(names[i] for i in np.argsort(-weights) if weights[i] > 0.3 * weights.max())


def _inverse(m: np.ndarray, names: list[str]) -> tuple[np.ndarray | None, str, np.ndarray | None]:
    """Inverse of a matrix that should be positive definite; or the parameters and direction along which it is not."""
    scale = np.sqrt(np.abs(np.diag(m)))
    flat = [n for n, v in zip(names, scale, strict=True) if not v > 0]
    if flat:
        return None, f"the data say nothing about {', '.join(flat)}", None
    values, vectors = np.linalg.eigh(m / np.outer(scale, scale))
    if values[0] <= _ZERO * values[-1]:
        direction = vectors[:, 0] / scale
        return (
            None,
            f"not positive definite along {_involved(vectors[:, 0], names)}",
            direction / direction[np.argmax(np.abs(direction))],
        )
    inverse = (vectors / values) @ vectors.T
    return inverse / np.outer(scale, scale), "", None
