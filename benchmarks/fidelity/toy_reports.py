"""The report on each program of the pool, for each detector: what is known of it without a real row.

    python benchmarks/fidelity/toy_reports.py [--cache /tmp/fidelity] [--detectors pca iforest ocsvm ecod]

A report that is in the cache is not made again: empty `toy/` there after a change to scenarios or checks.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from pool import DETECTORS, pool

from llmdas_agent.registry import resolve
from llmdas_agent.report import VerificationReport
from llmdas_agent.verification import ToyBench, verify


def report_file(cache: Path, detector: str, digest: str) -> Path:
    return cache / "toy" / detector / f"{digest}.json"


def load_report(cache: Path, detector: str, digest: str) -> VerificationReport:
    text = report_file(cache, detector, digest).read_text(encoding="utf-8")
    return VerificationReport.model_validate_json(text)


def main() -> None:
    asked = _arguments()
    for detector in asked.detectors:
        bench = ToyBench(resolve(detector))
        began = time.monotonic()
        for member in pool():
            kept = report_file(asked.cache, detector, member.program.digest)
            if kept.exists():
                continue
            report = verify(member.program, bench)
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(report.model_dump_json(), encoding="utf-8")
        print(f"{detector}: {time.monotonic() - began:.0f} s", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("/tmp/fidelity"))
    parser.add_argument("--detectors", nargs="+", default=DETECTORS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
