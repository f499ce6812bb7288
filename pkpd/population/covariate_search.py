"""Stepwise covariate search: forward by the likelihood-ratio test, then backward, every fit on record.

Jonsson EN, Karlsson MO. Pharm Res 1998;15:1463-1468. Selection makes the p-values of what is selected too small, and its effects
too large (Ribbing J, Jonsson EN. J Pharmacokinet Pharmacodyn 2004;31:109-134): a full model with a forest of effects says more.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError
from pkpd.language import Model
from pkpd.parallel import run
from pkpd.population.arguments import fitted, probability
from pkpd.population.covariate_models import Relation, candidate_relations, shared_estimates, with_relation
from pkpd.population.fit import fit as refit
from pkpd.population.methods import require_gradient
from pkpd.population.resampling import bare
from pkpd.population.result import PopulationFit
from pkpd.results import result
from pkpd.store import Store, fingerprint, open_store, remembered

__all__ = ["Stepwise", "stepwise"]


@result
@dataclass(frozen=True, repr=False)
class Stepwise:
    """Outcome of :func:`pkpd.stepwise`.

    Attributes
    ----------
    log : DataFrame
        Every fit: step, direction, relation, ofv, difference (to the model of the step; a fall forward, a rise backward), df, p,
        converged, decision, note.
    selected : tuple of Relation
    fit : PopulationFit
        Of the final model, with its covariance step.
    forward, backward : float
        Significance levels.
    """

    log: pd.DataFrame
    selected: tuple[Relation, ...]
    fit: PopulationFit = field(repr=False)
    forward: float
    backward: float

    def to_frame(self) -> pd.DataFrame:
        """Return the log."""
        return self.log.copy()

    def __repr__(self) -> str:
        chosen = ", ".join(map(str, self.selected)) or "nothing"
        return "\n".join(
            [
                f"Stepwise search, forward p < {self.forward:g}, backward p < {self.backward:g}: {chosen} selected in "
                f"{len(self.log)} fits",
                self.log.to_string(index=False, float_format=lambda v: f"{v:.4g}"),
                "Selection is not accounted for: p-values of what is selected are too small, its effects too large.",
            ]
        )


def stepwise(
    fit: PopulationFit,
    relations: Mapping[str, str | Sequence[str]],
    *,
    forward: float = 0.05,
    backward: float = 0.01,
    centres: Mapping[str, Any] | None = None,
    executor: Executor | Callable[[], Executor] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> Stepwise:
    """Search covariate relations, forward and then backward.

    Parameters
    ----------
    fit : PopulationFit
        Of the base model; what it has stays in.
    relations : mapping
        Columns to try on each individual parameter: ``{"CL": ["TUMOR", "WT"], "V": ["WT"]}``.
    forward, backward : float
        A relation enters if its likelihood-ratio test has p below the first, and stays if taking it out has p below the second.
    centres : mapping, optional
        By column: the reference level of a factor as text (also of a numeric column that is one), or the centre of a power.
    executor, store : optional
        See :func:`pkpd.bootstrap`; a task is one fit.

    Returns
    -------
    Stepwise

    Raises
    ------
    InputError
        ``E_RELATION``; ``E_ARGUMENT`` for levels that are no probabilities; ``E_METHOD_NOISY`` if the method draws numbers.
    """
    fit, forward, backward = fitted(fit), probability("forward", forward), probability("backward", backward)
    require_gradient(fit.method, "a stepwise search")
    candidates = candidate_relations(fit.model, fit.data, relations, centres or {})
    search = _Search(fit, executor, open_store(store))
    selected: list[Relation] = []
    here = _Fitted(fit.ofv, dict(fit.parameter_estimates))
    while rest := [c for c in candidates if c not in selected]:
        best = search.step("forward", selected, [[*selected, c] for c in rest], rest, here, forward)
        if best is None:
            break
        selected, here = [*selected, rest[best[0]]], best[1]
    while selected:
        smaller = [[s for s in selected if s is not c] for c in selected]
        worst = search.step("backward", selected, smaller, selected, here, backward)
        if worst is None:
            break
        selected, here = smaller[worst[0]], worst[1]
    final = fit
    if selected:
        final = refit(
            _model(fit.model, selected),
            fit.data,
            fit.method,
            seed=fit.seed,
            start=shared_estimates(here.estimates, _model(fit.model, selected)),
        )
    return Stepwise(pd.DataFrame(search.rows), tuple(selected), final, forward, backward)


@dataclass(frozen=True)
class _Fitted:
    ofv: float
    estimates: dict[str, float]


@dataclass
class _Search:
    base: PopulationFit
    executor: Any
    store: Store | None
    rows: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0

    def step(
        self,
        direction: str,
        selected: list[Relation],
        trials: list[list[Relation]],
        changed: list[Relation],
        here: _Fitted,
        level: float,
    ) -> tuple[int, _Fitted] | None:
        """Fit every trial; returns the one to move to, or None to stay."""
        from scipy.stats import chi2

        self.steps += 1
        method = bare(self.base.method)
        models = [_model(self.base.model, t) for t in trials]
        task = functools.partial(
            _fitted, data=self.base.data, method=method, seed=self.base.seed, start=here.estimates
        )
        settings = ("stepwise", self.base.data, method, self.base.seed, here.estimates)
        keys = [fingerprint(*settings, m) for m in models] if self.store is not None else []
        known, keep = remembered(self.store, keys)
        label = f"{direction} step {self.steps}"
        out = run(task, models, executor=self.executor, label=label, known=known, keep=keep)
        if out.interrupted:
            raise KeyboardInterrupt  # a step that is not finished decides nothing; a store keeps its fits
        reasons = {f.task: f.reason for f in out.failures}
        log_p = np.full(
            len(trials), np.nan
        )  # p itself is 0 for falls beyond 1500, where the largest is wanted
        rows = []
        for k, value in enumerate(out.values):
            row: dict[str, Any] = {
                "step": self.steps, "direction": direction, "relation": str(changed[k]), "ofv": np.nan, "difference": np.nan,
                "df": 0, "p": np.nan, "converged": False, "decision": "", "note": reasons.get(k, ""),
            }  # fmt: skip
            if value is not None:
                fall = here.ofv - value["ofv"] if direction == "forward" else value["ofv"] - here.ofv
                df = abs(len(value["estimates"]) - len(here.estimates))
                log_p[k] = chi2.logsf(max(fall, 0.0), df)
                row |= {"ofv": value["ofv"], "difference": fall, "df": df, "p": float(np.exp(log_p[k]))}
                row["converged"] = value["converged"]
                if fall < -0.01:
                    row["note"] = "the larger model has the higher OFV: one of the two is not at its minimum"
            rows.append(row)
        self.rows += rows
        if np.all(np.isnan(log_p)):
            raise FitError(
                "E_STEPWISE",
                f"no fit of {label} succeeded: {rows[0]['note']}",
                "Check the relations and the base model.",
            )
        place = int(np.nanargmin(log_p) if direction == "forward" else np.nanargmax(log_p))
        p = np.exp(log_p[place])
        moves = p < level if direction == "forward" else p >= level
        if not moves:
            return None
        rows[place]["decision"] = "added" if direction == "forward" else "removed"
        value = out.values[place]
        return place, _Fitted(value["ofv"], value["estimates"])


def _model(base: Model, relations: Sequence[Relation]) -> Model:
    return functools.reduce(with_relation, relations, base)


def _fitted(
    model: Model, *, data: Dataset, method: Any, seed: int, start: dict[str, float]
) -> dict[str, Any]:
    done = refit(model, data, method, seed=seed, start=shared_estimates(start, model))
    return {
        "ofv": done.ofv,
        "estimates": {str(k): float(v) for k, v in done.parameter_estimates.items()},
        "converged": bool(done.minimization_successful),
    }
