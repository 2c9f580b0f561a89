from dataclasses import replace
from pathlib import Path

import pytest

from everest_secure.checks.core import Boot, Build, Bundle, Root, Scope
from everest_secure.checks.subjects import find_subjects, repeated
from everest_secure.errors import ArtefactError
from everest_secure.image.artefact import Artefact, open_artefact
from everest_secure.image.blob import from_bytes
from everest_secure.image.companions import Companion, CompanionKind
from everest_secure.image.directory import DirectoryTree
from support.reports import root, root_artefact


def disk(tmp_path: Path, *, slot_b: bool = False, root_a: bool = True) -> Artefact:
    (tmp_path / "data").mkdir()
    parts = [Artefact("disk.raw:data", "ext4", tree=DirectoryTree(tmp_path / "data", "disk.raw:data"))]
    if root_a:
        inner = root_artefact(tmp_path / "a", "disk.raw:rootfs-a")
        parts.append(Artefact("disk.raw:rootfs-a", "verity", children=(inner,)))
    parts.append(root_artefact(tmp_path / "b", "disk.raw:rootfs-b") if slot_b else Artefact("disk.raw:rootfs-b", "empty"))
    return Artefact("disk.raw", "gpt", children=tuple(parts))


def bundle(tmp_path: Path) -> Artefact:
    return Artefact("update.raucb", "rauc-bundle", children=(root_artefact(tmp_path / "u", "update.raucb:rootfs.img"),))


def test_a_directory_is_a_root_and_neither_a_disk_nor_a_bundle(tmp_path: Path) -> None:
    found = find_subjects([open_artefact(root(tmp_path / "rootfs"))])
    assert [name for name, _ in found[Scope.ROOT]] == ["rootfs"]
    assert not found[Scope.BOOT]
    assert not found[Scope.BUNDLE]


def test_both_slots_of_a_disk_are_checked_and_an_empty_one_is_no_root(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    assert [name for name, _ in find_subjects([disk(tmp_path / "one")])[Scope.ROOT]] == ["disk.raw:rootfs-a"]
    both = find_subjects([disk(tmp_path / "two", slot_b=True)])
    assert [name for name, _ in both[Scope.ROOT]] == ["disk.raw:rootfs-a", "disk.raw:rootfs-b"]
    ((_, boot),) = both[Scope.BOOT]
    assert isinstance(boot, Boot)
    assert len(boot.roots) == 2


def test_a_bundle_is_verified_with_the_roots_of_the_other_artefacts_and_its_own_root_is_checked(tmp_path: Path) -> None:
    found = find_subjects([disk(tmp_path), bundle(tmp_path)])
    assert [name for name, _ in found[Scope.ROOT]] == ["disk.raw:rootfs-a", "update.raucb:rootfs.img"]
    ((_, shipped),) = found[Scope.BUNDLE]
    assert isinstance(shipped, Bundle)
    assert [outside.artefact.name for outside in shipped.roots] == ["disk.raw:rootfs-a"]
    inside = found[Scope.ROOT][1][1]
    assert isinstance(inside, Root)
    assert inside.container.name == "update.raucb"


def test_a_bundle_alone_has_no_root_to_be_verified_with(tmp_path: Path) -> None:
    ((_, shipped),) = find_subjects([bundle(tmp_path)])[Scope.BUNDLE]
    assert isinstance(shipped, Bundle)
    assert shipped.roots == ()


def test_a_tree_behind_two_names_is_checked_once(tmp_path: Path) -> None:
    inner = root_artefact(tmp_path / "a", "root.img")
    outer = Artefact("root.img", "verity", tree=inner.tree, children=(inner,))
    assert len(find_subjects([outer])[Scope.ROOT]) == 1


def test_a_root_that_is_there_several_times_byte_by_byte_is_checked_once(tmp_path: Path) -> None:
    def image(name: str, content: bytes) -> Artefact:
        return replace(root_artefact(tmp_path / name, name), blob=from_bytes(content, name))

    content = bytes(range(256)) * 5000
    artefacts = [image("a", content), image("b", content + bytes(4096)), image("c", content[:-1] + b"x"), image("d", b"x" + content[1:])]
    found = find_subjects(artefacts)
    assert [name for name, _ in found[Scope.ROOT]] == ["a", "c", "d"]
    assert repeated(artefacts, found) == ("b",)


def test_images_with_the_same_companions_are_one_build_and_one_without_is_another(tmp_path: Path) -> None:
    (tmp_path / "charger.manifest").write_text("systemd\n")
    companions = (Companion(CompanionKind.MANIFEST, tmp_path / "charger.manifest"),)
    first, second = (replace(root_artefact(tmp_path / name, name), companions=companions) for name in ("disk", "squashfs"))
    (other, nothing), (name, build) = find_subjects([first, second, root_artefact(tmp_path / "alone", "alone")])[Scope.BUILD]
    assert isinstance(nothing, Build)
    assert (other, nothing.companions) == ("alone", ())
    assert isinstance(build, Build)
    assert (name, build.container) == ("disk", first)
    assert [root.artefact.name for root in build.roots] == ["disk", "squashfs"]
    assert build.of(CompanionKind.MANIFEST) == companions[0]
    assert build.of(CompanionKind.KERNEL_CONFIG) is None


def test_an_image_beside_which_nothing_lies_is_a_build_that_left_nothing_and_a_directory_or_a_bundle_is_none(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    given = [disk(tmp_path / "one"), bundle(tmp_path), open_artefact(root(tmp_path / "rootfs"))]
    found = find_subjects([*given, root_artefact(tmp_path / "second", "second")])[Scope.BUILD]
    assert [(name, build.companions) for name, build in found if isinstance(build, Build)] == [("disk.raw", ()), ("second", ())]


def test_a_disk_whose_root_cannot_be_read_is_no_success(tmp_path: Path) -> None:
    with pytest.raises(ArtefactError, match=r"disk\.raw has no partition with a root file system .* disk\.raw:data \(ext4\)"):
        find_subjects([disk(tmp_path, root_a=False)])


@pytest.mark.parametrize("missing", ["etc", "usr"])
def test_a_directory_that_is_no_root_is_refused_and_not_passed(tmp_path: Path, missing: str) -> None:
    (root(tmp_path / "rootfs") / missing).rmdir()
    with pytest.raises(ArtefactError, match="neither a root file system nor a disk nor a bundle"):
        find_subjects([open_artefact(tmp_path / "rootfs")])


def test_two_artefacts_of_the_same_name_are_refused(tmp_path: Path) -> None:
    first, second = (open_artefact(root(tmp_path / side / "rootfs")) for side in ("a", "b"))
    with pytest.raises(ArtefactError, match="two of the artefacts are called rootfs"):
        find_subjects([first, second])


def test_a_bundle_whose_file_systems_are_not_read_is_refused_whatever_lies_beside_it(tmp_path: Path) -> None:
    ubifs = Artefact("update.raucb:rootfs.img", "unknown", blob=from_bytes(b"\x31\x18\x10\x06".ljust(4096, b"\0"), "rootfs.img"))
    firmware = Artefact("update.raucb:mcu.img", "unknown", blob=from_bytes(b"firmware", "mcu.img"))
    said = r"update\.raucb has no image with a root file system that can be read; it holds update\.raucb:rootfs\.img \(UBIFS, which is not read\)"
    for number in "123":
        (tmp_path / number).mkdir()
    with pytest.raises(ArtefactError, match=said):
        find_subjects([disk(tmp_path / "1"), Artefact("update.raucb", "rauc-bundle", children=(ubifs, firmware))])
    assert find_subjects([disk(tmp_path / "2"), Artefact("update.raucb", "rauc-bundle", children=(firmware,))])[Scope.BUNDLE]
    with_root = bundle(tmp_path / "3")
    assert find_subjects([replace(with_root, children=(ubifs, *with_root.children))])[Scope.ROOT]


def test_a_disk_whose_only_root_is_not_read_is_refused_with_its_format() -> None:
    part = Artefact("disk.raw:rootfs-a", "unknown", blob=from_bytes(b"XFSB".ljust(4096, b"\0"), "rootfs-a"))
    with pytest.raises(ArtefactError, match=r"can be read; it holds disk\.raw:rootfs-a \(XFS, which is not read\)"):
        find_subjects([Artefact("disk.raw", "gpt", children=(part,))])
