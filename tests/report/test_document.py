from __future__ import annotations

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from pkpd.errors import InputError
from pkpd.report import field_value, report_html, write_figures, write_pages, write_report
from pkpd.report.blocks import Text
from pkpd.study.assessment import Assessment
from tests.report.page import Page, assert_shows
from tests.report.synthetic import assessment, degenerate, many

MAKERS = {"pantumor": assessment, "many": many, "degenerate": degenerate}
MADE = {name: make() for name, make in MAKERS.items()}
HTML = {name: report_html(made) for name, made in MADE.items()}
PAGES = {name: Page(html) for name, html in HTML.items()}
everywhere = pytest.mark.parametrize("name", list(MADE))


@pytest.fixture
def without_drawings(monkeypatch):
    """Figures take most of the time of a report; tests of its words and tables leave them out."""
    monkeypatch.setattr("pkpd.report.context.Context.figure", lambda *a, **k: Text("a figure"))


def _table(page: Page, key: str):
    return next(t for t in page.root.find("table") if t.attributes["id"] == f"table-{key}")


@everywhere
def test_every_tag_is_closed_in_order_and_ids_are_unique(name):
    page = PAGES[name]
    assert page.faults == []
    ids = [n.attributes["id"] for n in page.root.having("id")]
    assert len(ids) == len(set(ids))


@everywhere
def test_the_file_needs_nothing_from_outside(name):
    page, html = PAGES[name], HTML[name]
    for attribute in ("src", "href", "xlink:href", "srcset", "poster", "data"):
        for node in page.root.having(attribute):
            assert node.attributes[attribute].startswith(("#", "data:image/png;base64,")), node.attributes
    assert not page.root.find("script") and not page.root.find("link") and not page.root.find("iframe")
    assert "@import" not in html and not re.search(r"url\((?!#)", html)
    ids = {n.attributes["id"] for n in page.root.having("id")}
    for reference in re.findall(r'(?:href="#|url\(#|labelledby=")([^")]+)', html):
        assert set(reference.split()) <= ids


@everywhere
def test_traced_numbers_are_those_of_the_assessment(name):
    made = Assessment.from_json(MADE[name].to_json())
    checked = 0
    for node in PAGES[name].root.having("data-field"):
        value = field_value(made, node.attributes["data-field"])
        if isinstance(value, str):
            assert node.text == value
            continue
        assert_shows(node, value)
        checked += 1
    assert checked > 150


@everywhere
def test_every_number_in_a_table_is_traced(name):
    for key in (
        "verdicts",
        "parameters",
        "exposure",
        "shrunken",
        "counts-0",
        "contrasts-1",
        "tests-0",
        "dose",
        "sources-0",
        "refits",
        "pooled",
        "aliasing",
        "survival-0",
    ):
        for cell in _table(PAGES[name], key).find("td"):
            if {"number", "interval"} & set(cell.classes):
                loose = "".join(c for c in cell.children if isinstance(c, str))
                assert not re.search(r"\d", loose), cell.text


@everywhere
def test_every_verdict_is_on_the_page_with_its_sentence_and_qualifiers(name):
    verdicts, table = MADE[name].verdicts, _table(PAGES[name], "verdicts")
    bodies = table.find("tbody")
    assert len(bodies) == len(verdicts)
    for body, row in zip(bodies, verdicts.to_dict("records"), strict=True):
        text = body.text
        assert row["histology"] in text and row["sentence"] in text.replace("\u00a0", " ")
        badge = next(
            n for n in body.find("span") if n.attributes.get("data-field", "").startswith("verdicts.verdict")
        )
        assert badge.text == row["verdict"] and "badge" in badge.classes
        for qualifier in filter(None, row["qualifiers"].split("; ")):
            assert qualifier in text


def test_the_verdicts_come_first_and_contents_list_all_sections():
    page = PAGES["pantumor"]
    sections = [s.attributes["id"] for s in page.root.find("section")]
    assert sections[0] == "verdicts" and page.root.find("table")[0].attributes["id"] == "table-verdicts"
    linked = [a.attributes["href"] for a in page.root.find("nav")[0].find("a")]
    assert [f"#{s}" for s in sections] == [a for a in linked if a[1:] in sections]


@everywhere
def test_tables_and_figures_are_accessible(name):
    page = PAGES[name]
    assert page.root.find("html")[0].attributes["lang"] == "en" and len(page.root.find("h1")) == 1
    for table in page.root.find("table"):
        caption = table.find("caption")
        assert len(caption) == 1 and re.match(r"Table \d+\. \S", caption[0].text)
        assert table.find("th") and all("scope" in th.attributes for th in table.find("th"))
        width = len(table.find("thead")[0].find("tr")[-1].find("th"))
        for row in table.find("tr"):
            cells = [c for c in row.children if not isinstance(c, str)]
            assert sum(int(c.attributes.get("colspan", 1)) for c in cells) == width
    figures = page.root.find("figure")
    keys = {f.attributes["id"].removeprefix("figure-") for f in figures}
    assert keys == {
        "aliasing", "gof", "vpc", "etas", "eta-shrinkage", "forest", "by-dose", "curves-0", "forest-0", "survival-0", "curves-1",
        "forest-1", "shrinkage", "borrowing-0", "pairs-0", "borrowing-1", "pairs-1", "influence", "doses",
    }  # fmt: skip
    for figure in figures:
        drawing = figure.find("svg")[0]
        assert drawing.attributes["role"] == "img"
        assert drawing.find("title")[0].text.strip() and len(drawing.find("desc")[0].text) > 40
        assert re.match(r"Figure \d+\. \S", figure.find("figcaption")[0].text)


@everywhere
def test_the_same_assessment_gives_the_same_bytes(name, tmp_path):
    # also from JSON, and written rather than returned
    again = Assessment.from_json(MADE[name].to_json())
    path = write_report(again, tmp_path / "report.html")
    assert path.read_bytes() == HTML[name].encode()


def test_text_of_the_plan_cannot_become_markup(without_drawings):
    made = MADE["pantumor"]
    title = '<script>alert("x")</script> & co'
    page = Page(report_html(dataclasses.replace(made, title=title)))
    assert not page.root.find("script") and page.root.find("h1")[0].text == title


def test_missing_values_are_a_dash_and_never_nan():
    page = PAGES["degenerate"]
    text = "".join(n.text for n in page.root.find("td"))
    assert not re.search(r"\bnan\b|None|NaN|inf\b", text)
    last = _table(page, "verdicts").find("tbody")[-1]
    assert "–" in [c.text for c in last.find("td")]
    assert "No event was observed" in page.root.text


def test_absent_evidence_is_said(without_drawings):
    made = MADE["pantumor"]
    bare = dataclasses.replace(
        made,
        verdicts=made.verdicts.iloc[:0],
        endpoints=(),
        exchangeability={},
        assumptions=(),
        provenance={},
        data=made.data.iloc[:0],
        pk=dataclasses.replace(
            made.pk, diagnostics=made.pk.diagnostics.iloc[:0], equations=(), successful=False
        ),
    )
    page = Page(report_html(bare))
    text = page.root.find("main")[0].text
    for words in (
        "no histology beside the reference",
        "Absent from this assessment: exposure-response of safety.",
        "Absent from this assessment: the hierarchical model of exposure.",
        "did not succeed",
    ):
        assert words in text
    assert page.faults == []


def test_columns_that_are_not_known_change_nothing(without_drawings):
    made = MADE["pantumor"]
    more = dataclasses.replace(made, verdicts=made.verdicts.assign(new_column=1.0))
    assert report_html(more) == report_html(made)


def test_columns_that_an_older_assessment_lacks_are_dashes(without_drawings):
    made = MADE["pantumor"]
    less = dataclasses.replace(
        made, verdicts=made.verdicts.drop(columns=["p_total_kept", "qualifiers", "n_needed"])
    )
    assert Page(report_html(less)).faults == []


def test_plan_margins_and_thresholds_are_printed_with_their_sources():
    page = PAGES["pantumor"]
    text = _table(page, "margins").text
    assert "Agreed with the clinical team before database lock." in text and "0.8 to 1.25" in text
    assert "Response rate of available therapy." in text and "20 %" in text
    assert "≥\u00a00.9" in _table(page, "rules").text
    keys = [th.text for th in _table(page, "plan").find("th")]
    assert "dosing.candidates" in keys and "endpoint[1].label" in keys


def test_margins_of_single_histologies_are_printed(without_drawings):
    made = MADE["pantumor"]
    plan = {
        **made.plan,
        "margins": {**made.plan["margins"], "safety_by_histology": {"hepatocellular": 0.05}},
        "p0": {**made.plan["p0"], "histologies": {"colorectal": 0.1}},
    }
    table = _table(Page(report_html(dataclasses.replace(made, plan=plan))), "margins")
    rows = {tr.find("th")[0].text: tr.find("td")[0].text for tr in table.find("tr")[1:]}
    assert rows["Adverse events in hepatocellular: acceptable excess δS, percentage points"] == "5"
    assert rows["p0 in colorectal"] == "10 %"


def test_decimals_stand_in_line():
    cells = [tr.find("td") for tr in _table(PAGES["pantumor"], "exposure").find("tr")[1:]]
    n = [row[1] for row in cells]
    means = [c.text for c in n]
    assert len({len(m.partition(".")[2]) for m in means}) == 1  # 420, 412 …: no padding needed
    parameters = _table(PAGES["pantumor"], "parameters").find("tbody")[0].find("tr")[1:]
    estimates = [tr.find("td")[1] for tr in parameters]
    assert [c.text for c in estimates] == ["4.91", "214", "2.05"]
    assert [c.attributes.get("style") for c in estimates] == [None, "--d:2;--p:1", None]


@pytest.mark.parametrize(
    ("language", "said"),
    [("", "unknown language ''"), ("fr", "unknown language 'fr'.*Choose one of: 'en', 'zh'")],
)
def test_another_language_is_refused(language, said, tmp_path):
    with pytest.raises(InputError, match=said) as caught:
        write_report(MADE["pantumor"], tmp_path / "report.html", language=language)
    assert caught.value.code == "E_LANGUAGE" and not list(tmp_path.iterdir())


def test_one_call_writes_the_page_the_document_and_every_figure(tmp_path):
    made = MADE["degenerate"]
    written = write_pages(made, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == HTML["degenerate"].encode()
    keys = {f.attributes["id"].removeprefix("figure-") for f in PAGES["degenerate"].root.find("figure")}
    names = {p.name for p in (tmp_path / "figures").iterdir()}
    assert names == {f"{key}.{suffix}" for key in keys for suffix in ("svg", "png")} and len(
        written
    ) == 2 + len(names)
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes().startswith(b"<svg " if path.suffix == ".svg" else b"\x89PNG")
    assert (tmp_path / "report.docx").read_bytes().startswith(b"PK")
    alone = write_figures(dataclasses.replace(made, endpoints=(), survival=()), tmp_path / "figures")
    assert {p.stem for p in alone} < keys
    with pytest.raises(InputError, match="E_REPORT_PATH"):
        write_figures(made, tmp_path / "nowhere")


def test_a_folder_that_is_not_there_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match="E_REPORT_PATH"):
        write_report(MADE["pantumor"], tmp_path / "nowhere" / "report.html")


def test_which_p_value_counts_is_said(without_drawings):
    assert "The bootstrap p-value counts" in PAGES["pantumor"].root.text
    made = MADE["pantumor"]
    endpoints = tuple(
        dataclasses.replace(e, interaction={**e.interaction, "p_bootstrap": np.nan, "n_bootstrap": 0},
                            intercepts={**e.intercepts, "p_bootstrap": None, "n_bootstrap": 0})
        for e in made.endpoints
    )  # fmt: skip
    text = Page(report_html(dataclasses.replace(made, endpoints=endpoints))).root.text
    assert "No bootstrap was run" in text and "The bootstrap p-value counts" not in text


def test_qualifiers_may_be_missing_text(without_drawings):
    made = MADE["pantumor"]
    verdicts = made.verdicts.assign(qualifiers=pd.Series([None] * len(made.verdicts), dtype=object))
    page = Page(report_html(dataclasses.replace(made, verdicts=verdicts)))
    assert not [t for t in page.root.find("table") if t.attributes["id"] == "table-qualifiers"]


def _strange(case: str) -> Assessment:
    made = assessment([("lung", 12, 1.0, 0.0, 2.5, 0.0), ("liver", 12, 1.2, 0.0, 2.5, 1.0)])
    exposure, pk, table = made.exposure, made.pk, made.exchangeability["table"]
    first, second = made.endpoints
    if case == "no exposure":
        exposure.subjects["AUCSS"] = np.nan
    elif case == "zero exposures":
        exposure.subjects.loc[:5, "AUCSS"] = 0.0
    elif case == "equal exposures":
        exposure.subjects["AUCSS"] = 300.0
    elif case == "one dose":
        exposure.subjects["dose"] = 2.0
    elif case == "infinite interval":
        exposure.ratios.loc[1, ["lower", "upper"]] = [0.0, np.inf]
        pk.parameters.loc["CL", ["se", "rse_percent", "upper"]] = np.inf
    elif case == "no residuals":
        pk.diagnostics["CWRES"] = np.nan
    elif case == "negative observations":
        pk.diagnostics["DV"] -= 20.0
    elif case == "nothing shrunken":
        table.loc[:, table.columns != "histology"] = np.nan
    elif case == "no curves":
        first = dataclasses.replace(first, curves=first.curves.iloc[:0], observed=first.observed.iloc[:0])
    elif case == "no counts":
        none = {name: getattr(first, name).iloc[:0] for name in ("counts", "curves", "observed", "contrasts")}
        first = dataclasses.replace(first, **none)
    elif case == "linear":
        first = dataclasses.replace(first, shape="linear")
    elif case == "reference alone":
        return assessment([("lung", 12, 1.0, 0.0, 2.5, 0.0)])
    elif case == "no plan":
        return dataclasses.replace(made, plan={})
    return dataclasses.replace(made, endpoints=(first, second))


@pytest.mark.parametrize(
    "case",
    ["no exposure", "zero exposures", "equal exposures", "one dose", "infinite interval", "no residuals",
     "negative observations", "nothing shrunken", "no curves", "no counts", "linear", "reference alone", "no plan"],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_strange_evidence_still_makes_a_whole_page(case):
    page = Page(report_html(_strange(case)))
    assert page.faults == [] and len(page.root.find("section")) == 18
    assert not re.search(r"\b(nan|NaN|None)\b", page.root.text)


def test_what_the_results_rest_on_is_said(without_drawings):
    made, page = MADE["pantumor"], PAGES["pantumor"]
    text = page.root.text
    assert "Evidence class EC1 (randomised doses)" in text
    assert "exposure at steady state may be a consequence of response" in text
    assert "W_STEADY_STATE_CONFOUNDED" not in text
    assert "Histologies are not compared." in text and "Not analysed: no events." in text
    assert "melanoma" in _table(page, "pooled").text
    bare = dataclasses.replace(made, sensitivity={}, confounding={}, survival=())
    assert "Absent from this assessment: repeated analyses." in Page(report_html(bare)).root.text
    calm = made.sensitivity["refits"].assign(changed=False)
    calm = dataclasses.replace(made, sensitivity={"refits": calm})
    assert "No repeated analysis changes a verdict." in Page(report_html(calm)).root.text
