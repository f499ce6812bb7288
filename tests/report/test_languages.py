from __future__ import annotations

import ast
import dataclasses
import re
import string
from collections import Counter
from pathlib import Path

import pytest

import pkpd
from pkpd.errors import InputError
from pkpd.report import report_html
from pkpd.report.blocks import Text
from pkpd.report.chinese import WORDS as CHINESE
from pkpd.report.chinese_statements import STATEMENTS
from pkpd.report.english import WORDS as ENGLISH
from pkpd.report.wording import in_words
from pkpd.statements import Statement
from pkpd.study.context_of_use import ContextPlan
from tests.report.page import Node, Page, outline
from tests.report.synthetic import PLAN, assessment, degenerate

PACKAGE = Path(pkpd.__file__).parent
OUTLINE = Path(__file__).parent / "outline.txt"


def _names(template: str) -> Counter:
    """Names of the values that stand in a template."""
    return Counter(name for _, name, _, _ in string.Formatter().parse(template) if name is not None)


def _digits(text: str) -> Counter:
    return Counter(re.findall(r"\d+", text))


def _statements() -> dict[str, tuple[str, ...]]:
    """English templates of every ``say(key, template)`` in the package, by key."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (
                isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say" and len(node.args) == 2
            ):
                continue
            keys = [n.value for n in _alternatives(node.args[0])]
            texts = [n.value for n in _alternatives(node.args[1])]
            if len(keys) == len(texts):
                for key, text in zip(keys, texts, strict=True):
                    found.setdefault(key, set()).add(text)
    return {key: tuple(texts) for key, texts in found.items()}


def _alternatives(node: ast.expr) -> list[ast.Constant]:
    if isinstance(node, ast.IfExp):
        return [*_alternatives(node.body), *_alternatives(node.orelse)]
    return [node] if isinstance(node, ast.Constant) and isinstance(node.value, str) else []


def _texts(node: Node) -> list[str]:
    if node.tag in ("svg", "style"):
        return []
    return [t for child in node.children for t in ([child] if isinstance(child, str) else _texts(child))]


def _numbers(page: Page) -> Counter:
    """Every number that the page shows, drawings apart."""
    return Counter(re.findall(r"\d+(?:[.\u202f]\d+)*", " ".join(_texts(page.root))))


def test_both_languages_have_the_same_words_with_the_same_values():
    assert set(ENGLISH) == set(CHINESE)
    for key, english in ENGLISH.items():
        if isinstance(english, str):
            assert _names(english) == _names(CHINESE[key]), key
            assert _digits(english) == _digits(CHINESE[key]), key
    for (row, english, verdict), (again, chinese, same) in zip(
        ENGLISH["rules"], CHINESE["rules"], strict=True
    ):
        assert (row, verdict) == (again, same)
        assert set(_names(english)) == set(_names(chinese)) and _digits(english) == _digits(chinese)


def test_every_sentence_of_an_assessment_has_its_chinese():
    said = {key: texts for key, texts in _statements().items() if texts}
    assert len(said) > 70
    # progress of the analysis is spoken by a function of the same name, whose second text is no template
    missing = {k for k in said if k not in STATEMENTS and " " not in k and k not in ("verdicts",)}
    assert not missing
    for key in set(said) & set(STATEMENTS):
        for english in said[key]:
            names = Counter({n: 1 for n in _names(english)})
            assert names == Counter({n: 1 for n in _names(STATEMENTS[key])}), key
            # codes stand in English alone
            assert _digits(re.sub(r"W_\w+", "", english)) == _digits(STATEMENTS[key]), key


def test_numbers_and_names_are_the_same_in_both_languages(monkeypatch):
    monkeypatch.setattr("pkpd.report.context.Context.figure", lambda self, k, a, c, d, n="": Text(f"{c} {n}"))
    monkeypatch.setattr("pkpd.report.context.require_font", lambda language: None)
    for made in (assessment(), degenerate()):
        english, chinese = (Page(report_html(made, language)) for language in ("en", "zh"))
        assert _numbers(english) == _numbers(chinese)
        for name in made.verdicts["histology"]:
            assert english.root.text.count(name) == chinese.root.text.count(name) > 0
        assert chinese.root.find("html")[0].attributes["lang"] == "zh"
        for key in ("h2", "caption", "dt", "h3"):
            for node in chinese.root.find(key):
                assert re.search(r"[\u4e00-\u9fff]", node.text) or any(
                    label in node.text for label in ("Objective", "Grade", "Progression", "Overall")
                ), node.text


def test_a_sentence_is_said_in_both_languages():
    text = Statement("Evidence class EC3 (one dose).", "one_dose", {})
    assert (
        in_words(text, ENGLISH) == "Evidence class EC3 (one dose)." and in_words(text, CHINESE) == "单一剂量"
    )
    assert in_words("as the plan says", CHINESE) == "as the plan says"


@pytest.mark.parametrize(
    ("language", "absent"), [("en", "Not declared in the plan."), ("zh", "分析计划中未声明。")]
)
def test_the_context_that_a_plan_declares_stands_in_its_sections(language, absent, monkeypatch):
    monkeypatch.setattr("pkpd.report.context.Context.figure", lambda self, k, a, c, d, n="": Text(c))
    monkeypatch.setattr("pkpd.report.context.require_font", lambda language: None)
    keys = [f.name for f in dataclasses.fields(ContextPlan)]
    words = CHINESE if language == "zh" else ENGLISH
    background = {"mechanism", "alteration", "indications", "earlier_doses"}
    labels = {k: words[f"background.{k}" if k in background else f"{k}.label"] for k in keys if k != "use"}
    labels["use"] = words["context.label"]

    def page(context):
        return Page(report_html(assessment(plan={**PLAN, "context": context}), language)).root

    def terms(root, section):
        part = next(s for s in root.find("section") if s.attributes["id"] == section)
        names, said = ([n.text for n in part.find(tag)] for tag in ("dt", "dd"))
        return dict(zip(names, said, strict=True)), part.text

    said = {key: f"What was said of {key}." for key in keys}
    whole = page(said)
    for key in keys:
        found, _ = terms(whole, "background" if key in background else "assessment")
        assert [label for label, text in found.items() if said[key] in text] == [labels[key]]
    assert said["use"] in terms(whole, "verdicts")[1]
    # one key alone: its neighbours are said to lack, the others are silent
    alone = page({"indications": "Solid tumours."})
    found, _ = terms(alone, "background")
    assert [found[labels[k]] for k in ("mechanism", "indications")] == [absent, "Solid tumours."]
    found, _ = terms(alone, "assessment")
    assert found[labels["risk"]] == absent and absent not in found[labels["influence"]]
    assert words["absent.background"] in terms(page({}), "background")[1]


def test_a_font_that_is_missing_is_one_clear_error(monkeypatch):
    monkeypatch.setattr("pkpd.report.canvas._wide_fonts", lambda: [])
    with pytest.raises(InputError, match=r"E_FONT.*Noto Sans CJK SC"):
        report_html(assessment(), "zh")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_outline_is_the_golden_one(language, monkeypatch):
    """Sections, headings, captions of tables and figures, in their order (structure, not bytes)."""
    monkeypatch.setattr(
        "pkpd.report.context.Context.figure", lambda self, k, a, c, d, n="": Text(f"figure {k}: {c}")
    )
    monkeypatch.setattr("pkpd.report.context.require_font", lambda language: None)
    golden = OUTLINE.read_text(encoding="utf-8").split("====\n")
    assert outline(Page(report_html(assessment(), language))) == golden[["en", "zh"].index(language)]
