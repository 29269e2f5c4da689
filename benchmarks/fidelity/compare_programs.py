"""What given programs bring a detector on real sets: AUC-PR of the light join, beside the detector's own.

    python benchmarks/fidelity/compare_programs.py FOLDER --seeds 0 1 2 ecod=old.py ecod=new.py [pca=...]

As in `real_gains.py`: training rows capped at 1,200, test rows at 3,000, drawn by the seed. Means over the
sets, for each half of them and for all.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pool import Member
from real_gains import RealSet

from llmdas_agent.benchmark.datasets import find_datasets, load_dataset
from llmdas_agent.benchmark.protocol import one_class_split
from llmdas_agent.programs import SynthesisProgram


def main() -> None:
    asked = _arguments()
    warnings.simplefilter("ignore")
    given = [one.partition("=")[::2] for one in asked.programs]
    members = [
        (name, Member(path, "given", SynthesisProgram(Path(path).read_text(encoding="utf-8"))))
        for name, path in given
    ]
    paths = find_datasets(asked.folder)
    found = np.array([_measured(path, seed, members) for seed in asked.seeds for path in paths])
    # axes: seed, set, program, detector alone and joined
    found = found.reshape(len(asked.seeds), len(paths), len(members), 2)
    print("| detector | program | seed | half | alone | joined |\n|---|---|---|---|---|---|")
    for k, (name, path) in enumerate(given):
        for i, seed in enumerate(asked.seeds):
            for half, chosen in {"a": slice(0, None, 2), "b": slice(1, None, 2), "all": slice(None)}.items():
                alone, joined = found[i, chosen, k].mean(axis=0)
                print(f"| {name} | {path} | {seed} | {half} | {alone:.4f} | {joined:.4f} |")


def _measured(path: Path, seed: int, members: Sequence[tuple[str, Member]]) -> list[tuple[float, float]]:
    real = RealSet(one_class_split(load_dataset(path)), seed)
    alone = real.base_precision()
    return [(alone[name], alone[name] + real.gain(member, name)) for name, member in members]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("programs", nargs="+", metavar="DETECTOR=FILE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    return parser.parse_args()


if __name__ == "__main__":
    main()
