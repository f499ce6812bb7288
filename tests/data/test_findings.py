"""One case per finding: its code, and the row, ID, column and value that it names."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pandas as pd
import pytest

import pkpd
from pkpd.data.rules import RULES

HEADER = "ID,TIME,AMT,EVID,MDV,DV"
DOSE, SAMPLE = "1,0,100,1,1,.", "1,1,0,0,0,5.0"
GOOD = [HEADER, DOSE, SAMPLE, "2,0,100,1,1,.", "2,1,0,0,0,4.0"]


def table(*lines: str) -> str:
    return "\n".join(lines) + "\n"


def with_column(name: str, *cells: object) -> str:
    """The good table with one more column; a row of the result is cell position + 2."""
    return table(f"{HEADER},{name}", *[f"{r},{c}" for r, c in zip(GOOD[1:], cells, strict=True)])


def replaced(row: int, text: str) -> str:
    """The good table with line ``row`` written otherwise."""
    lines = list(GOOD)
    lines[row - 1] = text
    return table(*lines)


# code, text of the file, options, (row, ID, column, value) of its first finding
CASES: list[tuple[str, str, dict, tuple]] = [
    ("E_FILE_EMPTY", "", {}, (None, None, None, None)),
    ("E_FILE_EMPTY", "\n\n  \n", {}, (None, None, None, None)),
    ("E_FILE_FORMAT", "ID,TIME\x00,DV\n1,0,1\n", {}, (None, None, None, None)),
    ("E_DELIMITER", table("ID;TIME;DV,mg/L", "1;0;1"), {}, (1, None, None, None)),
    ("E_QUOTING", table(HEADER, DOSE, '1,1,0,0,0,"5'), {}, (3, None, None, None)),
    ("E_QUOTING", table('"ID,TIME,DV', "1,0,1"), {}, (1, None, None, None)),
    ("E_NO_HEADER", table("1,0,100,1,1,.", SAMPLE), {}, (1, None, None, None)),
    ("E_HEADER", table("ID,TIME,DV,", "1,0,1,7"), {}, (1, None, None, None)),
    ("E_NO_RECORDS", HEADER, {}, (None, None, None, None)),
    ("E_NO_RECORDS", table("C," + HEADER, "C," + SAMPLE), {}, (None, None, "C", None)),
    ("E_ROW_LENGTH", replaced(3, "1,1,0,0,0,5,0"), {}, (3, None, None, 7)),
    ("E_ROW_LENGTH", replaced(5, "2,1,0,0"), {}, (5, None, None, 4)),
    ("E_ROW_LENGTH", table('"ID",TIME,DV', '"1",0'), {}, (2, None, None, 2)),
    ("E_DECIMAL_COMMA", table("ID;TIME;DV", "1;0;1,5", "1;1.5;2,5"), {}, (2, None, "DV", "1,5")),
    ("E_DECIMAL_COMMA", table("ID;TIME;DV", "1;0;1,500", "1;2;2,500"), {}, (2, None, "DV", "1,500")),
    ("E_DECIMAL_COMMA", table('ID,TIME,"DV"', '1,0,"1,5"'), {}, (2, None, "DV", "1,5")),
    ("W_DECIMAL_COMMA", table("ID;TIME;DV", "1;0;1,5", "1;1;2"), {}, (None, None, "DV", None)),
    ("W_RECORDS_EXCLUDED", table(HEADER, DOSE, "#" + SAMPLE, SAMPLE), {}, (3, None, None, None)),
    (
        "W_RECORDS_EXCLUDED",
        table("C," + HEADER, ".," + DOSE, "," + SAMPLE, "C,1,2,0,0,0,9"),
        {},
        (4, None, "C", None),
    ),
    ("E_DUPLICATE_COLUMN", table("ID,TIME,DV,DV", "1,0,1,2"), {}, (1, None, "DV", None)),
    ("E_DUPLICATE_COLUMN", table("ID,TIME,DV,dv", "1,0,1,2"), {}, (1, None, "dv", None)),
    ("E_MISSING_COLUMN", table("ID,TIME,CONC", "1,0,1"), {}, (1, None, "DV", None)),
    ("E_MISSING_COLUMN", table(*GOOD), {"covariates": ["WT"]}, (1, None, "WT", None)),
    ("E_MISSING_COLUMN", table(*GOOD), {"histology": "CANCER"}, (1, None, "CANCER", None)),
    ("E_MISSING_COLUMN", table(*GOOD), {"columns": {"DV": "CONC"}}, (1, None, "CONC", None)),
    ("E_COLUMN_TWICE", table(*GOOD), {"columns": {"A": "DV", "B": "DV"}}, (None, None, "DV", None)),
    ("E_COLUMN_NOT_SUPPORTED", with_column("DUR", 0, 0, 2, 0), {}, (4, None, "DUR", 2)),
    ("E_COLUMN_C", with_column("C", ".", "x", "C", ""), {}, (3, None, "C", "x")),
    ("E_COVARIATE_ROLE", table(*GOOD), {"covariates": ["AMT"]}, (None, None, "AMT", None)),
    ("E_UNIT_COLUMN", table(*GOOD), {"units": {"CONC": "mg/L"}}, (None, None, "CONC", None)),
    (
        "W_COLUMN_REPLACED",
        with_column("LNDV", 1, 2, 3, 4),
        {"columns": {"DV": "LNDV"}},
        (None, None, "DV", None),
    ),
    ("W_COLUMN_REPLACED", with_column("ROW", 1, 2, 3, 4), {}, (None, None, "ROW", None)),
    ("E_NOT_NUMERIC", replaced(3, "1,1,0,0,0,BLQ"), {}, (3, 1, "DV", "BLQ")),
    ("E_NOT_NUMERIC", replaced(3, "1,noon,0,0,0,5"), {}, (3, 1, "TIME", "noon")),
    ("E_CLOCK", replaced(3, "1,08:30,0,0,0,5"), {}, (2, 1, "TIME", "0")),
    (
        "E_DATE",
        with_column("DATE", "3/1/2025", "3/1/25", "3/1/2025", "3/1/2025"),
        {},
        (3, 1, "DATE", "3/1/25"),
    ),
    ("E_TIME_UNIT", with_column("DATE", 1, 1, 1, 1), {"units": {"TIME": "mg"}}, (None, None, "TIME", "mg")),
    ("W_TIME_CLOCK", with_column("DATE", 1, 1, 1, 1), {}, (None, None, "TIME", None)),
    ("E_NOT_NUMERIC", replaced(2, "1,0,1O0,1,1,."), {}, (2, 1, "AMT", "1O0")),
    ("E_NOT_FINITE", replaced(3, "1,1,0,0,0,inf"), {}, (3, 1, "DV", float("inf"))),
    ("E_NOT_FINITE", replaced(3, "1,1,0,0,0,NaN"), {}, (3, 1, "DV", "NaN")),
    ("E_NOT_FINITE", with_column("WT", 70, "1e999", 80, 80), {}, (3, 1, "WT", float("inf"))),
    ("E_NOT_INTEGER", replaced(2, "1,0,100,1.5,1,."), {}, (2, 1, "EVID", 1.5)),
    ("E_NOT_INTEGER", with_column("ADDL", "1e300", 0, 0, 0), {}, (2, 1, "ADDL", 1e300)),
    ("E_NOT_INTEGER", with_column("CMT", 1, 2.5, 1, 2), {}, (3, 1, "CMT", 2.5)),
    ("E_ID_MISSING", replaced(4, ".,0,100,1,1,."), {}, (4, None, "ID", None)),
    ("E_ID_MISSING", replaced(4, "NaN,0,100,1,1,."), {}, (4, None, "ID", None)),
    ("E_TIME_MISSING", replaced(3, "1,.,0,0,0,5"), {}, (3, 1, "TIME", None)),
    ("E_TIME_NEGATIVE", replaced(2, "1,-0.5,100,1,1,."), {}, (2, 1, "TIME", -0.5)),
    ("W_EVID_INFERRED", table("ID,TIME,AMT,DV", "1,0,9,.", "1,1,.,5"), {}, (None, None, "EVID", None)),
    ("E_EVID_VALUE", replaced(3, "1,1,0,101,1,."), {}, (3, 1, "EVID", 101)),
    ("E_CENS_VALUE", with_column("CENS", 0, 2, 0, 0), {}, (3, 1, "CENS", 2)),
    ("E_CENS_VALUE", with_column("BLQ,LLOQ", "0,1", "-1,1", "0,1", "0,1"), {}, (3, 1, "BLQ", -1)),
    ("E_CENS_WITHOUT_BOUND", with_column("BLQ", 0, 1, 0, 0), {}, (3, 1, "BLQ", 1)),
    ("E_CENS_WITHOUT_BOUND", table(HEADER + ",CENS", DOSE + ",0", "1,1,0,0,0,.,1"), {}, (3, 1, "CENS", 1)),
    ("E_LIMIT_ORDER", with_column("CENS,LIMIT", "0,.", "1,9", "0,.", "0,."), {}, (3, 1, "LIMIT", 9)),
    ("E_LIMIT_ORDER", with_column("CENS,LIMIT", "0,.", "-1,4", "0,.", "0,."), {}, (3, 1, "LIMIT", 4)),
    ("W_LIMIT_UNUSED", with_column("LIMIT", ".", 1, ".", "."), {}, (3, 1, "LIMIT", 1)),
    ("W_DV_BELOW_LLOQ", with_column("LLOQ", 4.5, 4.5, 4.5, 4.5), {}, (5, 2, "DV", 4)),
    ("E_DUPLICATE_COLUMN", with_column("CENS,BLQ", "0,0", "0,0", "0,0", "0,0"), {}, (1, None, "BLQ", None)),
    ("E_SS_VALUE", with_column("SS,II", "3,12", "0,0", "0,0", "0,0"), {}, (2, 1, "SS", 3)),
    ("E_SS_WITHOUT_II", with_column("SS", 1, 0, 2, 0), {}, (2, 1, "SS", 1)),
    ("E_SS_WITHOUT_DOSE", with_column("SS", 0, 1, 0, 0), {}, (3, 1, "SS", 1)),
    ("E_DOSE_WITH_DV", table("ID,TIME,AMT,DV", "1,0,9,.", "1,1,9,5"), {}, (3, 1, "DV", 5)),
    ("E_DOSE_ZERO", replaced(2, "1,0,0,1,1,."), {}, (2, 1, "AMT", 0)),
    ("E_DOSE_ZERO", table("ID,TIME,EVID,DV", "1,0,1,.", "1,1,0,2"), {}, (2, 1, "AMT", 0)),
    ("E_AMT_NEGATIVE", replaced(2, "1,0,-100,1,1,."), {}, (2, 1, "AMT", -100)),
    ("E_AMT_ON_OBSERVATION", replaced(3, "1,1,50,0,0,5"), {}, (3, 1, "AMT", 50)),
    ("E_AMT_ON_OBSERVATION", replaced(3, "1,1,50,2,1,."), {}, (3, 1, "AMT", 50)),
    ("E_RATE_WITHOUT_AMT", with_column("RATE", 10, 10, 0, 0), {}, (3, 1, "RATE", 10)),
    (
        "E_RATE_WITHOUT_AMT",
        table("ID,TIME,AMT,EVID,RATE,DV", "1,0,0,1,5,.", "1,1,0,0,0,3"),
        {},
        (2, 1, "RATE", 5),
    ),
    ("E_RATE_NEGATIVE", with_column("RATE", -7, 0, 0, 0), {}, (2, 1, "RATE", -7)),
    ("E_II_NEGATIVE", with_column("II", -12, 0, 0, 0), {}, (2, 1, "II", -12)),
    ("E_ADDL_NEGATIVE", with_column("ADDL", 0, 0, -1, 0), {}, (4, 2, "ADDL", -1)),
    ("E_ADDL_WITHOUT_II", with_column("ADDL", 3, 0, 0, 0), {}, (2, 1, "ADDL", 3)),
    ("E_ADDL_TOO_MANY", with_column("ADDL,II", "100001,1", "0,0", "0,0", "0,0"), {}, (2, 1, "ADDL", 100001)),
    ("E_ADDL_WITHOUT_DOSE", with_column("ADDL", 0, 2, 0, 0), {}, (3, 1, "ADDL", 2)),
    ("W_II_UNUSED", with_column("II", 24, 0, 24, 0), {}, (2, 1, "II", 24)),
    ("E_MDV_VALUE", replaced(3, "1,1,0,0,2,5"), {}, (3, 1, "MDV", 2)),
    ("E_MDV_ON_DOSE", replaced(4, "2,0,100,1,0,."), {}, (4, 2, "MDV", 0)),
    ("E_DV_MISSING", replaced(5, "2,1,0,0,0,NA"), {}, (5, 2, "DV", None)),
    ("W_DV_MISSING", replaced(5, "2,1,0,0,.,"), {}, (5, 2, "DV", None)),
    ("W_DV_ON_DOSE", replaced(4, "2,0,100,1,1,7"), {}, (4, 2, "DV", 7)),
    ("E_CMT_MIXED", with_column("CMT", "depot", 2, 1, 2), {}, (2, 1, "CMT", "depot")),
    ("E_CMT_NEGATIVE", with_column("CMT", 1, 2, -1, 2), {}, (4, 2, "CMT", -1)),
    ("E_CMT_ENDPOINT", with_column("CMT", 1, 2, 1, 3), {}, (5, 2, "CMT", 3)),
    (
        "E_CMT_ENDPOINT",
        with_column("CMT", "depot", "central", "depot", "urine"),
        {},
        (5, 2, "CMT", "urine"),
    ),
    ("W_TAD_DIFFERS", with_column("TAD", 0, 1, 0, 1.5), {}, (5, 2, "TAD", 1.5)),
    ("W_MISSING_CODE", with_column("WT", 70, 70, -99, -99), {}, (4, 2, "WT", -99)),
    ("W_MISSING_CODE", replaced(5, "2,1,0,0,0,-99"), {}, (5, 2, "DV", -99)),
    ("E_DVID_MISSING", with_column("DVID", ".", 1, ".", "."), {}, (5, 2, "DVID", None)),
    ("E_DVID_MISSING", with_column("DVID", "cp", "cp", "cp", "."), {}, (5, 2, "DVID", None)),
    ("E_NOT_NUMERIC", with_column("DVID", ".", 1, ".", "pca"), {}, (5, 2, "DVID", "pca")),
    ("E_DVID_VALUE", with_column("DVID", 0, 0, 0, 1), {}, (3, 1, "DVID", 0)),
    ("E_ID_SPLIT", table(*GOOD, "1,5,0,0,0,2"), {}, (6, 1, "ID", None)),
    ("E_TIME_NOT_INCREASING", table(*GOOD, "2,0.5,0,0,0,2"), {}, (6, 2, "TIME", 0.5)),
    ("E_SUBJECT_EMPTY", table(*GOOD, "3,0,0,0,1,."), {}, (6, 3, "EVID", None)),
    ("E_NO_DOSES", table(*GOOD, "3,0,0,0,0,7"), {}, (6, 3, "AMT", None)),
    ("E_NO_OBSERVATIONS", table(*GOOD, "3,0,100,1,1,."), {}, (6, 3, "DV", None)),
    (
        "W_NO_DOSES_ALLOWED",
        table(*GOOD, "3,0,0,0,0,7"),
        {"allow": ["E_NO_DOSES"]},
        (6, 3, "AMT", None),
    ),
    (
        "W_NO_OBSERVATIONS_ALLOWED",
        table(*GOOD, "3,0,100,1,1,."),
        {"allow": ["E_NO_OBSERVATIONS"]},
        (6, 3, "DV", None),
    ),
    ("W_NO_DOSES", table("ID,TIME,DV,EVID", "1,0,5,0"), {}, (None, None, None, None)),
    ("W_NO_OBSERVATIONS", table(HEADER, DOSE), {}, (None, None, None, None)),
    ("W_DUPLICATE_OBSERVATION", table(*GOOD, "2,1,0,0,0,4.5"), {}, (6, 2, "TIME", 1)),
    ("W_COVARIATE_MISSING", with_column("WT", 70, 70, ".", "."), {}, (4, 2, "WT", None)),
    ("W_COVARIATE_MIXED", with_column("WT", 70, 70, "6o", "6o"), {}, (4, 2, "WT", "6o")),
    ("E_HISTOLOGY_MISSING", with_column("TUMOR", "lung", "lung", ".", "."), {}, (4, 2, "TUMOR", None)),
    ("E_HISTOLOGY_VARIES", with_column("TUMOR", "lung", "skin", "lung", "lung"), {}, (3, 1, "TUMOR", "skin")),
    ("W_HISTOLOGY_FILLED", with_column("TUMOR", "lung", "", "skin", "skin"), {}, (3, 1, "TUMOR", "lung")),
    (
        "W_HISTOLOGY_SPELLING",
        with_column("TUMOR", "lung", "lung", "Lung", "Lung"),
        {},
        (None, None, "TUMOR", "Lung"),
    ),
]


@pytest.mark.parametrize(
    ("code", "text", "options", "where"), CASES, ids=[f"{c[0]}-{i}" for i, c in enumerate(CASES)]
)
def test_finding_names_where_it_is(tmp_path: Path, code: str, text: str, options: dict, where: tuple) -> None:
    path = tmp_path / "study.csv"
    path.write_text(text, encoding="utf-8", newline="")
    found = pkpd.check(path, **options)
    same = [f for f in found if f.code == code]
    assert same, f"{code} not among {[str(f) for f in found]}"
    assert (same[0].row, same[0].subject, same[0].column, same[0].value) == where
    assert same[0].message and same[0].remedy and not re.search(r"[{}]", same[0].message)
    if code.startswith("E_"):
        with pytest.raises(pkpd.DataError, match=code) as error:
            pkpd.read_dataset(path, **options)
        assert error.value.findings == [f for f in found if f.is_error]
    else:
        assert not any(f.is_error for f in found)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            pkpd.read_dataset(path, **options)
        assert [str(w.message) for w in caught if str(w.message).startswith(code)]
        assert all(w.category is pkpd.PkpdWarning for w in caught)


# findings that need more than the text of a file; each has its own test below
ELSEWHERE = {
    "E_FILE_NOT_FOUND",
    "E_FILE_UNREADABLE",
    "E_ENCODING",
    "E_NEEDS_PACKAGE",
    "E_ADAM_ANALYTES",
    "E_ADAM_DOSE",
}


def test_every_rule_has_a_case() -> None:
    assert {c[0] for c in CASES} | ELSEWHERE == set(RULES)


def test_a_missing_file_says_what_lies_there(tmp_path: Path) -> None:
    (tmp_path / "trial.csv").write_text("x")
    (finding,) = pkpd.check(tmp_path / "trail.csv")
    assert finding.code == "E_FILE_NOT_FOUND" and "trial.csv" in finding.remedy
    assert pkpd.check("no such folder/x.csv")[0].code == "E_FILE_NOT_FOUND"
    assert pkpd.check("a\x00b.csv")[0].code == "E_FILE_NOT_FOUND"


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    assert pkpd.check(tmp_path)[0].code == "E_FILE_UNREADABLE"
    assert pkpd.check("x" * 300)[0].code == "E_FILE_UNREADABLE"


@pytest.mark.parametrize(
    ("content", "row"),
    [
        ("ID,TIME,DV,SITE\n1,0,5,Köln\n".encode("latin-1"), 2),
        (b"\xff\xfeI\x00D", None),
        (b"\xff\xfe\x00\xd8\x00\x00", None),
    ],
)
def test_encoding(tmp_path: Path, content: bytes, row: int | None) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content if row else content + b"\x00" * (len(content) % 2 == 0))
    (finding,) = pkpd.check(path)
    assert (finding.code, finding.row) == ("E_ENCODING", row)


def test_all_findings_at_once_in_file_order() -> None:
    frame = pd.DataFrame(
        {
            "ID": [1, 1, 1, 2, 2],
            "TIME": [0, 5, 4, 0, 1],
            "AMT": [-5, 0, 0, 100, 3],
            "EVID": [1, 0, 0, 1, 0],
            "DV": [None, 1.0, "x", None, 2.0],
        }
    )
    found = [(f.row, f.code) for f in pkpd.check(frame)]
    assert found == [
        (2, "E_AMT_NEGATIVE"),
        (4, "E_NOT_NUMERIC"),
        (4, "E_TIME_NOT_INCREASING"),
        (6, "E_AMT_ON_OBSERVATION"),
    ]


def test_one_mistake_brings_one_complaint() -> None:
    lines = replaced(2, "1,0,1OO,1,1,.").splitlines()
    frame = pd.DataFrame([r.split(",") for r in lines[1:]], columns=lines[0].split(","))
    assert [(f.code, f.row) for f in pkpd.check(frame)] == [("E_NOT_NUMERIC", 2)]


def test_many_findings_are_counted() -> None:
    frame = pd.DataFrame({"ID": 1, "TIME": range(5000), "DV": "x", "EVID": 0})
    found = pkpd.check(frame)
    same = [f for f in found if f.code == "E_NOT_NUMERIC"]
    assert len(same) == 1001 and "4000 more" in same[-1].message


def test_remedies_name_the_likely_column() -> None:
    frame = pd.DataFrame({"SUBJ": [1], "time": [0], "Conc": [1.0]})
    remedies = {f.column: f.remedy for f in pkpd.check(frame)}
    assert 'columns={"ID": "SUBJ"}' in remedies["ID"] and 'columns={"DV": "Conc"}' in remedies["DV"]
    with pytest.warns(pkpd.PkpdWarning, match="W_NO_DOSES"):
        data = pkpd.read_dataset(frame.assign(EVID=0), columns={"ID": "SUBJ", "DV": "Conc"})
    assert data.n_observations == 1 and data.covariates == ()


@pytest.mark.parametrize(
    "options",
    [
        {"covariates": "WT"},
        {"allow": ["E_TIME_NEGATIVE"]},
        {"units": ["h"]},
        {"columns": {"DV": 3}},
        {"columns": "SDTM"},
        {"histology": 5},
    ],
)
def test_options_that_make_no_sense(options: dict) -> None:
    with pytest.raises(pkpd.InputError, match="E_OPTION"):
        pkpd.check(pd.DataFrame({"ID": [1]}), **options)


def test_input_of_another_type() -> None:
    with pytest.raises(pkpd.InputError, match="E_INPUT_TYPE"):
        pkpd.read_dataset([1, 2, 3])
