"""Models side by side: each cell for itself, together within the caps, and nothing paid twice."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from chat_replies import BROKEN, CARD, COPIES, reply
from fake_server import by_turn, says, serve

from llmdas_agent.agent.comparison import Cell, Comparison
from llmdas_agent.agent.replay import replay
from llmdas_agent.agent.runs import RunFolder
from llmdas_agent.agent.side_by_side import walk
from llmdas_agent.agent.spending import Spending
from llmdas_agent.cli.compare import _by_model, _write
from llmdas_agent.config import Budget
from llmdas_agent.errors import InputError, UnknownNameError
from llmdas_agent.registry import Registry

Command = Callable[..., tuple[int, str, str]]
USAGE = {"prompt_tokens": 4000, "completion_tokens": 1000}

pytestmark = pytest.mark.usefixtures("few_scenarios")


def test_a_cell_that_fails_is_a_line_of_the_table(
    command: Command, card_file: Path, tmp_path: Path, home: Path
) -> None:
    with serve(says("a")) as gone:
        dead = f"openai:lost@{gone.url}"
    with serve(by_turn(reply(BROKEN), reply(COPIES))) as server:
        models = f"embedded,fake@{server.url},{dead},openai:gpt-4o-mini"
        flags = ("--detectors", f"pca,{card_file}", "--max-rounds", "2", "--output", tmp_path / "tables")
        code, out, err = command("compare", "--models", models, *flags, "--json")
        assert code == 0, err
        found = json.loads(out)
        cells = {(one["detector"], one["model"].partition("@")[0]): one for one in found["cells"]}
        assert [name for _, name in cells] == ["embedded", "fake", "openai:lost", "openai:gpt-4o-mini"] * 2
        for detector in ("pca", "mine"):
            assert cells[detector, "embedded"]["status"] in ("accepted", "exhausted")
            assert (cells[detector, "embedded"]["requests"], cells[detector, "embedded"]["cost_usd"]) == (
                0,
                0,
            )
            told = cells[detector, "fake"]
            assert (told["status"], told["rounds"], told["requests"]) == ("exhausted", 2, 2)
            assert told["cost_usd"] is None
            assert cells[detector, "openai:lost"]["status"] == "error"
            assert "nothing answers at this address" in cells[detector, "openai:lost"]["reason"]
            assert cells[detector, "openai:gpt-4o-mini"]["status"] == "error"
            assert "no key for OpenAI's server" in cells[detector, "openai:gpt-4o-mini"]["reason"]
        assert len(server.asked) == 4
        assert err.index("estimate  ") < err.index("cell  embedded for pca")

        # a run folder like any other, and the user's registry as it was
        folder = RunFolder.find(cells["mine", "fake"]["run"])
        assert all(one.same for one in replay(folder))
        assert not (home / "synthesizers").exists()
        assert Registry().get("pca").origin == "shipped"

        # once more: what has ended stays, what could not be is tried again
        code, again, err = command("compare", "--resume", Path(found["comparison"]).name)
        assert code == 0, err
        assert len(server.asked) == 4
    assert "error  openai:gpt-4o-mini for mine: LLMDAS_API_KEY, OPENAI_API_KEY: no key" in again
    assert re.search(r"mine +fake@\S+ +exhausted +2 +2 +2 \+ 2 +unpriced +- ", again)
    assert re.search(r"fake@\S+ +0 of 2 +- +4 +4 \+ 4 +unpriced +- ", again)

    lines = list(csv.DictReader((tmp_path / "tables" / "comparison.csv").open(encoding="utf-8")))
    assert [(one["detector"], one["model"]) for one in lines] == [
        (one["detector"], one["model"]) for one in found["cells"]
    ]
    assert {one["cost_usd"] for one in lines if one["model"].startswith("fake")} == {"unpriced"}
    markdown = (tmp_path / "tables" / "comparison.md").read_text(encoding="utf-8")
    assert markdown.count("| detector |") == 1
    assert "nothing answers at this address" in markdown


def test_when_no_cell_can_be_walked_the_exit_code_says_so(command: Command) -> None:
    code, out, _ = command("compare", "--models", "a@http://127.0.0.1:9/v1", "--detectors", "pca", "--json")
    assert code == 12
    assert json.loads(out)["cells"][0]["status"] == "error"


def test_the_caps_are_for_all_cells_together() -> None:
    with serve(says(reply(COPIES), usage=USAGE)) as server:
        models = [f"{name}@{server.url}" for name in ("one", "two")]
        cap = 36_000
        comparison = Comparison.create(models, [CARD], budget=Budget(max_rounds=3, max_tokens=cap))
        first, second = walk(comparison)
        assert (first.status, second.status) == ("exhausted", "budget_exceeded")
        assert first.spending.tokens + second.spending.tokens <= cap
        asked = len(server.asked)
        assert asked == first.spending.requests + second.spending.requests < 6

        comparison.allow(max_cost=None, max_tokens=10 * cap)
        first, second = walk(Comparison.find(comparison.id))
        assert (first.status, second.status) == ("exhausted", "exhausted")
        assert len(server.asked) == 6, "the higher cap goes on, and asks nothing twice"


def test_a_cap_that_is_not_named_stays() -> None:
    comparison = Comparison.create(["embedded"], [CARD], budget=Budget(max_tokens=5))
    comparison.allow(max_cost=1.5, max_tokens=None)
    assert Comparison.find(comparison.id).budget == Budget(max_cost=1.5, max_tokens=5)


def test_rounds_time_and_address_of_a_comparison_that_goes_on(command: Command, card_file: Path) -> None:
    with serve(says(reply(COPIES))) as server:
        flags = ("--models", "fake", "--detectors", card_file, "--base-url", server.url, "--json")
        found = json.loads(command("compare", *flags, "--max-rounds", "1")[1])
    name, run = Path(found["comparison"]).name, RunFolder.find(found["cells"][0]["run"])
    code, _, err = command("compare", "--resume", name, "--seed", "1")
    assert (code, "--seed cannot be given with --resume" in err) == (2, True)
    with serve(by_turn(reply(COPIES), reply(BROKEN))) as moved:
        more = ("--max-rounds", "2", "--max-time", "500", "--base-url", moved.url, "--json")
        cell = json.loads(command("compare", "--resume", name, *more)[1])["cells"][0]
        assert (cell["status"], cell["rounds"], len(moved.asked)) == ("exhausted", 2, 1)
    assert Comparison.find(name).budget == RunFolder(run.path).budget == Budget(2, 500.0)


@pytest.mark.parametrize(
    ("variable", "sent"), [("OPENAI_API_KEY", None), ("LLMDAS_API_KEY", "Bearer sk-canary")]
)
def test_openais_key_goes_to_no_other_server(
    variable: str, sent: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(says(reply(COPIES))) as server, monkeypatch.context() as environment:
        environment.setenv(variable, "sk-canary")
        comparison = Comparison.create([f"a@{server.url}"], [CARD], budget=Budget(max_rounds=1))
        (cell,) = walk(comparison)
        assert cell.status == "exhausted"
        assert variable not in os.environ, "no child of the run inherits it"
    assert server.asked[0].headers.get("authorization") == sent
    written = [path for path in comparison.path.rglob("*") if path.is_file()]
    assert not [path for path in written if b"sk-canary" in path.read_bytes()]


def test_what_cannot_be_compared(command: Command, home: Path) -> None:
    assert command("compare", "--models", "embedded")[0] == 2
    assert command("compare", "--models", "embedded", "--detectors", "pca", "--resume", "x")[0] == 2
    code, _, err = command("compare", "--models", "embedded", "--detectors", "pcs")
    assert (code, "Did you mean 'pca'?" in err) == (4, True)
    with pytest.raises(InputError, match="'embedded' is named twice"):
        Comparison.create(["embedded", "embedded"], [CARD])
    with pytest.raises(InputError, match="no detector is named"):
        Comparison.create(["embedded"], [])
    with pytest.raises(UnknownNameError, match="there is no comparison 'x'"):
        Comparison.find("x")
    assert not (home / "comparisons").exists()


def test_what_one_cell_cannot_say_the_sum_cannot(tmp_path: Path) -> None:
    def cell(model: str, quality: float | None, cost: Decimal | None) -> Cell:
        status = "exhausted" if quality is None else "accepted"
        spending = Spending(1, 10, 5, cost)
        return Cell("pca", model, status, "a|b", 3, spending, quality, 2.0, tmp_path)  # type: ignore[arg-type]

    cells = [cell("a", 0.8, Decimal("0.25")), cell("a", None, Decimal("0.5")), cell("b", 0.6, None)]
    first, second = _by_model(cells)
    assert (first["accepted"], first["quality"], first["cost_usd"]) == (1, 0.8, 0.75)
    assert (second["quality"], second["cost_usd"]) == (0.6, None)
    _write(tmp_path, [*cells, cell("c|d", None, Decimal(0))])
    markdown = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "| pca | a | accepted | 3 | 1 | 10 + 5 | $0.2500 | 0.800 | 2 |" in markdown
    assert "| b | 1 of 1 | 3.0 | 1 | 10 + 5 | unpriced | 0.600 | 2 |" in markdown
    assert "c\\|d" in markdown


KILLED = """
import os, pathlib, signal, sys
from functools import partial
# once, not in every child
import langchain_openai
import pyod.models.pca
import llmdas_agent.verification.html
from llmdas_agent.agent import steps
from llmdas_agent.agent.comparison import Comparison
from llmdas_agent.agent.side_by_side import walk
from llmdas_agent.cards import load_card
from llmdas_agent.config import Budget
from llmdas_agent.verification import SCENARIOS, ToyBench

home, url, card = sys.argv[1:]
steps.ToyBench = partial(ToyBench, scenarios=SCENARIOS[:1])
written = pathlib.Path.replace

def child(last):
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    made = sorted(pathlib.Path(os.environ["LLMDAS_HOME"], "comparisons").glob("compare-*/comparison.json"))
    models = ["one@" + url, "two@" + url]
    comparison = (
        Comparison(made[0].parent)
        if made
        else Comparison.create(models, [load_card(card)], budget=Budget(max_rounds=2))
    )
    left = last
    def replace(self, target):
        nonlocal left
        done = written(self, target)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    pathlib.Path.replace = replace
    cells = list(walk(comparison))
    os._exit(0 if [cell.status for cell in cells] == ["exhausted"] * 2 else 1)

walks, last = 0, 2
while True:
    os.environ["LLMDAS_HOME"] = os.path.join(home, str(walks))
    ended = child(last)
    walks += 1
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    # and killed once more on the way on
    assert child(3) in (0, -signal.SIGKILL)
    ended = child(0)
    assert ended == 0, (last, ended)
    last += 7
print(walks)
"""


@pytest.mark.timeout(900)
def test_a_comparison_killed_on_its_way_pays_nothing_twice(tmp_path: Path, card_file: Path) -> None:
    with serve(by_turn(reply(BROKEN), reply(COPIES))) as server:
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path), server.url, str(card_file)],
            capture_output=True,
            text=True,
            timeout=880,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert ended.returncode == 0, ended.stderr
        walks = int(ended.stdout)
        assert walks >= 6
        # a request that was kept but whose answer was not may have left: it is asked again, and that is all
        assert len(server.asked) == 4 * walks
