from pathlib import Path

from everest_secure.reference.rootfs import VerityImage
from everest_secure.reference.uki import command_line

ROOT = VerityImage(Path("rootfs.img"), "ab" * 32, 4096 * 7)


def test_a_slot_and_its_root_take_the_places_that_the_layer_left_for_them() -> None:
    template = "ro roothash=@ROOT_HASH@ root=PARTLABEL=rootfs-@slot@ options=hash-offset=@HASH_OFFSET@ rauc.slot=@SLOT@"
    expected = f"ro roothash={'ab' * 32} root=PARTLABEL=rootfs-b options=hash-offset=28672 rauc.slot=B"
    assert command_line(template, "b", ROOT) == expected
