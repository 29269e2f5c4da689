"""What verification predicts: the score and the gates, known from toy data, against gains on real sets.

    python benchmarks/fidelity/fidelity.py FOLDER [--half b] [--seeds 3] [--output FILE]

`toy_reports.py` and `real_gains.py` fill the cache first. Gates and score were chosen on half a.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from pool import DETECTORS, Member, pool
from real_gains import gains_file
from scipy.stats import spearmanr
from toy_reports import load_report

from llmdas_agent.benchmark.datasets import find_datasets
from llmdas_agent.report import VerificationReport

LARGEST_LOSS = 0.03


@dataclass(frozen=True)
class Found:
    """The pool on one detector.

    Attributes
    ----------
    detector : str
    reports : list of VerificationReport
        One per program.
    gains : ndarray, shape (sets, programs)
        Real gains in AUC-PR, mean over seeds.
    """

    detector: str
    reports: list[VerificationReport]
    gains: np.ndarray

    @property
    def gain(self) -> np.ndarray:
        """Mean gain of each program."""
        return np.asarray(self.gains.mean(axis=0))

    @property
    def score(self) -> np.ndarray:
        """Verification score of each program."""
        return np.array([np.nan if report.score is None else report.score for report in self.reports])

    @property
    def passed(self) -> np.ndarray:
        """Whether each program passes."""
        return np.array([report.accepted for report in self.reports])


def main() -> None:
    asked = _arguments()
    members = pool()
    halves = {half: _load(asked, half, members) for half in asked.half}
    text = "\n\n".join(
        [_circumstances(asked, members)]
        + [_figures(half, found, members) for half, found in halves.items()]
        + ([_by_labels(*halves.values())] if len(halves) == 2 else [])
        + [_refusals(halves[asked.half[-1]], members), _programs(halves[asked.half[-1]], members)]
    )
    print(text)
    if asked.output:
        asked.output.write_text(text + "\n", encoding="utf-8")


def _load(asked: argparse.Namespace, half: str, members: list[Member]) -> list[Found]:
    paths = find_datasets(asked.folder)["ab".index(half) :: 2]
    by_seed = [
        [json.loads(gains_file(asked.cache, seed, path).read_text())["gain"] for path in paths]
        for seed in range(asked.seeds)
    ]
    found = []
    for detector in DETECTORS:
        reports = [load_report(asked.cache, detector, member.program.digest) for member in members]
        gains = np.array(
            [[[one[m.program.digest][detector] for m in members] for one in sets] for sets in by_seed]
        ).mean(axis=0)
        found.append(Found(detector, reports, gains))
    return found


def _figures(half: str, found: list[Found], members: list[Member]) -> str:
    bad = np.array([member.kind == "bad" for member in members])
    rows = [_row(one.detector, one.score, one.gain, one.passed, bad, one.gains) for one in found]
    score, gain = (np.mean([getattr(one, name) for one in found], axis=0) for name in ("score", "gain"))
    passed = np.mean([one.passed for one in found], axis=0) > 0.5
    rows.append(_row("mean of the four", score, gain, passed, bad, np.mean([o.gains for o in found], axis=0)))
    head = [
        f"## Half {half}: {found[0].gains.shape[0]} sets",
        "",
        *_head(
            "detector",
            "Spearman, all",
            "without bad",
            "among those that pass",
            "repeatability",
            "balanced accuracy",
            "passed",
            "gain of what passes",
            "of what fails",
            "worst that passes",
            "bad that pass",
        ),
    ]
    return "\n".join([*head, *rows])


def _row(
    name: str, score: np.ndarray, gain: np.ndarray, passed: np.ndarray, bad: np.ndarray, gains: np.ndarray
) -> str:
    up = gain > 0
    accuracy = (np.mean(passed[up]) + np.mean(~passed[~up])) / 2 if up.any() and not up.all() else np.nan
    cells = [
        f"{spearmanr(score, gain).statistic:+.2f}",
        f"{spearmanr(score[~bad], gain[~bad]).statistic:+.2f}",
        f"{spearmanr(score[passed], gain[passed]).statistic:+.2f}",
        f"{_repeatability(gains):+.2f}",
        f"{accuracy:.2f}",
        f"{passed.sum()} of {len(passed)}",
        f"{gain[passed].mean():+.4f}",
        f"{gain[~passed].mean():+.4f}",
        f"{gain[passed].min():+.4f}",
        f"{(passed & bad).sum()} of {bad.sum()}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _by_labels(one: list[Found], other: list[Found]) -> str:
    """Return how well the gains on one half rank those on the other: what a score can hope for."""
    lines = [
        "## What labels would have told",
        "",
        "Spearman correlation with mean gains on the second half, over the pool and among those that pass:",
        "of the score, which has seen toy data only, and of mean gains on the first half, seen with labels.",
        "",
        *_head("detector", "score, all", "first half, all", "score, passing", "first half, passing"),
    ]
    cases = [(b.detector, b.score, a.gain, b.gain, b.passed) for a, b in zip(one, other, strict=True)]
    score, first, second = (
        np.mean(rows, axis=0)
        for rows in ([b.score for b in other], [a.gain for a in one], [b.gain for b in other])
    )
    cases.append(("mean of the four", score, first, second, np.mean([b.passed for b in other], axis=0) > 0.5))
    for name, score, first, second, passed in cases:
        cells = [
            f"{spearmanr(by[kept], second[kept]).statistic:+.2f}"
            for kept in (np.full(len(passed), True), passed)
            for by in (score, first)
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _repeatability(gains: np.ndarray) -> float:
    """Return how mean gains on one half of the sets rank as on the other: mean over 100 random halves."""
    rng, found = np.random.default_rng(0), []
    for _ in range(100):
        order = rng.permutation(len(gains))
        one, other = np.array_split(order, 2)
        found.append(spearmanr(gains[one].mean(axis=0), gains[other].mean(axis=0)).statistic)
    return float(np.mean(found))


def _refusals(found: list[Found], members: list[Member]) -> str:
    lines = [
        "## Bad programs",
        "",
        "Checks that refuse each, with the number of the four detectors; in bold the ones it must fail by.",
        "",
        *_head("program", "refused by", "right reason", "mean gain"),
    ]
    for i, member in enumerate(members):
        if member.kind != "bad":
            continue
        failed = [{verdict.code for verdict in one.reports[i].failures()} for one in found]
        codes = sorted({code for codes in failed for code in codes})
        told = ", ".join(
            f"{'**' if code in member.reasons else ''}{code}{'**' if code in member.reasons else ''} "
            f"{sum(code in codes for codes in failed)}"
            for code in codes
        )
        right = sum(bool(member.reasons & codes) for codes in failed)
        gain = np.mean([one.gain[i] for one in found])
        lines.append(f"| {member.name} | {told} | {right} of {len(found)} | {gain:+.3f} |")
    return "\n".join(lines)


def _programs(found: list[Found], members: list[Member]) -> str:
    lines = [
        "## Every program",
        "",
        "Score and mean gain by detector; a cross marks one that is refused.",
        "",
        *_head("program", "kind", *(one.detector for one in found)),
    ]
    for i in np.argsort(-np.mean([one.gain for one in found], axis=0), kind="stable"):
        cells = [f"{o.score[i]:.2f} {o.gain[i]:+.3f}{'' if o.passed[i] else ' ✗'}" for o in found]
        lines.append(f"| {members[i].name} | {members[i].kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _head(*names: str) -> list[str]:
    return [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]


def _circumstances(asked: argparse.Namespace, members: list[Member]) -> str:
    packages = ("llmdas-agent", "numpy", "scikit-learn", "pyod")
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in packages)
    kinds = {
        kind: sum(member.kind == kind for member in members)
        for kind in ("shipped", "composed", "hidden", "naive", "bad")
    }
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return (
        f"# What verification predicts\n\n{len(members)} programs ({told}), {len(DETECTORS)} detectors, "
        f"{asked.seeds} seeds; {time.strftime('%Y-%m-%d')}.\nPython {platform.python_version()}, {versions}."
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=os.environ.get("LLMDAS_DATASETS"))
    parser.add_argument("--half", nargs="+", choices=("a", "b"), default=["a"])
    parser.add_argument("--seeds", type=int, default=3, help="mean over so many, from 0 on")
    parser.add_argument("--cache", type=Path, default=Path("/tmp/fidelity"))
    parser.add_argument("--output", type=Path, help="where the report goes, Markdown")
    asked = parser.parse_args()
    if asked.folder is None:
        parser.error("give a folder of data sets, or set LLMDAS_DATASETS")
    asked.folder = Path(asked.folder)
    return asked


if __name__ == "__main__":
    main()
