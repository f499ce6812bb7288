"""A corpus of broken files: each is refused with exactly the errors that it has, and never with a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pkpd
from pkpd.cli import main

FOLDER = Path(__file__).parent / "broken"

ERRORS = {
    "empty": "E_FILE_EMPTY",
    "byte_order_mark_only": "E_FILE_EMPTY",
    "header_only": "E_NO_RECORDS",
    "one_column": "E_MISSING_COLUMN E_MISSING_COLUMN",
    "numbers_without_header": "E_NO_HEADER",
    "zeros": "E_FILE_FORMAT",
    "picture": "E_FILE_FORMAT",
    "compressed": "E_FILE_FORMAT",
    "spreadsheet": "E_FILE_FORMAT",
    "web_page": "E_NO_RECORDS",
    "json": "E_NO_RECORDS",
    "latin1": "E_ENCODING",
    "utf16_without_mark": "E_FILE_FORMAT",
    "utf16_cut": "E_ENCODING",
    "utf32": "E_FILE_FORMAT",
    "two_separators": "E_DELIMITER",
    "decimal_commas_between_commas": "E_ROW_LENGTH",
    "decimal_or_thousands": "E_DECIMAL_COMMA E_DECIMAL_COMMA",
    "points_and_commas": "E_DECIMAL_COMMA",
    "thousands_in_quotes": "E_DECIMAL_COMMA",
    "duplicated_header": "E_DUPLICATE_COLUMN",
    "duplicated_header_by_case": "E_DUPLICATE_COLUMN",
    "header_again_below": "E_NOT_NUMERIC E_NOT_NUMERIC E_NOT_NUMERIC E_NOT_NUMERIC E_NOT_NUMERIC",
    "units_below_header": "E_ID_MISSING E_NOT_NUMERIC E_NOT_NUMERIC E_NOT_NUMERIC",
    "unnamed_column": "E_HEADER",
    "header_in_single_quotes": "E_MISSING_COLUMN E_MISSING_COLUMN E_MISSING_COLUMN",
    "quote_left_open": "E_QUOTING",
    "quote_in_the_middle": "E_QUOTING",
    "ragged": "E_ROW_LENGTH E_ROW_LENGTH",
    "total_below": "E_ROW_LENGTH",
    "nan_written_out": "E_NOT_FINITE",
    "infinite": "E_NOT_FINITE",
    "infinite_of_excel": "E_NOT_NUMERIC",
    "beyond_floats": "E_NOT_FINITE",
    "very_long_number": "E_NOT_FINITE",
    "below_limit_as_text": "E_NOT_NUMERIC",
    "percent": "E_NOT_NUMERIC",
    "full_width_digits": "E_NOT_NUMERIC",
    "unicode_minus": "E_NOT_NUMERIC",
    "hexadecimal": "E_NOT_NUMERIC",
    "spreadsheet_error": "E_NOT_NUMERIC",
    "negative_amount": "E_AMT_NEGATIVE",
    "amount_on_observation": "E_AMT_ON_OBSERVATION",
    "addl_without_ii": "E_ADDL_WITHOUT_II",
    "addl_two_thousand_million": "E_ADDL_TOO_MANY",
    "rate_without_amount": "E_RATE_WITHOUT_AMT",
    "ss_without_ii": "E_SS_WITHOUT_II",
    "time_goes_back": "E_TIME_NOT_INCREASING",
    "time_negative": "E_TIME_NEGATIVE",
    "time_missing": "E_TIME_MISSING",
    "clock_and_numbers": "E_CLOCK",
    "clock_25_hours": "E_CLOCK",
    "date_of_two_digits": "E_DATE E_DATE",
    "subject_in_two_blocks": "E_ID_SPLIT",
    "subject_missing": "E_ID_MISSING",
    "unknown_event": "E_EVID_VALUE",
    "endpoint_by_compartment": "E_CMT_ENDPOINT",
    "duration_column": "E_COLUMN_NOT_SUPPORTED",
    "histology_changes": "E_HISTOLOGY_VARIES",
    "many_at_once": "E_AMT_NEGATIVE E_NOT_NUMERIC E_TIME_NOT_INCREASING E_AMT_ON_OBSERVATION",
}


def test_every_file_is_listed() -> None:
    assert sorted(p.stem for p in FOLDER.glob("*.csv")) == sorted(ERRORS)


@pytest.mark.parametrize("name", ERRORS)
def test_broken_file(name: str, capsys: pytest.CaptureFixture) -> None:
    path = FOLDER / f"{name}.csv"
    found = [f for f in pkpd.check(path) if f.is_error]
    assert sorted(f.code for f in found) == sorted(ERRORS[name].split())
    assert all(f.message and f.remedy and len(str(f)) < 1500 for f in found)
    with pytest.raises(pkpd.DataError) as caught:
        pkpd.read_dataset(path)
    assert caught.value.findings == found
    assert main(["check", str(path), "--json"]) == 2
    listed = json.loads(capsys.readouterr().out)
    assert [f["code"] for f in listed if f["code"].startswith("E_")] == [f.code for f in found]
    assert all(set(f) == {"code", "message", "remedy", "row", "subject", "column", "value"} for f in listed)
