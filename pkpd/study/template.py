"""A plan to begin with: every key with its meaning, filled in where the columns of a data set say what belongs there."""

from __future__ import annotations

import dataclasses
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pkpd.data import Dataset, read_dataset
from pkpd.data.intake import stated_units
from pkpd.errors import InputError
from pkpd.shipped import datasets_folder
from pkpd.study.endpoint_kinds import EndpointPlan
from pkpd.study.plan import ABSENT, DECIDING, PLAN_FORMAT, SECTIONS, WITH_ENDPOINTS
from pkpd.study.schema import toml
from pkpd.study.truths import ScenarioPlan

__all__ = ["plan_template"]

WIDTH = 110
_FEW = 12  # different values of a column that are listed
_ONE_OF = {("model", "file"), ("p0", "default")}  # these, or the key below them


def plan_template(
    data: str | Path,
    *,
    histology: str = "TUMOR",
    folder: str | Path | None = None,
    units: Mapping[str, str] | None = None,
    exposure_only: bool = False,
) -> str:
    """Text of a commented plan for a data set.

    What the columns show is filled in (the groups, the doses given, columns of zeros and ones); what only people can say is
    left out behind ``# FILL IN``, so that :func:`pkpd.study.check_plan` lists it: no clinical margin has a default.

    Parameters
    ----------
    data : path
        The data set.
    histology : str
        Column of the groups that are compared.
    folder : path, optional
        Where the plan will lie; the data set is named relative to it. The data set's own folder by default.
    units : dict, optional
        Unit by column. Those of a shipped data set are known; none is guessed.
    exposure_only : bool
        A plan that compares exposure alone: no endpoints, no margins of response and no response rates.

    Returns
    -------
    str
        TOML.

    Raises
    ------
    DataError
        If the data set cannot be read.
    InputError
        ``E_PLAN_GROUPS`` if the column of the groups is not in the data, or holds a single group.
    """
    path = Path(data)
    shipped = path.resolve().is_relative_to(datasets_folder().resolve())
    stated = stated_units(path) if shipped else {}
    dataset = read_dataset(path, histology=None, units=stated | dict(units or {}))
    known = _Columns(dataset, histology)
    folder = path.parent if folder is None else Path(folder)
    file = path.resolve()
    inside = file.is_relative_to(folder.resolve())
    values = known.values() | {
        ("data", "file"): (file.relative_to(folder.resolve()) if inside else file).as_posix()
    }
    lines = [
        f"# Analysis plan for {path.name}, begun from its columns by `pkpd plan new`.",
        "# FILL IN marks what only people can say: remove the # before the key and enter it; `pkpd plan check` lists what lacks.",
        "# Other keys behind a # may be added; they stand there with their default, or with what the columns suggest.",
        f"format = {PLAN_FORMAT}",
        f"title = {toml(f'May every {histology} share one dose?')}",
        "seed = 1  # of everything random; any whole number, chosen once",
        f"{'' if exposure_only else '# '}exposure_only = true  # compare exposure alone: no endpoints, no [margins], no [p0], "
        "and no dose is decided",
    ]
    for name, section in SECTIONS.items():
        if exposure_only and name in WITH_ENDPOINTS:
            continue
        extra = name in ABSENT
        lines += ["", f"{'# ' if extra else ''}[{name}]{_summary(section)}"]
        without = DECIDING if exposure_only and name == "thresholds" else ()
        lines += _all_keys(section, name, values, known.hints, needed=not extra, without=without)
        if name == "exposure" and not exposure_only:
            lines += _endpoints(known)
    if not exposure_only:
        lines += ["", f"# [[scenario]]{_summary(ScenarioPlan)}; once per truth"]
        lines += _all_keys(ScenarioPlan, "scenario", {}, known.hints, needed=False)
    return "\n".join(lines) + "\n"


class _Columns:
    """What the columns of a data set suggest."""

    def __init__(self, dataset: Dataset, histology: str) -> None:
        table = dataset.frame
        if histology not in dataset.covariates:
            raise InputError(
                "E_PLAN_GROUPS",
                f"the data have no column {histology!r} of groups; besides records they have {', '.join(dataset.covariates)}.",
                "Name the column of the groups with --histology.",
            )
        self.data, self.histology = dataset, histology
        first = table.iloc[dataset.offsets[:-1]]
        owner = np.repeat(np.arange(dataset.n_subjects), np.diff(dataset.offsets))
        changes = {c: bool((table[c].groupby(owner).nunique(dropna=False) > 1).any()) for c in table}
        self.sizes = first[histology].astype(str).value_counts()
        if len(self.sizes) < 2:
            raise InputError(
                "E_PLAN_GROUPS",
                f"column {histology!r} holds the single group {self.sizes.index[0]!r}.",
                "Name the column of the groups with --histology.",
            )
        extra = [c for c in dataset.covariates if c != histology]
        self.constant = [c for c in extra if not changes[c]]
        self.varies = changes[histology]
        numeric = [c for c in self.constant if first[c].dtype.kind in "iuf"]
        self.binary = [c for c in numeric if set(first[c].dropna()) == {0.0, 1.0}]
        self.continuous = [c for c in numeric if c not in self.binary]
        self.text = [c for c in self.constant if c not in numeric]
        self.dose = next((c for c in self.continuous if c.upper() in ("DOSE", "DOSELVL", "DOSELEVEL")), None)
        given = table.loc[table["EVID"].isin([1, 4]), "AMT"]
        self.doses = sorted(set(first[self.dose])) if self.dose else sorted(set(given[given > 0]))
        self.intervals = sorted(set(table.loc[table["II"] > 0, "II"]))

    def values(self) -> dict[tuple[str, str], Any]:
        out: dict[tuple[str, str], Any] = {
            ("data", "histology"): self.histology,
            ("data", "reference"): str(self.sizes.index[0]),
        }
        if self.dose:
            out["dosing", "column"] = self.dose
        if len(self.intervals) == 1:
            out["dosing", "interval"] = float(self.intervals[0])
        if units := self.data.units:
            out["data", "units"] = units
        if "AMT" in units:
            out["dosing", "unit"] = units["AMT"]
        return out

    @property
    def hints(self) -> dict[tuple[str, str], str]:
        groups = ", ".join(f"{name} {n}" for name, n in self.sizes.items())
        out = {
            ("data", "reference"): f"patients: {groups}",
            ("data", "units"): ""
            if self.data.units
            else '{ TIME = "h", AMT = "mg", DV = "mg/L", WT = "kg" }',
            ("data", "covariates"): toml(self.constant),
            ("data", "drivers"): toml([c for c in self.continuous if c != self.dose]),
            ("data", "aliases"): toml(self.text) if self.text else "",
            ("model", "file"): '"model.py"',
            ("model", "tested"): '["CL"]',
            ("dosing", "candidates"): _listed(self.doses) if len(self.doses) <= _FEW else "",
            ("dosing", "reference"): f"doses in the data: {_listed(self.doses)}",
            ("dosing", "interval"): f"intervals in the data: {_listed(self.intervals)}"
            if self.intervals
            else "",
            ("exposure", "bounds"): "[0.80, 1.25]",
            ("scenario", "name"): '"all alike"',
            ("scenario", "response"): f"{{ {toml(str(self.sizes.index[0]))} = 0.30 }}",
            ("scenario", "ae"): f"{{ {toml(str(self.sizes.index[0]))} = 0.10 }}",
            ("scenario", "cv"): "0.35",
        }
        if self.varies:
            out["data", "histology"] = (
                "it changes within a patient: give each patient one group before you run the plan"
            )
        return out


def _endpoints(known: _Columns) -> list[str]:
    lines = [
        "",
        "# One [[endpoint]] per outcome, 0 or 1 per patient, or a time to an event.",
        '# Verdicts rest on one binary endpoint of kind efficacy and one of kind safety. kind = "tumour_size" and',
        '# kind = "engagement" (receptor occupancy, a biomarker) have other keys: `pkpd plan check` names them.',
    ]
    columns: list[str | None] = [*known.binary] or [None]
    if not known.binary:
        lines.append(
            "# The data have no column of zeros and ones that is the same on all rows of a patient: add one."
        )
    for column in columns:
        mark = "" if column else "# "
        values = {("endpoint", "name"): column, ("endpoint", "column"): column, ("endpoint", "label"): column}
        lines += ["", f"{mark}[[endpoint]]"]
        lines += _all_keys(EndpointPlan, "endpoint", values if column else {}, {})
    return lines


def _all_keys(
    section: type,
    name: str,
    values: Mapping[Any, Any],
    hints: Mapping[Any, str],
    *,
    needed: bool = True,
    without: Sequence[str] = (),
) -> list[str]:
    """Comments and lines of a section; keys that are explained together stand below one comment."""
    lines: list[str] = []
    said: list[str] = []
    for key in _keys(section):
        if key.name in without:
            continue
        *comment, line = _key(section, key, values, hints, (name, key.name), needed=needed)
        lines += [line] if comment and comment == said else [*comment, line]
        said = comment
    return lines


def _keys(section: type) -> list[Any]:
    return [f for f in dataclasses.fields(section) if "check" in f.metadata]


def _key(
    section: type,
    key: Any,
    values: Mapping[Any, Any],
    hints: Mapping[Any, str],
    path: tuple[str, str],
    *,
    needed: bool = True,
) -> list[str]:
    """Comment and line of one key."""
    meaning = _meanings(section).get(key.name, "")
    hint = hints.get(path, "")
    required = needed and (key.default is dataclasses.MISSING or path in _ONE_OF)
    if values.get(path) is not None:
        line, note = f"{key.name} = {toml(values[path])}", hint
    elif required:
        example = hint if hint and hint[0] in '["{' else "..."
        also = ", or the key below" if path in _ONE_OF else ""
        line, note = f"# {key.name} = {example}  # FILL IN{also}", "" if example == hint else hint
    else:
        absent = key.default is None or key.default is dataclasses.MISSING
        shown = (hint or "...") if absent else toml(_listed_default(key))
        line, note = f"# {key.name} = {shown}", ""
    text = " ".join(part for part in (meaning, f"({note})" if note else "") if part)
    text = re.sub(r":\w+:(?=`)", "", text).replace("``", "`")
    return [*("# " + t for t in textwrap.wrap(text, WIDTH - 2)), line]


def _listed_default(key: Any) -> Any:
    return list(key.default) if isinstance(key.default, tuple) else key.default


def _summary(section: type) -> str:
    """What follows the name of the section in the first line of its docstring."""
    first = (section.__doc__ or "").strip().split("\n", 1)[0]
    return "  # " + first.split(": ", 1)[1].rstrip(".") if ": " in first else ""


def _meanings(section: type) -> dict[str, str]:
    """What the docstring says of each attribute."""
    _, _, listed = (section.__doc__ or "").partition("----------\n")
    out: dict[str, str] = {}
    names: list[str] = []
    for line in listed.split("\n"):
        if head := re.match(r"    (\w+(?:, \w+)*) : ", line):
            names = head[1].split(", ")
        elif line.startswith("        ") and names:
            for name in names:
                out[name] = f"{out.get(name, '')} {line.strip()}".strip()
        elif line.strip():
            names = []
    return out


def _listed(numbers: list[float]) -> str:
    shown = ", ".join(f"{v:g}" for v in numbers[:_FEW])
    return f"[{shown}]" if len(numbers) <= _FEW else f"[{shown}, ...]"
