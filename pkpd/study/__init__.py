"""From an analysis plan to an assessment: data, fits, tests and a verdict per histology, in one run."""

from __future__ import annotations

from typing import Any

from pkpd.study.assessment import Assessment
from pkpd.study.plan import Plan, check_plan, read_plan
from pkpd.study.qualification import Qualification, qualify

__all__ = ["Assessment", "Plan", "Qualification", "assess", "check_plan", "qualify", "read_plan"]


def __getattr__(name: str) -> Any:
    # an assessment can be read and reported without loading all that produces one
    if name == "assess":
        from pkpd.study.analysis import assess

        return assess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
