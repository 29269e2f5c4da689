"""The corpus: programs in plain text, several in a file, each below a line ``==== its name``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
HEAD = "import numpy as np\ndef generate_hard_anomalies(n_samples, model, X_train, rng):\n"

LONG = {
    "@NEST@": "[" * 500 + "]" * 500,
    "@LONG@": "x = 1\n" * 20_000,
    "@MANY@": "x = 1\n" * 9_000,
    "@HEX@": "f" * 20_000,
    "@SUM@": "+".join(["1"] * 10_000),
    "@ATTRIBUTES@": ".a" * 5_000,
    "@FINALLY@": "\n".join(f"{' ' * i}try:\n{' ' * i} x = 1\n{' ' * i}finally:" for i in range(19))
    + "\n"
    + " " * 19
    + "x = 2",
    "@LAMBDAS@": "lambda: " * 500 + "0",
    "@COMPREHENSIONS@": "[" * 55 + "1" + " for _ in range(9)]" * 55,
    "@NUL@": "\0",
    "@SURROGATE@": "\ud800",
    "@UNARY@": "-" * 5_000,
    "@ELIF@": "if n_samples == 0:\n pass\n"
    + "\n".join(f"elif n_samples == {i}:\n pass" for i in range(1, 999)),
    "@FSTRINGS@": "f'{" * 30 + "1" + "}'" * 30,
}
"""What would be tiresome to read in the files."""


@dataclass(frozen=True)
class Entry:
    """One program of the corpus."""

    kind: str
    name: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.kind}: {self.name}"

    def source(self, places: dict[str, str] | None = None) -> str:
        """Return the program's source; a bare body becomes the body of the entry point."""
        text = self.text
        for mark, place in {**LONG, **(places or {})}.items():
            text = text.replace(mark, place)
        if "def generate_hard_anomalies" in text:
            return text
        if not text.splitlines()[-1].startswith("return"):
            text += "\nreturn X_train[:n_samples]"
        return HEAD + "".join(f"    {line}\n" for line in text.split("\n"))


def entries(kind: str) -> list[Entry]:
    """Return the programs of one file."""
    found = []
    for part in (CORPUS / f"{kind}.txt").read_text().split("==== ")[1:]:
        name, _, text = part.partition("\n")
        found.append(Entry(kind, name.strip(), text.strip("\n")))
    return found


def kinds() -> list[str]:
    """Return the kinds of hostile programs."""
    return sorted(path.stem for path in CORPUS.glob("*.txt") if path.stem != "benign")
