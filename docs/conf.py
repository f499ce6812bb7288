"""Sphinx: the pages of docs/, and an API reference made from the docstrings."""

import re
from importlib import metadata
from pathlib import Path

project = "pkpd"
author = "the pkpd authors"
copyright = "the pkpd authors"
try:
    release = metadata.version("pkpd")
except metadata.PackageNotFoundError:
    release = "development"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": "May every tumour type share one dose?", "page_width": "70rem"}
html_title = "pkpd"
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings give types, shapes and units
napoleon_google_docstring = False
napoleon_use_ivar = True


def _api_page() -> str:
    """Page of all public names, by the floor that they come from; each gets a page made from its docstring."""
    import pkpd

    titles = {
        "data": "Data", "language": "Models", "simulation": "Simulation", "population": "Estimation",
        "exposure": "Exposure", "study": "Assessment", "report": "Report", "distributions": "Distributions",
        "errors": "Errors", "noncompartmental": "Non-compartmental analysis", "parallel": "Executors", "store": "Kept work",
    }  # fmt: skip
    groups: dict[str, list[str]] = {}
    for name, module in pkpd._WHERE.items():
        groups.setdefault(module.split(".")[1], []).append(f"pkpd.{name}")
    for name in ("response", "histology", "plot"):
        module = getattr(pkpd, name)
        groups[f"pkpd.{name}"] = [f"{module.__name__}.{public}" for public in module.__all__]
    lines = ["API reference", "=============", ""]
    for group, names in groups.items():
        title = titles.get(group, f"``{group}``")
        listed = [f"   {name}" for name in sorted(names)]
        lines += [title, "-" * len(title), "", ".. autosummary::", "   :toctree: api", "", *listed, ""]
    return "\n".join(lines)


def _data_codes_page() -> str:
    """Table of all that the linter of data sets can say, from its rules."""
    from pkpd.data.rules import RULES

    title = "What the data linter says"
    lines = [title, "=" * len(title), "", "Words in angle brackets stand for what is found in the data.", ""]
    for prefix, heading in (("E_", "Errors: the data cannot be used"), ("W_", "Warnings: they can")):
        lines += [
            heading,
            "-" * len(heading),
            "",
            ".. list-table::",
            "   :header-rows: 1",
            "   :widths: 28 42 30",
            "",
        ]
        rows = [("code", "what it says", "what to do")]
        rows += [
            (f"``{code}``", *map(_plain, texts)) for code, texts in RULES.items() if code.startswith(prefix)
        ]
        for code, message, remedy in rows:
            lines += [f"   * - {code}", f"     - {message}", f"     - {remedy}"]
        lines.append("")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """A template of the linter as text that Sphinx leaves alone."""
    shown = re.sub(r"\{(\w+)(?::[^}]*)?\}", r"‹\1›", text.replace("{{", "{ ").replace("}}", " }"))
    return re.sub(r"([*`_|\\])", r"\\\1", shown)


# written before the sources are listed
for _page, _text in (("api.rst", _api_page()), ("data_codes.rst", _data_codes_page())):
    (Path(__file__).parent / _page).write_text(_text, encoding="utf-8")


def _names_apart(app, what, name, obj, options, lines):
    """Several attributes on one line: after a blank all but the last would be taken for a type."""
    inside = False
    for i, line in enumerate(lines):
        if line.strip() and i + 1 < len(lines) and set(lines[i + 1].strip()) == {"-"}:
            inside = line.strip() == "Attributes"
        elif inside and line and not line.startswith((" ", "-")):
            names, colon, kind = line.partition(" : ")
            lines[i] = names.replace(", ", "/") + colon + kind


def setup(app):
    app.connect("autodoc-process-docstring", _names_apart, priority=400)  # napoleon comes at 500
