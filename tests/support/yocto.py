"""The real upstream layers at their pinned commits, checked out once, with kas and BitBake to run on them as an ordinary user."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.kas import KAS_DIRECTORY
from support.ordinary import LIBRARIES, Ordinary
from support.pki import for_firmware, make

PROJECT = KAS_DIRECTORY.parent
LAYER = "meta-everest-secure"
PARTS = ("kas", "meta-*")
"""What of the project a build takes its revision from (SUP-03)."""
QUICK = r"""
BBMASK = "/meta-openembedded/ /meta-freescale/ /meta-raspberrypi/ /openembedded-core/meta/recipes-(?!core/images|core/systemd|kernel/linux/linux-yocto_) /meta-rauc/recipes-(?!core/rauc)"
BBMASK += "/meta-everest/recipes-(?!core/everest/everest-core) /meta-tpm/recipes-(?!tpm2/tpm2-openssl)"
BB_DANGLINGAPPENDS_WARNONLY = "1"
"""
"""Leaves of all recipes those that this layer brings, changes or derives images from: parsed in seconds instead of minutes."""
NO_PROBE = 'CONNECTIVITY_CHECK_URIS = ""\n'
"""OE-Core looks for no network of its own accord."""
OFFLINE = NO_PROBE + 'BB_NO_NETWORK = "1"\n'
"""Parsing needs none."""
ASK = Path(__file__).with_name("ask_bitbake.py")


@dataclass(frozen=True, slots=True)
class Answers:
    """What BitBake knows after it has parsed."""

    values: Mapping[str, Mapping[str, Any]]
    """Variable by recipe, expanded; text, or nothing when unset, but for BitBake's own."""
    appends: Mapping[str, Sequence[str]]
    """bbappend files by recipe, in the order in which they apply."""
    skipped: Mapping[str, str]
    """Why a recipe was skipped, by the recipe's name."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """A copy of the project beside all layers of its kas files."""

    user: Ordinary
    python: str

    @property
    def keys(self) -> Path:
        """A development PKI."""
        return self.user.directory / "keys"

    def kas(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run kas as an ordinary user, with the development PKI in the environment."""
        place = {"KAS_WORK_DIR": str(self.user.directory), "PYTHONPATH": str(LIBRARIES), "PYTHONDONTWRITEBYTECODE": "1"}
        return self.user.run(self.python, "-m", "kas", *arguments, env=place)

    def shell(
        self, top: str, command: str, *, layers: Sequence[Path] = (), without: Sequence[Path] = (), lines: str = "", offline: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in BitBake's environment for a chain of kas files, with more or fewer layers and with lines of local.conf."""
        content = {
            "header": {"version": 20},
            "local_conf_header": {"90-test": (OFFLINE if offline else NO_PROBE) + self.settings() + lines},
            "bblayers_conf_header": {
                "9-more": "".join(f'BBLAYERS:append = " {layer}"\n' for layer in layers),
                "9-fewer": "".join(f'BBLAYERS:remove = "{layer}"\n' for layer in without),
            },
        }
        (self.user.directory / "kas/of-the-test.yml").write_text(json.dumps(content))
        return self.kas("shell", f"{top}:kas/of-the-test.yml", "--command", command)

    def settings(self) -> str:
        """Return the lines of local.conf that name the development PKI."""
        files = {
            "EVEREST_RAUC_KEYRING_DEVELOPMENT": "keyring.pem",
            "EVEREST_BUNDLE_KEY": "signer.key.pem",
            "EVEREST_BUNDLE_CERT": "signer.cert.pem",
            "EVEREST_BUNDLE_INTERMEDIATE": "signer.chain.pem",
            "EVEREST_SECURE_BOOT_KEY": "secure-boot-db.key.pem",
            "EVEREST_SECURE_BOOT_CERT": "secure-boot-db.cert.pem",
        }
        return "".join(f'{knob} = "{self.keys / file}"\n' for knob, file in files.items())

    def ask(self, top: str, questions: Mapping[str, Sequence[str]], *, without: Sequence[Path] = (), lines: str = "") -> Answers:
        """Parse, and return variables of recipes."""
        question, answer = (self.user.directory / name for name in ("question.json", "answer.json"))
        question.write_text(json.dumps(questions))
        answer.unlink(missing_ok=True)
        shutil.copy(ASK, self.user.directory)
        done = self.shell(top, f"python3 {self.user.directory / ASK.name} {question} {answer}", without=without, lines=lines)
        assert answer.exists(), done.stdout
        return Answers(**json.loads(answer.read_text()))

    def layer(self, name: str, recipes: Mapping[str, str]) -> Path:
        """Write a layer with recipes, given by file name without suffix."""
        directory = self.user.directory / name
        for place in ("conf", "recipes-test/test"):
            (directory / place).mkdir(parents=True, exist_ok=True)
        (directory / "conf/layer.conf").write_text(
            f'BBFILES += "${{LAYERDIR}}/recipes-*/*/*.bb"\nBBFILE_COLLECTIONS += "{name}"\nBBFILE_PATTERN_{name} = "^${{LAYERDIR}}/"\n'
            f'BBFILE_PRIORITY_{name} = "5"\nLAYERSERIES_COMPAT_{name} = "scarthgap"\n'
        )
        for recipe, text in recipes.items():
            (directory / f"recipes-test/test/{recipe}.bb").write_text(text)
        return directory


def complaints(output: str, about: str) -> list[str]:
    """Return warnings and errors in BitBake's output that name a layer."""
    return [line for line in output.splitlines() if re.match(r"(WARNING|ERROR)\b", line) and about in line]


def refusals(output: str) -> dict[str, str]:
    """Return why BitBake refuses each target, from its own words."""
    return {name: reason.strip() for name, reason in re.findall(r"^(\S+) was skipped: (.*)$", output, re.MULTILINE)}


def prepare(user: Ordinary, python: str) -> Checkout:
    """Copy the project, commit it, make a PKI and check the layers out."""
    user.give(KAS_DIRECTORY, PROJECT / LAYER)
    made = Checkout(user, python)
    make(made.keys, chosen=for_firmware())
    user.own(made.keys)
    author = ("-c", "user.name=everest-secure", "-c", "user.email=everest-secure@example.com")
    for command in (("init", "--quiet"), ("add", "--", *PARTS), (*author, "commit", "--quiet", "--message", "a checkout")):
        done = user.run("git", *command)
        assert done.returncode == 0, done.stdout
    done = made.kas("checkout", "kas/base.yml")
    assert done.returncode == 0, done.stdout
    return made
