"""A program's text as coloured lines of HTML."""

from __future__ import annotations

from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

__all__ = ["coloured_lines"]


def coloured_lines(source: str) -> list[Markup]:
    """Return the lines of a program, escaped, each token in a ``span`` with the class of its kind.

    Parameters
    ----------
    source : str
        Python, or what a proposer took for it.

    Returns
    -------
    list of Markup
        One for each line of the source, none of which leaves an element open.
    """
    text = highlight(source, PythonLexer(stripnl=False), HtmlFormatter(nowrap=True))
    return [Markup(line) for line in text.removesuffix("\n").split("\n")]  # pygments escapes
