from __future__ import annotations

import re

import pytest

from pkpd.report.equations import mathml
from tests.report.page import Page


def _words(latex: str) -> list[str]:
    return [n.text for n in Page(mathml(latex)).root.find("mi")]


def test_names_are_words_and_factors_stand_apart():
    latex = r"\frac{dA_{central}}{dt} = \mathrm{KA} A_{depot} - \frac{\mathrm{CL}}{\mathrm{V}} A_{central}"
    markup = mathml(latex)
    assert _words(latex) == [
        "d", "A", "central", "d", "t", "KA", "A", "depot", "CL", "V", "A", "central",
    ]  # fmt: skip
    assert re.search(r"KA</mi></mrow><mspace", markup)
    assert not Page(markup).faults


@pytest.mark.parametrize(
    "latex",
    [
        r"\mathrm{CL} = \theta_{CL} e^{\eta_{CL}} \left(\frac{\mathrm{WT}}{70}\right)^{0.75}",
        r"\mathrm{V} = e^{\beta_{CL,\,TUMOR}}",
        r"x = \begin{cases} a & \text{for}\: b > 0 \\ c & \text{otherwise} \end{cases}",
        r"\mathrm{Var}(\mathrm{cp}) = \sigma_{ADD}^{2} + \sigma_{PROP}^{2}\,\mathrm{cp}^{2}",
        r"t_{lag,depot} = \theta_{TLAG}",
    ],
)
def test_what_the_model_language_writes_becomes_well_formed_mathml(latex):
    markup = mathml(latex)
    page = Page(markup)
    assert markup.startswith("<math") and not page.faults and "\\" not in page.root.text


def test_what_cannot_be_drawn_is_left_to_the_caller():
    assert mathml(r"\nosuchcommand{x}") is None
