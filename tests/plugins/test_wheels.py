"""Plugins as wheels: found, verified before their first use, saved with, and missed when they are gone."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path
from site import getsitepackages as site_packages

import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer

from places import ROOT

from .conftest import QUIET, Shell, install, pip, wheel_of, write_package

PACKAGES = ("llmdas-neighbors", "llmdas-drl")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every package of ``plugins/`` installed from its wheel."""
    folder = tmp_path_factory.mktemp("plugins")
    for name in PACKAGES:
        shutil.copytree(
            ROOT / "plugins" / name, folder / name, ignore=shutil.ignore_patterns("dist", "__pycache__")
        )
        install(wheel_of(folder / name), folder / "site")
    return folder / "site"


@pytest.fixture
def normal(tmp_path: Path) -> Path:
    X, y = load_breast_cancer(return_X_y=True)
    path = tmp_path / "normal.csv"
    pl.DataFrame(X[y == 1][:120, :6], schema=list("abcdef")).write_csv(path)
    return path


def test_every_package_is_found_with_its_version_and_what_it_registers(site: Path, shell: Shell) -> None:
    listed = json.loads(shell("llmdas-agent --strict-plugins plugin list --json", site).stdout)
    rows = {row["plugin"]: row for row in listed["plugins"]}
    assert set(rows) == {"llmdas-agent", *PACKAGES}
    assert rows["llmdas-neighbors"]["version"] == "0.1.0"
    assert rows["llmdas-neighbors"]["detectors"] == ["knn", "lof"]
    assert rows["llmdas-drl"]["detectors"] == ["drl"]
    assert not any(row["problems"] for row in rows.values())
    detectors = json.loads(shell("llmdas-agent list --json", site).stdout)["detectors"]
    brought = {row["name"]: row["synthesizer"] for row in detectors}
    assert brought | {"knn": "plugin", "lof": "plugin", "drl": "plugin"} == brought


@pytest.mark.parametrize("statement", ["import llmdas_agent", "from llmdas_agent.cli.main import app; app()"])
def test_help_and_the_package_itself_import_nothing_of_a_plugin(
    site: Path, tmp_path: Path, statement: str
) -> None:
    code = (
        "import json, sys; sys.argv = ['llmdas-agent', '--help']\n"
        f"try:\n    {statement}\nexcept SystemExit:\n    pass\n"
        "open('modules.json', 'w').write(json.dumps(list(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=True)
    loaded = {name.partition(".")[0] for name in json.loads((tmp_path / "modules.json").read_text())}
    assert "llmdas_agent" in loaded
    assert not loaded & {"llmdas_neighbors", "llmdas_drl", "torch", "numpy", "sklearn", "pyod"}


def test_it_is_verified_before_its_first_use_saved_with_and_missed_when_it_is_gone(
    site: Path, shell: Shell, normal: Path, tmp_path: Path, home: Path
) -> None:
    use = (
        f'{sys.executable} -c "import polars; from llmdas_agent import EnhancedDetector;'
        "EnhancedDetector('knn', random_state=0).fit(polars.read_csv('normal.csv'))\""
    )
    refused = shell(use, site)
    assert "NotAcceptedError" in refused.stderr
    assert "the program that llmdas-neighbors brings was not verified here yet" in refused.stderr
    assert "Run `llmdas-agent plugin verify knn` once" in refused.stderr

    fitted = shell("llmdas-agent fit knn normal.csv --output model/", site)
    assert fitted.returncode == 0, fitted.stderr
    record = json.loads((home / "verified" / "knn.json").read_text())
    assert record["versions"]["llmdas-neighbors"] == "0.1.0"
    assert "numpy" in record["versions"] and len(record["digest"]) == 64
    # the fitted detector itself is in the folder, not the rows to fit it again
    assert (tmp_path / "model" / "fitted.skops").exists()
    assert not (tmp_path / "model" / "rows.npz").exists()
    scored = shell("llmdas-agent score model/ normal.csv", site)
    assert scored.stdout.startswith("score,label,p_value\n") and scored.stdout.count("\n") == 121

    gone = tmp_path / "gone"
    gone.mkdir()
    missed = shell("llmdas-agent score model/ normal.csv", gone)
    assert missed.returncode == 8
    (line,) = missed.stderr.splitlines()
    assert "there is no module 'llmdas_neighbors'" in line
    assert line.endswith("The base came with the package llmdas-neighbors: `pip install llmdas-neighbors`")

    # another version of anything that the findings depend on makes the record void
    record["versions"]["numpy"] = "0.1"
    (home / "verified" / "knn.json").write_text(json.dumps(record))
    assert "not verified here yet" in shell(use, site).stderr


def test_what_was_saved_with_a_plugin_says_what_is_missing_after_pip_uninstall(
    site: Path, normal: Path, tmp_path: Path, home: Path
) -> None:
    """An environment of its own over this one's packages, with real `pip install` and `pip uninstall`."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    (own,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    (own / "beneath.pth").write_text("\n".join([str(ROOT), *site_packages()]))
    wheel = next((site.parent / "llmdas-neighbors" / "dist").glob("*.whl"))
    pip("--python", python, "install", *QUIET, "--no-index", wheel)

    def llmdas_agent(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [python, "-m", "llmdas_agent", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    fitted = llmdas_agent("fit", "knn", "normal.csv", "--output", "model/")
    assert fitted.returncode == 0, fitted.stderr
    assert llmdas_agent("score", "model/", "normal.csv").returncode == 0

    pip("--python", python, "uninstall", "--yes", "llmdas-neighbors")
    missed = llmdas_agent("score", "model/", "normal.csv")
    assert missed.returncode == 8
    (line,) = missed.stderr.splitlines()
    assert line.endswith("The base came with the package llmdas-neighbors: `pip install llmdas-neighbors`")
    listed = json.loads(llmdas_agent("list", "--json").stdout)["detectors"]
    assert "pca" in {row["name"] for row in listed} and "knn" not in {row["name"] for row in listed}


def test_a_program_that_does_not_pass_here_is_not_used(
    site: Path, shell: Shell, normal: Path, tmp_path: Path, home: Path
) -> None:
    """A plugin whose report was made up: the program copies training rows."""
    source = ROOT / "plugins" / "llmdas-neighbors" / "llmdas_neighbors"
    program = (
        "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
        "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
    )
    package = tmp_path / "package" / "llmdas_neighbors"
    shutil.copytree(source, package)
    folder = package / "synthesizers" / "knn"
    digest = hashlib.sha256(program.encode()).hexdigest()
    (folder / "program.py").write_text(program)
    for name, key in (("synthesizer.json", "digest"), ("report.json", "program_digest")):
        told = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(told | {key: digest}))
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("llmdas_neighbors"))
    shutil.copytree(package, tmp_path / "site" / "llmdas_neighbors")
    refused = shell("llmdas-agent fit knn normal.csv --output model/", tmp_path / "site")
    assert refused.returncode == 5
    assert "the program that llmdas-neighbors brings does not pass on this machine (novelty" in refused.stderr
    assert not (home / "verified").exists() and not (tmp_path / "model").exists()


HOOK = "from pathlib import Path\nfrom llmdas_agent.plugins import DetectorEntry, hookimpl\n"
HOOK += "HERE = Path(__file__).parent\n\n@hookimpl\ndef llmdas_detectors():\n    "
CARD = "name: {name}\nfull_name: A detector\nbuild:\n  class: pyod.models.hbos.HBOS\n"
# distribution: its module, its requirement, what the warning says
BROKEN = {
    "import-fails": ("import surely_not_installed\n", "", "could not be loaded: ModuleNotFoundError"),
    "hook-raises": (HOOK + "raise OSError('no driver')\n", "", "its hook llmdas_detectors failed: OSError"),
    "wrong-thing": (HOOK + "return {'a': 1}\n", "", "it returned dict, where a list of DetectorEntry is exp"),
    "newer-hook": (
        HOOK.replace("llmdas_detectors", "llmdas_telepathy") + "return []\n",
        "",
        "could not be loaded: PluginValidationError: unknown hook 'llmdas_telepathy'",
    ),
    "newer-api": (
        HOOK + "return []\n",
        '"llmdas-agent>=99"',
        "could not be loaded: ImportError: it needs llmdas-agent >=99, and 0.1.0 is installed",
    ),
    "takes-a-name": (
        HOOK + "return [DetectorEntry(HERE / 'pca.yaml')]\n",
        "",
        "brings detector 'pca', which llmdas-agent brings too",
    ),
    "bad-card": (
        HOOK + "return [DetectorEntry(HERE / 'other.yaml')]\n",
        "",
        "its hook llmdas_detectors failed: ValueError: the card",
    ),
}


@pytest.fixture(scope="session")
def broken_site(tmp_path_factory: pytest.TempPathFactory, site: Path) -> Path:
    """The sound packages, and beside them one for every way of breaking."""
    folder = tmp_path_factory.mktemp("broken")
    shutil.copytree(site, folder / "site")
    for distribution, (source, requirement, _) in BROKEN.items():
        module = distribution.replace("-", "_")
        files = {f"{module}/__init__.py": source}
        files |= {f"{module}/{card}.yaml": CARD.format(name="pca") for card in ("pca", "other")}
        package = write_package(folder / distribution, distribution, files, dependencies=requirement)
        install(wheel_of(package), folder / "site")
    return folder / "site"


def warnings(stderr: str) -> list[str]:
    return sorted(line for line in stderr.splitlines() if line.startswith("warning: plugin "))


def test_every_way_of_breaking_is_one_warning_and_list_fit_and_score_go_on(
    broken_site: Path, shell: Shell, normal: Path
) -> None:
    listed = shell("llmdas-agent list", broken_site)
    fitted = shell("llmdas-agent fit iforest normal.csv --output model/", broken_site)
    scored = shell("llmdas-agent score model/ normal.csv --output scores.csv", broken_site)
    for done in (listed, fitted, scored):
        assert done.returncode == 0, done.stderr
        assert "Traceback" not in done.stderr
    assert "knn" in listed.stdout and "cannot be used" in listed.stdout
    told = warnings(listed.stderr)
    assert told == warnings(fitted.stderr)
    assert len(told) == len(BROKEN)
    for line, (distribution, (_, _, says)) in zip(told, sorted(BROKEN.items()), strict=True):
        assert line.startswith(f"warning: plugin {distribution}: ")
        assert says in line
        assert line.endswith(f"`pip uninstall {distribution}` removes it")


def test_the_name_that_is_claimed_twice_is_an_error_that_names_both(
    broken_site: Path, shell: Shell, normal: Path
) -> None:
    done = shell("llmdas-agent fit pca normal.csv --output model/", broken_site)
    assert done.returncode == 11
    assert "detector 'pca' is brought by llmdas-agent and by takes-a-name" in done.stderr
    assert "`pip uninstall takes-a-name`" in done.stderr


def test_plugin_list_says_what_went_wrong_with_each(broken_site: Path, shell: Shell) -> None:
    done = shell("llmdas-agent plugin list --json", broken_site)
    assert done.returncode == 0, done.stderr
    rows = {row["plugin"]: row for row in json.loads(done.stdout)["plugins"]}
    assert set(rows) == {"llmdas-agent", *PACKAGES, *BROKEN}
    for distribution, (_, _, says) in BROKEN.items():
        assert rows[distribution]["version"] == "1.2.3"
        (what,) = rows[distribution]["problems"]
        assert says in what


def test_strict_means_an_error_and_disabled_means_none_of_them(broken_site: Path, shell: Shell) -> None:
    strict = shell("llmdas-agent --strict-plugins list", broken_site)
    assert strict.returncode == 11
    assert (
        "error: --strict-plugins: plugin import-fails: could not be loaded" in strict.stderr
        and strict.stdout == ""
    )
    off = shell("llmdas-agent --strict-plugins list", broken_site, LLMDAS_DISABLE_PLUGINS="1")
    assert off.returncode == 0 and off.stderr == ""
    assert "pca" in off.stdout and "knn" not in off.stdout
    told = shell("llmdas-agent plugin list", broken_site, LLMDAS_DISABLE_PLUGINS="1").stdout
    assert "llmdas-neighbors" in told and "disabled" in told
