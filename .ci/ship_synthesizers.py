"""Make the shipped synthesizers anew: the main job on every card of `detector_cards`, into the package.

    python .ci/ship_synthesizers.py

Run it after a change to the strategies, the scenarios or the checks; the tests re-verify what it wrote.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    from llmdas_agent.agent import graph
    from llmdas_agent.agent.embedded import EmbeddedProposer
    from llmdas_agent.cards import load_card
    from llmdas_agent.registry import Registry

    for path in sorted((ROOT / "detector_cards").glob("*.yaml")):
        proposer = EmbeddedProposer()
        folder = graph.begin(load_card(path), proposer=proposer.name)
        result = graph.run(folder, proposer)
        print(f"{path.stem}: {result.status}, {result.reason}")
        if result.status != "accepted":
            sys.exit(1)
        made = Registry().get(path.stem).folder
        assert made is not None
        target = ROOT / "llmdas_agent" / "synthesizers" / path.stem
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(made, target)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["LLMDAS_HOME"] = home
        main()
