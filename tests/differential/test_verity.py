"""Hash trees, judged here and by veritysetup."""

import random
import subprocess
from pathlib import Path

import pytest

from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.verity import Verity
from support.images import tool, verity_image
from support.reference import require

BLOCK = 4096


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, int]:
    """An image with its tree, its root hash, and where the tree begins."""
    require("mksquashfs", "veritysetup")
    work = tmp_path_factory.mktemp("verity")
    (work / "root").mkdir()
    (work / "root/file").write_bytes(random.Random(1).randbytes(BLOCK * 300))
    image = work / "image"
    tool("mksquashfs", work / "root", image, "-no-progress", "-noD", "-noF")
    offset = image.stat().st_size
    root_hash = verity_image(image)
    return image.read_bytes(), root_hash, offset


def ours(image: Path, root_hash: bytes) -> bool:
    try:
        facts = open_artefact(image).facts
        return isinstance(facts, Verity) and facts.verify_tree().holds(root_hash)
    except ArtefactError:
        return False


def theirs(image: Path, root_hash: bytes, offset: int) -> bool:
    command: list[str | Path] = ["veritysetup", "verify", image, image, root_hash.hex(), f"--hash-offset={offset}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize(
    "part", ["nothing", "first", "middle", "last", "top of the tree", "leaf of the tree", "salt", "size", "hash", "cut"]
)
def test_veritysetup_and_we_agree_on_what_was_altered(made: tuple[bytes, bytes, int], tmp_path: Path, part: str) -> None:
    content, root_hash, offset = made
    raw, places = bytearray(content), {
        "first": 2000, "middle": 150 * BLOCK, "last": offset - 1, "top of the tree": offset + BLOCK + 8,
        "leaf of the tree": offset + 2 * BLOCK + 40, "salt": offset + 88, "size": offset + 72,
    }  # fmt: skip
    if part in places:
        raw[places[part]] ^= 1
    if part == "hash":
        root_hash = bytes([root_hash[0] ^ 1]) + root_hash[1:]
    image = tmp_path / "image"
    image.write_bytes(raw[:-BLOCK] if part == "cut" else raw)
    verdict = theirs(image, root_hash, offset)
    assert ours(image, root_hash) is verdict
    assert verdict is (part == "nothing")
