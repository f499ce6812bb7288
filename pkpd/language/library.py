"""Models in files: those that are shipped, and the user's own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from pkpd.errors import InputError, ModelError
from pkpd.language.frozen_model import Model
from pkpd.shipped import models_folder

__all__ = ["load_model", "model_from_file", "model_names"]


def model_names() -> list[str]:
    """Names of the shipped models."""
    return sorted(p.stem for p in models_folder().glob("*.py") if not p.stem.startswith("_"))


def load_model(name: str) -> Model:
    """Load a shipped model.

    Parameters
    ----------
    name : str
        One of :func:`model_names`, e.g. ``"theophylline"``.

    Raises
    ------
    InputError
        ``E_MODEL_UNKNOWN`` if there is no such model.
    """
    if name not in model_names():
        raise InputError(
            "E_MODEL_UNKNOWN", f"there is no shipped model {name!r}.", f"Shipped: {', '.join(model_names())}."
        )
    return model_from_file(models_folder() / f"{name}.py")


def model_from_file(path: str | Path) -> Model:
    """Load the one model that a Python file defines with ``@pkpd.model``.

    Raises
    ------
    InputError
        ``E_FILE_NOT_FOUND`` if there is no such file.
    ModelError
        ``E_MODEL_FILE`` if it cannot be run or does not define exactly one model.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError("E_FILE_NOT_FOUND", f"model file {path} does not exist.", "Check the path.")
    spec = importlib.util.spec_from_file_location(f"pkpd_model_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ModelError(
            "E_MODEL_FILE", f"{path} is not a Python file.", "Give a .py file with one @pkpd.model function."
        )
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            "E_MODEL_FILE",
            f"{path} cannot be run: {type(error).__name__}: {error}.",
            "Run it with Python to see where.",
        ) from error
    models = list({id(v): v for v in vars(module).values() if isinstance(v, Model)}.values())
    if len(models) != 1:
        raise ModelError(
            "E_MODEL_FILE", f"{path} defines {len(models)} models.", "Define exactly one with @pkpd.model."
        )
    return models[0]
