"""The pre-specified analysis: a TOML file with what is analysed, against which margins, and their sources."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkpd.errors import Finding, PlanError
from pkpd.histology.margins import WIDEST_BOUNDS
from pkpd.results import result
from pkpd.study.locations import line_of, locations
from pkpd.study.schema import Reader, integer, text
from pkpd.study.sections import (
    BootstrapPlan,
    DataPlan,
    DosingPlan,
    EndpointPlan,
    ExchangeabilityPlan,
    ExposurePlan,
    MarginsPlan,
    ModelPlan,
    ResponseRatePlan,
    SensitivityPlan,
    ThresholdsPlan,
)

__all__ = ["PLAN_FORMAT", "Plan", "check_plan", "read_plan"]

PLAN_FORMAT = 1
"""Version of the plan format that this version of pkpd reads."""


@result
@dataclass(frozen=True)
class Plan:
    """A complete analysis plan; :func:`read_plan` makes one from a file.

    Attributes
    ----------
    title : str
    seed : int
        Seed of everything random.
    data, model, dosing, exposure, endpoints, margins, p0, thresholds, bootstrap, exchangeability, sensitivity
        The sections.
    path : str
        The file it was read from.
    sha256 : str
        Of that file's bytes.
    """

    title: str
    seed: int
    data: DataPlan
    model: ModelPlan
    dosing: DosingPlan
    exposure: ExposurePlan
    endpoints: tuple[EndpointPlan, ...]
    margins: MarginsPlan
    p0: ResponseRatePlan
    thresholds: ThresholdsPlan
    bootstrap: BootstrapPlan
    exchangeability: ExchangeabilityPlan
    sensitivity: SensitivityPlan
    path: str
    sha256: str

    def resolve(self, file: str) -> Path:
        """Path of a file that the plan names, relative to the plan's own folder."""
        return Path(self.path).parent / file

    def endpoint(self, kind: str) -> EndpointPlan:
        """The primary efficacy or safety endpoint, on which verdicts rest."""
        return next(e for e in self.endpoints if e.kind == kind and self.is_primary(e))

    def is_primary(self, endpoint: EndpointPlan) -> bool:
        """Whether verdicts rest on the endpoint."""
        alone = sum(e.kind == endpoint.kind and e.binary for e in self.endpoints) == 1
        return endpoint.binary and (alone if endpoint.primary is None else endpoint.primary)

    def error(self, code: str, key_path: tuple[str | int, ...], message: str, remedy: str) -> PlanError:
        """An error that points to a key of the plan file, for what only the data or the model can show."""
        try:
            lines = locations(Path(self.path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError):
            lines = {}
        return PlanError(
            code, _located(self.path, Finding(code, message, row=line_of(lines, key_path))), remedy
        )

    def as_dict(self) -> dict[str, Any]:
        """The plan as it runs, defaults filled in, in the layout of the file; without machine paths."""
        whole = dataclasses.asdict(self)
        del whole["path"], whole["sha256"]
        whole["endpoint"] = list(whole.pop("endpoints"))
        return {"format": PLAN_FORMAT, **whole}


_SECTIONS: dict[str, type] = {
    "data": DataPlan,
    "model": ModelPlan,
    "dosing": DosingPlan,
    "exposure": ExposurePlan,
    "margins": MarginsPlan,
    "p0": ResponseRatePlan,
    "thresholds": ThresholdsPlan,
    "bootstrap": BootstrapPlan,
    "exchangeability": ExchangeabilityPlan,
    "sensitivity": SensitivityPlan,
}
_OPTIONAL = ("thresholds", "bootstrap", "exchangeability", "sensitivity")
_TOP = ("format", "title", "seed", *_SECTIONS, "endpoint")


def read_plan(path: str | Path) -> Plan:
    """Read and check an analysis plan.

    Parameters
    ----------
    path : str or Path
        The TOML file.

    Returns
    -------
    Plan

    Raises
    ------
    PlanError
        With every mistake of the plan, each with its code, line and remedy; its own code is the first one's.
    """
    plan, findings = _parse(Path(path))
    if plan is None:
        first, *others = findings
        if not others:
            raise PlanError(first.code, _located(path, first), first.remedy)
        lines = [_located(path, f) + (f" Remedy: {f.remedy}" if f.remedy else "") for f in findings]
        marked = [lines[0], *(f"{f.code}: {line}" for f, line in zip(others, lines[1:], strict=True))]
        raise PlanError(first.code, "\n".join(marked))
    return plan


def check_plan(path: str | Path) -> list[Finding]:
    """All mistakes of a plan file, in the order of its lines; ``row`` is the line. Empty if it can be run."""
    return _parse(Path(path))[1]


def _located(path: str | Path, finding: Finding) -> str:
    return f"{path}" + (f", line {finding.row}" if finding.row else "") + f": {finding.message}"


def _parse(path: Path) -> tuple[Plan | None, list[Finding]]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        return None, [
            Finding(
                "E_PLAN_FILE", f"cannot read the plan: {reason}.", "Give the path of an existing TOML file."
            )
        ]
    try:
        content = raw.decode("utf-8")
        values = tomllib.loads(content)
    except UnicodeDecodeError as error:
        return None, [Finding("E_PLAN_SYNTAX", f"not UTF-8 text: {error.reason}.", "Save the plan as UTF-8.")]
    except tomllib.TOMLDecodeError as error:
        return None, [
            Finding("E_PLAN_SYNTAX", f"not valid TOML: {error}.", "Text stands in quotes, lists in [ ].")
        ]
    reader = Reader(locations(content))
    sections = _read_sections(reader, values)
    _check_together(reader, sections, path.parent)
    if reader.findings:
        return None, sorted(reader.findings, key=lambda f: f.row or 0)
    return Plan(path=str(path), sha256=hashlib.sha256(raw).hexdigest(), **sections), []


def _read_sections(reader: Reader, values: dict[str, Any]) -> dict[str, Any]:
    version = values.get("format")
    if isinstance(version, int) and version > PLAN_FORMAT:
        message = f"format = {version}, but this version of pkpd reads plans up to format {PLAN_FORMAT}."
        reader.mistake(
            "E_PLAN_FORMAT", ("format",), message, "Upgrade pkpd, or write the plan for this version."
        )
        return {}
    reader.unknown_keys(values, _TOP, ())
    for name in ("format", "title", "seed"):
        if name not in values:
            reader.missing((name,))
    reader.value(integer(1, PLAN_FORMAT), values.get("format", PLAN_FORMAT), ("format",))
    read: dict[str, Any] = {
        "title": reader.value(text, values.get("title", "-"), ("title",)),
        "seed": reader.value(integer(0), values.get("seed", 0), ("seed",)),
    }
    for name, kind in _SECTIONS.items():
        if name in values or name in _OPTIONAL:
            read[name] = reader.section(kind, values.get(name, {}), (name,))
        else:
            reader.mistake(
                "E_PLAN_MISSING", (name,), f"the section [{name}] is missing.", f"Add [{name}] and its keys."
            )
    entries = values.get("endpoint")
    if not isinstance(entries, list) or not entries:
        reader.mistake(
            "E_PLAN_MISSING",
            ("endpoint",),
            "no [[endpoint]] is declared.",
            "Add [[endpoint]] and its keys, once each.",
        )
        entries = []
    read["endpoints"] = tuple(reader.section(EndpointPlan, e, ("endpoint", i)) for i, e in enumerate(entries))
    return read


def _check_together(reader: Reader, read: dict[str, Any], folder: Path) -> None:
    """What no key shows alone: files that exist, one source of the model, one endpoint of each kind, a p0."""
    data, model, p0 = read.get("data"), read.get("model"), read.get("p0")
    dosing, exposure = read.get("dosing"), read.get("exposure")
    if dosing is not None and dosing.reference not in dosing.candidates:
        message = f"dosing.reference = {dosing.reference:g} is not among dosing.candidates."
        reader.mistake("E_PLAN_DOSES", ("dosing", "candidates"), message, "Add it: it can be given, too.")
    low, high = WIDEST_BOUNDS
    if exposure is not None and not low <= exposure.bounds[0] < exposure.bounds[1] <= high:
        message = f"exposure.bounds {list(exposure.bounds)} are wider than {low:g} to {high:g}."
        remedy = "Beyond a factor of two no difference in exposure passes as without effect."
        reader.mistake("E_PLAN_BOUNDS", ("exposure", "bounds"), message, remedy, exposure.bounds)
    endpoints = [e for e in read.get("endpoints", ()) if e is not None]
    if data is not None:
        _check_file(reader, folder, data.file, ("data", "file"))
    if model is not None and (model.file is None) == (model.name is None):
        message = "[model] needs exactly one of file (a Python file) and name (a shipped model)."
        reader.mistake(
            "E_PLAN_MODEL", ("model",), message, "Give one of them; `pkpd models` lists the shipped ones."
        )
    elif model is not None and model.file is not None:
        _check_file(reader, folder, model.file, ("model", "file"))
    if p0 is not None and p0.default is None and not p0.histologies:
        reader.mistake(
            "E_PLAN_P0",
            ("p0",),
            "[p0] declares no response rate.",
            "Give default, or histologies = { name = rate }.",
        )
    if endpoints and len(endpoints) == len(read["endpoints"]):
        _check_endpoints(reader, endpoints)


def _check_file(reader: Reader, folder: Path, file: str, path: tuple[str, ...]) -> None:
    if not (folder / file).is_file():
        message = f'{".".join(path)} = "{file}": there is no such file in {folder}.'
        reader.mistake("E_PLAN_FILE", path, message, "Paths are relative to the plan's own folder.", file)


def _check_endpoints(reader: Reader, endpoints: list[EndpointPlan]) -> None:
    for kind in ("efficacy", "safety"):
        binary = [(i, e) for i, e in enumerate(endpoints) if e.kind == kind and e.binary]
        chosen = [e for _, e in binary if e.primary]
        if not binary:
            message = f'no binary endpoint of kind "{kind}"; verdicts rest on one.'
            reader.mistake(
                "E_PLAN_ENDPOINTS", ("endpoint",), message, f'Declare an [[endpoint]] with kind = "{kind}".'
            )
        elif (len(binary) > 1 and len(chosen) != 1) or (len(binary) == 1 and binary[0][1].primary is False):
            message = f'{len(binary)} binary endpoints of kind "{kind}", {len(chosen)} of them primary.'
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", binary[-1][0]),
                message,
                "Add primary = true to the one that verdicts rest on.",
            )
    for i, e in enumerate(endpoints):
        if not e.binary and e.primary:
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", i, "primary"),
                f"{e.name} is a time to an event and cannot be primary: without a control arm its difference between "
                "histologies measures prognosis.",
                "Make a binary endpoint primary; this one is reported within each histology.",
            )
    names = [e.name for e in endpoints]
    for i, name in enumerate(names):
        if name in names[:i]:
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                ("endpoint", i, "name"),
                f"two endpoints are named {name!r}.",
                "Rename one.",
                name,
            )
