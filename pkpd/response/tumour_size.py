"""Tumour size over time: a population fit of a shipped model, time to growth, and its link to survival."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pkpd.data import read_dataset
from pkpd.errors import FitError, InputError
from pkpd.response.columns import (
    column_of,
    exposures_of,
    histologies_of,
    label_of,
    named_subjects,
    numbers_of,
    subjects_of,
)
from pkpd.response.evidence import UNSTATED, stated_evidence
from pkpd.response.parametric_survival import ParametricSurvivalFit, fit_parametric_survival
from pkpd.response.tumour_growth import check_landmark, size_ratio, time_to_growth
from pkpd.results import result

if TYPE_CHECKING:  # a plan or an assessment is read without SymPy
    from pkpd.language import Model
    from pkpd.population import PopulationFit

__all__ = ["EFFECTS", "TumourSizeFit", "fit_tumour_size", "tumour_survival"]

DRAWS = 2000  # of the estimates, for intervals of the typical patient

# parameters of growth and of the drug's effect, on which histologies may differ
EFFECTS = {
    "stein": ("KG", "KS"),
    "claret": ("KL", "KD"),
    "wang": ("PR", "SR"),
    "simeoni": ("LAMBDA0",),
}


@result
@dataclass(frozen=True)
class TumourSizeFit:
    """A population fit of tumour size with what follows from it per patient and per histology.

    Attributes
    ----------
    model : str
        stein, claret, wang or simeoni.
    population : PopulationFit
        The fit itself: parameters, predictions, residuals, shrinkage.
    individual : DataFrame
        One row per patient: ID, histology, the individual parameters (at the empirical Bayes estimates),
        TTG (time to growth, NaN for simeoni), and, with ``landmark``, RATIO (predicted size at that time over
        size at the start).
    histologies : DataFrame
        Per histology: n, typical parameters, and of the typical patient at exposure 1 TTG and, with ``landmark``,
        RATIO, each with 90 % interval (``_LOWER``, ``_UPPER``; NaN without a covariance of the estimates).
    effects : tuple of str
        Parameters on which histologies differ.
    evidence : str
        Evidence class (EC1 randomised doses, EC2 several doses, EC3 one dose) of the doses in the data.
    """

    model: str
    population: PopulationFit
    individual: pd.DataFrame
    histologies: pd.DataFrame
    effects: tuple[str, ...]
    evidence: str = UNSTATED


def fit_tumour_size(
    frame: pd.DataFrame,
    size: str,
    time: str = "TIME",
    histology: str | None = None,
    *,
    model: str | Model = "stein",
    effects: Sequence[str] | None = None,
    reference: str | None = None,
    exposure: str | None = None,
    landmark: float | None = None,
    method: Any = None,
    seed: int = 0,
    initial: Mapping[str, float] | None = None,
    dose: str | None = None,
    randomised: bool = False,
) -> TumourSizeFit:
    """Fit a tumour-size model to all patients at once.

    Parameters
    ----------
    frame : DataFrame
        One row per measurement: ID, and the columns named below.
    size, time : str
        Columns: sum of lesions (positive), and time since the start of treatment (negative for scans before it), in the
        unit that the model's parameters are to have.
    histology : str, optional
        Column; histologies differ on `effects`, each against the reference.
    model : {"stein", "claret", "wang", "simeoni"} or Model
        A shipped model (``tumour_...``), or an edited one of these.
    effects : sequence of str, optional
        Parameters on which histologies differ; growth and drug effect by default.
    reference : str, optional
        Histology of reference; the largest by default.
    exposure : str, optional
        Column with the patient's exposure (claret: relative to a reference, 0 for none, the same in all rows of a
        patient; simeoni: concentration); 1 for everybody in claret without it.
    landmark : float, optional
        Time at which the ratio to the size at the start is predicted (8 weeks, say).
    method, seed
        Of :func:`pkpd.fit`.
    initial : dict, optional
        Starting values of thetas: those of the model are in its own unit of time. For simeoni they come from the data:
        first sizes, early and largest growth under the lowest concentration, and a potency that stops growth in the middle
        of the concentrations.
    dose, randomised
        As in :func:`pkpd.response.fit_logistic`.

    Returns
    -------
    TumourSizeFit

    Raises
    ------
    InputError
        ``E_OPTION``, ``E_SIZE_*``, ``E_TIME_*``, ``E_DOSE_*``, ``E_EXPOSURE_CHANGES``, ``E_REFERENCE_ABSENT``, and what
        the fit raises.
    """
    name, wanted = _model_of(model, exposure)
    if landmark is not None:
        check_landmark(name, landmark)
    evidence = stated_evidence(frame, dose, randomised, histology)
    ids = subjects_of(frame, unique=False)
    y = numbers_of(frame, size, ids, "E_SIZE", "tumour size")
    if (y <= 0).any():
        raise InputError(
            "E_SIZE_NOT_POSITIVE",
            f"{int((y <= 0).sum())} sizes in {size} are 0 or negative.",
            "Give lesions too small to measure the smallest size that is read (RECIST 1.1: 5 mm), and say so.",
        )
    table = pd.DataFrame({"ID": ids, "TIME": numbers_of(frame, time, ids, "E_TIME", "time"), "DV": y})
    if name == "simeoni" and isinstance(model, str):
        conc = exposures_of(frame, str(exposure), ids, positive=False)
        wanted = wanted.replace(theta=_xenograft_start(table.assign(CONC=conc)))
    if initial:
        wanted = wanted.replace(theta=dict(initial))
    labels = np.full(len(ids), "all", dtype=object)
    on: tuple[str, ...] = ()
    if histology is not None:
        labels, levels = histologies_of(frame, histology, ids)
        home = _reference(labels, levels, reference)
        table["HISTOLOGY"] = labels
        on = tuple(effects) if effects is not None else EFFECTS[name]
        for parameter in on:
            wanted = wanted.with_effect(parameter, "HISTOLOGY", reference=home)
    elif effects is not None or reference is not None:
        raise InputError("E_OPTION", "effects and reference need a histology column.", "Name it.")
    driver = {"claret": "EXPOSURE", "simeoni": "CONC"}.get(name)
    if driver is not None:
        given = np.ones(len(ids)) if exposure is None else exposures_of(frame, exposure, ids, positive=False)
        if name == "claret":
            _constant_exposure(ids, given, str(exposure))
        table[driver] = given
    table["EVID"] = 0
    table = table.sort_values(["ID", "TIME"], kind="stable").reset_index(drop=True)
    if name != "simeoni":
        # a scan before treatment: records count from it, and the model is told when treatment began
        begin = -table.groupby("ID")["TIME"].transform("min").clip(upper=0.0)
        table["TIME"], table["START"] = table["TIME"] + begin, begin
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="W_NO_DOSES")  # the drug enters as exposure, not as doses
        data = read_dataset(table, histology="HISTOLOGY" if histology is not None else None)
    from pkpd.population import fit

    try:
        population = fit(wanted, data, method=method, seed=seed)
    except FitError as error:
        begun = ", ".join(f"{t.name}: {t.initial:.3g}" for t in wanted.thetas if "HISTOLOGY" not in t.name)
        raise FitError(
            error.code,
            error.message,
            f"{error.remedy or ''} The starting values were {{{begun}}}: give others with initial=, in the unit of"
            f" {size} and of {time}.".strip(),
        ) from error
    first = table.groupby("ID", sort=False).first()
    individual = _individual(name, population, first, driver, landmark)
    return TumourSizeFit(
        model=name,
        population=population,
        individual=individual,
        histologies=_typical(name, population, individual, on, landmark, seed),
        effects=on,
        evidence=evidence,
    )


def tumour_survival(
    tumour: TumourSizeFit,
    frame: pd.DataFrame,
    time: str,
    event: str,
    *,
    histology: str | None = None,
    covariates: Sequence[str] = ("BASE",),
    distribution: str = "lognormal",
    offset: float = 0.0,
) -> ParametricSurvivalFit:
    """Link time to growth to survival in two stages: the patient's own estimate enters an accelerated-failure model.

    Parameters
    ----------
    tumour : TumourSizeFit
    frame : DataFrame
        One row per patient: ID, time and event (1 seen, 0 censored), further covariates.
    time, event, histology : str
        Columns of `frame`.
    covariates : sequence of str
        Columns of `frame`, or individual parameters of the tumour fit (BASE: size at the start).
    distribution : str
        As in :func:`pkpd.response.fit_parametric_survival`.
    offset : float
        Added to the time to growth before its logarithm is taken; needed where it is 0 in some patients (100
        days in Claret 2014).

    Returns
    -------
    ParametricSurvivalFit
        ``slope`` is the change of log survival time per unit of ln(TTG + offset). Standard errors take the
        individual estimates as known, and survivors' longer follow-up makes theirs better: a prediction of
        survival, not an effect of the drug.

    Raises
    ------
    InputError
        ``E_TTG``: a time to growth that is infinite or, with the offset, not positive; ``E_UNKNOWN_ID``.
    """
    if "TTG" not in tumour.individual or tumour.individual["TTG"].isna().any():
        raise InputError("E_TTG", f"{tumour.model} has no time to growth.", "Fit stein, claret or wang.")
    known = tumour.individual.set_index("ID")
    ids = subjects_of(frame)
    strange = [label_of(i) for i in ids if i not in known.index]
    if strange:
        raise InputError(
            "E_UNKNOWN_ID",
            f"ID {', '.join(strange[:10])} have no tumour sizes.",
            "Leave them out, or use size at the start alone.",
        )
    shifted = known.loc[ids, "TTG"].to_numpy(float) + offset
    if not np.all(np.isfinite(shifted) & (shifted > 0)):
        raise InputError(
            "E_TTG",
            f"time to growth plus {offset:g} is 0 or infinite in {int((~(np.isfinite(shifted) & (shifted > 0))).sum())} "
            "patients.",
            "Give an offset, e.g. 100 days.",
        )
    table = frame.assign(TTG=shifted)
    for name in covariates:
        if name not in table.columns:
            table[name] = known.loc[ids, name].to_numpy() if name in known.columns else column_of(frame, name)
    return fit_parametric_survival(
        table,
        time,
        event,
        "TTG",
        histology,
        shape="log",
        slopes="common",
        covariates=list(covariates),
        reference_exposure=1.0,
        distribution=distribution,
        known_at_start=True,  # a time to growth is no exposure; what its slope means is said above
    )


def _model_of(model: str | Model, exposure: str | None) -> tuple[str, Model]:
    from pkpd.language import load_model

    if isinstance(model, str):
        if model not in EFFECTS:
            raise InputError(
                "E_OPTION", f"model={model!r} is not supported.", f"Choose among {', '.join(EFFECTS)}."
            )
        name, found = model, load_model(f"tumour_{model}")
    else:
        name, found = str(model.name).removeprefix("tumour_"), model
        if name not in EFFECTS:
            raise InputError(
                "E_OPTION",
                f"model {model.name!r} is not one of the shipped tumour models.",
                "Edit one of them (load_model, replace, fix), or use pkpd.fit for a model of your own.",
            )
    if exposure is not None and name not in ("claret", "simeoni"):
        raise InputError("E_OPTION", f"{name} has no exposure.", "Leave it out, or fit claret.")
    if exposure is None and name == "simeoni":
        raise InputError("E_OPTION", "simeoni needs a concentration.", "Name its column with exposure=.")
    return name, found


def _constant_exposure(ids: np.ndarray, given: np.ndarray, exposure: str) -> None:
    """Refuse an exposure that changes within a patient: the closed form holds for a constant one."""
    first = pd.Series(given).groupby(ids).transform("first").to_numpy()
    changed = pd.unique(ids[given != first])
    if len(changed):
        raise InputError(
            "E_EXPOSURE_CHANGES",
            f"exposure {exposure} changes within {named_subjects(changed, np.full(len(changed), True))}.",
            "Give each patient one exposure, e.g. that of the planned dose.",
        )


def _xenograft_start(table: pd.DataFrame) -> dict[str, float]:
    """Starting values of the Simeoni model from what is measured: in any unit of size, time and concentration."""
    table = table.sort_values(["ID", "TIME"], kind="stable")
    pieces = table.groupby("ID", sort=False)
    first = float(np.exp(np.log(pieces["DV"].first()).mean()))
    least = pieces["CONC"].max()
    early, steep = [], []
    for who in least.index[least == least.min()]:
        own = pieces.get_group(who)
        t, y = own["TIME"].to_numpy(float), own["DV"].to_numpy(float)
        step = np.diff(t)
        if (step > 0).any():
            early.append(float(((np.diff(np.log(y)) / np.where(step > 0, step, np.inf))[step > 0])[0]))
            steep.append(float(np.max(np.diff(y)[step > 0] / step[step > 0])))
    span = float(np.ptp(table["TIME"])) or 1.0
    growth = max(float(np.median(early)) if early else 0.0, 1 / span)
    given = table.loc[table["CONC"] > 0, "CONC"]
    middle = float(np.exp(np.log(given).mean())) if len(given) else 1.0
    return {
        "LAMBDA0": growth,
        "LAMBDA1": max(float(np.median(steep)) if steep else 0.0, growth * first),
        "K1": 3 * growth,
        "K2": growth / middle,
        "W0": first,
    }


def _reference(labels: np.ndarray, levels: tuple[str, ...], reference: str | None) -> str:
    home = max(levels, key=lambda k: (labels == k).sum()) if reference is None else label_of(reference)
    if home not in levels:
        raise InputError(
            "E_REFERENCE_ABSENT",
            f"the reference histology {home!r} has no subject; present are {list(levels)!r}.",
            "Name one of these as the reference.",
        )
    return home


def _individual(
    name: str, population: PopulationFit, first: pd.DataFrame, driver: str | None, landmark: float | None
) -> pd.DataFrame:
    own = population.individual_parameters.copy()
    at = first.reindex(own.index)
    own.insert(0, "histology", at.get("HISTOLOGY", "all"))
    exposure = at[driver].to_numpy(float) if driver else 1.0
    values = {c: own[c].to_numpy(float) for c in own.columns if c != "histology"}
    own["TTG"] = np.nan if name == "simeoni" else time_to_growth(name, values, exposure)
    if landmark is not None:
        own["RATIO"] = size_ratio(name, values, float(landmark), exposure)
    return own.rename_axis("ID").reset_index()


def _typical(
    name: str,
    population: PopulationFit,
    individual: pd.DataFrame,
    on: tuple[str, ...],
    landmark: float | None,
    seed: int,
) -> pd.DataFrame:
    """Typical patient of each histology, at exposure 1, with 90 % intervals from the covariance of the estimates."""
    values = population.parameter_estimates.to_frame().T
    if np.isfinite(population.covariance_matrix.to_numpy()).all():
        values = pd.concat([values, population.draw(DRAWS, seed)], ignore_index=True)
    names = [t.name for t in population.model.thetas]
    rows = []
    for level, own in individual.groupby("histology", sort=False):
        p = {theta: values[theta].to_numpy(float) for theta in names}
        for parameter in on:
            effect = f"{parameter}(HISTOLOGY={level})"
            if effect in values:
                p[parameter] = p[parameter] * np.exp(values[effect].to_numpy(float))
        row: dict[str, Any] = {"histology": level, "n": len(own), **{k: float(v[0]) for k, v in p.items()}}
        if name != "simeoni":
            row |= _with_interval("TTG", time_to_growth(name, p))
        if landmark is not None:
            row |= _with_interval("RATIO", size_ratio(name, p, float(landmark)))
        rows.append(row)
    return pd.DataFrame(rows)


def _with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    lower, upper = np.quantile(values[1:], [0.05, 0.95]) if values.size > 1 else (np.nan, np.nan)
    return {name: float(values[0]), f"{name}_LOWER": float(lower), f"{name}_UPPER": float(upper)}
