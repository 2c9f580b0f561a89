"""The real upstream layers at their pinned commits, fetched once; mirrors named by GITCONFIG_FILE or KAS_PREMIRRORS serve as well."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from everest_secure.build import upstream
from everest_secure.build.kas import Kas
from support.kas import KAS_DIRECTORY, TOP_FILES
from support.ordinary import LIBRARIES, Ordinary, ordinary_user

pytestmark = pytest.mark.yocto

PROJECT = KAS_DIRECTORY.parent
LAYER = "meta-everest-secure"
OFFLINE = 'header:\n  version: 20\nlocal_conf_header:\n  90-offline: |\n    BB_NO_NETWORK = "1"\n'
"""Parsing needs no network; without this OE-Core looks for one."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of the project, with kas to run in it."""

    user: Ordinary
    python: str

    def kas(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run kas as an ordinary user."""
        place = {"KAS_WORK_DIR": str(self.user.directory), "PYTHONPATH": str(LIBRARIES), "PYTHONDONTWRITEBYTECODE": "1"}
        return self.user.run(self.python, "-m", "kas", *arguments, env=place)


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    """The project and its layers, checked out."""
    repositories = Kas((TOP_FILES[0],), PROJECT).configuration().repositories
    away = upstream.unreachable(repositories, environment=os.environ)
    if away:
        pytest.skip(f"upstream is out of reach: {upstream.hosts(away)}")
    with ordinary_user() as user:
        user.give(KAS_DIRECTORY, PROJECT / LAYER)
        assert user.run("git", "init", "--quiet", ".").returncode == 0
        (user.directory / "kas/offline.yml").write_text(OFFLINE)
        made = Checkout(user, user.python())
        done = made.kas("checkout", "kas/base.yml")
        assert done.returncode == 0, done.stdout
        yield made


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_every_pinned_commit_exists_upstream(checkout: Checkout, top: Path) -> None:
    done = checkout.kas("--log-level", "error", "dump", "--resolve-refs", "--format", "json", f"kas/{top.name}")
    assert done.returncode == 0, done.stdout
    resolved = {name: entry["commit"] for name, entry in json.loads(done.stdout)["repos"].items() if entry.get("url")}
    assert resolved == {repository.name: repository.revision for repository in Kas((top,), PROJECT).configuration().repositories}


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_bitbake_parses_all_layers_with_no_warning_from_ours_and_skips_none_of_its_recipes(checkout: Checkout, top: Path) -> None:
    commands = f"bitbake --parse-only && bitbake-layers show-recipes --layer {LAYER}"
    done = checkout.kas("shell", f"kas/{top.name}:kas/offline.yml", "--command", commands)
    assert done.returncode == 0, done.stdout
    parsed = re.search(r"(\d+) \.bb files complete .* (\d+) errors", done.stdout)
    assert parsed, done.stdout
    assert int(parsed[1]) > 1000
    assert parsed[2] == "0"
    complaints = [line for line in done.stdout.splitlines() if line.startswith(("WARNING", "ERROR")) and LAYER in line]
    assert complaints == []
    available = set(re.findall(rf"^(\S+):\n  {LAYER} +\S+$", done.stdout, re.MULTILINE))
    assert available == {recipe.name.partition("_")[0].removesuffix(".bb") for recipe in (PROJECT / LAYER).rglob("*.bb")}


@pytest.mark.parametrize("top", TOP_FILES, ids=lambda top: top.stem)
def test_bitbake_names_the_deploy_directory_of_the_machine(checkout: Checkout, top: Path) -> None:
    done = checkout.kas("shell", f"kas/{top.name}", "--command", "bitbake-getvar --value DEPLOY_DIR_IMAGE")
    assert done.returncode == 0, done.stdout
    deploy = Path(done.stdout.splitlines()[-1])
    assert deploy.is_relative_to(checkout.user.directory / "build")
    assert (deploy.parent.name, deploy.name) == ("images", top.stem)
