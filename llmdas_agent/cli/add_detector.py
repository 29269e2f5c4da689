"""``add-detector``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BudgetExceededError, ChatModelError, InputError, NotAcceptedError
from .output import (
    BaseUrlOption,
    JsonOption,
    MaxCostOption,
    MaxTokensOption,
    ModelOption,
    RunSeedOption,
    checks_table,
    console,
    emit_json,
    require_new,
)

if TYPE_CHECKING:
    from ..agent.proposers import Proposer
    from ..agent.runs import Result, RunFolder
    from ..agent.settings import ModelSettings
    from .live import LiveView

__all__ = ["add_detector"]

ProposerOption = Annotated[
    str | None, typer.Option("--proposer", metavar="NAME", help="One that a plugin brings, or embedded.")
]
RoundsOption = Annotated[int | None, typer.Option(min=1, help="Programs that may be proposed.  [default: 8]")]
TimeOption = Annotated[
    float | None, typer.Option(min=1, help="Seconds that the run may take.  [default: 600]")
]
CandidatesOption = Annotated[
    int | None,
    typer.Option(min=1, help="Programs asked for side by side; the best verified one wins.  [default: 1]"),
]
RefineOption = Annotated[
    bool, typer.Option("--refine", help="Then search for a better one, as `llmdas-agent refine` does.")
]
TracingOption = Annotated[
    bool, typer.Option("--tracing", help="Let the tracing service of the environment see the conversation.")
]


def add_detector(
    card: Annotated[Path | None, typer.Argument(help="The detector's card, a YAML file.")] = None,
    max_rounds: RoundsOption = None,
    max_time: TimeOption = None,
    model: ModelOption = None,
    base_url: BaseUrlOption = None,
    proposer: ProposerOption = None,
    candidates: CandidatesOption = None,
    max_cost: MaxCostOption = None,
    max_tokens: MaxTokensOption = None,
    tracing: TracingOption = False,
    refine: RefineOption = False,
    resume: Annotated[str | None, typer.Option(metavar="RUN", help="Go on with an interrupted run.")] = None,
    seed: RunSeedOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a card into a verified synthesizer.

    \b
    Examples:
      llmdas-agent add-detector my_card.yaml
      llmdas-agent add-detector my_card.yaml --max-rounds 20 --max-time 300
      llmdas-agent add-detector my_card.yaml --model openai:gpt-4o-mini --max-cost 0.05
      llmdas-agent add-detector my_card.yaml --model openai:qwen2.5-coder --base-url http://localhost:11434/v1
      llmdas-agent add-detector --resume hbos-20260101-120000-ab12

    Measures what the detector misses on toy data, proposes a program that makes such rows, runs it confined,
    checks it, and revises it until it passes. The programs come from the embedded proposer, which needs no
    model, or from the chat model of --model, LLMDAS_MODEL or config.toml. Exit code 0: accepted and
    registered. 5: no program passed, 6: time, tokens or money are spent; then nothing is registered
    and the best attempt is kept to look at. 12: the chat model cannot be reached; the run can be resumed.
    --resume with higher caps on rounds, time, tokens or cost goes on with a run that found no program.
    """
    if (card is None) == (resume is None):
        raise typer.BadParameter("give a card, or --resume RUN")
    if refine and (resume or proposer):
        raise typer.BadParameter("--refine goes with a card, and with a chat model or none")
    caps = {"max_rounds": max_rounds, "max_seconds": max_time, "max_cost": max_cost, "max_tokens": max_tokens}
    settings = None
    if resume is not None:
        require_new(proposer=proposer, candidates=candidates, seed=seed)
        folder, writer = _resumed(resume, model, base_url, caps, tracing=tracing)
    else:
        assert card is not None
        settings = _settings(model, base_url) if refine else None
        new = (candidates or 1, seed or 0, caps)
        folder, writer = _begin(card, model, base_url, proposer, *new, tracing=tracing)
    result = _walk(folder, writer, new=resume is None)
    data = _as_data(folder, result) if as_json else {}
    if not as_json:
        _print_result(folder, result)
    if refine and result.status == "accepted":
        data["refinement"] = _refine(folder, settings, tell=not as_json)
    if as_json:
        emit_json(data)
    _exit_by(result)


def _begin(
    card: Path,
    model: str | None,
    base_url: str | None,
    proposer: str | None,
    candidates: int,
    seed: int,
    caps: dict[str, float | None],
    *,
    tracing: bool,
) -> tuple[RunFolder, Proposer]:
    """Make a new run and who writes its programs; where that cannot be done, nothing stays behind."""
    import shutil

    from ..agent import graph
    from ..agent.named import named_proposer
    from ..agent.runs import changed
    from ..agent.settings import resolve
    from ..cards import load_card
    from ..config import Budget
    from ..detectors import DetectorSource

    if proposer is not None and (model or base_url):
        raise typer.BadParameter("give --proposer or a chat model, not both")
    settings = resolve(model, base_url) if proposer is None else None
    if candidates > 1 and settings is None:
        raise typer.BadParameter("--candidates needs a chat model: name one with --model")
    folder = graph.create(
        load_card(card),
        proposer=settings.id if settings else named_proposer(proposer or "embedded").name,
        seed=seed,
        budget=changed(Budget(), **caps),
        candidates=candidates,
        model=settings.as_dict() if settings else None,
    )
    try:
        writer = _proposer_of(folder, model, base_url, tracing=tracing)
        DetectorSource.from_card(folder.card()).try_out()
    except BaseException:
        shutil.rmtree(folder.path)
        raise
    return folder, writer


def _resumed(
    run: str, model: str | None, base_url: str | None, caps: dict[str, float | None], *, tracing: bool
) -> tuple[RunFolder, Proposer]:
    """Return a run that goes on, allowed what these caps say, and who writes its programs."""
    from ..agent.runs import RunFolder

    folder = RunFolder.find(run)
    folder.allow(**caps)
    return folder, _proposer_of(folder, model, base_url, tracing=tracing)


def _proposer_of(folder: RunFolder, model: str | None, base_url: str | None, *, tracing: bool) -> Proposer:
    """Return who writes a run's programs, with its key; no code of the detector's may run before.

    The flags may name another model than the run was begun with.
    """
    from ..agent.chat import ChatProposer
    from ..agent.named import named_proposer
    from ..agent.settings import resolve, withdraw_keys

    kept = folder.model
    if kept is not None:
        settings = resolve(model or kept["model"], base_url or kept["base_url"], begun_with=kept)
        writer: Proposer = ChatProposer(settings, folder, tracing=tracing)
    elif model or base_url:
        raise typer.BadParameter("this run was begun without a chat model")
    else:
        writer = named_proposer(folder.proposer)
    withdraw_keys(tracing=tracing)
    return writer


def _walk(folder: RunFolder, writer: Proposer, *, new: bool) -> Result:
    """Walk the graph before the user's eyes; where it is interrupted, say how to go on."""
    if folder.refines:
        hint = f"`llmdas-agent refine --resume {folder.id}` goes on with it"
        raise InputError("is a refinement", where=str(folder.path), hint=hint)
    from ..agent import graph
    from .live import LiveView

    go_on = f"nothing is lost, go on with: llmdas-agent add-detector --resume {folder.id}"
    try:
        with LiveView(console(stderr=True)) as view:
            if new:
                _tell_estimate(folder, writer, view)
            return graph.run(folder, writer, listen=view)
    except KeyboardInterrupt:
        console(stderr=True).print(f"interrupted; {go_on}", soft_wrap=True)
        raise typer.Exit(130) from None
    except ChatModelError:
        console(stderr=True).print(go_on, soft_wrap=True)
        raise


def _tell_estimate(folder: RunFolder, writer: Proposer, view: LiveView) -> None:
    """Say what a chat model may cost before it is asked."""
    from ..agent.chat import ChatProposer
    from ..agent.estimate import estimate
    from ..agent.runs import Event
    from ..agent.settings import ModelSettings

    if folder.model is None or not isinstance(writer, ChatProposer):
        return
    model = ModelSettings.from_dict(folder.model)
    about = estimate(writer, model, folder.card(), folder.budget, folder.candidates)
    event = Event("estimate", f"about {about}, if every program is needed", about.as_dict())
    folder.record(event)
    view(event)


def _settings(model: str | None, base_url: str | None) -> ModelSettings | None:
    """Return the chat model with its key, before the key is taken from the environment."""
    from ..agent.settings import resolve

    return resolve(model, base_url)


def _refine(folder: RunFolder, settings: ModelSettings | None, *, tell: bool) -> dict[str, Any]:
    """Search for a better program than the one accepted, with what is left of the caps."""
    from dataclasses import replace

    from ..agent.spending import left, spent
    from .refine import MINUTES, print_outcome, refine_registered

    budget = left(folder.budget, spent(folder.outbox))
    budget = replace(budget, max_rounds=10_000, max_seconds=60 * MINUTES)
    outcome = refine_registered(folder.detector, settings, seed=folder.seed, budget=budget)
    if tell:
        print_outcome(outcome)
    return outcome


def _as_data(folder: RunFolder, result: Result) -> dict[str, Any]:
    report = folder.report(result.best).model_dump() if result.best else None
    proposal = folder.proposal(result.best) if result.best else None
    return {
        "status": result.status,
        "detector": folder.detector,
        "reason": result.reason,
        "rounds": len(list((folder.path / "attempts").glob("*"))),
        "seconds": result.seconds,
        "spending": result.spending,
        "run": str(folder.path),
        "program": str(folder.attempt_folder(result.best) / "program.py") if result.best else None,
        "html": str(folder.page) if folder.page.exists() else None,
        "strategy": proposal.strategy if proposal else None,
        "report": report,
    }


def _print_result(folder: RunFolder, result: Result) -> None:
    from rich.markup import escape

    from ..agent.spending import spent
    from ..registry import Registry

    screen = console()
    colour = "green" if result.status == "accepted" else "red"
    screen.print(f"\n[bold {colour}]{result.status}[/]  {escape(result.reason)} ({result.seconds:.0f} s)\n")
    if result.best is not None:
        screen.print(checks_table(folder.report(result.best)))
        proposal = folder.proposal(result.best)
        screen.print(f"\nblind spot  {escape(proposal.blind_spot)}")
        screen.print(f"borderline  {escape(proposal.borderline)}")
        screen.print(
            f"program     {escape(str(folder.attempt_folder(result.best) / 'program.py'))}", soft_wrap=True
        )
    total = spent(folder.outbox)
    if total.requests:
        screen.print(f"spent       {total}", soft_wrap=True)
    if folder.page.exists():
        screen.print(f"report      {escape(str(folder.page))}", soft_wrap=True)
    screen.print(f"run         {escape(str(folder.path))}", soft_wrap=True)
    if result.status == "accepted":
        name = folder.detector
        stored = Registry().get(name).folder
        screen.print(f"registered  {escape(str(stored))}", soft_wrap=True)
        screen.print("\nNext:", f"  llmdas-agent show {name}", sep="\n")
        screen.print(f"  llmdas-agent fit {name} YOUR_TABLE.csv --output model/")


def _exit_by(result: Result) -> None:
    ways = {"exhausted": NotAcceptedError, "budget_exceeded": BudgetExceededError}
    if result.status in ways:
        raise typer.Exit(ways[result.status].exit_code)
