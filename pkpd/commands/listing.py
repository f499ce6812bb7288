"""``pkpd models``, ``datasets`` and ``doctor``: what there is."""

from __future__ import annotations

import argparse
import ast
import re
import time
import tomllib
from typing import Any

from pkpd.commands.answers import answer, json_option

__all__ = ["register"]


def register(verbs: Any) -> None:
    """Add the verbs of this family."""
    for name, run, what in (
        ("models", _models, "list the shipped models, or tell of one"),
        ("datasets", _datasets, "list the shipped data sets, or tell of one"),
        ("doctor", _doctor, "versions, threads, and where compiled code is kept"),
    ):
        verb = verbs.add_parser(name, help=what)
        if run is _doctor:
            verb.add_argument(
                "--compile",
                action="store_true",
                help="first compile all kernels, once, on all processors: minutes",
            )
        else:
            verb.add_argument(
                "name", metavar="NAME", nargs="?", help="tell of this one: what is in it, and its source"
            )
        json_option(verb)
        verb.set_defaults(run=run)


def _models(options: argparse.Namespace) -> int:
    from pkpd.shipped import models_folder

    if options.name is not None:
        return _model(options)
    found = {}
    for path in sorted(p for p in models_folder().glob("*.py") if not p.stem.startswith("_")):
        functions = [
            n for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
        ]
        text = ast.get_docstring(functions[-1]) if functions else None
        # its first paragraph up to the end of a sentence
        found[path.stem] = re.split(r"(?<=\.)\s", " ".join((text or "").split("\n\n", 1)[0].split()))[0]
    return _listed(found, options)


def _model(options: argparse.Namespace) -> int:
    from pkpd.language import load_model

    model = load_model(options.name)
    columns = [f"{c.name} ({c.unit})" if c.unit else c.name for c in model.covariates]
    columns += [f"{f.name} (groups, compared with {f.reference})" for f in model.factors]
    table = model.to_frame()
    text = [
        model.name,
        model.doc,
        table.to_string(),
        "columns of the data: " + (", ".join(columns) or "none"),
    ]
    value = {"name": model.name, "description": model.doc, "parameters": table, "columns": columns}
    return answer(options, "\n\n".join(text), value)


def _dataset(options: argparse.Namespace) -> int:
    from pkpd.shipped import dataset_path

    provenance = dataset_path(options.name).with_name("provenance.toml")
    known = tomllib.loads(provenance.read_text(encoding="utf-8"))
    columns = {
        name: column["description"] + (f" ({column['unit']})" if "unit" in column else "")
        for name, column in known["columns"].items()
    }
    width = max(map(len, columns))
    size = ", ".join(f"{known[n]} {n}" for n in ("subjects", "observations", "doses") if n in known)
    lines = [known["title"], size, *known["sources"], "", *(f"{n:<{width}}  {t}" for n, t in columns.items())]
    return answer(options, "\n".join(lines), known)


def _datasets(options: argparse.Namespace) -> int:
    from pkpd.shipped import dataset_names, datasets_folder

    if options.name is not None:
        return _dataset(options)
    found = {}
    for name in dataset_names():
        provenance = datasets_folder() / name / "provenance.toml"
        known = tomllib.loads(provenance.read_text(encoding="utf-8")) if provenance.is_file() else {}
        found[name] = str(known.get("title", ""))
    return _listed(found, options)


def _doctor(options: argparse.Namespace) -> int:
    from pkpd.study.environment import environment

    found = environment()
    if options.compile:
        from pkpd.compiling import compile_kernels

        begin = time.perf_counter()
        count = compile_kernels()
        found["compiled"] = f"{count} modules of kernels are ready, after {time.perf_counter() - begin:.0f} s"
    return _listed(found, options)


def _listed(found: dict[str, str], options: argparse.Namespace) -> int:
    width = max(map(len, found))
    return answer(
        options, "\n".join(f"{name:<{width}}  {text}".rstrip() for name, text in found.items()), found
    )
