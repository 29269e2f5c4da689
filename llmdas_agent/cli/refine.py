"""``refine`` and ``rollback``: better programs for a detector, and the way back."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import InputError, LlmdasError, NotAcceptedError
from .output import (
    BaseUrlOption,
    JsonOption,
    MaxCostOption,
    MaxTokensOption,
    ModelOption,
    RunSeedOption,
    console,
    emit_json,
    require_new,
)

if TYPE_CHECKING:
    from ..agent.refinement import Outcome
    from ..agent.refinement.improvers import Improver
    from ..agent.runs import Listener, RunFolder
    from ..agent.settings import ModelSettings
    from ..config import Budget

__all__ = ["MINUTES", "print_outcome", "refine", "refine_registered", "rollback"]

MINUTES = 10.0
"""Time of a search where none is given."""

_ANY_ROUNDS = 10_000

AllOption = Annotated[bool, typer.Option("--all", help="Every detector that has a synthesizer.")]
StaleOption = Annotated[
    bool, typer.Option("--stale", help="Only where packages changed and it no longer passes; quiet.")
]
RoundsOption = Annotated[int | None, typer.Option(min=1, help="Rounds of the search.  [default: no cap]")]
MinutesOption = Annotated[
    float | None, typer.Option(min=0, help="Time of the search for each detector.  [default: 10]")
]
JobsOption = Annotated[int | None, typer.Option(min=1, help="Cores to use.  [default: all that are given]")]


def refine(
    name: Annotated[str | None, typer.Argument(help="The detector, as in `llmdas-agent list`.")] = None,
    all_: AllOption = False,
    stale: StaleOption = False,
    rounds: RoundsOption = None,
    minutes: MinutesOption = None,
    jobs: JobsOption = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    max_cost: MaxCostOption = None,
    max_tokens: MaxTokensOption = None,
    seed: RunSeedOption = None,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an earlier run.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Search for a better program than the one that is registered.

    \b
    Examples:
      llmdas-agent refine iforest
      llmdas-agent refine iforest --minutes 60 --jobs 4
      llmdas-agent refine iforest --model openai:gpt-4o-mini --max-cost 0.50
      llmdas-agent refine --all --stale
      llmdas-agent refine --resume refine-iforest-20260101-120000-ab12

    Programs are made from better ones: by mutation and recombination, or by the chat model of --model.
    Their quality is measured on toy data held apart from what the proposer is told of. The best one takes the
    registered one's place only when it passes every check and is better beyond chance, on seeds that
    the search has never used; `llmdas-agent rollback` takes that back. The same --seed and --rounds give the
    same result with any number of --jobs. With --all, --rounds and --minutes are for each detector,
    --max-cost and --max-tokens for all together. Exit code 0: replaced or kept. 5: the registered one does
    not pass, and nothing better was found. 9: another refinement is at work.
    """
    if sum((name is not None, all_, resume is not None)) != 1 or (stale and resume is not None):
        raise typer.BadParameter("give a name, --all, or --resume RUN")
    from ..verification.threads import at_most

    seconds = None if minutes is None else 60 * minutes
    with at_most(jobs):
        if resume is not None:
            require_new(seed=seed)
            outcomes = [_resumed(resume, rounds, seconds, model, base_url, max_cost, max_tokens)]
        else:
            from ..config import Budget

            budget = Budget(rounds or _ANY_ROUNDS, 60 * MINUTES if seconds is None else seconds)
            budget = replace(budget, max_cost=max_cost, max_tokens=max_tokens)
            settings = _settings(model, base_url)
            if name is None:
                outcomes = _refine_all(settings, seed or 0, budget, stale=stale)
            else:
                outcomes = [_refine_one(name, settings, seed or 0, budget, stale=stale)]
    if as_json:
        emit_json(outcomes[0] if name or resume else {"detectors": outcomes})
    else:
        for outcome in outcomes:
            print_outcome(outcome, brief=all_)
    _exit_by(outcomes)


def rollback(
    name: Annotated[str, typer.Argument(help="The detector, as in `llmdas-agent list`.")],
    as_json: JsonOption = False,
) -> None:
    """Take back the last registration: the synthesizer that it replaced serves again.

    \b
    Examples:
      llmdas-agent rollback iforest

    Nothing is deleted. The one before a first registration is that of the package or of a plugin, if there is
    one.
    """
    from ..registry import Registry

    serving = Registry().rollback(name)
    if as_json:
        data = {"name": name, "origin": serving.origin, "digest": serving.proposal.program.digest}
        emit_json(data | {"strategy": serving.proposal.strategy, "folder": str(serving.folder)})
        return
    typer.echo(f"'{name}' is {serving.origin} again: {serving.proposal.strategy}, in {serving.folder}")


def refine_registered(
    name: str, settings: ModelSettings | None, *, seed: int, budget: Budget, quiet: bool = False
) -> dict[str, Any]:
    """Refine a registered synthesizer before the user's eyes, and return its outcome as plain data.

    Parameters
    ----------
    name : str
        The detector's.
    settings : ModelSettings or None
        The chat model; None for the embedded breeder.
    seed : int
        Of the search.
    budget : Budget
        What it may spend.
    quiet : bool
        Whether nothing is shown.
    """
    folder, improver = _begin(name, settings, seed, budget)
    return _walk(folder, improver, settings, quiet=quiet)


def _begin(
    name: str, settings: ModelSettings | None, seed: int, budget: Budget
) -> tuple[RunFolder, Improver]:
    """Make a new run and who writes its programs; where that cannot be done, nothing stays behind."""
    import shutil

    from ..agent import refinement
    from ..registry import Registry

    folder = refinement.begin(
        Registry().get(name),
        improver=settings.id if settings else "embedded",
        seed=seed,
        budget=budget,
        model=settings.as_dict() if settings else None,
    )
    try:
        return folder, _improver(folder, settings)
    except BaseException:
        shutil.rmtree(folder.path)
        raise


def _settings(model: str | None, base_url: str | None) -> ModelSettings | None:
    from ..agent.settings import resolve

    return resolve(model, base_url)


def _improver(folder: RunFolder, settings: ModelSettings | None) -> Improver:
    if settings is None:
        from ..agent.refinement.breeding import Breeder

        return Breeder()
    from ..agent.refinement.asking import ChatImprover
    from ..agent.settings import withdraw_keys

    improver = ChatImprover(settings, folder)
    withdraw_keys(tracing=False)
    return improver


def _resumed(
    run: str,
    rounds: int | None,
    seconds: float | None,
    model: str | None,
    base_url: str | None,
    max_cost: float | None,
    max_tokens: int | None,
) -> dict[str, Any]:
    from ..agent.runs import RunFolder
    from ..agent.settings import resolve

    folder = RunFolder.find(run)
    if not folder.refines:
        hint = f"`llmdas-agent add-detector --resume {folder.id}` goes on with it"
        raise InputError("is no refinement", where=str(folder.path), hint=hint)
    caps = {"max_rounds": rounds, "max_seconds": seconds, "max_cost": max_cost, "max_tokens": max_tokens}
    kept, settings = folder.model, None
    if kept is not None:
        settings = resolve(model or kept["model"], base_url or kept["base_url"], begun_with=kept)
    elif model or base_url:
        raise typer.BadParameter("this run was begun without a chat model")
    folder.allow(**caps)
    # the improver refuses a cap that it cannot hold; the walk writes down what it did not refuse
    return _walk(folder, _improver(folder, settings), settings)


def _refine_one(
    name: str, settings: ModelSettings | None, seed: int, budget: Budget, *, stale: bool
) -> dict[str, Any]:
    standing = _standing(name) if stale else None
    return standing or refine_registered(name, settings, seed=seed, budget=budget, quiet=stale)


def _standing(name: str) -> dict[str, Any] | None:
    """Return how a synthesizer stands under what is installed now; None where it no longer passes."""
    from ..agent.refinement.stale import standing
    from ..registry import Registry

    found = standing(Registry().get(name))
    if found.word == "fails":
        return None
    return {"detector": name, "status": found.word, "reason": found.reason}


def _refine_all(
    settings: ModelSettings | None, seed: int, budget: Budget, *, stale: bool
) -> list[dict[str, Any]]:
    """Refine one after the other; what cannot be done for one detector is told, and the others go on."""
    from ..agent.runs import only_one
    from ..agent.spending import Spending, left, spent
    from ..config import data_dir
    from ..registry import Registry

    outcomes, used = [], Spending()
    with only_one(data_dir() / "runs" / ".refine-all.lock", "refinement of all detectors"):
        for name in Registry().names():
            folder = None
            try:
                outcome = _standing(name) if stale else None
                if outcome is None:
                    folder, improver = _begin(name, settings, seed, left(budget, used))
                    outcome = _walk(folder, improver, settings, quiet=stale)
            except LlmdasError as error:
                outcome = {"detector": name, "status": "error", "reason": str(error)}
                outcome["exit_code"] = error.exit_code
            if folder is not None:
                used += spent(folder.outbox)
            outcomes.append(outcome)
    return outcomes


def _walk(
    folder: RunFolder, improver: Improver, settings: ModelSettings | None, *, quiet: bool = False
) -> dict[str, Any]:
    """Refine before the user's eyes; where it is interrupted, say how to go on."""
    from ..agent import refinement
    from .refine_view import RefineView

    screen = console(stderr=True)
    view = RefineView(screen, folder.detector)
    watching: AbstractContextManager[object] = nullcontext() if quiet else view
    listen: Listener | None = None if quiet else view
    try:
        with watching:
            if settings is not None and listen is not None:
                _tell_estimate(folder, improver, settings, listen)
            return _as_data(folder, refinement.refine(folder, improver, listen=listen))
    except (KeyboardInterrupt, LlmdasError) as error:
        go_on = f"nothing is lost, go on with: llmdas-agent refine --resume {folder.id}"
        screen.print(go_on, soft_wrap=True)
        if isinstance(error, LlmdasError):
            raise
        raise typer.Exit(130) from None


def _tell_estimate(folder: RunFolder, improver: Improver, settings: ModelSettings, listen: Listener) -> None:
    """Say what a chat model may cost before it is asked."""
    from ..agent.chat import ChatProposer
    from ..agent.estimate import estimate
    from ..agent.refinement.search import CHILDREN
    from ..agent.runs import Event
    from ..config import Budget

    if isinstance(improver, ChatProposer):
        about = estimate(improver, settings, folder.card(), Budget(max_rounds=CHILDREN))
        listen(Event("estimate", f"about {about} a round", about.as_dict()))


def _as_data(folder: RunFolder, outcome: Outcome) -> dict[str, Any]:
    return {"detector": folder.detector, "run": str(folder.path), **asdict(outcome)}


def print_outcome(outcome: dict[str, Any], *, brief: bool = False) -> None:
    """Print how a refinement ended, in one line where that is enough."""
    from rich.markup import escape

    screen, status = console(), outcome["status"]
    if status == "unchanged":
        if not brief:
            screen.print(f"{outcome['detector']}  nothing that its report depends on has changed")
        return
    colour = {"replaced": "green", "failing": "red", "error": "red"}.get(status, "bold")
    told = f"[bold]{outcome['detector']}[/]  [{colour}]{status}[/]  {escape(outcome['reason'])}"
    screen.print(told, soft_wrap=True)
    if brief or "run" not in outcome:
        return
    counts = f"{outcome['rounds']} rounds, {outcome['valid']} of {outcome['programs']} programs valid"
    screen.print(f"search      {counts}, {outcome['seconds']:.0f} s; {escape(outcome['stopped'])}")
    if outcome["before"] is not None and outcome["after"] is not None:
        screen.print(f"quality     {outcome['before']:.4f} → {outcome['after']:.4f} in the search")
    if outcome["spending"]:
        screen.print(f"spent       {_spent(outcome['spending'])}")
    screen.print(f"report      {escape(outcome['run'])}/report.html", soft_wrap=True)
    if status == "replaced":
        screen.print(f"\nBack:\n  llmdas-agent rollback {outcome['detector']}")


def _spent(spending: dict[str, Any]) -> str:
    from decimal import Decimal

    from ..agent.spending import dollars

    cost = spending["cost_usd"]
    tokens = spending["tokens_read"] + spending["tokens_written"]
    return f"{tokens:,} tokens, {dollars(None if cost is None else Decimal(str(cost)))}"


def _exit_by(outcomes: list[dict[str, Any]]) -> None:
    """End with the code of the first error, or with that of a synthesizer that does not pass."""
    for outcome in outcomes:
        if outcome["status"] == "error":
            sys.stderr.write(f"error: {outcome['detector']}: {outcome['reason']}\n")
            raise typer.Exit(outcome["exit_code"])
    if any(outcome["status"] == "failing" for outcome in outcomes):
        raise typer.Exit(NotAcceptedError.exit_code)
