"""The ``pkpd`` command: arguments in, words and an exit code out."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import sys
import warnings
from collections.abc import Sequence

from pkpd.commands import assessing, listing, modelling, planning, responding
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
            warnings.showwarning = _Warnings()
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


class _Warnings:
    """Prints each warning once, though several fits of a run give it."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in self._said:
            self._said.add(str(message))
            # a line of progress gives way
            start = "\r\x1b[K" if sys.stderr.isatty() else ""
            print(f"{start}warning: {message}", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pkpd",
        description="May every tumour type share one dose? Population PK, exposure-response, verdicts.",
    )
    parser.add_argument("--version", action="version", version=f"pkpd {_version()}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    for family in (assessing, planning, modelling, responding, listing):
        family.register(verbs)
    return parser


def _version() -> str:
    try:
        return importlib.metadata.version("pkpd")
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


if __name__ == "__main__":
    sys.exit(main())
