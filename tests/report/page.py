"""Reads the HTML of a report with the standard library's parser."""

from __future__ import annotations

from html.parser import HTMLParser

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
