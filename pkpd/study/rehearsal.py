"""What can be wrong with a plan beyond its own text: it is held against its data and its model before anything runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pkpd.errors import DataError, Finding, InputError
from pkpd.study.plan import Plan, check_plan, read_plan

__all__ = ["rehearse"]


def rehearse(path: str | Path) -> list[Finding]:
    """All mistakes of a plan: of its text, and where that is well formed, of what its data and its model make of it.

    Returns
    -------
    list of Finding
        ``row`` is the line of the plan; findings of the data set name it in their message.
    """
    findings = check_plan(path)
    return findings or _against_data(read_plan(path))


def _against_data(plan: Plan) -> list[Finding]:
    from pkpd.language import bind
    from pkpd.study.characteristics import check_scenarios
    from pkpd.study.enrolment import check_weights
    from pkpd.study.exposures import mediation_models
    from pkpd.study.pharmacokinetics import load_planned_model
    from pkpd.study.signature import deviations
    from pkpd.study.subjects import read_data, subject_table
    from pkpd.study.tumour_sizes import read_sizes
    from pkpd.study.verdicts import margins_of

    findings: list[Finding] = []

    def tried(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except DataError as error:
            findings.extend(
                Finding(f.code, f"{plan.data.file}: {_place(f)}{f.message}", f.remedy) for f in error.findings
            )
        except InputError as error:
            findings.append(_finding(plan, error))
        return None

    model = tried(lambda: load_planned_model(plan))
    data = tried(lambda: read_data(plan))
    if data is not None:
        subjects = tried(lambda: subject_table(plan, data))
        if subjects is not None:
            histologies = tuple(dict.fromkeys(subjects["histology"]))
            if not plan.exposure_only:
                tried(lambda: margins_of(plan, histologies))
            tried(lambda: check_weights(plan, histologies))
            tried(lambda: check_scenarios(plan, histologies))
            for entry in plan.tumour_sizes:
                tried(partial(read_sizes, plan, entry, subjects))
        if model is not None:
            tried(lambda: bind(model, data))
            tried(lambda: mediation_models(plan, model, data))
    tried(lambda: deviations(plan))
    return sorted(findings, key=lambda f: f.row or 0)


def _place(finding: Finding) -> str:
    where = [
        ("row", finding.row),
        ("ID", finding.subject),
        ("column", finding.column),
        ("value", finding.value),
    ]
    text = ", ".join(f"{name} {value}" for name, value in where if value is not None)
    return f"{text}: " if text else ""


def _finding(plan: Plan, error: InputError) -> Finding:
    located = re.match(rf"{re.escape(plan.path)}(?:, line (\d+))?: (.*)", error.message, flags=re.DOTALL)
    if located is None:
        return Finding(error.code, error.message, error.remedy)
    return Finding(error.code, located[2], error.remedy, row=int(located[1]) if located[1] else None)
