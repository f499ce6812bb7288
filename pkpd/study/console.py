"""What a person at a terminal sees of an assessment: a line of progress, then the verdict table."""

from __future__ import annotations

import math
import textwrap
import threading
import time
from collections.abc import Mapping
from typing import TextIO

from pkpd.study.assessment import Assessment
from pkpd.study.plan import Plan
from pkpd.study.truths import CharacteristicsPlan

__all__ = ["ProgressLine", "expected_work", "verdict_table"]

WIDTH = 79  # of the line of progress: a wrapped line could not be overwritten
QUICK = 0.2  # seconds: a stage that took less was there already, and says nothing about the pace


def expected_work(plan: Plan) -> dict[str, float]:
    """Work of the long stages of an assessment, by how their names begin: seconds on 900 patients, so that they compare."""
    work = {
        "population PK with ": 10.0,
        "population PK without ": 3.0,
        "exposure per subject": 4.0,
        "sensitivity to the prior": 2.0 * (plan.sensitivity.prior and not plan.exposure_only),
        "operating characteristics": _trials(plan) * 0.25,
        "leaving out": 13.0 * (plan.sensitivity.leave_one_out and not plan.exposure_only),
    }
    replicates = plan.bootstrap.n / 999
    return work | {f"tests of {e.name}": 2.0 * replicates for e in plan.endpoints if e.binary}


def _trials(plan: Plan) -> int:
    return len(plan.scenarios) * (plan.characteristics or CharacteristicsPlan()).n


class ProgressLine:
    """Show the running stage with its elapsed time, on a terminal only; a context manager and a callback.

    Parameters
    ----------
    stream : text stream
        Where to write; nothing is written unless it is a terminal.
    work : dict, optional
        Work of the stages to come, by how their names begin; from it and the pace so far follows the time left.
    """

    def __init__(self, stream: TextIO, work: Mapping[str, float] | None = None) -> None:
        self._stream = stream
        self._ahead = dict(work or {})
        self._spent = self._done = 0.0  # seconds, and the work that they did
        self._active = stream.isatty()
        self._stage = self._detail = ""
        self._since = 0.0
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> ProgressLine:
        if self._active:
            self._ticker.start()
        return self

    def __exit__(self, kind: type | None, *rest: object) -> None:
        self._stop.set()
        if self._active:
            self._ticker.join()
            self._end("failed" if kind else "done")

    def __call__(self, stage: str, detail: str = "") -> None:
        """Begin a stage, which ends the one before it; or say how far the running one is."""
        if not self._active:
            return
        if stage != self._stage:
            self._end("done")
        with self._lock:
            if stage != self._stage:
                self._stage, self._since = stage, time.monotonic()
            self._detail = detail
            self._write(detail)

    def _tick(self) -> None:
        while not self._stop.wait(0.5):
            with self._lock:
                if self._stage:
                    self._write(self._detail)

    def _write(self, after: str, end: str = "") -> None:
        line = f"{time.monotonic() - self._since:6.1f} s  {self._stage}" + (f": {after}" if after else "")
        left = "" if end else self._left()
        if left:
            line = f"{line[: WIDTH - len(left)]:<{WIDTH - len(left)}}{left}"
        self._stream.write(f"\r\x1b[K{line[:WIDTH]}{end}")
        self._stream.flush()

    def _of(self, stage: str) -> list[str]:
        return [name for name in self._ahead if stage.startswith(name)]

    def _left(self) -> str:
        """Time left in words, once there is a pace to judge by."""
        if self._done <= 0 or self._spent < 1:
            return ""
        pace = self._spent / self._done
        mine = sum(self._ahead[name] for name in self._of(self._stage))
        now = max(mine * pace - (time.monotonic() - self._since), 0.0)
        seconds = pace * (sum(self._ahead.values()) - mine) + now
        return f"  about {seconds:.0f} s left" if seconds < 90 else f"  about {seconds / 60:.0f} min left"

    def _end(self, word: str) -> None:
        with self._lock:
            if self._stage:
                self._write(word, end="\n")
                took = time.monotonic() - self._since
                for name in self._of(self._stage):
                    work = self._ahead.pop(name)
                    if took > QUICK:
                        self._spent, self._done = self._spent + took, self._done + work
                self._stage = ""


def verdict_table(assessment: Assessment, width: int = 100) -> str:
    """Verdicts as text: one line per histology, then one sentence each.

    Parameters
    ----------
    assessment : Assessment
    width : int
        Columns of the terminal; long names are cut and sentences wrapped to it.

    Returns
    -------
    str
        Lines of at most ``width`` characters.
    """
    unit = str(assessment.plan.get("dosing", {}).get("unit", ""))
    head: tuple[str, ...]
    head = ("Histology", "n", "Verdict", "Dose", "Exposure ratio (90% CI)", "Response", "AE", "Qualifiers")
    right: tuple[bool, ...] = (False, True, False, True, True, True, True, False)
    rows: list[tuple[str, ...]] = [
        (
            str(v["histology"]),
            f"{v['n']:.0f}",
            str(v["verdict"]),
            _amount(v["dose"], unit),
            _interval(v["ratio"], v["ratio_lower"], v["ratio_upper"]),
            _percent(v["response_at_dose"]),
            _percent(v["ae_at_dose"]),
            str(v["qualifiers"] or ""),
        )
        for v in assessment.verdicts.to_dict("records")
    ]
    if assessment.plan.get("exposure_only"):
        # nothing is predicted of responses
        head, right, rows = head[:5] + head[7:], right[:5] + right[7:], [r[:5] + r[7:] for r in rows]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    gaps = 2 * (len(head) - 1)
    widths[0] = min(widths[0], 24)
    widths[-1] = max(10, min(widths[-1], width - gaps - sum(widths[:-1])))
    lines = [_line(head, widths, right), "-" * min(width, sum(widths) + gaps)]
    lines += [_line(row, widths, right) for row in rows]
    sentences = []
    for v in assessment.verdicts.to_dict("records"):
        sentences += textwrap.wrap(str(v["sentence"]), width, subsequent_indent="  ")
    statement = textwrap.wrap(assessment.global_statement, width)
    return "\n".join(line[:width] for line in [*statement, "", *lines, "", *sentences])


def _line(cells: tuple[str, ...], widths: list[int], right: tuple[bool, ...]) -> str:
    cut = [c if len(c) <= w else c[: w - 1] + "…" for c, w in zip(cells, widths, strict=True)]
    padded = [c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cut, widths, right, strict=True)]
    return "  ".join(padded).rstrip()


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _amount(value: float | None, unit: str) -> str:
    return f"{value:g} {unit}".strip() if value is not None and math.isfinite(value) else "-"


def _percent(value: float | None) -> str:
    return f"{100 * value:.0f} %" if value is not None and math.isfinite(value) else "-"


def _interval(value: float | None, lower: float | None, upper: float | None) -> str:
    if not (_known(value) and _known(lower) and _known(upper)):
        return "-"
    return f"{value:.2f} ({lower:.2f}-{upper:.2f})"
