"""A page of HTML as a reader's browser takes it: its elements, their attributes and its text."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

__all__ = ["Element", "Page"]

_APART = {"td", "th", "dt", "dd", "li", "div", "p", "h1", "h2", "h3"}
_VOID = {"meta", "br", "hr", "img", "link", "input", "col"}


@dataclass
class Element:
    """An element with what is inside it."""

    tag: str
    attributes: dict[str, str]
    parent: Element | None
    text: str = ""

    def has_class(self, name: str) -> bool:
        return name in self.attributes.get("class", "").split()


@dataclass
class Page(HTMLParser):
    """A parsed page; elements that close out of order are refused."""

    source: str
    elements: list[Element] = field(default_factory=list)
    open: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        assert not self.open, f"left open: {[element.tag for element in self.open]}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> names an attribute twice"
        attributes = {name: value or "" for name, value in attrs}
        element = Element(tag, attributes, self.open[-1] if self.open else None)
        self.elements.append(element)
        if tag in _APART:
            self._put(" ", self.open)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1].tag == tag, f"</{tag}> closes nothing"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        self._put(data, self.open)

    @staticmethod
    def _put(data: str, elements: list[Element]) -> None:
        for element in elements:
            element.text += data

    def find(self, tag: str, **attributes: str) -> list[Element]:
        """Return the elements of this tag whose attributes are these."""
        return [
            element
            for element in self.elements
            if element.tag == tag
            and all(element.attributes.get(name) == value for name, value in attributes.items())
        ]

    @property
    def text(self) -> str:
        """All text outside of styles, blanks as one."""
        return " ".join(self.find("body")[0].text.split())
