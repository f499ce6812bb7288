"""A qualification for people (HTML) and for continuous integration (JUnit XML)."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pkpd.errors import InputError
from pkpd.study.qualification import Qualification

__all__ = ["junit_xml", "qualification_html", "write_qualification"]

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "table{border-collapse:collapse;width:100%;table-layout:fixed;margin:0 0 1.4rem}"
    "th:first-child{width:36%}th,td{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #ddd}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.pass{color:#00613a}.fail{color:#a40000;font-weight:600}"
    "caption{text-align:left;font-weight:600;padding:.6rem 0}thead{display:table-header-group}tr{break-inside:avoid}"
)


def junit_xml(qualification: Qualification) -> str:
    """The qualification as JUnit XML: one test suite per check, one test case per quantity."""
    checks = qualification.checks
    root = ElementTree.Element(
        "testsuites", tests=str(len(checks)), failures=str(int((~checks["passed"].astype(bool)).sum()))
    )
    for name, rows in checks.groupby("check", sort=False):
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=str(name),
            tests=str(len(rows)),
            failures=str(int((~rows["passed"].astype(bool)).sum())),
        )
        for row in rows.itertuples():
            case = ElementTree.SubElement(suite, "testcase", classname=str(name), name=str(row.quantity))
            if not row.passed:
                ElementTree.SubElement(case, "failure", message=_sentence(row))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _sentence(row: Any) -> str:
    return f"{row.value}, reference {row.reference}, tolerance {_tolerance(row)}"


def _tolerance(row: Any) -> str:
    if not row.tolerance:
        return "equal"
    return f"{row.tolerance:g}" + (" relative" if row.kind in ("estimate", "se") else "")


def _difference(row: Any) -> str:
    return "" if math.isnan(row.difference) else f"{row.difference:.2g}"


def qualification_html(qualification: Qualification) -> str:
    """The qualification as one HTML page that works offline."""
    checks = qualification.checks
    failed = int((~checks["passed"].astype(bool)).sum())
    verdict = "passed" if not failed else f"failed: {failed} of {len(checks)} quantities"
    body = []
    for name, rows in checks.groupby("check", sort=False):
        lines = "".join(
            f"<tr><th scope=row>{escape(str(r.quantity))}</th><td class=n>{escape(str(r.reference))}</td>"
            f"<td class=n>{escape(str(r.value))}</td>"
            f"<td class=n>{_difference(r)}</td>"
            f"<td class=n>{_tolerance(r)}</td>"
            f"<td class={'pass' if r.passed else 'fail'}>{'PASS' if r.passed else 'FAIL'}</td></tr>"
            for r in rows.itertuples()
        )
        body.append(
            f"<table><caption>{escape(str(name))}</caption><thead><tr><th scope=col>Quantity</th>"
            "<th scope=col class=n>Reference</th><th scope=col class=n>Found</th><th scope=col class=n>Difference</th>"
            f"<th scope=col class=n>Tolerance</th><th scope=col>Result</th></tr></thead><tbody>{lines}</tbody></table>"
        )
    made = ", ".join(f"{escape(k)} {escape(v)}" for k, v in qualification.environment.items())
    return (
        f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>Qualification {verdict}</title>"
        f"<style>{_STYLE}</style></head><body><h1>Qualification: {escape(qualification.folder)}</h1>"
        f"<p class={'fail' if failed else 'pass'}>{verdict}</p>{''.join(body)}<p>{made}</p></body></html>\n"
    )


def write_qualification(qualification: Qualification, folder: str | Path) -> list[Path]:
    """Write qualification.html, junit.xml and qualification.json into an existing folder.

    Raises
    ------
    InputError
        ``E_OUTPUT`` if a file cannot be written.
    """
    from pkpd.results import to_json

    texts = {
        "qualification.html": qualification_html(qualification),
        "junit.xml": junit_xml(qualification),
        "qualification.json": to_json(qualification, indent=1),
    }
    for name, text in texts.items():
        try:
            (Path(folder) / name).write_text(text, encoding="utf-8")
        except OSError as error:
            raise InputError(
                "E_OUTPUT",
                f"cannot write {Path(folder) / name}: {error.strerror or error}.",
                "Check the folder.",
            ) from error
    return [Path(folder) / name for name in texts]
