"""The ``pkpd`` command: arguments in, words and an exit code out."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

__all__ = ["main"]

OK, FAILED, BAD_INPUT, REGRESSION, INTERRUPTED = 0, 1, 2, 3, 130


def _count(n: int, what: str) -> str:
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without it, those of the process.

    Returns
    -------
    int
        0 fine, 1 the run failed, 2 the input was wrong, 3 a number moved (qualify), 130 interrupted.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that lacks a letter shows "?" instead of failing
            stream.reconfigure(errors="replace")
    try:
        options = _parser().parse_args(arguments)
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            code = options.run(options)
            sys.stdout.flush()
            return code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # the reader of our output has left (`pkpd models | head`); Python would complain once more at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _report(error)


def _report(error: Exception) -> int:
    """Say what is wrong, in one message, and choose the exit code."""
    from pkpd.errors import InputError, PkpdError

    if os.environ.get("PKPD_TRACEBACK"):
        raise error
    if isinstance(error, PkpdError):
        print(f"error: {error}", file=sys.stderr)
        return BAD_INPUT if isinstance(error, InputError) else FAILED
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        remedy = "Check the path, its permissions and the free space."
        print(f"error: E_FILE: {where}{error.strerror or error}. Remedy: {remedy}", file=sys.stderr)
        return FAILED
    remedy = "This is a fault of pkpd: set PKPD_TRACEBACK=1, run again, and report what it prints."
    print(f"error: E_INTERNAL: {type(error).__name__}: {error}. Remedy: {remedy}", file=sys.stderr)
    return FAILED


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    print(f"warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pkpd",
        description="May every tumour type share one dose? Population PK, exposure-response, verdicts.",
    )
    parser.add_argument("--version", action="version", version=f"pkpd {_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    assess = verbs.add_parser("assess", help="run an analysis plan: a verdict per histology and a report")
    assess.add_argument("plan", metavar="PLAN", help="the plan, a TOML file")
    assess.add_argument(
        "--output", metavar="DIR", required=True, help="folder for the report, the tables and all numbers"
    )
    assess.add_argument(
        "--threads", metavar="N", type=_threads, help="threads to use (the numbers do not depend on it)"
    )
    assess.add_argument("--language", choices=["en"], default="en", help="language of the report")
    assess.set_defaults(run=_assess)

    check = verbs.add_parser("check", help="check a data set, or a plan (.toml), and list what is wrong")
    check.add_argument("file", metavar="FILE", help="CSV in NONMEM convention, or an analysis plan")
    check.add_argument("--json", action="store_true", help="findings as JSON")
    check.set_defaults(run=_check)

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
    qualify.add_argument("--json", action="store_true", help="the comparison as JSON")
    qualify.set_defaults(run=_qualify)

    for name, run, what in (
        ("models", _models, "list the shipped models"),
        ("datasets", _datasets, "list the shipped data sets"),
        ("doctor", _doctor, "versions, threads, and where compiled code is kept"),
    ):
        verb = verbs.add_parser(name, help=what)
        verb.add_argument("--json", action="store_true", help="as JSON")
        verb.set_defaults(run=run)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("pkpd")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _threads(value: str) -> int:
    number = int(value) if value.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{value!r}: a whole number from 1 upwards")
    return number


def _assess(options: argparse.Namespace) -> int:
    if options.threads is not None:
        # read by numba when it is first imported, which no module above has done
        os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    from pkpd.study.console import ProgressLine, verdict_table
    from pkpd.study.files import prepare_folder, write_tables
    from pkpd.study.plan import read_plan

    plan = read_plan(options.plan)
    folder = prepare_folder(options.output)
    report = folder / "report.html"
    with ProgressLine(sys.stderr) as progress:
        from pkpd.report import write_report
        from pkpd.study.analysis import assess

        assessment = assess(plan, progress=progress)
        progress("writing the report", "")
        write_tables(assessment, folder)
        write_report(assessment, report, language=options.language)
    print(verdict_table(assessment))
    print(f"\nReport: {report}")
    return OK


def _check(options: argparse.Namespace) -> int:
    sizes = ""
    if Path(options.file).suffix == ".toml":
        from pkpd.study.plan import check_plan

        findings = check_plan(options.file)
    else:
        from pkpd.data.intake import examine

        dataset, findings = examine(options.file)
        if dataset is not None:
            sizes = dataset.summary().to_string()
    if options.json:
        print(json.dumps([vars(f) for f in findings], indent=1, default=str))
    else:
        for finding in findings:
            print(finding)
        if sizes:
            print(sizes)
        errors = sum(f.is_error for f in findings)
        print(f"{options.file}: {_count(errors, 'error')}, {_count(len(findings) - errors, 'warning')}")
    return BAD_INPUT if any(f.is_error for f in findings) else OK


def _qualify(options: argparse.Namespace) -> int:
    from pkpd.results import to_json
    from pkpd.study.console import ProgressLine
    from pkpd.study.files import prepare_folder
    from pkpd.study.qualification import qualify, record

    with ProgressLine(sys.stderr) as progress:
        if options.record:
            from pkpd.errors import InputError

            if options.folder is None:
                raise InputError(
                    "E_QUALIFY_FOLDER",
                    "the references of an installation are not recorded.",
                    "Give the folder of your own checks.",
                )
            print(f"recorded {record(options.folder, progress=progress)}")
            return OK
        folder = prepare_folder(options.output) if options.output else None
        found = qualify(options.folder, progress=progress)
    if folder is not None:
        from pkpd.report.qualification_page import write_qualification

        write_qualification(found, folder)
    print(to_json(found, indent=1) if options.json else found)
    return OK if found.passed else REGRESSION


def _models(options: argparse.Namespace) -> int:
    import ast

    from pkpd.shipped import models_folder

    found = {}
    for path in sorted(p for p in models_folder().glob("*.py") if not p.stem.startswith("_")):
        functions = [
            n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
        ]
        found[path.stem] = _first_line(ast.get_docstring(functions[-1]) if functions else None)
    return _listed(found, options, 36)


def _datasets(options: argparse.Namespace) -> int:
    import tomllib

    from pkpd.shipped import dataset_names, datasets_folder

    found = {}
    for name in dataset_names():
        provenance = datasets_folder() / name / "provenance.toml"
        known = tomllib.loads(provenance.read_text(encoding="utf-8")) if provenance.is_file() else {}
        found[name] = str(known.get("title", ""))
    return _listed(found, options, 24)


def _doctor(options: argparse.Namespace) -> int:
    from pkpd.study.environment import environment

    return _listed(environment(), options, 16)


def _listed(found: dict[str, str], options: argparse.Namespace, width: int) -> int:
    if options.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
    else:
        for name, text in found.items():
            print(f"{name:<{width}} {text}".rstrip())
    return OK


def _first_line(docstring: str | None) -> str:
    return (docstring or "").split("\n", 1)[0]


if __name__ == "__main__":
    sys.exit(main())
