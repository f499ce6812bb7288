"""What no key of a plan shows alone: files that exist, doses that fit, one primary endpoint of each kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pkpd.errors import InputError
from pkpd.histology.margins import WIDEST_BOUNDS
from pkpd.study.endpoint_kinds import EndpointPlan, TumourSizePlan
from pkpd.study.schema import Reader, spelled
from pkpd.study.sections import STARTING_METHODS, ModelPlan, RepresentativenessPlan
from pkpd.study.truths import ScenarioPlan

__all__ = ["check_together"]


def check_together(reader: Reader, read: dict[str, Any], folder: Path) -> None:
    """Add to the reader's findings what no key of a plan shows alone.

    Parameters
    ----------
    reader : Reader
    read : dict
        Sections of the plan by name, None where one could not be read; ``entries`` of ``[[endpoint]]``, ``scenarios`` of
        ``[[scenario]]``.
    folder : Path
        That paths are relative to.
    """
    data, model = read.get("data"), read.get("model")
    dosing, exposure = read.get("dosing"), read.get("exposure")
    if dosing is not None and dosing.reference not in dosing.candidates:
        message = f"dosing.reference = {dosing.reference:g} is not among dosing.candidates."
        reader.mistake("E_PLAN_DOSES", ("dosing", "candidates"), message, "Add it: it can be given, too.")
    low, high = WIDEST_BOUNDS
    if exposure is not None and not low <= exposure.bounds[0] < exposure.bounds[1] <= high:
        message = f"exposure.bounds {list(exposure.bounds)} are wider than {low:g} to {high:g}."
        remedy = "Beyond a factor of two no difference in exposure passes as without effect."
        reader.mistake("E_PLAN_BOUNDS", ("exposure", "bounds"), message, remedy, exposure.bounds)
    if data is not None:
        _check_file(reader, folder, data.file, ("data", "file"))
    if model is not None and model.file is not None:
        _check_file(reader, folder, model.file, ("model", "file"))
    if model is not None:
        _check_methods(reader, model)
    if read.get("representativeness") is not None:
        _check_representativeness(reader, read["representativeness"])
    if data is not None:
        _check_scenarios(reader, read.get("scenarios", ()), data.reference)
    entries = read.get("entries", ())
    if entries and all(e is not None for e in entries):
        _check_endpoints(reader, entries)
        for i, entry in enumerate(entries):
            if isinstance(entry, TumourSizePlan):
                _check_tumour_size(reader, i, entry, read, folder)


def _check_scenarios(reader: Reader, scenarios: tuple[ScenarioPlan | None, ...], reference: str) -> None:
    names = [s.name for s in scenarios if s is not None]
    for i, scenario in enumerate(scenarios):
        if scenario is None:
            continue
        if names.count(scenario.name) > 1:
            message = f"two scenarios are named {scenario.name!r}."
            reader.mistake("E_PLAN_SCENARIO", ("scenario", i, "name"), message, "Rename one.", scenario.name)
        try:
            # that histologies are those of the data is checked with them
            named = {*scenario.response, *scenario.ae, *(scenario.ratio or {}), reference}
            scenario.truth().check(tuple(named), reference)
        except InputError as error:
            reader.mistake("E_PLAN_SCENARIO", ("scenario", i), error.message, error.remedy)


def _check_representativeness(reader: Reader, section: RepresentativenessPlan) -> None:
    name = "representativeness"
    try:
        section.target()
    except InputError as error:
        reader.mistake("E_PLAN_WEIGHTS", (name, section.weights_key), error.message, error.remedy)
    if section.age_bands is not None and section.age is None:
        message = "age_bands are given, but no column with the age."
        reader.mistake("E_PLAN_MISSING", (name, "age_bands"), message, 'Add age = "AGE".')
    if (section.cutoff is None) != (section.cutoff_column is None):
        message = "cutoff and cutoff_column belong together."
        reader.mistake("E_PLAN_MISSING", (name,), message, "Give both, or none.")


def _check_methods(reader: Reader, model: ModelPlan) -> None:
    last = model.methods[-1]
    if last in STARTING_METHODS:
        reader.mistake(
            "E_PLAN_METHOD",
            ("model", "method"),
            f"the last method is {last}, whose likelihood is too rough to test histologies by.",
            f'Let another follow: ["{last}", "FOCEI"].',
            last,
        )
    for name in model.options or {}:
        if name not in model.methods:
            reader.mistake(
                "E_PLAN_METHOD",
                ("model", "options"),
                f"options are given for {name}, which is not among the methods {', '.join(model.methods)}.",
                "Leave them out, or name the method.",
                name,
            )


def _check_file(reader: Reader, folder: Path, file: str, path: tuple[str | int, ...]) -> None:
    if not (folder / file).is_file():
        message = f'{spelled(path)} = "{file}": there is no such file in {folder.resolve()}.'
        reader.mistake("E_PLAN_FILE", path, message, "Paths are relative to the plan's own folder.", file)


def _check_tumour_size(
    reader: Reader, i: int, entry: TumourSizePlan, read: dict[str, Any], folder: Path
) -> None:
    place, exposure = ("endpoint", i), read.get("exposure")
    _check_file(reader, folder, entry.file, (*place, "file"))
    if entry.model == "simeoni" and exposure is not None and not exposure.metric.startswith("CAVG"):
        message = f"{entry.name}: the model simeoni is driven by a concentration, not by {exposure.metric}."
        reader.mistake(
            "E_PLAN_TUMOUR_MODEL",
            (*place, "model"),
            message,
            "Use CAVG1 or CAVGSS as metric, or another model.",
        )
    if entry.model == "simeoni" and (entry.landmark is not None or entry.survival is not None):
        message = f"{entry.name}: the model simeoni has neither time to growth nor size in closed form."
        reader.mistake("E_PLAN_TUMOUR_MODEL", (*place, "model"), message, "Leave landmark and survival out.")
    times = [e.name for e in read["entries"] if isinstance(e, EndpointPlan) and not e.binary]
    if entry.survival is not None and entry.survival not in times:
        message = f"{entry.name} is linked to {entry.survival!r}, which is no time to an event of this plan."
        remedy = f"There are {', '.join(times)}." if times else "Declare an [[endpoint]] with event."
        reader.mistake("E_PLAN_ENDPOINTS", (*place, "survival"), message, remedy, entry.survival)
    if entry.survival is None and entry.offset:
        message = f"{entry.name} has an offset, but no survival that it enters."
        reader.mistake("E_PLAN_ENDPOINTS", (*place, "offset"), message, "Name the endpoint, or leave it out.")


def _check_endpoints(reader: Reader, entries: tuple[EndpointPlan | TumourSizePlan, ...]) -> None:
    endpoints = [(i, e) for i, e in enumerate(entries) if isinstance(e, EndpointPlan)]
    for kind in ("efficacy", "safety"):
        binary = [(i, e) for i, e in endpoints if e.kind == kind and e.binary]
        chosen = [e for _, e in binary if e.primary]
        if not binary:
            message = f'no binary endpoint of kind "{kind}"; verdicts rest on one.'
            remedy = f'Declare an [[endpoint]] with kind = "{kind}" and without event, which makes it a time.'
            reader.mistake("E_PLAN_ENDPOINTS", ("endpoint",), message, remedy)
        elif (len(binary) > 1 and len(chosen) != 1) or (len(binary) == 1 and binary[0][1].primary is False):
            message = f'{len(binary)} binary endpoints of kind "{kind}", {len(chosen)} of them primary.'
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", binary[-1][0]),
                message,
                "Add primary = true to the one that verdicts rest on.",
            )
    for i, e in endpoints:
        if not e.binary and e.primary:
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", i, "primary"),
                f"{e.name} is a time to an event and cannot be primary: without a control arm its difference between "
                "histologies measures prognosis.",
                "Make a binary endpoint primary; this one is reported within each histology.",
            )
    names = [e.name for e in entries]
    for i, name in enumerate(names):
        if name in names[:i]:
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", i, "name"),
                f"two endpoints are named {name!r}.",
                "Rename one.",
                name,
            )
