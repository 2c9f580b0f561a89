import json
import re
from pathlib import Path

import pytest

from everest_secure.errors import ToolError, UserError
from everest_secure.image.artefact import open_artefact
from everest_secure.reference.disk import MIB, Layout, _partitions, build_disk, build_efi
from everest_secure.run import HostTools, run
from support.images import only_tree
from support.reference import require

SMALL = Layout(efi=40, rootfs=8, data=16)
LABELS = ["efi-a", "efi-b", "rootfs-a", "rootfs-b"]
UNIQUE = "0f6ac4a5-3e4b-4f0e-8f6c-5b1d9a7e2c31"
OFFLINE = 254
"""The first systemd-repart that needs neither root nor loop devices (`--offline=yes`)."""


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, Path]:
    """Files for the EFI partition and the root slot, in directories of their own."""
    efi, rootfs = tmp_path / "efi/efi.img", tmp_path / "rootfs/rootfs.img"
    for file in (efi, rootfs):
        file.parent.mkdir()
        file.write_bytes(file.name.encode() * 4096)
    return efi, rootfs


def repart_version() -> int:
    require("systemd-repart")
    found = re.search(r"\d+", run(["systemd-repart", "--version"]).decode())
    assert found
    return int(found[0])


def test_the_firmware_finds_each_program_at_its_path(tmp_path: Path) -> None:
    require("mkfs.vfat", "mmd", "mcopy")
    programs = {"/EFI/BOOT/BOOTX64.EFI": tmp_path / "a.efi", "/EFI/Linux/everest-b.efi": tmp_path / "b.efi"}
    for program in programs.values():
        program.write_bytes(program.name.encode() * 100_000)
    output = tmp_path / "out" / "efi.img"
    output.parent.mkdir()
    output.write_bytes(b"left over")
    made = build_efi(output, programs=programs, layout=SMALL, tools=HostTools())
    assert made.stat().st_size == SMALL.efi * MIB
    tree = only_tree(open_artefact(made))
    assert tree.kind == "vfat"
    assert {node.path: tree.read(node.path) for node in tree.nodes() if node.is_file} == {
        target: program.read_bytes() for target, program in programs.items()
    }


def test_programs_that_do_not_fit_are_one_sentence(tmp_path: Path) -> None:
    require("mkfs.vfat", "mmd", "mcopy")
    program = tmp_path / "a.efi"
    program.write_bytes(bytes(41 * MIB))
    with pytest.raises(ToolError, match=r"^'mcopy' failed with exit code 1: .+"):
        build_efi(tmp_path / "efi.img", programs={"/EFI/BOOT/BOOTX64.EFI": program}, layout=SMALL, tools=HostTools())


def test_repart_reads_the_definitions_as_the_two_slots(tmp_path: Path, images: tuple[Path, Path]) -> None:
    repart_version()
    definitions = tmp_path / "repart.d"
    definitions.mkdir()
    for number, (label, text) in enumerate(_partitions(*images, SMALL).items()):
        (definitions / f"{number}.conf").write_text(f"[Partition]\nLabel={label}\n{text}")
    command = ["systemd-repart", "--empty=create", "--size=auto", "--dry-run=yes", "--json=short", "--no-pager"]
    plan = json.loads(run([*command, f"--definitions={definitions}", tmp_path / "disk.raw"]))
    assert [entry["label"] for entry in plan] == LABELS
    assert [entry["type"] for entry in plan] == ["esp", "esp", "linux-generic", "linux-generic"]
    assert [entry["raw_size"] // MIB for entry in plan] == [40, 40, 8, 8]


def test_slot_a_is_filled_and_slot_b_is_empty(tmp_path: Path, images: tuple[Path, Path]) -> None:
    if repart_version() < OFFLINE:
        pytest.skip(f"systemd-repart is older than {OFFLINE}")
    efi, rootfs = images
    made = build_disk(tmp_path / "disk.raw", efi=efi, rootfs=rootfs, layout=SMALL, work=tmp_path / "work", tools=HostTools())
    parts = {part.name.rpartition(":")[2]: part for part in open_artefact(made).children}
    assert list(parts) == LABELS
    for label, image in (("efi-a", efi), ("rootfs-a", rootfs)):
        blob = parts[label].blob
        assert blob is not None
        assert blob.read(0, image.stat().st_size) == image.read_bytes()
    assert {label: parts[label].kind for label in ("efi-b", "rootfs-b")} == {"efi-b": "empty", "rootfs-b": "empty"}


def test_the_machine_finds_room_for_its_data_partition_behind_the_slots(tmp_path: Path, images: tuple[Path, Path]) -> None:
    if repart_version() < OFFLINE:
        pytest.skip(f"systemd-repart is older than {OFFLINE}")
    efi, rootfs = images
    made = build_disk(tmp_path / "disk.raw", efi=efi, rootfs=rootfs, layout=SMALL, work=tmp_path / "work", tools=HostTools())
    definitions = tmp_path / "on-the-machine"
    definitions.mkdir()
    (definitions / "50-data.conf").write_text(f"[Partition]\nType={UNIQUE}\nLabel=data\nSizeMinBytes={SMALL.data}M\n")
    plan = json.loads(run(["systemd-repart", "--dry-run=yes", "--json=short", "--no-pager", f"--definitions={definitions}", made]))
    (data,) = [entry for entry in plan if entry["label"] == "data"]
    assert data["raw_size"] // MIB >= SMALL.data
    assert data["activity"] == "create"


@pytest.mark.parametrize("which", [0, 1])
def test_an_image_larger_than_its_slot_makes_no_disk(tmp_path: Path, images: tuple[Path, Path], which: int) -> None:
    slot = (SMALL.efi, SMALL.rootfs)[which]
    with images[which].open("r+b") as file:
        file.truncate(slot * MIB + 4096)
    efi, rootfs = images
    expected = rf"^{images[which].name} takes {slot}\.00 MiB and its slot has {slot} MiB; install less in the image or enlarge the slot$"
    with pytest.raises(UserError, match=expected):
        build_disk(tmp_path / "disk.raw", efi=efi, rootfs=rootfs, layout=SMALL, work=tmp_path / "work", tools=HostTools())
    assert not (tmp_path / "disk.raw").exists()
