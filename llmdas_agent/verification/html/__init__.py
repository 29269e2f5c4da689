"""A verification report as one page of HTML that needs nothing else: no script, no request, no other file."""

from .page import render_html

__all__ = ["render_html"]
