from __future__ import annotations

import re

import pytest

from pkpd.errors import PlanError
from pkpd.study.locations import line_of, locations
from pkpd.study.plan import PLAN_FORMAT, check_plan, read_plan

PLAN = """\
format = 1
title = "A drug in four tumour types"
seed = 7

[data]
file = "data.csv"
reference = "lung"
units = { TIME = "h", DV = "ng/mL" }

[model]
file = "model.py"
tested = ["CL"]

[dosing]
reference = 2
candidates = [1, 2.0, 3]
interval = 24
randomised = true

[exposure]
metric = "AUCSS"
bounds = [0.80, 1.25]
source = "bioequivalence convention"

[[endpoint]]
name = "ORR"
kind = "efficacy"
column = "ORR"
label = "Objective response"

[[endpoint]]
name = "AE"
kind = "safety"
column = "AE"
label = "Grade 3 or higher"
shape = "linear"

[margins]
efficacy = 0.15
safety = 0.10
source = "protocol"

[p0]
default = 0.2
histologies = { rare = 0.1 }
source = "protocol"
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "data.csv").write_text("ID\n")
    (tmp_path / "model.py").write_text("")
    return tmp_path


def write(folder, text):
    path = folder / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_key_arrives_and_defaults_are_filled_in(folder):
    plan = read_plan(write(folder, PLAN))
    assert plan.title == "A drug in four tumour types"
    assert plan.seed == 7
    assert plan.data.histology == "TUMOR"
    assert plan.data.units == {"TIME": "h", "DV": "ng/mL"}
    assert plan.model.tested == ("CL",)
    assert plan.model.method == "FOCEI"
    assert plan.dosing.candidates == (1.0, 2.0, 3.0)
    assert plan.exposure.bounds == (0.80, 1.25)
    assert plan.endpoint("safety").shape == "linear"
    assert plan.endpoint("efficacy").shape == "log"
    assert plan.p0.histologies == {"rare": 0.1}
    assert plan.thresholds.keep == 0.80
    assert plan.bootstrap.n == 999
    assert plan.exchangeability.tau == 0.5
    assert plan.resolve(plan.data.file) == folder / "data.csv"


def test_the_plan_as_run_names_no_machine_path_and_keeps_the_layout_of_the_file(folder):
    written = read_plan(write(folder, PLAN)).as_dict()
    assert str(folder) not in repr(written)
    assert written["format"] == PLAN_FORMAT
    assert [e["name"] for e in written["endpoint"]] == ["ORR", "AE"]
    assert written["thresholds"]["conclude"] == 0.90


def test_the_context_of_a_plan_is_optional_key_by_key(folder):
    bare = read_plan(write(folder, PLAN))
    assert bare.context is None and "context" not in bare.as_dict()
    some = read_plan(write(folder, PLAN + '[context]\nrisk = "low"\n'))
    assert some.as_dict()["context"]["risk"] == "low" and some.context.impact is None
    head = PLAN.split("[[endpoint]]", 1)[0]
    alone = read_plan(write(folder, f"exposure_only = true\n{head}[context]\nuse = 'Label.'\n"))
    assert alone.context.use == "Label."


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "message"),
    [
        ('reference = "lung"', 'referance = "lung"', "E_PLAN_KEY", 7, "Did you mean 'reference'?"),
        ("[margins]", "[margin]", "E_PLAN_KEY", 38, "Did you mean 'margins'?"),
        ("seed = 7", "seed = 7\nzzz = 1", "E_PLAN_KEY", 4, "Known here: format, title, seed"),
        ("seed = 7", "seed = 7.5", "E_PLAN_VALUE", 3, "a whole number from 0 upwards"),
        ("seed = 7", "seed = true", "E_PLAN_VALUE", 3, "a whole number from 0 upwards"),
        ('title = "A drug in four tumour types"', 'title = " "', "E_PLAN_VALUE", 2, "not empty"),
        (
            "efficacy = 0.15",
            "efficacy = 15",
            "E_PLAN_VALUE",
            39,
            "A probability is meant, not percentage points: 0.15?",
        ),
        ("efficacy = 0.15\n", "", "E_PLAN_MISSING", 38, "margins.efficacy is missing, and it has no default"),
        ('source = "bioequivalence convention"\n', "", "E_PLAN_MISSING", 20, "exposure.source is missing"),
        (
            "[0.80, 1.25]",
            "[1.25, 0.80]",
            "E_PLAN_VALUE",
            22,
            "must have its first value below its second",
        ),
        (
            'tested = ["CL"]',
            'tested = ["CL"]\noptions = { starts = 5 }',
            "E_PLAN_VALUE",
            13,
            "starts is none of NaivePooled, FO, FOCE, FOCEI, Laplace, AGQ, SAEM, IMP, each of which takes a table",
        ),
        ("[1, 2.0, 3]", "[2, 1]", "E_PLAN_VALUE", 16, "increasing order"),
        ("[1, 2.0, 3]", "[1, 1]", "E_PLAN_VALUE", 16, "the same entry twice"),
        ("[1, 2.0, 3]", "[1, nan]", "E_PLAN_VALUE", 16, "entry 2 must be a number above 0"),
        ("[1, 2.0, 3]", "[]", "E_PLAN_VALUE", 16, "at least one entry"),
        ("[1, 2.0, 3]", "[1, 3]", "E_PLAN_DOSES", 16, "not among dosing.candidates"),
        ("[0.80, 1.25]", "[0.4, 1.25]", "E_PLAN_BOUNDS", 22, "wider than 0.5 to 2"),
        ("interval = 24", 'interval = "24"', "E_PLAN_VALUE", 17, "must be a number above 0"),
        ("interval = 24", "interval = inf", "E_PLAN_VALUE", 17, "must be a number above 0"),
        ("randomised = true", "randomised = 1", "E_PLAN_VALUE", 18, "true or false"),
        ('"AUCSS"', '"AUC"', "E_PLAN_VALUE", 21, 'must be one of "AUC1"'),
        ("rare = 0.1", "rare = 10", "E_PLAN_VALUE", 45, "entry rare must be a number above 0 and below 1"),
        (
            'kind = "safety"',
            'kind = "toxicity"',
            "E_PLAN_VALUE",
            33,
            'endpoint[2].kind = "toxicity" must be one of',
        ),
        (
            'kind = "safety"',
            'kind = "efficacy"',
            "E_PLAN_ENDPOINTS",
            31,
            '2 binary endpoints of kind "efficacy", 0',
        ),
        (
            'kind = "safety"',
            'kind = "efficacy"',
            "E_PLAN_ENDPOINTS",
            31,
            'no binary endpoint of kind "safety"',
        ),
        (
            'shape = "linear"',
            "primary = false",
            "E_PLAN_ENDPOINTS",
            None,
            '1 binary endpoints of kind "safety", 0',
        ),
        (
            'shape = "linear"',
            'event = "DIED"\nprimary = true',
            "E_PLAN_ENDPOINTS",
            37,
            "AE is a time to an event and cannot be primary: without a control arm",
        ),
        ("seed = 7", "seed = 7\n[sensitivity]\nprior = 1", "E_PLAN_VALUE", 5, "true or false"),
        ("seed = 7", 'seed = 7\n[context]\nrisks = "low"', "E_PLAN_KEY", 5, "Did you mean 'risk'?"),
        ("seed = 7", "seed = 7\n[context]\nrisk = ' '", "E_PLAN_VALUE", 5, "text in quotes, and not empty"),
        ("seed = 7", 'seed = 7\ncontext = "low"', "E_PLAN_TYPE", 4, "Write [context] and its keys below"),
        ('name = "AE"', 'name = "ORR"', "E_PLAN_ENDPOINTS", 32, "two endpoints are named 'ORR'"),
        ("data.csv", "other.csv", "E_PLAN_FILE", 6, "there is no such file"),
        ("model.py", "other.py", "E_PLAN_FILE", 11, "there is no such file"),
        ('file = "model.py"\n', "", "E_PLAN_MODEL", 10, "exactly one of file"),
        ('file = "model.py"', 'file = "model.py"\nname = "x"', "E_PLAN_MODEL", 10, "exactly one of file"),
        ("default = 0.2\nhistologies = { rare = 0.1 }\n", "", "E_PLAN_P0", 43, "declares no response rate"),
        ("format = 1", "format = 2", "E_PLAN_FORMAT", 1, "reads plans up to format 1"),
        ("format = 1\n", "", "E_PLAN_MISSING", None, "format is missing"),
        ("[exposure]", "[exposure", "E_PLAN_SYNTAX", None, "line 20"),
    ],
)
def test_one_mistake_is_found_with_its_line(folder, old, new, code, line, message):
    assert PLAN.count(old) == 1
    findings = check_plan(write(folder, PLAN.replace(old, new)))
    named = [f for f in findings if f.code == code]
    assert named, findings
    assert message in " ".join(f"{f.message} {f.remedy}" for f in named)
    if line is not None:
        assert line in [f.row for f in named]


def test_a_section_that_is_no_table_is_refused(folder):
    findings = check_plan(write(folder, "margins = 3\n" + PLAN.replace("[margins]", "[other]")))
    assert [f.message for f in findings if f.code == "E_PLAN_TYPE"] == ["margins must be a table."]


def test_all_mistakes_are_reported_at_once_in_the_order_of_the_lines(folder):
    text = (
        PLAN.replace("seed = 7", "sede = 7")
        .replace("efficacy = 0.15", "efficacy = 2")
        .replace("[data]", "[dta]")
    )
    path = write(folder, text)
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    lines = [int(n) for n in re.findall(r"plan\.toml, line (\d+):", str(caught.value))]
    assert lines == sorted(lines)
    assert {3, 5, 39} <= set(lines)
    assert str(caught.value).count("E_PLAN_") == len(check_plan(path)) >= 4
    assert caught.value.code == check_plan(path)[0].code


def test_a_missing_plan_is_an_error_with_its_path(tmp_path):
    with pytest.raises(
        PlanError, match=r"E_PLAN_FILE: .*none\.toml: cannot read the plan: No such file"
    ) as caught:
        read_plan(tmp_path / "none.toml")
    assert "Remedy" in str(caught.value)


def test_lines_survive_arrays_strings_and_comments_that_span_lines():
    text = (
        "# x = 1\n"
        'a = """\nb = 2\n[c]\n"""\n'  # lines 2-5: one string
        "[t] # note\n"
        "list = [\n  1, # list2 = 3\n  2,\n]\n"  # lines 7-10
        'under.score . "quoted key" = 1\n'
        "[[e]]\nname = 1\n[[e]]\nname = { inner = 2 }\n"
    )
    found = locations(text)
    assert found == {
        ("a",): 2,
        ("t",): 6,
        ("t", "list"): 7,
        ("t", "under", "score", "quoted key"): 11,
        ("e", 0): 12,
        ("e", 0, "name"): 13,
        ("e", 1): 14,
        ("e", 1, "name"): 15,
    }
    assert line_of(found, ("e", 1, "name", "inner")) == 15
    assert line_of(found, ("none",)) is None


def test_more_endpoints_need_one_primary_of_each_kind_and_a_time_is_never_one(folder):
    more = """
[[endpoint]]
name = "HEP"
kind = "safety"
column = "HEP"
label = "Hepatic event"
[[endpoint]]
name = "PFS"
kind = "efficacy"
column = "PFS"
event = "PROGRESSED"
label = "Progression-free survival"
[margins]"""
    plan = read_plan(
        write(
            folder,
            PLAN.replace("[margins]", more).replace('shape = "linear"', 'shape = "linear"\nprimary = true'),
        )
    )
    assert plan.endpoint("safety").name == "AE" and plan.endpoint("efficacy").name == "ORR"
    assert [plan.is_primary(e) for e in plan.endpoints] == [True, True, False, False]
    assert [e.binary for e in plan.endpoints] == [True, True, True, False]
    assert plan.sensitivity.prior and plan.sensitivity.leave_one_out


SCENARIO = """
[[scenario]]
name = "alike"
response = { lung = 0.4 }
ae = { lung = 0.1 }
cv = 0.3
response_slope = 1
ae_slope = 1
"""


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            SCENARIO.replace("lung = 0.4", "gastric = 0.4"),
            "E_PLAN_SCENARIO",
            "response lacks the reference 'lung'",
        ),
        (SCENARIO + SCENARIO, "E_PLAN_SCENARIO", "two scenarios are named 'alike'"),
        (SCENARIO + "ratio = { lung = 2 }\n", "E_PLAN_SCENARIO", "ratio of the reference 'lung' is not 1"),
        (SCENARIO.replace("0.4", "40"), "E_PLAN_VALUE", "scenario[1].response"),
        ("[characteristics]\nn = 50\n", "E_PLAN_MISSING", "no [[scenario]]"),
        ("[scenario]\nname = 'x'\n", "E_PLAN_TYPE", "must be a list of tables"),
    ],
)
def test_mistakes_of_scenarios_have_their_line(folder, text, code, message):
    (folder / "plan.toml").write_text(PLAN + text)
    finding = check_plan(folder / "plan.toml")[0]
    assert finding.code == code and message in finding.message
    assert finding.row > PLAN.count("\n")


def test_scenarios_are_read(folder):
    (folder / "plan.toml").write_text(PLAN + "[characteristics]\nn = 50\n" + SCENARIO)
    plan = read_plan(folder / "plan.toml")
    assert plan.characteristics.n == 50 and plan.characteristics.draws == 1000
    assert plan.scenarios[0].truth().response == {"lung": 0.4}
    assert plan.as_dict()["scenario"][0]["name"] == "alike"
    (folder / "plan.toml").write_text(PLAN)
    assert "scenario" not in read_plan(folder / "plan.toml").as_dict()
