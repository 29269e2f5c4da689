"""The programs that a benchmark compares: a detector's own, other ways to make rows, and ablations.

Each is a `Candidate`: text under a label, run in the sandbox like any other. Those that were not verified say
so, and a benchmark uses them all the same.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from ..cards import DetectorCard
from ..errors import ProgramError, TableError
from ..programs import ENTRY_POINT, Proposal, SynthesisProgram
from ..registry import Registry
from ..report import BlindSpotProfile, VerificationReport
from ..sandbox import check_source, read_program
from ..synthesizer import Synthesizer

__all__ = [
    "ABLATED",
    "AGNOSTIC",
    "OWN",
    "RIVALS",
    "Candidate",
    "as_synthesizer",
    "from_folder",
    "from_registry",
    "random_starts",
    "rival",
    "without_scores",
]

OWN = "own"
"""Label of the program written for the detector."""

RIVALS = ("gaussian", "uniform", "smote", "mixup")
"""Other ways to make rows, as in the paper's Figure 4."""

AGNOSTIC = "agnostic"
WITHOUT_SCORES = "without predict_score"
RANDOM_STARTS = "random, not borderline"

ABLATED = (AGNOSTIC, WITHOUT_SCORES, RANDOM_STARTS)
"""What a program's idea is worth, as in the paper's Figure 4: one that knows nothing of the detector, and the
detector's own with a part of it taken out."""

_SCORE = "predict_score"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A program to be measured.

    Attributes
    ----------
    label : str
        How tables name it.
    program : SynthesisProgram
        Its text.
    verified : bool
        Whether it passed the checks for the detector that it is used with.
    """

    label: str
    program: SynthesisProgram
    verified: bool


def from_registry(name: str) -> Candidate:
    """Return the registry's program for a detector.

    Raises
    ------
    UnknownNameError, ModelFolderError, NotAcceptedError
        When there is none, it is damaged, or was not verified here.
    """
    synthesizer = Registry().get(name)
    synthesizer.require_verified()
    return Candidate(OWN, synthesizer.proposal.program, verified=True)


def from_folder(folder: Path, name: str) -> Candidate:
    """Return the program for a detector that lies as ``NAME.py`` in a folder, unverified.

    The name counts without regard to case; the paper's three-argument form is understood.

    Raises
    ------
    TableError
        When no file has this name.
    InputError
        When it cannot be read, or is larger than the sandbox takes.
    ProgramError
        When the sandbox refuses the text.
    """
    found = [path for path in sorted(folder.glob("*.py")) if path.stem.lower() == name.lower()]
    if not found:
        there = ", ".join(path.name for path in sorted(folder.glob("*.py"))) or "no program"
        raise TableError(
            f"holds no {name}.py", where=str(folder), hint=f"It has {there}; name each after its detector"
        )
    program = read_program(found[0])
    try:
        check_source(program)
    except ProgramError as error:
        place = f"{found[0]}:{error.line}" if error.line else str(found[0])
        raise ProgramError(error.what, code=error.code, where=place, hint=error.hint) from error
    return Candidate(OWN, program, verified=False)


def rival(label: str) -> Candidate:
    """Return a program of this package that is no detector's own: one of `RIVALS`, or `AGNOSTIC`."""
    text = files("llmdas_agent.benchmark").joinpath("rivals", f"{label}.py").read_text(encoding="utf-8")
    return Candidate(label, SynthesisProgram(text), verified=False)


def without_scores(own: Candidate) -> Candidate:
    """Return the same program with every score that it asks for zero: it learns nothing of the detector."""
    return Candidate(WITHOUT_SCORES, _rewritten(own.program, _ZEROS), verified=False)


def random_starts(own: Candidate) -> Candidate:
    """Return the same program with the scores of training rows dealt anew among those scored together.

    Which of them are borderline is then chance, while made rows keep their scores.
    """
    return Candidate(RANDOM_STARTS, _rewritten(own.program, _DEALT_ANEW), verified=False)


def as_synthesizer(candidate: Candidate, card: DetectorCard) -> Synthesizer:
    """Return a candidate as the synthesizer of a detector; a benchmark's word stands for the checks."""
    program = candidate.program
    return _Measured(
        name=card.name,
        card=card,
        proposal=Proposal(program, "", "", candidate.label),
        report=VerificationReport(
            detector=card.name,
            program_digest=program.digest,
            seed=0,
            verdicts=(),
            complete=False,
            seconds=0.0,
            versions={},
        ),
        profile=BlindSpotProfile(detector=card.name, seed=0, families=()),
        provenance={},
    )


class _Measured(Synthesizer):
    """A program under measurement, which says nothing of whether it may be relied on."""

    def require_verified(self) -> None:
        """Let it pass."""


_ZEROS = """
import numpy as plain_numpy

def answered(model, rows):
    return plain_numpy.zeros(len(rows))
"""
_DEALT_ANEW = """
import numpy as plain_numpy

known_rows = set()

def answered(model, rows):
    scores = plain_numpy.array(model.predict_score(rows))
    told = plain_numpy.array(rows).tolist()
    known = plain_numpy.array([tuple(row) in known_rows for row in told], dtype=bool)
    scores[known] = plain_numpy.random.permutation(scores[known])
    return scores
"""


def _rewritten(program: SynthesisProgram, answers: str) -> SynthesisProgram:
    """Return a program whose questions for scores go to the function ``answered`` of another text."""
    tree = _Asks().visit(ast.parse(program.source))
    if answers is _DEALT_ANEW:
        entry = next(
            node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == ENTRY_POINT
        )
        noted = f"known_rows.update(map(tuple, {entry.args.args[2].arg}.tolist()))"
        entry.body[:0] = ast.parse(noted).body
    # a docstring and __future__ imports have to stay first
    start = sum(
        isinstance(node, ast.Expr) or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        for node in tree.body
    )
    tree.body[start:start] = ast.parse(answers).body
    return SynthesisProgram(ast.unparse(ast.fix_missing_locations(tree)))


class _Asks(ast.NodeTransformer):
    """Turns ``model.predict_score(rows)`` into ``answered(model, rows)``."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if not (isinstance(node.func, ast.Attribute) and node.func.attr == _SCORE and len(node.args) == 1):
            return node
        return ast.Call(ast.Name("answered", ast.Load()), [node.func.value, *node.args], [])
