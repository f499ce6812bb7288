from __future__ import annotations

import pickle

import pandas as pd
import pytest

from pkpd.results import from_json, to_json
from pkpd.statements import Statement, joined, say, spoken

GERMAN = {"same": "{who}: gleiche Dosis ({dose}).", "reason": "{reason}.", "why": "weil {n} Leute reichen"}
GERMAN_SEPARATORS = {" ": "  ", ", ": " und "}


def _sentence() -> Statement:
    why = say("why", "because {n} people suffice", n="12")
    return joined(
        [
            say("same", "{who}: same dose ({dose}).", who="lung", dose="2 mg"),
            say("reason", "{reason:capital}.", reason=why),
            say("unknown", "Said in English only."),
            "Plain text.",
        ]
    )


def test_a_statement_is_english_text_until_it_is_said_again():
    text = _sentence()
    assert text == "lung: same dose (2 mg). Because 12 people suffice. Said in English only. Plain text."
    assert spoken(text, GERMAN, GERMAN_SEPARATORS) == (
        "lung: gleiche Dosis (2 mg).  weil 12 Leute reichen.  Said in English only.  Plain text."
    )
    assert spoken(joined(["a", "", "b"], ", "), {}, GERMAN_SEPARATORS) == "a und b"
    assert spoken("text", GERMAN, {}) == "text"


def test_what_is_added_or_cut_is_plain_text():
    assert not isinstance(_sentence() + "!", Statement) and not isinstance(_sentence()[:4], Statement)


def test_a_value_that_is_missing_is_a_fault_of_the_caller():
    with pytest.raises(KeyError):
        say("same", "{who}: same dose ({dose}).", who="lung")


@pytest.mark.parametrize("carry", [lambda v: from_json(to_json(v)), lambda v: pickle.loads(pickle.dumps(v))])
def test_json_and_pickle_keep_what_it_was_made_of(carry):
    back = carry(_sentence())
    assert back == _sentence() and spoken(back, GERMAN, {}) == spoken(_sentence(), GERMAN, {})
    frame = pd.DataFrame({"n": [1, 2], "sentence": pd.Series([_sentence(), "plain"], dtype=object)})
    again = carry(frame)
    pd.testing.assert_frame_equal(again, frame)
    assert again["sentence"][0].key == "join" and not isinstance(again["sentence"][1], Statement)
