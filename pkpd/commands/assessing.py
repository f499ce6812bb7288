"""``pkpd assess``, ``pkpd report`` and ``pkpd qualify``: from a plan to a report, and whether numbers stay where they were."""

from __future__ import annotations

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from pkpd.commands.answers import OK, answer, json_option, refuse
from pkpd.commands.sources import assessment_file, result_of, threads_option

__all__ = ["register"]

REGRESSION = 3
LANGUAGES = ("en", "zh")


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    assess = verbs.add_parser(
        "assess",
        help="run an analysis plan: a verdict per histology and a report",
        description="Run an analysis plan. DIR receives assessment.json (every number), tables/, figures/, "
        "report.html and report.docx. Stages that "
        "are finished are kept in DIR: after Ctrl-C, or an edit of the plan, the same command does only the rest.",
    )
    assess.add_argument("plan", metavar="PLAN", help="the plan, a TOML file (`pkpd plan new` writes one)")
    assess.add_argument(
        "--output", metavar="DIR", required=True, help="folder for the report, the tables and all numbers"
    )
    assess.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="take the stages that are finished from DIR (default), or do everything anew",
    )
    threads_option(assess)
    _language(assess)
    json_option(assess)
    assess.set_defaults(run=_assess)

    report = verbs.add_parser(
        "report",
        help="write the report of an assessment again, in another language, say",
        description="Write tables, figures and report of an assessment.json into DIR; nothing is computed.",
    )
    report.add_argument(
        "assessment", metavar="ASSESSMENT", help="assessment.json, or the folder that holds it"
    )
    report.add_argument("--output", metavar="DIR", required=True, help="folder for the report and the tables")
    _language(report)
    json_option(report)
    report.set_defaults(run=_report)

    qualify = verbs.add_parser(
        "qualify", help="make reference fits and verdicts again and compare (exit code 3 if a number moved)"
    )
    qualify.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        help="folder with qualify.toml; without it, the installation is qualified",
    )
    qualify.add_argument(
        "--record", action="store_true", help="write what comes out as the references of DIR"
    )
    qualify.add_argument("--output", metavar="DIR", help="folder for the page, the JUnit XML and the JSON")
    json_option(qualify)
    qualify.set_defaults(run=_qualify)


def _language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        default="en",
        help="language of the report: English or Simplified Chinese",
    )


def _assess(options: argparse.Namespace) -> int:
    if options.threads is not None:
        # read by numba when it is first imported, which no module above has done
        os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    from pkpd.store import Store
    from pkpd.study.console import ProgressLine, expected_work
    from pkpd.study.files import STAGES, prepare_folder, write_all
    from pkpd.study.plan import read_plan

    plan = read_plan(options.plan)
    _require_letters(options.language)
    folder = prepare_folder(options.output)
    store = Store(folder / STAGES)
    if not options.resume:
        for key in store.keys():  # noqa: SIM118 (a store is no mapping)
            store.remove(key)
    try:
        with ProgressLine(sys.stderr, expected_work(plan)) as progress:
            from pkpd.study.analysis import assess

            assessment = assess(plan, progress=progress, store=store)
            progress("writing the report", "")
            write_all(assessment, folder, partial(_pages, language=options.language))
    except KeyboardInterrupt as stop:
        stop.said = True  # type: ignore[attr-defined]
        print(
            f"interrupted; the same command goes on from the stages that are kept in {folder}",
            file=sys.stderr,
        )
        raise
    return _said(options, assessment, folder)


def _report(options: argparse.Namespace) -> int:
    from pkpd.study.assessment import Assessment
    from pkpd.study.files import prepare_folder, write_all

    assessment = result_of(assessment_file(options.assessment), Assessment)
    folder = prepare_folder(options.output)
    write_all(assessment, folder, partial(_pages, language=options.language))
    return _said(options, assessment, folder)


def _require_letters(language: str) -> None:
    """A font that is missing is said before the long fits."""
    if language != "en":
        from pkpd.report.canvas import require_font

        require_font(language)


def _pages(assessment: Any, folder: Path, language: str) -> None:
    from pkpd.report import write_pages

    write_pages(assessment, folder, language=language)


def _said(options: argparse.Namespace, assessment: Any, folder: Path) -> int:
    from pkpd.study.console import verdict_table

    report = folder / "report.html"
    return answer(
        options,
        f"{verdict_table(assessment)}\n\nReport: {report}",
        {
            "verdicts": assessment.verdicts,
            "global_statement": assessment.global_statement,
            "provenance": assessment.provenance,
            "report": str(report),
            "assessment": str(folder / "assessment.json"),
        },
    )


def _qualify(options: argparse.Namespace) -> int:
    from pkpd.results import to_json
    from pkpd.study.console import ProgressLine
    from pkpd.study.files import prepare_folder
    from pkpd.study.qualification import qualify, record

    with ProgressLine(sys.stderr) as progress:
        if options.record:
            refuse(options, "--record", "output")
            from pkpd.errors import InputError

            if options.folder is None:
                raise InputError(
                    "E_QUALIFY_FOLDER",
                    "the references of an installation are not recorded.",
                    "Give the folder of your own checks.",
                )
            target = record(options.folder, progress=progress)
            return answer(options, f"recorded {target}", {"recorded": str(target)})
        folder = prepare_folder(options.output) if options.output else None
        found = qualify(options.folder, progress=progress)
    if folder is not None:
        from pkpd.report.qualification_page import write_qualification

        write_qualification(found, folder)
    print(to_json(found, indent=1) if options.json else found)
    return OK if found.passed else REGRESSION
