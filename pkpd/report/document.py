"""The report: an HTML file that works offline, prints to A4 and says where each number comes from; a DOCX; figures."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

from pkpd.errors import InputError
from pkpd.report.blocks import Figure, Section
from pkpd.report.context import Context
from pkpd.report.numbers import MISSING
from pkpd.report.outline import sections
from pkpd.report.wording import words as words_of
from pkpd.study.assessment import Assessment

if TYPE_CHECKING:
    import jinja2

__all__ = ["report_html", "write_figures", "write_pages", "write_report"]


def write_report(assessment: Assessment, path: str | Path, language: str = "en") -> Path:
    """Write the report of an assessment: one self-contained HTML file, or a DOCX file.

    Parameters
    ----------
    assessment : Assessment
        What :func:`pkpd.assess` returned, or restored from its JSON.
    path : str or Path
        The file to write; its folder must exist. One that ends in ``.docx`` becomes a DOCX, any other HTML.
    language : str
        ``"en"`` or ``"zh"`` (Simplified Chinese). What the plan says is printed as it stands there.

    Returns
    -------
    Path
        The file that was written.

    Raises
    ------
    InputError
        ``E_LANGUAGE`` if there is no such language, ``E_FONT`` if no installed font has its letters,
        ``E_REPORT_PATH`` if the file cannot be written.
    """
    words_of(language)
    target = Path(path)
    if not target.parent.is_dir():
        raise _not_written(target, "there is no such folder")
    write = _docx if target.suffix.lower() == ".docx" else _html
    content = write(assessment, sections(Context(assessment, language)), language)
    try:
        target.write_bytes(content)
    except OSError as error:
        raise _not_written(target, error.strerror or str(error)) from error
    return target


def write_pages(assessment: Assessment, folder: Path, language: str = "en") -> list[Path]:
    """Write all that people read into a folder: ``report.html``, ``report.docx``, and ``figures/`` as SVG and PNG.

    Parameters
    ----------
    assessment : Assessment
    folder : Path
        An existing folder.
    language : str
        ``"en"`` or ``"zh"``.

    Returns
    -------
    list of Path
        The files that were written, the page first.

    Raises
    ------
    InputError
        ``E_LANGUAGE``, ``E_FONT`` as :func:`write_report`.
    OSError
        If a file cannot be written.
    """
    parts = sections(Context(assessment, language))
    pages = {"report.html": _html, "report.docx": _docx}
    for name, write in pages.items():
        (folder / name).write_bytes(write(assessment, parts, language))
    (folder / "figures").mkdir(exist_ok=True)
    return [*(folder / name for name in pages), *_figures(parts, folder / "figures")]


def write_figures(assessment: Assessment, folder: str | Path, language: str = "en") -> list[Path]:
    """Write every figure of the report as SVG and PNG.

    Parameters
    ----------
    assessment : Assessment
    folder : str or Path
        An existing folder.
    language : str
        Of the labels, ``"en"`` or ``"zh"``.

    Returns
    -------
    list of Path
        ``forest.svg``, ``forest.png`` …, named as the figures of the page.

    Raises
    ------
    InputError
        As :func:`write_report`.
    """
    try:
        return _figures(sections(Context(assessment, language)), Path(folder))
    except OSError as error:
        raise _not_written(Path(folder), error.strerror or str(error)) from error


def _figures(parts: list[Section], folder: Path) -> list[Path]:
    written = []
    for block in (b for section in parts for b in section.blocks if isinstance(b, Figure)):
        for suffix, content in (("svg", block.svg.encode()), ("png", block.png)):
            written.append(folder / f"{block.key}.{suffix}")
            written[-1].write_bytes(content)
    return written


def _docx(assessment: Assessment, parts: list[Section], language: str) -> bytes:
    from pkpd.report.word import report_docx

    words = words_of(language)
    return report_docx(assessment.title, _subtitle(assessment, words), parts, words, language)


def _not_written(target: Path, reason: str) -> InputError:
    return InputError(
        "E_REPORT_PATH",
        f"cannot write {target}: {reason}.",
        "Give a file in an existing, writable folder.",
    )


def report_html(assessment: Assessment, language: str = "en") -> str:
    """The report as HTML text; the same assessment gives the same bytes.

    Every number carries the place it has in the assessment in an attribute ``data-field`` (see
    :func:`pkpd.report.fields.field_value`) and, where it is shown in percent, ``data-scale="100"``.
    """
    return _html(assessment, sections(Context(assessment, language)), language).decode()


def _html(assessment: Assessment, parts: list[Section], language: str) -> bytes:
    words = words_of(language)
    page = _template().render(
        title=assessment.title,
        language=language,
        w=words,
        sections=parts,
        style=_package_file("style.css"),
        subtitle=_subtitle(assessment, words),
        missing=MISSING,
        kind=lambda block: type(block).__name__,
    )
    return page.encode()


@functools.cache
def _template() -> jinja2.Template:
    import jinja2

    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["sub"] = _subscripts
    environment.filters["drawn"] = lambda figure: Markup(figure.svg)
    return environment.from_string(_package_file("template.html"))


def _subscripts(text: str) -> Markup:
    # "> 99 %" stands on one line
    text = re.sub(r"([<>≥≤]) (?=\d)|(?<=\d) (?=%)", lambda m: f"{m.group(1) or ''}\u00a0", text)
    return Markup(re.sub(r"(δ|p|τ)_([ES0])\b", r"\1<sub>\2</sub>", str(escape(text))))


def _package_file(name: str) -> str:
    from importlib.resources import files

    return files("pkpd.report").joinpath(name).read_text(encoding="utf-8")


def _subtitle(assessment: Assessment, words: Mapping) -> str:
    provenance = assessment.provenance
    versions = provenance.get("versions") or {}
    version = versions.get("pkpd") if isinstance(versions, Mapping) else None
    parts = [f"pkpd {version}" if version else "pkpd"]
    hashes = provenance.get("sha256") or {}
    for name in ("plan", "data"):
        if isinstance(hashes, Mapping) and hashes.get(name):
            parts.append(f"{words[f'stamp.{name}']} {str(hashes[name])[:12]}")
    if provenance.get("seed") is not None:
        parts.append(f"{words['stamp.seed']} {provenance['seed']}")
    return " · ".join(parts)
