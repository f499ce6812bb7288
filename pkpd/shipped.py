"""Where the models and data sets that come with pkpd lie, in an installed wheel or in a checkout."""

from __future__ import annotations

from pathlib import Path

from pkpd.errors import InputError

__all__ = ["dataset_names", "dataset_path", "datasets_folder", "models_folder"]

_PACKAGE = Path(__file__).resolve().parent


def models_folder() -> Path:
    """Folder of the published models, one Python file each.

    Returns
    -------
    Path
        ``pkpd/_models`` in a wheel, ``models`` beside the package in a checkout.

    Raises
    ------
    InputError
        ``E_SHIPPED_FOLDER`` if neither exists.
    """
    return _folder("models")


def datasets_folder() -> Path:
    """Folder of the data sets, one folder each.

    Returns
    -------
    Path
        ``pkpd/_datasets`` in a wheel, ``datasets`` beside the package in a checkout.

    Raises
    ------
    InputError
        ``E_SHIPPED_FOLDER`` if neither exists.
    """
    return _folder("datasets")


def dataset_names() -> tuple[str, ...]:
    """Names of the data sets that come with pkpd, in alphabetical order."""
    return tuple(sorted(f.name for f in datasets_folder().iterdir() if (f / f"{f.name}.csv").is_file()))


def dataset_path(name: str) -> Path:
    """Path of the CSV of a data set that comes with pkpd.

    Parameters
    ----------
    name : str
        Name of the data set, e.g. ``"theophylline"``.

    Returns
    -------
    Path
        ``<datasets>/<name>/<name>.csv``; its ``provenance.toml`` lies in the same folder.

    Raises
    ------
    InputError
        ``E_UNKNOWN_DATASET`` if there is none of that name; the message names those that exist.
    """
    names = dataset_names()
    if name not in names:
        raise InputError(
            "E_UNKNOWN_DATASET",
            f"no data set {name!r} comes with pkpd; there are {', '.join(names) or 'none'}.",
            "Give one of these names, or read your own file with pkpd.read_dataset(path).",
        )
    return datasets_folder() / name / f"{name}.csv"


def _folder(kind: str) -> Path:
    installed, checkout = _PACKAGE / f"_{kind}", _PACKAGE.parent / kind
    for folder in (installed, checkout):
        if folder.is_dir():
            return folder
    raise InputError(
        "E_SHIPPED_FOLDER",
        f"the {kind} of pkpd are in neither {installed} nor {checkout}.",
        "Install pkpd again: the wheel carries them.",
    )
