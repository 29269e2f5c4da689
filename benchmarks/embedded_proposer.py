"""What the embedded proposer finds for PyOD's detectors: the main job on their cards, in homes of their own.

    python benchmarks/embedded_proposer.py [--detectors abod knn] [--cache FOLDER] [--output FILE]

A run that is in the cache is not made again: empty it after a change to strategies, scenarios or checks.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DETECTORS = (
    *("abod", "cblof", "cd", "cof", "copod", "ecod", "gmm", "hbos", "hdbscan", "iforest", "inne", "kde"),
    *("knn", "kpca", "loda", "lof", "mcd", "ocsvm", "pca", "qmcd", "sampling", "sod", "sos"),
)
ASKED_ROUNDS, ASKED_SECONDS, ASKED_SHARE = 3, 30, 0.9


def main() -> None:
    asked = _arguments()
    asked.cache.mkdir(parents=True, exist_ok=True)
    found = []
    for name in asked.detectors:
        kept = asked.cache / f"{name}.json"
        if not kept.exists():
            kept.write_text(json.dumps(_measured(name)), encoding="utf-8")
        found.append(json.loads(kept.read_text(encoding="utf-8")))
        print(_row(found[-1]), flush=True)
    text = _report(found)
    print(text)
    if asked.output:
        asked.output.write_text(text, encoding="utf-8")


def _measured(name: str) -> dict[str, Any]:
    """Do the main job for one detector, as ``add-detector`` does."""
    from llmdas_agent.agent import graph
    from llmdas_agent.agent.embedded import EmbeddedProposer
    from llmdas_agent.cards import load_card

    places = (ROOT / "examples" / "cards", ROOT / "detector_cards")
    card = load_card(next(path for place in places if (path := place / f"{name}.yaml").exists()))
    proposer = EmbeddedProposer()
    with tempfile.TemporaryDirectory() as home:
        os.environ["LLMDAS_HOME"] = home
        began = time.process_time()
        folder = graph.begin(card, proposer=proposer.name)
        result = graph.run(folder, proposer)
        profile = folder.profile()
        attempts = folder.attempts(upto=len(list((folder.path / "attempts").iterdir())))
        best = attempts[(result.best or len(attempts)) - 1]
        failed = [sorted({verdict.code for verdict in one.report.failures()}) for one in attempts]
        return {
            "name": name,
            "status": result.status,
            "reason": result.reason,
            "rounds": len(attempts),
            "seconds": result.seconds,
            "processor": time.process_time() - began,
            "strategy": best.proposal.strategy,
            "strength": best.proposal.strength,
            "score": best.report.score,
            "failed": [codes for codes in failed if codes],
            "notes": list(profile.notes),
            "blindest": [(one.family, one.auroc) for one in profile.families[:3]],
        }


def _report(found: list[dict[str, Any]]) -> str:
    accepted = [one for one in found if one["status"] == "accepted"]
    rounds, seconds, processor = (
        statistics.median(one[key] for one in found) for key in ("rounds", "seconds", "processor")
    )
    packages = ("llmdas-agent", "pyod", "scikit-learn", "numpy")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    lines = [
        "# What the embedded proposer finds",
        "",
        f"`python benchmarks/embedded_proposer.py`; {time.strftime('%Y-%m-%d')}, Python "
        f"{platform.python_version()}, {versions}; {len(os.sched_getaffinity(0))} cores.",
        "",
        f"**Accepted for {len(accepted)} of {len(found)} detectors** (asked: {ASKED_SHARE:.0%}), in a median "
        f"of {rounds:g} rounds (asked: at most {ASKED_ROUNDS}), {seconds:.0f} s by the clock (asked: at most "
        f"{ASKED_SECONDS}) and {processor:.0f} s of processor time beside the sandbox.",
        "",
        "Each run is what `llmdas-agent add-detector` does on the card with its defaults: probe, propose, "
        "run confined, check, revise, at most 8 programs.",
        "",
        "| detector | status | rounds | seconds | processor | strategy | strength | score | "
        "sees least (AUROC) | failed before |",
        "|---|---|---|---|---|---|---|---|---|---|",
        *(_row(one) for one in found),
    ]
    refused = [f"* {one['name']}: {one['reason']}." for one in found if one["status"] != "accepted"]
    notes = [f"* {one['name']}: {note}" for one in found for note in one["notes"]]
    for title, told in (("Where no strategy passed", refused), ("Scenarios left out", notes)):
        lines += ["", f"## {title}", "", *(told or ["None."])]
    return "\n".join(lines) + "\n"


def _row(one: dict[str, Any]) -> str:
    least = ", ".join(f"{family} {auroc:.2f}" for family, auroc in one["blindest"])
    failed = "; ".join(", ".join(codes) for codes in one["failed"])
    score = "" if one["score"] is None else f"{one['score']:.2f}"
    cells = (
        one["name"],
        one["status"],
        one["rounds"],
        f"{one['seconds']:.0f}",
        f"{one['processor']:.0f}",
        one["strategy"],
        f"{one['strength']:g}",
        score,
        least,
        failed,
    )
    return f"| {' | '.join(map(str, cells))} |"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--detectors", nargs="+", default=DETECTORS, choices=DETECTORS)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "embedded_proposer")
    parser.add_argument("--output", type=Path, help="where the report goes, Markdown")
    return parser.parse_args()


if __name__ == "__main__":
    main()
