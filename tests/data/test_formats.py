"""Parquet and SAS files hold the same data as the CSV."""

from __future__ import annotations

import gzip
import hashlib
import math
import struct
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import pkpd
from pkpd.data.formats import table_from_binary
from pkpd.data.ledger import Ledger


def ibm(value: float) -> bytes:
    """A number in the IBM/370 format of SAS transport files: value = 0.f × 16^(e − 64)."""
    if math.isnan(value):
        return b"." + bytes(7)
    if value == 0:
        return bytes(8)
    exponent = math.ceil(math.frexp(abs(value))[1] / 4)
    fraction = int(math.ldexp(abs(value), 56 - 4 * exponent))
    return bytes([(0x80 if value < 0 else 0) | (exponent + 64)]) + fraction.to_bytes(7, "big")


def transport(frame: pd.DataFrame) -> bytes:
    """A SAS transport file, version 5, after SAS Technical Support note TS-140."""

    def header(name: str, tail: str = "0" * 30) -> bytes:
        return f"HEADER RECORD*******{name:<8}HEADER RECORD!!!!!!!{tail}  ".encode()

    def padded(content: bytes) -> bytes:
        return content + b" " * (-len(content) % 80)

    stamp = b"22NOV26:12:00:00"
    names, rows, place = [], [b""] * len(frame), 0
    for i, column in enumerate(frame.columns, 1):
        text = frame[column].dtype == object or str(frame[column].dtype) == "str"
        size = 8 if not text else max(len(str(v)) for v in frame[column])
        fields = (2 if text else 1, 0, size, i, column.encode().ljust(8), b" " * 40, b" " * 8, 0, 0, 0, b"\0\0",
                  b" " * 8, 0, 0, place, b"\0" * 52)  # fmt: skip
        names.append(struct.pack(">hhhh8s40s8shhh2s8shhl52s", *fields))
        place += size
        for k, value in enumerate(frame[column]):
            rows[k] += str(value).encode().ljust(size) if text else ibm(float(value))
    return b"".join(
        [
            header("LIBRARY"),
            padded(b"SAS     SAS     SASLIB  9.4     X64".ljust(64) + stamp),
            padded(stamp),
            header("MEMBER", "000000000000000001600000000140"),
            header("DSCRPTR"),
            padded(b"SAS     TRIAL   SASDATA 9.4     X64".ljust(64) + stamp),
            padded(stamp),
            header("NAMESTR", f"000000{len(names):04d}" + "0" * 20),
            padded(b"".join(names)),
            header("OBS"),
            padded(b"".join(rows)),
        ]
    )


@pytest.fixture
def frame() -> pd.DataFrame:
    theophylline = pkpd.load_dataset("theophylline").frame
    columns = ["ID", "TIME", "AMT", "EVID", "MDV", "DV", "CMT", "WT"]
    return theophylline[columns].assign(TUMOR=["lung" if i % 2 else "skin" for i in theophylline["ID"]])


def read(path: Path) -> pkpd.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return pkpd.read_dataset(path)


def test_ibm_numbers() -> None:
    """Three values of the note's own table."""
    assert ibm(1.0).hex() == "4110000000000000"
    assert ibm(-118.625).hex() == "c276a00000000000"
    assert ibm(0.1).hex() == "401999999999999a"


@pytest.mark.parametrize("ending", [".xpt", ".XPT", ".parquet", ".csv"])
def test_same_data(tmp_path: Path, frame: pd.DataFrame, ending: str) -> None:
    expected = pkpd.read_dataset(frame)
    path = tmp_path / f"trial{ending}"
    if ending == ".csv":
        frame.to_csv(path, index=False)
    elif ending == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    else:
        path.write_bytes(transport(frame))
    data = read(path)
    # the IBM format keeps 53 to 56 bits, the reader one less at worst: a unit in the last place
    exact = {} if ending != ".xpt" and ending != ".XPT" else {"rtol": 4e-16, "atol": 0.0}
    pd.testing.assert_frame_equal(data.frame, expected.frame, check_exact=not exact, **exact)
    assert data.source == path.name and data.n_observations == 132 and data.histology == "TUMOR"
    assert data.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_data_set_that_sas_has_written(tmp_path: Path) -> None:
    """Fisher's irises as R package haven ships them (examples/iris.sas7bdat, MIT licence, Wickham and RStudio 2013-2017)."""
    packed = Path(__file__).parent / "iris.sas7bdat.gz"
    path = tmp_path / "iris.sas7bdat"
    path.write_bytes(gzip.decompress(packed.read_bytes()))
    ledger = Ledger()
    table = table_from_binary(path, ledger)
    assert table is not None and not ledger.findings()
    assert list(table.columns) == ["Sepal_Length", "Sepal_Width", "Petal_Length", "Petal_Width", "Species"]
    assert table.lines[0] == 2 and table.lines[-1] == 151
    # means that every textbook has, and the flowers on both ends
    numbers = [table.columns[name] for name in list(table.columns)[:4]]
    assert [round(float(v.mean()), 4) for v in numbers] == [5.8433, 3.0573, 3.758, 1.1993]
    assert [v[0] for v in numbers] == [5.1, 3.5, 1.4, 0.2]
    assert [v[-1] for v in numbers] == [5.9, 3.0, 5.1, 1.8]
    species, count = np.unique(table.columns["Species"].astype(str), return_counts=True)
    # six characters a cell
    assert dict(zip(species, count, strict=True)) == {"setosa": 50, "versic": 50, "virgin": 50}
    # flowers are no trial: said column by column, as for any other file
    assert {f.code for f in pkpd.check(path)} == {"E_MISSING_COLUMN"}


@pytest.mark.parametrize("ending", [".xpt", ".sas7bdat", ".parquet", ".pq"])
@pytest.mark.parametrize(
    "content", [b"", b"ID,TIME,DV\n1,0,1\n", bytes(1000), b"HEADER RECORD*******LIBRARY" * 40]
)
def test_damaged_files(tmp_path: Path, ending: str, content: bytes) -> None:
    path = tmp_path / f"x{ending}"
    path.write_bytes(content)
    (finding,) = pkpd.check(path)
    assert finding.code in ("E_FILE_FORMAT", "E_NEEDS_PACKAGE")


def test_a_truncated_transport_file(tmp_path: Path, frame: pd.DataFrame) -> None:
    whole, path = transport(frame), tmp_path / "x.xpt"
    for size in (80, 400, 700, 1500, 2100):
        path.write_bytes(whole[:size])
        with pytest.raises(pkpd.DataError):
            read(path)


def test_missing_files_and_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [f.code for f in pkpd.check(tmp_path / "none.xpt")] == ["E_FILE_NOT_FOUND"]
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1")

    def without_engine(*_: object) -> None:
        raise ImportError("Unable to find a usable engine")

    monkeypatch.setattr(pd, "read_parquet", without_engine)
    (finding,) = pkpd.check(path)
    assert finding.code == "E_NEEDS_PACKAGE" and finding.remedy == "pip install pyarrow"
