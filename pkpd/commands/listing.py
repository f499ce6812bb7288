"""``pkpd models``, ``datasets`` and ``doctor``: what there is."""

from __future__ import annotations

import argparse
import ast
import re
import tomllib
from typing import Any

from pkpd.commands.answers import answer, json_option

__all__ = ["register"]


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    for name, run, what in (
        ("models", _models, "list the shipped models"),
        ("datasets", _datasets, "list the shipped data sets"),
        ("doctor", _doctor, "versions, threads, and where compiled code is kept"),
    ):
        verb = verbs.add_parser(name, help=what)
        json_option(verb)
        verb.set_defaults(run=run)


def _models(options: argparse.Namespace) -> int:
    from pkpd.shipped import models_folder

    found = {}
    for path in sorted(p for p in models_folder().glob("*.py") if not p.stem.startswith("_")):
        functions = [
            n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
        ]
        text = ast.get_docstring(functions[-1]) if functions else None
        # its first paragraph up to the end of a sentence
        found[path.stem] = re.split(r"(?<=\.)\s", " ".join((text or "").split("\n\n", 1)[0].split()))[0]
    return _listed(found, options)


def _datasets(options: argparse.Namespace) -> int:
    from pkpd.shipped import dataset_names, datasets_folder

    found = {}
    for name in dataset_names():
        provenance = datasets_folder() / name / "provenance.toml"
        known = tomllib.loads(provenance.read_text(encoding="utf-8")) if provenance.is_file() else {}
        found[name] = str(known.get("title", ""))
    return _listed(found, options)


def _doctor(options: argparse.Namespace) -> int:
    from pkpd.study.environment import environment

    return _listed(environment(), options)


def _listed(found: dict[str, str], options: argparse.Namespace) -> int:
    width = max(map(len, found))
    return answer(
        options, "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in found.items()), found
    )
