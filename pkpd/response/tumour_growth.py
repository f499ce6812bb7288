"""Tumour size in closed form: time to growth, and size relative to that at the start of treatment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pkpd.errors import InputError

__all__ = ["check_landmark", "size_ratio", "time_to_growth"]

PARAMETERS = {"stein": ("KG", "KS"), "claret": ("KL", "KD", "LAMBDA"), "wang": ("BASE", "SR", "PR")}


def time_to_growth(model: str, parameters: Mapping[str, Any], exposure: Any = 1.0) -> np.ndarray:
    """Time from the start of treatment to the smallest tumour size; 0 where the tumour grows from the start.

    Parameters
    ----------
    model : {"stein", "claret", "wang"}
    parameters : mapping
        Arrays by name: KG, KS; KL, KD, LAMBDA; BASE, SR, PR.
    exposure : float or array
        For claret: exposure of the patient.

    Returns
    -------
    ndarray
        In the unit of time of the parameters; infinite where nothing regrows.

    Raises
    ------
    InputError
        ``E_OPTION`` for a model without a closed form; ``E_PARAMETER_UNKNOWN`` for one that lacks a
        parameter.

    Notes
    -----
    stein: (ln KS − ln KG)/(KS + KG). claret: ln(KD E/KL)/LAMBDA. wang: ln(BASE SR/PR)/SR. Where the size
    falls at time 0 it has one minimum, there; otherwise none.
    """
    if model not in PARAMETERS:
        raise InputError(
            "E_OPTION",
            f"model {model!r} has no time to growth in closed form.",
            f"Choose among {', '.join(PARAMETERS)}.",
        )
    p = _arrays(model, parameters)
    with np.errstate(divide="ignore", invalid="ignore"):
        if model == "stein":
            time = (np.log(p["KS"]) - np.log(p["KG"])) / (p["KS"] + p["KG"])
        elif model == "claret":
            time = np.log(p["KD"] * np.asarray(exposure, float) / p["KL"]) / p["LAMBDA"]
        else:
            time = np.log(p["BASE"] * p["SR"] / p["PR"]) / p["SR"]
    return np.where(np.isnan(time), 0.0, np.maximum(time, 0.0))


def size_ratio(model: str, parameters: Mapping[str, Any], time: float, exposure: Any = 1.0) -> np.ndarray:
    """Size at a time after the start of treatment over the size at the start.

    Parameters
    ----------
    model : {"stein", "claret", "wang"}
    parameters : mapping
        Arrays by name, as for :func:`time_to_growth`.
    time : float
        0 or more.
    exposure : float or array
        For claret.

    Raises
    ------
    InputError
        ``E_OPTION`` for a model without a closed form or a time before the treatment; ``E_PARAMETER_UNKNOWN`` for one
        that lacks a parameter.
    """
    check_landmark(model, time)
    p = _arrays(model, parameters)
    if model == "stein":
        return np.exp(-p["KS"] * time) + np.exp(p["KG"] * time) - 1
    if model == "claret":
        killed = p["KD"] * np.asarray(exposure, float) / p["LAMBDA"] * (1 - np.exp(-p["LAMBDA"] * time))
        return np.exp(p["KL"] * time - killed)
    return np.exp(-p["SR"] * time) + p["PR"] * time / p["BASE"]


def check_landmark(model: str, time: float) -> None:
    """Refuse what :func:`size_ratio` cannot give."""
    if model not in PARAMETERS:
        raise InputError("E_OPTION", f"landmark is not available for {model}.", "Leave it out.")
    if not 0 <= time < np.inf:
        raise InputError("E_OPTION", f"landmark {time!r} is not a time on treatment.", "Give 0 or more.")


def _arrays(model: str, parameters: Mapping[str, Any]) -> dict[str, np.ndarray]:
    needed = PARAMETERS[model]
    absent = [name for name in needed if name not in parameters]
    if absent:
        raise InputError(
            "E_PARAMETER_UNKNOWN", f"{model} needs {', '.join(absent)}.", f"Give {', '.join(needed)}."
        )
    return {name: np.asarray(parameters[name], float) for name in needed}
