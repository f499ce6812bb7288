"""The objective of a bound problem by a method: value, exact gradient, modes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.language import Problem
from pkpd.language.handover import Direct
from pkpd.language.scales import Scales, Values, factor_of
from pkpd.population.methods import AGQ, FOCEI, MAP, GradientMethod
from pkpd.population.observed import log_jacobian, measured_count, observed
from pkpd.population.priors import Priors
from pkpd.results import result

__all__ = ["Evaluation", "Objective", "Point"]

_AWAY = 1.5  # SDs of the population from zero, where other modes are looked for
_ACROSS = 2.0  # posterior SDs from a mode beside an edge, where another on its other side is looked for
_ROUGHLY = 2  # how modes are searched that are only to be compared: see evaluate_first_order
_IMMATERIAL = 1e-4  # of a subject's objective: the same mode, found by other steps
_Kernel = tuple[Any, tuple[Any, ...]]


@dataclass(frozen=True)
class Point:
    """The objective at one set of population parameters.

    Attributes
    ----------
    values : Values
    etas : (N, E) array
        Empirical Bayes estimates.
    individual : (N,) array
        Contributions to the objective; inf where a subject failed.
    gradients : (N, free) array or None
        Each subject's gradient to the unconstrained free parameters.
    natural : (parameters,) array or None
        Gradient of the sum to the natural parameters.
    precision : (N, E, E) array
        H of each subject: the inverse of its posterior covariance.
    status : (N,) int array
    edges : (N,) array
        Zero, or λ of a subject whose mode lies on an edge (:mod:`pkpd.kernels.edge`).
    prior : float
        -2 log density of the priors; ``prior_gradient`` (free,) its gradient, None without priors.
    curvature : (N, E, E+T+S) array or None
        Second derivatives of -2 log posterior, to the etas and to (eta, theta, sigma), from which modes of similar parameters
        are foreseen; zero where not known.
    """

    values: Values
    etas: np.ndarray
    individual: np.ndarray
    gradients: np.ndarray | None
    natural: np.ndarray | None
    precision: np.ndarray
    status: np.ndarray
    edges: np.ndarray
    prior: float = 0.0
    prior_gradient: np.ndarray | None = None
    curvature: np.ndarray | None = None

    @property
    def ofv(self) -> float:
        """The objective, summed in subject order, with that of the priors."""
        return (
            float(math.fsum([*self.individual, self.prior]))
            if np.all(np.isfinite(self.individual))
            else math.inf
        )

    @property
    def gradient(self) -> np.ndarray:
        """Gradient to the unconstrained free parameters, summed in subject order."""
        assert self.gradients is not None
        total = np.zeros(self.gradients.shape[1])
        for row in self.gradients:
            total += row
        return total if self.prior_gradient is None else total + self.prior_gradient


@result
@dataclass(frozen=True)
class Evaluation:
    """The objective at given parameters, as :func:`pkpd.evaluate` returns it.

    Attributes
    ----------
    ofv, minus2ll : float
        Without and with n·log 2π.
    gradient : Series
        d OFV / d parameter on the natural scale, by name (fixed parameters included).
    individual_ofv : Series
        By ID.
    individual_estimates : DataFrame
        Empirical Bayes estimates of the etas by ID.
    """

    ofv: float
    minus2ll: float
    gradient: pd.Series
    individual_ofv: pd.Series
    individual_estimates: pd.DataFrame


class Objective:
    """Evaluates the objective of one problem by one method; each evaluation is a :class:`Point`.

    Attributes
    ----------
    observed : Observed
        The records as the method's likelihood reads them.
    constant : float
        What -2 log-likelihood has more than the objective: log 2π per measured record, and the Jacobian of log-normal ones.
    """

    def __init__(self, problem: Problem, scales: Scales, method: GradientMethod | None = None) -> None:
        self.problem, self.scales = problem, scales
        self.method = method or FOCEI()
        self.observed = observed(problem, self.method.blq)
        self.priors = Priors(scales, self.method.priors) if isinstance(self.method, MAP) else None
        self.constant = measured_count(self.observed) * math.log(2 * math.pi) + log_jacobian(
            problem, self.observed
        )

    def at(
        self,
        values: Values,
        begin: Point | np.ndarray | None = None,
        *,
        gradient: bool = True,
        optimise: bool = True,
    ) -> Point:
        """Evaluate at population parameters.

        Parameters
        ----------
        values : Values
        begin : Point or (N, E) array, optional
            Where the search for the modes starts: at another point's, or at these; with ``optimise=False`` the etas themselves.
            By default the search starts from the modes that :meth:`lowest_modes` finds.
        gradient, optimise : bool
            Whether to compute the gradient; whether to search the modes.
        """
        if begin is None:
            begin = self.lowest_modes(values) if optimise else self._zeros
        return self._evaluated(values, begin, gradient, optimise, self._kernel)

    def _evaluated(
        self, values: Values, begin: Point | np.ndarray, gradient: bool, optimise: int, kernel: _Kernel
    ) -> Point:
        problem = self.problem
        n, ne, nt, ns = problem.n_subjects, problem.n_eta, len(values.theta), len(values.sigma)
        modes = np.array(begin.etas if isinstance(begin, Point) else begin, dtype=float, order="C")
        curvature = np.zeros((n, ne, ne + nt + ns))
        moved, precision_moved = np.zeros(nt + ns), np.zeros((ne, ne))
        h, status, edges = np.zeros((n, ne, ne)), np.ones(n, dtype=np.int64), np.zeros(n)
        failed = Point(values, modes, np.full(n, math.inf), None, None, h, status, edges)
        # see Direct
        theta, omega, sigma = (
            np.ascontiguousarray(v, float) for v in (values.theta, values.omega, values.sigma)
        )
        flat = np.concatenate([theta, omega.ravel(), sigma])
        if not np.all(np.isfinite(flat)):
            return failed
        factor = factor_of(values.omega)
        if factor is None:
            return failed
        omega_inv = _inverse(factor)
        log_det = 2.0 * float(np.sum(np.log(np.diag(factor))))
        if isinstance(begin, Point) and begin.curvature is not None:
            old = begin.values
            curvature = begin.curvature.copy()
            moved = np.concatenate([values.theta - old.theta, values.sigma - old.sigma])
            precision_moved = omega_inv - _inverse(np.linalg.cholesky(old.omega))
        ofv = np.full(n, math.inf)
        g_theta, g_sigma, g_precision = np.zeros((n, nt)), np.zeros((n, ns)), np.zeros((n, ne, ne))
        iterations = np.zeros(n, dtype=np.int64)
        evaluate, settings = kernel
        evaluate(
            int(gradient), int(optimise), *settings,
            modes, theta, omega, omega_inv, log_det, sigma, moved, precision_moved, *self._given,
            ofv, h, curvature, g_theta, g_sigma, g_precision, status, iterations, edges,
        )  # fmt: skip
        ofv[status != 0] = math.inf
        prior, of_prior = (0.0, None) if self.priors is None else self.priors.at(values)
        if not gradient or not np.all(np.isfinite(ofv)):
            return Point(values, modes, ofv, None, None, h, status, edges, prior)
        g_omega = -omega_inv @ g_precision @ omega_inv
        rows = self.scales.free_gradient(values, g_theta, g_omega, g_sigma)
        natural = self.scales.natural_gradient(g_theta.sum(0), g_omega.sum(0), g_sigma.sum(0))
        if of_prior is None:
            return Point(values, modes, ofv, rows, natural, h, status, edges, curvature=curvature)
        return Point(
            values,
            modes,
            ofv,
            rows,
            natural + of_prior,
            h,
            status,
            edges,
            prior,
            of_prior @ self.scales.jacobian(values),
            curvature,
        )

    @cached_property
    def _given(self) -> tuple[Any, ...]:
        """What kernels take for the model, its data and the records: put together once, not for each evaluation."""
        return *self.problem.compiled, self.problem.subject_data, self.observed

    @cached_property
    def _kernel(self) -> _Kernel:
        """The kernel of the method and the arguments that are its own."""
        if self.method.kind in ("Laplace", "AGQ"):
            from pkpd.kernels.laplace import evaluate_laplace

            count = self.method.nodes if isinstance(self.method, AGQ) else 1
            return Direct(evaluate_laplace), _quadrature(count, self.problem.n_eta)
        from pkpd.kernels import first_order

        return Direct(first_order.evaluate_first_order), (getattr(first_order, self.method.kind),)

    @cached_property
    def _mode_kernel(self) -> _Kernel:
        """What is asked of for modes alone: quadrature has those of Laplace's method."""
        evaluate, settings = self._kernel
        return (
            (evaluate, _quadrature(1, self.problem.n_eta))
            if isinstance(self.method, AGQ)
            else (evaluate, settings)
        )

    @cached_property
    def _moving_edges(self) -> bool:
        """Whether random effects decide when doses begin or end."""
        problem = self.problem
        etas = {e.symbol for e in problem.etas} | {e.symbol for b in problem.model.iov_blocks for e in b}
        for c in problem.model.compartments:
            for e in (c.lag, c.duration, c.rate):
                while e is not None and e.free_symbols & problem.definitions.keys():
                    e = e.xreplace(problem.definitions)
                if e is not None and e.free_symbols & etas:
                    return True
        return False

    @cached_property
    def _zeros(self) -> np.ndarray:
        return np.zeros((self.problem.n_subjects, self.problem.n_eta))

    def lowest_modes(self, values: Values, etas: np.ndarray | None = None) -> np.ndarray:
        """Each subject's mode with the lowest objective of those that several searches find.

        Posteriors may have several modes: who absorbs late had a long lag, or absorbs slowly. If the highest were taken, the
        objective would jump by the difference of their log|H| where two become equally high. The least of their objectives is
        continuous, and nearest to the integral over all of them: k modes of one objective make it 2 log k lower, at most.

        One search starts from zero, a second from ``etas``. Without ``etas``, two start from the most promising of the points
        that lie 1.5 standard deviations of the population away along each axis of Ω: the lowest one, and the lowest in
        comparison with the parabola that H of the first mode describes; with random effects on a lag or a duration, each
        record is an edge that may hold a mode, and searches start from all points.

        Parameters
        ----------
        values : Values
        etas : (N, E) array, optional

        Returns
        -------
        (N, E) array
        """
        if self.problem.n_eta == 0 or self.method.kind == "FO":
            return self._zeros
        first = self._evaluated(values, self._zeros, False, _ROUGHLY, self._mode_kernel)
        lowest, modes = first.individual, first.etas
        for begin in self._promising(values, first) if etas is None else (etas,):
            found = self._evaluated(values, begin, False, _ROUGHLY, self._mode_kernel)
            lower = found.individual < lowest
            lowest, modes = (
                np.where(lower, found.individual, lowest),
                np.where(lower[:, None], found.etas, modes),
            )
        return modes

    def _promising(self, values: Values, first: Point) -> list[np.ndarray]:
        """Where other modes than those of ``first`` may be found from, see :meth:`lowest_modes`."""
        factor = factor_of(values.omega)
        if factor is None:
            return []
        around = [self._zeros + _AWAY * away for away in (*factor.T, *-factor.T)]
        if self._moving_edges:
            return around + self._across_edges(first)
        depth, chosen = _depth(first), [self._zeros.copy(), self._zeros.copy()]
        lowest = np.full((2, len(depth)), math.inf)
        for begin in around:
            there = self._evaluated(values, begin, False, 0, self._mode_kernel)
            step = begin - first.etas
            with np.errstate(invalid="ignore", divide="ignore"):
                parabola = np.einsum("ia,iab,ib->i", step, first.precision, step)
                relative = (_depth(there) - depth) / parabola
            for k, height in enumerate((_depth(there), relative)):
                better = height < lowest[k]
                chosen[k][better], lowest[k][better] = begin[better], height[better]
        return chosen

    def _across_edges(self, first: Point) -> list[np.ndarray]:
        """Two posterior standard deviations away from the modes of ``first``, along each axis: often beyond the next edge."""
        precision = first.precision.copy()
        precision[first.status != 0] = np.eye(precision.shape[1])
        axes = np.linalg.inv(np.linalg.cholesky(precision))
        return [
            first.etas + sign * _ACROSS * axes[:, k] for k in range(axes.shape[1]) for sign in (-1.0, 1.0)
        ]

    def lower_modes(self, point: Point) -> np.ndarray | None:
        """Modes (N, E) where some subjects have ones of a lower objective than at those of ``point``; None where none has."""
        values = point.values
        kept, found = (
            self._evaluated(values, etas, False, True, self._mode_kernel)
            for etas in (point.etas, self.lowest_modes(values))
        )
        lower = found.individual < kept.individual - _IMMATERIAL
        return np.where(lower[:, None], found.etas, kept.etas) if lower.any() else None

    def at_lowest_modes(self, values: Values, etas: np.ndarray | None) -> Point:
        """Evaluate where each subject's mode is that of the lower objective of those found from ``etas`` and from zero.

        A mode that is followed from one set of parameters to the next may cease to exist, and the objective then jumps; so does
        it less often here. Costs about twice an evaluation that follows modes.
        """
        return self.at(values, self.lowest_modes(values, etas))

    def explain(self, point: Point) -> FitError:
        """Say which subjects failed, and why."""
        from pkpd.kernels.status import MESSAGES

        bad = np.flatnonzero(~np.isfinite(point.individual))
        codes = point.status[bad]
        code = int(codes[0]) if len(codes) else 1
        who = ", ".join(str(self.problem.subjects[i]) for i in bad[:8]) + (" …" if len(bad) > 8 else "")
        return FitError(
            "E_FIT_SUBJECT",
            f"the objective cannot be computed for {len(bad)} of {self.problem.n_subjects} subjects (ID {who}): "
            f"{MESSAGES.get(code, MESSAGES[1])}.",
            "Check those records, and the model's starting values.",
        )


def _inverse(factor: np.ndarray) -> np.ndarray:
    """Inverse of the matrix whose lower Cholesky factor this is."""
    inverse = np.linalg.inv(factor)
    return np.ascontiguousarray(inverse.T @ inverse)


def _depth(point: Point) -> np.ndarray:
    """Each subject's -2 log posterior at its etas, but for what is equal for all etas: the objective without log|H|."""
    with np.errstate(invalid="ignore"):
        depth = point.individual - np.linalg.slogdet(point.precision)[1]
    return np.where(np.isfinite(depth), depth, math.inf)


_MOST_NODES = 100_000


def _quadrature(count: int, n_eta: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes (Q, E) and log weights (Q,) of the product rule for the standard normal density."""
    if count**n_eta > _MOST_NODES:
        raise InputError(
            "E_METHOD_NODES",
            f"{count} nodes for each of {n_eta} random effects make {count**n_eta} per subject.",
            f"Use at most {int(_MOST_NODES ** (1 / n_eta))} nodes, or Laplace() or SAEM.",
        )
    if count == 1 or n_eta == 0:
        return np.zeros((1, n_eta)), np.zeros(1)
    at, weight = np.polynomial.hermite_e.hermegauss(count)
    grid = np.meshgrid(*[np.arange(count)] * n_eta, indexing="ij")
    index = np.stack([g.ravel() for g in grid], axis=1)
    logs = np.log(weight / math.sqrt(2 * math.pi))
    return np.ascontiguousarray(at[index]), logs[index].sum(axis=1)
