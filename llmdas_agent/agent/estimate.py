"""What a run will about take of a chat model, told before it is asked: from numbers of characters alone."""

from __future__ import annotations

import math

from ..cards import DetectorCard
from ..config import Budget
from ..verification import FAMILIES
from .chat import REMEMBERED, ChatProposer
from .prices import Tokens
from .settings import ModelSettings
from .spending import Spending, list_price

__all__ = ["estimate"]

CHARACTERS_PER_TOKEN = 3.5
"""Between prose, about 4.5, and programs and measurements, about 3."""

ANSWER = 2500
REPORT = 3000
"""How long answers and reports usually are, characters."""

FAMILY = 70
"""How long the line about one family of the blind-spot profile is, characters."""


def estimate(
    proposer: ChatProposer, model: ModelSettings, card: DetectorCard, budget: Budget, candidates: int = 1
) -> Spending:
    """Return about what a run takes in which the last program allowed is the first to pass.

    Parameters
    ----------
    proposer : ChatProposer
        Who has the prompts.
    model : ModelSettings
        The model, for its price.
    card : DetectorCard
        The detector.
    budget : Budget
        How many programs may be proposed.
    candidates : int
        How many of them side by side.

    Returns
    -------
    Spending
        Half or twice as much is possible. Its cost is None where no price is known.
    """
    opening = sum(len(text) for _, text in proposer.opening(card, "", "x" * FAMILY * len(FAMILIES)))
    candidates = min(candidates, budget.max_rounds)
    rounds = math.ceil(budget.max_rounds / candidates)
    remembered = sum(min(done * candidates, REMEMBERED) for done in range(rounds))
    described = 0 if card.description else 1
    requests = rounds * candidates + described
    characters = candidates * (rounds * opening + remembered * (ANSWER + REPORT)) + described * opening
    read, written = _tokens(characters), _tokens(requests * ANSWER)
    # one by one, since some prices rise with the length of a prompt
    each = list_price(model, Tokens(read // requests, written // requests))
    return Spending(requests, read, written, None if each is None else each * requests)


def _tokens(characters: int) -> int:
    return math.ceil(characters / CHARACTERS_PER_TOKEN)
