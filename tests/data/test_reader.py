"""Files as people write them: read alike whatever their dress, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import pkpd
from pkpd.errors import InputError, PkpdError
from tests.data.test_column_effects import oral

PLAIN = (
    "ID,TIME,AMT,EVID,MDV,DV,CMT,WT,SEX\n"
    "1,0,319.992,1,1,.,1,79.6,M\n"
    "1,0.25,.,0,0,2.84,2,79.6,M\n"
    "1,1.12,.,0,0,10.5,2,79.6,M\n"
    "2,0,318.56,1,1,.,1,72.4,F\n"
    "2,0.27,.,0,0,1.72,2,72.4,F\n"
)


def read_bytes(tmp_path: Path, content: bytes, **options) -> pkpd.Dataset:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        return pkpd.read_dataset(path, **options)


def swapped(delimiter: str, decimal: str = ".") -> bytes:
    cells = [line.split(",") for line in PLAIN.splitlines()]
    rows = [[c if c == "." else c.replace(".", decimal) for c in row] for row in cells]
    return ("\n".join(delimiter.join(r) for r in rows) + "\n").encode()


DRESSES = {
    "plain": PLAIN.encode(),
    "no newline at the end": PLAIN.rstrip("\n").encode(),
    "byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "UTF-16 little": PLAIN.encode("utf-16"),
    "UTF-16 big": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "Windows line ends": PLAIN.replace("\n", "\r\n").encode(),
    "old Mac line ends": PLAIN.replace("\n", "\r").encode(),
    "semicolons": swapped(";"),
    "semicolons and decimal commas": swapped(";", ","),
    "tabs": swapped("\t"),
    "tabs and decimal commas": swapped("\t", ","),
    "bars": swapped("|"),
    "blanks": swapped("  "),
    "all quoted": "\n".join(
        ",".join(f'"{c}"' for c in line.split(",")) for line in PLAIN.splitlines()
    ).encode(),
    "blanks around": PLAIN.replace(",", " , ").encode(),
    "lower-case roles": PLAIN.replace("TIME", "time").replace("EVID", "Evid").encode(),
    "header marked": ("#" + PLAIN).encode(),
    "empty missing cells": PLAIN.replace(",.,", ",,").encode(),
    "NA missing cells": PLAIN.replace(",.,", ",NA,").encode(),
    "a separator too many": PLAIN.replace("\n", ",\n").encode(),
}


@pytest.mark.parametrize("dress", DRESSES)
def test_same_data_in_every_dress(tmp_path: Path, dress: str) -> None:
    expected = read_bytes(tmp_path, PLAIN.encode())
    assert expected.frame["WT"].tolist() == [79.6, 79.6, 79.6, 72.4, 72.4]
    assert expected.frame["SEX"].tolist() == ["M", "M", "M", "F", "F"]
    assert expected.frame["ROW"].tolist() == [2, 3, 4, 5, 6]
    pd.testing.assert_frame_equal(read_bytes(tmp_path, DRESSES[dress]).frame, expected.frame)


def test_row_is_the_line_in_the_file(tmp_path: Path) -> None:
    lines = PLAIN.splitlines()
    text = "\n\n" + "\n".join(
        [lines[0], lines[1], "", ",,,,,,,,", *lines[2:4], "# later", *lines[4:], "", ""]
    )
    data = read_bytes(tmp_path, text.encode())
    assert data.frame["ROW"].tolist() == [4, 7, 8, 10, 11]
    quoted = PLAIN.replace(",M\n", ',"M\nale"\n', 1)
    assert read_bytes(tmp_path, quoted.encode()).frame["ROW"].tolist() == [2, 4, 5, 6, 7]


def test_numbers_keep_every_digit(tmp_path: Path) -> None:
    rng = np.random.default_rng(20251229)
    values = np.concatenate([rng.lognormal(0, 20, 500), [0.1, 1 / 3, 5e-324, 1.7976931348623157e308]])
    text = "ID,TIME,DV\n" + "".join(f"1,{i},{v!r}\n" for i, v in enumerate(values.tolist()))
    np.testing.assert_array_equal(read_bytes(tmp_path, text.encode()).frame["DV"], values)
    quoted = text.replace("1,0,", '"1",0,', 1)  # the other parser
    np.testing.assert_array_equal(read_bytes(tmp_path, quoted.encode()).frame["DV"], values)


@pytest.mark.parametrize(
    ("ids", "labels"),
    [
        (["3", "1"], [3, 1]),
        (["1.0", "2.0"], [1, 2]),
        (["001", "02"], [1, 2]),
        (["3657015667902160896", "-6958489842191471616"], ["3657015667902160896", "-6958489842191471616"]),
        (["365701566790216089", "365701566790216090"], [365701566790216089, 365701566790216090]),
        (["01-003", "01-004"], ["01-003", "01-004"]),
        (["7", "7b"], ["7", "7b"]),
        (["1.5", "2"], ["1.5", "2"]),
    ],
)
def test_id_labels(tmp_path: Path, ids: list[str], labels: list) -> None:
    text = "ID,TIME,DV\n" + "".join(f"{i},0,1\n" for i in ids)
    data = read_bytes(tmp_path, text.encode())
    if ids[0].startswith("3657015667902160896"):  # 19 digits fit an int64, read as numbers by the fast parser
        labels = [int(x) for x in ids]
    assert data.subjects.tolist() == labels
    assert data.frame["ID"].tolist() == labels


def test_words_stay_as_they_are_written(tmp_path: Path) -> None:
    text = "ID,TIME,DV,SMOKE,RESPONSE\n1,0,1,TRUE,none\n2,0,1,FALSE,None\n"
    data = read_bytes(tmp_path, text.encode())
    assert data.frame["SMOKE"].tolist() == ["TRUE", "FALSE"]
    assert data.frame["RESPONSE"].tolist() == ["none", "None"]


def test_compartments_by_name(tmp_path: Path) -> None:
    text = "ID,TIME,AMT,EVID,DV,CMT\n1,0,9,1,.,depot\n1,1,0,0,2,central\n1,2,0,0,2,.\n"
    data = read_bytes(tmp_path, text.encode())
    assert data.frame["CMT"].tolist() == ["depot", "central", None]


def test_defaults(tmp_path: Path) -> None:
    data = read_bytes(tmp_path, b"ID,TIME,AMT,DV,CMT\n1,0,9,.,0\n1,1,.,2,2\n1,2,.,.,2\n")
    frame = data.frame
    assert frame["EVID"].tolist() == [1, 0, 0]
    assert frame["MDV"].tolist() == [1, 0, 1]
    assert frame["AMT"].tolist() == [9, 0, 0]
    assert frame["DVID"].tolist() == [1, 1, 1]
    assert frame["CMT"].isna().tolist() == [True, False, False]
    for name in ("RATE", "II", "ADDL"):
        assert frame[name].tolist() == [0, 0, 0]


def test_frames_of_every_kind_are_read_alike(tmp_path: Path) -> None:
    expected = read_bytes(tmp_path, PLAIN.encode())
    raw = pd.read_csv(tmp_path / "x.csv", na_values=".", keep_default_na=False)
    kinds = [
        raw,
        raw.convert_dtypes(),
        raw.astype(object),
        raw.astype({"SEX": "category", "ID": "category"}),
        raw.astype({"EVID": bool, "MDV": bool}),
        pd.read_csv(tmp_path / "x.csv", dtype=str, keep_default_na=False),
    ]
    for frame in kinds:
        before = frame.copy(deep=True)
        data = pkpd.read_dataset(frame)
        pd.testing.assert_frame_equal(data.frame, expected.frame)
        pd.testing.assert_frame_equal(frame, before)
        assert data.source == "DataFrame"
    again = pkpd.read_dataset(raw)
    assert again.sha256 == pkpd.read_dataset(raw.copy()).sha256
    assert again.sha256 != pkpd.read_dataset(raw.assign(WT=1.0)).sha256


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(),
        pd.DataFrame({"ID": [], "TIME": [], "DV": []}),
        pd.DataFrame([[1, 2, 3]]),
        pd.DataFrame([[1, 2, 3]], columns=["ID", "TIME", "ID"]),
        pd.DataFrame({"ID": [1], "TIME": [0], "DV": pd.to_datetime(["2025-01-01"])}),
        pd.DataFrame({"ID": [1], "TIME": [1j], "DV": [1.0]}),
        pd.DataFrame({"ID": [[1, 2]], "TIME": [0], "DV": [{}]}),
        pd.DataFrame({"ID": [None], "TIME": [None], "DV": [None]}),
        pd.DataFrame({("ID", "a"): [1], ("TIME", "b"): [1]}),
    ],
    ids=range(9),
)
def test_frames_that_are_no_data(frame: pd.DataFrame) -> None:
    with pytest.raises(pkpd.DataError):
        pkpd.read_dataset(frame)


def large_file(folder: Path, n: int) -> Path:
    block = "".join(f"{{i}},{t},.,0,0,{t / 7!r},2,70.5,lung\n" for t in range(1, 100))
    path = folder / "big.csv"
    with path.open("w") as out:
        out.write("ID,TIME,AMT,EVID,MDV,DV,CMT,WT,TUMOR\n")
        for i in range(n // 100):
            out.write(f"{i},0,100,1,1,.,1,70.5,lung\n" + block.replace("{i}", str(i)))
    return path


def test_a_million_rows_in_seconds(tmp_path: Path) -> None:
    path = large_file(tmp_path, 1_000_000)
    start = time.process_time()
    data = pkpd.read_dataset(path)
    spent = time.process_time() - start
    assert data.n_observations == 990_000 and data.n_doses == 10_000
    assert spent < 20  # takes about 2 s of processor time; a loop over rows in Python would take minutes


@pytest.mark.nightly
def test_ten_million_rows_in_bounded_memory(tmp_path: Path) -> None:
    path = large_file(tmp_path, 10_000_000)
    script = (
        "import resource, sys, time, pkpd\n"
        "start = time.process_time()\n"
        "data = pkpd.read_dataset(sys.argv[1])\n"
        "print(data.n_observations, time.process_time() - start, "
        "resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    )
    observations, seconds, megabytes = (float(x) for x in run.stdout.split())
    assert observations == 9_900_000
    # the data set itself takes 1.5 GB (18 columns of 8 bytes and a text); 10 times the rows, 10 times a million's 0.5 GB
    assert seconds < 200 and megabytes < 5500


ODD = (
    *(
        "",
        ".",
        "NA",
        "0",
        "1",
        "2",
        "-1",
        "1.5",
        "1,5",
        "1e9",
        "1e400",
        "nan",
        "inf",
        "x",
        '"',
        "'",
        "#",
        "C",
    ),
    *("  ", "\t", "µ", "1\u00a0", "−1", "0x1", "1_0", "TRUE", "2025-01-01", "12:30", "9" * 30, "-0"),
)
CELL = st.one_of(
    st.sampled_from(ODD),
    st.text(max_size=6),
    st.integers(-3, 300).map(str),
    st.floats(allow_nan=True).map(str),
)
NAMES = (
    *("ID", "TIME", "AMT", "EVID", "MDV", "DV", "CMT", "RATE", "II", "ADDL", "SS", "DVID", "CENS", "TUMOR"),
    *("C", "ROW", "DUR", "DATE", "id", "WT", "dv", "LLOQ", "#ID"),
)
HEADERS = st.lists(st.sampled_from(["", *NAMES]), min_size=1, max_size=12)
TABLES = st.tuples(HEADERS, st.lists(st.lists(CELL, max_size=12), max_size=8), st.sampled_from(",;\t| "))


def attempt(source: object) -> None:
    """Whatever comes in, findings or a data set come out, and the two doors agree."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        findings = pkpd.check(source)
        if any(f.is_error for f in findings):
            with pytest.raises(InputError):
                pkpd.read_dataset(source)
        else:
            data = pkpd.read_dataset(source)
            assert data.offsets[-1] == len(data.frame) > 0
            assert len(data.subjects) == len(data.offsets) - 1
            assert np.isfinite(data.frame["TIME"]).all()
            assert np.isfinite(data.frame["DV"][data.frame["MDV"] == 0]).all()
            assert repr(data) and data.summary()["rows"].sum() == len(data.frame)
    for finding in findings:
        assert str(finding).startswith(finding.code)


@given(TABLES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_table_is_read_or_refused(tmp_path: Path, parts: tuple) -> None:
    headers, rows, delimiter = parts
    path = tmp_path / "fuzz.csv"
    text = "\n".join(delimiter.join(r) for r in [headers, *rows])
    path.write_text(text, encoding="utf-8", errors="surrogatepass", newline="")
    attempt(path)


@given(st.lists(st.lists(CELL, min_size=6, max_size=6), min_size=1, max_size=8))
@settings(max_examples=300, deadline=None)
def test_any_frame_is_read_or_refused(rows: list) -> None:
    attempt(pd.DataFrame(rows, columns=["ID", "TIME", "AMT", "EVID", "DV", "TUMOR"]))


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "fuzz.csv"
    path.write_bytes(content)
    attempt(path)


@given(st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_damage_to_a_good_file_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(PLAIN.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path = tmp_path / "fuzz.csv"
    path.write_bytes(bytes(content))
    attempt(path)


@given(
    st.lists(
        st.tuples(st.floats(0, 1e6), st.floats(1e-3, 1e6), st.booleans(), st.sampled_from(["a", "b", "µ,;"])),
        min_size=1,
        max_size=30,
    )
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_comes_back(tmp_path: Path, records: list) -> None:
    times = np.sort([r[0] for r in records])
    frame = pd.DataFrame(
        {
            "ID": 7,
            "TIME": np.concatenate([[0.0], times]),
            "AMT": [1.0] + [0.0] * len(records),
            "EVID": [1] + [0] * len(records),
            "DV": [np.nan] + [r[1] for r in records],
            "ARM": ["a"] + [r[3] for r in records],
        }
    )
    path = tmp_path / "back.csv"
    frame.to_csv(path, index=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        data = pkpd.read_dataset(path)
    pd.testing.assert_frame_equal(data.frame[list(frame.columns)], frame, check_exact=True)


RICH = [
    [
        "ID",
        "TIME",
        "AMT",
        "EVID",
        "MDV",
        "DV",
        "CMT",
        "RATE",
        "II",
        "ADDL",
        "SS",
        "DVID",
        "CENS",
        "LLOQ",
        "WT",
    ],
    ["1", "0", "100", "1", "1", ".", "1", "0", "12", "3", "0", "1", "0", ".", "70"],
    ["1", "1", "0", "0", "0", "5.5", "2", "0", "0", "0", "0", "1", "0", "0.1", "70"],
    ["1", "30", "50", "4", "1", ".", "2", "25", "24", "0", "1", "1", "0", ".", "70"],
    ["1", "31", "0", "0", "0", "0.1", "2", "0", "0", "0", "0", "1", "1", "0.1", "70"],
    ["1", "40", "0", "3", "1", ".", ".", "0", "0", "0", "0", "1", "0", ".", "70"],
    ["2", "0", "80", "1", "1", ".", "2", "40", "8", "2", "2", "1", "0", ".", "55.5"],
    ["2", "2", "0", "0", "0", "3.25", "2", "0", "0", "0", "0", "1", "0", ".", "55.5"],
    ["2", "2", "0", "2", "1", ".", ".", "0", "0", "0", "0", "1", "0", ".", "56"],
    ["2", "4", "0", "0", "0", "2", "2", "0", "0", "0", "0", "1", "0", ".", "56"],
]
WRITTEN = st.one_of(
    st.sampled_from([*ODD, "3", "4", "-2", "1e300", "1e-300", "99999", "100001", "0.5", "depot", "central"]),
    st.floats(-100, 1e4).map(str),
)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 14), WRITTEN), min_size=0, max_size=3))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_read_is_predicted_or_refused(tmp_path: Path, changes: list) -> None:
    """Cells of a table with every kind of record are overwritten; nothing may fall through reader, binder and solver."""
    rows = [list(r) for r in RICH]
    for i, j, text in changes:
        rows[i][j] = text
    path = tmp_path / "rich.csv"
    path.write_text("\n".join(",".join(r) for r in rows), encoding="utf-8", errors="surrogatepass")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", pkpd.PkpdWarning)
        try:
            data = pkpd.read_dataset(path)
            found = pkpd.predict(oral, data)
        except PkpdError as error:
            assert error.code.startswith("E_") and str(error)
            return
    assert len(found) == (data.frame["EVID"] == 0).sum()
    assert np.isfinite(found["PRED"]).all()
