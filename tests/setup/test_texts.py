"""What the texts of the repository tell a reader to type exists."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.cli.command import commands
from everest_secure.paths import data
from support.reference import require

LAYER = data("meta-everest-secure")
PROJECT = LAYER.parent
TEXTS = sorted({*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), *PROJECT.glob("meta-*/README.md"), *PROJECT.glob("templates/**/*.md")})
METADATA = sorted(path for path in LAYER.rglob("*") if path.suffix in {".bb", ".bbclass", ".conf", ".inc"})
CODE = re.compile(r"```.*?```|^ {4}[^\n]*$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^[ `]*everest-secure +([a-z]+)(?: +([a-z][a-z-]*))?", re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def unknown(text: str) -> set[str]:
    """Return the commands in a text that do not exist."""
    known = commands().keys()
    groups = {name.split()[0] for name in known if " " in name}
    typed = {found for code in CODE.findall(text) for found in TYPED.findall(code)}
    return {" ".join(found) for found in typed if (" ".join(found) if found[0] in groups else found[0]) not in known}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_and_every_file_that_a_text_names_exists(text: Path) -> None:
    assert unknown(text.read_text()) == set()
    assert [link for link in LINK.findall(text.read_text()) if not (text.parent / link).exists()] == []


def test_every_command_that_the_layer_names_exists() -> None:
    assert {f"{file.name}: {name}" for file in METADATA for name in unknown(file.read_text())} == set()


def test_a_command_that_does_not_exist_would_be_seen() -> None:
    assert unknown("everest-secure is `everest-secure bundle unmake` or\n```\neverest-secure check A\neverest-secure undo A\n```\n") == {
        "bundle unmake",
        "undo ",
    }


def test_the_layer_s_readme_names_every_recipe() -> None:
    readme = (LAYER / "README.md").read_text()
    recipes = {path.stem.partition("_")[0] for path in LAYER.rglob("*.bb*") if path.suffix in {".bb", ".bbappend"}}
    assert len(recipes) > 40
    assert sorted(recipe for recipe in recipes if f"`{recipe}`" not in readme) == []


def rehearse(name: str, place: Path, *, blocks: int) -> subprocess.CompletedProcess[str]:
    """Run every block of a text in docs/ that is marked as a rehearsal, one after the other as a reader types them."""
    found = re.findall(r"^```sh rehearsal\n(.*?)^```", (PROJECT / "docs" / name).read_text(), re.MULTILINE | re.DOTALL)
    assert len(found) == blocks
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "".join(found)],
        cwd=place,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_rehearsals_of_the_pki_run_as_they_stand(tmp_path: Path) -> None:
    if shutil.which("softhsm2-util") is None:
        pytest.skip("needs softhsm2")
    done = rehearse("pki.md", tmp_path, blocks=3)
    assert done.stderr.count("certificate revoked") == 1
    assert done.stderr.count("unable to get local issuer certificate") == 1
    assert done.stderr.count("unable to get certificate CRL") == 1


def test_the_rehearsal_of_a_release_runs_as_it_stands(tmp_path: Path) -> None:
    require("rauc", "mksquashfs", "softhsm2-util")
    done = rehearse("release.md", tmp_path, blocks=1)
    (line,) = (json.loads(line) for line in (tmp_path / "release-log.jsonl").read_text().splitlines())
    built, released = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("build.raucb", "release.raucb"))
    assert (line["what"], line["source"]["sha256"], line["sha256"]) == ("resign", built, released)
    assert f"{built}  build.raucb" in done.stdout
    assert re.findall(r"^(?:independent|rauc) +(accepted|refused)$", done.stdout, re.MULTILINE) == [
        "accepted",
        "accepted",
        "refused",
        "refused",
    ]
    assert done.stdout.count("\nuntrusted: ") == 1


def test_the_rehearsals_of_certificates_run_as_they_stand(tmp_path: Path) -> None:
    done = rehearse("certificates.md", tmp_path, blocks=2)
    refused = set(re.findall(r"\[([a-z-]+)\]$", done.stdout, re.MULTILINE))
    assert refused == {"development", "untrusted", "key-mismatch", "software-key"}
    assert done.stdout.count(" was not made:") == 2
    assert not (tmp_path / "refused.tar").exists()
