"""The files that an assessment leaves in its output folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from pkpd.errors import InputError
from pkpd.results import to_json
from pkpd.study.assessment import Assessment

__all__ = ["prepare_folder", "write_tables"]


def prepare_folder(folder: str | Path) -> Path:
    """Make the output folder, and make sure that it takes files, before anything runs.

    Raises
    ------
    InputError
        ``E_OUTPUT`` if the folder cannot be made or written to.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"cannot write to the output folder {folder}: {error.strerror or error}."
        raise InputError("E_OUTPUT", message, "Give --output a folder that you may write to.") from error
    return folder


def write_tables(assessment: Assessment, folder: Path) -> list[Path]:
    """Write assessment.json, verdicts.csv and parameters.csv; each appears whole or not at all.

    Parameters
    ----------
    assessment : Assessment
    folder : Path
        An existing folder.

    Returns
    -------
    list of Path
        The files written.
    """
    texts = {
        "assessment.json": to_json(assessment, indent=1),
        "verdicts.csv": assessment.verdicts.to_csv(index=False),
        "parameters.csv": assessment.pk.parameters.to_csv(),
    }
    for name, text in texts.items():
        partial = folder / f".{name}.partial"
        try:
            partial.write_text(text, encoding="utf-8")
            os.replace(partial, folder / name)
        finally:
            partial.unlink(missing_ok=True)
    return [folder / name for name in texts]
