"""Reads the HTML of a report with the standard library's parser."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

VOID = {"meta", "link", "br", "img", "input", "hr", "col"}


class Node:
    def __init__(self, tag: str, attributes: dict, parent: Node | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Node | str] = []

    def find(self, tag: str) -> list[Node]:
        found = [self] if self.tag == tag else []
        return found + [n for c in self.children if isinstance(c, Node) for n in c.find(tag)]

    def having(self, attribute: str) -> list[Node]:
        found = [self] if attribute in self.attributes else []
        return found + [n for c in self.children if isinstance(c, Node) for n in c.having(attribute)]

    @property
    def text(self) -> str:
        return "".join(c if isinstance(c, str) else c.text for c in self.children)

    @property
    def texts(self) -> list[str]:
        return [t for c in self.children for t in ([c] if isinstance(c, str) else c.texts)]

    @property
    def classes(self) -> list[str]:
        return (self.attributes.get("class") or "").split()


class Page(HTMLParser):
    """The element tree; unclosed or crossed tags are kept in ``faults``."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("document", {}, None)
        self.here, self.faults = self.root, []
        self.feed(html)
        self.close()
        if self.here is not self.root:
            self.faults.append(f"<{self.here.tag}> is not closed")

    def handle_starttag(self, tag, attrs):
        node = Node(tag, dict(attrs), self.here)
        self.here.children.append(node)
        if tag not in VOID:
            self.here = node

    def handle_startendtag(self, tag, attrs):
        self.here.children.append(Node(tag, dict(attrs), self.here))

    def handle_endtag(self, tag):
        if self.here.tag != tag:
            self.faults.append(f"</{tag}> closes <{self.here.tag}>")
        while self.here.parent is not None and self.here.tag != tag:
            self.here = self.here.parent
        if self.here.parent is not None:
            self.here = self.here.parent

    def handle_data(self, data):
        self.here.children.append(data)


def outline(page: Page) -> str:
    """Headings, captions of tables and the paragraphs that stand for figures, in their order (structure, not bytes)."""
    lines = []
    for section in page.root.find("section"):
        for node in section.find("h2") + section.find("h3") + section.find("caption"):
            lines.append(f"{node.tag} {' '.join(node.text.split())}")
        lines += [f"p {p.text}" for p in section.find("p") if p.text.startswith("figure ")]
    return "\n".join(lines) + "\n"


def assert_shows(node: Node, value: float) -> None:
    """The number that the node shows is the value, rounded as it is shown."""
    shown = node.text.replace("\u202f", "").replace("−", "-").removesuffix(" %")
    scaled = float(value) * float(node.attributes.get("data-scale", 1))
    power = re.fullmatch(r"(-?[\d.]+)×10([⁰¹²³⁴⁵⁶⁷⁸⁹⁻]+)", shown)
    if power:
        exponent = int(power.group(2).translate(str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-")))
        assert float(power.group(1)) * 10.0**exponent == pytest.approx(scaled, rel=0.005)
    elif shown[0] in "<>":
        limit = float(shown[1:])
        assert scaled < limit if shown[0] == "<" else scaled > limit
    else:
        decimals = len(shown.partition(".")[2])
        # half a unit of the last digit that is shown
        assert abs(float(shown) - scaled) <= 0.5 * 10.0**-decimals * (1 + 1e-9), node.attributes
