"""Qualification: fits and verdicts are made again and compared with stored references, quantity by quantity.

A folder holds ``qualify.toml``, which names what to run and how close it must come, and ``references.json``, which holds what
must come out. The folder that comes with pkpd qualifies an installation; users keep one beside their own fits.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.errors import InputError, PkpdError
from pkpd.results import result
from pkpd.study.environment import versions

__all__ = ["Qualification", "qualify", "record"]

FORMAT = 1
_PLAN_FILE, _REFERENCE_FILE = "qualify.toml", "references.json"
_KINDS = ("ofv", "estimate", "se", "probability")
# what a key of [check.tolerance] is compared with, and what holds where the folder says nothing
_TOLERANCES = {
    "ofv": 0.005,  # absolute: what users of NONMEM call the same objective
    "estimate": 0.005,  # relative
    "se": 0.05,  # relative
    "probability": 0.005,  # absolute
}
_KEYS = {"name", "data", "model", "method", "options", "plan", "tolerance", "source"}

Progress = Callable[[str, str], None]


@result
@dataclass(frozen=True, repr=False)
class Qualification:
    """What :func:`qualify` found.

    Attributes
    ----------
    folder : str
        Name of the folder that was qualified.
    checks : DataFrame
        One row per quantity: check, quantity, kind, reference, value (text), difference (NaN for words), tolerance, passed.
    environment : dict
        Versions of Python and of the packages that the numbers depend on.
    """

    folder: str
    checks: pd.DataFrame
    environment: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether every quantity is within its tolerance."""
        return bool(self.checks["passed"].all())

    def to_frame(self) -> pd.DataFrame:
        """Return the table of quantities."""
        return self.checks.copy()

    def __repr__(self) -> str:
        lines = []
        for row in self.checks.to_dict("records"):
            near = "" if not row["tolerance"] else f", tolerance {row['tolerance']:g}"
            word = "PASS" if row["passed"] else "FAIL"
            lines.append(
                f"{word}  {row['check']}: {row['quantity']} {row['value']} (reference {row['reference']}{near})"
            )
        failed = int((~self.checks["passed"].astype(bool)).sum())
        return "\n".join([*lines, f"{len(self.checks) - failed} passed, {failed} failed"])


def qualify(folder: str | Path | None = None, *, progress: Progress | None = None) -> Qualification:
    """Run the checks of a folder and compare with its references.

    Parameters
    ----------
    folder : str or Path, optional
        Folder with ``qualify.toml`` and ``references.json``; by default the one that comes with pkpd.
    progress : callable, optional
        Called with the name of each check as it begins, and an empty text.

    Returns
    -------
    Qualification
        A check that cannot be run fails with its error as the value; the others still run.

    Raises
    ------
    InputError
        ``E_QUALIFY_FOLDER`` if a file is missing, ``E_QUALIFY_FILE`` if it cannot be read or says something unknown.
    """
    folder = _folder(folder)
    checks = _read_checks(folder)
    references = _read_references(folder)
    rows: list[dict[str, Any]] = []
    for check in checks:
        name = check["name"]
        if progress is not None:
            progress(name, "")
        wanted = references.get(name)
        if not wanted:
            raise InputError(
                "E_QUALIFY_FILE",
                f"{folder / _REFERENCE_FILE}: there is no reference for the check {name!r}.",
                "Write one with `pkpd qualify --record`, or enter the numbers that you trust.",
            )
        try:
            found = _run(folder, check)
        except PkpdError as error:
            found = {key: f"error: {error}" for key in wanted}
        tolerance = _TOLERANCES | check.get("tolerance", {})
        rows += [_compare(name, key, value, found.get(key), tolerance) for key, value in wanted.items()]
    return Qualification(folder.name, pd.DataFrame(rows), versions())


def record(folder: str | Path, *, progress: Progress | None = None) -> Path:
    """Run the checks of a folder and write what comes out as its references.

    Parameters
    ----------
    folder : str or Path
    progress : callable, optional
        As in :func:`qualify`.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        As :func:`qualify`.
    PkpdError
        If a check cannot be run: nothing is written then.
    """
    folder = _folder(folder)
    references: dict[str, Any] = {}
    for check in _read_checks(folder):
        if progress is not None:
            progress(check["name"], "")
        references[check["name"]] = _run(folder, check)
    target = folder / _REFERENCE_FILE
    content = {"format": FORMAT, "recorded_with": versions(), "references": references}
    try:
        target.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            "E_QUALIFY_FOLDER", f"cannot write {target}: {error.strerror or error}.", "Check the folder."
        ) from error
    return target


def _folder(folder: str | Path | None) -> Path:
    if folder is None:
        from pkpd.shipped import datasets_folder

        folder = datasets_folder() / "qualification"
    folder = Path(folder)
    if not (folder / _PLAN_FILE).is_file():
        raise InputError(
            "E_QUALIFY_FOLDER",
            f"{folder} has no {_PLAN_FILE}.",
            "Give a folder with one; the README shows its layout.",
        )
    return folder


def _read_checks(folder: Path) -> list[dict[str, Any]]:
    path = folder / _PLAN_FILE

    def wrong(what: str) -> InputError:
        return InputError("E_QUALIFY_FILE", f"{path}: {what}", "The README shows the layout of the file.")

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise wrong(f"{error}.") from error
    if content.get("format") != FORMAT:
        raise wrong(f"format is {content.get('format')!r}; this version of pkpd reads {FORMAT}.")
    checks = content.get("check")
    if not isinstance(checks, list) or not checks or not all(isinstance(c, dict) for c in checks):
        raise wrong("there is no [[check]].")
    names = [c.get("name") for c in checks]
    for number, check in enumerate(checks, 1):
        label = f"check {number} ({check.get('name')!r})"
        unknown = sorted(set(check) - _KEYS)
        if unknown:
            raise wrong(f"{label} has an unknown key {unknown[0]!r}; known: {', '.join(sorted(_KEYS))}.")
        if not isinstance(check.get("name"), str) or names.count(check["name"]) > 1:
            raise wrong(f"{label} needs a name of its own.")
        is_fit = "data" in check and "model" in check
        if is_fit == ("plan" in check):
            raise wrong(f"{label} needs either data and model, or plan.")
        if not is_fit and {"method", "options"} & set(check):
            raise wrong(f"{label}: method and options belong to a fit; a plan says them itself.")
        for key, value in check.get("tolerance", {}).items():
            if (
                key not in _KINDS
                or isinstance(value, bool)
                or not isinstance(value, (int, float))
                or value < 0
            ):
                raise wrong(
                    f"{label}: tolerance {key} = {value!r}; known are {', '.join(_KINDS)}, not negative."
                )
    return checks


def _read_references(folder: Path) -> dict[str, dict[str, Any]]:
    path = folder / _REFERENCE_FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        references = content["references"]
        if content["format"] != FORMAT or not all(isinstance(r, dict) for r in references.values()):
            raise ValueError("its format is not known")
    except FileNotFoundError:
        raise InputError(
            "E_QUALIFY_FOLDER",
            f"{folder} has no {_REFERENCE_FILE}.",
            "Write it with `pkpd qualify --record`.",
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "E_QUALIFY_FILE", f"{path}: {error}.", "Write it anew with `pkpd qualify --record`."
        ) from error
    return references


def _run(folder: Path, check: Mapping[str, Any]) -> dict[str, Any]:
    """Quantities of one check: ``ofv``, ``CL``, ``se CL``, ``verdict lung`` …, in the order of the result."""
    if "plan" in check:
        from pkpd.study.analysis import assess

        table = assess(folder / check["plan"]).verdicts
        found: dict[str, Any] = {}
        for row in table.to_dict("records"):
            who = row["histology"]
            found[f"verdict {who}"] = row["verdict"]
            found[f"dose {who}"] = None if pd.isna(row["dose"]) else f"{row['dose']:g}"
            found |= {
                f"probability {key} {who}": value
                for key, value in ((str(k), v) for k, v in row.items())
                if key.startswith("p_") and isinstance(value, float) and math.isfinite(value)
            }
        return found
    from pkpd import population
    from pkpd.data import load_dataset, read_dataset
    from pkpd.language import load_model, model_from_file
    from pkpd.shipped import dataset_names

    method = getattr(population, check.get("method", "FOCEI"), None)
    if not isinstance(method, type):
        raise InputError("E_METHOD", f"there is no method {check.get('method')!r}.", "For example FOCEI.")
    try:
        settings = method(**check.get("options", {}))
    except TypeError as error:
        raise InputError("E_METHOD", f"{check['name']}: {error}.", "Check [check.options].") from error
    data = check["data"]
    dataset = load_dataset(data) if data in dataset_names() else read_dataset(folder / data)
    model = check["model"]
    fit = population.fit(
        model_from_file(folder / model) if str(model).endswith(".py") else load_model(model),
        dataset,
        method=settings,
    )
    found = {"ofv": fit.ofv}
    for name, value, se in zip(
        fit.parameters.index, fit.parameters["estimate"], fit.parameters["se"], strict=True
    ):
        found[str(name)] = float(value)
        if math.isfinite(se):
            found[f"se {name}"] = float(se)
    return found


def _compare(
    check: str, quantity: str, reference: Any, value: Any, tolerance: Mapping[str, float]
) -> dict[str, Any]:
    if isinstance(reference, (int, float)) and not isinstance(reference, bool):
        kind = (
            "ofv"
            if quantity == "ofv"
            else "se"
            if quantity.startswith("se ")
            else "probability"
            if quantity.startswith("probability ")
            else "estimate"
        )
        allowed = tolerance[kind]
        known = isinstance(value, (int, float))
        difference = float(value) - float(reference) if known else math.nan
        scale = abs(float(reference)) if kind in ("estimate", "se") else 1.0
        inside = known and abs(difference) <= allowed * scale
        shown = f"{value:.6g}" if known else str("missing" if value is None else value)
        return {
            "check": check, "quantity": quantity, "kind": kind, "reference": f"{reference:.6g}", "value": shown,
            "difference": difference, "tolerance": allowed, "passed": bool(inside),
        }  # fmt: skip
    return {
        "check": check, "quantity": quantity, "kind": "words", "reference": "–" if reference is None else str(reference),
        "value": "–" if value is None else str(value), "difference": math.nan, "tolerance": 0.0, "passed": value == reference,
    }  # fmt: skip
