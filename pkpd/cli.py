"""The ``pkpd`` command: arguments in, words and an exit code out."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import warnings
from collections.abc import Sequence

from pkpd.commands import assessing, planning
from pkpd.commands.answers import OK

__all__ = ["main"]

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


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
    except KeyboardInterrupt as stop:
        if not getattr(stop, "said", False):
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

    assessing.register(verbs)

    planning.register(verbs)

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
