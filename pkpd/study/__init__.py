"""From an analysis plan to an assessment: data, fits, tests and a verdict per histology, in one run."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from pkpd.study.assessment import Assessment
from pkpd.study.plan import Plan, check_plan, read_plan
from pkpd.study.qualification import Qualification, qualify

__all__ = [
    "Assessment",
    "Plan",
    "Qualification",
    "Scenario",
    "assess",
    "check_plan",
    "operating_characteristics",
    "plan_template",
    "qualify",
    "read_plan",
    "rehearse",
    "sign_plan",
]

_WHERE = {
    "Scenario": "scenarios",
    "assess": "analysis",
    "operating_characteristics": "characteristics",
    "plan_template": "template",
    "rehearse": "rehearsal",
    "sign_plan": "signature",
}


def __getattr__(name: str) -> Any:
    # an assessment can be read and reported without loading all that produces one
    if name in _WHERE:
        return getattr(import_module(f"pkpd.study.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
