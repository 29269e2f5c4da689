"""The improver that is a chat model: it reads a program, what was found, and what a better one does."""

from __future__ import annotations

import json

from ...errors import ChatModelError
from ...programs import Proposal
from ...report import VerificationReport
from ...verification.score import NEEDED
from ..chat import ChatProposer, Messages, profile_text, read_proposal, report_text, said
from ..models import Answer
from .improvers import Task

__all__ = ["ChatImprover"]


class ChatImprover(ChatProposer):
    """Improves by asking; its conversation is kept, priced and capped as that of a `ChatProposer`."""

    def improve(self, task: Task) -> Proposal:
        """Return what the model answers; an answer without a program is a proposal that says so.

        Raises
        ------
        ChatModelError
            When no answer comes.
        BudgetExceededError
            When asking could pass a cap, or the time is over.
        """
        try:
            answer = self._ask_about(task, alone=False)
        except ChatModelError as error:
            if error.code != "too_long" or task.other is None:
                raise
            # a smaller context than most: the program to be improved matters most
            answer = self._ask_about(task, alone=True)
        return read_proposal(answer)

    def _ask_about(self, task: Task, *, alone: bool) -> Answer:
        return self._model.ask(self._question(task, alone=alone), attempt=task.asking, until=task.until)

    def _question(self, task: Task, *, alone: bool) -> Messages:
        described = self._described(task.card, task.until)
        messages = self.opening(task.card, described, profile_text(task.profile))
        other, report = task.other, task.parent.report
        assert report is not None
        comparison = ""
        if other is not None and other.report is not None and not alone:
            source = other.proposal.program.source
            comparison = self._prompts.fill("better", program=source, report=_found(other.report))
        question = self._prompts.fill("refine", report=_found(report), comparison=comparison)
        return [*messages, ("ai", said(task.parent.proposal)), ("human", question)]


def _found(report: VerificationReport) -> str:
    """Return a report with what its score is made of, also where the checks behind it passed."""
    lines = [report_text(report)]
    if report.score is not None:
        lines.append(f"* score: {report.score:.2f} of 1")
    passed = (verdict for verdict in report.verdicts if verdict.passed and verdict.code in NEEDED)
    lines += [f"  Evidence of {verdict.code}: {json.dumps(verdict.evidence)}" for verdict in passed]
    return "\n".join(lines)
