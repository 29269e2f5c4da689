"""The proposer that is a chat model: the conversation of the paper, with the reports as its feedback."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from ..cards import DetectorCard, dump_card
from ..errors import ChatModelError
from ..programs import Proposal, SynthesisProgram
from ..report import BlindSpotProfile, VerificationReport
from ..sandbox.allowed import MODULES
from ..verification import FAMILIES
from ..verification.checks import CHECKS
from .models import Answer, ChatModel, connect
from .outbox import Outbox
from .prompts import Prompts
from .proposers import Brief
from .replies import take_program
from .runs import RunFolder
from .settings import ModelSettings
from .spending import Purse

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

__all__ = ["ChatProposer", "Messages", "profile_text", "read_proposal", "report_text", "said"]

REMEMBERED = 3
"""How many of the last programs and their reports a conversation holds."""

_UNSAID = "not said"
_STOPPED = re.compile(
    r"\A\W*(?:(?:I['’]m|I am) (?:very )?sorry|sorry, |I can(?:['’]t|not)|I am (?:not able|unable))",
    re.IGNORECASE,
)

Messages = list[tuple[str, str]]


class ChatProposer:
    """Proposes what a chat model writes.

    Parameters
    ----------
    model : BaseChatModel, ModelSettings or None
        A chat model of langchain-core, or how to reach one; None is enough offline, for a run whose model
        was none of this package's own clients.
    folder : RunFolder
        The run: its outbox keeps the conversation, its prompts are the ones used, and a model object goes by
        its proposer's name.
    tracing : bool
        Whether a tracing service that the environment names may be told of the conversation.
    offline : bool
        Whether only answers that the run kept are used.

    Raises
    ------
    InputError
        When the model's package is not installed, a prompt cannot be used, or the run caps the cost of a
        model without a known price.
    """

    def __init__(
        self,
        model: BaseChatModel | ModelSettings | None,
        folder: RunFolder,
        *,
        tracing: bool = False,
        offline: bool = False,
    ) -> None:
        purse = Purse(folder.outbox, lambda: folder.budget)
        outbox = Outbox(folder.outbox, offline=offline, permit=purse)
        self._prompts = Prompts(folder.path / "prompts")
        if isinstance(model, ModelSettings):
            purse.require_price(model)
            self._model = connect(model, outbox, tracing=tracing)
        else:
            kept = ModelSettings.from_dict(folder.model) if model is None and folder.model else None
            self._model = ChatModel(model, outbox, name=folder.proposer, settings=kept, tracing=tracing)
        self._description: str | None = None
        self.name = self._model.name

    def propose(self, brief: Brief) -> Proposal:
        """Return what the model answers; an answer without a program is a proposal that says so."""
        return read_proposal(self._ask(brief))

    def _ask(self, brief: Brief) -> Answer:
        remembered = min(len(brief.attempts), REMEMBERED)
        while True:
            try:
                conversation = self._conversation(brief, remembered)
                return self._model.ask(conversation, attempt=brief.asking, until=brief.until)
            except ChatModelError as error:
                if error.code != "too_long" or remembered <= 1:
                    raise
                # it has a smaller context than most: the last report matters most
                remembered = 1

    def opening(self, card: DetectorCard, description: str, profile: str) -> Messages:
        """Return the messages that every conversation about a detector begins with.

        Parameters
        ----------
        card : DetectorCard
            The detector.
        description : str
            What the model said of it, where the card says nothing.
        profile : str
            What it was measured to miss.
        """
        question = self._prompts.fill(
            "propose",
            card=_card_text(card),
            description=description,
            profile=profile,
            modules=", ".join(sorted(MODULES)),
            checks="\n".join(f"* {check.__name__}: {_first_line(check)}" for check in CHECKS),
        )
        return [("system", self._prompts.fill("system")), ("human", question)]

    def _conversation(self, brief: Brief, remembered: int) -> Messages:
        messages = self.opening(
            brief.card, self._described(brief.card, brief.until), profile_text(brief.profile)
        )
        numbered = list(enumerate(brief.attempts, start=1))
        for number, attempt in numbered[len(numbered) - remembered :]:
            prompt = "unusable" if attempt.proposal.problem else "revise"
            report = report_text(attempt.report)
            messages.append(("ai", said(attempt.proposal)))
            messages.append(("human", self._prompts.fill(prompt, number=number, report=report)))
        return messages

    def _described(self, card: DetectorCard, until: float) -> str:
        """Return a description of the detector: the card has one, or the model is asked for it, once."""
        if card.description:
            return ""
        if self._description is None:
            question = self._prompts.fill("describe", card=_card_text(card))
            messages = [("system", self._prompts.fill("system")), ("human", question)]
            answer = self._model.ask(messages, until=until)
            self._description = answer.text.strip()[:4000]
        return self._description


def read_proposal(answer: Answer) -> Proposal:
    """Return what an answer proposes; one without a program is a proposal that says so."""
    text = answer.text
    taken = take_program(text, cut=answer.cut)
    problem = taken.problem
    if problem and (answer.refusal or _STOPPED.match(text)):
        words = " ".join((answer.refusal or text).split())[:200]
        problem = f"nothing usable: the model would not answer: '{words}'. Try another model if it stays so"
    before = text.partition("```")[0]
    return Proposal(
        program=SynthesisProgram(taken.source or text),
        blind_spot=_named(before, "blind spot"),
        borderline=_named(before, "borderline"),
        strategy=_named(before, "strategy")[:60],
        problem=problem,
    )


def _named(text: str, name: str) -> str:
    """Return what a reply says after ``NAME:``, whatever markup is around it."""
    found = re.search(rf"^[ \t*#>-]*{name}s?[\s*]*:[\s*]*(.+)$", text, re.IGNORECASE | re.MULTILINE)
    return " ".join(found.group(1).strip(" *`").split())[:400] if found else _UNSAID


def said(proposal: Proposal) -> str:
    """Return a proposal in the form that an answer should have."""
    if proposal.problem:
        return proposal.program.source[:4000]
    return (
        f"BLIND SPOT: {proposal.blind_spot}\n"
        f"BORDERLINE: {proposal.borderline}\n"
        f"STRATEGY: {proposal.strategy}\n"
        f"```python\n{proposal.program.source}```"
    )


def _card_text(card: DetectorCard) -> str:
    return f"```yaml\n{dump_card(card).strip()}\n```"


def profile_text(profile: BlindSpotProfile) -> str:
    """Return the measurements, without the notes, which may quote what a detector's own code raised."""
    meaning = {family.name: family.words for family in FAMILIES}
    return "\n".join(
        f"* {score.family} ({meaning.get(score.family, 'rows of its own kind')}): AUROC {score.auroc:.2f}"
        for score in profile.families
    )


def report_text(report: VerificationReport) -> str:
    """Return a report as a chat model reads it: findings, and what to change where a check failed."""
    lines = []
    for verdict in report.verdicts:
        if verdict.passed:
            lines.append(f"* {verdict.code}: passed. {verdict.message}")
            continue
        lines.append(f"* {verdict.code}: FAILED. {verdict.message}")
        if verdict.hint:
            lines.append(f"  What to change: {verdict.hint}")
        if verdict.evidence:
            lines.append(f"  Evidence: {json.dumps(verdict.evidence)}")
    if not report.complete:
        lines.append("* The checks after that did not run.")
    return "\n".join(lines)


def _first_line(thing: object) -> str:
    return (thing.__doc__ or "").strip().partition("\n")[0]
