"""The whole command on the other formats, cut at powers of two and with bits flipped, and on roots whose files are damaged."""

import json
import random
from pathlib import Path

import pytest

from everest_secure.cli.main import main
from everest_secure.errors import ExitCode
from support.archive import packed
from support.flat_image import signed_fit
from support.images import efi_stub, initial_ram_disk, tool
from support.rootfs import RootFs, good_root

FORMATS = ["ext4", "erofs", "vfat", "mbr", "tar", "tar.gz", "cpio", "fit", "efi"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    work = tmp_path_factory.mktemp("formats")
    found = {name: work / f"image.{name}" for name in FORMATS}
    found["tar"].write_bytes(packed(good_root()))
    found["tar.gz"].write_bytes(tool("gzip", "-c", found["tar"]))
    root = work / "root"
    root.mkdir()
    tool("tar", "-C", root, "--no-same-owner", "-xf", found["tar"])
    tool("mke2fs", "-q", "-F", "-b", "1024", "-t", "ext4", "-d", root, found["ext4"], "16m")
    tool("mkfs.erofs", "--quiet", found["erofs"], root)
    (root / "init").touch()
    found["cpio"].write_bytes(initial_ram_disk(root))
    found["efi"].write_bytes(efi_stub().read_bytes())
    tool("mkfs.vfat", "-C", found["vfat"], "1024")
    tool("mcopy", "-i", found["vfat"], found["efi"], "::")
    found["fit"].write_bytes(signed_fit(work / "fit-parts", None).read_bytes())
    sectors = found["erofs"].stat().st_size // 512 + 8
    found["mbr"].write_bytes(bytes((2048 + sectors) * 512))
    tool("sfdisk", "--quiet", found["mbr"], stdin=f"label: dos\nstart=2048, size={sectors}, type=83\n".encode())
    with found["mbr"].open("r+b") as file:
        file.seek(2048 * 512)
        file.write(found["erofs"].read_bytes())
    return found


def checked(artefact: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """Return exit code and the outcome of each requirement; none when the command ended in one sentence."""
    code = main(["check", str(artefact), "--jobs", "1", "--format", "json"])
    said = capsys.readouterr()
    if not said.out:
        assert code == ExitCode.FAILED
        assert (said.err.count("\n"), said.err.startswith("everest-secure: ")) == (1, True)
        return code, {}
    assert "broke down" not in said.out
    return code, {each["id"]: each["outcome"] for each in json.loads(said.out)["results"]}


@pytest.mark.parametrize("name", FORMATS)
def test_a_damaged_artefact_of_any_format_ends_in_a_report_or_in_one_sentence(
    images: dict[str, Path], tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, chance = images[name].read_bytes(), random.Random(name)
    copies = [whole[: 1 << bit] for bit in range(len(whole).bit_length())]
    for _ in range(3):
        raw = bytearray(whole)
        for _ in range(20):
            at = chance.choice((chance.randrange(min(len(raw), 4096)), chance.randrange(len(raw))))
            raw[at] ^= 1 << chance.randrange(8)
        copies.append(bytes(raw))
    artefact = tmp_path / images[name].name
    for content in copies:
        artefact.write_bytes(content)
        code, _ = checked(artefact, capsys)
        assert code in (ExitCode.FINDINGS, ExitCode.FAILED)


@pytest.mark.parametrize("kept", [0, 1, 64, 256])
def test_a_damaged_block_map_lets_no_disk_pass(
    images: dict[str, Path], tmp_path: Path, kept: int, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk.wic"
    disk.write_bytes(images["mbr"].read_bytes())
    tool("bmaptool", "--quiet", "create", "--output", tmp_path / "disk.wic.bmap", disk)
    raw = (tmp_path / "disk.wic.bmap").read_bytes()
    (tmp_path / "disk.wic.bmap").write_bytes(raw[:kept])
    tool("gzip", disk)
    assert checked(tmp_path / "disk.wic.gz", capsys) == (ExitCode.FAILED, {})


DEPENDING = {
    "/etc/everest/config.yaml": "OCPP-02",
    "/etc/everest/openssl.cnf": "TLS-02",
    "/etc/rauc/system.conf": "RAUC-01",
    "/etc/rauc/keyring.pem": "RAUC-02",
    "/etc/nftables/everest-firewall.nft": "NET-04",
    "/etc/mosquitto/everest-broker.conf": "NET-01",
    "/usr/lib/systemd/system/everest.service.d/50-everest-secure.conf": "ACC-05",
}
"""A text, and a requirement that only it shows to be met."""


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = tmp_path_factory.mktemp("good") / "root.tar"
    image.write_bytes(packed(good_root()))
    return image


@pytest.mark.parametrize("path", DEPENDING)
def test_a_text_that_is_cut_or_altered_never_passes(good: Path, tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(good, capsys)[1][DEPENDING[path]] == "pass"
    text = good_root().nodes[path][1]
    cuts = [text[:16], text[: 1 << (len(text) // 2).bit_length() - 1]]
    for content in (*cuts, bytes(each ^ 0x80 for each in text[: len(text) // 2]) + text[len(text) // 2 :]):
        fs: RootFs = good_root().file(path, content)
        (tmp_path / "root.tar").write_bytes(packed(fs))
        code, found = checked(tmp_path / "root.tar", capsys)
        assert code in (ExitCode.FINDINGS, ExitCode.FAILED)
        assert found[DEPENDING[path]] != "pass", content[:40]


def test_a_program_and_a_certificate_that_are_damaged_never_pass(good: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = {"/usr/bin/manager": "BIN-01", "/etc/rauc/keyring.pem": "RAUC-02"}
    before = checked(good, capsys)[1]
    for path, requirement in files.items():
        assert before[requirement] == "pass"
        content = good_root().nodes[path][1]
        for size in (1 << bit for bit in range(6, len(content).bit_length() - 1)):
            (tmp_path / "root.tar").write_bytes(packed(good_root().file(path, content[:size], mode=0o755)))
            assert checked(tmp_path / "root.tar", capsys)[1][requirement] != "pass", (path, size)
