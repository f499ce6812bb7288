"""Covariate relations added to a model: a factor's effect per level, or the power of a number over its centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from pkpd.data import Dataset
from pkpd.errors import InputError
from pkpd.language import Model
from pkpd.language.columns import label_column, number_column
from pkpd.language.declarations import Covariate, Theta
from pkpd.results import result

__all__ = ["Relation", "candidate_relations", "shared_estimates", "with_relation"]


@result
@dataclass(frozen=True)
class Relation:
    """One candidate.

    Attributes
    ----------
    parameter, covariate : str
    form : {"factor", "power"}
        ``factor``: times exp(effect of the level), one theta per other level. ``power``: times (covariate/centre)^theta.
    at : str or float
        The reference level, or the centre.
    """

    parameter: str
    covariate: str
    form: str
    at: str | float

    def __str__(self) -> str:
        return f"{self.parameter} ~ {self.covariate}"


def candidate_relations(
    model: Model,
    data: Dataset,
    relations: Mapping[str, Any],
    centres: Mapping[str, Any],
) -> list[Relation]:
    """Resolve ``{"CL": ["TUMOR", "WT"]}`` into relations.

    A text column is a factor, whose reference is the level of most subjects; a numeric one a power over its median; unless
    ``centres`` gives a text (a factor, with this reference, numeric or not) or a number.

    Raises
    ------
    InputError
        ``E_RELATION`` for a parameter, column, level or centre that cannot be used.
    """
    if not isinstance(relations, Mapping):
        raise _refused(f"relations={relations!r} is no mapping", 'Give e.g. {"CL": ["TUMOR", "WT"]}.')
    known = [p.name for p in model.parameters]
    table = data.subject_table()
    there = {(e.parameter, e.factor) for e in model.effects}
    out = []
    for parameter, columns in relations.items():
        if parameter not in known:
            raise _refused(
                f"the model has no individual parameter {parameter!r}", f"It has {', '.join(known)}."
            )
        for column in [columns] if isinstance(columns, str) else list(columns):
            if column not in table.columns:
                raise _refused(
                    f"{data.source} has no covariate {column!r}",
                    f"It has {', '.join(map(str, table.columns))}.",
                )
            if (parameter, column) in there:
                raise _refused(f"{parameter} has an effect of {column} already", "Leave it out.")
            out.append(_relation(parameter, column, data, centres.get(column)))
    unused = [c for c in centres if c not in {r.covariate for r in out}]
    if out and unused:
        raise _refused(
            f"centres has {unused[0]!r}, which no relation tries", "Leave it out, or correct the name."
        )
    if not out:
        raise _refused("no relation was given", 'Give e.g. {"CL": ["TUMOR", "WT"]}.')
    return out


def _relation(parameter: str, column: str, data: Dataset, centre: Any) -> Relation:
    first = data.offsets[:-1]
    numeric = pd.api.types.is_numeric_dtype(data.frame[column])
    if isinstance(centre, str) or (centre is None and not numeric):
        counts = pd.Series(label_column(column, data).values[first]).value_counts(sort=False)
        level = centre if centre is not None else str(counts.index[int(np.argmax(counts.to_numpy()))])
        if level not in counts.index or len(counts) < 2:
            raise _refused(
                f"{column} has levels {', '.join(counts.index)}; reference {level!r}",
                "Name one of two or more levels.",
            )
        return Relation(parameter, column, "factor", level)
    values = number_column(column, data).values[first] if numeric else np.zeros(0)
    at = float(np.median(values)) if centre is None else centre
    if not (isinstance(at, (int, float)) and at > 0 and len(np.unique(values)) > 1 and np.all(values > 0)):
        raise _refused(
            f"{column} with centre {at!r} has no power",
            "Give positive numbers that differ, or a reference level as text.",
        )
    return Relation(parameter, column, "power", float(at))


def with_relation(model: Model, relation: Relation) -> Model:
    """Add a relation to a model; the theta of a power is named ``CL(WT)`` and starts at 0."""
    import sympy

    if relation.form == "factor":
        return model.with_effect(relation.parameter, relation.covariate, reference=str(relation.at))
    name = f"{relation.parameter}({relation.covariate})"
    if any(t.name == name for t in model.thetas):
        raise _refused(f"the model has a theta {name} already", "Leave the relation out.")
    theta = sympy.Dummy(name, real=True)
    existing = [c for c in model.covariates if c.name == relation.covariate]
    column = (
        existing[0]
        if existing
        else Covariate(relation.covariate, symbol=sympy.Dummy(relation.covariate, real=True))
    )
    parameters = tuple(
        replace(p, expression=p.expression * (column.symbol / sympy.Float(relation.at)) ** theta)
        if p.name == relation.parameter
        else p
        for p in model.parameters
    )
    label = f"power of {relation.covariate}/{relation.at:g} on {relation.parameter}"
    return replace(
        model,
        thetas=(*model.thetas, Theta(name, 0.0, label=label, symbol=theta)),
        covariates=model.covariates if existing else (*model.covariates, column),
        parameters=parameters,
    )


def shared_estimates(estimates: Mapping[str, float] | pd.Series, model: Model) -> dict[str, float]:
    """Those of some estimates that another model has parameters for."""
    own = {t.name for t in model.thetas} | {s.label for s in model.sigmas}
    effects = tuple(f"{e.parameter}({e.factor}=" for e in model.effects)
    return {
        str(k): float(v) for k, v in estimates.items() if k in own or str(k).startswith(("OMEGA(", *effects))
    }


def _refused(what: str, remedy: str) -> InputError:
    return InputError("E_RELATION", f"{what}.", remedy)
