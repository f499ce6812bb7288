"""A signed-off plan: what was declared, by whom and when, and where a run departs from it."""

from __future__ import annotations

import datetime
import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from pkpd.errors import InputError, PlanError
from pkpd.study.pharmacokinetics import model_source
from pkpd.study.plan import Plan, read_plan

__all__ = ["deviations", "sign_plan", "signature_path"]

FORMAT = 1
_MODEL = "model (SHA-256 of its source)"


def signature_path(plan: str | Path) -> Path:
    """Where the signature of a plan lies: beside it, ``plan.toml.signed``."""
    path = Path(plan)
    return path.with_name(path.name + ".signed")


def sign_plan(plan: str | Path, by: str, *, on: datetime.date | None = None) -> tuple[Path, str]:
    """Record a plan as it is now: its text's and its model's SHA-256, every value, who signed it and when.

    Parameters
    ----------
    plan : path
    by : str
        Who signs.
    on : date, optional
        Today by default.

    Returns
    -------
    (Path, str)
        The file that was written, and its own SHA-256. The file is no cryptographic signature: keep that hash, or the file,
        where nobody changes it.

    Raises
    ------
    PlanError
        If the plan cannot be run: it is not signed then.
    InputError
        ``E_PLAN_SIGNER`` without a name; ``E_PLAN_SIGNED`` if the plan is signed already; ``E_OUTPUT`` if the file cannot be
        written.
    """
    checked = read_plan(plan)
    if not by.strip():
        raise InputError("E_PLAN_SIGNER", "a signature needs a name.", 'Give --by "Name, role".')
    target = signature_path(plan)
    if target.exists():
        raise InputError(
            "E_PLAN_SIGNED",
            f"{plan} is signed already: {target}.",
            "A changed plan runs against that signature, its deviations listed. To sign anew, move the file away.",
        )
    content = {
        "format": FORMAT,
        "signed_by": by.strip(),
        "signed_on": (on or datetime.date.today()).isoformat(),
        "sha256": checked.sha256,
        "values": _values(checked),
    }
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    try:
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            "E_OUTPUT", f"cannot write {target}: {error.strerror or error}.", "Check the folder."
        ) from error
    return target, hashlib.sha256(text.encode()).hexdigest()


def deviations(plan: Plan) -> dict[str, Any]:
    """How a plan that runs departs from the one that was signed.

    Returns
    -------
    dict
        ``signed`` (whether there is a signature beside the plan); then ``by``, ``on``, ``sha256`` of the signature,
        ``same_text``, and ``deviations`` (DataFrame: key, signed, run), empty where every value is the signed one.

    Raises
    ------
    PlanError
        ``E_PLAN_SIGNATURE`` if the signature cannot be read.
    """
    path = signature_path(plan.path)
    if not path.is_file():
        return {"signed": False}
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, this version reads {FORMAT}")
        signed, said = content["values"], {k: str(content[k]) for k in ("signed_by", "signed_on", "sha256")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise PlanError(
            "E_PLAN_SIGNATURE", f"{path} is no signature of a plan: {error}.", "Restore it, or move it away."
        ) from error
    run = _values(plan)
    keys = [*signed, *(k for k in run if k not in signed)]
    rows = [
        {"key": k, "signed": signed.get(k, "-"), "run": run.get(k, "-")}
        for k in keys
        if signed.get(k) != run.get(k)
    ]
    return {
        "signed": True,
        "by": said["signed_by"],
        "on": said["signed_on"],
        "sha256": hashlib.sha256(raw).hexdigest(),
        "same_text": said["sha256"] == plan.sha256,
        "deviations": pd.DataFrame(rows, columns=["key", "signed", "run"]),
    }


def _values(plan: Plan) -> dict[str, str]:
    """Every value as text, by its dotted key, and the hash of the model."""
    out: dict[str, str] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, dict) and value:
            for key, part in value.items():
                put(f"{name}.{key}" if name else str(key), part)
        elif isinstance(value, (list, tuple)) and any(isinstance(v, dict) for v in value):
            for i, part in enumerate(value, 1):
                put(f"{name}[{i}]", part)
        elif value is not None:
            out[name] = json.dumps(value, ensure_ascii=False)

    put("", plan.as_dict())
    out[_MODEL] = hashlib.sha256(model_source(plan)).hexdigest()
    return out
