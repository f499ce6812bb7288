"""What a section of the report is made of: paragraphs, lists, figures, equations, headings and tables."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pkpd.report.tables import Table

if TYPE_CHECKING:
    import matplotlib.figure

__all__ = ["Block", "Code", "Equations", "Figure", "Heading", "Points", "Section", "Terms", "Text"]


@dataclass(frozen=True)
class Text:
    """A paragraph; ``look`` is a class of the style sheet."""

    text: str
    look: str = ""


@dataclass(frozen=True)
class Terms:
    """Pairs of a term and what is said of it."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Points:
    """A list of sentences."""

    entries: tuple[str, ...]


@dataclass(frozen=True)
class Figure:
    """A drawing with its caption; ``description`` is for those who cannot see it.

    ``svg`` and ``png`` are drawn once for all files that show them: drawing takes longer than all else in a report.
    """

    key: str
    caption: str
    drawing: matplotlib.figure.Figure
    description: str
    note: str = ""

    @functools.cached_property
    def svg(self) -> str:
        """The drawing as an ``<svg>`` element."""
        from pkpd.report.canvas import svg

        return svg(self.drawing, prefix=f"fig-{self.key}", title=self.caption, description=self.description)

    @functools.cached_property
    def png(self) -> bytes:
        """The drawing as PNG."""
        from pkpd.report.canvas import png

        return png(self.drawing)


@dataclass(frozen=True)
class Equations:
    """MathML, or the LaTeX where it cannot be drawn."""

    entries: tuple[tuple[str | None, str], ...]


@dataclass(frozen=True)
class Code:
    """Text for a program, as it is."""

    text: str


@dataclass(frozen=True)
class Heading:
    """A heading below that of the section."""

    key: str
    text: str


Block = Text | Terms | Points | Figure | Equations | Code | Heading | Table


@dataclass(frozen=True)
class Section:
    """One numbered part of the report."""

    key: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def headings(self) -> list[Heading]:
        """Headings within the section, for the table of contents."""
        return [b for b in self.blocks if isinstance(b, Heading)]
