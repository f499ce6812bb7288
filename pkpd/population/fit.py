"""Fit a population model, or evaluate its objective at given parameters."""

from __future__ import annotations

import math
import os
import warnings as python_warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import FitError, FitInterrupted, InputError, PkpdWarning
from pkpd.language import Model, Problem, bind
from pkpd.language.scales import Scales, Values, named_values, parameter_values
from pkpd.parallel import Progress, checked_seed
from pkpd.population.checkpoint import Checkpoint
from pkpd.population.covariance import CovarianceStep
from pkpd.population.importance import IMP
from pkpd.population.methods import FOCEI, GradientMethod, NaivePooled
from pkpd.population.objective import Evaluation, Objective
from pkpd.population.outcome import outcome
from pkpd.population.quasi_newton import Search
from pkpd.population.recording import RecordedObjective
from pkpd.population.result import PopulationFit
from pkpd.population.saem import SAEM
from pkpd.population.sampled import sampled_fit
from pkpd.population.search import find_optimum
from pkpd.population.starting_values import resolved_start
from pkpd.population.two_stage import TwoStage, fit_two_stage
from pkpd.store import Store, fingerprint, open_store

__all__ = ["evaluate", "fit"]

Method = GradientMethod | SAEM | IMP | TwoStage


def fit(
    model: Model,
    data: Dataset,
    method: Method | Sequence[Method] | None = None,
    *,
    seed: int = 0,
    start: Mapping[str, float] | pd.Series | str | None = None,
    progress: Callable[[int, float], None] | None = None,
    store: Store | str | os.PathLike[str] | None = None,
) -> PopulationFit:
    """Fit a population model.

    Parameters
    ----------
    model : Model
        From :func:`pkpd.load_model` or :func:`pkpd.model`; its initial values are where the search starts.
    data : Dataset
        From :func:`pkpd.read_dataset`.
    method : FO, FOCE, FOCEI, Laplace, AGQ, MAP, NaivePooled, TwoStage, SAEM or IMP, optional
        Settings of the method; FOCEI by default. A list is a chain: each starts where the one before ended, and the last
        one's result is returned.
    seed : int
        Of the random numbers of SAEM and IMP, and of the starting points of ``starts``; the other methods draw none.
    start : mapping, Series or "auto", optional
        Natural parameters by name where the search starts (``other.parameter_estimates``), and the values of fixed ones; the
        model's initial values where not given. ``"auto"`` looks for them, see
        :func:`pkpd.starting_values`. Effects of levels that the data do not have are left aside.
    progress : callable, optional
        Called with (iteration, ofv), by SAEM with -2 log-likelihood given the current draws; by default a line on a terminal, and
        nothing elsewhere.
    store : Store or path, optional
        Where evaluations of the objective, or the state of SAEM and IMP, are kept as the fit goes on: when it is run again, it
        goes on to the same bits. Of TwoStage it keeps the naive pooled fit.

    Returns
    -------
    PopulationFit
        Also when minimisation or covariance step did not succeed: the result says so, and why.

    Raises
    ------
    InputError
        ``E_METHOD`` for a method that is none, ``E_ARGUMENT`` for a seed that is none.
    ModelError
        If the model and the data do not fit together.
    FitError
        ``E_FIT_SUBJECT`` if the objective cannot be computed at the starting values; names the subjects.
    FitInterrupted
        At Ctrl-C, a KeyboardInterrupt; its ``fit`` is the best point so far (of SAEM and IMP the last one, with FOCEI's
        approximation to its likelihood).
    """
    seed = checked_seed(seed)
    if isinstance(method, (list, tuple)):
        return _chained(model, data, method, seed, start, progress, store)
    if isinstance(method, NaivePooled) and isinstance(model, Model):
        model = model.without_random_effects()
    chosen, problem = _bound(model, data, method)
    scales = Scales(problem)
    given = resolved_start(start, model, data, chosen, seed)
    begin = parameter_values(scales, problem, _present(given, model, scales))
    kept = open_store(store)
    key = "" if kept is None else fingerprint("fit", model, data, chosen, seed, scales.natural(begin))
    if isinstance(chosen, (SAEM, IMP)):
        return _by_sampling(problem, scales, chosen, begin, seed, progress, Checkpoint(kept, key), data)
    if isinstance(chosen, TwoStage):
        return _by_two_stages(problem, scales, chosen, begin, seed, progress, kept, data)
    objective = RecordedObjective(problem, scales, chosen, kept, key)
    with Progress(f"{type(chosen).__name__} fit of {model.name}") as line:

        def report(iteration: int, ofv: float) -> None:
            line.say(f"iteration {iteration}, OFV {ofv:.4f}")

        try:
            search, step = find_optimum(objective, begin, seed, progress or report)
        except KeyboardInterrupt:
            if objective.best is None:
                raise
            best = objective.best
            count = objective.computed
            cause = f"interrupted after {count} evaluation{'s' if count != 1 else ''} of the objective"
            search = Search(scales.free_values(best.values), best, False, cause, ())
            step = CovarianceStep(None, "not reached: interrupted", math.nan, ())
            raise FitInterrupted(outcome(objective, seed, search, step, data)) from None
        finally:
            objective.flush()
    return outcome(objective, seed, search, step, data)


def _by_sampling(
    problem: Problem,
    scales: Scales,
    method: SAEM | IMP,
    begin: Values,
    seed: int,
    progress: Callable[[int, float], None] | None,
    checkpoint: Checkpoint,
    data: Dataset,
) -> PopulationFit:
    if isinstance(method, IMP):
        what, total, of = "OFV", method.max_iterations, "of at most"
    else:
        what, total, of = "-2LL given the draws", sum(method.iterations), "of"
    with Progress(f"{method.kind} fit of {problem.model.name}", total) as line:

        def report(iteration: int, value: float) -> None:
            line.reach(iteration, f"iteration {iteration} {of} {total}, {what} {value:.4f}")

        ended = sampled_fit(problem, scales, method, begin, seed, progress or report, checkpoint)
    fit = outcome(ended.objective, seed, ended.search, ended.step, data, ended)
    if ended.interrupted:
        raise FitInterrupted(fit)
    return fit


def _by_two_stages(
    problem: Problem,
    scales: Scales,
    method: TwoStage,
    begin: Values,
    seed: int,
    progress: Callable[[int, float], None] | None,
    store: Store | None,
    data: Dataset,
) -> PopulationFit:
    """A naive pooled fit, which a store keeps, and the individual fits that start from it."""
    with python_warnings.catch_warnings():
        python_warnings.simplefilter("ignore", PkpdWarning)
        start = dict(zip(scales.names, scales.natural(begin), strict=True))
        thetas = {n: v for n, v in start.items() if not n.startswith("OMEGA(")}
        naive = NaivePooled(covariance=None, blq=method.blq, solver=method.solver)
        pooled = fit(problem.model, data, naive, seed=seed, start=thetas, progress=progress, store=store)
    both = start | dict(pooled.parameter_estimates)
    ended = fit_two_stage(
        problem, scales, method, parameter_values(scales, problem, both),
        "" if pooled.minimization_successful else pooled.termination_cause,
    )  # fmt: skip
    return outcome(ended.objective, seed, ended.search, ended.step, data, method=method, notes=ended.notes)


def _chained(
    model: Model,
    data: Dataset,
    methods: Sequence[Method],
    seed: int,
    start: Mapping[str, float] | pd.Series | str | None,
    progress: Callable[[int, float], None] | None,
    store: Store | str | os.PathLike[str] | None,
) -> PopulationFit:
    """One method after the other; the covariance and the warnings are those of the last."""
    if not methods:
        raise InputError("E_METHOD", "the list of methods is empty.", "Use [pkpd.FO(), pkpd.FOCEI()], say.")
    for method in methods:
        if isinstance(method, (list, tuple)):
            raise InputError("E_METHOD", "a list of methods holds another list.", "Give one list.")
    for method in methods[:-1]:
        with python_warnings.catch_warnings():
            python_warnings.simplefilter("ignore", PkpdWarning)
            before = fit(
                model,
                data,
                replace(method, covariance=None),
                seed=seed,
                start=start,
                progress=progress,
                store=store,
            )
        start = before.parameter_estimates
    return fit(model, data, methods[-1], seed=seed, start=start, progress=progress, store=store)


def _present(
    start: Mapping[str, float] | pd.Series | None, model: Model, scales: Scales
) -> dict[str, float] | None:
    """Starting values less the effects of factor levels that the data lack."""
    if start is None:
        return None
    absent = tuple(f"{e.parameter}({e.factor}=" for e in model.effects)
    return {k: v for k, v in named_values(start).items() if k in scales.names or not k.startswith(absent)}


def _bound(model: Model, data: Dataset, method: Any) -> tuple[Any, Problem]:
    method = method or FOCEI()
    if not isinstance(method, (GradientMethod, SAEM, IMP, TwoStage)) or type(method) is GradientMethod:
        raise InputError("E_METHOD", f"method {method!r} is not an estimation method.", "Use pkpd.FOCEI(…).")
    problem = bind(model, data, method.solver)
    if not problem.records.used.any():
        raise FitError(
            "E_NO_OBSERVATIONS", f"{data.source} has no observation that counts.", "Check EVID, MDV and DV."
        )
    direct = [o.name for o in problem.model.observations if o.likelihood]
    if direct and method.kind in ("FO", "FOCE", "FOCEI", "TwoStage"):
        raise InputError(
            "E_METHOD_LIKELIHOOD",
            f"{method.kind} takes Gaussian endpoints only, and {', '.join(direct)} of {model.name} is a "
            "likelihood of its own.",
            "Use pkpd.Laplace(), pkpd.AGQ() or pkpd.SAEM().",
        )
    censored = int((problem.records.censored != 0).sum())
    if censored and method.kind == "FO" and method.blq != "M1":
        raise InputError(
            "E_METHOD_CENSORED",
            f"{censored} records are censored, and FO has no likelihood for them.",
            'Use Laplace() or FOCEI(), or leave them out by FO(blq="M1").',
        )
    return method, problem


def evaluate(
    model: Model,
    data: Dataset,
    parameters: Mapping[str, float] | None = None,
    method: GradientMethod | None = None,
) -> Evaluation:
    """Objective, gradient and empirical Bayes estimates at fixed population parameters.

    Parameters
    ----------
    model : Model
    data : Dataset
    parameters : mapping, optional
        Natural parameters by name (``CL``, ``OMEGA(CL,CL)``, ``SD(ADD)``); the model's initial values where not given.
    method : FO, FOCE, FOCEI, Laplace, AGQ or MAP, optional

    Raises
    ------
    InputError
        ``E_PARAMETER_NAME`` for an unknown name, ``E_PARAMETER_VALUE`` for an impossible value.
    FitError
        ``E_FIT_SUBJECT`` if the objective cannot be computed.
    """
    if isinstance(method, NaivePooled) and isinstance(model, Model):
        model = model.without_random_effects()
    if isinstance(method, (SAEM, IMP, TwoStage)):
        raise InputError(
            "E_METHOD",
            f"{method.kind} has no objective with a gradient.",
            "Evaluate by pkpd.FOCEI(…), or take pkpd.importance_sampling of a fit.",
        )
    method, problem = _bound(model, data, method)
    scales = Scales(problem)
    values = parameter_values(scales, problem, parameters)
    objective = Objective(problem, scales, method)
    point = objective.at(values)
    if not math.isfinite(point.ofv) or point.natural is None:
        raise objective.explain(point)
    ids = pd.Index(problem.subjects, name="ID")
    return Evaluation(
        ofv=point.ofv,
        minus2ll=point.ofv - point.prior + objective.constant,
        gradient=pd.Series(point.natural, index=scales.names),
        individual_ofv=pd.Series(point.individual, index=ids, name="OFV"),
        individual_estimates=pd.DataFrame(point.etas, index=ids, columns=[e.name for e in problem.etas]),
    )
