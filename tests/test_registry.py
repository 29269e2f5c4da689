"""The registry: whole or not at all, nothing lost, and every refusal says what to do."""

from __future__ import annotations

import errno
import json
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from sklearn.ensemble import IsolationForest

from llmdas_agent.cards import DetectorCard
from llmdas_agent.errors import ModelFolderError, NotAcceptedError, StorageError, UnknownNameError
from llmdas_agent.files import write_whole
from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.registry import Registry, resolve
from llmdas_agent.report import BlindSpotProfile, Verdict, VerificationReport
from llmdas_agent.synthesizer import Synthesizer


def make(name: str = "mine", source: str = "x = 1\n", *, passed: bool = True) -> Synthesizer:
    card = DetectorCard.model_validate(
        {
            "name": name,
            "full_name": "Mine",
            "build": {"class": "pyod.models.hbos.HBOS", "params": {"n_bins": 7}},
        }
    )
    program = SynthesisProgram(source)
    report = VerificationReport(
        detector=name,
        program_digest=program.digest,
        seed=0,
        verdicts=(Verdict(code="parse", passed=passed, message="parses", evidence={"lines": 1}),),
        complete=True,
        seconds=0.1,
        versions={"numpy": "2"},
    )
    return Synthesizer(
        name,
        card,
        Proposal(program, "combinations", "rows in between", "recombine", 1.5),
        report,
        BlindSpotProfile(detector=name, seed=0, families=()),
        {"proposer": "embedded", "seed": 0},
    )


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def test_what_is_added_comes_back_equal(registry: Registry) -> None:
    added = registry.add(make())
    assert replace(registry.get("mine"), folder=None) == make()
    assert added.folder is not None
    assert {path.name for path in added.folder.iterdir()} == {
        "card.yaml",
        "program.py",
        "report.json",
        "profile.json",
        "synthesizer.json",
    }


def test_a_newer_one_takes_over_and_the_older_one_stays_on_disk(registry: Registry) -> None:
    first, second = registry.add(make(source="x = 1")), registry.add(make(source="x = 2"))
    assert registry.get("mine").proposal.program.source == "x = 2\n"
    assert first.folder is not None
    assert second.folder is not None
    assert Synthesizer.read(first.folder, "registered").proposal.program.source == "x = 1\n"


def test_a_program_that_failed_is_never_registered(registry: Registry) -> None:
    with pytest.raises(NotAcceptedError, match="did not pass"):
        registry.add(make(passed=False))
    other = replace(make(), proposal=replace(make().proposal, program=SynthesisProgram("y = 2")))
    with pytest.raises(NotAcceptedError, match="another program"):
        registry.add(other)
    assert "mine" not in registry.names()


def test_removed_means_gone_and_only_what_was_registered_can_be_removed(registry: Registry) -> None:
    registry.add(make())
    registry.remove("mine")
    assert "mine" not in registry.names()
    with pytest.raises(UnknownNameError, match="no synthesizer 'mine'"):
        registry.remove("mine")
    with pytest.raises(UnknownNameError, match="comes with the package"):
        registry.remove("iforest")


def test_an_own_one_goes_before_the_shipped_one_of_the_same_name(registry: Registry) -> None:
    registry.add(make("iforest", source="own = 1"))
    assert registry.get("iforest").origin == "registered"
    registry.remove("iforest")
    assert registry.get("iforest").origin == "shipped"


def test_unknown_names_are_answered_with_the_nearest(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'iforest'"):
        registry.get("ifroest")
    with pytest.raises(UnknownNameError, match="Did you mean 'ecod'"):
        registry.card("ecdo")


@pytest.mark.parametrize(
    "name", ["card.yaml", "program.py", "report.json", "profile.json", "synthesizer.json"]
)
def test_a_damaged_or_missing_file_is_named(registry: Registry, name: str) -> None:
    folder = registry.add(make()).folder
    assert folder is not None
    (folder / name).write_bytes(b"\xff{" + (folder / name).read_bytes()[5:])
    with pytest.raises(ModelFolderError, match=str(folder)):
        registry.get("mine")
    (folder / name).unlink()
    with pytest.raises(ModelFolderError, match=str(folder)):
        registry.get("mine")


def test_an_edited_program_is_refused(registry: Registry) -> None:
    folder = registry.add(make()).folder
    assert folder is not None
    (folder / "program.py").write_text("x = 2\n")
    with pytest.raises(ModelFolderError, match=r"not the program that was verified"):
        registry.get("mine")


def test_many_at_once_all_land_and_one_is_current(registry: Registry) -> None:
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda k: registry.add(make(source=f"x = {k}")), range(12)))
    assert len({synthesizer.folder for synthesizer in added}) == 12
    assert registry.get("mine").folder in {synthesizer.folder for synthesizer in added}


@pytest.mark.parametrize("change", ["remove", "rollback"])
def test_what_another_process_removed_meanwhile_is_an_unknown_name(registry: Registry, change: str) -> None:
    registry.add(make())
    with ThreadPoolExecutor(1) as pool:
        with FileLock(registry.root / ".mine.lock"):
            waiting = pool.submit(getattr(registry, change), "mine")
            time.sleep(0.3)
            shutil.rmtree(registry.root / "mine")
        with pytest.raises(UnknownNameError, match="no synthesizer 'mine' is registered"):
            waiting.result()
    assert [path.name for path in registry.root.iterdir()] == [".mine.lock"]


def test_one_removed_while_it_is_looked_up_is_an_unknown_name(registry: Registry) -> None:
    class Late(Registry):
        """A registry from which another process removes what this one has just seen."""

        def _registered(self) -> list[str]:
            seen = super()._registered()
            shutil.rmtree(self.root / "mine", ignore_errors=True)
            return seen

    registry.add(make())
    with pytest.raises(UnknownNameError, match="there is no synthesizer for 'mine'"):
        Late(registry.root).get("mine")


def test_rolling_back_brings_each_back_that_was_replaced(registry: Registry) -> None:
    for k in (1, 2, 3):
        registry.add(make(source=f"x = {k}"))
    assert registry.rollback("mine").proposal.program.source == "x = 2\n"
    registry.add(make(source="x = 4"))
    # what was taken back is not what the next one replaced
    assert registry.rollback("mine").proposal.program.source == "x = 2\n"
    assert registry.rollback("mine").proposal.program.source == "x = 1\n"
    with pytest.raises(UnknownNameError, match="only one synthesizer"):
        registry.rollback("mine")
    assert registry.get("mine").proposal.program.source == "x = 1\n"
    # and none is lost
    assert len(list((registry.root / "mine").glob("[0-9]*"))) == 4


def test_rolling_back_what_replaced_a_shipped_one(registry: Registry) -> None:
    with pytest.raises(UnknownNameError, match="comes with the package"):
        registry.rollback("pca")
    registry.add(make("pca"))
    assert registry.get("pca").origin == "registered"
    assert registry.rollback("pca").origin == "shipped"
    assert registry.add(make("pca", "x = 5")).folder == registry.root / "pca" / "0002"
    assert registry.get("pca").proposal.program.source == "x = 5\n"


def test_a_full_disk_leaves_what_was_there(registry: Registry, tmp_path: Path) -> None:
    registry.add(make(source="x = 1"))
    # a limit on file size stands in for the disk: the kernel refuses the write all the same
    script = (
        "import resource, signal, sys, json; from pathlib import Path; sys.path.insert(0, sys.argv[2]);"
        "from test_registry import make; from llmdas_agent.registry import Registry;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300));"
        "Registry(Path(sys.argv[1])).add(make(source='y = 2\\n' * 200))"
    )
    command = [sys.executable, "-c", script, str(registry.root), str(Path(__file__).parent)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "StorageError" in ended.stderr
    assert "Free some space" in ended.stderr
    assert registry.get("mine").proposal.program.source == "x = 1\n"
    assert sorted(path.name for path in (registry.root / "mine").iterdir()) == ["0001", "current"]


def test_a_home_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StorageError, match="taken") as caught:
        Registry(tmp_path / "taken").add(make())
    cause = caught.value.__cause__
    assert isinstance(cause, OSError)
    assert cause.errno in (errno.EEXIST, errno.ENOTDIR)
    assert (tmp_path / "taken").is_file()


@pytest.mark.parametrize("what", ["add", "rollback", "remove"])
def test_a_registry_that_cannot_be_locked_is_a_storage_error(registry: Registry, what: str) -> None:
    registry.add(make())
    registry.add(make(source="x = 2"))
    # a folder where the lock belongs stands in for a place without permission, which root does not know
    lock = registry.root / ".mine.lock"
    lock.unlink(missing_ok=True)
    lock.mkdir()
    with pytest.raises(StorageError, match=re.escape(str(registry.root))):
        registry.add(make(source="x = 3")) if what == "add" else getattr(registry, what)("mine")
    assert registry.get("mine").proposal.program.source == "x = 2\n"


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"\0\0\0\0\0", b"../../other\n"])
def test_a_file_that_does_not_say_what_is_current_is_named(registry: Registry, content: bytes) -> None:
    registry.add(make())
    current = registry.root / "mine" / "current"
    current.write_bytes(content)
    for ask in (registry.get, registry.card, registry.rollback):
        with pytest.raises(ModelFolderError, match=re.escape(str(current))):
            ask("mine")
    with pytest.raises(ModelFolderError, match=re.escape(str(current))):
        registry.add(make(source="x = 2"))
    assert sorted(path.name for path in current.parent.iterdir()) == ["0001", "current"]
    current.write_text("0001")
    assert registry.get("mine").proposal.program.source == "x = 1\n"


def test_a_damaged_synthesizer_hides_no_other(registry: Registry) -> None:
    from pyod.models.iforest import IForest

    folder = registry.add(make()).folder
    assert folder is not None
    (folder / "report.json").unlink()
    assert resolve(IForest(), registry).name == "iforest"
    assert {"ecod", "iforest", "ocsvm", "pca"} <= set(registry.cards())
    with pytest.raises(ModelFolderError, match=r"report\.json"):
        resolve("mine", registry)


def test_another_home_is_advised_only_for_what_lies_in_it(home: Path, tmp_path: Path) -> None:
    for taken in (home / "profiles", tmp_path / "model"):
        taken.write_text("a file")
    with pytest.raises(StorageError) as inside:
        write_whole(home / "profiles" / "mine.json", "{}")
    assert "LLMDAS_HOME" in inside.value.hint
    with pytest.raises(StorageError) as outside:
        write_whole(tmp_path / "model" / "model.json", "{}")
    assert outside.value.hint == "Choose another place"


def test_an_object_takes_the_name_of_the_card_of_its_class(registry: Registry) -> None:
    from pyod.models.iforest import IForest

    detector = IForest(n_estimators=13)
    source = resolve(detector, registry)
    built = source.make(5)
    assert source.name == "iforest"
    assert (built.n_estimators, built.random_state) == (13, 5)  # type: ignore[attr-defined]
    assert detector.random_state is None
    assert resolve(IsolationForest(), registry).name == "isolationforest"


def test_a_record_from_a_newer_version_is_refused(registry: Registry) -> None:
    folder = registry.add(make()).folder
    assert folder is not None
    record = json.loads((folder / "synthesizer.json").read_text())
    (folder / "synthesizer.json").write_text(json.dumps(record | {"format": 2}))
    with pytest.raises(ModelFolderError, match="format"):
        registry.get("mine")
