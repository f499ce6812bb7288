"""Sphinx: the pages of docs/, and an API reference made from the docstrings."""

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


# written before the sources are listed
(Path(__file__).parent / "api.rst").write_text(_api_page(), encoding="utf-8")


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
