"""Population parameters on two scales: as users read them, and unconstrained for the optimiser.

Natural: thetas, the lower triangle of each OMEGA block, residual standard deviations. Unconstrained: thetas through the log
or logit of their bounds, OMEGA through its Cholesky factor with a log diagonal, standard deviations through their log.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import InputError
from pkpd.language.binding import Problem
from pkpd.language.declarations import Theta

__all__ = ["Scales", "Values", "factor_of", "named_values", "parameter_values", "unexplained"]

# Least share of a variance that the effects before it in its block leave unexplained: below it log|Ω| and log|H|, which nearly
# cancel, err by more than 1e-7 per subject
_UNEXPLAINED = 1e-8

_SIGMA_SCALES = {"SD": "SD", "POWER": "exponent", "AR1": "rate", "CORR": "correlation"}


@dataclass(frozen=True)
class Values:
    """Population parameters as the kernels take them: theta (T,), omega (E, E), sigma (S,)."""

    theta: np.ndarray
    omega: np.ndarray
    sigma: np.ndarray


class Scales:
    """Maps between the two scales for one problem.

    Attributes
    ----------
    names, units, scales : list of str
        Of all natural parameters; ``fixed`` (bool array) says which are not estimated.
    free : (free,) int array
        Places of those that are.
    plain : (free,) bool array
        Which of the unconstrained parameters are no logarithms or logits: their size says how far one may go.
    """

    def __init__(self, problem: Problem) -> None:
        model = problem.model
        self.thetas = problem.thetas
        self.sigmas = model.sigmas
        self.n_eta = problem.n_eta
        # (first eta, size, copies, fixed): the copies of a block follow each other and share its parameters
        self.blocks: list[tuple[int, int, int, bool]] = []
        start = 0
        for subject in model.omega:
            self.blocks.append((start, len(subject.names), 1, subject.fixed))
            start += len(subject.names)
        etas = {i: e.name for i, e in enumerate(model.etas)}
        for block in model.iov_blocks:
            copies = problem.copies[block[0].name]
            self.blocks.append((start, len(block), copies, block[0].fixed))
            etas |= {start + i: v.eta_name for i, v in enumerate(block)}
            start += len(block) * copies
        self.names = [t.name for t in self.thetas]
        self.units = [t.unit for t in self.thetas]
        self.scales = ["log ratio" if t.unit == "log ratio" else "natural" for t in self.thetas]
        fixed = [t.fixed for t in self.thetas]
        self.omega_index: list[tuple[int, int]] = []
        self._shared: list[list[tuple[int, int]]] = []  # where else each stands
        for first, size, copies, is_fixed in self.blocks:
            for i in range(first, first + size):
                for j in range(first, i + 1):
                    self.omega_index.append((i, j))
                    self._shared.append([(i + k * size, j + k * size) for k in range(copies)])
                    self.names.append(f"OMEGA({etas[i]},{etas[j]})")
                    self.units.append("")
                    self.scales.append("variance" if i == j else "covariance")
                    fixed.append(is_fixed)
        endpoint_unit = {
            s: o.unit for o in model.observations for s in (o.additive,) if s and not o.transform
        }
        for s in self.sigmas:
            self.names.append(s.label)
            self.units.append(endpoint_unit.get(s.name, ""))
            self.scales.append(_SIGMA_SCALES[s.kind])
            fixed.append(s.fixed)
        self.fixed = np.array(fixed, dtype=bool)
        self.free = np.flatnonzero(~self.fixed)
        plain = [not _bounded(t) for t in self.thetas] + [i != j for i, j in self.omega_index]
        self.plain = np.array(plain + [False] * len(self.sigmas), dtype=bool)[self.free]
        # units in which unbounded quantities are searched: a step of one is then a large step for all of them
        self._theta_unit = np.array([_unit(t) for t in self.thetas])
        start_omega = self.initial(problem).omega
        self._factor_unit = np.array(
            [1.0 if i == j else max(1.0, math.sqrt(start_omega[i, i])) for i, j in self.omega_index]
        )

    def initial(self, problem: Problem) -> Values:
        """Starting values of the model.

        Raises
        ------
        InputError
            ``E_PARAMETER_VALUE`` if a correlation of OMEGA is 1 but for the last digits.
        """
        omega = np.zeros((self.n_eta, self.n_eta))
        triangles = [b.lower_triangle for b in problem.model.omega] + [
            tuple((*v.covariances, v.variance) for v in block) for block in problem.model.iov_blocks
        ]
        for (first, size, copies, _), triangle in zip(self.blocks, triangles, strict=True):
            for start in range(first, first + copies * size, size):
                for i in range(size):
                    for j in range(i + 1):
                        omega[start + i, start + j] = omega[start + j, start + i] = triangle[i][j]
        _check_definite(omega)
        return Values(
            np.array([t.initial for t in self.thetas]), omega, np.array([s.sd for s in self.sigmas])
        )

    def natural(self, values: Values) -> np.ndarray:
        """Natural parameters as one vector, in the order of ``names``."""
        omega = np.array([values.omega[i, j] for i, j in self.omega_index])
        return np.concatenate([values.theta, omega, values.sigma])

    def values(self, natural: np.ndarray) -> Values:
        """Inverse of :meth:`natural`.

        Raises
        ------
        InputError
            ``E_PARAMETER_VALUE`` if OMEGA is not positive definite, or an SD not positive.
        """
        nt, no = len(self.thetas), len(self.omega_index)
        if not np.all(np.isfinite(natural)):
            raise InputError("E_PARAMETER_VALUE", "a value is not finite.", "Check the values.")
        omega = np.zeros((self.n_eta, self.n_eta))
        for places, v in zip(self._shared, natural[nt : nt + no], strict=True):
            for i, j in places:
                omega[i, j] = omega[j, i] = v
        _check_definite(omega)
        sigma = np.array(natural[nt + no :], dtype=float)  # a copy: pandas hands out read-only arrays
        for s, value in zip(self.sigmas, sigma, strict=True):
            low, high = s.bounds
            if not low < value < high:
                raise InputError(
                    "E_PARAMETER_VALUE",
                    f"{s.label} = {value:g} is not inside ({low:g}, {high:g}).",
                    "Give a value between these.",
                )
        return Values(np.array(natural[:nt], dtype=float), omega, sigma)

    def free_values(self, values: Values) -> np.ndarray:
        """Unconstrained vector of the free parameters."""
        return self._unconstrained(values)[self.free]

    def _unconstrained(self, values: Values) -> np.ndarray:
        theta = [_to_line(v, t.lower, t.upper) for v, t in zip(values.theta, self.thetas, strict=True)]
        lower = np.linalg.cholesky(values.omega) if self.n_eta else np.zeros((0, 0))
        omega = [math.log(lower[i, j]) if i == j else lower[i, j] for i, j in self.omega_index]
        sigma = [_to_line(v, *s.bounds) for v, s in zip(values.sigma, self.sigmas, strict=True)]
        return np.concatenate(
            [np.array(theta) / self._theta_unit, np.array(omega) / self._factor_unit, sigma]
        )

    def from_free(self, x: np.ndarray, base: Values) -> Values:
        """Population parameters at unconstrained ``x``; fixed ones are those of ``base``."""
        full = self._unconstrained(base)
        full[self.free] = x
        nt, no = len(self.thetas), len(self.omega_index)
        theta = np.array(
            [
                b if t.fixed else _from_line(v, t.lower, t.upper)
                for v, t, b in zip(full[:nt] * self._theta_unit, self.thetas, base.theta, strict=True)
            ]
        )
        lower = np.zeros((self.n_eta, self.n_eta))
        with np.errstate(over="ignore"):
            factor = full[nt : nt + no] * self._factor_unit
            for places, v in zip(self._shared, factor, strict=True):
                for i, j in places:
                    lower[i, j] = np.exp(v) if i == j else v
            sigma = np.array(
                [_from_line(v, *s.bounds) for v, s in zip(full[nt + no :], self.sigmas, strict=True)]
            )
            omega = lower @ lower.T
        for first, size, copies, fixed in self.blocks:
            if fixed:  # exactly as given, not through the factor and back
                whole = slice(first, first + copies * size)
                omega[whole, whole] = base.omega[whole, whole]
        sigma = np.where([s.fixed for s in self.sigmas], base.sigma, sigma) if len(sigma) else sigma
        return Values(theta, omega, sigma)

    def natural_gradient(self, g_theta: np.ndarray, g_omega: np.ndarray, g_sigma: np.ndarray) -> np.ndarray:
        """Gradient to all natural parameters (…, parameters) from that to the symmetric matrix Ω."""
        omega = [
            sum(g_omega[..., i, j] for i, j in places) * (1.0 if places[0][0] == places[0][1] else 2.0)
            for places in self._shared
        ]
        stacked = np.stack(omega, axis=-1) if omega else np.zeros((*g_theta.shape[:-1], 0))
        return np.concatenate([g_theta, stacked, g_sigma], axis=-1)

    def free_gradient(
        self, values: Values, g_theta: np.ndarray, g_omega: np.ndarray, g_sigma: np.ndarray
    ) -> np.ndarray:
        """Gradient to the unconstrained free parameters, (…, free)."""
        slopes = np.array(
            [_slope(v, t.lower, t.upper) for v, t in zip(values.theta, self.thetas, strict=True)]
        )
        theta = g_theta * (slopes * self._theta_unit)
        lower = np.linalg.cholesky(values.omega) if self.n_eta else np.zeros((0, 0))
        to_factor = 2.0 * g_omega @ lower
        omega = [
            sum(to_factor[..., i, j] * (lower[i, i] if i == j else unit) for i, j in places)
            for places, unit in zip(self._shared, self._factor_unit, strict=True)
        ]
        stacked = np.stack(omega, axis=-1) if omega else np.zeros((*theta.shape[:-1], 0))
        return np.concatenate([theta, stacked, g_sigma * self._sigma_slopes(values)], axis=-1)[..., self.free]

    def _sigma_slopes(self, values: Values) -> np.ndarray:
        return np.array([_slope(v, *s.bounds) for v, s in zip(values.sigma, self.sigmas, strict=True)])

    def jacobian(self, values: Values) -> np.ndarray:
        """D natural / d unconstrained, (parameters, free)."""
        nt, no = len(self.thetas), len(self.omega_index)
        full = np.zeros((len(self.names), len(self.names)))
        for i, (v, t) in enumerate(zip(values.theta, self.thetas, strict=True)):
            full[i, i] = _slope(v, t.lower, t.upper) * self._theta_unit[i]
        lower = np.linalg.cholesky(values.omega) if self.n_eta else np.zeros((0, 0))
        for col, (a, b) in enumerate(self.omega_index):
            change = np.zeros_like(lower)
            change[a, b] = lower[a, a] if a == b else self._factor_unit[col]
            d_omega = change @ lower.T + lower @ change.T
            for row, (i, j) in enumerate(self.omega_index):
                full[nt + row, nt + col] = d_omega[i, j]
        for i, slope in enumerate(self._sigma_slopes(values)):
            full[nt + no + i, nt + no + i] = slope
        return full[:, self.free]


def factor_of(omega: np.ndarray) -> np.ndarray | None:
    """Lower Cholesky factor of OMEGA; None where it is not positive definite, or so only by digits that are lost in its use."""
    try:
        factor = np.linalg.cholesky(omega)
    except np.linalg.LinAlgError:
        return None
    return factor if unexplained(factor) >= _UNEXPLAINED else None


def _check_definite(omega: np.ndarray) -> None:
    if factor_of(omega) is None:
        raise InputError(
            "E_PARAMETER_VALUE",
            "OMEGA is not positive definite at these values, or only in the last digits: correlations are practically 1.",
            "Check variances and covariances; effects that are one and the same can share one eta.",
        )


def unexplained(factor: np.ndarray) -> float:
    """Least share of a variance that the effects before it do not explain, from the Cholesky factor."""
    return float(np.min(np.diag(factor) ** 2 / np.sum(factor**2, axis=1), initial=1.0))


def _bounded(theta: Theta) -> bool:
    return math.isfinite(theta.lower) or math.isfinite(theta.upper)


def _unit(theta: Theta) -> float:
    return 1.0 if _bounded(theta) else max(1.0, abs(theta.initial))


def _to_line(value: float, lower: float, upper: float) -> float:
    if math.isfinite(lower) and math.isfinite(upper):
        if not lower < value < upper:
            return 0.0  # only a fixed theta may sit on a bound, and its place here is never used
        return math.log((value - lower) / (upper - value))
    if math.isfinite(lower):
        return math.log(value - lower) if value > lower else 0.0
    if math.isfinite(upper):
        return -math.log(upper - value) if value < upper else 0.0
    return value


def _from_line(x: float, lower: float, upper: float) -> float:
    if math.isfinite(lower) and math.isfinite(upper):
        return lower + (upper - lower) / (1.0 + math.exp(-x)) if x > -700 else lower
    if math.isfinite(lower):
        return lower + (math.exp(x) if x < 700 else math.inf)
    if math.isfinite(upper):
        return upper - (math.exp(-x) if x > -700 else math.inf)
    return x


def _slope(value: float, lower: float, upper: float) -> float:
    if math.isfinite(lower) and math.isfinite(upper):
        return (value - lower) * (upper - value) / (upper - lower)
    if math.isfinite(lower):
        return value - lower
    if math.isfinite(upper):
        return upper - value
    return 1.0


def parameter_values(
    scales: Scales, problem: Problem, parameters: Mapping[str, float] | None, *, partial: bool = False
) -> Values:
    """Population parameters from the model's initial values, overridden by name.

    With ``partial``, effects of factor levels that the data do not have are left aside, where those of all levels that they
    have are given.
    """
    natural = scales.natural(scales.initial(problem))
    # a covariance may be named either way round
    mirrored = {
        f"OMEGA({b},{a})": f"OMEGA({a},{b})"
        for a, b in (n[6:-1].split(",", 1) for n in scales.names if n.startswith("OMEGA("))
    }
    named = named_values(parameters)
    absent: tuple[str, ...] = ()
    if partial:
        effects = [(f"{e.parameter}({e.factor}=") for e in problem.model.effects]
        lacking = [n for n in scales.names if n.startswith(tuple(effects)) and n not in named]
        absent = tuple(e for e in effects if not any(n.startswith(e) for n in lacking))
    for given, value in named.items():
        if given not in scales.names and absent and given.startswith(absent):
            continue
        name = given if given in scales.names else mirrored.get(given, given)
        if name not in scales.names:
            raise InputError(
                "E_PARAMETER_NAME",
                f"there is no parameter {given!r}.",
                f"Parameters: {', '.join(scales.names)}.",
            )
        at = scales.names.index(name)
        natural[at] = _number(name, value)
        if at < len(scales.thetas):
            theta = scales.thetas[at]
            inside = theta.lower <= natural[at] <= theta.upper
            if not (inside if theta.fixed else theta.lower < natural[at] < theta.upper):
                raise InputError(
                    "E_PARAMETER_VALUE",
                    f"{name} = {natural[at]:g} is not inside its bounds ({theta.lower:g}, {theta.upper:g}).",
                    "Give a value between them.",
                )
        elif scales.scales[at] == "variance" and not natural[at] > 0:
            raise InputError(
                "E_PARAMETER_VALUE", f"{name} = {natural[at]:g} is not positive.", "Give a positive value."
            )
    return scales.values(natural)


def named_values(parameters: Any) -> dict[str, Any]:
    """Parameters by name as a plain mapping; empty for None.

    Raises
    ------
    InputError
        ``E_PARAMETER_VALUE`` if they are given in another form.
    """
    if parameters is None:
        return {}
    if not isinstance(parameters, (Mapping, pd.Series)):
        raise InputError(
            "E_PARAMETER_VALUE",
            f"parameters are given by name, not as {type(parameters).__name__}.",
            'Give {"CL": 3.0}, or other.parameter_estimates.',
        )
    return {str(name): value for name, value in parameters.items()}


def _number(name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise InputError("E_PARAMETER_VALUE", f"{name} = {value!r} is not a finite number.", "Give a number.")
    return number
