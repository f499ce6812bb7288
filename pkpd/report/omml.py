"""Equations from MathML to the markup of word processors (Office Math), which draw and edit them as equations."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

__all__ = ["office_math"]

_M = "http://schemas.openxmlformats.org/officeDocument/2006/math"
_SCRIPTS = {
    "msub": ("sSub", ("e", "sub")),
    "msup": ("sSup", ("e", "sup")),
    "msubsup": ("sSubSup", ("e", "sub", "sup")),
    "mfrac": ("f", ("num", "den")),
    "mover": ("limUpp", ("e", "lim")),
    "munder": ("limLow", ("e", "lim")),
    "mroot": ("rad", ("e", "deg")),
}


def office_math(mathml: str) -> str | None:
    """``<m:oMath>`` of one equation; None where an element has no counterpart here."""
    root = ElementTree.fromstring(mathml)
    try:
        body = _all(list(root))
    except KeyError:
        return None
    return f'<m:oMath xmlns:m="{_M}">{body}</m:oMath>'


def _all(nodes: Sequence[ElementTree.Element]) -> str:
    return "".join(map(_one, nodes))


def _one(node: ElementTree.Element) -> str:
    tag = node.tag.rpartition("}")[2]
    if tag in ("mrow", "mstyle", "mpadded", "semantics"):
        return _all(list(node))
    if tag in ("mi", "mn", "mo", "mtext"):
        return _run(node)
    if tag == "mspace":
        return "<m:r><m:t xml:space='preserve'>\u2009</m:t></m:r>"
    if tag == "msqrt":
        hidden = '<m:radPr><m:degHide m:val="1"/></m:radPr><m:deg/>'
        return f"<m:rad>{hidden}<m:e>{_all(list(node))}</m:e></m:rad>"
    name, parts = _SCRIPTS[tag]
    children = dict(zip(parts, node, strict=True))
    order = ("deg", "e") if name == "rad" else parts
    inner = "".join(f"<m:{part}>{_one(children[part])}</m:{part}>" for part in order)
    return f"<m:{name}>{inner}</m:{name}>"


def _run(node: ElementTree.Element) -> str:
    text = (node.text or "").replace("&", "&amp;").replace("<", "&lt;")
    if not text:
        return ""
    # a word is a name and stands upright, as on the page; a single letter is a variable
    upright = node.get("mathvariant") == "normal" or (node.tag.rpartition("}")[2] == "mi" and len(text) > 1)
    style = "<m:rPr><m:nor/></m:rPr>" if upright else ""
    return f"<m:r>{style}<m:t xml:space='preserve'>{text}</m:t></m:r>"
