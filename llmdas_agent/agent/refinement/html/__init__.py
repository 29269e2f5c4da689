"""The report on a refinement as one page of HTML that needs nothing else."""

from .page import render

__all__ = ["render"]
