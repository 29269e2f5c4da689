"""What refinement gains: the embedded improver, for each shipped detector, for so many minutes.

    python benchmarks/refinement.py --minutes 10 --jobs 2 --output benchmarks/results/refinement
    python benchmarks/refinement.py --minutes 10 --jobs 2 --mediocre --output benchmarks/results/recovery

Each detector is refined in a registry of its own. Then the program that is registered at the end meets the
shipped one once more, on toy data held apart and under seeds that neither the search nor its duel has used:
quality before and after, and p-values of the paired tests. With ``--mediocre`` the search starts from a
program whose rows are far out on purpose, and the question is whether it reaches the shipped one again.

Writes ``refinement.md`` and ``refinement.csv``, and each detector's program and run folder beside them. What
is there already is not made again.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from llmdas_agent.agent.refinement import Arena, Duel, begin, refine
from llmdas_agent.agent.refinement.breeding import Breeder, Genome
from llmdas_agent.agent.refinement.duel import duel
from llmdas_agent.agent.runs import RunFolder
from llmdas_agent.cli.refine_view import RefineView
from llmdas_agent.config import Budget
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.registry import Registry
from llmdas_agent.synthesizer import Synthesizer
from llmdas_agent.verification import ToyBench, verify
from llmdas_agent.verification.threads import at_most

DETECTORS = ("pca", "iforest", "ocsvm", "ecod")
FAR_OUT = (6.0, 5.0, 4.0, 3.5, 3.0, 2.5)
LAST_LOOK = 1000
"""Stands for the duels that a run may have seen, so that the last look has seeds of its own."""


def main() -> None:
    options = read_options()
    os.environ["LLMDAS_HOME"] = str(options.output / "home")
    rows = []
    with at_most(options.jobs):
        for name in options.detectors.split(","):
            kept = options.output / f"{name}.json"
            if not kept.exists():
                row = refined(name, options)
                kept.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
            rows.append(json.loads(kept.read_text(encoding="utf-8")))
            write(rows, options)


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--detectors", default=",".join(DETECTORS), metavar="A,B,...")
    parser.add_argument("--minutes", type=float, default=10.0, help="time of the search for each detector")
    parser.add_argument("--jobs", type=int, default=None, help="cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mediocre", action="store_true", help="start from a poor program")
    parser.add_argument("--output", type=Path, required=True, help="folder for tables, programs and runs")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    return options


def refined(name: str, options: argparse.Namespace) -> dict[str, object]:
    shipped = Registry(options.output / "none").get(name)
    registry = Registry(options.output / "registry")
    source = DetectorSource.from_card(shipped.card)
    first = mediocre(shipped, options.seed) if options.mediocre else shipped
    folder = going(name) or begin(
        first, improver="embedded", seed=options.seed, budget=Budget(10_000, 60 * options.minutes)
    )
    if options.mediocre and name not in {path.name for path in registry.root.glob("*")}:
        registry.add(first)
    with RefineView(Console(stderr=True), name) as view:
        outcome = refine(folder, Breeder(), registry=registry, listen=view)
    last = registry.get(name).proposal.program
    (options.output / f"{name}.py").write_text(last.source, encoding="utf-8")
    row: dict[str, object] = {
        "detector": name,
        "status": outcome.status,
        "rounds": outcome.rounds,
        "programs": outcome.programs,
        "seconds": outcome.seconds,
        "search before": outcome.before,
        "search after": outcome.after,
    }
    if last == shipped.proposal.program:
        return row | {"reason": outcome.reason}
    apart = Arena().held_apart(source, options.seed, "duel", LAST_LOOK)
    met = duel(last, shipped.proposal.program, apart)
    return row | told(met) | {"reason": outcome.reason}


def going(name: str) -> RunFolder | None:
    """Return the run that an interrupted call began for a detector."""
    runs = sorted((Path(os.environ["LLMDAS_HOME"]) / "runs").glob(f"refine-{name}-*"))
    return RunFolder(runs[-1]) if runs else None


def mediocre(shipped: Synthesizer, seed: int) -> Synthesizer:
    """Return the program with the rows farthest out that still passes every check."""
    bench = ToyBench(DetectorSource.from_card(shipped.card), seed)
    for strength in FAR_OUT:
        proposal = Genome(("local_step", "outward"), strength, 0.0).proposal()
        report = verify(proposal.program, bench)
        if report.accepted:
            return replace(shipped, proposal=proposal, report=report, origin="registered", folder=None)
    raise SystemExit(f"{shipped.name}: no program that is far out passes")


def told(met: Duel) -> dict[str, object]:
    pairs = len(met.incumbent)
    return {
        "pairs": pairs,
        "shipped": sum(met.incumbent.values()) / pairs,
        "refined": sum(met.challenger.values()) / pairs,
        "gain": met.gain,
        "p (t)": met.p_value,
        "p (Wilcoxon)": met.p_wilcoxon,
    }


def write(rows: list[dict[str, object]], options: argparse.Namespace) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    lines = io.StringIO()
    writer = csv.DictWriter(lines, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (options.output / "refinement.csv").write_text(lines.getvalue(), encoding="utf-8")
    start = "a mediocre program" if options.mediocre else "the shipped program"
    head = (
        f"Embedded improver, from {start}, {options.minutes:g} minutes a detector, seed {options.seed}.\n"
        "`shipped`, `refined` and the p-values are of a last look on seeds that nothing else has used.\n\n"
    )
    shown = [name for name in columns if name != "reason"]
    table = [shown, ["---"] * len(shown), *([cell(row.get(name)) for name in shown] for row in rows)]
    reasons = "".join(f"\n* {row['detector']}: {row['reason']}" for row in rows)
    text = head + "".join(f"| {' | '.join(line)} |\n" for line in table) + reasons + "\n"
    (options.output / "refinement.md").write_text(text, encoding="utf-8")


def cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


if __name__ == "__main__":
    main()
