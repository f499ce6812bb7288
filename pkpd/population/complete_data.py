"""A problem as expectation-maximisation methods see it: what has a closed form, and what is searched."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pkpd.errors import FitError, InputError
from pkpd.language import Problem
from pkpd.language.mu import MuReference, MuReferencing, mu_referencing
from pkpd.language.scales import Scales, Values

__all__ = ["CompleteData", "complete_data"]

_FORMS = ("identity", "log", "logit")  # in the order of pkpd.kernels.maximisation
_LONGEST = 0.5  # of a scoring step on the unconstrained scale


@dataclass(frozen=True)
class CompleteData:
    """The arrays that the kernels of SAEM and importance sampling take, see :mod:`pkpd.kernels.maximisation`.

    Attributes
    ----------
    referencing : MuReferencing
    terms (M, 3), shape (M, 4), design (N, M)
        Mu-referenced thetas.
    blocks : (B, 4) int array
        Blocks of Ω; copies for occasions share a number.
    moving (K,), bounds (K, 3)
        Estimated thetas without a closed form.
    free_sigma : (S,) int array
    carriers : (T,) int array
        The eta that carries each mu-referenced theta, -1 for the others.
    """

    referencing: MuReferencing
    terms: np.ndarray
    shape: np.ndarray
    design: np.ndarray
    blocks: np.ndarray
    moving: np.ndarray
    bounds: np.ndarray
    free_sigma: np.ndarray
    carriers: np.ndarray

    @property
    def maximisation(self) -> tuple[np.ndarray, ...]:
        """What a maximisation step takes, in the order of the kernels."""
        return (
            self.terms, self.shape, self.design, self.blocks, self.moving, self.bounds, self.free_sigma
        )  # fmt: skip

    def means(self, theta: np.ndarray, n_eta: int) -> np.ndarray:
        """Means μ (N, E) of the individual parameters on their normal scale."""
        mu = np.zeros((len(self.design), n_eta))
        for m, r in enumerate(self.referencing.references):
            mu[:, r.eta] += self.design[:, m] * r.transformed(theta[r.theta])
        return mu

    def slopes(self, theta: np.ndarray) -> np.ndarray:
        """∂μ/∂θ (N, T) of the eta that carries each mu-referenced theta."""
        out = np.zeros((len(self.design), len(theta)))
        for m, r in enumerate(self.referencing.references):
            out[:, r.theta] = self.design[:, m] * r.slope(theta[r.theta])
        return out

    def describe(self, scales: Scales) -> str:
        """Say which thetas have a closed form, and how the others are estimated."""
        names = [t.name for t in scales.thetas]
        closed = ", ".join(names[r.theta] for r in self.referencing.references) or "none"
        others = "; ".join(f"{names[t]} ({why})" for t, why in self.referencing.others.items())
        return f"mu-referenced thetas: {closed}" + (
            f"; by Fisher scoring on the complete-data likelihood: {others}" if others else ""
        )

    def without_scores(self, subjects: np.ndarray, unseen: np.ndarray, scales: Scales) -> str:
        """Say whose records had no finite score at the end, and what has moved without them."""
        ids = [str(subjects[i]) for i in np.flatnonzero(unseen)]
        who = ", ".join(ids[:8]) + (" …" if len(ids) > 8 else "")
        thetas = ", ".join(scales.thetas[t].name for t in self.moving) or "the residual errors"
        return (
            f"the derivatives of the records of ID {who} to {thetas} are not finite, and were left out: start nearer, or bound "
            "what overflows"
        )

    def standing(self, curvature: np.ndarray, scales: Scales) -> str:
        """Say which thetas have stood still because the records do not change with them; empty where none has.

        Parameters
        ----------
        curvature : (K + S, K + S) array
            Of the complete-data likelihood at the end.
        scales : Scales
        """
        flat = [scales.thetas[t].name for k, t in enumerate(self.moving) if not curvature[k, k] > 0.0]
        return (
            f"the likelihood does not change with {', '.join(flat)}: start elsewhere, or fix what the data cannot tell"
            if flat
            else ""
        )


def complete_data(problem: Problem, scales: Scales, start: Values, method: str) -> CompleteData:
    """Work out how each parameter is estimated.

    Parameters
    ----------
    problem : Problem
    scales : Scales
    start : Values
    method : str
        Name of the method, for errors.

    Raises
    ------
    InputError
        ``E_METHOD_NO_ETA`` for a model without random effects.
    FitError
        ``E_MU_COLLINEAR`` where covariates of one parameter cannot be told apart.
    """
    if problem.n_eta == 0:
        raise InputError(
            "E_METHOD_NO_ETA",
            f"model {problem.model.name} has no random effect, which {method} draws.",
            "Use pkpd.FOCEI(), which then maximises the likelihood itself.",
        )
    found = mu_referencing(problem)
    refs, nt = found.references, len(scales.thetas)
    design = np.column_stack([r.x for r in refs]).astype(float) if refs else np.zeros((problem.n_subjects, 0))
    _check_identified(design, found, scales)
    carriers = np.full(nt, -1, dtype=np.int64)
    for r in refs:
        carriers[r.theta] = r.eta
    moving = np.array(sorted(found.others), dtype=np.int64)
    bounds = np.zeros((len(moving), 3))
    for k, t in enumerate(moving):
        theta = scales.thetas[t]
        bounded = math.isfinite(theta.lower) or math.isfinite(theta.upper)
        unit = 1.0 if bounded else max(1.0, abs(theta.initial))
        bounds[k] = theta.lower, theta.upper, _LONGEST * unit
    blocks = []
    for share, (first, size, copies, fixed) in enumerate(scales.blocks):
        blocks += [(first + c * size, size, int(fixed), share) for c in range(copies)]
    return CompleteData(
        referencing=found,
        terms=np.array([(r.theta, r.eta, _FORMS.index(r.form)) for r in refs], dtype=np.int64).reshape(-1, 3),
        shape=np.array([_shape(r, scales, start) for r in refs], dtype=float).reshape(-1, 4),
        design=np.ascontiguousarray(design),
        blocks=np.array(blocks, dtype=np.int64).reshape(-1, 4),
        moving=moving,
        bounds=bounds,
        free_sigma=np.array(
            [0 if s.fixed else (2 if s.kind == "CORR" else 1) for s in scales.sigmas], dtype=np.int64
        ),
        carriers=carriers,
    )


def _shape(r: MuReference, scales: Scales, start: Values) -> tuple[float, float, float, float]:
    """A and b of h, and the bounds of h(θ): just inside those of θ, which are open."""
    theta = scales.thetas[r.theta]
    ends = []
    for bound, other in ((theta.lower, theta.upper), (theta.upper, theta.lower)):
        if not math.isfinite(bound):
            ends.append(r.transformed(bound) if r.form == "identity" else _far(r, bound))
            continue
        span = abs(other - bound) if math.isfinite(other) else abs(start.theta[r.theta] - bound)
        inside = bound + (1e-6 if bound == theta.lower else -1e-6) * span
        h = r.transformed(inside)
        at_edge = not math.isfinite(r.transformed(bound))  # h has no bound where it is infinite anyway
        ends.append(_far(r, bound) if at_edge else h)
    return r.a, r.b, min(ends), max(ends)


def _far(r: MuReference, bound: float) -> float:
    """±∞: h at an infinite bound, or beyond the range of h."""
    if r.form == "log":
        return math.inf if r.b * (bound - r.a) > 0 else -math.inf
    if r.form == "logit":
        return math.inf if bound >= r.b else -math.inf
    return bound


def _check_identified(design: np.ndarray, found: MuReferencing, scales: Scales) -> None:
    names = [t.name for t in scales.thetas]
    for eta in {r.eta for r in found.references}:
        columns = [m for m, r in enumerate(found.references) if r.eta == eta]
        part = design[:, columns]
        size = np.sqrt((part**2).sum(axis=0))
        singular = not np.all(size > 0) or not np.all(np.isfinite(part))
        if not singular:
            singular = np.linalg.matrix_rank(part / size, tol=1e-8) < len(columns)
        if singular:
            which = ", ".join(names[found.references[m].theta] for m in columns)
            raise FitError(
                "E_MU_COLLINEAR",
                f"the data cannot tell {which} apart: their covariates are collinear or do not vary.",
                "Leave one of them out, or fix it.",
            )
