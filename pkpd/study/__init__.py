"""From an analysis plan to an assessment: data, fits, tests and a verdict per histology, in one run."""

from __future__ import annotations

from pkpd.study.assessment import Assessment
from pkpd.study.plan import Plan, check_plan, read_plan

__all__ = ["Assessment", "Plan", "check_plan", "read_plan"]
