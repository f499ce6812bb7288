"""Operating characteristics: how often a plan's decision table errs, at the study's own sizes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pkpd.errors import FitError, InputError
from pkpd.histology import Evidence, Margins, decide, gather
from pkpd.parallel import run, stream
from pkpd.response import fit_logistic
from pkpd.results import result
from pkpd.store import fingerprint, open_store, remembered
from pkpd.study.plan import Plan, read_plan
from pkpd.study.scenarios import Scenario, scenarios_of, simulated_trial, true_evidence
from pkpd.study.subjects import read_data, subject_table
from pkpd.study.truths import CharacteristicsPlan
from pkpd.study.verdicts import margins_of

__all__ = ["VERDICTS", "OperatingCharacteristics", "check_scenarios", "operating_characteristics"]

VERDICTS = ("same dose", "adjust dose", "exclude", "insufficient data")
PURPOSE = 0x4F43  # keeps these random numbers apart from those of other tasks with the same seed
BATCH = 10  # trials per task: enough work to be worth sending away, little enough to lose


@result
@dataclass(frozen=True)
class OperatingCharacteristics:
    """How often each verdict is reached, and how often it is false.

    Attributes
    ----------
    table : DataFrame
        One row per scenario and histology: scenario, histology, n, truth (the verdict that the same table
        reaches when the scenario is known exactly), true_dose, the probabilities same, adjust, exclude and
        insufficient, right (the true verdict and, where the dose is adjusted, the true dose), false_same,
        false_adjust (an adjustment where the truth asks for none), false_exclude, each with its Monte-Carlo
        standard error (``..._se``), and shown_below_p0: the probability, by exact enumeration of the
        histology's own response table, that a response below p0 is shown.
    any_false : DataFrame
        Per scenario: probability that at least one histology gets a false same dose, adjust dose or exclude,
        with standard errors.
    n_replicates : int
    failed : int
        Simulated trials that could not be fitted; they count for no verdict.
    seed : int
    """

    table: pd.DataFrame
    any_false: pd.DataFrame
    n_replicates: int
    failed: int
    seed: int


@dataclass(frozen=True)
class _Design:
    """What a task needs: pickled to workers."""

    patients: pd.DataFrame
    margins: Margins
    reference: str
    shape: dict[str, str]
    randomised: bool
    aliases: tuple[str, ...]
    anchors: dict[str, str]
    tolerated: dict[str, float]
    n_draws: int
    seed: int


def operating_characteristics(
    plan: Plan | str | Path,
    scenarios: Any = None,
    *,
    n: int | None = None,
    n_draws: int | None = None,
    seed: int | None = None,
    executor: Any = None,
    store: Any = None,
    progress: Callable[[int, int], None] | None = None,
) -> OperatingCharacteristics:
    """Simulate trials under stated truths and count what the plan's decision table says of them.

    Parameters
    ----------
    plan : Plan, str or Path
        The plan: its data give patients, doses and evaluability per histology, its margins and thresholds the
        table.
    scenarios : Scenario, dict, or a sequence of them, optional
        The truths; those of the plan (``[[scenario]]``) without it.
    n : int, optional
        Trials per scenario; 200, or what ``[characteristics]`` of the plan says.
    n_draws : int, optional
        Draws of the coefficients of each exposure-response fit; 1000, or what the plan says.
    seed : int, optional
        Default: the plan's.
    executor : Executor, or callable that makes one, optional
        Where trials run (:func:`pkpd.processes`); here, one after the other, without it. Results are the same
        bits on any.
    store : Store or path, optional
        Where finished trials are kept: a run that was interrupted goes on from there.
    progress : callable, optional
        Called with the trials that are finished and all of them, instead of a line on a terminal.

    Returns
    -------
    OperatingCharacteristics

    Raises
    ------
    InputError
        ``E_SCENARIO``, ``E_OPTION``, and what the plan and its data raise.
    FitError
        ``E_TASKS_FAILED``: trials that could not be simulated, with the first cause.

    Notes
    -----
    Each trial draws log-normal exposures and binary outcomes for the study's own patients, fits both
    exposure-response models as the assessment does, and estimates exposure ratios from the patients'
    log exposures with their pooled standard deviation: the population fit itself is not repeated, so the
    uncertainty of individual exposures is taken as small against their spread. One random stream per
    (seed, scenario, trial).

    The *truth* of a scenario is the verdict of the same table on the scenario's own values, known exactly;
    the design's limits stay (doses not randomised, a histology aliased with its study).
    """
    plan = plan if isinstance(plan, Plan) else read_plan(plan)
    settings = plan.characteristics or CharacteristicsPlan()
    n = settings.n if n is None else n
    n_draws = settings.draws if n_draws is None else n_draws
    for name, value, least in (("n", n, 2), ("n_draws", n_draws, 100)):
        if isinstance(value, bool) or int(value) != value or value < least:
            raise InputError("E_OPTION", f"{name}={value!r}.", f"Give a whole number from {least} upwards.")
    seed = plan.seed if seed is None else seed
    truths = scenarios_of([s.truth() for s in plan.scenarios] if scenarios is None else scenarios)
    design = _design(plan, n_draws, int(seed))
    levels = tuple(dict.fromkeys(design.patients["histology"]))
    for scenario in truths:
        scenario.check(levels, plan.data.reference)
    tasks = [
        (design, scenario, i, start, min(start + BATCH, n))
        for i, scenario in enumerate(truths)
        for start in range(0, n, BATCH)
    ]
    kept = open_store(store)
    keys = [] if kept is None else [fingerprint("operating characteristics", *task) for task in tasks]
    known, keep = remembered(kept, keys)
    label = "operating characteristics" if progress is None else ""
    if progress is not None:
        keep = _told(keep, progress, tasks, known)
    answers = run(_batch, tasks, executor=executor, label=label, known=known, keep=keep)
    if answers.interrupted:
        raise KeyboardInterrupt
    if answers.failures:
        lost = answers.failures[0]
        raise FitError(
            "E_TASKS_FAILED",
            f"{len(answers.failures)} of {len(tasks)} tasks failed, the first because {lost.reason}.",
            "Mend the cause and run again; with store= what was finished is kept.",
        )
    rows: list[list[Any]] = [row for answer in answers.values for row in answer]
    drawn = pd.DataFrame(rows, columns=["scenario", "trial", "histology", "verdict", "dose"])
    failed = int((drawn["verdict"] == "").sum())
    table, any_false = _count(drawn[drawn["verdict"] != ""], truths, design)
    return OperatingCharacteristics(table, any_false, int(n), failed, int(seed))


def check_scenarios(plan: Plan, histologies: tuple[str, ...]) -> None:
    """Refuse scenarios of a plan that name histologies which its data do not have.

    Raises
    ------
    PlanError
        ``E_PLAN_SCENARIO``.
    """
    for i, scenario in enumerate(plan.scenarios):
        try:
            scenario.truth().check(histologies, plan.data.reference)
        except InputError as error:
            raise plan.error("E_PLAN_SCENARIO", ("scenario", i), error.message, error.remedy or "") from error


def _told(keep: Any, progress: Callable[[int, int], None], tasks: list[Any], known: Any) -> Any:
    """Keep a finished task, and tell how many trials are done."""
    sizes = [stop - start for *_, start, stop in tasks]
    done = [sum(sizes[i] for i in known)]

    def told(place: int, value: Any) -> None:
        keep(place, value)
        done[0] += sizes[place]
        progress(done[0], sum(sizes))

    return told


def _design(plan: Plan, n_draws: int, seed: int) -> _Design:
    subjects = subject_table(plan, read_data(plan))
    patients = subjects[["ID", "histology", "dose"]].copy()
    patients["evaluable_response"] = subjects[plan.endpoint("efficacy").name].notna().to_numpy()
    patients["evaluable_ae"] = subjects[plan.endpoint("safety").name].notna().to_numpy()
    for name in plan.data.aliases or ():
        patients[name] = subjects[name].to_numpy()
    return _Design(
        patients=patients,
        margins=margins_of(plan, tuple(dict.fromkeys(subjects["histology"]))),
        reference=plan.data.reference,
        shape={"response": plan.endpoint("efficacy").shape, "ae": plan.endpoint("safety").shape},
        randomised=plan.dosing.randomised,
        aliases=tuple(plan.data.aliases or ()),
        anchors=dict(plan.data.anchors or {}),
        tolerated=dict(plan.dosing.tolerated or {}),
        n_draws=n_draws,
        seed=seed,
    )


def _batch(task: tuple[_Design, Scenario, int, int, int]) -> list[list[Any]]:
    design, scenario, index, start, stop = task
    rows: list[list[Any]] = []
    for trial in range(start, stop):
        patients = _trial(design, scenario, index, trial)
        try:
            evidence = _evidence(design, patients, trial)
        except FitError:
            rows.append([scenario.name, trial, "", "", math.nan])
            continue
        for histology, known in evidence.items():
            verdict = decide(known, design.margins)
            rows.append([scenario.name, trial, histology, verdict.verdict, verdict.dose])
    return rows


def _trial(design: _Design, scenario: Scenario, index: int, trial: int) -> pd.DataFrame:
    return simulated_trial(
        scenario,
        design.patients,
        design.reference,
        design.margins.reference_dose,
        stream(design.seed, PURPOSE, index, trial),
    )


def _evidence(design: _Design, patients: pd.DataFrame, seed: int) -> dict[str, Evidence]:
    logs = np.log(patients["reference"]).groupby(patients["histology"], sort=False)
    mean, size = logs.mean(), logs.size()
    at = math.exp(float(mean[design.reference]))
    within = np.log(patients["reference"]) - mean.reindex(patients["histology"]).to_numpy()
    sd = math.sqrt(float((within**2).sum()) / max(len(patients) - len(size), 1))
    home = float(size[design.reference])
    ratios = pd.DataFrame(
        {
            "histology": mean.index,
            "log_ratio": (mean - mean[design.reference]).to_numpy(),
            "log_ratio_se": sd * np.sqrt(1 / size.to_numpy(float) + 1 / home),
            "log_ratio_se_reference": sd / math.sqrt(home),
        }
    )
    fits: dict[str, Any] = {}
    for endpoint in ("response", "ae"):
        known = patients[patients[endpoint].notna()]
        spread = known.groupby("histology")["exposure"].nunique()
        kept = known[known["histology"].map(spread) > 1].reset_index(drop=True)
        fits[endpoint] = fit_logistic(
            kept, endpoint, "exposure", "histology", shape=design.shape[endpoint], reference_exposure=at
        )
    return gather(
        patients,
        fits["response"],
        fits["ae"],
        ratios,
        design.margins,
        histology="histology",
        reference=design.reference,
        dose="dose",
        response="response",
        ae="ae",
        exposure="exposure",
        reference_exposure="reference",
        n_draws=design.n_draws,
        seed=seed,
        randomised=design.randomised,
        aliases=design.aliases,
        anchors=design.anchors,
        tolerated_doses=design.tolerated,
    )


def _count(
    drawn: pd.DataFrame, scenarios: tuple[Scenario, ...], design: _Design
) -> tuple[pd.DataFrame, pd.DataFrame]:
    rows, totals = [], []
    for index, scenario in enumerate(scenarios):
        own = drawn[drawn["scenario"] == scenario.name]
        trials = max(own["trial"].nunique(), 1)
        # the features of the design are the same in every trial: those of the first one stand for all
        evidence = _evidence(design, _trial(design, scenario, index, 0), 0)
        truth = true_evidence(scenario, evidence, design.margins)
        false = pd.DataFrame(
            False, index=sorted(own["trial"].unique()), columns=["same", "adjust", "exclude"]
        )
        for histology, known in truth.items():
            right = decide(known, design.margins)
            mine = own[own["histology"] == histology].set_index("trial")
            is_ = {v: mine["verdict"] == v for v in VERDICTS}
            true_dose = np.isclose(mine["dose"].to_numpy(float), right.dose, equal_nan=True)
            hit = is_[right.verdict] & (true_dose | (right.verdict != "adjust dose"))
            wrong = {
                "same": is_["same dose"] & (right.verdict != "same dose"),
                "adjust": is_["adjust dose"] & (right.verdict != "adjust dose"),
                "exclude": is_["exclude"] & (right.verdict != "exclude"),
            }
            for kind, flags in wrong.items():
                false[kind] |= flags.reindex(false.index, fill_value=False)
            share = {
                "same": is_["same dose"],
                "adjust": is_["adjust dose"],
                "exclude": is_["exclude"],
                "insufficient": is_["insufficient data"],
                "right": hit,
                **{f"false_{kind}": flags for kind, flags in wrong.items()},
            }
            row: dict[str, Any] = {
                "scenario": scenario.name,
                "histology": histology,
                "n": int((design.patients["histology"] == histology).sum()),
                "truth": right.verdict,
                "true_dose": right.dose,
            }
            for name, flags in share.items():
                row[name], row[f"{name}_se"] = _share(float(flags.sum()), trials)
            row["shown_below_p0"] = _shown_below(scenario, evidence[histology], design)
            rows.append(row)
        total: dict[str, Any] = {"scenario": scenario.name}
        for kind in false.columns:
            name = f"false_{kind}"
            total[name], total[f"{name}_se"] = _share(float(false[kind].sum()), trials)
        totals.append(total)
    return pd.DataFrame(rows), pd.DataFrame(totals)


def _share(count: float, trials: int) -> tuple[float, float]:
    """Share and its Monte-Carlo standard error.

    At 0 or `trials` counts the plain error would be 0, which claims too much: there it is that of half a
    count more or less.
    """
    p = count / trials
    q = (count + 0.5) / (trials + 1) if count in (0, trials) else p
    return p, math.sqrt(q * (1 - q) / trials)


def _shown_below(scenario: Scenario, evidence: Evidence, design: _Design) -> float:
    """P(P(ORR < p0 | data) ≥ threshold) over every response table of the histology at its own dose."""
    from scipy.special import betainc
    from scipy.stats import binom

    own = evidence.own_data()
    n = int(own.n)
    rate = scenario.mean_probability(
        "response", evidence.histology, evidence.reference, own.dose / design.margins.reference_dose
    )
    r = np.arange(n + 1)
    shown = betainc(r + 0.5, n - r + 0.5, design.margins.p0_of(evidence.histology))
    return float(binom.pmf(r, n, rate)[shown >= design.margins.threshold_conclude].sum())
