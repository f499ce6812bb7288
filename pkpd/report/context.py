"""What every section of the report is made from: the assessment, the words, and what both are asked for."""

from __future__ import annotations

import functools
import textwrap
from typing import Any

import numpy as np

from pkpd.report.blocks import Figure, Text
from pkpd.report.canvas import require_font
from pkpd.report.exposure_figures import metric_name
from pkpd.report.palette import reference_histology
from pkpd.report.verdict_tables import plain
from pkpd.report.wording import in_words, words
from pkpd.study.assessment import Assessment

__all__ = ["Context"]


class Context:
    """An assessment and the language that it is told in.

    Attributes
    ----------
    a : Assessment
    w : dict
        Words by key.
    language : str
    reference : str
        The histology that others are compared with.
    """

    def __init__(self, assessment: Assessment, language: str) -> None:
        self.a, self.w, self.language = assessment, words(language), language
        require_font(language)
        self.reference = reference_histology(assessment)
        self.dosing: dict[str, Any] = assessment.plan.get("dosing", {})

    @functools.cached_property
    def metric(self) -> str:
        """Words for the metric that is compared."""
        return metric_name(self.a.exposure.metric, self.w)

    @property
    def reference_dose(self) -> str:
        """The dose that all would share, with its unit."""
        if "reference" not in self.dosing:
            return self.w["one_dose"]
        return f"{plain(self.dosing['reference'])} {self.dosing.get('unit', '')}".strip()

    @property
    def interval(self) -> str:
        """The dosing interval with its unit."""
        if "interval" not in self.dosing:
            return self.w["interval"]
        time = (self.a.plan.get("data", {}).get("units") or {}).get("TIME", "")
        return f"{plain(self.dosing['interval'])} {time}".strip()

    def say(self, text: Any) -> str:
        """A sentence of the assessment in the language of the report."""
        return in_words(text, self.w)

    def absent(self, *keys: str) -> Text:
        """One line that names what the assessment does not hold."""
        what = self.w["list"].join(self.w[f"absent.{key}"] for key in keys)
        return Text(self.w["absent"].format(what=what), "absent")

    def refused(self, *names: str) -> list[Text]:
        """Parts of the enrolment that the data did not allow, with the reason."""
        reasons = self.a.enrolment.get("refused", {})
        return [
            Text(self.w["refused"].format(name=name, reason=reasons[name]), "warning")
            for name in names
            if name in reasons
        ]

    def figure(self, key: str, axes: Any, caption: str, description: str, note: str = "") -> Figure:
        """A drawing with its caption, and a description for those who cannot see it."""
        short = textwrap.shorten(description, 4000, placeholder=" …")
        return Figure(key, caption, np.asarray(axes).flat[0].figure, short, note)
