"""Verity slots, signed UKIs, EFI partition and disk as the classes make them, taken apart by the real tools (FS-02, BOOT-01, BOOT-02, BOOT-03)."""

import hashlib
import os
import re
import shutil
import uuid
from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.errors import ToolError, UserError
from everest_secure.image.artefact import open_artefact
from everest_secure.image.uki import Uki
from everest_secure.image.verity import Verity
from everest_secure.parse.cmdline import CommandLine, parse_cmdline
from everest_secure.reference.packages import IMAGE
from everest_secure.reference.recipes.harness import RecipeError
from everest_secure.reference.recipes.image import image_recipe
from everest_secure.reference.rootfs import VerityImage
from everest_secure.reference.uki import command_line
from everest_secure.run import run
from support.bootchain import Made, Parts, make, parts
from support.images import only_tree
from support.layer import LAYER, Bench
from support.signature import changes_with

pytestmark = pytest.mark.layer

SLOTS = ("a", "b")
MIB = 1 << 20


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    return parts(tmp_path_factory.mktemp("parts"))


@pytest.fixture(scope="module", params=["0", "1"], ids=["squashfs", "erofs"])
def adaptive(request: pytest.FixtureRequest) -> dict[str, str]:
    """What a product sets for either kind of root."""
    return {"EVEREST_ADAPTIVE_UPDATES": request.param}


@pytest.fixture(scope="module")
def made(layer: Bench, image: Parts, adaptive: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The image as it comes, in a place where no other build goes."""
    fresh = make(layer, image, **adaptive)
    kept = tmp_path_factory.mktemp("made")
    shutil.copytree(fresh.images, kept / "images", symlinks=True)
    return Made(kept / "images", {slot: Path(shutil.copy(uki, kept)) for slot, uki in fresh.ukis.items()}, fresh.root_type)


def verify(image: Path, root: Made) -> None:
    run(["veritysetup", "verify", image, image, root.root["root_hash"], f"--hash-offset={root.root['hash_offset']}"])


def uki(path: Path) -> Uki:
    facts = open_artefact(path).facts
    assert isinstance(facts, Uki)
    return facts


def line(made: Made, slot: str) -> CommandLine:
    return parse_cmdline(uki(made.ukis[slot]).cmdline)


def test_the_root_verifies_by_the_hash_that_lies_beside_it(made: Made) -> None:
    verify(made.slot, made)
    tree = only_tree(open_artefact(made.slot))
    assert tree.get("/usr/bin/manager") is not None
    assert [node.path for node in tree.nodes() if node.path.startswith(("/var/", "/boot/"))] == []


@pytest.mark.parametrize("at", [100, 4096 + 1, -1])
def test_one_changed_byte_of_data_or_hash_tree_is_seen(made: Made, tmp_path: Path, at: int) -> None:
    copy = tmp_path / "slot"
    content = bytearray(made.slot.read_bytes())
    content[at if at >= 0 else int(made.root["hash_offset"]) + 4096] ^= 1
    copy.write_bytes(content)
    with pytest.raises(ToolError):
        verify(copy, made)


def test_the_same_parts_give_the_same_slot_and_the_same_efi_partition(
    layer: Bench, image: Parts, adaptive: dict[str, str], made: Made
) -> None:
    again = make(layer, image, **adaptive)
    assert again.slot.read_bytes() == made.slot.read_bytes()
    assert again.efi.read_bytes() == made.efi.read_bytes()


def test_a_root_larger_than_its_slot_stops_the_build(layer: Bench, image: Parts, tmp_path: Path) -> None:
    large = tmp_path / "rootfs"
    shutil.copytree(image.root, large)
    (large / "usr/bin/large").write_bytes(os.urandom(3 * MIB))
    with pytest.raises(
        UserError, match=r"verity takes \d+ MiB and its slot has 2 MiB; install less in the image or raise EVEREST_ROOTFS_SIZE"
    ):
        make(layer, image, TEST_ROOT=str(large))


@pytest.mark.parametrize("slot", SLOTS)
def test_each_uki_carries_kernel_initramfs_and_the_name_of_the_image(made: Made, image: Parts, slot: str) -> None:
    facts = uki(made.ukis[slot])
    (initrd,) = facts.initrds
    assert initrd.read(0, initrd.size) == (image.deploy / "everest-secure-initramfs-qemux86-64.cpio.zst").read_bytes()
    assert facts.linux.read(0, facts.linux.size) == (image.deploy / "bzImage").read_bytes()
    assert facts.os_release == 'ID="everest-secure"'


@pytest.mark.parametrize("slot", SLOTS)
def test_a_slot_boots_its_own_partition_read_only_by_the_signed_hash(made: Made, slot: str) -> None:
    found = line(made, slot)
    assert found.root_read_only
    assert found.values("root") == ("/dev/mapper/root",)
    assert found.values("rootfstype") == (made.root_type.partition("-")[0],)
    assert found.values("roothash") == (made.root["root_hash"],)
    assert found.values("systemd.verity_root_data") == found.values("systemd.verity_root_hash") == (f"PARTLABEL=rootfs-{slot}",)
    assert found.values("systemd.verity_root_options") == (f"hash-offset={made.root['hash_offset']},panic-on-corruption",)
    assert found.values("rauc.slot") == (slot.upper(),)


def test_nothing_is_discovered_no_console_is_named_a_table_has_a_backup_and_the_kernel_is_locked_down(made: Made) -> None:
    found = line(made, "a")
    safe = {
        "systemd.gpt_auto": "0",
        "systemd.import_credentials": "no",
        "lockdown": "integrity",
        "usbcore.authorized_default": "0",
        "panic": "10",
    }
    assert {name: found.values(name) for name in safe} == {name: (value,) for name, value in safe.items()}
    assert found.has("gpt")
    assert not [name for name in ("console", "init", "rd.shell", "systemd.debug_shell") if found.has(name)]


def test_the_command_lines_differ_in_nothing_but_the_slot(made: Made) -> None:
    one, two = (uki(made.ukis[slot]).cmdline for slot in SLOTS)
    assert "@" not in one
    assert one.replace("rootfs-a", "rootfs-b").replace("rauc.slot=A", "rauc.slot=B") == two


@pytest.mark.parametrize("slot", SLOTS)
def test_the_reference_image_boots_by_the_same_line(layer: Bench, adaptive: dict[str, str], made: Made, slot: str) -> None:
    recipe = image_recipe(IMAGE, layer=LAYER, work=layer.work, settings={**layer.settings, **adaptive})
    root = VerityImage(made.slot, made.root["root_hash"], int(made.root["hash_offset"]))
    assert command_line(recipe.command_line, slot, root) == uki(made.ukis[slot]).cmdline
    assert recipe.fallback == "/EFI/BOOT/BOOTX64.EFI"


def test_salt_and_uuid_of_the_hash_tree_follow_from_the_data(made: Made) -> None:
    facts = open_artefact(made.slot).facts
    assert isinstance(facts, Verity)
    digest = hashlib.sha256(facts.tree.data.read(0, facts.tree.data.size)).hexdigest()
    said = run(["veritysetup", "dump", made.slot, f"--hash-offset={facts.hash_offset}"]).decode()
    assert facts.tree.salt.hex() == digest
    assert re.findall(r"^UUID:\s+(\S+)$", said, re.MULTILINE) == [str(uuid.UUID(digest[:32]))]


def test_words_of_a_product_come_last_and_nothing_behind_the_end(layer: Bench, image: Parts) -> None:
    found = uki(make(layer, image, EVEREST_COMMAND_LINE_EXTRA="  quirk=1   other ").ukis["a"]).cmdline
    assert found.endswith(" quiet quirk=1 other --")


@pytest.mark.parametrize("line", ["ro quiet", "ro -- quiet", "ro -- quiet --"])
def test_a_command_line_without_its_end_is_refused_by_the_build(layer: Bench, image: Parts, line: str) -> None:
    with pytest.raises(RecipeError, match="BOOT-03: EVEREST_COMMAND_LINE does not end with its only '--'"):
        make(layer, image, EVEREST_COMMAND_LINE=line)


def test_without_verity_the_root_is_mounted_from_the_partition_itself(layer: Bench, image: Parts) -> None:
    found = parse_cmdline(uki(make(layer, image, EVEREST_VERITY="0").ukis["b"]).cmdline)
    assert found.root_read_only
    assert found.values("root") == ("PARTLABEL=rootfs-b",)
    assert not found.has("roothash")


@pytest.mark.parametrize("slot", SLOTS)
def test_the_firmware_s_certificate_verifies_a_uki_and_refuses_it_once_it_is_altered(
    made: Made, image: Parts, tmp_path: Path, slot: str
) -> None:
    run(["sbverify", "--cert", image.certificate, made.ukis[slot]])
    content = made.ukis[slot].read_bytes()
    altered = tmp_path / "altered.efi"
    altered.write_bytes(content.replace(b"lockdown=integrity", b"lockdown=integritx"))
    assert altered.read_bytes() != content
    with pytest.raises(ToolError):
        run(["sbverify", "--cert", image.certificate, altered])


def test_a_uki_is_unsigned_only_when_that_is_asked_for(layer: Bench, image: Parts) -> None:
    assert not uki(make(layer, image, EVEREST_SECURE_BOOT="0").ukis["a"]).program.certificates


@pytest.mark.parametrize("missing", ["KEY", "CERT"])
def test_a_key_that_is_not_there_stops_the_build(layer: Bench, image: Parts, missing: str) -> None:
    with pytest.raises(UserError, match=rf"UKI_SB_{missing} '/nowhere' is no readable file; set EVEREST_SECURE_BOOT_KEY"):
        make(layer, image, **{f"EVEREST_SECURE_BOOT_{missing}": "/nowhere"})


def test_another_key_or_certificate_in_the_same_files_signs_again(layer: Bench, image: Parts, tmp_path: Path) -> None:
    own = replace(image, key=Path(shutil.copy(image.key, tmp_path)), certificate=Path(shutil.copy(image.certificate, tmp_path)))
    built = layer.build("charger", own.settings(), variables=("do_uki[file-checksums]",), extra_layers=(own.layer,))
    for file in (own.key, own.certificate):
        assert changes_with(built.variables["do_uki[file-checksums]"], file, b"another")


def test_the_efi_partition_holds_both_slots_and_the_firmware_falls_back_to_slot_a(made: Made) -> None:
    tree = only_tree(open_artefact(made.efi))
    assert tree.kind == "vfat"
    assert {node.path: tree.read(node.path) for node in tree.nodes() if node.is_file} == {
        "/EFI/BOOT/BOOTX64.EFI": made.ukis["a"].read_bytes(),
        "/EFI/Linux/everest-a.efi": made.ukis["a"].read_bytes(),
        "/EFI/Linux/everest-b.efi": made.ukis["b"].read_bytes(),
    }


def test_kernel_images_that_do_not_fit_stop_the_build(layer: Bench, image: Parts, tmp_path: Path) -> None:
    deploy = tmp_path / "deploy"
    shutil.copytree(image.deploy, deploy)
    (deploy / "everest-secure-initramfs-qemux86-64.cpio.zst").write_bytes(bytes(25 * MIB))
    with pytest.raises(UserError, match=r"/EFI/Linux/everest-b\.efi does not fit in an EFI partition of 40 MiB; .* raise EVEREST_EFI_SIZE"):
        make(layer, image, TEST_DEPLOY=str(deploy))
