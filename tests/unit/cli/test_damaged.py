"""The whole command on damaged artefacts: an exit code that is documented, one sentence or a report, and nothing passes that cannot be read."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.archive import packed
from support.images import gpt_disk, rauc_bundle, signed_program, tool, tree_of, unified_kernel, verity_image
from support.rootfs import good_root

FORMATS = ["squashfs", "verity", "gpt", "raucb", "uki"]
FLIPS = 4


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("damaged")
    found = {name: work / f"image.{name}" for name in FORMATS}
    tool("sqfstar", "-no-progress", "-no-fragments", "-noI", found["squashfs"], stdin=packed(good_root()))
    found["verity"].write_bytes(found["squashfs"].read_bytes())
    verity_image(found["verity"])
    unified_kernel(found["uki"], {".cmdline": b"ro lockdown=integrity", ".osrel": b"ID=everest-secure\n", ".linux": b"linux" * 100})
    signed_program(found["uki"])
    efi = work / "efi"
    with efi.open("wb") as file:
        file.truncate(2 * 1024 * 1024)
    tool("mkfs.vfat", efi)
    tool("mmd", "-i", efi, "::/EFI", "::/EFI/BOOT")
    tool("mcopy", "-i", efi, found["uki"], "::/EFI/BOOT/BOOTX64.EFI")
    gpt_disk(found["gpt"], {"efi-a": efi, "rootfs-a": found["verity"]}, spare=64 * 1024)
    found["raucb"] = rauc_bundle(work, "image.raucb", {"rootfs": found["squashfs"]}, form="verity")
    return found


def damaged(whole: bytes, name: str) -> list[bytes]:
    """Copies cut at powers of two, and with bits flipped where formats keep their structure."""
    chance = random.Random(name)
    found = [whole[: 1 << bit] for bit in range(9, len(whole).bit_length(), 3)]
    for _ in range(FLIPS):
        raw = bytearray(whole)
        for _ in range(20):
            at = chance.choice((chance.randrange(min(len(raw), 4096)), len(raw) - 1 - chance.randrange(4096), chance.randrange(len(raw))))
            raw[at] ^= 1 << chance.randrange(8)
        found.append(bytes(raw))
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_artefact_ends_in_a_report_or_in_one_sentence(
    images: dict[str, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    artefact = tmp_path / images[name].name
    for content in damaged(images[name].read_bytes(), name):
        artefact.write_bytes(content)
        code = main(["check", str(artefact), "--jobs", "1", "--format", "json"])
        said = capsys.readouterr()
        assert code in (ExitCode.FINDINGS, ExitCode.FAILED)
        if said.out:
            assert "broke down" not in said.out
        else:
            assert code == ExitCode.FAILED
            assert said.err.count("\n") == 1
            assert said.err.startswith("everest-secure: ")


def test_the_command_itself_ends_without_a_traceback(images: dict[str, Path], tmp_path: Path) -> None:
    artefact = tmp_path / "disk.raw"
    artefact.write_bytes(images["gpt"].read_bytes()[: 1 << 20])
    command = [str(Path(sys.executable).parent / "everest-secure"), "check", str(artefact)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == ExitCode.FAILED
    assert (done.stdout, done.stderr.count("\n")) == ("", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["disk.raw"]


def outcomes(artefact: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """What a report says of each requirement."""
    code = main(["check", str(artefact), "--jobs", "1", "--format", "json"])
    report = json.loads(capsys.readouterr().out)
    assert code == report["exit_code"]
    return {each["id"]: each["outcome"] for each in report["results"]}


def test_a_damaged_block_of_inodes_is_one_sentence_and_no_report(
    images: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = bytearray(images["squashfs"].read_bytes())
    start = int.from_bytes(raw[64:72], "little") + 2
    raw[start : start + 2000] = b"\xff" * 2000
    artefact = tmp_path / images["squashfs"].name
    artefact.write_bytes(raw)
    assert main(["check", str(artefact), "--jobs", "1"]) == ExitCode.FAILED
    said = capsys.readouterr()
    assert (said.out, said.err.count("\n")) == ("", 1)
    assert "corrupt" in said.err


def test_a_damaged_block_of_a_file_is_an_error_of_the_requirements_that_read_it(
    images: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = outcomes(images["squashfs"], capsys)
    raw = images["squashfs"].read_bytes()
    tree = tree_of(images["squashfs"])
    node = tree.get("/etc/everest/config.yaml")
    assert node is not None
    at = tree._position(tree._handles[node.path])
    artefact = tmp_path / images["squashfs"].name
    artefact.write_bytes(raw[:at] + b"\xff" * 64 + raw[at + 64 :])
    bad = outcomes(artefact, capsys)
    for requirement in ("ACC-03", "ACC-04", "TLS-01"):
        assert (good[requirement], bad[requirement]) == ("pass", "error")
    assert bad["KERN-01"] == good["KERN-01"]
