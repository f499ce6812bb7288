"""The pre-specified analysis: a TOML file with what is analysed, against which margins, and their sources."""

from __future__ import annotations

import dataclasses
import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pkpd.errors import Finding, PlanError
from pkpd.results import result
from pkpd.study.context_of_use import ContextPlan
from pkpd.study.endpoint_kinds import ENDPOINTS, EndpointPlan, EngagementPlan, TumourSizePlan
from pkpd.study.locations import line_of, locations
from pkpd.study.plan_consistency import check_together
from pkpd.study.schema import Reader, flag, integer, text
from pkpd.study.sections import (
    BootstrapPlan,
    DataPlan,
    DosingPlan,
    ExchangeabilityPlan,
    ExposurePlan,
    MarginsPlan,
    ModelPlan,
    RepresentativenessPlan,
    ResponseRatePlan,
    SensitivityPlan,
    ThresholdsPlan,
)
from pkpd.study.truths import CharacteristicsPlan, ScenarioPlan

__all__ = ["ABSENT", "OF_ENDPOINTS", "PLAN_FORMAT", "SECTIONS", "Plan", "check_plan", "read_plan"]

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
    data, model, dosing, exposure, margins, p0, thresholds, bootstrap, exchangeability, sensitivity
        The sections.
    entries : tuple of EndpointPlan, TumourSizePlan and EngagementPlan
        The entries of ``[[endpoint]]``, in the order of the file.
    representativeness, context, characteristics : RepresentativenessPlan, ContextPlan, CharacteristicsPlan or None
        The section, where the plan has it.
    scenarios : tuple of ScenarioPlan
        The entries of ``[[scenario]]``, under which the operating characteristics are simulated; none without it.
    exposure_only : bool
        No endpoints: exposure is compared and no dose decided; ``margins`` and ``p0`` are None then.
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
    entries: tuple[EndpointPlan | TumourSizePlan | EngagementPlan, ...]
    margins: MarginsPlan
    p0: ResponseRatePlan
    thresholds: ThresholdsPlan
    bootstrap: BootstrapPlan
    exchangeability: ExchangeabilityPlan
    sensitivity: SensitivityPlan
    path: str
    sha256: str
    representativeness: RepresentativenessPlan | None = None
    context: ContextPlan | None = None
    exposure_only: bool = False
    characteristics: CharacteristicsPlan | None = None
    scenarios: tuple[ScenarioPlan, ...] = ()

    def resolve(self, file: str) -> Path:
        """Path of a file that the plan names, relative to the plan's own folder."""
        return Path(self.path).parent / file

    @property
    def endpoints(self) -> tuple[EndpointPlan, ...]:
        """Binary endpoints and times to an event."""
        return tuple(e for e in self.entries if isinstance(e, EndpointPlan))

    @property
    def tumour_sizes(self) -> tuple[TumourSizePlan, ...]:
        """Endpoints that are a tumour size over time."""
        return tuple(e for e in self.entries if isinstance(e, TumourSizePlan))

    @property
    def engagement(self) -> tuple[EngagementPlan, ...]:
        """Endpoints that are an engagement of the target."""
        return tuple(e for e in self.entries if isinstance(e, EngagementPlan))

    def place(self, entry: EndpointPlan | TumourSizePlan | EngagementPlan, key: str) -> tuple[str | int, ...]:
        """Path of a key of an endpoint, for :meth:`error`."""
        return ("endpoint", self.entries.index(entry), key)

    def endpoint(self, kind: str) -> EndpointPlan:
        """The primary efficacy or safety endpoint, on which verdicts rest."""
        return next(e for e in self.endpoints if e.kind == kind and self.is_primary(e))

    @property
    def primary(self) -> tuple[EndpointPlan, ...]:
        """The endpoints on which verdicts rest, efficacy first; none where exposure alone is compared."""
        return () if self.exposure_only else (self.endpoint("efficacy"), self.endpoint("safety"))

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
        whole["endpoint"] = list(whole.pop("entries"))
        if scenarios := list(whole.pop("scenarios")):
            whole["scenario"] = scenarios
        for name in (*ABSENT, *OF_ENDPOINTS):
            if whole[name] is None:
                del whole[name]
        if self.exposure_only:
            for name in ("bootstrap", "sensitivity"):
                del whole[name]
            for name in DECIDING:
                del whole["thresholds"][name]
        else:
            del whole["exposure_only"]
        return {"format": PLAN_FORMAT, **whole}


SECTIONS: dict[str, type] = {
    "context": ContextPlan,
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
    "representativeness": RepresentativenessPlan,
    "characteristics": CharacteristicsPlan,
}
"""The tables of a plan by name."""
_OPTIONAL = ("thresholds", "bootstrap", "exchangeability", "sensitivity")
ABSENT = ("context", "representativeness", "characteristics")
"""Those that are None where the plan does not have them."""
OF_ENDPOINTS = ("margins", "p0")
"""Those that a plan of exposure alone does not have."""
WITH_ENDPOINTS = (
    "endpoint",
    *OF_ENDPOINTS,
    "bootstrap",
    "sensitivity",
    "representativeness",
    "characteristics",
    "scenario",
)
"""Those that would change nothing in a plan of exposure alone."""
DECIDING = ("keep", "minimum_n", "extrapolation")
"""Thresholds by which response and dose are decided, which that plan does not have either."""
_TOP = ("format", "title", "seed", "exposure_only", *SECTIONS, "endpoint", "scenario")


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
    check_together(reader, sections, path.parent)
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
    alone = read["exposure_only"] = reader.value(flag, values.get("exposure_only", False), ("exposure_only",))
    if alone:
        vain: list[tuple[tuple[str, ...], str]]
        # a heading alone states nothing
        vain = [((n,), f"[{n}]") for n in WITH_ENDPOINTS if n in values and (values[n] or n in OF_ENDPOINTS)]
        limits = values.get("thresholds")
        if isinstance(limits, dict):
            vain += [(("thresholds", name), f"thresholds.{name}") for name in DECIDING if name in limits]
        for place, name in vain:
            reader.mistake(
                "E_PLAN_ENDPOINTS",
                place,
                f"exposure_only = true, but the plan has {name}.",
                f"Leave {name} out, or exposure_only.",
            )
    for name, kind in SECTIONS.items():
        # what a plan of exposure alone should not have is one mistake, whatever is in it
        if (alone and name in OF_ENDPOINTS) or (name not in values and name in ABSENT):
            read[name] = None
        elif name in values or name in _OPTIONAL:
            read[name] = reader.section(kind, values.get(name, {}), (name,))
        else:
            reader.mistake(
                "E_PLAN_MISSING", (name,), f"the section [{name}] is missing.", f"Add [{name}] and its keys."
            )
    _check_alternatives(reader, values)
    entries = values.get("endpoint")
    if not isinstance(entries, list) or not entries:
        if not alone:
            reader.mistake(
                "E_PLAN_MISSING",
                ("endpoint",),
                "no [[endpoint]] is declared.",
                "Add [[endpoint]] and its keys, once each; or exposure_only = true above the first [section].",
            )
        entries = []
    given = [str(e.get("kind")) if isinstance(e, dict) else "" for e in entries]
    kinds = [ENDPOINTS.get(kind, EndpointPlan) for kind in given]
    read["entries"] = tuple(
        reader.section(kind, e, ("endpoint", i))
        for i, (kind, e) in enumerate(zip(kinds, entries, strict=True))
    )
    read["scenarios"] = _read_scenarios(reader, values)
    return read


def _read_scenarios(reader: Reader, values: dict[str, Any]) -> tuple[ScenarioPlan | None, ...]:
    entries = values.get("scenario", [])
    if not isinstance(entries, list):
        message = "scenario must be a list of tables."
        reader.mistake("E_PLAN_TYPE", ("scenario",), message, "Write [[scenario]] and its keys below.")
        entries = []
    if "characteristics" in values and not entries:
        message = "[characteristics] is there, but no [[scenario]]."
        reader.mistake(
            "E_PLAN_MISSING",
            ("characteristics",),
            message,
            "Add one [[scenario]] per truth, or leave [characteristics] out.",
        )
    return tuple(reader.section(ScenarioPlan, e, ("scenario", i)) for i, e in enumerate(entries))


def _check_alternatives(reader: Reader, values: dict[str, Any]) -> None:
    """Keys of which one must be given, also where another key of the section is wrong."""
    model, p0 = values.get("model"), values.get("p0")
    if isinstance(model, dict) and ("file" in model) == ("name" in model):
        reader.mistake(
            "E_PLAN_MODEL",
            ("model",),
            "[model] needs exactly one of file (a Python file) and name (a shipped model).",
            "Give one of them; `pkpd models` lists the shipped ones.",
        )
    if isinstance(p0, dict) and "default" not in p0 and not p0.get("histologies"):
        reader.mistake(
            "E_PLAN_P0",
            ("p0",),
            "[p0] declares no response rate.",
            "Give default, or histologies = { name = rate }.",
        )
