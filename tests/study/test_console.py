from __future__ import annotations

import io
import time

from pkpd.study.console import ProgressLine, verdict_table
from tests.study.example import VERDICTS, assessment


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_table_fits_a_terminal_of_100_columns_and_says_every_verdict():
    text = verdict_table(assessment())
    assert max(map(len, text.splitlines())) <= 100
    for histology, n, verdict, *_ in VERDICTS:
        line = next(row for row in text.splitlines() if row.startswith(histology[:20]) and verdict in row)
        assert f" {n} " in line
    gastric = next(row for row in text.splitlines() if row.startswith("gastric  "))
    assert "3 mg" in gastric
    assert "0.69 (0.62-0.76)" in gastric
    assert "48 %" in gastric
    # nothing is invented where there is no dose
    assert "nan" not in text
    assert "Clearance differs between tumour types." in text


def test_a_narrower_terminal_is_respected():
    assert max(map(len, verdict_table(assessment(), width=80).splitlines())) <= 80


def test_progress_shows_each_stage_with_its_time_on_a_terminal():
    stream = Terminal()
    with ProgressLine(stream) as progress:
        progress("reading the data", "")
        time.sleep(0.7)  # longer than one tick
        progress("fitting the model", "iteration 3")
    last = [part.split("\r\x1b[K")[-1] for part in stream.getvalue().split("\n")]
    assert last[0].endswith("reading the data: done")
    assert float(last[0].split(" s ")[0]) >= 0.7
    assert last[1].endswith("fitting the model: done")


def test_progress_is_silent_in_a_pipe():
    stream = io.StringIO()
    with ProgressLine(stream) as progress:
        progress("reading the data", "")
    assert stream.getvalue() == ""


def test_progress_says_which_stage_failed():
    stream = Terminal()
    try:
        with ProgressLine(stream) as progress:
            progress("fitting the model", "iteration 3")
            raise ValueError
    except ValueError:
        pass
    assert stream.getvalue().endswith("fitting the model: failed\n")


def test_the_time_left_follows_from_the_pace_so_far(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stream = Terminal()
    line = ProgressLine(stream, {"fit": 10.0, "refit": 2.0, "leaving out": 8.0, "tests": 20.0})
    line._ticker.start()
    line("fit of CL", "")
    clock[0] += 20  # twice as long as on the machine where the work was measured
    line("refit", "")
    assert "about 60 s left" in stream.getvalue().split("\r")[-1]  # (2 + 8 + 20) × 2
    clock[0] += 0.1  # there already: says nothing about the pace
    line("leaving out one", "breast")
    assert "about 56 s left" in stream.getvalue().split("\r")[-1]
    clock[0] += 6
    line("leaving out one", "liver")
    assert "about 50 s left" in stream.getvalue().split("\r")[-1]
    assert max(len(part) for part in stream.getvalue().replace("\n", "\r").split("\r")) <= 79 + len("\x1b[K")
    line.__exit__(None)
